//! The socket that tells of changes to links and addresses.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use linux_raw_sys::netlink as nl;

use super::message::{messages, parse_address, parse_link};
use super::{BUFFER, Reception, Socket};
use crate::router::event::{LinkAddress, LinkInfo};
use crate::sys::memory;

/// Bytes that may queue in the kernel: some hundred changes at once.
const QUEUE: usize = 512 * 1024;

/// Datagrams that one call reads at most; the rest keeps the descriptor readable.
const BATCH: usize = 256;

/// Datagrams that are thrown away after an overrun: more than the queue can hold, so that only what
/// came during the call can be left.
const DRAIN: usize = 8 * 1024;

/// What changed.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// A link appeared or changed, its name perhaps.
    Link(LinkInfo<'a>),
    /// A link is gone.
    LinkGone {
        /// Its index.
        ifindex: u32,
    },
    /// An address appeared, changed, or is gone.
    Address {
        /// The link's index.
        ifindex: u32,
        /// The address.
        address: LinkAddress,
        /// It is there; or else gone.
        added: bool,
    },
    /// Notices were lost: dump all and compare.
    Overrun,
}

/// The socket, with its buffer.
pub struct Monitor {
    socket: Socket,
    buffer: Box<[u8; BUFFER]>,
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Monitor {
    /// Opens the socket: from now on every change is told.
    pub fn open() -> io::Result<Monitor> {
        let socket = Socket::open(nl::RTMGRP_LINK | nl::RTMGRP_IPV4_IFADDR | nl::RTMGRP_IPV6_IFADDR)?;
        // Beyond the system's limit if we may; a short queue costs a resync, no more.
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, QUEUE).is_err() {
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, QUEUE);
        }
        Ok(Monitor { socket, buffer: memory::zeroed() })
    }

    /// Calls `f` with every change that is waiting.
    ///
    /// After an overrun the kernel drops every change until the queue is empty, without another word,
    /// and what waits in it is older than a dump made now: it is thrown away before `f` is told.
    pub fn recv(&mut self, mut f: impl FnMut(Notice<'_>)) -> io::Result<()> {
        for _ in 0..BATCH {
            match self.socket.receive(&mut self.buffer)? {
                Reception::Bytes(n) => messages(&self.buffer[..n]).for_each(|m| {
                    if let Some(notice) = notice(m.kind, m.body) {
                        f(notice);
                    }
                }),
                Reception::Truncated | Reception::Overrun => {
                    self.drain()?;
                    f(Notice::Overrun);
                    break;
                }
                Reception::Empty => break,
            }
        }
        Ok(())
    }

    fn drain(&mut self) -> io::Result<()> {
        for _ in 0..DRAIN {
            if let Reception::Empty = self.socket.receive(&mut self.buffer)? {
                break;
            }
        }
        Ok(())
    }
}

/// What a message tells.
pub(super) fn notice(kind: u16, body: &[u8]) -> Option<Notice<'_>> {
    let kind = kind as u32;
    if kind == nl::RTM_NEWLINK as u32 {
        parse_link(body).map(Notice::Link)
    } else if kind == nl::RTM_DELLINK as u32 {
        parse_link(body).map(|link| Notice::LinkGone { ifindex: link.ifindex })
    } else if kind == nl::RTM_NEWADDR as u32 || kind == nl::RTM_DELADDR as u32 {
        let added = kind == nl::RTM_NEWADDR as u32;
        parse_address(body).map(|(ifindex, address)| Notice::Address { ifindex, address, added })
    } else if kind == nl::NLMSG_OVERRUN {
        Some(Notice::Overrun)
    } else {
        None
    }
}
