//! The instance table, sans-IO.
pub mod event;
pub use event::{Action, Actions, Event};
/// Placeholder for the links of the documentation while the table is written.
pub struct Router;
