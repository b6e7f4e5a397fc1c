//! The two programs, and one configuration in the language of each.

use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::support::keepalived;
use super::support::process::{Process, Signal};
use super::support::{Lab, Node, Picovrrp, VIP4, ms};

/// One of the two that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Picovrrp,
    Keepalived,
}

pub(crate) use Program::{Keepalived, Picovrrp as Ours};

/// Both, in the order of a round: each begins every other one.
pub(crate) fn both(round: usize) -> [Program; 2] {
    if round.is_multiple_of(2) { [Ours, Keepalived] } else { [Keepalived, Ours] }
}

/// What an instance looks at; when that fails it is in FAULT.
#[derive(Clone, Debug)]
pub(crate) enum Watch {
    Nothing,
    /// A command that is run every second, keepalived's shortest time, and succeeds while all is well.
    Script(PathBuf),
    /// A file with a number: -254 is a failure.
    Number(PathBuf),
    /// A TCP port on the router itself: built in, with keepalived by the script.
    Port(u16, PathBuf),
}

/// What a router is to do.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// One instance each; a single one holds `VIP4`.
    pub(crate) vrids: RangeInclusive<u8>,
    pub(crate) priority: u8,
    pub(crate) advert: Duration,
    pub(crate) watch: Watch,
    /// So many times over.
    pub(crate) copies: usize,
    /// Locked memory and real-time priority.
    pub(crate) realtime: bool,
    /// A further instance with priority 255, which advertises as soon as it is there.
    pub(crate) owner: Option<u8>,
}

/// The number of the only instance.
pub(crate) const VRID: u8 = 51;
/// Of a round-robin scheduler, for both.
const REALTIME: u8 = 50;

impl Setup {
    /// One instance.
    pub(crate) fn one(priority: u8, advert: Duration) -> Self {
        Setup { vrids: VRID..=VRID, priority, advert, watch: Watch::Nothing, copies: 1, realtime: false, owner: None }
    }

    /// VRIDs 1 to `count`, all due at once.
    pub(crate) fn many(count: u8, priority: u8, advert: Duration) -> Self {
        let vrids = if count == 1 { VRID..=VRID } else { 1..=count };
        Setup { vrids, ..Self::one(priority, advert) }
    }

    fn address(&self, vrid: u8) -> String {
        if self.vrids.clone().count() == 1 { format!("{VIP4}/24") } else { format!("198.51.100.{vrid}/32") }
    }

    /// Number and priority of each instance.
    fn instances(&self) -> impl Iterator<Item = (u8, u8)> + '_ {
        self.vrids.clone().map(|vrid| (vrid, self.priority)).chain(self.owner.map(|vrid| (vrid, 255)))
    }

    /// The file for `program`. Neither repeats its announcements after five seconds, which would fall into
    /// what is measured; both advertise as keepalived 2.2 understands it.
    pub(crate) fn text(&self, program: Program) -> String {
        match program {
            Ours => self.picovrrp(),
            Keepalived => self.keepalived(),
        }
    }

    fn picovrrp(&self) -> String {
        let centis = self.advert.as_millis() / 10;
        let kind = match &self.watch {
            Watch::Nothing => None,
            Watch::Script(path) => Some(format!("script {} every 1s", path.display())),
            Watch::Number(path) => Some(format!("file {}", path.display())),
            Watch::Port(port, _) => Some(format!("tcp 127.0.0.1 {port} every 1s")),
        };
        let (mut check, mut track) = (String::new(), String::new());
        for (n, kind) in std::iter::repeat_n(kind, self.copies).flatten().enumerate() {
            let _ = writeln!(check, "check it{n} {kind}");
            let _ = writeln!(track, "  track it{n}");
        }
        let mut text = format!("defaults version 3 advert {centis}cs checksum pseudo garp delay 0\n{check}");
        for (vrid, priority) in self.instances() {
            let address = self.address(vrid);
            let _ =
                write!(text, "instance i{vrid} on eth0 vrid {vrid} priority {priority}\n  address {address}\n{track}");
        }
        text
    }

    fn keepalived(&self) -> String {
        let (kind, block) = match &self.watch {
            Watch::Nothing => ("", None),
            Watch::Script(path) | Watch::Port(_, path) => {
                ("script", Some(format!("script \"{}\"\ninterval 1\nuser root", path.display())))
            }
            Watch::Number(path) => ("file", Some(format!("file \"{}\"\nweight 1", path.display()))),
        };
        let (mut check, mut track) = (String::new(), String::new());
        for (n, block) in std::iter::repeat_n(block, self.copies).flatten().enumerate() {
            let _ = writeln!(check, "vrrp_{}{kind} it{n} {{\n{block}\n}}", if kind == "file" { "track_" } else { "" });
            let _ = writeln!(track, "track_{kind} {{\nit{n}\n}}");
        }
        let realtime =
            if self.realtime { format!("vrrp_rt_priority {REALTIME}\nvrrp_no_swap\n") } else { String::new() };
        let mut text = format!("global_defs {{\nvrrp_version 3\n{realtime}}}\n{check}");
        for (vrid, priority) in self.instances() {
            let state = if priority == 255 { "MASTER" } else { "BACKUP" };
            let (address, advert) = (self.address(vrid), self.advert.as_secs_f64());
            let _ = write!(
                text,
                "vrrp_instance i{vrid} {{\nstate {state}\ninterface eth0\nvirtual_router_id {vrid}\npriority {priority}\n\
                 advert_int {advert}\ngarp_master_delay 0\n{track}virtual_ipaddress {{\n{address}\n}}\n}}\n"
            );
        }
        text
    }

    /// Priority and adverts of a lower router wait so long before they take over.
    pub(crate) fn active_down_interval(&self) -> Duration {
        self.advert * 3 + self.advert * (256 - u32::from(self.priority)) / 256
    }
}

/// The programs that are measured.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    /// picovrrp as its users get it.
    pub(crate) ours: PathBuf,
    /// The same with room for 255 instances; none in a quick run.
    pub(crate) roomy: Option<PathBuf>,
    /// keepalived.
    pub(crate) theirs: PathBuf,
}

/// Instances that the ordinary build has room for.
pub(crate) const ROOM: u8 = 32;

impl Binaries {
    /// From the environment, as `tests/bench/run` sets it.
    pub(crate) fn find() -> Self {
        let of = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let ours = of("BENCH_BINARY").unwrap_or_else(|| super::support::picovrrp::BINARY.into());
        let theirs = ["/usr/sbin/keepalived", "/usr/local/sbin/keepalived", "/usr/bin/keepalived"];
        let theirs = theirs.iter().map(PathBuf::from).find(|p| p.is_file()).unwrap_or_else(|| "keepalived".into());
        Binaries { ours, roomy: of("BENCH_ROOMY"), theirs }
    }

    /// How many instances can be tried at most.
    pub(crate) fn most(&self) -> u8 {
        if self.roomy.is_some() { 255 } else { ROOM }
    }

    fn for_setup(&self, setup: &Setup) -> &Path {
        match &self.roomy {
            Some(roomy) if setup.instances().count() > usize::from(ROOM) => roomy,
            _ => &self.ours,
        }
    }

    /// Starts `program` on `node`.
    pub(crate) fn start(&self, program: Program, node: &Node, setup: &Setup) -> Daemon {
        let text = setup.text(program);
        let (process, config) = match program {
            Ours => {
                let priority = REALTIME.to_string();
                let options = ["--realtime", &priority, "--lock-memory"];
                let options = if setup.realtime { &options[..] } else { &[] };
                let daemon = Picovrrp::start_as(self.for_setup(setup).into(), node, "-f", &text, options);
                (daemon.process, "picovrrp.conf")
            }
            Keepalived => (keepalived::start_text(node, &text), "keepalived.conf"),
        };
        Daemon { process, program, config: node.dir().join(config) }
    }

    /// The command that starts `program` with this file, without any other program around it.
    pub(crate) fn command(&self, program: Program, setup: &Setup, dir: &Path) -> Command {
        let file = dir.join("bare.conf");
        fs::write(&file, setup.text(program)).expect("the lab's directory can be written to");
        let mut command;
        match program {
            Ours => {
                command = Command::new(self.for_setup(setup));
                command.arg("--run-dir").arg(dir.join("run")).args(["run", "-f"]).arg(&file).arg("--log-stderr");
            }
            Keepalived => {
                command = Command::new(&self.theirs);
                command.args(["--vrrp", "--dont-fork", "--dont-respawn", "--log-console", "-G"]);
                for (option, name) in [("--pid", "keepalived.pid"), ("--vrrp_pid", "vrrp.pid")] {
                    command.arg(format!("{option}={}", dir.join(name).display()));
                }
                command.arg("--use-file").arg(&file);
            }
        }
        command
    }
}

/// One of them, running.
pub(crate) struct Daemon {
    pub(crate) process: Process,
    pub(crate) program: Program,
    config: PathBuf,
}

impl Daemon {
    /// Gives it another configuration, and the order to read it.
    pub(crate) fn reload(&self, setup: &Setup) {
        fs::write(&self.config, setup.text(self.program)).expect("the lab's directory can be written to");
        self.process.signal(Signal::HUP);
    }
}

/// a with priority 200 is Active and has just advertised, b with 100 is Backup and has heard it.
pub(crate) struct Pair {
    pub(crate) one: Daemon,
    _two: Daemon,
    pub(crate) a: Node,
    pub(crate) b: Node,
    pub(crate) client: Node,
    pub(crate) lab: Lab,
    pub(crate) successor: Setup,
}

pub(crate) const LONG: Duration = Duration::from_secs(60);
/// The address that a single instance holds.
pub(crate) const VIP: IpAddr = VIP4;

impl Pair {
    /// Both at once, as after a power cut; `setup` is a's, and b does the same with priority 100.
    pub(crate) fn start(binaries: &Binaries, first: Program, second: Program, setup: &Setup) -> Self {
        let (lab, a, b, client) = Lab::trio();
        let successor = Setup { priority: 100, watch: Watch::Nothing, ..setup.clone() };
        let start = std::time::Instant::now();
        let two = binaries.start(second, &b, &successor);
        let one = binaries.start(first, &a, &Setup { priority: 200, ..setup.clone() });
        lab.wire().wait_many("an advert of a", 2, start, LONG, |s| s.is_claim_of("a"));
        a.wait_has(VIP, LONG);
        b.wait_lacks(VIP, LONG);
        // b has joined the group when the other has advertised for a while, whatever the interval.
        super::support::observe(ms(300));
        Pair { one, _two: two, a, b, client, lab, successor }
    }

    /// Waits until half an interval after an advert of a, so that every round has the same phase.
    pub(crate) fn between_adverts(&self) {
        between_adverts(&self.lab, self.successor.advert);
    }
}

/// The same for any lab.
pub(crate) fn between_adverts(lab: &Lab, advert: Duration) {
    let advert_of_a = lab.wire().wait("an advert of a", std::time::Instant::now(), LONG, |s| s.is_claim_of("a"));
    let until = advert_of_a.at + advert / 2;
    super::support::observe(until.saturating_duration_since(std::time::Instant::now()));
}
