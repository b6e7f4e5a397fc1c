//! Lab tests that measure milliseconds: one at a time, whatever the number of test threads.

#[path = "../support/mod.rs"]
mod support;

mod hogs;
mod storms;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use support::{Flavour, Picovrrp, Pinger, SOON, Two, V2, V3, V3_IPV6, VIP4, ms};

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const ONE_SECOND: Flavour = Flavour { properties: "version 3 advert 1s", interval: ms(1000), ..V3 };
const FOUR_SECONDS: Flavour = Flavour { properties: "version 3 advert 4s", interval: ms(4000), ..V3 };

/// The client of a planned handover waits no longer than three of its pings.
fn handover(flavour: Flavour, stop: impl Fn(&Picovrrp)) {
    let _alone = alone();
    let mut t = Two::start_with(flavour, "priority 254", "priority 100");
    let pinger = Pinger::start(t.client.ns(), flavour.vip);
    let start = pinger.wait_answer(Instant::now(), SOON);
    stop(&t.one);
    let claim = t.lab.wire().wait("an advert of b", start, SOON, |s| s.is_claim_of("b"));
    assert_eq!(t.one.process.wait_exit(SOON).code(), Some(0));
    pinger.wait_answer(claim.at + ms(200), SOON);
    assert!(t.b.has(flavour.vip) && !t.a.has(flavour.vip), "the address moved");
    let silence = pinger.stop().longest_silence(start);
    assert!(silence <= ms(30), "the client waited {silence:?} in a planned handover");
}

#[test]
fn term_costs_the_client_nothing_v2() {
    handover(V2, Picovrrp::terminate);
}

#[test]
fn term_costs_the_client_nothing_v3_one_second() {
    handover(ONE_SECOND, Picovrrp::terminate);
}

#[test]
fn term_costs_the_client_nothing_v3_four_seconds() {
    handover(FOUR_SECONDS, Picovrrp::terminate);
}

#[test]
fn term_costs_the_client_nothing_v3_ipv6() {
    handover(V3_IPV6, Picovrrp::terminate);
}

#[test]
fn the_stop_command_costs_the_client_nothing() {
    handover(ONE_SECOND, |daemon| assert!(daemon.command(&["stop"]).status.success()));
}

#[test]
fn an_address_removed_by_hand_is_back_within_100_ms() {
    let _alone = alone();
    let t = Two::start(V3, "", "");
    for _ in 0..3 {
        t.a.ns().ip("addr del 192.0.2.254/24 dev eth0");
        let removed = Instant::now();
        let back = loop {
            let asked = Instant::now();
            if t.a.has(VIP4) {
                break asked.saturating_duration_since(removed);
            }
            assert!(removed.elapsed() < SOON, "it never came back");
        };
        assert!(back <= ms(100), "it took {back:?}");
    }
}

#[test]
fn idle_routers_wake_up_once_for_each_advert() {
    let _alone = alone();
    let t = Two::start(ONE_SECOND, "", "");
    // Past the second burst of announcements, which is five seconds after the first.
    t.lab.wire().wait_many("adverts of a", 8, Instant::now(), SOON, |s| s.is_claim_of("a"));
    let half = |n: usize| {
        // Half an interval after an advert nobody has anything to do.
        t.lab.wire().wait_many("adverts of a", n, Instant::now(), Duration::from_secs(20), |s| s.is_claim_of("a"));
        support::observe(ms(500));
    };
    half(1);
    let (active, backup, since) = (t.one.wake_ups(), t.two.wake_ups(), Instant::now());
    half(10);
    let (active, backup) = (t.one.wake_ups() - active, t.two.wake_ups() - backup);
    let adverts = t.lab.wire().count(since, |s| s.is_claim_of("a")) as u64;
    for (who, woke) in [("the Active", active), ("the Backup", backup)] {
        assert!(woke.abs_diff(adverts) <= 2, "{who} woke {woke} times for {adverts} adverts");
    }
}
