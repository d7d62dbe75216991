//! The keys of a pool.
//!
//! Every installed key decrypts, the primary encrypts. A key is replaced without an interruption by
//! installing the new one everywhere, then making it primary everywhere, then removing the old one. Keys
//! are kept with their schedules expanded, so a packet costs none of that.

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::array::Array;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aes::cipher::consts::U12;
use aes_gcm::aes::{Aes128, Aes192, Aes256};
use aes_gcm::{AesGcm, KeyInit};
use thiserror::Error;

use super::{KEYS_MAX, OptionsError, SecretKey};

/// Bytes of the nonce in front of what is encrypted.
pub(super) const NONCE_LEN: usize = 12;
/// Bytes of the tag behind it.
pub(super) const TAG_LEN: usize = 16;

/// Why a key was not installed, used or removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not 16, 24 or 32 bytes.
    #[error("a key of {0} bytes; use 16, 24 or 32 for AES-128, AES-192 or AES-256")]
    Length(usize),
    /// As many are installed as can be.
    #[error("{KEYS_MAX} keys are installed; remove one that is no longer in use first")]
    TooMany,
    /// Only an installed key can be made primary.
    #[error("this key is not installed; install it first")]
    Unknown,
    /// There is no encryption whose keys could be changed.
    #[error("this member does not encrypt; start it with keys (secret_keys)")]
    NotEncrypted,
    /// The primary key encrypts.
    #[error("the primary key cannot be removed; make another one primary first")]
    Primary,
}

#[derive(Clone)]
enum Cipher {
    Aes128(AesGcm<Aes128, U12>),
    Aes192(AesGcm<Aes192, U12>),
    Aes256(AesGcm<Aes256, U12>),
}

#[derive(Clone)]
struct Key {
    bytes: Box<[u8]>,
    cipher: Cipher,
}

impl Key {
    fn new(bytes: &[u8]) -> Result<Key, KeyError> {
        let wrong = |_| KeyError::Length(bytes.len());
        let cipher = match bytes.len() {
            16 => Cipher::Aes128(AesGcm::new_from_slice(bytes).map_err(wrong)?),
            24 => Cipher::Aes192(AesGcm::new_from_slice(bytes).map_err(wrong)?),
            32 => Cipher::Aes256(AesGcm::new_from_slice(bytes).map_err(wrong)?),
            length => return Err(KeyError::Length(length)),
        };
        Ok(Key { bytes: bytes.into(), cipher })
    }
}

/// The installed keys, the primary first.
#[derive(Clone, Default)]
pub struct Keyring {
    keys: Vec<Key>,
}

/// Without the keys.
impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.keys.len()).finish()
    }
}

impl Keyring {
    /// With all of `keys` installed, the first as the primary.
    ///
    /// # Errors
    /// `Keys` if there are too many, `Key` for the first that cannot be used.
    pub fn of(keys: &[SecretKey]) -> Result<Keyring, OptionsError> {
        if keys.len() > KEYS_MAX {
            return Err(OptionsError::Keys(keys.len()));
        }
        let mut keyring = Keyring::default();
        for (at, key) in keys.iter().enumerate() {
            keyring.install(key.bytes()).map_err(|error| OptionsError::Key(at + 1, error))?;
        }
        Ok(keyring)
    }

    /// Installs a key; the first becomes the primary. One that is installed already is left as it is.
    ///
    /// # Errors
    /// `Length` or `TooMany`.
    pub fn install(&mut self, key: &[u8]) -> Result<(), KeyError> {
        let installed = Key::new(key)?;
        if self.position(key).is_some() {
            return Ok(());
        }
        if self.keys.len() == KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        self.keys.push(installed);
        Ok(())
    }

    /// Makes an installed key the primary.
    ///
    /// # Errors
    /// `Unknown` if it is not installed.
    pub fn use_key(&mut self, key: &[u8]) -> Result<(), KeyError> {
        let at = self.position(key).ok_or(KeyError::Unknown)?;
        self.keys[..=at].rotate_right(1);
        Ok(())
    }

    /// Removes a key. One that is not installed is no error.
    ///
    /// # Errors
    /// `Primary` for the primary.
    pub fn remove(&mut self, key: &[u8]) -> Result<(), KeyError> {
        match self.position(key) {
            Some(0) => Err(KeyError::Primary),
            Some(at) => {
                self.keys.remove(at);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The installed keys, the primary first.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.keys.iter().map(|key| &*key.bytes)
    }

    /// The key that encrypts.
    pub fn primary(&self) -> Option<&[u8]> {
        self.keys.first().map(|key| &*key.bytes)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn position(&self, key: &[u8]) -> Option<usize> {
        self.keys.iter().position(|installed| *installed.bytes == *key)
    }

    /// Encrypts `buffer` in place with the primary key and gives the tag; nothing without a key.
    pub(super) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        buffer: &mut [u8],
    ) -> Option<[u8; TAG_LEN]> {
        let nonce = Array(nonce);
        let buffer = InOutBuf::from(buffer);
        let tag = match &self.keys.first()?.cipher {
            Cipher::Aes128(cipher) => cipher.encrypt_inout_detached(&nonce, additional, buffer),
            Cipher::Aes192(cipher) => cipher.encrypt_inout_detached(&nonce, additional, buffer),
            Cipher::Aes256(cipher) => cipher.encrypt_inout_detached(&nonce, additional, buffer),
        };
        // Only 64 GiB and more are refused.
        tag.ok().map(Into::into)
    }

    /// Decrypts `input` into `output`, which is as long, with whichever key it is authentic under. False,
    /// and nothing of the plain text written, if there is none.
    pub(super) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        (input, output): (&[u8], &mut [u8]),
        tag: [u8; TAG_LEN],
    ) -> bool {
        let (nonce, tag) = (Array(nonce), Array(tag));
        self.keys.iter().any(|key| {
            let Ok(buffer) = InOutBuf::new(input, &mut *output) else { return false };
            match &key.cipher {
                Cipher::Aes128(cipher) => cipher.decrypt_inout_detached(&nonce, additional, buffer, &tag),
                Cipher::Aes192(cipher) => cipher.decrypt_inout_detached(&nonce, additional, buffer, &tag),
                Cipher::Aes256(cipher) => cipher.decrypt_inout_detached(&nonce, additional, buffer, &tag),
            }
            .is_ok()
        })
    }
}
