use std::net::IpAddr;
use std::os::fd::AsFd;

use linux_raw_sys::netlink as nl;

use super::message::{Request, error_of, messages, parse_address, parse_link};
use super::{AddError, AddressList, Monitor, Notice, Rtnl, monitor};
use crate::config::model::Scope;
use crate::router::event::{AddressId, AddressSpec, LinkAddress};
use crate::sys::testnet::{eventually, in_namespace, index, ip, ip_says};

fn spec<'a>(ifindex: u32, address: &str, prefix: u8, label: &'a str) -> AddressSpec<'a> {
    AddressSpec { id: AddressId(0), ifindex, ip: address.parse().unwrap(), prefix, scope: None, label, vmac: false }
}

fn addresses(rtnl: &mut Rtnl, ifindex: u32) -> AddressList {
    let mut list = AddressList::new();
    assert_eq!(rtnl.addresses(ifindex, &mut list).unwrap(), 0);
    list
}

/// Two ends of a cable in one namespace, both up; the index of the first.
fn veth() -> u32 {
    ip("link add dev v0 type veth peer name v1");
    ip("link set dev v0 addrgenmode none up");
    ip("link set dev v1 addrgenmode none up");
    index("v0")
}

#[test]
fn links_are_dumped() {
    in_namespace(|| {
        ip("link add dev v0 address 02:00:00:00:00:07 mtu 1400 type veth peer name v1");
        let mut rtnl = Rtnl::open().unwrap();
        let mut find = |wanted: &str| {
            let mut found = None;
            rtnl.links(|l| {
                if l.name == wanted {
                    found = Some((l.ifindex, l.up, l.mac, l.mtu));
                }
            })
            .unwrap();
            found
        };
        let v0 = index("v0");
        assert_eq!(find("v0"), Some((v0, false, [2, 0, 0, 0, 0, 7], 1400)));
        assert_eq!(find("lo").map(|l| (l.0, l.1)), Some((1, true)));
        // Up without carrier is not up.
        ip("link set dev v0 up");
        assert_eq!(find("v0").map(|l| l.1), Some(false));
        ip("link set dev v1 up");
        eventually("v0 up", || find("v0").filter(|l| l.1));
    });
}

/// Added, refused a second time, seen, removed, not there a second time; both families.
#[test]
fn addresses_are_added_and_removed() {
    in_namespace(|| {
        let v0 = veth();
        let mut rtnl = Rtnl::open().unwrap();
        for (address, prefix, label) in
            [("192.168.7.1", 24, ""), ("192.168.7.2", 24, "v0:vip"), ("fe80::7", 64, ""), ("2001:db8::7", 64, "")]
        {
            let spec = spec(v0, address, prefix, label);
            let secondary = address == "192.168.7.2";
            assert_eq!(rtnl.add_address(&spec), Ok(()), "{address}");
            assert_eq!(rtnl.add_address(&spec), Err(AddError::Exists), "{address}");
            let want = LinkAddress { ip: spec.ip, prefix, secondary, tentative: false };
            assert!(addresses(&mut rtnl, v0).contains(&want), "{address}");
            assert!(!addresses(&mut rtnl, 1).contains(&want), "another link");
            let shown = ip_says("addr show dev v0");
            assert!(shown.contains(&format!("{address}/{prefix}")), "{shown}");
            assert!(shown.contains(label), "{shown}");
        }
        let shown = ip_says("-6 addr show dev v0");
        assert!(
            shown.contains("fe80::7/64 scope link nodad") && shown.contains("2001:db8::7/64 scope global nodad"),
            "{shown}"
        );
        for (address, prefix) in [("192.168.7.2", 24), ("192.168.7.1", 24), ("fe80::7", 64), ("2001:db8::7", 64)] {
            let spec = spec(v0, address, prefix, "");
            assert!(rtnl.remove_address(&spec).unwrap(), "{address}");
            assert!(!rtnl.remove_address(&spec).unwrap(), "{address}");
        }
        assert!(addresses(&mut rtnl, v0).is_empty());

        let scoped = AddressSpec { scope: Some(Scope::Link), ..spec(v0, "10.1.1.1", 32, "") };
        rtnl.add_address(&scoped).unwrap();
        assert!(ip_says("addr show dev v0").contains("10.1.1.1/32 scope link"));

        let nowhere = spec(9999, "10.1.1.1", 32, "");
        assert_eq!(rtnl.add_address(&nowhere), Err(AddError::NoDevice));
        assert!(!rtnl.remove_address(&nowhere).unwrap());
        assert!(addresses(&mut rtnl, 9999).is_empty());
        assert!(matches!(rtnl.add_address(&spec(v0, "224.0.0.1", 24, "")), Ok(()) | Err(AddError::Other(_))));
        assert!(matches!(rtnl.add_address(&spec(v0, "10.0.0.1", 33, "")), Err(AddError::Other(libc::EINVAL))));
    });
}

/// A link with more addresses than one datagram of the kernel's, and than the list holds.
#[test]
fn many_addresses() {
    in_namespace(|| {
        let v0 = veth();
        let mut rtnl = Rtnl::open().unwrap();
        let add =
            |rtnl: &mut Rtnl, n: u32| rtnl.add_address(&spec(v0, &format!("10.{}.{}.1", n / 250, n % 250), 32, ""));
        (0..500).for_each(|n| add(&mut rtnl, n).unwrap());
        assert_eq!(addresses(&mut rtnl, v0).len(), 500);
        (500..530).for_each(|n| add(&mut rtnl, n).unwrap());
        let mut list = AddressList::new();
        assert_eq!(rtnl.addresses(v0, &mut list).unwrap(), 18);
        assert_eq!(list.len(), 512);
    });
}

/// Without strict checking, as on kernels before 4.20, we choose the link's addresses ourselves.
#[test]
fn without_strict_checking() {
    in_namespace(|| {
        let v0 = veth();
        let mut rtnl = Rtnl::open().unwrap();
        let option = nl::NETLINK_GET_STRICT_CHK as _;
        crate::sys::sockopt::set_int(rtnl.as_fd(), libc::SOL_NETLINK, option, 0).unwrap();
        rtnl.add_address(&spec(v0, "10.1.1.1", 32, "")).unwrap();
        assert_eq!(addresses(&mut rtnl, v0).len(), 1);
        assert!(addresses(&mut rtnl, 1).iter().all(|a| a.ip.is_loopback()));
        assert!(addresses(&mut rtnl, 9999).is_empty());
    });
}

/// Without the capability the error says so.
#[test]
fn no_permission() {
    in_namespace(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let mut sets = rustix::thread::capabilities(None).unwrap();
        sets.effective.remove(rustix::thread::CapabilitySet::NET_ADMIN);
        rustix::thread::set_capabilities(None, sets).unwrap();
        assert_eq!(rtnl.add_address(&spec(1, "10.1.1.1", 32, "")), Err(AddError::Permission));
    });
}

/// A notice that outlives its buffer.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Link(u32, String, bool),
    Gone(u32),
    Address(u32, IpAddr, bool),
    Overrun,
}

/// Reads notices until `wanted` has come, and returns all of them.
fn until(monitor: &mut Monitor, wanted: Seen) -> Vec<Seen> {
    let mut all = Vec::new();
    eventually(&format!("{wanted:?}"), || {
        monitor
            .recv(|n| {
                all.push(match n {
                    Notice::Link(l) => Seen::Link(l.ifindex, l.name.to_owned(), l.up),
                    Notice::LinkGone { ifindex } => Seen::Gone(ifindex),
                    Notice::Address { ifindex, address, added } => Seen::Address(ifindex, address.ip, added),
                    Notice::Overrun => Seen::Overrun,
                })
            })
            .unwrap();
        all.contains(&wanted).then_some(())
    });
    all
}

#[test]
fn changes_are_told() {
    in_namespace(|| {
        let mut monitor = Monitor::open().unwrap();
        let v0 = veth();
        let link = |name: &str, up| Seen::Link(v0, name.to_owned(), up);
        until(&mut monitor, link("v0", true));
        // Carrier lost and found.
        ip("link set dev v1 down");
        until(&mut monitor, link("v0", false));
        ip("link set dev v1 up");
        until(&mut monitor, link("v0", true));
        for address in ["10.1.1.1/24", "2001:db8::1/64"] {
            let bare: IpAddr = address.split('/').next().unwrap().parse().unwrap();
            ip(&format!("addr add {address} dev v0"));
            until(&mut monitor, Seen::Address(v0, bare, true));
            ip(&format!("addr del {address} dev v0"));
            until(&mut monitor, Seen::Address(v0, bare, false));
        }
        ip("link set dev v0 down");
        until(&mut monitor, link("v0", false));
        ip("link set dev v0 name w0");
        until(&mut monitor, link("w0", false));
        ip("link del dev w0");
        until(&mut monitor, Seen::Gone(v0));
    });
}

/// A port that leaves its bridge is told of by RTM_DELLINK of the bridge's family: the link is not gone.
#[test]
fn bridge_messages_do_not_confuse() {
    in_namespace(|| {
        let v0 = veth();
        let mut monitor = Monitor::open().unwrap();
        ip("link add dev br0 type bridge");
        ip("link set dev v0 master br0");
        ip("link set dev v0 nomaster");
        ip("link set dev br0 name end");
        let end = index("end");
        let all = until(&mut monitor, Seen::Link(end, "end".to_owned(), false));
        assert!(!all.contains(&Seen::Gone(v0)), "{all:?}");
    });
}

#[test]
fn overrun_is_told() {
    in_namespace(|| {
        let v0 = veth();
        let mut monitor = Monitor::open().unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&monitor, 2048).unwrap();
        let mut rtnl = Rtnl::open().unwrap();
        for n in 0..100 {
            rtnl.add_address(&spec(v0, &format!("10.1.1.{n}"), 32, "")).unwrap();
        }
        until(&mut monitor, Seen::Overrun);
        // The kernel tells of other things too, which could fill so short a queue again.
        rustix::net::sockopt::set_socket_recv_buffer_size(&monitor, 1 << 18).unwrap();
        ip("addr add 10.2.2.2/32 dev v0");
        until(&mut monitor, Seen::Address(v0, "10.2.2.2".parse().unwrap(), true));
    });
}

/// Input: an overrun with far more waiting than one call reads. Output: nothing but the overrun is
/// told, and what changes after it is: the kernel drops all until the queue is empty.
#[test]
fn overrun_leaves_nothing_old() {
    in_namespace(|| {
        let v0 = veth();
        let mut monitor = Monitor::open().unwrap();
        let mut rtnl = Rtnl::open().unwrap();
        for n in 0..3000u32 {
            let s = spec(v0, "10.1.1.1", 32, "");
            if n % 2 == 0 { rtnl.add_address(&s).unwrap() } else { assert!(rtnl.remove_address(&s).unwrap()) }
        }
        let mut told = Vec::new();
        monitor.recv(|n| told.push(matches!(n, Notice::Overrun))).unwrap();
        assert_eq!(told, [true]);
        ip("addr add 10.2.2.2/32 dev v0");
        until(&mut monitor, Seen::Address(v0, "10.2.2.2".parse().unwrap(), true));
    });
}

/// What another process sends to our port is not the kernel's word.
#[test]
fn other_senders_are_ignored() {
    in_namespace(|| {
        let v0 = veth();
        let mut monitor = Monitor::open().unwrap();
        let port = rustix::net::getsockname(&monitor).unwrap();
        let port = rustix::net::netlink::SocketAddrNetlink::try_from(port).unwrap().pid();
        let forger = Rtnl::open().unwrap();
        let mut forged = Request::add_address(1, &spec(v0, "10.6.6.6", 32, ""));
        let to = rustix::net::netlink::SocketAddrNetlink::new(port, 0);
        rustix::net::sendto(&forger, forged.bytes(), rustix::net::SendFlags::empty(), &to).unwrap();
        ip("addr add 10.2.2.2/32 dev v0");
        let all = until(&mut monitor, Seen::Address(v0, "10.2.2.2".parse().unwrap(), true));
        assert!(!all.contains(&Seen::Address(v0, "10.6.6.6".parse().unwrap(), true)), "{all:?}");
    });
}

fn decode(bytes: &[u8]) -> usize {
    messages(bytes)
        .map(|m| {
            let _ = (parse_link(m.body), parse_address(m.body), error_of(m.body), monitor::notice(m.kind, m.body));
        })
        .count()
}

/// A request for an address is also a message that tells of one: what is written is read.
#[test]
fn written_and_read() {
    for (address, prefix) in [("192.168.7.1", 24), ("2001:db8::7", 64)] {
        let spec = spec(7, address, prefix, "v0:vip");
        let mut request = Request::add_address(0x01020304, &spec);
        let bytes = request.bytes();
        let m = messages(bytes).next().unwrap();
        assert_eq!((m.kind as u32, m.seq), (nl::RTM_NEWADDR as u32, 0x01020304));
        let want = LinkAddress { ip: spec.ip, prefix, secondary: false, tentative: false };
        assert_eq!(parse_address(m.body), Some((7, want)));
        assert_eq!(messages(bytes).count(), 1);
    }
}

/// Input: every truncation and every changed byte of real messages, and random bytes.
/// Output: no panic, and an end.
#[test]
fn decoder_survives_anything() {
    let mut real = Vec::new();
    for address in ["192.168.7.1", "2001:db8::7"] {
        real.extend_from_slice(Request::add_address(1, &spec(7, address, 24, "v0:vip")).bytes());
    }
    real.extend_from_slice(Request::dump_links(2).bytes());
    let whole = decode(&real);
    assert_eq!(whole, 3);
    for n in 0..real.len() {
        assert!(decode(&real[..n]) < 3);
        // In memory of its own, so that a read behind the end is one.
        decode(&real[..n].to_vec().into_boxed_slice());
        for value in 0..=255 {
            let mut changed = real.clone();
            changed[n] = value;
            decode(&changed);
        }
    }
    let mut seed = 0x2545_f491u32;
    for round in 0..100_000usize {
        let random: Vec<u8> = (0..round % 200)
            .map(|at| {
                seed ^= seed << 13;
                seed ^= seed >> 17;
                seed ^= seed << 5;
                // Small lengths and known types are likelier to lead anywhere.
                match at % 4 {
                    0 if seed & 0x700 != 0 => seed as u8 & 63,
                    0 => seed as u8,
                    _ if seed & 0x300 != 0 => 0,
                    _ => seed as u8 & 31,
                }
            })
            .collect();
        decode(&random);
    }
}
