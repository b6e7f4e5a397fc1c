//! The frames of a status, kept: what is written of them in another order than they come in is written
//! in several walks.

use crate::control::{self, MAX_FRAME, Reply};

/// All frames of a status.
#[derive(Debug, Default)]
pub struct Frames(Vec<u8>);

impl Frames {
    /// The most bytes that are kept. 255 instances with all that the pools hold need a quarter of it.
    pub const MAX: usize = 512 << 10;

    /// Keeps a frame; whether there was room.
    pub fn add(&mut self, reply: &Reply<'_>) -> bool {
        let mut buf = [0; MAX_FRAME];
        let Some(frame) = control::encode(&mut buf, reply) else { return false };
        let room = self.0.len() + frame.len() <= Frames::MAX;
        if room {
            self.0.extend_from_slice(frame);
        }
        room
    }

    /// All of them, in the order they came in.
    pub fn walk(&self) -> Walk<'_> {
        Walk(&self.0)
    }

    /// Whether an instance, a group or a check is called `name`.
    pub fn any(&self, name: &str) -> bool {
        self.walk().any(|reply| match reply {
            Reply::Instance(i) => i.name == name,
            Reply::Group(g) => g.name == name,
            Reply::Check(c) => c.name == name,
            _ => false,
        })
    }
}

/// A walk over the frames.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'a>(&'a [u8]);

impl<'a> Walk<'a> {
    /// What belongs to the instance that came last.
    pub(super) fn parts(self) -> impl Iterator<Item = Reply<'a>> {
        self.take_while(|r| matches!(r, Reply::Address(_) | Reply::Route(_) | Reply::Track(_)))
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Reply<'a>;

    // There are many walks, and reading a frame is long.
    #[inline(never)]
    fn next(&mut self) -> Option<Reply<'a>> {
        let len = control::frame_len(self.0)?.ok()?;
        let (frame, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        control::decode(frame).ok()
    }
}
