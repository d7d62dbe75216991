//! Why something sealed, or something plain where all has to be sealed, was refused.

use thiserror::Error;

/// Why a datagram or stream message was not opened. Counted by kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum SealError {
    /// It is plain, and what is received has to be sealed.
    #[error("not encrypted, where encryption is required")]
    NotSealed,
    /// Too short to be an envelope, what it announces, and a tag.
    #[error("truncated: the bytes end inside what is sealed")]
    Truncated,
    /// An envelope that cannot be: another cipher, kind or length, or bytes that have to be zero and are not.
    #[error("malformed envelope")]
    Malformed,
    /// Sealed under a key that is not installed.
    #[error("encrypted with a key that is not installed")]
    UnknownKey,
    /// The tag is wrong: it was changed, cut, or made by somebody who does not have the key.
    #[error("not authentic: altered, or made without the key")]
    Forged,
    /// It has been opened before, or is not the next message of its stream.
    #[error("repeated, or out of order in its stream")]
    Replayed,
    /// So much older than the newest of its sender that nobody remembers whether it has been opened.
    #[error("older than what is remembered of its sender")]
    Late,
    /// The first of a sender that is not known, and its time differs from ours by too much.
    #[error("from a sender that is not known, at a time that differs from our clock by more than a minute")]
    Stale,
    /// The first of a sender that is not known, while as many are known as can be.
    #[error("from a sender that is not known, and as many are known as can be")]
    Crowded,
}

impl SealError {
    /// Number of kinds, for arrays of counters.
    pub const KINDS: usize = 9;

    /// A number from 0 to [`SealError::KINDS`] - 1 for the kind, for arrays of counters.
    pub const fn index(self) -> usize {
        match self {
            SealError::NotSealed => 0,
            SealError::Truncated => 1,
            SealError::Malformed => 2,
            SealError::UnknownKey => 3,
            SealError::Forged => 4,
            SealError::Replayed => 5,
            SealError::Late => 6,
            SealError::Stale => 7,
            SealError::Crowded => 8,
        }
    }

    /// The name of each kind, by [`SealError::index`], as metrics spell it.
    pub const NAMES: [&'static str; Self::KINDS] = [
        "not_sealed",
        "truncated",
        "malformed",
        "unknown_key",
        "forged",
        "replayed",
        "late",
        "stale",
        "crowded",
    ];
}
