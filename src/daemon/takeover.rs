//! Another process in our place, where nobody watches us: it asks over the control socket, and is sent the
//! state and all descriptors.
//!
//! At each moment one of the two is the daemon. Until the new one is ready the old one just goes on. Then the
//! old one stands still and sends all, and a token among it, which only one of them can take. Before the new
//! one has it, it does nothing that others could see; from there on it is the daemon. When it runs it says so
//! ([`RUNNING`]), and the old one ends, giving nothing back. If that is late the old one goes on, but only if
//! it gets the token back. If the new one dies before it runs the old one goes on in any case; if it has the
//! token and hangs, it is killed first.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::SendFlags;
use rustix::process::{Pid, Signal, kill_process};

use super::Core;
use super::upgrade::{MAX_STATE, Saved, VERSION};
use crate::control::{self, MAX_FRAME, Reply, Request};
use crate::sys::clock;
use crate::sys::control_socket::{Connection, Listener, connect};
use crate::sys::handover;
use crate::vrrp::timing::{Instant, Micros};

/// What the new process says when it waits for the state.
pub(super) const READY: u8 = b'r';
/// When it is the daemon, and has told the kernel all that it must.
const RUNNING: u8 = b'd';

/// How long it may take to run when it is the daemon.
const BEGINNING: Micros = Micros::from_secs(1);
/// How long the old process may take over each step: hooks are waited for.
const OLD: Duration = Duration::from_secs(40);

const ENDED: &str = "the new process has ended instead";

/// The new process's end.
pub struct Takeover {
    old: UnixStream,
    token: Option<OwnedFd>,
}

impl embedded_io::ErrorType for Takeover {
    type Error = io::Error;
}

impl embedded_io::Read for Takeover {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.old.read(buffer)
    }
}

/// Why the daemon did not say yes.
enum No {
    /// It is gone, or too late.
    Gone,
    Refused(String),
}

impl Takeover {
    /// Asks the daemon of this run directory to be taken over; returns when it has read its configuration
    /// again and waits for us. `None` if none answers; the error says why it refuses.
    pub fn ask(dir: &Path) -> Result<Option<Takeover>, String> {
        let mut old = match connect(dir) {
            Ok(old) => Takeover { old, token: None },
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err(format!("{}: {e}", dir.display())),
            Err(_) => return Ok(None),
        };
        let _ = old.old.set_read_timeout(Some(OLD));
        let mut buffer = [0; MAX_FRAME];
        let request = Request::Takeover { state: VERSION, network: handover::network() };
        // What is not sent is not answered.
        let _ = old.say(control::encode(&mut buffer, &request).unwrap_or(&[]));
        match old.answer() {
            Ok(()) => Ok(Some(old)),
            Err(No::Refused(why)) => Err(why),
            Err(No::Gone) => Ok(None),
        }
    }

    /// Says that we are ready, and waits for the state. `None` if the daemon is gone.
    pub fn receive(mut self) -> Result<Option<Saved>, String> {
        // Should it be gone it does not answer.
        let _ = self.say(&[READY]);
        match self.answer() {
            Ok(()) => {}
            Err(No::Refused(why)) => return Err(why),
            Err(No::Gone) => return Ok(None),
        }
        let cut = |e: io::Error| format!("the state is cut off: {e}");
        let mut all = match handover::receive(&self.old) {
            Ok(all) => all,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(cut(e)),
        };
        let (Some((_, state)), Some((_, token))) = (all.pop(), all.pop()) else {
            return Err(cut(io::ErrorKind::InvalidData.into()));
        };
        let bytes = handover::content(state, MAX_STATE).map_err(cut)?;
        let mut saved = Saved::new(bytes).map_err(|_| "the state is of another version".to_owned())?;
        // They are adopted and released like those that were kept through execve.
        saved.numbers = all.into_iter().map(|(theirs, ours)| (theirs, ours.into_raw_fd())).collect();
        self.token = Some(token);
        saved.old = Some(self);
        Ok(Some(saved))
    }

    fn say(&self, word: &[u8]) -> io::Result<()> {
        rustix::net::send(&self.old, word, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    fn answer(&mut self) -> Result<(), No> {
        let mut buffer = [0; MAX_FRAME];
        match control::read_frame(self, &mut buffer).map(|frame| frame.map(control::decode::<Reply<'_>>)) {
            Ok(Some(Ok(Reply::End))) => Ok(()),
            Ok(Some(Ok(Reply::Refused(why)))) => Err(No::Refused(why.to_owned())),
            Ok(Some(_)) => Err(No::Refused("the daemon is of another version".to_owned())),
            Ok(None) | Err(_) => Err(No::Gone),
        }
    }

    /// From here on we are the daemon, unless the one before us goes on after all: then the error says why.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        if self.token.as_ref().is_some_and(handover::take) {
            return Ok(());
        }
        let why = match self.answer() {
            Err(No::Refused(why)) => why,
            _ => "the daemon goes on".to_owned(),
        };
        Err(io::Error::other(why))
    }

    /// We run.
    pub(super) fn done(&self) {
        // Should it be dead, it is no matter.
        let _ = self.say(&[RUNNING]);
    }
}

/// What the old process hears.
enum Heard {
    Running,
    /// The new one is gone.
    Gone,
    /// Nothing until then, or nothing that is a word.
    Nothing,
}

/// What the new process says, if it says something by `until`; without a limit it is waited for.
fn hear(new: &mut UnixStream, until: Option<Instant>) -> Heard {
    loop {
        let left = until.map(|t| Duration::from_micros(t.since(clock::now()).0));
        // No time at all would be no limit.
        if left.is_some_and(|left| left.is_zero()) || new.set_read_timeout(left).is_err() {
            return Heard::Nothing;
        }
        let mut word = [0];
        match new.read(&mut word) {
            Ok(1) if word[0] == RUNNING => return Heard::Running,
            Ok(1) => return Heard::Nothing,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            _ => return Heard::Gone,
        }
    }
}

/// Tells a new process that it may get ready, or that all is sent then.
pub(super) fn greet(new: &Connection) {
    let mut buffer = [0; MAX_FRAME];
    // Should it be gone, that is heard.
    let _ = new.try_write(control::encode(&mut buffer, &Reply::End).unwrap_or(&[]));
}

/// Why a process with such a state, in this network namespace, cannot take over.
pub(super) fn fits(state: u8, network: u64) -> Result<(), &'static str> {
    match () {
        () if state != VERSION => Err("the new program writes and reads the state in another version"),
        () if network != handover::network() => Err("the new process is in another network namespace"),
        () => Ok(()),
    }
}

impl Core {
    /// Sends all to the new process and ends when that runs. Returns why it does not.
    pub(super) fn hand_over(&self, client: RawFd, generation: u32, listener: &Listener) -> io::Result<&'static str> {
        if generation != self.generation {
            return Ok("the configuration has changed meanwhile");
        }
        let (head, mut numbers) = self.keep_all(listener, false)?;
        let (state, token) = (handover::sealed(&self.save(head, &[]))?, handover::token()?);
        numbers.extend([token.as_raw_fd(), state.as_raw_fd()]);
        let client: OwnedFd = handover::adopt(client)?;
        let connection = Connection::adopt(client.try_clone()?);
        let mut new = UnixStream::from(client);
        // For the task whose client it is that makes no difference: it never waits in a call.
        new.set_nonblocking(false)?;
        let until = self.patience(clock::now());
        greet(&connection);
        // Who has not got all cannot take the token.
        match handover::send(&new, &numbers) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(ENDED),
            sent => sent?,
        }
        let mut heard = hear(&mut new, Some(until));
        if !matches!(heard, Heard::Running) && handover::take(&token) {
            let gone = matches!(heard, Heard::Gone);
            return Ok(if gone { ENDED } else { "the new process is too slow" });
        }
        if matches!(heard, Heard::Nothing) {
            heard = hear(&mut new, Some(clock::now() + BEGINNING));
        }
        let pid = connection.process();
        if matches!(heard, Heard::Nothing) {
            log::error!("process {pid} has taken over and does nothing: killing it");
            if let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 1) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        // As long as it is there it may go on.
        while matches!(heard, Heard::Nothing) {
            heard = hear(&mut new, None);
        }
        if matches!(heard, Heard::Running) {
            log::info!("process {pid} has taken over: ends");
            // Nothing is given back: it is the other's.
            std::process::exit(0);
        }
        self.run_dir.write_pid()?;
        Ok("the new process has died")
    }

    /// How long we can stand still: so long that no advert is later than by another interval.
    fn patience(&self, now: Instant) -> Instant {
        let most = Micros::from_secs(1);
        let adverts = (0..self.router.len()).filter_map(|i| self.router.view(i)).map(|v| v.config.advert.micros());
        let due = self.router.next_deadline().unwrap_or(now + most).clamp(now, now + most);
        due + adverts.min().unwrap_or(most).min(most)
    }
}
