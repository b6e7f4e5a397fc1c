//! Entries of `virtual_routes`, `static_routes` and `static_ipaddress`.

use core::net::IpAddr;

use ufmt::{uWrite, uwrite};

use super::address;
use super::reader::{Done, Reader};
use super::words::Words;
use crate::config::assemble::Reported;
use crate::config::diagnostics::{Excerpt, Pos, suggest};
use crate::config::model::{Address, Family, Route};

/// What is there as long as the daemon runs.
#[derive(Clone, Copy)]
pub(super) enum Static {
    Address(Address),
    Route(Route),
}

const OPTIONS: [&str; 11] = ["via", "gw", "dev", "oif", "src", "to", "table", "metric", "scope", "onlink", "blackhole"];

/// Options that are not taken over; whether a value stands behind them.
static LOST: [(&str, bool); 14] = [
    ("tos", true),
    ("dsfield", true),
    ("preference", true),
    ("proto", true),
    ("protocol", true),
    ("realms", true),
    ("mtu", true),
    ("mtu_lock", true),
    ("hoplimit", true),
    ("advmss", true),
    ("quickack", true),
    ("no_track", false),
    ("weight", true),
    ("pref", true),
];

/// Kinds of routes; of them `blackhole` and the ordinary ones are known here.
static KINDS: [&str; 4] = ["unreachable", "prohibit", "throw", "nat"];

pub(super) fn virtual_route(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.at;
    if let Some(route) = route(r, w, "virtual_routes")? {
        r.asm.add_route(at, route);
    }
    Ok(())
}

pub(super) fn static_route(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.at;
    match route(r, w, "static_routes")? {
        Some(route) => r.keep_static(at, Static::Route(route)),
        None => Ok(()),
    }
}

pub(super) fn static_address(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.at;
    let a = address::entry(r, w, "static_ipaddress", false)?;
    if a.dev.is_empty() {
        r.asm.diag.error(at, &mut |t| t.write_str("a static address needs 'dev INTERFACE' behind it"));
        return Err(Reported);
    }
    r.keep_static(at, Static::Address(a))
}

/// One route; `None` if it is of a kind that is not taken over, which is reported.
fn route(r: &mut Reader<'_>, w: &mut Words<'_>, keyword: &str) -> Result<Option<Route>, Reported> {
    let (at, mut to) = (w.at, None);
    let mut route = Route::to(IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), 0);
    let mut by_word = false;
    while let Some(word) = w.peek() {
        let here = w.pos();
        match word {
            "via" | "gw" => {
                w.skip();
                if matches!(w.peek(), Some("inet" | "inet6")) {
                    w.skip();
                }
                route.via = Some(r.host(w, "via")?);
            }
            "dev" | "oif" => {
                w.skip();
                route.dev = r.interface(w, "dev")?;
            }
            "src" => {
                w.skip();
                route.src = Some(r.host(w, "src")?);
            }
            "table" => {
                w.skip();
                route.table = match w.peek() {
                    Some("main") => 254,
                    Some("local") => 255,
                    Some("default") => 253,
                    _ => r.number(w, "table", 1, u32::MAX)?,
                };
                if matches!(w.peek(), Some("main" | "local" | "default")) {
                    w.skip();
                }
            }
            "metric" => {
                w.skip();
                route.metric = r.number(w, "metric", 0, u32::MAX)?;
            }
            "scope" => {
                w.skip();
                route.scope = address::scope(r, w)?;
            }
            "onlink" => {
                w.skip();
                route.onlink = true;
            }
            "blackhole" => {
                w.skip();
                route.blackhole = true;
            }
            "to" | "unicast" => w.skip(),
            _ if KINDS.contains(&word) => {
                r.report(here, &mut |t| {
                    uwrite!(t, "'{}' is not taken over: this route is not set, use blackhole", word)
                });
                while w.peek().is_some() {
                    w.skip();
                }
                return Ok(None);
            }
            _ => match LOST.iter().find(|(name, _)| *name == word) {
                Some((_, value)) => {
                    w.skip();
                    if *value {
                        w.skip();
                    }
                    r.report(here, &mut |t| uwrite!(t, "'{}' is not taken over: the route is without it", word));
                }
                None if to.is_none() => {
                    by_word = word == "default";
                    to = Some(destination(r, w, keyword)?);
                }
                None => {
                    let near = suggest(word, &mut LOST.iter().map(|l| l.0).chain(OPTIONS));
                    r.asm.diag.error(here, &mut |t| {
                        uwrite!(t, "unknown option '{}' of a route", Excerpt(word))?;
                        match near {
                            Some(meant) => uwrite!(t, ", did you mean '{}'?", meant),
                            None => t.write_str(": expected one route on each line"),
                        }
                    });
                    return Err(Reported);
                }
            },
        }
    }
    let Some((ip, prefix)) = to else {
        r.asm.diag.error(at, &mut |t| uwrite!(t, "an entry of '{}' without a destination", keyword));
        return Err(Reported);
    };
    (route.to, route.prefix) = (ip, prefix);
    if by_word && [route.via, route.src].into_iter().flatten().next().is_some_and(|ip| ip.is_ipv6()) {
        // `default` is of its gateway's family.
        route.to = Route::default_of(Family::V6).to;
    }
    Ok(Some(route))
}

fn destination(r: &mut Reader<'_>, w: &mut Words<'_>, keyword: &str) -> Result<(IpAddr, u8), Reported> {
    let word = w.peek().unwrap_or("");
    let found = match word.split_once('/') {
        _ if word == "default" => Some((IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), 0)),
        None => word.parse().ok().map(|ip: IpAddr| (ip, Family::of(ip).bits())),
        Some((ip, length)) => ip.parse().ok().zip(length.parse().ok()),
    };
    match found.filter(|(ip, length)| *length <= Family::of(*ip).bits()) {
        Some(found) => {
            w.skip();
            Ok(found)
        }
        None => Err(r.need(w, keyword, "a destination, such as default or 192.0.2.0/24")),
    }
}

impl Reader<'_> {
    /// Keeps what is static until the instances are complete.
    fn keep_static(&mut self, at: Pos, what: Static) -> Done {
        self.statics.push((at, what)).map_err(|_| {
            self.asm
                .diag
                .error(at, &mut |t| uwrite!(t, "more than {} static addresses and routes", super::reader::MAX_STATIC));
            Reported
        })
    }

    /// What is static joins the configuration.
    pub(super) fn finish_statics(&mut self) {
        let statics = core::mem::take(&mut self.statics);
        for (at, what) in statics {
            match what {
                Static::Address(a) => self.asm.add_static_address(at, a),
                Static::Route(route) => self.asm.add_static_route(at, route),
            }
        }
    }
}
