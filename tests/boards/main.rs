//! The configurations in board-configs: each is right, A and B of a board are a pair, and they name nothing
//! that the board has not. A board is judged by [`judge::complaints`]; the last test spoils boards and
//! wants to hear of it.

mod judge;
mod network;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use judge::complaints;

/// A line of the table in board-configs/README.md.
#[derive(Clone)]
struct Row {
    title: String,
    dir: String,
    package: String,
    target: String,
    lan: String,
    wan: String,
}

fn boards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("board-configs")
}

fn rows() -> Vec<Row> {
    let readme = fs::read_to_string(boards().join("README.md")).expect("a README");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(|c| c.trim().trim_matches('`')).collect();
        let [_, name, package, target, _, lan, wan, shows, _] = cells[..] else { panic!("{line}") };
        assert!(!shows.is_empty(), "{line}");
        let (title, dir) = name[1..].trim_end_matches(')').split_once("](").expect("a link");
        let [title, dir, package, target, lan, wan] = [title, dir, package, target, lan, wan].map(str::to_owned);
        Row { title, dir, package, target, lan, wan }
    };
    readme.lines().filter(|l| l.starts_with("| [")).map(row).collect()
}

fn picovrrp(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_picovrrp")).args(arguments).output().expect("the binary runs")
}

/// A directory that is removed with its content.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("picovrrp-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory");
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is in the way of nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_table_names_the_directories() {
    let there: BTreeSet<String> = fs::read_dir(boards())
        .expect("board-configs")
        .map(|e| e.expect("an entry"))
        .filter(|e| e.path().is_dir())
        .map(|e| e.file_name().into_string().expect("text"))
        .collect();
    let rows = rows();
    assert_eq!(rows.iter().map(|r| r.dir.clone()).collect::<BTreeSet<_>>(), there);
    assert!(there.len() >= 10 && rows.len() == there.len(), "{} boards", there.len());
}

#[test]
fn every_board_is_as_it_should_be() {
    let found: Vec<String> = rows().iter().flat_map(|row| complaints(&boards().join(&row.dir), row)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What an owner may look for is shown by one board or another.
#[test]
fn every_feature_is_shown() {
    let text: String = rows()
        .iter()
        .map(|r| fs::read_to_string(boards().join(&r.dir).join("a.conf")).expect("a configuration"))
        .collect();
    let lines: BTreeSet<&str> = text.lines().map(str::trim).filter(|l| !l.starts_with('#')).collect();
    for wanted in [
        "unicast ",
        "peer ",
        "preempt after ",
        "hotplug ",
        "auth pass ",
        "route default via ",
        " dev br-lan.",
        " on br-guest ",
        " from usb0 ",
        " dns ",
        " tcp ",
        " ping ",
        " route default every ",
    ] {
        assert!(lines.iter().any(|l| l.contains(wanted)), "no board shows '{wanted}'");
    }
}

/// The hook starts and stops what it is for, and nothing else, by every shell that is there.
#[test]
fn the_hook_follows_the_group() {
    let hook = boards().join("gl-b1300/hotplug-vpn");
    let dir = Scratch::new("hook");
    let (log, vpn) = (dir.0.join("log"), dir.0.join("vpn"));
    fs::write(&vpn, format!("#!/bin/sh\necho \"$1\" >>'{}'\n", log.display())).expect("written");
    assert!(Command::new("chmod").arg("755").arg(&vpn).status().expect("chmod").success());
    for shell in [&["sh"][..], &["busybox", "ash"]] {
        if Command::new(shell[0]).args(&shell[1..]).args(["-c", ":"]).output().is_err() {
            assert_ne!(shell, ["sh"], "there is no sh");
            continue;
        }
        for (kind, name, action, expected) in [
            ("GROUP", "gateway", "NOTIFY_MASTER", "start\n"),
            ("GROUP", "gateway", "NOTIFY_BACKUP", "stop\n"),
            ("GROUP", "gateway", "NOTIFY_FAULT", "stop\n"),
            ("INSTANCE", "lan", "NOTIFY_MASTER", ""),
            ("INSTANCE", "gateway", "NOTIFY_STOP", ""),
            ("GROUP", "other", "NOTIFY_MASTER", ""),
            ("", "", "startup", ""),
            ("", "", "shutdown", "stop\n"),
        ] {
            fs::write(&log, "").expect("written");
            // Sourced, as hotplug-call does it, and what follows must go on.
            let run = Command::new(shell[0])
                .args(&shell[1..])
                .args(["-euc", ". \"$0\"; echo on", hook.to_str().expect("text")])
                .env("VPN", &vpn)
                .envs([("ACTION", action), ("TYPE", kind), ("NAME", name)])
                .output()
                .expect("a shell");
            assert_eq!(String::from_utf8_lossy(&run.stdout), "on\n", "{shell:?} {kind} {name} {action}: {run:?}");
            assert_eq!(fs::read_to_string(&log).expect("a log"), expected, "{shell:?} {kind} {name} {action}");
        }
    }
}

/// Boards that are wrong in one thing each: the file, what is replaced in it by what, and the complaint.
static SPOILT: &[(&str, &str, &str, &str, &str)] = &[
    ("gl-ar150", "a.conf", "vrid 51", "vrid 52", "a.conf and a.uci differ"),
    ("gl-ar150", "a.conf", "every 10s timeout 3s", "every 10s timeout 3x", "a.conf: check fails"),
    ("gl-ar150", "b.conf", "address fe80::1/64", "", "b.conf: check says"),
    ("gl-ar150", "*.conf *.uci", "br-lan", "br-lam", "br-lam is no interface of this board"),
    ("gl-ar150", "*.conf *.uci", "eth1", "eth2", "eth2 is no interface of this board"),
    ("gl-ar150", "network", "list ports 'eth0'", "list ports 'eth7'", "br-lan has the ports eth7"),
    ("gl-ar150", "network", "option device 'eth1'", "option device 'eth7'", "its WAN is eth7"),
    ("gl-ar150", "network", "192.168.1.2", "192.168.2.2", "no address of its own beside 192.168.1.1"),
    ("gl-ar150", "network", "192.168.1.2", "192.168.1.1", "192.168.1.1 is its own and shared"),
    ("gl-ar150", "*.conf *.uci", "-60", "0", "may be in FAULT"),
    ("gl-ar150", "*.conf *.uci", "-60", "-40", "its loss decides nothing"),
    ("gl-ar150", "*.conf *.uci", "-60", "-50", "both have the priority 100"),
    ("gl-ar150", "*.conf *.uci", "100", "150", "both have the priority 150"),
    ("gl-ar150", "*.conf", "track-interface eth1 weight -60", "", "a.conf and a.uci differ"),
    ("gl-ar150", "a.conf a.uci", "10s|'10'", "20s|'20'", "a.conf and b.conf differ: check uplink"),
    ("gl-ar150", "*.conf *.uci", "10s|'10'", "1s|'1'", "is looked at every"),
    ("gl-ar150", "*.conf", "initial down", "", "a.conf and a.uci differ"),
    (
        "gl-ar150",
        "b.conf b.uci",
        "2001:db8:1::1",
        "2001:db8:2::1",
        "a.conf and b.conf differ: address 2001:db8:1::1/64",
    ),
    ("gl-ar150", "*.conf *.uci", "eth1", "br-lan", "no uplink is tracked"),
    ("gl-ar150", "*.conf", "gateway lan lan6", "gateway lan", "a.conf: check says"),
    ("gl-ar150", "b.uci", "router B of", "router A of", "b.uci does not begin with"),
    ("gl-ar150", "a.uci", "Package: mips_24kc", "Package: mips_24k", "a.uci does not say 'Package: mips_24kc.'"),
    ("gl-ar150", "a.uci", "Change:", "Change", "a.uci does not say 'Change:'"),
    ("gl-ar150", "b.conf b.uci", "branch-b", "branch-a", "both have the same router-id"),
    ("gl-ar150", "*.conf *.uci", "150|100|777", "777|150|100", "B leads in the first group"),
    ("gl-ar150", "b.conf b.uci", "-60", "-30", "the other way round"),
    ("gl-ar150", "*.conf", "weights off", "", "with 'weights off'"),
    ("gl-ar150", "*.conf *.uci", " initial down|option initial 'down'", "|", "or up at first"),
    ("tl-wdr4300-v1", "b.conf b.uci", "branch12", "branch13", "a.conf and b.conf differ: auth pass branch12"),
    ("archer-c7-v2", "network", "option vlan '3'", "option vlan '4'", "eth1.3: there is no VLAN 3"),
    ("archer-c7-v2", "*.conf", "lan lan6 guest guest6", "lan lan6 guest", "a.conf and a.uci differ"),
    ("archer-c7-v2", "*.conf *.uci", "guest guest6 weights|list group 'guest6'", "guest weights|", "3 of 4 instances"),
    ("edgerouter-x", "network", "option vlan '20'", "option vlan '21'", "br-lan.20: there is no VLAN 20"),
    ("edgerouter-x", "*.conf *.uci", "br-lan.20", "br-lan.9", "br-lan.9 is no interface of this board"),
    ("mi-router-4a-gigabit", "network", "pppoe", "pptp", "a.conf and a.uci differ"),
    ("mi-router-4a-gigabit", "a.uci", "option value 'wan'", "option value 'eth0'", "a.conf and a.uci differ"),
    ("ea4500", "b.conf b.uci", "192.168.1.2", "192.168.1.9", "A is no peer of B's"),
    ("ea4500", "network", "fe80::2", "fe80::4", "fe80::2 is no address of its own"),
    ("gl-mt6000", "*.conf *.uci", "dev eth1|device 'eth1'", "dev eth9|device 'eth9'", "eth9 is no interface"),
];

#[test]
fn a_spoilt_board_is_told() {
    let rows = rows();
    let scratch = Scratch::new("boards");
    for (n, (board, files, from, to, expected)) in SPOILT.iter().enumerate() {
        let dir = scratch.0.join(n.to_string());
        fs::create_dir(&dir).expect("a directory");
        let mut changed = 0;
        for entry in fs::read_dir(boards().join(board)).expect("a board") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("text");
            let mut text = fs::read_to_string(entry.path()).expect("text");
            if files.split(' ').any(|f| f == name || f.strip_prefix('*').is_some_and(|end| name.ends_with(end))) {
                let before = text.clone();
                for (from, to) in from.split('|').zip(to.split('|')) {
                    text = text.replace(from, to);
                }
                changed += usize::from(text != before);
            }
            fs::write(dir.join(name), text).expect("written");
        }
        let row = rows.iter().find(|r| r.dir == *board).expect("a row");
        let found = complaints(&dir, row);
        let wanted = if files.contains('*') { 2 } else { 1 };
        assert!(changed >= wanted, "{board} {files}: '{from}' is not there");
        assert!(found.iter().any(|c| c.contains(expected)), "{board} {files} '{from}' '{to}': {found:#?}");
    }
    // The table against the board.
    let sound = rows.iter().find(|r| r.dir == "gl-ar150").expect("a row");
    type Spoil = fn(&mut Row);
    let spoil: [(Spoil, &str); 5] = [
        (|r| r.lan = "eth1".into(), "br-lan has the ports eth0"),
        (|r| r.wan = "eth0".into(), "its WAN is eth1"),
        (|r| r.package = "mips_24k".into(), "no file of targets/ makes"),
        (|r| r.target = "ramips/mt7621".into(), "does not begin with"),
        (|r| r.title = "GL-AR151".into(), "does not begin with"),
    ];
    for (change, expected) in spoil {
        let mut row = sound.clone();
        change(&mut row);
        let found = complaints(&boards().join("gl-ar150"), &row);
        assert!(found.iter().any(|c| c.contains(expected)), "{expected}: {found:#?}");
    }
}

/// What `run`, `check` and `import` say of a file that is not to be used.
#[test]
fn uci_that_is_switched_off_or_points_elsewhere() {
    let dir = std::env::temp_dir().join(format!("picovrrp-uci-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    let other = dir.join("keepalived.conf");
    let uci = dir.join("keepalived");
    let run = |arguments: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_picovrrp"))
            .args(arguments)
            .args(["--network", "/dev/null"])
            .output()
            .expect("the binary runs");
        (
            out.status.code(),
            String::from_utf8_lossy(&out.stdout).into_owned(),
            String::from_utf8_lossy(&out.stderr).into_owned(),
        )
    };
    let file = uci.to_str().expect("text");
    fs::write(&uci, "config globals 'globals'\n\toption enabled '0'\nnonsense\n").expect("written");
    for arguments in [&["check", "--uci", file][..], &["run", "--uci", file], &["import", "uci", file]] {
        let (code, _, said) = run(arguments);
        assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(":2:17: switched off: 'enabled' is off here"), "{said}");
    }
    let text = format!("config globals 'globals'\n\toption alt_config_file '{}'\n", other.display());
    fs::write(&uci, text).expect("written");
    let (code, _, said) = run(&["check", "--uci", file]);
    assert!(
        code == Some(1) && said.contains("no instance") && said.contains("'alt_config_file' is not there"),
        "{said}"
    );
    fs::write(
        &other,
        "vrrp_instance x {\n interface eth0\n virtual_router_id 9\n virtual_ipaddress { 10.0.0.1/8 }\n}\n",
    )
    .expect("written");
    let (code, printed, said) = run(&["import", "uci", file]);
    assert!(code == Some(0) && printed.contains("instance x on eth0 vrid 9"), "{code:?} {printed} {said}");
    fs::remove_dir_all(&dir).expect("removed");
}
