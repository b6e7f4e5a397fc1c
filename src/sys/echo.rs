//! Sockets for probes: raw ICMP with a kernel filter, and binding to an interface.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libc::{SO_ATTACH_FILTER, SOL_SOCKET, sock_filter, sock_fprog};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};

use super::sockopt;

const LDH_IND: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_IND;
const LDH_ABS: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
const LDXB_MSH: u32 = libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH;
const JEQ_K: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const RET_K: u32 = libc::BPF_RET | libc::BPF_K;

const fn op(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// Lets only echo replies with this identifier through. On a raw IPv4 socket the program sees the
/// packet from the IP header on, on a raw IPv6 socket the message alone.
fn program(v4: bool, id: u16) -> [sock_filter; 7] {
    let (load, reply) = if v4 { (LDH_IND, 0x0000) } else { (LDH_ABS, 0x8100) };
    [
        // X = 4 * IHL; not used for IPv6, where the byte is the type.
        if v4 { op(LDXB_MSH, 0, 0, 0) } else { op(LDH_ABS, 0, 0, 0) },
        op(load, 0, 0, 0), // type and code
        op(JEQ_K, 0, 3, reply),
        op(load, 0, 0, 4),
        op(JEQ_K, 0, 1, id as u32),
        op(RET_K, 0, 0, u32::MAX),
        op(RET_K, 0, 0, 0),
    ]
}

/// A raw socket that sees echo replies to `id`, and as errors what routers say about our probes.
/// Needs CAP_NET_RAW.
pub fn open(to: IpAddr, id: u16) -> io::Result<OwnedFd> {
    let (family, protocol, level, errors) = match to {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP, libc::IPPROTO_IP, libc::IP_RECVERR),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6, libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(family, SocketType::RAW, flags, Some(protocol))?;
    let mut code = program(to.is_ipv4(), id);
    let value = sock_fprog { len: code.len() as _, filter: code.as_mut_ptr() };
    // SAFETY: the pointer is to `len` instructions that live through the call; the kernel copies them.
    unsafe { sockopt::set(fd.as_fd(), SOL_SOCKET, SO_ATTACH_FILTER, &value)? };
    // Without them an unreachable host is silence: worse to read, no worse to judge.
    let _ = sockopt::set_int(fd.as_fd(), level, errors, 1);
    Ok(fd)
}

/// Traffic of the socket goes through this interface only.
pub fn bind_to_device(fd: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    sockopt::set_bytes(fd, SOL_SOCKET, libc::SO_BINDTODEVICE, name.as_bytes())
}
