//! The two ciphers as the crates `aes-gcm` and `chacha20poly1305` compute them: Rust alone, with the processor's instructions
//! where it has them. What there is unless the feature `ring` is on.

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::array::Array;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{Aes256Gcm, KeyInit};
use chacha20poly1305::ChaCha20Poly1305;

use super::SealCipher;
use super::keys::{CIPHER_KEY_LEN, NONCE_LEN, TAG_LEN};

/// Both ciphers, each with its key.
pub(super) struct Ciphers {
    aes: Aes256Gcm,
    chacha: ChaCha20Poly1305,
}

impl Ciphers {
    pub(super) fn new(aes: [u8; CIPHER_KEY_LEN], chacha: [u8; CIPHER_KEY_LEN]) -> Ciphers {
        Ciphers { aes: Aes256Gcm::new(&Array(aes)), chacha: ChaCha20Poly1305::new(&Array(chacha)) }
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
        let (nonce, buffer) = (Array(nonce), InOutBuf::from(buffer));
        let tag = match cipher {
            SealCipher::AesGcm => self.aes.encrypt_inout_detached(&nonce, additional, buffer),
            SealCipher::ChaCha20Poly1305 => self.chacha.encrypt_inout_detached(&nonce, additional, buffer),
        };
        tag.ok().map(Into::into)
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
        let (nonce, tag) = (Array(nonce), Array(tag));
        let opened = match cipher {
            SealCipher::AesGcm => self.aes.decrypt_inout_detached(&nonce, additional, buffer, &tag),
            SealCipher::ChaCha20Poly1305 => {
                self.chacha.decrypt_inout_detached(&nonce, additional, buffer, &tag)
            }
        };
        opened.is_ok()
    }
}
