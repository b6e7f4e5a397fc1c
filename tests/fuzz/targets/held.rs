//! What a target may hold of the heap.

#[path = "../../support/held.rs"]
mod heap;

/// Runs `f`, which is to take no more than `most` bytes of the heap at any time and leave nothing there.
#[track_caller]
pub(super) fn within<T>(most: isize, f: impl FnOnce() -> T) -> T {
    let (result, peak, left) = heap::held(f);
    assert!(peak <= most, "{peak} bytes of the heap, expected at most {most}");
    assert!(left == 0, "{left} bytes stay behind");
    result
}
