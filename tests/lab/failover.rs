//! The Active goes: it vanishes, its daemon dies, or it leaves on purpose.

use std::time::Instant;

use crate::support::process::Signal;
use crate::support::{Flavour, Picovrrp, Pinger, SOON, Two, V2, V3, V3_IPV6, ms};

/// The Active vanishes without anyone losing carrier.
fn vanishes(flavour: Flavour) {
    let mut t = Two::start(flavour, "", "");
    let pinger = Pinger::start(t.client.ns(), flavour.vip);
    let cut = pinger.wait_answer(Instant::now(), SOON);
    t.a.vanish();
    let claim = t.lab.wire().wait("an advert of b", cut, SOON, |s| s.is_claim_of("b"));
    t.two.wait_state("MASTER", SOON);
    pinger.wait_answer(claim.at, SOON);
    let heard = t.lab.wire().last_delivery("b", claim.at).expect("b heard a");
    let (down, took) = (flavour.active_down_interval(100), claim.at - heard);
    assert!(took >= down - ms(1), "b took over {took:?} after a's last advert, before {down:?} had passed");
    assert!(took < down + ms(300), "b took over {took:?} after a's last advert, the bound is {down:?}");
    let silence = pinger.stop().longest_silence(cut);
    assert!(
        silence < down + ms(500),
        "the client waited {silence:?}; the bound is {down:?} and what a busy machine adds"
    );
    assert!(silence > flavour.interval, "the host really was gone: {silence:?}");
    t.a.reappear();
    assert_eq!(t.sole_active(), "a");
}

#[test]
fn a_vanished_router_is_replaced_v2() {
    vanishes(V2);
}

#[test]
fn a_vanished_router_is_replaced_v3() {
    vanishes(V3);
}

#[test]
fn a_vanished_router_is_replaced_v3_ipv6() {
    vanishes(V3_IPV6);
}

#[test]
fn adverts_every_100_ms_fail_over_in_less_than_half_a_second() {
    vanishes(Flavour { properties: "version 3 advert 10cs", interval: ms(100), ..V3 });
}

#[test]
fn a_killed_daemon_leaves_an_address_that_answers_and_is_replaced() {
    let mut t = Two::start(V3, "preempt off", "");
    let pinger = Pinger::start(t.client.ns(), t.flavour.vip);
    let killed = pinger.wait_answer(Instant::now(), SOON);
    t.one.process.kill();
    assert!(t.a.has(t.flavour.vip), "nobody took the address off");
    let claim = t.lab.wire().wait("an advert of b", killed, SOON, |s| s.is_claim_of("b"));
    pinger.wait_answer(claim.at, SOON);
    assert_eq!(t.lab.wire().count(killed, |s| s.is_farewell_of("a")), 0, "a killed daemon says nothing");
    let silence = pinger.stop().longest_silence(killed);
    assert!(silence < ms(200), "the dead router's address answers until b's does, yet the client waited {silence:?}");
    // Its next start makes it one owner again.
    let a = t.a.clone();
    t.one = Picovrrp::start_until(&a, &V3.config("priority 150 preempt off"), "BACKUP");
    assert_eq!(t.sole_active(), "b");
}

/// A clean stop: one priority 0, the successor after its skew, nothing left behind.
fn stops(flavour: Flavour, stop: impl Fn(&Picovrrp)) {
    let mut t = Two::start(flavour, "", "");
    t.b.wait_lacks(flavour.vip, SOON);
    let order = Instant::now();
    stop(&t.one);
    let farewell = t.lab.wire().wait("a's priority 0", order, SOON, |s| s.is_farewell_of("a"));
    let claim = t.lab.wire().wait("an advert of b", order, SOON, |s| s.is_claim_of("b"));
    let took = claim.at - farewell.at;
    let skew = flavour.skew_time(100);
    assert!(took >= skew && took < skew + ms(300), "b took over after {took:?}, its skew time is {skew:?}");
    assert_eq!(t.one.process.wait_exit(SOON).code(), Some(0), "a clean stop exits with 0");
    t.a.wait_lacks(flavour.vip, SOON);
    assert_eq!(t.sole_active(), "b");
    let adverts = t.lab.wire().count(farewell.at, |s| s.from == "a" && s.advert().is_some());
    assert_eq!(adverts, 1, "one priority 0 and nothing after it");
}

#[test]
fn term_hands_over_v2() {
    stops(V2, Picovrrp::terminate);
}

#[test]
fn term_hands_over_v3() {
    stops(V3, Picovrrp::terminate);
}

#[test]
fn term_hands_over_v3_ipv6() {
    stops(V3_IPV6, Picovrrp::terminate);
}

#[test]
fn the_stop_command_hands_over() {
    stops(V3, |daemon| {
        let output = daemon.command(&["stop"]);
        assert!(output.status.success(), "{output:?}");
    });
}

#[test]
fn int_hands_over() {
    stops(V3, |daemon| daemon.process.signal(Signal::INT));
}

#[test]
fn a_router_that_stops_alone_takes_its_address_along() {
    let mut t = Two::start(V3, "", "");
    t.two.process.kill();
    let order = Instant::now();
    t.one.terminate();
    assert_eq!(t.one.process.wait_exit(SOON).code(), Some(0));
    // Nobody succeeds: the address stays for Skew_Time of priority 1 and 100 ms, and then goes.
    assert!(order.elapsed() < ms(3000), "it waited {:?} for a successor that there is not", order.elapsed());
    assert!(!t.a.has(t.flavour.vip), "the address is off when the daemon has ended");
}

#[test]
fn a_stopped_backup_goes_in_silence() {
    let mut t = Two::start(V3, "", "");
    let order = Instant::now();
    t.two.terminate();
    assert_eq!(t.two.process.wait_exit(SOON).code(), Some(0));
    t.lab.wire().wait_many("adverts of a", 5, order, SOON, |s| s.is_claim_of("a"));
    assert_eq!(t.lab.wire().count(order, |s| s.from == "b" && s.advert().is_some()), 0, "it had nothing to hand over");
}
