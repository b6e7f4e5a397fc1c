//! For tests: the daemon's loop in small.

use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use crate::sys::clock;
use crate::sys::context::Context;
use crate::sys::reactor::{Reactor, ReadyList};
use crate::sys::tasks::Driver;
use crate::vrrp::timing::Micros;

/// Runs one task to its end; panics if it spins, or after 20 seconds.
pub(super) fn run<T>(f: impl AsyncFnOnce(&Context) -> T) -> T {
    let reactor = Rc::new(Reactor::new().unwrap());
    let context = Context::new(reactor.clone());
    let executor = smol::LocalExecutor::new();
    let driver = Driver::new();
    let mut main = pin!(executor.run(f(&context)));
    let mut ready = ReadyList::new();
    let latest = clock::now() + Micros::from_secs(20);
    for _ in 0..20_000 {
        if let Poll::Ready(t) = driver.turn(main.as_mut()) {
            return t;
        }
        assert!(clock::now() < latest, "hangs");
        let deadline = if driver.is_awake() { Some(clock::now()) } else { context.next_deadline() };
        reactor.wait(Some(deadline.unwrap_or(latest).min(latest)), &mut ready).unwrap();
        for r in &ready {
            context.wake_ready(r);
        }
        context.wake_due(clock::now());
    }
    panic!("spins");
}
