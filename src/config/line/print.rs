//! The canonical form: only what differs from the built-in defaults, besides what every instance has.

use core::net::IpAddr;

use embedded_io::Write;
use ufmt::{Formatter, uDisplay, uWrite, uwrite};

use super::keyword::is_property;
use super::property::{SCOPE_NAMES, SCOPES};
use super::statement::{LEVEL_NAMES, LEVELS};
use crate::config::assemble::infer_family;
use crate::config::model::{Address, ChecksumForm, Config, Family, Garp, Instance, Preempt, Start};
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
    let built_in = (Config::default().log_level, Config::default().startup_delay);
    let mut any = false;
    let mut line = |t: &mut Text<'_>, differs: bool, write: &mut dyn FnMut(&mut Text<'_>) -> Written| {
        if !differs {
            return Ok(());
        }
        any = true;
        write(t)?;
        t.write_str("\n")
    };
    line(t, !config.router_id.is_empty(), &mut |t| uwrite!(t, "router-id {}", Quoted(config.str(config.router_id))))?;
    line(t, config.log_level != built_in.0, &mut |t| {
        uwrite!(t, "log {}", named(&config.log_level, &LEVELS, &LEVEL_NAMES))
    })?;
    line(t, config.log_unknown, &mut |t| t.write_str("log-unknown on"))?;
    line(t, config.strict, &mut |t| t.write_str("strict on"))?;
    line(t, config.startup_delay != built_in.1, &mut |t| {
        uwrite!(t, "startup-delay {}", Duration(config.startup_delay))
    })?;
    line(t, !config.script_user.is_empty(), &mut |t| {
        uwrite!(t, "script-user {}", Quoted(config.str(config.script_user)))
    })?;
    line(t, !config.script_security, &mut |t| t.write_str("script-security off"))?;
    for (i, instance) in config.instances.iter().enumerate() {
        if any || i > 0 {
            t.write_str("\n")?;
        }
        write_instance(config, instance, t)?;
    }
    Ok(())
}

fn write_instance(config: &Config, i: &Instance, t: &mut Text<'_>) -> Written {
    let built_in = Instance::default();
    uwrite!(t, "instance {} on {}", Quoted(config.str(i.name)), Quoted(config.str(i.interface)))?;
    uwrite!(t, " vrid {} priority {}\n", i.vrid, i.priority)?;
    if i.version != built_in.version {
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
        write_address(config, i, address, t)?;
    }
    for track in config.tracks_of(i) {
        uwrite!(t, "  track-interface {}", Quoted(config.str(track.what.name())))?;
        if track.weight != 0 {
            uwrite!(t, " weight {}", track.weight)?;
        }
        t.write_str(if track.reverse { " reverse\n" } else { "\n" })?;
    }
    let h = &i.hooks;
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

fn write_address(config: &Config, i: &Instance, a: &Address, t: &mut Text<'_>) -> Written {
    uwrite!(t, "  address {}/{}", Ip(a.ip), a.prefix)?;
    if !a.dev.is_empty() {
        uwrite!(t, " dev {}", Quoted(config.str(a.dev)))?;
    }
    if let Some(scope) = a.scope {
        uwrite!(t, " scope {}", named(&scope, &SCOPES, &SCOPE_NAMES))?;
    }
    if !a.label.is_empty() {
        uwrite!(t, " label {}", Quoted(config.str(a.label)))?;
    }
    if excluded_by_word(i, a) {
        t.write_str(" excluded")?;
    }
    t.write_str("\n")
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
