//! FRR's zebra and vrrpd in a router's namespace, with /run to themselves.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::lab::Node;
use super::process::Process;
use super::wait_until;

const DIRECTORY: &str = "/usr/lib/frr";

/// zebra and vrrpd; they end on drop, vrrpd first.
pub(crate) struct Frr {
    pub(crate) vrrpd: Process,
    zebra: Process,
}

/// Which virtual router vrrpd takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Ipv4,
    Ipv6,
}

/// Starts VRID 51, version 3, on eth0.
#[track_caller]
pub(crate) fn start(node: &Node, family: Family, priority: u8, interval_ms: u32) -> Frr {
    start_version(node, 3, family, priority, interval_ms)
}

/// The same in this version. FRR wants a macvlan with the virtual router's MAC that carries the address;
/// it holds the macvlan's protodown while it is Backup.
#[track_caller]
pub(crate) fn start_version(node: &Node, version: u8, family: Family, priority: u8, interval_ms: u32) -> Frr {
    assert!(Path::new(DIRECTORY).join("vrrpd").exists(), "The interop tests need FRR's vrrpd (Debian package frr).");
    let (link, mac, addresses, kind) = match family {
        Family::Ipv4 => ("vrrp4-51", "00:00:5e:00:01:33", vec!["192.0.2.254/24"], "ip 192.0.2.254"),
        Family::Ipv6 => {
            ("vrrp6-51", "00:00:5e:00:02:33", vec!["fe80::254/64", "2001:db8::254/64"], "ipv6 2001:db8::254")
        }
    };
    node.ns().ip(&format!("link add {link} link eth0 type macvlan mode bridge"));
    node.ns().ip(&format!("link set {link} address {mac} addrgenmode none"));
    for address in addresses {
        let nodad = if family == Family::Ipv6 { "nodad" } else { "" };
        node.ns().ip(&format!("addr add {address} dev {link} {nodad}"));
    }
    node.ns().ip(&format!("link set {link} up"));
    let config = format!(
        "interface eth0\n vrrp 51 version {version}\n vrrp 51 priority {priority}\n \
         vrrp 51 advertisement-interval {interval_ms}\n vrrp 51 {kind}\nexit\n"
    );
    fs::write(node.dir().join("vrrpd.conf"), config).expect("the lab's directory can be written to");
    fs::write(node.dir().join("zebra.conf"), "").expect("the lab's directory can be written to");
    // The two must share a /run, so both start from one directory that is bound over it.
    fs::create_dir_all(node.dir().join("frr-run")).expect("a directory for FRR's sockets");
    let zebra = daemon(node, "zebra", "");
    let socket = node.dir().join("frr-run/zserv.api");
    wait_until("zebra opens its socket", Duration::from_secs(10), || socket.exists());
    Frr { vrrpd: daemon(node, "vrrpd", "--log-level debug"), zebra }
}

fn daemon(node: &Node, name: &str, more: &str) -> Process {
    let dir = node.dir();
    let mut command = node.ns().command("sh");
    let script = format!(
        "chown frr:frr \"$0/frr-run\" && mount --bind \"$0/frr-run\" /run && exec {DIRECTORY}/{name} -u frr -g frr -f \"$0/{name}.conf\" -i /run/{name}.pid \
         -z /run/zserv.api --vty_socket /run -P 0 --log stdout {more}"
    );
    command.arg("-c").arg(script).arg(&dir);
    Process::start(&format!("{name} on {}", node.name()), command, dir.join(format!("{name}.log")), node.ns()).gently()
}
