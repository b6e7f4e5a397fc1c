//! Lines of the log: what a step noted, within the limits of each class.

use std::io;

use ufmt::uwrite;

use super::io_actions::Note;
use super::report::{self, System};
use super::watch::{self, About};
use super::{Core, hooks};
use crate::check::{Reason, because, interface};
use crate::config::model::{CheckKind, Condition};
use crate::control::{self, Kind, MAX_FRAME, MAX_LINE, Reply};
use crate::router::event::{CheckId, Report};
use crate::sys::control_socket::Connection;
use crate::sys::syslog::Verdict;
use crate::text::{self, Text, Written};
use crate::vrrp::timing::Instant;

const INFO: (Verdict, log::Level) = (Verdict::Log, log::Level::Info);

impl Core {
    fn tell(&self, about: &About<'_>, weight: (Verdict, log::Level), line: &mut dyn FnMut(&mut Text<'_>) -> Written) {
        watch::tell(&self.watchers, about, weight, line);
    }

    pub(super) fn log_note(&mut self, note: &Note, now: Instant) {
        match note {
            Note::Changed(t) => {
                let name = self.router.view(t.instance.0 as usize).map_or("", |v| v.name);
                let about = About { kind: Kind::State, name, from: t.from.word(), to: t.to.word() };
                self.tell(&about, INFO, &mut |to| report::transition(&self.router, t, to));
                hooks::post(&self.router, &self.notifier, t);
            }
            Note::GroupChanged(t) => {
                let name = self.router.group(t.group.0 as usize).map_or("", |g| g.name);
                let about = About { kind: Kind::Group, name, from: t.from.word(), to: t.to.word() };
                self.tell(&about, INFO, &mut |to| report::group_transition(&self.router, t, to));
                hooks::post_group(&self.router, &self.notifier, t);
            }
            Note::Report(r) => {
                if let Report::ForeignAddress { .. } | Report::ForeignRoute { .. } | Report::NoVmac { .. } = r {
                    self.ownership_changed = true;
                }
                if let Report::Check { check, from, to } = r {
                    return self.log_check(*check, *from, *to, now);
                }
                let verdict = match r {
                    // Each instance for itself: this is what moves an address.
                    Report::Priority { instance, .. } => self.priority_limiter.allow(instance.0 as usize, now),
                    _ => self.limiter.allow(report::class(r), now),
                };
                let (kind, instance) = report::kind(r);
                let name = instance.and_then(|i| self.router.view(i.0 as usize)).map_or("", |v| v.name);
                let about = About::plain(kind, name);
                self.tell(&about, (verdict, report::level(r)), &mut |to| report::report(&self.router, r, to));
            }
            Note::Refused(system, errno) => {
                let verdict = self.limiter.allow(*system as usize, now);
                let what = match system {
                    System::Send => "cannot send an advert",
                    System::Address => "cannot add or remove an address",
                    System::Route => "cannot add, remove or watch a route",
                    System::Announce => "cannot announce an address",
                    System::Socket => "cannot listen for adverts",
                    System::Netlink => "cannot read the interfaces",
                    System::Control => "cannot serve a command",
                    System::Vmac => "cannot change an interface with a virtual MAC address, or the one beneath",
                };
                let why = io::Error::from_raw_os_error(*errno).to_string();
                let about = About::plain(Kind::Notice, "");
                let weight = (verdict, log::Level::Warn);
                self.tell(&about, weight, &mut |to| uwrite!(to, "{}: {}", what, why.as_str()));
            }
        }
    }
}

impl Core {
    /// Tells a client that it may not control us, and the log.
    pub(super) fn turn_away(&mut self, client: &Connection, uid: u32, now: Instant) {
        let verdict = self.limiter.allow(System::Control as usize, now);
        let line = &mut |to: &mut Text<'_>| uwrite!(to, "control: user {} may not control this daemon", uid);
        self.tell(&About::plain(Kind::Notice, ""), (verdict, log::Level::Warn), line);
        let mut buffer = [0; MAX_FRAME];
        let refused = Reply::Refused("only root and the daemon's own user may control it");
        // Should it be gone, it is no matter.
        let _ = client.try_write(control::encode(&mut buffer, &refused).unwrap_or(&[]));
    }

    /// A check has changed, for the reason that its last run gave.
    fn log_check(&mut self, check: CheckId, from: Condition, to: Condition, now: Instant) {
        let c = check.0 as usize;
        let (Some(view), Some(runs)) = (self.router.check(c), self.runs.get_mut(c)) else { return };
        if let CheckKind::Interface { .. } = view.config.kind {
            // The router has seen it by itself.
            let down = to == Condition::Down;
            runs.error = if down { because(interface::DOWN) } else { Reason::new() };
            runs.fails = if down { runs.fails.max(1) } else { 0 };
            runs.count = runs.count.max(1);
        }
        let failed = matches!(to, Condition::Down | Condition::Broken);
        let (verdict, level) = match (from, to) {
            // What it makes of the priority is told by itself.
            (Condition::Value(_), Condition::Value(_)) => (Verdict::Log, log::Level::Debug),
            // Each check for itself, so that one that flaps does not hide another.
            _ if failed => (self.check_limiter.allow(c, now), log::Level::Warn),
            _ => (self.check_limiter.allow(c, now), log::Level::Info),
        };
        let word = |c| text::cut_to::<24>(&mut |t| uwrite!(t, "{}", report::Told(c)));
        let (from, to_word) = (word(from), word(to));
        let about = About { kind: Kind::Check, name: view.name, from: &from, to: &to_word };
        watch::tell(&self.watchers, &about, (verdict, level), &mut |t| {
            uwrite!(t, "check {}: {}", view.name, report::Told(to))?;
            match runs.error.as_str() {
                why if failed && !why.is_empty() => uwrite!(t, " ({})", why),
                _ => Ok(()),
            }
        });
    }
}

/// Logs a line that ufmt renders; what is too long is cut.
pub(super) fn say(level: log::Level, line: &mut dyn FnMut(&mut Text<'_>) -> Written) {
    let text = text::cut_to::<MAX_LINE>(line);
    log::log!(level, "{}", text.as_str());
}
