//! Everything of shared state that one member holds, within its bounds: the maps of all members, its own among them, and
//! the keys of the cluster.
//!
//! What others say is taken in section by section, each as far as it follows on what is there. What does not follow is a
//! gap, to be fetched; what does not fit the bounds is refused, and the rest of its map with it, until there is room.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use swimring_codec::MemberId;
use swimring_codec::native::{KEY_MAX, KeyEntry, KeyRoots, KeySection, KeyValue, VALUE_MAX};
use thiserror::Error;

use super::cluster_keys::{CLUSTER_KEYS_MAX, ClusterEntry, ClusterKeys};
use super::map::Map;
use super::signed::Staged;
use super::signed_keys::{SignedKey, Vouched};
use crate::protocol::settings::Settings;
use crate::protocol::shared_lists::state_entries::{StateEntries, StateEntry};

/// Most keys with a value in one member's map.
pub(super) const MAP_KEYS_MAX: usize = 65_536;

/// Most members whose maps are kept.
pub(super) const OWNERS_MAX: usize = 32_768;

/// The bits of an epoch that are drawn, and not the owner's first incarnation.
pub(super) const EPOCH_CHANCE: u64 = (1 << 16) - 1;

/// Why a change of shared state was refused.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StateError {
    /// The key is empty.
    #[error("the key is empty: give it 1 to {KEY_MAX} bytes")]
    KeyEmpty,
    /// The key is too long.
    #[error("the key has {0} bytes: use at most {KEY_MAX}")]
    KeyTooLong(usize),
    /// The value is too long.
    #[error("the value has {0} bytes: use at most {VALUE_MAX}")]
    ValueTooLong(usize),
    /// The member has too many keys.
    #[error("there are {0} keys already: delete some")]
    TooManyKeys(usize),
    /// The member, or the keys of the cluster, would take too much.
    #[error(
        "that would make {0} bytes of keys and values: raise state_member_bytes_max everywhere, or delete some"
    )]
    TooMuch(usize),
    /// All of them would.
    #[error(
        "that would make {0} bytes of all members' state: raise state_bytes_max everywhere, or delete some"
    )]
    TooMuchInAll(usize),
    /// There is no shared state here.
    #[error("shared state is switched off: set state_bytes_max above 0")]
    Off,
    /// The wire format has none.
    #[error("shared state needs the native wire: memberlist's has no room for it")]
    Wire,
    /// The key is not at the version that it was to be.
    #[error("the key has changed: read it again")]
    Changed {
        /// Its version; nothing if it has no value.
        version: Option<u64>,
    },
    /// There are no versions left.
    #[error("the versions of the cluster's keys are used up: somebody forges them")]
    VersionsUsedUp,
}

crate::error_text::debug_is_the_sentence!(StateError);

/// A value of shared state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateValue {
    /// The value.
    pub value: Bytes,
    /// The version of its last change. Each change of the same map has a higher one, until its owner starts anew.
    pub version: u64,
    /// Who wrote it: the owner of the map, or the last to write a key of the cluster.
    pub writer: MemberId,
}

/// A key that has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateChange {
    /// Whose map it is in; [`MemberId::NONE`] for the keys of the cluster.
    pub owner: MemberId,
    /// The key.
    pub key: Arc<str>,
    /// Its value; nothing if it is gone.
    pub value: Option<StateValue>,
}

/// How much may be held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) each: usize,
    pub(super) all: usize,
}

impl Limits {
    pub(super) fn of(settings: &Settings) -> Limits {
        Limits { each: settings.state_member_bytes_max as usize, all: settings.state_bytes_max as usize }
    }
}

/// What became of a section.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Taken {
    /// Entries that were new.
    pub(super) news: u64,
    /// Entries that there was no room for.
    pub(super) refused: u64,
    /// It does not follow on what is there.
    pub(super) gap: bool,
    /// It breaks a rule of the format.
    pub(super) broken: bool,
    /// Sections that are not what their owner has signed.
    pub(super) forged: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) limits: Limits,
    pub(super) maps: BTreeMap<MemberId, Map>,
    pub(super) cluster: ClusterKeys,
    /// Whether members have identities, and sign their maps.
    pub(super) signs: bool,
    /// Pieces of signed maps that wait for the rest.
    pub(super) staged: Vec<Staged>,
    pub(super) bytes: usize,
    /// Keys of the cluster that are known to have a value that is not here, with its version and writer, until they are
    /// taken out.
    pub(super) elsewhere: Vec<(Arc<str>, u64, MemberId)>,
    /// What has changed since the driver was last told.
    pub(super) changes: Vec<StateChange>,
}

impl Store {
    pub(super) fn new(limits: Limits, signs: bool) -> Store {
        Store {
            limits,
            signs,
            staged: Vec::new(),
            maps: BTreeMap::new(),
            cluster: ClusterKeys::default(),
            bytes: 0,
            elsewhere: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Bytes of all keys and values.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Begins with the map of `own` and the keys of the cluster that an earlier life has left. There is nothing here yet.
    pub(super) fn restore(
        &mut self,
        own: MemberId,
        map: Map,
        cluster: ClusterKeys,
    ) -> Result<(), StateError> {
        let bytes = map.bytes() + cluster.bytes();
        check_bytes(self.limits, map.bytes().max(cluster.bytes()), bytes)?;
        // Without a version there is no map yet: it is made with the first change.
        if map.version != 0 {
            self.maps.insert(own, map);
        }
        (self.cluster, self.bytes) = (cluster, bytes);
        Ok(())
    }

    /// The value of a key of `owner`'s map, or of the cluster.
    pub(super) fn get(&self, owner: MemberId, key: &str) -> Option<StateValue> {
        if owner.is_none() {
            let entry = self.cluster.get(key)?;
            return valued(entry.value.as_ref(), entry.version, entry.writer);
        }
        let entry = self.maps.get(&owner)?.get(key)?;
        valued(entry.value.as_ref(), entry.version, owner)
    }

    /// The keys of `owner`'s map, or of the cluster, that begin with `prefix`, in order.
    pub(super) fn list(&self, owner: MemberId, prefix: &str) -> Vec<(Arc<str>, StateValue)> {
        if owner.is_none() {
            let entries = self.cluster.iter(prefix).filter_map(|(key, entry)| {
                Some((Arc::clone(key), valued(entry.value.as_ref(), entry.version, entry.writer)?))
            });
            return entries.collect();
        }
        let Some(map) = self.maps.get(&owner) else { return Vec::new() };
        let entries = map.iter(prefix).filter_map(|entry| {
            Some((Arc::clone(&entry.key), valued(entry.value.as_ref(), entry.version, owner)?))
        });
        entries.collect()
    }

    /// Sets or deletes a key of the member's own map, which is made with `epoch` if there is none. Gives its version;
    /// nothing if a key is deleted that has no value.
    pub(super) fn change_own(
        &mut self,
        own: MemberId,
        epoch: u64,
        key: &str,
        new: Option<Bytes>,
    ) -> Result<Option<u64>, StateError> {
        check_key(key)?;
        let length = check_value(new.as_ref())?;
        let has_value =
            self.maps.get(&own).and_then(|map| map.get(key)).is_some_and(|entry| entry.value.is_some());
        if new.is_none() && !has_value {
            return Ok(None);
        }
        let map = self.maps.entry(own).or_insert_with(|| Map::new(epoch, self.signs));
        if new.is_some() {
            let (each, all) =
                (map.bytes_with(key, length), map.bytes_with(key, length) + self.bytes - map.bytes());
            check_bytes(self.limits, each, all)?;
            if !has_value && map.len() >= MAP_KEYS_MAX {
                return Err(StateError::TooManyKeys(map.len()));
            }
        }
        let key = Arc::<str>::from(key);
        let before = map.bytes();
        map.version += 1;
        let version = map.version;
        map.put(Arc::new(StateEntry { version, key: Arc::clone(&key), value: new.clone() }));
        map.bound_tombstones();
        self.bytes = self.bytes - before + map.bytes();
        self.note(own, key, new, version, own);
        Ok(Some(version))
    }

    /// Sets or deletes a key of the cluster, in the life of `epoch`. Gives its version; nothing if a key is deleted that has no value.
    pub(super) fn change_cluster(
        &mut self,
        own: MemberId,
        epoch: u64,
        key: &str,
        new: Option<Bytes>,
    ) -> Result<Option<u64>, StateError> {
        check_key(key)?;
        let length = check_value(new.as_ref())?;
        let has_value = self.cluster.get(key).is_some_and(|entry| entry.value.is_some());
        if new.is_none() && !has_value {
            return Ok(None);
        }
        if new.is_some() {
            let each = self.cluster.bytes_with(key, length);
            check_bytes(self.limits, each, each + self.bytes - self.cluster.bytes())?;
            if !has_value && self.cluster.len() >= CLUSTER_KEYS_MAX {
                return Err(StateError::TooManyKeys(self.cluster.len()));
            }
        }
        let version = self.cluster.next_version(epoch).ok_or(StateError::VersionsUsedUp)?;
        self.put_cluster(Arc::from(key), ClusterEntry { version, writer: own, value: new, signed: None });
        Ok(Some(version))
    }

    fn put_cluster(&mut self, key: Arc<str>, entry: ClusterEntry) {
        let before = self.cluster.bytes();
        let (value, version, writer) = (entry.value.clone(), entry.version, entry.writer);
        self.cluster.put(&key, entry);
        self.bytes = self.bytes - before + self.cluster.bytes();
        self.note(MemberId::NONE, key, value, version, writer);
    }

    fn note(&mut self, owner: MemberId, key: Arc<str>, new: Option<Bytes>, version: u64, writer: MemberId) {
        let value = new.map(|value| StateValue { value, version, writer });
        self.changes.push(StateChange { owner, key, value });
    }

    /// The member finds that there is a map of an earlier life of its own, or that somebody says so: its own map
    /// outranks it from now on. `epoch` is where this life began.
    pub(super) fn outrank(&mut self, own: MemberId, epoch: u64, heard: u64) {
        let map = self.maps.entry(own).or_insert_with(|| Map::new(epoch, self.signs));
        if map.epoch <= heard {
            map.epoch = epoch_above(heard, epoch);
        }
        // An empty map has to be told, too: so it gets a version.
        map.version = map.version.max(1);
        if let Some(signed) = &mut map.signed {
            signed.statement = None;
        }
    }

    /// Takes in a section of another member's map, in `entries` that members of this worker share.
    pub(super) fn take_map(&mut self, section: &KeySection<'_>, entries: &mut StateEntries) -> Taken {
        let span = section.span;
        let mut taken = Taken::default();
        if !self.maps.contains_key(&span.owner) {
            if self.maps.len() >= OWNERS_MAX {
                taken.refused = 1;
                return taken;
            }
            if span.since != 0 {
                taken.gap = true;
                return taken;
            }
        }
        if span.until == 0 {
            return taken;
        }
        let map = self.maps.entry(span.owner).or_insert_with(|| Map::copy(span.epoch, span.floor));
        let is_same = span.epoch == map.epoch;
        let has_all = is_same && (span.until < map.version || span.until == map.version && !map.is_stale());
        if span.epoch < map.epoch || has_all {
            return taken;
        }
        if span.since > if is_same { map.version } else { 0 } {
            taken.gap = true;
            return taken;
        }
        let before = map.bytes();
        if !is_same || span.reset && map.version < span.floor {
            map.begin(span.epoch, span.floor);
        }
        let changes = &mut self.changes;
        let others = self.bytes - before;
        for entry in section.entries() {
            let Ok(entry) = entry else {
                taken.broken = true;
                break;
            };
            if entry.version <= map.version {
                continue;
            }
            let new = match entry.value {
                KeyValue::Set(value) => Some(value),
                KeyValue::Deleted | KeyValue::Elsewhere(_) => None,
            };
            let with = map.bytes_with(entry.key, new.map_or(0, <[u8]>::len));
            let is_new = map.get(entry.key).is_none_or(|entry| entry.value.is_none());
            let fits = check_bytes(self.limits, with, with + others).is_ok()
                && (!is_new || new.is_none() || map.len() < MAP_KEYS_MAX);
            if !fits {
                taken.refused += 1;
                break;
            }
            taken.news += 1;
            map.version = entry.version;
            let entry = entries.entry(entry.version, entry.key, new);
            let before = map.put(Arc::clone(&entry));
            changes.extend(change_of(span.owner, &entry, before.as_deref()));
        }
        if !taken.broken && taken.refused == 0 {
            taken.news += u64::from(map.version < span.until);
            map.version = map.version.max(span.until);
            if span.complete {
                let gone = map.drop_stale().into_iter();
                changes.extend(gone.map(|key| StateChange { owner: span.owner, key, value: None }));
            }
        }
        map.bound_tombstones();
        self.bytes = others + map.bytes();
        if map.version == 0 && !map.is_stale() {
            self.maps.remove(&span.owner);
        }
        taken
    }

    /// Takes in a section of keys of the cluster, of which each has to be `vouched` for. A value that is elsewhere is a gap.
    pub(super) fn take_cluster(
        &mut self,
        section: &KeySection<'_>,
        mut vouched: impl FnMut(&KeyEntry<'_>) -> Vouched,
    ) -> Taken {
        let mut taken = Taken::default();
        for entry in section.entries() {
            let Ok(entry) = entry else {
                taken.broken = true;
                break;
            };
            if !self.cluster.is_news(entry.key, entry.version, entry.writer) {
                continue;
            }
            let length = if let KeyValue::Set(value) = entry.value { value.len() } else { 0 };
            let each = self.cluster.bytes_with(entry.key, length);
            let fits = check_bytes(self.limits, each, each + self.bytes - self.cluster.bytes()).is_ok();
            let full = self.cluster.len() >= CLUSTER_KEYS_MAX
                && entry.value != KeyValue::Deleted
                && self.cluster.get(entry.key).is_none();
            if !fits || full || !self.cluster.is_plausible(entry.version) {
                taken.refused += 1;
                continue;
            }
            match vouched(&entry) {
                Vouched::Yes(signed) => self.take_entry(&entry, signed, &mut taken),
                Vouched::ByAnother => self.cluster.raise_clock(entry.version),
                Vouched::No => {}
            }
        }
        taken
    }

    /// Takes in an entry of the cluster's keys that is news.
    fn take_entry(&mut self, entry: &KeyEntry<'_>, signed: Option<Box<SignedKey>>, taken: &mut Taken) {
        let (key, version, writer) = (Arc::from(entry.key), entry.version, entry.writer);
        let value = match entry.value {
            KeyValue::Set(value) => Some(Bytes::copy_from_slice(value)),
            KeyValue::Deleted => None,
            KeyValue::Elsewhere(_) => {
                taken.gap = true;
                self.elsewhere.push((key, version, writer));
                return;
            }
        };
        taken.news += 1;
        self.put_cluster(key, ClusterEntry { version, writer, value, signed });
    }

    /// Forgets a key of the cluster.
    pub(super) fn forget_cluster_key(&mut self, key: &str) {
        self.bytes -= self.cluster.bytes();
        self.cluster.forget(key);
        self.bytes += self.cluster.bytes();
    }

    /// Forgets the map of `owner`.
    pub(super) fn forget(&mut self, owner: MemberId) {
        let Some(map) = self.maps.remove(&owner) else { return };
        self.bytes -= map.bytes();
        let keys = map.iter("").map(|entry| StateChange { owner, key: Arc::clone(&entry.key), value: None });
        self.changes.extend(keys);
    }

    /// The roots, over the maps of those that `is_live`.
    pub(super) fn roots(&self, is_live: impl Fn(MemberId) -> bool) -> KeyRoots {
        let maps = self.maps.iter().filter(|(owner, map)| map.version != 0 && is_live(**owner));
        let sum = maps.fold(0u64, |sum, (owner, map)| sum.wrapping_add(map.digest(*owner).term()));
        KeyRoots { maps: sum, keys: self.cluster.root() }
    }
}

/// What has changed in the map of `owner` with this entry, if the one `before` has another value or none.
pub(super) fn change_of(
    owner: MemberId,
    entry: &StateEntry,
    before: Option<&StateEntry>,
) -> Option<StateChange> {
    let had = before.and_then(|before| before.value.as_ref());
    let value = valued(entry.value.as_ref(), entry.version, owner);
    (had != entry.value.as_ref()).then(|| StateChange { owner, key: Arc::clone(&entry.key), value })
}

/// The lowest epoch above `heard` with the chance of the one that a life began with. One more than `heard` would be the same for
/// two lives that both have heard of a third and not of each other, and then a copy of the one's map would count as the other's.
fn epoch_above(heard: u64, began: u64) -> u64 {
    let chance = began & EPOCH_CHANCE;
    let same_block = heard & !EPOCH_CHANCE | chance;
    if same_block > heard { same_block } else { (heard | EPOCH_CHANCE).saturating_add(1) | chance }
}

fn valued(value: Option<&Bytes>, version: u64, writer: MemberId) -> Option<StateValue> {
    value.map(|value| StateValue { value: value.clone(), version, writer })
}

fn check_key(key: &str) -> Result<(), StateError> {
    match key.len() {
        0 => Err(StateError::KeyEmpty),
        1..=KEY_MAX => Ok(()),
        length => Err(StateError::KeyTooLong(length)),
    }
}

fn check_value(value: Option<&Bytes>) -> Result<usize, StateError> {
    let length = value.map_or(0, Bytes::len);
    if length > VALUE_MAX { Err(StateError::ValueTooLong(length)) } else { Ok(length) }
}

pub(super) fn check_bytes(limits: Limits, each: usize, all: usize) -> Result<(), StateError> {
    if each > limits.each {
        return Err(StateError::TooMuch(each));
    }
    if all > limits.all { Err(StateError::TooMuchInAll(all)) } else { Ok(()) }
}

#[cfg(test)]
#[path = "store_test.rs"]
mod tests;
