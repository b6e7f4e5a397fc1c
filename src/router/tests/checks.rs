//! Checks: what their runs come to, and what that does.

use super::*;
use crate::config::model::Condition;
use crate::router::event::{CheckId, CheckResult, Fault};
use CheckResult::{Broken, Down, Up, Value};

fn run(l: &mut Lab, c: u8, result: CheckResult) {
    l.event(Event::Check { check: CheckId(c), result });
}

fn condition(l: &Lab) -> Condition {
    l.r.check(0).unwrap().condition
}

fn effective(l: &Lab) -> u8 {
    l.r.view(0).unwrap().effective_priority
}

/// One instance that follows check `c` with this weight.
fn following(weight: i16, reverse: bool, kind: &str, rise: u8, fall: u8, initial: Initial) -> Box<Config> {
    let one = Spec { priority: 100, follows: vec![("c", weight, reverse)], ..spec() };
    with_checks(config(&[one]), &[("c", kind, rise, fall, initial)])
}

/// keepalived's counter, 0 to rise + fall - 1, in its own words; up from `rise` on.
struct Counter {
    rise: i32,
    fall: i32,
    at: i32,
}

impl Counter {
    fn run(&mut self, good: bool) -> bool {
        if good {
            if self.at < self.rise - 1 {
                self.at += 1;
            } else if self.at < self.rise + self.fall - 1 {
                self.at = self.rise + self.fall - 1;
            }
        } else if self.at > self.rise {
            self.at -= 1;
        } else {
            self.at = 0;
        }
        self.at >= self.rise
    }
}

/// Every sequence of nine runs for every small rise and fall is what keepalived makes of it.
#[test]
fn rise_and_fall() {
    for (rise, fall) in (1..=4).flat_map(|r| (1..=4).map(move |f| (r, f))) {
        for runs in 0..1 << 9u32 {
            let mut l = Lab::new(&[]);
            l.r = Router::new(following(10, false, "script", rise, fall, Initial::Down));
            let mut k = Counter { rise: rise as i32, fall: fall as i32, at: 0 };
            for n in 0..9 {
                let good = runs >> n & 1 == 1;
                run(&mut l, 0, if good { Up } else { Down });
                let expected = if k.run(good) { Condition::Up } else { Condition::Down };
                assert_eq!(condition(&l), expected, "rise {rise} fall {fall} runs {runs:09b} at {n}");
            }
        }
    }
}

/// The first result counts alone, whatever it is; what `initial` says is no result but counts as one.
#[test]
fn first_result() {
    for (initial, result, expected) in [
        (Initial::Unknown, Up, Condition::Up),
        (Initial::Unknown, Down, Condition::Down),
        (Initial::Down, Up, Condition::Down),
        (Initial::Up, Down, Condition::Up),
    ] {
        let mut l = Lab::of(following(10, false, "script", 3, 3, initial));
        run(&mut l, 0, result);
        assert_eq!(condition(&l), expected, "{initial:?} {result:?}");
        // After a first good one three failures in a row are needed, after a first bad one three successes.
        if initial == Initial::Unknown {
            let other = if result == Up { Down } else { Up };
            for _ in 0..2 {
                run(&mut l, 0, other);
                assert_eq!(condition(&l), expected);
            }
            run(&mut l, 0, other);
            assert_ne!(condition(&l), expected);
        }
    }
}

/// A check with weight 0 holds the instance, silently, until its first result; another weight does not.
#[test]
fn hold() {
    let mut l = Lab::of(following(0, false, "script", 3, 3, Initial::Unknown));
    l.took();
    l.wait_ms(60_000);
    l.event(Event::Timeout { drained: true });
    assert_eq!((l.took(), l.state(), l.r.next_deadline()), (vec![], State::Initialize, None));
    l.hear(200, PEER);
    assert_eq!((l.took(), l.state()), (vec!["ChecksumForm".to_owned()], State::Initialize));
    run(&mut l, 0, Up);
    assert_eq!(l.took(), ["Check", "INIT to BACKUP"]);
    let mut l = Lab::of(following(0, false, "script", 3, 3, Initial::Unknown));
    l.took();
    run(&mut l, 0, Down);
    assert_eq!(l.took(), ["Check", "INIT to FAULT"]);
    for (weight, initial) in [(1, Initial::Unknown), (-1, Initial::Unknown), (0, Initial::Up)] {
        assert!(Lab::of(following(weight, false, "script", 1, 1, initial)).is_backup(), "{weight} {initial:?}");
    }
    // What keeps it from speaking anyway is told at once.
    let mut l = Lab::blank(following(0, false, "script", 1, 1, Initial::Unknown));
    l.event(Event::Start);
    assert_eq!(l.took(), ["INIT to FAULT"]);
}

/// A file's number times the weight; none counts as 0; a Fault from -254 on, or with weight 0.
#[test]
fn files() {
    for (weight, reverse, result, priority, fault) in [
        (1, false, Value(20), 120, false),
        (1, true, Value(20), 80, false),
        (2, false, Value(-20), 60, false),
        (10, false, Value(32_000), 254, false),
        (1, false, Value(-253), 1, false),
        (1, false, Value(-254), 1, true),
        (-1, false, Value(254), 1, true),
        (2, false, Broken, 100, false),
        (0, false, Value(0), 100, false),
        (0, false, Value(7), 100, true),
        (0, true, Value(7), 100, false),
        (0, true, Value(0), 100, true),
        (0, false, Broken, 100, true),
        (0, true, Broken, 100, true),
    ] {
        let mut l = Lab::of(following(weight, reverse, "file", 1, 1, Initial::Unknown));
        run(&mut l, 0, result);
        let at = format!("{weight} {reverse} {result:?}");
        assert_eq!(effective(&l), priority, "{at}");
        assert_eq!(l.r.view(0).unwrap().fault, fault.then_some(Fault::Tracked), "{at}");
        assert_eq!(l.is_backup(), !fault, "{at}");
    }
}

/// Each other number counts at once; the same one again is no news.
#[test]
fn another_number() {
    let mut l = Lab::of(following(1, false, "file", 1, 1, Initial::Unknown));
    l.took();
    for (result, did, priority) in [
        (Value(5), &["Check", "Priority"][..], 105),
        (Value(5), &[], 105),
        (Value(6), &["Check", "Priority"], 106),
        (Broken, &["Check", "Priority"], 100),
        (Value(0), &["Check"], 100),
    ] {
        run(&mut l, 0, result);
        assert_eq!((l.took(), effective(&l)), (did.iter().map(|s| s.to_string()).collect(), priority), "{result:?}");
    }
}

/// The owner's 255 is not touched by a weight, but by a Fault.
#[test]
fn owner() {
    let one = Spec { priority: 255, follows: vec![("w", -200, false), ("f", 0, false)], ..spec() };
    let checks = [("w", "script", 1, 1, Initial::Up), ("f", "script", 1, 1, Initial::Up)];
    let mut l = Lab::of(with_checks(config(&[one]), &checks));
    assert!(l.is_active());
    run(&mut l, 0, Down);
    assert!(l.is_active() && effective(&l) == 255);
    run(&mut l, 1, Down);
    assert!(matches!(l.state(), State::Leaving { .. }));
    // Recovered, and then another router speaks: it is told that it was not Active for a moment.
    run(&mut l, 1, Up);
    l.took();
    l.hear(100, PEER);
    let mut did = l.took();
    did.retain(|d| d.contains(" to ") && !d.contains("advert"));
    assert_eq!(did, ["MASTER to BACKUP", "BACKUP to MASTER"]);
}

/// A reload goes on counting; other counts begin anew with what is known; another look knows nothing.
#[test]
fn reload() {
    let of = |rise, fall| following(10, false, "script", rise, fall, Initial::Unknown);
    let mut l = Lab::of(of(1, 3));
    run(&mut l, 0, Up);
    run(&mut l, 0, Down);
    run(&mut l, 0, Down);
    l.reload(of(1, 3));
    l.event(Event::Start);
    assert_eq!(condition(&l), Condition::Up);
    run(&mut l, 0, Down);
    assert_eq!(condition(&l), Condition::Down, "two failures before the reload, one after it");
    run(&mut l, 0, Up);
    run(&mut l, 0, Down);
    l.reload(of(1, 2));
    run(&mut l, 0, Down);
    assert_eq!(condition(&l), Condition::Up, "counted anew");
    run(&mut l, 0, Down);
    assert_eq!(condition(&l), Condition::Down);
    l.reload(following(10, false, "file", 1, 1, Initial::Unknown));
    assert_eq!(condition(&l), Condition::Unknown);
    // Nothing is known of it yet: what the new configuration says first counts.
    l.reload(following(10, false, "script", 1, 1, Initial::Unknown));
    l.reload(following(10, false, "script", 1, 1, Initial::Up));
    assert_eq!(condition(&l), Condition::Up);
}

/// What runs goes on while a new check has no result; what has given up its addresses says so, and waits.
#[test]
fn held_after_a_reload() {
    let mut l = Lab::active(&[spec()]);
    l.reload(following(0, false, "script", 1, 1, Initial::Unknown));
    l.event(Event::Start);
    assert!(l.is_active());
    run(&mut l, 0, Down);
    assert!(matches!(l.state(), State::Leaving { .. }));
    let other = Spec { priority: 100, follows: vec![("d", 0, false)], ..spec() };
    l.reload(with_checks(config(&[other]), &[("d", "script", 1, 1, Initial::Unknown)]));
    l.event(Event::Start);
    assert!(matches!(l.state(), State::Leaving { .. }));
    l.took();
    l.hear(100, PEER);
    assert_eq!(l.took(), ["ChecksumForm", "remove 192.0.2.254/24 on 2", "MASTER to BACKUP"]);
    assert_eq!((l.state(), l.r.next_deadline()), (State::Initialize, None));
    run(&mut l, 0, Up);
    assert!(l.is_backup());
    assert_eq!(l.took(), ["Check"]);
}

/// An interface check counts the changes that the kernel tells, and the driver's runs; not the same
/// news twice. Before the links are told it has no result.
#[test]
fn interface() {
    let mut l = Lab::blank(following(10, false, "interface wan", 2, 2, Initial::Unknown));
    assert_eq!(l.r.interface_result(CheckId(0)), Some(Down));
    l.link(9, "wan", true);
    assert_eq!(condition(&l), Condition::Up);
    l.event(Event::Start);
    for _ in 0..3 {
        l.link(9, "wan", false);
        assert_eq!(condition(&l), Condition::Up, "one change, told again and again");
    }
    let result = l.r.interface_result(CheckId(0)).unwrap();
    run(&mut l, 0, result);
    assert_eq!(condition(&l), Condition::Down);
    // Not there when the instances start: down.
    let l = Lab::of(following(10, false, "interface wan", 2, 2, Initial::Unknown));
    assert_eq!(condition(&l), Condition::Down);
    assert_eq!(Lab::new(&[spec()]).r.interface_result(CheckId(0)), None);
}

/// Two checks of one interface: nobody acts before both have heard of the change.
#[test]
fn two_checks_of_one_interface() {
    let one = Spec { priority: 255, follows: vec![("down", 0, true), ("up", 0, false)], ..spec() };
    let checks = [("down", "interface wan", 1, 1, Initial::Unknown), ("up", "interface wan", 1, 1, Initial::Unknown)];
    let mut l = Lab::of(with_checks(config(&[one]), &checks));
    l.took();
    for up in [true, false, true] {
        l.link(9, "wan", up);
        assert!(l.took().iter().all(|d| d == "Check" || d.starts_with("rebind")));
        assert_eq!(l.state(), State::Initialize);
    }
}

/// Told to stop, it waits for its successor, whatever fails meanwhile; its own interface apart.
#[test]
fn fails_while_stopping() {
    let mut l = Lab::of(following(0, false, "script", 1, 1, Initial::Up));
    while !l.is_active() {
        l.fire();
    }
    l.event(Event::Stop);
    l.took();
    run(&mut l, 0, Down);
    assert_eq!(l.took(), ["Check"]);
    assert!(matches!(l.state(), State::Leaving { .. }));
    l.link(ETH0, "eth0", false);
    assert_eq!(l.took(), ["remove 192.0.2.254/24 on 2", "MASTER to STOP"]);
}
