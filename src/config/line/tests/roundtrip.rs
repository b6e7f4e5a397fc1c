//! What is read, and that writing and reading again changes nothing.

mod checks;
mod routes;

use std::format;
use std::net::IpAddr;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::config::model::*;
use crate::vrrp::timing::{Centis, Micros, Version};

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

/// A whole file: each construct, and what it means.
#[test]
fn every_construct() {
    let c = good(
        "# branch router A\n\
         router-id \"branch 12\"   # in quotes\n\
         log debug\n\
         log-unknown on\n\
         strict on\n\
         startup-delay 1.5m\n\
         defaults version 2 advert 3s auth pass \"a\\\"\\\\#\" garp repeat 2\n\
         \n\
         instance lan on br-lan vrid 51 priority 150 preempt after 30s\n\
         \tgarp delay 0 refresh 60 refresh-repeat 3\n\
         \taddress 192.168.1.1/24 dev br-iot scope site label br-iot:1\n\
         \taddress 10.0.0.1 excluded\n\
         \taddress 2001:db8::1/64\n\
         defaults version 3\n\
         instance \"vrid\" on \"on\" vrid 255 priority 255 start backup family ipv6 advert 40.95s\n\
         address fe80::1/64 address 192.0.2.1/24\n\
         group6 ff02::99 source fe80::7\n\
         instance u on wan vrid 1 checksum pseudo preempt off advert 10ms\n\
         unicast 192.0.2.10 peer 192.0.2.11 peer 192.0.2.12 min-ttl 64 max-ttl 250\n\
         address 198.51.100.1/32\n",
    );
    assert_eq!(c.str(c.router_id), "branch 12");
    assert_eq!(c.log_level, LogLevel::Debug);
    assert!(c.log_unknown && c.strict);
    assert_eq!(c.startup_delay, Micros::from_secs(90));
    assert_eq!(c.instances.len(), 3);

    let lan = &c.instances[0];
    assert_eq!((c.str(lan.name), c.str(lan.interface)), ("lan", "br-lan"));
    assert_eq!((lan.vrid, lan.priority, lan.version, lan.family), (51, 150, Version::V2, Family::V4));
    assert_eq!(lan.advert, Centis::from_secs(3).unwrap());
    assert_eq!(lan.preempt, Preempt::After(Micros::from_secs(30)));
    assert_eq!(lan.password, Some(*b"a\"\\#\0\0\0\0"));
    let garp = Garp { delay: Micros::ZERO, repeat: 2, refresh: Micros::from_secs(60), refresh_repeat: 3 };
    assert_eq!(lan.garp, garp);
    let a = c.addresses_of(lan);
    assert_eq!((a[0].ip, a[0].prefix, a[0].scope, a[0].excluded), (ip("192.168.1.1"), 24, Some(Scope::Site), false));
    assert_eq!((c.str(a[0].dev), c.str(a[0].label)), ("br-iot", "br-iot:1"));
    assert_eq!((a[1].ip, a[1].prefix, a[1].excluded), (ip("10.0.0.1"), 32, true));
    assert_eq!((a[2].ip, a[2].prefix, a[2].excluded), (ip("2001:db8::1"), 64, true));

    let owner = &c.instances[1];
    assert_eq!((c.str(owner.name), c.str(owner.interface)), ("vrid", "on"));
    assert_eq!((owner.vrid, owner.priority, owner.version, owner.family), (255, 255, Version::V3, Family::V6));
    assert_eq!(owner.advert, Centis::MAX_V3);
    assert_eq!((owner.group, owner.source), (Some(ip("ff02::99")), Some(ip("fe80::7"))));
    // The password was for version 2.
    assert_eq!(owner.password, None);
    assert_eq!(c.addresses_of(owner).iter().map(|a| a.excluded).collect::<Vec<_>>(), [false, true]);

    let u = &c.instances[2];
    assert_eq!((u.checksum, u.preempt, u.unicast), (ChecksumForm::Pseudo, Preempt::Off, Some(ip("192.0.2.10"))));
    assert_eq!(
        c.peers_of(u),
        [
            Peer { ip: ip("192.0.2.11"), min_ttl: 255, max_ttl: 255 },
            Peer { ip: ip("192.0.2.12"), min_ttl: 64, max_ttl: 250 }
        ]
    );
    same_again(&c);
}

/// A virtual MAC address with a name of its own or the usual one, and what adverts and packets do with it.
#[test]
fn vmac() {
    let text = "instance a on eth0 vrid 51 priority 100\n  vmac vrrp4.51\n  accept off\n  address 192.0.2.1/24\n\n\
        instance b on eth0 vrid 51 priority 100\n  vmac vrrp6.51\n  vmac-base on\n  address fe80::1/64\n\n\
        instance c on eth0 vrid 52 priority 100\n  vmac \"priority\"\n  address 192.0.2.2/24\n\n\
        instance d on eth0 vrid 53 priority 100\n  vmac v\n  unicast 192.0.2.7\n  peer 192.0.2.8\n  address 192.0.2.3/24\n";
    let c = good(
        "defaults accept off\ninstance a on eth0 vrid 51 vmac address 192.0.2.1/24\n\
        defaults accept on vmac-base on\ninstance b on eth0 vmac vrid 51 address fe80::1/64\n\
        instance c on eth0 vrid 52 vmac-base off vmac \"priority\"\naddress 192.0.2.2/24\n\
        instance d on eth0 vrid 53 vmac-base off vmac v unicast 192.0.2.7 peer 192.0.2.8 address 192.0.2.3/24\n",
    );
    assert_eq!(printed(&c), text);
    assert!(c.instances[3].vmac_base, "a unicast advert leaves from the interface itself");
    assert_eq!(c.instances[0].virtual_mac(), [0, 0, 0x5e, 0, 1, 51]);
    assert_eq!(c.instances[1].virtual_mac(), [0, 0, 0x5e, 0, 2, 51]);
    assert_eq!(c.device_of(&c.instances[2], &c.addresses[2]), "priority");
    same_again(&c);
}

/// Both versions at once, and an instance that has but one of them in spite of `defaults`.
#[test]
fn versions() {
    let text = "instance a on eth0 vrid 1 priority 100\n  version 2+3\n  advert 40s\n  auth pass x\n  \
        checksum pseudo\n  address 192.0.2.1/24\n\n\
        instance b on eth0 vrid 2 priority 100\n  version 2\n  auth pass x\n  address 192.0.2.2/24\n\n\
        instance c on eth0 vrid 3 priority 100\n  checksum pseudo\n  address 192.0.2.3/24\n";
    let c = good(
        "defaults version 2+3 auth pass x checksum pseudo\ninstance a on eth0 vrid 1 advert 40s address 192.0.2.1/24\n\
        instance b on eth0 vrid 2 version 2 address 192.0.2.2/24\n\
        instance c on eth0 vrid 3 version 3 address 192.0.2.3/24\n",
    );
    assert_eq!(printed(&c), text);
    let speak = |version| c.instances.iter().map(|i| i.speaks(version)).collect::<Vec<_>>();
    assert_eq!((speak(2), speak(3)), (vec![true, true, false], vec![true, false, true]));
    same_again(&c);
}

/// Built-in defaults, and the canonical form of the least that there can be.
#[test]
fn least() {
    let c = good("instance lan vrid 7 on eth0 address 192.0.2.1/24");
    let expected = Instance {
        name: c.instances[0].name,
        interface: c.instances[0].interface,
        vrid: 7,
        addresses: Range { start: 0, len: 1 },
        ..Instance::default()
    };
    assert_eq!(c.instances[0], expected);
    assert_eq!(printed(&c), "instance lan on eth0 vrid 7 priority 100\n  address 192.0.2.1/24\n");
}

/// The canonical form, with all that it can hold.
#[test]
fn canonical() {
    let text = "router-id \"branch 12\"\n\
        log warn\n\
        log-unknown on\n\
        strict on\n\
        startup-delay 90s\n\
        \n\
        instance lan on br-lan vrid 51 priority 150\n  \
          version 2\n  \
          advert 2m\n  \
          preempt after 30s\n  \
          source 192.168.1.2\n  \
          group4 224.0.0.99\n  \
          auth pass \"a b\\\\\"\n  \
          garp delay 0s repeat 2 refresh 1m refresh-repeat 3\n  \
          address 192.168.1.1/24 dev br-iot scope site label br-iot:1\n  \
          address 10.0.0.1/32 excluded\n  \
          address 2001:db8::1/64\n\
        \n\
        instance \"on\" on wan vrid 1 priority 255\n  \
          family ipv4\n  \
          advert 1cs\n  \
          start master\n  \
          checksum pseudo\n  \
          unicast 192.0.2.10\n  \
          peer 192.0.2.11\n  \
          peer 192.0.2.12 min-ttl 64 max-ttl 250\n  \
          address fe80::1/64\n  \
          address 198.51.100.1/32\n";
    assert_eq!(printed(&good(text)), text);
}

/// CRLF, a byte order mark, tabs, no newline at the end, and a line of exactly 512 bytes.
#[test]
fn tolerated() {
    good("\u{feff}instance lan on eth0 vrid 7\r\n\taddress\t192.0.2.1/24\r\n");
    let mut line = String::from("instance lan on eth0 vrid 7 address 192.0.2.1/24 #");
    line.extend(core::iter::repeat_n('x', MAX_LINE - line.len()));
    good(&line);
    line.push_str("\r\n");
    good(&line);
}

/// The family of an instance follows what it has.
#[test]
fn family_inferred() {
    for (text, family) in [
        ("address 192.0.2.1 address fe80::1", Family::V4),
        ("address 192.0.2.1 excluded address fe80::1", Family::V6),
        ("address fe80::1 address 192.0.2.1", Family::V6),
        ("family ipv4 address fe80::1 address 192.0.2.1", Family::V4),
    ] {
        let c = good(&format!("instance a on eth0 vrid 1 {text}"));
        assert_eq!(c.instances[0].family, family, "{text}");
        same_again(&c);
    }
}

/// An instance, its name and interface, its addresses with device and label, its peers,
/// what it tracks; among the strings its hooks.
type Meaning = (Instance, [String; 7], Vec<(Address, [String; 2])>, Vec<Peer>, Vec<(bool, String, i16, bool)>);

/// Strings by their text, for two configurations with pools of their own.
fn meaning(c: &Config, i: &Instance) -> Meaning {
    let plain = Instance {
        name: StrId::default(),
        interface: StrId::default(),
        addresses: Range::default(),
        routes: Range::default(),
        peers: Range::default(),
        tracks: Range::default(),
        hooks: Hooks::default(),
        ..*i
    };
    let addresses = c.addresses_of(i).iter().map(|a| {
        let plain = Address { dev: StrId::default(), label: StrId::default(), ..*a };
        (plain, [c.str(a.dev).into(), c.str(a.label).into()])
    });
    let h = &i.hooks;
    let names = [i.name, i.interface, h.any, h.master, h.backup, h.fault, h.stop].map(|id| c.str(id).into());
    (plain, names, addresses.collect(), c.peers_of(i).into(), tracked(c, c.tracks_of(i)))
}

/// Every route with its interface, and where each list of them is, static ones first.
fn all_routes(c: &Config) -> (Vec<(Route, String)>, Vec<Range>, usize) {
    let all = c.routes.iter().map(|r| (Route { dev: StrId::NONE, ..*r }, c.str(r.dev).into())).collect();
    let ranges = [c.static_routes].into_iter().chain(c.instances.iter().map(|i| i.routes));
    (all, ranges.collect(), c.static_addresses.len.into())
}

/// Every interface with a delay: its name, down and up.
fn delays(c: &Config) -> Vec<(String, Micros, Micros)> {
    c.link_delays.iter().map(|d| (c.str(d.interface).into(), d.down, d.up)).collect()
}

/// Whether it is a check, its name, its weight, `reverse`.
fn tracked(c: &Config, tracks: &[Track]) -> Vec<(bool, String, i16, bool)> {
    let one = |t: &Track| (matches!(t.what, Tracked::Check(_)), c.str(t.what.name()).into(), t.weight, t.reverse);
    tracks.iter().map(one).collect()
}

/// Writing and reading gives the same, and writing that the same text.
fn same_again(c: &Config) {
    let text = printed(c);
    let (again, said) = read(&text);
    assert!(said.lines().all(|l| l.contains(": warning: ")), "{said}in:\n{text}");
    assert_eq!(printed(&again), text);
    assert_eq!(c.str(c.router_id), again.str(again.router_id));
    assert_eq!((c.log_unknown, c.strict), (again.log_unknown, again.strict));
    assert_eq!((c.log_level, c.startup_delay), (again.log_level, again.startup_delay));
    assert_eq!(c.instances.len(), again.instances.len());
    assert_eq!(all_routes(c), all_routes(&again));
    assert_eq!(delays(c), delays(&again));
    for (a, b) in c.instances.iter().zip(&again.instances) {
        assert_eq!(meaning(c, a), meaning(&again, b), "in:\n{text}");
    }
    checks::same(c, &again);
}

/// A word of the user's own, of at most `max` bytes.
fn name(max: usize) -> impl Strategy<Value = String> {
    let word = prop_oneof!["[a-z][a-z0-9.-]{0,9}", Just("on".into()), Just("track".into()), "[ -~äß→]{1,15}"];
    word.prop_map(move |mut s| {
        while s.len() > max {
            s.pop();
        }
        s
    })
}

fn interface() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,6}[0-9.@-]{0,5}", Just("vrid".into()), Just("#odd\"".into())]
}

fn length() -> impl Strategy<Value = Micros> {
    prop_oneof![
        0..86_400_000_000u64,
        (0..86_400u64).prop_map(|s| s * 1_000_000),
        (0..8_640_000u64).prop_map(|cs| cs * 10_000)
    ]
    .prop_map(Micros)
}

/// IPv6 or not, prefix length, device, scope, label, excluded.
type AddressPlan = (bool, u8, Option<String>, Option<u8>, Option<String>, bool);

/// An instance: whatever a valid one may have.
#[derive(Clone, Debug)]
struct Plan {
    v6: bool,
    v2: bool,
    unicast: bool,
    addresses: Vec<AddressPlan>,
    interface: String,
    name: String,
    advert: u16,
    preempt: (u8, Micros),
    numbers: (u8, u8, u8, u8),
    garp: (Micros, Micros),
    secret: Option<String>,
    flags: (bool, bool, bool, bool),
}

fn plan() -> impl Strategy<Value = Plan> {
    let address = (
        any::<bool>(),
        1..=32u8,
        proptest::option::of(interface()),
        proptest::option::of(0..4u8),
        proptest::option::of(name(15)),
        any::<bool>(),
    );
    let shape = (any::<bool>(), any::<bool>(), any::<bool>(), proptest::collection::vec(address, 0..5));
    let identity = (interface(), name(64), 1..=4095u16, (0..3u8, length()));
    let numbers = (any::<u8>(), 1..=255u8, 1..=255u8, any::<u8>());
    let rest = (
        (length(), length()),
        proptest::option::of(name(8)),
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
    );
    (shape, identity, numbers, rest).prop_map(|(s, i, numbers, r)| Plan {
        v6: s.0,
        v2: s.1 && !s.0,
        unicast: s.2,
        addresses: s.3,
        interface: i.0,
        name: i.1,
        advert: i.2,
        preempt: i.3,
        numbers,
        garp: r.0,
        secret: r.1,
        flags: r.2,
    })
}

/// Adds what `plan` says as instance number `n`; numbers keep addresses and VRIDs apart.
fn build(c: &mut Config, n: u8, plan: &Plan) {
    let mut number = 0u16;
    let mut next = |v6: bool| -> IpAddr {
        number += 1;
        if v6 {
            [0xfe80, 0, 0, 0, 0, 0, n as u16, number].into()
        } else {
            [10, n, (number >> 8) as u8, number as u8].into()
        }
    };
    let family = if plan.v6 { Family::V6 } else { Family::V4 };
    let mut add = |s: &str| c.strings.add(s).unwrap();
    let mut i = Instance {
        name: add(&format!("{n}{}", plan.name)),
        interface: add(&plan.interface),
        vrid: n + 1,
        family,
        version: if plan.v2 { Version::V2 } else { Version::V3 },
        priority: plan.numbers.1,
        advert: if plan.v2 { Centis::from_secs(plan.numbers.2).unwrap() } else { Centis::new(plan.advert).unwrap() },
        ..Instance::default()
    };
    i.start = if plan.flags.0 { Start::Master } else { Start::Backup };
    i.preempt = match plan.preempt {
        (0, _) => Preempt::Off,
        (1, wait) if wait != Micros::ZERO => Preempt::After(wait),
        _ => Preempt::On,
    };
    if i.start == Start::Master {
        i.preempt = Preempt::On;
    }
    i.track_primary = plan.flags.3;
    i.garp.delay = plan.garp.0;
    i.garp.refresh = if plan.garp.1 < Micros::from_millis(100) { Micros::ZERO } else { plan.garp.1 };
    (i.garp.repeat, i.garp.refresh_repeat) = (plan.numbers.1, plan.numbers.2);
    if !plan.v2 && !plan.v6 && plan.flags.1 {
        i.checksum = ChecksumForm::Pseudo;
    }
    if plan.v2
        && let Some(secret) = &plan.secret
    {
        let mut bytes = [0; 8];
        bytes[..secret.len()].copy_from_slice(secret.as_bytes());
        i.password = Some(bytes);
    }
    i.addresses.start = c.addresses.len() as u16;
    // One at least must be advertised; put it first or last.
    let own = (false, 24, None, None, None, false);
    let mut all: Vec<_> = plan.addresses.iter().map(|a| (a.0, a)).collect();
    all.insert(if plan.flags.2 { 0 } else { all.len() }, (plan.v6, &own));
    for (v6, (_, prefix, dev, scope, label, excluded)) in all {
        let a = Address {
            ip: next(v6),
            prefix: *prefix,
            dev: dev.as_ref().map_or(StrId::default(), |s| c.strings.add(s).unwrap()),
            scope: scope.map(|s| [Scope::Global, Scope::Site, Scope::Link, Scope::Host][s as usize]),
            label: label.as_ref().filter(|_| !v6).map_or(StrId::default(), |s| c.strings.add(s).unwrap()),
            excluded: *excluded || v6 != plan.v6,
        };
        c.addresses.push(a).unwrap();
    }
    i.addresses.len = c.addresses.len() as u16 - i.addresses.start;
    if plan.flags.0 {
        i.hooks.any = c.strings.add("/etc/picovrrp/notify \\ \" x").unwrap();
        i.hooks.stop = c.strings.add("/bin/true").unwrap();
    }
    if plan.flags.2 {
        (i.hooks.master, i.hooks.backup) = (i.hooks.stop, i.hooks.any);
        i.hooks.fault = c.strings.add("/bin/false").unwrap();
    }
    i.tracks.start = c.tracks.len() as u16;
    for n in 0..plan.numbers.3 % 3 {
        let interface = c.strings.add(&format!("track{n}")).unwrap();
        let weight = (plan.numbers.0 as i16 - plan.numbers.1 as i16) * n as i16 % 254;
        c.tracks.push(Track { what: Tracked::Interface(interface), weight, reverse: plan.flags.3 }).unwrap();
    }
    i.tracks.len = c.tracks.len() as u16 - i.tracks.start;
    i.peers.start = c.peers.len() as u16;
    if plan.unicast {
        i.unicast = Some(next(plan.v6));
        for _ in 0..=plan.numbers.3 % 3 {
            let (min_ttl, max_ttl) = (plan.numbers.0.min(plan.numbers.1), plan.numbers.0.max(plan.numbers.1));
            c.peers.push(Peer { ip: next(plan.v6), min_ttl, max_ttl }).unwrap();
        }
        i.peers.len = c.peers.len() as u16 - i.peers.start;
    } else {
        i.source = plan.flags.3.then(|| next(plan.v6));
        i.group = plan.flags.2.then(|| ip(if plan.v6 { "ff02::77" } else { "224.0.0.77" }));
    }
    c.instances.push(i).unwrap();
}

proptest! {
    /// Whatever configuration is valid, writing it and reading that gives the same configuration.
    #[test]
    fn round_trip(
        router_id in proptest::option::of(name(64)),
        level in 0..4usize,
        bits in (any::<bool>(), any::<bool>()),
        startup_delay in length(),
        plans in proptest::collection::vec(plan(), 1..5),
        more in checks::plan(),
        of_routes in routes::plan(),
        of_links in proptest::collection::vec((interface(), 0..=255_000_000u64, 1..=255_000_000u64, any::<bool>()), 0..4),
    ) {
        let mut c = Config { log_unknown: bits.0, strict: bits.1, startup_delay, ..Config::default() };
        c.log_level = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug][level];
        c.router_id = c.strings.add(&router_id.unwrap_or_default()).unwrap();
        for (n, plan) in plans.iter().enumerate() {
            build(&mut c, n as u8, plan);
        }
        checks::build(&mut c, &more);
        routes::build(&mut c, &of_routes);
        for (n, (name, a, b, swapped)) in of_links.iter().enumerate() {
            let interface = c.strings.add(&format!("{n}{name}")).unwrap();
            let (down, up) = if *swapped { (*b, *a) } else { (*a, *b) };
            c.link_delays.push(LinkDelay { interface, down: Micros(down), up: Micros(up) }).unwrap();
        }
        same_again(&c);
    }
}
