//! The raw socket of protocol 112: one for each interface and family.
//!
//! Read first: RFC 9568 §5.1 (TTL, groups), ip(7), ipv6(7), raw(7), RFC 3542.
//!
//! The socket hears what arrives on its interface alone, and of multicast only the groups that it
//! joined itself. Lengths and addresses of the IP layer are checked here; the TTL is told and not
//! judged, so that whoever judges it can count it.

use std::cell::Cell;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use heapless::Vec;
use libc::{IPPROTO_IP, IPPROTO_IPV6, SOL_SOCKET, c_int, c_void, cmsghdr, iovec, msghdr};
use rustix::net::sockopt as opt;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::filter::{self, VridBitmap};
use super::sockopt;
use crate::config::model::Family;
use crate::router::event::Received;
use crate::vrrp::packet::{IPPROTO_VRRP, TTL};

/// TOS and traffic class: internetwork control.
pub(super) const TOS: u8 = 0xC0;
/// Bytes that may queue: some hundred adverts.
const QUEUE: usize = 256 * 1024;
/// Packets that can wait in a socket, at most: each takes more of the queue, which the kernel
/// doubles for its own use, than this.
pub const MAX_QUEUED: usize = 2 * QUEUE / 256;
/// Groups that one socket can join; the kernel's own default limit is 20.
pub const MAX_GROUPS: usize = 16;
/// Packets that one call skips at most, so that a flood of rubbish does not hold us: what is behind
/// a queue full of it came after we began.
const SKIPS: usize = MAX_QUEUED;
/// The shortest IPv4 header.
const IPV4_HEADER: usize = 20;

/// Bytes that a buffer for [`VrrpSocket::recv`] needs to hold every message: 255 IPv6 addresses,
/// or an IPv4 header with options and 255 IPv4 addresses and a password.
pub const RECEIVE_BUFFER: usize = 4096;

/// Room for control messages, aligned as `struct cmsghdr` is.
#[repr(C, align(8))]
struct Control([u8; 128]);

// SAFETY: these functions only compute with sizes.
const PKTINFO4_SPACE: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::in_pktinfo>() as u32) } as usize;
const PKTINFO6_SPACE: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::in6_pktinfo>() as u32) } as usize;
const INT_SPACE: usize = unsafe { libc::CMSG_SPACE(size_of::<c_int>() as u32) } as usize;
// Destination, hop limit, overflow count.
static_assertions::const_assert!(PKTINFO6_SPACE + 2 * INT_SPACE <= 128 && PKTINFO4_SPACE <= 128);
static_assertions::const_assert!(align_of::<cmsghdr>() <= 8);

/// What the control messages of a packet told.
#[derive(Default)]
struct Told {
    destination: Option<Ipv6Addr>,
    hop_limit: Option<u8>,
}

/// A raw VRRP socket on one interface.
pub struct VrrpSocket {
    fd: OwnedFd,
    family: Family,
    ifindex: u32,
    groups: Vec<IpAddr, MAX_GROUPS>,
    overflows: Cell<u32>,
    garbage: Cell<u32>,
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
        let (overflows, garbage) = (Cell::new(0), Cell::new(0));
        Ok(VrrpSocket { fd, family, ifindex, groups: Vec::new(), overflows, garbage })
    }

    /// A socket of the program that this process ran before, with the groups that it has joined.
    pub fn adopt(fd: OwnedFd, family: Family, ifindex: u32, groups: Vec<IpAddr, MAX_GROUPS>) -> VrrpSocket {
        VrrpSocket { fd, family, ifindex, groups, overflows: Cell::new(0), garbage: Cell::new(0) }
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

    /// Lets only the messages of these VRIDs wake us; `None` lets all. What is queued stays.
    pub fn set_filter(&self, vrids: Option<&VridBitmap>) -> io::Result<()> {
        match vrids {
            Some(bitmap) => filter::pass_vrids(self.as_fd(), self.family, bitmap),
            None => filter::pass_all(self.as_fd()),
        }
    }

    /// The next message, if one is there. An error of the link (ENETDOWN) is told once and cleared.
    pub fn recv<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<Received<'b>>> {
        for _ in 0..SKIPS {
            let Some((len, from, told)) = self.receive(buffer)? else { return Ok(None) };
            let parsed = match self.family {
                Family::V4 => parse_v4(buffer.get(..len).unwrap_or(&[])),
                Family::V6 => parse_v6(len, from, &told),
            };
            match parsed {
                Some(p) if len <= buffer.len() && self.is_for_us(p.destination) => {
                    let Parsed { source, destination, ttl, start, end } = p;
                    let payload = &buffer[start..end];
                    return Ok(Some(Received { ifindex: self.ifindex, source, destination, ttl, payload }));
                }
                // Another socket's group: only kernels before 4.20 deliver it (IPv6).
                Some(_) if len <= buffer.len() => {}
                _ => self.garbage.set(self.garbage.get().wrapping_add(1)),
            }
        }
        Ok(None)
    }

    fn is_for_us(&self, destination: IpAddr) -> bool {
        !destination.is_multicast() || self.groups.contains(&destination)
    }

    /// One recvmsg: its length (of the packet, even if longer than the buffer), source, what the
    /// control messages told.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, Ipv6Addr, Told)>> {
        // SAFETY: sockaddr_in6 and msghdr are plain data, for which all zeros are valid.
        let (mut from, mut header): (libc::sockaddr_in6, msghdr) = unsafe { (mem::zeroed(), mem::zeroed()) };
        let mut control = Control([0; 128]);
        let mut vector = iovec { iov_base: buffer.as_mut_ptr().cast::<c_void>(), iov_len: buffer.len() };
        header.msg_name = (&raw mut from).cast();
        header.msg_namelen = size_of::<libc::sockaddr_in6>() as _;
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = control.0.len() as _;
        let n = loop {
            // SAFETY: every pointer in `header` is to a local or to `buffer`, with its length, and
            // all outlive the call.
            let n =
                unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT | libc::MSG_TRUNC) };
            if n >= 0 {
                break n as usize;
            }
            let e = io::Error::last_os_error();
            match e.kind() {
                io::ErrorKind::WouldBlock => return Ok(None),
                io::ErrorKind::Interrupted => {}
                _ => return Err(e),
            }
        };
        let mut told = Told::default();
        // SAFETY: the kernel filled in `header`; its control buffer is `control`, which lives on.
        let mut at = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
        while !at.is_null() {
            // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a whole header in the aligned buffer.
            let (head, data) = unsafe { (&*at, libc::CMSG_DATA(at)) };
            let whole: usize = head.cmsg_len as _;
            // SAFETY: CMSG_LEN only computes.
            let len = whole.saturating_sub(unsafe { libc::CMSG_LEN(0) } as usize);
            self.read_control(head.cmsg_level, head.cmsg_type, data, len, &mut told);
            // SAFETY: as above.
            at = unsafe { libc::CMSG_NXTHDR(&raw const header, at) };
        }
        Ok(Some((n, Ipv6Addr::from(from.sin6_addr.s6_addr), told)))
    }

    fn read_control(&self, level: c_int, kind: c_int, data: *const u8, len: usize, told: &mut Told) {
        match (level, kind) {
            (SOL_SOCKET, libc::SO_RXQ_OVFL) if len >= size_of::<u32>() => {
                // SAFETY: the kernel wrote `len` bytes at `data`; they need not be aligned.
                self.overflows.set(unsafe { data.cast::<u32>().read_unaligned() });
            }
            (IPPROTO_IPV6, libc::IPV6_HOPLIMIT) if len >= size_of::<c_int>() => {
                // A whole int: read as a byte it would be 0 on big-endian machines.
                // SAFETY: as above.
                let hops = unsafe { data.cast::<c_int>().read_unaligned() };
                told.hop_limit = u8::try_from(hops).ok();
            }
            (IPPROTO_IPV6, libc::IPV6_PKTINFO) if len >= size_of::<libc::in6_pktinfo>() => {
                // SAFETY: as above; the struct is plain data.
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                told.destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
            }
            _ => {}
        }
    }

    /// Sends a message from `source`, an address of this host, out of this interface. Errors are the
    /// kernel's: EADDRNOTAVAIL or EINVAL if the source is not ours, ENETDOWN, ENOBUFS, ENODEV.
    pub fn send(&self, source: IpAddr, destination: IpAddr, payload: &[u8]) -> io::Result<()> {
        // SAFETY: msghdr is plain data, for which all zeros are valid.
        let mut header: msghdr = unsafe { mem::zeroed() };
        let mut control = Control([0; 128]);
        let mut vector = iovec { iov_base: payload.as_ptr().cast_mut().cast::<c_void>(), iov_len: payload.len() };
        let (v4, v6);
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) if self.family == Family::V4 => {
                v4 = sockaddr_in(destination);
                header.msg_name = (&raw const v4).cast_mut().cast();
                header.msg_namelen = size_of::<libc::sockaddr_in>() as _;
                header.msg_controllen = PKTINFO4_SPACE as _;
                let info = libc::in_pktinfo {
                    ipi_ifindex: self.ifindex as c_int,
                    ipi_spec_dst: in_addr(source),
                    ipi_addr: in_addr(Ipv4Addr::UNSPECIFIED),
                };
                put_control(&header, IPPROTO_IP, libc::IP_PKTINFO, info);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) if self.family == Family::V6 => {
                v6 = sockaddr_in6(destination, self.ifindex);
                header.msg_name = (&raw const v6).cast_mut().cast();
                header.msg_namelen = size_of::<libc::sockaddr_in6>() as _;
                header.msg_controllen = PKTINFO6_SPACE as _;
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
                    ipi6_ifindex: self.ifindex as _,
                };
                put_control(&header, IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: every pointer in `header` is to a local or to `payload`, with its length, and all
        // outlive the call, which writes to none of them.
        let n = unsafe { libc::sendmsg(self.fd.as_raw_fd(), &raw const header, flags) };
        if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// Fills in the one control message of `header`, whose buffer is an aligned [`Control`] with room for it.
fn put_control<T: Copy>(header: &msghdr, level: c_int, kind: c_int, value: T) {
    // SAFETY: msg_controllen is the CMSG_SPACE of `T`, so the first header and its data lie within
    // the buffer, which is aligned for the header; the data need not be.
    unsafe {
        let at = libc::CMSG_FIRSTHDR(header);
        (*at).cmsg_level = level;
        (*at).cmsg_type = kind;
        (*at).cmsg_len = libc::CMSG_LEN(size_of::<T>() as u32) as _;
        libc::CMSG_DATA(at).cast::<T>().write_unaligned(value);
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

/// A packet taken apart; the message is at `start..end` of the buffer.
#[derive(Debug, PartialEq, Eq)]
struct Parsed {
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    start: usize,
    end: usize,
}

/// An IPv4 packet (RFC 791 §3.1), options skipped.
fn parse_v4(packet: &[u8]) -> Option<Parsed> {
    let head = packet.first_chunk::<IPV4_HEADER>()?;
    let start = (head[0] & 15) as usize * 4;
    let end = u16::from_be_bytes([head[2], head[3]]) as usize;
    if head[0] >> 4 != 4 || start < IPV4_HEADER || start > end || end > packet.len() || head[9] != IPPROTO_VRRP {
        return None;
    }
    Some(Parsed {
        source: IpAddr::V4(Ipv4Addr::new(head[12], head[13], head[14], head[15])),
        destination: IpAddr::V4(Ipv4Addr::new(head[16], head[17], head[18], head[19])),
        ttl: head[8],
        start,
        end,
    })
}

/// An IPv6 packet, of which the kernel delivers the message alone and the rest beside it.
fn parse_v6(len: usize, from: Ipv6Addr, told: &Told) -> Option<Parsed> {
    let (destination, ttl) = (IpAddr::V6(told.destination?), told.hop_limit?);
    Some(Parsed { source: IpAddr::V6(from), destination, ttl, start: 0, end: len })
}

#[cfg(test)]
mod tests;
