//! What the figures have to reach, and which of them are shown first.

use super::program::{Keepalived, Ours};
use super::results::{Row, number};

/// One bound on one row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    /// Our median.
    AtMost(f64),
    /// Every one of our rounds.
    Always(f64),
    /// Our median by keepalived's.
    Ratio(f64),
    /// Every one of our rounds against keepalived's median.
    BehindKeepalived(f64),
}

use Bound::{Always, AtMost, BehindKeepalived, Ratio};

/// Which rows have which bounds. Absolute sizes are held against keepalived 2.4.3, VRRP only, linked
/// statically with musl: 503 kB of flash, 584 KiB of PSS with one instance, 924 KiB of RSS with 255.
const BOUNDS: &[(&str, &str, Bound)] = &[
    ("Flash", "with all libraries", AtMost(256.0)),
    ("PSS", "Active, 1 instance", Ratio(1.0 / 40.0)),
    ("PSS", "Active, 1 instance", AtMost(160.0)),
    ("RSS", "Active, 255 instances", AtMost(400.0)),
    ("System calls per advert", "Active, 1 instance", AtMost(2.0)),
    ("System calls per advert", "Backup, 1 instance", AtMost(2.0)),
    ("System calls per advert", "Active, 255 instances", AtMost(0.5)),
    ("System calls per advert", "Backup, 255 instances", AtMost(0.5)),
    ("CPU", "Active, 255 instances", Ratio(0.5)),
    (LATE, "1 s", AtMost(2.0)),
    (LATE, "1 s", BehindKeepalived(2.0)),
    (LATE, "10 cs", AtMost(2.0)),
    (LATE, "10 cs", BehindKeepalived(2.0)),
    (LATE, "1 cs", AtMost(2.0)),
    (LATE, "1 cs", BehindKeepalived(2.0)),
    (HANDOVER, "1 s", Always(30.0)),
    (HANDOVER, "10 cs", Always(30.0)),
    (HANDOVER, "1 cs", Always(30.0)),
    ("False takeovers", "1 cs, CPU hogs, real-time priority", Always(0.0)),
    ("Start to first advert", "priority 255", Ratio(0.25)),
];

/// Rows of the short table that have no bound.
const HEADLINES: &[(&str, &str)] = &[
    ("Processes", ""),
    ("CPU", "Active, 1 instance"),
    ("CPU", "Backup, 1 instance"),
    ("CPU", "Backup, 255 instances"),
    ("Wake-ups per advert", "Active, 1 instance"),
    ("Wake-ups per advert", "Backup, 1 instance"),
    (FAULT, "script"),
    ("Reload", "of 254 instances, until an added one advertises"),
    ("Outage when an address was deleted by hand", ""),
    ("Cost of a check", "/bin/true"),
    ("Cost of a check", "a TCP port"),
];

/// How much later than Active_Down_Interval after the last advert the successor's first one came.
pub(crate) const LATE: &str = "Link cut: advert later than due";
/// The client's silence.
pub(crate) const HANDOVER: &str = "Planned handover: outage";
/// From the failing check to the other router's advert.
pub(crate) const FAULT: &str = "Fault by a check to the peer's advert";

/// The bounds on a row.
pub(crate) fn of(what: &str, case: &str) -> Vec<&'static Bound> {
    BOUNDS.iter().filter(|(w, c, _)| *w == what && *c == case).map(|(.., bound)| bound).collect()
}

/// The rows that have bounds.
pub(crate) fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    BOUNDS.iter().map(|(what, case, _)| (*what, *case))
}

/// Whether a row belongs into the short table.
pub(crate) fn headline(what: &str, case: &str) -> bool {
    !of(what, case).is_empty() || HEADLINES.contains(&(what, case))
}

impl Bound {
    pub(crate) fn text(&self) -> String {
        match self {
            AtMost(n) => format!("≤ {}", number(*n)),
            Always(n) => format!("always ≤ {}", number(*n)),
            Ratio(n) => format!("ratio ≤ 1/{}", number(1.0 / n)),
            BehindKeepalived(n) => format!("always ≤ keepalived + {}", number(*n)),
        }
    }

    /// Nothing where one of the values is missing.
    pub(crate) fn reached(&self, row: &Row) -> Option<bool> {
        match self {
            AtMost(n) => Some(row.median(Ours)? <= *n),
            Always(n) => Some(row.worst(Ours)? <= *n),
            Ratio(n) => Some(row.ratio()? <= *n),
            BehindKeepalived(n) => Some(row.worst(Ours)? <= row.median(Keepalived)? + n),
        }
    }
}
