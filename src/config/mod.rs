//! What the router is told: the model with its limits, and the languages that fill it.
//!
//! - [`model`]: `Config`, validated and of fixed capacity.
//! - [`line`](mod@line): the line language: read and write.
//! - [`explain`](mod@explain): what a configuration means, in words.
//! - [`diagnostics`]: errors and warnings with their places.

mod assemble;
pub mod diagnostics;
pub mod explain;
pub mod line;
pub mod model;
mod validate;
