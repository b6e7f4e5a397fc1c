//! Leaving Active to others on purpose, and back.

use super::*;
use crate::router::FOR_EVER;
use crate::router::event::{InstanceId, Shown};

const LAN: InstanceId = InstanceId(0);

fn yield_to(l: &mut Lab, until: Instant) -> Vec<String> {
    l.took();
    l.event(Event::Yield { instance: LAN, until });
    l.took()
}

/// An Active says priority 0 and keeps its addresses until the successor speaks; then it stays Backup,
/// whether the others are lower or gone, until it is resumed.
#[test]
fn until_resumed() {
    let mut l = Lab::active(&[spec()]);
    assert_eq!(yield_to(&mut l, FOR_EVER), ["Yielded", "advert 0 of 0 from 192.0.2.1 to 224.0.0.18"]);
    l.wait_ms(50);
    l.hear(50, PEER);
    let did = l.took();
    assert!(did.contains(&"remove 192.0.2.254/24 on 2".to_owned()) && l.is_backup(), "{did:?}");
    // A lower router is not preempted.
    for _ in 0..20 {
        l.wait_ms(1000);
        l.hear(50, PEER);
    }
    assert!(l.is_backup());
    assert_eq!(l.r.view(0).unwrap().master, Some((ip(PEER), 50)));
    // Nor is a silent one replaced; it is told that nobody is there.
    let now = l.now;
    let all = l.run_ms(now, 60_000);
    assert_eq!((of_kind(&all, "advert"), l.is_backup()), (vec![], true));
    let view = l.r.view(0).unwrap();
    assert_eq!((view.master, view.state, view.yielded), (None, Shown::Backup, Some(FOR_EVER)));
    let resumed = l.now;
    l.event(Event::Resume(LAN));
    assert_eq!(l.took(), ["Yielded"]);
    l.run_ms(resumed, 3_700);
    assert!(l.is_active());
}

/// With an end it resumes by itself, and takes over from a lower router as any Backup does.
#[test]
fn for_a_while() {
    let mut l = Lab::active(&[spec()]);
    let until = l.now + Micros::from_secs(30);
    yield_to(&mut l, until);
    let mut at = None;
    for ms in (0..40_000).step_by(500) {
        l.hear(50, PEER);
        let now = l.now;
        l.run_ms(now, 500);
        if l.is_active() {
            at = Some(ms);
            break;
        }
    }
    // It may not be preempted before the end, and is within an Active_Down_Interval and an advert after it.
    assert!(at.is_some_and(|ms| (30_000..34_500).contains(&ms)), "{at:?}");
}

/// Nobody is there: the addresses go when a successor can be expected no more, and it resumes at the end.
#[test]
fn alone() {
    let mut l = Lab::active(&[spec()]);
    let (start, until) = (l.now, l.now + Micros::from_secs(10));
    yield_to(&mut l, until);
    let all = l.run_ms(start, 30_000);
    assert_eq!(of_kind(&all, "remove 192.0.2.254/24"), [996 + 100]);
    let again = of_kind(&all, "add 192.0.2.254/24");
    assert!(again.len() == 1 && (10_000..14_000).contains(&again[0]), "{all:?}");
}

/// An owner too; what is told again changes the end; a resume while it still leaves ends as Backup.
#[test]
fn owners_and_second_thoughts() {
    let mut l = Lab::active(&[Spec { priority: 255, ..spec() }]);
    yield_to(&mut l, FOR_EVER);
    let now = l.now;
    l.run_ms(now, 20_000);
    assert!(l.is_backup());
    let until = l.now + Micros::from_secs(5);
    assert_eq!(yield_to(&mut l, until), ["Yielded"]);
    assert_eq!(yield_to(&mut l, until), [""; 0]);
    l.run_ms(now, 10_000);
    assert!(l.is_active());
    let mut l = Lab::active(&[spec()]);
    yield_to(&mut l, FOR_EVER);
    l.event(Event::Resume(LAN));
    assert!(matches!(l.state(), State::Leaving { .. }));
    l.hear(50, PEER);
    assert!(l.is_backup());
}

/// Before the start, and through a reload under another name.
#[test]
fn kept() {
    let mut l = Lab::blank(config(&[Spec { priority: 255, ..spec() }]));
    l.event(Event::Yield { instance: LAN, until: FOR_EVER });
    l.link(ETH0, "eth0", true);
    l.has(ETH0, &["192.0.2.1/24"]);
    l.event(Event::Start);
    assert!(l.is_backup());
    l.reload(config(&[Spec { name: "other", priority: 255, ..spec() }]));
    l.event(Event::Start);
    let now = l.now;
    l.run_ms(now, 20_000);
    assert!(l.is_backup() && l.r.view(0).unwrap().yielded == Some(FOR_EVER));
}

/// A member yields with its whole group, and so does one that a reload puts into the group.
#[test]
fn groups() {
    let specs = [spec(), Spec { name: "b", vrid: 52, addresses: vec!["192.0.2.253/24"], ..spec() }];
    let mut l = Lab::of(with_group(config(&specs), &["gw", "b"], &[], true));
    while !l.is_active() {
        l.fire();
    }
    let did = yield_to(&mut l, FOR_EVER);
    assert_eq!(did.iter().filter(|d| d.starts_with("advert 0")).count(), 2, "{did:?}");
    let now = l.now;
    l.run_ms(now, 20_000);
    assert!((0..2).all(|i| matches!(l.r.election_state(i), Some(State::Backup { .. }))));
    l.event(Event::Resume(InstanceId(1)));
    l.run_ms(now, 10_000);
    assert!((0..2).all(|i| matches!(l.r.election_state(i), Some(State::Active { .. }))));

    let mut l = Lab::active(&specs);
    yield_to(&mut l, FOR_EVER);
    let now = l.now;
    l.run_ms(now, 5_000);
    assert!(matches!(l.r.election_state(1), Some(State::Active { .. })), "alone it goes on");
    l.reload(with_group(config(&specs), &["gw", "b"], &[], true));
    l.event(Event::Start);
    assert!(matches!(l.r.election_state(1), Some(State::Leaving { .. })));
}
