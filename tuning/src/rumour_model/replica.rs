//! A replica: keys, each with a value and the version of its last write.
//!
//! The newer version wins, so that entries may come in any order and any number of times: merging is
//! commutative and idempotent, which is all that gossip asks of what it carries.

/// One entry, as it is stored and as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: u32,
    /// What.
    pub value: u64,
    /// Number of writes.
    pub version: u64,
}

/// What a replica has, without the values.
pub type Digest = Vec<(u32, u64)>;

/// A replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replica {
    /// Sorted by key.
    entries: Vec<Entry>,
}

impl Replica {
    /// Writes `value`: a new version.
    pub fn write(&mut self, key: u32, value: u64) -> Entry {
        let version = self.version(key) + 1;
        let entry = Entry { key, value, version };
        self.merge(entry);
        entry
    }

    /// Takes an entry over if it is newer. True if it was.
    pub fn merge(&mut self, entry: Entry) -> bool {
        match self.entries.binary_search_by_key(&entry.key, |held| held.key) {
            Ok(place) if self.entries[place].version >= entry.version => false,
            Ok(place) => {
                self.entries[place] = entry;
                true
            }
            Err(place) => {
                self.entries.insert(place, entry);
                true
            }
        }
    }

    /// The version of `key`; 0 if it was never written.
    pub fn version(&self, key: u32) -> u64 {
        let place = self.entries.binary_search_by_key(&key, |held| held.key);
        place.map_or(0, |place| self.entries[place].version)
    }

    /// Everything.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Every key with its version.
    pub fn digest(&self) -> Digest {
        self.entries.iter().map(|entry| (entry.key, entry.version)).collect()
    }

    /// Entries that the sender of `digest` lacks.
    pub fn newer_than(&self, digest: &[(u32, u64)]) -> Vec<Entry> {
        let known = |key: u32| {
            let place = digest.binary_search_by_key(&key, |(key, _)| *key);
            place.map_or(0, |place| digest[place].1)
        };
        self.entries.iter().copied().filter(|entry| entry.version > known(entry.key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_newer_version_wins_and_the_answer_is_what_is_lacking() {
        let (mut one, mut other) = (Replica::default(), Replica::default());
        let old = one.write(7, 1);
        assert!(other.merge(old) && !other.merge(old));
        let new = one.write(7, 2);
        one.write(3, 9);
        assert_eq!(other.newer_than(&one.digest()), []);
        assert_eq!(one.newer_than(&other.digest()), [Entry { key: 3, value: 9, version: 1 }, new]);
        assert!(other.merge(new) && !other.merge(old));
        assert_eq!(other.version(7), 2);
    }

    proptest! {
        /// Against a map: in whatever order entries come, each key ends at its newest.
        #[test]
        fn any_order_ends_the_same(entries in prop::collection::vec((0_u32..8, 1_u64..20), 0..60)) {
            let mut replica = Replica::default();
            let mut map = BTreeMap::new();
            for (key, version) in entries {
                let newer = version > *map.get(&key).unwrap_or(&0);
                prop_assert_eq!(replica.merge(Entry { key, value: version * 2, version }), newer);
                let held = map.entry(key).or_insert(version);
                *held = version.max(*held);
            }
            prop_assert_eq!(replica.digest(), map.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(replica.newer_than(&[]), replica.entries());
        }
    }
}
