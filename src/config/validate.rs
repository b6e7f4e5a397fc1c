//! Cross-checks of an instance that is complete, against itself and against those before it; in files
//! of their own those of checks, routes, trackers and sync groups.

mod check;
mod delay;
mod group;
mod route;
mod track;

use core::net::IpAddr;

use ufmt::{uWrite, uwrite};

use super::assemble::{Assembler, infer_family};
use super::diagnostics::Pos;
use super::draft::{Draft, Slot};
use super::model::{Address, ChecksumForm, Config, Family, Instance, MAX_MULTICAST_GROUPS, Preempt, Start, StrId};
use crate::text::{Duration, Ip, Text, Written, cut_to};
use crate::vrrp::packet;
use crate::vrrp::timing::{Centis, Version};

fn family_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

/// Whether `ip` is in fe80::/10.
pub(super) fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

impl Assembler<'_> {
    /// Where `slot` of the draft was given, or where the draft begins.
    fn place(&self, slot: Slot) -> Pos {
        self.draft.marks.at(slot, self.draft.at)
    }

    /// Reports an error about the draft; `{name}` comes first: "instance 'lan' …".
    fn wrong(&mut self, at: Pos, message: &mut dyn FnMut(&mut Text<'_>) -> Written) {
        let name = self.config.strings.get(self.draft.values.name);
        self.diag.error(at, &mut |t| {
            uwrite!(t, "instance '{}' ", name)?;
            message(t)
        });
    }

    fn odd(&mut self, at: Pos, message: &mut dyn FnMut(&mut Text<'_>) -> Written) {
        let name = self.config.strings.get(self.draft.values.name);
        self.diag.warning(at, &mut |t| {
            uwrite!(t, "instance '{}' ", name)?;
            message(t)
        });
    }

    /// Settles what follows from other properties, and checks the draft.
    pub(super) fn settle(&mut self) {
        self.settle_family();
        self.check_identity();
        self.check_addresses();
        self.check_uniqueness();
        self.check_unicast();
        self.settle_group();
        self.check_groups();
        self.check_version();
        self.settle_vmac();
        self.settle_start();
    }

    fn settle_family(&mut self) {
        let d = &mut self.draft;
        let first_peer = d.values.peers.of(&self.config.peers).first().map(|p| p.ip);
        d.values.family = d.family.unwrap_or_else(|| {
            let others = [
                d.values.unicast,
                first_peer,
                d.values.source,
                d.group4.filter(|_| d.marks.given(Slot::Group4)).map(IpAddr::V4),
                d.group6.filter(|_| d.marks.given(Slot::Group6)).map(IpAddr::V6),
            ];
            infer_family(d.values.addresses.of(&self.config.addresses), &|a| a.excluded, &others)
        });
        let family = d.values.family;
        for a in self.config.addresses.get_mut(d.values.addresses.indices()).into_iter().flatten() {
            a.excluded |= Family::of(a.ip) != family;
        }
    }

    fn check_identity(&mut self) {
        let at = self.draft.at;
        if !self.draft.marks.given(Slot::On) {
            self.wrong(at, &mut |t| t.write_str("has no interface: expected 'on INTERFACE'"));
        }
        if !self.draft.marks.given(Slot::Vrid) {
            self.wrong(at, &mut |t| {
                t.write_str("has no VRID: expected 'vrid N', the same number on each of its routers")
            });
        }
    }

    fn check_addresses(&mut self) {
        let family = self.draft.values.family;
        let at = self.draft.at;
        let addresses = self.draft.values.addresses.of(&self.config.addresses);
        if addresses.is_empty() {
            // An address that was there but wrong has been reported.
            if !self.draft.address_seen {
                self.wrong(at, &mut |t| t.write_str("has no address: expected 'address A/LEN'"));
            }
            return;
        }
        let advertised = addresses.iter().filter(|a| !a.excluded).count();
        let first = addresses.iter().position(|a| !a.excluded);
        let Some(first) = first else {
            self.wrong(at, &mut |t| {
                uwrite!(t, "advertises no address: expected one of {} that is not 'excluded'", family_name(family))
            });
            return;
        };
        let max = if family == Family::V4 { packet::MAX_V4 } else { packet::MAX_V6 };
        let (ip, link_local) = (addresses[first].ip, addresses.iter().any(|a| is_link_local(a.ip)));
        if advertised > max {
            let over = addresses.iter().enumerate().filter(|(_, a)| !a.excluded).nth(max).map_or(first, |(i, _)| i);
            let at = self.address_place(over);
            self.wrong(at, &mut |t| {
                uwrite!(
                    t,
                    "advertises {} addresses, but an {} packet holds {}: mark the rest 'excluded'",
                    advertised,
                    family_name(family),
                    max
                )
            });
        }
        if family == Family::V6 && !is_link_local(ip) {
            let at = self.address_place(first);
            self.odd(at, &mut |t| {
                let how =
                    if link_local { "put the link-local one first" } else { "add one, such as fe80::1/64, before it" };
                uwrite!(t, "advertises {} first, but RFC 9568 wants a link-local address there: {}", Ip(ip), how)
            });
        }
    }

    /// Where the draft's address number `i` stands.
    fn address_place(&self, i: usize) -> Pos {
        let i = self.draft.values.addresses.start as usize + i;
        self.address_at.get(i).copied().unwrap_or(self.draft.at)
    }

    fn check_uniqueness(&mut self) {
        let mine = self.draft.values;
        for (i, other) in self.config.instances.iter().enumerate() {
            let same = mine.vrid != 0
                && !mine.interface.is_empty()
                && (mine.vrid, mine.interface, mine.family) == (other.vrid, other.interface, other.family);
            if same {
                let at = self.draft.marks.at(Slot::Vrid, self.draft.at);
                let line = self.instance_at.get(i).map_or(0, |p| p.line);
                let (config, name) = (&*self.config, self.config.str(mine.name));
                self.diag.error(at, &mut |t| {
                    uwrite!(
                        t,
                        "instance '{}' has VRID {} on {} for {}",
                        name,
                        mine.vrid,
                        config.str(mine.interface),
                        family_name(mine.family)
                    )?;
                    uwrite!(
                        t,
                        ", as instance '{}' at line {} has: one of them needs another",
                        config.str(other.name),
                        line
                    )
                });
            }
        }
        for i in 0..mine.addresses.len as usize {
            self.check_address_unique(i);
        }
    }

    /// The same address on the same interface, in this instance or in one before it.
    fn check_address_unique(&mut self, i: usize) {
        let mine = self.draft.values;
        let at = self.address_place(i);
        let config: &Config = self.config;
        let addresses = config.addresses_of(&mine);
        let Some(a) = addresses.get(i) else { return };
        let device = |a: &Address, own: StrId| if a.dev.is_empty() { own } else { a.dev };
        let dev = device(a, mine.interface);
        let name = config.str(mine.name);
        if let Some(j) = addresses[..i].iter().position(|b| b.ip == a.ip && device(b, mine.interface) == dev) {
            let first = self.address_place(j);
            self.diag.error(at, &mut |t| {
                uwrite!(t, "instance '{}' has address {} twice, first at line {}", name, Ip(a.ip), first.line)
            });
            return;
        }
        for other in &config.instances {
            let twin =
                config.addresses_of(other).iter().position(|b| b.ip == a.ip && device(b, other.interface) == dev);
            if let Some(j) = twin {
                let line = self.address_at.get(other.addresses.start as usize + j).map_or(0, |p| p.line);
                self.diag.error(at, &mut |t| {
                    uwrite!(
                        t,
                        "address {} on {} is in instance '{}' too, at line {}",
                        Ip(a.ip),
                        config.str(dev),
                        config.str(other.name),
                        line
                    )?;
                    t.write_str(": only one instance may move it")
                });
                return;
            }
        }
    }

    fn check_unicast(&mut self) {
        let d = self.draft;
        let (family, peers) = (d.values.family, d.values.peers);
        for (what, slot, ip) in
            [("unicast", Slot::Unicast, d.values.unicast), ("source", Slot::Source, d.values.source)]
        {
            if let Some(ip) = ip.filter(|ip| Family::of(*ip) != family) {
                let at = self.place(slot);
                self.wrong(at, &mut |t| {
                    uwrite!(
                        t,
                        "is an {} one: '{}' needs an address of that family, not {}",
                        family_name(family),
                        what,
                        Ip(ip)
                    )
                });
            }
        }
        for i in peers.indices() {
            let Some(ip) = self.config.peers.get(i).map(|p| p.ip) else { break };
            let at = self.peer_at.get(i).copied().unwrap_or(d.at);
            let before = self.config.peers.get(peers.start as usize..i).unwrap_or(&[]);
            let twice = before.iter().any(|p| p.ip == ip);
            if Family::of(ip) != family {
                self.wrong(at, &mut |t| {
                    uwrite!(
                        t,
                        "is an {} one: 'peer' needs an address of that family, not {}",
                        family_name(family),
                        Ip(ip)
                    )
                });
            } else if Some(ip) == d.values.unicast {
                self.wrong(at, &mut |t| {
                    uwrite!(t, "has its own address {} as a peer: expected another router's", Ip(ip))
                });
            } else if twice {
                self.wrong(at, &mut |t| uwrite!(t, "has peer {} twice", Ip(ip)));
            }
        }
        let unicast = d.marks.given(Slot::Unicast);
        if unicast && peers.len == 0 && !d.peer_seen {
            let at = self.place(Slot::Unicast);
            self.wrong(at, &mut |t| {
                t.write_str("has 'unicast' but no peer: expected 'peer ADDRESS' for each other router")
            });
        }
        if !unicast && peers.len > 0 {
            let at = self.peer_at.get(peers.start as usize).copied().unwrap_or(d.at);
            self.wrong(at, &mut |t| {
                t.write_str("has peers but no 'unicast ADDRESS', the address to send to them from")
            });
        }
        if unicast && d.marks.given(Slot::Source) {
            let at = self.place(Slot::Source);
            self.wrong(at, &mut |t| {
                t.write_str(
                    "has both 'source', which is for multicast, and 'unicast', which names the source: drop one",
                )
            });
        }
        if !unicast
            && family == Family::V6
            && let Some(ip) = d.values.source.filter(|ip| matches!(ip, IpAddr::V6(_)) && !is_link_local(*ip))
        {
            let at = self.place(Slot::Source);
            self.odd(at, &mut |t| uwrite!(t, "sends from {}: RFC 9568 wants a link-local source over IPv6", Ip(ip)));
        }
    }

    fn settle_group(&mut self) {
        let family = self.draft.values.family;
        let (own, foreign, name) = match family {
            Family::V4 => (self.draft.group4.map(IpAddr::V4), Slot::Group6, "group6"),
            Family::V6 => (self.draft.group6.map(IpAddr::V6), Slot::Group4, "group4"),
        };
        if self.draft.marks.given(foreign) {
            let at = self.place(foreign);
            self.wrong(at, &mut |t| uwrite!(t, "is an {} one: '{}' does not apply to it", family_name(family), name));
        }
        self.draft.values.group = own;
        if own.is_some() && self.draft.marks.given(Slot::Unicast) {
            self.draft.values.group = None;
            let slot = if family == Family::V4 { Slot::Group4 } else { Slot::Group6 };
            if self.draft.marks.given(slot) {
                let at = self.place(slot);
                self.odd(at, &mut |t| t.write_str("is unicast: its multicast group is not used"));
            }
        }
    }

    /// Multicast groups on the draft's interface, with those of the instances before it.
    fn check_groups(&mut self) {
        let mine = self.draft.values;
        let mut groups: heapless::Vec<Option<IpAddr>, MAX_MULTICAST_GROUPS> = heapless::Vec::new();
        let on = (mine.interface, mine.family);
        let before = self.config.instances.iter();
        for i in before.filter(|i| (i.interface, i.family) == on && i.unicast.is_none()) {
            if !groups.contains(&i.group) {
                // Those before it were checked.
                let _ = groups.push(i.group);
            }
        }
        if mine.unicast.is_none() && groups.is_full() && !groups.contains(&mine.group) {
            let at = self.place(if mine.family == Family::V4 { Slot::Group4 } else { Slot::Group6 });
            let interface = self.config.strings.get(mine.interface);
            self.diag.error(at, &mut |t| {
                uwrite!(
                    t,
                    "more than {} multicast groups on {} (MAX_MULTICAST_GROUPS)",
                    MAX_MULTICAST_GROUPS,
                    interface
                )?;
                t.write_str(": virtual routers with different VRIDs may share one")
            });
        }
    }

    fn check_version(&mut self) {
        let d = self.draft;
        let (advert, also_v2) = (d.values.advert, d.values.also_v2);
        if d.values.speaks(2) {
            if d.values.family == Family::V6 {
                let at = self.place(Slot::Version);
                self.wrong(at, &mut |t| {
                    t.write_str("is an IPv6 one, which VRRP version 2 cannot carry: expected 'version 3'")
                });
            }
            if advert.whole_secs().is_none() {
                let at = self.place(Slot::Advert);
                self.wrong(at, &mut |t| {
                    uwrite!(
                        t,
                        "speaks version 2, which counts whole seconds: 'advert' needs 1s to {}s, not {}",
                        if also_v2 { 40 } else { 255 },
                        Duration(advert.micros())
                    )
                });
            }
        }
        if d.values.version == Version::V3 && advert > Centis::MAX_V3 {
            let at = self.place(Slot::Advert);
            self.wrong(at, &mut |t| {
                uwrite!(
                    t,
                    "speaks version 3, whose packets carry at most 40.95s: 'advert' cannot be {}",
                    Duration(advert.micros())
                )
            });
        }
        if !d.values.speaks(2) {
            if d.marks.given(Slot::Auth) {
                let at = self.place(Slot::Auth);
                self.wrong(at, &mut |t| {
                    t.write_str("speaks version 3, which has no authentication: drop 'auth', or say 'version 2'")
                });
            }
            // A password from `defaults` is for the version 2 instances.
            self.draft.values.password = None;
        }
        let applies = d.values.version == Version::V3 && d.values.family == Family::V4;
        if !applies {
            self.draft.values.checksum = ChecksumForm::Plain;
            if d.marks.given(Slot::Checksum) {
                let at = self.place(Slot::Checksum);
                self.odd(at, &mut |t| {
                    t.write_str("has no use for 'checksum': only version 3 over IPv4 knows two forms")
                });
            }
        }
    }

    /// keepalived's name for the macvlan of `draft`, for who has scripts and firewall rules that know it;
    /// with a number behind it if another instance has that.
    pub(super) fn name_vmac_as_keepalived(&mut self, draft: &mut Draft) {
        let mut n = 1;
        while draft.vmac && draft.values.vmac.is_empty() {
            let name = cut_to::<16>(&mut |t| match n {
                1 => uwrite!(t, "vrrp.{}", draft.values.vrid),
                n => uwrite!(t, "vrrp.{}.{}", draft.values.vrid, n),
            });
            let Ok(id) = self.intern(draft.at, name.as_str()) else { return };
            if !self.config.instances.iter().any(|i| i.vmac == id) {
                draft.values.vmac = id;
            }
            n += 1;
        }
    }

    /// Names the macvlan, which must be nobody else's interface.
    fn settle_vmac(&mut self) {
        let d = self.draft;
        if d.vmac {
            // A unicast packet's next hop is the kernel's to find.
            self.draft.values.vmac_base |= d.values.unicast.is_some();
            if d.values.vmac.is_empty() {
                let family: u8 = if d.values.family == Family::V4 { 4 } else { 6 };
                let name = cut_to::<16>(&mut |t| uwrite!(t, "vrrp{}.{}", family, d.values.vrid));
                self.draft.values.vmac = self.intern(self.place(Slot::Vmac), name.as_str()).unwrap_or_default();
            }
        } else {
            self.draft.values.vmac_base = false;
            if d.marks.given(Slot::VmacBase) {
                let at = self.place(Slot::VmacBase);
                self.odd(at, &mut |t| t.write_str("has no use for 'vmac-base': it has no 'vmac'"));
            }
        }
        let mine = self.draft.values;
        let clash = |i: &&Instance| {
            let made_twice = [i.vmac, i.interface].contains(&mine.vmac) && !mine.vmac.is_empty();
            made_twice || (i.vmac == mine.interface && !mine.interface.is_empty())
        };
        let other = self.config.instances.iter().find(clash).map(|i| i.name);
        if let Some(other) = other.or((mine.vmac == mine.interface && d.vmac).then_some(mine.name)) {
            let at = self.place(Slot::Vmac);
            let other = self.config.strings.get(other);
            self.diag.error(at, &mut |t| {
                uwrite!(t, "a 'vmac' cannot be an interface of instance '{}' too: expected it with another name", other)
            });
        }
    }

    fn settle_start(&mut self) {
        let v = self.draft.values;
        if v.preempt == Preempt::On || !(v.start == Start::Master || v.priority == 255) {
            return;
        }
        let at = self.place(Slot::Preempt);
        let told = self.draft.marks.given(Slot::Preempt) || self.draft.marks.given(Slot::Start);
        if v.start == Start::Master {
            // As keepalived: `state MASTER` clears `nopreempt` and `preempt_delay`.
            self.draft.values.preempt = Preempt::On;
            if told {
                self.odd(at, &mut |t| t.write_str("preempts all the same: 'start master' overrides 'preempt'"));
            }
        } else if told {
            self.odd(at, &mut |t| t.write_str("preempts all the same: at priority 255 'preempt' has no effect"));
        }
    }
}
