//! Hooks: programs that are told of a new state, a FIFO, and OpenWrt's hotplug.
//!
//! [`Notifier::post`] writes the line of the FIFO and queues; [`Notifier::serve`] is the task that runs
//! what is queued. Neither waits for the other. [`queue`] has the order: for each instance and group
//! strictly one after the other, what is overtaken left out, a group behind its members.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Poll, Waker};

use core::fmt::Write;
use rustix::process::Signal;

use crate::command::{Command, Kind, failed, verdict};
use crate::sys::clock;
use crate::sys::context::Context;
use crate::sys::process::{Children, User};
use crate::vrrp::timing::Micros;

pub mod fifo;
pub mod queue;

use fifo::Fifo;
use queue::{Job, MAX_HOOKS, Owner, Queue, State};

/// What a hook may take, unless it is configured.
pub const NOTIFY_TIMEOUT: Micros = Micros::from_secs(60);
/// What the hotplug calls at start and shutdown may take.
const LIFECYCLE_TIMEOUT: Micros = Micros::from_secs(10);
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
#[derive(Default)]
pub struct Notifier {
    queue: RefCell<Queue>,
    fifo: RefCell<Option<Fifo>>,
    server: Cell<Option<Waker>>,
}

impl Notifier {
    /// With nothing to do and no FIFO.
    pub fn new() -> Notifier {
        Notifier::default()
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

    /// A new state: a line to the FIFO now, hooks as soon as it is their turn. The members of a
    /// group before the group.
    pub fn post(&self, owner: Owner, name: &str, state: State, priority: u8) {
        let priority = if let Owner::Group(_) = owner { 0 } else { priority };
        if let Some(fifo) = &mut *self.fifo.borrow_mut() {
            let mut line = fifo::Line::new();
            // Names are shorter than a line.
            if writeln!(line, "{} \"{name}\" {} {priority}", owner.word(), state.word()).is_ok() {
                fifo.write(&line);
            }
        }
        self.queue.borrow_mut().post(owner, state, priority);
        if let Some(server) = self.server.take() {
            server.wake();
        }
    }

    /// Whether all hooks have ended.
    pub fn is_idle(&self) -> bool {
        self.queue.borrow().is_idle()
    }

    /// Lines that the FIFO had no room for.
    pub fn dropped(&self) -> u32 {
        self.fifo.borrow().as_ref().map_or(0, Fifo::dropped)
    }

    /// States of which no hook was told, because a newer one came first.
    pub fn superseded(&self) -> u32 {
        self.queue.borrow().superseded()
    }

    /// The task that runs hooks, for ever. Dropping it leaves those that run to themselves.
    pub async fn serve(&self, context: &Context, children: &Children, source: &dyn Source) {
        type Running<'a> = (Job, Pin<Box<dyn Future<Output = ()> + 'a>>);
        let mut running: heapless::Vec<Running<'_>, MAX_HOOKS> = heapless::Vec::new();
        poll_fn(|cx| {
            loop {
                while let Some(job) = self.start_next() {
                    // The queue starts no more than there is room for.
                    let _ = running.push((job, Box::pin(run(context, children, source, job))));
                }
                let before = running.len();
                // One waker for all of them: polling one that waits is cheap.
                running.retain_mut(|(job, work)| {
                    let over = work.as_mut().poll(cx).is_ready();
                    if over {
                        self.queue.borrow_mut().finished(job);
                    }
                    !over
                });
                if running.len() == before {
                    self.server.set(Some(cx.waker().clone()));
                    return Poll::<()>::Pending;
                }
            }
        })
        .await;
    }

    fn start_next(&self) -> Option<Job> {
        self.queue.borrow_mut().start_next()
    }
}

/// All hooks of one job, one after the other.
async fn run(context: &Context, children: &Children, source: &dyn Source, job: Job) {
    let hooks = source.hooks(job.owner, job.state);
    let (kind, state) = (job.owner.word(), job.state.word());
    let mut digits: heapless::String<3> = heapless::String::new();
    // A priority has three digits at most.
    let _ = write!(digits, "{}", job.priority);
    let told = [kind, hooks.name.as_str(), state, digits.as_str()];
    let plain =
        Command { line: &hooks.on_state, extra: &[], env: &[], user: hooks.user.as_ref(), secure: hooks.secure };
    run_hook(context, children, &plain, hooks.timeout).await;
    run_hook(context, children, &Command { line: &hooks.notify, extra: &told, ..plain }, hooks.timeout).await;
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
            run_hook(context, children, &hotplug(&[name], &env), hooks.timeout).await;
        }
        if group {
            let words = [name, kind, hooks.name.as_str(), state, digits.as_str()];
            run_hook(context, children, &hotplug(&words, &[("ACTION", "NOTIFY")]), hooks.timeout).await;
        }
    }
}

fn hotplug<'a>(extra: &'a [&'a str], env: &'a [(&'a str, &'a str)]) -> Command<'a> {
    Command { line: HOTPLUG_CALL, extra, env, user: None, secure: true }
}

/// The hotplug calls when the daemon starts (`startup`) or stops (`shutdown`), for types with blanks between them.
pub async fn call_hotplug(context: &Context, children: &Children, types: &str, action: &str) {
    for name in types.split_ascii_whitespace() {
        run_hook(context, children, &hotplug(&[name], &[("ACTION", action)]), LIFECYCLE_TIMEOUT).await;
    }
}

/// Runs a hook, or a startup or shutdown command, to its end or `timeout`, when its process group
/// is killed. What goes wrong is logged. Nothing happens for an empty line.
pub async fn run_hook(context: &Context, children: &Children, command: &Command<'_>, timeout: Micros) {
    let line = command.line;
    if line.is_empty() {
        return;
    }
    let child = match command.start(children, Kind::Hook) {
        Ok(child) => child,
        Err(why) => return log::warn!("hook {line}: {why}"),
    };
    let end = |wait| context.by(clock::now() + wait, async { Ok(child.ended().await) });
    match end(timeout).await {
        Ok(ended) => {
            if let Err(why) = verdict(&child, ended) {
                log::warn!("hook {line}: {why}");
            }
        }
        Err(e) => {
            log::warn!("hook {line}: {}: killed", failed("not waited for any longer", &e));
            child.signal_group(Signal::TERM);
            if end(GRACE).await.is_err() {
                child.signal_group(Signal::KILL);
                // One that does not end even so is reaped whenever it does.
                let _ = end(GRACE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
