//! Adverts every hundredth of a second on a machine that is busy: nobody may take over.

use std::time::{Duration, Instant};

use super::Bench;
use super::program::{Pair, Setup};
use super::support::process::Process;
use super::support::{ms, observe};

/// Both routers are on this machine, and beside them a hog for each core.
pub(crate) fn noise(bench: &mut Bench) {
    let quick = bench.quick;
    for realtime in [false, true] {
        let case = if realtime { "1 cs, CPU hogs, real-time priority" } else { "1 cs, CPU hogs" };
        let window = Duration::from_secs(if quick {
            3
        } else if realtime {
            60
        } else {
            20
        });
        bench.rounds(&format!("{} s at {case}", window.as_secs()), 1, |binaries, program, results| {
            let setup = Setup { realtime, ..Setup::one(200, ms(10)) };
            let pair = Pair::start(binaries, program, program, &setup);
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            let hogs: Vec<_> = (0..cores)
                .map(|n| {
                    let mut hog = pair.client.ns().command("sh");
                    hog.args(["-c", "while :; do :; done"]);
                    Process::start("a hog", hog, pair.client.dir().join(format!("hog{n}")), pair.client.ns())
                })
                .collect();
            let start = Instant::now();
            observe(window);
            let end = Instant::now();
            drop(hogs);
            let (mut takeovers, mut longest, mut last, mut held) = (0, Duration::ZERO, None, true);
            for (of_a, at) in claims(&pair, start, end) {
                takeovers += usize::from(held && !of_a);
                held = of_a;
                if of_a {
                    longest = longest.max(last.map_or(Duration::ZERO, |last| at - last));
                    last = Some(at);
                }
            }
            results.add("False takeovers", case, "", program, takeovers as f64);
            let longest = longest.as_secs_f64() * 1000.0;
            results.add("Longest time between adverts", case, "ms", program, longest);
        });
    }
}

/// Each advert that claims the address: whether it is a's, and when it came.
fn claims(pair: &Pair, start: Instant, end: Instant) -> Vec<(bool, Instant)> {
    let seen = pair.lab.wire().since(start);
    let claims = seen.iter().filter(|s| s.at < end && (s.is_claim_of("a") || s.is_claim_of("b")));
    let claims: Vec<_> = claims.map(|s| (s.from == "a", s.at)).collect();
    assert!(claims.len() > 100, "only {} adverts were seen", claims.len());
    claims
}
