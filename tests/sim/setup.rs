//! What one router is told: a plain description, and the `Config` made of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use picovrrp::config::model::{
    Address, ChecksumForm, Config, Family, Garp, Hooks, Instance, LinkDelay, Peer, Preempt, Range, Route, Start,
};
use picovrrp::vrrp::packet::{self, Header};
use picovrrp::vrrp::timing::{Centis, Micros, Version, skew_time};

use crate::tracked::{self, CheckSpec, Look, Thing, TrackSpec};

pub const VRID: u8 = 51;
/// The interface of the adverts, a second one for addresses with `dev`, and one that is only tracked.
pub const LAN: usize = 0;
pub const IOT: usize = 1;
pub const WAN: usize = 2;
pub const NAMES: [&str; 3] = ["lan", "iot", "wan"];
/// The macvlan above `LAN`, which the router makes.
pub const VMAC: usize = 3;
pub const VMAC_NAME: &str = "vrrp.51";

/// Where the route leads.
pub const ROUTE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0));

/// One virtual address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vip {
    pub ip: IpAddr,
    pub prefix: u8,
    /// `LAN`, `IOT` or `VMAC`.
    pub dev: usize,
}

/// The configuration of one router's only instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    pub version: Version,
    /// `version 2+3`.
    pub also_v2: bool,
    pub family: Family,
    pub priority: u8,
    pub advert: u16,
    pub preempt: Preempt,
    pub checksum: ChecksumForm,
    pub password: bool,
    pub vips: Vec<Vip>,
    /// It has a virtual MAC address.
    pub vmac: bool,
    /// It has a route to `ROUTE` through this interface, `LAN` or `IOT`.
    pub routed: Option<usize>,
    /// Own address and the peers', for unicast.
    pub unicast: Option<(IpAddr, Vec<IpAddr>)>,
    pub checks: Vec<CheckSpec>,
    pub tracks: Vec<TrackSpec>,
    /// `interface-delay` of `LAN`, down and up, in microseconds.
    pub delays: (u64, u64),
}

impl Setup {
    /// Version 3 over IPv4 at one second, one address.
    pub fn plain(priority: u8) -> Setup {
        Setup {
            version: Version::V3,
            also_v2: false,
            family: Family::V4,
            priority,
            advert: 100,
            preempt: Preempt::On,
            checksum: ChecksumForm::Plain,
            password: false,
            vips: vips(Family::V4, 1, false),
            vmac: false,
            routed: None,
            unicast: None,
            checks: Vec::new(),
            tracks: Vec::new(),
            delays: (0, 0),
        }
    }

    pub fn config(&self) -> Box<Config> {
        let mut c = Box::<Config>::default();
        let [lan, iot, _] = NAMES.map(|n| c.strings.add(n).unwrap());
        let name = c.strings.add("gateway").unwrap();
        for v in &self.vips {
            let dev = if v.dev == IOT { iot } else { Default::default() };
            let excluded = Family::of(v.ip) != self.family;
            let a = Address { ip: v.ip, prefix: v.prefix, dev, scope: None, label: Default::default(), excluded };
            c.addresses.push(a).unwrap();
        }
        if let Some(i) = self.routed {
            c.routes.push(Route { dev: if i == IOT { iot } else { lan }, ..Route::to(ROUTE, 24) }).unwrap();
        }
        for ip in self.unicast.iter().flat_map(|u| &u.1) {
            c.peers.push(Peer { ip: *ip, min_ttl: 255, max_ttl: 255 }).unwrap();
        }
        tracked::add_checks(&mut c, &self.checks, &NAMES);
        let tracks = tracked::add_tracks(&mut c, &self.tracks, &self.checks, &NAMES);
        let vmac = if self.vmac { c.strings.add(VMAC_NAME).unwrap() } else { Default::default() };
        let instance = Instance {
            name,
            interface: lan,
            vrid: VRID,
            family: self.family,
            version: self.version,
            also_v2: self.also_v2,
            priority: self.priority,
            advert: Centis::new(self.advert).unwrap(),
            preempt: self.preempt,
            start: Start::Backup,
            addresses: Range { start: 0, len: self.vips.len() as u16 },
            routes: Range { start: 0, len: c.routes.len() as u16 },
            peers: Range { start: 0, len: c.peers.len() as u16 },
            tracks,
            hooks: Hooks::default(),
            unicast: self.unicast.as_ref().map(|u| u.0),
            source: None,
            group: None,
            password: self.password.then_some(*b"secret\0\0"),
            garp: Garp::default(),
            checksum: self.checksum,
            vmac,
            vmac_base: self.vmac && self.unicast.is_some(),
            accept: true,
            track_primary: true,
        };
        c.instances.push(instance).unwrap();
        if self.delays != (0, 0) {
            let (down, up) = (Micros(self.delays.0), Micros(self.delays.1));
            c.link_delays.push(LinkDelay { interface: lan, down, up }).unwrap();
        }
        c
    }

    /// Advertisement_Interval in microseconds.
    pub fn t(&self) -> u64 {
        self.advert as u64 * 10_000
    }

    /// Skew_Time of `priority` at the interval of `advert`.
    pub fn skew(&self, priority: u8, advert: u16) -> u64 {
        skew_time(self.version, priority, Centis::new(advert).unwrap()).0
    }

    pub fn preempts(&self) -> bool {
        self.preempt != Preempt::Off || self.priority == 255
    }

    pub fn preempt_delay(&self) -> u64 {
        if let Preempt::After(d) = self.preempt { d.0 } else { Micros::ZERO.0 }
    }

    /// The interfaces that the configuration names.
    pub fn names(&self) -> [bool; NAMES.len()] {
        let mut named = [true, self.routed == Some(IOT) || self.vips.iter().any(|v| v.dev == IOT), false];
        let tracked = self.tracks.iter().filter_map(|t| if let Thing::Interface(i) = t.what { Some(i) } else { None });
        let looked = self.checks.iter().filter_map(|c| if let Look::Interface(i) = c.look { Some(i) } else { None });
        tracked.chain(looked).for_each(|i| named[i] = true);
        named
    }

    pub fn group(&self) -> IpAddr {
        match self.family {
            Family::V4 => IpAddr::V4(packet::GROUP_V4),
            Family::V6 => IpAddr::V6(packet::GROUP_V6),
        }
    }

    /// An advert that a router of this setup could have sent.
    pub fn advert(&self, priority: u8, advert: u16, source: IpAddr, destination: IpAddr) -> Vec<u8> {
        let header = Header {
            version: self.version,
            vrid: VRID,
            priority,
            interval: Centis::new(advert).unwrap(),
            password: self.password.then_some(*b"secret\0\0"),
        };
        let pseudo =
            self.family == Family::V6 || (self.version == Version::V3 && self.checksum == ChecksumForm::Pseudo);
        let ips = self.vips.iter().map(|v| v.ip).filter(|ip| Family::of(*ip) == self.family);
        let mut buf = [0; packet::MAX_LEN];
        let n = packet::emit(&mut buf, &header, ips, pseudo.then_some((source, destination))).unwrap();
        buf[..n].to_vec()
    }
}

/// `n` virtual addresses; the second on the other interface if `spread`.
pub fn vips(family: Family, n: usize, spread: bool) -> Vec<Vip> {
    (0..n as u8)
        .map(|i| {
            let (ip, prefix) = match (family, i) {
                (Family::V4, _) => (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 250 - i)), 24),
                // RFC 9568 §5.2.9: the first is link-local.
                (Family::V6, 0) => (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfff0)), 64),
                (Family::V6, _) => (IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, i as u16)), 64),
            };
            Vip { ip, prefix, dev: if spread && i == 1 { IOT } else { LAN } }
        })
        .collect()
}

/// Address number `n` of a router's own, never a virtual one.
pub fn own_address(family: Family, n: u8) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n as u16)),
    }
}
