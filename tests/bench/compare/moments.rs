//! How long it takes, at a client and on the wire, when something happens.

use std::time::{Duration, Instant};

use super::Bench;
use super::bounds::{FAULT, HANDOVER, LATE};
use super::program::{Keepalived, LONG, Ours, Pair, Program, Setup, VIP, VRID, Watch, between_adverts};
use super::results::Results;
use super::support::process::{Process, Signal};
use super::support::script::{lines, replace, script};
use super::support::{Lab, Pinger, ms, observe};
use super::usage::wall_clock;

fn millis(d: Duration) -> f64 {
    d.as_secs_f64() * 1000.0
}

/// Adverts every second, or so often that a quick run is quick.
fn usual(bench: &Bench) -> Duration {
    if bench.quick { ms(100) } else { ms(1000) }
}

/// How often the client pings.
const PING: Duration = ms(1);

/// From the birth of the process to its first advert.
pub(crate) fn start(bench: &mut Bench) {
    bench.rounds("start", 10, |binaries, program, results| {
        let lab = Lab::new();
        let a = lab.node("a", 1);
        let setup = Setup::one(255, Duration::from_secs(1));
        let command = binaries.command(program, &setup, &a.dir());
        // Born in the namespace, of a thread that outlives it: nothing is started in between.
        let took = a.ns().inside(|| {
            let birth = Instant::now();
            let process = Process::start("the daemon", command, a.dir().join("bare.log"), a.ns());
            let _process = if program == Keepalived { process.gently() } else { process };
            lab.wire().wait("an advert of a", birth, LONG, |s| s.is_claim_of("a")).at - birth
        });
        results.add("Start to first advert", "priority 255", "ms", program, millis(took));
    });
}

/// The cut of a cable behind the switch, and a stop of the daemon, at three intervals.
pub(crate) fn failover(bench: &mut Bench) {
    let quick = bench.quick;
    for (interval, label) in [(ms(1000), "1 s"), (ms(100), "10 cs"), (ms(10), "1 cs")] {
        if quick && interval == ms(1000) {
            continue;
        }
        bench.rounds(&format!("failover and handover at {label}"), 5, |binaries, program, results| {
            let pair = Pair::start(binaries, program, program, &Setup::one(200, interval));
            cut(&pair, program, label, results);
            handover(pair, program, HANDOVER, label, results);
        });
    }
    if quick {
        return;
    }
    bench.rounds("handover to the other program", 3, |binaries, program, results| {
        let (other, label) = match program {
            Ours => (Keepalived, "1 s"),
            Keepalived => (Ours, "1 s"),
        };
        let pair = Pair::start(binaries, program, other, &Setup::one(200, Duration::from_secs(1)));
        handover(pair, program, "Planned handover to the other program: outage", label, results);
    });
}

/// a's port leaves the bridge and nobody loses carrier; a comes back.
fn cut(pair: &Pair, program: Program, label: &str, results: &mut Results) {
    let pinger = Pinger::start_every(pair.client.ns(), VIP, PING);
    pinger.wait_answer(Instant::now(), LONG);
    pair.between_adverts();
    let cut = Instant::now();
    pair.a.vanish();
    let claim = pair.lab.wire().wait("an advert of b", cut, LONG, |s| s.is_claim_of("b"));
    let heard = pair.lab.wire().last_delivery("b", claim.at).expect("b heard a");
    let answer = pinger.wait_answer(claim.at, LONG);
    observe(ms(20));
    let late = millis(claim.at - heard) - millis(pair.successor.active_down_interval());
    results.add(LATE, label, "ms", program, late);
    results.add("Link cut: outage", label, "ms", program, millis(pinger.stop().longest_silence(cut)));
    results.add("Link cut: from that advert to an answer", label, "ms", program, millis(answer - claim.at));
    pair.a.reappear();
    pair.b.wait_lacks(VIP, LONG);
}

/// a's daemon gets TERM.
fn handover(mut pair: Pair, program: Program, what: &str, label: &str, results: &mut Results) {
    let pinger = Pinger::start_every(pair.client.ns(), VIP, PING);
    pinger.wait_answer(Instant::now(), LONG);
    pair.between_adverts();
    let order = Instant::now();
    pair.one.process.signal(Signal::TERM);
    let claim = pair.lab.wire().wait("an advert of b", order, LONG, |s| s.is_claim_of("b"));
    pair.one.process.wait_exit(LONG);
    pinger.wait_answer(claim.at + ms(300), LONG);
    results.add(what, label, "ms", program, millis(pinger.stop().longest_silence(order)));
}

/// A check of a fails for which it is in FAULT, with adverts every second.
pub(crate) fn fault(bench: &mut Bench) {
    let advert = usual(bench);
    for by_script in [true, false] {
        let case = if by_script { "script" } else { "number in a file" };
        bench.rounds(&format!("fault by a {case}"), 3, |binaries, program, results| {
            let dir = std::env::temp_dir().join(format!("picovrrp-bench-{}", std::process::id()));
            let file = dir.join("value");
            let (note, value) = (dir.join("failed"), file.display());
            let body = format!("[ \"$(cat {value})\" != 0 ] || exit 0\ndate +%s.%N >>{}\nexit 1", note.display());
            let path = script(&dir, "look", &body);
            replace(&file, "0\n");
            let watch = if by_script { Watch::Script(path) } else { Watch::Number(file.clone()) };
            let setup = Setup { watch, ..Setup::one(200, advert) };
            let pair = Pair::start(binaries, program, program, &setup);
            let pinger = Pinger::start_every(pair.client.ns(), VIP, PING);
            pinger.wait_answer(Instant::now(), LONG);
            pair.between_adverts();
            let failed = Instant::now();
            replace(&file, "-254\n");
            let claim = pair.lab.wire().wait("an advert of b", failed, LONG, |s| s.is_claim_of("b"));
            pinger.wait_answer(claim.at + ms(300), LONG);
            // What counts is when the script failed, not how long it was until it ran again.
            let said = wall_clock() - (Instant::now() - claim.at).as_secs_f64();
            let noted = lines(&note).first().and_then(|l| l.parse::<f64>().ok());
            let took = noted.map_or(millis(claim.at - failed), |noted| (said - noted) * 1000.0);
            assert_eq!(noted.is_some(), by_script, "the script has run, if there is one");
            results.add(FAULT, case, "ms", program, took);
            let gap = millis(pinger.stop().longest_silence(failed));
            results.add("Fault by a check: outage", case, "ms", program, gap);
            let _ = std::fs::remove_dir_all(&dir);
        });
    }
}

/// From HUP to the first advert of an instance that was added, with priority 255: it speaks as soon as it is
/// there. All the others are not to be disturbed.
pub(crate) fn reload(bench: &mut Bench) {
    let before = bench.binaries.most() - 1;
    bench.rounds("reload", 3, |binaries, program, results| {
        let lab = Lab::new();
        let a = lab.node("a", 1);
        let advert = Duration::from_secs(1);
        let setup = Setup::many(before, 200, advert);
        let start = Instant::now();
        let daemon = binaries.start(program, &a, &setup);
        let all = usize::from(before);
        lab.wire().wait_many("adverts of all", 3 * all, start, LONG, |s| s.is_claim_of("a"));
        between_adverts(&lab, advert);
        let order = Instant::now();
        daemon.reload(&Setup { owner: Some(before + 1), ..setup });
        let added = lab.wire().wait("an advert of the added instance", order, LONG, |s| {
            s.is_claim_of("a") && s.advert().is_some_and(|a| a.vrid == before + 1)
        });
        let case = format!("of {before} instances, until an added one advertises");
        results.add("Reload", &case, "ms", program, millis(added.at - order));
        // Three more of each show whether one was left out.
        lab.wire().wait_many("adverts of all", 3 * all, added.at, LONG, |s| s.is_claim_of("a"));
        let mut longest = Duration::ZERO;
        let mut last = std::collections::BTreeMap::new();
        for sighting in lab.wire().since(order - advert * 2) {
            let vrid = sighting.advert().map(|a| a.vrid).filter(|v| *v <= before);
            if let Some(previous) = vrid.and_then(|v| last.insert(v, sighting.at)) {
                longest = longest.max(sighting.at - previous);
            }
        }
        let case = "longest silence of an instance that stays, adverts every 1000 ms";
        results.add("Reload", case, "ms", program, millis(longest));
    });
}

/// Somebody deletes the address of the Active.
pub(crate) fn restore(bench: &mut Bench) {
    let advert = usual(bench);
    bench.rounds("restoration", 3, |binaries, program, results| {
        let pair = Pair::start(binaries, program, program, &Setup::one(200, advert));
        let pinger = Pinger::start_every(pair.client.ns(), VIP, PING);
        pinger.wait_answer(Instant::now(), LONG);
        pair.between_adverts();
        let deleted = Instant::now();
        pair.a.ns().ip(&format!("addr del {VIP}/24 dev eth0"));
        let gone = Instant::now();
        // Both have put it back, or the other one has it, when it answers for long.
        loop {
            observe(ms(250));
            let silence = pinger.so_far().longest_silence(deleted);
            let now = Instant::now();
            let answered = pinger.so_far().first_answer_after(now - ms(200)).is_some();
            assert!(gone.elapsed() < LONG, "{program:?} never puts it back");
            if answered && now > gone + silence + ms(500) {
                break;
            }
        }
        let gap = millis(pinger.stop().longest_silence(deleted));
        results.add("Outage when an address was deleted by hand", "", "ms", program, gap);
        assert!(pair.lab.wire().count(deleted, |s| s.advert().is_some_and(|a| a.vrid == VRID)) > 0);
    });
}
