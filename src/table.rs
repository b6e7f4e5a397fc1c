//! Lists with a limit, whose memory follows what is in them.

use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

/// At most `N` of `T`, on the heap. It has the methods of a `heapless::Vec`, but takes the room of what is in it
/// rather than of all there may be, and is moved without a copy of that. For what grows while a configuration is
/// read or comes into force; what an advert or a timer needs has [its room](Table::roomy) from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<T, const N: usize>(Vec<T>);

impl<T, const N: usize> Table<T, N> {
    /// An empty one, which takes no memory.
    pub const fn new() -> Table<T, N> {
        Table(Vec::new())
    }

    /// An empty one with room for all: nothing more is allocated. What is not used is never touched either, so it
    /// costs no memory where it is large.
    pub fn roomy() -> Table<T, N> {
        Table::with_room(N)
    }

    /// An empty one with room for `len`, so that as many go in without an allocation.
    pub fn with_room(len: usize) -> Table<T, N> {
        Table(Vec::with_capacity(len.min(N)))
    }

    /// Appends `value`, or gives it back if there are `N` already.
    pub fn push(&mut self, value: T) -> Result<(), T> {
        if self.is_full() {
            return Err(value);
        }
        self.0.push(value);
        Ok(())
    }

    /// Puts `value` in at `at`, or gives it back if there are `N` already, or not as many as `at`.
    pub fn insert(&mut self, at: usize, value: T) -> Result<(), T> {
        if self.is_full() || at > self.0.len() {
            return Err(value);
        }
        self.0.insert(at, value);
        Ok(())
    }

    /// Takes the last one away.
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    /// Whether nothing more goes in.
    pub fn is_full(&self) -> bool {
        self.0.len() >= N
    }

    /// Empties it; the room stays.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Keeps the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Takes out the one at `at`, whose place the last one takes.
    pub fn swap_remove(&mut self, at: usize) -> T {
        self.0.swap_remove(at)
    }

    /// Takes out the one at `at`; those after it move up.
    pub fn remove(&mut self, at: usize) -> T {
        self.0.remove(at)
    }

    /// Keeps those of which `keep` says so.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.0.retain(keep);
    }

    /// All of them.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T: Clone, const N: usize> Table<T, N> {
    /// Appends all of `values`, or nothing if there is no room for all.
    pub fn extend_from_slice(&mut self, values: &[T]) -> Result<(), Full> {
        if values.len() > N.saturating_sub(self.0.len()) {
            return Err(Full);
        }
        self.0.extend_from_slice(values);
        Ok(())
    }
}

impl<T: Clone + Default, const N: usize> Table<T, N> {
    /// Makes it `len` long, with defaults where there was nothing.
    pub fn resize_default(&mut self, len: usize) -> Result<(), Full> {
        if len > N {
            return Err(Full);
        }
        self.0.resize(len, T::default());
        Ok(())
    }
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<T, const N: usize> Default for Table<T, N> {
    fn default() -> Table<T, N> {
        Table::new()
    }
}

impl<T, const N: usize> Deref for Table<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const N: usize> DerefMut for Table<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a Table<T, N> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a mut Table<T, N> {
    type Item = &'a mut T;
    type IntoIter = core::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut()
    }
}

impl<T, const N: usize> FromIterator<T> for Table<T, N> {
    /// The first `N`.
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Table<T, N> {
        Table(values.into_iter().take(N).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_its_limit() {
        let mut t: Table<u8, 3> = Table::new();
        assert_eq!(t.extend_from_slice(&[1, 2, 3, 4]), Err(Full));
        assert_eq!(t.extend_from_slice(&[1, 2]), Ok(()));
        assert_eq!(t.push(3), Ok(()));
        assert!(t.is_full());
        assert_eq!(t.push(4), Err(4));
        assert_eq!(t.resize_default(4), Err(Full));
        assert_eq!(&*t, [1, 2, 3]);
        assert_eq!((10..20).collect::<Table<u8, 3>>().as_slice(), [10, 11, 12]);
    }
}
