//! Memory for tasks.
//!
//! A program that spawns a task for each request asks for the same few sizes all the time. What a task leaves behind is
//! kept for the next one of about its size, by the thread on which it was freed, up to a bound; an allocator made for all
//! purposes takes several times as long as soon as more than a handful of blocks go back and forth.
//!
//! Knows blocks, not what is in them. `--cfg nexus_no_task_memory` takes it out, so that AddressSanitizer sees each use of
//! a task that is gone; so does `--cfg loom`.

use crate::primitives::alloc::{alloc, dealloc};
use std::alloc::{Layout, handle_alloc_error};
use std::cell::Cell;
use std::ptr::NonNull;

/// Sizes are rounded up to multiples of this, and all blocks are aligned to it at least.
const GRAIN: usize = 64;
/// Larger blocks go to the allocator and back.
const LARGEST: usize = 1024;
const CLASSES: usize = LARGEST / GRAIN;
/// How much a thread keeps, in bytes.
const KEPT: usize = 1 << 20;
/// What the allocator gives anyway.
const ALIGN: usize = 16;

/// A block that nobody uses holds the link to the next one.
struct Free {
    next: Option<NonNull<Free>>,
}

/// What a thread keeps.
struct Kept {
    classes: [Cell<Option<NonNull<Free>>>; CLASSES],
    bytes: Cell<usize>,
}

thread_local! {
    static THREAD: Kept = const {
        Kept { classes: [const { Cell::new(None) }; CLASSES], bytes: Cell::new(0) }
    };
}

/// The class of a block, and the layout of its class, if it is of a size that is kept.
#[inline]
fn class_of(layout: Layout) -> Option<(usize, Layout)> {
    if cfg!(any(loom, nexus_no_task_memory)) || layout.size() > LARGEST || layout.align() > ALIGN {
        return None;
    }
    let class = layout.size().saturating_sub(1) / GRAIN;
    // The alignment is a power of two, and the size far from overflowing.
    let rounded = Layout::from_size_align((class + 1) * GRAIN, ALIGN).ok()?;
    Some((class, rounded))
}

/// A block of at least this layout. To be given back with [`free`] and the same layout, on any thread.
#[inline]
pub(super) fn allocate(layout: Layout) -> NonNull<u8> {
    let Some((class, rounded)) = class_of(layout) else { return from_allocator(layout) };
    let taken = THREAD.try_with(|thread| {
        let block = thread.classes[class].get()?;
        // SAFETY: a block in a list was put there by `free`, which wrote the link, and is nobody else's.
        thread.classes[class].set(unsafe { block.as_ref() }.next);
        thread.bytes.set(thread.bytes.get() - rounded.size());
        Some(block.cast())
    });
    taken.ok().flatten().unwrap_or_else(|| from_allocator(rounded))
}

/// Gives a block back.
///
/// # Safety
///
/// It was allocated here with this layout, and is not used any more.
#[inline]
pub(super) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    let (rounded, kept) = match class_of(layout) {
        Some((class, rounded)) => (rounded, keep(block, class, rounded)),
        None => (layout, false),
    };
    if !kept {
        if cfg!(loom) {
            // A model that goes on to use it trips.
            // SAFETY: nobody uses the block, which has this size.
            unsafe { block.write_bytes(0xA5, layout.size()) };
        }
        // SAFETY: it came from the allocator with this layout; the rest is the caller's word.
        unsafe { dealloc(block.as_ptr(), rounded) };
    }
}

/// Keeps a block that is not used any more for the next one that asks. `false` if there is enough.
#[inline]
fn keep(block: NonNull<u8>, class: usize, rounded: Layout) -> bool {
    let keep = |thread: &Kept| {
        let bytes = thread.bytes.get() + rounded.size();
        if bytes > KEPT {
            return false;
        }
        let block = block.cast::<Free>();
        // SAFETY: the block is nobody's, large enough, and aligned for a pointer.
        unsafe { block.write(Free { next: thread.classes[class].get() }) };
        thread.classes[class].set(Some(block));
        thread.bytes.set(bytes);
        true
    };
    // A thread whose locals are gone keeps nothing.
    THREAD.try_with(keep).unwrap_or(false)
}

#[cold]
fn from_allocator(layout: Layout) -> NonNull<u8> {
    // SAFETY: the size is not zero: a task has a header.
    let block = unsafe { alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
}

impl Drop for Kept {
    fn drop(&mut self) {
        for (class, list) in self.classes.iter().enumerate() {
            let rounded = Layout::from_size_align((class + 1) * GRAIN, ALIGN).expect("a class");
            while let Some(block) = list.get() {
                // SAFETY: as in `allocate`.
                list.set(unsafe { block.as_ref() }.next);
                // SAFETY: all blocks of a class came from the allocator with this layout.
                unsafe { dealloc(block.as_ptr().cast(), rounded) };
            }
        }
    }
}

#[cfg(all(test, not(loom), not(nexus_no_task_memory)))]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn a_block_is_used_again_by_the_next_one_of_about_its_size() {
        let first = allocate(layout(200));
        // SAFETY: just allocated so.
        unsafe { free(first, layout(200)) };
        let second = allocate(layout(240));
        assert_eq!(first, second);
        assert_ne!(allocate(layout(240)), second);
    }

    #[test]
    fn a_thread_keeps_no_more_than_its_bound() {
        std::thread::spawn(|| {
            let count = 2 * KEPT / LARGEST;
            let blocks: Vec<_> = (0..count).map(|_| allocate(layout(LARGEST))).collect();
            for block in blocks {
                // SAFETY: just allocated so.
                unsafe { free(block, layout(LARGEST)) };
            }
            assert_eq!(THREAD.with(|thread| thread.bytes.get()), KEPT);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn large_blocks_and_strict_alignments_go_to_the_allocator() {
        for layout in [layout(LARGEST + 1), Layout::from_size_align(64, 128).unwrap()] {
            assert!(class_of(layout).is_none());
            let block = allocate(layout);
            assert!(block.as_ptr().addr().is_multiple_of(layout.align()));
            // SAFETY: just allocated so.
            unsafe { free(block, layout) };
        }
    }
}
