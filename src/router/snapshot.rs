//! The router's state as bytes, so that another process can go on with it under the same configuration.
//!
//! One value after the other, as postcard writes them. Whoever changes what is written here, or in the
//! types that are, changes the version that the driver writes before it.

use serde::{Deserialize, Serialize};

use super::{Phase, Router};
use crate::config::model::{CheckKind, Config, Range, StrId};

/// The bytes are not what this program writes, or are for another configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Bytes that values are taken from.
pub struct Pieces<'a>(pub &'a [u8]);

impl<'a> Pieces<'a> {
    /// The next value.
    pub fn take<T: Deserialize<'a>>(&mut self) -> Result<T, Broken> {
        let (value, rest) = postcard::take_from_bytes(self.0).map_err(|_| Broken)?;
        self.0 = rest;
        Ok(value)
    }

    /// Appends a value to `file`.
    pub fn put<T: Serialize>(file: &mut Vec<u8>, value: &T) {
        let mut room = [0; 1024];
        // Of what is written nothing is longer; if it were, the whole would be refused when it is read.
        if let Ok(bytes) = postcard::to_slice(value, &mut room) {
            file.extend_from_slice(bytes);
        }
    }
}

impl Router {
    /// Appends the state. The router must be running.
    pub fn save(&self, file: &mut Vec<u8>) {
        Pieces::put(file, &fingerprint(&self.config));
        Pieces::put(file, &self.stats);
        for l in &self.links {
            Pieces::put(file, l);
        }
        for slot in &self.slots {
            Pieces::put(file, slot);
        }
        for vip in &self.vips {
            Pieces::put(file, &(vip.installed, vip.foreign));
        }
        for route in &self.routes {
            Pieces::put(file, &(route.hold, route.told));
        }
        for check in &self.checks {
            Pieces::put(file, &(check.condition, check.counter));
        }
        for group in &self.groups {
            Pieces::put(file, group);
        }
    }

    /// A router that goes on where the one went that wrote `from`: as after a reload, links and addresses
    /// are to be told again, and then [`Event::Start`](super::Event::Start).
    pub fn go_on(config: Box<Config>, from: &mut Pieces<'_>) -> Result<Router, Broken> {
        let mut router = Router::new(config);
        if from.take::<u64>()? != fingerprint(&router.config) {
            return Err(Broken);
        }
        router.phase = Phase::Reloading;
        router.stats = from.take()?;
        for l in &mut router.links {
            let name = l.name;
            *l = from.take()?;
            l.name = name;
        }
        for slot in &mut router.slots {
            let (link, group, vmac) = (slot.link, slot.group, slot.vmac);
            *slot = from.take()?;
            (slot.link, slot.group) = (link, group);
            slot.vmac = match (slot.vmac, vmac) {
                (Some(is), Some(here)) => Some(is.at_place_of(&here)),
                (None, None) => None,
                _ => return Err(Broken),
            };
        }
        for vip in &mut router.vips {
            (vip.installed, vip.foreign) = from.take()?;
        }
        for route in &mut router.routes {
            (route.hold, route.told) = from.take()?;
        }
        for check in &mut router.checks {
            (check.condition, check.counter) = from.take()?;
        }
        for group in &mut router.groups {
            *group = from.take()?;
        }
        router.rebuild_index();
        router.rearm_links();
        router.count_members();
        for i in 0..router.slots.len() {
            router.rearm(i);
        }
        Ok(router)
    }

    /// Whether instances run: the start and what follows a reload are over, the end has not begun.
    pub fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }
}

/// What the parts of the state belong to, as one number (FNV-1a): the state's are known by their places.
fn fingerprint(config: &Config) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0xff]) {
            sum = (sum ^ *byte as u64).wrapping_mul(0x100_0000_01b3);
        }
    };
    let word = |id: StrId| config.str(id).as_bytes();
    let range = |r: Range| (r.start as u32) << 16 | r.len as u32;
    for i in &config.instances {
        add(word(i.name));
        add(word(i.interface));
        add(word(i.vmac));
        add(&[i.vrid, i.family as u8]);
        add(&range(i.addresses).to_be_bytes());
        add(&range(i.routes).to_be_bytes());
    }
    for a in &config.addresses {
        add(word(a.dev));
        add(&[a.prefix]);
        match a.ip {
            core::net::IpAddr::V4(ip) => add(&ip.octets()),
            core::net::IpAddr::V6(ip) => add(&ip.octets()),
        }
    }
    for r in &config.routes {
        add(word(r.dev));
        add(&[r.prefix]);
        match r.to {
            core::net::IpAddr::V4(ip) => add(&ip.octets()),
            core::net::IpAddr::V6(ip) => add(&ip.octets()),
        }
    }
    for c in &config.checks {
        add(word(c.name));
        add(&[c.fall, c.rise]);
        if let CheckKind::Interface { interface } = c.kind {
            add(word(interface));
        }
    }
    config.groups.iter().for_each(|g| add(word(g.name)));
    config.tracks.iter().for_each(|t| add(word(t.what.name())));
    sum
}
