//! Many addresses, many instances.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use crate::support::roomy::roomy_build;
use crate::support::{Lab, Picovrrp, Pinger, SOON, wait_until};

#[test]
fn twenty_addresses_on_one_instance() {
    let addresses: Vec<IpAddr> = (1..=20).map(|n| Ipv4Addr::new(192, 0, 2, 200 + n).into()).collect();
    let config = |priority: u8| {
        let mut text = format!("instance lan on eth0 vrid 51 version 3 advert 20cs priority {priority}\n");
        addresses.iter().for_each(|a| writeln!(text, "  address {a}/24").expect("a String takes all"));
        text
    };
    let (lab, a, b, client) = Lab::trio();
    let start = Instant::now();
    let _one = Picovrrp::start_until(&a, &config(150), "MASTER");
    let mut two = Picovrrp::start_until(&b, &config(100), "BACKUP");
    let first = lab.wire().wait("an advert of a", start, SOON, |s| s.is_claim_of("a"));
    assert_eq!(first.advert().map(|a| a.addresses.clone()), Some(addresses.clone()), "in the configured order");
    for (node, active) in [(&a, true), (&b, false)] {
        wait_until("all addresses are where they belong", SOON, || {
            let there = node.addresses();
            addresses.iter().all(|address| there.contains(address) == active)
        });
    }
    for address in &addresses {
        lab.wire().wait("an announcement of each", start, SOON, |s| s.is_announcement_of("a", *address));
    }
    a.vanish();
    two.wait_state("MASTER", SOON);
    wait_until("b has them all", SOON, || addresses.iter().all(|address| b.addresses().contains(address)));
    for address in [addresses[0], addresses[19]] {
        Pinger::start(client.ns(), address).wait_answer(Instant::now(), SOON);
    }
}

fn vip(vrid: u8) -> IpAddr {
    Ipv4Addr::new(198, 51, 100, vrid).into()
}

#[test]
fn two_hundred_and_fifty_five_instances_in_one_process() {
    let binary = roomy_build();
    let config = |priority: u8| {
        let mut text = format!("defaults version 3 advert 1s priority {priority}\n");
        for vrid in 1..=255u8 {
            writeln!(text, "instance i{vrid} on eth0 vrid {vrid}\n  address {}/32", vip(vrid))
                .expect("a String takes all");
        }
        text
    };
    let all: BTreeSet<u8> = (1..=255).collect();
    let (lab, a, b, _client) = Lab::trio();
    let claimed = |node: &str, since: Instant| -> BTreeSet<u8> {
        let seen = lab.wire().since(since);
        seen.iter().filter(|s| s.is_claim_of(node)).filter_map(|s| s.advert().map(|a| a.vrid)).collect()
    };
    let long = Duration::from_secs(30);
    let mut one = Picovrrp::start_binary(binary.clone(), &a, &config(150));
    one.wait_state("MASTER", long);
    let count = |daemon: &Picovrrp| daemon.status().and_then(|s| s["instances"].as_array().map(Vec::len));
    assert_eq!(count(&one), Some(255));
    assert_eq!(one.threads(), 1);
    wait_until("a has every address", long, || {
        let there: BTreeSet<_> = a.addresses().into_iter().collect();
        all.iter().all(|vrid| there.contains(&vip(*vrid)))
    });

    let start = Instant::now();
    let mut two = Picovrrp::start_binary(binary, &b, &config(100));
    two.wait_state("BACKUP", long);
    wait_until("a advertises them all, four times over", long, || {
        lab.wire().count(start, |s| s.is_claim_of("a")) > 4 * 255
    });
    assert_eq!(claimed("a", start), all);
    assert_eq!(claimed("b", start), BTreeSet::new(), "b hears every one of them");

    let cut = Instant::now();
    a.vanish();
    wait_until("b advertises them all", long, || claimed("b", cut) == all);
    two.wait_state("MASTER", long);
    wait_until("b has every address", long, || {
        let there: BTreeSet<_> = b.addresses().into_iter().collect();
        all.iter().all(|vrid| there.contains(&vip(*vrid)))
    });
}
