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

use super::context::Watched;
use super::files::{Lock, RunDir};

/// Its name in the run directory.
pub const NAME: &str = "control.sock";
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4;
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

    /// The listener of the program that this process ran before.
    pub fn adopt(fd: OwnedFd) -> Listener {
        Listener { fd }
    }

    /// The next client, if there is one. A [`stranger`](Connection::stranger) must be turned away.
    pub fn accept(&self) -> io::Result<Option<Connection>> {
        match rustix::net::accept_with(&self.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(fd) => Ok(Some(Connection { fd })),
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

/// The process and the user at the other end; if the kernel does not tell, nobody that there is. Not rustix's
/// call: its type has no room for the process id 0 that the kernel gives for a peer in another process
/// namespace.
fn peer(fd: BorrowedFd<'_>) -> (i32, u32) {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the pointers are to locals that live through the call; `len` is the size of `peer`,
    // which is plain integers.
    let r = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut peer).cast(), &raw mut len)
    };
    if r == 0 { (peer.pid, peer.uid) } else { (0, u32::MAX) }
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
    /// A client of the program that this process ran before.
    pub fn adopt(fd: OwnedFd) -> Connection {
        Connection { fd }
    }

    /// The user at the other end, if that is neither root nor ourselves.
    pub fn stranger(&self) -> Option<u32> {
        let (_, uid) = peer(self.fd.as_fd());
        (uid != 0 && uid != rustix::process::geteuid().as_raw()).then_some(uid)
    }

    /// The process that has connected; 0 if it is in another process namespace.
    pub fn process(&self) -> i32 {
        peer(self.fd.as_fd()).0
    }

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
}

impl Watched<'_, &Connection> {
    /// Reads as soon as there is something; 0 at the end.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(n) = self.get().try_read(buffer)? {
                return Ok(n);
            }
            self.readable().await?;
        }
    }

    /// Writes all.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.get().try_write(bytes)? {
                Some(n) => bytes = &bytes[n..],
                None => self.writable().await?,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;
    use crate::sys::files::tests::Scratch;
    use crate::sys::reactor::ReadyList;
    use crate::sys::tasks::Driver;
    use crate::vrrp::timing::Micros;
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;

    fn listener() -> (Scratch, RunDir, Lock, Listener) {
        let s = Scratch::new();
        let dir = RunDir::open(&s.0).unwrap();
        let lock = dir.lock().unwrap();
        let listener = Listener::bind(&dir, &lock).unwrap();
        (s, dir, lock, listener)
    }

    /// A client asks, a task answers through the reactor with more than the socket holds at once.
    #[test]
    fn question_and_answer() {
        let (s, dir, lock, old) = listener();
        assert!(old.accept().unwrap().is_none());
        // As after a crash: the socket is there, and nobody behind it.
        drop(old);
        assert!(connect(&s.0).is_err());
        let listener = Listener::bind(&dir, &lock).unwrap();
        let mode = std::fs::metadata(s.0.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        const LONG: usize = 1_000_000;
        let path = s.0.clone();
        let client = std::thread::spawn(move || {
            let mut c = connect(&path).unwrap();
            c.write_all(b"status").unwrap();
            let mut all = Vec::new();
            c.read_to_end(&mut all).unwrap();
            all.len()
        });
        let connection = crate::sys::testnet::eventually("a client", || listener.accept().unwrap());
        let reactor = std::rc::Rc::new(crate::sys::reactor::Reactor::new().unwrap());
        let context = crate::sys::context::Context::new(reactor.clone());
        {
            let driver = Driver::new();
            let mut main = std::pin::pin!(async {
                let mut b = [0; 64];
                let watched = context.watch(&connection).unwrap();
                let n = watched.read(&mut b).await.unwrap();
                assert_eq!(&b[..n], b"status");
                watched.write_all(&vec![7; LONG]).await.unwrap();
            });
            let mut ready = ReadyList::new();
            while driver.turn(main.as_mut()).is_pending() {
                reactor.wait(Some(clock::now() + Micros::from_secs(5)), &mut ready).unwrap();
                assert!(!ready.is_empty(), "hangs");
                ready.iter().for_each(|r| assert!(context.wake_ready(r)));
            }
        }
        drop(connection);
        assert_eq!(client.join().unwrap(), LONG);
    }

    /// Even where the modes let him in, another user is known as such.
    #[test]
    fn another_user() {
        let (s, _dir, _lock, listener) = listener();
        std::fs::set_permissions(&s.0, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(s.0.join(NAME), std::fs::Permissions::from_mode(0o666)).unwrap();
        let path = s.0.clone();
        let stranger = std::thread::spawn(move || {
            let nobody = rustix::process::Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("this test needs root");
            connect(&path).unwrap()
        });
        let _stranger = stranger.join().unwrap();
        assert_eq!(listener.accept().unwrap().unwrap().stranger(), Some(65534));
        // Root is welcome behind him.
        let _client = connect(&s.0).unwrap();
        let client = listener.accept().unwrap().unwrap();
        assert_eq!((client.stranger(), client.process()), (None, std::process::id() as i32));
    }

    /// A client that goes away while we write is an error, not a signal.
    #[test]
    fn client_gone() {
        let (s, _dir, _lock, listener) = listener();
        drop(connect(&s.0).unwrap());
        let connection = listener.accept().unwrap().unwrap();
        assert_eq!(connection.try_read(&mut [0; 8]).unwrap(), Some(0));
        assert!(connection.try_write(b"x").is_err());
    }
}
