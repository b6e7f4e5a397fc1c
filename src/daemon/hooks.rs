//! Which hooks an instance or a group has, and who they run as: the configuration, as the notifier asks
//! for it. And the daemon's own commands at its start and end.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::path::Path;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::Core;
use crate::command::Command;
use crate::config::model::{Config, Lifecycle as LifecycleConfig, MAX_INSTANCES, StrId};
use crate::notify::fifo::Fifo;
use crate::notify::queue::{Owner, State};
use crate::notify::{self, Notifier, Source};
use crate::router::event::{GroupTransition, Shown, Transition};
use crate::router::{Router, counterpart};
use crate::sys::clock;
use crate::sys::context::Context;
use crate::sys::process::{Children, User, lookup_user};
use crate::vrrp::timing::{Instant, Micros};

/// The user that scripts run as where there is one of that name and the configuration names none.
const DEFAULT_USER: &str = "keepalived_script";

/// What a command of the end may take however late it begins.
const AT_LEAST: Micros = Micros::from_secs(2);

/// Looks hooks up when they start, so that a reload counts for what waits.
pub(super) struct Hooks(pub(super) Rc<RefCell<Core>>);

impl Source for Hooks {
    fn hooks(&self, owner: Owner, state: State) -> notify::Hooks {
        let core = self.0.borrow();
        hooks_of(core.router.config(), core.script_user.as_ref(), owner, state)
    }
}

/// The hooks of an instance or a group for a state.
fn hooks_of(config: &Config, user: Option<&User>, owner: Owner, state: State) -> notify::Hooks {
    let found = match owner {
        Owner::Instance(i) => config.instances.get(i as usize).map(|i| (i.name, i.hooks)),
        Owner::Group(g) => config.groups.get(g as usize).map(|g| (g.name, g.hooks)),
    };
    let Some((name, hooks)) = found else { return notify::Hooks::default() };
    let on_state = match state {
        State::Master => hooks.master,
        State::Backup => hooks.backup,
        State::Fault => hooks.fault,
        State::Stop => hooks.stop,
    };
    notify::Hooks {
        name: text(config, name),
        on_state: text(config, on_state),
        notify: text(config, hooks.any),
        hotplug: text(config, config.hotplug),
        user: user.cloned(),
        secure: config.script_security,
        timeout: config.notify_timeout,
    }
}

/// A string of the configuration, whose own limits keep it within `N` bytes.
fn text<const N: usize>(config: &Config, id: StrId) -> heapless::String<N> {
    let mut s = heapless::String::new();
    let _ = s.push_str(config.str(id));
    s
}

fn state(shown: Shown) -> Option<State> {
    match shown {
        Shown::Master => Some(State::Master),
        Shown::Backup => Some(State::Backup),
        Shown::Fault => Some(State::Fault),
        Shown::Stop => Some(State::Stop),
        Shown::Init => None,
    }
}

/// Queues the hooks of a transition.
pub(super) fn post(router: &Router, notifier: &Notifier, t: &Transition) {
    let Some(state) = state(t.to) else { return };
    let name = router.view(t.instance.0 as usize).map_or("", |v| v.name);
    notifier.post(Owner::Instance(t.instance.0), name, state, t.priority);
}

/// Queues the hooks of a group's transition.
pub(super) fn post_group(router: &Router, notifier: &Notifier, t: &GroupTransition) {
    let Some(state) = state(t.to) else { return };
    let name = router.group(t.group.0 as usize).map_or("", |g| g.name);
    notifier.post(Owner::Group(t.group.0), name, state, 0);
}

/// Tells the notifier which instances are in which group.
pub(super) fn tell_members(router: &Router, notifier: &Notifier) {
    for g in 0..router.config().groups.len() {
        notifier.set_members(g as u8, router.members(g).map(|i| i as u8));
    }
}

/// Whether somebody was told that it is in use.
fn in_use(shown: Shown) -> bool {
    matches!(shown, Shown::Master | Shown::Backup)
}

/// Tells those that the configuration `new` removes, or replaces by others of the same name, that they are
/// no more: as keepalived does, with FAULT, which every script knows what to do with. And what waits to be
/// told stays with its instance or group when `new` has it in another place.
pub(super) fn change(router: &Router, notifier: &Notifier, user: Option<&User>, new: &Config) {
    let old = router.config();
    let mut replaced: heapless::Vec<(u8, u8), MAX_INSTANCES> = heapless::Vec::new();
    for i in 0..old.instances.len() {
        let Some(view) = router.view(i).filter(|v| in_use(v.state)) else { continue };
        match place(old, i, new) {
            Some((n, true)) => {
                let name = new.instances.get(n).map_or("", |n| new.str(n.name));
                if name != view.name {
                    log::info!("{} goes on as {name}", view.name);
                }
            }
            // There is a place for every instance.
            Some((n, false)) => drop(replaced.push((n as u8, view.effective_priority))),
            None => {
                log::info!("{}: {} -> gone: the configuration has it no more", view.name, view.state.word());
                let owner = Owner::Instance(i as u8);
                let hooks = hooks_of(old, user, owner, State::Fault);
                notifier.dismiss(owner, State::Fault, view.effective_priority, hooks);
            }
        }
    }
    for g in 0..old.groups.len() {
        let Some(view) = router.group(g).filter(|v| in_use(v.state)) else { continue };
        if !new.groups.iter().any(|n| new.str(n.name) == view.name) {
            log::info!("group {}: {} -> gone: the configuration has it no more", view.name, view.state.word());
            let owner = Owner::Group(g as u8);
            notifier.dismiss(owner, State::Fault, 0, hooks_of(old, user, owner, State::Fault));
        }
    }
    reorder(notifier, old, new);
    for (n, priority) in replaced {
        let name = new.instances.get(n as usize).map_or("", |i| new.str(i.name));
        log::info!("{name}: gone: the configuration has another of this name");
        notifier.post(Owner::Instance(n), name, State::Fault, priority);
    }
}

/// What becomes of instance `o` of `old`: the one that it goes on as, with `true`, or another that has its
/// name and is nobody else's continuation.
fn place(old: &Config, o: usize, new: &Config) -> Option<(usize, bool)> {
    if let Some(n) = counterpart(old, o, new) {
        return Some((n, true));
    }
    let name = old.str(old.instances.get(o)?.name);
    let n = new.instances.iter().position(|n| new.str(n.name) == name)?;
    let taken = (0..old.instances.len()).any(|o| counterpart(old, o, new) == Some(n));
    (!taken).then_some((n, false))
}

/// What waits to be told stays with its instance or group when another configuration has it in
/// another place.
fn reorder(notifier: &Notifier, old: &Config, new: &Config) {
    notifier.reorder(&|owner| match owner {
        Owner::Instance(i) => {
            old.instances.get(i as usize)?;
            place(old, i as usize, new).map(|(at, _)| Owner::Instance(at as u8))
        }
        Owner::Group(g) => {
            let name = old.str(old.groups.get(g as usize)?.name);
            let at = new.groups.iter().position(|g| new.str(g.name) == name)?;
            Some(Owner::Group(at as u8))
        }
    });
}

/// Opens the FIFO that `config` names. Without it the daemon runs all the same.
pub(super) fn open_fifo(config: &Config) -> Option<Fifo> {
    let path = config.str(config.notify_fifo);
    if path.is_empty() {
        return None;
    }
    Fifo::open(Path::new(path)).inspect_err(|e| log::warn!("notify-fifo {path}: {e}")).ok()
}

/// The daemon's own command at its start or end, and the hotplug calls for it; each is over when `until`
/// says so, and when the daemon is told to stop if it is the start's.
pub(super) async fn lifecycle(
    context: &Context,
    children: &Children,
    core: &RefCell<Core>,
    action: Lifecycle,
    until: Option<Instant>,
    stop: &Flag,
) {
    let (line, types, user, secure, timeout) = {
        let core = core.borrow();
        let config = core.router.config();
        let command = match action {
            Lifecycle::Startup => config.startup,
            Lifecycle::Shutdown => config.shutdown,
        };
        let words = |id| config.str(id).to_owned();
        let secure = config.script_security;
        (words(command.command), words(config.hotplug), core.script_user.clone(), secure, command.timeout)
    };
    // A user who gives the command more time than it has by itself has seen to his supervisor too.
    let within = |timeout: Micros| match until {
        Some(until) if timeout <= LifecycleConfig::default().timeout => {
            timeout.min(until.since(clock::now()).max(AT_LEAST))
        }
        _ => timeout,
    };
    let run = async |command: &Command<'_>, timeout: Micros| {
        let done = notify::run_hook(context, children, command, within(timeout), stop.wait()).await;
        if let Err(why) = done {
            log::warn!("hook {}: {why}", command.line);
        }
    };
    run(&Command { line: &line, extra: &[], env: &[], user: user.as_ref(), secure }, timeout).await;
    let word = match action {
        Lifecycle::Startup => "startup",
        Lifecycle::Shutdown => "shutdown",
    };
    for name in types.split_ascii_whitespace() {
        let timeout = LifecycleConfig::default().timeout;
        run(&notify::lifecycle_call(&[name], &[("ACTION", word)]), timeout).await;
    }
}

/// Raised once, and waited for by one task.
#[derive(Default)]
pub(super) struct Flag {
    raised: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Flag {
    pub(super) fn raise(&self) {
        self.raised.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            if self.raised.get() {
                return Poll::Ready(());
            }
            self.waker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// Which of the daemon's own commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifecycle {
    Startup,
    Shutdown,
}

/// Whether `config` has anything to run at the daemon's start or end.
pub(super) fn has(config: &Config, action: Lifecycle) -> bool {
    let command = match action {
        Lifecycle::Startup => config.startup,
        Lifecycle::Shutdown => config.shutdown,
    };
    !command.command.is_empty() || !config.hotplug.is_empty()
}

/// Who scripts of `config` run as: `None` for ourselves. The error says which user there is not.
pub fn script_user(config: &Config) -> Result<Option<User>, String> {
    let named = config.str(config.script_user);
    if named.is_empty() {
        return Ok(lookup_user(DEFAULT_USER).ok());
    }
    lookup_user(named).map(Some).map_err(|e| format!("script-user {named}: {e}"))
}

/// Who a check's script runs as: its own user, if it has one.
pub fn user_of_check(config: &Config, user: StrId) -> Result<Option<User>, String> {
    let named = config.str(user);
    if named.is_empty() {
        return script_user(config);
    }
    lookup_user(named).map(Some).map_err(|e| format!("user {named}: {e}"))
}
