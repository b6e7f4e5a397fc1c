//! What the log says, in words for the router's owner; the limiter's class of each line.

use ufmt::{Formatter, uDisplay, uWrite, uwrite};

use crate::config::model::{ChecksumForm, Condition, RouteWords};
use crate::control::Kind;
use crate::router::event::{Drop, Fault, GroupTransition, InstanceId, Report, RouteId, Shown, Transition, VmacError};
use crate::router::{FOR_EVER, Router};
use crate::text::{Ip, Text, Written};

/// Classes of lines; each has its own share of the log, whoever provokes it.
pub(super) const CLASSES: usize = 30;

/// Failures of the system, as classes behind those of [`class`].
#[derive(Clone, Copy, Debug)]
pub(super) enum System {
    Send = 18,
    Address = 19,
    Announce = 20,
    Socket = 21,
    Netlink = 22,
    Control = 23,
    Route = 24,
    Vmac = 29,
}

pub(super) fn class(report: &Report) -> usize {
    match report {
        Report::Dropped { why, .. } => match why {
            Drop::Ttl(_) => 0,
            Drop::Version(_) => 1,
            Drop::Type(_) | Drop::Length(_) | Drop::NoAddresses | Drop::Trailing => 2,
            Drop::Checksum => 3,
            Drop::UnknownVrid(_) => 4,
            Drop::AuthType(_) | Drop::AuthMismatch(_) | Drop::AuthFailure => 5,
            Drop::Interval(_) => 6,
            Drop::AddressList => 7,
            Drop::Reflected => 8,
            Drop::NotAPeer => 9,
        },
        Report::IntervalLearned { .. } => 10,
        Report::AddressListDiffers { .. } => 11,
        Report::Conflict { .. } => 12,
        Report::ChecksumForm { .. } => 13,
        Report::TwoOwners { .. } => 14,
        Report::ForeignAddress { .. } => 15,
        Report::AddressRestored { .. } => 16,
        Report::Priority { .. } => 17,
        Report::ForeignRoute { .. } => 25,
        Report::RouteRestored { .. } => 26,
        Report::Yielded { .. } => 27,
        Report::NoVmac { .. } => 28,
        // Checks have a limiter of their own.
        Report::Check { .. } => CLASSES,
    }
}

pub(super) fn level(report: &Report) -> log::Level {
    match report {
        Report::Dropped { why: Drop::UnknownVrid(_) | Drop::NotAPeer, .. } => log::Level::Info,
        Report::ChecksumForm { .. } | Report::Priority { .. } | Report::Check { .. } | Report::Yielded { .. } => {
            log::Level::Info
        }
        _ => log::Level::Warn,
    }
}

/// What kind of thing it is, and whose.
pub(super) fn kind(report: &Report) -> (Kind, Option<InstanceId>) {
    match *report {
        Report::Dropped { instance, .. } => (Kind::Packet, instance),
        Report::IntervalLearned { instance, .. }
        | Report::AddressListDiffers { instance, .. }
        | Report::Conflict { instance, .. }
        | Report::ChecksumForm { instance, .. }
        | Report::TwoOwners { instance, .. } => (Kind::Packet, Some(instance)),
        Report::Priority { instance, .. } => (Kind::Priority, Some(instance)),
        Report::Yielded { instance, .. } | Report::NoVmac { instance, .. } => (Kind::Notice, Some(instance)),
        Report::ForeignAddress { instance, .. }
        | Report::AddressRestored { instance, .. }
        | Report::ForeignRoute { instance, .. }
        | Report::RouteRestored { instance, .. } => (Kind::Notice, instance),
        Report::Check { .. } => (Kind::Check, None),
    }
}

fn name(router: &Router, id: InstanceId) -> &str {
    router.view(id.0 as usize).map_or("?", |v| v.name)
}

/// The instance, or a word for what is static.
fn owner(router: &Router, id: Option<InstanceId>) -> &str {
    id.map_or("static", |id| name(router, id))
}

fn route_words(router: &Router, id: RouteId, to: &mut Text<'_>) -> Written {
    match router.config().routes.get(id.0 as usize) {
        Some(route) => uwrite!(to, "{}", RouteWords::new(route, router.route_device(id))),
        None => to.write_str("?"),
    }
}

pub(super) fn transition(router: &Router, t: &Transition, to: &mut Text<'_>) -> Written {
    uwrite!(to, "{}: {} -> {}", name(router, t.instance), t.from.word(), t.to.word())?;
    let interface = router.view(t.instance.0 as usize).map_or("?", |v| v.interface);
    match (t.to, t.fault) {
        (Shown::Fault, Some(Fault::Tracked)) => {
            let failed = router.tracks(t.instance.0 as usize).find(|t| t.track.faults(t.condition));
            let (name, condition) = failed.map_or(("?", Condition::Unknown), |t| (t.name, t.condition));
            uwrite!(to, " (it tracks {}, which is {})", name, Told(condition))
        }
        (Shown::Fault, Some(fault)) => uwrite!(to, " ({}: {})", interface, fault.words()),
        (Shown::Master, _) => uwrite!(to, " (priority {}, {})", t.priority, t.reason.name()),
        _ => uwrite!(to, " (priority {})", t.priority),
    }
}

pub(super) fn group_transition(router: &Router, t: &GroupTransition, to: &mut Text<'_>) -> Written {
    let name = router.group(t.group.0 as usize).map_or("?", |g| g.name);
    uwrite!(to, "group {}: {} -> {}", name, t.from.word(), t.to.word())
}

pub(super) fn report(router: &Router, report: &Report, to: &mut Text<'_>) -> Written {
    match *report {
        Report::Dropped { instance, source, why } => {
            if let Some(id) = instance {
                uwrite!(to, "{}: ", name(router, id))?;
            }
            uwrite!(to, "dropped a packet from {}: ", Ip(source))?;
            dropped(router, instance, why, to)
        }
        Report::IntervalLearned { instance, source, theirs } => uwrite!(
            to,
            "{}: {} advertises every {} ms, we every {} ms: its interval is followed while it is the master",
            name(router, instance),
            Ip(source),
            theirs.micros().as_millis(),
            own_interval_ms(router, instance)
        ),
        Report::AddressListDiffers { instance, source } => uwrite!(
            to,
            "{}: {} advertises other addresses than ours: compare the two configurations, or another pair uses this vrid",
            name(router, instance),
            Ip(source)
        ),
        Report::Conflict { instance, source, priority } => uwrite!(
            to,
            "{}: {} is master too, with priority {}: it should yield; if it does not, it does not hear us",
            name(router, instance),
            Ip(source),
            priority
        ),
        Report::ChecksumForm { instance, source, form } => uwrite!(
            to,
            "{}: {} sends version 3 checksums {} the pseudo-header",
            name(router, instance),
            Ip(source),
            if form == ChecksumForm::Plain { "without" } else { "with" }
        ),
        Report::TwoOwners { instance, source } => uwrite!(
            to,
            "{}: {} has priority 255 as we have: only one router can own the addresses",
            name(router, instance),
            Ip(source)
        ),
        Report::ForeignAddress { instance, address } => uwrite!(
            to,
            "{}: {} is on the interface already and not by us: it is used, and never removed",
            owner(router, instance),
            Ip(address)
        ),
        // It has a line of its own, with the reason.
        Report::Check { .. } => Ok(()),
        Report::Priority { instance, from, to: now } => {
            uwrite!(to, "{}: effective priority {} -> {}", name(router, instance), from, now)
        }
        Report::ForeignRoute { instance, route } => {
            uwrite!(to, "{}: route ", owner(router, instance))?;
            route_words(router, route, to)?;
            to.write_str(": one of its destination and metric is there already and not by us: it is left as it is")
        }
        Report::RouteRestored { instance, route } => {
            uwrite!(to, "{}: route ", owner(router, instance))?;
            route_words(router, route, to)?;
            to.write_str(" was gone: put back")
        }
        Report::NoVmac { instance, why } => {
            let view = router.view(instance.0 as usize);
            let (vmac, interface) = view.map_or(("?", "?"), |v| (router.config().str(v.config.vmac), v.interface));
            uwrite!(to, "{}: ", name(router, instance))?;
            match why {
                VmacError::Foreign => uwrite!(
                    to,
                    "an interface {} is there already and not by us: it is left as it is; give 'vmac' another name, or remove it",
                    vmac
                ),
                VmacError::Refused(errno) => {
                    let why = std::io::Error::from_raw_os_error(errno).to_string();
                    uwrite!(to, "cannot make the macvlan {} on {}: {}", vmac, interface, why.as_str())?;
                    to.write_str(match errno {
                        libc::EOPNOTSUPP => " (the kernel needs macvlan, on OpenWrt the package kmod-macvlan)",
                        libc::EBUSY => " (is it in a bridge, or a bond? then name that)",
                        _ => "",
                    })
                }
            }
        }
        Report::Yielded { instance, until: None } => {
            uwrite!(to, "{}: no longer yields", name(router, instance))
        }
        Report::Yielded { instance, until } => {
            uwrite!(to, "{}: yields to other routers", name(router, instance))?;
            if until == Some(FOR_EVER) { to.write_str(" until it is resumed") } else { to.write_str(" for a while") }
        }
        Report::AddressRestored { instance, address } => uwrite!(
            to,
            "{}: {} was taken off the interface by somebody else: put back",
            owner(router, instance),
            Ip(address)
        ),
    }
}

/// A condition in words.
pub(super) struct Told(pub(super) Condition);

impl uDisplay for Told {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        match self.0 {
            Condition::Unknown => f.write_str("unknown"),
            Condition::Up => f.write_str("up"),
            Condition::Down => f.write_str("down"),
            Condition::Value(n) => uwrite!(f, "{}", n),
            Condition::Broken => f.write_str("without a number"),
        }
    }
}

fn own_interval_ms(router: &Router, id: InstanceId) -> u64 {
    router.view(id.0 as usize).map_or(0, |v| v.config.advert.micros().as_millis())
}

fn dropped(router: &Router, id: Option<InstanceId>, why: Drop, to: &mut Text<'_>) -> Written {
    match why {
        Drop::Ttl(n) => uwrite!(to, "ttl {}, not 255: it was forwarded, or forged", n),
        Drop::Version(n) => match id.and_then(|id| router.view(id.0 as usize)) {
            Some(v) => uwrite!(
                to,
                "VRRP version {}, ours is {}: both routers stay master until one changes",
                n,
                v.config.version.number()
            ),
            None => uwrite!(to, "VRRP version {}", n),
        },
        Drop::Type(n) => uwrite!(to, "type {}, not an advertisement", n),
        Drop::Length(n) => uwrite!(to, "{} bytes are too few", n),
        Drop::NoAddresses => to.write_str("it lists no address"),
        Drop::Trailing => to.write_str("bytes behind the message (strict on)"),
        Drop::Checksum => to.write_str("wrong checksum"),
        Drop::UnknownVrid(n) => uwrite!(to, "vrid {} is not ours", n),
        Drop::AuthType(n) => uwrite!(to, "unknown authentication type {}", n),
        Drop::AuthMismatch(0) => to.write_str("no password, ours has one"),
        Drop::AuthMismatch(n) => uwrite!(to, "authentication type {}, ours differs", n),
        Drop::AuthFailure => to.write_str("wrong password"),
        Drop::Interval(0) => to.write_str("advert interval 0"),
        Drop::Interval(cs) => {
            let ours = id.map_or(0, |id| own_interval_ms(router, id));
            uwrite!(
                to,
                "advert interval {} ms, ours is {} ms: version 2 wants them equal, and both routers stay master until they are",
                cs as u32 * 10,
                ours
            )
        }
        Drop::AddressList => to.write_str("other addresses than ours (strict on)"),
        Drop::Reflected => to.write_str("it is our own: a loop, or another router has our address"),
        Drop::NotAPeer => to.write_str("the sender is not a peer"),
    }
}

// Each of the system's failures has a class, among those of the reports.
static_assertions::const_assert!(System::Control as usize + 1 == System::Route as usize);
static_assertions::const_assert!(System::Vmac as usize + 1 == CLASSES);
