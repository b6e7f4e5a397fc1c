//! The control socket: a unix stream socket in the run directory, for root and ourselves only.
//!
//! The directory is closed to others, the socket has mode 0600, and the peer's user is asked of the
//! kernel all the same.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use super::files::{Lock, RunDir};
use super::reactor::{Reactor, Token};
use super::tasks::Tasks;

/// Its name in the run directory.
pub const NAME: &str = "control.sock";
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4;
/// Refused connections that one call passes over.
const REFUSALS: usize = 8;

/// The socket that clients connect to.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Listener {
    /// Listens in `dir`. A socket that is there is a dead daemon's, for the lock is ours.
    pub fn bind(dir: &RunDir, _lock: &Lock) -> io::Result<Listener> {
        dir.remove(NAME)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::bind(&fd, &SocketAddrUnix::new(dir.path().join(NAME))?)?;
        rustix::fs::chmodat(dir, NAME, Mode::RUSR | Mode::WUSR, rustix::fs::AtFlags::empty())?;
        rustix::net::listen(&fd, BACKLOG)?;
        Ok(Listener { fd })
    }

    /// The next client, if there is one. Others than root and our own user are turned away.
    pub fn accept(&self) -> io::Result<Option<Connection>> {
        for _ in 0..REFUSALS {
            match rustix::net::accept_with(&self.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(fd) => {
                    let uid = peer_uid(fd.as_fd())?;
                    if uid == 0 || uid == rustix::process::geteuid().as_raw() {
                        return Ok(Some(Connection { fd }));
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(None)
    }
}

/// The user at the other end. Not rustix's call: its type has no room for the process id 0 that the
/// kernel gives for a peer in another process namespace.
fn peer_uid(fd: BorrowedFd<'_>) -> io::Result<u32> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the pointers are to locals that live through the call; `len` is the size of `peer`,
    // which is plain integers.
    let r = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut peer).cast(), &raw mut len)
    };
    if r == 0 { Ok(peer.uid) } else { Err(io::Error::last_os_error()) }
}

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    fd: OwnedFd,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Connection {
    /// Reads what is there; `None` if nothing is yet, `Some(0)` at the end.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::DONTWAIT) {
            Ok((n, _)) => Ok(Some(n)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Writes what the socket takes; `None` if it takes nothing now.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match rustix::net::send(&self.fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(n) => Ok(Some(n)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Reads as soon as there is something; 0 at the end. For a connection that the reactor knows
    /// as `token` by [`Reactor::add_for_task`].
    pub async fn read(&self, reactor: &Reactor, tasks: &Tasks, token: Token, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(n) = self.try_read(buffer)? {
                return Ok(n);
            }
            tasks.readable(reactor, token).await?;
        }
    }

    /// Writes all.
    pub async fn write_all(&self, reactor: &Reactor, tasks: &Tasks, token: Token, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write(bytes)? {
                Some(n) => bytes = &bytes[n..],
                None => tasks.writable(reactor, token).await?,
            }
        }
        Ok(())
    }
}

/// Connects to the daemon of a run directory, as a client that may block.
pub fn connect(run_dir: &Path) -> io::Result<UnixStream> {
    let path: PathBuf = run_dir.join(NAME);
    UnixStream::connect(path)
}
