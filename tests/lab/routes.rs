//! Routes that move with an instance, and static addresses and routes, in the kernel.

use std::net::IpAddr;
use std::time::Duration;

use crate::support::picovrrp::lan;
use crate::support::process::{Process, Signal};
use crate::support::{Lab, Node, Picovrrp, SOON, V3, VIP4, ms, wait_until};

/// What `ip route show` says, of a family and table.
fn routes(node: &Node, words: &str) -> String {
    node.ns().try_ip(&format!("{words} route show")).unwrap_or_default()
}

fn v4(node: &Node) -> String {
    routes(node, "-4")
}

fn in_table(node: &Node, words: &str, table: &str) -> String {
    // A table that nothing was ever put into is an error.
    node.ns().try_ip(&format!("{words} route show table {table}")).unwrap_or_default()
}

/// Waits until a line of `shown` has all of `words`, or none has.
#[track_caller]
fn wait(what: &str, there: bool, shown: impl Fn() -> String, words: &[&str]) {
    let has = || shown().lines().any(|l| words.iter().all(|w| l.contains(w)));
    wait_until(&format!("{what}: {words:?} {}", if there { "there" } else { "gone" }), SOON, || has() == there);
}

/// `ip monitor route`, which is listening.
fn monitor(node: &Node) -> Process {
    let mut command = node.ns().command("ip");
    command.args(["-ts", "monitor", "route"]);
    let monitor = Process::start("ip monitor", command, node.dir().join("routes.log"), node.ns());
    wait_until("ip monitor listens", SOON, || {
        node.ns().ip("route add 198.51.100.77/32 dev eth0");
        node.ns().ip("route del 198.51.100.77/32 dev eth0");
        monitor.log_lines("198.51.100.77") > 0
    });
    monitor
}

/// The moment at the beginning of a line of `ip -ts monitor`.
fn moment(line: &str) -> Duration {
    let time = line.split_once('T').and_then(|(_, t)| t.split_once(']')).expect("a time stamp").0;
    let parts: Vec<f64> = time.split(':').map(|p| p.parse().expect("a number")).collect();
    Duration::from_secs_f64(parts[0] * 3600.0 + parts[1] * 60.0 + parts[2])
}

/// An interface `up0`, up, whose cable leads back into the node.
fn uplink(node: &Node) {
    node.ns().ip("link add up0 type veth peer name up1");
    node.ns().ip("link set up1 up");
    node.ns().ip("link set up0 up");
}

/// The same with 198.51.100.1/24.
fn addressed_uplink(node: &Node) {
    uplink(node);
    node.ns().ip("addr add 198.51.100.1/24 dev up0");
}

fn with_routes(properties: &str, lines: &[&str]) -> String {
    let routes: String = lines.iter().map(|l| format!("  {l}\n")).collect();
    format!("{}{routes}", V3.config(properties))
}

const DEFAULT: &str = "route default via 192.0.2.9";
const DEFAULT6: &str = "route ::/0 via fe80::9";

#[test]
fn the_default_route_moves_and_the_routers_own_is_there_again() {
    let (_lab, a, b, _client) = Lab::trio();
    b.ns().ip("route add default via 192.0.2.8");
    let lines = [DEFAULT, DEFAULT6];
    let mut one = Picovrrp::start_until(&a, &with_routes("priority 150", &lines), "MASTER");
    wait("a is Active", true, || v4(&a), &["default via 192.0.2.9", "proto keepalived"]);
    wait("a is Active", true, || routes(&a, "-6"), &["default via fe80::9", "dev eth0", "proto keepalived"]);
    assert_eq!(one.instance()["routes"], serde_json::json!(["default via 192.0.2.9", "::/0 via fe80::9 dev eth0"]));
    let mut two = Picovrrp::start_until(&b, &with_routes("priority 100", &lines), "BACKUP");
    assert!(!v4(&b).contains("192.0.2.9"), "a Backup has no route of ours");
    one.terminate();
    two.wait_state("MASTER", SOON);
    one.process.wait_exit(SOON);
    assert!(!v4(&a).contains("192.0.2.9") && !routes(&a, "-6").contains("fe80::9"), "{}", v4(&a));
    // Before the router's own one, which the kernel keeps.
    wait("b is Active", true, || routes(&b, "-6"), &["default via fe80::9"]);
    let shown = v4(&b);
    let defaults: Vec<&str> = shown.lines().filter(|l| l.starts_with("default")).collect();
    assert!(defaults[0].contains("192.0.2.9") && defaults[1].contains("192.0.2.8"), "{shown}");
    assert!(b.ns().ip("route get 203.0.113.1").contains("via 192.0.2.9"));
    two.terminate();
    two.process.wait_exit(SOON);
    assert!(b.ns().ip("route get 203.0.113.1").contains("via 192.0.2.8"), "{}", v4(&b));
}

#[test]
fn deleted_or_replaced_by_hand_it_comes_back_within_100_ms() {
    let (_lab, a, _b, _client) = Lab::trio();
    let one = Picovrrp::start_until(&a, &with_routes("priority 150", &[DEFAULT, DEFAULT6]), "MASTER");
    wait("a is Active", true, || v4(&a), &["default via 192.0.2.9"]);
    let monitor = monitor(&a);
    for (n, (family, gateway)) in [("-4", "192.0.2.9"), ("-6", "fe80::9")].into_iter().enumerate() {
        a.ns().ip(&format!("{family} route del default"));
        wait_until("it is put back", SOON, || one.process.log_lines(" was gone: put back") > n);
        wait("put back", true, || routes(&a, family), &["default via", gateway, "proto keepalived"]);
        wait_until("both are told", SOON, || monitor.log_lines(gateway) >= 2);
        let log = monitor.log();
        let (gone, back): (Vec<_>, Vec<_>) =
            log.lines().filter(|l| l.contains(gateway)).partition(|l| l.contains("Deleted"));
        let took = moment(back[0]).saturating_sub(moment(gone[0]));
        assert!(took < ms(100), "{family}: {took:?}");
    }
    a.ns().ip("route replace default via 192.0.2.7");
    wait("replaced", true, || v4(&a), &["default via 192.0.2.9"]);
    assert!(a.ns().ip("route get 203.0.113.1").contains("via 192.0.2.9"));
    assert!(v4(&a).contains("192.0.2.7"), "what somebody else put there stays");
}

#[test]
fn what_goes_with_an_interface_or_an_address_comes_back_with_it() {
    let (_lab, a, _b, _client) = Lab::trio();
    addressed_uplink(&a);
    let lines = ["route 203.0.113.0/24 via 198.51.100.9", "route 10.9.0.0/16 dev up0 src 198.51.100.1"];
    let _one = Picovrrp::start_until(&a, &with_routes("priority 150", &lines), "MASTER");
    let both = |there| {
        wait("through up0", there, || v4(&a), &["203.0.113.0/24 via 198.51.100.9 dev up0", "proto keepalived"]);
        wait("through up0", there, || v4(&a), &["10.9.0.0/16 dev up0", "src 198.51.100.1", "proto keepalived"]);
    };
    both(true);
    a.ns().ip("link set up0 down");
    both(false);
    a.ns().ip("link set up0 up");
    both(true);
    a.ns().ip("addr del 198.51.100.1/24 dev up0");
    wait("its source is gone", false, || v4(&a), &["10.9.0.0/16"]);
    a.ns().ip("addr add 198.51.100.1/24 dev up0");
    both(true);
    a.ns().ip("link del up0");
    addressed_uplink(&a);
    both(true);
}

#[test]
fn the_shared_address_is_its_source_and_goes_and_comes_with_it() {
    let (_lab, a, _b, _client) = Lab::trio();
    let route = "10.8.0.0/16 via 192.0.2.9 src 192.0.2.254";
    let mut one = Picovrrp::start_until(&a, &with_routes("priority 150", &[&format!("route {route}")]), "MASTER");
    let words = "10.8.0.0/16 via 192.0.2.9 dev eth0 proto keepalived src 192.0.2.254";
    wait("a is Active", true, || v4(&a), &[words]);
    // The kernel takes the route along without a word.
    a.ns().ip("addr del 192.0.2.254/24 dev eth0");
    wait_until("it is told", SOON, || one.process.log_lines(&format!("{route} was gone: put back")) == 1);
    assert!(v4(&a).contains(words) && a.has(VIP4), "{}", v4(&a));
    one.terminate();
    one.process.wait_exit(SOON);
    assert!(!v4(&a).contains("10.8.0.0/16") && !one.process.log().contains("cannot"), "{}", one.process.log());
}

#[test]
fn a_foreign_route_is_used_and_never_removed() {
    let (_lab, a, _b, _client) = Lab::trio();
    a.ns().ip("route add default via 192.0.2.9");
    a.ns().ip("-6 route add default via fe80::9 dev eth0 metric 1024");
    let mut one = Picovrrp::start_until(&a, &with_routes("priority 150", &[DEFAULT, DEFAULT6]), "MASTER");
    wait_until("it is told", SOON, || one.process.log_lines("already and not by us") == 1);
    wait("ours beside it", true, || v4(&a), &["default via 192.0.2.9", "proto keepalived"]);
    one.process.kill();
    one = Picovrrp::start_until(&a, &with_routes("priority 150", &[DEFAULT, DEFAULT6]), "MASTER");
    one.terminate();
    assert_eq!(one.process.wait_exit(SOON).code(), Some(0));
    let (four, six) = (v4(&a), routes(&a, "-6"));
    assert!(four.contains("default via 192.0.2.9") && !four.contains("proto keepalived"), "{four}");
    assert!(six.contains("default via fe80::9") && !six.contains("proto keepalived"), "{six}");
}

#[test]
fn a_foreign_route_that_goes_is_replaced_by_ours() {
    let (_lab, a, _b, _client) = Lab::trio();
    a.ns().ip("-6 route add default via fe80::9 dev eth0 metric 1024");
    let one = Picovrrp::start_until(&a, &with_routes("priority 150", &[DEFAULT6]), "MASTER");
    wait_until("it is told", SOON, || one.process.log_lines("already and not by us") == 1);
    a.ns().ip("-6 route del default");
    wait("ours", true, || routes(&a, "-6"), &["default via fe80::9", "proto keepalived"]);
    one.process.signal(Signal::TERM);
    wait("stopped", false, || routes(&a, "-6"), &["default via fe80::9"]);
}

#[test]
fn killed_and_restarted_it_takes_over_what_is_its_own_and_removes_what_is_not_wanted() {
    let (_lab, a, _b, _client) = Lab::trio();
    addressed_uplink(&a);
    let old = [
        DEFAULT,
        DEFAULT6,
        "route 203.0.113.0/24 via 198.51.100.9 table 100",
        "route 10.0.0.0/8 blackhole",
        "route 2001:db8:8::/48 dev up0",
    ];
    let statics = "static-address 198.51.100.2/32 dev up0\nstatic-route 10.1.0.0/16 dev up0\n";
    let config = format!("{statics}{}", with_routes("priority 150", &old));
    let mut one = Picovrrp::start_until(&a, &config, "MASTER");
    wait("the last is there", true, || routes(&a, "-6"), &["2001:db8:8::/48", "proto keepalived"]);
    one.process.kill();
    assert!(v4(&a).contains("default via 192.0.2.9"), "nobody took it off");
    let monitor = monitor(&a);
    // Somebody else's that looks like the orphan stays.
    a.ns().ip("route add blackhole 10.0.0.0/8 metric 7");
    let mut again = Picovrrp::start_until(&a, &with_routes("priority 150", &[DEFAULT, DEFAULT6]), "MASTER");
    for gone in [["203.0.113.0/24"], ["10.1.0.0/16"]] {
        assert!(!in_table(&a, "-4", "100").contains(gone[0]) && !v4(&a).contains(gone[0]), "{}", v4(&a));
    }
    assert!(!routes(&a, "-6").contains("2001:db8:8::/48") && !a.has("198.51.100.2".parse::<IpAddr>().unwrap()));
    let shown = v4(&a);
    assert!(
        shown.contains("blackhole 10.0.0.0/8") && !shown.contains("blackhole 10.0.0.0/8 proto keepalived"),
        "{shown}"
    );
    for gateway in ["192.0.2.9", "fe80::9"] {
        assert_eq!(monitor.log_lines(gateway), 0, "taken over, never touched:\n{}", monitor.log());
    }
    again.terminate();
    again.process.wait_exit(SOON);
    assert!(!v4(&a).contains("192.0.2.9") && !routes(&a, "-6").contains("fe80::9"), "{}", v4(&a));
}

#[test]
fn a_stale_route_goes_when_the_other_router_is_heard() {
    let (lab, a, b, _client) = Lab::trio();
    let mut one = Picovrrp::start_until(&a, &with_routes("priority 150 preempt off", &[DEFAULT]), "MASTER");
    wait("a is Active", true, || v4(&a), &["default via 192.0.2.9"]);
    one.process.kill();
    let _two = Picovrrp::start_until(&b, &with_routes("priority 100", &[DEFAULT]), "MASTER");
    lab.part(&a, &b);
    one = Picovrrp::start_until(&a, &with_routes("priority 150 preempt off", &[DEFAULT]), "BACKUP");
    assert!(v4(&a).contains("default via 192.0.2.9"));
    lab.heal();
    wait("b is heard", false, || v4(&a), &["default via 192.0.2.9"]);
    one.wait_state("BACKUP", SOON);
}

#[test]
fn every_option_reaches_the_kernel() {
    let (_lab, a, _b, _client) = Lab::trio();
    let lines = [
        "route 203.0.113.0/24 via 192.0.2.9 src 192.0.2.254 metric 50",
        "route 203.0.113.0/24 via 192.0.2.8 metric 60",
        "route default via 192.0.2.9 table 100000 scope site",
        "route 10.0.0.0/8 blackhole",
        "route 10.2.0.0/16",
        "route 10.3.0.0/16 via 172.31.0.1 dev eth0 onlink",
        "route 10.4.0.0/16 via fe80::9",
        "route 2001:db8:7::/48 via 2001:db8::9 src 2001:db8::1 metric 5 table 77",
        "route 2001:db8:6::/48 blackhole",
    ];
    let mut one = Picovrrp::start_until(&a, &with_routes("priority 150", &lines), "MASTER");
    wait("the last is there", true, || routes(&a, "-6"), &["blackhole 2001:db8:6::/48", "proto keepalived"]);
    let all = [v4(&a), in_table(&a, "-4", "100000"), in_table(&a, "-6", "77")].concat();
    for words in [
        "203.0.113.0/24 via 192.0.2.9 dev eth0 proto keepalived src 192.0.2.254 metric 50",
        "203.0.113.0/24 via 192.0.2.8 dev eth0 proto keepalived metric 60",
        "default via 192.0.2.9 dev eth0 proto keepalived scope site",
        "blackhole 10.0.0.0/8 proto keepalived",
        "10.2.0.0/16 dev eth0 proto keepalived scope link",
        "10.3.0.0/16 via 172.31.0.1 dev eth0 proto keepalived onlink",
        "10.4.0.0/16 via inet6 fe80::9 dev eth0 proto keepalived",
        "2001:db8:7::/48 via 2001:db8::9 dev eth0 proto keepalived src 2001:db8::1 metric 5",
    ] {
        assert!(all.lines().any(|l| l.trim().starts_with(words)), "{words}\nin:\n{all}");
    }
    one.terminate();
    one.process.wait_exit(SOON);
    let all =
        [v4(&a), routes(&a, "-6"), in_table(&a, "-4", "100000"), in_table(&a, "-6", "77"), one.process.log()].concat();
    assert!(!all.contains("proto keepalived") && !all.contains("cannot"), "{all}");
}

#[test]
fn a_table_that_is_always_changing_does_not_wake_it() {
    let (_lab, a, _b, _client) = Lab::trio();
    let one = Picovrrp::start_until(&a, &with_routes("priority 100", &[DEFAULT, DEFAULT6]), "MASTER");
    wait("a is Active", true, || v4(&a), &["default via 192.0.2.9"]);
    let changes: String = (0..5000)
        .map(|n| {
            let to = format!("10.{}.{}.0/24 via 192.0.2.8", n / 250, n % 250);
            format!("route add {to}\nroute replace {to} metric 0\nroute del {to}\n")
        })
        .collect();
    let file = a.dir().join("changes");
    std::fs::write(&file, changes).expect("the lab's directory can be written to");
    let (before, start) = (one.wake_ups(), std::time::Instant::now());
    a.ns().ip(&format!("-batch {}", file.display()));
    let (woken, took) = (one.wake_ups() - before, start.elapsed());
    // Its adverts and announcements are all that it wakes for.
    let own = 2 * took.as_millis() / V3.interval.as_millis() + 30;
    assert!(u128::from(woken) < own, "{woken} wake-ups in {took:?}, where {own} were to be expected");
    assert!(v4(&a).contains("default via 192.0.2.9"));
}

#[test]
fn what_is_static_is_there_from_start_to_stop() {
    let (_lab, a, b, _client) = Lab::trio();
    let _two = Picovrrp::start_until(&b, &V3.config("priority 200"), "MASTER");
    let statics = "static-address 198.51.100.1/24 dev up0\n\
                   static-address 2001:db8:5::1/64 dev eth0\n\
                   static-route 203.0.113.0/24 via 198.51.100.9\n\
                   static-route 10.0.0.0/8 blackhole\n";
    let mut one = Picovrrp::start_until(&a, &format!("{statics}{}", lan("priority 100")), "BACKUP");
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    a.wait_has(address("2001:db8:5::1"), SOON);
    wait("at once", true, || v4(&a), &["blackhole 10.0.0.0/8", "proto keepalived"]);
    // The interface comes later, and goes, and comes.
    for _ in 0..2 {
        assert!(!v4(&a).contains("203.0.113.0/24"));
        uplink(&a);
        a.wait_has(address("198.51.100.1"), SOON);
        wait("the interface came", true, || v4(&a), &["203.0.113.0/24 via 198.51.100.9", "proto keepalived"]);
        a.ns().ip("link del up0");
        wait("the interface went", false, || v4(&a), &["203.0.113.0/24"]);
    }
    uplink(&a);
    wait("the interface came", true, || v4(&a), &["203.0.113.0/24 via 198.51.100.9", "proto keepalived"]);
    // By hand.
    a.ns().ip("addr del 2001:db8:5::1/64 dev eth0");
    a.ns().ip("route del 10.0.0.0/8");
    a.wait_has(address("2001:db8:5::1"), SOON);
    wait("put back", true, || v4(&a), &["blackhole 10.0.0.0/8"]);
    assert!(!a.has(VIP4));
    one.terminate();
    assert_eq!(one.process.wait_exit(SOON).code(), Some(0));
    let left = [v4(&a), routes(&a, "-6")].concat();
    assert!(!left.contains("proto keepalived"), "{left}");
    assert!(!a.has(address("198.51.100.1")) && !a.has(address("2001:db8:5::1")));
}

#[test]
fn a_reload_that_changes_a_route_flaps_nothing() {
    let (lab, a, _b, _client) = Lab::trio();
    let kept = "route 10.0.0.0/8 via 192.0.2.9";
    let one = Picovrrp::start_until(&a, &with_routes("priority 150", &[DEFAULT, kept]), "MASTER");
    wait("a is Active", true, || v4(&a), &["10.0.0.0/8 via 192.0.2.9"]);
    let (before, monitor) = (one.instance()["transitions"].clone(), monitor(&a));
    one.write_config(&format!(
        "static-route 10.1.0.0/16 via 192.0.2.9\n{}",
        with_routes("priority 150", &[kept, "route default via 192.0.2.8"])
    ));
    let start = std::time::Instant::now();
    one.process.signal(Signal::HUP);
    wait("reloaded", true, || v4(&a), &["default via 192.0.2.8", "proto keepalived"]);
    wait("reloaded", false, || v4(&a), &["default via 192.0.2.9"]);
    wait("reloaded", true, || v4(&a), &["10.1.0.0/16 via 192.0.2.9", "proto keepalived"]);
    lab.wire().wait_many("adverts of a", 3, start, SOON, |s| s.is_claim_of("a"));
    assert_eq!(monitor.log_lines("10.0.0.0/8"), 0, "what did not change is not touched:\n{}", monitor.log());
    assert_eq!(one.instance()["transitions"], before);
    assert_eq!(lab.wire().count(start, |s| s.is_farewell_of("a")), 0);
    one.write_config(&V3.config("priority 150"));
    one.process.signal(Signal::HUP);
    wait("without routes", false, || v4(&a), &["proto keepalived"]);
    assert!(a.has(VIP4));
}
