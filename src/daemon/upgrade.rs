//! Another program in the place of this one, in the same process: nobody who watches the process sees a
//! change, and no other router misses an advert.
//!
//! The new program is run once beside us first, with a copy of our state and the words that we were
//! started with: only if it says that it understands both, it is executed in our place. The state is
//! in a file in memory; sockets, the control socket and the lock stay open, the clock goes on. If the new
//! program fails all the same it executes the old one again, and if that fails too it starts afresh.

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::pin::{Pin, pin};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::checks::Runs;
use super::reload::until_that;
use super::takeover::{self, Takeover};
use super::{Core, Event};
use crate::config::model::{Config, Family, MAX_CHECKS};
use crate::control::{self, MAX_FRAME, Reply, Request};
use crate::router::{Broken, Pieces, Router};
use crate::sys::clock;
use crate::sys::context::{Context, Watched};
use crate::sys::control_socket::{Connection, Listener};
use crate::sys::handover::{self, adopt, keep};
use crate::sys::process::{Children, Ended, Leftovers, MAX_WORDS, Program, Stderr, User};
use crate::sys::script_security::check_command;
use crate::sys::vrrp_socket::{MAX_GROUPS, VrrpSocket};
use crate::table::Table;
use crate::vrrp::timing::{Instant, Micros};

/// The variable that names the state's descriptor and, behind a comma, that of the program before.
const STATE: &str = "PICOVRRP_STATE";
/// The variable that asks whether the state in a file is understood.
const PROBE: &str = "PICOVRRP_PROBE";
/// How a program that does says so.
pub const UNDERSTOOD: &str = "this state is understood";

/// The version of the state: raised with every change of what is written, and of how another process is sent it.
pub const VERSION: u8 = 4;
pub(super) const MAX_STATE: usize = 256 * 1024;

/// How long the new program may think about the state, and how long we wait for hooks to end.
const PATIENCE: Micros = Micros::from_secs(8);
/// It is done when nothing is due for so long, or after [`HURRY`].
const PAUSE: Micros = Micros::from_millis(40);
const HURRY: Micros = Micros::from_secs(2);

/// A program or a process that is about to take our place.
pub(super) struct Upgrade {
    /// None for another process.
    binary: Option<String>,
    /// Who asked for it.
    client: RawFd,
    /// The configuration that another process has read.
    generation: u32,
    since: Instant,
}

/// What the state begins with.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Head {
    /// When our clock began, by that of the machine.
    epoch: Micros,
    started: Instant,
    lock: RawFd,
    listener: RawFd,
    client: Option<RawFd>,
    fifo: Option<RawFd>,
    sockets: u16,
    children: u16,
}

#[derive(Debug, Serialize, Deserialize)]
struct Socket {
    fd: RawFd,
    family: Family,
    ifindex: u32,
    groups: heapless::Vec<IpAddr, MAX_GROUPS>,
}

/// The state that the program before us has left.
pub struct Saved {
    head: Head,
    bytes: Vec<u8>,
    /// From another process: its descriptors' numbers, and ours of the same.
    pub(super) numbers: Vec<(RawFd, RawFd)>,
    /// That process.
    pub(super) old: Option<Takeover>,
    /// A program was to go on that could not.
    fell_back: bool,
}

/// What is in it besides the router's state.
pub(super) struct Rest {
    head: Head,
    fell_back: bool,
    sockets: Vec<Socket>,
    pub(super) children: Vec<u32>,
    pub(super) runs: Table<Runs, MAX_CHECKS>,
}

impl Saved {
    /// Reads the beginning.
    pub fn new(bytes: Vec<u8>) -> Result<Saved, Broken> {
        let Some((&VERSION, rest)) = bytes.split_first() else { return Err(Broken) };
        let head = Pieces(rest).take()?;
        Ok(Saved { head, bytes, numbers: Vec::new(), old: None, fell_back: false })
    }

    /// Reads all of it; it must be for this configuration.
    pub(super) fn restore(&self, config: Box<Config>) -> Result<(Router, Rest), Broken> {
        let mut pieces = Pieces(&self.bytes[1..]);
        let mut head: Head = pieces.take()?;
        let checks = config.checks.len();
        let router = Router::go_on(config, &mut pieces)?;
        let (mut sockets, mut children, mut runs) = (Vec::new(), Vec::new(), Table::new());
        for _ in 0..head.sockets {
            let socket: Socket = pieces.take()?;
            sockets.push(Socket { fd: self.number(socket.fd), ..socket });
        }
        (head.lock, head.listener) = (self.number(head.lock), self.number(head.listener));
        head.fifo = head.fifo.map(|fifo| self.number(fifo));
        for _ in 0..head.children {
            children.push(pieces.take()?);
        }
        for _ in 0..checks {
            runs.push(pieces.take()?).map_err(|_| Broken)?;
        }
        let fell_back = self.fell_back;
        if pieces.0.is_empty() { Ok((router, Rest { head, fell_back, sockets, children, runs })) } else { Err(Broken) }
    }

    /// Whether it could be gone on with.
    pub fn is_for(&self, config: Box<Config>) -> bool {
        self.restore(config).is_ok()
    }

    /// The number that a descriptor has here.
    fn number(&self, theirs: RawFd) -> RawFd {
        let ours = self.numbers.iter().find(|n| n.0 == theirs).map(|n| n.1);
        if self.old.is_none() { theirs } else { ours.unwrap_or(-1) }
    }

    /// The lock that we hold.
    pub fn lock(&self) -> io::Result<OwnedFd> {
        adopt(self.number(self.head.lock))
    }

    /// The clock goes on.
    pub fn go_on(&self) {
        clock::go_on(self.head.epoch);
    }
}

impl Rest {
    pub(super) fn listener(&self) -> io::Result<Listener> {
        adopt(self.head.listener).map(Listener::adopt)
    }

    /// The sockets of the program before us.
    fn sockets(&self) -> io::Result<Vec<VrrpSocket>> {
        let adopted = |s: &Socket| Ok(VrrpSocket::adopt(adopt(s.fd)?, s.family, s.ifindex, s.groups.clone()));
        self.sockets.iter().map(adopted).collect()
    }

    /// It is done, or has failed: whoever asked for it is told.
    pub(super) fn done(&self) {
        if let Some(Ok(client)) = self.head.client.map(adopt) {
            let mut buffer = [0; MAX_FRAME];
            let failed = Reply::Refused("the new program cannot go on, the old one does: the log says why");
            let reply = if self.fell_back { failed } else { Reply::End };
            let frame = control::encode(&mut buffer, &reply).unwrap_or(&[]);
            // Should it be gone, it is no matter.
            let _ = Connection::adopt(client).try_write(frame);
        }
        let Head { lock, listener, client, fifo, .. } = self.head;
        [Some(lock), Some(listener), client, fifo].into_iter().flatten().for_each(handover::release);
        self.sockets.iter().for_each(|s| handover::release(s.fd));
    }
}

/// What the program before us in this process has left us.
pub struct Before {
    state: RawFd,
    program: Option<RawFd>,
}

impl Before {
    /// `None` if we were started in the ordinary way.
    pub fn find() -> Option<Before> {
        let value = std::env::var(STATE).ok()?;
        // Executed by its descriptor it is called by a number.
        let _ = rustix::thread::set_name(c"picovrrp");
        let (state, program) = value.split_once(',').unwrap_or((&value, ""));
        Some(Before { state: state.parse().ok()?, program: program.parse().ok() })
    }

    /// Reads what it left.
    pub fn read(&self) -> Result<Saved, String> {
        let bytes = adopt(self.state).and_then(|fd| handover::content(fd, MAX_STATE)).map_err(|e| e.to_string())?;
        let saved = Saved::new(bytes).map_err(|_| "the state is of another version".to_owned())?;
        Ok(Saved { fell_back: self.program.is_none(), ..saved })
    }

    /// We go on.
    pub fn done(self) {
        handover::release(self.state);
        self.program.into_iter().for_each(handover::release);
    }

    /// We cannot go on: the program before us does. Returns if it cannot either, with nothing left of it.
    pub fn fall_back(self) {
        if let Some(Ok(program)) = self.program.map(adopt) {
            // What the kernel executes it by is open for that alone: the program itself is not to keep it.
            self.program.into_iter().for_each(handover::release);
            let path = format!("/proc/self/fd/{}", program.as_raw_fd());
            // Should it return, we start afresh.
            let _ = handover::execute(&path, STATE, &self.state.to_string());
        }
        handover::release_all();
    }
}

/// The file with a state of which we are asked whether we understand it.
pub fn probed() -> Option<String> {
    std::env::var(PROBE).ok()
}

impl Core {
    /// All of the state, as bytes.
    pub(super) fn save(&self, mut head: Head, children: &[u32]) -> Vec<u8> {
        let sockets: Vec<Socket> = self.io.sockets().map(socket).collect();
        (head.sockets, head.children) = (sockets.len() as u16, children.len() as u16);
        let mut file = vec![VERSION];
        Pieces::put(&mut file, &head);
        self.router.save(&mut file);
        sockets.iter().for_each(|s| Pieces::put(&mut file, s));
        children.iter().for_each(|pid| Pieces::put(&mut file, pid));
        self.runs.iter().for_each(|runs| Pieces::put(&mut file, runs));
        file
    }

    fn head(&self) -> Head {
        let (epoch, started) = (clock::epoch(), self.started);
        let (lock, listener, client, fifo) = (-1, -1, None, None);
        Head { epoch, started, lock, listener, client, fifo, sockets: 0, children: 0 }
    }

    /// Goes on where the program before us went, in this process or in another.
    pub(super) fn go_on(&mut self, rest: &Rest, from: Option<u32>) -> io::Result<()> {
        let now = clock::now();
        self.started = rest.head.started;
        self.runs = rest.runs.clone();
        for socket in rest.sockets()? {
            self.io.use_socket(socket)?;
        }
        self.inherit_vmacs();
        self.read_links(now)?;
        self.read_all_addresses(now);
        self.record();
        self.handle(Event::Start, now);
        // What went in between was not told.
        self.handle(Event::Routes, now);
        let version = env!("CARGO_PKG_VERSION");
        self.notice(log::Level::Info, &mut |t| match from {
            None if rest.fell_back => ufmt::uwrite!(t, "not upgraded: goes on as picovrrp {}", version),
            None => ufmt::uwrite!(t, "upgraded: goes on as picovrrp {}", version),
            Some(pid) => ufmt::uwrite!(t, "taken over from process {}: goes on as picovrrp {}", pid, version),
        });
        Ok(())
    }

    /// What stands against an upgrade.
    fn not_now(&self) -> Option<&'static str> {
        match self {
            _ if self.stopping.is_some() => Some("the daemon is stopping"),
            _ if self.starting || !self.router.is_running() => Some("the daemon is starting"),
            _ if self.coming.is_some() => Some("a reload is under way"),
            _ if !self.notifier.is_idle() => Some("hooks are running: try again when they have ended"),
            _ => None,
        }
    }

    /// Whether the moment has come.
    pub(super) fn is_time(&self, now: Instant) -> bool {
        let pause = self.router.next_deadline().is_none_or(|t| t >= now + PAUSE);
        let waiting = |u: &Upgrade| pause || u.since + HURRY <= now;
        self.upgrade.as_ref().is_some_and(waiting) && self.not_now().is_none()
    }

    /// Executes the program that takes our place. Returns if that cannot be.
    #[inline(never)]
    pub(super) fn execute(&mut self, listener: &Listener, children: &Children) {
        let Some(upgrade) = self.upgrade.take() else { return };
        let tried = match &upgrade.binary {
            Some(binary) => self.try_execute(binary, upgrade.client, listener, children).map(|e| e.to_string()),
            None => self.hand_over(upgrade.client, upgrade.generation, listener).map(str::to_owned),
        };
        self.upgrade_failed = tried.unwrap_or_else(|e| e.to_string());
        // All closes again when a hook is executed.
        let _ = self.keep_all(listener, false);
    }

    /// Keeps all descriptors that go with the state, or not any more; their numbers.
    pub(super) fn keep_all(&self, listener: &Listener, on: bool) -> io::Result<(Head, Vec<RawFd>)> {
        let mut head = self.head();
        (head.lock, head.listener) = (keep(self.lock.as_fd(), on)?, keep(listener.as_fd(), on)?);
        head.fifo = self.notifier.fifo().as_ref().map(|fifo| keep(fifo.as_fd(), on)).transpose()?;
        let mut numbers = vec![head.lock, head.listener];
        numbers.extend(head.fifo);
        for socket in self.io.sockets() {
            numbers.push(keep(socket.as_fd(), on)?);
        }
        Ok((head, numbers))
    }

    /// Returns why it could not.
    fn try_execute(
        &self,
        binary: &str,
        client: RawFd,
        listener: &Listener,
        children: &Children,
    ) -> io::Result<io::Error> {
        let (mut head, _) = self.keep_all(listener, true)?;
        // Its task waits for us, and keeps it open.
        head.client = Some(client);
        let state = handover::sealed(&self.save(head, &children.pids()))?;
        let program = rustix::fs::open("/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let value = format!("{},{}", keep(state.as_fd(), true)?, keep(program.as_fd(), true)?);
        log::info!("upgrade: executing {binary}");
        Ok(handover::execute(binary, STATE, &value))
    }
}

fn socket(s: &VrrpSocket) -> Socket {
    let mut groups = heapless::Vec::new();
    // As many as a socket has.
    let _ = groups.extend_from_slice(s.groups());
    Socket { fd: s.as_fd().as_raw_fd(), family: s.family(), ifindex: s.ifindex(), groups }
}

/// Puts another program or process in our place. Returns only if that cannot be.
pub(super) async fn upgrade(
    context: &Context,
    children: &Children,
    core: &RefCell<Core>,
    request: Request<'_>,
    client: &Watched<'_, &Connection>,
) -> String {
    if core::mem::replace(&mut core.borrow_mut().upgrading, true) {
        return "another upgrade is under way".to_owned();
    }
    let what = if matches!(request, Request::Upgrade(_)) { "upgrade" } else { "takeover" };
    let failed = prepare(context, children, core, request, client).await;
    // Whatever it was that failed, the client's connection is our own alone again.
    let _ = keep(client.as_fd(), false);
    let mut core = core.borrow_mut();
    (core.upgrading, core.upgrade) = (false, None);
    let why = failed.unwrap_or_else(|why| why);
    core.notice(log::Level::Error, &mut |t| ufmt::uwrite!(t, "{} refused, the running program stays: {}", what, &*why));
    why
}

async fn prepare(
    context: &Context,
    children: &Children,
    core: &RefCell<Core>,
    request: Request<'_>,
    client: &Watched<'_, &Connection>,
) -> Result<String, String> {
    if let Request::Takeover { state, network } = request {
        takeover::fits(state, network)?;
    }
    // The new program reads the file: what it says is to be in place before.
    core.borrow_mut().reload(clock::now())?;
    until_that(core, &|core| core.coming.is_none()).await;
    let refusal = |core: &RefCell<Core>| core.borrow().not_now().unwrap_or("it takes too long").to_owned();
    if !in_time(context, pin!(until_that(core, &|core| core.not_now().is_none()))).await {
        return Err(refusal(core));
    }
    let generation = core.borrow().generation;
    let mut binary = None;
    if let Request::Upgrade(path) = request {
        binary = Some(find(context, children, core, path).await?);
        keep(client.as_fd(), true).map_err(|e| e.to_string())?;
    } else {
        takeover::greet(client.get());
        let mut word = [0];
        let ready = async {
            // What was not read is no word.
            let _ = client.read(&mut word).await;
        };
        if !in_time(context, pin!(ready)).await {
            return Err("the new process does not get ready in time".to_owned());
        }
        if word[0] != takeover::READY {
            return Err("the new process gave up".to_owned());
        }
    }
    let client = client.as_fd().as_raw_fd();
    core.borrow_mut().upgrade = Some(Upgrade { binary, client, generation, since: clock::now() });
    match in_time(context, pin!(until_that(core, &|core| core.upgrade.is_none()))).await {
        true => Ok(core::mem::take(&mut core.borrow_mut().upgrade_failed)),
        false => Err(refusal(core)),
    }
}

/// The new program's path, when it has said that it can go on.
async fn find(
    context: &Context,
    children: &Children,
    core: &RefCell<Core>,
    binary: Option<&str>,
) -> Result<String, String> {
    let own = std::fs::read_link("/proc/self/exe").map_err(|e| e.to_string())?.to_string_lossy().into_owned();
    let binary = binary.unwrap_or(own.strip_suffix(" (deleted)").unwrap_or(&own)).to_owned();
    if core.borrow().router.config().script_security {
        check_command(&binary, &User::ourselves()).map_err(|e| format!("{} {}", e.component, e.why.words()))?;
    }
    probe(context, children, core, &binary).await.map_err(|why| format!("{binary}: {why}"))?;
    Ok(binary)
}

/// Whether `work` is done in time.
async fn in_time(context: &Context, work: Pin<&mut dyn Future<Output = ()>>) -> bool {
    let done = async {
        work.await;
        Ok(())
    };
    context.by(clock::now() + PATIENCE, done).await.is_ok()
}

/// Asks the new program whether it understands the state.
async fn probe(context: &Context, children: &Children, core: &RefCell<Core>, binary: &str) -> Result<(), String> {
    let state = {
        let core = core.borrow();
        handover::sealed(&core.save(core.head(), &[])).map_err(|e| e.to_string())?
    };
    let file = format!("/proc/{}/fd/{}", std::process::id(), state.as_raw_fd());
    let own: Vec<String> = std::env::args().skip(1).collect();
    let mut words: heapless::Vec<&str, MAX_WORDS> = heapless::Vec::new();
    let too_many = || "too many words".to_owned();
    words.push(binary).map_err(|_| too_many())?;
    own.iter().try_for_each(|w| words.push(w)).map_err(|_| too_many())?;
    let (env, stderr, leftovers) = (&[(PROBE, &*file)], Stderr::Capture, Leftovers::Kill);
    let program = Program { words: &words, env, user: None, nice: 0, stderr, leftovers };
    let child = children.spawn(&program).map_err(|e| e.to_string())?;
    let ended = async {
        child.ended().await;
    };
    if !in_time(context, pin!(ended)).await {
        return Err("it does not answer in time".to_owned());
    }
    if let Some((step, e)) = child.not_started() {
        return Err(format!("{step}: {e}"));
    }
    let mut said = [0; 512];
    let n = child.stderr.as_ref().and_then(|fd| rustix::io::read(fd, &mut said).ok()).unwrap_or(0);
    let said = String::from_utf8_lossy(&said[..n]).into_owned();
    match said.lines().last() {
        Some(line) if child.has_ended() == Some(Ended::Exited(0)) && line.ends_with(UNDERSTOOD) => Ok(()),
        Some(line) => Err(format!("it refuses: {line}")),
        None => Err("it is no picovrrp that can go on from here".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostics::Diagnostics;
    use crate::router::event::{CheckId, CheckResult, InstanceId, LinkAddress, LinkInfo};
    use crate::router::{Action, FOR_EVER};

    const TEXT: &str = "check load file /n\n\
        instance lan on eth0 vrid 1 priority 255\n  address 192.0.2.254/24\n  route 10.0.0.0/8 via 192.0.2.9\n  track load\n\
        instance wan on eth1 vrid 2 vmac\n  address 2001:db8::1/64\n  address fe80::5/64\ngroup both lan\n";

    fn config(text: &str) -> Box<Config> {
        let (mut config, mut found) = (Box::new(Config::default()), Diagnostics::new());
        crate::config::line::parse(&mut text.as_bytes(), &mut config, &mut found).unwrap();
        assert_eq!(found.errors(), 0);
        config
    }

    fn running() -> Router {
        let (mut router, now) = (Router::new(config(TEXT)), Instant(5_000_000));
        let out = &mut |_: Action<'_>| {};
        let own = LinkAddress { ip: [192, 0, 2, 1].into(), prefix: 24, secondary: false, tentative: false };
        let link = LinkInfo { ifindex: 2, name: "eth0", up: true, mac: [2; 6], mtu: 1500 };
        router.handle(Event::Link(link), now, out);
        router.handle(Event::Addresses { ifindex: 2, list: &[own] }, now, out);
        router.handle(Event::Check { check: CheckId(0), result: CheckResult::Value(0) }, now, out);
        router.handle(Event::Start, now, out);
        router.handle(Event::Yield { instance: InstanceId(1), until: FOR_EVER }, now, out);
        assert!(router.is_running());
        router
    }

    fn head() -> Head {
        let (epoch, started) = (Micros(77), Instant(5));
        Head { epoch, started, lock: 3, listener: 4, client: Some(9), fifo: None, sockets: 1, children: 2 }
    }

    fn bytes(router: &Router) -> Vec<u8> {
        let mut file = vec![VERSION];
        Pieces::put(&mut file, &head());
        router.save(&mut file);
        let groups = heapless::Vec::from_iter([IpAddr::from([224, 0, 0, 18])]);
        Pieces::put(&mut file, &Socket { fd: 7, family: Family::V4, ifindex: 2, groups });
        Pieces::put(&mut file, &100u32);
        Pieces::put(&mut file, &101u32);
        Pieces::put(&mut file, &Runs { count: 3, ..Runs::default() });
        file
    }

    /// What is saved is gone on with, to the last timer.
    #[test]
    fn there_and_back() {
        let before = running();
        let saved = Saved::new(bytes(&before)).unwrap();
        let (after, rest) = saved.restore(config(TEXT)).unwrap();
        assert_eq!(after.next_deadline(), before.next_deadline());
        for i in 0..2 {
            assert_eq!(format!("{:?}", after.view(i)), format!("{:?}", before.view(i)));
            assert_eq!(after.election_state(i), before.election_state(i));
        }
        assert_eq!(format!("{:?}", after.check(0)), format!("{:?}", before.check(0)));
        assert_eq!((rest.children, rest.sockets.len(), rest.runs[0].count), (vec![100, 101], 1, 3));
        // It can be saved again as it is, once the links and addresses have been told.
        let mut again = after;
        again.handle(Event::Start, Instant(5_000_000), &mut |a: Action<'_>| assert!(matches!(a, Action::KeepRoute(_))));
        assert!(again.is_running());
    }

    /// Cut at any byte, with one too many, of another version, or for another configuration: refused.
    #[test]
    fn broken() {
        let whole = bytes(&running());
        for n in 0..whole.len() {
            let cut = Saved::new(whole[..n].to_vec());
            assert!(cut.is_err() || cut.is_ok_and(|saved| !saved.is_for(config(TEXT))), "cut at {n}");
        }
        let refused = |bytes: Vec<u8>, text: &str| Saved::new(bytes).map_or(true, |saved| !saved.is_for(config(text)));
        let mut longer = whole.clone();
        longer.push(0);
        let mut other = whole.clone();
        other[0] ^= 3;
        assert!(refused(longer, TEXT) && refused(other, TEXT));
        for (from, to) in [("vrid 1", "vrid 3"), ("lan", "len"), ("254/24", "253/24"), ("10.0.0.0", "11.0.0.0")] {
            assert!(refused(whole.clone(), &TEXT.replace(from, to)), "{from}");
        }
        assert!(!refused(whole.clone(), &TEXT.replace("priority 255", "priority 254")));
        // Whatever the bytes are, they are refused or gone on with.
        for (at, flip) in (1..whole.len()).flat_map(|at| [0x41, 0xff, 0x02].map(|flip| (at, flip))) {
            let mut bad = whole.clone();
            bad[at] ^= flip;
            let restored = Saved::new(bad).and_then(|saved| saved.restore(config(TEXT)));
            let Ok((mut router, _)) = restored else { continue };
            let out = &mut |_: Action<'_>| {};
            router.handle(Event::Start, Instant(6_000_000), out);
            for _ in 0..8 {
                let Some(due) = router.next_deadline().filter(|due| *due < Instant(1 << 60)) else { break };
                router.handle(Event::Timeout { drained: true }, due, out);
            }
            router.handle(Event::LinkGone { ifindex: 2 }, Instant(7_000_000), out);
            router.handle(Event::Stop, Instant(8_000_000), out);
        }
    }
}
