//! Who has seen what, one bit for each kill or event and member.
//!
//! A member may declare the same victim dead twice (a late rumour brings it back in between), or be handed
//! the same event twice (when its copies outlive the memory for them). Sums would let one such repetition
//! hide that another member saw nothing; bits do not. All memory is taken at the start.

use swimring::worker::HostedMember;

/// Bits in a word.
const WORD: usize = 64;

/// One bit for each (thing, member).
#[derive(Clone, Debug, Default)]
pub struct SeenBits {
    words: Vec<u64>,
    /// Words of one thing.
    row: usize,
}

impl SeenBits {
    /// Nobody of `members` has seen any of `things`.
    pub fn new(things: usize, members: usize) -> SeenBits {
        let row = members.div_ceil(WORD).max(1);
        SeenBits { words: vec![0; things * row], row }
    }

    /// Bytes that [`SeenBits::new`] takes.
    pub fn bytes(things: u64, members: u64) -> u64 {
        things.saturating_mul(members.div_ceil(WORD as u64).max(1) * 8)
    }

    /// `member` sees `thing`: whether for the first time.
    pub fn mark(&mut self, thing: usize, member: HostedMember) -> bool {
        let bit = 1 << (member as usize % WORD);
        let word = &mut self.words[thing * self.row + member as usize / WORD];
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// How many members have seen `thing`.
    pub fn count(&self, thing: usize) -> u64 {
        let words = &self.words[thing * self.row..][..self.row];
        words.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_counts_once() {
        let mut seen = SeenBits::new(3, 130);
        assert!(seen.mark(1, 0) && seen.mark(1, 63) && seen.mark(1, 64) && seen.mark(1, 129));
        assert!(!seen.mark(1, 64), "a second time");
        assert!(seen.mark(2, 64), "another thing");
        assert_eq!([0, 1, 2].map(|thing| seen.count(thing)), [0, 4, 1]);
    }

    #[test]
    fn its_size_is_told_before_it_is_taken() {
        let seen = SeenBits::new(10, 130);
        assert_eq!(SeenBits::bytes(10, 130), seen.words.len() as u64 * 8);
        assert_eq!(SeenBits::bytes(u64::MAX, 1), u64::MAX);
    }
}
