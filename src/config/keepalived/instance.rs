//! `vrrp_instance`, and the commands that groups have too.

use core::net::IpAddr;

use ufmt::{uWrite, uwrite};

use super::finish::{Pending, Security};
use super::global::{packets, whole_seconds};
use super::reader::{Done, Reader};
use super::words::Words;
use crate::config::assemble::Reported;
use crate::config::diagnostics::Excerpt;
use crate::config::draft::Slot;
use crate::config::model::{Family, MAX_INSTANCES, MAX_NAME, Start};
use crate::vrrp::timing::{Micros, Version};

/// Bytes of a password that go on the wire (RFC 2338 §5.3.10).
const PASSWORD: usize = 8;
/// What keepalived's `preempt_delay` takes.
const MAX_PREEMPT_DELAY: Micros = Micros::from_secs(1000);

pub(super) fn begin(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.instance = Pending::default();
    let at = w.at;
    match r.text(w, "vrrp_instance", "a name", MAX_NAME) {
        Ok(name) => r.asm.begin_aside(at, name),
        Err(reported) => {
            r.asm.begin_broken();
            w.skip();
            return Err(reported);
        }
    }
    Ok(())
}

impl Reader<'_> {
    /// The instance is complete but for what may stand behind it.
    pub(super) fn end_instance(&mut self) {
        if let Some(draft) = self.asm.set_aside() {
            self.instance.draft = draft;
            let at = draft.at;
            if self.instances.push(self.instance).is_err() && !self.too_many {
                self.too_many = true;
                self.asm.lost.instance = true;
                self.asm.limit(at, MAX_INSTANCES, "instances", "MAX_INSTANCES");
            }
        }
    }
}

pub(super) fn state(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::Start, w.at, "state");
    r.instance.state = Some(match w.peek() {
        Some("MASTER") => Start::Master,
        Some("BACKUP") => Start::Backup,
        _ => return Err(r.need(w, "state", "MASTER or BACKUP")),
    });
    w.skip();
    Ok(())
}

pub(super) fn interface(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::On, w.at, "interface");
    r.asm.draft.values.interface = r.interface(w, "interface")?;
    Ok(())
}

pub(super) fn vrid(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::Vrid, w.at, "virtual_router_id");
    r.asm.draft.values.vrid = r.number(w, "virtual_router_id", 1, 255)? as u8;
    Ok(())
}

pub(super) fn priority(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::Priority, w.at, "priority");
    r.instance.priority = Some(r.number(w, "priority", 1, 255)? as u8);
    Ok(())
}

pub(super) fn advert(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::Advert, w.at, "advert_int");
    let (low, high) = (Micros(1), Micros::from_secs(255));
    r.instance.advert = Some(r.seconds(w, "advert_int", low, high, "seconds: 1 to 255, in version 3 0.01 to 40.95")?);
    Ok(())
}

pub(super) fn version(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::Version, w.at, "version");
    let v2 = r.number(w, "version", 2, 3)? == 2;
    r.instance.version = Some(if v2 { Version::V2 } else { Version::V3 });
    Ok(())
}

pub(super) fn native_ipv6(r: &mut Reader<'_>, _: &mut Words<'_>) -> Done {
    r.asm.draft.family = Some(Family::V6);
    Ok(())
}

pub(super) fn nopreempt(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    // It may be said twice.
    let _ = r.asm.draft.marks.give(Slot::Preempt, w.at);
    r.instance.nopreempt = true;
    Ok(())
}

pub(super) fn preempt(r: &mut Reader<'_>, _: &mut Words<'_>) -> Done {
    r.instance.nopreempt = false;
    Ok(())
}

pub(super) fn preempt_delay(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let _ = r.asm.draft.marks.give(Slot::Preempt, w.at);
    let expected = "seconds from 0 to 1000";
    r.instance.preempt_delay = r.seconds(w, "preempt_delay", Micros::ZERO, MAX_PREEMPT_DELAY, expected)?;
    Ok(())
}

pub(super) fn dont_track_primary(r: &mut Reader<'_>, _: &mut Words<'_>) -> Done {
    r.asm.draft.values.track_primary = false;
    Ok(())
}

pub(super) fn mcast_src(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.instance.mcast_src = Some((r.host(w, "mcast_src_ip")?, w.at));
    Ok(())
}

pub(super) fn unicast_src(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.at;
    let (ip, length) = r.prefixed(w, "unicast_src_ip")?;
    if length.is_some() {
        r.asm.diag.warning(at, &mut |t| t.write_str("the mask of 'unicast_src_ip' has no meaning: it is dropped"));
    }
    r.instance.unicast_src = Some((ip, at));
    Ok(())
}

pub(super) fn mcast_dst(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    match w.peek().and_then(|s| s.parse::<IpAddr>().ok()).filter(IpAddr::is_multicast) {
        Some(IpAddr::V4(ip)) => {
            r.give(Slot::Group4, w.at, "mcast_dst_ip");
            r.asm.draft.group4 = Some(ip);
        }
        Some(IpAddr::V6(ip)) => {
            r.give(Slot::Group6, w.at, "mcast_dst_ip");
            r.asm.draft.group6 = Some(ip);
        }
        None => return Err(r.need(w, "mcast_dst_ip", "a multicast address")),
    }
    w.skip();
    Ok(())
}

pub(super) fn use_vmac(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::Vmac, w.at, "use_vmac");
    r.asm.draft.vmac = true;
    // The name may be left out, and a MAC address follow.
    if w.peek().is_some_and(|word| !word.contains(':')) {
        r.asm.draft.values.vmac = r.interface(w, "use_vmac")?;
    }
    if let Some(mac) = w.peek() {
        r.report(w.pos(), &mut |t| {
            uwrite!(t, "the '{}' of 'use_vmac' is not taken over: the MAC address is that of RFC 9568", Excerpt(mac))
        });
        while w.take().is_some() {}
    }
    Ok(())
}

pub(super) fn vmac_xmit_base(r: &mut Reader<'_>, _: &mut Words<'_>) -> Done {
    r.asm.draft.values.vmac_base = true;
    Ok(())
}

pub(super) fn accept(r: &mut Reader<'_>, _: &mut Words<'_>) -> Done {
    r.asm.draft.values.accept = true;
    Ok(())
}

pub(super) fn no_accept(r: &mut Reader<'_>, _: &mut Words<'_>) -> Done {
    r.asm.draft.values.accept = false;
    Ok(())
}

pub(super) fn garp_delay(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::GarpDelay, w.at, "garp_master_delay");
    r.asm.draft.values.garp.delay = whole_seconds(r, w, "garp_master_delay")?;
    Ok(())
}

pub(super) fn garp_repeat(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::GarpRepeat, w.at, "garp_master_repeat");
    r.asm.draft.values.garp.repeat = packets(r, w, "garp_master_repeat")?;
    Ok(())
}

pub(super) fn garp_refresh(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::GarpRefresh, w.at, "garp_master_refresh");
    r.asm.draft.values.garp.refresh = whole_seconds(r, w, "garp_master_refresh")?;
    Ok(())
}

pub(super) fn garp_refresh_repeat(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::GarpRefreshRepeat, w.at, "garp_master_refresh_repeat");
    r.asm.draft.values.garp.refresh_repeat = packets(r, w, "garp_master_refresh_repeat")?;
    Ok(())
}

pub(super) fn unicast_ttl(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let ttl = r.number(w, "unicast_ttl", 0, 255)?;
    if ttl != 255 {
        r.report(w.at, &mut |t| {
            uwrite!(t, "'unicast_ttl' {} is not taken over: adverts leave with 255, which goes farther", ttl)
        });
    }
    Ok(())
}

pub(super) fn down_timer_adverts(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let adverts = r.number(w, "down_timer_adverts", 1, 100)?;
    if adverts != 3 {
        r.report(w.at, &mut |t| {
            uwrite!(t, "'down_timer_adverts' {} is not taken over: a master is given up after 3 adverts", adverts)
        });
    }
    Ok(())
}

pub(super) fn lower_prio_no_advert(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    if r.boolean(w, "lower_prio_no_advert")? {
        r.report(w.at, &mut |t| {
            t.write_str("'lower_prio_no_advert' is not taken over: a lower router's advert is answered at once")
        });
    }
    Ok(())
}

pub(super) fn authentication(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.instance.auth_at = w.at;
    Ok(())
}

pub(super) fn auth_type(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.instance.security = match w.peek() {
        Some("PASS") => Security::Pass,
        Some("AH") => {
            r.report(w.pos(), &mut |t| {
                t.write_str("'auth_type AH' is not taken over: adverts carry no authentication, ")?;
                t.write_str("and a router that wants it does not hear us")
            });
            Security::Other
        }
        _ => return Err(r.need(w, "auth_type", "PASS")),
    };
    w.skip();
    Ok(())
}

pub(super) fn auth_pass(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let Some(secret) = w.peek().filter(|s| !s.is_empty() && !s.contains('\t')) else {
        return Err(r.need(w, "auth_pass", "a password"));
    };
    w.skip();
    let kept = secret.len().min(PASSWORD);
    if kept < secret.len() {
        if !secret.is_char_boundary(kept) {
            r.asm.diag.error(at, &mut |t| {
                t.write_str("the 8 bytes of the password that count end inside a character: expected a shorter one")
            });
            return Err(Reported);
        }
        r.asm.diag.warning(at, &mut |t| {
            uwrite!(t, "password longer than {} bytes: only the first {} count", PASSWORD, PASSWORD)
        });
    }
    let mut password = [0; PASSWORD];
    password[..kept].copy_from_slice(&secret.as_bytes()[..kept]);
    r.instance.password = Some((password, at));
    Ok(())
}

pub(super) fn notify(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::Notify, w.at, "notify");
    r.asm.draft.values.hooks.any = r.hook(w, "notify")?;
    Ok(())
}

pub(super) fn notify_master(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::NotifyMaster, w.at, "notify_master");
    r.asm.draft.values.hooks.master = r.hook(w, "notify_master")?;
    Ok(())
}

pub(super) fn notify_backup(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::NotifyBackup, w.at, "notify_backup");
    r.asm.draft.values.hooks.backup = r.hook(w, "notify_backup")?;
    Ok(())
}

pub(super) fn notify_fault(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::NotifyFault, w.at, "notify_fault");
    r.asm.draft.values.hooks.fault = r.hook(w, "notify_fault")?;
    Ok(())
}

pub(super) fn notify_stop(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.give(Slot::NotifyStop, w.at, "notify_stop");
    r.asm.draft.values.hooks.stop = r.hook(w, "notify_stop")?;
    Ok(())
}
