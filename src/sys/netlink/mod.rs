//! rtnetlink: links and addresses.
//!
//! - [`message`]: reading and writing messages in fixed buffers.
//! - [`request`]: [`Rtnl`], the socket of requests: dumps, and addresses put on and taken off.
//! - [`own_route`]: routes of ours: added, removed, and watched.
//! - [`route`]: is a route there, and when routes may have changed.
//! - [`monitor`]: [`Monitor`], the socket that tells of changes.
//!
//! Open the monitor first and dump then, so that nothing falls between the two.

pub mod message;
pub mod monitor;
pub mod nftables;
pub mod own_route;
pub mod request;
pub mod route;

pub use monitor::{Monitor, Notice};
pub use own_route::RouteWatch;
pub use request::{AddError, AddressList, MAX_LINK_ADDRESSES, Rtnl};

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

/// Bytes of a receive buffer: the kernel fills at most 8 KiB at a time for who asks for no more.
const BUFFER: usize = 8192;

/// What one reception brought.
pub(super) enum Reception {
    /// So many bytes from the kernel.
    Bytes(usize),
    /// A message that did not fit the buffer.
    Truncated,
    /// Messages were lost: the kernel had no room for them.
    Overrun,
    /// Nothing there.
    Empty,
}

/// A netlink socket.
pub(super) struct Socket {
    fd: OwnedFd,
}

impl Socket {
    fn open(groups: u32) -> io::Result<Socket> {
        // No protocol is protocol 0: NETLINK_ROUTE.
        Socket::unbound(None)?.bound(groups)
    }

    pub(super) fn unbound(protocol: Option<Protocol>) -> io::Result<Socket> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        Ok(Socket { fd })
    }

    pub(super) fn bound(self, groups: u32) -> io::Result<Socket> {
        let fd = self.fd;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, groups))?;
        Ok(Socket { fd })
    }

    pub(super) fn send(&self, message: &[u8]) -> Result<(), Errno> {
        rustix::net::sendto(&self.fd, message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        Ok(())
    }

    pub(super) fn receive<const N: usize>(&self, buffer: &mut [u8; N]) -> Result<Reception, Errno> {
        loop {
            match rustix::net::recvfrom(&self.fd, &mut buffer[..], RecvFlags::TRUNC) {
                Ok((_, len, from)) => {
                    let from = from.and_then(|a| SocketAddrNetlink::try_from(a).ok());
                    // Any local user may send to a netlink socket. The kernel is port 0.
                    if from.is_none_or(|a| a.pid() != 0) {
                        continue;
                    }
                    return Ok(if len > N { Reception::Truncated } else { Reception::Bytes(len) });
                }
                Err(Errno::AGAIN) => return Ok(Reception::Empty),
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => return Ok(Reception::Overrun),
                Err(e) => return Err(e),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests;
