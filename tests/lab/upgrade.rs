//! Another program in the same process: nobody notices.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::picovrrp::BINARY;
use crate::support::script::{lines, program, script};
use crate::support::{Flavour, Lab, Picovrrp, Pinger, SOON, Two, V3, VIP4, ms, observe, wait_until};

/// As fast as an upgrade must be able to follow.
pub(super) const FAST: Flavour = Flavour { properties: "version 3 advert 10cs", interval: ms(100), ..V3 };

fn exe(daemon: &Picovrrp) -> PathBuf {
    fs::read_link(format!("/proc/{}/exe", daemon.process.pid())).expect("the daemon runs")
}

/// A copy of the program that only root can change.
fn copy(dir: &Path, name: &str) -> PathBuf {
    fs::create_dir_all(dir).expect("a directory");
    let path = dir.join(name);
    program(BINARY, &path);
    path
}

/// The longest time between two adverts of a since `start`.
#[track_caller]
fn longest_gap(t: &Two, start: Instant) -> Duration {
    let adverts: Vec<Instant> = t.lab.wire().since(start).iter().filter(|s| s.is_claim_of("a")).map(|s| s.at).collect();
    assert!(adverts.len() > 5);
    adverts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

#[test]
fn no_advert_is_late_and_nothing_changes_but_the_program() {
    let mut t = Two::start(FAST, "garp delay 0s", "");
    t.lab.wire().wait_many("announcements", 5, Instant::now() - SOON, SOON, |s| s.is_announcement_of("a", VIP4));
    observe(ms(300));
    let monitor = t.a.monitor();
    let pinger = Pinger::start(t.client.ns(), VIP4);
    pinger.wait_answer(Instant::now(), SOON);
    let dir = t.lab.dir().join("bin");
    let (told, start, before) = (monitor.log().len(), Instant::now(), t.one.instance());
    let pid = fs::read_to_string(t.a.dir().join("run/picovrrp.pid")).expect("the pid file");
    let mut gaps = Vec::new();
    for n in 0..6 {
        let next = copy(&dir, &format!("picovrrp-{n}"));
        let upgraded = Instant::now();
        let done = t.one.command(&["upgrade", &next.to_string_lossy()]);
        assert!(done.status.success(), "{}{}", String::from_utf8_lossy(&done.stderr), t.one.process.log());
        assert_eq!(exe(&t.one), next);
        let adverts = |s: &crate::support::Sighting| s.is_claim_of("a");
        t.lab.wire().wait_many("adverts of a", 8, Instant::now(), SOON, adverts);
        gaps.push(longest_gap(&t, upgraded));
    }
    println!("longest time between two adverts, each 100 ms after the other, over six upgrades: {gaps:?}");
    // The machine may be busy for a moment; what is late each time is late.
    gaps.sort();
    assert!(gaps[3] <= ms(120), "{gaps:?}");
    assert!(t.one.process.running(), "a supervisor sees no end");
    assert_eq!(fs::read_to_string(t.a.dir().join("run/picovrrp.pid")).expect("the pid file"), pid);
    let (after, silence) = (t.one.instance(), pinger.stop().longest_silence(start));
    assert!(silence < ms(100), "the client was without an answer for {silence:?}");
    for key in ["state", "transitions", "name", "last_event"] {
        assert_eq!(after[key], before[key]);
    }
    let sent = |i: &serde_json::Value| i["stats"]["advertisement_sent"].as_u64().expect("a counter");
    assert!(sent(&after) > sent(&before) + 40, "counters go on");
    assert!(after["since_s"].as_f64() > before["since_s"].as_f64());
    assert_eq!(&monitor.log()[told..], "", "addresses, links and routes stay as they are");
    let odd =
        |s: &crate::support::Sighting| s.is_farewell_of("a") || s.is_announcement_of("a", VIP4) || s.is_claim_of("b");
    assert_eq!(t.lab.wire().count(start, odd), 0);
    // All else works as before: a command, a reload, the end.
    assert!(t.one.command(&["reload"]).status.success());
    assert_eq!(t.one.threads(), 1);
    let mut second = Picovrrp::start(&t.a, &FAST.config("priority 150 garp delay 0s"));
    assert_eq!(second.process.wait_exit(SOON).code(), Some(3), "the lock is still ours");
    t.one.terminate();
    assert!(t.one.process.wait_exit(SOON).success());
    assert!(!t.a.has(VIP4));
    t.two.wait_state("MASTER", SOON);
    t.one = Picovrrp::start_until(&t.a, &FAST.config("priority 150"), "MASTER");
}

#[test]
fn thirty_two_instances_at_a_tenth_of_a_second_are_in_time_too() {
    let (lab, a, _b, _client) = Lab::trio();
    let mut text = String::from("defaults version 3 advert 10cs priority 150 garp delay 0s\n");
    for n in 1..=32 {
        text += &format!("instance i{n} on eth0 vrid {n}\n  address 192.0.2.{}/24\n", 200 + n);
    }
    let mut one = Picovrrp::start(&a, &text);
    one.wait_state("MASTER", SOON);
    let claims = |start| {
        let mut all = lab.wire().since(start);
        all.retain(|s| s.is_claim_of("a"));
        all
    };
    let mut gaps = Vec::new();
    for _ in 0..4 {
        let start = Instant::now();
        assert!(one.command(&["upgrade"]).status.success(), "{}", one.process.log());
        lab.wire().wait_many("adverts of a", 8 * 32, Instant::now(), SOON, |s| s.is_claim_of("a"));
        let longest = (1..=32).map(|vrid| {
            let of: Vec<Instant> =
                claims(start).iter().filter(|s| s.advert().is_some_and(|x| x.vrid == vrid)).map(|s| s.at).collect();
            assert!(of.len() > 5, "vrid {vrid}");
            of.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
        });
        gaps.push(longest.max().unwrap_or_default());
    }
    println!("longest time between two adverts of one of 32 instances, over four upgrades: {gaps:?}");
    // The machine may be busy for a moment; what is late each time is late.
    gaps.sort();
    assert!(gaps[1] <= ms(120), "{gaps:?}");
    assert!(claims(Instant::now() - ms(300)).iter().all(|s| s.advert().is_some_and(|x| x.priority == 150)));
}

#[test]
fn a_replaced_file_is_found_by_the_path_of_the_old_one_by_a_backup_too() {
    let (lab, a, b, _client) = Lab::trio();
    let path = copy(&lab.dir().join("bin"), "picovrrp");
    let mut one = Picovrrp::start_binary(path.clone(), &a, &V3.config("priority 150"));
    one.wait_state("MASTER", SOON);
    let mut two = Picovrrp::start_binary(path.clone(), &b, &V3.config("priority 100"));
    two.wait_state("BACKUP", SOON);
    let old = fs::metadata(&path).map(|m| std::os::unix::fs::MetadataExt::ino(&m)).expect("it is there");
    let new = copy(&lab.dir().join("bin"), "new");
    fs::rename(&new, &path).expect("as a package does");
    for daemon in [&mut one, &mut two] {
        assert!(daemon.command(&["upgrade"]).status.success());
        assert_eq!(exe(daemon), path);
        let now = fs::metadata(format!("/proc/{}/exe", daemon.process.pid()));
        assert_ne!(now.map(|m| std::os::unix::fs::MetadataExt::ino(&m)).expect("it runs"), old);
    }
    // The Backup hears what it heard before, on the socket that it had.
    let start = Instant::now();
    lab.wire().wait_many("adverts of a", 10, start, SOON, |s| s.is_claim_of("a"));
    two.wait_state("BACKUP", SOON);
    assert_eq!(lab.wire().count(start, |s| s.is_claim_of("b")), 0);
    a.vanish();
    two.wait_state("MASTER", SOON);
}

#[test]
fn what_cannot_go_on_is_refused_and_the_old_program_stays() {
    let mut t = Two::start(V3, "", "");
    let dir = t.lab.dir().join("bin");
    let open = copy(&dir, "open");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("our own file");
    let fails = script(&dir, "fails", "echo wrong >&2; exit 1");
    let talks = script(&dir, "talks", "echo the state is understood >&2");
    let start = Instant::now();
    for (binary, why) in [
        ("/bin/true", "no picovrrp"),
        ("/nosuch", ""),
        ("/etc/passwd", ""),
        (open.to_str().expect("UTF-8"), "can be written by everybody"),
        (fails.to_str().expect("UTF-8"), "wrong"),
        (talks.to_str().expect("UTF-8"), "refuses"),
    ] {
        let refused = t.one.command(&["upgrade", binary]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(3), "{binary}: {said}");
        assert!(said.contains(why), "{binary}: {said}");
    }
    t.one.write_config("nonsense\n");
    assert_eq!(t.one.command(&["upgrade"]).status.code(), Some(3), "nor with a file that is wrong");
    assert_eq!(exe(&t.one), fs::canonicalize(BINARY).expect("it is there"));
    t.one.wait_state("MASTER", SOON);
    assert_eq!(t.lab.wire().count(start, |s| s.is_claim_of("b") || s.is_farewell_of("a")), 0);
    t.lab.wire().wait_many("adverts of a", 6, start, SOON, |s| s.is_claim_of("a"));
    assert!(longest_gap(&t, start) < V3.interval * 2);
}

#[test]
fn a_new_program_that_fails_gives_way_to_the_old_one() {
    let slow = Flavour { properties: "version 3 advert 1s", interval: ms(1000), ..V3 };
    let mut t = Two::start(slow, "", "");
    let dir = t.lab.dir().join("bin");
    let file = t.a.dir().join("picovrrp.conf");
    // It says that it can go on, and cannot read the file then; the next can.
    let new = script(
        &dir,
        "new",
        &format!(
            "[ -n \"$PICOVRRP_PROBE\" ] && exec {BINARY} \"$@\"\nf={0}\ncp $f $f.good\nrm $f\nmkfifo $f\n\
             (echo nonsense > $f; sleep 0.3; cat $f.good > $f; rm $f; mv $f.good $f) < /dev/null > /dev/null 2>&1 &\n\
             exec {BINARY} \"$@\"",
            file.display()
        ),
    );
    let open = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    let (start, before, kept) = (Instant::now(), t.one.instance(), open(t.one.process.pid()));
    let done = t.one.command(&["upgrade", &new.to_string_lossy()]);
    let (said, log) = (String::from_utf8_lossy(&done.stderr).into_owned(), t.one.process.log());
    assert_eq!((done.status.code(), said.contains("the old one does")), (Some(3), true), "{said}{log}");
    assert!(log.contains("cannot go on after an upgrade") && !log.contains("starts afresh"), "{log}");
    assert!(log.contains("not upgraded: goes on as picovrrp"), "{log}");
    assert!(t.one.process.running());
    assert_eq!(exe(&t.one), fs::canonicalize(BINARY).expect("it is there"));
    assert_eq!(fs::read_to_string(format!("/proc/{}/comm", t.one.process.pid())).expect("it runs"), "picovrrp\n");
    t.lab.wire().wait_many("adverts of a", 4, start, SOON, |s| s.is_claim_of("a"));
    let after = t.one.instance();
    assert_eq!((&after["state"], &after["transitions"]), (&"MASTER".into(), &before["transitions"]));
    assert_eq!(t.lab.wire().count(start, |s| s.is_claim_of("b") || s.is_farewell_of("a")), 0);
    t.two.wait_state("BACKUP", SOON);
    wait_until("it keeps nothing of the other program open", SOON, || open(t.one.process.pid()) == kept);
}

#[test]
fn when_both_fail_it_starts_afresh_with_the_address_on() {
    for cut in [0, 1, 40, 80] {
        let mut t = Two::start(V3, "", "");
        let monitor = t.a.monitor();
        let dir = t.lab.dir().join("bin");
        let new = script(
            &dir,
            "new",
            &format!(
                "[ -n \"$PICOVRRP_PROBE\" ] && exec {BINARY} \"$@\"\nm=${{PICOVRRP_STATE%,*}}\no=${{PICOVRRP_STATE#*,}}\n\
                 head -c {cut} /proc/self/fd/$m > {0}\nexec 9< {0}\nPICOVRRP_STATE=9,$o exec {BINARY} \"$@\"",
                dir.join("cut").display()
            ),
        );
        let pid = t.one.process.pid();
        t.one.command(&["upgrade", &new.to_string_lossy()]);
        wait_until("it starts afresh", SOON, || t.one.process.log_lines("starts afresh") == 1);
        t.one.wait_state("MASTER", SOON);
        assert_eq!((t.one.process.pid(), t.one.process.running()), (pid, true));
        assert_eq!(t.sole_active(), "a");
        let off = monitor.log().lines().any(|l| l.starts_with("Deleted") && l.contains("192.0.2.254"));
        // It may have been outvoted for a moment; whoever was Active had it then.
        assert!(!off || t.lab.wire().count(Instant::now() - SOON, |s| s.is_claim_of("b")) > 0, "{}", monitor.log());
    }
}

#[test]
fn hooks_end_first_and_checks_and_yields_go_on() {
    let (lab, a, _b, _client) = Lab::trio();
    let (told, ran) = (lab.dir().join("told"), lab.dir().join("ran"));
    let dir = lab.dir().join("hooks");
    let note = script(&dir, "note", &format!("sleep 1; echo \"$@\" >> {}", told.display()));
    let look = script(&dir, "look", &format!("echo x >> {}; sleep 0.4", ran.display()));
    let config = format!(
        "check ok script {} every 500ms timeout 5s\n{}  notify {}\n  track ok\n\
         instance other on eth0 vrid 77 version 3 advert 20cs\n  address 192.0.2.77/24\n",
        look.display(),
        V3.config("priority 150"),
        note.display()
    );
    let mut one = Picovrrp::start(&a, &config);
    one.wait_state("MASTER", SOON);
    assert!(one.command(&["yield", "other"]).status.success());
    let done = one.command(&["upgrade"]);
    assert!(done.status.success(), "{}{}", String::from_utf8_lossy(&done.stderr), one.process.log());
    let all = ["INSTANCE lan BACKUP 150", "INSTANCE lan MASTER 150"];
    assert!(lines(&told).ends_with(&all[1..].iter().map(|s| s.to_string()).collect::<Vec<_>>()), "{:?}", lines(&told));
    let status = one.status().expect("it answers");
    assert_eq!(status["instances"][1]["yielded"], true);
    assert_eq!((&status["checks"][0]["state"], &status["instances"][0]["state"]), (&"up".into(), &"MASTER".into()));
    let runs = lines(&ran).len();
    wait_until("the check goes on", SOON, || lines(&ran).len() > runs + 2);
    assert_eq!(one.status().expect("it answers")["checks"][0]["fails"], 0);
    // Nobody is left unreaped.
    wait_until("no zombie", SOON, || {
        let children =
            fs::read_to_string(format!("/proc/{0}/task/{0}/children", one.process.pid())).unwrap_or_default();
        children
            .split_whitespace()
            .all(|pid| !fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default().contains(") Z "))
    });
    observe(ms(100));
    assert_eq!(lines(&told).iter().filter(|l| l.contains("lan")).count(), lines(&told).len());
}
