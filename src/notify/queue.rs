//! What is to be run next. No clock, no process: this is the order and nothing else.

use crate::config::model::{MAX_GROUPS, MAX_INSTANCES};
use crate::table::Table;

/// Owners of hooks, and as many that a reload has removed.
pub const MAX_OWNERS: usize = 2 * (MAX_INSTANCES + MAX_GROUPS);
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
    /// Its lane, whatever the owner's place is by now.
    pub(super) lane: u32,
}

struct Lane {
    /// `None`: another configuration has no such owner. What runs goes on to its end.
    owner: Option<Owner>,
    id: u32,
    running: Option<Job>,
    /// A stop, and the newest state behind it, or either.
    waiting: heapless::Vec<Job, 2>,
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
    lanes: Table<Lane, MAX_OWNERS>,
    members: Table<[u32; WORDS], MAX_GROUPS>,
    serial: u64,
    next_lane: u32,
    superseded: u32,
}

impl Queue {
    /// Empty, without groups.
    pub const fn new() -> Queue {
        Queue { lanes: Table::new(), members: Table::new(), serial: 0, next_lane: 0, superseded: 0 }
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
        let at = match self.lanes.iter().position(|l| l.owner == Some(owner)) {
            Some(at) => at,
            None => {
                let lane =
                    Lane { owner: Some(owner), id: self.next_lane, running: None, waiting: heapless::Vec::new() };
                self.next_lane = self.next_lane.wrapping_add(1);
                // As many lanes as there can be owners, and hooks of owners that are gone.
                if self.lanes.push(lane).is_err() {
                    return;
                }
                self.lanes.len() - 1
            }
        };
        let job = Job { owner, state, priority, serial: self.serial, lane: self.lanes[at].id };
        self.serial += 1;
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
        // The oldest first, so that nobody starves.
        let ready =
            |lane: &&Lane| lane.running.is_none() && lane.waiting.first().is_some_and(|j| self.may_start(lane, j));
        let id = self.lanes.iter().filter(ready).min_by_key(|l| l.oldest())?.id;
        let lane = self.lanes.iter_mut().find(|l| l.id == id)?;
        lane.running = Some(lane.waiting.remove(0));
        lane.running
    }

    fn may_start(&self, lane: &Lane, job: &Job) -> bool {
        let Owner::Group(group) = job.owner else { return true };
        if lane.owner.is_none() {
            // Whose members it had is not known any more: all that went along with it are told before.
            return !self.lanes.iter().any(|l| l.owner.is_none() && l.oldest().is_some_and(|s| s < job.serial));
        }
        let Some(members) = self.members.get(group as usize) else { return true };
        !self.lanes.iter().any(|lane| match lane.owner {
            Some(Owner::Instance(i)) => {
                members[i as usize / 32] & 1 << (i % 32) != 0 && lane.oldest().is_some_and(|s| s < job.serial)
            }
            Some(Owner::Group(_)) | None => false,
        })
    }

    /// The owner will be no more: it is told this last state in place of all that waits. Returns its lane.
    pub fn dismiss(&mut self, owner: Owner, state: State, priority: u8) -> Option<u32> {
        self.post(owner, state, priority);
        let lane = self.lanes.iter_mut().find(|l| l.owner == Some(owner))?;
        let last = lane.waiting.pop()?;
        lane.waiting.clear();
        let _ = lane.waiting.push(last);
        lane.owner = None;
        Some(lane.id)
    }

    /// Whether it is the last one of an owner that is no more.
    pub fn is_dismissed(&self, job: &Job) -> bool {
        self.lanes.iter().any(|l| l.id == job.lane && l.owner.is_none())
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.lanes.iter().map(|l| l.waiting.len()).sum()
    }

    /// Another configuration has other places: `place` tells the new one of each owner, if there is
    /// one. What waits for an owner that is gone is dropped.
    pub fn reorder(&mut self, place: &dyn Fn(Owner) -> Option<Owner>) {
        for lane in &mut self.lanes {
            let Some(before) = lane.owner else { continue };
            lane.owner = place(before);
            match lane.owner {
                Some(owner) => lane.waiting.iter_mut().for_each(|job| job.owner = owner),
                None => lane.waiting.clear(),
            }
        }
        self.lanes.retain(|lane| lane.running.is_some() || !lane.waiting.is_empty());
        self.members.clear();
    }

    /// A job that was started is over.
    pub fn finished(&mut self, job: &Job) {
        if let Some(at) = self.lanes.iter().position(|l| l.id == job.lane) {
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

    /// The owner's job that runs is over.
    fn done(q: &mut Queue, owner: Owner) {
        let running = q.lanes.iter().find_map(|l| l.running.filter(|_| l.owner == Some(owner)));
        q.finished(&running.unwrap());
    }

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
        done(&mut q, Instance(3));
        assert_eq!(next(&mut q), Some((Instance(3), Master, 101)));
        done(&mut q, Instance(3));
        done(&mut q, Instance(1));
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
        done(&mut q, Instance(0));
        assert_eq!(next(&mut q), Some((Instance(0), Backup, 99)));
        done(&mut q, Instance(0));
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
        done(&mut q, Instance(0));
        assert_eq!(next(&mut q), Some((Instance(0), Stop, 7)));
        done(&mut q, Instance(0));
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
        done(&mut q, Instance(0));
        q.post(Instance(0), Backup, 0);
        assert_eq!(next(&mut q), Some((Instance(0), Backup, 0)));
        assert_eq!(next(&mut q), None);
        done(&mut q, Instance(2));
        assert_eq!(next(&mut q), Some((Group(0), Master, 0)), "neither the later change nor a stranger counts");
    }

    /// Input: an instance and its group are removed while one of the instance's hooks runs. Output: its
    /// last state is told behind that, the group's behind it; new owners at their places are others.
    #[test]
    fn dismissed() {
        let mut q = Queue::new();
        q.set_members(0, [0].into_iter());
        q.post(Instance(0), Master, 100);
        let running = q.start_next().unwrap();
        q.post(Instance(0), Backup, 100);
        let lane = q.dismiss(Instance(0), Fault, 100).unwrap();
        let group = q.dismiss(Group(0), Fault, 0).unwrap();
        q.reorder(&|_| None);
        q.post(Instance(0), Backup, 50);
        let other = q.start_next().unwrap();
        assert_eq!((other.owner, other.state), (Instance(0), Backup));
        assert!(q.start_next().is_none() && other.lane != lane);
        q.finished(&running);
        let last = q.start_next().unwrap();
        assert_eq!((last.lane, last.state), (lane, Fault));
        assert!(q.start_next().is_none(), "the group is told behind its member");
        q.finished(&last);
        let last = q.start_next().unwrap();
        assert_eq!((last.lane, last.state), (group, Fault));
        q.finished(&last);
        q.finished(&other);
        assert!(q.is_idle());
    }

    /// Input: another configuration has the instances in another order, and one no more. Output: what
    /// waits is told of the right one, what ran ends, what waited for the one that is gone is dropped.
    #[test]
    fn other_places() {
        let mut q = Queue::new();
        for i in [0, 1, 2] {
            q.post(Instance(i), Backup, 10 + i);
        }
        let first = q.start_next().unwrap();
        assert_eq!(first.owner, Instance(0));
        for i in [0, 1, 2] {
            q.post(Instance(i), Stop, 10 + i);
        }
        q.reorder(&|owner| match owner {
            Instance(0) => Some(Instance(1)),
            Instance(2) => Some(Instance(0)),
            _ => None,
        });
        assert_eq!(next(&mut q), Some((Instance(0), Stop, 12)));
        assert_eq!(next(&mut q), None);
        // A new instance at the old place is another one.
        q.post(Instance(2), Master, 99);
        assert_eq!(next(&mut q), Some((Instance(2), Master, 99)));
        q.finished(&first);
        assert_eq!(next(&mut q), Some((Instance(1), Stop, 10)));
        done(&mut q, Instance(0));
        done(&mut q, Instance(1));
        done(&mut q, Instance(2));
        assert!(q.is_idle());
    }
}
