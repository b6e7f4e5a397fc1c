//! Checks: what the router's priority can hang on.
//!
//! Each kind is one file, and one [`Look`]. It needs no thread, and but for [`script`] no fork. It
//! knows nothing of intervals, rise and fall: it answers once.
//!
//! - [`ping`], [`tcp`], [`http`], [`dns`]: does something answer on the network?
//! - [`process`], [`mod@file`], [`interface`], [`route`]: what does this machine say of itself?
//! - [`process_watch`]: tells when [`process`] is to look again.

pub mod dns;
pub mod file;
pub mod http;
pub mod interface;
pub mod ping;
pub mod process;
pub mod process_watch;
pub mod route;
pub mod script;
pub mod tcp;
#[cfg(test)]
mod testing;

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;

use ufmt::{uWrite, uwrite};

use crate::text::{self, Text, Written};
use crate::vrrp::timing::Instant;

/// Why a check failed, in words for status.
pub type Reason = heapless::String<128>;

/// What one run of a check says.
pub type Outcome = Result<(), Reason>;

/// What one look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It works.
    Up,
    /// It does not.
    Down(Reason),
    /// The number in a file.
    Number(i16),
    /// There is none.
    NoNumber(Reason),
}

impl From<Outcome> for Seen {
    fn from(outcome: Outcome) -> Seen {
        outcome.map_or_else(Seen::Down, |()| Seen::Up)
    }
}

/// A kind of check. Whoever has one calls [`ready`](Self::ready), [`look`](Self::look) and
/// [`settle`](Self::settle) in turn, and looks again at the check's interval, or sooner if
/// [`change`](Self::change) says so.
#[allow(async_fn_in_trait)] // One thread: no future is sent to another.
pub trait Look {
    /// Waits until it may look.
    async fn ready(&mut self) {}

    /// Looks, until `deadline` at the latest.
    async fn look(&mut self, deadline: Instant) -> Seen;

    /// Waits until what it left behind is gone.
    async fn settle(&mut self) {}

    /// Whether the kernel tells of changes.
    fn is_told(&self) -> bool {
        false
    }

    /// Waits until the kernel tells that something may have changed. It may be given up. Behind an error
    /// the kernel tells no more.
    async fn change(&mut self) -> io::Result<()> {
        std::future::pending().await
    }
}

/// A check that cannot even be tried.
pub struct Impossible(pub Reason);

impl Look for Impossible {
    async fn look(&mut self, _deadline: Instant) -> Seen {
        Seen::Down(self.0.clone())
    }
}

/// Where a probe leaves from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// With this address of ours.
    Address(IpAddr),
    /// Through this interface only.
    Interface(&'a str),
}

/// Renders a reason; what does not fit is cut off.
fn reason(render: &mut dyn FnMut(&mut Text<'_>) -> Written) -> Reason {
    text::cut_to(render)
}

/// A reason that is a text, cut to what there is room for.
pub fn because(words: &str) -> Reason {
    reason(&mut |t| t.write_str(words))
}

/// What a call's error says about the other side, or about us.
fn failed(e: &io::Error) -> Reason {
    match (e.kind(), e.raw_os_error()) {
        (io::ErrorKind::TimedOut, None) => because("no answer in time"),
        (io::ErrorKind::StorageFull, None) => because("too many checks at once"),
        (io::ErrorKind::UnexpectedEof, None) => because("closed too early"),
        (_, Some(libc::ECONNREFUSED)) => because("connection refused"),
        (_, Some(libc::ECONNRESET | libc::EPIPE)) => because("connection reset"),
        (_, Some(libc::EHOSTUNREACH)) => because("host unreachable"),
        (_, Some(libc::ENETUNREACH)) => because("network unreachable"),
        (_, Some(libc::ENETDOWN)) => because("the network is down"),
        (_, Some(libc::ENODEV | libc::ENXIO)) => because("no such interface"),
        (_, Some(libc::EADDRNOTAVAIL)) => because("not an address of ours"),
        (_, Some(libc::EPERM | libc::EACCES)) => because("not permitted"),
        (_, Some(libc::ETIMEDOUT)) => because("no answer in time"),
        (_, Some(libc::EPROTO)) => because("refused by a router on the way"),
        (_, Some(errno)) => reason(&mut |t| uwrite!(t, "error {}", errno)),
        (_, None) => because("failed"),
    }
}

/// The target as the kernel wants it: with the interface's index if it is link-local and we know one.
fn toward(fd: impl AsFd, to: IpAddr, port: u16, from: Option<Source<'_>>) -> io::Result<SocketAddr> {
    Ok(match (to, from) {
        (IpAddr::V6(ip), Some(Source::Interface(name))) => {
            SocketAddr::V6(SocketAddrV6::new(ip, port, 0, rustix::net::netdevice::name_to_index(fd, name)?))
        }
        (ip, _) => SocketAddr::new(ip, port),
    })
}

/// Binds as `from` says.
fn leave_from(fd: impl AsFd, from: Option<Source<'_>>) -> io::Result<()> {
    match from {
        None => Ok(()),
        Some(Source::Address(ip)) => Ok(rustix::net::bind(fd, &SocketAddr::new(ip, 0))?),
        Some(Source::Interface(name)) => crate::sys::echo::bind_to_device(fd.as_fd(), name),
    }
}

/// A number that nobody can foresee: the standard library's keys for hashing are the system's.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
