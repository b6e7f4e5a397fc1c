//! Routes: `config route`, those of an instance, and what is static.

use core::net::{IpAddr, Ipv4Addr};

use ufmt::uWrite;

use super::image::{Image, Section, Value};
use super::schema::{Opt, Type};
use super::{Done, Importer};
use crate::config::model::{Family, Route, StrId};

impl Importer<'_> {
    /// The routes of an instance.
    pub(super) fn routes(&mut self, image: &Image, section: Section<'_>) {
        for v in section.words(Opt::VirtualRoutes) {
            let mut any = false;
            for named in image.named(Type::Route, v.text) {
                any = true;
                // What is wrong is reported.
                if let Ok(Some(route)) = self.route(named) {
                    self.reader.asm.add_route(v.at, route);
                }
            }
            if !any {
                self.unknown(image, v, &[Type::Route]);
            }
        }
    }

    /// Addresses and routes that are there as long as the daemon runs.
    pub(super) fn statics(&mut self, image: &Image) {
        for section in image.of_type(Type::StaticIpaddress) {
            for v in section.words(Opt::Address) {
                let mut any = false;
                for named in image.named(Type::Ipaddress, v.text) {
                    any = true;
                    match self.address(named, StrId::default()) {
                        Ok(Some(address)) if address.dev.is_empty() => self.warn(v.at, &mut |t| {
                            t.write_str("a static address without 'device' is put on no interface: it is left out")
                        }),
                        Ok(Some(address)) => self.reader.asm.add_static_address(v.at, address),
                        _ => {}
                    }
                }
                if !any {
                    self.unknown(image, v, &[Type::Ipaddress]);
                }
            }
        }
        for section in image.of_type(Type::StaticRoutes) {
            for v in section.words(Opt::Route) {
                let mut any = false;
                for named in image.named(Type::Route, v.text) {
                    any = true;
                    if let Ok(Some(route)) = self.route(named) {
                        self.reader.asm.add_static_route(v.at, route);
                    }
                }
                if !any {
                    self.unknown(image, v, &[Type::Route]);
                }
            }
        }
    }

    /// The route of a `config route`; none if it has no destination.
    fn route(&mut self, section: Section<'_>) -> Done<Option<Route>> {
        let Some(v) = section.get(Opt::Address) else {
            self.warn(section.at, &mut |t| t.write_str("'route' without 'option address': nothing is done for it"));
            return Ok(None);
        };
        let (to, prefix) = self.destination(v)?;
        let mut route = Route::to(to, prefix);
        if let Some(v) = section.get(Opt::Device) {
            route.dev = self.interface(v)?;
        }
        if let Some(v) = section.get(Opt::Gateway) {
            route.via = Some(self.host(v)?);
        }
        if let Some(v) = section.get(Opt::SrcAddr) {
            route.src = Some(self.host(v)?);
        }
        if let Some(v) = section.get(Opt::Table) {
            route.table = match v.text {
                "main" => 254,
                "local" => 255,
                "default" => 253,
                _ => self.number(v, 1, u32::MAX)?,
            };
        }
        route.scope = section.get(Opt::Scope).and_then(|v| self.scope(v));
        route.blackhole = section.get(Opt::Blackhole).is_some() && self.flag(section.get(Opt::Blackhole));
        if v.text == "default" && [route.via, route.src].into_iter().flatten().next().is_some_and(|ip| ip.is_ipv6()) {
            // `default` is of its gateway's family.
            route.to = Route::default_of(Family::V6).to;
        }
        Ok(Some(route))
    }

    fn destination(&mut self, v: Value<'_>) -> Done<(IpAddr, u8)> {
        let found = match v.text.split_once('/') {
            _ if v.text == "default" => Some((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)),
            None => v.text.parse().ok().map(|ip: IpAddr| (ip, Family::of(ip).bits())),
            Some((ip, length)) => ip.parse().ok().zip(length.parse().ok()),
        };
        match found.filter(|(ip, length)| *length <= Family::of(*ip).bits()) {
            Some(found) => Ok(found),
            None => Err(self.need(v, "a destination, such as default or 192.0.2.0/24")),
        }
    }
}
