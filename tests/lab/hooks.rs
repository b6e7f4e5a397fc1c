//! Notify hooks on a real system: who is told what, in which order, and what a hook cannot harm.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use crate::support::lab::{Lab, VIP4};
use crate::support::picovrrp::Picovrrp;
use crate::support::script::{lines, script};
use crate::support::two::{Two, V3};
use crate::support::{SOON, ms, observe, wait_for, wait_until};

#[test]
fn each_state_is_told_in_order_with_keepaliveds_arguments() {
    let (lab, a, _b, _client) = Lab::trio();
    let out = lab.dir().join("told");
    let note = script(&lab.dir().join("hooks"), "note", &format!("echo \"$@\" >> {}", out.display()));
    let note = note.display();
    let config = format!(
        "{}  notify \"{note} any of\"\n  notify-master \"{note} master only\"\n  notify-backup \"{note} backup only\"\n  \
         notify-fault \"{note} fault only\"\n  notify-stop \"{note} stop only\"\n",
        V3.config("priority 150")
    );
    let mut one = Picovrrp::start_until(&a, &config, "MASTER");
    wait_until("the hooks of MASTER", SOON, || lines(&out).len() == 4);
    a.ns().ip("link set eth0 down");
    wait_until("the hooks of FAULT", SOON, || lines(&out).len() == 6);
    a.ns().ip("link set eth0 up");
    wait_until("the hooks of BACKUP and MASTER", SOON, || lines(&out).len() == 10);
    one.terminate();
    assert!(one.process.wait_exit(SOON).success(), "{}", one.process.log());
    assert_eq!(
        lines(&out),
        [
            "backup only",
            "any of INSTANCE lan BACKUP 150",
            "master only",
            "any of INSTANCE lan MASTER 150",
            "fault only",
            "any of INSTANCE lan FAULT 150",
            "backup only",
            "any of INSTANCE lan BACKUP 150",
            "master only",
            "any of INSTANCE lan MASTER 150",
            "stop only",
            "any of INSTANCE lan STOP 150",
        ]
    );
}

#[test]
fn the_address_is_there_when_the_master_hook_runs() {
    let (lab, a, _b, _client) = Lab::trio();
    let out = lab.dir().join("seen");
    let look = script(&lab.dir().join("hooks"), "look", &format!("ip -br addr show dev eth0 > {}", out.display()));
    let config = format!("{}  notify-master {}\n", V3.config("priority 255"), look.display());
    let _one = Picovrrp::start_until(&a, &config, "MASTER");
    wait_until("the hook ran", SOON, || !lines(&out).is_empty());
    assert!(lines(&out)[0].contains(&VIP4.to_string()), "{:?}", lines(&out));
}

#[test]
fn a_hook_that_hangs_delays_neither_adverts_nor_the_other_instance() {
    let (lab, a, _b, _client) = Lab::trio();
    let out = lab.dir().join("told");
    let dir = lab.dir().join("hooks");
    let hang = script(&dir, "hang", "exec sleep 600");
    let note = script(&dir, "note", &format!("echo \"$@\" >> {}", out.display()));
    let config = format!(
        "{}  notify {}\ninstance other on eth0 vrid 77 version 3 advert 20cs priority 255\n  address 192.0.2.77/24\n  notify {}\n",
        V3.config("priority 255"),
        hang.display(),
        note.display()
    );
    let one = Picovrrp::start_until(&a, &config, "MASTER");
    wait_until("the other instance is told", SOON, || lines(&out) == ["INSTANCE other MASTER 255"]);
    let start = Instant::now();
    observe(ms(3000));
    let adverts = lab.wire().count(start, |s| s.is_claim_of("a"));
    assert!((26..=34).contains(&adverts), "{adverts} adverts of two instances in 3 s at 200 ms");
    assert_eq!(one.threads(), 1);
}

#[test]
fn states_that_were_overtaken_while_a_hook_ran_are_left_out() {
    let (lab, a, _b, _client) = Lab::trio();
    let (out, gate) = (lab.dir().join("told"), lab.dir().join("gate"));
    let body = format!("while [ ! -e {} ]; do sleep 0.05; done; echo \"$3\" >> {}", gate.display(), out.display());
    let slow = script(&lab.dir().join("hooks"), "slow", &body);
    let config = format!("{}  notify {}\n", V3.config("priority 255"), slow.display());
    let mut one = Picovrrp::start_until(&a, &config, "MASTER");
    for _ in 0..3 {
        a.ns().ip("link set eth0 down");
        one.wait_state("FAULT", SOON);
        a.ns().ip("link set eth0 up");
        one.wait_state("MASTER", SOON);
    }
    a.ns().ip("link set eth0 down");
    one.wait_state("FAULT", SOON);
    fs::write(&gate, "").expect("the gate opens");
    wait_until("the newest state is told", SOON, || lines(&out).last().is_some_and(|l| l == "FAULT"));
    assert_eq!(lines(&out), ["MASTER", "FAULT"]);
}

#[test]
fn a_daemon_that_a_hook_starts_outlives_it_and_us() {
    let (lab, a, _b, _client) = Lab::trio();
    let pid_file = lab.dir().join("pid");
    // A name of its own, so that it is found however it was started.
    let body = format!("setsid sleep 4321 >/dev/null 2>&1 & echo $! > {}", pid_file.display());
    let begin = script(&lab.dir().join("hooks"), "begin", &body);
    let config = format!("{}  notify-master {}\n", V3.config("priority 255"), begin.display());
    let mut one = Picovrrp::start_until(&a, &config, "MASTER");
    let pid = wait_for("the daemon's pid", SOON, || lines(&pid_file).first()?.parse::<u32>().ok());
    one.terminate();
    assert!(one.process.wait_exit(SOON).success());
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).expect("it lives");
    assert_eq!(cmdline, b"sleep\x004321\x00");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    assert!(status.contains("SigBlk:\t0000000000000000"), "{status}");
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").count();
    assert_eq!(open, 3, "none of ours");
    let ended = std::process::Command::new("kill").arg(pid.to_string()).status().expect("kill");
    assert!(ended.success());
}

#[test]
fn an_unsafe_hook_is_refused_by_name_and_reason() {
    let (lab, a, _b, _client) = Lab::trio();
    let out = lab.dir().join("told");
    let note = script(&lab.dir().join("hooks"), "note", &format!("echo \"$@\" >> {}", out.display()));
    fs::set_permissions(&note, fs::Permissions::from_mode(0o777)).expect("anybody may change it");
    let config = format!("{}  notify {}\n", V3.config("priority 255"), note.display());
    let one = Picovrrp::start_until(&a, &config, "MASTER");
    wait_until("it is refused", SOON, || one.process.log().contains("can be written by everybody"));
    assert!(one.process.log().contains(&note.display().to_string()), "{}", one.process.log());
    assert!(lines(&out).is_empty());
    drop(one);
    let config = format!("script-security off\n{config}");
    let _one = Picovrrp::start_until(&a, &config, "MASTER");
    wait_until("it runs where that is allowed", SOON, || !lines(&out).is_empty());
}

#[test]
fn hooks_run_as_the_script_user_with_a_clean_environment() {
    let (lab, a, _b, _client) = Lab::trio();
    let dir = lab.dir().join("hooks");
    let out = lab.dir().join("out");
    fs::create_dir_all(&out).expect("a directory");
    fs::set_permissions(&out, fs::Permissions::from_mode(0o777)).expect("anybody may write there");
    let who = script(&dir, "who", &format!("id -un > {0}/user; env > {0}/env; pwd > {0}/pwd", out.display()));
    let config = format!("script-user nobody:nogroup\n{}  notify {}\n", V3.config("priority 255"), who.display());
    let _one = Picovrrp::start_until(&a, &config, "MASTER");
    wait_until("the hook ran", SOON, || !lines(&out.join("pwd")).is_empty());
    assert_eq!(lines(&out.join("user")), ["nobody"]);
    assert_eq!(lines(&out.join("pwd")), ["/"]);
    let names: Vec<_> = lines(&out.join("env")).iter().filter_map(|l| Some(l.split_once('=')?.0.to_owned())).collect();
    // PWD and the like are the shell's own.
    assert!(names.iter().all(|n| ["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(&n.as_str())), "{names:?}");
}

#[test]
fn a_hook_can_follow_the_address_to_the_other_router() {
    let mut t = Two::start(V3, "", "");
    let out = t.lab.dir().join("told");
    let note = script(&t.lab.dir().join("hooks"), "note", &format!("echo \"$3 $4\" >> {}", out.display()));
    t.two.write_config(&format!("{}  notify {}\n", V3.config("priority 100"), note.display()));
    assert!(t.two.command(&["reload"]).status.success());
    t.one.terminate();
    t.two.wait_state("MASTER", SOON);
    wait_until("b's hook is told, after a reload that brought it", SOON, || lines(&out) == ["MASTER 100"]);
}

#[test]
fn check_says_what_is_wrong_with_a_hook() {
    let lab = Lab::new();
    let note = script(&lab.dir().join("hooks"), "note", "exit 0");
    let file = lab.dir().join("check.conf");
    let check = |command: &str, more: &[&str]| {
        fs::write(&file, format!("{}  notify {command}\n", V3.config("priority 100"))).expect("a configuration");
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_picovrrp"))
            .args(["check", "-f"])
            .arg(&file)
            .args(more)
            .output()
            .expect("it runs");
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    assert_eq!(check(&note.display().to_string(), &[]), (Some(0), String::new()));
    let (code, said) = check("/no/such/hook", &[]);
    assert!(code == Some(1) && said.contains(".conf:") && said.contains(": 'notify': /no"), "{said}");
    assert_eq!(check("/no/such/hook", &["--offline"]).0, Some(0));
    fs::set_permissions(&note, fs::Permissions::from_mode(0o644)).expect("not executable");
    let (code, said) = check(&note.display().to_string(), &[]);
    assert!(code == Some(1) && said.contains("execut"), "{said}");
}
