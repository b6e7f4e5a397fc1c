//! Virtual addresses: put on, put back, left alone.

use super::*;

fn two() -> Spec {
    Spec { addresses: vec!["192.0.2.254/24", "192.0.2.253/24"], ..spec() }
}

/// Taken off by hand as Active: back at once, and announced again (E29).
#[test]
fn removed_by_hand() {
    let mut l = Lab::active(&[two()]);
    l.run_ms(T0, 60_000);
    l.took();
    l.has(ETH0, &["192.0.2.1/24", "192.0.2.253/24"]);
    assert_eq!(
        l.took(),
        ["AddressRestored", "add 192.0.2.254/24 on 2", "announce 192.0.2.254 on 2", "announce 192.0.2.253 on 2"]
    );
}

/// All of them at once: none is announced before it is back, and there is one round of all.
#[test]
fn all_removed_by_hand() {
    let mut l = Lab::active(&[two()]);
    l.run_ms(T0, 60_000);
    l.took();
    l.has(ETH0, &["192.0.2.1/24"]);
    assert_eq!(
        l.took(),
        [
            "AddressRestored",
            "AddressRestored",
            "add 192.0.2.254/24 on 2",
            "add 192.0.2.253/24 on 2",
            "announce 192.0.2.254 on 2",
            "announce 192.0.2.253 on 2",
        ]
    );
    let now = l.now;
    assert_eq!(of_kind(&l.run_ms(now, 200), "announce"), [20, 20, 40, 40, 60, 60, 80, 80]);
}

/// As Backup nothing is put on.
#[test]
fn nothing_as_backup() {
    let mut l = Lab::new(&[spec()]);
    l.took();
    l.has(ETH0, &["192.0.2.1/24"]);
    assert_eq!(l.took(), [""; 0]);
}

/// There before us: used, said, announced, and never removed.
#[test]
fn foreign() {
    let mut l = Lab::new(&[spec()]);
    l.took();
    l.has(ETH0, &["192.0.2.1/24", "192.0.2.254/24"]);
    assert_eq!(l.took(), ["ForeignAddress"]);
    l.fire();
    let did = l.took();
    assert!(did.contains(&"announce 192.0.2.254 on 2".to_owned()) && !did.iter().any(|d| d.starts_with("add")));
    l.hear(200, PEER);
    assert_eq!(l.took(), ["ChecksumForm", "MASTER to BACKUP"]);
    // It goes while we are Active: now it is ours to put on, and to take off.
    l.run_ms(T0, 60_000);
    l.took();
    assert!(l.is_active());
    l.has(ETH0, &["192.0.2.1/24"]);
    assert_eq!(l.took(), ["add 192.0.2.254/24 on 2", "announce 192.0.2.254 on 2"]);
    l.hear(200, PEER);
    assert_eq!(l.took(), ["remove 192.0.2.254/24 on 2", "MASTER to BACKUP"]);
}

/// The kernel has an equal one that we did not know of.
#[test]
fn exists() {
    let mut l = Lab::active(&[spec()]);
    l.event(Event::AddressExists(AddressId(0)));
    assert_eq!(l.took(), ["ForeignAddress"]);
    l.hear(200, PEER);
    assert_eq!(l.took(), ["ChecksumForm", "MASTER to BACKUP"]);
    assert_eq!(l.r.own_addresses().count(), 0);
    l.event(Event::AddressExists(AddressId(77)));
}

/// The kernel refused: tried again with the next advert, and announced then.
#[test]
fn failed() {
    let mut l = Lab::active(&[Spec { garp: Garp { delay: Micros::ZERO, repeat: 1, ..Garp::default() }, ..spec() }]);
    l.event(Event::AddressFailed(AddressId(0)));
    assert_eq!(l.took(), [""; 0]);
    l.fire();
    let advert = "advert 100 of 0 from 192.0.2.1 to 224.0.0.18";
    assert_eq!(l.took(), [advert, "add 192.0.2.254/24 on 2", "announce 192.0.2.254 on 2"]);
    l.fire();
    assert_eq!(l.took(), [advert]);
    l.event(Event::AddressFailed(AddressId(77)));
}

/// `dev`: on the other interface, announced there, and put there when that comes later.
#[test]
fn other_device() {
    let mut l = Lab::active(&[Spec { addresses: vec!["192.0.2.254/24", "10.0.0.1/24 eth1"], ..spec() }]);
    l.link(ETH1, "eth1", true);
    l.has(ETH1, &[]);
    let did = l.took();
    assert_eq!(did[..3], ["rebind 3 V4", "rebind 3 V6", "add 10.0.0.1/24 on 3"]);
    assert!(did.contains(&"announce 10.0.0.1 on 3".to_owned()));
    // Gone with its interface: the instance stays what it is.
    l.event(Event::LinkGone { ifindex: ETH1 });
    assert!(l.is_active());
    l.link(7, "eth1", true);
    l.took();
    l.has(7, &[]);
    assert_eq!(l.took()[..2], ["add 10.0.0.1/24 on 7", "announce 192.0.2.254 on 2"]);
    l.hear(200, PEER);
    assert_eq!(l.took()[1..3], ["remove 192.0.2.254/24 on 2", "remove 10.0.0.1/24 on 7"]);
}

fn stale(before: bool) -> Lab {
    let mut l = Lab::blank(config(&[spec()]));
    if before {
        l.event(Event::Stale(AddressId(0)));
    }
    l.link(ETH0, "eth0", true);
    l.has(ETH0, &["192.0.2.1/24", "192.0.2.254/24"]);
    if !before {
        l.event(Event::Stale(AddressId(0)));
    }
    l.event(Event::Start);
    assert!(l.is_backup());
    l.took();
    l
}

/// An address of an earlier run stays until another router speaks…
#[test]
fn stale_until_another_speaks() {
    for before in [false, true] {
        let mut l = stale(before);
        l.hear(0, PEER);
        assert_eq!(l.took(), ["ChecksumForm"]);
        // Whatever its priority.
        l.hear(1, PEER);
        assert_eq!(l.took(), ["remove 192.0.2.254/24 on 2"]);
        l.hear(1, PEER);
        assert_eq!(l.took(), [""; 0]);
    }
}

/// …or until it is told to stay Backup…
#[test]
fn stale_until_a_yield() {
    for before in [false, true] {
        let mut l = stale(before);
        let until = crate::router::FOR_EVER;
        l.event(Event::Yield { instance: crate::router::event::InstanceId(0), until });
        assert_eq!(l.took(), ["Yielded", "remove 192.0.2.254/24 on 2"]);
        l.event(Event::Resume(crate::router::event::InstanceId(0)));
        assert_eq!(l.took(), ["Yielded"]);
    }
}

/// …or until a fault…
#[test]
fn stale_until_a_fault() {
    let mut l = stale(true);
    l.link(ETH0, "eth0", false);
    assert_eq!(l.took(), ["remove 192.0.2.254/24 on 2", "BACKUP to FAULT"]);
}

/// …or is kept when we become Active: not added again, but announced, and ours.
#[test]
fn stale_and_active() {
    for before in [false, true] {
        let mut l = stale(before);
        l.fire();
        let did = l.took();
        let advert = "advert 100 of 0 from 192.0.2.1 to 224.0.0.18";
        assert_eq!(did, [advert, "announce 192.0.2.254 on 2", "BACKUP to MASTER"]);
        l.hear(99, PEER);
        assert!(!l.took().iter().any(|d| d.starts_with("remove")));
        l.hear(101, PEER);
        assert_eq!(l.took(), ["remove 192.0.2.254/24 on 2", "MASTER to BACKUP"]);
    }
}

/// A stale address goes with a stop too.
#[test]
fn stale_and_stop() {
    let mut l = stale(false);
    l.event(Event::Stop);
    assert_eq!(l.took(), ["remove 192.0.2.254/24 on 2", "BACKUP to STOP"]);
}

/// News of our own doing needs no second look; all else does.
#[test]
fn needs_addresses() {
    let mut l = Lab::new(&[spec()]);
    let ours = on_link("192.0.2.254/24");
    let primary = on_link("192.0.2.1/24");
    assert!(l.r.needs_addresses(ETH0, &ours, true), "somebody else adds it");
    assert!(!l.r.needs_addresses(ETH0, &ours, false), "it was not ours to begin with");
    l.fire();
    assert!(!l.r.needs_addresses(ETH0, &ours, true), "we have just put it on");
    assert!(l.r.needs_addresses(ETH0, &ours, false), "taken off by hand");
    assert!(l.r.needs_addresses(ETH0, &on_link("192.0.2.254/32"), true), "another length");
    assert!(l.r.needs_addresses(ETH0, &primary, false) && l.r.needs_addresses(ETH0, &primary, true));
    assert!(!l.r.needs_addresses(ETH1, &ours, true), "not our interface");
    l.event(Event::AddressExists(AddressId(0)));
    assert!(l.r.needs_addresses(ETH0, &ours, false), "a foreign one goes");
}

/// By name, address and length; and the list of what may be ours.
#[test]
fn found_and_listed() {
    let l = Lab::new(&[Spec { addresses: vec!["192.0.2.254/24", "10.0.0.1/24 eth1"], ..spec() }]);
    assert_eq!(l.r.find_address("eth0", ip("192.0.2.254"), 24), Some(AddressId(0)));
    assert_eq!(l.r.find_address("eth1", ip("10.0.0.1"), 24), Some(AddressId(1)));
    assert_eq!(l.r.find_address("eth0", ip("10.0.0.1"), 24), None);
    assert_eq!(l.r.find_address("eth0", ip("192.0.2.254"), 32), None);
    let own: Vec<_> = l.r.own_addresses().map(|(on, a)| (on, a.id.0, a.ifindex)).collect();
    assert_eq!(own, [("eth0", 0, ETH0), ("eth1", 1, 0)]);
}
