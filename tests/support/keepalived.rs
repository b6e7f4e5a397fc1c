//! keepalived in a router's namespace, with /run and its files to itself.

use std::fs;
use std::net::IpAddr;

use super::lab::Node;
use super::netns::installed;
use super::process::Process;

/// A `vrrp_instance` on eth0 with VRID 51, and what goes around it.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) version: u8,
    pub(crate) priority: u8,
    pub(crate) advert_int: &'static str,
    pub(crate) addresses: Vec<String>,
    /// Lines for `global_defs`.
    pub(crate) global: String,
    /// Further lines of the instance.
    pub(crate) more: String,
}

impl Instance {
    /// The counterpart of `picovrrp::lan`.
    pub(crate) fn lan(version: u8, priority: u8, advert_int: &'static str) -> Self {
        let addresses = vec!["192.0.2.254/24".to_string()];
        Instance { version, priority, advert_int, addresses, global: String::new(), more: String::new() }
    }

    /// The counterpart of `picovrrp::lan6`.
    pub(crate) fn lan6(priority: u8, advert_int: &'static str) -> Self {
        let addresses = vec!["fe80::254/64".to_string(), "2001:db8::254/64".to_string()];
        Instance { version: 3, priority, advert_int, addresses, global: String::new(), more: String::new() }
    }

    /// The same with a line for `global_defs`.
    pub(crate) fn with_global(mut self, line: &str) -> Self {
        self.global += line;
        self.global.push('\n');
        self
    }

    /// The same with further lines in the instance.
    pub(crate) fn with(mut self, lines: &str) -> Self {
        self.more += lines;
        self.more.push('\n');
        self
    }

    fn text(&self) -> String {
        let Instance { version, priority, advert_int, global, more, .. } = self;
        let addresses = self.addresses.join("\n");
        format!(
            "global_defs {{\n{global}}}\n\
             vrrp_instance lan {{\nstate BACKUP\ninterface eth0\nvirtual_router_id 51\nversion {version}\n\
             priority {priority}\nadvert_int {advert_int}\n{more}\
             virtual_ipaddress {{\n{addresses}\n}}\n}}\n"
        )
    }

    /// Whether `vip` is among its addresses, so that a test's mistake shows at once.
    pub(crate) fn carries(&self, vip: IpAddr) -> bool {
        self.addresses.iter().any(|a| a.split('/').next() == Some(&vip.to_string()))
    }
}

/// Starts keepalived on `node`; panics with a sentence where it is not installed.
#[track_caller]
pub(crate) fn start(node: &Node, instance: &Instance) -> Process {
    start_text(node, &instance.text())
}

/// The same with a whole configuration.
#[track_caller]
pub(crate) fn start_text(node: &Node, text: &str) -> Process {
    assert!(installed("keepalived"), "The interop tests need keepalived (Debian package keepalived).");
    let file = node.dir().join("keepalived.conf");
    fs::write(&file, text).expect("the lab's directory can be written to");
    let mut command = node.ns().command("sh");
    // `ip netns exec` gives the shell a mount namespace of its own, so the tmpfs is nobody else's.
    let script = "mount -t tmpfs tmpfs /run && exec keepalived --vrrp --dont-fork --dont-respawn --log-console --log-detail -G \
                  --pid=/run/keepalived.pid --vrrp_pid=/run/vrrp.pid --use-file=\"$0\"";
    command.arg("-c").arg(script).arg(&file);
    let name = format!("keepalived on {}", node.name());
    Process::start(&name, command, node.dir().join("keepalived.log"), node.ns()).gently()
}
