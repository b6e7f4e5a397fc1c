//! Shell scripts that a test writes for the daemon to run, and what they leave behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An executable script in a directory of its own.
pub(crate) fn script(dir: &Path, name: &str, body: &str) -> PathBuf {
    fs::create_dir_all(dir).expect("a directory");
    let (path, text) = (dir.join(name), dir.join(format!(".{name}.text")));
    fs::write(&text, format!("#!/bin/sh\n{body}\n")).expect("a script");
    program(&text, &path);
    fs::remove_file(text).expect("our own file");
    path
}

/// An executable copy of a file. Another process writes it: what is open for writing here may for a moment be open in a
/// child of another test's too, and then the kernel executes nothing of it ("Text file busy").
#[track_caller]
pub(crate) fn program(from: impl AsRef<Path>, to: &Path) {
    let done = Command::new("install").arg("-m755").arg(from.as_ref()).arg(to).status().expect("install runs");
    assert!(done.success(), "no copy of {} at {}", from.as_ref().display(), to.display());
}

/// The lines of a file; none while there is no such file.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Puts a new file in a file's place at once, as an editor does.
#[track_caller]
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("a file");
    fs::rename(&new, path).expect("it takes the other's place");
}
