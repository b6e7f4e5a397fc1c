//! Checks as tasks: each looks at its interval, and tells the router what came of it.
//!
//! A check looks at once when the daemon starts, and from then on at its own place within its
//! interval, so that many of one interval are spread over it. What falls into a look that is still
//! under way is left out. A reload ends all these tasks and begins them anew.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};

use heapless::Deque;
use smol::{LocalExecutor, Task};
use ufmt::uWrite;

use super::{Core, hooks};
use crate::check::script::Script;
use crate::check::{self, Outcome, Reason, Source};
use crate::command::Command;
use crate::config::model::{Check, CheckKind, Config, MAX_CHECKS, Origin};
use crate::router::Event;
use crate::router::event::{CheckId, CheckResult};
use crate::sys::clock;
use crate::sys::context::Context;
use crate::sys::process::{Children, User};
use crate::text;
use crate::vrrp::timing::{Instant, Micros};

/// After a change that the kernel tells, the next look is no sooner than this: who writes a file a
/// thousand times a second must not keep us busy.
const CALM: Micros = Micros::from_millis(50);

/// Why an `interface` check fails.
pub(super) const NO_INTERFACE: &str = "no such interface, or it is down";

/// `words`, cut to what there is room for.
pub(super) fn reason(words: &str) -> Reason {
    text::cut_to(&mut |t| t.write_str(words))
}

/// What the runs of one check came to, for status and the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    /// How many there were.
    pub(super) count: u32,
    /// Failures in a row up to now.
    pub(super) fails: u32,
    /// What the last one took; `None` before the first.
    pub(super) last: Option<Micros>,
    /// Why the last one failed; empty if it did not.
    pub(super) error: Reason,
}

/// Permits for scripts: no more of them run at once. Who waits is served in order.
pub(super) struct Permits {
    left: Cell<usize>,
    waiting: RefCell<Deque<Waker, MAX_CHECKS>>,
}

impl Permits {
    fn new(n: usize) -> Permits {
        Permits { left: Cell::new(n), waiting: RefCell::new(Deque::new()) }
    }

    async fn take(&self) -> Permit<'_> {
        poll_fn(|cx| {
            if self.left.get() > 0 {
                self.left.set(self.left.get() - 1);
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|w| w.will_wake(cx.waker())) {
                // There is a place for every check.
                let _ = waiting.push_back(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
        Permit(self)
    }
}

/// Gives the permit back when dropped.
struct Permit<'a>(&'a Permits);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.left.set(self.0.left.get() + 1);
        if let Some(next) = self.0.waiting.borrow_mut().pop_front() {
            next.wake();
        }
    }
}

/// The tasks of all checks.
#[derive(Default)]
pub(super) struct Tasks {
    tasks: Vec<Task<()>>,
    /// The configuration that they belong to.
    generation: Option<u32>,
}

impl Tasks {
    /// Begins the checks of the running configuration, unless they run.
    pub(super) fn renew<'a>(
        &mut self,
        executor: &LocalExecutor<'a>,
        context: &'a Context,
        children: &'a Children,
        core: &Rc<RefCell<Core>>,
    ) {
        let generation = core.borrow().generation;
        if self.generation == Some(generation) {
            return;
        }
        self.generation = Some(generation);
        // Scripts that run are killed.
        self.tasks.clear();
        let (n, permits) = {
            let core = core.borrow();
            let config = core.router.config();
            (config.checks.len(), Rc::new(Permits::new(config.max_children as usize)))
        };
        for c in 0..n {
            let teller = Teller { core: core.clone(), check: c, generation };
            self.tasks.push(executor.spawn(run(context, children, permits.clone(), teller, n)));
        }
    }

    /// Ends all of them.
    pub(super) fn end(&mut self) {
        self.tasks.clear();
    }
}

/// Tells the router what a look came to.
struct Teller {
    core: Rc<RefCell<Core>>,
    check: usize,
    generation: u32,
}

impl Teller {
    /// `None` once another configuration is in place.
    fn config<T>(&self, f: impl FnOnce(&Config, &Check) -> T) -> Option<T> {
        let core = self.core.borrow();
        let config = core.router.config();
        let check = config.checks.get(self.check).filter(|_| core.generation == self.generation)?;
        Some(f(config, check))
    }

    fn outcome(&self, outcome: Outcome, since: Instant) {
        match outcome {
            Ok(()) => self.tell(CheckResult::Up, Reason::new(), since),
            Err(why) => self.tell(CheckResult::Down, why, since),
        }
    }

    fn tell(&self, result: CheckResult, error: Reason, since: Instant) {
        let core = &mut *self.core.borrow_mut();
        if core.generation != self.generation {
            return;
        }
        let now = clock::now();
        if let Some(runs) = core.runs.get_mut(self.check) {
            let failed = matches!(result, CheckResult::Down | CheckResult::Broken);
            runs.count = runs.count.saturating_add(1);
            runs.fails = if failed { runs.fails.saturating_add(1) } else { 0 };
            (runs.last, runs.error) = (Some(now.since(since)), error);
        }
        core.handle(Event::Check { check: CheckId(self.check as u8), result }, now);
    }
}

/// The moments at which a check looks.
struct Rhythm {
    next: Instant,
    every: Micros,
}

impl Rhythm {
    /// The place of check `c` of `n` that begin now.
    fn new(every: Micros, c: usize, n: usize) -> Rhythm {
        Rhythm { next: clock::now() + Micros(every.0 * (c as u64 + 1) / n.max(1) as u64), every }
    }

    /// Waits for the next moment that is still to come; who gives up waiting has missed nothing.
    async fn wait(&mut self, context: &Context) {
        let now = clock::now();
        if self.next < now {
            let missed = now.since(self.next).0.div_ceil(self.every.0.max(1));
            self.next = self.next + Micros(missed * self.every.0);
        }
        sleep_until(context, self.next).await;
        self.next = self.next + self.every;
    }
}

/// There are as many sleeps as there can be tasks that need one; if not, whoever cannot sleep gives
/// way to the others rather than to end.
async fn sleep_until(context: &Context, at: Instant) {
    while context.sleep_until(at).await.is_err() && clock::now() < at {
        smol::future::yield_now().await;
    }
}

/// A check, for as long as its configuration stands.
async fn run(context: &Context, children: &Children, permits: Rc<Permits>, teller: Teller, n: usize) {
    let Some(check) = teller.config(|_, check| *check) else { return };
    let rhythm = Rhythm::new(check.every, teller.check, n);
    match check.kind {
        CheckKind::Script { .. } => scripts(context, children, &permits, &teller, &check, rhythm).await,
        CheckKind::Process { .. } => processes(context, &teller, &check, rhythm).await,
        CheckKind::File { .. } => file(context, &teller, rhythm).await,
        CheckKind::Interface { .. } => interface(context, &teller, &check, rhythm).await,
        CheckKind::Route { .. } => route(context, &teller, rhythm).await,
        CheckKind::Ping { .. } | CheckKind::Tcp { .. } | CheckKind::Http { .. } | CheckKind::Dns { .. } => {
            probes(context, &teller, &check, rhythm).await;
        }
    }
}

async fn scripts(
    context: &Context,
    children: &Children,
    permits: &Permits,
    teller: &Teller,
    check: &Check,
    mut rhythm: Rhythm,
) {
    let Some((line, user, secure)) = teller.config(|config, _| {
        let CheckKind::Script { command, user } = check.kind else { return (String::new(), Ok(None), true) };
        (config.str(command).to_owned(), hooks::user_of_check(config, user), config.script_security)
    }) else {
        return;
    };
    let mut script = Script::new(context, children);
    loop {
        {
            let _permit = permits.take().await;
            let since = clock::now();
            let outcome = match &user {
                Ok(user) => {
                    let user: Option<&User> = user.as_ref();
                    let command = Command { line: &line, extra: &[], env: &[], user, secure };
                    script.run(&command, check.timeout).await
                }
                Err(why) => Err(reason(why)),
            };
            teller.outcome(outcome, since);
            script.settle().await;
        }
        rhythm.wait(context).await;
    }
}

/// Probes of the network: one task, one socket at a time.
async fn probes(context: &Context, teller: &Teller, check: &Check, mut rhythm: Rhythm) {
    let Some(words) = teller.config(|config, _| Words::of(config, &check.kind)) else { return };
    loop {
        let since = clock::now();
        teller.outcome(probe(context, &check.kind, &words, since + check.timeout).await, since);
        rhythm.wait(context).await;
    }
}

/// The words of a probe, which outlive the configuration that they are from.
struct Words {
    /// The interface that it leaves by, or the name that it asks for, or the URL.
    main: String,
    /// The text expected in the answer.
    contains: String,
}

impl Words {
    fn of(config: &Config, kind: &CheckKind) -> Words {
        let (main, contains) = match *kind {
            CheckKind::Ping { from: Origin::Interface(name), .. }
            | CheckKind::Tcp { from: Origin::Interface(name), .. } => (config.str(name), ""),
            CheckKind::Http { url, contains, .. } => (config.str(url), config.str(contains)),
            CheckKind::Dns { name, .. } => (config.str(name), ""),
            _ => ("", ""),
        };
        Words { main: main.to_owned(), contains: contains.to_owned() }
    }

    fn source(&self, from: Origin) -> Option<Source<'_>> {
        match from {
            Origin::Any => None,
            Origin::Address(ip) => Some(Source::Address(ip)),
            Origin::Interface(_) => Some(Source::Interface(&self.main)),
        }
    }
}

async fn probe(context: &Context, kind: &CheckKind, words: &Words, deadline: Instant) -> Outcome {
    match *kind {
        CheckKind::Ping { target, from } => check::ping::ping(context, target, words.source(from), deadline).await,
        CheckKind::Tcp { target, port, from } => {
            check::tcp::tcp(context, SocketAddr::new(target, port), words.source(from), deadline).await
        }
        CheckKind::Http { status, .. } => match check::http::Url::parse(&words.main) {
            Ok(url) => {
                let contains = Some(words.contains.as_str()).filter(|text| !text.is_empty());
                check::http::http(context, &url, &check::http::Expect { status, contains }, deadline).await
            }
            Err(why) => Err(reason(why)),
        },
        CheckKind::Dns { server, port, record, .. } => match check::dns::Query::new(&words.main, record) {
            Ok(query) => check::dns::dns(context, SocketAddr::new(server, port), &query, deadline).await,
            Err(why) => Err(reason(why)),
        },
        // The other kinds have tasks of their own.
        _ => Err(reason("not a probe")),
    }
}

async fn processes(context: &Context, teller: &Teller, check: &Check, mut rhythm: Rhythm) {
    let CheckKind::Process { name, min, max, full_command, params, delay, .. } = check.kind else { return };
    let words = |config: &Config, _: &Check| (config.str(name).to_owned(), config.str(params).to_owned());
    let Some((name, params)) = teller.config(words) else { return };
    let matcher = check::process::Matcher {
        name: &name,
        full_command,
        params: Some(params.as_str()).filter(|words| !words.is_empty()),
        min: min as u32,
        max: max.map(u32::from),
    };
    let look = async || {
        let mut counts = [0];
        match check::process::count(&[matcher], &mut counts).await {
            Ok(()) => matcher.judge(counts[0]),
            Err(why) => Err(why),
        }
    };
    let mut told: Option<bool> = None;
    loop {
        let mut since = clock::now();
        let mut outcome = look().await;
        if delay > Micros::ZERO && told.is_some_and(|up| up != outcome.is_ok()) {
            // A restart of the program is no failure: what lasts is.
            sleep_until(context, clock::now() + delay).await;
            since = clock::now();
            outcome = look().await;
        }
        told = Some(outcome.is_ok());
        teller.outcome(outcome, since);
        rhythm.wait(context).await;
    }
}

/// Looks when the kernel says that the file changed, and at the interval: not every file system tells.
async fn file(context: &Context, teller: &Teller, mut rhythm: Rhythm) {
    let path = |config: &Config, check: &Check| match check.kind {
        CheckKind::File { path } => config.str(path).to_owned(),
        _ => String::new(),
    };
    let Some(path) = teller.config(path) else { return };
    let mut watch = check::file::FileWatch::new(context).and_then(|mut w| w.add(&path).map(|_| w));
    loop {
        let since = clock::now();
        match check::file::read(&path).number() {
            Ok(n) => teller.tell(CheckResult::Value(n), Reason::new(), since),
            Err(why) => teller.tell(CheckResult::Broken, why, since),
        }
        sleep_until(context, since + CALM).await;
        let told = match &mut watch {
            Ok(watch) => {
                let change = async { watch.next_change().await.map(|_| ()) };
                smol::future::or(change, async {
                    rhythm.wait(context).await;
                    Ok(())
                })
                .await
            }
            Err(_) => {
                rhythm.wait(context).await;
                Ok(())
            }
        };
        if let Err(e) = told {
            watch = Err(e);
        }
    }
}

/// The router sees changes itself; looks are for those that must last.
async fn interface(context: &Context, teller: &Teller, check: &Check, mut rhythm: Rhythm) {
    loop {
        let since = clock::now();
        let result = {
            let core = teller.core.borrow();
            core.router.interface_result(CheckId(teller.check as u8))
        };
        match result {
            Some(CheckResult::Up) => teller.outcome(Ok(()), since),
            Some(_) => {
                teller.outcome(Err(reason(NO_INTERFACE)), since);
            }
            None => {}
        }
        if check.rise == 1 && check.fall == 1 {
            return;
        }
        rhythm.wait(context).await;
    }
}

/// Looks when the kernel says that the route changed, and at the interval.
async fn route(context: &Context, teller: &Teller, mut rhythm: Rhythm) {
    let spec = |_: &Config, check: &Check| match check.kind {
        CheckKind::Route { prefix, length, via, table } => Some(check::route::RouteSpec { prefix, length, via, table }),
        _ => None,
    };
    let Some(spec) = teller.config(spec).flatten() else { return };
    let mut watch = check::route::RouteWatch::new(context);
    loop {
        let since = clock::now();
        teller.outcome(check::route::route(&spec).await, since);
        sleep_until(context, since + CALM).await;
        let told = match &mut watch {
            Ok(watch) => {
                smol::future::or(watch.next_change(&[spec]), async {
                    rhythm.wait(context).await;
                    Ok(())
                })
                .await
            }
            Err(_) => {
                rhythm.wait(context).await;
                Ok(())
            }
        };
        if let Err(e) = told {
            watch = Err(e);
        }
    }
}
