//! Routes: those that move with an instance, and static ones.

use core::net::{IpAddr, Ipv6Addr};

use ufmt::{Formatter, uDisplay, uWrite, uwrite};

use super::{Config, Family, Instance, Scope, StrId};
use crate::text::Ip;

/// The table that holds what has no other: `main`.
pub const MAIN_TABLE: u32 = 254;
/// What an IPv6 route without a metric gets from the kernel (IP6_RT_PRIO_USER).
const METRIC_V6: u32 = 1024;

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads; the bits behind `prefix` are zero.
    pub to: IpAddr,
    /// Prefix length.
    pub prefix: u8,
    /// Through this gateway, which may be an IPv6 one for an IPv4 destination.
    pub via: Option<IpAddr>,
    /// Through this interface; empty where none was named, see [`Config::device_of_route`].
    pub dev: StrId,
    /// Packets of our own leave from this address.
    pub src: Option<IpAddr>,
    /// In this table; [`MAIN_TABLE`] unless given.
    pub table: u32,
    /// Of several to one destination the one with the lowest counts; 0 unless given.
    pub metric: u32,
    /// Scope; `None` for the natural one. IPv6 has none.
    pub scope: Option<Scope>,
    /// The gateway is on the interface's network whatever its addresses say.
    pub onlink: bool,
    /// What goes there is dropped.
    pub blackhole: bool,
}

impl Route {
    /// A route to `to/prefix`, of which nothing else was said.
    pub const fn to(to: IpAddr, prefix: u8) -> Route {
        Route {
            to,
            prefix,
            via: None,
            dev: StrId::NONE,
            src: None,
            table: MAIN_TABLE,
            metric: 0,
            scope: None,
            onlink: false,
            blackhole: false,
        }
    }

    /// The default route of a family.
    pub const fn default_of(family: Family) -> Route {
        Route::to(unspecified(family), 0)
    }

    /// The metric that the kernel gives it.
    pub const fn kernel_metric(&self) -> u32 {
        match self.to {
            IpAddr::V6(_) if self.metric == 0 => METRIC_V6,
            _ => self.metric,
        }
    }

    /// What two routes must not have in common: the kernel has one of each.
    pub const fn key(&self) -> (IpAddr, u8, u32, u32) {
        (self.to, self.prefix, self.table, self.kernel_metric())
    }

    /// Whether the destination's bits behind its length are zero.
    pub fn is_network(&self) -> bool {
        network(self.to, self.prefix) == self.to
    }

    /// Whether it needs an interface though none was named: neither a gateway says which, or its
    /// address is one that every interface has, or is not looked for.
    pub fn needs_device(&self) -> bool {
        let everywhere = |via| matches!(via, IpAddr::V6(ip) if Ipv6Addr::is_unicast_link_local(&ip));
        !self.blackhole && (self.onlink || self.via.is_none_or(everywhere))
    }
}

const fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// `ip` without the bits behind `length`.
pub fn network(ip: IpAddr, length: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - length.min(32) as u32).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - length.min(128) as u32).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

impl Config {
    /// The routes of `instance`.
    pub fn routes_of(&self, instance: &Instance) -> &[Route] {
        instance.routes.of(&self.routes)
    }

    /// The interface that `route` leads through, if it names or needs one: without, that of its instance.
    pub fn device_of_route(&self, instance: Option<&Instance>, route: &Route) -> StrId {
        match instance {
            Some(i) if route.dev.is_empty() && route.needs_device() => i.interface,
            _ => route.dev,
        }
    }
}

/// A route in the words of the configuration, which are those of `ip route`.
#[derive(Clone, Copy, Debug)]
pub struct RouteWords<'a, D> {
    /// The route.
    pub route: &'a Route,
    /// Its interface.
    pub dev: Option<D>,
}

impl<'a> RouteWords<'a, &'a str> {
    /// With an interface of this name; an empty one for none.
    pub fn new(route: &'a Route, dev: &'a str) -> RouteWords<'a, &'a str> {
        RouteWords { route, dev: Some(dev).filter(|dev| !dev.is_empty()) }
    }
}

impl<D: uDisplay> uDisplay for RouteWords<'_, D> {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        let r = self.route;
        // `default` is of its gateway's family.
        if (r.to, r.prefix) == (unspecified(Family::V4), 0) && !r.via.is_some_and(|v| v.is_ipv6()) {
            f.write_str("default")?;
        } else {
            uwrite!(f, "{}/{}", Ip(r.to), r.prefix)?;
        }
        if let Some(via) = r.via {
            uwrite!(f, " via {}", Ip(via))?;
        }
        if let Some(dev) = &self.dev {
            uwrite!(f, " dev {}", dev)?;
        }
        if let Some(src) = r.src {
            uwrite!(f, " src {}", Ip(src))?;
        }
        if r.table != MAIN_TABLE {
            uwrite!(f, " table {}", r.table)?;
        }
        if r.metric != 0 {
            uwrite!(f, " metric {}", r.metric)?;
        }
        if let Some(scope) = r.scope {
            uwrite!(f, " scope {}", scope.word())?;
        }
        f.write_str(if r.onlink { " onlink" } else { "" })?;
        f.write_str(if r.blackhole { " blackhole" } else { "" })
    }
}
