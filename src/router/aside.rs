//! Instances that leave being Active to other routers, because they were told to: until they are told to
//! resume, or because the configuration that comes has them no more.

use super::event::{InstanceId, Report};
use super::{Action, Actions, Router, counterpart};
use crate::config::model::Config;
use crate::vrrp::election::State;
use crate::vrrp::timing::Instant;

/// The end of a yield that has none.
pub const FOR_EVER: Instant = Instant(u64::MAX);

impl Router {
    /// Until when instance `i` stays aside: as long as one of its group does.
    pub(super) fn yielded(&self, i: usize) -> Option<Instant> {
        let group = self.slots[i].group;
        let all = self.slots.iter().enumerate();
        all.filter(|(m, slot)| *m == i || (group.is_some() && slot.group == group)).filter_map(|(_, s)| s.yielded).max()
    }

    /// An instance and all of its group yield until a moment, or resume.
    pub(super) fn stand_aside(&mut self, i: usize, until: Option<Instant>, now: Instant, out: &mut dyn Actions) {
        let Some(group) = self.slots.get(i).map(|slot| slot.group) else { return };
        for m in 0..self.slots.len() {
            if m == i || (group.is_some() && self.slots[m].group == group) {
                let was = core::mem::replace(&mut self.slots[m].yielded, until);
                if was != until {
                    out.act(Action::Report(Report::Yielded { instance: InstanceId(m as u8), until }));
                }
                if until.is_some() && self.slots[m].stale {
                    // What an earlier run left is not to be found active by whoever works on the machine.
                    self.uninstall(m, out);
                }
                self.rearm(m);
            }
        }
        self.evaluate(i, now, out);
    }

    /// Ends the yield of instance `i` when its time has come.
    pub(super) fn end_yield(&mut self, i: usize, now: Instant, out: &mut dyn Actions) {
        if self.slots[i].yielded.take_if(|until| *until <= now).is_some() {
            self.count_member(i);
            out.act(Action::Report(Report::Yielded { instance: InstanceId(i as u8), until: None }));
        }
    }

    /// A reload to `config` is near: the instances that it lacks hand over. When
    /// [`has_parted`](Self::has_parted) says so nobody waits for them any more.
    pub fn part(&mut self, config: &Config, now: Instant, out: &mut dyn Actions) {
        for i in 0..self.slots.len() {
            let parting = counterpart(&self.config, i, config).is_none();
            if parting || core::mem::take(&mut self.slots[i].parting) {
                self.slots[i].parting = parting;
                self.evaluate(i, now, out);
            }
        }
    }

    /// Whether an instance waits for its successor.
    pub fn is_leaving(&self) -> bool {
        self.slots.iter().any(|s| matches!(s.election.state(), State::Leaving { .. }))
    }

    /// Whether no instance that the coming configuration lacks waits for its successor.
    pub fn has_parted(&self) -> bool {
        !self.slots.iter().any(|s| s.parting && matches!(s.election.state(), State::Leaving { .. }))
    }
}
