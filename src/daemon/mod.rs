//! The daemon: a loop that carries what the system tells to the [`Router`] and its actions back.
//!
//! Adverts, timers and netlink are handled on the spot, in the order in which they came; control
//! clients are tasks, polled between two waits. One thread, and nothing is allocated for an advert.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Waker;

use smol::{LocalExecutor, Task};

use crate::config::diagnostics::Diagnostics;
use crate::config::model::{Config, MAX_CHECKS, MAX_INSTANCES, MAX_LINKS};
use crate::notify::Notifier;
use crate::router::{Event, Router};
use crate::sys::clock;
use crate::sys::context::{Context, FIRST_TASK};
use crate::sys::control_socket::{Connection, Listener};
use crate::sys::files::{Lock, RunDir};
use crate::sys::memory;
use crate::sys::neighbour::Announcer;
use crate::sys::netlink::{AddressList, Monitor, RouteWatch, Rtnl};
use crate::sys::process::{Children, User};
use crate::sys::reactor::{Interest, Reactor, ReadyList, Token};
use crate::sys::signal::{Signal, Signals};
use crate::sys::syslog::Limiter;
use crate::sys::tasks::Driver;
use crate::sys::vrrp_socket::{self, Inbox};
use crate::table::Table;
use crate::vrrp::timing::{Instant, Micros};

mod checks;
mod clients;
mod hooks;
mod io_actions;
mod lines;
mod links;
mod ownership;
mod reload;
mod report;
mod routes;
mod takeover;
mod upgrade;
mod vmac;
mod watch;
mod yields;

use clients::Clients;
use hooks::{Flag, Hooks, Lifecycle};
pub use hooks::{script_user, user_of_check};
use io_actions::{FIRST_SOCKET, Io, Note, Outcome};
use report::System;
pub use takeover::Takeover;
pub use upgrade::{Before, Saved, UNDERSTOOD, VERSION as STATE_VERSION, probed};

const MONITOR: Token = Token(0);
const SIGNALS: Token = Token(1);
const LISTENER: Token = Token(2);
const ROUTES: Token = Token(3);

/// A deadline missed by more than this says that we were stopped, or starved.
const STALL: Micros = Micros::from_millis(20);

/// From the start, a reload or a client to the return of the memory that they needed. It is worth no wake-up of its own.
const CALM: Micros = Micros::from_secs(8);

/// How long the hooks of a stop are waited for.
const STOP_HOOKS: Micros = Micros::from_secs(18);
/// When the commands of the end are to be over. A supervisor kills after 30 s, and a command that is killed
/// may take four more.
const STOP_ALL: Micros = Micros::from_secs(24);

/// Reads a configuration again: the file that `run` was given.
pub type Reader = Box<dyn Fn(&mut Config, &mut Diagnostics) -> io::Result<()>>;

/// What the daemon is started with.
pub struct Setup {
    /// The configuration, free of errors.
    pub config: Box<Config>,
    /// Its file's name, for messages.
    pub file: PathBuf,
    /// Reads it again, at a reload.
    pub reader: Reader,
    /// The run directory, and the lock in it.
    pub run_dir: RunDir,
    /// Held as long as the daemon runs.
    pub lock: Lock,
    /// What the program before this one has left, in the same process or in another.
    pub saved: Option<Saved>,
    /// The host's name, where the configuration has no `router-id`.
    pub host_name: String,
}

/// The daemon's state, shared by its loop and the tasks of its clients.
pub struct Core {
    router: Box<Router>,
    io: Io,
    run_dir: RunDir,
    lock: Lock,
    reader: Reader,
    file: PathBuf,
    host_name: String,
    started: Instant,
    limiter: Limiter<{ report::CLASSES }>,
    /// Each check's share of the log.
    check_limiter: Limiter<MAX_CHECKS>,
    /// Each instance's share for changes of its priority.
    priority_limiter: Limiter<MAX_INSTANCES>,
    /// The addresses of one interface, while they are told.
    addresses: AddressList,
    /// Interfaces whose addresses are to be read again.
    dirty: Table<u32, MAX_LINKS>,
    /// Tells of routes that were taken away; none where the configuration has none.
    route_watch: Option<RouteWatch>,
    /// What was changed on interfaces beneath macvlans.
    arps: Table<vmac::Arp, MAX_LINKS>,
    /// A table of the packet filter is there for `accept off`.
    refusing: bool,
    /// The ownership file names what is no longer ours, or lacks what is.
    ownership_changed: bool,
    /// Counts configurations, so that a task knows whether its own still runs.
    generation: u32,
    /// Instances wait for the start-up command.
    starting: bool,
    /// Who scripts run as; `None` for ourselves.
    script_user: Option<User>,
    notifier: Rc<Notifier>,
    /// Parallel to the configuration's checks.
    runs: Table<checks::Runs, MAX_CHECKS>,
    /// When what the start, a reload or a client needed is given back: at the next wake-up after it.
    calm_at: Option<Instant>,
    /// When we were told to stop.
    stopping: Option<Instant>,
    /// Raised then.
    halt: Rc<Flag>,
    /// A configuration that waits for instances to hand over which it has no more.
    coming: Option<reload::Coming>,
    /// What became of the last reload.
    last_reload: Option<reload::LastReload>,
    /// Tasks that look at all this again after each step.
    waiting: Table<Waker, { clients::MAX_CLIENTS }>,
    /// A program or a process that is about to take our place.
    upgrade: Option<upgrade::Upgrade>,
    /// One is being looked at.
    upgrading: bool,
    /// Why the last could not be executed.
    upgrade_failed: String,
    /// Clients that are told what happens.
    watchers: watch::Watchers,
    /// Clients that wait for our end. Behind the lock, so that it is free before they are told.
    parting: Table<Connection, { clients::MAX_CLIENTS }>,
}

/// A daemon, ready to run.
pub struct Daemon {
    core: Rc<RefCell<Core>>,
    clients: Clients,
    context: Box<Context>,
    children: Children,
    reactor: Rc<Reactor>,
    monitor: Monitor,
    signals: Signals,
    listener: Listener,
    ready: ReadyList,
    inbox: Inbox,
}

impl Daemon {
    /// Opens what it needs, learns the interfaces and what an earlier run left, and starts the instances.
    // Not inlined: what it takes of the stack is given back before the loop.
    #[inline(never)]
    pub fn new(mut setup: Setup) -> io::Result<Daemon> {
        let signals = Signals::open()?;
        let reactor = Rc::new(Reactor::new()?);
        // The monitor first: what changes while all is read is told again.
        let monitor = Monitor::open()?;
        // Ours may all be on one interface, beside some of its own.
        let room = setup.config.addresses.len() + 16;
        let (router, rest) = match &setup.saved {
            None => (Router::new(setup.config), None),
            Some(saved) => {
                let broken = |_| io::Error::other("the state is not for this configuration");
                let (router, rest) = saved.restore(setup.config).map_err(broken)?;
                (router, Some(rest))
            }
        };
        let listener = match &rest {
            None => Listener::bind(&setup.run_dir, &setup.lock)?,
            Some(rest) => rest.listener()?,
        };
        reactor.add(monitor.as_fd(), MONITOR, Interest::READ)?;
        reactor.add(signals.as_fd(), SIGNALS, Interest::READ)?;
        reactor.add(listener.as_fd(), LISTENER, Interest::READ)?;
        let io = Io::new(reactor.clone(), Rtnl::open()?, Announcer::open()?);
        let mut core = Core {
            router: Box::new(router),
            io,
            run_dir: setup.run_dir,
            lock: setup.lock,
            reader: setup.reader,
            file: setup.file,
            host_name: setup.host_name,
            started: clock::now(),
            limiter: Limiter::new(),
            check_limiter: Limiter::new(),
            priority_limiter: Limiter::new(),
            addresses: AddressList::with_room(room),
            dirty: Table::roomy(),
            route_watch: None,
            arps: Table::new(),
            refusing: false,
            ownership_changed: false,
            generation: 0,
            starting: false,
            script_user: None,
            notifier: Rc::new(Notifier::new()),
            runs: Table::new(),
            calm_at: Some(clock::now() + CALM),
            stopping: None,
            coming: None,
            last_reload: None,
            waiting: Table::roomy(),
            upgrade: None,
            upgrading: false,
            upgrade_failed: String::new(),
            watchers: watch::Watchers::new(),
            halt: Rc::default(),
            parting: Table::new(),
        };
        core.script_user = script_user(core.router.config()).map_err(io::Error::other)?;
        core.begin_configuration();
        let children = Children::new();
        match &rest {
            None => core.start()?,
            Some(rest) => {
                let mut old = setup.saved.as_mut().and_then(|saved| saved.old.as_mut());
                let mut from = None;
                if let Some(old) = &mut old {
                    old.commit()?;
                    from = Some(core.run_dir.pid().unwrap_or(0));
                    core.run_dir.write_pid()?;
                }
                core.go_on(rest, from)?;
                rest.children.iter().for_each(|pid| children.adopt(*pid));
                children.reap();
                rest.done();
                if let Some(old) = old {
                    old.done();
                }
            }
        }
        Ok(Daemon {
            core: Rc::new(RefCell::new(core)),
            clients: Clients::default(),
            context: Box::new(Context::new(reactor.clone())),
            children,
            reactor,
            monitor,
            signals,
            listener,
            ready: ReadyList::new(),
            inbox: Inbox::default(),
        })
    }

    /// Runs until it was told to stop and every instance has handed over.
    pub fn run(&mut self) -> io::Result<()> {
        self.run_until(&mut |_| false)
    }

    /// Runs until it has stopped, or `done` says so; that is asked after each wake-up.
    #[inline(never)]
    pub fn run_until(&mut self, done: &mut dyn FnMut(&Router) -> bool) -> io::Result<()> {
        let Daemon { core, clients, context, children, reactor, monitor, signals, listener, ready, inbox } = self;
        let (clients, context, children) = (&*clients, &**context, &*children);
        let notifier = core.borrow().notifier.clone();
        let (notifier, hooks) = (&*notifier, &Hooks(core.clone()));
        let (ended, halt) = (Cell::new(false), core.borrow().halt.clone());
        let halt = &*halt;
        let executor = LocalExecutor::new();
        spawn(&executor, notifier.serve(context, children, hooks)).detach();
        spawn(&executor, start_up(context, children, core, halt)).detach();
        let mut checks = checks::Tasks::default();
        let mut ending = None;
        let driver = Driver::new();
        let mut tasks = std::pin::pin!(executor.run(std::future::pending::<()>()));
        loop {
            if core.borrow().stopping.is_none() {
                checks.renew(&executor, context, children, core);
            } else {
                checks.end();
            }
            let _ = driver.turn(tasks.as_mut());
            // The clock is read twice for each wake-up: before the wait, and behind it.
            let mut now = clock::now();
            if core.borrow().is_time(now) {
                checks.end();
                let mut core = core.borrow_mut();
                core.execute(listener, children);
                // It could not be: all goes on.
                now = clock::now();
                core.change_over(now);
            }
            let sleeper = context.next_deadline();
            let deadline = {
                let stopped = core.borrow().router.is_stopped();
                // The hooks of the stop are waited for, up to a limit.
                let limit = core.borrow().stopping.map(|since| since + STOP_HOOKS).filter(|_| stopped);
                let over = notifier.is_idle() || limit.is_some_and(|t| t <= now);
                if stopped && over && ending.is_none() && !core.borrow().starting {
                    let left = notifier.waiting();
                    if left > 0 {
                        log::warn!("{left} states were not told to hooks: those before them took too long");
                    }
                    ending = Some(spawn(&executor, shut_down(context, children, core, &ended)));
                }
                let core = core.borrow();
                if ended.get() || done(&core.router) {
                    return Ok(());
                }
                let limit = limit.filter(|_| ending.is_none());
                let awake = driver.is_awake().then_some(now);
                let next = core.router.next_deadline();
                let first = [next, sleeper, limit, awake].into_iter().flatten().min();
                (first, first == next && core.router.takeover_is_next())
            };
            match deadline {
                (Some(takeover), true) => reactor.wait_sharply(now, takeover, ready)?,
                (other, _) => reactor.wait_from(now, other, ready)?,
            }
            let now = clock::now();
            for r in ready.iter() {
                match r.token {
                    MONITOR => core.borrow_mut().notices(monitor, now),
                    ROUTES => core.borrow_mut().routes_told(now),
                    SIGNALS => core.borrow_mut().signals(signals, children, now),
                    LISTENER => admit(&executor, clients, context, children, core, listener, now),
                    Token(n) if (FIRST_SOCKET..FIRST_TASK).contains(&n) => {
                        core.borrow_mut().receive((n - FIRST_SOCKET) as usize, inbox, now);
                    }
                    _ => {
                        context.wake_ready(r);
                    }
                }
            }
            if sleeper.is_some_and(|due| due <= now) {
                context.wake_due(now);
            }
            core.borrow_mut().timeout(inbox, now);
            core.borrow_mut().change_over(now);
            if calm(core, now) {
                memory::give_back();
            }
        }
    }

    /// After [`run`](Self::run): everything is given back.
    pub fn finish(self) {
        let mut core = self.core.borrow_mut();
        core.refuse_nothing();
        if let Err(e) = ownership::remove(&core.run_dir) {
            log::warn!("{}: {e}", core.run_dir.path().display());
        }
        let _ = core.run_dir.remove(crate::sys::control_socket::NAME);
        // The number may be another process's soon.
        let _ = core.run_dir.remove(crate::sys::files::PID);
        log::info!("stopped");
    }
}

/// Lets a client in.
#[inline(never)]
fn admit<'a>(
    executor: &LocalExecutor<'a>,
    clients: &'a Clients,
    context: &'a Context,
    children: &'a Children,
    core: &Rc<RefCell<Core>>,
    listener: &Listener,
    now: Instant,
) {
    // A client that is gone again is no matter.
    let Ok(Some(connection)) = listener.accept() else { return };
    if let Some(uid) = connection.stranger() {
        core.borrow_mut().turn_away(&connection, uid, now);
    } else if clients.admit() {
        core.borrow_mut().calm_at = Some(now + CALM);
        spawn(executor, clients::serve(clients, context, children, core.clone(), connection)).detach();
    }
}

/// Whether what the start, a reload or a client needed is to be given back now.
fn calm(core: &RefCell<Core>, now: Instant) -> bool {
    core.borrow_mut().calm_at.take_if(|at| *at <= now).is_some()
}

/// All tasks are of one type, whatever they do: what the executor does with them is compiled once.
fn spawn<'a>(executor: &LocalExecutor<'a>, task: impl Future<Output = ()> + 'a) -> Task<()> {
    let task: Pin<Box<dyn Future<Output = ()> + 'a>> = Box::pin(task);
    executor.spawn(task)
}

/// The command of the start, and then the instances.
async fn start_up(context: &Context, children: &Children, core: &RefCell<Core>, halt: &Flag) {
    if core.borrow().starting {
        hooks::lifecycle(context, children, core, Lifecycle::Startup, None, halt).await;
        let mut core = core.borrow_mut();
        core.starting = false;
        core.handle(Event::Start, clock::now());
    }
}

/// The command of the end.
async fn shut_down(context: &Context, children: &Children, core: &RefCell<Core>, ended: &Cell<bool>) {
    if hooks::has(core.borrow().router.config(), Lifecycle::Shutdown) {
        let until = core.borrow().stopping.map(|since| since + STOP_ALL);
        hooks::lifecycle(context, children, core, Lifecycle::Shutdown, until, &Flag::default()).await;
    }
    ended.set(true);
}

impl Core {
    /// Makes room for what the checks of the configuration tell, and tells the notifier of its groups.
    fn begin_configuration(&mut self) {
        let config = self.router.config();
        self.generation = self.generation.wrapping_add(1);
        self.check_limiter = Limiter::new();
        self.runs.clear();
        let _ = self.runs.resize_default(config.checks.len());
        self.watch_routes();
        let config = self.router.config();
        hooks::tell_members(&self.router, &self.notifier);
        self.notifier.set_fifo(hooks::open_fifo(config));
    }

    fn router_id(&self) -> &str {
        let config = self.router.config();
        if config.router_id.is_empty() { &self.host_name } else { config.str(config.router_id) }
    }

    /// One event, and all that follows from it.
    fn handle(&mut self, event: Event<'_>, now: Instant) {
        self.router.handle(event, now, &mut self.io);
        self.settle(now);
    }

    /// Carries out what could not be done inside the router's step.
    fn settle(&mut self, now: Instant) {
        self.io.flush();
        if self.ownership_changed || !self.io.is_settled() {
            self.settle_rest(now);
        }
    }

    // Rare: its code is to lie apart from what an advert runs through.
    #[inline(never)]
    fn settle_rest(&mut self, now: Instant) {
        self.settle_vmacs(now);
        while let Some((ifindex, family, afresh)) = self.io.rebinds.pop() {
            let listen = self.router.listeners(ifindex, family);
            self.io.listen(ifindex, family, afresh, listen.as_ref());
        }
        if !self.io.unrecorded.is_empty() || !self.io.late_routes.is_empty() || self.ownership_changed {
            self.record();
            for k in 0..self.io.unrecorded.len() {
                if let Some(spec) = self.router.address_spec(self.io.unrecorded[k]) {
                    self.io.add_address(&spec);
                }
            }
            self.io.unrecorded.clear();
            for k in 0..self.io.late_routes.len() {
                let (id, ours) = self.io.late_routes[k];
                if let Some(spec) = self.router.route_spec(id) {
                    self.io.put_route(&spec, ours);
                }
            }
            self.io.late_routes.clear();
        }
        while let Some(outcome) = self.io.outcomes.pop() {
            let event = match outcome {
                Outcome::Exists(id) => Event::AddressExists(id),
                Outcome::Failed(id) => Event::AddressFailed(id),
                Outcome::RouteExists(id) => Event::RouteExists(id),
                Outcome::RouteFailed(id) => Event::RouteFailed(id),
                Outcome::RouteRestored(id) => Event::RouteRestored(id),
            };
            self.router.handle(event, now, &mut self.io);
        }
        self.io.flush();
        // One by one: the whole list is long, and there rarely is more than one in it.
        let mut at = 0;
        while let Some(note) = self.io.notes.get(at).copied() {
            self.log_note(&note, now);
            at += 1;
        }
        self.io.notes.clear();
        let lost = core::mem::take(&mut self.io.lost_notes);
        if lost > 0 {
            log::warn!("{lost} lines of one step were not logged");
        }
    }

    /// Writes which addresses and routes are ours.
    fn record(&mut self) {
        self.ownership_changed = false;
        self.name_arps();
        let table = self.refusing || self.router.refused_addresses().next().is_some();
        // A full or broken file system does not keep a router from routing; what is lost is only the
        // knowledge of what to remove after a kill -9.
        if let Err(e) = ownership::write(&self.run_dir, &self.router, self.arps.iter().map(|a| a.owned()), table) {
            log::warn!("{}: cannot note which addresses and routes are ours: {e}", self.run_dir.path().display());
        }
        self.refuse_addresses();
        // An address of somebody else's is not in it: should it become ours, it is written first.
        self.io.recorded.fill(false);
        for (_, spec) in self.router.own_addresses() {
            if let Some(recorded) = self.io.recorded.get_mut(spec.id.0 as usize) {
                *recorded = true;
            }
        }
        self.io.recorded_vmacs.fill(false);
        for (id, _) in self.router.own_vmacs() {
            if let Some(recorded) = self.io.recorded_vmacs.get_mut(id.0 as usize) {
                *recorded = true;
            }
        }
        self.io.recorded_routes.fill(false);
        for (id, ..) in self.router.own_routes() {
            if let Some(recorded) = self.io.recorded_routes.get_mut(id.0 as usize) {
                *recorded = true;
            }
        }
    }

    fn start(&mut self) -> io::Result<()> {
        let now = clock::now();
        self.clear_vmacs()?;
        self.read_links(now)?;
        self.adopt(now)?;
        self.read_all_addresses(now);
        self.read_yields(now);
        self.record();
        self.starting = hooks::has(self.router.config(), Lifecycle::Startup);
        if !self.starting {
            self.handle(Event::Start, now);
        }
        Ok(())
    }

    #[inline(never)]
    fn signals(&mut self, signals: &Signals, children: &Children, now: Instant) {
        while let Some(signal) = signals.read() {
            match signal {
                Signal::Terminate | Signal::Interrupt => self.stop(now),
                Signal::Hangup => {
                    // The reason is in the log.
                    let _ = self.reload(now);
                }
                Signal::Child => children.reap(),
                Signal::User1 | Signal::User2 => {}
            }
        }
    }

    /// Hands over and stops.
    fn stop(&mut self, now: Instant) {
        log::info!("stopping");
        self.stopping.get_or_insert(now);
        self.coming = None;
        self.halt.raise();
        self.handle(Event::Stop, now);
    }

    /// Takes what has come to a socket, as much as one call tells; how much that was.
    fn receive(&mut self, at: usize, inbox: &mut Inbox, now: Instant) -> usize {
        let taken = match self.io.socket(at) {
            Some(socket) => inbox.take(socket, socket.burst()),
            None => return 0,
        };
        match taken {
            Ok(n) => {
                for k in 0..n {
                    let message = self.io.socket(at).and_then(|socket| inbox.message(k, socket));
                    if let Some(message) = message {
                        self.handle(Event::Received(message), now);
                    }
                }
                n
            }
            Err(e) => {
                self.io.note(Note::Refused(System::Socket, e.raw_os_error().unwrap_or(0)));
                self.settle(now);
                0
            }
        }
    }

    /// What is due. Before an Active_Down_Timer fires the sockets are read to their end: what came
    /// before the deadline counts before it, also when we were stopped for a while. After a stall
    /// they are read before anything is sent: another router may be Active by now.
    fn timeout(&mut self, inbox: &mut Inbox, now: Instant) {
        let due_by = |router: &Router, moment: Instant| router.next_deadline().is_some_and(|t| t <= moment);
        if !due_by(&self.router, now) {
            return;
        }
        if !due_by(&self.router, now - STALL) {
            self.handle(Event::Timeout { drained: false }, now);
        }
        if due_by(&self.router, now) {
            for at in 0..io_actions::MAX_SOCKETS {
                // What is beyond a full queue came after we began: a flood does not hold us.
                let mut room = vrrp_socket::MAX_QUEUED;
                while room > 0 {
                    room = match self.receive(at, inbox, now) {
                        0 => 0,
                        n => room.saturating_sub(n),
                    };
                }
            }
            self.handle(Event::Timeout { drained: true }, now);
        }
    }
}
