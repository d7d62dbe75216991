//! Identity hashes that were needed lately.
//!
//! When something changes, all members of a fleet ask for the same hash, one after the other; and whoever joins is given, or
//! told of, everyone, each of whom is hashed into its root. So of the first version of as many members as fit the hash is kept,
//! by the lowest bits of their indexes.

use super::directory::MemberIndex;

/// Hashes that are kept: of everyone while a fleet is not larger than this. A quarter of a mebibyte for each worker.
pub(super) const RECENT_MOST: usize = 16_384;
const RECENT_LEAST: usize = 64;
const NOBODY: (MemberIndex, u64) = (MemberIndex::MAX, 0);

/// See the module.
#[derive(Debug)]
pub(super) struct RecentHashes {
    /// A power of two, as many as there are members, between [`RECENT_LEAST`] and [`RECENT_MOST`].
    places: Vec<(MemberIndex, u64)>,
}

impl RecentHashes {
    pub(super) fn new() -> RecentHashes {
        RecentHashes { places: vec![NOBODY; RECENT_LEAST] }
    }

    /// Makes room for the hashes of `members`, as far as that may be.
    pub(super) fn reserve(&mut self, members: usize) {
        let kept = members.next_power_of_two().clamp(RECENT_LEAST, RECENT_MOST);
        if kept > self.places.len() {
            let before = std::mem::replace(&mut self.places, vec![NOBODY; kept]);
            for (index, hash) in before.into_iter().filter(|kept| *kept != NOBODY) {
                self.keep(index, hash);
            }
        }
    }

    #[inline]
    fn place(&self, index: MemberIndex) -> usize {
        // The length is a power of two.
        index as usize & (self.places.len() - 1)
    }

    /// The hash of the member at `index`, if it is kept.
    #[inline]
    pub(super) fn get(&self, index: MemberIndex) -> Option<u64> {
        let (recent, hash) = self.places[self.place(index)];
        (recent == index).then_some(hash)
    }

    #[inline]
    pub(super) fn keep(&mut self, index: MemberIndex, hash: u64) {
        let place = self.place(index);
        self.places[place] = (index, hash);
    }

    /// The member at `index` is no more.
    pub(super) fn forget(&mut self, index: MemberIndex) {
        if self.get(index).is_some() {
            let place = self.place(index);
            self.places[place] = NOBODY;
        }
    }
}
