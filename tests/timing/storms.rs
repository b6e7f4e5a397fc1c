//! Checks whose scripts hang, fork, flood and refuse to die: the adverts go on as if there were none.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::picovrrp::{Picovrrp, lan};
use crate::support::script::script;
use crate::support::{Lab, SOON, VIP4, observe, wait_until};

const CHECKS: usize = 32;
const WINDOW: Duration = Duration::from_secs(60);

/// Does nothing, for ever.
const SLEEP: &str = "exec sleep 100000";
/// TERM does not end it, nor what it starts.
const STUBBORN: &str = "trap '' TERM HUP INT\nwhile :; do sleep 100000; done";
/// A hundred children that stay, and then one after the other.
const FORK: &str = "n=0\nwhile :; do\n    n=$((n + 1))\n    if [ $n -le 100 ]; then sleep 100000 & else (:); fi\ndone";
/// Writes to stderr as fast as it is read.
const FLOOD: &str = "exec yes 'something is wrong, and it does not end' >&2";

/// 32 checks, once a second and for a second each, whose failures cost 32 points of priority.
fn config(dir: &Path, priority: u8, wild: bool) -> String {
    let mut text = format!("max-children {CHECKS}\n");
    let mut instance = lan(&format!("version 3 advert 10cs priority {priority}"));
    for n in 0..CHECKS {
        let body = match n % 8 {
            1 | 5 if wild => STUBBORN,
            3 if wild => FORK,
            7 if wild => FLOOD,
            _ => SLEEP,
        };
        let path = script(dir, &format!("check{n}"), body);
        writeln!(text, "check c{n} script {} every 1s timeout 1s", path.display()).expect("a String takes all");
        writeln!(instance, "  track c{n} weight -1").expect("a String takes all");
    }
    text + &instance
}

/// How often the least often of the checks has run.
fn least_runs(daemon: &Picovrrp) -> u64 {
    let status = daemon.status().expect("a status");
    let checks = status["checks"].as_array().expect("the checks");
    assert_eq!(checks.len(), CHECKS);
    checks.iter().map(|c| c["runs"].as_u64().expect("a number of runs")).min().unwrap_or(0)
}

#[test]
fn scripts_that_hang_fork_and_flood_delay_no_advert_for_a_minute() {
    let _alone = crate::alone();
    let (lab, a, b, _client) = Lab::trio();
    let mut one = Picovrrp::start_until(&a, &config(&a.dir(), 200, true), "MASTER");
    let mut two = Picovrrp::start_until(&b, &config(&b.dir(), 100, false), "BACKUP");
    let effective = |daemon: &Picovrrp| daemon.instance()["effective_priority"].as_u64();
    wait_until("every check has failed", SOON, || (effective(&one), effective(&two)) == (Some(168), Some(68)));
    let changes = |daemon: &Picovrrp| (daemon.instance()["transitions"].clone(), daemon.stat("master_transitions"));
    let before = (changes(&one), changes(&two));
    let (received, runs) = (two.stat("advertisement_rcvd"), (least_runs(&one), least_runs(&two)));

    let start = Instant::now();
    observe(WINDOW);

    assert_eq!((changes(&one), changes(&two)), before, "nobody changed its state");
    assert_eq!((one.state().as_deref(), two.state().as_deref()), (Some("MASTER"), Some("BACKUP")));
    assert_eq!((two.stat("master_transitions"), two.stat("priority_zero_pkts_rcvd")), (0, 0), "b has never led");
    assert_eq!(two.stat("advertisement_sent"), 0);
    assert!(a.has(VIP4) && !b.has(VIP4));
    let adverts: Vec<_> = lab.wire().since(start).into_iter().filter(|s| s.is_claim_of("a")).collect();
    let gap = adverts.windows(2).map(|w| w[1].at - w[0].at).max().expect("adverts");
    eprintln!("{} adverts, the longest gap {gap:?}", adverts.len());
    assert!(two.stat("advertisement_rcvd") - received >= 590);
    // The storm was one.
    let further = (least_runs(&one) - runs.0, least_runs(&two) - runs.1);
    assert!(further.0 >= 10 && further.1 >= 20, "only {further:?} runs in a minute");
    assert_eq!((one.threads(), two.threads()), (1, 1));

    for (daemon, node) in [(&mut one, &a), (&mut two, &b)] {
        wait_until("scripts run in their router's namespace", SOON, || node.ns().pids().len() > CHECKS / 2);
        daemon.terminate();
        assert!(daemon.process.wait_exit(Duration::from_secs(30)).success(), "{}", daemon.process.log());
        wait_until("none of the scripts is left", SOON, || node.ns().pids().is_empty());
    }
}
