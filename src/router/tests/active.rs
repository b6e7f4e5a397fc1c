//! Becoming Active, staying it, and leaving.

use super::*;

/// In one step and in this order: advert, addresses, announcements, word of it.
#[test]
fn becoming_active() {
    let mut l = Lab::new(&[Spec { addresses: vec!["192.0.2.254/24", "192.0.2.253/32"], ..spec() }]);
    assert_eq!(l.took(), ["rebind 2 V4", "rebind 2 V6", "INIT to BACKUP"]);
    assert_eq!(l.r.next_deadline(), Some(T0 + Micros(3_609_375)));
    l.fire();
    assert_eq!(
        l.took(),
        [
            "advert 100 of 0 from 192.0.2.1 to 224.0.0.18",
            "add 192.0.2.254/24 on 2",
            "add 192.0.2.253/32 on 2",
            "announce 192.0.2.254 on 2",
            "announce 192.0.2.253 on 2",
            "BACKUP to MASTER",
        ]
    );
    let v = l.r.view(0).unwrap();
    assert_eq!((v.reason.name(), v.stats.master_transitions, v.transitions), ("no-response", 1, 2));
}

/// IPv6 sends from the link-local address to ff02::12.
#[test]
fn ipv6() {
    let mut l = Lab::new(&[v6()]);
    l.took();
    l.fire();
    let did = l.took();
    assert_eq!(did[0], "advert 100 of 0 from fe80::1 to ff02::12");
    assert_eq!(did[1..3], ["add fe80::fff0/64 on 2", "add 2001:db8::1/64 on 2"]);
}

/// Five rounds 20 ms apart, and five more after 5 s; none later.
#[test]
fn announcements_in_time() {
    let mut l = Lab::new(&[spec()]);
    let start = l.r.next_deadline().unwrap();
    let all = l.run_ms(start, 60_000);
    assert_eq!(of_kind(&all, "announce"), [0, 20, 40, 60, 80, 5000, 5020, 5040, 5060, 5080]);
    // Adverts go on beside them, once a second.
    assert_eq!(of_kind(&all, "advert"), (0..57).map(|s| s * 1000).collect::<Vec<_>>());
}

/// A better advert: the addresses go at once, without a word on the wire.
#[test]
fn outvoted() {
    let mut l = Lab::active(&[spec()]);
    l.hear(101, PEER);
    assert_eq!(l.took(), ["ChecksumForm", "remove 192.0.2.254/24 on 2", "MASTER to BACKUP"]);
    assert_eq!(l.r.next_deadline(), Some(l.now + Micros(3_609_375)));
    assert_eq!(l.r.view(0).unwrap().master, Some((ip(PEER), 101)));
}

/// Equal priority: the higher address stays.
#[test]
fn tie_break() {
    let mut l = Lab::active(&[spec()]);
    l.hear(100, "192.0.2.0");
    assert!(l.is_active());
    l.hear(100, PEER);
    assert!(l.is_backup());
}

/// A losing advert is answered at once, with a new round of announcements for who believed it, and
/// not more often than twice an interval.
#[test]
fn losing_adverts() {
    let mut l = Lab::active(&[Spec { garp: Garp { delay: Micros::ZERO, repeat: 1, ..Garp::default() }, ..spec() }]);
    l.hear(99, PEER);
    assert_eq!(
        l.took(),
        ["ChecksumForm", "Conflict", "advert 100 of 0 from 192.0.2.1 to 224.0.0.18", "announce 192.0.2.254 on 2"]
    );
    let mut sent = 0;
    for _ in 0..998 {
        l.now = l.now + Micros::from_millis(1);
        l.hear(99, PEER);
        sent += l.took().iter().filter(|d| d.starts_with("advert")).count();
    }
    assert_eq!(sent, 1);
    assert_eq!(l.r.view(0).unwrap().stats.assertions_sent, 2);
}

/// Priority 255 is Active at once, with the addresses that it owns; they are never taken off.
#[test]
fn owner() {
    let mut l = Lab::blank(config(&[Spec { priority: 255, addresses: vec!["192.0.2.1/24"], ..spec() }]));
    l.link(ETH0, "eth0", true);
    l.has(ETH0, &["192.0.2.1/24"]);
    l.took();
    l.event(Event::Start);
    let advert = "advert 255 of 0 from 192.0.2.1 to 224.0.0.18";
    assert_eq!(l.took(), [advert, "announce 192.0.2.1 on 2", "INIT to MASTER"]);
    assert_eq!(l.r.view(0).unwrap().reason.name(), "priority");
    l.event(Event::Stop);
    l.hear(100, PEER);
    assert_eq!(l.took(), ["advert 0 of 0 from 192.0.2.1 to 224.0.0.18", "ChecksumForm", "MASTER to STOP"]);
}

/// Two owners: the higher address wins, and it is said.
#[test]
fn two_owners() {
    let mut l = Lab::active(&[Spec { priority: 255, ..spec() }]);
    l.hear(255, PEER);
    assert_eq!(l.took()[..2], ["ChecksumForm", "TwoOwners"]);
    assert!(l.is_backup());
}

/// Stopping hands over: priority 0, then silence; the addresses stay until the successor speaks.
#[test]
fn stop_is_make_before_break() {
    let mut l = Lab::active(&[spec()]);
    l.event(Event::Stop);
    assert_eq!(l.took(), ["advert 0 of 0 from 192.0.2.1 to 224.0.0.18"]);
    assert!(!l.r.is_stopped() && l.r.view(0).unwrap().leaving);
    // Somebody else who leaves is no successor; any other priority is.
    l.hear(0, PEER);
    assert_eq!(l.took(), ["ChecksumForm"]);
    l.hear(1, PEER);
    assert_eq!(l.took(), ["remove 192.0.2.254/24 on 2", "MASTER to STOP"]);
    assert!(l.r.is_stopped());
    assert_eq!(l.r.next_deadline(), None);
    assert_eq!(l.r.view(0).unwrap().stats.priority_zero_pkts_sent, 1);
}

/// Nobody takes over: the Skew_Time of priority 1, and 100 ms.
#[test]
fn stop_alone() {
    let mut l = Lab::active(&[spec()]);
    l.event(Event::Stop);
    l.took();
    let stopped = l.now;
    assert_eq!(
        l.run_ms(stopped, 60_000),
        [(1096, "remove 192.0.2.254/24 on 2".to_owned()), (1096, "MASTER to STOP".to_owned())]
    );
    assert!(l.r.is_stopped());
    l.event(Event::Stop);
    assert_eq!(l.took(), [""; 0]);
}

/// A slow interval: 5 s at most.
#[test]
fn stop_at_a_long_interval() {
    let mut l = Lab::active(&[Spec { advert: 4095, ..spec() }]);
    l.event(Event::Stop);
    assert_eq!(l.r.next_deadline(), Some(l.now + Micros::from_secs(5)));
}

/// Stopped as Backup or in Fault: nothing to hand over, nothing on the wire.
#[test]
fn stop_elsewhere() {
    let mut l = Lab::new(&[spec()]);
    l.took();
    l.event(Event::Stop);
    assert_eq!(l.took(), ["BACKUP to STOP"]);
    let mut l = Lab::blank(config(&[spec()]));
    l.event(Event::Start);
    l.event(Event::Stop);
    assert_eq!(l.took(), ["INIT to FAULT", "FAULT to STOP"]);
    assert!(l.r.is_stopped());
    // And nothing starts any more.
    l.link(ETH0, "eth0", true);
    l.has(ETH0, &["192.0.2.1/24"]);
    l.event(Event::Start);
    assert_eq!(l.took(), ["rebind 2 V4", "rebind 2 V6"]);
}

/// The interface goes while the successor is awaited: released at once.
#[test]
fn stop_and_link_down() {
    let mut l = Lab::active(&[spec()]);
    l.event(Event::Stop);
    l.took();
    l.link(ETH0, "eth0", false);
    assert_eq!(l.took(), ["remove 192.0.2.254/24 on 2", "MASTER to STOP"]);
    assert!(l.r.is_stopped());
}
