//! `version 2+3`: both versions on the wire and at the ear (RFC 9568 §8.4.2).

use super::*;

const GROUP: &str = "224.0.0.18";
const OTHER: &str = "192.0.2.3";

fn both() -> Spec {
    Spec { also_v2: true, ..spec() }
}

impl Spec {
    fn speaks_2(&self) -> bool {
        self.also_v2 || self.version == Version::V2
    }

    fn speaks_3(&self) -> bool {
        self.version == Version::V3
    }
}

/// An advert of one version, with an interval in centiseconds.
fn hear_in(l: &mut Lab, version: Version, priority: u8, advert: u16, source: &str) {
    let payload = l.message_in(version, priority, advert, source, GROUP);
    l.receive(source, GROUP, 255, &payload);
}

/// When it would take over, in microseconds from now.
fn down(l: &Lab) -> u64 {
    match l.state() {
        State::Backup { active_down } => active_down.since(l.now).0,
        state => panic!("{state:?}"),
    }
}

/// As Active: each advert in both versions, version 3 first, also the farewell; to each peer of a unicast one.
#[test]
fn sent_in_both() {
    let adverts = |l: &mut Lab| {
        let at = l.now;
        let all = l.run_ms(at, 1000).into_iter().map(|(_, d)| d);
        all.filter(|d| d.starts_with("advert")).collect::<Vec<_>>()
    };
    let mut l = Lab::active(&[both()]);
    let sent = |priority: u8, to: &str| {
        let three = format!("advert {priority} of 0 from 192.0.2.1 to {to}");
        [three.clone(), three + " in version 2"]
    };
    assert_eq!(adverts(&mut l), sent(100, GROUP));
    let before = l.r.view(0).unwrap().stats.advertisement_sent;
    l.event(Event::Stop);
    assert_eq!(l.took(), sent(0, GROUP));
    let s = l.r.view(0).unwrap().stats;
    assert_eq!((s.advertisement_sent - before, s.priority_zero_pkts_sent), (2, 2));
    let peers = vec![(PEER, 255, 255), (OTHER, 255, 255)];
    let mut l = Lab::active(&[Spec { unicast: Some(OURS), peers, ..both() }]);
    let [a, c] = sent(100, PEER);
    let [b, d] = sent(100, OTHER);
    assert_eq!(adverts(&mut l), [a, b, c, d]);
}

/// The password and the plain sum are version 2's, the other form of the sum version 3's.
#[test]
fn what_is_sent() {
    let s = Spec { password: Some(*b"s3cret\0\0"), checksum: ChecksumForm::Pseudo, advert: 4000, ..both() };
    let mut l = Lab::new(&[s]);
    let expected = [Version::V3, Version::V2].map(|v| l.message_in(v, 100, 4000, OURS, GROUP));
    let mut sent = Vec::new();
    let due = l.r.next_deadline().unwrap();
    l.r.handle(Event::Timeout { drained: true }, due, &mut |a: Action<'_>| {
        if let Action::SendAdvert { payload, .. } = a {
            sent.push(payload.to_vec());
        }
    });
    assert_eq!(sent, expected);
    assert_eq!((&sent[0][..1], sent[0].len()), (&[0x31][..], 12));
    // 40 s, simple password.
    assert_eq!((&sent[1][..1], &sent[1][4..6], &sent[1][12..]), (&[0x21][..], &[1, 40][..], &b"s3cret\0\0"[..]));
}

/// A Backup times out as the Active router's version has it: its interval, and its Skew_Time.
#[test]
fn either_is_followed() {
    let mut l = Lab::new(&[both()]);
    assert_eq!(down(&l), 3_609_375);
    // 3 * 5 s and 156/256 s.
    hear_in(&mut l, Version::V2, 200, 500, PEER);
    assert_eq!(down(&l), 15_609_375);
    let v = l.r.view(0).unwrap();
    assert_eq!((v.master, v.active_adver_interval.get()), (Some((ip(PEER), 200)), 500));
    assert_eq!((v.skew_time, v.active_down_interval), (Micros(609_375), Micros(15_609_375)));
    // 3 * 5 s and 156/256 of 5 s.
    hear_in(&mut l, Version::V3, 200, 500, OTHER);
    assert_eq!(down(&l), 15_000_000 + 5 * 609_375);
    // The longest that version 2 has.
    hear_in(&mut l, Version::V2, 200, 25_500, PEER);
    assert_eq!(down(&l), 765_609_375);
    // And each farewell: by the rule of who was heard last.
    hear_in(&mut l, Version::V2, 0, 25_500, PEER);
    assert_eq!(down(&l), 609_375);
}

/// An Active yields to the better, in whichever version it speaks, and answers the worse in both.
#[test]
fn either_is_heard_as_active() {
    for version in [Version::V2, Version::V3] {
        let mut l = Lab::active(&[both()]);
        hear_in(&mut l, version, 50, 100, PEER);
        assert!(l.is_active());
        assert_eq!(l.took().iter().filter(|d| d.starts_with("advert 100 ")).count(), 2);
        hear_in(&mut l, version, 0, 100, PEER);
        assert!(l.is_active());
        // Equal: the greater address.
        hear_in(&mut l, version, 100, 100, PEER);
        assert!(l.is_backup());
    }
}

/// A router that is heard in version 3 says nothing new in version 2, for an interval: where its next in
/// version 3 is lost, the one in version 2 counts. What others say in version 2 counts all along.
#[test]
fn version_2_of_who_speaks_3_is_ignored() {
    let mut l = Lab::new(&[both()]);
    for _ in 0..3 {
        hear_in(&mut l, Version::V3, 200, 200, PEER);
        let before = (down(&l), l.r.view(0).unwrap().stats.advertisement_rcvd);
        assert_eq!(before.0, 2 * 3_609_375);
        l.took();
        // Its second is not what version 3 says; were it heard, it would be learned and told.
        hear_in(&mut l, Version::V2, 200, 100, PEER);
        hear_in(&mut l, Version::V2, 0, 100, PEER);
        assert_eq!((down(&l), l.r.view(0).unwrap().stats.advertisement_rcvd), (before.0, before.1 + 2));
        assert_eq!(l.took(), [""; 0]);
        l.wait_ms(1999);
        hear_in(&mut l, Version::V2, 200, 200, PEER);
        assert_eq!(down(&l), before.0 - 1_999_000);
        l.wait_ms(1);
    }
    hear_in(&mut l, Version::V2, 200, 200, PEER);
    assert_eq!(down(&l), 6_609_375);
    // Another router: its version 2 is its own.
    hear_in(&mut l, Version::V3, 200, 200, PEER);
    hear_in(&mut l, Version::V2, 210, 100, OTHER);
    assert_eq!((down(&l), l.r.view(0).unwrap().master), (3_609_375, Some((ip(OTHER), 210))));
}

/// The better of two that are Active is answered once, not once a version.
#[test]
fn a_conflict_is_answered_once() {
    let mut l = Lab::active(&[both()]);
    hear_in(&mut l, Version::V3, 50, 100, PEER);
    hear_in(&mut l, Version::V2, 50, 100, PEER);
    let did = l.took();
    assert_eq!(did.iter().filter(|d| d.starts_with("advert 100 ")).count(), 2, "{did:?}");
    assert_eq!(did.iter().filter(|d| d.starts_with("Conflict")).count(), 1, "{did:?}");
    assert_eq!(l.r.view(0).unwrap().stats.assertions_sent, 1);
}

/// The password counts in version 2 alone, and a version 3 that fails a check makes no one ignore version 2.
#[test]
fn passwords_and_broken_ones() {
    let mut l = Lab::new(&[Spec { password: Some(*b"1111\0\0\0\0"), ..both() }]);
    let good = l.message_in(Version::V2, 200, 300, PEER, GROUP);
    let mut wrong = good.clone();
    // The sum holds: two bytes change places.
    (wrong[12], wrong[13], wrong[14], wrong[15]) = (b'1', b'2', b'1', b'0');
    l.took();
    l.receive(PEER, GROUP, 255, &wrong);
    assert_eq!(l.took(), ["dropped AuthFailure"]);
    let mut three = l.message_in(Version::V3, 200, 300, PEER, GROUP);
    three[6] ^= 1;
    l.receive(PEER, GROUP, 255, &three);
    assert_eq!(l.took(), ["dropped Checksum"]);
    l.receive(PEER, GROUP, 255, &good);
    assert_eq!(down(&l), 9_609_375);
    three[6] ^= 1;
    l.receive(PEER, GROUP, 255, &three);
    assert_eq!(down(&l), 3 * 3_609_375);
}

/// From 2 to both to 3 by reloads: nothing but the adverts changes, as Active and as Backup.
#[test]
fn a_migration() {
    let steps = [Spec { version: Version::V2, ..spec() }, both(), spec()];
    let reload = |l: &mut Lab, s: &Spec, addresses: &[&str]| {
        l.reload(config(std::slice::from_ref(s)));
        l.link(ETH0, "eth0", true);
        l.has(ETH0, addresses);
        l.event(Event::Start);
        let did = l.took();
        assert!(did.iter().all(|d| d.starts_with("rebind")), "{did:?}");
    };
    let mut active = Lab::active(&steps[..1]);
    let mut backup = Lab::new(&steps[..1]);
    backup.hear(200, PEER);
    backup.took();
    for s in steps.iter().chain(&[steps[1].clone(), steps[0].clone()]) {
        reload(&mut active, s, &["192.0.2.1/24", "192.0.2.254/24"]);
        let now = active.now;
        let sent = active.run_ms(now, 1000);
        let versions = |end: &str| sent.iter().filter(|(_, d)| d.starts_with("advert") && d.ends_with(end)).count();
        assert_eq!((versions("18"), versions("in version 2")), (s.speaks_3() as usize, s.speaks_2() as usize));
        let before = down(&backup);
        reload(&mut backup, s, &["192.0.2.1/24"]);
        assert_eq!(down(&backup), before);
        // It hears what it speaks, and nothing else.
        for version in [Version::V2, Version::V3] {
            backup.wait_ms(100);
            let before = down(&backup);
            let source = if version == Version::V2 { PEER } else { OTHER };
            hear_in(&mut backup, version, 200, 100, source);
            let heard = down(&backup) > before;
            assert_eq!(heard, if version == Version::V2 { s.speaks_2() } else { s.speaks_3() }, "{version:?}");
        }
        backup.took();
    }
}
