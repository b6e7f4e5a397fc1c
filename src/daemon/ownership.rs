//! Which addresses, routes and macvlans are ours to remove, also after a kill -9: a file in the run directory that
//! names each before it is put on.
//!
//! It is written at start and reload, not at each transition: it says what we may have put on, and
//! the interface says what is there. An address that was there before us is not in it. A file of an
//! earlier boot is of no use; its addresses went with the boot.

use std::io;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::model::{MAX_ADDRESSES, MAX_IFNAME, MAX_INSTANCES, MAX_LINKS, MAX_ROUTES, Route, Scope, StrId};
use crate::router::Router;
use crate::sys::files::{RunDir, boot_id};

const NAME: &str = "addresses";
const VERSION: u8 = 2;
/// Without routes: its entries are addresses, and have no tag.
const VERSION_1: u8 = 1;
/// An entry's tag, its name with its length, the address with its tag, the prefix length.
const MAX_ADDRESS: usize = 1 + 1 + MAX_IFNAME + 17 + 1;
/// The same, and two addresses that may be missing, two numbers, a scope that may be, two flags.
const MAX_ROUTE: usize = MAX_ADDRESS + 2 * 18 + 2 * 5 + 2 + 2;
const HEADER: usize = 1 + 36;
/// The largest file.
const MAX_FILE: usize =
    HEADER + MAX_ADDRESS * MAX_ADDRESSES + MAX_ROUTE * MAX_ROUTES + MAX_SMALL * (MAX_INSTANCES + MAX_LINKS) + 1;
/// The name of a macvlan or of an interface, with its length and the entry's tag, and two numbers.
const MAX_SMALL: usize = 1 + 1 + MAX_IFNAME + 2;

/// An address that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owned<'a> {
    pub(super) interface: &'a str,
    pub(super) ip: IpAddr,
    pub(super) prefix: u8,
}

/// A route that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OwnedRoute<'a> {
    /// Empty where the kernel found it.
    pub(super) interface: &'a str,
    to: IpAddr,
    prefix: u8,
    via: Option<IpAddr>,
    src: Option<IpAddr>,
    table: u32,
    metric: u32,
    scope: Option<Scope>,
    onlink: bool,
    blackhole: bool,
}

impl<'a> OwnedRoute<'a> {
    pub(super) fn new(interface: &'a str, route: &Route) -> OwnedRoute<'a> {
        let Route { to, prefix, via, dev: _, src, table, metric, scope, onlink, blackhole } = *route;
        OwnedRoute { interface, to, prefix, via, src, table, metric, scope, onlink, blackhole }
    }

    /// The route, without its interface.
    pub(super) fn route(&self) -> Route {
        let OwnedRoute { interface: _, to, prefix, via, src, table, metric, scope, onlink, blackhole } = *self;
        Route { to, prefix, via, dev: StrId::NONE, src, table, metric, scope, onlink, blackhole }
    }
}

/// What is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Entry<'a> {
    #[serde(borrow)]
    Address(Owned<'a>),
    #[serde(borrow)]
    Route(OwnedRoute<'a>),
    /// The name of a macvlan.
    Vmac(&'a str),
    /// Settings of an interface beneath one, as they were before us.
    #[serde(borrow)]
    Arp(Arp<'a>),
    /// A table of the packet filter.
    Table,
}

/// How an interface answers and asks by ARP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Arp<'a> {
    pub(super) interface: &'a str,
    /// Its `arp_ignore` and `arp_announce`.
    pub(super) was: [u8; 2],
}

/// Writes the addresses, routes and macvlans that are the router's own, and the settings to be put back.
pub(super) fn write<'a>(
    dir: &RunDir,
    router: &'a Router,
    arps: impl Iterator<Item = Arp<'a>>,
    table: bool,
) -> io::Result<()> {
    let config = router.config();
    let mut file = Vec::with_capacity(HEADER + MAX_ADDRESS * config.addresses.len() + MAX_ROUTE * config.routes.len());
    file.push(VERSION);
    file.extend_from_slice(&boot_id().unwrap_or([0; 36]));
    let mut add = |entry: Entry<'_>| -> io::Result<()> {
        let mut room = [0; MAX_ROUTE];
        file.extend_from_slice(postcard::to_slice(&entry, &mut room).map_err(|_| io::ErrorKind::InvalidData)?);
        Ok(())
    };
    for (interface, spec) in router.own_addresses() {
        add(Entry::Address(Owned { interface, ip: spec.ip, prefix: spec.prefix }))?;
    }
    for (_, interface, route) in router.own_routes() {
        add(Entry::Route(OwnedRoute::new(interface, route)))?;
    }
    for (_, name) in router.own_vmacs() {
        add(Entry::Vmac(name))?;
    }
    for arp in arps {
        add(Entry::Arp(arp))?;
    }
    if table {
        add(Entry::Table)?;
    }
    dir.write_private(NAME, &file)
}

/// Calls `f` with everything that an earlier run of this boot may have left.
pub(super) fn read(dir: &RunDir, f: impl FnMut(Entry<'_>)) -> io::Result<()> {
    let mut buffer = vec![0; MAX_FILE];
    let Some(bytes) = dir.read_private(NAME, &mut buffer)? else { return Ok(()) };
    decode(bytes, boot_id().unwrap_or([0; 36]), f)
}

fn decode(bytes: &[u8], boot: [u8; 36], mut f: impl FnMut(Entry<'_>)) -> io::Result<()> {
    let Some((header, mut rest)) = bytes.split_at_checked(HEADER) else { return Ok(()) };
    if ![VERSION, VERSION_1].contains(&header[0]) || header[1..] != boot {
        return Ok(());
    }
    while !rest.is_empty() {
        let taken = if header[0] == VERSION {
            postcard::take_from_bytes(rest)
        } else {
            postcard::take_from_bytes(rest).map(|(owned, left)| (Entry::Address(owned), left))
        };
        let (entry, left) = taken.map_err(|_| io::ErrorKind::InvalidData)?;
        f(entry);
        rest = left;
    }
    Ok(())
}

/// After an orderly stop nothing is left.
pub(super) fn remove(dir: &RunDir) -> io::Result<()> {
    dir.remove(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, entries: &[&[u8]]) -> Vec<u8> {
        let mut file = vec![version];
        file.extend_from_slice(&[b'x'; 36]);
        entries.iter().for_each(|e| file.extend_from_slice(e));
        file
    }

    fn entries(bytes: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        // What was read before it breaks off counts.
        let _ = decode(bytes, [b'x'; 36], |e| all.push(format!("{e:?}")));
        all
    }

    /// The largest entries fit; both versions are read, others and those of another boot are not.
    #[test]
    fn versions() {
        let (interface, ip) = ("interface-15-by", IpAddr::from([0xffff; 8]));
        let owned = Owned { interface, ip, prefix: 128 };
        let route = Route {
            via: Some(ip),
            src: Some(ip),
            table: u32::MAX,
            metric: u32::MAX,
            scope: Some(Scope::Host),
            onlink: true,
            ..Route::to(ip, 128)
        };
        let owned_route = OwnedRoute::new(interface, &route);
        assert_eq!(owned_route.route(), route);
        let (mut a, mut b, mut c) = ([0; MAX_ADDRESS - 1], [0; MAX_ADDRESS], [0; MAX_ROUTE]);
        let plain = postcard::to_slice(&owned, &mut a).unwrap();
        let address = postcard::to_slice(&Entry::Address(owned), &mut b).unwrap();
        let route = postcard::to_slice(&Entry::Route(owned_route), &mut c).unwrap();
        let (of_address, of_route) =
            (format!("{:?}", Entry::Address(owned)), format!("{:?}", Entry::Route(owned_route)));
        assert_eq!(entries(&file(1, &[plain, plain])), [of_address.clone(), of_address.clone()]);
        let whole = file(2, &[address, route, address]);
        assert_eq!(entries(&whole), [of_address.clone(), of_route, of_address]);
        let (mut d, mut e, mut f) = ([0; MAX_SMALL], [0; MAX_SMALL], [0; 1]);
        let (vmac, arp) = (Entry::Vmac(interface), Entry::Arp(Arp { interface, was: [8, 9] }));
        let small = [
            &*postcard::to_slice(&vmac, &mut d).unwrap(),
            &*postcard::to_slice(&arp, &mut e).unwrap(),
            &*postcard::to_slice(&Entry::Table, &mut f).unwrap(),
        ];
        let told = [vmac, arp, Entry::Table].map(|e| format!("{e:?}"));
        assert_eq!(entries(&file(2, &small)), told);
        assert!(entries(&file(3, &[address])).is_empty());
        let mut elsewhere = whole.clone();
        elsewhere[1] = b'y';
        assert!(entries(&elsewhere).is_empty());
        for n in 0..whole.len() {
            assert!(entries(&whole[..n]).len() < 3);
        }
    }
}
