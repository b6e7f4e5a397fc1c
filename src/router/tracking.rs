//! What changes a priority, or puts an instance in Fault: the interfaces and checks that it tracks.
//!
//! The rules are keepalived's. A positive weight is added while the thing is up, a negative one while
//! it is down; `reverse` changes the sign of what is added; weight 0 is a Fault. The sum is held to
//! 1…254, and an owner's 255 is not touched. What the members of a sync group track counts for all.

use super::event::{CheckId, CheckResult, Fault, InstanceId, Report};
use super::{Action, Actions, Router};
use crate::config::model::{Check, CheckKind, Condition, Initial, MAX_CHECKS, Range, Track, Tracked, Weights};
use crate::vrrp::packet::PRIORITY_OWNER;
use crate::vrrp::timing::Instant;

/// The range of a priority that is neither the owner's nor a farewell.
const LOWEST: i32 = 1;
const HIGHEST: i32 = 254;

/// The thing that a tracker follows, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    Link(u8),
    Check(u8),
}

/// What all that counts for an instance comes to.
pub(super) struct Standing {
    /// Effective priority: the configured one and the weights.
    pub(super) priority: u8,
    /// Something that it tracks keeps it from speaking.
    pub(super) fault: Option<Fault>,
    /// It waits for the first result of a check.
    pub(super) held: bool,
}

/// What a check's runs came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckSlot {
    pub(super) condition: Condition,
    /// From 0 to `rise + fall - 1`: up from `rise` on.
    pub(super) counter: u16,
    /// The interface that an `interface` check looks at, in `links`.
    pub(super) link: Option<u8>,
}

impl CheckSlot {
    pub(super) fn new(check: &Check, link: Option<u8>) -> CheckSlot {
        let (condition, counter) = match check.initial {
            Initial::Unknown => (Condition::Unknown, 0),
            Initial::Up => (Condition::Up, top(check)),
            Initial::Down => (Condition::Down, 0),
        };
        CheckSlot { condition, counter, link }
    }

    pub(super) fn condition(&self) -> Condition {
        self.condition
    }

    /// Goes on from where an equal check of another configuration, `was`, had come to.
    pub(super) fn inherit(&mut self, old: &CheckSlot, was: &Check, check: &Check) {
        if old.condition == Condition::Unknown {
            return;
        }
        self.condition = old.condition;
        self.counter = match old.condition {
            _ if (was.rise, was.fall) == (check.rise, check.fall) => old.counter,
            // What was under way begins anew.
            Condition::Up => top(check),
            _ => 0,
        };
    }

    /// One more run. The first result counts alone; after it `rise` or `fall` in a row are needed.
    fn take(&mut self, check: &Check, result: CheckResult) {
        let rise = check.rise as u16;
        let first = !matches!(self.condition, Condition::Up | Condition::Down);
        self.condition = match result {
            CheckResult::Value(n) => Condition::Value(n),
            CheckResult::Broken => Condition::Broken,
            CheckResult::Up | CheckResult::Down => {
                self.counter = match (result, self.counter) {
                    (CheckResult::Up, n) if !first && n + 1 < rise => n + 1,
                    (CheckResult::Up, _) => top(check),
                    (_, n) if !first && n > rise => n - 1,
                    _ => 0,
                };
                if self.counter >= rise { Condition::Up } else { Condition::Down }
            }
        };
    }
}

fn top(check: &Check) -> u16 {
    check.rise as u16 + check.fall as u16 - 1
}

impl Router {
    /// Check `c` has run.
    pub(super) fn checked(&mut self, c: usize, result: CheckResult, now: Instant, out: &mut dyn Actions) {
        if self.count(c, result, out) {
            self.evaluate_followers(Followed::Check(c as u8), now, out);
        }
    }

    /// Counts a run of check `c`; whether that changes what is known of it.
    fn count(&mut self, c: usize, result: CheckResult, out: &mut dyn Actions) -> bool {
        let (Some(check), Some(slot)) = (self.config.checks.get(c), self.checks.get_mut(c)) else { return false };
        let from = slot.condition;
        slot.take(check, result);
        let to = slot.condition;
        if from != to {
            out.act(Action::Report(Report::Check { check: CheckId(c as u8), from, to }));
        }
        from != to
    }

    /// What an `interface` check finds now; `None` for the other kinds, and before the links are told.
    pub fn interface_result(&self, check: CheckId) -> Option<CheckResult> {
        let link = &self.links[self.checks.get(check.0 as usize)?.link? as usize];
        Some(if link.ifindex != 0 && link.up { CheckResult::Up } else { CheckResult::Down })
    }

    /// Runs the `interface` checks that look at link `at`; all that have no result yet with `None`.
    pub(super) fn check_interfaces(&mut self, at: Option<usize>, now: Instant, out: &mut dyn Actions) {
        // All of them before any follower is looked at: nobody acts on half of the news.
        let mut changed = [false; MAX_CHECKS];
        for (c, changed) in changed.iter_mut().enumerate().take(self.checks.len()) {
            let slot = &self.checks[c];
            let due = match at {
                Some(at) => slot.link.is_some_and(|l| l as usize == at),
                None => slot.condition == Condition::Unknown,
            };
            if due && let Some(result) = self.interface_result(CheckId(c as u8)) {
                *changed = self.count(c, result, out);
            }
        }
        for (c, _) in changed.iter().enumerate().filter(|(_, changed)| **changed) {
            self.evaluate_followers(Followed::Check(c as u8), now, out);
        }
    }

    fn condition_of(&self, followed: Followed) -> Condition {
        match followed {
            Followed::Check(c) => self.checks.get(c as usize).map_or(Condition::Unknown, |c| c.condition),
            Followed::Link(l) => {
                let link = &self.links[l as usize];
                if link.ifindex != 0 && link.up { Condition::Up } else { Condition::Down }
            }
        }
    }

    /// The trackers that may count for instance `i`: its own, its group's, and those of the other members.
    fn candidates(&self, i: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        let group = self.slots[i].group;
        let config = group.and_then(|g| self.config.groups.get(g as usize));
        let shared = config.map_or(Range::default(), |g| g.tracks);
        let others = group.into_iter().flat_map(|g| self.members(g as usize)).filter(move |m| *m != i);
        let weights = config.map_or(Weights::All, |g| g.weights);
        // What faults one faults all, whatever becomes of the weights.
        let counts = move |t: &usize, all: bool| all || self.config.tracks[*t].weight == 0;
        let own = self.config.instances[i].tracks.indices().filter(move |t| counts(t, weights != Weights::Nobody));
        let theirs = others.flat_map(|m| self.config.instances[m].tracks.indices());
        own.chain(shared.indices()).chain(theirs.filter(move |t| counts(t, weights == Weights::All)))
    }

    /// What counts for instance `i`, and what is known of it: each thing once, the instance's own
    /// tracker before its group's and the group's before those of other members.
    pub(super) fn trackers(&self, i: usize) -> impl Iterator<Item = (&Track, Condition)> {
        let candidates = self.candidates(i);
        let before = candidates.clone();
        candidates
            .enumerate()
            .filter(move |(n, t)| !before.clone().take(*n).any(|other| self.tracked[other] == self.tracked[*t]))
            .map(|(_, t)| (&self.config.tracks[t], self.condition_of(self.tracked[t])))
    }

    /// What comes of all that counts for instance `i`.
    pub(super) fn standing(&self, i: usize) -> Standing {
        let base = self.config.instances[i].priority;
        let (mut sum, mut faults, mut held) = (base as i32, false, false);
        for (track, condition) in self.trackers(i) {
            sum += track.adds(condition);
            faults |= track.faults(condition);
            held |= track.holds(condition);
        }
        let priority = if base == PRIORITY_OWNER { base } else { sum.clamp(LOWEST, HIGHEST) as u8 };
        Standing { priority, fault: faults.then_some(Fault::Tracked), held }
    }

    /// The weights have been summed up again; the next advert carries what came out.
    pub(super) fn weigh(&mut self, i: usize, to: u8, out: &mut dyn Actions) {
        let from = core::mem::replace(&mut self.slots[i].priority, to);
        if from != to {
            out.act(Action::Report(Report::Priority { instance: InstanceId(i as u8), from, to }));
        }
    }

    /// Whether `what` counts for instance `i`.
    pub(super) fn follows(&self, i: usize, what: Followed) -> bool {
        self.candidates(i).any(|t| self.tracked[t] == what)
    }

    /// Something changed: whoever follows it is looked at again.
    pub(super) fn evaluate_followers(&mut self, what: Followed, now: Instant, out: &mut dyn Actions) {
        self.evaluate_those(&|router, i| router.follows(i, what), now, out);
    }

    /// The place of what `tracked` names.
    pub(super) fn followed(&mut self, tracked: Tracked) -> Followed {
        match tracked {
            Tracked::Interface(name) => Followed::Link(self.link_named(name)),
            // The configuration's check leaves no tracker without its check; a place behind the last
            // is never known.
            Tracked::Check(name) => Followed::Check(self.config.check_named(name).unwrap_or(255) as u8),
        }
    }

    /// The link of an `interface` check.
    pub(super) fn link_of_check(&mut self, kind: &CheckKind) -> Option<u8> {
        match kind {
            CheckKind::Interface { interface } => Some(self.link_named(*interface)),
            _ => None,
        }
    }
}
