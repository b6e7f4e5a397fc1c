//! `version 2+3`: what is on the wire, and a change from version 2 to 3 that no host notices.

use std::time::{Duration, Instant};

use crate::support::process::Signal;
use crate::support::{Flavour, Pinger, SOON, Sighting, Two, V2, VIP4, ms, wait_until};

const BOTH: Flavour = Flavour { properties: "version 2+3 advert 1s", version: 3, ..V2 };

fn version(s: &Sighting) -> u8 {
    s.advert().map_or(0, |a| a.version)
}

#[test]
fn both_versions_are_on_the_wire() {
    let mut t = Two::start(BOTH, "auth pass s3cret checksum pseudo", "auth pass s3cret");
    // Not from between the two of one moment.
    let new = |s: &Sighting| s.is_claim_of("a") && version(s) == 3;
    let first = t.lab.wire().wait("an advert of a", Instant::now(), SOON, new);
    let adverts = t.lab.wire().wait_many("adverts of a", 6, first.at, SOON, |s| s.is_claim_of("a"));
    let of = |version_is| adverts.iter().filter(move |s| version(s) == version_is);
    assert_eq!((of(2).count(), of(3).count()), (3, 3));
    for (two, three) in of(2).zip(of(3)) {
        assert!(two.at.max(three.at) - two.at.min(three.at) < ms(100), "they leave together");
    }
    for s in &adverts {
        let a = s.advert().expect("they are adverts");
        assert_eq!((a.ttl, a.vrid, a.priority, a.interval_ms, &a.addresses[..]), (255, 51, 150, 1000, &[VIP4][..]));
        let secret: &[u8] = if a.version == 2 { b"s3cret\0\0" } else { b"" };
        assert_eq!((a.auth_type, &a.trailer[..]), (u8::from(a.version == 2), secret));
    }
    assert_eq!(t.two.instance()["also_v2"], true);
    assert_eq!(t.two.instance()["version"], 3);
    let table = String::from_utf8_lossy(&t.two.command(&["status"]).stdout).into_owned();
    assert!(table.contains("speaks version 2 too"), "{table}");
    for counter in ["auth_failure", "auth_type_mismatch", "interval_errors"] {
        assert_eq!(t.two.stat(counter), 0);
    }
    assert_eq!(t.two.error_count("version_errors") + t.two.error_count("checksum_errors"), 0);
    let stop = Instant::now();
    t.one.terminate();
    assert!(t.one.process.wait_exit(SOON).success());
    let mut farewells = t.lab.wire().since(stop);
    farewells.retain(|s| s.is_farewell_of("a"));
    assert_eq!(farewells.iter().map(version).collect::<Vec<_>>(), [3, 2]);
    let claim = t.lab.wire().wait("an advert of b", stop, SOON, |s| s.is_claim_of("b"));
    let after = claim.at - farewells[0].at;
    assert!(after >= BOTH.skew_time(100) && after < BOTH.skew_time(100) + ms(300), "{after:?}");
}

/// Router by router from version 2 over both to 3, with reloads and an upgrade in between: a is Active and b
/// is silent all the time. Then a vanishes and comes back.
#[test]
fn a_migration_that_nobody_notices() {
    let mut t = Two::start(V2, "", "");
    let (start, pinger) = (Instant::now(), Pinger::start(t.client.ns(), VIP4));
    pinger.wait_answer(start, SOON);
    for (on_a, on_b) in [("2", "2+3"), ("2+3", "2+3"), ("3", "2+3"), ("3", "3")] {
        for (daemon, version, priority) in [(&t.two, on_b, 100), (&t.one, on_a, 150)] {
            daemon.write_config(&crate::support::picovrrp::lan(&format!("version {version} priority {priority}")));
            daemon.process.signal(Signal::HUP);
            wait_until("it is reloaded", SOON, || {
                let i = daemon.instance();
                i["version"] == if version == "2" { 2 } else { 3 } && (i["also_v2"] == true) == (version == "2+3")
            });
        }
        if (on_a, on_b) == ("2+3", "2+3") {
            for daemon in [&t.one, &t.two] {
                assert!(daemon.command(&["upgrade"]).status.success(), "{}", daemon.process.log());
            }
        }
        // Longer than b would wait for an advert that it understands.
        let step = Instant::now();
        let number = if on_a == "2" { 2 } else { 3 };
        let own = |s: &Sighting| s.is_claim_of("a") && version(s) == number;
        t.lab.wire().wait_many("adverts of a", 5, step, SOON, own);
        assert_eq!(t.lab.wire().count(start, |s| s.is_claim_of("b")), 0, "at a {on_a}, b {on_b}");
    }
    assert_eq!(t.lab.wire().count(start, |s| s.is_farewell_of("a")), 0);
    let silence = pinger.stop().longest_silence(start);
    assert!(silence < ms(200), "the client was without an answer for {silence:?}");
    assert_eq!((&t.one.instance()["transitions"], &t.two.instance()["state"]), (&2.into(), &"BACKUP".into()));
    t.a.vanish();
    t.two.wait_state("MASTER", SOON);
    t.a.reappear();
    assert_eq!(t.sole_active(), "a");
    t.two.wait_state("BACKUP", Duration::from_secs(10));
}

/// Beside one of version 2 and beside one of version 3, in both roles: whoever is better is Active, the
/// other takes over from it and gives way again.
#[test]
fn beside_either_version_in_both_roles() {
    for other in ["2", "3"] {
        for (ours, theirs) in [(150, 100), (100, 150)] {
            let config = |version: &str, priority: u8| format!("version {version} advert 1s priority {priority}");
            let flavour = Flavour { properties: "", ..BOTH };
            let (on_a, on_b) = if ours > theirs { ("2+3", other) } else { (other, "2+3") };
            let mut t = Two::start_with(flavour, &config(on_a, 150), &config(on_b, 100));
            let begin = Instant::now();
            t.lab.wire().wait_many("adverts of a", 5, begin, SOON, |s| s.is_claim_of("a"));
            assert_eq!(t.lab.wire().count(begin, |s| s.is_claim_of("b")), 0, "a {on_a}, b {on_b}");
            t.a.vanish();
            t.two.wait_state("MASTER", SOON);
            t.a.reappear();
            assert_eq!(t.sole_active(), "a", "a {on_a}, b {on_b}");
            t.two.wait_state("BACKUP", SOON);
        }
    }
}
