//! The router: a table of instances, sans-IO.
//!
//! [`Router::handle`] takes an event and the time and yields actions; [`Router::next_deadline`] says
//! when to come back with [`Event::Timeout`]. It never reads a clock, a socket or a file, and
//! allocates nothing but what a new configuration needs. The daemon and the simulator run this code.
//!
//! - [`event`]: what goes in and what comes out.
//! - `link`: interfaces and their addresses: which instance may speak, and from where.
//! - `receive`: an advert's way from the socket to the election.
//! - `announce`: gratuitous ARP and neighbour advertisements in time.
//! - `tracking`: what changes a priority, or puts an instance in Fault.
//! - `group`: instances that are Active together or not at all.
//! - `aside`: instances that leave being Active to other routers, because they were told to.
//! - `perform`: what an instance does as Active.
//! - `vmac`: virtual MAC addresses, and the macvlans that have them.
//! - `routes`: routes that move with an instance, and what is static.
//! - `reload`: another configuration, and what stays as it is.
//! - `snapshot`: its state, for another process to go on with.
//! - `view`: what status shows.

use core::net::IpAddr;
use serde::{Deserialize, Serialize};

use heapless::index_map::FnvIndexMap;

use crate::config::model::{
    Config, Family, MAX_ADDRESSES, MAX_CHECKS, MAX_GROUPS, MAX_INSTANCES, MAX_LINKS, MAX_ROUTES, MAX_TRACKS, Preempt,
    Start,
};
use crate::table::Table;
use crate::vrrp::election::{Outcome, Parameters, State, VirtualRouter};
use crate::vrrp::packet::PRIORITY_LEAVE;
use crate::vrrp::stats::{GlobalStats, InstanceStats, LastEvent, Reason};
use crate::vrrp::timing::{Centis, Instant, Micros};

mod announce;
mod aside;
mod checksum;
mod deadlines;
pub mod event;
mod group;
mod link;
mod perform;
mod receive;
mod reload;
mod routes;
mod snapshot;
mod tracking;
mod view;
mod vmac;

pub use announce::PACE;
pub use aside::FOR_EVER;
pub use event::{Action, Actions, Event};
pub use link::Listen;
pub use reload::{counterpart, same_check};
pub use snapshot::{Broken, Pieces};
pub use view::{CheckView, GroupView, InstanceView, TrackView};

use announce::Announce;
use deadlines::Deadlines;
use event::{AddressId, AddressSpec, Fault, InstanceId, Shown, Transition};
use group::GroupSlot;
use link::Link;
use perform::group_of;
use routes::RouteSlot;
use tracking::{CheckSlot, Followed};
use vmac::Vmac;
pub use vmac::VmacSpec;

/// Adverts and announcements due within this time are served by one wake-up. Never
/// Active_Down_Timers: at 1 cs one point of priority is 39 µs.
pub const COALESCE: Micros = Micros::from_millis(2);
/// Instances with a shorter interval keep their own rhythm.
const COALESCE_FROM: Centis = match Centis::new(50) {
    Some(c) => c,
    None => Centis::SECOND,
};

/// Slots of the look-up by interface, family and VRID: a power of two, half full at most.
const INDEX: usize = (2 * MAX_INSTANCES).next_power_of_two();

type Key = (u32, Family, u8);

/// State of one instance.
#[derive(Debug, Serialize, Deserialize)]
struct Slot {
    election: VirtualRouter,
    /// Its interface, in `links`.
    #[serde(skip)]
    link: u8,
    /// Effective priority: the configured one and the weights of what it tracks.
    priority: u8,
    /// What we send from, while it is usable.
    source: Option<IpAddr>,
    fault: Option<Fault>,
    /// Its sync group.
    #[serde(skip)]
    group: Option<u8>,
    /// What the group has counted of it: that it is Active, that it yields.
    #[serde(skip)]
    counted: (bool, bool),
    /// Its macvlan, if it has a virtual MAC address.
    vmac: Option<Vmac>,
    /// Handed over on purpose: until this moment it stays Backup, and all of its group.
    yielded: Option<Instant>,
    /// The configuration that comes has no such instance.
    parting: bool,
    /// What was last told outside.
    shown: Shown,
    /// When that changed.
    since: Instant,
    transitions: u32,
    /// Addresses of an earlier run are still on: until another router speaks, or a fault.
    stale: bool,
    announce: Announce,
    forms: checksum::Forms,
    /// Under `version 2+3`: who was heard last in version 3, and until when its version 2 is ignored.
    in_v3: Option<(IpAddr, Instant)>,
    /// The Active router that was heard last.
    master: Option<(IpAddr, u8)>,
    stats: InstanceStats,
    last_event: LastEvent,
    reason: Reason,
}

/// State of one virtual address.
#[derive(Clone, Copy, Debug, Default)]
struct Vip {
    /// Its interface, in `links`.
    link: u8,
    /// Whose it is; `None` if it is static.
    instance: Option<u8>,
    /// We have put it on.
    installed: bool,
    /// It was there before us, or somebody else put it on: used, never removed.
    foreign: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before [`Event::Start`].
    New,
    /// Waiting for the start-up delay.
    Delayed(Instant),
    Running,
    /// Another configuration is in place, what it needs of the links is not told yet.
    Reloading,
    Stopping,
}

/// All instances of one daemon.
#[derive(Debug)]
pub struct Router {
    config: Box<Config>,
    phase: Phase,
    links: Table<Link, MAX_LINKS>,
    slots: Table<Slot, MAX_INSTANCES>,
    /// Parallel to the configuration's addresses.
    vips: Table<Vip, MAX_ADDRESSES>,
    /// Parallel to the configuration's routes.
    routes: Table<RouteSlot, MAX_ROUTES>,
    /// Parallel to the configuration's checks.
    checks: Table<CheckSlot, MAX_CHECKS>,
    /// Parallel to the configuration's groups.
    groups: Table<GroupSlot, MAX_GROUPS>,
    /// What is tracked; parallel to the configuration's trackers.
    tracked: Table<Followed, MAX_TRACKS>,
    index: Box<FnvIndexMap<Key, u8, INDEX>>,
    deadlines: Deadlines<MAX_INSTANCES>,
    /// When the next change of a link has lasted long enough to count.
    link_due: Option<Instant>,
    stats: GlobalStats,
}

impl Router {
    /// A router with this configuration. It knows no interface yet.
    pub fn new(config: Box<Config>) -> Router {
        let mut router = Router {
            config,
            phase: Phase::New,
            links: Table::new(),
            slots: Table::new(),
            vips: Table::new(),
            routes: Table::new(),
            checks: Table::new(),
            groups: Table::new(),
            tracked: Table::new(),
            index: Box::default(),
            deadlines: Deadlines::new(),
            link_due: None,
            stats: GlobalStats::default(),
        };
        for _ in 0..router.config.addresses.len() {
            // The pools are as large as the configuration's, so nothing can be lost here.
            let _ = router.vips.push(Vip::default());
        }
        for i in 0..router.config.instances.len() {
            let instance = router.config.instances[i];
            let link = router.link_named(instance.interface);
            let vmac = (!instance.vmac.is_empty()).then(|| Vmac::new(router.link_named(instance.vmac)));
            for a in instance.addresses.indices() {
                let dev = router.config.addresses[a].dev;
                let dev =
                    if dev.is_empty() { router.link_named(instance.own_device()) } else { router.link_named(dev) };
                router.vips[a] = Vip { link: dev, instance: Some(i as u8), ..Vip::default() };
            }
            let _ = router.slots.push(Slot { vmac, ..Slot::new(link, instance.priority) });
        }
        for a in router.config.static_addresses.indices() {
            router.vips[a].link = router.link_named(router.config.addresses[a].dev);
        }
        router.make_routes();
        for t in 0..router.config.tracks.len() {
            let followed = router.followed(router.config.tracks[t].what);
            let _ = router.tracked.push(followed);
        }
        for c in 0..router.config.checks.len() {
            let check = router.config.checks[c];
            let link = router.link_of_check(&check.kind);
            let _ = router.checks.push(CheckSlot::new(&check, link));
        }
        for g in 0..router.config.groups.len() {
            let _ = router.groups.push(GroupSlot::new());
            for m in router.config.groups[g].members.indices() {
                let instance = router.config.members.get(m).and_then(|name| router.config.instance_named(*name));
                if let Some(slot) = instance.and_then(|i| router.slots.get_mut(i)) {
                    slot.group = Some(g as u8);
                }
            }
        }
        for i in 0..router.slots.len() {
            router.slots[i].priority = router.standing(i).priority;
        }
        router
    }

    /// The configuration that is running.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Counters of the whole router.
    pub fn stats(&self) -> &GlobalStats {
        &self.stats
    }

    /// When to call with [`Event::Timeout`] at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        let first = match self.phase {
            Phase::Delayed(t) => Some(t),
            _ => self.deadlines.first().map(|(t, _)| t),
        };
        first.into_iter().chain(self.link_due).min()
    }

    /// Whether [`next_deadline`](Self::next_deadline) is an Active_Down_Timer's: the driver is to be
    /// on time then.
    pub fn takeover_is_next(&self) -> bool {
        let is_backup = |i: u8| matches!(self.slots[i as usize].election.state(), State::Backup { .. });
        let before_links = |due: Instant| self.link_due.is_none_or(|links| due <= links);
        self.deadlines.first().is_some_and(|(due, i)| is_backup(i) && before_links(due))
    }

    /// After [`Event::Stop`]: whether every instance has handed over.
    pub fn is_stopped(&self) -> bool {
        self.phase == Phase::Stopping && self.slots.iter().all(|s| s.election.state() == State::Initialize)
    }

    /// Reacts to one event.
    pub fn handle(&mut self, event: Event<'_>, now: Instant, out: &mut dyn Actions) {
        match event {
            Event::Timeout { drained } => self.timeout(drained, now, out),
            Event::Received(message) => self.receive(&message, now, out),
            event => self.happened(event, now, out),
        }
        if self.phase == Phase::Stopping && self.is_stopped() {
            self.clear(out);
        }
    }

    // Rare: its code is to lie apart from what an advert runs through.
    #[inline(never)]
    fn happened(&mut self, event: Event<'_>, now: Instant, out: &mut dyn Actions) {
        match event {
            Event::Timeout { .. } | Event::Received(_) => {}
            Event::Start => self.start(now, out),
            Event::Link(info) => self.link_changed(&info, now, out),
            Event::LinkGone { ifindex } => self.link_gone(ifindex, now, out),
            Event::Addresses { ifindex, list } => self.addresses_are(ifindex, list, now, out),
            Event::Check { check, result } => self.checked(check.0 as usize, result, now, out),
            Event::Stale(id) => {
                // If it is not there after all, the interface's addresses will say so.
                // A macvlan of an earlier run went with what was on it.
                let ours = self.vips.get(id.0 as usize).is_some_and(|v| self.vmac_on(v.link as usize).is_none());
                if let Some(vip) = self.vips.get_mut(id.0 as usize).filter(|_| ours) {
                    (vip.installed, vip.foreign) = (true, false);
                    if let Some(i) = vip.instance {
                        self.slots[i as usize].stale = true;
                    }
                }
            }
            Event::AddressExists(id) => self.address_exists(id, out),
            Event::AddressFailed(id) => {
                if let Some(vip) = self.vips.get_mut(id.0 as usize) {
                    vip.installed = false;
                }
            }
            Event::StaleRoute(id) => self.stale_route(id),
            Event::RouteExists(id) => self.route_exists(id, out),
            Event::RouteFailed(id) => self.route_failed(id),
            Event::RouteRestored(id) => self.route_restored(id, out),
            Event::Routes => self.keep_routes(out),
            Event::Vmac { instance, made } => self.vmac_made(instance.0 as usize, made, now, out),
            Event::Yield { instance, until } => self.stand_aside(instance.0 as usize, Some(until), now, out),
            Event::Resume(instance) => self.stand_aside(instance.0 as usize, None, now, out),
            Event::Stop => self.stop(now, out),
        }
    }

    #[inline(never)]
    fn clear(&mut self, out: &mut dyn Actions) {
        for i in 0..self.slots.len() {
            self.remove_vmac(i, out);
        }
        // Last of all: they are no instance's.
        self.uninstall_static(out);
    }

    fn start(&mut self, now: Instant, out: &mut dyn Actions) {
        match self.phase {
            Phase::New if self.config.startup_delay > Micros::ZERO => {
                self.phase = Phase::Delayed(now + self.config.startup_delay);
                self.install_static(out);
            }
            Phase::New | Phase::Running | Phase::Reloading => self.run(now, out),
            Phase::Delayed(_) | Phase::Stopping => {}
        }
    }

    #[inline(never)]
    fn run(&mut self, now: Instant, out: &mut dyn Actions) {
        self.phase = Phase::Running;
        self.install_static(out);
        for i in 0..self.slots.len() {
            self.want_vmac(i, out);
        }
        self.check_interfaces(None, now, out);
        self.evaluate_those(&|_, _| true, now, out);
        // A reload may have changed who waits for whom, and who is in which group.
        for i in 0..self.slots.len() {
            self.proceed(i, now, out);
        }
        for i in 0..self.slots.len() {
            self.show_group(i, now, out);
        }
    }

    fn stop(&mut self, now: Instant, out: &mut dyn Actions) {
        self.phase = Phase::Stopping;
        for i in 0..self.slots.len() {
            let p = self.parameters(i);
            let outcome = match self.slots[i].election.leave(&p, now) {
                // In Fault, or not started: there is nothing to hand over.
                Outcome::Nothing if self.slots[i].election.state() == State::Initialize => Outcome::Released,
                outcome => outcome,
            };
            self.slots[i].last_event = LastEvent::Shutdown;
            self.follow(i, outcome, now, out);
        }
    }

    fn timeout(&mut self, drained: bool, now: Instant, out: &mut dyn Actions) {
        if matches!(self.phase, Phase::Delayed(at) if at <= now) {
            self.run(now, out);
        }
        if self.link_due.is_some_and(|due| due <= now) {
            self.links_due(now, out);
        }
        while let Some((due, i)) = self.deadlines.first() {
            let i = i as usize;
            if due > now && !(due <= now + COALESCE && self.may_be_early(i)) {
                return;
            }
            if !drained && matches!(self.slots[i].election.state(), State::Backup { .. }) {
                return;
            }
            self.end_yield(i, now, out);
            let p = self.parameters(i);
            let slot = &mut self.slots[i];
            let outcome = if due > now && slot.election.deadline() == Some(due) {
                slot.election.advertise_early(&p)
            } else {
                slot.election.timeout(&p, now)
            };
            self.follow(i, outcome, now, out);
            self.announce(i, now.max(due), out);
        }
    }

    /// Whether what is due for instance `i` may be done a little early.
    fn may_be_early(&self, i: usize) -> bool {
        match self.slots[i].election.state() {
            State::Active { .. } => self.config.instances[i].advert >= COALESCE_FROM,
            _ => false,
        }
    }

    fn parameters(&self, i: usize) -> Parameters {
        let instance = &self.config.instances[i];
        // keepalived's `state MASTER` clears both.
        let preempt = if instance.start == Start::Master { Preempt::On } else { instance.preempt };
        Parameters {
            version: instance.version,
            also_v2: instance.also_v2,
            priority: self.slots[i].priority,
            advertisement_interval: instance.advert,
            preempt: preempt != Preempt::Off,
            preempt_delay: if let Preempt::After(d) = preempt { d } else { Micros::ZERO },
            together: self.slots[i].group.is_some(),
            aside: self.slots[i].parting || self.slots[i].yielded.is_some() || self.group_yields(i),
        }
    }

    /// A virtual address as it is put on an interface.
    pub fn address_spec(&self, id: AddressId) -> Option<AddressSpec<'_>> {
        let a = id.0 as usize;
        (a < self.vips.len()).then(|| self.spec(a))
    }

    /// Carries out what the election decided. On becoming Active: advert, addresses, routes, announcements,
    /// and only then whoever is told (scripts among them), all in this one step.
    fn follow(&mut self, i: usize, outcome: Outcome, now: Instant, out: &mut dyn Actions) {
        let priority = self.slots[i].priority;
        match outcome {
            Outcome::Nothing | Outcome::Outlasted => {}
            Outcome::Unclaimed => self.slots[i].master = None,
            Outcome::BecameActive(reason) => {
                self.send_advert(i, priority, out);
                self.install(i, out);
                let garp = self.config.instances[i].garp;
                let slot = &mut self.slots[i];
                slot.announce.start(&garp, now);
                slot.stats.master_transitions += 1;
                slot.reason = reason;
                slot.stale = false;
                slot.master = None;
                slot.last_event = match (reason, slot.last_event) {
                    (Reason::Priority, _) => LastEvent::OwnerStartup,
                    (_, LastEvent::PriorityZero) => LastEvent::PriorityZero,
                    _ => LastEvent::ActiveTimeout,
                };
                self.announce(i, now, out);
                self.show(i, Shown::Master, now, out);
            }
            Outcome::BecameReady => {
                self.proceed(i, now, out);
                if self.slots[i].election.state() == State::Ready {
                    self.show(i, Shown::Backup, now, out);
                }
            }
            Outcome::BecameBackup => {
                // What an earlier run left behind stays until another router speaks.
                if self.slots[i].shown == Shown::Master {
                    self.uninstall(i, out);
                }
                self.slots[i].announce.stop();
                self.show(i, Shown::Backup, now, out);
            }
            Outcome::Advertise => {
                self.send_advert(i, priority, out);
                // What could not be added before is tried again, and announced once it is there.
                if self.install(i, out) {
                    let garp = self.config.instances[i].garp;
                    self.slots[i].announce.again(&garp, now);
                    self.announce(i, now, out);
                }
            }
            Outcome::AssertWhenDue => {
                let garp = self.config.instances[i].garp;
                let slot = &mut self.slots[i];
                slot.last_event = LastEvent::ConflictSurvived;
                slot.announce.again(&garp, now + PACE);
            }
            Outcome::Assert => {
                self.send_advert(i, priority, out);
                self.install(i, out);
                let garp = self.config.instances[i].garp;
                let slot = &mut self.slots[i];
                slot.stats.assertions_sent += 1;
                slot.last_event = LastEvent::ConflictSurvived;
                slot.announce.again(&garp, now);
                self.announce(i, now, out);
            }
            Outcome::Left => {
                self.send_advert(i, PRIORITY_LEAVE, out);
                self.slots[i].announce.stop();
            }
            Outcome::Released => {
                self.uninstall(i, out);
                self.slots[i].announce.stop();
                if self.phase == Phase::Stopping {
                    self.show(i, Shown::Stop, now, out);
                } else if self.slots[i].fault.is_some() {
                    self.show(i, Shown::Fault, now, out);
                } else {
                    // What made it leave has recovered meanwhile: it begins anew, as Backup. So it is
                    // told first: an owner is Active again at once, and who waits for a check says no more.
                    self.show(i, Shown::Backup, now, out);
                    self.evaluate(i, now, out);
                }
            }
        }
        self.rearm(i);
    }

    fn rearm(&mut self, i: usize) {
        self.count_member(i);
        let slot = &self.slots[i];
        let yielded = slot.yielded.filter(|until| *until < FOR_EVER);
        let due = [slot.election.deadline(), slot.announce.deadline(), yielded].into_iter().flatten().min();
        self.deadlines.set(i as u8, due);
    }

    /// Tells a changed state outside.
    #[inline(never)]
    fn show(&mut self, i: usize, to: Shown, now: Instant, out: &mut dyn Actions) {
        let slot = &mut self.slots[i];
        if slot.shown == to {
            return;
        }
        let from = core::mem::replace(&mut slot.shown, to);
        slot.since = now;
        slot.transitions = slot.transitions.wrapping_add(1);
        out.act(Action::Changed(Transition {
            instance: InstanceId(i as u8),
            from,
            to,
            reason: slot.reason,
            fault: slot.fault,
            priority: slot.priority,
        }));
        self.show_group(i, now, out);
    }

    /// Whether instance `i` holds the addresses: as Active, or leaving.
    fn holds(&self, i: usize) -> bool {
        matches!(self.slots[i].election.state(), State::Active { .. } | State::Leaving { .. })
    }
}

impl Slot {
    fn new(link: u8, priority: u8) -> Slot {
        Slot {
            election: VirtualRouter::default(),
            link,
            priority,
            source: None,
            fault: None,
            group: None,
            counted: (false, false),
            vmac: None,
            yielded: None,
            parting: false,
            shown: Shown::Init,
            since: Instant(0),
            transitions: 0,
            stale: false,
            announce: Announce::default(),
            forms: checksum::Forms::default(),
            in_v3: None,
            master: None,
            stats: InstanceStats::default(),
            last_event: LastEvent::None,
            reason: Reason::NotMaster,
        }
    }
}

#[cfg(test)]
mod tests;
