//! Plans the faults of a scenario.

use crate::node::Kind;
use crate::ops::Op;
use crate::tracked::Found;
use crate::world::{Ev, World};

/// Plans faults at random moments; returns when they end.
pub fn plan(w: &mut World, t: u64) -> u64 {
    let intervals = 12 + w.rng.below(48);
    let end = t * intervals;
    w.net.duplicate = w.rng.pick(&[0, 0, 5, 30]);
    let real = w.kind == Kind::Real;
    for _ in 0..3 + w.rng.below(40) {
        let at = w.rng.below(end);
        one(w, at, end, t, real);
    }
    end
}

/// One fault at `at`, and its end, or its repetitions, before `end`.
fn one(w: &mut World, at: u64, end: u64, t: u64, real: bool) {
    let n = w.hosts.len();
    let h = w.rng.index(n);
    let other = (h + 1 + w.rng.index(n - 1)) % n;
    let later = at + w.rng.below((end - at).min(8 * t) + 1);
    let p = w.rng.below(70);
    let op = |w: &mut World, t: u64, op: Op| w.at(t, Ev::Op(op));
    // The tests' own election knows nothing of interfaces that vanish and addresses that others move.
    let kinds = if !real {
        13
    } else if w.hosts[h].setup.checks.is_empty() {
        20
    } else {
        28
    };
    match w.rng.below(kinds) {
        0 => op(w, at, Op::Loss(p)),
        1 => op(w, at, Op::LinkLoss(h, other, p + 30)),
        2 => {
            let side = w.rng.next() as u8;
            op(w, at, Op::Split(side));
            op(w, later, Op::Heal);
        }
        3 => op(w, at, Op::OneWay(h, other)),
        4 => {
            op(w, at, Op::PowerOff(h));
            op(w, later, Op::Boot(h));
        }
        5 => {
            op(w, at, Op::Stop(h));
            op(w, later, Op::Boot(h));
        }
        6 => {
            op(w, at, Op::Pause(h));
            op(w, later, Op::Resume(h));
        }
        7 => {
            let priority = 1 + w.rng.below(254) as u8;
            op(w, at, Op::Priority(h, priority));
        }
        8 => {
            let mode = w.rng.pick(&[0, 1, 1, 3 * t]);
            op(w, at, Op::Preempt(h, mode));
        }
        9 => {
            let n = 1 + w.rng.below(20) as u8;
            op(w, at, Op::Bad(h, n));
        }
        10 => {
            let what = w.rng.pick(&[Op::Replay(h), Op::Reflect(h)]);
            flood(w, what, at, later);
        }
        11 => {
            // Priority 0, losing adverts of a stranger, or somebody who says it is the owner.
            let (priority, from) = w.rng.pick(&[(0, other), (0, n), (1, n), (1, other), (255, n)]);
            flood(w, Op::Forge(h, priority, from), at, later);
        }
        12 => {
            op(w, at, Op::Carrier(h, false));
            op(w, later, Op::Carrier(h, true));
        }
        13 => {
            op(w, at, Op::Kill(h));
            op(w, later, Op::Boot(h));
        }
        14 => {
            let i = w.rng.index(3);
            op(w, at, Op::Delete(h, i));
            op(w, later, Op::Recreate(h, i));
        }
        // No number is drawn for it: all else is as it would be without.
        15 if at.is_multiple_of(2) => {
            op(w, at, Op::Yield(h));
            op(w, later, Op::Unyield(h));
        }
        15 => op(w, at, Op::Same(h)),
        16 => op(w, at, Op::Flush(h)),
        17 => {
            let v = w.rng.index(3);
            op(w, at, Op::RemoveVip(h, v));
        }
        18 => {
            let (v, fails) = (w.rng.index(3), w.rng.below(3) as u8);
            let what = w.rng.pick(&[Op::AddVip(h, v), Op::FailAdds(h, fails)]);
            op(w, at, what);
        }
        20..24 => {
            let c = w.rng.index(w.hosts[h].setup.checks.len());
            let look = w.hosts[h].setup.checks[c].look;
            // Now and then it changes its mind, again and again.
            for _ in 0..w.rng.pick(&[1, 1, 2, 8]) {
                let (found, times) = (Found::random(look, &mut w.rng), w.rng.pick(&[1, 1, 2, 5]));
                let when = at + w.rng.below(later - at + 1);
                op(w, when, Op::Run(h, c, found, times));
            }
        }
        24..26 => {
            op(w, at, Op::Uplink(h, false));
            op(w, later, Op::Uplink(h, true));
        }
        26 => op(w, at, Op::Retrack(h)),
        _ => {
            // No two hosts have one address.
            let number = 100 + 15 * h as u8 + w.rng.below(15) as u8;
            op(w, at, Op::Renumber(h, number));
        }
    }
}

/// The same many times.
fn flood(w: &mut World, what: Op, from: u64, to: u64) {
    let n = w.rng.pick(&[1, 1, 5, 60]);
    for i in 0..n {
        w.at(from + (to - from) * i / n, Ev::Op(what));
    }
}
