//! Size classes: segments of one train have one size, so frames are padded to the next class.
//!
//! Few classes make long trains, many make little padding. These pad by a fifth on average, and by at
//! most half, while a worker's traffic to one address still gathers in two or three of them.

use swimring_codec::native::FRAME_MAX;

/// The classes, in bytes. All but the last are multiples of [`STEP`]; none is under [`CLASS_MIN`].
pub(super) const CLASSES: [u16; 10] = [64, 96, 128, 192, 256, 384, 512, 768, 1024, FRAME_MAX as u16];
/// The smallest class: no two segments start within so many bytes of each other.
pub(super) const CLASS_MIN: usize = CLASSES[0] as usize;

const STEP: usize = 32;

/// For every length, rounded up to a multiple of [`STEP`], the class that holds it.
const CLASS_OF_STEP: [u8; FRAME_MAX.div_ceil(STEP) + 1] = {
    let mut table = [0; FRAME_MAX.div_ceil(STEP) + 1];
    let mut step = 0;
    while step < table.len() {
        let mut class = 0;
        while class + 1 < CLASSES.len() && (CLASSES[class] as usize) < step * STEP {
            class += 1;
        }
        table[step] = class as u8;
        step += 1;
    }
    table
};

/// A size class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SizeClass(u8);

impl SizeClass {
    /// The smallest class that holds a frame of `len` bytes; nothing if the frame is empty or too long.
    #[inline]
    pub(super) fn holding(len: usize) -> Option<SizeClass> {
        if len == 0 || len > FRAME_MAX {
            return None;
        }
        Some(SizeClass(CLASS_OF_STEP[len.div_ceil(STEP)]))
    }

    /// Bytes of a segment.
    #[inline]
    pub(super) fn bytes(self) -> usize {
        usize::from(CLASSES[usize::from(self.0)])
    }

    /// Which of [`CLASSES`].
    #[inline]
    pub(super) fn number(self) -> u8 {
        self.0
    }
}

/// Bytes that a native frame of `len` bytes takes on the wire with its padding.
pub fn padded_len(len: usize) -> usize {
    SizeClass::holding(len).map_or(len, SizeClass::bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_gets_the_smallest_class_that_holds_it() {
        for len in 1..=FRAME_MAX {
            let smallest = CLASSES.into_iter().map(usize::from).find(|class| *class >= len);
            assert_eq!(SizeClass::holding(len).map(SizeClass::bytes), smallest, "{len}");
        }
        assert_eq!(SizeClass::holding(0), None);
        assert_eq!(SizeClass::holding(FRAME_MAX + 1), None);
    }
}
