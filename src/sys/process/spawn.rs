//! From [`Program`] to a process.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use heapless::Vec;
use libc::{c_char, c_int};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::Pid;
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use rustix::{fs, process};

use super::user::{Gid, MAX_GROUPS_OF_USER, Uid};
use super::{MAX_BYTES, MAX_ENV, MAX_WORDS, PATH, Program, Stderr, find};
use crate::sys::signal;

/// One page: more of what a script writes than can be wanted, and no more of the kernel's memory.
const PIPE: usize = 4096;

/// A process that was started.
pub(super) struct Spawned {
    pub(super) pid: Pid,
    /// The pipe behind its error output, if that was asked for; not blocking.
    pub(super) stderr: Option<OwnedFd>,
    /// Tells what kept the program from starting; not blocking. See [`failure`].
    pub(super) report: OwnedFd,
}

/// What the child was doing when it failed, in the words of a message.
const STEPS: [&str; 6] = ["redirect", "new session", "set groups", "set group", "set user", "execute"];

/// Reads what the child wrote before it gave up; `None` if it did not, or has not yet.
pub(super) fn failure(report: &OwnedFd) -> Option<(&'static str, io::Error)> {
    let mut bytes = [0; 8];
    if rustix::io::read(report, &mut bytes).ok()? != bytes.len() {
        return None;
    }
    let [a, b, c, d, e, f, g, h] = bytes;
    let (step, errno) = (u32::from_ne_bytes([a, b, c, d]), i32::from_ne_bytes([e, f, g, h]));
    Some((STEPS.get(step as usize)?, io::Error::from_raw_os_error(errno)))
}

/// Strings, each ended by a zero, and where they begin.
struct Strings {
    bytes: Vec<u8, MAX_BYTES>,
}

impl Strings {
    fn push(&mut self, pieces: &[&str]) -> io::Result<usize> {
        let at = self.bytes.len();
        for piece in pieces {
            if piece.as_bytes().contains(&0) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            self.bytes.extend_from_slice(piece.as_bytes()).map_err(|_| too_long())?;
        }
        self.bytes.push(0).map_err(|_| too_long())?;
        Ok(at)
    }
}

fn too_long() -> io::Error {
    io::Error::from_raw_os_error(libc::E2BIG)
}

/// Everything that the child needs. The pointers are into buffers of the caller's of [`become_program`].
struct Plan<'a> {
    path: *const c_char,
    argv: &'a [*const c_char],
    envp: &'a [*const c_char],
    null: RawFd,
    stderr: RawFd,
    report: RawFd,
    identity: Option<(Uid, Gid, &'a [Gid])>,
    nice: i32,
}

/// Starts `program`. What fails in the child is told by [`failure`].
pub(super) fn spawn(program: &Program<'_>) -> io::Result<Spawned> {
    let name = program.words.first().ok_or(io::ErrorKind::InvalidInput)?;
    let path = find(name)?;
    let mut strings = Strings { bytes: Vec::new() };
    let mut words: Vec<usize, MAX_WORDS> = Vec::new();
    let mut variables: Vec<usize, { MAX_ENV + 1 }> = Vec::new();
    let path = strings.push(&[&path])?;
    for word in program.words {
        words.push(strings.push(&[word])?).map_err(|_| too_long())?;
    }
    variables.push(strings.push(&["PATH=", PATH])?).map_err(|_| too_long())?;
    for (key, value) in program.env {
        variables.push(strings.push(&[key, "=", value])?).map_err(|_| too_long())?;
    }
    // Nothing is added to the strings from here on, so that the pointers hold.
    let at = |start: usize| strings.bytes[start..].as_ptr().cast::<c_char>();
    let mut argv: Vec<*const c_char, { MAX_WORDS + 1 }> = words.iter().map(|w| at(*w)).collect();
    let mut envp: Vec<*const c_char, { MAX_ENV + 2 }> = variables.iter().map(|v| at(*v)).collect();
    // Both have one place more than there can be strings.
    let _ = (argv.push(std::ptr::null()), envp.push(std::ptr::null()));

    let mut groups: Vec<Gid, MAX_GROUPS_OF_USER> = Vec::new();
    let identity = program.user.map(|user| {
        groups.extend(user.groups.iter().map(|g| Gid::from_raw(*g)));
        (Uid::from_raw(user.uid), Gid::from_raw(user.gid), &groups[..])
    });

    let null = lift(fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)?;
    let (report, report_in) = pipe()?;
    let (stderr, stderr_in) = match program.stderr {
        Stderr::Null => (None, None),
        Stderr::Capture => {
            let (out, into) = pipe()?;
            // A pipe of the ordinary size does too.
            let _ = rustix::pipe::fcntl_setpipe_size(&out, PIPE);
            (Some(out), Some(into))
        }
    };
    let plan = Plan {
        path: at(path),
        argv: &argv,
        envp: &envp,
        null: null.as_raw_fd(),
        stderr: stderr_in.as_ref().map_or(null.as_raw_fd(), |fd| fd.as_raw_fd()),
        report: report_in.as_raw_fd(),
        identity,
        nice: program.nice,
    };
    // SAFETY: the child calls `child` only, which never returns, allocates nothing, takes no lock
    // and makes async-signal-safe calls only; that holds with other threads too.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => child(plan),
        pid => {
            // fork returns nothing else that is not positive.
            let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::Other)?;
            Ok(Spawned { pid, stderr, report })
        }
    }
}

/// A pipe: the end to read from does not block, and no end is among the first three descriptors.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (out, into) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let (out, into) = (lift(out)?, lift(into)?);
    rustix::io::ioctl_fionbio(&out, true)?;
    Ok((out, into))
}

/// The same above the first three descriptors, which the child replaces.
fn lift(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 { Ok(fd) } else { Ok(rustix::io::fcntl_dupfd_cloexec(&fd, 3)?) }
}

/// Where the child moves the pipe for its report: the first descriptor that the program does not get.
const REPORT: RawFd = 3;

/// The child's life, from fork to exec or exit.
fn child(mut plan: Plan<'_>) -> ! {
    let Err((step, errno)) = become_program(&mut plan);
    let (step, errno) = ((step as u32).to_ne_bytes(), errno.raw_os_error().to_ne_bytes());
    for half in [step, errno] {
        // SAFETY: the pointer and length are those of `half`. Nothing can be done about an error.
        unsafe { libc::write(plan.report, half.as_ptr().cast(), half.len()) };
    }
    // SAFETY: ends the process; unlike `exit` it runs no handler of the parent's.
    unsafe { libc::_exit(127) }
}

fn check(result: c_int) -> Result<c_int, Errno> {
    // SAFETY: the pointer is to this thread's errno, which is always there.
    if result >= 0 { Ok(result) } else { Err(Errno::from_raw_os_error(unsafe { *libc::__errno_location() })) }
}

/// Returns only if it fails: with the step's place in [`STEPS`].
fn become_program(plan: &mut Plan<'_>) -> Result<Infallible, (usize, Errno)> {
    // SAFETY: plain numbers; the descriptors are ours.
    let redirect = |from, to| check(unsafe { libc::dup2(from, to) }).map_err(|e| (0, e));
    redirect(plan.null, 0)?;
    redirect(plan.null, 1)?;
    redirect(plan.stderr, 2)?;
    if plan.report != REPORT {
        // SAFETY: as above.
        check(unsafe { libc::dup3(plan.report, REPORT, libc::O_CLOEXEC) }).map_err(|e| (0, e))?;
        plan.report = REPORT;
    }
    close_from(REPORT + 1);
    process::setsid().map_err(|e| (1, e))?;
    process::umask(Mode::from_raw_mode(0o022));
    // There always is a root, and a program that does not care where it is.
    let _ = process::chdir(c"/");
    // The daemon's own may be raised or lowered. Where the kernel refuses, nothing breaks.
    let _ = process::setpriority_process(None, plan.nice);
    if let Ok(fd) = fs::open(c"/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::io::write(&fd, b"0");
    }
    if let Some((uid, gid, groups)) = plan.identity {
        // For one thread, which here is the whole process.
        set_thread_groups(groups).map_err(|e| (2, e))?;
        set_thread_res_gid(gid, gid, gid).map_err(|e| (3, e))?;
        set_thread_res_uid(uid, uid, uid).map_err(|e| (4, e))?;
    }
    for number in 1..32 {
        // SAFETY: no code of ours runs in a signal's context. KILL and STOP are refused.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    signal::restore_for_child();
    // SAFETY: the path and the strings end with a zero and the lists with a null pointer, and all
    // of them live in the caller's frame.
    let result = unsafe { libc::execve(plan.path, plan.argv.as_ptr(), plan.envp.as_ptr()) };
    match check(result) {
        Err(e) => Err((5, e)),
        // execve does not return otherwise.
        Ok(_) => Err((5, Errno::INVAL)),
    }
}

/// Closes every descriptor from `first` on. All of ours close at exec by themselves; this is for
/// what we were given at our start.
fn close_from(first: RawFd) {
    // SAFETY: plain numbers, as wide as the system call's.
    if unsafe { libc::syscall(libc::SYS_close_range, first as libc::c_uint, libc::c_uint::MAX, 0 as libc::c_uint) } == 0
    {
        return;
    }
    // Before Linux 5.9.
    for fd in first..1024 {
        // SAFETY: whatever owns the descriptor in this process ends with it.
        unsafe { libc::close(fd) };
    }
}
