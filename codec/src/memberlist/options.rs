//! What a codec is set up with, and what may be wrong with it.

use thiserror::Error;

use super::{KEYS_MAX, KeyError, Keyring, LABEL_MAX, SecretKey};

/// How packets and streams are labelled, encrypted and compressed. All members of a pool need the same
/// label and keys; the rest may differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Names the pool, so that a stray packet of another is refused. At most [`LABEL_MAX`] bytes; empty, the
    /// default, is none. Not a secret.
    pub label: String,
    /// Keys of 16, 24 or 32 bytes. Each decrypts, the first encrypts. None, the default, means plain text.
    pub keys: Vec<SecretKey>,
    /// Refuse what is not encrypted once there are keys. Default true; false while a pool is being moved to
    /// encryption.
    pub verify_incoming: bool,
    /// Encrypt once there are keys. Default true; false while a pool is being moved to encryption.
    pub verify_outgoing: bool,
    /// Compress what becomes smaller by it. Default false: over a local network the time costs more than
    /// the bytes. Compressed messages are read in any case.
    pub compression: bool,
    /// The envelope of what is encrypted: 1, the default, or 0, which pads, for peers of protocol 1. Both
    /// are read in any case.
    pub encryption_version: u8,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            label: String::new(),
            keys: Vec::new(),
            verify_incoming: true,
            verify_outgoing: true,
            compression: false,
            encryption_version: 1,
        }
    }
}

impl Options {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first that is wrong, by name.
    pub fn validate(&self) -> Result<(), OptionsError> {
        self.check().map(|_| ())
    }

    /// Checks every setting and makes the keys ready.
    ///
    /// # Errors
    /// The first that is wrong, by name.
    pub fn check(&self) -> Result<CheckedOptions, OptionsError> {
        if self.label.len() > LABEL_MAX {
            return Err(OptionsError::Label(self.label.len()));
        }
        if self.encryption_version > 1 {
            return Err(OptionsError::EncryptionVersion(self.encryption_version));
        }
        Ok(CheckedOptions { options: self.clone(), keyring: Keyring::of(&self.keys)? })
    }
}

/// Options that have been checked, with their keys ready for use: what any number of codecs are made of.
#[derive(Clone, Debug)]
pub struct CheckedOptions {
    pub(super) options: Options,
    pub(super) keyring: Keyring,
}

/// A setting that cannot be used, and how to mend it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// Too long.
    #[error("label has {0} bytes; use at most {LABEL_MAX}")]
    Label(usize),
    /// Too many.
    #[error("keys has {0} entries; install at most {KEYS_MAX}")]
    Keys(usize),
    /// The key at this position, counted from 1, cannot be used.
    #[error("keys: number {0}: {1}")]
    Key(usize, KeyError),
    /// Neither 0 nor 1.
    #[error("encryption_version is {0}; use 1, or 0 for peers of protocol 1")]
    EncryptionVersion(u8),
}
