//! Virtual MAC addresses on both sides: keepalived's `use_vmac` and FRR's macvlans hear us and are heard,
//! and hosts find one MAC address whoever leads.

use std::net::IpAddr;
use std::time::Instant;

use crate::support::frr::{self, Frr};
use crate::support::keepalived::{self, Instance};
use crate::support::picovrrp::{lan, lan6};
use crate::support::process::Process;
use crate::support::{Lab, Node, Picovrrp, Pinger, SOON, V3, VIP4, VIP6, wait_until};

/// Who is on the other side, and over which protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Theirs {
    Keepalived4,
    /// Its adverts have the interface's own MAC address.
    Keepalived4Base,
    Keepalived6,
    Frr4,
    Frr6,
}

enum Peer {
    Keepalived(Process),
    Frr(Frr),
}

impl Theirs {
    fn is_v4(self) -> bool {
        !matches!(self, Theirs::Keepalived6 | Theirs::Frr6)
    }

    fn vip(self) -> IpAddr {
        if self.is_v4() { VIP4 } else { VIP6 }
    }

    fn ours(self, priority: u8) -> String {
        // Such a keepalived hears no adverts with the virtual MAC address: its own macvlan takes them.
        let base = if self == Theirs::Keepalived4Base { " vmac-base on" } else { "" };
        let properties = format!("version 3 advert 20cs priority {priority} vmac{base}");
        if self.is_v4() { lan(&format!("{properties} checksum pseudo")) } else { lan6(&properties) }
    }

    fn start(self, node: &Node, priority: u8) -> Peer {
        // What both want to be told by hand: or else the interface beneath answers with its own address.
        node.ns().sysctl("net/ipv4/conf/eth0/arp_ignore", "1");
        node.ns().sysctl("net/ipv4/conf/eth0/arp_announce", "2");
        match self {
            Theirs::Frr4 => Peer::Frr(frr::start(node, frr::Family::Ipv4, priority, 200)),
            Theirs::Frr6 => Peer::Frr(frr::start(node, frr::Family::Ipv6, priority, 200)),
            Theirs::Keepalived6 => {
                Peer::Keepalived(keepalived::start(node, &Instance::lan6(priority, "0.2").with("use_vmac")))
            }
            _ => {
                let more = if self == Theirs::Keepalived4 { "use_vmac" } else { "use_vmac\nvmac_xmit_base" };
                Peer::Keepalived(keepalived::start(node, &Instance::lan(3, priority, "0.2").with(more)))
            }
        }
    }

    /// The client, which asks anew, finds the virtual MAC address.
    #[track_caller]
    fn found(self, client: &Node) {
        client.ns().ip("neigh flush all");
        Pinger::start(client.ns(), self.vip()).wait_answer(Instant::now(), SOON);
        let text = client.ns().ip(&format!("neigh show {}", self.vip()));
        assert!(text.contains(if self.is_v4() { "00:00:5e:00:01:33" } else { "00:00:5e:00:02:33" }), "{text}");
    }

    /// They lead, vanish, and come back.
    fn leads(self) {
        let (lab, a, b, client) = Lab::trio();
        let start = Instant::now();
        let _theirs = self.start(&b, 150);
        lab.wire().wait("an advert of theirs", start, SOON, |s| s.is_claim_of("b"));
        let mut ours = Picovrrp::start_until(&a, &self.ours(100), "BACKUP");
        lab.wire().wait_many("their adverts", 8, Instant::now(), SOON, |s| s.is_claim_of("b"));
        self.found(&client);
        assert_eq!(lab.wire().virtual_frames("a", start).len(), 0, "a Backup sends nothing");
        b.vanish();
        ours.wait_state("MASTER", SOON);
        self.found(&client);
        // Both lead now, each with its macvlan up: the lower one hears the other.
        b.reappear();
        ours.wait_state("BACKUP", SOON);
        let back = Instant::now();
        lab.wire().wait_many("their adverts", 8, back, SOON, |s| s.is_claim_of("b"));
        assert_eq!(lab.wire().virtual_frames("a", back).len(), 0, "a Backup sends nothing");
    }

    /// We lead, vanish, and come back.
    fn follows(self) {
        let (lab, a, b, client) = Lab::trio();
        let mut ours = Picovrrp::start_until(&a, &self.ours(150), "MASTER");
        let start = Instant::now();
        let theirs = self.start(&b, 100);
        wait_until("they are Backup", SOON, || match &theirs {
            Peer::Keepalived(process) => process.log().contains("Entering BACKUP STATE"),
            Peer::Frr(frr) => frr.vrrpd.log().contains("Backup"),
        });
        lab.wire().wait_many("our adverts", 10, Instant::now(), SOON, |s| s.is_claim_of("a"));
        assert_eq!(lab.wire().count(start, |s| s.is_claim_of("b")), 0, "they accept our adverts");
        self.found(&client);
        let cut = Instant::now();
        a.vanish();
        lab.wire().wait("an advert of theirs", cut, SOON, |s| s.is_claim_of("b"));
        self.found(&client);
        let back = Instant::now();
        a.reappear();
        wait_until("they yield", SOON, || {
            let last = |node| lab.wire().last(|s| s.is_claim_of(node)).map(|s| s.at);
            last("b").is_none_or(|b| b < back || last("a").is_some_and(|a| a > b + V3.interval * 3))
        });
        ours.wait_state("MASTER", SOON);
        self.found(&client);
    }
}

#[test]
fn keepalived_leads() {
    Theirs::Keepalived4.leads();
}

#[test]
fn keepalived_leads_from_its_base_interface() {
    Theirs::Keepalived4Base.leads();
}

#[test]
fn keepalived_leads_ipv6() {
    Theirs::Keepalived6.leads();
}

#[test]
fn frr_leads() {
    Theirs::Frr4.leads();
}

#[test]
fn frr_leads_ipv6() {
    Theirs::Frr6.leads();
}

#[test]
fn keepalived_follows() {
    Theirs::Keepalived4.follows();
}

#[test]
fn keepalived_follows_from_its_base_interface() {
    Theirs::Keepalived4Base.follows();
}

#[test]
fn keepalived_follows_ipv6() {
    Theirs::Keepalived6.follows();
}

#[test]
fn frr_follows() {
    Theirs::Frr4.follows();
}

#[test]
fn frr_follows_ipv6() {
    Theirs::Frr6.follows();
}
