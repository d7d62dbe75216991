//! The keys of the whole cluster: every member may write them, and the last to write wins.
//!
//! Last is the higher version; where two members have taken the same one at the same time, the higher id. A writer takes
//! a version above all that it has seen, whose last 16 bits are those of its life: one that has restarted, and heard of nobody yet,
//! takes another than it took before, or two values would be told apart by nothing. Deletions are remembered up to a bound: a member that was cut off for longer
//! than they last can bring a deleted key back.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use swimring_codec::MemberId;
use swimring_codec::native::{KeyDigest, KeyEntry, KeyValue};

use super::map::said;
use super::signed_keys::SignedKey;

/// Most keys of the cluster that have a value.
pub(super) const CLUSTER_KEYS_MAX: usize = 4_096;

/// Deletions remembered of them.
pub(super) const CLUSTER_TOMBSTONES_MAX: usize = 1_024;

/// How far above every known version one may lie: a forged one must not use them up.
pub(super) const VERSION_STEP_MAX: u64 = 1 << 48;

/// Bits of a version that are those of its writer's life.
const LIFE_BITS: u32 = 16;

/// What became of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ClusterEntry {
    pub(super) version: u64,
    pub(super) writer: MemberId,
    /// Nothing if it was deleted.
    pub(super) value: Option<Bytes>,
    /// What the writer has signed, where members have identities.
    pub(super) signed: Option<Box<SignedKey>>,
}

/// See the module.
#[derive(Clone, Default, Debug)]
pub(super) struct ClusterKeys {
    entries: BTreeMap<Arc<str>, ClusterEntry>,
    /// Deletions, by version.
    deleted: BTreeSet<(u64, Arc<str>)>,
    /// The highest version seen.
    clock: u64,
    /// Sum of the terms of all keys that have a value.
    root: u64,
    bytes: usize,
}

impl ClusterKeys {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn root(&self) -> u64 {
        self.root
    }

    /// Keys that have a value.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.deleted.len()
    }

    pub(super) fn get(&self, key: &str) -> Option<&ClusterEntry> {
        self.entries.get(key)
    }

    /// Keys that have a value and begin with `prefix`, in order.
    pub(super) fn iter<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a ClusterEntry)> {
        let from = self.entries.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.take_while(move |(key, _)| key.starts_with(prefix)).filter(|(_, entry)| entry.value.is_some())
    }

    /// The version of the next change in the life of `epoch`; nothing if there are no more.
    pub(super) fn next_version(&self, epoch: u64) -> Option<u64> {
        let next = (self.clock >> LIFE_BITS) + 1;
        (next < 1 << (u64::BITS - LIFE_BITS)).then_some(next << LIFE_BITS | epoch & ((1 << LIFE_BITS) - 1))
    }

    /// Whether a change of `key` at `version` by `writer` is later than what is known.
    pub(super) fn is_news(&self, key: &str, version: u64, writer: MemberId) -> bool {
        self.entries.get(key).is_none_or(|known| (version, writer) > (known.version, known.writer))
    }

    /// Whether `version` can be one that a member took.
    pub(super) fn is_plausible(&self, version: u64) -> bool {
        version <= self.clock.saturating_add(VERSION_STEP_MAX)
    }

    /// Bytes that all would have if `key` had a value of `length`.
    pub(super) fn bytes_with(&self, key: &str, length: usize) -> usize {
        let before = self.entries.get(key).map_or(0, |entry| key.len() + length_of(entry));
        self.bytes - before + key.len() + length
    }

    /// Puts an entry in the place of the one before.
    pub(super) fn put(&mut self, key: &Arc<str>, entry: ClusterEntry) {
        self.clock = self.clock.max(entry.version);
        self.bytes += key.len() + length_of(&entry);
        match entry.value {
            Some(_) => self.root = self.root.wrapping_add(digest(key, &entry).term()),
            None => _ = self.deleted.insert((entry.version, Arc::clone(key))),
        }
        if let Some(before) = self.entries.insert(Arc::clone(key), entry) {
            self.take_out(key, &before);
        }
        while self.deleted.len() > CLUSTER_TOMBSTONES_MAX
            && let Some((_, key)) = self.deleted.pop_first()
        {
            self.bytes -= key.len();
            self.entries.remove(&key);
        }
    }

    /// Takes what `key` was out of the sums.
    fn take_out(&mut self, key: &Arc<str>, before: &ClusterEntry) {
        self.bytes -= key.len() + length_of(before);
        match before.value {
            Some(_) => self.root = self.root.wrapping_sub(digest(key, before).term()),
            None => _ = self.deleted.remove(&(before.version, Arc::clone(key))),
        }
    }

    /// Forgets `key`, as if it had never been heard of.
    pub(super) fn forget(&mut self, key: &str) {
        if let Some((key, before)) = self.entries.remove_entry(key) {
            self.take_out(&key, &before);
        }
    }

    /// The entry of `key` is signed so.
    pub(super) fn sign(&mut self, key: &str, signed: Box<SignedKey>) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.signed = Some(signed);
        }
    }

    /// The highest version seen.
    pub(super) fn clock(&self) -> u64 {
        self.clock
    }

    /// Versions up to `clock` have been taken.
    pub(super) fn raise_clock(&mut self, clock: u64) {
        self.clock = self.clock.max(clock);
    }

    /// All keys, deletions among them, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Arc<str>, &ClusterEntry)> {
        self.entries.iter()
    }

    /// How far each key has come, deletions among them.
    pub(super) fn digests(&self) -> impl Iterator<Item = (&Arc<str>, KeyDigest)> {
        self.entries.iter().map(|(key, entry)| (key, digest(key, entry)))
    }

    /// How far `key` has come.
    pub(super) fn digest_of(&self, key: &str) -> KeyDigest {
        let nothing = KeyDigest { hash: KeyDigest::hash_of(key), version: 0, writer: MemberId::NONE };
        self.entries.get(key).map_or(nothing, |entry| digest(key, entry))
    }

    /// The entry of `key` as it travels.
    pub(super) fn said<'a>(&'a self, key: &'a str) -> Option<KeyEntry<'a>> {
        let entry = self.entries.get(key)?;
        let statement = entry.signed.as_ref().map(|signed| &signed.statement);
        Some(KeyEntry { statement, ..said(key, entry.version, entry.writer, &entry.value) })
    }

    /// The same without its value, which is to be asked for.
    pub(super) fn said_elsewhere<'a>(&'a self, key: &'a str) -> Option<KeyEntry<'a>> {
        let hash = self.entries.get(key)?.signed.as_ref().map(|signed| &signed.hash);
        Some(KeyEntry { value: KeyValue::Elsewhere(hash), ..self.said(key)? })
    }
}

fn length_of(entry: &ClusterEntry) -> usize {
    entry.value.as_ref().map_or(0, Bytes::len)
}

fn digest(key: &str, entry: &ClusterEntry) -> KeyDigest {
    KeyDigest { hash: KeyDigest::hash_of(key), version: entry.version, writer: entry.writer }
}
