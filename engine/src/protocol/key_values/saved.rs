//! What outlives the process: a member's own map and the keys of the cluster, given out to be saved, and taken back in by its
//! next life.
//!
//! The next life has a map of its own, with a higher epoch, that begins with what was saved: the last life may have told
//! changes that were not saved, and a copy that has them is not to be taken for one of the new map. For the same reason
//! its versions begin above all that the last life can have given.

use std::sync::Arc;

use bytes::Bytes;
use swimring_codec::MemberId;
use swimring_codec::native::{KeyStatement, KeyValue};

use super::KeyValues;
use super::cluster_keys::{CLUSTER_KEYS_MAX, ClusterEntry, ClusterKeys};
use super::map::Map;
use super::signed_keys::SignedKey;
use super::store::{MAP_KEYS_MAX, StateError};
use crate::protocol::shared_lists::state_entries::StateEntry;

/// How far shared state has come.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SavedMark {
    /// The life of the member's own map, if it has one; otherwise that of the one that it would have.
    pub epoch: u64,
    /// The version of that map.
    pub version: u64,
    /// Deletions up to this version have been forgotten.
    pub floor: u64,
    /// The highest version known of a key of the cluster.
    pub clock: u64,
}

/// A key of a member's own map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedKey {
    /// The key.
    pub key: Arc<str>,
    /// The version of its last change.
    pub version: u64,
    /// Nothing if it was deleted.
    pub value: Option<Bytes>,
}

/// A key of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedClusterKey {
    /// The key.
    pub key: Arc<str>,
    /// The version of its last change.
    pub version: u64,
    /// The last to write it.
    pub writer: MemberId,
    /// Nothing if it was deleted.
    pub value: Option<Bytes>,
    /// What the writer has signed of it, where members have identities.
    pub statement: Option<KeyStatement>,
}

/// What an earlier life has left.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SavedState {
    /// The map that is begun has an epoch above this one.
    pub epoch: u64,
    /// The next change of it has a higher version.
    pub version: u64,
    /// The next change of a key of the cluster here has a higher version.
    pub clock: u64,
    /// The keys of the member's own map.
    pub own: Vec<SavedKey>,
    /// The keys of the cluster.
    pub cluster: Vec<SavedClusterKey>,
}

impl KeyValues {
    pub(in crate::protocol) fn restore(
        &mut self,
        own: MemberId,
        saved: SavedState,
    ) -> Result<(), StateError> {
        self.epoch = self.epoch.max(saved.epoch.saturating_add(1));
        let SavedState { version, clock, own: mut keys, cluster, .. } = saved;
        keys.sort_unstable_by_key(|key| key.version);
        let mut map = Map::new(self.epoch, self.store.signs);
        for SavedKey { key, version, value } in keys {
            map.put(Arc::new(StateEntry { version, key, value }));
            map.version = version;
        }
        map.bound_tombstones();
        // A copy of this life lacks none of the deletions before it.
        map.floor = 0;
        map.version = map.version.max(version);
        if map.len() > MAP_KEYS_MAX {
            return Err(StateError::TooManyKeys(map.len()));
        }
        let mut keys = ClusterKeys::default();
        for saved in cluster {
            let signed = saved.signed().filter(|_| self.store.signs);
            let SavedClusterKey { key, version, writer, value, .. } = saved;
            keys.put(&key, ClusterEntry { version, writer, value, signed });
        }
        keys.raise_clock(clock);
        if keys.len() > CLUSTER_KEYS_MAX {
            return Err(StateError::TooManyKeys(keys.len()));
        }
        self.store.restore(own, map, keys)
    }

    pub(in crate::protocol) fn mark(&self, own: MemberId) -> SavedMark {
        let clock = self.store.cluster.clock();
        match self.store.maps.get(&own) {
            Some(map) => SavedMark { epoch: map.epoch, version: map.version, floor: map.floor, clock },
            None => SavedMark { epoch: self.epoch, version: 0, floor: 0, clock },
        }
    }

    pub(in crate::protocol) fn saved(&self, own: MemberId, since: u64, most: usize) -> Vec<SavedKey> {
        let Some(map) = self.store.maps.get(&own) else { return Vec::new() };
        let entries = map.later(since).take(most).map(|entry| SavedKey {
            key: Arc::clone(&entry.key),
            version: entry.version,
            value: entry.value.clone(),
        });
        entries.collect()
    }

    pub(in crate::protocol) fn saved_cluster_key(&self, key: &str) -> Option<SavedClusterKey> {
        let entry = self.store.cluster.get(key)?;
        Some(saved_cluster_key(&Arc::from(key), entry))
    }

    pub(in crate::protocol) fn saved_cluster_keys(&self) -> Vec<SavedClusterKey> {
        self.store.cluster.all().map(|(key, entry)| saved_cluster_key(key, entry)).collect()
    }
}

fn saved_cluster_key(key: &Arc<str>, entry: &ClusterEntry) -> SavedClusterKey {
    let ClusterEntry { version, writer, value, signed } = entry.clone();
    let statement = signed.map(|signed| signed.statement);
    SavedClusterKey { key: Arc::clone(key), version, writer, value, statement }
}

impl SavedClusterKey {
    fn signed(&self) -> Option<Box<SignedKey>> {
        let value = self.value.as_ref().map_or(KeyValue::Deleted, |value| KeyValue::Set(value));
        let hash = value.hash().unwrap_or_default();
        self.statement.map(|statement| Box::new(SignedKey { statement, hash }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::settings::Settings;
    use crate::protocol::time::Time;

    const OWN: MemberId = MemberId(7);

    fn key_values() -> KeyValues {
        KeyValues::new(&Settings::default(), false, 5 << 16, Time::ZERO)
    }

    fn own(key: &str, version: u64, value: Option<&'static str>) -> SavedKey {
        SavedKey { key: key.into(), version, value: value.map(Bytes::from) }
    }

    fn of_cluster(key: &str, version: u64, value: Option<&'static str>) -> SavedClusterKey {
        let (writer, value) = (MemberId(9), value.map(Bytes::from));
        SavedClusterKey { key: key.into(), version, writer, value, statement: None }
    }

    #[test]
    fn the_next_life_goes_on_above_the_last() {
        let mut key_values = key_values();
        let saved = SavedState {
            epoch: 6 << 16,
            version: 100,
            clock: 200,
            own: vec![own("b", 9, Some("2")), own("a", 3, Some("1")), own("c", 11, None)],
            cluster: vec![of_cluster("k", 20, Some("v")), of_cluster("gone", 21, None)],
        };
        key_values.restore(OWN, saved.clone()).unwrap();
        let mark = key_values.mark(OWN);
        assert_eq!(mark, SavedMark { epoch: (6 << 16) + 1, version: 100, floor: 0, clock: 200 });
        assert_eq!(key_values.get(OWN, "a").unwrap().version, 3);
        assert_eq!((key_values.get(OWN, "c"), key_values.get(MemberId::NONE, "gone")), (None, None));
        assert_eq!(key_values.bytes(), 2 * 2 + 1 + 2 + 4);
        let in_order: Vec<_> = key_values.saved(OWN, 3, 9).into_iter().map(|key| key.version).collect();
        assert_eq!(in_order, [9, 11]);
        assert_eq!(key_values.saved(OWN, 0, 1), [own("a", 3, Some("1"))]);
        let mut keys = key_values.saved_cluster_keys();
        keys.sort_unstable_by_key(|key| key.version);
        assert_eq!(keys, saved.cluster);
        assert_eq!(key_values.saved_cluster_key("gone"), Some(of_cluster("gone", 21, None)));
        assert_eq!(key_values.store.change_own(OWN, 1, "a", Some("3".into())), Ok(Some(101)));
        assert_eq!(key_values.store.change_cluster(OWN, 1, "k", Some("w".into())), Ok(Some((1 << 16) + 1)));
    }

    #[test]
    fn nothing_saved_is_no_map() {
        let mut key_values = key_values();
        key_values.restore(OWN, SavedState::default()).unwrap();
        assert_eq!(key_values.owners().count(), 0);
        assert_eq!(key_values.mark(OWN), SavedMark { epoch: 5 << 16, ..SavedMark::default() });
    }

    #[test]
    fn more_than_there_may_be_is_refused() {
        let settings = Settings { state_member_bytes_max: 1024, ..Settings::default() };
        let mut key_values = KeyValues::new(&settings, false, 1, Time::ZERO);
        let value = Some(Bytes::from(vec![0; 1024]));
        let own = vec![SavedKey { key: "a".into(), version: 1, value }];
        let refused = key_values.restore(OWN, SavedState { own, ..SavedState::default() });
        assert_eq!(refused, Err(StateError::TooMuch(1025)));
    }
}
