//! One keepalived.conf, two pairs of routers: keepalived runs it in one, picovrrp in the other. Both
//! send the same adverts to the byte, have the same addresses and routes and call the same commands,
//! at the start, at a failover and at the return.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::support::process::Process;
use crate::support::script::{lines, replace, script};
use crate::support::{Lab, Node, Picovrrp, SOON, VIP4, VIP6, keepalived, ms, observe};

/// What makes router a lose, and lets it win again.
#[derive(Clone, Copy)]
enum Blow {
    /// Its cable is pulled and put back.
    Cable,
    /// Its cable is out for a moment, which counts for nothing; then as above.
    Flap,
    /// Its cable is pulled and put back, and it goes on as if nothing were.
    Unnoticed,
    /// Its other interface, `wan`, loses its carrier and gets it back.
    Wan,
    /// The file in its directory called `trigger` gets this text, and then `0`.
    Trigger(&'static str),
}

/// A configuration. `%PRIORITY` is 150 on a and 100 on b, `%OWN` and `%PEER` are the routers' IPv4
/// addresses, `%DIR` is the router's directory.
struct Case {
    text: &'static str,
    vip: IpAddr,
    blow: Blow,
    /// Whether a takes over again.
    returns: bool,
    /// In place of 150.
    priority: &'static str,
}

/// What a loss of the link lasts before it counts, in the configurations that say so (1.5 s); keepalived
/// counts from a clock of its own that may be a little behind.
const DELAY: Duration = ms(1450);

const PLAIN: Case = Case { text: "", vip: VIP4, blow: Blow::Cable, returns: true, priority: "150" };

/// One of the daemons; it ends on drop.
enum Daemon {
    Ours(Picovrrp),
    Theirs(Process),
}

impl Daemon {
    fn log(&self) -> String {
        match self {
            Daemon::Ours(p) => p.process.log(),
            Daemon::Theirs(p) => p.log(),
        }
    }
}

fn theirs(node: &Node, text: &str) -> Daemon {
    Daemon::Theirs(keepalived::start_text(node, text))
}

fn ours(node: &Node, text: &str) -> Daemon {
    Daemon::Ours(Picovrrp::start_keepalived(node, text))
}

/// The file for a node.
fn file(case: &Case, node: &Node, peer: &Node, priority: &str) -> String {
    let text = case.text.replace("%PRIORITY", priority).replace("%OWN", &node.ip4().to_string());
    text.replace("%PEER", &peer.ip4().to_string()).replace("%DIR", &node.dir().to_string_lossy())
}

/// What the commands of a node were told.
fn told(node: &Node) -> Vec<String> {
    lines(&node.dir().join("told"))
}

/// Waits until the last thing a node's commands were told is its `state`.
#[track_caller]
fn wait_told(node: &Node, state: &str, daemon: &Daemon) {
    let word = format!(" {state} ");
    let deadline = Instant::now() + SOON;
    while !told(node).last().is_some_and(|l| l.contains(&word)) {
        assert!(
            Instant::now() < deadline,
            "{} was not told {state} but {:?}; its log:\n{}",
            node.name(),
            told(node),
            daemon.log()
        );
        observe(ms(20));
    }
}

/// The VRRP message and the header's part that a receiver looks at, in hexadecimal.
fn bytes(frame: &[u8]) -> String {
    let body = &frame[14..];
    let v4 = body[0] >> 4 == 4;
    let (header, ttl) = if v4 { (usize::from(body[0] & 0x0f) * 4, body[8]) } else { (40, body[7]) };
    let end = if v4 { usize::from(u16::from_be_bytes([body[2], body[3]])) } else { body.len() };
    body[header..end].iter().fold(format!("ttl {ttl}: "), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

/// What is to be seen once `holder` has the address: its adverts, and both routers' addresses.
fn scene(story: &mut Vec<String>, what: &str, lab: &Lab, holder: &Node, nodes: [&Node; 2], instances: usize) {
    let since = Instant::now();
    let claims = lab.wire().wait_many("its adverts", 2 * instances, since, SOON, |s| s.is_claim_of(holder.name()));
    let adverts: BTreeSet<String> = claims
        .iter()
        .map(|s| {
            let advert = s.advert().expect("it was picked as one");
            format!("{} > {} {}", advert.source, advert.destination, bytes(&s.frame))
        })
        .collect();
    story.push(format!("{what}: {} says {adverts:#?}", holder.name()));
    for node in nodes {
        let addresses: BTreeSet<IpAddr> = node.addresses().into_iter().collect();
        story.push(format!("{what}: {} has {addresses:?}", node.name()));
        story.push(format!("{what}: {} routes {:#?}", node.name(), routes(node)));
    }
}

/// The routes of all tables but `local`, in the words of `ip route`. Nothing is left out but whether
/// the cable is in: even the protocol number is keepalived's, so that its users' filters go on.
fn routes(node: &Node) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for family in ["-4", "-6"] {
        let text = node.ns().ip(&format!("-details {family} route show table all"));
        for line in text.lines().filter(|l| !l.contains(" table local ")) {
            let words = line.split_whitespace().filter(|w| !matches!(*w, "linkdown" | "dead"));
            found.insert(format!("{family} {}", words.collect::<Vec<_>>().join(" ")));
        }
    }
    found
}

/// Everything that a pair of routers showed.
fn story(case: &Case, start: fn(&Node, &str) -> Daemon) -> Vec<String> {
    let (lab, a, b, _client) = Lab::trio();
    let nodes = [&a, &b];
    for node in nodes {
        let dir = node.dir();
        script(&dir, "note", &format!("echo \"$@\" >> {}/told", dir.display()));
        script(&dir, "other", &format!("echo \"$@\" >> {}/told-otherwise", dir.display()));
        script(&dir, "look", &format!("test \"$(cat {}/trigger)\" = 0", dir.display()));
        replace(&dir.join("trigger"), "0\n");
        node.ns().ip("link add wan type veth peer name naw");
        node.ns().ip("link set naw addrgenmode none up");
        node.ns().ip("link set wan addrgenmode none up");
    }
    let instances = case.text.matches("vrrp_instance").count();
    let mut story = Vec::new();
    let one = start(&a, &file(case, &a, &b, case.priority));
    wait_told(&a, "MASTER", &one);
    a.wait_has(case.vip, SOON);
    let two = start(&b, &file(case, &b, &a, "100"));
    wait_told(&b, "BACKUP", &two);
    scene(&mut story, "start", &lab, &a, nodes, instances);
    if let Blow::Flap = case.blow {
        a.pull_cable();
        observe(ms(300));
        a.plug_cable();
        // Longer than any delay of the configuration.
        observe(ms(2500));
        scene(&mut story, "flap", &lab, &a, nodes, instances);
    }
    let blow = Instant::now();
    match case.blow {
        Blow::Cable | Blow::Flap | Blow::Unnoticed => a.pull_cable(),
        Blow::Wan => drop(a.ns().ip("link set naw down")),
        Blow::Trigger(text) => replace(&a.dir().join("trigger"), &format!("{text}\n")),
    }
    if let Blow::Flap = case.blow {
        wait_told(&a, "FAULT", &one);
        assert!(blow.elapsed() > DELAY, "the loss counts after {:?}: {}", blow.elapsed(), one.log());
    }
    wait_told(&b, "MASTER", &two);
    if let Blow::Wan = case.blow {
        assert!(blow.elapsed() > DELAY, "the loss counts after {:?}: {}", blow.elapsed(), one.log());
    }
    b.wait_has(case.vip, SOON);
    if let Blow::Unnoticed = case.blow {
        assert!(a.has(case.vip), "a goes on as if nothing were");
    } else {
        a.wait_lacks(case.vip, SOON);
    }
    scene(&mut story, "failover", &lab, &b, nodes, instances);
    match case.blow {
        Blow::Cable | Blow::Flap | Blow::Unnoticed => a.plug_cable(),
        Blow::Wan => drop(a.ns().ip("link set naw up")),
        Blow::Trigger(_) => replace(&a.dir().join("trigger"), "0\n"),
    }
    if case.returns {
        wait_told(&a, "MASTER", &one);
        a.wait_has(case.vip, SOON);
        wait_told(&b, "BACKUP", &two);
        b.wait_lacks(case.vip, SOON);
        scene(&mut story, "return", &lab, &a, nodes, instances);
    } else {
        wait_told(&a, "BACKUP", &one);
        scene(&mut story, "return", &lab, &b, nodes, instances);
    }
    for node in nodes {
        story.push(format!("{} was told {:#?}", node.name(), sorted_by_name(told(node), case)));
        let otherwise = lines(&node.dir().join("told-otherwise"));
        story.push(format!("{} was told otherwise {otherwise:#?}", node.name()));
    }
    story
}

/// Instances that change together are told in any order; each one's own order counts.
fn sorted_by_name(mut told: Vec<String>, case: &Case) -> Vec<String> {
    if case.priority == "255" {
        // From Fault an owner becomes Active at once (RFC 9568 §6.4.1); keepalived says BACKUP in between.
        told.retain(|line| !line.ends_with("BACKUP 255"));
    }
    told.sort_by_key(|line| line.split(' ').find(|w| w.starts_with("VI") || w.starts_with("VG")).map(str::to_owned));
    told
}

fn same_story(case: &Case) {
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| story(case, theirs));
        let ours = story(case, ours);
        (theirs.join().expect("keepalived's part of the test ends well"), ours)
    });
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(ours, theirs, "left is picovrrp, right is keepalived");
    }
}

macro_rules! cases {
    ($($name:ident: $case:expr;)*) => { $(
        #[test]
        fn $name() {
            same_story(&$case);
        }
    )* };
}

cases! {
    version_2: Case {
        text: "global_defs {\nscript_user root\n}\nvrrp_instance VI {\nstate BACKUP\ninterface eth0\nvirtual_router_id 51\n\
               priority %PRIORITY\nadvert_int 1\nvirtual_ipaddress { 192.0.2.254/24 }\nnotify \"%DIR/note one 'two' \\\"three\\\"\"\n}\n",
        ..PLAIN
    };
    version_2_with_a_password_that_is_too_long: Case {
        text: "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               authentication {\nauth_type PASS\nauth_pass far-too-long\n}\n\
               virtual_ipaddress {\n192.0.2.254/24 dev eth0\n}\nnotify %DIR/note\n}\n",
        ..PLAIN
    };
    version_3: Case {
        text: "global_defs {\nvrrp_version 3\n}\nvrrp_instance VI {\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               advert_int 0.2\nvirtual_ipaddress { 192.0.2.254/24 }\nnotify %DIR/note\nnotify_master \"%DIR/other up\"\n\
               notify_backup '%DIR/other down'\nnotify_fault %DIR/other\n}\n",
        ..PLAIN
    };
    version_3_with_global_defs_behind: Case {
        text: "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\nadvert_int 0.255\n\
               virtual_ipaddress { 192.0.2.254/24 }\nnotify %DIR/note\n}\nglobal_defs {\nvrrp_version 3\nvrrp_mcast_group4 224.0.0.81\n}\n",
        ..PLAIN
    };
    ipv6: Case {
        text: "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\nadvert_int 0.2\n\
               virtual_ipaddress {\nfe80::254/64\n2001:db8::254/64\n}\nnotify %DIR/note\n}\n",
        vip: VIP6,
        ..PLAIN
    };
    unicast_version_2: Case {
        text: "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\nunicast_src_ip %OWN\n\
               unicast_peer {\n%PEER\n}\nvirtual_ipaddress { 192.0.2.254/24 }\nnotify %DIR/note\n}\n",
        ..PLAIN
    };
    unicast_version_3: Case {
        text: "vrrp_instance VI {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               unicast_src_ip %OWN\nunicast_peer {\n%PEER min_ttl 255\n}\nvirtual_ipaddress { 192.0.2.254/24 }\nnotify %DIR/note\n}\n",
        ..PLAIN
    };
    nopreempt: Case {
        text: "vrrp_instance VI {\nstate BACKUP\nnopreempt\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\n\
               priority %PRIORITY\nvirtual_ipaddress { 192.0.2.254/24 }\nnotify %DIR/note\n}\n",
        returns: false,
        ..PLAIN
    };
    preempt_delay: Case {
        text: "vrrp_instance VI {\nstate BACKUP\npreempt_delay 2\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\n\
               priority %PRIORITY\nvirtual_ipaddress { 192.0.2.254/24 }\nnotify %DIR/note\n}\n",
        ..PLAIN
    };
    address_owner: Case {
        text: "vrrp_instance VI {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\n\
               priority %PRIORITY\nvirtual_ipaddress { 192.0.2.254/24 }\nnotify %DIR/note\n}\n",
        priority: "255",
        ..PLAIN
    };
    excluded_addresses: Case {
        text: "vrrp_instance VI {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               virtual_ipaddress {\n192.0.2.254/24\n192.0.2.253/24\n}\n\
               virtual_ipaddress_excluded {\n192.0.2.252\n198.51.100.1/24\n}\nnotify %DIR/note\n}\n",
        ..PLAIN
    };
    more_than_twenty_addresses: Case {
        text: "vrrp_instance VI {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               virtual_ipaddress {\n192.0.2.254/24\n10.0.0.1\n10.0.0.2\n10.0.0.3\n10.0.0.4\n10.0.0.5\n10.0.0.6\n10.0.0.7\n10.0.0.8\n\
               10.0.0.9\n10.0.0.10\n10.0.0.11\n10.0.0.12\n10.0.0.13\n10.0.0.14\n10.0.0.15\n10.0.0.16\n10.0.0.17\n10.0.0.18\n\
               10.0.0.19\n10.0.0.20\n10.0.0.21\n}\nnotify %DIR/note\n}\n",
        ..PLAIN
    };
    routes_and_what_is_static: Case {
        text: "static_ipaddress {\n198.51.100.9/24 dev eth0\n2001:db8:51::9/64 dev eth0\n}\n\
               static_routes {\n198.18.0.0/15 via 192.0.2.200 dev eth0 table 200 metric 5\n\
               2001:db8:18::/48 via 2001:db8::200 dev eth0\n}\n\
               vrrp_instance VI {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               virtual_ipaddress { 192.0.2.254/24 }\nvirtual_ipaddress_excluded {\n10.1.0.1/24\n}\n\
               virtual_routes {\ndefault via 192.0.2.9\n\
               10.8.0.0/16 via 192.0.2.9 dev eth0 src 192.0.2.254 metric 20\n\
               src 10.1.0.1 to 10.9.0.0/16 via 10.1.0.9\n\
               10.10.0.0/16 dev eth0 scope link table 100\n\
               blackhole 10.11.0.0/16\nblackhole 10.12.0.0/16 table 100\n\
               10.13.0.0/16 via 203.0.113.9 dev eth0 onlink\n}\nnotify %DIR/note\n}\n",
        ..PLAIN
    };
    routes_of_ipv6: Case {
        text: "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\nadvert_int 0.2\n\
               virtual_ipaddress {\nfe80::254/64\n2001:db8::254/64\n}\n\
               virtual_routes {\ndefault via fe80::9 dev eth0\n2001:db8:8::/48 via 2001:db8::9 metric 7 table 100\n\
               2001:db8:9::/48 via 2001:db8::9 src 2001:db8::254\n2001:db8:10::/48 dev eth0\n\
               blackhole 2001:db8:11::/48\n}\nnotify %DIR/note\n}\n",
        vip: VIP6,
        ..PLAIN
    };
    sync_group: Case {
        text: "vrrp_sync_group VG {\ngroup {\nVI_1\nVI_2\n}\nnotify %DIR/note\n}\n\
               vrrp_instance VI_1 {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               virtual_ipaddress { 192.0.2.254/24 }\n}\n\
               vrrp_instance VI_2 {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 52\npriority %PRIORITY\n\
               virtual_ipaddress { 192.0.2.253/24 }\n}\n",
        ..PLAIN
    };
    tracked_interface_with_a_weight_and_a_delay: Case {
        text: "interface_up_down_delays {\nwan 1.5 1\n}\n\
               vrrp_instance VI {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               virtual_ipaddress { 192.0.2.254/24 }\ntrack_interface {\nwan weight -100\n}\nnotify %DIR/note\n}\n",
        blow: Blow::Wan,
        ..PLAIN
    };
    tracked_interface_that_faults: Case {
        text: "interface_up_down_delays {\nwan 1.5\n}\n\
               vrrp_instance VI {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               virtual_ipaddress { 192.0.2.254/24 }\ntrack_interface {\nwan\n}\nnotify %DIR/note\n}\n",
        blow: Blow::Wan,
        ..PLAIN
    };
    delays_of_its_own_interface: Case {
        text: "vrrp_instance VI {\nversion 3\nadvert_int 1\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               virtual_ipaddress { 192.0.2.254/24 }\nnotify %DIR/note\n}\ninterface_up_down_delays { eth0 1.5 0.5 }\n",
        blow: Blow::Flap,
        ..PLAIN
    };
    dont_track_primary: Case {
        text: "vrrp_instance VI {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               dont_track_primary\nvirtual_ipaddress { 192.0.2.254/24 }\nnotify %DIR/note\n}\n",
        blow: Blow::Unnoticed,
        ..PLAIN
    };
    file_with_a_weight: Case {
        text: "track_file trigger {\nfile %DIR/trigger\n}\n\
               vrrp_instance VI {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               virtual_ipaddress { 192.0.2.254/24 }\ntrack_file { trigger }\nnotify %DIR/note\n}\n",
        blow: Blow::Trigger("-100"),
        ..PLAIN
    };
    file_that_faults: Case {
        text: "vrrp_track_file trigger {\nfile %DIR/trigger\nweight 0\n}\n\
               vrrp_instance VI {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               virtual_ipaddress { 192.0.2.254/24 }\ntrack_file {\ntrigger\n}\nnotify %DIR/note\n}\n",
        blow: Blow::Trigger("1"),
        ..PLAIN
    };
    script_with_a_weight: Case {
        text: "vrrp_script look {\nscript %DIR/look\ninterval 1\nfall 2\nrise 2\nweight -100\n}\n\
               vrrp_instance VI {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               virtual_ipaddress { 192.0.2.254/24 }\ntrack_script { look }\nnotify %DIR/note\n}\n",
        blow: Blow::Trigger("1"),
        ..PLAIN
    };
    script_that_faults: Case {
        text: "vrrp_script look {\nscript \"%DIR/look\"\n}\n\
               vrrp_instance VI {\nversion 3\nadvert_int 0.2\ninterface eth0\nvirtual_router_id 51\npriority %PRIORITY\n\
               virtual_ipaddress { 192.0.2.254/24 }\ntrack_script {\nlook\n}\nnotify %DIR/note\n}\n",
        blow: Blow::Trigger("1"),
        ..PLAIN
    };
}
