//! `Config`: what a router is told to do, validated and of fixed capacity.
//!
//! Names, addresses and peers stand in pools that all instances share, so that memory follows what
//! is used; an instance holds ranges into them. The importers and the line language fill the same
//! `Config`, and nothing behind it knows where it came from.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::table::Table;
use crate::vrrp::timing::{Centis, Micros, Version};

mod checks;
mod delay;
mod routes;

pub use checks::{
    Check, CheckKind, Condition, Group, Hooks, Initial, Origin, RECORD_TYPES, RecordType, Track, Tracked, Weights,
};
pub use delay::{LinkDelay, MAX_DELAY};
pub use routes::{MAIN_TABLE, Route, RouteWords, network};

/// Reads a limit from the build's environment, so that a build may raise it.
const fn limit(env: Option<&str>, default: usize) -> usize {
    match env {
        None => default,
        Some(s) => {
            let (b, mut i, mut n) = (s.as_bytes(), 0, 0usize);
            while i < b.len() {
                assert!(b[i].is_ascii_digit(), "a PICOVRRP_MAX_… variable is not a number");
                n = n * 10 + (b[i] - b'0') as usize;
                i += 1;
            }
            n
        }
    }
}

/// Instances in one process (`PICOVRRP_MAX_INSTANCES` at build time; at most 255).
pub const MAX_INSTANCES: usize = limit(option_env!("PICOVRRP_MAX_INSTANCES"), 32);
/// Virtual addresses of all instances and static ones together (`PICOVRRP_MAX_ADDRESSES`).
pub const MAX_ADDRESSES: usize = limit(option_env!("PICOVRRP_MAX_ADDRESSES"), 256);
/// Routes of all instances and static ones together (`PICOVRRP_MAX_ROUTES`).
pub const MAX_ROUTES: usize = limit(option_env!("PICOVRRP_MAX_ROUTES"), 64);
/// Unicast peers of all instances together (`PICOVRRP_MAX_PEERS`).
pub const MAX_PEERS: usize = limit(option_env!("PICOVRRP_MAX_PEERS"), 64);
/// Checks (`PICOVRRP_MAX_CHECKS`; at most 255).
pub const MAX_CHECKS: usize = limit(option_env!("PICOVRRP_MAX_CHECKS"), 32);
/// Trackers of all instances and groups together (`PICOVRRP_MAX_TRACKS`).
pub const MAX_TRACKS: usize = limit(option_env!("PICOVRRP_MAX_TRACKS"), 128);
/// Bytes of all names together (`PICOVRRP_MAX_STRINGS`).
pub const MAX_STRINGS: usize = limit(option_env!("PICOVRRP_MAX_STRINGS"), 8192);
/// Network interfaces that all instances and addresses name together: each instance may be on one of its own, and
/// have a macvlan above that. A place among them is a byte.
pub const MAX_LINKS: usize = if MAX_INSTANCES < 123 { 2 * MAX_INSTANCES + 8 } else { 255 };
/// Interfaces whose changes count after a delay (`PICOVRRP_MAX_DELAYS`).
pub const MAX_DELAYS: usize = limit(option_env!("PICOVRRP_MAX_DELAYS"), 16);
/// Multicast groups on one interface and family.
pub const MAX_MULTICAST_GROUPS: usize = 8;
/// Sync groups (`PICOVRRP_MAX_GROUPS`; at most 255).
pub const MAX_GROUPS: usize = limit(option_env!("PICOVRRP_MAX_GROUPS"), 8);
/// The longest name of an instance, in bytes.
pub const MAX_NAME: usize = 64;
/// The longest name of an interface, in bytes (IFNAMSIZ less the NUL).
pub const MAX_IFNAME: usize = 15;

static_assertions::const_assert!(MAX_INSTANCES >= 1 && MAX_INSTANCES <= 255);
static_assertions::const_assert!(MAX_CHECKS <= 255 && MAX_GROUPS <= 255);
static_assertions::const_assert!(
    MAX_ADDRESSES <= 0xffff
        && MAX_ROUTES <= 0xffff
        && MAX_PEERS <= 0xffff
        && MAX_TRACKS <= 0xffff
        && MAX_STRINGS <= 0xffff
);

/// A string in [`Config::strings`]; the empty string is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StrId(
    /// Where it begins, and in the lower half its length: one word, for there are many of them and few who look.
    u32,
);

impl StrId {
    /// The empty string.
    pub const NONE: StrId = StrId(0);

    /// Whether it is the empty string, which stands for "not given".
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The pool of all names.
#[derive(Clone, Debug, Default)]
pub struct Strings {
    bytes: Table<u8, MAX_STRINGS>,
}

impl Strings {
    /// Puts `s` in the pool, or finds it there; `None` if the pool is full.
    pub fn add(&mut self, s: &str) -> Option<StrId> {
        if s.is_empty() {
            return Some(StrId::default());
        }
        let start = match self.find(s, 0) {
            Some(at) => at,
            None => {
                let before = self.bytes.len();
                self.bytes.extend_from_slice(s.as_bytes()).ok()?;
                // Its first occurrence may begin before what was appended ("ab" + "abab"), though not so
                // far that it ends there; taking the first one always gives equal strings equal ids.
                self.find(s, (before + 1).saturating_sub(s.len()))?
            }
        };
        Some(StrId((start as u32) << 16 | s.len() as u32))
    }

    /// Where `s` is first, at `from` or behind it.
    fn find(&self, s: &str, from: usize) -> Option<usize> {
        let (wanted, last) = (s.as_bytes(), s.len().checked_sub(1)?);
        // Horspool: a place whose last byte is wrong says how far the next one is that may be right. Bytes
        // that share an entry make that nearer, never too far.
        let far = s.len().min(u8::MAX as usize) as u8;
        let mut steps = [far; 64];
        for (i, byte) in wanted[..last].iter().enumerate() {
            let step = &mut steps[*byte as usize % 64];
            *step = (*step).min((last - i).min(u8::MAX as usize) as u8);
        }
        let mut at = from;
        while let Some(place) = self.bytes.get(at..at + s.len()) {
            let end = place[last];
            if end == wanted[last] && place == wanted {
                return Some(at);
            }
            at += steps[end as usize % 64] as usize;
        }
        None
    }

    /// The string that `id` names; empty for an id of another pool that does not fit this one.
    #[inline(never)]
    pub fn get(&self, id: StrId) -> &str {
        let (a, n) = ((id.0 >> 16) as usize, (id.0 & 0xffff) as usize);
        self.bytes.get(a..a + n).and_then(|b| core::str::from_utf8(b).ok()).unwrap_or("")
    }

    /// Bytes used, of [`MAX_STRINGS`].
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is in the pool.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A range of entries in one of the pools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Index of the first entry.
    pub start: u16,
    /// Number of entries.
    pub len: u16,
}

impl Range {
    /// The entries of `pool` that this range names.
    pub fn of<T>(self, pool: &[T]) -> &[T] {
        pool.get(self.indices()).unwrap_or(&[])
    }

    /// The indices of the entries.
    pub const fn indices(self) -> core::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// IPv4 or IPv6: the family of the adverts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub const fn of(ip: IpAddr) -> Family {
        match ip {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// The length of an unabridged prefix: 32 or 128.
    pub const fn bits(self) -> u8 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }
}

/// What a joining router of higher priority does (Preempt_Mode, RFC 9568 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preempt {
    /// It leaves an Active router of lower priority alone.
    Off,
    /// It takes over.
    On,
    /// It takes over when it has heard a lower advert for this long.
    After(Micros),
}

/// `start backup|master`: keepalived's `state`. No faster with a priority below 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Begin as Backup (an address owner begins as Active all the same).
    Backup,
    /// keepalived's `state MASTER`: clears `preempt off` and `preempt after`.
    Master,
}

/// Which bytes the checksum of a VRRPv3 advert over IPv4 covers in what we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChecksumForm {
    /// The VRRP message alone: RFC 9568 §5.2.8.
    Plain,
    /// The pseudo-header too: RFC 5798 as keepalived, FRR and others read it.
    Pseudo,
}

/// Gratuitous ARP and unsolicited NA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garp {
    /// From becoming Active to the second burst; zero for none.
    pub delay: Micros,
    /// Announcements of each address in a burst.
    pub repeat: u8,
    /// Period of further bursts while Active; zero for none.
    pub refresh: Micros,
    /// Announcements of each address in a burst of the refresh.
    pub refresh_repeat: u8,
}

impl Default for Garp {
    fn default() -> Garp {
        Garp { delay: Micros::from_secs(5), repeat: 5, refresh: Micros::ZERO, refresh_repeat: 1 }
    }
}

/// Address scope as the kernel numbers it (RT_SCOPE_…).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// 0, the default.
    Global,
    /// 200.
    Site,
    /// 253.
    Link,
    /// 254.
    Host,
}

impl Scope {
    /// The kernel's number.
    pub const fn number(self) -> u8 {
        match self {
            Scope::Global => 0,
            Scope::Site => 200,
            Scope::Link => 253,
            Scope::Host => 254,
        }
    }

    /// Its word in a configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Scope::Global => "global",
            Scope::Site => "site",
            Scope::Link => "link",
            Scope::Host => "host",
        }
    }
}

/// A virtual address of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Prefix length.
    pub prefix: u8,
    /// Interface to put it on; empty for the instance's own.
    pub dev: StrId,
    /// Scope; `None` for the kernel's natural one (global, or link for fe80::/10).
    pub scope: Option<Scope>,
    /// Label (IPv4 only, at most 15 bytes); empty for none.
    pub label: StrId,
    /// On the interface while Active, but not in the advert (`excluded`, or of the other family).
    pub excluded: bool,
}

/// A unicast peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub ip: IpAddr,
    /// The lowest TTL or hop limit accepted from it; 255 unless given.
    pub min_ttl: u8,
    /// The highest accepted; 255 unless given.
    pub max_ttl: u8,
}

/// One virtual router on one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its name, unique.
    pub name: StrId,
    /// The interface that it speaks on.
    pub interface: StrId,
    /// Virtual router identifier, 1…255.
    pub vrid: u8,
    /// Family of its adverts.
    pub family: Family,
    /// Protocol version.
    pub version: Version,
    /// It sends and hears version 2 besides version 3 (RFC 9568 §8.4.2).
    pub also_v2: bool,
    /// 1…254, or 255 for the address owner.
    pub priority: u8,
    /// Advertisement_Interval.
    pub advert: Centis,
    /// Preempt_Mode.
    pub preempt: Preempt,
    /// Initial wish.
    pub start: Start,
    /// Its virtual addresses, in the order of the advert ([`Config::addresses`]).
    pub addresses: Range,
    /// Its routes ([`Config::routes`]).
    pub routes: Range,
    /// Its unicast peers ([`Config::peers`]); none for multicast.
    pub peers: Range,
    /// What it tracks ([`Config::tracks`]).
    pub tracks: Range,
    /// Who is told of its changes.
    pub hooks: Hooks,
    /// Source address of unicast adverts; `Some` makes the instance a unicast one.
    pub unicast: Option<IpAddr>,
    /// Source address of multicast adverts; `None` follows the interface.
    pub source: Option<IpAddr>,
    /// Multicast group of the adverts; `None` for 224.0.0.18 or ff02::12.
    pub group: Option<IpAddr>,
    /// VRRPv2's simple password (RFC 2338 §5.3.10), zero-filled; `None` for no authentication.
    pub password: Option<[u8; 8]>,
    /// Announcements.
    pub garp: Garp,
    /// What we send over IPv4 in version 3.
    pub checksum: ChecksumForm,
    /// The macvlan that has the virtual router's MAC address, and its virtual addresses; empty where
    /// the interface's own serves.
    pub vmac: StrId,
    /// Adverts leave with the interface's own MAC address in spite of `vmac`; always so if unicast.
    pub vmac_base: bool,
    /// Accept_Mode: as Active it accepts packets to the virtual addresses. An owner does anyway.
    pub accept: bool,
    /// Whether it is in Fault while its interface is down.
    pub track_primary: bool,
}

impl Default for Instance {
    /// The built-in defaults; name, interface, VRID and addresses have none.
    fn default() -> Instance {
        Instance {
            name: StrId::default(),
            interface: StrId::default(),
            vrid: 0,
            family: Family::V4,
            version: Version::V3,
            also_v2: false,
            priority: 100,
            advert: Centis::SECOND,
            preempt: Preempt::On,
            start: Start::Backup,
            addresses: Range::default(),
            routes: Range::default(),
            peers: Range::default(),
            tracks: Range::default(),
            hooks: Hooks::default(),
            unicast: None,
            source: None,
            group: None,
            password: None,
            garp: Garp::default(),
            checksum: ChecksumForm::Plain,
            vmac: StrId::default(),
            vmac_base: false,
            accept: true,
            track_primary: true,
        }
    }
}

impl Instance {
    /// The interface of its addresses that name none.
    pub const fn own_device(&self) -> StrId {
        if self.vmac.is_empty() { self.interface } else { self.vmac }
    }

    /// Whether adverts of this version are sent and heard.
    pub fn speaks(&self, version: u8) -> bool {
        version == self.version.number() || (self.also_v2 && version == Version::V2.number())
    }

    /// The virtual router's MAC address (RFC 9568 §7.3).
    pub const fn virtual_mac(&self) -> [u8; 6] {
        [0, 0, 0x5e, 0, if let Family::V4 = self.family { 1 } else { 2 }, self.vrid]
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Errors only.
    Error,
    /// And warnings.
    Warn,
    /// And transitions: the default.
    Info,
    /// And what explains them.
    Debug,
}

/// A command of the daemon's own start or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    /// The command, split on blanks and run without a shell; empty for none.
    pub command: StrId,
    /// What it may take before it is killed.
    pub timeout: Micros,
}

impl Default for Lifecycle {
    fn default() -> Lifecycle {
        Lifecycle { command: StrId::default(), timeout: Micros::from_secs(10) }
    }
}

/// Everything that one daemon is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of this router in logs and status; empty for the host's name.
    pub router_id: StrId,
    /// Open the kernel's filter for VRIDs that are not ours, count and log them.
    pub log_unknown: bool,
    /// Drop what the RFC says to drop where the field is laxer (C18, C21, E14).
    pub strict: bool,
    /// What is logged.
    pub log_level: LogLevel,
    /// `USER[:GROUP]` that scripts run as; empty for `keepalived_script` where that user exists, else root.
    pub script_user: StrId,
    /// Refuse scripts that others than root and that user can change.
    pub script_security: bool,
    /// From start to the first instance's start.
    pub startup_delay: Micros,
    /// Scripts of checks that run at once.
    pub max_children: u8,
    /// What a notify hook may take before it is killed.
    pub notify_timeout: Micros,
    /// A FIFO that gets a line for each change of state; empty for none.
    pub notify_fifo: StrId,
    /// OpenWrt's hotplug types that are called at each change, with blanks between them; empty for none.
    pub hotplug: StrId,
    /// Run before the instances start.
    pub startup: Lifecycle,
    /// Run when all instances have stopped.
    pub shutdown: Lifecycle,
    /// Interfaces whose changes count after a delay.
    pub link_delays: Table<LinkDelay, MAX_DELAYS>,
    /// The checks.
    pub checks: Table<Check, MAX_CHECKS>,
    /// The sync groups.
    pub groups: Table<Group, MAX_GROUPS>,
    /// Pool of the names of the groups' instances.
    pub members: Table<StrId, MAX_INSTANCES>,
    /// The virtual routers.
    pub instances: Table<Instance, MAX_INSTANCES>,
    /// Pool of virtual addresses, and of static ones.
    pub addresses: Table<Address, MAX_ADDRESSES>,
    /// The addresses that are on as long as the daemon runs ([`Config::addresses`]).
    pub static_addresses: Range,
    /// Pool of routes.
    pub routes: Table<Route, MAX_ROUTES>,
    /// The routes that are there as long as the daemon runs ([`Config::routes`]).
    pub static_routes: Range,
    /// Pool of unicast peers.
    pub peers: Table<Peer, MAX_PEERS>,
    /// Pool of trackers.
    pub tracks: Table<Track, MAX_TRACKS>,
    /// Pool of names.
    pub strings: Strings,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            router_id: StrId::default(),
            log_unknown: false,
            strict: false,
            log_level: LogLevel::Info,
            script_user: StrId::default(),
            script_security: true,
            startup_delay: Micros::ZERO,
            max_children: 4,
            notify_timeout: Micros::from_secs(60),
            notify_fifo: StrId::default(),
            hotplug: StrId::default(),
            startup: Lifecycle::default(),
            shutdown: Lifecycle::default(),
            link_delays: Table::new(),
            checks: Table::new(),
            groups: Table::new(),
            members: Table::new(),
            instances: Table::new(),
            addresses: Table::new(),
            static_addresses: Range::default(),
            routes: Table::new(),
            static_routes: Range::default(),
            peers: Table::new(),
            tracks: Table::new(),
            strings: Strings::default(),
        }
    }
}

impl Config {
    /// The string that `id` names.
    #[inline(never)]
    pub fn str(&self, id: StrId) -> &str {
        self.strings.get(id)
    }

    /// The virtual addresses of `instance`.
    pub fn addresses_of(&self, instance: &Instance) -> &[Address] {
        instance.addresses.of(&self.addresses)
    }

    /// The unicast peers of `instance`.
    pub fn peers_of(&self, instance: &Instance) -> &[Peer] {
        instance.peers.of(&self.peers)
    }

    /// What `instance` tracks.
    pub fn tracks_of(&self, instance: &Instance) -> &[Track] {
        instance.tracks.of(&self.tracks)
    }

    /// What `group` tracks for its instances.
    pub fn tracks_of_group(&self, group: &Group) -> &[Track] {
        group.tracks.of(&self.tracks)
    }

    /// The names of `group`'s instances.
    pub fn members_of(&self, group: &Group) -> &[StrId] {
        group.members.of(&self.members)
    }

    /// The place of the instance called `name`.
    pub fn instance_named(&self, name: StrId) -> Option<usize> {
        self.instances.iter().position(|i| self.str(i.name) == self.str(name))
    }

    /// The place of the check called `name`.
    pub fn check_named(&self, name: StrId) -> Option<usize> {
        self.checks.iter().position(|c| self.str(c.name) == self.str(name))
    }

    /// The interface that `address` of `instance` stands on.
    pub fn device_of(&self, instance: &Instance, address: &Address) -> &str {
        self.str(if address.dev.is_empty() { instance.own_device() } else { address.dev })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Equal strings have equal ids, also when the first occurrence arises across a boundary.
    #[test]
    fn equal_strings_equal_ids() {
        let mut s = Strings::default();
        s.add("xab").unwrap();
        let first = s.add("abab").unwrap();
        assert_eq!(s.add("abab"), Some(first));
        assert_eq!(s.get(first), "abab");
        assert_eq!(s.add(""), Some(StrId::default()));
    }

    /// A string is found where a look at each place finds it, whatever its bytes and however long it is.
    #[test]
    fn found_where_it_is() {
        let (mut s, mut n) = (Strings::default(), 1u32);
        let pool: std::string::String = (0..3000)
            .map(|_| {
                n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ['a', 'b', 'A', '!', 'é'][(n >> 24) as usize % 5]
            })
            .collect();
        s.bytes.extend_from_slice(pool.as_bytes()).unwrap();
        for (start, _) in pool.char_indices().step_by(7) {
            for len in [1, 2, 3, 5, 9, 300] {
                let wanted = &pool[start..pool[start..].char_indices().nth(len).map_or(pool.len(), |(i, _)| start + i)];
                assert_eq!(s.find(wanted, 0), pool.find(wanted), "{wanted}");
                let other = std::format!("{wanted}b!");
                assert_eq!(s.find(&other, 0), pool.find(&other), "{other}");
            }
        }
    }
}
