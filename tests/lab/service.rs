//! The daemon as a service: status, one thread, exit codes.

use std::fs;
use std::time::Instant;

use serde_json::Value;

use crate::support::{Lab, Picovrrp, SOON, Two, V2, V3, V3_IPV6, wait_until};

/// Every key of DESIGN's `status --json`, with the kind of its value.
fn has_shape(value: &Value, path: &str, is: fn(&Value) -> bool) {
    let found = path.split('.').fold(value, |v, key| match key.parse::<usize>() {
        Ok(index) => &v[index],
        Err(_) => &v[key],
    });
    assert!(is(found), "`{path}` is {found} in {value:#}");
}

#[test]
fn status_json_has_the_documented_shape() {
    let t = Two::start(V3, "", "");
    let status = t.one.status().expect("the daemon answers");
    for path in ["version", "router_id"] {
        has_shape(&status, path, Value::is_string);
    }
    has_shape(&status, "uptime_s", Value::is_number);
    for path in ["instances", "groups", "checks", "instances.0.addresses", "instances.0.tracks"] {
        has_shape(&status, path, Value::is_array);
    }
    for key in ["name", "state", "interface", "family", "last_event"] {
        has_shape(&status, &format!("instances.0.{key}"), Value::is_string);
    }
    let numbers = ["vrid", "version", "priority", "effective_priority", "advert_interval_ms", "since_s", "transitions"];
    for key in numbers {
        has_shape(&status, &format!("instances.0.{key}"), Value::is_number);
    }
    let counters = [
        "advertisement_rcvd",
        "advertisement_sent",
        "master_transitions",
        "interval_errors",
        "priority_zero_pkts_rcvd",
        "priority_zero_pkts_sent",
        "invalid_type_pkts_rcvd",
        "address_list_errors",
        "packet_length_errors",
    ];
    for key in counters {
        has_shape(&status, &format!("instances.0.stats.{key}"), Value::is_u64);
    }
    for key in ["checksum_errors", "version_errors", "vrid_errors", "ip_ttl_errors"] {
        has_shape(&status, &format!("errors.{key}"), Value::is_u64);
    }
}

#[test]
fn status_json_says_what_is() {
    let t = Two::start(V3, "", "");
    let one = t.one.instance();
    let expected: [(&str, Value); 12] = [
        ("name", "lan".into()),
        ("state", "MASTER".into()),
        ("interface", "eth0".into()),
        ("vrid", 51.into()),
        ("family", "ipv4".into()),
        ("version", 3.into()),
        ("priority", 150.into()),
        ("effective_priority", 150.into()),
        ("advert_interval_ms", 200.into()),
        ("addresses", vec!["192.0.2.254/24"].into()),
        ("routes", serde_json::json!([])),
        ("master", Value::Null),
    ];
    for (key, value) in expected {
        assert_eq!(one[key], value, "`{key}` of {one:#}");
    }
    let two = t.two.instance();
    assert_eq!(two["state"], "BACKUP");
    assert_eq!(two["master"]["address"], "192.0.2.1");
    assert_eq!(two["master"]["priority"], 150);
    let sent = t.one.stat("advertisement_sent");
    t.lab.wire().wait_many("adverts of a", 5, Instant::now(), SOON, |s| s.is_claim_of("a"));
    assert!(t.one.stat("advertisement_sent") >= sent + 5, "adverts are counted");
    assert!(t.two.stat("advertisement_rcvd") >= 5, "on both sides");
}

#[test]
fn status_reads_well_and_takes_a_name() {
    let t = Two::start(V3, "", "");
    let all = t.one.command(&["status"]);
    let text = String::from_utf8_lossy(&all.stdout);
    assert!(all.status.success());
    for word in ["lan", "MASTER", "eth0", "51"] {
        assert!(text.contains(word), "`{word}` is missing in:\n{text}");
    }
    assert!(t.one.command(&["status", "lan"]).status.success());
    assert_eq!(t.one.command(&["status", "nosuch"]).status.code(), Some(4), "no such instance");
}

#[test]
fn commands_without_a_daemon_exit_with_4_and_wrong_words_with_2() {
    let (_lab, a, _b, _client) = Lab::trio();
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    one.process.kill();
    for command in ["status", "stop"] {
        assert_eq!(one.command(&[command]).status.code(), Some(4), "{command}");
    }
    assert_eq!(one.command(&["nosuchcommand"]).status.code(), Some(2));
    assert_eq!(one.command(&["status", "--nosuch"]).status.code(), Some(2));
}

#[test]
fn it_runs_in_one_thread() {
    let (_lab, a, _b, _client) = Lab::trio();
    let config = V3.config("priority 150") + &V3_IPV6.config("priority 150");
    let one = Picovrrp::start_until(&a, &config, "MASTER");
    for _ in 0..5 {
        // Serving clients takes no thread either.
        one.status().expect("the daemon answers");
        assert_eq!(one.threads(), 1);
    }
}

#[test]
fn the_run_directory_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let (_lab, a, _b, _client) = Lab::trio();
    let _one = Picovrrp::start_until(&a, &V2.config("priority 255"), "MASTER");
    let mode = |path| fs::metadata(path).map(|m| m.permissions().mode() & 0o777).expect("it exists");
    assert_eq!(mode(a.dir().join("run")), 0o700);
    assert_eq!(mode(a.dir().join("run/control.sock")), 0o600);
}

#[test]
fn a_silent_client_of_the_control_socket_holds_nothing_up() {
    use std::os::unix::net::UnixStream;
    let t = Two::start(V3, "", "");
    let path = t.a.dir().join("run/control.sock");
    let _silent: Vec<_> = (0..8).filter_map(|_| UnixStream::connect(&path).ok()).collect();
    let start = Instant::now();
    let adverts = t.lab.wire().wait_many("adverts of a", 10, start, SOON, |s| s.is_claim_of("a"));
    for pair in adverts.windows(2) {
        assert!(pair[1].at - pair[0].at < V3.interval * 2, "adverts go on");
    }
    drop(_silent);
    crate::support::wait_until("status answers", SOON, || t.one.status().is_some());
}

#[test]
fn an_orderly_stop_leaves_no_pid_file() {
    let (_lab, a, _b, _client) = Lab::trio();
    let mut one = Picovrrp::start_until(&a, &V3.config("priority 150"), "MASTER");
    let file = a.dir().join("run/picovrrp.pid");
    assert_eq!(fs::read_to_string(&file).expect("the pid file").trim(), one.process.pid().to_string());
    one.terminate();
    wait_until("the daemon ends", SOON, || !one.process.running());
    assert!(!file.exists());
}
