//! The discrete-event world: hosts, the network between them, one queue of what will happen.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::rc::Rc;

use picovrrp::router::event::{AddressId, CheckId, InstanceId, LinkInfo, Received, RouteId, RouteSpec, Shown};
use picovrrp::router::{Action, Event};
use picovrrp::vrrp::election::State;
use picovrrp::vrrp::timing::Instant;

use crate::check::{Before, Cause};
use crate::host::{Host, Inbound, Seen};
use crate::kernel::{By, Iface};
use crate::network::{MAX, Network, Packet};
use crate::node::Kind;
use crate::ops::Op;
use crate::rng::Rng;
use crate::setup::{LAN, NAMES, VMAC, VMAC_NAME};
use crate::trace::{Trace, What};
use crate::tracked::{Found, Model};

/// Longest way of a notification from the kernel to the process.
pub const NETLINK: u64 = 2_000;
/// Replayed packets are chosen from so many.
const RECORDED: usize = 32;

/// What will happen.
pub enum Ev {
    Packet(usize, Rc<Packet>),
    Netlink(usize),
    Timer(usize, u64),
    Op(Op),
}

/// Ordered by time; at one moment packets come before timers, as a drained socket has it.
struct Entry {
    key: (u64, u8, u64),
    ev: Ev,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.key == other.key
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// An action of a router, kept.
#[derive(Clone, Debug)]
pub enum Did {
    Advert { ifindex: u32, source: IpAddr, destination: IpAddr, payload: Vec<u8> },
    Add { id: AddressId, ifindex: u32, ip: IpAddr, prefix: u8 },
    Remove { ifindex: u32, ip: IpAddr },
    AddRoute { spec: RouteSpec, ours: bool },
    RemoveRoute(RouteSpec),
    Announce { ifindex: u32, ip: IpAddr },
    MakeVmac,
    SetVmac { ifindex: u32, up: bool },
    RemoveVmac { ifindex: u32 },
    Changed { from: Shown, to: Shown },
    Rebind,
    Report,
}

impl Did {
    fn of(action: Action<'_>) -> Did {
        match action {
            Action::SendAdvert { ifindex, source, destination, payload, .. } => {
                Did::Advert { ifindex, source, destination, payload: payload.to_vec() }
            }
            Action::AddAddress(a) => Did::Add { id: a.id, ifindex: a.ifindex, ip: a.ip, prefix: a.prefix },
            Action::RemoveAddress(a) => Did::Remove { ifindex: a.ifindex, ip: a.ip },
            Action::AddRoute(spec) => Did::AddRoute { spec, ours: false },
            Action::KeepRoute(spec) => Did::AddRoute { spec, ours: true },
            Action::RemoveRoute(spec) => Did::RemoveRoute(spec),
            Action::Announce { ifindex, ip, .. } => Did::Announce { ifindex, ip },
            Action::Changed(t) => Did::Changed { from: t.from, to: t.to },
            Action::Rebind { .. } => Did::Rebind,
            Action::GroupChanged(_) | Action::Report(_) => Did::Report,
            Action::AddVmac(_) => Did::MakeVmac,
            Action::SetVmac { ifindex, up, .. } => Did::SetVmac { ifindex, up },
            Action::RemoveVmac { ifindex } => Did::RemoveVmac { ifindex },
        }
    }
}

/// What must hold after every event of the present phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expect {
    Anything,
    /// Exactly one Active, and nobody changes.
    Steady,
    /// The virtual address stands somewhere.
    Served,
}

pub struct World {
    pub kind: Kind,
    pub now: u64,
    pub hosts: Vec<Host>,
    pub net: Network,
    pub rng: Rng,
    pub trace: Trace,
    pub failure: Option<String>,
    /// Longest lateness of a timer.
    pub latency: u64,
    pub expect: Expect,
    /// Entries into Active since the last mark, of each host, and the first of them.
    pub entered: [u32; MAX],
    pub first_entry: Option<(u64, usize)>,
    pub recorded: Vec<Rc<Packet>>,
    pub steps: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

impl World {
    pub fn new(kind: Kind, hosts: Vec<Host>, net: Network, rng: Rng, latency: u64) -> World {
        World {
            kind,
            now: 0,
            hosts,
            net,
            rng,
            trace: Trace::new(),
            failure: None,
            latency,
            expect: Expect::Anything,
            entered: [0; MAX],
            first_entry: None,
            recorded: Vec::new(),
            steps: 0,
            queue: BinaryHeap::new(),
            sequence: 0,
        }
    }

    /// The first thing that went wrong is the one that is told.
    pub fn fail(&mut self, text: String) {
        if self.failure.is_none() {
            self.failure = Some(format!("at {:.6} s: {text}", self.now as f64 / 1e6));
        }
    }

    pub fn phase(&mut self, name: &'static str) {
        self.trace.add(self.now, 0, What::Phase(name));
    }

    /// Begins to count entries into Active anew.
    pub fn mark(&mut self) {
        self.entered = [0; MAX];
        self.first_entry = None;
    }

    pub fn at(&mut self, t: u64, ev: Ev) {
        self.sequence += 1;
        let class = matches!(ev, Ev::Timer(..)) as u8;
        self.queue.push(Reverse(Entry { key: (t, class, self.sequence), ev }));
    }

    /// Lets everything happen up to and at `t`, or until something went wrong.
    pub fn run_until(&mut self, t: u64) {
        while self.failure.is_none() {
            match self.queue.peek() {
                Some(Reverse(e)) if e.key.0 <= t => {}
                _ => break,
            }
            let Some(Reverse(Entry { key, ev })) = self.queue.pop() else { break };
            self.now = key.0;
            match ev {
                Ev::Packet(h, p) => self.arrive(h, p),
                Ev::Netlink(h) => self.netlink_arrives(h),
                Ev::Timer(h, generation) => self.timer(h, generation),
                Ev::Op(op) => self.apply(op),
            }
            self.check_world();
        }
        self.now = self.now.max(t);
        (0..self.hosts.len()).for_each(|h| self.check_silence(h));
    }

    fn arrive(&mut self, h: usize, p: Rc<Packet>) {
        let host = &mut self.hosts[h];
        let lan = &host.kernel.ifaces[LAN];
        if host.node.is_none() || lan.ifindex == 0 || !lan.up {
            return;
        }
        if host.paused {
            host.inbox.push(Inbound::Packet(p));
            return;
        }
        self.receive(h, &p);
        // A daemon wakes for many reasons.
        if self.rng.percent(5) && self.hosts[h].node.is_some() {
            self.step(h, Event::Timeout { drained: false }, Cause::Other);
        }
    }

    fn receive(&mut self, h: usize, p: &Packet) {
        let ifindex = self.hosts[h].kernel.ifaces[LAN].ifindex;
        let event = Event::Received(Received {
            ifindex,
            source: p.source,
            destination: p.destination,
            ttl: p.ttl,
            payload: &p.payload,
        });
        self.step(h, event, Cause::Packet(p));
    }

    fn netlink_arrives(&mut self, h: usize) {
        let host = &mut self.hosts[h];
        if host.node.is_some() && host.paused {
            host.inbox.push(Inbound::Netlink);
        } else {
            self.notified(h);
        }
    }

    fn notified(&mut self, h: usize) {
        self.hosts[h].netlink -= 1;
        self.tell_links(h);
    }

    /// The kernel's notifications are levels: what is told is how things stand when they arrive.
    pub fn tell_links(&mut self, h: usize) {
        self.trace.add(self.now, h, What::Netlink);
        for (i, name) in NAMES.into_iter().chain([VMAC_NAME]).enumerate() {
            let host = &mut self.hosts[h];
            host.telling = Some(i);
            let iface = host.kernel.ifaces[i].clone();
            let told = std::mem::replace(&mut host.told[i], iface.ifindex);
            if told != 0 && told != iface.ifindex {
                self.step(h, Event::LinkGone { ifindex: told }, Cause::Other);
            }
            if iface.ifindex != 0 {
                let (ifindex, up, mac) = (iface.ifindex, iface.up, iface.mac);
                let info = LinkInfo { ifindex, name, up, mac, mtu: 1500 };
                self.step(h, Event::Link(info), Cause::Other);
                self.step(h, Event::Addresses { ifindex, list: &iface.list() }, Cause::Other);
            }
        }
        self.hosts[h].telling = None;
        if self.hosts[h].setup.routed.is_some() {
            self.step(h, Event::Routes, Cause::Other);
        }
    }

    /// Something changed in the kernel of `h`: the process hears of it a little later.
    pub fn kernel_changed(&mut self, h: usize) {
        self.hosts[h].netlink += 1;
        let t = self.now + 1 + self.rng.below(NETLINK);
        self.at(t, Ev::Netlink(h));
    }

    fn timer(&mut self, h: usize, generation: u64) {
        let host = &mut self.hosts[h];
        if host.generation != generation || host.paused {
            return;
        }
        host.armed = None;
        self.check_silence(h);
        self.wake(h);
    }

    /// As the daemon does it: first without, then with everything read.
    pub fn wake(&mut self, h: usize) {
        for drained in [false, true] {
            let host = &self.hosts[h];
            let now = host.local(self.now);
            if host.node.as_ref().and_then(|n| n.next_deadline()).is_none_or(|t| t > now) {
                break;
            }
            self.trace.add(self.now, h, What::Timer { drained });
            self.step(h, Event::Timeout { drained }, if drained { Cause::Other } else { Cause::Undrained });
        }
        let host = &self.hosts[h];
        if host.node.as_ref().and_then(|n| n.next_deadline()).is_some_and(|t| t <= host.local(self.now)) {
            self.fail(format!("{}: the deadline stays in the past", name(h)));
        }
        self.arm(h);
    }

    fn arm(&mut self, h: usize) {
        let host = &mut self.hosts[h];
        let due = host.node.as_ref().and_then(|n| n.next_deadline());
        if host.paused || due == host.armed {
            return;
        }
        host.armed = due;
        host.generation += 1;
        if let Some(due) = due {
            let (generation, t) = (host.generation, host.global(due).max(self.now));
            let late = self.rng.below(self.latency + 1);
            self.at(t + late, Ev::Timer(h, generation));
        }
    }

    /// One event into one router, what it does carried out, and all checked.
    pub fn step(&mut self, h: usize, event: Event<'_>, cause: Cause<'_>) {
        let now = self.hosts[h].local(self.now);
        let Some(mut node) = self.hosts[h].node.take() else { return };
        self.hosts[h].clock = now;
        self.hosts[h].foresee(event);
        let before = Before::of(&*node);
        let mut did = Vec::new();
        node.handle(event, now, &mut |a: Action<'_>| did.push(Did::of(a)));
        self.hosts[h].node = Some(node);
        self.after(h, before, did, cause);
    }

    /// Another configuration, told as the daemon tells it.
    pub fn reload(&mut self, h: usize) {
        let now = self.hosts[h].local(self.now);
        let Some(mut node) = self.hosts[h].node.take() else { return };
        let before = Before::of(&*node);
        let mut did = Vec::new();
        self.hosts[h].seen.reloading = true;
        node.reload(self.hosts[h].setup.config(), now, &mut |a: Action<'_>| did.push(Did::of(a)));
        let host = &mut self.hosts[h];
        host.node = Some(node);
        host.seen.silent_since = now;
        self.after(h, before, did, Cause::Reload);
        self.tell_links(h);
        self.step(h, Event::Start, Cause::Other);
    }

    fn after(&mut self, h: usize, before: Before, did: Vec<Did>, cause: Cause<'_>) {
        self.steps += 1;
        let answers = self.carry_out(h, &before, &did, cause);
        self.check_step(h, &before, &did, cause);
        for event in answers {
            self.step(h, event, Cause::Other);
        }
        if self.hosts[h].node.as_ref().is_some_and(|n| n.is_stopped()) {
            self.check_stopped(h);
            self.end(h);
        }
        self.arm(h);
    }

    /// Carries out what a router did; the kernel's refusals come back.
    fn carry_out(&mut self, h: usize, before: &Before, did: &[Did], cause: Cause<'_>) -> Vec<Event<'static>> {
        let mut answers = Vec::new();
        if did.iter().any(|d| matches!(d, Did::Advert { payload, .. } if payload[2] != 0)) {
            self.hosts[h].seen.failed.clear();
        }
        for d in did {
            match d {
                Did::Advert { ifindex, source, destination, payload } => {
                    self.check_advert(h, before, payload[2], *source, cause);
                    self.trace.add(self.now, h, What::Sent { priority: payload[2], from: *source });
                    self.send(h, *ifindex, *source, *destination, payload);
                }
                Did::Add { id, ifindex, ip, prefix } => {
                    self.trace.add(self.now, h, What::Add(*ip));
                    let host = &mut self.hosts[h];
                    let Some(i) = host.kernel.by_index(*ifindex) else { continue };
                    if host.fail_adds > 0 {
                        host.fail_adds -= 1;
                        host.seen.failed.push(*ip);
                        answers.push(Event::AddressFailed(*id));
                    } else if host.kernel.ifaces[i].add(*ip, *prefix, By::Daemon) == Err(By::System) {
                        answers.push(Event::AddressExists(*id));
                    }
                }
                Did::Remove { ifindex, ip } => {
                    self.trace.add(self.now, h, What::Remove(*ip));
                    let host = &mut self.hosts[h];
                    let Some(i) = host.kernel.by_index(*ifindex) else { continue };
                    if host.kernel.ifaces[i].remove(*ip) == Some(By::System) {
                        self.fail(format!("{}: removed {ip}, which it had not put on", name(h)));
                    }
                }
                Did::AddRoute { spec, ours } => {
                    self.trace.add(self.now, h, What::Add(spec.route.to));
                    answers.extend(self.add_route(h, spec, *ours));
                }
                Did::RemoveRoute(spec) => {
                    self.trace.add(self.now, h, What::Remove(spec.route.to));
                    let kernel = &mut self.hosts[h].kernel;
                    // The kernel removes ours and no other.
                    if let Some(i) = kernel.by_index(spec.ifindex) {
                        kernel.ifaces[i].route.take_if(|by| *by == By::Daemon);
                    }
                }
                Did::Announce { ifindex, ip } => {
                    self.trace.add(self.now, h, What::Announce(*ip));
                    self.check_announce(h, *ifindex, *ip);
                }
                Did::MakeVmac => {
                    let host = &mut self.hosts[h];
                    host.making = true;
                    if host.kernel.ifaces[LAN].ifindex == 0 || host.kernel.ifaces[VMAC].ifindex != 0 {
                        self.fail(format!("{}: makes a macvlan on nothing, or a second one", name(h)));
                        continue;
                    }
                    host.kernel.make_vmac();
                    let Iface { ifindex, mac, .. } = host.kernel.ifaces[VMAC];
                    let made = Ok(LinkInfo { ifindex, name: "", up: false, mac, mtu: 1500 });
                    answers.push(Event::Vmac { instance: InstanceId(0), made });
                    self.kernel_changed(h);
                }
                Did::SetVmac { ifindex, up } => {
                    let macvlan = &mut self.hosts[h].kernel.ifaces[VMAC];
                    if macvlan.ifindex == *ifindex {
                        macvlan.up = *up;
                        self.kernel_changed(h);
                    }
                }
                Did::RemoveVmac { ifindex } => {
                    let kernel = &mut self.hosts[h].kernel;
                    if kernel.ifaces[VMAC].ifindex == *ifindex {
                        kernel.delete(VMAC);
                        self.kernel_changed(h);
                    }
                }
                Did::Changed { from, to } => {
                    self.trace.add(self.now, h, What::State { from: *from, to: *to });
                    self.check_changed(h, *from, *to);
                }
                Did::Rebind | Did::Report => {}
            }
        }
        answers
    }

    /// What the kernel answers.
    fn add_route(&mut self, h: usize, spec: &RouteSpec, ours: bool) -> Option<Event<'static>> {
        let host = &mut self.hosts[h];
        let i = host.kernel.by_index(spec.ifindex)?;
        if host.fail_adds > 0 || !host.kernel.ifaces[i].up {
            host.fail_adds = host.fail_adds.saturating_sub(1);
            host.seen.failed.push(spec.route.to);
            return Some(Event::RouteFailed(spec.id));
        }
        match host.kernel.ifaces[i].route {
            Some(_) if ours => None,
            Some(By::System) => Some(Event::RouteExists(spec.id)),
            Some(By::Daemon) => {
                self.fail(format!("{}: takes its own route for another's", name(h)));
                None
            }
            None => {
                host.kernel.ifaces[i].route = Some(By::Daemon);
                ours.then_some(Event::RouteRestored(spec.id))
            }
        }
    }

    fn send(&mut self, h: usize, ifindex: u32, source: IpAddr, destination: IpAddr, payload: &[u8]) {
        let host = &self.hosts[h];
        if !host.kernel.by_index(ifindex).is_some_and(|i| i == LAN && host.kernel.ifaces[i].up) {
            return;
        }
        let packet = Rc::new(Packet { source, destination, ttl: 255, payload: payload.to_vec(), bad: false });
        let at = self.rng.index(RECORDED);
        match self.recorded.get_mut(at) {
            Some(slot) => *slot = packet.clone(),
            None => self.recorded.push(packet.clone()),
        }
        for to in (0..self.hosts.len()).filter(|to| *to != h) {
            if destination.is_multicast() || self.hosts[to].kernel.ifaces[LAN].has(destination).is_some() {
                for after in self.net.carry(h, to, packet.payload[0] >> 4 == 2, &mut self.rng).into_iter().flatten() {
                    self.at(self.now + after, Ev::Packet(to, packet.clone()));
                }
            }
        }
    }

    /// Starts a process on host `h`.
    pub fn boot(&mut self, h: usize) {
        if self.hosts[h].node.is_some() {
            return;
        }
        let kind = self.kind;
        let host = &mut self.hosts[h];
        // What an earlier process left goes first of all.
        host.kernel.delete(VMAC);
        host.making = false;
        let of_daemon = |v: &crate::setup::Vip| host.kernel.ifaces[v.dev].has(v.ip) == Some(By::Daemon);
        let stale: Vec<usize> = (0..host.setup.vips.len()).filter(|a| of_daemon(&host.setup.vips[*a])).collect();
        let stale_route = host.setup.routed.is_some_and(|i| host.kernel.ifaces[i].route == Some(By::Daemon));
        host.seen = Seen::new(!stale.is_empty() || stale_route, host.local(self.now));
        host.node = Some(kind.make(host.setup.config()));
        host.told = [0; NAMES.len() + 1];
        (host.lan, host.pending, host.behind) = (None, None, false);
        host.model = Model::new(&host.setup.checks, NAMES.len());
        let first = self.rng.percent(50);
        if !first {
            self.tell_links(h);
        }
        for a in &stale {
            self.step(h, Event::Stale(AddressId(*a as u16)), Cause::Other);
        }
        if stale_route {
            self.step(h, Event::StaleRoute(RouteId(0)), Cause::Other);
        }
        if first {
            self.tell_links(h);
        }
        self.step(h, Event::Start, Cause::Other);
        // Each check runs at once.
        for c in 0..self.hosts[h].setup.checks.len() {
            if let Some(found) = self.hosts[h].truth[c] {
                self.run_check(h, c, found);
            }
        }
    }

    /// A run of check `c` on host `h`.
    pub fn run_check(&mut self, h: usize, c: usize, found: Found) {
        let host = &mut self.hosts[h];
        let Some(spec) = host.setup.checks.get(c) else { return };
        if host.node.is_none() || host.paused {
            return;
        }
        let found = host.model.finds(spec.look).unwrap_or(found);
        self.step(h, Event::Check { check: CheckId(c as u8), result: found.result() }, Cause::Check);
    }

    /// The process of host `h` is no more.
    pub fn end(&mut self, h: usize) {
        let host = &mut self.hosts[h];
        host.node = None;
        (host.paused, host.aside) = (false, false);
        let unread = host.inbox.drain(..).filter(|i| matches!(i, Inbound::Netlink)).count();
        host.netlink -= unread as u32;
        host.armed = None;
        host.generation += 1;
    }

    pub fn pause(&mut self, h: usize) {
        self.hosts[h].paused = self.hosts[h].node.is_some();
    }

    /// SIGCONT: the timers are long due, and the socket is full.
    pub fn resume(&mut self, h: usize) {
        if !std::mem::take(&mut self.hosts[h].paused) {
            return;
        }
        let now = self.hosts[h].local(self.now);
        self.hosts[h].seen.silent_since = now;
        // What was due meanwhile is done behind what has come meanwhile.
        self.hosts[h].behind = self.hosts[h].setup.delays != (0, 0);
        if self.rng.percent(50) {
            self.step(h, Event::Timeout { drained: false }, Cause::Undrained);
        }
        for i in std::mem::take(&mut self.hosts[h].inbox) {
            match i {
                Inbound::Packet(p) => self.receive(h, &p),
                Inbound::Netlink => self.notified(h),
            }
        }
        self.hosts[h].behind = false;
        self.hosts[h].armed = Some(Instant(u64::MAX));
        self.wake(h);
    }

    /// The hosts of `among` (a bit each) that are Active.
    pub fn actives(&self, among: u8) -> Vec<usize> {
        (0..self.hosts.len()).filter(|h| among >> h & 1 == 1 && self.hosts[*h].is_active()).collect()
    }

    pub fn in_backup(&self, h: usize) -> bool {
        matches!(self.hosts[h].state(), State::Backup { .. })
    }
}

/// A host's name in messages.
pub fn name(h: usize) -> char {
    (b'A' + h as u8) as char
}
