//! What a member signs of its map of shared state, so that whoever passes it on can neither change it nor leave something out.
//!
//! Signatures of single entries would not do: who leaves one out, or says that all the others are gone, forges nothing. So an owner
//! signs what its whole map comes to at a version, in one *statement*: the hash of the hashes of its entries, deletions that it still remembers among
//! them, in the order of their versions. A copy that has taken in what follows on it comes to the same, or is not the owner's map.

use sha2::{Digest, Sha256};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::signed::{IdentityKey, PublicKey, Signature};
use super::{KeyEntry, KeySpan, KeyValue};

/// The hash of an entry, or of all entries of a map.
pub type EntryHash = [u8; 32];

/// Bytes of a statement behind the entries of a section.
pub const MAP_STATEMENT_LEN: usize = size_of::<MapStatement>();

/// What each of the hashes, and what is signed, begins with.
const ENTRY: &[u8] = b"swimring native 2 entry";
const ENTRIES: &[u8] = b"swimring native 2 entries";
const MAP: &[u8] = b"swimring native 2 map";

const SIGNED_LEN: usize = MAP.len() + size_of::<u32>() + 4 * size_of::<u64>() + size_of::<EntryHash>();

/// What the owner of a map says that it comes to at a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct MapStatement {
    /// The hash of all entries: see [`map_hash`].
    pub hash: EntryHash,
    /// The owner's signature of that, the map's life, its version and the floor of its deletions.
    pub signature: Signature,
}

/// The hash of an entry of a member's map.
pub fn entry_hash(entry: &KeyEntry<'_>) -> EntryHash {
    let (deleted, value) = match entry.value {
        KeyValue::Set(value) => (0, value),
        KeyValue::Deleted | KeyValue::Elsewhere(_) => (1, &[][..]),
    };
    let mut hash = Sha256::new();
    hash.update(ENTRY);
    hash.update(entry.version.to_le_bytes());
    hash.update([deleted, entry.key.len() as u8]);
    hash.update(entry.key.as_bytes());
    hash.update(value);
    hash.finalize().into()
}

/// The hash of a map whose entries have these hashes, in the order of their versions.
pub fn map_hash<'h>(entries: impl IntoIterator<Item = &'h EntryHash>) -> EntryHash {
    let mut hash = Sha256::new();
    hash.update(ENTRIES);
    entries.into_iter().for_each(|entry| hash.update(entry));
    hash.finalize().into()
}

/// What is signed.
fn signed(cluster: u32, span: &KeySpan, hash: &EntryHash) -> [u8; SIGNED_LEN] {
    let mut signed = [0; SIGNED_LEN];
    let numbers = [span.owner.0, span.epoch, span.until, span.floor].map(u64::to_le_bytes);
    let parts = [MAP, &cluster.to_le_bytes(), numbers.as_flattened(), hash];
    let mut rest = &mut signed[..];
    for part in parts {
        let (place, behind) = rest.split_at_mut(part.len());
        place.copy_from_slice(part);
        rest = behind;
    }
    signed
}

impl IdentityKey {
    /// States that the map of this key's member comes to `hash` where `span` ends.
    pub fn sign_map(&self, cluster: u32, span: &KeySpan, hash: EntryHash) -> MapStatement {
        MapStatement { hash, signature: self.sign(&signed(cluster, span, &hash)) }
    }
}

impl PublicKey {
    /// Whether the member whose key this is has stated that of its map where `span` ends.
    pub fn verifies_map(&self, cluster: u32, span: &KeySpan, statement: &MapStatement) -> bool {
        self.verifies(&signed(cluster, span, &statement.hash), &statement.signature)
    }
}
