//! Interfaces that go, come, change their name and their own addresses.

use super::*;
use crate::router::event::Fault;

fn fault(l: &Lab) -> Option<Fault> {
    l.r.view(0).unwrap().fault
}

/// No interface, then down, then without an address: each a fault, told once; then Backup.
#[test]
fn from_nothing() {
    let mut l = Lab::blank(config(&[spec()]));
    l.event(Event::Start);
    assert_eq!(l.took(), ["INIT to FAULT"]);
    assert_eq!(fault(&l), Some(Fault::NoInterface));
    l.link(ETH0, "eth0", false);
    assert_eq!(fault(&l), Some(Fault::InterfaceDown));
    l.link(ETH0, "eth0", true);
    assert_eq!(fault(&l), Some(Fault::NoAddress));
    l.has(ETH0, &["fe80::1/64"]);
    assert_eq!(fault(&l), Some(Fault::NoAddress));
    l.took();
    l.has(ETH0, &["192.0.2.1/24"]);
    // A join can have failed while there was no address.
    assert_eq!(l.took(), ["rebind 2 V4", "FAULT to BACKUP"]);
    assert_eq!(fault(&l), None);
}

/// IPv6 waits for a link-local address that has passed duplicate detection (E32).
#[test]
fn tentative() {
    let mut l = Lab::blank(config(&[v6()]));
    l.link(ETH0, "eth0", true);
    l.event(Event::Start);
    l.has(ETH0, &["2001:db8::7/64", "fe80::1/64 tentative"]);
    assert_eq!(fault(&l), Some(Fault::NoAddress));
    l.has(ETH0, &["2001:db8::7/64", "fe80::1/64"]);
    assert!(l.is_backup());
}

/// Carrier lost as Active: no farewell, addresses off, Fault; back as Backup with a full interval.
#[test]
fn link_down_and_up() {
    let mut l = Lab::active(&[spec()]);
    l.link(ETH0, "eth0", false);
    assert_eq!(l.took(), ["remove 192.0.2.254/24 on 2", "MASTER to FAULT"]);
    assert_eq!((fault(&l), l.r.next_deadline()), (Some(Fault::InterfaceDown), None));
    l.wait_ms(10_000);
    l.link(ETH0, "eth0", true);
    // Snooping switches have forgotten the membership.
    assert_eq!(l.took(), ["rebind 2 V4", "rebind 2 V6", "rebind 2 V4", "FAULT to BACKUP"]);
    assert_eq!(l.r.next_deadline(), Some(l.now + Micros(3_609_375)));
}

/// The last own address goes: NoAddress; ours does not serve as a source.
#[test]
fn address_gone() {
    let mut l = Lab::active(&[spec()]);
    l.has(ETH0, &["192.0.2.254/24"]);
    assert_eq!(l.took(), ["remove 192.0.2.254/24 on 2", "MASTER to FAULT"]);
    assert_eq!(fault(&l), Some(Fault::NoAddress));
    l.has(ETH0, &["192.0.2.9/24"]);
    assert_eq!(l.took(), ["rebind 2 V4", "FAULT to BACKUP"]);
}

/// Deleted: its addresses went with it. Recreated under another index: bound again, through Backup.
#[test]
fn deleted_and_recreated() {
    let mut l = Lab::active(&[spec()]);
    l.event(Event::LinkGone { ifindex: ETH0 });
    assert_eq!(l.took(), ["rebind 2 V4", "rebind 2 V6", "MASTER to FAULT"]);
    assert_eq!(fault(&l), Some(Fault::NoInterface));
    assert!(l.r.listeners(ETH0, Family::V4).is_none());
    l.link(9, "eth0", true);
    // The old one's address is not the new one's.
    assert_eq!(fault(&l), Some(Fault::NoAddress));
    l.has(9, &["192.0.2.1/24"]);
    assert_eq!(l.took(), ["rebind 9 V4", "rebind 9 V6", "rebind 9 V4", "FAULT to BACKUP"].map(str::to_owned).to_vec());
    l.fire();
    assert!(l.took().contains(&"add 192.0.2.254/24 on 9".to_owned()));
}

/// A configured source is awaited anew on the new interface: it does not start before it is there.
#[test]
fn recreated_with_configured_source() {
    let unicast = Spec { unicast: Some(OURS), peers: vec![(PEER, 255, 255)], ..spec() };
    for s in [Spec { source: Some(OURS), ..spec() }, unicast] {
        let mut l = Lab::new(&[s]);
        assert!(l.is_backup());
        l.event(Event::LinkGone { ifindex: ETH0 });
        l.link(9, "eth0", true);
        assert_eq!(fault(&l), Some(Fault::NoAddress));
        l.has(9, &["192.0.2.7/24"]);
        assert_eq!(fault(&l), Some(Fault::NoAddress));
        l.has(9, &["192.0.2.7/24", "192.0.2.1/24"]);
        assert!(l.is_backup());
        assert_eq!(l.r.view(0).unwrap().source, Some(ip(OURS)));
    }
}

/// Renamed: the index is followed, the state stays (E24).
#[test]
fn renamed() {
    let mut l = Lab::active(&[spec()]);
    l.link(ETH0, "wan7", true);
    l.has(ETH0, &["192.0.2.1/24", "192.0.2.254/24"]);
    assert_eq!(l.took(), [""; 0]);
    l.link(ETH0, "wan7", false);
    assert_eq!(l.took().last().unwrap(), "MASTER to FAULT");
}

/// Another MAC as Active: announced anew.
#[test]
fn other_mac() {
    let mut l = Lab::active(&[spec()]);
    l.run_ms(T0, 60_000);
    l.took();
    let out = std::cell::RefCell::new(Vec::new());
    let info = LinkInfo { ifindex: ETH0, name: "eth0", up: true, mac: [2, 7, 7, 7, 7, 7], mtu: 1500 };
    l.r.handle(Event::Link(info), l.now, &mut |a: Action<'_>| {
        if let Action::Announce { mac, .. } = a {
            out.borrow_mut().push(mac);
        }
    });
    assert_eq!(*out.borrow(), [[2, 7, 7, 7, 7, 7]]);
}

/// Another primary address: the next advert leaves from it, nothing else happens (E28).
#[test]
fn primary_changes() {
    let mut l = Lab::active(&[spec()]);
    l.run_ms(T0, 6_500);
    l.has(ETH0, &["192.0.2.77/24", "192.0.2.254/24"]);
    assert_eq!(l.took(), [""; 0]);
    let now = l.now;
    let all = l.run_ms(now, 1000);
    assert!(all.iter().all(|(_, d)| d.starts_with("advert 100 of 0 from 192.0.2.77 ")), "{all:?}");
    assert_eq!(all.len(), 1);
    // And it decides the tie.
    l.hear(100, "192.0.2.76");
    assert!(l.is_active());
    l.hear(100, "192.0.2.78");
    assert!(l.is_backup());
}

/// The first in the kernel's order that is neither ours nor secondary.
#[test]
fn which_is_primary() {
    let mut l = Lab::new(&[spec()]);
    let source = |l: &Lab| l.r.view(0).unwrap().source.unwrap().to_string();
    l.has(ETH0, &["192.0.2.254/24", "192.0.2.8/24 secondary", "192.0.2.9/24", "192.0.2.7/24"]);
    assert_eq!(source(&l), "192.0.2.9");
    l.has(ETH0, &["192.0.2.254/24", "192.0.2.8/24 secondary"]);
    assert_eq!(source(&l), "192.0.2.8");
    // A virtual address that was there before us serves where there is no other: an owner's.
    l.has(ETH0, &["192.0.2.254/24"]);
    assert_eq!(source(&l), "192.0.2.254");
}

/// What an interface is to hear.
#[test]
fn listeners() {
    let unicast = Spec { name: "u", on: "eth1", vrid: 9, unicast: Some(OURS), peers: vec![(PEER, 255, 255)], ..spec() };
    let six = Spec { name: "six", vrid: 200, ..v6() };
    let mut l =
        Lab::new(&[spec(), unicast, six, Spec { name: "b", vrid: 7, addresses: vec!["192.0.2.2/24"], ..spec() }]);
    l.link(ETH1, "eth1", true);
    let bits = |listen: &crate::router::Listen| {
        (0..=255u8).filter(|v| listen.vrids[*v as usize / 32] >> (v % 32) & 1 == 1).collect::<Vec<_>>()
    };
    let four = l.r.listeners(ETH0, Family::V4).unwrap();
    assert_eq!((bits(&four), &four.groups[..], four.open), (vec![7, 51], &[ip("224.0.0.18")][..], false));
    let six = l.r.listeners(ETH0, Family::V6).unwrap();
    assert_eq!((bits(&six), &six.groups[..]), (vec![200], &[ip("ff02::12")][..]));
    let one = l.r.listeners(ETH1, Family::V4).unwrap();
    assert_eq!((bits(&one), one.groups.len()), (vec![9], 0));
    assert!(l.r.listeners(ETH1, Family::V6).is_none() && l.r.listeners(77, Family::V4).is_none());
    assert_eq!(l.r.interfaces().collect::<Vec<_>>(), [ETH0, ETH1]);
    assert!(l.r.concerns(ETH0, "renamed") && l.r.concerns(77, "eth1") && !l.r.concerns(77, "eth7"));
}
