//! When gratuitous ARP and neighbour advertisements are sent: a burst on becoming Active, a second
//! one after a delay for switches that were still learning, and a refresh while Active if asked for.

use crate::config::model::Garp;
use crate::vrrp::timing::{Instant, Micros};
use serde::{Deserialize, Serialize};

/// Between two rounds of a burst. A round announces each address once, so that a burst of many
/// addresses neither fills a queue nor falls into a single moment of loss.
pub const PACE: Micros = Micros::from_millis(20);

/// The schedule of one instance.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Announce {
    /// Rounds still to send in the running burst.
    rounds: u8,
    next: Option<Instant>,
    second: Option<Instant>,
    refresh: Option<Instant>,
}

impl Announce {
    /// Begins a burst whose first round is due now, and the second burst and refresh after it.
    pub(super) fn start(&mut self, garp: &Garp, now: Instant) {
        self.burst(garp.repeat.max(1), now);
        self.second = (garp.delay > Micros::ZERO).then(|| now + garp.delay);
        self.refresh = (garp.refresh > Micros::ZERO).then(|| now + garp.refresh);
    }

    /// A burst for another reason (an address put back, a conflict survived); the rest stands.
    pub(super) fn again(&mut self, garp: &Garp, now: Instant) {
        self.burst(garp.repeat.max(1), now);
        if self.second.is_none() && garp.delay > Micros::ZERO {
            self.second = Some(now + garp.delay);
        }
    }

    /// Another configuration while Active: the refresh comes in the new rhythm, or no more.
    pub(super) fn change(&mut self, garp: &Garp, now: Instant) {
        let latest = now + garp.refresh;
        self.refresh = (garp.refresh > Micros::ZERO).then(|| self.refresh.map_or(latest, |t| t.min(latest)));
        self.second = self.second.filter(|_| garp.delay > Micros::ZERO);
    }

    /// No more: not Active any longer.
    pub(super) fn stop(&mut self) {
        *self = Announce::default();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.next, self.second, self.refresh].into_iter().flatten().min()
    }

    /// Whether a round is to be sent now; at most one a call.
    pub(super) fn round_due(&mut self, garp: &Garp, now: Instant) -> bool {
        if self.second.is_some_and(|t| t <= now) {
            self.second = None;
            self.burst(garp.repeat.max(1), now);
        }
        if let Some(t) = self.refresh.filter(|t| *t <= now) {
            let next = t + garp.refresh;
            self.refresh = Some(if next > now { next } else { now + garp.refresh });
            self.burst(garp.refresh_repeat.max(1), now);
        }
        if self.next.is_none_or(|t| t > now) {
            return false;
        }
        self.rounds -= 1;
        self.next = (self.rounds > 0).then(|| now + PACE);
        true
    }

    fn burst(&mut self, rounds: u8, now: Instant) {
        self.rounds = self.rounds.max(rounds);
        self.next = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(garp: Garp, until_ms: u64) -> Vec<u64> {
        let (mut a, mut sent) = (Announce::default(), Vec::new());
        a.start(&garp, Instant(0));
        while let Some(t) = a.deadline().filter(|t| *t <= Instant(until_ms * 1000)) {
            while a.round_due(&garp, t) {
                sent.push(t.0 / 1000);
            }
        }
        sent
    }

    /// keepalived's defaults: five at once (paced), five more after 5 s, no refresh.
    #[test]
    fn defaults() {
        assert_eq!(run(Garp::default(), 60_000), [0, 20, 40, 60, 80, 5000, 5020, 5040, 5060, 5080]);
    }

    /// A refresh every 10 s of two, no second burst.
    #[test]
    fn refresh() {
        let garp = Garp { delay: Micros::ZERO, repeat: 1, refresh: Micros::from_secs(10), refresh_repeat: 2 };
        assert_eq!(run(garp, 25_000), [0, 10_000, 10_020, 20_000, 20_020]);
    }

    /// The refresh is taken away, comes back, and gets shorter: each takes effect at once.
    #[test]
    fn change() {
        let garp =
            |refresh| Garp { delay: Micros::ZERO, repeat: 1, refresh: Micros::from_secs(refresh), refresh_repeat: 1 };
        let (mut a, t) = (Announce::default(), |s: u64| Instant(s * 1_000_000));
        a.start(&garp(10), t(0));
        assert!(a.round_due(&garp(10), t(0)));
        a.change(&garp(0), t(1));
        assert_eq!(a.deadline(), None);
        a.change(&garp(30), t(2));
        assert_eq!(a.deadline(), Some(t(32)));
        a.change(&garp(5), t(3));
        assert_eq!(a.deadline(), Some(t(8)));
        a.change(&garp(60), t(4));
        assert_eq!(a.deadline(), Some(t(8)), "not put off by a reload");
        assert!(a.round_due(&garp(60), t(8)));
        assert_eq!(a.deadline(), Some(t(68)));
    }

    #[test]
    fn stop() {
        let mut a = Announce::default();
        a.start(&Garp::default(), Instant(0));
        a.stop();
        assert_eq!(a.deadline(), None);
        assert!(!a.round_due(&Garp::default(), Instant(99_000_000)));
    }
}
