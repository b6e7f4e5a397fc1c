//! Another process in the place of the daemon: nobody on the wire notices, and whatever goes wrong, one of the
//! two is the daemon.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use picovrrp::control::{self, MAX_FRAME, Reply, Request};
use picovrrp::daemon::STATE_VERSION;
use picovrrp::sys::handover;

use crate::support::picovrrp::{BINARY, lan, lan6};
use crate::support::process::{Process, Signal};
use crate::support::script::{lines, script};
use crate::support::{
    Flavour, Lab, Node, Picovrrp, Pinger, SOON, Sighting, Two, V3, V3_IPV6, VIP4, ms, observe, wait_until,
};

/// As fast as a takeover must be able to follow.
const FAST: Flavour = Flavour { properties: "version 3 advert 10cs", interval: ms(100), ..V3 };
const FAST6: Flavour = Flavour { properties: "version 3 advert 10cs", interval: ms(100), ..V3_IPV6 };

/// The longest time between two adverts of `node` for `vrid` since `start`.
#[track_caller]
fn longest_gap(lab: &Lab, node: &str, vrid: u8, start: Instant) -> Duration {
    let of = |s: &Sighting| s.is_claim_of(node) && s.advert().is_some_and(|a| a.vrid == vrid);
    let adverts: Vec<Instant> = lab.wire().since(start).iter().filter(|s| of(s)).map(|s| s.at).collect();
    assert!(adverts.len() > 5, "{} adverts of {node}", adverts.len());
    adverts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

/// What the monitor has told of addresses and routes since it had told so much, but for what made it tell
/// first. That a link is up the kernel may tell late.
fn changes(monitor: &Process, told: usize) -> Vec<String> {
    let log = monitor.log();
    let of_interest = |l: &&str| {
        !l.contains("198.51.100.1")
            && ["Deleted", "inet", "local", "default"].iter().any(|w| l.contains(w))
            && !l.contains("state UP group default")
    };
    log[told..].lines().filter(of_interest).map(str::to_owned).collect()
}

fn some_adverts(lab: &Lab, node: &str) {
    lab.wire().wait_many("adverts", 8, Instant::now(), SOON, |s| s.is_claim_of(node));
}

/// Four takeovers; of the longest times between two adverts most are short: the machine may be busy for a
/// moment, but what is late each time is late.
#[track_caller]
fn in_time(lab: &Lab, node: &Node, daemon: &mut Picovrrp, vrids: &[u8]) {
    let mut gaps = Vec::new();
    for _ in 0..4 {
        let start = Instant::now();
        daemon.take_over(node);
        lab.wire().wait_many("adverts", 8 * vrids.len(), Instant::now(), SOON, |s| s.is_claim_of(node.name()));
        gaps.push(vrids.iter().map(|v| longest_gap(lab, node.name(), *v, start)).max().unwrap_or_default());
    }
    println!("longest time between two adverts, each 100 ms after the other, over four takeovers: {gaps:?}");
    gaps.sort();
    assert!(gaps[1] <= ms(120), "{gaps:?}");
}

fn pid_file(node: &Node) -> u32 {
    let text = fs::read_to_string(node.dir().join("run/picovrrp.pid")).expect("the pid file");
    text.trim().parse().expect("a number")
}

#[test]
fn no_advert_is_late_and_the_old_process_ends_without_a_word() {
    let elsewhere = Lab::new();
    let told = elsewhere.dir().join("told");
    let note = script(&elsewhere.dir().join("hooks"), "note", &format!("echo \"$@\" >> {}", told.display()));
    let mut t = Two::start(FAST, &format!("garp delay 0s notify {}", note.display()), "");
    t.lab.wire().wait_many("announcements", 5, Instant::now() - SOON, SOON, |s| s.is_announcement_of("a", VIP4));
    wait_until("the hooks have run", SOON, || lines(&told).iter().any(|l| l.contains("MASTER")));
    observe(ms(300));
    let monitor = t.a.monitor();
    let pinger = Pinger::start(t.client.ns(), VIP4);
    pinger.wait_answer(Instant::now(), SOON);
    let (seen, hooks_run) = (monitor.log().len(), lines(&told).len());
    let (start, before, first) = (Instant::now(), t.one.instance(), t.one.process.pid());
    in_time(&t.lab, &t.a, &mut t.one, &[51]);
    assert_ne!(t.one.process.pid(), first);
    assert_eq!(pid_file(&t.a), t.one.process.pid());
    let (after, silence) = (t.one.instance(), pinger.stop().longest_silence(start));
    assert!(silence < ms(100), "the client was without an answer for {silence:?}");
    for key in ["state", "transitions", "name", "last_event"] {
        assert_eq!(after[key], before[key]);
    }
    let sent = |i: &serde_json::Value| i["stats"]["advertisement_sent"].as_u64().expect("a counter");
    assert!(sent(&after) > sent(&before) + 30, "counters go on");
    assert!(after["since_s"].as_f64() > before["since_s"].as_f64());
    assert_eq!(changes(&monitor, seen), [""; 0], "addresses, links and routes stay as they are");
    assert_eq!(lines(&told).len(), hooks_run, "{:?}", lines(&told));
    let odd = |s: &Sighting| s.is_farewell_of("a") || s.is_announcement_of("a", VIP4) || s.is_claim_of("b");
    assert_eq!(t.lab.wire().count(start, odd), 0);
    // All else works as before: a command, an upgrade with the same words, the lock, the end.
    assert!(t.one.command(&["reload"]).status.success());
    assert!(t.one.command(&["upgrade"]).status.success(), "{}", t.one.process.log());
    assert_eq!(t.one.threads(), 1);
    let mut second = Picovrrp::start(&t.a, &FAST.config("priority 150 garp delay 0s"));
    assert_eq!(second.process.wait_exit(SOON).code(), Some(3), "the lock is ours");
    let caps = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        status.lines().filter(|l| l.starts_with("Cap")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(caps(t.one.process.pid()), caps(t.two.process.pid()), "privileges are dropped as by any other");
    t.one.terminate();
    assert!(t.one.process.wait_exit(SOON).success());
    assert!(!t.a.has(VIP4) && !t.a.dir().join("run/picovrrp.pid").exists());
    t.two.wait_state("MASTER", SOON);
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
    in_time(&lab, &a, &mut one, &(1..=32).collect::<Vec<u8>>());
}

#[test]
fn ipv6_and_unicast_are_in_time_too() {
    let mut t = Two::start(FAST6, "", "");
    let monitor = t.a.monitor();
    let (start, told) = (Instant::now(), monitor.log().len());
    in_time(&t.lab, &t.a, &mut t.one, &[51]);
    assert_eq!(changes(&monitor, told), [""; 0]);
    drop(t);
    let (lab, a, b, _client) = Lab::trio();
    let unicast =
        |us: &Node, peer: &Node| lan(&format!("{}\n  unicast {}\n  peer {}", FAST.properties, us.ip4(), peer.ip4()));
    let mut one = Picovrrp::start_until(&a, &unicast(&a, &b), "MASTER");
    let two = Picovrrp::start_until(&b, &unicast(&b, &a), "BACKUP");
    some_adverts(&lab, "a");
    in_time(&lab, &a, &mut one, &[51]);
    assert_eq!((two.state().as_deref(), lab.wire().count(start, |s| s.is_claim_of("b"))), (Some("BACKUP"), 0));
}

#[test]
fn a_backup_hears_what_it_heard_and_still_takes_over_from_its_active() {
    let mut t = Two::start(V3, "", "");
    let start = Instant::now();
    for _ in 0..3 {
        t.two.take_over(&t.b);
    }
    t.lab.wire().wait_many("adverts of a", 10, start, SOON, |s| s.is_claim_of("a"));
    t.two.wait_state("BACKUP", SOON);
    assert_eq!(t.lab.wire().count(start, |s| s.is_claim_of("b")), 0);
    t.a.vanish();
    t.two.wait_state("MASTER", SOON);
}

#[test]
fn macvlans_and_the_table_of_the_packet_filter_stay() {
    let rules =
        |node: &Node| String::from_utf8_lossy(&node.ns().output("nft", &["list", "ruleset"]).stdout).into_owned();
    for flavour in [FAST, FAST6] {
        let mut t = Two::start(flavour, "vmac accept off", "vmac accept off");
        observe(ms(300));
        let (monitor, before) = (t.a.monitor(), rules(&t.a));
        assert!(before.contains("table inet picovrrp"));
        let (start, told) = (Instant::now(), monitor.log().len());
        in_time(&t.lab, &t.a, &mut t.one, &[51]);
        t.two.take_over(&t.b);
        some_adverts(&t.lab, "a");
        assert_eq!(changes(&monitor, told), [""; 0]);
        assert_eq!(rules(&t.a), before);
        let odd = |s: &Sighting| s.is_farewell_of("a") || s.is_claim_of("b");
        assert_eq!(t.lab.wire().count(start, odd), 0);
        assert!(t.lab.wire().virtual_frames("b", start).is_empty());
        // It all goes with the last.
        let name = if flavour.vip.is_ipv4() { "vrrp4.51" } else { "vrrp6.51" };
        assert!(t.a.ns().try_ip(&format!("link show {name}")).is_ok());
        t.one.terminate();
        assert!(t.one.process.wait_exit(SOON).success());
        assert!(t.a.ns().try_ip(&format!("link show {name}")).is_err());
        assert_eq!(rules(&t.a), "");
    }
}

#[test]
fn yields_checks_and_a_changed_file_go_on_and_hooks_end_first() {
    let (lab, a, _b, _client) = Lab::trio();
    let (told, ran) = (lab.dir().join("told"), lab.dir().join("ran"));
    let dir = lab.dir().join("hooks");
    let note = script(&dir, "note", &format!("sleep 1; echo \"$@\" >> {}", told.display()));
    let look = script(&dir, "look", &format!("echo x >> {}; sleep 0.4", ran.display()));
    let config = |priority| {
        format!(
            "check ok script {} every 500ms timeout 5s\n{}  notify {}\n  track ok\n\
             instance other on eth0 vrid 77 version 3 advert 20cs\n  address 192.0.2.77/24\n",
            look.display(),
            V3.config(&format!("priority {priority}")),
            note.display()
        )
    };
    let mut one = Picovrrp::start(&a, &config(150));
    one.wait_state("MASTER", SOON);
    assert!(one.command(&["yield", "other"]).status.success());
    // What the file says by now holds, as after a reload.
    one.write_config(&(config(160) + "instance more on eth0 vrid 78 version 3 advert 20cs\n  address 192.0.2.78/24\n"));
    let start = Instant::now();
    one.take_over(&a);
    let all = ["INSTANCE lan BACKUP 150", "INSTANCE lan MASTER 150"];
    assert!(lines(&told).ends_with(&all[1..].iter().map(|s| s.to_string()).collect::<Vec<_>>()), "{:?}", lines(&told));
    let status = one.status().expect("it answers");
    assert_eq!((&status["instances"][0]["priority"], &status["instances"][1]["yielded"]), (&160.into(), &true.into()));
    assert_eq!((&status["checks"][0]["state"], &status["instances"][0]["state"]), (&"up".into(), &"MASTER".into()));
    let runs = lines(&ran).len();
    wait_until("the check goes on", SOON, || lines(&ran).len() > runs + 2);
    assert_eq!(one.status().expect("it answers")["checks"][0]["fails"], 0);
    assert_eq!(lab.wire().count(start, |s| s.is_farewell_of("a")), 0);
    one.wait_state_of("more", "MASTER", SOON);
    assert!(one.command(&["resume", "other"]).status.success());
    one.wait_state_of("other", "MASTER", SOON);
}

#[test]
fn without_a_daemon_it_starts() {
    let (lab, a, _b, _client) = Lab::trio();
    let mut one = Picovrrp::start_until(&a, &V3.config(""), "MASTER");
    for crash in [false, true] {
        if crash {
            one.process.kill();
        } else {
            one.terminate();
            assert!(one.process.wait_exit(SOON).success());
        }
        let mut next = one.successor(&a, &[]);
        next.wait_state("MASTER", SOON);
        assert_eq!(next.process.log_lines("no daemon in"), 1, "{}", next.process.log());
        some_adverts(&lab, "a");
        assert_eq!(pid_file(&a), next.process.pid());
        one = next;
    }
}

/// The new one waits for its configuration; the old one dies meanwhile, or gives it up.
#[test]
fn a_daemon_that_dies_first_leaves_all_to_the_new_one() {
    for dies in [true, false] {
        let mut t = Two::start(V3, "", "");
        let fifo = t.a.dir().join("fifo");
        t.a.ns().output("mkfifo", &[&fifo.to_string_lossy()]);
        let text = V3.config("priority 150");
        let mut command = t.a.ns().command(BINARY);
        command.arg("--run-dir").arg(t.one.run_dir()).args(["run", "--takeover", "--log-stderr", "-f"]).arg(&fifo);
        let log = t.a.dir().join("fifo.log");
        let mut next = Process::start("the next", command, log, t.a.ns());
        wait_until("it is asked", SOON, || t.one.process.log_lines("reloaded") > 0);
        if dies {
            t.one.process.kill();
            fs::write(&fifo, text).expect("it reads");
            wait_until("it starts", SOON, || next.log_lines("ended before it could hand over") == 1);
            wait_until("it runs", SOON, || t.one.state().is_some_and(|s| s == "MASTER"));
            assert_eq!(pid_file(&t.a), next.pid());
        } else {
            wait_until("it is given up", SOON, || t.one.process.log_lines("does not get ready in time") == 1);
            fs::write(&fifo, text).expect("it reads");
            assert_eq!(next.wait_exit(SOON).code(), Some(3));
            assert_eq!(next.log_lines("takeover refused: the new process does not get ready in time"), 1);
            assert!(t.one.process.running());
        }
        assert_eq!(t.sole_active(), "a");
    }
}

/// What must hold however a takeover fails: the same process, its adverts, its addresses.
struct Unharmed<'t> {
    t: &'t mut Two,
    start: Instant,
    pid: u32,
    open: usize,
    refused: usize,
}

/// How many descriptors a process has open.
fn open(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

impl<'t> Unharmed<'t> {
    fn new(t: &'t mut Two) -> Unharmed<'t> {
        let (pid, refused) = (t.one.process.pid(), t.one.process.log_lines("takeover refused"));
        Unharmed { t, start: Instant::now(), pid, open: open(pid), refused }
    }

    /// The last has failed, and the log has a line about it.
    #[track_caller]
    fn one_more(&mut self, why: &str) {
        self.refused += 1;
        let log = || self.t.one.process.log();
        wait_until(&format!("{why} in {}", log()), SOON, || {
            self.t.one.process.log_lines("takeover refused") == self.refused
        });
        let last = log().lines().rfind(|l| l.contains("takeover refused")).map(str::to_owned);
        assert!(last.as_ref().is_some_and(|l| l.contains(why)), "{why}: {last:?}");
    }

    #[track_caller]
    fn check(self, longest: Duration) {
        assert!(self.t.one.process.running());
        self.t.one.wait_state("MASTER", SOON);
        some_adverts(&self.t.lab, "a");
        assert_eq!(pid_file(&self.t.a), self.pid);
        assert!(self.t.a.has(VIP4) && !self.t.b.has(VIP4));
        let odd = |s: &Sighting| s.is_farewell_of("a") || s.is_claim_of("b");
        assert_eq!(self.t.lab.wire().count(self.start, odd), 0);
        let gap = longest_gap(&self.t.lab, "a", 51, self.start);
        assert!(gap <= longest, "{gap:?} between two adverts");
        assert_eq!(self.t.one.process.log_lines("takeover refused"), self.refused);
        let status = self.t.one.instance();
        assert_eq!(status["transitions"], 2, "{status:#}");
        wait_until("it keeps nothing open", SOON, || open(self.pid) == self.open);
        // And the next is right.
        self.t.one.take_over(&self.t.a);
        self.t.one.wait_state("MASTER", SOON);
        some_adverts(&self.t.lab, "a");
        assert_eq!(self.t.lab.wire().count(self.start, odd), 0);
    }
}

fn frame(state: u8, network: u64) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME];
    control::encode(&mut buffer, &Request::Takeover { state, network }).expect("it fits").to_vec()
}

/// A new process as far as the socket goes.
struct Fake {
    stream: UnixStream,
}

impl Fake {
    fn connect(t: &Two) -> Fake {
        let stream = UnixStream::connect(t.one.run_dir().join("control.sock")).expect("it listens");
        stream.set_read_timeout(Some(SOON * 2)).expect("a limit");
        Fake { stream }
    }

    /// Asks as a good one does.
    fn asking(t: &Two) -> Fake {
        let network = t.a.ns().inside(handover::network);
        let mut fake = Fake::connect(t);
        fake.say(&frame(STATE_VERSION, network));
        fake
    }

    /// The same, with the answer read.
    #[track_caller]
    fn welcome(t: &Two) -> Fake {
        let mut fake = Fake::asking(t);
        assert_eq!(fake.answer(), None);
        fake
    }

    /// The same, with the state, the token and all.
    #[track_caller]
    fn laden(t: &Two) -> (Fake, Vec<(i32, OwnedFd)>) {
        let mut fake = Fake::welcome(t);
        fake.say(b"r");
        assert_eq!(fake.answer(), None);
        let all = handover::receive(&fake.stream).expect("all that there is");
        // The lock, the listener, a socket, the token, the state.
        assert_eq!(all.len(), 5);
        (fake, all)
    }

    fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("it reads");
    }

    /// Why it refuses; nothing for a yes.
    #[track_caller]
    fn answer(&mut self) -> Option<String> {
        let mut buffer = [0; MAX_FRAME];
        let mut all = Vec::new();
        while all.len() < 2 || all.len() < 2 + u16::from_be_bytes([all[0], all[1]]) as usize {
            self.stream.read_exact(&mut buffer[..1]).expect("an answer");
            all.push(buffer[0]);
        }
        match control::decode::<Reply<'_>>(&all).expect("an answer") {
            Reply::End => None,
            Reply::Refused(why) => Some(why.to_owned()),
            other => panic!("{other:?}"),
        }
    }

    /// Closes it, hard or softly.
    fn close(self, hard: bool) {
        if hard {
            let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
        } else {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn cut_at_any_byte_it_is_given_up() {
    let mut t = Two::start(V3, "", "");
    let network = t.a.ns().inside(handover::network);
    let request = frame(STATE_VERSION, network);
    let mut unharmed = Unharmed::new(&mut t);
    // Within the request: nobody knows yet what it was to be.
    for n in 0..request.len() {
        for hard in [false, true] {
            let mut fake = Fake::connect(unharmed.t);
            fake.say(&request[..n]);
            fake.close(hard);
        }
    }
    let cut = 2 * (request.len() - 1);
    wait_until("all are told", SOON, || unharmed.t.one.process.log_lines("a request was cut off") == cut);
    // Behind it, and behind each byte of the answer.
    for n in 0..=4 {
        for hard in [false, true] {
            let mut fake = Fake::asking(unharmed.t);
            let _ = fake.stream.read_exact(&mut [0; 4][..n]);
            fake.close(hard);
            unharmed.one_more("gave up");
        }
    }
    let mut fake = Fake::welcome(unharmed.t);
    fake.say(b"x");
    unharmed.one_more("gave up");
    assert!(fake.answer().is_some_and(|why| why.contains("gave up")));
    // Ready, and gone at once, and behind each byte of what is sent then: the answer, and the numbers of five
    // descriptors with their count.
    for n in 0..=4 + 4 * 6 {
        for hard in [false, true] {
            let mut fake = Fake::welcome(unharmed.t);
            fake.say(b"r");
            let _ = fake.stream.read_exact(&mut [0; 4 + 4 * 6][..n]);
            fake.close(hard);
            unharmed.one_more("has ended instead");
        }
    }
    // With all in its hands, but for the token.
    for hard in [false, true] {
        let (fake, all) = Fake::laden(unharmed.t);
        fake.close(hard);
        unharmed.one_more("has ended instead");
        drop(all);
    }
    // With the token, and not yet running; the other goes on with its sockets.
    for hard in [false, true] {
        let (fake, all) = Fake::laden(unharmed.t);
        assert!(handover::take(&all[3].1));
        fake.close(hard);
        drop(all);
        unharmed.one_more("has died");
    }
    unharmed.check(V3.interval * 2);
}

#[test]
fn what_hangs_is_not_waited_for() {
    let mut t = Two::start(V3, "", "");
    let network = t.a.ns().inside(handover::network);
    let request = frame(STATE_VERSION, network);
    let mut unharmed = Unharmed::new(&mut t);
    // Within the request: commands are still served.
    let mut hanging: Vec<Fake> = (1..4)
        .map(|n| {
            let mut fake = Fake::connect(unharmed.t);
            fake.say(&request[..n]);
            fake
        })
        .collect();
    assert!(unharmed.t.one.command(&["status"]).status.success());
    for fake in &mut hanging {
        assert_eq!(fake.stream.read(&mut [0]).expect("it is closed"), 0);
    }
    // Before it is ready.
    let mut fake = Fake::welcome(unharmed.t);
    let mut second = Fake::asking(unharmed.t);
    assert!(second.answer().is_some_and(|why| why.contains("under way")));
    unharmed.one_more("does not get ready in time");
    assert!(fake.answer().is_some_and(|why| why.contains("get ready in time")));
    // With all in its hands: it comes too late then, though it has everything.
    for word in [&b""[..], b"x"] {
        let (mut fake, all) = Fake::laden(unharmed.t);
        fake.say(word);
        assert!(fake.answer().is_some_and(|why| why.contains("too slow")));
        assert!(!handover::take(&all[3].1), "the token is gone");
        unharmed.one_more("too slow");
        assert!(unharmed.t.one.command(&["status"]).status.success());
    }
    unharmed.check(V3.interval * 2 + ms(150));
}

/// Another process for [`one_that_has_the_token_and_hangs_is_killed`]: not for itself.
#[test]
fn as_another_process() {
    let (Ok(dir), Ok(network)) = (std::env::var("TAKEOVER_OF"), std::env::var("TAKEOVER_IN")) else { return };
    let stream = UnixStream::connect(Path::new(&dir).join("control.sock")).expect("it listens");
    let mut fake = Fake { stream };
    fake.say(&frame(STATE_VERSION, network.parse().expect("a number")));
    assert_eq!(fake.answer(), None);
    fake.say(b"r");
    assert_eq!(fake.answer(), None);
    let all = handover::receive(&fake.stream).expect("all that there is");
    assert!(handover::take(&all[3].1));
    loop {
        std::thread::park();
    }
}

#[test]
fn one_that_has_the_token_and_hangs_is_killed() {
    let slow = Flavour { properties: "version 3 advert 1s", interval: ms(1000), ..V3 };
    let mut t = Two::start(slow, "", "");
    let network = t.a.ns().inside(handover::network);
    let mut unharmed = Unharmed::new(&mut t);
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "takeover::as_another_process", "--test-threads=1"]);
    command.env("TAKEOVER_OF", unharmed.t.one.run_dir()).env("TAKEOVER_IN", network.to_string());
    let log = unharmed.t.a.dir().join("other.log");
    let mut other = Process::start("the other", command, log, unharmed.t.a.ns());
    let ended = other.wait_exit(SOON);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(9), "{ended} {}", other.log());
    unharmed.one_more("has died");
    assert_eq!(unharmed.t.one.process.log_lines("does nothing: killing it"), 1);
    unharmed.check(slow.interval * 3);
}

/// The old one dies when all is sent: the new one has the token all the same.
#[test]
fn the_token_outlives_who_made_it() {
    let mut t = Two::start(V3, "", "");
    let (_fake, all) = Fake::laden(&t);
    t.one.process.kill();
    assert!(handover::take(&all[3].1));
    assert!(!handover::take(&all[3].1));
    drop(all);
    t.one = Picovrrp::start_until(&t.a, &V3.config("priority 150"), "MASTER");
}

#[test]
fn another_user_program_network_or_file_is_refused() {
    let mut t = Two::start(V3, "", "");
    let run = t.one.run_dir().to_owned();
    let network = t.a.ns().inside(handover::network);
    let other = t.a.dir().join("other.conf");
    fs::write(&other, V3.config("priority 150").replace("vrid 51", "vrid 52")).expect("a file");
    let mut unharmed = Unharmed::new(&mut t);
    // Another version of the state.
    for (state, network, why) in [
        (STATE_VERSION + 1, network, "another version"),
        (STATE_VERSION - 1, network, "another version"),
        (STATE_VERSION, network + 1, "another network namespace"),
    ] {
        let mut fake = Fake::connect(unharmed.t);
        fake.say(&frame(state, network));
        assert!(fake.answer().is_some_and(|told| told.contains(why)));
        unharmed.one_more(why);
    }
    // Of another program's language.
    let mut fake = Fake::connect(unharmed.t);
    let mut strange = frame(STATE_VERSION, network);
    strange[2] ^= 1;
    fake.say(&strange);
    assert!(fake.answer().is_some_and(|told| told.contains("another version")));
    // From another network namespace.
    let out = |mut next: Picovrrp, why: &str| {
        let status = next.process.wait_exit(SOON);
        assert_eq!(status.code(), Some(3), "{}", next.process.log());
        assert_eq!(next.process.log_lines(why), 1, "{}", next.process.log());
    };
    out(
        unharmed.t.one.successor(&unharmed.t.b, &[]),
        "takeover refused: the new process is in another network namespace",
    );
    unharmed.one_more("another network namespace");
    // With other instances.
    let text = fs::read_to_string(&other).expect("the file");
    let mut command = unharmed.t.a.ns().command(BINARY);
    command.arg("--run-dir").arg(&run).args(["run", "--takeover", "--log-stderr", "-f"]).arg(&other);
    let log = unharmed.t.a.dir().join("other.log");
    let mut next = Process::start("the next", command, log, unharmed.t.a.ns());
    assert_eq!(next.wait_exit(SOON).code(), Some(3), "{}", next.log());
    assert_eq!(next.log_lines("not for this configuration"), 1, "{text}{}", next.log());
    unharmed.one_more("has ended instead");
    // With a file that is wrong, the old one's too.
    let good = V3.config("priority 150");
    unharmed.t.one.write_config("nonsense\n");
    out(unharmed.t.one.successor(&unharmed.t.a, &[]), "takeover refused: ");
    unharmed.t.one.write_config(&good);
    unharmed.one_more("nonsense");
    // Another user, even where the modes let him in and he has all that it takes.
    let admit =
        |path: PathBuf, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
    let as_other = |expected: &str| {
        let mut command = unharmed.t.a.ns().command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+net_admin,+net_raw"]);
        command.args(["--ambient-caps=+net_admin,+net_raw"]).arg(BINARY).arg("--run-dir").arg(&run);
        command.args(["run", "--takeover", "--log-stderr", "-f"]).arg(unharmed.t.a.dir().join("picovrrp.conf"));
        let out = command.output().expect("setpriv starts");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(3), "{said}");
        assert!(said.contains(expected) && said.lines().count() == 1, "{said}");
    };
    as_other("Permission denied");
    admit(run.clone(), 0o755);
    as_other("Permission denied");
    admit(run.join("control.sock"), 0o666);
    as_other("takeover refused: only root and the daemon's own user");
    admit(run, 0o700);
    wait_until("the log tells", SOON, || {
        unharmed.t.one.process.log_lines("user 65534 may not control this daemon") == 1
    });
    unharmed.check(V3.interval * 2);
}

#[test]
fn ipv6_link_local_and_two_families_go_over_together() {
    let (lab, a, _b, _client) = Lab::trio();
    let mut one = Picovrrp::start(&a, &(lan(FAST.properties) + &lan6(FAST.properties)));
    one.wait_state("MASTER", SOON);
    let start = Instant::now();
    one.take_over(&a);
    some_adverts(&lab, "a");
    assert_eq!(one.status().expect("it answers")["instances"].as_array().map(Vec::len), Some(2));
    one.wait_state("MASTER", SOON);
    assert_eq!(lab.wire().count(start, |s| s.is_farewell_of("a")), 0);
}

/// The new process is killed or stopped for a while, or the old one is killed, at one moment after the other:
/// never are there two, and never none if not the daemon itself was killed.
#[test]
fn whenever_one_of_them_dies_or_stops_the_other_is_there() {
    let mut t = Two::start(V3, "", "");
    let (mut before, mut after, mut afresh) = (0, 0, 0);
    for round in 0..15u64 {
        let (start, what) = (Instant::now(), round % 3);
        let mut next = t.one.successor(&t.a, &[]);
        let delay = Duration::from_micros(start.elapsed().as_micros() as u64 + 2_000 + round / 3 * 5_000);
        while start.elapsed() < delay {
            std::thread::yield_now();
        }
        match what {
            0 => next.process.kill(),
            1 => next.process.signal(Signal::STOP),
            _ => t.one.process.kill(),
        }
        if what == 1 {
            observe(ms(400));
            next.process.signal(Signal::CONT);
        }
        // One of them ends, by us or by itself.
        wait_until("one ends", SOON, || !t.one.process.running() || !next.process.running());
        let gone = |p: &mut Picovrrp| !p.process.running();
        match (gone(&mut t.one), gone(&mut next)) {
            // It was killed when it was the daemon already.
            (true, true) if what == 0 => {
                afresh += 1;
                t.one = Picovrrp::start_until(&t.a, &V3.config("priority 150"), "MASTER");
            }
            (true, false) => {
                after += 1;
                t.one = next;
            }
            (false, true) => before += 1,
            (one, other) => panic!("round {round}: {one} {other}\n{}\n{}", t.one.process.log(), next.process.log()),
        }
        let goes_on = Instant::now();
        t.one.wait_state("MASTER", SOON);
        some_adverts(&t.lab, "a");
        assert_eq!(t.sole_active(), "a");
        assert_eq!(pid_file(&t.a), t.one.process.pid());
        // Nobody noticed, unless the daemon was killed.
        if what == 1 {
            let odd = |s: &Sighting| s.is_farewell_of("a") || s.is_claim_of("b");
            assert_eq!(t.lab.wire().count(start, odd), 0, "round {round}");
            let gap = longest_gap(&t.lab, "a", 51, goes_on.min(start));
            assert!(gap < V3.active_down_interval(100), "round {round}: {gap:?}");
        }
    }
    println!("the old one stayed {before} times, the new one {after} times, both were gone {afresh} times");
    assert!(before > 0 && after > 5);
}
