//! Who is Active: preemption, ties, priorities.

use std::time::{Duration, Instant};

use crate::support::{Flavour, Lab, Picovrrp, SOON, Two, V2, V3, V3_IPV6, VIP4};

/// b is Active with priority 100 when a joins with 150 and these properties.
fn joined(flavour: Flavour, on_a: &str) -> (Two, Instant) {
    let (lab, a, b, client) = Lab::trio();
    let two = Picovrrp::start_until(&b, &flavour.config("priority 100"), "MASTER");
    let start = Instant::now();
    let one = Picovrrp::start(&a, &flavour.config(&format!("priority 150 {on_a}")));
    (Two { one, two, a, b, client, lab, flavour }, start)
}

#[test]
fn a_higher_priority_preempts() {
    for flavour in [V2, V3, V3_IPV6] {
        let (mut t, start) = joined(flavour, "preempt on");
        let claim = t.lab.wire().wait("an advert of a", start, SOON, |s| s.is_claim_of("a"));
        let waited = claim.at - start;
        assert!(waited >= flavour.active_down_interval(150), "it takes over after its down timer, not at {waited:?}");
        assert_eq!(t.sole_active(), "a");
        t.two.wait_state("BACKUP", SOON);
    }
}

#[test]
fn a_higher_priority_that_does_not_preempt_waits_for_the_incumbent_to_go() {
    let (mut t, start) = joined(V3, "preempt off");
    t.one.wait_state("BACKUP", SOON);
    t.lab.wire().wait_many("adverts of b", 15, start, SOON, |s| s.is_claim_of("b"));
    assert_eq!(t.lab.wire().count(start, |s| s.from == "a" && s.advert().is_some()), 0, "a stays silent");
    t.two.terminate();
    t.one.wait_state("MASTER", SOON);
    t.a.wait_has(VIP4, SOON);
}

#[test]
fn a_delayed_preemption_waits_its_delay_and_happens() {
    let (t, start) = joined(V3, "preempt after 3s");
    let claim = t.lab.wire().wait("an advert of a", start, SOON, |s| s.is_claim_of("a"));
    let waited = claim.at - start;
    let (least, most) = (Duration::from_secs(3), Duration::from_secs(3) + V3.interval * 8);
    assert!(waited >= least && waited <= most, "a preempted after {waited:?}");
    assert_eq!(t.sole_active(), "a");
}

#[test]
fn a_delayed_preemption_does_not_delay_the_replacement_of_a_dead_router() {
    let (mut t, _) = joined(V3, "preempt after 60s");
    t.one.wait_state("BACKUP", SOON);
    let heard = Instant::now();
    t.lab.wire().wait_many("adverts of b", 3, heard, SOON, |s| s.is_claim_of("b"));
    t.b.vanish();
    t.one.wait_state("MASTER", SOON);
}

/// Two Actives of equal priority, made by parting the bridge, meet.
fn tie(flavour: Flavour) {
    let (lab, a, b, client) = Lab::trio();
    lab.part(&a, &b);
    let one = Picovrrp::start_until(&a, &flavour.config("priority 100"), "MASTER");
    let two = Picovrrp::start_until(&b, &flavour.config("priority 100"), "MASTER");
    let mut t = Two { one, two, a, b, client, lab, flavour };
    let healed = Instant::now();
    t.lab.heal();
    assert_eq!(t.sole_active(), "b", "192.0.2.2 and fe80::2 are higher than 192.0.2.1 and fe80::1");
    t.one.wait_state("BACKUP", SOON);
    t.two.wait_state("MASTER", SOON);
    let yielded = t.lab.wire().last(|s| s.is_claim_of("a")).map(|s| s.at.saturating_duration_since(healed));
    assert!(yielded.is_none_or(|d| d < flavour.interval * 3), "a yields at b's first advert: {yielded:?}");
}

#[test]
fn of_equal_priorities_the_higher_address_wins() {
    tie(V3);
}

#[test]
fn of_equal_priorities_the_higher_link_local_address_wins() {
    tie(V3_IPV6);
}

#[test]
fn of_equal_priorities_the_incumbent_stays() {
    let (lab, a, b, client) = Lab::trio();
    let one = Picovrrp::start_until(&a, &V3.config("priority 100"), "MASTER");
    let start = Instant::now();
    let two = Picovrrp::start_until(&b, &V3.config("priority 100"), "BACKUP");
    let mut t = Two { one, two, a, b, client, lab, flavour: V3 };
    t.lab.wire().wait_many("adverts of a", 12, start, SOON, |s| s.is_claim_of("a"));
    assert_eq!(t.lab.wire().count(start, |s| s.from == "b" && s.advert().is_some()), 0, "a Backup breaks no tie");
    t.one.wait_state("MASTER", SOON);
}

#[test]
fn either_checksum_is_understood_whichever_is_sent() {
    for (on_a, on_b, counted, other) in [
        ("plain", "pseudo", "checksum_plain_rcvd", "checksum_pseudo_rcvd"),
        ("pseudo", "plain", "checksum_pseudo_rcvd", "checksum_plain_rcvd"),
    ] {
        let mut t = Two::start(V3, &format!("checksum {on_a}"), &format!("checksum {on_b}"));
        let start = Instant::now();
        t.lab.wire().wait_many("adverts of a", 6, start, SOON, |s| s.is_claim_of("a"));
        assert!(t.two.stat(counted) > 0 && t.two.stat(other) == 0, "b counts what a sends: {:#}", t.two.instance());
        assert_eq!(t.lab.wire().count(start, |s| s.from == "b" && s.advert().is_some()), 0);
        // And the other way round: the former Active is told by an advert in the other form.
        t.two.write_config(&V3.config(&format!("priority 200 checksum {on_b}")));
        t.two.process.signal(crate::support::process::Signal::HUP);
        t.one.wait_state("BACKUP", SOON);
        assert_eq!(t.sole_active(), "b");
    }
}
