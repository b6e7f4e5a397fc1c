//! What status shows of an instance.

use core::net::IpAddr;

use super::Router;
use super::event::{Fault, Shown};
use crate::config::model::{Address, Check, Condition, Group, Instance, Track};
use crate::vrrp::election::State;
use crate::vrrp::stats::{InstanceStats, LastEvent, Reason};
use crate::vrrp::timing::{Centis, Instant, Micros};

/// One instance as it stands.
#[derive(Clone, Copy, Debug)]
pub struct InstanceView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its interface.
    pub interface: &'a str,
    /// Its macvlan; empty if it has no virtual MAC address.
    pub vmac: &'a str,
    /// Its configuration.
    pub config: &'a Instance,
    /// Its virtual addresses.
    pub addresses: &'a [Address],
    /// Effective priority.
    pub effective_priority: u8,
    /// State in keepalived's words.
    pub state: Shown,
    /// Priority 0 is sent, the successor is awaited.
    pub leaving: bool,
    /// Until when it leaves being Active to others, as it was told; [`FOR_EVER`](super::FOR_EVER) if it
    /// was not told an end.
    pub yielded: Option<Instant>,
    /// Why it is in Fault.
    pub fault: Option<Fault>,
    /// When the state changed.
    pub since: Instant,
    /// How often it changed.
    pub transitions: u32,
    /// The Active router that was heard last, and its priority; `None` as Active.
    pub master: Option<(IpAddr, u8)>,
    /// What it sends from.
    pub source: Option<IpAddr>,
    /// Active_Adver_Interval, learned or own.
    pub active_adver_interval: Centis,
    /// Skew_Time.
    pub skew_time: Micros,
    /// Active_Down_Interval.
    pub active_down_interval: Micros,
    /// RFC 8347 last-event.
    pub last_event: LastEvent,
    /// RFC 8347 new-master-reason.
    pub reason: Reason,
    /// Counters.
    pub stats: &'a InstanceStats,
}

/// What an instance tracks.
#[derive(Clone, Copy, Debug)]
pub struct TrackView<'a> {
    /// Name of the interface or of the check.
    pub name: &'a str,
    /// Its weight.
    pub track: &'a Track,
    /// What is known of it.
    pub condition: Condition,
}

/// A check.
#[derive(Clone, Copy, Debug)]
pub struct CheckView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its configuration.
    pub config: &'a Check,
    /// What is known.
    pub condition: Condition,
}

/// A sync group.
#[derive(Clone, Copy, Debug)]
pub struct GroupView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its configuration.
    pub config: &'a Group,
    /// The state that all its instances were in last.
    pub state: Shown,
    /// When that changed.
    pub since: Instant,
}

impl Router {
    /// How many instances there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Instance `i` as it stands.
    pub fn view(&self, i: usize) -> Option<InstanceView<'_>> {
        let (slot, config) = (self.slots.get(i)?, self.config.instances.get(i)?);
        let p = self.parameters(i);
        Some(InstanceView {
            name: self.config.str(config.name),
            interface: self.config.str(config.interface),
            vmac: self.config.str(config.vmac),
            config,
            addresses: self.config.addresses_of(config),
            effective_priority: slot.priority,
            state: slot.shown,
            leaving: matches!(slot.election.state(), State::Leaving { .. }),
            yielded: self.yielded(i),
            fault: slot.fault,
            since: slot.since,
            transitions: slot.transitions,
            master: slot.master,
            source: slot.source,
            active_adver_interval: slot.election.active_adver_interval(),
            skew_time: slot.election.skew_time(&p),
            active_down_interval: slot.election.active_down_interval(&p),
            last_event: slot.last_event,
            reason: slot.reason,
            stats: &slot.stats,
        })
    }

    /// What counts for instance `i`: what it tracks itself, and what its group adds.
    pub fn tracks(&self, i: usize) -> impl Iterator<Item = TrackView<'_>> {
        let i = i.min(self.slots.len().saturating_sub(1));
        self.trackers(i).map(|(track, condition)| TrackView {
            name: self.config.str(track.what.name()),
            track,
            condition,
        })
    }

    /// Check `c` as it stands.
    pub fn check(&self, c: usize) -> Option<CheckView<'_>> {
        let config = self.config.checks.get(c)?;
        Some(CheckView { name: self.config.str(config.name), config, condition: self.checks[c].condition() })
    }

    /// Group `g` as it stands.
    pub fn group(&self, g: usize) -> Option<GroupView<'_>> {
        let config = self.config.groups.get(g)?;
        let state = self.groups.get(g)?;
        Some(GroupView { name: self.config.str(config.name), config, state: state.shown, since: state.since })
    }

    /// The instances of group `g`, by their places.
    pub fn members(&self, g: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.slots.len()).filter(move |i| self.slots[*i].group == Some(g as u8))
    }

    /// Instance `i`'s election state, for tests that hold the invariants of the protocol.
    pub fn election_state(&self, i: usize) -> Option<State> {
        self.slots.get(i).map(|s| s.election.state())
    }
}
