//! A reload: the file is read again, and what has changed changes.
//!
//! An instance that the new configuration lacks hands over before the configuration takes its place:
//! until its successor has been heard, or can be expected no more, all goes on under the old one.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use ufmt::uwrite;

use super::io_actions::Note;
use super::report::System;
use super::{CALM, Core, checks, hooks, script_user};
use crate::check::Reason;
use crate::command::reason;
use crate::config::diagnostics::Diagnostics;
use crate::config::model::Config;
use crate::router::Event;
use crate::sys::process::User;
use crate::sys::{clock, syslog};
use crate::vrrp::timing::{Instant, Micros};

/// A configuration that is about to take the running one's place.
pub(super) struct Coming {
    config: Box<Config>,
    user: Option<User>,
    /// What it took to read it.
    took: Micros,
}

/// What became of a reload.
pub(super) struct LastReload {
    pub(super) at: Instant,
    /// Reading it and changing over; not the wait for successors between the two.
    pub(super) took: Micros,
    /// Why all stayed as it was; empty if it did not.
    pub(super) error: Reason,
}

impl Core {
    /// Reads the configuration again. The error says why all stays as it was. Without one, the new
    /// configuration is in place as soon as there is none [`coming`](Core::coming) any more.
    pub(super) fn reload(&mut self, now: Instant) -> Result<(), String> {
        if self.stopping.is_some() {
            return Err("the daemon is stopping".to_owned());
        }
        self.calm_at = Some(now + CALM);
        match self.read_again() {
            Ok((config, user)) => {
                self.router.part(&config, now, &mut self.io);
                self.settle(now);
                self.coming = Some(Coming { config, user, took: clock::now().since(now) });
                self.change_over(now);
                Ok(())
            }
            Err(why) => {
                self.notice(log::Level::Error, &mut |t| {
                    uwrite!(t, "reload refused, the running configuration stays: {}", why.as_str())
                });
                let took = clock::now().since(now);
                self.last_reload = Some(LastReload { at: now, took, error: reason(&[&why]) });
                Err(why)
            }
        }
    }

    #[inline(never)]
    fn read_again(&self) -> Result<(Box<Config>, Option<User>), String> {
        let mut config = Box::new(Config::default());
        let mut found = Box::new(Diagnostics::new());
        (self.reader)(&mut config, &mut found).map_err(|e| format!("{}: {e}", self.file.display()))?;
        let mut lines = std::vec::Vec::new();
        // Writing to memory cannot fail.
        let _ = found.print(&self.file.to_string_lossy(), &mut lines);
        let lines = String::from_utf8_lossy(&lines).into_owned();
        if found.errors() > 0 {
            lines.lines().for_each(|l| log::error!("{l}"));
            let mut all = lines.lines().filter(|l| !l.contains(": warning: "));
            let first = all.next().unwrap_or("").to_owned();
            return Err(match all.count() {
                0 => first,
                more => format!("{first} (and {more} more: 'picovrrp check' shows them)"),
            });
        }
        lines.lines().for_each(|l| log::warn!("{l}"));
        let user = script_user(&config)?;
        Ok((config, user))
    }

    /// Puts a configuration in place that nothing keeps waiting any more, and wakes who waits for that.
    pub(super) fn change_over(&mut self, now: Instant) {
        if self.coming.is_some() && self.router.has_parted() {
            self.replace(now);
        }
        if !self.waiting.is_empty() {
            self.wake_waiting();
        }
    }

    // Rare: its code is to lie apart from what an advert runs through.
    #[inline(never)]
    fn wake_waiting(&mut self) {
        self.waiting.iter().for_each(Waker::wake_by_ref);
        self.waiting.clear();
    }

    #[inline(never)]
    fn replace(&mut self, now: Instant) {
        let Some(Coming { config, user, took }) = self.coming.take() else { return };
        let began = clock::now();
        syslog::set_level(config.log_level);
        // Other addresses and routes have other numbers: none is put on before the file names it.
        self.io.recorded.fill(false);
        self.io.recorded_routes.fill(false);
        self.io.recorded_vmacs.fill(false);
        hooks::change(&self.router, &self.notifier, self.script_user.as_ref(), &config);
        self.script_user = user;
        let runs = checks::inherit(&self.runs, self.router.config(), &config);
        self.router.reload(config, now, &mut self.io);
        self.begin_configuration();
        self.runs = runs;
        self.settle(now);
        if let Err(e) = self.read_links(now) {
            self.io.note(Note::Refused(System::Netlink, e.raw_os_error().unwrap_or(0)));
        }
        self.read_all_addresses(now);
        self.record();
        self.read_yields(now);
        self.write_yields();
        if !self.starting {
            self.handle(Event::Start, now);
            // What went while the watch was changed was not told.
            self.handle(Event::Routes, now);
        }
        let took = took + clock::now().since(began);
        self.notice(log::Level::Info, &mut |t| uwrite!(t, "reloaded in {}.{} ms", took.0 / 1_000, took.0 / 100 % 10));
        self.last_reload = Some(LastReload { at: began, took, error: Reason::new() });
    }
}

/// Waits until `done` says so; it is asked after each of the loop's steps.
pub(super) async fn until_that(core: &RefCell<Core>, done: &dyn Fn(&Core) -> bool) {
    poll_fn(|cx| {
        if done(&core.borrow()) {
            return Poll::Ready(());
        }
        // There is a place for each client.
        let _ = core.borrow_mut().waiting.push(cx.waker().clone());
        Poll::Pending
    })
    .await;
}
