//! Handing over for maintenance: `yield` and `resume`.

use std::time::Instant;

use crate::support::{Lab, Picovrrp, Pinger, SOON, Two, V3, VIP4, ms, observe, wait_until};

#[test]
fn a_yield_hands_over_and_lasts_until_it_is_resumed() {
    let mut t = Two::start(V3, "", "");
    let pinger = Pinger::start(t.client.ns(), VIP4);
    pinger.wait_answer(Instant::now(), SOON);
    let start = Instant::now();
    assert!(t.one.command(&["yield", "lan"]).status.success());
    // The command comes back when it is done.
    assert!(t.b.has(VIP4) && !t.a.has(VIP4));
    t.two.wait_state("MASTER", SOON);
    let one = t.one.instance();
    assert_eq!((&one["state"], &one["yielded"]), (&"BACKUP".into(), &true.into()), "{one:#}");
    assert_eq!(one["resume_s"], serde_json::Value::Null);
    assert!(t.one.command(&["status"]).stdout.windows(6).any(|w| w == b"yields"));
    assert_eq!(t.lab.wire().count(start, |s| s.is_farewell_of("a")), 1);
    // A reload changes nothing about it, nor do adverts of a lower router.
    assert!(t.one.command(&["reload"]).status.success());
    t.lab.wire().wait_many("adverts of b", 15, Instant::now(), SOON, |s| s.is_claim_of("b"));
    observe(ms(300));
    let silence = pinger.stop().longest_silence(start);
    assert!(silence < ms(100), "the client was without an answer for {silence:?}");
    assert_eq!(t.sole_active(), "b");
    assert!(t.one.command(&["resume", "lan"]).status.success());
    t.one.wait_state("MASTER", SOON);
    t.two.wait_state("BACKUP", SOON);
    assert_eq!(t.one.instance()["yielded"], false);
}

#[test]
fn a_yield_survives_a_restart_and_a_crash_and_the_other_router_going_away() {
    let mut t = Two::start(V3, "", "");
    assert!(t.one.command(&["yield", "lan"]).status.success());
    t.two.wait_state("MASTER", SOON);
    for kill in [false, true] {
        if kill {
            t.one.process.kill();
        } else {
            t.one.terminate();
            t.one.process.wait_exit(SOON);
        }
        t.one = Picovrrp::start_until(&t.a, &V3.config("priority 150"), "BACKUP");
        let start = Instant::now();
        t.lab.wire().wait_many("adverts of b", 8, start, SOON, |s| s.is_claim_of("b"));
        assert_eq!(t.one.instance()["yielded"], true);
        assert_eq!(t.lab.wire().count(start, |s| s.is_claim_of("a")), 0);
    }
    t.two.process.kill();
    let gone = Instant::now();
    observe(V3.active_down_interval(150) * 3);
    assert_eq!(t.lab.wire().count(gone, |s| s.is_claim_of("a")), 0, "it stays away");
    assert!(t.one.command(&["resume", "lan"]).status.success());
    t.one.wait_state("MASTER", SOON);
    // Nothing is left of it.
    t.one.terminate();
    t.one.process.wait_exit(SOON);
    t.one = Picovrrp::start_until(&t.a, &V3.config("priority 150"), "MASTER");
}

#[test]
fn a_yield_for_a_while_ends_by_itself_through_a_restart_too() {
    for restart in [false, true] {
        let mut t = Two::start(V3, "", "");
        let start = Instant::now();
        assert!(t.one.command(&["yield", "lan", "for", "4s"]).status.success());
        let left = t.one.instance()["resume_s"].as_f64().expect("a number");
        assert!((0.5..=4.0).contains(&left), "{left}");
        t.two.wait_state("MASTER", SOON);
        if restart {
            t.one.process.kill();
            t.one = Picovrrp::start_until(&t.a, &V3.config("priority 150"), "BACKUP");
        }
        t.one.wait_state("MASTER", SOON);
        let lasted = start.elapsed();
        assert!(lasted > ms(4000) && lasted < ms(9000), "{lasted:?}");
        assert_eq!(t.one.instance()["yielded"], false);
    }
}

/// It belongs to the name: whoever works on the machine is not surprised by a file that changes meanwhile.
#[test]
fn a_yield_lasts_when_a_reload_gives_its_name_another_vrid() {
    let mut t = Two::start(V3, "", "");
    assert!(t.one.command(&["yield", "lan", "for", "60s"]).status.success());
    t.two.wait_state("MASTER", SOON);
    let start = Instant::now();
    for vrid in ["vrid 52", "vrid 53"] {
        t.one.write_config(&V3.config("priority 150").replace("vrid 51", vrid));
        assert!(t.one.command(&["reload"]).status.success());
        let one = t.one.instance();
        assert_eq!(
            (&one["yielded"], one["resume_s"].as_f64().is_some_and(|s| s < 60.0)),
            (&true.into(), true),
            "{one:#}"
        );
    }
    observe(V3.active_down_interval(150) * 2);
    assert_eq!(t.lab.wire().count(start, |s| s.is_claim_of("a")), 0);
    assert!(t.one.command(&["resume", "lan"]).status.success());
    assert!(t.one.command(&["reload"]).status.success());
    t.one.wait_state("MASTER", SOON);
}

#[test]
fn what_is_not_there_cannot_yield_and_words_are_checked() {
    let (_lab, a, _b, _client) = Lab::trio();
    let one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    for (words, code) in [
        (&["yield", "nosuch"][..], 4),
        (&["resume", "nosuch"], 4),
        (&["yield", "lan", "for", "ever"], 2),
        (&["yield", "lan", "10s"], 2),
        (&["yield"], 2),
    ] {
        assert_eq!(one.command(words).status.code(), Some(code), "{words:?}");
    }
    assert_eq!(one.instance()["state"], "MASTER");
}

#[test]
fn a_group_yields_by_its_name_or_by_a_members() {
    let (_lab, a, b, _client) = Lab::trio();
    let config = |priority: u8| {
        format!(
            "defaults version 3 advert 20cs priority {priority}\n\
             instance lan on eth0 vrid 51\n  address 192.0.2.254/24\n\
             instance iot on eth0 vrid 52\n  address 192.0.2.253/24\n\
             group both lan iot\n"
        )
    };
    let mut one = Picovrrp::start_until(&a, &config(150), "MASTER");
    let mut two = Picovrrp::start_until(&b, &config(100), "BACKUP");
    for name in ["iot", "both"] {
        assert!(one.command(&["yield", name]).status.success());
        two.wait_state("MASTER", SOON);
        one.wait_state("BACKUP", SOON);
        let status = one.status().expect("it answers");
        assert!((0..2).all(|i| status["instances"][i]["yielded"] == true), "{status:#}");
        assert!(one.command(&["resume", "both"]).status.success());
        one.wait_state("MASTER", SOON);
        wait_until("the other is Backup", SOON, || {
            two.status().is_some_and(|s| s["instances"][1]["state"] == "BACKUP")
        });
    }
}
