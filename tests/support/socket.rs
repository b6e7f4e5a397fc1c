//! The few sockets the tests need beyond std: packet sockets and raw ICMP, with the kernel's time
//! stamp on what they receive.

use std::io;
use std::mem::{size_of, size_of_val, zeroed};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ETH_P_ALL: u16 = 3;

/// A frame or packet as received.
pub(crate) struct Received {
    /// Bytes in the buffer.
    pub(crate) len: usize,
    /// When the kernel saw it.
    pub(crate) at: Instant,
    /// The interface (packet sockets only).
    pub(crate) ifindex: u32,
    /// Whether this host sent it (packet sockets only).
    pub(crate) outgoing: bool,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn new(domain: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: a system call without pointers; the descriptor is fresh and owned by nobody else.
    unsafe {
        let fd = check(libc::socket(domain, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, protocol))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

fn set(fd: &OwnedFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the pointer and length describe `value`, which outlives the call.
    unsafe { check(libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), len)).map(drop) }
}

/// A packet socket that hears every frame of the calling thread's namespace.
pub(crate) fn packet() -> io::Result<OwnedFd> {
    let fd = new(libc::AF_PACKET, i32::from(ETH_P_ALL.to_be()))?;
    set(&fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 8 << 20)?;
    Ok(fd)
}

/// A raw ICMP or ICMPv6 socket in the calling thread's namespace.
pub(crate) fn icmp(target: IpAddr) -> io::Result<OwnedFd> {
    let fd = match target {
        IpAddr::V4(_) => new(libc::AF_INET, libc::IPPROTO_ICMP)?,
        IpAddr::V6(_) => new(libc::AF_INET6, libc::IPPROTO_ICMPV6)?,
    };
    set(&fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    Ok(fd)
}

/// Receives one packet if there is one.
pub(crate) fn receive(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<Received>> {
    let mut control = [0u64; 16];
    // SAFETY: all-zero is a valid value of these plain C structs.
    let (mut from, mut message): (libc::sockaddr_ll, libc::msghdr) = unsafe { (zeroed(), zeroed()) };
    let mut io = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    message.msg_name = (&raw mut from).cast();
    message.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    message.msg_iov = &raw mut io;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: every pointer in `message` is to a live local of the length given beside it.
    let len = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, 0) };
    if len < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
    }
    let mut at = Instant::now();
    // SAFETY: the kernel filled the control buffer; the macros walk within its length.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_TIMESTAMPNS {
                let stamp: libc::timespec = libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned();
                at = instant_of(Duration::new(stamp.tv_sec as u64, stamp.tv_nsec as u32), at);
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    let outgoing = from.sll_pkttype == libc::PACKET_OUTGOING;
    Ok(Some(Received { len: len as usize, at, ifindex: from.sll_ifindex as u32, outgoing }))
}

/// The wall-clock `stamp` on the monotonic clock, given that it lies just before `now`.
fn instant_of(stamp: Duration, now: Instant) -> Instant {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.checked_sub(wall.saturating_sub(stamp)).unwrap_or(now)
}

/// Sends a whole Ethernet frame out of an interface of the calling thread's namespace.
pub(crate) fn send_frame(fd: &OwnedFd, ifindex: u32, frame: &[u8]) -> io::Result<()> {
    // SAFETY: all-zero is a valid value of this plain C struct.
    let mut to: libc::sockaddr_ll = unsafe { zeroed() };
    to.sll_family = libc::AF_PACKET as u16;
    to.sll_protocol = ETH_P_ALL.to_be();
    to.sll_ifindex = ifindex as i32;
    let (name, len) = ((&raw const to).cast(), size_of_val(&to) as libc::socklen_t);
    // SAFETY: the pointers and lengths describe `frame` and `to`, which outlive the call.
    let sent = unsafe { libc::sendto(fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0, name, len) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Waits until the socket can be read or `until` has come.
pub(crate) fn readable(fd: &OwnedFd, until: Instant) {
    let left = until.saturating_duration_since(Instant::now());
    let timeout = libc::timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd and one timespec, both live.
    unsafe { libc::ppoll(&raw mut poll, 1, &raw const timeout, std::ptr::null()) };
}

/// Lets the calling thread run before ordinary ones, so that a busy machine does not look like a
/// silent router. Where that is refused it stays ordinary.
pub(crate) fn run_first() {
    let param = libc::sched_param { sched_priority: 20 };
    // SAFETY: pid 0 is the calling thread; the parameter is live.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param) };
}

/// Has the kernel end the child of the calling thread when that thread is gone, however it went.
pub(crate) fn die_with_parent(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: prctl is async-signal-safe and touches no memory of ours.
    unsafe {
        command.pre_exec(|| check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL)).map(drop));
    }
}
