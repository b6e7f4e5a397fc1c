//! Checks as tasks: each runs its look at its interval, and tells the router what came of it.

use crate::check::Reason;
use crate::vrrp::timing::Micros;

/// What the runs of one check came to, for status and the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    /// How many there were.
    pub(super) count: u32,
    /// Failures in a row up to now.
    pub(super) fails: u32,
    /// What the last one took; `None` before the first.
    pub(super) last: Option<Micros>,
    /// Why the last one failed; empty if it did not.
    pub(super) error: Reason,
}
