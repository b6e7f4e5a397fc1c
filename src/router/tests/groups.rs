//! Sync groups: Active together or not at all.

use super::*;
use crate::router::event::{CheckId, CheckResult, Fault, Shown};

const ETH2: u32 = 4;
const WAITS: State = State::Ready;

fn member(n: usize) -> Spec {
    let (name, on, address) =
        [("a", "eth0", "192.0.2.254/24"), ("b", "eth1", "192.0.3.254/24"), ("c", "eth2", "192.0.4.254/24")][n];
    Spec { name, on, vrid: 51 + n as u8, addresses: vec![address], ..spec() }
}

fn three() -> Vec<Spec> {
    (0..3).map(member).collect()
}

fn grouped(specs: &[Spec]) -> Box<Config> {
    with_group(config(specs), &["a", "b", "c"], &[], true)
}

fn tell(l: &mut Lab, start: bool) {
    for (ifindex, name, address) in
        [(ETH0, "eth0", "192.0.2.1/24"), (ETH1, "eth1", "192.0.3.1/24"), (ETH2, "eth2", "192.0.4.1/24")]
    {
        l.link(ifindex, name, true);
        l.has(ifindex, &[address]);
    }
    if start {
        l.event(Event::Start);
    }
}

fn lab(config: Box<Config>) -> Lab {
    let mut l = Lab::blank(config);
    tell(&mut l, true);
    l
}

/// All three are Active.
fn active() -> Lab {
    let mut l = lab(grouped(&three()));
    while !l.is_active() {
        l.fire();
    }
    l.took();
    l
}

/// What it did, without what is odd about a packet.
fn felt(l: &mut Lab) -> Vec<String> {
    let mut did = l.took();
    did.retain(|d| d != "ChecksumForm");
    did
}

/// A good advert for instance `n` on its interface, from its peer.
fn hear(l: &mut Lab, n: usize, priority: u8) {
    let c = l.r.config();
    let i = &c.instances[n];
    let h = Header { version: i.version, vrid: i.vrid, priority, interval: i.advert, password: None };
    let mut buf = [0; packet::MAX_LEN];
    let len = packet::emit(&mut buf, &h, c.addresses_of(i).iter().map(|a| a.ip), None).unwrap();
    let ifindex = c.str(i.interface).as_bytes()[3] as u32 - b'0' as u32 + 2;
    let source = ip(&format!("192.0.{}.2", ifindex));
    let destination = packet::GROUP_V4.into();
    l.event(Event::Received(Received { ifindex, source, destination, ttl: 255, payload: &buf[..len] }));
}

fn states(l: &Lab) -> [State; 3] {
    [0, 1, 2].map(|i| l.r.election_state(i).unwrap())
}

fn priorities(l: &Lab) -> [u8; 3] {
    [0, 1, 2].map(|i| l.r.view(i).unwrap().effective_priority)
}

fn check(l: &mut Lab, c: u8, result: CheckResult) {
    l.event(Event::Check { check: CheckId(c), result });
}

fn is_leaving(s: State) -> bool {
    matches!(s, State::Leaving { .. })
}

fn is_backup(s: State) -> bool {
    matches!(s, State::Backup { .. })
}

/// Who may be Active waits for the others, silently and without a timer; then all become it in one
/// step, and the group is told last.
#[test]
fn together() {
    let mut l = lab(grouped(&three()));
    assert_eq!(felt(&mut l).iter().filter(|d| *d == "INIT to BACKUP").count(), 3);
    // Somebody is Active on the third one's LAN.
    l.wait_ms(3000);
    hear(&mut l, 2, 200);
    while l.r.next_deadline().unwrap() < T0 + Micros::from_millis(3700) {
        l.fire();
    }
    assert_eq!(states(&l)[..2], [WAITS; 2]);
    assert!(is_backup(states(&l)[2]));
    assert_eq!(felt(&mut l), [""; 0]);
    l.fire();
    let did = felt(&mut l);
    let order: Vec<&str> = did.iter().filter(|d| !d.starts_with("announce")).map(String::as_str).collect();
    assert_eq!(
        order,
        [
            "advert 100 of 0 from 192.0.2.1 to 224.0.0.18",
            "add 192.0.2.254/24 on 2",
            "BACKUP to MASTER",
            "advert 100 of 1 from 192.0.3.1 to 224.0.0.18",
            "add 192.0.3.254/24 on 3",
            "BACKUP to MASTER",
            "advert 100 of 2 from 192.0.4.1 to 224.0.0.18",
            "add 192.0.4.254/24 on 4",
            "BACKUP to MASTER",
            "group BACKUP to MASTER",
        ]
    );
    assert_eq!(l.r.group(0).unwrap().state, Shown::Master);
}

/// One that waits and hears a better router is Backup again; a lesser one it leaves to itself.
#[test]
fn waiting_and_outranked() {
    let mut l = lab(grouped(&three()));
    l.wait_ms(3000);
    hear(&mut l, 2, 200);
    l.fire();
    assert_eq!(states(&l)[0], WAITS);
    felt(&mut l);
    hear(&mut l, 0, 50);
    hear(&mut l, 0, 0);
    assert_eq!(states(&l)[0], WAITS);
    hear(&mut l, 0, 150);
    assert!(is_backup(states(&l)[0]));
    assert_eq!(felt(&mut l), [""; 0]);
    assert!(l.r.next_deadline().is_some());
}

/// One member is outvoted: its addresses go at once; the others say priority 0 and keep theirs until
/// their successors speak. The group is Backup when all are.
#[test]
fn outvoted() {
    let mut l = active();
    hear(&mut l, 1, 200);
    assert_eq!(
        felt(&mut l),
        [
            "remove 192.0.3.254/24 on 3",
            "MASTER to BACKUP",
            "advert 0 of 0 from 192.0.2.1 to 224.0.0.18",
            "advert 0 of 2 from 192.0.4.1 to 224.0.0.18",
        ]
    );
    assert!(is_leaving(states(&l)[0]) && is_leaving(states(&l)[2]));
    hear(&mut l, 0, 200);
    assert_eq!(felt(&mut l), ["remove 192.0.2.254/24 on 2", "MASTER to BACKUP"]);
    // Nobody speaks on the third: Skew_Time of priority 1 and 100 ms.
    let start = l.now;
    l.fire();
    assert_eq!(l.now, start + Micros(996_094 + 100_000));
    assert_eq!(felt(&mut l), ["remove 192.0.4.254/24 on 4", "MASTER to BACKUP", "group MASTER to BACKUP"]);
    assert!(states(&l).iter().all(|s| is_backup(*s)));
}

/// A losing advert and a priority 0 pull nobody.
#[test]
fn not_outvoted() {
    let mut l = active();
    hear(&mut l, 1, 50);
    hear(&mut l, 2, 0);
    assert!(states(&l).iter().all(|s| matches!(s, State::Active { .. })));
    assert!(!felt(&mut l).iter().any(|d| d.contains(" to BACKUP") || d.starts_with("advert 0")));
}

/// One interface down: that one is in Fault at once, the others leave make-before-break; the group is in
/// Fault when all are. All come back through Backup.
#[test]
fn fault_of_one() {
    let mut l = active();
    l.link(ETH1, "eth1", false);
    let mut did = felt(&mut l);
    did.sort();
    assert_eq!(
        did,
        [
            "MASTER to FAULT",
            "advert 0 of 0 from 192.0.2.1 to 224.0.0.18",
            "advert 0 of 2 from 192.0.4.1 to 224.0.0.18",
            "remove 192.0.3.254/24 on 3",
        ]
    );
    let fault = |l: &Lab, i: usize| l.r.view(i).unwrap().fault;
    assert_eq!([fault(&l, 0), fault(&l, 1)], [Some(Fault::Group), Some(Fault::InterfaceDown)]);
    hear(&mut l, 0, 90);
    hear(&mut l, 2, 90);
    assert_eq!(felt(&mut l).last().unwrap(), "group MASTER to FAULT");
    assert_eq!((states(&l), l.r.next_deadline()), ([State::Initialize; 3], None));
    l.link(ETH1, "eth1", true);
    assert_eq!(felt(&mut l).last().unwrap(), "group FAULT to BACKUP");
    assert!(states(&l).iter().all(|s| is_backup(*s)));
}

/// While the members leave, the one in Fault recovers: each is Backup once its successor has spoken.
#[test]
fn recovers_while_leaving() {
    let mut l = active();
    l.link(ETH1, "eth1", false);
    l.link(ETH1, "eth1", true);
    assert!(is_leaving(states(&l)[0]) && is_backup(states(&l)[1]));
    hear(&mut l, 0, 90);
    hear(&mut l, 2, 90);
    assert!(states(&l).iter().all(|s| is_backup(*s)));
    assert_eq!(felt(&mut l).last().unwrap(), "group MASTER to BACKUP");
}

/// A group in which one waits for a check's first result waits as a whole, and tells nothing.
#[test]
fn held() {
    let mut specs = three();
    specs[1].follows = vec![("c", 0, false)];
    // Its own weight counts for the first; it waits with the second all the same.
    specs[0].follows = vec![("c", -10, false)];
    let c = with_checks(grouped(&specs), &[("c", "script", 1, 1, Initial::Unknown)]);
    let mut l = lab(c);
    assert_eq!(states(&l), [State::Initialize; 3]);
    assert!(!felt(&mut l).iter().any(|d| d.contains("INIT to")));
    check(&mut l, 0, CheckResult::Up);
    assert!(states(&l).iter().all(|s| is_backup(*s)));
    check(&mut l, 0, CheckResult::Down);
    assert_eq!(states(&l), [State::Initialize; 3]);
    assert_eq!(felt(&mut l).last().unwrap(), "group BACKUP to FAULT");
}

/// What one member tracks counts for all, and once; a member's own weight before the group's before
/// those of others. `weights off`: the group's alone. A Fault counts for all in both.
#[test]
fn weights() {
    let mut specs = three();
    specs[0].follows = vec![("x", -10, false)];
    specs[1].follows = vec![("x", -10, false), ("y", -20, false), ("g", -40, false)];
    specs[2].follows = vec![("z", 0, false)];
    let checks = ["x", "y", "g", "z"].map(|name| (name, "script", 1, 1, Initial::Up));
    for (weights, x, y, g) in [(true, [90; 3], [70; 3], [65, 30, 65]), (false, [100; 3], [100; 3], [95; 3])] {
        let c = with_group(config(&specs), &["a", "b", "c"], &[("g", -5, false)], weights);
        let mut l = lab(with_checks(c, &checks));
        assert_eq!(priorities(&l), [100; 3]);
        for (c, expected) in [(0, x), (1, y), (2, g)] {
            check(&mut l, c, CheckResult::Down);
            assert_eq!(priorities(&l), expected, "weights {weights}, check {c}");
        }
        assert!(states(&l).iter().all(|s| is_backup(*s)));
        check(&mut l, 3, CheckResult::Down);
        assert_eq!(states(&l), [State::Initialize; 3], "weights {weights}");
        let faults = [0, 1, 2].map(|i| l.r.view(i).unwrap().fault);
        assert_eq!(faults, [Some(Fault::Tracked); 3]);
    }
}

/// Status names what counts, once each: what is switched off is not among it.
#[test]
fn what_counts() {
    let mut specs = three();
    specs[0].follows = vec![("x", -10, false)];
    specs[1].follows = vec![("x", -30, false), ("y", 0, false)];
    let checks = ["x", "y"].map(|name| (name, "script", 1, 1, Initial::Up));
    for (weights, expected) in [(true, vec![("x", -10), ("y", 0)]), (false, vec![("y", 0)])] {
        let c = with_group(config(&specs), &["a", "b", "c"], &[], weights);
        let l = lab(with_checks(c, &checks));
        let all: Vec<_> = l.r.tracks(0).map(|t| (t.name, t.track.weight)).collect();
        assert_eq!(all, expected);
    }
}

/// Owners begin as Active when all of them can be.
#[test]
fn owners() {
    let mut specs = three();
    for s in &mut specs {
        s.priority = 255;
    }
    let mut l = lab(grouped(&specs));
    assert!(states(&l).iter().all(|s| matches!(s, State::Active { .. })));
    assert_eq!(felt(&mut l).last().unwrap(), "group INIT to MASTER");
    specs[2].priority = 100;
    let l = lab(grouped(&specs));
    assert_eq!(states(&l)[..2], [WAITS; 2]);
}

/// A reload takes the group away, or the member that the others wait for: nobody waits any more.
#[test]
fn reload_without() {
    for members in [&[][..], &["a", "b"][..]] {
        let mut l = lab(grouped(&three()));
        l.wait_ms(3000);
        hear(&mut l, 2, 200);
        l.fire();
        assert_eq!(states(&l)[..2], [WAITS; 2]);
        let c = config(&three());
        l.reload(if members.is_empty() { c } else { with_group(c, members, &[], true) });
        tell(&mut l, false);
        assert_eq!(states(&l)[..2], [WAITS; 2], "nothing begins before Start");
        l.event(Event::Start);
        assert!(states(&l)[..2].iter().all(|s| matches!(s, State::Active { .. })));
        assert!(is_backup(states(&l)[2]));
    }
}

/// A reload makes a group of instances that run: it tells the state that they are in, and who is Active
/// alone yields when the next advert says that another router is Active for a member.
#[test]
fn reload_with() {
    let mut l = lab(config(&three()));
    l.wait_ms(3000);
    hear(&mut l, 2, 200);
    l.fire();
    felt(&mut l);
    l.reload(grouped(&three()));
    tell(&mut l, true);
    assert!(matches!(states(&l)[0], State::Active { .. }));
    assert!(!felt(&mut l).iter().any(|d| d.starts_with("group")));
    l.wait_ms(1);
    hear(&mut l, 2, 200);
    assert!(is_leaving(states(&l)[0]) && is_leaving(states(&l)[1]));
    let mut l = lab(config(&three()));
    while states(&l).iter().any(|s| !matches!(s, State::Active { .. })) {
        l.fire();
    }
    l.reload(grouped(&three()));
    felt(&mut l);
    tell(&mut l, true);
    assert_eq!(felt(&mut l).last().unwrap(), "group INIT to MASTER");
    assert!(states(&l).iter().all(|s| matches!(s, State::Active { .. })));
    // The same once more is no news.
    l.reload(grouped(&three()));
    tell(&mut l, true);
    assert!(!felt(&mut l).iter().any(|d| d.contains(" to MASTER")));
}

/// Stop: each member hands over by itself, and the group has stopped when all have, though one LAN fails
/// meanwhile.
#[test]
fn stop() {
    let mut l = active();
    l.event(Event::Stop);
    assert_eq!(of_kind(&felt(&mut l).into_iter().map(|d| (0, d)).collect::<Vec<_>>(), "advert 0").len(), 3);
    l.link(ETH1, "eth1", false);
    assert_eq!(felt(&mut l), ["remove 192.0.3.254/24 on 3", "MASTER to STOP"]);
    assert!(is_leaving(states(&l)[0]) && is_leaving(states(&l)[2]));
    hear(&mut l, 0, 90);
    assert_eq!(felt(&mut l), ["remove 192.0.2.254/24 on 2", "MASTER to STOP"]);
    hear(&mut l, 2, 90);
    assert_eq!(felt(&mut l), ["remove 192.0.4.254/24 on 4", "MASTER to STOP", "group MASTER to STOP"]);
    assert!(l.r.is_stopped());
}
