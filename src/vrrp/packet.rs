//! The VRRP message: parse and emit, versions 2 and 3, IPv4 and IPv6.
//!
//! ```text
//!  0                   1                   2                   3     version 3, RFC 9568 §5.1
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version| Type  | Virtual Rtr ID|   Priority    |IPvX Addr Count|
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Reserve| Max Advertise Interval|          Checksum             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       IPvX Address(es) …                      |
//!
//! |   Auth Type   |   Adver Int   |          Checksum             |   version 2, RFC 3768 §5.1
//! |                       IP Address(es) …                        |
//! |                    Authentication Data (8)                    |
//! ```
//!
//! [`Packet::new_checked`] checks version, type and lengths once; no accessor can panic after it.
//! [`emit`] never panics on a buffer of any size: it returns `None` where the message does not fit.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::timing::{Centis, Version};

/// IP protocol number (IANA), RFC 9568 §5.1.1.4.
pub const IPPROTO_VRRP: u8 = 112;
/// The IPv4 group of the adverts, RFC 9568 §5.1.1.2.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The IPv6 group of the adverts, RFC 9568 §5.1.2.2.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// The only type there is: ADVERTISEMENT, RFC 9568 §5.2.2.
pub const TYPE_ADVERTISEMENT: u8 = 1;
/// TTL and hop limit of every advert, RFC 9568 §5.1.1.3 and §5.1.2.3.
pub const TTL: u8 = 255;
/// The priority of the address owner, RFC 9568 §5.2.4.
pub const PRIORITY_OWNER: u8 = 255;
/// The priority that says "I leave", RFC 9568 §5.2.4.
pub const PRIORITY_LEAVE: u8 = 0;
/// Most IPv4 addresses in an advert: the count is one byte.
pub const MAX_V4: usize = 255;
/// Most IPv6 addresses in an advert of an MTU of 1500.
pub const MAX_V6: usize = 90;
/// Room for any advert that we send.
pub const MAX_LEN: usize = HEADER_LEN + 16 * MAX_V6;

const HEADER_LEN: usize = 8;
const AUTH_LEN: usize = 8;
const AUTH_NONE: u8 = 0;
const AUTH_SIMPLE: u8 = 1;
const AUTH_AH: u8 = 2;

static_assertions::const_assert!(MAX_LEN + 40 <= 1500);
static_assertions::const_assert!(HEADER_LEN + 4 * MAX_V4 + AUTH_LEN <= MAX_LEN);

mod field {
    pub(super) const VERSION_TYPE: usize = 0;
    pub(super) const VRID: usize = 1;
    pub(super) const PRIORITY: usize = 2;
    pub(super) const COUNT: usize = 3;
    /// Version 3: 4 reserved bits, 12 bits of centiseconds.
    pub(super) const MAX_ADVER_INT: usize = 4;
    /// Version 2.
    pub(super) const AUTH_TYPE: usize = 4;
    /// Version 2: seconds.
    pub(super) const ADVER_INT: usize = 5;
    pub(super) const CHECKSUM: usize = 6;
    pub(super) const ADDRESSES: usize = 8;
}

/// Why a message is not one that we can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Neither 2 nor 3, or 2 over IPv6; the number.
    Version(u8),
    /// Not ADVERTISEMENT; the number.
    Type(u8),
    /// Shorter than its header or its count says; the length in bytes.
    Length(usize),
    /// It lists no address.
    NoAddresses,
}

/// The authentication of a version 2 message (RFC 2338 §5.3.6, §5.3.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Type 0, and version 3.
    None,
    /// Type 1: eight bytes, zero-filled.
    Simple([u8; 8]),
    /// Type 2: IP authentication header, which we do not speak.
    Header,
    /// A type that no RFC names.
    Unknown(u8),
}

/// Which forms of checksum a message satisfies. Only over IPv4 in version 3 there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Over the message alone (RFC 9568 for IPv4, and version 2).
    pub plain: bool,
    /// Over the pseudo-header too (IPv6, and RFC 5798 for IPv4 as many read it).
    pub pseudo: bool,
}

/// The version nibble of a message, whatever else is wrong with it.
pub fn peek_version(payload: &[u8]) -> Option<u8> {
    payload.first().map(|b| b >> 4)
}

/// The VRID of a message, whatever else is wrong with it.
pub fn peek_vrid(payload: &[u8]) -> Option<u8> {
    payload.get(field::VRID).copied()
}

/// A received message whose version, type and lengths are right.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// At least as long as the count says.
    buf: &'a [u8],
    version: Version,
    address_len: usize,
}

impl<'a> Packet<'a> {
    /// Checks version, type, length and count, in this order (RFC 9568 §7.1). Never panics.
    pub fn new_checked(buf: &'a [u8], ipv6: bool) -> Result<Packet<'a>, Error> {
        let Some(&first) = buf.first() else { return Err(Error::Length(0)) };
        let version = match first >> 4 {
            2 if !ipv6 => Version::V2,
            3 => Version::V3,
            n => return Err(Error::Version(n)),
        };
        if first & 0x0f != TYPE_ADVERTISEMENT {
            return Err(Error::Type(first & 0x0f));
        }
        let packet = Packet { buf, version, address_len: if ipv6 { 16 } else { 4 } };
        if buf.len() < HEADER_LEN || buf.len() < packet.message_len() {
            return Err(Error::Length(buf.len()));
        }
        if packet.count() == 0 {
            return Err(Error::NoAddresses);
        }
        Ok(packet)
    }

    /// Protocol version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Virtual router identifier.
    pub fn vrid(&self) -> u8 {
        self.buf[field::VRID]
    }

    /// Priority of the sender.
    pub fn priority(&self) -> u8 {
        self.buf[field::PRIORITY]
    }

    /// Number of addresses.
    pub fn count(&self) -> u8 {
        self.buf[field::COUNT]
    }

    /// Advertisement interval; `None` for 0. The reserved nibble of version 3 is masked (RFC 9568 §5.2.6).
    pub fn interval(&self) -> Option<Centis> {
        match self.version {
            Version::V2 => Centis::from_secs(self.buf[field::ADVER_INT]),
            Version::V3 => {
                let at = field::MAX_ADVER_INT;
                Centis::new(u16::from_be_bytes([self.buf[at], self.buf[at + 1]]) & 0x0fff)
            }
        }
    }

    /// Authentication; `None` in version 3.
    pub fn auth(&self) -> Auth {
        if self.version == Version::V3 {
            return Auth::None;
        }
        match self.buf[field::AUTH_TYPE] {
            AUTH_NONE => Auth::None,
            AUTH_SIMPLE => {
                let mut data = [0; AUTH_LEN];
                data.copy_from_slice(&self.buf[self.message_len() - AUTH_LEN..self.message_len()]);
                Auth::Simple(data)
            }
            AUTH_AH => Auth::Header,
            n => Auth::Unknown(n),
        }
    }

    /// The addresses, in the order of the message.
    pub fn addresses(&self) -> impl ExactSizeIterator<Item = IpAddr> + use<'a> {
        let end = field::ADDRESSES + self.count() as usize * self.address_len;
        self.buf[field::ADDRESSES..end].chunks_exact(self.address_len).map(|b| match b.len() {
            4 => IpAddr::from([b[0], b[1], b[2], b[3]]),
            _ => {
                let mut a = [0; 16];
                a.copy_from_slice(b);
                IpAddr::from(a)
            }
        })
    }

    /// Bytes behind the message (newer peers can append a trailer of their own).
    pub fn trailing(&self) -> usize {
        self.buf.len() - self.message_len()
    }

    /// Which forms of checksum hold, by the folded sum over the counted bytes.
    ///
    /// `source` and `destination` are those of the IP header, for the pseudo-header.
    pub fn checksum(&self, source: IpAddr, destination: IpAddr) -> Checksum {
        let message = &self.buf[..self.message_len()];
        let sum = sum(message);
        let pseudo = || fold(sum + pseudo_sum(source, destination, message.len())) == 0xffff;
        match (self.version, self.address_len) {
            (Version::V2, _) => Checksum { plain: fold(sum) == 0xffff, pseudo: false },
            (Version::V3, 4) => Checksum { plain: fold(sum) == 0xffff, pseudo: pseudo() },
            (Version::V3, _) => Checksum { plain: false, pseudo: pseudo() },
        }
    }

    /// Length that the header and the count give, in bytes.
    fn message_len(&self) -> usize {
        let count = self.buf.get(field::COUNT).copied().unwrap_or(0) as usize;
        message_len(self.version, count, self.address_len)
    }
}

fn message_len(version: Version, count: usize, address_len: usize) -> usize {
    HEADER_LEN
        + count * address_len
        + match version {
            Version::V2 => AUTH_LEN,
            Version::V3 => 0,
        }
}

/// The fields of an advert to send, all but its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Protocol version.
    pub version: Version,
    /// Virtual router identifier.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// Advertisement interval: whole seconds in version 2, at most 4095 cs in version 3.
    pub interval: Centis,
    /// Version 2's simple password, zero-filled.
    pub password: Option<[u8; 8]>,
}

/// Writes an advert to the front of `buf`; its length, or `None` where it does not fit or lists no
/// address or more than 255.
///
/// `pseudo` holds the source and destination where the checksum covers the pseudo-header (C7).
/// All addresses are to be of one family.
pub fn emit(
    buf: &mut [u8],
    header: &Header,
    addresses: impl Iterator<Item = IpAddr>,
    pseudo: Option<(IpAddr, IpAddr)>,
) -> Option<usize> {
    let mut at = field::ADDRESSES;
    let mut count = 0u8;
    for ip in addresses {
        match ip {
            IpAddr::V4(a) => buf.get_mut(at..at + 4)?.copy_from_slice(&a.octets()),
            IpAddr::V6(a) => buf.get_mut(at..at + 16)?.copy_from_slice(&a.octets()),
        }
        at += if ip.is_ipv4() { 4 } else { 16 };
        count = count.checked_add(1)?;
    }
    if count == 0 {
        return None;
    }
    if header.version == Version::V2 {
        buf.get_mut(at..at + AUTH_LEN)?.copy_from_slice(&header.password.unwrap_or_default());
        at += AUTH_LEN;
    }
    let message = buf.get_mut(..at)?;
    message[field::VERSION_TYPE] = header.version.number() << 4 | TYPE_ADVERTISEMENT;
    message[field::VRID] = header.vrid;
    message[field::PRIORITY] = header.priority;
    message[field::COUNT] = count;
    match header.version {
        Version::V2 => {
            message[field::AUTH_TYPE] = if header.password.is_some() { AUTH_SIMPLE } else { AUTH_NONE };
            message[field::ADVER_INT] = header.interval.whole_secs()?;
        }
        Version::V3 => {
            let cs = header.interval.get();
            if cs > Centis::MAX_V3.get() {
                return None;
            }
            message[field::MAX_ADVER_INT..field::CHECKSUM].copy_from_slice(&cs.to_be_bytes());
        }
    }
    message[field::CHECKSUM..field::ADDRESSES].copy_from_slice(&[0, 0]);
    let extra = pseudo.map_or(0, |(from, to)| pseudo_sum(from, to, at));
    let checksum = !fold(sum(message) + extra);
    message[field::CHECKSUM..field::ADDRESSES].copy_from_slice(&checksum.to_be_bytes());
    Some(at)
}

/// Sum of the big-endian 16-bit words; an odd last byte is padded with zero (RFC 1071).
fn sum(bytes: &[u8]) -> u32 {
    let mut words = bytes.chunks_exact(2);
    let mut sum = 0u32;
    // At most 65535 bytes, so at most 32768 words of 16 bits: no overflow of 32.
    for w in &mut words {
        sum += u16::from_be_bytes([w[0], w[1]]) as u32;
    }
    if let [last] = words.remainder() {
        sum += (*last as u32) << 8;
    }
    sum
}

/// Sum of the pseudo-header: RFC 8200 §8.1 for IPv6; addresses, protocol and length for IPv4.
fn pseudo_sum(source: IpAddr, destination: IpAddr, len: usize) -> u32 {
    let address = |ip: IpAddr| match ip {
        IpAddr::V4(a) => sum(&a.octets()),
        IpAddr::V6(a) => sum(&a.octets()),
    };
    address(source) + address(destination) + IPPROTO_VRRP as u32 + len as u32
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests;
