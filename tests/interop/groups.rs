//! Sync groups and weights beside keepalived's: one router of each, two networks, and both members of
//! a group move together on either side.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use crate::support::keepalived;
use crate::support::process::Process;
use crate::support::{Lab, Node, Picovrrp, SOON, VIP4, ms, observe};

const WAN: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 254));

/// picovrrp on a and keepalived on b, each with a group of `lan` on eth0 and `wan` on eth1.
struct Mixed {
    _ours: Picovrrp,
    _theirs: Process,
    a: Node,
    b: Node,
    _client: Node,
    lab: Lab,
}

fn ours(priority: u8, more: &str) -> String {
    format!(
        "{more}defaults version 3 advert 20cs checksum pseudo priority {priority}\n\
         instance lan on eth0 vrid 51\n  address 192.0.2.254/24\n\
         instance wan on eth1 vrid 52\n  address 198.51.100.254/24\n\
         group gateway lan wan\n"
    )
}

fn theirs(priority: u8, global: &str, more: &str) -> String {
    let instance = |name: &str, on: &str, vrid: u8, address: &str| {
        format!(
            "vrrp_instance {name} {{\nstate BACKUP\ninterface {on}\nvirtual_router_id {vrid}\nversion 3\n\
             priority {priority}\nadvert_int 0.2\n{more}virtual_ipaddress {{\n{address}\n}}\n}}\n"
        )
    };
    format!(
        "global_defs {{\nscript_user root\n}}\n{global}vrrp_sync_group gateway {{\ngroup {{\nlan\nwan\n}}\n}}\n{}{}",
        instance("lan", "eth0", 51, "192.0.2.254/24"),
        instance("wan", "eth1", 52, "198.51.100.254/24")
    )
}

impl Mixed {
    fn start(our_priority: u8, their_priority: u8) -> Self {
        let (lab, a, b, client) = Lab::trio();
        for (node, n) in [(&a, 1), (&b, 2)] {
            node.create_link("eth1", &format!("wan-{}", node.name()));
            node.ns().ip(&format!("addr add 198.51.100.{n}/24 dev eth1"));
        }
        let _ours = Picovrrp::start(&a, &ours(our_priority, ""));
        let _theirs = keepalived::start_text(&b, &theirs(their_priority, "", ""));
        Mixed { _ours, _theirs, a, b, _client: client, lab }
    }

    /// Waits until `holder` alone has both addresses, and looks for a while whether it stays so.
    #[track_caller]
    fn both_are_on(&self, holder: &Node) {
        let other = if holder.name() == "a" { &self.b } else { &self.a };
        for vip in [VIP4, WAN] {
            holder.wait_has(vip, SOON);
            other.wait_lacks(vip, SOON);
        }
        observe(ms(900));
        for vip in [VIP4, WAN] {
            assert!(holder.has(vip) && !other.has(vip), "{vip}; the wire's last:\n{}", self.lab.wire().tail());
        }
    }
}

#[test]
fn our_group_fails_over_to_keepaliveds_and_takes_back() {
    let m = Mixed::start(150, 100);
    m.both_are_on(&m.a);
    m.a.ns().ip("link set eth1 down");
    m.both_are_on(&m.b);
    m.a.ns().ip("link set eth1 up");
    m.both_are_on(&m.a);
}

#[test]
fn keepaliveds_group_fails_over_to_ours_and_takes_back() {
    let m = Mixed::start(100, 150);
    m.both_are_on(&m.b);
    m.b.ns().ip("link set eth1 down");
    m.both_are_on(&m.a);
    m.b.ns().ip("link set eth1 up");
    m.both_are_on(&m.b);
}

/// The same script and the same weights on either side: whoever fails loses, and the sums agree.
#[test]
fn weights_of_scripts_count_as_keepaliveds_do() {
    let (lab, a, b, _client) = Lab::trio();
    let switch = |node: &str| lab.dir().join(format!("bad-{node}"));
    let test = |node: &str| format!("/usr/bin/test ! -e {}", switch(node).display());
    let ours = format!(
        "check up script \"{}\" every 100ms fall 2 rise 2\n\
         instance lan on eth0 vrid 51 version 3 advert 20cs checksum pseudo priority 120\n  \
         address 192.0.2.254/24\n  track up weight -40\n",
        test("a")
    );
    let theirs = format!(
        "global_defs {{\nscript_user root\n}}\nvrrp_script up {{\nscript \"{}\"\ninterval 0.1\nfall 2\nrise 2\nweight 30\n}}\n\
         vrrp_instance lan {{\nstate BACKUP\ninterface eth0\nvirtual_router_id 51\nversion 3\npriority 70\nadvert_int 0.2\n\
         track_script {{\nup\n}}\nvirtual_ipaddress {{\n192.0.2.254/24\n}}\n}}\n",
        test("b")
    );
    let _one = Picovrrp::start(&a, &ours);
    let _two = keepalived::start_text(&b, &theirs);
    let sole = |expected: &str| {
        let node = lab.wait_sole_active(&[&a, &b], VIP4, SOON);
        assert_eq!(node.name(), expected);
    };
    // 120 against 100.
    sole("a");
    // 80 against 100.
    fs::write(switch("a"), "").expect("written");
    b.wait_has(VIP4, SOON);
    sole("b");
    // 80 against 70.
    fs::write(switch("b"), "").expect("written");
    a.wait_has(VIP4, SOON);
    sole("a");
    // 80 against 100 again, and 120 against 100.
    fs::remove_file(switch("b")).expect("removed");
    b.wait_has(VIP4, SOON);
    sole("b");
    fs::remove_file(switch("a")).expect("removed");
    a.wait_has(VIP4, SOON);
    sole("a");
}

/// Every sign, with and without `reverse`, of an interface and a script, up and down: what a daemon alone
/// puts into its adverts is the same on either side.
#[test]
fn effective_priorities_are_keepaliveds() {
    let (lab, a, b, _client) = Lab::trio();
    let mut expected = Vec::new();
    let (mut ours, mut theirs) = (String::new(), String::from("global_defs {\nscript_user root\n}\n"));
    let weights = ["20", "-20", "20 reverse", "-20 reverse"];
    for (node, script) in [("good", "/bin/true"), ("bad", "/bin/false")] {
        ours += &format!("check {node} script {script} every 1s\n");
        theirs += &format!("vrrp_script {node} {{\nscript {script}\ninterval 1\n}}\n");
    }
    ours += "defaults version 3 advert 20cs checksum pseudo priority 100\n";
    let mut vrid = 0;
    for (what, word) in [("there", "track-interface"), ("gone", "track-interface"), ("good", "track"), ("bad", "track")]
    {
        for weight in weights {
            vrid += 1;
            ours += &format!(
                "instance i{vrid} on eth0 vrid {vrid}\n  address 10.9.1.{vrid}/32\n  {word} {what} weight {weight}\n"
            );
            let block = if word == "track" { "track_script" } else { "track_interface" };
            theirs += &format!(
                "vrrp_instance i{vrid} {{\nstate BACKUP\ninterface eth0\nvirtual_router_id {vrid}\nversion 3\n\
                 priority 100\nadvert_int 0.2\n{block} {{\n{what} weight {weight}\n}}\n\
                 virtual_ipaddress {{\n10.9.1.{vrid}/32\n}}\n}}\n"
            );
            let up = matches!(what, "there" | "good");
            expected.push(match (up, weight) {
                (true, "20") | (false, "-20 reverse") => 120,
                (false, "-20") | (true, "20 reverse") => 80,
                _ => 100,
            });
        }
    }
    for node in [&a, &b] {
        for link in ["there", "gone"] {
            node.create_link(link, &format!("{link}-{}", node.name()));
        }
        node.ns().ip("link set gone down");
    }
    // Apart, so that each is Active for all.
    lab.part(&a, &b);
    let _one = Picovrrp::start(&a, &ours);
    let _two = keepalived::start_text(&b, &theirs);
    for node in ["a", "b"] {
        crate::support::wait_for(&format!("the priorities of {node}"), SOON, || {
            let seen = lab.wire().since(std::time::Instant::now() - ms(500));
            let of = |vrid: usize| {
                let mut adverts = seen.iter().filter(|s| s.is_claim_of(node)).filter_map(|s| s.advert());
                adverts.rfind(|a| a.vrid as usize == vrid).map(|a| a.priority)
            };
            let all: Option<Vec<u8>> = (1..=expected.len()).map(of).collect();
            (all? == expected).then_some(())
        });
    }
}
