//! Packets that came together: one call takes as many as there may be, and they are looked at one by one.
//!
//! Read first: recvmmsg(2), cmsg(3), ipv6(7).

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use libc::{IPPROTO_IPV6, SOL_SOCKET, c_int, c_long, iovec, mmsghdr, msghdr};
#[cfg(target_pointer_width = "64")]
use linux_raw_sys::general::__NR_recvmmsg as RECVMMSG;
#[cfg(target_pointer_width = "32")]
use linux_raw_sys::general::__NR_recvmmsg_time64 as RECVMMSG;

use super::{Aligned, INT_SPACE, PKTINFO4_SPACE, PKTINFO6_SPACE, VrrpSocket};
use crate::config::model::Family;
use crate::router::event::Received;
use crate::vrrp::packet::IPPROTO_VRRP;

/// Packets that one call takes at most.
pub const MAX_TAKEN: usize = 32;
/// Bytes that a packet may have: enough for 255 IPv6 addresses, or an IPv4 header with options and 255 IPv4
/// addresses and a password.
const LONGEST: usize = 4096;
/// Bytes of a packet that lie beside those of the others, where few adverts are longer.
const NEAR: usize = 128;
/// The shortest IPv4 header.
const IPV4_HEADER: usize = 20;
/// Destination, hop limit, overflow count.
const CONTROL: usize = PKTINFO6_SPACE + 2 * INT_SPACE;
static_assertions::const_assert!(PKTINFO4_SPACE + INT_SPACE <= CONTROL);

/// What the control messages of a packet told.
#[derive(Clone, Copy, Default)]
struct Told {
    destination: Option<Ipv6Addr>,
    hop_limit: Option<u8>,
}

/// A packet beside its bytes: its length, even if there is no place for all of it.
#[derive(Clone, Copy)]
struct Taken {
    len: usize,
    /// Of an IPv6 packet.
    source: Ipv6Addr,
    told: Told,
}

/// What the kernel fills in for one packet, beside its bytes.
struct Place {
    vectors: [iovec; 2],
    from: libc::sockaddr_in6,
    control: Aligned<CONTROL>,
}

/// Places for packets.
pub struct Inbox {
    /// All packets begin in one page of memory.
    near: Box<[[u8; NEAR]; MAX_TAKEN]>,
    /// What is longer goes on here. So much is mapped by itself, and takes no memory until it is written to.
    far: Box<[u8]>,
    taken: [Taken; MAX_TAKEN],
    /// The kernel has no recvmmsg.
    singly: bool,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox {
            near: Box::new([[0; NEAR]; MAX_TAKEN]),
            far: vec![0; LONGEST * MAX_TAKEN].into_boxed_slice(),
            taken: [Taken { len: 0, source: Ipv6Addr::UNSPECIFIED, told: Told::default() }; MAX_TAKEN],
            singly: false,
        }
    }
}

impl Inbox {
    /// Takes packets from a socket, `most` at most; how many there are, 0 only if none was left. An error of
    /// the link (ENETDOWN) is told once and cleared.
    pub fn take(&mut self, socket: &VrrpSocket, most: usize) -> io::Result<usize> {
        let most = if self.singly { 1 } else { most.clamp(1, MAX_TAKEN) };
        let mut headers = [const { MaybeUninit::<mmsghdr>::uninit() }; MAX_TAKEN];
        let mut places = [const { MaybeUninit::<Place>::uninit() }; MAX_TAKEN];
        for k in 0..most {
            let (near, far) = (&mut self.near[k], &mut self.far[k * LONGEST..][NEAR..LONGEST]);
            let place = places[k].write(Place {
                vectors: [
                    iovec { iov_base: near.as_mut_ptr().cast(), iov_len: near.len() },
                    iovec { iov_base: far.as_mut_ptr().cast(), iov_len: far.len() },
                ],
                // SAFETY: plain data, for which all zeros are valid.
                from: unsafe { mem::zeroed() },
                control: Aligned([0; CONTROL]),
            });
            // SAFETY: as above.
            let header = headers[k].write(unsafe { mem::zeroed() });
            header.msg_hdr.msg_name = (&raw mut place.from).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as _;
            header.msg_hdr.msg_iov = place.vectors.as_mut_ptr();
            header.msg_hdr.msg_iovlen = place.vectors.len() as _;
            header.msg_hdr.msg_control = place.control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL as _;
        }
        let n = loop {
            match receive(socket, headers.as_mut_ptr().cast(), most) {
                Ok(n) => break n.min(most),
                Err(e) => match e.raw_os_error() {
                    Some(libc::EAGAIN) => return Ok(0),
                    Some(libc::EINTR) => {}
                    Some(libc::ENOSYS) if most > 1 => {
                        self.singly = true;
                        return self.take(socket, 1);
                    }
                    _ => return Err(e),
                },
            }
        };
        for (k, taken) in self.taken.iter_mut().enumerate().take(n) {
            // SAFETY: the first `most` of both were written above, and `n` is no more.
            let (header, place) = unsafe { (headers[k].assume_init_ref(), places[k].assume_init_ref()) };
            taken.len = header.msg_len as usize;
            taken.source = Ipv6Addr::from(place.from.sin6_addr.s6_addr);
            taken.told = told(&header.msg_hdr, socket);
        }
        Ok(n)
    }

    /// Packet `k` of those that were just taken from `socket`; `None` if it is none that an IP layer delivers,
    /// or of a group of another socket.
    pub fn message(&mut self, k: usize, socket: &VrrpSocket) -> Option<Received<'_>> {
        let Taken { len, source, told } = self.taken[k];
        let bytes = if len <= NEAR {
            &self.near[k][..len]
        } else {
            let far = &mut self.far[k * LONGEST..][..LONGEST];
            far[..NEAR].copy_from_slice(&self.near[k]);
            far.get(..len).unwrap_or(&[])
        };
        let parsed = match socket.family {
            Family::V4 => parse_v4(bytes),
            Family::V6 => parse_v6(bytes.len(), source, &told),
        };
        let Some(p) = parsed.filter(|_| len == bytes.len()) else {
            socket.garbage.set(socket.garbage.get().wrapping_add(1));
            return None;
        };
        let Parsed { source, destination, ttl, start, end } = p;
        // Another socket's group: only kernels before 4.20 deliver it (IPv6).
        socket.is_for_us(destination).then(|| Received {
            ifindex: socket.ifindex,
            source,
            destination,
            ttl,
            payload: &bytes[start..end],
        })
    }
}

/// Up to `most` packets at once, none of which is waited for; how many they are.
fn receive(socket: &VrrpSocket, headers: *mut mmsghdr, most: usize) -> io::Result<usize> {
    let (fd, flags) = (socket.fd.as_raw_fd(), libc::MSG_DONTWAIT | libc::MSG_TRUNC);
    let n = if most == 1 {
        // SAFETY: there is a whole header at `headers`. Every pointer in it is to what lives in the caller or in
        // its inbox, with its length.
        unsafe {
            let len = libc::recvmsg(fd, &raw mut (*headers).msg_hdr, flags);
            (*headers).msg_len = len.max(0) as _;
            if len < 0 { -1 } else { 1 }
        }
    } else {
        // Not the C library's functions, of which some have a time in another form.
        // SAFETY: as above, for `most` headers; there is no time to wait.
        unsafe { libc::syscall(RECVMMSG as c_long, fd, headers, most as libc::c_uint, flags, std::ptr::null::<u8>()) }
    };
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n as usize) }
}

/// What the control messages of one packet tell of it, and of the socket.
fn told(header: &msghdr, socket: &VrrpSocket) -> Told {
    let mut told = Told::default();
    // SAFETY: the kernel filled in `header`; the caller's control buffer lives on.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !at.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a whole header in the aligned buffer.
        let (head, data) = unsafe { (&*at, libc::CMSG_DATA(at)) };
        let whole: usize = head.cmsg_len as _;
        // SAFETY: CMSG_LEN only computes.
        let len = whole.saturating_sub(unsafe { libc::CMSG_LEN(0) } as usize);
        read_control(head.cmsg_level, head.cmsg_type, data, len, &mut told, socket);
        // SAFETY: as above.
        at = unsafe { libc::CMSG_NXTHDR(header, at) };
    }
    told
}

fn read_control(level: c_int, kind: c_int, data: *const u8, len: usize, told: &mut Told, socket: &VrrpSocket) {
    match (level, kind) {
        (SOL_SOCKET, libc::SO_RXQ_OVFL) if len >= size_of::<u32>() => {
            // SAFETY: the kernel wrote `len` bytes at `data`; they need not be aligned.
            socket.overflows.set(unsafe { data.cast::<u32>().read_unaligned() });
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

/// A packet taken apart; the message is at `start..end` of its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) ttl: u8,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// An IPv4 packet (RFC 791 §3.1), options skipped.
pub(super) fn parse_v4(packet: &[u8]) -> Option<Parsed> {
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
