//! From one program to the next: what stays open. In the same process through execve, where signals stay
//! blocked and those that came stay pending, children stay ours, and so do locks. Or to another process, as
//! messages over a unix socket.

use std::ffi::CString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

use rustix::event::EventfdFlags;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::FdFlags;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

/// As many descriptors as the kernel lets one message carry.
const MOST: usize = 253;
/// A message says how many are still to come, itself included, and by which numbers its sender calls its own.
const NUMBER: usize = size_of::<RawFd>();
const SPACE: usize = rustix::cmsg_space!(ScmRights(MOST));

/// Keeps a descriptor open through execve, or not any more; its number.
pub fn keep(fd: BorrowedFd<'_>, keep: bool) -> io::Result<RawFd> {
    rustix::io::fcntl_setfd(fd, if keep { FdFlags::empty() } else { FdFlags::CLOEXEC })?;
    Ok(fd.as_raw_fd())
}

/// A descriptor that the program before us has kept for us; an error if there is none. Theirs stays open,
/// so that it can go on should we fail: [`release`] it in the end.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number < 3 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: used for this call only, which finds out whether there is such a descriptor.
    let theirs = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(rustix::io::fcntl_dupfd_cloexec(theirs, 3)?)
}

/// Closes a descriptor that the program before us has kept for us.
pub fn release(number: RawFd) {
    // SAFETY: nothing in this program owns it: it has only been duplicated. Should it not be open, nothing
    // happens.
    unsafe { libc::close(number) };
}

/// Sends descriptors of ours, and their numbers, to another process.
pub fn send(socket: impl AsFd, numbers: &[RawFd]) -> io::Result<()> {
    let mut left = numbers.len();
    for some in numbers.chunks(MOST) {
        let mut bytes = (left as u32).to_ne_bytes().to_vec();
        some.iter().for_each(|n| bytes.extend_from_slice(&n.to_ne_bytes()));
        // SAFETY: they are used for this call only; should one not be open, the kernel refuses.
        let fds: Vec<BorrowedFd<'_>> = some.iter().map(|n| unsafe { BorrowedFd::borrow_raw(*n) }).collect();
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let sent = rustix::net::sendmsg(&socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?;
        if sent < bytes.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        left -= some.len();
    }
    Ok(())
}

/// What another process sends by [`send`]: its numbers, and ours of the same descriptors.
pub fn receive(socket: impl AsFd) -> io::Result<Vec<(RawFd, OwnedFd)>> {
    let mut all = Vec::new();
    loop {
        let (mut bytes, mut space) = ([0; NUMBER * (1 + MOST)], [MaybeUninit::uninit(); SPACE]);
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)?.bytes;
        let mut fds: Vec<OwnedFd> = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(these) = message {
                fds.extend(these);
            }
        }
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Too many open files leave some out.
        if fds.is_empty() || got != NUMBER * (1 + fds.len()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut numbers = bytes[..got].chunks_exact(NUMBER).map(|b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
        let left = numbers.next().unwrap_or(0) as usize;
        let last = left == fds.len();
        if left < fds.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        for ours in fds {
            all.push((numbers.next().unwrap_or(-1), ours));
        }
        if last {
            return Ok(all);
        }
    }
}

/// What only one can [`take`], and only once, of all who have it open.
pub fn token() -> io::Result<OwnedFd> {
    Ok(rustix::event::eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Whether we took it.
pub fn take(token: &OwnedFd) -> bool {
    rustix::io::read(token, &mut [0; 8]).is_ok()
}

/// Which network namespace this thread is in; 0 where that cannot be known.
pub fn network() -> u64 {
    rustix::fs::stat("/proc/thread-self/ns/net").map_or(0, |s| s.st_ino)
}

/// A file in memory that holds these bytes, and can be changed no more.
pub fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("picovrrp", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let n = rustix::io::write(&fd, rest)?;
        rest = &rest[n..];
    }
    rustix::fs::fcntl_add_seals(&fd, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(fd)
}

/// All that a file holds, up to `most` bytes, from its beginning and wherever it was read last.
pub fn content(fd: impl AsFd, most: usize) -> io::Result<Vec<u8>> {
    let (mut bytes, mut have) = (vec![0; most + 1], 0);
    while have < bytes.len() {
        match rustix::io::pread(&fd, &mut bytes[have..], have as u64)? {
            0 => break,
            n => have += n,
        }
    }
    if have > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    bytes.truncate(have);
    Ok(bytes)
}

/// Goes on as the program at `path`, with our own words and environment, in which `key` is `value`. Returns
/// only if that cannot be.
pub fn execute(path: &str, key: &str, value: &str) -> io::Error {
    let ended = |bytes: Vec<u8>| CString::new(bytes).unwrap_or_default();
    let path = ended(path.as_bytes().to_vec());
    let words: Vec<CString> = std::env::args_os().map(|w| ended(w.into_vec())).collect();
    let mut variables: Vec<CString> = std::env::vars_os()
        .filter(|(k, _)| k != key)
        .map(|(k, v)| ended([k.into_vec(), v.into_vec()].join(&b'=')))
        .collect();
    variables.push(ended(format!("{key}={value}").into_bytes()));
    let pointers = |all: &[CString]| -> Vec<*const libc::c_char> {
        all.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(&words), pointers(&variables));
    // SAFETY: the strings end with a zero, the lists with a null pointer, and all outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

/// Releases all that the program before us has kept, known or not.
///
/// For a program that has just begun and owns no descriptor itself but the first three.
pub fn release_all() {
    (3..1024).for_each(release);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes() {
        let fd = sealed(b"state").unwrap();
        for _ in 0..2 {
            assert_eq!(content(&fd, 5).unwrap(), b"state");
        }
        assert!(content(&fd, 4).is_err());
        assert!(rustix::io::pwrite(&fd, b"x", 0).is_err(), "sealed");
    }

    /// As many as two messages hold and one more; cut at every byte, and with descriptors missing: refused.
    #[test]
    fn messages() {
        let fd = sealed(b"state").unwrap();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let inode = |fd: &OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
        for count in [1, MOST, 2 * MOST + 1] {
            let numbers = vec![fd.as_raw_fd(); count];
            send(&ours, &numbers).unwrap();
            let got = receive(&theirs).unwrap();
            assert_eq!(got.len(), count);
            assert!(got.iter().all(|(n, ours)| *n == fd.as_raw_fd() && inode(ours) == inode(&fd)));
            assert_eq!(rustix::io::fcntl_getfd(&got[0].1).unwrap(), FdFlags::CLOEXEC);
        }
        assert!(send(&ours, &[fd.as_raw_fd(), 99_999]).is_err(), "not open");
        // As send does, but cut, or with another number of descriptors.
        let raw = |bytes: &[u8], count: usize| {
            let fds = vec![fd.as_fd(); count];
            let mut space = [MaybeUninit::uninit(); SPACE];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(count == 0 || control.push(SendAncillaryMessage::ScmRights(&fds)));
            rustix::net::sendmsg(&ours, &[IoSlice::new(bytes)], &mut control, SendFlags::empty()).unwrap();
            receive(&theirs)
        };
        let mut whole = 3u32.to_ne_bytes().to_vec();
        (0..3i32).for_each(|n| whole.extend_from_slice(&n.to_ne_bytes()));
        for n in 1..whole.len() {
            assert!(raw(&whole[..n], 3).is_err(), "cut at {n}");
        }
        assert_eq!(raw(&whole, 3).unwrap().len(), 3);
        for count in [0, 1, 2, 4, 250] {
            assert!(raw(&whole, count).is_err(), "{count} descriptors");
        }
        assert!(raw(&[&2u32.to_ne_bytes(), &whole[4..]].concat(), 3).is_err(), "more than were to come");
        // Nobody says it, or he goes away within it.
        theirs.set_nonblocking(true).unwrap();
        assert_eq!(receive(&theirs).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(raw(&[&4u32.to_ne_bytes(), &whole[4..]].concat(), 3).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(ours);
        assert_eq!(receive(&theirs).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(network() > 0);
    }

    #[test]
    fn only_one_takes_it() {
        let token = token().unwrap();
        let other = token.try_clone().unwrap();
        assert!(take(&other) && !take(&other) && !take(&token));
    }

    #[test]
    fn descriptors() {
        let fd = sealed(b"").unwrap();
        let number = keep(fd.as_fd(), true).unwrap();
        assert_eq!(rustix::io::fcntl_getfd(&fd).unwrap(), FdFlags::empty());
        let ours = adopt(number).unwrap();
        assert_eq!(rustix::io::fcntl_getfd(&ours).unwrap(), FdFlags::CLOEXEC);
        std::mem::forget(fd);
        release(number);
        assert!(adopt(number).is_err());
        assert!(adopt(1).is_err());
        assert!(adopt(99_999).is_err());
        let why = execute("/nosuch", "KEY", "value");
        assert_eq!(why.kind(), io::ErrorKind::NotFound);
    }
}
