//! Each kind of check on a real kernel: what it looks at breaks and works again, and the priority,
//! the state and the status follow.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::support::lab::{Lab, Node};
use crate::support::picovrrp::{BINARY, Picovrrp};
use crate::support::script::{program, script};
use crate::support::two::V3;
use crate::support::{SOON, ms, observe, wait_for, wait_until};

/// How often checks look in these tests.
const OFTEN: &str = "every 50ms";

/// One router whose priority is 150 less 60 while the check fails.
struct Checked {
    one: Picovrrp,
    a: Node,
    client: Node,
    lab: Lab,
}

impl Checked {
    #[track_caller]
    fn start(check: impl FnOnce(&Lab, &Node) -> String, track: &str) -> Self {
        let (lab, a, _b, client) = Lab::trio();
        let config = format!("check it {}\n{}  {track}\n", check(&lab, &a), V3.config("priority 150"));
        let one = Picovrrp::start(&a, &config);
        Checked { one, a, client, lab }
    }

    fn check(&self) -> Option<Value> {
        Some(self.one.status()?["checks"][0].clone())
    }

    /// Waits for the check's state and the effective priority; the check as it is then.
    #[track_caller]
    fn await_state(&self, state: &str, effective: u64) -> Value {
        let what = format!("the check is {state}, the priority {effective}");
        wait_for(&what, SOON, || {
            let status = self.one.status()?;
            let good = status["checks"][0]["state"] == state;
            (good && status["instances"][0]["effective_priority"] == effective).then(|| status["checks"][0].clone())
        })
    }
}

#[test]
fn ping() {
    let t =
        Checked::start(|_, _| format!("ping 192.0.2.100 {OFTEN} timeout 40ms fall 2 rise 2"), "track it weight -60");
    t.await_state("up", 150);
    t.client.ns().ip("link set eth0 down");
    let down = t.await_state("down", 90);
    assert!(down["fails"].as_u64() >= Some(2), "{down}");
    assert_eq!(down["last_error"], "no answer in time");
    t.client.ns().ip("link set eth0 up");
    let up = t.await_state("up", 150);
    assert_eq!((&up["fails"], &up["last_error"]), (&0.into(), &Value::Null), "{up}");
    assert!(up["last_ms"].as_f64().is_some_and(|ms| ms < 40.0), "{up}");
}

#[test]
fn ping_over_ipv6_from_an_interface() {
    let t = Checked::start(|_, _| format!("ping fe80::64 from eth0 {OFTEN}"), "track it weight -60");
    t.await_state("up", 150);
    t.client.ns().ip("link set eth0 down");
    t.await_state("down", 90);
}

#[test]
fn tcp() {
    let t = Checked::start(|_, _| format!("tcp 127.0.0.1 7070 {OFTEN}"), "track it weight -60");
    let down = t.await_state("down", 90);
    assert_eq!(down["last_error"], "connection refused");
    let listener = t.a.ns().inside(|| TcpListener::bind("127.0.0.1:7070").expect("the port is free"));
    t.await_state("up", 150);
    drop(listener);
    t.await_state("down", 90);
}

#[test]
fn dns() {
    let t = Checked::start(|_, _| format!("dns 127.0.0.1 host.test port 5300 {OFTEN}"), "track it weight -60");
    t.await_state("down", 90);
    let socket = t.a.ns().inside(|| UdpSocket::bind("127.0.0.1:5300").expect("the port is free"));
    let server = socket.try_clone().expect("a second descriptor");
    let serve = std::thread::spawn(move || {
        let mut buffer = [0; 512];
        // An answer with one A record; a datagram of one byte ends it.
        while let Ok((n @ 13.., from)) = server.recv_from(&mut buffer) {
            let mut answer = buffer[..n].to_vec();
            answer[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
            let _ = server.send_to(&answer, from);
        }
    });
    t.await_state("up", 150);
    let to = socket.local_addr().expect("an address");
    t.a.ns().inside(|| UdpSocket::bind("127.0.0.1:0").and_then(|s| s.send_to(&[0], to))).expect("sent");
    serve.join().expect("the server ends");
    drop(socket);
    t.await_state("down", 90);
}

#[test]
fn a_route_is_seen_at_once() {
    // So seldom that it is the kernel that tells.
    let t = Checked::start(|_, _| "route 203.0.113.0/24 via 192.0.2.100 every 60s".into(), "track it weight -60");
    t.await_state("down", 90);
    t.a.ns().ip("route add 203.0.113.0/24 via 192.0.2.100");
    t.await_state("up", 150);
    t.a.ns().ip("route replace 203.0.113.0/24 via 192.0.2.2");
    t.await_state("down", 90);
}

#[test]
fn an_interface_is_seen_at_once_and_may_have_to_last() {
    let wan = |_: &Lab, a: &Node| {
        a.create_link("wan", "wan-a");
        "interface wan every 60s".to_owned()
    };
    let t = Checked::start(wan, "track it weight -60");
    t.await_state("up", 150);
    t.a.ns().ip("link set wan down");
    let down = t.await_state("down", 90);
    assert_eq!(down["last_error"], "no such interface, or it is down");
    t.a.ns().ip("link set wan up");
    let up = t.await_state("up", 150);
    assert_eq!(up["last_error"], Value::Null);

    // Down counts at once, up when it has lasted for three looks.
    let wan = |_: &Lab, a: &Node| {
        a.create_link("wan", "wan-a");
        "interface wan every 200ms rise 4".to_owned()
    };
    let t = Checked::start(wan, "track it weight -60");
    t.await_state("up", 150);
    t.a.ns().ip("link set wan down");
    t.await_state("down", 90);
    let since = Instant::now();
    t.a.ns().ip("link set wan up");
    t.await_state("up", 150);
    assert!(since.elapsed() >= ms(400), "up after {:?}", since.elapsed());
}

#[test]
fn a_file_multiplies() {
    let path = |lab: &Lab| lab.dir().join("number");
    let t = Checked::start(|lab, _| format!("file {} every 60s", path(lab).display()), "track it weight 2");
    let broken = t.await_state("broken", 150);
    assert_eq!(broken["last_error"], "the file is missing");
    for (text, priority) in [("5\n", 160), ("-20", 110), ("100", 254), ("0", 150)] {
        fs::write(path(&t.lab), text).expect("written");
        t.await_state("value", priority);
    }
    fs::write(path(&t.lab), "many\n").expect("written");
    let broken = t.await_state("broken", 150);
    assert_eq!(broken["last_error"], "the file does not hold a number");
    // Many looks find the same; it is told once.
    for _ in 0..5 {
        fs::write(path(&t.lab), "many\n").expect("written");
    }
    let runs = |c: Option<Value>| c.and_then(|c| c["runs"].as_u64()).unwrap_or(0);
    let before = runs(t.check());
    fs::write(path(&t.lab), "many more\n").expect("written");
    wait_until("it has been read again", SOON, || runs(t.check()) > before);
    let log = t.one.process.log();
    assert_eq!(log.matches("the file does not hold a number").count(), 1, "{log}");
    // A value whose product is -254 or less is a fault.
    fs::write(path(&t.lab), "-127").expect("written");
    wait_until("a fault", SOON, || t.one.state().as_deref() == Some("FAULT"));
}

#[test]
fn processes_by_name_and_command_line() {
    // A name of its own: /proc is every namespace's.
    let copy = |lab: &Lab| lab.dir().join(format!("pv{}", std::process::id()));
    let t = Checked::start(
        |lab, _| {
            program("/bin/sleep", &copy(lab));
            format!("process {} full-command params 7777 {OFTEN}", copy(lab).display())
        },
        "track it weight -60",
    );
    let down = t.await_state("down", 90);
    assert_eq!(down["last_error"], "0 running, 1 wanted");
    let mut other = std::process::Command::new(copy(&t.lab)).arg("8888").spawn().expect("it starts");
    let mut child = std::process::Command::new(copy(&t.lab)).arg("7777").spawn().expect("it starts");
    t.await_state("up", 150);
    child.kill().and_then(|()| child.wait()).expect("it ends");
    t.await_state("down", 90);
    other.kill().and_then(|()| other.wait()).expect("it ends");
}

#[test]
fn a_script_that_disappears_or_is_made_unsafe_fails_and_is_logged_once() {
    let path = |lab: &Lab| lab.dir().join("scripts/look");
    let t = Checked::start(
        |lab, _| {
            script(&lab.dir().join("scripts"), "look", "exit 0");
            format!("script {} {OFTEN}", path(lab).display())
        },
        "track it weight -60",
    );
    t.await_state("up", 150);
    fs::remove_file(path(&t.lab)).expect("removed");
    t.await_state("down", 90);
    let runs = || t.check().and_then(|c| c["runs"].as_u64()).unwrap_or(0);
    let before = runs();
    wait_until("it was looked for again", SOON, || runs() > before + 3);
    let log = t.one.process.log();
    assert_eq!(log.matches("look does not exist").count(), 1, "{log}");
    let again = script(&t.lab.dir().join("scripts"), "look", "exit 0");
    t.await_state("up", 150);
    // Writable for all: whoever writes it would run as root.
    fs::set_permissions(&again, fs::Permissions::from_mode(0o777)).expect("changed");
    let down = t.await_state("down", 90);
    assert!(down["last_error"].as_str().is_some_and(|e| e.contains("look")), "{down}");
}

#[test]
fn the_last_line_of_an_error_is_in_status_and_an_instance_waits_for_the_first_result() {
    let (lab, a, _b, _client) = Lab::trio();
    let gate = lab.dir().join("gate");
    let body = format!(
        "while [ ! -e {} ]; do sleep 0.02; done; echo one >&2; echo 'two \"quoted\"' >&2; exit 3",
        gate.display()
    );
    let look = script(&lab.dir().join("scripts"), "look", &body);
    let out = lab.dir().join("told");
    let note = script(&lab.dir().join("scripts"), "note", &format!("echo \"$3\" >> {}", out.display()));
    let config = format!(
        "check it script {} every 100ms timeout 20s\n{}  track it\n  notify {}\n",
        look.display(),
        V3.config("priority 255"),
        note.display()
    );
    let one = Picovrrp::start(&a, &config);
    wait_until("the daemon answers", SOON, || one.status().is_some());
    // Even an owner is silent until the check has spoken, and tells nothing.
    observe(ms(300));
    assert_eq!(one.state().as_deref(), Some("INIT"));
    assert!(!out.exists() && lab.wire().since(Instant::now() - ms(300)).is_empty());
    fs::write(&gate, "").expect("written");
    wait_until("a fault", SOON, || one.state().as_deref() == Some("FAULT"));
    let check = one.status().expect("a status")["checks"][0].clone();
    assert_eq!(check["last_error"], "two \"quoted\"", "{check}");
    wait_until("the hook ran", SOON, || out.exists());
    assert_eq!(fs::read_to_string(&out).expect("told"), "FAULT\n");
}

#[test]
fn a_reload_keeps_what_is_known_of_a_check() {
    let (lab, a, _b, _client) = Lab::trio();
    let look = script(&lab.dir().join("scripts"), "look", &format!("echo x >> {}", lab.dir().join("runs").display()));
    let config = |more: &str| {
        format!("{more}check it script {} every 60s\n{}  track it\n", look.display(), V3.config("priority 255"))
    };
    let one = Picovrrp::start_until(&a, &config(""), "MASTER");
    let transitions = one.instance()["transitions"].clone();
    // Another check before it moves it to another place.
    one.write_config(&config("check other tcp 127.0.0.1 9 every 60s\n"));
    assert!(one.command(&["reload"]).status.success());
    wait_until("the new check has run", SOON, || {
        one.status().is_some_and(|s| s["checks"][0]["state"] == "down" && s["checks"][1]["state"] == "up")
    });
    assert_eq!((&one.instance()["transitions"], &one.instance()["state"]), (&transitions, &"MASTER".into()));
}

#[test]
fn no_more_scripts_run_at_once_than_allowed() {
    let (lab, a, _b, _client) = Lab::trio();
    let dir = lab.dir().join("running");
    fs::create_dir_all(&dir).expect("a directory");
    // Each counts who runs when it begins.
    let body = format!(
        "d={}; : > $d/$$; ls $d | wc -l >> {}; sleep 0.1; rm $d/$$",
        dir.display(),
        lab.dir().join("most").display()
    );
    let look = script(&lab.dir().join("scripts"), "look", &body);
    let mut config = String::from("max-children 3\n");
    for n in 0..12 {
        config += &format!("check c{n} script \"{} {n}\" every 300ms timeout 5s\n", look.display());
    }
    config += &V3.config("priority 150");
    config += "  track c0 weight -1\n";
    let one = Picovrrp::start(&a, &config);
    wait_until("each has run twice", SOON, || {
        let status = one.status();
        let checks = status.as_ref().and_then(|s| s["checks"].as_array());
        checks.is_some_and(|all| all.len() == 12 && all.iter().all(|c| c["runs"].as_u64() >= Some(2)))
    });
    let seen = fs::read_to_string(lab.dir().join("most")).expect("counts");
    let most = seen.lines().filter_map(|l| l.trim().parse::<u32>().ok()).max().expect("at least one");
    assert_eq!(most, 3);
}

/// Bad input: one line with its place, exit status 1, and nothing runs.
#[test]
fn what_is_wrong_is_told_with_its_place() {
    let (lab, _a, _b, _client) = Lab::trio();
    let unsafe_script = script(&lab.dir().join("open"), "look", "exit 0");
    fs::set_permissions(&unsafe_script, fs::Permissions::from_mode(0o777)).expect("changed");
    let plain = lab.dir().join("plain");
    fs::write(&plain, "#!/bin/sh\n").expect("written");
    let instance = V3.config("priority 150");
    for (text, expected, at_start) in [
        (format!("{instance}  track nowhere\n"), ":3:9: ", true),
        (format!("check c tcp 192.0.2.9 80 every 0\n{instance}"), ":1:32: ", true),
        (format!("check c script /no/such/script\n{instance}  track c\n"), ":1:16: ", false),
        (format!("check c script {}\n{instance}  track c\n", plain.display()), ":1:16: ", false),
        (format!("check c script {}\n{instance}  track c\n", unsafe_script.display()), ":1:16: ", false),
        (format!("check c tcp 192.0.2.9 80\n{instance}  track c weight 254\n"), ":4:18: ", true),
        (format!("{instance}  notify-master /no/such/hook\n"), ":3:17: ", false),
    ] {
        let file = lab.dir().join("bad.conf");
        fs::write(&file, &text).expect("written");
        // What cannot be run here keeps no daemon from starting.
        for command in ["check", "run"].into_iter().take(1 + usize::from(at_start)) {
            let mut run = std::process::Command::new(BINARY);
            run.arg("--run-dir").arg(lab.dir().join("bad-run")).arg(command).arg("-f").arg(&file);
            let done = run.output().expect("the binary runs");
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert_eq!(done.status.code(), Some(1), "{command}: {text}\n{said}");
            let line = said.lines().next().unwrap_or("");
            assert!(line.starts_with(&format!("{}{expected}", file.display())), "{command}: {text}\n{said}");
        }
    }
}

/// A reload kills the scripts that run and starts no more than are allowed, and nobody fails by it.
#[test]
fn a_reload_while_all_scripts_run_moves_nothing() {
    let (lab, a, _b, _client) = Lab::trio();
    let slow = script(&lab.dir().join("scripts"), "slow", "sleep 1");
    let quick = script(&lab.dir().join("scripts"), "quick", "exit 0");
    let config = |with: &Path, every: &str| {
        let mut text = String::from("max-children 32\n");
        let mut tracks = String::new();
        for n in 0..32 {
            text += &format!("check s{n} script \"{} {n}\" every {every} timeout 30s\n", with.display());
            tracks += &format!("  track s{n}\n");
        }
        format!("{text}{}{tracks}", V3.config("priority 150"))
    };
    let one = Picovrrp::start_until(&a, &config(&quick, "100ms"), "MASTER");
    let transitions = one.instance()["transitions"].clone();
    let children = || {
        let path = format!("/proc/{0}/task/{0}/children", one.process.pid());
        fs::read_to_string(path).unwrap_or_default().split_whitespace().count()
    };
    // Other scripts: what they say is new, so they run at once, and for long.
    one.write_config(&config(&slow, "30s"));
    for _ in 0..3 {
        assert!(one.command(&["reload"]).status.success());
        wait_until("they run", SOON, || children() >= 20);
        assert!(children() <= 32, "{} run", children());
    }
    wait_until("all have a result", SOON, || {
        let status = one.status();
        let checks = status.as_ref().and_then(|s| s["checks"].as_array());
        checks.is_some_and(|all| all.iter().all(|c| c["state"] == "up"))
    });
    assert_eq!((&one.instance()["transitions"], &one.instance()["state"]), (&transitions, &"MASTER".into()));
    assert!(!one.process.log().contains("cannot be started"), "{}", one.process.log());
}

#[test]
fn many_reloads_leave_no_descriptor_no_zombie_and_no_memory_behind() {
    let (lab, a, _b, _client) = Lab::trio();
    let look = script(&lab.dir().join("scripts"), "look", "sleep 0.01");
    let number = lab.dir().join("number");
    fs::write(&number, "1").expect("written");
    let mut text = format!("check f file {}\ncheck r route default\n", number.display());
    for n in 0..8 {
        text += &format!("check s{n} script \"{} {n}\" every 20ms\n", look.display());
    }
    text += &format!("{}  track f\n  track r weight 1\n", V3.config("priority 150"));
    let one = Picovrrp::start_until(&a, &text, "MASTER");
    let pid = one.process.pid();
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the daemon runs");
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("it has memory").to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let descriptors = || fs::read_dir(format!("/proc/{pid}/fd")).expect("the daemon runs").count();
    let reload = |times: u32| {
        for _ in 0..times {
            assert!(one.command(&["reload"]).status.success());
        }
    };
    reload(20);
    let before = memory();
    reload(200);
    assert!(memory() < before + 512, "{before} kB, then {} kB", memory());
    // Those of the scripts that run come and go.
    wait_until("few descriptors", SOON, || descriptors() < 40);
    one.write_config(&V3.config("priority 150"));
    reload(1);
    wait_until("no child is left, dead or alive", SOON, || {
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).is_ok_and(|c| c.trim().is_empty())
    });
}

#[test]
fn a_reload_does_not_cut_a_process_checks_delay_short() {
    let name = format!("pd{}", std::process::id());
    let t = Checked::start(
        |lab, _| {
            program("/bin/sleep", &lab.dir().join(&name));
            format!("process {name} every 100ms delay 3s")
        },
        "track it weight -60",
    );
    t.await_state("down", 90);
    let start = || std::process::Command::new(t.lab.dir().join(&name)).arg("8000").spawn().expect("it starts");
    let mut child = start();
    t.await_state("up", 150);
    child.kill().and_then(|()| child.wait()).expect("it ends");
    observe(ms(300));
    assert!(t.one.command(&["reload"]).status.success());
    observe(ms(700));
    assert_eq!(t.check().expect("a status")["state"], "up", "the service is being restarted");
    let mut child = start();
    observe(ms(3000));
    assert_eq!(t.check().expect("a status")["state"], "up");
    child.kill().and_then(|()| child.wait()).expect("it ends");
    t.await_state("down", 90);
}

#[test]
fn a_file_that_is_being_written_keeps_its_number() {
    let path = |lab: &Lab| lab.dir().join("number");
    let mut t = Checked::start(
        |lab, _| {
            fs::write(path(lab), "0\n").expect("written");
            format!("file {} every 300ms", path(lab).display())
        },
        "track it weight 0",
    );
    t.await_state("value", 150);
    t.one.wait_state("MASTER", SOON);
    let transitions = t.one.instance()["transitions"].clone();
    // Emptied first, written 200 ms later: looks fall between.
    for _ in 0..5 {
        let file = fs::File::create(path(&t.lab)).expect("emptied");
        observe(ms(200));
        std::io::Write::write_all(&mut &file, b"0\n").expect("written");
    }
    observe(ms(300));
    assert_eq!(t.one.instance()["transitions"], transitions, "{}", t.one.process.log());
    fs::write(path(&t.lab), "").expect("emptied for good");
    wait_until("a fault", SOON, || t.one.state().as_deref() == Some("FAULT"));
}

#[test]
fn noise_beside_a_watched_file_costs_next_to_nothing() {
    let dir = |lab: &Lab| lab.dir().join("busy");
    let t = Checked::start(
        |lab, _| {
            fs::create_dir_all(dir(lab)).expect("a directory");
            fs::write(dir(lab).join("number"), "3").expect("written");
            format!("file {} every 60s", dir(lab).join("number").display())
        },
        "track it",
    );
    t.await_state("value", 153);
    let (before, since) = (t.one.wake_ups(), Instant::now());
    while since.elapsed() < ms(1000) {
        fs::write(dir(&t.lab).join("other"), "x").expect("written");
    }
    let woken = t.one.wake_ups() - before;
    assert!(woken < 120, "{woken} times in a second");
    fs::write(dir(&t.lab).join("number"), "4").expect("written");
    t.await_state("value", 154);
}

/// A router without a hook is better than none: the daemon starts, says what is wrong, and fails closed.
#[test]
fn a_daemon_starts_with_commands_that_cannot_be_run() {
    let (_lab, a, _b, _client) = Lab::trio();
    let config = format!(
        "check c script /no/such/look every 100ms\n{}  track c weight -60\n  notify /no/such/hook\n",
        V3.config("priority 150")
    );
    let one = Picovrrp::start_until(&a, &config, "MASTER");
    assert_eq!(one.instance()["effective_priority"], 90);
    let log = one.process.log();
    assert!(log.contains(":1:16: warning: 'script': ") && log.contains("/no"), "{log}");
    // A reload with it is refused, for what runs is better.
    let refused = one.command(&["reload"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
}
