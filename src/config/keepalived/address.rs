//! Entries of `virtual_ipaddress`, `virtual_ipaddress_excluded` and `unicast_peer`.

use ufmt::{uWrite, uwrite};

use super::reader::{Done, Reader};
use super::words::Words;
use crate::config::assemble::Reported;
use crate::config::diagnostics::{Excerpt, suggest};
use crate::config::model::{Address, Family, Peer, Scope, StrId};

/// The longest label: the kernel keeps it where an interface name would fit.
const MAX_LABEL: usize = 15;

/// An option of an address that is not taken over.
struct Lost {
    word: &'static str,
    /// Whether a value stands behind it.
    value: bool,
    /// Empty for one that asks for what is done anyway.
    consequence: &'static str,
}

const fn lost(word: &'static str, value: bool, consequence: &'static str) -> Lost {
    Lost { word, value, consequence }
}

const LEFT: &str = "it is an ordinary address in that";

static LOST: [Lost; 11] = [
    lost("brd", true, "the address has no broadcast address"),
    lost("broadcast", true, "the address has no broadcast address"),
    lost("peer", true, "the address has no peer"),
    lost("-nodad", false, ""),
    lost("home", false, LEFT),
    lost("mngtmpaddr", false, LEFT),
    lost("autojoin", false, LEFT),
    lost("noprefixroute", false, "the kernel makes a route for its prefix"),
    lost("preferred_lft", true, "the address may be chosen as a source"),
    lost("no_track", false, "the address is put back when it vanishes"),
    lost("use_vmac", false, "the MAC address of its interface is used"),
];

const OPTIONS: [&str; 4] = ["dev", "scope", "label", "track_group"];

pub(super) fn advertised(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    address(r, w, false)
}

pub(super) fn excluded(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    address(r, w, true)
}

fn address(r: &mut Reader<'_>, w: &mut Words<'_>, excluded: bool) -> Done {
    r.asm.draft.address_seen = true;
    let at = w.at;
    let keyword = if excluded { "virtual_ipaddress_excluded" } else { "virtual_ipaddress" };
    let mut a = plain(r, w, keyword, excluded)?;
    // The address counts even if an option of it is wrong: one error is enough.
    let done = options(r, w, &mut a);
    r.asm.add_address(at, a);
    done
}

/// An address and its options.
pub(super) fn entry(r: &mut Reader<'_>, w: &mut Words<'_>, keyword: &str, excluded: bool) -> Result<Address, Reported> {
    let mut a = plain(r, w, keyword, excluded)?;
    options(r, w, &mut a)?;
    Ok(a)
}

fn plain(r: &mut Reader<'_>, w: &mut Words<'_>, keyword: &str, excluded: bool) -> Result<Address, Reported> {
    let (ip, prefix) = r.prefixed(w, keyword)?;
    let prefix = prefix.unwrap_or(Family::of(ip).bits());
    Ok(Address { ip, prefix, dev: StrId::default(), scope: None, label: StrId::default(), excluded })
}

fn options(r: &mut Reader<'_>, w: &mut Words<'_>, a: &mut Address) -> Done {
    while let Some(word) = w.peek() {
        let at = w.pos();
        w.skip();
        match word {
            "dev" => a.dev = r.interface(w, "dev")?,
            "scope" => a.scope = scope(r, w)?,
            "label" => {
                let label_at = w.pos();
                let label = r.text(w, "label", "a label, such as eth0:1", MAX_LABEL)?;
                if a.ip.is_ipv6() {
                    r.asm.diag.warning(label_at, &mut |t| {
                        t.write_str("a label on an IPv6 address has no effect: it is dropped")
                    });
                } else {
                    a.label = r.asm.intern(label_at, label)?;
                }
            }
            _ => match LOST.iter().find(|l| l.word == word) {
                Some(lost) => {
                    if lost.value {
                        w.skip();
                    }
                    if !lost.consequence.is_empty() {
                        r.report(at, &mut |t| uwrite!(t, "'{}' is not taken over: {}", word, lost.consequence));
                    }
                }
                None => {
                    let near = suggest(word, &mut LOST.iter().map(|l| l.word).chain(OPTIONS));
                    r.asm.diag.error(at, &mut |t| {
                        uwrite!(t, "unknown option '{}' of an address", Excerpt(word))?;
                        match near {
                            Some(meant) => uwrite!(t, ", did you mean '{}'?", meant),
                            None => t.write_str(": expected one address on each line"),
                        }
                    });
                    return Err(Reported);
                }
            },
        }
    }
    Ok(())
}

pub(super) fn scope(r: &mut Reader<'_>, w: &mut Words<'_>) -> Result<Option<Scope>, Reported> {
    let at = w.pos();
    let scope = match w.peek() {
        Some("global" | "0") => Some(Scope::Global),
        Some("site" | "200") => Some(Scope::Site),
        Some("link" | "253") => Some(Scope::Link),
        Some("host" | "254") => Some(Scope::Host),
        Some("nowhere" | "255") => {
            r.report(at, &mut |t| {
                t.write_str("'scope nowhere' is not taken over: the address gets the kernel's own scope")
            });
            None
        }
        _ => return Err(r.need(w, "scope", "global, site, link or host")),
    };
    w.skip();
    Ok(scope)
}

pub(super) fn peer(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    r.asm.draft.peer_seen = true;
    let at = w.at;
    let (ip, length) = r.prefixed(w, "unicast_peer")?;
    if length.is_some() {
        r.asm.diag.warning(at, &mut |t| t.write_str("the mask of a peer has no meaning: it is dropped"));
    }
    // keepalived looks at the TTL of a peer's adverts only when it is asked to.
    let mut peer = Peer { ip, min_ttl: 0, max_ttl: 255 };
    while let Some(word) = w.peek() {
        match word {
            "min_ttl" => {
                w.skip();
                peer.min_ttl = r.number(w, "min_ttl", 0, 255)? as u8;
            }
            "max_ttl" => {
                w.skip();
                peer.max_ttl = r.number(w, "max_ttl", 0, 255)? as u8;
            }
            _ => {
                return Err(r.need(
                    w,
                    "unicast_peer",
                    "min_ttl or max_ttl behind the address, and one peer on each line",
                ));
            }
        }
    }
    if peer.min_ttl > peer.max_ttl {
        r.asm.diag.error(at, &mut |t| {
            uwrite!(t, "'min_ttl' is {} and 'max_ttl' {}: expected the lower one first", peer.min_ttl, peer.max_ttl)
        });
        return Err(Reported);
    }
    r.asm.add_peer(at, peer);
    Ok(())
}
