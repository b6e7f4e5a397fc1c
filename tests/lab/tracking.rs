//! Tracked interfaces on a real kernel: weights move the election, weight 0 is handed over.

use std::time::Instant;

use crate::support::lab::{Lab, Node, VIP4};
use crate::support::picovrrp::Picovrrp;
use crate::support::pinger::Pinger;
use crate::support::two::V3;
use crate::support::{SOON, ms, observe, wait_until};

/// a with 150 and b with 100 track their own `wan`, which is up.
struct Tracked {
    one: Picovrrp,
    two: Picovrrp,
    a: Node,
    b: Node,
    client: Node,
    lab: Lab,
}

impl Tracked {
    #[track_caller]
    fn start(track: &str) -> Self {
        let (lab, a, b, client) = Lab::trio();
        a.create_link("wan", "wan-a");
        b.create_link("wan", "wan-b");
        let config = |priority| V3.config(&format!("priority {priority} {track}"));
        let one = Picovrrp::start_until(&a, &config(150), "MASTER");
        let two = Picovrrp::start_until(&b, &config(100), "BACKUP");
        Tracked { one, two, a, b, client, lab }
    }

    #[track_caller]
    fn sole_active(&self) -> &str {
        self.lab.wait_sole_active(&[&self.a, &self.b], VIP4, SOON).name()
    }
}

fn effective(daemon: &Picovrrp) -> u64 {
    daemon.status().and_then(|s| s["instances"][0]["effective_priority"].as_u64()).expect("a status")
}

#[test]
fn a_weight_moves_the_address_and_moves_it_back() {
    let mut t = Tracked::start("track-interface wan weight -60");
    assert_eq!((effective(&t.one), effective(&t.two)), (150, 100));
    let cut = Instant::now();
    t.a.ns().ip("link set wan down");
    // The next advert says so, and b preempts within its Active_Down_Interval.
    t.lab.wire().wait("an advert of a with 90", cut, SOON, |s| {
        s.is_claim_of("a") && s.advert().is_some_and(|a| a.priority == 90)
    });
    t.two.wait_state("MASTER", SOON);
    assert_eq!(t.sole_active(), "b");
    t.one.wait_state("BACKUP", SOON);
    let tracks = t.one.status().expect("a status")["instances"][0]["tracks"].clone();
    assert_eq!(tracks, serde_json::json!([{"name": "wan", "state": "down", "weight": -60}]));
    // Both have lost it: the better one holds the address all the same.
    t.b.ns().ip("link set wan down");
    t.one.wait_state("MASTER", SOON);
    assert_eq!(t.sole_active(), "a");
    t.b.ns().ip("link set wan up");
    assert_eq!(t.sole_active(), "b");
    t.a.ns().ip("link set wan up");
    t.one.wait_state("MASTER", SOON);
    assert_eq!(t.sole_active(), "a");
}

#[test]
fn weight_zero_is_a_fault_that_is_handed_over_without_a_gap() {
    let mut t = Tracked::start("track-interface wan");
    let pinger = Pinger::start(t.client.ns(), VIP4);
    pinger.wait_answer(Instant::now(), SOON);
    let cut = Instant::now();
    t.a.ns().ip("link set wan down");
    t.one.wait_state("FAULT", SOON);
    t.two.wait_state("MASTER", SOON);
    assert_eq!(t.sole_active(), "b");
    pinger.wait_answer(Instant::now(), SOON);
    let gap = pinger.stop().longest_silence(cut);
    assert!(gap <= ms(100), "the client saw nobody for {gap:?}");
    assert_eq!(t.lab.wire().count(cut, |s| s.is_farewell_of("a")), 1);
    assert!(t.one.process.log().contains("it tracks wan, which is down"), "{}", t.one.process.log());
    // A fault takes no part, whatever happens to the other.
    t.b.vanish();
    observe(ms(1500));
    t.one.wait_state("FAULT", SOON);
    assert!(!t.a.has(VIP4));
    t.a.ns().ip("link set wan up");
    t.one.wait_state("MASTER", SOON);
}

#[test]
fn an_interface_that_does_not_exist_is_down_until_it_comes() {
    let (_lab, a, _b, _client) = Lab::trio();
    let one = Picovrrp::start_until(&a, &V3.config("priority 100 track-interface wan weight 50"), "MASTER");
    assert_eq!(effective(&one), 100);
    a.create_link("wan", "wan-a");
    wait_until("the weight counts", SOON, || effective(&one) == 150);
    a.ns().ip("link del wan");
    wait_until("the weight is gone", SOON, || effective(&one) == 100);
}
