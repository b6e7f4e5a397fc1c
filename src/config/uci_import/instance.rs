//! `config vrrp_instance`.

use core::net::IpAddr;

use ufmt::{uWrite, uwrite};

use super::global::DAY;
use super::image::{Image, Section, Value};
use super::schema::Opt;
use super::{Done, Importer};
use crate::config::assemble::Reported;
use crate::config::diagnostics::{Excerpt, Pos};
use crate::config::draft::Slot;
use crate::config::model::{ChecksumForm, Family, MAX_NAME, Preempt, Start, StrId};
use crate::vrrp::timing::{Centis, Micros, Version};

/// Bytes of a password that go on the wire (RFC 2338 §5.3.10).
const PASSWORD: usize = 8;

impl Importer<'_> {
    /// Assembles the instance called `name`.
    pub(super) fn instance(&mut self, image: &Image, section: Section<'_>, at: Pos, name: &str) {
        if self.printable(at, "name", name, MAX_NAME).is_err() {
            self.reader.asm.begin_broken();
        } else {
            self.reader.asm.begin(at, name);
        }
        let own = self.identity(section, at, name);
        self.addresses(image, section, own);
        self.routes(image, section);
        let start = self.reader.asm.draft.values.addresses.start as usize;
        if self.reader.asm.config.addresses.len() == start && !self.reader.asm.draft.address_seen {
            self.reader.asm.draft.address_seen = true;
            self.error(at, &mut |t| {
                uwrite!(
                    t,
                    "vrrp_instance '{}' has no address: expected 'virtual_ipaddress' with names of 'ipaddress' sections",
                    Excerpt(name)
                )
            });
        }
        let sources = self.sources(image, section);
        self.garp(section);
        self.flags(section);
        self.primary(section);
        // Each is reported where it is wrong.
        let _ = self.priority(section);
        let _ = self.protocol(section, &sources);
        let _ = self.preempt(section);
        self.tracks(image, section);
        self.hooks(section);
    }

    /// Marks what was given, or told to be missing.
    fn give(&mut self, slot: Slot, at: Pos) {
        // Each is read once.
        let _ = self.reader.asm.draft.marks.give(slot, at);
    }

    /// The interface and the VRID; the interface.
    fn identity(&mut self, section: Section<'_>, at: Pos, name: &str) -> StrId {
        let mut own = StrId::default();
        for (option, slot) in [(Opt::Interface, Slot::On), (Opt::VirtualRouterId, Slot::Vrid)] {
            let v = section.get(option);
            self.give(slot, v.map_or(at, |v| v.at));
            match v {
                None => {
                    self.error(at, &mut |t| uwrite!(t, "vrrp_instance '{}' has no '{}'", Excerpt(name), option.name()))
                }
                Some(v) if option == Opt::Interface => own = self.interface(v).unwrap_or_default(),
                Some(v) => self.reader.asm.draft.values.vrid = self.byte(v, 1).unwrap_or_default(),
            }
        }
        self.reader.asm.draft.values.interface = own;
        own
    }

    /// The peers, and the address to speak from.
    fn sources(&mut self, image: &Image, section: Section<'_>) -> [Option<IpAddr>; 2] {
        let peers = self.peers(image, section);
        let unicast = section.get(Opt::UnicastSrcIp);
        let multicast = section.get(Opt::McastSrcIp);
        // For keepalived the two are one: the source of whatever is sent.
        let Some(v) = (if peers { unicast.or(multicast) } else { multicast.or(unicast) }) else {
            if peers {
                let at = section.words(Opt::UnicastPeer).next().map_or(section.at, |v| v.at);
                self.reader.asm.draft.marks.give(Slot::Unicast, at).unwrap_or_default();
                self.error(at, &mut |t| {
                    t.write_str("'unicast_peer' without 'unicast_src_ip': expected this router's own address")
                });
            }
            return [None, None];
        };
        let Ok(ip) = self.host(v) else {
            // The peers are not to blame.
            self.give(if peers { Slot::Unicast } else { Slot::Source }, v.at);
            return [None, None];
        };
        let values = &mut self.reader.asm.draft.values;
        if peers {
            values.unicast = Some(ip);
            self.give(Slot::Unicast, v.at);
            [Some(ip), None]
        } else {
            values.source = Some(ip);
            self.give(Slot::Source, v.at);
            [None, Some(ip)]
        }
    }

    fn priority(&mut self, section: Section<'_>) -> Done {
        if let Some(v) = section.get(Opt::Priority) {
            self.give(Slot::Priority, v.at);
            self.reader.asm.draft.values.priority = self.byte(v, 1)?;
        }
        if let Some(v) = section.get(Opt::State) {
            let master = self.choice(v, &["BACKUP", "MASTER"])? == 1;
            self.give(Slot::Start, v.at);
            self.reader.asm.draft.values.start = if master { Start::Master } else { Start::Backup };
        }
        Ok(())
    }

    /// Family, version, interval, password and checksum, which depend on each other.
    fn protocol(&mut self, section: Section<'_>, sources: &[Option<IpAddr>]) -> Done {
        let mut family = self.family(sources);
        if let Some(v) = section.get(Opt::NativeIpv6)
            && self.flag(Some(v))
            && family != Family::V6
        {
            family = Family::V6;
            self.give(Slot::Family, v.at);
            self.reader.asm.draft.family = Some(family);
        }
        let v6 = family == Family::V6;
        // keepalived's default: 2 for IPv4, and IPv6 knows no other than 3.
        let mut version = if v6 { Version::V3 } else { Version::V2 };
        if let Some(v) = section.get(Opt::Version) {
            self.give(Slot::Version, v.at);
            let given = [Version::V2, Version::V3][self.choice(v, &["2", "3"])?];
            if v6 && given == Version::V2 {
                self.warn(v.at, &mut |t| {
                    t.write_str("version 2 cannot carry IPv6: version 3 is spoken, as by keepalived")
                });
            } else {
                version = given;
            }
        }
        self.reader.asm.draft.values.version = version;
        if let Some(v) = section.get(Opt::AdvertInt) {
            self.advert(v, version)?;
        }
        self.auth(section, version)?;
        if let Some(v) = section.get(Opt::Checksum) {
            let plain = self.choice(v, &["plain", "pseudo"])? == 0;
            self.give(Slot::Checksum, v.at);
            self.reader.asm.draft.values.checksum = if plain { ChecksumForm::Plain } else { ChecksumForm::Pseudo };
        } else if version == Version::V3 && !v6 {
            // What keepalived sends, and what an older one wants to hear.
            self.reader.asm.draft.values.checksum = ChecksumForm::Pseudo;
        }
        Ok(())
    }

    fn advert(&mut self, v: Value<'_>, version: Version) -> Done {
        self.give(Slot::Advert, v.at);
        let (low, high, expected) = match version {
            Version::V2 => (Micros::ZERO, Micros::from_secs(255), "whole seconds from 1 to 255"),
            Version::V3 => (Micros::from_millis(10), Micros::from_millis(40_950), "seconds from 0.01 to 40.95"),
        };
        let given = self.time(v, low, high, expected)?;
        let unit = if version == Version::V2 { 1_000_000 } else { 10_000 };
        // To the nearest that the packet can carry, as keepalived does it.
        let rounded = Micros(((given.0 + unit / 2) / unit).max(1) * unit);
        if rounded != given {
            let what = if version == Version::V2 { "whole seconds" } else { "hundredths of a second" };
            self.warn(v.at, &mut |t| {
                uwrite!(t, "'advert_int' {} is rounded: this version of the protocol carries {}", Excerpt(v.text), what)
            });
        }
        if let Some(advert) = u16::try_from(rounded.0 / 10_000).ok().and_then(Centis::new) {
            self.reader.asm.draft.values.advert = advert;
        }
        Ok(())
    }

    fn auth(&mut self, section: Section<'_>, version: Version) -> Done {
        let (kind, secret) = match (section.get(Opt::AuthType), section.get(Opt::AuthPass)) {
            (None, None) => return Ok(()),
            (Some(kind), Some(secret)) => (kind, secret),
            (Some(v), None) | (None, Some(v)) => {
                self.warn(v.at, &mut |t| {
                    t.write_str("'auth_type' and 'auth_pass' count together only: there is no authentication")
                });
                return Ok(());
            }
        };
        if kind.text.eq_ignore_ascii_case("AH") {
            self.warn(kind.at, &mut |t| {
                t.write_str("'auth_type AH' is not supported: adverts go without, and routers that want it drop them")
            });
            return Ok(());
        }
        self.choice(kind, &["PASS"])?;
        if version == Version::V3 {
            self.warn(secret.at, &mut |t| {
                t.write_str("version 3 has no authentication: the password is left out, as by keepalived")
            });
            return Ok(());
        }
        self.printable(secret.at, "auth_pass", secret.text, crate::config::uci::MAX_WORD)?;
        let bytes = secret.text.as_bytes();
        let kept = bytes.len().min(PASSWORD);
        if kept < bytes.len() {
            if !secret.text.is_char_boundary(kept) {
                self.error(secret.at, &mut |t| {
                    t.write_str("the 8 bytes of 'auth_pass' that count end inside a character: expected a shorter one")
                });
                return Err(Reported);
            }
            self.warn(secret.at, &mut |t| {
                uwrite!(t, "'auth_pass' is longer than {} bytes: only those count", PASSWORD)
            });
        }
        let mut password = [0; PASSWORD];
        password[..kept].copy_from_slice(&bytes[..kept]);
        self.give(Slot::Auth, secret.at);
        self.reader.asm.draft.values.password = Some(password);
        Ok(())
    }

    fn preempt(&mut self, section: Section<'_>) -> Done {
        let off = section.get(Opt::Nopreempt);
        let delay = section.get(Opt::PreemptDelay);
        if let Some(v) = off
            && self.flag(off)
        {
            self.give(Slot::Preempt, v.at);
            self.reader.asm.draft.values.preempt = Preempt::Off;
            if let Some(v) = delay {
                self.warn(v.at, &mut |t| t.write_str("'preempt_delay' has no effect beside 'nopreempt'"));
            }
            return Ok(());
        }
        let Some(v) = delay else { return Ok(()) };
        let wait = self.time(v, Micros::ZERO, Micros::from_secs(1000), "seconds, from 0 to 1000")?;
        self.give(Slot::Preempt, v.at);
        self.reader.asm.draft.values.preempt = if wait == Micros::ZERO { Preempt::On } else { Preempt::After(wait) };
        Ok(())
    }

    /// Options that are there or not.
    fn flags(&mut self, section: Section<'_>) {
        let mut draft = self.reader.asm.draft;
        draft.vmac = self.flag(section.get(Opt::UseVmac));
        draft.values.vmac_base = self.flag(section.get(Opt::VmacXmitBase));
        draft.values.accept = !self.flag(section.get(Opt::NoAccept));
        self.reader.asm.name_vmac_as_keepalived(&mut draft);
        self.reader.asm.draft = draft;
    }

    fn primary(&mut self, section: Section<'_>) {
        let off = section.get(Opt::DontTrackPrimary);
        if let Some(v) = off
            && self.flag(off)
        {
            self.give(Slot::TrackPrimary, v.at);
            self.reader.asm.draft.values.track_primary = false;
        }
    }

    fn garp(&mut self, section: Section<'_>) {
        let mut garp = self.reader.asm.draft.values.garp;
        const EXPECTED: &str = "seconds, from 0 to 86400";
        if let Some(v) = section.get(Opt::GarpMasterDelay) {
            garp.delay = self.time(v, Micros::ZERO, DAY, EXPECTED).unwrap_or_default();
        }
        if let Some(v) = section.get(Opt::GarpMasterRefresh) {
            let low = if v.text.trim_matches('0').is_empty() { Micros::ZERO } else { Micros::from_millis(100) };
            garp.refresh = self.time(v, low, DAY, EXPECTED).unwrap_or_default();
        }
        if let Some(v) = section.get(Opt::GarpMasterRepeat) {
            garp.repeat = self.byte(v, 1).unwrap_or_default();
        }
        if let Some(v) = section.get(Opt::GarpMasterRefreshRepeat) {
            garp.refresh_repeat = self.byte(v, 1).unwrap_or_default();
        }
        self.reader.asm.draft.values.garp = garp;
    }
}
