//! Virtual MAC addresses (RFC 9568 §7.3): each instance with one has a macvlan of ours, which carries
//! its virtual addresses.
//!
//! The macvlan is up while the instance holds its addresses and down otherwise: one that is up sends
//! frames of its own (MLD, ARP), and a switch that hears them from a Backup sends it what is for the
//! Active. Adverts are heard on the interface beneath, whatever the macvlan does, and leave
//! there too, with the virtual MAC address in the frame.

use serde::{Deserialize, Serialize};

use super::event::{InstanceId, LinkInfo, Report, VmacError};
use super::link::Link;
use super::{Action, Actions, Phase, Router};
use crate::vrrp::packet::PRIORITY_OWNER;
use crate::vrrp::timing::Instant;

/// The macvlan of one instance.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Vmac {
    /// Its place in `links`, where it is bound by what made it and never by its name.
    #[serde(skip)]
    link: u8,
    stage: Stage,
    /// It was set up.
    raised: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// There is none.
    Absent,
    /// It is being made.
    Awaited,
    /// It is there.
    There,
    /// Another link has its name.
    Foreign,
    /// The system refused to make it.
    Refused,
}

impl Vmac {
    pub(super) const fn new(link: u8) -> Vmac {
        Vmac { link, stage: Stage::Absent, raised: false }
    }

    /// The same where `other` has its place.
    pub(super) fn at_place_of(self, other: &Vmac) -> Vmac {
        Vmac { link: other.link, ..self }
    }

    /// Nobody starts before it is known whether there will be one.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(self.stage, Stage::Absent | Stage::Awaited)
    }

    pub(super) fn is_refused(&self) -> bool {
        matches!(self.stage, Stage::Foreign | Stage::Refused)
    }
}

/// What a macvlan is to be like.
#[derive(Clone, Copy, Debug)]
pub struct VmacSpec<'a> {
    /// Its name.
    pub name: &'a str,
    /// The interface beneath.
    pub parent: u32,
    /// The virtual router's MAC address.
    pub mac: [u8; 6],
}

impl Router {
    /// The macvlan of an instance; `None` if it has none, or nothing to stand on.
    pub fn vmac_spec(&self, id: InstanceId) -> Option<VmacSpec<'_>> {
        let (slot, instance) = (self.slots.get(id.0 as usize)?, self.config.instances.get(id.0 as usize)?);
        let parent = self.links[slot.link as usize].ifindex;
        (slot.vmac.is_some() && parent != 0).then(|| VmacSpec {
            name: self.config.str(instance.vmac),
            parent,
            mac: instance.virtual_mac(),
        })
    }

    /// The macvlans that are ours, or about to be made: their names.
    pub fn own_vmacs(&self) -> impl Iterator<Item = (InstanceId, &str)> {
        let own = |(i, vmac): (usize, Vmac)| {
            matches!(vmac.stage, Stage::Awaited | Stage::There)
                .then(|| (InstanceId(i as u8), self.config.str(self.config.instances[i].vmac)))
        };
        self.slots.iter().enumerate().filter_map(|(i, s)| Some((i, s.vmac?))).filter_map(own)
    }

    /// The addresses that are accepted nothing for (Accept_Mode off), with the names of their interfaces:
    /// not those of somebody else that were there before.
    pub fn refused_addresses(&self) -> impl Iterator<Item = (&str, core::net::IpAddr)> {
        let refuses = |i: u8| {
            let instance = &self.config.instances[i as usize];
            !instance.accept && instance.priority != PRIORITY_OWNER
        };
        let vips = self.vips.iter().zip(&self.config.addresses);
        let refused = vips.filter(move |(v, _)| !v.foreign && v.instance.is_some_and(refuses));
        refused.map(|(v, a)| (self.config.str(self.links[v.link as usize].name), a.ip))
    }

    /// Whether a macvlan of ours stands on this interface, or is about to.
    pub fn is_beneath_vmac(&self, ifindex: u32) -> bool {
        let wanted = |v: Vmac| matches!(v.stage, Stage::Awaited | Stage::There);
        self.slots.iter().any(|s| self.links[s.link as usize].ifindex == ifindex && s.vmac.is_some_and(wanted))
    }

    /// The instance whose macvlan has place `at` in `links`.
    pub(super) fn vmac_on(&self, at: usize) -> Option<usize> {
        self.slots.iter().position(|s| s.vmac.is_some_and(|v| v.link as usize == at))
    }

    /// If a macvlan has place `at` in `links`: the interface beneath, and the virtual MAC address.
    pub(super) fn beneath_vmac(&self, at: u8) -> Option<(&Link, [u8; 6])> {
        let i = self.vmac_on(at as usize)?;
        Some((&self.links[self.slots[i].link as usize], self.config.instances[i].virtual_mac()))
    }

    /// Has the macvlan of instance `i` made if it is missing, also where that failed before.
    pub(super) fn want_vmac(&mut self, i: usize, out: &mut dyn Actions) {
        let parent = self.links[self.slots[i].link as usize].ifindex;
        let Some(vmac) = &mut self.slots[i].vmac else { return };
        if self.phase == Phase::Running && parent != 0 && !matches!(vmac.stage, Stage::Awaited | Stage::There) {
            vmac.stage = Stage::Awaited;
            out.act(Action::AddVmac(InstanceId(i as u8)));
        }
    }

    pub(super) fn vmac_made(
        &mut self,
        i: usize,
        made: Result<LinkInfo<'_>, VmacError>,
        now: Instant,
        out: &mut dyn Actions,
    ) {
        let Some(vmac) = self.slots.get_mut(i).and_then(|s| s.vmac.as_mut()) else { return };
        match made {
            Ok(info) => {
                vmac.stage = Stage::There;
                let link = &mut self.links[vmac.link as usize];
                (link.ifindex, link.up, link.mac, link.mtu) = (info.ifindex, info.up, info.mac, info.mtu);
                if self.holds(i) {
                    self.restore(i, now, out);
                }
            }
            Err(why) => {
                vmac.stage = if why == VmacError::Foreign { Stage::Foreign } else { Stage::Refused };
                out.act(Action::Report(Report::NoVmac { instance: InstanceId(i as u8), why }));
            }
        }
        self.evaluate(i, now, out);
    }

    /// News of a link that is the macvlan of instance `i`, or has its name.
    pub(super) fn vmac_told(&mut self, i: usize, info: &LinkInfo<'_>, out: &mut dyn Actions) {
        let Some(vmac) = &mut self.slots[i].vmac else { return };
        let link = &mut self.links[vmac.link as usize];
        if link.ifindex != info.ifindex {
            // Not made by us. While ours is being made, what comes of that decides.
            if vmac.stage == Stage::Absent {
                vmac.stage = Stage::Foreign;
            }
            return;
        }
        (link.up, link.mac, link.mtu) = (info.up, info.mac, info.mtu);
        // Set down by somebody else, or up.
        if info.up != vmac.raised {
            self.act_on_vmac(i, out);
        }
    }

    /// The macvlan of instance `i` was removed.
    pub(super) fn vmac_gone(&mut self, i: usize, out: &mut dyn Actions) {
        if let Some(vmac) = &mut self.slots[i].vmac {
            (vmac.stage, vmac.raised) = (Stage::Absent, false);
        }
        self.want_vmac(i, out);
    }

    /// A link is gone, perhaps one that had the name of a macvlan.
    pub(super) fn forget_foreign_vmacs(&mut self, out: &mut dyn Actions) {
        for i in 0..self.slots.len() {
            if self.slots[i].vmac.is_some_and(|v| v.stage == Stage::Foreign) {
                self.vmac_gone(i, out);
            }
        }
    }

    /// Sets the macvlan up. With each advert once more if it is still down: the kernel refuses while another link
    /// on the interface beneath has its MAC address and is up.
    pub(super) fn raise_vmac(&mut self, i: usize, out: &mut dyn Actions) {
        let slot = &self.slots[i];
        let still_down = |v: Vmac| v.stage == Stage::There && v.raised && !self.links[v.link as usize].up;
        if slot.vmac.is_some_and(still_down) && self.links[slot.link as usize].up {
            self.act_on_vmac(i, out);
        }
        self.set_vmac(i, true, out);
    }

    pub(super) fn lower_vmac(&mut self, i: usize, out: &mut dyn Actions) {
        self.set_vmac(i, false, out);
    }

    fn set_vmac(&mut self, i: usize, up: bool, out: &mut dyn Actions) {
        let Some(vmac) = &mut self.slots[i].vmac else { return };
        if vmac.stage == Stage::There && vmac.raised != up {
            vmac.raised = up;
            self.act_on_vmac(i, out);
        }
    }

    /// The macvlan is to be as it should.
    fn act_on_vmac(&self, i: usize, out: &mut dyn Actions) {
        let slot = &self.slots[i];
        if let Some(Vmac { link, raised: up, .. }) = slot.vmac {
            let (ifindex, parent) = (self.links[link as usize].ifindex, self.links[slot.link as usize].ifindex);
            out.act(Action::SetVmac { ifindex, parent, mac: self.config.instances[i].virtual_mac(), up });
        }
    }

    /// Removes the macvlan of instance `i`, and what stands on it.
    pub(super) fn remove_vmac(&mut self, i: usize, out: &mut dyn Actions) {
        self.lower_vmac(i, out);
        let Some(vmac) = &mut self.slots[i].vmac else { return };
        let at = vmac.link;
        let was = core::mem::replace(vmac, Vmac::new(at));
        let ifindex = core::mem::take(&mut self.links[at as usize].ifindex);
        if was.stage == Stage::There {
            self.links[at as usize].up = false;
            for vip in self.vips.iter_mut().filter(|v| v.link == at) {
                (vip.installed, vip.foreign) = (false, false);
            }
            out.act(Action::RemoveVmac { ifindex });
        }
    }

    /// Instance `n` goes on with the macvlan of `old`'s instance `o`, if it is the same.
    pub(super) fn take_over_vmac(&mut self, n: usize, old: &mut Router, o: usize) {
        let (Some(was), Some(is)) = (&mut old.slots[o].vmac, &mut self.slots[n].vmac) else { return };
        if old.config.str(old.config.instances[o].vmac) == self.config.str(self.config.instances[n].vmac) {
            (is.stage, is.raised) = (was.stage, was.raised);
            let (to, from) = (&mut self.links[is.link as usize], &mut old.links[was.link as usize]);
            *to = Link { name: to.name, ..*from };
            // What is no longer its own it does not remove.
            *was = Vmac::new(was.link);
        }
    }
}
