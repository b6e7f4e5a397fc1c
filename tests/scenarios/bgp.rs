//! A service address in a network where BGP says who has it: the router that is Active runs a BGP
//! daemon, the others do not. Hooks start and stop it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::support::netns::{installed, run};
use crate::support::process::Process;
use crate::support::script::{lines, script};
use crate::support::{Lab, Node, Picovrrp, SOON, wait_until};

/// Version 2 has a second's interval, and BIRD takes a second to connect.
const LONG: Duration = Duration::from_secs(30);

/// The address that both routers serve, on loopback: only routing leads to it.
const SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 57));

/// Unicast, a password, and nobody takes over from a router that works.
fn config(own: &Node, peer: &Node, more: &str) -> String {
    format!(
        "instance edge on eth0 vrid 10 version 2 advert 1s priority 100 preempt off\n  auth pass s3same\n  \
         unicast {}\n  peer {}\n  address {SERVICE}/32 dev lo\n{more}",
        own.ip4(),
        peer.ip4()
    )
}

fn birdc(dir: &Path, words: &[&str]) -> Output {
    Command::new("/usr/sbin/birdc").arg("-s").arg(dir.join("bird.ctl")).args(words).output().expect("birdc starts")
}

/// A router that takes routes from any neighbour in 192.0.2.0/24 and puts them into its kernel.
struct Upstream {
    node: Node,
    _bird: Process,
}

impl Upstream {
    #[track_caller]
    fn start(node: &Node) -> Self {
        assert!(installed("bird"), "The BGP scenario needs BIRD (Debian package bird2).");
        let config = format!(
            "router id {};\nprotocol device {{ scan time 1; }}\nprotocol kernel {{ ipv4 {{ import none; export all; }}; }}\n\
             protocol bgp {{\n local as 65000;\n neighbor range 192.0.2.0/24 as 65001;\n dynamic name \"site\";\n passive on;\n \
             ipv4 {{ import all; export none; }};\n}}\n",
            node.ip4()
        );
        let dir = node.dir();
        fs::write(dir.join("bird.conf"), config).expect("the lab's directory can be written to");
        let mut command = node.ns().command("/usr/sbin/bird");
        command.arg("-f").arg("-c").arg(dir.join("bird.conf")).arg("-s").arg(dir.join("bird.ctl"));
        let bird = Process::start("the upstream's BIRD", command, dir.join("bird.log"), node.ns());
        wait_until("the upstream's BIRD answers", SOON, || birdc(&dir, &["show", "status"]).status.success());
        Upstream { node: node.clone(), _bird: bird }
    }

    /// The neighbours that announce the service's address to it.
    fn announcers(&self) -> Vec<String> {
        let output = birdc(&self.node.dir(), &["show", "route", "for", &SERVICE.to_string(), "all"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter_map(|l| Some(l.trim().strip_prefix("via ")?.split_once(' ')?.0.to_owned())).collect()
    }

    /// Waits until `router` alone announces the address, and it answers there.
    #[track_caller]
    fn wait_announced_by(&self, router: &Node) {
        let hop = router.ip4().to_string();
        wait_until(&format!("{} alone announces the address", router.name()), LONG, || self.announcers() == [&*hop]);
        wait_until("the kernel's route follows", SOON, || {
            self.node.ns().ip(&format!("route show {SERVICE}/32")).contains(&format!("via {hop} "))
        });
        let ping = self.node.ns().output("ping", &["-c", "1", "-W", "2", &SERVICE.to_string()]);
        assert!(ping.status.success(), "{}", String::from_utf8_lossy(&ping.stdout));
    }
}

/// The site's BIRD and the hook that runs it: started on MASTER, and on any other state shut down
/// and awaited, so that the next start finds the place free.
fn site_bird(router: &Node, upstream: &Node) -> String {
    let dir = router.dir();
    let config = format!(
        "router id {own};\nprotocol device {{ scan time 1; }}\nprotocol direct {{ ipv4; interface \"lo\"; }}\n\
         protocol bgp upstream {{\n local {own} as 65001;\n neighbor {up} as 65000;\n connect delay time 1;\n \
         connect retry time 1;\n error wait time 1, 2;\n ipv4 {{ import none; export where net = {SERVICE}/32; }};\n}}\n",
        own = router.ip4(),
        up = upstream.ip4()
    );
    fs::write(dir.join("bird.conf"), config).expect("the lab's directory can be written to");
    let body = format!(
        "cd {dir} || exit\n\
         echo \"$2 $3\" >> told\n\
         case $3 in\n\
         MASTER) bird -c bird.conf -s bird.ctl -P bird.pid ;;\n\
         BACKUP | FAULT | STOP)\n    birdc -s bird.ctl down\n    \
         while kill -0 \"$(cat bird.pid)\"; do sleep 0.1; done\n    ;;\n\
         esac",
        dir = dir.display()
    );
    format!("  notify {}\n", script(&dir, "bgp", &body).display())
}

#[test]
fn bird_announces_the_address_from_the_active_router_only() {
    let (_lab, a, b, client) = Lab::trio();
    let upstream = Upstream::start(&client);
    for node in [&a, &b] {
        node.ns().sysctl("net/ipv4/ip_forward", "1");
        node.create_link("wan", &format!("wan-{}", node.name()));
    }
    let track = "  track-interface wan\n";
    let runs = |router: &Node| router.dir().join("bird.pid").exists();
    let mut one = Picovrrp::start_until(&a, &config(&a, &b, &(track.to_owned() + &site_bird(&a, &client))), "MASTER");
    upstream.wait_announced_by(&a);
    let mut two = Picovrrp::start_until(&b, &config(&b, &a, &(track.to_owned() + &site_bird(&b, &client))), "BACKUP");
    wait_until("b's hook was told", SOON, || lines(&b.dir().join("told")) == ["edge BACKUP"]);
    assert!(!runs(&b), "a Backup has no BGP daemon");

    // A fault of what a tracks: the session ends in order and the route goes at once.
    a.ns().ip("link set wan down");
    one.wait_state("FAULT", SOON);
    two.wait_state("MASTER", LONG);
    upstream.wait_announced_by(&b);
    wait_until("a's BIRD has ended", SOON, || !runs(&a));

    // a is back, and leaves b where it is.
    a.ns().ip("link set wan up");
    one.wait_state("BACKUP", SOON);
    wait_until("a's hook was told", SOON, || lines(&a.dir().join("told")).last().is_some_and(|l| l == "edge BACKUP"));
    upstream.wait_announced_by(&b);
    assert!(!runs(&a));

    // b is stopped: its hook has shut BIRD down before the daemon ends.
    two.terminate();
    assert!(two.process.wait_exit(LONG).success(), "{}", two.process.log());
    assert!(!runs(&b));
    one.wait_state("MASTER", LONG);
    upstream.wait_announced_by(&a);
    assert_eq!(
        lines(&a.dir().join("told")),
        ["edge BACKUP", "edge MASTER", "edge FAULT", "edge BACKUP", "edge MASTER"]
    );
    assert_eq!(lines(&b.dir().join("told")), ["edge BACKUP", "edge MASTER", "edge STOP"]);
}

/// A daemon that only has to run, and a journal of the states with their dates; each state has a hook
/// of its own, which gets the state's name from the configuration.
fn journal(router: &Node) -> String {
    let dir = router.dir();
    script(&dir, "announcer", "exec sleep 100000");
    let body = format!(
        "cd {dir} || exit\n\
         case $1 in\n\
         Master) [ -e announcer.pid ] || {{ ./announcer & echo $! > announcer.pid; }} ;;\n\
         Backup | Fault) [ ! -e announcer.pid ] || {{ kill \"$(cat announcer.pid)\"; rm announcer.pid; }} ;;\n\
         *) echo \"no such state: $1\" >&2; exit 1 ;;\n\
         esac\n\
         echo \"$(date '+%d-%b-%Y %H:%M:%S') now $1\" >> journal",
        dir = dir.display()
    );
    let hook = script(&dir, "state", &body);
    let line = |which: &str, state: &str| format!("  notify-{which} \"{} {state}\"\n", hook.display());
    [line("master", "Master"), line("backup", "Backup"), line("fault", "Fault")].concat()
}

/// The states in a router's journal; each has a date before it.
#[track_caller]
fn states(router: &Node) -> Vec<String> {
    let entries = lines(&router.dir().join("journal"));
    let state = |entry: &String| {
        let (date, state) = entry.split_once(" now ").unwrap_or_else(|| panic!("no journal entry: {entry}"));
        let date = run(Command::new("date").args(["-d", date, "+%s"])).unwrap_or_else(|e| panic!("{e}"));
        let now = run(Command::new("date").arg("+%s")).expect("the date");
        let age = now.trim().parse::<i64>().expect("seconds") - date.trim().parse::<i64>().expect("seconds");
        assert!((0..60).contains(&age), "an entry of {age} s ago: {entry}");
        state.to_owned()
    };
    entries.iter().map(state).collect()
}

/// Whether the router has the service's address.
fn serves(router: &Node) -> bool {
    router.ns().ip("-4 addr show dev lo").contains(&format!("{SERVICE}/32"))
}

/// Whether the router's announcer runs.
fn announces(router: &Node) -> bool {
    let Some(pid) = lines(&router.dir().join("announcer.pid")).first().cloned() else { return false };
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c == b"sleep\x00100000\x00")
}

#[test]
fn a_trigger_file_moves_the_announcer_and_the_journal_tells() {
    let (_lab, a, b, _client) = Lab::trio();
    let checked = |router: &Node, peer: &Node| {
        let trigger = router.dir().join("trigger");
        let look = script(&router.dir(), "look", &format!("[ ! -f {} ]", trigger.display()));
        format!(
            "check trigger script {} every 200ms fall 2 rise 2\n{}",
            look.display(),
            config(router, peer, &format!("  track trigger\n{}", journal(router)))
        )
    };
    let mut one = Picovrrp::start_until(&a, &checked(&a, &b), "MASTER");
    wait_until("a announces", SOON, || announces(&a));
    let mut two = Picovrrp::start_until(&b, &checked(&b, &a), "BACKUP");
    wait_until("b's journal begins", SOON, || states(&b) == ["Backup"]);
    assert!(!announces(&b));

    fs::write(a.dir().join("trigger"), "").expect("the trigger");
    one.wait_state("FAULT", SOON);
    two.wait_state("MASTER", LONG);
    wait_until("b announces", SOON, || announces(&b));
    wait_until("a announces no longer", SOON, || !announces(&a));
    assert!(serves(&b) && !serves(&a));

    fs::remove_file(a.dir().join("trigger")).expect("the trigger is there");
    one.wait_state("BACKUP", SOON);
    wait_until("a's journal has it all", SOON, || states(&a).len() == 4);
    assert_eq!(states(&a), ["Backup", "Master", "Fault", "Backup"]);
    assert_eq!(states(&b), ["Backup", "Master"]);
    assert!(announces(&b) && !announces(&a));
}
