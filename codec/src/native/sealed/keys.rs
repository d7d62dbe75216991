//! The keys that seal and open, with all that is derived from them.
//!
//! What an operator installs is 16, 24 or 32 bytes, the same as on memberlist's wire. Nothing is encrypted with these bytes
//! themselves: each use has a key of its own, derived by HKDF-SHA-256 (RFC 5869), so that a key that also encrypts a pool of
//! memberlist's, or the other cipher, meets no nonce twice. The id that the envelope names a key by is derived likewise, and
//! tells nothing of it.

use std::sync::Arc;

use aes_gcm::aead::inout::InOutBuf;
use hkdf::Hkdf;
use sha2::Sha256;

use super::{Ciphers, SealCipher};
use crate::memberlist::Keyring;

/// Bytes of the id of a key.
pub(super) const KEY_ID_LEN: usize = 4;
/// Bytes of the key of a cipher.
pub(super) const CIPHER_KEY_LEN: usize = 32;
/// Bytes of a nonce.
pub(super) const NONCE_LEN: usize = 12;
/// Bytes of the tag behind what is sealed.
pub const SEAL_TAG_LEN: usize = 16;
pub(super) const TAG_LEN: usize = SEAL_TAG_LEN;

/// HKDF's salt.
const SALT: &[u8] = b"swimring native 2";

struct SealKey {
    id: [u8; KEY_ID_LEN],
    ciphers: Ciphers,
}

impl SealKey {
    fn derive(key: &[u8]) -> SealKey {
        let derivation = Hkdf::<Sha256>::new(Some(SALT), key);
        SealKey {
            id: expanded(&derivation, b"key id"),
            ciphers: Ciphers::new(
                expanded(&derivation, b"aes-256-gcm"),
                expanded(&derivation, b"chacha20-poly1305"),
            ),
        }
    }
}

fn expanded<const LENGTH: usize>(derivation: &Hkdf<Sha256>, info: &[u8]) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    // Only 8,160 bytes and more are refused.
    let expanded = derivation.expand(info, &mut bytes);
    debug_assert!(expanded.is_ok(), "HKDF gives so few bytes");
    bytes
}

/// The installed keys, the primary first, ready for use. A clone shares them.
#[derive(Clone)]
pub struct SealKeys(Arc<[SealKey]>);

/// Without the keys.
impl std::fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SealKeys").field(&self.0.len()).finish()
    }
}

impl SealKeys {
    /// What the keys of `keyring` seal and open with.
    pub fn derive(keyring: &Keyring) -> SealKeys {
        SealKeys(keyring.keys().map(SealKey::derive).collect())
    }

    /// The id of the primary, as it stands in envelopes; nothing without a key.
    #[inline]
    pub fn primary_id(&self) -> Option<[u8; KEY_ID_LEN]> {
        self.0.first().map(|key| key.id)
    }

    /// Whether a key has this id.
    #[inline]
    pub(super) fn has(&self, id: [u8; KEY_ID_LEN]) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    /// Encrypts `buffer` in place with the primary, and gives the tag; nothing without a key.
    #[inline]
    pub(super) fn seal(
        &self,
        cipher: SealCipher,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        buffer: &mut [u8],
    ) -> Option<[u8; TAG_LEN]> {
        self.0.first()?.ciphers.seal(cipher, nonce, additional, buffer)
    }

    /// Decrypts `buffer` with the key called `id`: 0 if that is the primary, else its place among the others. Nothing if it is not
    /// authentic; what is in the output then is not to be used.
    #[inline]
    pub(super) fn open(
        &self,
        (cipher, id): (SealCipher, [u8; KEY_ID_LEN]),
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        mut buffer: InOutBuf<'_, '_, u8>,
        tag: [u8; TAG_LEN],
    ) -> Option<usize> {
        // Two keys may have one id, if hardly ever.
        let mut named = self.0.iter().enumerate().filter(|(_, key)| key.id == id);
        named.find_map(|(at, key)| {
            key.ciphers.open(cipher, nonce, additional, buffer.reborrow(), tag).then_some(at)
        })
    }
}
