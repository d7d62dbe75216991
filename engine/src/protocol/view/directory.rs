//! The directory: who is who, once per worker.
//!
//! Ten thousand members in one process all know the same ten thousand names, addresses, zones and metadata. The
//! directory interns them: a member's table refers to another member by a small *index*, and to what it
//! believes of its address and metadata by a *version* under that index, since two members may not have
//! heard of the same change yet. References are counted, so an index or version is free again when the
//! last member has dropped it.
//!
//! Version 0 is where nearly always the only identity is, so it is packed, and its references are counted apart. The
//! others lie in a table of theirs while there are any.

use hashbrown::{HashMap, HashTable};
use swimring_codec::memberlist::Versions;
use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State};

pub use crate::protocol::view::identity::{Identity, identity_of};
use crate::protocol::view::identity::{OtherIdentity, PackedIdentities};
use crate::protocol::view::keyed_hash::KeyedHash;
use crate::protocol::view::recent_hashes::RecentHashes;
use crate::protocol::view::references::References;
use crate::protocol::view::statements::Statements;
use crate::protocol::view::zones::{ZoneIndex, Zones};

/// A member's place in the directory.
pub type MemberIndex = u32;

/// Most versions of one member's address and metadata at a time: four bits in a table entry. A worker
/// whose members hold more differing ones at once has some of them wait for the next.
pub const VERSIONS_MAX: usize = 16;

/// The versions of a member that announces none, in the native format.
pub(in crate::protocol) const UNVERSIONED: Versions = Versions([0; 6]);

/// Which of a member's identities a table entry means.
pub type Version = u8;

/// The interned identities. See the module.
#[derive(Debug)]
pub struct Directory {
    /// Names, and versions 0.
    packed: PackedIdentities,
    /// Table entries that mean version 0 of each member.
    references: References,
    /// Versions 1 and up of members that have some, while some members have heard of a change and others have not.
    others: HashMap<MemberIndex, Vec<OtherIdentity>, KeyedHash>,
    free: Vec<MemberIndex>,
    /// The indexes in use, by the hashes of the ids.
    indexes: HashTable<MemberIndex>,
    key: KeyedHash,
    /// Who is where, with the ids.
    zones: Zones,
    /// Hashes of versions 0.
    recent: RecentHashes,
    /// How often an identity has been put in the place of another. Until the next time a member's index and a version
    /// mean what they meant.
    renewals: u64,
    /// What members have signed of themselves, where they have identities.
    pub(in crate::protocol) statements: Option<Box<Statements>>,
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<MemberIndex>() <= 4);

/// Why an identity was not interned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Full {
    /// The directory holds as many members as it may.
    Members,
    /// The member has as many versions as it may.
    Versions,
    /// The member is in a zone that nobody was in, and there are as many as there may be.
    Zones,
}

impl Directory {
    /// An empty directory; `key` protects its hash tables against chosen names.
    pub fn new(key: u64) -> Directory {
        Directory {
            packed: PackedIdentities::new(key),
            references: References::new(),
            others: HashMap::with_hasher(KeyedHash::new(key)),
            free: Vec::new(),
            indexes: HashTable::new(),
            key: KeyedHash::new(key),
            zones: Zones::new(),
            recent: RecentHashes::new(),
            renewals: 0,
            statements: None,
        }
    }

    /// Makes room for `members` in all.
    pub fn reserve(&mut self, members: usize) {
        self.packed.reserve(members);
        self.references.reserve(members);
        self.zones.reserve(members);
        let Directory { indexes, zones, key, .. } = self;
        indexes.reserve(members.saturating_sub(indexes.len()), |index| key.of(zones.id(*index)));
        self.free.reserve(members.saturating_sub(self.free.len()));
        self.recent.reserve(members);
    }

    /// One more than the largest index in use or free.
    pub fn len(&self) -> usize {
        self.packed.len()
    }

    /// How many members fit before it takes more memory.
    pub(in crate::protocol) fn room(&self) -> usize {
        self.packed.room()
    }

    /// Whether nobody was ever interned.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of `id`, if any member of this worker knows it.
    #[inline]
    pub fn find(&self, id: MemberId) -> Option<MemberIndex> {
        self.indexes.find(self.key.of(id.0), |index| self.zones.is(*index, id.0)).copied()
    }

    /// Who is in which zone, by ids in order.
    #[inline]
    pub(in crate::protocol) fn zones(&self) -> &Zones {
        &self.zones
    }

    /// How often an identity has been put in the place of another.
    pub(in crate::protocol) fn renewals(&self) -> u64 {
        self.renewals
    }

    /// The name of the zone that `identity` is in; empty without one.
    pub fn zone_name(&self, identity: Identity<'_>) -> &str {
        self.zones.name(identity.zone())
    }

    /// The id of the member at `index`.
    #[inline]
    pub fn id(&self, index: MemberIndex) -> MemberId {
        MemberId(self.zones.id(index))
    }

    /// The name of the member at `index`.
    pub fn name(&self, index: MemberIndex) -> &str {
        self.packed.name(index)
    }

    /// The identity of `index` that `version` means.
    #[inline]
    pub fn identity(&self, index: MemberIndex, version: Version) -> Identity<'_> {
        if version == 0 {
            return Identity::packed(&self.packed, &self.zones, index);
        }
        self.other(index, version)
    }

    /// A version that has been settled since is the first now: a frame may have been on its way that is kept as a value.
    #[cold]
    fn other(&self, index: MemberIndex, version: Version) -> Identity<'_> {
        let other = self.others_of(index).get(usize::from(version) - 1);
        other.map_or_else(|| Identity::packed(&self.packed, &self.zones, index), Identity::other)
    }

    /// If a table entry that means `version` is the only one for `index`, makes what it means version 0, which is packed:
    /// so it is whenever an embedded member has heard of a change. Gives what the entry has to mean from now on.
    #[inline]
    pub(in crate::protocol) fn settle(&mut self, index: MemberIndex, version: Version) -> Version {
        if version == 0 || self.references.get(index) > 0 {
            version
        } else {
            self.settle_other(index, version)
        }
    }

    #[cold]
    fn settle_other(&mut self, index: MemberIndex, version: Version) -> Version {
        let references = self.others_of(index).iter().map(|other| other.references).sum::<u32>();
        if references != 1 || self.references_to(index, version) != 1 {
            return version;
        }
        let Some(mut others) = self.others.remove(&index) else { return version };
        self.renewals += 1;
        let other = others.swap_remove(usize::from(version) - 1);
        let (name, zone) = (self.name(index).to_owned(), self.zones.name(other.zone()).to_owned());
        self.set_packed(
            index,
            &other.introduction(self.id(index), &name, &zone),
            other.announced(),
            other.zone(),
        );
        self.references.add(index, 1);
        0
    }

    /// The hash of the identity of `index` that `version` means. Kept for a while: when something changes, all members of
    /// a fleet ask for the same, one after the other.
    #[inline]
    pub(in crate::protocol) fn identity_hash(&mut self, index: MemberIndex, version: Version) -> u64 {
        if version != 0 {
            return self.other(index, version).hash();
        }
        if let Some(hash) = self.recent.get(index) {
            return hash;
        }
        let hash = self.identity(index, 0).hash();
        self.recent.keep(index, hash);
        hash
    }

    /// The same where nothing changes, which keeps none.
    #[inline]
    pub(in crate::protocol) fn hash_of(&self, index: MemberIndex, version: Version) -> u64 {
        let recent = if version == 0 { self.recent.get(index) } else { None };
        recent.unwrap_or_else(|| self.identity(index, version).hash())
    }

    /// Everything that is known of the member at `index`, in `version`, as a message.
    pub(in crate::protocol) fn introduction(
        &self,
        (index, version): (MemberIndex, Version),
        incarnation: Incarnation,
        state: State,
    ) -> Introduction<'_> {
        let identity = self.identity(index, version);
        Introduction {
            subject: self.id(index),
            incarnation,
            state,
            address: identity.address(),
            name: self.name(index),
            metadata: identity.metadata(),
            zone: self.zone_name(identity),
        }
    }

    /// Version 0 of `index` is what `introduction` says from now on.
    fn set_packed(
        &mut self,
        index: MemberIndex,
        introduction: &Introduction<'_>,
        announced: Versions,
        zone: ZoneIndex,
    ) {
        let hash = self.packed.set(index, introduction, announced, zone);
        self.recent.keep(index, hash);
    }

    /// Versions 1 and up.
    fn others_of(&self, index: MemberIndex) -> &[OtherIdentity] {
        if self.others.is_empty() {
            return &[];
        }
        self.others.get(&index).map_or(&[], |others| others)
    }

    /// How many members here hold something of the member at `index`, in whatever version.
    pub(super) fn held_by(&self, index: MemberIndex) -> u32 {
        (0..=self.others_of(index).len() as Version).map(|version| self.references_to(index, version)).sum()
    }

    /// Whether a table here means `version` of the member at `index`.
    #[inline]
    pub(in crate::protocol) fn is_meant(&self, index: MemberIndex, version: Version) -> bool {
        self.references_to(index, version) > 0
    }

    /// References to one identity; none to a version that has gone since.
    fn references_to(&self, index: MemberIndex, version: Version) -> u32 {
        match version {
            0 => self.references.get(index),
            _ => self.others_of(index).get(usize::from(version) - 1).map_or(0, |other| other.references),
        }
    }

    /// Finds or adds what `introduction` says, without a reference: [`Directory::retain`] it next.
    pub(in crate::protocol) fn intern(
        &mut self,
        introduction: &Introduction<'_>,
        announced: Versions,
        members_max: u32,
    ) -> Result<(MemberIndex, Version), Full> {
        let Some(index) = self.find(introduction.subject) else {
            return self.add(introduction, announced, members_max).map(|index| (index, 0));
        };
        // Nearly always it says what is known, and needs no hash.
        if self.references_to(index, 0) > 0 && self.identity(index, 0).is(introduction, announced) {
            return Ok((index, 0));
        }
        let hash = identity_of(introduction, announced);
        let versions = 1 + self.others_of(index).len();
        let mut vacant = None;
        for version in 0..versions as Version {
            if self.references_to(index, version) == 0 {
                vacant = vacant.or(Some(version));
            } else if self.identity(index, version).hash() == hash {
                return Ok((index, version));
            }
        }
        if vacant.is_none() && versions == VERSIONS_MAX {
            return Err(Full::Versions);
        }
        let zone = self.zones.intern(introduction.zone).ok_or(Full::Zones)?;
        let version = vacant.unwrap_or(versions as Version);
        self.renewals += 1;
        if version == 0 {
            self.set_packed(index, introduction, announced, zone);
            return Ok((index, 0));
        }
        let identity = OtherIdentity::new(introduction, announced, zone);
        let others = self.others.entry(index).or_default();
        match others.get_mut(usize::from(version) - 1) {
            Some(vacant) => *vacant = identity,
            None => others.push(identity),
        }
        Ok((index, version))
    }

    fn add(
        &mut self,
        introduction: &Introduction<'_>,
        announced: Versions,
        members_max: u32,
    ) -> Result<MemberIndex, Full> {
        if self.free.is_empty() && self.len() >= members_max as usize {
            return Err(Full::Members);
        }
        let zone = self.zones.intern(introduction.zone).ok_or(Full::Zones)?;
        self.renewals += u64::from(!self.free.is_empty());
        let index = self.free.pop().unwrap_or_else(|| {
            self.packed.push();
            self.references.push();
            (self.packed.len() - 1) as MemberIndex
        });
        self.recent.reserve(self.packed.len());
        self.set_packed(index, introduction, announced, zone);
        let id = introduction.subject.0;
        self.zones.assign(index, id);
        let Directory { indexes, zones, key, .. } = self;
        indexes.insert_unique(key.of(id), index, |index| key.of(zones.id(*index)));
        Ok(index)
    }

    /// A table entry now means this identity.
    pub(in crate::protocol) fn retain(&mut self, index: MemberIndex, version: Version) {
        self.retain_many(index, version, 1);
    }

    /// `count` more table entries now mean this identity.
    pub(in crate::protocol) fn retain_many(&mut self, index: MemberIndex, version: Version, count: u32) {
        let first = self.references_to(index, version) == 0 && count > 0;
        match version {
            0 => self.references.add(index, count),
            _ => self.other_mut(index, version).map_or((), |other| other.references += count),
        }
        if first {
            let zone = self.identity(index, version).zone();
            let others = self.others_in(index, version, zone);
            if !others.here {
                self.zones.enter(zone, index, others.elsewhere);
            }
        }
    }

    fn other_mut(&mut self, index: MemberIndex, version: Version) -> Option<&mut OtherIdentity> {
        self.others.get_mut(&index)?.get_mut(usize::from(version) - 1)
    }

    /// References to each member, and to each of their identities.
    #[cfg(test)]
    pub(in crate::protocol) fn references(&self) -> (Vec<u32>, Vec<u32>) {
        let of_all = (0..self.len() as MemberIndex).map(|index| {
            let versions = 0..=self.others_of(index).len() as Version;
            versions.map(|version| self.references_to(index, version)).collect::<Vec<_>>()
        });
        let of_all: Vec<_> = of_all.collect();
        (of_all.iter().map(|counts| counts.iter().sum()).collect(), of_all.concat())
    }

    /// A table entry no longer means this identity.
    pub(in crate::protocol) fn release(&mut self, index: MemberIndex, version: Version) {
        match version {
            0 => self.references.subtract(index),
            _ => self.other_mut(index, version).map_or((), |other| other.references -= 1),
        }
        if self.references_to(index, version) > 0 {
            return;
        }
        let zone = self.identity(index, version).zone();
        let others = self.others_in(index, version, zone);
        if !others.here {
            self.zones.exit(zone, index, others.elsewhere);
        }
        if !self.others.is_empty() {
            self.drop_unused(index);
        }
        if self.references.get(index) == 0 && self.others_of(index).is_empty() {
            let hash = self.key.of(self.zones.id(index));
            if let Ok(entry) = self.indexes.find_entry(hash, |known| *known == index) {
                entry.remove();
            }
            if let Some(statements) = &mut self.statements {
                statements.forget(index);
            }
            self.packed.drop_metadata(index);
            self.recent.forget(index);
            self.free.push(index);
        }
    }

    /// Drops the last versions of a member that nobody means.
    fn drop_unused(&mut self, index: MemberIndex) {
        if let Some(others) = self.others.get_mut(&index) {
            while others.last().is_some_and(|last| last.references == 0) {
                others.pop();
            }
            if others.is_empty() {
                self.others.remove(&index);
            }
        }
    }

    /// Where those identities in use that are not `version` have the member, seen from `zone`.
    fn others_in(&self, index: MemberIndex, version: Version, zone: ZoneIndex) -> Others {
        let mut others = Others::default();
        let versions = 0..=self.others_of(index).len() as Version;
        for other in versions.filter(|other| *other != version && self.references_to(index, *other) > 0) {
            let here = self.identity(index, other).zone() == zone;
            others.here |= here;
            others.elsewhere |= !here;
        }
        others
    }
}

/// Where a member's other identities have it.
#[derive(Clone, Copy, Default)]
struct Others {
    /// In the same zone.
    here: bool,
    /// In another.
    elsewhere: bool,
}

#[cfg(test)]
#[path = "directory_versions_test.rs"]
mod tests;
