//! Packets that should not be: counted, dropped, and nothing else happens.

use std::net::Ipv4Addr;
use std::time::Instant;

use crate::support::packet::{Checksum, Forged, ipv4_frame};
use crate::support::{CLIENT4, SOON, Two, V3, VIP4, wait_until};

/// What a client could send as VRID 51's new Active.
fn forged() -> Forged {
    Forged {
        source_mac: [2, 0, 0, 0, 0, 0x66],
        source: CLIENT4,
        ttl: 255,
        version: 3,
        vrid: 51,
        priority: 254,
        interval: 20,
        addresses: vec![Ipv4Addr::new(192, 0, 2, 254)],
        checksum: Checksum::Plain,
    }
}

/// Sends `frames` from the client; a stays Active, b stays Backup, and `count` grows by just as many.
fn dropped_and_counted(t: &mut Two, what: &str, frames: &[Vec<u8>], count: impl Fn(&Two) -> u64) {
    let (transitions, before, start) = (t.one.instance()["transitions"].clone(), count(t), Instant::now());
    t.client.inject(frames);
    let expected = before + frames.len() as u64;
    wait_until(&format!("{what} are counted"), SOON, || count(t) >= expected);
    t.lab.wire().wait_many("adverts of a", 3, start, SOON, |s| s.is_claim_of("a"));
    assert_eq!(count(t), expected, "{what} are counted once each");
    assert_eq!(t.one.instance()["transitions"], transitions, "{what} move nothing");
    assert_eq!(t.one.instance()["state"], "MASTER", "{what} move nothing");
    assert_eq!(t.two.instance()["state"], "BACKUP", "{what} move nothing");
    assert_eq!(t.lab.wire().count(start, |s| s.from == "b" && s.advert().is_some()), 0);
    assert!(t.a.has(VIP4));
}

#[test]
fn the_forger_is_believed_when_it_forges_well() {
    // If this fails, the tests below prove nothing.
    let mut t = Two::start(V3, "", "");
    t.client.inject(&[forged().frame()]);
    t.one.wait_state("BACKUP", SOON);
    assert_eq!(t.sole_active(), "a", "the forger is silent, so the true Active comes back");
}

#[test]
fn bad_packets_are_counted_and_move_nothing() {
    let mut t = Two::start(V3, "", "");
    let ttl: Vec<_> = [0, 1, 64, 254].map(|ttl| Forged { ttl, ..forged() }.frame()).into();
    // The kernel drops TTL 0 on some paths; it is not counted on.
    dropped_and_counted(&mut t, "packets from off the link", &ttl[1..], |t| t.one.error_count("ip_ttl_errors"));

    let version: Vec<_> = [1, 4, 15].map(|version| Forged { version, ..forged() }.frame()).into();
    dropped_and_counted(&mut t, "unknown versions", &version, |t| t.one.error_count("version_errors"));

    let sum = [Forged { checksum: Checksum::Wrong, ..forged() }.frame()];
    dropped_and_counted(&mut t, "bad checksums", &sum, |t| t.one.error_count("checksum_errors"));

    let message = forged().message();
    let cut: Vec<_> =
        [8, 10, 11].iter().map(|n| ipv4_frame(forged().source_mac, CLIENT4, 255, &message[..*n])).collect();
    let lengths = |t: &Two| {
        let status = t.one.status().expect("the daemon answers");
        let global = status["errors"]["packet_length_errors"].as_u64().unwrap_or(0);
        global + status["instances"][0]["stats"]["packet_length_errors"].as_u64().unwrap_or(0)
    };
    dropped_and_counted(&mut t, "truncated packets", &cut, lengths);

    let mut kind = message.clone();
    kind[0] = 0x32;
    let kind = [ipv4_frame(forged().source_mac, CLIENT4, 255, &kind)];
    dropped_and_counted(&mut t, "other types", &kind, |t| t.one.stat("invalid_type_pkts_rcvd"));

    let zero = [Forged { interval: 0, ..forged() }.frame()];
    dropped_and_counted(&mut t, "interval 0", &zero, |t| t.one.stat("interval_errors"));
}

#[test]
fn other_virtual_routers_are_none_of_our_business() {
    let mut t = Two::start(V3, "", "");
    let (start, before) = (Instant::now(), t.one.status().expect("the daemon answers")["errors"].clone());
    let foreign: Vec<_> = (0..50u8).map(|vrid| Forged { vrid, ..forged() }.frame()).collect();
    t.client.inject(&foreign);
    t.lab.wire().wait_many("adverts of a", 4, start, SOON, |s| s.is_claim_of("a"));
    assert_eq!(t.one.status().expect("the daemon answers")["errors"], before, "the kernel's filter kept them out");
    t.one.wait_state("MASTER", SOON);
    t.two.wait_state("BACKUP", SOON);
}

#[test]
fn other_virtual_routers_are_counted_where_that_is_asked_for() {
    use crate::support::{Lab, Picovrrp};
    let (_lab, a, _b, client) = Lab::trio();
    let config = format!("log-unknown on\n{}", V3.config("priority 150"));
    let one = Picovrrp::start_until(&a, &config, "MASTER");
    let foreign: Vec<_> = (100..110u8).map(|vrid| Forged { vrid, ..forged() }.frame()).collect();
    client.inject(&foreign);
    wait_until("foreign VRIDs are counted", SOON, || one.error_count("vrid_errors") == 10);
    assert_eq!(one.state().as_deref(), Some("MASTER"));
}

#[test]
fn garbage_moves_nothing() {
    let mut t = Two::start(V3, "", "");
    let (transitions, start) = (t.one.instance()["transitions"].clone(), Instant::now());
    // A fixed linear congruential sequence: the same garbage every time.
    let mut seed = 0x2545_f491_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    let garbage: Vec<_> = (0..2000)
        .map(|_| {
            let len = usize::from(next()) % 60;
            let mut payload: Vec<u8> = (0..len).map(|_| next()).collect();
            // Most of it must get past the kernel's filter to be of interest.
            if payload.len() > 1 {
                payload[1] = 51;
            }
            ipv4_frame([2, 0, 0, 0, 0, 0x66], CLIENT4, 255, &payload)
        })
        .collect();
    t.client.inject(&garbage);
    t.lab.wire().wait_many("adverts of a", 5, start, SOON, |s| s.is_claim_of("a"));
    t.one.wait_state("MASTER", SOON);
    t.two.wait_state("BACKUP", SOON);
    assert_eq!(t.one.instance()["transitions"], transitions);
    let lines = t.one.process.log().lines().count();
    assert!(lines < 200, "the log is rate-limited, yet it has {lines} lines");
}

#[test]
fn reflected_adverts_do_not_storm() {
    let t = Two::start(V3, "", "");
    // Without this the kernel drops packets from the host's own address before we see them.
    t.a.ns().sysctl("net/ipv4/conf/eth0/accept_local", "1");
    let start = Instant::now();
    for _ in 0..10 {
        let own = t.lab.wire().wait("an advert of a", Instant::now(), SOON, |s| s.is_claim_of("a"));
        t.client.inject(&vec![own.frame; 5]);
    }
    wait_until("reflections are seen for what they are", SOON, || t.one.stat("reflected") > 0);
    let sent = t.lab.wire().count(start, |s| s.is_claim_of("a")) as u128;
    let due = start.elapsed().as_millis() / V3.interval.as_millis();
    assert!(sent <= due + 2, "50 reflected adverts made a send {sent} where {due} were due");
    assert_eq!(t.one.instance()["state"], "MASTER");
}

#[test]
fn a_flood_of_losing_adverts_is_answered_in_moderation() {
    let t = Two::start(V3, "", "");
    let start = Instant::now();
    let losing = Forged { priority: 1, ..forged() }.frame();
    t.client.inject(&vec![losing; 2000]);
    t.lab.wire().wait_many("adverts of a", 5, start, SOON, |s| s.is_claim_of("a"));
    let sent = t.lab.wire().count(start, |s| s.is_claim_of("a"));
    assert!(sent < 60, "2000 losing adverts drew {sent} replies");
    assert_eq!(t.one.instance()["state"], "MASTER");
}
