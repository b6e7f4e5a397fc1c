//! Whole systems as people build them around a virtual address, with the real programs: each file
//! is one such system, on two or more routers in network namespaces.
//!
//! One test: `cargo test --test scenarios NAME`. They need root and the programs that each file
//! names, mostly wait, and run well four at a time.

#[path = "../support/mod.rs"]
mod support;

mod apache;
mod bgp;
mod dns;
mod guide;
mod http;
mod kit;
mod mail;
mod nginx;
mod originals;
mod postgres;
mod trigger;
mod vpn;
mod web;
