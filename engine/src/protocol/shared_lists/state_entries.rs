//! Entries of shared state, of which the members of a worker hold each once.
//!
//! All members of a cluster end with the same maps, so those of one process would hold each key and value as often as there are
//! members. Who takes an entry in looks here whether another member of the worker holds one that is the same in every byte, and holds
//! that too. It is found by a hash of its bytes and compared with them, so nothing is believed because another believes it: what is
//! shared is memory, and two members come to the same entry by what each was sent.
//!
//! What is listed here is not held here: an entry goes with the last that holds it, and its place when places are next gone
//! through. A member that is alone on its worker shares with nobody, and lists nothing.

use std::borrow::Borrow;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use hashbrown::HashTable;
use xxhash_rust::xxh3::Xxh3;

/// Most entries listed. Further ones are held by each member for itself.
pub(in crate::protocol) const SHARED_ENTRIES_MAX: usize = 1 << 20;

/// Places are gone through once so many, or as many as there are, have been added.
const SWEEP_LEAST: usize = 1_024;

/// What became of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct StateEntry {
    /// Version of its last change; 0 while it is stale.
    pub(in crate::protocol) version: u64,
    pub(in crate::protocol) key: Arc<str>,
    /// Nothing if it was deleted.
    pub(in crate::protocol) value: Option<Bytes>,
}

impl StateEntry {
    /// Bytes of key and value.
    pub(in crate::protocol) fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }

    fn is(&self, version: u64, key: &str, value: Option<&[u8]>) -> bool {
        (self.version, &*self.key, self.value.as_deref()) == (version, key, value)
    }
}

/// An entry, ordered by its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct ByKey(pub(in crate::protocol) Arc<StateEntry>);

/// An entry, ordered by the version of its last change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct ByVersion(pub(in crate::protocol) Arc<StateEntry>);

impl ByKey {
    /// The same as stale; nothing of a deletion.
    pub(in crate::protocol) fn stale(self) -> Option<ByKey> {
        let StateEntry { key, value, .. } = &*self.0;
        let stale = StateEntry { version: 0, key: Arc::clone(key), value: Some(value.clone()?) };
        Some(ByKey(Arc::new(stale)))
    }
}

/// Where an entry is listed.
#[derive(Debug)]
struct Place {
    hash: u64,
    entry: Weak<StateEntry>,
}

/// The entries that members of one worker hold.
#[derive(Debug)]
pub(in crate::protocol) struct StateEntries {
    /// Keys the hashes: others choose the bytes.
    seed: u64,
    /// More than one member is here.
    shares: bool,
    places: HashTable<Place>,
    /// Entries that may be added until places are gone through.
    until_sweep: usize,
}

impl StateEntries {
    pub(in crate::protocol) fn new(seed: u64) -> StateEntries {
        StateEntries { seed, shares: false, places: HashTable::new(), until_sweep: SWEEP_LEAST }
    }

    /// There is more than one member here.
    pub(in crate::protocol) fn begin_sharing(&mut self) {
        self.shares = true;
    }

    /// The entry of these bytes: that of another member if one holds it.
    pub(in crate::protocol) fn entry(
        &mut self,
        version: u64,
        key: &str,
        value: Option<&[u8]>,
    ) -> Arc<StateEntry> {
        let made = || {
            let value = value.map(Bytes::copy_from_slice);
            Arc::new(StateEntry { version, key: Arc::from(key), value })
        };
        if !self.shares {
            return made();
        }
        let hash = self.hash(version, key, value);
        // One that nobody holds any more is passed over.
        let held = |place: &Place| place.entry.upgrade().filter(|entry| entry.is(version, key, value));
        let found = self.places.find(hash, |place| place.hash == hash && held(place).is_some());
        if let Some(entry) = found.and_then(held) {
            return entry;
        }
        let entry = made();
        self.list(hash, &entry);
        entry
    }

    fn list(&mut self, hash: u64, entry: &Arc<StateEntry>) {
        if self.until_sweep == 0 {
            self.places.retain(|place| place.entry.strong_count() != 0);
            self.until_sweep = self.places.len().max(SWEEP_LEAST);
        }
        self.until_sweep -= 1;
        if self.places.len() < SHARED_ENTRIES_MAX {
            let place = Place { hash, entry: Arc::downgrade(entry) };
            self.places.insert_unique(hash, place, |place| place.hash);
        }
    }

    fn hash(&self, version: u64, key: &str, value: Option<&[u8]>) -> u64 {
        let mut hash = Xxh3::with_seed(self.seed);
        hash.update(&version.to_le_bytes());
        hash.update(&(key.len() as u32).to_le_bytes());
        hash.update(key.as_bytes());
        hash.update(value.unwrap_or_default());
        hash.digest()
    }
}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &ByKey) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &ByKey) -> std::cmp::Ordering {
        self.0.key.cmp(&other.0.key)
    }
}

impl Borrow<str> for ByKey {
    fn borrow(&self) -> &str {
        &self.0.key
    }
}

impl PartialOrd for ByVersion {
    fn partial_cmp(&self, other: &ByVersion) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByVersion {
    fn cmp(&self, other: &ByVersion) -> std::cmp::Ordering {
        self.0.version.cmp(&other.0.version)
    }
}

impl Borrow<u64> for ByVersion {
    fn borrow(&self) -> &u64 {
        &self.0.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl StateEntries {
        /// Those of a worker with several members.
        pub(in crate::protocol) fn shared() -> StateEntries {
            let mut entries = StateEntries::new(7);
            entries.begin_sharing();
            entries
        }
    }

    #[test]
    fn what_is_the_same_in_every_byte_is_held_once() {
        let mut entries = StateEntries::shared();
        let first = entries.entry(1, "ab", Some(b"c"));
        assert!(Arc::ptr_eq(&first, &entries.entry(1, "ab", Some(b"c"))));
        let others =
            [(2, "ab", Some(&b"c"[..])), (1, "a", Some(b"bc")), (1, "ab", Some(b"d")), (1, "ab", None)];
        for (version, key, value) in others {
            let other = entries.entry(version, key, value);
            assert!(other.is(version, key, value) && !Arc::ptr_eq(&first, &other));
        }
        let (deleted, empty) = (entries.entry(1, "k", None), entries.entry(1, "k", Some(b"")));
        assert_eq!((deleted.value.as_ref(), empty.value.as_ref()), (None, Some(&Bytes::new())));
    }

    #[test]
    fn bytes_of_one_hash_are_told_apart() {
        let mut entries = StateEntries::shared();
        let held = entries.entry(1, "held", Some(b"x"));
        let hash = entries.hash(1, "sought", Some(b"x"));
        entries.list(hash, &held);
        let sought = entries.entry(1, "sought", Some(b"x"));
        assert_eq!(&*sought.key, "sought");
        assert!(Arc::ptr_eq(&sought, &entries.entry(1, "sought", Some(b"x"))));
    }

    #[test]
    fn an_entry_goes_with_the_last_that_holds_it() {
        let mut entries = StateEntries::shared();
        let weak = Arc::downgrade(&entries.entry(1, "k", Some(b"v")));
        assert!(weak.upgrade().is_none());
        let held: Vec<_> = (0..10).map(|nth| entries.entry(nth, "held", None)).collect();
        for nth in 0..100 * SWEEP_LEAST as u64 {
            entries.entry(nth, "gone", Some(b"v"));
            assert!(entries.places.len() <= 2 * SWEEP_LEAST);
        }
        for (nth, entry) in held.iter().enumerate() {
            assert!(Arc::ptr_eq(entry, &entries.entry(nth as u64, "held", None)));
        }
    }

    #[test]
    fn no_more_are_listed_than_the_bound() {
        let mut entries = StateEntries::shared();
        let count = SHARED_ENTRIES_MAX as u64 + 1;
        let held: Vec<_> = (0..count).map(|nth| entries.entry(nth, "k", None)).collect();
        assert_eq!(entries.places.len(), SHARED_ENTRIES_MAX);
        assert!(Arc::ptr_eq(&held[0], &entries.entry(0, "k", None)));
        let beyond = entries.entry(count - 1, "k", None);
        assert!(beyond == held[SHARED_ENTRIES_MAX] && !Arc::ptr_eq(&beyond, &held[SHARED_ENTRIES_MAX]));
    }

    #[test]
    fn who_is_alone_lists_nothing() {
        let mut entries = StateEntries::new(7);
        let entry = entries.entry(1, "k", Some(b"v"));
        assert_eq!((entry.bytes(), entries.places.len()), (2, 0));
    }
}
