//! Many routers on a virtual LAN: discrete events, one seed a scenario, no clock, no socket.
//!
//! - `world`, `host`, `kernel`, `network`: what the routers live in.
//! - `tracked`: what a router tracks, and a model of what comes of it.
//! - `ops`, `chaos`: what goes wrong, and when.
//! - `check`: the invariants after every event; `scenario`: those of quiet times, and the bounds.
//! - `compact`, `mutants`: a second election, and mistakes in it that must be caught.
//! - `groups`: routers on several LANs, in sync groups.
//! - `regressions`: single stories by name.
//!
//! `PICOVRRP_SIM_SEEDS=N` runs N seeds, `PICOVRRP_SIM_SEED=N` only seed N
//! (`PICOVRRP_SIM_GROUP_SEED=N` of the groups).

// A test crate exports nothing: `pub` marks what its modules share. All of it is test code.
#![allow(unreachable_pub, clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};

use node::Kind;

mod chaos;
mod check;
mod compact;
mod groups;
mod host;
mod kernel;
mod mutants;
mod network;
mod node;
mod ops;
mod regressions;
mod rng;
mod scenario;
mod setup;
mod trace;
mod tracked;
mod world;

/// Seeds of an ordinary run.
const SEEDS: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// How many seeds are run.
fn seeds() -> u64 {
    number("PICOVRRP_SIM_SEEDS").unwrap_or(SEEDS)
}

/// The first of `count` seeds that `fails`, and how. All processors take part.
fn sweep(count: u64, fails: impl Fn(u64) -> Option<String> + Sync) -> Option<(u64, String)> {
    let (next, stop) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let worker = || {
        let mut failed = None;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count || seed > stop.load(Ordering::Relaxed) {
                return failed;
            }
            if let Some(text) = fails(seed) {
                stop.fetch_min(seed, Ordering::Relaxed);
                failed = failed.or(Some((seed, text)));
            }
        }
    };
    std::thread::scope(|s| {
        let n = std::thread::available_parallelism().map_or(1, |n| n.get());
        let threads: Vec<_> = (0..n).map(|_| s.spawn(worker)).collect();
        threads.into_iter().filter_map(|t| t.join().unwrap()).min()
    })
}

/// Every seed holds every invariant.
#[test]
fn random_scenarios() {
    let failed = match number("PICOVRRP_SIM_SEED") {
        Some(seed) => scenario::run(seed, Kind::Real, 0).failure.map(|text| (seed, text)),
        None => sweep(seeds(), |seed| scenario::run(seed, Kind::Real, 0).failure),
    };
    if let Some((seed, text)) = failed {
        panic!(
            "seed {seed}: {text}\nreplay: PICOVRRP_SIM_SEED={seed} cargo test --test sim random_scenarios -- --nocapture"
        );
    }
}

/// I11: the same seed gives the same trace, wherever the clocks begin.
#[test]
fn same_seed_same_trace() {
    for seed in 0..100 {
        let first = scenario::run(seed, Kind::Real, 0);
        assert!(first.steps > 50, "seed {seed} is no scenario: {} steps", first.steps);
        assert_eq!(first.hash, scenario::run(seed, Kind::Real, 0).hash, "seed {seed} once more");
        let decade = 10 * 365 * 86_400 * 1_000_000;
        assert_eq!(first.hash, scenario::run(seed, Kind::Real, decade).hash, "seed {seed}, ten years later");
    }
}

/// Two seeds give two traces: what is compared above can differ.
#[test]
fn other_seed_other_trace() {
    assert_ne!(scenario::run(1, Kind::Real, 0).hash, scenario::run(2, Kind::Real, 0).hash);
}
