//! Checks: `vrrp_script`, and our own `check`, `track_file` and `track_process`.

use ufmt::{uWrite, uwrite};

use super::global::DAY;
use super::image::{Image, Section, Value};
use super::schema::{Opt, Type};
use super::{Done, Importer, Line};
use crate::config::assemble::Reported;
use crate::config::commands::CommandAt;
use crate::config::draft::{CheckDraft, Part};
use crate::config::line;
use crate::config::model::{CheckKind, Initial, MAX_NAME, StrId, Track};
use crate::vrrp::timing::Micros;

/// The longest command, in bytes, and its words with the program's name.
const MAX_COMMAND: usize = 400;
const MAX_ARGUMENTS: usize = 16;
/// The longest path, and name of a process.
const MAX_PATH: usize = 255;
/// The shortest interval.
const SHORTEST: Micros = Micros::from_millis(10);
/// keepalived's interval.
const SECOND: Micros = Micros::from_secs(1);

/// The kinds of `config check`.
static KINDS: [&str; 9] = ["script", "process", "file", "interface", "route", "ping", "tcp", "http", "dns"];

impl Importer<'_> {
    pub(super) fn checks(&mut self, image: &Image) {
        for section in image.sections() {
            let read = match section.kind {
                Type::VrrpScript => Self::vrrp_script,
                Type::Check => Self::check,
                Type::TrackFile => Self::track_file,
                Type::TrackProcess => Self::track_process,
                Type::TrackInterface | Type::TrackScript => {
                    self.weight_fits(section);
                    continue;
                }
                _ => continue,
            };
            let Some((at, name)) = self.named(section) else { continue };
            let id = self.printable(at, "name", name, MAX_NAME).and_then(|()| self.reader.asm.intern(at, name));
            let Ok(id) = id else {
                self.reader.asm.add_broken_check(at, None);
                continue;
            };
            self.weight_fits(section);
            let mut draft = CheckDraft::new(at, id);
            match read(self, section, &mut draft).and_then(|()| self.check_fits(&draft)) {
                Ok(()) => {
                    if let CheckKind::Script { command, user } = draft.check.kind {
                        let (at, user_at) = (draft.place(Part::Target), draft.place(Part::Via));
                        self.reader.asm.note_command(CommandAt { at, what: "script", command, user, user_at });
                    }
                    self.reader.asm.add_check(draft);
                }
                Err(Reported) => self.reader.asm.add_broken_check(at, Some(id)),
            }
        }
    }

    /// Whether the check can be written as one line.
    fn check_fits(&mut self, draft: &CheckDraft) -> Done {
        let empty = StrId::default();
        let (a, b) = match draft.check.kind {
            CheckKind::Script { command, user } => (command, user),
            CheckKind::Process { name, params, .. } => (name, params),
            CheckKind::Http { url, contains, .. } => (url, contains),
            CheckKind::Dns { name, .. } => (name, empty),
            CheckKind::File { path } => (path, empty),
            _ => return Ok(()),
        };
        // As long as the configuration, which the importer changes meanwhile.
        let config = &*self.reader.asm.config;
        let long = [draft.check.name, a, b].map(|id| config.str(id));
        let fits: usize =
            long.iter().map(|s| s.len() + 3 + s.bytes().filter(|b| matches!(b, b'"' | b'\\')).count()).sum();
        if fits <= super::value::LINE {
            return Ok(());
        }
        self.error(draft.at, &mut |t| {
            uwrite!(t, "the check's texts are too long together: expected at most {} bytes", super::value::LINE)
        });
        Err(Reported)
    }

    fn vrrp_script(&mut self, section: Section<'_>, draft: &mut CheckDraft) -> Done {
        let Some(script) = section.get(Opt::Script) else {
            self.error(section.at, &mut |t| t.write_str("'vrrp_script' without 'option script': expected a command"));
            return Err(Reported);
        };
        self.script(section, script, draft)?;
        draft.check.every = SECOND;
        self.timing(section, draft)
    }

    fn script(&mut self, section: Section<'_>, command: Value<'_>, draft: &mut CheckDraft) -> Done {
        draft.mark(Part::Target, command.at);
        let command = self.command(command)?;
        let mut user = StrId::default();
        if let Some(v) = section.get(Opt::User) {
            draft.mark(Part::Via, v.at);
            user = self.text(v, MAX_NAME)?;
        }
        draft.check.kind = CheckKind::Script { command, user };
        Ok(())
    }

    fn timing(&mut self, section: Section<'_>, draft: &mut CheckDraft) -> Done {
        const EXPECTED: &str = "seconds, from 0.01 to 86400";
        if let Some(v) = section.get(Opt::Interval) {
            draft.check.every = self.time(v, SHORTEST, DAY, EXPECTED)?;
        }
        if let Some(v) = section.get(Opt::Timeout) {
            draft.mark(Part::Timeout, v.at);
            draft.check.timeout = self.time(v, SHORTEST, DAY, EXPECTED)?;
        }
        let fall = section.get(Opt::Fall);
        if let Some(v) = section.get(Opt::Fail) {
            let counts = if fall.is_some() { "'fall' counts" } else { "taken as 'fall'" };
            self.note(v.at, &mut |t| uwrite!(t, "'fail' is no option of keepalived: {}", counts));
        }
        if let Some(v) = fall.or_else(|| section.get(Opt::Fail)) {
            draft.mark(Part::Fall, v.at);
            draft.check.fall = self.byte(v, 1)?;
        }
        if let Some(v) = section.get(Opt::Rise) {
            draft.mark(Part::Rise, v.at);
            draft.check.rise = self.byte(v, 1)?;
        }
        if let Some(v) = section.get(Opt::Initial) {
            draft.mark(Part::Initial, v.at);
            draft.check.initial =
                [Initial::Unknown, Initial::Up, Initial::Down][self.choice(v, &["unknown", "up", "down"])?];
        }
        Ok(())
    }

    /// A command, split on blanks and run without a shell.
    pub(super) fn command(&mut self, v: Value<'_>) -> Done<StrId> {
        let count = v.text.split([' ', '\t']).filter(|s| !s.is_empty()).count();
        if count == 0 || count > MAX_ARGUMENTS {
            self.error(v.at, &mut |t| {
                uwrite!(
                    t,
                    "'{}' has {} words: expected a program and at most {} arguments",
                    v.option.name(),
                    count,
                    MAX_ARGUMENTS - 1
                )
            });
            return Err(Reported);
        }
        if v.text.contains(['"', '\'', '\\']) {
            self.warn(v.at, &mut |t| {
                uwrite!(t, "'{}' is split at blanks, whatever quotes are in it: put it into a script", v.option.name())
            });
        }
        self.text(v, MAX_COMMAND)
    }

    fn check(&mut self, section: Section<'_>, draft: &mut CheckDraft) -> Done {
        let Some(kind) = section.get(Opt::Kind) else {
            self.error(section.at, &mut |t| t.write_str("'check' without 'option kind': expected 'ping', say"));
            return Err(Reported);
        };
        let kind_number = self.choice(kind, &KINDS)?;
        let args = section.get(Opt::Args);
        match args {
            Some(args) if kind_number == 0 => self.script(section, args, draft)?,
            _ => {
                let mut text = Line::new();
                let pieces = [KINDS[kind_number]].into_iter().chain(section.words(Opt::Args).map(|v| v.text));
                for (i, piece) in pieces.enumerate() {
                    let blank: &[u8] = if i == 0 { b"" } else { b" " };
                    if text.extend_from_slice(blank).and_then(|()| text.extend_from_slice(piece.as_bytes())).is_err() {
                        return Err(self.need(args.unwrap_or(kind), "less than 512 bytes in all"));
                    }
                }
                line::read_check(&mut self.reader, &mut text, args.unwrap_or(kind).at, draft)?;
                if let Some(v) = section.get(Opt::User) {
                    self.error(v.at, &mut |t| t.write_str("'user' is for the kind 'script' only"));
                    return Err(Reported);
                }
            }
        }
        self.timing(section, draft)
    }

    fn track_file(&mut self, section: Section<'_>, draft: &mut CheckDraft) -> Done {
        match section.get(Opt::File) {
            Some(v) if v.text.starts_with('/') => {
                draft.mark(Part::Target, v.at);
                draft.check.kind = CheckKind::File { path: self.text(v, MAX_PATH)? };
                Ok(())
            }
            Some(v) => Err(self.need(v, "a path that begins with '/'")),
            None => {
                self.error(section.at, &mut |t| t.write_str("'track_file' without 'option file': expected a path"));
                Err(Reported)
            }
        }
    }

    fn track_process(&mut self, section: Section<'_>, draft: &mut CheckDraft) -> Done {
        let Some(v) = section.get(Opt::Process) else {
            self.error(section.at, &mut |t| t.write_str("'track_process' without 'option process': expected a name"));
            return Err(Reported);
        };
        draft.mark(Part::Target, v.at);
        let words = v.text.trim_matches([' ', '\t']);
        let (name, params) = words.split_once([' ', '\t']).unwrap_or((words, ""));
        let (name, params) = (Value { text: name, ..v }, Value { text: params.trim_matches([' ', '\t']), ..v });
        if name.text.is_empty() {
            return Err(self.need(v, "the name of a process"));
        }
        let (mut min, mut max, mut delay) = (1, None, Micros::ZERO);
        if let Some(v) = section.get(Opt::Quorum) {
            draft.mark(Part::Min, v.at);
            min = self.number(v, 0, 65535)? as u16;
        }
        if let Some(v) = section.get(Opt::QuorumMax) {
            draft.mark(Part::Max, v.at);
            max = Some(self.number(v, 0, 65535)? as u16);
        }
        if let Some(v) = section.get(Opt::Delay) {
            delay = self.time(v, Micros::ZERO, DAY, "seconds, from 0 to 86400")?;
        }
        let mut on = |v: Option<Value<'_>>, without| v.map_or(Ok(without), |v| self.switch(v));
        let full_command = on(section.get(Opt::FullCommand), false)?;
        // As keepalived does, hear of each change at once.
        let connector = on(section.get(Opt::Connector), true)?;
        let name = self.text(name, MAX_PATH)?;
        let params = self.text(params, MAX_PATH)?;
        draft.check.kind = CheckKind::Process { name, min, max, full_command, params, delay, connector };
        draft.check.every = SECOND;
        self.timing(section, draft)
    }

    /// Reports a weight or a direction that is none.
    fn weight_fits(&mut self, section: Section<'_>) {
        if let Some(v) = section.get(Opt::Weight)
            && weight(v.text).is_none()
        {
            self.need(v, "a number from -253 to 253");
        }
        if let Some(v) = section.get(Opt::Direction) {
            // What is wrong is reported; the rest counts.
            let _ = self.choice(v, &["reverse", "noreverse"]);
        }
    }
}

/// The weight that `text` is.
pub(super) fn weight(text: &str) -> Option<i16> {
    let number = text.strip_prefix('+').unwrap_or(text).parse::<i16>().ok();
    number.filter(|n| n.unsigned_abs() <= Track::MAX_WEIGHT.unsigned_abs())
}
