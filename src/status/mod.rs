//! What `status` prints: a table for people, JSON for programs. Both are written as the frames come,
//! so that the command's memory does not grow with the number of instances. What programs written for
//! others expect, keepalived's JSON and Prometheus's text, has another order: its frames are kept.
//!
//! The shapes are stable: keys and metrics may be added, none is renamed (docs/status.md).

use crate::control::Reply;
use crate::text::{Text, Written};
use crate::vrrp::stats::InstanceStats;

mod frames;
mod json;
mod keepalived;
mod prometheus;
mod table;
#[cfg(test)]
mod tests;
mod watch;

pub use frames::Frames;
pub use json::Json;
pub use keepalived::keepalived;
pub use prometheus::prometheus;
pub use table::Table;
pub use watch::{happening, happening_json};

/// Turns the frames of a status into text.
pub trait Render {
    /// One frame; [`Reply::End`] closes the text.
    fn frame(&mut self, reply: &Reply<'_>, t: &mut Text<'_>) -> Written;
    /// Whether an instance, a group or a check was shown.
    fn any(&self) -> bool;
}

/// Whether something called `name` is to be shown.
fn wanted(only: Option<&str>, name: &str) -> bool {
    only.is_none_or(|only| only == name)
}

/// The counters under RFC 8347's names with underscores, then ours.
fn counters(s: &InstanceStats) -> [(&'static str, u64); 18] {
    [
        ("master_transitions", s.master_transitions),
        ("advertisement_rcvd", s.advertisement_rcvd),
        ("advertisement_sent", s.advertisement_sent),
        ("interval_errors", s.interval_errors),
        ("priority_zero_pkts_rcvd", s.priority_zero_pkts_rcvd),
        ("priority_zero_pkts_sent", s.priority_zero_pkts_sent),
        ("invalid_type_pkts_rcvd", s.invalid_type_pkts_rcvd),
        ("address_list_errors", s.address_list_errors),
        ("packet_length_errors", s.packet_length_errors),
        ("auth_invalid_type", s.auth_invalid_type),
        ("auth_type_mismatch", s.auth_type_mismatch),
        ("auth_failure", s.auth_failure),
        ("reflected", s.reflected),
        ("unknown_peer", s.unknown_peer),
        ("trailing_bytes", s.trailing_bytes),
        ("checksum_plain_rcvd", s.checksum_plain_rcvd),
        ("checksum_pseudo_rcvd", s.checksum_pseudo_rcvd),
        ("assertions_sent", s.assertions_sent),
    ]
}
