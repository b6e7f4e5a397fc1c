//! Whether a script is safe to run: only root and the user that it runs as can change what is run.
//!
//! Every component of its path is looked at, and where one is a symbolic link, every component of
//! what it points to. To be asked at the start and before each run.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use heapless::String;

use super::process::{User, find};

/// Bytes of a path, with its links resolved.
const MAX_PATH: usize = 1024;
/// Symbolic links in one path: what Linux follows.
const MAX_LINKS: usize = 40;

/// What is wrong with a component of a script's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is not there.
    Missing,
    /// The path has no slash in front, and no command of that name is in the search path.
    NotFound,
    /// The path has a slash, but not in front.
    Relative,
    /// It, or what it points to, is too long.
    TooLong,
    /// It points to itself, or along too many links.
    TooManyLinks,
    /// It cannot be looked at.
    Unreadable,
    /// Its owner is neither root nor the script's user.
    Owner,
    /// Its group can write it.
    GroupWritable,
    /// Everybody can write it.
    WorldWritable,
    /// It stands in a directory where everybody can make files, and is not root's.
    InSticky,
    /// What should be a directory is none.
    NotDirectory,
    /// The script's user cannot look into the directory.
    NotSearchable,
    /// It is no file.
    NotFile,
    /// The script's user cannot execute it.
    NotExecutable,
}

impl Why {
    /// The reason, to follow the component's name.
    pub const fn words(self) -> &'static str {
        match self {
            Why::Missing => "does not exist",
            Why::NotFound => "is not in the search path",
            Why::Relative => "does not begin with a slash",
            Why::TooLong => "is too long a path",
            Why::TooManyLinks => "has too many symbolic links, or a loop of them",
            Why::Unreadable => "cannot be examined",
            Why::Owner => "belongs to neither root nor the user that it runs as",
            Why::GroupWritable => "can be written by its group",
            Why::WorldWritable => "can be written by everybody",
            Why::InSticky => "is in a directory that everybody can write, and is not root's",
            Why::NotDirectory => "is not a directory",
            Why::NotSearchable => "cannot be entered by the user that it runs as",
            Why::NotFile => "is not a file",
            Why::NotExecutable => "cannot be executed by the user that it runs as",
        }
    }
}

/// A component that makes a script unsafe, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsafe {
    /// The component, with links resolved; its end, if it is long.
    pub component: String<128>,
    /// What is wrong with it.
    pub why: Why,
}

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.component)?;
        f.write_str(" ")?;
        f.write_str(self.why.words())
    }
}

fn refuse<T>(component: &str, why: Why) -> Result<T, Unsafe> {
    let mut from = component.len().saturating_sub(128);
    while !component.is_char_boundary(from) {
        from += 1;
    }
    let mut kept = String::new();
    // Not longer than there is room.
    let _ = kept.push_str(&component[from..]);
    Err(Unsafe { component: kept, why })
}

/// Checks the first word of a command, which is looked up in the search path if it has no slash.
/// Returns its path.
pub fn check_command(word: &str, user: &User) -> Result<String<256>, Unsafe> {
    match find(word) {
        Ok(path) => check(&path, user).map(|()| path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => refuse(word, Why::NotFound),
        Err(_) => refuse(word, Why::TooLong),
    }
}

/// Checks a script that `user` is to run.
pub fn check(path: &str, user: &User) -> Result<(), Unsafe> {
    if !path.starts_with('/') {
        return refuse(path, Why::Relative);
    }
    // `done` is resolved and safe; `rest` is what is still to be walked.
    let (mut done, mut rest): (String<MAX_PATH>, String<MAX_PATH>) = (String::new(), String::new());
    if rest.push_str(path).is_err() {
        return refuse(path, Why::TooLong);
    }
    let mut links = 0;
    let mut sticky = directory("/", &look("/")?, user)?;
    loop {
        let trimmed = rest.trim_start_matches('/');
        let (name, after) = trimmed.split_once('/').unwrap_or((trimmed, ""));
        let last = after.trim_matches('/').is_empty();
        if name.is_empty() {
            return refuse(if done.is_empty() { "/" } else { &done }, Why::NotFile);
        }
        if name == "." || name == ".." {
            if name == ".." {
                done.truncate(done.rfind('/').unwrap_or(0));
            }
            // The parent of a safe directory is safe; the next component may be in a sticky one.
            let here = if done.is_empty() { "/" } else { &done };
            sticky = directory(here, &look(here)?, user)?;
            rest = string(after);
            continue;
        }
        let parent = done.len();
        if done.push('/').and_then(|()| done.push_str(name)).is_err() {
            return refuse(&rest, Why::TooLong);
        }
        let found = look(&done)?;
        if sticky && found.uid() != 0 {
            return refuse(&done, Why::InSticky);
        }
        if found.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return refuse(&done, Why::TooManyLinks);
            }
            let target = match std::fs::read_link(done.as_str()).map(|t| t.into_os_string().into_string()) {
                Ok(Ok(target)) => target,
                _ => return refuse(&done, Why::Unreadable),
            };
            let mut joined: String<MAX_PATH> = String::new();
            let pieces = [target.as_str(), "/", after];
            if !pieces.iter().take(if after.is_empty() { 1 } else { 3 }).all(|p| joined.push_str(p).is_ok()) {
                return refuse(&done, Why::TooLong);
            }
            if target.starts_with('/') {
                done.clear();
                sticky = directory("/", &look("/")?, user)?;
            } else {
                // `sticky` is still the parent's.
                done.truncate(parent);
            }
            rest = joined;
            continue;
        }
        if last {
            return file(&done, &found, user);
        }
        sticky = directory(&done, &found, user)?;
        rest = string(after);
    }
}

/// A part of a string of the same size.
fn string(part: &str) -> String<MAX_PATH> {
    let mut s = String::new();
    let _ = s.push_str(part);
    s
}

fn look(path: &str) -> Result<Metadata, Unsafe> {
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok(found),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => refuse(path, Why::Missing),
        Err(_) => refuse(path, Why::Unreadable),
    }
}

fn owner(path: &str, found: &Metadata, user: &User) -> Result<(), Unsafe> {
    if found.uid() == 0 || found.uid() == user.uid { Ok(()) } else { refuse(path, Why::Owner) }
}

fn writable(path: &str, found: &Metadata) -> Result<(), Unsafe> {
    match found.mode() {
        mode if mode & 0o002 != 0 => refuse(path, Why::WorldWritable),
        mode if mode & 0o020 != 0 => refuse(path, Why::GroupWritable),
        _ => Ok(()),
    }
}

/// Whether a directory is sticky and others can write it, so that what stands in it must be root's.
fn directory(path: &str, found: &Metadata, user: &User) -> Result<bool, Unsafe> {
    if !found.is_dir() {
        return refuse(path, Why::NotDirectory);
    }
    owner(path, found, user)?;
    if !may_execute(found, user) {
        return refuse(path, Why::NotSearchable);
    }
    match writable(path, found) {
        Err(_) if found.mode() & 0o1000 != 0 => Ok(true),
        other => other.map(|()| false),
    }
}

fn file(path: &str, found: &Metadata, user: &User) -> Result<(), Unsafe> {
    if !found.is_file() {
        return refuse(path, Why::NotFile);
    }
    owner(path, found, user)?;
    writable(path, found)?;
    if !may_execute(found, user) {
        return refuse(path, Why::NotExecutable);
    }
    Ok(())
}

/// Execute a file or search a directory, as the kernel decides it.
fn may_execute(found: &Metadata, user: &User) -> bool {
    let mode = found.mode();
    if user.uid == 0 {
        found.is_dir() || mode & 0o111 != 0
    } else if found.uid() == user.uid {
        mode & 0o100 != 0
    } else if found.gid() == user.gid || user.groups.contains(&found.gid()) {
        mode & 0o010 != 0
    } else {
        mode & 0o001 != 0
    }
}

#[cfg(test)]
mod tests;
