//! The FIFO that programs read states from.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

/// A line: two words, a name in quotes, a number.
pub(super) type Line = heapless::String<160>;

/// A FIFO, open for writing whether or not anybody reads. Nothing waits for its reader.
pub struct Fifo {
    fd: OwnedFd,
    /// The last line was lost.
    full: bool,
}

impl AsFd for Fifo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Fifo {
    /// Opens it; makes it, for its owner only, if it is not there. What is there and is no FIFO is
    /// an error, and so is a symbolic link.
    pub fn open(path: &Path) -> io::Result<Fifo> {
        match rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        // Open for reading too: so there is never no reader, and opening does not wait for one.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        if FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) != FileType::Fifo {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a FIFO"));
        }
        Ok(Fifo { fd, full: false })
    }

    /// Writes a line, whole or not at all: a line is shorter than what the kernel writes in one piece.
    pub(super) fn write(&mut self, line: &Line) {
        if !matches!(rustix::io::write(&self.fd, line.as_bytes()), Ok(n) if n == line.len()) {
            if !self.full {
                log::warn!("notify-fifo: it is full, its reader does not read: lines are lost");
            }
            self.full = true;
        } else {
            self.full = false;
        }
    }
}
