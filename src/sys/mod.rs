//! Linux. The only unsafe code of the crate.
//!
//! - [`clock`]: the monotonic clock; nobody else reads one.
//! - [`reactor`], [`tasks`], [`context`]: epoll, waits with a deadline, and what tasks on an executor need of it.
//! - [`vrrp_socket`], [`filter`]: raw sockets of protocol 112, and their kernel filter.
//! - [`outbox`]: messages that leave together.
//! - [`netlink`]: links and addresses: requests, and a socket that tells of changes.
//! - [`proc_events`]: programs that begin, end, or take another name.
//! - [`echo`]: raw sockets for ICMP echo.
//! - [`neighbour`]: gratuitous ARP and unsolicited neighbour advertisements.
//! - [`process`], [`script_security`]: programs run safely, and only if they are safe.
//! - [`heap`], [`memory`]: the program's heap, and what is given back when it is not needed again.
//! - [`handover`]: descriptors and bytes that outlive this program in its process.
//! - [`signal`], [`syslog`], [`files`], [`privilege`], [`control_socket`]: the rest of a daemon's life.
//!
//! Where a call is rustix's, there is no unsafe code; the rest goes through the libc crate, each
//! place with its reason. Nothing here allocates once it is open.

pub mod clock;
pub mod context;
pub mod control_socket;
pub mod echo;
pub mod files;
pub mod filter;
pub mod handover;
pub mod heap;
pub mod memory;
pub mod neighbour;
pub mod netlink;
pub mod outbox;
pub mod privilege;
pub mod proc_events;
pub mod process;
pub mod reactor;
pub mod script_security;
pub mod signal;
mod sockopt;
pub mod sysctl;
pub mod syslog;
pub mod tasks;
#[cfg(test)]
pub(crate) mod testnet;
pub mod vrrp_socket;
