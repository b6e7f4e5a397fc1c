//! keepalived.conf files as people have published them, run as they are: `run --keepalived`. They are
//! those of `tests/import/keepalived`, which says what each becomes; here they hold an address and let
//! go of it. What is replaced is said with each: interfaces, addresses and the paths of programs are
//! the lab's own.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::kit::{effective, wait_instance};
use crate::support::script::{lines, program, replace, script};
use crate::support::{Lab, Node, Picovrrp, SOON, VIP4, wait_until};

/// Checks of several seconds, several times in a row.
const LONG: Duration = Duration::from_secs(30);

/// A file with some of its text replaced; each of it must be there.
#[track_caller]
fn with(text: &str, replaced: &[(&str, &str)]) -> String {
    replaced.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} in:\n{text}");
        text.replace(from, to)
    })
}

/// a and b with these files: a holds the address first.
struct Pair {
    one: Picovrrp,
    two: Picovrrp,
    a: Node,
    b: Node,
    lab: Lab,
}

impl Pair {
    #[track_caller]
    fn start(
        prepare: impl Fn(&Node),
        on_a: impl Fn(&Node, &Node) -> String,
        on_b: impl Fn(&Node, &Node) -> String,
    ) -> Pair {
        let (lab, a, b, _client) = Lab::trio();
        prepare(&a);
        prepare(&b);
        let mut one = Picovrrp::start_keepalived(&a, &on_a(&a, &b));
        one.wait_state("MASTER", LONG);
        let mut two = Picovrrp::start_keepalived(&b, &on_b(&b, &a));
        two.wait_state("BACKUP", LONG);
        Pair { one, two, a, b, lab }
    }

    /// Waits until the first instance of both is as said, and the address is where it is to be.
    #[track_caller]
    fn wait(&mut self, on_a: &str, on_b: &str, vip: IpAddr) {
        wait_until(&format!("a is {on_a}"), LONG, || self.one.instance()["state"] == on_a);
        wait_until(&format!("b is {on_b}"), LONG, || self.two.instance()["state"] == on_b);
        for (node, state) in [(&self.a, on_a), (&self.b, on_b)] {
            if state == "MASTER" { node.wait_has(vip, SOON) } else { node.wait_lacks(vip, SOON) }
        }
    }
}

fn path(node: &Node, name: &str) -> PathBuf {
    node.dir().join("etc").join(name)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A command that is called like `service NAME start`, and notes what it was called with.
fn service(node: &Node) -> PathBuf {
    script(&node.dir().join("etc"), "service", &format!("echo \"$@\" >> {}", node.dir().join("services").display()))
}

#[track_caller]
fn wait_service(node: &Node, last: &str) {
    let file = node.dir().join("services");
    let what = format!("{}: {last}, not {:?}", node.name(), lines(&file));
    wait_until(&what, LONG, || lines(&file).last().is_some_and(|l| l == last));
}

/// The notify script of an IPsec gateway: its service is started on MASTER and stopped otherwise.
#[test]
fn a_gateway_whose_notify_script_starts_its_vpn() {
    let original = include_str!("../import/keepalived/notify-gateway.conf");
    let prepare = |node: &Node| {
        let service = service(node);
        let body = "TYPE=$1
NAME=$2
STATE=$3
case $STATE in
        \"MASTER\") SERVICE strongswan start
                  ;;
        \"BACKUP\") SERVICE strongswan stop
                  ;;
        \"FAULT\")  SERVICE strongswan stop
                  exit 0
                  ;;
        *)        exit 1
                  ;;
esac";
        script(&node.dir().join("etc"), "notify-keepalived.sh", &with(body, &[("SERVICE", &text(&service))]));
    };
    let file = |node: &Node, priority: &str| {
        let notify = text(&path(node, "notify-keepalived.sh"));
        with(original, &[("/usr/local/sbin/notify-keepalived.sh", &notify), ("priority 110", priority)])
    };
    let mut p = Pair::start(prepare, |a, _| file(a, "priority 110"), |b, _| file(b, "priority 100"));
    wait_service(&p.a, "strongswan start");
    wait_service(&p.b, "strongswan stop");
    p.a.pull_cable();
    p.wait("FAULT", "MASTER", VIP4);
    wait_service(&p.a, "strongswan stop");
    wait_service(&p.b, "strongswan start");
    p.a.plug_cable();
    p.wait("MASTER", "BACKUP", VIP4);
    wait_service(&p.a, "strongswan start");
    wait_service(&p.b, "strongswan stop");
}

/// A check that must fail twice, every two seconds, and a notify script for a web server.
#[test]
fn a_check_that_fails_twice_and_a_notify_script() {
    let original = include_str!("../import/keepalived/check-and-notify.conf");
    let prepare = |node: &Node| {
        let etc = node.dir().join("etc");
        script(&etc, "mycheck.sh", &format!("echo run >> {0}/runs; test ! -e {0}/broken", node.dir().display()));
        let service = text(&service(node));
        let body = "case $3 in MASTER) SERVICE apache2 start ;; BACKUP) SERVICE apache2 stop ;;
FAULT) SERVICE apache2 stop ;; *) exit 1 ;; esac";
        script(&etc, "mynotify.sh", &with(body, &[("SERVICE", &service)]));
    };
    let file = |node: &Node| {
        let dir = text(&node.dir().join("etc"));
        with(original, &[("/usr/local/bin", &dir), ("192.0.2.1/32", "192.0.2.254/32")])
    };
    let backup = [("state MASTER", "state BACKUP"), ("priority 200", "priority 100")];
    let mut p = Pair::start(prepare, |a, _| file(a), |b, _| with(&file(b), &backup));
    wait_service(&p.a, "apache2 start");
    let runs = p.a.dir().join("runs");
    let before = lines(&runs).len();
    replace(&p.a.dir().join("broken"), "");
    p.wait("FAULT", "MASTER", VIP4);
    assert!(lines(&runs).len() >= before + 2, "one failure is none");
    wait_service(&p.a, "apache2 stop");
    wait_service(&p.b, "apache2 start");
    std::fs::remove_file(p.a.dir().join("broken")).expect("it is there");
    p.wait("MASTER", "BACKUP", VIP4);
    wait_service(&p.b, "apache2 stop");
    wait_service(&p.a, "apache2 start");
}

/// Two hosts that keep the shared address on loopback where it is, until a trigger file faults the one
/// that has it; the notify script drives a BGP daemon and keeps a journal.
#[test]
fn a_sticky_pair_with_a_trigger_file_and_a_bgp_daemon() {
    let original = include_str!("../import/keepalived/sticky-unicast.conf");
    let prepare = |node: &Node| {
        let etc = node.dir().join("etc");
        script(
            &etc,
            "check.sh",
            "trigger=\"${0%/*}/trigger.file\"\nif [ -f \"$trigger\" ]; then\n  exit 1\nelse\n  exit 0\nfi",
        );
        let (journal, service) = (text(&node.dir().join("journal")), text(&service(node)));
        let body = "check_state() {
        echo \"[INFO] Now $1\" >> JOURNAL
        if [ \"$1\" = Master ]; then
                SERVICE restart lelastic
        else
                SERVICE stop lelastic
        fi
}
case $1 in
Master | Backup | Fault) check_state \"$1\" ;;
*) echo \"[ERR] Provided arguement is invalid\" >> JOURNAL ;;
esac";
        script(&etc, "notify.sh", &with(body, &[("JOURNAL", &journal), ("SERVICE", &service)]));
    };
    let file = |own: &Node, peer: &Node| {
        let (dir, own, peer) = (text(&own.dir().join("etc")), own.ip4().to_string(), peer.ip4().to_string());
        with(original, &[("/etc/keepalived", &dir), ("192.0.2.173", &own), ("198.51.100.49", &peer)])
    };
    let p = Pair::start(prepare, file, file);
    let holds = |node: &Node| node.ns().ip("addr show dev lo").contains("203.0.113.57/32");
    let journal = |node: &Node| lines(&node.dir().join("journal"));
    wait_service(&p.a, "restart lelastic");
    wait_until("a has the address", SOON, || holds(&p.a) && !holds(&p.b));
    replace(&path(&p.a, "trigger.file"), "");
    wait_until("b has the address", LONG, || holds(&p.b) && !holds(&p.a));
    wait_service(&p.a, "stop lelastic");
    wait_service(&p.b, "restart lelastic");
    assert_eq!(p.one.instance()["state"], "FAULT");
    std::fs::remove_file(path(&p.a, "trigger.file")).expect("it is there");
    wait_until("a is back", LONG, || p.one.instance()["state"] == "BACKUP");
    wait_until("a's journal is whole", SOON, || journal(&p.a).len() == 4);
    assert_eq!(journal(&p.a), ["Backup", "Master", "Fault", "Backup"].map(|s| format!("[INFO] Now {s}")));
    assert_eq!(journal(&p.b), ["Backup", "Master"].map(|s| format!("[INFO] Now {s}")));
    assert!(holds(&p.b) && !holds(&p.a), "nobody takes it from b");
}

/// A program of a name that nothing else on this machine has, which runs until it is killed.
struct Server {
    node: Node,
    name: String,
    child: Option<std::process::Child>,
}

impl Server {
    fn new(node: &Node, name: &str) -> Server {
        let name = format!("{name}{}{}", std::process::id() % 100_000, node.name());
        let file = node.dir().join(&name);
        let sleep = ["/usr/bin/sleep", "/bin/sleep"].into_iter().find(|p| Path::new(p).exists()).expect("a sleep");
        program(sleep, &file);
        let mut server = Server { node: node.clone(), name, child: None };
        server.start();
        server
    }

    fn start(&mut self) {
        let mut command = Command::new(self.node.dir().join(&self.name));
        self.child = Some(command.arg("1000").spawn().expect("it starts"));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it ends");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// MASTER and BACKUP node of a web server, whose process is worth two points.
#[test]
fn the_address_follows_the_process() {
    let (lab, a, b, _client) = Lab::trio();
    let (mut web_a, web_b) = (Server::new(&a, "web"), Server::new(&b, "web"));
    let file = |original: &str, own: &Node, peer: &Node, web: &Server, ips: [&str; 2]| {
        let to = [own, peer].map(|n| format!("{}\n", n.ip4()));
        with(original, &[("nginx", &web.name), ("192.0.2.100", "192.0.2.254"), (ips[0], "OWN"), (ips[1], "PEER")])
            .replace("OWN", &to[0])
            .replace("PEER", &to[1])
    };
    let master = include_str!("../import/keepalived/process-master.conf");
    let backup = include_str!("../import/keepalived/process-backup.conf");
    let mut one = Picovrrp::start_keepalived(&a, &file(master, &a, &b, &web_a, ["192.0.2.2\n", "192.0.2.3/24\n"]));
    one.wait_state("MASTER", LONG);
    let mut two = Picovrrp::start_keepalived(&b, &file(backup, &b, &a, &web_b, ["192.0.2.3\n", "192.0.2.2\n"]));
    two.wait_state("BACKUP", LONG);
    assert_eq!((effective(&one), effective(&two)), (103, 102));
    web_a.kill();
    two.wait_state("MASTER", LONG);
    one.wait_state("BACKUP", LONG);
    assert_eq!((effective(&one), effective(&two)), (101, 102));
    b.wait_has(VIP4, SOON);
    a.wait_lacks(VIP4, SOON);
    web_a.start();
    one.wait_state("MASTER", LONG);
    two.wait_state("BACKUP", LONG);
    assert_eq!(lab.wait_sole_active(&[&a, &b], VIP4, LONG).name(), "a");
}

/// Two virtual routers with opposite priorities: each router has one address, and either has both.
#[test]
fn each_holds_one_and_either_holds_both() {
    let original = include_str!("../import/keepalived/active-active.conf");
    let file = with(original, &[("192.0.2.100/32", "192.0.2.254/32"), ("192.0.2.101/32", "192.0.2.253/32")]);
    let (_lab, a, b, _client) = Lab::trio();
    let one = Picovrrp::start_keepalived_as(&a, &file, &["--config-id", "node-a"]);
    let two = Picovrrp::start_keepalived_as(&b, &file, &["--config-id", "node-b"]);
    let other: IpAddr = [192, 0, 2, 253].into();
    let each = || {
        for (daemon, web, db) in [(&one, "MASTER", "BACKUP"), (&two, "BACKUP", "MASTER")] {
            wait_until("each has its own", LONG, || {
                daemon.status().is_some_and(|s| s["instances"][0]["state"] == web && s["instances"][1]["state"] == db)
            });
        }
        for (node, has, lacks) in [(&a, VIP4, other), (&b, other, VIP4)] {
            node.wait_has(has, SOON);
            node.wait_lacks(lacks, SOON);
        }
    };
    each();
    a.pull_cable();
    wait_instance(&two, "VI_WEB", "MASTER");
    b.wait_has(VIP4, SOON);
    assert!(b.has(other));
    a.plug_cable();
    each();
    b.pull_cable();
    wait_instance(&one, "VI_DB", "MASTER");
    a.wait_has(other, SOON);
    assert!(a.has(VIP4));
    b.plug_cable();
    each();
}

/// An instance of each family, with a password over IPv4.
#[test]
fn both_families() {
    let original = include_str!("../import/keepalived/dual-stack.conf");
    let file = with(original, &[("192.0.2.100/24", "192.0.2.254/24")]);
    let backup = with(&file, &[("state MASTER", "state BACKUP"), ("priority 101", "priority 100")]);
    let mut p = Pair::start(|_| {}, |_, _| file.clone(), |_, _| backup.clone());
    let vip6: IpAddr = "2001:db8::100".parse().expect("an address");
    p.a.wait_has(vip6, SOON);
    p.a.vanish();
    p.two.wait_state("MASTER", LONG);
    p.b.wait_has(VIP4, SOON);
    p.b.wait_has(vip6, SOON);
    p.a.reappear();
    p.two.wait_state("BACKUP", LONG);
    p.b.wait_lacks(vip6, SOON);
    assert!(p.a.has(vip6));
    assert_eq!(p.lab.wait_sole_active(&[&p.a, &p.b], VIP4, LONG).name(), "a");
}

/// A script, a process and two interfaces, each with a weight; the wait before taking over is a second.
#[test]
fn a_script_a_process_and_links_add_up() {
    let original = include_str!("../import/keepalived/checks-and-links.conf");
    let (_lab, a, b, _client) = Lab::trio();
    let (mut web_a, web_b) = (Server::new(&a, "ngx"), Server::new(&b, "ngx"));
    let file = |node: &Node, web: &Server, priority: &str| {
        let dir = node.dir().join("etc");
        script(&dir, "check_haproxy.sh", &format!("test ! -e {}/broken", node.dir().display()));
        script(&dir, "keepalived-notify.sh", &format!("echo \"$1\" >> {}/told", node.dir().display()));
        node.ns().ip("link add eth1 type veth peer name 1hte");
        node.ns().ip("link set 1hte up");
        node.ns().ip("link set eth1 up");
        with(
            original,
            &[
                ("process nginx", &format!("process {}", web.name)),
                ("/usr/local/bin", &text(&dir)),
                ("preempt_delay 300", "preempt_delay 1"),
                ("priority 101", priority),
                ("192.0.2.100/24", "192.0.2.254/24"),
            ],
        )
    };
    let mut one = Picovrrp::start_keepalived(&a, &file(&a, &web_a, "priority 101"));
    one.wait_state("MASTER", LONG);
    let mut two = Picovrrp::start_keepalived(&b, &file(&b, &web_b, "priority 100"));
    two.wait_state("BACKUP", LONG);
    let mut priorities = |on_a: u64, on_b: u64| {
        wait_until(&format!("{on_a} and {on_b}"), LONG, || (effective(&one), effective(&two)) == (on_a, on_b));
        let (here, there) = if on_a > on_b { ("MASTER", "BACKUP") } else { ("BACKUP", "MASTER") };
        one.wait_state(here, LONG);
        two.wait_state(there, LONG);
    };
    priorities(103, 102);
    replace(&a.dir().join("broken"), "");
    priorities(83, 102);
    b.ns().ip("link set 1hte down");
    priorities(83, 52);
    web_a.kill();
    priorities(81, 52);
    std::fs::remove_file(a.dir().join("broken")).expect("it is there");
    b.ns().ip("link set 1hte up");
    priorities(101, 102);
    web_a.start();
    priorities(103, 102);
    let told = |node: &Node| lines(&node.dir().join("told"));
    wait_until("both were told", SOON, || {
        told(&a) == ["BACKUP", "MASTER", "BACKUP", "MASTER", "BACKUP", "MASTER"]
            && told(&b) == ["BACKUP", "MASTER", "BACKUP", "MASTER", "BACKUP"]
    });
}

/// Four scripts stand for four priorities: who serves is said by a list that is edited while all runs.
#[test]
fn a_list_says_who_serves() {
    let original = include_str!("../import/keepalived/dns-priorities.conf");
    let (lab, a, b, _client) = Lab::trio();
    let list = lab.dir().join("priority.testdns");
    replace(&list, "recdns-b\nrecdns-a\n");
    let file = |node: &Node| {
        let dir = node.dir().join("etc");
        let ok = script(&dir, "named_ok", &format!("test ! -e {}/broken", node.dir().display()));
        let check = "set -e
type=$1 num=$2 check=$3
name=recdns-NODE
grepout=$(grep -Fxn $name LIST)
prio=$(echo $grepout | sed 's/:.*//')
if [ $num = 1 ]; then prio=$((5 - $prio)); fi
[ $check = $prio ] && OK";
        let words = [("NODE", node.name()), ("LIST", &text(&list)), ("OK", &text(&ok))];
        script(&dir, "named_check", &with(check, &words));
        let notify = "instance=$2 state=$3
case $state in
BACKUP | FAULT)
    if OK; then exit 0; else state=DEAD; fi ;;
esac
echo \"Subject: $instance $state\" >> DIR/mail";
        script(&dir, "notify", &with(notify, &[("OK", &text(&ok)), ("DIR", &text(&node.dir()))]));
        with(original, &[("em1", "eth0"), ("/etc/keepalived", &text(&dir)), ("192.0.2.210/24", "192.0.2.254/24")])
    };
    let mut one = Picovrrp::start_keepalived(&a, &file(&a));
    one.wait_state("MASTER", LONG);
    let mut two = Picovrrp::start_keepalived(&b, &file(&b));
    two.wait_state("BACKUP", LONG);
    let of_the_other_family: IpAddr = "2001:db8:53::d0:0".parse().expect("an address");
    let mut serves = |on_a: u64, on_b: u64| {
        wait_until(&format!("{on_a} and {on_b}"), LONG, || (effective(&one), effective(&two)) == (on_a, on_b));
        let (here, there) = if on_a > on_b { ("MASTER", "BACKUP") } else { ("BACKUP", "MASTER") };
        one.wait_state(here, LONG);
        two.wait_state(there, LONG);
        let (has, lacks) = if on_a > on_b { (&a, &b) } else { (&b, &a) };
        for address in [VIP4, of_the_other_family] {
            has.wait_has(address, SOON);
            lacks.wait_lacks(address, SOON);
        }
    };
    serves(150, 100);
    replace(&list, "recdns-a\nrecdns-b\n");
    serves(100, 150);
    replace(&list, "#recdns-a\nrecdns-b\n");
    serves(50, 150);
    replace(&list, "recdns-a\nrecdns-b\n");
    replace(&b.dir().join("broken"), "");
    serves(100, 50);
    let mail = |node: &Node| lines(&node.dir().join("mail"));
    wait_until("b's mail says that it is dead", SOON, || {
        mail(&b).last().is_some_and(|l| l == "Subject: testdns0 DEAD")
    });
    assert_eq!(mail(&a), ["Subject: testdns0 MASTER", "Subject: testdns0 MASTER"]);
}
