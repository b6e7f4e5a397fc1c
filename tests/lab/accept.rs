//! `accept off`: the Active forwards for hosts and answers who asks where it is, but takes nothing for
//! itself.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::support::{Flavour, Node, Picovrrp, Pinger, SOON, Two, V3, V3_IPV6, ms, observe};

fn rules(node: &Node) -> String {
    String::from_utf8_lossy(&node.ns().output("nft", &["list", "ruleset"]).stdout).into_owned()
}

/// Pings for a while; whether any was answered.
fn answers(client: &Node, ip: IpAddr) -> bool {
    let pinger = Pinger::start(client.ns(), ip);
    observe(ms(500));
    pinger.stop().pings.iter().any(|p| p.answered.is_some())
}

fn off(flavour: Flavour, vmac: &str) {
    let mut t = Two::start(flavour, &format!("accept off {vmac}"), &format!("accept off {vmac}"));
    let (behind, via) = if flavour.vip.is_ipv4() { ("198.51.100.1", "") } else { ("2001:db8:5::1", "-6 ") };
    let length = if flavour.vip.is_ipv4() { 32 } else { 128 };
    t.a.ns().ip(&format!("addr add {behind}/{length} dev lo"));
    t.client.ns().ip(&format!("{via}route add {behind}/{length} via {}", flavour.vip));
    let behind: IpAddr = behind.parse().expect("an address");
    Pinger::start(t.client.ns(), behind).wait_answer(Instant::now(), SOON);
    assert!(!answers(&t.client, flavour.vip), "it takes nothing for itself:\n{}", rules(&t.a));
    assert!(rules(&t.b).contains("table inet picovrrp"), "a Backup is ready before it is needed");
    // Others' rules stay as they are.
    t.a.ns().output("nft", &["add table inet theirs"]);
    t.one.process.kill();
    assert!(rules(&t.a).contains("picovrrp"));
    t.one = Picovrrp::start_until(&t.a, &flavour.config(&format!("priority 150 accept off {vmac}")), "MASTER");
    assert!(!answers(&t.client, flavour.vip));
    t.one.write_config(&flavour.config(&format!("priority 150 {vmac}")));
    t.one.process.signal(crate::support::process::Signal::HUP);
    Pinger::start(t.client.ns(), flavour.vip).wait_answer(Instant::now(), SOON);
    assert_eq!(rules(&t.a).split_whitespace().collect::<Vec<_>>(), ["table", "inet", "theirs", "{", "}"]);
    t.two.terminate();
    assert!(t.two.process.wait_exit(Duration::from_secs(10)).success());
    assert_eq!(rules(&t.b), "", "it goes with the daemon");
}

#[test]
fn it_forwards_and_takes_nothing() {
    off(V3, "");
}

#[test]
fn it_forwards_and_takes_nothing_with_a_virtual_mac() {
    off(V3, "vmac");
}

#[test]
fn it_forwards_and_takes_nothing_ipv6() {
    off(V3_IPV6, "");
}

#[test]
fn it_forwards_and_takes_nothing_with_a_virtual_mac_ipv6() {
    off(V3_IPV6, "vmac");
}

#[test]
fn what_a_killed_daemon_left_goes_though_it_is_not_wanted_any_more() {
    let mut t = Two::start(V3, "accept off", "");
    t.one.process.kill();
    t.one = Picovrrp::start_until(&t.a, &V3.config("priority 150"), "MASTER");
    assert_eq!(rules(&t.a), "");
    Pinger::start(t.client.ns(), V3.vip).wait_answer(Instant::now(), SOON);
}

#[test]
fn an_owner_accepts_whatever_it_says() {
    let t = Two::start_with(V3, "priority 255 accept off", "priority 100 accept off");
    assert_eq!(rules(&t.a), "");
    Pinger::start(t.client.ns(), V3.vip).wait_answer(Instant::now(), SOON);
}
