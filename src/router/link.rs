//! Interfaces and their addresses: which instance may speak, from where, and what it listens to.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::event::{AddressId, AddressSpec, Fault, InstanceId, LinkAddress, LinkInfo, Report, Shown};
use super::tracking::Followed;
use super::vmac::Vmac;
use super::{Action, Actions, Router, group_of};
use crate::config::model::{Family, MAX_GROUPS, MAX_INSTANCES, MAX_MULTICAST_GROUPS, StrId};
use crate::vrrp::election::{Outcome, State};
use crate::vrrp::stats::LastEvent;
use crate::vrrp::timing::{Instant, Micros};

/// An interface that the configuration names.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Link {
    #[serde(skip)]
    pub(super) name: StrId,
    /// 0 while there is no such interface. Once found the index is followed, also through a rename.
    pub(super) ifindex: u32,
    /// What counts: the kernel's word, unless that has to last first.
    pub(super) up: bool,
    /// What the kernel says.
    pub(super) told: bool,
    /// When that counts, if it is another than `up` (`interface-delay`).
    pub(super) due: Option<Instant>,
    pub(super) mac: [u8; 6],
    pub(super) mtu: u32,
    /// Primary IPv4 address: the first that is not one of ours.
    pub(super) v4: Option<Ipv4Addr>,
    /// Link-local address, past duplicate detection.
    pub(super) v6: Option<Ipv6Addr>,
}

/// What an interface is to hear in one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// Multicast groups to join; none for unicast instances alone.
    pub groups: Vec<IpAddr, MAX_MULTICAST_GROUPS>,
    /// VRIDs to let through, a bit each.
    pub vrids: [u32; 8],
    /// Let every VRID through (`log-unknown on`).
    pub open: bool,
}

impl Router {
    /// The place in `links` of the interface called `name`.
    pub(super) fn link_named(&mut self, name: StrId) -> u8 {
        let text = self.config.str(name);
        if let Some(at) = self.links.iter().position(|l| self.config.str(l.name) == text) {
            return at as u8;
        }
        let link =
            Link { name, ifindex: 0, up: false, told: false, due: None, mac: [0; 6], mtu: 0, v4: None, v6: None };
        // The configuration's check holds the number of interfaces to MAX_LINKS.
        match self.links.push(link) {
            Ok(()) => (self.links.len() - 1) as u8,
            Err(_) => 0,
        }
    }

    fn bound_to(&self, ifindex: u32) -> Option<usize> {
        if ifindex == 0 { None } else { self.links.iter().position(|l| l.ifindex == ifindex) }
    }

    /// What `ifindex` is to hear; `None` if nothing.
    pub fn listeners(&self, ifindex: u32, family: Family) -> Option<Listen> {
        let at = self.bound_to(ifindex)?;
        let mut listen = Listen { open: self.config.log_unknown, ..Listen::default() };
        let mut any = false;
        for (instance, slot) in self.config.instances.iter().zip(&self.slots) {
            if slot.link as usize != at || instance.family != family {
                continue;
            }
            any = true;
            listen.vrids[instance.vrid as usize / 32] |= 1 << (instance.vrid % 32);
            let group = group_of(instance);
            if instance.unicast.is_none() && !listen.groups.contains(&group) {
                // More than MAX_MULTICAST_GROUPS groups on one interface are refused by the configuration.
                let _ = listen.groups.push(group);
            }
        }
        any.then_some(listen)
    }

    /// The interfaces that exist of those that the configuration names.
    pub fn interfaces(&self) -> impl Iterator<Item = u32> + '_ {
        self.links.iter().map(|l| l.ifindex).filter(|i| *i != 0)
    }

    /// Whether the configuration names an interface called `name`, or one with this index is in use.
    pub fn concerns(&self, ifindex: u32, name: &str) -> bool {
        self.bound_to(ifindex).is_some() || self.links.iter().any(|l| self.config.str(l.name) == name)
    }

    /// Whether news of an address calls for reading the interface's addresses again: not so for what
    /// we did ourselves, nor for interfaces that are not ours.
    pub fn needs_addresses(&self, ifindex: u32, address: &LinkAddress, added: bool) -> bool {
        let Some(at) = self.bound_to(ifindex) else { return false };
        let own = self.vips.iter().zip(&self.config.addresses).any(|(vip, a)| {
            vip.link as usize == at
                && a.ip == address.ip
                && a.prefix == address.prefix
                && vip.installed == added
                && vip.instance.is_some()
                && !vip.foreign
        });
        let primary = match address.ip {
            IpAddr::V4(ip) => self.links[at].v4 == Some(ip),
            IpAddr::V6(ip) => self.links[at].v6 == Some(ip),
        };
        !own || (primary && !added)
    }

    /// The virtual addresses that are on, or may be put on, by us: not those that were there before.
    pub fn own_addresses(&self) -> impl Iterator<Item = (&str, AddressSpec<'_>)> {
        (0..self.vips.len()).filter(|a| !self.vips[*a].foreign).map(|a| {
            let link = &self.links[self.vips[a].link as usize];
            (self.config.str(link.name), self.spec(a))
        })
    }

    /// The virtual address `ip/prefix` on the interface called `name`, if the configuration has it.
    pub fn find_address(&self, name: &str, ip: IpAddr, prefix: u8) -> Option<AddressId> {
        let found = self.vips.iter().zip(&self.config.addresses).position(|(vip, a)| {
            a.ip == ip && a.prefix == prefix && self.config.str(self.links[vip.link as usize].name) == name
        })?;
        Some(AddressId(found as u16))
    }

    pub(super) fn link_changed(&mut self, info: &LinkInfo<'_>, now: Instant, out: &mut dyn Actions) {
        let unbound = |l: &Link| l.ifindex == 0 && self.config.str(l.name) == info.name;
        let at = self.bound_to(info.ifindex).or_else(|| self.links.iter().position(unbound));
        let Some(at) = at else { return };
        if let Some(i) = self.vmac_on(at) {
            return self.vmac_told(i, info, out);
        }
        let link = &mut self.links[at];
        let before = *link;
        (link.ifindex, link.told, link.mac, link.mtu) = (info.ifindex, info.up, info.mac, info.mtu);
        let came_up = info.up && !before.told;
        // What is seen for the first time is as it is: only a change has to last.
        let wait = if before.ifindex == 0 { Micros::ZERO } else { self.config.link_delay(link.name, info.up) };
        let due = link.due.unwrap_or(now + wait).min(now + wait);
        let waits = link.told != link.up && due > now;
        link.due = waits.then_some(due);
        if !waits {
            link.up = info.up;
        }
        let is = *link;
        self.rearm_links();
        if before.ifindex != is.ifindex {
            self.rebuild_index();
        }
        if before.ifindex != info.ifindex || came_up {
            // Also when it came back: switches that snoop have forgotten the membership.
            self.rebind(info.ifindex, out);
        }
        // Whoever held on while the cable was out: switches have forgotten, hosts may have heard another.
        if is.up && info.up && (before.mac != info.mac || came_up) {
            self.announce_on(at, now, out);
        }
        for i in self.instances_on(at) {
            if before.ifindex == info.ifindex && before.mtu != info.mtu {
                // It does not grow again with the interface beneath, and loses its IPv6 settings on the way.
                self.remove_vmac(i, out);
            }
            self.want_vmac(i, out);
        }
        let changed = (before.ifindex != 0 && before.up) != is.up;
        self.evaluate_link(at, changed, now, out);
    }

    /// Lets count what has lasted long enough.
    #[inline(never)]
    pub(super) fn links_due(&mut self, now: Instant, out: &mut dyn Actions) {
        while let Some(at) = self.links.iter().position(|l| l.due.is_some_and(|due| due <= now)) {
            let link = &mut self.links[at];
            (link.up, link.due) = (link.told, None);
            if link.up {
                self.announce_on(at, now, out);
            }
            self.evaluate_link(at, true, now, out);
        }
        self.rearm_links();
    }

    /// Announces the addresses of the instances on a link that hold them.
    fn announce_on(&mut self, at: usize, now: Instant, out: &mut dyn Actions) {
        for i in self.instances_on(at) {
            if self.holds(i) {
                let garp = self.config.instances[i].garp;
                self.slots[i].announce.again(&garp, now);
                self.announce(i, now, out);
            }
        }
    }

    /// Finds the next change of a link that is to count.
    pub(super) fn rearm_links(&mut self) {
        self.link_due = self.links.iter().filter_map(|l| l.due).min();
    }

    pub(super) fn link_gone(&mut self, ifindex: u32, now: Instant, out: &mut dyn Actions) {
        self.forget_foreign_vmacs(out);
        let Some(at) = self.bound_to(ifindex) else { return };
        for i in self.instances_on(at) {
            self.remove_vmac(i, out);
        }
        let link = &mut self.links[at];
        let changed = link.up;
        (link.ifindex, link.up, link.v4, link.v6) = (0, false, None, None);
        (link.told, link.due) = (false, None);
        for i in self.instances_on(at) {
            // A configured source counts again when the next interface of this name has it.
            self.slots[i].source = None;
        }
        // Its addresses went with it.
        for vip in self.vips.iter_mut().filter(|v| v.link as usize == at) {
            (vip.installed, vip.foreign) = (false, false);
        }
        self.rearm_links();
        self.routes_gone(at);
        if let Some(i) = self.vmac_on(at) {
            self.vmac_gone(i, out);
        }
        self.rebuild_index();
        self.rebind(ifindex, out);
        self.evaluate_link(at, changed, now, out);
    }

    /// All addresses of an interface: chooses what we send from, and finds what is missing or foreign.
    pub(super) fn addresses_are(&mut self, ifindex: u32, list: &[LinkAddress], now: Instant, out: &mut dyn Actions) {
        let Some(at) = self.bound_to(ifindex) else { return };
        let mut missing = [false; MAX_INSTANCES + 1];
        for a in 0..self.vips.len() {
            if self.vips[a].link as usize != at {
                continue;
            }
            let address = &self.config.addresses[a];
            let exact = list.iter().any(|l| l.ip == address.ip && (l.prefix == address.prefix || l.ip.is_ipv6()));
            let same = exact || list.iter().any(|l| l.ip == address.ip);
            let (owner, ip) = (self.vips[a].instance, address.ip);
            let instance = owner.map(InstanceId);
            let holds = self.wants(owner);
            // What is static has its place behind the instances.
            let i = owner.map_or(MAX_INSTANCES, |i| i as usize);
            let vip = &mut self.vips[a];
            if vip.installed && !exact {
                vip.installed = false;
                // Taken off by hand, or by a restart of the network: put back, below.
                if holds && self.links[at].up {
                    out.act(Action::Report(Report::AddressRestored { instance, address: ip }));
                    missing[i] = true;
                }
            } else if !vip.installed {
                let was = core::mem::replace(&mut vip.foreign, same);
                if same && !was {
                    out.act(Action::Report(Report::ForeignAddress { instance, address: ip }));
                } else if !same && holds {
                    missing[i] = true;
                }
            }
        }
        // Once for all of an instance's, so that none is announced before it is back.
        for i in (0..self.slots.len()).filter(|i| missing[*i]) {
            self.restore(i, now, out);
        }
        if missing[MAX_INSTANCES] {
            self.install_static(out);
        }
        let primary = |l: &&LinkAddress| !l.tentative && !self.is_ours(at, l);
        let virtual_too = |l: &&LinkAddress| {
            let mut vips = self.vips.iter().zip(&self.config.addresses);
            vips.any(|(v, a)| v.instance.is_some() && v.link as usize == at && a.ip == l.ip)
        };
        // The kernel's order: the first is what it would send from. An owner's address is a virtual
        // one that was there before us; it serves where there is no other.
        let pick = |want: fn(&IpAddr) -> bool| {
            let mut usable = list.iter().filter(primary).filter(|l| want(&l.ip));
            let first = usable.clone().find(|l| !l.secondary && !virtual_too(l));
            first.or_else(|| usable.clone().find(|l| !virtual_too(l))).or_else(|| usable.next()).map(|l| l.ip)
        };
        let v4 = pick(|ip| ip.is_ipv4());
        let v6 = pick(|ip| matches!(ip, IpAddr::V6(a) if a.is_unicast_link_local()));
        let link = &mut self.links[at];
        link.v4 = v4.and_then(|ip| if let IpAddr::V4(a) = ip { Some(a) } else { None });
        link.v6 = v6.and_then(|ip| if let IpAddr::V6(a) = ip { Some(a) } else { None });
        // A configured source counts while the interface has it.
        for i in self.instances_on(at) {
            let instance = &self.config.instances[i];
            if let Some(source) = instance.unicast.or(instance.source) {
                let there = list.iter().any(|l| l.ip == source && !l.tentative);
                self.slots[i].source = there.then_some(source);
            }
        }
        self.evaluate_those(&|router, i| router.slots[i].link as usize == at, now, out);
    }

    fn is_ours(&self, at: usize, l: &LinkAddress) -> bool {
        self.vips.iter().zip(&self.config.addresses).any(|(v, a)| {
            // A static one is as good as any of the interface's own.
            v.instance.is_some() && v.link as usize == at && v.installed && a.ip == l.ip && a.prefix == l.prefix
        })
    }

    pub(super) fn restore(&mut self, i: usize, now: Instant, out: &mut dyn Actions) {
        self.install(i, out);
        let garp = self.config.instances[i].garp;
        if matches!(self.slots[i].election.state(), State::Active { .. }) {
            self.slots[i].announce.again(&garp, now);
            self.announce(i, now, out);
        }
    }

    fn instances_on(&self, at: usize) -> impl Iterator<Item = usize> + use<> {
        let on: [bool; MAX_INSTANCES] =
            core::array::from_fn(|i| self.slots.get(i).is_some_and(|s| s.link as usize == at));
        on.into_iter().enumerate().filter(|(_, on)| *on).map(|(i, _)| i)
    }

    /// Link `at` is told: whoever looks at it or speaks on it is looked at again. The same once more is
    /// no run of a check.
    fn evaluate_link(&mut self, at: usize, changed: bool, now: Instant, out: &mut dyn Actions) {
        if changed {
            self.check_interfaces(Some(at), now, out);
        }
        let link = Followed::Link(at as u8);
        self.evaluate_those(&|router, i| router.slots[i].link as usize == at || router.follows(i, link), now, out);
    }

    /// Looks at the instances that are `concerned` again; at a group once, whoever of it is.
    pub(super) fn evaluate_those(
        &mut self,
        concerned: &dyn Fn(&Router, usize) -> bool,
        now: Instant,
        out: &mut dyn Actions,
    ) {
        let mut looked_at = [false; MAX_GROUPS];
        for i in 0..self.slots.len() {
            let done = self.slots[i].group.and_then(|g| looked_at.get_mut(g as usize));
            if done.as_ref().is_none_or(|done| !**done) && concerned(self, i) {
                if let Some(done) = done {
                    *done = true;
                }
                self.evaluate(i, now, out);
            }
        }
    }

    fn rebind(&mut self, ifindex: u32, out: &mut dyn Actions) {
        for family in [Family::V4, Family::V6] {
            out.act(Action::Rebind { ifindex, family, afresh: true });
        }
    }

    pub(super) fn rebuild_index(&mut self) {
        self.index.clear();
        for (i, (instance, slot)) in self.config.instances.iter().zip(&self.slots).enumerate() {
            let ifindex = self.links[slot.link as usize].ifindex;
            if ifindex != 0 {
                // Twice as many places as instances.
                let _ = self.index.insert((ifindex, instance.family, instance.vrid), i as u8);
            }
        }
    }

    /// What keeps instance `i` from speaking. Refreshes its source.
    fn fault_of(&mut self, i: usize) -> Option<Fault> {
        let (instance, slot) = (&self.config.instances[i], &mut self.slots[i]);
        let link = &self.links[slot.link as usize];
        if link.ifindex == 0 {
            return Some(Fault::NoInterface);
        }
        if !link.up && instance.track_primary {
            return Some(Fault::InterfaceDown);
        }
        if instance.unicast.or(instance.source).is_none() {
            slot.source = match instance.family {
                Family::V4 => link.v4.map(IpAddr::V4),
                Family::V6 => link.v6.map(IpAddr::V6),
            };
        }
        if slot.source.is_none() {
            return Some(Fault::NoAddress);
        }
        slot.vmac.filter(Vmac::is_refused).map(|_| Fault::NoVmac)
    }

    /// Compares what an instance and the others of its group may do with what they do: starts them,
    /// or puts them in Fault.
    pub(super) fn evaluate(&mut self, i: usize, now: Instant, out: &mut dyn Actions) {
        let group = self.slots[i].group;
        let mut members: Vec<(usize, Option<Fault>), MAX_INSTANCES> = Vec::new();
        let mut held = false;
        for m in 0..self.slots.len() {
            if m != i && (group.is_none() || self.slots[m].group != group) {
                continue;
            }
            let standing = self.standing(m);
            let _ = members.push((m, self.fault_of(m).or(standing.fault)));
            held |= standing.held || self.slots[m].vmac.is_some_and(|v| v.is_awaited());
            self.weigh(m, standing.priority, out);
        }
        let of_group = members.iter().any(|(_, own)| own.is_some()).then_some(Fault::Group);
        for &(m, own) in &members {
            self.conform(m, own.or(of_group), held, now, out);
        }
    }

    /// Starts an instance, or puts it in Fault. One that waits for a check's first result (`held`)
    /// does not start; one that runs already goes on.
    fn conform(&mut self, i: usize, fault: Option<Fault>, held: bool, now: Instant, out: &mut dyn Actions) {
        let running = self.slots[i].election.state() != State::Initialize;
        self.slots[i].fault = fault;
        match (self.phase, fault) {
            (super::Phase::Running, None) if !running && !held => {
                let p = self.parameters(i);
                if self.slots[i].shown == Shown::Fault {
                    // The kernel drops or refuses memberships where it has no IPv6 (an MTU below 1280).
                    let ifindex = self.links[self.slots[i].link as usize].ifindex;
                    let family = self.config.instances[i].family;
                    out.act(Action::Rebind { ifindex, family, afresh: true });
                }
                let slot = &mut self.slots[i];
                slot.last_event = if slot.shown == Shown::Fault { LastEvent::InterfaceUp } else { LastEvent::Startup };
                let outcome = slot.election.startup(&p, now);
                self.follow(i, outcome, now, out);
            }
            (super::Phase::Running, None) if running => {
                let p = self.parameters(i);
                if p.aside {
                    let outcome = self.slots[i].election.stand_aside(&p, now);
                    self.follow(i, outcome, now, out);
                }
            }
            // The interface works, so the successor can be told and awaited.
            (super::Phase::Running, Some(Fault::Tracked | Fault::Group | Fault::NoVmac)) if running => {
                let p = self.parameters(i);
                let slot = &mut self.slots[i];
                slot.last_event = LastEvent::InterfaceDown;
                let outcome = slot.election.leave(&p, now);
                self.follow(i, outcome, now, out);
            }
            (super::Phase::Running, Some(why)) if running || self.slots[i].shown != Shown::Fault => {
                let slot = &mut self.slots[i];
                slot.last_event = match why {
                    Fault::NoAddress => LastEvent::NoPrimaryAddress,
                    _ => LastEvent::InterfaceDown,
                };
                slot.master = None;
                slot.election.shutdown();
                // At once: with the interface down nobody hears a farewell, and nobody is served.
                self.follow(i, Outcome::Released, now, out);
            }
            // Who hands over already waits for the successor, whatever else fails meanwhile.
            (super::Phase::Stopping, Some(Fault::Tracked | Fault::Group | Fault::NoVmac)) => {}
            (super::Phase::Stopping, Some(_)) if running => {
                self.slots[i].election.shutdown();
                self.follow(i, Outcome::Released, now, out);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{diagnostics::Diagnostics, line, model::Config};
    use crate::router::Event;

    /// Input: an interface goes and comes back up at once, its addresses told later. Output: nobody
    /// speaks from the configured source before the interface has it again.
    #[test]
    fn configured_source_of_an_interface_that_was_gone() {
        let (mut config, mut found) = (Box::new(Config::default()), Diagnostics::new());
        let mut text = &b"instance lan on eth0 vrid 1 priority 255 source 192.0.2.1 address 192.0.2.254/24"[..];
        line::parse(&mut text, &mut config, &mut found).unwrap();
        let (mut router, now) = (Router::new(config), Instant(1_000_000));
        let mut adverts = 0;
        let mut out = |a: Action<'_>| adverts += matches!(a, Action::SendAdvert { .. }) as u32;
        let own = LinkAddress { ip: [192, 0, 2, 1].into(), prefix: 24, secondary: false, tentative: false };
        let link = |ifindex| Event::Link(LinkInfo { ifindex, name: "eth0", up: true, mac: [2; 6], mtu: 1500 });
        router.handle(link(1), now, &mut out);
        router.handle(Event::Addresses { ifindex: 1, list: &[own] }, now, &mut out);
        router.handle(Event::Start, now, &mut out);
        router.handle(Event::LinkGone { ifindex: 1 }, now, &mut out);
        router.handle(link(2), now, &mut out);
        assert_eq!(router.election_state(0), Some(State::Initialize));
        router.handle(Event::Addresses { ifindex: 2, list: &[own] }, now, &mut out);
        assert_eq!(adverts, 2);
    }
}
