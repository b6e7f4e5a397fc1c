//! A daemon in a namespace: started, signalled, awaited, and ended on drop.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use super::netns::Netns;
use super::{ms, socket};

/// A child process whose output goes to a file.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    gentle: bool,
    _ns: Arc<Netns>,
}

impl Process {
    /// Starts `command`, which runs in `ns`.
    pub(crate) fn start(name: &str, mut command: Command, log: PathBuf, ns: &Arc<Netns>) -> Self {
        let out = File::options().create(true).append(true).open(&log).expect("a log file in the lab's directory");
        let err = out.try_clone().expect("a second handle on the log file");
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        socket::die_with_parent(&mut command);
        let child = command.spawn().unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        Process { name: name.into(), child, log, gentle: false, _ns: Arc::clone(ns) }
    }

    /// On drop: TERM first and a while to end its own children (a daemon of several processes).
    pub(crate) fn gently(mut self) -> Self {
        self.gentle = true;
        self
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a child's pid is positive");
        kill_process(pid, signal).unwrap_or_else(|e| panic!("{} cannot be signalled: {e}", self.name));
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it still runs.
    pub(crate) fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for it to end by itself.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self, timeout: Duration) -> ExitStatus {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{} did not end within {timeout:?}; it said:\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(ms(5));
        }
    }

    /// All that it said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Lines of its log that contain `text`.
    pub(crate) fn log_lines(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("--- {} said last:\n{}", self.name, lines[lines.len().saturating_sub(25)..].join("\n"));
        }
        if self.gentle && self.running() {
            self.signal(Signal::CONT);
            self.signal(Signal::TERM);
            let deadline = Instant::now() + Duration::from_secs(3);
            while self.running() && Instant::now() < deadline {
                std::thread::sleep(ms(10));
            }
        }
        self.kill();
    }
}
