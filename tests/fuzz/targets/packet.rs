//! VRRP messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use picovrrp::vrrp::packet::{Auth, Header, MAX_LEN, MAX_V6, Packet, emit, peek_version, peek_vrid};
use picovrrp::vrrp::timing::Version;

/// Takes `data` for a message over IPv4 and over IPv6: one that is read can be written again, and is
/// read as the same with a checksum that is right.
pub(crate) fn packet(data: &[u8]) {
    let (v4, v6) = (Ipv4Addr::new(192, 0, 2, 1), Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
    for (source, destination) in
        [(v4.into(), picovrrp::vrrp::packet::GROUP_V4.into()), (v6.into(), picovrrp::vrrp::packet::GROUP_V6.into())]
    {
        over(data, source, destination);
    }
}

fn over(data: &[u8], source: IpAddr, destination: IpAddr) {
    let Ok(packet) = Packet::new_checked(data, source.is_ipv6()) else { return };
    assert_eq!(peek_version(data), Some(packet.version().number()));
    assert_eq!(peek_vrid(data), Some(packet.vrid()));
    assert_eq!(packet.addresses().len(), packet.count() as usize);
    assert!(packet.count() > 0 && packet.trailing() < data.len());
    assert!(packet.addresses().all(|ip| ip.is_ipv6() == source.is_ipv6()));
    let sum = packet.checksum(source, destination);
    assert!(!(sum.pseudo && packet.version() == Version::V2 || sum.plain && source.is_ipv6()));

    let password = match packet.auth() {
        Auth::Simple(password) => Some(password),
        _ => None,
    };
    let Some(interval) = packet.interval() else { return };
    let (version, vrid, priority) = (packet.version(), packet.vrid(), packet.priority());
    let header = Header { version, vrid, priority, interval, password };
    let mut buf = [0xa5; MAX_LEN];
    let pseudo = (version == Version::V3).then_some((source, destination));
    let Some(len) = emit(&mut buf, &header, packet.addresses(), pseudo) else {
        // There is room for all that fits a network's packets.
        return assert!(source.is_ipv6() && packet.count() as usize > MAX_V6);
    };
    assert_eq!(len, data.len() - packet.trailing());
    let again = Packet::new_checked(&buf[..len], source.is_ipv6()).expect("it was written by us");
    let seen = |p: &Packet<'_>| (p.version(), p.vrid(), p.priority(), p.interval(), p.addresses().collect::<Vec<_>>());
    assert_eq!(seen(&again), seen(&packet));
    assert_eq!(again.auth(), password.map_or(Auth::None, Auth::Simple));
    let sum = again.checksum(source, destination);
    assert!(if version == Version::V3 { sum.pseudo } else { sum.plain });
}
