//! Bytes of a file, seen as libuci's buffer of lines: at the end of a line there is nothing more
//! until the next one is fetched.

use embedded_io::Read;

use crate::config::diagnostics::Pos;

/// What is read at a time.
const CHUNK: usize = 512;

/// A file that is being read.
pub(super) struct Source<'r, R: Read> {
    input: &'r mut R,
    chunk: [u8; CHUNK],
    at: usize,
    len: usize,
    place: Pos,
    /// The line's end is behind us, or the rest of it is of no interest.
    over: bool,
    /// The line's end is still before us though the rest is of no interest.
    rest: bool,
    /// Where the first NUL byte of a line was.
    nul: Option<Pos>,
    /// What may still be read.
    left: usize,
    ended: bool,
    too_long: bool,
    /// Why reading ended, if not at the end.
    pub(super) failed: Option<R::Error>,
}

impl<'r, R: Read> Source<'r, R> {
    pub(super) fn new(input: &'r mut R, max: usize) -> Source<'r, R> {
        Source {
            input,
            chunk: [0; CHUNK],
            at: 0,
            len: 0,
            place: Pos::new(0, 1),
            over: true,
            rest: false,
            nul: None,
            left: max,
            ended: false,
            too_long: false,
            failed: None,
        }
    }

    /// Where the next byte stands.
    pub(super) fn pos(&self) -> Pos {
        self.place
    }

    /// Whether there are `n` bytes in the chunk, read if need be.
    fn have(&mut self, n: usize) -> bool {
        while self.len - self.at < n {
            if self.ended {
                return false;
            }
            self.chunk.copy_within(self.at..self.len, 0);
            (self.at, self.len) = (0, self.len - self.at);
            match self.input.read(&mut self.chunk[self.len..]) {
                Ok(0) => self.ended = true,
                Ok(n) if n > self.left => (self.left, self.too_long, self.ended) = (0, true, true),
                Ok(n) => {
                    self.len += n;
                    self.left -= n;
                }
                Err(e) => {
                    self.failed = Some(e);
                    self.ended = true;
                }
            }
        }
        true
    }

    /// The next byte of the line.
    pub(super) fn peek(&mut self) -> Option<u8> {
        if self.over || !(self.at < self.len || self.have(1)) {
            return None;
        }
        Some(self.chunk[self.at])
    }

    /// The byte behind the next one, of this line or not.
    pub(super) fn peek_second(&mut self) -> Option<u8> {
        self.have(2).then(|| self.chunk[self.at + 1])
    }

    /// Goes behind the byte that was peeked at.
    pub(super) fn bump(&mut self) {
        let byte = self.chunk[self.at];
        self.at += 1;
        match byte {
            b'\n' => self.over = true,
            0 => {
                self.nul.get_or_insert(self.place);
                self.step();
            }
            // Bytes inside a character have no column of their own.
            _ if byte & 0xc0 == 0x80 => {}
            _ => self.step(),
        }
    }

    fn step(&mut self) {
        self.place.column = self.place.column.saturating_add(1);
    }

    /// The rest of the line is of no interest.
    pub(super) fn cut(&mut self) {
        self.rest |= !self.over;
        self.over = true;
    }

    /// Fetches the next line; false if there is none.
    pub(super) fn next_line(&mut self) -> bool {
        if self.rest {
            self.rest = false;
            self.over = false;
            while self.peek().is_some() {
                self.bump();
            }
        }
        if !self.over || !self.have(1) {
            return false;
        }
        self.over = false;
        self.place = Pos::new(self.place.line + 1, 1);
        true
    }

    /// Whether there is more than may be read.
    pub(super) fn too_long(&self) -> bool {
        self.too_long
    }

    /// Where a NUL byte was that nobody asked about yet.
    pub(super) fn take_nul(&mut self) -> Option<Pos> {
        self.nul.take()
    }
}
