//! What is heard: every check counts exactly once and changes nothing else; what is odd but accepted.

use super::*;

/// All that a rejected packet must leave as it was.
fn fingerprint(l: &Lab) -> impl PartialEq + std::fmt::Debug + use<> {
    let v = l.r.view(0).unwrap();
    (
        l.state(),
        l.r.next_deadline(),
        v.active_adver_interval,
        v.master,
        v.state,
        v.last_event,
        v.stats.advertisement_sent,
    )
}

/// The counters that differ, by how much.
fn moved(before: &[(String, u64)], after: &[(String, u64)]) -> Vec<(String, u64)> {
    let old = |name: &str| before.iter().find(|(n, _)| n == name).map_or(0, |(_, v)| *v);
    after.iter().map(|(n, v)| (n.clone(), v - old(n))).filter(|(_, d)| *d > 0).collect()
}

/// `act` brings one packet that is dropped: `counter` goes up by one, nothing else happens.
fn rejects(l: &mut Lab, counter: &str, why: &str, act: impl FnOnce(&mut Lab)) {
    let (state, counters) = (fingerprint(l), l.counters());
    l.took();
    act(l);
    assert_eq!(l.took(), [format!("dropped {why}")], "{counter}");
    assert_eq!(moved(&counters, &l.counters()), [(counter.to_owned(), 1)], "{why}");
    assert_eq!(fingerprint(l), state, "{counter}: {why}");
}

/// In Backup and in Active.
fn rejects_in_both(s: &Spec, counter: &str, why: &str, act: impl Fn(&mut Lab)) {
    rejects(&mut Lab::new(std::slice::from_ref(s)), counter, why, &act);
    rejects(&mut Lab::active(std::slice::from_ref(s)), counter, why, &act);
}

/// A message of priority 200 with one byte changed, its checksum made right again.
fn with(l: &Lab, at: usize, byte: u8) -> Vec<u8> {
    let mut m = l.message(200, 100, PEER, l.group());
    m[at] = byte;
    m[6..8].copy_from_slice(&[0, 0]);
    let words = m.chunks(2).map(|w| u16::from_be_bytes([w[0], *w.get(1).unwrap_or(&0)]) as u32);
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    m[6..8].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    m
}

fn v2() -> Spec {
    Spec { version: Version::V2, ..spec() }
}

/// C10: TTL other than 255, before anything else.
#[test]
fn c10_ttl() {
    for ttl in [0, 1, 64, 254] {
        rejects_in_both(&spec(), "ip_ttl_errors", &format!("Ttl({ttl})"), |l| {
            l.receive(PEER, "224.0.0.18", ttl, &[0x55])
        });
    }
    rejects_in_both(&v6(), "ip_ttl_errors", "Ttl(254)", |l| l.receive("fe80::2", "ff02::12", 254, &[]));
}

/// C11: another version, also one that we speak in other instances.
#[test]
fn c11_version() {
    let version = |n: u8| move |l: &mut Lab| l.receive(PEER, "224.0.0.18", 255, &with(l, 0, n << 4 | 1));
    for n in [0, 1, 2, 4, 15] {
        rejects_in_both(&spec(), "version_errors", &format!("Version({n})"), version(n));
    }
    rejects_in_both(&v2(), "version_errors", "Version(3)", version(3));
    rejects_in_both(&v6(), "version_errors", "Version(2)", |l| {
        let mut m = l.message(200, 100, "fe80::2", "ff02::12");
        m[0] = 0x21;
        l.receive("fe80::2", "ff02::12", 255, &m);
    });
}

/// C12: another type.
#[test]
fn c12_type() {
    for n in [0u8, 2, 15] {
        rejects_in_both(&spec(), "invalid_type_pkts_rcvd", &format!("Type({n})"), |l| {
            l.receive(PEER, "224.0.0.18", 255, &with(l, 0, 0x30 | n));
        });
    }
}

/// C13: a count beyond the payload. C14: none at all.
#[test]
fn c13_c14_length_and_count() {
    rejects_in_both(&spec(), "packet_length_errors", "Length(12)", |l| {
        l.receive(PEER, "224.0.0.18", 255, &with(l, 3, 2))
    });
    rejects_in_both(&v2(), "packet_length_errors", "Length(20)", |l| {
        l.receive(PEER, "224.0.0.18", 255, &with(l, 3, 255))
    });
    rejects_in_both(&spec(), "packet_length_errors", "NoAddresses", |l| {
        l.receive(PEER, "224.0.0.18", 255, &with(l, 3, 0))
    });
}

/// C15: the checksum, and it comes before the VRID.
#[test]
fn c15_checksum() {
    for s in [spec(), v2(), v6()] {
        rejects_in_both(&s, "checksum_errors", "Checksum", |l| {
            let source = if l.group() == "ff02::12" { "fe80::2" } else { PEER };
            let mut m = l.message(200, 100, source, l.group());
            m[2] = 201;
            l.receive(source, l.group(), 255, &m);
        });
    }
    rejects_in_both(&spec(), "checksum_errors", "Checksum", |l| {
        let mut m = l.message(200, 100, PEER, "224.0.0.18");
        m[1] ^= 1;
        l.receive(PEER, "224.0.0.18", 255, &m);
    });
}

/// C16: a VRID that is not ours, on our interface or on one that is not ours.
#[test]
fn c16_vrid() {
    rejects_in_both(&spec(), "vrid_errors", "UnknownVrid(52)", |l| l.receive(PEER, "224.0.0.18", 255, &with(l, 1, 52)));
    rejects_in_both(&spec(), "vrid_errors", "UnknownVrid(51)", |l| {
        let payload = l.message(200, 100, PEER, "224.0.0.18");
        let (source, destination) = (ip(PEER), ip("224.0.0.18"));
        l.event(Event::Received(Received { ifindex: 99, source, destination, ttl: 255, payload: &payload }));
    });
    // The same VRID in the other family is another virtual router (E3).
    rejects_in_both(&v6(), "vrid_errors", "UnknownVrid(51)", |l| {
        l.receive(PEER, "224.0.0.18", 255, &with(&Lab::new(&[spec()]), 2, 7));
    });
}

/// C17: interval 0, in both versions.
#[test]
fn c17_interval_zero() {
    rejects_in_both(&spec(), "interval_errors", "Interval(0)", |l| l.receive(PEER, "224.0.0.18", 255, &with(l, 5, 0)));
    rejects_in_both(&v2(), "interval_errors", "Interval(0)", |l| l.receive(PEER, "224.0.0.18", 255, &with(l, 5, 0)));
}

/// C20: another interval: version 2 drops it, version 3 learns it and counts.
#[test]
fn c20_other_interval() {
    rejects_in_both(&v2(), "interval_errors", "Interval(300)", |l| l.receive(PEER, "224.0.0.18", 255, &with(l, 5, 3)));
    let mut l = Lab::new(&[spec()]);
    l.took();
    for _ in 0..2 {
        l.receive(PEER, "224.0.0.18", 255, &with(&l, 5, 50));
    }
    assert_eq!(l.took(), ["ChecksumForm", "IntervalLearned"]);
    assert_eq!(l.r.view(0).unwrap().active_adver_interval.get(), 50);
    assert_eq!(l.r.next_deadline(), Some(l.now + Micros(3_609_375 / 2 + 1)));
    assert_eq!(l.r.view(0).unwrap().stats.interval_errors, 2);
}

/// C19: the reserved nibble does not count.
#[test]
fn c19_reserved() {
    let mut l = Lab::new(&[spec()]);
    l.receive(PEER, "224.0.0.18", 255, &with(&l, 4, 0xf0));
    assert_eq!(l.counters(), [("advertisement_rcvd".to_owned(), 1), ("checksum_plain_rcvd".to_owned(), 1)]);
}

/// C18, C21: another list is counted and accepted; under `strict` it is dropped.
#[test]
fn c21_address_list() {
    let other = |l: &Lab| with(l, 11, 77);
    let mut l = Lab::new(&[spec()]);
    l.took();
    l.receive(PEER, "224.0.0.18", 255, &other(&l));
    assert_eq!(l.took(), ["ChecksumForm", "AddressListDiffers"]);
    let v = l.r.view(0).unwrap();
    assert_eq!((v.stats.address_list_errors, v.stats.advertisement_rcvd), (1, 1));
    assert_eq!(v.master, Some((ip(PEER), 200)));

    let strict = |s: Spec| {
        let mut c = config(&[s]);
        c.strict = true;
        Lab::of(c)
    };
    let mut l = strict(spec());
    rejects(&mut l, "address_list_errors", "AddressList", |l| l.receive(PEER, "224.0.0.18", 255, &other(l)));
    // With another interval too it is still one counter.
    rejects(&mut l, "address_list_errors", "AddressList", |l| {
        let mut c = spec();
        c.addresses = vec!["192.0.2.99/24"];
        let m = Lab::new(&[c]).message(200, 50, PEER, "224.0.0.18");
        l.receive(PEER, "224.0.0.18", 255, &m);
    });
    // A first IPv6 address that is not link-local: the same.
    let global = Spec { addresses: vec!["2001:db8::1/64"], ..spec() };
    let mut l = Lab::new(std::slice::from_ref(&global));
    l.hear(200, "fe80::2");
    assert_eq!(l.r.view(0).unwrap().stats.address_list_errors, 1);
    assert_eq!(l.r.view(0).unwrap().stats.advertisement_rcvd, 1);
    let mut l = strict(global);
    rejects(&mut l, "address_list_errors", "AddressList", |l| l.hear(200, "fe80::2"));
}

/// The order of the list does not matter; excluded addresses are not in it.
#[test]
fn list_in_any_order() {
    let a = Spec { addresses: vec!["192.0.2.254/24", "192.0.2.253/24", "2001:db8::1/64"], ..spec() };
    let b = Spec { addresses: vec!["192.0.2.253/24", "192.0.2.254/24"], ..spec() };
    let mut c = config(&[a]);
    c.strict = true;
    let mut l = Lab::of(c);
    let m = Lab::new(&[b]).message(200, 100, PEER, "224.0.0.18");
    assert_eq!(m.len(), 16);
    l.receive(PEER, "224.0.0.18", 255, &m);
    assert_eq!(l.r.view(0).unwrap().stats.advertisement_rcvd, 1);
}

/// C23: version 2's password, three counters.
#[test]
fn c23_authentication() {
    let secret = Spec { password: Some(*b"1111\0\0\0\0"), ..v2() };
    let from = |s: &Spec| Lab::new(std::slice::from_ref(s)).message(200, 100, PEER, "224.0.0.18");
    let hear = |m: Vec<u8>| move |l: &mut Lab| l.receive(PEER, "224.0.0.18", 255, &m);
    let wrong = Spec { password: Some(*b"1112\0\0\0\0"), ..v2() };
    rejects_in_both(&secret, "auth_failure", "AuthFailure", hear(from(&wrong)));
    rejects_in_both(&secret, "auth_type_mismatch", "AuthMismatch(0)", hear(from(&v2())));
    rejects_in_both(&v2(), "auth_type_mismatch", "AuthMismatch(1)", hear(from(&secret)));
    rejects_in_both(&v2(), "auth_type_mismatch", "AuthMismatch(2)", hear(with(&Lab::new(&[v2()]), 4, 2)));
    rejects_in_both(&secret, "auth_invalid_type", "AuthType(9)", hear(with(&Lab::new(&[v2()]), 4, 9)));
    let mut l = Lab::new(std::slice::from_ref(&secret));
    l.hear(200, PEER);
    assert_eq!(l.r.view(0).unwrap().stats.advertisement_rcvd, 1);
    // Type 0: the eight bytes are ignored.
    let mut l = Lab::new(&[v2()]);
    l.receive(PEER, "224.0.0.18", 255, &with(&l, 15, 0xaa));
    assert_eq!(l.r.view(0).unwrap().stats.advertisement_rcvd, 1);
}

/// E14: bytes behind the message are counted; under `strict` they are too much.
#[test]
fn trailing_bytes() {
    let mut l = Lab::new(&[spec()]);
    let mut m = l.message(200, 100, PEER, "224.0.0.18");
    m.extend_from_slice(b"hmac");
    l.receive(PEER, "224.0.0.18", 255, &m);
    let v = l.r.view(0).unwrap();
    assert_eq!((v.stats.trailing_bytes, v.stats.advertisement_rcvd), (1, 1));
    let mut c = config(&[spec()]);
    c.strict = true;
    rejects(&mut Lab::of(c), "packet_length_errors", "Trailing", |l| l.receive(PEER, "224.0.0.18", 255, &m));
}

/// E7: our own advert comes back, with either form of checksum: it teaches nothing.
#[test]
fn reflected() {
    for priority in [0, 100, 255] {
        rejects_in_both(&spec(), "reflected", "Reflected", |l| l.hear(priority, OURS));
    }
}

/// C7: both forms are accepted and counted; a source that changes its form is believed at the third.
#[test]
fn checksum_forms() {
    let mut l = Lab::new(&[spec()]);
    let pseudo = Lab::new(&[Spec { checksum: ChecksumForm::Pseudo, ..spec() }]).message(200, 100, PEER, "224.0.0.18");
    let plain = l.message(200, 100, PEER, "224.0.0.18");
    l.took();
    l.receive(PEER, "224.0.0.18", 255, &pseudo);
    l.receive(PEER, "224.0.0.18", 255, &pseudo);
    assert_eq!(l.took(), ["ChecksumForm"]);
    for _ in 0..2 {
        rejects(&mut l, "checksum_errors", "Checksum", |l| l.receive(PEER, "224.0.0.18", 255, &plain));
    }
    l.receive(PEER, "224.0.0.18", 255, &plain);
    assert_eq!(l.took(), ["ChecksumForm"]);
    // Others are not touched by it.
    l.hear(200, "192.0.2.3");
    let s = l.r.view(0).unwrap().stats;
    assert_eq!((s.checksum_pseudo_rcvd, s.checksum_plain_rcvd, s.advertisement_rcvd), (2, 2, 4));
}

/// What is sent follows the configuration.
#[test]
fn checksum_sent() {
    for form in [ChecksumForm::Plain, ChecksumForm::Pseudo] {
        let mut l = Lab::new(&[Spec { checksum: form, ..spec() }]);
        let expected = l.message(100, 100, OURS, "224.0.0.18");
        let mut sent = Vec::new();
        let due = l.r.next_deadline().unwrap();
        l.r.handle(Event::Timeout { drained: true }, due, &mut |a: Action<'_>| {
            if let Action::SendAdvert { payload, .. } = a {
                sent.push(payload.to_vec());
            }
        });
        assert_eq!(sent, [expected], "{form:?}");
    }
}

fn unicast() -> Spec {
    Spec { unicast: Some(OURS), peers: vec![(PEER, 255, 255), ("192.0.2.3", 250, 252)], ..spec() }
}

/// E16, E17: peers alone, each with its range of TTLs; one advert to each.
#[test]
fn unicast_peers() {
    let mut l = Lab::new(&[unicast()]);
    let m = |l: &Lab, from: &str| l.message(200, 100, from, OURS);
    rejects(&mut l, "unknown_peer", "NotAPeer", |l| l.receive("192.0.2.9", OURS, 255, &m(l, "192.0.2.9")));
    rejects(&mut l, "unknown_peer", "NotAPeer", |l| l.receive(PEER, "224.0.0.18", 255, &m(l, PEER)));
    rejects(&mut l, "ip_ttl_errors", "Ttl(254)", |l| l.receive(PEER, OURS, 254, &m(l, PEER)));
    for ttl in [249u8, 253, 255] {
        let why = format!("Ttl({ttl})");
        rejects(&mut l, "ip_ttl_errors", &why, |l| l.receive("192.0.2.3", OURS, ttl, &m(l, "192.0.2.3")));
    }
    for (from, ttl) in [(PEER, 255), ("192.0.2.3", 250), ("192.0.2.3", 252)] {
        l.receive(from, OURS, ttl, &m(&l, from));
    }
    assert_eq!(l.r.view(0).unwrap().stats.advertisement_rcvd, 3);
    l.took();
    l.fire();
    let to = |peer: &str| format!("advert 100 of 0 from 192.0.2.1 to {peer}");
    assert_eq!(l.took()[..2], [to(PEER), to("192.0.2.3")]);
}

/// A multicast instance listens to the group alone.
#[test]
fn multicast_refuses_unicast() {
    rejects_in_both(&spec(), "unknown_peer", "NotAPeer", |l| {
        l.receive(PEER, OURS, 255, &l.message(200, 100, PEER, OURS));
    });
}
