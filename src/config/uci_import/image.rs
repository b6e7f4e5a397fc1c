//! The options of a file, packed: what is needed to read its sections in any order, and those that
//! name each other.
//!
//! Records stand one behind the other in pieces of [`PIECE`] bytes and never over the end of one. A
//! section is a record with its type, its name and two links: to the next section, and to one further
//! below that continues it. Its options follow. Places are kept as lines and columns, lines of options
//! as their distance from the section's.

use heapless::Vec;
use std::boxed::Box;

use super::schema::{Opt, Type};
use crate::config::diagnostics::Pos;
use crate::config::uci::MAX_WORD;

/// What is allocated at a time.
const PIECE: usize = 4096;
/// The most that is: more than any configuration needs that fits a router's.
const PIECES: usize = 12;

/// The first byte of a section; options have their number plus [`FIRST_OPTION`].
const SECTION: u8 = 1;
const FIRST_OPTION: u8 = 2;
/// Added to it for one value of a list.
const LIST: u8 = 0x80;
/// No section.
const NONE: u16 = u16::MAX;
/// Bytes of a record besides its text, at most: code, type, mark, links, hash, line, column and length.
const HEAD: usize = 18;
/// Where in a section's record the links and the hash of its name are.
const NEXT: usize = 3;
const MORE: usize = 5;
const HASH: usize = 7;

static_assertions::const_assert!(PIECE * PIECES < NONE as usize && HEAD + MAX_WORD <= PIECE);

/// There is no more room.
pub(super) struct Full;

/// The packed options of a file.
#[derive(Default)]
pub(super) struct Image {
    pieces: Vec<Box<[u8; PIECE]>, PIECES>,
    /// Bytes used in the last piece.
    used: usize,
    first: Option<u16>,
    last: Option<u16>,
    /// Line of the section that is being filled.
    line: u32,
    /// The section that it is, or continues.
    whole: u16,
}

/// What a record says.
enum Record<'i> {
    Section {
        kind: Type,
        continues: bool,
        next: u16,
        more: u16,
        hash: u16,
        at: Pos,
        name: &'i str,
    },
    /// Its bytes are text.
    Value {
        code: u8,
        line: u32,
        column: u16,
        bytes: &'i [u8],
    },
}

/// A section, with all that continues it.
#[derive(Clone, Copy)]
pub(super) struct Section<'i> {
    image: &'i Image,
    offset: u16,
    /// Of its name.
    hash: u16,
    /// Its type.
    pub(super) kind: Type,
    /// Where the type stands.
    pub(super) at: Pos,
    /// Its name for UCI, empty if it has none.
    pub(super) uci_name: &'i str,
}

/// One value of an option.
#[derive(Clone, Copy)]
pub(super) struct Value<'i> {
    /// Where it stands.
    pub(super) at: Pos,
    /// The option.
    pub(super) option: Opt,
    /// Its text.
    pub(super) text: &'i str,
}

/// A number for `text` that others rarely have.
fn hash(text: &str) -> u16 {
    text.bytes().fold(5381, |h: u16, b| h.wrapping_mul(33) ^ u16::from(b))
}

fn varint(buf: &mut Vec<u8, HEAD>, mut n: u32) {
    loop {
        let low = (n & 0x7f) as u8;
        n >>= 7;
        // There is room: a head is never longer than HEAD.
        let _ = buf.push(if n == 0 { low } else { low | 0x80 });
        if n == 0 {
            return;
        }
    }
}

fn take_varint(bytes: &[u8], at: &mut usize) -> u32 {
    let (mut n, mut shift) = (0u32, 0);
    while let Some(byte) = bytes.get(*at) {
        *at += 1;
        n |= u32::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 || shift > 28 {
            break;
        }
    }
    n
}

impl Image {
    fn put(&mut self, head: &[u8], text: &str) -> Result<u16, Full> {
        let len = head.len() + text.len();
        if self.pieces.is_empty() || self.used + len > PIECE {
            if self.pieces.is_full() {
                return Err(Full);
            }
            // There is room: just looked.
            let _ = self.pieces.push(Box::new([0; PIECE]));
            self.used = 0;
        }
        let number = self.pieces.len() - 1;
        let Some(piece) = self.pieces.last_mut() else { return Err(Full) };
        piece[self.used..self.used + head.len()].copy_from_slice(head);
        piece[self.used + head.len()..self.used + len].copy_from_slice(text.as_bytes());
        let offset = number * PIECE + self.used;
        self.used += len;
        Ok(offset as u16)
    }

    /// Begins a section; it continues the first of the same name, if it has a name.
    pub(super) fn begin(&mut self, kind: Type, name: Option<&str>, at: Pos) -> Result<(), Full> {
        let name = name.unwrap_or("");
        let before = if name.is_empty() { None } else { self.sections().find(|s| s.uci_name == name) };
        let before = before.map(|s| s.offset);
        let mut head: Vec<u8, HEAD> = Vec::new();
        let _ = head.extend_from_slice(&[SECTION, kind as u8, before.is_some() as u8]);
        for link in [NONE, NONE, 0] {
            let _ = head.extend_from_slice(&link.to_le_bytes());
        }
        varint(&mut head, at.line);
        varint(&mut head, at.column.into());
        // A section's name is short enough: `name_fits`.
        let _ = head.push(name.len() as u8);
        let offset = self.put(&head, name)?;
        self.line = at.line;
        self.whole = before.unwrap_or(offset);
        match self.last.replace(offset) {
            None => self.first = Some(offset),
            Some(last) => self.set(last, NEXT, offset),
        }
        if let Some(mut at) = before {
            while let Some(Record::Section { more, .. }) = self.record(at).map(|(r, _)| r)
                && more != NONE
            {
                at = more;
            }
            self.set(at, MORE, offset);
        }
        Ok(())
    }

    /// Whether a section's name can be kept.
    pub(super) fn name_fits(name: &str) -> bool {
        name.len() <= u8::MAX as usize - HEAD
    }

    /// Sets a link or the hash of the section at `at`.
    fn set(&mut self, at: u16, field: usize, to: u16) {
        let at = at as usize;
        if let Some(place) = self.pieces.get_mut(at / PIECE).and_then(|p| p.get_mut(at % PIECE + field..)) {
            place[..2].copy_from_slice(&to.to_le_bytes());
        }
    }

    /// Adds a value to the section that was begun last.
    pub(super) fn add(&mut self, option: Opt, list: bool, at: Pos, text: &str) -> Result<(), Full> {
        let mut head: Vec<u8, HEAD> = Vec::new();
        let _ = head.push((option as u8 + FIRST_OPTION) | if list { LIST } else { 0 });
        varint(&mut head, at.line.saturating_sub(self.line));
        varint(&mut head, at.column.into());
        varint(&mut head, text.len() as u32);
        // As `Section::get` has it: an option replaces what was there, of a list the first counts.
        let first = || self.section(self.whole).is_some_and(|(s, ..)| s.hash == 0) && !text.is_empty();
        if option == Opt::Name && (!list || first()) {
            self.set(self.whole, HASH, hash(text));
        }
        self.put(&head, text).map(|_| ())
    }

    /// The record at `offset`, and where the next one is; `None` at the end.
    fn record(&self, offset: u16) -> Option<(Record<'_>, u16)> {
        let (mut number, mut at) = (offset as usize / PIECE, offset as usize % PIECE);
        if self.pieces.get(number)?.get(at) == Some(&0) {
            (number, at) = (number + 1, 0);
        }
        let piece = self.pieces.get(number)?;
        if number + 1 == self.pieces.len() && at >= self.used {
            return None;
        }
        let text = |at: usize, len: usize| piece.get(at..at + len).and_then(|b| core::str::from_utf8(b).ok());
        let code = piece[at];
        let (record, end) = if code == SECTION {
            let kind = Type::of(*piece.get(at + 1)?)?;
            let word = |i: usize| Some(u16::from_le_bytes([*piece.get(at + i)?, *piece.get(at + i + 1)?]));
            let (continues, next, more, hash) = (*piece.get(at + 2)? != 0, word(NEXT)?, word(MORE)?, word(HASH)?);
            let mut i = at + HASH + 2;
            let line = take_varint(&piece[..], &mut i);
            let column = take_varint(&piece[..], &mut i) as u16;
            let len = *piece.get(i)? as usize;
            let name = text(i + 1, len)?;
            (Record::Section { kind, continues, next, more, hash, at: Pos::new(line, column), name }, i + 1 + len)
        } else {
            let mut i = at + 1;
            let line = take_varint(&piece[..], &mut i);
            let column = take_varint(&piece[..], &mut i) as u16;
            let len = take_varint(&piece[..], &mut i) as usize;
            (Record::Value { code, line, column, bytes: piece.get(i..i + len)? }, i + len)
        };
        Some((record, (number * PIECE + end) as u16))
    }

    /// The section at `offset`, whether it continues another, and the offset of the next.
    fn section(&self, offset: u16) -> Option<(Section<'_>, bool, u16)> {
        match self.record(offset)?.0 {
            Record::Section { kind, continues, next, hash, at, name, .. } => {
                Some((Section { image: self, offset, hash, kind, at, uci_name: name }, continues, next))
            }
            Record::Value { .. } => None,
        }
    }

    /// The sections, without those that continue others.
    pub(super) fn sections(&self) -> impl Iterator<Item = Section<'_>> + Clone {
        let mut offset = self.first.unwrap_or(NONE);
        core::iter::from_fn(move || {
            loop {
                let (section, continues, next) = self.section(offset)?;
                offset = next;
                if !continues {
                    return Some(section);
                }
            }
        })
    }

    /// The sections of a type.
    pub(super) fn of_type(&self, kind: Type) -> impl Iterator<Item = Section<'_>> + Clone {
        self.sections().filter(move |s| s.kind == kind)
    }

    /// The sections of a type that are called `name` by their option of that name.
    pub(super) fn named<'i>(&'i self, kind: Type, name: &'i str) -> impl Iterator<Item = Section<'i>> + Clone {
        // What they begin with, but for the link to the next. Few sections have to be read further.
        let (start, wanted) = ([SECTION, kind as u8, 0], hash(name).to_le_bytes());
        let mut offset = self.first.unwrap_or(NONE);
        core::iter::from_fn(move || {
            loop {
                let here = offset;
                let head = self.pieces.get(here as usize / PIECE)?.get(here as usize % PIECE..)?.get(..HASH + 2)?;
                offset = u16::from_le_bytes([head[NEXT], head[NEXT + 1]]);
                if head[..NEXT] != start || head[HASH..] != wanted {
                    continue;
                }
                let (section, ..) = self.section(here)?;
                if section.get(Opt::Name).is_some_and(|v| v.text == name) {
                    return Some(section);
                }
            }
        })
    }
}

impl<'i> Section<'i> {
    /// All values of `option` that were written, and whether each is one of a list.
    fn written(self, option: Opt) -> impl Iterator<Item = (bool, Value<'i>)> + Clone {
        let start = |offset: u16| match self.image.record(offset) {
            Some((Record::Section { more, at, .. }, next)) => (more, at.line, next),
            _ => (NONE, 0, NONE),
        };
        let (mut more, mut line, mut offset) = start(self.offset);
        core::iter::from_fn(move || {
            loop {
                match self.image.record(offset) {
                    Some((Record::Value { code, line: below, column, bytes }, next)) => {
                        offset = next;
                        if code & !LIST == option as u8 + FIRST_OPTION {
                            let at = Pos::new(line + below, column);
                            let text = core::str::from_utf8(bytes).unwrap_or("");
                            return Some((code & LIST != 0, Value { at, option, text }));
                        }
                    }
                    _ if more != NONE => (more, line, offset) = start(more),
                    _ => return None,
                }
            }
        })
    }

    /// The values of `option`, if it is a list; else its one value: a later `option` replaces what was
    /// there, a later `list` adds to it.
    pub(super) fn values(self, option: Opt) -> impl Iterator<Item = Value<'i>> + Clone {
        let written = self.written(option);
        let last = written.clone().enumerate().filter(|(_, (list, _))| !list).map(|(i, _)| i).last();
        written.skip(last.unwrap_or(0)).map(|(_, value)| value)
    }

    /// The value of an option that has one; of a list the first.
    pub(super) fn get(self, option: Opt) -> Option<Value<'i>> {
        let mut found = None;
        for (list, value) in self.written(option) {
            if !list || (found.is_none() && !value.text.is_empty()) {
                found = Some(value).filter(|v| !v.text.is_empty());
            }
        }
        found
    }

    /// The words of all values.
    pub(super) fn words(self, option: Opt) -> impl Iterator<Item = Value<'i>> + Clone {
        let blank = |b: char| b.is_ascii_whitespace();
        self.values(option)
            .flat_map(move |v| v.text.split(blank).filter(|word| !word.is_empty()).map(move |text| Value { text, ..v }))
    }
}

impl Opt {
    // Numbers must leave room for the codes and the mark of a list.
    const _FIT: () = assert!(Opt::Connector as u8 + FIRST_OPTION < LIST);
}
