//! The two ciphers as the crate `ring` computes them, with the feature of that name: assembly, which takes a C compiler to build.
//! The bytes are the same.
//!
//! What ring cannot open in place is gone. That matters where two keys of a keyring have one id, which is so for one pair of
//! four thousand million: a stream's messages, which are opened in place, are opened with the first of the two alone.

use aes_gcm::aead::inout::InOutBuf;
use ring::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};

use super::SealCipher;
use super::keys::{CIPHER_KEY_LEN, NONCE_LEN, TAG_LEN};

/// Both ciphers, each with its key.
pub(super) struct Ciphers {
    aes: Option<LessSafeKey>,
    chacha: Option<LessSafeKey>,
}

/// Only a key of another length is refused.
fn keyed(algorithm: &'static Algorithm, key: [u8; CIPHER_KEY_LEN]) -> Option<LessSafeKey> {
    UnboundKey::new(algorithm, &key).ok().map(LessSafeKey::new)
}

impl Ciphers {
    pub(super) fn new(aes: [u8; CIPHER_KEY_LEN], chacha: [u8; CIPHER_KEY_LEN]) -> Ciphers {
        Ciphers { aes: keyed(&AES_256_GCM, aes), chacha: keyed(&CHACHA20_POLY1305, chacha) }
    }

    #[inline]
    fn of(&self, cipher: SealCipher) -> Option<&LessSafeKey> {
        match cipher {
            SealCipher::AesGcm => self.aes.as_ref(),
            SealCipher::ChaCha20Poly1305 => self.chacha.as_ref(),
        }
    }

    /// Encrypts `buffer` in place and gives the tag; nothing if it is too long, which takes 64 GiB.
    #[inline]
    pub(super) fn seal(
        &self,
        cipher: SealCipher,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        buffer: &mut [u8],
    ) -> Option<[u8; TAG_LEN]> {
        let (nonce, additional) = (Nonce::assume_unique_for_key(nonce), Aad::from(additional));
        let tag = self.of(cipher)?.seal_in_place_separate_tag(nonce, additional, buffer).ok()?;
        tag.as_ref().try_into().ok()
    }

    /// Decrypts `buffer`. False if it is not authentic; what is in the output then is not to be used.
    #[inline]
    pub(super) fn open(
        &self,
        cipher: SealCipher,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        buffer: InOutBuf<'_, '_, u8>,
        tag: [u8; TAG_LEN],
    ) -> bool {
        let (nonce, additional) = (Nonce::assume_unique_for_key(nonce), Aad::from(additional));
        // ring opens in place alone.
        let buffer = buffer.into_out_with_copied_in();
        self.of(cipher).is_some_and(|key| {
            key.open_in_place_separate_tag(nonce, additional, Tag::from(tag), buffer, 0..).is_ok()
        })
    }
}
