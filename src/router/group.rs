//! Sync groups: instances that are Active together or not at all.
//!
//! The rules are keepalived's. A member whose Active_Down_Timer has fired waits until the others' have
//! too ([`State::Ready`]); a member that yields to another router takes the others along, which hand
//! over (priority 0 first); a member in Fault puts all in Fault. A group's state is what all its
//! members have come to.

use super::event::{GroupId, GroupTransition, Shown};
use super::{Action, Actions, Phase, Router};
use crate::vrrp::election::State;
use crate::vrrp::timing::Instant;
use serde::{Deserialize, Serialize};

/// State of one group.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct GroupSlot {
    pub(super) shown: Shown,
    pub(super) since: Instant,
    #[serde(skip)]
    members: Counted,
}

/// What an advert's way asks of the members of a group: counted, so that it need not look at each.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    active: u16,
    yielded: u16,
}

impl GroupSlot {
    pub(super) const fn new() -> GroupSlot {
        GroupSlot { shown: Shown::Init, since: Instant(0), members: Counted { active: 0, yielded: 0 } }
    }

    /// The group of another configuration: nothing of it is counted yet.
    pub(super) fn inherit(&mut self, was: &GroupSlot) {
        *self = GroupSlot { members: Counted::default(), ..*was };
    }
}

impl Router {
    /// Whether every member of group `g` can be Active.
    fn is_ready(&self, g: u8) -> bool {
        let can = |i: usize| matches!(self.slots[i].election.state(), State::Ready | State::Active { .. });
        self.members(g as usize).all(can)
    }

    /// Instance `i` may have come to wait for others, or others for it: if none is missing any more,
    /// all that wait become Active.
    pub(super) fn proceed(&mut self, i: usize, now: Instant, out: &mut dyn Actions) {
        let group = self.slots[i].group;
        if self.phase != Phase::Running || group.is_some_and(|g| !self.is_ready(g)) {
            return;
        }
        for m in 0..self.slots.len() {
            let same = m == i || (group.is_some() && self.slots[m].group == group);
            if same && self.slots[m].election.state() == State::Ready {
                let p = self.parameters(m);
                let outcome = self.slots[m].election.proceed(&p, now);
                self.follow(m, outcome, now, out);
            }
        }
    }

    /// Keeps the counts of instance `i`'s group: after each change of whether it is Active, or yields.
    pub(super) fn count_member(&mut self, i: usize) {
        let slot = &mut self.slots[i];
        let Some(group) = slot.group.and_then(|g| self.groups.get_mut(g as usize)) else { return };
        let is = (matches!(slot.election.state(), State::Active { .. }), slot.yielded.is_some());
        let was = core::mem::replace(&mut slot.counted, is);
        let members = &mut group.members;
        members.active = members.active + is.0 as u16 - was.0 as u16;
        members.yielded = members.yielded + is.1 as u16 - was.1 as u16;
    }

    /// Counts all groups anew.
    pub(super) fn count_members(&mut self) {
        self.groups.iter_mut().for_each(|group| group.members = Counted::default());
        for i in 0..self.slots.len() {
            self.slots[i].counted = Default::default();
            self.count_member(i);
        }
    }

    /// Whether a member of instance `i`'s group yields.
    pub(super) fn group_yields(&self, i: usize) -> bool {
        self.slots[i].group.and_then(|g| self.groups.get(g as usize)).is_some_and(|g| g.members.yielded > 0)
    }

    /// Another router is Active for instance `i`: the other members of its group hand over too.
    pub(super) fn pull(&mut self, i: usize, now: Instant, out: &mut dyn Actions) {
        let Some(g) = self.slots[i].group else { return };
        if self.groups.get(g as usize).is_none_or(|g| g.members.active == 0) {
            return;
        }
        for m in 0..self.slots.len() {
            let active = matches!(self.slots[m].election.state(), State::Active { .. });
            if m != i && self.slots[m].group == Some(g) && active {
                let p = self.parameters(m);
                let outcome = self.slots[m].election.leave(&p, now);
                self.follow(m, outcome, now, out);
            }
        }
    }

    /// Instance `i` shows another state: if all of its group do, the group does.
    pub(super) fn show_group(&mut self, i: usize, now: Instant, out: &mut dyn Actions) {
        let Some(g) = self.slots[i].group else { return };
        let to = self.slots[i].shown;
        let together = self.members(g as usize).all(|m| self.slots[m].shown == to);
        let Some(group) = self.groups.get_mut(g as usize) else { return };
        if together && group.shown != to {
            let from = core::mem::replace(&mut group.shown, to);
            group.since = now;
            out.act(Action::GroupChanged(GroupTransition { group: GroupId(g), from, to }));
        }
    }
}
