//! What netlink tells: links, their addresses, and what an earlier run left on them.

use std::io;

use heapless::Vec;
use ufmt::uwrite;

use super::io_actions::Note;
use super::lines::say;
use super::ownership::Entry;
use super::report::System;
use super::{Core, ownership, routes};
use crate::config::model::{MAX_LINKS, Route};
use crate::router::Event;
use crate::router::event::{AddressId, AddressSpec, RouteId};
use crate::sys::netlink::{Monitor, Notice, Rtnl};
use crate::text::Ip;
use crate::vrrp::timing::Instant;

impl Core {
    /// What an earlier run left on the interfaces: told to the router where the configuration still
    /// has it, else taken off.
    pub(super) fn adopt(&mut self, now: Instant) -> io::Result<()> {
        let (router, rtnl_and_more) = (&mut self.router, &mut self.io);
        let mut orphans: std::vec::Vec<(String, std::net::IpAddr, u8)> = std::vec::Vec::new();
        let mut routes: std::vec::Vec<(String, Route)> = std::vec::Vec::new();
        let read = ownership::read(&self.run_dir, |entry| match entry {
            Entry::Address(owned) => match router.find_address(owned.interface, owned.ip, owned.prefix) {
                Some(id) => router.handle(Event::Stale(id), now, rtnl_and_more),
                None => orphans.push((owned.interface.to_owned(), owned.ip, owned.prefix)),
            },
            // Seen to before.
            Entry::Vmac(_) | Entry::Arp(_) | Entry::Table => {}
            Entry::Route(owned) => match routes::find(router, &owned) {
                Some(id) => router.handle(Event::StaleRoute(id), now, rtnl_and_more),
                None => routes.push((owned.interface.to_owned(), owned.route())),
            },
        });
        if let Err(e) = read {
            log::warn!("{}: what an earlier run left is not known: {e}", self.run_dir.path().display());
        }
        if orphans.is_empty() && routes.is_empty() {
            return Ok(());
        }
        let mut removing = Rtnl::open()?;
        for (_, route) in routes.iter().filter(|(name, _)| name.is_empty()) {
            routes::remove_orphan(&mut removing, route, 0, "");
        }
        self.io.rtnl.links(|info| {
            // A route may need an address.
            for (_, route) in routes.iter().filter(|(name, _)| name == info.name) {
                routes::remove_orphan(&mut removing, route, info.ifindex, info.name);
            }
            for (_, ip, prefix) in orphans.iter().filter(|(name, ..)| name == info.name) {
                let (id, ifindex) = (AddressId(0), info.ifindex);
                let spec = AddressSpec { id, ifindex, ip: *ip, prefix: *prefix, scope: None, label: "", vmac: false };
                if let Ok(true) = removing.remove_address(&spec) {
                    say(log::Level::Info, &mut |t| {
                        uwrite!(t, "removed {}/{} from {}, left by an earlier run", Ip(*ip), *prefix, info.name)
                    });
                }
            }
        })
    }

    /// Tells all links; those that are gone too. Where one is gone another may have its name, which
    /// could not be bound while the first was: all are told again.
    pub(super) fn read_links(&mut self, now: Instant) -> io::Result<()> {
        while self.read_links_once(now)? {}
        Ok(())
    }

    /// Returns whether any was gone.
    fn read_links_once(&mut self, now: Instant) -> io::Result<bool> {
        let mut there: Vec<u32, MAX_LINKS> = Vec::new();
        let (router, io) = (&mut self.router, &mut self.io);
        // A socket of its own: what the router does with a link may need the other. This is rare.
        let mut rtnl = Rtnl::open()?;
        rtnl.links(|info| {
            if router.concerns(info.ifindex, info.name) {
                router.handle(Event::Link(info), now, io);
                // A dump that began anew tells links again.
                if !there.contains(&info.ifindex) {
                    // As many as the router can be bound to.
                    let _ = there.push(info.ifindex);
                }
            }
        })?;
        let gone: Vec<u32, MAX_LINKS> = self.router.interfaces().filter(|i| !there.contains(i)).collect();
        for ifindex in &gone {
            self.handle(Event::LinkGone { ifindex: *ifindex }, now);
        }
        self.settle(now);
        Ok(!gone.is_empty())
    }

    pub(super) fn read_all_addresses(&mut self, now: Instant) {
        let all: Vec<u32, MAX_LINKS> = self.router.interfaces().collect();
        for ifindex in all {
            self.read_addresses(ifindex, now);
        }
    }

    fn read_addresses(&mut self, ifindex: u32, now: Instant) {
        let mut list = core::mem::take(&mut self.addresses);
        match self.io.rtnl.addresses(ifindex, &mut list) {
            Ok(0) => self.handle(Event::Addresses { ifindex, list: &list }, now),
            // What is beyond the list could be one of ours: better a stale view than a wrong one.
            Ok(_) => self.io.note(Note::Refused(System::Netlink, libc::E2BIG)),
            Err(e) => self.io.note(Note::Refused(System::Netlink, e.raw_os_error().unwrap_or(0))),
        }
        self.addresses = list;
    }

    /// What netlink tells: links at once, addresses by reading the interface's list again.
    #[inline(never)]
    pub(super) fn notices(&mut self, monitor: &mut Monitor, now: Instant) {
        let (mut overrun, mut less, mut more) = (false, false, false);
        let received = monitor.recv(|notice| match notice {
            Notice::Link(info) => {
                (less, more) = (less | !info.up, more | info.up);
                if self.router.concerns(info.ifindex, info.name) {
                    self.handle(Event::Link(info), now);
                    self.mark_dirty(info.ifindex);
                }
            }
            Notice::LinkGone { ifindex } => {
                less = true;
                self.handle(Event::LinkGone { ifindex }, now);
            }
            Notice::Address { ifindex, address, added } => {
                (less, more) = (less | !added, more | added);
                if self.router.needs_addresses(ifindex, &address, added) {
                    self.mark_dirty(ifindex);
                }
            }
            Notice::Overrun => overrun = true,
        });
        if let Err(e) = received {
            self.io.note(Note::Refused(System::Netlink, e.raw_os_error().unwrap_or(0)));
        }
        if overrun {
            self.dirty.clear();
            if let Err(e) = self.read_links(now) {
                self.io.note(Note::Refused(System::Netlink, e.raw_os_error().unwrap_or(0)));
            }
            self.read_all_addresses(now);
        }
        while let Some(ifindex) = self.dirty.pop() {
            self.read_addresses(ifindex, now);
        }
        // IPv4 routes go without a word when a link or an address does; and one that the kernel refused
        // may be possible when one comes.
        if self.router.has_routes() && (overrun || less || more && self.router.lacks_routes()) {
            self.handle(Event::Routes, now);
        }
        // What was somebody else's is ours to put on now: named in good time, so that becoming Active
        // need not wait for it.
        let recorded = &self.io.recorded;
        let named = |(_, spec): (&str, AddressSpec<'_>)| recorded.get(spec.id.0 as usize) == Some(&true);
        self.ownership_changed |= !self.router.own_addresses().all(named);
        let recorded = &self.io.recorded_routes;
        let named = |(id, ..): (RouteId, &str, &Route)| recorded.get(id.0 as usize) == Some(&true);
        self.ownership_changed |= !self.router.own_routes().all(named);
        self.settle(now);
    }

    fn mark_dirty(&mut self, ifindex: u32) {
        if self.router.interfaces().any(|i| i == ifindex) && !self.dirty.contains(&ifindex) {
            // As many as the router can be bound to.
            let _ = self.dirty.push(ifindex);
        }
    }
}
