//! Reload as a difference: what did not change sends and removes nothing.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use crate::support::lab::Node;
use crate::support::process::Signal;
use crate::support::script::{lines, script};
use crate::support::{Lab, Picovrrp, Pinger, SOON, Two, V3, VIP4, ms, observe, wait_until};

/// Packets that have left a node's `eth0`.
fn sent(node: &Node) -> u64 {
    let text = node.ns().output("cat", &["/sys/class/net/eth0/statistics/tx_packets"]).stdout;
    String::from_utf8_lossy(&text).trim().parse().expect("a number")
}

fn vip(n: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, 200 + n).into()
}

/// 32 instances, the first with this priority, and a check that one of them tracks.
fn many(priority: u8) -> String {
    let mut text = String::from("check here interface eth0\ndefaults version 3 advert 1s priority 150 garp delay 0s\n");
    for n in 1..=32u8 {
        let priority = if n == 1 { priority } else { 150 };
        writeln!(text, "instance i{n} on eth0 vrid {n} priority {priority}\n  address {}/24", vip(n)).expect("memory");
    }
    text + "  track here weight 5\n"
}

#[test]
fn one_changed_line_of_thirty_two_instances_disturbs_no_other() {
    let (lab, a, _b, _client) = Lab::trio();
    let mut one = Picovrrp::start(&a, &many(150));
    one.wait_state("MASTER", SOON);
    // Until what the kernel says of itself at the start has been said.
    lab.wire().wait_many("adverts of all", 3 * 32, Instant::now(), SOON, |s| s.is_claim_of("a"));
    let monitor = a.monitor();
    let before = one.status().expect("it answers");
    // From between two rounds of adverts to between two others: as many packets as adverts.
    let gap = |after: Instant| {
        lab.wire().wait_many("a round of adverts", 32, after, SOON, |s| s.is_claim_of("a"));
        observe(ms(100));
    };
    gap(Instant::now());
    let told = monitor.log().len();
    let (start, packets) = (Instant::now(), sent(&a));
    let mut took = Vec::new();
    for priority in [151, 150, 151, 150, 160] {
        one.write_config(&many(priority));
        assert!(one.command(&["reload"]).status.success());
        let last = one.status().expect("it answers")["last_reload"].clone();
        assert_eq!((&last["ok"], &last["error"]), (&true.into(), &serde_json::Value::Null), "{last}");
        took.push(last["took_ms"].as_f64().expect("a number"));
    }
    for _ in 0..2 {
        gap(Instant::now());
    }
    let (left, seen) = (sent(&a) - packets, lab.wire().since(start));
    assert_eq!(left as usize, seen.iter().filter(|s| s.from == "a").count(), "a sent what is no advert");
    assert!(seen.iter().all(|s| s.advert().is_some_and(|x| x.priority == 160 || x.vrid != 1 || x.priority <= 151)));
    for vrid in 1..=32 {
        let of = |s: &&crate::support::Sighting| s.advert().is_some_and(|x| x.vrid == vrid);
        let times: Vec<Instant> = seen.iter().filter(of).map(|s| s.at).collect();
        assert!(times.len() >= 2, "vrid {vrid} was heard {} times", times.len());
        for pair in times.windows(2) {
            let apart = pair[1] - pair[0];
            assert!(apart > ms(900) && apart < ms(1100), "adverts of vrid {vrid} are {apart:?} apart");
        }
    }
    assert_eq!(&monitor.log()[told..], "", "addresses, links and routes stay as they are");
    let after = one.status().expect("it answers");
    let least = took.iter().copied().fold(f64::MAX, f64::min);
    println!("five reloads of 32 instances took {took:?} ms");
    assert!(least < 10.0, "{took:?} ms");
    for n in 0..32 {
        let of = |status: &serde_json::Value| status["instances"][n]["transitions"].clone();
        assert_eq!(of(&after), of(&before));
    }
    assert_eq!(after["instances"][0]["priority"], 160);
}

#[test]
fn an_instance_that_the_file_drops_hands_over_before_it_goes() {
    let (lab, a, b, client) = Lab::trio();
    let told = lab.dir().join("told");
    let note = script(&lab.dir().join("hooks"), "note", &format!("echo \"$@\" >> {}", told.display()));
    let other = "instance other on eth0 vrid 77 version 3 advert 20cs priority 150\n  address 192.0.2.77/24\n";
    let both = format!("{}  notify {}\n{other}", V3.config("priority 150"), note.display());
    let one = Picovrrp::start_until(&a, &both, "MASTER");
    let mut two = Picovrrp::start_until(&b, &V3.config("priority 100"), "BACKUP");
    let pinger = Pinger::start(client.ns(), VIP4);
    pinger.wait_answer(Instant::now(), SOON);
    one.write_config(other);
    let start = Instant::now();
    assert!(one.command(&["reload"]).status.success());
    // The command comes back when it is done.
    assert!(!a.has(VIP4) && b.has(VIP4));
    two.wait_state("MASTER", SOON);
    let successor = lab.wire().wait("an advert of b", start, SOON, |s| s.is_claim_of("b"));
    let farewell = lab.wire().wait("a farewell", start, SOON, |s| s.is_farewell_of("a"));
    assert!(farewell.at < successor.at);
    lab.wire().wait_many("adverts of the other", 4, start, SOON, |s| s.advert().is_some_and(|x| x.vrid == 77));
    observe(ms(500));
    let silence = pinger.stop().longest_silence(start);
    assert!(silence < ms(100), "the client was without an answer for {silence:?}");
    let others: Vec<Instant> =
        lab.wire().since(start).iter().filter(|s| s.advert().is_some_and(|x| x.vrid == 77)).map(|s| s.at).collect();
    assert!(others.windows(2).all(|p| p[1] - p[0] < V3.interval * 2), "{others:?}");
    wait_until("it is told", SOON, || lines(&told).last().is_some_and(|l| l == "INSTANCE lan FAULT 150"));
    assert_eq!(one.status().expect("it answers")["instances"].as_array().map(Vec::len), Some(1));
}

#[test]
fn another_vrid_says_farewell_on_the_old_one() {
    let t = Two::start(V3, "", "");
    let start = Instant::now();
    t.one.write_config(&V3.config("priority 150").replace("vrid 51", "vrid 52"));
    assert!(t.one.command(&["reload"]).status.success());
    let of = |vrid, priority: u8| {
        move |s: &crate::support::Sighting| {
            s.from == "a" && s.advert().is_some_and(|x| x.vrid == vrid && (x.priority == 0) == (priority == 0))
        }
    };
    let farewell = t.lab.wire().wait("a farewell for vrid 51", start, SOON, of(51, 0));
    t.lab.wire().wait("adverts of vrid 52", farewell.at, SOON, of(52, 150));
    assert_eq!(t.lab.wire().count(farewell.at, of(51, 150)), 0);
    assert_eq!(t.lab.wire().count(start, of(52, 0)), 0);
}

#[test]
fn a_renamed_instance_goes_on() {
    let t = Two::start(V3, "", "");
    t.lab.wire().wait_many("announcements", 10, Instant::now() - SOON, SOON, |s| s.is_announcement_of("a", VIP4));
    let (start, before) = (Instant::now(), t.one.instance());
    t.one.write_config(&V3.config("priority 150").replace("instance lan", "instance office"));
    assert!(t.one.command(&["reload"]).status.success());
    let after = t.one.instance();
    assert_eq!((&after["name"], &after["state"]), (&"office".into(), &"MASTER".into()));
    assert_eq!(after["transitions"], before["transitions"]);
    t.lab.wire().wait_many("adverts of a", 5, start, SOON, |s| s.is_claim_of("a"));
    assert_eq!(t.lab.wire().count(start, |s| s.is_farewell_of("a") || s.is_announcement_of("a", VIP4)), 0);
}

#[test]
fn a_refused_reload_shows_in_status_and_in_the_exit_code() {
    let t = Two::start(V3, "", "");
    assert_eq!(t.one.status().expect("it answers")["last_reload"], serde_json::Value::Null);
    t.one.write_config("instance lan on eth0 vrid 51 prioritty 10\n  address 192.0.2.254/24\n");
    let refused = t.one.command(&["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("prioritty"));
    let last = t.one.status().expect("it answers")["last_reload"].clone();
    assert_eq!(last["ok"], false);
    assert!(last["error"].as_str().is_some_and(|e| !e.is_empty()), "{last}");
    let text = String::from_utf8_lossy(&t.one.command(&["status"]).stdout).into_owned();
    assert!(text.contains("reload refused "), "{text}");
    assert_eq!(t.one.instance()["priority"], 150);
    t.one.write_config(&V3.config("priority 150"));
    assert!(t.one.command(&["reload"]).status.success());
    assert_eq!(t.one.status().expect("it answers")["last_reload"]["ok"], true);
}

#[test]
fn the_file_is_changed_back_while_an_instance_hands_over() {
    let (lab, a, _b, _client) = Lab::trio();
    let slow = "instance lan on eth0 vrid 51 version 3 advert 2s priority 255\n  address 192.0.2.254/24\n";
    let mut one = Picovrrp::start_until(&a, slow, "MASTER");
    let start = Instant::now();
    one.write_config(&slow.replace("vrid 51", "vrid 52"));
    one.process.signal(Signal::HUP);
    lab.wire().wait("a farewell", start, SOON, |s| s.is_farewell_of("a"));
    one.write_config(slow);
    assert!(one.command(&["reload"]).status.success());
    lab.wire().wait("an advert of a", start, SOON, |s| s.is_claim_of("a"));
    one.wait_state("MASTER", SOON);
    assert_eq!(lab.wire().count(start, |s| s.advert().is_some_and(|x| x.vrid == 52)), 0);
}
