//! What is to be run next. No clock, no process: this is the order and nothing else.

use heapless::Vec;

use crate::config::model::MAX_INSTANCES;

/// Hooks that run at once, of all instances and groups together.
pub const MAX_HOOKS: usize = 8;
/// Groups in one process.
const MAX_GROUPS: usize = 8;
/// Owners of hooks.
const MAX_OWNERS: usize = MAX_INSTANCES + MAX_GROUPS;
const WORDS: usize = MAX_INSTANCES.div_ceil(32);

/// Whose state it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// An instance, by its place in the configuration.
    Instance(u8),
    /// A group, by its place in the configuration.
    Group(u8),
}

impl Owner {
    /// The word for it in hooks and the FIFO.
    pub const fn word(self) -> &'static str {
        match self {
            Owner::Instance(_) => "INSTANCE",
            Owner::Group(_) => "GROUP",
        }
    }
}

/// The state that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Active.
    Master,
    /// Backup.
    Backup,
    /// In fault.
    Fault,
    /// Stopped.
    Stop,
}

impl State {
    /// The word for it in hooks and the FIFO.
    pub const fn word(self) -> &'static str {
        match self {
            State::Master => "MASTER",
            State::Backup => "BACKUP",
            State::Fault => "FAULT",
            State::Stop => "STOP",
        }
    }
}

/// A change of state whose hooks are to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Whose.
    pub owner: Owner,
    /// The new state.
    pub state: State,
    /// The effective priority then; 0 for a group.
    pub priority: u8,
    /// Its place among all that were posted.
    serial: u64,
}

struct Lane {
    owner: Owner,
    running: Option<Job>,
    /// A stop, and the newest state behind it, or either.
    waiting: Vec<Job, 2>,
}

impl Lane {
    fn oldest(&self) -> Option<u64> {
        self.running.iter().chain(&self.waiting).map(|j| j.serial).min()
    }
}

/// The jobs that wait and run: for each owner in order and one at a time.
///
/// A newer state takes the place of one that has not started, except of a stop. A group's job waits
/// for those of its members that were posted before it.
#[derive(Default)]
pub struct Queue {
    lanes: Vec<Lane, MAX_OWNERS>,
    members: Vec<[u32; WORDS], MAX_GROUPS>,
    serial: u64,
    superseded: u32,
}

impl Queue {
    /// Empty, without groups.
    pub const fn new() -> Queue {
        Queue { lanes: Vec::new(), members: Vec::new(), serial: 0, superseded: 0 }
    }

    /// Says which instances a group has.
    pub fn set_members(&mut self, group: u8, instances: impl Iterator<Item = u8>) {
        let at = group as usize;
        if at >= MAX_GROUPS {
            return;
        }
        while self.members.len() <= at {
            // There is room for every group.
            let _ = self.members.push([0; WORDS]);
        }
        self.members[at] = [0; WORDS];
        for instance in instances {
            if let Some(word) = self.members[at].get_mut(instance as usize / 32) {
                *word |= 1 << (instance % 32);
            }
        }
    }

    /// A new state.
    pub fn post(&mut self, owner: Owner, state: State, priority: u8) {
        let job = Job { owner, state, priority, serial: self.serial };
        self.serial += 1;
        let at = match self.lanes.iter().position(|l| l.owner == owner) {
            Some(at) => at,
            // As many lanes as there can be owners.
            None if self.lanes.push(Lane { owner, running: None, waiting: Vec::new() }).is_err() => return,
            None => self.lanes.len() - 1,
        };
        let waiting = &mut self.lanes[at].waiting;
        if waiting.last().is_some_and(|last| last.state != State::Stop) {
            waiting.pop();
            self.superseded = self.superseded.saturating_add(1);
        }
        // One stop tells as much as two in a row.
        if !(state == State::Stop && waiting.last().is_some_and(|last| last.state == State::Stop)) {
            // At most a stop is there now.
            let _ = waiting.push(job);
        }
    }

    /// What is to be started now; it runs until [`finished`](Self::finished).
    pub fn start_next(&mut self) -> Option<Job> {
        if self.lanes.iter().filter(|l| l.running.is_some()).count() >= MAX_HOOKS {
            return None;
        }
        // The oldest first, so that nobody starves.
        let ready = |lane: &&Lane| lane.running.is_none() && lane.waiting.first().is_some_and(|j| self.may_start(j));
        let owner = self.lanes.iter().filter(ready).min_by_key(|l| l.oldest())?.owner;
        let lane = self.lanes.iter_mut().find(|l| l.owner == owner)?;
        lane.running = Some(lane.waiting.remove(0));
        lane.running
    }

    fn may_start(&self, job: &Job) -> bool {
        let Owner::Group(group) = job.owner else { return true };
        let Some(members) = self.members.get(group as usize) else { return true };
        !self.lanes.iter().any(|lane| match lane.owner {
            Owner::Instance(i) => {
                members[i as usize / 32] & 1 << (i % 32) != 0 && lane.oldest().is_some_and(|s| s < job.serial)
            }
            Owner::Group(_) => false,
        })
    }

    /// The owner's job that was started is over.
    pub fn finished(&mut self, owner: Owner) {
        if let Some(at) = self.lanes.iter().position(|l| l.owner == owner) {
            self.lanes[at].running = None;
            if self.lanes[at].waiting.is_empty() {
                self.lanes.swap_remove(at);
            }
        }
    }

    /// Whether nothing waits or runs.
    pub fn is_idle(&self) -> bool {
        self.lanes.is_empty()
    }

    /// States that were told by no hook because a newer one came before it started.
    pub fn superseded(&self) -> u32 {
        self.superseded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Owner::{Group, Instance};
    use State::*;

    fn next(q: &mut Queue) -> Option<(Owner, State, u8)> {
        q.start_next().map(|j| (j.owner, j.state, j.priority))
    }

    /// One at a time for each owner; different owners at once.
    #[test]
    fn order() {
        let mut q = Queue::new();
        assert!(q.is_idle() && next(&mut q).is_none());
        q.post(Instance(3), Backup, 100);
        q.post(Instance(1), Backup, 90);
        assert_eq!(next(&mut q), Some((Instance(3), Backup, 100)));
        q.post(Instance(3), Master, 101);
        assert_eq!(next(&mut q), Some((Instance(1), Backup, 90)));
        assert_eq!(next(&mut q), None);
        q.finished(Instance(3));
        assert_eq!(next(&mut q), Some((Instance(3), Master, 101)));
        q.finished(Instance(3));
        q.finished(Instance(1));
        assert!(q.is_idle());
    }

    /// A flapping link builds no backlog: what has not started gives way to what is newer.
    #[test]
    fn superseded() {
        let mut q = Queue::new();
        q.post(Instance(0), Backup, 1);
        assert_eq!(next(&mut q), Some((Instance(0), Backup, 1)));
        for n in 0..100 {
            q.post(Instance(0), if n % 2 == 0 { Fault } else { Backup }, n);
        }
        assert_eq!(q.superseded(), 99);
        q.finished(Instance(0));
        assert_eq!(next(&mut q), Some((Instance(0), Backup, 99)));
        q.finished(Instance(0));
        assert_eq!(next(&mut q), None);
    }

    /// A stop is told whatever comes behind it, once, and what waited before it is not.
    #[test]
    fn stop_is_kept() {
        let mut q = Queue::new();
        for state in [Master, Backup, Stop, Backup, Stop, Fault, Master] {
            q.post(Instance(0), state, 7);
        }
        assert_eq!(next(&mut q), Some((Instance(0), Stop, 7)));
        assert_eq!(next(&mut q), None);
        q.post(Instance(0), Stop, 7);
        q.finished(Instance(0));
        assert_eq!(next(&mut q), Some((Instance(0), Stop, 7)));
        q.finished(Instance(0));
        assert!(q.is_idle());
    }

    /// A group's hook comes after its members' of the same change, and does not wait for later ones.
    #[test]
    fn groups() {
        let mut q = Queue::new();
        q.set_members(0, [0, 2].into_iter());
        for owner in [Instance(0), Instance(1), Instance(2), Group(0)] {
            q.post(owner, Master, 0);
        }
        for i in 0..3 {
            assert_eq!(next(&mut q), Some((Instance(i), Master, 0)));
        }
        assert_eq!(next(&mut q), None);
        q.finished(Instance(0));
        q.post(Instance(0), Backup, 0);
        assert_eq!(next(&mut q), Some((Instance(0), Backup, 0)));
        assert_eq!(next(&mut q), None);
        q.finished(Instance(2));
        assert_eq!(next(&mut q), Some((Group(0), Master, 0)), "neither the later change nor a stranger counts");
    }

    /// No more than the limit run at once, and the oldest starts first.
    #[test]
    fn limited() {
        let mut q = Queue::new();
        let all = (MAX_HOOKS + 2).min(MAX_INSTANCES) as u8;
        for i in 0..all {
            q.post(Instance(i), Backup, i);
        }
        for i in 0..MAX_HOOKS as u8 {
            assert_eq!(next(&mut q), Some((Instance(i), Backup, i)));
        }
        assert_eq!(next(&mut q), None);
        q.post(Instance(0), Master, 0);
        q.finished(Instance(0));
        assert_eq!(next(&mut q), Some((Instance(MAX_HOOKS as u8), Backup, MAX_HOOKS as u8)));
    }
}
