//! The router's actions, carried out: sockets, addresses, announcements. What cannot be done on the
//! spot is kept for [`Core::settle`](super::Core), in tables of fixed size.

use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;

use super::report::System;
use crate::config::model::{Family, MAX_ADDRESSES, MAX_GROUPS, MAX_INSTANCES, MAX_LINKS, MAX_ROUTES};
use crate::router::event::{
    AddressId, AddressSpec, GroupTransition, InstanceId, Report, RouteId, RouteSpec, Transition,
};
use crate::router::{Action, Actions, Listen};
use crate::sys::neighbour::Announcer;
use crate::sys::netlink::request::{AddError, Rtnl};
use crate::sys::outbox::Outbox;
use crate::sys::reactor::{Interest, Reactor, Token};
use crate::sys::sysctl;
use crate::sys::vrrp_socket::VrrpSocket;
use crate::table::Table;

/// One socket for each interface and family.
pub(super) const MAX_SOCKETS: usize = 2 * MAX_LINKS;
/// Tokens of VRRP sockets are their places in the table behind this one.
pub(super) const FIRST_SOCKET: u32 = 100;
static_assertions::const_assert!(FIRST_SOCKET as usize + MAX_SOCKETS <= crate::sys::context::FIRST_TASK as usize);
/// What goes to neighbours beside adverts goes through no socket of the table.
const ANNOUNCER: usize = MAX_SOCKETS;
/// Lines that one step can give; more are counted, not kept.
const MAX_NOTES: usize = MAX_INSTANCES + MAX_GROUPS + 32;

/// Something to log.
#[derive(Clone, Copy, Debug)]
pub(super) enum Note {
    Changed(Transition),
    GroupChanged(GroupTransition),
    Report(Report),
    /// The system refused; the class, the instance or address it was for is in the words.
    Refused(System, i32),
}

/// What came of adding an address or a route, for the router.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Exists(AddressId),
    Failed(AddressId),
    RouteExists(RouteId),
    RouteFailed(RouteId),
    RouteRestored(RouteId),
}

/// Everything that actions touch.
pub(super) struct Io {
    pub(super) reactor: Rc<Reactor>,
    pub(super) rtnl: Rtnl,
    announcer: Announcer,
    /// Each stands as near as it can to its [first place](places), and there only by reference: there are many
    /// places, and most are empty.
    sockets: Box<[Option<Box<VrrpSocket>>]>,
    /// What is about to leave, through the socket at this place or the announcer's.
    outbox: Outbox<System>,
    way: usize,
    /// Addresses that the ownership file names.
    pub(super) recorded: Box<[bool]>,
    /// Addresses to put on when the file names them.
    pub(super) unrecorded: Table<AddressId, MAX_ADDRESSES>,
    /// Routes that the ownership file names.
    pub(super) recorded_routes: Box<[bool]>,
    /// Routes to add, or to keep, when the file names them and the addresses before them are on.
    pub(super) late_routes: Table<(RouteId, bool), MAX_ROUTES>,
    /// Macvlans that the ownership file names.
    pub(super) recorded_vmacs: Box<[bool]>,
    /// Macvlans to make.
    pub(super) vmacs: Table<InstanceId, MAX_INSTANCES>,
    /// Some were removed.
    pub(super) vmacs_removed: bool,
    /// Interfaces beneath macvlans that are bridges.
    pub(super) bridges: Table<u32, MAX_LINKS>,
    pub(super) outcomes: Table<Outcome, { MAX_ADDRESSES + MAX_ROUTES }>,
    /// Interfaces, and whether their switches are to hear of the groups again.
    pub(super) rebinds: Table<(u32, Family, bool), MAX_SOCKETS>,
    pub(super) notes: Table<Note, MAX_NOTES>,
    pub(super) lost_notes: u32,
    /// Interfaces on which a removed IPv4 address no longer takes others along.
    promoting: Table<u32, MAX_LINKS>,
}

impl Io {
    pub(super) fn new(reactor: Rc<Reactor>, rtnl: Rtnl, announcer: Announcer) -> Io {
        Io {
            reactor,
            rtnl,
            announcer,
            sockets: (0..MAX_SOCKETS).map(|_| None).collect(),
            outbox: Outbox::default(),
            way: ANNOUNCER,
            recorded: vec![false; MAX_ADDRESSES].into(),
            unrecorded: Table::roomy(),
            recorded_routes: vec![false; MAX_ROUTES].into(),
            late_routes: Table::roomy(),
            recorded_vmacs: vec![false; MAX_INSTANCES].into(),
            vmacs: Table::roomy(),
            vmacs_removed: false,
            bridges: Table::roomy(),
            outcomes: Table::roomy(),
            rebinds: Table::roomy(),
            notes: Table::roomy(),
            lost_notes: 0,
            promoting: Table::roomy(),
        }
    }

    pub(super) fn socket(&self, at: usize) -> Option<&VrrpSocket> {
        self.sockets.get(at)?.as_deref()
    }

    fn find(&self, ifindex: u32, family: Family) -> Option<usize> {
        let fits = |s: &VrrpSocket| s.ifindex() == ifindex && s.family() == family;
        places(ifindex, family).find(|at| self.socket(*at).is_some_and(fits))
    }

    /// Makes the outbox ready for a message that goes `way`: what is in it and goes another leaves first.
    fn turn(&mut self, way: usize) {
        if self.way != way || !self.outbox.has_room() {
            self.flush();
            self.way = way;
        }
    }

    /// Notes why something could not be sent.
    fn sent(&mut self, what: System, result: io::Result<()>) {
        if let Err(e) = result {
            self.note(Note::Refused(what, e.raw_os_error().unwrap_or(0)));
        }
    }

    /// Sends what has been put into the outbox.
    pub(super) fn flush(&mut self) {
        if self.outbox.is_empty() {
            return;
        }
        let Io { outbox, sockets, announcer, notes, lost_notes, way, .. } = self;
        let way = sockets.get(*way).and_then(Option::as_deref).map_or(announcer.as_fd(), |s| s.as_fd());
        outbox.flush(way, &mut |what, e| {
            if notes.push(Note::Refused(what, e.raw_os_error().unwrap_or(0))).is_err() {
                *lost_notes = lost_notes.saturating_add(1);
            }
        });
    }

    pub(super) fn note(&mut self, note: Note) {
        if self.notes.push(note).is_err() {
            self.lost_notes = self.lost_notes.saturating_add(1);
        }
    }

    /// With `promote_secondaries` off, the kernel removes every other address of a subnet along with
    /// its first, which may be ours: then the user's own addresses would go with it. So it is set on
    /// interfaces that get an IPv4 address of ours. Where it cannot be, all is as it was.
    fn keep_secondaries(&mut self, ifindex: u32) {
        if self.promoting.contains(&ifindex) {
            return;
        }
        if self.promoting.is_full() {
            self.promoting.clear();
        }
        let _ = self.promoting.push(ifindex);
        let _ = sysctl::promote_secondaries(self.rtnl.as_fd(), ifindex);
    }

    /// Puts an address on its interface.
    pub(super) fn add_address(&mut self, spec: &AddressSpec<'_>) {
        if spec.ip.is_ipv4() {
            self.keep_secondaries(spec.ifindex);
        }
        let outcome = match self.rtnl.add_address(spec) {
            Ok(()) => return,
            Err(AddError::Exists) => Outcome::Exists(spec.id),
            Err(e) => {
                self.note(Note::Refused(System::Address, errno(e)));
                Outcome::Failed(spec.id)
            }
        };
        // One outcome an address: there is room.
        let _ = self.outcomes.push(outcome);
    }

    fn remove_address(&mut self, spec: &AddressSpec<'_>) {
        if let Err(e) = self.rtnl.remove_address(spec) {
            self.note(Note::Refused(System::Address, e.raw_os_error().unwrap_or(0)));
        }
    }

    /// Adds a route, or one of ours again that may be gone.
    pub(super) fn put_route(&mut self, spec: &RouteSpec, ours: bool) {
        let outcome = match (self.rtnl.add_route(spec), ours) {
            (Ok(()), false) | (Err(AddError::Exists), true) => return,
            (Ok(()), true) => Outcome::RouteRestored(spec.id),
            (Err(AddError::Exists), false) => Outcome::RouteExists(spec.id),
            (Err(e), _) => {
                self.note(Note::Refused(System::Route, errno(e)));
                Outcome::RouteFailed(spec.id)
            }
        };
        // One outcome a route: there is room.
        let _ = self.outcomes.push(outcome);
    }

    fn put_route_recorded(&mut self, spec: &RouteSpec, ours: bool) {
        // Its source may be an address that is not on yet.
        let now = self.unrecorded.is_empty() && self.recorded_routes.get(spec.id.0 as usize) == Some(&true);
        if now {
            self.put_route(spec, ours);
        } else if !self.late_routes.iter().any(|(id, _)| *id == spec.id) {
            // One entry a route: there is room.
            let _ = self.late_routes.push((spec.id, ours));
        }
    }

    fn remove_route(&mut self, spec: &RouteSpec) {
        self.late_routes.retain(|(id, _)| *id != spec.id);
        if let Err(e) = self.rtnl.remove_route(spec) {
            self.note(Note::Refused(System::Route, e.raw_os_error().unwrap_or(0)));
        }
    }

    /// Makes the sockets of an interface hear what `listen` says; nothing if it is `None`.
    pub(super) fn listen(&mut self, ifindex: u32, family: Family, afresh: bool, listen: Option<&Listen>) {
        let found = self.find(ifindex, family);
        let Some(listen) = listen else {
            if let Some(at) = found {
                self.close(at);
            }
            return;
        };
        if let Err(e) = self.open_or_change(found, ifindex, family, afresh, listen) {
            self.note(Note::Refused(System::Socket, e.raw_os_error().unwrap_or(0)));
        }
    }

    fn open_or_change(
        &mut self,
        found: Option<usize>,
        ifindex: u32,
        family: Family,
        afresh: bool,
        listen: &Listen,
    ) -> io::Result<()> {
        let at = match found {
            Some(at) => at,
            None => {
                let socket = VrrpSocket::open(family, ifindex)?;
                socket.set_filter((!listen.open).then_some(&listen.vrids))?;
                self.use_socket(socket)?
            }
        };
        let Some(socket) = &mut self.sockets[at] else { return Ok(()) };
        socket.set_filter((!listen.open).then_some(&listen.vrids))?;
        let mut old: heapless::Vec<_, { crate::sys::vrrp_socket::MAX_GROUPS }> = heapless::Vec::new();
        let _ = old.extend_from_slice(socket.groups());
        for group in old.iter().filter(|g| !listen.groups.contains(g)) {
            socket.leave(*group)?;
        }
        if afresh {
            socket.rejoin()?;
        }
        for group in &listen.groups {
            socket.join(*group)?;
        }
        Ok(())
    }

    /// Listens to a socket from now on; its place.
    pub(super) fn use_socket(&mut self, socket: VrrpSocket) -> io::Result<usize> {
        let mut places = places(socket.ifindex(), socket.family());
        let free = places.find(|at| self.sockets[*at].is_none()).ok_or(io::ErrorKind::StorageFull)?;
        self.reactor.add(socket.as_fd(), Token(FIRST_SOCKET + free as u32), Interest::READ)?;
        self.sockets[free] = Some(Box::new(socket));
        Ok(free)
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = &VrrpSocket> {
        self.sockets.iter().flatten().map(|socket| &**socket)
    }

    fn close(&mut self, at: usize) {
        if let Some(socket) = self.sockets[at].take() {
            self.reactor.remove(socket.as_fd(), Token(FIRST_SOCKET + at as u32));
        }
    }
}

/// Where the socket of an interface and family may stand, the first place first: it is found there at once,
/// however many there are.
fn places(ifindex: u32, family: Family) -> impl Iterator<Item = usize> {
    let first = (2 * ifindex as usize + family as usize) % MAX_SOCKETS;
    (first..MAX_SOCKETS).chain(0..first)
}

const fn errno(e: AddError) -> i32 {
    match e {
        AddError::Exists => libc::EEXIST,
        AddError::NoDevice => libc::ENODEV,
        AddError::Permission => libc::EPERM,
        AddError::Other(errno) => errno,
    }
}

impl Actions for Io {
    fn act(&mut self, action: Action<'_>) {
        match action {
            Action::SendAdvert { ifindex, mac: Some(mac), source, destination, payload, .. } => {
                self.turn(ANNOUNCER);
                let put = self.outbox.advert(System::Send, ifindex, mac, (source, destination), payload);
                self.sent(System::Send, put);
            }
            Action::SendAdvert { ifindex, source, destination, payload, .. } => {
                let way = self.find(ifindex, Family::of(source));
                self.turn(way.unwrap_or(ANNOUNCER));
                let put = match way.and_then(|at| self.sockets[at].as_deref()) {
                    Some(socket) => socket.post(&mut self.outbox, System::Send, source, destination, payload),
                    None => Err(io::Error::from_raw_os_error(libc::ENODEV)),
                };
                self.sent(System::Send, put);
            }
            Action::Announce { ifindex, mac, ip } => {
                self.turn(ANNOUNCER);
                let put = self.outbox.announce(System::Announce, ifindex, mac, ip);
                self.sent(System::Announce, put);
            }
            Action::Changed(t) => self.note(Note::Changed(t)),
            Action::GroupChanged(t) => self.note(Note::GroupChanged(t)),
            Action::Report(r) => self.note(Note::Report(r)),
            action => self.change(action),
        }
    }
}

impl Io {
    /// Whether nothing of the last step waits to be carried out.
    pub(super) fn is_settled(&self) -> bool {
        let Io { rebinds, unrecorded, late_routes, outcomes, notes, vmacs, vmacs_removed, lost_notes, .. } = self;
        let lists = [rebinds.len(), unrecorded.len(), late_routes.len(), outcomes.len(), notes.len(), vmacs.len()];
        lists.iter().all(|len| *len == 0) && !vmacs_removed && *lost_notes == 0
    }

    // Rare: its code is to lie apart from what an advert runs through.
    #[inline(never)]
    fn change(&mut self, action: Action<'_>) {
        // In the router's order: what was to be sent before the rest is done leaves before that.
        self.flush();
        match action {
            Action::AddVmac(id) => {
                // One entry an instance: there is room.
                let _ = self.vmacs.push(id);
            }
            Action::SetVmac { ifindex, parent, mac, up } => {
                let set = self.rtnl.set_link(ifindex, up).and_then(|()| {
                    let bridge = self.bridges.contains(&parent);
                    if bridge { self.rtnl.bridge_owns(parent, mac, up) } else { Ok(()) }
                });
                match set {
                    // Gone: that will be told.
                    Err(e) if e.raw_os_error() != Some(libc::ENODEV) => {
                        self.note(Note::Refused(System::Vmac, e.raw_os_error().unwrap_or(0)));
                    }
                    _ => {}
                }
            }
            Action::RemoveVmac { ifindex } => {
                self.vmacs_removed = true;
                if let Err(e) = self.rtnl.remove_link(ifindex) {
                    self.note(Note::Refused(System::Vmac, e.raw_os_error().unwrap_or(0)));
                }
            }
            Action::AddAddress(spec) => {
                if self.recorded.get(spec.id.0 as usize) == Some(&true) {
                    self.add_address(&spec);
                } else {
                    // One entry an address: there is room.
                    let _ = self.unrecorded.push(spec.id);
                }
            }
            Action::RemoveAddress(spec) => self.remove_address(&spec),
            Action::AddRoute(spec) => self.put_route_recorded(&spec, false),
            Action::KeepRoute(spec) => self.put_route_recorded(&spec, true),
            Action::RemoveRoute(spec) => self.remove_route(&spec),
            Action::Rebind { ifindex, family, afresh } => {
                match self.rebinds.iter_mut().find(|r| (r.0, r.1) == (ifindex, family)) {
                    Some(known) => known.2 |= afresh,
                    // Two families an interface: there is room.
                    None => drop(self.rebinds.push((ifindex, family, afresh))),
                }
            }
            // Seen to by `act`.
            Action::SendAdvert { .. }
            | Action::Announce { .. }
            | Action::Changed(_)
            | Action::GroupChanged(_)
            | Action::Report(_) => {}
        }
    }
}
