//! From one program to the next in the same process: execve, and what stays open through it.
//!
//! Signals stay blocked and those that came stay pending, children stay ours, and so do locks.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::FdFlags;

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
