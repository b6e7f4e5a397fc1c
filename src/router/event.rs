//! What goes into the router and what comes out of it.
//!
//! Events are levels where the kernel can tell them ("these are the addresses of this link now"),
//! so that a lost or repeated notification does no harm. Actions are to be carried out at once and
//! in order; what came of them, where it matters, returns as an event.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::model::{ChecksumForm, Condition, Family, Route, Scope};
use crate::vrrp::stats::Reason;
use crate::vrrp::timing::{Centis, Instant};

/// An instance, by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u8);

/// A virtual address, by its place in the configuration's pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressId(pub u16);

/// A route, by its place in the configuration's pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub u16);

/// A check, by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId(pub u8);

/// A sync group, by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u8);

/// What one run of a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// It succeeded.
    Up,
    /// It failed.
    Down,
    /// A file's number.
    Value(i16),
    /// A file without a number.
    Broken,
}

/// A VRRP message as it came from a socket.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The interface that it came in on.
    pub ifindex: u32,
    /// Sender.
    pub source: IpAddr,
    /// Receiver: the group or our address (the pseudo-header needs it).
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// The VRRP message, behind the IP header.
    pub payload: &'a [u8],
}

/// A network interface as the kernel shows it.
#[derive(Clone, Copy, Debug)]
pub struct LinkInfo<'a> {
    /// Interface index, never 0.
    pub ifindex: u32,
    /// Name.
    pub name: &'a str,
    /// Administratively up and with carrier (IFF_UP and IFF_RUNNING).
    pub up: bool,
    /// Link-layer address; zero where it has none.
    pub mac: [u8; 6],
    /// MTU in bytes.
    pub mtu: u32,
}

/// An address on a link as the kernel shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAddress {
    /// The address.
    pub ip: IpAddr,
    /// Prefix length.
    pub prefix: u8,
    /// IFA_F_SECONDARY of IPv4.
    pub secondary: bool,
    /// Tentative or failed duplicate detection: not usable (IPv6).
    pub tentative: bool,
}

/// What the router reacts to.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The links and addresses that exist have been told; instances may start.
    Start,
    /// Time has passed: do what is due.
    Timeout {
        /// All that came before now has been handed in. Without it no Active_Down_Timer fires: what
        /// came before its deadline counts before it. If [`next_deadline`](super::Router::next_deadline)
        /// is still not in the future, read the sockets to their end and say so.
        drained: bool,
    },
    /// A VRRP message came.
    Received(Received<'a>),
    /// A link appeared or changed.
    Link(LinkInfo<'a>),
    /// A link is gone.
    LinkGone {
        /// Its index.
        ifindex: u32,
    },
    /// All addresses of a link, in the kernel's order.
    Addresses {
        /// The link's index.
        ifindex: u32,
        /// Every address on it.
        list: &'a [LinkAddress],
    },
    /// A check has run. How often it must succeed or fail to count is the router's business. An
    /// `interface` check needs no run but to be counted: the router sees its changes itself.
    Check {
        /// Which.
        check: CheckId,
        /// What it came to.
        result: CheckResult,
    },
    /// An address on a link is ours from an earlier run that did not clean up.
    Stale(AddressId),
    /// Adding an address was refused because an equal one is there that is not ours.
    AddressExists(AddressId),
    /// Adding an address failed; it is tried again with a later advert.
    AddressFailed(AddressId),
    /// A route may be ours from an earlier run that did not clean up.
    StaleRoute(RouteId),
    /// Adding a route was refused because one is there that is not ours.
    RouteExists(RouteId),
    /// Adding a route failed, or keeping it; it is tried again with a later advert.
    RouteFailed(RouteId),
    /// A route that was to be kept was gone, and is there again.
    RouteRestored(RouteId),
    /// Routes may have gone, or may be possible now: those that should be there are kept.
    Routes,
    /// What came of [`Action::AddVmac`].
    Vmac {
        /// Whose.
        instance: InstanceId,
        /// The link as it is there now, or why it is not.
        made: Result<LinkInfo<'a>, VmacError>,
    },
    /// Hand over and stay Backup, with all of the group, even if no other router is Active.
    Yield {
        /// Which.
        instance: InstanceId,
        /// When that ends by itself; [`FOR_EVER`](super::FOR_EVER) for never.
        until: Instant,
    },
    /// The end of [`Yield`](Self::Yield) for an instance and its group: Backups like any other.
    Resume(InstanceId),
    /// Hand over and stop. The router is done when [`is_stopped`](super::Router::is_stopped) says so.
    Stop,
}

/// Why there is no macvlan for an instance's virtual MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmacError {
    /// A link of that name is there and not ours: it is left alone.
    Foreign,
    /// The system refused; the error number.
    Refused(i32),
}

/// Details of a virtual address that is to be added or removed.
#[derive(Clone, Copy, Debug)]
pub struct AddressSpec<'a> {
    /// Its id.
    pub id: AddressId,
    /// The link that it stands on.
    pub ifindex: u32,
    /// The address.
    pub ip: IpAddr,
    /// Prefix length.
    pub prefix: u8,
    /// Scope; `None` for the natural one.
    pub scope: Option<Scope>,
    /// Label; empty for none.
    pub label: &'a str,
    /// It stands on a macvlan: the interface beneath, where it is on the same network, goes first for
    /// what we send.
    pub vmac: bool,
}

/// Details of a route that is to be added, kept or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// Its id.
    pub id: RouteId,
    /// The link that it leads through; 0 where the kernel is to find it.
    pub ifindex: u32,
    /// The route; the name of its interface is of no matter here.
    pub route: Route,
}

/// A state as it is shown outside: keepalived's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Shown {
    /// Not started, or stopped.
    Init,
    /// Backup.
    Backup,
    /// Active.
    Master,
    /// An interface, address or check is missing.
    Fault,
    /// Stopped.
    Stop,
}

impl Shown {
    /// The word that scripts and status see.
    pub const fn word(self) -> &'static str {
        match self {
            Shown::Init => "INIT",
            Shown::Backup => "BACKUP",
            Shown::Master => "MASTER",
            Shown::Fault => "FAULT",
            Shown::Stop => "STOP",
        }
    }
}

/// Why an instance is in Fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// No interface of that name.
    NoInterface,
    /// The interface is down or has no carrier.
    InterfaceDown,
    /// The interface has no usable address of the family, or not the one to send from.
    NoAddress,
    /// There is no interface with the virtual MAC address.
    NoVmac,
    /// Something that it tracks with weight 0 is down.
    Tracked,
    /// Another member of its sync group is in Fault.
    Group,
}

impl Fault {
    /// In words, for the log and status.
    pub const fn words(self) -> &'static str {
        match self {
            Fault::NoInterface => "no such interface",
            Fault::InterfaceDown => "interface down",
            Fault::NoAddress => "no address to send from",
            Fault::NoVmac => "no virtual MAC address on it",
            Fault::Tracked => "what it tracks is down",
            Fault::Group => "another of its group is in fault",
        }
    }
}

/// An instance changed its state.
#[derive(Clone, Copy, Debug)]
pub struct Transition {
    /// Which.
    pub instance: InstanceId,
    /// The state that it left.
    pub from: Shown,
    /// The state that it is in.
    pub to: Shown,
    /// Why it became Active (RFC 8347 new-master-reason), if it did.
    pub reason: Reason,
    /// Why it is in Fault, if it is.
    pub fault: Option<Fault>,
    /// Effective priority.
    pub priority: u8,
}

/// All instances of a sync group have come to the same state.
#[derive(Clone, Copy, Debug)]
pub struct GroupTransition {
    /// Which.
    pub group: GroupId,
    /// The state that they were in together before.
    pub from: Shown,
    /// The state that they are in.
    pub to: Shown,
}

/// Why a packet was not processed; each has a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// TTL or hop limit outside the allowed range; the value.
    Ttl(u8),
    /// Another protocol version; the number.
    Version(u8),
    /// Not an ADVERTISEMENT; the type.
    Type(u8),
    /// Cut short, or a count that does not fit; the length in bytes.
    Length(u16),
    /// No address at all.
    NoAddresses,
    /// The checksum is wrong.
    Checksum,
    /// A virtual router that is not ours; its VRID.
    UnknownVrid(u8),
    /// Authentication of an unknown type; the type.
    AuthType(u8),
    /// Authentication of another type than ours; the type.
    AuthMismatch(u8),
    /// The password is wrong.
    AuthFailure,
    /// Another advertisement interval (version 2), or 0; in centiseconds.
    Interval(u16),
    /// Another address list, under `strict`.
    AddressList,
    /// Our own advert came back.
    Reflected,
    /// A unicast instance heard somebody who is not a peer.
    NotAPeer,
    /// Bytes behind the message, under `strict`.
    Trailing,
}

/// Something worth a line in the log; the driver limits the rate by class.
#[derive(Clone, Copy, Debug)]
pub enum Report {
    /// A packet was dropped.
    Dropped {
        /// The instance that it was for, if known.
        instance: Option<InstanceId>,
        /// Its sender.
        source: IpAddr,
        /// Why.
        why: Drop,
    },
    /// Version 3: the peer advertises at another interval than ours; we follow.
    IntervalLearned {
        /// Which.
        instance: InstanceId,
        /// Who.
        source: IpAddr,
        /// Its interval.
        theirs: Centis,
    },
    /// The peer's address list differs from ours; accepted.
    AddressListDiffers {
        /// Which.
        instance: InstanceId,
        /// Who.
        source: IpAddr,
    },
    /// As Active we hear another Active that loses the election.
    Conflict {
        /// Which.
        instance: InstanceId,
        /// Who.
        source: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// The first v3 IPv4 advert of this source, or a changed form of checksum.
    ChecksumForm {
        /// Which.
        instance: InstanceId,
        /// Who.
        source: IpAddr,
        /// What it sends.
        form: ChecksumForm,
    },
    /// We own the address (priority 255) and hear another owner.
    TwoOwners {
        /// Which.
        instance: InstanceId,
        /// Who.
        source: IpAddr,
    },
    /// An address was on the interface before us: used, never removed.
    ForeignAddress {
        /// Which; `None` for a static one.
        instance: Option<InstanceId>,
        /// The address.
        address: IpAddr,
    },
    /// A check has changed: it failed or succeeded often enough, or a file's number is another.
    Check {
        /// Which.
        check: CheckId,
        /// What it said before.
        from: Condition,
        /// What it says now.
        to: Condition,
    },
    /// What an instance tracks changed its effective priority.
    Priority {
        /// Which.
        instance: InstanceId,
        /// Before.
        from: u8,
        /// Now.
        to: u8,
    },
    /// An instance stays aside because it was told to, or does so no longer.
    Yielded {
        /// Which.
        instance: InstanceId,
        /// Until when; `None` when that is over.
        until: Option<Instant>,
    },
    /// An address vanished while it should be there, and is put back.
    AddressRestored {
        /// Which; `None` for a static one.
        instance: Option<InstanceId>,
        /// The address.
        address: IpAddr,
    },
    /// There was such a route before us: left as it is, never removed.
    ForeignRoute {
        /// Whose; `None` for a static one.
        instance: Option<InstanceId>,
        /// Which.
        route: RouteId,
    },
    /// The virtual MAC address cannot be had.
    NoVmac {
        /// Whose.
        instance: InstanceId,
        /// Why.
        why: VmacError,
    },
    /// A route vanished while it should be there, and was put back.
    RouteRestored {
        /// Whose; `None` for a static one.
        instance: Option<InstanceId>,
        /// Which.
        route: RouteId,
    },
}

/// What the driver is to do, at once and in order.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Send an advert: protocol 112, TTL or hop limit 255, TOS or traffic class 0xC0.
    SendAdvert {
        /// Whose.
        instance: InstanceId,
        /// On this interface.
        ifindex: u32,
        /// The virtual router's MAC address, if it leaves with that and not with the interface's own.
        mac: Option<[u8; 6]>,
        /// Our address.
        source: IpAddr,
        /// The group, or a peer.
        destination: IpAddr,
        /// The VRRP message, checksum included.
        payload: &'a [u8],
    },
    /// Make the macvlan of an instance with a virtual MAC address, and leave it down: a Backup sends no
    /// frame with it. [`vmac_spec`](super::Router::vmac_spec) tells what it is like, and
    /// [`Event::Vmac`] what came of it.
    AddVmac(InstanceId),
    /// Set a macvlan of ours up or down.
    SetVmac {
        /// The macvlan.
        ifindex: u32,
        /// The interface beneath, which if it is a bridge is to know that the address is its own.
        parent: u32,
        /// The virtual MAC address.
        mac: [u8; 6],
        /// Up, or down.
        up: bool,
    },
    /// Remove a macvlan of ours.
    RemoveVmac {
        /// The macvlan.
        ifindex: u32,
    },
    /// Put a virtual address on an interface.
    AddAddress(AddressSpec<'a>),
    /// Take a virtual address off an interface.
    RemoveAddress(AddressSpec<'a>),
    /// Add a route. Refused where an equal one is there, see [`Event::RouteExists`].
    AddRoute(RouteSpec),
    /// Add a route of ours if it is gone; that it is there is no matter.
    KeepRoute(RouteSpec),
    /// Remove a route of ours, and no other.
    RemoveRoute(RouteSpec),
    /// One gratuitous ARP request, or one unsolicited neighbour advertisement (RFC 9568 §6.4.1).
    Announce {
        /// On this interface.
        ifindex: u32,
        /// With this link-layer address.
        mac: [u8; 6],
        /// For this address.
        ip: IpAddr,
    },
    /// What is to be heard on this interface changed: compare sockets, groups and filter with
    /// [`listeners`](super::Router::listeners).
    Rebind {
        /// The interface; its sockets may have to be opened, changed or closed.
        ifindex: u32,
        /// The family.
        family: Family,
        /// Tell the switches of the groups again.
        afresh: bool,
    },
    /// An instance changed its state: log it and tell whoever wants to know.
    Changed(Transition),
    /// A sync group changed its state; its members' changes have been told before.
    GroupChanged(GroupTransition),
    /// Something worth a line in the log.
    Report(Report),
}

/// Takes the actions of one step.
pub trait Actions {
    /// Carries out `action`.
    fn act(&mut self, action: Action<'_>);
}

impl<F: FnMut(Action<'_>)> Actions for F {
    fn act(&mut self, action: Action<'_>) {
        self(action)
    }
}
