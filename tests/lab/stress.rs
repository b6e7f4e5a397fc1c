//! The kernel tells more than can be read, and interfaces are treated roughly: what matters is noticed, and
//! soon.

use std::fs;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::support::netns::Netns;
use crate::support::process::{Process, Signal};
use crate::support::{Lab, Node, Picovrrp, SOON, Two, V3, V3_IPV6, VIP4, VIP6, ms, observe, wait_for, wait_until};

/// Noise takes a processor, and who measures wants one.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Addresses and links that others change, 1,000 changes in a round.
struct Noise {
    process: Process,
    begun: Instant,
}

impl Noise {
    fn start(node: &Node) -> Noise {
        node.ns().ip("link add noise type veth peer name esion");
        node.ns().ip("link set esion up");
        node.ns().ip("link set noise up");
        let mut batch = String::new();
        for n in 0..200 {
            let (a, b) = (n / 250, n % 250 + 1);
            batch += &format!("addr add 10.{a}.0.{b}/32 dev noise\naddr del 10.{a}.0.{b}/32 dev noise\n");
            batch +=
                &format!("addr add 2001:db8:{n:x}::1/128 dev noise nodad\naddr del 2001:db8:{n:x}::1/128 dev noise\n");
            batch += &format!("link set noise mtu {}\n", 1300 + n);
        }
        let file = node.dir().join("noise.batch");
        fs::write(&file, batch).expect("the lab's directory can be written to");
        let mut command = node.ns().command("sh");
        command.arg("-c").arg("while ip -b \"$0\"; do echo round; done").arg(&file);
        let process = Process::start("noise", command, node.dir().join("noise.log"), node.ns());
        let noise = Noise { process, begun: Instant::now() };
        wait_until("there is noise", SOON, || noise.rounds() > 0);
        noise
    }

    fn rounds(&self) -> usize {
        self.process.log_lines("round")
    }

    /// Ends it: changes in a second.
    fn stop(mut self) -> f64 {
        let rate = self.rounds() as f64 * 1000.0 / self.begun.elapsed().as_secs_f64();
        self.process.kill();
        rate
    }
}

/// `ip monitor` with the kernel's news and their times.
struct Monitor(Process);

impl Monitor {
    fn start(node: &Node) -> Monitor {
        // Ahead of others, so that what it prints is not later than what happened.
        let mut command = node.ns().command("nice");
        command.args(["-n", "-10", "ip", "-o", "-ts", "monitor", "address", "link"]);
        let monitor = Monitor(Process::start("ip monitor", command, node.dir().join("news.log"), node.ns()));
        wait_until("ip monitor listens", SOON, || {
            node.ns().ip("addr add 198.51.100.77/32 dev lo");
            node.ns().ip("addr del 198.51.100.77/32 dev lo");
            monitor.0.log_lines("198.51.100.77") > 0
        });
        monitor
    }

    /// The seconds of the day at which lines came that `pick` wants.
    fn times(&self, pick: impl Fn(&str) -> bool) -> Vec<f64> {
        let log = self.0.log();
        log.lines().filter(|l| pick(l)).filter_map(seconds).collect()
    }

    /// Waits for the `n`th address `ip` to be added; the times of its removals and additions.
    #[track_caller]
    fn wait_added(&self, ip: IpAddr, n: usize) -> (Vec<f64>, Vec<f64>) {
        let word = format!(" {ip}/");
        wait_for(&format!("{ip} is added {n} times"), SOON, || {
            let added = self.times(|l| l.contains(&word) && !l.contains("Deleted"));
            let removed = self.times(|l| l.contains(&word) && l.contains("Deleted"));
            (added.len() >= n).then_some((removed, added))
        })
    }
}

/// `[2026-01-31T12:34:56.789012] …`
fn seconds(line: &str) -> Option<f64> {
    let (clock, _) = line.strip_prefix('[')?.split_once('T')?.1.split_once(']')?;
    let mut parts = clock.split(':').map(|p| p.parse::<f64>().ok());
    Some(parts.next()?? * 3600.0 + parts.next()?? * 60.0 + parts.next()??)
}

#[test]
fn amid_thousands_of_changes_adverts_go_on_and_a_removed_address_comes_back() {
    let _alone = alone();
    let (lab, a, _b, _client) = Lab::trio();
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    a.wait_has(VIP4, SOON);
    let monitor = Monitor::start(&a);
    let noise = Noise::start(&a);
    let start = Instant::now();
    for n in 1..=5 {
        observe(ms(600));
        a.ns().ip("addr del 192.0.2.254/24 dev eth0");
        monitor.wait_added(VIP4, n);
    }
    let rate = noise.stop();
    let (removed, added) = monitor.wait_added(VIP4, 5);
    let longest = removed.iter().zip(&added).map(|(r, a)| a - r).fold(0.0, f64::max);
    let adverts: Vec<_> = lab.wire().since(start).into_iter().filter(|s| s.is_claim_of("a")).collect();
    let gap = adverts.windows(2).map(|w| w[1].at - w[0].at).max().expect("adverts");
    eprintln!("{rate:.0} changes a second; back after at most {:.1} ms; the longest gap {gap:?}", longest * 1000.0);
    assert!(rate > 1000.0, "{rate} changes a second are few");
    assert!(longest < 0.1, "{longest} s");
    // The noise and other tests want processors too: what counts is that no Backup would have taken over.
    assert!(gap < V3.active_down_interval(254), "{gap:?}");
    assert_eq!(one.instance()["transitions"], 2);
    one.wait_state("MASTER", SOON);
}

#[test]
fn what_was_lost_in_an_overrun_is_found() {
    let _alone = alone();
    let (_lab, a, _b, _client) = Lab::trio();
    let one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    a.wait_has(VIP4, SOON);
    let drops = || -> u64 {
        let text = String::from_utf8_lossy(&a.ns().output("cat", &["/proc/net/netlink"]).stdout).into_owned();
        text.lines().filter_map(|l| l.split_whitespace().nth(8)?.parse::<u64>().ok()).sum()
    };
    let monitor = Monitor::start(&a);
    let before = drops();
    one.process.signal(Signal::STOP);
    let noise = Noise::start(&a);
    // More than the socket of a daemon that does not read can hold.
    wait_until("news are lost", SOON * 3, || drops() > before);
    a.ns().ip("addr del 192.0.2.254/24 dev eth0");
    let _ = noise.stop();
    assert!(!a.has(VIP4));
    let on = Instant::now();
    one.process.signal(Signal::CONT);
    monitor.wait_added(VIP4, 1);
    eprintln!("back {:?} after it went on, at most", on.elapsed());
    assert_eq!(one.instance()["state"], "MASTER");
}

#[test]
fn renamed_and_moved_to_another_namespace_and_back() {
    for vmac in ["", "vmac"] {
        let mut t = Two::start(V3, vmac, vmac);
        t.a.ns().ip("link set eth0 name lan0");
        t.lab.wire().wait_many("adverts of a", 5, Instant::now(), SOON, |s| s.is_claim_of("a"));
        assert_eq!(t.one.instance()["transitions"], 2, "a name is no matter");
        t.a.ns().ip("link set lan0 name eth0");
        let elsewhere = Netns::create(format!("{}-elsewhere", t.a.ns().name()));
        t.a.ns().ip(&format!("link set eth0 netns {}", elsewhere.name()));
        t.one.wait_state("FAULT", SOON);
        t.two.wait_state("MASTER", SOON);
        if !vmac.is_empty() {
            let left = t.a.ns().try_ip("link show vrrp4.51").unwrap_or_default();
            assert_eq!(left, "", "a macvlan on an interface that is elsewhere is of no use");
        }
        let back = Instant::now();
        elsewhere.ip(&format!("link set eth0 netns {}", t.a.ns().name()));
        t.a.ns().ip("link set eth0 up");
        t.a.ns().ip("addr add 192.0.2.1/24 dev eth0");
        t.one.wait_state("MASTER", SOON);
        assert_eq!(t.sole_active(), "a");
        t.lab.wire().wait_many("adverts of a", 5, back, SOON, |s| s.is_claim_of("a"));
    }
}

#[test]
fn put_into_a_bridge_and_taken_out_again() {
    let mut t = Two::start(V3, "", "");
    t.b.ns().ip("link add br9 type bridge");
    let start = Instant::now();
    // A port hears nothing for itself: the Backup believes to be alone.
    t.b.ns().ip("link set eth0 master br9");
    t.two.wait_state("MASTER", SOON);
    t.b.ns().ip("link set eth0 nomaster");
    t.two.wait_state("BACKUP", SOON);
    assert_eq!(t.sole_active(), "a");
    assert!(t.lab.wire().count(start, |s| s.is_claim_of("a")) > 0);
    // Where a macvlan stands the kernel lets no bridge in; where a bridge is, the daemon says so and waits.
    t.two.terminate();
    assert!(t.two.process.wait_exit(SOON).success());
    t.b.ns().ip("link set eth0 master br9");
    t.two = Picovrrp::start_until(&t.b, &V3.config("priority 100 vmac"), "FAULT");
    assert!(t.two.process.log().contains("cannot make the macvlan vrrp4.51 on eth0"), "{}", t.two.process.log());
    t.b.ns().ip("link set eth0 nomaster");
    t.two.wait_state("BACKUP", SOON);
    assert!(t.b.ns().try_ip("link set eth0 master br9").is_err());
}

#[test]
fn an_mtu_too_small_for_ipv6_is_a_fault_until_it_is_not() {
    for vmac in ["", "vmac"] {
        let mut t = Two::start(V3_IPV6, vmac, vmac);
        t.a.ns().ip("link set eth0 mtu 1400");
        t.lab.wire().wait_many("adverts of a", 5, Instant::now(), SOON, |s| s.is_claim_of("a"));
        assert_eq!(t.one.instance()["transitions"], 2);
        t.a.ns().ip("link set eth0 mtu 1200");
        t.one.wait_state("FAULT", SOON);
        t.two.wait_state("MASTER", SOON);
        t.a.ns().ip("link set eth0 mtu 1500");
        t.a.ns().ip("addr replace fe80::1/64 dev eth0 nodad");
        t.one.wait_state("MASTER", SOON);
        t.a.wait_has(VIP6, SOON);
        assert_eq!(t.sole_active(), "a");
    }
}

/// Everything is torn down and built anew within a second, as `network restart` does it: from the
/// interface's own address on it takes 200 ms at most until the router is back.
fn network_restart(vmac: &str) {
    let _alone = alone();
    let (_lab, a, _b, _client) = Lab::trio();
    // An owner, which is Active again at once; the others wait for Active_Down_Interval.
    let config = format!(
        "{}instance wan on wan vrid 7 priority 255 advert 20cs\n address 198.51.100.1/24\n",
        V3.config(&format!("priority 255 {vmac}"))
    );
    let build = || {
        a.ns().ip("link add wan type veth peer name naw");
        a.ns().ip("link set naw up");
        a.ns().ip("link set wan up");
        a.ns().ip("addr add 198.51.100.9/24 dev wan");
    };
    build();
    let mut one = Picovrrp::start_until(&a, &config, "MASTER");
    let monitor = Monitor::start(&a);
    let vips: [IpAddr; 2] = [VIP4, "198.51.100.1".parse().expect("an address")];
    let own = |l: &str| (l.contains("192.0.2.1/") || l.contains("198.51.100.9/")) && !l.contains("Deleted");
    for round in 1..=3 {
        let begun = Instant::now();
        a.delete_interface();
        a.ns().ip("link del wan");
        a.create_interface();
        build();
        assert!(begun.elapsed() < Duration::from_secs(2), "torn down and built in {:?}", begun.elapsed());
        for (vip, name) in vips.iter().zip(["192.0.2.1/", "198.51.100.9/"]) {
            let (_, added) = monitor.wait_added(*vip, round);
            let there = monitor.times(|l| own(l) && l.contains(name));
            let late = added[round - 1] - there[round - 1];
            eprintln!("round {round}: {vip} was there {:.1} ms after {name}", late * 1000.0);
            assert!((0.0..0.2).contains(&late), "{late} s");
        }
        one.wait_state("MASTER", SOON);
    }
    // Addresses alone are flushed, the links stay up.
    a.ns().ip("addr flush dev eth0");
    one.wait_state_of("lan", "FAULT", SOON);
    a.ns().ip("addr add 192.0.2.1/24 dev eth0");
    one.wait_state("MASTER", SOON);
    let late = wait_for("the address is behind the interface's own", SOON, || {
        let last = |vip: &str| monitor.times(|l| l.contains(vip) && !l.contains("Deleted")).last().copied();
        Some(last("192.0.2.254/")? - last("192.0.2.1/")?).filter(|late| *late >= 0.0)
    });
    assert!(late < 0.2, "{late} s");
}

#[test]
fn a_restarted_network_has_its_addresses_back() {
    network_restart("");
}

#[test]
fn a_restarted_network_has_its_addresses_back_with_a_virtual_mac() {
    network_restart("vmac");
}

#[test]
fn an_address_removed_by_hand_is_back_within_100_ms() {
    let _alone = alone();
    for flavour in [V3, V3_IPV6] {
        let (_lab, a, _b, _client) = Lab::trio();
        let one = Picovrrp::start_until(&a, &flavour.config("priority 150"), "MASTER");
        a.wait_has(flavour.vip, SOON);
        let monitor = Monitor::start(&a);
        let length = if flavour.vip.is_ipv4() { 24 } else { 64 };
        for n in 1..=10 {
            a.ns().ip(&format!("addr del {}/{length} dev eth0", flavour.vip));
            monitor.wait_added(flavour.vip, n);
        }
        let (removed, added) = monitor.wait_added(flavour.vip, 10);
        let longest = removed.iter().zip(&added).map(|(r, a)| a - r).fold(0.0, f64::max);
        eprintln!("{}: back after at most {:.1} ms", flavour.vip, longest * 1000.0);
        assert!(longest < 0.1, "{longest} s");
        assert_eq!(one.instance()["transitions"], 2);
    }
}
