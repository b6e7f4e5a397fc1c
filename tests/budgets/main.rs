//! What an advert, the process and the program may cost. All are counts and sizes, which no busy machine
//! changes; each has a budget, and whoever goes beyond it reads the figure and the budget.
//!
//! `cargo test --test budgets -- --nocapture` prints all figures. It needs root and strace, and measures the
//! release build with room for 255 instances.

#[path = "../support/mod.rs"]
mod support;

use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::process::{Process, Signal};
use support::roomy::roomy_build;
use support::{Lab, Node, Picovrrp, SOON, ms, observe, wait_until};

/// Compares a figure with its budget.
#[track_caller]
fn within(what: &str, figure: f64, budget: f64) {
    eprintln!("{what}: {figure:.3} of {budget}");
    assert!(figure <= budget, "{what}: {figure:.3}, and the budget is {budget}");
}

/// The same for a figure that the other work of the machine makes worse, and never better: the least of three counts.
#[track_caller]
fn within_once(what: &str, budget: f64, mut count: impl FnMut() -> f64) {
    let mut figure = count();
    for _ in 1..3 {
        if figure > budget {
            eprintln!("{what}: {figure:.3}, once more");
            figure = figure.min(count());
        }
    }
    within(what, figure, budget);
}

/// System calls of a daemon in whole steps, from one wait to another.
#[derive(Debug, Default)]
struct Calls {
    all: usize,
    sent: usize,
    received: usize,
}

impl Calls {
    fn per_sent(&self, least: usize) -> f64 {
        assert!(self.sent >= least, "{self:?}");
        self.all as f64 / self.sent as f64
    }

    fn per_received(&self, least: usize) -> f64 {
        assert!(self.received >= least, "{self:?}");
        self.all as f64 / self.received as f64
    }
}

/// Reads what strace wrote of one thread.
fn count(trace: &str) -> Calls {
    let is_wait = |line: &str| line.starts_with("epoll_");
    let lines: Vec<&str> = trace.lines().collect();
    // The first was cut short when strace came.
    let mut waits = (0..lines.len()).filter(|at| is_wait(lines[*at])).skip(1);
    let first = waits.next().expect("it waited");
    let last = waits.last().expect("it waited again");
    // Some seconds after a command memory is given back, once.
    let once = |line: &&&str| ["madvise(", "gettid(", "getpid("].iter().any(|call| line.starts_with(call));
    let once = lines[first..last].iter().filter(once).count();
    assert!(once <= 4, "{trace}");
    let mut calls = Calls { all: last - first - once, ..Calls::default() };
    for line in &lines[first..last] {
        let result = line.rsplit(" = ").next().and_then(|r| r.split(' ').next()).and_then(|r| r.parse::<i64>().ok());
        let many = result.unwrap_or(0).max(0) as usize;
        let one = result.is_some_and(|r| r >= 0) as usize;
        match line.split('(').next() {
            Some("sendmsg") => calls.sent += one,
            Some("sendmmsg") => calls.sent += many,
            Some("recvmsg") => calls.received += one,
            Some("recvmmsg" | "recvmmsg_time64") => calls.received += many,
            _ => {}
        }
    }
    calls
}

/// The system calls of a daemon over a while.
fn calls(daemon: &Picovrrp, node: &Node, window: Duration) -> Calls {
    let file = node.dir().join("trace");
    let _ = fs::remove_file(&file);
    let mut strace = Command::new("strace");
    strace.args(["-q", "-e", "signal=none", "-p", &daemon.process.pid().to_string(), "-o"]).arg(&file);
    let mut strace = Process::start("strace", strace, node.dir().join("strace.log"), node.ns());
    wait_until("strace sees a system call", SOON, || fs::metadata(&file).is_ok_and(|m| m.len() > 0));
    observe(window);
    strace.signal(Signal::INT);
    strace.wait_exit(SOON);
    count(&fs::read_to_string(&file).expect("what strace wrote"))
}

/// Wake-ups for each advert of `a`.
fn wake_ups(lab: &Lab, daemon: &Picovrrp, adverts: usize) -> f64 {
    let (before, start) = (daemon.wake_ups(), Instant::now());
    lab.wire().wait_many("adverts of a", adverts, start, Duration::from_secs(30), |s| s.is_claim_of("a"));
    let woke = daemon.wake_ups() - before;
    woke as f64 / lab.wire().count(start, |s| s.is_claim_of("a")) as f64
}

/// Kilobytes of a process that `/proc` tells: one line of a mapping's, or of the sum of all.
fn kilobytes(daemon: &Picovrrp, mapping: Option<&str>, line: &str) -> f64 {
    let file = if mapping.is_some() { "smaps" } else { "smaps_rollup" };
    let text = fs::read_to_string(format!("/proc/{}/{file}", daemon.process.pid())).expect("the daemon runs");
    let from = mapping.map_or(0, |name| text.find(name).expect("it has such a mapping"));
    let value = text[from..].lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
    value.and_then(|v| v.trim().strip_suffix(" kB")).and_then(|v| v.parse().ok()).expect("a size in kB")
}

/// After all that it does in an ordinary life: commands of all kinds, and a reload; and what stays when it has given
/// back what they needed.
fn memory(daemon: &Picovrrp, who: &str, private: f64, calm: f64) {
    for words in [&["status"][..], &["status", "--json"], &["status", "--prometheus"], &["reload"]] {
        let done = daemon.command(words);
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    within(&format!("kB of private memory, {who}"), kilobytes(daemon, None, "Anonymous"), private);
    let stack = || kilobytes(daemon, Some("[stack]"), "Rss");
    within(&format!("kB of stack, {who}"), stack(), STACK);
    wait_until("the stack is given back", Duration::from_secs(20), || stack() <= CALM_STACK);
    within(&format!("kB of private memory, {who}, calm"), kilobytes(daemon, None, "Anonymous"), calm);
}

/// kB of stack that were ever used, the environment in them.
const STACK: f64 = 430.0;
/// kB of it that stay when the daemon has been calm for some seconds, the frames that it stands in.
const CALM_STACK: f64 = 160.0;

fn config(instances: u8, advert: &str, priority: u8) -> String {
    let mut text = format!("defaults version 3 advert {advert} priority {priority}\n");
    for vrid in 1..=instances {
        writeln!(text, "instance i{vrid} on eth0 vrid {vrid}\n  garp delay 0 repeat 1").expect("a String takes all");
        writeln!(text, "  address {}/32", Ipv4Addr::new(198, 51, 100, vrid)).expect("a String takes all");
    }
    text
}

/// a Active and b Backup for so many instances, and nothing left to announce.
fn pair(binary: &Path, instances: u8, advert: &str) -> (Lab, Node, Node, Picovrrp, Picovrrp) {
    let (lab, long) = (Lab::new(), Duration::from_secs(30));
    let (a, b) = (lab.node("a", 1), lab.node("b", 2));
    let mut one = Picovrrp::start_binary(binary.into(), &a, &config(instances, advert, 200));
    one.wait_state("MASTER", long);
    let start = Instant::now();
    let mut two = Picovrrp::start_binary(binary.into(), &b, &config(instances, advert, 100));
    two.wait_state("BACKUP", long);
    lab.wire().wait_many("adverts of a", 3 * instances as usize, start, long, |s| s.is_claim_of("a"));
    (lab, a, b, one, two)
}

#[test]
fn one_instance() {
    let (lab, a, b, one, two) = pair(&roomy_build(), 1, "10cs");
    within_once("wake-ups for an advert sent", 1.2, || wake_ups(&lab, &one, 30));
    within_once("wake-ups for an advert received", 1.2, || wake_ups(&lab, &two, 30));
    within_once("system calls for an advert sent", 2.0, || calls(&one, &a, ms(3000)).per_sent(20));
    within_once("system calls for an advert received", 2.0, || calls(&two, &b, ms(3000)).per_received(20));
    memory(&one, "one instance, Active", 700.0, 480.0);
    memory(&two, "one instance, Backup", 700.0, 480.0);
}

#[test]
fn two_hundred_and_fifty_five_instances() {
    let (lab, a, b, one, two) = pair(&roomy_build(), 255, "1s");
    let (adverts, window) = (5 * 255, ms(4000));
    within_once("wake-ups for an advert sent, 255 instances", 0.05, || wake_ups(&lab, &one, adverts));
    within_once("wake-ups for an advert received, 255 instances", 0.9, || wake_ups(&lab, &two, adverts));
    within_once("system calls for an advert sent, 255 instances", 0.1, || calls(&one, &a, window).per_sent(2 * 255));
    // How many there are at a time depends on how soon it is woken.
    within_once("system calls for an advert received, 255 instances", 0.8, || {
        calls(&two, &b, window).per_received(2 * 255)
    });
    memory(&one, "255 instances, Active", 900.0, 680.0);
    memory(&two, "255 instances, Backup", 900.0, 680.0);
}

/// The one for x86_64 and glibc, as cargo builds it.
#[test]
fn binary() {
    let bytes = fs::metadata(roomy_build()).expect("it was built").len();
    within("kB of the program", bytes as f64 / 1024.0, 1210.0);
}
