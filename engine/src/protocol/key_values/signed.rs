//! Maps where members have identities: what an owner has signed is taken in, whole or not at all.
//!
//! An owner states what its map comes to at a version (`swimring_codec::native::MapStatement`): the hash of the hashes of all
//! entries. So a copy has those hashes beside its entries. A section with a statement is looked at before it changes anything: what the map would
//! come to with it is what was stated, or the section is dropped. One that does not fit a message comes in pieces, of which only the last
//! has the statement: those before it wait, *staged*, until it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use swimring_codec::MemberId;
use swimring_codec::native::{
    EntryHash, KeySection, KeySpan, KeyValue, MapStatement, PublicKey, entry_hash, map_hash,
};

use super::KeyValues;
use super::map::{Map, TOMBSTONES_MAX};
use super::store::{Limits, MAP_KEYS_MAX, StateChange, Store, Taken, change_of, check_bytes};
use super::telling::reference;
use crate::protocol::shared_lists::state_entries::{StateEntries, StateEntry};
use crate::protocol::state::{Context, Core, SharedState};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::statements::StatedMap;

/// Maps that come in pieces at a time. One more displaces the oldest, which is asked for again.
pub(super) const STAGED_MAX: usize = 4;

/// Pieces whose next has not come for so long are dropped.
const STAGED_KEPT: Duration = Duration::from_secs(10);

/// What a map has beside its entries, where members have identities.
#[derive(Clone, Default, Debug)]
pub(super) struct Signed {
    /// Hashes of the entries by their versions.
    pub(super) hashes: BTreeMap<u64, EntryHash>,
    /// What its owner states of it as it is; nothing while it has not since it changed it.
    pub(super) statement: Option<MapStatement>,
    /// By which key; of a copy.
    key: Option<PublicKey>,
}

/// An entry that may be put into a map.
#[derive(Debug)]
struct Change {
    entry: Arc<StateEntry>,
    hash: EntryHash,
}

/// What has come of a map, up to a piece with a statement.
#[derive(Debug)]
pub(super) struct Staged {
    owner: MemberId,
    from: MemberId,
    epoch: u64,
    since: u64,
    until: u64,
    changes: Vec<Change>,
    bytes: usize,
    touched: Time,
}

impl Staged {
    fn begin(span: &KeySpan, from: MemberId) -> Staged {
        Staged {
            owner: span.owner,
            from,
            epoch: span.epoch,
            since: span.since,
            until: span.since,
            changes: Vec::new(),
            bytes: 0,
            touched: Time::ZERO,
        }
    }

    /// Whether `span`, said by `from`, goes on where this ends.
    fn is_followed_by(&self, span: &KeySpan, from: MemberId) -> bool {
        (self.owner, self.from, self.epoch, self.until) == (span.owner, from, span.epoch, span.since)
    }

    /// Adds the entries of a section. What is amiss with it, if anything is.
    fn read(
        &mut self,
        section: &KeySection<'_>,
        limits: Limits,
        entries: &mut StateEntries,
    ) -> Result<(), Taken> {
        for entry in section.entries() {
            let Ok(entry) = entry else { return Err(Taken { broken: true, ..Taken::default() }) };
            let value = match entry.value {
                KeyValue::Set(value) => Some(value),
                KeyValue::Deleted | KeyValue::Elsewhere(_) => None,
            };
            let hash = entry_hash(&entry);
            let change = Change { entry: entries.entry(entry.version, entry.key, value), hash };
            self.bytes += change.entry.bytes();
            if self.bytes > limits.each || self.changes.len() >= MAP_KEYS_MAX + TOMBSTONES_MAX {
                return Err(Taken { refused: 1, ..Taken::default() });
            }
            self.changes.push(change);
        }
        self.until = section.span.until;
        Ok(())
    }
}

/// What a map would come to.
struct Outcome {
    hash: EntryHash,
    bytes: usize,
    values: usize,
    deletions: usize,
}

impl Map {
    /// An empty one of this life, to be signed.
    pub(super) fn signed(epoch: u64, floor: u64) -> Map {
        let mut map = Map::copy(epoch, floor);
        map.signed = Some(Box::default());
        map
    }

    /// What its owner states of it as it is.
    pub(super) fn statement(&self) -> Option<&MapStatement> {
        self.signed.as_ref()?.statement.as_ref()
    }

    /// Has its owner state what it comes to, unless that is stated.
    fn state(&mut self, owner: MemberId, sign: impl FnOnce(&KeySpan, EntryHash) -> MapStatement) {
        let span = reference(owner, self.epoch, self.version, self.floor);
        if let Some(signed) = &mut self.signed {
            let hashes = &signed.hashes;
            signed.statement.get_or_insert_with(|| sign(&span, map_hash(hashes.values())));
        }
    }

    /// What the map comes to with `changes`, which are later than all that it has, once deletions up to `floor` are forgotten. Nothing if a
    /// key is changed twice.
    fn outcome(&self, changes: &[Change], floor: u64) -> Option<Outcome> {
        let (mut gone, mut keys) = (BTreeSet::new(), BTreeSet::new());
        let (mut bytes, mut values) = (self.bytes(), self.len());
        for Change { entry, .. } in changes {
            if !keys.insert(&*entry.key) {
                return None;
            }
            bytes += entry.bytes();
            values += usize::from(entry.value.is_some());
            if let Some(before) = self.get(&entry.key) {
                gone.insert(before.version);
                bytes -= before.bytes();
                values -= usize::from(before.value.is_some());
            }
        }
        let stays =
            |version: &u64| !gone.contains(version) && (*version > floor || !self.is_deletion(*version));
        let deleted = changes.iter().filter(|change| change.entry.value.is_none()).count();
        let deletions = deleted + self.deletions().filter(|version| stays(version)).count();
        let kept = self.signed.iter().flat_map(|signed| signed.hashes.iter());
        let kept = kept.filter(|(version, _)| stays(version)).map(|(_, hash)| hash);
        let hash = map_hash(kept.chain(changes.iter().map(|change| &change.hash)));
        Some(Outcome { hash, bytes, values, deletions })
    }

    /// Puts `changes`, after which it is what its owner has stated of it by `key` where `span` ends.
    fn put_stated(
        &mut self,
        changes: Vec<Change>,
        span: &KeySpan,
        (key, statement): (PublicKey, MapStatement),
        mut changed: impl FnMut(&StateEntry, Option<&StateEntry>),
    ) {
        for Change { entry, .. } in changes {
            let before = self.put(Arc::clone(&entry));
            changed(&entry, before.as_deref());
        }
        self.forget_deletions(span.floor);
        (self.version, self.floor) = (span.until, span.floor);
        if let Some(signed) = &mut self.signed {
            (signed.statement, signed.key) = (Some(statement), Some(key));
        }
    }

    fn is_by(&self, key: &PublicKey) -> bool {
        self.signed.as_ref().is_some_and(|signed| signed.key.as_ref() == Some(key))
    }
}

impl Store {
    /// Whether `span` goes further than what is here of that map, which is to be by `key`.
    fn is_further(&self, span: &KeySpan, key: &PublicKey) -> bool {
        let here = self.maps.get(&span.owner).filter(|map| map.is_by(key));
        span.until != 0 && here.is_none_or(|map| (span.epoch, span.until) > (map.epoch, map.version))
    }

    /// Whether a section of `span` follows on what is here, or on nothing.
    fn is_followed_by(&self, span: &KeySpan) -> bool {
        let here = self.maps.get(&span.owner);
        span.since == 0 || here.is_some_and(|map| map.epoch == span.epoch && map.version >= span.since)
    }

    /// Keeps a piece of a map until the rest is there.
    fn stage(
        &mut self,
        from: MemberId,
        section: &KeySection<'_>,
        entries: &mut StateEntries,
        now: Time,
    ) -> Taken {
        let span = &section.span;
        let Some(mut staged) = self.unstage(from, span) else {
            return Taken { gap: true, ..Taken::default() };
        };
        match staged.read(section, self.limits, entries) {
            Ok(()) => {
                staged.touched = now;
                if self.staged.len() >= STAGED_MAX {
                    self.staged.remove(0);
                }
                self.staged.push(staged);
                Taken::default()
            }
            Err(taken) => taken,
        }
    }

    /// Takes out what has come before `span` from the same, or begins with it. Nothing if it follows on nothing.
    fn unstage(&mut self, from: MemberId, span: &KeySpan) -> Option<Staged> {
        let of_both = |staged: &Staged| (staged.owner, staged.from) == (span.owner, from);
        let before = self.staged.iter().position(of_both).map(|at| self.staged.remove(at));
        let before = before.filter(|staged| staged.is_followed_by(span, from));
        before.or_else(|| self.is_followed_by(span).then(|| Staged::begin(span, from)))
    }

    /// Drops pieces whose next does not come.
    pub(super) fn drop_staged(&mut self, now: Time) {
        self.staged.retain(|staged| now.since(staged.touched) < STAGED_KEPT);
    }

    /// Takes in a section that goes further than what is here, up to what its owner has stated of it.
    fn take_stated(
        &mut self,
        from: MemberId,
        section: &KeySection<'_>,
        stated: (PublicKey, MapStatement),
        entries: &mut StateEntries,
    ) -> Taken {
        let span = &section.span;
        let nothing = Taken::default();
        let is_new = !self.maps.contains_key(&span.owner);
        if is_new && self.maps.len() >= super::store::OWNERS_MAX {
            return Taken { refused: 1, ..nothing };
        }
        let Some(mut staged) = self.unstage(from, span) else { return Taken { gap: true, ..nothing } };
        if let Err(taken) = staged.read(section, self.limits, entries) {
            return taken;
        }
        let Staged { since, mut changes, .. } = staged;
        let whole = Map::signed(span.epoch, span.floor);
        let here = self.maps.get(&span.owner);
        let before = here.map_or(0, Map::bytes);
        let same = here.filter(|map| map.is_by(&stated.0) && map.epoch == span.epoch && map.version >= since);
        // On what is here, or, if it is the whole map, in its place.
        let later =
            same.map_or(0, |map| changes.partition_point(|change| change.entry.version <= map.version));
        let right =
            |map: &Map, changes| map.outcome(changes, span.floor).filter(|to| to.hash == stated.1.hash);
        let on_it = same.and_then(|map| right(map, &changes[later..]));
        let instead = if on_it.is_none() && since == 0 { right(&whole, &changes) } else { None };
        let anew = instead.is_some();
        let Some(outcome) = on_it.or(instead) else {
            return Taken { forged: 1, gap: true, ..nothing };
        };
        let fits = check_bytes(self.limits, outcome.bytes, outcome.bytes + self.bytes - before).is_ok();
        if !fits || outcome.values > MAP_KEYS_MAX || outcome.deletions > TOMBSTONES_MAX {
            return Taken { refused: 1, ..nothing };
        }
        let news = (changes.len() - if anew { 0 } else { later }).max(1) as u64;
        if anew {
            self.replace(whole, changes, span, stated);
        } else if let Some(map) = self.maps.get_mut(&span.owner) {
            changes.drain(..later);
            let (owner, noted) = (span.owner, &mut self.changes);
            map.put_stated(changes, span, stated, |entry, before| {
                noted.extend(change_of(owner, entry, before));
            });
        }
        self.bytes = self.bytes - before + self.maps.get(&span.owner).map_or(0, Map::bytes);
        Taken { news, ..nothing }
    }

    /// Puts a whole map in the place of what is here.
    fn replace(
        &mut self,
        mut whole: Map,
        changes: Vec<Change>,
        span: &KeySpan,
        stated: (PublicKey, MapStatement),
    ) {
        let owner = span.owner;
        whole.put_stated(changes, span, stated, |_, _| {});
        let before = self.maps.remove(&owner);
        let had = |key: &str| before.as_ref().and_then(|map| map.get(key));
        self.changes.extend(whole.iter("").filter_map(|entry| change_of(owner, entry, had(&entry.key))));
        let has = |key: &str| whole.get(key).is_some_and(|entry| entry.value.is_some());
        let gone = before.iter().flat_map(|map| map.iter("")).filter(|entry| !has(&entry.key));
        self.changes.extend(gone.map(|entry| StateChange {
            owner,
            key: Arc::clone(&entry.key),
            value: None,
        }));
        self.maps.insert(owner, whole);
    }
}

impl KeyValues {
    /// Has our own map signed as it is, where members have identities: to be called before it is told or answered with.
    pub(super) fn sign_own(&mut self, core: &Core, shared: &SharedState) {
        let Some(statements) = &shared.directory.statements else { return };
        if let (Some(map), Some(key)) = (self.store.maps.get_mut(&core.id), statements.key(core.index)) {
            map.state(core.id, |span, hash| key.sign_map(statements.cluster(), span, hash));
        }
    }

    /// Takes in a section of the map of another where members have identities.
    pub(super) fn take_signed(
        &mut self,
        core: &Core,
        cx: &mut Context<'_, '_>,
        from: MemberId,
        section: &KeySection<'_>,
    ) -> Taken {
        let span = &section.span;
        let Some((index, key)) = key_of(core, cx.shared, span.owner) else {
            // Its introduction is on its way, or it is none of us.
            return Taken { gap: true, ..Taken::default() };
        };
        if !self.store.is_further(span, &key) {
            return Taken::default();
        }
        match section.statement {
            Some(statement) if !vouches(cx, (index, key), span, statement) => Taken::default(),
            Some(statement) => {
                if self.store.maps.get(&span.owner).is_some_and(|map| !map.is_by(&key)) {
                    // Of somebody who had the name before: nothing follows on it.
                    self.store.forget(span.owner);
                }
                let entries = &mut cx.shared.state_entries;
                let taken = self.store.take_stated(from, section, (key, *statement), entries);
                cx.shared.counters.identities_forged += taken.forged;
                taken
            }
            None if span.complete || span.since == span.until => {
                cx.shared.counters.identities_unsigned += 1;
                Taken::default()
            }
            None => self.store.stage(from, section, &mut cx.shared.state_entries, cx.now),
        }
    }

    /// Whether we have said what a section says of our own map, where members have identities.
    pub(super) fn is_own_past(core: &Core, cx: &mut Context<'_, '_>, section: &KeySection<'_>) -> bool {
        let Some(statement) = section.statement else {
            cx.shared.counters.identities_unsigned += 1;
            return false;
        };
        let own = key_of(core, cx.shared, core.id);
        own.is_some_and(|own| vouches(cx, own, &section.span, statement))
    }
}

/// Whether the member with this key has stated this of its map.
fn vouches(
    cx: &mut Context<'_, '_>,
    (index, key): (MemberIndex, PublicKey),
    span: &KeySpan,
    statement: &MapStatement,
) -> bool {
    let stated =
        StatedMap { key, epoch: span.epoch, version: span.until, floor: span.floor, statement: *statement };
    if cx.shared.directory.has_stated_map(index, &stated) {
        return true;
    }
    let right = cx.shared.judge_signature(cx.now, |_, cluster| key.verifies_map(cluster, span, statement));
    if right {
        cx.shared.directory.keep_stated_map(index, stated);
    }
    right
}

/// The member called `id`, and its public key; nothing if it is not in the view.
pub(super) fn key_of(core: &Core, shared: &SharedState, id: MemberId) -> Option<(MemberIndex, PublicKey)> {
    let index = shared.directory.find(id)?;
    Some((index, core.public_key(shared, (index, core.table.get(index)))?))
}

#[cfg(test)]
#[path = "signed_test.rs"]
mod tests;
