//! Lines of keepalived.conf as its blocks see them: from the file and what it includes, without
//! comments, for this host, with definitions put in.

use std::vec::Vec as List;

use embedded_io::{ErrorType, Read};
use heapless::{String, Vec};
use ufmt::{uWrite, uwrite};

use super::define::{Definitions, Piece, name_len};
use super::files::Files;
use super::glob;
use super::text::{Line, MAX_LINE};
use super::words::blank;
use crate::config::diagnostics::{Diagnostics, Excerpt, Pos};
use crate::text::{Text, Written};

/// All files together: beyond it nobody meant a configuration.
const MAX_BYTES: usize = 16 << 20;
/// How deep includes, and definitions of several lines, may be nested.
const MAX_DEPTH: usize = 8;
/// Lines that come out of definitions of several lines.
const MAX_EXPANDED: u32 = 20_000;
/// How many definitions may be put into one line: more refer to each other.
const MAX_REPLACED: u32 = 64;
/// The longest path.
const MAX_PATH: usize = 255;

/// A file that is being read.
struct Level<R> {
    input: R,
    buffer: [u8; 512],
    at: usize,
    len: usize,
    number: u32,
    index: u8,
    /// Its directory with the slash behind it; empty for the one we are in.
    dir: String<MAX_PATH>,
    /// What the same `include` names further, the first at the end.
    waiting: List<std::string::String>,
}

/// A definition of several lines that is being read.
struct Expansion {
    rest: Piece,
    at: Pos,
}

/// What is read first.
pub(super) struct Start<'a, R> {
    pub(super) input: R,
    pub(super) path: &'a str,
    pub(super) config_id: &'a str,
}

/// Gives the lines.
pub(super) struct Lines<'a, F: Files> {
    files: &'a mut F,
    config_id: &'a str,
    levels: Vec<Level<F::File>, MAX_DEPTH>,
    expansions: Vec<Expansion, MAX_DEPTH>,
    definitions: Definitions,
    pub(super) line: Line,
    bytes: usize,
    included: usize,
    expanded: u32,
    last: Pos,
}

/// What was found where a line should be.
enum Raw {
    Line,
    /// It was reported.
    Bad,
    End,
}

impl<'a, F: Files> Lines<'a, F> {
    pub(super) fn new(start: Start<'a, F::File>, files: &'a mut F) -> Lines<'a, F> {
        let mut lines = Lines {
            files,
            config_id: start.config_id,
            levels: Vec::new(),
            expansions: Vec::new(),
            definitions: Definitions::default(),
            line: Line::default(),
            bytes: 0,
            included: 0,
            expanded: 0,
            last: Pos::new(1, 1),
        };
        lines.push_level(start.input, start.path, 0, List::new());
        lines
    }

    /// The last line of the file itself.
    pub(super) fn last(&self) -> Pos {
        self.last
    }

    fn push_level(&mut self, input: F::File, path: &str, index: u8, waiting: List<std::string::String>) {
        let mut dir = String::new();
        // A path that is too long was refused before.
        let _ = dir.push_str(path.rfind('/').map_or("", |slash| &path[..=slash]));
        let level = Level { input, buffer: [0; 512], at: 0, len: 0, number: 0, index, dir, waiting };
        let _ = self.levels.push(level);
    }

    /// Reads the next line that says something; false at the end. The error is that of reading the
    /// file itself.
    pub(super) fn next(&mut self, diag: &mut Diagnostics) -> Result<bool, <F::File as ErrorType>::Error> {
        loop {
            match self.raw(diag)? {
                Raw::Line => {}
                Raw::Bad => continue,
                Raw::End => return Ok(false),
            }
            if !self.is_for_us() || self.line.text.is_empty() {
                continue;
            }
            if self.includes(diag) || self.defines(diag)? || !self.substitute(diag) || !self.is_for_us() {
                continue;
            }
            if self.line.str().starts_with("~SEQ") || self.line.str().starts_with("~LST") {
                let at = self.line.first();
                diag.error(at, &mut |t| {
                    t.write_str("'~SEQ' and '~LST' are not taken over: expected the lines that they stand for")
                });
                continue;
            }
            if !self.line.text.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Reads a line without its comment.
    fn raw(&mut self, diag: &mut Diagnostics) -> Result<Raw, <F::File as ErrorType>::Error> {
        self.line.clear();
        if self.expanded() {
            self.expanded += 1;
            if self.expanded > MAX_EXPANDED {
                self.expansions.clear();
                diag.error(self.line.first(), &mut |t| {
                    uwrite!(t, "more than {} lines come out of definitions", MAX_EXPANDED)
                });
                return Ok(Raw::Bad);
            }
            return Ok(self.checked(diag));
        }
        let overlong = loop {
            let Some(level) = self.levels.last_mut() else { return Ok(Raw::End) };
            level.number += 1;
            (self.line.file, self.line.number, self.line.used_at) = (level.index, level.number, None);
            match read_line(level, &mut self.line, &mut self.bytes) {
                Ok(Some(overlong)) => break overlong,
                Ok(None) => self.end_level(diag),
                Err(e) if self.levels.len() == 1 => return Err(e),
                Err(_) => {
                    self.end_level(diag);
                    diag.error(self.line.at(1), &mut |t| t.write_str("the file cannot be read on from here"));
                }
            }
        };
        if self.line.number == 1 && self.line.text.starts_with(b"\xef\xbb\xbf") {
            // A byte order mark, as some editors put it.
            self.line.drop_front(3);
        }
        if self.line.file == 0 {
            self.last = Pos::new(self.line.number, 1);
        }
        if self.bytes > MAX_BYTES {
            self.levels.clear();
            diag.error(self.line.at(1), &mut |t| {
                uwrite!(t, "more than {} MiB: this is no configuration", MAX_BYTES >> 20)
            });
            return Ok(Raw::Bad);
        }
        if overlong {
            let before = self.line.text.len();
            self.line.without_comment();
            if self.line.text.len() == before {
                let at = self.line.at(self.line.column(MAX_LINE));
                diag.error(at, &mut |t| uwrite!(t, "line too long: expected at most {} bytes", MAX_LINE));
                return Ok(Raw::Bad);
            }
        }
        Ok(self.checked(diag))
    }

    /// Takes a line from the definition that is being read, if there is one.
    fn expanded(&mut self) -> bool {
        loop {
            let Some(expansion) = self.expansions.last_mut() else { return false };
            if expansion.rest.start >= expansion.rest.end {
                self.expansions.pop();
                continue;
            }
            let rest = self.definitions.text(expansion.rest);
            let len = rest.find('\n').unwrap_or(rest.len());
            let at = expansion.at;
            (self.line.file, self.line.number, self.line.used_at) = (at.file, at.line, Some(at.column));
            // A definition's lines were lines once.
            let _ = self.line.text.extend_from_slice(&rest.as_bytes()[..len]);
            let _ = self.line.columns.resize(len, at.column);
            expansion.rest.start += len as u16 + 1;
            return true;
        }
    }

    /// Ends an included file, and begins the next of the same `include`; or ends it all.
    fn end_level(&mut self, diag: &mut Diagnostics) {
        let Some(mut ended) = self.levels.pop() else { return };
        while let Some(path) = ended.waiting.pop() {
            let at = self.levels.last().map_or(Pos::default(), |l| Pos { file: l.index, line: l.number, column: 1 });
            if let Some((input, index)) = self.open(&path, at, diag) {
                self.push_level(input, &path, index, ended.waiting);
                return;
            }
        }
    }

    /// Whether the line is text; it is trimmed.
    fn checked(&mut self, diag: &mut Diagnostics) -> Raw {
        self.line.without_comment();
        self.line.trim();
        let text = &self.line.text;
        let control = text.iter().position(|b| (*b < 0x20 && !blank(*b)) || *b == 0x7f);
        let utf8 = core::str::from_utf8(text).err().map(|e| e.valid_up_to());
        let Some(bad) = control.or(utf8) else { return Raw::Line };
        let byte = text[bad];
        diag.error(self.line.at(self.line.column(bad)), &mut |t| match (control, byte) {
            (Some(_), 0) => t.write_str("NUL byte: expected text"),
            (Some(_), byte) => uwrite!(t, "control character {}: expected text", byte),
            (None, _) => t.write_str("not UTF-8: expected text in UTF-8"),
        });
        Raw::Bad
    }

    /// Takes `@NAME` and `@^NAME` in front of the line away; false if the line is for others.
    fn is_for_us(&mut self) -> bool {
        while self.line.text.first() == Some(&b'@') {
            let end = self.line.text.iter().position(|b| blank(*b)).unwrap_or(self.line.text.len());
            let (negated, from) = if self.line.text.get(1) == Some(&b'^') { (true, 2) } else { (false, 1) };
            let ours = self.line.text.get(from..end).is_some_and(|name| name == self.config_id.as_bytes());
            if ours == negated {
                return false;
            }
            self.line.drop_front(end);
        }
        true
    }

    /// Whether the line includes a file; then reading goes on there.
    fn includes(&mut self, diag: &mut Diagnostics) -> bool {
        let text = self.line.str();
        let end = text.find([' ', '\t']).unwrap_or(text.len());
        let must = match &text[..end] {
            "include" | "includer" => |_| false,
            "includem" | "includeb" => |wild: bool| !wild,
            "includea" | "includew" => |_| true,
            _ => return false,
        };
        let at = self.line.first();
        let name_at = self.line.at(self.line.column(end + 1));
        let mut name: String<MAX_PATH> = String::new();
        let written = text[end..].trim();
        let unquoted = written.strip_prefix('"').and_then(|s| s.strip_suffix('"')).unwrap_or(written);
        let dir = self.levels.last().map_or("", |l| l.dir.as_str());
        let dir = if unquoted.starts_with('/') { "" } else { dir };
        if unquoted.is_empty() {
            diag.error(at, &mut |t| t.write_str("'include' needs the path of a file"));
            return true;
        }
        if name.push_str(dir).and_then(|()| name.push_str(unquoted)).is_err() {
            diag.error(name_at, &mut |t| uwrite!(t, "the path is too long: expected at most {} bytes", MAX_PATH));
            return true;
        }
        if self.line.used_at.is_some() {
            diag.error(at, &mut |t| t.write_str("'include' in a definition: expected on a line of its own"));
            return true;
        }
        self.include(&name, at, name_at, must, diag);
        true
    }

    fn include(&mut self, path: &str, at: Pos, name_at: Pos, must: fn(bool) -> bool, diag: &mut Diagnostics) {
        let (dir, last) = path.rsplit_once('/').unwrap_or(("", path));
        if glob::is_pattern(dir) || path.contains(['{', '}']) {
            diag.error(name_at, &mut |t| {
                t.write_str(
                    "wildcards are taken in the file's name only, and no braces: expected one 'include' for each",
                )
            });
            return;
        }
        if self.levels.is_full() {
            diag.error(at, &mut |t| {
                uwrite!(t, "includes are nested more than {} deep: does a file include itself?", MAX_DEPTH)
            });
            return;
        }
        let wild = glob::is_pattern(last);
        let mut paths = if wild { self.files.matches(path, MAX_INCLUDED) } else { std::vec![path.into()] };
        if paths.is_empty() {
            let what = &mut |t: &mut Text<'_>| -> Written {
                uwrite!(t, "no file matches '{}': nothing is included", Excerpt(path))
            };
            if must(wild) {
                diag.error(name_at, what)
            } else {
                diag.warning(name_at, what)
            }
            return;
        }
        paths.reverse();
        while let Some(path) = paths.pop() {
            if let Some((input, index)) = self.open(&path, name_at, diag) {
                self.push_level(input, &path, index, paths);
                return;
            }
        }
    }

    fn open(&mut self, path: &str, at: Pos, diag: &mut Diagnostics) -> Option<(F::File, u8)> {
        self.included += 1;
        if self.included > MAX_INCLUDED {
            if self.included == MAX_INCLUDED + 1 {
                diag.error(at, &mut |t| uwrite!(t, "more than {} files are included", MAX_INCLUDED));
            }
            return None;
        }
        match self.files.open(path) {
            Ok(input) => match diag.add_file(path) {
                Some(index) => return Some((input, index)),
                None => diag.error(at, &mut |t| t.write_str("too many files are included")),
            },
            Err(why) => diag.error(at, &mut |t| uwrite!(t, "'{}' is not included: {}", Excerpt(path), why)),
        }
        None
    }

    /// Whether the line is a definition; it is kept.
    fn defines(&mut self, diag: &mut Diagnostics) -> Result<bool, <F::File as ErrorType>::Error> {
        let text = &self.line.text;
        if text.first() != Some(&b'$') {
            return Ok(false);
        }
        let len = name_len(&text[1..]);
        if len == 0 || text.get(1 + len) != Some(&b'=') {
            return Ok(false);
        }
        let at = self.line.first();
        let mut name: String<64> = String::new();
        let text = self.line.str();
        let long = name.push_str(&text[1..1 + len]).is_err();
        let (value, mut more) = continued(&text[2 + len..]);
        let mut done = self.definitions.begin(value);
        while more {
            match self.raw(diag)? {
                Raw::End => break,
                Raw::Bad => continue,
                Raw::Line => {}
            }
            let (value, goes_on) = continued(self.line.str());
            more = goes_on;
            if done.is_ok() {
                done = self.definitions.more(value);
            }
        }
        if long || done.and_then(|()| self.definitions.end(&name)).is_err() {
            diag.error(at, &mut |t| t.write_str("no room for this definition: expected fewer, or shorter ones"));
        }
        Ok(true)
    }

    /// Puts definitions in; false if nothing is left of the line.
    fn substitute(&mut self, diag: &mut Diagnostics) -> bool {
        let (mut at, mut replaced) = (0, 0);
        while let Some(found) = self.line.text.get(at..).and_then(|rest| rest.iter().position(|b| *b == b'$')) {
            at += found;
            let place = self.line.at(self.line.column(at));
            let Some((name, end)) = used_name(&self.line.text, at) else {
                at += 1;
                continue;
            };
            let name = core::str::from_utf8(name).unwrap_or("");
            let dir = self.levels.last().map_or("", |l| l.dir.as_str());
            let value = match (name, self.definitions.value(name)) {
                (_, Some(piece)) => self.definitions.text(piece),
                ("_PWD", _) if dir.is_empty() => ".",
                ("_PWD", _) if dir.len() > 1 => dir.trim_end_matches('/'),
                ("_PWD", _) => "/",
                ("_INSTANCE", _) => self.config_id,
                ("_HASH", _) => "#",
                ("_BANG", _) => "!",
                ("_RANDOM", _) => {
                    diag.error(place, &mut |t| t.write_str("'_RANDOM' is not taken over: expected a number"));
                    return false;
                }
                _ => {
                    diag.warning(place, &mut |t| {
                        uwrite!(t, "'${}' is not defined above: it is taken as it stands", Excerpt(name))
                    });
                    at = end;
                    continue;
                }
            };
            replaced += 1;
            if value.contains('\n') {
                let alone = self.line.text[..at].iter().chain(&self.line.text[end..]).all(|b| blank(*b));
                let rest = self.definitions.value(name);
                return self.expand(place, alone.then_some(rest).flatten(), diag);
            }
            // What comes in has no comment in it: `#` and `!` were asked for.
            let mut copy: Vec<u8, MAX_LINE> = Vec::new();
            let fits = copy.extend_from_slice(value.as_bytes()).is_ok() && self.line.replace(at, end, &copy);
            if !fits || replaced > MAX_REPLACED {
                diag.error(place, &mut |t| {
                    t.write_str("the line gets too long with its definitions: do they refer to each other?")
                });
                return false;
            }
            if matches!(copy.as_slice(), b"#" | b"!") {
                at += 1;
            }
        }
        self.line.trim();
        true
    }

    /// Goes on with the lines of a definition.
    fn expand(&mut self, at: Pos, rest: Option<Piece>, diag: &mut Diagnostics) -> bool {
        let Some(rest) = rest else {
            diag.error(at, &mut |t| t.write_str("a definition of several lines: expected alone on its line"));
            return false;
        };
        if self.expansions.push(Expansion { rest, at }).is_err() {
            diag.error(at, &mut |t| {
                uwrite!(t, "definitions are nested more than {} deep: do they refer to each other?", MAX_DEPTH)
            });
            self.expansions.clear();
        }
        false
    }
}

/// Files that are included, all together.
const MAX_INCLUDED: usize = crate::config::diagnostics::MAX_FILES - 1;

/// The name that is used at `at`, and where its use ends: `$NAME` before a blank or the end, or `${NAME}`.
fn used_name(text: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let braces = text.get(at + 1) == Some(&b'{');
    let from = at + 1 + usize::from(braces);
    let end = from + name_len(text.get(from..)?);
    let name = text.get(from..end).filter(|name| !name.is_empty())?;
    match text.get(end) {
        Some(b'}') if braces => Some((name, end + 1)),
        Some(b' ') if braces && name == b"_RANDOM" => Some((name, end)),
        None if !braces => Some((name, end)),
        Some(b) if !braces && blank(*b) => Some((name, end)),
        _ => None,
    }
}

/// A line of a definition, and whether it goes on.
fn continued(text: &str) -> (&str, bool) {
    match text.trim_end().strip_suffix('\\') {
        Some(before) => (before.trim(), true),
        None => (text.trim(), false),
    }
}

/// Reads a line; `None` at the end. The value says whether it is longer than what was kept.
fn read_line<R: Read>(level: &mut Level<R>, line: &mut Line, bytes: &mut usize) -> Result<Option<bool>, R::Error> {
    let (mut any, mut overlong, mut column) = (false, false, 0u16);
    loop {
        if level.at == level.len {
            level.len = level.input.read(&mut level.buffer)?.min(level.buffer.len());
            level.at = 0;
            *bytes += level.len;
            if *bytes > MAX_BYTES {
                return Ok(Some(overlong));
            }
            if level.len == 0 {
                return Ok(any.then_some(overlong));
            }
        }
        for (i, byte) in level.buffer[level.at..level.len].iter().enumerate() {
            any = true;
            if *byte == b'\n' {
                level.at += i + 1;
                return Ok(Some(overlong));
            }
            // A character is counted by its first byte.
            column = column.saturating_add(u16::from(byte & 0xc0 != 0x80));
            if line.text.push(*byte).is_ok() {
                // A line may begin in the midst of a character.
                let _ = line.columns.push(column.max(1));
            } else {
                overlong = true;
            }
        }
        level.at = level.len;
    }
}
