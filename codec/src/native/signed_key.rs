//! What a member signs of a key of the cluster that it has written, so that nobody else can write one in its name.
//!
//! Each key is signed by itself: it has a writer of its own, and the last to write it wins, so there is nothing to be left out of. The writer
//! may be long gone when somebody takes the key in; so its public key goes with it. A key whose value is elsewhere has the hash of that
//! value in its place: who gets it sees that it is right before it asks for the value.

use sha2::{Digest, Sha256};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::key_values::{KEY_MAX, KeyEntry, KeyValue};
use super::signed::{IdentityKey, PublicKey, Signature};

/// The hash of the value of a key of the cluster.
pub type ValueHash = [u8; 32];

/// Bytes of a statement behind the value of an entry.
pub const KEY_STATEMENT_LEN: usize = size_of::<KeyStatement>();

/// What is signed begins with this.
const KEY: &[u8] = b"swimring native 2 key";

const SIGNED_MAX: usize =
    KEY.len() + size_of::<u32>() + 2 * size_of::<u64>() + 2 + KEY_MAX + size_of::<ValueHash>();

/// What the writer of a key of the cluster says of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct KeyStatement {
    /// The writer's public key.
    pub key: PublicKey,
    /// Its signature of the key, its value or deletion, its version and the writer.
    pub signature: Signature,
}

/// What is signed of an entry.
struct Signed {
    bytes: [u8; SIGNED_MAX],
    length: usize,
}

impl Signed {
    /// Nothing if it is none that could be signed: too long a key, or a value that is elsewhere without its hash.
    fn of(cluster: u32, entry: &KeyEntry<'_>) -> Option<Signed> {
        let (deleted, hash) = match entry.value {
            KeyValue::Deleted => (1, ValueHash::default()),
            KeyValue::Set(_) | KeyValue::Elsewhere(_) => (0, entry.value.hash()?),
        };
        let key_len = u8::try_from(entry.key.len()).ok()?;
        let numbers = [entry.writer.0, entry.version].map(u64::to_le_bytes);
        let parts = [
            KEY,
            &cluster.to_le_bytes(),
            numbers.as_flattened(),
            &[deleted, key_len],
            entry.key.as_bytes(),
            &hash,
        ];
        let mut signed = Signed { bytes: [0; SIGNED_MAX], length: 0 };
        for part in parts {
            signed.bytes[signed.length..][..part.len()].copy_from_slice(part);
            signed.length += part.len();
        }
        Some(signed)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl KeyValue<'_> {
    /// The hash of the value, be it here or elsewhere; nothing of a deletion, or if it is elsewhere and its hash was not said.
    pub fn hash(&self) -> Option<ValueHash> {
        match self {
            KeyValue::Set(value) => Some(Sha256::digest(value).into()),
            KeyValue::Deleted => None,
            KeyValue::Elsewhere(hash) => hash.copied(),
        }
    }
}

impl IdentityKey {
    /// States that this key's member has written `entry`, of whose value the hash is enough. Nothing if that is not to be signed.
    pub fn sign_key(&self, cluster: u32, entry: &KeyEntry<'_>) -> Option<KeyStatement> {
        let signed = Signed::of(cluster, entry)?;
        Some(KeyStatement { key: self.public(), signature: self.sign(signed.bytes()) })
    }
}

impl KeyStatement {
    /// The statement that [`KeyStatement::to_bytes`] has given.
    pub fn from_bytes(bytes: [u8; KEY_STATEMENT_LEN]) -> KeyStatement {
        zerocopy::transmute!(bytes)
    }

    /// Its bytes, as behind the value of an entry.
    pub fn to_bytes(&self) -> [u8; KEY_STATEMENT_LEN] {
        zerocopy::transmute!(*self)
    }

    /// Whether whoever has the other half of the key in this has signed `entry`.
    pub fn verifies(&self, cluster: u32, entry: &KeyEntry<'_>) -> bool {
        let signed = Signed::of(cluster, entry);
        signed.is_some_and(|signed| self.key.verifies(signed.bytes(), &self.signature))
    }

    /// What stands for the statement about `entry` where it is remembered that it was right: no other has the same.
    pub fn digest(&self, entry: &KeyEntry<'_>) -> Option<[u8; 32]> {
        let signed = Signed::of(0, entry)?;
        let mut digest = Sha256::new();
        digest.update(self.as_bytes());
        digest.update(signed.bytes());
        Some(digest.finalize().into())
    }
}
