//! What the router is told: the model with its limits, and the languages that fill it.
//!
//! - [`model`]: `Config`, validated and of fixed capacity.
//! - [`line`](mod@line): the line language: read and write.
//! - [`keepalived`]: keepalived.conf: read.
//! - [`explain`](mod@explain): what a configuration means, in words.
//! - [`commands`]: where its commands stand, to see whether they can be run.
//! - [`uci`]: OpenWrt's configuration files, as libuci reads them.
//! - [`uci_import`]: the file of OpenWrt's keepalived package, taken over.
//! - [`diagnostics`]: errors and warnings with their places.

mod assemble;
pub mod commands;
pub mod diagnostics;
mod draft;
pub mod explain;
pub mod keepalived;
pub mod line;
pub mod model;
pub mod uci;
pub mod uci_import;
mod validate;
