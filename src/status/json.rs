//! JSON, one object on one line.

use core::net::IpAddr;

use ufmt::{Formatter, uDisplay, uWrite, uwrite};

use super::{Render, counters, wanted};
use crate::config::model::{Condition, Family, RouteWords};
use crate::control::{
    AddressStatus, CheckStatus, GroupStatus, InstanceStatus, ReloadStatus, Reply, RouteStatus, RouterStatus,
    TrackStatus,
};
use crate::text::{Ip, Text, Written};
use crate::vrrp::stats::{GlobalStats, InstanceStats};
use crate::vrrp::timing::Micros;

/// The lists of the object, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum List {
    Instances,
    Groups,
    Checks,
}

/// The lists of an instance, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Addresses,
    Routes,
    Tracks,
}

/// `status --json`.
#[derive(Debug)]
pub struct Json<'n> {
    only: Option<&'n str>,
    stats: GlobalStats,
    /// The list that is open.
    list: List,
    /// Whether it has an entry.
    listed: bool,
    any: bool,
    /// The part of the open instance that is open.
    part: Part,
    /// Whether it has an entry.
    begun: bool,
    members: u32,
    /// The rest of the open instance, which comes behind its addresses.
    open: Option<Tail>,
    /// The open group, and since when it has its state: that comes behind its members.
    group: Option<Micros>,
    /// The last reload has been shown.
    reloaded: bool,
    /// The instance whose addresses come, or the group whose members, is not the one asked for.
    skip: bool,
}

#[derive(Clone, Copy, Debug)]
struct Tail {
    master: Option<(IpAddr, u8)>,
    since: Micros,
    transitions: u32,
    last_event: &'static str,
    reason: &'static str,
    fault: Option<&'static str>,
    leaving: bool,
    /// For how long yet it yields, unless until it is resumed.
    yielded: Option<Option<Micros>>,
    source: Option<IpAddr>,
    learned_ms: u64,
    skew_time: Micros,
    down: Micros,
    stats: InstanceStats,
}

impl<'n> Json<'n> {
    /// Everything, or what is called `only`.
    pub fn new(only: Option<&'n str>) -> Json<'n> {
        Json {
            only,
            stats: GlobalStats::default(),
            list: List::Instances,
            listed: false,
            any: false,
            part: Part::Addresses,
            begun: false,
            members: 0,
            open: None,
            group: None,
            reloaded: false,
            skip: false,
        }
    }

    /// Begins an entry of `list`, unless it is not asked for; whether it did.
    fn entry(&mut self, list: List, name: &str, t: &mut Text<'_>) -> Written<bool> {
        self.reach(list, t)?;
        self.skip = !wanted(self.only, name);
        if self.skip {
            return Ok(false);
        }
        t.write_str(if self.listed { ",{\"name\":" } else { "{\"name\":" })?;
        (self.listed, self.any) = (true, true);
        string(name, t)?;
        Ok(true)
    }

    /// Closes what is open, and the lists before `list`.
    fn reach(&mut self, list: List, t: &mut Text<'_>) -> Written {
        self.close_instance(t)?;
        self.close_group(t)?;
        while self.list < list {
            let (next, name) = match self.list {
                List::Instances => (List::Groups, "],\"groups\":["),
                _ => (List::Checks, "],\"checks\":["),
            };
            t.write_str(name)?;
            (self.list, self.listed) = (next, false);
        }
        Ok(())
    }

    fn close_group(&mut self, t: &mut Text<'_>) -> Written {
        let Some(since) = self.group.take() else { return Ok(()) };
        t.write_str("],\"since_s\":")?;
        seconds(since, t)?;
        t.write_str("}")
    }

    fn close_instance(&mut self, t: &mut Text<'_>) -> Written {
        let Some(tail) = self.open.take() else { return Ok(()) };
        self.part(Part::Tracks, t)?;
        t.write_str("],\"master\":")?;
        match tail.master {
            Some((ip, priority)) => uwrite!(t, "{{\"address\":\"{}\",\"priority\":{}}}", Ip(ip), priority)?,
            None => t.write_str("null")?,
        }
        t.write_str(",\"since_s\":")?;
        seconds(tail.since, t)?;
        uwrite!(t, ",\"transitions\":{},\"last_event\":\"{}\"", tail.transitions, tail.last_event)?;
        uwrite!(t, ",\"new_master_reason\":\"{}\",\"fault\":", tail.reason)?;
        match tail.fault {
            Some(words) => string(words, t)?,
            None => t.write_str("null")?,
        }
        uwrite!(t, ",\"leaving\":{},\"yielded\":{},\"resume_s\":", tail.leaving, tail.yielded.is_some())?;
        match tail.yielded.flatten() {
            Some(left) => seconds(left, t)?,
            None => t.write_str("null")?,
        }
        t.write_str(",\"source\":")?;
        match tail.source {
            Some(ip) => uwrite!(t, "\"{}\"", Ip(ip))?,
            None => t.write_str("null")?,
        }
        // RFC 8347: skew-time in microseconds, master-down-interval in centiseconds.
        uwrite!(t, ",\"learned_interval_ms\":{},\"skew_time_us\":{}", tail.learned_ms, tail.skew_time.0)?;
        uwrite!(t, ",\"master_down_interval_cs\":{},\"stats\":{{", tail.down.0 / 10_000)?;
        for (n, (name, value)) in counters(&tail.stats).into_iter().enumerate() {
            uwrite!(t, "{}\"{}\":{}", if n == 0 { "" } else { "," }, name, value)?;
        }
        t.write_str("}}")
    }

    fn router(&mut self, r: &RouterStatus<'_>, t: &mut Text<'_>) -> Written {
        self.stats = r.stats;
        t.write_str("{\"version\":")?;
        string(r.version, t)?;
        t.write_str(",\"router_id\":")?;
        string(r.router_id, t)?;
        uwrite!(t, ",\"pid\":{},\"uptime_s\":", r.pid)?;
        seconds(r.uptime, t)?;
        t.write_str(",\"instances\":[")
    }

    fn instance(&mut self, i: &InstanceStatus<'_>, t: &mut Text<'_>) -> Written {
        if !self.entry(List::Instances, i.name, t)? {
            return Ok(());
        }
        (self.part, self.begun) = (Part::Addresses, false);
        uwrite!(t, ",\"state\":\"{}\",\"interface\":", i.state.word())?;
        string(i.interface, t)?;
        let family = if i.family == Family::V4 { "ipv4" } else { "ipv6" };
        uwrite!(t, ",\"vrid\":{},\"family\":\"{}\",\"version\":{}", i.vrid, family, i.version)?;
        if !i.vmac.is_empty() {
            t.write_str(",\"vmac\":")?;
            string(i.vmac, t)?;
        }
        if i.also_v2 {
            t.write_str(",\"also_v2\":true")?;
        }
        uwrite!(t, ",\"priority\":{},\"effective_priority\":{}", i.priority, i.effective_priority)?;
        uwrite!(t, ",\"advert_interval_ms\":{},\"addresses\":[", i.advert.micros().as_millis())?;
        self.open = Some(Tail {
            master: i.master,
            since: i.since,
            transitions: i.transitions,
            last_event: i.last_event.name(),
            reason: i.reason.name(),
            fault: i.fault.map(|f| f.words()),
            leaving: i.leaving,
            yielded: None,
            source: i.source,
            learned_ms: i.active_adver_interval.micros().as_millis(),
            skew_time: i.skew_time,
            down: i.active_down_interval,
            stats: i.stats,
        });
        Ok(())
    }

    fn address(&mut self, a: &AddressStatus<'_>, t: &mut Text<'_>) -> Written {
        if self.skip {
            return Ok(());
        }
        self.next(Part::Addresses, t)?;
        uwrite!(t, "\"{}/{}\"", Ip(a.ip), a.prefix)
    }

    /// Routes come behind the addresses.
    fn route(&mut self, r: &RouteStatus<'_>, t: &mut Text<'_>) -> Written {
        if self.skip {
            return Ok(());
        }
        self.next(Part::Routes, t)?;
        // Of all its words only the interface's name is not ours.
        let route = r.route();
        t.write_str("\"")?;
        let dev = (!r.dev.is_empty()).then_some(Escaped(r.dev));
        uwrite!(t, "{}\"", RouteWords { route: &route, dev })
    }

    /// Goes on to `part`, and begins an entry of it.
    fn next(&mut self, part: Part, t: &mut Text<'_>) -> Written {
        self.part(part, t)?;
        if core::mem::replace(&mut self.begun, true) { t.write_str(",") } else { Ok(()) }
    }

    /// Closes the lists of the instance before `part`.
    fn part(&mut self, part: Part, t: &mut Text<'_>) -> Written {
        while self.part < part {
            let (next, name) = match self.part {
                Part::Addresses => (Part::Routes, "],\"routes\":["),
                _ => (Part::Tracks, "],\"tracks\":["),
            };
            t.write_str(name)?;
            (self.part, self.begun) = (next, false);
        }
        Ok(())
    }

    /// Tracks come behind the routes.
    fn track(&mut self, k: &TrackStatus<'_>, t: &mut Text<'_>) -> Written {
        if self.skip {
            return Ok(());
        }
        self.next(Part::Tracks, t)?;
        t.write_str("{\"name\":")?;
        string(k.name, t)?;
        condition(k.condition, t)?;
        let reverse = if k.reverse { ",\"reverse\":true" } else { "" };
        uwrite!(t, ",\"weight\":{}{}}}", k.weight, reverse)
    }

    fn group(&mut self, g: &GroupStatus<'_>, t: &mut Text<'_>) -> Written {
        if !self.entry(List::Groups, g.name, t)? {
            return Ok(());
        }
        (self.group, self.members) = (Some(g.since), 0);
        uwrite!(t, ",\"state\":\"{}\",\"members\":[", g.state.word())
    }

    fn member(&mut self, name: &str, t: &mut Text<'_>) -> Written {
        if self.skip {
            return Ok(());
        }
        if self.members > 0 {
            t.write_str(",")?;
        }
        self.members += 1;
        string(name, t)
    }

    fn check(&mut self, c: &CheckStatus<'_>, t: &mut Text<'_>) -> Written {
        if !self.entry(List::Checks, c.name, t)? {
            return Ok(());
        }
        t.write_str(",\"kind\":")?;
        string(c.kind, t)?;
        condition(c.condition, t)?;
        uwrite!(t, ",\"fails\":{},\"last_ms\":", c.fails)?;
        match c.last {
            Some(last) => millis(last, t)?,
            None => t.write_str("null")?,
        }
        t.write_str(",\"last_error\":")?;
        text_or_null(c.error, t)?;
        uwrite!(t, ",\"runs\":{},\"every_ms\":{}}}", c.count, c.every.as_millis())
    }

    fn reload(&mut self, r: &ReloadStatus<'_>, t: &mut Text<'_>) -> Written {
        self.reach(List::Checks, t)?;
        self.reloaded = true;
        uwrite!(t, "],\"last_reload\":{{\"ok\":{},\"ago_s\":", r.error.is_empty())?;
        seconds(r.ago, t)?;
        t.write_str(",\"took_ms\":")?;
        millis(r.took, t)?;
        t.write_str(",\"error\":")?;
        text_or_null(r.error, t)?;
        t.write_str("}")
    }

    fn end(&mut self, t: &mut Text<'_>) -> Written {
        if !self.reloaded {
            self.reach(List::Checks, t)?;
            t.write_str("],\"last_reload\":null")?;
        }
        let s = self.stats;
        uwrite!(t, ",\"errors\":{{\"checksum_errors\":{}", s.checksum_errors)?;
        uwrite!(t, ",\"version_errors\":{},\"vrid_errors\":{}", s.version_errors, s.vrid_errors)?;
        uwrite!(t, ",\"ip_ttl_errors\":{},\"packet_length_errors\":{}}}}}\n", s.ip_ttl_errors, s.packet_length_errors)
    }
}

impl Render for Json<'_> {
    fn frame(&mut self, reply: &Reply<'_>, t: &mut Text<'_>) -> Written {
        match reply {
            Reply::Router(r) => self.router(r, t),
            Reply::Instance(i) => self.instance(i, t),
            Reply::Address(a) => self.address(a, t),
            Reply::Route(r) => self.route(r, t),
            Reply::Track(k) => self.track(k, t),
            Reply::Group(g) => self.group(g, t),
            Reply::Member(name) => self.member(name, t),
            Reply::Check(c) => self.check(c, t),
            Reply::Yielded(left) => {
                if let Some(tail) = self.open.as_mut() {
                    tail.yielded = Some(*left);
                }
                Ok(())
            }
            Reply::Reloaded(r) => self.reload(r, t),
            Reply::End => self.end(t),
            Reply::Refused(_) | Reply::Unknown | Reply::Happened(_) => Ok(()),
        }
    }

    fn any(&self) -> bool {
        self.any
    }
}

/// The condition of a check, or of a tracked interface: a word, and a file's number beside it.
fn condition(c: Condition, t: &mut Text<'_>) -> Written {
    match c {
        Condition::Unknown => t.write_str(",\"state\":\"unknown\""),
        Condition::Up => t.write_str(",\"state\":\"up\""),
        Condition::Down => t.write_str(",\"state\":\"down\""),
        Condition::Value(n) => uwrite!(t, ",\"state\":\"value\",\"value\":{}", n),
        Condition::Broken => t.write_str(",\"state\":\"broken\""),
    }
}

/// Seconds with one decimal, as JSON has numbers.
fn seconds(d: Micros, t: &mut Text<'_>) -> Written {
    uwrite!(t, "{}.{}", d.0 / 1_000_000, d.0 % 1_000_000 / 100_000)
}

/// Milliseconds with their microseconds, as JSON has numbers.
fn millis(d: Micros, t: &mut Text<'_>) -> Written {
    let us = d.0 % 1_000;
    uwrite!(t, "{}.{}{}{}", d.0 / 1_000, us / 100, us / 10 % 10, us % 10)
}

fn text_or_null(s: &str, t: &mut Text<'_>) -> Written {
    if s.is_empty() { t.write_str("null") } else { string(s, t) }
}

/// Seconds with their microseconds.
pub(super) fn micros(d: Micros, t: &mut Text<'_>) -> Written {
    uwrite!(t, "{}.", d.0 / 1_000_000)?;
    let mut unit = 100_000;
    while unit > 0 {
        uwrite!(t, "{}", d.0 / unit % 10)?;
        unit /= 10;
    }
    Ok(())
}

/// A JSON string (RFC 8259 §7).
pub(super) fn string(s: &str, t: &mut Text<'_>) -> Written {
    uwrite!(t, "\"{}\"", Escaped(s))
}

/// What stands in a JSON string.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl uDisplay for Escaped<'_> {
    fn fmt<W: uWrite + ?Sized>(&self, t: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        for c in self.0.chars() {
            match c {
                '"' => t.write_str("\\\"")?,
                '\\' => t.write_str("\\\\")?,
                '\n' => t.write_str("\\n")?,
                '\t' => t.write_str("\\t")?,
                // Those of the C1 set too, should a terminal get to see them.
                c if c.is_control() => {
                    let digit = |n: u32| char::from_digit(n, 16).unwrap_or('0');
                    t.write_str("\\u00")?;
                    t.write_char(digit(c as u32 >> 4))?;
                    t.write_char(digit(c as u32 & 0xf))?;
                }
                c => t.write_char(c)?,
            }
        }
        Ok(())
    }
}
