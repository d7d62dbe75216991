//! Heap allocations, counted per thread: how a run proves that its workers make none, and how a bench knows what
//! something holds.
//!
//! The binary installs [`CountingAllocator`]; each worker reads [`of_this_thread`] when the measured window
//! opens and when it closes. The counts are plain thread-local numbers, so they cost about a nanosecond per
//! allocation and per free, and no thread touches another's cache lines.
//!
//! `GlobalAlloc` is an unsafe trait, so this file alone in the crate has `unsafe` blocks. Each forwards to
//! the system's allocator unchanged.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Const and without a destructor, so that it can be used at any time in a thread's life without
    /// allocating: the allocator must not call itself.
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting. Install it in a binary or a test with `#[global_allocator]`.
#[derive(Debug, Default)]
pub struct CountingAllocator;

/// Allocations and reallocations the calling thread has made since it started. Always 0 where
/// [`CountingAllocator`] is not installed: ask [`counted`] first.
pub fn of_this_thread() -> u64 {
    COUNT.get()
}

/// Bytes that the calling thread has asked for and not freed, without what the allocator adds. What one thread frees of
/// another's wraps around, so only differences on one thread mean something.
pub fn held_by_this_thread() -> u64 {
    HELD.get()
}

/// Whether allocations are counted in this process. A zero without this would prove nothing.
pub fn counted() -> bool {
    let before = of_this_thread();
    drop(std::hint::black_box(Box::new(0_u64)));
    of_this_thread() != before
}

fn count_one(bytes: usize) {
    COUNT.set(COUNT.get().wrapping_add(1));
    HELD.set(HELD.get().wrapping_add(bytes as u64));
}

fn count_freed(bytes: usize) {
    HELD.set(HELD.get().wrapping_sub(bytes as u64));
}

// SAFETY: every method passes its arguments to `System` unchanged and returns what `System` returns, so the
// contract of `GlobalAlloc` is kept by `System`. Counting allocates nothing and cannot unwind.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one(layout.size());
        // SAFETY: the caller's promises for `layout` are the ones `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_one(layout.size());
        // SAFETY: the caller's promises for `layout` are the ones `System` asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count_one(new_size);
        count_freed(layout.size());
        // SAFETY: `pointer` came from this allocator, hence from `System`, with this `layout`; the caller
        // promises the rest.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count_freed(layout.size());
        // SAFETY: `pointer` came from this allocator, hence from `System`, with this `layout`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
