//! Words of a line: split on blanks, `"…"` with `\"` and `\\`, `#` at the start of a word.

use heapless::Vec;
use ufmt::{uWrite, uwrite};

use super::MAX_LINE;
use crate::config::diagnostics::Pos;
use crate::text::{Text, Written};

/// A line of single letters has this many.
pub(super) const MAX_WORDS: usize = MAX_LINE / 2;

/// A word: where its text is in the line, and where it begins for people.
#[derive(Clone, Copy)]
pub(super) struct Word {
    start: u16,
    len: u16,
    column: u16,
    quoted: bool,
}

/// Why a line cannot be split.
#[derive(Clone, Copy)]
pub(super) enum Bad {
    Nul,
    Control(u8),
    Utf8,
    Unclosed,
    Escape,
    QuoteInside,
    BehindQuote,
}

impl Bad {
    pub(super) fn describe(self, t: &mut Text<'_>) -> Written {
        match self {
            Bad::Nul => t.write_str("NUL byte: expected text"),
            Bad::Control(b) => uwrite!(t, "control character {}: expected text", b),
            Bad::Utf8 => t.write_str("not UTF-8: expected text in UTF-8"),
            Bad::Unclosed => t.write_str("quote never closed: expected '\"' before the end of the line"),
            Bad::Escape => t.write_str("unknown escape: in quotes only '\\\"' and '\\\\' are known"),
            Bad::QuoteInside => t.write_str("quote inside a word: expected quotes around the whole word"),
            Bad::BehindQuote => t.write_str("text right behind a closing quote: expected a blank"),
        }
    }
}

pub(super) struct BadLine {
    pub(super) column: u16,
    pub(super) kind: Bad,
}

/// The column of the byte at `at`: one more than the characters that begin before it.
pub(super) fn column(line: &[u8], at: usize) -> u16 {
    let before = &line[..at.min(line.len())];
    1 + before.iter().filter(|b| **b & 0xc0 != 0x80).count() as u16
}

/// Splits `line`, of at most [`MAX_LINE`] bytes, into words. Quoted words are unescaped in place,
/// which makes them shorter, never longer.
pub(super) fn split(line: &mut [u8], words: &mut Vec<Word, MAX_WORDS>) -> Result<(), BadLine> {
    let bad = |line: &[u8], at, kind| Err(BadLine { column: column(line, at), kind });
    if let Some(at) = line.iter().position(|b| (*b < 0x20 && *b != b'\t') || *b == 0x7f) {
        let kind = if line[at] == 0 { Bad::Nul } else { Bad::Control(line[at]) };
        return bad(line, at, kind);
    }
    if let Err(e) = core::str::from_utf8(line) {
        return bad(line, e.valid_up_to(), Bad::Utf8);
    }
    let blank = |b: u8| b == b' ' || b == b'\t';
    let mut at = 0;
    // Columns are counted as we go: unescaping moves bytes.
    let mut col = 1u16;
    let width = |b: u8| u16::from(b & 0xc0 != 0x80);
    while at < line.len() {
        if blank(line[at]) {
            (at, col) = (at + 1, col + 1);
            continue;
        }
        if line[at] == b'#' {
            break;
        }
        let (start, first) = (at, col);
        let quoted = line[at] == b'"';
        let mut end = start;
        if quoted {
            (at, col) = (at + 1, col + 1);
            loop {
                match line.get(at).copied() {
                    None => return Err(BadLine { column: first, kind: Bad::Unclosed }),
                    Some(b'"') => break,
                    Some(b'\\') => {
                        let Some(escaped @ (b'"' | b'\\')) = line.get(at + 1).copied() else {
                            return Err(BadLine { column: col, kind: Bad::Escape });
                        };
                        line[end] = escaped;
                        (at, col) = (at + 2, col + 2);
                    }
                    Some(b) => {
                        line[end] = b;
                        (at, col) = (at + 1, col + width(b));
                    }
                }
                end += 1;
            }
            (at, col) = (at + 1, col + 1);
            if line.get(at).is_some_and(|b| !blank(*b)) {
                return Err(BadLine { column: col, kind: Bad::BehindQuote });
            }
        } else {
            while let Some(b) = line.get(at).copied().filter(|b| !blank(*b)) {
                if b == b'"' {
                    return Err(BadLine { column: col, kind: Bad::QuoteInside });
                }
                (at, col) = (at + 1, col + width(b));
            }
            end = at;
        }
        // There is room: words are at least one byte and apart.
        let _ = words.push(Word { start: start as u16, len: (end - start) as u16, column: first, quoted });
    }
    Ok(())
}

/// The words of a line, taken one after the other.
pub(super) struct Words<'l> {
    line: &'l [u8],
    words: &'l [Word],
    next: usize,
    number: u32,
    end_column: u16,
    /// Where all of them stand, whatever their columns.
    fixed: Option<Pos>,
}

impl<'l> Words<'l> {
    pub(super) fn new(line: &'l [u8], words: &'l [Word], number: u32, end_column: u16) -> Words<'l> {
        Words { line, words, next: 0, number, end_column, fixed: None }
    }

    /// Words of another language's value, which stands at `at`.
    pub(super) fn all_at(line: &'l [u8], words: &'l [Word], at: Pos) -> Words<'l> {
        Words { fixed: Some(at), ..Words::new(line, words, at.line, at.column) }
    }

    /// The next word.
    pub(super) fn peek(&self) -> Option<&'l str> {
        let w = self.words.get(self.next)?;
        let bytes = &self.line[w.start as usize..(w.start + w.len) as usize];
        Some(core::str::from_utf8(bytes).unwrap_or(""))
    }

    /// Whether the next word stood in quotes.
    pub(super) fn quoted(&self) -> bool {
        self.words.get(self.next).is_some_and(|w| w.quoted)
    }

    /// Goes behind the next word.
    pub(super) fn skip(&mut self) {
        self.next += 1;
    }

    /// Goes behind the last word.
    pub(super) fn skip_all(&mut self) {
        self.next = self.words.len();
    }

    /// Where the next word begins, or the line ends.
    pub(super) fn pos(&self) -> Pos {
        if let Some(at) = self.fixed {
            return at;
        }
        let column = self.words.get(self.next).map_or(self.end_column, |w| w.column);
        Pos::new(self.number, column)
    }
}
