//! Virtual MAC addresses: the macvlans, and the kernel's settings that go with them.
//!
//! Beneath a macvlan the interface must answer ARP for its own addresses alone, and ask with those
//! (`arp_ignore` 1, `arp_announce` 2): or else it would tell hosts its own MAC address for the virtual
//! ones. That is put back when the last macvlan on it is gone, or by the next start after a kill -9.

use std::io;
use std::os::fd::AsFd;

use heapless::String;
use rustix::net::netdevice::{index_to_name_inlined, name_to_index};
use ufmt::uwrite;

use super::Core;
use super::io_actions::Note;
use super::lines::say;
use super::ownership::{self, Entry};
use super::report::System;
use crate::config::model::MAX_IFNAME;
use crate::router::Event;
use crate::router::event::{InstanceId, LinkInfo, VmacError};
use crate::sys::netlink::{Rtnl, nftables};
use crate::sys::sysctl;
use crate::vrrp::timing::Instant;

type Name = String<MAX_IFNAME>;

/// What an interface beneath macvlans is to have at least.
const BENEATH: [(&str, u8); 2] = [("arp_ignore", 1), ("arp_announce", 2)];

/// What a macvlan is to have. What comes to it goes back through the interface beneath, which only a
/// loose filter of sources allows. It makes no address of its own, neither from its MAC address nor
/// from what routers advertise.
const MACVLAN: [(&str, &str, &str); 7] = [
    ("ipv4", "arp_ignore", "1"),
    ("ipv4", "arp_announce", "2"),
    ("ipv4", "rp_filter", "2"),
    ("ipv6", "addr_gen_mode", "1"),
    ("ipv6", "accept_ra", "0"),
    ("ipv6", "autoconf", "0"),
    ("ipv6", "router_solicitations", "0"),
];

/// What it takes from the interface beneath: traffic for the virtual MAC address comes in through it.
const ALIKE: [(&str, &str); 3] = [("ipv4", "forwarding"), ("ipv6", "disable_ipv6"), ("ipv6", "forwarding")];

/// An interface that was changed, as it was before.
pub(super) struct Arp {
    ifindex: u32,
    name: Name,
    was: [u8; 2],
}

impl Arp {
    pub(super) fn owned(&self) -> ownership::Arp<'_> {
        ownership::Arp { interface: &self.name, was: self.was }
    }
}

impl Core {
    /// Removes macvlans that an earlier run left, whatever the configuration: they are up, and we are no
    /// Active. Puts back what it changed beneath them.
    pub(super) fn clear_vmacs(&mut self) -> io::Result<()> {
        let mut names: Vec<std::string::String> = Vec::new();
        // What cannot be read is told when addresses are looked for in it.
        let _ = ownership::read(&self.run_dir, |entry| match entry {
            Entry::Vmac(name) => names.push(name.to_owned()),
            Entry::Arp(arp) => {
                let last_set = |(key, ours): &(&str, u8)| get(arp.interface, key) == Some(*ours);
                for (setting, was) in BENEATH.iter().zip(arp.was).filter(|(setting, _)| last_set(setting)) {
                    let _ = set(arp.interface, setting.0, was);
                }
            }
            Entry::Table => self.refusing = true,
            Entry::Address(_) | Entry::Route(_) => {}
        });
        if names.is_empty() {
            return Ok(());
        }
        let (mut removing, mut macs) = (Rtnl::open()?, Vec::new());
        self.io.rtnl.links(|info| {
            // Whoever has taken the name since has another MAC address.
            if names.iter().any(|n| n == info.name)
                && matches!(info.mac, [0, 0, 0x5e, 0, 1 | 2, _])
                && removing.remove_link(info.ifindex).is_ok()
            {
                macs.push(info.mac);
                say(log::Level::Info, &mut |t| uwrite!(t, "removed {}, left by an earlier run", info.name));
            }
        })?;
        if macs.is_empty() {
            return Ok(());
        }
        self.io.rtnl.links(|info| {
            for mac in macs.iter().filter(|_| is_bridge(info.name)) {
                // What is not known to a bridge need not be forgotten.
                let _ = removing.bridge_owns(info.ifindex, *mac, false);
            }
        })
    }

    /// What the program before us changed goes on being ours to put back: the file says what that is.
    pub(super) fn inherit_vmacs(&mut self) {
        // What cannot be read is told when it is written.
        let _ = ownership::read(&self.run_dir, |entry| match entry {
            Entry::Arp(arp) => {
                let ifindex = name_to_index(self.io.rtnl.as_fd(), arp.interface);
                if let (Ok(name), Ok(ifindex)) = (Name::try_from(arp.interface), ifindex) {
                    // Each stands beneath a macvlan: there is room.
                    if is_bridge(&name) {
                        let _ = self.io.bridges.push(ifindex);
                    }
                    let _ = self.arps.push(Arp { ifindex, name, was: arp.was });
                }
            }
            Entry::Table => self.refusing = true,
            Entry::Vmac(_) | Entry::Address(_) | Entry::Route(_) => {}
        });
    }

    /// Makes the macvlans that are asked for, and puts back what is needed no longer.
    pub(super) fn settle_vmacs(&mut self, now: Instant) {
        while let Some(instance) = self.io.vmacs.pop() {
            let made = self.make_vmac(instance);
            self.router.handle(Event::Vmac { instance, made }, now, &mut self.io);
        }
        if core::mem::take(&mut self.io.vmacs_removed) {
            self.restore_arp();
        }
    }

    fn make_vmac(&mut self, id: InstanceId) -> Result<LinkInfo<'static>, VmacError> {
        let refused = |e: io::Error| VmacError::Refused(e.raw_os_error().unwrap_or(0));
        let Some(spec) = self.router.vmac_spec(id) else { return Err(VmacError::Refused(libc::ENODEV)) };
        let (parent, mac) = (spec.parent, spec.mac);
        if name_to_index(self.io.rtnl.as_fd(), spec.name).is_ok() {
            return Err(VmacError::Foreign);
        }
        let beneath = self.name_of(parent).map_err(refused)?;
        let changed = self.save_arp(parent, &beneath);
        if changed || self.io.recorded_vmacs.get(id.0 as usize) != Some(&true) {
            self.record();
        }
        let Some(spec) = self.router.vmac_spec(id) else { return Err(VmacError::Refused(libc::ENODEV)) };
        self.io.rtnl.add_macvlan(&spec).map_err(|e| match e {
            libc::EEXIST => VmacError::Foreign,
            e => VmacError::Refused(e),
        })?;
        let mut errors = 0;
        for (family, key, value) in MACVLAN {
            errors += failed(sysctl::write(spec.name, family, key, value));
        }
        for (family, key) in ALIKE {
            let alike = sysctl::read(&beneath, family, key);
            errors += failed(alike.and_then(|value| sysctl::write(spec.name, family, key, &value)));
        }
        if changed {
            for (key, at_least) in BENEATH {
                if get(&beneath, key).is_some_and(|now| now < at_least) {
                    errors += failed(set(&beneath, key, at_least));
                }
            }
        }
        self.io.bridges.retain(|b| *b != parent);
        if is_bridge(&beneath) {
            if self.io.bridges.is_full() {
                self.io.bridges.clear();
            }
            let _ = self.io.bridges.push(parent);
        }
        let ifindex = name_to_index(self.io.rtnl.as_fd(), spec.name).map_err(|e| refused(e.into()))?;
        if errors > 0 {
            self.io.note(Note::Refused(System::Vmac, libc::EACCES));
        }
        Ok(LinkInfo { ifindex, name: "", up: false, mac, mtu: 0 })
    }

    /// Keeps in mind how an interface was before us; whether that is new.
    fn save_arp(&mut self, ifindex: u32, name: &Name) -> bool {
        if self.arps.iter().any(|a| a.ifindex == ifindex) {
            return false;
        }
        let was = BENEATH.map(|(key, _)| get(name, key).unwrap_or(0));
        // Each stands beneath a macvlan: there is room.
        self.arps.push(Arp { ifindex, name: name.clone(), was }).is_ok()
    }

    /// Interfaces that were changed may have another name by now: an upgrade, or the next start, finds them by that.
    pub(super) fn name_arps(&mut self) {
        for at in 0..self.arps.len() {
            if let Ok(name) = self.name_of(self.arps[at].ifindex) {
                self.arps[at].name = name;
            }
        }
    }

    /// Puts back what was changed on interfaces that no macvlan of ours needs any more.
    fn restore_arp(&mut self) {
        while let Some(at) = self.arps.iter().position(|a| !self.router.is_beneath_vmac(a.ifindex)) {
            let arp = self.arps.swap_remove(at);
            self.ownership_changed = true;
            // It may have another name by now, or be gone.
            let Ok(name) = self.name_of(arp.ifindex) else { continue };
            for ((key, ours), was) in BENEATH.into_iter().zip(arp.was) {
                if get(&name, key) == Some(ours) {
                    let _ = set(&name, key, was);
                }
            }
        }
    }

    /// Has the kernel drop what is for the addresses whose instance accepts nothing.
    pub(super) fn refuse_addresses(&mut self) {
        let addresses: Vec<_> = self.router.refused_addresses().collect();
        if addresses.is_empty() && !self.refusing {
            return;
        }
        let refused = nftables::drop_incoming(&addresses);
        if refused.is_ok() {
            // Else all is as it was: a table that is there has to go in the end.
            self.refusing = !addresses.is_empty();
        }
        if let Err(e) = refused {
            log::error!(
                "'accept off' has no effect, for the packet filter refuses (it needs nf_tables, on OpenWrt kmod-nft-core): {e}"
            );
        }
    }

    /// At the end, when the addresses are gone.
    pub(super) fn refuse_nothing(&mut self) {
        if core::mem::take(&mut self.refusing)
            && let Err(e) = nftables::drop_incoming(&[])
        {
            log::warn!("cannot remove the table {}: {e}", nftables::TABLE);
        }
    }

    fn name_of(&self, ifindex: u32) -> io::Result<Name> {
        let name = index_to_name_inlined(self.io.rtnl.as_fd(), ifindex)?;
        let name = core::str::from_utf8(name.as_bytes()).ok().and_then(|n| Name::try_from(n).ok());
        name.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// Whether an interface is a bridge: who does not see /sys floods what is for the virtual MAC address.
fn is_bridge(name: &str) -> bool {
    let mut path = String::<40>::new();
    let whole = ["/sys/class/net/", name, "/bridge"].iter().all(|p| path.push_str(p).is_ok());
    whole && std::path::Path::new(path.as_str()).exists()
}

fn get(interface: &str, key: &str) -> Option<u8> {
    sysctl::read(interface, "ipv4", key).ok()?.parse().ok()
}

fn set(interface: &str, key: &str, value: u8) -> io::Result<()> {
    let digit = [b'0' + value.min(9)];
    sysctl::write(interface, "ipv4", key, core::str::from_utf8(&digit).unwrap_or("0"))
}

/// 1 for an error, but that there is no such setting: a kernel without IPv6.
fn failed(result: io::Result<()>) -> u32 {
    result.is_err_and(|e| e.kind() != io::ErrorKind::NotFound) as u32
}
