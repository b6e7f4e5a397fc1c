//! The state table of RFC 9568 §6.4, row by row.

use super::*;

const T0: Instant = Instant(1_000_000_000);

fn at(ms: u64) -> Instant {
    T0 + Micros::from_millis(ms)
}

fn params(priority: u8) -> Parameters {
    Parameters {
        version: Version::V3,
        also_v2: false,
        priority,
        advertisement_interval: Centis::SECOND,
        preempt: true,
        preempt_delay: Micros::ZERO,
        together: false,
        aside: false,
    }
}

fn heard(priority: u8) -> Heard {
    Heard { version: Version::V3, priority, interval: Centis::SECOND, source_greater: false }
}

fn backup(p: &Parameters) -> VirtualRouter {
    let mut r = VirtualRouter::default();
    assert_eq!(r.startup(p, T0), Outcome::BecameBackup);
    r
}

fn active(p: &Parameters) -> VirtualRouter {
    let mut r = backup(p);
    let down = r.deadline().unwrap();
    assert_eq!(r.timeout(p, down), Outcome::BecameActive(Reason::NoResponse));
    // moved so that the tests may count from T0
    r.state = State::Active { adver: at(1000) };
    r
}

/// Initialize, Startup, 255: Active at once, Adver_Timer one interval away.
#[test]
fn startup_owner() {
    let mut r = VirtualRouter::default();
    assert_eq!(r.startup(&params(255), T0), Outcome::BecameActive(Reason::Priority));
    assert_eq!(r.state(), State::Active { adver: at(1000) });
}

/// Initialize, Startup, other: Backup, Active_Down_Timer = 3 * 1 s + 156/256 s.
#[test]
fn startup_other() {
    let r = backup(&params(100));
    assert_eq!(r.state(), State::Backup { active_down: T0 + Micros(3_609_375) });
}

/// Backup, Down fires, not a microsecond early.
#[test]
fn down_fires() {
    let p = params(100);
    let mut r = backup(&p);
    assert_eq!(r.timeout(&p, T0 + Micros(3_609_374)), Outcome::Nothing);
    let now = T0 + Micros(3_609_375);
    assert_eq!(r.timeout(&p, now), Outcome::BecameActive(Reason::NoResponse));
    assert_eq!(r.deadline(), Some(now + Micros::from_secs(1)));
}

/// Backup, priority 0: Skew_Time; a second one does not move it back (S2).
#[test]
fn priority_zero_as_backup() {
    let p = params(100);
    let mut r = backup(&p);
    assert_eq!(r.advertisement(&p, &heard(0), at(100)), Outcome::Nothing);
    let due = at(100) + Micros(609_375);
    assert_eq!(r.deadline(), Some(due));
    r.advertisement(&p, &heard(0), at(600));
    assert_eq!(r.deadline(), Some(due));
    assert_eq!(r.timeout(&p, due), Outcome::BecameActive(Reason::NoResponse));
}

/// Backup, priority greater or equal: learn, re-arm; no address tie-break here.
#[test]
fn better_advert_as_backup() {
    let p = params(100);
    for (prio, greater) in [(100, false), (100, true), (101, false), (255, false)] {
        let mut r = backup(&p);
        let h = Heard { interval: Centis::new(200).unwrap(), source_greater: greater, ..heard(prio) };
        assert_eq!(r.advertisement(&p, &h, at(500)), Outcome::Nothing);
        assert_eq!(r.active_adver_interval().get(), 200);
        assert_eq!(r.deadline(), Some(at(500) + Micros(2 * 3_609_375)));
    }
}

/// Backup, lower and preempting: discard, timer untouched, interval not learned; then "preempted".
#[test]
fn lower_advert_preempting() {
    let p = params(100);
    let mut r = backup(&p);
    let before = r.deadline();
    let h = Heard { interval: Centis::new(10).unwrap(), ..heard(99) };
    assert_eq!(r.advertisement(&p, &h, at(900)), Outcome::Nothing);
    assert_eq!(r.deadline(), before);
    assert_eq!(r.active_adver_interval(), Centis::SECOND);
    assert_eq!(r.timeout(&p, before.unwrap()), Outcome::BecameActive(Reason::Preempted));
}

/// Backup, lower and not preempting: as if it were higher. An owner preempts all the same.
#[test]
fn lower_advert_not_preempting() {
    let p = Parameters { preempt: false, ..params(100) };
    let mut r = backup(&p);
    r.advertisement(&p, &heard(99), at(900));
    assert_eq!(r.deadline(), Some(at(900) + Micros(3_609_375)));

    let owner = Parameters { priority: 255, ..p };
    let mut r = backup(&params(100));
    let before = r.deadline();
    r.advertisement(&owner, &heard(99), at(900));
    assert_eq!(r.deadline(), before);
}

/// Preempt delay: lower adverts re-arm until it is over, counted from the first; a better one restarts it.
#[test]
fn preempt_delay() {
    let p = Parameters { preempt_delay: Micros::from_secs(5), ..params(100) };
    let mut r = backup(&p);
    for ms in (1000..6000).step_by(1000) {
        r.advertisement(&p, &heard(50), at(ms));
        assert_eq!(r.deadline(), Some(at(ms) + Micros(3_609_375)), "{ms}");
    }
    let last = r.deadline();
    r.advertisement(&p, &heard(50), at(6000));
    assert_eq!(r.deadline(), last);
    r.advertisement(&p, &heard(150), at(6500));
    r.advertisement(&p, &heard(50), at(7000));
    assert_eq!(r.deadline(), Some(at(7000) + Micros(3_609_375)));
}

/// Active, Adver fires: advert, re-armed from when it was due; a long stall is not made up for.
#[test]
fn adver_fires() {
    let p = params(100);
    let mut r = active(&p);
    assert_eq!(r.timeout(&p, at(999)), Outcome::Nothing);
    assert_eq!(r.timeout(&p, at(1007)), Outcome::Advertise);
    assert_eq!(r.deadline(), Some(at(2000)));
    assert_eq!(r.timeout(&p, at(9500)), Outcome::Advertise);
    assert_eq!(r.deadline(), Some(at(10_500)));
}

/// Active, priority 0: advert, re-armed from now; a flood is capped.
#[test]
fn priority_zero_as_active() {
    let p = params(100);
    let mut r = active(&p);
    assert_eq!(r.advertisement(&p, &heard(0), at(300)), Outcome::Advertise);
    assert_eq!(r.deadline(), Some(at(1300)));
    assert_eq!(r.advertisement(&p, &heard(0), at(301)), Outcome::Nothing);
    assert_eq!(r.deadline(), Some(at(1300)));
}

/// Active, higher, or equal with the greater address: Backup, learned interval.
#[test]
fn better_advert_as_active() {
    let p = params(100);
    for h in [heard(101), Heard { source_greater: true, ..heard(100) }] {
        let mut r = active(&p);
        let h = Heard { interval: Centis::new(50).unwrap(), ..h };
        assert_eq!(r.advertisement(&p, &h, at(10)), Outcome::BecameBackup);
        assert_eq!(r.deadline(), Some(at(10) + Micros(3_609_375 / 2 + 1)));
    }
}

/// Active, any other: an advert at once, the Adver_Timer runs on, and at most two an interval (E7, S3).
#[test]
fn losing_advert_as_active() {
    let p = params(100);
    let mut r = active(&p);
    let mut sent = 0;
    for ms in 0..1000 {
        match r.advertisement(&p, &heard(if ms % 2 == 0 { 99 } else { 100 }), at(ms)) {
            Outcome::Assert => sent += 1,
            Outcome::Outlasted | Outcome::Unclaimed => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sent, 2);
    assert_eq!(r.deadline(), Some(at(1000)));
}

/// Active, Shutdown on purpose: priority 0, then silence until somebody speaks or the slowest successor would have.
#[test]
fn leaving() {
    let p = params(100);
    let mut r = active(&p);
    assert_eq!(r.leave(&p, at(10)), Outcome::Left);
    assert_eq!(r.deadline(), Some(at(110) + Micros(996_094)));
    assert_eq!(r.leave(&p, at(11)), Outcome::Nothing);
    assert_eq!(r.advertisement(&p, &heard(0), at(20)), Outcome::Nothing);
    assert_eq!(r.advertisement(&p, &heard(1), at(30)), Outcome::Released);
    assert_eq!(r.state(), State::Initialize);

    let mut r = active(&p);
    r.leave(&p, at(10));
    assert_eq!(r.timeout(&p, at(1106)), Outcome::Nothing);
    assert_eq!(r.timeout(&p, at(1107)), Outcome::Released);

    let slow = Parameters { advertisement_interval: Centis::MAX_V3, ..p };
    let mut r = active(&slow);
    r.leave(&slow, at(0));
    assert_eq!(r.deadline(), Some(at(5000)));
}

/// Shutdown elsewhere: the timer is cancelled, nothing is sent.
#[test]
fn shutdown() {
    let p = params(100);
    let mut r = backup(&p);
    assert_eq!(r.leave(&p, at(1)), Outcome::Released);
    assert_eq!(r.deadline(), None);
    assert_eq!(r.shutdown(), Outcome::Nothing);
    assert_eq!(r.advertisement(&p, &heard(200), at(2)), Outcome::Nothing);
}

/// Version 2: skew in 256ths of a second, the interval of a packet is not learned.
#[test]
fn version_2() {
    let p = Parameters { version: Version::V2, advertisement_interval: Centis::from_secs(2).unwrap(), ..params(100) };
    let mut r = backup(&p);
    assert_eq!(r.deadline(), Some(T0 + Micros(6_609_375)));
    r.advertisement(&p, &heard(200), at(500));
    assert_eq!(r.active_adver_interval().get(), 200);
}

/// Active, stalled past its own advert: what waits is not answered one by one, and the last may win.
#[test]
fn stalled_active() {
    let p = params(100);
    let mut r = active(&p);
    assert_eq!(r.advertisement(&p, &heard(0), at(5000)), Outcome::Nothing);
    assert_eq!(r.advertisement(&p, &heard(50), at(5000)), Outcome::AssertWhenDue);
    assert_eq!(r.advertisement(&p, &heard(50), at(5000)), Outcome::Outlasted);
    assert_eq!(r.advertisement(&p, &heard(150), at(5000)), Outcome::BecameBackup);
}
