//! A line in the making.

use heapless::Vec;

use super::words::blank;
use crate::config::diagnostics::Pos;

/// The longest line, in bytes, without comment and end.
pub(super) const MAX_LINE: usize = 1024;

/// A line, and where each of its bytes came from.
#[derive(Default)]
pub(super) struct Line {
    pub(super) text: Vec<u8, MAX_LINE>,
    pub(super) columns: Vec<u16, MAX_LINE>,
    pub(super) file: u8,
    pub(super) number: u32,
    /// For a line of a definition: where the definition is used, which all its bytes came from.
    pub(super) used_at: Option<u16>,
}

impl Line {
    /// The column of the byte at `i`, or of the last one.
    pub(super) fn column(&self, i: usize) -> u16 {
        self.columns.get(i).or(self.columns.last()).copied().unwrap_or(1)
    }

    /// The place at a column of this line.
    pub(super) fn at(&self, column: u16) -> Pos {
        Pos { file: self.file, line: self.number, column }
    }

    pub(super) fn first(&self) -> Pos {
        self.at(self.column(0))
    }

    pub(super) fn str(&self) -> &str {
        // `check` has seen to it that it is text.
        core::str::from_utf8(&self.text).unwrap_or("")
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.columns.clear();
    }

    /// Takes the first `n` bytes away, and the blanks behind them.
    pub(super) fn drop_front(&mut self, n: usize) {
        let n = n + self.text[n.min(self.text.len())..].iter().take_while(|b| blank(**b)).count();
        let rest = self.text.len() - n;
        self.text.copy_within(n.., 0);
        self.columns.copy_within(n.., 0);
        self.text.truncate(rest);
        self.columns.truncate(rest);
    }

    pub(super) fn trim(&mut self) {
        while self.text.last().is_some_and(|b| blank(*b)) {
            self.text.pop();
            self.columns.pop();
        }
        self.drop_front(0);
    }

    /// Puts `value` where the bytes from `at` to `end` are; false if the line gets too long.
    pub(super) fn replace(&mut self, at: usize, end: usize, value: &[u8]) -> bool {
        let (len, rest, column) = (self.text.len(), self.text.len() - end, self.column(at));
        let new = at + value.len() + rest;
        if new > MAX_LINE {
            return false;
        }
        // There is room, as has just been seen.
        let _ = self.text.resize_default(len.max(new));
        let _ = self.columns.resize_default(len.max(new));
        self.text.copy_within(end..len, at + value.len());
        self.columns.copy_within(end..len, at + value.len());
        self.text[at..at + value.len()].copy_from_slice(value);
        self.columns[at..at + value.len()].fill(column);
        self.text.truncate(new);
        self.columns.truncate(new);
        true
    }

    /// Takes the comment away, which may stand behind anything but not in quotes.
    pub(super) fn without_comment(&mut self) {
        let (mut quote, mut escaped) = (None, false);
        for (i, byte) in self.text.iter().enumerate() {
            if escaped {
                escaped = false;
                continue;
            }
            match (byte, quote) {
                (b'\\', _) => escaped = true,
                (b'#' | b'!', None) => {
                    self.text.truncate(i);
                    self.columns.truncate(i);
                    return;
                }
                (b'"' | b'\'', None) => quote = Some(*byte),
                (b, Some(q)) if *b == q => quote = None,
                _ => {}
            }
        }
    }
}
