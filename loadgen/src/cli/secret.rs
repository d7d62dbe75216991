//! A key on the command line, from the moment it is typed.

use std::convert::Infallible;

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
