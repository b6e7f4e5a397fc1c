//! What keepalived's plugin for rpcd answers, and LuCI's page reads: one object with the keys of its
//! calls `dump` (`status`) and `status` (`instance`, `group`).

use ufmt::{uWrite, uwrite};

use super::frames::{Frames, Walk};
use super::json::{Escaped, micros, string};
use super::wanted;
use crate::config::model::RouteWords;
use crate::control::{InstanceStatus, Reply};
use crate::router::event::Shown;
use crate::text::{Ip, Text, Written};
use crate::vrrp::stats::GlobalStats;
use crate::vrrp::timing::Micros;

/// Writes `frames`, or what is called `only`. `now` is the time of day since 1970: the daemon counts from
/// its own start, for a router starts before its clock is set.
pub fn keepalived(frames: &Frames, only: Option<&str>, now: Micros, t: &mut Text<'_>) -> Written {
    let mut stats = GlobalStats::default();
    let mut comma = "{\"status\":[";
    let mut walk = frames.walk();
    while let Some(reply) = walk.next() {
        match reply {
            Reply::Router(r) => stats = r.stats,
            Reply::Instance(i) if wanted(only, i.name) => {
                t.write_str(core::mem::replace(&mut comma, ","))?;
                data(&i, walk, now, t)?;
                counters(&i, &stats, t)?;
            }
            _ => {}
        }
    }
    // Without an instance the first bracket is still to come.
    t.write_str(if comma == "," { "" } else { comma })?;
    t.write_str("],\"instance\":[")?;
    let mut comma = "";
    for reply in frames.walk() {
        if let Reply::Instance(i) = reply
            && wanted(only, i.name)
        {
            event(core::mem::replace(&mut comma, ","), i.name, i.state, ago(now, i.since), t)?;
        }
    }
    t.write_str("],\"group\":[")?;
    let mut comma = "";
    for reply in frames.walk() {
        if let Reply::Group(g) = reply
            && wanted(only, g.name)
        {
            event(core::mem::replace(&mut comma, ","), g.name, g.state, ago(now, g.since), t)?;
        }
    }
    t.write_str("]}\n")
}

/// The moment `since` before `now`; 0 where the clock has not come that far.
fn ago(now: Micros, since: Micros) -> Micros {
    Micros(now.0.saturating_sub(since.0))
}

/// keepalived's numbers.
fn number(state: Shown) -> u8 {
    match state {
        Shown::Init | Shown::Stop => 0,
        Shown::Backup => 1,
        Shown::Master => 2,
        Shown::Fault => 3,
    }
}

/// `data`, with what follows the instance in `parts`.
fn data(i: &InstanceStatus<'_>, parts: Walk<'_>, now: Micros, t: &mut Text<'_>) -> Written {
    let active = i.state == Shown::Master;
    t.write_str("{\"data\":{\"iname\":")?;
    string(i.name, t)?;
    t.write_str(",\"vmac_ifname\":")?;
    string(i.vmac, t)?;
    t.write_str(",\"ifp_ifname\":")?;
    string(i.interface, t)?;
    let master = i.master.map_or(if active { i.effective_priority } else { 0 }, |(_, priority)| priority);
    // What ends a fault leads to BACKUP.
    let want = if i.state == Shown::Fault { Shown::Backup } else { i.state };
    numbers(
        &[
            (",\"master_priority\":", master.into()),
            (",\"vrid\":", i.vrid.into()),
            (",\"base_priority\":", i.priority.into()),
            (",\"effective_priority\":", i.effective_priority.into()),
            (",\"state\":", number(i.state).into()),
            (",\"wantstate\":", number(want).into()),
            (",\"version\":", i.version.into()),
        ],
        t,
    )?;
    for (key, time) in [
        (",\"last_transition\":", ago(now, i.since)),
        (",\"adver_int\":", i.advert.micros()),
        (",\"master_adver_int\":", i.active_adver_interval.micros()),
    ] {
        t.write_str(key)?;
        micros(time, t)?;
    }
    // The addresses stay until the successor has spoken.
    t.write_str(if active || i.leaving { ",\"vipset\":true" } else { ",\"vipset\":false" })?;
    for (key, excluded) in [(",\"vips\":[", false), ("],\"evips\":[", true)] {
        t.write_str(key)?;
        let mut comma = "\"";
        for reply in parts.parts() {
            if let Reply::Address(a) = reply
                && a.excluded == excluded
            {
                let comma = core::mem::replace(&mut comma, ",\"");
                uwrite!(t, "{}{}/{} dev {}\"", comma, Ip(a.ip), a.prefix, Escaped(a.dev))?;
            }
        }
    }
    t.write_str("],\"vroutes\":[")?;
    let mut comma = "\"";
    for reply in parts.parts() {
        if let Reply::Route(r) = reply {
            t.write_str(core::mem::replace(&mut comma, ",\""))?;
            let dev = (!r.dev.is_empty()).then_some(Escaped(r.dev));
            uwrite!(t, "{}\"", RouteWords { route: &r.route(), dev })?;
        }
    }
    for (key, interface) in [("],\"track_ifp\":[", true), ("],\"track_script\":[", false)] {
        t.write_str(key)?;
        let mut comma = "";
        for reply in parts.parts() {
            if let Reply::Track(k) = reply
                && k.interface == interface
            {
                t.write_str(core::mem::replace(&mut comma, ","))?;
                string(k.name, t)?;
            }
        }
    }
    t.write_str("]}")
}

/// `stats`; errors of the TTL are counted for the router as a whole.
fn counters(i: &InstanceStatus<'_>, router: &GlobalStats, t: &mut Text<'_>) -> Written {
    let s = &i.stats;
    let held = s.master_transitions.saturating_sub((i.state == Shown::Master) as u64);
    t.write_str(",\"stats\":{\"release_master\":")?;
    numbers(
        &[
            ("", held),
            (",\"become_master\":", s.master_transitions),
            (",\"advert_rcvd\":", s.advertisement_rcvd),
            (",\"advert_sent\":", s.advertisement_sent),
            (",\"packet_len_err\":", s.packet_length_errors),
            (",\"advert_interval_err\":", s.interval_errors),
            (",\"ip_ttl_err\":", router.ip_ttl_errors),
            (",\"invalid_type_rcvd\":", s.invalid_type_pkts_rcvd),
            (",\"addr_list_err\":", s.address_list_errors),
            (",\"invalid_authtype\":", s.auth_invalid_type),
            (",\"authtype_mismatch\":", s.auth_type_mismatch),
            (",\"auth_failure\":", s.auth_failure),
            (",\"pri_zero_rcvd\":", s.priority_zero_pkts_rcvd),
            (",\"pri_zero_sent\":", s.priority_zero_pkts_sent),
        ],
        t,
    )?;
    t.write_str("}}")
}

/// Numbers behind their keys.
fn numbers(all: &[(&str, u64)], t: &mut Text<'_>) -> Written {
    all.iter().try_for_each(|(key, n)| uwrite!(t, "{}{}", *key, *n))
}

/// An entry of the call `status`, in the words of keepalived's hotplug script.
fn event(comma: &str, name: &str, state: Shown, at: Micros, t: &mut Text<'_>) -> Written {
    uwrite!(t, "{}{{\"name\":", comma)?;
    string(name, t)?;
    let state = if state == Shown::Init { "UNKNOWN" } else { state.word() };
    uwrite!(t, ",\"event\":{},\"status\":\"NOTIFY_{}\"}}", at.0 / 1_000_000, state)
}
