//! What keepalived decides when it has read everything: defaults, versions, who is master.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ufmt::{uWrite, uwrite};

use super::reader::Reader;
use crate::config::assemble::infer_family;
use crate::config::diagnostics::{Excerpt, Pos, suggest};
use crate::config::draft::{Draft, Marks, Slot};
use crate::config::model::{CheckKind, ChecksumForm, Family, Garp, Preempt, Start, Tracked};
use crate::text::Duration;
use crate::vrrp::packet::{self, PRIORITY_OWNER};
use crate::vrrp::timing::{Centis, Micros, Version};

/// Check scripts that run at once: keepalived sets no limit.
const MAX_CHILDREN: usize = 32;

/// What `global_defs` says for all instances.
pub(super) struct Globals {
    pub(super) marks: Marks,
    pub(super) version: Version,
    pub(super) group4: Option<Ipv4Addr>,
    pub(super) group6: Option<Ipv6Addr>,
    pub(super) garp_delay: Option<Micros>,
    pub(super) garp_repeat: Option<u8>,
    pub(super) garp_refresh: Option<Micros>,
    pub(super) garp_refresh_repeat: Option<u8>,
    pub(super) min_garp: bool,
    pub(super) plain_checksum: bool,
    pub(super) script_security: bool,
    /// Where the first command stands.
    pub(super) command_at: Option<Pos>,
}

impl Default for Globals {
    fn default() -> Globals {
        Globals {
            marks: Marks::default(),
            version: Version::V2,
            group4: None,
            group6: None,
            garp_delay: None,
            garp_repeat: None,
            garp_refresh: None,
            garp_refresh_repeat: None,
            min_garp: false,
            plain_checksum: false,
            script_security: false,
            command_at: None,
        }
    }
}

/// `auth_type`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Security {
    #[default]
    None,
    Pass,
    /// It was reported.
    Other,
}

/// An instance that waits for the end of the file.
#[derive(Clone, Copy, Default)]
pub(super) struct Pending {
    pub(super) draft: Draft,
    pub(super) state: Option<Start>,
    pub(super) priority: Option<u8>,
    pub(super) version: Option<Version>,
    pub(super) advert: Option<Micros>,
    pub(super) nopreempt: bool,
    pub(super) preempt_delay: Micros,
    pub(super) mcast_src: Option<(IpAddr, Pos)>,
    pub(super) unicast_src: Option<(IpAddr, Pos)>,
    pub(super) security: Security,
    pub(super) auth_at: Pos,
    pub(super) password: Option<([u8; 8], Pos)>,
}

impl Reader<'_> {
    /// Everything has been read; the last line is at `end`.
    pub(super) fn finish(&mut self, end: Pos) {
        for i in 0..self.instances.len() {
            let pending = self.instances[i];
            self.finish_instance(pending);
        }
        self.finish_statics();
        self.asm.shorten_delays();
        self.check_tracked();
        self.settle_weights();
        self.settle_scripts();
        if self.asm.config.instances.is_empty() && self.asm.diag.errors() == 0 {
            self.asm.diag.error(end, &mut |t| t.write_str("no instance: expected at least one 'vrrp_instance'"));
        }
        self.asm.end(end);
    }

    fn finish_instance(&mut self, mut p: Pending) {
        let family = self.family(&p);
        p.draft.family = Some(family);
        self.settle_basics(&mut p);
        self.settle_version(&mut p, family);
        self.settle_addresses(&p.draft, family);
        self.settle_source(&mut p);
        self.settle_garp(&mut p.draft);
        p.draft.group4 = p.draft.group4.or(self.globals.group4);
        p.draft.group6 = p.draft.group6.or(self.globals.group6);
        self.asm.name_vmac_as_keepalived(&mut p.draft);
        self.asm.finish(p.draft);
    }

    /// The family of the first address, as keepalived has it; `native_ipv6` says it outright.
    fn family(&self, p: &Pending) -> Family {
        let addresses = p.draft.values.addresses.of(&self.asm.config.addresses);
        let first_peer = p.draft.values.peers.of(&self.asm.config.peers).first().map(|p| p.ip);
        let sources = [p.unicast_src.map(|(ip, _)| ip), first_peer, p.mcast_src.map(|(ip, _)| ip)];
        p.draft.family.unwrap_or_else(|| infer_family(addresses, &|a| a.excluded, &sources))
    }

    /// Interface, VRID, priority and who begins.
    fn settle_basics(&mut self, p: &mut Pending) {
        let at = p.draft.at;
        for (slot, what) in [
            (Slot::On, "vrrp_instance without an 'interface': expected one, for unicast too"),
            (Slot::Vrid, "vrrp_instance without a 'virtual_router_id': expected a number from 1 to 255"),
        ] {
            if p.draft.marks.give(slot, at).is_ok() {
                self.asm.diag.error(at, &mut |t| t.write_str(what));
            }
        }
        if p.draft.values.addresses.len == 0 && !p.draft.address_seen {
            p.draft.address_seen = true;
            self.asm.diag.error(at, &mut |t| {
                t.write_str("vrrp_instance without a 'virtual_ipaddress': expected one address at least")
            });
        }
        let v = &mut p.draft.values;
        // As keepalived: MASTER without a priority is an owner, an owner without a state MASTER.
        v.priority = match (p.priority, p.state) {
            (Some(priority), _) => priority,
            (None, Some(Start::Master)) => PRIORITY_OWNER,
            (None, _) => 100,
        };
        v.start = match p.state {
            Some(state) => state,
            None if v.priority == PRIORITY_OWNER => Start::Master,
            None => Start::Backup,
        };
        v.preempt = match p.preempt_delay {
            _ if p.nopreempt => Preempt::Off,
            Micros::ZERO => Preempt::On,
            delay => Preempt::After(delay),
        };
        let (priority, start) = (v.priority, v.start);
        if p.priority.is_none() && priority == PRIORITY_OWNER {
            self.asm.diag.warning(at, &mut |t| {
                t.write_str(
                    "'state MASTER' without a 'priority' makes it 255, as with keepalived: it owns the addresses",
                )
            });
        }
        if priority == PRIORITY_OWNER && start == Start::Backup {
            let at = p.draft.marks.at(Slot::Start, at);
            self.report(at, &mut |t| {
                t.write_str("'state BACKUP' with priority 255 is not taken over: it is master at once")
            });
        }
    }

    fn settle_version(&mut self, p: &mut Pending, family: Family) {
        let at = p.draft.at;
        let version = match p.version {
            None if family == Family::V6 => Version::V3,
            None => self.globals.version,
            Some(Version::V2) if family == Family::V6 => {
                let at = p.draft.marks.at(Slot::Version, at);
                self.asm.diag.warning(at, &mut |t| t.write_str("'version 2' cannot carry IPv6: it is version 3"));
                Version::V3
            }
            Some(version) => version,
        };
        p.draft.values.version = version;
        // The line language says so by what it writes; a `version` that was not written is no mistake.
        if version == Version::V3 && family == Family::V4 && !self.globals.plain_checksum {
            p.draft.values.checksum = ChecksumForm::Pseudo;
        }
        self.settle_advert(p, version);
        let auth_at = if p.auth_at.line == 0 { at } else { p.auth_at };
        match (p.password, p.security) {
            (None, Security::Pass) => self
                .asm
                .diag
                .error(auth_at, &mut |t| t.write_str("'auth_type PASS' without an 'auth_pass': expected a password")),
            (Some((_, at)), _) if version == Version::V3 => self.asm.diag.warning(at, &mut |t| {
                t.write_str("version 3 has no authentication: the password is dropped, as with keepalived")
            }),
            (Some((password, _)), Security::Pass) => p.draft.values.password = Some(password),
            (Some((_, at)), Security::None) => self.asm.diag.warning(at, &mut |t| {
                t.write_str("'auth_pass' without 'auth_type PASS': the password is dropped, as with keepalived")
            }),
            _ => {}
        }
    }

    /// The interval, rounded to what the version can say.
    fn settle_advert(&mut self, p: &mut Pending, version: Version) {
        let Some(asked) = p.advert else { return };
        let unit = if version == Version::V2 { Micros::from_secs(1).0 } else { 10_000 };
        let most = if version == Version::V2 { Centis::MAX_V2 } else { Centis::MAX_V3 };
        let units = ((asked.0 + unit / 2) / unit).max(1);
        let centis = u16::try_from(units * unit / 10_000).ok().and_then(Centis::new).unwrap_or(most).min(most);
        p.draft.values.advert = centis;
        let at = p.draft.marks.at(Slot::Advert, p.draft.at);
        if centis.micros() != asked {
            let name = self.asm.config.strings.get(p.draft.values.name);
            self.asm.diag.warning(at, &mut |t| {
                uwrite!(t, "instance '{}' speaks version {}: its interval ", name, version.number())?;
                uwrite!(t, "is rounded from {} to {}", Duration(asked), Duration(centis.micros()))
            });
        }
    }

    /// Moves what an advert does not hold to those that are only on the interface.
    fn settle_addresses(&mut self, draft: &Draft, family: Family) {
        let range = draft.values.addresses.indices();
        let most = if family == Family::V4 { packet::MAX_V4 } else { packet::MAX_V6 };
        let mut advertised = 0;
        for i in range {
            let at = self.asm.address_at.get(i).copied().unwrap_or(draft.at);
            let Some(a) = self.asm.config.addresses.get_mut(i) else { break };
            if a.excluded {
                continue;
            }
            if Family::of(a.ip) != family {
                self.asm.diag.warning(at, &mut |t| {
                    t.write_str("an address of the other family is not in the advert, only on the interface")
                });
                continue;
            }
            advertised += 1;
            if advertised > most {
                a.excluded = true;
                if advertised == most + 1 {
                    self.asm.diag.warning(at, &mut |t| {
                        uwrite!(t, "an advert carries {} addresses, as with keepalived: ", most)?;
                        t.write_str("this one and those behind it are only on the interface")
                    });
                }
            }
        }
    }

    /// Where adverts leave from.
    fn settle_source(&mut self, p: &mut Pending) {
        let unicast = p.draft.values.peers.len > 0 || p.draft.peer_seen;
        let wrong = p.draft.values.peers.len == 0;
        match p.unicast_src.or(p.mcast_src) {
            Some((ip, at)) if unicast => {
                p.draft.values.unicast = Some(ip);
                let _ = p.draft.marks.give(Slot::Unicast, at);
            }
            Some((ip, at)) => {
                p.draft.values.source = Some(ip);
                let _ = p.draft.marks.give(Slot::Source, at);
                if p.unicast_src.is_some() {
                    self.asm.diag.warning(at, &mut |t| {
                        t.write_str(
                            "'unicast_src_ip' without a 'unicast_peer': adverts are multicast, as with keepalived",
                        )
                    });
                }
            }
            None if unicast && !wrong => {
                let at = self.asm.peer_at.get(p.draft.values.peers.start as usize).copied().unwrap_or(p.draft.at);
                let _ = p.draft.marks.give(Slot::Unicast, at);
                self.asm.diag.error(at, &mut |t| {
                    t.write_str("'unicast_peer' without a 'unicast_src_ip': expected this router's own address")
                });
            }
            None => {}
        }
    }

    fn settle_garp(&mut self, draft: &mut Draft) {
        let built_in = Garp::default();
        let g = &self.globals;
        let (delay, repeat) = if g.min_garp { (Micros::ZERO, 1) } else { (built_in.delay, built_in.repeat) };
        let (marks, garp) = (&draft.marks, &mut draft.values.garp);
        if !marks.given(Slot::GarpDelay) {
            garp.delay = g.garp_delay.unwrap_or(delay);
        }
        if !marks.given(Slot::GarpRepeat) {
            garp.repeat = g.garp_repeat.unwrap_or(repeat);
        }
        if !marks.given(Slot::GarpRefresh) {
            garp.refresh = g.garp_refresh.unwrap_or(built_in.refresh);
        }
        if !marks.given(Slot::GarpRefreshRepeat) {
            garp.refresh_repeat = g.garp_refresh_repeat.unwrap_or(built_in.refresh_repeat);
        }
    }

    /// What is tracked must be there: keepalived goes on without it.
    fn check_tracked(&mut self) {
        if self.asm.lost.check {
            return;
        }
        for (track, place) in self.asm.config.tracks.iter().zip(&self.asm.track_at) {
            let (Tracked::Check(name), config) = (track.what, &*self.asm.config) else { continue };
            if config.checks.iter().any(|c| c.name == name) {
                continue;
            }
            // Said here, in this language's words.
            self.asm.lost.check = true;
            let near = suggest(config.str(name), &mut config.checks.iter().map(|c| config.str(c.name)));
            self.asm.diag.error(place.at, &mut |t| {
                uwrite!(t, "'{}' is tracked, but no vrrp_script, vrrp_track_process ", Excerpt(config.str(name)))?;
                t.write_str("or track_file is called so")?;
                match near {
                    Some(meant) => uwrite!(t, ", did you mean '{}'?", meant),
                    None => Ok(()),
                }
            });
        }
    }

    /// What is tracked without a weight has that of its check.
    fn settle_weights(&mut self) {
        for (track, place) in self.asm.config.tracks.iter_mut().zip(&mut self.asm.track_at) {
            let Tracked::Check(name) = track.what else { continue };
            if let Some(d) = self.weights.iter().find(|d| d.check == name).filter(|_| !place.weighted) {
                (track.weight, track.reverse, place.weighted) = (d.weight, d.reverse, true);
            }
        }
    }

    fn settle_scripts(&mut self) {
        let scripts = self.asm.config.checks.iter().filter(|c| matches!(c.kind, CheckKind::Script { .. })).count();
        let most = self.asm.config.max_children;
        self.asm.config.max_children = most.max(scripts.min(MAX_CHILDREN) as u8);
        let Some(at) = self.globals.command_at else { return };
        self.asm.config.script_security = self.globals.script_security;
        if !self.globals.script_security {
            self.asm.diag.warning(at, &mut |t| {
                t.write_str("commands are run though others may be able to change them, ")?;
                t.write_str("as with keepalived: 'enable_script_security' refuses such")
            });
        }
    }
}
