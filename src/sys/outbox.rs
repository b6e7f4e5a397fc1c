//! Messages that leave together: what one step sends through one socket is one call.
//!
//! Read first: sendmmsg(2). What cannot be sent is told for each message by itself.

use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_void, cmsghdr, iovec, mmsghdr};
use linux_raw_sys::if_packet::sockaddr_ll;

use crate::table::{Full, Table};
use crate::vrrp::packet::MAX_LEN;

/// Messages that one call sends at most.
const MOST: usize = 16;
/// The longest message: an advert with the headers of Ethernet and IPv6 before it.
const LONGEST: usize = MAX_LEN + 54;
/// Bytes of all messages.
const BYTES: usize = 4096;
static_assertions::const_assert!(LONGEST < BYTES);

/// An array that is aligned as `struct cmsghdr` is.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Aligned<const N: usize>(pub(super) [u8; N]);
static_assertions::const_assert!(align_of::<cmsghdr>() <= 8);

// SAFETY: these functions only compute with sizes.
pub(super) const PKTINFO4_SPACE: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::in_pktinfo>() as u32) } as usize;
// SAFETY: as above.
pub(super) const PKTINFO6_SPACE: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::in6_pktinfo>() as u32) } as usize;
static_assertions::const_assert!(PKTINFO4_SPACE <= PKTINFO6_SPACE);

/// Where a message goes.
#[derive(Clone, Copy)]
pub(super) enum To {
    V4(libc::sockaddr_in, libc::in_pktinfo),
    V6(libc::sockaddr_in6, libc::in6_pktinfo),
    Link(sockaddr_ll),
}

/// A message: its end among the bytes, which begin where those of the last one end.
struct Letter<T> {
    to: To,
    end: usize,
    mark: T,
}

/// Messages for one socket, each with a mark of the caller's.
pub struct Outbox<T> {
    letters: Table<Letter<T>, MOST>,
    bytes: Table<u8, BYTES>,
}

impl<T: Copy> Default for Outbox<T> {
    fn default() -> Outbox<T> {
        Outbox { letters: Table::roomy(), bytes: Table::roomy() }
    }
}

impl<T: Copy> Outbox<T> {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Whether there is room for one more message, however long.
    pub fn has_room(&self) -> bool {
        !self.letters.is_full() && self.bytes.len() + LONGEST <= BYTES
    }

    /// Puts a message in; an error if it is too long or there is no [room](Self::has_room).
    pub(super) fn put(&mut self, mark: T, to: To, pieces: &[&[u8]]) -> io::Result<()> {
        let full = |_| io::Error::from_raw_os_error(libc::EMSGSIZE);
        let start = self.bytes.len();
        let put = pieces.iter().try_for_each(|piece| self.bytes.extend_from_slice(piece)).map_err(full);
        let letter = Letter { to, end: self.bytes.len(), mark };
        if let Err(e) = put.and_then(|()| self.letters.push(letter).map_err(|_| full(Full))) {
            self.bytes.truncate(start);
            return Err(e);
        }
        Ok(())
    }

    /// Sends all through `socket`, in order. `failed` is told the mark of each that could not be sent.
    pub fn flush(&mut self, socket: BorrowedFd<'_>, failed: &mut dyn FnMut(T, io::Error)) {
        let mut headers = [const { MaybeUninit::<mmsghdr>::uninit() }; MOST];
        let mut vectors = [const { MaybeUninit::<iovec>::uninit() }; MOST];
        let mut controls = [const { MaybeUninit::<Aligned<PKTINFO6_SPACE>>::uninit() }; MOST];
        let mut start = 0;
        for (k, letter) in self.letters.iter().enumerate() {
            // SAFETY: plain data, for which all zeros are valid.
            let header = &mut headers[k].write(unsafe { mem::zeroed() }).msg_hdr;
            let base = self.bytes[start..].as_ptr().cast_mut().cast::<c_void>();
            header.msg_iov = vectors[k].write(iovec { iov_base: base, iov_len: letter.end - start });
            header.msg_iovlen = 1;
            start = letter.end;
            let control = controls[k].write(Aligned([0; PKTINFO6_SPACE]));
            let (name, len, space) = match &letter.to {
                To::V4(name, info) => {
                    put_control(control, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
                    ((&raw const *name).cast::<c_void>(), size_of_val(name), PKTINFO4_SPACE)
                }
                To::V6(name, info) => {
                    put_control(control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
                    ((&raw const *name).cast(), size_of_val(name), PKTINFO6_SPACE)
                }
                To::Link(name) => ((&raw const *name).cast(), size_of_val(name), 0),
            };
            (header.msg_name, header.msg_namelen) = (name.cast_mut(), len as _);
            (header.msg_control, header.msg_controllen) = (control.0.as_mut_ptr().cast(), space as _);
        }
        let mut at = 0;
        while let Some(letter) = self.letters.get(at) {
            at += match send(socket, headers[at..].as_mut_ptr().cast(), self.letters.len() - at) {
                Ok(n) => n.max(1),
                // Of the first of them: those before it were sent.
                Err(e) => {
                    failed(letter.mark, e);
                    1
                }
            };
        }
        self.letters.clear();
        self.bytes.clear();
    }
}

/// Sends some of the `n` messages at `headers`, or tells why not even the first can be sent.
fn send(socket: BorrowedFd<'_>, headers: *mut mmsghdr, n: usize) -> io::Result<usize> {
    let (fd, flags) = (socket.as_raw_fd(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
    if n > 1 {
        // musl's function of this name sends one by one.
        // SAFETY: every pointer in the `n` headers is to what lives in the caller or in its outbox, with its
        // length. The kernel writes to `msg_len` alone.
        let sent = unsafe { libc::syscall(libc::SYS_sendmmsg, fd, headers, n as libc::c_uint, flags) };
        if sent >= 0 {
            return Ok(sent as usize);
        }
        let e = io::Error::last_os_error();
        if e.raw_os_error() != Some(libc::ENOSYS) {
            return Err(e);
        }
    }
    // SAFETY: as above, for the first.
    let sent = unsafe { libc::sendmsg(fd, &raw const (*headers).msg_hdr, flags) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(1) }
}

/// Writes the one control message of a header, whose value is no longer than what there is room for.
fn put_control<T: Copy>(control: &mut Aligned<PKTINFO6_SPACE>, level: c_int, kind: c_int, value: &T) {
    const { assert!(size_of::<T>() <= size_of::<libc::in6_pktinfo>()) };
    let at = control.0.as_mut_ptr().cast::<cmsghdr>();
    // SAFETY: the buffer is aligned for the header and has room for it and for the value, which need not be
    // aligned.
    unsafe {
        (*at).cmsg_level = level;
        (*at).cmsg_type = kind;
        (*at).cmsg_len = libc::CMSG_LEN(size_of::<T>() as u32) as _;
        libc::CMSG_DATA(at).cast::<T>().write_unaligned(*value);
    }
}
