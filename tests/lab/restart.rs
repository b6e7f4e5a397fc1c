//! Killed and restarted, reloaded, started twice, started without permission.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Instant;

use crate::support::picovrrp::BINARY;
use crate::support::process::Process;
use crate::support::script::program;
use crate::support::{Lab, Picovrrp, SOON, Two, V3, VIP4, observe, wait_until};

#[test]
fn a_stale_address_stays_until_the_other_router_is_heard_and_then_goes() {
    let mut t = Two::start(V3, "preempt off", "");
    t.one.process.kill();
    t.two.wait_state("MASTER", SOON);
    // The restarted daemon is kept from hearing b at first.
    t.lab.part(&t.a, &t.b);
    t.one = Picovrrp::start(&t.a, &V3.config("priority 150 preempt off"));
    t.one.wait_state("BACKUP", SOON);
    assert!(t.a.has(VIP4), "nobody else was heard, so the stale address serves on");
    t.lab.heal();
    t.a.wait_lacks(VIP4, SOON);
    assert_eq!(t.sole_active(), "b");
}

#[test]
fn a_stale_address_is_kept_when_the_router_becomes_active_again() {
    let (_lab, a, _b, _client) = Lab::trio();
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    a.wait_has(VIP4, SOON);
    one.process.kill();
    let mut command = a.ns().command("ip");
    command.args(["monitor", "address"]);
    let monitor = Process::start("ip monitor", command, a.dir().join("monitor.log"), a.ns());
    // It is listening when it has seen a change made for it.
    wait_until("ip monitor listens", SOON, || {
        a.ns().ip("addr add 198.51.100.1/32 dev lo");
        a.ns().ip("addr del 198.51.100.1/32 dev lo");
        monitor.log_lines("198.51.100.1") > 0
    });
    let _again = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    assert!(a.has(VIP4));
    let removed = monitor.log().lines().any(|l| l.starts_with("Deleted") && l.contains("192.0.2.254"));
    assert!(!removed, "the address was taken off in between:\n{}", monitor.log());
}

#[test]
fn an_identical_address_that_was_there_before_is_never_removed() {
    let (lab, a, b, _client) = Lab::trio();
    a.ns().ip("addr add 192.0.2.254/24 dev eth0");
    let _two = Picovrrp::start_until(&b, &V3.config("priority 200"), "MASTER");
    let start = Instant::now();
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150"), "BACKUP");
    lab.wire().wait_many("adverts of b", 6, start, SOON, |s| s.is_claim_of("b"));
    assert!(a.has(VIP4), "a Backup leaves a foreign address alone");
    assert!(one.process.log_lines("192.0.2.254") > 0, "and warns of it:\n{}", one.process.log());
    b.vanish();
    one.wait_state("MASTER", SOON);
    one.terminate();
    one.process.wait_exit(SOON);
    assert!(a.has(VIP4), "and so does one that was Active and stops");
}

#[test]
fn a_second_daemon_is_refused_by_the_lock() {
    let (lab, a, _b, _client) = Lab::trio();
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    let start = Instant::now();
    let mut second = Picovrrp::start(&a, &V3.config("priority 200"));
    assert_eq!(second.process.wait_exit(SOON).code(), Some(3), "{}", second.process.log());
    // The first goes on and still answers.
    lab.wire().wait_many("adverts of a", 3, start, SOON, |s| s.is_claim_of("a"));
    one.wait_state("MASTER", SOON);
    assert_eq!(lab.wire().count(start, |s| s.advert().is_some_and(|a| a.priority == 200)), 0);
}

#[test]
fn a_reload_changes_the_priority_without_a_transition() {
    let mut t = Two::start(V3, "", "");
    let before = t.one.instance();
    t.one.write_config(&V3.config("priority 160"));
    let start = Instant::now();
    t.one.process.signal(crate::support::process::Signal::HUP);
    t.lab.wire().wait("an advert with the new priority", start, SOON, |s| {
        s.is_claim_of("a") && s.advert().is_some_and(|a| a.priority == 160)
    });
    let after = t.one.instance();
    assert_eq!((&after["priority"], &after["state"]), (&160.into(), &"MASTER".into()), "{after:#}");
    assert_eq!(after["transitions"], before["transitions"]);
    assert!(t.a.has(VIP4));

    t.one.write_config(&V3.config("priority 50"));
    t.one.process.signal(crate::support::process::Signal::HUP);
    t.two.wait_state("MASTER", SOON);
    t.one.wait_state("BACKUP", SOON);
    assert_eq!(t.sole_active(), "b");
}

#[test]
fn a_reload_of_the_same_file_changes_nothing() {
    let t = Two::start(V3, "", "");
    // Past the second burst of announcements, so that a third one would show.
    t.lab.wire().wait_many("announcements", 10, Instant::now() - SOON, SOON, |s| s.is_announcement_of("a", VIP4));
    let before = t.one.instance();
    let start = Instant::now();
    t.one.process.signal(crate::support::process::Signal::HUP);
    let adverts = t.lab.wire().wait_many("adverts of a", 10, start, SOON, |s| s.is_claim_of("a"));
    for pair in adverts.windows(2) {
        let between = pair[1].at - pair[0].at;
        assert!(between < V3.interval * 2, "an advert was missed: {between:?}");
    }
    assert_eq!(t.one.instance()["transitions"], before["transitions"]);
    assert_eq!(t.lab.wire().count(start, |s| s.is_announcement_of("a", VIP4)), 0, "no gratuitous ARP");
    assert_eq!(t.lab.wire().count(start, |s| s.is_farewell_of("a")), 0);
}

#[test]
fn an_invalid_reload_is_refused_and_the_running_configuration_stays() {
    let mut t = Two::start(V3, "", "");
    let start = Instant::now();
    t.one.write_config("instance lan on eth0 vrid 51 prioritty 10\n  address 192.0.2.254/24\n");
    t.one.process.signal(crate::support::process::Signal::HUP);
    wait_until("the refusal is logged", SOON, || t.one.process.log_lines("prioritty") > 0);
    let log = t.one.process.log();
    assert!(log.contains("picovrrp.conf:1:30"), "line and column are named:\n{log}");
    let seen = t.lab.wire().wait_many("adverts of a", 10, start, SOON, |s| s.is_claim_of("a"));
    assert!(seen.iter().all(|s| s.advert().is_some_and(|a| a.priority == 150)));
    t.one.wait_state("MASTER", SOON);
    t.two.wait_state("BACKUP", SOON);
}

#[test]
fn an_invalid_configuration_is_refused_at_start() {
    let (_lab, a, _b, _client) = Lab::trio();
    let config = "instance lan on eth0 vrid 51\n  priority 300\n  addres 192.0.2.254/24\n  address 192.0.2.254/24\n";
    let mut one = Picovrrp::start(&a, config);
    assert_eq!(one.process.wait_exit(SOON).code(), Some(1), "{}", one.process.log());
    let log = one.process.log();
    assert!(log.contains(":2:") && log.contains(":3:"), "all errors are told, not the first:\n{log}");
}

#[test]
fn without_permission_it_names_the_capability() {
    let (lab, a, _b, _client) = Lab::trio();
    // Where nobody can run and write.
    let home = lab.dir().join("nobody");
    let (binary, config, run) = (home.join("picovrrp"), home.join("picovrrp.conf"), home.join("run"));
    fs::create_dir_all(&home).expect("a directory");
    program(BINARY, &binary);
    fs::write(&config, V3.config("priority 150")).expect("a file");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).expect("our own directory");
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).expect("root gives a directory away");
    let mut command = a.ns().command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    command.arg(&binary).arg("--run-dir").arg(&run).args(["run", "-f"]).arg(&config).arg("--log-stderr");
    command.stdout(Stdio::null());
    let mut daemon = Process::start("picovrrp as nobody", command, lab.dir().join("nobody.log"), a.ns());
    assert_eq!(daemon.wait_exit(SOON).code(), Some(3), "{}", daemon.log());
    let said = daemon.log();
    assert!(said.contains("CAP_NET_RAW") || said.contains("CAP_NET_ADMIN"), "the capability is named:\n{said}");
}

#[test]
fn a_stop_leaves_nothing_behind() {
    let (_lab, a, _b, _client) = Lab::trio();
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    one.terminate();
    assert_eq!(one.process.wait_exit(SOON).code(), Some(0));
    assert!(!a.has(VIP4));
    assert_eq!(one.command(&["status"]).status.code(), Some(4), "nobody answers on the socket");
    // And the way is free for the next.
    let mut again = Picovrrp::start(&a, &V3.config("priority 150"));
    again.wait_state("MASTER", SOON);
    observe(V3.interval);
    assert!(again.process.running());
}

#[test]
fn a_foreign_address_that_became_ours_is_ours_after_a_kill_too() {
    let (_lab, a, _b, _client) = Lab::trio();
    a.ns().ip("addr add 192.0.2.254/24 dev eth0");
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    // Whoever put it there takes it off: the Active puts its own there.
    a.ns().ip("addr del 192.0.2.254/24 dev eth0");
    a.wait_has(VIP4, SOON);
    one.process.kill();
    let mut again = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    again.terminate();
    wait_until("the daemon ends", SOON, || !again.process.running());
    assert!(!a.has(VIP4), "the daemon's own address stayed:\n{}", again.process.log());
}

#[test]
fn a_backup_notes_that_a_foreign_address_is_gone() {
    let (_lab, a, b, _client) = Lab::trio();
    a.ns().ip("addr add 192.0.2.254/24 dev eth0");
    let _two = Picovrrp::start_until(&b, &V3.config("priority 200"), "MASTER");
    let _one = Picovrrp::start_until(&a, &V3.config("priority 150"), "BACKUP");
    let named = || fs::read(a.dir().join("run/addresses")).is_ok_and(|f| f.windows(4).any(|w| w == b"eth0"));
    assert!(!named(), "a foreign address is not ours to remove");
    a.ns().ip("addr del 192.0.2.254/24 dev eth0");
    wait_until("the address is named before it is needed", SOON, named);
}
