//! Memory that will be needed soon, asked for now.
//!
//! A worker drives tens of thousands of members, and of the one that a datagram is for nothing is in the cache: handling it is
//! mostly waiting for memory, one line after another. A train says in advance which members are next, so their
//! lines can all be on their way while others are handled.

/// Bytes that arrive together.
const LINE: usize = 64;

/// Asks for all of `value`, without waiting for it. Without effect where there is no such instruction.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<i8>();
    for line in 0..size_of::<T>().div_ceil(LINE) {
        prefetch_line(start.wrapping_add(line * LINE));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch_line(address: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint, which reads nothing that the program sees and faults at no address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn prefetch_line(_: *const i8) {}
