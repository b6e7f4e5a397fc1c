//! Failover and handover, measured: `sh tests/bench/failover`. It fails nothing; it prints.
//!
//! - *Crash*: the Active's port leaves the bridge and nobody loses carrier. "late" is how long after
//!   Active_Down_Interval, counted from the last advert that was delivered to the successor, its
//!   first advert came; "answers" is how long after that advert its address answered a client that
//!   pings every millisecond.
//! - *Handover*: the Active's daemon gets TERM. "gap" is the longest silence at a client that pings
//!   every 10 ms.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use support::keepalived::{self, Instance};
use support::picovrrp::lan;
use support::process::{Process, Signal};
use support::{Lab, Node, Picovrrp, Pinger, VIP4, ms, netns};

const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    Picovrrp,
    Keepalived,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Program::Picovrrp => "picovrrp",
            Program::Keepalived => "keepalived",
        }
    }

    fn start(self, node: &Node, interval: Duration, priority: u8) -> Process {
        match self {
            Program::Picovrrp => {
                // keepalived understands the pseudo-header's form by default.
                let cs = interval.as_millis() / 10;
                let config = lan(&format!("version 3 advert {cs}cs priority {priority} checksum pseudo"));
                Picovrrp::start(node, &config).process
            }
            Program::Keepalived => {
                let seconds: &'static str = match interval.as_millis() {
                    10 => "0.01",
                    100 => "0.1",
                    1000 => "1",
                    4000 => "4",
                    other => unreachable!("no measurement at {other} ms"),
                };
                keepalived::start(node, &Instance::lan(3, priority, seconds))
            }
        }
    }
}

/// Milliseconds of one quantity over the rounds.
#[derive(Default)]
struct Series(Vec<f64>);

impl Series {
    fn push(&mut self, d: Duration) {
        self.0.push(d.as_secs_f64() * 1000.0);
    }

    /// How much longer `took` is than `due`; negative if it is shorter.
    fn push_beyond(&mut self, took: Duration, due: Duration) {
        self.0.push((took.as_secs_f64() - due.as_secs_f64()) * 1000.0);
    }

    fn summary(&self) -> (f64, f64, f64) {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.as_slice() {
            [] => (f64::NAN, f64::NAN, f64::NAN),
            all => (all[0], all[all.len() / 2], all[all.len() - 1]),
        }
    }

    fn text(&self) -> String {
        let (least, median, most) = self.summary();
        format!("{least:8.2} {median:8.2} {most:8.2}")
    }

    fn json(&self) -> serde_json::Value {
        let (least, median, most) = self.summary();
        serde_json::json!({ "min": least, "median": median, "max": most, "rounds": self.0 })
    }
}

/// The priority of the successor.
const SUCCESSOR: u32 = 100;

fn active_down_interval(interval: Duration) -> Duration {
    interval * 3 + interval * (256 - SUCCESSOR) / 256
}

/// a with priority 200 is Active, b with 100 is Backup and has heard a.
fn pair(first: Program, second: Program, interval: Duration) -> (Process, Process, Lab, Node, Node, Node) {
    let (lab, a, b, client) = Lab::trio();
    let start = Instant::now();
    let one = first.start(&a, interval, 200);
    lab.wire().wait("an advert of a", start, LONG, |s| s.is_claim_of("a"));
    let two = second.start(&b, interval, SUCCESSOR as u8);
    // b is up when it has joined the group, which only time tells from outside.
    let settled = Instant::now() + ms(1500);
    lab.wire().wait("an advert of a", settled, LONG, |s| s.is_claim_of("a") && s.at >= settled);
    (one, two, lab, a, b, client)
}

/// How late the first adverts were, and how long until the address answered.
fn crash(program: Program, interval: Duration, rounds: usize) -> (Series, Series) {
    let (mut late, mut answers) = (Series::default(), Series::default());
    let (_one, _two, lab, a, b, client) = pair(program, program, interval);
    for _ in 0..rounds {
        let pinger = Pinger::start_every(client.ns(), VIP4, ms(1));
        let cut = pinger.wait_answer(Instant::now(), LONG);
        a.vanish();
        let claim = lab.wire().wait("an advert of b", cut, LONG, |s| s.is_claim_of("b"));
        let heard = lab.wire().last_delivery("b", claim.at).expect("b heard a");
        let answer = pinger.wait_answer(claim.at, LONG);
        late.push_beyond(claim.at - heard, active_down_interval(interval));
        answers.push(answer - claim.at);
        drop(pinger);
        a.reappear();
        lab.wait_sole_active(&[&a, &b], VIP4, LONG);
    }
    (late, answers)
}

/// The client's longest silence.
fn handover(from: Program, to: Program, interval: Duration, rounds: usize) -> Series {
    let mut gaps = Series::default();
    for _ in 0..rounds {
        let (mut one, _two, lab, _a, _b, client) = pair(from, to, interval);
        let pinger = Pinger::start(client.ns(), VIP4);
        let order = pinger.wait_answer(Instant::now(), LONG);
        one.signal(Signal::TERM);
        let claim = lab.wire().wait("an advert of b", order, LONG, |s| s.is_claim_of("b"));
        one.wait_exit(LONG);
        pinger.wait_answer(claim.at + ms(300), LONG);
        gaps.push(pinger.stop().longest_silence(order));
    }
    gaps
}

fn label(interval: Duration) -> String {
    if interval >= ms(1000) { format!("{} s", interval.as_secs()) } else { format!("{} cs", interval.as_millis() / 10) }
}

fn main() -> ExitCode {
    if let Err(sentence) = netns::preflight() {
        eprintln!("{sentence}");
        return ExitCode::FAILURE;
    }
    let rounds = std::env::var("ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5usize);
    let mut json = Vec::new();
    println!("All in milliseconds: least, median, greatest of {rounds}.\n");
    println!("{:<12} {:<12} {:<6} {:^26}   {:^26}", "crash of", "successor", "advert", "late", "answers");
    for program in [Program::Picovrrp, Program::Keepalived] {
        for interval in [ms(1000), ms(100), ms(10)] {
            let (late, answers) = crash(program, interval, rounds);
            let (name, every) = (program.name(), label(interval));
            println!("{name:<12} {name:<12} {every:<6} {}   {}", late.text(), answers.text());
            json.push(serde_json::json!({ "case": "crash", "from": name, "to": name,
                "advert_ms": interval.as_millis() as u64, "late_ms": late.json(), "answers_ms": answers.json() }));
        }
    }
    println!("\n{:<12} {:<12} {:<6} {:^26}", "handover of", "successor", "advert", "gap");
    let cases = [
        (Program::Picovrrp, Program::Picovrrp, ms(1000)),
        (Program::Picovrrp, Program::Picovrrp, ms(4000)),
        (Program::Picovrrp, Program::Keepalived, ms(1000)),
        (Program::Picovrrp, Program::Keepalived, ms(4000)),
        (Program::Keepalived, Program::Keepalived, ms(1000)),
    ];
    for (from, to, interval) in cases {
        let gaps = handover(from, to, interval, rounds);
        println!("{:<12} {:<12} {:<6} {}", from.name(), to.name(), label(interval), gaps.text());
        json.push(serde_json::json!({ "case": "handover", "from": from.name(), "to": to.name(),
            "advert_ms": interval.as_millis() as u64, "gap_ms": gaps.json() }));
    }
    println!("\n{}", serde_json::json!({ "rounds": rounds, "results": json }));
    ExitCode::SUCCESS
}
