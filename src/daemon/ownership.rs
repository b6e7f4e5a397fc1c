//! Which addresses are ours to remove, also after a kill -9: a file in the run directory that names
//! every address before it is put on an interface.
//!
//! It is written at start and reload, not at each transition: it says what we may have put on, and
//! the interface says what is there. An address that was there before us is not in it. A file of an
//! earlier boot is of no use; its addresses went with the boot.

use std::io;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::model::{MAX_ADDRESSES, MAX_IFNAME};
use crate::router::Router;
use crate::sys::files::{RunDir, boot_id};

const NAME: &str = "addresses";
const VERSION: u8 = 1;
/// An entry's two length bytes, its name, the address with its tag, the prefix length.
const MAX_ENTRY: usize = 2 + MAX_IFNAME + 18 + 1;
const HEADER: usize = 1 + 36;
/// The largest file.
const MAX_FILE: usize = HEADER + MAX_ENTRY * MAX_ADDRESSES;

/// An address that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owned<'a> {
    pub(super) interface: &'a str,
    pub(super) ip: IpAddr,
    pub(super) prefix: u8,
}

/// Writes the addresses that are the router's own.
pub(super) fn write(dir: &RunDir, router: &Router) -> io::Result<()> {
    let mut file = Vec::with_capacity(HEADER + MAX_ENTRY * router.config().addresses.len());
    file.push(VERSION);
    file.extend_from_slice(&boot_id().unwrap_or([0; 36]));
    for (interface, spec) in router.own_addresses() {
        let mut entry = [0; MAX_ENTRY];
        let owned = Owned { interface, ip: spec.ip, prefix: spec.prefix };
        let bytes = postcard::to_slice(&owned, &mut entry).map_err(|_| io::ErrorKind::InvalidData)?;
        file.extend_from_slice(bytes);
    }
    dir.write_private(NAME, &file)
}

/// Calls `f` with every address that an earlier run of this boot may have left.
pub(super) fn read(dir: &RunDir, mut f: impl FnMut(Owned<'_>)) -> io::Result<()> {
    let mut buffer = vec![0; MAX_FILE];
    let Some(bytes) = dir.read_private(NAME, &mut buffer)? else { return Ok(()) };
    let Some((header, mut rest)) = bytes.split_at_checked(HEADER) else { return Ok(()) };
    if header[0] != VERSION || header[1..] != boot_id().unwrap_or([0; 36]) {
        return Ok(());
    }
    while !rest.is_empty() {
        let (owned, left) = postcard::take_from_bytes(rest).map_err(|_| io::ErrorKind::InvalidData)?;
        f(owned);
        rest = left;
    }
    Ok(())
}

/// After an orderly stop nothing is left.
pub(super) fn remove(dir: &RunDir) -> io::Result<()> {
    dir.remove(NAME)
}
