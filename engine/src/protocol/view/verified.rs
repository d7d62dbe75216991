//! What has been found right, so that it need not be looked at again: hashes of statements about keys of the cluster.
//!
//! All members of a worker take in the same keys, and each asks here before a signature is verified. There are two generations: when the
//! younger one is as large as it may be, it takes the place of the older. So whatever was found right last is here, as much of it as there may be
//! keys and deletions of the cluster at once.

use hashbrown::HashSet;

/// Hashes of a generation: all keys of a cluster, and the deletions that are remembered of them.
pub(in crate::protocol) const VERIFIED_MAX: usize = 5_120;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Verified {
    younger: HashSet<[u8; 32]>,
    older: HashSet<[u8; 32]>,
}

impl Verified {
    pub(in crate::protocol) fn contains(&self, hash: &[u8; 32]) -> bool {
        self.younger.contains(hash) || self.older.contains(hash)
    }

    /// What this hash stands for was found right.
    pub(in crate::protocol) fn note(&mut self, hash: [u8; 32]) {
        if self.younger.len() >= VERIFIED_MAX {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_remembered_and_memory_is_bounded() {
        let hash = |nth: usize| std::array::from_fn(|at| (nth >> (8 * (at % 4))) as u8);
        let mut verified = Verified::default();
        for nth in 0..4 * VERIFIED_MAX {
            assert!(!verified.contains(&hash(nth)));
            verified.note(hash(nth));
            assert!(
                verified.contains(&hash(nth))
                    && verified.contains(&hash(nth.saturating_sub(VERIFIED_MAX - 1)))
            );
            assert!(verified.younger.len() + verified.older.len() <= 2 * VERIFIED_MAX);
        }
        assert!(!verified.contains(&hash(0)));
    }
}
