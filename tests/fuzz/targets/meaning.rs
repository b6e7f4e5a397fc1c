//! A configuration as it is meant: two are equal if their texts are, wherever those stand in the pools.

use picovrrp::config::model::{
    Address, Check, CheckKind, Config, Group, Hooks, Instance, Lifecycle, Origin, Range, Route, StrId, Tracked,
};

/// Takes the texts out of a configuration, in an order that depends on nothing else.
struct Texts<'c> {
    config: &'c Config,
    out: Vec<String>,
}

impl Texts<'_> {
    fn take(&mut self, id: &mut StrId) {
        self.out.push(self.config.str(*id).into());
        *id = StrId::NONE;
    }

    fn hooks(&mut self, hooks: &mut Hooks) {
        let Hooks { any, master, backup, fault, stop } = hooks;
        [any, master, backup, fault, stop].into_iter().for_each(|id| self.take(id));
    }

    /// The entries of a range, told by what `tell` makes of them.
    fn range<T: Copy + core::fmt::Debug>(
        &mut self,
        range: &mut Range,
        pool: &[T],
        mut tell: impl FnMut(&mut Self, &mut T),
    ) {
        let entries = range.of(pool);
        assert_eq!(entries.len(), range.len as usize, "a range that is not in its pool");
        self.out.push(format!("{} entries", entries.len()));
        for entry in entries {
            let mut entry = *entry;
            tell(self, &mut entry);
            self.out.push(format!("{entry:?}"));
        }
        *range = Range::default();
    }

    fn addresses(&mut self, range: &mut Range) {
        self.range(range, &self.config.addresses, |texts, Address { dev, label, .. }| {
            [dev, label].into_iter().for_each(|id| texts.take(id));
        });
    }

    fn routes(&mut self, range: &mut Range) {
        self.range(range, &self.config.routes, |texts, Route { dev, .. }| texts.take(dev));
    }

    fn tracks(&mut self, range: &mut Range) {
        self.range(range, &self.config.tracks, |texts, track| match &mut track.what {
            Tracked::Interface(name) | Tracked::Check(name) => texts.take(name),
        });
    }

    fn check(&mut self, check: &mut Check) {
        self.take(&mut check.name);
        match &mut check.kind {
            CheckKind::Script { command, user } => [command, user].into_iter().for_each(|id| self.take(id)),
            CheckKind::Process { name, params, .. } => [name, params].into_iter().for_each(|id| self.take(id)),
            CheckKind::File { path: id } | CheckKind::Interface { interface: id } | CheckKind::Dns { name: id, .. } => {
                self.take(id);
            }
            CheckKind::Http { url, contains, .. } => [url, contains].into_iter().for_each(|id| self.take(id)),
            CheckKind::Ping { from, .. } | CheckKind::Tcp { from, .. } => {
                if let Origin::Interface(name) = from {
                    self.take(name);
                }
            }
            CheckKind::Route { .. } => {}
        }
    }

    fn instance(&mut self, instance: &mut Instance) {
        let Instance { name, interface, vmac, addresses, routes, peers, tracks, hooks, .. } = instance;
        [name, interface, vmac].into_iter().for_each(|id| self.take(id));
        self.addresses(addresses);
        self.routes(routes);
        self.range(peers, &self.config.peers, |_, _| {});
        self.tracks(tracks);
        self.hooks(hooks);
    }

    fn group(&mut self, group: &mut Group) {
        let Group { name, members, tracks, hooks, weights: _ } = group;
        self.take(name);
        self.range(members, &self.config.members, |texts, name| texts.take(name));
        self.tracks(tracks);
        self.hooks(hooks);
    }
}

/// All that a configuration says.
pub(super) fn meaning(config: &Config) -> Vec<String> {
    let mut texts = Texts { config, out: Vec::new() };
    let mut own = Box::new(config.clone());
    // Each field is named, so that none is forgotten.
    let Config {
        router_id,
        log_unknown,
        strict,
        log_level,
        script_user,
        script_security,
        startup_delay,
        max_children,
        notify_timeout,
        notify_fifo,
        hotplug,
        link_delays,
        startup: Lifecycle { command: startup, timeout: startup_timeout },
        shutdown: Lifecycle { command: shutdown, timeout: shutdown_timeout },
        checks,
        groups,
        members: _,
        instances,
        addresses: _,
        static_addresses,
        routes: _,
        static_routes,
        peers: _,
        tracks: _,
        strings: _,
    } = &mut *own;
    for id in [router_id, script_user, notify_fifo, hotplug, startup, shutdown] {
        texts.take(id);
    }
    link_delays.iter_mut().for_each(|delay| texts.take(&mut delay.interface));
    texts.addresses(static_addresses);
    texts.routes(static_routes);
    checks.iter_mut().for_each(|c| texts.check(c));
    instances.iter_mut().for_each(|i| texts.instance(i));
    groups.iter_mut().for_each(|g| texts.group(g));
    let mut out = texts.out;
    out.push(format!(
        "{:?}",
        (
            (log_unknown, strict, log_level, script_security, startup_delay, max_children, notify_timeout),
            (startup_timeout, shutdown_timeout, link_delays, checks, instances, groups),
        )
    ));
    out
}
