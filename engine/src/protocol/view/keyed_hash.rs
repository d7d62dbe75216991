//! Hashing for tables whose keys the network can choose.
//!
//! Their keys are hashes or small numbers already, so to spread them takes one multiplication; a random key of each worker's keeps whoever
//! chooses names or numbers from making them collide.

use std::hash::{BuildHasher, Hasher};

/// Even, so that with the key, which is odd, it makes an odd multiplier: one under which no two values have
/// the same product.
pub(super) const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C14;

/// Spreads keys that are hashes or small numbers already: one multiplication, with a random key against
/// chosen collisions.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct KeyedHash {
    mask: u64,
    multiplier: u64,
}

impl KeyedHash {
    pub(in crate::protocol) fn new(key: u64) -> KeyedHash {
        let key = key | 1;
        KeyedHash { mask: key.rotate_left(32), multiplier: key ^ MULTIPLIER }
    }

    /// The hash of one number.
    #[inline]
    pub(in crate::protocol) fn of(self, value: u64) -> u64 {
        let product = u128::from(value ^ self.mask) * u128::from(self.multiplier);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

impl BuildHasher for KeyedHash {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher { key: *self, hash: 0 }
    }
}

#[derive(Debug)]
pub(in crate::protocol) struct KeyedHasher {
    key: KeyedHash,
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

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.hash = self.key.of(value ^ self.hash);
    }

    /// Both halves in one product, of which each factor is as secret as the key: half the time of one after the other.
    fn write_u128(&mut self, value: u128) {
        let (low, high) = (value as u64, (value >> 64) as u64);
        let KeyedHash { mask, multiplier } = self.key;
        let product = u128::from(low ^ mask ^ self.hash) * u128::from(high ^ multiplier);
        self.hash = (product as u64) ^ ((product >> 64) as u64);
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}
