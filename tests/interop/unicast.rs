//! Adverts to named peers instead of the group.

use std::time::Instant;

use crate::support::keepalived::{self, Instance};
use crate::support::picovrrp::lan;
use crate::support::{Lab, Picovrrp, SOON, VIP4};

const PEERS: &str = "unicast_src_ip 192.0.2.2\nunicast_peer {\n192.0.2.1\n}";

fn ours(priority: u8) -> String {
    lan(&format!("version 3 advert 20cs checksum pseudo priority {priority}"))
        + "  unicast 192.0.2.1\n  peer 192.0.2.2\n"
}

#[test]
fn picovrrp_leads_and_keepalived_takes_over() {
    let (lab, a, b, _client) = Lab::trio();
    let start = Instant::now();
    let _ours = Picovrrp::start_until(&a, &ours(150), "MASTER");
    let theirs = keepalived::start(&b, &Instance::lan(3, 100, "0.2").with(PEERS));
    crate::support::wait_until("keepalived is up", SOON, || theirs.log().contains("Startup complete"));
    let adverts = lab.wire().wait_many("our adverts", 12, start, SOON, |s| s.is_claim_of("a"));
    for seen in &adverts {
        let advert = seen.advert().expect("an advert was asked for");
        assert_eq!(advert.destination, b.ip4(), "nothing goes to the group");
        assert_eq!((advert.destination_mac, advert.ttl), (b.mac(), 255));
    }
    assert_eq!(lab.wire().count(start, |s| s.from == "b" && s.advert().is_some()), 0, "{}", theirs.log());
    let cut = Instant::now();
    a.vanish();
    lab.wire().wait("an advert of keepalived", cut, SOON, |s| s.is_claim_of("b"));
    a.reappear();
    assert_eq!(lab.wait_sole_active(&[&a, &b], VIP4, SOON).name(), "a");
}

#[test]
fn keepalived_leads_and_picovrrp_takes_over() {
    let (lab, a, b, _client) = Lab::trio();
    let start = Instant::now();
    let _theirs = keepalived::start(&b, &Instance::lan(3, 150, "0.2").with(PEERS));
    lab.wire().wait("an advert of keepalived", start, SOON, |s| s.is_claim_of("b"));
    let mut ours = Picovrrp::start_until(&a, &ours(100), "BACKUP");
    let start = Instant::now();
    lab.wire().wait_many("keepalived's adverts", 8, start, SOON, |s| s.is_claim_of("b"));
    assert_eq!(lab.wire().count(start, |s| s.from == "a" && s.advert().is_some()), 0);
    b.vanish();
    ours.wait_state("MASTER", SOON);
    b.reappear();
    ours.wait_state("BACKUP", SOON);
    assert_eq!(lab.wait_sole_active(&[&a, &b], VIP4, SOON).name(), "b");
}

#[test]
fn a_stranger_that_writes_to_us_is_not_heard() {
    let (lab, a, b, stranger) = Lab::trio();
    let _one = Picovrrp::start_until(&a, &ours(100), "MASTER");
    // The stranger's keepalived thinks that it is our peer.
    let lines = "unicast_src_ip 192.0.2.100\nunicast_peer {\n192.0.2.1\n}";
    let start = Instant::now();
    let _theirs = keepalived::start(&stranger, &Instance::lan(3, 200, "0.2").with(lines));
    let _ = &b;
    lab.wire().wait_many("the stranger's adverts", 5, start, SOON, |s| s.is_claim_of("client"));
    assert_eq!(_one.state().as_deref(), Some("MASTER"));
    assert!(_one.stat("unknown_peer") > 0, "but it is counted");
}
