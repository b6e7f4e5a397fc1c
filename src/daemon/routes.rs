//! Routes: when they may have gone, and those that an earlier run left.

use std::os::fd::AsFd;

use ufmt::uwrite;

use super::io_actions::Note;
use super::lines::say;
use super::ownership::OwnedRoute;
use super::report::System;
use super::{Core, ROUTES};
use crate::config::model::{Route, RouteWords};
use crate::router::event::{RouteId, RouteSpec};
use crate::router::{Event, Router};
use crate::sys::netlink::{RouteWatch, Rtnl};
use crate::sys::reactor::Interest;
use crate::vrrp::timing::Instant;

impl Core {
    /// Listens for what becomes of the configuration's routes; without any it listens for nothing.
    pub(super) fn watch_routes(&mut self) {
        if let Some(watch) = self.route_watch.take() {
            self.io.reactor.remove(watch.as_fd(), ROUTES);
        }
        if !self.router.has_routes() {
            return;
        }
        let opened = RouteWatch::open(&self.router.config().routes).and_then(|watch| {
            self.io.reactor.add(watch.as_fd(), ROUTES, Interest::READ)?;
            Ok(watch)
        });
        match opened {
            Ok(watch) => self.route_watch = Some(watch),
            // They are put on all the same, and looked after when a link or an address changes.
            Err(e) => self.io.note(Note::Refused(System::Route, e.raw_os_error().unwrap_or(0))),
        }
    }

    /// A route was taken away, or replaced.
    #[inline(never)]
    pub(super) fn routes_told(&mut self, now: Instant) {
        let Some(watch) = &mut self.route_watch else { return };
        match watch.read() {
            Ok(true) => self.handle(Event::Routes, now),
            Ok(false) => {}
            Err(e) => {
                self.io.note(Note::Refused(System::Route, e.raw_os_error().unwrap_or(0)));
                self.settle(now);
            }
        }
    }
}

/// The configuration's route that is this one.
pub(super) fn find(router: &Router, owned: &OwnedRoute<'_>) -> Option<RouteId> {
    let mut own = router.own_routes();
    own.find(|(_, dev, route)| OwnedRoute::new(dev, route) == *owned).map(|(id, ..)| id)
}

/// Removes a route that an earlier run left, which leads through the interface called `name`.
pub(super) fn remove_orphan(rtnl: &mut Rtnl, route: &Route, ifindex: u32, name: &str) {
    let spec = RouteSpec { id: RouteId(0), ifindex, route: *route };
    if let Ok(true) = rtnl.remove_route(&spec) {
        say(log::Level::Info, &mut |t| {
            uwrite!(t, "removed the route {}, left by an earlier run", RouteWords::new(route, name))
        });
    }
}
