//! What `status` prints: a table for people, JSON for programs. Both are written as the frames come,
//! so that the command's memory does not grow with the number of instances.
//!
//! The JSON's shape is stable: keys may be added, none is renamed (docs/status.md).

use core::net::IpAddr;

use ufmt::{uWrite, uwrite};

use crate::config::model::Family;
use crate::control::{AddressStatus, InstanceStatus, Reply, RouterStatus, TrackStatus};
use crate::router::event::Shown;
use crate::text::{self, Ip, Text, Written};
use crate::vrrp::stats::{GlobalStats, InstanceStats};
use crate::vrrp::timing::Micros;

/// Turns the frames of a status into text.
pub trait Render {
    /// One frame; [`Reply::End`] closes the text.
    fn frame(&mut self, reply: &Reply<'_>, t: &mut Text<'_>) -> Written;
    /// Whether an instance was shown.
    fn any(&self) -> bool;
}

/// `status --json`.
#[derive(Debug)]
pub struct Json<'n> {
    only: Option<&'n str>,
    stats: GlobalStats,
    instances: u32,
    addresses: u32,
    tracks: u32,
    /// The rest of the open instance, which comes behind its addresses.
    open: Option<Tail>,
    /// The instance whose addresses come is not the one asked for.
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
    source: Option<IpAddr>,
    learned_ms: u64,
    skew_time: Micros,
    down: Micros,
    stats: InstanceStats,
}

impl<'n> Json<'n> {
    /// All instances, or the one called `only`.
    pub fn new(only: Option<&'n str>) -> Json<'n> {
        Json { only, stats: GlobalStats::default(), instances: 0, addresses: 0, tracks: 0, open: None, skip: false }
    }

    fn close(&mut self, t: &mut Text<'_>) -> Written {
        let Some(tail) = self.open.take() else { return Ok(()) };
        t.write_str(if self.tracks == 0 { "],\"tracks\":[],\"master\":" } else { "],\"master\":" })?;
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
        uwrite!(t, ",\"leaving\":{},\"source\":", if tail.leaving { "true" } else { "false" })?;
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
        self.close(t)?;
        self.skip = self.only.is_some_and(|name| name != i.name);
        if self.skip {
            return Ok(());
        }
        t.write_str(if self.instances == 0 { "{\"name\":" } else { ",{\"name\":" })?;
        self.instances += 1;
        (self.addresses, self.tracks) = (0, 0);
        string(i.name, t)?;
        uwrite!(t, ",\"state\":\"{}\",\"interface\":", i.state.word())?;
        string(i.interface, t)?;
        let family = if i.family == Family::V4 { "ipv4" } else { "ipv6" };
        uwrite!(t, ",\"vrid\":{},\"family\":\"{}\",\"version\":{}", i.vrid, family, i.version)?;
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
        uwrite!(t, "{}\"{}/{}\"", if self.addresses == 0 { "" } else { "," }, Ip(a.ip), a.prefix)?;
        self.addresses += 1;
        Ok(())
    }

    /// Tracks come behind the addresses.
    fn track(&mut self, k: &TrackStatus<'_>, t: &mut Text<'_>) -> Written {
        if self.skip {
            return Ok(());
        }
        t.write_str(if self.tracks == 0 { "],\"tracks\":[{\"name\":" } else { ",{\"name\":" })?;
        self.tracks += 1;
        string(k.name, t)?;
        let reverse = if k.reverse { ",\"reverse\":true" } else { "" };
        uwrite!(t, ",\"state\":\"{}\",\"weight\":{}{}}}", up_or_down(k.up), k.weight, reverse)
    }

    fn end(&mut self, t: &mut Text<'_>) -> Written {
        self.close(t)?;
        let s = self.stats;
        uwrite!(t, "],\"groups\":[],\"checks\":[],\"errors\":{{\"checksum_errors\":{}", s.checksum_errors)?;
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
            Reply::Track(k) => self.track(k, t),
            Reply::End => self.end(t),
            Reply::Refused(_) => Ok(()),
        }
    }

    fn any(&self) -> bool {
        self.instances > 0
    }
}

/// `status` for people.
#[derive(Debug)]
pub struct Table<'n> {
    only: Option<&'n str>,
    instances: u32,
    skip: bool,
    stats: GlobalStats,
}

impl<'n> Table<'n> {
    /// All instances, or the one called `only`.
    pub fn new(only: Option<&'n str>) -> Table<'n> {
        Table { only, instances: 0, skip: false, stats: GlobalStats::default() }
    }

    fn instance(&mut self, i: &InstanceStatus<'_>, t: &mut Text<'_>) -> Written {
        self.skip = self.only.is_some_and(|name| name != i.name);
        if self.skip {
            return Ok(());
        }
        if self.instances == 0 {
            t.write_str("STATE   PRIO  VRID  V  INTERFACE        SINCE      INSTANCE\n")?;
        }
        self.instances += 1;
        padded(i.state.word(), 8, t)?;
        number(i.effective_priority as u64, 6, t)?;
        number(i.vrid as u64, 6, t)?;
        number(i.version as u64, 3, t)?;
        padded(i.interface, 17, t)?;
        let since = text::cut_to::<24>(&mut |t| people(i.since, t));
        padded(&since, 11, t)?;
        uwrite!(t, "{}\n", i.name)?;
        let note = |t: &mut Text<'_>, words: &str| uwrite!(t, "        {}\n", words);
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
            Reply::Router(r) => {
                self.stats = r.stats;
                uwrite!(t, "picovrrp {} on {}, up ", r.version, r.router_id)?;
                people(r.uptime, t)?;
                t.write_str("\n")
            }
            Reply::Instance(i) => self.instance(i, t),
            Reply::Address(_) | Reply::Track(_) if self.skip => Ok(()),
            Reply::Track(k) => {
                let reverse = if k.reverse { ", reverse" } else { "" };
                uwrite!(t, "        tracks {}: {} (weight {}{})\n", k.name, up_or_down(k.up), k.weight, reverse)
            }
            Reply::Address(a) => {
                let excluded = if a.excluded { " (not in the advert)" } else { "" };
                uwrite!(t, "        {}/{} on {}{}\n", Ip(a.ip), a.prefix, a.dev, excluded)
            }
            Reply::End => self.end(t),
            Reply::Refused(_) => Ok(()),
        }
    }

    fn any(&self) -> bool {
        self.instances > 0
    }
}

/// The counters under RFC 8347's names with underscores, then ours.
fn counters(s: &InstanceStats) -> [(&'static str, u64); 18] {
    [
        ("master_transitions", s.master_transitions),
        ("advertisement_rcvd", s.advertisement_rcvd),
        ("advertisement_sent", s.advertisement_sent),
        ("interval_errors", s.interval_errors),
        ("priority_zero_pkts_rcvd", s.priority_zero_pkts_rcvd),
        ("priority_zero_pkts_sent", s.priority_zero_pkts_sent),
        ("invalid_type_pkts_rcvd", s.invalid_type_pkts_rcvd),
        ("address_list_errors", s.address_list_errors),
        ("packet_length_errors", s.packet_length_errors),
        ("auth_invalid_type", s.auth_invalid_type),
        ("auth_type_mismatch", s.auth_type_mismatch),
        ("auth_failure", s.auth_failure),
        ("reflected", s.reflected),
        ("unknown_peer", s.unknown_peer),
        ("trailing_bytes", s.trailing_bytes),
        ("checksum_plain_rcvd", s.checksum_plain_rcvd),
        ("checksum_pseudo_rcvd", s.checksum_pseudo_rcvd),
        ("assertions_sent", s.assertions_sent),
    ]
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

/// Seconds with one decimal, as JSON has numbers.
fn seconds(d: Micros, t: &mut Text<'_>) -> Written {
    uwrite!(t, "{}.{}", d.0 / 1_000_000, d.0 % 1_000_000 / 100_000)
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

fn padded(s: &str, width: usize, t: &mut Text<'_>) -> Written {
    t.write_str(s)?;
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

fn up_or_down(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

/// A JSON string (RFC 8259 §7).
fn string(s: &str, t: &mut Text<'_>) -> Written {
    t.write_str("\"")?;
    for c in s.chars() {
        match c {
            '"' => t.write_str("\\\"")?,
            '\\' => t.write_str("\\\\")?,
            '\n' => t.write_str("\\n")?,
            '\t' => t.write_str("\\t")?,
            c if (c as u32) < 0x20 => {
                let digit = |n: u32| char::from_digit(n, 16).unwrap_or('0');
                t.write_str("\\u00")?;
                t.write_char(digit(c as u32 >> 4))?;
                t.write_char(digit(c as u32 & 0xf))?;
            }
            c => t.write_char(c)?,
        }
    }
    t.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::event::Fault;
    use crate::vrrp::stats::{LastEvent, Reason};
    use crate::vrrp::timing::Centis;

    fn instance(name: &str, state: Shown) -> InstanceStatus<'_> {
        InstanceStatus {
            name,
            interface: "br-lan",
            state,
            fault: (state == Shown::Fault).then_some(Fault::InterfaceDown),
            leaving: false,
            vrid: 51,
            family: Family::V4,
            version: 3,
            priority: 150,
            effective_priority: 150,
            advert: Centis::SECOND,
            active_adver_interval: Centis::SECOND,
            skew_time: Micros(414_063),
            active_down_interval: Micros(3_414_063),
            source: None,
            master: (state == Shown::Backup).then_some((IpAddr::from([192, 168, 1, 2]), 200)),
            since: Micros(4_260_000),
            transitions: 1,
            last_event: LastEvent::ActiveTimeout,
            reason: Reason::NoResponse,
            stats: InstanceStats { advertisement_sent: 4, auth_failure: 2, ..InstanceStats::default() },
        }
    }

    fn render(r: &mut dyn Render) -> String {
        let mut out = Vec::new();
        let router = RouterStatus {
            version: "0.1.0",
            router_id: "a \"b\"\\\u{1}",
            uptime: Micros::from_secs(3700),
            pid: 7,
            stats: GlobalStats { checksum_errors: 3, ..GlobalStats::default() },
        };
        let (name6, name4) = ("lan6", "lan");
        let address = |last| AddressStatus {
            ip: IpAddr::from([192, 168, 1, last]),
            prefix: 24,
            dev: "br-lan",
            excluded: last == 9,
        };
        crate::text::write_to(&mut out, &mut |t| {
            r.frame(&Reply::Router(router), t)?;
            r.frame(&Reply::Instance(instance(name4, Shown::Backup)), t)?;
            r.frame(&Reply::Address(address(1)), t)?;
            r.frame(&Reply::Address(address(9)), t)?;
            r.frame(&Reply::Track(TrackStatus { name: "wan", up: true, weight: -60, reverse: false }), t)?;
            r.frame(&Reply::Track(TrackStatus { name: "lte", up: false, weight: 0, reverse: true }), t)?;
            r.frame(&Reply::Instance(instance(name6, Shown::Fault)), t)?;
            r.frame(&Reply::End, t)
        })
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The keys of the documented shape, read by a reader that is not ours.
    #[test]
    fn json() {
        let v: serde_json::Value = serde_json::from_str(&render(&mut Json::new(None))).unwrap();
        assert_eq!(v["router_id"], "a \"b\"\\\u{1}");
        assert_eq!(v["uptime_s"], 3700.0);
        assert_eq!(v["errors"]["checksum_errors"], 3);
        let i = &v["instances"][0];
        assert_eq!(i["state"], "BACKUP");
        assert_eq!(i["addresses"], serde_json::json!(["192.168.1.1/24", "192.168.1.9/24"]));
        assert_eq!(i["master"], serde_json::json!({"address": "192.168.1.2", "priority": 200}));
        assert_eq!(i["since_s"], 4.2);
        assert_eq!(i["last_event"], "master-timeout");
        assert_eq!(i["stats"]["advertisement_sent"], 4);
        assert_eq!(i["advert_interval_ms"], 1000);
        assert_eq!(i["tracks"][0], serde_json::json!({"name": "wan", "state": "up", "weight": -60}));
        assert_eq!(i["tracks"][1]["reverse"], true);
        let i = &v["instances"][1];
        assert_eq!((&i["state"], &i["fault"]), (&"FAULT".into(), &"interface down".into()));
        assert!(i["master"].is_null() && i["addresses"].as_array().unwrap().is_empty());
        assert!(v["groups"].is_array() && v["checks"].is_array() && i["tracks"].is_array());
    }

    /// One instance by name, and none by another.
    #[test]
    fn only_one() {
        let mut r = Json::new(Some("lan6"));
        let v: serde_json::Value = serde_json::from_str(&render(&mut r)).unwrap();
        assert_eq!(v["instances"].as_array().unwrap().len(), 1);
        assert!(r.any());
        let mut r = Json::new(Some("wan"));
        let v: serde_json::Value = serde_json::from_str(&render(&mut r)).unwrap();
        assert!(v["instances"].as_array().unwrap().is_empty() && !r.any());
    }

    #[test]
    fn table() {
        let text = render(&mut Table::new(None));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with("up 1h01m"), "{text}");
        assert_eq!(lines[1], "STATE   PRIO  VRID  V  INTERFACE        SINCE      INSTANCE");
        assert_eq!(lines[2], "BACKUP  150   51    3  br-lan           4s         lan");
        assert_eq!(lines[3], "        master 192.168.1.2 priority 200");
        assert_eq!(lines[4], "        adverts sent 4 received 0, auth_failure 2");
        assert_eq!(lines[5], "        192.168.1.1/24 on br-lan");
        assert_eq!(lines[6], "        192.168.1.9/24 on br-lan (not in the advert)");
        assert_eq!(lines[7], "        tracks wan: up (weight -60)");
        assert_eq!(lines[8], "        tracks lte: down (weight 0, reverse)");
        assert_eq!(lines[10], "        interface down");
        assert_eq!(*lines.last().unwrap(), "packets refused: checksum 3");
    }
}
