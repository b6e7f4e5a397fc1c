//! A web server that the notify script starts and stops by its init script, and a check script
//! with `fall 2` and `rise 2` that decides whether the router may take part. The server is nginx.

use std::path::PathBuf;
use std::time::Instant;

use crate::kit::{self, check, config, wait_served_by};
use crate::nginx;
use crate::support::script::{lines, replace, script};
use crate::support::{Lab, Node, SOON, V3, ms, observe, wait_until};

/// What a router has for its web server.
struct Site {
    notify: PathBuf,
    check: PathBuf,
    /// Each run of the check leaves a line here.
    runs: PathBuf,
    /// The runs that shall still fail.
    failing: PathBuf,
}

impl Site {
    fn new(node: &Node) -> Self {
        let (etc, dir) = (node.dir().join("etc"), node.dir());
        let pid = dir.join("nginx.pid");
        let (nginx, file) = (nginx::find(), nginx::write_config(node, "daemon on;"));
        let run = format!("{} -p {} -c {} -e stderr", nginx.display(), dir.display(), file.display());
        let init = script(
            &etc,
            "init",
            &format!(
                "case $1 in
start) [ -e {0} ] || {run} ;;
stop)
    [ -e {0} ] || exit 0
    {run} -s stop
    while [ -e {0} ]; do sleep 0.02; done ;;
*) exit 3 ;;
esac",
                pid.display()
            ),
        );
        let notify = script(
            &etc,
            "notify",
            &format!(
                "case $3 in
MASTER) exec {0} start ;;
BACKUP | FAULT | STOP) exec {0} stop ;;
*) echo \"unknown state $3\" >&2; exit 1 ;;
esac",
                init.display()
            ),
        );
        let (runs, failing) = (dir.join("runs"), dir.join("failing"));
        let check = script(
            &etc,
            "check",
            &format!(
                "left=$(cat {0})
if [ \"$left\" = 0 ]; then echo good >>{1}; exit 0; fi
echo $((left - 1)) >{0}
echo bad >>{1}
echo 'the router is not well' >&2
exit 1",
                failing.display(),
                runs.display()
            ),
        );
        let site = Site { notify, check, runs, failing };
        site.fail(0);
        site
    }

    /// The next so many runs of the check fail.
    fn fail(&self, runs: u32) {
        replace(&self.failing, &format!("{runs}\n"));
    }

    fn config(&self, priority: u8) -> String {
        let check = format!("check well script \"{}\" every 2s fall 2 rise 2", self.check.display());
        config(&check, &format!("priority {priority}\n  track well\n  notify {}", self.notify.display()))
    }

    /// The last runs of the check, after the first `behind`.
    fn runs_after(&self, behind: usize) -> Vec<String> {
        lines(&self.runs).split_off(behind)
    }
}

#[test]
fn two_failures_fault_the_router_and_two_successes_bring_it_back() {
    let nodes = Lab::trio();
    let (on_a, on_b) = (Site::new(&nodes.1), Site::new(&nodes.2));
    let mut t = kit::two(nodes, &on_a.config(200), &on_b.config(100));
    wait_served_by(&t, "a");
    assert!(kit::get(&t.b, std::net::IpAddr::V4(t.b.ip4()), 80, "/").is_err(), "no web server runs on b");

    // One failure is forgiven.
    let (before, transitions) = (lines(&on_a.runs).len(), t.one.instance()["transitions"].clone());
    on_a.fail(1);
    wait_until("a failure and a success behind it", SOON, || {
        on_a.runs_after(before).ends_with(&["bad".into(), "good".into()])
    });
    let seen = lines(&on_a.runs).len() as u64;
    wait_until("both are counted", SOON, || check(&t.one, "well")["runs"].as_u64() >= Some(seen));
    assert_eq!(t.one.instance()["transitions"], transitions);
    assert_eq!(check(&t.one, "well")["state"], "up");

    // Two are not.
    let (before, cut) = (lines(&on_a.runs).len(), Instant::now());
    on_a.fail(1000);
    wait_until("the first failure", SOON, || on_a.runs_after(before).contains(&"bad".into()));
    assert_eq!(t.one.state().as_deref(), Some("MASTER"));
    t.one.wait_state("FAULT", SOON);
    let bad = on_a.runs_after(before).iter().filter(|r| *r == "bad").count();
    assert_eq!(bad, 2);
    wait_served_by(&t, "b");
    assert!(!t.a.has(t.flavour.vip));
    let said = check(&t.one, "well");
    assert!(said["last_error"].as_str().is_some_and(|e| e.contains("the router is not well")), "{said:#}");
    let farewell = t.lab.wire().wait("the farewell of a", cut, SOON, |s| s.is_farewell_of("a"));
    observe(V3.interval * 3);
    assert_eq!(t.lab.wire().count(farewell.at, |s| s.is_claim_of("a")), 0, "a FAULT is silent");
    wait_until("a's web server is stopped", SOON, || kit::get(&t.a, std::net::IpAddr::V4(t.a.ip4()), 80, "/").is_err());

    // One success is not enough, two are.
    let before = lines(&on_a.runs).len();
    on_a.fail(0);
    wait_until("the first success", SOON, || on_a.runs_after(before).contains(&"good".into()));
    observe(ms(200));
    assert_eq!(t.one.state().as_deref(), Some("FAULT"));
    wait_until("it takes part again", SOON, || t.one.state().is_some_and(|s| s != "FAULT"));
    assert_eq!(on_a.runs_after(before).iter().filter(|r| *r == "good").count(), 2);
    wait_served_by(&t, "a");
    t.two.wait_state("BACKUP", SOON);
}
