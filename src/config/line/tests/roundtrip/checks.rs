//! Checks, what tracks them, sync groups, and the statements of the whole file beside them.

use super::*;

/// A file with each construct, and what it means.
#[test]
fn every_construct() {
    let c = good(
        "max-children 7\nnotify-timeout 2m\nnotify-fifo /run/fifo\nhotplug keepalived   vrrp\n\
         startup \"/bin/x y\" timeout 3s\nshutdown /bin/z\n\
         check uplink ping 203.0.113.1 every 1s timeout 500ms fall 3 rise 2 initial down\n\
         instance lan on eth0 vrid 51 address 192.168.1.1/24\n\
         track uplink weight -60\ntrack trigger\ntrack-interface wan weight 5 reverse\n\
         check trigger file /run/trigger\n\
         group gateway lan \"on\" weights own notify /bin/g\n\
         track dns\nnotify-stop /bin/s\n\
         check dns dns 192.0.2.53 example.org type mx port 54 every 5s\n\
         instance \"on\" on eth0 vrid 52 address fe80::1\n",
    );
    assert_eq!((c.max_children, c.notify_timeout), (7, Micros::from_secs(120)));
    assert_eq!((c.str(c.notify_fifo), c.str(c.hotplug)), ("/run/fifo", "keepalived vrrp"));
    assert_eq!((c.str(c.startup.command), c.startup.timeout), ("/bin/x y", Micros::from_secs(3)));
    assert_eq!((c.str(c.shutdown.command), c.shutdown.timeout), ("/bin/z", Micros::from_secs(10)));

    let uplink = &c.checks[0];
    assert_eq!((c.str(uplink.name), uplink.every, uplink.timeout), ("uplink", Micros(1_000_000), Micros(500_000)));
    assert_eq!((uplink.fall, uplink.rise, uplink.initial), (3, 2, Initial::Down));
    assert_eq!(uplink.kind, CheckKind::Ping { target: ip("203.0.113.1"), from: Origin::Any });
    let dns = &c.checks[2];
    assert_eq!((dns.timeout, dns.fall, dns.rise, dns.initial), (dns.every, 1, 1, Initial::Unknown));
    let CheckKind::Dns { server, port, name, record } = dns.kind else { panic!("{dns:?}") };
    assert_eq!((server, port, c.str(name), record), (ip("192.0.2.53"), 54, "example.org", RecordType::Mx));

    let own: Vec<_> = tracked(&c, c.tracks_of(&c.instances[0]));
    // A file's weight is 1 unless given.
    let expected = [(true, "uplink", -60, false), (true, "trigger", 1, false), (false, "wan", 5, true)];
    assert_eq!(own, expected.map(|(check, name, weight, reverse)| (check, name.into(), weight, reverse)));
    let g = &c.groups[0];
    assert_eq!(
        (c.str(g.name), g.weights, c.str(g.hooks.any), c.str(g.hooks.stop)),
        ("gateway", Weights::Own, "/bin/g", "/bin/s")
    );
    assert_eq!(c.members_of(g).iter().map(|m| c.str(*m)).collect::<Vec<_>>(), ["lan", "on"]);
    assert_eq!(tracked(&c, c.tracks_of_group(g)), [(true, "dns".into(), 0, false)]);
    same_again(&c);
}

/// Hooks of `defaults` are those of instances.
#[test]
fn defaults_are_not_for_groups() {
    let c = good(
        "defaults notify /bin/d\ninstance a on e vrid 1 address 192.0.2.1\ninstance b on e vrid 2 address 192.0.2.2\ngroup g a b",
    );
    assert_eq!((c.str(c.instances[0].hooks.any), c.groups[0].hooks), ("/bin/d", Hooks::default()));
}

/// The canonical form, with all that it can hold.
#[test]
fn canonical() {
    let text = "max-children 32\n\
        notify-timeout 1s\n\
        notify-fifo \"/run/a fifo\"\n\
        hotplug keepalived vrrp\n\
        startup /bin/x timeout 1m\n\
        shutdown \"/bin/y z\"\n\
        \n\
        check s script \"/bin/true -x\" user nobody:nogroup every 1s timeout 50cs fall 3 rise 2 initial up\n\
        check p process nginx min 2 max 4 full-command params \"-g daemon\" delay 2s connector initial down\n\
        check f file /run/f every 1m\n\
        check i interface \"track\"\n\
        check r route default via 192.0.2.254 table 255\n\
        check r6 route ::/0 timeout 1s\n\
        check n ping fe80::1 from wan\n\
        check t tcp 192.0.2.1 80 from 192.0.2.2\n\
        check h http http://[::1]:8080/x status 204 contains \"all well\"\n\
        check d dns 192.0.2.53 example.org type AAAA port 54\n\
        \n\
        instance a on eth0 vrid 1 priority 100\n  \
          address 192.0.2.1/32\n  \
          track s\n  \
          track p weight -10 reverse\n  \
          track f\n  \
          track i weight 5\n  \
          track-interface wan\n\
        \n\
        instance b on eth0 vrid 2 priority 100\n  \
          address 192.0.2.2/32\n  \
          track f weight 0\n\
        \n\
        group g a b\n  \
          weights own\n  \
          track r\n  \
          track r6\n  \
          track n\n  \
          track t\n  \
          track h\n  \
          track d weight 2\n  \
          notify /bin/n\n";
    assert_eq!(printed(&good(text)), text);
}

/// The checks and groups of `a` are those of `b`, and what else is said for the whole file.
#[track_caller]
pub(super) fn same(a: &Config, b: &Config) {
    assert_eq!((a.max_children, a.notify_timeout), (b.max_children, b.notify_timeout));
    assert_eq!((a.startup.timeout, a.shutdown.timeout), (b.startup.timeout, b.shutdown.timeout));
    let words = |c: &Config| {
        [c.notify_fifo, c.hotplug, c.startup.command, c.shutdown.command].map(|id| String::from(c.str(id)))
    };
    assert_eq!(words(a), words(b));
    let checks = |c: &Config| c.checks.iter().map(|x| check(c, x)).collect::<Vec<_>>();
    assert_eq!(checks(a), checks(b));
    let groups = |c: &Config| c.groups.iter().map(|g| group(c, g)).collect::<Vec<_>>();
    assert_eq!(groups(a), groups(b));
}

/// Strings by their text.
fn check(c: &Config, check: &Check) -> (Check, Vec<String>) {
    let mut plain = Check { name: StrId::default(), ..*check };
    let mut words: Vec<String> = vec![c.str(check.name).into()];
    let mut take = |id: &mut StrId| words.push(c.str(core::mem::take(id)).into());
    match &mut plain.kind {
        CheckKind::Script { command, user } => [command, user].map(take).into_iter().collect(),
        CheckKind::Process { name, params, .. } => [name, params].map(take).into_iter().collect(),
        CheckKind::File { path: id } | CheckKind::Interface { interface: id } | CheckKind::Dns { name: id, .. } => {
            take(id)
        }
        CheckKind::Http { url, contains, .. } => [url, contains].map(take).into_iter().collect(),
        CheckKind::Ping { from, .. } | CheckKind::Tcp { from, .. } => {
            if let Origin::Interface(id) = from {
                take(id);
            }
        }
        CheckKind::Route { .. } => {}
    }
    (plain, words)
}

type GroupMeaning = (Weights, Vec<String>, Vec<(bool, String, i16, bool)>);

fn group(c: &Config, g: &Group) -> GroupMeaning {
    let h = &g.hooks;
    let words = [g.name, h.any, h.master, h.backup, h.fault, h.stop].into_iter().chain(c.members_of(g).iter().copied());
    (g.weights, words.map(|id| c.str(id).into()).collect(), tracked(c, c.tracks_of_group(g)))
}

/// A check's kind, its numbers and words, its interval and timeout.
type CheckPlan = (u8, (u16, u16, u32, bool), (String, String, String), (Micros, Micros), (u8, u8, u8));

/// Checks, whole-file numbers, weights of the trackers, whether there is a group.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    checks: Vec<CheckPlan>,
    numbers: (u8, Micros, Micros),
    words: (bool, bool),
    weights: Vec<i16>,
    flags: (bool, bool, bool),
}

pub(super) fn plan() -> impl Strategy<Value = Plan> {
    let interval = || (10_000..=86_400_000_000u64).prop_map(Micros);
    let second = || (1_000_000..=86_400_000_000u64).prop_map(Micros);
    let numbers = (any::<u16>(), any::<u16>(), 1..=u32::MAX, any::<bool>());
    let words = (name(64), name(64), interface());
    let check = (0..9u8, numbers, words, (interval(), interval()), (1..=255u8, 1..=255u8, 0..3u8));
    (
        proptest::collection::vec(check, 0..8),
        (1..=32u8, second(), second()),
        any::<(bool, bool)>(),
        proptest::collection::vec(-253..=253i16, 8),
        any::<(bool, bool, bool)>(),
    )
        .prop_map(|(checks, numbers, words, weights, flags)| Plan { checks, numbers, words, weights, flags })
}

/// Adds what `plan` says to a configuration whose instances are there; the group tracks every check.
pub(super) fn build(c: &mut Config, plan: &Plan) {
    (c.max_children, c.notify_timeout) = (plan.numbers.0, plan.numbers.1);
    c.notify_fifo = if plan.words.0 { c.strings.add("/run/a \" fifo").unwrap() } else { StrId::default() };
    c.hotplug = if plan.words.1 { c.strings.add("keepalived vrrp.x").unwrap() } else { StrId::default() };
    if plan.flags.0 {
        c.startup = Lifecycle { command: c.strings.add("/bin/x y").unwrap(), timeout: plan.numbers.2 };
        c.shutdown.command = c.startup.command;
    }
    let tracks = c.tracks.len() as u16;
    for (n, (kind, numbers, words, (every, timeout), (fall, rise, initial))) in plan.checks.iter().enumerate() {
        let kind = kind_of(c, *kind, *numbers, words);
        let file = matches!(kind, CheckKind::File { .. });
        let name = c.strings.add(&format!("{n}{}", words.0)).unwrap();
        let check = Check {
            name,
            kind,
            every: *every,
            timeout: if file { *every } else { *timeout },
            fall: if file { 1 } else { *fall },
            rise: if file { 1 } else { *rise },
            initial: if file { Initial::Unknown } else { INITIALS[*initial as usize] },
        };
        c.checks.push(check).unwrap();
        let weight = if numbers.3 { 0 } else { plan.weights[n] };
        c.tracks.push(Track { what: Tracked::Check(name), weight, reverse: n % 3 == 0 }).unwrap();
    }
    let tracks = Range { start: tracks, len: plan.checks.len() as u16 };
    let members = c.instances.iter().map(|i| i.name).collect();
    c.members = members;
    let mut hooks = Hooks::default();
    if plan.flags.1 {
        (hooks.any, hooks.fault) = (c.strings.add("/bin/g a").unwrap(), c.strings.add("/bin/f").unwrap());
    }
    let name = c.strings.add("the group").unwrap();
    let members = Range { start: 0, len: c.members.len() as u16 };
    c.groups
        .push(Group { name, members, tracks, hooks, weights: if plan.flags.2 { Weights::Own } else { Weights::All } })
        .unwrap();
}

const INITIALS: [Initial; 3] = [Initial::Unknown, Initial::Up, Initial::Down];

fn kind_of(c: &mut Config, kind: u8, numbers: (u16, u16, u32, bool), words: &(String, String, String)) -> CheckKind {
    let (a, b, large, flag) = numbers;
    let mut add = |s: &str| c.strings.add(s).unwrap();
    let v4 = IpAddr::from([10, 0, (a >> 8) as u8, a as u8 | 1]);
    let v6 = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, b | 1]);
    match kind {
        0 => CheckKind::Script {
            command: add(&format!("/bin/{}", words.1.trim())),
            user: if flag { add("nobody:on") } else { StrId::default() },
        },
        1 => CheckKind::Process {
            name: add(&words.1),
            min: a.min(b),
            max: (flag || a.min(b) == 0).then_some(a.max(b)),
            full_command: flag,
            params: if large % 2 == 0 { add(&words.0) } else { StrId::default() },
            delay: Micros((large % 3) as u64 * 1_000_000),
            connector: large % 5 == 0,
        },
        2 => CheckKind::File { path: add(&format!("/{}", words.1)) },
        3 => CheckKind::Interface { interface: add(&words.2) },
        4 => {
            let length = if flag { (a % 33) as u8 } else { (a % 129) as u8 };
            let prefix = match flag {
                true => IpAddr::V4((u32::MAX.checked_shl(32 - length as u32).unwrap_or(0) & large).into()),
                false => {
                    let bits = (large as u128) << 96 | 0x1234_5678;
                    IpAddr::V6((u128::MAX.checked_shl(128 - length as u32).unwrap_or(0) & bits).into())
                }
            };
            CheckKind::Route { prefix, length, via: (b % 2 == 0).then_some(v6), table: large }
        }
        5 => CheckKind::Ping { target: v4, from: if flag { Origin::Interface(add(&words.2)) } else { Origin::Any } },
        6 => {
            let own = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 1, a | 1]);
            CheckKind::Tcp { target: v6, port: b.max(1), from: if flag { Origin::Address(own) } else { Origin::Any } }
        }
        7 => CheckKind::Http {
            url: add("http://[::1]:8080/on?x=\"y\""),
            status: flag.then_some(100 + a % 500),
            contains: if large % 2 == 0 { add(&words.0) } else { StrId::default() },
        },
        _ => CheckKind::Dns {
            server: v4,
            port: b.max(1),
            name: add(if flag { "track" } else { "example.org." }),
            record: RECORD_TYPES[a as usize % RECORD_TYPES.len()].1,
        },
    }
}
