//! Golden payloads (computed from the RFCs, not recorded from this program) and the checks on receive.

use super::*;

const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254));
const SRC: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const DST: IpAddr = IpAddr::V4(GROUP_V4);

fn hex(s: &str) -> Vec<u8> {
    (0..s.len()).step_by(2).map(|i| u8::from_str_radix(&s[i..i + 2], 16).unwrap()).collect()
}

fn v6(s: &str) -> IpAddr {
    s.parse().unwrap()
}

fn header(version: Version, password: Option<&[u8; 8]>) -> Header {
    Header { version, vrid: 10, priority: 100, interval: Centis::SECOND, password: password.copied() }
}

/// Emits into a buffer of 0xa5, so that an unwritten byte shows.
fn emitted(h: &Header, ips: &[IpAddr], pseudo: Option<(IpAddr, IpAddr)>) -> Vec<u8> {
    let mut buf = [0xa5; MAX_LEN];
    let n = emit(&mut buf, h, ips.iter().copied(), pseudo).unwrap();
    assert!(buf[n..].iter().all(|b| *b == 0xa5));
    buf[..n].to_vec()
}

// 21 version 2, type 1 | 0a VRID | 64 priority | 01 count | 00 auth none | 01 1 s | b7f4 | c00002fe | 8 zero bytes
const V2: &str = "210a64010001b7f4c00002fe0000000000000000";
// the same with auth type 1 and "1111"
const V2_AUTH: &str = "210a640101015492c00002fe3131313100000000";
// 31 version 3, type 1 | 0a | 64 | 01 | 0064 100 cs | a791 over the message | c00002fe
const V3_PLAIN: &str = "310a64010064a791c00002fe";
// 0501 over the pseudo-header of 192.0.2.1 > 224.0.0.18 too; 2311 for 192.0.2.1 > 192.0.2.2
const V3_PSEUDO: &str = "310a640100640501c00002fe";
const V3_UNICAST: &str = "310a640100642311c00002fe";
// 643b over the IPv6 pseudo-header (RFC 8200), two addresses
const V3_IPV6: &str = "310a640200643b7efe80000000000000000000000000025420010db8000000000000000000000254";

#[test]
fn golden_emit() {
    assert_eq!(emitted(&header(Version::V2, None), &[VIP], None), hex(V2));
    assert_eq!(emitted(&header(Version::V2, Some(b"1111\0\0\0\0")), &[VIP], None), hex(V2_AUTH));
    assert_eq!(emitted(&header(Version::V3, None), &[VIP], None), hex(V3_PLAIN));
    assert_eq!(emitted(&header(Version::V3, None), &[VIP], Some((SRC, DST))), hex(V3_PSEUDO));
    let peer = IpAddr::from([192, 0, 2, 2]);
    assert_eq!(emitted(&header(Version::V3, None), &[VIP], Some((SRC, peer))), hex(V3_UNICAST));
    let ips = [v6("fe80::254"), v6("2001:db8::254")];
    let pseudo = Some((v6("fe80::1"), IpAddr::V6(GROUP_V6)));
    assert_eq!(emitted(&header(Version::V3, None), &ips, pseudo), hex(V3_IPV6));
}

#[test]
fn golden_parse() {
    for (text, version, auth, plain, pseudo) in [
        (V2, Version::V2, Auth::None, true, false),
        (V2_AUTH, Version::V2, Auth::Simple(*b"1111\0\0\0\0"), true, false),
        (V3_PLAIN, Version::V3, Auth::None, true, false),
        (V3_PSEUDO, Version::V3, Auth::None, false, true),
    ] {
        let bytes = hex(text);
        let p = Packet::new_checked(&bytes, false).unwrap();
        assert_eq!((p.version(), p.vrid(), p.priority(), p.count()), (version, 10, 100, 1));
        assert_eq!(p.interval(), Some(Centis::SECOND));
        assert_eq!(p.auth(), auth);
        assert_eq!(p.addresses().collect::<Vec<_>>(), [VIP]);
        assert_eq!(p.trailing(), 0);
        assert_eq!(p.checksum(SRC, DST), Checksum { plain, pseudo });
    }
    let bytes = hex(V3_IPV6);
    let p = Packet::new_checked(&bytes, true).unwrap();
    assert_eq!(p.addresses().collect::<Vec<_>>(), [v6("fe80::254"), v6("2001:db8::254")]);
    let right = p.checksum(v6("fe80::1"), IpAddr::V6(GROUP_V6));
    assert_eq!(right, Checksum { plain: false, pseudo: true });
    assert!(!p.checksum(v6("fe80::2"), IpAddr::V6(GROUP_V6)).pseudo);
}

/// C13: cut at every byte, each an error and none a panic.
#[test]
fn every_truncation() {
    for (text, ipv6) in [(V2, false), (V2_AUTH, false), (V3_PLAIN, false), (V3_IPV6, true)] {
        let bytes = hex(text);
        for n in 0..bytes.len() {
            assert_eq!(Packet::new_checked(&bytes[..n], ipv6).unwrap_err(), Error::Length(n));
        }
    }
}

/// C15: every single-bit flip of the covered bytes is seen, by the header's checks or the checksum of
/// the form that the sender uses.
#[test]
fn every_bit_flip() {
    for (text, ipv6) in [(V2, false), (V2_AUTH, false), (V3_PLAIN, false), (V3_PSEUDO, false), (V3_IPV6, true)] {
        let good = hex(text);
        let (src, dst) = if ipv6 { (v6("fe80::1"), IpAddr::V6(GROUP_V6)) } else { (SRC, DST) };
        let before = Packet::new_checked(&good, ipv6).unwrap();
        let form = before.checksum(src, dst);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 0x80 >> (bit % 8);
            let Ok(p) = Packet::new_checked(&bad, ipv6) else { continue };
            if p.version() != before.version() {
                continue; // the router compares it with the instance's
            }
            let got = p.checksum(src, dst);
            assert!(!(form.plain && got.plain || form.pseudo && got.pseudo), "bit {bit} of {text}");
        }
    }
}

#[test]
fn wrong_headers() {
    let with = |at: usize, byte: u8| {
        let mut b = hex(V3_PLAIN);
        b[at] = byte;
        Packet::new_checked(&b, false).map(|_| ()).unwrap_err()
    };
    assert_eq!(with(0, 0x41), Error::Version(4));
    assert_eq!(with(0, 0x01), Error::Version(0));
    assert_eq!(with(0, 0x32), Error::Type(2));
    assert_eq!(with(3, 0), Error::NoAddresses);
    assert_eq!(with(3, 2), Error::Length(12));
    // version 2 exists over IPv4 only
    assert_eq!(Packet::new_checked(&hex(V2), true).unwrap_err(), Error::Version(2));
}

/// C17, C19: interval 0 has no value; the reserved nibble does not count.
#[test]
fn interval_field() {
    let mut b = hex(V3_PLAIN);
    b[4..6].copy_from_slice(&[0xf0, 0x00]);
    assert_eq!(Packet::new_checked(&b, false).unwrap().interval(), None);
    b[4..6].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(Packet::new_checked(&b, false).unwrap().interval(), Some(Centis::MAX_V3));
    let mut b = hex(V2);
    b[5] = 0;
    assert_eq!(Packet::new_checked(&b, false).unwrap().interval(), None);
}

/// C23: authentication types.
#[test]
fn auth_types() {
    let mut b = hex(V2_AUTH);
    b[4] = 2;
    assert_eq!(Packet::new_checked(&b, false).unwrap().auth(), Auth::Header);
    b[4] = 7;
    assert_eq!(Packet::new_checked(&b, false).unwrap().auth(), Auth::Unknown(7));
}

/// E14: a trailer is counted and not covered.
#[test]
fn trailer() {
    let mut b = hex(V3_PLAIN);
    b.extend_from_slice(&[1, 2, 3]);
    let p = Packet::new_checked(&b, false).unwrap();
    assert_eq!(p.trailing(), 3);
    assert!(p.checksum(SRC, DST).plain);
}

/// E13: the largest messages fit, one more does not; an empty list and a small buffer are refused.
#[test]
fn limits() {
    let v4: Vec<IpAddr> = (0..=255u8).map(|i| IpAddr::from([10, 0, 0, i])).collect();
    let mut buf = [0; MAX_LEN];
    let h2 = header(Version::V2, None);
    assert_eq!(emit(&mut buf, &h2, v4[..255].iter().copied(), None), Some(8 + 255 * 4 + 8));
    assert_eq!(emit(&mut buf, &h2, v4.iter().copied(), None), None);
    assert_eq!(emit(&mut buf, &h2, core::iter::empty(), None), None);
    let v6s: Vec<IpAddr> = (0..91u16).map(|i| IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, i))).collect();
    let h3 = header(Version::V3, None);
    assert_eq!(emit(&mut buf, &h3, v6s[..90].iter().copied(), None), Some(MAX_LEN));
    assert_eq!(emit(&mut buf, &h3, v6s.iter().copied(), None), None);
    for n in 0..20 {
        assert_eq!(emit(&mut buf[..n], &h2, v4[..1].iter().copied(), None), None);
    }
    let odd = Header { interval: Centis::new(150).unwrap(), ..h2 };
    assert_eq!(emit(&mut buf, &odd, v4[..1].iter().copied(), None), None);
    let long = Header { interval: Centis::new(5000).unwrap(), ..h3 };
    assert_eq!(emit(&mut buf, &long, v4[..1].iter().copied(), None), None);
}

proptest::proptest! {
    /// Whatever is emitted is read back equal, with a right checksum.
    #[test]
    fn round_trip(v3: bool, vrid: u8, priority: u8, secs in 1u8..=40, n in 1usize..=255, seed: u32, pseudo: bool) {
        let version = if v3 { Version::V3 } else { Version::V2 };
        let h = Header { version, vrid, priority, interval: Centis::from_secs(secs).unwrap(), password: None };
        let ips: Vec<IpAddr> = (0..n as u32).map(|i| IpAddr::from((seed.wrapping_add(i)).to_be_bytes())).collect();
        let form = (pseudo && v3).then_some((SRC, DST));
        let bytes = emitted(&h, &ips, form);
        let p = Packet::new_checked(&bytes, false).unwrap();
        assert_eq!((p.version(), p.vrid(), p.priority(), p.interval()), (version, vrid, priority, Some(h.interval)));
        assert_eq!(p.addresses().collect::<Vec<_>>(), ips);
        let sums = p.checksum(SRC, DST);
        assert!(if form.is_some() { sums.pseudo } else { sums.plain });
    }

    /// Random bytes never panic, whatever is asked of what passes.
    #[test]
    fn random_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80), ipv6: bool) {
        if let Ok(p) = Packet::new_checked(&bytes, ipv6) {
            let _ = (p.vrid(), p.priority(), p.interval(), p.auth(), p.trailing(), p.addresses().count());
            let _ = p.checksum(SRC, DST);
        }
    }
}
