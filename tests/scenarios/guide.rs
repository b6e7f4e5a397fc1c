//! What people's guides to VRRP show beside the systems of the other files: named peers with 101 and
//! 100, two addresses with opposite priorities, both families, a check that takes its time. Who
//! preempts and when is in `tests/lab/election.rs`, hooks in `tests/lab/hooks.rs`.

use std::fs;
use std::net::IpAddr;
use std::time::Instant;

use crate::kit::{check, config, effective, get, two, wait_holder, wait_instance, wait_served_by};
use crate::nginx::Nginx;
use crate::support::script::{lines, script};
use crate::support::{Lab, Node, Picovrrp, Pinger, SOON, V2, V3, VIP4, VIP6, ms, wait_until};

/// Version 2 with a password, to one peer by name.
fn unicast(us: &Node, peer: &Node, properties: &str) -> String {
    let (us, peer) = (us.ip4(), peer.ip4());
    V2.config(&format!("auth pass abcdefgh {properties}\n  unicast {us}\n  peer {peer}"))
}

#[test]
fn named_peers_with_101_and_100() {
    let nodes = Lab::trio();
    let on_a = unicast(&nodes.1, &nodes.2, "priority 101");
    let on_b = unicast(&nodes.2, &nodes.1, "priority 100");
    let start = Instant::now();
    let mut t = two(nodes, &on_a, &on_b);
    wait_holder(&t, "a");
    t.a.vanish();
    t.two.wait_state("MASTER", SOON);
    t.a.reappear();
    wait_holder(&t, "a");
    t.two.wait_state("BACKUP", SOON);
    for seen in t.lab.wire().since(start) {
        let Some(advert) = seen.advert() else { continue };
        let (source, to) = if seen.from == "a" { (&t.a, &t.b) } else { (&t.b, &t.a) };
        assert_eq!((advert.source, advert.destination), (IpAddr::V4(source.ip4()), IpAddr::V4(to.ip4())));
        assert_eq!((advert.version, advert.auth_type, advert.destination_mac), (2, 1, to.mac()));
        assert_eq!(advert.trailer, b"abcdefgh");
    }
}

#[test]
fn with_preempt_off_on_both_the_address_stays_until_a_fault() {
    let nodes = Lab::trio();
    let lab = nodes.0.clone();
    let told = |node: &Node| lab.dir().join(format!("told-{}", node.name()));
    // Each state has a hook, with the state as its argument.
    let hooks = |node: &Node| {
        let note = script(&node.dir().join("etc"), "note", &format!("echo \"$*\" >>{}", told(node).display()));
        let of = |state: &str, word: &str| format!("  notify-{state} \"{} {word}\"\n", note.display());
        of("master", "Master") + &of("backup", "Backup") + &of("fault", "Fault")
    };
    let of = |us: &Node, peer: &Node, priority: u8| {
        let (our, peer) = (us.ip4(), peer.ip4());
        let unicast = format!("unicast {our}\n  peer {peer}");
        V3.config(&format!("priority {priority} preempt off\n{}  {unicast}", hooks(us)))
    };
    let (on_a, on_b) = (of(&nodes.1, &nodes.2, 101), of(&nodes.2, &nodes.1, 100));
    let mut t = two(nodes, &on_a, &on_b);
    wait_holder(&t, "a");
    t.a.ns().ip("link set eth0 down");
    t.one.wait_state("FAULT", SOON);
    // No frame shows who is Active now: nobody answers for the peer's hardware address.
    t.two.wait_state("MASTER", SOON);
    assert!(t.b.has(VIP4) && !t.a.has(VIP4));
    t.a.ns().ip("link set eth0 up");
    t.one.wait_state("BACKUP", SOON);
    let back = Instant::now();
    t.lab.wire().wait_many("adverts of b", 10, back, SOON, |s| s.is_claim_of("b"));
    assert_eq!(t.lab.wire().count(back, |s| s.is_claim_of("a")), 0, "it stays where it is");
    t.b.ns().ip("link set eth0 down");
    t.one.wait_state("MASTER", SOON);
    t.two.wait_state("FAULT", SOON);
    assert!(t.a.has(VIP4) && !t.b.has(VIP4));
    t.b.ns().ip("link set eth0 up");
    t.two.wait_state("BACKUP", SOON);
    let of_a = ["Backup", "Master", "Fault", "Backup", "Master"];
    wait_until("a's hooks", SOON, || lines(&told(&t.a)) == of_a);
    wait_until("b's hooks", SOON, || lines(&told(&t.b)) == ["Backup", "Master", "Fault", "Backup"]);
}

#[test]
fn each_router_holds_one_of_two_addresses_and_either_holds_both() {
    let (lab, a, b, _client) = Lab::trio();
    let config = |web: u8, db: u8| {
        let one = |name: &str, vrid: u8, priority: u8| {
            format!("instance {name} on eth0 vrid {vrid} priority {priority}\n  address 192.0.2.{vrid}/24\n")
        };
        format!("defaults {}\n{}{}", V3.properties, one("web", 201, web), one("db", 202, db))
    };
    let (web, db): (IpAddr, IpAddr) = ([192, 0, 2, 201].into(), [192, 0, 2, 202].into());
    let (of_a, of_b) = (config(101, 100), config(100, 101));
    let mut one = Picovrrp::start(&a, &of_a);
    let mut two = Picovrrp::start(&b, &of_b);
    let shared = |one: &Picovrrp, two: &Picovrrp| {
        for (daemon, mine, other) in [(one, "web", "db"), (two, "db", "web")] {
            wait_instance(daemon, mine, "MASTER");
            wait_instance(daemon, other, "BACKUP");
        }
        wait_until("each has one", SOON, || {
            (a.has(web), a.has(db), b.has(web), b.has(db)) == (true, false, false, true)
        });
    };
    shared(&one, &two);
    for router in ["a", "b"] {
        let (gone, node, stays, other) = match router {
            "a" => (&mut one, &a, &mut two, &b),
            _ => (&mut two, &b, &mut one, &a),
        };
        gone.terminate();
        assert!(gone.process.wait_exit(SOON).success());
        stays.wait_state("MASTER", SOON);
        assert!(other.has(web) && other.has(db) && !node.has(web) && !node.has(db));
        let config = if router == "a" { &of_a } else { &of_b };
        *gone = Picovrrp::start(node, config);
        shared(&one, &two);
    }
    drop(lab);
}

#[test]
fn both_families_move_and_come_back() {
    let (lab, a, b, client) = Lab::trio();
    // An instance of each family, with numbers of their own.
    let config = |priority: u8| {
        format!(
            "defaults {} priority {priority}
instance v4 on eth0 vrid 51\n  address {VIP4}/24
instance v6 on eth0 vrid 61\n  address fe80::254/64\n  address {VIP6}/64\n",
            V3.properties
        )
    };
    let mut one = Picovrrp::start_until(&a, &config(101), "MASTER");
    let mut two = Picovrrp::start_until(&b, &config(100), "BACKUP");
    let pingers = [VIP4, VIP6].map(|vip| Pinger::start(client.ns(), vip));
    let answered = |since| pingers.iter().for_each(|p| _ = p.wait_answer(since, SOON));
    answered(Instant::now());
    a.vanish();
    two.wait_state("MASTER", SOON);
    answered(Instant::now());
    a.reappear();
    two.wait_state("BACKUP", SOON);
    one.wait_state("MASTER", SOON);
    answered(Instant::now());
    // Orderly: neither family sees a gap worth the name.
    let stop = Instant::now();
    one.terminate();
    two.wait_state("MASTER", SOON);
    assert!(one.process.wait_exit(SOON).success());
    answered(Instant::now());
    for pinger in pingers {
        let gap = pinger.stop().longest_silence(stop);
        assert!(gap <= ms(100), "the client saw nobody for {gap:?}");
    }
    drop(lab);
}

#[test]
fn a_check_that_hangs_has_failed_when_its_time_is_over() {
    let nodes = Lab::trio();
    let (mut on_a, mut on_b) = (Nginx::new(&nodes.1), Nginx::new(&nodes.2));
    on_a.start();
    on_b.start();
    let gate = nodes.1.dir().join("hang");
    let body = |node: &Node| format!("[ ! -e {0}/hang ] || exec sleep 600\n[ -e {0}/nginx.pid ]", node.dir().display());
    let line = |node: &Node| {
        let path = script(&node.dir().join("etc"), "check-web", &body(node));
        format!("check web script \"{}\" every 300ms timeout 200ms fall 3 rise 2", path.display())
    };
    let on = |node: &Node, priority: u8| config(&line(node), &format!("priority {priority}\n  track web weight -20"));
    let (of_a, of_b) = (on(&nodes.1, 101), on(&nodes.2, 100));
    let mut t = two(nodes, &of_a, &of_b);
    wait_served_by(&t, "a");
    assert_eq!((effective(&t.one), effective(&t.two)), (101, 100));
    fs::write(&gate, "").expect("a file");
    wait_served_by(&t, "b");
    t.one.wait_state("BACKUP", SOON);
    assert_eq!(effective(&t.one), 81);
    assert_eq!(check(&t.one, "web")["state"], "down");
    fs::remove_file(&gate).expect("it was there");
    wait_served_by(&t, "a");
    // It fails without hanging too.
    on_a.stop();
    wait_served_by(&t, "b");
    assert!(get(&t.client, IpAddr::V4(t.a.ip4()), 80, "/").is_err());
}
