//! Two routers that run picovrrp, and a client.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::lab::{Lab, Node, VIP4, VIP6};
use super::picovrrp::{Picovrrp, lan, lan6};

/// A way to run VRRP, for tests that hold in all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flavour {
    /// `version … advert …`.
    pub(crate) properties: &'static str,
    pub(crate) interval: Duration,
    pub(crate) version: u8,
    pub(crate) vip: IpAddr,
}

/// Version 2, whose shortest interval is a second.
pub(crate) const V2: Flavour =
    Flavour { properties: "version 2 advert 1s", interval: Duration::from_secs(1), version: 2, vip: VIP4 };
/// Version 3 over IPv4, fast, but not so fast that a busy machine looks like a dead router.
pub(crate) const V3: Flavour =
    Flavour { properties: "version 3 advert 20cs", interval: Duration::from_millis(200), version: 3, vip: VIP4 };
/// Version 3 over IPv6.
pub(crate) const V3_IPV6: Flavour = Flavour { vip: VIP6, ..V3 };

impl Flavour {
    /// A configuration with one instance of this flavour.
    pub(crate) fn config(&self, properties: &str) -> String {
        let all = format!("{} {properties}", self.properties);
        if self.vip.is_ipv4() { lan(&all) } else { lan6(&all) }
    }

    /// RFC 9568 §6.1 and RFC 3768 §6.1.
    pub(crate) fn skew_time(&self, priority: u32) -> Duration {
        let unit = if self.version == 2 { Duration::from_secs(1) } else { self.interval };
        unit * (256 - priority) / 256
    }

    /// Three intervals and the skew time.
    pub(crate) fn active_down_interval(&self, priority: u32) -> Duration {
        self.interval * 3 + self.skew_time(priority)
    }
}

/// a is Active and b is Backup. The daemons end before the lab does.
pub(crate) struct Two {
    pub(crate) one: Picovrrp,
    pub(crate) two: Picovrrp,
    pub(crate) a: Node,
    pub(crate) b: Node,
    pub(crate) client: Node,
    pub(crate) lab: Lab,
    pub(crate) flavour: Flavour,
}

impl Two {
    /// a with priority 150, b with 100, each with further properties.
    #[track_caller]
    pub(crate) fn start(flavour: Flavour, on_a: &str, on_b: &str) -> Self {
        Self::start_with(flavour, &format!("priority 150 {on_a}"), &format!("priority 100 {on_b}"))
    }

    /// a becomes Active, then b starts and becomes Backup.
    #[track_caller]
    pub(crate) fn start_with(flavour: Flavour, on_a: &str, on_b: &str) -> Self {
        let (lab, a, b, client) = Lab::trio();
        let one = Picovrrp::start_until(&a, &flavour.config(on_a), "MASTER");
        let start = Instant::now();
        let two = Picovrrp::start_until(&b, &flavour.config(on_b), "BACKUP");
        // b knows a only from a's advert.
        lab.wire().wait("an advert of a", start, Duration::from_secs(20), |s| s.is_claim_of("a"));
        Two { one, two, a, b, client, lab, flavour }
    }

    /// Waits until exactly one of the two is Active; its name.
    #[track_caller]
    pub(crate) fn sole_active(&self) -> &str {
        self.lab.wait_sole_active(&[&self.a, &self.b], self.flavour.vip, Duration::from_secs(20)).name()
    }
}
