//! What the steps of an advert's way cost, in instructions: `sh tests/bench/instructions`.
//!
//! valgrind runs each case twice, a number of times and once more that number. The difference belongs to the
//! case alone, and is the same on a busy machine and from one run to the next.

use std::fmt::Write;
use std::hint::black_box;
use std::net::IpAddr;
use std::process::{Command, ExitCode};

use picovrrp::config::diagnostics::Diagnostics;
use picovrrp::config::line;
use picovrrp::config::model::{Config, MAX_INSTANCES};
use picovrrp::config::uci::{Mode, Parser};
use picovrrp::config::uci_import::{self, Networks};
use picovrrp::router::event::{LinkAddress, LinkInfo, Received};
use picovrrp::router::{Action, Event, Router};
use picovrrp::vrrp::packet::{self, Header, Packet};
use picovrrp::vrrp::timing::{Centis, Instant, Micros, Version};

/// How often each case runs, and how often more.
const TIMES: u64 = 100;
const ALL: usize = MAX_INSTANCES;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// An advert of one address, of 192.0.2.2 or fe80::2, and who sends it to whom.
struct Advert {
    bytes: Vec<u8>,
    header: Header,
    source: IpAddr,
    group: IpAddr,
    address: IpAddr,
}

impl Advert {
    fn new(version: Version, ipv6: bool, vrid: u8) -> Advert {
        let (source, group, address) = match ipv6 {
            false => (ip("192.0.2.2"), IpAddr::V4(packet::GROUP_V4), IpAddr::from([198, 51, 100, vrid])),
            true => (ip("fe80::2"), IpAddr::V6(packet::GROUP_V6), ip("fe80::254")),
        };
        let password = (version == Version::V2).then_some(*b"password");
        let header = Header { version, vrid, priority: 200, interval: Centis::SECOND, password };
        let mut advert = Advert { bytes: vec![0; packet::MAX_LEN], header, source, group, address };
        let n = advert.emit();
        advert.bytes.truncate(n);
        advert
    }

    fn emit(&mut self) -> usize {
        let pseudo = self.source.is_ipv6().then_some((self.source, self.group));
        packet::emit(&mut self.bytes, &self.header, [self.address].into_iter(), pseudo).expect("it fits")
    }

    fn received(&self) -> Received<'_> {
        let Advert { source, group, .. } = *self;
        Received { ifindex: 2, source, destination: group, ttl: 255, payload: &self.bytes }
    }
}

fn parse(version: Version, ipv6: bool) -> impl FnMut() {
    let advert = Advert::new(version, ipv6, 51);
    move || {
        let advert = black_box(&advert);
        let p = Packet::new_checked(&advert.bytes, advert.source.is_ipv6()).expect("it is whole");
        black_box((p.checksum(advert.source, advert.group), p.interval(), p.priority(), p.addresses().last()));
    }
}

fn emit(version: Version, ipv6: bool) -> impl FnMut() {
    let mut advert = Advert::new(version, ipv6, 51);
    move || {
        black_box(black_box(&mut advert).emit());
    }
}

/// A router with so many instances, of one group or of none, that has just started.
fn router(instances: usize, priority: u8, group: bool) -> Router {
    let mut text = format!("defaults priority {priority}\n");
    for vrid in 1..=instances {
        let _ = writeln!(text, "instance i{vrid} on eth0 vrid {vrid}\n  garp delay 0 repeat 1");
        let _ = writeln!(text, "  address 198.51.100.{vrid}/32");
    }
    if group {
        text.push_str("group all");
        (1..=instances).for_each(|n| text.push_str(&format!(" i{n}")));
    }
    let (mut config, mut found) = (Box::<Config>::default(), Diagnostics::new());
    let Ok(()) = line::parse(&mut text.as_bytes(), &mut config, &mut found);
    assert_eq!(found.errors(), 0);
    let (mut router, now) = (Router::new(config), Instant(0));
    let list = [LinkAddress { ip: ip("192.0.2.1"), prefix: 24, secondary: false, tentative: false }];
    let link = LinkInfo { ifindex: 2, name: "eth0", up: true, mac: [2; 6], mtu: 1500 };
    for event in [Event::Link(link), Event::Addresses { ifindex: 2, list: &list }, Event::Start] {
        router.handle(event, now, &mut |_: Action<'_>| {});
    }
    router
}

fn consume(action: &Action<'_>) {
    black_box(action);
}

/// One advert for one of so many Backups after the other.
fn backup(instances: usize, group: bool) -> impl FnMut() {
    let mut router = router(instances, 100, group);
    let adverts: Vec<Advert> = (1..=instances).map(|n| Advert::new(Version::V3, false, n as u8)).collect();
    let (mut now, mut turn) = (Instant(0), 0);
    let mut step = move || {
        let advert = &adverts[turn % adverts.len()];
        (now, turn) = (now + Micros(100), turn + 1);
        router.handle(Event::Received(advert.received()), now, &mut |a: Action<'_>| consume(&a));
    };
    // Their first adverts teach the form of the checksum.
    (0..instances).for_each(|_| step());
    step
}

/// All of so many Actives advertise.
fn active(instances: usize) -> impl FnMut() {
    let mut router = router(instances, 200, false);
    let mut step = move || {
        let now = router.next_deadline().expect("an advert is due");
        router.handle(Event::Timeout { drained: true }, now, &mut |a: Action<'_>| consume(&a));
    };
    // They become so, and announce their addresses.
    (0..4).for_each(|_| step());
    step
}

fn next_deadline(instances: usize) -> impl FnMut() {
    let router = router(instances, 100, false);
    move || {
        black_box((black_box(&router).next_deadline(), router.takeover_is_next()));
    }
}

const LINES: &str = "instance lan on br-lan vrid 51 priority 150 advert 500ms
  address 192.168.1.1/24
  address 10.10.0.1/24 dev br-iot
  track-interface wan weight -60
";

const UCI: &str = "config vrrp_instance
\toption name 'lan'
\toption interface 'br-lan'
\toption virtual_router_id '51'
\toption priority '150'
\tlist virtual_ipaddress '192.168.1.1/24'
\tlist virtual_ipaddress '10.10.0.1/24'
\tlist track_interface 'wan'
";

fn lines() -> impl FnMut() {
    let (mut config, mut found) = (Box::<Config>::default(), Box::new(Diagnostics::new()));
    move || {
        let Ok(()) = line::parse(&mut black_box(LINES).as_bytes(), &mut config, &mut found);
        assert_eq!((found.errors(), config.instances.len()), (0, 1));
    }
}

fn uci_grammar() -> impl FnMut() {
    || {
        let mut input = black_box(UCI).as_bytes();
        let mut parser = Parser::new(&mut input, Mode::Strict);
        while let Ok(Some(item)) = parser.next_item() {
            black_box(item);
        }
    }
}

fn uci() -> impl FnMut() {
    let (mut config, mut found) = (Box::<Config>::default(), Box::new(Diagnostics::new()));
    let networks = Networks::new();
    move || {
        let options = uci_import::Options { mode: Mode::Strict, strict: false, networks: &networks };
        let Ok(_) = uci_import::import(&mut black_box(UCI).as_bytes(), &options, &mut config, &mut found, None);
        assert_eq!(config.instances.len(), 1);
    }
}

/// A name, how many adverts or the like one run is, and what is run.
type Case = (&'static str, usize, fn() -> Box<dyn FnMut()>);

const CASES: [Case; 16] = [
    ("parse and verify: version 2, password", 1, || Box::new(parse(Version::V2, false))),
    ("parse and verify: version 3, IPv4", 1, || Box::new(parse(Version::V3, false))),
    ("parse and verify: version 3, IPv6", 1, || Box::new(parse(Version::V3, true))),
    ("emit: version 2, password", 1, || Box::new(emit(Version::V2, false))),
    ("emit: version 3, IPv4", 1, || Box::new(emit(Version::V3, false))),
    ("emit: version 3, IPv6", 1, || Box::new(emit(Version::V3, true))),
    ("step as Backup, 1 instance", 1, || Box::new(backup(1, false))),
    ("step as Backup, all instances", 1, || Box::new(backup(ALL, false))),
    ("step as Backup, 100 instances of one group", 1, || Box::new(backup(100, true))),
    ("step as Active, 1 instance", 1, || Box::new(active(1))),
    ("step as Active, all instances, for each", ALL, || Box::new(active(ALL))),
    ("next deadline, 1 instance", 1, || Box::new(next_deadline(1))),
    ("next deadline, all instances", 1, || Box::new(next_deadline(ALL))),
    ("read 4 lines of the line language", 1, || Box::new(lines())),
    ("read 8 lines of UCI, the grammar", 1, || Box::new(uci_grammar())),
    ("read 8 lines of UCI, the import", 1, || Box::new(uci())),
];

/// Instructions of this program when it runs case `case` so many times.
fn counted(case: usize, times: u64) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([case.to_string(), times.to_string()])
        .output()
        .map_err(|e| format!("valgrind: {e}"))?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let collected = said.lines().find_map(|l| l.split("Collected :").nth(1));
    let number = collected.and_then(|n| n.trim().parse().ok()).filter(|_| out.status.success());
    number.ok_or_else(|| format!("valgrind tells no number of instructions:\n{said}"))
}

fn main() -> ExitCode {
    let words: Vec<u64> = std::env::args().skip(1).filter_map(|w| w.parse().ok()).collect();
    if let [case, times] = words[..] {
        let mut run = CASES[case as usize].2();
        (0..times).for_each(|_| run());
        return ExitCode::SUCCESS;
    }
    println!("Instructions, in a build with room for {ALL} instances.\n");
    let mut json = Vec::new();
    for (case, (name, each, _)) in CASES.iter().enumerate() {
        let (once, twice) = match (counted(case, TIMES), counted(case, 2 * TIMES)) {
            (Ok(once), Ok(twice)) => (once, twice),
            (Err(e), _) | (_, Err(e)) => {
                eprintln!("{e}");
                return ExitCode::FAILURE;
            }
        };
        let instructions = twice.saturating_sub(once) / (TIMES * *each as u64);
        println!("{name:<42} {instructions:>8}");
        json.push(serde_json::json!({ "case": name, "instructions": instructions }));
    }
    println!("\n{}", serde_json::json!({ "instances": ALL, "results": json }));
    ExitCode::SUCCESS
}
