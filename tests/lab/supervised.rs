//! An upgrade in place beneath a supervisor: it sees one process that goes on, and can reload and stop it after.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::upgrade::FAST;
use crate::support::script::{self, lines, script};
use crate::support::{Lab, Picovrrp, SOON, Sighting, VIP4, ms, wait_for, wait_until};

/// As procd does: no input, output through a pipe that another process reads, again after every end whatever it
/// said, HUP passed on for a reload, TERM for a stop. What it saw is in `started` and `ended`.
const PROCD: &str = r#"
cd "$1" && shift
mkfifo output && { cat output > logged & }
exec 3> output
trap 'kill -HUP $child' HUP
trap 'stopping=1; kill -TERM $child' TERM
while [ -z "$stopping" ]; do
    setpriv --pdeathsig KILL "$@" < /dev/null > output 2>&1 3>&- &
    child=$!
    echo $child >> started
    while :; do
        wait $child
        status=$?
        kill -0 $child 2> /dev/null || break
    done
    echo $status >> ended
done
exit 0
"#;

/// As systemd does with this project's unit: the process is known by its pid and the time it was started, in a session
/// of its own; a reload is a command; at a stop only it is told, and what says 1 or 2 is not started again.
const SYSTEMD: &str = r#"
cd "$1" && shift
binary=$1 run_dir=$3
trap '"$binary" --run-dir "$run_dir" reload; echo $? >> reloaded' HUP
trap 'stopping=1; kill -TERM $child' TERM
while [ -z "$stopping" ]; do
    setsid setpriv --pdeathsig KILL "$@" < /dev/null > logged 2>&1 &
    child=$!
    echo $child >> started
    while :; do
        wait $child
        status=$?
        kill -0 $child 2> /dev/null || break
    done
    echo $status >> ended
    case $status in 1|2) stopping=1 ;; esac
done
exit 0
"#;

/// What a supervisor knows its process by: its parent, group, session and the time of its start.
fn identity(pid: u32) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name in brackets").1.split(' ').collect();
    [1, 2, 3, 19].map(|n| fields[n].to_owned()).to_vec()
}

/// The number that is all that the file holds.
fn number(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn goes_on(supervisor: &str) {
    let (lab, a, b, _client) = Lab::trio();
    let seen = a.dir().join("supervisor");
    let program = script(&seen, "supervise", supervisor);
    let mut one = Picovrrp::start_beneath(&program, &a, &FAST.config("priority 150"));
    one.wait_state("MASTER", SOON);
    let mut two = Picovrrp::start_until(&b, &FAST.config("priority 100"), "BACKUP");
    let pid = wait_for("the process", SOON, || number(&seen.join("started")));
    let before = identity(pid);
    let binary = lab.dir().join("next");
    script::program(crate::support::picovrrp::BINARY, &binary);
    let start = Instant::now();
    let mut gaps = Vec::new();
    for _ in 0..4 {
        let upgraded = Instant::now();
        assert!(one.command(&["upgrade", &binary.to_string_lossy()]).status.success(), "{}", one.process.log());
        lab.wire().wait_many("adverts of a", 8, Instant::now(), SOON, |s| s.is_claim_of("a"));
        let at: Vec<Instant> = lab.wire().since(upgraded).iter().filter(|s| s.is_claim_of("a")).map(|s| s.at).collect();
        gaps.push(at.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default());
        assert_eq!(fs::read_link(format!("/proc/{pid}/exe")).expect("it runs"), binary);
    }
    gaps.sort();
    // The machine may be busy for a moment; what is late each time is late.
    assert!(gaps[1] <= ms(120), "{gaps:?}");
    assert_eq!(identity(pid), before);
    assert!(one.process.running());
    // It hears the supervisor, and the supervisor hears it.
    one.write_config(&FAST.config("priority 160"));
    one.process.signal(crate::support::process::Signal::HUP);
    let reloaded = |s: &Sighting| s.is_claim_of("a") && s.advert().is_some_and(|x| x.priority == 160);
    lab.wire().wait("the new priority", start, SOON, reloaded);
    assert_eq!(lab.wire().count(start, |s| s.is_claim_of("b")), 0);
    assert_eq!(lines(&seen.join("started")).len(), 1, "nothing was started again");
    assert_eq!(lines(&seen.join("ended")).len(), 0);
    one.terminate();
    assert!(one.process.wait_exit(SOON).success());
    assert_eq!(lines(&seen.join("ended")), ["0"]);
    wait_until("the last word of the new program is where the first of the old one is", SOON, || {
        fs::read_to_string(seen.join("logged")).is_ok_and(|log| log.contains("starting") && log.ends_with("stopped\n"))
    });
    assert!(!a.has(VIP4));
    two.wait_state("MASTER", SOON);
}

#[test]
fn procd_sees_one_process_that_goes_on() {
    goes_on(PROCD);
}

#[test]
fn systemd_sees_one_process_that_goes_on() {
    goes_on(SYSTEMD);
}
