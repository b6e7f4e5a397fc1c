//! Puts a [`Config`] together: an instance is drafted property by property, with the place of each,
//! and joins the configuration when it is complete and checked (see `validate`).
//!
//! This knows no syntax: any language that says where a property stood can fill it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;
use ufmt::{uWrite, uwrite};

use super::diagnostics::{Diagnostics, Pos};
use super::model::{
    Address, Config, Family, Instance, MAX_ADDRESSES, MAX_INSTANCES, MAX_PEERS, MAX_STRINGS, MAX_TRACKS, Peer, StrId,
    Track,
};

/// An error was reported; nobody need report it again.
pub(super) struct Reported;

/// What can be said once: in the file, or in an instance.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    RouterId,
    Log,
    LogUnknown,
    Strict,
    StartupDelay,
    ScriptUser,
    ScriptSecurity,
    On,
    Vrid,
    Family,
    Version,
    Priority,
    Advert,
    Preempt,
    Start,
    Unicast,
    Source,
    Group4,
    Group6,
    Auth,
    GarpDelay,
    GarpRepeat,
    GarpRefresh,
    GarpRefreshRepeat,
    Checksum,
    Notify,
    NotifyMaster,
    NotifyBackup,
    NotifyFault,
    NotifyStop,
}

const SLOTS: usize = Slot::NotifyStop as usize + 1;

/// Which slots were filled, and where.
#[derive(Clone, Copy, Default)]
pub(super) struct Marks {
    given: u32,
    at: [Pos; SLOTS],
}

static_assertions::const_assert!(SLOTS <= 32);

impl Marks {
    /// Marks `slot` as given at `at`, or tells where it was given before.
    pub(super) fn give(&mut self, slot: Slot, at: Pos) -> Result<(), Pos> {
        let bit = 1 << slot as u32;
        if self.given & bit != 0 {
            return Err(self.at[slot as usize]);
        }
        self.given |= bit;
        self.at[slot as usize] = at;
        Ok(())
    }

    /// Whether it was given here, rather than by `defaults` or not at all.
    pub(super) fn given(&self, slot: Slot) -> bool {
        self.given & 1 << slot as u32 != 0
    }

    /// Where it was given, by `defaults` too; `otherwise` if nowhere.
    pub(super) fn at(&self, slot: Slot, otherwise: Pos) -> Pos {
        let at = self.at[slot as usize];
        if at.line == 0 { otherwise } else { at }
    }

    /// Keeps the places, and lets all be given anew.
    pub(super) fn renew(&mut self) {
        self.given = 0;
    }
}

/// An instance whose properties are still coming in.
#[derive(Clone, Copy, Default)]
pub(super) struct Draft {
    /// Where it begins.
    pub(super) at: Pos,
    /// What is known; `family`, `group` and the ranges are settled at the end.
    pub(super) values: Instance,
    pub(super) family: Option<Family>,
    pub(super) group4: Option<Ipv4Addr>,
    pub(super) group6: Option<Ipv6Addr>,
    pub(super) marks: Marks,
    /// An address was there, though perhaps a wrong one; likewise a peer.
    pub(super) address_seen: bool,
    pub(super) peer_seen: bool,
}

/// What the properties that follow belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// No instance was begun yet.
    Nothing,
    /// The draft.
    Instance,
    /// An instance whose beginning was wrong: its properties are read for their errors and dropped.
    Broken,
}

/// Limits that were reported; each is reported once.
#[derive(Default)]
struct Exceeded {
    instances: bool,
    addresses: bool,
    peers: bool,
    tracks: bool,
    strings: bool,
}

/// A configuration in the making.
pub(super) struct Assembler<'a> {
    pub(super) config: &'a mut Config,
    pub(super) diag: &'a mut Diagnostics,
    pub(super) open: Open,
    pub(super) draft: Draft,
    /// What a new draft starts from.
    pub(super) defaults: Draft,
    /// Places of [`Config::addresses`].
    pub(super) address_at: Vec<Pos, MAX_ADDRESSES>,
    /// Places of [`Config::peers`].
    pub(super) peer_at: Vec<Pos, MAX_PEERS>,
    /// Places of [`Config::tracks`].
    pub(super) track_at: Vec<Pos, MAX_TRACKS>,
    /// Lines of [`Config::instances`].
    pub(super) instance_at: Vec<u32, MAX_INSTANCES>,
    /// More interfaces than a router keeps was reported.
    pub(super) links_exceeded: bool,
    exceeded: Exceeded,
}

impl<'a> Assembler<'a> {
    /// Empties `config` and begins.
    pub(super) fn new(config: &'a mut Config, diag: &'a mut Diagnostics) -> Assembler<'a> {
        *config = Config::default();
        Assembler {
            config,
            diag,
            open: Open::Nothing,
            draft: Draft::default(),
            defaults: Draft::default(),
            address_at: Vec::new(),
            peer_at: Vec::new(),
            track_at: Vec::new(),
            instance_at: Vec::new(),
            links_exceeded: false,
            exceeded: Exceeded::default(),
        }
    }

    /// Ends the open instance and begins the one called `name`.
    pub(super) fn begin(&mut self, at: Pos, name: &str) {
        self.end_instance();
        self.fresh_draft(at);
        if self.config.instances.is_full() {
            self.open = Open::Broken;
            if !self.exceeded.instances {
                self.exceeded.instances = true;
                self.limit(at, MAX_INSTANCES, "instances", "MAX_INSTANCES");
            }
            return;
        }
        let twin = self.config.instances.iter().position(|i| self.config.str(i.name) == name);
        if let Some(line) = twin.and_then(|i| self.instance_at.get(i).copied()) {
            self.diag.error(at, &mut |t| {
                uwrite!(t, "instance '{}' is there already, at line {}: names must differ", name, line)
            });
        }
        self.open = Open::Instance;
        if let Ok(id) = self.intern(at, name) {
            self.draft.values.name = id;
        }
    }

    /// Ends the open instance and begins one that cannot be kept.
    pub(super) fn begin_broken(&mut self) {
        self.end_instance();
        self.fresh_draft(Pos::default());
        self.open = Open::Broken;
    }

    fn fresh_draft(&mut self, at: Pos) {
        self.draft = self.defaults;
        self.draft.marks.renew();
        self.draft.at = at;
        self.draft.values.addresses.start = self.config.addresses.len() as u16;
        self.draft.values.peers.start = self.config.peers.len() as u16;
        self.draft.values.tracks.start = self.config.tracks.len() as u16;
    }

    /// Ends the open instance: checks it and lets it join the configuration.
    fn end_instance(&mut self) {
        if self.open == Open::Nothing {
            return;
        }
        let values = &mut self.draft.values;
        values.addresses.len = self.config.addresses.len() as u16 - values.addresses.start;
        values.peers.len = self.config.peers.len() as u16 - values.peers.start;
        values.tracks.len = self.config.tracks.len() as u16 - values.tracks.start;
        if self.open == Open::Broken {
            self.config.addresses.truncate(values.addresses.start as usize);
            self.config.peers.truncate(values.peers.start as usize);
            self.address_at.truncate(values.addresses.start as usize);
            self.peer_at.truncate(values.peers.start as usize);
            self.config.tracks.truncate(values.tracks.start as usize);
            self.track_at.truncate(values.tracks.start as usize);
        } else {
            self.settle();
            // There is room: `begin` saw to it.
            let _ = self.config.instances.push(self.draft.values);
            let _ = self.instance_at.push(self.draft.at.line);
        }
        self.open = Open::Nothing;
    }

    /// Ends the configuration, whose last line is at `end`.
    pub(super) fn end(&mut self, end: Pos) {
        self.end_instance();
        if self.config.instances.is_empty() && self.diag.errors() == 0 {
            self.diag.error(end, &mut |t| {
                t.write_str("no instance: expected at least one 'instance NAME on INTERFACE vrid N'")
            });
        }
        self.diag.sort();
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
        } else if !self.exceeded.addresses {
            self.exceeded.addresses = true;
            self.limit(at, MAX_ADDRESSES, "addresses in all instances", "MAX_ADDRESSES");
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

    /// Adds a tracker to the draft.
    pub(super) fn add_track(&mut self, at: Pos, track: Track) {
        if self.config.tracks.push(track).is_ok() {
            let _ = self.track_at.push(at);
        } else if !self.exceeded.tracks {
            self.exceeded.tracks = true;
            self.limit(at, MAX_TRACKS, "trackers in all instances", "MAX_TRACKS");
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
