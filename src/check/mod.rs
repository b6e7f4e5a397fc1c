//! Checks: what is asked of the world, and what it answered.

pub mod script;

/// What is wrong, in words; cut off where it is longer.
pub type Reason = heapless::String<128>;

/// What a run of a check found.
pub type Outcome = Result<(), Reason>;
