//! The router through `handle`: configurations are built field by field, actions are kept as words.

use core::net::IpAddr;

use super::event::{AddressId, LinkAddress, LinkInfo, Received, Report, RouteId, RouteSpec};
use super::{Action, Event, Router};
use crate::config::model::{
    Address, Check, CheckKind, ChecksumForm, Config, Family, Garp, Group, Hooks, Initial, Instance, Peer, Preempt,
    Range, Route, Start, StrId, Track, Tracked, Weights,
};
use crate::vrrp::election::State;
use crate::vrrp::packet::{self, Header};
use crate::vrrp::timing::{Centis, Instant, Micros, Version};

mod active;
mod addresses;
mod aside;
mod checks;
mod delays;
mod groups;
mod hostile;
mod links;
mod receive;
mod reload;
mod routes;
mod time;
mod tracking;
mod versions;
mod vmac;

const T0: Instant = Instant(1_000_000_000);
const ETH0: u32 = 2;
const ETH1: u32 = 3;
const OURS: &str = "192.0.2.1";
const PEER: &str = "192.0.2.2";

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

/// One instance, before it stands in a `Config`.
#[derive(Clone)]
struct Spec {
    name: &'static str,
    on: &'static str,
    vrid: u8,
    version: Version,
    also_v2: bool,
    priority: u8,
    advert: u16,
    preempt: Preempt,
    /// `address/length`, or `address/length interface`.
    addresses: Vec<&'static str>,
    /// `to/length`, with ` via GATEWAY` and ` dev INTERFACE` behind it.
    routes: Vec<&'static str>,
    unicast: Option<&'static str>,
    /// Address, lowest and highest TTL.
    peers: Vec<(&'static str, u8, u8)>,
    /// Interface, weight, reverse.
    tracks: Vec<(&'static str, i16, bool)>,
    /// Check, weight, reverse.
    follows: Vec<(&'static str, i16, bool)>,
    source: Option<&'static str>,
    password: Option<[u8; 8]>,
    checksum: ChecksumForm,
    garp: Garp,
    vmac: &'static str,
    vmac_base: bool,
}

/// Version 3 over IPv4, priority 100, one second, one address.
fn spec() -> Spec {
    Spec {
        name: "gw",
        on: "eth0",
        vrid: 51,
        version: Version::V3,
        also_v2: false,
        priority: 100,
        advert: 100,
        preempt: Preempt::On,
        addresses: vec!["192.0.2.254/24"],
        routes: vec![],
        unicast: None,
        peers: vec![],
        tracks: vec![],
        follows: vec![],
        source: None,
        password: None,
        checksum: ChecksumForm::Plain,
        garp: Garp::default(),
        vmac: "",
        vmac_base: false,
    }
}

fn v6() -> Spec {
    Spec { addresses: vec!["fe80::fff0/64", "2001:db8::1/64"], ..spec() }
}

fn config(specs: &[Spec]) -> Box<Config> {
    let mut c = Box::<Config>::default();
    for s in specs {
        let (a, p) = (c.addresses.len() as u16, c.peers.len() as u16);
        let tracks = add_tracks(&mut c, &s.tracks, &s.follows);
        let family = Family::of(ip(s.addresses[0].split('/').next().unwrap()));
        for text in &s.addresses {
            let (at, dev) = text.split_once(' ').unwrap_or((text, ""));
            let (addr, prefix) = at.split_once('/').unwrap();
            let dev = c.strings.add(dev).unwrap();
            let excluded = Family::of(ip(addr)) != family;
            let (ip, prefix) = (ip(addr), prefix.parse().unwrap());
            let address = Address { ip, prefix, dev, scope: None, label: StrId::default(), excluded };
            c.addresses.push(address).unwrap();
        }
        for (at, min_ttl, max_ttl) in &s.peers {
            c.peers.push(Peer { ip: ip(at), min_ttl: *min_ttl, max_ttl: *max_ttl }).unwrap();
        }
        let instance = Instance {
            name: c.strings.add(s.name).unwrap(),
            interface: c.strings.add(s.on).unwrap(),
            vrid: s.vrid,
            family,
            version: s.version,
            also_v2: s.also_v2,
            priority: s.priority,
            advert: Centis::new(s.advert).unwrap(),
            preempt: s.preempt,
            start: Start::Backup,
            addresses: Range { start: a, len: s.addresses.len() as u16 },
            routes: add_routes(&mut c, &s.routes),
            peers: Range { start: p, len: s.peers.len() as u16 },
            tracks,
            hooks: Hooks::default(),
            unicast: s.unicast.map(ip),
            source: s.source.map(ip),
            group: None,
            password: s.password,
            garp: s.garp,
            checksum: s.checksum,
            vmac: c.strings.add(s.vmac).unwrap(),
            vmac_base: s.vmac_base,
            accept: true,
            track_primary: true,
        };
        c.instances.push(instance).unwrap();
    }
    c
}

fn add_routes(c: &mut Config, routes: &[&str]) -> Range {
    let start = c.routes.len() as u16;
    for text in routes {
        let words: Vec<&str> = text.split(' ').collect();
        let behind = |word: &str| words.iter().position(|w| *w == word).map(|at| words[at + 1]);
        let (to, prefix) = words[0].split_once('/').unwrap();
        let dev = c.strings.add(behind("dev").unwrap_or("")).unwrap();
        let route = Route { via: behind("via").map(ip), dev, ..Route::to(ip(to), prefix.parse().unwrap()) };
        c.routes.push(route).unwrap();
    }
    Range { start, len: routes.len() as u16 }
}

/// Interfaces and checks with weight and reverse.
fn add_tracks(c: &mut Config, interfaces: &[(&str, i16, bool)], checks: &[(&str, i16, bool)]) -> Range {
    let start = c.tracks.len() as u16;
    for (name, weight, reverse) in interfaces {
        let what = Tracked::Interface(c.strings.add(name).unwrap());
        c.tracks.push(Track { what, weight: *weight, reverse: *reverse }).unwrap();
    }
    for (name, weight, reverse) in checks {
        let what = Tracked::Check(c.strings.add(name).unwrap());
        c.tracks.push(Track { what, weight: *weight, reverse: *reverse }).unwrap();
    }
    Range { start, len: (interfaces.len() + checks.len()) as u16 }
}

/// Checks: `script`, `file` or `interface NAME`; rise, fall, initial. Trackers find them when the router
/// begins.
fn with_checks(mut c: Box<Config>, checks: &[(&str, &str, u8, u8, Initial)]) -> Box<Config> {
    for (name, kind, rise, fall, initial) in checks {
        let name = c.strings.add(name).unwrap();
        let kind = match kind.split_once(' ') {
            Some((_, interface)) => CheckKind::Interface { interface: c.strings.add(interface).unwrap() },
            None if *kind == "file" => CheckKind::File { path: c.strings.add("/number").unwrap() },
            None => CheckKind::Script { command: c.strings.add("/bin/true").unwrap(), user: StrId::default() },
        };
        let (every, timeout) = (Check::EVERY, Check::EVERY);
        c.checks.push(Check { name, kind, every, timeout, fall: *fall, rise: *rise, initial: *initial }).unwrap();
    }
    c
}

/// A group of these instances, which tracks these checks.
fn with_group(mut c: Box<Config>, members: &[&str], tracks: &[(&str, i16, bool)], weights: bool) -> Box<Config> {
    let start = c.members.len() as u16;
    for name in members {
        let name = c.strings.add(name).unwrap();
        c.members.push(name).unwrap();
    }
    let tracks = add_tracks(&mut c, &[], tracks);
    let name = c.strings.add("group").unwrap();
    let members = Range { start, len: members.len() as u16 };
    let weights = if weights { Weights::All } else { Weights::Nobody };
    c.groups.push(Group { name, members, tracks, hooks: Hooks::default(), weights }).unwrap();
    c
}

/// A router, its time, and what it did.
struct Lab {
    r: Router,
    now: Instant,
    did: Vec<String>,
}

impl Lab {
    /// Knows nothing yet.
    fn blank(config: Box<Config>) -> Lab {
        Lab { r: Router::new(config), now: T0, did: Vec::new() }
    }

    /// Started on an `eth0` that is up and has an address of each family.
    fn new(specs: &[Spec]) -> Lab {
        Lab::of(config(specs))
    }

    fn of(config: Box<Config>) -> Lab {
        let mut l = Lab::blank(config);
        l.link(ETH0, "eth0", true);
        l.has(ETH0, &["192.0.2.1/24", "fe80::1/64"]);
        l.event(Event::Start);
        l
    }

    /// Started, and Active because nobody else was heard; what it did for that is forgotten.
    fn active(specs: &[Spec]) -> Lab {
        let mut l = Lab::new(specs);
        while !l.is_active() {
            l.fire();
        }
        l.took();
        l
    }

    fn event(&mut self, event: Event<'_>) {
        let did = &mut self.did;
        self.r.handle(event, self.now, &mut |a: Action<'_>| did.push(words(a)));
    }

    fn reload(&mut self, config: Box<Config>) {
        let did = &mut self.did;
        self.r.reload(config, self.now, &mut |a: Action<'_>| did.push(words(a)));
    }

    /// What it did since this was last asked.
    fn took(&mut self) -> Vec<String> {
        std::mem::take(&mut self.did)
    }

    fn wait_ms(&mut self, ms: u64) {
        self.now = self.now + Micros::from_millis(ms);
    }

    /// Goes to the next deadline and does what is due.
    fn fire(&mut self) {
        self.now = self.r.next_deadline().unwrap().max(self.now);
        self.event(Event::Timeout { drained: true });
    }

    /// Does all that is due in the next `ms`: each action with the milliseconds since `from`.
    fn run_ms(&mut self, from: Instant, ms: u64) -> Vec<(u64, String)> {
        let end = self.now + Micros::from_millis(ms);
        let mut all = Vec::new();
        while self.r.next_deadline().is_some_and(|t| t <= end) {
            self.fire();
            let at = self.now.since(from).as_millis();
            all.extend(self.took().into_iter().map(|d| (at, d)));
        }
        self.now = end;
        all
    }

    fn link(&mut self, ifindex: u32, name: &str, up: bool) {
        let mac = [2, 0, 0, 0, 0, ifindex as u8];
        self.event(Event::Link(LinkInfo { ifindex, name, up, mac, mtu: 1500 }));
    }

    fn has(&mut self, ifindex: u32, list: &[&str]) {
        let all: Vec<LinkAddress> = list.iter().map(|a| on_link(a)).collect();
        self.event(Event::Addresses { ifindex, list: &all });
    }

    fn state(&self) -> State {
        self.r.election_state(0).unwrap()
    }

    fn is_active(&self) -> bool {
        matches!(self.state(), State::Active { .. })
    }

    fn is_backup(&self) -> bool {
        matches!(self.state(), State::Backup { .. })
    }

    /// A message as instance 0 would send it with this priority and interval, from `source`.
    fn message(&self, priority: u8, advert: u16, source: &str, destination: &str) -> Vec<u8> {
        self.message_in(self.r.config().instances[0].version, priority, advert, source, destination)
    }

    fn message_in(&self, version: Version, priority: u8, advert: u16, source: &str, destination: &str) -> Vec<u8> {
        let c = self.r.config();
        let i = &c.instances[0];
        let password = i.password;
        let h = Header { version, vrid: i.vrid, priority, interval: Centis::new(advert).unwrap(), password };
        let pseudo = i.family == Family::V6 || i.checksum == ChecksumForm::Pseudo;
        let ends = (pseudo && version == Version::V3).then_some((ip(source), ip(destination)));
        let ips = c.addresses_of(i).iter().filter(|a| !a.excluded).map(|a| a.ip);
        let mut buf = [0; packet::MAX_LEN];
        let n = packet::emit(&mut buf, &h, ips, ends).unwrap();
        buf[..n].to_vec()
    }

    fn group(&self) -> &'static str {
        if self.r.config().instances[0].family == Family::V6 { "ff02::12" } else { "224.0.0.18" }
    }

    /// A good advert to the group.
    fn hear(&mut self, priority: u8, source: &str) {
        let advert = self.r.config().instances[0].advert.get();
        let payload = self.message(priority, advert, source, self.group());
        self.receive(source, self.group(), 255, &payload);
    }

    fn receive(&mut self, source: &str, destination: &str, ttl: u8, payload: &[u8]) {
        let (source, destination) = (ip(source), ip(destination));
        self.event(Event::Received(Received { ifindex: ETH0, source, destination, ttl, payload }));
    }

    /// The counters that are not 0, those of instance 0 and the router's.
    fn counters(&self) -> Vec<(String, u64)> {
        // Their names and values, as Debug writes them.
        let text = format!("{:?} {:?}", self.r.view(0).unwrap().stats, self.r.stats());
        let all = text.split(['{', '}', ',']).filter_map(|field| field.split_once(": "));
        let known = all.map(|(name, n)| (name.trim().to_owned(), n.trim().parse().unwrap()));
        known.filter(|(_, n)| *n > 0).collect()
    }
}

/// `address/length`, with `tentative` or `secondary` behind it.
fn on_link(text: &str) -> LinkAddress {
    let (at, flag) = text.split_once(' ').unwrap_or((text, ""));
    let (addr, prefix) = at.split_once('/').unwrap();
    let (secondary, tentative) = (flag == "secondary", flag == "tentative");
    LinkAddress { ip: ip(addr), prefix: prefix.parse().unwrap(), secondary, tentative }
}

/// An action in a few words.
fn words(action: Action<'_>) -> String {
    match action {
        Action::SendAdvert { instance, mac, source, destination, payload, .. } => {
            let virtually = if mac.is_some() { " virtually" } else { "" };
            let version = if payload[0] >> 4 == 2 { " in version 2" } else { "" };
            format!("advert {} of {} from {source} to {destination}{version}{virtually}", payload[2], instance.0)
        }
        Action::AddVmac(id) => format!("make {}", id.0),
        Action::SetVmac { ifindex, up, .. } => format!("set {ifindex} {}", if up { "up" } else { "down" }),
        Action::RemoveVmac { ifindex } => format!("unmake {ifindex}"),
        Action::AddAddress(a) => format!("add {}/{} on {}", a.ip, a.prefix, a.ifindex),
        Action::RemoveAddress(a) => format!("remove {}/{} on {}", a.ip, a.prefix, a.ifindex),
        Action::AddRoute(r) => format!("add {}", route_words(&r)),
        Action::KeepRoute(r) => format!("keep {}", route_words(&r)),
        Action::RemoveRoute(r) => format!("remove {}", route_words(&r)),
        Action::Announce { ifindex, mac: [0, 0, 0x5e, 0, 1 | 2, vrid], ip } => {
            format!("announce {ip} on {ifindex} at {vrid}")
        }
        Action::Announce { ifindex, mac, ip } => {
            assert_eq!(mac, [2, 0, 0, 0, 0, ifindex as u8], "the link's own MAC");
            format!("announce {ip} on {ifindex}")
        }
        Action::Rebind { ifindex, family, .. } => format!("rebind {ifindex} {family:?}"),
        Action::Changed(t) => format!("{} to {}", t.from.word(), t.to.word()),
        Action::GroupChanged(t) => format!("group {} to {}", t.from.word(), t.to.word()),
        Action::Report(Report::Dropped { why, .. }) => format!("dropped {why:?}"),
        Action::Report(r) => {
            let text = format!("{r:?}");
            text.split([' ', '{']).next().unwrap().to_owned()
        }
    }
}

fn route_words(spec: &RouteSpec) -> String {
    let via = spec.route.via.map_or(String::new(), |v| format!(" via {v}"));
    let on = if spec.ifindex == 0 { String::new() } else { format!(" on {}", spec.ifindex) };
    format!("route {}/{}{via}{on}", spec.route.to, spec.route.prefix)
}

fn of_kind(all: &[(u64, String)], word: &str) -> Vec<u64> {
    all.iter().filter(|(_, d)| d.starts_with(word)).map(|(t, _)| *t).collect()
}
