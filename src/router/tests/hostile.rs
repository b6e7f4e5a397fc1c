//! Hostile packets in bulk: they may move counters, and nothing else.

use super::*;

fn next(x: &mut u64) -> u64 {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    *x
}

/// State, timer, learned interval, counters of what was accepted and sent.
fn fingerprint(l: &Lab) -> impl PartialEq + std::fmt::Debug + use<> {
    let v = l.r.view(0).unwrap();
    let counted = (v.stats.advertisement_rcvd, v.stats.advertisement_sent, v.stats.priority_zero_pkts_rcvd);
    (l.state(), l.r.next_deadline(), v.active_adver_interval, v.master, v.transitions, counted)
}

struct Case {
    spec: Spec,
    source: &'static str,
    destination: &'static str,
}

/// Every kind of message: both versions, with and without password, both forms, both families, unicast.
fn cases() -> Vec<Case> {
    let multicast = |spec: Spec| Case { spec, source: PEER, destination: "224.0.0.18" };
    let v2 = Spec { version: Version::V2, ..spec() };
    let unicast = Spec { unicast: Some(OURS), peers: vec![(PEER, 255, 255)], ..spec() };
    vec![
        multicast(spec()),
        multicast(Spec { checksum: ChecksumForm::Pseudo, ..spec() }),
        multicast(Spec { addresses: vec!["192.0.2.254/24", "192.0.2.253/24", "192.0.2.252/24"], ..spec() }),
        multicast(v2.clone()),
        multicast(Spec { password: Some(*b"1111\0\0\0\0"), ..v2 }),
        Case { spec: v6(), source: "fe80::2", destination: "ff02::12" },
        Case { spec: unicast, source: PEER, destination: OURS },
    ]
}

/// In Backup and in Active, from a source that was never heard and from one that was.
fn labs(c: &Case) -> Vec<Lab> {
    let specs = std::slice::from_ref(&c.spec);
    let mut all = vec![Lab::new(specs), Lab::active(specs), Lab::new(specs)];
    let good = all[2].message(200, 100, c.source, c.destination);
    all[2].receive(c.source, c.destination, 255, &good);
    assert_eq!(all[2].r.view(0).unwrap().stats.advertisement_rcvd, 1);
    all.iter_mut().for_each(|l| drop(l.took()));
    all
}

fn changes_nothing(l: &mut Lab, c: &Case, payload: &[u8], what: &str) {
    let (before, counted) = (fingerprint(l), l.counters());
    l.receive(c.source, c.destination, 255, payload);
    assert_eq!(fingerprint(l), before, "{what}");
    let did = l.took();
    assert!(did.len() == 1 && did[0].starts_with("dropped "), "{what}: {did:?}");
    let sum = |c: &[(String, u64)]| c.iter().map(|(_, n)| n).sum::<u64>();
    assert_eq!(sum(&l.counters()), sum(&counted) + 1, "{what}: one counter, by one");
}

/// C13: cut at every byte.
#[test]
fn every_truncation() {
    for c in cases() {
        for mut l in labs(&c) {
            let m = l.message(200, 100, c.source, c.destination);
            for n in 0..m.len() {
                changes_nothing(&mut l, &c, &m[..n], &format!("{n} bytes"));
            }
        }
    }
}

/// C15: every single bit flipped.
#[test]
fn every_bit_flip() {
    for c in cases() {
        for priority in [0, 200, 255] {
            for mut l in labs(&c) {
                let m = l.message(priority, 100, c.source, c.destination);
                for bit in 0..m.len() * 8 {
                    let mut bad = m.clone();
                    bad[bit / 8] ^= 0x80 >> (bit % 8);
                    changes_nothing(&mut l, &c, &bad, &format!("bit {bit} of priority {priority}"));
                }
            }
        }
    }
}

/// The folded sum of a message and what stands before it, by the definition (RFC 1071).
fn sums_up(m: &[u8], before: u32) -> bool {
    let words = m.chunks(2).map(|w| (w[0] as u32) << 8 | *w.get(1).unwrap_or(&0) as u32);
    let sum = before as u64 + words.map(u64::from).sum::<u64>();
    sum.is_multiple_of(0xffff) && sum > 0
}

/// A million random packets: half of them noise, half with a header that looks right. None is
/// accepted but the few whose checksum happens to be right, and those are left out.
#[test]
fn a_million_random_packets() {
    let pseudo = |len: usize| {
        // 192.0.2.2 to 224.0.0.18, protocol 112.
        0xc000 + 0x0202 + 0xe000 + 0x0012 + 112 + len as u32
    };
    let mut x = 0x1234_5678_9abc_def1u64;
    let mut m = [0u8; 64];
    let (mut fed, mut left_out) = (0u64, 0);
    for active in [false, true] {
        let mut l = if active { Lab::active(&[spec()]) } else { Lab::new(&[spec()]) };
        let before = fingerprint(&l);
        for _ in 0..500_000 {
            m.chunks_mut(8).for_each(|c| c.copy_from_slice(&next(&mut x).to_le_bytes()));
            let len = next(&mut x) as usize % (m.len() + 1);
            if x & 1 << 40 != 0 {
                (m[0], m[1], m[3]) = (0x31, 51, 1);
            }
            let used = 8 + 4 * m[3] as usize;
            let whole = used <= len && m[0] == 0x31 && m[1] == 51;
            if whole && (sums_up(&m[..used], 0) || sums_up(&m[..used], pseudo(used))) {
                left_out += 1;
                continue;
            }
            fed += 1;
            let ttl = if x & 0xff00_0000 == 0 { 254 } else { 255 };
            let (source, destination) = (ip4([192, 0, 2, 2]), ip4([224, 0, 0, 18]));
            let event = Event::Received(Received { ifindex: ETH0, source, destination, ttl, payload: &m[..len] });
            let mut acted = 0;
            l.r.handle(event, l.now, &mut |a: Action<'_>| {
                acted += if matches!(a, Action::Report(Report::Dropped { .. })) { 1 } else { 1000 };
            });
            assert_eq!(acted, 1, "{:02x?}", &m[..len]);
        }
        assert_eq!(fingerprint(&l), before);
        let counted: u64 = l.counters().iter().map(|(_, n)| n).sum();
        let own = l.r.view(0).unwrap().stats.advertisement_sent + l.r.view(0).unwrap().stats.master_transitions;
        assert_eq!(counted - own, fed);
        fed = 0;
    }
    assert!(left_out < 100, "{left_out} of a million");
}

fn ip4(b: [u8; 4]) -> IpAddr {
    IpAddr::from(b)
}

/// S2: a flood of priority 0 does not keep a Backup from taking over, nor make an Active flood.
#[test]
fn priority_zero_flood() {
    let mut l = Lab::new(&[spec()]);
    let due = l.now + Micros(609_375);
    for _ in 0..600 {
        l.wait_ms(1);
        l.hear(0, PEER);
    }
    assert_eq!(l.r.next_deadline(), Some(due + Micros::from_millis(1)));
    let mut l = Lab::active(&[spec()]);
    let mut sent = 0;
    for _ in 0..1000 {
        l.wait_ms(1);
        l.hear(0, PEER);
        sent += l.took().iter().filter(|d| d.starts_with("advert")).count();
    }
    assert_eq!(sent, 2);
}
