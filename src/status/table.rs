//! A table for people.

use ufmt::{uWrite, uwrite};

use super::{Render, counters, wanted};
use crate::config::model::{Condition, RouteWords};
use crate::control::{
    AddressStatus, CheckStatus, GroupStatus, InstanceStatus, ReloadStatus, Reply, RouteStatus, RouterStatus,
    TrackStatus,
};
use crate::router::event::Shown;
use crate::text::{self, Duration, Ip, Seconds, Text, Written};
use crate::vrrp::stats::GlobalStats;
use crate::vrrp::timing::Micros;

/// The tables, by their headings.
const INSTANCES: &str = "STATE   PRIO  VRID  V  INTERFACE        SINCE      INSTANCE\n";
const GROUPS: &str = "STATE   SINCE      GROUP\n";
const CHECKS: &str = "STATE    KIND       LAST        FAILS  RUNS       EVERY  CHECK\n";

/// `status` for people.
#[derive(Debug)]
pub struct Table<'n> {
    only: Option<&'n str>,
    /// The heading under which the last line stands; empty before the first.
    under: &'static str,
    /// The instance or group that the frames belong to is not the one asked for.
    skip: bool,
    stats: GlobalStats,
}

impl<'n> Table<'n> {
    /// Everything, or what is called `only`.
    pub fn new(only: Option<&'n str>) -> Table<'n> {
        Table { only, under: "", skip: false, stats: GlobalStats::default() }
    }

    /// Begins a line under `heading`, unless `name` is not asked for; whether it did.
    fn entry(&mut self, heading: &'static str, name: &str, t: &mut Text<'_>) -> Written<bool> {
        self.skip = !wanted(self.only, name);
        if self.skip {
            return Ok(false);
        }
        if self.under != heading {
            t.write_str(if self.under.is_empty() { "" } else { "\n" })?;
            t.write_str(heading)?;
            self.under = heading;
        }
        Ok(true)
    }

    fn router(&mut self, r: &RouterStatus<'_>, t: &mut Text<'_>) -> Written {
        self.stats = r.stats;
        t.write_str("picovrrp ")?;
        plain(r.version, t)?;
        t.write_str(" on ")?;
        plain(r.router_id, t)?;
        t.write_str(", up ")?;
        people(r.uptime, t)?;
        t.write_str("\n")
    }

    fn instance(&mut self, i: &InstanceStatus<'_>, t: &mut Text<'_>) -> Written {
        if !self.entry(INSTANCES, i.name, t)? {
            return Ok(());
        }
        padded(i.state.word(), 8, t)?;
        number(i.effective_priority as u64, 6, t)?;
        number(i.vrid as u64, 6, t)?;
        number(i.version as u64, 3, t)?;
        padded(i.interface, 17, t)?;
        let since = text::cut_to::<24>(&mut |t| people(i.since, t));
        padded(&since, 11, t)?;
        plain(i.name, t)?;
        t.write_str("\n")?;
        let note = |t: &mut Text<'_>, words: &str| uwrite!(t, "        {}\n", words);
        if i.also_v2 {
            note(t, "speaks version 2 too")?;
        }
        if !i.vmac.is_empty() {
            t.write_str("        virtual MAC address on ")?;
            plain(i.vmac, t)?;
            t.write_str("\n")?;
        }
        if let Some(fault) = i.fault {
            note(t, fault.words())?;
        }
        if i.leaving {
            note(t, "leaving: priority 0 is sent, waiting for the successor")?;
        }
        if let (Shown::Backup, Some((ip, priority))) = (i.state, i.master) {
            uwrite!(t, "        master {} priority {}\n", Ip(ip), priority)?;
        }
        if i.state == Shown::Backup && i.active_adver_interval != i.advert {
            uwrite!(t, "        its advert interval {} ms\n", i.active_adver_interval.micros().as_millis())?;
        }
        let s = &i.stats;
        uwrite!(t, "        adverts sent {} received {}", s.advertisement_sent, s.advertisement_rcvd)?;
        for (name, value) in counters(s).into_iter().filter(|(name, v)| *v > 0 && is_error(name)) {
            uwrite!(t, ", {} {}", name, value)?;
        }
        t.write_str("\n")
    }

    fn address(&mut self, a: &AddressStatus<'_>, t: &mut Text<'_>) -> Written {
        uwrite!(t, "        {}/{} on ", Ip(a.ip), a.prefix)?;
        plain(a.dev, t)?;
        t.write_str(if a.excluded { " (not in the advert)\n" } else { "\n" })
    }

    fn route(&mut self, r: &RouteStatus<'_>, t: &mut Text<'_>) -> Written {
        let words = text::cut_to::<256>(&mut |t| uwrite!(t, "route {}", RouteWords::new(&r.route(), r.dev)));
        t.write_str("        ")?;
        plain(&words, t)?;
        t.write_str("\n")
    }

    fn track(&mut self, k: &TrackStatus<'_>, t: &mut Text<'_>) -> Written {
        t.write_str("        tracks ")?;
        plain(k.name, t)?;
        let reverse = if k.reverse { ", reverse" } else { "" };
        uwrite!(t, ": {} (weight {}{})\n", words(k.condition).as_str(), k.weight, reverse)
    }

    fn group(&mut self, g: &GroupStatus<'_>, t: &mut Text<'_>) -> Written {
        if !self.entry(GROUPS, g.name, t)? {
            return Ok(());
        }
        padded(g.state.word(), 8, t)?;
        let since = text::cut_to::<24>(&mut |t| people(g.since, t));
        padded(&since, 11, t)?;
        plain(g.name, t)?;
        t.write_str("\n")
    }

    fn member(&mut self, name: &str, t: &mut Text<'_>) -> Written {
        t.write_str("        member ")?;
        plain(name, t)?;
        t.write_str("\n")
    }

    fn check(&mut self, c: &CheckStatus<'_>, t: &mut Text<'_>) -> Written {
        if !self.entry(CHECKS, c.name, t)? {
            return Ok(());
        }
        padded(&words(c.condition), 9, t)?;
        padded(c.kind, 11, t)?;
        let last = text::cut_to::<32>(&mut |t| match c.last {
            Some(last) => uwrite!(t, "{}", Seconds(last)),
            None => t.write_str("-"),
        });
        padded(&last, 12, t)?;
        number(c.fails as u64, 7, t)?;
        number(c.count as u64, 11, t)?;
        let every = text::cut_to::<32>(&mut |t| uwrite!(t, "{}", Duration(c.every)));
        padded(&every, 7, t)?;
        plain(c.name, t)?;
        t.write_str("\n")?;
        if c.error.is_empty() {
            return Ok(());
        }
        t.write_str("        ")?;
        plain(c.error, t)?;
        t.write_str("\n")
    }

    fn reload(&mut self, r: &ReloadStatus<'_>, t: &mut Text<'_>) -> Written {
        t.write_str(if r.error.is_empty() { "reloaded " } else { "reload refused " })?;
        people(r.ago, t)?;
        t.write_str(" ago")?;
        if !r.error.is_empty() {
            t.write_str(": ")?;
            plain(r.error, t)?;
        }
        t.write_str("\n")
    }

    fn end(&mut self, t: &mut Text<'_>) -> Written {
        let s = self.stats;
        let all = [
            ("checksum", s.checksum_errors),
            ("version", s.version_errors),
            ("vrid", s.vrid_errors),
            ("ttl", s.ip_ttl_errors),
            ("length", s.packet_length_errors),
        ];
        if all.iter().all(|(_, n)| *n == 0) {
            return Ok(());
        }
        t.write_str("packets refused:")?;
        for (name, n) in all.iter().filter(|(_, n)| *n > 0) {
            uwrite!(t, " {} {}", name, n)?;
        }
        t.write_str("\n")
    }
}

impl Render for Table<'_> {
    fn frame(&mut self, reply: &Reply<'_>, t: &mut Text<'_>) -> Written {
        match reply {
            Reply::Router(r) => self.router(r, t),
            Reply::Instance(i) => self.instance(i, t),
            Reply::Group(g) => self.group(g, t),
            Reply::Check(c) => self.check(c, t),
            Reply::Address(_) | Reply::Route(_) | Reply::Track(_) | Reply::Member(_) | Reply::Yielded(_)
                if self.skip =>
            {
                Ok(())
            }
            Reply::Yielded(None) => t.write_str("        yields to other routers until it is resumed\n"),
            Reply::Yielded(Some(left)) => {
                t.write_str("        yields to other routers for ")?;
                people(*left, t)?;
                t.write_str(" more\n")
            }
            Reply::Reloaded(r) => self.reload(r, t),
            Reply::Address(a) => self.address(a, t),
            Reply::Route(r) => self.route(r, t),
            Reply::Track(k) => self.track(k, t),
            Reply::Member(name) => self.member(name, t),
            Reply::End => self.end(t),
            Reply::Refused(_) | Reply::Unknown | Reply::Happened(_) => Ok(()),
        }
    }

    fn any(&self) -> bool {
        !self.under.is_empty()
    }
}

/// Counters that an owner should know of when they are not zero.
fn is_error(name: &str) -> bool {
    !matches!(
        name,
        "master_transitions"
            | "advertisement_rcvd"
            | "advertisement_sent"
            | "priority_zero_pkts_rcvd"
            | "priority_zero_pkts_sent"
            | "checksum_plain_rcvd"
            | "checksum_pseudo_rcvd"
            | "assertions_sent"
    )
}

/// A condition in a word, or a file's number.
fn words(c: Condition) -> heapless::String<8> {
    text::cut_to(&mut |t| match c {
        Condition::Unknown => t.write_str("unknown"),
        Condition::Up => t.write_str("up"),
        Condition::Down => t.write_str("down"),
        Condition::Value(n) => uwrite!(t, "{}", n),
        Condition::Broken => t.write_str("broken"),
    })
}

/// `12s`, `3m05s`, `2h07m`, `9d04h`.
fn people(d: Micros, t: &mut Text<'_>) -> Written {
    let s = d.0 / 1_000_000;
    let two = |n: u64, unit: &str, t: &mut Text<'_>| uwrite!(t, "{}{}{}", if n < 10 { "0" } else { "" }, n, unit);
    match s {
        0..60 => uwrite!(t, "{}s", s),
        60..3600 => uwrite!(t, "{}m", s / 60).and_then(|()| two(s % 60, "s", t)),
        3600..86_400 => uwrite!(t, "{}h", s / 3600).and_then(|()| two(s / 60 % 60, "m", t)),
        _ => uwrite!(t, "{}d", s / 86_400).and_then(|()| two(s / 3600 % 24, "h", t)),
    }
}

/// A text of somebody else's: what a terminal would obey is replaced.
pub(super) fn plain(s: &str, t: &mut Text<'_>) -> Written {
    s.chars().try_for_each(|c| t.write_char(if c.is_control() { '?' } else { c }))
}

fn padded(s: &str, width: usize, t: &mut Text<'_>) -> Written {
    plain(s, t)?;
    for _ in s.chars().count()..width {
        t.write_str(" ")?;
    }
    Ok(())
}

fn number(n: u64, width: usize, t: &mut Text<'_>) -> Written {
    uwrite!(t, "{}", n)?;
    let digits = n.checked_ilog10().unwrap_or(0) as usize + 1;
    padded("", width.saturating_sub(digits), t)
}
