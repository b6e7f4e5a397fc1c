//! What a running daemon takes, as the kernel counts it: memory, time, wake-ups, system calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::program::Daemon;
use super::support::process::{Process, Signal};
use super::support::{Node, SOON, ms, observe, wait_until};

/// The kernel's unit in /proc/PID/stat: USER_HZ, a hundred on all that Rust has a standard library for.
const TICK: Duration = ms(10);

impl Daemon {
    /// Its process and all below it.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.process.pid()];
        let mut at = 0;
        while let Some(pid) = pids.get(at) {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            pids.extend(children.split_whitespace().filter_map(|c| c.parse::<u32>().ok()));
            at += 1;
        }
        pids
    }

    /// Threads of all its processes.
    pub(crate) fn threads(&self) -> usize {
        self.pids().iter().map(|pid| tasks(*pid).count()).sum()
    }

    /// Sums over all its processes.
    pub(crate) fn memory(&self) -> Memory {
        let mut sum = Memory::default();
        for pid in self.pids() {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let kib = |key: &str| -> f64 {
                let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'));
                line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
            };
            sum.rss += kib("Rss");
            sum.pss += kib("Pss");
            sum.private += kib("Private_Clean") + kib("Private_Dirty");
        }
        assert!(sum.rss > 0.0, "the kernel tells no memory of {:?}", self.program);
        sum
    }

    /// Processor time so far, by the scheduler's nanoseconds.
    pub(crate) fn time(&self) -> Duration {
        let mut sum = Duration::ZERO;
        for pid in self.pids() {
            for task in tasks(pid) {
                let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
                sum += Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0));
            }
        }
        sum
    }

    /// Processor time of the scripts that it has waited for, in the kernel's ticks.
    pub(crate) fn children_time(&self) -> Duration {
        let mut ticks = 0;
        for pid in self.pids() {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields: Vec<_> = stat.rsplit_once(')').unwrap_or_default().1.split_whitespace().collect();
            // cutime and cstime, of proc(5)'s 16th and 17th field.
            ticks += fields.iter().skip(13).take(2).filter_map(|f| f.parse::<u32>().ok()).sum::<u32>();
        }
        TICK * ticks
    }

    /// How often its threads have gone to sleep of their own accord: once for each wake-up.
    pub(crate) fn wake_ups(&self) -> u64 {
        let mut sum = 0;
        for task in self.pids().into_iter().flat_map(tasks) {
            let text = fs::read_to_string(task.join("status")).unwrap_or_default();
            let line = text.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
            sum += line.and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0);
        }
        sum
    }
}

fn tasks(pid: u32) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// KiB of all processes together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) rss: f64,
    pub(crate) pss: f64,
    pub(crate) private: f64,
}

/// Bytes of a program and of every library that it loads.
pub(crate) fn flash(binary: &Path) -> (u64, BTreeSet<PathBuf>) {
    let output = Command::new("ldd").arg(binary).output().expect("ldd is part of libc");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.split_whitespace().filter(|w| w.starts_with('/'));
    let libraries: BTreeSet<_> = words.filter_map(|w| fs::canonicalize(w).ok()).collect();
    let size = |p: &Path| fs::metadata(p).map(|m| m.len()).unwrap_or(0);
    (libraries.iter().map(|l| size(l)).sum::<u64>() + size(binary), libraries)
}

/// System calls by name, of several daemons in the same window.
pub(crate) struct Calls {
    /// For each daemon.
    pub(crate) counts: Vec<BTreeMap<String, u64>>,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

/// Counts what the daemons call while `window` goes by. strace slows them down and wakes them as it
/// attaches: what it sees in its first moments does not count, and it is the number that is used, never a time.
pub(crate) fn calls(node: &Node, daemons: &[&Daemon], window: Duration) -> Calls {
    let log = node.lab().dir().join("strace.log");
    let pids: Vec<Vec<u32>> = daemons.iter().map(|d| d.pids()).collect();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-ttt", "-e", "signal=none", "-o"]).arg(&log);
    pids.iter().flatten().for_each(|pid| {
        command.arg("-p").arg(pid.to_string());
    });
    let mut strace = Process::start("strace", command, node.lab().dir().join("strace.err"), node.ns());
    let traced = |pid: &u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        text.lines().any(|l| l.strip_prefix("TracerPid:").is_some_and(|n| n.trim() != "0"))
    };
    wait_until("strace has attached", SOON, || {
        assert!(strace.running(), "strace does not run: {}", strace.log());
        pids.iter().flatten().all(traced)
    });
    observe(ms(100));
    let (from, wall) = (Instant::now(), wall_clock());
    observe(window);
    let (to, end) = (Instant::now(), wall_clock());
    strace.signal(Signal::INT);
    strace.wait_exit(SOON);
    let mut counts = vec![BTreeMap::new(); daemons.len()];
    for line in fs::read_to_string(&log).unwrap_or_default().lines() {
        let mut words = line.split_whitespace();
        let (pid, at, call) = (words.next(), words.next(), words.next().unwrap_or_default());
        let (Some(pid), Some(at)) = (pid.and_then(|p| p.parse::<u32>().ok()), at.and_then(|t| t.parse::<f64>().ok()))
        else {
            continue;
        };
        // `<... resumed>` is the end of one that was counted.
        let Some((name, _)) = call.split_once('(') else { continue };
        if let Some(whose) = pids.iter().position(|p| p.contains(&pid)).filter(|_| at >= wall && at < end) {
            *counts[whose].entry(name.to_string()).or_insert(0) += 1;
        }
    }
    Calls { counts, from, to }
}

/// Seconds since 1970.
pub(crate) fn wall_clock() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Whether perf counts instructions here; in many virtual machines it does not.
pub(crate) fn counts_instructions() -> bool {
    let output = Command::new("perf").args(["stat", "-x,", "-e", "instructions", "true"]).output();
    output.is_ok_and(|o| o.status.success() && instructions_in(&String::from_utf8_lossy(&o.stderr)).is_some())
}

fn instructions_in(text: &str) -> Option<f64> {
    text.lines().find(|l| l.contains("instructions"))?.split(',').next()?.parse().ok()
}

/// Instructions of these processes, their own and the kernel's for them, while `window` goes by.
pub(crate) fn instructions(pids: &[u32], window: Duration) -> Option<f64> {
    let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
    let seconds = window.as_secs_f64().to_string();
    let mut command = Command::new("perf");
    command.args(["stat", "-x,", "-e", "instructions", "-p", &pids.join(","), "--", "sleep", &seconds]);
    let output = command.output().ok()?;
    instructions_in(&String::from_utf8_lossy(&output.stderr))
}
