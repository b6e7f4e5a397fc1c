//! A table of ours in the kernel's packet filter: drops what is for given addresses of this host.
//!
//! Read first: nft(8) for what the rules mean, linux/netfilter/nf_tables.h for how they are said. Neither
//! the program nft nor a library is needed. All is one transaction: the table is replaced whole.

use std::io;
use std::net::IpAddr;

use linux_raw_sys::netlink as nl;

use super::message::{aligned, error_of, messages};
use super::{BUFFER, Reception, Socket};

/// The table's name, in the family `inet`.
pub const TABLE: &str = "picovrrp";

/// NFPROTO_INET: a table for both families.
const INET: u8 = 1;
/// NFNL_SUBSYS_NFTABLES, the upper byte of a message's type.
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = nl::NLMSG_MIN_TYPE as u16;
const BATCH_END: u16 = BATCH_BEGIN + 1;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const DEL_TABLE: u16 = SUBSYSTEM << 8 | 2;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
const NEW_SET: u16 = SUBSYSTEM << 8 | 9;
const NEW_ELEMENTS: u16 = SUBSYSTEM << 8 | 12;
/// NLA_F_NESTED.
const NESTED: u16 = 0x8000;
/// Before the rules of a firewall, whose priority is 0: what these let pass those may still drop.
const PRIORITY: i32 = -10;
/// The chain.
const CHAIN: &str = "input";
/// NFT_META_IIFNAME, _NFPROTO, _L4PROTO.
const IIFNAME: u32 = 6;
const NFPROTO: u32 = 15;
const L4PROTO: u32 = 16;
/// NFT_CMP_EQ, _LTE, _GTE.
const EQUAL: u32 = 0;
const AT_MOST: u32 = 3;
const AT_LEAST: u32 = 5;
/// NF_DROP, NF_ACCEPT.
const DROP: u32 = 0;
const ACCEPT: u32 = 1;

/// A transaction in the making.
struct Batch {
    bytes: Vec<u8>,
    seq: u32,
}

impl Batch {
    /// Begins a message; `end` ends it.
    fn begin(&mut self, kind: u16, flags: u32, family: u8, subsystem: u16) -> usize {
        let at = self.bytes.len();
        self.seq += 1;
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&((nl::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&self.seq.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        // struct nfgenmsg
        self.bytes.extend_from_slice(&[family, 0]);
        self.bytes.extend_from_slice(&subsystem.to_be_bytes());
        at
    }

    fn end(&mut self, at: usize) {
        let len = (self.bytes.len() - at) as u32;
        self.bytes[at..at + 4].copy_from_slice(&len.to_ne_bytes());
    }

    fn bound(&mut self, kind: u16) {
        let at = self.begin(kind, 0, 0, SUBSYSTEM);
        self.end(at);
    }

    fn table(&mut self, kind: u16) -> usize {
        // Rules stand in the order in which they are written.
        let at = self.begin(kind, nl::NLM_F_CREATE | nl::NLM_F_APPEND | nl::NLM_F_ACK, INET, 0);
        self.string(1, TABLE);
        at
    }

    /// Begins an attribute that holds others; `close` ends it.
    fn open(&mut self, kind: u16) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        at
    }

    fn close(&mut self, at: usize) {
        let len = (self.bytes.len() - at) as u16;
        self.bytes[at..at + 2].copy_from_slice(&len.to_ne_bytes());
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let at = self.open(kind & !NESTED);
        self.bytes[at + 2..at + 4].copy_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.close(at);
        self.bytes.resize(aligned(self.bytes.len()), 0);
    }

    fn string(&mut self, kind: u16, value: &str) {
        // An interface's name, the longest of them, fills 16 bytes.
        let mut text = [0; 16];
        let n = value.len().min(15);
        text[..n].copy_from_slice(&value.as_bytes()[..n]);
        self.attribute(kind, &text[..n + 1]);
    }

    fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// NFTA_DATA_VALUE within an attribute.
    fn data(&mut self, kind: u16, value: &[u8]) {
        let at = self.open(kind);
        self.attribute(1, value);
        self.close(at);
    }

    fn rule(&mut self) -> [usize; 2] {
        let at = self.table(NEW_RULE);
        self.string(2, CHAIN);
        [at, self.open(4)]
    }

    fn end_rule(&mut self, [at, expressions]: [usize; 2], verdict: u32) {
        let e = self.expression("immediate");
        self.number(1, 0);
        let data = self.open(2);
        let code = self.open(2);
        self.number(1, verdict);
        self.close(code);
        self.close(data);
        self.end_expression(e);
        self.close(expressions);
        self.end(at);
    }

    fn expression(&mut self, name: &str) -> [usize; 2] {
        let element = self.open(1);
        self.string(1, name);
        [element, self.open(2)]
    }

    fn end_expression(&mut self, [element, data]: [usize; 2]) {
        self.close(data);
        self.close(element);
    }

    /// Register 1 is that of the packet's.
    fn meta(&mut self, key: u32) {
        let e = self.expression("meta");
        self.number(2, key);
        self.number(1, 1);
        self.end_expression(e);
    }

    /// Register 1 is these bytes of the network header (1) or of what is behind it (2).
    fn payload(&mut self, base: u32, offset: u32, len: u32) {
        let e = self.expression("payload");
        for (kind, value) in [(1, 1), (2, base), (3, offset), (4, len)] {
            self.number(kind, value);
        }
        self.end_expression(e);
    }

    /// The rule goes on if register 1 compares so.
    fn compare(&mut self, how: u32, value: &[u8]) {
        let e = self.expression("cmp");
        self.number(1, 1);
        self.number(2, how);
        self.data(3, value);
        self.end_expression(e);
    }

    /// The rule goes on if register 1 is in the set.
    fn look_up(&mut self, set: &str) {
        let e = self.expression("lookup");
        self.string(1, set);
        self.number(2, 1);
        self.end_expression(e);
    }

    fn destination(&mut self, v4: bool) {
        self.meta(NFPROTO);
        self.compare(EQUAL, &[if v4 { libc::AF_INET } else { libc::AF_INET6 } as u8]);
        let (offset, len) = if v4 { (16, 4) } else { (24, 16) };
        self.payload(1, offset, len);
    }

    /// A set of addresses of one family, and the rule that drops what is for them.
    fn drop_all(&mut self, v4: bool, addresses: &[(&str, IpAddr)]) {
        // nft's own numbers of the types, for who lists the table.
        let (name, id, kind, len) = if v4 { ("v4", 1, 7, 4) } else { ("v6", 2, 8, 16) };
        let at = self.table(NEW_SET);
        self.string(2, name);
        for (attribute, value) in [(3, 0), (4, kind), (5, len), (10, id)] {
            self.number(attribute, value);
        }
        self.end(at);
        let at = self.table(NEW_ELEMENTS);
        self.string(2, name);
        let list = self.open(3);
        for (_, ip) in addresses.iter().filter(|(_, ip)| ip.is_ipv4() == v4 && !is_link_local(*ip)) {
            let element = self.open(1);
            match ip {
                IpAddr::V4(ip) => self.data(1, &ip.octets()),
                IpAddr::V6(ip) => self.data(1, &ip.octets()),
            }
            self.close(element);
        }
        self.close(list);
        self.end(at);
        let rule = self.rule();
        self.destination(v4);
        self.look_up(name);
        self.end_rule(rule, DROP);
    }

    /// What is for this link-local address of this interface is dropped.
    fn drop_on(&mut self, interface: &str, ip: IpAddr) {
        let IpAddr::V6(ip) = ip else { return };
        let rule = self.rule();
        let mut name = [0; 16];
        let n = interface.len().min(15);
        name[..n].copy_from_slice(&interface.as_bytes()[..n]);
        self.meta(IIFNAME);
        self.compare(EQUAL, &name);
        self.destination(false);
        self.compare(EQUAL, &ip.octets());
        self.end_rule(rule, DROP);
    }

    /// Neighbour solicitations and advertisements pass (RFC 9568 §6.1, Accept_Mode).
    fn pass_neighbours(&mut self) {
        let rule = self.rule();
        self.meta(NFPROTO);
        self.compare(EQUAL, &[libc::AF_INET6 as u8]);
        self.meta(L4PROTO);
        self.compare(EQUAL, &[libc::IPPROTO_ICMPV6 as u8]);
        self.payload(2, 0, 1);
        self.compare(AT_LEAST, &[135]);
        self.compare(AT_MOST, &[136]);
        self.end_rule(rule, ACCEPT);
    }

    fn chain(&mut self) {
        let at = self.table(NEW_CHAIN);
        self.string(3, CHAIN);
        let hook = self.open(4);
        // NF_INET_LOCAL_IN
        self.number(1, 1);
        self.number(2, PRIORITY as u32);
        self.close(hook);
        self.string(7, "filter");
        self.end(at);
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// Drops what comes in for these addresses, and for no others; without any the table is removed. An
/// address of a link counts on its interface alone.
pub fn drop_incoming(addresses: &[(&str, IpAddr)]) -> io::Result<()> {
    let mut b = Batch { bytes: Vec::with_capacity(4096), seq: 0 };
    b.bound(BATCH_BEGIN);
    // One that is there, by an earlier run perhaps, goes; that there is none is no error either.
    for kind in [NEW_TABLE, DEL_TABLE] {
        let at = b.table(kind);
        b.end(at);
    }
    if !addresses.is_empty() {
        let at = b.table(NEW_TABLE);
        b.end(at);
        b.chain();
        b.pass_neighbours();
        for v4 in [true, false] {
            if addresses.iter().any(|(_, ip)| ip.is_ipv4() == v4 && !is_link_local(*ip)) {
                b.drop_all(v4, addresses);
            }
        }
        for (interface, ip) in addresses {
            if is_link_local(*ip) {
                b.drop_on(interface, *ip);
            }
        }
    }
    b.bound(BATCH_END);
    let socket = Socket::unbound(Some(rustix::net::netlink::NETFILTER))?.bound(0)?;
    socket.send(&b.bytes)?;
    let mut buffer = Box::new([0; BUFFER]);
    loop {
        match socket.receive(&mut buffer)? {
            Reception::Bytes(n) => {
                for m in messages(&buffer[..n]).filter(|m| m.kind as u32 == nl::NLMSG_ERROR) {
                    match error_of(m.body) {
                        Some(0) => {}
                        e => return Err(io::Error::from_raw_os_error(e.unwrap_or(libc::EBADMSG))),
                    }
                }
            }
            // The kernel has answered before the sending returned.
            Reception::Empty => return Ok(()),
            Reception::Truncated | Reception::Overrun => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testnet::in_namespace;

    fn rules() -> String {
        let out = std::process::Command::new("nft").args(["list", "ruleset"]).output().unwrap();
        String::from_utf8(out.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// What the kernel refuses is told.
    #[test]
    fn refusal_is_told() {
        in_namespace(|| {
            let mut sets = rustix::thread::capabilities(None).unwrap();
            sets.effective.remove(rustix::thread::CapabilitySet::NET_ADMIN);
            rustix::thread::set_capabilities(None, sets).unwrap();
            let refused = drop_incoming(&[("v0", "192.0.2.254".parse().unwrap())]);
            assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EPERM));
        });
    }

    /// The kernel takes what is written, and nft reads it as it was meant; a second table replaces the
    /// first, and none leaves nothing.
    #[test]
    fn as_nft_reads_it() {
        in_namespace(|| {
            let ip = |s: &str| s.parse::<IpAddr>().unwrap();
            drop_incoming(&[("v0", ip("192.0.2.254")), ("v0", ip("2001:db8::254")), ("v0", ip("fe80::254"))]).unwrap();
            let said = rules();
            for part in [
                "table inet picovrrp {",
                "set v4 { type ipv4_addr elements = { 192.0.2.254 } }",
                "set v6 { type ipv6_addr elements = { 2001:db8::254 } }",
                "type filter hook input priority filter - 10; policy accept;",
                "ip daddr @v4 drop ip6 daddr @v6 drop iifname \"v0\" ip6 daddr fe80::254 drop",
            ] {
                assert!(said.contains(part), "{part}\n{said}");
            }
            let (pass, drop) = (said.find("accept icmpv6").or(said.find("icmpv6")), said.find("daddr"));
            assert!(pass < drop, "{said}");
            let many: Vec<_> = (0..250).map(|n| ("v0", ip(&format!("2001:db8::{n:x}")))).collect();
            drop_incoming(&many).unwrap();
            let said = rules();
            assert!(said.contains("2001:db8::f9") && !said.contains("192.0.2.254") && !said.contains("@v4"), "{said}");
            drop_incoming(&[]).unwrap();
            assert_eq!(rules(), "");
            drop_incoming(&[]).unwrap();
        });
    }
}
