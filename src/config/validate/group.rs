//! Cross-checks of sync groups, once every instance is known.

use ufmt::{uWrite, uwrite};

use crate::config::assemble::Assembler;
use crate::config::diagnostics::{Excerpt, suggest};
use crate::config::model::{Group, Instance};
use crate::vrrp::packet::PRIORITY_OWNER;

impl Assembler<'_> {
    /// The members of all groups.
    pub(in crate::config) fn check_members(&mut self) {
        for g in 0..self.config.groups.len() {
            let group = self.config.groups[g];
            for m in group.members.indices() {
                self.check_member(&group, m);
            }
            self.check_harmony(g, &group);
        }
    }

    /// Member number `m` of the pool, which is one of `group`'s.
    fn check_member(&mut self, group: &Group, m: usize) {
        let (Some(member), Some(at)) = (self.config.members.get(m).copied(), self.member_at.get(m).copied()) else {
            return;
        };
        let config = &*self.config;
        let (name, of) = (config.str(member), config.str(group.name));
        if config.instance_named(member).is_none() {
            if self.lost.instance {
                return;
            }
            let near = suggest(name, &mut config.instances.iter().map(|i| config.str(i.name)));
            self.diag.error(at, &mut |t| {
                uwrite!(t, "group '{}' names no instance: there is no '{}'", of, Excerpt(name))?;
                match near {
                    Some(meant) => uwrite!(t, ", did you mean '{}'?", meant),
                    None => Ok(()),
                }
            });
            return;
        }
        let Some(first) = config.members.iter().take(m).position(|other| *other == member) else { return };
        let other = config.groups.iter().find(|g| g.members.indices().contains(&first));
        if group.members.indices().contains(&first) {
            self.diag.error(at, &mut |t| uwrite!(t, "group '{}' has instance '{}' twice", of, name));
        } else if let Some(other) = other {
            let (other, line) = (config.str(other.name), self.member_at.get(first).map_or(0, |p| p.line));
            self.diag.error(at, &mut |t| {
                uwrite!(t, "instance '{}' is in group '{}' too, at line {}: expected in one at most", name, other, line)
            });
        }
    }

    /// Whether what `group` joins fits together.
    fn check_harmony(&mut self, g: usize, group: &Group) {
        let Some(at) = self.group_at.get(g).copied() else { return };
        let config = &*self.config;
        let name = config.str(group.name);
        if group.members.len == 1 {
            self.diag.warning(at, &mut |t| {
                uwrite!(t, "group '{}' has one instance: a group makes several move together", name)
            });
        }
        let members = config.members_of(group).iter();
        let members = members.filter_map(|m| config.instance_named(*m).and_then(|i| config.instances.get(i)));
        let Some(first) = members.clone().next() else { return };
        let owner = |i: &Instance| i.priority == PRIORITY_OWNER;
        let mixed = members.clone().any(|i| owner(i) != owner(first));
        if mixed {
            let of = |owns: bool| members.clone().find(|i| owner(i) == owns).map_or("", |i| config.str(i.name));
            self.diag.warning(at, &mut |t| {
                uwrite!(
                    t,
                    "group '{}' joins '{}', an address owner (priority 255), and '{}', ",
                    name,
                    of(true),
                    of(false)
                )?;
                t.write_str("which is none: the owner waits for it and may yield with it")
            });
        }
        let differs = [
            ("priority", !mixed && members.clone().any(|i| i.priority != first.priority)),
            ("advert", members.clone().any(|i| i.advert != first.advert)),
            ("preempt", members.clone().any(|i| i.preempt != first.preempt)),
        ];
        for (what, _) in differs.iter().filter(|(_, differs)| *differs) {
            self.diag.warning(at, &mut |t| {
                uwrite!(t, "the instances of group '{}' differ in '{}': ", name, *what)?;
                t.write_str("they move together, as slowly as the slowest")
            });
        }
    }
}
