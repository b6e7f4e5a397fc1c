//! The live demonstration that `sh tests/demo` runs: two routers, a host, a time line.

#[path = "../support/mod.rs"]
mod support;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use support::{Flavour, Lab, Picovrrp, Pinger, V3, VIP4, ms, netns};

/// An ordinary configuration: adverts every second.
const LAN: Flavour = Flavour { properties: "version 3 advert 1s", interval: Duration::from_secs(1), ..V3 };
/// What the bound leaves for a busy machine.
const SLACK: Duration = Duration::from_millis(250);
/// What the host may notice of a planned handover.
const HANDOVER: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(15);

const PICTURE: &str = "
  router a  192.0.2.1  priority 150 ──┐
  router b  192.0.2.2  priority 100 ──┼── bridge
  host    192.0.2.100               ──┘   pings 192.0.2.254, which a and b share, every 10 ms
";

/// Prints what happens, as it happens.
struct TimeLine {
    start: Instant,
}

impl TimeLine {
    fn at(&self, when: Instant, what: &str) {
        let seconds = when.saturating_duration_since(self.start).as_secs_f64();
        println!("{seconds:8.3} s  {what}");
        // A terminal shows it anyway; a pipe may be watched as well.
        let _ = std::io::stdout().flush();
    }

    fn now(&self, what: &str) {
        self.at(Instant::now(), what);
    }
}

fn main() -> ExitCode {
    if let Err(sentence) = netns::preflight() {
        eprintln!("{sentence}");
        return ExitCode::FAILURE;
    }
    // What a wait in vain has to say is meant for people.
    std::panic::set_hook(Box::new(|info| {
        let said = info.payload().downcast_ref::<String>().map(String::as_str);
        let said = said.or(info.payload().downcast_ref::<&str>().copied()).unwrap_or("it broke");
        eprintln!("The demonstration failed: {said}");
    }));
    match std::panic::catch_unwind(demonstrate) {
        Ok(true) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn demonstrate() -> bool {
    println!("{PICTURE}");
    let (lab, a, b, host) = Lab::trio();
    let line = TimeLine { start: Instant::now() };

    line.now("router a starts and listens whether another router is Active");
    let mut one = Picovrrp::start(&a, &LAN.config("priority 150"));
    let claim = lab.wire().wait("an advert of a", line.start, LONG, |s| s.is_claim_of("a"));
    line.at(claim.at, "router a becomes Active and announces 192.0.2.254");
    let pinger = Pinger::start(host.ns(), VIP4);
    let since = pinger.wait_answer(claim.at, LONG);
    line.at(since, "the host's pings are answered");
    line.now("router b starts");
    let mut two = Picovrrp::start(&b, &LAN.config("priority 100"));
    two.wait_state("BACKUP", LONG);
    line.now("router b is Backup: it hears router a every second");
    lab.wire().wait("an advert of a", Instant::now(), LONG, |s| s.is_claim_of("a"));

    println!();
    let cut = Instant::now();
    a.vanish();
    line.at(cut, "** router a vanishes from the network, and no cable is pulled: nobody is told **");
    let claim = lab.wire().wait("an advert of b", cut, LONG, |s| s.is_claim_of("b"));
    let heard = lab.wire().last_delivery("b", claim.at).expect("b heard a");
    let (took, bound) = (claim.at - heard, LAN.active_down_interval(100));
    line.at(claim.at, &format!("router b becomes Active, {} after the last advert it heard", seconds(took)));
    let answer = pinger.wait_answer(claim.at, LONG);
    line.at(answer, "the host's pings are answered again, by router b");
    let vanished = pinger.so_far().longest_silence(cut);

    println!();
    line.now("router a is back on the network: for a moment both are Active");
    let back = Instant::now();
    a.reappear();
    let adverts = lab.wire().wait_many("adverts of a", 2, back, LONG, |s| s.is_claim_of("a"));
    two.wait_state("BACKUP", LONG);
    line.at(adverts[0].at, "router a speaks, and router b yields to the higher priority");
    pinger.wait_answer(adverts[1].at, LONG);

    println!();
    let order = Instant::now();
    one.terminate();
    line.at(order, "** router a is told to stop **");
    let farewell = lab.wire().wait("a's farewell", order, LONG, |s| s.is_farewell_of("a"));
    line.at(farewell.at, "router a says that it leaves, and goes on answering until it is succeeded");
    let claim = lab.wire().wait("an advert of b", order, LONG, |s| s.is_claim_of("b"));
    line.at(claim.at, "router b becomes Active");
    let status = one.process.wait_exit(LONG);
    line.now("router a has released the address and ended");
    pinger.wait_answer(claim.at + ms(300), LONG);
    let stopped = pinger.stop().longest_silence(order);

    println!("\n  what the host saw            silence      allowed");
    let rows = [("router a vanished", vanished, bound + SLACK), ("router a was stopped", stopped, HANDOVER)];
    for (what, silence, allowed) in rows {
        println!("  {what:24} {:>11}  {:>11}", seconds(silence), seconds(allowed));
    }
    println!("  router b took over {} after the last advert; 3T + skew is {}\n", seconds(took), seconds(bound));
    let mut kept = rows.iter().all(|(_, silence, allowed)| silence <= allowed);
    kept &= took >= bound - ms(1) && took <= bound + SLACK && status.success();
    println!("{}", if kept { "Every bound was kept." } else { "A bound was broken." });
    kept
}

fn seconds(d: Duration) -> String {
    format!("{:.3} s", d.as_secs_f64())
}
