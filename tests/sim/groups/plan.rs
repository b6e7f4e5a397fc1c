//! What one router with a sync group is told.

use std::net::{IpAddr, Ipv4Addr};

use picovrrp::config::model::{Address, Config, Group, Hooks, Instance, Preempt, Range, StrId};
use picovrrp::vrrp::timing::Centis;

use crate::tracked::{self, CheckSpec, Look, Model, Sum, Thing, TrackSpec};

/// Most virtual LANs; the interface behind them is only tracked.
pub const LANS: usize = 3;
pub const WAN: usize = LANS;
pub const NAMES: [&str; LANS + 1] = ["lan0", "lan1", "lan2", "wan"];

/// One instance on each LAN, some of them in the group.
#[derive(Clone, Debug)]
pub struct Plan {
    pub priority: [u8; LANS],
    pub advert: u16,
    pub preempt: Preempt,
    /// LANs that it speaks on.
    pub present: Vec<usize>,
    /// Those of them in the group; without any there is none.
    pub grouped: Vec<usize>,
    pub weights: bool,
    pub checks: Vec<CheckSpec>,
    pub tracks: [Vec<TrackSpec>; LANS],
    pub shared: Vec<TrackSpec>,
}

pub fn own(lan: usize, h: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, lan as u8, h as u8 + 1))
}

pub fn virtual_ip(lan: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, lan as u8, 254))
}

impl Plan {
    pub fn config(&self) -> Box<Config> {
        let mut c = Box::<Config>::default();
        tracked::add_checks(&mut c, &self.checks, &NAMES);
        for &lan in &self.present {
            let name = c.strings.add(&format!("gw{lan}")).unwrap();
            let interface = c.strings.add(NAMES[lan]).unwrap();
            let addresses = Range { start: c.addresses.len() as u16, len: 1 };
            let (ip, dev, label) = (virtual_ip(lan), StrId::default(), StrId::default());
            c.addresses.push(Address { ip, prefix: 24, dev, scope: None, label, excluded: false }).unwrap();
            let tracks = tracked::add_tracks(&mut c, &self.tracks[lan], &self.checks, &NAMES);
            let (vrid, priority, preempt) = (lan as u8 + 1, self.priority[lan], self.preempt);
            let advert = Centis::new(self.advert).unwrap();
            let values =
                Instance { name, interface, vrid, priority, advert, preempt, addresses, tracks, ..Instance::default() };
            c.instances.push(values).unwrap();
        }
        if !self.grouped.is_empty() {
            for lan in &self.grouped {
                let name = c.strings.add(&format!("gw{lan}")).unwrap();
                c.members.push(name).unwrap();
            }
            let members = Range { start: 0, len: self.grouped.len() as u16 };
            let tracks = tracked::add_tracks(&mut c, &self.shared, &self.checks, &NAMES);
            let name = c.strings.add("group").unwrap();
            c.groups.push(Group { name, members, tracks, hooks: Hooks::default(), weights: self.weights }).unwrap();
        }
        c
    }

    /// The interfaces that the configuration names.
    pub fn names(&self) -> [bool; NAMES.len()] {
        let mut named = [false; NAMES.len()];
        self.present.iter().for_each(|lan| named[*lan] = true);
        let speaking = self.present.iter().flat_map(|lan| &self.tracks[*lan]);
        let shared = self.shared.iter().filter(|_| !self.grouped.is_empty());
        for t in speaking.chain(shared) {
            if let Thing::Interface(i) = t.what {
                named[i] = true;
            }
        }
        for c in &self.checks {
            if let Look::Interface(i) = c.look {
                named[i] = true;
            }
        }
        named
    }

    /// What counts for the instance on `lan`: its own trackers, the group's, those of the others.
    pub fn sum(&self, model: &Model, lan: usize) -> Sum {
        if !self.grouped.contains(&lan) {
            return model.sum(self.priority[lan], self.tracks[lan].iter());
        }
        // `weights off`: only what faults counts of the members'.
        let counts = |t: &&TrackSpec| self.weights || t.weight == 0;
        let own = self.tracks[lan].iter().filter(counts);
        let others = self.present.iter().filter(|o| **o != lan && self.grouped.contains(o));
        let theirs = others.flat_map(|o| &self.tracks[*o]).filter(counts);
        model.sum(self.priority[lan], own.chain(&self.shared).chain(theirs))
    }
}
