//! Routes that move with an instance, and what is static.

use super::*;

const DEFAULT: &str = "add route 0.0.0.0/0 via 192.0.2.9";

fn routed() -> Spec {
    Spec { routes: vec!["0.0.0.0/0 via 192.0.2.9", "10.0.0.0/8"], ..spec() }
}

/// A configuration with a static address on `eth1`, and a static route through it.
fn with_static(specs: &[Spec]) -> Box<Config> {
    let mut c = config(specs);
    let dev = c.strings.add("eth1").unwrap();
    let address = c.addresses[0];
    c.static_addresses = Range { start: c.addresses.len() as u16, len: 1 };
    c.addresses.push(Address { ip: ip("198.51.100.1"), dev, ..address }).unwrap();
    c.static_routes = add_routes(&mut c, &["203.0.113.0/24 dev eth1"]);
    c
}

/// On: behind the addresses, before the announcements. Off: before the addresses.
#[test]
fn order() {
    let mut l = Lab::new(&[routed()]);
    l.took();
    l.fire();
    let (a, b) = (DEFAULT, "add route 10.0.0.0/8 on 2");
    let did = l.took();
    assert_eq!(did[1..], ["add 192.0.2.254/24 on 2", a, b, "announce 192.0.2.254 on 2", "BACKUP to MASTER"]);
    l.hear(200, PEER);
    let (a, b) = ("remove route 10.0.0.0/8 on 2", "remove route 0.0.0.0/0 via 192.0.2.9");
    assert_eq!(l.took(), ["ChecksumForm", a, b, "remove 192.0.2.254/24 on 2", "MASTER to BACKUP"]);
}

/// Leaving: the routes stay as the addresses do, until the successor speaks.
#[test]
fn stop_hands_over() {
    let mut l = Lab::active(&[routed()]);
    l.event(Event::Stop);
    assert_eq!(of_words(&l.took(), "route"), [""; 0]);
    l.event(Event::Routes);
    assert_eq!(of_words(&l.took(), "keep").len(), 2);
    l.hear(1, PEER);
    assert_eq!(of_words(&l.took(), "remove").len(), 3);
    assert!(l.r.is_stopped());
    l.event(Event::Routes);
    assert_eq!(l.took(), [""; 0]);
}

impl Lab {
    /// Waits until it does something with this word, and returns that.
    fn next_of(&mut self, word: &str) -> Vec<String> {
        loop {
            self.fire();
            let found = of_words(&self.took(), word);
            if !found.is_empty() {
                return found;
            }
        }
    }
}

fn of_words(did: &[String], word: &str) -> Vec<String> {
    did.iter().filter(|d| d.contains(word)).cloned().collect()
}

/// The interface fails: at once.
#[test]
fn fault() {
    let mut l = Lab::active(&[routed()]);
    l.link(ETH0, "eth0", false);
    assert_eq!(of_words(&l.took(), "remove route").len(), 2);
}

/// There before us: told once, tried again each time it is needed, never removed.
#[test]
fn foreign() {
    let mut l = Lab::active(&[routed()]);
    l.event(Event::RouteExists(RouteId(0)));
    assert_eq!(l.took(), ["ForeignRoute"]);
    assert_eq!(l.r.own_routes().map(|(id, ..)| id.0).collect::<Vec<_>>(), [1]);
    l.event(Event::Routes);
    assert_eq!(l.took(), [DEFAULT, "keep route 10.0.0.0/8 on 2"]);
    l.event(Event::RouteExists(RouteId(0)));
    assert_eq!(l.took(), [""; 0], "told once");
    l.hear(200, PEER);
    assert_eq!(of_words(&l.took(), "remove route"), ["remove route 10.0.0.0/8 on 2"]);
    // It goes meanwhile: ours.
    l.run_ms(T0, 60_000);
    assert!(l.is_active());
    l.took();
    l.hear(200, PEER);
    assert_eq!(of_words(&l.took(), "remove route").len(), 2);
    l.event(Event::RouteExists(RouteId(77)));
}

/// The kernel refused: tried again with the next advert, and not ours meanwhile.
#[test]
fn failed() {
    let mut l = Lab::active(&[routed()]);
    assert!(!l.r.lacks_routes());
    l.event(Event::RouteFailed(RouteId(0)));
    assert!(l.r.lacks_routes());
    assert_eq!(l.next_of("route"), [DEFAULT]);
    l.event(Event::RouteFailed(RouteId(0)));
    l.hear(200, PEER);
    assert_eq!(of_words(&l.took(), "remove route"), ["remove route 10.0.0.0/8 on 2"]);
    assert!(!l.r.lacks_routes());
    l.event(Event::RouteFailed(RouteId(77)));
}

/// One that was there cannot be kept: it stays ours, so that what is there is never taken for another's.
#[test]
fn lost() {
    let mut l = Lab::active(&[routed()]);
    l.event(Event::Routes);
    l.took();
    l.event(Event::RouteFailed(RouteId(0)));
    assert_eq!(l.next_of("route"), ["keep route 0.0.0.0/0 via 192.0.2.9"]);
    l.event(Event::RouteRestored(RouteId(0)));
    assert_eq!(l.took(), ["RouteRestored"]);
    l.event(Event::RouteFailed(RouteId(0)));
    l.hear(200, PEER);
    assert_eq!(of_words(&l.took(), "remove route").len(), 2);
    l.event(Event::RouteRestored(RouteId(77)));
    assert_eq!(l.took(), [""; 0]);
}

/// Left by an earlier run: stays until another router speaks, or is kept on becoming Active.
#[test]
fn stale() {
    for other in [true, false] {
        let mut l = Lab::blank(config(&[routed()]));
        l.link(ETH0, "eth0", true);
        l.event(Event::StaleRoute(RouteId(0)));
        l.event(Event::StaleRoute(RouteId(77)));
        l.has(ETH0, &["192.0.2.1/24"]);
        l.event(Event::Start);
        l.took();
        if other {
            l.hear(1, PEER);
            assert_eq!(of_words(&l.took(), "route"), ["remove route 0.0.0.0/0 via 192.0.2.9"]);
        } else {
            l.fire();
            let kept = "keep route 0.0.0.0/0 via 192.0.2.9";
            assert_eq!(of_words(&l.took(), "route"), [kept, "add route 10.0.0.0/8 on 2"]);
        }
    }
}

/// Through an interface that comes later; and goes, with its routes.
#[test]
fn other_device() {
    let mut l = Lab::active(&[Spec { routes: vec!["10.0.0.0/8 dev eth1"], ..spec() }]);
    assert!(l.r.lacks_routes());
    l.event(Event::Routes);
    assert_eq!(l.took(), [""; 0]);
    l.link(ETH1, "eth1", true);
    l.event(Event::Routes);
    assert_eq!(of_words(&l.took(), "route"), ["add route 10.0.0.0/8 on 3"]);
    l.event(Event::LinkGone { ifindex: ETH1 });
    l.hear(200, PEER);
    assert_eq!(of_words(&l.took(), "route"), [""; 0]);
}

/// What is in both configurations stays; what is not is removed before anything is added.
#[test]
fn reload() {
    let mut l = Lab::active(&[routed()]);
    l.reload(config(&[routed()]));
    l.link(ETH0, "eth0", true);
    l.has(ETH0, &["192.0.2.1/24", "192.0.2.254/24"]);
    l.event(Event::Start);
    assert_eq!(of_words(&l.took(), "route"), [""; 0]);
    l.reload(config(&[Spec { routes: vec!["10.0.0.0/8", "0.0.0.0/0 via 192.0.2.8"], ..spec() }]));
    l.event(Event::Start);
    let did = l.took();
    assert_eq!(of_words(&did, "route"), ["remove route 0.0.0.0/0 via 192.0.2.9", "add route 0.0.0.0/0 via 192.0.2.8"]);
    assert_eq!(of_words(&did, "to"), [""; 0], "no transition");
    // Moved to another instance.
    let other = Spec { name: "other", vrid: 52, addresses: vec!["192.0.2.253/24"], ..routed() };
    l.reload(config(&[Spec { routes: vec![], ..spec() }, other]));
    assert_eq!(of_words(&l.took(), "route").len(), 2);
}

/// Static: from start to stop, whatever the instances do.
#[test]
fn static_ones() {
    let mut l = Lab::blank(with_static(&[spec()]));
    l.link(ETH0, "eth0", true);
    l.has(ETH0, &["192.0.2.1/24"]);
    l.event(Event::Start);
    l.took();
    // The interface comes later.
    l.link(ETH1, "eth1", true);
    l.has(ETH1, &[]);
    let on = ["add 198.51.100.1/24 on 3", "add route 203.0.113.0/24 on 3"];
    assert_eq!(l.took()[2..], on);
    // Taken off by hand.
    l.has(ETH1, &[]);
    assert_eq!(l.took(), ["AddressRestored", on[0]]);
    assert!(l.r.needs_addresses(ETH1, &on_link("198.51.100.1/24"), true), "it may be the address to send from");
    l.fire();
    l.hear(200, PEER);
    assert_eq!(of_words(&l.took(), "198.51"), [""; 0]);
    l.event(Event::Stop);
    assert_eq!(l.took(), ["BACKUP to STOP", "remove route 203.0.113.0/24 on 3", "remove 198.51.100.1/24 on 3"]);
    l.event(Event::Timeout { drained: true });
    assert_eq!(l.took(), [""; 0]);
}

/// Put on before the delay of the start, and taken over by a reload.
#[test]
fn static_delay_and_reload() {
    let mut c = with_static(&[spec()]);
    c.startup_delay = Micros::from_secs(10);
    let mut l = Lab::blank(c);
    for (ifindex, name) in [(ETH0, "eth0"), (ETH1, "eth1")] {
        l.link(ifindex, name, true);
        l.has(ifindex, &[]);
    }
    l.took();
    l.event(Event::Start);
    assert_eq!(l.took(), ["add 198.51.100.1/24 on 3", "add route 203.0.113.0/24 on 3"]);
    l.fire();
    l.took();
    l.reload(with_static(&[spec()]));
    l.has(ETH1, &["198.51.100.1/24"]);
    l.event(Event::Start);
    assert_eq!(of_words(&l.took(), "1"), ["rebind 2 V4"; 0], "nothing of it changes");
    l.reload(config(&[spec()]));
    assert_eq!(of_words(&l.took(), "remove").len(), 2);
}
