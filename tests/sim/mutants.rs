//! Four mistakes that are common in the field: each must be caught.

use crate::compact::Mutant;
use crate::node::Kind;
use crate::{scenario, sweep};

/// The first of so many seeds that fails must come in time.
const WITHIN: u64 = 200;

fn caught(mutant: Mutant) {
    let failed = sweep(WITHIN, |seed| scenario::run(seed, Kind::Compact(Some(mutant)), 0).failure);
    let Some((seed, text)) = failed else { panic!("{mutant:?} survives {WITHIN} seeds") };
    println!("{mutant:?}: seed {seed}: {}", text.lines().next().unwrap_or_default());
}

/// Without a mistake the small election passes: what is caught below is the mistake.
#[test]
fn none() {
    if let Some((seed, text)) = sweep(1000, |seed| scenario::run(seed, Kind::Compact(None), 0).failure) {
        panic!("seed {seed}: {text}");
    }
}

#[test]
fn no_skew() {
    caught(Mutant::NoSkew);
}

#[test]
fn centiseconds_as_seconds() {
    caught(Mutant::CentisAsSeconds);
}

#[test]
fn no_tie_break() {
    caught(Mutant::NoTieBreak);
}

#[test]
fn not_rearmed() {
    caught(Mutant::NotRearmed);
}
