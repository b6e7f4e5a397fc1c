//! Socket options that rustix lacks.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_void, socklen_t};

/// `setsockopt(fd, level, name, value)`.
///
/// # Safety
///
/// Pointers in `value` are valid for what the option reads through them, and the kernel keeps none
/// of them behind the call.
pub(super) unsafe fn set<T>(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let (at, len) = ((value as *const T).cast::<c_void>(), size_of::<T>() as socklen_t);
    // SAFETY: `at` points to `len` bytes that live through the call; the caller vouches for what is in them.
    let r = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, at, len) };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `setsockopt` with an integer.
pub(super) fn set_int(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: there is no pointer in an integer.
    unsafe { set(fd, level, name, &value) }
}

/// `setsockopt` with bytes.
pub(super) fn set_bytes(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: &[u8]) -> io::Result<()> {
    // SAFETY: the pointer and length are those of a slice that lives through the call.
    let r = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), value.len() as socklen_t) };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
