//! picovrrp and FRR's vrrpd, which speaks version 3 here and answers from a macvlan with the
//! virtual router's MAC.

use std::time::Instant;

use crate::support::frr::{self, Family};
use crate::support::picovrrp::{lan, lan6};
use crate::support::{Lab, Picovrrp, Pinger, SOON, VIP4, VIP6, ms};

fn ours(family: Family, priority: u8) -> String {
    let properties = format!("version 3 advert 20cs priority {priority}");
    match family {
        Family::Ipv4 => lan(&format!("{properties} checksum pseudo")),
        // FRR advertises the address alone, without the link-local one.
        Family::Ipv6 => lan6(&properties),
    }
}

fn frr_leads(family: Family) {
    frr_leads_in(3, family, 200, &|priority| ours(family, priority));
}

fn frr_leads_in(version: u8, family: Family, interval: u32, ours: &dyn Fn(u8) -> String) {
    let (lab, a, b, client) = Lab::trio();
    let start = Instant::now();
    let _frr = frr::start_version(&b, version, family, 150, interval);
    lab.wire().wait("an advert of FRR", start, SOON, |s| s.is_claim_of("b"));
    let mut ours = Picovrrp::start_until(&a, &ours(100), "BACKUP");
    let start = Instant::now();
    lab.wire().wait_many("FRR's adverts", 8, start, SOON, |s| s.is_claim_of("b"));
    assert_eq!(lab.wire().count(start, |s| s.from == "a" && s.advert().is_some()), 0, "we accept FRR's adverts");
    b.vanish();
    ours.wait_state("MASTER", SOON);
    let vip = if family == Family::Ipv4 { VIP4 } else { VIP6 };
    Pinger::start(client.ns(), vip).wait_answer(Instant::now(), SOON);
    b.reappear();
    ours.wait_state("BACKUP", SOON);
}

fn we_lead(family: Family) {
    we_lead_in(3, family, 200, &|priority| ours(family, priority));
}

fn we_lead_in(version: u8, family: Family, interval: u32, ours: &dyn Fn(u8) -> String) {
    let (lab, a, b, client) = Lab::trio();
    let mut ours = Picovrrp::start_until(&a, &ours(150), "MASTER");
    let start = Instant::now();
    let frr = frr::start_version(&b, version, family, 100, interval);
    // It is Backup when it has heard us; until then it could not know our interval.
    crate::support::wait_until("vrrpd is Backup", SOON, || frr.vrrpd.log().contains("Backup"));
    lab.wire().wait_many("our adverts", 10, Instant::now(), SOON, |s| s.is_claim_of("a"));
    assert_eq!(lab.wire().count(start, |s| s.is_claim_of("b")), 0, "FRR accepts our adverts:\n{}", frr.vrrpd.log());
    let cut = Instant::now();
    a.vanish();
    lab.wire().wait("an advert of FRR", cut, SOON, |s| s.is_claim_of("b"));
    let vip = if family == Family::Ipv4 { VIP4 } else { VIP6 };
    Pinger::start(client.ns(), vip).wait_answer(Instant::now(), SOON);
    let back = Instant::now();
    a.reappear();
    ours.wait_state("MASTER", SOON);
    crate::support::wait_until("FRR yields", SOON, || {
        let last = |node| lab.wire().last(|s| s.is_claim_of(node)).map(|s| s.at);
        last("b").is_none_or(|b| b < back || last("a").is_some_and(|a| a > b + ms(u64::from(interval)) * 3))
    });
}

fn ours_interval() -> std::time::Duration {
    crate::support::V3.interval
}

#[test]
fn v3_frr_leads() {
    frr_leads(Family::Ipv4);
}

#[test]
fn v3_picovrrp_leads() {
    we_lead(Family::Ipv4);
}

#[test]
fn v3_ipv6_frr_leads() {
    frr_leads(Family::Ipv6);
}

#[test]
fn v3_ipv6_picovrrp_leads() {
    we_lead(Family::Ipv6);
}

fn both(priority: u8) -> String {
    lan(&format!("version 2+3 advert 1s checksum pseudo priority {priority}"))
}

#[test]
fn both_versions_beside_v2_frr_leads() {
    frr_leads_in(2, Family::Ipv4, 1000, &both);
}

#[test]
fn both_versions_beside_v2_picovrrp_leads() {
    we_lead_in(2, Family::Ipv4, 1000, &both);
}

#[test]
fn both_versions_beside_v3_frr_leads() {
    frr_leads_in(3, Family::Ipv4, 1000, &both);
}

#[test]
fn both_versions_beside_v3_picovrrp_leads() {
    we_lead_in(3, Family::Ipv4, 1000, &both);
}

#[test]
fn frrs_farewell_is_heard() {
    let (lab, a, b, _client) = Lab::trio();
    let start = Instant::now();
    let mut theirs = frr::start(&b, Family::Ipv4, 150, 200);
    lab.wire().wait("an advert of FRR", start, SOON, |s| s.is_claim_of("b"));
    let mut ours = Picovrrp::start_until(&a, &ours(Family::Ipv4, 100), "BACKUP");
    lab.wire().wait_many("FRR's adverts", 3, Instant::now(), SOON, |s| s.is_claim_of("b"));
    let order = Instant::now();
    theirs.vrrpd.signal(crate::support::process::Signal::TERM);
    theirs.vrrpd.wait_exit(SOON);
    ours.wait_state("MASTER", SOON);
    let farewell = lab.wire().wait("FRR's priority 0", order, SOON, |s| s.is_farewell_of("b"));
    let claim = lab.wire().wait("our advert", order, SOON, |s| s.is_claim_of("a"));
    assert!(claim.at - farewell.at < ours_interval() * 2, "the farewell shortened the wait");
}
