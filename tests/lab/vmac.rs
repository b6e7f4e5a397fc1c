//! Virtual MAC addresses: who answers with them, who sends nothing with them, and what becomes of the
//! macvlans.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::support::packet::{Mac, Packet};
use crate::support::process::Signal;
use crate::support::{
    Flavour, Lab, Node, Picovrrp, Pinger, SOON, Sighting, Two, V3, V3_IPV6, VIP4, VIP6, ms, observe, wait_until,
};

const MAC4: Mac = [0, 0, 0x5e, 0, 1, 51];
const MAC6: Mac = [0, 0, 0x5e, 0, 2, 51];

fn mac(flavour: Flavour) -> Mac {
    if flavour.vip.is_ipv4() { MAC4 } else { MAC6 }
}

/// The macvlan's usual name.
fn name(flavour: Flavour) -> &'static str {
    if flavour.vip.is_ipv4() { "vrrp4.51" } else { "vrrp6.51" }
}

/// What `ip` tells of a link; nothing if there is none.
fn link(node: &Node, name: &str) -> String {
    node.ns().try_ip(&format!("-d link show {name}")).unwrap_or_default()
}

fn is_up(node: &Node, name: &str) -> bool {
    link(node, name).contains(",UP")
}

fn source(s: &Sighting) -> &[u8] {
    &s.frame[6..12]
}

/// No frame of `node` since `since` has a virtual router's MAC address.
#[track_caller]
fn silent(lab: &Lab, node: &str, since: Instant) {
    let frames = lab.wire().virtual_frames(node, since);
    assert!(frames.is_empty(), "{} frames of {node}, the first {:?}", frames.len(), frames[0]);
}

/// The MAC address that `client` has learned for an address.
fn learned(client: &Node, ip: IpAddr) -> Option<Mac> {
    let text = client.ns().ip(&format!("neigh show {ip}"));
    let after = text.split("lladdr ").nth(1)?;
    let octets: Vec<u8> =
        after.split_whitespace().next()?.split(':').filter_map(|o| u8::from_str_radix(o, 16).ok()).collect();
    octets.try_into().ok()
}

/// The client asks anew where `ip` is, and is answered.
#[track_caller]
fn resolve(client: &Node, ip: IpAddr) -> Mac {
    client.ns().ip("neigh flush all");
    Pinger::start(client.ns(), ip).wait_answer(Instant::now(), SOON);
    learned(client, ip).expect("who answers a ping has been found")
}

/// A Backup from its start through a flap of its link, a reload, a kill -9, another start and its stop.
fn backup_is_silent(flavour: Flavour) {
    let start = Instant::now();
    let mut t = Two::start(flavour, "vmac", "vmac");
    assert!(link(&t.b, name(flavour)).contains("macvlan mode bridge"), "{}", link(&t.b, name(flavour)));
    t.b.pull_cable();
    t.two.wait_state("FAULT", SOON);
    t.b.plug_cable();
    t.two.wait_state("BACKUP", SOON);
    t.two.write_config(&flavour.config("priority 101 vmac"));
    t.two.process.signal(Signal::HUP);
    wait_until("it is reloaded", SOON, || t.two.instance()["priority"] == 101);
    t.lab.wire().wait_many("adverts of a", 5, Instant::now(), SOON, |s| s.is_claim_of("a"));
    t.two.process.kill();
    observe(flavour.interval * 2);
    t.two = Picovrrp::start_until(&t.b, &flavour.config("priority 101 vmac"), "BACKUP");
    t.lab.wire().wait_many("adverts of a", 5, Instant::now(), SOON, |s| s.is_claim_of("a"));
    assert!(!is_up(&t.b, name(flavour)), "{}", link(&t.b, name(flavour)));
    t.two.terminate();
    assert!(t.two.process.wait_exit(SOON).success());
    assert_eq!(link(&t.b, name(flavour)), "", "it went with the daemon");
    silent(&t.lab, "b", start);
    let wrong = t.lab.wire().count(start, |s| s.from == "a" && s.advert().is_some() && source(s) != mac(flavour));
    assert_eq!(wrong, 0, "every advert of the Active has the virtual MAC address");
    assert!(!t.lab.wire().virtual_frames("a", start).is_empty());
}

#[test]
fn a_backup_sends_nothing_with_the_virtual_mac() {
    backup_is_silent(V3);
}

#[test]
fn a_backup_sends_nothing_with_the_virtual_mac_ipv6() {
    backup_is_silent(V3_IPV6);
}

/// The client finds the virtual MAC address and keeps it through a failover; each router's own address
/// keeps the interface's.
fn answers(flavour: Flavour) {
    let mut t = Two::start(flavour, "vmac", "vmac");
    let start = Instant::now();
    assert_eq!(resolve(&t.client, flavour.vip), mac(flavour));
    let family = if flavour.vip.is_ipv4() { "-4" } else { "-6" };
    let routes = t.a.ns().ip(&format!("{family} route show dev {}", name(flavour)));
    assert!(routes.contains("metric 4096"), "the interface beneath goes first: {routes}");
    let own: IpAddr = if flavour.vip.is_ipv4() { t.a.ip4().into() } else { "2001:db8::1".parse().expect("an address") };
    assert_eq!(resolve(&t.client, own), t.a.mac());
    // Whoever answered for the virtual address, it was with the virtual MAC address, and from it.
    let wrong = |s: &Sighting| match &s.packet {
        Packet::Arp(a) => {
            IpAddr::V4(a.sender) == flavour.vip && (a.sender_mac != mac(flavour) || source(s) != mac(flavour))
        }
        Packet::Neighbour(n) => IpAddr::V6(n.target) == flavour.vip && source(s) != mac(flavour),
        Packet::Advert(_) => false,
    };
    assert_eq!(t.lab.wire().count(start, wrong), 0, "{}", t.lab.wire().tail());
    let asked = |s: &Sighting| match &s.packet {
        Packet::Arp(a) => a.operation == 2 && IpAddr::V4(a.sender) == own,
        _ => false,
    };
    assert!(
        t.lab.wire().since(start).iter().filter(|s| asked(s)).all(|s| source(s) == t.a.mac()),
        "{}",
        t.lab.wire().tail()
    );
    let pinger = Pinger::start(t.client.ns(), flavour.vip);
    pinger.wait_answer(Instant::now(), SOON);
    let cut = Instant::now();
    t.a.vanish();
    t.two.wait_state("MASTER", SOON);
    let answer = pinger.wait_answer(Instant::now(), SOON);
    eprintln!("answered {:?} after the cut", answer - cut);
    assert_eq!(learned(&t.client, flavour.vip), Some(mac(flavour)));
    let announced = |s: &Sighting| s.is_announcement_of("b", flavour.vip);
    let announcement = t.lab.wire().wait("an announcement of b", cut, SOON, announced);
    assert_eq!(source(&announcement), mac(flavour));
}

#[test]
fn the_active_alone_answers_with_the_virtual_mac() {
    answers(V3);
}

#[test]
fn the_active_alone_answers_with_the_virtual_mac_ipv6() {
    answers(V3_IPV6);
}

/// An Active whose macvlan is up hears the better router, which has the same MAC address, and is
/// silent from then on.
fn yields(flavour: Flavour) {
    let (lab, a, b, client) = Lab::trio();
    let mut two = Picovrrp::start_until(&b, &flavour.config("priority 100 vmac"), "MASTER");
    wait_until("its macvlan is up", SOON, || is_up(&b, name(flavour)));
    let start = Instant::now();
    let mut one = Picovrrp::start(&a, &flavour.config("priority 150 vmac"));
    one.wait_state("MASTER", SOON);
    two.wait_state("BACKUP", SOON);
    let claim = lab.wire().wait("an advert of a", start, SOON, |s| s.is_claim_of("a"));
    lab.wire().wait_many("adverts of a", 20, start, SOON, |s| s.is_claim_of("a"));
    assert!(!is_up(&b, name(flavour)));
    assert_eq!(resolve(&client, flavour.vip), mac(flavour));
    silent(&lab, "b", claim.at + ms(100));
    let late = lab.wire().virtual_frames("b", claim.at).last().map(|f| f.at - claim.at);
    eprintln!("b's last frame with the virtual MAC address: {late:?} after a's first advert");
    assert_eq!(one.instance()["transitions"], 2);
}

#[test]
fn an_active_hears_a_better_one_with_the_same_mac() {
    yields(V3);
}

#[test]
fn an_active_hears_a_better_one_with_the_same_mac_ipv6() {
    yields(V3_IPV6);
}

#[test]
fn an_active_that_was_killed_is_silent_when_it_is_back_as_backup() {
    let mut t = Two::start(V3, "vmac preempt off", "vmac");
    wait_until("its macvlan is up", SOON, || is_up(&t.a, "vrrp4.51"));
    t.one.process.kill();
    t.two.wait_state("MASTER", SOON);
    assert!(is_up(&t.a, "vrrp4.51"), "a killed daemon takes nothing down");
    t.one = Picovrrp::start_until(&t.a, &V3.config("priority 150 vmac preempt off"), "BACKUP");
    let back = Instant::now();
    assert_eq!(t.one.process.log_lines("removed vrrp4.51, left by an earlier run"), 1, "{}", t.one.process.log());
    t.lab.wire().wait_many("adverts of b", 10, back, SOON, |s| s.is_claim_of("b"));
    assert_eq!(resolve(&t.client, VIP4), MAC4);
    silent(&t.lab, "a", back);
    t.one.process.kill();
    // The configuration has none any more: it goes all the same.
    t.one = Picovrrp::start_until(&t.a, &V3.config("priority 150 preempt off"), "BACKUP");
    assert_eq!(link(&t.a, "vrrp4.51"), "");
}

#[test]
fn with_vmac_base_adverts_have_the_interfaces_own_mac() {
    let start = Instant::now();
    let t = Two::start(V3, "vmac vmac-base on", "vmac vmac-base on");
    assert_eq!(resolve(&t.client, VIP4), MAC4);
    let adverts = t.lab.wire().wait_many("adverts of a", 5, start, SOON, |s| s.is_claim_of("a"));
    assert!(adverts.iter().all(|s| source(s) == t.a.mac()));
    silent(&t.lab, "b", start);
}

#[test]
fn two_virtual_routers_on_one_bridge() {
    let (lab, a, b, client) = Lab::trio();
    for node in [&a, &b] {
        node.ns().ip("link add br-lan type bridge mcast_snooping 0");
        node.ns().ip("addr flush dev eth0");
        node.ns().ip("link set eth0 master br-lan");
        node.ns().ip("link set br-lan addrgenmode none up");
        node.ns().ip(&format!("addr add {}/24 dev br-lan", node.ip4()));
    }
    let config = |first: u8, second: u8| {
        format!(
            "instance one on br-lan vrid 51 priority {first} advert 20cs vmac\n address 192.0.2.254/24\n\
             instance two on br-lan vrid 52 priority {second} advert 20cs vmac second\n address 192.0.2.253/24\n"
        )
    };
    let one = Picovrrp::start(&a, &config(150, 100));
    let two = Picovrrp::start(&b, &config(100, 150));
    let states = |daemon: &Picovrrp| {
        let status = daemon.status().unwrap_or_default();
        [0, 1].map(|i| status["instances"][i]["state"].as_str().unwrap_or("").to_string())
    };
    wait_until("each leads one", SOON, || states(&one) == ["MASTER", "BACKUP"] && states(&two) == ["BACKUP", "MASTER"]);
    let settled = Instant::now();
    assert_eq!(resolve(&client, VIP4), MAC4);
    assert_eq!(resolve(&client, "192.0.2.253".parse().expect("an address")), [0, 0, 0x5e, 0, 1, 52]);
    for router in [&a, &b] {
        assert_ne!(resolve(&client, router.ip4().into())[..5], MAC4[..5], "its own address is not a virtual one's");
    }
    lab.wire().wait_many("adverts", 10, settled, SOON, |s| s.is_claim_of("a"));
    for (node, theirs) in [("a", 52), ("b", 51)] {
        let frames = lab.wire().virtual_frames(node, settled + ms(100));
        assert!(frames.iter().all(|f| f.frame[11] != theirs), "{node} is Backup of {theirs}");
    }
    // The bridge keeps what is for its own router to itself, and floods it nowhere; of a Backup's it
    // knows that it is another's.
    let own = |node: &Node| node.ns().output("bridge", &["fdb", "show", "br", "br-lan"]).stdout;
    let own = |node: &Node, mac: &str| {
        let text = String::from_utf8_lossy(&own(node)).into_owned();
        text.lines().any(|l| l.contains(mac) && l.contains("permanent"))
    };
    let owned = |node: &Node| [own(node, "00:00:5e:00:01:33"), own(node, "00:00:5e:00:01:34")];
    assert_eq!((owned(&a), owned(&b)), ([true, false], [false, true]));
    a.vanish();
    wait_until("b leads both", SOON, || states(&two) == ["MASTER", "MASTER"]);
    assert_eq!(resolve(&client, VIP4), MAC4);
    assert_eq!(owned(&b), [true, true]);
    let mut two = two;
    two.process.kill();
    let two = Picovrrp::start(&b, "instance one on br-lan vrid 53 address 192.0.2.254/24\n");
    wait_until("it runs", SOON, || two.status().is_some());
    assert_eq!(owned(&b), [false, false], "the bridge does not keep what a killed daemon told it");
}

#[test]
fn the_interface_beneath_goes_down_and_up_away_and_back() {
    let mut t = Two::start(V3, "vmac", "vmac");
    t.a.ns().ip("link set eth0 down");
    t.one.wait_state("FAULT", SOON);
    assert!(!is_up(&t.a, "vrrp4.51"));
    t.two.wait_state("MASTER", SOON);
    t.a.ns().ip("link set eth0 up");
    t.one.wait_state("MASTER", SOON);
    assert_eq!(t.sole_active(), "a");
    assert_eq!(resolve(&t.client, VIP4), MAC4);
    t.a.delete_interface();
    t.one.wait_state("FAULT", SOON);
    t.two.wait_state("MASTER", SOON);
    let gone = Instant::now();
    t.a.create_interface();
    t.one.wait_state("MASTER", SOON);
    assert_eq!(t.sole_active(), "a");
    t.two.wait_state("BACKUP", SOON);
    let back = Instant::now() + ms(100);
    let claim = t.lab.wire().wait("an advert of a", gone, SOON, |s| s.is_claim_of("a"));
    assert_eq!(source(&claim), MAC4);
    t.a.ns().ip("link set eth0 name lan0");
    t.lab.wire().wait_many("adverts of a", 5, Instant::now(), SOON, |s| s.is_claim_of("a"));
    assert_eq!(resolve(&t.client, VIP4), MAC4);
    silent(&t.lab, "b", back);
}

/// Before, with a macvlan, and after: the settings of the interface beneath.
#[test]
fn settings_are_put_back() {
    let (_lab, a, _b, _client) = Lab::trio();
    let now = |node: &Node| {
        let read = |key: &str| node.ns().output("cat", &[&format!("/proc/sys/net/ipv4/conf/eth0/{key}")]).stdout;
        [read("arp_ignore"), read("arp_announce")].map(|v| String::from_utf8_lossy(&v).trim().to_string())
    };
    a.ns().sysctl("net/ipv4/conf/eth0/arp_announce", "1");
    let before = now(&a);
    assert_eq!(before, ["0", "1"]);
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150 vmac"), "MASTER");
    assert_eq!(now(&a), ["1", "2"]);
    let of_macvlan = |key: &str| {
        let path = format!("/proc/sys/net/{key}");
        String::from_utf8_lossy(&a.ns().output("cat", &[&path]).stdout).trim().to_string()
    };
    assert_eq!(of_macvlan("ipv4/conf/vrrp4.51/rp_filter"), "2");
    assert_eq!(of_macvlan("ipv6/conf/vrrp4.51/addr_gen_mode"), "1");
    one.write_config(&V3.config("priority 150"));
    one.process.signal(Signal::HUP);
    wait_until("they are as before", SOON, || now(&a) == before);
    one.write_config(&V3.config("priority 150 vmac"));
    one.process.signal(Signal::HUP);
    wait_until("they are set again", SOON, || now(&a) == ["1", "2"]);
    one.process.kill();
    assert_eq!(now(&a), ["1", "2"]);
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    assert_eq!(now(&a), before, "what a killed daemon left is put back");
    one.write_config(&V3.config("priority 150 vmac"));
    one.process.signal(Signal::HUP);
    wait_until("they are set again", SOON, || now(&a) == ["1", "2"]);
    one.terminate();
    assert!(one.process.wait_exit(SOON).success());
    assert_eq!(now(&a), before);
    assert_eq!(link(&a, "vrrp4.51"), "");
}

/// They are put back also on an interface that had another name when the daemon began, and by another program.
#[test]
fn settings_are_put_back_on_an_interface_of_another_name() {
    let (lab, a, _b, _client) = Lab::trio();
    let now = |node: &Node| {
        let read = |key: &str| node.ns().output("cat", &[&format!("/proc/sys/net/ipv4/conf/lan0/{key}")]).stdout;
        [read("arp_ignore"), read("arp_announce")].map(|v| String::from_utf8_lossy(&v).trim().to_string())
    };
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150 vmac"), "MASTER");
    a.ns().ip("link set eth0 name lan0");
    assert_eq!(now(&a), ["1", "2"]);
    assert!(one.command(&["upgrade"]).status.success(), "{}", one.process.log());
    lab.wire().wait_many("adverts of a", 5, Instant::now(), SOON, |s| s.is_claim_of("a"));
    one.terminate();
    assert!(one.process.wait_exit(SOON).success());
    assert_eq!((now(&a), link(&a, "vrrp4.51")), (["0", "0"].map(str::to_owned), String::new()));
}

#[test]
fn a_link_of_that_name_that_is_not_ours_is_left_alone() {
    let (lab, a, _b, _client) = Lab::trio();
    a.ns().ip("link add vrrp4.51 link eth0 address 00:00:5e:00:01:33 type macvlan mode bridge");
    let before = link(&a, "vrrp4.51");
    let start = Instant::now();
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150 vmac"), "FAULT");
    let said = "lan: an interface vrrp4.51 is there already and not by us";
    assert!(one.process.log().contains(said), "{}", one.process.log());
    observe(V3.active_down_interval(150) * 2);
    assert_eq!(link(&a, "vrrp4.51"), before);
    one.process.kill();
    one = Picovrrp::start_until(&a, &V3.config("priority 150 vmac"), "FAULT");
    assert_eq!(link(&a, "vrrp4.51"), before, "not after a kill -9 either");
    silent(&lab, "a", start);
    a.ns().ip("link del vrrp4.51");
    one.wait_state("MASTER", SOON);
    a.wait_has(VIP4, SOON);
    // And a stop does not take what has come in its place.
    a.ns().ip("link add other type bridge");
    one.terminate();
    assert!(one.process.wait_exit(SOON).success());
    assert_eq!(link(&a, "vrrp4.51"), "");
    assert_ne!(link(&a, "other"), "");
}

/// Somebody makes one of that name, with that MAC address, while the interface beneath ours is missing: a kill -9
/// does not make it ours.
#[test]
fn a_link_that_came_in_its_place_is_left_alone() {
    let (_lab, a, _b, _client) = Lab::trio();
    let config = V3.config("priority 150 vmac").replace("eth0", "eth7");
    let mut one = Picovrrp::start_until(&a, &config, "FAULT");
    a.ns().ip("link add vrrp4.51 link eth0 address 00:00:5e:00:01:33 type macvlan mode bridge");
    let before = link(&a, "vrrp4.51");
    one.process.kill();
    one = Picovrrp::start_until(&a, &config, "FAULT");
    assert_eq!(link(&a, "vrrp4.51"), before, "{}", one.process.log());
}

/// Another daemon has left a macvlan with the virtual MAC address, which keeps ours down: the log says so, and ours
/// is up soon after that is gone.
#[test]
fn a_link_with_its_mac_that_is_gone_lets_it_go_up() {
    let (_lab, a, _b, client) = Lab::trio();
    a.ns().ip("link add vrrp.51 link eth0 address 00:00:5e:00:01:33 type macvlan mode bridge");
    a.ns().ip("link set vrrp.51 addrgenmode none up");
    let one = Picovrrp::start_until(&a, &V3.config("priority 150 vmac"), "MASTER");
    wait_until("the log says so", SOON, || one.process.log().contains("Address already in use"));
    assert!(!is_up(&a, "vrrp4.51"));
    a.ns().ip("link del vrrp.51");
    wait_until("it is up", SOON, || is_up(&a, "vrrp4.51"));
    assert_eq!(resolve(&client, VIP4), MAC4);
}

/// The same process with another program: on both routers the macvlan, its MAC address, the rules of `accept
/// off` and the addresses stay, and the Backup is silent.
fn upgraded(flavour: Flavour) {
    let start = Instant::now();
    let t = Two::start(flavour, "vmac accept off garp delay 0s", "vmac accept off");
    let macvlan = name(flavour);
    wait_until("it is up", SOON, || is_up(&t.a, macvlan) && t.a.has(flavour.vip));
    let state = |node: &Node| {
        let rules = node.ns().output("nft", &["list", "ruleset"]).stdout;
        let addresses = node.ns().try_ip(&format!("addr show dev {macvlan}")).unwrap_or_default();
        (link(node, macvlan), addresses, String::from_utf8_lossy(&rules).into_owned())
    };
    let before = [state(&t.a), state(&t.b)];
    for (_, _, rules) in &before {
        assert!(rules.contains("table inet picovrrp"), "{rules}");
    }
    let monitors = [t.a.monitor(), t.b.monitor()];
    let told = monitors.each_ref().map(|m| m.log().len());
    assert_eq!(t.one.instance()["vmac"], macvlan);
    assert_eq!(t.one.instance()["interface"], "eth0");
    let table = String::from_utf8_lossy(&t.one.command(&["status"]).stdout).into_owned();
    assert!(table.contains(&format!("virtual MAC address on {macvlan}")), "{table}");
    let (upgrade, pinger) = (Instant::now(), Pinger::start(t.client.ns(), flavour.vip));
    for daemon in [&t.two, &t.one, &t.two] {
        assert!(daemon.command(&["upgrade"]).status.success(), "{}", daemon.process.log());
        t.lab.wire().wait_many("adverts of a", 5, Instant::now(), SOON, |s| s.is_claim_of("a"));
    }
    assert_eq!([state(&t.a), state(&t.b)], before);
    let pings = pinger.stop().pings;
    assert!(pings.len() > 50 && pings.iter().all(|p| p.answered.is_none()), "the rules held all the time");
    for (monitor, told) in monitors.iter().zip(told) {
        assert_eq!(&monitor.log()[told..], "", "nothing is taken away for a moment either");
    }
    let odd = |s: &Sighting| s.is_farewell_of("a") || s.is_claim_of("b") || s.is_announcement_of("a", flavour.vip);
    assert_eq!(t.lab.wire().count(upgrade, odd), 0, "{}", t.lab.wire().tail());
    silent(&t.lab, "b", start);
    let wrong = t.lab.wire().count(start, |s| s.from == "a" && s.advert().is_some() && source(s) != mac(flavour));
    assert_eq!(wrong, 0, "every advert of the Active has the virtual MAC address");
    // The macvlan is ours still: it is taken up, and goes at the end.
    let (mut one, mut two) = (t.one, t.two);
    one.terminate();
    assert!(one.process.wait_exit(SOON).success());
    assert_eq!(link(&t.a, macvlan), "");
    two.wait_state("MASTER", SOON);
    wait_until("it is up", SOON, || is_up(&t.b, macvlan) && t.b.has(flavour.vip));
    two.terminate();
    assert!(two.process.wait_exit(SOON).success());
    assert_eq!(state(&t.b), Default::default());
}

#[test]
fn an_upgrade_leaves_the_macvlan_and_the_rules() {
    upgraded(V3);
}

#[test]
fn an_upgrade_leaves_the_macvlan_and_the_rules_ipv6() {
    upgraded(V3_IPV6);
}

/// A reload removes the Active's instance: priority 0 leaves, the macvlan stays up with its addresses until
/// the other router speaks, and only then goes, without a frame behind the other's first.
#[test]
fn an_instance_that_a_reload_removes_keeps_its_macvlan_until_the_other_speaks() {
    let mut t = Two::start(V3, "vmac", "vmac");
    wait_until("it is up", SOON, || is_up(&t.a, "vrrp4.51") && t.a.has(VIP4));
    let pinger = Pinger::start(t.client.ns(), VIP4);
    let start = Instant::now();
    pinger.wait_answer(start, SOON);
    t.one.write_config("instance other on eth0 vrid 52 priority 150 address 192.0.2.250/24\n");
    t.one.process.signal(Signal::HUP);
    let farewell = t.lab.wire().wait("a's farewell", start, SOON, |s| s.is_farewell_of("a"));
    assert_eq!(source(&farewell), MAC4);
    let claim = t.lab.wire().wait("an advert of b", start, SOON, |s| s.is_claim_of("b"));
    t.two.wait_state("MASTER", SOON);
    wait_until("a's macvlan is gone", SOON, || link(&t.a, "vrrp4.51").is_empty());
    assert!(!t.a.has(VIP4));
    t.one.wait_state("MASTER", SOON);
    let silence = pinger.stop().longest_silence(start);
    assert!(silence < ms(100), "the client was without an answer for {silence:?}");
    silent(&t.lab, "a", claim.at + ms(100));
    assert_eq!(t.lab.wire().count(start, |s| s.is_farewell_of("a")), 1);
}

/// What is done to the macvlan by hand while Active is undone, soon.
#[test]
fn what_is_taken_away_by_hand_is_put_back() {
    for flavour in [V3, V3_IPV6] {
        let mut t = Two::start(flavour, "vmac", "vmac");
        let (macvlan, vip) = (name(flavour), flavour.vip);
        wait_until("it is up", SOON, || is_up(&t.a, macvlan));
        let transitions = t.one.instance()["transitions"].clone();
        let length = if vip.is_ipv4() { 24 } else { 64 };
        for deed in [
            format!("addr del {vip}/{length} dev {macvlan}"),
            format!("link set {macvlan} down"),
            format!("link del {macvlan}"),
        ] {
            let done = Instant::now();
            t.a.ns().ip(&deed);
            wait_until(&format!("{deed} is undone"), SOON, || t.a.has(vip) && is_up(&t.a, macvlan));
            // The look itself takes two runs of `ip`.
            eprintln!("{deed}: undone after at most {:?}", done.elapsed());
            assert!(done.elapsed() < Duration::from_millis(400), "{deed}: {:?}", done.elapsed());
            assert_eq!(resolve(&t.client, vip), mac(flavour));
        }
        assert_eq!(t.one.instance()["transitions"], transitions);
        t.one.wait_state("MASTER", SOON);
        t.two.wait_state("BACKUP", SOON);
    }
}

/// IPv6 adverts leave from the interface's own link-local address, and the macvlan makes none from its MAC
/// address.
#[test]
fn no_address_is_derived_from_the_virtual_mac() {
    let start = Instant::now();
    let t = Two::start(V3_IPV6, "vmac", "vmac");
    wait_until("it is up", SOON, || is_up(&t.a, "vrrp6.51") && t.a.has(VIP6));
    let adverts = t.lab.wire().wait_many("adverts of a", 5, start, SOON, |s| s.is_claim_of("a"));
    let own = IpAddr::V6(t.a.link_local());
    assert!(adverts.iter().all(|s| s.advert().is_some_and(|a| a.source == own)), "{}", t.lab.wire().tail());
    let text = t.a.ns().ip("addr show dev vrrp6.51");
    assert_eq!(text.matches("inet6").count(), 2, "the virtual ones alone:\n{text}");
}
