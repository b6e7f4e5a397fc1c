//! What is still coming in: an instance, a group or a check, with the places of its properties.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::diagnostics::Pos;
use super::model::{Check, CheckKind, Family, Initial, Instance, Range, StrId, Weights};

/// What can be said once: in the file, in an instance or in a group.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    RouterId,
    Log,
    LogUnknown,
    Strict,
    StartupDelay,
    ScriptUser,
    ScriptSecurity,
    MaxChildren,
    NotifyTimeout,
    NotifyFifo,
    Hotplug,
    Startup,
    Shutdown,
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
    Vmac,
    VmacBase,
    Accept,
    TrackPrimary,
    Notify,
    NotifyMaster,
    NotifyBackup,
    NotifyFault,
    NotifyStop,
    Weights,
}

const SLOTS: usize = Slot::Weights as usize + 1;

/// Which slots were filled, and where.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    given: u64,
    at: [Pos; SLOTS],
}

static_assertions::const_assert!(SLOTS <= 64);

impl Default for Marks {
    fn default() -> Marks {
        Marks { given: 0, at: [Pos::default(); SLOTS] }
    }
}

impl Marks {
    /// Marks `slot` as given at `at`, or tells where it was given before.
    pub(super) fn give(&mut self, slot: Slot, at: Pos) -> Result<(), Pos> {
        let bit = 1 << slot as u64;
        if self.given & bit != 0 {
            return Err(self.at[slot as usize]);
        }
        self.given |= bit;
        self.at[slot as usize] = at;
        Ok(())
    }

    /// Whether it was given here, rather than by `defaults` or not at all.
    pub(super) fn given(&self, slot: Slot) -> bool {
        self.given & 1 << slot as u64 != 0
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

/// An instance or a group whose properties are still coming in.
#[derive(Clone, Copy)]
pub(super) struct Draft {
    /// Where it begins.
    pub(super) at: Pos,
    /// What is known; `family`, `group` and the ranges are settled at the end. A group has of it the
    /// name, the hooks and the trackers.
    pub(super) values: Instance,
    pub(super) family: Option<Family>,
    pub(super) group4: Option<Ipv4Addr>,
    pub(super) group6: Option<Ipv6Addr>,
    pub(super) marks: Marks,
    /// `vmac` was there, with a name or without.
    pub(super) vmac: bool,
    /// An address was there, though perhaps a wrong one; likewise a peer.
    pub(super) address_seen: bool,
    pub(super) peer_seen: bool,
    /// A group's instances ([`Config::members`](super::model::Config::members)).
    pub(super) members: Range,
    /// A group's `weights`.
    pub(super) weights: Weights,
}

impl Default for Draft {
    fn default() -> Draft {
        Draft {
            at: Pos::default(),
            values: Instance::default(),
            family: None,
            group4: None,
            group6: None,
            marks: Marks::default(),
            vmac: false,
            address_seen: false,
            peer_seen: false,
            members: Range::default(),
            weights: Weights::All,
        }
    }
}

/// What the properties that follow belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// Neither an instance nor a group was begun yet.
    Nothing,
    /// An instance: the draft.
    Instance,
    /// A group: the draft.
    Group,
}

/// An option of a check that its checking may complain about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What it looks at: the path, the prefix, the address, the URL, the server.
    Target,
    /// A gateway or an origin.
    Via,
    /// A domain name.
    Name,
    Min,
    Max,
    Timeout,
    Fall,
    Rise,
    Initial,
}

const PARTS: usize = Part::Initial as usize + 1;

/// A check that is still to be checked itself.
pub(super) struct CheckDraft {
    /// Where its name stands.
    pub(super) at: Pos,
    /// What is known; without its own a timeout is the interval.
    pub(super) check: Check,
    /// Where its parts stand; line 0 for what is not there.
    places: [Pos; PARTS],
}

impl CheckDraft {
    pub(super) fn new(at: Pos, name: StrId) -> CheckDraft {
        let check = Check {
            name,
            kind: CheckKind::File { path: StrId::default() },
            every: Check::EVERY,
            timeout: Check::EVERY,
            fall: 1,
            rise: 1,
            initial: Initial::Unknown,
        };
        CheckDraft { at, check, places: [Pos::default(); PARTS] }
    }

    /// `part` stands at `at`.
    pub(super) fn mark(&mut self, part: Part, at: Pos) {
        self.places[part as usize] = at;
    }

    /// Where `part` stands, if it is there.
    pub(super) fn given(&self, part: Part) -> Option<Pos> {
        Some(self.places[part as usize]).filter(|at| at.line != 0)
    }

    /// Where `part` stands, or the check begins.
    pub(super) fn place(&self, part: Part) -> Pos {
        self.given(part).unwrap_or(self.at)
    }
}
