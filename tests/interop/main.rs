//! picovrrp beside keepalived and FRR, and before tshark as the judge of its packets.
//!
//! One test: `cargo test --test interop NAME`. Needs root, keepalived, frr and tshark.

#[path = "../support/mod.rs"]
mod support;

mod frr;
mod groups;
mod import;
mod keepalived;
mod packets;
mod unicast;
mod vmac;
