//! What is wrong with a configuration, and where: a bounded collection, rendered as
//! `file:line:column: what is wrong, what was expected`.

use embedded_io::Write;
use heapless::{String, Vec};
use ufmt::{Formatter, uDisplay, uWrite, uwrite};

use crate::text::{self, Stopped, Text, Written};

/// How many errors and warnings are kept; the rest are counted.
pub const MAX_DIAGNOSTICS: usize = 64;
/// Bytes of all messages together.
const MAX_TEXT: usize = 7168;

/// Files that one configuration may come from: itself and what it includes.
pub const MAX_FILES: usize = 32;
/// Bytes of the names of included files.
const MAX_FILE_NAMES: usize = 2048;

/// A place in a file: line and column from 1; columns count characters, a tab is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos {
    /// Which file: 0 is the configuration itself, the others are what it includes
    /// ([`Diagnostics::add_file`]).
    pub file: u8,
    /// Line; 0 for "nowhere".
    pub line: u32,
    /// Column.
    pub column: u16,
}

impl Pos {
    /// A place in the configuration itself.
    pub const fn new(line: u32, column: u16) -> Pos {
        Pos { file: 0, line, column }
    }
}

static_assertions::const_assert!(core::mem::size_of::<Pos>() == 8);

/// Whether the configuration can be used in spite of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but it is likely not what was meant.
    Warning,
}

/// One finding; its message is in [`Diagnostics::message`].
#[derive(Clone, Copy, Debug)]
pub struct Diagnostic {
    /// Where.
    pub at: Pos,
    /// Error or warning.
    pub severity: Severity,
    start: u16,
    len: u16,
}

/// The errors and warnings of one file.
#[derive(Default)]
pub struct Diagnostics {
    entries: Vec<Diagnostic, MAX_DIAGNOSTICS>,
    text: String<MAX_TEXT>,
    errors: u32,
    warnings: u32,
    /// Names of the included files, one behind the other, and where each ends.
    files: String<MAX_FILE_NAMES>,
    file_ends: Vec<u16, { MAX_FILES - 1 }>,
}

impl Diagnostics {
    /// None yet.
    pub fn new() -> Diagnostics {
        Diagnostics::default()
    }

    /// Reports an error at `at`, whose message `message` writes.
    pub fn error(&mut self, at: Pos, message: &mut dyn FnMut(&mut Text<'_>) -> Written) {
        self.errors += 1;
        if self.entries.is_full()
            && let Some(i) = self.entries.iter().rposition(|d| d.severity == Severity::Warning)
        {
            // An error is worth more than a warning: the warning becomes one of those only counted.
            self.entries.remove(i);
        }
        self.add(at, Severity::Error, message);
    }

    /// Reports a warning at `at`.
    pub fn warning(&mut self, at: Pos, message: &mut dyn FnMut(&mut Text<'_>) -> Written) {
        self.warnings += 1;
        self.add(at, Severity::Warning, message);
    }

    /// Makes `name` a file that places may be in; `None` if there are too many.
    pub fn add_file(&mut self, name: &str) -> Option<u8> {
        if self.file_ends.is_full() {
            return None;
        }
        self.files.push_str(name).ok()?;
        self.file_ends.push(self.files.len() as u16).ok()?;
        Some(self.file_ends.len() as u8)
    }

    /// The name of file number `file`, which is an included one.
    fn file(&self, file: u8) -> Option<&str> {
        let end = |n: usize| self.file_ends.get(n).map(|end| *end as usize);
        let n = (file as usize).checked_sub(1)?;
        let start = n.checked_sub(1).and_then(end).unwrap_or(0);
        self.files.get(start..end(n)?)
    }

    fn add(&mut self, at: Pos, severity: Severity, message: &mut dyn FnMut(&mut Text<'_>) -> Written) {
        if self.entries.is_full() {
            return;
        }
        let start = self.text.len();
        let pool = &mut self.text;
        let mut sink = |bytes: &[u8]| {
            // `Text` hands on whole characters.
            let s = core::str::from_utf8(bytes).map_err(|_| Stopped)?;
            if !s.contains(char::is_control) {
                return pool.push_str(s).map_err(|_| Stopped);
            }
            // A value can have line ends in it, and a message is one line.
            let mut shown = s.chars().map(|c| if c.is_control() { '?' } else { c });
            shown.try_for_each(|c| pool.push(c).map_err(|_| Stopped))
        };
        let mut text = Text::new(&mut sink);
        let Ok(()) = message(&mut text);
        if text.flush().is_err() {
            self.text.truncate(start);
            return;
        }
        let d = Diagnostic { at, severity, start: start as u16, len: (self.text.len() - start) as u16 };
        // There is room: checked above.
        let _ = self.entries.push(d);
    }

    /// How many errors there are, kept or not.
    pub fn errors(&self) -> u32 {
        self.errors
    }

    /// How many warnings there are, kept or not.
    pub fn warnings(&self) -> u32 {
        self.warnings
    }

    /// Those kept.
    pub fn entries(&self) -> &[Diagnostic] {
        &self.entries
    }

    /// The message of one of [`Diagnostics::entries`], without its place.
    pub fn message(&self, d: &Diagnostic) -> &str {
        self.text.get(d.start as usize..d.start as usize + d.len as usize).unwrap_or("")
    }

    /// Puts them in the order of the file.
    pub fn sort(&mut self) {
        self.entries.sort_unstable_by_key(|d| (d.at, d.start));
    }

    /// Writes one line for each: `file:line:column: …` or `file:line:column: warning: …`.
    pub fn print<W: Write>(&self, file: &str, out: &mut W) -> Result<(), W::Error> {
        text::write_to(out, &mut |t| self.write(file, t))
    }

    fn write(&self, file: &str, t: &mut Text<'_>) -> Written {
        for d in &self.entries {
            let warning = if d.severity == Severity::Warning { "warning: " } else { "" };
            let file = self.file(d.at.file).unwrap_or(file);
            uwrite!(t, "{}:{}:{}: {}{}\n", file, d.at.line, d.at.column, warning, self.message(d))?;
        }
        let more = self.errors as usize + self.warnings as usize - self.entries.len();
        if more > 0 {
            uwrite!(t, "{}: and {} more\n", file, more)?;
        }
        Ok(())
    }
}

/// What was written, for a message: at most 40 characters of it.
pub(crate) struct Excerpt<'a>(pub(crate) &'a str);

impl uDisplay for Excerpt<'_> {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        match self.0.char_indices().nth(40) {
            None => f.write_str(self.0),
            Some((end, _)) => {
                f.write_str(&self.0[..end])?;
                f.write_str("…")
            }
        }
    }
}

/// The longest word for which a suggestion is looked for.
const MAX_SUGGEST: usize = 24;

/// The candidate that `word` most likely stands for: within one edit for three or four letters, two
/// for more; an edit is a letter inserted, removed, changed, or swapped with its neighbour.
pub(crate) fn suggest<'a>(word: &str, candidates: &mut dyn Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = match word.len() {
        0..=2 => return None,
        3 | 4 => 1,
        5..=MAX_SUGGEST => 2,
        _ => return None,
    };
    let mut best = None;
    for candidate in candidates {
        let d = distance(word.as_bytes(), candidate.as_bytes());
        if d <= allowed && best.is_none_or(|(b, _)| d < b) {
            best = Some((d, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance of two words of at most [`MAX_SUGGEST`] bytes.
fn distance(a: &[u8], b: &[u8]) -> u8 {
    if a.len() > MAX_SUGGEST || b.len() > MAX_SUGGEST {
        return u8::MAX;
    }
    let mut older = [0u8; MAX_SUGGEST + 1];
    let mut old = [0u8; MAX_SUGGEST + 1];
    for (j, cell) in old.iter_mut().enumerate() {
        *cell = j as u8;
    }
    for i in 1..=a.len() {
        let mut row = [i as u8; MAX_SUGGEST + 1];
        for j in 1..=b.len() {
            let change = old[j - 1] + u8::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(old[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(older[j - 2] + 1);
            }
        }
        (older, old) = (old, row);
    }
    old[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, d) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("priority", "prioritty", 1),
            ("vrid", "vrdi", 1),
            ("kitten", "sitting", 3),
            ("advert", "adverts", 1),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), d, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), d, "{b} {a}");
        }
    }

    #[test]
    fn suggestions() {
        let words = ["priority", "vrid", "preempt", "peer", "on"];
        let s = |w| suggest(w, &mut words.iter().copied());
        assert_eq!(s("prioritty"), Some("priority"));
        assert_eq!(s("prxoxxty"), None);
        assert_eq!(s("vrdi"), Some("vrid"));
        assert_eq!(s("per"), Some("peer"));
        assert_eq!(s("xy"), None);
        assert_eq!(s("completely-different-and-far-too-long"), None);
    }

    /// Over the capacity errors are counted, and an error takes a warning's room.
    #[test]
    fn bounded() {
        let mut d = Diagnostics::new();
        for line in 1..=70 {
            d.warning(Pos::new(line, 1), &mut |t| t.write_str("odd"));
        }
        d.error(Pos::new(99, 7), &mut |t| t.write_str("wrong"));
        let mut out = std::vec::Vec::new();
        d.print("f", &mut out).unwrap();
        let out = std::string::String::from_utf8(out).unwrap();
        assert_eq!(out.lines().count(), 65);
        assert!(out.starts_with("f:1:1: warning: odd\n"));
        assert!(out.ends_with("f:63:1: warning: odd\nf:99:7: wrong\nf: and 7 more\n"), "{out}");
        assert_eq!((d.errors(), d.warnings()), (1, 70));
    }

    /// What a message quotes cannot break its line, nor tell the terminal anything.
    #[test]
    fn control_characters() {
        let mut d = Diagnostics::new();
        d.error(Pos::new(1, 1), &mut |t| uwrite!(t, "unknown '{}'", Excerpt("a\tb\nc\u{1b}[2J\u{85}é")));
        assert_eq!(d.message(&d.entries()[0]), "unknown 'a?b?c?[2J?é'");
    }

    /// Included files have names of their own and stand behind the file that includes them.
    #[test]
    fn files() {
        let mut d = Diagnostics::new();
        let (a, b) = (d.add_file("dir/a").unwrap(), d.add_file("b").unwrap());
        for (file, line) in [(b, 3), (0, 9), (a, 7)] {
            d.error(Pos { file, line, column: 1 }, &mut |t| t.write_str("wrong"));
        }
        d.sort();
        let mut out = std::vec::Vec::new();
        d.print("main", &mut out).unwrap();
        assert_eq!(std::str::from_utf8(&out).unwrap(), "main:9:1: wrong\ndir/a:7:1: wrong\nb:3:1: wrong\n");
        let room = (0..MAX_FILES).take_while(|_| d.add_file("x").is_some()).count();
        assert_eq!(room, MAX_FILES - 3);
    }

    /// Messages that do not fit the room for text are counted too.
    #[test]
    fn bounded_text() {
        let mut d = Diagnostics::new();
        let long = "x".repeat(1000);
        for line in 1..=20 {
            d.error(Pos::new(line, 1), &mut |t| t.write_str(&long));
        }
        assert_eq!((d.entries().len(), d.errors()), (MAX_TEXT / 1000, 20));
    }
}
