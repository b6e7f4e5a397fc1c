//! Routes that move with an instance, and what is static: addresses and routes that are there from
//! start to stop, whatever the instances do.
//!
//! Whether a route is there is never asked for: it is added once more, which a kernel that has it
//! refuses. That costs the same whatever the length of the tables. So a route that vanished is put
//! back by [`Event::Routes`](super::Event::Routes), which may come for nothing.

use super::event::{InstanceId, Report, RouteId, RouteSpec};
use super::{Action, Actions, Phase, Router};
use crate::config::model::{Range, Route};
use serde::{Deserialize, Serialize};

/// How a route stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Hold {
    /// Not there by us.
    #[default]
    Off,
    /// Added; unless the kernel refused, which is still to be heard.
    Added,
    /// Ours, and there when we last looked.
    Kept,
    /// Ours to remove, but perhaps not there.
    Lost,
    /// One that is not ours is there.
    Foreign,
}

/// State of one route.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RouteSlot {
    /// Its interface, in `links`; `None` where the kernel is to find it.
    link: Option<u8>,
    /// Whose it is; `None` if it is static.
    instance: Option<u8>,
    pub(super) hold: Hold,
    /// It was told that another is there.
    pub(super) told: bool,
}

impl Router {
    pub(super) fn make_routes(&mut self) {
        for r in 0..self.config.routes.len() {
            let route = self.config.routes[r];
            let owner = self.config.instances.iter().position(|i| i.routes.indices().contains(&r));
            let dev = self.config.device_of_route(owner.and_then(|i| self.config.instances.get(i)), &route);
            let link = (!dev.is_empty()).then(|| self.link_named(dev));
            let instance = owner.map(|i| i as u8);
            // As large as the configuration's pool.
            let _ = self.routes.push(RouteSlot { link, instance, ..RouteSlot::default() });
        }
    }

    /// Whether what belongs to this instance, or is static, is to be there.
    pub(super) fn wants(&self, instance: Option<u8>) -> bool {
        match instance {
            Some(i) => self.holds(i as usize),
            None => match self.phase {
                Phase::Delayed(_) | Phase::Running => true,
                Phase::Stopping => !self.is_stopped(),
                Phase::New | Phase::Reloading => false,
            },
        }
    }

    /// A route as it is put into its table; `None` while its interface does not exist.
    pub fn route_spec(&self, id: RouteId) -> Option<RouteSpec> {
        let r = id.0 as usize;
        let (slot, route) = (self.routes.get(r)?, *self.config.routes.get(r)?);
        let ifindex = slot.link.map_or(0, |l| self.links[l as usize].ifindex);
        (slot.link.is_none() || ifindex != 0).then_some(RouteSpec { id, ifindex, route })
    }

    /// The name of the interface that route `id` leads through; empty where the kernel finds it.
    pub fn route_device(&self, id: RouteId) -> &str {
        let link = self.routes.get(id.0 as usize).and_then(|slot| slot.link);
        link.map_or("", |l| self.config.str(self.links[l as usize].name))
    }

    /// The routes that are there, or may be put there, by us: with the names of their interfaces.
    pub fn own_routes(&self) -> impl Iterator<Item = (RouteId, &str, &Route)> {
        let own = self.routes.iter().zip(&self.config.routes).enumerate().filter(|(_, (s, _))| s.hold != Hold::Foreign);
        own.map(|(r, (_, route))| (RouteId(r as u16), self.route_device(RouteId(r as u16)), route))
    }

    /// Whether there are routes to look after.
    pub fn has_routes(&self) -> bool {
        !self.routes.is_empty()
    }

    /// Whether a route should be there and is not.
    pub fn lacks_routes(&self) -> bool {
        self.routes.iter().any(|s| matches!(s.hold, Hold::Off | Hold::Lost) && self.wants(s.instance))
    }

    pub(super) fn install_routes(&mut self, routes: Range, out: &mut dyn Actions) {
        for r in routes.indices() {
            if !matches!(self.routes[r].hold, Hold::Added | Hold::Kept) {
                self.put_route(r, out);
            }
        }
    }

    fn put_route(&mut self, r: usize, out: &mut dyn Actions) {
        let Some(spec) = self.route_spec(RouteId(r as u16)) else { return };
        let hold = &mut self.routes[r].hold;
        if matches!(hold, Hold::Off | Hold::Foreign) {
            *hold = Hold::Added;
            out.act(Action::AddRoute(spec));
        } else {
            *hold = Hold::Kept;
            out.act(Action::KeepRoute(spec));
        }
    }

    pub(super) fn uninstall_routes(&mut self, routes: Range, out: &mut dyn Actions) {
        for r in routes.indices().rev() {
            let was = self.routes[r].hold;
            if matches!(was, Hold::Added | Hold::Kept | Hold::Lost) {
                self.routes[r].hold = Hold::Off;
                if let Some(spec) = self.route_spec(RouteId(r as u16)) {
                    out.act(Action::RemoveRoute(spec));
                }
            }
        }
    }

    /// Puts on what is static and missing.
    pub(super) fn install_static(&mut self, out: &mut dyn Actions) {
        if self.wants(None) {
            self.install_addresses(self.config.static_addresses, out);
            self.install_routes(self.config.static_routes, out);
        }
    }

    pub(super) fn uninstall_static(&mut self, out: &mut dyn Actions) {
        self.uninstall_routes(self.config.static_routes, out);
        self.uninstall_addresses(self.config.static_addresses, out);
    }

    /// Every route that should be there is made to be.
    pub(super) fn keep_routes(&mut self, out: &mut dyn Actions) {
        for r in 0..self.routes.len() {
            if self.wants(self.routes[r].instance) {
                self.put_route(r, out);
            }
        }
    }

    pub(super) fn stale_route(&mut self, id: RouteId) {
        if let Some(slot) = self.routes.get_mut(id.0 as usize) {
            slot.hold = Hold::Lost;
            if let Some(i) = slot.instance {
                self.slots[i as usize].stale = true;
            }
        }
    }

    pub(super) fn route_exists(&mut self, id: RouteId, out: &mut dyn Actions) {
        let Some(slot) = self.routes.get_mut(id.0 as usize) else { return };
        slot.hold = Hold::Foreign;
        if !core::mem::replace(&mut slot.told, true) {
            let instance = slot.instance.map(InstanceId);
            out.act(Action::Report(Report::ForeignRoute { instance, route: id }));
        }
    }

    pub(super) fn route_failed(&mut self, id: RouteId) {
        if let Some(slot) = self.routes.get_mut(id.0 as usize) {
            slot.hold = match slot.hold {
                Hold::Added => Hold::Off,
                Hold::Kept => Hold::Lost,
                other => other,
            };
        }
    }

    pub(super) fn route_restored(&mut self, id: RouteId, out: &mut dyn Actions) {
        let Some(slot) = self.routes.get(id.0 as usize) else { return };
        let instance = slot.instance.map(InstanceId);
        out.act(Action::Report(Report::RouteRestored { instance, route: id }));
    }

    /// The interface at `at` in `links` is gone, and its routes with it.
    pub(super) fn routes_gone(&mut self, at: usize) {
        for slot in self.routes.iter_mut().filter(|s| s.link == Some(at as u8)) {
            slot.hold = Hold::Off;
        }
    }

    /// What is in both stays; of the old one's what is not is removed.
    pub(super) fn take_over_routes(&mut self, old: &mut Router, was: Range, is: Range, out: &mut dyn Actions) {
        for r in was.indices() {
            let plain = |route: &Route| Route { dev: Default::default(), ..*route };
            let same = |n: &usize| {
                plain(&self.config.routes[*n]) == plain(&old.config.routes[r])
                    && self.route_device(RouteId(*n as u16)) == old.route_device(RouteId(r as u16))
            };
            match is.indices().find(same) {
                Some(n) => {
                    let RouteSlot { hold, told, .. } = old.routes[r];
                    (self.routes[n].hold, self.routes[n].told) = (hold, told);
                }
                None => old.uninstall_routes(Range { start: r as u16, len: 1 }, out),
            }
        }
    }

    /// Takes over what is static.
    pub(super) fn take_over_static(&mut self, old: &mut Router, out: &mut dyn Actions) {
        let (addresses, routes) = (self.config.static_addresses, self.config.static_routes);
        self.take_over_routes(old, old.config.static_routes, routes, out);
        self.take_over_addresses(old, old.config.static_addresses, addresses, out);
    }
}
