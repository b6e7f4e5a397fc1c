//! What changes a priority, or puts an instance in Fault: the interfaces that it tracks.
//!
//! The rules are keepalived's. A positive weight is added while the thing is up, a negative one while
//! it is down; `reverse` lets up and down change places; weight 0 is a Fault. The sum is held to
//! 1…254, and an owner's 255 is not touched.

use super::event::{InstanceId, Report};
use super::{Action, Actions, Router};
use crate::config::model::Track;
use crate::vrrp::packet::PRIORITY_OWNER;
use crate::vrrp::timing::Instant;

/// The range of a priority that is neither the owner's nor a farewell.
const LOWEST: i32 = 1;
const HIGHEST: i32 = 254;

impl Router {
    /// What instance `i` tracks, and whether it is up.
    pub(super) fn trackers(&self, i: usize) -> impl Iterator<Item = (&Track, bool)> {
        self.config.instances[i].tracks.indices().map(|t| {
            let link = &self.links[self.tracked[t] as usize];
            (&self.config.tracks[t], link.ifindex != 0 && link.up)
        })
    }

    /// The configured priority and the weights.
    pub(super) fn effective_priority(&self, i: usize) -> u8 {
        let base = self.config.instances[i].priority;
        if base == PRIORITY_OWNER {
            return base;
        }
        let sum: i32 = self.trackers(i).map(|(track, up)| track.adds(up) as i32).sum();
        (base as i32 + sum).clamp(LOWEST, HIGHEST) as u8
    }

    /// Sums up the weights again; the next advert carries what comes out.
    pub(super) fn weigh(&mut self, i: usize, out: &mut dyn Actions) {
        let to = self.effective_priority(i);
        let from = core::mem::replace(&mut self.slots[i].priority, to);
        if from != to {
            out.act(Action::Report(Report::Priority { instance: InstanceId(i as u8), from, to }));
        }
    }

    /// Whether something that instance `i` tracks keeps it from speaking.
    pub(super) fn tracked_fault(&self, i: usize) -> Option<super::Fault> {
        self.trackers(i).any(|(track, up)| track.faults(up)).then_some(super::Fault::Tracked)
    }

    /// Link `at` changed: whoever tracks it is looked at again.
    pub(super) fn evaluate_tracking(&mut self, at: usize, now: Instant, out: &mut dyn Actions) {
        for i in 0..self.slots.len() {
            let tracks = |t: usize| self.tracked.get(t).is_some_and(|l| *l as usize == at);
            if self.config.instances[i].tracks.indices().any(tracks) {
                self.evaluate(i, now, out);
            }
        }
    }
}
