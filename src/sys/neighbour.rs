//! Gratuitous ARP and unsolicited neighbour advertisements, from a socket that only sends.
//!
//! Read first: RFC 826, RFC 5227 §3 (an ARP announcement is a request whose sender and target
//! address are equal), RFC 4861 §4.4 and §7.2.6, RFC 9568 §6.4.1.
//!
//! The AF_PACKET socket has protocol 0 and so receives nothing: a forwarding router pays nothing
//! for it. Frames are built whole, because they may leave with a link-layer address that is not
//! the interface's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use linux_raw_sys::if_arp::{ARPHRD_ETHER, ARPOP_REQUEST};
use linux_raw_sys::if_ether::{ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, ETH_ZLEN};
use linux_raw_sys::if_packet::sockaddr_ll;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::outbox::{Outbox, To};
use super::vrrp_socket::TOS;
use crate::vrrp::packet::{IPPROTO_VRRP, TTL};

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// Bytes of an ARP frame, padded to the least that Ethernet carries (without its checksum).
const ARP_FRAME: usize = ETH_ZLEN as usize;
/// Bytes of an IPv4 header without options.
const IPV4: usize = 20;
/// Bytes of an IPv6 header.
const IPV6: usize = 40;
/// Bytes of a neighbour advertisement with one option.
const NA: usize = 24 + 8;
/// Bytes of its frame.
const NA_FRAME: usize = ETHERNET + IPV6 + NA;

/// IPPROTO_ICMPV6.
const ICMPV6: u8 = 58;
/// ICMPv6 type of a neighbour advertisement (RFC 4861 §4.4).
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Flags R (we are a router) and O (override what is cached), not S (nobody asked).
const ROUTER_OVERRIDE: u8 = 0xA0;
/// Option 2, target link-layer address, of one unit of eight bytes (RFC 4861 §4.6.1).
const TARGET_LINK_LAYER: [u8; 2] = [2, 1];
/// All nodes on the link, and its Ethernet form (RFC 2464 §7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const BROADCAST_MAC: [u8; 6] = [0xff; 6];

/// Tells neighbours on any interface where an address is now.
pub struct Announcer {
    socket: OwnedFd,
}

impl Announcer {
    /// Opens the socket (needs CAP_NET_RAW).
    pub fn open() -> io::Result<Announcer> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        Ok(Announcer { socket })
    }
}

impl AsFd for Announcer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What the next [`Outbox::flush`] through an [`Announcer`] sends.
impl<T: Copy> Outbox<T> {
    /// Puts in one gratuitous ARP request, or one unsolicited neighbour advertisement, for `ip` at `mac`.
    pub fn announce(&mut self, mark: T, ifindex: u32, mac: [u8; 6], ip: IpAddr) -> io::Result<()> {
        match ip {
            IpAddr::V4(ip) => self.put(mark, to(ifindex, ETH_P_ARP, BROADCAST_MAC), &[&gratuitous_arp(mac, ip)]),
            IpAddr::V6(ip) => self.put(mark, to(ifindex, ETH_P_IPV6, ALL_NODES_MAC), &[&unsolicited_na(mac, ip)]),
        }
    }

    /// Puts in a multicast advert between two addresses, with `mac` as the frame's source. The interface may
    /// have another.
    pub fn advert(
        &mut self,
        mark: T,
        ifindex: u32,
        mac: [u8; 6],
        addresses: (IpAddr, IpAddr),
        payload: &[u8],
    ) -> io::Result<()> {
        let mut header = [0; ETHERNET + IPV6];
        let (protocol, group, len) = match addresses {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                header[ETHERNET..][..IPV4].copy_from_slice(&ipv4_header(from, to, payload.len()));
                let [_, b, c, d] = to.octets();
                // RFC 1112 §6.4.
                (ETH_P_IP, [0x01, 0x00, 0x5e, b & 0x7f, c, d], ETHERNET + IPV4)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                header[ETHERNET..].copy_from_slice(&ipv6_header(from, to, payload.len()));
                let [.., a, b, c, d] = to.octets();
                // RFC 2464 §7.
                (ETH_P_IPV6, [0x33, 0x33, a, b, c, d], ETHERNET + IPV6)
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        ethernet(&mut header, group, mac, protocol);
        self.put(mark, to(ifindex, protocol, group), &[&header[..len], payload])
    }
}

fn to(ifindex: u32, protocol: u32, mac: [u8; 6]) -> To {
    let mut sll_addr = [0; 8];
    sll_addr[..6].copy_from_slice(&mac);
    To::Link(sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (protocol as u16).to_be(),
        sll_ifindex: ifindex as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr,
    })
}

fn ethernet(frame: &mut [u8], to: [u8; 6], from: [u8; 6], protocol: u32) {
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&from);
    frame[12..ETHERNET].copy_from_slice(&(protocol as u16).to_be_bytes());
}

/// RFC 791 §3.1, as RFC 9568 §5.1.1 wants it: TOS 0xC0, not to be fragmented, TTL 255.
fn ipv4_header(from: Ipv4Addr, to: Ipv4Addr, payload: usize) -> [u8; IPV4] {
    let mut header = [0; IPV4];
    header[..2].copy_from_slice(&[0x45, TOS]);
    header[2..4].copy_from_slice(&((IPV4 + payload) as u16).to_be_bytes());
    header[6] = 0x40;
    header[8..10].copy_from_slice(&[TTL, IPPROTO_VRRP]);
    header[12..16].copy_from_slice(&from.octets());
    header[16..].copy_from_slice(&to.octets());
    let sum = folded(words(&header));
    header[10..12].copy_from_slice(&(!sum).to_be_bytes());
    header
}

/// RFC 8200 §3, as RFC 9568 §5.1.2 wants it: traffic class 0xC0, hop limit 255.
fn ipv6_header(from: Ipv6Addr, to: Ipv6Addr, payload: usize) -> [u8; IPV6] {
    let mut header = [0; IPV6];
    header[..2].copy_from_slice(&[0x60 | TOS >> 4, TOS << 4]);
    header[4..6].copy_from_slice(&(payload as u16).to_be_bytes());
    header[6..8].copy_from_slice(&[IPPROTO_VRRP, TTL]);
    header[8..24].copy_from_slice(&from.octets());
    header[24..].copy_from_slice(&to.octets());
    header
}

/// RFC 826: hardware and protocol type, lengths, operation, sender, target.
fn gratuitous_arp(mac: [u8; 6], ip: Ipv4Addr) -> [u8; ARP_FRAME] {
    let mut frame = [0; ARP_FRAME];
    ethernet(&mut frame, BROADCAST_MAC, mac, ETH_P_ARP);
    let arp = &mut frame[ETHERNET..];
    arp[0..2].copy_from_slice(&(ARPHRD_ETHER as u16).to_be_bytes());
    arp[2..4].copy_from_slice(&(ETH_P_IP as u16).to_be_bytes());
    arp[4] = 6;
    arp[5] = 4;
    arp[6..8].copy_from_slice(&(ARPOP_REQUEST as u16).to_be_bytes());
    arp[8..14].copy_from_slice(&mac);
    arp[14..18].copy_from_slice(&ip.octets());
    // RFC 9568 §6.4.1 (110): the target link-layer address is the sender's.
    arp[18..24].copy_from_slice(&mac);
    arp[24..28].copy_from_slice(&ip.octets());
    frame
}

/// RFC 4861 §4.4, to all nodes, from the address itself (what a node with several addresses may do).
fn unsolicited_na(mac: [u8; 6], ip: Ipv6Addr) -> [u8; NA_FRAME] {
    let mut frame = [0; NA_FRAME];
    ethernet(&mut frame, ALL_NODES_MAC, mac, ETH_P_IPV6);
    let packet = &mut frame[ETHERNET..];
    packet[0] = 0x60;
    packet[4..6].copy_from_slice(&(NA as u16).to_be_bytes());
    packet[6] = ICMPV6;
    packet[7] = 255;
    packet[8..24].copy_from_slice(&ip.octets());
    packet[24..40].copy_from_slice(&ALL_NODES.octets());
    let na = &mut packet[IPV6..];
    na[0] = NEIGHBOUR_ADVERTISEMENT;
    na[4] = ROUTER_OVERRIDE;
    na[8..24].copy_from_slice(&ip.octets());
    na[24..26].copy_from_slice(&TARGET_LINK_LAYER);
    na[26..32].copy_from_slice(&mac);
    // The pseudo-header of RFC 8200 §8.1: both addresses, the length, the next header.
    let sum = words(&packet[8..40]) + NA as u32 + ICMPV6 as u32 + words(&packet[IPV6..]);
    packet[IPV6 + 2..IPV6 + 4].copy_from_slice(&(!folded(sum)).to_be_bytes());
    frame
}

/// A sum of words, its carries added to it (RFC 1071).
fn folded(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    (once + (once >> 16)) as u16
}

/// The sum of big-endian 16-bit words of an even number of bytes.
fn words(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|w| u16::from_be_bytes([w[0], w[1]]) as u32).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testnet::{Capture, with_cable};

    const MAC: [u8; 6] = [0x00, 0x00, 0x5e, 0x00, 0x01, 0x33];

    /// Written out from RFC 826 and RFC 9568 §6.4.1.
    #[rustfmt::skip]
    const ARP: [u8; 60] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // to all
        0x00, 0x00, 0x5e, 0x00, 0x01, 0x33, // from
        0x08, 0x06,                         // ARP
        0x00, 0x01,                         // hardware: Ethernet
        0x08, 0x00,                         // protocol: IPv4
        6, 4,                               // their lengths
        0x00, 0x01,                         // request
        0x00, 0x00, 0x5e, 0x00, 0x01, 0x33, // sender: hardware
        192, 168, 1, 1,                     // and protocol address
        0x00, 0x00, 0x5e, 0x00, 0x01, 0x33, // target: the same
        192, 168, 1, 1,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // padding to 60
    ];

    /// Written out from RFC 4861 §4.4 for 2001:db8::1. The checksum by hand: the words of the source
    /// and target 2·(2001+0db8+1) = 5b74, of the destination ff02+1 = ff03, the length 20, the next
    /// header 3a, the type 8800, the flags a000, the option 0201, the address 0+5e00+0133 = 5f33.
    /// Their sum is 2e4e5, folded e4e7, its complement 1b18 as computed in `checksum_by_hand`.
    #[rustfmt::skip]
    const ADVERTISEMENT: [u8; 86] = [
        0x33, 0x33, 0x00, 0x00, 0x00, 0x01, // to all nodes
        0x00, 0x00, 0x5e, 0x00, 0x01, 0x33, // from
        0x86, 0xdd,                         // IPv6
        0x60, 0, 0, 0, 0, 32, 58, 255,      // version; 32 bytes of ICMPv6; hop limit
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // source: the address
        0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,       // all nodes
        136, 0, CHECKSUM[0], CHECKSUM[1],   // neighbour advertisement
        0xa0, 0, 0, 0,                      // Router, Override
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // target
        2, 1, 0x00, 0x00, 0x5e, 0x00, 0x01, 0x33, // its link-layer address
    ];
    const CHECKSUM: [u8; 2] = {
        let sum: u32 = 0x5b74 + 0xff03 + 0x20 + 0x3a + 0x8800 + 0xa000 + 0x0201 + 0x5f33;
        (!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes()
    };

    #[test]
    fn frames_by_hand() {
        assert_eq!(gratuitous_arp(MAC, Ipv4Addr::new(192, 168, 1, 1)), ARP);
        assert_eq!(unsolicited_na(MAC, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), ADVERTISEMENT);
    }

    /// Written out from RFC 791 and RFC 9568 §5.1.1. The checksum by hand: 45c0 + 0020 + 4000 + ff70 +
    /// c000 + 0201 + e000 + 0012 = 32763, folded 2766, its complement d899.
    #[test]
    fn headers_by_hand() {
        let v4 = ipv4_header(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(224, 0, 0, 18), 12);
        #[rustfmt::skip]
        let expected = [0x45, 0xc0, 0, 32, 0, 0, 0x40, 0, 255, 112, 0xd8, 0x99, 192, 0, 2, 1, 224, 0, 0, 18];
        assert_eq!(v4, expected);
        let (from, to) = (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));
        let v6 = ipv6_header(from, to, 40);
        assert_eq!(v6[..8], [0x6c, 0, 0, 0, 0, 40, 112, 255]);
        assert_eq!((&v6[8..24], &v6[24..]), (&from.octets()[..], &to.octets()[..]));
    }

    /// An advert leaves whole, to the group's Ethernet address and from the given one.
    #[test]
    fn advert_on_the_wire() {
        with_cable(|net| {
            net.enter_b();
            let capture = Capture::open();
            net.enter_a();
            let announcer = Announcer::open().unwrap();
            let ip = |s: &str| s.parse::<IpAddr>().unwrap();
            let mut out = Outbox::default();
            out.advert(4, net.va, MAC, (ip("192.0.2.1"), ip("224.0.0.18")), b"twelve bytes").unwrap();
            out.advert(6, net.va, MAC, (ip("fe80::1"), ip("ff02::12")), b"twelve bytes").unwrap();
            let mixed = out.advert(0, net.va, MAC, (ip("192.0.2.1"), ip("ff02::12")), b"");
            assert_eq!(mixed.unwrap_err().kind(), io::ErrorKind::InvalidInput);
            out.flush(announcer.as_fd(), &mut |family, e| panic!("IPv{family}: {e}"));
            for (group, protocol, len) in
                [([0x01, 0, 0x5e, 0, 0, 0x12], [8, 0], 46), ([0x33, 0x33, 0, 0, 0, 0x12], [0x86, 0xdd], 66)]
            {
                let frame = capture.next("the advert", |f| f[6..12] == MAC && f[12..14] == protocol);
                assert_eq!((&frame[..6], frame.len()), (&group[..], len));
                assert!(frame.ends_with(b"twelve bytes"));
            }
        });
    }

    /// Both frames arrive at the other end of a cable as they were built, and the sender hears nothing.
    #[test]
    fn on_the_wire() {
        with_cable(|net| {
            net.enter_b();
            let capture = Capture::open();
            net.enter_a();
            let announcer = Announcer::open().unwrap();
            let mut out = Outbox::default();
            out.announce(4, net.va, MAC, "192.168.1.1".parse().unwrap()).unwrap();
            out.announce(0, 9999, MAC, "192.168.1.1".parse().unwrap()).unwrap();
            out.announce(6, net.va, MAC, "2001:db8::1".parse().unwrap()).unwrap();
            let mut failed = Vec::new();
            out.flush(announcer.as_fd(), &mut |mark, _| failed.push(mark));
            assert_eq!(failed, [0], "there is no such interface");
            assert_eq!(capture.next("the ARP request", |f| f[6..12] == MAC && f[12..14] == [8, 6]), ARP);
            assert_eq!(capture.next("the NA", |f| f[6..12] == MAC && f[12] == 0x86), ADVERTISEMENT);

            net.enter_b();
            let back = Announcer::open().unwrap();
            out.announce(0, net.vb, MAC, "192.168.1.2".parse().unwrap()).unwrap();
            out.flush(back.as_fd(), &mut |_, e| panic!("{e}"));
            let mut b = [0; 64];
            let heard = rustix::net::recv(&announcer.socket, &mut b[..], rustix::net::RecvFlags::empty());
            assert_eq!(heard.err(), Some(rustix::io::Errno::AGAIN));
        });
    }
}
