//! The check that runs a script: status 0 is up; all else, and to take too long, is down.
//!
//! A script that is late counts as down at once and is killed behind that: TERM to its process group, KILL 2 s
//! later. Until it is reaped (a process in the kernel's uninterruptible sleep may take for ever) there is
//! no other run, and each that would have been is a failure. What a script leaves behind in its group is
//! killed when it ends, so that nothing holds its pipe or piles up.
//!
//! Of its error output the last line is kept. What is more is discarded, and a script that writes
//! without end is read slowly: it waits for us, not we for it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Poll, Waker};

use heapless::Deque;
use rustix::process::Signal;

use super::{Look, Outcome, Reason, Seen};
use crate::command::{Command, Kind, failed, reason, verdict};
use crate::config::model::MAX_CHECKS;
use crate::sys::clock;
use crate::sys::context::Context;
use crate::sys::process::{Child, Children};
use crate::vrrp::timing::{Instant, Micros};

/// From TERM to KILL.
pub const TERM_TO_KILL: Micros = Micros::from_secs(2);
/// From KILL until a process is taken to be stuck.
const KILL_TO_STUCK: Micros = Micros::from_secs(2);
/// What is read at one turn.
const TURN: usize = 512;
/// What is read without delay.
const UNDELAYED: usize = 16 * 1024;
/// The delay before each further turn: some 50 KB a second.
const DELAY: Micros = Micros::from_millis(10);

/// A script check: one run at a time.
pub struct Script<'a> {
    context: &'a Context,
    children: &'a Children,
    late: Option<Late<'a>>,
}

/// A run that was not over in time.
struct Late<'a> {
    child: Child<'a>,
    term: Instant,
    killed: bool,
}

impl<'a> Script<'a> {
    /// No run yet. Dropping it kills what runs.
    pub fn new(context: &'a Context, children: &'a Children) -> Script<'a> {
        Script { context, children, late: None }
    }

    /// Runs the command and waits for its end, or `timeout`. After a timeout, call
    /// [`settle`](Self::settle) before the next run.
    pub async fn run(&mut self, command: &Command<'_>, timeout: Micros) -> Outcome {
        let deadline = clock::now() + timeout;
        if self.is_late() {
            return Err(reason(&["the run before it has not ended, though it was killed"]));
        }
        let mut child = command.start(self.children, Kind::Check)?;
        let mut last = LastLine::default();
        let stderr = child.stderr.take();
        let ended = {
            let end = async { Ok(child.ended().await) };
            let read = async {
                // What cannot be read is not waited for: the script's end counts.
                if let Some(pipe) = &stderr {
                    let _ = self.read(pipe, &mut last).await;
                }
                std::future::pending().await
            };
            self.context.by(deadline, smol::future::or(end, read)).await
        };
        match ended {
            Ok(ended) => {
                let rest = stderr.as_ref();
                match verdict(&child, ended) {
                    Err(why) if why.starts_with("exit status") => {
                        rest.inspect(|pipe| last.finish(pipe));
                        let line = last.get();
                        Err(if line.is_empty() { why } else { line })
                    }
                    other => other,
                }
            }
            Err(e) => {
                child.signal_group(Signal::TERM);
                self.late = Some(Late { child, term: clock::now(), killed: false });
                Err(match e.kind() {
                    io::ErrorKind::TimedOut => reason(&["timed out"]),
                    // There are as many sleeps as there can be tasks that need one.
                    _ => failed("cannot be waited for", &e),
                })
            }
        }
    }

    /// After a timeout: waits until the script has ended, kills it if need be, and returns without it
    /// if even that does not help. To be called before the next [`run`](Self::run); returns at once otherwise.
    pub async fn settle(&mut self) {
        if !self.is_late() {
            return;
        }
        let Some(late) = &mut self.late else { return };
        let context = self.context;
        if !late.killed && wait(context, &late.child, late.term + TERM_TO_KILL).await.is_err() {
            late.child.signal_group(Signal::KILL);
            late.killed = true;
        }
        if late.killed {
            // If it does not end now, it may later.
            let _ = wait(context, &late.child, clock::now() + KILL_TO_STUCK).await;
        }
        self.is_late();
    }

    /// Whether a run that timed out has still not ended.
    pub fn is_late(&mut self) -> bool {
        self.late.take_if(|late| late.child.has_ended().is_some());
        self.late.is_some()
    }

    async fn read(&self, pipe: &OwnedFd, last: &mut LastLine) -> io::Result<()> {
        let pipe = self.context.watch(pipe)?;
        let mut total = 0;
        loop {
            pipe.readable().await?;
            match last.read(pipe.get()) {
                Ok(0) => return Ok(()),
                Ok(n) => total += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
            if total > UNDELAYED {
                self.context.sleep(DELAY).await?;
            }
        }
    }
}

/// Permits to run: no more scripts than these at once. Who waits is served in order.
pub struct Permits {
    left: Cell<usize>,
    waiting: RefCell<Deque<Waker, MAX_CHECKS>>,
}

impl Permits {
    /// For `n` scripts.
    pub fn new(n: usize) -> Permits {
        Permits { left: Cell::new(n), waiting: RefCell::new(Deque::new()) }
    }

    async fn take(&self) -> Permit<'_> {
        poll_fn(|cx| {
            if self.left.get() > 0 {
                self.left.set(self.left.get() - 1);
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|w| w.will_wake(cx.waker())) {
                // There is a place for every check.
                let _ = waiting.push_back(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
        Permit(self)
    }
}

/// Gives the permit back when dropped.
struct Permit<'a>(&'a Permits);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.left.set(self.0.left.get() + 1);
        if let Some(next) = self.0.waiting.borrow_mut().pop_front() {
            next.wake();
        }
    }
}

/// A script as a check. It keeps its permit until the script has ended, or is taken to be stuck.
pub struct Run<'a> {
    script: Script<'a>,
    command: Command<'a>,
    permits: &'a Permits,
    permit: Option<Permit<'a>>,
}

impl<'a> Run<'a> {
    /// Runs `command` at each look.
    pub fn new(context: &'a Context, children: &'a Children, permits: &'a Permits, command: Command<'a>) -> Run<'a> {
        Run { script: Script::new(context, children), command, permits, permit: None }
    }
}

impl Look for Run<'_> {
    async fn ready(&mut self) {
        self.permit = Some(self.permits.take().await);
    }

    async fn look(&mut self, deadline: Instant) -> Seen {
        self.script.run(&self.command, deadline.since(clock::now())).await.into()
    }

    async fn settle(&mut self) {
        self.script.settle().await;
        self.permit = None;
    }
}

async fn wait(context: &Context, child: &Child<'_>, deadline: Instant) -> io::Result<()> {
    context.by(deadline, async { Ok(child.ended().await) }).await.map(|_| ())
}

/// The last line with something in it, as far as there is room.
#[derive(Default)]
struct LastLine {
    line: heapless::Vec<u8, 128>,
    ended: bool,
}

impl LastLine {
    fn read(&mut self, pipe: &OwnedFd) -> io::Result<usize> {
        let mut buffer = [0; TURN];
        let n = rustix::io::read(pipe, &mut buffer)?;
        self.push(&buffer[..n]);
        Ok(n)
    }

    /// What is still in the pipe, which holds a page, or 64 KiB where the kernel would have it so.
    fn finish(&mut self, pipe: &OwnedFd) {
        for _ in 0..64 * 1024 / TURN {
            if !matches!(self.read(pipe), Ok(1..)) {
                break;
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' || *byte == b'\r' {
                self.ended = true;
            } else if !self.ended || !byte.is_ascii_whitespace() {
                if core::mem::take(&mut self.ended) {
                    self.line.clear();
                }
                // What is too long is cut off.
                let _ = self.line.push(*byte);
            }
        }
    }

    /// As text: what is none, and what a terminal would obey, is replaced.
    fn get(&self) -> Reason {
        let mut text = Reason::new();
        for chunk in self.line.utf8_chunks() {
            for c in chunk.valid().chars() {
                let _ = text.push(if c.is_control() { ' ' } else { c });
            }
            if !chunk.invalid().is_empty() {
                let _ = text.push('?');
            }
        }
        reason(&[text.trim()])
    }
}

#[cfg(test)]
mod tests;
