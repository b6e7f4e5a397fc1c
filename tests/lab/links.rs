//! Links, interfaces and addresses come and go beneath the daemon.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use crate::support::picovrrp::lan;
use crate::support::{Flavour, Lab, Picovrrp, SOON, Two, V3, V3_IPV6, VIP4, ms, observe};

/// The Active's cable is pulled, and put back.
fn pulled(flavour: Flavour) {
    let mut t = Two::start(flavour, "preempt off", "");
    t.a.pull_cable();
    t.one.wait_state("FAULT", SOON);
    t.a.wait_lacks(flavour.vip, SOON);
    t.two.wait_state("MASTER", SOON);
    let back = Instant::now();
    t.a.plug_cable();
    t.one.wait_state("BACKUP", SOON);
    t.lab.wire().wait_many("adverts of b", 10, back, SOON, |s| s.is_claim_of("b"));
    assert_eq!(t.lab.wire().count(back, |s| s.from == "a" && s.advert().is_some()), 0, "it comes back as Backup");
    assert_eq!(t.sole_active(), "b");
}

#[test]
fn the_actives_cable_is_pulled() {
    pulled(V3);
}

#[test]
fn the_actives_cable_is_pulled_ipv6() {
    pulled(V3_IPV6);
}

#[test]
fn the_backups_cable_is_pulled() {
    let mut t = Two::start(V3, "", "");
    let start = Instant::now();
    t.b.pull_cable();
    t.two.wait_state("FAULT", SOON);
    t.b.plug_cable();
    t.two.wait_state("BACKUP", SOON);
    t.lab.wire().wait_many("adverts of a", 10, Instant::now(), SOON, |s| s.is_claim_of("a"));
    assert_eq!(t.lab.wire().count(start, |s| s.from == "b" && s.advert().is_some()), 0, "b never spoke");
    // It hears adverts again, and so it notices when they end.
    t.a.vanish();
    t.two.wait_state("MASTER", SOON);
}

/// A loss that is shorter than `interface-delay` changes nothing, not even on the other router; a longer
/// one counts when it has lasted, and a return likewise.
#[test]
fn a_flap_within_the_delay_moves_nothing() {
    let slow = Flavour { properties: "version 3 advert 1s", interval: Duration::from_secs(1), ..V3 };
    let delays = "\ninterface-delay eth0 down 1.5s up 1s";
    let mut t = Two::start(slow, "", "");
    drop(t.one);
    t.two.wait_state("MASTER", SOON);
    t.one = Picovrrp::start_until(&t.a, &format!("{}{delays}", slow.config("priority 150")), "MASTER");
    t.two.wait_state("BACKUP", SOON);
    let start = Instant::now();
    for _ in 0..3 {
        t.a.pull_cable();
        observe(ms(400));
        t.a.plug_cable();
        observe(ms(700));
        assert!(t.a.has(VIP4));
    }
    let told = t.lab.wire().wait("an announcement of a", start, SOON, |s| s.is_announcement_of("a", VIP4));
    assert!(told.at > start);
    observe(ms(1500));
    assert_eq!(t.one.instance()["state"], "MASTER");
    assert_eq!(t.lab.wire().count(start, |s| s.from == "b" && s.advert().is_some()), 0, "b never spoke");
    let pulled = Instant::now();
    t.a.pull_cable();
    t.one.wait_state("FAULT", SOON);
    assert!(pulled.elapsed() >= ms(1500), "it counted after {:?}", pulled.elapsed());
    t.a.wait_lacks(VIP4, SOON);
    t.two.wait_state("MASTER", SOON);
    let plugged = Instant::now();
    t.a.plug_cable();
    t.one.wait_state("BACKUP", SOON);
    assert!(plugged.elapsed() >= ms(1000), "it counted after {:?}", plugged.elapsed());
    t.one.wait_state("MASTER", SOON);
    // An interface that is gone is gone, delay or not.
    let gone = Instant::now();
    t.a.delete_interface();
    t.one.wait_state("FAULT", SOON);
    assert!(gone.elapsed() < ms(1500), "it counted after {:?}", gone.elapsed());
}

/// `track-primary off`: the address stays through the loss, and who is on the wire hears of it again.
#[test]
fn an_instance_that_does_not_mind_its_own_link() {
    let mut t = Two::start(V3, "track-primary off", "");
    t.a.pull_cable();
    t.two.wait_state("MASTER", SOON);
    assert_eq!(t.one.instance()["state"], "MASTER");
    assert!(t.a.has(VIP4));
    let back = Instant::now();
    t.a.plug_cable();
    t.lab.wire().wait("an announcement of a", back, SOON, |s| s.is_announcement_of("a", VIP4));
    t.two.wait_state("BACKUP", SOON);
    assert_eq!(t.sole_active(), "a");
}

/// Both are Active while the bridge is parted, and one yields when it heals.
fn heals(flavour: Flavour) {
    let mut t = Two::start(flavour, "", "");
    t.lab.part(&t.a, &t.b);
    t.two.wait_state("MASTER", SOON);
    t.one.wait_state("MASTER", SOON);
    t.b.wait_has(flavour.vip, SOON);
    assert!(t.a.has(flavour.vip), "both sides are Active");
    // Past the announcements that follow b's becoming Active.
    let healed = Instant::now();
    t.lab.heal();
    assert_eq!(t.sole_active(), "a", "the higher priority stays");
    t.two.wait_state("BACKUP", SOON);
    let last = t.lab.wire().last(|s| s.is_claim_of("b")).map(|s| s.at.saturating_duration_since(healed));
    assert!(last.is_none_or(|d| d < flavour.interval * 3), "b yields at a's first advert: {last:?}");
    let announced = |s: &crate::support::Sighting| s.is_announcement_of("a", flavour.vip);
    t.lab.wire().wait("an announcement of the survivor", healed, SOON, announced);
}

#[test]
fn a_parted_network_heals_to_one_active_that_announces_itself() {
    heals(V3);
}

#[test]
fn a_parted_network_heals_to_one_active_that_announces_itself_ipv6() {
    heals(V3_IPV6);
}

#[test]
fn an_occasional_lost_advert_changes_nothing() {
    let t = Two::start(V3, "", "");
    let start = Instant::now();
    // One advert in ten: three in a row, which is what it takes, are one case in a thousand.
    t.lab.lose(10);
    t.lab.wire().wait_many("adverts of a", 20, start, SOON, |s| s.is_claim_of("a"));
    t.lab.heal();
    assert_eq!(t.sole_active(), "a");
    assert_eq!(t.one.instance()["state"], "MASTER");
}

#[test]
fn an_address_removed_by_hand_comes_back_without_a_transition() {
    let mut t = Two::start(V3, "", "");
    let before = t.one.instance();
    let removed = Instant::now();
    t.a.ns().ip("addr del 192.0.2.254/24 dev eth0");
    t.a.wait_has(VIP4, SOON);
    t.lab.wire().wait_many("adverts of a", 5, removed, SOON, |s| s.is_claim_of("a"));
    let after = t.one.instance();
    assert_eq!(after["transitions"], before["transitions"], "no transition for it: {after:#}");
    assert_eq!(t.lab.wire().count(removed, |s| s.from == "b" && s.advert().is_some()), 0);
    t.one.wait_state("MASTER", SOON);
    t.two.wait_state("BACKUP", SOON);
}

#[test]
fn the_actives_interface_is_deleted_and_made_anew() {
    let mut t = Two::start(V3, "", "");
    t.a.delete_interface();
    t.one.wait_state("FAULT", SOON);
    t.two.wait_state("MASTER", SOON);
    t.a.create_interface();
    assert_eq!(t.sole_active(), "a", "it preempts when its interface is back");
    t.one.wait_state("MASTER", SOON);
    t.two.wait_state("BACKUP", SOON);
}

#[test]
fn the_backups_interface_is_deleted_and_made_anew() {
    let mut t = Two::start(V3, "", "");
    let start = Instant::now();
    t.b.delete_interface();
    t.two.wait_state("FAULT", SOON);
    t.b.create_interface();
    t.two.wait_state("BACKUP", SOON);
    t.lab.wire().wait_many("adverts of a", 10, Instant::now(), SOON, |s| s.is_claim_of("a"));
    let adverts = t.lab.wire().count(start, |s| s.from == "b" && s.advert().is_some());
    assert_eq!(adverts, 0, "it joined the group again and hears a");
    t.a.vanish();
    t.two.wait_state("MASTER", SOON);
    t.b.wait_has(VIP4, SOON);
}

#[test]
fn an_interface_set_down_and_up_is_a_fault_and_no_more() {
    let mut t = Two::start(V3_IPV6, "", "");
    t.a.ns().ip("link set eth0 down");
    t.one.wait_state("FAULT", SOON);
    t.two.wait_state("MASTER", SOON);
    t.a.ns().ip("link set eth0 up");
    // Going down took its IPv6 addresses along; without a link-local one it must not advertise.
    t.a.ns().ip("addr add fe80::1/64 dev eth0 nodad");
    assert_eq!(t.sole_active(), "a");
}

#[test]
fn a_missing_interface_is_waited_for_and_said_once() {
    let (lab, a, _b, _client) = Lab::trio();
    let config = lan("version 3 advert 20cs priority 150").replace("eth0", "eth9");
    let mut one = Picovrrp::start(&a, &config);
    one.wait_state("FAULT", SOON);
    let said = one.process.log_lines("interface");
    assert_eq!(said, 1, "it says once what is missing:\n{}", one.process.log());
    observe(ms(2500));
    assert_eq!(one.process.log_lines("interface"), said, "and goes on about it:\n{}", one.process.log());
    let start = Instant::now();
    a.create_link("eth9", "to-a9");
    a.ns().ip("addr del 192.0.2.1/24 dev eth0");
    a.ns().ip("addr add 192.0.2.1/24 dev eth9");
    one.wait_state("MASTER", SOON);
    a.wait_has(VIP4, SOON);
    lab.wire().wait("an advert of a", start, SOON, |s| s.is_claim_of("a"));
}

#[test]
fn the_source_follows_the_interfaces_address_and_is_never_a_virtual_one() {
    let (lab, a, _b, _client) = Lab::trio();
    a.ns().sysctl("net/ipv4/conf/eth0/promote_secondaries", "1");
    let _one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    a.wait_has(VIP4, SOON);
    a.ns().ip("addr add 192.0.2.33/24 dev eth0");
    a.ns().ip("addr del 192.0.2.1/24 dev eth0");
    let changed = Instant::now();
    let now = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 33));
    lab.wire().wait_many("adverts from the new address", 5, changed, SOON, |s| {
        s.is_claim_of("a") && s.advert().is_some_and(|a| a.source == now)
    });
    assert_eq!(lab.wire().count(changed, |s| s.advert().is_some_and(|a| a.source == VIP4)), 0);
    a.wait_has(VIP4, SOON);
}

#[test]
fn a_router_whose_interface_had_no_ipv6_hears_the_other_when_it_has() {
    let (lab, a, b, _client) = Lab::trio();
    let _two = Picovrrp::start_until(&b, &V3_IPV6.config("priority 200"), "MASTER");
    // Below 1280 the kernel has no IPv6 there, and takes no membership of a group.
    a.ns().ip("link set eth0 mtu 1200");
    let mut one = Picovrrp::start_until(&a, &V3_IPV6.config("priority 150"), "FAULT");
    let start = Instant::now();
    a.ns().ip("link set eth0 mtu 1500");
    a.ns().ip("addr replace fe80::1/64 dev eth0 nodad");
    one.wait_state("BACKUP", SOON);
    lab.wire().wait_many("adverts of b", 8, Instant::now(), SOON, |s| s.is_claim_of("b"));
    assert_eq!(lab.wire().count(start, |s| s.is_claim_of("a")), 0, "a does not hear b");
}

#[test]
fn the_users_own_addresses_survive_the_removal_of_ours() {
    // The virtual address is the first of its subnet on `aux`; the user's own comes behind it.
    let (_lab, a, _b, _client) = Lab::trio();
    a.create_link("aux", "aux-a");
    a.ns().sysctl("net/ipv4/conf/aux/promote_secondaries", "0");
    let config = lan("version 3 advert 20cs priority 150 address 10.0.0.1/24 dev aux");
    let mut one = Picovrrp::start_until(&a, &config, "MASTER");
    crate::support::wait_until("ours is on aux", SOON, || a.ns().ip("addr show dev aux").contains("10.0.0.1/24"));
    a.ns().ip("addr add 10.0.0.9/24 dev aux");
    one.terminate();
    assert!(one.process.wait_exit(SOON).success());
    let left = a.ns().ip("addr show dev aux");
    assert!(left.contains("10.0.0.9/24") && !left.contains("10.0.0.1/24"), "{left}");
}
