//! What it takes to be there: flash, memory, processor time, wake-ups and system calls, with few and with
//! many instances.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Bench;
use super::program::{Binaries, Daemon, Keepalived, LONG, Ours, Program, Setup, between_adverts};
use super::results::Results;
use super::support::{Lab, Node, SOON, ms, observe, wait_until};
use super::usage;

/// The binary, and all that it loads.
pub(crate) fn flash(bench: &mut Bench) {
    for (program, binary) in [(Ours, &bench.binaries.ours), (Keepalived, &bench.binaries.theirs)] {
        let alone = std::fs::metadata(binary).map(|m| m.len()).unwrap_or(0);
        let (all, libraries) = usage::flash(binary);
        let results = &mut bench.results;
        results.add("Flash", "the binary", "KiB", program, alone as f64 / 1024.0);
        results.add("Flash", "with all libraries", "KiB", program, all as f64 / 1024.0);
        results.add("Libraries", "", "files", program, libraries.len() as f64);
    }
}

/// How long the two windows are, in adverts.
#[derive(Clone, Copy)]
struct Windows {
    time: u32,
    calls: u32,
}

/// a holds all addresses, b is its backup by the same program.
pub(crate) fn idle(bench: &mut Bench) {
    let counts = usage::counts_instructions();
    let second = Duration::from_secs(1);
    let windows = if bench.quick { Windows { time: 2, calls: 1 } } else { Windows { time: 6, calls: 4 } };
    let sizes: &[u8] = if bench.quick { &[1, 20] } else { &[1, 20, 100, 255] };
    let most = bench.binaries.most();
    for n in sizes.iter().copied().filter(|n| *n <= most) {
        // A single instance takes so little that more of it has to be watched.
        let windows = if n == 1 { Windows { time: windows.time + 2, ..windows } } else { windows };
        let measure = move |binaries: &Binaries, program, results: &mut Results| {
            session(binaries, program, results, n, second, windows, counts);
        };
        // The ends of the scale have bounds, and the points between them show its form.
        let rounds = if n == 1 || n == 255 { 3 } else { 2 };
        bench.rounds(&format!("idle with {n}"), rounds, measure);
    }
    let windows = Windows { time: windows.time * 100, calls: windows.calls * 100 };
    let measure = move |binaries: &Binaries, program, results: &mut Results| {
        session(binaries, program, results, 1, ms(10), windows, counts);
    };
    bench.rounds("idle at 1 cs", 3, measure);
}

/// Roles and what they are called, with adverts every second and every hundredth of it.
fn roles(advert: Duration) -> [&'static str; 2] {
    if advert == ms(10) { ["Active at 1 cs", "Backup at 1 cs"] } else { ["Active", "Backup"] }
}

fn session(
    binaries: &Binaries,
    program: Program,
    results: &mut Results,
    n: u8,
    advert: Duration,
    windows: Windows,
    perf: bool,
) {
    let lab = Lab::new();
    let (a, b) = (lab.node("a", 1), lab.node("b", 2));
    let start = Instant::now();
    // As an owner, it need not wait until it knows that there is no other.
    let one = binaries.start(program, &a, &Setup::many(n, 255, advert));
    settled(&lab, &a, start, n);
    let [active, backup] = roles(advert);
    let start = Instant::now();
    let two = binaries.start(program, &b, &Setup::many(n, 100, advert));
    // picovrrp gives back what its start needed once it has been calm for eight seconds.
    observe(ms(10_000));
    let daemons = [(active, &one), (backup, &two)];

    between_adverts(&lab, advert);
    let from = Instant::now();
    let before = daemons.map(|(_, daemon)| (daemon.time(), daemon.wake_ups()));
    observe(advert * windows.time);
    let after = daemons.map(|(_, daemon)| (daemon.time(), daemon.wake_ups()));
    let (minutes, adverts) = (from.elapsed().as_secs_f64() / 60.0, adverts(&lab, from, Instant::now()));
    for (at, (role, _)) in daemons.into_iter().enumerate() {
        let taken = (after[at].0 - before[at].0).as_secs_f64() * 1000.0;
        let woken = (after[at].1 - before[at].1) as f64;
        results.add_for("CPU", role, n, "ms/min", program, taken / minutes);
        results.add_for("Wake-ups per advert", role, n, "", program, woken / adverts);
    }
    if perf {
        instructions(&lab, daemons, results, n, program, advert * windows.time);
    }

    between_adverts(&lab, advert);
    let calls = usage::calls(&a, &[&one, &two], advert * windows.calls);
    let adverts = self::adverts(&lab, calls.from, calls.to);
    for (count, (role, _)) in calls.counts.into_iter().zip(daemons) {
        let all: u64 = count.values().sum();
        results.add_for("System calls per advert", role, n, "", program, all as f64 / adverts);
        let of_one: serde_json::Map<_, _> =
            count.into_iter().map(|(name, times)| (name, json!(times as f64 / adverts))).collect();
        results.set_calls(format!("{program:?}, {role}, {n}"), of_one.into());
    }
    // At 1 cs a busy machine is enough for it, and a moment of it changes little.
    let claims = lab.wire().count(start, |s| s.is_claim_of("b"));
    assert!(claims == 0 || advert == ms(10), "{program:?} took over while nothing was wrong");
    drop(two);
    // Alone: two of a kind share their pages.
    let memory = one.memory();
    if advert != ms(10) {
        results.add_for("PSS", active, n, "KiB", program, memory.pss);
        results.add_for("RSS", active, n, "KiB", program, memory.rss);
        results.add_for("Private memory", active, n, "KiB", program, memory.private);
    }
    if n == 1 && advert != ms(10) {
        results.add("Processes", "", "", program, one.pids().len() as f64);
        results.add("Threads", "", "", program, one.threads() as f64);
    }
}

/// Waits until a advertises all and has all their addresses, and a moment for what follows that.
fn settled(lab: &Lab, a: &Node, start: Instant, n: u8) {
    wait_until("all instances advertise", LONG, || {
        let seen = lab.wire().since(start);
        let claims = seen.iter().filter(|s| s.is_claim_of("a")).filter_map(|s| s.advert());
        claims.map(|advert| advert.vrid).collect::<BTreeSet<_>>().len() == usize::from(n)
    });
    // Two of its own are IPv6's and one IPv4's.
    wait_until("all addresses are there", SOON, || a.addresses().len() >= usize::from(n) + 3);
    observe(ms(1500));
}

/// Adverts of a in a window: so many were sent, and as many received.
fn adverts(lab: &Lab, from: Instant, to: Instant) -> f64 {
    let n = lab.wire().count(from, |s| s.at < to && s.is_claim_of("a"));
    assert!(n > 0, "no advert in the window");
    n as f64
}

fn instructions(
    lab: &Lab,
    daemons: [(&str, &Daemon); 2],
    results: &mut Results,
    n: u8,
    program: Program,
    window: Duration,
) {
    let from = Instant::now();
    let counted = std::thread::scope(|scope| {
        let counters = daemons.map(|(_, daemon)| {
            let pids = daemon.pids();
            scope.spawn(move || usage::instructions(&pids, window))
        });
        counters.map(|counter| counter.join().ok().flatten())
    });
    let adverts = adverts(lab, from, Instant::now());
    for ((role, _), count) in daemons.into_iter().zip(counted) {
        if let Some(count) = count {
            results.add_for("Instructions per advert", role, n, "", program, count / adverts);
        }
    }
}
