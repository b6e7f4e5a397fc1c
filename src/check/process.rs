//! How many processes of a name run.
//!
//! The scan of /proc is the cost, so that one pass serves any number of matchers. A command name is
//! the kernel's (`/proc/PID/comm`, at most 15 bytes); zombies do not count, threads neither.

use std::io;
use std::mem::MaybeUninit;

use rustix::fs::{CWD, Mode, OFlags, RawDir};
use std::os::fd::OwnedFd;
use ufmt::uwrite;

use super::process_watch::{ProcessWatch, why_not};
use super::{Look, Outcome, Seen, reason};
use crate::sys::context::Context;
use crate::vrrp::timing::{Instant, Micros};

/// Bytes of a command name: TASK_COMM_LEN without its NUL.
const COMM: usize = 15;
/// Bytes of a command line that are compared.
const MAX_LINE: usize = 512;
/// Processes between two pauses, in which adverts go out.
const BATCH: u32 = 16;
/// Processes that are remembered between two looks.
const KNOWN: usize = 8;

/// Which processes count, and how many are to be.
#[derive(Clone, Copy, Debug)]
pub struct Matcher<'a> {
    /// The command name, of which the first 15 bytes count. With `full_command` the command line up
    /// to its first argument, or the whole of it with blanks between the words.
    pub name: &'a str,
    /// Compare the command line.
    pub full_command: bool,
    /// The words behind the first are these, with a blank between each two.
    pub params: Option<&'a str>,
    /// At least so many.
    pub min: u32,
    /// At most so many.
    pub max: Option<u32>,
}

impl Matcher<'_> {
    /// What a count says.
    pub fn judge(&self, count: u32) -> Outcome {
        let (min, max) = (self.min, self.max.unwrap_or(u32::MAX));
        if count < min {
            Err(reason(&mut |t| uwrite!(t, "{} running, {} wanted", count, min)))
        } else if count > max {
            Err(reason(&mut |t| uwrite!(t, "{} running, at most {} wanted", count, max)))
        } else {
            Ok(())
        }
    }

    fn wants_line(&self) -> bool {
        self.full_command || self.params.is_some()
    }

    fn name_matches(&self, comm: &[u8]) -> bool {
        let name = self.name.as_bytes();
        name.get(..COMM).unwrap_or(name) == comm
    }

    /// `line`: the words, each with a NUL behind it.
    fn matches(&self, comm: &[u8], line: &[u8]) -> bool {
        if !self.full_command && !self.name_matches(comm) {
            return false;
        }
        if !self.wants_line() {
            return true;
        }
        let line = line.trim_ascii_end_nul();
        let first = line.iter().position(|b| *b == 0).unwrap_or(line.len());
        let (command, rest) = (&line[..first], line.get(first + 1..).unwrap_or(&[]));
        let same = |words: &str, with: &[u8]| {
            words.len() == with.len() && words.bytes().zip(with).all(|(w, b)| w == if *b == 0 { b' ' } else { *b })
        };
        (!self.full_command || !line.is_empty() && (self.name.as_bytes() == command || same(self.name, line)))
            && self.params.is_none_or(|p| same(p, rest))
    }
}

trait TrimNul {
    fn trim_ascii_end_nul(&self) -> &[u8];
}

impl TrimNul for [u8] {
    /// Without the NULs at the end: programs that write their own title leave many.
    fn trim_ascii_end_nul(&self) -> &[u8] {
        &self[..self.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1)]
    }
}

/// Counts the processes of each matcher in one pass; `counts` is as long as `matchers`.
pub async fn count(matchers: &[Matcher<'_>], counts: &mut [u32]) -> Outcome {
    scan(matchers, counts, |_| ()).await
}

/// The same, and `found` hears of each process that counts.
async fn scan(matchers: &[Matcher<'_>], counts: &mut [u32], mut found: impl FnMut(&[u8])) -> Outcome {
    counts.fill(0);
    let proc = open_proc().map_err(unreadable)?;
    let mut room = [MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(&proc, &mut room);
    let mut seen = 0;
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(unreadable)?;
        let pid = entry.file_name().to_bytes();
        if !pid.iter().all(u8::is_ascii_digit) {
            continue;
        }
        if count_one(&proc, pid, matchers, counts) {
            found(pid);
        }
        seen += 1;
        if seen % BATCH == 0 {
            smol::future::yield_now().await;
        }
    }
    Ok(())
}

/// Adds a process to the counts of the matchers that it fits; whether there is one.
fn count_one(proc: &OwnedFd, pid: &[u8], matchers: &[Matcher<'_>], counts: &mut [u32]) -> bool {
    let (mut comm, mut line) = ([0; 64], [0; MAX_LINE]);
    // A process may end while we look: then it is not there.
    let Some(comm) = read(proc, pid, b"/comm", &mut comm) else {
        return false;
    };
    let comm = comm.strip_suffix(b"\n").unwrap_or(comm);
    let wanted = matchers.iter().any(|m| m.wants_line() && (m.full_command || m.name_matches(comm)));
    let line = if wanted { read(proc, pid, b"/cmdline", &mut line).unwrap_or(&[]) } else { &[] };
    let counts_for_one = matchers.iter().any(|m| m.matches(comm, line)) && alive(proc, pid);
    if counts_for_one {
        for (m, n) in matchers.iter().zip(counts.iter_mut()) {
            *n += u32::from(m.matches(comm, line));
        }
    }
    counts_for_one
}

fn open_proc() -> Result<OwnedFd, rustix::io::Errno> {
    rustix::fs::openat(CWD, c"/proc", OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY, Mode::empty())
}

fn unreadable(e: rustix::io::Errno) -> super::Reason {
    let n = e.raw_os_error();
    reason(&mut |t| uwrite!(t, "/proc cannot be read: error {}", n))
}

/// The beginning of a file of a process.
fn read<'b>(proc: &OwnedFd, pid: &[u8], file: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut path = heapless::Vec::<u8, 32>::new();
    path.extend_from_slice(pid).ok()?;
    path.extend_from_slice(file).ok()?;
    let fd = rustix::fs::openat(proc, &path[..], OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let n = rustix::io::read(&fd, &mut buffer[..]).ok()?;
    buffer.get(..n)
}

fn alive(proc: &OwnedFd, pid: &[u8]) -> bool {
    let mut buffer = [0; 192];
    read(proc, pid, b"/stat", &mut buffer).and_then(state).is_some_and(|s| !matches!(s, b'Z' | b'X' | b'x'))
}

/// The state in /proc/PID/stat: behind the last parenthesis, for a name may have some.
fn state(stat: &[u8]) -> Option<u8> {
    let end = stat.iter().rposition(|b| *b == b')')?;
    match stat.get(end + 1..)? {
        [b' ', state, ..] => Some(*state),
        _ => None,
    }
}

/// The processes of a name as a check.
pub struct Process<'a> {
    context: &'a Context,
    matcher: Matcher<'a>,
    /// How long a change must last.
    delay: Micros,
    /// What it found last.
    up: Option<bool>,
    /// Who counted last, as far as there is room. While enough of them are what they were, there is
    /// no need to look at anybody else.
    known: heapless::Vec<heapless::Vec<u8, 10>, KNOWN>,
    watch: Option<ProcessWatch<'a>>,
}

impl<'a> Process<'a> {
    /// `up` is what was found before, if anything. With `connector` the kernel is asked to tell of
    /// changes; why it does not is the second of what is returned.
    pub fn new(
        context: &'a Context,
        matcher: Matcher<'a>,
        delay: Micros,
        connector: bool,
        up: Option<bool>,
    ) -> (Process<'a>, Option<&'static str>) {
        let (watch, why) = match connector.then(|| ProcessWatch::new(context)) {
            Some(Ok(watch)) => (Some(watch), None),
            Some(Err(e)) => (None, Some(why_not(&e))),
            None => (None, None),
        };
        (Process { context, matcher, delay, up, known: heapless::Vec::new(), watch }, why)
    }

    async fn find(&mut self) -> Outcome {
        if self.enough_known() {
            return Ok(());
        }
        let (known, mut counts) = (&mut self.known, [0]);
        known.clear();
        let note = |pid: &[u8]| {
            // Who has no room is found again by the next scan.
            let _ = heapless::Vec::from_slice(pid).map(|pid| known.push(pid));
        };
        scan(&[self.matcher], &mut counts, note).await?;
        self.matcher.judge(counts[0])
    }

    /// Whether those that counted last are enough by themselves. Never with a maximum: there may be more.
    fn enough_known(&self) -> bool {
        if self.matcher.max.is_some() || self.known.len() < self.matcher.min as usize {
            return false;
        }
        let Ok(proc) = open_proc() else { return false };
        let mut counts = [0];
        // Each is looked at anew, so that a pid that came to be another's does not count.
        self.known.iter().any(|pid| {
            count_one(&proc, pid, &[self.matcher], &mut counts);
            counts[0] >= self.matcher.min
        })
    }
}

impl Look for Process<'_> {
    async fn look(&mut self, _deadline: Instant) -> Seen {
        let mut found = self.find().await;
        if self.delay > Micros::ZERO && self.up.is_some_and(|up| up != found.is_ok()) {
            // A restart of the program is no failure: what lasts is.
            let _ = self.context.sleep(self.delay).await;
            found = self.find().await;
        }
        self.up = Some(found.is_ok());
        found.into()
    }

    fn is_told(&self) -> bool {
        self.watch.is_some()
    }

    async fn change(&mut self) -> io::Result<()> {
        match &mut self.watch {
            Some(watch) => watch.next_change().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::run;
    use super::*;
    use crate::sys::testnet::eventually;
    use std::process::{Child, Command};

    fn matcher(name: &str) -> Matcher<'_> {
        Matcher { name, full_command: false, params: None, min: 1, max: None }
    }

    fn count_of(m: Matcher<'_>) -> u32 {
        let mut counts = [0];
        run(async |_| count(&[m], &mut counts).await).unwrap();
        counts[0]
    }

    fn sleeper(dir: &std::path::Path, name: &str, args: &[&str]) -> Child {
        let path = dir.join(name);
        if !path.exists() {
            std::fs::copy("/bin/sleep", &path).unwrap();
        }
        Command::new(path).args(args).spawn().unwrap()
    }

    #[test]
    fn children_with_odd_names() {
        let dir = std::env::temp_dir().join(format!("picovrrp-process-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for name in ["pv (odd) ) Z x", "pv-a-very-long-name-indeed", "pv\nline", "pv) S (1"] {
            let m = matcher(name);
            assert_eq!(count_of(m), 0, "{name:?}");
            let mut children = [sleeper(&dir, name, &["61"]), sleeper(&dir, name, &["62", "1"])];
            eventually("two", || (count_of(m) == 2).then_some(()));
            let path = dir.join(name);
            let path = path.to_str().unwrap();
            let whole = format!("{path} 62 1");
            let full = |name| Matcher { full_command: true, ..matcher(name) };
            let many = [
                full(path),
                full(&whole),
                full("62 1"),
                Matcher { params: Some("62 1"), ..m },
                Matcher { params: Some("61"), ..full(path) },
                Matcher { params: Some(""), ..m },
            ];
            // A program's name is there a moment before its command line.
            eventually("all of them, by name and by command line", || {
                let mut counts = [9; 6];
                run(async |_| count(&many, &mut counts).await).unwrap();
                (counts == [2, 1, 0, 1, 1, 0]).then_some(())
            });
            // A zombie does not count.
            children[0].kill().unwrap();
            eventually("one", || (count_of(m) == 1).then_some(()));
            children[1].kill().unwrap();
            for c in &mut children {
                c.wait().unwrap();
            }
            assert_eq!(count_of(m), 0);
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn who_is_known_is_looked_at_anew() {
        let dir = std::env::temp_dir().join(format!("picovrrp-known-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let shell = dir.join("pv-known");
        std::fs::copy("/bin/sh", &shell).unwrap();
        let becomes_other = || {
            let mut command = Command::new(&shell);
            command.args(["-c", "read line; exec sleep 61"]).stdin(std::process::Stdio::piped());
            command.spawn().unwrap()
        };
        let m = Matcher { min: 2, ..matcher("pv-known") };
        let mut children = [becomes_other(), becomes_other()];
        eventually("both", || (count_of(m) == 2).then_some(()));
        run(async |context| {
            let (mut process, _) = Process::new(context, m, Micros::ZERO, false, None);
            assert!(!process.enough_known(), "nobody is known at first");
            for _ in 0..2 {
                assert_eq!(process.find().await, Ok(()));
                assert!(process.enough_known());
            }
            // The same pid under another name.
            children[0].stdin = None;
            eventually("one less", || (count_of(m) == 1).then_some(()));
            assert!(!process.enough_known());
            assert_eq!(process.find().await.unwrap_err(), "1 running, 2 wanted");
            children[0].kill().unwrap();
            children[0].wait().unwrap();
            children[0] = becomes_other();
            eventually("both again", || (count_of(m) == 2).then_some(()));
            assert_eq!(process.find().await, Ok(()));
            // With a maximum a third counts.
            process.matcher.max = Some(2);
            assert_eq!(process.find().await, Ok(()));
            assert!(!process.enough_known());
        });
        for c in &mut children {
            c.kill().unwrap();
            c.wait().unwrap();
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn bounds() {
        let m = Matcher { min: 1, max: Some(2), ..matcher("x") };
        assert_eq!(m.judge(0).unwrap_err(), "0 running, 1 wanted");
        assert_eq!(m.judge(1), Ok(()));
        assert_eq!(m.judge(2), Ok(()));
        assert_eq!(m.judge(3).unwrap_err(), "3 running, at most 2 wanted");
    }

    proptest::proptest! {
        #[test]
        fn junk(comm: Vec<u8>, line: Vec<u8>, name: String, params: Option<String>, full_command: bool) {
            let m = Matcher { full_command, params: params.as_deref(), ..matcher(&name) };
            let _ = m.matches(&comm, &line);
            let _ = state(&line);
        }
    }

    #[test]
    fn states() {
        assert_eq!(state(b"1 (a) b) Z 1"), Some(b'Z'));
        assert_eq!(state(b"1 (a) S"), Some(b'S'));
        assert_eq!(state(b"1 (a)"), None);
        assert_eq!(state(b""), None);
    }
}
