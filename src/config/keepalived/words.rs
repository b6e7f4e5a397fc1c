//! The words of a line: split on blanks and at braces, with `"…"` and `'…'` and escapes.

use heapless::Vec;

use super::text::{Line, MAX_LINE};
use crate::config::assemble::Reported;
use crate::config::diagnostics::{Diagnostics, Pos};
use ufmt::{uWrite, uwrite};

/// The most words of a line.
pub(super) const MAX_WORDS: usize = 128;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Word,
    Open,
    Close,
}

/// A word: where its text is, and where it begins for people.
#[derive(Clone, Copy)]
pub(super) struct Word {
    pub(super) kind: Kind,
    start: u16,
    len: u16,
    column: u16,
}

/// Splits `line`. Words are unescaped in place, which makes them shorter, never longer.
pub(super) fn split(line: &mut Line, words: &mut Vec<Word, MAX_WORDS>, diag: &mut Diagnostics) -> Result<(), Reported> {
    let len = line.text.len();
    let mut at = 0;
    while at < len {
        let byte = line.text[at];
        let column = line.column(at);
        if blank(byte) {
            at += 1;
            continue;
        }
        let word = if let b'{' | b'}' = byte {
            at += 1;
            let kind = if byte == b'{' { Kind::Open } else { Kind::Close };
            Word { kind, start: 0, len: 0, column }
        } else {
            let start = at;
            let (end, used) = word(line, start, diag)?;
            at = used;
            Word { kind: Kind::Word, start: start as u16, len: (end - start) as u16, column }
        };
        if words.push(word).is_err() {
            diag.error(line.at(column), &mut |t| {
                uwrite!(t, "more than {} words: expected fewer on one line", MAX_WORDS)
            });
            return Err(Reported);
        }
    }
    Ok(())
}

pub(super) fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

/// Reads the word at `start`: where its text ends, and where it itself ends.
fn word(line: &mut Line, start: usize, diag: &mut Diagnostics) -> Result<(usize, usize), Reported> {
    let (mut from, mut to) = (start, start);
    let mut quote = None;
    while let Some(byte) = line.text.get(from).copied() {
        match byte {
            b'\\' => {
                let (byte, used) = escape(&line.text[from..]).map_err(|why| {
                    diag.error(line.at(line.column(from)), &mut |t| t.write_str(why));
                    Reported
                })?;
                line.text[to] = byte;
                (from, to) = (from + used, to + 1);
                continue;
            }
            _ if quote.is_some_and(|(q, _)| q == byte) => quote = None,
            b'"' | b'\'' if quote.is_none() => quote = Some((byte, from)),
            _ if quote.is_none() && (blank(byte) || matches!(byte, b'{' | b'}')) => break,
            _ => {
                line.text[to] = byte;
                to += 1;
            }
        }
        from += 1;
    }
    if let Some((_, at)) = quote {
        diag.error(line.at(line.column(at)), &mut |t| {
            t.write_str("quote never closed: expected its end on the same line")
        });
        return Err(Reported);
    }
    Ok((to, from))
}

/// What the escape at the beginning of `text` stands for, and its length.
fn escape(text: &[u8]) -> Result<(u8, usize), &'static str> {
    let number = |digits: &[u8], radix: u32| {
        let text = core::str::from_utf8(digits).unwrap_or("");
        let value = u32::from_str_radix(text, radix).unwrap_or(0);
        u8::try_from(value).ok().filter(|b| (0x20..0x7f).contains(b)).ok_or("an escape that is no printable character")
    };
    match text.get(1) {
        None => Err("nothing behind '\\': only a definition goes on in the next line"),
        Some(b'a' | b'b' | b'E' | b'f' | b'n' | b'r' | b't' | b'v' | b'c') => {
            Err("an escape for a control character: expected printable text")
        }
        Some(b'x') => {
            let digits = text[2..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
            if digits == 0 {
                return Ok((b'x', 2));
            }
            Ok((number(&text[2..2 + digits.min(8)], 16)?, 2 + digits))
        }
        Some(b'0'..=b'7') => {
            let digits = text[1..].iter().take(3).take_while(|b| (b'0'..=b'7').contains(*b)).count();
            Ok((number(&text[1..1 + digits], 8)?, 1 + digits))
        }
        Some(byte) => Ok((*byte, 2)),
    }
}

/// The words of one statement, read one after another.
pub(super) struct Words<'l> {
    line: &'l Line,
    words: &'l [Word],
    next: usize,
    /// Where the keyword stands.
    pub(super) at: Pos,
}

impl<'l> Words<'l> {
    pub(super) fn new(line: &'l Line, words: &'l [Word]) -> Words<'l> {
        let at = words.first().map_or(Pos::default(), |w| line.at(w.column));
        Words { line, words, next: 0, at }
    }

    /// The next word.
    pub(super) fn peek(&self) -> Option<&'l str> {
        let word = self.words.get(self.next)?;
        let bytes = self.line.text.get(word.start as usize..(word.start + word.len) as usize)?;
        // The line is text, and escapes are ASCII.
        core::str::from_utf8(bytes).ok()
    }

    pub(super) fn skip(&mut self) {
        self.next = (self.next + 1).min(self.words.len());
    }

    pub(super) fn take(&mut self) -> Option<&'l str> {
        let word = self.peek()?;
        self.skip();
        Some(word)
    }

    /// Where the next word stands; behind the last, where the last stands.
    pub(super) fn pos(&self) -> Pos {
        let word = self.words.get(self.next).or(self.words.last());
        word.map_or(self.at, |w| self.line.at(w.column))
    }

    /// Whether it is the next word; then it is taken.
    pub(super) fn is(&mut self, word: &str) -> bool {
        let is = self.peek() == Some(word);
        if is {
            self.skip();
        }
        is
    }
}

static_assertions::const_assert!(MAX_LINE <= u16::MAX as usize);
