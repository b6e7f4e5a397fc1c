//! The router allocates nothing for an advert, received or sent.

use std::net::IpAddr;

use picovrrp::config::model::{Address, ChecksumForm, Config, Family, Garp, Hooks, Instance, Preempt, Range, Start};
use picovrrp::router::event::{LinkAddress, LinkInfo, Received};
use picovrrp::router::{Action, Event, Router};
use picovrrp::vrrp::election::State;
use picovrrp::vrrp::packet::{self, Header};
use picovrrp::vrrp::timing::{Centis, Instant, Micros, Version};

use crate::{begin, end};

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
        also_v2: false,
        priority: 100,
        advert: Centis::SECOND,
        preempt: Preempt::On,
        start: Start::Backup,
        addresses: Range { start: 0, len: 1 },
        routes: Range::default(),
        peers: Range::default(),
        tracks: Range::default(),
        hooks: Hooks::default(),
        unicast: None,
        source: None,
        group: None,
        password: None,
        garp: Garp { refresh: Micros::from_secs(10), ..Garp::default() },
        checksum: ChecksumForm::Pseudo,
        vmac: Default::default(),
        vmac_base: false,
        accept: true,
        track_primary: true,
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

    begin();
    drop(std::hint::black_box(Box::new(0u64)));
    assert_eq!(end(), Some(1), "the counter counts");
    begin();
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
    assert_eq!(end(), Some(0));
    assert!(r.view(0).unwrap().stats.advertisement_rcvd >= 2 * ADVERTS);
    assert!(sent >= ADVERTS && other > ADVERTS, "{sent} adverts, {other} other actions");
}
