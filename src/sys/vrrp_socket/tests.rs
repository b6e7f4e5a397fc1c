use std::net::IpAddr;

use super::inbox::{Parsed, parse_v4};
use super::*;
use crate::router::event::Received;
use crate::sys::testnet::{Capture, Net, eventually, ip, with_cable};

const GROUP4: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
const GROUP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));

/// One message as it was received.
#[derive(Debug, PartialEq)]
struct Heard {
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    payload: Vec<u8, 2048>,
}

fn hear(s: &VrrpSocket) -> Heard {
    let mut inbox = Inbox::default();
    eventually("a message", || {
        let r = next(s, &mut inbox)?;
        let payload = Vec::from_slice(r.payload).unwrap();
        assert_eq!(r.ifindex, s.ifindex());
        Some(Heard { source: r.source, destination: r.destination, ttl: r.ttl, payload })
    })
}

/// The next message, if one is there; the packets that are none are passed over.
fn next<'b>(s: &VrrpSocket, inbox: &'b mut Inbox) -> Option<Received<'b>> {
    while inbox.take(s, 1).unwrap() > 0 {
        if inbox.message(0, s).is_some() {
            return inbox.message(0, s);
        }
    }
    None
}

fn addr(s: &str) -> IpAddr {
    s.parse().unwrap()
}

/// A message that has a VRID and nothing else of VRRP: the socket does not look further.
fn message(vrid: u8, mark: u8) -> [u8; 12] {
    [0x31, vrid, 100, mark, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// The family's sockets at both ends, its addresses, and its group, joined in B.
fn pair(net: &Net, family: Family) -> (VrrpSocket, VrrpSocket, IpAddr, IpAddr, IpAddr) {
    net.enter_a();
    let a = VrrpSocket::open(family, net.va).unwrap();
    net.enter_b();
    let mut b = VrrpSocket::open(family, net.vb).unwrap();
    let (at_a, at_b, group) = match family {
        Family::V4 => (addr("10.9.0.1"), addr("10.9.0.2"), GROUP4),
        Family::V6 => (addr("fe80::a"), addr("fe80::b"), GROUP6),
    };
    b.join(group).unwrap();
    net.enter_a();
    (a, b, at_a, at_b, group)
}

const BOTH: [Family; 2] = [Family::V4, Family::V6];

/// Input: a multicast and a unicast message from A. Output: B hears both with source, destination,
/// TTL 255; A does not hear itself.
#[test]
fn multicast_and_unicast() {
    with_cable(|net| {
        for family in BOTH {
            let (mut a, b, at_a, at_b, group) = pair(&net, family);
            a.join(group).unwrap();
            for to in [group, at_b] {
                a.send(at_a, to, &message(51, 1)).unwrap();
                let payload = Vec::from_slice(&message(51, 1)).unwrap();
                assert_eq!(hear(&b), Heard { source: at_a, destination: to, ttl: 255, payload });
            }
            b.send(at_b, at_a, &message(51, 2)).unwrap();
            assert_eq!(hear(&a).payload[3], 2, "the first thing that A hears is B, not itself");
            assert_eq!((b.garbage(), b.overflows()), (0, 0));
        }
    });
}

/// The IP header on the wire: TOS or traffic class 0xC0, TTL 255, protocol 112, the group's MAC.
#[test]
fn header_on_the_wire() {
    with_cable(|net| {
        net.enter_b();
        let capture = Capture::open();
        for family in BOTH {
            let (a, _b, at_a, _, group) = pair(&net, family);
            a.send(at_a, group, &message(51, 1)).unwrap();
            match family {
                Family::V4 => {
                    let f = capture.next("the IPv4 advert", |f| f[12..14] == [8, 0] && f[23] == 112);
                    assert_eq!(f[..6], [0x01, 0x00, 0x5e, 0, 0, 0x12]);
                    assert_eq!((f[15], f[22]), (0xC0, 255));
                }
                Family::V6 => {
                    let f = capture.next("the IPv6 advert", |f| f[12..14] == [0x86, 0xdd] && f[20] == 112);
                    assert_eq!(f[..6], [0x33, 0x33, 0, 0, 0, 0x12]);
                    assert_eq!((u16::from_be_bytes([f[14], f[15]]) >> 4, f[21]), (0x6C0, 255));
                }
            }
        }
    });
}

/// A TTL that is not 255 is told, so that it can be counted.
#[test]
fn low_ttl_is_told() {
    with_cable(|net| {
        for family in BOTH {
            let (a, b, at_a, _, group) = pair(&net, family);
            match family {
                Family::V4 => opt::set_ip_multicast_ttl(&a, 254).unwrap(),
                Family::V6 => opt::set_ipv6_multicast_hops(&a, 254).unwrap(),
            }
            a.send(at_a, group, &message(51, 1)).unwrap();
            assert_eq!(hear(&b).ttl, 254);
        }
    });
}

/// Only groups that the socket itself joined are heard; joining and leaving twice is no error;
/// joining again after the link was down is possible.
#[test]
fn groups() {
    with_cable(|net| {
        for family in BOTH {
            let (a, mut b, at_a, at_b, group) = pair(&net, family);
            net.enter_b();
            let other = VrrpSocket::open(family, net.vb).unwrap();
            b.join(group).unwrap();
            a.send(at_a, group, &message(51, 1)).unwrap();
            a.send(at_a, at_b, &message(51, 2)).unwrap();
            assert_eq!(hear(&other).payload[3], 2, "B's other socket has not joined");
            assert_eq!((hear(&b).payload[3], hear(&b).payload[3]), (1, 2));

            b.leave(group).unwrap();
            b.leave(group).unwrap();
            a.send(at_a, group, &message(51, 3)).unwrap();
            a.send(at_a, at_b, &message(51, 4)).unwrap();
            assert_eq!(hear(&b).payload[3], 4);

            b.join(group).unwrap();
            b.rejoin().unwrap();
            assert_eq!(b.groups(), [group]);
            a.send(at_a, group, &message(51, 5)).unwrap();
            assert_eq!(hear(&b).payload[3], 5);
            assert!(b.join(addr("10.1.1.1")).is_err() && b.groups() == [group]);
        }
    });
}

/// Input: all 256 VRIDs, then a mark. Output: ours and the mark; and all of them when it is open.
/// On IPv4 also behind IP options (IHL 6), on IPv6 also with a wrong checksum, as all of these have.
#[test]
fn filter_in_the_kernel() {
    with_cable(|net| {
        for (family, options) in [(Family::V4, false), (Family::V4, true), (Family::V6, false)] {
            let (a, b, at_a, _, group) = pair(&net, family);
            if options {
                // Router alert (RFC 2113).
                sockopt::set_bytes(a.as_fd(), IPPROTO_IP, libc::IP_OPTIONS, &[148, 4, 0, 0]).unwrap();
            }
            let mut bitmap = [0u32; 8];
            for vrid in [0usize, 31, 32, 51, 127, 128, 200, 255] {
                bitmap[vrid / 32] |= 1 << (vrid % 32);
            }
            b.set_filter(Some(&bitmap)).unwrap();
            for vrid in 0..=255 {
                a.send(at_a, group, &message(vrid, 1)).unwrap();
            }
            for vrid in [0, 31, 32, 51, 127, 128, 200, 255] {
                let heard = hear(&b);
                assert_eq!((heard.payload[1], heard.payload.len()), (vrid, 12), "{family:?} {options}");
            }
            a.send(at_a, group, &[0x31]).unwrap();
            assert_eq!(hear(&b).payload.len(), 1, "what has no VRID passes, to be counted");

            b.set_filter(None).unwrap();
            b.set_filter(None).unwrap();
            a.send(at_a, group, &message(77, 2)).unwrap();
            assert_eq!(hear(&b).payload[1], 77);
        }
    });
}

/// A socket hears its own interface alone.
#[test]
fn other_interface() {
    with_cable(|net| {
        for family in BOTH {
            let (a, b, at_a, at_b, _) = pair(&net, family);
            net.enter_b();
            let loopback = VrrpSocket::open(family, 1).unwrap();
            a.send(at_a, at_b, &message(51, 1)).unwrap();
            assert_eq!(hear(&b).payload[3], 1);
            assert_eq!(Inbox::default().take(&loopback, 1).unwrap(), 0);
        }
        for family in BOTH {
            assert!(VrrpSocket::open(family, 9999).is_err());
        }
        // As before Linux 5.1.
        let (a, b, at_a, at_b, _) = pair(&net, Family::V4);
        net.enter_b();
        bind_by_name(b.as_fd(), 1).unwrap();
        a.send(at_a, at_b, &message(51, 1)).unwrap();
        bind_by_name(b.as_fd(), net.vb).unwrap();
        a.send(at_a, at_b, &message(51, 2)).unwrap();
        assert_eq!(hear(&b).payload[3], 2);
        assert!(bind_by_name(b.as_fd(), 9999).is_err());
    });
}

/// What cannot be sent is an error of the caller's to handle; afterwards the socket works again.
#[test]
fn send_errors() {
    with_cable(|net| {
        for (family, foreign) in [(Family::V4, "10.9.0.77"), (Family::V6, "fe80::77")] {
            let (a, b, at_a, _, group) = pair(&net, family);
            assert!(a.send(addr(foreign), group, &message(1, 1)).is_err(), "a source that is not ours");
            assert!(a.send(at_a, if family == Family::V4 { GROUP6 } else { GROUP4 }, &message(1, 1)).is_err());
            ip("link set dev va down");
            assert!(a.send(at_a, group, &message(1, 1)).is_err(), "the link is down");
            ip("link set dev va up");
            if family == Family::V6 {
                ip("addr replace fe80::a/64 dev va nodad");
            }
            eventually("a send after link-up", || {
                let _ = Inbox::default().take(&b, 1);
                a.send(at_a, group, &message(1, 9)).ok()
            });
            // ENETDOWN may be told once to the receiver too.
            ip("addr replace fe80::a/64 dev va nodad");
        }
    });
}

/// More than the queue holds: the kernel's count of what is lost reaches us. Too long: counted.
#[test]
fn overflow_and_garbage_are_counted() {
    with_cable(|net| {
        let (a, b, at_a, _, group) = pair(&net, Family::V4);
        opt::set_socket_recv_buffer_size(&b, 4096).unwrap();
        for _ in 0..200 {
            a.send(at_a, group, &message(51, 1)).unwrap();
        }
        let mut inbox = Inbox::default();
        while inbox.take(&b, MAX_TAKEN).unwrap() > 0 {}
        a.send(at_a, group, &message(51, 2)).unwrap();
        assert_eq!(hear(&b).payload[3], 2);
        assert!(b.overflows() > 0);

        // With its IP header it is longer than any advert.
        a.send(at_a, group, &[0; 4090]).unwrap();
        eventually("the long one", || (inbox.take(&b, 1).unwrap() == 1).then_some(()));
        assert!(inbox.message(0, &b).is_none());
        assert_eq!(b.garbage(), 1);
    });
}

/// Input: 40 messages of all lengths that adverts have, long ones among short ones. Output: as many as were asked
/// for at once, in order and whole, and then the rest. "Nothing there" is said of an empty queue only.
#[test]
fn many_at_once() {
    with_cable(|net| {
        for family in BOTH {
            let (a, b, at_a, _, group) = pair(&net, family);
            let lengths: std::vec::Vec<usize> =
                (0..40).map(|k| [8, 99, 1448, 107, 108, 109, 128, 129][k % 8]).collect();
            let mut out = Outbox::default();
            for (k, len) in lengths.iter().enumerate() {
                if !out.has_room() {
                    out.flush(a.as_fd(), &mut |k, e| panic!("message {k}: {e}"));
                }
                a.post(&mut out, k, at_a, group, &std::vec![k as u8; *len]).unwrap();
            }
            out.flush(a.as_fd(), &mut |k, e| panic!("message {k}: {e}"));
            assert!(out.is_empty() && out.has_room());
            // A cable hands over at once what was sent.
            let mut inbox = Inbox::default();
            let (mut taken, mut seen) = (std::vec::Vec::new(), 0);
            loop {
                taken.push(inbox.take(&b, 32).unwrap());
                let Some(n) = taken.last().copied().filter(|n| *n > 0) else { break };
                for k in 0..n {
                    let m = inbox.message(k, &b).unwrap();
                    assert_eq!((m.source, m.destination, m.ttl), (at_a, group, 255));
                    assert_eq!(m.payload, std::vec![seen as u8; lengths[seen]]);
                    seen += 1;
                }
            }
            assert_eq!(taken, [32, 8, 0]);
        }
    });
}

/// What cannot be sent is told by its mark; the others of the same call are sent.
#[test]
fn failures_among_many() {
    with_cable(|net| {
        for (family, foreign) in [(Family::V4, "10.9.0.77"), (Family::V6, "fe80::77")] {
            let (a, b, at_a, _, group) = pair(&net, family);
            let mut out = Outbox::default();
            for mark in 0..8u8 {
                let source = if [0, 3, 4, 7].contains(&mark) { addr(foreign) } else { at_a };
                a.post(&mut out, mark, source, group, &message(51, mark)).unwrap();
            }
            let mut failed = std::vec::Vec::new();
            out.flush(a.as_fd(), &mut |mark, _| failed.push(mark));
            assert_eq!(failed, [0, 3, 4, 7]);
            let mut inbox = Inbox::default();
            assert_eq!(inbox.take(&b, 8).unwrap(), 4);
            let heard: std::vec::Vec<u8> = (0..4).map(|k| inbox.message(k, &b).unwrap().payload[3]).collect();
            assert_eq!(heard, [1, 2, 5, 6]);
        }
    });
}

/// More than there is room for is refused, and what is in the outbox stays as it is.
#[test]
fn a_full_outbox() {
    with_cable(|net| {
        let (a, b, at_a, _, group) = pair(&net, Family::V4);
        let mut out = Outbox::default();
        let (mut n, mut room) = (0u8, true);
        while a.post(&mut out, n, at_a, group, &message(51, n)).is_ok() {
            assert!(room, "there is room for no more than is said");
            (n, room) = (n + 1, out.has_room());
        }
        assert!(!out.has_room() && n == 16);
        out.flush(a.as_fd(), &mut |k, e| panic!("message {k}: {e}"));
        a.post(&mut out, 0, at_a, group, &[1; 4000]).unwrap();
        assert!(!out.has_room());
        assert!(a.post(&mut out, 1, at_a, group, &[2; 100]).is_err());
        out.flush(a.as_fd(), &mut |k, e| panic!("message {k}: {e}"));
        let mut inbox = Inbox::default();
        assert_eq!(inbox.take(&b, 32).unwrap(), 17);
        assert_eq!(inbox.message(16, &b).unwrap().payload, [1; 4000]);
    });
}

/// Every truncation and many random packets: no panic, nothing outside the packet.
#[test]
fn ipv4_header_is_checked() {
    let mut packet = [0u8; 32];
    packet[..20].copy_from_slice(&[0x45, 0xc0, 0, 32, 0, 0, 0x40, 0, 255, 112, 0, 0, 10, 9, 0, 1, 224, 0, 0, 18]);
    let good = Parsed { source: addr("10.9.0.1"), destination: GROUP4, ttl: 255, start: 20, end: 32 };
    assert_eq!(parse_v4(&packet), Some(good));
    for n in 0..32 {
        assert_eq!(parse_v4(&packet[..n]), None, "cut to {n}");
    }
    packet[0] = 0x48;
    assert_eq!(parse_v4(&packet).map(|p| p.start), Some(32));
    for (at, value) in [(0, 0x44), (0, 0x49), (0, 0x65), (3, 33), (9, 17)] {
        let mut p = packet;
        p[at] = value;
        assert_eq!(parse_v4(&p), None, "byte {at} = {value}");
    }
    let mut seed = 1u32;
    for _ in 0..200_000 {
        let mut p = [0u8; 48];
        for b in &mut p {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            *b = seed as u8;
        }
        p[0] = 0x40 | p[0] & 15;
        if let Some(r) = parse_v4(&p) {
            assert!(r.start <= r.end && r.end <= p.len());
        }
    }
}
