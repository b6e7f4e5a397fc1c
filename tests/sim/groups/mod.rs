//! Sync groups: routers that speak on two or three virtual LANs and are Active on all of them or on none.
//!
//! - `plan`: what a router is told; `world`: what it lives in.
//! - `check`: what holds after every event; `scenario`: what holds in quiet times, and single faults.
//!
//! `PICOVRRP_SIM_GROUP_SEED=N` replays seed N.

mod check;
mod plan;
mod scenario;
mod world;

/// Whether one seed is replayed, with all that happens.
fn verbose() -> bool {
    static ONE: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ONE.get_or_init(|| super::number("PICOVRRP_SIM_GROUP_SEED").is_some())
}

/// Every seed holds every invariant.
#[test]
fn random_groups() {
    let failed = match super::number("PICOVRRP_SIM_GROUP_SEED") {
        Some(seed) => scenario::run(seed).err().map(|text| (seed, text)),
        None => super::sweep(super::seeds(), |seed| scenario::run(seed).err()),
    };
    if let Some((seed, text)) = failed {
        panic!("seed {seed}: {text}\nreplay: PICOVRRP_SIM_GROUP_SEED={seed} cargo test --test sim random_groups");
    }
}
