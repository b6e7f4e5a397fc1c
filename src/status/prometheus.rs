//! Prometheus's text format (version 0.0.4): a metric's lines stand together, so the frames are walked
//! once for each.

use ufmt::{Formatter, uDisplay, uWrite, uwrite};

use super::frames::Frames;
use super::{counters, wanted};
use crate::config::model::{Condition, Family};
use crate::control::{CheckStatus, InstanceStatus, Reply};
use crate::router::event::Shown;
use crate::text::{Text, Written};
use crate::vrrp::stats::InstanceStats;
use crate::vrrp::timing::Micros;

/// A number of an instance.
type OfInstance = fn(&InstanceStatus<'_>) -> Value;
/// A number of a check, if it has one.
type OfCheck = fn(&CheckStatus<'_>) -> Option<Value>;

/// What stands behind a name.
enum Value {
    Whole(i64),
    Time(Micros),
}

const INSTANCE: [(&str, OfInstance); 5] = [
    ("priority", |i| Value::Whole(i.priority.into())),
    ("effective_priority", |i| Value::Whole(i.effective_priority.into())),
    ("master_priority", |i| {
        let own = if i.state == Shown::Master { i.effective_priority } else { 0 };
        Value::Whole(i.master.map_or(own, |(_, priority)| priority).into())
    }),
    ("state_seconds", |i| Value::Time(i.since)),
    ("transitions_total", |i| Value::Whole(i.transitions.into())),
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
    ("check_fails", |c| Some(Value::Whole(c.fails.into()))),
    ("check_last_seconds", |c| c.last.map(Value::Time)),
    ("check_runs_total", |c| Some(Value::Whole(c.count.into()))),
];

/// Writes `frames`, or what is called `only`.
pub fn prometheus(frames: &Frames, only: Option<&str>, t: &mut Text<'_>) -> Written {
    for reply in frames.walk() {
        let Reply::Router(r) = reply else { continue };
        kind("info", t)?;
        let (version, id) = (Label(r.version), Label(r.router_id));
        uwrite!(t, "picovrrp_info{{version=\"{}\",router_id=\"{}\"}} 1\n", version, id)?;
        kind("uptime_seconds", t)?;
        t.write_str("picovrrp_uptime_seconds")?;
        value(&Value::Time(r.uptime), t)?;
        let s = r.stats;
        for (name, n) in [
            ("checksum_errors_total", s.checksum_errors),
            ("version_errors_total", s.version_errors),
            ("vrid_errors_total", s.vrid_errors),
            ("ip_ttl_errors_total", s.ip_ttl_errors),
            ("router_packet_length_errors_total", s.packet_length_errors),
        ] {
            kind(name, t)?;
            uwrite!(t, "picovrrp_{} {}\n", name, n)?;
        }
    }
    kind("instance_state", t)?;
    for i in instances(frames, only) {
        let family = if i.family == Family::V4 { "ipv4" } else { "ipv6" };
        uwrite!(t, "picovrrp_instance_state{{instance=\"{}\",interface=\"{}\"", Label(i.name), Label(i.interface))?;
        uwrite!(t, ",vrid=\"{}\",family=\"{}\"}} {}\n", i.vrid, family, number(i.state))?;
    }
    for (name, of) in INSTANCE {
        kind(name, t)?;
        for i in instances(frames, only) {
            uwrite!(t, "picovrrp_{}{{instance=\"{}\"}}", name, Label(i.name))?;
            value(&of(&i), t)?;
        }
    }
    for (n, (name, _)) in counters(&InstanceStats::default()).into_iter().enumerate() {
        uwrite!(t, "# TYPE picovrrp_{}_total counter\n", name)?;
        for i in instances(frames, only) {
            let count = counters(&i.stats)[n].1;
            uwrite!(t, "picovrrp_{}_total{{instance=\"{}\"}} {}\n", name, Label(i.name), count)?;
        }
    }
    kind("group_state", t)?;
    for reply in frames.walk() {
        if let Reply::Group(g) = reply
            && wanted(only, g.name)
        {
            uwrite!(t, "picovrrp_group_state{{group=\"{}\"}} {}\n", Label(g.name), number(g.state))?;
        }
    }
    for (name, of) in CHECK {
        kind(name, t)?;
        for reply in frames.walk() {
            if let Reply::Check(c) = reply
                && wanted(only, c.name)
                && let Some(v) = of(&c)
            {
                uwrite!(t, "picovrrp_{}{{check=\"{}\",kind=\"{}\"}}", name, Label(c.name), Label(c.kind))?;
                value(&v, t)?;
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
fn kind(name: &str, t: &mut Text<'_>) -> Written {
    let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
    uwrite!(t, "# TYPE picovrrp_{} {}\n", name, kind)
}

/// SNMP's and keepalived's numbers, and one for what neither has.
fn number(state: Shown) -> u8 {
    match state {
        Shown::Init => 0,
        Shown::Backup => 1,
        Shown::Master => 2,
        Shown::Fault => 3,
        Shown::Stop => 4,
    }
}

fn value(v: &Value, t: &mut Text<'_>) -> Written {
    match v {
        Value::Whole(n) => uwrite!(t, " {}\n", *n),
        Value::Time(d) => {
            t.write_str(" ")?;
            super::json::micros(*d, t)?;
            t.write_str("\n")
        }
    }
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
