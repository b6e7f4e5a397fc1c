//! The daemon is stopped and goes on (PROTOCOL.md E42, E43).

use std::time::Instant;

use crate::support::process::Signal;
use crate::support::{Lab, Picovrrp, SOON, Two, V2, V3, VIP4};

#[test]
fn a_stalled_backup_reads_what_it_missed_before_it_fires_its_timer() {
    for flavour in [V3, V2] {
        let mut t = Two::start(flavour, "", "");
        let start = Instant::now();
        t.two.process.signal(Signal::STOP);
        // Well over its down interval of three adverts and the skew.
        t.lab.wire().wait_many("adverts of a", 8, start, SOON, |s| s.is_claim_of("a"));
        t.two.process.signal(Signal::CONT);
        t.lab.wire().wait_many("adverts of a", 5, Instant::now(), SOON, |s| s.is_claim_of("a"));
        assert_eq!(
            t.lab.wire().count(start, |s| s.from == "b" && s.advert().is_some()),
            0,
            "b took over while a lived"
        );
        assert!(!t.b.has(VIP4));
        t.two.wait_state("BACKUP", SOON);
    }
}

#[test]
fn a_stalled_active_is_replaced_and_one_is_active_when_it_goes_on() {
    let mut t = Two::start(V3, "", "");
    t.one.process.signal(Signal::STOP);
    t.two.wait_state("MASTER", SOON);
    t.b.wait_has(VIP4, SOON);
    t.one.process.signal(Signal::CONT);
    assert_eq!(t.sole_active(), "a", "the higher priority");
    t.one.wait_state("MASTER", SOON);
    t.two.wait_state("BACKUP", SOON);
}

#[test]
fn a_stalled_active_that_was_outvoted_yields_as_soon_as_it_goes_on() {
    // b's priority is the higher, but it does not preempt.
    let mut t = Two::start_with(V3, "priority 150", "priority 200 preempt off");
    let stopped = Instant::now();
    t.one.process.signal(Signal::STOP);
    t.lab.wire().wait_many("adverts of b", 3, stopped, SOON, |s| s.is_claim_of("b"));
    let resumed = Instant::now();
    t.one.process.signal(Signal::CONT);
    assert_eq!(t.sole_active(), "b");
    t.one.wait_state("BACKUP", SOON);
    // The advert that was due when it was stalled may still go out; then it reads what waited for it.
    let spoke = t.lab.wire().count(resumed, |s| s.is_claim_of("a"));
    assert!(spoke <= 1, "b's adverts were waiting in a's socket, and a spoke {spoke} times before it read them");
}

#[test]
fn an_interface_recreated_while_notices_were_lost_is_found_again() {
    let (_lab, a, _b, _client) = Lab::trio();
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    one.process.signal(Signal::STOP);
    // More changes than the kernel keeps for a socket that nobody reads.
    let changes: String = (0..1500).map(|_| "addr add 10.1.1.1/32 dev lo\naddr del 10.1.1.1/32 dev lo\n").collect();
    let batch = a.dir().join("changes");
    std::fs::write(&batch, changes).expect("the lab's directory can be written to");
    a.ns().ip(&format!("-batch {}", batch.display()));
    a.delete_interface();
    a.create_interface();
    assert!(!a.has(VIP4));
    one.process.signal(Signal::CONT);
    a.wait_has(VIP4, SOON);
    one.wait_state("MASTER", SOON);
}
