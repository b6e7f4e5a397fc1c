//! The router allocates nothing for an advert, received or sent.

// Test code all of it.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use picovrrp::config::model::{Address, ChecksumForm, Config, Family, Garp, Instance, Preempt, Range, Start};
use picovrrp::router::event::{LinkAddress, LinkInfo, Received};
use picovrrp::router::{Action, Event, Router};
use picovrrp::vrrp::election::State;
use picovrrp::vrrp::packet::{self, Header};
use picovrrp::vrrp::timing::{Centis, Instant, Micros, Version};

/// Counts, and does as the system does.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: all is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ADVERTS: u64 = 10_000;

fn router() -> Router {
    let mut c = Box::<Config>::default();
    let (name, interface) = (c.strings.add("gw").unwrap(), c.strings.add("eth0").unwrap());
    let ip = IpAddr::from([192, 0, 2, 254]);
    let empty = Default::default();
    c.addresses.push(Address { ip, prefix: 24, dev: empty, scope: None, label: empty, excluded: false }).unwrap();
    let instance = Instance {
        name,
        interface,
        vrid: 51,
        family: Family::V4,
        version: Version::V3,
        priority: 100,
        advert: Centis::SECOND,
        preempt: Preempt::On,
        start: Start::Backup,
        addresses: Range { start: 0, len: 1 },
        peers: Range::default(),
        unicast: None,
        source: None,
        group: None,
        password: None,
        garp: Garp { refresh: Micros::from_secs(10), ..Garp::default() },
        checksum: ChecksumForm::Pseudo,
    };
    c.instances.push(instance).unwrap();
    Router::new(c)
}

/// 10,000 adverts in as Backup, 10,000 and more as Active (losing ones), and 10,000 out.
#[test]
fn none_for_an_advert() {
    let mut r = router();
    let mut now = Instant(1_000_000_000);
    let (mut sent, mut other) = (0u64, 0u64);
    let mut sink = |a: Action<'_>| match a {
        Action::SendAdvert { .. } => sent += 1,
        _ => other += 1,
    };
    let own = LinkAddress { ip: IpAddr::from([192, 0, 2, 1]), prefix: 24, secondary: false, tentative: false };
    r.handle(Event::Link(LinkInfo { ifindex: 2, name: "eth0", up: true, mac: [2; 6], mtu: 1500 }), now, &mut sink);
    r.handle(Event::Addresses { ifindex: 2, list: &[own] }, now, &mut sink);
    r.handle(Event::Start, now, &mut sink);

    let (source, destination) = (IpAddr::from([192, 0, 2, 2]), IpAddr::from([224, 0, 0, 18]));
    let message = |priority: u8| {
        let h = Header { version: Version::V3, vrid: 51, priority, interval: Centis::SECOND, password: None };
        let mut buf = [0; 64];
        let ips = [IpAddr::from([192, 0, 2, 254])].into_iter();
        let n = packet::emit(&mut buf, &h, ips, Some((source, destination))).unwrap();
        (buf, n)
    };
    let (higher, lower) = (message(200), message(50));
    let received =
        |m: &'static [u8]| Event::Received(Received { ifindex: 2, source, destination, ttl: 255, payload: m });
    let leak = |(buf, n): ([u8; 64], usize)| -> &'static [u8] { Box::leak(buf[..n].to_vec().into_boxed_slice()) };
    let (higher, lower) = (leak(higher), leak(lower));

    let before = ALLOCATIONS.load(Ordering::Relaxed);
    assert!(before > 0, "the counter counts");
    for _ in 0..ADVERTS {
        now = now + Micros::from_secs(1);
        r.handle(received(higher), now, &mut sink);
        r.handle(Event::Timeout { drained: true }, now, &mut sink);
    }
    assert!(matches!(r.election_state(0), Some(State::Backup { .. })));
    while r.view(0).unwrap().stats.advertisement_sent < ADVERTS {
        let due = r.next_deadline().unwrap();
        r.handle(Event::Timeout { drained: true }, due, &mut sink);
        if matches!(r.election_state(0), Some(State::Active { .. })) {
            r.handle(received(lower), due, &mut sink);
        }
    }
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!(after - before, 0);
    assert!(r.view(0).unwrap().stats.advertisement_rcvd >= 2 * ADVERTS);
    assert!(sent >= ADVERTS && other > ADVERTS, "{sent} adverts, {other} other actions");
}
