//! The heap of the `picovrrp` program, for routers whose memory counts in pages.
//!
//! What is small comes from one growing run of memory, in blocks of a few sizes, and goes to a list of free blocks of
//! its size. What is large has pages of its own, which the kernel gets back: a configuration that was read once more
//! leaves nothing behind. There is nothing to set up, and no table to touch before it is needed.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap, munmap};

/// Sizes of the blocks.
const SIZES: [usize; 14] = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048];
/// What every block is aligned to.
const ALIGN: usize = 16;
/// What is taken from the kernel at once for blocks; only pages that are touched cost anything.
const RUN: usize = 64 * 1024;
/// What a mapping is a multiple of. The kernel rounds up where its pages are larger.
const PAGE: usize = 4096;

/// The allocator. There is one thread, so its lock never waits.
pub struct Heap {
    locked: AtomicBool,
    inner: UnsafeCell<Inner>,
}

struct Inner {
    /// For each of [`SIZES`] the first free block, which holds the address of the next.
    free: [*mut u8; SIZES.len()],
    /// Where the run goes on, and what is left of it.
    next: *mut u8,
    left: usize,
}

// SAFETY: `inner` is only reached through `with`, which lets one thread in at a time.
unsafe impl Sync for Heap {}

impl Heap {
    /// An empty heap.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Heap {
        let inner = Inner { free: [null_mut(); SIZES.len()], next: null_mut(), left: 0 };
        Heap { locked: AtomicBool::new(false), inner: UnsafeCell::new(inner) }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        while self.locked.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        // SAFETY: the lock is ours, and `f` cannot come back here: it allocates nothing.
        let done = f(unsafe { &mut *self.inner.get() });
        self.locked.store(false, Ordering::Release);
        done
    }
}

/// The place of its blocks in [`SIZES`]; `None` for what has pages of its own.
fn class(layout: Layout) -> Option<usize> {
    if layout.align() > ALIGN {
        return None;
    }
    SIZES.iter().position(|size| layout.size() <= *size)
}

fn pages(size: usize) -> *mut u8 {
    let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: a new mapping, wherever the kernel has room.
    let new = unsafe { mmap_anonymous(null_mut(), size.next_multiple_of(PAGE), protection, flags) };
    new.map_or(null_mut(), <*mut c_void>::cast)
}

impl Inner {
    fn take(&mut self, class: usize) -> *mut u8 {
        let first = self.free[class];
        if !first.is_null() {
            // SAFETY: a free block is ours, aligned, and begins with the address of the next.
            self.free[class] = unsafe { first.cast::<*mut u8>().read() };
            return first;
        }
        let size = SIZES[class];
        if self.left < size {
            let run = pages(RUN);
            if run.is_null() {
                return null_mut();
            }
            (self.next, self.left) = (run, RUN);
        }
        let block = self.next;
        // SAFETY: `left` more bytes follow, and that is at least `size`.
        self.next = unsafe { block.add(size) };
        self.left -= size;
        block
    }

    fn give(&mut self, block: *mut u8, class: usize) {
        // SAFETY: a block of this size, aligned, which its owner has given up.
        unsafe { block.cast::<*mut u8>().write(self.free[class]) };
        self.free[class] = block;
    }
}

// SAFETY: a block is in one place only, with its owner or in a list; it is as large as its class and aligned to
// `ALIGN`, a mapping to a page, and nothing asks for more than that.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class(layout) {
            Some(class) => self.with(|inner| inner.take(class)),
            None if layout.align() > PAGE => null_mut(),
            None => pages(layout.size()),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class(layout) {
            Some(class) => self.with(|inner| inner.give(block, class)),
            None => {
                // SAFETY: the mapping was made for this layout, and its owner has given it up. It cannot fail.
                let _ = unsafe { munmap(block.cast(), layout.size().next_multiple_of(PAGE)) };
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() && class(layout).is_some() {
            // SAFETY: the block is that large. New pages are zero as they are, and are better left untouched.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the alignment is a valid one, and the caller promises that the size is.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(layout), class(wanted)) {
            (Some(old), Some(new)) if old == new => return block,
            (None, None) => {
                let (old, new) = (layout.size().next_multiple_of(PAGE), size.next_multiple_of(PAGE));
                // SAFETY: the mapping is the caller's, who gives it up for the new one.
                let moved = unsafe { mremap(block.cast(), old, new, MremapFlags::MAYMOVE) };
                return moved.map_or(null_mut(), <*mut c_void>::cast);
            }
            _ => {}
        }
        // SAFETY: both blocks hold what is copied; the old one is the caller's, who gives it up.
        unsafe {
            let new = self.alloc(wanted);
            if !new.is_null() {
                core::ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn blocks_are_aligned_keep_what_is_in_them_and_come_again() {
        let heap = Heap::new();
        for (size, align) in [(1, 1), (17, 8), (2048, 16), (2049, 8), (70_000, 16), (896, 128)] {
            let l = layout(size, align);
            // SAFETY: what is allocated is used within its size, and freed with its layout.
            unsafe {
                let (a, b) = (heap.alloc(l), heap.alloc_zeroed(l));
                assert!(!a.is_null() && !b.is_null() && a != b);
                assert_eq!((a as usize % align, b as usize % align), (0, 0));
                a.write_bytes(0x5a, size);
                assert!((0..size).all(|i| b.add(i).read() == 0), "{size}");
                b.write_bytes(0xa5, size);
                let a = heap.realloc(a, l, 3 * size);
                assert!((0..size).all(|i| a.add(i).read() == 0x5a), "{size}");
                let a = heap.realloc(a, layout(3 * size, align), size);
                assert!((0..size).all(|i| a.add(i).read() == 0x5a), "{size}");
                heap.dealloc(a, l);
                if class(l).is_some() {
                    assert_eq!(heap.alloc_zeroed(l), a, "the block that was given back");
                    assert!((0..size).all(|i| a.add(i).read() == 0), "{size}");
                    heap.dealloc(a, l);
                }
                heap.dealloc(b, l);
            }
        }
    }

    /// Input: some thousand steps, each of which takes a block, changes one's size or gives one back, of all sizes.
    /// Output: every byte of a block is what was last written to it, whatever the others do.
    #[test]
    fn no_block_lies_in_another() {
        let heap = Heap::new();
        let mut seed = 1u32;
        let mut random = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed as usize % below
        };
        let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
        // SAFETY: a block is used within its size for as long as it is held, and given back with its layout.
        unsafe {
            for step in 0..8_000 {
                let most = [40, 700, 5_000, 20_000][random(4)];
                let (size, mark) = (1 + random(most), step as u8);
                let at = random(held.len() + 1);
                let (block, l) = match held.get(at).copied() {
                    Some((block, l, old)) => {
                        assert!(std::slice::from_raw_parts(block, l.size()).iter().all(|b| *b == old), "step {step}");
                        held.swap_remove(at);
                        if held.len() > 150 || random(4) == 0 {
                            heap.dealloc(block, l);
                            continue;
                        }
                        let block = heap.realloc(block, l, size);
                        let kept = std::slice::from_raw_parts(block, l.size().min(size));
                        assert!(kept.iter().all(|b| *b == old), "step {step}: {l:?} to {size}");
                        (block, layout(size, l.align()))
                    }
                    None => {
                        let l = layout(size, [1, 8, 16, 64, 4096][random(5)]);
                        (heap.alloc_zeroed(l), l)
                    }
                };
                assert_eq!((block.is_null(), block as usize % l.align()), (false, 0), "step {step}");
                block.write_bytes(mark, l.size());
                held.push((block, l, mark));
            }
            held.into_iter().for_each(|(block, l, _)| heap.dealloc(block, l));
        }
    }
}
