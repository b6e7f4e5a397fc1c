//! The virtual LAN: loss, duplication, delay, jitter (and so reordering), partitions in one direction or both.

use std::net::IpAddr;

use crate::rng::Rng;

/// Most hosts on the LAN.
pub const MAX: usize = 5;

/// A VRRP message on the wire.
#[derive(Clone, Debug)]
pub struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub ttl: u8,
    pub payload: Vec<u8>,
    /// Wrong on purpose: it must change counters and nothing else.
    pub bad: bool,
}

pub struct Network {
    pub delay: u64,
    pub jitter: u64,
    pub duplicate: u64,
    /// Percent, from each to each.
    pub loss: [[u64; MAX]; MAX],
    pub cut: [[bool; MAX]; MAX],
    /// Lose at most two of a version in a row from one to another (I3's condition).
    pub gentle: bool,
    lost: [[[u8; 2]; MAX]; MAX],
}

impl Network {
    pub fn new(delay: u64, jitter: u64) -> Network {
        Network {
            delay,
            jitter,
            duplicate: 0,
            loss: [[0; MAX]; MAX],
            cut: [[false; MAX]; MAX],
            gentle: false,
            lost: [[[0; 2]; MAX]; MAX],
        }
    }

    /// The greatest delay of a packet that arrives.
    pub fn d(&self) -> u64 {
        self.delay + self.jitter
    }

    pub fn lose(&mut self, percent: u64) {
        self.loss = [[percent; MAX]; MAX];
    }

    pub fn heal(&mut self) {
        self.cut = [[false; MAX]; MAX];
    }

    /// Hosts in `side` and the others do not hear each other.
    pub fn split(&mut self, side: u8) {
        for a in 0..MAX {
            for b in 0..MAX {
                self.cut[a][b] = (side >> a & 1) != (side >> b & 1);
            }
        }
    }

    /// When the copies of a packet from `a` reach `b`, after how long each; it is `old` in version 2.
    pub fn carry(&mut self, a: usize, b: usize, old: bool, rng: &mut Rng) -> [Option<u64>; 2] {
        if self.cut[a][b] {
            return [None, None];
        }
        let lost = &mut self.lost[a][b][usize::from(old)];
        let lose = rng.percent(self.loss[a][b]) && !(self.gentle && *lost >= 2);
        *lost = if lose { lost.saturating_add(1) } else { 0 };
        if lose {
            return [None, None];
        }
        let first = self.delay + rng.below(self.jitter + 1);
        let again = rng.percent(self.duplicate);
        [Some(first), again.then(|| self.delay + rng.below(self.jitter + 1))]
    }
}
