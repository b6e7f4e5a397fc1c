//! Routes: whether one is there, and when one may have come or gone.
//!
//! Read first: rtnetlink(7). A dump is read datagram by datagram, so that who reads a full table can
//! let others go in between, and stop when the route is found: the kernel goes on with a dump only as
//! far as it is read.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use linux_raw_sys::netlink::{self as nl, rtmsg, rtnexthop};
use rustix::io::Errno;
use static_assertions::const_assert_eq;

use super::message::{Attributes, Request, aligned, error_of, ip_of, messages, u16_at, u32_at};
use super::{BUFFER, Reception, Socket};
use crate::sys::memory;
use crate::sys::sockopt;

/// Bytes of `struct rtmsg`.
const RTMSG: usize = size_of::<rtmsg>();
/// Bytes of `struct rtnexthop`.
const NEXTHOP: usize = size_of::<rtnexthop>();
const_assert_eq!(RTMSG, 12);
const_assert_eq!(NEXTHOP, 8);
const_assert_eq!(core::mem::offset_of!(rtmsg, rtm_table), 4);
const_assert_eq!(core::mem::offset_of!(rtmsg, rtm_type), 7);
const_assert_eq!(core::mem::offset_of!(rtmsg, rtm_flags), 8);

/// The table that holds what has no other: `main`.
pub const MAIN: u32 = 254;

/// A route that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// The destination; bits behind `length` do not count.
    pub prefix: IpAddr,
    /// Bits of the prefix.
    pub length: u8,
    /// Through this gateway; else any.
    pub via: Option<IpAddr>,
    /// In this table.
    pub table: u32,
}

impl RouteSpec {
    fn family(&self) -> i32 {
        if self.prefix.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }
    }

    /// Whether a message is about a route to this prefix in this table, usable or not.
    pub(super) fn concerns(&self, body: &[u8]) -> Option<bool> {
        let (family, length) = (*body.first()? as i32, *body.get(1)?);
        if family != self.family() || length != self.length {
            return Some(false);
        }
        let mut table = *body.get(4)? as u32;
        let mut to = None;
        for (kind, value) in Attributes(body.get(RTMSG..)?) {
            match kind as u32 {
                k if k == nl::rtattr_type_t::RTA_TABLE as u32 => table = u32_at(value, 0)?,
                k if k == nl::rtattr_type_t::RTA_DST as u32 => to = Some(ip_of(family, value)?),
                _ => {}
            }
        }
        let same = match (to, self.prefix) {
            // The default route has no destination.
            (None, _) => length == 0,
            (Some(IpAddr::V4(a)), IpAddr::V4(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(32 - length.min(32) as u32).unwrap_or(0) == 0
            }
            (Some(IpAddr::V6(a)), IpAddr::V6(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(128 - length.min(128) as u32).unwrap_or(0) == 0
            }
            _ => false,
        };
        Some(same && table == self.table)
    }

    /// Whether a message tells of this route, and packets can go there.
    fn is(&self, body: &[u8]) -> Option<bool> {
        if !self.concerns(body)? {
            return Some(false);
        }
        let (family, kind, flags) = (*body.first()? as i32, *body.get(7)?, u32_at(body, 8)?);
        let leads_nowhere = [libc::RTN_BLACKHOLE, libc::RTN_UNREACHABLE, libc::RTN_PROHIBIT, libc::RTN_THROW];
        if leads_nowhere.contains(&kind) || flags & (nl::RTNH_F_DEAD | nl::RTM_F_CLONED) != 0 {
            return Some(false);
        }
        let attributes = Attributes(body.get(RTMSG..)?);
        let mut hops = None;
        for (kind, value) in attributes {
            if kind as u32 == nl::rtattr_type_t::RTA_MULTIPATH as u32 {
                hops = Some(value);
            }
        }
        let Some(mut hops) = hops else {
            return Some(self.goes_via(family, attributes));
        };
        while let Some(length) = u16_at(hops, 0) {
            let Some(hop) = hops.get(NEXTHOP..length as usize) else {
                break;
            };
            let dead = *hops.get(2)? as u32 & nl::RTNH_F_DEAD != 0;
            if !dead && self.goes_via(family, Attributes(hop)) {
                return Some(true);
            }
            hops = hops.get(aligned(length as usize)..).unwrap_or(&[]);
        }
        Some(false)
    }

    fn goes_via(&self, family: i32, mut attributes: Attributes<'_>) -> bool {
        let Some(via) = self.via else {
            return true;
        };
        attributes.any(|(kind, value)| match kind as u32 {
            k if k == nl::rtattr_type_t::RTA_GATEWAY as u32 => ip_of(family, value) == Some(via),
            // `struct rtvia`: the gateway is of the other family.
            k if k == nl::rtattr_type_t::RTA_VIA as u32 => {
                u16_at(value, 0).and_then(|f| ip_of(f as i32, value.get(2..)?)) == Some(via)
            }
            _ => false,
        })
    }
}

/// What reading on in a dump brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The route is there.
    Found,
    /// It is not.
    Absent,
    /// Read on.
    More,
    /// The table changed meanwhile, and the route may have been passed over: begin anew.
    Interrupted,
}

/// A search for one route, through a socket of its own.
pub struct Search {
    socket: Socket,
    spec: RouteSpec,
    buffer: Box<[u8; BUFFER]>,
    interrupted: bool,
}

impl Search {
    /// Begins it.
    pub fn begin(spec: RouteSpec) -> io::Result<Search> {
        let socket = Socket::open(0)?;
        // Linux 4.20: dumps filtered by the kernel, which we do ourselves too.
        let _ = sockopt::set_int(socket.as_fd(), libc::SOL_NETLINK, nl::NETLINK_GET_STRICT_CHK as _, 1);
        let mut r = Request::new(nl::RTM_GETROUTE as u32, nl::NLM_F_DUMP, 1);
        let mut fixed = [0; RTMSG];
        fixed[0] = spec.family() as u8;
        r.put(&fixed);
        r.attribute(nl::rtattr_type_t::RTA_TABLE as u32, &spec.table.to_ne_bytes());
        socket.send(r.bytes())?;
        Ok(Search { socket, spec, buffer: memory::zeroed(), interrupted: false })
    }

    /// Reads one datagram, which is there.
    pub fn step(&mut self) -> io::Result<Step> {
        let n = match self.socket.receive(&mut self.buffer)? {
            Reception::Bytes(n) => n,
            Reception::Truncated => return Err(Errno::MSGSIZE.into()),
            Reception::Overrun => return Err(Errno::NOBUFS.into()),
            Reception::Empty => return Err(Errno::AGAIN.into()),
        };
        for m in messages(&self.buffer[..n]) {
            self.interrupted |= m.flags as u32 & nl::NLM_F_DUMP_INTR != 0;
            if matches!(m.kind as u32, nl::NLMSG_DONE | nl::NLMSG_ERROR) {
                return match error_of(m.body) {
                    // A table that nothing was ever put into.
                    Some(0 | libc::ENOENT) | None if self.interrupted => Ok(Step::Interrupted),
                    Some(0 | libc::ENOENT) | None => Ok(Step::Absent),
                    Some(e) => Err(io::Error::from_raw_os_error(e)),
                };
            }
            if m.kind as u32 == nl::RTM_NEWROUTE as u32 && self.spec.is(m.body) == Some(true) {
                return Ok(Step::Found);
            }
        }
        Ok(Step::More)
    }
}

/// The socket that tells when routes may have changed. Links and IPv4 addresses are told too: what
/// goes with them is not told for itself.
pub struct RouteMonitor {
    socket: Socket,
    buffer: Box<[u8; BUFFER]>,
}

impl AsFd for RouteMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl RouteMonitor {
    /// Opens the socket.
    pub fn open() -> io::Result<RouteMonitor> {
        let groups = nl::RTMGRP_IPV4_ROUTE | nl::RTMGRP_IPV6_ROUTE | nl::RTMGRP_LINK | nl::RTMGRP_IPV4_IFADDR;
        Ok(RouteMonitor { socket: Socket::open(groups)?, buffer: memory::zeroed() })
    }

    /// Reads one datagram: whether one of the routes may have changed by it; `None` if none is there.
    pub fn step(&mut self, specs: &[RouteSpec]) -> io::Result<Option<bool>> {
        Ok(match self.socket.receive(&mut self.buffer)? {
            Reception::Bytes(n) => Some(messages(&self.buffer[..n]).any(|m| {
                let route = [nl::RTM_NEWROUTE as u32, nl::RTM_DELROUTE as u32].contains(&(m.kind as u32));
                !route || specs.iter().any(|s| s.concerns(m.body) == Some(true))
            })),
            Reception::Truncated | Reception::Overrun => Some(true),
            Reception::Empty => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn junk(body: Vec<u8>, v4: bool, length: u8, cut: u8) {
            let ip = |four: &str, six: &str| if v4 { four } else { six }.parse().unwrap();
            let spec = RouteSpec { prefix: ip("10.0.0.0", "2001:db8::"), length, via: Some(ip("10.0.0.1", "fe80::1")), table: MAIN };
            let _ = spec.is(&body);
            let mut near = vec![spec.family() as u8, length, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0];
            near.extend_from_slice(&body);
            near.truncate(near.len().saturating_sub(cut as usize % 8));
            let _ = spec.is(&near);
            let mut hops = near.clone();
            hops.extend_from_slice(&(4 + body.len() as u16).to_ne_bytes());
            hops.extend_from_slice(&9u16.to_ne_bytes());
            hops.extend_from_slice(&body);
            let _ = spec.is(&hops);
        }
    }
}
