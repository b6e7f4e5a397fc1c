//! What holds after every event, whatever happens: a group is Active as a whole or not at all.

use picovrrp::router::event::Shown;
use picovrrp::vrrp::election::{LEAVE_MARGIN, LEAVE_MAX, State};
use picovrrp::vrrp::timing::{Centis, Version, skew_time};

use super::plan::LANS;
use super::world::{Did, Host, World, name};

pub fn is_active(s: State) -> bool {
    matches!(s, State::Active { .. })
}

fn is_leaving(s: State) -> bool {
    matches!(s, State::Leaving { .. })
}

impl Host {
    /// Longest stay in Leaving.
    pub fn leave_time(&self) -> u64 {
        let advert = Centis::new(self.plan.advert).unwrap();
        (skew_time(Version::V3, 1, advert).0 + LEAVE_MARGIN.0).min(LEAVE_MAX.0)
    }

    /// The one state that the members are in, if they are.
    fn together(&self) -> Option<Shown> {
        let mut all = self.plan.grouped.iter().map(|lan| self.shown[*lan]);
        let first = all.next()?;
        all.all(|s| s == first).then_some(first)
    }
}

impl World {
    /// Carries out one thing that a router did, and checks it by itself.
    pub fn carry_out(&mut self, h: usize, did: &Did, before: &[State; LANS]) {
        let (now, n) = (self.now, name(h));
        let host = &mut self.hosts[h];
        let mut wrong = None;
        match did {
            Did::Advert { lan, payload } => {
                let (priority, sum) = (payload[2], host.plan.sum(&host.model, *lan));
                let state = host.state(*lan);
                if priority == 0 {
                    host.leaves_until[*lan] = now + host.leave_time();
                    if !is_active(before[*lan]) || !is_leaving(state) {
                        wrong = Some(format!("priority 0 on {lan} from {:?} to {state:?}", before[*lan]));
                    }
                } else if priority != sum.priority || !is_active(state) {
                    wrong = Some(format!("priority {priority} on {lan} in {state:?} with {sum:?}"));
                }
                self.send(h, *lan, payload);
            }
            Did::Address { lan, on } => host.addresses[*lan] = *on,
            Did::Changed { lan, from, to } => {
                let was = std::mem::replace(&mut host.shown[*lan], *to);
                host.entered[*lan] += u32::from(*to == Shown::Master);
                if was != *from || from == to {
                    wrong = Some(format!("told {from:?} to {to:?} on {lan} after {was:?}"));
                }
                if self.steady {
                    wrong = Some(format!("{from:?} to {to:?} on {lan} in quiet times"));
                }
            }
            // After its members' changes, and what they all have come to.
            Did::Group { from, to } => {
                let was = std::mem::replace(&mut host.group, *to);
                if was != *from || from == to || host.together() != Some(*to) {
                    wrong = Some(format!("group {from:?} to {to:?} after {was:?} with {:?}", host.shown));
                }
            }
        }
        if let Some(text) = wrong {
            self.fail(format!("{n}: {text}"));
        }
    }

    pub fn check_step(&mut self, h: usize, before: &[State; LANS], did: &[Did], heard: Option<usize>) {
        let now = self.now;
        let host = &mut self.hosts[h];
        let after = host.states();
        let group = &host.plan.grouped;
        let actives = group.iter().filter(|lan| is_active(after[**lan])).count();
        if actives == 0 || actives == group.len() {
            host.mixed = false;
        }
        let mut wrong = None;
        if !host.mixed && actives != 0 && actives != group.len() {
            wrong = Some(format!("partly Active: {after:?}"));
        }
        let entered = |lan: &usize| is_active(after[*lan]) && !is_active(before[*lan]);
        if group.iter().any(entered) && actives != group.len() {
            wrong = Some(format!("became Active alone: {after:?}"));
        }
        for (lan, (was, is)) in before.iter().zip(&after).enumerate() {
            let holds = is_active(*is) || is_leaving(*is);
            if host.addresses[lan] != holds {
                wrong = Some(format!("address on {lan}: {}, in {is:?}", host.addresses[lan]));
            }
            // Make-before-break: until somebody speaks on this LAN, or nobody has.
            let may_end = heard == Some(lan) || !host.up[lan] || now >= host.leaves_until[lan];
            if is_leaving(*was) && !is_leaving(*is) && !may_end {
                wrong = Some(format!("gave up {lan} before its successor spoke"));
            }
            if is_active(*was) && !holds && heard != Some(lan) && host.up[lan] {
                wrong = Some(format!("left {lan} without a farewell: {is:?}"));
            }
            let said = match is {
                State::Active { .. } | State::Leaving { .. } => host.shown[lan] == Shown::Master,
                State::Backup { .. } | State::Ready => host.shown[lan] == Shown::Backup,
                State::Initialize => host.shown[lan] != Shown::Master,
            };
            if !said {
                wrong = Some(format!("shows {:?} on {lan} in {is:?}", host.shown[lan]));
            }
        }
        if let Some(text) = wrong {
            self.fail(format!("{}: {text}, by {did:?}", name(h)));
        }
        let there = |lan: usize| self.hosts.iter().any(|h| h.up[lan] && h.addresses[lan]);
        if self.served && !(0..self.nets.len()).all(there) {
            self.fail("make-before-break: nobody has the virtual address".to_owned());
        }
    }

    /// Once a router has been told all: what it tracks counts, nobody waits for nothing, and the group
    /// shows what its members show.
    pub fn check_rest(&mut self, h: usize) {
        let host = &self.hosts[h];
        let (Some(router), false) = (&host.router, host.stopping) else { return };
        let mut wrong = None;
        for (i, &lan) in host.plan.present.iter().enumerate() {
            let (sum, state) = (host.plan.sum(&host.model, lan), host.state(lan));
            let grouped = host.plan.grouped.contains(&lan);
            if router.view(i).map(|v| v.effective_priority) != Some(sum.priority) {
                let is = router.view(i).map(|v| v.effective_priority);
                wrong = Some(format!("effective priority {is:?} on {lan}, not {sum:?}"));
            }
            if host.faulty(lan) && !matches!(state, State::Initialize | State::Leaving { .. }) {
                wrong = Some(format!("{state:?} on {lan} with a fault in the group"));
            }
            if !host.faulty(lan) && !host.held(lan) && state == State::Initialize {
                wrong = Some(format!("does not start on {lan}"));
            }
            if host.faulty(lan) && state == State::Initialize && host.shown[lan] != Shown::Fault {
                wrong = Some(format!("in Fault it shows {:?} on {lan}", host.shown[lan]));
            }
            let waits = |l: &usize| matches!(host.state(*l), State::Ready | State::Active { .. });
            if state == State::Ready && (!grouped || host.plan.grouped.iter().all(waits)) {
                wrong = Some(format!("waits for nobody on {lan}: {:?}", host.states()));
            }
        }
        if let Some(together) = host.together().filter(|s| *s != host.group) {
            wrong = Some(format!("all members show {together:?}, the group {:?}", host.group));
        }
        if let Some(text) = wrong {
            self.fail(format!("{}: {text}", name(h)));
        }
    }

    pub fn check_stopped(&mut self, h: usize) {
        let host = &self.hosts[h];
        let quiet = host.plan.present.iter().all(|lan| host.shown[*lan] == Shown::Stop && !host.addresses[*lan]);
        if !quiet || !(host.plan.grouped.is_empty() || host.group == Shown::Stop) {
            let text = format!("{}: stopped with {:?}, {:?}, {:?}", name(h), host.shown, host.group, host.addresses);
            self.fail(text);
        }
    }
}
