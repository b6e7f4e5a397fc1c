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
use crate::sys::memory;
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
        Ok(RouteWatch { socket, sought, buffer: memory::zeroed() })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Family, Scope};
    use crate::router::event::RouteId;
    use crate::sys::netlink::message::Attributes;
    use crate::sys::testnet::{eventually, in_namespace, index, ip, ip_says};

    fn address(s: &str) -> IpAddr {
        s.parse().unwrap()
    }

    fn to(prefix: &str) -> Route {
        let (ip, length) = prefix.split_once('/').unwrap();
        Route::to(address(ip), length.parse().unwrap())
    }

    fn spec(ifindex: u32, route: Route) -> RouteSpec {
        RouteSpec { id: RouteId(0), ifindex, route }
    }

    fn bytes(mut r: Request) -> std::vec::Vec<u8> {
        r.bytes().to_vec()
    }

    /// Kind and value.
    type Attribute = (u32, std::vec::Vec<u8>);

    /// Type, flags, `struct rtmsg` and attributes of a message.
    fn parts(message: &[u8]) -> (u16, u16, [u8; 12], std::vec::Vec<Attribute>) {
        let m = messages(message).next().unwrap();
        let attributes = Attributes(&m.body[12..]).map(|(kind, value)| (kind as u32, value.to_vec())).collect();
        (m.kind, m.flags, m.body[..12].try_into().unwrap(), attributes)
    }

    /// Field by field, as rtnetlink(7) has them.
    #[test]
    fn encoding() {
        let number = |n: u32| n.to_ne_bytes().to_vec();
        let v4 = Route {
            via: Some(address("192.0.2.9")),
            src: Some(address("192.0.2.1")),
            table: 1000,
            metric: 20,
            onlink: true,
            ..to("10.1.0.0/16")
        };
        let (kind, flags, fixed, attributes) = parts(&bytes(Request::add_route(7, &spec(3, v4))));
        // RTM_NEWROUTE; REQUEST, ACK, CREATE, and not EXCL.
        assert_eq!((kind, flags), (24, 0x405));
        // AF_INET, 16 bits; no source, no TOS; table 0; keepalived, universe, unicast.
        assert_eq!(fixed[..8], [2, 16, 0, 0, 0, 18, 0, 1]);
        assert_eq!(fixed[8..], 4u32.to_ne_bytes(), "RTNH_F_ONLINK");
        let all = [
            (15, number(1000)),
            (1, vec![10, 1, 0, 0]),
            (5, vec![192, 0, 2, 9]),
            (4, number(3)),
            (7, vec![192, 0, 2, 1]),
            (6, number(20)),
        ];
        assert_eq!(attributes, all);
        // RTM_DELROUTE; REQUEST, ACK; of any scope.
        let (kind, flags, fixed, attributes) = parts(&bytes(Request::remove_route(7, &spec(3, v4))));
        assert_eq!((kind, flags, fixed[6]), (25, 0x5, 255));
        assert_eq!(attributes, all);

        let v6 = Route { via: Some(address("fe80::9")), ..Route::default_of(Family::V6) };
        let (_, flags, fixed, attributes) = parts(&bytes(Request::add_route(7, &spec(3, v6))));
        assert_eq!((flags, &fixed[..8]), (0x605, &[10, 0, 0, 0, 0, 18, 0, 1][..]), "EXCL too");
        let gateway = [[0xfe, 0x80].as_slice(), &[0; 13], &[9]].concat();
        // The metric that the kernel would give it, so that a removal finds it alone.
        assert_eq!(attributes, [(15, number(254)), (5, gateway.clone()), (4, number(3)), (6, number(1024))]);

        let mixed = Route { via: Some(address("fe80::9")), ..to("10.1.0.0/16") };
        let (.., attributes) = parts(&bytes(Request::add_route(7, &spec(3, mixed))));
        let via = [10u16.to_ne_bytes().as_slice(), &gateway].concat();
        assert_eq!(attributes, [(15, number(254)), (1, vec![10, 1, 0, 0]), (18, via), (4, number(3))]);

        // Link scope without a gateway, or the one named; a blackhole has neither.
        let fixed = |route| parts(&bytes(Request::add_route(7, &spec(0, route)))).2;
        assert_eq!(fixed(to("10.1.0.0/16"))[6..8], [253, 1]);
        assert_eq!(fixed(Route { scope: Some(Scope::Site), ..to("10.1.0.0/16") })[6..8], [200, 1]);
        assert_eq!(fixed(Route { blackhole: true, ..to("10.1.0.0/16") })[6..8], [0, 6]);
        assert_eq!(fixed(Route { scope: Some(Scope::Site), ..to("2001:db8::/32") })[6..8], [0, 1]);
    }

    /// The longest request fits.
    #[test]
    fn longest() {
        let ip = Some(address("2001:db8::1"));
        let route = Route { via: ip, src: ip, table: u32::MAX, metric: u32::MAX, ..to("2001:db8::/32") };
        assert_eq!(parts(&bytes(Request::add_route(1, &spec(3, route)))).3.len(), 6);
    }

    fn cable() -> u32 {
        ip("link add dev v0 type veth peer name v1");
        for v in ["v0", "v1"] {
            ip(&format!("link set dev {v} addrgenmode none up"));
        }
        ip("addr add 192.0.2.1/24 dev v0");
        ip("addr add fe80::1/64 dev v0 nodad");
        index("v0")
    }

    /// Added, refused a second time, removed; and nobody else's with it.
    #[test]
    fn added_and_removed() {
        in_namespace(|| {
            let v0 = cable();
            let mut rtnl = Rtnl::open().unwrap();
            let via = |gateway: &str, route: Route| Route { via: Some(address(gateway)), ..route };
            for (family, route, other) in [
                ("-4", via("192.0.2.9", Route::default_of(Family::V4)), "default via 192.0.2.9 metric 7"),
                ("-4", Route { blackhole: true, ..to("10.1.0.0/16") }, "blackhole 10.1.0.0/16 metric 7"),
                ("-4", via("fe80::9", to("10.2.0.0/16")), "10.2.0.0/16 via inet6 fe80::9 dev v0 metric 7"),
                ("-6", via("fe80::9", Route::default_of(Family::V6)), "default via fe80::9 dev v0 metric 7"),
                (
                    "-6",
                    Route { blackhole: true, table: 9, ..to("2001:db8::/32") },
                    "blackhole 2001:db8::/32 table 9 metric 7",
                ),
            ] {
                let spec = spec(if route.blackhole { 0 } else { v0 }, route);
                assert!(!rtnl.remove_route(&spec).unwrap(), "{route:?}");
                assert_eq!(rtnl.add_route(&spec), Ok(()), "{route:?}");
                assert_eq!(rtnl.add_route(&spec), Err(AddError::Exists), "{route:?}");
                ip(&format!("{family} route add {other}"));
                assert!(rtnl.remove_route(&spec).unwrap(), "{route:?}");
                assert!(!rtnl.remove_route(&spec).unwrap(), "{route:?}");
                let left = ip_says(&format!("{family} route show table all"));
                assert!(left.contains("metric 7") && !left.contains("proto keepalived"), "{left}");
            }
            let nowhere = spec(0, via("203.0.113.9", to("10.3.0.0/16")));
            assert!(
                matches!(rtnl.add_route(&nowhere), Err(AddError::Other(libc::ENETUNREACH))) || {
                    // By the default route that is there, it is on no network of ours.
                    matches!(rtnl.add_route(&nowhere), Err(AddError::Other(libc::EHOSTUNREACH | libc::ENETUNREACH)))
                }
            );
            assert_eq!(rtnl.add_route(&spec(9999, to("10.3.0.0/16"))), Err(AddError::NoDevice));
        });
    }

    /// Where somebody else's has the same destination and metric: IPv4 before it, IPv6 not at all.
    #[test]
    fn beside_others() {
        in_namespace(|| {
            let v0 = cable();
            let mut rtnl = Rtnl::open().unwrap();
            ip("route add default via 192.0.2.8");
            ip("-6 route add default via fe80::8 dev v0");
            let route = Route { via: Some(address("192.0.2.9")), ..Route::default_of(Family::V4) };
            rtnl.add_route(&spec(0, route)).unwrap();
            assert!(ip_says("route get 203.0.113.1").contains("via 192.0.2.9"));
            assert!(rtnl.remove_route(&spec(0, route)).unwrap());
            assert!(ip_says("route get 203.0.113.1").contains("via 192.0.2.8"));
            let route = Route { via: Some(address("fe80::9")), ..Route::default_of(Family::V6) };
            assert_eq!(rtnl.add_route(&spec(v0, route)), Err(AddError::Exists));
            // Even the very same route, with another protocol.
            let route = Route { via: Some(address("fe80::8")), ..route };
            assert_eq!(rtnl.add_route(&spec(v0, route)), Err(AddError::Exists));
            assert!(!rtnl.remove_route(&spec(v0, route)).unwrap());
        });
    }

    /// Only what takes a route of ours away wakes us, and the kernel sorts out most of the rest.
    #[test]
    fn watch() {
        in_namespace(|| {
            let _ = cable();
            let routes = [Route::default_of(Family::V4), to("10.1.0.0/16"), to("2001:db8::/32")];
            let mut watch = RouteWatch::open(&routes).unwrap();
            let quiet = [
                "route add default via 192.0.2.9",
                "route add 10.1.0.0/16 via 192.0.2.9",
                "-6 route add 2001:db8::/32 dev v0",
                "route add 10.2.0.0/17 via 192.0.2.9",
                "route replace 10.2.0.0/17 via 192.0.2.8",
                "route del 10.2.0.0/17",
                // As long as one of ours: for us to sort out.
                "route add 10.2.0.0/16 via 192.0.2.9",
                "route del 10.2.0.0/16",
                "route add default via 192.0.2.9 table 7",
                "route del default table 7",
            ];
            for words in quiet {
                ip(words);
                assert!(!watch.read().unwrap(), "{words}");
            }
            for words in ["route del default", "route replace 10.1.0.0/16 via 192.0.2.8", "-6 route del 2001:db8::/32"]
            {
                ip(words);
                eventually(words, || watch.read().unwrap().then_some(()));
            }
        });
    }

    /// The filter on messages as the kernel writes them: type, flags, length of the prefix.
    #[test]
    fn filter() {
        let sought = [Route::default_of(Family::V4), to("10.1.0.0/16")];
        let sought = sought.map(|r| Sought { prefix: r.to, length: r.prefix, via: None, table: r.table });
        let program = program(&sought);
        let passes = |kind: u32, flags: u32, length: u8| {
            let mut r = Request::new(kind, flags, 0);
            r.put(&[2, length, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]);
            crate::sys::filter::tests::machine(&program, r.bytes()) != 0
        };
        let (new, del) = (nl::RTM_NEWROUTE as u32, nl::RTM_DELROUTE as u32);
        for length in 0..=128 {
            let ours = length == 0 || length == 16;
            assert_eq!(passes(del, 0, length), ours);
            assert_eq!(passes(new, nl::NLM_F_REPLACE | nl::NLM_F_CREATE, length), ours);
            assert!(!passes(new, nl::NLM_F_CREATE | nl::NLM_F_EXCL | nl::NLM_F_APPEND, length));
            assert!(!passes(nl::RTM_NEWLINK as u32, nl::NLM_F_REPLACE, length));
        }
        // With routes of every length there is.
        let all: std::vec::Vec<Sought> =
            (0..=128).map(|length| Sought { prefix: address("::"), length, via: None, table: 254 }).collect();
        assert_eq!(super::program(&all).len(), 2 * LENGTHS + 10);
    }
}
