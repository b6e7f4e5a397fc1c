//! The state machine of RFC 9568 §6.4, one function per state and event, to be read beside it.
//!
//! Two things are added: [`State::Leaving`], in which a router that hands over on purpose keeps its
//! addresses until the successor speaks, and a cap on the adverts that §6.4.3 sends at once against
//! a losing Active. Fault is no state of the election: a router in Fault is in Initialize.

use super::stats::Reason;
use super::timing::{Centis, Instant, Micros, Version, active_down_interval, skew_time};
use serde::{Deserialize, Serialize};

/// What the election needs to know of the configuration; it may change between two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Protocol version: it decides Skew_Time and whether the interval is learned.
    pub version: Version,
    /// Version 2 is spoken too (§8.4.2).
    pub also_v2: bool,
    /// Effective priority, 1…255.
    pub priority: u8,
    /// Advertisement_Interval.
    pub advertisement_interval: Centis,
    /// Preempt_Mode; an owner preempts whatever it says.
    pub preempt: bool,
    /// How long a lower advert is to be heard before it is preempted.
    pub preempt_delay: Micros,
    /// Others must be able to become Active along with it: it waits for them as [`State::Ready`].
    pub together: bool,
    /// It was told to leave Active to others: Backup, whatever is or is not heard.
    pub aside: bool,
}

/// An advert that passed all checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its version.
    pub version: Version,
    /// Priority of the sender.
    pub priority: u8,
    /// Its Max Advertise Interval.
    pub interval: Centis,
    /// Whether the sender's primary address is greater than ours (unsigned, network order).
    pub source_greater: bool,
}

/// The state, with the one timer that runs in it. No other timer exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// §6.4.1.
    #[default]
    Initialize,
    /// §6.4.2.
    Backup {
        /// When Active_Down_Timer fires.
        active_down: Instant,
    },
    /// Backup whose Active_Down_Timer has fired, until the rest of its sync group can be Active too.
    Ready,
    /// §6.4.3.
    Active {
        /// When Adver_Timer fires.
        adver: Instant,
    },
    /// Priority 0 is sent, the addresses are still here: until the successor speaks, or this moment.
    Leaving {
        /// When it ends all the same.
        until: Instant,
    },
}

/// What an event led to. The new state is in [`VirtualRouter::state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to do.
    Nothing,
    /// Became Active: send an advert, then announce each address.
    BecameActive(Reason),
    /// Backup that waits for the rest of its group.
    BecameReady,
    /// Became Backup, from Initialize or because a better Active was heard.
    BecameBackup,
    /// Still Active: send an advert.
    Advertise,
    /// Still Active, a losing Active was heard: send an advert at once.
    Assert,
    /// The same, but the regular advert is overdue: it answers, once what else waits is read.
    AssertWhenDue,
    /// Still Active, a losing Active was heard, and it has just been answered.
    Outlasted,
    /// Backup that stays [`aside`](Parameters::aside), though nobody is Active.
    Unclaimed,
    /// Left Active on purpose: send an advert of priority 0; the addresses stay.
    Left,
    /// Initialize, or left long enough ago: give the addresses up.
    Released,
}

/// Longest stay in [`State::Leaving`].
pub const LEAVE_MAX: Micros = Micros::from_secs(5);
/// What is added to the Skew_Time of the slowest successor: its scheduling and its first advert's way.
pub const LEAVE_MARGIN: Micros = Micros::from_millis(100);

/// One virtual router's election.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct VirtualRouter {
    /// Its state.
    state: State,
    /// Active_Adver_Interval: ours until an Active router is heard.
    active_adver_interval: Centis,
    /// The version that the Active router speaks: ours, or the better of both, until one is heard.
    active_version: Version,
    /// Backup: the Active router is alive, and we let the timer run out to take over from it.
    preempting: bool,
    /// Backup: since when a lower advert is heard without a better one between (preempt delay).
    lower_since: Option<Instant>,
    /// Active: no further assertion before this moment.
    assert_after: Instant,
}

impl Default for VirtualRouter {
    fn default() -> VirtualRouter {
        VirtualRouter {
            state: State::Initialize,
            active_adver_interval: Centis::SECOND,
            active_version: Version::V3,
            preempting: false,
            lower_since: None,
            assert_after: Instant(0),
        }
    }
}

impl VirtualRouter {
    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Active_Adver_Interval.
    pub fn active_adver_interval(&self) -> Centis {
        self.active_adver_interval
    }

    /// Skew_Time at the learned interval.
    pub fn skew_time(&self, p: &Parameters) -> Micros {
        skew_time(self.version(p), p.priority, self.active_adver_interval)
    }

    /// Active_Down_Interval at the learned interval.
    pub fn active_down_interval(&self, p: &Parameters) -> Micros {
        active_down_interval(self.version(p), p.priority, self.active_adver_interval)
    }

    /// Whose rule gives Skew_Time. Where both versions are spoken it is the one that the Active router
    /// speaks: those that wait with us for its silence go by that, so that the best of them is the first.
    fn version(&self, p: &Parameters) -> Version {
        if p.also_v2 { self.active_version } else { p.version }
    }

    /// When the timer of the state fires.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Initialize | State::Ready => None,
            State::Backup { active_down } => Some(active_down),
            State::Active { adver } => Some(adver),
            State::Leaving { until } => Some(until),
        }
    }

    /// §6.4.1: a Startup event is received. Without effect outside Initialize.
    pub fn startup(&mut self, p: &Parameters, now: Instant) -> Outcome {
        if self.state != State::Initialize {
            return Outcome::Nothing;
        }
        (self.active_adver_interval, self.active_version) = (p.advertisement_interval, p.version);
        if p.priority == super::packet::PRIORITY_OWNER && !p.aside {
            // If the Priority = 255: send an ADVERTISEMENT, announce, set the Adver_Timer.
            self.enter_active_in_time(p, now, Reason::Priority)
        } else {
            // else: set the Active_Adver_Interval and the Active_Down_Timer.
            self.enter_backup(p, now)
        }
    }

    /// §6.4.2, §6.4.3: a Shutdown event is received, and nobody can or need take over in an orderly way.
    pub fn shutdown(&mut self) -> Outcome {
        let before = core::mem::take(&mut self.state);
        if before == State::Initialize { Outcome::Nothing } else { Outcome::Released }
    }

    /// §6.4.3: a Shutdown event is received as Active, make-before-break. From any other state: [`shutdown`](Self::shutdown).
    pub fn leave(&mut self, p: &Parameters, now: Instant) -> Outcome {
        match self.state {
            State::Active { .. } => {
                // Cancel the Adver_Timer; send an ADVERTISEMENT with Priority = 0. The slowest
                // successor, of priority 1, speaks a Skew_Time later.
                let wait = skew_time(p.version, 1, p.advertisement_interval) + LEAVE_MARGIN;
                self.state = State::Leaving { until: now + wait.min(LEAVE_MAX) };
                Outcome::Left
            }
            State::Leaving { .. } => Outcome::Nothing,
            State::Initialize | State::Backup { .. } | State::Ready => self.shutdown(),
        }
    }

    /// Told to stay [`aside`](Parameters::aside): an Active leaves, all else is Backup from here on.
    pub fn stand_aside(&mut self, p: &Parameters, now: Instant) -> Outcome {
        match self.state {
            State::Active { .. } => self.leave(p, now),
            State::Ready => self.enter_backup(p, now),
            State::Initialize | State::Backup { .. } | State::Leaving { .. } => Outcome::Nothing,
        }
    }

    /// The timer of the state fires, if it is due at `now`.
    pub fn timeout(&mut self, p: &Parameters, now: Instant) -> Outcome {
        match self.state {
            // Nobody is Active, and it is not to be us.
            State::Backup { active_down } if active_down <= now && p.aside => {
                self.preempting = false;
                self.state = State::Backup { active_down: now + self.active_down_interval(p) };
                Outcome::Unclaimed
            }
            // §6.4.2: If the Active_Down_Timer fires.
            State::Backup { active_down } if active_down <= now => {
                let reason = if self.preempting { Reason::Preempted } else { Reason::NoResponse };
                self.enter_active_in_time(p, now, reason)
            }
            // §6.4.3: If the Adver_Timer fires: send an ADVERTISEMENT, reset the Adver_Timer. It is
            // reset from when it was due, so that lateness does not add up; what was missed is missed.
            State::Active { adver } if adver <= now => {
                let interval = p.advertisement_interval.micros();
                let next = adver + interval;
                self.state = State::Active { adver: if next > now { next } else { now + interval } };
                Outcome::Advertise
            }
            State::Leaving { until } if until <= now => self.shutdown(),
            _ => Outcome::Nothing,
        }
    }

    /// The rest of the group can be Active too: becomes Active. Without effect outside [`State::Ready`].
    pub fn proceed(&mut self, p: &Parameters, now: Instant) -> Outcome {
        if self.state != State::Ready {
            return Outcome::Nothing;
        }
        let reason = match (p.priority, self.preempting) {
            (super::packet::PRIORITY_OWNER, _) => Reason::Priority,
            (_, true) => Reason::Preempted,
            (_, false) => Reason::NoResponse,
        };
        self.enter_active(p, now, reason)
    }

    /// As Active: does what is due a little later now, so that one wake-up serves several.
    pub fn advertise_early(&mut self, p: &Parameters) -> Outcome {
        match self.state {
            State::Active { adver } => self.timeout(p, adver),
            _ => Outcome::Nothing,
        }
    }

    /// An ADVERTISEMENT is received that passed all checks and is not our own.
    pub fn advertisement(&mut self, p: &Parameters, heard: &Heard, now: Instant) -> Outcome {
        match self.state {
            State::Initialize => Outcome::Nothing,
            State::Backup { active_down } => self.advertisement_as_backup(p, heard, Some(active_down), now),
            State::Ready => self.advertisement_as_backup(p, heard, None, now),
            State::Active { adver } => self.advertisement_as_active(p, heard, adver, now),
            // The successor speaks. A priority 0 is somebody else who leaves.
            State::Leaving { .. } if heard.priority != 0 => self.shutdown(),
            State::Leaving { .. } => Outcome::Nothing,
        }
    }

    /// §6.4.2: If an ADVERTISEMENT is received. `active_down` is `None` if the timer has fired.
    fn advertisement_as_backup(
        &mut self,
        p: &Parameters,
        heard: &Heard,
        active_down: Option<Instant>,
        now: Instant,
    ) -> Outcome {
        if heard.priority == 0 {
            // If the Priority is 0: set the Active_Down_Timer to Skew_Time. Never later than it stood,
            // so that a flood of them does not keep us from taking over.
            self.preempting = false;
            if let Some(active_down) = active_down {
                self.state = State::Backup { active_down: active_down.min(now + self.skew_time(p)) };
            }
            return Outcome::Nothing;
        }
        let owner = p.priority == super::packet::PRIORITY_OWNER;
        let lower = heard.priority < p.priority;
        let held_back = {
            let since = *self.lower_since.get_or_insert(now);
            !owner && now.since(since) < p.preempt_delay
        };
        if !lower {
            self.lower_since = None;
        }
        if !lower || held_back || p.aside || !(p.preempt || owner) {
            // If Preempt_Mode is False, or the Priority is greater than or equal to the local one:
            // learn the interval, recompute, set the Active_Down_Timer.
            self.preempting = false;
            self.learn(p, heard);
            self.state = State::Backup { active_down: now + self.active_down_interval(p) };
        } else {
            // else: discard the ADVERTISEMENT.
            self.preempting = true;
        }
        Outcome::Nothing
    }

    /// §6.4.3: If an ADVERTISEMENT is received. Preempt_Mode is not considered.
    ///
    /// After a stall many may wait, and the last may make us yield: while our own advert is overdue
    /// none of them is answered by itself.
    fn advertisement_as_active(&mut self, p: &Parameters, heard: &Heard, adver: Instant, now: Instant) -> Outcome {
        if heard.priority == 0 {
            // If the Priority is 0: send an ADVERTISEMENT, reset the Adver_Timer. A flood of them
            // must not make us flood: the cap is the same as for assertions.
            if adver <= now || !self.may_assert(p, now) {
                return Outcome::Nothing;
            }
            self.state = State::Active { adver: now + p.advertisement_interval.micros() };
            return Outcome::Advertise;
        }
        if heard.priority > p.priority || (heard.priority == p.priority && heard.source_greater) {
            // If the Priority is greater, or equal and the sender's address greater: cancel Adver_Timer,
            // learn, recompute, set the Active_Down_Timer, transition to Backup.
            self.learn(p, heard);
            return self.enter_backup(p, now);
        }
        // else: discard, and send an ADVERTISEMENT immediately; capped, and the Adver_Timer runs on.
        match (self.may_assert(p, now), adver <= now) {
            (true, false) => Outcome::Assert,
            (true, true) => Outcome::AssertWhenDue,
            (false, _) => Outcome::Outlasted,
        }
    }

    /// One answer within half an interval: a peer that heard it has yielded by then.
    fn may_assert(&mut self, p: &Parameters, now: Instant) -> bool {
        if now < self.assert_after {
            return false;
        }
        self.assert_after = now + Micros(p.advertisement_interval.micros().0 / 2);
        true
    }

    /// Version 2 by itself does not learn: there the interval is the same, or the advert was discarded.
    fn learn(&mut self, p: &Parameters, heard: &Heard) {
        self.active_adver_interval = match p.version {
            Version::V2 => p.advertisement_interval,
            Version::V3 => heard.interval,
        };
        self.active_version = heard.version;
    }

    fn enter_active_in_time(&mut self, p: &Parameters, now: Instant, reason: Reason) -> Outcome {
        if p.together {
            self.state = State::Ready;
            return Outcome::BecameReady;
        }
        self.enter_active(p, now, reason)
    }

    fn enter_active(&mut self, p: &Parameters, now: Instant, reason: Reason) -> Outcome {
        self.preempting = false;
        self.lower_since = None;
        self.state = State::Active { adver: now + p.advertisement_interval.micros() };
        Outcome::BecameActive(reason)
    }

    fn enter_backup(&mut self, p: &Parameters, now: Instant) -> Outcome {
        self.preempting = false;
        self.lower_since = None;
        self.state = State::Backup { active_down: now + self.active_down_interval(p) };
        Outcome::BecameBackup
    }
}

#[cfg(test)]
mod tests;
