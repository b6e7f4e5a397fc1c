//! Another configuration in place of the running one: only the difference is felt.

use super::*;

/// Reload as the driver does it: links and addresses are told again, then `Start`.
fn reload(l: &mut Lab, specs: &[Spec], addresses: &[&str]) -> Vec<String> {
    l.took();
    l.reload(config(specs));
    l.link(ETH0, "eth0", true);
    l.has(ETH0, addresses);
    l.event(Event::Start);
    let mut did = l.took();
    did.retain(|d| !d.starts_with("rebind"));
    did
}

const BARE: &[&str] = &["192.0.2.1/24"];
const HELD: &[&str] = &["192.0.2.1/24", "192.0.2.254/24"];

/// I12, E45: the same again: nothing happens, and no timer moves.
#[test]
fn same() {
    for active in [false, true] {
        let mut l = if active { Lab::active(&[spec()]) } else { Lab::new(&[spec()]) };
        l.hear(50, PEER);
        l.wait_ms(300);
        let before = (l.state(), l.r.next_deadline(), l.counters(), l.r.view(0).unwrap().since);
        l.took();
        l.reload(config(&[spec()]));
        l.link(ETH0, "eth0", true);
        l.has(ETH0, if active { HELD } else { BARE });
        l.event(Event::Start);
        assert_eq!(l.took(), [""; 0]);
        assert_eq!((l.state(), l.r.next_deadline(), l.counters(), l.r.view(0).unwrap().since), before);
    }
}

/// Priority and interval change in place, from the next advert on.
#[test]
fn priority_and_interval() {
    let mut l = Lab::active(&[spec()]);
    let due = l.r.next_deadline();
    assert_eq!(reload(&mut l, &[Spec { priority: 150, advert: 50, ..spec() }], HELD), [""; 0]);
    assert!(l.is_active());
    assert_eq!(l.r.next_deadline(), due);
    let now = l.now;
    let all = l.run_ms(now, 20_000);
    assert!(all.iter().any(|(_, d)| d.starts_with("advert 150 ")));
    assert_eq!(of_kind(&all, "advert").windows(2).filter(|w| w[1] - w[0] != 500).count(), 0);
    l.hear(120, PEER);
    assert!(l.is_active());
}

/// An address more and one less: the difference, and a new announcement (E46).
#[test]
fn addresses() {
    let mut l = Lab::active(&[Spec { addresses: vec!["192.0.2.254/24", "192.0.2.253/24"], ..spec() }]);
    let new = [Spec { addresses: vec!["192.0.2.252/24", "192.0.2.254/24"], ..spec() }];
    let did = reload(&mut l, &new, &["192.0.2.1/24", "192.0.2.254/24", "192.0.2.252/24"]);
    assert_eq!(
        did,
        [
            "remove 192.0.2.253/24 on 2",
            "add 192.0.2.252/24 on 2",
            "announce 192.0.2.252 on 2",
            "announce 192.0.2.254 on 2",
        ]
    );
    // As Backup nothing is put on.
    let mut l = Lab::new(&[spec()]);
    assert_eq!(reload(&mut l, &new, BARE), [""; 0]);
}

/// The foreign one stays foreign.
#[test]
fn foreign_stays() {
    let mut l = Lab::new(&[spec()]);
    l.has(ETH0, HELD);
    assert_eq!(reload(&mut l, &[Spec { priority: 120, ..spec() }], HELD), [""; 0]);
    assert_eq!(reload(&mut l, &[Spec { vrid: 52, ..spec() }], HELD), ["ForeignAddress", "INIT to BACKUP"]);
}

/// An instance is gone: priority 0 if it was Active, its addresses off. Another is new: as at start (E47).
#[test]
fn removed_and_new() {
    let other = Spec { vrid: 52, ..spec() };
    let mut l = Lab::active(&[spec()]);
    assert_eq!(
        reload(&mut l, std::slice::from_ref(&other), BARE),
        ["advert 0 of 0 from 192.0.2.1 to 224.0.0.18", "remove 192.0.2.254/24 on 2", "INIT to BACKUP"]
    );
    assert_eq!(l.r.next_deadline(), Some(l.now + Micros(3_609_375)));
    let mut l = Lab::new(&[spec()]);
    assert_eq!(reload(&mut l, &[other], BARE), ["INIT to BACKUP"]);
}

/// In another place of the file: state, timer and counters go with the name.
#[test]
fn moved() {
    let other = Spec { name: "b", vrid: 52, addresses: vec!["192.0.2.253/24"], ..spec() };
    let mut l = Lab::active(&[spec()]);
    let (due, sent) = (l.r.next_deadline(), l.r.view(0).unwrap().stats.advertisement_sent);
    assert_eq!(reload(&mut l, &[other, spec()], HELD), ["INIT to BACKUP"]);
    assert!(matches!(l.r.election_state(1), Some(State::Active { .. })));
    assert_eq!(l.r.view(1).unwrap().stats.advertisement_sent, sent);
    assert_eq!(l.r.next_deadline(), due);
    // What is heard finds its instance at the new place.
    let m = Lab::new(&[spec()]).message(200, 100, PEER, "224.0.0.18");
    l.receive(PEER, "224.0.0.18", 255, &m);
    assert!(matches!(l.r.election_state(1), Some(State::Backup { .. })));
}

/// Under another name it goes on as it was.
#[test]
fn renamed() {
    let mut l = Lab::active(&[spec()]);
    let before = (l.state(), l.r.next_deadline(), l.counters());
    assert_eq!(reload(&mut l, &[Spec { name: "other", ..spec() }], HELD), [""; 0]);
    assert_eq!((l.state(), l.r.next_deadline(), l.counters()), before);
    assert_eq!(l.r.view(0).unwrap().name, "other");
}

/// E47: an Active that the coming configuration lacks hands over first: farewell, then the addresses stay
/// until the successor speaks. The other goes on untouched, and sockets change only where what is heard does.
#[test]
fn parting() {
    let other = Spec { name: "b", vrid: 52, addresses: vec!["192.0.2.253/24"], ..spec() };
    for moved in [Spec { vrid: 53, ..spec() }, Spec { on: "eth1", ..spec() }] {
        let mut l = Lab::active(&[spec(), other.clone()]);
        let due = l.r.next_deadline();
        let coming = config(&[moved.clone(), other.clone()]);
        let did = &mut l.did;
        l.r.part(&coming, l.now, &mut |a: Action<'_>| did.push(words(a)));
        assert_eq!(l.took(), ["advert 0 of 0 from 192.0.2.1 to 224.0.0.18"]);
        assert!(!l.r.has_parted());
        l.hear(50, PEER);
        assert!(l.r.has_parted());
        assert!(l.took().contains(&"remove 192.0.2.254/24 on 2".to_owned()));
        l.reload(coming);
        assert_eq!(l.took(), ["rebind 2 V4"]);
        assert!(matches!(l.r.election_state(1), Some(State::Active { .. })));
        assert_eq!(l.r.next_deadline(), due);
    }
}

/// Nobody takes over: it has parted when a successor can be expected no more. And if the file is changed
/// back meanwhile, it goes on.
#[test]
fn parting_alone_and_undone() {
    for undone in [false, true] {
        let mut l = Lab::active(&[spec()]);
        let coming = config(&[Spec { vrid: 53, ..spec() }]);
        l.r.part(&coming, l.now, &mut |_: Action<'_>| {});
        if undone {
            l.r.part(&config(&[spec()]), l.now, &mut |_: Action<'_>| {});
            assert!(l.r.has_parted());
        }
        let now = l.now;
        l.run_ms(now, 1_100);
        assert!(l.r.has_parted() && l.is_backup());
        l.run_ms(now, 10_000);
        assert_eq!(l.is_active(), undone, "a parting one waits for the reload");
    }
}

/// Between the reload and `Start` nothing starts: the links may not all be told yet.
#[test]
fn nothing_starts_early() {
    let mut l = Lab::new(&[spec()]);
    l.reload(config(&[
        spec(),
        Spec { name: "b", vrid: 52, priority: 255, addresses: vec!["192.0.2.253/24"], ..spec() },
    ]));
    l.took();
    l.link(ETH0, "eth0", true);
    l.has(ETH0, BARE);
    assert_eq!(l.took(), [""; 0]);
    l.event(Event::Start);
    assert_eq!(l.took()[0], "advert 255 of 1 from 192.0.2.1 to 224.0.0.18");
}

/// Reloaded during the start-up delay: it still waits.
#[test]
fn during_the_startup_delay() {
    let mut c = config(&[spec()]);
    c.startup_delay = Micros::from_secs(10);
    let mut l = Lab::of(c.clone());
    l.took();
    l.reload(c);
    l.event(Event::Start);
    assert_eq!(l.r.next_deadline(), Some(T0 + Micros::from_secs(10)));
    l.fire();
    assert_eq!(l.took().last().unwrap(), "INIT to BACKUP");
}
