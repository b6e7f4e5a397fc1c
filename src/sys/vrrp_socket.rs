//! The raw socket of protocol 112: one for each interface and family.
//!
//! Read first: RFC 9568 §5.1 (TTL, groups), ip(7), ipv6(7), raw(7), RFC 3542.
//!
//! The socket hears what arrives on its interface alone, and of multicast only the groups that it
//! joined itself. Lengths and addresses of the IP layer are checked here; the TTL is told and not
//! judged, so that whoever judges it can count it.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use heapless::Vec;
use libc::{IPPROTO_IP, IPPROTO_IPV6, SOL_SOCKET, c_int};
use rustix::net::sockopt as opt;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::filter::{self, VridBitmap};
use super::outbox::{Aligned, Outbox, PKTINFO4_SPACE, PKTINFO6_SPACE, To};
use super::sockopt;
use crate::config::model::Family;
use crate::vrrp::packet::{IPPROTO_VRRP, TTL};

mod inbox;

pub use inbox::{Inbox, MAX_TAKEN};

/// TOS and traffic class: internetwork control.
pub(super) const TOS: u8 = 0xC0;
/// Bytes that may queue: some hundred adverts.
const QUEUE: usize = 256 * 1024;
/// Packets that can wait in a socket, at most: each takes more of the queue, which the kernel
/// doubles for its own use, than this.
pub const MAX_QUEUED: usize = 2 * QUEUE / 256;
/// Groups that one socket can join; the kernel's own default limit is 20.
pub const MAX_GROUPS: usize = 16;
// SAFETY: this function only computes with sizes.
const INT_SPACE: usize = unsafe { libc::CMSG_SPACE(size_of::<c_int>() as u32) } as usize;

/// A raw VRRP socket on one interface.
pub struct VrrpSocket {
    fd: OwnedFd,
    family: Family,
    ifindex: u32,
    groups: Vec<IpAddr, MAX_GROUPS>,
    overflows: Cell<u32>,
    garbage: Cell<u32>,
    burst: Cell<usize>,
}

impl AsFd for VrrpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl VrrpSocket {
    /// Opens a socket on an interface (needs CAP_NET_RAW). It has joined no group and passes all VRIDs.
    pub fn open(family: Family, ifindex: u32) -> io::Result<VrrpSocket> {
        let domain = match family {
            Family::V4 => AddressFamily::INET,
            Family::V6 => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let number = core::num::NonZeroU32::new(IPPROTO_VRRP as u32).map(rustix::net::Protocol::from_raw);
        let fd = rustix::net::socket_with(domain, SocketType::RAW, flags, number)?;
        // Until it is bound the socket hears all interfaces: nothing passes meanwhile, and what came
        // before this line is thrown away below.
        filter::pass_nothing(fd.as_fd())?;
        bind_to_interface(fd.as_fd(), ifindex)?;
        match family {
            Family::V4 => set_up_v4(fd.as_fd(), ifindex)?,
            Family::V6 => set_up_v6(fd.as_fd(), ifindex)?,
        }
        opt::set_socket_recv_buffer_size(&fd, QUEUE)?;
        // The count of what did not fit; old kernels have it too, but nothing depends on it.
        let _ = sockopt::set_int(fd.as_fd(), SOL_SOCKET, libc::SO_RXQ_OVFL, 1);
        let mut scratch = [0u8; 1];
        while rustix::net::recv(&fd, &mut scratch[..], rustix::net::RecvFlags::DONTWAIT).is_ok() {}
        filter::pass_all(fd.as_fd())?;
        Ok(VrrpSocket::adopt(fd, family, ifindex, Vec::new()))
    }

    /// A socket of the program that this process ran before, with the groups that it has joined.
    pub fn adopt(fd: OwnedFd, family: Family, ifindex: u32, groups: Vec<IpAddr, MAX_GROUPS>) -> VrrpSocket {
        let (overflows, garbage, burst) = (Cell::new(0), Cell::new(0), Cell::new(MAX_TAKEN));
        VrrpSocket { fd, family, ifindex, groups, overflows, garbage, burst }
    }

    /// The family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The interface.
    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// Packets that the kernel dropped because they came faster than they were read.
    pub fn overflows(&self) -> u32 {
        self.overflows.get()
    }

    /// Packets skipped because they were longer than the buffer, or not what an IP layer delivers.
    pub fn garbage(&self) -> u32 {
        self.garbage.get()
    }

    /// The groups that are joined.
    pub fn groups(&self) -> &[IpAddr] {
        &self.groups
    }

    /// Joins a multicast group; no error if it is joined already.
    pub fn join(&mut self, group: IpAddr) -> io::Result<()> {
        if self.groups.contains(&group) {
            return Ok(());
        }
        if self.groups.is_full() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.add_membership(group)?;
        let _ = self.groups.push(group);
        Ok(())
    }

    /// Leaves a multicast group; no error if it is not joined.
    pub fn leave(&mut self, group: IpAddr) -> io::Result<()> {
        match self.groups.iter().position(|g| *g == group) {
            None => Ok(()),
            Some(at) => {
                self.groups.swap_remove(at);
                self.drop_membership(group)
            }
        }
    }

    /// Leaves and joins all groups, so that switches that watch for reports (RFC 4541) hear one when
    /// the link has come back. A group that cannot be joined is no longer among [`Self::groups`].
    pub fn rejoin(&mut self) -> io::Result<()> {
        let mut result = Ok(());
        let mut at = 0;
        while let Some(&group) = self.groups.get(at) {
            // An error here says that we were no member: joining is what matters.
            let _ = self.drop_membership(group);
            match self.add_membership(group) {
                Ok(()) => at += 1,
                Err(e) => {
                    self.groups.swap_remove(at);
                    result = Err(e);
                }
            }
        }
        result
    }

    fn add_membership(&self, group: IpAddr) -> io::Result<()> {
        let r = match group {
            IpAddr::V4(g) => {
                opt::set_ip_add_membership_with_ifindex(&self.fd, &g, &Ipv4Addr::UNSPECIFIED, self.ifindex)
            }
            IpAddr::V6(g) => opt::set_ipv6_add_membership(&self.fd, &g, self.ifindex),
        };
        match r {
            Err(rustix::io::Errno::ADDRINUSE) => Ok(()),
            r => Ok(r?),
        }
    }

    fn drop_membership(&self, group: IpAddr) -> io::Result<()> {
        let r = match group {
            IpAddr::V4(g) => {
                opt::set_ip_drop_membership_with_ifindex(&self.fd, &g, &Ipv4Addr::UNSPECIFIED, self.ifindex)
            }
            IpAddr::V6(g) => opt::set_ipv6_drop_membership(&self.fd, &g, self.ifindex),
        };
        match r {
            Err(rustix::io::Errno::ADDRNOTAVAIL | rustix::io::Errno::NODEV) => Ok(()),
            r => Ok(r?),
        }
    }

    /// Packets that may come together: as many as there are VRIDs that it listens to.
    pub fn burst(&self) -> usize {
        self.burst.get()
    }

    /// Lets only the messages of these VRIDs wake us; `None` lets all. What is queued stays.
    pub fn set_filter(&self, vrids: Option<&VridBitmap>) -> io::Result<()> {
        let count = |bitmap: &VridBitmap| bitmap.iter().map(|word| word.count_ones() as usize).sum();
        self.burst.set(vrids.map_or(MAX_TAKEN, count));
        match vrids {
            Some(bitmap) => filter::pass_vrids(self.as_fd(), self.family, bitmap),
            None => filter::pass_all(self.as_fd()),
        }
    }

    fn is_for_us(&self, destination: IpAddr) -> bool {
        !destination.is_multicast() || self.groups.contains(&destination)
    }

    /// Puts a message into `out`, from `source`, an address of this host, to leave by this interface. It is sent
    /// by the next [`Outbox::flush`] through this socket, whose errors are the kernel's: EADDRNOTAVAIL or EINVAL
    /// if the source is not ours, ENETDOWN, ENOBUFS, ENODEV.
    pub fn post<T: Copy>(
        &self,
        out: &mut Outbox<T>,
        mark: T,
        source: IpAddr,
        destination: IpAddr,
        payload: &[u8],
    ) -> io::Result<()> {
        let to = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) if self.family == Family::V4 => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: self.ifindex as c_int,
                    ipi_spec_dst: in_addr(source),
                    ipi_addr: in_addr(Ipv4Addr::UNSPECIFIED),
                };
                To::V4(sockaddr_in(destination), info)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) if self.family == Family::V6 => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
                    ipi6_ifindex: self.ifindex as _,
                };
                To::V6(sockaddr_in6(destination, self.ifindex), info)
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        out.put(mark, to, &[payload])
    }

    /// Sends one message at once.
    pub fn send(&self, source: IpAddr, destination: IpAddr, payload: &[u8]) -> io::Result<()> {
        let mut out = Outbox::default();
        self.post(&mut out, (), source, destination, payload)?;
        let mut sent = Ok(());
        out.flush(self.as_fd(), &mut |(), e| sent = Err(e));
        sent
    }
}

const fn in_addr(ip: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) }
}

fn sockaddr_in(ip: Ipv4Addr) -> libc::sockaddr_in {
    libc::sockaddr_in { sin_family: libc::AF_INET as _, sin_port: 0, sin_addr: in_addr(ip), sin_zero: [0; 8] }
}

fn sockaddr_in6(ip: Ipv6Addr, ifindex: u32) -> libc::sockaddr_in6 {
    let local = ip.is_unicast_link_local() || ip.is_multicast();
    libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as _,
        sin6_port: 0,
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: ip.octets() },
        sin6_scope_id: if local { ifindex } else { 0 },
    }
}

fn bind_to_interface(fd: BorrowedFd<'_>, ifindex: u32) -> io::Result<()> {
    match sockopt::set_int(fd, SOL_SOCKET, libc::SO_BINDTOIFINDEX, ifindex as c_int) {
        // The kernel binds to what does not exist, too.
        Ok(()) => rustix::net::netdevice::index_to_name_inlined(fd, ifindex).map(drop).map_err(io::Error::from),
        // Before Linux 5.1.
        Err(e) if e.raw_os_error() == Some(libc::ENOPROTOOPT) => bind_by_name(fd, ifindex),
        Err(e) => Err(e),
    }
}

fn bind_by_name(fd: BorrowedFd<'_>, ifindex: u32) -> io::Result<()> {
    let name = rustix::net::netdevice::index_to_name_inlined(fd, ifindex)?;
    sockopt::set_bytes(fd, SOL_SOCKET, libc::SO_BINDTODEVICE, name.as_bytes())?;
    // The name may have passed to another interface between the two calls.
    match rustix::net::netdevice::name_to_index(fd, name.as_str())? {
        i if i == ifindex => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::ENODEV)),
    }
}

fn set_up_v4(fd: BorrowedFd<'_>, ifindex: u32) -> io::Result<()> {
    opt::set_ip_ttl(fd, TTL as u32)?;
    opt::set_ip_multicast_ttl(fd, TTL as u32)?;
    opt::set_ip_tos(fd, TOS)?;
    opt::set_ip_multicast_loop(fd, false)?;
    // The next two fail under qemu-user. Each send names the interface anyway, and groups of other
    // sockets are told apart by us.
    let any = Ipv4Addr::UNSPECIFIED;
    let _ = opt::set_ip_multicast_if_with_ifindex(fd, &any, &any, ifindex);
    let _ = sockopt::set_int(fd, IPPROTO_IP, libc::IP_MULTICAST_ALL, 0);
    Ok(())
}

fn set_up_v6(fd: BorrowedFd<'_>, ifindex: u32) -> io::Result<()> {
    opt::set_ipv6_unicast_hops(fd, Some(TTL))?;
    opt::set_ipv6_multicast_hops(fd, TTL as u32)?;
    opt::set_ipv6_tclass(fd, TOS as u32)?;
    opt::set_ipv6_multicast_loop(fd, false)?;
    opt::set_ipv6_multicast_if(fd, ifindex)?;
    sockopt::set_int(fd, IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
    sockopt::set_int(fd, IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1)?;
    // Linux 4.20; before that groups of other sockets are told apart by us.
    let _ = sockopt::set_int(fd, IPPROTO_IPV6, libc::IPV6_MULTICAST_ALL, 0);
    Ok(())
}

#[cfg(test)]
mod tests;
