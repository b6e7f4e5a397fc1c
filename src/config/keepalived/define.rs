//! Definitions: `$NAME=value`, of one line or several.

use heapless::{String, Vec};

/// Bytes of all names and values, those too that were replaced by longer ones.
const MAX_TEXT: usize = 8192;
/// How many there may be.
const MAX_DEFINITIONS: usize = 64;

/// A piece of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: u16,
    pub(super) end: u16,
}

struct Definition {
    name: Piece,
    value: Piece,
    /// Room that the value may grow into.
    room: u16,
}

/// What was defined so far.
#[derive(Default)]
pub(super) struct Definitions {
    text: Vec<u8, MAX_TEXT>,
    list: Vec<Definition, MAX_DEFINITIONS>,
    /// A value that is still coming in.
    scratch: String<MAX_SCRATCH>,
}

/// Bytes of a value of several lines.
const MAX_SCRATCH: usize = 2048;

/// There is no room for a definition.
pub(super) struct Full;

impl Definitions {
    /// Begins a value.
    pub(super) fn begin(&mut self, value: &str) -> Result<(), Full> {
        self.scratch.clear();
        self.scratch.push_str(value).map_err(|_| Full)
    }

    /// Adds a line to the value.
    pub(super) fn more(&mut self, line: &str) -> Result<(), Full> {
        self.scratch.push('\n').and_then(|()| self.scratch.push_str(line)).map_err(|_| Full)
    }

    /// Ends the value, which is that of `name` from now on.
    pub(super) fn end(&mut self, name: &str) -> Result<(), Full> {
        let len = self.scratch.len() as u16;
        let known = self.list.iter().position(|d| self.text(d.name) == name);
        if let Some(d) = known.and_then(|i| self.list.get_mut(i))
            && d.room >= len
        {
            d.value.end = d.value.start + len;
            let (start, end) = (d.value.start as usize, d.value.end as usize);
            self.text.get_mut(start..end).ok_or(Full)?.copy_from_slice(self.scratch.as_bytes());
            return Ok(());
        }
        let name = match known.and_then(|i| self.list.get(i)) {
            Some(d) => d.name,
            None if self.list.is_full() => return Err(Full),
            None => self.add(name.len(), |text| text.extend_from_slice(name.as_bytes()))?,
        };
        let scratch = core::mem::take(&mut self.scratch);
        let value = self.add(scratch.len(), |text| text.extend_from_slice(scratch.as_bytes()))?;
        let definition = Definition { name, value, room: len };
        match known.and_then(|i| self.list.get_mut(i)) {
            Some(d) => *d = definition,
            None => self.list.push(definition).map_err(|_| Full)?,
        }
        Ok(())
    }

    fn add<E>(
        &mut self,
        len: usize,
        push: impl FnOnce(&mut Vec<u8, MAX_TEXT>) -> Result<(), E>,
    ) -> Result<Piece, Full> {
        let start = self.text.len();
        push(&mut self.text).map_err(|_| Full)?;
        Ok(Piece { start: start as u16, end: (start + len) as u16 })
    }

    /// The value of `name`.
    pub(super) fn value(&self, name: &str) -> Option<Piece> {
        self.list.iter().find(|d| self.text(d.name) == name).map(|d| d.value)
    }

    pub(super) fn text(&self, piece: Piece) -> &str {
        let bytes = self.text.get(piece.start as usize..piece.end as usize);
        bytes.and_then(|b| core::str::from_utf8(b).ok()).unwrap_or("")
    }
}

/// The length of the name at the beginning of `s`; 0 if there is none.
pub(super) fn name_len(s: &[u8]) -> usize {
    if s.first().is_none_or(u8::is_ascii_digit) {
        return 0;
    }
    s.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn define(d: &mut Definitions, name: &str, value: &str) -> bool {
        d.begin(value).is_ok() && d.end(name).is_ok()
    }

    #[test]
    fn the_last_value_counts() {
        let mut d = Definitions::default();
        for value in ["one", "2", "three is longer", ""] {
            assert!(define(&mut d, "N", value) && define(&mut d, "OTHER", "x"));
            let value_now = d.value("N").map(|piece| d.text(piece));
            assert_eq!(value_now, Some(value));
        }
        assert_eq!(d.value("M"), None);
    }

    #[test]
    fn bounded() {
        let mut d = Definitions::default();
        let room = (0..1000).take_while(|i| define(&mut d, &format!("N{i}"), "x")).count();
        assert_eq!(room, MAX_DEFINITIONS);
        assert!(!define(&mut d, "N1", &"x".repeat(MAX_SCRATCH + 1)));
        let mut growing = Definitions::default();
        let room = (1..1000).take_while(|i| define(&mut growing, "N", &"x".repeat(*i))).count();
        assert!(room < 200, "{room}");
    }
}
