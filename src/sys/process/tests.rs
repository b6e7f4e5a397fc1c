use std::cell::Cell;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use rustix::process::{Pid, Signal, test_kill_process};
use smol::LocalExecutor;

use super::user::lookup_in;
use super::*;
use crate::sys::clock;
use crate::sys::context::Context;
use crate::sys::reactor::{Reactor, ReadyList};
use crate::sys::tasks::Driver;
use crate::vrrp::timing::Micros;

/// The daemon's loop in small, for one future. Children are looked for every few milliseconds, since
/// the threads of a test have no SIGCHLD of their own.
pub(crate) fn drive<T>(context: &Context, reactor: &Reactor, children: &Children, work: impl Future<Output = T>) -> T {
    let (executor, driver, mut ready) = (LocalExecutor::new(), Driver::new(), ReadyList::new());
    let mut main = pin!(executor.run(work));
    let latest = clock::now() + Micros::from_secs(30);
    loop {
        if let Poll::Ready(t) = driver.turn(main.as_mut()) {
            return t;
        }
        let now = clock::now();
        assert!(now < latest, "the test hangs");
        let tick = if driver.is_awake() { now } else { now + Micros::from_millis(3) };
        reactor.wait(Some(context.next_deadline().unwrap_or(tick).min(tick)), &mut ready).unwrap();
        for r in &ready {
            context.wake_ready(r);
        }
        context.wake_due(clock::now());
        children.reap();
    }
}

pub(crate) fn world() -> (Context, Rc<Reactor>, Children) {
    let reactor = Rc::new(Reactor::new().unwrap());
    (Context::new(reactor.clone()), reactor, Children::new())
}

/// A directory that is removed again, and that every user may enter.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new() -> Dir {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // Not below /tmp: what is to be found safe must not stand in a directory that everybody writes.
        let at = PathBuf::from(format!("/run/picovrrp-test-{}-{n}", std::process::id()));
        std::fs::create_dir(&at).expect("this test needs root: it makes a directory in /run");
        Dir(at)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    /// A shell script; it is run by naming the shell, since a file that another thread's child still
    /// has open for writing cannot be executed. Returns the command.
    pub(crate) fn script(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text.replace("DIR", self.0.to_str().unwrap())).unwrap();
        format!("/bin/sh {}", self.0.join(name).display())
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("not within 5 s: {what}");
}

/// Whether the process whose id the file holds runs.
pub(crate) fn alive(pid_file: &Path) -> bool {
    let text = std::fs::read_to_string(pid_file).unwrap();
    let pid: i32 = text.trim().parse().unwrap();
    // A zombie that nobody has reaped yet is no longer alive.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    test_kill_process(Pid::from_raw(pid).unwrap()).is_ok() && !stat.contains(") Z ")
}

fn program<'a>(words: &'a [&'a str]) -> Program<'a> {
    Program { words, env: &[], user: None, nice: 5, stderr: Stderr::Capture, leftovers: Leftovers::Kill }
}

fn run(program: &Program<'_>) -> (Ended, Option<String>) {
    let (context, reactor, children) = world();
    drive(&context, &reactor, &children, async {
        let child = children.spawn(program).unwrap();
        let ended = child.ended().await;
        (ended, child.not_started().map(|(step, e)| format!("{step}: {e}")))
    })
}

/// The child has its three descriptors and no other, our PATH and what it was given, and nothing else of ours.
#[test]
fn nothing_is_inherited() {
    let dir = Dir::new();
    // One that does not close at exec by itself.
    let leak = std::fs::File::open("/dev/null").unwrap();
    let leak = rustix::io::fcntl_dupfd_cloexec(&leak, 500).unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    let out = dir.0.to_str().unwrap();
    // The shell blocks signals while it starts a program: its mask is read from itself, at the end.
    let line = format!(
        "cat /proc/$$/environ > {out}/env; (ls -l /proc/$$/fd > {out}/fd; true); \
         cat /proc/$$/stat > {out}/stat; cat /proc/$$/oom_score_adj > {out}/oom; \
         umask > {out}/umask; pwd > {out}/pwd; echo $$ > {out}/pid; \
         exec cat /proc/self/status > {out}/status"
    );
    let words = ["sh", "-c", &line];
    let (ended, why) = run(&Program { env: &[("ACTION", "a b")], ..program(&words) });
    assert_eq!((ended, why), (Ended::Exited(0), None));
    assert_eq!(dir.text("env"), format!("PATH={PATH}\0ACTION=a b\0"));
    let fds = dir.text("fd");
    let seen: Vec<(&str, &str)> =
        fds.lines().filter_map(|l| l.split_once(" -> ")).map(|(fd, to)| (fd.rsplit(' ').next().unwrap(), to)).collect();
    assert_eq!(seen.iter().map(|(fd, _)| *fd).collect::<Vec<_>>(), ["0", "1", "2"], "{fds}");
    assert_eq!((seen[0].1, seen[1].1), ("/dev/null", "/dev/null"));
    assert!(seen[2].1.starts_with("pipe:"), "{fds}");
    let stat = dir.text("stat");
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let pid = dir.text("pid");
    assert_eq!((fields[2], fields[3]), (pid.trim(), pid.trim()), "group and session are its own");
    assert_eq!(fields[16], "5", "nice");
    for set in ["SigBlk:\t", "SigIgn:\t"] {
        let status = dir.text("status");
        let (_, bits) = status.split_once(set).unwrap();
        assert_eq!(u64::from_str_radix(&bits[..16], 16).unwrap() & 0x7fff_ffff, 0, "{set}");
    }
    assert_eq!((dir.text("oom").trim(), dir.text("umask").trim(), dir.text("pwd").trim()), ("0", "0022", "/"));
}

/// What kept a program from starting is told, with the step.
#[test]
fn not_started() {
    let dir = Dir::new();
    std::fs::write(dir.join("no"), "x").unwrap();
    let path = dir.join("no");
    let (ended, why) = run(&program(&[path.to_str().unwrap()]));
    assert_eq!(ended, Ended::Exited(127));
    assert_eq!(why.unwrap(), "execute: Permission denied (os error 13)");
    let (_, why) = run(&program(&["/nonexistent/x"]));
    assert_eq!(why.unwrap(), "execute: No such file or directory (os error 2)");
    let kind = |words: &[&str]| Children::new().spawn(&program(words)).map(|_| ()).unwrap_err().kind();
    assert_eq!(kind(&["no-such-command-here"]), io::ErrorKind::NotFound);
    assert_eq!(kind(&[]), io::ErrorKind::InvalidInput);
    assert_eq!(kind(&["/bin/true", "a\0b"]), io::ErrorKind::InvalidInput);
    assert_eq!(kind(&["/bin/true", &"x".repeat(MAX_BYTES)]), io::ErrorKind::ArgumentListTooLong);
    assert_eq!(kind(&["/bin/true"; MAX_WORDS + 1]), io::ErrorKind::ArgumentListTooLong);
}

/// The user, the group and the supplementary groups are those that were asked for.
#[test]
fn as_another_user() {
    assert!(rustix::process::geteuid().is_root(), "this test needs root: it runs a program as another user");
    let dir = Dir::new();
    let out = dir.join("status");
    std::fs::write(&out, "").unwrap();
    std::os::unix::fs::chown(&out, Some(4321), Some(1234)).unwrap();
    let user = User { uid: 4321, gid: 1234, groups: heapless::Vec::from_slice(&[1234, 77, 88]).unwrap() };
    let line = format!("cat /proc/self/status > {}", out.display());
    let words = ["sh", "-c", &line];
    assert_eq!(run(&Program { user: Some(&user), ..program(&words) }), (Ended::Exited(0), None));
    let status = dir.text("status");
    for line in ["Uid:\t4321\t4321\t4321\t4321", "Gid:\t1234\t1234\t1234\t1234", "CapEff:\t0000000000000000"] {
        assert!(status.contains(line), "{line} in {status}");
    }
    let groups = status.lines().find_map(|l| l.strip_prefix("Groups:\t")).unwrap();
    assert_eq!(groups.trim(), "77 88 1234");
}

/// All places are given back, whether or not anybody waited; one too many is refused.
#[test]
fn places() {
    let (context, reactor, children) = world();
    let sleep = ["sleep", "100"];
    let all: Vec<_> = (0..MAX_CHILDREN).map(|_| children.spawn(&program(&sleep)).unwrap()).collect();
    assert_eq!(children.spawn(&program(&sleep)).map(|_| ()).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(children.running(), MAX_CHILDREN);
    all[0].signal_group(Signal::TERM);
    drive(&context, &reactor, &children, async { assert_eq!(all[0].ended().await, Ended::Killed(libc::SIGTERM)) });
    // Reaped: its number may be anybody's now, and is left alone.
    all[0].signal_group(Signal::KILL);
    drop(all);
    until("all are killed and reaped", || {
        children.reap();
        children.running() == 0
    });
}

/// Two await their children at once, in either order.
#[test]
fn several_wait() {
    let (context, reactor, children) = world();
    let order = Cell::new(0);
    drive(&context, &reactor, &children, async {
        let one = async {
            let child = children.spawn(&program(&["sleep", "0.3"])).unwrap();
            assert_eq!(child.ended().await, Ended::Exited(0));
            order.set(order.get() * 10 + 2);
        };
        let other = async {
            let child = children.spawn(&program(&["sh", "-c", "exit 7"])).unwrap();
            assert_eq!(child.ended().await, Ended::Exited(7));
            order.set(order.get() * 10 + 1);
        };
        smol::future::zip(one, other).await;
    });
    assert_eq!(order.get(), 12);
}

/// Users and groups as the files have them; junk in the files is passed over.
#[test]
fn users() {
    let passwd = "root:x:0:0:root:/root:/bin/sh\njunk\n\nbob:x:notanumber:5::/:/bin/false\n\
                  anne:x:1000:1001:Anne, of X:/home:/bin/sh\nlast:x:7:8:::";
    let group = format!(
        "root:x:0:\nadm:x:4:bob,anne\n{}:x:9:anne\nbig:x:5:{}anne\nx:x:6:annex,xanne\nanne:x:1001:",
        "n".repeat(99),
        "user,".repeat(5000)
    );
    let look = |spec: &str| lookup_in(spec, &mut passwd.as_bytes(), &mut group.as_bytes());
    let anne = look("anne").unwrap();
    assert_eq!((anne.uid, anne.gid, &anne.groups[..]), (1000, 1001, &[4, 9, 5, 1001][..]));
    let chosen = look("anne:big").unwrap();
    assert_eq!((chosen.gid, &chosen.groups[..]), (5, &[4, 9, 5][..]));
    assert_eq!(look("last").unwrap().groups[..], [8]);
    for (spec, group) in [("bob", false), ("nobody-here", false), ("", false), ("x", false), ("anne:none", true)] {
        match look(spec) {
            Err(NoUser::User) => assert!(!group, "{spec}"),
            Err(NoUser::Group) => assert!(group, "{spec}"),
            other => panic!("{spec}: {other:?}"),
        }
    }
    assert_eq!(lookup_user("root").unwrap().uid, 0);
}
