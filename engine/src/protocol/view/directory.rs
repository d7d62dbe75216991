//! The directory: who is who, once per worker.
//!
//! Ten thousand members in one process all know the same ten thousand names, addresses, zones and metadata. The
//! directory interns them: a member's table refers to another member by a small *index*, and to what it
//! believes of its address and metadata by a *version* under that index, since two members may not have
//! heard of the same change yet. References are counted, so an index or version is free again when the
//! last member has dropped it.

use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;

use hashbrown::HashMap;
use swimring_codec::MemberId;
use swimring_codec::identity_hash;
use swimring_codec::memberlist::Versions;
use swimring_codec::native::Introduction;

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

/// Even, so that with the key, which is odd, it makes an odd multiplier: one under which no two values have
/// the same product.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C14;

/// Spreads keys that are hashes or small numbers already: one multiplication, with a random key against
/// chosen collisions.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct KeyedHash(u64);

impl KeyedHash {
    pub(in crate::protocol) fn new(key: u64) -> KeyedHash {
        KeyedHash(key | 1)
    }
}

impl BuildHasher for KeyedHash {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher { key: self.0, hash: 0 }
    }
}

#[derive(Debug)]
pub(in crate::protocol) struct KeyedHasher {
    key: u64,
    hash: u64,
}

impl Hasher for KeyedHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        let product =
            u128::from(value ^ self.key.rotate_left(32) ^ self.hash) * u128::from(self.key ^ MULTIPLIER);
        self.hash = (product as u64) ^ ((product >> 64) as u64);
    }

    /// Both halves in one product, of which each factor is as secret as the key: half the time of one after the other.
    fn write_u128(&mut self, value: u128) {
        let (low, high) = (value as u64, (value >> 64) as u64);
        let product =
            u128::from(low ^ self.key.rotate_left(32) ^ self.hash) * u128::from(high ^ self.key ^ MULTIPLIER);
        self.hash = (product as u64) ^ ((product >> 64) as u64);
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

/// What an introduction said of a member, beside its incarnation.
#[derive(Debug)]
pub struct Identity {
    address: SocketAddr,
    hash: u64,
    /// Table entries that mean this identity. An identity without any is free.
    references: u32,
    /// The protocol versions it announced, in formats that carry them.
    versions: Versions,
    zone: ZoneIndex,
    metadata: Box<[u8]>,
}

// A zone takes the place of what was padding.
const _: () = assert!(size_of::<Identity>() == 72);

impl Identity {
    /// Address that the member receives at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its metadata.
    pub fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    /// The protocol versions it announced; all zero in the native format.
    pub fn versions(&self) -> Versions {
        self.versions
    }

    /// Place of the zone that it is in; [`Directory::zone_name`] has the name.
    #[inline]
    pub(in crate::protocol) fn zone(&self) -> ZoneIndex {
        self.zone
    }

    /// The hash over address, metadata and zone that state roots and tags are made of.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The low byte of the hash, which compact updates carry.
    pub fn tag(&self) -> u8 {
        self.hash as u8
    }
}

#[derive(Debug)]
struct Slot {
    name: Box<str>,
    /// Table entries of any version.
    references: u32,
    /// Version 0, where nearly always the only identity is.
    first: Identity,
    /// Versions 1 and up, while some members have heard of a change and others have not.
    more: Vec<Identity>,
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<Slot>() <= 128);

/// The interned identities. See the module.
#[derive(Debug)]
pub struct Directory {
    slots: Vec<Slot>,
    free: Vec<MemberIndex>,
    indexes: HashMap<MemberId, MemberIndex, KeyedHash>,
    /// The same ids in order, by zone.
    zones: Zones,
}

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
    /// An empty directory; `key` protects its hash table against chosen names.
    pub fn new(key: u64) -> Directory {
        Directory {
            slots: Vec::new(),
            free: Vec::new(),
            indexes: HashMap::with_hasher(KeyedHash::new(key)),
            zones: Zones::new(),
        }
    }

    /// Makes room for `members` in all.
    pub fn reserve(&mut self, members: usize) {
        self.slots.reserve_exact(members.saturating_sub(self.slots.len()));
        self.indexes.reserve(members.saturating_sub(self.indexes.len()));
        self.free.reserve(members.saturating_sub(self.free.len()));
        self.zones.reserve(members);
    }

    /// One more than the largest index in use or free.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nobody was ever interned.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The index of `id`, if any member of this worker knows it.
    #[inline]
    pub fn find(&self, id: MemberId) -> Option<MemberIndex> {
        self.indexes.get(&id).copied()
    }

    /// Who is in which zone, by ids in order.
    #[inline]
    pub(in crate::protocol) fn zones(&self) -> &Zones {
        &self.zones
    }

    /// The name of the zone that `identity` is in; empty without one.
    pub fn zone_name(&self, identity: &Identity) -> &str {
        self.zones.name(identity.zone)
    }

    /// The id of the member at `index`.
    #[inline]
    pub fn id(&self, index: MemberIndex) -> MemberId {
        MemberId(self.zones.id(index))
    }

    /// The name of the member at `index`.
    pub fn name(&self, index: MemberIndex) -> &str {
        &self.slots[index as usize].name
    }

    /// The identity of `index` that `version` means.
    #[inline]
    pub fn identity(&self, index: MemberIndex, version: Version) -> &Identity {
        self.slots[index as usize].identity(version)
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
        let hash = identity_of(introduction, announced);
        let slot = &self.slots[index as usize];
        let versions = 1 + slot.more.len();
        let mut vacant = None;
        for version in 0..versions as Version {
            let identity = slot.identity(version);
            if identity.references == 0 {
                vacant = vacant.or(Some(version));
            } else if identity.hash == hash {
                return Ok((index, version));
            }
        }
        if vacant.is_none() && versions == VERSIONS_MAX {
            return Err(Full::Versions);
        }
        let zone = self.zones.intern(introduction.zone).ok_or(Full::Zones)?;
        let identity = Identity::new(introduction, announced, zone);
        let slot = &mut self.slots[index as usize];
        match vacant {
            Some(0) => slot.first = identity,
            Some(version) => slot.more[usize::from(version) - 1] = identity,
            None => slot.more.push(identity),
        }
        Ok((index, vacant.unwrap_or(versions as Version)))
    }

    fn add(
        &mut self,
        introduction: &Introduction<'_>,
        announced: Versions,
        members_max: u32,
    ) -> Result<MemberIndex, Full> {
        if self.free.is_empty() && self.slots.len() >= members_max as usize {
            return Err(Full::Members);
        }
        let zone = self.zones.intern(introduction.zone).ok_or(Full::Zones)?;
        let slot = Slot {
            name: introduction.name.into(),
            references: 0,
            first: Identity::new(introduction, announced, zone),
            more: Vec::new(),
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as MemberIndex
            }
        };
        self.zones.assign(index, introduction.subject.0);
        self.indexes.insert(introduction.subject, index);
        Ok(index)
    }

    /// A table entry now means this identity.
    pub(in crate::protocol) fn retain(&mut self, index: MemberIndex, version: Version) {
        self.retain_many(index, version, 1);
    }

    /// `count` more table entries now mean this identity.
    pub(in crate::protocol) fn retain_many(&mut self, index: MemberIndex, version: Version, count: u32) {
        let slot = &mut self.slots[index as usize];
        slot.references += count;
        let identity = slot.identity_mut(version);
        let first = identity.references == 0 && count > 0;
        identity.references += count;
        if first {
            let zone = identity.zone;
            let others = slot.others_in(version, zone);
            if !others.here {
                self.zones.enter(zone, index, others.elsewhere);
            }
        }
    }

    /// References to each member, and to each of their identities.
    #[cfg(test)]
    pub(in crate::protocol) fn references(&self) -> (Vec<u32>, Vec<u32>) {
        let identities = |slot: &Slot| {
            let more: Vec<u32> = slot.more.iter().map(|identity| identity.references).collect();
            std::iter::once(slot.first.references).chain(more)
        };
        (
            self.slots.iter().map(|slot| slot.references).collect(),
            self.slots.iter().flat_map(identities).collect(),
        )
    }

    /// A table entry no longer means this identity.
    pub(in crate::protocol) fn release(&mut self, index: MemberIndex, version: Version) {
        let slot = &mut self.slots[index as usize];
        slot.references -= 1;
        let identity = slot.identity_mut(version);
        identity.references -= 1;
        if identity.references == 0 {
            let zone = identity.zone;
            let others = slot.others_in(version, zone);
            if !others.here {
                self.zones.exit(zone, index, others.elsewhere);
            }
        }
        if slot.references == 0 {
            self.indexes.remove(&MemberId(self.zones.id(index)));
            slot.first.metadata = Box::default();
            slot.more = Vec::new();
            // The name stays until the slot is used again: an event may still have to be resolved.
            self.free.push(index);
        } else {
            while slot.more.last().is_some_and(|last| last.references == 0) {
                slot.more.pop();
            }
        }
    }
}

impl Identity {
    fn new(introduction: &Introduction<'_>, announced: Versions, zone: ZoneIndex) -> Identity {
        Identity {
            address: introduction.address,
            hash: identity_of(introduction, announced),
            references: 0,
            versions: announced,
            zone,
            metadata: introduction.metadata.into(),
        }
    }
}

/// What a member is apart from its name. In the native format, which announces no versions and has one form
/// for an address, that is [`identity_hash`]; memberlist's tells an IPv4 address from its IPv4-mapped form,
/// and so do we, to pass on what we were given.
pub fn identity_of(introduction: &Introduction<'_>, announced: Versions) -> u64 {
    let hash = identity_hash(introduction.address, introduction.metadata, introduction.zone);
    if announced == UNVERSIONED {
        return hash;
    }
    let [min, max, speaks, delegate_min, delegate_max, delegate] = announced.0;
    let versions = [min, max, speaks, delegate_min, delegate_max, delegate, 0];
    let mut bytes = [0; 8];
    bytes[..7].copy_from_slice(&versions);
    bytes[7] = u8::from(introduction.address.is_ipv6());
    hash ^ u64::from_le_bytes(bytes).wrapping_mul(MULTIPLIER | 1)
}

/// Where a member's other identities have it.
#[derive(Clone, Copy, Default)]
struct Others {
    /// In the same zone.
    here: bool,
    /// In another.
    elsewhere: bool,
}

impl Slot {
    /// Where those identities in use that are not `version` have the member, seen from `zone`.
    fn others_in(&self, version: Version, zone: ZoneIndex) -> Others {
        let mut others = Others::default();
        for other in (0..=self.more.len() as Version).filter(|other| *other != version) {
            let identity = self.identity(other);
            if identity.references > 0 {
                others.here |= identity.zone == zone;
                others.elsewhere |= identity.zone != zone;
            }
        }
        others
    }

    fn identity(&self, version: Version) -> &Identity {
        match version {
            0 => &self.first,
            _ => &self.more[usize::from(version) - 1],
        }
    }

    fn identity_mut(&mut self, version: Version) -> &mut Identity {
        match version {
            0 => &mut self.first,
            _ => &mut self.more[usize::from(version) - 1],
        }
    }
}

#[cfg(test)]
mod tests {
    use swimring_codec::{Incarnation, State};

    use super::*;

    fn introduction<'a>(name: &'a str, metadata: &'a [u8]) -> Introduction<'a> {
        Introduction {
            subject: MemberId::of_name(name),
            incarnation: Incarnation::new(1),
            state: State::Alive,
            address: "127.0.0.1:1".parse().unwrap(),
            name,
            metadata,
            zone: "",
        }
    }

    /// Who is in the zone called `name`.
    fn members_of(directory: &mut Directory, name: &str) -> Vec<MemberIndex> {
        let zone = directory.zones.intern(name).unwrap();
        directory.zones.order(zone).range(0..=u64::MAX).map(|(_, index)| index).collect()
    }

    #[test]
    fn a_member_is_in_each_zone_that_somebody_has_it_in() {
        let mut directory = Directory::new(7);
        let enter = |directory: &mut Directory, zone, metadata| {
            let claim = Introduction { zone, ..introduction("a", metadata) };
            let (index, version) = directory.intern(&claim, UNVERSIONED, 10).unwrap();
            directory.retain(index, version);
            assert_eq!(directory.zone_name(directory.identity(index, version)), zone);
            version
        };
        let east = enter(&mut directory, "east", b"");
        assert_eq!(members_of(&mut directory, "east"), [0]);
        assert!(members_of(&mut directory, "").is_empty() && !directory.zones.disagree());
        let same = enter(&mut directory, "east", b"1");
        assert!(!directory.zones.disagree());
        let west = enter(&mut directory, "west", b"1");
        assert!(directory.zones.disagree());
        assert_eq!([members_of(&mut directory, "east"), members_of(&mut directory, "west")], [[0], [0]]);
        directory.release(0, east);
        assert_eq!(members_of(&mut directory, "east"), [0], "by the other identity");
        assert!(directory.zones.disagree());
        directory.release(0, same);
        assert!(members_of(&mut directory, "east").is_empty() && !directory.zones.disagree());
        directory.release(0, west);
        assert!(members_of(&mut directory, "west").is_empty() && !directory.zones.disagree());
        assert_eq!(directory.find(MemberId::of_name("a")), None);
    }

    #[test]
    fn versions_live_as_long_as_someone_means_them() {
        let mut directory = Directory::new(7);
        let (index, old) = directory.intern(&introduction("a", b"1"), UNVERSIONED, 10).unwrap();
        directory.retain(index, old);
        directory.retain(index, old);
        let (same, new) = directory.intern(&introduction("a", b"2"), UNVERSIONED, 10).unwrap();
        assert_eq!((same, old, new), (index, 0, 1));
        directory.retain(index, new);
        directory.release(index, old);
        assert_eq!(directory.identity(index, old).metadata(), b"1");
        assert_eq!(directory.identity(index, new).metadata(), b"2");
        directory.release(index, old);
        // Version 0 is vacant and the next identity takes it.
        assert_eq!(directory.intern(&introduction("a", b"3"), UNVERSIONED, 10).unwrap(), (index, 0));
        directory.retain(index, 0);
        directory.release(index, new);
        directory.release(index, 0);
        assert_eq!(directory.find(MemberId::of_name("a")), None);
        let (reused, _) = directory.intern(&introduction("b", b""), UNVERSIONED, 10).unwrap();
        assert_eq!(reused, index);
    }

    #[test]
    fn bounds_are_refused() {
        let mut directory = Directory::new(7);
        let (index, _) = directory.intern(&introduction("a", b""), UNVERSIONED, 1).unwrap();
        directory.retain(index, 0);
        assert_eq!(directory.intern(&introduction("b", b""), UNVERSIONED, 1), Err(Full::Members));
        for metadata in 1..VERSIONS_MAX as u8 {
            let (_, version) = directory.intern(&introduction("a", &[metadata]), UNVERSIONED, 1).unwrap();
            directory.retain(index, version);
        }
        assert_eq!(directory.intern(&introduction("a", &[99]), UNVERSIONED, 1), Err(Full::Versions));
    }
}
