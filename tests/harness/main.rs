//! The lab proved with keepalived as the router: what the lab says about a router that is known to
//! work must be what is known, or its word about picovrrp is worth nothing.

#[path = "../support/mod.rs"]
mod support;

use std::time::Instant;

use support::frr::{self, Family};
use support::keepalived::{self, Instance};
use support::{Lab, Pinger, SOON, VIP4, VIP6, ms, tshark, wait_until};

fn fast(priority: u8) -> Instance {
    Instance::lan(3, priority, "0.2")
}

#[test]
fn a_vanished_router_is_replaced_within_the_bound_and_the_client_notices_just_that() {
    let (lab, a, b, client) = Lab::trio();
    let start = Instant::now();
    let _one = keepalived::start(&a, &fast(150));
    let _two = keepalived::start(&b, &fast(100));
    assert_eq!(lab.wait_sole_active(&[&a, &b], VIP4, SOON).name(), "a");
    let pinger = Pinger::start(client.ns(), VIP4);
    let cut = pinger.wait_answer(start, SOON);
    a.vanish();
    let claim = lab.wire().wait("an advert of b", cut, SOON, |s| s.is_claim_of("b"));
    let garp = lab.wire().wait("a gratuitous ARP of b", cut, SOON, |s| s.is_announcement_of("b", VIP4));
    assert!(garp.at >= claim.at, "keepalived sends the advert first");
    pinger.wait_answer(claim.at, SOON);
    let took = claim.at - lab.wire().last_delivery("b", claim.at).expect("b heard a");
    // 3 × 200 ms + 156 × 200 / 256 ms.
    assert!(took > ms(715) && took < ms(800), "the down interval is 721.9 ms, the lab measured {took:?}");
    let silence = pinger.stop().longest_silence(cut);
    assert!(silence > ms(400) && silence < took + ms(100), "the client's silence was {silence:?}");
    assert!(a.has(VIP4), "a vanished router knows nothing of it and keeps the address");
    a.reappear();
    assert_eq!(lab.wait_sole_active(&[&a, &b], VIP4, SOON).name(), "a");
}

#[test]
fn keepalived_hands_over_with_a_gap_that_the_pinger_sees() {
    let (lab, a, b, client) = Lab::trio();
    let mut one = keepalived::start(&a, &Instance::lan6(150, "0.2"));
    let _two = keepalived::start(&b, &Instance::lan6(100, "0.2"));
    assert_eq!(lab.wait_sole_active(&[&a, &b], VIP6, SOON).name(), "a");
    let pinger = Pinger::start(client.ns(), VIP6);
    let stop = pinger.wait_answer(Instant::now(), SOON);
    one.signal(support::process::Signal::TERM);
    lab.wire().wait("a's priority 0", stop, SOON, |s| s.is_farewell_of("a"));
    let claim = lab.wire().wait("an advert of b", stop, SOON, |s| s.is_claim_of("b"));
    lab.wire().wait("an unsolicited NA of b", stop, SOON, |s| s.is_announcement_of("b", VIP6));
    pinger.wait_answer(claim.at, SOON);
    let silence = pinger.stop().longest_silence(stop);
    // The skew time of priority 100 is 121.9 ms, and keepalived drops its address before it.
    assert!(silence > ms(100) && silence < ms(250), "the client's silence was {silence:?}");
    one.wait_exit(SOON);
}

#[test]
fn a_pulled_cable_a_parted_bridge_and_a_lossy_one_are_what_they_are_called() {
    let (lab, a, b, client) = Lab::trio();
    let _one = keepalived::start(&a, &fast(150));
    let _two = keepalived::start(&b, &fast(100));
    assert_eq!(lab.wait_sole_active(&[&a, &b], VIP4, SOON).name(), "a");

    a.pull_cable();
    a.wait_lacks(VIP4, SOON);
    assert_eq!(lab.wait_sole_active(&[&b], VIP4, SOON).name(), "b");
    a.plug_cable();
    assert_eq!(lab.wait_sole_active(&[&a, &b], VIP4, SOON).name(), "a");

    lab.part(&a, &b);
    b.wait_has(VIP4, SOON);
    assert!(a.has(VIP4), "both sides of a parted bridge are Active");
    lab.heal();
    assert_eq!(lab.wait_sole_active(&[&a, &b], VIP4, SOON).name(), "a");

    lab.lose(50);
    let pinger = Pinger::start(client.ns(), VIP4);
    wait_until("some pings are lost and some are not", SOON, || {
        let so_far = pinger.so_far();
        let lost = so_far.lost(so_far.pings.first().map_or_else(Instant::now, |p| p.sent));
        lost > 20 && so_far.pings.len() - lost > 5
    });
}

#[test]
fn tshark_tells_good_checksums_from_bad_ones() {
    let (lab, a, _b, _client) = Lab::trio();
    let start = Instant::now();
    let _pseudo = keepalived::start(&a, &fast(150));
    lab.wire().wait_many("adverts of a", 3, start, SOON, |s| s.is_claim_of("a"));
    let file = lab.dir().join("adverts.pcap");
    let written = lab.wire().write_pcap(&file, start, |s| s.is_claim_of("a"));
    let good = tshark::judge(&file, false);
    assert_eq!(good.len(), written);
    assert!(good.iter().all(|v| v.checksum_status == "1" && !v.malformed && v.tos == "0xc0"), "{good:#?}");
    let bad = tshark::judge(&file, true);
    assert!(bad.iter().all(|v| v.checksum_status == "0"), "{bad:#?}");
}

#[test]
fn frr_serves_as_a_counterpart() {
    for family in [Family::Ipv4, Family::Ipv6] {
        let (lab, a, _b, client) = Lab::trio();
        let start = Instant::now();
        let _frr = frr::start(&a, family, 100, 200);
        lab.wire().wait_many("adverts of a", 3, start, SOON, |s| s.is_claim_of("a"));
        let pinger = Pinger::start(client.ns(), if family == Family::Ipv4 { VIP4 } else { VIP6 });
        pinger.wait_answer(Instant::now(), SOON);
    }
}
