//! The lab: a bridge in a namespace of its own, routers and clients in theirs, each joined to the
//! bridge by a veth pair.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::netns::{Netns, preflight};
use super::packet::Mac;
use super::process::Process;
use super::wire::Wire;
use super::{SOON, socket, wait_for, wait_until};

/// The virtual address of most tests.
pub(crate) const VIP4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254));
/// The virtual global IPv6 address of most tests.
pub(crate) const VIP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x254));
/// The virtual link-local address of most tests.
pub(crate) const VIP6_LINK: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x254));
/// The client's address.
pub(crate) const CLIENT4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
/// The interface that every node has on the bridge.
pub(crate) const LINK: &str = "eth0";

static COUNTER: AtomicU32 = AtomicU32::new(0);

struct Inner {
    id: String,
    wire: Wire,
    switch: Netns,
    dir: PathBuf,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A bridge and what hangs on it.
#[derive(Clone)]
pub(crate) struct Lab {
    inner: Arc<Inner>,
}

/// A host on the bridge: a router or a client.
#[derive(Clone)]
pub(crate) struct Node {
    name: String,
    number: u8,
    ns: Arc<Netns>,
    lab: Lab,
}

impl Lab {
    /// An empty lab; panics with one plain sentence where this machine allows none.
    #[track_caller]
    pub(crate) fn new() -> Self {
        if let Err(sentence) = preflight() {
            panic!("{sentence}");
        }
        let id = format!("pv{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(format!("picovrrp-lab-{id}"));
        fs::create_dir_all(&dir).expect("a directory for the lab's files");
        let switch = Netns::create(format!("{id}-switch"));
        switch.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
        switch.ip("link add br0 type bridge stp_state 0 mcast_snooping 0 forward_delay 0");
        switch.ip("link set br0 up");
        let wire = Wire::listen(&switch);
        Lab { inner: Arc::new(Inner { id, wire, switch, dir }) }
    }

    /// What is on the wire.
    pub(crate) fn wire(&self) -> &Wire {
        &self.inner.wire
    }

    /// The bridge's namespace.
    pub(crate) fn switch(&self) -> &Netns {
        &self.inner.switch
    }

    /// Where the lab keeps its files.
    pub(crate) fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// A node with 192.0.2.NUMBER, fe80::NUMBER and 2001:db8::NUMBER on `eth0`.
    pub(crate) fn node(&self, name: &str, number: u8) -> Node {
        let ns = Netns::create(format!("{}-{name}", self.inner.id));
        for key in ["accept_dad", "accept_ra", "router_solicitations"] {
            ns.sysctl(&format!("net/ipv6/conf/default/{key}"), "0");
        }
        fs::create_dir_all(self.inner.dir.join(name)).expect("a directory for the node's files");
        let node = Node { name: name.into(), number, ns: Arc::new(ns), lab: self.clone() };
        node.create_interface();
        node
    }

    /// Routers a and b and a client, on one bridge.
    pub(crate) fn trio() -> (Lab, Node, Node, Node) {
        let lab = Lab::new();
        let (a, b, client) = (lab.node("a", 1), lab.node("b", 2), lab.node("client", 100));
        (lab, a, b, client)
    }

    /// Drops every frame that passes the bridge between two nodes, both ways, without either of
    /// them losing carrier; other nodes are untouched.
    pub(crate) fn part(&self, one: &Node, other: &Node) {
        let (x, y) = (one.port(), other.port());
        self.filter(&format!("iifname {x} oifname {y} drop; iifname {y} oifname {x} drop;"));
    }

    /// Drops a share of what passes the bridge.
    pub(crate) fn lose(&self, percent: u32) {
        self.filter(&format!("numgen random mod 100 < {percent} drop;"));
    }

    /// Puts nftables rules on what the bridge forwards.
    pub(crate) fn filter(&self, rules: &str) {
        let table = format!("table bridge lab {{\nchain f {{\ntype filter hook forward priority 0; {rules}\n}}\n}}");
        self.switch().nft(&table);
    }

    /// Takes all rules away.
    pub(crate) fn heal(&self) {
        self.switch().nft("");
    }

    /// Waits until one of `routers` alone sends adverts (four in a row) and it alone has `vip`.
    #[track_caller]
    pub(crate) fn wait_sole_active<'n>(&self, routers: &[&'n Node], vip: IpAddr, timeout: Duration) -> &'n Node {
        let start = Instant::now();
        let deadline = start + timeout;
        loop {
            let mut claims: Vec<_> = self.wire().since(start);
            claims.retain(|s| s.advert().is_some_and(|a| a.priority > 0));
            let tail = &claims[claims.len().saturating_sub(4)..];
            if tail.len() == 4 && tail.iter().all(|s| s.from == tail[0].from) {
                let owners: Vec<_> = routers.iter().filter(|r| r.has(vip)).collect();
                if owners.len() == 1 && owners[0].name == tail[0].from {
                    return owners[0];
                }
            }
            if Instant::now() >= deadline {
                let owners: Vec<_> = routers.iter().filter(|r| r.has(vip)).map(|r| r.name.as_str()).collect();
                let tail = self.wire().tail();
                panic!("no sole Active after {timeout:?}; {vip} is on {owners:?}; the wire's last:\n{tail}");
            }
            super::observe(super::ms(20));
        }
    }
}

impl Node {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn ns(&self) -> &Arc<Netns> {
        &self.ns
    }

    /// Notes every change of addresses, links and routes on it from here on.
    pub(crate) fn monitor(&self) -> Process {
        let mut command = self.ns.command("ip");
        command.args(["monitor", "address", "link", "route"]);
        let monitor = Process::start("ip monitor", command, self.dir().join("monitor.log"), &self.ns);
        wait_until("ip monitor listens", SOON, || {
            self.ns.ip("addr add 198.51.100.1/32 dev lo");
            self.ns.ip("addr del 198.51.100.1/32 dev lo");
            monitor.log_lines("198.51.100.1") > 1
        });
        monitor
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The name of the bridge's end of its cable.
    fn port(&self) -> String {
        format!("to-{}", self.name)
    }

    /// Where the node's files are.
    pub(crate) fn dir(&self) -> PathBuf {
        self.lab.inner.dir.join(&self.name)
    }

    /// Its IPv4 address on the bridge.
    pub(crate) fn ip4(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.number)
    }

    /// Its link-local address on the bridge.
    pub(crate) fn link_local(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(self.number))
    }

    /// Plugs a new veth pair into the bridge, with the node's addresses on it.
    pub(crate) fn create_interface(&self) {
        self.create_link(LINK, &self.port());
        let n = self.number;
        self.ns.ip(&format!("addr add {}/24 dev {LINK}", self.ip4()));
        self.ns.ip(&format!("addr add fe80::{n:x}/64 dev {LINK} nodad"));
        self.ns.ip(&format!("addr add 2001:db8::{n:x}/64 dev {LINK} nodad"));
    }

    /// Plugs a veth pair with a chosen name into the bridge, without addresses.
    pub(crate) fn create_link(&self, link: &str, port: &str) {
        let switch = self.lab.switch();
        switch.ip(&format!("link add {port} type veth peer name {link} netns {}", self.ns.name()));
        self.lab.wire().name_port(ifindex(switch, port), &self.name);
        switch.ip(&format!("link set {port} master br0 up"));
        self.ns.ip(&format!("link set {link} addrgenmode none up"));
    }

    /// Deletes the interface, as when a driver goes away.
    pub(crate) fn delete_interface(&self) {
        self.ns.ip(&format!("link del {LINK}"));
    }

    /// The host vanishes: its port leaves the bridge, and nobody loses carrier.
    pub(crate) fn vanish(&self) {
        self.lab.switch().ip(&format!("link set {} nomaster", self.port()));
    }

    /// The host is back on the bridge.
    pub(crate) fn reappear(&self) {
        self.lab.switch().ip(&format!("link set {} master br0", self.port()));
    }

    /// Pulls the cable: the node's interface loses carrier.
    pub(crate) fn pull_cable(&self) {
        self.lab.switch().ip(&format!("link set {} down", self.port()));
    }

    /// Puts the cable back.
    pub(crate) fn plug_cable(&self) {
        self.lab.switch().ip(&format!("link set {} up", self.port()));
    }

    /// The addresses on all of the node's interfaces but loopback.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let text = self.ns.ip("-j addr show");
        let links: serde_json::Value = serde_json::from_str(&text).expect("`ip -j` prints JSON");
        let mut found = Vec::new();
        for link in links.as_array().into_iter().flatten().filter(|l| l["ifname"] != "lo") {
            for address in link["addr_info"].as_array().into_iter().flatten() {
                found.extend(address["local"].as_str().and_then(|a| a.parse::<IpAddr>().ok()));
            }
        }
        found
    }

    /// Whether the node has this address.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.addresses().contains(&address)
    }

    /// Waits until the node has this address.
    #[track_caller]
    pub(crate) fn wait_has(&self, address: IpAddr, timeout: Duration) {
        wait_for(&format!("{} has {address}", self.name), timeout, || self.has(address).then_some(()));
    }

    /// Waits until the node has this address no longer.
    #[track_caller]
    pub(crate) fn wait_lacks(&self, address: IpAddr, timeout: Duration) {
        wait_for(&format!("{} gives {address} up", self.name), timeout, || (!self.has(address)).then_some(()));
    }

    /// The hardware address of `eth0`.
    pub(crate) fn mac(&self) -> Mac {
        let text = self.ns.ip(&format!("-j link show {LINK}"));
        let links: serde_json::Value = serde_json::from_str(&text).expect("`ip -j` prints JSON");
        let text = links[0]["address"].as_str().expect("an Ethernet interface has an address");
        let octets: Vec<u8> = text.split(':').filter_map(|o| u8::from_str_radix(o, 16).ok()).collect();
        octets.try_into().expect("an Ethernet address has six octets")
    }

    /// Sends Ethernet frames out of `eth0`.
    pub(crate) fn inject(&self, frames: &[Vec<u8>]) {
        let index = ifindex(&self.ns, LINK);
        self.ns.inside(|| {
            let socket = socket::packet().expect("root opens a packet socket");
            for frame in frames {
                socket::send_frame(&socket, index, frame).expect("the interface is up and sends");
            }
        });
    }
}

/// The index of an interface.
fn ifindex(ns: &Netns, link: &str) -> u32 {
    let links: serde_json::Value =
        serde_json::from_str(&ns.ip(&format!("-j link show {link}"))).expect("`ip -j` prints JSON");
    links[0]["ifindex"].as_u64().expect("an interface has an index") as u32
}
