//! Which instance is due next: a binary heap over instance numbers that knows where each stands, so
//! that a changed deadline costs O(log n) and no stale timer can exist.

use crate::table::Table;
use crate::vrrp::timing::Instant;

const ABSENT: u16 = u16::MAX;

/// Deadlines of up to `N` instances.
#[derive(Debug)]
pub(super) struct Deadlines<const N: usize> {
    /// Instance numbers, heap-ordered by `due`.
    heap: Table<u8, N>,
    /// Where each instance stands in `heap`, or [`ABSENT`].
    place: Box<[u16]>,
    due: Box<[Instant]>,
}

impl<const N: usize> Deadlines<N> {
    pub(super) fn new() -> Self {
        Deadlines { heap: Table::roomy(), place: vec![ABSENT; N].into(), due: vec![Instant(0); N].into() }
    }

    /// The earliest deadline and whose it is.
    pub(super) fn first(&self) -> Option<(Instant, u8)> {
        self.heap.first().map(|&i| (self.due[i as usize], i))
    }

    /// Sets, moves or cancels the deadline of instance `i`.
    pub(super) fn set(&mut self, i: u8, due: Option<Instant>) {
        let n = i as usize;
        match (due, self.place[n]) {
            (None, ABSENT) => {}
            (None, at) => {
                self.heap.swap_remove(at as usize);
                self.place[n] = ABSENT;
                if (at as usize) < self.heap.len() {
                    self.place[self.heap[at as usize] as usize] = at;
                    self.settle(at as usize);
                }
            }
            (Some(due), at) => {
                self.due[n] = due;
                let at = if at == ABSENT {
                    // One entry an instance, and N instances: there is room.
                    if self.heap.push(i).is_err() {
                        return;
                    }
                    self.heap.len() - 1
                } else {
                    at as usize
                };
                self.place[n] = at as u16;
                self.settle(at);
            }
        }
    }

    fn key(&self, at: usize) -> Instant {
        self.due[self.heap[at] as usize]
    }

    /// Moves the entry at `at` up or down to where it belongs.
    fn settle(&mut self, mut at: usize) {
        while at > 0 && self.key(at) < self.key((at - 1) / 2) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        loop {
            let left = 2 * at + 1;
            let Some(least) = (left..self.heap.len().min(left + 2)).min_by_key(|&c| self.key(c)) else { return };
            if self.key(least) >= self.key(at) {
                return;
            }
            self.swap(at, least);
            at = least;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.place[self.heap[a] as usize] = a as u16;
        self.place[self.heap[b] as usize] = b as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random settings and cancellations, compared with a sorted list.
    #[test]
    fn like_a_sorted_list() {
        let mut d = Deadlines::<50>::new();
        let mut model = std::collections::BTreeMap::new();
        let mut x = 7u64;
        for _ in 0..20_000 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let i = (x >> 33) as u8 % 50;
            let due = (x >> 60 != 0).then_some(Instant((x >> 40) % 1000));
            d.set(i, due);
            match due {
                Some(t) => model.insert(i, t),
                None => model.remove(&i),
            };
            assert_eq!(d.first().map(|f| f.0), model.values().min().copied());
            if let Some((t, i)) = d.first() {
                assert_eq!(model[&i], t);
            }
        }
    }
}
