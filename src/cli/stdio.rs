//! `std`'s readers and writers as `embedded_io`'s, under which everything is read and rendered.

use std::io;

/// A reader or writer of `std`.
pub(super) struct Stdio<T>(pub(super) T);

impl<T> embedded_io::ErrorType for Stdio<T> {
    type Error = io::Error;
}

impl<T: io::Read> embedded_io::Read for Stdio<T> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, io::Error> {
        loop {
            match self.0.read(buf) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl<T: io::Write> embedded_io::Write for Stdio<T> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, io::Error> {
        loop {
            match self.0.write(buf) {
                Ok(0) if !buf.is_empty() => return Err(io::ErrorKind::WriteZero.into()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> Result<(), io::Error> {
        self.0.flush()
    }
}
