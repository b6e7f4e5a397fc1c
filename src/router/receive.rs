//! An advert's way from the socket to the election: each check in the order of RFC 9568 §7.1 (and
//! PROTOCOL's C10–C23), the first that fails counts, exactly once, and changes nothing else.

use core::net::IpAddr;

use super::checksum::Verdict;
use super::event::{Drop, InstanceId, Received, Report};
use super::{Action, Actions, Router};
use crate::config::model::{Config, Family, Instance};
use crate::vrrp::election::{Heard, Outcome, State};
use crate::vrrp::packet::{self, Auth, Checksum, Error, PRIORITY_OWNER, Packet, TTL};
use crate::vrrp::stats::{InstanceStats, LastEvent};
use crate::vrrp::timing::{Instant, Version};

impl Router {
    pub(super) fn receive(&mut self, m: &Received<'_>, now: Instant, out: &mut dyn Actions) {
        let family = Family::of(m.source);
        let vrid = packet::peek_vrid(m.payload);
        let known = vrid.and_then(|v| self.index.get(&(m.ifindex, family, v)).copied());
        let checked = match known {
            Some(i) => self.inspect(i as usize, m, now, out),
            None => Err(self.check_unknown(m, family)),
        };
        match checked {
            Err(why) => {
                out.act(Action::Report(Report::Dropped { instance: known.map(InstanceId), source: m.source, why }))
            }
            Ok(heard) => {
                if let (Some(i), Some(heard)) = (known, heard) {
                    self.heard(i as usize, m, &heard, now, out);
                }
            }
        }
    }

    /// A message for no instance of ours: counted for the whole router.
    fn check_unknown(&mut self, m: &Received<'_>, family: Family) -> Drop {
        let stats = &mut self.stats;
        if m.ttl != TTL {
            stats.ip_ttl_errors += 1;
            return Drop::Ttl(m.ttl);
        }
        match Packet::new_checked(m.payload, family == Family::V6) {
            Err(Error::Version(n)) => {
                stats.version_errors += 1;
                Drop::Version(n)
            }
            Err(Error::Length(n)) if n < 8 => {
                stats.packet_length_errors += 1;
                Drop::Length(n as u16)
            }
            // A VRID that was damaged on its way is no VRID of somebody else.
            Ok(p) if p.checksum(m.source, m.destination) == (Checksum { plain: false, pseudo: false }) => {
                stats.checksum_errors += 1;
                Drop::Checksum
            }
            _ => {
                stats.vrid_errors += 1;
                Drop::UnknownVrid(packet::peek_vrid(m.payload).unwrap_or(0))
            }
        }
    }

    /// All checks of a message for instance `i`; `None` if it says what another has said already.
    fn inspect(
        &mut self,
        i: usize,
        m: &Received<'_>,
        now: Instant,
        out: &mut dyn Actions,
    ) -> Result<Option<Heard>, Drop> {
        let (config, slot, global) = (&*self.config, &mut self.slots[i], &mut self.stats);
        let instance = &config.instances[i];
        let stats = &mut slot.stats;
        let peer = config.peers_of(instance).iter().find(|p| p.ip == m.source);
        let ttl_fits = match peer {
            Some(p) => (p.min_ttl..=p.max_ttl).contains(&m.ttl),
            None => m.ttl == TTL,
        };
        if !ttl_fits {
            global.ip_ttl_errors += 1;
            return Err(Drop::Ttl(m.ttl));
        }
        if let Some(n) = packet::peek_version(m.payload).filter(|n| !instance.speaks(*n)) {
            global.version_errors += 1;
            return Err(Drop::Version(n));
        }
        let p = Packet::new_checked(m.payload, instance.family == Family::V6).map_err(|e| match e {
            Error::Version(n) => {
                global.version_errors += 1;
                Drop::Version(n)
            }
            Error::Type(n) => {
                stats.invalid_type_pkts_rcvd += 1;
                Drop::Type(n)
            }
            Error::Length(n) => {
                stats.packet_length_errors += 1;
                Drop::Length(n as u16)
            }
            Error::NoAddresses => {
                stats.packet_length_errors += 1;
                Drop::NoAddresses
            }
        })?;
        if config.strict && p.trailing() > 0 {
            stats.packet_length_errors += 1;
            return Err(Drop::Trailing);
        }
        let sum = p.checksum(m.source, m.destination);
        // What is learned of a source counts when the message has passed every check.
        let mut forms = slot.forms;
        let mut learned = None;
        let right = match (m.source, p.version()) {
            (IpAddr::V4(source), Version::V3) => match forms.judge(source, sum) {
                Verdict::Wrong => {
                    slot.forms = forms;
                    false
                }
                Verdict::Accept(_) => true,
                Verdict::Learned(form) => {
                    learned = Some(form);
                    true
                }
            },
            (IpAddr::V4(_), Version::V2) => sum.plain,
            (IpAddr::V6(_), _) => sum.pseudo,
        };
        if !right {
            global.checksum_errors += 1;
            return Err(Drop::Checksum);
        }
        // Unicast instances hear their peers alone, multicast ones the group alone.
        let is_group = m.destination.is_multicast();
        if if instance.unicast.is_some() { peer.is_none() || is_group } else { !is_group } {
            stats.unknown_peer += 1;
            return Err(Drop::NotAPeer);
        }
        if Some(m.source) == slot.source {
            stats.reflected += 1;
            return Err(Drop::Reflected);
        }
        check_auth(instance, &p, stats)?;
        let in_v3 = slot.in_v3.is_some_and(|(source, until)| source == m.source && now < until);
        if in_v3 && instance.also_v2 && p.version() == Version::V2 {
            // §8.4.2: version 2 is ignored from a router that is heard in version 3 too.
            stats.advertisement_rcvd += 1;
            return Ok(None);
        }
        let Some(interval) = p.interval() else {
            stats.interval_errors += 1;
            return Err(Drop::Interval(0));
        };
        let other_interval = interval != instance.advert;
        if other_interval && instance.version == Version::V2 {
            stats.interval_errors += 1;
            return Err(Drop::Interval(interval.get()));
        }
        let other_list = !addresses_match(config, instance, &p);
        if other_list && config.strict {
            stats.address_list_errors += 1;
            return Err(Drop::AddressList);
        }
        // Accepted. What is odd about it is counted all the same.
        let (id, source) = (InstanceId(i as u8), m.source);
        slot.forms = forms;
        if let Some(form) = learned {
            out.act(Action::Report(Report::ChecksumForm { instance: id, source, form }));
        }
        if p.version() == Version::V3 && m.source.is_ipv4() {
            if sum.plain {
                stats.checksum_plain_rcvd += 1;
            } else {
                stats.checksum_pseudo_rcvd += 1;
            }
        }
        if other_interval {
            stats.interval_errors += 1;
            // As Active we do not follow it; the routers agree again when one yields.
            let follows = matches!(slot.election.state(), State::Backup { .. } | State::Ready);
            if follows && interval != slot.election.active_adver_interval() {
                out.act(Action::Report(Report::IntervalLearned { instance: id, source, theirs: interval }));
            }
        }
        if other_list {
            stats.address_list_errors += 1;
            out.act(Action::Report(Report::AddressListDiffers { instance: id, source }));
        }
        if p.trailing() > 0 {
            stats.trailing_bytes += 1;
        }
        stats.advertisement_rcvd += 1;
        if instance.also_v2 && p.version() == Version::V3 {
            // One interval and no more: where its next in version 3 is lost, the one in version 2 counts.
            slot.in_v3 = Some((m.source, now + interval.micros()));
        }
        let source_greater = slot.source.is_some_and(|ours| m.source > ours);
        Ok(Some(Heard { version: p.version(), priority: p.priority(), interval, source_greater }))
    }

    /// A good advert reaches the election.
    fn heard(&mut self, i: usize, m: &Received<'_>, heard: &Heard, now: Instant, out: &mut dyn Actions) {
        let p = self.parameters(i);
        let before = self.slots[i].election.state();
        let was_active = matches!(before, State::Active { .. });
        let slot = &mut self.slots[i];
        if heard.priority == 0 {
            slot.stats.priority_zero_pkts_rcvd += 1;
            slot.last_event = LastEvent::PriorityZero;
        } else if slot.last_event == LastEvent::PriorityZero {
            // Another router took over: a later time-out has nothing to do with that farewell.
            slot.last_event = LastEvent::None;
        }
        let id = InstanceId(i as u8);
        if heard.priority == PRIORITY_OWNER && p.priority == PRIORITY_OWNER {
            out.act(Action::Report(Report::TwoOwners { instance: id, source: m.source }));
        }
        let outcome = slot.election.advertisement(&p, heard, now);
        let slot = &mut self.slots[i];
        match slot.election.state() {
            State::Backup { .. } | State::Ready if heard.priority != 0 => {
                slot.master = Some((m.source, heard.priority))
            }
            _ => {}
        }
        match outcome {
            Outcome::BecameBackup => slot.last_event = LastEvent::HigherPriority,
            Outcome::Assert | Outcome::AssertWhenDue | Outcome::Outlasted => {
                let (source, priority) = (m.source, heard.priority);
                out.act(Action::Report(Report::Conflict { instance: id, source, priority }));
            }
            _ => {}
        }
        // Another router speaks: what an earlier run of ours left on the interface goes.
        if slot.stale && !was_active && heard.priority != 0 {
            self.uninstall(i, out);
        }
        self.follow(i, outcome, now, out);
        let after = self.slots[i].election.state();
        if heard.priority != 0 && matches!(after, State::Backup { .. }) && after != before {
            // It is not discarded: the sender is the Active router, for this one and so for its group.
            self.pull(i, now, out);
        }
    }
}

/// C23: version 2's authentication; type 0 is ignored on receive if we use none either.
fn check_auth(instance: &Instance, p: &Packet<'_>, stats: &mut InstanceStats) -> Result<(), Drop> {
    if p.version() == Version::V3 {
        return Ok(());
    }
    match (p.auth(), instance.password) {
        (Auth::None, None) => Ok(()),
        (Auth::Simple(theirs), Some(ours)) if theirs == ours => Ok(()),
        (Auth::Simple(_), Some(_)) => {
            stats.auth_failure += 1;
            Err(Drop::AuthFailure)
        }
        (Auth::Unknown(n), _) => {
            stats.auth_invalid_type += 1;
            Err(Drop::AuthType(n))
        }
        (theirs, _) => {
            stats.auth_type_mismatch += 1;
            Err(Drop::AuthMismatch(match theirs {
                Auth::Simple(_) => 1,
                Auth::Header => 2,
                _ => 0,
            }))
        }
    }
}

/// C18, C21: the same addresses, whatever their order; over IPv6 the first is a link-local one.
fn addresses_match(config: &Config, instance: &Instance, p: &Packet<'_>) -> bool {
    let ours = || config.addresses_of(instance).iter().filter(|a| !a.excluded).map(|a| a.ip);
    let link_local = |ip: IpAddr| matches!(ip, IpAddr::V6(a) if a.is_unicast_link_local());
    if instance.family == Family::V6 && !p.addresses().next().is_some_and(link_local) {
        return false;
    }
    ours().eq(p.addresses()) || (ours().count() == p.addresses().len() && p.addresses().all(|a| ours().any(|o| o == a)))
}
