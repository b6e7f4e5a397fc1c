//! The control socket's clients: each is a task of the executor, with a limit on its time.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use super::checks::Runs;
use super::reload::{LastReload, until_that};
use super::watch::{About, Watcher};
use super::{Core, upgrade};
use crate::config::model::Tracked;
use crate::control::{
    self, AddressStatus, Bad, CheckStatus, GroupStatus, InstanceStatus, Kind, MAX_FRAME, ReloadStatus, Reply, Request,
    RouteStatus, RouterStatus, TrackStatus,
};
use crate::router::event::RouteId;
use crate::router::{FOR_EVER, Router};
use crate::sys::clock;
use crate::sys::context::{Context, Watched};
use crate::sys::control_socket::Connection;
use crate::sys::process::Children;
use crate::vrrp::timing::{Instant, Micros};

/// Clients at once; one more is turned away.
pub(super) const MAX_CLIENTS: usize = 4;
/// How long a client may take over its request, and over each frame of the reply.
const PATIENCE: Micros = Micros::from_secs(5);

/// How many clients there are.
#[derive(Default)]
pub(super) struct Clients(Cell<usize>);

impl Clients {
    /// Whether one more may come; it counts until [`serve`] is done with it.
    pub(super) fn admit(&self) -> bool {
        let room = self.0.get() < MAX_CLIENTS;
        self.0.set(self.0.get() + usize::from(room));
        room
    }
}

/// One client, from its request to the end of the reply.
pub(super) async fn serve(
    clients: &Clients,
    context: &Context,
    children: &Children,
    core: Rc<RefCell<Core>>,
    connection: Connection,
) {
    let mut parting = false;
    if let Ok(watched) = context.watch(&connection) {
        let client = Client { context, children, connection: watched };
        // A client that went away, or was too slow, is no matter for the log.
        parting = client.talk(&core).await.unwrap_or(false);
    }
    if parting {
        // Closed when the lock is free: then the client knows that another daemon can start. It
        // counts as a client until then, so there is room.
        let _ = core.borrow_mut().parting.push(connection);
    } else {
        clients.0.set(clients.0.get() - 1);
    }
}

struct Client<'a> {
    context: &'a Context,
    children: &'a Children,
    connection: Watched<'a, &'a Connection>,
}

impl Client<'_> {
    /// One request and its reply; whether the client waits for the daemon's end.
    async fn talk(&self, core: &RefCell<Core>) -> io::Result<bool> {
        let mut buffer = [0; MAX_FRAME];
        let n = self.context.by(clock::now() + PATIENCE, self.request(&mut buffer)).await?;
        match control::decode::<Request>(&buffer[..n]) {
            Ok(Request::Status) => self.status(core).await?,
            Ok(Request::Watch) => {
                let watcher = core.borrow_mut().watch();
                match watcher {
                    None => self.send(&Reply::Refused("too many watch already")).await?,
                    Some(watcher) => {
                        let ended = self.watch(core, &watcher).await;
                        core.borrow_mut().unwatch(&watcher);
                        ended?;
                    }
                }
            }
            Ok(request @ (Request::Upgrade(_) | Request::Takeover { .. })) => {
                // If all goes well the other program answers.
                // Rare, and larger than all else that a client can ask.
                let new = &self.connection;
                let why = Box::pin(upgrade::upgrade(self.context, self.children, core, request, new)).await;
                self.send(&Reply::Refused(fitting(&why))).await?;
            }
            Ok(Request::Stop) => {
                core.borrow_mut().stop(clock::now());
                self.send(&Reply::End).await?;
                return Ok(true);
            }
            Ok(Request::Yield { name, length }) => {
                let now = clock::now();
                let until = length.map_or(FOR_EVER, |length| now + length);
                let known = core.borrow_mut().set_yield(name, Some(until), now);
                // When it is done it is done.
                until_that(core, &|core| !core.router.is_leaving()).await;
                self.send(&known.map_or(Reply::Unknown, |()| Reply::End)).await?;
            }
            Ok(Request::Resume(name)) => {
                let known = core.borrow_mut().set_yield(name, None, clock::now());
                self.send(&known.map_or(Reply::Unknown, |()| Reply::End)).await?;
            }
            Ok(Request::Reload) => {
                let mut refused = core.borrow_mut().reload(clock::now());
                until_that(core, &|core| core.coming.is_none()).await;
                if refused.is_ok() && core.borrow().stopping.is_some() {
                    refused = Err("the daemon is stopping".to_owned());
                }
                match &refused {
                    Ok(()) => self.send(&Reply::End).await?,
                    Err(why) => self.send(&Reply::Refused(fitting(why))).await?,
                }
            }
            Err(Bad::Version(_)) => self.send(&Reply::Refused("the daemon is of another version")).await?,
            Err(_) => self.send(&Reply::Refused("not a request")).await?,
        }
        Ok(false)
    }

    /// Reads a whole frame; its length.
    async fn request(&self, buffer: &mut [u8; MAX_FRAME]) -> io::Result<usize> {
        let (mut have, mut need) = (0, 2);
        while have < need {
            let piece = &mut buffer[have..need];
            match self.connection.read(piece).await? {
                0 => {
                    if have > 0 {
                        log::info!("control: a request was cut off");
                    }
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                n => have += n,
            }
            if let Some(len) = control::frame_len(&buffer[..have]) {
                need = len.map_err(|_| io::ErrorKind::InvalidData)?;
            }
        }
        Ok(need)
    }

    async fn send(&self, reply: &Reply<'_>) -> io::Result<()> {
        let mut buffer = [0; MAX_FRAME];
        let frame = control::encode(&mut buffer, reply).ok_or(io::ErrorKind::InvalidData)?;
        self.send_frame(frame).await
    }

    async fn send_frame(&self, frame: &[u8]) -> io::Result<()> {
        self.context.by(clock::now() + PATIENCE, self.connection.write_all(frame)).await
    }

    /// Frame by frame, so that a slow client holds nothing but its own task.
    async fn status(&self, core: &RefCell<Core>) -> io::Result<()> {
        let mut buffer = [0; MAX_FRAME];
        let frame = {
            let core = core.borrow();
            let now = clock::now();
            let router = RouterStatus {
                version: env!("CARGO_PKG_VERSION"),
                router_id: core.router_id(),
                uptime: now.since(core.started),
                pid: std::process::id(),
                stats: *core.router.stats(),
            };
            control::encode(&mut buffer, &Reply::Router(router)).map(<[u8]>::len)
        };
        self.send_frame(&buffer[..frame.ok_or(io::ErrorKind::InvalidData)?]).await?;
        for i in 0.. {
            if !self.send_one(core, &mut buffer, &|now| now.instance(i)).await? {
                break;
            }
            self.send_one(core, &mut buffer, &|now| now.yielded(i)).await?;
            self.send_all(core, &mut buffer, &|now, a| now.address(i, a)).await?;
            self.send_all(core, &mut buffer, &|now, r| now.route(i, r)).await?;
            self.send_all(core, &mut buffer, &|now, t| now.track(i, t)).await?;
        }
        for g in 0.. {
            if !self.send_one(core, &mut buffer, &|now| now.group(g)).await? {
                break;
            }
            self.send_all(core, &mut buffer, &|now, m| now.member(g, m)).await?;
        }
        self.send_all(core, &mut buffer, &|now, c| now.check(c)).await?;
        self.send_one(core, &mut buffer, &|now| now.reload()).await?;
        self.send(&Reply::End).await
    }

    /// The state of each instance, and then what happens, for as long as the client is there.
    async fn watch(&self, core: &RefCell<Core>, watcher: &Watcher) -> io::Result<()> {
        for i in 0.. {
            if !self.send_one(core, &mut [0; MAX_FRAME], &|now| now.present(i)).await? {
                break;
            }
        }
        let mut frames = Vec::new();
        loop {
            let next = async {
                watcher.next(&mut frames).await?;
                self.send_frame(&frames).await
            };
            // It has nothing to say: what can be read is its end.
            let gone = async { self.connection.read(&mut [0]).await.and(Err(io::ErrorKind::UnexpectedEof.into())) };
            smol::future::or(next, gone).await?;
        }
    }

    /// Sends the reply that `of` makes of how things stand, if it makes one; whether it did.
    async fn send_one(
        &self,
        core: &RefCell<Core>,
        buffer: &mut [u8; MAX_FRAME],
        of: &dyn for<'a> Fn(Now<'a>) -> Option<Reply<'a>>,
    ) -> io::Result<bool> {
        // The loop must be able to borrow the core while we wait: nothing of it is held across an await.
        let frame = {
            let core = core.borrow();
            of(Now::new(&core)).and_then(|reply| control::encode(buffer, &reply)).map(<[u8]>::len)
        };
        let Some(n) = frame else { return Ok(false) };
        self.send_frame(&buffer[..n]).await?;
        Ok(true)
    }

    /// Sends the replies that `of` makes for 0, 1 and so on, up to the first that there is none for.
    async fn send_all(
        &self,
        core: &RefCell<Core>,
        buffer: &mut [u8; MAX_FRAME],
        of: &dyn for<'a> Fn(Now<'a>, usize) -> Option<Reply<'a>>,
    ) -> io::Result<()> {
        for n in 0.. {
            if !self.send_one(core, buffer, &|now| of(now, n)).await? {
                break;
            }
        }
        Ok(())
    }
}

/// As much of `why` as a frame holds.
fn fitting(why: &str) -> &str {
    let mut n = why.len().min(MAX_FRAME - 16);
    while !why.is_char_boundary(n) {
        n -= 1;
    }
    &why[..n]
}

// A reason of a check is never longer than a frame has room for.
static_assertions::assert_type_eq_all!(crate::check::Reason, heapless::String<{ control::MAX_ERROR }>);

/// How things stand, as replies. Places count from 0; there is no reply for one behind the last.
#[derive(Clone, Copy)]
struct Now<'a> {
    router: &'a Router,
    /// Parallel to the configuration's checks.
    runs: &'a [Runs],
    reload: Option<&'a LastReload>,
    /// When the daemon started.
    started: Instant,
    now: Instant,
}

impl<'a> Now<'a> {
    fn new(core: &'a Core) -> Now<'a> {
        let reload = core.last_reload.as_ref();
        Now { router: &core.router, runs: &core.runs, reload, started: core.started, now: clock::now() }
    }

    /// What never changed is as it is since the start.
    fn since(&self, moment: Instant) -> Micros {
        self.now.since(moment.max(self.started))
    }

    fn instance(&self, i: usize) -> Option<Reply<'a>> {
        let v = self.router.view(i)?;
        Some(Reply::Instance(InstanceStatus {
            name: v.name,
            interface: v.interface,
            vmac: v.vmac,
            state: v.state,
            fault: v.fault,
            leaving: v.leaving,
            vrid: v.config.vrid,
            family: v.config.family,
            version: v.config.version.number(),
            also_v2: v.config.also_v2,
            priority: v.config.priority,
            effective_priority: v.effective_priority,
            advert: v.config.advert,
            active_adver_interval: v.active_adver_interval,
            skew_time: v.skew_time,
            active_down_interval: v.active_down_interval,
            source: v.source,
            master: v.master,
            since: self.since(v.since),
            transitions: v.transitions,
            last_event: v.last_event,
            reason: v.reason,
            stats: *v.stats,
        }))
    }

    fn present(&self, i: usize) -> Option<Reply<'a>> {
        let v = self.router.view(i)?;
        Some(Reply::Happened(About { kind: Kind::Now, name: v.name, from: "", to: v.state.word() }.with("")))
    }

    fn yielded(&self, i: usize) -> Option<Reply<'a>> {
        let until = self.router.view(i)?.yielded?;
        Some(Reply::Yielded((until < FOR_EVER).then(|| until.since(self.now))))
    }

    fn reload(&self) -> Option<Reply<'a>> {
        let last = self.reload?;
        Some(Reply::Reloaded(ReloadStatus { ago: self.now.since(last.at), took: last.took, error: &last.error }))
    }

    fn address(&self, i: usize, a: usize) -> Option<Reply<'a>> {
        let v = self.router.view(i)?;
        let address = v.addresses.get(a)?;
        Some(Reply::Address(AddressStatus {
            ip: address.ip,
            prefix: address.prefix,
            dev: self.router.config().device_of(v.config, address),
            excluded: address.excluded,
        }))
    }

    fn route(&self, i: usize, r: usize) -> Option<Reply<'a>> {
        let v = self.router.view(i)?;
        let (router, range) = (self.router, v.config.routes);
        let route = router.config().routes_of(v.config).get(r)?;
        let dev = router.route_device(RouteId(range.start + r as u16));
        Some(Reply::Route(RouteStatus::new(route, dev)))
    }

    fn track(&self, i: usize, t: usize) -> Option<Reply<'a>> {
        let t = self.router.tracks(i).nth(t)?;
        let (weight, reverse) = (t.track.weight, t.track.reverse);
        let interface = matches!(t.track.what, Tracked::Interface(_));
        Some(Reply::Track(TrackStatus { name: t.name, condition: t.condition, weight, reverse, interface }))
    }

    fn group(&self, g: usize) -> Option<Reply<'a>> {
        let v = self.router.group(g)?;
        Some(Reply::Group(GroupStatus { name: v.name, state: v.state, since: self.since(v.since) }))
    }

    fn member(&self, g: usize, m: usize) -> Option<Reply<'a>> {
        let i = self.router.members(g).nth(m)?;
        self.router.view(i).map(|v| Reply::Member(v.name))
    }

    fn check(&self, c: usize) -> Option<Reply<'a>> {
        let v = self.router.check(c)?;
        let runs = self.runs.get(c);
        Some(Reply::Check(CheckStatus {
            name: v.name,
            kind: v.config.kind.word(),
            condition: v.condition,
            count: runs.map_or(0, |r| r.count),
            fails: runs.map_or(0, |r| r.fails),
            last: runs.and_then(|r| r.last),
            error: runs.map_or("", |r| &r.error),
            every: v.config.every,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{
        Check, CheckKind, Condition, Config, Group, Hooks, Initial, Instance, Range, Track, Tracked,
    };
    use crate::router::event::{CheckId, CheckResult, Shown};
    use crate::router::{Action, Event};

    /// Two instances in a group, of which the first tracks a file, and a ping that nobody tracks.
    fn router() -> Router {
        let mut c = Box::<Config>::default();
        let [lan, lan6, eth0, gateway, number, path, uplink] =
            ["lan", "lan6", "eth0", "gateway", "number", "/n", "uplink"].map(|s| c.strings.add(s).unwrap());
        c.tracks.push(Track { what: Tracked::Check(number), weight: 2, reverse: true }).unwrap();
        for (name, tracks) in [(lan, 1), (lan6, 0)] {
            let tracks = Range { start: 0, len: tracks };
            c.instances.push(Instance { name, interface: eth0, vrid: 1, tracks, ..Instance::default() }).unwrap();
            c.members.push(name).unwrap();
        }
        let members = Range { start: 0, len: 2 };
        let tracks = Range::default();
        c.groups
            .push(Group {
                name: gateway,
                members,
                tracks,
                hooks: Hooks::default(),
                weights: crate::config::model::Weights::All,
            })
            .unwrap();
        let ping = CheckKind::Ping { target: [192, 0, 2, 9].into(), from: Default::default() };
        for (name, kind) in [(number, CheckKind::File { path }), (uplink, ping)] {
            let (every, initial) = (Check::EVERY, Initial::Unknown);
            c.checks.push(Check { name, kind, every, timeout: every, fall: 1, rise: 1, initial }).unwrap();
        }
        let mut router = Router::new(c);
        let event = Event::Check { check: CheckId(0), result: CheckResult::Value(-3) };
        router.handle(event, Instant(5), &mut |_: Action<'_>| {});
        router
    }

    /// Tracks, groups, members and checks as the router and the runs have them, and none behind the last.
    #[test]
    fn as_things_stand() {
        let router = router();
        let error = crate::check::Reason::try_from("no answer in time").unwrap();
        let ran = Runs { count: 9, fails: 2, last: Some(Micros(3_100)), error, at: None };
        let runs = [Runs::default(), ran];
        let now = Now { router: &router, runs: &runs, reload: None, started: Instant(1_000), now: Instant(4_000) };
        let condition = Condition::Value(-3);
        let track = TrackStatus { name: "number", condition, weight: 2, reverse: true, interface: false };
        assert_eq!((now.track(0, 0), now.track(0, 1)), (Some(Reply::Track(track)), None));
        assert_eq!(now.track(1, 0), Some(Reply::Track(track)), "what one member tracks counts for the other");
        let group = GroupStatus { name: "gateway", state: Shown::Init, since: Micros(3_000) };
        assert_eq!((now.group(0), now.group(1)), (Some(Reply::Group(group)), None));
        let members = [now.member(0, 0), now.member(0, 1), now.member(0, 2), now.member(1, 0)];
        assert_eq!(members, [Some(Reply::Member("lan")), Some(Reply::Member("lan6")), None, None]);
        let number = CheckStatus {
            name: "number",
            kind: "file",
            condition: Condition::Value(-3),
            count: 0,
            fails: 0,
            last: None,
            error: "",
            every: Check::EVERY,
        };
        let uplink = CheckStatus {
            name: "uplink",
            kind: "ping",
            condition: Condition::Unknown,
            count: 9,
            fails: 2,
            last: Some(Micros(3_100)),
            error: "no answer in time",
            every: Check::EVERY,
        };
        assert_eq!(now.check(0), Some(Reply::Check(number)));
        assert_eq!(now.check(1), Some(Reply::Check(uplink)));
        assert_eq!((now.check(2), now.instance(2)), (None, None));
        // Before the runs are known there are none.
        let fresh = Now { runs: &[], ..now };
        let none = CheckStatus { count: 0, fails: 0, last: None, error: "", ..uplink };
        assert_eq!(fresh.check(1), Some(Reply::Check(none)));
        let Some(Reply::Instance(lan)) = now.instance(0) else { panic!("the first instance") };
        assert_eq!((lan.name, lan.since), ("lan", Micros(3_000)));
    }

    /// A refusal of any length fits, cut at a character's boundary.
    #[test]
    fn refusals_fit() {
        for why in ["short".to_owned(), "x".repeat(2000), "\u{e4}".repeat(2000), "x\u{20ac}".repeat(2000)] {
            let mut buffer = [0; MAX_FRAME];
            assert!(why.starts_with(fitting(&why)) && (why.len() < 400 || fitting(&why).len() > 400));
            assert!(control::encode(&mut buffer, &Reply::Refused(fitting(&why))).is_some());
        }
    }
}
