use std::cell::Cell;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;

use smol::LocalExecutor;

use super::*;
use crate::sys::clock;
use crate::sys::reactor::ReadyList;
use crate::vrrp::timing::Micros;

/// The daemon's loop in small: runs until `main` is done; returns how often it waited.
fn run<T>(reactor: &Reactor, tasks: &Tasks, executor: &LocalExecutor<'_>, main: impl Future<Output = T>) -> (T, u32) {
    let driver = Driver::new();
    let mut main = pin!(executor.run(main));
    let mut ready = ReadyList::new();
    let mut waits = 0;
    loop {
        if let Poll::Ready(t) = driver.turn(main.as_mut()) {
            return (t, waits);
        }
        let now = clock::now();
        let deadline = if driver.is_awake() { Some(now) } else { tasks.next_deadline() };
        // A test that hangs is to fail.
        let latest = now + Micros::from_secs(5);
        reactor.wait(Some(deadline.unwrap_or(latest).min(latest)), &mut ready).unwrap();
        waits += 1;
        assert!(waits < 10_000, "spinning");
        for r in &ready {
            assert!(tasks.wake_ready(r), "nobody waits for {r:?}");
        }
        tasks.wake_due(clock::now());
    }
}

/// Two sleepers wake in the order of their deadlines, never early, with two waits in all.
#[test]
fn sleepers() {
    let (reactor, tasks) = (Reactor::new().unwrap(), Tasks::new());
    let order = Cell::new(0);
    let executor = LocalExecutor::new();
    let begin = clock::now();
    let sleeper = |ms, mine| {
        let (tasks, order) = (&tasks, &order);
        async move {
            tasks.sleep_until(begin + Micros::from_millis(ms)).await.unwrap();
            assert!(clock::now().since(begin) >= Micros::from_millis(ms));
            order.set(order.get() * 10 + mine);
        }
    };
    let late = executor.spawn(sleeper(30, 2));
    let early = executor.spawn(sleeper(10, 1));
    let ((), waits) = run(&reactor, &tasks, &executor, async {
        late.await;
        early.await;
    });
    assert_eq!(order.get(), 12);
    // Two deadlines; a signal or the like may end one more wait.
    assert!(waits <= 4, "{waits} waits");
    assert_eq!(tasks.next_deadline(), None);
}

/// A cancelled sleep gives its place back; the 65th sleeper is told that there is none.
#[test]
fn sleeps_are_limited_and_cancelled() {
    let tasks = Tasks::new();
    let mut cx = Context::from_waker(Waker::noop());
    let mut all: Vec<_> = (0..MAX_SLEEPS as u64).map(|n| Box::pin(tasks.sleep_until(Instant(100 + n)))).collect();
    assert!(all.iter_mut().all(|s| s.as_mut().poll(&mut cx).is_pending()));
    assert_eq!(tasks.next_deadline(), Some(Instant(100)));
    let mut one_more = Box::pin(tasks.sleep_until(Instant(1)));
    assert!(matches!(one_more.as_mut().poll(&mut cx), Poll::Ready(Err(_))));
    drop(all.swap_remove(0));
    let mut now_there_is = Box::pin(tasks.sleep_until(Instant(1)));
    assert!(now_there_is.as_mut().poll(&mut cx).is_pending());
    tasks.wake_due(Instant(1));
    assert!(matches!(now_there_is.as_mut().poll(&mut cx), Poll::Ready(Ok(()))));
    assert_eq!(tasks.next_deadline(), Some(Instant(101)));
    drop(all);
    assert_eq!(tasks.next_deadline(), None);
}

/// A task that reads and one that writes on one descriptor, each woken by its own event; and while
/// nobody waits, data and a hang-up wake nobody.
#[test]
fn readers_and_writers() {
    let (reactor, tasks) = (Reactor::new().unwrap(), Tasks::new());
    let (mut near, far) = UnixStream::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    let token = Token(1);
    reactor.add_for_task(far.as_fd(), token).unwrap();
    // Fill the way out.
    let mut filled = 0;
    while let Ok(n) = (&far).write(&[0; 4096]) {
        filled += n;
    }
    let executor = LocalExecutor::new();
    let reader = executor.spawn(async {
        tasks.readable(&reactor, token).await.unwrap();
        let mut b = [0; 8];
        assert_eq!((&far).read(&mut b).unwrap(), 5);
        clock::now()
    });
    let writer = executor.spawn(async {
        tasks.writable(&reactor, token).await.unwrap();
        assert!((&far).write(b"after").unwrap() > 0);
        clock::now()
    });
    let ((read_at, written_at), _) = run(&reactor, &tasks, &executor, async {
        let begin = clock::now();
        tasks.sleep_until(begin + Micros::from_millis(5)).await.unwrap();
        near.write_all(b"hello").unwrap();
        tasks.sleep_until(begin + Micros::from_millis(15)).await.unwrap();
        near.read_exact(&mut vec![0; filled]).unwrap();
        (reader.await, writer.await)
    });
    assert!(read_at < written_at);

    near.write_all(b"unasked").unwrap();
    drop(near);
    let mut ready = ReadyList::new();
    // What was armed when the last wait ended may still be told, once.
    reactor.wait(Some(Instant(0)), &mut ready).unwrap();
    reactor.wait(Some(clock::now() + Micros::from_millis(5)), &mut ready).unwrap();
    assert!(ready.is_empty(), "{ready:?}");
    let executor = LocalExecutor::new();
    run(&reactor, &tasks, &executor, tasks.readable(&reactor, token)).0.unwrap();
}

/// A dropped wait gives its place back, and leaves the other waiter of the descriptor armed.
#[test]
fn dropped_waits() {
    let (reactor, tasks) = (Reactor::new().unwrap(), Tasks::new());
    let (near, far) = UnixStream::pair().unwrap();
    let token = Token(1);
    reactor.add_for_task(far.as_fd(), token).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let mut reader = Box::pin(tasks.readable(&reactor, token));
    let mut writer = Box::pin(tasks.writable(&reactor, token));
    assert!(reader.as_mut().poll(&mut cx).is_pending() && writer.as_mut().poll(&mut cx).is_pending());
    let mut ready = ReadyList::new();
    reactor.wait(None, &mut ready).unwrap();
    assert!(ready[0].writable && !ready[0].readable && tasks.wake_ready(&ready[0]));
    // Woken, but cancelled before it ran.
    drop(writer);
    (&near).write_all(b"x").unwrap();
    reactor.wait(Some(clock::now() + Micros::from_secs(5)), &mut ready).unwrap();
    assert!(ready[0].readable && tasks.wake_ready(&ready[0]));
    assert!(reader.as_mut().poll(&mut cx).is_ready());
    drop(reader);
    assert!(tasks.waits.borrow().iter().all(Option::is_none));
    let mut unknown = Box::pin(tasks.readable(&reactor, Token(99)));
    assert!(matches!(unknown.as_mut().poll(&mut cx), Poll::Ready(Err(_))));
    drop(unknown);
    assert!(tasks.waits.borrow().iter().all(Option::is_none));
}

/// A task that is always ready does not keep the loop from the rest.
#[test]
fn a_turn_ends() {
    let driver = Driver::new();
    let mut polls = 0;
    let mut greedy = pin!(std::future::poll_fn(|cx| -> Poll<()> {
        polls += 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    assert!(driver.turn(greedy.as_mut()).is_pending() && driver.is_awake());
    assert_eq!(polls, Driver::POLLS);
}

/// The executor, sleeps and waits start no thread. In a process of its own, for tests run in threads.
#[test]
fn one_thread() {
    const CHILD: &str = "PICOVRRP_TEST_ONE_THREAD";
    if std::env::var_os(CHILD).is_none() {
        let out = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sys::tasks::tests::one_thread", "--test-threads=1"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    // The harness may hold one beside this one.
    let before = threads();
    sleepers();
    readers_and_writers();
    assert_eq!(threads(), before);
}
