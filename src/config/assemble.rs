//! Puts a [`Config`] together: an instance or a group is drafted property by property, with the place
//! of each, and joins the configuration when it is complete and checked (see `validate`). Names of
//! checks and of a group's instances are looked up at the end, so that they may stand anywhere.
//!
//! This knows no syntax: any language that says where a property stood can fill it.

use core::net::IpAddr;

use crate::table::Table;
use ufmt::{uWrite, uwrite};

use super::commands::{CommandAt, Commands};
use super::diagnostics::{Diagnostics, Pos};
use super::draft::{CheckDraft, Draft, Open, Part};
use super::model::{
    Address, Config, Family, Group, Instance, LinkDelay, MAX_ADDRESSES, MAX_CHECKS, MAX_DELAYS, MAX_GROUPS,
    MAX_INSTANCES, MAX_PEERS, MAX_ROUTES, MAX_STRINGS, MAX_TRACKS, Peer, Range, Route, StrId, Track, Tracked,
};
use crate::vrrp::timing::Micros;

/// An error was reported; nobody need report it again.
pub(super) struct Reported;

/// Limits that were reported; each is reported once.
#[derive(Default)]
struct Exceeded {
    instances: bool,
    addresses: bool,
    routes: bool,
    peers: bool,
    tracks: bool,
    checks: bool,
    groups: bool,
    members: bool,
    delays: bool,
    strings: bool,
}

/// Something was there whose name is not known: whoever names it is not to blame.
#[derive(Clone, Copy, Default)]
pub(super) struct Lost {
    pub(super) instance: bool,
    pub(super) check: bool,
}

/// Where a tracker stands, and whether its weight was given.
#[derive(Clone, Copy)]
pub(super) struct TrackPlace {
    pub(super) at: Pos,
    pub(super) weighted: bool,
}

/// A configuration in the making.
pub(super) struct Assembler<'a> {
    pub(super) config: &'a mut Config,
    pub(super) diag: &'a mut Diagnostics,
    /// Who wants to know where the commands stand.
    pub(super) commands: Option<&'a mut Commands>,
    pub(super) open: Open,
    /// The beginning of what is open was wrong: its properties are read for their errors and dropped.
    broken: bool,
    pub(super) draft: Draft,
    /// What a new instance's draft starts from.
    pub(super) defaults: Draft,
    /// Places of [`Config::addresses`].
    pub(super) address_at: Table<Pos, MAX_ADDRESSES>,
    /// Places of [`Config::routes`].
    pub(super) route_at: Table<Pos, MAX_ROUTES>,
    /// Places of [`Config::peers`].
    pub(super) peer_at: Table<Pos, MAX_PEERS>,
    /// Places of [`Config::tracks`].
    pub(super) track_at: Table<TrackPlace, MAX_TRACKS>,
    /// Places of [`Config::instances`].
    pub(super) instance_at: Table<Pos, MAX_INSTANCES>,
    /// Places of [`Config::checks`].
    pub(super) check_at: Table<Pos, MAX_CHECKS>,
    /// Places of [`Config::groups`].
    pub(super) group_at: Table<Pos, MAX_GROUPS>,
    /// Places of [`Config::members`].
    pub(super) member_at: Table<Pos, MAX_INSTANCES>,
    /// Places of [`Config::link_delays`].
    pub(super) delay_at: Table<Pos, MAX_DELAYS>,
    pub(super) lost: Lost,
    exceeded: Exceeded,
}

impl<'a> Assembler<'a> {
    /// Empties `config` and begins.
    pub(super) fn new(
        config: &'a mut Config,
        diag: &'a mut Diagnostics,
        commands: Option<&'a mut Commands>,
    ) -> Assembler<'a> {
        *config = Config::default();
        Assembler {
            config,
            diag,
            commands,
            open: Open::Nothing,
            broken: false,
            draft: Draft::default(),
            defaults: Draft::default(),
            address_at: Table::new(),
            route_at: Table::new(),
            peer_at: Table::new(),
            track_at: Table::new(),
            instance_at: Table::new(),
            check_at: Table::new(),
            group_at: Table::new(),
            member_at: Table::new(),
            delay_at: Table::new(),
            lost: Lost::default(),
            exceeded: Exceeded::default(),
        }
    }

    /// Ends what is open and begins the instance called `name`.
    pub(super) fn begin(&mut self, at: Pos, name: &str) {
        self.end_open();
        if self.config.instances.is_full() {
            self.begin_broken();
            if !self.exceeded.instances {
                self.exceeded.instances = true;
                self.limit(at, MAX_INSTANCES, "instances", "MAX_INSTANCES");
            }
            return;
        }
        self.fresh_draft(at, Open::Instance);
        let twin = self.config.instances.iter().position(|i| self.config.str(i.name) == name);
        if let Some(before) = twin.and_then(|i| self.instance_at.get(i).copied()) {
            self.diag.error(at, &mut |t| {
                uwrite!(t, "instance '{}' is there already, at line {}: names must differ", name, before.line)
            });
        }
        if let Ok(id) = self.intern(at, name) {
            self.draft.values.name = id;
        }
    }

    /// Ends what is open and begins an instance that will be set aside: nothing is looked at yet.
    pub(super) fn begin_aside(&mut self, at: Pos, name: &str) {
        self.end_open();
        self.fresh_draft(at, Open::Instance);
        match self.intern(at, name) {
            Ok(id) => self.draft.values.name = id,
            Err(_) => self.broken = true,
        }
    }

    /// Takes the open instance away unfinished, for a language whose defaults may stand behind it.
    pub(super) fn set_aside(&mut self) -> Option<Draft> {
        let whole = self.open == Open::Instance && !self.broken;
        self.close_ranges();
        if !whole {
            self.drop_open();
        }
        self.open = Open::Nothing;
        whole.then_some(self.draft)
    }

    /// Finishes an instance that was set aside: checks it and lets it join the configuration.
    pub(super) fn finish(&mut self, draft: Draft) {
        self.open = Open::Nothing;
        self.draft = draft;
        let (name, at) = (draft.values.name, draft.at);
        let twin = self.config.instances.iter().position(|i| i.name == name);
        if let Some(before) = twin.and_then(|i| self.instance_at.get(i).copied()) {
            let name = self.config.strings.get(name);
            self.diag.error(at, &mut |t| {
                uwrite!(t, "instance '{}' is there already, at line {}: names must differ", name, before.line)
            });
        }
        self.settle();
        if self.config.instances.push(self.draft.values).is_ok() {
            let _ = self.instance_at.push(at);
        } else if !self.exceeded.instances {
            self.exceeded.instances = true;
            self.limit(at, MAX_INSTANCES, "instances", "MAX_INSTANCES");
        }
    }

    /// Ends what is open and begins an instance that cannot be kept.
    pub(super) fn begin_broken(&mut self) {
        self.end_open();
        self.fresh_draft(Pos::default(), Open::Instance);
        self.broken = true;
        self.lost.instance = true;
    }

    /// Ends what is open and begins the group called `name`.
    pub(super) fn begin_group(&mut self, at: Pos, name: &str) {
        self.end_open();
        if self.config.groups.is_full() {
            self.begin_broken_group();
            if !self.exceeded.groups {
                self.exceeded.groups = true;
                self.limit(at, MAX_GROUPS, "groups", "MAX_GROUPS");
            }
            return;
        }
        self.fresh_draft(at, Open::Group);
        let twin = self.config.groups.iter().position(|g| self.config.str(g.name) == name);
        if let Some(before) = twin.and_then(|i| self.group_at.get(i).copied()) {
            self.diag.error(at, &mut |t| {
                uwrite!(t, "group '{}' is there already, at line {}: names must differ", name, before.line)
            });
        }
        if let Ok(id) = self.intern(at, name) {
            self.draft.values.name = id;
        }
    }

    /// Ends what is open and begins a group that cannot be kept.
    pub(super) fn begin_broken_group(&mut self) {
        self.end_open();
        self.fresh_draft(Pos::default(), Open::Group);
        self.broken = true;
    }

    fn fresh_draft(&mut self, at: Pos, open: Open) {
        self.open = open;
        self.broken = false;
        // `defaults` are for instances.
        self.draft = if open == Open::Group { Draft::default() } else { self.defaults };
        self.draft.marks.renew();
        self.draft.at = at;
        self.draft.values.addresses.start = self.config.addresses.len() as u16;
        self.draft.values.routes.start = self.config.routes.len() as u16;
        self.draft.values.peers.start = self.config.peers.len() as u16;
        self.draft.values.tracks.start = self.config.tracks.len() as u16;
        self.draft.members.start = self.config.members.len() as u16;
    }

    /// What came in since the draft began is its own.
    fn close_ranges(&mut self) {
        let until = |range: &mut Range, len: usize| range.len = len as u16 - range.start;
        let values = &mut self.draft.values;
        until(&mut values.addresses, self.config.addresses.len());
        until(&mut values.routes, self.config.routes.len());
        until(&mut values.peers, self.config.peers.len());
        until(&mut values.tracks, self.config.tracks.len());
        until(&mut self.draft.members, self.config.members.len());
    }

    /// Ends the open instance or group: checks it and lets it join the configuration.
    pub(super) fn end_open(&mut self) {
        if self.open == Open::Nothing {
            return;
        }
        self.close_ranges();
        match self.open {
            _ if self.broken => self.drop_open(),
            Open::Nothing => {}
            Open::Instance => {
                self.settle();
                // There is room: `begin` saw to it.
                let _ = self.config.instances.push(self.draft.values);
                let _ = self.instance_at.push(self.draft.at);
            }
            Open::Group => {
                let Draft { values: Instance { name, tracks, hooks, .. }, members, weights, .. } = self.draft;
                // There is room: `begin_group` saw to it.
                let _ = self.config.groups.push(Group { name, members, tracks, hooks, weights });
                let _ = self.group_at.push(self.draft.at);
            }
        }
        self.open = Open::Nothing;
    }

    /// Takes out of the pools what a broken draft put there.
    fn drop_open(&mut self) {
        let values = &self.draft.values;
        self.config.addresses.truncate(values.addresses.start as usize);
        self.address_at.truncate(values.addresses.start as usize);
        self.config.routes.truncate(values.routes.start as usize);
        self.route_at.truncate(values.routes.start as usize);
        self.config.peers.truncate(values.peers.start as usize);
        self.peer_at.truncate(values.peers.start as usize);
        self.config.tracks.truncate(values.tracks.start as usize);
        self.track_at.truncate(values.tracks.start as usize);
        self.config.members.truncate(self.draft.members.start as usize);
        self.member_at.truncate(self.draft.members.start as usize);
    }

    /// Ends the configuration, whose last line is at `end`.
    pub(super) fn end(&mut self, end: Pos) {
        self.end_open();
        self.check_routes();
        self.settle_tracks();
        self.check_tracks();
        self.check_members();
        self.check_links();
        self.check_delays();
        self.check_use();
        if self.config.instances.is_empty() && self.diag.errors() == 0 {
            self.diag.error(end, &mut |t| {
                t.write_str("no instance: expected at least one 'instance NAME on INTERFACE vrid N'")
            });
        }
        self.diag.sort();
    }

    /// Adds a check, which may be a wrong one: its name is known from here on.
    pub(super) fn add_check(&mut self, mut draft: CheckDraft) {
        if draft.given(Part::Timeout).is_none() {
            draft.check.timeout = draft.check.every;
        }
        self.settle_check(&draft);
        if self.config.checks.push(draft.check).is_ok() {
            let _ = self.check_at.push(draft.at);
            return;
        }
        self.lost.check = true;
        if !self.exceeded.checks {
            self.exceeded.checks = true;
            self.limit(draft.at, MAX_CHECKS, "checks", "MAX_CHECKS");
        }
    }

    /// Adds a check of which no more is known than its name; without one, that there was a check.
    pub(super) fn add_broken_check(&mut self, at: Pos, name: Option<StrId>) {
        match name {
            Some(name) if self.config.checks.push(CheckDraft::new(at, name).check).is_ok() => {
                let _ = self.check_at.push(at);
            }
            _ => self.lost.check = true,
        }
    }

    /// Adds an instance to the group that is drafted.
    pub(super) fn add_member(&mut self, at: Pos, name: StrId) {
        if self.config.members.push(name).is_ok() {
            let _ = self.member_at.push(at);
        } else if !self.exceeded.members {
            self.exceeded.members = true;
            self.limit(at, MAX_INSTANCES, "instances in all groups", "MAX_INSTANCES");
        }
    }

    /// Tells whoever wants to know of a command.
    pub(super) fn note_command(&mut self, command: CommandAt) {
        if let Some(commands) = &mut self.commands {
            commands.add(command);
        }
    }

    /// Puts `s` among the configuration's strings.
    pub(super) fn intern(&mut self, at: Pos, s: &str) -> Result<StrId, Reported> {
        if let Some(id) = self.config.strings.add(s) {
            return Ok(id);
        }
        if !self.exceeded.strings {
            self.exceeded.strings = true;
            self.limit(at, MAX_STRINGS, "bytes of names", "MAX_STRINGS");
        }
        Err(Reported)
    }

    /// Adds a virtual address to the draft.
    pub(super) fn add_address(&mut self, at: Pos, address: Address) {
        if self.config.addresses.push(address).is_ok() {
            let _ = self.address_at.push(at);
        } else {
            self.too_many_addresses(at);
        }
    }

    /// Adds a route to the draft.
    pub(super) fn add_route(&mut self, at: Pos, route: Route) {
        if self.config.routes.push(route).is_ok() {
            let _ = self.route_at.push(at);
        } else {
            self.too_many_routes(at);
        }
    }

    /// Adds an address that is on as long as the daemon runs; its interface must be named. What is
    /// static stands before what belongs to instances, which moves on.
    pub(super) fn add_static_address(&mut self, at: Pos, address: Address) {
        let place = self.config.static_addresses.len as usize;
        if self.config.addresses.insert(place, address).is_err() {
            return self.too_many_addresses(at);
        }
        let _ = self.address_at.insert(place, at);
        self.config.static_addresses.len += 1;
        for i in self.config.instances.iter_mut().chain([&mut self.draft.values]) {
            i.addresses.start += 1;
        }
    }

    /// Adds a route that is there as long as the daemon runs.
    pub(super) fn add_static_route(&mut self, at: Pos, route: Route) {
        let place = self.config.static_routes.len as usize;
        if self.config.routes.insert(place, route).is_err() {
            return self.too_many_routes(at);
        }
        let _ = self.route_at.insert(place, at);
        self.config.static_routes.len += 1;
        for i in self.config.instances.iter_mut().chain([&mut self.draft.values]) {
            i.routes.start += 1;
        }
    }

    /// Adds the delays of an interface.
    pub(super) fn add_delay(&mut self, at: Pos, delay: LinkDelay) {
        if self.config.link_delays.push(delay).is_ok() {
            let _ = self.delay_at.push(at);
        } else if !self.exceeded.delays {
            self.exceeded.delays = true;
            self.limit(at, MAX_DELAYS, "interfaces with a delay", "MAX_DELAYS");
        }
    }

    /// The delays of an interface, in place of what was said of them before: files of others say it twice.
    pub(super) fn replace_delay(&mut self, at: Pos, delay: LinkDelay) {
        if let Some(before) = self.config.link_delays.iter().position(|d| d.interface == delay.interface) {
            self.config.link_delays.remove(before);
            let line = self.delay_at.remove(before).line;
            let name = self.config.str(delay.interface);
            self.diag.warning(at, &mut |t| {
                uwrite!(t, "the delays of {} are at line {} already: the last ones count", name, line)
            });
        }
        if (delay.down, delay.up) != (Micros::ZERO, Micros::ZERO) {
            self.add_delay(at, delay);
        }
    }

    fn too_many_addresses(&mut self, at: Pos) {
        if !self.exceeded.addresses {
            self.exceeded.addresses = true;
            self.limit(at, MAX_ADDRESSES, "addresses in all instances", "MAX_ADDRESSES");
        }
    }

    fn too_many_routes(&mut self, at: Pos) {
        if !self.exceeded.routes {
            self.exceeded.routes = true;
            self.limit(at, MAX_ROUTES, "routes in all instances", "MAX_ROUTES");
        }
    }

    /// Adds a unicast peer to the draft.
    pub(super) fn add_peer(&mut self, at: Pos, peer: Peer) {
        if self.config.peers.push(peer).is_ok() {
            let _ = self.peer_at.push(at);
        } else if !self.exceeded.peers {
            self.exceeded.peers = true;
            self.limit(at, MAX_PEERS, "peers in all instances", "MAX_PEERS");
        }
    }

    /// Adds a tracker to the draft; without a weight it has that of its kind.
    pub(super) fn add_track(&mut self, at: Pos, what: Tracked, weight: Option<i16>, reverse: bool) {
        if self.config.tracks.push(Track { what, weight: weight.unwrap_or(0), reverse }).is_ok() {
            let _ = self.track_at.push(TrackPlace { at, weighted: weight.is_some() });
        } else if !self.exceeded.tracks {
            self.exceeded.tracks = true;
            self.limit(at, MAX_TRACKS, "trackers in all instances and groups", "MAX_TRACKS");
        }
    }

    /// Reports that there are more than `max` of `what`.
    pub(super) fn limit(&mut self, at: Pos, max: usize, what: &str, name: &str) {
        self.diag.error(at, &mut |t| {
            uwrite!(
                t,
                "more than {} {} ({}): a build with PICOVRRP_{}=N in the environment raises the limit",
                max,
                what,
                name,
                name
            )
        });
    }
}

/// The family of an instance that names none: of its first advertised address, else of the first
/// address that it speaks from, to, or holds.
pub(super) fn infer_family(
    addresses: &[Address],
    excluded_by_word: &dyn Fn(&Address) -> bool,
    others: &[Option<IpAddr>],
) -> Family {
    let advertised = addresses.iter().find(|a| !excluded_by_word(a)).map(|a| a.ip);
    let spoken = || others.iter().flatten().next().copied();
    let held = || addresses.first().map(|a| a.ip);
    advertised.or_else(spoken).or_else(held).map_or(Family::V4, Family::of)
}
