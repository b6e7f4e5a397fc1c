//! What a target may hold of the heap.

#[path = "../../support/held.rs"]
mod heap;

/// What the tables of a configuration may hold, however full, and while they grow.
const TABLES: isize = 64 << 10;

/// Runs `f`, which is to take no more than `most` bytes of the heap at any time besides the tables of a configuration,
/// and leave nothing but those there.
#[track_caller]
pub(super) fn within<T>(most: isize, f: impl FnOnce() -> T) -> T {
    let (result, peak, left) = heap::held(f);
    assert!(peak <= most + TABLES, "{peak} bytes of the heap, expected at most {most} besides the tables");
    assert!(left <= TABLES, "{left} bytes stay behind");
    result
}
