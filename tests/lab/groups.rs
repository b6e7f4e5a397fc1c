//! Sync groups on a real kernel: two networks, two routers, and all members move together.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Instant;

use crate::support::lab::{Lab, Node, VIP4};
use crate::support::picovrrp::Picovrrp;
use crate::support::pinger::Pinger;
use crate::support::script::script;
use crate::support::{SOON, ms, observe, wait_until};

const WAN: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 254));
const FAST: &str = "version 3 advert 20cs";

/// Routers a and b, each on `eth0` and on a second network, with an instance on either.
struct Grouped {
    one: Picovrrp,
    two: Picovrrp,
    a: Node,
    b: Node,
    client: Node,
    lab: Lab,
}

fn told(lab: &Lab, node: &str) -> PathBuf {
    lab.dir().join(format!("told-{node}"))
}

fn config(lab: &Lab, node: &str, priority: u8, more: &str) -> String {
    let body = format!("echo \"$@\" >> {}", told(lab, node).display());
    let note = script(&lab.dir().join("hooks"), &format!("note-{node}"), &body);
    let note = note.display();
    format!(
        "defaults {FAST} priority {priority}\n\
         instance lan on eth0 vrid 51\n  address 192.0.2.254/24\n  notify {note}\n\
         instance wan on eth1 vrid 52\n  address 198.51.100.254/24\n  notify {note}\n\
         group gateway lan wan\n  notify {note}\n{more}"
    )
}

impl Grouped {
    #[track_caller]
    fn start(more: &str) -> Self {
        let (lab, a, b, client) = Lab::trio();
        for (node, n) in [(&a, 1), (&b, 2)] {
            node.create_link("eth1", &format!("wan-{}", node.name()));
            node.ns().ip(&format!("addr add 198.51.100.{n}/24 dev eth1"));
        }
        let one = Picovrrp::start_until(&a, &config(&lab, "a", 150, more), "MASTER");
        let two = Picovrrp::start_until(&b, &config(&lab, "b", 100, more), "BACKUP");
        let g = Grouped { one, two, a, b, client, lab };
        g.group_is(&g.one, "MASTER");
        g.group_is(&g.two, "BACKUP");
        g
    }

    #[track_caller]
    fn group_is(&self, daemon: &Picovrrp, state: &str) {
        wait_until(&format!("the group is {state}"), SOON, || {
            daemon.status().is_some_and(|s| s["groups"][0]["state"] == state)
        });
    }

    fn told(&self, node: &str) -> Vec<String> {
        fs::read_to_string(told(&self.lab, node)).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

#[test]
fn one_interface_down_faults_the_group_and_the_other_router_has_both() {
    let mut g = Grouped::start("");
    // The members' hooks run side by side, the group's behind them.
    wait_until("all hooks have run", SOON, || g.told("a").len() == 6);
    let mut told = g.told("a");
    told[..2].sort();
    told[3..5].sort();
    assert_eq!(
        told,
        [
            "INSTANCE lan BACKUP 150",
            "INSTANCE wan BACKUP 150",
            "GROUP gateway BACKUP 0",
            "INSTANCE lan MASTER 150",
            "INSTANCE wan MASTER 150",
            "GROUP gateway MASTER 0"
        ]
    );
    let pinger = Pinger::start(g.client.ns(), VIP4);
    pinger.wait_answer(Instant::now(), SOON);
    g.a.ns().ip("link set eth1 down");
    g.two.wait_state("MASTER", SOON);
    g.one.wait_state("FAULT", SOON);
    g.group_is(&g.one, "FAULT");
    g.group_is(&g.two, "MASTER");
    assert!(g.b.has(VIP4) && g.b.has(WAN) && !g.a.has(VIP4) && !g.a.has(WAN));
    pinger.wait_answer(Instant::now(), SOON);
    wait_until("the group's hook has run", SOON, || g.told("a").last().is_some_and(|l| l == "GROUP gateway FAULT 0"));
    g.a.ns().ip("link set eth1 up");
    g.one.wait_state("MASTER", SOON);
    g.two.wait_state("BACKUP", SOON);
    g.group_is(&g.one, "MASTER");
    g.group_is(&g.two, "BACKUP");
    assert!(g.a.has(VIP4) && g.a.has(WAN));
}

#[test]
fn a_check_of_one_member_counts_for_all() {
    let mut g = Grouped::start("");
    let trigger = g.lab.dir().join("trigger");
    fs::write(&trigger, "0").expect("written");
    let text = config(&g.lab, "a", 150, "")
        .replace("instance lan", &format!("check trigger file {}\ninstance lan", trigger.display()));
    g.one.write_config(&text.replacen("  address", "  track trigger\n  address", 1));
    assert!(g.one.command(&["reload"]).status.success());
    observe(ms(300));
    assert_eq!(g.one.state().as_deref(), Some("MASTER"), "a reload moves nothing");
    fs::write(&trigger, "-60").expect("written");
    g.two.wait_state("MASTER", SOON);
    g.one.wait_state("BACKUP", SOON);
    let status = g.one.status().expect("a status");
    for i in 0..2 {
        assert_eq!(status["instances"][i]["effective_priority"], 90);
        assert_eq!(status["instances"][i]["tracks"][0]["name"], "trigger");
    }
    fs::write(&trigger, "0").expect("written");
    g.one.wait_state("MASTER", SOON);
    g.two.wait_state("BACKUP", SOON);
}

#[test]
fn a_stop_hands_both_over_without_a_gap_and_the_group_is_told_last() {
    let mut g = Grouped::start("");
    let pinger = Pinger::start(g.client.ns(), VIP4);
    pinger.wait_answer(Instant::now(), SOON);
    let since = Instant::now();
    g.one.terminate();
    g.two.wait_state("MASTER", SOON);
    assert!(g.one.process.wait_exit(SOON).success());
    observe(ms(200));
    let gap = pinger.stop().longest_silence(since);
    assert!(gap < ms(100), "a gap of {gap:?}");
    let told = g.told("a");
    assert_eq!(told.last().map(String::as_str), Some("GROUP gateway STOP 0"), "{told:?}");
    assert_eq!(told.iter().filter(|l| l.contains(" STOP ")).count(), 3, "{told:?}");
}

/// A third router that is better on one of the networks, and has no group: the two give up both
/// addresses, for neither could serve both.
#[test]
fn a_router_that_is_outvoted_on_one_network_gives_up_both() {
    let mut g = Grouped::start("");
    let c = g.lab.node("c", 3);
    let third = format!("instance lan on eth0 vrid 51 {FAST} priority 200\n  address 192.0.2.254/24\n");
    let mut three = Picovrrp::start_until(&c, &third, "MASTER");
    g.one.wait_state("BACKUP", SOON);
    g.a.wait_lacks(WAN, SOON);
    assert!(c.has(VIP4) && !g.a.has(VIP4) && !g.b.has(VIP4));
    observe(ms(1500));
    assert!(!g.a.has(WAN) && !g.b.has(WAN), "neither has one without the other");
    three.terminate();
    assert!(three.process.wait_exit(SOON).success());
    g.one.wait_state("MASTER", SOON);
    assert!(g.a.has(VIP4) && g.a.has(WAN));
}

#[test]
fn one_that_is_deaf_on_one_network_does_not_take_the_other() {
    let mut g = Grouped::start("");
    // The second network falls apart, nobody loses carrier: b hears nobody there, and a on the first.
    g.lab.filter("meta iifname wan-a oifname wan-b drop; iifname wan-b oifname wan-a drop;");
    observe(ms(1500));
    assert_eq!((g.one.state().as_deref(), g.two.state().as_deref()), (Some("MASTER"), Some("BACKUP")));
    assert!(!g.b.has(WAN));
    g.lab.heal();
    let better = config(&g.lab, "b", 200, "");
    g.two.write_config(&better);
    assert!(g.two.command(&["reload"]).status.success());
    g.two.wait_state("MASTER", SOON);
    g.one.wait_state("BACKUP", SOON);
    assert!(g.b.has(VIP4) && g.b.has(WAN) && !g.a.has(VIP4) && !g.a.has(WAN));
}

/// Input: a reload without the group and one of its instances. Output: both are told FAULT, as keepalived
/// does; what stays goes on.
#[test]
fn what_a_reload_removes_is_told_so() {
    let g = Grouped::start("");
    wait_until("all hooks have run", SOON, || g.told("a").len() == 6);
    let all = config(&g.lab, "a", 150, "");
    let (head, rest) = all.split_once("instance wan").expect("two instances");
    assert!(rest.contains("group gateway"));
    g.one.write_config(head);
    assert!(g.one.command(&["reload"]).status.success());
    wait_until("they were told", SOON, || g.told("a").len() == 8);
    assert_eq!(g.told("a")[6..], ["INSTANCE wan FAULT 150", "GROUP gateway FAULT 0"]);
    g.a.wait_lacks(WAN, SOON);
    assert!(g.a.has(VIP4));
    assert_eq!(g.one.state().as_deref(), Some("MASTER"));
}
