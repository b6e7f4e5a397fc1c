//! What must hold of any input, whatever its bytes. The fuzz targets in `fuzz/` and the tests beside
//! this directory both go by it.
//!
//! - [`line`](fn@line), [`uci`](fn@uci), [`keepalived`](fn@keepalived): the configuration languages.
//! - [`packet`](fn@packet), [`frame`](fn@frame): what comes over the network and the control socket.

#![allow(dead_code, unused_imports, reason = "each fuzz target uses one of them")]

mod frame;
mod held;
mod input;
mod judge;
mod keepalived;
mod line;
mod meaning;
mod packet;
mod uci;

pub(crate) use frame::frame;
pub(crate) use keepalived::keepalived;
pub(crate) use line::line;
pub(crate) use packet::packet;
pub(crate) use uci::uci;

/// Between the files of one input: no text has it.
pub(crate) const FILE_END: u8 = 0xff;
