//! Delays of links: a change that does not last does not count.

use super::{Config, StrId};
use crate::vrrp::timing::Micros;

/// The longest delay of a link.
pub const MAX_DELAY: Micros = Micros::from_secs(255);

/// How long an interface must have changed before that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkDelay {
    /// The interface.
    pub interface: StrId,
    /// From the loss of the link; zero where that counts at once.
    pub down: Micros,
    /// From its return; zero where that counts at once.
    pub up: Micros,
}

impl LinkDelay {
    /// What a change to up, or to down, has to last.
    pub const fn of(&self, up: bool) -> Micros {
        if up { self.up } else { self.down }
    }
}

impl Config {
    /// How long the interface called `name` must be up, or down, before that counts.
    pub fn link_delay(&self, name: StrId, up: bool) -> Micros {
        let name = self.str(name);
        let delay = self.link_delays.iter().find(|d| self.str(d.interface) == name);
        delay.map_or(Micros::ZERO, |d| d.of(up))
    }
}
