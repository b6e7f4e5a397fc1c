//! What happened: the last events in words for people, and a hash of all for comparison.

use std::collections::VecDeque;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use picovrrp::router::event::Shown;

use crate::ops::Op;

/// Events kept for people.
const KEPT: usize = 300;

#[derive(Clone, Copy, Debug, Hash)]
pub enum What {
    Op(Op),
    Heard { priority: u8, from: IpAddr, accepted: bool },
    Dropped { bad: bool },
    Sent { priority: u8, from: IpAddr },
    State { from: Shown, to: Shown },
    Add(IpAddr),
    Remove(IpAddr),
    Announce(IpAddr),
    Timer { drained: bool },
    Netlink,
    Phase(&'static str),
}

/// FNV-1a: no random state, the same everywhere.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ *b as u64).wrapping_mul(0x100_0000_01b3);
        }
    }
}

pub struct Trace {
    last: VecDeque<(u64, u8, What)>,
    hash: Fnv,
}

impl Trace {
    pub fn new() -> Trace {
        Trace { last: VecDeque::with_capacity(KEPT), hash: Fnv(0xcbf2_9ce4_8422_2325) }
    }

    pub fn add(&mut self, now: u64, host: usize, what: What) {
        let entry = (now, host as u8, what);
        entry.hash(&mut self.hash);
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(entry);
    }

    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    pub fn text(&self) -> String {
        let mut s = String::new();
        for (t, host, what) in &self.last {
            let _ = writeln!(s, "  {:>12.6}  {}  {what:?}", *t as f64 / 1e6, (b'A' + host) as char);
        }
        s
    }
}
