//! What daemon and command say to each other over the control socket: postcard frames.
//!
//! A frame is a length (16 bits, big-endian, of what follows), a version byte and one postcard value.
//! A reply is a sequence of frames that [`Reply::End`] or [`Reply::Refused`] ends, so that no frame
//! grows with the number of instances. Variants are only ever appended.

use core::net::IpAddr;

use embedded_io::Read;
use serde::{Deserialize, Serialize};

use crate::config::model::{Condition, Family, MAX_IFNAME, MAX_NAME, Route, Scope, StrId};
use crate::router::event::{Fault, Shown};
use crate::vrrp::stats::{GlobalStats, InstanceStats, LastEvent, Reason};
use crate::vrrp::timing::{Centis, Micros};

/// The version byte of every frame.
pub const VERSION: u8 = 4;
/// The largest frame, header included.
pub const MAX_FRAME: usize = 512;
/// The longest line of the log.
pub const MAX_LINE: usize = 320;
/// The longest reason of a failed check, in bytes.
pub const MAX_ERROR: usize = 128;

const HEADER: usize = 3;

/// What a command asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Everything that `status` shows.
    Status,
    /// Hand over and stop. The connection closes when that is done.
    Stop,
    /// Read the configuration again.
    Reload,
    /// Make an instance or a group hand over and stay Backup, for a while or until it is resumed.
    Yield {
        /// Which.
        name: &'a str,
        /// How long.
        length: Option<Micros>,
    },
    /// The end of that.
    Resume(&'a str),
    /// Go on as the program at this path, or as the one that is now at our own's, without an interruption.
    Upgrade(Option<&'a str>),
    /// Everything that happens, as it happens, until the client goes away.
    Watch,
    /// Hand all over to the client, which is another daemon.
    Takeover {
        /// The version of the state that it understands.
        state: u8,
        /// Its network namespace; 0 where that cannot be known.
        network: u64,
    },
}

/// What the daemon answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply<'a> {
    /// The daemon as a whole; first of a status.
    #[serde(borrow)]
    Router(RouterStatus<'a>),
    /// An instance; its addresses, its routes and what it tracks follow.
    #[serde(borrow)]
    Instance(InstanceStatus<'a>),
    /// A virtual address of the instance before.
    #[serde(borrow)]
    Address(AddressStatus<'a>),
    /// Done.
    End,
    /// Not done; the words say why.
    Refused(&'a str),
    /// What the instance before tracks.
    #[serde(borrow)]
    Track(TrackStatus<'a>),
    /// A sync group; its members follow. Groups come behind all instances.
    #[serde(borrow)]
    Group(GroupStatus<'a>),
    /// Name of an instance of the group before.
    Member(&'a str),
    /// A check. Checks come behind all groups.
    #[serde(borrow)]
    Check(CheckStatus<'a>),
    /// A route of the instance before; behind its addresses.
    #[serde(borrow)]
    Route(RouteStatus<'a>),
    /// The instance before was told to yield: for how long yet, unless until it is resumed.
    Yielded(Option<Micros>),
    /// What became of the last reload; behind all checks, if there was one.
    #[serde(borrow)]
    Reloaded(ReloadStatus<'a>),
    /// Not done: there is nothing of that name.
    Unknown,
    /// Something that happened.
    #[serde(borrow)]
    Happened(Happening<'a>),
}

/// The daemon as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterStatus<'a> {
    /// Version of the program.
    pub version: &'a str,
    /// Name of the router.
    pub router_id: &'a str,
    /// Since the start.
    pub uptime: Micros,
    /// Process id.
    pub pid: u32,
    /// Counters.
    pub stats: GlobalStats,
}

/// An instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus<'a> {
    /// Name.
    pub name: &'a str,
    /// Interface.
    pub interface: &'a str,
    /// Its macvlan; empty if it has no virtual MAC address.
    pub vmac: &'a str,
    /// State, in keepalived's words.
    pub state: Shown,
    /// Why it is in Fault.
    pub fault: Option<Fault>,
    /// Priority 0 is sent, the successor is awaited.
    pub leaving: bool,
    /// VRID.
    pub vrid: u8,
    /// Family of the adverts.
    pub family: Family,
    /// Protocol version, 2 or 3.
    pub version: u8,
    /// Version 2 too.
    pub also_v2: bool,
    /// Configured priority.
    pub priority: u8,
    /// Effective priority.
    pub effective_priority: u8,
    /// Advertisement_Interval.
    pub advert: Centis,
    /// Active_Adver_Interval.
    pub active_adver_interval: Centis,
    /// Skew_Time.
    pub skew_time: Micros,
    /// Active_Down_Interval.
    pub active_down_interval: Micros,
    /// What it sends from.
    pub source: Option<IpAddr>,
    /// The Active router, if it is another and known.
    pub master: Option<(IpAddr, u8)>,
    /// Since the last change of state.
    pub since: Micros,
    /// Changes of state.
    pub transitions: u32,
    /// RFC 8347 last-event.
    pub last_event: LastEvent,
    /// RFC 8347 new-master-reason.
    pub reason: Reason,
    /// Counters.
    pub stats: InstanceStats,
}

/// A virtual address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressStatus<'a> {
    /// Address.
    pub ip: IpAddr,
    /// Prefix length.
    pub prefix: u8,
    /// Interface.
    pub dev: &'a str,
    /// Not in the advert.
    pub excluded: bool,
}

/// A route that moves with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteStatus<'a> {
    /// Destination.
    pub to: IpAddr,
    /// Its prefix length.
    pub prefix: u8,
    /// Gateway.
    pub via: Option<IpAddr>,
    /// Interface; empty where the kernel finds it.
    pub dev: &'a str,
    /// Source of our own packets.
    pub src: Option<IpAddr>,
    /// Table.
    pub table: u32,
    /// Metric; 0 for none.
    pub metric: u32,
    /// Scope, if one was named.
    pub scope: Option<Scope>,
    /// The gateway is on the interface's network whatever its addresses say.
    pub onlink: bool,
    /// What goes there is dropped.
    pub blackhole: bool,
}

impl<'a> RouteStatus<'a> {
    /// Of `route` through `dev`.
    pub fn new(route: &Route, dev: &'a str) -> RouteStatus<'a> {
        let Route { to, prefix, via, dev: _, src, table, metric, scope, onlink, blackhole } = *route;
        RouteStatus { to, prefix, via, dev, src, table, metric, scope, onlink, blackhole }
    }

    /// The route, without its interface.
    pub fn route(&self) -> Route {
        let RouteStatus { to, prefix, via, dev: _, src, table, metric, scope, onlink, blackhole } = *self;
        Route { to, prefix, via, dev: StrId::NONE, src, table, metric, scope, onlink, blackhole }
    }
}

/// Something that an instance tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackStatus<'a> {
    /// The interface or the check.
    pub name: &'a str,
    /// What is known of it.
    pub condition: Condition,
    /// The configured weight.
    pub weight: i16,
    /// Up and down change places; a number changes its sign.
    pub reverse: bool,
    /// It is an interface, not a check.
    pub interface: bool,
}

/// A sync group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus<'a> {
    /// Name.
    pub name: &'a str,
    /// The state that all its instances were in last.
    pub state: Shown,
    /// Since that changed.
    pub since: Micros,
}

/// A check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStatus<'a> {
    /// Name.
    pub name: &'a str,
    /// What kind of check, by its keyword.
    pub kind: &'a str,
    /// What is known.
    pub condition: Condition,
    /// Runs since the start.
    pub count: u32,
    /// Failures in a row up to now.
    pub fails: u32,
    /// What the last run took; `None` before the first.
    pub last: Option<Micros>,
    /// Why the last run failed; empty if it did not.
    pub error: &'a str,
    /// From one run to the next, as configured.
    pub every: Micros,
}

/// What became of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadStatus<'a> {
    /// Since then.
    pub ago: Micros,
    /// What it took.
    pub took: Micros,
    /// Why all stayed as it was; empty if it did not.
    pub error: &'a str,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Nothing happened: this is the state of an instance when the watching begins.
    Now,
    /// An instance changed its state.
    State,
    /// A group did.
    Group,
    /// A check did.
    Check,
    /// The effective priority of an instance is another.
    Priority,
    /// A packet was refused, or is odd.
    Packet,
    /// Something else worth a line in the log.
    Notice,
}

impl Kind {
    /// The word for it in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Now => "now",
            Kind::State => "state",
            Kind::Group => "group",
            Kind::Check => "check",
            Kind::Priority => "priority",
            Kind::Packet => "packet",
            Kind::Notice => "notice",
        }
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happening<'a> {
    /// When, since 1970.
    pub at: Micros,
    /// What kind of thing.
    pub kind: Kind,
    /// To which instance, group or check; empty if to none.
    pub name: &'a str,
    /// The state before, of what has states.
    pub from: &'a str,
    /// The state now.
    pub to: &'a str,
    /// The line of the log.
    pub text: &'a str,
}

/// Why a frame cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// The connection ended, or failed, before the frame did.
    Cut,
    /// Longer than [`MAX_FRAME`], or shorter than its header.
    Length(u16),
    /// Another version of picovrrp.
    Version(u8),
    /// Not a value that we know, or bytes behind it.
    Value,
}

/// Writes `value` as a frame to the front of `buf`; its length.
pub fn encode<'b, T: Serialize>(buf: &'b mut [u8; MAX_FRAME], value: &T) -> Option<&'b [u8]> {
    let n = postcard::to_slice(value, &mut buf[HEADER..]).ok()?.len();
    buf[..2].copy_from_slice(&(n as u16 + 1).to_be_bytes());
    buf[2] = VERSION;
    buf.get(..HEADER + n)
}

/// Length of the whole frame whose first bytes are `head`; `None` while there are fewer than two.
pub fn frame_len(head: &[u8]) -> Option<Result<usize, Bad>> {
    let n = u16::from_be_bytes([*head.first()?, *head.get(1)?]);
    Some(if n < 2 || n as usize + 2 > MAX_FRAME { Err(Bad::Length(n)) } else { Ok(n as usize + 2) })
}

/// Reads the value of a whole frame.
pub fn decode<'b, T: Deserialize<'b>>(frame: &'b [u8]) -> Result<T, Bad> {
    match frame.get(2) {
        None => return Err(Bad::Cut),
        Some(&VERSION) => {}
        Some(&v) => return Err(Bad::Version(v)),
    }
    match postcard::take_from_bytes(&frame[HEADER..]) {
        Ok((value, [])) => Ok(value),
        _ => Err(Bad::Value),
    }
}

/// Reads one whole frame into `buf`; `None` at an orderly end of the connection.
pub fn read_frame<'b>(from: &mut impl Read, buf: &'b mut [u8; MAX_FRAME]) -> Result<Option<&'b [u8]>, Bad> {
    let (mut have, mut need) = (0, 2);
    while have < need {
        match from.read(&mut buf[have..need]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) | Err(_) => return Err(Bad::Cut),
            Ok(n) => have += n,
        }
        if let Some(len) = frame_len(&buf[..have]) {
            need = len?;
        }
    }
    Ok(Some(&buf[..need]))
}

// The longest frame: two names, the counters as varints of at most ten bytes, and the rest.
static_assertions::const_assert!(HEADER + MAX_NAME + MAX_IFNAME + 18 * 10 + 120 <= MAX_FRAME);
// A happening: its name, two states, its line, and the rest.
static_assertions::const_assert!(HEADER + MAX_NAME + MAX_LINE + 2 * 10 + 40 <= MAX_FRAME);
// A check: its name, its reason, and the rest.
static_assertions::const_assert!(HEADER + MAX_NAME + MAX_ERROR + 80 <= MAX_FRAME);

#[cfg(test)]
mod tests {
    use super::*;

    fn instance() -> InstanceStatus<'static> {
        InstanceStatus {
            name: "0123456789012345678901234567890123456789012345678901234567890123",
            interface: "interface-15-by",
            vmac: "interface-15-by",
            state: Shown::Backup,
            fault: Some(Fault::NoAddress),
            leaving: true,
            vrid: 255,
            family: Family::V6,
            version: 3,
            also_v2: true,
            priority: 255,
            effective_priority: 255,
            advert: Centis::MAX_V2,
            active_adver_interval: Centis::MAX_V2,
            skew_time: Micros(u64::MAX),
            active_down_interval: Micros(u64::MAX),
            source: Some(IpAddr::from([0xffff; 8])),
            master: Some((IpAddr::from([0xffff; 8]), 255)),
            since: Micros(u64::MAX),
            transitions: u32::MAX,
            last_event: LastEvent::ConflictSurvived,
            reason: Reason::NoResponse,
            stats: InstanceStats {
                master_transitions: u64::MAX,
                advertisement_rcvd: u64::MAX,
                advertisement_sent: u64::MAX,
                interval_errors: u64::MAX,
                priority_zero_pkts_rcvd: u64::MAX,
                priority_zero_pkts_sent: u64::MAX,
                invalid_type_pkts_rcvd: u64::MAX,
                address_list_errors: u64::MAX,
                packet_length_errors: u64::MAX,
                auth_invalid_type: u64::MAX,
                auth_type_mismatch: u64::MAX,
                auth_failure: u64::MAX,
                reflected: u64::MAX,
                unknown_peer: u64::MAX,
                trailing_bytes: u64::MAX,
                checksum_plain_rcvd: u64::MAX,
                checksum_pseudo_rcvd: u64::MAX,
                assertions_sent: u64::MAX,
            },
        }
    }

    /// The longest of each kind there can be fits, and comes back equal.
    #[test]
    fn largest_frames() {
        let (name, error) = ("n".repeat(MAX_NAME), "e".repeat(MAX_ERROR));
        let track = TrackStatus {
            name: &name,
            condition: Condition::Value(-254),
            weight: -253,
            reverse: true,
            interface: true,
        };
        let group = GroupStatus { name: &name, state: Shown::Stop, since: Micros(u64::MAX) };
        let check = CheckStatus {
            name: &name,
            kind: "interface",
            condition: Condition::Value(-254),
            count: u32::MAX,
            fails: u32::MAX,
            last: Some(Micros(u64::MAX)),
            error: &error,
            every: Micros(u64::MAX),
        };
        let ip = IpAddr::from([0xffff; 8]);
        let route = Route {
            via: Some(ip),
            src: Some(ip),
            table: u32::MAX,
            metric: u32::MAX,
            scope: Some(Scope::Host),
            onlink: true,
            ..Route::to(ip, 128)
        };
        let route_status = RouteStatus::new(&route, "interface-15-by");
        assert_eq!(route_status.route(), route);
        let reload = ReloadStatus { ago: Micros(u64::MAX), took: Micros(u64::MAX), error: &error };
        let text = "t".repeat(MAX_LINE);
        let (at, kind) = (Micros(u64::MAX), Kind::Notice);
        let happening = Happening { at, kind, name: &name, from: "unknown", to: "unknown", text: &text };
        for reply in [
            Reply::Happened(happening),
            Reply::Reloaded(reload),
            Reply::Yielded(Some(Micros(u64::MAX))),
            Reply::Route(route_status),
            Reply::Instance(instance()),
            Reply::Track(track),
            Reply::Group(group),
            Reply::Member(&name),
            Reply::Check(check),
            Reply::Check(CheckStatus { condition: Condition::Unknown, last: None, error: "", ..check }),
        ] {
            let mut buf = [0; MAX_FRAME];
            let frame = encode(&mut buf, &reply).unwrap().to_vec();
            assert_eq!(frame_len(&frame), Some(Ok(frame.len())));
            assert_eq!(decode::<Reply>(&frame), Ok(reply));
        }
    }

    /// Cut at every byte, changed at every byte, with bytes behind it: an error or another value, never a panic.
    #[test]
    fn broken_frames() {
        let mut buf = [0; MAX_FRAME];
        let frame = encode(&mut buf, &Reply::Instance(instance())).unwrap().to_vec();
        for n in 0..frame.len() {
            assert!(decode::<Reply>(&frame[..n]).is_err());
            let mut copy = [0; MAX_FRAME];
            let got = read_frame(&mut &frame[..n], &mut copy);
            assert_eq!(got.is_err(), n > 0);
            let mut bad = frame.clone();
            bad[n] ^= 0x55;
            let _ = decode::<Reply>(&bad);
        }
        let mut long = frame.clone();
        long.push(0);
        assert_eq!(decode::<Reply>(&long), Err(Bad::Value));
        assert_eq!(frame_len(&[0xff, 0xff]), Some(Err(Bad::Length(0xffff))));
        assert_eq!(frame_len(&[0, 1]), Some(Err(Bad::Length(1))));
        assert_eq!(decode::<Request>(&[0, 2, 9, 0]), Err(Bad::Version(9)));
        assert_eq!(decode::<Request>(&[0, 2, VERSION, 77]), Err(Bad::Value));
    }

    #[test]
    fn requests() {
        let name = "n".repeat(MAX_NAME);
        let yielding = Request::Yield { name: &name, length: Some(Micros(u64::MAX)) };
        for request in [
            Request::Status,
            Request::Stop,
            Request::Reload,
            yielding,
            Request::Resume(&name),
            Request::Watch,
            Request::Upgrade(Some(&name)),
            Request::Takeover { state: u8::MAX, network: u64::MAX },
        ] {
            let mut buf = [0; MAX_FRAME];
            let frame = encode(&mut buf, &request).unwrap().to_vec();
            let mut copy = [0; MAX_FRAME];
            let read = read_frame(&mut &frame[..], &mut copy).unwrap().unwrap();
            assert_eq!(decode::<Request>(read), Ok(request));
        }
    }
}
