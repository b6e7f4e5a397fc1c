//! Tracked interfaces: weights, their limits, and Fault.

use super::*;
use crate::router::event::Fault;

fn tracking(priority: u8, tracks: &[(&'static str, i16, bool)]) -> Spec {
    Spec { priority, tracks: tracks.to_vec(), ..spec() }
}

fn effective(l: &Lab) -> u8 {
    l.r.view(0).unwrap().effective_priority
}

/// keepalived's rules: positive while up, negative while down, reverse changes the sign; held to 1…254; 255 stays.
#[test]
fn weights() {
    for (base, weight, reverse, up, down) in [
        (100, 50, false, 150, 100),
        (100, -30, false, 100, 70),
        (100, 50, true, 50, 100),
        (100, -30, true, 100, 130),
        (200, 100, false, 254, 200),
        (50, -100, false, 50, 1),
        (255, -100, false, 255, 255),
    ] {
        let mut l = Lab::new(&[tracking(base, &[("wan", weight, reverse)])]);
        assert_eq!(effective(&l), down, "{base} {weight} {reverse}: no such interface is down");
        l.link(9, "wan", true);
        assert_eq!(effective(&l), up, "{base} {weight} {reverse}: up");
        l.link(9, "wan", false);
        assert_eq!(effective(&l), down, "{base} {weight} {reverse}: down");
        l.link(9, "wan", true);
        l.event(Event::LinkGone { ifindex: 9 });
        assert_eq!(effective(&l), down, "{base} {weight} {reverse}: gone");
    }
}

/// The sum counts, and only then its limits.
#[test]
fn several() {
    let l = Lab::new(&[tracking(200, &[("a", -150, false), ("b", 100, true), ("c", 0, true)])]);
    assert_eq!(effective(&l), 50);
    assert!(l.is_backup());
    let l = Lab::new(&[tracking(200, &[("a", -150, false), ("b", -100, true), ("c", 0, true)])]);
    assert_eq!(effective(&l), 150);
}

/// As Active: the next advert carries the change, and nothing else happens; it is told once.
#[test]
fn the_next_advert_carries_it() {
    let mut l = Lab::new(&[tracking(150, &[("wan", -60, false)])]);
    l.link(9, "wan", true);
    while !l.is_active() {
        l.fire();
    }
    l.took();
    l.link(9, "wan", false);
    assert_eq!(l.took(), ["Priority"]);
    l.link(9, "wan", false);
    assert_eq!(l.took(), [""; 0]);
    let adverts = l.run_ms(l.now, 1000);
    let advert = adverts.iter().find(|(_, d)| d.starts_with("advert")).unwrap();
    assert_eq!(advert.1, "advert 90 of 0 from 192.0.2.1 to 224.0.0.18");
    // and it loses the election against what it would have won against
    l.hear(100, PEER);
    assert!(l.is_backup());
}

/// A Backup that gains discards the Active's adverts from then on, and takes over.
#[test]
fn a_gain_preempts() {
    let mut l = Lab::new(&[tracking(100, &[("wan", 60, false)])]);
    l.hear(120, PEER);
    let due = l.r.next_deadline();
    l.link(9, "wan", true);
    assert_eq!(effective(&l), 160);
    l.hear(120, PEER);
    assert_eq!(l.r.next_deadline(), due);
    l.fire();
    assert!(l.is_active());
}

/// Weight 0: handed over make-before-break, then Fault; back through Backup.
#[test]
fn fault_and_return() {
    let mut l = Lab::new(&[tracking(150, &[("wan", 0, false)])]);
    assert_eq!(l.r.view(0).unwrap().fault, Some(Fault::Tracked));
    l.link(9, "wan", true);
    while !l.is_active() {
        l.fire();
    }
    l.took();
    l.link(9, "wan", false);
    assert_eq!(l.took(), ["advert 0 of 0 from 192.0.2.1 to 224.0.0.18"]);
    assert!(matches!(l.state(), State::Leaving { .. }));
    l.hear(100, PEER);
    let did = l.took();
    assert_eq!(did[did.len() - 2..], ["remove 192.0.2.254/24 on 2", "MASTER to FAULT"]);
    assert_eq!(l.r.next_deadline(), None);
    l.link(9, "wan", true);
    assert_eq!(l.took().last().map(String::as_str), Some("FAULT to BACKUP"));
}

/// What recovers while the successor is awaited leads to Backup, never straight back to Active.
#[test]
fn recovered_while_leaving() {
    let mut l = Lab::new(&[tracking(150, &[("wan", 0, false)])]);
    l.link(9, "wan", true);
    while !l.is_active() {
        l.fire();
    }
    l.link(9, "wan", false);
    l.link(9, "wan", true);
    assert!(matches!(l.state(), State::Leaving { .. }));
    l.took();
    l.hear(100, PEER);
    let did = l.took();
    assert_eq!(did[did.len() - 2..], ["remove 192.0.2.254/24 on 2", "MASTER to BACKUP"]);
}

/// The own interface goes down while leaving: released at once.
#[test]
fn down_while_leaving() {
    let mut l = Lab::new(&[tracking(150, &[("wan", 0, false)])]);
    l.link(9, "wan", true);
    while !l.is_active() {
        l.fire();
    }
    l.link(9, "wan", false);
    l.took();
    l.link(ETH0, "eth0", false);
    assert_eq!(l.took(), ["remove 192.0.2.254/24 on 2", "MASTER to FAULT"]);
    assert_eq!(l.r.view(0).unwrap().fault, Some(Fault::InterfaceDown));
}

/// Another weight by a reload counts at once; the state stays.
#[test]
fn reload_of_a_weight() {
    let mut l = Lab::active(&[tracking(150, &[("wan", -10, false)])]);
    assert_eq!(effective(&l), 140);
    l.reload(config(&[tracking(150, &[("wan", -20, false)])]));
    l.event(Event::Start);
    assert_eq!(effective(&l), 130);
    assert!(l.is_active());
}
