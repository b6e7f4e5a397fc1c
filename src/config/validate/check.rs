//! Cross-checks of one check, and of all checks together.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ufmt::{uWrite, uwrite};

use super::is_link_local;
use crate::check::dns::Query;
use crate::check::http::Url;
use crate::config::assemble::Assembler;
use crate::config::draft::{CheckDraft, Part};
use crate::config::model::{CheckKind, Family, Origin, Tracked};
use crate::text::Ip;

impl Assembler<'_> {
    /// Checks a check, whose name and number are not yet among the others.
    pub(in crate::config) fn settle_check(&mut self, d: &CheckDraft) {
        let name = d.check.name;
        let twin = self.config.checks.iter().position(|c| c.name == name);
        if let Some(before) = twin.and_then(|i| self.check_at.get(i).copied()) {
            let name = self.config.strings.get(name);
            self.diag.error(d.at, &mut |t| {
                uwrite!(t, "check '{}' is there already, at line {}: names must differ", name, before.line)
            });
        }
        match d.check.kind {
            CheckKind::File { .. } => self.check_file(d),
            CheckKind::Process { min, max, .. } => self.check_counts(d, min, max),
            CheckKind::Route { prefix, length, .. } => self.check_prefix(d, prefix, length),
            CheckKind::Ping { target, from } | CheckKind::Tcp { target, from, .. } => {
                self.check_origin(d, target, from);
            }
            CheckKind::Http { url, .. } => {
                if let Err(why) = Url::parse(self.config.strings.get(url)) {
                    self.diag.error(d.place(Part::Target), &mut |t| t.write_str(why));
                }
            }
            CheckKind::Dns { server, name, record, .. } => {
                self.check_origin(d, server, Origin::Any);
                if let Err(why) = Query::new(self.config.strings.get(name), record) {
                    self.diag.error(d.place(Part::Name), &mut |t| t.write_str(why));
                }
            }
            CheckKind::Script { .. } | CheckKind::Interface { .. } => {}
        }
    }

    /// A file is looked at when it changes, and what it says counts at once.
    fn check_file(&mut self, d: &CheckDraft) {
        for (part, word) in
            [(Part::Timeout, "timeout"), (Part::Fall, "fall"), (Part::Rise, "rise"), (Part::Initial, "initial")]
        {
            if let Some(at) = d.given(part) {
                self.diag.error(at, &mut |t| {
                    uwrite!(t, "'{}' does not apply to a file check: its number counts as soon as it is there", word)
                });
            }
        }
    }

    fn check_counts(&mut self, d: &CheckDraft, min: u16, max: Option<u16>) {
        match max {
            Some(max) if max < min => {
                let at = d.given(Part::Max).unwrap_or(d.at);
                self.diag.error(at, &mut |t| {
                    uwrite!(
                        t,
                        "'min' is {} and 'max' {}: expected the lower one first; 'min' is 1 unless given",
                        min,
                        max
                    )
                });
            }
            None if min == 0 => {
                let at = d.place(Part::Min);
                self.diag.error(at, &mut |t| t.write_str("'min 0' is always met: expected 'max N' beside it"));
            }
            _ => {}
        }
    }

    /// Bits behind the prefix belong to no network.
    fn check_prefix(&mut self, d: &CheckDraft, prefix: IpAddr, length: u8) {
        let network = network(prefix, length);
        if network != prefix {
            self.diag.error(d.place(Part::Target), &mut |t| {
                uwrite!(t, "{}/{} has bits behind its prefix: expected {}/{}", Ip(prefix), length, Ip(network), length)
            });
        }
    }

    fn check_origin(&mut self, d: &CheckDraft, target: IpAddr, from: Origin) {
        if let Origin::Address(ip) = from
            && Family::of(ip) != Family::of(target)
        {
            self.diag.error(d.place(Part::Via), &mut |t| {
                uwrite!(t, "'from' needs an address of the family of {}, not {}", Ip(target), Ip(ip))
            });
        }
        if is_link_local(target) && !matches!(from, Origin::Interface(_)) {
            let word = d.check.kind.word();
            self.diag.error(d.place(Part::Target), &mut |t| {
                uwrite!(t, "{} is on every interface: ", Ip(target))?;
                match word {
                    "dns" => t.write_str("'dns' needs another address of the server"),
                    _ => uwrite!(t, "'{}' needs 'from INTERFACE' with it", word),
                }
            });
        }
    }

    /// Checks that nobody tracks. Where something is wrong already, that may be why.
    pub(in crate::config) fn check_use(&mut self) {
        if self.diag.errors() > 0 {
            return;
        }
        for (check, at) in self.config.checks.iter().zip(&self.check_at) {
            if !self.config.tracks.iter().any(|t| t.what == Tracked::Check(check.name)) {
                let name = self.config.strings.get(check.name);
                self.diag.warning(*at, &mut |t| uwrite!(t, "nobody tracks check '{}': it runs for nothing", name));
            }
        }
    }
}

/// `ip` without the bits behind the first `length`.
fn network(ip: IpAddr, length: u8) -> IpAddr {
    let behind = |bits: u8| u32::from(bits.saturating_sub(length));
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & u32::MAX.checked_shl(behind(32)).unwrap_or(0)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & u128::MAX.checked_shl(behind(128)).unwrap_or(0)).into(),
    }
}
