//! What a thread holds of the heap. Of the tests that count it each includes this file alone.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts the bytes that a thread holds, and the most that it held.
struct Counting;

thread_local! {
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

fn count(bytes: isize) {
    // A thread that ends may have no cell any more.
    let _ = HELD.try_with(|c| {
        let (now, most) = c.get();
        c.set((now + bytes, most.max(now + bytes)));
    });
}

// SAFETY: all is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What comes of `f`, what of the heap it holds at its peak, and what at its end.
pub(crate) fn held<T>(f: impl FnOnce() -> T) -> (T, isize, isize) {
    let (before, _) = HELD.with(Cell::get);
    HELD.with(|c| c.set((before, before)));
    let result = f();
    let (after, peak) = HELD.with(Cell::get);
    (result, peak - before, after - before)
}
