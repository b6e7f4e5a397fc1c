//! What a thread holds of the heap.

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

/// Runs `f`, which is to take no more than `most` bytes of the heap at any time and leave nothing there.
#[track_caller]
pub(super) fn within<T>(most: isize, f: impl FnOnce() -> T) -> T {
    let (before, _) = HELD.with(Cell::get);
    HELD.with(|c| c.set((before, before)));
    let result = f();
    let (after, peak) = HELD.with(Cell::get);
    assert!(peak - before <= most, "{} bytes of the heap, expected at most {most}", peak - before);
    assert!(after == before, "{} bytes stay behind", after - before);
    result
}
