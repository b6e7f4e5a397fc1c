//! A second, small election in the place of the router: RFC 9568 §6.4 with nothing around it but what
//! the world needs. It shows that the invariants hold for another reading of the RFC too, and it can
//! be told to make mistakes that are common in the field, which the invariants must catch.

use std::net::IpAddr;

use picovrrp::config::model::{Config, Family, Preempt};
use picovrrp::router::event::{AddressId, AddressSpec, InstanceId, Received, Shown, Transition};
use picovrrp::router::{Action, Actions, Event};
use picovrrp::vrrp::election::State;
use picovrrp::vrrp::packet::{Header, MAX_LEN, Packet, emit};
use picovrrp::vrrp::stats::Reason;
use picovrrp::vrrp::timing::{Centis, Instant, Micros, Version};

use crate::node::Node;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mutant {
    /// Skew_Time is always 0: an integer division too early.
    NoSkew,
    /// The interval's centiseconds are taken as seconds.
    CentisAsSeconds,
    /// Of two Actives with equal priority none yields.
    NoTieBreak,
    /// A Backup does not reset its timer when it hears a higher advert.
    NotRearmed,
}

pub struct Compact {
    config: Box<Config>,
    mutant: Option<Mutant>,
    state: State,
    learned: Centis,
    shown: Shown,
    started: bool,
    stopped: bool,
    ifindex: u32,
    up: bool,
    mac: [u8; 6],
    source: Option<IpAddr>,
    /// The interfaces of the addresses.
    devices: [(u32, bool); 2],
    on: [bool; 4],
    lower_since: Option<Instant>,
    quiet_until: Instant,
    accepted: u64,
    dropped: u64,
}

impl Compact {
    pub fn new(config: Box<Config>, mutant: Option<Mutant>) -> Compact {
        Compact {
            config,
            mutant,
            state: State::Initialize,
            learned: Centis::SECOND,
            shown: Shown::Init,
            started: false,
            stopped: false,
            ifindex: 0,
            up: false,
            mac: [0; 6],
            source: None,
            devices: [(0, false); 2],
            on: [false; 4],
            lower_since: None,
            quiet_until: Instant(0),
            accepted: 0,
            dropped: 0,
        }
    }

    fn priority(&self) -> u8 {
        self.config.instances[0].priority
    }

    fn interval(&self) -> u64 {
        self.micros(self.config.instances[0].advert)
    }

    fn micros(&self, t: Centis) -> u64 {
        let unit = if self.mutant == Some(Mutant::CentisAsSeconds) { 1_000_000 } else { 10_000 };
        t.get() as u64 * unit
    }

    fn skew(&self) -> Micros {
        let p = 256 - self.priority() as u64;
        match (self.mutant, self.config.instances[0].version) {
            (Some(Mutant::NoSkew), _) => Micros(0),
            (_, Version::V2) => Micros(p * 1_000_000 / 256),
            (_, Version::V3) => Micros(p * self.micros(self.learned) / 256),
        }
    }

    fn down(&self) -> Micros {
        Micros(3 * self.micros(self.learned)) + self.skew()
    }

    fn show(&mut self, to: Shown, out: &mut dyn Actions) {
        let from = std::mem::replace(&mut self.shown, to);
        if from != to {
            let (instance, reason, priority) = (InstanceId(0), Reason::NoResponse, self.priority());
            out.act(Action::Changed(Transition { instance, from, to, reason, fault: None, priority }));
        }
    }

    fn send(&self, priority: u8, out: &mut dyn Actions) {
        let (c, i) = (&self.config, &self.config.instances[0]);
        let Some(source) = self.source else { return };
        let h = Header { version: i.version, vrid: i.vrid, priority, interval: i.advert, password: i.password };
        let group = if i.family == Family::V4 { "224.0.0.18" } else { "ff02::12" }.parse().unwrap();
        let peers: Vec<IpAddr> = c.peers_of(i).iter().map(|p| p.ip).collect();
        for destination in if i.unicast.is_some() { peers } else { vec![group] } {
            let mut buf = [0; MAX_LEN];
            let pseudo = (i.version == Version::V3).then_some((source, destination));
            let n = emit(&mut buf, &h, c.addresses_of(i).iter().map(|a| a.ip), pseudo).unwrap();
            let (instance, ifindex) = (InstanceId(0), self.ifindex);
            out.act(Action::SendAdvert { instance, ifindex, mac: None, source, destination, payload: &buf[..n] });
        }
    }

    /// The interface of address `a`.
    fn device(&self, a: usize) -> (u32, bool) {
        self.devices[!self.config.addresses[a].dev.is_empty() as usize]
    }

    fn spec(&self, a: usize) -> AddressSpec<'_> {
        let (ip, prefix) = (self.config.addresses[a].ip, self.config.addresses[a].prefix);
        AddressSpec {
            id: AddressId(a as u16),
            ifindex: self.device(a).0,
            ip,
            prefix,
            scope: None,
            label: "",
            vmac: false,
        }
    }

    fn become_active(&mut self, now: Instant, out: &mut dyn Actions) {
        self.send(self.priority(), out);
        for a in 0..self.config.addresses.len() {
            out.act(Action::AddAddress(self.spec(a)));
            self.on[a] = true;
        }
        for a in 0..self.config.addresses.len() {
            let (ifindex, up) = self.device(a);
            if up {
                out.act(Action::Announce { ifindex, mac: self.mac, ip: self.config.addresses[a].ip });
            }
        }
        self.state = State::Active { adver: now + Micros(self.interval()) };
        self.show(Shown::Master, out);
    }

    fn leave_active(&mut self, to: Shown, out: &mut dyn Actions) {
        for a in 0..self.config.addresses.len() {
            if std::mem::take(&mut self.on[a]) {
                out.act(Action::RemoveAddress(self.spec(a)));
            }
        }
        self.show(to, out);
    }

    /// Starts what may start, and ends what may not go on.
    fn evaluate(&mut self, now: Instant, out: &mut dyn Actions) {
        let able = self.up && self.source.is_some();
        if !self.started || self.stopped {
            return;
        }
        if able && self.state == State::Initialize {
            self.learned = self.config.instances[0].advert;
            if self.priority() == 255 {
                self.become_active(now, out);
            } else {
                self.state = State::Backup { active_down: now + self.down() };
                self.show(Shown::Backup, out);
            }
        } else if !able {
            self.state = State::Initialize;
            self.leave_active(Shown::Fault, out);
        }
    }

    fn receive(&mut self, m: &Received<'_>, now: Instant, out: &mut dyn Actions) {
        let i = &self.config.instances[0];
        let known = i.unicast.is_none() || self.config.peers_of(i).iter().any(|p| p.ip == m.source);
        let good = m.ttl == 255 && known && Some(m.source) != self.source;
        let p = Packet::new_checked(m.payload, i.family == Family::V6).ok().filter(|p| {
            let sum = p.checksum(m.source, m.destination);
            good && p.version() == i.version && p.vrid() == i.vrid && (sum.plain || sum.pseudo)
        });
        let (Some(p), Some(ours)) = (p, self.source) else {
            self.dropped += 1;
            return;
        };
        let Some(interval) = p.interval() else {
            self.dropped += 1;
            return;
        };
        self.accepted += 1;
        let mine = self.priority();
        match self.state {
            State::Backup { active_down } if p.priority() == 0 => {
                self.state = State::Backup { active_down: active_down.min(now + self.skew()) };
            }
            State::Backup { .. } => {
                let since = *self.lower_since.get_or_insert(now);
                let wait = if let Preempt::After(d) = i.preempt { now.since(since) < d } else { false };
                let lower = p.priority() < mine;
                if !lower {
                    self.lower_since = None;
                }
                let discard = lower && (mine == 255 || (i.preempt != Preempt::Off && !wait));
                if !discard && self.mutant != Some(Mutant::NotRearmed) {
                    self.learned = interval;
                    self.state = State::Backup { active_down: now + self.down() };
                }
            }
            State::Active { .. } => {
                let tie = self.mutant != Some(Mutant::NoTieBreak) && m.source > ours;
                if p.priority() > mine || (p.priority() == mine && tie) {
                    self.learned = interval;
                    self.lower_since = None;
                    self.state = State::Backup { active_down: now + self.down() };
                    self.leave_active(Shown::Backup, out);
                } else if now >= self.quiet_until {
                    self.quiet_until = now + Micros(self.interval() / 2);
                    self.send(mine, out);
                }
            }
            State::Initialize | State::Ready | State::Leaving { .. } => {}
        }
    }
}

impl Node for Compact {
    fn handle(&mut self, event: Event<'_>, now: Instant, out: &mut dyn Actions) {
        match event {
            Event::Start => self.started = true,
            Event::Timeout { drained } => match self.state {
                State::Backup { active_down } if drained && active_down <= now => self.become_active(now, out),
                State::Active { adver } if adver <= now => {
                    self.send(self.priority(), out);
                    self.state = State::Active { adver: now + Micros(self.interval()) };
                }
                _ => {}
            },
            Event::Received(m) => self.receive(&m, now, out),
            Event::Link(l) if l.name == "lan" => {
                (self.ifindex, self.up, self.mac) = (l.ifindex, l.up, l.mac);
                self.devices[0] = (l.ifindex, l.up);
            }
            Event::Link(l) if l.name == "iot" => self.devices[1] = (l.ifindex, l.up),
            Event::Addresses { ifindex, list } if ifindex == self.ifindex => {
                let v4 = self.config.instances[0].family == Family::V4;
                let vip = |ip: &IpAddr| self.config.addresses.iter().any(|a| a.ip == *ip);
                let all = || list.iter().map(|l| l.ip).filter(|ip| ip.is_ipv4() == v4);
                let own = self.config.instances[0].unicast;
                let foreign = |ip: &IpAddr| vip(ip) && self.priority() == 255;
                self.source = own.or(all().find(|ip| !vip(ip))).or(all().find(foreign));
            }
            Event::AddressExists(id) => self.on[id.0 as usize] = false,
            Event::Stop => {
                if let State::Active { .. } = self.state {
                    self.send(0, out);
                }
                self.stopped = true;
                self.state = State::Initialize;
                self.leave_active(Shown::Stop, out);
            }
            _ => {}
        }
        self.evaluate(now, out);
    }

    fn reload(&mut self, config: Box<Config>, _now: Instant, _out: &mut dyn Actions) {
        self.config = config;
    }

    fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Initialize | State::Ready => None,
            State::Backup { active_down: t } | State::Active { adver: t } | State::Leaving { until: t } => Some(t),
        }
    }

    fn state(&self) -> State {
        self.state
    }

    fn priority(&self) -> u8 {
        Compact::priority(self)
    }

    fn learned(&self) -> Centis {
        self.learned
    }

    fn accepted(&self) -> u64 {
        self.accepted
    }

    fn counted(&self) -> u64 {
        self.dropped
    }

    fn is_stopped(&self) -> bool {
        self.stopped
    }
}
