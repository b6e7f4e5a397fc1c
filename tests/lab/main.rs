//! The real binary on a real kernel: routers and clients in network namespaces around a bridge.
//!
//! One test: `cargo test --test lab NAME`. They need root, mostly wait, and run well six at a time.

#[path = "../support/mod.rs"]
mod support;

mod accept;
mod checks;
mod election;
mod failover;
mod groups;
mod hooks;
mod hostile;
mod links;
mod many;
mod notify;
mod reload;
mod restart;
mod routes;
mod service;
mod stalls;
mod start;
mod stress;
mod supervised;
mod takeover;
mod tracking;
mod upgrade;
mod versions;
mod vmac;
mod watch;
mod yields;
