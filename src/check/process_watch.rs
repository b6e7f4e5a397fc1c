//! When processes may have come, gone, or taken another name.
//!
//! [`ProcessWatch`] tells when [`process`](super::process) is to look again, through the kernel's
//! process connector. A fork without an exec behind it is not told, and the kernel may have no
//! connector to offer: look at the check's interval too. The connector costs the kernel a little for
//! every fork of the machine, and a busy machine has us look [four times a second](GAP).

use std::io;

use crate::sys::clock;
use crate::sys::context::{Context, Watched};
pub use crate::sys::proc_events::why_not;
use crate::sys::proc_events::{ProcEvents, Reading};
use crate::vrrp::timing::{Instant, Micros};

/// From an event until it is told: the kernel tells of an end a moment before /proc shows it.
const SETTLE: Micros = Micros::from_millis(20);
/// At least so long from one telling to the next.
pub const GAP: Micros = Micros::from_millis(250);
/// Messages that are read at a time: more than the queue holds, so that it is empty after a loss.
const BATCH: usize = 256;

/// Tells when processes may have changed.
pub struct ProcessWatch<'c> {
    context: &'c Context,
    events: Watched<'c, ProcEvents>,
    /// A change is to be told then. It stays if a wait is given up.
    due: Option<Instant>,
    /// When the last one was told.
    told: Option<Instant>,
}

impl<'c> ProcessWatch<'c> {
    /// From now on every change is told. Open it first, and look then. Does not wait.
    ///
    /// Where there is no connector for us this is an error, which [`why_not`] has words for: poll then.
    pub fn new(context: &'c Context) -> io::Result<ProcessWatch<'c>> {
        Ok(ProcessWatch { context, events: context.watch(ProcEvents::open()?)?, due: None, told: None })
    }

    /// Waits until a process has begun a program, ended, or taken another name. What happens in
    /// quick succession is told as one.
    pub async fn next_change(&mut self) -> io::Result<()> {
        let due = loop {
            if let Some(due) = self.due {
                break due;
            }
            self.events.readable().await?;
            if self.read()? {
                let settled = clock::now() + SETTLE;
                self.due = Some(self.told.map_or(settled, |told| settled.max(told + GAP)));
            }
        };
        self.context.sleep_until(due).await?;
        self.due = None;
        self.told = Some(clock::now());
        Ok(())
    }

    /// Reads what is there, and returns whether it tells of a change. What comes later, while we
    /// sleep, is not read before the next wait: each event is told a full [`SETTLE`] behind it.
    fn read(&self) -> io::Result<bool> {
        let mut changed = false;
        for _ in 0..BATCH {
            match self.events.get().read()? {
                Reading::Event(..) | Reading::Lost => changed = true,
                Reading::Other => {}
                Reading::Empty => break,
            }
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::process::{Matcher, count};
    use super::super::testing::run;
    use super::*;
    use crate::sys::proc_events::tests::there;
    use crate::sys::testnet::in_namespace;
    use std::process::Command;

    /// Looks whenever it is told, until as many run. No interval helps.
    async fn until(c: &Context, watch: &mut ProcessWatch<'_>, name: &str, wanted: u32) {
        let matcher = Matcher { name, full_command: false, params: None, min: 1, max: None };
        let deadline = clock::now() + Micros::from_secs(5);
        let mut counts = [u32::MAX];
        while counts != [wanted] {
            c.by(deadline, watch.next_change()).await.unwrap();
            count(&[matcher], &mut counts).await.unwrap();
        }
    }

    #[test]
    fn come_rename_and_go() {
        if !there() {
            return;
        }
        let pid = std::process::id();
        let (first, second) = (format!("pv-a-{pid}"), format!("pv-b-{pid}"));
        run(async |c| {
            let mut watch = ProcessWatch::new(c).unwrap();
            let script = format!("printf {first} > /proc/$$/comm; read x; printf {second} > /proc/$$/comm; read x");
            let mut child =
                Command::new("sh").args(["-c", &script]).stdin(std::process::Stdio::piped()).spawn().unwrap();
            until(c, &mut watch, &first, 1).await;
            std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"\n").unwrap();
            until(c, &mut watch, &second, 1).await;
            // It stays as a zombie until the end: that is none.
            child.kill().unwrap();
            until(c, &mut watch, &second, 0).await;
            child.wait().unwrap();
        });
    }

    /// A wait that is given up loses nothing, and two tellings keep their distance.
    #[test]
    fn given_up_and_gap() {
        if !there() {
            return;
        }
        run(async |c| {
            let mut watch = ProcessWatch::new(c).unwrap();
            Command::new("true").status().unwrap();
            // What can be read is read before the time is up; it is not settled by then.
            let early = c.by(clock::now(), watch.next_change()).await;
            assert_eq!(early.unwrap_err().kind(), io::ErrorKind::TimedOut);
            let due = watch.due.unwrap();
            c.by(clock::now() + Micros::from_secs(2), watch.next_change()).await.unwrap();
            let told = watch.told.unwrap();
            assert!(told >= due);
            for _ in 0..8 {
                Command::new("true").status().unwrap();
            }
            c.by(clock::now() + Micros::from_secs(2), watch.next_change()).await.unwrap();
            assert!(watch.told.unwrap() >= told + GAP);
        });
    }

    /// The descriptor's place in the table is free again, and the caller has words.
    #[test]
    fn not_in_another_namespace() {
        in_namespace(|| {
            run(async |c| {
                let begin = clock::now();
                for _ in 0..=crate::sys::context::MAX_WATCHED {
                    let e = ProcessWatch::new(c).map(|_| ()).unwrap_err();
                    assert!(why_not(&e).contains("namespace") || why_not(&e).contains("CONFIG_CONNECTOR"), "{e}");
                }
                assert!(clock::now() < begin + Micros::from_secs(1));
            });
        });
    }
}
