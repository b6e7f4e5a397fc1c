//! What is wrong with a board.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use picovrrp::config::diagnostics::Diagnostics;
use picovrrp::config::line;
use picovrrp::config::model::{
    CheckKind, Condition, Config, Family, Group, Initial, Instance, Origin, Track, Tracked, Weights,
};
use picovrrp::vrrp::timing::Micros;

use crate::network::Network;
use crate::{Row, picovrrp};

/// A check that looks more often than this is not for these boards.
const OFTEN: Micros = Micros::from_secs(2);

/// Everything that is wrong with the board in `dir`, which the table describes as `row`.
pub(crate) fn complaints(dir: &Path, row: &Row) -> Vec<String> {
    let mut found = Vec::new();
    let network = Network::read(&dir.join("network"));
    table(&network, row, &mut found);
    comments(dir, row, &mut found);
    let [a, b] = ["a", "b"].map(|name| configuration(dir, name, &mut found));
    if let (Some(a), Some(b)) = (a, b) {
        for config in [&a, &b] {
            interfaces(config, &network, &mut found);
        }
        own_addresses(&a, &network, &mut found);
        pair(&a, &b, &mut found);
        if a.groups.len() == b.groups.len() {
            gateways(&a, &b, &network, &mut found);
        }
    }
    found.into_iter().map(|what| format!("{}: {what}", row.dir)).collect()
}

/// The table against the board's network and the targets that are built.
fn table(network: &Network, row: &Row, found: &mut Vec<String>) {
    if network.lan != row.lan {
        found.push(format!("br-lan has the ports {}, by the table {}", network.lan, row.lan));
    }
    if network.wan != row.wan {
        found.push(format!("its WAN is {}, by the table {}", network.wan, row.wan));
    }
    let targets = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("targets")).expect("targets");
    let mut texts = targets.map(|t| fs::read_to_string(t.expect("an entry").path()).expect("text"));
    let package = format!("\"{}\"", row.package);
    if !texts.any(|t| t.lines().any(|l| l.starts_with("openwrt") && l.contains(&package))) {
        found.push(format!("no file of targets/ makes {}", row.package));
    }
    for interface in network.interfaces.iter().chain([&network.lan, &network.wan]) {
        if let Some((_, vlan)) = interface.rsplit_once('.')
            && !network.vlans.contains(vlan)
        {
            found.push(format!("{interface}: there is no VLAN {vlan} in the switch or the bridge"));
        }
    }
}

/// What the head of each file tells its owner.
fn comments(dir: &Path, row: &Row, found: &mut Vec<String>) {
    for file in ["a.conf", "a.uci", "b.conf", "b.uci"] {
        let text = fs::read_to_string(dir.join(file)).expect("a configuration");
        let first = text.lines().next().unwrap_or("");
        let (begin, end) = (format!("# {} ({}: ", row.title, row.target), format!("router {} of a pair.", &file[..1]));
        if !first.starts_with(&begin) || !first.to_lowercase().ends_with(&end) {
            found.push(format!("{file} does not begin with '{begin}… {end}'"));
        }
        let says = [
            format!("Package: {}.", row.package),
            format!("LAN: br-lan ({}). WAN: {}.", row.lan, row.wan),
            "Change:".into(),
        ];
        for say in says.iter().filter(|say| !text.contains(say.as_str())) {
            found.push(format!("{file} does not say '{say}'"));
        }
    }
}

/// Reads both forms of a router's configuration by the real binary, and holds them to each other and to
/// their canonical print.
fn configuration(dir: &Path, name: &str, found: &mut Vec<String>) -> Option<Box<Config>> {
    let [conf, uci] = ["conf", "uci"].map(|end| dir.join(name).with_extension(end));
    let network = dir.join("network");
    let [file, uci, network] = [&conf, &uci, &network].map(|p| p.to_str().expect("text"));
    let by_line = run(&["check", "--explain", "-f", file], &format!("{name}.conf"), found)?;
    let by_uci = run(&["check", "--explain", "--uci", uci, "--network", network], &format!("{name}.uci"), found)?;
    let printed = run(&["check", "--print", "-f", file], &format!("{name}.conf"), found)?;
    let imported =
        run(&["import", "uci", "--strict", "--network", network, uci], &format!("{name}.uci imported"), found)?;
    if by_line != by_uci || printed != imported {
        found.push(format!("{name}.conf and {name}.uci differ: {}", difference(&printed, &imported)));
    }
    if !by_line.contains("its priority is") || !by_line.contains("IPv6") {
        found.push(format!("{name}.conf: no uplink or no IPv6 is explained"));
    }
    let config = parse(&fs::read(&conf).expect("a configuration"), found)?;
    let again = parse(printed.as_bytes(), found)?;
    if print(&again) != printed || print(&config) != printed {
        found.push(format!("{name}.conf is another one after it was printed"));
    }
    Some(config)
}

/// What the binary writes; it is to succeed, and to say nothing but which networks are which devices.
fn run(arguments: &[&str], what: &str, found: &mut Vec<String>) -> Option<String> {
    let out = picovrrp(arguments);
    let said = String::from_utf8_lossy(&out.stderr);
    if !out.status.success() {
        found.push(format!("{what}: {} fails: {said}", arguments[0]));
        return None;
    }
    let is_note = |line: &&str| line.contains(" is a network of ") && line.contains(": taken as its device ");
    for line in said.lines().filter(|line| !is_note(line)) {
        found.push(format!("{what}: {} says: {line}", arguments[0]));
    }
    Some(String::from_utf8(out.stdout).expect("text"))
}

fn parse(mut text: &[u8], found: &mut Vec<String>) -> Option<Box<Config>> {
    let (mut config, mut said) = (Box::new(Config::default()), Diagnostics::new());
    line::parse(&mut text, &mut config, &mut said).expect("memory can be read");
    if (said.errors(), said.warnings()) != (0, 0) {
        found.push(format!("{} errors and {} warnings in what was read", said.errors(), said.warnings()));
    }
    (said.errors() == 0).then_some(config)
}

fn print(config: &Config) -> String {
    let mut printed = Vec::new();
    line::print(config, &mut printed).expect("memory can be written");
    String::from_utf8(printed).expect("text")
}

/// The first line that two texts do not share.
fn difference<'t>(x: &'t str, y: &'t str) -> &'t str {
    let lines = x.lines().chain([""]).zip(y.lines().chain([""]));
    lines.filter(|(x, y)| x != y).map(|(x, _)| x.trim()).next().unwrap_or("")
}

/// Every interface that is named is one of the board's.
fn interfaces(config: &Config, network: &Network, found: &mut Vec<String>) {
    let mut named: BTreeSet<&str> = config.instances.iter().map(|i| config.str(i.interface)).collect();
    named.extend(config.addresses.iter().map(|a| config.str(a.dev)));
    named.extend(config.routes.iter().map(|r| config.str(r.dev)));
    for track in &config.tracks {
        if let Tracked::Interface(name) = track.what {
            named.insert(config.str(name));
        }
    }
    named.extend(config.checks.iter().filter_map(|c| leaves_by(config, &c.kind)));
    named.remove("");
    for name in named.into_iter().filter(|name| !network.interfaces.contains(*name)) {
        found.push(format!("{name} is no interface of this board"));
    }
}

/// The interface that a check is bound to.
fn leaves_by<'c>(config: &'c Config, kind: &CheckKind) -> Option<&'c str> {
    match *kind {
        CheckKind::Interface { interface }
        | CheckKind::Ping { from: Origin::Interface(interface), .. }
        | CheckKind::Tcp { from: Origin::Interface(interface), .. } => Some(config.str(interface)),
        _ => None,
    }
}

/// Router A has an address of its own in each shared IPv4 network, and speaks from one that it has.
fn own_addresses(a: &Config, network: &Network, found: &mut Vec<String>) {
    let net = |ip: &str| ip.rsplit_once('.').map(|(net, _)| net.to_owned());
    for i in &a.instances {
        for shared in a.addresses_of(i).iter().map(|x| x.ip) {
            let text = shared.to_string();
            if shared.is_ipv4() && !network.own.iter().any(|own| net(own) == net(&text)) {
                found.push(format!("no address of its own beside {text}"));
            }
            if network.own.contains(&text) {
                found.push(format!("{text} is its own and shared"));
            }
        }
        if let Some(from) = i.unicast.filter(|from| !network.own.contains(&from.to_string())) {
            found.push(format!("{from} is no address of its own"));
        }
    }
}

/// A and B say the same of everything but of who they are and which priority they have.
fn pair(a: &Config, b: &Config, found: &mut Vec<String>) {
    let common = |config: &Config| {
        let text = print(config);
        let lines = text.lines().map(|line| {
            let mut own = false;
            let words = line.trim().split(' ').map(|word| {
                let shown = if own { "…" } else { word };
                own = matches!(word, "router-id" | "priority" | "unicast" | "peer");
                shown
            });
            words.collect::<Vec<_>>().join(" ")
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let (x, y) = (common(a), common(b));
    if x != y {
        found.push(format!("a.conf and b.conf differ: {}", difference(&x, &y)));
    }
    if a.str(a.router_id) == b.str(b.router_id) {
        found.push("both have the same router-id".into());
    }
    for (x, y) in a.instances.iter().zip(&b.instances) {
        let hears = |config: &Config, i: &Instance, ip: Option<IpAddr>| match ip {
            Some(ip) => config.peers_of(i).iter().any(|p| p.ip == ip),
            None => config.peers_of(i).is_empty(),
        };
        if !hears(b, y, x.unicast) {
            found.push(format!("A is no peer of B's in {}", a.str(x.name)));
        }
        if !hears(a, x, y.unicast) {
            found.push(format!("B is no peer of A's in {}", a.str(x.name)));
        }
    }
}

/// The instances of `group`.
fn members<'c>(config: &'c Config, group: &Group) -> Vec<&'c Instance> {
    let at = config.members_of(group).iter().filter_map(|m| config.instance_named(*m));
    at.filter_map(|i| config.instances.get(i)).collect()
}

/// Each group is a gateway of both families that follows the uplink.
fn gateways(a: &Config, b: &Config, network: &Network, found: &mut Vec<String>) {
    let grouped: usize = a.groups.iter().map(|g| members(a, g).len()).sum();
    if a.groups.is_empty() || grouped != a.instances.len() {
        found.push(format!("{} of {} instances are in a group", grouped, a.instances.len()));
    }
    for (n, (g, h)) in a.groups.iter().zip(&b.groups).enumerate() {
        let name = a.str(g.name);
        let (of_a, of_b) = (members(a, g), members(b, h));
        for family in [Family::V4, Family::V6] {
            let on_lan = |i: &&Instance| i.family == family && a.str(i.interface).starts_with("br-lan");
            if !of_a.iter().any(on_lan) {
                found.push(format!("group {name} is no {family:?} gateway of the LAN"));
            }
        }
        let own = of_a.iter().any(|i| !a.tracks_of(i).is_empty());
        if own || g.weights != Weights::Nobody {
            found.push(format!("group {name}: what is tracked is to stand in the group, with 'weights off'"));
        }
        follows(a, g, network, found);
        let (Some(x), Some(y)) = (of_a.first(), of_b.first()) else { continue };
        if n == 0 && x.priority < y.priority {
            found.push(format!("group {name}: B leads in the first group"));
        }
        contest(name, (x.priority, a.tracks_of_group(g)), (y.priority, b.tracks_of_group(h)), found);
    }
}

/// The uplink's interface is tracked, itself or by a check that leaves by it, and a check of a built-in
/// kind looks beyond it, not too often.
fn follows(config: &Config, group: &Group, network: &Network, found: &mut Vec<String>) {
    let name = config.str(group.name);
    let (mut uplink, mut beyond) = (false, false);
    for track in config.tracks_of_group(group) {
        if track.weight == 0 {
            found.push(format!("group {name} may be in FAULT for {}", config.str(track.what.name())));
        }
        let check = match track.what {
            Tracked::Interface(interface) => {
                uplink |= network.uplinks.contains(config.str(interface));
                continue;
            }
            Tracked::Check(check) => config.check_named(check).and_then(|c| config.checks.get(c)),
        };
        let Some(check) = check else { continue };
        uplink |= leaves_by(config, &check.kind).is_some_and(|i| network.uplinks.contains(i));
        beyond |= matches!(check.kind.word(), "ping" | "tcp" | "http" | "dns" | "route");
        if check.every < OFTEN || check.initial != Initial::Down {
            let check_name = config.str(check.name);
            found.push(format!("check {check_name} is looked at every {} us, or up at first", check.every.0));
        }
    }
    if !uplink || !beyond {
        found.push(format!("group {name}: no uplink is tracked, or by no check"));
    }
}

/// Who wins with each combination of failures on both sides. `x` and `y` are the priorities of the group's
/// instances on A and B, with what they track.
fn contest(name: &str, x: (u8, &[Track]), y: (u8, &[Track]), found: &mut Vec<String>) {
    let priority = |(whole, tracks): (u8, &[Track]), down: usize| {
        let lost = tracks
            .iter()
            .enumerate()
            .map(|(n, t)| t.adds(if down & 1 << n != 0 { Condition::Down } else { Condition::Up }));
        (i32::from(whole) + lost.sum::<i32>()).clamp(1, 254)
    };
    let (all_x, all_y) = ((1 << x.1.len()) - 1, (1 << y.1.len()) - 1);
    for (down_x, down_y) in (0..=all_x).flat_map(|i| (0..=all_y).map(move |j| (i, j))) {
        let (p, q) = (priority(x, down_x), priority(y, down_y));
        if p == q {
            found.push(format!("group {name}: both have the priority {p}, with {down_x:b} and {down_y:b} down"));
        }
    }
    let (lead, other) = if x.0 > y.0 { (x, y) } else { (y, x) };
    for n in 0..lead.1.len() {
        if priority(lead, 1 << n) > priority(other, 0) {
            found.push(format!("group {name}: tracker {n} is lost and its loss decides nothing"));
        }
    }
    if priority(lead, (1 << lead.1.len()) - 1) < priority(other, (1 << other.1.len()) - 1) {
        found.push(format!("group {name}: with all lost on both sides the other way round"));
    }
}
