//! What a task is given: a way to wait for descriptors and for time.
//!
//! One [`Context`] is shared by all tasks of the daemon. A descriptor is registered for as long as its
//! [`Watched`] lives; tokens are handed out from a fixed range.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use super::clock;
use super::reactor::{Reactor, Ready, Token};
use super::tasks::Tasks;
use crate::vrrp::timing::{Instant, Micros};

/// Tokens of descriptors that tasks wait for, from this one on.
pub const FIRST_TASK: u32 = 1000;
/// Descriptors that tasks can wait for at once.
pub const MAX_WATCHED: usize = super::tasks::MAX_WAITS;

/// The reactor and the tables of waits, for tasks.
pub struct Context {
    reactor: Rc<Reactor>,
    tasks: Tasks,
    taken: RefCell<[bool; MAX_WATCHED]>,
}

impl Context {
    /// For tasks that run on the thread of `reactor`.
    pub fn new(reactor: Rc<Reactor>) -> Context {
        Context { reactor, tasks: Tasks::new(), taken: RefCell::new([false; MAX_WATCHED]) }
    }

    /// When the first sleeper is due: the reactor is to return by then.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.tasks.next_deadline()
    }

    /// Wakes the sleepers that are due at `now`.
    pub fn wake_due(&self, now: Instant) {
        self.tasks.wake_due(now);
    }

    /// Wakes who waits for what is ready; false if nobody does.
    pub fn wake_ready(&self, ready: &Ready) -> bool {
        self.tasks.wake_ready(ready)
    }

    /// Registers a descriptor; an error (`StorageFull`) if [`MAX_WATCHED`] are.
    pub fn watch<F: AsFd>(&self, fd: F) -> io::Result<Watched<'_, F>> {
        let at = self.taken.borrow().iter().position(|t| !t).ok_or(io::ErrorKind::StorageFull)?;
        self.reactor.add_for_task(fd.as_fd(), Token(FIRST_TASK + at as u32))?;
        self.taken.borrow_mut()[at] = true;
        Ok(Watched { context: self, fd, at })
    }

    /// Waits until `moment`.
    pub async fn sleep_until(&self, moment: Instant) -> io::Result<()> {
        self.tasks.sleep_until(moment).await
    }

    /// Waits for `length`.
    pub async fn sleep(&self, length: Micros) -> io::Result<()> {
        self.tasks.sleep_until(clock::now() + length).await
    }

    /// `work`, or an error (`TimedOut`) at `deadline`. What is not done by then is dropped.
    pub async fn by<T>(&self, deadline: Instant, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let late = async {
            self.tasks.sleep_until(deadline).await?;
            Err(io::ErrorKind::TimedOut.into())
        };
        smol::future::or(work, late).await
    }
}

/// A descriptor that the reactor knows, until this is dropped.
pub struct Watched<'a, F: AsFd> {
    context: &'a Context,
    fd: F,
    at: usize,
}

impl<F: AsFd> Watched<'_, F> {
    /// What is watched.
    pub fn get(&self) -> &F {
        &self.fd
    }

    /// Waits until it can be read, or has failed.
    pub async fn readable(&self) -> io::Result<()> {
        self.context.tasks.readable(&self.context.reactor, self.token()).await
    }

    /// Waits until it can be written, or has failed.
    pub async fn writable(&self) -> io::Result<()> {
        self.context.tasks.writable(&self.context.reactor, self.token()).await
    }

    fn token(&self) -> Token {
        Token(FIRST_TASK + self.at as u32)
    }
}

impl<F: AsFd> AsFd for Watched<'_, F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<F: AsFd> Drop for Watched<'_, F> {
    fn drop(&mut self) {
        self.context.reactor.remove(self.fd.as_fd(), self.token());
        self.context.taken.borrow_mut()[self.at] = false;
    }
}
