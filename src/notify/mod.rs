//! Hooks: programs that are told of a new state, a FIFO, and OpenWrt's hotplug.
//!
//! [`Notifier::post`] writes the line of the FIFO and queues; [`Notifier::serve`] is the task that runs
//! what is queued. Neither waits for the other. [`queue`] has the order: for each instance and group
//! strictly one after the other, what is overtaken left out, a group behind its members.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::task::{Poll, Waker};

use core::fmt::Write;
use rustix::process::Signal;

use crate::check::{Reason, because};
use crate::command::{Command, Kind, failed, verdict};
use crate::sys::clock;
use crate::sys::context::Context;
use crate::sys::process::{Children, User};
use crate::sys::syslog::{Limiter, Verdict};
use crate::table::Table;
use crate::vrrp::timing::{Instant, Micros};

pub mod fifo;
pub mod queue;

use fifo::Fifo;
use queue::{Job, MAX_OWNERS, Owner, Queue, State};

/// What a hook may take, unless it is configured.
pub const NOTIFY_TIMEOUT: Micros = Micros::from_secs(60);
/// Hooks that begin at once, of all instances and groups together; one that has run for [`YOUNG`] counts
/// no more, so that those that hang hold up nobody else's for long.
const MAX_YOUNG: usize = 8;
const YOUNG: Micros = Micros::from_secs(2);
/// From TERM to KILL, and from there until a hook is given up.
const GRACE: Micros = Micros::from_secs(2);
/// What OpenWrt's hotplug scripts are called by.
const HOTPLUG_CALL: &str = "/sbin/hotplug-call";

/// A command line of the configuration.
pub type Line = heapless::String<512>;
/// The name of an instance or a group.
pub type Name = heapless::String<128>;

/// What is to be run for one job. Empty lines are not run.
#[derive(Clone, Debug)]
pub struct Hooks {
    /// The instance's or the group's name.
    pub name: Name,
    /// `notify-master` and its like, that of the job's state; it gets its own words alone.
    pub on_state: Line,
    /// `notify`, which gets what happened behind its own words.
    pub notify: Line,
    /// Hotplug types, with blanks between them.
    pub hotplug: Line,
    /// Who the first two run as; hotplug scripts are root's, or whoever we are.
    pub user: Option<User>,
    /// `script-security`.
    pub secure: bool,
    /// What each may take.
    pub timeout: Micros,
}

impl Default for Hooks {
    fn default() -> Hooks {
        Hooks {
            name: Name::new(),
            on_state: Line::new(),
            notify: Line::new(),
            hotplug: Line::new(),
            user: None,
            secure: true,
            timeout: NOTIFY_TIMEOUT,
        }
    }
}

/// Where the hooks of a job are looked up when it starts: the configuration.
pub trait Source {
    /// The owner's hooks for a state; the default if there is no such owner any more.
    fn hooks(&self, owner: Owner, state: State) -> Hooks;
}

/// The queue of hooks and the FIFO.
pub struct Notifier {
    queue: RefCell<Queue>,
    fifo: RefCell<Option<Fifo>>,
    server: Cell<Option<Waker>>,
    /// Hooks of owners that a reload has removed, by their lanes.
    last: RefCell<Table<(u32, Box<Hooks>), MAX_OWNERS>>,
    limiter: RefCell<Limiter<1>>,
}

impl Default for Notifier {
    fn default() -> Notifier {
        Notifier::new()
    }
}

impl Notifier {
    /// With nothing to do and no FIFO.
    pub fn new() -> Notifier {
        Notifier {
            queue: RefCell::default(),
            fifo: RefCell::default(),
            server: Cell::default(),
            last: RefCell::default(),
            limiter: RefCell::new(Limiter::new()),
        }
    }

    /// Says which instances a group has: at the start and after a reload.
    pub fn set_members(&self, group: u8, instances: impl Iterator<Item = u8>) {
        self.queue.borrow_mut().set_members(group, instances);
    }

    /// At a reload, before anything is posted by its places: `place` tells where each owner is now.
    pub fn reorder(&self, place: &dyn Fn(Owner) -> Option<Owner>) {
        self.queue.borrow_mut().reorder(place);
    }

    /// Writes to this FIFO from now on.
    pub fn set_fifo(&self, fifo: Option<Fifo>) {
        *self.fifo.borrow_mut() = fifo;
    }

    /// The FIFO, if there is one.
    pub fn fifo(&self) -> std::cell::Ref<'_, Option<Fifo>> {
        self.fifo.borrow()
    }

    fn write(&self, owner: Owner, name: &str, state: State, priority: u8) {
        if let Some(fifo) = &mut *self.fifo.borrow_mut() {
            let mut line = fifo::Line::new();
            // Names are shorter than a line.
            if writeln!(line, "{} \"{name}\" {} {priority}", owner.word(), state.word()).is_ok() {
                fifo.write(&line);
            }
        }
    }

    /// A new state: a line to the FIFO now, hooks as soon as it is their turn. The members of a
    /// group before the group.
    pub fn post(&self, owner: Owner, name: &str, state: State, priority: u8) {
        let priority = if let Owner::Group(_) = owner { 0 } else { priority };
        self.write(owner, name, state, priority);
        self.queue.borrow_mut().post(owner, state, priority);
        self.wake();
    }

    /// A reload removes the owner, whose last state this is: `hooks` are those that it had for it.
    pub fn dismiss(&self, owner: Owner, state: State, priority: u8, hooks: Hooks) {
        let priority = if let Owner::Group(_) = owner { 0 } else { priority };
        self.write(owner, &hooks.name, state, priority);
        if let Some(lane) = self.queue.borrow_mut().dismiss(owner, state, priority) {
            // There is a place for each.
            let _ = self.last.borrow_mut().push((lane, Box::new(hooks)));
        }
        self.wake();
    }

    fn wake(&self) {
        if let Some(server) = self.server.take() {
            server.wake();
        }
    }

    /// Whether all hooks have ended.
    pub fn is_idle(&self) -> bool {
        self.queue.borrow().is_idle()
    }

    /// How many states wait to be told.
    pub fn waiting(&self) -> usize {
        self.queue.borrow().waiting()
    }

    /// The task that runs hooks, for ever. Dropping it leaves those that run to themselves.
    pub async fn serve(&self, context: &Context, children: &Children, source: &dyn Source) {
        type Running<'a> = (Job, Instant, Pin<Box<dyn Future<Output = ()> + 'a>>);
        let mut running: Vec<Running<'_>> = Vec::new();
        let mut timer: Option<Pin<Box<dyn Future<Output = std::io::Result<()>> + '_>>> = None;
        poll_fn(|cx| {
            loop {
                let now = clock::now();
                let young = |running: &[Running<'_>]| running.iter().filter(|r| r.1 + YOUNG > now).count();
                while young(&running) < MAX_YOUNG && running.len() < MAX_OWNERS {
                    let Some(job) = self.start_next() else { break };
                    running.push((job, now, Box::pin(self.run(context, children, source, job))));
                }
                let before = running.len();
                // One waker for all of them: polling one that waits is cheap.
                running.retain_mut(|(job, _, work)| {
                    let over = work.as_mut().poll(cx).is_ready();
                    if over {
                        self.queue.borrow_mut().finished(job);
                    }
                    !over
                });
                if running.len() == before {
                    break;
                }
            }
            // If many have just begun, more begin when they are no longer young.
            timer = None;
            if self.waiting() > 0
                && let Some(first) = running.iter().map(|r| r.1 + YOUNG).filter(|t| *t > clock::now()).min()
            {
                let mut sleep = Box::pin(context.sleep_until(first));
                if sleep.as_mut().poll(cx).is_ready() {
                    cx.waker().wake_by_ref();
                }
                timer = Some(sleep);
            }
            self.server.set(Some(cx.waker().clone()));
            Poll::<()>::Pending
        })
        .await;
        drop(timer);
    }

    fn start_next(&self) -> Option<Job> {
        self.queue.borrow_mut().start_next()
    }

    fn hooks(&self, source: &dyn Source, job: &Job) -> Box<Hooks> {
        let mut last = self.last.borrow_mut();
        match last.iter().position(|(lane, _)| *lane == job.lane) {
            Some(at) if self.queue.borrow().is_dismissed(job) => last.swap_remove(at).1,
            _ => Box::new(source.hooks(job.owner, job.state)),
        }
    }

    /// All hooks of one job, one after the other.
    async fn run(&self, context: &Context, children: &Children, source: &dyn Source, job: Job) {
        let hooks = self.hooks(source, &job);
        let hook = async |command: &Command<'_>| {
            let run = run_hook(context, children, command, hooks.timeout, pending()).await;
            if let Err(why) = run {
                self.complain(command.line, &why);
            }
        };
        let (kind, state) = (job.owner.word(), job.state.word());
        let mut digits: heapless::String<3> = heapless::String::new();
        // A priority has three digits at most.
        let _ = write!(digits, "{}", job.priority);
        let told = [kind, hooks.name.as_str(), state, digits.as_str()];
        let plain =
            Command { line: &hooks.on_state, extra: &[], env: &[], user: hooks.user.as_ref(), secure: hooks.secure };
        hook(&plain).await;
        hook(&Command { line: &hooks.notify, extra: &told, ..plain }).await;
        if hooks.hotplug.is_empty() {
            return;
        }
        let mut action: heapless::String<16> = heapless::String::new();
        let _ = write!(action, "NOTIFY_{state}");
        let env = [("ACTION", action.as_str()), ("TYPE", kind), ("NAME", hooks.name.as_str())];
        for name in hooks.hotplug.split_ascii_whitespace() {
            // What OpenWrt's keepalived configures: no such call when a group stops, but one for every
            // state of a group by arguments.
            let group = matches!(job.owner, Owner::Group(_));
            if !(group && job.state == State::Stop) {
                hook(&hotplug(&[name], &env)).await;
            }
            if group {
                let words = [name, kind, hooks.name.as_str(), state, digits.as_str()];
                hook(&hotplug(&words, &[("ACTION", "NOTIFY")])).await;
            }
        }
    }

    /// A hook that fails each time must not fill the log.
    fn complain(&self, line: &str, why: &Reason) {
        match self.limiter.borrow_mut().allow(0, clock::now()) {
            Verdict::Log => log::warn!("hook {line}: {why}"),
            Verdict::LogWithSuppressed(n) => log::warn!("hook {line}: {why} ({n} more like it)"),
            Verdict::Drop => {}
        }
    }
}

fn hotplug<'a>(extra: &'a [&'a str], env: &'a [(&'a str, &'a str)]) -> Command<'a> {
    Command { line: HOTPLUG_CALL, extra, env, user: None, secure: true }
}

/// The hotplug call of one type, `name`, when the daemon starts or stops, which `env` says.
pub fn lifecycle_call<'a>(name: &'a [&'a str; 1], env: &'a [(&'a str, &'a str); 1]) -> Command<'a> {
    hotplug(name, env)
}

/// Runs a hook, or a startup or shutdown command, to its end, or until `timeout` or `stop`, when its
/// process group is killed. Nothing happens for an empty line. The error says what went wrong.
pub async fn run_hook(
    context: &Context,
    children: &Children,
    command: &Command<'_>,
    timeout: Micros,
    stop: impl Future<Output = ()>,
) -> Result<(), Reason> {
    if command.line.is_empty() {
        return Ok(());
    }
    let child = command.start(children, Kind::Hook)?;
    let end = |wait| context.by(clock::now() + wait, async { Ok(child.ended().await) });
    let stopped = async {
        stop.await;
        Err(std::io::ErrorKind::Interrupted.into())
    };
    match smol::future::or(end(timeout), stopped).await {
        Ok(ended) => verdict(&child, ended),
        Err(e) => {
            child.signal_group(Signal::TERM);
            if end(GRACE).await.is_err() {
                child.signal_group(Signal::KILL);
                // One that does not end even so is reaped whenever it does.
                let _ = end(GRACE).await;
            }
            Err(match e.kind() {
                std::io::ErrorKind::TimedOut => because("not over in time: killed"),
                std::io::ErrorKind::Interrupted => because("the daemon stops: killed"),
                _ => failed("not waited for any longer: killed", &e),
            })
        }
    }
}

#[cfg(test)]
mod tests;
