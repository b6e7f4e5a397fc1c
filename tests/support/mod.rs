//! What the lab, the interop tests, the demo and the benchmark stand on: routers in network
//! namespaces around a bridge, watched on the wire.
//!
//! - [`lab`]: a bridge, routers and clients; cables that are pulled, ports that leave the bridge.
//! - [`wire`]: every advert, ARP and neighbour advertisement that entered the bridge, with the
//!   kernel's time stamp and the router whose port it came through.
//! - [`packet`]: VRRP as these tests read and forge it, written apart from the product's own.
//! - [`pinger`]: a client that pings every 10 ms and knows its longest silence.
//! - [`process`]: a daemon in a namespace; [`picovrrp`], [`keepalived`] and [`frr`] are such.
//! - [`roomy`]: the release build with room for 255 instances.
//! - [`script`]: what the daemon is to run, written by the test.
//! - [`two`]: two routers with picovrrp and a client, where most tests begin.

#![allow(dead_code, reason = "each of the programs that share this module uses a part of it")]
#![allow(unused_imports, reason = "each of the programs that share this module uses a part of it")]

pub(crate) mod frr;
pub(crate) mod keepalived;
pub(crate) mod lab;
pub(crate) mod netns;
pub(crate) mod packet;
pub(crate) mod picovrrp;
pub(crate) mod pinger;
pub(crate) mod process;
pub(crate) mod roomy;
pub(crate) mod script;
pub(crate) mod socket;
pub(crate) mod tshark;
pub(crate) mod two;
pub(crate) mod wire;

pub(crate) use lab::{CLIENT4, Lab, Node, VIP4, VIP6, VIP6_LINK};
pub(crate) use picovrrp::Picovrrp;
pub(crate) use pinger::Pinger;
pub(crate) use two::{Flavour, Two, V2, V3, V3_IPV6};
pub(crate) use wire::{Sighting, Virtual};

use std::time::{Duration, Instant};

/// How long anything that should happen soon may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Milliseconds, for short lines in tests.
pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Waits until `condition` yields something; panics with `what` when `timeout` has passed.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, timeout: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {timeout:?} in vain: {what}");
        std::thread::sleep(ms(20));
    }
}

/// Waits until `condition` holds; panics with `what` when `timeout` has passed.
#[track_caller]
pub(crate) fn wait_until(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, timeout, || condition().then_some(()));
}

/// Lets a while go by in which something must not happen. Only for windows of observation: where
/// an event can be awaited, it is awaited.
pub(crate) fn observe(window: Duration) {
    std::thread::sleep(window);
}
