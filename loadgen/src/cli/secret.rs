//! A key on the command line, from the moment it is typed, or in a file.

use std::convert::Infallible;
use std::path::Path;

use swimring::settings_file::{read_bounded, secret_key};
use swimring_codec::memberlist::SecretKey;

/// The longest file with a key that is read: a key has 44 characters at most.
const KEY_FILE_MAX_BYTES: u64 = 4096;

/// The key in the file that `--encrypt-file` names: its text, without blanks around it.
///
/// # Errors
/// One line, without what was read.
pub(super) fn key_in(path: &Path) -> Result<SecretKey, String> {
    let text = read_bounded(path, KEY_FILE_MAX_BYTES, "key file");
    text.and_then(|text| secret_key(&text))
        .map_err(|fault| format!("--encrypt-file {}: {fault}", path.display()))
}

/// What was typed for a key. It cannot be printed, and nothing is refused while it is parsed: a parser's refusal
/// would repeat it.
#[derive(Clone, PartialEq, Eq)]
pub struct TypedKey(String);

impl TypedKey {
    /// Takes whatever was typed.
    ///
    /// # Errors
    /// Never.
    pub fn typed(text: &str) -> Result<TypedKey, Infallible> {
        Ok(TypedKey(text.to_owned()))
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for TypedKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("TypedKey")
    }
}
