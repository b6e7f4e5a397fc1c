//! Counters and last events under the names of RFC 8347 (YANG for VRRP).

use serde::{Deserialize, Serialize};

/// `new-master-reason` of RFC 8347.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// `not-master`: this router has not been Active.
    #[default]
    NotMaster,
    /// `priority`: the address owner, Active at start.
    Priority,
    /// `preempted`: it took over from a router of lower priority.
    Preempted,
    /// `no-response`: the Active router fell silent or left.
    NoResponse,
}

impl Reason {
    /// The name in RFC 8347.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::NotMaster => "not-master",
            Reason::Priority => "priority",
            Reason::Preempted => "preempted",
            Reason::NoResponse => "no-response",
        }
    }
}

/// Counters of a whole router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalStats {
    /// Wrong VRRP checksum.
    pub checksum_errors: u64,
    /// Unknown or unexpected version.
    pub version_errors: u64,
    /// VRID that is not ours.
    pub vrid_errors: u64,
    /// TTL or hop limit not 255 (or outside a peer's range).
    pub ip_ttl_errors: u64,
    /// Too short to name a VRID.
    pub packet_length_errors: u64,
}

/// Counters of one instance. The first block is RFC 8347's, the second ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStats {
    /// Transitions to Active.
    pub master_transitions: u64,
    /// Adverts received and processed.
    pub advertisement_rcvd: u64,
    /// Adverts sent.
    pub advertisement_sent: u64,
    /// Adverts with another interval than ours.
    pub interval_errors: u64,
    /// Adverts with priority 0 received.
    pub priority_zero_pkts_rcvd: u64,
    /// Adverts with priority 0 sent.
    pub priority_zero_pkts_sent: u64,
    /// Packets that are no ADVERTISEMENT.
    pub invalid_type_pkts_rcvd: u64,
    /// Adverts with another address list than ours.
    pub address_list_errors: u64,
    /// Packets cut short, or whose count does not fit.
    pub packet_length_errors: u64,

    /// Version 2: authentication type that is none of RFC 2338's.
    pub auth_invalid_type: u64,
    /// Version 2: authentication type other than ours.
    pub auth_type_mismatch: u64,
    /// Version 2: wrong password.
    pub auth_failure: u64,
    /// Own adverts that came back.
    pub reflected: u64,
    /// Unicast: senders that are no peer.
    pub unknown_peer: u64,
    /// Bytes behind the message.
    pub trailing_bytes: u64,
    /// v3 IPv4 adverts whose checksum covers the message alone.
    pub checksum_plain_rcvd: u64,
    /// v3 IPv4 adverts whose checksum covers the pseudo-header too.
    pub checksum_pseudo_rcvd: u64,
    /// Adverts sent at once against a losing Active.
    pub assertions_sent: u64,
}

/// `last-event` of RFC 8347, in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LastEvent {
    /// Nothing yet.
    #[default]
    None,
    /// Started.
    Startup,
    /// Stopped.
    Shutdown,
    /// A higher (or equal, with a higher address) advert was heard as Active.
    HigherPriority,
    /// Active_Down_Timer ran out.
    ActiveTimeout,
    /// The interface came up or got its address.
    InterfaceUp,
    /// The interface went down or away.
    InterfaceDown,
    /// The interface has no address to send from.
    NoPrimaryAddress,
    /// An owner became Active at once.
    OwnerStartup,
    /// The Active router said that it leaves (priority 0).
    PriorityZero,
    /// A losing Active was heard and outlasted.
    ConflictSurvived,
}

impl LastEvent {
    /// The words in status.
    pub const fn name(self) -> &'static str {
        match self {
            LastEvent::None => "none",
            LastEvent::Startup => "startup",
            LastEvent::Shutdown => "shutdown",
            LastEvent::HigherPriority => "higher-priority-backup",
            LastEvent::ActiveTimeout => "master-timeout",
            LastEvent::InterfaceUp => "interface-up",
            LastEvent::InterfaceDown => "interface-down",
            LastEvent::NoPrimaryAddress => "no-primary-ip-address",
            LastEvent::OwnerStartup => "owner-preempt",
            LastEvent::PriorityZero => "priority-zero",
            LastEvent::ConflictSurvived => "lower-priority-master",
        }
    }
}
