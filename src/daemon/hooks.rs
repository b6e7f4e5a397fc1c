//! Which hooks an instance or a group has, and who they run as: the configuration, as the notifier asks
//! for it. And the daemon's own commands at its start and end.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use super::Core;
use crate::command::Command;
use crate::config::model::{Config, StrId};
use crate::notify::fifo::Fifo;
use crate::notify::queue::{Owner, State};
use crate::notify::{self, Notifier, Source};
use crate::router::Router;
use crate::router::event::{GroupTransition, Shown, Transition};
use crate::sys::context::Context;
use crate::sys::process::{Children, User, lookup_user};

/// The user that scripts run as where there is one of that name and the configuration names none.
const DEFAULT_USER: &str = "keepalived_script";

/// Looks hooks up when they start, so that a reload counts for what waits.
pub(super) struct Hooks(pub(super) Rc<RefCell<Core>>);

impl Source for Hooks {
    fn hooks(&self, owner: Owner, state: State) -> notify::Hooks {
        let core = self.0.borrow();
        let config = core.router.config();
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
            user: core.script_user.clone(),
            secure: config.script_security,
            timeout: config.notify_timeout,
        }
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

/// What waits to be told stays with its instance or group when another configuration has it in
/// another place.
pub(super) fn reorder(notifier: &Notifier, old: &Config, new: &Config) {
    notifier.reorder(&|owner| match owner {
        Owner::Instance(i) => {
            let name = old.str(old.instances.get(i as usize)?.name);
            let at = new.instances.iter().position(|i| new.str(i.name) == name)?;
            Some(Owner::Instance(at as u8))
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

/// The daemon's own command at its start or end, and the hotplug calls for it.
pub(super) async fn lifecycle(context: &Context, children: &Children, core: &RefCell<Core>, action: Lifecycle) {
    let (line, types, user, secure, timeout) = {
        let core = core.borrow();
        let config = core.router.config();
        let command = match action {
            Lifecycle::Startup => config.startup,
            Lifecycle::Shutdown => config.shutdown,
        };
        let words = |id| config.str(id).to_owned();
        (
            words(command.command),
            words(config.hotplug),
            core.script_user.clone(),
            config.script_security,
            command.timeout,
        )
    };
    let command = Command { line: &line, extra: &[], env: &[], user: user.as_ref(), secure };
    notify::run_hook(context, children, &command, timeout).await;
    let word = match action {
        Lifecycle::Startup => "startup",
        Lifecycle::Shutdown => "shutdown",
    };
    notify::call_hotplug(context, children, &types, word).await;
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
