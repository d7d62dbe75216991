//! Which of the latest sequence numbers of one life have been opened: a ring of bits below the highest.
//!
//! Datagrams overtake each other, and those that a worker writes in one turn leave in another order than they were sealed in,
//! since they are gathered by where they go and how long they are. A member on its own hardly needs more than a few dozen
//! numbers; a worker with thousands of members some ten thousand. So a window begins small, and grows when an authentic frame
//! turns out to lie below it. That one is lost, as datagrams are, since nobody knows any more whether it came before.

/// Sequence numbers that are remembered of a life at first.
pub const REPLAY_WINDOW_LEAST: usize = 1_024;
/// And those that are at most.
pub const REPLAY_WINDOW_MOST: usize = 65_536;

const WORD: usize = u64::BITS as usize;

/// What a window says of a sequence number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It has not been opened.
    New,
    /// It has.
    Seen,
    /// It lies below the window, but would not below the largest.
    Below,
    /// It lies below the largest window.
    FarBelow,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Window {
    highest: u32,
    /// Bit `n % size` is that of sequence number `n`, for those from the highest down.
    bits: Box<[u64]>,
}

impl Window {
    /// The window, of `size` sequence numbers, of a life of which `first` was opened and nothing else.
    pub(super) fn new(first: u32, size: usize) -> Window {
        let size = size.next_power_of_two().clamp(REPLAY_WINDOW_LEAST, REPLAY_WINDOW_MOST);
        let mut window = Window { highest: first, bits: vec![0; size / WORD].into() };
        window.mark(first);
        window
    }

    /// Bytes of its bits.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.bits)
    }

    fn size(&self) -> usize {
        self.bits.len() * WORD
    }

    fn place(&self, sequence: u32) -> (usize, u64) {
        let sequence = sequence as usize;
        // The number of words is a power of two.
        ((sequence / WORD) & (self.bits.len() - 1), 1 << (sequence % WORD))
    }

    #[inline]
    fn mark(&mut self, sequence: u32) {
        let (word, bit) = self.place(sequence);
        self.bits[word] |= bit;
    }

    /// Whether `sequence` has been opened.
    #[inline]
    pub(super) fn verdict(&self, sequence: u32) -> Verdict {
        if sequence > self.highest {
            return Verdict::New;
        }
        let below = (self.highest - sequence) as usize;
        if below >= self.size() {
            return if below >= REPLAY_WINDOW_MOST { Verdict::FarBelow } else { Verdict::Below };
        }
        let (word, bit) = self.place(sequence);
        if self.bits[word] & bit == 0 { Verdict::New } else { Verdict::Seen }
    }

    /// Notes that `sequence`, which is new, has been opened.
    #[inline]
    pub(super) fn note(&mut self, sequence: u32) {
        if sequence > self.highest {
            self.rise(sequence);
        }
        self.mark(sequence);
    }

    /// The highest is `to` from now on: what lies between was not opened.
    fn rise(&mut self, to: u32) {
        if (to - self.highest) as usize >= self.size() {
            self.bits.fill(0);
        } else {
            let (mut next, end) = (u64::from(self.highest) + 1, u64::from(to) + 1);
            while next < end {
                let (word, bit) = self.place(next as u32);
                let whole = next.is_multiple_of(WORD as u64) && end - next >= WORD as u64;
                self.bits[word] &= if whole { 0 } else { !bit };
                next += if whole { WORD as u64 } else { 1 };
            }
        }
        self.highest = to;
    }

    /// Grows so that `sequence`, which lies below, would have been inside. Of what has been outside until now it says that it has
    /// been opened.
    pub(super) fn grow(&mut self, sequence: u32) {
        let wanted = (self.highest.saturating_sub(sequence) as usize + 1).next_power_of_two();
        let size = wanted.clamp(self.size(), REPLAY_WINDOW_MOST);
        let mut grown = Window { highest: self.highest, bits: vec![u64::MAX; size / WORD].into() };
        let lowest = self.highest.saturating_sub(self.size() as u32 - 1);
        for inside in lowest..=self.highest {
            if self.verdict(inside) == Verdict::New {
                let (word, bit) = grown.place(inside);
                grown.bits[word] &= !bit;
            }
        }
        *self = grown;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The same without any cleverness: all that was opened, and from where on it is known.
    struct Plain {
        opened: BTreeSet<u32>,
        highest: u32,
        /// Below it nothing is taken.
        floor: u32,
        size: u32,
    }

    impl Plain {
        fn takes(&self, sequence: u32) -> bool {
            sequence >= self.floor
                && (sequence > self.highest || self.highest - sequence < self.size)
                && !self.opened.contains(&sequence)
        }

        fn note(&mut self, sequence: u32) {
            self.opened.insert(sequence);
            self.highest = self.highest.max(sequence);
            self.floor = self.floor.max((self.highest + 1).saturating_sub(self.size));
        }
    }

    proptest! {
        #[test]
        fn it_takes_what_a_plain_one_takes(
            first in 0..200_000_u32,
            steps in prop::collection::vec((-70_000..=70_000_i64, 0..6_u8), 1..400),
        ) {
            let mut window = Window::new(first, 0);
            let mut plain =
                Plain { opened: BTreeSet::from([first]), highest: first, floor: 0, size: REPLAY_WINDOW_LEAST as u32 };
            plain.floor = (first + 1).saturating_sub(plain.size);
            for (step, how) in steps {
                // Most steps are short.
                let step = step >> [0, 4, 8, 11, 13, 14][usize::from(how)];
                let sequence = (i64::from(plain.highest) + step).clamp(0, i64::from(u32::MAX)) as u32;
                let verdict = window.verdict(sequence);
                prop_assert_eq!(verdict == Verdict::New, plain.takes(sequence), "{}", sequence);
                match verdict {
                    Verdict::New => {
                        window.note(sequence);
                        plain.note(sequence);
                    }
                    Verdict::Below => {
                        window.grow(sequence);
                        plain.size = window.size() as u32;
                        prop_assert!(window.size() <= REPLAY_WINDOW_MOST);
                        prop_assert_eq!(window.verdict(sequence), Verdict::Seen);
                    }
                    Verdict::Seen | Verdict::FarBelow => {}
                }
            }
        }
    }

    #[test]
    fn the_last_sequence_number_is_one_like_any_other() {
        let mut window = Window::new(u32::MAX - 3, 1);
        for sequence in [u32::MAX, u32::MAX - 1, u32::MAX - 1_000] {
            assert_eq!(window.verdict(sequence), Verdict::New);
            window.note(sequence);
            assert_eq!(window.verdict(sequence), Verdict::Seen);
        }
        assert_eq!(window.verdict(u32::MAX - 1_024), Verdict::Below);
        window.grow(u32::MAX - 1_024);
        assert_eq!(window.verdict(u32::MAX - 2), Verdict::New);
        assert_eq!(window.verdict(0), Verdict::FarBelow);
    }
}
