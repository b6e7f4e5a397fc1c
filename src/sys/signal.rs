//! Signals, read from a descriptor.
//!
//! They are blocked, so that none interrupts anything, and a signalfd tells the reactor of them.
//! SIGPIPE is ignored. A child calls [`restore_for_child`] before it executes another program.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{SFD_CLOEXEC, SFD_NONBLOCK, SIG_BLOCK, SIG_DFL, SIG_IGN, SIG_SETMASK, c_int, sigset_t};

/// A signal that the daemon acts upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// HUP: read the configuration again.
    Hangup,
    /// TERM: hand over and stop.
    Terminate,
    /// INT: the same.
    Interrupt,
    /// USR1: write the state to a file.
    User1,
    /// USR2: write the statistics to a file.
    User2,
    /// CHLD: a child ended.
    Child,
}

const HANDLED: [(c_int, Signal); 6] = [
    (libc::SIGHUP, Signal::Hangup),
    (libc::SIGTERM, Signal::Terminate),
    (libc::SIGINT, Signal::Interrupt),
    (libc::SIGUSR1, Signal::User1),
    (libc::SIGUSR2, Signal::User2),
    (libc::SIGCHLD, Signal::Child),
];

fn set_of(signals: &[(c_int, Signal)]) -> sigset_t {
    // musl's sigemptyset writes to the part that the kernel knows, and not to the rest.
    let mut set = MaybeUninit::<sigset_t>::zeroed();
    // SAFETY: the set is plain integers, all of them written; sigaddset gets an empty one and valid numbers.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for (number, _) in signals {
            libc::sigaddset(set.as_mut_ptr(), *number);
        }
        set.assume_init()
    }
}

fn mask(how: c_int, set: &sigset_t) -> io::Result<()> {
    // SAFETY: `set` is initialised and lives through the call; the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) } {
        0 => Ok(()),
        e => Err(io::Error::from_raw_os_error(e)),
    }
}

fn disposition(number: c_int, handler: libc::sighandler_t) {
    // SAFETY: the handler is SIG_IGN or SIG_DFL, so no code of ours runs in a signal's context.
    unsafe { libc::signal(number, handler) };
}

/// The descriptor that signals are read from.
pub struct Signals {
    fd: OwnedFd,
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Signals {
    /// Blocks the signals for this thread (the only one), ignores SIGPIPE, opens the descriptor.
    pub fn open() -> io::Result<Signals> {
        let set = set_of(&HANDLED);
        mask(SIG_BLOCK, &set)?;
        disposition(libc::SIGPIPE, SIG_IGN);
        // SAFETY: `set` is initialised and lives through the call; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Signals { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// The next signal that came, if any. Several of a kind may come as one.
    pub fn read(&self) -> Option<Signal> {
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        loop {
            let n = rustix::io::read(&self.fd, &mut info).ok()?;
            if n != info.len() {
                return None;
            }
            // ssi_signo is the first field.
            let number = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]) as c_int;
            if let Some((_, signal)) = HANDLED.iter().find(|(n, _)| *n == number) {
                return Some(*signal);
            }
        }
    }
}

/// In a child between fork and exec: no signal blocked, all of the daemon's at their defaults.
/// Async-signal-safe.
pub fn restore_for_child() {
    for (number, _) in HANDLED {
        disposition(number, SIG_DFL);
    }
    disposition(libc::SIGPIPE, SIG_DFL);
    // Nothing to do about an error: the arguments are valid.
    let _ = mask(SIG_SETMASK, &set_of(&[]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;

    /// Signals sent to this thread are read in the order of their numbers; then there is none.
    #[test]
    fn read() {
        std::thread::spawn(|| {
            let signals = Signals::open().unwrap();
            assert_eq!(signals.read(), None);
            for (number, signal) in HANDLED {
                // SAFETY: the signal goes to this thread, where it is blocked.
                unsafe { libc::raise(number) };
                assert_eq!(signals.read(), Some(signal));
            }
            assert_eq!(signals.read(), None);
            // SAFETY: as above.
            unsafe { (libc::raise(libc::SIGUSR1), libc::raise(libc::SIGUSR1)) };
            assert_eq!((signals.read(), signals.read()), (Some(Signal::User1), None), "two as one");
        })
        .join()
        .unwrap();
    }

    /// A child sees what a login shell's would: nothing blocked, nothing ignored.
    #[test]
    fn child() {
        std::thread::spawn(|| {
            let _signals = Signals::open().unwrap();
            let mut command = std::process::Command::new("cat");
            command.arg("/proc/self/status");
            // SAFETY: what it calls is async-signal-safe.
            unsafe {
                command.pre_exec(|| {
                    restore_for_child();
                    Ok(())
                })
            };
            let out = String::from_utf8(command.output().unwrap().stdout).unwrap();
            for set in ["SigBlk:\t", "SigIgn:\t", "SigCgt:\t"] {
                let (_, bits) = out.split_once(set).unwrap();
                // The C library's own signals (32, 33) aside.
                assert_eq!(u64::from_str_radix(&bits[..16], 16).unwrap() & 0x7fff_ffff, 0, "{set}");
            }
        })
        .join()
        .unwrap();
    }
}
