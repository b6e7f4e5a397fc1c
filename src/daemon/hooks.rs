//! Which hooks an instance has, and who they run as: the configuration, as the notifier asks for it.

use std::cell::RefCell;
use std::rc::Rc;

use super::Core;
use crate::config::model::{Config, StrId};
use crate::notify::queue::{Owner, State};
use crate::notify::{self, Notifier, Source};
use crate::router::Router;
use crate::router::event::{Shown, Transition};
use crate::sys::process::{User, lookup_user};

/// The user that scripts run as where there is one of that name and the configuration names none.
const DEFAULT_USER: &str = "keepalived_script";

/// Looks hooks up when they start, so that a reload counts for what waits.
pub(super) struct Hooks(pub(super) Rc<RefCell<Core>>);

impl Source for Hooks {
    fn hooks(&self, owner: Owner, state: State) -> notify::Hooks {
        let core = self.0.borrow();
        let config = core.router.config();
        let Owner::Instance(i) = owner else { return notify::Hooks::default() };
        let Some(instance) = config.instances.get(i as usize) else { return notify::Hooks::default() };
        let on_state = match state {
            State::Master => instance.hooks.master,
            State::Backup => instance.hooks.backup,
            State::Fault => instance.hooks.fault,
            State::Stop => instance.hooks.stop,
        };
        notify::Hooks {
            name: text(config, instance.name),
            on_state: text(config, on_state),
            notify: text(config, instance.hooks.any),
            user: core.script_user.clone(),
            secure: config.script_security,
            ..notify::Hooks::default()
        }
    }
}

/// A string of the configuration, whose own limits keep it within `N` bytes.
fn text<const N: usize>(config: &Config, id: StrId) -> heapless::String<N> {
    let mut s = heapless::String::new();
    let _ = s.push_str(config.str(id));
    s
}

/// Queues the hooks of a transition.
pub(super) fn post(router: &Router, notifier: &Notifier, t: &Transition) {
    let state = match t.to {
        Shown::Master => State::Master,
        Shown::Backup => State::Backup,
        Shown::Fault => State::Fault,
        Shown::Stop => State::Stop,
        Shown::Init => return,
    };
    let name = router.view(t.instance.0 as usize).map_or("", |v| v.name);
    notifier.post(Owner::Instance(t.instance.0), name, state, t.priority);
}

/// Who scripts of `config` run as: `None` for ourselves. The error says which user there is not.
pub fn script_user(config: &Config) -> Result<Option<User>, String> {
    let named = config.str(config.script_user);
    if named.is_empty() {
        return Ok(lookup_user(DEFAULT_USER).ok());
    }
    lookup_user(named).map(Some).map_err(|e| format!("script-user {named}: {e}"))
}
