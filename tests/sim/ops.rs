//! What goes wrong, and what people do: each an operation on the world.

use std::rc::Rc;

use picovrrp::config::model::{Initial, Preempt};
use picovrrp::router::Event;
use picovrrp::router::event::InstanceId;
use picovrrp::vrrp::timing::Micros;

use crate::check::Cause;
use crate::kernel::By;
use crate::network::Packet;
use crate::setup::{LAN, WAN, own_address};
use crate::tracked::{self, Found, Look, Thing};
use crate::world::{Ev, World};

#[derive(Clone, Copy, Debug, Hash)]
pub enum Op {
    /// Loss in percent, everywhere or from one to another.
    Loss(u64),
    LinkLoss(usize, usize, u64),
    Split(u8),
    OneWay(usize, usize),
    Heal,
    /// Power failure: what the daemon put on is gone.
    PowerOff(usize),
    /// kill -9: its addresses stay.
    Kill(usize),
    Boot(usize),
    Pause(usize),
    Resume(usize),
    Carrier(usize, bool),
    Delete(usize, usize),
    Recreate(usize, usize),
    Priority(usize, u8),
    /// A check runs so many times and finds this, from now on.
    Run(usize, usize, Found, u8),
    /// The tracked interface.
    Uplink(usize, bool),
    /// Reload with other weights, counts or names of checks.
    Retrack(usize),
    /// 0 off, 1 on, else after so many microseconds.
    Preempt(usize, u64),
    /// Reload of the same configuration.
    Same(usize),
    Stop(usize),
    /// Told to stay Backup, and no more.
    Yield(usize),
    Unyield(usize),
    RemoveVip(usize, usize),
    /// All virtual addresses of both interfaces at once, as a restart of the network does it.
    Flush(usize),
    AddVip(usize, usize),
    Renumber(usize, u8),
    FailAdds(usize, u8),
    /// Packets that must change nothing.
    Bad(usize, u8),
    /// A recorded packet once more.
    Replay(usize),
    /// Its own advert comes back.
    Reflect(usize),
    /// A valid advert of this priority, said to come from that host (or a stranger).
    Forge(usize, u8, usize),
}

impl World {
    /// Does `op`, if it makes sense at this moment.
    pub fn apply(&mut self, op: Op) {
        self.trace.add(self.now, 0, crate::trace::What::Op(op));
        match op {
            Op::Loss(p) => self.net.lose(p),
            Op::LinkLoss(a, b, p) => self.net.loss[a][b] = p,
            Op::Split(side) => self.net.split(side),
            Op::OneWay(a, b) => self.net.cut[a][b] = true,
            Op::Heal => self.net.heal(),
            Op::PowerOff(h) => {
                self.end(h);
                self.hosts[h].kernel.power_cycle();
            }
            Op::Kill(h) => self.end(h),
            Op::Boot(h) => self.boot(h),
            Op::Pause(h) => self.pause(h),
            Op::Resume(h) => self.resume(h),
            Op::Carrier(h, up) => {
                let lan = &mut self.hosts[h].kernel.ifaces[LAN];
                if lan.ifindex != 0 && lan.up != up {
                    lan.up = up;
                    // As `ip link set down`; the system puts its own back.
                    lan.route.take_if(|by| *by == By::Daemon && !up);
                    self.kernel_changed(h);
                }
            }
            Op::Delete(h, i) => {
                if self.hosts[h].kernel.ifaces[i].ifindex != 0 && self.hosts[h].setup.priority != 255 {
                    self.hosts[h].kernel.delete(i);
                    self.kernel_changed(h);
                }
            }
            Op::Recreate(h, i) => self.recreate(h, i),
            Op::Priority(h, p) => {
                if self.hosts[h].setup.priority != 255 && !self.hosts[h].paused {
                    self.hosts[h].setup.priority = p;
                    self.reload(h);
                }
            }
            Op::Run(h, c, found, times) => {
                if let Some(truth) = self.hosts[h].truth.get_mut(c) {
                    *truth = Some(found);
                    (0..times).for_each(|_| self.run_check(h, c, found));
                }
            }
            Op::Uplink(h, up) => {
                let wan = &mut self.hosts[h].kernel.ifaces[WAN];
                if wan.ifindex != 0 && wan.up != up {
                    wan.up = up;
                    self.kernel_changed(h);
                }
            }
            Op::Retrack(h) => self.retrack(h),
            Op::Preempt(h, _) if self.hosts[h].paused => {}
            Op::Preempt(h, mode) => {
                self.hosts[h].setup.preempt = match mode {
                    0 => Preempt::Off,
                    1 => Preempt::On,
                    us => Preempt::After(Micros(us)),
                };
                self.reload(h);
            }
            Op::Same(h) => {
                if !self.hosts[h].paused {
                    self.same_again(h);
                }
            }
            Op::Stop(h) => {
                if !self.hosts[h].paused {
                    self.step(h, Event::Stop, Cause::Stop);
                }
            }
            Op::Yield(h) => {
                if !self.hosts[h].paused && self.hosts[h].node.is_some() {
                    self.hosts[h].aside = true;
                    let until = picovrrp::router::FOR_EVER;
                    self.step(h, Event::Yield { instance: InstanceId(0), until }, Cause::Other);
                }
            }
            Op::Unyield(h) => {
                if self.hosts[h].aside && !self.hosts[h].paused {
                    self.hosts[h].aside = false;
                    self.hosts[h].seen.silent_since = self.hosts[h].local(self.now);
                    self.step(h, Event::Resume(InstanceId(0)), Cause::Other);
                }
            }
            Op::RemoveVip(h, v) => {
                let host = &mut self.hosts[h];
                let vip = host.setup.vips[v % host.setup.vips.len()];
                if host.setup.priority != 255 && host.kernel.ifaces[vip.dev].remove(vip.ip).is_some() {
                    self.kernel_changed(h);
                }
            }
            Op::Flush(h) => {
                let host = &mut self.hosts[h];
                if host.setup.priority != 255 {
                    for v in &host.setup.vips {
                        host.kernel.ifaces[v.dev].remove(v.ip);
                    }
                    for iface in &mut host.kernel.ifaces {
                        iface.route.take_if(|by| *by == By::Daemon);
                    }
                    self.kernel_changed(h);
                }
            }
            Op::AddVip(h, v) => {
                let host = &mut self.hosts[h];
                let vip = host.setup.vips[v % host.setup.vips.len()];
                // While the removal of ours is not told yet, ours and theirs could not be told apart.
                let told = host.informed() && host.kernel.ifaces[vip.dev].ifindex != 0;
                let iface = &mut host.kernel.ifaces[vip.dev];
                if told && iface.add(vip.ip, vip.prefix, By::System).is_ok() {
                    self.kernel_changed(h);
                }
            }
            Op::Renumber(h, n) => self.renumber(h, n),
            Op::FailAdds(h, n) => self.hosts[h].fail_adds = n,
            Op::Bad(h, n) => (0..n).for_each(|_| self.bad(h)),
            Op::Replay(h) => {
                if !self.recorded.is_empty() {
                    let p = self.rng.index(self.recorded.len());
                    self.at(self.now, Ev::Packet(h, self.recorded[p].clone()));
                }
            }
            Op::Reflect(h) => {
                let own = self.hosts[h].source();
                if let Some(p) = self.recorded.iter().find(|p| Some(p.source) == own).cloned() {
                    self.at(self.now, Ev::Packet(h, p));
                }
            }
            Op::Forge(h, priority, from) => {
                let stranger = own_address(self.hosts[h].setup.family, 200);
                let forged = self.hosts.get(from).and_then(|f| Some((f.source()?, f.setup.checksum, f.setup.version)));
                let mut setup = self.hosts[h].setup.clone();
                let (source, checksum, version) = forged.unwrap_or((stranger, setup.checksum, setup.version));
                // Another form of checksum than the source's own would be a fault that lasts, and another
                // version than the source's makes its own be ignored for a while.
                (setup.checksum, setup.version) = (checksum, version);
                let payload = setup.advert(priority, setup.advert, source, self.destination(h));
                self.inject(h, source, 255, payload, false);
            }
        }
    }

    fn retrack(&mut self, h: usize) {
        let (host, rng) = (&mut self.hosts[h], &mut self.rng);
        if host.paused || host.setup.checks.is_empty() {
            return;
        }
        let (old, named) = (host.setup.checks.clone(), host.setup.names());
        let c = rng.index(old.len());
        let check = &mut host.setup.checks[c];
        match rng.below(4) {
            // Another name makes it another check, of which nothing is known.
            0 => check.number += 10,
            1 if check.look != Look::File => (check.rise, check.fall) = (rng.pick(&[1, 2, 3]), rng.pick(&[1, 2, 3])),
            2 if check.look != Look::File => check.initial = rng.pick(&[Initial::Unknown, Initial::Up, Initial::Down]),
            _ => {
                let setup = &mut host.setup;
                for t in &mut setup.tracks {
                    let look = if let Thing::Check(c) = t.what { setup.checks[c].look } else { Look::Script };
                    *t = tracked::weight(rng, t.what, look);
                }
            }
        }
        host.model.reload(&old, &host.setup.checks, &named);
        self.reload(h);
        if let Some(found) = self.hosts[h].truth[c].filter(|_| self.rng.percent(70)) {
            self.run_check(h, c, found);
        }
    }

    fn recreate(&mut self, h: usize, i: usize) {
        let host = &mut self.hosts[h];
        if host.kernel.ifaces[i].ifindex != 0 {
            return;
        }
        host.kernel.recreate(i);
        if i == LAN {
            let n = h as u8 + 1;
            let ip = host.setup.unicast.as_ref().map_or(own_address(host.setup.family, n), |u| u.0);
            let _ = host.kernel.ifaces[LAN].add(ip, 24, By::System);
        }
        self.kernel_changed(h);
    }

    fn renumber(&mut self, h: usize, n: u8) {
        let host = &mut self.hosts[h];
        let Some(old) = host.source() else { return };
        if host.setup.unicast.is_some() || host.setup.priority == 255 {
            return;
        }
        let is_vip = host.setup.vips.iter().any(|v| v.ip == old);
        let lan = &mut host.kernel.ifaces[LAN];
        if !is_vip {
            lan.remove(old);
        }
        lan.addresses.insert(0, (own_address(host.setup.family, n), 24, By::System));
        self.kernel_changed(h);
    }

    /// The destination of adverts to host `h`.
    fn destination(&self, h: usize) -> std::net::IpAddr {
        let setup = &self.hosts[h].setup;
        setup.unicast.as_ref().map_or(setup.group(), |u| u.0)
    }

    fn message(&self, h: usize, priority: u8, source: std::net::IpAddr) -> Vec<u8> {
        let setup = &self.hosts[h].setup;
        setup.advert(priority, setup.advert, source, self.destination(h))
    }

    pub fn inject(&mut self, h: usize, source: std::net::IpAddr, ttl: u8, payload: Vec<u8>, bad: bool) {
        let destination = self.destination(h);
        let packet = Packet { source, destination, ttl, payload, bad };
        self.at(self.now, Ev::Packet(h, Rc::new(packet)));
    }

    /// A packet that is wrong in one way or another.
    fn bad(&mut self, h: usize) {
        let from = self.rng.index(self.hosts.len());
        let setup = &self.hosts[h].setup;
        let stranger = own_address(setup.family, 201);
        let source = self.hosts[from].source().filter(|_| from != h).unwrap_or(stranger);
        let priority = self.rng.next() as u8;
        let mut payload = self.message(h, priority, source);
        let mut ttl = 255;
        match self.rng.below(6) {
            0 => ttl = self.rng.below(255) as u8,
            1 => {
                let bit = self.rng.index(payload.len() * 8);
                payload[bit / 8] ^= 1 << (bit % 8);
            }
            2 => payload.truncate(self.rng.index(payload.len())),
            // A VRID or a version that is not ours: counted before the checksum, or by it.
            3 => payload[1] ^= 1 + self.rng.below(255) as u8,
            4 => payload[0] ^= 0x10 << self.rng.below(3),
            _ => payload.iter_mut().for_each(|b| *b = self.rng.next() as u8),
        }
        self.inject(h, source, ttl, payload, true);
    }
}
