//! Identities: a key for each member, so that none can speak for another.
//!
//! All members of a cluster have one, or none has. What a member says of itself, that it is there with its address, metadata and zone,
//! that it is alive again, that it leaves, it then signs, and the others believe nobody else about it; see `SECURITY.md`
//! for what that keeps out, and what it does not. Identities and encryption go together: keys of the cluster keep outsiders out,
//! identities keep its members from each other.
//!
//! A member's key is in a file of its own, which only its owner can read and which [`ClusterBuilder::identity`](crate::ClusterBuilder::identity)
//! makes if it is not there. A name belongs to the key that it was first heard with, until its member is forgotten, half a minute after it has left or a
//! day after it died; with a list, [`ClusterBuilder::admit_key`](crate::ClusterBuilder::admit_key), to the key that the list gives it, and
//! nobody else is admitted. To make the keys beforehand, for such a list:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("swimring-identity-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("web-1.key");
//! let key = swimring::identity::generate()?;
//! swimring::identity::save(&path, &key)?;
//! println!("{} web-1", key.public());
//! assert_eq!(swimring::identity::load(&path)?, key);
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::TryRng;
use rand::rngs::SysRng;
use thiserror::Error;

pub use crate::protocol::AdmittedKeys;
pub use swimring_codec::native::{IdentityKey, PublicKey, PublicKeyError};

/// Owner only.
const MODE: u32 = 0o600;

/// What a key's file begins with, so that it is not taken for anything else.
const HEAD: &str = "swimring identity key\n";

/// Longest file that is looked at, in bytes.
const FILE_MAX: u64 = 4_096;

/// Who may take part where members have identities, and that they have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityOptions {
    /// The keys that are admitted; all, if there are none.
    pub admitted: Arc<AdmittedKeys>,
}

/// Why a key could not be made, read or kept.
#[derive(Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
    /// The file could not be opened, read or written.
    #[error("identity key file {}: {source}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others than its owner may read the file, or change it.
    #[error("identity key file {}: others may read it (its mode is {mode:o}): give it the mode 600, or make another key", path.display())]
    Readable {
        /// Its path.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is not one that [`save`] has written.
    #[error("identity key file {}: holds no key; take another path, or remove it to have a key made", path.display())]
    NoKey {
        /// Its path.
        path: PathBuf,
    },
}

crate::error_text::debug_is_the_sentence!(IdentityError);

/// Makes a key.
///
/// # Errors
/// [`IdentityError::Random`].
pub fn generate() -> Result<IdentityKey, IdentityError> {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).map_err(|error| IdentityError::Random(error.to_string()))?;
    Ok(IdentityKey::from_seed(&seed))
}

/// Keeps `key` in a file at `path`, which is not to be there yet and which only its owner can read.
///
/// # Errors
/// [`IdentityError::File`].
pub fn save(path: impl AsRef<Path>, key: &IdentityKey) -> Result<(), IdentityError> {
    let path = path.as_ref();
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
        let digits: String = key.seed().iter().map(|byte| format!("{byte:02x}")).collect();
        let written = file.write_all(format!("{HEAD}{digits}\n").as_bytes()).and_then(|()| file.sync_all());
        if written.is_err() {
            // Half a key would be in the way of a whole one.
            let _ = std::fs::remove_file(path);
        }
        written
    };
    write().map_err(|source| IdentityError::File { path: path.to_owned(), source })
}

/// Reads the key that [`save`] has kept at `path`.
///
/// # Errors
/// [`IdentityError::File`], [`IdentityError::Readable`] or [`IdentityError::NoKey`].
pub fn load(path: impl AsRef<Path>) -> Result<IdentityKey, IdentityError> {
    let path = path.as_ref();
    let fault = |source| IdentityError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(fault)?;
    let mode = file.metadata().map_err(fault)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Readable { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(FILE_MAX).read_to_string(&mut text).map_err(fault)?;
    let key = text.strip_prefix(HEAD).and_then(|digits| IdentityKey::from_hex(digits.trim()));
    key.ok_or_else(|| IdentityError::NoKey { path: path.to_owned() })
}

/// Reads the key at `path`, or makes one and keeps it there if there is no file.
///
/// # Errors
/// As [`generate`], [`save`] and [`load`].
pub fn load_or_generate(path: impl AsRef<Path>) -> Result<IdentityKey, IdentityError> {
    let path = path.as_ref();
    match load(path) {
        Err(IdentityError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let key = generate()?;
            match save(path, &key) {
                // Another process was first.
                Err(IdentityError::File { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                    load(path)
                }
                saved => saved.map(|()| key),
            }
        }
        loaded => loaded,
    }
}

/// Adds the key, and the name if there is one, that `line` has: 64 hexadecimal digits, and behind a blank the one name that this key
/// is admitted with.
///
/// # Errors
/// If the digits are no key.
pub fn admit(admitted: &mut AdmittedKeys, line: &str) -> Result<(), PublicKeyError> {
    let (digits, name) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    let name = name.trim();
    admitted.add(digits.parse()?, (!name.is_empty()).then_some(name));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("swimring-identity-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = folder("made");
        let path = folder.join("member.key");
        let made = load_or_generate(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(load_or_generate(&path).unwrap().seed(), made.seed());
        let refused = save(&path, &generate().unwrap()).unwrap_err().to_string();
        assert!(refused.contains("exists"), "{refused}");
        assert_eq!(load(&path).unwrap().seed(), made.seed(), "not written over");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_no_key_or_no_secret_is_refused() {
        let folder = folder("refused");
        let path = folder.join("member.key");
        let told = |path: &Path| load(path).unwrap_err().to_string();
        assert!(told(&path).contains("No such file"));
        save(&path, &generate().unwrap()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(told(&path).contains("others may read it (its mode is 640): give it the mode 600"));
        let digits = "5a".repeat(32);
        for text in
            [String::new(), digits.clone(), format!("{HEAD}{}", &digits[1..]), format!("{HEAD}x{digits}")]
        {
            std::fs::write(&path, &text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let told = told(&path);
            assert!(told.contains("holds no key") && !told.contains("5a5a"), "{told}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn lines_of_a_list_are_keys_with_names_or_without() {
        let key = IdentityKey::from_seed(&[7; 32]).public();
        let mut admitted = AdmittedKeys::default();
        admit(&mut admitted, &format!(" {key}  web 1 ")).unwrap();
        assert!(admitted.admits(&key, "web 1") && !admitted.admits(&key, "web"));
        assert_eq!(admit(&mut admitted, "web-1"), Err(PublicKeyError::Digits));
        assert_eq!(admit(&mut admitted, &"00".repeat(32)), Err(PublicKeyError::NoKey));
        assert_eq!(admitted.len(), 1);
    }
}
