//! A user's command as a program: split into words, found safe, started.

use std::fmt::Display;

use heapless::Vec;

use crate::check::Reason;
use crate::sys::process::{Child, Children, Ended, Leftovers, MAX_WORDS, Program, Stderr, User};
use crate::sys::script_security::check_command;

/// A command of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// The user's words, split on blanks; no shell sees them.
    pub line: &'a str,
    /// Words behind them.
    pub extra: &'a [&'a str],
    /// Variables besides PATH.
    pub env: &'a [(&'a str, &'a str)],
    /// Who it runs as; `None` for whom we are.
    pub user: Option<&'a User>,
    /// Whether it must be safe (`script-security on`).
    pub secure: bool,
}

/// The kinds of commands, which differ in what becomes of their output and their children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nice, its error output read, its process group killed when it ends.
    Check,
    /// Its error output discarded; what it starts and leaves behind is left alone.
    Hook,
}

impl Command<'_> {
    /// Whether it can be run safely; the error says what is wrong. Also asked by [`start`](Self::start).
    pub fn check(&self) -> Result<(), Reason> {
        let Some(first) = self.line.split_ascii_whitespace().next() else { return Err(reason(&["no command"])) };
        let ourselves;
        let user = match self.user {
            Some(user) => user,
            None => {
                ourselves = User::ourselves();
                &ourselves
            }
        };
        check_command(first, user).map(|_| ()).map_err(|e| reason(&[&e.component, " ", e.why.words()]))
    }

    /// Starts it, if it is safe.
    pub fn start<'c>(&self, children: &'c Children, kind: Kind) -> Result<Child<'c>, Reason> {
        if self.secure {
            self.check()?;
        }
        let mut words: Vec<&str, MAX_WORDS> = Vec::new();
        for word in self.line.split_ascii_whitespace().chain(self.extra.iter().copied()) {
            words.push(word).map_err(|_| reason(&["too many words"]))?;
        }
        let (nice, stderr, leftovers) = match kind {
            Kind::Check => (5, Stderr::Capture, Leftovers::Kill),
            Kind::Hook => (0, Stderr::Null, Leftovers::Keep),
        };
        let program = Program { words: &words, env: self.env, user: self.user, nice, stderr, leftovers };
        children.spawn(&program).map_err(|e| failed("cannot be started", &e))
    }
}

/// What a child that has ended came to: nothing, or what is wrong and not said by itself.
pub fn verdict(child: &Child<'_>, ended: Ended) -> Result<(), Reason> {
    match ended {
        Ended::Exited(0) => Ok(()),
        Ended::Exited(-1) => Err(reason(&["its exit status was lost"])),
        Ended::Exited(status) => Err(match child.not_started() {
            Some((step, e)) => failed(step, &e),
            None => reason(&["exit status ", &status.to_string()]),
        }),
        Ended::Killed(signal) => Err(reason(&["killed by signal ", &signal.to_string(), name_of(signal)])),
    }
}

/// The names of the signals that people meet.
fn name_of(signal: i32) -> &'static str {
    match signal {
        libc::SIGHUP => " (HUP)",
        libc::SIGINT => " (INT)",
        libc::SIGQUIT => " (QUIT)",
        libc::SIGILL => " (ILL)",
        libc::SIGABRT => " (ABRT)",
        libc::SIGBUS => " (BUS)",
        libc::SIGFPE => " (FPE)",
        libc::SIGKILL => " (KILL)",
        libc::SIGSEGV => " (SEGV)",
        libc::SIGPIPE => " (PIPE)",
        libc::SIGALRM => " (ALRM)",
        libc::SIGTERM => " (TERM)",
        _ => "",
    }
}

pub(crate) fn failed(what: &str, e: &dyn Display) -> Reason {
    reason(&[what, ": ", &e.to_string()])
}

/// The pieces as one, cut off where there is no more room.
pub(crate) fn reason(pieces: &[&str]) -> Reason {
    let mut reason = Reason::new();
    for piece in pieces {
        let mut cut = piece.len().min(reason.capacity() - reason.len());
        while !piece.is_char_boundary(cut) {
            cut -= 1;
        }
        // It fits, being cut.
        let _ = reason.push_str(&piece[..cut]);
    }
    reason
}
