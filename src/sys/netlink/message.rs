//! Netlink messages: reading and writing, with every length checked.
//!
//! Read first: RFC 3549 §2.3, netlink(7), rtnetlink(7). Numbers are in the machine's byte order;
//! messages and attributes begin at multiples of four bytes. Reading never panics: what is cut
//! short or does not add up ends the iteration or yields `None`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use linux_raw_sys::net::net_device_flags::{IFF_RUNNING, IFF_UP};
use linux_raw_sys::netlink::{self as nl, ifaddrmsg, ifinfomsg, nlmsghdr, rtattr};
use static_assertions::const_assert_eq;

use crate::config::model::Scope;
use crate::router::VmacSpec;
use crate::router::event::{AddressSpec, LinkAddress, LinkInfo};

/// Bytes of `struct nlmsghdr`.
pub const HEADER: usize = size_of::<nlmsghdr>();
/// Bytes of `struct ifinfomsg`.
const IFINFO: usize = size_of::<ifinfomsg>();
/// Bytes of `struct ifaddrmsg`.
const IFADDR: usize = size_of::<ifaddrmsg>();
/// Bytes of `struct rtattr`.
const ATTR: usize = size_of::<rtattr>();

// The offsets below are those of the kernel's structs.
const_assert_eq!(HEADER, 16);
const_assert_eq!(IFINFO, 16);
const_assert_eq!(IFADDR, 8);
const_assert_eq!(ATTR, 4);
const_assert_eq!(core::mem::offset_of!(nlmsghdr, nlmsg_type), 4);
const_assert_eq!(core::mem::offset_of!(nlmsghdr, nlmsg_flags), 6);
const_assert_eq!(core::mem::offset_of!(nlmsghdr, nlmsg_seq), 8);
const_assert_eq!(core::mem::offset_of!(nlmsghdr, nlmsg_pid), 12);
const_assert_eq!(core::mem::offset_of!(ifinfomsg, ifi_index), 4);
const_assert_eq!(core::mem::offset_of!(ifinfomsg, ifi_flags), 8);
const_assert_eq!(core::mem::offset_of!(ifaddrmsg, ifa_index), 4);

/// Metric of the network's route that an address on a macvlan brings along: behind that of the
/// interface beneath, whose MAC address what we send ourselves is to have.
const BEHIND: u32 = 4096;
/// linux/neighbour.h.
const NUD_PERMANENT: u16 = 0x80;
const NTF_SELF: u8 = 2;
const NDA_LLADDR: u32 = 2;
/// NLA_TYPE_MASK: the two upper bits of an attribute's type are flags.
const TYPE_MASK: u16 = 0x3fff;
/// IFA_PROTO of our addresses: the protocol's number. Kernels before 5.18 ignore it.
const IFA_PROTO_VRRP: u8 = 112;

pub(super) const fn aligned(n: usize) -> usize {
    (n + 3) & !3
}

pub(in crate::sys) fn u16_at(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(b.get(at..at + 2)?.try_into().ok()?))
}

pub(in crate::sys) fn u32_at(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(b.get(at..at + 4)?.try_into().ok()?))
}

/// A message as it came.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// nlmsg_type.
    pub kind: u16,
    /// nlmsg_flags.
    pub flags: u16,
    /// nlmsg_seq.
    pub seq: u32,
    /// What is behind the header.
    pub body: &'a [u8],
}

/// The messages in what was received.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a>(&'a [u8]);

/// Reads the messages in `received`.
pub const fn messages(received: &[u8]) -> Messages<'_> {
    Messages(received)
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let b = self.0;
        let len = u32_at(b, 0)? as usize;
        let (kind, flags, seq) = (u16_at(b, 4)?, u16_at(b, 6)?, u32_at(b, 8)?);
        let Some(body) = b.get(HEADER..len) else {
            self.0 = &[];
            return None;
        };
        self.0 = b.get(aligned(len)..).unwrap_or(&[]);
        Some(Message { kind, flags, seq, body })
    }
}

/// The attributes behind a message's fixed part.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let b = self.0;
        let (len, kind) = (u16_at(b, 0)? as usize, u16_at(b, 2)? & TYPE_MASK);
        let Some(value) = b.get(ATTR..len) else {
            self.0 = &[];
            return None;
        };
        self.0 = b.get(aligned(len)..).unwrap_or(&[]);
        Some((kind, value))
    }
}

/// The error number of an NLMSG_ERROR message's body: 0 for an acknowledgement. The same number
/// stands in an NLMSG_DONE that ends a failed dump.
pub fn error_of(body: &[u8]) -> Option<i32> {
    Some(i32::from_ne_bytes(body.get(..4)?.try_into().ok()?).wrapping_neg())
}

/// A link message (RTM_NEWLINK, RTM_DELLINK) of the interface itself; `None` for those of a
/// protocol family such as AF_BRIDGE, which tell of a port and not of the interface's life.
pub fn parse_link(body: &[u8]) -> Option<LinkInfo<'_>> {
    if *body.first()? as i32 != libc::AF_UNSPEC {
        return None;
    }
    let ifindex = u32_at(body, 4)?;
    let flags = u32_at(body, 8)?;
    let wanted = IFF_UP as u32 | IFF_RUNNING as u32;
    let mut link = LinkInfo { ifindex, name: "", up: flags & wanted == wanted, mac: [0; 6], mtu: 0 };
    for (kind, value) in Attributes(body.get(IFINFO..)?) {
        match kind as u32 {
            k if k == nl::IFLA_IFNAME as u32 => {
                let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
                // A name that is not UTF-8 cannot be in the configuration.
                link.name = core::str::from_utf8(&value[..end]).unwrap_or("");
            }
            k if k == nl::IFLA_ADDRESS as u32 => link.mac = value.try_into().unwrap_or([0; 6]),
            k if k == nl::IFLA_MTU as u32 => link.mtu = u32_at(value, 0)?,
            _ => {}
        }
    }
    (ifindex != 0).then_some(link)
}

/// An address message (RTM_NEWADDR, RTM_DELADDR): the link's index and the address.
pub fn parse_address(body: &[u8]) -> Option<(u32, LinkAddress)> {
    let (family, prefix, short_flags) = (*body.first()? as i32, *body.get(1)?, *body.get(2)?);
    let ifindex = u32_at(body, 4)?;
    let (mut flags, mut local, mut address) = (short_flags as u32, None, None);
    for (kind, value) in Attributes(body.get(IFADDR..)?) {
        match kind as u32 {
            k if k == nl::IFA_LOCAL as u32 => local = ip_of(family, value),
            k if k == nl::IFA_ADDRESS as u32 => address = ip_of(family, value),
            k if k == nl::IFA_FLAGS as u32 => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    // On a point-to-point link IFA_ADDRESS is the far end's and IFA_LOCAL ours.
    let ip = local.or(address)?;
    let v4 = ip.is_ipv4();
    let address = LinkAddress {
        ip,
        prefix,
        secondary: v4 && flags & nl::IFA_F_SECONDARY != 0,
        // An optimistic address is usable although detection is under way (RFC 4429).
        tentative: !v4
            && (flags & nl::IFA_F_DADFAILED != 0
                || flags & nl::IFA_F_TENTATIVE != 0 && flags & nl::IFA_F_OPTIMISTIC == 0),
    };
    (ifindex != 0).then_some((ifindex, address))
}

pub(super) fn ip_of(family: i32, value: &[u8]) -> Option<IpAddr> {
    match family {
        libc::AF_INET => Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?))),
        libc::AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?))),
        _ => None,
    }
}

/// A request under construction, of at most 128 bytes.
pub struct Request {
    buffer: [u8; 128],
    len: usize,
}

impl Request {
    pub(super) fn new(kind: u32, flags: u32, seq: u32) -> Request {
        let mut r = Request { buffer: [0; 128], len: 0 };
        // The length is filled in by `bytes`; the port is the kernel's to know.
        r.put(&[0; 4]);
        r.put(&(kind as u16).to_ne_bytes());
        r.put(&((flags | nl::NLM_F_REQUEST) as u16).to_ne_bytes());
        r.put(&seq.to_ne_bytes());
        r.put(&[0; 4]);
        r
    }

    /// Appends and pads to a multiple of four at the next attribute. All requests here fit.
    pub(super) fn put(&mut self, b: &[u8]) {
        if let Some(room) = self.buffer.get_mut(self.len..self.len + b.len()) {
            room.copy_from_slice(b);
            self.len += b.len();
        }
    }

    pub(super) fn attribute(&mut self, kind: u32, value: &[u8]) {
        self.len = aligned(self.len);
        self.put(&((ATTR + value.len()) as u16).to_ne_bytes());
        self.put(&(kind as u16).to_ne_bytes());
        self.put(value);
    }

    /// The message.
    pub fn bytes(&mut self) -> &[u8] {
        self.len = aligned(self.len).min(self.buffer.len());
        self.buffer[..4].copy_from_slice(&(self.len as u32).to_ne_bytes());
        &self.buffer[..self.len]
    }

    /// RTM_GETLINK for all links, without their statistics.
    pub fn dump_links(seq: u32) -> Request {
        let mut r = Request::new(nl::RTM_GETLINK as u32, nl::NLM_F_DUMP, seq);
        r.put(&[0; IFINFO]);
        r.attribute(nl::IFLA_EXT_MASK as u32, &nl::RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
        r
    }

    /// RTM_GETADDR for one link; kernels without strict checking answer for all links.
    pub fn dump_addresses(seq: u32, ifindex: u32) -> Request {
        let mut r = Request::new(nl::RTM_GETADDR as u32, nl::NLM_F_DUMP, seq);
        r.put(&[0; 4]);
        r.put(&ifindex.to_ne_bytes());
        r
    }

    /// RTM_NEWADDR: refused if the address is there.
    pub fn add_address(seq: u32, spec: &AddressSpec<'_>) -> Request {
        let flags = nl::NLM_F_CREATE | nl::NLM_F_EXCL | nl::NLM_F_ACK;
        let mut r = Request::address(nl::RTM_NEWADDR as u32, flags, seq, spec);
        if spec.ip.is_ipv4() && !spec.label.is_empty() {
            // With its NUL; at most IFNAMSIZ.
            let mut label = [0u8; 16];
            let n = spec.label.len().min(15);
            label[..n].copy_from_slice(&spec.label.as_bytes()[..n]);
            r.attribute(nl::IFA_LABEL as u32, &label[..n + 1]);
        }
        if spec.ip.is_ipv6() {
            // The address was another router's a moment ago: detection would delay or refuse it.
            r.attribute(nl::IFA_FLAGS as u32, &nl::IFA_F_NODAD.to_ne_bytes());
        }
        r.attribute(nl::IFA_PROTO as u32, &[IFA_PROTO_VRRP]);
        if spec.vmac {
            // Linux 4.18; before that the route that was there first goes first.
            r.attribute(nl::IFA_RT_PRIORITY as u32, &BEHIND.to_ne_bytes());
        }
        r
    }

    /// RTM_NEWLINK for a macvlan that is down: refused if there is a link of that name.
    pub fn add_macvlan(seq: u32, spec: &VmacSpec<'_>) -> Request {
        let mut r = Request::link(nl::RTM_NEWLINK as u32, nl::NLM_F_CREATE | nl::NLM_F_EXCL, seq, 0, None);
        let mut name = [0u8; 16];
        let n = spec.name.len().min(15);
        name[..n].copy_from_slice(&spec.name.as_bytes()[..n]);
        r.attribute(nl::IFLA_IFNAME as u32, &name[..n + 1]);
        r.attribute(nl::IFLA_LINK as u32, &spec.parent.to_ne_bytes());
        r.attribute(nl::IFLA_ADDRESS as u32, &spec.mac);
        // Attributes in attributes: each length is that of all that it holds.
        r.attribute(nl::IFLA_LINKINFO as u32, &[0; 24]);
        r.len -= 24;
        r.attribute(nl::IFLA_INFO_KIND as u32, b"macvlan\0");
        r.attribute(nl::IFLA_INFO_DATA as u32, &[0; 8]);
        r.len -= 8;
        // Bridge mode: what comes from another router with this MAC address reaches the interface
        // beneath, where adverts are heard. In private mode it would reach the macvlan alone.
        r.attribute(nl::IFLA_MACVLAN_MODE as u32, &(nl::macvlan_mode::MACVLAN_MODE_BRIDGE as u32).to_ne_bytes());
        r
    }

    /// RTM_SETLINK: up or down.
    pub fn set_link(seq: u32, ifindex: u32, up: bool) -> Request {
        Request::link(nl::RTM_SETLINK as u32, 0, seq, ifindex, Some(up))
    }

    /// RTM_DELLINK.
    pub fn remove_link(seq: u32, ifindex: u32) -> Request {
        Request::link(nl::RTM_DELLINK as u32, 0, seq, ifindex, None)
    }

    /// RTM_NEWNEIGH or RTM_DELNEIGH: that frames for `mac` are the bridge's own, and not to be forwarded.
    pub fn bridge_owns(seq: u32, bridge: u32, mac: [u8; 6], owns: bool) -> Request {
        let kind = if owns { nl::RTM_NEWNEIGH } else { nl::RTM_DELNEIGH };
        let mut r = Request::new(kind as u32, nl::NLM_F_CREATE | nl::NLM_F_REPLACE | nl::NLM_F_ACK, seq);
        // struct ndmsg: family, index, state, flags.
        r.put(&[libc::AF_BRIDGE as u8, 0, 0, 0]);
        r.put(&bridge.to_ne_bytes());
        r.put(&NUD_PERMANENT.to_ne_bytes());
        r.put(&[NTF_SELF, 0]);
        r.attribute(NDA_LLADDR, &mac);
        r
    }

    /// A request about a link, with IFF_UP to be as it is said, if it is.
    fn link(kind: u32, flags: u32, seq: u32, ifindex: u32, up: Option<bool>) -> Request {
        let mut r = Request::new(kind, flags | nl::NLM_F_ACK, seq);
        let flag = |on: bool| if on { (IFF_UP as u32).to_ne_bytes() } else { [0; 4] };
        r.put(&[0; 4]);
        r.put(&ifindex.to_ne_bytes());
        r.put(&flag(up == Some(true)));
        r.put(&flag(up.is_some()));
        r
    }

    /// RTM_DELADDR.
    pub fn remove_address(seq: u32, spec: &AddressSpec<'_>) -> Request {
        Request::address(nl::RTM_DELADDR as u32, nl::NLM_F_ACK, seq, spec)
    }

    fn address(kind: u32, flags: u32, seq: u32, spec: &AddressSpec<'_>) -> Request {
        let mut r = Request::new(kind, flags, seq);
        let (family, nodad, link_local) = match spec.ip {
            IpAddr::V4(_) => (libc::AF_INET, 0, false),
            IpAddr::V6(ip) => (libc::AF_INET6, nl::IFA_F_NODAD as u8, ip.is_unicast_link_local()),
        };
        let natural = if link_local { Scope::Link.number() } else { 0 };
        let scope = spec.scope.map_or(natural, |s| s.number());
        r.put(&[family as u8, spec.prefix, nodad, scope]);
        r.put(&spec.ifindex.to_ne_bytes());
        let (v4, v6);
        let octets: &[u8] = match spec.ip {
            IpAddr::V4(ip) => {
                v4 = ip.octets();
                &v4
            }
            IpAddr::V6(ip) => {
                v6 = ip.octets();
                &v6
            }
        };
        r.attribute(nl::IFA_LOCAL as u32, octets);
        r.attribute(nl::IFA_ADDRESS as u32, octets);
        r
    }
}
