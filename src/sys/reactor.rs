//! The reactor: epoll with a deadline, for one thread.
//!
//! A descriptor is registered with a [`Token`] of the caller's choice and is level-triggered: what
//! is not read now is told again. The exception are descriptors of tasks
//! ([`add_for_task`](Reactor::add_for_task)): they are silent until a task awaits them, and after
//! each event, so that a peer that hung up does not wake us while its task is elsewhere.
//!
//! The deadline is exact to the microsecond where the kernel has epoll_pwait2 (Linux 5.11), else to
//! the millisecond, rounded up: never early. On MIPS it is always the latter. timerfd and rustix's
//! waits are not used there or anywhere, because their time structures are wrong on 32-bit MIPS.
//!
//! ```text
//! let reactor = Reactor::new()?;             // and Tasks::new(), a Driver, an executor
//! loop {
//!     driver.turn(main.as_mut());            // tasks run until all of them wait
//!     let deadline = earlier(router.next_deadline(), tasks.next_deadline());
//!     reactor.wait(if driver.is_awake() { Some(clock::now()) } else { deadline }, &mut ready)?;
//!     for r in &ready { if !tasks.wake_ready(r) { /* adverts, netlink, signals: handle at once */ } }
//!     tasks.wake_due(clock::now());
//! }
//! ```

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use heapless::Vec;
use rustix::event::epoll;

use super::clock;
use crate::config::model::MAX_LINKS;
use crate::table::Table;
use crate::vrrp::timing::{Instant, Micros};

/// Descriptors that can be registered: two sockets for each link, the daemon's own, and those of tasks.
pub const MAX_FDS: usize = 2 * MAX_LINKS + 16 + super::context::MAX_WATCHED;

/// Below this the kernel's slack is less than the timer's own resolution.
const SHARP: Micros = Micros::from_millis(20);

/// Events that one wait can return; what is beyond comes with the next.
pub const MAX_READY: usize = 32;

/// What the caller calls a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u32);

/// What is to be told about a descriptor. Errors and hang-ups always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// It can be read.
    pub readable: bool,
    /// It can be written.
    pub writable: bool,
}

impl Interest {
    /// Nothing.
    pub const NONE: Interest = Interest { readable: false, writable: false };
    /// Reading.
    pub const READ: Interest = Interest { readable: true, writable: false };
    /// Writing.
    pub const WRITE: Interest = Interest { readable: false, writable: true };

    fn flags(self, once: bool) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.readable);
        flags.set(epoll::EventFlags::OUT, self.writable);
        flags.set(epoll::EventFlags::ONESHOT, once);
        flags
    }
}

/// A descriptor about which there is something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Which.
    pub token: Token,
    /// It can be read (or a read will tell an error or the end).
    pub readable: bool,
    /// It can be written (or a write will tell an error).
    pub writable: bool,
}

/// What a wait returned.
pub type ReadyList = Vec<Ready, MAX_READY>;

#[derive(Clone, Copy)]
struct Entry {
    fd: RawFd,
    token: Token,
    once: bool,
}

/// The descriptors that are waited for. Every method takes `&self`, so that tasks can share it.
pub struct Reactor {
    epoll: OwnedFd,
    precise: bool,
    table: RefCell<Table<Entry, MAX_FDS>>,
}

impl Reactor {
    /// An empty one; finds out whether the kernel has epoll_pwait2.
    pub fn new() -> io::Result<Reactor> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let precise = precise::probe(epoll.as_fd());
        Ok(Reactor { epoll, precise, table: RefCell::new(Table::roomy()) })
    }

    /// Whether deadlines are kept to the microsecond rather than to the millisecond.
    pub fn is_precise(&self) -> bool {
        self.precise
    }

    /// Registers a descriptor for level-triggered events. The caller keeps it open until it
    /// calls [`remove`](Self::remove). Fails if the table is full or the token is taken.
    pub fn add(&self, fd: BorrowedFd<'_>, token: Token, interest: Interest) -> io::Result<()> {
        self.insert(fd, token, interest, false)
    }

    /// Registers a descriptor that only tasks wait for, through
    /// [`Tasks::readable`](super::tasks::Tasks::readable) and `writable`.
    pub fn add_for_task(&self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        self.insert(fd, token, Interest::NONE, true)
    }

    fn insert(&self, fd: BorrowedFd<'_>, token: Token, interest: Interest, once: bool) -> io::Result<()> {
        let mut table = self.table.borrow_mut();
        if table.iter().any(|e| e.token == token) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        table.push(Entry { fd: fd.as_raw_fd(), token, once }).map_err(|_| io::ErrorKind::StorageFull)?;
        let added = epoll::add(&self.epoll, fd, data(token), interest.flags(once));
        if added.is_err() {
            table.pop();
        }
        Ok(added?)
    }

    /// Changes what is told about a descriptor.
    pub fn modify(&self, fd: BorrowedFd<'_>, token: Token, interest: Interest) -> io::Result<()> {
        let table = self.table.borrow();
        let raw = fd.as_raw_fd();
        let entry = table.iter().find(|e| e.fd == raw && e.token == token).ok_or(io::ErrorKind::NotFound)?;
        Ok(epoll::modify(&self.epoll, fd, data(token), interest.flags(entry.once))?)
    }

    /// Arms the descriptor of a task for its next event.
    pub(super) fn arm(&self, token: Token, interest: Interest) -> io::Result<()> {
        let table = self.table.borrow();
        let entry = table.iter().find(|e| e.token == token && e.once).ok_or(io::ErrorKind::NotFound)?;
        // SAFETY: whoever registers a descriptor keeps it open until `remove`, which deletes the entry.
        let fd = unsafe { BorrowedFd::borrow_raw(entry.fd) };
        Ok(epoll::modify(&self.epoll, fd, data(token), interest.flags(true))?)
    }

    /// Forgets a descriptor, before it is closed. Unknown ones are no error. What the last wait
    /// returned may still name its token: tokens are best not used again within one round.
    pub fn remove(&self, fd: BorrowedFd<'_>, token: Token) {
        let mut table = self.table.borrow_mut();
        if let Some(at) = table.iter().position(|e| e.fd == fd.as_raw_fd() && e.token == token) {
            table.swap_remove(at);
            // Nothing to do about an error: closing the descriptor removes it from the set too.
            let _ = epoll::delete(&self.epoll, fd);
        }
    }

    /// Like [`wait`](Self::wait), for a deadline that must not be missed by much. The kernel lets epoll
    /// oversleep by a thousandth of the time, 3.6 ms for an Active_Down_Interval of 3.6 s. So a long
    /// wait ends a little before its deadline, with nothing ready, and the caller's next one is short.
    pub fn wait_sharply(&self, now: Instant, deadline: Instant, ready: &mut ReadyList) -> io::Result<()> {
        self.wait_from(now, Some(now + shortened(deadline.since(now))), ready)
    }

    /// Waits until something is ready or `deadline` has come, whichever is first; without a
    /// deadline, for ever; with one that has passed, not at all. A signal may end it early.
    pub fn wait(&self, deadline: Option<Instant>, ready: &mut ReadyList) -> io::Result<()> {
        self.wait_from(clock::now(), deadline, ready)
    }

    /// The same for who has just read the clock.
    pub fn wait_from(&self, now: Instant, deadline: Option<Instant>, ready: &mut ReadyList) -> io::Result<()> {
        ready.clear();
        let left = deadline.map(|d| d.since(now).0);
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MAX_READY];
        let n = if self.precise {
            precise::wait(self.epoll.as_fd(), &mut events, left)
        } else {
            let ms = left.map_or(-1, |us| us.div_ceil(1000).min(i32::MAX as u64) as i32);
            // SAFETY: the pointer and length are those of `events`, which outlives the call.
            unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), MAX_READY as i32, ms) }
        };
        if n < 0 {
            let e = io::Error::last_os_error();
            return if e.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(e) };
        }
        for event in events.iter().take(n as usize) {
            // Copied out: the struct is packed on some machines.
            let (bits, token) = (event.events, event.u64);
            let trouble = bits & (libc::EPOLLERR | libc::EPOLLHUP) as u32 != 0;
            let r = Ready {
                token: Token(token as u32),
                readable: trouble || bits & libc::EPOLLIN as u32 != 0,
                writable: trouble || bits & libc::EPOLLOUT as u32 != 0,
            };
            // There are as many places as events were asked for.
            let _ = ready.push(r);
        }
        Ok(())
    }
}

/// How much of a wait may be waited for in one piece if its end is not to be missed.
fn shortened(wait: Micros) -> Micros {
    if wait > SHARP { Micros(wait.0 - wait.0 / 256) } else { wait }
}

fn data(token: Token) -> epoll::EventData {
    epoll::EventData::new_u64(token.0 as u64)
}

/// epoll_pwait2, where the C library's wrapper may be missing and the kernel may not know it.
#[cfg(not(any(target_arch = "mips", target_arch = "mips32r6")))]
mod precise {
    use std::os::fd::{AsRawFd, BorrowedFd};

    /// `struct __kernel_timespec`: 64 bits in both fields on every machine.
    #[repr(C)]
    struct KernelTimespec {
        tv_sec: i64,
        tv_nsec: i64,
    }

    pub(super) fn probe(epoll: BorrowedFd<'_>) -> bool {
        // ENOSYS on old kernels; EPERM in some containers. Either way the other call serves.
        wait(epoll, &mut [libc::epoll_event { events: 0, u64: 0 }], Some(0)) >= 0
    }

    pub(super) fn wait(epoll: BorrowedFd<'_>, events: &mut [libc::epoll_event], micros: Option<u64>) -> i32 {
        let timeout = micros
            .map(|us| KernelTimespec { tv_sec: (us / 1_000_000) as i64, tv_nsec: (us % 1_000_000 * 1000) as i64 });
        let at: *const KernelTimespec = timeout.as_ref().map_or(std::ptr::null(), |t| t);
        let no_mask: *const libc::sigset_t = std::ptr::null();
        // SAFETY: `events` and `timeout` outlive the call; the length is that of `events`; without a
        // signal mask its size is not looked at. The arguments are as wide as the system call's.
        let n = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                epoll.as_raw_fd(),
                events.as_mut_ptr(),
                events.len() as libc::c_int,
                at,
                no_mask,
                0usize,
            )
        };
        n as i32
    }
}

/// On MIPS epoll_pwait2 is left alone.
#[cfg(any(target_arch = "mips", target_arch = "mips32r6"))]
mod precise {
    use std::os::fd::BorrowedFd;

    pub(super) fn probe(_: BorrowedFd<'_>) -> bool {
        false
    }

    pub(super) fn wait(_: BorrowedFd<'_>, _: &mut [libc::epoll_event], _: Option<u64>) -> i32 {
        -1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    const T: Token = Token(7);

    /// Both ways to wait: as this kernel can, and as an old one or MIPS must.
    fn reactors() -> [Reactor; 2] {
        let mut coarse = Reactor::new().unwrap();
        coarse.precise = false;
        [Reactor::new().unwrap(), coarse]
    }

    /// Never early; late by no more than a busy machine explains. A past deadline does not wait.
    #[test]
    fn deadlines() {
        let mut ready = ReadyList::new();
        for r in reactors() {
            for us in [0, 1, 300, 1_500, 3_300, 20_000] {
                let begin = clock::now();
                let deadline = begin + Micros(us);
                r.wait(Some(deadline), &mut ready).unwrap();
                let end = clock::now();
                assert!(end >= deadline, "{} us early", deadline.since(end).0);
                assert!(end.since(deadline) < Micros::from_millis(200), "{} us late", end.since(deadline).0);
                assert!(ready.is_empty());
            }
            r.wait(Some(Instant(0)), &mut ready).unwrap();
        }
    }

    /// A long wait is cut by more than the kernel's slack, and what is left then is waited for whole.
    #[test]
    fn sharp_deadlines() {
        let wait = Micros::from_millis(3_600);
        let left = wait.0 - shortened(wait).0;
        assert!(left > wait.0 / 1000 && left < SHARP.0, "{left} us");
        assert_eq!(shortened(Micros(left)), Micros(left));
        for r in reactors() {
            let deadline = clock::now() + Micros::from_millis(50);
            let mut ready = ReadyList::new();
            while clock::now() < deadline {
                r.wait_sharply(clock::now(), deadline, &mut ready).unwrap();
                assert!(ready.is_empty());
            }
        }
    }

    /// Level-triggered: told until it is read; not when it is not asked for; not after removal.
    #[test]
    fn readiness() {
        let mut ready = ReadyList::new();
        for r in reactors() {
            let (mut near, far) = UnixStream::pair().unwrap();
            r.add(far.as_fd(), T, Interest::READ).unwrap();
            let mut now = || {
                r.wait(Some(Instant(0)), &mut ready).unwrap();
                ready.clone()
            };
            assert!(now().is_empty());
            near.write_all(b"x").unwrap();
            let told = Ready { token: T, readable: true, writable: false };
            assert_eq!(now(), [told]);
            assert_eq!(now(), [told]);
            r.modify(far.as_fd(), T, Interest::WRITE).unwrap();
            assert_eq!(now(), [Ready { token: T, readable: false, writable: true }]);
            r.modify(far.as_fd(), T, Interest::NONE).unwrap();
            assert!(now().is_empty());
            drop(near);
            assert_eq!(now(), [Ready { token: T, readable: true, writable: true }], "a hang-up");
            r.remove(far.as_fd(), T);
            r.remove(far.as_fd(), T);
            assert!(now().is_empty());
        }
    }

    #[test]
    fn table() {
        let r = Reactor::new().unwrap();
        let (a, b) = UnixStream::pair().unwrap();
        r.add(a.as_fd(), T, Interest::READ).unwrap();
        assert!(r.add(b.as_fd(), T, Interest::READ).is_err(), "the token is taken");
        assert!(r.add(a.as_fd(), Token(8), Interest::READ).is_err(), "the descriptor is there");
        assert!(r.modify(b.as_fd(), T, Interest::READ).is_err());
        assert!(r.arm(T, Interest::READ).is_err(), "not a task's");
        let mut more = std::vec::Vec::new();
        for n in 1..MAX_FDS {
            let fd = a.try_clone().unwrap();
            r.add(fd.as_fd(), Token(100 + n as u32), Interest::READ).unwrap();
            more.push(fd);
        }
        assert_eq!(r.add(b.as_fd(), Token(9), Interest::READ).unwrap_err().kind(), io::ErrorKind::StorageFull);
        r.remove(a.as_fd(), T);
        r.add(b.as_fd(), Token(9), Interest::READ).unwrap();
    }

    /// More descriptors are ready than one wait can tell: the next tells of the rest.
    #[test]
    fn all_get_their_turn() {
        let r = Reactor::new().unwrap();
        let pairs: std::vec::Vec<_> = (0..MAX_READY + 10).map(|_| UnixStream::pair().unwrap()).collect();
        for (n, (near, far)) in pairs.iter().enumerate() {
            (&*near).write_all(b"x").unwrap();
            r.add(far.as_fd(), Token(n as u32), Interest::READ).unwrap();
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut ready = ReadyList::new();
        for _ in 0..3 {
            r.wait(None, &mut ready).unwrap();
            seen.extend(ready.iter().map(|r| r.token));
        }
        assert_eq!(seen.len(), pairs.len());
    }
}
