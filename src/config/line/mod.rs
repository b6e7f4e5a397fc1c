//! The line language of `/etc/picovrrp.conf`: one statement a line; docs/configuration.md is its
//! reference. [`parse`] reads it, [`print`](fn@print) writes it.
//!
//! Reading takes the memory of one line, whatever the input. Each error is reported with its place,
//! and reading goes on behind it: at the next property that is known, or at the next line.

mod check;
mod group;
mod hook;
mod keyword;
mod lex;
mod print;
mod property;
mod route;
mod statement;
mod track;
pub(super) mod value;

#[cfg(test)]
mod tests;

use embedded_io::Read;
use heapless::Vec;
use ufmt::{uWrite, uwrite};

pub(super) use self::keyword::Reader;
use self::lex::{MAX_WORDS, Word, Words};
pub use self::print::print;
pub use self::value::duration;
use super::assemble::Reported;
use super::commands::Commands;
use super::diagnostics::{Diagnostics, Pos};
use super::draft::CheckDraft;
use super::model::Config;
use crate::text::{Text, Written};

/// The longest line, in bytes, without its end.
pub const MAX_LINE: usize = 512;
/// The longest file: beyond it nobody meant a configuration.
pub const MAX_FILE: usize = 16 << 20;

/// Reads a configuration into `config`, which is emptied first, and what is wrong with it into
/// `diag`. `config` is of use only if there were no errors. The result's error is that of reading.
pub fn parse<R: Read>(input: &mut R, config: &mut Config, diag: &mut Diagnostics) -> Result<(), R::Error> {
    read(input, Lines::new(config, diag, None))
}

/// The same, and tells where the commands stand.
pub fn parse_with_commands<R: Read>(
    input: &mut R,
    config: &mut Config,
    diag: &mut Diagnostics,
    commands: &mut Commands,
) -> Result<(), R::Error> {
    read(input, Lines::new(config, diag, Some(commands)))
}

fn read<R: Read>(input: &mut R, mut lines: Lines<'_>) -> Result<(), R::Error> {
    let mut chunk = [0; 256];
    loop {
        let n = input.read(&mut chunk)?;
        if n == 0 || !lines.feed(&chunk[..n]) {
            break;
        }
    }
    lines.end();
    Ok(())
}

/// Reads what stands behind the name in a `check` statement out of `text`, all of which is at `at` in
/// some other file.
pub(super) fn read_check(
    reader: &mut Reader<'_>,
    text: &mut [u8],
    at: Pos,
    draft: &mut CheckDraft,
) -> Result<(), Reported> {
    let mut words: Vec<Word, MAX_WORDS> = Vec::new();
    let mut split = Ok(());
    if text.len() <= MAX_LINE {
        split = lex::split(text, &mut words);
    }
    if let Err(bad) = split {
        reader.asm.diag.error(at, &mut |t| bad.kind.describe(t));
        return Err(Reported);
    }
    check::read(reader, &mut Words::all_at(text, &words, at), draft)
}

/// Cuts the input into lines and lines into words.
struct Lines<'a> {
    reader: Reader<'a>,
    /// The line so far; one byte more for a carriage return at its end.
    line: Vec<u8, { MAX_LINE + 1 }>,
    overlong: bool,
    number: u32,
    bytes: usize,
}

impl<'a> Lines<'a> {
    fn new(config: &'a mut Config, diag: &'a mut Diagnostics, commands: Option<&'a mut Commands>) -> Lines<'a> {
        Lines { reader: Reader::new(config, diag, commands), line: Vec::new(), overlong: false, number: 1, bytes: 0 }
    }

    /// Takes more input; false if it is too much.
    fn feed(&mut self, chunk: &[u8]) -> bool {
        for byte in chunk {
            if *byte == b'\n' {
                self.end_line();
                self.number += 1;
            } else if self.line.push(*byte).is_err() {
                self.overlong = true;
            }
        }
        self.bytes += chunk.len();
        if self.bytes > MAX_FILE {
            self.refuse(1, &mut |t| {
                uwrite!(t, "the file is longer than {} MiB: this is no configuration", MAX_FILE >> 20)
            });
            self.line.clear();
            self.overlong = false;
            return false;
        }
        true
    }

    fn refuse(&mut self, column: u16, message: &mut dyn FnMut(&mut Text<'_>) -> Written) {
        self.reader.asm.diag.error(Pos::new(self.number, column), message);
    }

    fn end_line(&mut self) {
        if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
            // A byte order mark, as some editors put it.
            self.line.copy_within(3.., 0);
            self.line.truncate(self.line.len() - 3);
        }
        if !self.overlong && self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        if !self.read_line() {
            // The properties behind it must not fall to the instance before it.
            let start = self.line.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(0);
            let line = &self.line[start..];
            if line.starts_with(b"instance") {
                self.reader.asm.begin_broken();
            } else if line.starts_with(b"group ") || line.starts_with(b"group\t") {
                self.reader.asm.begin_broken_group();
            } else if line.starts_with(b"check ") || line.starts_with(b"check\t") {
                self.reader.asm.add_broken_check(Pos::default(), None);
            }
        }
        self.line.clear();
        self.overlong = false;
    }

    /// Reads the line; false if it is not one.
    fn read_line(&mut self) -> bool {
        if self.overlong || self.line.len() > MAX_LINE {
            let column = lex::column(&self.line, MAX_LINE);
            self.refuse(column, &mut |t| uwrite!(t, "line too long: expected at most {} bytes", MAX_LINE));
            return false;
        }
        let mut words: Vec<Word, MAX_WORDS> = Vec::new();
        let end_column = lex::column(&self.line, self.line.len());
        if let Err(bad) = lex::split(&mut self.line, &mut words) {
            self.refuse(bad.column, &mut |t| bad.kind.describe(t));
            return false;
        }
        self.reader.line(&mut Words::new(&self.line, &words, self.number, end_column));
        true
    }

    fn end(mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
        if self.bytes == 0 {
            self.refuse(1, &mut |t| {
                t.write_str("the file is empty: expected at least one 'instance NAME on INTERFACE vrid N'")
            });
        }
        self.reader.asm.end(Pos::new(self.number, 1));
    }
}
