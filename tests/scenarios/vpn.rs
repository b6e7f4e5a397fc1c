//! A VPN that runs on one router at a time: a notify script starts its daemon on MASTER and stops
//! it in every other state. The daemon is a stand-in, kept by a `service` command as systems have
//! one; what counts is where it runs.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use crate::kit::{self, Started, wait_holder};
use crate::support::script::{lines, script};
use crate::support::{Lab, Node, Picovrrp, SOON, Two, V3, ms, observe, wait_until};

/// What a router has for its VPN.
struct Vpn {
    notify: PathBuf,
    daemon: Started,
    node: Node,
}

impl Vpn {
    fn new(node: &Node) -> Self {
        let etc = node.dir().join("etc");
        let (pid, journal) = (node.dir().join("vpn.pid"), node.lab().dir().join("journal"));
        let (pid_file, journal, name) = (pid.display(), journal.display(), node.name());
        // `service NAME start|stop`: does nothing where it is so already, and waits until it is.
        let service = script(
            &etc,
            "service",
            &format!(
                "runs() {{ [ -s {pid_file} ] && grep -q . \"/proc/$(cat {pid_file})/cmdline\" 2>/dev/null; }}
[ \"$1\" = vpn ] || exit 4
case $2 in
start)
    runs && exit 0
    setsid sh -c 'echo $$ >{pid_file}; exec sleep 86417' </dev/null >/dev/null 2>&1 &
    until runs; do sleep 0.02; done
    echo {name} starts >>{journal} ;;
stop)
    runs || exit 0
    kill \"$(cat {pid_file})\"
    while runs; do sleep 0.02; done
    echo {name} stops >>{journal} ;;
*) exit 3 ;;
esac"
            ),
        );
        let notify = script(
            &etc,
            "notify",
            &format!(
                "[ $# = 4 ] && [ \"$1 $2\" = 'INSTANCE lan' ] || exit 2
case $3 in
MASTER) exec {0} vpn start ;;
BACKUP | FAULT | STOP) exec {0} vpn stop ;;
*) exit 1 ;;
esac",
                service.display()
            ),
        );
        Vpn { notify, daemon: Started::new(pid, "sleep"), node: node.clone() }
    }

    fn config(&self, properties: &str) -> String {
        format!("{}  notify \"{}\"\n", V3.config(properties), self.notify.display())
    }

    /// Whether it runs, and on its own router.
    fn runs(&self) -> bool {
        let Some(pid) = self.daemon.pid() else { return false };
        let here = self.node.ns().inside(|| fs::read_link("/proc/thread-self/ns/net").expect("a link"));
        fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|there| there == here)
    }
}

/// a with 150 and b with 100, whose VPN follows the address.
struct Pair {
    on_a: Vpn,
    on_b: Vpn,
    t: Two,
}

impl Pair {
    #[track_caller]
    fn start() -> Self {
        let nodes = Lab::trio();
        let (on_a, on_b) = (Vpn::new(&nodes.1), Vpn::new(&nodes.2));
        let t = kit::two(nodes, &on_a.config("priority 150"), &on_b.config("priority 100"));
        let pair = Pair { on_a, on_b, t };
        pair.settles_on("a");
        pair
    }

    fn running(&self) -> (bool, bool) {
        (self.on_a.runs(), self.on_b.runs())
    }

    /// Address and VPN are on `router` alone, and stay there.
    #[track_caller]
    fn settles_on(&self, router: &str) {
        wait_holder(&self.t, router);
        let expected = (router == "a", router == "b");
        wait_until(&format!("the VPN runs on {router} alone"), SOON, || self.running() == expected);
        let pids = (self.on_a.daemon.pid(), self.on_b.daemon.pid());
        observe(ms(300));
        assert_eq!((self.on_a.daemon.pid(), self.on_b.daemon.pid()), pids, "nobody touches it again");
    }

    fn journal(&self) -> Vec<String> {
        lines(&self.t.lab.dir().join("journal"))
    }
}

#[test]
fn the_vpn_runs_where_the_address_is() {
    let mut p = Pair::start();
    // The interface is set down: FAULT.
    p.t.a.ns().ip("link set eth0 down");
    p.t.one.wait_state("FAULT", SOON);
    p.settles_on("b");
    p.t.a.ns().ip("link set eth0 up");
    p.settles_on("a");
    // The cable is pulled: the same.
    p.t.a.pull_cable();
    p.settles_on("b");
    p.t.a.plug_cable();
    p.settles_on("a");
    // An orderly stop, and a comes back as the Backup.
    p.t.one.terminate();
    assert!(p.t.one.process.wait_exit(SOON).success(), "{}", p.t.one.process.log());
    assert!(!p.on_a.runs(), "stopping waits for the hook of the stop");
    p.settles_on("b");
    let untouched = p.on_b.daemon.pid();
    p.t.one = Picovrrp::start_until(&p.t.a, &p.on_a.config("priority 150 preempt off"), "BACKUP");
    p.settles_on("b");
    assert_eq!(p.on_b.daemon.pid(), untouched, "b's VPN was not started anew");
    let starts: Vec<_> = p.journal().into_iter().filter(|l| l.ends_with("starts")).collect();
    assert_eq!(starts, ["a starts", "b starts", "a starts", "b starts", "a starts", "b starts"]);
}

#[test]
fn both_run_it_while_parted_and_one_when_healed() {
    let mut p = Pair::start();
    // Neither sees that the other is there: each is the only router it knows.
    p.t.a.vanish();
    p.t.two.wait_state("MASTER", SOON);
    wait_until("each runs its VPN", SOON, || p.running() == (true, true));
    p.t.a.reappear();
    p.settles_on("a");
}

#[test]
fn what_a_killed_router_left_running_is_stopped_when_it_is_back() {
    let mut p = Pair::start();
    let killed = Instant::now();
    p.t.one.process.kill();
    p.t.lab.wire().wait("an advert of b", killed, SOON, |s| s.is_claim_of("b"));
    wait_until("b runs its VPN", SOON, || p.on_b.runs());
    assert!(p.on_a.runs(), "the daemon that a hook started outlives us, and nobody was there to stop it");
    // It is told that it is Backup before anything else.
    p.t.one = Picovrrp::start_until(&p.t.a, &p.on_a.config("priority 150 preempt off"), "BACKUP");
    p.settles_on("b");
    assert_eq!(p.journal(), ["a starts", "b starts", "a stops"]);
}
