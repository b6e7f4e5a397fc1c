//! What an instance does as Active: adverts, addresses, announcements.

use core::net::IpAddr;

use super::event::{AddressId, AddressSpec, InstanceId, Report};
use super::{Action, Actions, Router};
use crate::config::model::{Address, ChecksumForm, Family, Instance, Range};
use crate::vrrp::packet::{self, Header, PRIORITY_LEAVE};
use crate::vrrp::timing::{Instant, Version};

impl Router {
    pub(super) fn send_advert(&mut self, i: usize, priority: u8, out: &mut dyn Actions) {
        let (config, slot) = (&*self.config, &mut self.slots[i]);
        let (instance, link) = (&config.instances[i], &self.links[slot.link as usize]);
        let Some(source) = slot.source else { return };
        let mut buf = [0; packet::MAX_LEN];
        let mut send = |version: Version, destination: IpAddr| {
            let header = Header {
                version,
                vrid: instance.vrid,
                priority,
                interval: instance.advert,
                password: instance.password,
            };
            let with_pseudo = match (instance.family, version) {
                (Family::V6, _) => true,
                (Family::V4, Version::V3) => instance.checksum == ChecksumForm::Pseudo,
                (Family::V4, Version::V2) => false,
            };
            let addresses = config.addresses_of(instance).iter().filter(|a| !a.excluded).map(|a| a.ip);
            let pseudo = with_pseudo.then_some((source, destination));
            // The configuration's checks leave no advert that does not fit.
            let Some(n) = packet::emit(&mut buf, &header, addresses, pseudo) else { return };
            out.act(Action::SendAdvert {
                instance: InstanceId(i as u8),
                ifindex: link.ifindex,
                mac: slot.vmac.filter(|_| !instance.vmac_base).map(|_| instance.virtual_mac()),
                source,
                destination,
                payload: &buf[..n],
            });
        };
        // Version 3 first: who hears both then ignores the other.
        for version in [instance.version, Version::V2].into_iter().take(1 + instance.also_v2 as usize) {
            if instance.unicast.is_some() {
                config.peers_of(instance).iter().for_each(|peer| send(version, peer.ip));
            } else {
                send(version, group_of(instance));
            }
            slot.stats.advertisement_sent += 1;
            if priority == PRIORITY_LEAVE {
                slot.stats.priority_zero_pkts_sent += 1;
            }
        }
    }

    /// A virtual address as it is put on an interface.
    pub(super) fn spec(&self, a: usize) -> AddressSpec<'_> {
        let Address { ip, prefix, scope, label, .. } = self.config.addresses[a];
        let link = self.vips[a].link;
        AddressSpec {
            id: AddressId(a as u16),
            ifindex: self.links[link as usize].ifindex,
            ip,
            prefix,
            scope,
            label: self.config.str(label),
            vmac: self.beneath_vmac(link).is_some(),
        }
    }

    /// Puts on what is missing of an instance's addresses and routes; whether an address was.
    pub(super) fn install(&mut self, i: usize, out: &mut dyn Actions) -> bool {
        let instance = &self.config.instances[i];
        let (addresses, routes) = (instance.addresses, instance.routes);
        self.raise_vmac(i, out);
        let any = self.install_addresses(addresses, out);
        self.install_routes(routes, out);
        any
    }

    pub(super) fn install_addresses(&mut self, addresses: Range, out: &mut dyn Actions) -> bool {
        let mut any = false;
        for a in addresses.indices() {
            let vip = &mut self.vips[a];
            if vip.installed || self.links[vip.link as usize].ifindex == 0 {
                continue;
            }
            if vip.foreign {
                continue;
            }
            vip.installed = true;
            any = true;
            let spec = self.spec(a);
            out.act(Action::AddAddress(spec));
        }
        any
    }

    /// Takes off what we put on, and only that.
    pub(super) fn uninstall(&mut self, i: usize, out: &mut dyn Actions) {
        self.slots[i].stale = false;
        let instance = &self.config.instances[i];
        let (addresses, routes) = (instance.addresses, instance.routes);
        // First of all: what is taken off afterwards makes the kernel send nothing.
        self.lower_vmac(i, out);
        // A route may need an address.
        self.uninstall_routes(routes, out);
        self.uninstall_addresses(addresses, out);
    }

    pub(super) fn uninstall_addresses(&mut self, addresses: Range, out: &mut dyn Actions) {
        for a in addresses.indices() {
            if core::mem::take(&mut self.vips[a].installed) && self.links[self.vips[a].link as usize].ifindex != 0 {
                out.act(Action::RemoveAddress(self.spec(a)));
            }
        }
    }

    pub(super) fn address_exists(&mut self, id: AddressId, out: &mut dyn Actions) {
        let Some(vip) = self.vips.get_mut(id.0 as usize) else { return };
        (vip.installed, vip.foreign) = (false, true);
        out.act(Action::Report(Report::ForeignAddress {
            instance: vip.instance.map(InstanceId),
            address: self.config.addresses[id.0 as usize].ip,
        }));
    }

    /// Sends a round of announcements if one is due.
    pub(super) fn announce(&mut self, i: usize, now: Instant, out: &mut dyn Actions) {
        let instance = self.config.instances[i];
        if self.slots[i].announce.round_due(&instance.garp, now) {
            for a in instance.addresses.indices() {
                let vip = &self.vips[a];
                let link = &self.links[vip.link as usize];
                // Whether a macvlan is up is news that may still be on its way.
                let (link, mac) = self.beneath_vmac(vip.link).unwrap_or((link, link.mac));
                if (vip.installed || vip.foreign) && link.up {
                    let ip = self.config.addresses[a].ip;
                    out.act(Action::Announce { ifindex: link.ifindex, mac, ip });
                }
            }
        }
        self.rearm(i);
    }
}

/// The multicast group of an instance's adverts.
pub(super) fn group_of(instance: &Instance) -> IpAddr {
    instance.group.unwrap_or(match instance.family {
        Family::V4 => IpAddr::V4(packet::GROUP_V4),
        Family::V6 => IpAddr::V6(packet::GROUP_V6),
    })
}
