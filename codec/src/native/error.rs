//! Why bytes were refused.

use thiserror::Error;

/// Why a frame or stream message was refused. Small and `Copy`: refusing is as cheap as accepting, and
/// a receiver counts these by kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before what they announce.
    #[error("truncated: the bytes end inside a header or message")]
    Truncated,
    /// Longer than a frame or stream message may be.
    #[error("too long: larger than the format allows")]
    TooLong,
    /// A format version this code does not speak.
    #[error("unknown version {0}")]
    Version(u8),
    /// The frame is marked as sealed, and no key is configured.
    #[error("sealed frame, but no key is configured")]
    Sealed,
    /// A message kind that does not exist.
    #[error("unknown message kind {0}")]
    Kind(u8),
    /// A field holds a value it may not have: a name that is empty, too long or not UTF-8, metadata or
    /// an event that is too large, an unknown state, an id of zero, an address nobody can be sent to.
    #[error("field out of range: {0}")]
    Field(&'static str),
    /// Bytes that must be zero are not.
    #[error("reserved bytes are not zero")]
    Reserved,
    /// A stream message goes on after its end. (A frame may: that is padding.)
    #[error("trailing bytes after the end of a stream message")]
    Trailing,
}

impl DecodeError {
    /// Number of kinds, for arrays of counters.
    pub const KINDS: usize = 8;

    /// A number from 0 to [`DecodeError::KINDS`] - 1 for the kind, for arrays of counters.
    pub const fn index(self) -> usize {
        match self {
            DecodeError::Truncated => 0,
            DecodeError::TooLong => 1,
            DecodeError::Version(_) => 2,
            DecodeError::Sealed => 3,
            DecodeError::Kind(_) => 4,
            DecodeError::Field(_) => 5,
            DecodeError::Reserved => 6,
            DecodeError::Trailing => 7,
        }
    }

    /// The name of each kind, by [`DecodeError::index`], as metrics spell it.
    pub const NAMES: [&'static str; Self::KINDS] =
        ["truncated", "too_long", "version", "sealed", "kind", "field", "reserved", "trailing"];
}
