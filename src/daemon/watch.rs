//! Clients that watch: each has a queue of frames, and one that does not read them is dropped.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::Core;
use crate::control::{self, Happening, Kind, MAX_FRAME, MAX_LINE, Reply};
use crate::sys::clock;
use crate::sys::syslog::Verdict;
use crate::text::{self, Text, Written};

/// Clients that may watch at once; the others are for short questions.
pub(super) const MAX_WATCHERS: usize = 2;
/// Bytes that may wait for one client.
const QUEUE: usize = 16 * 1024;

/// A client's queue.
#[derive(Default)]
pub(super) struct Watcher {
    waiting: RefCell<Vec<u8>>,
    /// It did not read, and there was no more room.
    slow: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Watcher {
    fn push(&self, frame: &[u8]) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() + frame.len() > QUEUE {
            self.slow.set(true);
        } else {
            waiting.extend_from_slice(frame);
        }
        drop(waiting);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The next frames, put in the place of those in `last`; an error if some were lost.
    pub(super) async fn next(&self, last: &mut Vec<u8>) -> io::Result<()> {
        last.clear();
        poll_fn(|cx| {
            if self.slow.get() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            let mut waiting = self.waiting.borrow_mut();
            if waiting.is_empty() {
                self.waker.set(Some(cx.waker().clone()));
                return Poll::Pending;
            }
            core::mem::swap(&mut *waiting, last);
            Poll::Ready(Ok(()))
        })
        .await
    }
}

/// Everybody who watches.
pub(super) type Watchers = heapless::Vec<Rc<Watcher>, MAX_WATCHERS>;

/// What a line is about.
pub(super) struct About<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
}

impl<'a> About<'a> {
    pub(super) fn plain(kind: Kind, name: &'a str) -> About<'a> {
        About { kind, name, from: "", to: "" }
    }

    pub(super) fn with(&self, text: &'a str) -> Happening<'a> {
        let About { kind, name, from, to } = *self;
        Happening { at: clock::wall(), kind, name, from, to, text }
    }
}

/// A line for the log and for who watches, unless the limiter says no.
pub(super) fn tell(
    watchers: &[Rc<Watcher>],
    about: &About<'_>,
    (verdict, level): (Verdict, log::Level),
    line: &mut dyn FnMut(&mut Text<'_>) -> Written,
) {
    let text = match verdict {
        Verdict::Log => text::cut_to::<MAX_LINE>(line),
        Verdict::LogWithSuppressed(n) => text::cut_to(&mut |to| {
            line(to)?;
            ufmt::uwrite!(to, " ({} more like it)", n)
        }),
        Verdict::Drop => return,
    };
    log::log!(level, "{}", text.as_str());
    if !watchers.is_empty() {
        let mut buffer = [0; MAX_FRAME];
        if let Some(frame) = control::encode(&mut buffer, &Reply::Happened(about.with(&text))) {
            watchers.iter().for_each(|w| w.push(frame));
        }
    }
}

impl Core {
    /// A line about nothing in particular.
    pub(super) fn notice(&self, level: log::Level, line: &mut dyn FnMut(&mut Text<'_>) -> Written) {
        tell(&self.watchers, &About::plain(Kind::Notice, ""), (Verdict::Log, level), line);
    }

    /// One more who watches; `None` if there are too many.
    pub(super) fn watch(&mut self) -> Option<Rc<Watcher>> {
        let watcher = Rc::<Watcher>::default();
        self.watchers.push(watcher.clone()).ok()?;
        Some(watcher)
    }

    pub(super) fn unwatch(&mut self, watcher: &Rc<Watcher>) {
        self.watchers.retain(|w| !Rc::ptr_eq(w, watcher));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll<T>(work: impl Future<Output = T>) -> Poll<T> {
        let mut work = std::pin::pin!(work);
        work.as_mut().poll(&mut std::task::Context::from_waker(Waker::noop()))
    }

    /// What is pushed is handed on in order; who does not read loses all, and nobody else anything.
    #[test]
    fn queues() {
        let all: [Rc<Watcher>; 2] = Default::default();
        let (slow, quick) = (&all[0], &all[1]);
        let mut frames = Vec::new();
        assert!(poll(quick.next(&mut frames)).is_pending());
        let about = About { kind: Kind::State, name: "lan", from: "BACKUP", to: "MASTER" };
        let weight = (Verdict::Log, log::Level::Debug);
        let mut read = 0;
        for n in 0..1_000 {
            tell(&all, &about, weight, &mut |t| ufmt::uwrite!(t, "line {}", n));
            assert!(matches!(poll(quick.next(&mut frames)), Poll::Ready(Ok(()))));
            let Ok(Reply::Happened(h)) = control::decode(&frames) else { panic!("{frames:?}") };
            assert_eq!((h.text, h.to), (format!("line {n}").as_str(), "MASTER"));
            read += 1;
        }
        assert_eq!(read, 1_000);
        assert!(matches!(poll(slow.next(&mut frames)), Poll::Ready(Err(_))));
        assert!(slow.waiting.borrow().len() <= QUEUE);
        tell(&all, &about, (Verdict::Drop, log::Level::Debug), &mut |t| ufmt::uwrite!(t, "no"));
        assert!(poll(quick.next(&mut frames)).is_pending());
    }
}
