use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::*;
use crate::sys::process::tests::Dir;

fn root() -> User {
    User { uid: 0, gid: 0, groups: heapless::Vec::new() }
}

fn user() -> User {
    User { uid: 4321, gid: 1234, groups: heapless::Vec::from_slice(&[77]).unwrap() }
}

fn mode(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A directory `d` with an executable `s` in it.
fn script() -> Dir {
    let dir = Dir::new();
    fs::create_dir(dir.join("d")).unwrap();
    fs::write(dir.join("d/s"), "#!/bin/sh\n").unwrap();
    mode(&dir.join("d/s"), 0o755);
    dir
}

fn ask(dir: &Dir, path: &str, user: &User) -> Result<(), (String, Why)> {
    let prefix = format!("{}/", dir.0.display());
    check(dir.join(path).to_str().unwrap(), user)
        .map_err(|e| (e.component.strip_prefix(&prefix).unwrap_or(&e.component).into(), e.why))
}

fn no(component: &str, why: Why) -> Result<(), (String, Why)> {
    Err((component.into(), why))
}

type String = std::string::String;

/// The script's own mode and owner.
#[test]
fn the_file() {
    let dir = script();
    let s = dir.join("d/s");
    assert_eq!(ask(&dir, "d/s", &root()), Ok(()));
    assert_eq!(ask(&dir, "d/s", &user()), Ok(()));
    for (bits, for_root, for_user) in [
        (0o644, no("d/s", Why::NotExecutable), no("d/s", Why::NotExecutable)),
        (0o744, Ok(()), no("d/s", Why::NotExecutable)),
        (0o750, Ok(()), no("d/s", Why::NotExecutable)),
        (0o775, no("d/s", Why::GroupWritable), no("d/s", Why::GroupWritable)),
        (0o757, no("d/s", Why::WorldWritable), no("d/s", Why::WorldWritable)),
    ] {
        mode(&s, bits);
        assert_eq!((ask(&dir, "d/s", &root()), ask(&dir, "d/s", &user())), (for_root, for_user), "{bits:o}");
    }
    mode(&s, 0o750);
    chown(&s, None, Some(77)).unwrap();
    assert_eq!(ask(&dir, "d/s", &user()), Ok(()), "by a supplementary group");
    chown(&s, Some(4321), None).unwrap();
    assert_eq!(ask(&dir, "d/s", &user()), Ok(()), "its own");
    assert_eq!(ask(&dir, "d/s", &root()), no("d/s", Why::Owner), "root does not run what others own");
    assert_eq!(ask(&dir, "d", &root()), no("d", Why::NotFile));
    assert_eq!(ask(&dir, "d/x", &root()), no("d/x", Why::Missing));
    assert_eq!(ask(&dir, "d/s/x", &user()), no("d/s", Why::NotDirectory));
}

/// The directories above it.
#[test]
fn directories() {
    let dir = script();
    let d = dir.join("d");
    for (bits, expected) in [
        (0o775, no("d", Why::GroupWritable)),
        (0o757, no("d", Why::WorldWritable)),
        (0o1777, Ok(())),
        (0o1775, Ok(())),
        (0o700, no("d", Why::NotSearchable)),
    ] {
        mode(&d, bits);
        assert_eq!(ask(&dir, "d/s", &user()), expected, "{bits:o}");
    }
    mode(&d, 0o1777);
    chown(dir.join("d/s"), Some(4321), None).unwrap();
    assert_eq!(ask(&dir, "d/s", &user()), no("d/s", Why::InSticky));
    mode(&d, 0o755);
    chown(&d, Some(99), None).unwrap();
    assert_eq!(ask(&dir, "d/s", &user()), no("d", Why::Owner));
}

/// Links are followed, and what they point to is held to the same; as OpenWrt's /var is /tmp.
#[test]
fn links() {
    let dir = script();
    symlink("d", dir.join("var")).unwrap();
    symlink(dir.join("d/s"), dir.join("absolute")).unwrap();
    symlink("../var/../d//./s", dir.join("d/around")).unwrap();
    symlink("loop", dir.join("loop")).unwrap();
    symlink("nowhere", dir.join("dangling")).unwrap();
    for path in ["var/s", "absolute", "d/around", "var/around", "var/../d/s"] {
        assert_eq!(ask(&dir, path, &user()), Ok(()), "{path}");
    }
    assert_eq!(ask(&dir, "loop", &user()), no("loop", Why::TooManyLinks));
    assert_eq!(ask(&dir, "loop/s", &user()), no("loop", Why::TooManyLinks));
    assert_eq!(ask(&dir, "dangling", &user()), no("nowhere", Why::Missing));
    mode(&dir.join("d"), 0o1777);
    assert_eq!(ask(&dir, "var/s", &user()), Ok(()), "sticky, and root's");
    std::os::unix::fs::lchown(dir.join("d/around"), Some(99), None).unwrap();
    assert_eq!(ask(&dir, "d/around", &user()), no("d/around", Why::InSticky), "whoever owns the link can turn it");
    mode(&dir.join("d"), 0o777);
    assert_eq!(ask(&dir, "absolute", &user()), no("d", Why::WorldWritable));
}

/// A command's first word, and paths that are none.
#[test]
fn words() {
    assert_eq!(check_command("sh", &user()).unwrap().rsplit('/').next(), Some("sh"));
    let say = |word: &str| check_command(word, &user()).unwrap_err().to_string();
    assert_eq!(say("no-such-command"), "no-such-command is not in the search path");
    assert_eq!(say("a/b"), "a/b does not begin with a slash");
    assert_eq!(say("/"), "/ is not a file");
    assert_eq!(say("/nonexistent/x"), "/nonexistent does not exist");
    assert_eq!(say(&"/x".repeat(200)).rsplit("x ").next(), Some("is too long a path"));
    assert_eq!(check(&"/.".repeat(600), &user()).unwrap_err().why, Why::TooLong);
}
