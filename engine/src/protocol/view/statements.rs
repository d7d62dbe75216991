//! Statements: what members have signed of themselves, kept to be passed on, where members have identities.
//!
//! For each member that somebody here holds there is its last statement, that it is alive at an incarnation with one address, metadata and
//! zone, or that it has left; with the signature under which that was believed. As long as members of one worker hold different
//! ones, a few that came before are kept as well. What is kept has been verified: a copy of it that
//! another member of the worker receives is believed without another look.
//!
//! Here are also the keys of the worker's own members, which sign when they change, and which keys are admitted.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use swimring_codec::native::{IdentityKey, Introduction, MapStatement, PublicKey, Signature, split_metadata};
use swimring_codec::{Incarnation, MemberId, State};

use crate::protocol::time::Time;
use crate::protocol::view::directory::{Directory, MemberIndex, UNVERSIONED, Version, identity_of};
use crate::protocol::view::grow_for_one;
use crate::protocol::view::verified::Verified;

/// Most statements of one member that are kept beside its last one, for members of the worker that have not heard that.
pub(in crate::protocol) const EARLIER_MAX: usize = 3;

/// Most wrong signatures that are looked at in a second: about a tenth of a core's time.
pub(in crate::protocol) const WRONG_MAX: u32 = 2_000;

const SECOND: Duration = Duration::from_secs(1);

/// Which keys may take part. All, if the list is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdmittedKeys {
    /// From each key to the name that it has to have, if that is said.
    keys: HashMap<PublicKey, Option<String>>,
    /// The members whose names belong to keys.
    owned: HashMap<MemberId, Vec<PublicKey>>,
}

impl AdmittedKeys {
    /// Admits `key`: under `name` alone, which nobody else on the list may have then, or under any that is nobody's.
    pub fn add(&mut self, key: PublicKey, name: Option<&str>) {
        self.keys.insert(key, name.map(str::to_owned));
        if let Some(name) = name {
            self.owned.entry(MemberId::of_name(name)).or_default().push(key);
        }
    }

    /// Keys on the list.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is on the list: then all are admitted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a member called `name` may have `key`.
    pub fn admits(&self, key: &PublicKey, name: &str) -> bool {
        let only = |only: &Option<String>| only.as_deref().is_none_or(|only| only == name);
        self.is_empty() || self.keys.get(key).is_some_and(only) && self.leaves(key, MemberId::of_name(name))
    }

    /// Whether a member of this id, whose name is not known, may have `key`.
    fn admits_id(&self, key: &PublicKey, id: MemberId) -> bool {
        let only = |only: &Option<String>| only.as_deref().is_none_or(|only| MemberId::of_name(only) == id);
        self.is_empty() || self.keys.get(key).is_some_and(only) && self.leaves(key, id)
    }

    /// Whether the list has `key` with the name of the member `id`.
    fn names(&self, key: &PublicKey, id: MemberId) -> bool {
        self.owned.get(&id).is_some_and(|keys| keys.contains(key)) && self.admits_id(key, id)
    }

    /// Whether the name of the member `id` is nobody's on the list, or that of `key`.
    fn leaves(&self, key: &PublicKey, id: MemberId) -> bool {
        self.owned.get(&id).is_none_or(|keys| keys.contains(key))
    }
}

/// One statement.
#[derive(Clone, Copy, Debug)]
struct Statement {
    /// The incarnation, and below it the state.
    said: u64,
    /// Hash of the address, metadata and zone that it was said with.
    identity: u64,
    signature: Signature,
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<Statement>() <= 80);

impl Statement {
    /// Alive at nobody's incarnation: nothing.
    const NOTHING: Statement = Statement { said: 0, identity: 0, signature: [0; 64] };
}

/// Alive, whatever else is believed of the member, or left.
fn said(incarnation: Incarnation, state: State) -> u64 {
    let state = if state == State::Left { State::Left } else { State::Alive };
    incarnation.get() << 8 | state as u64
}

/// What a member has stated of its map of shared state, and that it has: the members of a worker look at a signature once between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct StatedMap {
    pub(in crate::protocol) key: PublicKey,
    pub(in crate::protocol) epoch: u64,
    pub(in crate::protocol) version: u64,
    pub(in crate::protocol) floor: u64,
    pub(in crate::protocol) statement: MapStatement,
}

/// See the module.
#[derive(Debug)]
pub(in crate::protocol) struct Statements {
    cluster: u32,
    admitted: Arc<AdmittedKeys>,
    /// Keys of the members that live here, by their indexes.
    own: HashMap<MemberIndex, IdentityKey>,
    /// The last statement of each member, by its index.
    last: Vec<Statement>,
    /// Those before, the oldest first, while somebody here may hold them.
    earlier: HashMap<MemberIndex, Vec<Statement>>,
    /// The last that each member has stated of its map of shared state, by its index.
    maps: HashMap<MemberIndex, StatedMap>,
    /// What members have stated of keys of the cluster.
    pub(in crate::protocol) keys_verified: Verified,
    /// Wrong signatures since.
    wrong: u32,
    wrong_since: Time,
}

impl Statements {
    /// None yet, of members of `cluster`, the number that is in their headers.
    pub(in crate::protocol) fn new(cluster: u32, admitted: Arc<AdmittedKeys>) -> Statements {
        Statements {
            cluster,
            admitted,
            own: HashMap::new(),
            last: Vec::new(),
            earlier: HashMap::new(),
            maps: HashMap::new(),
            keys_verified: Verified::default(),
            wrong: 0,
            wrong_since: Time::ZERO,
        }
    }

    pub(in crate::protocol) fn cluster(&self) -> u32 {
        self.cluster
    }

    pub(in crate::protocol) fn admits(&self, key: &PublicKey, name: &str) -> bool {
        self.admitted.admits(key, name)
    }

    /// Whether the member `writer`, be it in the view or not, may have `key`.
    pub(in crate::protocol) fn admits_writer(&self, key: &PublicKey, writer: MemberId) -> bool {
        self.admitted.admits_id(key, writer)
    }

    /// Whether `key` is on the list with the name of the member `writer`.
    pub(in crate::protocol) fn lists_writer(&self, key: &PublicKey, writer: MemberId) -> bool {
        self.admitted.names(key, writer)
    }

    /// The member at `index`, which lives here, signs with `key` from now on.
    pub(in crate::protocol) fn lend(&mut self, index: MemberIndex, key: IdentityKey) {
        self.own.insert(index, key);
    }

    /// What the member at `index` signs with, if it lives here.
    pub(in crate::protocol) fn key(&self, index: MemberIndex) -> Option<&IdentityKey> {
        self.own.get(&index)
    }

    fn of(&self, index: MemberIndex) -> impl Iterator<Item = &Statement> {
        let earlier = if self.earlier.is_empty() { None } else { self.earlier.get(&index) };
        self.last.get(index as usize).into_iter().chain(earlier.into_iter().flatten())
    }

    /// The signature under which the member at `index` is alive at `incarnation`, or has left, with the `identity` of this hash.
    pub(in crate::protocol) fn find(
        &self,
        index: MemberIndex,
        (incarnation, state): (Incarnation, State),
        identity: u64,
    ) -> Option<&Signature> {
        let said = said(incarnation, state);
        let found = self.of(index).find(|kept| kept.said == said && kept.identity == identity);
        found.map(|kept| &kept.signature)
    }

    /// The same with whatever identity.
    pub(in crate::protocol) fn find_any(
        &self,
        index: MemberIndex,
        (incarnation, state): (Incarnation, State),
    ) -> Option<&Signature> {
        let said = said(incarnation, state);
        self.of(index).find(|kept| kept.said == said).map(|kept| &kept.signature)
    }

    /// Keeps what the member at `index` has said. If it is only held by one here, that is all that is kept of it.
    pub(in crate::protocol) fn keep(
        &mut self,
        index: MemberIndex,
        (incarnation, state): (Incarnation, State),
        (identity, signature): (u64, Signature),
        held_by_one: bool,
    ) {
        if self.find(index, (incarnation, state), identity) == Some(&signature) {
            return;
        }
        while self.last.len() <= index as usize {
            grow_for_one(&mut self.last);
            self.last.push(Statement::NOTHING);
        }
        let statement = Statement { said: said(incarnation, state), identity, signature };
        let last = &mut self.last[index as usize];
        if held_by_one || last.said == 0 {
            *last = statement;
            self.earlier.remove(&index);
            return;
        }
        let before = if statement.said >= last.said { std::mem::replace(last, statement) } else { statement };
        let earlier = self.earlier.entry(index).or_default();
        if earlier.len() == EARLIER_MAX {
            earlier.remove(0);
        }
        let at = earlier.partition_point(|kept| kept.said <= before.said);
        earlier.insert(at, before);
    }

    /// Nobody here holds the member at `index` any more.
    pub(in crate::protocol) fn forget(&mut self, index: MemberIndex) {
        if let Some(last) = self.last.get_mut(index as usize) {
            *last = Statement::NOTHING;
        }
        self.earlier.remove(&index);
        self.own.remove(&index);
        self.maps.remove(&index);
    }

    /// Whether as many signatures have been wrong as are looked at in a second.
    pub(in crate::protocol) fn has_enough(&mut self, now: Time) -> bool {
        if now.since(self.wrong_since) >= SECOND {
            (self.wrong, self.wrong_since) = (0, now);
        }
        self.wrong >= WRONG_MAX
    }

    /// A signature was wrong.
    pub(in crate::protocol) fn note_wrong(&mut self) {
        self.wrong += 1;
    }
}

impl Directory {
    /// The metadata of an introduction taken apart: the public key, where members sign, and what is the application's.
    pub(in crate::protocol) fn split<'b>(&self, metadata: &'b [u8]) -> (Option<PublicKey>, &'b [u8]) {
        let split = if self.signs() { split_metadata(metadata) } else { None };
        split.map_or((None, metadata), |(key, metadata)| (Some(key), metadata))
    }

    /// Whether members sign what they say of themselves.
    #[inline]
    pub(in crate::protocol) fn signs(&self) -> bool {
        self.statements.is_some()
    }

    /// What the member at `index` has signed that it is alive at `incarnation` with, or that it has left: with what `version` means. Nothing
    /// if it is not known any more.
    pub(in crate::protocol) fn signature(
        &self,
        (index, version): (MemberIndex, Version),
        incarnation: Incarnation,
        state: State,
    ) -> Option<&Signature> {
        let statements = self.statements.as_ref()?;
        statements.find(index, (incarnation, state), self.identity(index, version).hash())
    }

    /// Whether this is the signature under which the introduced member is known to be alive at `incarnation`, as it is introduced.
    pub(in crate::protocol) fn has_stated(
        &self,
        introduction: &Introduction<'_>,
        incarnation: Incarnation,
        signature: &Signature,
    ) -> bool {
        let found = self.find(introduction.subject).zip(self.statements.as_ref());
        found.is_some_and(|(index, statements)| {
            let identity = identity_of(introduction, UNVERSIONED);
            statements.find(index, (incarnation, State::Alive), identity) == Some(signature)
        })
    }

    /// Whether this is known to be stated by the member at `index`.
    pub(in crate::protocol) fn has_stated_map(&self, index: MemberIndex, stated: &StatedMap) -> bool {
        let statements = self.statements.as_ref();
        statements.and_then(|statements| statements.maps.get(&index)) == Some(stated)
    }

    /// Keeps what the member at `index`, which somebody here holds, has stated.
    pub(in crate::protocol) fn keep_stated_map(&mut self, index: MemberIndex, stated: StatedMap) {
        if let Some(statements) = &mut self.statements {
            statements.maps.insert(index, stated);
        }
    }

    /// Keeps the signature of what the member at `index` has said of itself, which somebody is about to hold in `version`.
    pub(in crate::protocol) fn keep_signature(
        &mut self,
        (index, version): (MemberIndex, Version),
        incarnation: Incarnation,
        state: State,
        signature: Signature,
    ) {
        let identity = self.identity(index, version).hash();
        let held = self.held_by(index);
        if let Some(statements) = &mut self.statements {
            statements.keep(index, (incarnation, state), (identity, signature), held <= 1);
        }
    }

    /// Has the member at `index`, which lives here, sign what it says of itself.
    pub(in crate::protocol) fn sign(
        &mut self,
        (index, version): (MemberIndex, Version),
        incarnation: Incarnation,
        state: State,
    ) {
        let Some(statements) = &self.statements else { return };
        let Some(key) = statements.key(index) else { return };
        let cluster = statements.cluster();
        let signature = match state {
            State::Left => key.sign_left(cluster, self.id(index), incarnation),
            _ => key.sign_alive(cluster, &self.introduction((index, version), incarnation, State::Alive)),
        };
        if let Some(signature) = signature {
            self.keep_signature((index, version), incarnation, state, signature);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(incarnation: u64) -> (Incarnation, State) {
        (Incarnation::new(incarnation), State::Alive)
    }

    #[test]
    fn a_few_are_kept_while_members_differ_and_one_otherwise() {
        let mut statements = Statements::new(1, Arc::default());
        for incarnation in [5, 3, 7, 8, 9, 4] {
            statements.keep(2, at(incarnation), (1, [incarnation as u8; 64]), false);
        }
        let kept = |statements: &Statements| -> Vec<u64> {
            (1..10).filter(|incarnation| statements.find(2, at(*incarnation), 1).is_some()).collect()
        };
        assert_eq!(kept(&statements), [4, 7, 8, 9], "the last, and those nearest before it");
        assert_eq!(statements.find(2, at(9), 1), Some(&[9; 64]));
        assert_eq!(statements.find(2, at(9), 2), None, "another identity");
        assert_eq!(statements.find(2, (Incarnation::new(9), State::Left), 1), None);
        assert_eq!(statements.find(2, (Incarnation::new(9), State::Dead), 1), Some(&[9; 64]), "by others");
        statements.keep(2, at(11), (1, [11; 64]), true);
        assert_eq!((kept(&statements).len(), statements.find(2, at(11), 1)), (0, Some(&[11; 64])));
        statements.forget(2);
        assert_eq!(statements.find_any(2, at(11)), None);
    }

    #[test]
    fn names_on_the_list_belong_to_their_keys() {
        let [a, b, c] = [1, 2, 3].map(|number| PublicKey([number; 32]));
        let mut admitted = AdmittedKeys::default();
        assert!(admitted.admits(&c, "any"), "without a list");
        admitted.add(a, Some("a"));
        admitted.add(b, None);
        assert!(admitted.admits(&a, "a") && admitted.admits(&b, "b") && admitted.len() == 2);
        assert!(!admitted.admits(&a, "b") && !admitted.admits(&b, "a") && !admitted.admits(&c, "c"));
    }

    #[test]
    fn wrong_signatures_are_looked_at_so_many_times_in_a_second() {
        let mut statements = Statements::new(1, Arc::default());
        let now = Time::from_micros(5_000_000);
        (0..WRONG_MAX).for_each(|_| {
            assert!(!statements.has_enough(now));
            statements.note_wrong();
        });
        assert!(statements.has_enough(now) && !statements.has_enough(now + SECOND));
    }
}
