//! The stream of what happens.

use std::fs;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::support::lab::Node;
use crate::support::picovrrp::BINARY;
use crate::support::process::Process;
use crate::support::{Lab, Picovrrp, SOON, Two, V3, wait_for, wait_until};

fn watch(node: &Node, args: &[&str], log: &str) -> Process {
    let mut command = Command::new(BINARY);
    command.arg("--run-dir").arg(node.dir().join("run")).arg("watch").args(args);
    Process::start("picovrrp watch", command, node.dir().join(log), node.ns())
}

fn events(process: &Process) -> Vec<Value> {
    process.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn states(process: &Process, kind: &str) -> Vec<String> {
    let of_kind = |e: &Value| (e["event"] == kind).then(|| e["to"].as_str().unwrap_or_default().to_owned());
    events(process).iter().filter_map(of_kind).collect()
}

#[test]
fn transitions_and_checks_are_told_with_times_and_reasons() {
    let (lab, a, _b, _client) = Lab::trio();
    let number = lab.dir().join("number");
    fs::write(&number, "0").expect("written");
    let config = format!("check prio file {}\n{}  track prio\n", number.display(), V3.config("priority 150"));
    let mut one = Picovrrp::start_until(&a, &config, "MASTER");
    let (json, text) = (watch(&a, &["--json"], "json.log"), watch(&a, &["lan"], "text.log"));
    wait_until("both are told how it stands", SOON, || {
        states(&json, "now") == ["MASTER"] && text.log_lines("lan is MASTER") == 1
    });
    let third = one.command(&["watch"]);
    assert_eq!(third.status.code(), Some(3), "two may watch: {}", String::from_utf8_lossy(&third.stderr));
    // Questions are still answered.
    assert!(one.status().is_some());
    fs::write(&number, "-20").expect("written");
    wait_until("the check and the priority are told", SOON, || {
        states(&json, "check") == ["-20"] && text.log_lines("effective priority 150 -> 130") == 1
    });
    a.ns().ip("link set eth0 down");
    let fault = wait_for("the fault is told", SOON, || events(&json).into_iter().find(|e| e["to"] == "FAULT"));
    assert_eq!((&fault["name"], &fault["from"], &fault["event"]), (&"lan".into(), &"MASTER".into(), &"state".into()));
    assert!(fault["text"].as_str().is_some_and(|t| t.contains("interface down")), "{fault}");
    let time = fault["time"].as_str().expect("a time");
    let year = Command::new("date").args(["-u", "+%Y-%m-%dT%H"]).output().expect("date runs").stdout;
    assert!(time.starts_with(String::from_utf8_lossy(&year).trim()) && time.ends_with('Z'), "{time}");
    assert_eq!(text.log_lines("check prio"), 0, "only what has the name");
    one.write_config("nonsense\n");
    assert_eq!(one.command(&["reload"]).status.code(), Some(1));
    wait_until("the refused reload is told", SOON, || {
        events(&json).iter().any(|e| e["text"].as_str().is_some_and(|t| t.starts_with("reload refused")))
    });
    one.process.kill();
    for mut watcher in [json, text] {
        assert_eq!(watcher.wait_exit(SOON).code(), Some(4));
    }
}

#[test]
fn refused_packets_are_told() {
    let t = Two::start(V3, "", "");
    let json = watch(&t.b, &["--json"], "json.log");
    wait_until("it watches", SOON, || states(&json, "now") == ["BACKUP"]);
    t.one.write_config(&V3.config("priority 150").replace("version 3 advert 20cs", "version 2 advert 1s"));
    assert!(t.one.command(&["reload"]).status.success());
    let packet = wait_for("a refused packet", SOON, || events(&json).into_iter().find(|e| e["event"] == "packet"));
    assert!(packet["text"].as_str().is_some_and(|x| x.contains("VRRP version 2, ours is 3")), "{packet}");
    wait_until("b takes over", SOON, || states(&json, "state") == ["MASTER"]);
}

#[test]
fn a_watcher_that_reconnects_survives_the_daemon() {
    let (_lab, a, _b, _client) = Lab::trio();
    fs::create_dir_all(a.dir()).expect("a directory");
    let json = watch(&a, &["--json", "--reconnect"], "json.log");
    wait_until("it says that nobody is there", SOON, || json.log_lines("no daemon answers") == 1);
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    let start = Instant::now();
    wait_until("it has found the daemon", SOON, || states(&json, "now").len() == 1);
    for n in 2..4 {
        one.process.kill();
        wait_until("it says that the daemon is gone", SOON, || json.log_lines("the daemon is gone") == n - 1);
        one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
        wait_until("it is back", SOON, || states(&json, "now").len() == n);
    }
    assert!(start.elapsed() < SOON * 4);
}
