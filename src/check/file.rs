//! The number in a file, and when it changes.
//!
//! [`read`] reads it. [`FileWatch`] tells when to read again, through inotify on the file's
//! directory, so that creation, replacement by rename and deletion are seen; where the directory is
//! missing, through the nearest one above that is there. A change behind a symbolic link, or by a
//! writer that keeps the file open, is not told: read again at the check's interval too.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use heapless::Vec;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use ufmt::uwrite;

use super::{Look, Reason, Seen, because, reason};
use crate::sys::clock;
use crate::sys::context::{Context, Watched};
use crate::vrrp::timing::{Instant, Micros};

/// The largest absolute value.
pub const MAX: i16 = 254;
/// Files that one [`FileWatch`] can watch.
pub const MAX_FILES: usize = 4;
/// Directories above a missing one that are tried.
const MAX_DEPTH: usize = 32;

/// How long a file may be empty while it is written, at least.
const PATIENCE: Micros = Micros::from_secs(2);
/// How long changes of other files in a directory are left alone.
const CALM: Micros = Micros::from_millis(50);

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number from -254 to 254; one beyond them counts as the nearest.
    Number(i16),
    /// There is no such file.
    Missing,
    /// It cannot be read: the error number.
    Unreadable(i32),
    /// It holds nothing.
    Empty,
    /// It holds something else than one number.
    NotANumber,
}

impl Value {
    /// The number, or why there is none.
    pub fn number(self) -> Result<i16, Reason> {
        match self {
            Value::Number(n) => Ok(n),
            Value::Missing => Err(because("the file is missing")),
            Value::Unreadable(n) => Err(reason(&mut |t| uwrite!(t, "the file cannot be read: error {}", n))),
            Value::Empty => Err(because("the file is empty")),
            Value::NotANumber => Err(because("the file does not hold a number")),
        }
    }

    fn parse(text: &[u8]) -> Value {
        let text = text.trim_ascii();
        let (negative, digits) = match text {
            [b'-', d @ ..] => (true, d),
            [b'+', d @ ..] => (false, d),
            d => (false, d),
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Value::NotANumber;
        }
        let n = digits.iter().fold(0i16, |n, d| (10 * n + (d - b'0') as i16).min(MAX + 1));
        // What is beyond the largest counts as the largest.
        let n = n.min(MAX);
        Value::Number(if negative { -n } else { n })
    }
}

/// Reads the number in a file, with blanks and line ends around it.
pub fn read(path: &str) -> Value {
    // Without NONBLOCK a FIFO would hold us up.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut buffer = [0; 64];
    let read =
        rustix::fs::openat(CWD, path, flags, Mode::empty()).and_then(|fd| rustix::io::read(&fd, &mut buffer[..]));
    match read {
        // A number with that many blanks is none of ours.
        Ok(0) => Value::Empty,
        Ok(n) if n == buffer.len() => Value::NotANumber,
        Ok(n) => Value::parse(buffer.get(..n).unwrap_or(&[])),
        Err(Errno::NOENT | Errno::NOTDIR) => Value::Missing,
        Err(e) => Value::Unreadable(e.raw_os_error()),
    }
}

struct Entry<'p> {
    path: &'p str,
    /// The watch on its directory, or on the nearest one above.
    watch: Option<i32>,
    /// It is its directory.
    exact: bool,
    changed: bool,
}

/// Tells which of several files changed. One inotify descriptor serves all.
pub struct FileWatch<'c, 'p> {
    context: &'c Context,
    inotify: Watched<'c, OwnedFd>,
    files: Vec<Entry<'p>, MAX_FILES>,
}

impl<'c, 'p> FileWatch<'c, 'p> {
    /// Watches nothing yet.
    pub fn new(context: &'c Context) -> io::Result<FileWatch<'c, 'p>> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(FileWatch { context, inotify: context.watch(fd)?, files: Vec::new() })
    }

    /// Watches `path` too, and returns the number by which [`next_change`](Self::next_change) calls
    /// it: 0 for the first. An error (`StorageFull`) if there are [`MAX_FILES`].
    pub fn add(&mut self, path: &'p str) -> io::Result<usize> {
        let at = self.files.len();
        let entry = Entry { path, watch: None, exact: false, changed: false };
        self.files.push(entry).map_err(|_| io::ErrorKind::StorageFull)?;
        self.arm(at);
        Ok(at)
    }

    /// Waits until a file was written and closed, created, replaced, removed, or given other
    /// permissions, and returns which. Several changes of one file may be told as one; now and then
    /// a file is told that did not change.
    pub async fn next_change(&mut self) -> io::Result<usize> {
        loop {
            if let Some(at) = self.files.iter().position(|f| f.changed) {
                self.files[at].changed = false;
                return Ok(at);
            }
            self.inotify.readable().await?;
            self.read_events()?;
            if !self.files.iter().any(|f| f.changed) {
                // Other files of the directory may change all the time.
                self.context.sleep(CALM).await?;
            }
        }
    }

    fn read_events(&mut self) -> io::Result<()> {
        let mut stale = [false; MAX_FILES];
        let mut room = [MaybeUninit::uninit(); 1024];
        let mut reader = inotify::Reader::new(&self.inotify, &mut room);
        loop {
            let event = match reader.next() {
                Ok(e) => e,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(e) => return Err(e.into()),
            };
            let what = event.events();
            let overflow = what.contains(ReadFlags::QUEUE_OVERFLOW);
            let gone = what
                .intersects(ReadFlags::IGNORED | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT);
            for (file, stale) in self.files.iter_mut().zip(&mut stale) {
                if !overflow && file.watch != Some(event.wd()) {
                    continue;
                }
                *stale |= overflow || gone || !file.exact;
                let (_, name) = split(file.path);
                file.changed |= overflow
                    || file.exact && (gone || event.file_name().is_some_and(|n| n.to_bytes() == name.as_bytes()));
            }
        }
        for (at, stale) in stale.into_iter().enumerate().take(self.files.len()) {
            if stale {
                self.arm(at);
                // What was missing may be there now, and the other way round.
                self.files[at].changed = true;
            }
        }
        Ok(())
    }

    /// Puts a watch on the nearest directory above a file.
    fn arm(&mut self, at: usize) {
        let Some(file) = self.files.get(at) else {
            return;
        };
        let (old, path) = (file.watch, file.path);
        let mut found = (None, false);
        // Between two tries a directory may appear: then the one above has told, or tells.
        for _ in 0..2 {
            found = self.nearest(path);
            if found.1 {
                break;
            }
        }
        if let Some(file) = self.files.get_mut(at) {
            (file.watch, file.exact) = found;
        }
        if let Some(wd) = old
            && self.files.iter().all(|f| f.watch != Some(wd))
        {
            // The directory may be gone, and its watch with it.
            let _ = inotify::remove_watch(&self.inotify, wd);
        }
    }

    fn nearest(&self, path: &str) -> (Option<i32>, bool) {
        let wanted = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let mut directory = path;
        for depth in 0..MAX_DEPTH {
            directory = split(directory).0;
            if let Ok(wd) = inotify::add_watch(&self.inotify, directory, wanted) {
                return (Some(wd), depth == 0);
            }
            if matches!(directory, "/" | ".") {
                break;
            }
        }
        (None, false)
    }
}

/// Directory and name.
fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((directory, name)) => (directory, name),
        None => (".", path),
    }
}

/// The number in a file as a check.
pub struct File<'a> {
    path: &'a str,
    /// The number found last.
    last: Option<i16>,
    /// Since when the file is empty.
    empty: Option<Instant>,
    /// For how long an empty file counts as what it was.
    patience: Micros,
    watch: io::Result<FileWatch<'a, 'a>>,
}

impl<'a> File<'a> {
    /// Not every file system tells of changes, and there may be no watch left to have.
    /// A file that is looked at at this interval.
    pub fn new(context: &'a Context, path: &'a str, every: Micros) -> File<'a> {
        let patience = every.clamp(PATIENCE, Micros(5 * PATIENCE.0));
        let watch = FileWatch::new(context).and_then(|mut watch| watch.add(path).map(|_| watch));
        File { path, last: None, empty: None, patience, watch }
    }
}

impl Look for File<'_> {
    async fn look(&mut self, _deadline: Instant) -> Seen {
        let value = read(self.path);
        if let (Value::Empty, Some(last)) = (value, self.last) {
            // A shell empties a file before it runs the command that writes it.
            let now = clock::now();
            if now.since(*self.empty.get_or_insert(now)) < self.patience {
                return Seen::Number(last);
            }
        }
        self.empty = None;
        self.last = value.number().ok();
        value.number().map_or_else(Seen::NoNumber, Seen::Number)
    }

    fn is_told(&self) -> bool {
        self.watch.is_ok()
    }

    async fn change(&mut self) -> io::Result<()> {
        match &mut self.watch {
            Ok(watch) => watch.next_change().await.map(|_| ()),
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::run;
    use super::*;
    use crate::sys::clock;
    use crate::vrrp::timing::Micros;
    use std::fs;

    #[test]
    fn values() {
        use Value::*;
        for (text, want) in [
            ("5", Number(5)),
            (" -254 \n", Number(-254)),
            ("+254", Number(254)),
            ("007\r\n\t", Number(7)),
            ("255", Number(254)),
            ("-99999999999999999999", Number(-254)),
            ("", NotANumber),
            ("-", NotANumber),
            ("1 2", NotANumber),
            ("5x", NotANumber),
            ("--5", NotANumber),
        ] {
            assert_eq!(Value::parse(text.as_bytes()), want, "{text:?}");
        }
        assert_eq!(read("/nonexistent/x"), Missing);
        assert_eq!(read("/etc/passwd/x"), Missing);
        assert_eq!(read("/etc"), Unreadable(libc::EISDIR));
        assert_eq!(read("/etc/passwd"), NotANumber);
    }

    proptest::proptest! {
        #[test]
        fn junk(text: std::vec::Vec<u8>) {
            let _ = Value::parse(&text);
        }

        #[test]
        fn all_numbers(n: i16) {
            let want = Value::Number(n.clamp(-254, 254));
            proptest::prop_assert_eq!(Value::parse(n.to_string().as_bytes()), want);
        }
    }

    #[test]
    fn changes() {
        let dir = std::env::temp_dir().join(format!("picovrrp-file-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let path = |n: &str| dir.join(n).to_str().unwrap().to_owned();
        let (a, b, deep) = (path("a"), path("b"), path("x/y/deep"));
        run(async |c| {
            let mut w = FileWatch::new(c).unwrap();
            assert_eq!([w.add(&a).unwrap(), w.add(&b).unwrap(), w.add(&deep).unwrap()], [0, 1, 2]);
            // What changed, until nothing has for 30 ms.
            let changes = async |w: &mut FileWatch<'_, '_>| {
                let mut all = std::collections::BTreeSet::new();
                while let Ok(n) = c.by(clock::now() + Micros::from_millis(30), w.next_change()).await {
                    all.insert(n);
                }
                all.remove(&2);
                all.into_iter().collect::<std::vec::Vec<_>>()
            };
            assert_eq!(changes(&mut w).await, [0usize; 0]);
            fs::write(&a, "1").unwrap();
            assert_eq!(changes(&mut w).await, [0]);
            fs::write(path("other"), "7").unwrap();
            assert_eq!(changes(&mut w).await, [0usize; 0]);
            fs::rename(path("other"), &b).unwrap();
            assert_eq!(changes(&mut w).await, [1]);
            assert_eq!(read(&b), Value::Number(7));
            fs::remove_file(&a).unwrap();
            fs::rename(&b, path("away")).unwrap();
            assert_eq!(changes(&mut w).await, [0, 1]);
            // A directory that was not there, and one that goes and comes again.
            for _ in 0..2 {
                fs::create_dir_all(path("x/y")).unwrap();
                let _ = changes(&mut w).await;
                assert!(w.files[2].exact);
                fs::write(&deep, "9").unwrap();
                assert_eq!(c.by(clock::now() + Micros::from_secs(2), w.next_change()).await.unwrap(), 2);
                assert_eq!(read(&deep), Value::Number(9));
                fs::remove_dir_all(path("x")).unwrap();
                assert_eq!(c.by(clock::now() + Micros::from_secs(2), w.next_change()).await.unwrap(), 2);
                let _ = changes(&mut w).await;
                assert!(!w.files[2].exact);
                assert_eq!(read(&deep), Value::Missing);
            }
        });
        fs::remove_dir_all(dir).unwrap();
    }
}
