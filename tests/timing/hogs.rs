//! Adverts every centisecond beside programs that take all the processors there are: 39 µs of difference for
//! each point of priority, and three adverts that may be late. With real-time priority and locked memory
//! neither router takes the other for dead.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::support::picovrrp::{BINARY, Picovrrp, lan};
use crate::support::process::Process;
use crate::support::{Lab, Node, SOON, VIP4};

const WINDOW: Duration = Duration::from_secs(60);
/// For each processor.
const HOGS: usize = 2;
/// What cannot be told from a dead router: late by this much, and an advert before it that was nearly as late.
const STILL: Duration = Duration::from_millis(10);
const OPTIONS: [&str; 3] = ["--realtime", "50", "--lock-memory"];

/// Programs that do nothing but take time, of ordinary priority.
fn hogs(node: &Node) -> Vec<Process> {
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
    let hog = |n: usize| {
        let mut command = node.ns().command("sh");
        command.args(["-c", "while :; do :; done"]);
        Process::start("a hog", command, node.dir().join(format!("hog{n}.log")), node.ns())
    };
    (0..HOGS * processors).map(hog).collect()
}

fn start(node: &Node, priority: u8) -> Picovrrp {
    let config = lan(&format!("version 3 advert 1cs priority {priority}"));
    Picovrrp::start_as(BINARY.into(), node, "-f", &config, &OPTIONS)
}

#[test]
fn no_false_takeover_at_one_centisecond_beside_hogs_for_a_minute() {
    let _alone = crate::alone();
    let (lab, a, b, client) = Lab::trio();
    let mut one = start(&a, 150);
    one.wait_state("MASTER", SOON);
    let mut two = start(&b, 100);
    two.wait_state("BACKUP", SOON);
    lab.wire().wait("an advert of a", Instant::now(), SOON, |s| s.is_claim_of("a"));
    for daemon in [&one, &two] {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.process.pid())).expect("it runs");
        assert!(!status.contains("VmLck:\t       0 kB"), "its memory is locked");
    }

    let hogs = hogs(&client);
    let transitions = || (one.stat("master_transitions"), two.stat("master_transitions"));
    // A window in which the machine itself stood still says nothing of the routers.
    let quiet = (0..3).any(|_| {
        let (before, received, begin) = (transitions(), two.stat("advertisement_rcvd"), Instant::now());
        let stall = longest_stall(WINDOW);
        let (after, received) = (transitions(), two.stat("advertisement_rcvd") - received);
        let claims: Vec<_> = lab.wire().since(begin).into_iter().filter(|s| s.is_claim_of("a")).collect();
        let gap = claims.windows(2).map(|w| w[1].at - w[0].at).max().expect("adverts");
        let n = claims.len();
        eprintln!("{n} adverts, {received} of them heard, the longest gap {gap:?}; the machine's {stall:?}");
        let all_well = before == after && received >= 5_900;
        assert!(all_well || stall >= STILL, "{before:?} transitions became {after:?}, {received} adverts were heard");
        all_well
    });
    drop(hogs);
    assert!(quiet, "this machine stands still too often");
    assert_eq!((one.state().as_deref(), two.state().as_deref()), (Some("MASTER"), Some("BACKUP")));
    assert!(a.has(VIP4) && !b.has(VIP4));
}

/// How late a program of the highest priority was, at the most, on any processor.
fn longest_stall(window: Duration) -> Duration {
    const NAP: Duration = Duration::from_millis(1);
    let end = Instant::now() + window;
    let watch = |processor: usize| {
        let mut set = CpuSet::new();
        set.set(processor);
        sched_setaffinity(None, &set).expect("a thread may choose its processor");
        picovrrp::sys::privilege::realtime(99).expect("root schedules in real time");
        let mut longest = Duration::ZERO;
        while Instant::now() < end {
            let begin = Instant::now();
            std::thread::sleep(NAP);
            longest = longest.max(begin.elapsed() - NAP);
        }
        longest
    };
    std::thread::scope(|scope| {
        let processors = sched_getaffinity(None).expect("a thread knows its processors");
        let all: Vec<_> = (0..CpuSet::MAX_CPU).filter(|n| processors.is_set(*n)).collect();
        let threads: Vec<_> = all.into_iter().map(|n| scope.spawn(move || watch(n))).collect();
        threads.into_iter().map(|t| t.join().expect("it does not panic")).max().expect("there is a processor")
    })
}

/// What the kernel refuses is one line, and how the process ends.
#[test]
fn refusals_are_one_line() {
    let (_lab, a, _b, _client) = Lab::trio();
    // Root without the capability, and with no time of its own to give.
    let refused = |caps: &str, option: &[&str]| {
        let file = a.dir().join("refused.conf");
        std::fs::write(&file, lan("version 3")).expect("the lab's directory can be written to");
        let mut command: Command = a.ns().command("setpriv");
        command.args([&format!("--bounding-set={caps}"), &format!("--inh-caps={caps}")]);
        command.arg("prlimit").args(["--rtprio=0", "--memlock=0"]).arg(BINARY);
        command
            .arg("--run-dir")
            .arg(a.dir().join("refused"))
            .args(["run", "--log-stderr", "-f"])
            .arg(&file)
            .args(option);
        let done = command.output().expect("setpriv starts");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(3), "{said}");
        said.lines().last().unwrap_or_default().to_owned()
    };
    let said = refused("-sys_nice", &["--realtime", "50"]);
    assert!(said.starts_with("picovrrp: --realtime: "), "{said}");
    let said = refused("-ipc_lock", &["--lock-memory"]);
    assert!(said.starts_with("picovrrp: --lock-memory: "), "{said}");
}
