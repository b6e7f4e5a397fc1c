//! Virtual MAC addresses: the macvlan is up while the instance holds its addresses and not a moment longer.

use super::*;
use crate::router::event::{InstanceId, VmacError};

const MACVLAN: u32 = 20;

fn virtual_one() -> Spec {
    Spec { vmac: "vrrp4.51", garp: Garp { delay: Micros::ZERO, repeat: 1, ..Garp::default() }, ..spec() }
}

impl Lab {
    fn made(&mut self, ifindex: u32) {
        let mac = [0, 0, 0x5e, 0, 1, 51];
        let made = Ok(LinkInfo { ifindex, name: "", up: false, mac, mtu: 0 });
        self.event(Event::Vmac { instance: InstanceId(0), made });
    }

    fn macvlan(&mut self, ifindex: u32, up: bool) {
        let mac = [0, 0, 0x5e, 0, 1, 51];
        self.event(Event::Link(LinkInfo { ifindex, name: "vrrp4.51", up, mac, mtu: 1500 }));
    }

    /// What it did, without what it has to do anyway.
    fn without_rebinds(&mut self) -> Vec<String> {
        let mut did = self.took();
        did.retain(|d| !d.starts_with("rebind") && d != "ChecksumForm");
        did
    }
}

/// Started; the macvlan was asked for, and nobody is told anything before it is there.
fn begun(spec: Spec) -> Lab {
    let mut l = Lab::new(&[spec]);
    assert_eq!(l.without_rebinds(), ["make 0"]);
    assert_eq!(l.state(), State::Initialize);
    l.made(MACVLAN);
    assert_eq!(l.without_rebinds(), ["INIT to BACKUP"]);
    assert!(l.is_backup());
    l
}

fn active() -> Lab {
    let mut l = begun(virtual_one());
    l.fire();
    assert_eq!(
        l.took(),
        [
            "advert 100 of 0 from 192.0.2.1 to 224.0.0.18 virtually",
            "set 20 up",
            "add 192.0.2.254/24 on 20",
            "announce 192.0.2.254 on 2 at 51",
            "BACKUP to MASTER",
        ]
    );
    l.macvlan(MACVLAN, true);
    l.has(MACVLAN, &["192.0.2.254/24"]);
    assert_eq!(l.took(), [""; 0]);
    l
}

/// Up with the first advert, down before anything else when another router is better.
#[test]
fn up_as_active_alone() {
    let mut l = active();
    l.hear(200, PEER);
    assert_eq!(l.without_rebinds(), ["set 20 down", "remove 192.0.2.254/24 on 20", "MASTER to BACKUP"]);
    // News of before: the macvlan stays down.
    l.macvlan(MACVLAN, true);
    assert_eq!(l.took(), ["set 20 down"]);
    l.macvlan(MACVLAN, false);
    assert_eq!(l.took(), [""; 0]);
}

/// With `vmac-base` adverts have the interface's own MAC address; the addresses are announced at the
/// virtual one all the same.
#[test]
fn base() {
    let mut l = begun(Spec { vmac_base: true, ..virtual_one() });
    l.fire();
    let did = l.took();
    assert_eq!(did[0], "advert 100 of 0 from 192.0.2.1 to 224.0.0.18");
    assert!(did.contains(&"announce 192.0.2.254 on 2 at 51".into()), "{did:?}");
}

/// Handing over: the addresses stay until the successor is heard, and so does the macvlan. Then all goes.
#[test]
fn stop() {
    let mut l = active();
    l.event(Event::Stop);
    assert_eq!(l.took(), ["advert 0 of 0 from 192.0.2.1 to 224.0.0.18 virtually"]);
    l.hear(90, PEER);
    assert_eq!(l.without_rebinds(), ["set 20 down", "remove 192.0.2.254/24 on 20", "MASTER to STOP", "unmake 20"]);
    assert!(l.r.is_stopped());
    l.event(Event::LinkGone { ifindex: MACVLAN });
    assert_eq!(l.took(), [""; 0]);
}

/// The coming configuration lacks it: farewell, and all stays until the successor speaks; the macvlan goes
/// with the reload, behind the addresses. A reload that does not wait keeps that order.
#[test]
fn parting() {
    let other = || config(&[Spec { vrid: 52, ..spec() }]);
    let farewell = "advert 0 of 0 from 192.0.2.1 to 224.0.0.18 virtually";
    let mut l = active();
    let did = &mut l.did;
    l.r.part(&other(), l.now, &mut |a: Action<'_>| did.push(words(a)));
    assert_eq!(l.took(), [farewell]);
    l.hear(90, PEER);
    let released = ["set 20 down", "remove 192.0.2.254/24 on 20"];
    assert_eq!(l.without_rebinds(), [released[0], released[1], "MASTER to BACKUP"]);
    l.reload(other());
    assert_eq!(l.without_rebinds(), ["unmake 20"]);
    let mut l = active();
    l.reload(other());
    assert_eq!(l.without_rebinds(), [farewell, released[0], released[1], "unmake 20"]);
}

/// Set down, or removed, by somebody else while Active: it is put back, and the state stays.
#[test]
fn by_hand() {
    let mut l = active();
    l.macvlan(MACVLAN, false);
    assert_eq!(l.took(), ["set 20 up"]);
    l.macvlan(MACVLAN, true);
    l.event(Event::LinkGone { ifindex: MACVLAN });
    assert_eq!(l.without_rebinds(), ["make 0"]);
    l.made(21);
    let did = ["set 21 up", "add 192.0.2.254/24 on 21", "announce 192.0.2.254 on 2 at 51"];
    assert_eq!(l.without_rebinds(), did);
    assert!(l.is_active());
}

/// The kernel does not let it go up: tried again with each advert, for as long as the interface beneath is up.
#[test]
fn kept_down() {
    let mut l = begun(virtual_one());
    l.fire();
    l.took();
    let advert = "advert 100 of 0 from 192.0.2.1 to 224.0.0.18 virtually";
    for _ in 0..2 {
        l.fire();
        assert_eq!(l.took(), [advert, "set 20 up"]);
    }
    l.macvlan(MACVLAN, true);
    l.fire();
    assert_eq!(l.took(), [advert]);
    l.hear(200, PEER);
    assert_eq!(l.without_rebinds()[0], "set 20 down");
}

/// The interface beneath goes and comes back under another index: the macvlan is removed, for it may
/// stand in another namespace now, and made anew.
#[test]
fn parent_gone_and_back() {
    let mut l = active();
    l.event(Event::LinkGone { ifindex: ETH0 });
    assert_eq!(l.without_rebinds(), ["set 20 down", "unmake 20", "MASTER to FAULT"]);
    l.link(7, "eth0", true);
    assert_eq!(l.without_rebinds(), ["make 0"]);
    l.has(7, &["192.0.2.1/24"]);
    l.made(21);
    assert_eq!(l.without_rebinds(), ["FAULT to BACKUP"]);
}

/// Another MTU beneath: the macvlan is made anew, and the state stays.
#[test]
fn another_mtu() {
    let mut l = active();
    let mac = [2, 0, 0, 0, 0, ETH0 as u8];
    l.event(Event::Link(LinkInfo { ifindex: ETH0, name: "eth0", up: true, mac, mtu: 1200 }));
    assert_eq!(l.without_rebinds(), ["set 20 down", "unmake 20", "make 0"]);
    l.made(21);
    assert_eq!(l.without_rebinds()[..2], ["set 21 up", "add 192.0.2.254/24 on 21"]);
    assert!(l.is_active());
}

/// A link of that name that is not ours: a fault that says so, nothing is done to it, and when it is
/// gone ours is made.
#[test]
fn foreign() {
    let mut l = Lab::blank(config(&[virtual_one()]));
    assert_eq!(l.r.own_vmacs().count(), 0, "what is to come may be somebody else's");
    l.link(ETH0, "eth0", true);
    l.macvlan(9, true);
    l.has(ETH0, &["192.0.2.1/24"]);
    assert_eq!(l.r.own_vmacs().count(), 0, "it would be removed after a kill -9");
    l.event(Event::Start);
    assert_eq!(l.without_rebinds(), ["make 0"]);
    l.event(Event::Vmac { instance: InstanceId(0), made: Err(VmacError::Foreign) });
    assert_eq!(l.without_rebinds(), ["NoVmac", "INIT to FAULT"]);
    assert_eq!(l.r.own_vmacs().count(), 0);
    l.macvlan(9, false);
    assert_eq!(l.took(), [""; 0]);
    l.event(Event::LinkGone { ifindex: 9 });
    assert_eq!(l.without_rebinds(), ["make 0"]);
    l.made(MACVLAN);
    assert_eq!(l.without_rebinds(), ["FAULT to BACKUP"]);
    assert_eq!(l.r.own_vmacs().count(), 1);
}

/// What the system refuses is tried again when the interface beneath changes.
#[test]
fn refused() {
    let mut l = Lab::new(&[virtual_one()]);
    l.event(Event::Vmac { instance: InstanceId(0), made: Err(VmacError::Refused(16)) });
    l.took();
    assert_eq!(l.r.view(0).unwrap().fault, Some(crate::router::event::Fault::NoVmac));
    l.link(ETH0, "eth0", true);
    assert_eq!(l.without_rebinds(), ["make 0"]);
    l.made(MACVLAN);
    assert_eq!(l.without_rebinds(), ["FAULT to BACKUP"]);
}

fn reload(l: &mut Lab, spec: Spec, list: &[&str]) -> Vec<String> {
    l.reload(config(&[spec]));
    l.link(ETH0, "eth0", true);
    l.has(ETH0, list);
    l.event(Event::Start);
    l.without_rebinds()
}

/// The same again leaves the macvlan alone; another name, none, and one where there was none change it
/// in place.
#[test]
fn reloaded() {
    let mut l = active();
    assert_eq!(reload(&mut l, virtual_one(), &["192.0.2.1/24"]), [""; 0]);
    l.macvlan(MACVLAN, true);
    l.has(MACVLAN, &["192.0.2.254/24"]);
    assert_eq!(l.took(), [""; 0]);
    let did = reload(&mut l, Spec { vmac: "other", ..virtual_one() }, &["192.0.2.1/24"]);
    assert_eq!(did, ["remove 192.0.2.254/24 on 20", "set 20 down", "unmake 20", "make 0"]);
    l.made(21);
    let up = ["set 21 up", "add 192.0.2.254/24 on 21", "announce 192.0.2.254 on 2 at 51"];
    assert_eq!(l.without_rebinds(), up);
    let did = reload(&mut l, Spec { vmac: "", ..virtual_one() }, &["192.0.2.1/24", "192.0.2.254/24"]);
    assert_eq!(did[..3], ["remove 192.0.2.254/24 on 21", "set 21 down", "unmake 21"]);
    assert_eq!(did[3..], ["add 192.0.2.254/24 on 2", "announce 192.0.2.254 on 2"]);
    let did = reload(&mut l, virtual_one(), &["192.0.2.1/24"]);
    assert_eq!(did, ["remove 192.0.2.254/24 on 2", "make 0"]);
    l.made(22);
    assert_eq!(l.without_rebinds()[0], "set 22 up");
    assert!(l.is_active());
}

/// Accept_Mode off: whose addresses are refused.
#[test]
fn refused_addresses() {
    for (priority, accept, refused) in [(100, false, true), (100, true, false), (255, false, false)] {
        let mut c = config(&[Spec { priority, ..spec() }]);
        c.instances[0].accept = accept;
        let l = Lab::of(c);
        assert_eq!(l.r.refused_addresses().count() == 1, refused, "{priority} {accept}");
    }
    let mut c = config(&[spec()]);
    c.instances[0].accept = false;
    let mut l = Lab::blank(c);
    l.link(ETH0, "eth0", true);
    l.has(ETH0, &["192.0.2.1/24", "192.0.2.254/24"]);
    assert_eq!(l.r.refused_addresses().count(), 0, "what was there before us is not closed");
}

/// A kernel with one interface and what the router makes on it; news of it may be late.
struct Kernel {
    eth0: Option<u32>,
    up: bool,
    /// Those that were made: index, name, up, address on.
    macvlans: Vec<(u32, String, bool, bool)>,
    /// The address is on the interface itself.
    plain: bool,
    next: u32,
    refuses: bool,
    /// A link that is not ours has the name.
    foreign: Option<u32>,
    news: Vec<News>,
    wanted: bool,
}

#[derive(Clone, Debug)]
enum News {
    Link(u32, String, bool),
    Gone(u32),
}

impl Kernel {
    fn tell(&mut self, ifindex: u32) {
        if let Some((_, name, up, _)) = self.macvlans.iter().find(|m| m.0 == ifindex) {
            self.news.push(News::Link(ifindex, name.clone(), *up));
        }
    }

    fn set(&mut self, ifindex: u32, up: bool) {
        if let Some(m) = self.macvlans.iter_mut().find(|m| m.0 == ifindex) {
            m.2 = up;
            self.tell(ifindex);
        }
    }

    fn remove(&mut self, ifindex: u32) {
        if self.macvlans.iter().any(|m| m.0 == ifindex) {
            self.macvlans.retain(|m| m.0 != ifindex);
            self.news.push(News::Gone(ifindex));
        }
    }

    /// What the router did; whether it wants a macvlan.
    fn act(&mut self, action: &Action<'_>) {
        match *action {
            Action::AddVmac(_) => self.wanted = true,
            Action::SetVmac { ifindex, up, .. } => self.set(ifindex, up),
            Action::RemoveVmac { ifindex } => self.remove(ifindex),
            Action::AddAddress(a) | Action::RemoveAddress(a) => {
                let on = matches!(action, Action::AddAddress(_));
                match self.macvlans.iter_mut().find(|m| m.0 == a.ifindex) {
                    Some(m) => m.3 = on,
                    None if Some(a.ifindex) == self.eth0 => self.plain = on,
                    None => {}
                }
            }
            Action::SendAdvert { mac, payload, .. } if payload[2] > 0 => {
                assert!(mac.is_some() || self.macvlans.is_empty())
            }
            _ => {}
        }
    }
}

/// Input: 100,000 steps of everything that can happen, with news that come late and in batches. Output:
/// the macvlan is up only while the instance holds its addresses (I13); when all news have come there is
/// one if it should be, up with the address on it as Active, and no other.
#[test]
fn chaos() {
    let mut served = 0;
    for seed in 1..=200u32 {
        let mut dice = seed.wrapping_mul(0x9e37_79b9) | 1;
        let mut roll = move |n: u32| {
            dice ^= dice << 13;
            dice ^= dice >> 17;
            dice ^= dice << 5;
            (dice >> 8) % n
        };
        let named = |name: &'static str| Spec { vmac: name, ..virtual_one() };
        let mut name = "vrrp4.51";
        let mut r = Router::new(config(&[named(name)]));
        let mut k = Kernel {
            eth0: Some(2),
            up: true,
            macvlans: Vec::new(),
            plain: false,
            next: 10,
            refuses: false,
            foreign: None,
            news: Vec::new(),
            wanted: false,
        };
        let mut now = T0;
        let addresses = |k: &Kernel| {
            let vip = k.plain.then(|| on_link("192.0.2.254/24"));
            [Some(on_link("192.0.2.1/24")), vip].into_iter().flatten().collect::<Vec<_>>()
        };
        // One event, and what the driver does at once.
        fn step(r: &mut Router, k: &mut Kernel, name: &str, now: Instant, event: Event<'_>) {
            r.handle(event, now, &mut |a: Action<'_>| k.act(&a));
            while std::mem::take(&mut k.wanted) {
                let made = if k.foreign.is_some() {
                    Err(VmacError::Foreign)
                } else if k.refuses || k.eth0.is_none() {
                    Err(VmacError::Refused(95))
                } else {
                    let ifindex = k.next;
                    k.next += 1;
                    k.macvlans.push((ifindex, name.into(), false, false));
                    k.tell(ifindex);
                    Ok(LinkInfo { ifindex, name: "", up: false, mac: [0, 0, 0x5e, 0, 1, 51], mtu: 0 })
                };
                let event = Event::Vmac { instance: InstanceId(0), made };
                r.handle(event, now, &mut |a: Action<'_>| k.act(&a));
            }
        }
        fn news(r: &mut Router, k: &mut Kernel, name: &str, now: Instant, at_most: usize) {
            for _ in 0..at_most.min(k.news.len()) {
                match k.news.remove(0) {
                    News::Link(ifindex, called, up) => {
                        let mac = [0, 0, 0x5e, 0, 1, 51];
                        let link = LinkInfo { ifindex, name: &called, up, mac, mtu: 1500 };
                        step(r, k, name, now, Event::Link(link));
                        let list = k.macvlans.iter().find(|m| m.0 == ifindex).map(|m| m.3);
                        let list: Vec<_> =
                            list.unwrap_or(false).then(|| on_link("192.0.2.254/24")).into_iter().collect();
                        if r.interfaces().any(|i| i == ifindex) {
                            step(r, k, name, now, Event::Addresses { ifindex, list: &list });
                        }
                    }
                    News::Gone(ifindex) => step(r, k, name, now, Event::LinkGone { ifindex }),
                }
            }
        }
        let eth0 = |r: &mut Router, k: &mut Kernel, name: &str, now: Instant| {
            if let Some(ifindex) = k.eth0 {
                let mac = [2, 0, 0, 0, 0, ifindex as u8];
                step(r, k, name, now, Event::Link(LinkInfo { ifindex, name: "eth0", up: k.up, mac, mtu: 1500 }));
                let list = addresses(k);
                step(r, k, name, now, Event::Addresses { ifindex, list: &list });
            }
        };
        eth0(&mut r, &mut k, name, now);
        step(&mut r, &mut k, name, now, Event::Start);
        for n in 0..500 {
            now = now + Micros::from_millis(u64::from(roll(1500)));
            match roll(14) {
                0..4 => {}
                4 => {
                    let priority = [0, 50, 50, 200][roll(4) as usize];
                    let h =
                        Header { version: Version::V3, vrid: 51, priority, interval: Centis::SECOND, password: None };
                    let mut buf = [0; packet::MAX_LEN];
                    let len = packet::emit(&mut buf, &h, [ip("192.0.2.254")].into_iter(), None).unwrap();
                    let (source, destination) = (ip(PEER), ip("224.0.0.18"));
                    let ifindex = k.eth0.unwrap_or(0);
                    let heard = Received { ifindex, source, destination, ttl: 255, payload: &buf[..len] };
                    step(&mut r, &mut k, name, now, Event::Received(heard));
                }
                5 | 6 if !k.up || roll(4) == 0 => {
                    k.up = !k.up;
                    eth0(&mut r, &mut k, name, now);
                }
                7 => match k.eth0 {
                    Some(ifindex) => {
                        // With it goes what stands on it.
                        (k.eth0, k.plain) = (None, false);
                        let all: Vec<u32> = k.macvlans.iter().map(|m| m.0).collect();
                        all.into_iter().for_each(|m| k.remove(m));
                        step(&mut r, &mut k, name, now, Event::LinkGone { ifindex });
                    }
                    None => {
                        (k.eth0, k.up) = (Some(k.next), true);
                        k.next += 1;
                        eth0(&mut r, &mut k, name, now);
                    }
                },
                // By hand.
                8 => {
                    if let Some((ifindex, _, up, _)) = k.macvlans.first().cloned() {
                        if roll(2) == 0 { k.remove(ifindex) } else { k.set(ifindex, up && roll(2) == 0) }
                    }
                }
                9 => k.refuses = roll(3) == 0,
                10 => match k.foreign.take() {
                    Some(ifindex) => k.news.push(News::Gone(ifindex)),
                    None if k.macvlans.is_empty() => {
                        k.foreign = Some(k.next);
                        k.news.push(News::Link(k.next, name.into(), true));
                        k.next += 1;
                    }
                    None => {}
                },
                11 => {
                    name = ["vrrp4.51", "vrrp4.51", "other", ""][roll(4) as usize];
                    if let Some(ifindex) = k.foreign.take() {
                        k.news.push(News::Gone(ifindex));
                    }
                    r.reload(config(&[named(name)]), now, &mut |a: Action<'_>| k.act(&a));
                    eth0(&mut r, &mut k, name, now);
                    step(&mut r, &mut k, name, now, Event::Start);
                }
                _ => {
                    let some = roll(4) as usize;
                    news(&mut r, &mut k, name, now, some);
                }
            }
            while r.next_deadline().is_some_and(|t| t <= now) {
                step(&mut r, &mut k, name, now, Event::Timeout { drained: true });
            }
            let state = r.election_state(0).unwrap();
            let holds = matches!(state, State::Active { .. } | State::Leaving { .. });
            let told = format!("seed {seed}, step {n}: {state:?}, {:?}, {:?}", k.macvlans, k.news);
            assert!(holds || k.macvlans.iter().all(|m| !m.2), "I13: {told}");
            assert!(k.macvlans.len() <= 1, "{told}");
            if roll(10) == 0 {
                while !k.news.is_empty() {
                    news(&mut r, &mut k, name, now, usize::MAX);
                }
                eth0(&mut r, &mut k, name, now);
                let active = matches!(r.election_state(0), Some(State::Active { .. }));
                let told = format!("seed {seed}, step {n}: {:?}, {:?}", r.election_state(0), k.macvlans);
                let there = k.macvlans.first();
                if name.is_empty() {
                    assert!(there.is_none(), "{told}");
                    assert!(!active || k.plain, "{told}");
                } else if active && !k.refuses && k.foreign.is_none() {
                    assert!(there.is_some_and(|m| m.1 == name && m.2 && m.3) && !k.plain, "{told}");
                    served += 1;
                }
            }
        }
        step(&mut r, &mut k, name, now, Event::Stop);
        while let Some(t) = r.next_deadline().filter(|_| !r.is_stopped()) {
            now = t.max(now);
            step(&mut r, &mut k, name, now, Event::Timeout { drained: true });
        }
        assert!(k.macvlans.is_empty() && !k.plain, "seed {seed}: {:?}", k.macvlans);
    }
    assert!(served > 500, "it was Active with its macvlan {served} times");
}
