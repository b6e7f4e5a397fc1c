//! VRRP, ARP and neighbour advertisements as these tests read and forge them, straight from the
//! RFCs and apart from the product's own code, so that one mistake cannot hide in both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const IPPROTO_VRRP: u8 = 112;
const IPPROTO_ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// An Ethernet address.
pub(crate) type Mac = [u8; 6];

/// What the tests look at on the wire.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    Advert(Advert),
    Arp(Arp),
    Neighbour(NeighbourAdvert),
}

/// A VRRP advertisement with the IP header's part in it.
#[derive(Clone, Debug)]
pub(crate) struct Advert {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) destination_mac: Mac,
    pub(crate) version: u8,
    pub(crate) vrid: u8,
    pub(crate) priority: u8,
    /// Milliseconds.
    pub(crate) interval_ms: u32,
    pub(crate) addresses: Vec<IpAddr>,
    /// Version 2's authentication type; 0 in version 3.
    pub(crate) auth_type: u8,
    /// What follows the addresses: version 2's authentication data.
    pub(crate) trailer: Vec<u8>,
}

/// An ARP packet.
#[derive(Clone, Debug)]
pub(crate) struct Arp {
    pub(crate) destination_mac: Mac,
    pub(crate) operation: u16,
    pub(crate) sender_mac: Mac,
    pub(crate) sender: Ipv4Addr,
    pub(crate) target: Ipv4Addr,
}

impl Arp {
    /// Whether it announces `address` to all rather than asking or answering.
    pub(crate) fn announces(&self, address: IpAddr) -> bool {
        self.sender == self.target && address == IpAddr::V4(self.sender) && self.destination_mac == [0xff; 6]
    }
}

/// A neighbour advertisement.
#[derive(Clone, Debug)]
pub(crate) struct NeighbourAdvert {
    pub(crate) destination: Ipv6Addr,
    pub(crate) hop_limit: u8,
    pub(crate) target: Ipv6Addr,
    /// Router, solicited, override: the top three bits.
    pub(crate) flags: u8,
}

impl NeighbourAdvert {
    /// Whether it announces `address` to all nodes.
    pub(crate) fn announces(&self, address: IpAddr) -> bool {
        address == IpAddr::V6(self.target) && self.destination == Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn ipv4(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?))
}

fn ipv6(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?))
}

fn mac(bytes: &[u8], at: usize) -> Option<Mac> {
    bytes.get(at..at + 6)?.try_into().ok()
}

/// Reads an Ethernet frame; `None` for anything the tests do not look at.
pub(crate) fn parse(frame: &[u8]) -> Option<Packet> {
    let destination_mac = mac(frame, 0)?;
    let body = frame.get(14..)?;
    match word(frame, 12)? {
        ETHERTYPE_ARP => Some(Packet::Arp(Arp {
            destination_mac,
            operation: word(body, 6)?,
            sender_mac: mac(body, 8)?,
            sender: ipv4(body, 14)?,
            target: ipv4(body, 24)?,
        })),
        ETHERTYPE_IPV4 if *body.get(9)? == IPPROTO_VRRP => {
            let header = usize::from(body[0] & 0x0f) * 4;
            let payload = body.get(header..usize::from(word(body, 2)?))?;
            let (source, destination) = (ipv4(body, 12)?.into(), ipv4(body, 16)?.into());
            advert(payload, source, destination, body[8], body[1], destination_mac)
        }
        ETHERTYPE_IPV6 => {
            let payload = body.get(40..40 + usize::from(word(body, 4)?))?;
            let (source, destination, hop_limit) = (ipv6(body, 8)?, ipv6(body, 24)?, body[7]);
            let class = (word(body, 0)? >> 4) as u8;
            match body[6] {
                IPPROTO_VRRP => advert(payload, source.into(), destination.into(), hop_limit, class, destination_mac),
                IPPROTO_ICMPV6 if *payload.first()? == NEIGHBOUR_ADVERTISEMENT => {
                    let (target, flags) = (ipv6(payload, 8)?, payload[4] & 0xe0);
                    Some(Packet::Neighbour(NeighbourAdvert { destination, hop_limit, target, flags }))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn advert(
    payload: &[u8],
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    tos: u8,
    destination_mac: Mac,
) -> Option<Packet> {
    let version = payload.first()? >> 4;
    let (vrid, priority, count) = (*payload.get(1)?, *payload.get(2)?, usize::from(*payload.get(3)?));
    let v2 = version == 2;
    let interval_ms = if v2 { u32::from(*payload.get(5)?) * 1000 } else { u32::from(word(payload, 4)? & 0x0fff) * 10 };
    let size = if source.is_ipv4() { 4 } else { 16 };
    let address = |i: usize| -> Option<IpAddr> {
        let at = 8 + i * size;
        if size == 4 { ipv4(payload, at).map(IpAddr::V4) } else { ipv6(payload, at).map(IpAddr::V6) }
    };
    Some(Packet::Advert(Advert {
        source,
        destination,
        ttl,
        tos,
        destination_mac,
        version,
        vrid,
        priority,
        interval_ms,
        addresses: (0..count).map(address).collect::<Option<_>>()?,
        auth_type: if v2 { payload[4] } else { 0 },
        trailer: payload.get(8 + count * size..)?.to_vec(),
    }))
}

/// The checksum that a forged advert carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// Over the VRRP message alone (RFC 9568 for IPv4, and version 2).
    Plain,
    /// With the pseudo-header.
    Pseudo,
    /// One that is wrong both ways.
    Wrong,
}

/// An IPv4 advert to be forged.
#[derive(Clone, Debug)]
pub(crate) struct Forged {
    pub(crate) source_mac: Mac,
    pub(crate) source: Ipv4Addr,
    pub(crate) ttl: u8,
    pub(crate) version: u8,
    pub(crate) vrid: u8,
    pub(crate) priority: u8,
    /// Centiseconds in version 3, seconds in version 2.
    pub(crate) interval: u16,
    pub(crate) addresses: Vec<Ipv4Addr>,
    pub(crate) checksum: Checksum,
}

impl Forged {
    /// The VRRP message.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut m = vec![self.version << 4 | 1, self.vrid, self.priority, self.addresses.len() as u8];
        let interval = if self.version == 2 { self.interval & 0xff } else { self.interval };
        m.extend(interval.to_be_bytes());
        m.extend([0, 0]);
        self.addresses.iter().for_each(|a| m.extend(a.octets()));
        if self.version == 2 {
            m.extend([0; 8]);
        }
        let mut covered = m.clone();
        if self.checksum == Checksum::Pseudo {
            covered.extend(self.source.octets());
            covered.extend([224, 0, 0, 18, 0, IPPROTO_VRRP]);
            covered.extend((m.len() as u16).to_be_bytes());
        }
        let sum =
            if self.checksum == Checksum::Wrong { 0x1234 ^ internet_checksum(&m) } else { internet_checksum(&covered) };
        m[6..8].copy_from_slice(&sum.to_be_bytes());
        m
    }

    /// The Ethernet frame to the IPv4 group.
    pub(crate) fn frame(&self) -> Vec<u8> {
        ipv4_frame(self.source_mac, self.source, self.ttl, &self.message())
    }
}

/// A protocol-112 packet to 224.0.0.18 with any payload.
pub(crate) fn ipv4_frame(source_mac: Mac, source: Ipv4Addr, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x01, 0x00, 0x5e, 0x00, 0x00, 0x12];
    frame.extend(source_mac);
    frame.extend(ETHERTYPE_IPV4.to_be_bytes());
    let mut header = vec![0x45, 0xc0];
    header.extend((20 + payload.len() as u16).to_be_bytes());
    header.extend([0, 0, 0, 0, ttl, IPPROTO_VRRP, 0, 0]);
    header.extend(source.octets());
    header.extend([224, 0, 0, 18]);
    let sum = internet_checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(header);
    frame.extend(payload);
    frame
}

/// RFC 1071.
pub(crate) fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
