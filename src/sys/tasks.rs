//! What async tasks on a `smol::LocalExecutor` need of the reactor: readiness, sleep, and a waker.
//!
//! All tables are fixed. smol's own timers and descriptors are not used: they start a thread. The
//! loop that ties this to the [reactor](super::reactor) stands in that module's documentation.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::reactor::{Interest, Reactor, Ready, Token};
use crate::config::model::MAX_CHECKS;
use crate::vrrp::timing::Instant;

/// Waits for a descriptor that can be under way at once: one for each check, and those of clients.
pub const MAX_WAITS: usize = MAX_CHECKS + 16;
/// Sleeps that can be under way at once: two for each check, and those of clients and hooks.
pub const MAX_SLEEPS: usize = 2 * MAX_CHECKS + 32;

struct Wait {
    token: Token,
    interest: Interest,
    fired: bool,
    waker: Option<Waker>,
}

struct Sleep {
    deadline: Instant,
    fired: bool,
    waker: Option<Waker>,
}

/// The tables of what tasks wait for.
pub struct Tasks {
    waits: RefCell<[Option<Wait>; MAX_WAITS]>,
    sleeps: RefCell<[Option<Sleep>; MAX_SLEEPS]>,
    /// No sleep stands here or behind: most of the table is never looked at.
    end: Cell<usize>,
}

impl Default for Tasks {
    fn default() -> Tasks {
        Tasks::new()
    }
}

impl Tasks {
    /// Empty tables.
    pub const fn new() -> Tasks {
        let waits = RefCell::new([const { None }; MAX_WAITS]);
        Tasks { waits, sleeps: RefCell::new([const { None }; MAX_SLEEPS]), end: Cell::new(0) }
    }

    /// Waits until the descriptor that [`Reactor::add_for_task`] knows as `token` can be read.
    pub fn readable<'a>(&'a self, reactor: &'a Reactor, token: Token) -> WaitFor<'a> {
        WaitFor { tasks: self, reactor, token, interest: Interest::READ, slot: None }
    }

    /// Waits until it can be written.
    pub fn writable<'a>(&'a self, reactor: &'a Reactor, token: Token) -> WaitFor<'a> {
        WaitFor { tasks: self, reactor, token, interest: Interest::WRITE, slot: None }
    }

    /// Waits until `deadline`. An error (`StorageFull`) says that [`MAX_SLEEPS`] sleep already.
    pub fn sleep_until(&self, deadline: Instant) -> SleepUntil<'_> {
        SleepUntil { tasks: self, deadline, slot: None }
    }

    /// When the first sleeper is due: the reactor is to return by then.
    pub fn next_deadline(&self) -> Option<Instant> {
        let sleeps = self.sleeps.borrow();
        while self.end.get() > 0 && sleeps[self.end.get() - 1].is_none() {
            self.end.set(self.end.get() - 1);
        }
        sleeps[..self.end.get()].iter().flatten().filter(|s| !s.fired).map(|s| s.deadline).min()
    }

    /// Wakes the sleepers that are due at `now`.
    pub fn wake_due(&self, now: Instant) {
        for at in 0..self.end.get() {
            // The borrow ends before the waker runs: it may drop a task, and that its futures.
            let waker = match &mut self.sleeps.borrow_mut()[at] {
                Some(s) if !s.fired && s.deadline <= now => {
                    s.fired = true;
                    s.waker.take()
                }
                _ => None,
            };
            if let Some(w) = waker {
                w.wake();
            }
        }
    }

    /// Wakes who waits for what is ready; false if nobody does, so that the event is the caller's.
    pub fn wake_ready(&self, ready: &Ready) -> bool {
        let mut any = false;
        for at in 0..MAX_WAITS {
            let waker = match &mut self.waits.borrow_mut()[at] {
                Some(w)
                    if w.token == ready.token
                        && (w.interest.readable && ready.readable || w.interest.writable && ready.writable) =>
                {
                    any = true;
                    w.fired = true;
                    w.waker.take()
                }
                _ => None,
            };
            if let Some(w) = waker {
                w.wake();
            }
        }
        any
    }

    /// What all waiters for `token` that have not been woken wait for.
    fn interest_in(&self, token: Token) -> Interest {
        self.waits.borrow().iter().flatten().filter(|w| w.token == token && !w.fired).fold(Interest::NONE, |i, w| {
            Interest { readable: i.readable || w.interest.readable, writable: i.writable || w.interest.writable }
        })
    }
}

/// Puts `value` into the first free place and returns that.
fn place<T>(table: &mut [Option<T>], value: T) -> Option<usize> {
    let at = table.iter().position(Option::is_none)?;
    table[at] = Some(value);
    Some(at)
}

/// The future of [`Tasks::readable`] and [`Tasks::writable`]. Dropping it ends the wait.
#[must_use = "a future does nothing unless awaited"]
pub struct WaitFor<'a> {
    tasks: &'a Tasks,
    reactor: &'a Reactor,
    token: Token,
    interest: Interest,
    slot: Option<usize>,
}

impl Future for WaitFor<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(at) = self.slot {
            let mut waits = self.tasks.waits.borrow_mut();
            match &mut waits[at] {
                Some(w) if !w.fired => {
                    w.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                _ => {}
            }
            waits[at] = None;
            drop(waits);
            self.slot = None;
            // The event disarmed the descriptor for whoever else waits for it.
            let rest = self.tasks.interest_in(self.token);
            return Poll::Ready(if rest == Interest::NONE { Ok(()) } else { self.reactor.arm(self.token, rest) });
        }
        let wait = Wait { token: self.token, interest: self.interest, fired: false, waker: Some(cx.waker().clone()) };
        let placed = place(&mut self.tasks.waits.borrow_mut()[..], wait);
        let Some(at) = placed else {
            return Poll::Ready(Err(io::ErrorKind::StorageFull.into()));
        };
        self.slot = Some(at);
        match self.reactor.arm(self.token, self.tasks.interest_in(self.token)) {
            Ok(()) => Poll::Pending,
            Err(e) => Poll::Ready(Err(e)),
        }
    }
}

impl Drop for WaitFor<'_> {
    fn drop(&mut self) {
        if let Some(at) = self.slot {
            let fired = self.tasks.waits.borrow_mut()[at].take().is_some_and(|w| w.fired);
            let rest = self.tasks.interest_in(self.token);
            if fired && rest != Interest::NONE {
                // Best effort: if it fails, the descriptor is gone and so is its other waiter's hope.
                let _ = self.reactor.arm(self.token, rest);
            }
        }
    }
}

/// The future of [`Tasks::sleep_until`]. Dropping it ends the sleep.
#[must_use = "a future does nothing unless awaited"]
pub struct SleepUntil<'a> {
    tasks: &'a Tasks,
    deadline: Instant,
    slot: Option<usize>,
}

impl Future for SleepUntil<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tasks = self.tasks;
        let mut sleeps = tasks.sleeps.borrow_mut();
        match self.slot {
            Some(at) => match &mut sleeps[at] {
                Some(s) if !s.fired => {
                    s.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
                _ => {
                    sleeps[at] = None;
                    self.slot = None;
                    Poll::Ready(Ok(()))
                }
            },
            None => {
                let sleep = Sleep { deadline: self.deadline, fired: false, waker: Some(cx.waker().clone()) };
                self.slot = place(&mut sleeps[..], sleep);
                match self.slot {
                    Some(at) => {
                        tasks.end.set(tasks.end.get().max(at + 1));
                        Poll::Pending
                    }
                    None => Poll::Ready(Err(io::ErrorKind::StorageFull.into())),
                }
            }
        }
    }
}

impl Drop for SleepUntil<'_> {
    fn drop(&mut self) {
        if let Some(at) = self.slot {
            self.tasks.sleeps.borrow_mut()[at] = None;
        }
    }
}

/// A waker that raises a flag.
pub struct FlagWaker(AtomicBool);

impl Wake for FlagWaker {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Drives one future, usually `executor.run(main)`, from the daemon's loop.
pub struct Driver {
    flag: Arc<FlagWaker>,
    waker: Waker,
}

impl Default for Driver {
    fn default() -> Driver {
        Driver::new()
    }
}

impl Driver {
    /// Polls in one turn; more tasks than that wait for the next, so that adverts go between them.
    const POLLS: usize = 8;

    /// Awake, so that the first turn polls.
    pub fn new() -> Driver {
        let flag = Arc::new(FlagWaker(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        Driver { flag, waker }
    }

    /// Whether the future has something to do: then the reactor must not wait.
    pub fn is_awake(&self) -> bool {
        self.flag.0.load(Ordering::Relaxed)
    }

    /// Polls `main` while it is awake, a few times at most. Not to be called once it was ready.
    pub fn turn<F: Future>(&self, mut main: Pin<&mut F>) -> Poll<F::Output> {
        let mut cx = Context::from_waker(&self.waker);
        for _ in 0..Self::POLLS {
            if !self.flag.0.swap(false, Ordering::Relaxed) {
                break;
            }
            if let Poll::Ready(r) = main.as_mut().poll(&mut cx) {
                return Poll::Ready(r);
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
