//! Single stories by name: what went wrong in some implementation once, ours or another.

use picovrrp::config::model::{ChecksumForm, Preempt};
use picovrrp::vrrp::election::State;
use picovrrp::vrrp::packet::Packet;

use crate::host::Host;
use crate::kernel::{By, Kernel};
use crate::network::Network;
use crate::node::Kind;
use crate::ops::Op;
use crate::rng::Rng;
use crate::setup::{LAN, Setup, own_address};
use crate::world::World;

const SECOND: u64 = 1_000_000;

/// Hosts A, B, … of these setups on a quiet network (1 ms), all started at once.
fn world(setups: &[Setup]) -> World {
    let host = |(h, s): (usize, &Setup)| {
        let mut kernel = Kernel::new(h);
        kernel.ifaces[LAN].add(own_address(s.family, h as u8 + 1), 24, By::System).unwrap();
        Host::new(s.clone(), kernel, 1_000_000_000, 0)
    };
    let hosts = setups.iter().enumerate().map(host).collect();
    let mut w = World::new(Kind::Real, hosts, Network::new(1_000, 0), Rng::new(1), 0);
    (0..setups.len()).for_each(|h| w.boot(h));
    w
}

/// Runs for `us`; no invariant may fail.
fn run(w: &mut World, us: u64) {
    w.run_until(w.now + us);
    if let Some(f) = &w.failure {
        panic!("{f}\n{}", w.trace.text());
    }
}

fn sent(w: &World, h: usize) -> u64 {
    // The window of two intervals that I8 looks at.
    w.hosts[h].seen.sends.len() as u64
}

/// I8, E7: a switch that reflects our adverts. RFC 9568 taken literally answers each at once, for ever.
#[test]
fn reflected_own_advert() {
    let mut w = world(&[Setup::plain(100)]);
    run(&mut w, 5 * SECOND);
    assert!(w.hosts[0].is_active());
    for _ in 0..2_000 {
        w.apply(Op::Reflect(0));
        run(&mut w, 1_000);
        assert!(sent(&w, 0) <= 3);
    }
    assert!(w.hosts[0].is_active());
}

/// I1, E4: two routers of priority 255: the higher address stays, the other yields and does not come back.
#[test]
fn two_owners() {
    let mut w = world(&[Setup::plain(255), Setup::plain(255)]);
    run(&mut w, SECOND);
    assert_eq!(w.actives(0xff), [1]);
    w.mark();
    run(&mut w, 20 * SECOND);
    assert_eq!((w.actives(0xff), w.entered[..2].to_vec()), (vec![1], vec![0, 0]));
}

/// I2, S2: the Active is dead, and somebody floods priority 0: we take over after Skew_Time, not never.
#[test]
fn priority_zero_flood() {
    let mut w = world(&[Setup::plain(200), Setup::plain(100)]);
    run(&mut w, 5 * SECOND);
    assert_eq!(w.actives(0xff), [0]);
    w.apply(Op::PowerOff(0));
    let start = w.now;
    w.mark();
    for _ in 0..1_000 {
        w.apply(Op::Forge(1, 0, 0));
        run(&mut w, 1_000);
    }
    let (at, who) = w.first_entry.unwrap();
    assert_eq!(who, 1);
    assert!(at - start <= 609_375 + 1_000, "after {} µs", at - start);
}

/// I3, C17: adverts with interval 0 must not give a Backup a timer of nothing.
#[test]
fn interval_zero() {
    let mut w = world(&[Setup::plain(200), Setup::plain(100)]);
    run(&mut w, 5 * SECOND);
    w.mark();
    let source = own_address(w.hosts[0].setup.family, 1);
    for _ in 0..100 {
        let group = w.hosts[0].setup.group();
        let mut m = w.hosts[0].setup.advert(200, 100, source, group);
        // 100 less in the sum of the words is 100 more in its complement.
        let sum = u16::from_be_bytes([m[6], m[7]]) as u32 + 100;
        m[4..6].copy_from_slice(&[0, 0]);
        m[6..8].copy_from_slice(&((sum % 0xffff) as u16).to_be_bytes());
        assert!(Packet::new_checked(&m, false).unwrap().checksum(source, group).plain, "only the interval is wrong");
        w.inject(1, source, 255, m, true);
        run(&mut w, 10_000);
    }
    assert_eq!((w.actives(0xff), w.entered[..2].to_vec()), (vec![0], vec![0, 0]));
}

/// E10: B does not hear A, A hears B: two Actives cannot be helped, but what they send is bounded (I8,
/// after every event), and one is left when the link heals.
#[test]
fn one_way_link() {
    let mut w = world(&[Setup::plain(200), Setup::plain(100)]);
    run(&mut w, 5 * SECOND);
    w.apply(Op::OneWay(0, 1));
    run(&mut w, 60 * SECOND);
    assert_eq!(w.actives(0xff), [0, 1]);
    // A's own, and its replies to B's.
    assert!(sent(&w, 0) <= 6 && sent(&w, 1) <= 3, "{} and {}", sent(&w, 0), sent(&w, 1));
    w.apply(Op::Heal);
    run(&mut w, SECOND + 1_000);
    assert_eq!(w.actives(0xff), [0]);
}

/// C7: one router sends the RFC's checksum, the other one over the pseudo-header too: one Active all the same.
#[test]
fn checksum_forms_differ() {
    for (a, b) in [(ChecksumForm::Plain, ChecksumForm::Pseudo), (ChecksumForm::Pseudo, ChecksumForm::Plain)] {
        let with = |priority, checksum| Setup { checksum, ..Setup::plain(priority) };
        let mut w = world(&[with(200, a), with(100, b)]);
        run(&mut w, 10 * SECOND);
        assert_eq!(w.actives(0xff), [0]);
        w.apply(Op::PowerOff(0));
        run(&mut w, 4 * SECOND);
        assert_eq!(w.actives(0xff), [1]);
        w.boot(0);
        run(&mut w, 5 * SECOND);
        assert_eq!(w.actives(0xff), [0]);
    }
}

/// I10, E42: a Backup is stopped for ten seconds; its timer is long due, but the adverts that came are
/// in the socket, and they come first.
#[test]
fn timer_before_the_socket_is_drained() {
    for seed in 0..8 {
        let mut w = world(&[Setup::plain(200), Setup::plain(100)]);
        w.rng = Rng::new(seed);
        run(&mut w, 5 * SECOND);
        w.mark();
        w.apply(Op::Pause(1));
        run(&mut w, 10 * SECOND);
        assert!(w.hosts[1].inbox.len() >= 10);
        w.apply(Op::Resume(1));
        run(&mut w, 10 * SECOND);
        assert_eq!((w.actives(0xff), w.entered[..2].to_vec()), (vec![0], vec![0, 0]));
    }
}

/// E43: the Active is stopped for ten seconds: a peer takes over, and afterwards there is one again.
#[test]
fn paused_active() {
    let mut w = world(&[Setup::plain(200), Setup::plain(100)]);
    run(&mut w, 5 * SECOND);
    w.apply(Op::Pause(0));
    run(&mut w, 10 * SECOND);
    assert!(w.hosts[1].is_active());
    w.apply(Op::Resume(0));
    run(&mut w, SECOND);
    assert_eq!(w.actives(0xff), [0]);
}

/// I7: Backups of equal priority fire in the same microsecond: all but the highest address yield to it
/// when they hear each other.
#[test]
fn equal_backups_fire_together() {
    let mut w = world(&vec![Setup::plain(100); 4]);
    run(&mut w, 3_609_375);
    assert_eq!(w.actives(0xff).len(), 4);
    run(&mut w, 1_000);
    assert_eq!(w.actives(0xff), [3]);
    w.mark();
    run(&mut w, 20 * SECOND);
    assert_eq!((w.actives(0xff), w.entered[..4].to_vec()), (vec![3], vec![0; 4]));
}

/// S3: a flood of losing adverts: the answers are capped (I8, after every event), the Active stays.
#[test]
fn losing_flood() {
    let mut w = world(&[Setup::plain(100)]);
    run(&mut w, 5 * SECOND);
    for _ in 0..5_000 {
        w.apply(Op::Forge(0, 1, 9));
        run(&mut w, 1_000);
    }
    assert!(w.hosts[0].is_active());
    assert!((5..=7).contains(&sent(&w, 0)), "{} in two intervals", sent(&w, 0));
}

/// S1: a forged 255 makes us yield, as the protocol has it, and we are back within the Active_Down_Interval.
#[test]
fn forged_owner() {
    let mut w = world(&[Setup::plain(100)]);
    run(&mut w, 5 * SECOND);
    w.apply(Op::Forge(0, 255, 9));
    run(&mut w, 1);
    assert!(matches!(w.hosts[0].state(), State::Backup { .. }));
    run(&mut w, 3_609_375);
    assert!(w.hosts[0].is_active());
}

/// Without preemption a better router that comes back leaves the incumbent alone.
#[test]
fn no_preemption() {
    let off = |priority| Setup { preempt: Preempt::Off, ..Setup::plain(priority) };
    let mut w = world(&[off(200), off(100)]);
    run(&mut w, 5 * SECOND);
    w.apply(Op::PowerOff(0));
    run(&mut w, 5 * SECOND);
    w.boot(0);
    run(&mut w, 30 * SECOND);
    assert_eq!(w.actives(0xff), [1]);
}
