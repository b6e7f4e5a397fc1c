//! Memory that is not touched before it is needed, and given back when it is not needed again.

use core::ffi::c_void;

use rustix::mm::{Advice, madvise};

/// Deeper than any configuration makes the stack.
const STACK: usize = 512 * 1024;
/// What the calls from here to the kernel need of the stack, and more.
const SPARE: usize = 8 * 1024;

/// A buffer of zeroes, of which the kernel has given nothing yet.
pub fn zeroed<const N: usize>() -> Box<[u8; N]> {
    // Its length is right.
    vec![0; N].into_boxed_slice().try_into().unwrap_or_else(|_| Box::new([0; N]))
}

unsafe extern "C" {
    /// The linker's: where the program begins in memory, and where its code ends.
    static __executable_start: u8;
    static etext: u8;
}

/// Reading a configuration takes the stack far down and runs code that is not needed again. What is below this call
/// goes back to the kernel; the code's pages, which the kernel may hold in its cache as long as it likes, are no longer
/// ours until they are run. Where memory is locked it stays as it is.
#[inline(never)]
pub fn give_back() {
    // Below another thread's stack there may be anything; below the first one's is a wide gap.
    if rustix::thread::gettid() != rustix::process::getpid() {
        return;
    }
    // SAFETY: sysconf only tells a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let Some(mask) = page.checked_sub(1) else { return };
    let here = 0u8;
    let end = ((&raw const here) as usize - SPARE) & !mask;
    // SAFETY: nothing lives below the stack's end but what this call and those that it makes put there, and `SPARE`
    // leaves that alone.
    let _ = unsafe { madvise((end - STACK) as *mut c_void, STACK, Advice::LinuxDontNeed) };
    let start = (&raw const __executable_start) as usize & !mask;
    let end = ((&raw const etext) as usize + mask) & !mask;
    // SAFETY: between the two is what the file holds, read-only: it is mapped again, the same, when it is used.
    let _ = unsafe { madvise(start as *mut c_void, end - start, Advice::LinuxDontNeed) };
}
