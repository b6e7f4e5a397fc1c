//! Nothing is allocated for an advert: by the router alone, and by the whole daemon.

// Test code all of it.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

mod daemon;
mod router;

/// Counts what a thread allocates, if it asked for that, and does as the system does.
struct Counting;

thread_local! {
    static COUNTED: Cell<Option<u64>> = const { Cell::new(None) };
}

// SAFETY: all is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNTED.with(|c| c.set(c.get().map(|n| n + 1)));
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts this thread's allocations from now on.
fn begin() {
    COUNTED.with(|c| c.set(Some(0)));
}

/// Whether this thread's are counted.
fn is_counting() -> bool {
    COUNTED.with(|c| c.get().is_some())
}

/// Their number since [`begin`]; none are counted any more.
fn end() -> Option<u64> {
    COUNTED.with(Cell::take)
}
