//! Routes of ours: added, removed, and watched.
//!
//! Read first: rtnetlink(7). They bear the protocol number that keepalived's have. A removal names
//! it, with gateway and interface, so that the kernel removes no other.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use heapless::Vec;
use libc::sock_filter;
use linux_raw_sys::netlink as nl;
use linux_raw_sys::netlink::rtattr_type_t as rta;
use rustix::io::Errno;

use super::message::{Request, messages};
use super::request::{AddError, Rtnl};
use super::route::RouteSpec as Sought;
use super::{BUFFER, Reception, Socket};
use crate::config::model::{MAX_ROUTES, Route};
use crate::router::event::RouteSpec;
use crate::sys::filter::{ALL, JA, JEQ_K, JSET_K, LDB_ABS, LDH_ABS, RET_K, attach, op};
use crate::sys::netlink::message::HEADER;

/// rtm_protocol of our routes: RTPROT_KEEPALIVED.
pub const PROTOCOL: u8 = 18;

/// Datagrams that one look reads at most; the rest keeps the descriptor readable.
const BATCH: usize = 256;

impl Request {
    /// RTM_NEWROUTE. Refused if this very route is there.
    ///
    /// Over IPv4 it goes before others of its destination and metric, which stay, as keepalived's
    /// does: so a default route of ours counts while it is there, and the router's own afterwards.
    /// Over IPv6 the kernel would share the traffic among them, so that it is refused there.
    pub fn add_route(seq: u32, spec: &RouteSpec) -> Request {
        let beside = if spec.route.to.is_ipv4() { 0 } else { nl::NLM_F_EXCL };
        Request::route(nl::RTM_NEWROUTE as u32, nl::NLM_F_CREATE | beside | nl::NLM_F_ACK, seq, spec)
    }

    /// RTM_DELROUTE.
    pub fn remove_route(seq: u32, spec: &RouteSpec) -> Request {
        Request::route(nl::RTM_DELROUTE as u32, nl::NLM_F_ACK, seq, spec)
    }

    fn route(kind: u32, flags: u32, seq: u32, spec: &RouteSpec) -> Request {
        let RouteSpec { ifindex, route, .. } = *spec;
        let adds = kind == nl::RTM_NEWROUTE as u32;
        let v4 = route.to.is_ipv4();
        let natural = match (adds, v4) {
            // Any.
            (false, true) => libc::RT_SCOPE_NOWHERE,
            (true, true) if route.via.is_none() && !route.blackhole => libc::RT_SCOPE_LINK,
            _ => libc::RT_SCOPE_UNIVERSE,
        };
        let scope = route.scope.filter(|_| adds && v4).map_or(natural, |s| s.number());
        let family = if v4 { libc::AF_INET } else { libc::AF_INET6 };
        let kind_of_route = if route.blackhole { libc::RTN_BLACKHOLE } else { libc::RTN_UNICAST };
        let mut r = Request::new(kind, flags, seq);
        // The table has its own attribute, which holds larger numbers too.
        r.put(&[family as u8, route.prefix, 0, 0, libc::RT_TABLE_UNSPEC, PROTOCOL, scope, kind_of_route]);
        let onlink = if route.onlink { nl::RTNH_F_ONLINK } else { 0 };
        r.put(&onlink.to_ne_bytes());
        r.attribute(rta::RTA_TABLE as u32, &route.table.to_ne_bytes());
        if route.prefix > 0 {
            r.address_attribute(rta::RTA_DST as u32, route.to);
        }
        match route.via {
            Some(IpAddr::V6(via)) if v4 => {
                // `struct rtvia`.
                let mut value = [0; 18];
                value[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
                value[2..].copy_from_slice(&via.octets());
                r.attribute(rta::RTA_VIA as u32, &value);
            }
            Some(via) => r.address_attribute(rta::RTA_GATEWAY as u32, via),
            None => {}
        }
        if ifindex != 0 {
            r.attribute(rta::RTA_OIF as u32, &ifindex.to_ne_bytes());
        }
        if let Some(src) = route.src {
            r.address_attribute(rta::RTA_PREFSRC as u32, src);
        }
        // 0 would match any in a removal.
        if route.kernel_metric() != 0 {
            r.attribute(rta::RTA_PRIORITY as u32, &route.kernel_metric().to_ne_bytes());
        }
        r
    }

    fn address_attribute(&mut self, kind: u32, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => self.attribute(kind, &ip.octets()),
            IpAddr::V6(ip) => self.attribute(kind, &ip.octets()),
        }
    }
}

impl Rtnl {
    /// Adds a route.
    pub fn add_route(&mut self, spec: &RouteSpec) -> Result<(), AddError> {
        let request = Request::add_route(self.next_seq(), spec);
        self.acknowledged(request).map_err(|e| AddError::from_errno(e.raw_os_error()))
    }

    /// Removes a route of ours; false if it was not there.
    pub fn remove_route(&mut self, spec: &RouteSpec) -> io::Result<bool> {
        let request = Request::remove_route(self.next_seq(), spec);
        match self.acknowledged(request) {
            Ok(()) => Ok(true),
            // ENOENT: a table that nothing was ever put into.
            Err(Errno::SRCH | Errno::NODEV | Errno::NOENT | Errno::NETUNREACH | Errno::NETDOWN) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

/// The socket that tells when routes to some destinations may have been taken away. The kernel drops
/// all else before it wakes us, so that a table from BGP that is always changing costs nothing.
/// Routes that go along with their interface or address are not told of: these changes say so.
pub struct RouteWatch {
    socket: Socket,
    sought: Vec<Sought, MAX_ROUTES>,
    buffer: Box<[u8; BUFFER]>,
}

impl AsFd for RouteWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl RouteWatch {
    /// Opens the socket: from now on it is told when one of these is taken away, or replaced.
    pub fn open(routes: &[Route]) -> io::Result<RouteWatch> {
        let sought: Vec<Sought, MAX_ROUTES> = routes
            .iter()
            .take(MAX_ROUTES)
            .map(|r| Sought { prefix: r.to, length: r.prefix, via: None, table: r.table })
            .collect();
        let socket = Socket::unbound(None)?;
        attach(socket.as_fd(), &program(&sought))?;
        let socket = socket.bound(nl::RTMGRP_IPV4_ROUTE | nl::RTMGRP_IPV6_ROUTE)?;
        Ok(RouteWatch { socket, sought, buffer: Box::new([0; BUFFER]) })
    }

    /// Reads what came: whether one of the routes may be gone.
    pub fn read(&mut self) -> io::Result<bool> {
        let mut any = false;
        for _ in 0..BATCH {
            match self.socket.receive(&mut self.buffer)? {
                Reception::Bytes(n) => {
                    let mut all = messages(&self.buffer[..n]);
                    any |= all.any(|m| self.sought.iter().any(|s| s.concerns(m.body) == Some(true)));
                }
                Reception::Truncated | Reception::Overrun => any = true,
                Reception::Empty => break,
            }
        }
        Ok(any)
    }
}

/// Lengths of prefixes there can be: 0 to 128.
const LENGTHS: usize = 129;

/// Passes messages of routes that were removed, or replaced another, if the prefix is as long as one
/// of those sought. A route that is added takes none away.
fn program(sought: &[Sought]) -> Vec<sock_filter, { 2 * LENGTHS + 12 }> {
    // The kernel loads in network order what these fields hold in the machine's.
    let swapped = |n: u32| u32::from((n as u16).to_be());
    let (added, removed) = (swapped(nl::RTM_NEWROUTE as u32), swapped(nl::RTM_DELROUTE as u32));
    let mut p: Vec<sock_filter, { 2 * LENGTHS + 12 }> = Vec::new();
    let head = [
        op(LDH_ABS, 0, 0, 4), // nlmsg_type
        op(JEQ_K, 4, 0, removed),
        op(JEQ_K, 1, 0, added),
        op(RET_K, 0, 0, 0),
        op(LDH_ABS, 0, 0, 6), // nlmsg_flags
        op(JSET_K, 0, 2, swapped(nl::NLM_F_REPLACE)),
        op(LDB_ABS, 0, 0, HEADER as u32 + 1), // rtm_dst_len
    ];
    let _ = p.extend_from_slice(&head);
    let _ = p.push(op(JA, 0, 0, 1));
    let _ = p.push(op(RET_K, 0, 0, 0));
    let mut done = [false; LENGTHS];
    for length in sought.iter().map(|s| s.length) {
        if done.get(length as usize) == Some(&false) {
            done[length as usize] = true;
            // Room for every length there is.
            let _ = p.extend_from_slice(&[op(JEQ_K, 0, 1, length.into()), op(RET_K, 0, 0, ALL)]);
        }
    }
    let _ = p.push(op(RET_K, 0, 0, 0));
    p
}
