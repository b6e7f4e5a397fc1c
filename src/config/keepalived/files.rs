//! Where included files come from.

use std::fs;
use std::io;
use std::vec::Vec as List;

use embedded_io::{ErrorType, Read};

use super::glob;

/// Where included files come from.
pub trait Files {
    /// A file that was opened.
    type File: Read;

    /// Opens a file, or says why not.
    fn open(&mut self, path: &str) -> Result<Self::File, &'static str>;

    /// The files whose paths match, sorted, at most `most` and one more; wildcards are in the last
    /// component only.
    fn matches(&mut self, pattern: &str, most: usize) -> List<std::string::String>;
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

/// A file of this machine.
pub struct DiskFile(pub fs::File);

impl ErrorType for DiskFile {
    type Error = io::Error;
}

impl Read for DiskFile {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, io::Error> {
        loop {
            match io::Read::read(&mut self.0, buf) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl Files for Disk {
    type File = DiskFile;

    fn open(&mut self, path: &str) -> Result<DiskFile, &'static str> {
        let why = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => "there is no such file",
            io::ErrorKind::PermissionDenied => "permission denied",
            _ => "it cannot be opened",
        };
        // To open a FIFO would wait for whoever writes to it.
        if !fs::metadata(path).map_err(why)?.is_file() {
            return Err("it is no regular file");
        }
        fs::File::open(path).map(DiskFile).map_err(why)
    }

    fn matches(&mut self, pattern: &str, most: usize) -> List<std::string::String> {
        let (dir, name) = pattern.rsplit_once('/').map_or((".", pattern), |(dir, name)| (dir, name));
        let dir = if dir.is_empty() { "/" } else { dir };
        let mut found = List::new();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if let Some(file) = entry.file_name().to_str().filter(|file| glob::matches(name, file)) {
                found.push(std::format!("{}{file}", &pattern[..pattern.len() - name.len()]));
            }
            if found.len() > most {
                break;
            }
        }
        found.sort_unstable();
        found
    }
}
