//! What a board's `network` file says: its interfaces, which of them lead out, its own addresses.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use picovrrp::config::uci::{Event, Item, Mode, Parser};

struct Section {
    kind: String,
    name: String,
    options: Vec<(String, String)>,
}

impl Section {
    fn all<'s>(&'s self, option: &'s str) -> impl Iterator<Item = &'s str> {
        self.options.iter().filter(move |(name, _)| name == option).map(|(_, value)| value.as_str())
    }

    fn get<'s>(&'s self, option: &'s str) -> &'s str {
        self.all(option).next().unwrap_or("")
    }
}

/// A board's network.
#[derive(Default)]
pub(crate) struct Network {
    /// Every interface that there is.
    pub(crate) interfaces: BTreeSet<String>,
    /// Those that lead to a provider.
    pub(crate) uplinks: BTreeSet<String>,
    /// The ports of br-lan, with blanks between them.
    pub(crate) lan: String,
    /// The device of the network `wan`.
    pub(crate) wan: String,
    /// VLANs of the switch or the bridge.
    pub(crate) vlans: BTreeSet<String>,
    /// The router's own addresses, without lengths.
    pub(crate) own: BTreeSet<String>,
}

impl Network {
    pub(crate) fn read(path: &Path) -> Network {
        let text = fs::read(path).expect("a network file");
        let mut network = Network::default();
        for s in sections(&text) {
            match s.kind.as_str() {
                "device" => {
                    network.interfaces.extend([s.get("name")].into_iter().chain(s.all("ports")).map(String::from));
                    if s.get("name") == "br-lan" {
                        network.lan = s.all("ports").collect::<Vec<_>>().join(" ");
                    }
                }
                "interface" => network.add(&s),
                "switch_vlan" | "bridge-vlan" => {
                    network.vlans.insert(s.get("vlan").into());
                }
                _ => {}
            }
        }
        network
    }

    fn add(&mut self, s: &Section) {
        let (device, proto) = (s.get("device"), s.get("proto"));
        self.interfaces.insert(device.into());
        let tunnel = format!("{proto}-{}", s.name);
        let leads = if proto == "pppoe" { tunnel.as_str() } else { device };
        self.interfaces.insert(leads.into());
        if s.name == "wan" {
            self.wan = device.into();
        }
        if s.name == "wan" || proto != "static" {
            self.uplinks.insert(leads.into());
        }
        let own = s.all("ipaddr").chain(s.all("ip6addr"));
        self.own.extend(own.map(|a| a.split('/').next().unwrap_or(a).into()));
    }
}

fn sections(mut text: &[u8]) -> Vec<Section> {
    let mut all: Vec<Section> = Vec::new();
    let mut parser = Parser::new(&mut text, Mode::Strict);
    while let Some(Item { at, event, .. }) = parser.next_item().expect("memory can be read") {
        match event {
            Event::Section { kind, name } => {
                let name = name.unwrap_or("").into();
                all.push(Section { kind: kind.into(), name, options: Vec::new() });
            }
            Event::Option { name, value } | Event::List { name, value } => {
                let value = String::from_utf8(value.into()).expect("text");
                all.last_mut().expect("a section").options.push((name.into(), value));
            }
            Event::Package { .. } => {}
            Event::Bad(reason) => panic!("line {}: {}", at.line, reason.text()),
        }
    }
    all
}
