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
