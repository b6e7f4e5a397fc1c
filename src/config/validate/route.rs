//! Cross-checks of routes and of static addresses, once all are known.

use ufmt::{uWrite, uwrite};

use crate::config::assemble::Assembler;
use crate::config::diagnostics::Pos;
use crate::config::model::{Config, Instance, Route, RouteWords, network};
use crate::text::{Ip, Text, Written};

impl Assembler<'_> {
    /// Every route by itself and against those before it, and every static address against all others.
    pub(in crate::config) fn check_routes(&mut self) {
        for r in 0..self.config.routes.len() {
            let at = self.route_at.get(r).copied().unwrap_or_default();
            if !self.check_route(r, at) {
                self.check_route_unique(r, at);
            }
        }
        for a in self.config.static_addresses.indices() {
            self.check_static_address(a);
        }
    }

    /// A route by itself; whether something is wrong with it.
    fn check_route(&mut self, r: usize, at: Pos) -> bool {
        let route = self.config.routes[r];
        let of_instance = !self.config.static_routes.indices().contains(&r);
        let errors = self.diag.errors();
        let mut wrong = |message: &mut dyn FnMut(&mut Text<'_>) -> Written| self.diag.error(at, message);
        let word = if of_instance { "route" } else { "static-route" };
        if !route.is_network() {
            wrong(&mut |t| {
                let meant = Ip(network(route.to, route.prefix));
                uwrite!(t, "'{}' has bits behind its length: expected {}/{}, or ", word, meant, route.prefix)?;
                uwrite!(t, "{} alone for one host", Ip(route.to))
            });
        }
        if route.blackhole && (route.via.is_some() || !route.dev.is_empty() || route.src.is_some() || route.onlink) {
            wrong(&mut |t| {
                t.write_str("a blackhole leads nowhere: 'via', 'dev', 'src' and 'onlink' do not apply to it")
            });
        } else if !of_instance && route.dev.is_empty() && route.needs_device() {
            wrong(&mut |t| match route.via {
                None => t.write_str("'static-route' needs 'via GATEWAY', 'dev INTERFACE' or 'blackhole'"),
                Some(_) if route.onlink => t.write_str("'onlink' needs 'dev INTERFACE'"),
                Some(via) => uwrite!(t, "the gateway {} may be on any interface: expected 'dev INTERFACE'", Ip(via)),
            });
        }
        if route.onlink && route.via.is_none() {
            wrong(&mut |t| t.write_str("'onlink' is said of a gateway: expected 'via GATEWAY'"));
        }
        if let Some(via) = route.via.filter(|via| route.to.is_ipv6() && via.is_ipv4()) {
            wrong(&mut |t| uwrite!(t, "an IPv6 route needs an IPv6 gateway, not {}", Ip(via)));
        }
        if let Some(src) = route.src.filter(|src| src.is_ipv4() != route.to.is_ipv4()) {
            wrong(&mut |t| uwrite!(t, "'src' needs an address of the route's own family, not {}", Ip(src)));
        }
        self.diag.errors() > errors
    }

    /// The kernel tells two routes apart by destination, table and metric.
    fn check_route_unique(&mut self, r: usize, at: Pos) {
        let config: &Config = self.config;
        let route = &config.routes[r];
        let Some(twin) = config.routes[..r].iter().position(|b| b.key() == route.key()) else { return };
        let place = |r: usize| self.route_at.get(r).copied().unwrap_or_default();
        // What is static stands before all else, wherever it was said.
        let (r, before, at) = if place(twin) > at { (twin, r, place(twin)) } else { (r, twin, at) };
        let line = place(before).line;
        let owner = |r: usize| config.instances.iter().find(|i| i.routes.indices().contains(&r));
        let plain = Route { table: route.table, metric: route.metric, ..Route::to(route.to, route.prefix) };
        self.diag.error(at, &mut |t| {
            uwrite!(t, "the route to {}", RouteWords::new(&plain, ""))?;
            let same = |a: Option<&Instance>, b: Option<&Instance>| a.map(|i| i.name) == b.map(|i| i.name);
            match owner(before) {
                _ if same(owner(r), owner(before)) => uwrite!(t, " is there twice, first at line {}", line)?,
                Some(i) => uwrite!(t, " is in instance '{}' too, at line {}", config.str(i.name), line)?,
                None => uwrite!(t, " is there already, at line {}", line)?,
            }
            t.write_str(": another 'metric' or 'table' tells the two apart")
        });
    }

    fn check_static_address(&mut self, a: usize) {
        let config: &Config = self.config;
        let (address, at) = (&config.addresses[a], self.address_at.get(a).copied().unwrap_or_default());
        let dev = config.str(address.dev);
        let owner = |b: usize| config.instances.iter().find(|i| i.addresses.indices().contains(&b));
        let device = |b: usize| match owner(b) {
            Some(i) => config.device_of(i, &config.addresses[b]),
            None => config.str(config.addresses[b].dev),
        };
        let same = |b: &usize| config.addresses[*b].ip == address.ip && device(*b) == dev;
        let others = (0..a).chain(config.static_addresses.indices().end..config.addresses.len());
        let Some(twin) = others.into_iter().find(same) else { return };
        let line = self.address_at.get(twin).map_or(0, |p| p.line);
        self.diag.error(at, &mut |t| {
            uwrite!(t, "static address {} on {}", Ip(address.ip), dev)?;
            match owner(twin) {
                Some(i) => uwrite!(t, " is in instance '{}' too, at line {}", config.str(i.name), line)?,
                None => uwrite!(t, " is there twice, first at line {}", line)?,
            }
            t.write_str(": expected it once")
        });
    }
}
