//! Programs: fork and exec, without a trace of the daemon in the child.
//!
//! A child is the leader of a session and a process group of its own. It gets default signals,
//! /dev/null or a pipe for its three descriptors and no other, an environment of PATH and what it is
//! given, umask 022, the root as its directory, and the user and groups that it is to run as. Everything it
//! needs is laid out before the fork, in buffers of fixed size; between fork and exec it makes
//! system calls only.
//!
//! The parent never waits for a child: what kept a program from starting is read once the child has
//! ended ([`Child::not_started`]). [`Children`] is the table of those that run; nothing is signalled
//! that has been reaped.

use std::io;

mod children;
mod spawn;
mod user;

pub use children::{Child, Children, Ended, MAX_CHILDREN};
pub use user::{MAX_GROUPS_OF_USER, NoUser, User, lookup_user};

/// The search path of what we start, and of command names without a slash: OpenWrt's.
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// Words of a command, its name included.
pub const MAX_WORDS: usize = 64;
/// Variables that can be given to a program besides PATH.
pub const MAX_ENV: usize = 8;
/// Bytes of a program's words and environment together.
pub const MAX_BYTES: usize = 2048;

/// Where a program's error output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stderr {
    /// Into a pipe that [`Child::stderr`] reads.
    Capture,
    /// Nowhere.
    Null,
}

/// What becomes of the processes that a program leaves behind in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// Killed when it ends, or when nobody waits for it any more.
    Kill,
    /// Left alone.
    Keep,
}

/// What to run, and how.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// The command (looked up in [`PATH`] if it has no slash) and its arguments.
    pub words: &'a [&'a str],
    /// Variables besides PATH.
    pub env: &'a [(&'a str, &'a str)],
    /// Who it runs as; `None` for whom we are.
    pub user: Option<&'a User>,
    /// Its nice value.
    pub nice: i32,
    /// Where its error output goes.
    pub stderr: Stderr,
    /// What becomes of its children.
    pub leftovers: Leftovers,
}

/// The path of a command: the word itself if it has a slash, else the first file of that name in [`PATH`].
pub fn find(word: &str) -> io::Result<heapless::String<256>> {
    use core::fmt::Write;
    let mut path = heapless::String::new();
    if word.contains('/') {
        path.push_str(word).map_err(|_| io::ErrorKind::InvalidFilename)?;
        return Ok(path);
    }
    if word.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    for directory in PATH.split(':') {
        path.clear();
        write!(path, "{directory}/{word}").map_err(|_| io::ErrorKind::InvalidFilename)?;
        if std::fs::metadata(path.as_str()).is_ok_and(|m| m.is_file()) {
            return Ok(path);
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

#[cfg(test)]
pub(crate) mod tests;
