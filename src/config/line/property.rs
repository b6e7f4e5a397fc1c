//! Properties of an instance.

use core::net::IpAddr;

use ufmt::uwrite;

use super::keyword::{Done, Reader, is_property};
use super::lex::Words;
use super::statement::DAY;
use super::value::{Expected, duration};
use crate::config::assemble::Reported;
use crate::config::draft::Slot;
use crate::config::model::{Address, ChecksumForm, Family, Peer, Preempt, Scope, Start, StrId};
use crate::vrrp::timing::{Centis, Micros, Version};

/// The scopes in the order of [`SCOPES`].
pub(super) static SCOPE_NAMES: [&str; 4] = ["global", "site", "link", "host"];
pub(super) static SCOPES: [Scope; 4] = [Scope::Global, Scope::Site, Scope::Link, Scope::Host];

/// The longest label: the kernel keeps it where an interface name would fit.
const MAX_LABEL: usize = 15;
/// Bytes of a password that go on the wire (RFC 2338 §5.3.10).
const PASSWORD: usize = 8;

pub(super) fn on(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.interface = r.interface(w, "on")?;
    Ok(())
}

pub(super) fn vrid(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.vrid = r.byte(w, "vrid", 1)?;
    Ok(())
}

pub(super) fn family(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let v4 = r.choice(w, "family", &["ipv4", "ipv6"])? == 0;
    r.target().family = Some(if v4 { Family::V4 } else { Family::V6 });
    Ok(())
}

pub(super) fn version(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let which = r.choice(w, "version", &["2", "3", "2+3"])?;
    let values = &mut r.target().values;
    (values.version, values.also_v2) = (if which == 0 { Version::V2 } else { Version::V3 }, which == 2);
    Ok(())
}

pub(super) fn priority(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.priority = r.byte(w, "priority", 1)?;
    Ok(())
}

pub(super) fn advert(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let expected = "whole centiseconds from 10ms to 40.95s (version 2: whole seconds from 1s to 255s)";
    let centis = w.peek().and_then(duration).and_then(|d| {
        let centis = Centis::new(u16::try_from(d.0 / 10_000).ok()?)?;
        (centis.micros() == d).then_some(centis)
    });
    let Some(centis) = centis else { return Err(r.need(w, "advert", Expected::Text(expected))) };
    w.skip();
    r.target().values.advert = centis;
    Ok(())
}

pub(super) fn preempt(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.preempt = match r.choice(w, "preempt", &["on", "off", "after"])? {
        0 => Preempt::On,
        1 => Preempt::Off,
        _ => match r.duration(w, "preempt after", Micros::ZERO, DAY, "a duration from 0s to 1440m, such as 30s")? {
            Micros::ZERO => Preempt::On,
            wait => Preempt::After(wait),
        },
    };
    Ok(())
}

pub(super) fn track_primary(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.track_primary = r.on_off(w, "track-primary")?;
    Ok(())
}

pub(super) fn start(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let backup = r.choice(w, "start", &["backup", "master"])? == 0;
    r.target().values.start = if backup { Start::Backup } else { Start::Master };
    Ok(())
}

pub(super) fn unicast(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.unicast = Some(r.host(w, "unicast")?);
    Ok(())
}

pub(super) fn source(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.source = Some(r.host(w, "source")?);
    Ok(())
}

pub(super) fn group4(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    match w.peek().and_then(|s| s.parse().ok()) {
        Some(IpAddr::V4(ip)) if ip.is_multicast() => r.target().group4 = Some(ip),
        _ => return Err(r.need(w, "group4", Expected::Text("an IPv4 multicast address, such as 224.0.0.18"))),
    }
    w.skip();
    Ok(())
}

pub(super) fn group6(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    match w.peek().and_then(|s| s.parse().ok()) {
        Some(IpAddr::V6(ip)) if ip.is_multicast() => r.target().group6 = Some(ip),
        _ => return Err(r.need(w, "group6", Expected::Text("an IPv6 multicast address, such as ff02::12"))),
    }
    w.skip();
    Ok(())
}

pub(super) fn auth(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.choice(w, "auth", &["pass"])?;
    let at = w.pos();
    let secret = r.plain(w, "auth pass", "a password", super::MAX_LINE)?;
    let kept = secret.len().min(PASSWORD);
    if kept < secret.len() {
        if !secret.is_char_boundary(kept) {
            // What is kept could not be written back.
            return Err(
                r.refuse(at, "the 8 bytes of the password that count end inside a character: expected a shorter one")
            );
        }
        r.asm.diag.warning(at, &mut |t| {
            uwrite!(t, "password longer than {} bytes: only the first {} count", PASSWORD, PASSWORD)
        });
    }
    let mut password = [0; PASSWORD];
    password[..kept].copy_from_slice(&secret.as_bytes()[..kept]);
    r.target().values.password = Some(password);
    Ok(())
}

pub(super) fn checksum(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let plain = r.choice(w, "checksum", &["plain", "pseudo"])? == 0;
    r.target().values.checksum = if plain { ChecksumForm::Plain } else { ChecksumForm::Pseudo };
    Ok(())
}

pub(super) fn vmac(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.asm.draft.vmac = true;
    if w.peek().is_some_and(|word| w.quoted() || !is_property(word)) {
        r.asm.draft.values.vmac = r.interface(w, "vmac")?;
    }
    Ok(())
}

pub(super) fn vmac_base(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.vmac_base = r.on_off(w, "vmac-base")?;
    Ok(())
}

pub(super) fn accept(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.target().values.accept = r.on_off(w, "accept")?;
    Ok(())
}

pub(super) fn garp(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    const OPTIONS: &[&str] = &["delay", "repeat", "refresh", "refresh-repeat"];
    let (mut at, mut seen) = (w.pos(), 0);
    while let Some(option) = r.option(w, OPTIONS, &mut seen)? {
        match option {
            0 => {
                r.give(Slot::GarpDelay, at, "garp delay")?;
                let expected = "a duration from 0s (no second burst) to 1440m";
                r.target().values.garp.delay = r.duration(w, "garp delay", Micros::ZERO, DAY, expected)?;
            }
            1 => {
                r.give(Slot::GarpRepeat, at, "garp repeat")?;
                r.target().values.garp.repeat = r.byte(w, "garp repeat", 1)?;
            }
            2 => {
                r.give(Slot::GarpRefresh, at, "garp refresh")?;
                let expected = "0s (none), or a duration from 100ms to 1440m";
                let low = if w.peek().and_then(duration) == Some(Micros::ZERO) { 0 } else { 100 };
                r.target().values.garp.refresh =
                    r.duration(w, "garp refresh", Micros::from_millis(low), DAY, expected)?;
            }
            _ => {
                r.give(Slot::GarpRefreshRepeat, at, "garp refresh-repeat")?;
                r.target().values.garp.refresh_repeat = r.byte(w, "garp refresh-repeat", 1)?;
            }
        }
        at = w.pos();
    }
    if seen == 0 { Err(r.need(w, "garp", Expected::OneOf(OPTIONS))) } else { Ok(()) }
}

pub(super) fn address(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    const OPTIONS: &[&str] = &["dev", "scope", "label", "excluded"];
    let at = w.pos();
    r.asm.draft.address_seen = true;
    let (ip, prefix) = r.prefixed(w, "address")?;
    let mut a = Address { ip, prefix, dev: StrId::default(), scope: None, label: StrId::default(), excluded: false };
    let mut seen = 0;
    // The address counts even if an option of it is wrong: one error is enough.
    let done = loop {
        let option = match r.option(w, OPTIONS, &mut seen) {
            Ok(Some(option)) => option,
            Ok(None) => break Ok(()),
            Err(reported) => break Err(reported),
        };
        if let Err(reported) = address_option(r, w, option, &mut a) {
            break Err(reported);
        }
    };
    r.asm.add_address(at, a);
    done
}

pub(super) fn address_option(r: &mut Reader<'_>, w: &mut Words<'_>, option: usize, a: &mut Address) -> Done {
    let at = w.pos();
    match option {
        0 => a.dev = r.interface(w, "dev")?,
        1 => a.scope = Some(SCOPES[r.choice(w, "scope", &SCOPE_NAMES)?]),
        2 => {
            a.label = r.name(w, "label", "a label, such as br-lan:1", MAX_LABEL)?;
            if a.ip.is_ipv6() {
                return Err(r.refuse(at, "a label on an IPv6 address: expected only on IPv4 ones"));
            }
        }
        _ => a.excluded = true,
    }
    Ok(())
}

pub(super) fn peer(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    const OPTIONS: &[&str] = &["min-ttl", "max-ttl"];
    let at = w.pos();
    r.asm.draft.peer_seen = true;
    let mut peer = Peer { ip: r.host(w, "peer")?, min_ttl: 255, max_ttl: 255 };
    let mut seen = 0;
    while let Some(option) = r.option(w, OPTIONS, &mut seen)? {
        let ttl = r.byte(w, OPTIONS[option], 0)?;
        if option == 0 {
            peer.min_ttl = ttl;
        } else {
            peer.max_ttl = ttl;
        }
    }
    if peer.min_ttl > peer.max_ttl {
        r.asm.diag.error(at, &mut |t| {
            uwrite!(
                t,
                "'min-ttl' is {} and 'max-ttl' {}: expected the lower one first; each is 255 unless given",
                peer.min_ttl,
                peer.max_ttl
            )
        });
        return Err(Reported);
    }
    r.asm.add_peer(at, peer);
    Ok(())
}
