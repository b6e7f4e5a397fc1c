use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use super::*;
use crate::sys::process::tests::{Dir, alive, drive, world};

/// The same hooks for everybody; the state's word is filled in.
struct Fixed {
    on_state: String,
    notify: String,
    timeout: Micros,
}

fn line<const N: usize>(text: &str) -> heapless::String<N> {
    text.try_into().unwrap()
}

impl Source for Fixed {
    fn hooks(&self, owner: Owner, state: State) -> Hooks {
        let name = match owner {
            Owner::Instance(n) => format!("i{n}"),
            Owner::Group(n) => format!("g{n}"),
        };
        Hooks {
            name: line(&name),
            on_state: line(&self.on_state.replace("STATE", state.word())),
            notify: line(&self.notify),
            timeout: self.timeout,
            ..Hooks::default()
        }
    }
}

/// Posts, and runs all hooks to their end.
fn run(source: &Fixed, notifier: &Notifier, mut post: impl FnMut()) {
    let (context, reactor, children) = world();
    drive(&context, &reactor, &children, async {
        let poster = async {
            post();
            while !notifier.is_idle() {
                context.sleep(Micros::from_millis(5)).await.unwrap();
            }
        };
        smol::future::or(notifier.serve(&context, &children, source), poster).await;
    });
    assert_eq!(children.running(), 0);
}

/// A state's own hook before `notify`, which alone is told by arguments; a group behind its members.
#[test]
fn arguments_and_order() {
    let dir = Dir::new();
    let source = Fixed {
        on_state: dir.script("own", "echo own \"$@\" >> DIR/log") + " STATE",
        notify: dir.script("all", "sleep 0.1; echo \"$@\" >> DIR/log; env > DIR/env") + " my words",
        timeout: NOTIFY_TIMEOUT,
    };
    let notifier = Notifier::new();
    notifier.set_members(0, [4].into_iter());
    run(&source, &notifier, || {
        notifier.post(Owner::Instance(4), "i4", State::Master, 150);
        notifier.post(Owner::Group(0), "g0", State::Master, 99);
    });
    assert_eq!(
        dir.text("log"),
        "own MASTER\nmy words INSTANCE i4 MASTER 150\nown MASTER\nmy words GROUP g0 MASTER 0\n"
    );
    let env = dir.text("env");
    let foreign = |l: &&str| !["PATH=", "PWD=", "SHLVL=", "_=", "OLDPWD="].iter().any(|p| l.starts_with(p));
    assert_eq!(env.lines().find(foreign), None, "the shell's own aside");
}

/// Never two hooks of one owner at once, in order; a flapping instance builds no backlog; the stop is told.
#[test]
fn one_at_a_time() {
    let dir = Dir::new();
    let text = "mkdir DIR/busy || echo OVERLAP >> DIR/log; sleep 0.1; echo $3 $4 >> DIR/log; rmdir DIR/busy";
    let source = Fixed { on_state: "".into(), notify: dir.script("n", text), timeout: NOTIFY_TIMEOUT };
    let notifier = Notifier::new();
    let (context, reactor, children) = world();
    drive(&context, &reactor, &children, async {
        let poster = async {
            notifier.post(Owner::Instance(0), "i0", State::Backup, 1);
            context.sleep(Micros::from_millis(50)).await.unwrap();
            for n in 2..100 {
                notifier.post(Owner::Instance(0), "i0", if n % 2 == 0 { State::Fault } else { State::Backup }, n);
            }
            notifier.post(Owner::Instance(0), "i0", State::Stop, 100);
            while !notifier.is_idle() {
                context.sleep(Micros::from_millis(5)).await.unwrap();
            }
        };
        smol::future::or(notifier.serve(&context, &children, &source), poster).await;
    });
    assert_eq!(dir.text("log"), "BACKUP 1\nSTOP 100\n");
}

/// A hook that hangs is killed with its group at the timeout, and the next one runs.
#[test]
fn hangs() {
    let dir = Dir::new();
    let text =
        "echo $3 >> DIR/log; [ $3 = STOP ] && exit; trap '' TERM; sh -c 'echo $$ > DIR/pid; sleep 1000'; sleep 1000";
    let source = Fixed { on_state: "".into(), notify: dir.script("n", text), timeout: Micros::from_millis(700) };
    let notifier = Notifier::new();
    run(&source, &notifier, || notifier.post(Owner::Instance(0), "i0", State::Master, 1));
    assert_eq!(dir.text("log"), "MASTER\n");
    crate::sys::process::tests::until("the group is gone", || !alive(&dir.join("pid")));
    run(&source, &notifier, || notifier.post(Owner::Instance(0), "i0", State::Stop, 1));
    assert_eq!(dir.text("log"), "MASTER\nSTOP\n");
}

/// Hooks that hang hold up those of other instances for two seconds at most; one of a removed instance is
/// the one that it had.
#[test]
fn many_hang() {
    let dir = Dir::new();
    let text = "echo $2 >> DIR/log; [ $2 = last ] || exec sleep 1000";
    let source = Fixed { on_state: "".into(), notify: dir.script("n", text), timeout: Micros::from_secs(6) };
    let notifier = Notifier::new();
    let (context, reactor, children) = world();
    let last = Hooks { name: "last".try_into().unwrap(), ..source.hooks(Owner::Instance(0), State::Fault) };
    let since = std::time::Instant::now();
    drive(&context, &reactor, &children, async {
        let poster = async {
            for n in 0..MAX_YOUNG as u8 {
                notifier.post(Owner::Instance(n), "", State::Master, n);
            }
            notifier.post(Owner::Instance(MAX_YOUNG as u8), "", State::Master, 1);
            notifier.dismiss(Owner::Instance(MAX_YOUNG as u8), State::Fault, 1, last);
            while !dir.text("log").contains("last") {
                context.sleep(Micros::from_millis(5)).await.unwrap();
            }
        };
        smol::future::or(notifier.serve(&context, &children, &source), poster).await;
    });
    assert!((1..5).contains(&since.elapsed().as_secs()), "{:?}", since.elapsed());
    assert_eq!(dir.text("log").lines().count(), MAX_YOUNG + 1);
}

/// A daemon that a hook starts lives on, in the hook's process group or not, and can write to its error output.
#[test]
fn daemon_is_left_alone() {
    let dir = Dir::new();
    let text = "sh -c 'echo $$ > DIR/pid; exec sleep 1000' &\nuntil [ -s DIR/pid ]; do :; done; \
                readlink /proc/$(cat DIR/pid)/fd/2 > DIR/stderr; cut -d' ' -f19 /proc/$$/stat > DIR/nice";
    let source = Fixed { on_state: "".into(), notify: dir.script("n", text), timeout: NOTIFY_TIMEOUT };
    let notifier = Notifier::new();
    run(&source, &notifier, || notifier.post(Owner::Instance(0), "i0", State::Master, 1));
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(alive(&dir.join("pid")));
    assert_eq!((dir.text("stderr").trim(), dir.text("nice").trim()), ("/dev/null", "0"));
    let pid = rustix::process::Pid::from_raw(dir.text("pid").trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}

/// Lines for every state, also of those that no hook is told of; a full FIFO loses whole lines.
#[test]
fn fifo() {
    let dir = Dir::new();
    let path = dir.join("fifo");
    let notifier = Notifier::new();
    notifier.set_fifo(Some(Fifo::open(&path).unwrap()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    notifier.post(Owner::Instance(1), "lan", State::Backup, 100);
    notifier.post(Owner::Instance(1), "lan", State::Master, 90);
    notifier.post(Owner::Group(0), "all", State::Master, 90);
    let mut reader = std::fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    let mut buffer = [0; 4096];
    let n = reader.read(&mut buffer).unwrap();
    let lines = "INSTANCE \"lan\" BACKUP 100\nINSTANCE \"lan\" MASTER 90\nGROUP \"all\" MASTER 0\n";
    assert_eq!(std::str::from_utf8(&buffer[..n]).unwrap(), lines);
    for _ in 0..10_000 {
        notifier.post(Owner::Instance(1), "lan", State::Stop, 255);
    }
    let mut all = Vec::new();
    while let Ok(n @ 1..) = reader.read(&mut buffer) {
        all.extend_from_slice(&buffer[..n]);
    }
    let line = "INSTANCE \"lan\" STOP 255\n";
    let whole = String::from_utf8(all).unwrap();
    assert!(whole.len() < 9_000 * line.len() && whole == line.repeat(whole.len() / line.len()));
    // Again: it is there.
    Fifo::open(&path).unwrap();
    std::fs::write(dir.join("file"), "").unwrap();
    std::os::unix::fs::symlink("fifo", dir.join("link")).unwrap();
    assert!(Fifo::open(&dir.join("file")).is_err() && Fifo::open(&dir.join("link")).is_err());
}
