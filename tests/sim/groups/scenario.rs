//! A scenario of one seed: faults for a while, then quiet, then single faults of an agreed group.

use std::fmt::Write;

use picovrrp::config::model::{Initial, Preempt};
use picovrrp::router::event::Shown;
use picovrrp::vrrp::election::State;
use picovrrp::vrrp::timing::{Centis, Micros, Version, skew_time};

use super::plan::{LANS, Plan, WAN};
use super::world::{Ev, Host, Op, World, name};
use crate::network::Network;
use crate::rng::Rng;
use crate::tracked::{self, CheckSpec, Found, Look, Thing, TrackSpec};

struct Scene {
    w: World,
    lans: usize,
    /// Advertisement_Interval, and the greatest delay of a packet.
    t: u64,
    d: u64,
    /// Every router ranks the same on all LANs.
    level: bool,
}

pub fn run(seed: u64) -> Result<(), String> {
    let mut s = build(seed);
    s.play();
    assert!(s.w.failure.is_some() || s.w.steps > 50, "seed {seed} is no scenario");
    let Some(f) = &s.w.failure else { return Ok(()) };
    let mut text = format!("{f}\n");
    for (h, host) in s.w.hosts.iter().enumerate() {
        let _ = writeln!(text, "  {}: {:?}", name(h), host.plan);
    }
    Err(text + &s.w.log.concat())
}

fn build(seed: u64) -> Scene {
    let mut rng = Rng::new(seed ^ 0x6772_6f75);
    let (n, lans) = (2 + rng.index(2), 2 + rng.index(2));
    let advert = rng.pick(&[10u16, 50, 100, 100, 200]);
    let t = advert as u64 * 10_000;
    let first = 20 + rng.below(200) as u8;
    // Routers that rank differently on the LANs may never agree, and must still be Active as a whole.
    let crossed = rng.percent(12);
    let owner = rng.percent(10);
    let style = rng.below(10);
    let mut hosts = Vec::new();
    for h in 0..n {
        let mut priority = [if owner && h == 0 { 255 } else { first + 10 * h as u8 }; LANS];
        if crossed {
            priority = std::array::from_fn(|_| 1 + rng.below(254) as u8);
        }
        let after = Preempt::After(Micros((1 + rng.below(4)) * t));
        let preempt = match style {
            0..6 => Preempt::On,
            6 | 7 => Preempt::Off,
            8 => after,
            _ => rng.pick(&[Preempt::On, Preempt::Off, after]),
        };
        let all: Vec<usize> = (0..lans).collect();
        let (checks, tracks, shared) = tracking(&mut rng, lans, crossed);
        let plan = Plan {
            priority,
            advert,
            preempt,
            present: all.clone(),
            grouped: all,
            weights: rng.percent(70),
            checks,
            tracks,
            shared,
        };
        hosts.push(Host::new(plan));
    }
    let delay = rng.pick(&[50, 500, t / 20, t / 8]);
    let jitter = rng.pick(&[0, delay / 10, delay]);
    let nets = (0..lans).map(|_| Network::new(delay, jitter)).collect();
    let latency = rng.pick(&[0, 50, 500]);
    let w = World::new(hosts, nets, rng, latency);
    Scene { w, lans, t, d: delay + jitter, level: !crossed }
}

/// Random checks; each is tracked by a member, by several with one weight, or by the group.
fn tracking(rng: &mut Rng, lans: usize, crossed: bool) -> (Vec<CheckSpec>, [Vec<TrackSpec>; LANS], Vec<TrackSpec>) {
    let (mut checks, mut tracks, mut shared) = (Vec::new(), [const { Vec::new() }; LANS], Vec::new());
    if rng.percent(20) {
        return (checks, tracks, shared);
    }
    for number in 0..1 + rng.below(3) as u16 {
        let look = rng.pick(&[Look::Script, Look::Script, Look::File, Look::Interface(WAN)]);
        let (rise, fall) = if look == Look::File { (1, 1) } else { (rng.pick(&[1, 2, 3]), rng.pick(&[1, 2])) };
        let initial = if look == Look::File { Initial::Unknown } else { rng.pick(&[Initial::Unknown, Initial::Up]) };
        checks.push(CheckSpec { number, look, rise, fall, initial });
    }
    let things = (0..checks.len()).map(Thing::Check).chain([Thing::Interface(WAN)]);
    for what in things {
        let look = if let Thing::Check(c) = what { checks[c].look } else { Look::Script };
        let one = tracked::weight(rng, what, look);
        match rng.below(4) {
            0 => shared.push(one),
            1 => tracks[rng.index(lans)].push(one),
            2 => {
                // It counts once, however many members track it.
                for of in &mut tracks[..lans] {
                    of.push(if crossed { tracked::weight(rng, what, look) } else { one });
                }
            }
            _ if matches!(what, Thing::Interface(_)) => {}
            _ => {
                tracks[rng.index(lans)].push(one);
                shared.push(one);
            }
        }
    }
    (checks, tracks, shared)
}

impl Scene {
    fn play(&mut self) {
        for h in 0..self.w.hosts.len() {
            let at = self.w.rng.below(2 * self.t);
            self.w.at(at, Ev::Op(Op::Boot(h)));
        }
        self.chaos();
        self.calm();
        self.agree("after the faults");
        self.steady();
        for _ in 0..3 {
            if self.w.failure.is_some() || !self.level {
                return;
            }
            match self.w.rng.below(6) {
                0 => self.crash(),
                1 => self.link_down(),
                2 => self.check_fails(),
                3 => self.split_one(),
                4 => self.ungroup(),
                _ => self.stop(),
            }
        }
    }

    fn chaos(&mut self) {
        let end = self.t * (10 + self.w.rng.below(30));
        for _ in 0..2 + self.w.rng.below(20) {
            let at = self.w.rng.below(end);
            let later = at + self.w.rng.below((end - at).min(8 * self.t) + 1);
            let (h, lan) = (self.w.rng.index(self.w.hosts.len()), self.w.rng.index(self.lans));
            let checks = self.w.hosts[h].plan.checks.len();
            match self.w.rng.below(14) {
                0 => {
                    let percent = 10 + self.w.rng.below(60);
                    self.w.at(at, Ev::Op(Op::Loss(lan, percent)));
                }
                1 | 2 => {
                    let side = self.w.rng.next() as u8;
                    self.w.at(at, Ev::Op(Op::Split(lan, side)));
                    self.w.at(later, Ev::Op(Op::Heal(lan)));
                }
                3 => {
                    self.w.at(at, Ev::Op(Op::PowerOff(h)));
                    self.w.at(later, Ev::Op(Op::Boot(h)));
                }
                4 => {
                    self.w.at(at, Ev::Op(Op::Stop(h)));
                    self.w.at(later, Ev::Op(Op::Boot(h)));
                }
                5 | 6 => {
                    let i = self.w.rng.pick(&[lan, lan, WAN]);
                    self.w.at(at, Ev::Op(Op::Link(h, i, false)));
                    self.w.at(later, Ev::Op(Op::Link(h, i, true)));
                }
                7 | 8 => {
                    let mut present: Vec<usize> = (0..self.lans).collect();
                    present.retain(|_| self.w.rng.percent(75));
                    let mut grouped = present.clone();
                    grouped.retain(|_| self.w.rng.percent(70));
                    if !present.is_empty() {
                        self.w.at(at, Ev::Op(Op::Regroup(h, present, grouped)));
                        let all: Vec<usize> = (0..self.lans).collect();
                        self.w.at(later, Ev::Op(Op::Regroup(h, all.clone(), all)));
                    }
                }
                9 if checks > 0 => {
                    let c = self.w.rng.index(checks);
                    self.w.at(at, Ev::Op(Op::Rename(h, c)));
                }
                _ if checks > 0 => {
                    let c = self.w.rng.index(checks);
                    let look = self.w.hosts[h].plan.checks[c].look;
                    for _ in 0..self.w.rng.pick(&[1, 1, 2, 8]) {
                        let when = at + self.w.rng.below(later - at + 1);
                        let (found, times) = (Found::random(look, &mut self.w.rng), self.w.rng.pick(&[1, 1, 3]));
                        self.w.at(when, Ev::Op(Op::Run(h, c, found, times)));
                    }
                }
                _ => {}
            }
        }
        self.w.run(end);
    }

    /// Ends all faults. Some hosts stay away, some stay in Fault, some wait for a first result.
    fn calm(&mut self) {
        self.w.note(|| "quiet".to_owned());
        (0..self.lans).for_each(|lan| self.w.apply(Op::Heal(lan)));
        for h in 0..self.w.hosts.len() {
            if self.w.hosts[h].stops() {
                self.w.apply(Op::PowerOff(h));
            }
            let all: Vec<usize> = (0..self.lans).collect();
            if self.w.hosts[h].plan.grouped != all && self.w.failure.is_none() {
                self.w.apply(Op::Regroup(h, all.clone(), all));
            }
            (0..self.lans).for_each(|lan| self.w.apply(Op::Link(h, lan, true)));
            if h == 0 || self.w.rng.percent(85) {
                self.w.apply(Op::Boot(h));
            }
            let plan = self.w.hosts[h].plan.clone();
            let tracked = |what| plan.tracks.iter().flatten().chain(&plan.shared).find(|t| t.what == what).copied();
            let fault = self.w.rng.percent(12);
            let wan = tracked::choose(tracked(Thing::Interface(WAN)).as_ref(), Look::Script, fault, &mut self.w.rng);
            self.w.apply(Op::Link(h, WAN, wan == Found::Good));
            for (c, spec) in plan.checks.iter().enumerate() {
                let fault = self.w.rng.percent(8);
                let found = tracked::choose(tracked(Thing::Check(c)).as_ref(), spec.look, fault, &mut self.w.rng);
                // What runs already does not wait for it, so that a group of both would be in two states.
                let runs = self.w.hosts[h].states().iter().any(|s| *s != State::Initialize);
                if runs || self.w.hosts[h].truth[c].is_some() || self.w.rng.percent(75) {
                    self.w.apply(Op::Run(h, c, found, spec.settles()));
                }
            }
        }
        if !self.w.hosts.iter().any(|h| h.able()) {
            let host = &mut self.w.hosts[0];
            host.plan.shared.clear();
            host.plan.tracks.iter_mut().for_each(Vec::clear);
            self.w.apply(Op::PowerOff(0));
            self.w.apply(Op::Boot(0));
        }
    }

    fn skew(&self, priority: u8) -> u64 {
        skew_time(Version::V3, priority, Centis::new((self.t / 10_000) as u16).unwrap()).0
    }

    fn slack(&self) -> u64 {
        2 * self.w.latency + 2_100
    }

    /// Until a group has agreed: who leaves has left, who yields has begun anew, and a full round after.
    fn settle(&mut self) {
        let delay = |h: &Host| if let Preempt::After(d) = h.plan.preempt { d.0 } else { 0 };
        let delay = self.w.hosts.iter().map(delay).max().unwrap_or(0);
        let leave = self.w.hosts[0].leave_time();
        let round = 5 * self.t + 2 * self.d + self.slack();
        self.w.run(2 * (leave + round + delay));
    }

    fn priority(&self, h: usize) -> u8 {
        let host = &self.w.hosts[h];
        host.plan.sum(&host.model, 0).priority
    }

    fn able(&self) -> Vec<usize> {
        (0..self.w.hosts.len()).filter(|h| self.w.hosts[*h].able()).collect()
    }

    /// The router that is Active on all LANs; everybody else on none.
    fn active(&self) -> Option<usize> {
        let on = |h: &usize| (0..self.lans).filter(|lan| self.w.hosts[*h].is_active(*lan)).count();
        let some: Vec<usize> = (0..self.w.hosts.len()).filter(|h| on(h) > 0).collect();
        let [one] = some[..] else { return None };
        (on(&one) == self.lans).then_some(one)
    }

    /// After a while exactly one is Active, on all LANs, and it is the right one; the others wait, or
    /// show what is wrong.
    fn agree(&mut self, what: &str) {
        if self.w.failure.is_some() {
            return;
        }
        self.settle();
        (0..self.w.hosts.len()).for_each(|h| self.w.check_rest(h));
        if self.w.failure.is_some() || !self.level {
            return;
        }
        let able = self.able();
        let Some(active) = self.active() else {
            let states: Vec<_> = self.w.hosts.iter().map(|h| h.states()).collect();
            return self.w.fail(format!("{what}: no agreement of {able:?}: {states:?}"));
        };
        let priority = self.priority(active);
        for h in 0..self.w.hosts.len() {
            let host = &self.w.hosts[h];
            let all = |s: Shown| (0..self.lans).all(|lan| host.shown[lan] == s) && host.group == s;
            let preempts = host.plan.preempt != Preempt::Off || host.plan.priority[0] == 255;
            let levels = (0..self.lans).any(|lan| host.plan.sum(&host.model, lan).priority != self.priority(h));
            let wrong = if host.router.is_none() || host.stopping {
                false
            } else if levels {
                true
            } else if able.contains(&h) {
                (self.priority(h) > priority && preempts)
                    || !all(if h == active { Shown::Master } else { Shown::Backup })
            } else if host.faulty(0) {
                !all(Shown::Fault)
            } else {
                // It waits for a first result: silently if it never ran.
                (0..self.lans).any(|lan| host.state(lan) != State::Initialize || host.addresses[lan])
            };
            if wrong {
                let text =
                    format!("{what}: {} shows {:?}, {:?}; Active is {}", name(h), host.shown, host.group, name(active));
                return self.w.fail(text);
            }
        }
    }

    fn steady(&mut self) {
        if self.level {
            self.w.steady = true;
            self.w.run(6 * self.t);
            self.w.steady = false;
        }
    }

    /// The Active router and the best of the others.
    fn pair(&mut self) -> Option<(usize, usize)> {
        let active = self.active()?;
        let best = self.able().into_iter().filter(|h| *h != active).max_by_key(|h| (self.priority(*h), *h))?;
        self.w.hosts.iter_mut().for_each(|h| h.entered = [0; LANS]);
        let wait = self.w.rng.below(2 * self.t) + self.w.nets[0].jitter;
        self.w.run(wait);
        Some((active, best))
    }

    /// Within `most` the best is Active on all LANs.
    fn taken_over(&mut self, what: &str, best: usize, most: u64) {
        let most = most + self.skew(self.priority(best)) + self.d + self.slack();
        self.w.run(most);
        let on = |lan: usize| self.w.hosts.iter().any(|h| h.entered[lan] > 0);
        if !(0..self.lans).all(on) {
            let states: Vec<_> = self.w.hosts.iter().map(|h| h.states()).collect();
            self.w.fail(format!("{what}: nobody took over within {most} µs: {states:?}"));
        }
    }

    fn crash(&mut self) {
        let Some((active, best)) = self.pair() else { return };
        self.w.apply(Op::PowerOff(active));
        self.taken_over("crash", best, 3 * self.t);
        self.agree("crash");
        self.w.apply(Op::Boot(active));
        self.agree("back again");
    }

    /// One LAN of the Active router is gone: it leaves the others too.
    fn link_down(&mut self) {
        let Some((active, best)) = self.pair() else { return };
        let lan = self.w.rng.index(self.lans);
        self.w.apply(Op::Link(active, lan, false));
        self.taken_over("link down", best, 3 * self.t);
        self.agree("link down");
        self.w.apply(Op::Link(active, lan, true));
        self.agree("link up");
    }

    /// Everybody is told at once: within Skew_Time, and no LAN is a moment without its address.
    fn handed_over(&mut self, what: &str, active: usize, best: usize, op: Op) {
        let leave = self.w.hosts[active].leave_time();
        let in_time = self.skew(self.priority(best)) + 2 * self.d + self.slack() < leave;
        // An advert that comes behind the farewell starts one of the timers once more.
        let again = if self.w.nets[0].jitter > 0 { 4 * self.t } else { 0 };
        self.w.served = in_time && again == 0;
        self.w.apply(op);
        self.taken_over(what, best, again);
        self.w.served = false;
        self.agree(what);
    }

    fn check_fails(&mut self) {
        let Some((active, best)) = self.pair() else { return };
        let plan = self.w.hosts[active].plan.clone();
        let all = || plan.tracks.iter().flatten().chain(&plan.shared);
        let of = |t: &TrackSpec| match t.what {
            Thing::Check(c) if t.weight == 0 && plan.checks[c].look == Look::Script => Some((*t, c)),
            _ => None,
        };
        let Some((track, c)) = all().find_map(of) else { return };
        let settles = plan.checks[c].settles();
        let (bad, good) = (Found::of(track.reverse), Found::of(!track.reverse));
        self.handed_over("failed check", active, best, Op::Run(active, c, bad, settles));
        self.w.apply(Op::Run(active, c, good, settles));
        self.agree("check succeeds");
    }

    fn stop(&mut self) {
        let Some((active, best)) = self.pair() else { return };
        self.handed_over("stop", active, best, Op::Stop(active));
        self.w.apply(Op::Boot(active));
        self.agree("started again");
    }

    /// One LAN falls apart: whoever hears the Active router on another one stays Backup.
    fn split_one(&mut self) {
        let Some((active, _)) = self.pair() else { return };
        let lan = self.w.rng.index(self.lans);
        self.w.apply(Op::Split(lan, 1 << active));
        self.settle();
        let entered = |w: &World| w.hosts.iter().any(|h| h.entered.iter().any(|n| *n > 0));
        if self.active() != Some(active) || entered(&self.w) {
            self.w.fail(format!("one LAN fell apart: {:?}, not {}", self.active(), name(active)));
        }
        self.w.apply(Op::Heal(lan));
        self.settle();
        if self.active() != Some(active) || entered(&self.w) {
            self.w.fail(format!("one LAN together again: {:?}, not {}", self.active(), name(active)));
        }
    }

    /// The group is taken away and comes back while the LANs are whole: nobody becomes anything else.
    fn ungroup(&mut self) {
        // Without the group only some would wait for a first result, and a group of both is in two states.
        if self.w.hosts.iter().any(|h| (0..self.lans).any(|lan| h.held(lan))) {
            return;
        }
        let Some((active, _)) = self.pair() else { return };
        let all: Vec<usize> = (0..self.lans).collect();
        for h in 0..self.w.hosts.len() {
            self.w.apply(Op::Regroup(h, all.clone(), Vec::new()));
        }
        self.settle();
        let ready = |h: &Host| h.states().contains(&State::Ready);
        if self.w.hosts.iter().any(ready) {
            self.w.fail("waits without a group".to_owned());
        }
        for h in 0..self.w.hosts.len() {
            self.w.apply(Op::Regroup(h, all.clone(), all.clone()));
        }
        self.agree(&format!("group back; {} was Active", name(active)));
    }
}
