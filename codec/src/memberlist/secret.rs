//! A key on its way to the keyring.

/// The bytes of a key, which cannot be printed: what prints options, errors or whole structures of them shows how
/// long it is and nothing else.
///
/// ```
/// use swimring_codec::memberlist::SecretKey;
///
/// let key = SecretKey::from(vec![7; 16]);
/// assert_eq!(format!("{key:?}"), "SecretKey(16 bytes)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Box<[u8]>);

impl SecretKey {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for SecretKey {
    fn from(bytes: Vec<u8>) -> SecretKey {
        SecretKey(bytes.into())
    }
}

impl From<&[u8]> for SecretKey {
    fn from(bytes: &[u8]) -> SecretKey {
        SecretKey(bytes.into())
    }
}

impl<const LENGTH: usize> From<[u8; LENGTH]> for SecretKey {
    fn from(bytes: [u8; LENGTH]) -> SecretKey {
        SecretKey(bytes.into())
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SecretKey({} bytes)", self.0.len())
    }
}
