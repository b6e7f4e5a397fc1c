//! The `log` backend: lines to stderr, or to syslog as RFC 3164 has them; and the rate limiter.
//!
//! A line is built in a fixed buffer and cut at its end. Syslog never holds us: a line that it does
//! not take at once is lost, and the connection is made anew when syslog was restarted.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::clock;
use crate::config::model::LogLevel;
use crate::table::Table;
use crate::vrrp::timing::{Instant, Micros};

/// Bytes of a line at most.
const LINE: usize = 512;
/// Where syslog listens.
const SOCKET: &str = "/dev/log";
/// Facility "daemon" (RFC 3164 §4.1.1), as it stands in a priority.
const DAEMON: u8 = 3 << 3;
const TAG: &str = "picovrrp";

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `picovrrp[PID]: LEVEL: TEXT` on stderr.
    Stderr,
    /// /dev/log; while nobody listens there, lines are lost.
    Syslog,
}

struct State {
    target: Target,
    socket: Option<UnixDatagram>,
}

struct Logger {
    state: Mutex<State>,
}

static LOGGER: Logger = Logger { state: Mutex::new(State { target: Target::Stderr, socket: None }) };

/// Sends what is logged to `target` from now on. May be called again.
pub fn init(target: Target, level: LogLevel) {
    if let Ok(mut state) = LOGGER.state.lock() {
        *state = State { target, socket: None };
    }
    // Fails if it is set already: by us, or by a test.
    let _ = log::set_logger(&LOGGER);
    set_level(level);
}

/// Changes how much is logged.
pub fn set_level(level: LogLevel) {
    log::set_max_level(match level {
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
    });
}

/// A line under construction; what does not fit is dropped, at a character's boundary.
struct Line {
    bytes: [u8; LINE],
    len: usize,
}

impl Line {
    const fn new() -> Line {
        Line { bytes: [0; LINE], len: 0 }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        // The last byte is kept for a newline.
        let mut n = s.len().min(LINE - 1 - self.len);
        while !s.is_char_boundary(n) {
            n -= 1;
        }
        for (to, from) in self.bytes[self.len..].iter_mut().zip(&s.as_bytes()[..n]) {
            // One line is one line, whatever a peer or a script put into it.
            *to = if from.is_ascii_control() { b' ' } else { *from };
        }
        self.len += n;
        if n == s.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Severity by RFC 3164 §4.1.1: error, warning, informational, debug.
const fn severity(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// `Mmm dd hh:mm:ss`, the time stamp of RFC 3164 §4.1.2, in local time. Readers of /dev/log expect
/// it in its place: OpenWrt's takes 16 bytes off.
fn time_stamp(line: &mut Line, seconds: u64) -> fmt::Result {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // As wide as the C library has it: 32 bits on some machines, where the year 2038 ends it.
    let seconds = seconds.try_into().unwrap_or(0);
    let mut tm = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to locals that live through the call; all zeros are a valid `tm`,
    // which is what is left if the call fails.
    let tm = unsafe {
        libc::localtime_r(&raw const seconds, tm.as_mut_ptr());
        tm.assume_init()
    };
    let month = MONTHS.get(tm.tm_mon as usize).unwrap_or(&"Jan");
    write!(line, "{month} {:2} {:02}:{:02}:{:02} ", tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec)
}

fn format(target: Target, line: &mut Line, record: &Record<'_>, seconds: u64) -> fmt::Result {
    let pid = std::process::id();
    match target {
        Target::Stderr => {
            let level = match record.level() {
                Level::Error => "error",
                Level::Warn => "warning",
                Level::Info => "info",
                Level::Debug | Level::Trace => "debug",
            };
            write!(line, "{TAG}[{pid}]: {level}: {}", record.args())
        }
        Target::Syslog => {
            write!(line, "<{}>", DAEMON | severity(record.level()))?;
            time_stamp(line, seconds)?;
            write!(line, "{TAG}[{pid}]: {}", record.args())
        }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let Ok(mut state) = self.state.lock() else { return };
        let mut line = Line::new();
        // An error says that the line was cut.
        let _ = format(state.target, &mut line, record, clock::wall_seconds());
        match state.target {
            Target::Stderr => {
                line.bytes[line.len] = b'\n';
                line.len += 1;
                // Nobody to tell if stderr is closed.
                let _ = std::io::stderr().write_all(line.as_bytes());
            }
            Target::Syslog => state.send(line.as_bytes(), SOCKET),
        }
    }

    fn flush(&self) {}
}

impl State {
    fn send(&mut self, line: &[u8], path: &str) {
        if let Some(socket) = &self.socket {
            match socket.send(line) {
                Ok(_) => return,
                // Its queue is full: this line is lost, the connection is not.
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => {}
            }
        }
        self.socket = connect(path).ok();
        if let Some(socket) = &self.socket {
            let _ = socket.send(line);
        }
    }
}

fn connect(path: &str) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(path)?;
    Ok(socket)
}

/// Whether a line is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Log,
    /// Yes, and say that so many before it were not.
    LogWithSuppressed(u32),
    /// No.
    Drop,
}

/// Lines of a class that are written before the limit holds.
const BURST: u8 = 5;
/// After that, one in this time.
const PERIOD: Micros = Micros::from_secs(10);

#[derive(Clone, Debug)]
struct Class {
    tokens: u8,
    since: Instant,
    suppressed: u32,
}

impl Default for Class {
    fn default() -> Class {
        Class { tokens: BURST, since: Instant(0), suppressed: 0 }
    }
}

/// Limits lines by class: a flood that changes its source with every packet is one class.
#[derive(Clone, Debug)]
pub struct Limiter<const N: usize> {
    /// Those that were asked for, and all before them.
    classes: Table<Class, N>,
}

impl<const N: usize> Default for Limiter<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Limiter<N> {
    /// Five lines of each class may be written at once, then one every ten seconds.
    pub fn new() -> Self {
        Limiter { classes: Table::roomy() }
    }

    /// Asks for a line of `class` (0…N-1; others are never written).
    pub fn allow(&mut self, class: usize, now: Instant) -> Verdict {
        if self.classes.len() <= class && self.classes.resize_default(class + 1).is_err() {
            return Verdict::Drop;
        }
        let c = &mut self.classes[class];
        let earned = now.since(c.since).0 / PERIOD.0;
        if earned >= (BURST - c.tokens) as u64 {
            c.tokens = BURST;
            c.since = now;
        } else {
            c.tokens += earned as u8;
            c.since = c.since + Micros(earned * PERIOD.0);
        }
        if c.tokens == 0 {
            c.suppressed = c.suppressed.saturating_add(1);
            return Verdict::Drop;
        }
        c.tokens -= 1;
        match std::mem::take(&mut c.suppressed) {
            0 => Verdict::Log,
            n => Verdict::LogWithSuppressed(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(target: Target, level: Level, args: fmt::Arguments<'_>) -> String {
        let mut line = Line::new();
        let _ = format(target, &mut line, &Record::builder().level(level).args(args).build(), 0);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    /// RFC 3164 §4.1: priority 30 is daemon.info, a time stamp of 16 bytes, the tag. stderr: in words.
    #[test]
    fn lines() {
        let pid = std::process::id();
        let info = line(Target::Syslog, Level::Info, format_args!("lan: now {}", "MASTER"));
        assert!(info.starts_with("<30>"), "{info}");
        let (stamp, rest) = info[4..].split_at(16);
        assert!(stamp.ends_with(' ') && stamp[3..4] == *" " && stamp[6..7] == *" " && stamp[9..10] == *":", "{stamp}");
        assert_eq!(rest, format!("picovrrp[{pid}]: lan: now MASTER"));
        assert!(line(Target::Syslog, Level::Error, format_args!("x")).starts_with("<27>"));
        assert!(line(Target::Syslog, Level::Debug, format_args!("x")).starts_with("<31>"));
        let warning = line(Target::Stderr, Level::Warn, format_args!("no {}", 1));
        assert_eq!(warning, format!("picovrrp[{pid}]: warning: no 1"));
    }

    /// 1970-01-01 00:00 is, by local time, that day or the one before.
    #[test]
    fn stamp() {
        let mut l = Line::new();
        time_stamp(&mut l, 0).unwrap();
        assert!(l.as_bytes().starts_with(b"Jan  1 ") || l.as_bytes().starts_with(b"Dec 31 "));
        assert_eq!(l.len, 16);
    }

    /// A long line is cut at a character's boundary, and one line stays one line.
    #[test]
    fn long_and_wicked_lines() {
        let long = "ä".repeat(600);
        let cut = line(Target::Stderr, Level::Info, format_args!("{long}"));
        assert!(cut.len() < LINE && cut.len() >= LINE - 3 && cut.ends_with('ä'));
        let wicked = line(Target::Stderr, Level::Info, format_args!("a\nb\x1b[31m\0c"));
        assert!(wicked.ends_with("a b [31m c"), "{wicked:?}");
    }

    /// Lines reach a socket; when it is restarted, the next line does; when it is gone or full, none
    /// blocks.
    #[test]
    fn socket() {
        let path = std::env::temp_dir().join(format!("picovrrp-log-{}", std::process::id()));
        let path = path.to_str().unwrap();
        let _ = std::fs::remove_file(path);
        let mut state = State { target: Target::Syslog, socket: None };
        state.send(b"lost", path);
        for round in [b"one", b"two"] {
            let server = UnixDatagram::bind(path).unwrap();
            state.send(round, path);
            let mut b = [0; 16];
            let n = server.recv(&mut b).unwrap();
            assert_eq!(&b[..n], round);
            for _ in 0..10_000 {
                state.send(b"flood", path);
            }
            drop(server);
            std::fs::remove_file(path).unwrap();
            state.send(b"lost", path);
        }
    }

    /// Five at once, then one each ten seconds, which says how many were not; classes are apart.
    #[test]
    fn limiter() {
        let mut l = Limiter::<2>::new();
        let t = |s: u64| Instant(1_000_000_000 + s * 1_000_000);
        for _ in 0..5 {
            assert_eq!(l.allow(0, t(0)), Verdict::Log);
        }
        for _ in 0..1000 {
            assert_eq!(l.allow(0, t(1)), Verdict::Drop);
        }
        assert_eq!(l.allow(1, t(1)), Verdict::Log);
        assert_eq!(l.allow(0, t(9)), Verdict::Drop);
        assert_eq!(l.allow(0, t(10)), Verdict::LogWithSuppressed(1001));
        assert_eq!(l.allow(0, t(19)), Verdict::Drop);
        assert_eq!(l.allow(0, t(20)), Verdict::LogWithSuppressed(1));
        // Quiet for long: a burst is allowed again, and no more than one.
        for _ in 0..5 {
            assert_eq!(l.allow(0, t(1000)), Verdict::Log);
        }
        assert_eq!(l.allow(0, t(1000)), Verdict::Drop);
        assert_eq!(l.allow(2, t(0)), Verdict::Drop);
    }

    /// A flood for a day, whatever its sources: about one line in ten seconds.
    #[test]
    fn flood() {
        let mut l = Limiter::<1>::new();
        let logged = (0..864_000u64).filter(|n| l.allow(0, Instant(n * 100_000)) != Verdict::Drop).count();
        assert!((8_640..=8_645).contains(&logged), "{logged}");
    }
}
