//! Users and groups from /etc/passwd and /etc/group, read by ourselves and in bounded memory: the
//! C library's look-ups may load modules, allocate and block.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use heapless::{String, Vec};
pub(super) use rustix::process::{Gid, Uid};

/// Groups of one user that count; further ones are left out.
pub const MAX_GROUPS_OF_USER: usize = 32;

/// Whom a program runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups; the group itself is one of them.
    pub groups: Vec<u32, MAX_GROUPS_OF_USER>,
}

impl User {
    /// Whom this process runs as, without supplementary groups.
    pub fn ourselves() -> User {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        User { uid, gid, groups: Vec::from_iter([gid]) }
    }
}

/// Why a user was not found.
#[derive(Debug)]
pub enum NoUser {
    /// No such user.
    User,
    /// No such group.
    Group,
    /// The file cannot be read.
    File(&'static str, io::Error),
}

impl fmt::Display for NoUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoUser::User => f.write_str("no such user"),
            NoUser::Group => f.write_str("no such group"),
            NoUser::File(name, e) => write!(f, "{name}: {e}"),
        }
    }
}

/// Finds `USER` or `USER:GROUP`. Without a group it is the user's own. The supplementary groups are
/// those that name the user as a member.
pub fn lookup_user(spec: &str) -> Result<User, NoUser> {
    let open = |name: &'static str| File::open(name).map_err(|e| NoUser::File(name, e));
    lookup_in(spec, &mut open("/etc/passwd")?, &mut open("/etc/group")?)
}

pub(super) fn lookup_in(spec: &str, passwd: &mut dyn Read, group: &mut dyn Read) -> Result<User, NoUser> {
    let (name, group_name) = match spec.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (spec, None),
    };
    let (mut found, mut ours, mut uid) = (None, false, None);
    read_fields(passwd, &mut |column, text| match column {
        0 => (ours, uid) = (found.is_none() && text == Some(name), None),
        2 if ours => uid = text.and_then(|t| t.parse().ok()),
        3 if ours => found = uid.zip(text.and_then(|t| t.parse().ok())),
        _ => {}
    })
    .map_err(|e| NoUser::File("/etc/passwd", e))?;
    let (uid, mut gid): (u32, u32) = found.ok_or(NoUser::User)?;

    let (mut groups, mut chosen): (Vec<u32, MAX_GROUPS_OF_USER>, Option<u32>) = (Vec::new(), None);
    let (mut is_chosen, mut this) = (false, None);
    read_fields(group, &mut |column, text| match column {
        0 => (is_chosen, this) = (text.is_some() && text == group_name, None),
        2 => {
            this = text.and_then(|t| t.parse().ok());
            if is_chosen && chosen.is_none() {
                chosen = this;
            }
        }
        3 if text == Some(name) => {
            if let Some(this) = this.filter(|t| !groups.contains(t)) {
                // One less: a place is the group's own.
                if groups.len() + 1 < MAX_GROUPS_OF_USER {
                    let _ = groups.push(this);
                }
            }
        }
        _ => {}
    })
    .map_err(|e| NoUser::File("/etc/group", e))?;
    if group_name.is_some() {
        gid = chosen.ok_or(NoUser::Group)?;
    }
    if !groups.contains(&gid) {
        let _ = groups.push(gid);
    }
    Ok(User { uid, gid, groups })
}

/// Tells each word of a file and its column, by colons; a column of several words by commas tells
/// each. `None` stands for a word that is too long or not text.
fn read_fields(from: &mut dyn Read, tell: &mut dyn FnMut(usize, Option<&str>)) -> io::Result<()> {
    let mut chunk = [0; 512];
    let mut word: String<64> = String::new();
    let (mut good, mut column) = (true, 0);
    let mut end = |word: &mut String<64>, good: &mut bool, column: usize| {
        tell(column, good.then_some(word.as_str()));
        word.clear();
        *good = true;
    };
    loop {
        let n = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        for byte in chunk.iter().take(n) {
            match byte {
                b':' | b',' | b'\n' => {
                    end(&mut word, &mut good, column);
                    column = match byte {
                        b':' => column + 1,
                        b',' => column,
                        _ => 0,
                    };
                }
                // Names are ASCII; what is not cannot be what is looked for.
                _ => good &= byte.is_ascii() && word.push(*byte as char).is_ok(),
            }
        }
    }
    end(&mut word, &mut good, column);
    Ok(())
}
