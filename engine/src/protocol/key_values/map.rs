//! One member's map, as its owner or anybody else holds it.
//!
//! Every change of its owner takes the next version, and an entry carries that of its last change. So a copy that has come
//! to a version lacks exactly the entries with later ones. Deletions leave entries without a value; the oldest of
//! them are dropped when there are too many, and the *floor* rises: a copy that has not come so far gets the whole map.
//! While it does, what it had stays readable, as *stale*, until the rest is there.
//!
//! What a map has of an entry is two pointers to it: members of a process hold the entry itself once
//! ([`crate::protocol::shared_lists::state_entries`]).

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use swimring_codec::MemberId;
use swimring_codec::native::{KeyEntry, KeySectionWriter, KeySpan, KeyValue, MapDigest, entry_hash};

use super::signed::Signed;
use crate::protocol::shared_lists::state_entries::{ByKey, ByVersion, StateEntry};

/// Deletions remembered of one map. A copy that is further behind gets the whole map.
pub(super) const TOMBSTONES_MAX: usize = 1_024;

/// How far a copy has come that is to get what it lacks.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Have {
    /// Of which life it is.
    pub(super) epoch: u64,
    /// Everything up to this version is there.
    pub(super) version: u64,
    /// It has been sent what comes before: what is written now goes on with that.
    pub(super) begun: bool,
}

impl Have {
    /// Of a copy that says so of itself.
    pub(super) fn of(digest: &MapDigest) -> Have {
        Have { epoch: digest.epoch, version: digest.version, begun: false }
    }
}

/// See the module.
#[derive(Clone, Default, Debug)]
pub(super) struct Map {
    /// Which life of the owner.
    pub(super) epoch: u64,
    /// Everything up to this version is there.
    pub(super) version: u64,
    /// Deletions up to this version may be missing.
    pub(super) floor: u64,
    entries: BTreeSet<ByKey>,
    /// The same without the stale.
    order: BTreeSet<ByVersion>,
    /// Versions of the deletions.
    deleted: BTreeSet<u64>,
    /// Stale entries.
    stale: usize,
    /// Bytes of keys and values.
    bytes: usize,
    /// What it has beside, where members have identities.
    pub(super) signed: Option<Box<Signed>>,
}

impl Map {
    /// An empty one of this life, to be signed where members have identities.
    pub(super) fn new(epoch: u64, signs: bool) -> Map {
        if signs { Map::signed(epoch, 0) } else { Map::copy(epoch, 0) }
    }

    /// An empty copy of a map of this life, of which deletions up to `floor` may be missing.
    pub(super) fn copy(epoch: u64, floor: u64) -> Map {
        Map { epoch, floor, ..Map::default() }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keys that have a value.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.deleted.len()
    }

    /// Whether some of it is from before it was begun anew.
    pub(super) fn is_stale(&self) -> bool {
        self.stale != 0
    }

    pub(super) fn get(&self, key: &str) -> Option<&StateEntry> {
        self.entries.get(key).map(|ByKey(entry)| &**entry)
    }

    /// Keys that have a value and begin with `prefix`, in order.
    pub(super) fn iter<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a StateEntry> {
        let from = self.entries.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        let entries =
            from.map(|ByKey(entry)| &**entry).take_while(move |entry| entry.key.starts_with(prefix));
        entries.filter(|entry| entry.value.is_some())
    }

    pub(super) fn digest(&self, owner: MemberId) -> MapDigest {
        MapDigest { owner, epoch: self.epoch, version: self.version }
    }

    /// Bytes that the map would have if `key` had a value of `length`.
    pub(super) fn bytes_with(&self, key: &str, length: usize) -> usize {
        let before = self.get(key).map_or(0, StateEntry::bytes);
        self.bytes - before + key.len() + length
    }

    /// Puts an entry in the place of the one before, which it gives.
    pub(super) fn put(&mut self, entry: Arc<StateEntry>) -> Option<Arc<StateEntry>> {
        let version = entry.version;
        if entry.value.is_none() {
            self.deleted.insert(version);
        }
        if let Some(signed) = &mut self.signed {
            signed.hashes.insert(version, entry_hash(&said_of(&entry)));
            signed.statement = None;
        }
        self.bytes += entry.bytes();
        self.order.insert(ByVersion(Arc::clone(&entry)));
        let ByKey(before) = self.entries.replace(ByKey(entry))?;
        self.bytes -= before.bytes();
        self.unlist(before.version);
        Some(before)
    }

    fn unlist(&mut self, version: u64) {
        if version == 0 {
            self.stale -= 1;
        } else {
            self.order.remove(&version);
            self.deleted.remove(&version);
            self.drop_hash(version);
        }
    }

    /// Drops the oldest deletions beyond the bound.
    pub(super) fn bound_tombstones(&mut self) {
        while self.deleted.len() > TOMBSTONES_MAX
            && let Some(oldest) = self.deleted.pop_first()
        {
            self.drop_deletion(oldest);
            self.floor = self.floor.max(oldest);
        }
    }

    /// Forgets deletions up to `floor`.
    pub(super) fn forget_deletions(&mut self, floor: u64) {
        while self.deleted.first().is_some_and(|oldest| *oldest <= floor)
            && let Some(oldest) = self.deleted.pop_first()
        {
            self.drop_deletion(oldest);
        }
    }

    fn drop_deletion(&mut self, version: u64) {
        if let Some(ByVersion(entry)) = self.order.take(&version) {
            self.bytes -= entry.bytes();
            self.entries.remove(&*entry.key);
        }
        self.drop_hash(version);
    }

    fn drop_hash(&mut self, version: u64) {
        if let Some(signed) = &mut self.signed {
            signed.hashes.remove(&version);
        }
    }

    /// Versions of the deletions that are remembered.
    pub(super) fn deletions(&self) -> impl Iterator<Item = &u64> {
        self.deleted.iter()
    }

    /// Whether the entry with this version is a deletion.
    pub(super) fn is_deletion(&self, version: u64) -> bool {
        self.deleted.contains(&version)
    }

    /// Begins a life, or the same anew: what there is is stale until it is put again, or [`Map::drop_stale`].
    pub(super) fn begin(&mut self, epoch: u64, floor: u64) {
        (self.epoch, self.version, self.floor) = (epoch, 0, floor);
        self.order.clear();
        self.deleted.clear();
        self.entries = std::mem::take(&mut self.entries).into_iter().filter_map(ByKey::stale).collect();
        self.bytes = self.entries.iter().map(|ByKey(entry)| entry.bytes()).sum();
        self.stale = self.entries.len();
    }

    /// Drops what is stale: everything else is there. Gives the keys.
    pub(super) fn drop_stale(&mut self) -> Vec<Arc<str>> {
        if self.stale == 0 {
            return Vec::new();
        }
        let stale = self.entries.iter().filter(|ByKey(entry)| entry.version == 0);
        let keys: Vec<_> = stale.map(|ByKey(entry)| Arc::clone(&entry.key)).collect();
        for key in &keys {
            if let Some(ByKey(entry)) = self.entries.take(&**key) {
                self.bytes -= entry.bytes();
            }
        }
        self.stale = 0;
        keys
    }

    /// How much of the map a copy lacks that has come so far.
    fn span(&self, owner: MemberId, have: Have) -> KeySpan {
        let same = have.epoch == self.epoch;
        let reset = same && !have.begun && have.version != 0 && have.version < self.floor;
        KeySpan {
            owner,
            epoch: self.epoch,
            since: if same && !reset { have.version.min(self.version) } else { 0 },
            until: self.version,
            floor: self.floor,
            complete: self.stale == 0,
            reset,
        }
    }

    /// Writes what a copy lacks that has come so far, as far as it fits. Gives how far that copy has come then, if more is to
    /// follow.
    pub(super) fn write(
        &self,
        owner: MemberId,
        have: Have,
        writer: &mut KeySectionWriter<'_>,
    ) -> Result<(), Have> {
        let span = self.span(owner, have);
        if !writer.begin_stated(span, self.statement()) {
            return Err(have);
        }
        let mut written = span.since;
        for entry in self.later(span.since) {
            if !writer.entry(&said_of(entry)) {
                // Nothing of it: the next message begins as this one would have.
                let begun = written != span.since;
                return Err(if begun { Have { epoch: self.epoch, version: written, begun } } else { have });
            }
            written = entry.version;
        }
        writer.end();
        Ok(())
    }

    /// Entries whose last change is after `since`, in its order, deletions among them.
    pub(super) fn later(&self, since: u64) -> impl Iterator<Item = &StateEntry> {
        self.order.range((Bound::Excluded(since), Bound::Unbounded)).map(|ByVersion(entry)| &**entry)
    }

    /// Bytes of the entries after `since`, not counted beyond `most`.
    pub(super) fn bytes_since(&self, since: u64, most: usize) -> usize {
        let mut bytes = 0;
        for entry in self.later(since) {
            bytes += said_of(entry).encoded_len();
            if bytes > most {
                break;
            }
        }
        bytes
    }
}

/// An entry of a map as it travels.
fn said_of(entry: &StateEntry) -> KeyEntry<'_> {
    said(&entry.key, entry.version, MemberId::NONE, &entry.value)
}

/// An entry as it travels.
pub(super) fn said<'a>(
    key: &'a str,
    version: u64,
    writer: MemberId,
    value: &'a Option<Bytes>,
) -> KeyEntry<'a> {
    let value = value.as_ref().map_or(KeyValue::Deleted, |value| KeyValue::Set(value));
    KeyEntry { key, version, writer, value, statement: None }
}
