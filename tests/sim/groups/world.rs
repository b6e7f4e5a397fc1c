//! Routers on several virtual LANs at once: each speaks on all of them, most of it in one sync group.
//! The same ideas as in `crate::world`, without what has nothing to do with groups: the kernel's news
//! arrive at once, and all clocks agree.

use std::collections::BTreeMap;
use std::rc::Rc;

use picovrrp::router::event::{CheckId, LinkAddress, LinkInfo, Received, Shown};
use picovrrp::router::{Action, Event, Router};
use picovrrp::vrrp::election::State;
use picovrrp::vrrp::timing::Instant;

use super::plan::{LANS, NAMES, Plan, own};
use crate::network::Network;
use crate::rng::Rng;
use crate::tracked::{Found, Model};

const EPOCH: u64 = 1_000_000_000;

#[derive(Clone, Debug)]
pub enum Op {
    Boot(usize),
    PowerOff(usize),
    Stop(usize),
    Link(usize, usize, bool),
    Run(usize, usize, Found, u8),
    Loss(usize, u64),
    Split(usize, u8),
    Heal(usize),
    /// Reload with these LANs, and these of them in the group.
    Regroup(usize, Vec<usize>, Vec<usize>),
    /// Another name for a check: nothing is known of it.
    Rename(usize, usize),
}

pub enum Ev {
    Packet { to: usize, from: usize, lan: usize, payload: Rc<Vec<u8>> },
    Timer(usize, u64),
    Op(Op),
}

/// An action, kept.
#[derive(Clone, Debug)]
pub enum Did {
    Advert { lan: usize, payload: Vec<u8> },
    Address { lan: usize, on: bool },
    Changed { lan: usize, from: Shown, to: Shown },
    Group { from: Shown, to: Shown },
}

/// What an outsider knows of one router's process.
pub struct Host {
    pub plan: Plan,
    pub router: Option<Box<Router>>,
    pub model: Model,
    pub truth: Vec<Option<Found>>,
    /// Its interfaces, with carrier or without.
    pub up: [bool; NAMES.len()],
    pub addresses: [bool; LANS],
    pub shown: [Shown; LANS],
    pub group: Shown,
    pub leaves_until: [u64; LANS],
    pub stopping: bool,
    /// A reload made a group of instances in several states: until they are in one.
    pub mixed: bool,
    /// Entries into Active.
    pub entered: [u32; LANS],
    generation: u64,
    armed: Option<u64>,
}

impl Host {
    pub fn new(plan: Plan) -> Host {
        let (truth, model) = (vec![None; plan.checks.len()], Model::new(&plan.checks, NAMES.len()));
        Host {
            plan,
            router: None,
            model,
            truth,
            up: [true; NAMES.len()],
            addresses: [false; LANS],
            shown: [Shown::Init; LANS],
            group: Shown::Init,
            leaves_until: [0; LANS],
            stopping: false,
            mixed: false,
            entered: [0; LANS],
            generation: 0,
            armed: None,
        }
    }

    /// State of the instance on `lan`.
    pub fn state(&self, lan: usize) -> State {
        let at = self.plan.present.iter().position(|l| *l == lan);
        at.and_then(|i| self.router.as_ref()?.election_state(i)).unwrap_or(State::Initialize)
    }

    /// Whether it hands over because it was told to stop.
    pub fn stops(&self) -> bool {
        self.stopping && self.router.is_some()
    }

    pub fn states(&self) -> [State; LANS] {
        std::array::from_fn(|lan| self.state(lan))
    }

    pub fn is_active(&self, lan: usize) -> bool {
        matches!(self.state(lan), State::Active { .. })
    }

    /// Whether a tracked thing or an interface keeps the instance on `lan`, or one of its group, silent.
    pub fn faulty(&self, lan: usize) -> bool {
        let bad = |l: usize| !self.up[l] || self.plan.sum(&self.model, l).fault;
        if self.plan.grouped.contains(&lan) { self.plan.grouped.iter().any(|l| bad(*l)) } else { bad(lan) }
    }

    /// Whether the instance on `lan`, or one of its group, waits for a first result.
    pub fn held(&self, lan: usize) -> bool {
        let waits = |l: usize| self.plan.sum(&self.model, l).held;
        if self.plan.grouped.contains(&lan) { self.plan.grouped.iter().any(|l| waits(*l)) } else { waits(lan) }
    }

    /// Whether it can be Active when all is quiet.
    pub fn able(&self) -> bool {
        let held = |lan: usize| self.held(lan) && self.state(lan) == State::Initialize;
        let good = |lan: &usize| !self.faulty(*lan) && !held(*lan);
        self.router.is_some() && !self.stopping && self.plan.present.iter().all(good)
    }
}

pub struct World {
    pub now: u64,
    pub hosts: Vec<Host>,
    pub nets: Vec<Network>,
    pub rng: Rng,
    pub latency: u64,
    pub failure: Option<String>,
    pub log: Vec<String>,
    /// Nobody may change.
    pub steady: bool,
    /// Every LAN must have its virtual address somewhere.
    pub served: bool,
    queue: BTreeMap<(u64, u8, u64), Ev>,
    sequence: u64,
    pub steps: u64,
}

impl World {
    pub fn new(hosts: Vec<Host>, nets: Vec<Network>, rng: Rng, latency: u64) -> World {
        World {
            now: 0,
            hosts,
            nets,
            rng,
            latency,
            failure: None,
            log: Vec::new(),
            steady: false,
            served: false,
            queue: BTreeMap::new(),
            sequence: 0,
            steps: 0,
        }
    }

    pub fn fail(&mut self, text: String) {
        if self.failure.is_none() {
            self.failure = Some(format!("at {:.6} s: {text}", self.now as f64 / 1e6));
        }
    }

    /// A line for whoever replays the seed.
    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if super::verbose() {
            self.log.push(format!("  {:>12.6}  {}\n", self.now as f64 / 1e6, text()));
        }
    }

    pub fn at(&mut self, t: u64, ev: Ev) {
        self.sequence += 1;
        // What arrives with a timer comes before it.
        self.queue.insert((t, matches!(ev, Ev::Timer(..)) as u8, self.sequence), ev);
    }

    pub fn run(&mut self, us: u64) {
        let end = self.now + us;
        while self.failure.is_none() {
            let Some(first) = self.queue.first_entry().filter(|e| e.key().0 <= end) else { break };
            self.now = first.key().0;
            match first.remove() {
                Ev::Packet { to, from, lan, payload } => self.receive(to, from, lan, &payload),
                Ev::Timer(h, generation) => self.timer(h, generation),
                Ev::Op(op) => self.apply(op),
            }
        }
        self.now = self.now.max(end);
    }

    fn receive(&mut self, to: usize, from: usize, lan: usize, payload: &[u8]) {
        let host = &self.hosts[to];
        if host.router.is_none() || !host.up[lan] {
            return;
        }
        let destination = picovrrp::vrrp::packet::GROUP_V4.into();
        let received = Received { ifindex: lan as u32 + 2, source: own(lan, from), destination, ttl: 255, payload };
        self.step(to, Event::Received(received), Some(lan));
    }

    fn timer(&mut self, h: usize, generation: u64) {
        if self.hosts[h].generation != generation {
            return;
        }
        self.hosts[h].armed = None;
        self.step(h, Event::Timeout { drained: true }, None);
        if self.hosts[h].router.as_ref().and_then(|r| r.next_deadline()).is_some_and(|t| t.0 <= EPOCH + self.now) {
            self.fail(format!("{}: the deadline stays in the past", name(h)));
        }
    }

    fn arm(&mut self, h: usize) {
        let due = self.hosts[h].router.as_ref().and_then(|r| r.next_deadline()).map(|t| t.0 - EPOCH);
        if due == self.hosts[h].armed {
            return;
        }
        let late = self.rng.below(self.latency + 1);
        let host = &mut self.hosts[h];
        (host.armed, host.generation) = (due, host.generation + 1);
        let generation = host.generation;
        if let Some(due) = due {
            self.at(due.max(self.now) + late, Ev::Timer(h, generation));
        }
    }

    /// One event into one router; `heard` is the LAN of a packet.
    fn step(&mut self, h: usize, event: Event<'_>, heard: Option<usize>) {
        let now = Instant(EPOCH + self.now);
        let host = &mut self.hosts[h];
        let before = host.states();
        let Some(router) = &mut host.router else { return };
        let (mut did, present) = (Vec::new(), &host.plan.present);
        router.handle(event, now, &mut |a: Action<'_>| did.extend(Did::of(a, present)));
        self.after(h, before, did, heard);
    }

    fn after(&mut self, h: usize, before: [State; LANS], did: Vec<Did>, heard: Option<usize>) {
        self.steps += 1;
        for d in &did {
            self.note(|| format!("{} {d:?}", name(h)));
            self.carry_out(h, d, &before);
        }
        self.check_step(h, &before, &did, heard);
        if self.hosts[h].router.as_ref().is_some_and(|r| r.is_stopped()) {
            self.check_stopped(h);
            self.hosts[h].router = None;
        }
        self.arm(h);
    }

    pub fn send(&mut self, h: usize, lan: usize, payload: &[u8]) {
        if !self.hosts[h].up[lan] {
            return;
        }
        let payload = Rc::new(payload.to_vec());
        for to in (0..self.hosts.len()).filter(|to| *to != h) {
            for after in self.nets[lan].carry(h, to, false, &mut self.rng).into_iter().flatten() {
                self.at(self.now + after, Ev::Packet { to, from: h, lan, payload: payload.clone() });
            }
        }
    }

    fn tell_link(&mut self, h: usize, i: usize) {
        let (ifindex, up) = (i as u32 + 2, self.hosts[h].up[i]);
        let host = &mut self.hosts[h];
        if host.router.is_none() {
            return;
        }
        host.model.link(&host.plan.checks, i, up);
        self.step(h, Event::Link(LinkInfo { ifindex, name: NAMES[i], up, mac: [2; 6], mtu: 1500 }), None);
    }

    fn tell_all(&mut self, h: usize) {
        for i in 0..NAMES.len() {
            self.tell_link(h, i);
            if i < LANS {
                let mut list = vec![address(own(i, h))];
                list.extend(self.hosts[h].addresses[i].then(|| address(super::plan::virtual_ip(i))));
                self.step(h, Event::Addresses { ifindex: i as u32 + 2, list: &list }, None);
            }
        }
        let host = &mut self.hosts[h];
        host.model.start(&host.plan.checks);
        self.step(h, Event::Start, None);
        self.check_rest(h);
    }

    pub fn run_check(&mut self, h: usize, c: usize, found: Found) {
        let host = &mut self.hosts[h];
        if host.router.is_none() {
            return;
        }
        let found = host.model.finds(host.plan.checks[c].look).unwrap_or(found);
        host.model.run(&host.plan.checks, c, found);
        self.step(h, Event::Check { check: CheckId(c as u8), result: found.result() }, None);
        self.check_rest(h);
    }

    fn reload(&mut self, h: usize) {
        let now = Instant(EPOCH + self.now);
        let host = &mut self.hosts[h];
        let (config, present) = (host.plan.config(), &host.plan.present);
        let Some(router) = &mut host.router else { return };
        let mut did = Vec::new();
        router.reload(config, now, &mut |a: Action<'_>| did.extend(Did::of(a, present)));
        for d in &did {
            self.note(|| format!("{} {d:?}", name(h)));
            match d {
                // Of an instance that is gone.
                Did::Advert { lan, payload } => self.send(h, *lan, payload),
                Did::Address { lan, on } => self.hosts[h].addresses[*lan] = *on,
                Did::Changed { .. } | Did::Group { .. } => self.fail(format!("{}: told in a reload: {d:?}", name(h))),
            }
        }
        self.arm(h);
        self.tell_all(h);
    }

    pub fn apply(&mut self, op: Op) {
        self.note(|| format!("{op:?}"));
        match op {
            Op::Boot(h) => {
                let host = &mut self.hosts[h];
                if host.router.is_some() {
                    return;
                }
                host.router = Some(Box::new(Router::new(host.plan.config())));
                host.model = Model::new(&host.plan.checks, NAMES.len());
                (host.shown, host.group) = ([Shown::Init; LANS], Shown::Init);
                (host.stopping, host.mixed) = (false, false);
                self.tell_all(h);
                for c in 0..self.hosts[h].truth.len() {
                    if let Some(found) = self.hosts[h].truth[c] {
                        self.run_check(h, c, found);
                    }
                }
            }
            Op::PowerOff(h) => {
                let host = &mut self.hosts[h];
                (host.router, host.addresses) = (None, [false; LANS]);
                (host.armed, host.generation) = (None, host.generation + 1);
            }
            Op::Stop(h) => {
                self.hosts[h].stopping = self.hosts[h].router.is_some();
                self.step(h, Event::Stop, None);
            }
            Op::Link(h, i, up) => {
                if std::mem::replace(&mut self.hosts[h].up[i], up) != up {
                    self.tell_link(h, i);
                    self.check_rest(h);
                }
            }
            Op::Run(h, c, found, times) => {
                self.hosts[h].truth[c] = Some(found);
                (0..times).for_each(|_| self.run_check(h, c, found));
            }
            Op::Loss(lan, percent) => self.nets[lan].lose(percent),
            Op::Split(lan, side) => self.nets[lan].split(side),
            Op::Heal(lan) => {
                self.nets[lan].heal();
                self.nets[lan].lose(0);
            }
            // Who stops reads no other configuration.
            Op::Regroup(h, ..) | Op::Rename(h, _) if self.hosts[h].stops() => {}
            Op::Regroup(h, present, grouped) => {
                let host = &mut self.hosts[h];
                let named = host.plan.names();
                let was = std::mem::replace(&mut host.plan.grouped, grouped);
                if was.is_empty() {
                    host.group = Shown::Init;
                }
                host.mixed |= was != host.plan.grouped;
                for lan in (0..LANS).filter(|lan| !present.contains(lan)) {
                    host.shown[lan] = Shown::Init;
                }
                host.plan.present = present;
                host.model.reload(&host.plan.checks, &host.plan.checks, &named);
                self.reload(h);
            }
            Op::Rename(h, c) => {
                let host = &mut self.hosts[h];
                let (old, named) = (host.plan.checks.clone(), host.plan.names());
                host.plan.checks[c].number += 10;
                host.truth[c] = None;
                host.model.reload(&old, &host.plan.checks, &named);
                self.reload(h);
            }
        }
    }
}

impl Did {
    fn of(action: Action<'_>, present: &[usize]) -> Option<Did> {
        Some(match action {
            Action::SendAdvert { ifindex, payload, .. } => {
                Did::Advert { lan: ifindex as usize - 2, payload: payload.to_vec() }
            }
            Action::AddAddress(a) => Did::Address { lan: a.ifindex as usize - 2, on: true },
            Action::RemoveAddress(a) => Did::Address { lan: a.ifindex as usize - 2, on: false },
            Action::Changed(t) => Did::Changed { lan: present[t.instance.0 as usize], from: t.from, to: t.to },
            Action::GroupChanged(t) => Did::Group { from: t.from, to: t.to },
            Action::AddRoute(_) | Action::KeepRoute(_) | Action::RemoveRoute(_) => return None,
            Action::AddVmac(_) | Action::SetVmac { .. } | Action::RemoveVmac { .. } => {
                unreachable!("nobody has a vmac")
            }
            Action::Announce { .. } | Action::Rebind { .. } | Action::Report(_) => return None,
        })
    }
}

fn address(ip: std::net::IpAddr) -> LinkAddress {
    LinkAddress { ip, prefix: 24, secondary: false, tentative: false }
}

pub fn name(h: usize) -> char {
    (b'A' + h as u8) as char
}
