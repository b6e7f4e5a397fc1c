//! A scenario of one seed: routers and a network are chosen, faults happen for a while, then it is
//! quiet, and the invariants of quiet times must hold; then single faults whose outages have bounds.

use picovrrp::config::model::{ChecksumForm, Family, Preempt};
use picovrrp::router::event::Shown;
use picovrrp::vrrp::election::{LEAVE_MARGIN, LEAVE_MAX, State};
use picovrrp::vrrp::timing::{Micros, Version};

use crate::chaos;
use crate::host::Host;
use crate::kernel::{By, Kernel};
use crate::network::Network;
use crate::node::Kind;
use crate::ops::Op;
use crate::rng::Rng;
use crate::setup::{IOT, LAN, Setup, VMAC, WAN, own_address, vips};
use crate::tracked::{self, Found, Look, Thing, TrackSpec};
use crate::world::{Ev, Expect, NETLINK, World, name};

/// How a scenario went.
pub struct Outcome {
    pub hash: u64,
    pub steps: u64,
    /// What went wrong, and what led to it.
    pub failure: Option<String>,
}

/// Runs the scenario of `seed`; `epoch` is added to every host's clock.
pub fn run(seed: u64, kind: Kind, epoch: u64) -> Outcome {
    let mut w = build(seed, kind, epoch);
    play(&mut w);
    let failure = w.failure.as_ref().map(|f| {
        let who: Vec<String> =
            w.hosts.iter().enumerate().map(|(h, x)| format!("  {}: {:?}\n", name(h), x.setup)).collect();
        format!("{f}\n{}{}", who.concat(), w.trace.text())
    });
    Outcome { hash: w.trace.hash(), steps: w.steps, failure }
}

fn build(seed: u64, kind: Kind, epoch: u64) -> World {
    let mut rng = Rng::new(seed);
    let n = 2 + rng.index(4);
    let version = if rng.percent(25) { Version::V2 } else { Version::V3 };
    let family = if version == Version::V3 && rng.percent(40) { Family::V6 } else { Family::V4 };
    let base: u16 = match version {
        Version::V2 => rng.pick(&[100, 100, 200, 300]),
        Version::V3 if rng.percent(2) => 4095,
        Version::V3 => rng.pick(&[1, 2, 5, 10, 25, 50, 60, 100, 100, 100, 200, 500]),
    };
    let mixed = version == Version::V3 && rng.percent(15);
    let password = version == Version::V2 && rng.percent(30);
    let unicast = rng.percent(12);
    let spread = rng.percent(15);
    let count = 1 + rng.index(3);
    let owner = rng.percent(12) && !unicast;
    let priorities = rng.below(3);
    let first = 1 + rng.below(240) as u8;
    // Over IPv4 and in whole seconds: all speak both versions, or some do and the others one of them; at one
    // second, where both have one Skew_Time, the old one. No number is drawn for it.
    let both = version == Version::V3 && family == Family::V4 && base.is_multiple_of(100) && kind == Kind::Real;
    let versions = match first / 16 % 4 {
        _ if !both => 3,
        2 if base != 100 || mixed => 3,
        n => n,
    };
    let preempt_style = rng.below(100);
    let ppm = rng.pick(&[20i64, 200, 200, 200, 2_000]);
    // The tests' own election knows nothing of checks.
    let tracking = kind == Kind::Real && rng.percent(65);
    let mut hosts = Vec::new();
    for h in 0..n {
        // By less than three: a Backup learns from whoever spoke last. If that was a faster router that
        // yields, three of its intervals must outlast one of the Active's, or they take turns for ever.
        let advert = if mixed { (base * rng.pick(&[1u16, 2])).min(4095) } else { base };
        let priority = match priorities {
            _ if owner && h == 0 => 255,
            0 => first + h as u8,
            1 => rng.pick(&[50, 100, 150]),
            _ => 1 + rng.below(254) as u8,
        };
        let after = Preempt::After(Micros((1 + rng.below(5)) * advert as u64 * 10_000));
        let preempt = match preempt_style {
            0..55 => Preempt::On,
            55..75 => Preempt::Off,
            75..85 => after,
            _ => rng.pick(&[Preempt::On, Preempt::Off, after]),
        };
        let (checks, tracks) = match kind {
            Kind::Real if tracking && rng.percent(75) => tracked::random(&mut rng, &[LAN, IOT, WAN, WAN]),
            _ => Default::default(),
        };
        let checksum = rng.pick(&[ChecksumForm::Plain, ChecksumForm::Pseudo]);
        let own = |h: usize| own_address(family, h as u8 + 1);
        let peers = (0..n).filter(|p| *p != h).map(own).collect();
        let (version, also_v2) = match versions {
            0 => (version, true),
            1 => (version, h % 2 == 0),
            2 if h % 2 == 1 => (Version::V2, false),
            2 => (version, true),
            _ => (version, false),
        };
        // None where what is tracked looks at the link too: the model knows of no delays. No number is drawn.
        let on_lan = tracks.iter().any(|t| t.what == Thing::Interface(LAN))
            || checks.iter().any(|c| c.look == Look::Interface(LAN));
        let t = advert as u64 * 10_000;
        let delays = match (first as usize + 2 * h) % 5 {
            _ if on_lan || kind != Kind::Real => (0, 0),
            0 => (t, 0),
            1 => (2 * t, 3 * t),
            2 => (0, t / 2),
            _ => (0, 0),
        };
        // No number is drawn for it.
        let vmac = kind == Kind::Real && priority != 255 && (first as usize / 4 + h).is_multiple_of(3);
        let mut vips = vips(family, count, spread);
        vips.iter_mut().filter(|v| vmac && v.dev == LAN).for_each(|v| v.dev = VMAC);
        let setup = Setup {
            version,
            also_v2,
            family,
            priority,
            advert,
            preempt,
            checksum,
            password,
            vips,
            vmac,
            // No number is drawn for it: all else is as it would be without.
            routed: match (first as usize + h) % 4 {
                0 if kind == Kind::Real => Some(LAN),
                1 if kind == Kind::Real => Some(IOT),
                _ => None,
            },
            unicast: unicast.then(|| (own(h), peers)),
            checks,
            tracks,
            delays,
        };
        let mut kernel = Kernel::new(h);
        // An owner's virtual addresses are its own; it may have another one or not.
        if priority != 255 || rng.percent(50) {
            let _ = kernel.ifaces[LAN].add(own(h), 24, By::System);
        }
        for v in setup.vips.iter().filter(|_| priority == 255) {
            let _ = kernel.ifaces[v.dev].add(v.ip, v.prefix, By::System);
        }
        if let (Some(i), 0) = (setup.routed, first / 4 % 4) {
            kernel.ifaces[i].route = Some(By::System);
        }
        let error = rng.below(2 * ppm as u64 + 1) as i64 - ppm;
        hosts.push(Host::new(setup, kernel, 1_000_000_000 + epoch + rng.below(1_000_000), error));
    }
    let t = hosts.iter().map(|h| h.setup.t()).min().unwrap_or(0);
    let delay = rng.pick(&[50, 300, 2_000, t / 20, t / 5]).min(t / 4);
    let jitter = rng.pick(&[0, delay / 10, delay, t / 10]);
    let latency = rng.pick(&[0, 20, 100, 500]).min(t / 20);
    World::new(kind, hosts, Network::new(delay, jitter), rng, latency)
}

/// Bounds of a world, in microseconds.
struct Bounds {
    t: u64,
    s: u64,
    d: u64,
    /// Scheduling, clocks, coalescing and the kernel's notifications over a whole bound.
    e: u64,
    /// The longest preempt delay.
    delay: u64,
    /// The longest delay of a link's return.
    link: u64,
}

impl Bounds {
    fn of(w: &World) -> Bounds {
        let t = w.hosts.iter().map(|h| h.setup.t()).max().unwrap_or(0);
        let s = if w.hosts[0].setup.version == Version::V2 { 1_000_000 } else { t };
        let delay = w.hosts.iter().map(|h| h.setup.preempt_delay()).max().unwrap_or(0);
        let d = w.net.d();
        let e = drift(w, 5 * t + s) + 4 * w.latency + 2 * NETLINK + 2_000;
        let link = w.hosts.iter().map(|h| h.setup.delays.1).max().unwrap_or(0);
        let link = link + drift(w, link);
        Bounds { t, s, d, e, delay, link }
    }

    /// I1: after so much quiet exactly one is Active.
    fn agreement(&self) -> u64 {
        let once = 3 * self.t + self.s + self.t + 2 * self.d + self.e;
        // A preempt delay begins when a lower Active is heard, and a full round may come after it.
        let once = once + self.link;
        if self.delay > 0 { 2 * once + self.delay + self.delay / 100 } else { once }
    }
}

/// By how much two clocks can differ after `time`.
fn drift(w: &World, time: u64) -> u64 {
    let ppm = w.hosts.iter().map(|h| h.ppm.unsigned_abs()).max().unwrap_or(0);
    2 * time * ppm / 1_000_000 + 2
}

fn play(w: &mut World) {
    let b = Bounds::of(w);
    for h in 0..w.hosts.len() {
        let t = w.rng.below(2 * b.t);
        w.at(t, Ev::Op(Op::Boot(h)));
    }
    w.phase("faults");
    let end = chaos::plan(w, b.t);
    w.run_until(end);
    calm(w);
    let now = w.now;
    w.run_until(now + Bounds::of(w).agreement());
    agree(w, 0xff);
    steady(w);
    for _ in 0..3 {
        if w.failure.is_some() {
            return;
        }
        match w.rng.below(6) {
            0 => crash(w),
            3 | 4 => check_fails(w),
            1 => hand_over(w),
            2 => partition(w),
            _ => join(w),
        }
        agree(w, 0xff);
    }
}

/// Ends all faults. Some hosts stay away.
fn calm(w: &mut World) {
    w.phase("quiet");
    w.net.lose(0);
    w.net.heal();
    w.net.duplicate = w.rng.pick(&[0, 0, 20]);
    for h in 0..w.hosts.len() {
        w.resume(h);
        w.apply(Op::Unyield(h));
        w.hosts[h].fail_adds = 0;
        let lan = &w.hosts[h].kernel.ifaces[LAN];
        if w.rng.percent(80) || h == 0 {
            [LAN, IOT, WAN].into_iter().for_each(|i| w.apply(Op::Recreate(h, i)));
            w.apply(Op::Carrier(h, true));
            w.boot(h);
        } else if !lan.up || lan.ifindex == 0 {
            w.apply(Op::Stop(h));
        }
    }
    settle_checks(w);
    // Whoever just leaves must not be the only one.
    if !w.hosts.iter().any(|h| h.eligible()) {
        w.end(0);
        w.hosts[0].setup.tracks.clear();
        w.hosts[0].kernel.power_cycle();
        w.boot(0);
    }
    w.mark();
}

/// What is tracked comes to rest: most of it lets its host be Active, some does not, and some checks
/// never had a result.
fn settle_checks(w: &mut World) {
    for h in 0..w.hosts.len() {
        let tracked = |w: &World, what| w.hosts[h].setup.tracks.iter().find(|t| t.what == what).copied();
        let fault = w.rng.percent(15);
        let up = tracked::choose(tracked(w, Thing::Interface(WAN)).as_ref(), Look::Script, fault, &mut w.rng);
        w.apply(Op::Uplink(h, up == Found::Good));
        // Whatever is on its way is told.
        w.run_until(w.now + NETLINK);
        for c in 0..w.hosts[h].setup.checks.len() {
            let spec = w.hosts[h].setup.checks[c].clone();
            let fault = w.rng.percent(10);
            let found = tracked::choose(tracked(w, Thing::Check(c)).as_ref(), spec.look, fault, &mut w.rng);
            if w.hosts[h].truth[c].is_some() || w.rng.percent(80) {
                w.apply(Op::Run(h, c, found, spec.settles()));
            }
        }
    }
    // Who leaves because of it has left.
    let leaving = |h: &Host| matches!(h.state(), State::Leaving { .. });
    if w.hosts.iter().any(leaving) {
        w.run_until(w.now + LEAVE_MAX.0 + drift(w, LEAVE_MAX.0) + 2 * w.latency);
    }
}

/// I1 among the hosts of `side`: exactly one Active, and the right one. None has stopped halfway.
fn agree(w: &mut World, side: u8) {
    if w.failure.is_some() {
        return;
    }
    let actives = w.actives(side);
    let eligible: Vec<usize> = (0..w.hosts.len()).filter(|h| side >> h & 1 == 1 && w.hosts[*h].eligible()).collect();
    if eligible.is_empty() {
        return;
    }
    let [winner] = actives[..] else {
        let states: Vec<_> = w.hosts.iter().map(|h| h.state()).collect();
        w.fail(format!("I1: Active are {actives:?} of {eligible:?}: {states:?}"));
        return;
    };
    let priority = w.hosts[winner].priority();
    for h in eligible {
        let (host, shown) = (&w.hosts[h], w.hosts[h].seen.shown);
        if host.priority() > priority && host.setup.preempts() {
            let text = format!("I1: {} is Active although {} preempts", name(winner), name(h));
            w.fail(text);
        } else if !matches!(shown, Shown::Master | Shown::Backup) {
            w.fail(format!("I1: {} is in {shown:?}", name(h)));
        }
    }
    for h in (0..w.hosts.len()).filter(|h| side >> h & 1 == 1) {
        let (host, shown) = (&w.hosts[h], w.hosts[h].seen.shown);
        let runs = host.node.is_some() && !host.paused && !host.seen.stopping;
        if runs && host.sum().fault && shown != Shown::Fault {
            w.fail(format!("{}: shows {shown:?}, and not that it is in Fault", name(h)));
        }
    }
}

/// I3: nobody changes, whatever is lost, as long as it is at most two in a row.
fn steady(w: &mut World) {
    let b = Bounds::of(w);
    let safe = {
        let slack = |h: &Host| h.setup.skew(h.priority().min(254), least_advert(w));
        let least = w.hosts.iter().map(slack).min().unwrap_or(0);
        least > w.net.jitter + drift(w, 3 * b.t) + 2 * w.latency + 2_000
    };
    w.phase("steady");
    w.mark();
    w.expect = Expect::Steady;
    if safe {
        w.net.gentle = true;
        w.net.lose(40);
    }
    w.run_until(w.now + 6 * b.t);
    w.net.lose(0);
    w.net.gentle = false;
    w.run_until(w.now + 2 * b.t);
    w.expect = Expect::Anything;
}

fn least_advert(w: &World) -> u16 {
    w.hosts.iter().map(|h| h.setup.advert).min().unwrap_or(1)
}

/// The Active router and the best of the others, if there are any.
fn incumbent_and_best(w: &World) -> Option<(usize, usize, Vec<usize>)> {
    let active = *w.actives(0xff).first()?;
    let others: Vec<usize> =
        (0..w.hosts.len()).filter(|h| *h != active && w.hosts[*h].eligible() && w.in_backup(*h)).collect();
    let best = *others.iter().max_by_key(|h| w.hosts[**h].priority())?;
    Some((active, best, others))
}

/// The outage that follows, with the Skew_Time of the best: from `least` to `most` after now.
fn expect_takeover(w: &mut World, what: &str, active: usize, best: usize, others: &[usize], least: u64, most: u64) {
    let start = w.now;
    let (advert, setup) = (w.hosts[active].setup.advert, w.hosts[best].setup.clone());
    let skew = setup.skew(w.hosts[best].priority(), advert);
    let t = advert as u64 * 10_000;
    let e = drift(w, 3 * t + skew) + 2 * w.latency + 2_000.min(t / 10) + 2;
    let (least, most) = ((least + skew).saturating_sub(e + w.net.jitter), most + skew + w.net.d() + e);
    w.mark();
    w.run_until(start + most);
    match w.first_entry {
        None => w.fail(format!("I2: {what}: nobody took over within {most} µs")),
        Some((at, h)) if at < start + least => {
            w.fail(format!("I2: {what}: {} took over after {} µs, before {least} µs", name(h), at - start));
        }
        Some(_) => {}
    }
    let agreement = Bounds::of(w).agreement();
    w.run_until(start + most + agreement);
    // I3: where the others' timers lie apart, only the best moves, and once.
    let apart = |h: &usize| setup.skew(w.hosts[*h].priority(), advert) > skew + w.net.d() + w.net.jitter + 2 * e;
    // A priority 0 that comes behind the successor's first advert starts the others once more.
    let in_order = skew + w.net.delay > w.net.jitter;
    if in_order && others.iter().filter(|h| **h != best).all(apart) {
        let expected = |h: usize| u32::from(h == best);
        if let Some(h) = others.iter().find(|h| w.entered[**h] != expected(**h)) {
            w.fail(format!("I3: {what}: {} became Active {} times", name(*h), w.entered[*h]));
        }
    }
}

/// The Active router loses power: between 2T + S and 3T + S + d without one.
fn crash(w: &mut World) {
    let Some((active, best, others)) = incumbent_and_best(w) else { return };
    w.phase("crash of the Active");
    let wait = w.rng.below(2 * w.hosts[active].setup.t());
    w.run_until(w.now + wait);
    let t = w.hosts[active].setup.t();
    w.apply(Op::PowerOff(active));
    expect_takeover(w, "crash", active, best, &others, 2 * t, 3 * t);
}

/// The Active router stops: S + d without adverts, and not a moment without the address.
fn hand_over(w: &mut World) {
    let Some((active, best, others)) = incumbent_and_best(w) else { return };
    w.phase("the Active stops");
    quiet_wire(w, active);
    if may_be_served(w, active, best) {
        w.expect = Expect::Served;
    }
    w.apply(Op::Stop(active));
    expect_takeover(w, "stop", active, best, &others, 0, 0);
    w.expect = Expect::Anything;
}

/// A check that keeps the Active router from speaking fails: it hands over as if it were stopped, and
/// begins anew when the check succeeds again.
fn check_fails(w: &mut World) {
    let Some((active, best, others)) = incumbent_and_best(w) else { return };
    let of = |t: &TrackSpec| match t.what {
        Thing::Check(c) if t.weight == 0 && w.hosts[active].setup.checks[c].look != Look::Interface(LAN) => {
            Some((*t, c))
        }
        _ => None,
    };
    let Some((track, c)) = w.hosts[active].setup.tracks.iter().find_map(of) else { return };
    let spec = w.hosts[active].setup.checks[c].clone();
    let (Look::Script | Look::File) = spec.look else { return };
    w.phase("a check fails");
    quiet_wire(w, active);
    if may_be_served(w, active, best) {
        w.expect = Expect::Served;
    }
    let bad = tracked::choose(Some(&track), spec.look, true, &mut w.rng);
    w.apply(Op::Run(active, c, bad, spec.settles()));
    expect_takeover(w, "failed check", active, best, &others, 0, 0);
    w.expect = Expect::Anything;
    if w.failure.is_none() && w.hosts[active].state() != State::Initialize {
        w.run_until(w.now + LEAVE_MAX.0);
    }
    agree(w, 0xff);
    w.phase("it succeeds again");
    let good = tracked::choose(Some(&track), spec.look, false, &mut w.rng);
    w.apply(Op::Run(active, c, good, spec.settles()));
    let agreement = Bounds::of(w).agreement();
    w.run_until(w.now + agreement);
}

/// An advert that priority 0 overtakes says that the Active router is still there.
fn quiet_wire(w: &mut World, active: usize) {
    let wait = w.rng.below(2 * w.hosts[active].setup.t());
    w.run_until(w.now + wait);
    while let Some(t) = w.hosts[active].seen.sends.back().map(|t| t + w.net.jitter + 1).filter(|t| *t > w.now) {
        w.run_until(t);
    }
}

/// It waits for the slowest successor, and not for a slower network than that (5 s at most).
fn may_be_served(w: &World, active: usize, best: usize) -> bool {
    let advert = w.hosts[active].setup.advert;
    let skew = |h: usize, p: u8| w.hosts[h].setup.skew(p, advert);
    let waits = (skew(active, 1) + LEAVE_MARGIN.0).min(LEAVE_MAX.0);
    w.kind == Kind::Real && skew(best, w.hosts[best].priority()) + 2 * w.net.d() + Bounds::of(w).e < waits
}

/// Two halves, one Active in each, and one when they hear each other again, within T + d.
fn partition(w: &mut World) {
    w.phase("partition");
    let side = 1 + w.rng.below((1 << w.hosts.len()) - 1) as u8;
    w.net.split(side);
    let agreement = Bounds::of(w).agreement();
    w.run_until(w.now + agreement);
    agree(w, side);
    agree(w, !side);
    let key = |w: &World, h: usize| (w.hosts[h].priority(), w.hosts[h].source());
    let Some(winner) = w.actives(0xff).into_iter().max_by_key(|h| key(w, *h)) else { return };
    w.phase("healing");
    w.net.heal();
    let t = w.hosts[winner].setup.t();
    w.run_until(w.now + t + w.net.d() + drift(w, t) + 2 * w.latency + 2_000);
    if w.actives(0xff) != [winner] && w.failure.is_none() {
        w.fail(format!("I1: healed, and Active are {:?}, not {}", w.actives(0xff), name(winner)));
    }
}

/// Somebody who was away comes back, or one more change of priority: at most one transition each.
fn join(w: &mut World) {
    w.phase("join");
    w.mark();
    let away = (0..w.hosts.len()).find(|h| w.hosts[*h].node.is_none());
    if let Some(h) = away {
        w.boot(h);
    }
    let agreement = Bounds::of(w).agreement();
    w.run_until(w.now + agreement);
    let same_interval = w.hosts.iter().all(|h| h.setup.advert == w.hosts[0].setup.advert);
    if same_interval && w.entered.iter().any(|e| *e > 1) {
        w.fail(format!("I3: one joined, entries into Active {:?}", w.entered));
    }
}
