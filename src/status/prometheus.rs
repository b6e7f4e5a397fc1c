//! Prometheus's text format (version 0.0.4): a metric's lines stand together, so the frames are walked
//! once for each.

use ufmt::{Formatter, uDisplay, uWrite, uwrite};

use super::frames::Frames;
use super::json::micros;
use super::{counters, wanted};
use crate::config::model::{Condition, Family};
use crate::control::{CheckStatus, InstanceStatus, Reply};
use crate::router::event::Shown;
use crate::text::{self, Text, Written};
use crate::vrrp::stats::InstanceStats;
use crate::vrrp::timing::Micros;

/// A number of an instance.
type OfInstance = fn(&InstanceStatus<'_>) -> Value;
/// A number of a check, if it has one.
type OfCheck = fn(&CheckStatus<'_>) -> Option<Value>;

/// What stands behind a name.
enum Value {
    Whole(i32),
    Count(u64),
    Time(Micros),
}

/// What the names of counters end with.
const TOTAL: &str = "_total";

const INSTANCE: [(&str, OfInstance); 5] = [
    ("priority", |i| Value::Whole(i.priority.into())),
    ("effective_priority", |i| Value::Whole(i.effective_priority.into())),
    ("master_priority", |i| {
        let own = if i.state == Shown::Master { i.effective_priority } else { 0 };
        Value::Whole(i.master.map_or(own, |(_, priority)| priority).into())
    }),
    ("state_seconds", |i| Value::Time(i.since)),
    ("transitions_total", |i| Value::Count(i.transitions.into())),
];

const CHECK: [(&str, OfCheck); 5] = [
    ("check_up", |c| match c.condition {
        Condition::Up | Condition::Value(_) => Some(Value::Whole(1)),
        Condition::Down | Condition::Broken => Some(Value::Whole(0)),
        Condition::Unknown => None,
    }),
    ("check_value", |c| match c.condition {
        Condition::Value(n) => Some(Value::Whole(n.into())),
        _ => None,
    }),
    ("check_fails", |c| Some(Value::Count(c.fails.into()))),
    ("check_last_seconds", |c| c.last.map(Value::Time)),
    ("check_runs_total", |c| Some(Value::Count(c.count.into()))),
];

/// Writes `frames`, or what is called `only`.
pub fn prometheus(frames: &Frames, only: Option<&str>, t: &mut Text<'_>) -> Written {
    for reply in frames.walk() {
        let Reply::Router(r) = reply else { continue };
        kind("info", "", t)?;
        metric("info", "", &[("version", r.version), ("router_id", r.router_id)], &Value::Whole(1), t)?;
        kind("uptime_seconds", "", t)?;
        metric("uptime_seconds", "", &[], &Value::Time(r.uptime), t)?;
        let s = r.stats;
        for (name, n) in [
            ("checksum_errors", s.checksum_errors),
            ("version_errors", s.version_errors),
            ("vrid_errors", s.vrid_errors),
            ("ip_ttl_errors", s.ip_ttl_errors),
            ("router_packet_length_errors", s.packet_length_errors),
        ] {
            kind(name, TOTAL, t)?;
            metric(name, TOTAL, &[], &Value::Count(n), t)?;
        }
    }
    kind("instance_state", "", t)?;
    for i in instances(frames, only) {
        let family = if i.family == Family::V4 { "ipv4" } else { "ipv6" };
        let vrid = text::cut_to::<4>(&mut |t| uwrite!(t, "{}", i.vrid));
        let labels = [("instance", i.name), ("interface", i.interface), ("vrid", &*vrid), ("family", family)];
        metric("instance_state", "", &labels, &state(i.state), t)?;
    }
    for (name, of) in INSTANCE {
        kind(name, "", t)?;
        for i in instances(frames, only) {
            metric(name, "", &[("instance", i.name)], &of(&i), t)?;
        }
    }
    for (n, (name, _)) in counters(&InstanceStats::default()).into_iter().enumerate() {
        kind(name, TOTAL, t)?;
        for i in instances(frames, only) {
            metric(name, TOTAL, &[("instance", i.name)], &Value::Count(counters(&i.stats)[n].1), t)?;
        }
    }
    kind("group_state", "", t)?;
    for reply in frames.walk() {
        if let Reply::Group(g) = reply
            && wanted(only, g.name)
        {
            metric("group_state", "", &[("group", g.name)], &state(g.state), t)?;
        }
    }
    for (name, of) in CHECK {
        kind(name, "", t)?;
        for reply in frames.walk() {
            if let Reply::Check(c) = reply
                && wanted(only, c.name)
                && let Some(v) = of(&c)
            {
                metric(name, "", &[("check", c.name), ("kind", c.kind)], &v, t)?;
            }
        }
    }
    Ok(())
}

fn instances<'a>(frames: &'a Frames, only: Option<&'a str>) -> impl Iterator<Item = InstanceStatus<'a>> {
    frames.walk().filter_map(move |reply| match reply {
        Reply::Instance(i) if wanted(only, i.name) => Some(i),
        _ => None,
    })
}

/// The line that says what kind of metric follows; what ends in `_total` counts.
fn kind(name: &str, total: &str, t: &mut Text<'_>) -> Written {
    let kind = if total == TOTAL || name.ends_with(TOTAL) { "counter" } else { "gauge" };
    uwrite!(t, "# TYPE picovrrp_{}{} {}\n", name, total, kind)
}

/// The line of a metric.
fn metric(name: &str, total: &str, labels: &[(&str, &str)], v: &Value, t: &mut Text<'_>) -> Written {
    uwrite!(t, "picovrrp_{}{}", name, total)?;
    let mut before = "{";
    for (label, value) in labels {
        uwrite!(t, "{}{}=\"{}\"", core::mem::replace(&mut before, ","), *label, Label(value))?;
    }
    t.write_str(if labels.is_empty() { " " } else { "} " })?;
    match v {
        Value::Whole(n) => uwrite!(t, "{}", *n)?,
        Value::Count(n) => uwrite!(t, "{}", *n)?,
        Value::Time(d) => micros(*d, t)?,
    }
    t.write_str("\n")
}

/// SNMP's and keepalived's numbers, and one for what neither has.
fn state(state: Shown) -> Value {
    Value::Whole(match state {
        Shown::Init => 0,
        Shown::Backup => 1,
        Shown::Master => 2,
        Shown::Fault => 3,
        Shown::Stop => 4,
    })
}

/// What stands in a label's value: backslash, quote and line feed are escaped, other control characters
/// have no way to be written.
struct Label<'a>(&'a str);

impl uDisplay for Label<'_> {
    fn fmt<W: uWrite + ?Sized>(&self, t: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        for c in self.0.chars() {
            match c {
                '"' => t.write_str("\\\"")?,
                '\\' => t.write_str("\\\\")?,
                '\n' => t.write_str("\\n")?,
                c if c.is_control() => t.write_str("?")?,
                c => t.write_char(c)?,
            }
        }
        Ok(())
    }
}
