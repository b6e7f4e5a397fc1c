//! `global_defs`.

use core::net::IpAddr;

use heapless::String;
use ufmt::{uWrite, uwrite};

use super::reader::{Done, Reader};
use super::words::Words;
use crate::config::assemble::Reported;
use crate::config::draft::Slot;
use crate::config::model::{MAX_NAME, StrId};
use crate::vrrp::timing::{Micros, Version};

/// The longest wait that any property takes.
pub(super) const DAY: Micros = Micros::from_secs(24 * 60 * 60);

pub(super) fn begin(_: &mut Reader<'_>, _: &mut Words<'_>) -> Done {
    Ok(())
}

impl Reader<'_> {
    /// Marks `slot` of the router as given.
    fn give_global(&mut self, slot: Slot, w: &Words<'_>, keyword: &str) {
        if let Err(before) = self.globals.marks.give(slot, w.at) {
            self.again(w.at, keyword, before);
        }
    }
}

pub(super) fn router_id(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give_global(Slot::RouterId, w, "router_id");
    r.asm.config.router_id = r.name(w, "router_id", "the name of this router")?;
    Ok(())
}

pub(super) fn version(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give_global(Slot::Version, w, "vrrp_version");
    let v2 = r.number(w, "vrrp_version", 2, 3)? == 2;
    r.globals.version = if v2 { Version::V2 } else { Version::V3 };
    Ok(())
}

pub(super) fn group4(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give_global(Slot::Group4, w, "vrrp_mcast_group4");
    match w.peek().and_then(|s| s.parse().ok()) {
        Some(IpAddr::V4(ip)) if ip.is_multicast() => r.globals.group4 = Some(ip),
        _ => return Err(r.need(w, "vrrp_mcast_group4", "an IPv4 multicast address, such as 224.0.0.18")),
    }
    w.skip();
    Ok(())
}

pub(super) fn group6(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give_global(Slot::Group6, w, "vrrp_mcast_group6");
    match w.peek().and_then(|s| s.parse().ok()) {
        Some(IpAddr::V6(ip)) if ip.is_multicast() => r.globals.group6 = Some(ip),
        _ => return Err(r.need(w, "vrrp_mcast_group6", "an IPv6 multicast address, such as ff02::12")),
    }
    w.skip();
    Ok(())
}

/// Whole seconds, of which none is a meaning of its own.
pub(super) fn whole_seconds(r: &mut Reader<'_>, w: &mut Words<'_>, keyword: &str) -> Result<Micros, Reported> {
    r.number(w, keyword, 0, 86_400).map(|n| Micros::from_secs(n as u64))
}

/// A number of packets; keepalived takes 0 for 1.
pub(super) fn packets(r: &mut Reader<'_>, w: &mut Words<'_>, keyword: &str) -> Result<u8, Reported> {
    let at = w.pos();
    let n = r.number(w, keyword, 0, 255)?;
    if n == 0 {
        r.asm.diag.warning(at, &mut |t| uwrite!(t, "'{}' cannot be 0: it is 1, as with keepalived", keyword));
    }
    Ok(n.max(1) as u8)
}

pub(super) fn garp_delay(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give_global(Slot::GarpDelay, w, "vrrp_garp_master_delay");
    r.globals.garp_delay = Some(whole_seconds(r, w, "vrrp_garp_master_delay")?);
    Ok(())
}

pub(super) fn garp_repeat(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give_global(Slot::GarpRepeat, w, "vrrp_garp_master_repeat");
    r.globals.garp_repeat = Some(packets(r, w, "vrrp_garp_master_repeat")?);
    Ok(())
}

pub(super) fn garp_refresh(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give_global(Slot::GarpRefresh, w, "vrrp_garp_master_refresh");
    r.globals.garp_refresh = Some(whole_seconds(r, w, "vrrp_garp_master_refresh")?);
    Ok(())
}

pub(super) fn garp_refresh_repeat(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give_global(Slot::GarpRefreshRepeat, w, "vrrp_garp_master_refresh_repeat");
    r.globals.garp_refresh_repeat = Some(packets(r, w, "vrrp_garp_master_refresh_repeat")?);
    Ok(())
}

pub(super) fn min_garp(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.globals.min_garp = r.boolean(w, "vrrp_min_garp")?;
    Ok(())
}

pub(super) fn plain_checksum(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.globals.plain_checksum = r.boolean(w, "v3_checksum_as_v2")?;
    Ok(())
}

pub(super) fn strict(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give_global(Slot::Strict, w, "vrrp_strict");
    r.asm.config.strict = true;
    r.report(w.at, &mut |t| {
        t.write_str("'vrrp_strict' is taken over in part: wrong adverts are dropped, ")?;
        t.write_str("but packets to the virtual addresses are accepted")
    });
    Ok(())
}

pub(super) fn startup_delay(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give_global(Slot::StartupDelay, w, "vrrp_startup_delay");
    r.asm.config.startup_delay = r.seconds(w, "vrrp_startup_delay", Micros::ZERO, DAY, "seconds from 0 to 86400")?;
    Ok(())
}

pub(super) fn script_user(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give_global(Slot::ScriptUser, w, "script_user");
    if w.peek().is_none() {
        return Err(r.need(w, "script_user", "a user and perhaps a group"));
    }
    if let Some(commands) = &mut r.asm.commands {
        commands.script_user = w.pos();
    }
    r.asm.config.script_user = r.user(w, "script_user")?;
    Ok(())
}

pub(super) fn script_security(r: &mut Reader<'_>, _: &mut Words<'_>) -> Done {
    r.globals.script_security = true;
    Ok(())
}

pub(super) fn startup(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give_global(Slot::Startup, w, "startup_script");
    r.asm.config.startup.command = r.hook(w, "startup_script")?;
    Ok(())
}

pub(super) fn shutdown(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give_global(Slot::Shutdown, w, "shutdown_script");
    r.asm.config.shutdown.command = r.hook(w, "shutdown_script")?;
    Ok(())
}

pub(super) fn startup_timeout(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let secs = r.number(w, "startup_script_timeout", 1, 1000)?;
    r.asm.config.startup.timeout = Micros::from_secs(secs as u64);
    Ok(())
}

pub(super) fn shutdown_timeout(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let secs = r.number(w, "shutdown_script_timeout", 1, 1000)?;
    r.asm.config.shutdown.timeout = Micros::from_secs(secs as u64);
    Ok(())
}

pub(super) fn fifo(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let path = r.path(w, "notify_fifo")?;
    let at = w.pos();
    let owner = r.user(w, "notify_fifo")?;
    let before = r.asm.config.notify_fifo;
    if before != StrId::default() && before != path {
        r.report(w.at, &mut |t| t.write_str("a second FIFO is not taken over: the first one gets the lines"));
        return Ok(());
    }
    if !owner.is_empty() {
        let owner: String<MAX_NAME> = r.asm.config.str(owner).try_into().unwrap_or_default();
        r.report(at, &mut |t| {
            uwrite!(t, "the FIFO's owner '{}' is not taken over: it belongs to root", owner.as_str())
        });
    }
    r.asm.config.notify_fifo = path;
    Ok(())
}

pub(super) fn log_unknown(r: &mut Reader<'_>, _: &mut Words<'_>) -> Done {
    r.asm.config.log_unknown = true;
    Ok(())
}
