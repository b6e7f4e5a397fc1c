//! One host: its kernel, its clock, and the process that runs the router.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;

use picovrrp::router::event::{Event, Shown};
use picovrrp::vrrp::election::State;
use picovrrp::vrrp::timing::{Instant, Micros};

use crate::kernel::{By, Kernel};
use crate::network::Packet;
use crate::node::Node;
use crate::setup::{LAN, NAMES, Setup};
use crate::tracked::{Found, Model, Sum};

/// What waits for a process that is paused.
pub enum Inbound {
    Packet(Rc<Packet>),
    Netlink,
}

/// What an outsider has seen of the present process.
pub struct Seen {
    pub shown: Shown,
    /// Addresses of an earlier process may still stand.
    pub stale: bool,
    /// It was told to start.
    pub started: bool,
    /// It was told to stop.
    pub stopping: bool,
    /// It has sent priority 0, and was not Backup since.
    pub left: bool,
    /// When it ends to be Leaving if nobody speaks (its own clock).
    pub leaves_until: Instant,
    /// Another configuration is in place, `Start` is not said yet.
    pub reloading: bool,
    /// As Backup: since when it has heard nobody (its own clock).
    pub silent_since: Instant,
    /// Who was heard last in version 3, and until when its version 2 says nothing.
    pub in_v3: Option<(IpAddr, Instant)>,
    /// When it sent adverts, and when it became Active.
    pub sends: VecDeque<u64>,
    pub entries: VecDeque<u64>,
    /// Addresses that the kernel refused to add since the last advert.
    pub failed: Vec<IpAddr>,
}

impl Seen {
    pub fn new(stale: bool, now: Instant) -> Seen {
        Seen {
            shown: Shown::Init,
            stale,
            started: false,
            stopping: false,
            left: false,
            leaves_until: Instant(0),
            reloading: false,
            silent_since: now,
            in_v3: None,
            sends: VecDeque::new(),
            entries: VecDeque::new(),
            failed: Vec::new(),
        }
    }
}

pub struct Host {
    pub setup: Setup,
    pub kernel: Kernel,
    /// `None` while no process runs.
    pub node: Option<Box<dyn Node>>,
    pub paused: bool,
    /// It was told to yield.
    pub aside: bool,
    pub inbox: Vec<Inbound>,
    /// The interface indices that the process knows.
    pub told: [u32; NAMES.len() + 1],
    /// Whether `LAN` counts as up, and what it is to count as from when on (its own clock).
    pub lan: Option<bool>,
    pub pending: Option<(bool, Instant)>,
    /// What is due may not be done yet.
    pub behind: bool,
    /// Its clock at the last step.
    pub clock: Instant,
    /// It asked for its macvlan, and has not heard what came of it.
    pub making: bool,
    /// Notifications of the kernel on their way.
    pub netlink: u32,
    /// The interface whose state is just being told.
    pub telling: Option<usize>,
    /// So many additions of addresses will fail.
    pub fail_adds: u8,
    pub epoch: u64,
    /// The clock's error in millionths.
    pub ppm: i64,
    pub armed: Option<Instant>,
    /// Timers of another generation are void.
    pub generation: u64,
    pub seen: Seen,
    /// What is to come of what it tracks.
    pub model: Model,
    /// What a run of each check finds now; `None` while it hangs.
    pub truth: Vec<Option<Found>>,
}

impl Host {
    pub fn new(setup: Setup, kernel: Kernel, epoch: u64, ppm: i64) -> Host {
        let (truth, model) = (vec![None; setup.checks.len()], Model::new(&setup.checks, NAMES.len()));
        Host {
            setup,
            kernel,
            node: None,
            paused: false,
            aside: false,
            inbox: Vec::new(),
            told: [0; NAMES.len() + 1],
            lan: None,
            pending: None,
            behind: false,
            clock: Instant(0),
            making: false,
            netlink: 0,
            telling: None,
            fail_adds: 0,
            epoch,
            ppm,
            armed: None,
            generation: 0,
            seen: Seen::new(false, Instant(0)),
            model,
            truth,
        }
    }

    /// What the host's clock shows at the world's moment `t`.
    pub fn local(&self, t: u64) -> Instant {
        Instant(self.epoch + t * (1_000_000 + self.ppm) as u64 / 1_000_000)
    }

    /// The world's moment at which the host's clock first shows `local`.
    pub fn global(&self, local: Instant) -> u64 {
        let rate = (1_000_000 + self.ppm) as u64;
        let mut t = local.0.saturating_sub(self.epoch) * 1_000_000 / rate;
        while self.local(t) < local {
            t += 1;
        }
        t
    }

    pub fn state(&self) -> State {
        self.node.as_ref().map_or(State::Initialize, |n| n.state())
    }

    /// Whether the process knows how things stand in the kernel.
    pub fn informed(&self) -> bool {
        self.netlink == 0 && self.telling.is_none() && self.pending.is_none() && !self.behind
    }

    pub fn is_active(&self) -> bool {
        matches!(self.state(), State::Active { .. })
    }

    /// Whether it takes part in the election: it is to be in Backup or Active when all is quiet.
    pub fn eligible(&self) -> bool {
        let lan = &self.kernel.ifaces[LAN];
        let works = lan.ifindex != 0 && lan.up && self.source().is_some() && !self.making;
        let sum = self.sum();
        // What waits for a check's first result does not start; what runs goes on.
        let held = sum.held && self.state() == State::Initialize;
        self.node.is_some() && !self.paused && !self.seen.stopping && works && !sum.fault && !held
    }

    /// Tells the model what the process is about to hear.
    pub fn foresee(&mut self, event: Event<'_>) {
        match event {
            Event::Timeout { .. } => {
                if let Some((up, _)) = self.pending.filter(|(_, due)| self.clock >= *due) {
                    (self.lan, self.pending) = (Some(up), None);
                }
            }
            Event::Link(l) if l.name == NAMES[LAN] => {
                let wait = if l.up { self.setup.delays.1 } else { self.setup.delays.0 };
                let lasted = self.pending.is_some_and(|(_, due)| self.clock >= due);
                if self.lan.is_none() || self.lan == Some(l.up) || wait == 0 || lasted {
                    (self.lan, self.pending) = (Some(l.up), None);
                } else {
                    self.pending.get_or_insert((l.up, self.clock + Micros(wait)));
                }
            }
            Event::LinkGone { .. } if self.telling == Some(LAN) => (self.lan, self.pending) = (None, None),
            _ => {}
        }
        let (model, checks) = (&mut self.model, &self.setup.checks);
        match event {
            Event::Link(l) => {
                if let Some(i) = NAMES.iter().position(|n| *n == l.name) {
                    model.link(checks, i, l.up);
                }
            }
            Event::LinkGone { .. } => {
                if let Some(i) = self.telling.filter(|i| *i < NAMES.len()) {
                    model.link(checks, i, false);
                }
            }
            Event::Vmac { .. } => self.making = false,
            Event::Stop => self.seen.stopping = true,
            Event::Check { check, result } => model.run(checks, check.0 as usize, Found::from(result)),
            Event::Start => {
                model.start(checks);
                (self.seen.reloading, self.seen.started) = (false, true);
            }
            _ => {}
        }
    }

    /// What the model makes of what it tracks.
    pub fn sum(&self) -> Sum {
        self.model.sum(self.setup.priority, self.setup.tracks.iter())
    }

    /// Effective priority, as the model has it.
    pub fn priority(&self) -> u8 {
        self.sum().priority
    }

    /// The address that it sends from: the first that is not a virtual one; an owner's may be.
    pub fn source(&self) -> Option<IpAddr> {
        if let Some((ip, _)) = &self.setup.unicast {
            return Some(*ip);
        }
        let of_system = || {
            let all = self.kernel.ifaces[LAN].addresses.iter();
            all.filter(|a| a.2 == By::System && a.0.is_ipv4() == self.setup.group().is_ipv4()).map(|a| a.0)
        };
        let is_vip = |ip: &IpAddr| self.setup.vips.iter().any(|v| v.ip == *ip);
        of_system().find(|ip| !is_vip(ip)).or_else(|| of_system().next())
    }

    /// Whether the first virtual address stands on its interface, and the interface serves.
    pub fn serves(&self) -> bool {
        let vip = &self.setup.vips[0];
        let iface = &self.kernel.ifaces[vip.dev];
        iface.up && iface.has(vip.ip).is_some()
    }
}
