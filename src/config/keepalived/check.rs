//! `vrrp_script`, `vrrp_track_process`, `track_file`, and what tracks them.

use heapless::String;
use ufmt::{uWrite, uwrite};

use super::global::DAY;
use super::reader::{DefaultWeight, Done, Reader};
use super::words::Words;
use crate::config::assemble::Reported;
use crate::config::commands::CommandAt;
use crate::config::diagnostics::Pos;
use crate::config::draft::{CheckDraft, Part};
use crate::config::model::{CheckKind, Initial, StrId, Track, Tracked};
use crate::vrrp::timing::Micros;

/// The longest process name, and words of its command line.
const MAX_PROCESS: usize = 255;
/// The shortest interval.
const SHORTEST: Micros = Micros::from_millis(10);
/// From one look to the next where keepalived hears of each change: the connector tells us too.
const PROCESS_EVERY: Micros = Micros::from_secs(1);

/// A check that is coming in.
#[derive(Default)]
pub(super) struct CheckBlock {
    draft: Option<CheckDraft>,
    weight: Option<(i16, bool)>,
    /// Whether what it looks at was there, though perhaps wrong.
    target: bool,
    wrong: bool,
    command_at: Option<Pos>,
    user_at: Option<Pos>,
    quorum: bool,
    fork_delay: Option<Micros>,
    terminate_delay: Option<Micros>,
}

fn begin(r: &mut Reader<'_>, w: &mut Words<'_>, keyword: &str, kind: CheckKind) -> Done {
    r.check = CheckBlock::default();
    let at = w.at;
    let name = match r.name(w, keyword, "a name") {
        Ok(name) => name,
        Err(reported) => {
            r.asm.add_broken_check(at, None);
            w.skip();
            return Err(reported);
        }
    };
    let mut draft = CheckDraft::new(at, name);
    draft.check.kind = kind;
    draft.check.every = if matches!(kind, CheckKind::File { .. }) { draft.check.every } else { PROCESS_EVERY };
    draft.check.timeout = draft.check.every;
    r.check.draft = Some(draft);
    Ok(())
}

pub(super) fn begin_script(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    begin(r, w, "vrrp_script", CheckKind::Script { command: StrId::default(), user: StrId::default() })
}

pub(super) fn begin_process(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let kind = CheckKind::Process {
        name: StrId::default(),
        min: 1,
        max: None,
        full_command: false,
        params: StrId::default(),
        delay: Micros::ZERO,
        connector: true,
    };
    begin(r, w, "vrrp_track_process", kind)
}

pub(super) fn begin_file(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    begin(r, w, "track_file", CheckKind::File { path: StrId::default() })
}

impl Reader<'_> {
    /// The check is complete.
    pub(super) fn end_check(&mut self) {
        let mut block = core::mem::take(&mut self.check);
        let Some(mut draft) = block.draft.take() else { return };
        let (at, name) = (draft.at, draft.check.name);
        if !block.target {
            block.wrong = true;
            let what = match draft.check.kind {
                CheckKind::Script { .. } => "vrrp_script without a 'script'",
                CheckKind::Process { .. } => "vrrp_track_process without a 'process'",
                _ => "track_file without a 'file'",
            };
            self.asm.diag.error(at, &mut |t| uwrite!(t, "{}: there is nothing to look at", what));
        }
        self.settle_delays(&block, &mut draft);
        if let Some((weight, reverse)) = block.weight {
            // There is no room only where there are too many checks, which is reported.
            let _ = self.weights.push(DefaultWeight { check: name, weight, reverse });
        }
        let parts = match draft.check.kind {
            CheckKind::Script { command, user } => [name, command, user],
            CheckKind::Process { name: process, params, .. } => [name, process, params],
            CheckKind::File { path } => [name, path, StrId::default()],
            _ => [name; 3],
        };
        if block.wrong || self.fits(at, "check", &parts).is_err() {
            self.asm.add_broken_check(at, Some(name));
            return;
        }
        if let CheckKind::Script { command, user } = draft.check.kind {
            let at = block.command_at.unwrap_or(at);
            self.globals.command_at.get_or_insert(at);
            let user_at = block.user_at.unwrap_or(at);
            self.asm.note_command(CommandAt { at, what: "script", command, user, user_at });
        }
        self.asm.add_check(draft);
    }

    /// We have one delay for both directions.
    fn settle_delays(&mut self, block: &CheckBlock, draft: &mut CheckDraft) {
        let CheckKind::Process { delay, .. } = &mut draft.check.kind else { return };
        let (up, down) = (block.fork_delay.unwrap_or(*delay), block.terminate_delay.unwrap_or(*delay));
        *delay = up.max(down);
        if up != down {
            self.report(draft.at, &mut |t| {
                t.write_str(
                    "'fork_delay' and 'terminate_delay' are not taken over apart: the longer one counts for both",
                )
            });
        }
    }

    /// The check that is open, and where the statement's first value stands.
    fn set(&mut self, part: Part, at: Pos, set: impl FnOnce(&mut CheckDraft)) {
        if let Some(draft) = &mut self.check.draft {
            draft.mark(part, at);
            set(draft);
        }
    }

    /// Remembers that a value of the check was wrong.
    fn checked<T>(&mut self, value: Result<T, Reported>) -> Result<T, Reported> {
        self.check.wrong |= value.is_err();
        value
    }
}

pub(super) fn script(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.check.target = true;
    let at = w.pos();
    r.check.command_at = Some(at);
    let read = r.command(w, "script");
    let words = r.checked(read)?;
    r.set(Part::Target, at, |d| {
        if let CheckKind::Script { command, .. } = &mut d.check.kind {
            *command = words;
        }
    });
    Ok(())
}

pub(super) fn user(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let read =
        if w.peek().is_none() { Err(r.need(w, "user", "a user and perhaps a group")) } else { r.user(w, "user") };
    let name = r.checked(read)?;
    r.check.user_at = Some(at);
    r.set(Part::Via, at, |d| {
        if let CheckKind::Script { user, .. } = &mut d.check.kind {
            *user = name;
        }
    });
    Ok(())
}

pub(super) fn interval(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let read = r.seconds(w, "interval", SHORTEST, DAY, "seconds from 0.01 to 86400");
    let every = r.checked(read)?;
    if let Some(draft) = &mut r.check.draft {
        draft.check.every = every;
    }
    Ok(())
}

pub(super) fn timeout(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let read = r.seconds(w, "timeout", SHORTEST, DAY, "seconds from 0.01 to 86400");
    let timeout = r.checked(read)?;
    r.set(Part::Timeout, at, |d| d.check.timeout = timeout);
    Ok(())
}

pub(super) fn rise(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let read = r.number(w, "rise", 1, 255);
    let n = r.checked(read)?;
    r.set(Part::Rise, at, |d| d.check.rise = n as u8);
    Ok(())
}

pub(super) fn fall(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let read = r.number(w, "fall", 1, 255);
    let n = r.checked(read)?;
    r.set(Part::Fall, at, |d| d.check.fall = n as u8);
    Ok(())
}

pub(super) fn init_fail(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.set(Part::Initial, w.at, |d| d.check.initial = Initial::Down);
    Ok(())
}

pub(super) fn weight(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let read = weight_value(r, w);
    r.check.weight = Some(r.checked(read)?);
    Ok(())
}

/// A process's name, and the words behind it.
pub(super) fn process(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.check.target = true;
    let at = w.pos();
    let read = process_words(r, w);
    let (process, words) = r.checked(read)?;
    r.set(Part::Target, at, |d| {
        if let CheckKind::Process { name, params, .. } = &mut d.check.kind {
            (*name, *params) = (process, words);
        }
    });
    Ok(())
}

fn process_words(r: &mut Reader<'_>, w: &mut Words<'_>) -> Result<(StrId, StrId), Reported> {
    let at = w.pos();
    let name = r.text(w, "process", "the name of a process", MAX_PROCESS)?;
    let name = r.asm.intern(at, name)?;
    let (at, mut params) = (w.pos(), String::<MAX_PROCESS>::new());
    while let Some(word) = w.peek() {
        if word.is_empty() || word.contains([' ', '\t']) {
            return Err(r.need(w, "process", "words without blanks behind the program's name"));
        }
        let between = if params.is_empty() { "" } else { " " };
        if params.push_str(between).and_then(|()| params.push_str(word)).is_err() {
            r.asm.diag.error(at, &mut |t| {
                uwrite!(t, "the words of 'process' are too long: expected at most {} bytes", MAX_PROCESS)
            });
            return Err(Reported);
        }
        w.skip();
    }
    Ok((name, r.asm.intern(at, &params)?))
}

pub(super) fn quorum(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let read = r.number(w, "quorum", 1, 65535);
    let n = r.checked(read)?;
    r.check.quorum = true;
    r.set(Part::Min, at, |d| {
        if let CheckKind::Process { min, .. } = &mut d.check.kind {
            *min = n as u16;
        }
    });
    Ok(())
}

pub(super) fn quorum_max(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let read = r.number(w, "quorum_max", 0, 65535);
    let n = r.checked(read)?;
    let quorum = r.check.quorum;
    r.set(Part::Max, at, |d| {
        if let CheckKind::Process { min, max, .. } = &mut d.check.kind {
            *max = Some(n as u16);
            // As keepalived: none at all is asked for.
            if n == 0 && !quorum {
                *min = 0;
            }
        }
    });
    Ok(())
}

fn delay_value(r: &mut Reader<'_>, w: &mut Words<'_>, keyword: &str) -> Result<Micros, Reported> {
    let read = r.seconds(w, keyword, Micros::ZERO, DAY, "seconds from 0 to 86400");
    r.checked(read)
}

pub(super) fn delay(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let value = delay_value(r, w, "delay")?;
    (r.check.fork_delay, r.check.terminate_delay) = (Some(value), Some(value));
    Ok(())
}

pub(super) fn fork_delay(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.check.fork_delay = Some(delay_value(r, w, "fork_delay")?);
    Ok(())
}

pub(super) fn terminate_delay(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.check.terminate_delay = Some(delay_value(r, w, "terminate_delay")?);
    Ok(())
}

pub(super) fn full_command(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.set(Part::Name, w.at, |d| {
        if let CheckKind::Process { full_command, .. } = &mut d.check.kind {
            *full_command = true;
        }
    });
    Ok(())
}

pub(super) fn file(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.check.target = true;
    let at = w.pos();
    let read = r.path(w, "file");
    let words = r.checked(read)?;
    r.set(Part::Target, at, |d| d.check.kind = CheckKind::File { path: words });
    Ok(())
}

/// `N [reverse|noreverse]`.
fn weight_value(r: &mut Reader<'_>, w: &mut Words<'_>) -> Result<(i16, bool), Reported> {
    let number = w.peek().and_then(|word| word.strip_prefix('+').unwrap_or(word).parse::<i16>().ok());
    let Some(n) = number.filter(|n| n.unsigned_abs() <= Track::MAX_WEIGHT.unsigned_abs()) else {
        return Err(r.need(w, "weight", "a number from -253 to 253; 0: a fault when it is down"));
    };
    w.skip();
    let reverse = w.is("reverse");
    if !reverse && !w.is("noreverse") {
        w.is("no_reverse");
    }
    Ok((n, reverse))
}

/// `[weight N [reverse|noreverse]]` behind a name.
fn track_options(r: &mut Reader<'_>, w: &mut Words<'_>) -> Result<(Option<i16>, bool), Reported> {
    match w.peek() {
        None => Ok((None, false)),
        Some("weight") => {
            w.skip();
            weight_value(r, w).map(|(n, reverse)| (Some(n), reverse))
        }
        Some(_) => Err(r.need(w, "track", "'weight N' or nothing behind the name, and one name on each line")),
    }
}

pub(super) fn track_check(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.at;
    let check = r.name(w, "track", "the name of what is tracked")?;
    let (weight, reverse) = track_options(r, w)?;
    r.asm.add_track(at, Tracked::Check(check), weight, reverse);
    Ok(())
}

pub(super) fn track_interface(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.at;
    let interface = r.interface(w, "track_interface")?;
    let (weight, reverse) = track_options(r, w)?;
    r.asm.add_track(at, Tracked::Interface(interface), weight, reverse);
    Ok(())
}
