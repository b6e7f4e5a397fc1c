//! What an instance tracks, in words, and what comes of it when it fails: the effective priority, and
//! who wins against a router of a given priority.

use heapless::Vec;
use ufmt::{uWrite, uwrite};

use crate::config::model::{
    CheckKind, Condition, Config, Group, Initial, Instance, MAX_TRACKS, Preempt, Track, Tracked, Weights,
};
use crate::text::{Text, Written};
use crate::vrrp::packet::PRIORITY_OWNER as OWNER;

/// As many things are shown in every combination.
const MAX_COMBINED: usize = 4;

/// A tracker that counts for an instance.
struct Counted<'a> {
    track: Track,
    /// The group or the other member that it comes from.
    from: Option<(&'static str, &'a str)>,
}

impl Counted<'_> {
    /// Whether it follows the number in a file.
    fn is_file(&self, config: &Config) -> bool {
        let Tracked::Check(name) = self.track.what else { return false };
        let check = config.check_named(name).and_then(|c| config.checks.get(c));
        check.is_some_and(|c| matches!(c.kind, CheckKind::File { .. }))
    }

    /// What the table takes for working and for failing.
    fn conditions(&self, config: &Config) -> (Condition, Condition) {
        if !self.is_file(config) {
            return (Condition::Up, Condition::Down);
        }
        match (self.track.weight, self.track.reverse) {
            (0, false) => (Condition::Value(0), Condition::Value(1)),
            (0, true) => (Condition::Value(1), Condition::Value(0)),
            // The sign that takes something off.
            (weight, reverse) => (Condition::Value(0), Condition::Value(if (weight > 0) != reverse { -1 } else { 1 })),
        }
    }
}

/// The group that `i` is in.
pub(super) fn group_of<'c>(config: &'c Config, i: &Instance) -> Option<&'c Group> {
    config.groups.iter().find(|g| config.members_of(g).contains(&i.name))
}

/// What counts for `i`, by the router's rule: each thing once, its own tracker before its group's and
/// that before those of other members; under `weights off` no member's weights.
fn counted<'c>(config: &'c Config, i: &'c Instance) -> Vec<Counted<'c>, MAX_TRACKS> {
    let mut all: Vec<Counted<'c>, MAX_TRACKS> = Vec::new();
    let mut add = |tracks: &[Track], weights: bool, from: Option<(&'static str, &'c str)>| {
        for track in tracks.iter().filter(|t| weights || t.weight == 0) {
            if !all.iter().any(|other| other.track.what == track.what) {
                // There is room: the pool that they come from is no larger.
                let _ = all.push(Counted { track: *track, from });
            }
        }
    };
    let group = group_of(config, i);
    let weights = group.map_or(Weights::All, |g| g.weights);
    add(config.tracks_of(i), weights != Weights::Nobody, None);
    if let Some(g) = group {
        add(config.tracks_of_group(g), true, Some(("group", config.str(g.name))));
        for member in config.members_of(g).iter().filter(|m| **m != i.name) {
            if let Some(other) = config.instance_named(*member).and_then(|m| config.instances.get(m)) {
                add(config.tracks_of(other), weights == Weights::All, Some(("instance", config.str(other.name))));
            }
        }
    }
    all
}

/// Whether `i` does not start before checks have spoken.
pub(super) fn waits(config: &Config, i: &Instance) -> bool {
    counted(config, i).iter().any(|c| match c.track.what {
        Tracked::Check(name) => {
            let check = config.check_named(name).and_then(|c| config.checks.get(c));
            c.track.weight == 0 && check.is_some_and(|c| c.initial == Initial::Unknown)
        }
        Tracked::Interface(_) => false,
    })
}

/// Each thing that counts for `i`, in a sentence of its own.
pub(super) fn sentences(config: &Config, i: &Instance, t: &mut Text<'_>) -> Written {
    let all = counted(config, i);
    for c in &all {
        let (track, name) = (&c.track, config.str(c.track.what.name()));
        if let Some((what, of)) = c.from {
            uwrite!(t, "  Through {} {}: while ", what, of)?;
        } else {
            t.write_str("  While ")?;
        }
        if c.is_file(config) {
            write_file(track, name, t)?;
            continue;
        }
        t.write_str(if matches!(track.what, Tracked::Check(_)) { "check " } else { "" })?;
        let state = |up| if up { "up" } else { "down" };
        if track.weight == 0 {
            let bad = state(track.reverse);
            uwrite!(t, "{} is {} it is in Fault: it hands over and takes no part.\n", name, bad)?;
            continue;
        }
        // One of the two changes nothing.
        let up = track.adds(Condition::Up) != 0;
        let adds = track.adds(if up { Condition::Up } else { Condition::Down });
        uwrite!(t, "{} is {} its priority is {}", name, state(up), effective(i, adds))?;
        t.write_str(if all.len() > 1 { ", all else as configured.\n" } else { ".\n" })?;
    }
    Ok(())
}

fn write_file(track: &Track, name: &str, t: &mut Text<'_>) -> Written {
    if track.weight == 0 {
        let bad = if track.reverse { "0" } else { "another number than 0" };
        return uwrite!(t, "there is {} or none in the file of check {} it is in Fault.\n", bad, name);
    }
    let weight = if track.reverse { -track.weight } else { track.weight };
    uwrite!(t, "there is a number in the file of check {} it is added to its priority", name)?;
    if weight != 1 {
        uwrite!(t, ", times {}", weight)?;
    }
    uwrite!(t, "; at {} or less it is in Fault.\n", Track::FAULT)
}

/// The priority that `i` has with `sum` of weights.
fn effective(i: &Instance, sum: i32) -> u8 {
    if i.priority == OWNER { OWNER } else { (i.priority as i32 + sum).clamp(1, OWNER as i32 - 1) as u8 }
}

/// What comes of each combination of what `i` tracks, with the winner against a router of priority `against`.
pub(super) fn table(config: &Config, i: &Instance, against: Option<u8>, t: &mut Text<'_>) -> Written {
    let all = counted(config, i);
    if all.is_empty() && against.is_none() {
        return Ok(());
    }
    t.write_str("  Its effective priority")?;
    if let Some(peer) = against {
        uwrite!(t, ", and who wins against a router of priority {}", peer)?;
    }
    t.write_str(if all.len() > MAX_COMBINED { " (each thing alone, and all at once):\n" } else { ":\n" })?;
    let whole = (1u128 << all.len().min(127)) - 1;
    if all.len() > MAX_COMBINED {
        row(config, i, &all, against, &|_| false, t)?;
        for alone in 0..all.len() {
            row(config, i, &all, against, &|n| n == alone, t)?;
        }
        row(config, i, &all, against, &|_| true, t)?;
    } else {
        for count in 0..=all.len() as u32 {
            for mask in (0..=whole).filter(|m| m.count_ones() == count) {
                row(config, i, &all, against, &|n| mask & 1 << n != 0, t)?;
            }
        }
    }
    if all.iter().any(|c| c.is_file(config)) {
        t.write_str("    A file that a line does not name is taken to hold 0 (1 with 'weight 0 reverse').\n")?;
    }
    if let (Some(g), Some(_)) = (group_of(config, i), against) {
        let name = config.str(g.name);
        uwrite!(t, "    In group {} it is Active only if every other member can be too.\n", name)?;
    }
    Ok(())
}

/// One combination: what fails in it, the priority, the winner.
fn row(
    config: &Config,
    i: &Instance,
    all: &[Counted<'_>],
    against: Option<u8>,
    fails: &dyn Fn(usize) -> bool,
    t: &mut Text<'_>,
) -> Written {
    let (mut sum, mut fault, mut any) = (0, false, false);
    t.write_str("    ")?;
    for (n, c) in all.iter().enumerate() {
        let (good, bad) = c.conditions(config);
        let condition = if fails(n) { bad } else { good };
        sum += c.track.adds(condition);
        fault |= c.track.faults(condition);
        if fails(n) {
            uwrite!(t, "{}{}", if any { ", " } else { "" }, config.str(c.track.what.name()))?;
            match condition {
                Condition::Value(number) => uwrite!(t, " at {}", number)?,
                _ => t.write_str(" down")?,
            }
            any = true;
        }
    }
    // What faults another member faults all.
    let condition_of = |what: Tracked, track: &Counted<'_>| {
        let at = all.iter().position(|c| c.track.what == what);
        let failing = at.is_some_and(fails);
        let (good, bad) = at.map_or_else(|| track.conditions(config), |at| all[at].conditions(config));
        if failing { bad } else { good }
    };
    for member in group_of(config, i).map_or(&[][..], |g| config.members_of(g)) {
        let other = config.instance_named(*member).and_then(|m| config.instances.get(m));
        fault |=
            other.is_some_and(|o| counted(config, o).iter().any(|c| c.track.faults(condition_of(c.track.what, c))));
    }
    let priority = (!fault).then(|| effective(i, sum));
    t.write_str(if any { ": " } else { "nothing down: " })?;
    match priority {
        Some(priority) => uwrite!(t, "{}", priority)?,
        None => t.write_str("FAULT")?,
    }
    if let Some(peer) = against {
        uwrite!(t, ", {}", winner(i, priority, peer))?;
    }
    t.write_str("\n")
}

/// Who wins with `priority`, `None` for a Fault, against a router of priority `peer`.
fn winner(i: &Instance, priority: Option<u8>, peer: u8) -> &'static str {
    match priority {
        Some(ours) if ours == peer => "whichever is Active, the greater address if both are",
        Some(OWNER) => "this router",
        Some(ours) if ours > peer && i.preempt == Preempt::Off => {
            "this router, unless the other is Active (preempt off)"
        }
        Some(ours) if ours > peer => "this router",
        _ => "the other",
    }
}

/// The groups, and what they mean to their instances.
pub(super) fn groups(config: &Config, t: &mut Text<'_>) -> Written {
    for g in &config.groups {
        uwrite!(t, "\ngroup {}: ", config.str(g.name))?;
        for (n, member) in config.members_of(g).iter().enumerate() {
            uwrite!(t, "{}{}", if n == 0 { "" } else { ", " }, config.str(*member))?;
        }
        t.write_str(
            "\n  Members are Active together or not at all: each waits until all can be, and when one yields to \
             another router or is in Fault, all hand over.\n",
        )?;
        t.write_str(match g.weights {
            Weights::All => "  What one of them tracks counts for all.\n",
            Weights::Own => {
                "  Weights of what a member tracks count for it alone (weights own); what puts one in Fault puts all in it.\n"
            }
            Weights::Nobody => {
                "  Weights of what a member tracks count for nobody (weights off); what puts one in Fault puts all in it.\n"
            }
        })?;
    }
    Ok(())
}
