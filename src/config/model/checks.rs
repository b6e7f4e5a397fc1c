//! Checks, what follows them, and sync groups.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Range, StrId};
use crate::vrrp::timing::Micros;

/// What a check says before its first result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Initial {
    /// Nothing: whoever would be in Fault without it waits for the first result, which counts alone.
    #[default]
    Unknown,
    /// Up, until it fails `fall` times in a row.
    Up,
    /// Down, until it succeeds `rise` times in a row.
    Down,
}

/// Where a probe leaves from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Wherever the kernel says.
    #[default]
    Any,
    /// With this address of ours.
    Address(IpAddr),
    /// Through this interface only.
    Interface(StrId),
}

/// Type of the record that a DNS check asks for (RFC 1035 §3.2.2, RFC 3596), by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u16)]
pub enum RecordType {
    /// An IPv4 address.
    #[default]
    A = 1,
    /// A name server.
    Ns = 2,
    /// Another name.
    Cname = 5,
    /// The zone's beginning.
    Soa = 6,
    /// A name for an address.
    Ptr = 12,
    /// A mail exchanger.
    Mx = 15,
    /// Text.
    Txt = 16,
    /// An IPv6 address.
    Aaaa = 28,
}

impl RecordType {
    /// By its name, in either case.
    pub fn parse(name: &str) -> Option<RecordType> {
        RECORD_TYPES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, t)| *t)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        RECORD_TYPES.iter().find(|(_, t)| *t == self).map_or("", |(n, _)| n)
    }
}

/// Every record type, with its name.
pub const RECORD_TYPES: [(&str, RecordType); 8] = [
    ("A", RecordType::A),
    ("NS", RecordType::Ns),
    ("CNAME", RecordType::Cname),
    ("SOA", RecordType::Soa),
    ("PTR", RecordType::Ptr),
    ("MX", RecordType::Mx),
    ("TXT", RecordType::Txt),
    ("AAAA", RecordType::Aaaa),
];

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A command whose exit status 0 is up.
    Script {
        /// The command, split on blanks and run without a shell.
        command: StrId,
        /// `USER[:GROUP]` that it runs as; empty for `script-user`.
        user: StrId,
    },
    /// Processes of a name.
    Process {
        /// The command name, or with `full_command` the whole command line.
        name: StrId,
        /// At least so many.
        min: u16,
        /// At most so many.
        max: Option<u16>,
        /// Compare the command line.
        full_command: bool,
        /// The words behind the program's name; empty for any.
        params: StrId,
        /// How long a change must last before it counts.
        delay: Micros,
        /// Hear of every fork and exit from the kernel, rather than look at each interval.
        connector: bool,
    },
    /// A file that holds a number, which each tracker multiplies by its weight.
    File {
        /// Its path.
        path: StrId,
    },
    /// An interface that is there, up and with carrier.
    Interface {
        /// Its name.
        interface: StrId,
    },
    /// A route that is there and leads somewhere.
    Route {
        /// The destination.
        prefix: IpAddr,
        /// Bits of the prefix.
        length: u8,
        /// Through this gateway; else any.
        via: Option<IpAddr>,
        /// In this table; 254 is `main`.
        table: u32,
    },
    /// An ICMP or ICMPv6 echo.
    Ping {
        /// Whom.
        target: IpAddr,
        /// From where.
        from: Origin,
    },
    /// A TCP connection.
    Tcp {
        /// To whom.
        target: IpAddr,
        /// Its port.
        port: u16,
        /// From where.
        from: Origin,
    },
    /// A GET by plain HTTP/1.1.
    Http {
        /// The URL, with an address or localhost for a host.
        url: StrId,
        /// The status expected; else any from 200 to 399.
        status: Option<u16>,
        /// Text expected in the body; empty for none.
        contains: StrId,
    },
    /// A DNS query over UDP.
    Dns {
        /// The server.
        server: IpAddr,
        /// Its port.
        port: u16,
        /// The name asked for.
        name: StrId,
        /// The record asked for.
        record: RecordType,
    },
}

impl CheckKind {
    /// Its keyword.
    pub const fn word(&self) -> &'static str {
        match self {
            CheckKind::Script { .. } => "script",
            CheckKind::Process { .. } => "process",
            CheckKind::File { .. } => "file",
            CheckKind::Interface { .. } => "interface",
            CheckKind::Route { .. } => "route",
            CheckKind::Ping { .. } => "ping",
            CheckKind::Tcp { .. } => "tcp",
            CheckKind::Http { .. } => "http",
            CheckKind::Dns { .. } => "dns",
        }
    }
}

/// Something that is looked at again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, unique.
    pub name: StrId,
    /// What it looks at.
    pub kind: CheckKind,
    /// From one look to the next.
    pub every: Micros,
    /// What one look may take.
    pub timeout: Micros,
    /// Failures in a row that make it down, from 1. A file check has neither this nor `rise`.
    pub fall: u8,
    /// Successes in a row that make it up, from 1.
    pub rise: u8,
    /// What it says before its first result.
    pub initial: Initial,
}

impl Check {
    /// From one look to the next, unless it is configured: low, for slow processors.
    pub const EVERY: Micros = Micros::from_secs(10);
}

/// What is known of something that is tracked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It works.
    Up,
    /// It does not.
    Down,
    /// The number in a file.
    Value(i16),
    /// There is no number in the file.
    Broken,
}

/// The thing that is tracked, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// An interface: up while it is there, up and with carrier.
    Interface(StrId),
    /// A check.
    Check(StrId),
}

impl Tracked {
    /// The name of the interface or of the check.
    pub const fn name(self) -> StrId {
        match self {
            Tracked::Interface(name) | Tracked::Check(name) => name,
        }
    }
}

/// What an instance follows with its priority, or falls into Fault with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    /// The thing.
    pub what: Tracked,
    /// Added to the priority while up if positive, while down if negative; 0: down is a Fault. The
    /// number of a file is multiplied by it, and the product held to [`MAX_WEIGHT`](Track::MAX_WEIGHT).
    pub weight: i16,
    /// What is added changes its sign; with weight 0 up and down change places.
    pub reverse: bool,
}

impl Track {
    /// The largest weight, and the smallest without its sign.
    pub const MAX_WEIGHT: i16 = 253;
    /// A number of a file, times the weight, that is no more than this is a Fault.
    pub const FAULT: i32 = -254;

    /// What it adds to the priority.
    pub const fn adds(&self, condition: Condition) -> i32 {
        let counts = match condition {
            Condition::Up => self.weight > 0,
            Condition::Down => self.weight < 0,
            Condition::Value(n) => return self.product(n),
            Condition::Unknown | Condition::Broken => false,
        };
        match (counts, self.reverse) {
            (true, false) => self.weight as i32,
            (true, true) => -(self.weight as i32),
            (false, _) => 0,
        }
    }

    /// Whether it puts the instance in Fault.
    pub const fn faults(&self, condition: Condition) -> bool {
        match condition {
            Condition::Up => self.weight == 0 && self.reverse,
            Condition::Down => self.weight == 0 && !self.reverse,
            Condition::Value(n) if self.weight == 0 => (n != 0) != self.reverse,
            Condition::Value(n) => self.product(n) <= Self::FAULT,
            Condition::Broken => self.weight == 0,
            Condition::Unknown => false,
        }
    }

    /// Whether the instance waits for the first result before it starts.
    pub const fn holds(&self, condition: Condition) -> bool {
        self.weight == 0 && matches!(condition, Condition::Unknown)
    }

    const fn product(&self, n: i16) -> i32 {
        let product = n as i32 * self.weight as i32 * if self.reverse { -1 } else { 1 };
        // As keepalived, before anything is summed up.
        if product > Self::MAX_WEIGHT as i32 { Self::MAX_WEIGHT as i32 } else { product }
    }
}

/// Commands that are run when an instance or a group changes its state; empty for none. A command is
/// split on blanks and run without a shell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// After each change, with `INSTANCE|GROUP NAME STATE PRIORITY` behind its own words.
    pub any: StrId,
    /// On becoming Active, before `any`; its own words alone. So are the others.
    pub master: StrId,
    /// On becoming Backup.
    pub backup: StrId,
    /// On falling into Fault.
    pub fault: StrId,
    /// On stopping.
    pub stop: StrId,
}

/// Instances that are Active together or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name, unique among the groups.
    pub name: StrId,
    /// The names of its instances ([`Config::members`](super::Config::members)), each in one group at most.
    pub members: Range,
    /// What it tracks for all of them ([`Config::tracks`](super::Config::tracks)).
    pub tracks: Range,
    /// Who is told of its changes.
    pub hooks: Hooks,
    /// For whom the weights of what one member tracks count.
    pub weights: Weights,
}

/// For whom the weights of what a member of a group tracks count. What puts one in Fault puts all in
/// it, whatever is said here, and what the group tracks counts for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weights {
    /// For every member, so that the group moves as one.
    #[default]
    All,
    /// For that member alone: keepalived's `sync_group_tracking_weight`.
    Own,
    /// For nobody: what keepalived does with scripts without it.
    Nobody,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(weight: i16, reverse: bool) -> Track {
        Track { what: Tracked::Check(StrId::default()), weight, reverse }
    }

    /// keepalived's rules: + when up, - when down, 0 faults; reverse changes the sign; files multiply.
    #[test]
    fn weights() {
        use Condition::*;
        for (weight, reverse, condition, adds, faults) in [
            (20, false, Up, 20, false),
            (20, false, Down, 0, false),
            (-20, false, Up, 0, false),
            (-20, false, Down, -20, false),
            (20, true, Up, -20, false),
            (20, true, Down, 0, false),
            (-20, true, Up, 0, false),
            (-20, true, Down, 20, false),
            (0, false, Up, 0, false),
            (0, false, Down, 0, true),
            (0, true, Up, 0, true),
            (0, true, Down, 0, false),
            (0, false, Unknown, 0, false),
            (-20, false, Unknown, 0, false),
            (2, false, Value(30), 60, false),
            (2, true, Value(30), -60, false),
            (1, false, Value(-253), -253, false),
            (1, false, Value(-254), -254, true),
            (-2, false, Value(127), -254, true),
            (2, true, Value(127), -254, true),
            (253, false, Value(254), 253, false),
            (-253, true, Value(254), 253, false),
            (0, false, Value(0), 0, false),
            (0, false, Value(1), 0, true),
            (0, true, Value(1), 0, false),
            (0, true, Value(0), 0, true),
            (0, false, Broken, 0, true),
            (5, false, Broken, 0, false),
        ] {
            let t = track(weight, reverse);
            assert_eq!((t.adds(condition), t.faults(condition)), (adds, faults), "{t:?} {condition:?}");
            assert_eq!(t.holds(condition), weight == 0 && condition == Unknown);
        }
    }
}
