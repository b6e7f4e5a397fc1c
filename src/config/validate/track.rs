//! Cross-checks of trackers, once every check and every instance is known.

use heapless::Vec;
use ufmt::{uWrite, uwrite};

use crate::config::assemble::Assembler;
use crate::config::diagnostics::{Excerpt, Pos, suggest};
use crate::config::model::{CheckKind, Config, Instance, MAX_LINKS, Range, StrId, Tracked, Weights};
use crate::vrrp::packet::PRIORITY_OWNER;

impl Assembler<'_> {
    /// Finds the check of each tracker, and what its weight is if none was given.
    pub(in crate::config) fn settle_tracks(&mut self) {
        for (track, place) in self.config.tracks.iter_mut().zip(&self.track_at) {
            let Tracked::Check(name) = track.what else { continue };
            let (checks, strings) = (&self.config.checks, &self.config.strings);
            match checks.iter().find(|c| c.name == name) {
                Some(check) if !place.weighted && matches!(check.kind, CheckKind::File { .. }) => track.weight = 1,
                Some(_) => {}
                None if self.lost.check => {}
                None => {
                    let unknown = strings.get(name);
                    let near = suggest(unknown, &mut checks.iter().map(|c| strings.get(c.name)));
                    self.diag.error(place.at, &mut |t| {
                        uwrite!(t, "'track' names no check: there is no '{}'", Excerpt(unknown))?;
                        match near {
                            Some(meant) => uwrite!(t, ", did you mean '{}'?", meant),
                            None => t.write_str("; 'check NAME KIND …' declares one"),
                        }
                    });
                }
            }
        }
    }

    /// What each instance and each group tracks.
    pub(in crate::config) fn check_tracks(&mut self) {
        for i in 0..self.config.instances.len() {
            let instance = self.config.instances[i];
            let owner = instance.priority == PRIORITY_OWNER;
            self.check_trackers("instance", instance.name, instance.tracks, owner);
            self.check_own_interface(&instance);
            self.check_unweighed(&instance);
        }
        for g in 0..self.config.groups.len() {
            let group = self.config.groups[g];
            let mut members = self.config.members_of(&group).iter().filter_map(|m| self.config.instance_named(*m));
            // Without a member that is known there is no owner.
            let owners = members.clone().next().is_some()
                && members.all(|i| self.config.instances[i].priority == PRIORITY_OWNER);
            self.check_trackers("group", group.name, group.tracks, owners);
        }
    }

    /// The trackers of the instance or group called `name`.
    fn check_trackers(&mut self, of: &str, name: StrId, tracks: Range, owner: bool) {
        let strings = &self.config.strings;
        for i in tracks.indices() {
            let (Some(track), Some(place)) = (self.config.tracks.get(i), self.track_at.get(i)) else { break };
            let before = self.config.tracks.get(tracks.start as usize..i).unwrap_or(&[]);
            let (name, what) = (strings.get(name), strings.get(track.what.name()));
            if before.iter().any(|t| t.what == track.what) {
                self.diag.error(place.at, &mut |t| uwrite!(t, "{} '{}' tracks {} twice", of, name, what));
            } else if owner && track.weight != 0 {
                self.diag.warning(place.at, &mut |t| {
                    uwrite!(t, "{} '{}' has priority 255, which no weight changes: {} has no effect", of, name, what)
                });
            }
        }
    }

    /// Weights that count for nobody.
    fn check_unweighed(&mut self, instance: &Instance) {
        let groups = self.config.groups.iter();
        let mut off = groups.filter(|g| g.weights == Weights::Nobody);
        let Some(group) = off.find(|g| self.config.members_of(g).contains(&instance.name)) else { return };
        for i in instance.tracks.indices() {
            let (Some(track), Some(place)) = (self.config.tracks.get(i), self.track_at.get(i)) else { break };
            if track.weight != 0 {
                let strings = &self.config.strings;
                let (name, what, group) =
                    (strings.get(instance.name), strings.get(track.what.name()), strings.get(group.name));
                self.diag.warning(place.at, &mut |t| {
                    uwrite!(t, "instance '{}' is in group '{}' with 'weights off': {} has no effect", name, group, what)
                });
            }
        }
    }

    fn check_own_interface(&mut self, instance: &Instance) {
        for i in instance.tracks.indices() {
            let (Some(track), Some(place)) = (self.config.tracks.get(i), self.track_at.get(i)) else { break };
            if track.what == Tracked::Interface(instance.interface) && !track.reverse {
                let (name, on) = (self.config.str(instance.name), self.config.str(instance.interface));
                self.diag.warning(place.at, &mut |t| {
                    uwrite!(t, "instance '{}' speaks on {}: without it, it is in Fault, tracked or not", name, on)
                });
            }
        }
    }

    /// Interfaces that instances, addresses, routes, trackers and checks name together.
    pub(in crate::config) fn check_links(&mut self) {
        let Some(at) = self.link_too_many() else { return };
        self.diag.error(at, &mut |t| {
            uwrite!(t, "more than {} interfaces in all instances, groups and checks (MAX_LINKS): ", MAX_LINKS)?;
            t.write_str("a build with PICOVRRP_MAX_INSTANCES=N in the environment raises the limit to 2 N + 8")
        });
    }

    /// Where the first interface stands for which there is no room.
    fn link_too_many(&self) -> Option<Pos> {
        let mut links: Vec<StrId, MAX_LINKS> = Vec::new();
        let config: &Config = self.config;
        let tracked = |tracks: Range| {
            tracks.of(&config.tracks).iter().filter_map(|t| match t.what {
                Tracked::Interface(name) => Some(name),
                Tracked::Check(_) => None,
            })
        };
        let instances = config.instances.iter().zip(&self.instance_at).flat_map(|(i, at)| {
            let devices = config.addresses_of(i).iter().map(|a| a.dev);
            let devices = devices.chain(config.routes_of(i).iter().map(|r| r.dev));
            devices.chain([i.interface, i.vmac]).chain(tracked(i.tracks)).map(move |link| (link, *at))
        });
        let groups = config.groups.iter().zip(&self.group_at);
        let groups = groups.flat_map(|(g, at)| tracked(g.tracks).map(move |link| (link, *at)));
        let checks = config.checks.iter().zip(&self.check_at).filter_map(|(c, at)| match c.kind {
            CheckKind::Interface { interface } => Some((interface, *at)),
            _ => None,
        });
        let (a, r) = (config.static_addresses, config.static_routes);
        let addresses = a.of(&config.addresses).iter().map(|a| a.dev).zip(a.of(&self.address_at).iter().copied());
        let routes = r.of(&config.routes).iter().map(|r| r.dev).zip(r.of(&self.route_at).iter().copied());
        let mut all =
            instances.chain(groups).chain(checks).chain(addresses).chain(routes).filter(|(link, _)| !link.is_empty());
        all.find(|(link, _)| !links.contains(link) && links.push(*link).is_err()).map(|(_, at)| at)
    }
}
