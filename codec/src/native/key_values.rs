//! Shared state: the maps of keys to values that members own, and the one map that all may write.
//!
//! A map has an *epoch*, which a new life of its owner raises, and a *version*, which each change raises: so two copies
//! are compared by two numbers. What one copy has beyond another is a *section*: entries in the order of their
//! versions, all of those between two versions. Keys of the whole cluster have a version and a writer each. Digests,
//! on a stream, say what a member has; sections answer them, or are told in user events where they are small.

use xxhash_rust::xxh3::xxh3_64;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes};

use super::layout::{DigestsHeader, EntryHeader, KeyRoots as RootsLayout, SectionHeader, Triple, kind};
use super::parts::{member, reserved, take, take_bytes, text};
use super::signed_key::{KEY_STATEMENT_LEN, KeyStatement, ValueHash};
use super::signed_map::MapStatement;
use super::{DecodeError, HEADER_LEN, STREAM_MESSAGE_MAX};
use crate::MemberId;

/// Bytes of key roots.
pub const KEY_ROOTS_LEN: usize = size_of::<RootsLayout>();
/// Longest key, in bytes.
pub const KEY_MAX: usize = 255;
/// Longest value, in bytes.
pub const VALUE_MAX: usize = 64 << 10;
/// Bytes in front of the entries of a section.
pub const SECTION_HEADER_LEN: usize = size_of::<SectionHeader>();
/// Most bytes of sections in one stream message.
pub const SECTIONS_MAX: usize = STREAM_MESSAGE_MAX - HEADER_LEN;
/// Most digests in one stream message.
pub const DIGESTS_MAX: usize = (SECTIONS_MAX - size_of::<DigestsHeader>()) / size_of::<Triple>();

const DELETED: u8 = 1;
const ELSEWHERE: u8 = 2;
const SIGNED: u8 = 4;

const COMPLETE: u8 = 1;
const RESET: u8 = 2;
const STATED: u8 = 4;

const ALL_MAPS: u8 = 1;
const ALL_KEYS: u8 = 2;
const MORE: u8 = 4;

/// What a member's copies of all maps sum to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyRoots {
    /// Over the maps of live members.
    pub maps: u64,
    /// Over the keys of the cluster.
    pub keys: u64,
}

impl KeyRoots {
    pub(super) fn layout(self) -> RootsLayout {
        let (maps, keys) = (U64::new(self.maps), U64::new(self.keys));
        RootsLayout { kind: kind::KEY_ROOTS, reserved: [0; 7], maps, keys }
    }

    pub(super) fn take(bytes: &mut &[u8]) -> Result<KeyRoots, DecodeError> {
        let layout = take::<RootsLayout>(bytes)?;
        reserved(layout.reserved)?;
        Ok(KeyRoots { maps: layout.maps.get(), keys: layout.keys.get() })
    }
}

/// How far a copy of a member's map has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapDigest {
    /// Whose map.
    pub owner: MemberId,
    /// Which life of the owner.
    pub epoch: u64,
    /// Everything up to this version is there.
    pub version: u64,
}

impl MapDigest {
    /// What it adds to the root over maps.
    pub fn term(&self) -> u64 {
        term([self.owner.0, self.epoch, self.version])
    }
}

/// The hash of three numbers.
fn term(numbers: [u64; 3]) -> u64 {
    let numbers: Triple = numbers.map(U64::new);
    xxh3_64(numbers.as_bytes())
}

/// How far a key of the cluster has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyDigest {
    /// The hash of the key.
    pub hash: u64,
    /// Its version; 0 if it is not there.
    pub version: u64,
    /// The member that wrote it last; [`MemberId::NONE`] if it is not there.
    pub writer: MemberId,
}

impl KeyDigest {
    /// The hash of `key`.
    pub fn hash_of(key: &str) -> u64 {
        xxh3_64(key.as_bytes())
    }

    /// What it adds to the root over keys, unless it was deleted.
    pub fn term(&self) -> u64 {
        term([self.hash, self.version, self.writer.0])
    }
}

/// Digests of maps and of keys of the cluster, and what they ask for: what is newer at whoever receives them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyDigests<'a> {
    /// Maps that are not listed are wanted, too, and those that are older there are to be asked for.
    pub all_maps: bool,
    /// The same of the keys of the cluster.
    pub all_keys: bool,
    /// More was wanted than fitted into the answer that these digests end.
    pub more: bool,
    maps: &'a [Triple],
    keys: &'a [Triple],
}

impl<'a> KeyDigests<'a> {
    /// The maps.
    pub fn maps(&self) -> impl ExactSizeIterator<Item = MapDigest> + Clone + use<'a> {
        self.maps.iter().map(|[owner, epoch, version]| MapDigest {
            owner: MemberId(owner.get()),
            epoch: epoch.get(),
            version: version.get(),
        })
    }

    /// The keys of the cluster.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = KeyDigest> + Clone + use<'a> {
        self.keys.iter().map(|[hash, version, writer]| KeyDigest {
            hash: hash.get(),
            version: version.get(),
            writer: MemberId(writer.get()),
        })
    }

    /// Takes all of `bytes`.
    pub(super) fn take(bytes: &mut &'a [u8]) -> Result<KeyDigests<'a>, DecodeError> {
        let header = take::<DigestsHeader>(bytes)?;
        reserved(header.reserved)?;
        if header.flags & !(ALL_MAPS | ALL_KEYS | MORE) != 0 {
            return Err(DecodeError::Reserved);
        }
        let mut triples = |count: U32| {
            let length = (count.get() as usize).checked_mul(size_of::<Triple>());
            let taken = take_bytes(bytes, length.ok_or(DecodeError::Truncated)?)?;
            <[Triple]>::ref_from_bytes(taken).map_err(|_| DecodeError::Truncated)
        };
        let (maps, keys) = (triples(header.maps)?, triples(header.keys)?);
        if maps.iter().any(|[owner, epoch, _]| owner.get() == 0 || epoch.get() == 0) {
            return Err(DecodeError::Field("map digest"));
        }
        Ok(KeyDigests {
            all_maps: header.flags & ALL_MAPS != 0,
            all_keys: header.flags & ALL_KEYS != 0,
            more: header.flags & MORE != 0,
            maps,
            keys,
        })
    }
}

/// Digests to be written; see [`KeyDigests`]. Together at most [`DIGESTS_MAX`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct KeyDigestList {
    /// See [`KeyDigests::all_maps`].
    pub all_maps: bool,
    /// See [`KeyDigests::all_keys`].
    pub all_keys: bool,
    /// See [`KeyDigests::more`].
    pub more: bool,
    /// Maps; each has an owner and an epoch.
    pub maps: Vec<MapDigest>,
    /// Keys of the cluster.
    pub keys: Vec<KeyDigest>,
}

impl KeyDigestList {
    /// Appends the body of a stream message; false, and nothing appended, if there are too many.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> bool {
        if self.maps.len() + self.keys.len() > DIGESTS_MAX {
            return false;
        }
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let header = DigestsHeader {
            flags: flag(self.all_maps, ALL_MAPS) | flag(self.all_keys, ALL_KEYS) | flag(self.more, MORE),
            reserved: [0; 3],
            maps: U32::new(self.maps.len() as u32),
            keys: U32::new(self.keys.len() as u32),
        };
        out.extend_from_slice(header.as_bytes());
        for MapDigest { owner, epoch, version } in &self.maps {
            out.extend_from_slice([U64::new(owner.0), U64::new(*epoch), U64::new(*version)].as_bytes());
        }
        for KeyDigest { hash, version, writer } in &self.keys {
            out.extend_from_slice([U64::new(*hash), U64::new(*version), U64::new(writer.0)].as_bytes());
        }
        true
    }
}

/// What became of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyValue<'a> {
    /// It has this value, of at most [`VALUE_MAX`] bytes.
    Set(&'a [u8]),
    /// It was deleted.
    Deleted,
    /// It has a value that did not fit, to be asked for; with its hash where members have identities. Only of keys of the cluster.
    Elsewhere(Option<&'a ValueHash>),
}

impl<'a> KeyValue<'a> {
    /// Its flag, and what stands in the place of the value.
    fn encoded(&self) -> (u8, &'a [u8]) {
        match *self {
            KeyValue::Set(value) => (0, value),
            KeyValue::Deleted => (DELETED, &[]),
            KeyValue::Elsewhere(hash) => (ELSEWHERE, hash.map_or(&[], |hash| &hash[..])),
        }
    }
}

/// One entry of a section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyEntry<'a> {
    /// The key: 1 to [`KEY_MAX`] bytes.
    pub key: &'a str,
    /// Version of its last change; not 0.
    pub version: u64,
    /// The member that wrote a key of the cluster; [`MemberId::NONE`] in the map of a member, which is its own.
    pub writer: MemberId,
    /// What became of it.
    pub value: KeyValue<'a>,
    /// What the writer has signed of it, where members have identities. Only of keys of the cluster.
    pub statement: Option<&'a KeyStatement>,
}

impl KeyEntry<'_> {
    /// Bytes that it takes in a section.
    pub fn encoded_len(&self) -> usize {
        let (_, value) = self.value.encoded();
        let writer = if self.writer.is_none() { 0 } else { size_of::<U64>() };
        let statement = self.statement.map_or(0, |_| KEY_STATEMENT_LEN);
        size_of::<EntryHeader>() + writer + self.key.len() + value.len() + statement
    }

    /// Appends it to a section that is being written.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (kind, value) = self.value.encoded();
        let flags = kind | if self.statement.is_some() { SIGNED } else { 0 };
        let header = EntryHeader {
            version: U64::new(self.version),
            value_len: U32::new(value.len() as u32),
            key_len: self.key.len() as u8,
            flags,
            reserved: [0; 2],
        };
        out.extend_from_slice(header.as_bytes());
        if !self.writer.is_none() {
            out.extend_from_slice(&self.writer.0.to_le_bytes());
        }
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(value);
        out.extend_from_slice(self.statement.map_or(&[], IntoBytes::as_bytes));
    }

    /// Whether it may be in a section of `owner`.
    pub(super) fn is_valid(&self, owner: MemberId) -> bool {
        let signed = self.statement.is_some();
        let value = match self.value {
            KeyValue::Set(value) => value.len() <= VALUE_MAX,
            KeyValue::Deleted => true,
            KeyValue::Elsewhere(hash) => owner.is_none() && hash.is_some() == signed,
        };
        let key = (1..=KEY_MAX).contains(&self.key.len());
        let of_cluster = owner.is_none();
        key && value && self.version != 0 && self.writer.is_none() != of_cluster && (of_cluster || !signed)
    }
}

/// Entries of one map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeySection<'a> {
    /// What of the map.
    pub span: KeySpan,
    /// What the owner has signed that its map comes to where the section ends, where members have identities. Never of the keys of the
    /// cluster.
    pub statement: Option<&'a MapStatement>,
    entries: &'a [u8],
}

/// What of a map a section has: all entries whose versions are above `since`, up to `until`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeySpan {
    /// Whose map; [`MemberId::NONE`] for the keys of the cluster, of which a section has some, in any order, and which
    /// have no other fields.
    pub owner: MemberId,
    /// Which life of the owner; not 0.
    pub epoch: u64,
    /// What has been before it.
    pub since: u64,
    /// How far it goes: at least `since`.
    pub until: u64,
    /// Deletions up to this version may be missing.
    pub floor: u64,
    /// The sender knows of nothing later: what the receiver has and was not sent is gone.
    pub complete: bool,
    /// The first of a whole map, since the receiver may lack deletions: `since` is 0.
    pub reset: bool,
}

impl KeySpan {
    /// The span of a section with keys of the cluster.
    pub const CLUSTER: KeySpan = KeySpan {
        owner: MemberId::NONE,
        epoch: 0,
        since: 0,
        until: 0,
        floor: 0,
        complete: false,
        reset: false,
    };

    pub(super) fn is_valid(&self) -> bool {
        if self.owner.is_none() {
            return *self == KeySpan::CLUSTER;
        }
        self.epoch != 0 && self.since <= self.until && (!self.reset || self.since == 0)
    }

    pub(super) fn layout(&self, length: usize, stated: bool) -> SectionHeader {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        SectionHeader {
            owner: U64::new(self.owner.0),
            epoch: U64::new(self.epoch),
            since: U64::new(self.since),
            until: U64::new(self.until),
            floor: U64::new(self.floor),
            length: U32::new(length as u32),
            flags: flag(self.complete, COMPLETE) | flag(self.reset, RESET) | flag(stated, STATED),
            reserved: [0; 3],
        }
    }
}

impl<'a> KeySection<'a> {
    /// Its entries. Ends after the first that cannot be read.
    pub fn entries(&self) -> KeyEntries<'a> {
        KeyEntries { span: self.span, rest: self.entries, last: self.span.since }
    }
}

/// The sections of a stream message or of a told change. Ends after the first that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeySections<'a> {
    rest: &'a [u8],
}

impl<'a> KeySections<'a> {
    /// The sections in `bytes`.
    pub fn new(bytes: &'a [u8]) -> KeySections<'a> {
        KeySections { rest: bytes }
    }

    fn read(&mut self) -> Result<KeySection<'a>, DecodeError> {
        let header = take::<SectionHeader>(&mut self.rest)?;
        reserved(header.reserved)?;
        if header.flags & !(COMPLETE | RESET | STATED) != 0 {
            return Err(DecodeError::Reserved);
        }
        let span = KeySpan {
            owner: MemberId(header.owner.get()),
            epoch: header.epoch.get(),
            since: header.since.get(),
            until: header.until.get(),
            floor: header.floor.get(),
            complete: header.flags & COMPLETE != 0,
            reset: header.flags & RESET != 0,
        };
        let stated = header.flags & STATED != 0;
        if !span.is_valid() || stated && span.owner.is_none() {
            return Err(DecodeError::Field("section"));
        }
        let entries = take_bytes(&mut self.rest, header.length.get() as usize)?;
        let statement = if stated { Some(take(&mut self.rest)?) } else { None };
        Ok(KeySection { span, statement, entries })
    }
}

impl<'a> Iterator for KeySections<'a> {
    type Item = Result<KeySection<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.read().inspect_err(|_| self.rest = &[]))
    }
}

/// The entries of a section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyEntries<'a> {
    span: KeySpan,
    rest: &'a [u8],
    /// Version of the last entry: they ascend in the map of a member.
    last: u64,
}

impl<'a> KeyEntries<'a> {
    fn read(&mut self) -> Result<KeyEntry<'a>, DecodeError> {
        let header = take::<EntryHeader>(&mut self.rest)?;
        reserved(header.reserved)?;
        let of_cluster = self.span.owner.is_none();
        let writer = match of_cluster {
            true => member(*take::<U64>(&mut self.rest)?, "writer")?,
            false => MemberId::NONE,
        };
        let key = take_bytes(&mut self.rest, header.key_len.into())?;
        let value_len = header.value_len.get() as usize;
        let signed = header.flags & SIGNED != 0;
        let value = match header.flags & !SIGNED {
            0 => KeyValue::Set(take_bytes(&mut self.rest, value_len)?),
            DELETED if value_len == 0 => KeyValue::Deleted,
            ELSEWHERE if value_len == 0 && !signed => KeyValue::Elsewhere(None),
            ELSEWHERE if value_len == size_of::<ValueHash>() && signed => {
                KeyValue::Elsewhere(Some(take(&mut self.rest)?))
            }
            _ => return Err(DecodeError::Field("value")),
        };
        let statement = if signed { Some(take(&mut self.rest)?) } else { None };
        let (key, version) = (text(key, "key")?, header.version.get());
        let entry = KeyEntry { key, version, writer, value, statement };
        let in_order = of_cluster || (entry.version > self.last && entry.version <= self.span.until);
        if !in_order || !entry.is_valid(self.span.owner) {
            return Err(DecodeError::Field("entry"));
        }
        self.last = entry.version;
        Ok(entry)
    }
}

impl<'a> Iterator for KeyEntries<'a> {
    type Item = Result<KeyEntry<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.read().inspect_err(|_| self.rest = &[]))
    }
}
