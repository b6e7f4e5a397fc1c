//! picovrrp and keepalived share an address: each as Active, each as Backup.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::support::keepalived::{self, Instance};
use crate::support::picovrrp::{lan, lan6};
use crate::support::process::{Process, Signal};
use crate::support::{Lab, Node, Picovrrp, Pinger, SOON, VIP4, VIP6, ms};

/// One protocol, as both sides write it.
struct Dialect {
    /// picovrrp's configuration with these further properties.
    ours: fn(&str) -> String,
    /// keepalived's instance with this priority.
    theirs: fn(u8) -> Instance,
    vip: IpAddr,
    /// The skew time of priority 100.
    skew: Duration,
}

const V2: Dialect = Dialect {
    ours: |more| lan(&format!("version 2 advert 1s {more}")),
    theirs: |priority| Instance::lan(2, priority, "1"),
    vip: VIP4,
    skew: ms(609),
};

const V2_PASSWORD: Dialect = Dialect {
    ours: |more| lan(&format!("version 2 advert 1s auth pass s3cret {more}")),
    theirs: |priority| Instance::lan(2, priority, "1").with("authentication {\nauth_type PASS\nauth_pass s3cret\n}"),
    ..V2
};

/// keepalived's default: the pseudo-header is in the checksum.
const V3_PSEUDO: Dialect = Dialect {
    ours: |more| lan(&format!("version 3 advert 20cs checksum pseudo {more}")),
    theirs: |priority| Instance::lan(3, priority, "0.2"),
    vip: VIP4,
    skew: ms(121),
};

const V3_IPV6: Dialect = Dialect {
    ours: |more| lan6(&format!("version 3 advert 20cs {more}")),
    theirs: |priority| Instance::lan6(priority, "0.2"),
    vip: VIP6,
    ..V3_PSEUDO
};

/// We speak both versions, keepalived the old one.
const BOTH_V2: Dialect = Dialect {
    ours: |more| lan(&format!("version 2+3 advert 1s auth pass s3cret checksum pseudo {more}")),
    ..V2_PASSWORD
};

/// The same, and keepalived the new one.
const BOTH_V3: Dialect =
    Dialect { ours: BOTH_V2.ours, theirs: |priority| Instance::lan(3, priority, "1"), vip: VIP4, skew: ms(609) };

/// picovrrp on a and keepalived on b.
struct Mixed {
    ours: Picovrrp,
    theirs: Process,
    a: Node,
    b: Node,
    client: Node,
    lab: Lab,
    dialect: Dialect,
}

impl Mixed {
    /// Whoever has the higher priority starts first, and is Active before the other starts.
    fn start(dialect: Dialect, our_priority: u8, their_priority: u8) -> Self {
        Self::start_with(dialect, our_priority, their_priority, "", "", our_priority > their_priority)
    }

    fn start_with(
        dialect: Dialect,
        our_priority: u8,
        their_priority: u8,
        our_more: &str,
        their_more: &str,
        we_first: bool,
    ) -> Self {
        let (lab, a, b, client) = Lab::trio();
        let config = (dialect.ours)(&format!("priority {our_priority} {our_more}"));
        let instance = (dialect.theirs)(their_priority).with(their_more);
        assert!(instance.carries(dialect.vip), "both sides are given the same address");
        let (ours, theirs);
        if we_first {
            ours = Picovrrp::start_until(&a, &config, "MASTER");
            theirs = keepalived::start(&b, &instance);
        } else {
            let start = Instant::now();
            theirs = keepalived::start(&b, &instance);
            lab.wire().wait("an advert of keepalived", start, SOON, |s| s.is_claim_of("b"));
            b.wait_has(dialect.vip, SOON);
            ours = Picovrrp::start(&a, &config);
        }
        Mixed { ours, theirs, a, b, client, lab, dialect }
    }

    /// keepalived hears us when it has been up for a while and is silent.
    fn both_settled(&mut self) {
        crate::support::wait_until("keepalived is up", SOON, || self.theirs.log().contains("Startup complete"));
        crate::support::wait_until("picovrrp answers", SOON, || self.ours.status().is_some());
    }

    #[track_caller]
    fn sole_active(&self) -> &str {
        self.lab.wait_sole_active(&[&self.a, &self.b], self.dialect.vip, SOON).name()
    }

    fn adverts_since(&self, node: &str, since: Instant) -> usize {
        self.lab.wire().count(since, |s| s.from == node && s.advert().is_some())
    }
}

/// picovrrp is Active and keepalived stays Backup; picovrrp vanishes, keepalived takes over, and
/// gives way when picovrrp is back.
fn we_lead(dialect: Dialect) {
    let mut m = Mixed::start(dialect, 150, 100);
    let start = Instant::now();
    m.both_settled();
    m.lab.wire().wait_many("our adverts", 5, Instant::now(), SOON, |s| s.is_claim_of("a"));
    assert_eq!(m.adverts_since("b", start), 0, "keepalived accepts our adverts:\n{}", m.theirs.log());
    assert_eq!(m.sole_active(), "a");
    let cut = Instant::now();
    m.a.vanish();
    m.lab.wire().wait("an advert of keepalived", cut, SOON, |s| s.is_claim_of("b"));
    m.b.wait_has(m.dialect.vip, SOON);
    Pinger::start(m.client.ns(), m.dialect.vip).wait_answer(Instant::now(), SOON);
    m.a.reappear();
    assert_eq!(m.sole_active(), "a", "keepalived yields to our higher priority");
    m.ours.wait_state("MASTER", SOON);
}

/// keepalived is Active and picovrrp stays Backup; keepalived vanishes, picovrrp takes over, and
/// gives way when keepalived is back.
fn they_lead(dialect: Dialect) {
    let mut m = Mixed::start(dialect, 100, 150);
    m.ours.wait_state("BACKUP", SOON);
    let start = Instant::now();
    m.lab.wire().wait_many("keepalived's adverts", 5, start, SOON, |s| s.is_claim_of("b"));
    assert_eq!(m.adverts_since("a", start), 0, "we accept keepalived's adverts");
    assert_eq!(m.sole_active(), "b");
    m.b.vanish();
    m.ours.wait_state("MASTER", SOON);
    m.a.wait_has(m.dialect.vip, SOON);
    Pinger::start(m.client.ns(), m.dialect.vip).wait_answer(Instant::now(), SOON);
    m.b.reappear();
    assert_eq!(m.sole_active(), "b", "we yield to keepalived's higher priority");
    m.ours.wait_state("BACKUP", SOON);
}

macro_rules! both_roles {
    ($($dialect:ident => $lead:ident, $follow:ident;)*) => { $(
        #[test]
        fn $lead() {
            we_lead($dialect);
        }

        #[test]
        fn $follow() {
            they_lead($dialect);
        }
    )* };
}

both_roles! {
    V2 => v2_picovrrp_leads, v2_keepalived_leads;
    BOTH_V2 => both_versions_beside_v2_picovrrp_leads, both_versions_beside_v2_keepalived_leads;
    BOTH_V3 => both_versions_beside_v3_picovrrp_leads, both_versions_beside_v3_keepalived_leads;
    V2_PASSWORD => v2_with_password_picovrrp_leads, v2_with_password_keepalived_leads;
    V3_PSEUDO => v3_pseudo_header_picovrrp_leads, v3_pseudo_header_keepalived_leads;
    V3_IPV6 => v3_ipv6_picovrrp_leads, v3_ipv6_keepalived_leads;
}

/// keepalived 2.2.7 sends and accepts the pseudo-header's form alone; what we send does not change
/// what we accept.
#[test]
fn we_follow_keepalived_whichever_checksum_we_send() {
    for ours in ["plain", "pseudo"] {
        let (lab, a, b, _client) = Lab::trio();
        let start = Instant::now();
        let _theirs = keepalived::start(&b, &Instance::lan(3, 150, "0.2"));
        lab.wire().wait("an advert of keepalived", start, SOON, |s| s.is_claim_of("b"));
        let start = Instant::now();
        let config = lan(&format!("version 3 advert 20cs checksum {ours} priority 100"));
        let us = Picovrrp::start_until(&a, &config, "BACKUP");
        lab.wire().wait_many("keepalived's adverts", 8, start, SOON, |s| s.is_claim_of("b"));
        let spoke = lab.wire().count(start, |s| s.from == "a" && s.advert().is_some());
        assert_eq!(spoke, 0, "we are set to send {ours}");
        assert!(us.stat("checksum_pseudo_rcvd") > 0 && us.stat("checksum_plain_rcvd") == 0, "{:#}", us.instance());
    }
}

/// With our default checksum keepalived 2.2.7 does not hear us: the peer's form is in the log, so
/// that the remedy can be found.
#[test]
fn a_checksum_that_keepalived_does_not_take_is_told_by_the_form_it_uses() {
    let (lab, a, b, _client) = Lab::trio();
    let us = Picovrrp::start_until(&a, &lan("version 3 advert 20cs checksum plain priority 150"), "MASTER");
    let theirs = keepalived::start(&b, &Instance::lan(3, 100, "0.2"));
    lab.wire().wait("an advert of keepalived", Instant::now(), SOON, |s| s.is_claim_of("b"));
    assert!(theirs.log().contains("Invalid VRRPv3 checksum"), "{}", theirs.log());
    crate::support::wait_until("the log names the form", SOON, || us.process.log_lines("pseudo-header") > 0);
}

#[test]
fn a_wrong_password_makes_two_actives_and_is_counted() {
    let (lab, a, b, _client) = Lab::trio();
    let start = Instant::now();
    let _theirs = keepalived::start(&b, &(V2_PASSWORD.theirs)(150));
    lab.wire().wait("an advert of keepalived", start, SOON, |s| s.is_claim_of("b"));
    let config = lan("version 2 advert 1s auth pass other priority 100");
    let us = Picovrrp::start_until(&a, &config, "MASTER");
    assert!(us.stat("auth_failure") > 0, "what we did not believe is counted");
}

#[test]
fn our_priority_0_makes_keepalived_take_over_after_its_skew() {
    for dialect in [V2, V3_PSEUDO, V3_IPV6] {
        let mut m = Mixed::start(dialect, 150, 100);
        m.both_settled();
        m.lab.wire().wait_many("our adverts", 2, Instant::now(), SOON, |s| s.is_claim_of("a"));
        let order = Instant::now();
        m.ours.terminate();
        let farewell = m.lab.wire().wait("our priority 0", order, SOON, |s| s.is_farewell_of("a"));
        let claim = m.lab.wire().wait("an advert of keepalived", order, SOON, |s| s.is_claim_of("b"));
        let took = claim.at - farewell.at;
        assert!(took >= m.dialect.skew && took < m.dialect.skew + ms(300), "keepalived took {took:?}");
        assert_eq!(m.ours.process.wait_exit(SOON).code(), Some(0));
        assert_eq!(m.sole_active(), "b");
    }
}

#[test]
fn keepaliveds_priority_0_makes_us_take_over_after_our_skew() {
    for dialect in [V2, V3_PSEUDO, V3_IPV6] {
        let mut m = Mixed::start(dialect, 100, 150);
        m.ours.wait_state("BACKUP", SOON);
        m.lab.wire().wait_many("keepalived's adverts", 2, Instant::now(), SOON, |s| s.is_claim_of("b"));
        let order = Instant::now();
        m.theirs.signal(Signal::TERM);
        let farewell = m.lab.wire().wait("keepalived's priority 0", order, SOON, |s| s.is_farewell_of("b"));
        let claim = m.lab.wire().wait("our advert", order, SOON, |s| s.is_claim_of("a"));
        let took = claim.at - farewell.at;
        assert!(took >= m.dialect.skew && took < m.dialect.skew + ms(300), "we took {took:?}");
        assert_eq!(m.sole_active(), "a");
        assert!(m.ours.stat("priority_zero_pkts_rcvd") > 0);
    }
}

#[test]
fn we_preempt_keepalived() {
    let m = Mixed::start_with(V3_PSEUDO, 150, 100, "preempt on", "", false);
    assert_eq!(m.sole_active(), "a");
}

#[test]
fn we_do_not_preempt_keepalived_when_told_not_to() {
    let mut m = Mixed::start_with(V3_PSEUDO, 150, 100, "preempt off", "", false);
    m.ours.wait_state("BACKUP", SOON);
    let start = Instant::now();
    m.lab.wire().wait_many("keepalived's adverts", 15, start, SOON, |s| s.is_claim_of("b"));
    assert_eq!(m.adverts_since("a", start), 0);
}

#[test]
fn keepalived_preempts_us() {
    let mut m = Mixed::start_with(V3_PSEUDO, 100, 150, "", "", true);
    assert_eq!(m.sole_active(), "b");
    m.ours.wait_state("BACKUP", SOON);
}

#[test]
fn keepalived_does_not_preempt_us_when_told_not_to() {
    let mut m = Mixed::start_with(V3_PSEUDO, 100, 150, "", "nopreempt", true);
    m.both_settled();
    let start = Instant::now();
    m.lab.wire().wait_many("our adverts", 15, start, SOON, |s| s.is_claim_of("a"));
    assert_eq!(m.adverts_since("b", start), 0, "{}", m.theirs.log());
}

/// Two Actives of equal priority meet when a parted bridge heals: the higher address stays.
#[test]
fn of_equal_priorities_the_higher_address_wins_on_either_side() {
    for dialect in [V3_PSEUDO, V3_IPV6] {
        for we_are_higher in [true, false] {
            let lab = Lab::new();
            let (ours, theirs) = if we_are_higher { (9, 2) } else { (1, 2) };
            let (a, b) = (lab.node("a", ours), lab.node("b", theirs));
            lab.part(&a, &b);
            let start = Instant::now();
            let _theirs = keepalived::start(&b, &(dialect.theirs)(100));
            let _ours = Picovrrp::start_until(&a, &(dialect.ours)("priority 100"), "MASTER");
            lab.wire().wait("an advert of keepalived", start, SOON, |s| s.is_claim_of("b"));
            b.wait_has(dialect.vip, SOON);
            lab.heal();
            let expected = if we_are_higher { "a" } else { "b" };
            assert_eq!(lab.wait_sole_active(&[&a, &b], dialect.vip, SOON).name(), expected);
        }
    }
}

/// keepalived itself costs the client 610 ms here; we hold the address until keepalived speaks.
#[test]
fn a_planned_handover_to_keepalived_costs_the_client_nothing() {
    let mut m = Mixed::start(V2, 150, 100);
    m.both_settled();
    m.lab.wire().wait_many("our adverts", 2, Instant::now(), SOON, |s| s.is_claim_of("a"));
    let pinger = Pinger::start(m.client.ns(), VIP4);
    let start = pinger.wait_answer(Instant::now(), SOON);
    m.ours.terminate();
    let claim = m.lab.wire().wait("an advert of keepalived", start, SOON, |s| s.is_claim_of("b"));
    assert_eq!(m.ours.process.wait_exit(SOON).code(), Some(0));
    pinger.wait_answer(claim.at + ms(200), SOON);
    assert_eq!(m.sole_active(), "b");
    let silence = pinger.stop().longest_silence(start);
    assert!(silence <= ms(30), "the client waited {silence:?}");
}
