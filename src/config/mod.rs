//! What the router is told: the model with its limits, and the languages that fill it.
pub mod model;
