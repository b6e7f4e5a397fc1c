//! `interface-delay`: a change of a link counts when it has lasted; `track-primary off`: it does not
//! count at all.

use super::*;
use crate::config::model::LinkDelay;
use crate::router::event::{CheckId, CheckResult, Fault};

/// With delays: interface, down and up in milliseconds.
fn delayed(mut c: Box<Config>, delays: &[(&str, u64, u64)]) -> Box<Config> {
    for (interface, down, up) in delays {
        let interface = c.strings.add(interface).unwrap();
        let (down, up) = (Micros::from_millis(*down), Micros::from_millis(*up));
        c.link_delays.push(LinkDelay { interface, down, up }).unwrap();
    }
    c
}

/// Active on an eth0 with these delays.
fn active(specs: &[Spec], down: u64, up: u64) -> Lab {
    let mut l = Lab::of(delayed(config(specs), &[("eth0", down, up)]));
    while !l.is_active() {
        l.fire();
    }
    l.took();
    l
}

fn fault(l: &Lab) -> Option<Fault> {
    l.r.view(0).unwrap().fault
}

/// Input: the cable out for longer than the delay, and in again. Output: adverts go on until the delay
/// has passed, then Fault; Backup when the other has.
#[test]
fn a_loss_that_lasts_counts_when_it_has_lasted() {
    let mut l = active(&[spec()], 1500, 400);
    let lost = l.now;
    l.link(ETH0, "eth0", false);
    assert_eq!((l.took(), fault(&l)), (vec![], None));
    let all = l.run_ms(lost, 1499);
    assert_eq!(of_kind(&all, "advert"), [1000], "{all:?}");
    assert!(l.is_active());
    let all = l.run_ms(lost, 10_000);
    assert_eq!(all[0], (1500, "remove 192.0.2.254/24 on 2".to_owned()));
    assert_eq!((all.len(), fault(&l)), (2, Some(Fault::InterfaceDown)));
    assert_eq!(l.r.next_deadline(), None);
    let back = l.now;
    l.link(ETH0, "eth0", true);
    assert_eq!(l.took(), ["rebind 2 V4", "rebind 2 V6"]);
    assert_eq!(l.run_ms(back, 399), []);
    let all = l.run_ms(back, 1);
    assert_eq!(all, [(400, "rebind 2 V4".to_owned()), (400, "FAULT to BACKUP".to_owned())]);
}

/// Input: flaps, each shorter than the delay. Output: nothing counts, however often; what hangs on the
/// wire is told again who has the address.
#[test]
fn what_does_not_last_does_not_count() {
    let mut l = active(&[spec()], 1500, 0);
    l.run_ms(T0, 10_000);
    for _ in 0..20 {
        let lost = l.now;
        l.link(ETH0, "eth0", false);
        let all = l.run_ms(lost, 1400);
        assert!(all.iter().all(|(_, d)| d.starts_with("advert ") || d.starts_with("announce ")), "{all:?}");
        l.link(ETH0, "eth0", true);
        assert_eq!(l.took(), ["rebind 2 V4", "rebind 2 V6", "announce 192.0.2.254 on 2"]);
        l.run_ms(lost, 300);
        assert!(l.is_active() && fault(&l).is_none());
    }
    // A return does not count either until it has lasted, and a loss in between begins anew.
    let mut l = active(&[spec()], 0, 1500);
    l.link(ETH0, "eth0", false);
    assert_eq!(l.took().last().unwrap(), "MASTER to FAULT");
    for _ in 0..5 {
        l.link(ETH0, "eth0", true);
        l.run_ms(T0, 1400);
        l.link(ETH0, "eth0", false);
        assert_eq!((fault(&l), l.r.next_deadline()), (Some(Fault::InterfaceDown), None));
    }
}

/// The same word again does not begin the delay anew.
#[test]
fn the_same_word_again() {
    let mut l = active(&[spec()], 1500, 0);
    let lost = l.now;
    l.link(ETH0, "eth0", false);
    for _ in 0..14 {
        l.run_ms(lost, 100);
        l.link(ETH0, "eth0", false);
    }
    l.run_ms(lost, 100);
    assert_eq!((fault(&l), l.now.since(lost)), (Some(Fault::InterfaceDown), Micros::from_millis(1500)));
}

/// As a driver is late, what was due long ago counts.
#[test]
fn late() {
    let mut l = active(&[spec()], 1500, 0);
    l.link(ETH0, "eth0", false);
    l.wait_ms(9000);
    l.event(Event::Timeout { drained: false });
    assert_eq!(fault(&l), Some(Fault::InterfaceDown));
}

/// At the start the link is as it is, and an interface that is gone is gone.
#[test]
fn first_sight_and_deletion() {
    let mut l = Lab::blank(delayed(config(&[spec()]), &[("eth0", 5000, 5000)]));
    l.event(Event::Start);
    l.link(ETH0, "eth0", true);
    l.has(ETH0, &["192.0.2.1/24"]);
    assert!(l.is_backup());
    l.link(ETH0, "eth0", false);
    l.event(Event::LinkGone { ifindex: ETH0 });
    assert_eq!(fault(&l), Some(Fault::NoInterface));
    // What was to count of the old one is forgotten.
    assert_eq!(l.r.next_deadline(), None);
    l.link(9, "eth0", true);
    l.has(9, &["192.0.2.1/24"]);
    assert!(l.is_backup());
    let now = l.now;
    assert!(l.run_ms(now, 3000).is_empty());
}

/// The last address of ours that goes with the link is no matter of the link's delay.
#[test]
fn without_an_address() {
    let mut l = active(&[v6()], 1500, 0);
    l.link(ETH0, "eth0", false);
    l.has(ETH0, &[]);
    assert_eq!(fault(&l), Some(Fault::NoAddress));
}

/// A tracked interface and an `interface` check look at what counts, too.
#[test]
fn tracked() {
    let spec = Spec { priority: 150, tracks: vec![("wan", -60, false)], follows: vec![("up", 0, false)], ..spec() };
    let c = with_checks(config(&[spec]), &[("up", "interface wan", 1, 1, Initial::Unknown)]);
    let mut l = Lab::blank(delayed(c, &[("wan", 700, 200)]));
    l.link(ETH0, "eth0", true);
    l.link(ETH1, "wan", true);
    l.has(ETH0, &["192.0.2.1/24"]);
    l.event(Event::Start);
    l.fire();
    assert!(l.is_active());
    l.run_ms(T0, 900);
    let lost = l.now;
    let seen = |l: &Lab| (l.r.view(0).unwrap().effective_priority, l.r.interface_result(CheckId(0)));
    l.link(ETH1, "wan", false);
    let all = l.run_ms(lost, 699);
    assert!(all.iter().all(|(_, d)| d.starts_with("advert 150 ")), "{all:?}");
    assert_eq!(seen(&l), (150, Some(CheckResult::Up)));
    l.run_ms(lost, 1);
    assert_eq!(seen(&l), (90, Some(CheckResult::Down)));
    assert_eq!(fault(&l), Some(Fault::Tracked));
    l.link(ETH1, "wan", true);
    l.run_ms(lost, 199);
    assert_eq!(seen(&l), (90, Some(CheckResult::Down)));
    l.run_ms(lost, 1);
    assert_eq!(seen(&l), (150, Some(CheckResult::Up)));
}

/// Two links at one moment: each counts for its own.
#[test]
fn two_at_once() {
    let two = Spec { name: "two", on: "eth1", vrid: 52, addresses: vec!["198.51.100.9/24"], ..spec() };
    let mut l = Lab::of(delayed(config(&[spec(), two]), &[("eth0", 500, 0), ("eth1", 500, 0)]));
    l.link(ETH1, "eth1", true);
    l.has(ETH1, &["198.51.100.1/24"]);
    l.link(ETH0, "eth0", false);
    l.link(ETH1, "eth1", false);
    l.fire();
    assert!((0..2).all(|i| l.r.view(i).unwrap().fault == Some(Fault::InterfaceDown)));
}

/// Reload: what was under way goes on; without the delay it counts with the next word of the link.
#[test]
fn reloaded() {
    for (delays, left) in
        [(&[("eth0", 1500, 0)][..], 500), (&[("eth0", 2500, 0)], 500), (&[("eth0", 200, 0)], 200), (&[], 0)]
    {
        let mut l = active(&[spec()], 1500, 0);
        l.link(ETH0, "eth0", false);
        l.run_ms(T0, 1000);
        let at = l.now;
        l.reload(delayed(config(&[spec()]), delays));
        l.link(ETH0, "eth0", false);
        l.has(ETH0, &["192.0.2.1/24", "192.0.2.254/24"]);
        l.event(Event::Start);
        while fault(&l).is_none() {
            l.fire();
        }
        assert_eq!((fault(&l), l.now.since(at)), (Some(Fault::InterfaceDown), Micros::from_millis(left)), "{delays:?}");
    }
}

/// Input: two thousand routers with any delays, on whose links anything happens at any time. Output: what
/// counts is what a model says that knows nothing of deadlines: the kernel's word, once it has stood for
/// the delay without a break.
#[test]
fn as_the_model_says() {
    struct Model {
        told: bool,
        since: Instant,
        counts: bool,
        /// Down and up, in milliseconds.
        delay: [u64; 2],
    }
    let mut seed = 1u64;
    let mut below = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let (mut counted, mut taken_back) = (0, 0);
    for _ in 0..2000 {
        let delays = [(); 4].map(|()| if below(4) == 0 { 0 } else { 1 + below(1500) });
        let spec = Spec { follows: vec![("up", -50, false)], ..spec() };
        let c = with_checks(config(&[spec]), &[("up", "interface wan", 1, 1, Initial::Unknown)]);
        let c = delayed(c, &[("eth0", delays[0], delays[1]), ("wan", delays[2], delays[3])]);
        let mut l = Lab::of(c);
        l.link(ETH1, "wan", true);
        let model = |d, u| Model { told: true, since: T0, counts: true, delay: [d, u] };
        let mut models = [model(delays[0], delays[1]), model(delays[2], delays[3])];
        for _ in 0..30 {
            l.run_ms(T0, below(2000));
            for m in &mut models {
                let stood = l.now.since(m.since) >= Micros::from_millis(m.delay[usize::from(m.told)]);
                counted += u32::from(stood && m.counts != m.told);
                m.counts = if stood { m.told } else { m.counts };
            }
            let seen = [fault(&l).is_none(), l.r.interface_result(CheckId(0)) == Some(CheckResult::Up)];
            assert_eq!(seen, [models[0].counts, models[1].counts], "after {:?}, {delays:?}", l.now.since(T0));
            let (which, up) = (below(2) as usize, below(2) == 1);
            let m = &mut models[which];
            if m.told != up {
                taken_back += u32::from(m.counts == up);
                (m.told, m.since) = (up, l.now);
            }
            let (ifindex, name) = [(ETH0, "eth0"), (ETH1, "wan")][which];
            l.link(ifindex, name, up);
        }
    }
    assert!(counted > 1000 && taken_back > 1000, "{counted} changes counted, {taken_back} were taken back");
}

/// keepalived's `dont_track_primary`: Active through the loss, and announced again at the return.
#[test]
fn without_its_own_interface() {
    let mut c = config(&[spec()]);
    c.instances[0].track_primary = false;
    let mut l = Lab::of(c);
    while !l.is_active() {
        l.fire();
    }
    l.run_ms(T0, 10_000);
    l.link(ETH0, "eth0", false);
    assert_eq!((l.took(), l.is_active(), fault(&l)), (vec![], true, None));
    l.link(ETH0, "eth0", true);
    assert_eq!(l.took(), ["rebind 2 V4", "rebind 2 V6", "announce 192.0.2.254 on 2"]);
    l.has(ETH0, &["192.0.2.254/24"]);
    assert_eq!(fault(&l), Some(Fault::NoAddress));
    l.event(Event::LinkGone { ifindex: ETH0 });
    assert_eq!(fault(&l), Some(Fault::NoInterface));
}
