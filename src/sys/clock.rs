//! The clock. Nothing else in the crate reads one.
//!
//! It is `std::time::Instant`, which is CLOCK_MONOTONIC: a jump of the wall clock has no effect.
//! rustix's clock is not used: on 32-bit MIPS with musl its timespec is wider than the one the C
//! library fills in, and the time read is garbage.

use std::sync::OnceLock;
use std::time::{Duration, Instant as StdInstant, SystemTime};

use crate::vrrp::timing::{Instant, Micros};

static EPOCH: OnceLock<StdInstant> = OnceLock::new();

/// Goes on with the clock of the program that this process ran before, whose epoch was so long after the
/// machine's start. To be called before any other function here.
pub fn go_on(epoch: Micros) {
    let passed = Duration::from_micros(since_boot().0.saturating_sub(epoch.0));
    if let Some(epoch) = StdInstant::now().checked_sub(passed) {
        let _ = EPOCH.set(epoch);
    }
}

/// When the clock began, after the machine's start: what [`go_on`] wants.
pub fn epoch() -> Micros {
    Micros(since_boot().0.saturating_sub(now().0))
}

/// The present moment. The epoch is the first call in this process.
pub fn now() -> Instant {
    let epoch = EPOCH.get_or_init(StdInstant::now);
    // 64 bits of microseconds last for half a million years.
    let passed = epoch.elapsed();
    Instant(passed.as_secs() * 1_000_000 + passed.subsec_micros() as u64)
}

/// What [`now`]'s clock has counted since the machine started: the same in every process.
pub fn since_boot() -> Micros {
    // Seconds and nanoseconds. A kernel of 32 bits may have the call below left out (CONFIG_COMPAT_32BIT_TIME), and
    // has this one since Linux 5.1.
    #[cfg(target_pointer_width = "32")]
    {
        let (call, mut time) = (linux_raw_sys::general::__NR_clock_gettime64 as libc::c_long, [0i64; 2]);
        // SAFETY: the kernel writes two numbers of 64 bits to where the pointer leads, which live through the call.
        if unsafe { libc::syscall(call, libc::CLOCK_MONOTONIC, time.as_mut_ptr()) } == 0 {
            return Micros(time[0] as u64 * 1_000_000 + time[1] as u64 / 1_000);
        }
    }
    // The kernel's own struct of this call: two words, of which the second are nanoseconds.
    let mut time: [libc::c_long; 2] = [0; 2];
    // SAFETY: the kernel writes two words to where the pointer leads, which live through the call.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, time.as_mut_ptr()) };
    Micros(time[0] as u64 * 1_000_000 + time[1] as u64 / 1_000)
}

/// The time since 1970 by the wall clock, for time stamps that people read; 0 before 1970.
pub fn wall() -> Micros {
    Micros(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64))
}

/// The same in seconds.
pub fn wall_seconds() -> u64 {
    wall().0 / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sleep of 50 ms is seen as 50 ms, give or take a busy machine; the clock never goes back.
    #[test]
    fn a_sleep_is_as_long_as_it_is() {
        let (a, boot) = (now(), since_boot());
        std::thread::sleep(std::time::Duration::from_millis(50));
        let b = now();
        assert!(b > a);
        for d in [b.since(a).0, since_boot().0 - boot.0] {
            assert!((50_000..500_000).contains(&d), "50 ms seen as {d} us");
        }
    }
}
