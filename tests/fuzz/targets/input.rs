//! Bytes that are read as from a file.

use core::convert::Infallible;

/// Gives at most so many bytes at a time.
pub(super) struct Input<'a> {
    rest: &'a [u8],
    step: usize,
}

impl<'a> Input<'a> {
    /// All at once.
    pub(super) fn whole(bytes: &'a [u8]) -> Input<'a> {
        Input { rest: bytes, step: usize::MAX }
    }

    /// In small pieces, of a size that depends on the input.
    pub(super) fn pieces(bytes: &'a [u8]) -> Input<'a> {
        Input { rest: bytes, step: 1 + bytes.len() % 7 }
    }
}

impl embedded_io::ErrorType for Input<'_> {
    type Error = Infallible;
}

impl embedded_io::Read for Input<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let n = buf.len().min(self.rest.len()).min(self.step);
        let (now, rest) = self.rest.split_at(n);
        buf[..n].copy_from_slice(now);
        self.rest = rest;
        Ok(n)
    }
}

/// The value of a result that cannot be an error.
pub(super) fn sure<T>(result: Result<T, Infallible>) -> T {
    result.unwrap_or_else(|never| match never {})
}
