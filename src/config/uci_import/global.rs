//! `config globals`.

use core::net::IpAddr;

use ufmt::uwrite;

use super::image::{Image, Section, Value};
use super::schema::{Opt, Type};
use super::{Done, Importer};
use crate::config::commands::CommandAt;
use crate::config::diagnostics::{Excerpt, Pos};
use crate::config::model::{CheckKind, Config, Hooks, MAX_NAME, StrId};
use crate::vrrp::packet;
use crate::vrrp::timing::Micros;

/// What keepalived's init script calls, and as whom.
const HOTPLUG: &str = "keepalived";
const USER: &str = "root";
/// The hotplug types together, with a blank between each two.
const MAX_HOTPLUG: usize = 128;
/// The longest wait that any option takes.
pub(super) const DAY: Micros = Micros::from_secs(24 * 60 * 60);

impl Importer<'_> {
    pub(super) fn globals(&mut self, image: &Image) {
        let mut hotplug = false;
        for section in image.of_type(Type::Globals) {
            self.outcome(section);
            // What is wrong is reported; the rest counts.
            let _ = self.defaults(section);
            if let Some(first) = section.values(Opt::Hotplug).next() {
                hotplug = true;
                let _ = self.hotplug(section, first.at);
            }
        }
        if !hotplug && let Ok(id) = self.reader.asm.intern(Pos::default(), HOTPLUG) {
            self.reader.asm.config.hotplug = id;
        }
    }

    /// What is to become of the whole file; keepalived's init script reads that from the section that is
    /// called `globals`.
    fn outcome(&mut self, section: Section<'_>) {
        for option in [Opt::Enabled, Opt::AltConfigFile] {
            let Some(v) = section.get(option) else { continue };
            if section.uci_name != "globals" {
                self.warn(v.at, &mut |t| {
                    uwrite!(t, "'{}' counts in the section called 'globals' only: expected \"config globals 'globals'\" above it", option.name())
                });
            } else if option == Opt::Enabled {
                if matches!(self.switch(v), Ok(false)) {
                    self.outcome.disabled = Some(v.at);
                }
            } else if self.printable(v.at, option.name(), v.text, super::MAX_PATH).is_ok() {
                self.outcome.alternative = heapless::String::try_from(v.text).ok().map(|path| (v.at, path));
            }
        }
    }

    fn defaults(&mut self, section: Section<'_>) -> Done {
        if let Some(v) = section.get(Opt::RouterId) {
            self.reader.asm.config.router_id = self.text(v, MAX_NAME)?;
        }
        if let Some(v) = section.get(Opt::StartupDelay) {
            let delay = self.time(v, Micros::ZERO, DAY, "seconds, from 0 to 86400")?;
            self.reader.asm.config.startup_delay = delay;
        }
        if let Some(v) = section.get(Opt::McastGroup4) {
            match v.text.parse() {
                Ok(IpAddr::V4(ip)) if ip.is_multicast() => {
                    self.reader.asm.defaults.group4 = Some(ip).filter(|ip| *ip != packet::GROUP_V4);
                }
                _ => return Err(self.need(v, "an IPv4 multicast address, such as 224.0.0.18")),
            }
        }
        if let Some(v) = section.get(Opt::McastGroup6) {
            match v.text.parse() {
                Ok(IpAddr::V6(ip)) if ip.is_multicast() => {
                    self.reader.asm.defaults.group6 = Some(ip).filter(|ip| *ip != packet::GROUP_V6);
                }
                _ => return Err(self.need(v, "an IPv6 multicast address, such as ff02::12")),
            }
        }
        Ok(())
    }

    /// Our own `hotplug`: types in place of `keepalived`, or `off`.
    fn hotplug(&mut self, section: Section<'_>, at: Pos) -> Done {
        let mut types = heapless::String::<MAX_HOTPLUG>::new();
        for v in section.words(Opt::Hotplug).filter(|v| v.text != "off") {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
            if !v.text.bytes().all(plain) || matches!(v.text, "." | "..") {
                return Err(self.need(v, "'off' or hotplug types, such as 'keepalived'"));
            }
            if types.split(' ').any(|other| other == v.text) {
                continue;
            }
            let blank = if types.is_empty() { "" } else { " " };
            if types.push_str(blank).and_then(|()| types.push_str(v.text)).is_err() {
                self.error(v.at, &mut |t| {
                    uwrite!(
                        t,
                        "the types of 'hotplug' are too long at '{}': expected at most {} bytes",
                        Excerpt(v.text),
                        MAX_HOTPLUG
                    )
                });
                return Err(super::Reported);
            }
        }
        self.reader.asm.config.hotplug = self.reader.asm.intern(at, &types)?;
        Ok(())
    }

    /// Says who runs what is run, if there is anything.
    pub(super) fn script_user(&mut self) {
        let config = &*self.reader.asm.config;
        let last = &self.reader.asm.draft.values.hooks;
        if !runs_anything(config) && *last == Hooks::default() {
            return;
        }
        let place = Pos::new(1, 1);
        if let Ok(id) = self.reader.asm.intern(place, USER) {
            self.reader.asm.config.script_user = id;
        }
        if let Some(commands) = &mut self.reader.asm.commands {
            commands.script_user = place;
        }
    }

    /// The commands of an instance or a group. keepalived's init script puts its hotplug calls in their
    /// place, and does not say so.
    pub(super) fn hooks(&mut self, section: Section<'_>) {
        use crate::config::draft::Slot;
        for (option, slot) in [
            (Opt::Notify, Slot::Notify),
            (Opt::NotifyMaster, Slot::NotifyMaster),
            (Opt::NotifyBackup, Slot::NotifyBackup),
            (Opt::NotifyFault, Slot::NotifyFault),
            (Opt::NotifyStop, Slot::NotifyStop),
        ] {
            let Some(v) = section.get(option) else { continue };
            let Ok(command) = self.command(v) else { continue };
            let (at, user) = (v.at, StrId::default());
            self.reader.asm.note_command(CommandAt { at, what: option.name(), command, user, user_at: at });
            self.note_hook(v);
            let _ = self.reader.asm.draft.marks.give(slot, v.at);
            let hooks = &mut self.reader.asm.draft.values.hooks;
            match option {
                Opt::Notify => hooks.any = command,
                Opt::NotifyMaster => hooks.master = command,
                Opt::NotifyBackup => hooks.backup = command,
                Opt::NotifyFault => hooks.fault = command,
                _ => hooks.stop = command,
            }
        }
    }

    fn note_hook(&mut self, v: Value<'_>) {
        if !self.told.hook {
            self.told.hook = true;
            self.note(v.at, &mut |t| {
                uwrite!(t, "'{}' is called, as it says; keepalived's init script never called it", v.option.name())
            });
        }
    }
}

/// Whether any program is run for `config`.
fn runs_anything(config: &Config) -> bool {
    let scripts = config.checks.iter().any(|c| matches!(c.kind, CheckKind::Script { .. }));
    let instances = config.instances.iter().map(|i| &i.hooks);
    let mut hooks = instances.chain(config.groups.iter().map(|g| &g.hooks));
    scripts || !config.hotplug.is_empty() || hooks.any(|h| *h != Hooks::default())
}
