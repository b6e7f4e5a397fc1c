//! OpenWrt's logical networks (`lan`, `wan`) and the devices that they are of.

use embedded_io::Read;
use heapless::{String, Vec};

use crate::config::diagnostics::Pos;
use crate::config::model::MAX_IFNAME;
use crate::config::uci::{Event, Item, Mode, Parser, Reason};

/// Networks that are kept; more than that, and those behind are not known.
const MAX_NETWORKS: usize = 64;
/// The longest name of one.
const MAX_NAME: usize = 32;
/// Networks that are another's alias, one behind the other.
const MAX_ALIASES: usize = 4;

/// Protocols whose device is called `PROTOCOL-NETWORK`, whatever device they run over.
static TUNNELS: [(&str, &str); 8] = [
    ("pppoe", "pppoe-"),
    ("pptp", "pptp-"),
    ("l2tp", "l2tp-"),
    ("pppoa", "pppoa-"),
    ("3g", "3g-"),
    ("6in4", "6in4-"),
    ("6to4", "6to4-"),
    ("6rd", "6rd-"),
];
/// Protocols whose device is called as the network.
static OF_ITS_NAME: [&str; 2] = ["wireguard", "openvpn"];

#[derive(Default)]
struct Network {
    name: String<MAX_NAME>,
    /// `device`.
    device: String<MAX_NAME>,
    /// The first word of `ifname`.
    ifname: String<MAX_NAME>,
    proto: String<MAX_NAME>,
    bridge: bool,
}

/// The networks of `/etc/config/network`; none of them is known unless it is read.
#[derive(Default)]
pub struct Networks {
    list: Vec<Network, MAX_NETWORKS>,
    path: String<128>,
    wrong: Option<(Pos, Reason)>,
}

/// What fits of `text`; nothing of what does not.
fn kept<const N: usize>(text: &str) -> String<N> {
    String::try_from(text).unwrap_or_default()
}

impl Networks {
    /// None.
    pub fn new() -> Networks {
        Networks::default()
    }

    /// Reads a file that is called `path` for people. Lines that are wrong are skipped; the first is
    /// told to whoever needs a network. The error is that of reading.
    pub fn read<R: Read>(&mut self, path: &str, input: &mut R) -> Result<(), R::Error> {
        self.path = kept(path);
        let mut parser = Parser::new(input, Mode::Lenient);
        let mut open = None;
        while let Some(Item { at, event, .. }) = parser.next_item()? {
            match event {
                Event::Bad(reason) if !reason.is_warning() => {
                    self.wrong.get_or_insert((at, reason));
                }
                Event::Section { kind, name } => {
                    open = name.filter(|_| kind == "interface").and_then(|n| self.begin(n))
                }
                Event::Option { name, value } if !value.is_empty() => {
                    let value = core::str::from_utf8(value).unwrap_or("");
                    if let Some(network) = open.and_then(|i: usize| self.list.get_mut(i)) {
                        network.set(name, value);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The number of the network called `name`, there already or new.
    fn begin(&mut self, name: &str) -> Option<usize> {
        let there = self.list.iter().position(|n| n.name == name);
        there.or_else(|| {
            let network = Network { name: String::try_from(name).ok()?, ..Network::default() };
            self.list.push(network).ok().map(|()| self.list.len() - 1)
        })
    }

    /// The file, for people.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The first line that is wrong.
    pub(super) fn wrong(&self) -> Option<(Pos, Reason)> {
        self.wrong
    }

    /// Whether there is a network called `name`.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.list.iter().any(|n| n.name == name)
    }

    /// Puts the device of the network called `name` into `out`; false if it has none.
    pub(super) fn device(&self, name: &str, out: &mut String<{ MAX_IFNAME + 1 }>) -> bool {
        let mut name = name;
        for _ in 0..MAX_ALIASES {
            let Some(network) = self.list.iter().find(|n| n.name == name) else { return false };
            let mut put = |pieces: [&str; 2]| {
                out.clear();
                for c in pieces.iter().flat_map(|p| p.chars()) {
                    // What is cut is one byte too long still, and refused for it.
                    let _ = out.push(c);
                }
                true
            };
            let proto = network.proto.as_str();
            if let Some((_, prefix)) = TUNNELS.iter().find(|(tunnel, _)| *tunnel == proto) {
                return put([prefix, &network.name]);
            }
            let device = match network {
                Network { device, .. } if !device.is_empty() => device,
                Network { bridge: true, .. } => return put(["br-", &network.name]),
                Network { ifname, .. } if !ifname.is_empty() => ifname,
                _ if OF_ITS_NAME.contains(&proto) => return put([&network.name, ""]),
                _ => return false,
            };
            match device.strip_prefix('@') {
                Some(alias) => name = alias,
                None => return put([device, ""]),
            }
        }
        false
    }
}

impl Network {
    fn set(&mut self, option: &str, value: &str) {
        match option {
            "device" => self.device = kept(value),
            "ifname" => self.ifname = kept(value.split_ascii_whitespace().next().unwrap_or("")),
            "proto" => self.proto = kept(value),
            "type" => self.bridge = value == "bridge",
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let text = "config interface loopback\n option device lo\n\
            config interface 'lan'\n option type bridge\n option ifname 'eth0.1 eth1'\n\
            config interface guest\n option type bridge\n option device br-guest\n\
            config interface old\n option ifname 'eth2 eth3'\n\
            config interface wan\n option device eth1\n option proto pppoe\n\
            config interface wan6\n option device @wan\n\
            config interface vpn\n option proto wireguard\n\
            config interface none\n option proto dhcp\n\
            config interface loop\n option device @loop\n\
            config interface lost\n option device @nowhere\n\
            config interface farfarfaraway\n option proto pppoe\n\
            config device\n option name br-lan\n option device eth9\n\
            config interface old\n option ifname eth4\n\
            nonsense\n";
        let mut networks = Networks::new();
        networks.read("network", &mut text.as_bytes()).unwrap();
        assert_eq!(networks.wrong().map(|(at, _)| at.line), Some(31));
        for (name, device) in [
            ("loopback", Some("lo")),
            ("lan", Some("br-lan")),
            ("guest", Some("br-guest")),
            ("old", Some("eth4")),
            ("wan", Some("pppoe-wan")),
            ("wan6", Some("pppoe-wan")),
            ("vpn", Some("vpn")),
            ("none", None),
            ("loop", None),
            ("lost", None),
            ("br-lan", None),
            // Too long for an interface, and refused for it.
            ("farfarfaraway", Some("pppoe-farfarfara")),
        ] {
            let mut out = String::new();
            assert_eq!(networks.device(name, &mut out).then_some(out.as_str()), device, "{name}");
        }
    }
}
