//! The run directory: lock, pid file, private files. And the boot's identity.
//!
//! It belongs to us alone, mode 0700. Files in it are reached through its descriptor, so that
//! nobody can put another directory in its place; they are written beside and renamed, and a
//! symbolic link is never followed.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use heapless::String;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

const LOCK: &str = "lock";
/// The pid file's name in the run directory.
pub const PID: &str = "picovrrp.pid";
/// Files and directories that only their owner may touch.
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The run directory, open.
#[derive(Debug)]
pub struct RunDir {
    fd: OwnedFd,
    path: PathBuf,
}

/// Why the lock could not be taken.
#[derive(Debug)]
pub enum LockError {
    /// Another daemon holds it; its process id, if it has written it.
    Held(Option<u32>),
    /// The system refused.
    Io(io::Error),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held(Some(pid)) => write!(f, "another daemon runs here: held by pid {pid}"),
            LockError::Held(None) => f.write_str("another daemon runs here"),
            LockError::Io(e) => write!(f, "lock: {e}"),
        }
    }
}

impl From<io::Error> for LockError {
    fn from(e: io::Error) -> LockError {
        LockError::Io(e)
    }
}

/// The lock; it is free again when this is dropped, or the process is gone.
#[derive(Debug)]
pub struct Lock {
    fd: OwnedFd,
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Lock {
    /// The lock of the program that this process ran before.
    pub fn adopt(fd: OwnedFd) -> Lock {
        Lock { fd }
    }
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

impl RunDir {
    /// Opens the directory, and makes it if it is missing (not those above it).
    ///
    /// One that is there must be ours or root's, no symbolic link, and closed to everybody else. An
    /// empty one, or one with our lock in it, is closed; any other is refused, for it might be
    /// /run or /tmp.
    pub fn open(path: &Path) -> io::Result<RunDir> {
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        let dir = RunDir::open_existing(path)?;
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&dir.fd)?.st_mode as _);
        if mode & Mode::from_bits_truncate(0o7777) != Mode::RWXU {
            let ours = rustix::fs::statat(&dir.fd, LOCK, AtFlags::SYMLINK_NOFOLLOW).is_ok();
            if !ours && std::fs::read_dir(path)?.next().is_some() {
                return Err(refused("the run directory is open to others and has files of others in it"));
            }
            rustix::fs::fchmod(&dir.fd, Mode::RWXU)?;
        }
        Ok(dir)
    }

    /// Opens the directory as it is, as clients do.
    pub fn open_existing(path: &Path) -> io::Result<RunDir> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| match e {
            Errno::LOOP | Errno::NOTDIR => refused("the run directory is a symbolic link, or not a directory"),
            e => e.into(),
        })?;
        let owner = rustix::fs::fstat(&fd)?.st_uid;
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(refused("the run directory belongs to another user"));
        }
        Ok(RunDir { fd, path: path.to_path_buf() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock and writes the pid file, or says who holds it.
    pub fn lock(&self) -> Result<Lock, LockError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::openat(&self.fd, LOCK, flags, PRIVATE_FILE).map_err(io::Error::from)?;
        match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LockError::Held(self.pid())),
            Err(e) => return Err(LockError::Io(e.into())),
        }
        self.write_pid()?;
        Ok(Lock { fd })
    }

    /// Writes the pid file: for the holder of the lock.
    pub fn write_pid(&self) -> io::Result<()> {
        let line = std::process::id().to_string() + "\n";
        self.write_private(PID, line.as_bytes())
    }

    /// The process id in the pid file.
    pub fn pid(&self) -> Option<u32> {
        let mut buffer = [0; 16];
        let text = self.read_private(PID, &mut buffer).ok()??;
        std::str::from_utf8(text).ok()?.trim_end().parse().ok()
    }

    /// Writes a file at once: whoever reads it sees the old bytes or the new ones. Mode 0600.
    pub fn write_private(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut beside = String::<80>::new();
        beside.push_str(name).and_then(|()| beside.push_str(".new")).map_err(|_| io::ErrorKind::InvalidFilename)?;
        // Left by a crash: only the holder of the lock writes here.
        self.remove(&beside)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, beside.as_str(), flags, PRIVATE_FILE)?;
        let written = write_all(file.as_fd(), bytes);
        if written.is_err() {
            // A full file system: leave nothing half-written behind.
            let _ = self.remove(&beside);
            return written;
        }
        // Not synced: the directory is in memory, and a crash of the machine clears it anyway.
        Ok(rustix::fs::renameat(&self.fd, beside.as_str(), &self.fd, name)?)
    }

    /// Reads a file into `buffer`; `None` if there is none. One that is too long, or that others may
    /// have written, is an error.
    pub fn read_private<'b>(&self, name: &str, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        // Not blocking: somebody's FIFO would hold us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let stat = rustix::fs::fstat(&file)?;
        let regular = rustix::fs::FileType::from_raw_mode(stat.st_mode as _).is_file();
        let foreign = stat.st_uid != 0 && stat.st_uid != rustix::process::geteuid().as_raw();
        if !regular || foreign || stat.st_mode as u32 & 0o022 != 0 {
            return Err(refused("others may have written this file"));
        }
        let n = read_all(file.as_fd(), buffer)?;
        Ok(Some(&buffer[..n]))
    }

    /// Removes a file; no error if there is none.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

impl AsFd for RunDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Reads to the end; a file that fills `buffer` and has more is an error.
fn read_all(file: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    loop {
        let mut more = [0; 1];
        let full = len == buffer.len();
        let room = if full { &mut more[..] } else { &mut buffer[len..] };
        match rustix::io::read(file, room) {
            Ok(0) => return Ok(len),
            Ok(_) if full => return Err(io::ErrorKind::FileTooLarge.into()),
            Ok(n) => len += n,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// The identity of this boot: what was remembered under another one is of no use.
pub fn boot_id() -> io::Result<[u8; 36]> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open("/proc/sys/kernel/random/boot_id", flags, Mode::empty())?;
    let mut text = [0; 64];
    let n = read_all(file.as_fd(), &mut text)?;
    text[..n].first_chunk::<36>().copied().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A path in the system's temporary directory that is removed in the end.
    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Scratch {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("picovrrp-test-{}-{n}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Scratch(path)
        }
    }

    impl std::ops::Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0).or_else(|_| std::fs::remove_file(&self.0));
        }
    }

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Made with mode 0700; an open one is closed if it is empty or ours; another's is not touched.
    #[test]
    fn run_directory() {
        let s = Scratch::new();
        drop(RunDir::open(&s.0).unwrap());
        assert_eq!(mode(&s.0), 0o700);
        set_mode(&s.0, 0o755);
        let dir = RunDir::open(&s.0).unwrap();
        assert_eq!(mode(&s.0), 0o700);
        drop(dir.lock().unwrap());
        set_mode(&s.0, 0o1777);
        RunDir::open(&s.0).unwrap();
        assert_eq!(mode(&s.0), 0o700);

        std::fs::remove_file(s.0.join("lock")).unwrap();
        set_mode(&s.0, 0o1777);
        assert_eq!(RunDir::open(&s.0).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(mode(&s.0), 0o1777);

        let link = Scratch::new();
        symlink(&s.0, &link.0).unwrap();
        assert_eq!(RunDir::open(&link.0).unwrap_err().kind(), io::ErrorKind::PermissionDenied);

        std::os::unix::fs::chown(&s.0, Some(65534), None).expect("this test needs root");
        assert_eq!(RunDir::open(&s.0).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(RunDir::open(&s.0.join("no/such")).is_err());
    }

    #[test]
    fn lock() {
        let s = Scratch::new();
        let (one, two) = (RunDir::open(&s.0).unwrap(), RunDir::open(&s.0).unwrap());
        let lock = one.lock().unwrap();
        let held = two.lock().unwrap_err();
        assert!(matches!(held, LockError::Held(Some(pid)) if pid == std::process::id()));
        assert_eq!(held.to_string(), format!("another daemon runs here: held by pid {}", std::process::id()));
        drop(lock);
        two.lock().unwrap();
    }

    #[test]
    fn private_files() {
        let s = Scratch::new();
        let dir = RunDir::open(&s.0).unwrap();
        let mut b = [0; 16];
        assert_eq!(dir.read_private("state", &mut b).unwrap(), None);
        dir.write_private("state", b"one").unwrap();
        dir.write_private("state", b"twice").unwrap();
        assert_eq!(dir.read_private("state", &mut b).unwrap(), Some(&b"twice"[..]));
        assert_eq!(mode(&s.0.join("state")), 0o600);
        assert_eq!(std::fs::read_dir(&s.0).unwrap().count(), 1, "nothing is left beside it");
        assert_eq!(dir.read_private("state", &mut b[..5]).unwrap(), Some(&b"twice"[..]), "it fits exactly");
        assert_eq!(dir.read_private("state", &mut b[..4]).unwrap_err().kind(), io::ErrorKind::FileTooLarge);

        // A link in the temporary file's place is not followed but replaced, and so is one in the file's.
        let victim = s.0.join("victim");
        std::fs::write(&victim, "precious").unwrap();
        symlink(&victim, s.0.join("state.new")).unwrap();
        std::fs::remove_file(s.0.join("state")).unwrap();
        symlink(&victim, s.0.join("state")).unwrap();
        assert!(dir.read_private("state", &mut b).is_err());
        dir.write_private("state", b"three").unwrap();
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
        assert_eq!(dir.read_private("state", &mut b).unwrap(), Some(&b"three"[..]));

        set_mode(&s.0.join("state"), 0o620);
        assert!(dir.read_private("state", &mut b).is_err());
        dir.remove("state").unwrap();
        dir.remove("state").unwrap();
        std::process::Command::new("mkfifo").arg(s.0.join("state")).status().unwrap();
        assert!(dir.read_private("state", &mut b).is_err(), "a FIFO, and no waiting for its writer");
    }

    #[test]
    fn boot() {
        let id = boot_id().unwrap();
        assert_eq!(id, boot_id().unwrap());
        assert!(id.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-'));
    }
}
