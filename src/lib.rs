//! picovrrp: VRRP for small routers. This is the map of the crate.
//!
//! - [`vrrp`]: the protocol, sans-IO: packets, timing, election, counters. Depends on nothing else here.
//! - [`config`]: what the router is told: the model with its limits, and the languages that fill it.
//! - [`check`]: probes of the network and of this machine that need no fork.
//! - [`router`]: the instance table: `handle(event, now)` yields actions, `next_deadline()` says when to come back.
//! - [`daemon`]: the loop: it carries what the system tells to the router, and its actions to the system.
//! - [`check`], [`notify`], [`command`]: the world as programs see it: scripts that check, hooks that are told.
//! - [`control`], [`status`]: what daemon and commands say to each other, and how it is shown.
//! - [`table`]: lists with a limit, whose memory follows what is in them.
//! - [`text`]: rendering without `core::fmt`: addresses, durations, a writer for ufmt.
//! - [`sys`]: Linux: reactor, sockets, netlink, ARP and NA, signals, syslog. The only unsafe code.

extern crate alloc;

pub mod check;
pub mod command;
pub mod config;
pub mod control;
pub mod daemon;
pub mod notify;
pub mod router;
pub mod status;
pub mod sys;
pub mod table;
pub mod text;
pub mod vrrp;
