//! Deadlines: what is served together, what never is, and what waits.

use super::*;

fn actives(n: usize, advert: u16) -> Vec<Spec> {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    const ADDRESSES: [&str; 4] = ["192.0.2.250/24", "192.0.2.251/24", "192.0.2.252/24", "192.0.2.253/24"];
    let one = |i: usize| Spec {
        name: NAMES[i],
        vrid: 51 + i as u8,
        priority: 255,
        advert,
        addresses: vec![ADDRESSES[i]],
        garp: Garp { delay: Micros::ZERO, repeat: 1, ..Garp::default() },
        ..spec()
    };
    (0..n).map(one).collect()
}

/// Instance `i` of `specs` is made Active `us` after the others by a reload that adds it.
fn staggered(specs: &[Spec], us: u64) -> Lab {
    let mut l = Lab::new(&specs[..1]);
    for n in 2..=specs.len() {
        l.now = l.now + Micros(us);
        l.reload(config(&specs[..n]));
        l.event(Event::Start);
    }
    l.took();
    l
}

/// Adverts due within 2 ms of each other: one wake-up serves them, and each keeps its own rhythm.
#[test]
fn served_together() {
    let mut l = staggered(&actives(3, 100), 900);
    let first = T0 + Micros::from_secs(1);
    for second in 0..3 {
        assert_eq!(l.r.next_deadline(), Some(first + Micros::from_secs(second)));
        l.fire();
        assert_eq!(of_kind(&l.took().into_iter().map(|d| (0, d)).collect::<Vec<_>>(), "advert").len(), 3);
    }
}

/// More than 2 ms apart, or faster than 50 cs: each by itself.
#[test]
fn served_apart() {
    for (advert, us) in [(100, 2_100), (49, 900)] {
        let mut l = staggered(&actives(2, advert), us);
        for _ in 0..4 {
            l.fire();
            assert_eq!(l.took().len(), 1, "{advert} cs, {us} µs");
        }
    }
}

/// An Active_Down_Timer is never early, not even when the daemon is awake a microsecond before.
#[test]
fn down_timers_are_never_early() {
    let mut specs = actives(2, 100);
    specs[1].priority = 100;
    let mut l = Lab::new(&specs);
    let down = T0 + Micros(3_609_375);
    for us in [2_000, 1_000, 1] {
        l.now = down - Micros(us);
        l.event(Event::Timeout { drained: true });
        assert!(matches!(l.r.election_state(1), Some(State::Backup { .. })), "{us} µs early");
    }
    l.now = down;
    l.event(Event::Timeout { drained: true });
    assert!(matches!(l.r.election_state(1), Some(State::Active { .. })));
}

/// Before the sockets are read to their end no Active_Down_Timer fires; adverts that are due leave.
#[test]
fn not_drained() {
    let mut specs = actives(2, 100);
    specs[1].priority = 100;
    let mut l = Lab::new(&specs);
    l.took();
    l.now = l.now + Micros::from_secs(9);
    l.event(Event::Timeout { drained: false });
    let did = l.took();
    assert!(did[0].starts_with("advert 255 of 0") && did.iter().all(|d| !d.contains("MASTER")), "{did:?}");
    // What had come in the meantime counts first.
    l.r.handle(Event::Timeout { drained: false }, l.now, &mut |_: Action<'_>| panic!("nothing more is due"));
    let m = {
        let peer = Lab::new(&specs[1..]);
        peer.message(200, 100, PEER, "224.0.0.18")
    };
    l.receive(PEER, "224.0.0.18", 255, &m);
    l.took();
    l.event(Event::Timeout { drained: true });
    assert_eq!(l.took(), [""; 0]);
    assert!(matches!(l.r.election_state(1), Some(State::Backup { .. })));
}

/// The start-up delay: nothing starts before it, whatever else happens.
#[test]
fn startup_delay() {
    let mut c = config(&[spec()]);
    c.startup_delay = Micros::from_secs(10);
    let mut l = Lab::of(c);
    assert_eq!(l.took(), ["rebind 2 V4", "rebind 2 V6"]);
    assert_eq!(l.r.next_deadline(), Some(T0 + Micros::from_secs(10)));
    l.link(ETH0, "eth0", false);
    l.link(ETH0, "eth0", true);
    l.event(Event::Start);
    l.now = T0 + Micros(9_999_999);
    l.event(Event::Timeout { drained: true });
    assert_eq!(l.state(), State::Initialize);
    l.took();
    l.fire();
    assert_eq!(l.took(), ["INIT to BACKUP"]);
    assert_eq!(l.r.next_deadline(), Some(T0 + Micros::from_secs(10) + Micros(3_609_375)));
}

/// `preempt off`: a lower Active is left alone. `on`: it is preempted when the timer fires.
#[test]
fn preempt_on_and_off() {
    for (preempt, takes_over) in [(Preempt::On, true), (Preempt::Off, false)] {
        let mut l = Lab::new(&[Spec { preempt, ..spec() }]);
        for _ in 0..20 {
            l.run_ms(T0, 1000);
            l.hear(50, PEER);
        }
        assert_eq!(l.is_active(), takes_over);
        if takes_over {
            assert_eq!(l.r.view(0).unwrap().reason.name(), "preempted");
        }
    }
}

/// `preempt after`: counted from the first lower advert, then the timer runs out.
#[test]
fn preempt_after() {
    let mut l = Lab::new(&[Spec { preempt: Preempt::After(Micros::from_secs(5)), ..spec() }]);
    let mut taken = None;
    for s in 0..20 {
        l.hear(50, PEER);
        let all = l.run_ms(T0, 1000);
        taken = taken.or(all.iter().find(|(_, d)| d == "BACKUP to MASTER").map(|(t, _)| *t));
        assert!(taken.is_none() || s >= 5, "{s}");
    }
    // The last advert that counted came at 4 s.
    assert_eq!(taken, Some(4000 + 3609));
}

/// keepalived's `state MASTER` clears `preempt off`.
#[test]
fn start_master_preempts() {
    let mut c = config(&[Spec { preempt: Preempt::Off, ..spec() }]);
    c.instances[0].start = Start::Master;
    let mut l = Lab::of(c);
    for _ in 0..6 {
        l.hear(50, PEER);
        l.run_ms(T0, 1000);
    }
    assert!(l.is_active());
}

/// A stall of the Active is not made up for.
#[test]
fn stalled() {
    let mut l = Lab::active(&[spec()]);
    l.now = l.now + Micros::from_secs(30);
    l.event(Event::Timeout { drained: true });
    let adverts = l.took().iter().filter(|d| d.starts_with("advert")).count();
    assert_eq!(adverts, 1);
}
