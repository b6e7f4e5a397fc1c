//! Sockets for probes: raw ICMP with a kernel filter, and binding to an interface.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libc::{SOL_RAW, SOL_SOCKET};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};

use super::sockopt;

/// Of linux/icmp.h: an option of SOL_RAW, 32 bits.
const ICMP_FILTER: libc::c_int = 1;
/// Of linux/icmpv6.h: an option of IPPROTO_ICMPV6, 256 bits.
const ICMPV6_FILTER: libc::c_int = 1;
const ECHO_REPLY_V4: u32 = 0;
const ECHO_REPLY_V6: usize = 129;

/// A raw socket that sees echo replies, and as errors what routers say about our probes. Needs
/// CAP_NET_RAW.
///
/// The filter is that of ICMP, by type: a BPF program would tell the replies to others as well, but to
/// load one costs more than all the rest of a probe.
pub fn open(to: IpAddr) -> io::Result<OwnedFd> {
    let (family, protocol, level, errors) = match to {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP, libc::IPPROTO_IP, libc::IP_RECVERR),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6, libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(family, SocketType::RAW, flags, Some(protocol))?;
    // A set bit keeps the type away.
    if to.is_ipv4() {
        let blocked = !(1u32 << ECHO_REPLY_V4);
        sockopt::set_bytes(fd.as_fd(), SOL_RAW, ICMP_FILTER, &blocked.to_ne_bytes())?;
    } else {
        let mut blocked = [u32::MAX; 8];
        blocked[ECHO_REPLY_V6 / 32] &= !(1 << (ECHO_REPLY_V6 % 32));
        // SAFETY: there is no pointer in integers.
        unsafe { sockopt::set(fd.as_fd(), libc::IPPROTO_ICMPV6, ICMPV6_FILTER, &blocked)? };
    }
    // Without them an unreachable host is silence: worse to read, no worse to judge.
    let _ = sockopt::set_int(fd.as_fd(), level, errors, 1);
    Ok(fd)
}

/// Traffic of the socket goes through this interface only.
pub fn bind_to_device(fd: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    sockopt::set_bytes(fd, SOL_SOCKET, libc::SO_BINDTODEVICE, name.as_bytes())
}
