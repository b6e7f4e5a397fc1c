//! A router starts: what it sends, when, and what it owns.

use std::net::IpAddr;
use std::time::Instant;

use crate::support::packet::Packet;
use crate::support::{Flavour, Lab, Picovrrp, Pinger, SOON, Sighting, V2, V3, V3_IPV6, VIP4, VIP6_LINK, ms};

/// Alone on the wire it waits its down interval and then owns the address; its adverts are as the
/// RFC has them; a second router stays silent.
fn starts(flavour: Flavour) {
    let (lab, a, b, client) = Lab::trio();
    let start = Instant::now();
    let mut one = Picovrrp::start(&a, &flavour.config("priority 150"));
    let first = lab.wire().wait("an advert of a", start, SOON, |s| s.is_claim_of("a"));
    let waited = first.at - start;
    let bound = flavour.active_down_interval(150);
    assert!(waited >= bound, "the first advert came after {waited:?}, before Active_Down_Interval ({bound:?})");
    one.wait_state("MASTER", SOON);
    a.wait_has(flavour.vip, SOON);
    check_advert(flavour, &first, a.ip4().into(), a.link_local().into());
    Pinger::start(client.ns(), flavour.vip).wait_answer(Instant::now(), SOON);

    let mut two = Picovrrp::start(&b, &flavour.config("priority 100"));
    two.wait_state("BACKUP", SOON);
    lab.wire().wait_many("adverts of a", 6, Instant::now(), SOON, |s| s.is_claim_of("a"));
    assert_eq!(lab.wire().count(start, |s| s.from == "b" && s.advert().is_some()), 0, "a Backup sends no advert");
    assert!(!b.has(flavour.vip), "a Backup does not have the address");
    let master = &two.instance()["master"];
    assert_eq!(master["priority"], 150, "{master}");
    let source = if flavour.vip.is_ipv4() { a.ip4().to_string() } else { a.link_local().to_string() };
    assert_eq!(master["address"], source.as_str(), "{master}");
}

fn check_advert(flavour: Flavour, first: &Sighting, ip4: IpAddr, link_local: IpAddr) {
    let advert = first.advert().expect("an advert was waited for");
    assert_eq!((advert.version, advert.vrid, advert.priority), (flavour.version, 51, 150));
    assert_eq!(advert.interval_ms, flavour.interval.as_millis() as u32);
    assert_eq!((advert.ttl, advert.tos), (255, 0xc0));
    if flavour.vip.is_ipv4() {
        assert_eq!(advert.source, ip4);
        assert_eq!(advert.destination.to_string(), "224.0.0.18");
        assert_eq!(advert.destination_mac, [0x01, 0x00, 0x5e, 0x00, 0x00, 0x12]);
        assert_eq!(advert.addresses, [VIP4]);
    } else {
        assert_eq!(advert.source, link_local);
        assert_eq!(advert.destination.to_string(), "ff02::12");
        assert_eq!(advert.destination_mac, [0x33, 0x33, 0x00, 0x00, 0x00, 0x12]);
        assert_eq!(advert.addresses, [VIP6_LINK, flavour.vip]);
    }
    let trailer: &[u8] = if flavour.version == 2 { &[0; 8] } else { &[] };
    assert_eq!(advert.trailer, trailer, "version 2 ends with eight zero bytes, version 3 with the addresses");
}

#[test]
fn version_2_starts() {
    starts(V2);
}

#[test]
fn version_3_starts() {
    starts(V3);
}

#[test]
fn version_3_starts_over_ipv6() {
    starts(V3_IPV6);
}

#[test]
fn both_families_with_one_vrid_run_side_by_side() {
    let (lab, a, _b, _client) = Lab::trio();
    let start = Instant::now();
    let config = V3.config("priority 150") + &V3_IPV6.config("priority 150");
    let mut one = Picovrrp::start(&a, &config);
    one.wait_state("MASTER", SOON);
    for vip in [V3.vip, V3_IPV6.vip, VIP6_LINK] {
        a.wait_has(vip, SOON);
    }
    for ipv4 in [true, false] {
        let family = |s: &Sighting| s.advert().is_some_and(|a| a.source.is_ipv4() == ipv4);
        lab.wire().wait_many("adverts of the family", 3, start, SOON, family);
    }
}

#[test]
fn the_address_owner_is_active_at_once() {
    let (lab, a, b, _client) = Lab::trio();
    // With 1 s adverts a Backup period would last three seconds.
    let slow = Flavour { properties: "version 3 advert 1s", interval: ms(1000), ..V3 };
    let start = Instant::now();
    let _owner = Picovrrp::start_until(&a, &slow.config("priority 255"), "MASTER");
    let first = lab.wire().wait("an advert of the owner", start, SOON, |s| s.is_claim_of("a"));
    assert!(first.at - start < ms(1500), "the owner's first advert took {:?}", first.at - start);
    assert_eq!(first.advert().map(|a| a.priority), Some(255));

    let _two = Picovrrp::start_until(&b, &slow.config("priority 254"), "BACKUP");
    assert_eq!(lab.wait_sole_active(&[&a, &b], VIP4, SOON).name(), "a");
}

#[test]
fn the_owner_takes_over_from_a_running_active_at_once() {
    let (lab, a, b, _client) = Lab::trio();
    let _two = Picovrrp::start_until(&b, &V3.config("priority 254"), "MASTER");
    let start = Instant::now();
    let _owner = Picovrrp::start_until(&a, &V3.config("priority 255 preempt off"), "MASTER");
    lab.wire().wait("an advert of the owner", start, SOON, |s| s.is_claim_of("a"));
    assert_eq!(lab.wait_sole_active(&[&a, &b], VIP4, SOON).name(), "a");
}

#[test]
fn the_first_announcement_follows_the_advert() {
    for flavour in [V3, V3_IPV6] {
        let (lab, a, _b, _client) = Lab::trio();
        let start = Instant::now();
        let _one = Picovrrp::start(&a, &flavour.config("priority 150"));
        let announced = lab.wire().wait("an announcement", start, SOON, |s| s.is_announcement_of("a", flavour.vip));
        let advert = lab.wire().since(start).into_iter().find(|s| s.is_claim_of("a"));
        let advert = advert.expect("an advert came before the announcement");
        assert!(advert.at <= announced.at, "the advert comes first");
        assert!(announced.at - advert.at < ms(100), "the announcement follows at once");
        match announced.packet {
            Packet::Arp(arp) => {
                assert_eq!((arp.operation, arp.sender_mac), (1, a.mac()), "a gratuitous ARP request with our MAC");
            }
            Packet::Neighbour(na) => {
                assert_eq!(na.flags & 0xa0, 0xa0, "router and override are set");
                assert_eq!(na.hop_limit, 255);
            }
            Packet::Advert(_) => unreachable!("an announcement is no advert"),
        }
        // Five at once, and five more when garp's delay of 5 s has passed.
        let all = lab.wire().wait_many("announcements", 10, start, SOON, |s| s.is_announcement_of("a", flavour.vip));
        assert!(all[4].at - all[0].at < ms(1000), "the first five come together");
        let delay = all[5].at - all[0].at;
        assert!(delay > ms(4800) && delay < ms(6000), "the second five came after {delay:?}");
    }
}

#[test]
fn an_interface_without_an_address_is_waited_for() {
    let (lab, a, _b, _client) = Lab::trio();
    a.ns().ip("addr flush dev eth0");
    let start = Instant::now();
    let mut one = Picovrrp::start(&a, &V3.config("priority 150"));
    one.wait_state("FAULT", SOON);
    assert_eq!(lab.wire().count(start, |s| s.advert().is_some()), 0, "no advert without a source address");
    a.ns().ip("addr add 192.0.2.1/24 dev eth0");
    one.wait_state("MASTER", SOON);
    lab.wire().wait("an advert of a", start, SOON, |s| s.is_claim_of("a"));
}
