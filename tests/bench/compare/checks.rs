//! What a check costs: the same script run by both, and a port that we look at without one.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::Bench;
use super::program::{Binaries, LONG, Program, Setup, Watch};
use super::results::Results;
use super::support::script::script;
use super::support::{Lab, Node, ms, observe};

/// So many checks are run every second, for the kernel counts the time of ended processes coarsely.
const COPIES: usize = 25;
const PORT: u16 = 8080;

/// Microseconds for a run, those of what it starts included, less what the daemon takes without.
pub(crate) fn cost(bench: &mut Bench) {
    let window = if bench.quick { ms(1000) } else { ms(8000) };
    bench.rounds("cost of a check", 2, move |binaries, program, results| {
        let lab = Lab::new();
        let a = lab.node("a", 1);
        serve(&a);
        let sure = script(&a.dir(), "sure", "exec /bin/true");
        let look = script(&a.dir(), "look", &format!("exec nc -z -w 1 127.0.0.1 {PORT}"));
        let idle = taken(binaries, program, &a, Watch::Nothing, window);
        for (case, watch) in [
            ("/bin/true", Watch::Script("/bin/true".into())),
            ("a shell script", Watch::Script(sure)),
            ("a TCP port", Watch::Port(PORT, look)),
        ] {
            let taken = taken(binaries, program, &a, watch, window).saturating_sub(idle);
            let runs = window.as_secs_f64() * COPIES as f64;
            add(results, case, program, taken.as_secs_f64() * 1e6 / runs);
        }
    });
}

fn add(results: &mut Results, case: &str, program: Program, micros: f64) {
    results.add("Cost of a check", case, "µs", program, micros);
}

/// Accepts connections on a's own loopback until the program ends.
fn serve(a: &Node) {
    let listener = a.ns().inside(|| TcpListener::bind(("127.0.0.1", PORT)).expect("the port is free"));
    std::thread::spawn(move || listener.incoming().for_each(drop));
}

/// Processor time of a daemon with this check in a window.
fn taken(binaries: &Binaries, program: Program, a: &Node, watch: Watch, window: Duration) -> Duration {
    let watched = !matches!(watch, Watch::Nothing);
    let start = Instant::now();
    let setup = Setup { watch, copies: COPIES, ..Setup::one(255, Duration::from_secs(40)) };
    let daemon = binaries.start(program, a, &setup);
    // It advertises once what it watches is well.
    a.lab().wire().wait("an advert of a", start, LONG, |s| s.is_claim_of("a"));
    observe(ms(500));
    let time = || daemon.time() + daemon.children_time();
    let before = time();
    observe(window);
    let taken = time() - before;
    assert!(!watched || taken > Duration::ZERO, "nothing was looked at");
    taken
}
