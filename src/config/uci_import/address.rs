//! Addresses and peers of an instance.

use core::net::IpAddr;

use ufmt::{uWrite, uwrite};

use super::image::{Image, Section, Value};
use super::schema::{Opt, Type};
use super::{Done, Importer};
use crate::config::assemble::Reported;
use crate::config::diagnostics::{Diagnostics, Excerpt};
use crate::config::model::{Address, Family, MAX_IFNAME, Peer, Scope, StrId};
use crate::vrrp::packet;

static SCOPES: [(&str, &str, Scope); 4] = [
    ("global", "0", Scope::Global),
    ("site", "200", Scope::Site),
    ("link", "253", Scope::Link),
    ("host", "254", Scope::Host),
];

impl Importer<'_> {
    /// The addresses of an instance that speaks on `own`.
    pub(super) fn addresses(&mut self, image: &Image, section: Section<'_>, own: StrId) {
        // What a packet holds; keepalived holds the rest like excluded ones.
        let (mut advertised, most) = ([0; 2], [packet::MAX_V4, packet::MAX_V6]);
        for option in [Opt::VirtualIpaddress, Opt::VirtualIpaddressExcluded] {
            for v in section.words(option) {
                let mut any = false;
                for named in image.named(Type::Ipaddress, v.text) {
                    any = true;
                    let mut address = match self.address(named, own) {
                        Ok(Some(address)) => address,
                        Ok(None) => continue,
                        Err(Reported) => {
                            self.reader.asm.draft.address_seen = true;
                            continue;
                        }
                    };
                    address.excluded = option == Opt::VirtualIpaddressExcluded;
                    if !address.excluded {
                        let family = usize::from(address.ip.is_ipv6());
                        advertised[family] += 1;
                        address.excluded = advertised[family] > most[family];
                        if advertised[family] == most[family] + 1 {
                            self.warn(v.at, &mut |t| {
                                uwrite!(
                                    t,
                                    "more than {} addresses: from '{}' on they are held but not advertised",
                                    most[family],
                                    Excerpt(v.text)
                                )
                            });
                        }
                    }
                    self.reader.asm.add_address(v.at, address);
                }
                if !any {
                    self.unknown(image, v, &[Type::Ipaddress]);
                }
            }
        }
    }

    /// The address of an `ipaddress`; none if it has none.
    pub(super) fn address(&mut self, section: Section<'_>, own: StrId) -> Done<Option<Address>> {
        let Some(v) = section.get(Opt::Address) else {
            self.warn(section.at, &mut |t| t.write_str("'ipaddress' without 'option address': nothing is done for it"));
            return Ok(None);
        };
        let (ip, prefix) = self.prefixed(v)?;
        let mut address =
            Address { ip, prefix, dev: StrId::default(), scope: None, label: StrId::default(), excluded: false };
        match section.get(Opt::Device) {
            Some(device) => {
                let dev = self.interface(device)?;
                // The instance's own is no news.
                address.dev = if dev == own { StrId::default() } else { dev };
                address.label = self.label(section, ip, dev, device)?;
                address.scope = section.get(Opt::Scope).and_then(|v| self.scope(v));
            }
            // keepalived's init script writes them behind a device only.
            None => {
                for option in [Opt::Scope, Opt::LabelSuffix] {
                    if let Some(v) = section.get(option) {
                        self.warn(v.at, &mut |t| {
                            uwrite!(
                                t,
                                "'{}' without 'device' has no effect, as in keepalived's init script",
                                option.name()
                            )
                        });
                    }
                }
            }
        }
        Ok(Some(address))
    }

    pub(super) fn scope(&mut self, v: Value<'_>) -> Option<Scope> {
        let scope = SCOPES.iter().find(|(name, number, _)| v.text == *name || v.text == *number);
        if scope.is_none() {
            self.warn(v.at, &mut |t| {
                uwrite!(t, "scope '{}' is not supported: the address gets the kernel's own", Excerpt(v.text))
            });
        }
        scope.map(|(_, _, scope)| *scope)
    }

    /// The label of an address on `dev`: `DEVICE:SUFFIX`, as far as there is room for it.
    fn label(&mut self, section: Section<'_>, ip: IpAddr, dev: StrId, device: Value<'_>) -> Done<StrId> {
        let given = section.get(Opt::LabelSuffix);
        if ip.is_ipv6() {
            if let Some(v) = given {
                self.warn(v.at, &mut |t| t.write_str("'label_suffix' has no effect: an IPv6 address has no label"));
            }
            return Ok(StrId::default());
        }
        let suffix = given.map_or("vip", |v| v.text);
        let at = given.unwrap_or(device).at;
        self.printable(at, "label_suffix", suffix, crate::config::uci::MAX_WORD)?;
        let mut label = heapless::String::<MAX_IFNAME>::new();
        let name = self.reader.asm.config.str(dev);
        let whole =
            label.push_str(name).is_ok() && label.push(':').is_ok() && suffix.chars().all(|c| label.push(c).is_ok());
        if whole {
            return self.reader.asm.intern(at, &label);
        }
        let kept = if label.len() > name.len() + 1 { label.as_str() } else { "" };
        let id = self.reader.asm.intern(at, kept)?;
        let name = self.reader.asm.config.strings.get(dev);
        let say = if self.options.strict { Diagnostics::error } else { Diagnostics::warning };
        say(self.reader.asm.diag, at, &mut |t| {
            uwrite!(t, "label '{}:{}' is longer than 15 characters: ", name, Excerpt(suffix))?;
            if kept.is_empty() { t.write_str("the address has none") } else { uwrite!(t, "shortened to '{}'", kept) }
        });
        Ok(id)
    }

    /// The unicast peers of an instance; the source if there are any.
    pub(super) fn peers(&mut self, image: &Image, section: Section<'_>) -> bool {
        let mut any = false;
        for v in section.words(Opt::UnicastPeer) {
            let mut named = false;
            for peer in image.named(Type::Peer, v.text) {
                (any, named) = (true, true);
                if let Some(address) = peer.get(Opt::Address) {
                    // What is wrong is reported.
                    let _ = self.peer(v, address, Some(peer));
                } else {
                    self.warn(peer.at, &mut |t| t.write_str("'peer' without 'option address': nothing is sent to it"));
                }
            }
            if named {
                continue;
            }
            if v.text.split('/').next().is_some_and(|ip| ip.parse::<IpAddr>().is_ok()) {
                any = true;
                let _ = self.peer(v, v, None);
            } else {
                self.unknown(image, v, &[Type::Peer]);
            }
        }
        any
    }

    fn peer(&mut self, v: Value<'_>, address: Value<'_>, section: Option<Section<'_>>) -> Done {
        self.reader.asm.draft.peer_seen = true;
        let text = match address.text.split_once('/') {
            Some((ip, _)) => {
                self.warn(address.at, &mut |t| {
                    uwrite!(t, "peer '{}' is one router: its prefix length is left out", Excerpt(address.text))
                });
                ip
            }
            None => address.text,
        };
        let ip = self.host(Value { text, ..address })?;
        let mut peer = Peer { ip, min_ttl: 255, max_ttl: 255 };
        let [min, max] = [Opt::MinTtl, Opt::MaxTtl].map(|o| section.and_then(|s| s.get(o)));
        if min.is_some() || max.is_some() {
            // For keepalived one of them is a bound, and the other is open then.
            peer.min_ttl = min.map_or(Ok(0), |v| self.byte(v, 0))?;
            peer.max_ttl = max.map_or(Ok(255), |v| self.byte(v, 0))?;
        }
        if peer.min_ttl > peer.max_ttl {
            self.error(min.or(max).unwrap_or(v).at, &mut |t| {
                uwrite!(t, "'min_ttl' is {} and 'max_ttl' {}: expected the lower one first", peer.min_ttl, peer.max_ttl)
            });
            return Err(Reported);
        }
        self.reader.asm.add_peer(v.at, peer);
        Ok(())
    }

    /// The family that the addresses so far, the peers or else `sources` are of.
    pub(super) fn family(&self, sources: &[Option<IpAddr>]) -> Family {
        let (config, draft) = (&*self.reader.asm.config, &self.reader.asm.draft.values);
        let addresses = config.addresses.get(draft.addresses.start as usize..).unwrap_or(&[]);
        let peers = config.peers.get(draft.peers.start as usize..).unwrap_or(&[]);
        let mut others = heapless::Vec::<Option<IpAddr>, 4>::new();
        let _ = others.push(sources.first().copied().flatten());
        let _ = others.push(peers.first().map(|p| p.ip));
        let _ = others.extend_from_slice(sources.get(1..2).unwrap_or(&[]));
        crate::config::assemble::infer_family(addresses, &|a| a.excluded, &others)
    }
}
