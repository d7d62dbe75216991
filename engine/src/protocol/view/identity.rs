//! Identities: what an introduction says of a member, beside its incarnation.
//!
//! Nearly always all members of a worker mean the same one. That is packed: nine bytes for an IPv4 address and what is
//! asked for with each frame, and name and metadata among the [`Texts`]. What is longer or rare stands apart: IPv6
//! addresses in a list of theirs, the protocol versions that memberlist's members announce with the name. The hash over
//! an identity is worked out when it is asked for, which is when something changes.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};

use swimring_codec::memberlist::Versions;
use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State, identity_hash, identity_tag};

use crate::protocol::view::directory::{MemberIndex, UNVERSIONED};
use crate::protocol::view::grow_for_one;
use crate::protocol::view::keyed_hash::MULTIPLIER;
use crate::protocol::view::packed_texts::Texts;
use crate::protocol::view::zones::{ZONES_MAX, ZoneIndex, Zones};

/// What is believed of a member beside its incarnation: where it is, and what it says of itself.
#[derive(Clone, Copy)]
pub struct Identity<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Packed { all: &'a PackedIdentities, zones: &'a Zones, index: MemberIndex },
    Other(&'a OtherIdentity),
}

impl<'a> Identity<'a> {
    #[inline]
    pub(super) fn packed(all: &'a PackedIdentities, zones: &'a Zones, index: MemberIndex) -> Identity<'a> {
        Identity(Source::Packed { all, zones, index })
    }

    pub(super) fn other(identity: &'a OtherIdentity) -> Identity<'a> {
        Identity(Source::Other(identity))
    }

    /// Address that the member receives at.
    #[inline]
    pub fn address(self) -> SocketAddr {
        match self.0 {
            Source::Packed { all, index, .. } => all.address(index),
            Source::Other(identity) => identity.address,
        }
    }

    /// Its metadata.
    pub fn metadata(self) -> &'a [u8] {
        match self.0 {
            Source::Packed { all, index, .. } => all.text(index).metadata,
            Source::Other(identity) => &identity.metadata,
        }
    }

    /// The protocol versions it announced; all zero in the native format.
    pub fn versions(self) -> Versions {
        match self.0 {
            Source::Packed { all, index, .. } => all.text(index).announced,
            Source::Other(identity) => identity.announced,
        }
    }

    /// Place of the zone that it is in; [`Directory::zone_name`](super::directory::Directory::zone_name) has the name.
    #[inline]
    pub(in crate::protocol) fn zone(self) -> ZoneIndex {
        match self.0 {
            Source::Packed { all, index, .. } => all.slot(index).zone.into(),
            Source::Other(identity) => identity.zone,
        }
    }

    /// Whether it is, word for word, what `introduction` says. One that says the same in another form has the same hash.
    #[inline]
    pub(in crate::protocol) fn is(self, introduction: &Introduction<'_>, announced: Versions) -> bool {
        let Source::Packed { all, zones, index } = self.0 else { return false };
        let slot = all.slot(index);
        let text = if slot.flags & SAYS_MORE == 0 { Text::NOTHING } else { all.text(index) };
        all.address(index) == introduction.address
            && is_same(text.metadata, introduction.metadata)
            && text.announced == announced
            && is_same(zones.name(slot.zone.into()).as_bytes(), introduction.zone.as_bytes())
    }

    /// The hash over address, metadata and zone that state roots and tags are made of.
    pub fn hash(self) -> u64 {
        match self.0 {
            Source::Packed { all, zones, index } => {
                let slot = all.slot(index);
                let text = if slot.flags & SAYS_MORE == 0 { Text::NOTHING } else { all.text(index) };
                let zone = zones.name(slot.zone.into());
                hash_of(all.address(index), text.metadata, zone, text.announced)
            }
            Source::Other(identity) => identity.hash,
        }
    }

    /// The low byte of the hash, which compact updates carry.
    #[inline]
    pub fn tag(self) -> u8 {
        match self.0 {
            Source::Packed { all, index, .. } => all.slot(index).tag,
            Source::Other(identity) => identity_tag(identity.hash),
        }
    }
}

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, shown: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = shown.debug_struct("Identity");
        shown.field("address", &self.address()).field("metadata", &self.metadata()).finish_non_exhaustive()
    }
}

/// What a member is apart from its name. In the native format, which announces no versions and has one form
/// for an address, that is [`identity_hash`]; memberlist's tells an IPv4 address from its IPv4-mapped form,
/// and so do we, to pass on what we were given.
pub fn identity_of(introduction: &Introduction<'_>, announced: Versions) -> u64 {
    hash_of(introduction.address, introduction.metadata, introduction.zone, announced)
}

fn hash_of(address: SocketAddr, metadata: &[u8], zone: &str, announced: Versions) -> u64 {
    let hash = identity_hash(address, metadata, zone);
    if announced == UNVERSIONED {
        return hash;
    }
    let [min, max, speaks, delegate_min, delegate_max, delegate] = announced.0;
    let versions = [min, max, speaks, delegate_min, delegate_max, delegate, 0];
    let mut bytes = [0; 8];
    bytes[..7].copy_from_slice(&versions);
    bytes[7] = u8::from(address.is_ipv6());
    hash ^ u64::from_le_bytes(bytes).wrapping_mul(MULTIPLIER | 1)
}

/// Whether two texts are the same. Two that are empty, as most are, are so without a look at them: an empty slice may point
/// anywhere, and `memcmp` as glibc has it for AVX-512 takes hundreds of cycles where nothing is mapped, even for no bytes.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}

/// An identity that some members of a worker mean while others mean another.
#[derive(Debug)]
pub(super) struct OtherIdentity {
    address: SocketAddr,
    hash: u64,
    /// Table entries that mean this identity. An identity without any is free.
    pub(super) references: u32,
    announced: Versions,
    zone: ZoneIndex,
    metadata: Box<[u8]>,
}

impl OtherIdentity {
    pub(super) fn new(
        introduction: &Introduction<'_>,
        announced: Versions,
        zone: ZoneIndex,
    ) -> OtherIdentity {
        OtherIdentity {
            address: introduction.address,
            hash: identity_of(introduction, announced),
            references: 0,
            announced,
            zone,
            metadata: introduction.metadata.into(),
        }
    }

    pub(super) fn zone(&self) -> ZoneIndex {
        self.zone
    }

    pub(super) fn announced(&self) -> Versions {
        self.announced
    }

    /// As it was introduced, but for the incarnation, for which an identity does not stand.
    pub(super) fn introduction<'a>(
        &'a self,
        subject: MemberId,
        name: &'a str,
        zone: &'a str,
    ) -> Introduction<'a> {
        let (address, metadata) = (self.address, &*self.metadata);
        let (incarnation, state) = (Incarnation::ZERO, State::Alive);
        Introduction { subject, incarnation, state, address, name, metadata, zone }
    }
}

/// An address lies in [`PackedIdentities::long_addresses`].
const LONG_ADDRESS: u8 = 1;
/// Protocol versions stand before the name.
const ANNOUNCED: u8 = 1 << 1;

/// Metadata stands after the name, or protocol versions before it.
const SAYS_MORE: u8 = 1 << 2;

/// What is asked for with each frame.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// An IPv4 address, or the place of a long one.
    host: [u8; 4],
    port: [u8; 2],
    tag: u8,
    zone: u8,
    flags: u8,
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<Slot>() <= 9);
const _: () = assert!(ZONES_MAX <= 1 << u8::BITS);

/// What the text of a member is made of.
#[derive(Clone, Copy)]
struct Text<'a> {
    announced: Versions,
    name: &'a [u8],
    metadata: &'a [u8],
}

impl Text<'_> {
    const NOTHING: Text<'static> = Text { announced: UNVERSIONED, name: &[], metadata: &[] };
}

/// One identity for each place, with a name. See the module.
#[derive(Debug)]
pub(super) struct PackedIdentities {
    slots: Vec<Slot>,
    /// Length of the name, protocol versions if any, the name, the metadata.
    texts: Texts,
    long_addresses: Vec<SocketAddrV6>,
    /// Places there that are free.
    long_free: Vec<u32>,
}

impl PackedIdentities {
    pub(super) fn new(key: u64) -> PackedIdentities {
        let texts = Texts::new(key);
        PackedIdentities { slots: Vec::new(), texts, long_addresses: Vec::new(), long_free: Vec::new() }
    }

    /// Makes room for `members` in all.
    pub(super) fn reserve(&mut self, members: usize) {
        self.slots.reserve_exact(members.saturating_sub(self.slots.len()));
        self.texts.reserve(members);
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many places fit before it takes more memory.
    pub(super) fn room(&self) -> usize {
        self.slots.capacity()
    }

    /// Adds a place.
    pub(super) fn push(&mut self) {
        grow_for_one(&mut self.slots);
        self.slots.push(Slot::default());
    }

    /// Puts what `introduction` says in the place `index`, and gives its hash.
    pub(super) fn set(
        &mut self,
        index: MemberIndex,
        introduction: &Introduction<'_>,
        announced: Versions,
        zone: ZoneIndex,
    ) -> u64 {
        let mut flags = 0;
        let name_length = [introduction.name.len() as u8];
        let mut parts: [&[u8]; 4] =
            [&name_length, &announced.0, introduction.name.as_bytes(), introduction.metadata];
        if announced == UNVERSIONED {
            parts[1] = &[];
        } else {
            flags |= ANNOUNCED | SAYS_MORE;
        }
        if !introduction.metadata.is_empty() {
            flags |= SAYS_MORE;
        }
        self.texts.set(index, &parts);
        self.free_long_address(index);
        let host = match introduction.address {
            SocketAddr::V4(address) => address.ip().octets(),
            SocketAddr::V6(address) => {
                flags |= LONG_ADDRESS;
                self.keep_long_address(address).to_le_bytes()
            }
        };
        let port = introduction.address.port().to_le_bytes();
        let hash = identity_of(introduction, announced);
        let tag = identity_tag(hash);
        self.slots[index as usize] = Slot { host, port, tag, zone: zone as u8, flags };
        hash
    }

    fn keep_long_address(&mut self, address: SocketAddrV6) -> u32 {
        match self.long_free.pop() {
            Some(place) => {
                self.long_addresses[place as usize] = address;
                place
            }
            None => {
                grow_for_one(&mut self.long_addresses);
                self.long_addresses.push(address);
                (self.long_addresses.len() - 1) as u32
            }
        }
    }

    fn free_long_address(&mut self, index: MemberIndex) {
        let slot = self.slots[index as usize];
        if slot.flags & LONG_ADDRESS != 0 {
            self.long_free.push(u32::from_le_bytes(slot.host));
        }
    }

    /// Keeps name and address of the place `index`, and nothing more: an event may still have to be resolved.
    pub(super) fn drop_metadata(&mut self, index: MemberIndex) {
        if self.text(index).metadata.is_empty() {
            return;
        }
        let whole = self.texts.get(index);
        let kept = whole[..whole.len() - self.text(index).metadata.len()].to_vec();
        self.texts.set(index, &[&kept]);
    }

    #[inline]
    fn slot(&self, index: MemberIndex) -> &Slot {
        &self.slots[index as usize]
    }

    #[inline]
    fn address(&self, index: MemberIndex) -> SocketAddr {
        let slot = self.slot(index);
        if slot.flags & LONG_ADDRESS == 0 {
            return SocketAddr::from((Ipv4Addr::from(slot.host), u16::from_le_bytes(slot.port)));
        }
        SocketAddr::V6(self.long_addresses[u32::from_le_bytes(slot.host) as usize])
    }

    fn text(&self, index: MemberIndex) -> Text<'_> {
        let Some((name_length, mut rest)) = self.texts.get(index).split_first() else { return Text::NOTHING };
        let mut announced = UNVERSIONED;
        if self.slot(index).flags & ANNOUNCED != 0
            && let Some((versions, after)) = rest.split_first_chunk()
        {
            (announced, rest) = (Versions(*versions), after);
        }
        let (name, metadata) = rest.split_at(usize::from(*name_length));
        Text { announced, name, metadata }
    }

    /// The name in the place `index`.
    pub(super) fn name(&self, index: MemberIndex) -> &str {
        // It was put there as one.
        std::str::from_utf8(self.text(index).name).unwrap_or_default()
    }
}
