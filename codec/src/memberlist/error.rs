//! Why bytes were refused.

use thiserror::Error;

/// Why a packet, a stream message or a part of one was refused. Small and `Copy`: refusing is as cheap as
/// accepting, and a receiver counts these by kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before what they announce.
    #[error("truncated: the bytes end inside a header or message")]
    Truncated,
    /// The label is not the one configured: another, none, or one where none is expected.
    #[error("wrong label: another cluster's, or one side has none configured")]
    Label,
    /// The CRC does not match.
    #[error("wrong CRC: damaged on the way")]
    Crc,
    /// No installed key opens it, or it is encrypted and there is no key.
    #[error("cannot be decrypted with any installed key")]
    Decrypt,
    /// Not encrypted, though keys are installed and incoming messages are verified.
    #[error("not encrypted, but keys are installed and incoming messages are verified")]
    Unencrypted,
    /// Compressed twice, compressed inside a compound, or compounds or values nested too deeply.
    #[error("nested deeper than any peer nests")]
    Nested,
    /// Announces or inflates to more than is accepted.
    #[error("too large: counts or inflates beyond the limit")]
    TooLarge,
    /// An unknown compression algorithm, or compressed data that is not.
    #[error("unknown or malformed compression")]
    Compression,
    /// A message type that does not exist, or not in this place.
    #[error("unknown message type {0}")]
    Kind(u8),
    /// A field holds a value it may not have: a name that is empty, too long or not UTF-8, an address that
    /// is neither 4 nor 16 bytes, metadata that is too large, a number out of range.
    #[error("field out of range: {0}")]
    Field(&'static str),
    /// Not msgpack, or not a struct where one belongs.
    #[error("malformed msgpack")]
    Msgpack,
    /// The protocol versions are not six bytes.
    #[error("protocol versions are not six bytes")]
    Versions,
}

impl DecodeError {
    /// Number of kinds, for arrays of counters.
    pub const KINDS: usize = 12;

    /// A number from 0 to [`DecodeError::KINDS`] - 1 for the kind, for arrays of counters.
    pub const fn index(self) -> usize {
        match self {
            DecodeError::Truncated => 0,
            DecodeError::Label => 1,
            DecodeError::Crc => 2,
            DecodeError::Decrypt => 3,
            DecodeError::Unencrypted => 4,
            DecodeError::Nested => 5,
            DecodeError::TooLarge => 6,
            DecodeError::Compression => 7,
            DecodeError::Kind(_) => 8,
            DecodeError::Field(_) => 9,
            DecodeError::Msgpack => 10,
            DecodeError::Versions => 11,
        }
    }

    /// The name of each kind, by [`DecodeError::index`], as metrics spell it.
    pub const NAMES: [&'static str; Self::KINDS] = [
        "truncated",
        "label",
        "crc",
        "decrypt",
        "unencrypted",
        "nested",
        "too_large",
        "compression",
        "kind",
        "field",
        "msgpack",
        "versions",
    ];
}
