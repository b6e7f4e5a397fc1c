//! The canonical form: only what differs from the built-in defaults, besides what every instance has.

mod check;
mod global;

use core::net::IpAddr;

use embedded_io::Write;
use ufmt::{Formatter, uDisplay, uWrite, uwrite};

use super::group::{WEIGHT_NAMES, WEIGHTS};
use super::keyword::is_property;
use super::property::{SCOPE_NAMES, SCOPES};
use crate::config::assemble::infer_family;
use crate::config::model::{
    Address, CheckKind, ChecksumForm, Config, Family, Garp, Group, Hooks, Instance, Preempt, Route, RouteWords, Start,
    Track, Tracked, Weights,
};
use crate::text::{self, Duration, Ip, Text, Written};
use crate::vrrp::timing::Micros;

/// Writes `config`, secrets and all, so that reading it gives the same configuration again.
pub fn print<W: Write>(config: &Config, out: &mut W) -> Result<(), W::Error> {
    text::write_to(out, &mut |t| write(config, t))
}

/// A word, in quotes where it needs them.
struct Quoted<'a>(&'a str);

impl uDisplay for Quoted<'_> {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        let word = self.0;
        let bare = !word.is_empty() && !word.starts_with('#') && !word.contains([' ', '\t', '"']) && !is_property(word);
        if bare {
            return f.write_str(word);
        }
        f.write_str("\"")?;
        for piece in word.split_inclusive(['"', '\\']) {
            let plain = piece.trim_end_matches(['"', '\\']);
            f.write_str(plain)?;
            if plain.len() < piece.len() {
                f.write_str("\\")?;
                f.write_str(&piece[plain.len()..])?;
            }
        }
        f.write_str("\"")
    }
}

/// The name of `value`, by its place in a table of values.
fn named<T: PartialEq>(value: &T, values: &[T], names: &[&'static str]) -> &'static str {
    values.iter().position(|v| v == value).and_then(|i| names.get(i).copied()).unwrap_or("")
}

fn write(config: &Config, t: &mut Text<'_>) -> Written {
    let any = global::write(config, t)?;
    let mut apart = any;
    for check in &config.checks {
        if apart {
            t.write_str("\n")?;
        }
        apart = false;
        check::write(config, check, t)?;
    }
    apart = any || !config.checks.is_empty();
    for instance in &config.instances {
        if apart {
            t.write_str("\n")?;
        }
        apart = true;
        write_instance(config, instance, t)?;
    }
    for group in &config.groups {
        t.write_str("\n")?;
        write_group(config, group, t)?;
    }
    Ok(())
}

fn write_instance(config: &Config, i: &Instance, t: &mut Text<'_>) -> Written {
    let built_in = Instance::default();
    uwrite!(t, "instance {} on {}", Quoted(config.str(i.name)), Quoted(config.str(i.interface)))?;
    uwrite!(t, " vrid {} priority {}\n", i.vrid, i.priority)?;
    if i.also_v2 {
        t.write_str("  version 2+3\n")?;
    } else if i.version != built_in.version {
        uwrite!(t, "  version {}\n", i.version.number())?;
    }
    if i.family != inferred(config, i) {
        t.write_str(if i.family == Family::V4 { "  family ipv4\n" } else { "  family ipv6\n" })?;
    }
    if i.advert != built_in.advert {
        uwrite!(t, "  advert {}\n", Duration(i.advert.micros()))?;
    }
    match i.preempt {
        Preempt::On | Preempt::After(Micros::ZERO) => {}
        Preempt::Off => t.write_str("  preempt off\n")?,
        Preempt::After(wait) => uwrite!(t, "  preempt after {}\n", Duration(wait))?,
    }
    if i.start == Start::Master {
        t.write_str("  start master\n")?;
    }
    if !i.track_primary {
        t.write_str("  track-primary off\n")?;
    }
    if let Some(ip) = i.source {
        uwrite!(t, "  source {}\n", Ip(ip))?;
    }
    match i.group {
        Some(ip @ IpAddr::V4(_)) => uwrite!(t, "  group4 {}\n", Ip(ip))?,
        Some(ip @ IpAddr::V6(_)) => uwrite!(t, "  group6 {}\n", Ip(ip))?,
        None => {}
    }
    if let Some(password) = i.password {
        let len = password.iter().position(|b| *b == 0).unwrap_or(password.len());
        // The language takes no other passwords than text.
        let secret = core::str::from_utf8(&password[..len]).unwrap_or("");
        uwrite!(t, "  auth pass {}\n", Quoted(secret))?;
    }
    write_garp(&i.garp, &built_in.garp, t)?;
    if i.checksum == ChecksumForm::Pseudo {
        t.write_str("  checksum pseudo\n")?;
    }
    if !i.vmac.is_empty() {
        uwrite!(t, "  vmac {}\n", Quoted(config.str(i.vmac)))?;
        if i.vmac_base && i.unicast.is_none() {
            t.write_str("  vmac-base on\n")?;
        }
    }
    if !i.accept {
        t.write_str("  accept off\n")?;
    }
    if let Some(ip) = i.unicast {
        uwrite!(t, "  unicast {}\n", Ip(ip))?;
    }
    for peer in config.peers_of(i) {
        uwrite!(t, "  peer {}", Ip(peer.ip))?;
        for (name, ttl) in [(" min-ttl ", peer.min_ttl), (" max-ttl ", peer.max_ttl)] {
            if ttl != 255 {
                uwrite!(t, "{}{}", name, ttl)?;
            }
        }
        t.write_str("\n")?;
    }
    for address in config.addresses_of(i) {
        t.write_str("  address ")?;
        write_address(config, address, excluded_by_word(i, address), t)?;
    }
    for route in config.routes_of(i) {
        t.write_str("  route ")?;
        write_route(config, route, t)?;
        t.write_str("\n")?;
    }
    write_tracks(config, config.tracks_of(i), t)?;
    write_hooks(config, &i.hooks, t)
}

fn write_group(config: &Config, g: &Group, t: &mut Text<'_>) -> Written {
    uwrite!(t, "group {}", Quoted(config.str(g.name)))?;
    for member in config.members_of(g) {
        uwrite!(t, " {}", Quoted(config.str(*member)))?;
    }
    t.write_str("\n")?;
    if g.weights != Weights::All {
        uwrite!(t, "  weights {}\n", named(&g.weights, &WEIGHTS, &WEIGHT_NAMES))?;
    }
    write_tracks(config, config.tracks_of_group(g), t)?;
    write_hooks(config, &g.hooks, t)
}

fn write_tracks(config: &Config, tracks: &[Track], t: &mut Text<'_>) -> Written {
    for track in tracks {
        let name = Quoted(config.str(track.what.name()));
        let built_in = match track.what {
            Tracked::Interface(_) => {
                uwrite!(t, "  track-interface {}", name)?;
                0
            }
            Tracked::Check(check) => {
                uwrite!(t, "  track {}", name)?;
                let check = config.check_named(check).and_then(|c| config.checks.get(c));
                check.is_some_and(|c| matches!(c.kind, CheckKind::File { .. })) as i16
            }
        };
        if track.weight != built_in {
            uwrite!(t, " weight {}", track.weight)?;
        }
        t.write_str(if track.reverse { " reverse\n" } else { "\n" })?;
    }
    Ok(())
}

fn write_hooks(config: &Config, h: &Hooks, t: &mut Text<'_>) -> Written {
    for (name, command) in [
        ("notify", h.any),
        ("notify-master", h.master),
        ("notify-backup", h.backup),
        ("notify-fault", h.fault),
        ("notify-stop", h.stop),
    ] {
        if !command.is_empty() {
            uwrite!(t, "  {} {}\n", name, Quoted(config.str(command)))?;
        }
    }
    Ok(())
}

fn write_garp(garp: &Garp, built_in: &Garp, t: &mut Text<'_>) -> Written {
    if garp == built_in {
        return Ok(());
    }
    t.write_str("  garp")?;
    if garp.delay != built_in.delay {
        uwrite!(t, " delay {}", Duration(garp.delay))?;
    }
    if garp.repeat != built_in.repeat {
        uwrite!(t, " repeat {}", garp.repeat)?;
    }
    if garp.refresh != built_in.refresh {
        uwrite!(t, " refresh {}", Duration(garp.refresh))?;
    }
    if garp.refresh_repeat != built_in.refresh_repeat {
        uwrite!(t, " refresh-repeat {}", garp.refresh_repeat)?;
    }
    t.write_str("\n")
}

fn write_route(config: &Config, route: &Route, t: &mut Text<'_>) -> Written {
    let dev = (!route.dev.is_empty()).then(|| Quoted(config.str(route.dev)));
    uwrite!(t, "{}", RouteWords { route, dev })
}

fn write_address(config: &Config, a: &Address, excluded: bool, t: &mut Text<'_>) -> Written {
    uwrite!(t, "{}/{}", Ip(a.ip), a.prefix)?;
    if !a.dev.is_empty() {
        uwrite!(t, " dev {}", Quoted(config.str(a.dev)))?;
    }
    if let Some(scope) = a.scope {
        uwrite!(t, " scope {}", named(&scope, &SCOPES, &SCOPE_NAMES))?;
    }
    if !a.label.is_empty() {
        uwrite!(t, " label {}", Quoted(config.str(a.label)))?;
    }
    t.write_str(if excluded { " excluded\n" } else { "\n" })
}

/// Whether `a` is excluded though it is of the instance's own family.
fn excluded_by_word(i: &Instance, a: &Address) -> bool {
    a.excluded && Family::of(a.ip) == i.family
}

/// The family that reading would infer from what is written here.
fn inferred(config: &Config, i: &Instance) -> Family {
    let first_peer = config.peers_of(i).first().map(|p| p.ip);
    let others = [i.unicast, first_peer, i.source, i.group];
    infer_family(config.addresses_of(i), &|a| excluded_by_word(i, a), &others)
}
