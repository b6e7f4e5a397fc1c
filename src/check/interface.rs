//! An interface is there, up and with carrier: whoever listens to netlink knows.

use super::{Look, Seen, because};
use crate::vrrp::timing::Instant;

/// Why it fails.
pub const DOWN: &str = "no such interface, or it is down";

/// Asks whoever knows.
pub struct Interface<F: FnMut() -> bool> {
    /// Whether it is up.
    pub is_up: F,
}

impl<F: FnMut() -> bool> Look for Interface<F> {
    async fn look(&mut self, _deadline: Instant) -> Seen {
        if (self.is_up)() { Seen::Up } else { Seen::Down(because(DOWN)) }
    }
}
