//! Checks as tasks: each looks at its interval, and tells the router what came of it.
//!
//! A check looks at once when the daemon starts, and from then on at its own place within its
//! interval, so that many of one interval are spread over it. What falls into a look that is still
//! under way is left out. A reload ends all these tasks and begins them anew.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use smol::{LocalExecutor, Task};

use super::{Core, hooks, spawn};
use crate::check::dns::{Dns, Query};
use crate::check::file::File;
use crate::check::http::{Expect, Http, Url};
use crate::check::interface::Interface;
use crate::check::ping::Ping;
use crate::check::process::{Matcher, Process};
use crate::check::route::{Route, RouteSpec};
use crate::check::script::{Permits, Run};
use crate::check::tcp::Tcp;
use crate::check::{Impossible, Look, Reason, Seen, Source, because};
use crate::command::Command;
use crate::config::model::{Check, CheckKind, Condition, Config, MAX_CHECKS, Origin, StrId};
use crate::router::event::{CheckId, CheckResult};
use crate::router::{Event, same_check};
use crate::sys::clock;
use crate::sys::context::Context;
use crate::sys::process::Children;
use crate::table::Table;
use crate::vrrp::timing::{Instant, Micros};

/// After a change that the kernel tells, the next look is no sooner than this: who writes a file a
/// thousand times a second must not keep us busy.
const CALM: Micros = Micros::from_millis(50);

/// What the runs of one check came to, for status and the log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Runs {
    /// How many there were.
    pub(super) count: u32,
    /// Failures in a row up to now.
    pub(super) fails: u32,
    /// What the last one took; `None` before the first.
    pub(super) last: Option<Micros>,
    /// Why the last one failed; empty if it did not.
    pub(super) error: Reason,
    /// When the last one began.
    pub(super) at: Option<Instant>,
}

/// What is known of the checks of `new` that `old` has too.
pub(super) fn inherit(runs: &[Runs], old: &Config, new: &Config) -> Table<Runs, MAX_CHECKS> {
    let of = |check: &Check| {
        let at = old.checks.iter().position(|was| same_check(old, was, new, check));
        at.and_then(|at| runs.get(at)).cloned().unwrap_or_default()
    };
    new.checks.iter().map(of).collect()
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
        if self.generation != Some(generation) {
            self.begin(executor, context, children, core, generation);
        }
    }

    #[inline(never)]
    fn begin<'a>(
        &mut self,
        executor: &LocalExecutor<'a>,
        context: &'a Context,
        children: &'a Children,
        core: &Rc<RefCell<Core>>,
        generation: u32,
    ) {
        self.generation = Some(generation);
        // Scripts that run are killed.
        self.tasks.clear();
        let (n, permits) = {
            let core = core.borrow();
            let config = core.router.config();
            (config.checks.len(), Rc::new(Permits::new(config.max_children as usize)))
        };
        for c in 0..n {
            let task = Checking { context, core: core.clone(), check: c, generation };
            self.tasks.push(spawn(executor, run(task, children, permits.clone(), n)));
        }
    }

    /// Ends all of them.
    pub(super) fn end(&mut self) {
        self.generation = None;
        self.tasks.clear();
    }
}

/// One check of one configuration.
struct Checking<'a> {
    context: &'a Context,
    core: Rc<RefCell<Core>>,
    check: usize,
    generation: u32,
}

impl Checking<'_> {
    fn id(&self) -> CheckId {
        CheckId(self.check as u8)
    }

    /// `None` once another configuration is in place.
    fn config<T>(&self, f: impl FnOnce(&Config, &Check) -> T) -> Option<T> {
        let core = self.core.borrow();
        let config = core.router.config();
        let check = config.checks.get(self.check).filter(|_| core.generation == self.generation)?;
        Some(f(config, check))
    }

    /// A string of the configuration, which the task outlives.
    fn words(&self, id: StrId) -> String {
        self.config(|config, _| config.str(id).to_owned()).unwrap_or_default()
    }

    /// Tells the router what a look that began at `since` came to.
    fn tell(&self, seen: Seen, since: Instant) {
        let core = &mut *self.core.borrow_mut();
        if core.generation != self.generation {
            return;
        }
        let (result, error) = match seen {
            Seen::Up => (CheckResult::Up, None),
            Seen::Number(n) => (CheckResult::Value(n), None),
            Seen::Down(why) => (CheckResult::Down, Some(why)),
            Seen::NoNumber(why) => (CheckResult::Broken, Some(why)),
        };
        let now = clock::now();
        if let Some(runs) = core.runs.get_mut(self.check) {
            runs.count = runs.count.saturating_add(1);
            runs.fails = if error.is_some() { runs.fails.saturating_add(1) } else { 0 };
            (runs.last, runs.error) = (Some(now.since(since)), error.unwrap_or_default());
            runs.at = Some(since);
        }
        core.handle(Event::Check { check: self.id(), result }, now);
    }

    /// Looks once.
    async fn once(&self, look: &mut impl Look, timeout: Micros) -> Instant {
        look.ready().await;
        let since = clock::now();
        let seen = look.look(since + timeout).await;
        self.tell(seen, since);
        look.settle().await;
        since
    }

    /// Looks again and again: at once, if nothing is known yet.
    async fn keep(&self, mut look: impl Look, check: &Check, mut rhythm: Rhythm) {
        let mut told = true;
        // The router sees an interface's changes by itself; more looks are for those that must last.
        let sees = matches!(check.kind, CheckKind::Interface { .. }) && (check.rise, check.fall) == (1, 1);
        if rhythm.known {
            if sees {
                return;
            }
            rhythm.wait(self.context).await;
        }
        loop {
            let since = self.once(&mut look, check.timeout).await;
            if sees {
                return;
            }
            if !(told && look.is_told()) {
                rhythm.wait(self.context).await;
                continue;
            }
            let change = async {
                look.change().await?;
                if clock::now() < since + CALM {
                    sleep_until(self.context, since + CALM).await;
                }
                Ok::<(), io::Error>(())
            };
            let time = async {
                rhythm.wait(self.context).await;
                Ok(())
            };
            told = smol::future::or(change, time).await.is_ok();
        }
    }
}

/// The moments at which a check looks.
struct Rhythm {
    next: Instant,
    every: Micros,
    /// An equal check of an earlier configuration has looked.
    known: bool,
}

impl Rhythm {
    /// The place of check `c` of `n` that begin now; one that looked before goes on as it would have.
    fn new(every: Micros, c: usize, n: usize, last: Option<Instant>) -> Rhythm {
        let now = clock::now();
        let place = now + Micros(every.0 * (c as u64 + 1) / n.max(1) as u64);
        let next = last.map_or(place, |last| (last + every).max(now));
        Rhythm { next, every, known: last.is_some() }
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

/// Any kind of check, so that there is one loop for all.
enum Any<'a, F: FnMut() -> bool> {
    Script(Run<'a>),
    Process(Process<'a>),
    File(File<'a>),
    Interface(Interface<F>),
    Route(Route<'a>),
    Ping(Ping<'a>),
    Tcp(Tcp<'a>),
    Http(Http<'a>),
    Dns(Dns<'a>),
    Impossible(Impossible),
}

impl<F: FnMut() -> bool> Look for Any<'_, F> {
    async fn ready(&mut self) {
        if let Any::Script(look) = self {
            look.ready().await;
        }
    }

    async fn look(&mut self, deadline: Instant) -> Seen {
        match self {
            Any::Script(look) => look.look(deadline).await,
            Any::Process(look) => look.look(deadline).await,
            Any::File(look) => look.look(deadline).await,
            Any::Interface(look) => look.look(deadline).await,
            Any::Route(look) => look.look(deadline).await,
            Any::Ping(look) => look.look(deadline).await,
            Any::Tcp(look) => look.look(deadline).await,
            Any::Http(look) => look.look(deadline).await,
            Any::Dns(look) => look.look(deadline).await,
            Any::Impossible(look) => look.look(deadline).await,
        }
    }

    async fn settle(&mut self) {
        if let Any::Script(look) = self {
            look.settle().await;
        }
    }

    fn is_told(&self) -> bool {
        match self {
            Any::Process(look) => look.is_told(),
            Any::File(look) => look.is_told(),
            Any::Route(look) => look.is_told(),
            _ => false,
        }
    }

    async fn change(&mut self) -> io::Result<()> {
        match self {
            Any::Process(look) => look.change().await,
            Any::File(look) => look.change().await,
            Any::Route(look) => look.change().await,
            _ => std::future::pending().await,
        }
    }
}

/// A check, for as long as its configuration stands.
async fn run(task: Checking<'_>, children: &Children, permits: Rc<Permits>, n: usize) {
    let Some(check) = task.config(|_, check| *check) else { return };
    let context = task.context;
    let last = task.core.borrow().runs.get(task.check).and_then(|runs| runs.at);
    let rhythm = Rhythm::new(check.every, task.check, n, last);
    // The words that it works with, which the task outlives.
    let (first, second) = match check.kind {
        CheckKind::Script { command, .. } => (command, StrId::NONE),
        CheckKind::Process { name, params, .. } => (name, params),
        CheckKind::File { path } => (path, StrId::NONE),
        CheckKind::Http { url, contains, .. } => (url, contains),
        CheckKind::Dns { name, .. } => (name, StrId::NONE),
        CheckKind::Ping { from: Origin::Interface(name), .. }
        | CheckKind::Tcp { from: Origin::Interface(name), .. } => (name, StrId::NONE),
        _ => (StrId::NONE, StrId::NONE),
    };
    let (first, second) = (task.words(first), task.words(second));
    let given = Some(second.as_str()).filter(|words| !words.is_empty());
    let (user, secure) = match check.kind {
        CheckKind::Script { user, .. } => {
            let found = task.config(|config, _| (hooks::user_of_check(config, user), config.script_security));
            found.unwrap_or((Ok(None), true))
        }
        _ => (Ok(None), true),
    };
    let is_up = || task.core.borrow().router.interface_result(task.id()) == Some(CheckResult::Up);
    let look = match check.kind {
        CheckKind::Script { .. } => match &user {
            Ok(user) => {
                let command = Command { line: &first, extra: &[], env: &[], user: user.as_ref(), secure };
                Any::Script(Run::new(context, children, &permits, command))
            }
            Err(why) => Any::Impossible(Impossible(because(why))),
        },
        CheckKind::Process { min, max, full_command, delay, connector, .. } => {
            let (min, max) = (min as u32, max.map(u32::from));
            let matcher = Matcher { name: &first, full_command, params: given, min, max };
            let up = match task.core.borrow().router.check(task.check).map(|c| c.condition) {
                Some(Condition::Up) => Some(true),
                Some(Condition::Down) => Some(false),
                _ => None,
            };
            let (process, why) = Process::new(context, matcher, delay, connector, up);
            if let Some(why) = why {
                log::warn!("check {}: no connector ({why}): it looks at its interval alone", task.words(check.name));
            }
            Any::Process(process)
        }
        CheckKind::File { .. } => Any::File(File::new(context, &first, check.every)),
        CheckKind::Interface { .. } => Any::Interface(Interface { is_up }),
        CheckKind::Route { prefix, length, via, table } => {
            Any::Route(Route::new(context, RouteSpec { prefix, length, via, table }))
        }
        CheckKind::Ping { target, from } => Any::Ping(Ping { context, target, from: source(from, &first) }),
        CheckKind::Tcp { target, port, from } => {
            Any::Tcp(Tcp { context, target: SocketAddr::new(target, port), from: source(from, &first) })
        }
        CheckKind::Http { status, .. } => match Url::parse(&first) {
            Ok(url) => Any::Http(Http { context, url, expect: Expect { status, contains: given } }),
            Err(why) => Any::Impossible(Impossible(because(why))),
        },
        CheckKind::Dns { server, port, record, .. } => match Query::new(&first, record) {
            Ok(query) => Any::Dns(Dns { context, server: SocketAddr::new(server, port), query }),
            Err(why) => Any::Impossible(Impossible(because(why))),
        },
    };
    task.keep(look, &check, rhythm).await;
}

/// Where a probe leaves from; `name` is the interface's.
fn source(from: Origin, name: &str) -> Option<Source<'_>> {
    match from {
        Origin::Any => None,
        Origin::Address(ip) => Some(Source::Address(ip)),
        Origin::Interface(_) => Some(Source::Interface(name)),
    }
}
