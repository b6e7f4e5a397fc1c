//! The children that run, and who waits for which.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Poll, Waker};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, kill_process, kill_process_group, waitid, waitpid,
};

use crate::config::model::{MAX_GROUPS, MAX_INSTANCES};

use super::spawn::{Spawned, failure, spawn};
use super::{Leftovers, Program};

/// Children that can run at once: the scripts of checks, a hook of every owner, and those that cannot be
/// killed.
pub const MAX_CHILDREN: usize = 32 + MAX_INSTANCES + MAX_GROUPS + 16;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

struct Slot {
    pid: Pid,
    leftovers: Leftovers,
    ended: Option<Ended>,
    waker: Option<Waker>,
    /// A [`Child`] refers to it; if not, it is free once the child is reaped.
    owned: bool,
    /// It cannot be killed: it is not waited for any more.
    stuck: bool,
}

/// The table of children that have been started and not been waited for.
pub struct Children {
    slots: RefCell<Box<[Option<Slot>]>>,
    /// Who waits until fewer run.
    crowd: RefCell<Option<Waker>>,
    /// Nobody else reaps what loses its parent.
    init: bool,
}

impl Default for Children {
    fn default() -> Children {
        Children::new()
    }
}

impl Children {
    /// None.
    pub fn new() -> Children {
        Children {
            slots: RefCell::new((0..MAX_CHILDREN).map(|_| None).collect()),
            crowd: RefCell::new(None),
            init: std::process::id() == 1,
        }
    }

    /// Starts a program; an error (`StorageFull`) if [`MAX_CHILDREN`] have not ended. That it
    /// started does not say that it could be executed: [`Child::not_started`].
    pub fn spawn(&self, program: &Program<'_>) -> io::Result<Child<'_>> {
        let mut slots = self.slots.borrow_mut();
        let at = slots.iter().position(Option::is_none).ok_or(io::ErrorKind::StorageFull)?;
        let Spawned { pid, stderr, report } = spawn(program)?;
        slots[at] =
            Some(Slot { pid, leftovers: program.leftovers, ended: None, waker: None, owned: true, stuck: false });
        Ok(Child { children: self, at, pid, stderr, report })
    }

    /// Reaps those that have ended and wakes who waits for them. To be called on SIGCHLD, of which
    /// several may come as one.
    pub fn reap(&self) {
        for at in 0..MAX_CHILDREN {
            let running = self.slots.borrow()[at].as_ref().filter(|s| s.ended.is_none()).map(|s| (s.pid, s.leftovers));
            let Some((pid, leftovers)) = running else { continue };
            if leftovers == Leftovers::Kill {
                if !has_ended(pid) {
                    // SIGCHLD comes again when it has.
                    continue;
                }
                // Its number stays its own until it is reaped, and so does its group's.
                let _ = kill_process_group(pid, Signal::KILL);
            }
            let ended = match waitpid(Some(pid), WaitOptions::NOHANG) {
                Ok(None) | Err(Errno::INTR) => continue,
                Ok(Some((_, status))) => ended(status),
                // Someone else reaped it; what it said is lost.
                Err(_) => Some(Ended::Exited(-1)),
            };
            if ended.is_none() {
                continue;
            }
            let mut slots = self.slots.borrow_mut();
            let Some(slot) = &mut slots[at] else { continue };
            slot.ended = ended;
            let waker = slot.waker.take();
            if !slot.owned {
                slots[at] = None;
            }
            // The borrow ends before the waker runs.
            drop(slots);
            if let Some(waker) = waker {
                waker.wake();
            }
            self.wake_crowd();
        }
        if self.init {
            while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
        }
    }

    fn wake_crowd(&self) {
        // The borrow ends before the waker runs.
        let waker = self.crowd.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether fewer than `limit` of those run whose leftovers are killed, the ones that cannot be killed
    /// not counted. If not, `waker` is woken when that may have changed; there is one waker.
    pub fn has_room(&self, limit: usize, waker: &Waker) -> bool {
        let counts = |s: &&Slot| s.ended.is_none() && s.leftovers == Leftovers::Kill && !s.stuck;
        let room = self.slots.borrow().iter().flatten().filter(counts).count() < limit;
        if !room {
            *self.crowd.borrow_mut() = Some(waker.clone());
        }
        room
    }

    /// Reaps one that the program before us in this process has started, when it ends.
    pub fn adopt(&self, pid: u32) {
        let mut slots = self.slots.borrow_mut();
        let (free, pid) = (slots.iter_mut().find(|s| s.is_none()), Pid::from_raw(pid as i32));
        if let (Some(slot), Some(pid)) = (free, pid) {
            let leftovers = Leftovers::Keep;
            *slot = Some(Slot { pid, leftovers, ended: None, waker: None, owned: false, stuck: false });
        }
    }

    /// Those that have been started and not been reaped.
    pub fn pids(&self) -> Vec<u32> {
        let slots = self.slots.borrow();
        let running = slots.iter().flatten().filter(|s| s.ended.is_none());
        running.map(|s| s.pid.as_raw_nonzero().get() as u32).collect()
    }

    /// How many have been started and not been reaped.
    pub fn running(&self) -> usize {
        self.slots.borrow().iter().flatten().filter(|s| s.ended.is_none()).count()
    }
}

/// Whether a child has ended, without reaping it.
fn has_ended(pid: Pid) -> bool {
    let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(pid), how), Ok(Some(_)))
}

fn ended(status: WaitStatus) -> Option<Ended> {
    let signal = || status.terminating_signal().map(Ended::Killed);
    status.exit_status().map(Ended::Exited).or_else(signal)
}

/// A child. When it is dropped, the child is killed with its group or left to itself, as
/// [`Leftovers`] says; the table reaps it in either case.
pub struct Child<'a> {
    children: &'a Children,
    at: usize,
    pid: Pid,
    /// What it writes to its error output, if that was to be captured; does not block.
    pub stderr: Option<OwnedFd>,
    report: OwnedFd,
}

impl Child<'_> {
    /// Its process id, which is its group's and its session's too.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get() as u32
    }

    /// How it ended, if it has been reaped.
    pub fn has_ended(&self) -> Option<Ended> {
        self.children.slots.borrow()[self.at].as_ref().and_then(|s| s.ended)
    }

    /// Waits until it has been reaped.
    pub async fn ended(&self) -> Ended {
        poll_fn(|cx| match &mut self.children.slots.borrow_mut()[self.at] {
            Some(Slot { ended: Some(ended), .. }) => Poll::Ready(*ended),
            Some(slot) => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            // The slot is ours for as long as we are.
            None => Poll::Ready(Ended::Exited(-1)),
        })
        .await
    }

    /// It was killed and goes on: it counts no more for [`Children::has_room`].
    pub fn give_up(&self) {
        if let Some(slot) = &mut self.children.slots.borrow_mut()[self.at] {
            slot.stuck = true;
        }
        self.children.wake_crowd();
    }

    /// Once it has ended: what kept the program from starting, and at which step.
    pub fn not_started(&self) -> Option<(&'static str, io::Error)> {
        failure(&self.report)
    }

    /// Signals its whole group; does nothing once it has been reaped.
    pub fn signal_group(&self, signal: Signal) {
        if self.has_ended().is_some() {
            return;
        }
        // It may not have come as far as to have a group. All else there is to fail is that nobody is left.
        if kill_process_group(self.pid, signal) == Err(Errno::SRCH) {
            let _ = kill_process(self.pid, signal);
        }
    }
}

impl Drop for Child<'_> {
    fn drop(&mut self) {
        let leftovers = {
            let mut slots = self.children.slots.borrow_mut();
            match &mut slots[self.at] {
                Some(slot) if slot.ended.is_none() => {
                    slot.owned = false;
                    slot.waker = None;
                    Some(slot.leftovers)
                }
                slot => {
                    *slot = None;
                    None
                }
            }
        };
        if leftovers == Some(Leftovers::Kill) {
            self.signal_group(Signal::KILL);
        }
    }
}
