//! The invariants of the protocol that hold after every single event. Those of quiet times are in
//! `scenario`.

use std::net::IpAddr;

use picovrrp::router::event::Shown;
use picovrrp::vrrp::election::{LEAVE_MARGIN, LEAVE_MAX, State};
use picovrrp::vrrp::timing::{Centis, Instant, Micros, Version};

use crate::kernel::By;
use crate::network::Packet;
use crate::node::Node;
use crate::setup::{LAN, NAMES, ROUTE, VMAC};
use crate::trace::What;
use crate::world::{Did, Expect, World, name};

/// What led to a step.
#[derive(Clone, Copy)]
pub enum Cause<'a> {
    Packet(&'a Packet),
    /// A timeout before everything was read.
    Undrained,
    Stop,
    Reload,
    /// A check has run.
    Check,
    Other,
}

/// A router as it was before a step.
pub struct Before {
    pub state: State,
    priority: u8,
    deadline: Option<Instant>,
    learned: Centis,
    accepted: u64,
    counted: u64,
}

impl Before {
    pub fn of(node: &dyn Node) -> Before {
        Before {
            state: node.state(),
            priority: node.priority(),
            deadline: node.next_deadline(),
            learned: node.learned(),
            accepted: node.accepted(),
            counted: node.counted(),
        }
    }
}

fn holds(s: State) -> bool {
    matches!(s, State::Active { .. } | State::Leaving { .. })
}

fn is_active(s: State) -> bool {
    matches!(s, State::Active { .. })
}

fn is_backup(s: State) -> bool {
    matches!(s, State::Backup { .. })
}

impl World {
    /// After one step of host `h`.
    pub fn check_step(&mut self, h: usize, before: &Before, did: &[Did], cause: Cause<'_>) {
        let Some(node) = &self.hosts[h].node else { return };
        let after = Before::of(&**node);
        let n = name(h);
        self.check_timers(h, &after);
        self.check_tracking(h, before, &after, cause);
        match cause {
            Cause::Packet(p) => self.check_packet(h, p, before, &after, did),
            // I10: what came before the deadline may still be in the socket.
            Cause::Undrained if is_backup(before.state) && is_active(after.state) => {
                self.fail(format!("{n}: I10: the Active_Down_Timer fired before the socket was drained"));
            }
            _ => {}
        }
        if self.hosts[h].aside && is_active(after.state) {
            self.fail(format!("{n}: Active though it was told to yield"));
        }
        // I14
        let setup = &self.hosts[h].setup;
        let most = if setup.also_v2 || setup.version == Version::V2 { 25_500 } else { 4095 };
        if !(1..=most).contains(&after.learned.get()) {
            self.fail(format!("{n}: I14: learned {:?}", after.learned));
        }
        if !is_active(before.state) && is_active(after.state) {
            self.entered_active(h, did);
        }
        let now = self.hosts_local(h);
        let host = &mut self.hosts[h];
        if is_backup(after.state) && !is_backup(before.state) {
            host.seen.silent_since = now;
            host.seen.left &= host.seen.stopping;
        }
        // I5, and what is shown is what is.
        let shown = match after.state {
            State::Active { .. } | State::Leaving { .. } => host.seen.shown == Shown::Master,
            State::Backup { .. } => host.seen.shown == Shown::Backup,
            // It gave up its addresses, and waits for the first result of a check, or for what a reload tells.
            State::Initialize if (host.sum().held || host.seen.reloading) && host.seen.shown == Shown::Backup => true,
            State::Ready | State::Initialize => matches!(host.seen.shown, Shown::Init | Shown::Fault | Shown::Stop),
        };
        if !shown {
            let text = format!("{n}: shows {:?} in {:?}", host.seen.shown, after.state);
            self.fail(text);
        }
        // I13
        if self.hosts[h].kernel.ifaces[VMAC].up && !holds(after.state) {
            self.fail(format!("{n}: I13: its macvlan is up in {:?}", after.state));
        }
        self.check_addresses(h, after.state);
    }

    fn hosts_local(&self, h: usize) -> Instant {
        self.hosts[h].local(self.now)
    }

    /// I4: the state's own timer runs, and no other election timer can: it is part of the state.
    fn check_timers(&mut self, h: usize, after: &Before) {
        let good = match (after.state, after.deadline) {
            (State::Initialize, None) => true,
            // A link's delay has a time of its own.
            (State::Initialize, Some(_)) => self.hosts[h].setup.delays != (0, 0),
            (State::Backup { active_down }, Some(t)) if self.hosts[h].setup.delays != (0, 0) => t <= active_down,
            (State::Backup { active_down }, Some(t)) => t == active_down,
            (State::Active { adver: t }, Some(first)) | (State::Leaving { until: t }, Some(first)) => first <= t,
            _ => false,
        };
        if !good {
            self.fail(format!("{}: I4: {:?} with deadline {:?}", name(h), after.state, after.deadline));
        }
    }

    /// What is tracked counts at once, and for nothing else: priority, Fault, who waits, and how it leaves.
    fn check_tracking(&mut self, h: usize, before: &Before, after: &Before, cause: Cause<'_>) {
        let (n, now, host) = (name(h), self.hosts_local(h), &self.hosts[h]);
        let sum = host.sum();
        let (was, is) = (before.state, after.state);
        let mut wrong = None;
        if host.seen.reloading || host.seen.stopping {
            // The links are still to be told; or nothing begins any more.
        } else if after.priority != sum.priority {
            wrong = Some(format!("{n}: effective priority {}, not {sum:?}", after.priority));
        } else if sum.fault && !matches!(is, State::Initialize | State::Leaving { .. }) {
            wrong = Some(format!("{n}: in {is:?} with {sum:?}"));
        } else if sum.held && was == State::Initialize && is != State::Initialize {
            wrong = Some(format!("{n}: does not wait for a first result: {is:?}"));
        } else if is == State::Initialize && host.seen.started && host.informed() && host.eligible() {
            wrong = Some(format!("{n}: does not start"));
        }
        // Make-before-break: until the successor speaks, or nobody has.
        let lan = &host.kernel.ifaces[LAN];
        let works = lan.ifindex != 0 && lan.up && host.source().is_some() && host.informed();
        let heard = matches!(cause, Cause::Packet(_));
        if matches!(was, State::Leaving { .. }) && is != was && works && !heard && now < host.seen.leaves_until {
            wrong = Some(format!("{n}: gave up before its successor spoke"));
        }
        if is_active(was) && is == State::Initialize && works && !host.seen.left {
            wrong = Some(format!("{n}: left without a farewell"));
        }
        // A change of its link counts when it has lasted.
        match host.pending.filter(|(_, due)| now < *due && !host.behind) {
            Some((true, _)) if was == State::Initialize && is != was => {
                wrong = Some(format!("{n}: begins before its link's return counts: {is:?}"));
            }
            Some((false, _)) if (is_active(was) || is_backup(was)) && !is_active(is) && !is_backup(is) => {
                let why = sum.fault || host.seen.stopping || host.aside || host.source().is_none();
                if !why {
                    wrong = Some(format!("{n}: left before its link's loss counts: {is:?}"));
                }
            }
            _ => {}
        }
        if let Some(text) = wrong {
            self.fail(text);
        }
    }

    fn check_packet(&mut self, h: usize, p: &Packet, before: &Before, after: &Before, did: &[Did]) {
        let n = name(h);
        let accepted = after.accepted > before.accepted;
        let same = (before.state, before.deadline, before.learned) == (after.state, after.deadline, after.learned);
        if !accepted {
            self.trace.add(self.now, h, What::Dropped { bad: p.bad });
            // I9
            if !same || did.iter().any(|d| !matches!(d, Did::Report)) || after.counted != before.counted + 1 {
                self.fail(format!(
                    "{n}: I9: a dropped packet of {} changed more than a counter (+{}): {did:?}",
                    p.source,
                    after.counted - before.counted
                ));
            }
            return;
        }
        let priority = p.payload[2];
        self.trace.add(self.now, h, What::Heard { priority, from: p.source, accepted });
        if p.bad {
            self.fail(format!("{n}: I9: accepted a wrong packet: {p:?}"));
        }
        let now = self.hosts_local(h);
        let host = &mut self.hosts[h];
        if host.setup.also_v2 {
            // §8.4.2: what comes in version 2 from who was heard in version 3 within an interval.
            let old = p.payload[0] >> 4 == 2;
            if old && host.seen.in_v3.is_some_and(|(source, until)| source == p.source && now < until) {
                if !same || !did.is_empty() {
                    self.fail(format!("{n}: version 2 of {}, who speaks 3, led to {did:?}", p.source));
                }
                return;
            }
            if !old {
                let cs = u64::from(p.payload[4] & 0xf) << 8 | u64::from(p.payload[5]);
                host.seen.in_v3 = Some((p.source, now + Micros(cs * 10_000)));
            }
        }
        if priority != 0 {
            host.seen.silent_since = now;
            host.seen.stale = false;
        }
        // The table of §6.4, by states. Which address is ours is unclear while its change is told.
        let Some(ours) = host.source().filter(|_| host.informed()) else { return };
        let mine = host.priority();
        let better = priority > mine || (priority == mine && p.source > ours);
        let good = match before.state {
            State::Initialize | State::Ready => after.state == State::Initialize,
            State::Backup { .. } => is_backup(after.state),
            State::Active { .. } if better => is_backup(after.state),
            State::Active { .. } => is_active(after.state),
            State::Leaving { .. } if priority == 0 => after.state == before.state,
            // What recovered meanwhile begins anew.
            State::Leaving { .. } if host.eligible() => after.state != State::Initialize && after.state != before.state,
            State::Leaving { .. } => after.state == State::Initialize,
        };
        if !good {
            let text = format!(
                "{n}: I7: priority {priority} of {} led from {:?} to {:?}",
                p.source, before.state, after.state
            );
            self.fail(text);
        }
    }

    /// Becoming Active: advert, addresses, routes, announcements, word of it, in this order and at once (I5).
    fn entered_active(&mut self, h: usize, did: &[Did]) {
        self.entered[h] += 1;
        self.first_entry.get_or_insert((self.now, h));
        let host = &mut self.hosts[h];
        host.seen.entries.push_back(self.now);
        host.seen.stale = false;
        let rank = |d: &Did| match d {
            Did::Advert { .. } => Some(0),
            Did::Add { .. } => Some(1),
            Did::AddRoute { .. } => Some(2),
            Did::Announce { .. } => Some(3),
            Did::Changed { to: Shown::Master, .. } => Some(4),
            _ => None,
        };
        let ranks: Vec<u8> = did.iter().filter_map(rank).collect();
        let announced = |v: &crate::setup::Vip| {
            let up = host.kernel.ifaces[v.dev].up && host.kernel.ifaces[v.dev].has(v.ip).is_some();
            !up || did.iter().any(|d| matches!(d, Did::Announce { ip, .. } if *ip == v.ip))
        };
        let all = !host.informed() || host.setup.vips.iter().all(announced);
        if !ranks.is_sorted() || ranks.first() != Some(&0) || ranks.last() != Some(&4) || !all {
            self.fail(format!("{}: I5: became Active in this order: {did:?}", name(h)));
        }
    }

    /// I5: an address or a route is there if and only if the router is Active (or hands over).
    fn check_addresses(&mut self, h: usize, state: State) {
        let host = &self.hosts[h];
        if !host.informed() || host.node.is_none() {
            return;
        }
        let mut wrong = None;
        for v in &host.setup.vips {
            let iface = &host.kernel.ifaces[v.dev];
            let there = iface.has(v.ip);
            let lost = v.dev != VMAC || host.kernel.ifaces[LAN].ifindex == 0;
            let excused = (lost && (iface.ifindex == 0 || !iface.up)) || host.seen.failed.contains(&v.ip);
            if holds(state) && there.is_none() && !excused {
                wrong = Some(format!("{}: I5: {state:?} without {} on {:?}", name(h), v.ip, NAMES.get(v.dev)));
            }
            if !holds(state) && there == Some(By::Daemon) && !host.seen.stale {
                wrong = Some(format!("{}: I5: {state:?} with {} on {:?}", name(h), v.ip, NAMES.get(v.dev)));
            }
        }
        if let Some(i) = host.setup.routed {
            let iface = &host.kernel.ifaces[i];
            let excused = iface.ifindex == 0 || !iface.up || host.seen.failed.contains(&ROUTE);
            if holds(state) && iface.route.is_none() && !excused {
                wrong = Some(format!("{}: I5: {state:?} without its route", name(h)));
            }
            if !holds(state) && iface.route == Some(By::Daemon) && !host.seen.stale {
                wrong = Some(format!("{}: I5: {state:?} with its route", name(h)));
            }
        }
        if let Some(text) = wrong {
            self.fail(text);
        }
    }

    /// I6, I8 and C2, for every advert that is sent.
    pub fn check_advert(&mut self, h: usize, before: &Before, priority: u8, source: IpAddr, cause: Cause<'_>) {
        let (now, n) = (self.now, name(h));
        let host = &mut self.hosts[h];
        let mut wrong = None;
        let faulty = host.sum().fault;
        let leaves = priority == 0 && is_active(before.state) && (matches!(cause, Cause::Stop) || faulty || host.aside);
        // An owner begins as Active.
        host.seen.left &= priority != 255 || host.seen.stopping || faulty;
        // One to every peer, in one step.
        if !leaves && (priority == 0 || host.seen.left) {
            wrong = Some(format!("{n}: I6: priority {priority} from {:?}, left: {}", before.state, host.seen.left));
        }
        if leaves {
            let wait = (host.setup.skew(1, host.setup.advert) + LEAVE_MARGIN.0).min(LEAVE_MAX.0);
            (host.seen.left, host.seen.leaves_until) = (true, host.local(now) + Micros(wait));
        }
        if priority != 0 && priority != host.priority() {
            wrong = Some(format!("{n}: says priority {priority}, and has {:?}", host.sum()));
        }
        if host.informed() && host.source() != Some(source) {
            wrong = Some(format!("{n}: C2: sends from {source}, not from {:?}", host.source()));
        }
        // I8: in two intervals two regular adverts and what the ends of the window and a stall add, one
        // for every entry, and two replies an interval.
        let window = 2 * host.setup.t();
        host.seen.sends.push_back(now);
        while host.seen.sends.front().is_some_and(|t| t + window < now) {
            host.seen.sends.pop_front();
        }
        while host.seen.entries.front().is_some_and(|t| t + window < now) {
            host.seen.entries.pop_front();
        }
        let peers = host.setup.unicast.as_ref().map_or(1, |u| u.1.len());
        let each = peers * (1 + usize::from(host.setup.also_v2));
        let most = (4 + 5 + host.seen.entries.len() + 1) * each;
        if host.seen.sends.len() > most {
            wrong = Some(format!("{n}: I8: {} adverts in two intervals", host.seen.sends.len()));
        }
        if let Some(text) = wrong {
            self.fail(text);
        }
    }

    /// C49: nothing is announced that is not there.
    pub fn check_announce(&mut self, h: usize, ifindex: u32, ip: IpAddr) {
        let host = &self.hosts[h];
        let Some(i) = host.kernel.by_index(ifindex) else { return };
        // What stands on the macvlan is announced beneath it.
        let on_vmac = i == LAN && host.setup.vips.iter().any(|v| v.ip == ip && v.dev == VMAC);
        let i = if on_vmac { VMAC } else { i };
        // What a person has just taken off, or the kernel has just refused, it cannot know yet.
        let informed = host.netlink == 0 && host.telling.is_none_or(|now| i <= now);
        if informed && host.kernel.ifaces[i].has(ip).is_none() && !host.seen.failed.contains(&ip) {
            self.fail(format!("{}: C49: announced {ip}, which is not there", name(h)));
        }
    }

    pub fn check_changed(&mut self, h: usize, from: Shown, to: Shown) {
        let seen = &mut self.hosts[h].seen;
        let before = std::mem::replace(&mut seen.shown, to);
        if to == Shown::Fault {
            seen.stale = false;
        }
        if before != from || from == to {
            self.fail(format!("{}: told {from:?} to {to:?} after {before:?}", name(h)));
        }
    }

    /// A process that has stopped leaves nothing behind (I5).
    pub fn check_stopped(&mut self, h: usize) {
        let host = &self.hosts[h];
        let left = host.setup.vips.iter().find(|v| host.kernel.ifaces[v.dev].has(v.ip) == Some(By::Daemon)).copied();
        let routed = host.setup.routed.is_some_and(|i| host.kernel.ifaces[i].route == Some(By::Daemon));
        let said = host.seen.shown == Shown::Stop;
        if host.kernel.ifaces[VMAC].ifindex != 0 {
            self.fail(format!("{}: stopped, and its macvlan is still there", name(h)));
        }
        if routed {
            self.fail(format!("{}: I5: stopped, and its route is still there", name(h)));
        }
        if let Some(v) = left {
            self.fail(format!("{}: I5: stopped, and {} is still there", name(h), v.ip));
        }
        if !said {
            self.fail(format!("{}: stopped without saying so", name(h)));
        }
    }

    /// I12: the same configuration again changes nothing.
    pub fn same_again(&mut self, h: usize) {
        let state = |w: &World| {
            let node = w.hosts[h].node.as_ref();
            node.map(|n| (n.state(), n.next_deadline(), n.learned(), n.accepted(), n.counted()))
        };
        let quiet = self.hosts[h].informed() && self.hosts[h].seen.failed.is_empty();
        let (before, steps) = (state(self), self.hosts[h].seen.sends.len());
        self.reload(h);
        if quiet && (before != state(self) || steps != self.hosts[h].seen.sends.len()) {
            self.fail(format!("{}: I12: reload of the same: {before:?} to {:?}", name(h), state(self)));
        }
    }

    /// I2, seen from one router: in Backup it hears somebody within the Active_Down_Interval, or is
    /// Active itself. No flood and no reload may put that off for ever.
    pub fn check_silence(&mut self, h: usize) {
        if !is_backup(self.hosts[h].state()) || self.hosts[h].paused || self.hosts[h].aside {
            return;
        }
        let host = &self.hosts[h];
        let Some(node) = &host.node else { return };
        let cs = node.learned().get();
        let down =
            3 * cs as u64 * 10_000 + host.setup.skew(1, if host.setup.version == Version::V2 { 100 } else { cs });
        let silent = self.hosts_local(h).since(host.seen.silent_since).0;
        if silent > down + down / 100 + 2 * self.latency + 10 {
            self.fail(format!("{}: I2: silent for {silent} µs in Backup", name(h)));
        }
    }

    /// What the present phase promises, after every event.
    pub fn check_world(&mut self) {
        match self.expect {
            Expect::Anything => {}
            Expect::Steady => {
                let actives = self.actives(0xff);
                if actives.len() != 1 || self.entered.iter().any(|e| *e > 0) {
                    self.fail(format!("I3: Active in quiet times: {actives:?}, entries {:?}", self.entered));
                }
            }
            Expect::Served => {
                if !self.hosts.iter().any(|h| h.serves()) {
                    self.fail("make-before-break: nobody has the virtual address".to_owned());
                }
            }
        }
    }
}
