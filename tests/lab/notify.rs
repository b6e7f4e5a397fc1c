//! The other ways to be told: the FIFO, OpenWrt's hotplug calls, commands at the daemon's start and end.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::support::lab::{Lab, VIP4};
use crate::support::picovrrp::{BINARY, Picovrrp};
use crate::support::script::script;
use crate::support::two::V3;
use crate::support::{SOON, wait_until};

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn the_fifo_has_a_line_for_each_state_as_keepaliveds_has() {
    let (lab, a, _b, _client) = Lab::trio();
    let path = lab.dir().join("fifo");
    let config = format!("notify-fifo {}\n{}group office lan\n", path.display(), V3.config("priority 150"));
    let mut one = Picovrrp::start(&a, &config);
    wait_until("the FIFO is there", SOON, || path.exists());
    // Open for writing too, so that it does not end when the daemon does.
    let reader = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path);
    let mut reader = BufReader::new(reader.expect("the FIFO opens"));
    one.wait_state("MASTER", SOON);
    one.terminate();
    assert!(one.process.wait_exit(SOON).success());
    let mut said = Vec::new();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|n| n > 0) {
        said.push(std::mem::take(&mut line));
    }
    assert_eq!(
        said.concat(),
        "INSTANCE \"lan\" BACKUP 150\nGROUP \"office\" BACKUP 0\nINSTANCE \"lan\" MASTER 150\n\
         GROUP \"office\" MASTER 0\nINSTANCE \"lan\" STOP 150\nGROUP \"office\" STOP 0\n"
    );
    assert_eq!(fs::metadata(&path).expect("it stays").permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_startup_command_comes_before_all_and_the_shutdown_command_behind_all() {
    let (lab, a, _b, _client) = Lab::trio();
    let out = lab.dir().join("told");
    let dir = lab.dir().join("hooks");
    let note = script(
        &dir,
        "note",
        &format!("ip -br addr show dev eth0 | grep -c {VIP4}/ >> {0}; echo \"$@\" >> {0}", out.display()),
    );
    let gate = lab.dir().join("gate");
    let up =
        script(&dir, "up", &format!("while [ ! -e {} ]; do sleep 0.02; done; {} up", gate.display(), note.display()));
    let note = note.display();
    let config = format!(
        "startup {} timeout 20s\nshutdown \"{note} down\"\n{}  notify \"{note}\"\n",
        up.display(),
        V3.config("priority 255")
    );
    let mut one = Picovrrp::start(&a, &config);
    wait_until("the daemon answers", SOON, || one.status().is_some());
    assert_eq!((one.state().as_deref(), a.has(VIP4)), (Some("INIT"), false), "the command has not ended");
    // A reload does not get ahead of it.
    assert!(one.command(&["reload"]).status.success());
    assert_eq!((one.state().as_deref(), a.has(VIP4)), (Some("INIT"), false));
    fs::write(&gate, "").expect("written");
    one.wait_state("MASTER", SOON);
    wait_until("MASTER was told", SOON, || lines(&out).len() == 4);
    one.terminate();
    assert!(one.process.wait_exit(SOON).success());
    assert_eq!(lines(&out), ["0", "up", "1", "INSTANCE lan MASTER 255", "0", "INSTANCE lan STOP 255", "0", "down"]);
}

/// The calls that OpenWrt's keepalived package makes, with a stand-in for /sbin/hotplug-call that stands
/// in a mount namespace of the daemon's own.
#[test]
fn hotplug_is_called_as_openwrts_keepalived_calls_it() {
    let (lab, a, _b, _client) = Lab::trio();
    let (out, dir) = (lab.dir().join("told"), lab.dir().join("sbin"));
    script(&dir.join("upper"), "hotplug-call", &format!("echo \"$*|$ACTION|$TYPE|$NAME\" >> {}", out.display()));
    fs::create_dir_all(dir.join("work")).expect("a directory");
    let sbin = fs::canonicalize("/sbin").expect("there is /sbin");
    // A file system that can lie over another one: the lab's directory may be on one that cannot.
    let wrapper = script(
        &lab.dir().join("bin"),
        "picovrrp",
        &format!(
            "[ \"$3\" = run ] || exec {BINARY} \"$@\"\n\
             exec unshare -m sh -ec 'mount -t tmpfs none {d}; mkdir {d}/upper {d}/work; \
             cp {u}/hotplug-call {d}/upper; chmod 755 {d}/upper; \
             mount -t overlay -o lowerdir={s},upperdir={d}/upper,workdir={d}/work none {s}; exec {BINARY} \"$@\"' sh \"$@\"",
            d = dir.join("work").display(),
            u = dir.join("upper").display(),
            s = sbin.display()
        ),
    );
    let config = format!("hotplug keepalived\n{}group office lan\n", V3.config("priority 255"));
    let mut one = Picovrrp::start_binary(wrapper, &a, &config);
    one.wait_state("MASTER", SOON);
    wait_until("MASTER was told", SOON, || lines(&out).len() >= 4);
    one.terminate();
    assert!(one.process.wait_exit(SOON).success());
    assert_eq!(
        lines(&out),
        [
            "keepalived|startup||",
            "keepalived|NOTIFY_MASTER|INSTANCE|lan",
            "keepalived|NOTIFY_MASTER|GROUP|office",
            "keepalived GROUP office MASTER 0|NOTIFY||",
            "keepalived|NOTIFY_STOP|INSTANCE|lan",
            "keepalived GROUP office STOP 0|NOTIFY||",
            "keepalived|shutdown||",
        ],
        "{}",
        one.process.log()
    );
}

#[test]
fn a_stop_ends_the_startup_command_before_the_shutdown_command_runs() {
    let (lab, a, _b, _client) = Lab::trio();
    let (dir, out) = (lab.dir().join("hooks"), lab.dir().join("told"));
    let up = script(&dir, "up", &format!("echo $$ > {}; exec sleep 600", lab.dir().join("pid").display()));
    let down = script(
        &dir,
        "down",
        &format!(
            "kill -0 $(cat {}) 2>/dev/null && echo both >> {1}; echo down >> {1}",
            lab.dir().join("pid").display(),
            out.display()
        ),
    );
    let config =
        format!("startup {} timeout 5m\nshutdown {}\n{}", up.display(), down.display(), V3.config("priority 255"));
    let mut one = Picovrrp::start(&a, &config);
    wait_until("the startup command runs", SOON, || lab.dir().join("pid").exists());
    one.terminate();
    assert!(one.process.wait_exit(SOON).success());
    assert_eq!(lines(&out), ["down"]);
    assert!(!a.has(VIP4));
}

/// Input: 20 instances with a hook for the stop that takes three seconds. Output: all are told; a stop
/// with hooks that hang is over within 30 seconds all the same.
#[test]
fn a_stop_waits_for_many_hooks_and_not_for_ever() {
    let (lab, a, _b, _client) = Lab::trio();
    let (dir, out) = (lab.dir().join("hooks"), lab.dir().join("told"));
    let slow = script(&dir, "slow", &format!("sleep 3; echo x >> {}", out.display()));
    let mut config = String::new();
    for n in 1..=20 {
        config += &format!("instance i{n} on eth0 vrid {n} priority 255 address 10.9.1.{n}/32\n");
        config += &format!("  notify-stop {}\n", slow.display());
    }
    let mut one = Picovrrp::start(&a, &config);
    one.wait_state("MASTER", SOON);
    one.terminate();
    assert!(one.process.wait_exit(SOON).success());
    assert_eq!(lines(&out).len(), 20);

    let hang = script(&dir, "hang", "trap '' TERM; sleep 600; sleep 600");
    let config = format!("shutdown {0}\n{1}  notify-stop {0}\n", hang.display(), V3.config("priority 255"));
    let mut one = Picovrrp::start_until(&a, &config, "MASTER");
    let since = std::time::Instant::now();
    one.terminate();
    assert!(one.process.wait_exit(std::time::Duration::from_secs(40)).success());
    assert!(since.elapsed().as_secs_f64() < 30.0, "{:?}", since.elapsed());
}
