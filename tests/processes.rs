//! Ten thousand scripts, as the daemon runs them: none is left a zombie, no descriptor stays open,
//! and memory does not grow. Alone in its process, since it counts what is the whole process's.

// Test code all of it.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::os::fd::AsFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use picovrrp::check::script::Script;
use picovrrp::command::Command;
use picovrrp::sys::clock;
use picovrrp::sys::context::Context;
use picovrrp::sys::process::Children;
use picovrrp::sys::reactor::{Interest, Reactor, ReadyList, Token};
use picovrrp::sys::signal::{Signal, Signals};
use picovrrp::sys::tasks::Driver;
use picovrrp::vrrp::timing::Micros;
use rustix::process::{WaitOptions, waitpid};
use smol::LocalExecutor;

const RUNS: u32 = 10_000;
const AT_ONCE: u32 = 4;
const SIGNALS: Token = Token(1);

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn main() {
    // Without a test harness there is one thread, so that SIGCHLD is blocked in all of them.
    let signals = Signals::open().unwrap();
    let reactor = Rc::new(Reactor::new().unwrap());
    reactor.add(signals.as_fd(), SIGNALS, Interest::READ).unwrap();
    let (context, children) = (Context::new(reactor.clone()), Children::new());
    let done = Cell::new(0);
    let check = async || {
        let mut script = Script::new(&context, &children);
        let command = Command { line: "/bin/true", extra: &[], env: &[], user: None, secure: true };
        while done.get() < RUNS {
            done.set(done.get() + 1);
            assert_eq!(script.run(&command, Micros::from_secs(10)).await, Ok(()));
        }
    };
    let executor = LocalExecutor::new();
    for _ in 0..AT_ONCE {
        executor.spawn(check()).detach();
    }
    let driver = Driver::new();
    let mut main = pin!(executor.run(async {
        while !executor.is_empty() {
            smol::future::yield_now().await;
            context.sleep(Micros::from_millis(20)).await.unwrap();
        }
    }));
    let (open, begin, mut ready, mut early) = (descriptors(), clock::now(), ReadyList::new(), None);
    while driver.turn(main.as_mut()) == Poll::Pending {
        let now = clock::now();
        assert!(now.since(begin) < Micros::from_secs(120), "it hangs at {}", done.get());
        let deadline = if driver.is_awake() { Some(now) } else { context.next_deadline() };
        reactor.wait(deadline, &mut ready).unwrap();
        for r in &ready {
            if r.token == SIGNALS {
                while let Some(signal) = signals.read() {
                    assert_eq!(signal, Signal::Child);
                    children.reap();
                }
            } else {
                context.wake_ready(r);
            }
        }
        context.wake_due(clock::now());
        if done.get() > RUNS / 10 {
            early.get_or_insert_with(resident_kb);
        }
    }
    let (early, late) = (early.unwrap(), resident_kb());
    println!(
        "{RUNS} runs in {} ms; resident {early} KB after a tenth, {late} KB at the end",
        clock::now().since(begin).as_millis()
    );
    assert_eq!(children.running(), 0);
    let left = waitpid(None, WaitOptions::NOHANG);
    assert!(left.is_err(), "no child at all is left, not even a zombie: {left:?}");
    assert_eq!(descriptors(), open, "descriptors");
    assert!(late <= early + 64, "memory grows");
}
