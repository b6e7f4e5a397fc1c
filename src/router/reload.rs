//! Another configuration: what is in both stays as it is, with its state, timers and addresses.

use heapless::Vec;

use super::{Action, Actions, Family, Phase, Router, Slot};
use crate::config::model::{Check, CheckKind, Config, MAX_LINKS, Origin, Range, StrId};
use crate::vrrp::election::State;
use crate::vrrp::packet::PRIORITY_LEAVE;
use crate::vrrp::timing::Instant;

impl Router {
    /// Changes to `config`. The driver then tells all links and addresses again and ends with
    /// [`Event::Start`](super::Event::Start); until then no instance starts or stops.
    ///
    /// An instance is the same if interface, family and VRID are; it keeps its state, and its other
    /// properties change in place. One that is gone takes its addresses off, and says priority 0 before if
    /// it is still Active: [`part`](Self::part) lets it hand over first.
    pub fn reload(&mut self, config: Box<Config>, now: Instant, out: &mut dyn Actions) {
        let mut old = core::mem::replace(self, Router::new(config));
        self.phase = if old.phase == Phase::Running { Phase::Reloading } else { old.phase };
        self.stats = old.stats;
        for at in 0..self.links.len() {
            // A macvlan stays with its instance.
            if self.vmac_on(at).is_some() {
                continue;
            }
            let link = &mut self.links[at];
            let name = self.config.str(link.name);
            if let Some(known) = old.links.iter().find(|l| l.ifindex != 0 && old.config.str(l.name) == name) {
                let name = link.name;
                *link = *known;
                link.name = name;
            }
        }
        self.rebuild_index();
        let mut heard: Vec<(u32, Family), { 2 * MAX_LINKS }> = Vec::new();
        for ifindex in old.interfaces() {
            for family in [Family::V4, Family::V6] {
                if old.listeners(ifindex, family) != self.listeners(ifindex, family) {
                    // Two families an interface: there is room.
                    let _ = heard.push((ifindex, family));
                }
            }
        }
        self.rearm_links();
        self.inherit_checks(&old);
        self.inherit_groups(&old);
        for o in 0..old.slots.len() {
            match counterpart(&old.config, o, &self.config) {
                Some(n) => self.take_over(n, &mut old, o, now, out),
                None => {
                    if matches!(old.slots[o].election.state(), State::Active { .. }) {
                        old.send_advert(o, PRIORITY_LEAVE, out);
                    }
                    old.uninstall(o, out);
                    old.remove_vmac(o, out);
                }
            }
        }
        self.take_over_static(&mut old, out);
        // Once all that is no more is gone: the kernel has one route of each kind, whosever it was.
        for i in 0..self.slots.len() {
            if self.holds(i) {
                self.install_routes(self.config.instances[i].routes, out);
            }
        }
        for (ifindex, family) in heard {
            out.act(Action::Rebind { ifindex, family, afresh: false });
        }
        self.count_members();
        for i in 0..self.slots.len() {
            self.rearm(i);
        }
    }

    /// What is known of a check stays known, if it looks at the same thing.
    fn inherit_checks(&mut self, old: &Router) {
        for (slot, check) in self.checks.iter_mut().zip(&self.config.checks) {
            let mut known = old.checks.iter().zip(&old.config.checks);
            if let Some((state, was)) = known.find(|(_, c)| same_check(&old.config, c, &self.config, check)) {
                slot.inherit(state, was, check);
            }
        }
    }

    fn inherit_groups(&mut self, old: &Router) {
        for (slot, group) in self.groups.iter_mut().zip(&self.config.groups) {
            let name = self.config.str(group.name);
            let known = old.config.groups.iter().position(|g| old.config.str(g.name) == name);
            if let Some(was) = known.and_then(|g| old.groups.get(g)) {
                slot.inherit(was);
            }
        }
    }

    /// Instance `n` goes on where instance `o` of `old` was.
    fn take_over(&mut self, n: usize, old: &mut Router, o: usize, now: Instant, out: &mut dyn Actions) {
        let Slot { link, group, vmac, .. } = self.slots[n];
        core::mem::swap(&mut self.slots[n], &mut old.slots[o]);
        (self.slots[n].link, self.slots[n].group) = (link, group);
        self.slots[n].counted = Default::default();
        (old.slots[o].vmac, self.slots[n].vmac) = (self.slots[n].vmac, vmac);
        self.take_over_vmac(n, old, o);
        self.slots[n].priority = self.standing(n).priority;
        self.slots[n].parting = false;
        let (was, is) = (old.config.instances[o], self.config.instances[n]);
        self.take_over_routes(old, was.routes, is.routes, out);
        self.take_over_addresses(old, was.addresses, is.addresses, out);
        // The one of another name, or that is no longer wanted.
        old.remove_vmac(o, out);
        if matches!(self.slots[n].election.state(), State::Active { .. }) {
            let garp = self.config.instances[n].garp;
            self.slots[n].announce.change(&garp, now);
            if self.install_addresses(is.addresses, out) {
                self.slots[n].announce.again(&garp, now);
                self.announce(n, now, out);
            }
        }
    }
}

impl Router {
    /// What is in both stays; of the old one's what is not is taken off.
    pub(super) fn take_over_addresses(&mut self, old: &Router, was: Range, is: Range, out: &mut dyn Actions) {
        let kept = |is: &Router, was: &Router, a: usize, b: usize| {
            let (x, y) = (&was.config.addresses[a], &is.config.addresses[b]);
            let name = |r: &Router, at: usize| r.links[r.vips[at].link as usize].name;
            (x.ip, x.prefix) == (y.ip, y.prefix) && was.config.str(name(was, a)) == is.config.str(name(is, b))
        };
        for a in was.indices() {
            let vip = old.vips[a];
            match is.indices().find(|b| kept(self, old, a, *b)) {
                Some(b) => (self.vips[b].installed, self.vips[b].foreign) = (vip.installed, vip.foreign),
                None if vip.installed && old.links[vip.link as usize].ifindex != 0 => {
                    out.act(Action::RemoveAddress(old.spec(a)));
                }
                None => {}
            }
        }
    }
}

/// Whether instance `o` of one configuration goes on as instance `n` of another, whatever its name.
fn same(old: &Config, o: usize, new: &Config, n: usize) -> bool {
    let (a, b) = (&old.instances[o], &new.instances[n]);
    (a.vrid, a.family) == (b.vrid, b.family) && old.str(a.interface) == new.str(b.interface)
}

/// The instance of `new` that instance `o` of `old` goes on as.
pub fn counterpart(old: &Config, o: usize, new: &Config) -> Option<usize> {
    (0..new.instances.len()).find(|n| same(old, o, new, *n))
}

/// Whether two checks have one name and look at the same thing.
pub fn same_check(old: &Config, a: &Check, new: &Config, b: &Check) -> bool {
    let text = |a: StrId, b: StrId| old.str(a) == new.str(b);
    let origin = |a: &Origin, b: &Origin| match (*a, *b) {
        (Origin::Interface(a), Origin::Interface(b)) => text(a, b),
        (a, b) => a == b,
    };
    use CheckKind::*;
    let kind = match (&a.kind, &b.kind) {
        (Script { command: c, user: u }, Script { command, user }) => text(*c, *command) && text(*u, *user),
        (
            Process { name: n, min: a, max: b, full_command: f, params: p, delay: _, connector: _ },
            Process { name, min, max, full_command, params, delay: _, connector: _ },
        ) => text(*n, *name) && (a, b, f) == (min, max, full_command) && text(*p, *params),
        (File { path: a }, File { path: b }) => text(*a, *b),
        (Interface { interface: a }, Interface { interface: b }) => text(*a, *b),
        (Route { .. }, Route { .. }) => a.kind == b.kind,
        (Ping { target: t, from: f }, Ping { target, from }) => t == target && origin(f, from),
        (Tcp { target: t, port: p, from: f }, Tcp { target, port, from }) => {
            (t, p) == (target, port) && origin(f, from)
        }
        (Http { url: u, status: s, contains: c }, Http { url, status, contains }) => {
            text(*u, *url) && s == status && text(*c, *contains)
        }
        (Dns { server: s, port: p, name: n, record: r }, Dns { server, port, name, record }) => {
            (s, p, r) == (server, port, record) && text(*n, *name)
        }
        _ => false,
    };
    kind && text(a.name, b.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostics::Diagnostics;
    use crate::router::event::LinkInfo;
    use crate::router::{Event, event::LinkAddress};
    use crate::vrrp::timing::Micros;

    fn config(text: &str) -> Box<Config> {
        let (mut config, mut found) = (Box::new(Config::default()), Diagnostics::new());
        crate::config::line::parse(&mut text.as_bytes(), &mut config, &mut found).unwrap();
        assert_eq!(found.errors(), 0);
        config
    }

    /// Input: an Active router whose reload takes `garp refresh` away. Output: time goes on; no
    /// announcement is due again and again at the moment of the last.
    #[test]
    fn refresh_taken_away() {
        let lan = "instance lan on eth0 vrid 1 priority 255 address 192.0.2.254/24 garp delay 0s refresh ";
        let mut router = Router::new(config(&format!("{lan}1s")));
        let out: &mut dyn Actions = &mut |_: Action<'_>| {};
        let link = LinkInfo { ifindex: 1, name: "eth0", up: true, mac: [2; 6], mtu: 1500 };
        let own = LinkAddress { ip: [192, 0, 2, 1].into(), prefix: 24, secondary: false, tentative: false };
        let start = Instant(1_000_000);
        router.handle(Event::Link(link), start, out);
        router.handle(Event::Addresses { ifindex: 1, list: &[own] }, start, out);
        router.handle(Event::Start, start, out);
        assert!(matches!(router.election_state(0), Some(State::Active { .. })));
        router.reload(config(&format!("{lan}0s")), start, out);
        router.handle(Event::Start, start, out);
        let mut now = start;
        for _ in 0..100 {
            now = router.next_deadline().unwrap().max(now + Micros(1));
            router.handle(Event::Timeout { drained: true }, now, out);
            assert!(router.next_deadline().unwrap() > now);
        }
    }
}
