//! The socket of requests.
//!
//! The kernel answers a request while it is being sent, so that the answer is there when the call
//! returns: nothing here waits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use linux_raw_sys::netlink as nl;
use rustix::io::Errno;

use super::message::{self, Message, Request, error_of, messages};
use super::{BUFFER, Reception, Socket};
use crate::router::VmacSpec;
use crate::router::event::{AddressSpec, LinkAddress, LinkInfo};
use crate::sys::memory;
use crate::sys::sockopt;
use crate::table::Table;

/// Addresses of one link that are looked at.
pub const MAX_LINK_ADDRESSES: usize = 512;

/// The addresses of a link, in the kernel's order.
pub type AddressList = Table<LinkAddress, MAX_LINK_ADDRESSES>;

/// How often a dump is begun anew that changes interrupted, before what came is taken.
const TRIES: usize = 8;

/// Why an address or a route could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// It is there already.
    Exists,
    /// The link is gone.
    NoDevice,
    /// We lack CAP_NET_ADMIN.
    Permission,
    /// Something else: the error number. EACCES: IPv6 is disabled on the link.
    Other(i32),
}

impl AddError {
    pub(super) const fn from_errno(e: i32) -> AddError {
        match e {
            libc::EEXIST => AddError::Exists,
            libc::ENODEV => AddError::NoDevice,
            libc::EPERM => AddError::Permission,
            e => AddError::Other(e),
        }
    }
}

/// The socket of requests, with its buffer.
pub struct Rtnl {
    socket: Socket,
    seq: u32,
    buffer: Box<[u8; BUFFER]>,
}

impl AsFd for Rtnl {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Rtnl {
    /// Opens the socket.
    pub fn open() -> io::Result<Rtnl> {
        let socket = Socket::open(0)?;
        // Linux 4.20: dumps filtered by the kernel, which we do ourselves too; 4.3: short acknowledgements.
        for option in [nl::NETLINK_GET_STRICT_CHK, nl::NETLINK_CAP_ACK] {
            let _ = sockopt::set_int(socket.as_fd(), libc::SOL_NETLINK, option as _, 1);
        }
        Ok(Rtnl { socket, seq: 0, buffer: memory::zeroed() })
    }

    /// Calls `f` with every link. A change during the dump begins it anew: a link may be told twice.
    pub fn links(&mut self, mut f: impl FnMut(LinkInfo<'_>)) -> io::Result<()> {
        self.dump(
            Request::dump_links,
            |_| {},
            |m| {
                if m.kind as u32 == nl::RTM_NEWLINK as u32
                    && let Some(link) = message::parse_link(m.body)
                {
                    f(link);
                }
            },
        )
    }

    /// Fills `list` with the addresses of a link; none if the link is gone. Returns how many more
    /// there are than the list holds.
    pub fn addresses(&mut self, ifindex: u32, list: &mut AddressList) -> io::Result<usize> {
        let mut state = (list, 0);
        let dumped = self.dump_with(
            &mut state,
            |seq| Request::dump_addresses(seq, ifindex),
            |(list, more)| {
                list.clear();
                *more = 0;
            },
            |(list, more), m| {
                if m.kind as u32 == nl::RTM_NEWADDR as u32
                    && let Some((at, address)) = message::parse_address(m.body)
                    && at == ifindex
                    && list.push(address).is_err()
                {
                    *more += 1;
                }
            },
        );
        match dumped {
            // A kernel that checks strictly knows the link to be gone.
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => {
                state.0.clear();
                Ok(0)
            }
            Err(e) => Err(e),
            Ok(()) => Ok(state.1),
        }
    }

    /// Puts an address on its link.
    pub fn add_address(&mut self, spec: &AddressSpec<'_>) -> Result<(), AddError> {
        let request = Request::add_address(self.next_seq(), spec);
        self.acknowledged(request).map_err(|e| AddError::from_errno(e.raw_os_error()))
    }

    /// Takes an address off its link; false if it was not there, or the link is not.
    pub fn remove_address(&mut self, spec: &AddressSpec<'_>) -> io::Result<bool> {
        let request = Request::remove_address(self.next_seq(), spec);
        match self.acknowledged(request) {
            Ok(()) => Ok(true),
            Err(Errno::ADDRNOTAVAIL | Errno::NODEV | Errno::NXIO) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Makes a macvlan, down; the error number.
    pub fn add_macvlan(&mut self, spec: &VmacSpec<'_>) -> Result<(), i32> {
        let request = Request::add_macvlan(self.next_seq(), spec);
        self.acknowledged(request).map_err(Errno::raw_os_error)
    }

    /// Sets a link up or down.
    pub fn set_link(&mut self, ifindex: u32, up: bool) -> io::Result<()> {
        let request = Request::set_link(self.next_seq(), ifindex, up);
        Ok(self.acknowledged(request)?)
    }

    /// Says that frames for `mac` are a bridge's own, or no longer.
    pub fn bridge_owns(&mut self, bridge: u32, mac: [u8; 6], owns: bool) -> io::Result<()> {
        let request = Request::bridge_owns(self.next_seq(), bridge, mac, owns);
        match self.acknowledged(request) {
            // It was not known, or the bridge is gone.
            Ok(()) | Err(Errno::NOENT | Errno::NODEV) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Removes a link; no error if it is gone.
    pub fn remove_link(&mut self, ifindex: u32) -> io::Result<()> {
        let request = Request::remove_link(self.next_seq(), ifindex);
        match self.acknowledged(request) {
            Ok(()) | Err(Errno::NODEV) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    pub(super) fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1);
        self.seq
    }

    /// Sends a request and finds its acknowledgement.
    pub(super) fn acknowledged(&mut self, mut request: Request) -> Result<(), Errno> {
        self.socket.send(request.bytes())?;
        loop {
            let n = self.answer()?;
            for m in messages(&self.buffer[..n]) {
                if m.seq == self.seq && m.kind as u32 == nl::NLMSG_ERROR {
                    return match error_of(m.body) {
                        Some(0) => Ok(()),
                        Some(e) => Err(Errno::from_raw_os_error(e)),
                        None => Err(Errno::BADMSG),
                    };
                }
            }
        }
    }

    /// The next datagram. One must be there.
    fn answer(&mut self) -> Result<usize, Errno> {
        match self.socket.receive(&mut self.buffer)? {
            Reception::Bytes(n) => Ok(n),
            Reception::Truncated => Err(Errno::MSGSIZE),
            Reception::Overrun => Err(Errno::NOBUFS),
            Reception::Empty => Err(Errno::AGAIN),
        }
    }

    fn dump(
        &mut self,
        request: impl Fn(u32) -> Request,
        mut begin: impl FnMut(&mut ()),
        mut each: impl FnMut(Message<'_>),
    ) -> io::Result<()> {
        self.dump_with(&mut (), request, |s| begin(s), |_, m| each(m))
    }

    /// One dump: `begin` at each beginning, `each` for every message of it.
    fn dump_with<S>(
        &mut self,
        state: &mut S,
        request: impl Fn(u32) -> Request,
        mut begin: impl FnMut(&mut S),
        mut each: impl FnMut(&mut S, Message<'_>),
    ) -> io::Result<()> {
        for _ in 0..TRIES {
            begin(state);
            let seq = self.next_seq();
            self.socket.send(request(seq).bytes())?;
            let mut interrupted = false;
            'dump: loop {
                let n = self.answer()?;
                for m in messages(&self.buffer[..n]) {
                    if m.seq != seq {
                        // Left over from a request that failed half-way.
                        continue;
                    }
                    interrupted |= m.flags as u32 & nl::NLM_F_DUMP_INTR != 0;
                    if matches!(m.kind as u32, nl::NLMSG_DONE | nl::NLMSG_ERROR) {
                        match error_of(m.body) {
                            Some(0) | None => break 'dump,
                            Some(e) => return Err(io::Error::from_raw_os_error(e)),
                        }
                    }
                    each(state, m);
                }
            }
            if !interrupted {
                break;
            }
        }
        Ok(())
    }
}
