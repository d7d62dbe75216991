//! Large arrays on large pages.
//!
//! The members of a fleet lie in arrays of many megabytes and are called in no order, so nearly every call looks up pages that the
//! processor has no translation for; inside a virtual machine one such look-up reads memory dozens of times. A page of two megabytes
//! takes one translation for what 512 small ones take. Many machines give such pages only where they are asked for.

use rustix::mm::{Advice, madvise};

/// Bytes of a page.
const PAGE: usize = 4096;

/// Bytes of the large pages that most machines have. An array that holds no whole one is left alone.
const LARGE_PAGE: usize = 2 << 20;

/// Asks that the memory of `array`, which should not have been written to yet, be laid on large pages. A kernel that
/// does not have them refuses, which changes nothing.
pub(crate) fn ask_for_large_pages<T>(array: &mut Vec<T>) {
    let start = array.as_mut_ptr() as usize;
    let end = (start + array.capacity() * size_of::<T>()) / PAGE * PAGE;
    let start = start.next_multiple_of(PAGE);
    if end.saturating_sub(start) < 2 * LARGE_PAGE {
        return;
    }
    // SAFETY: advice about pages that lie in an allocation of ours, wholly; what they hold does not change.
    let _ = unsafe { madvise(start as *mut _, end - start, Advice::LinuxHugepage) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_holds_what_it_held() {
        for count in [0, 1, PAGE, 3 * LARGE_PAGE] {
            let mut array = Vec::with_capacity(count);
            array.push(7_u8);
            ask_for_large_pages(&mut array);
            array.resize(count.max(1), 8);
            ask_for_large_pages(&mut array);
            assert_eq!(array[0], 7, "{count}");
            assert!(array[1..].iter().all(|byte| *byte == 8), "{count}");
        }
    }
}
