//! Systems as people build them on VRRP, whole and with real programs: a router's resolver, its BGP
//! daemon, the mail to its owner.
//!
//! One test: `cargo test --test scenarios NAME`. They need root, mostly wait, and run well four at a time.

#[path = "../support/mod.rs"]
mod support;

mod bgp;
mod dns;
mod mail;
