//! What is refused however well it is formed: the bounds of everything a peer announces.

pub use crate::identity::{METADATA_MAX, NAME_MAX};

/// Longest label in bytes: its length is one byte on the wire.
pub const LABEL_MAX: usize = 255;

/// Most parts of a compound: their number is one byte on the wire.
pub const PARTS_MAX: usize = 255;

/// How deep compounds may nest. Peers never nest them, but their receivers allow it without a bound; one
/// level inside another is what a relay that bundles what it was given could come to.
pub const COMPOUND_DEPTH_MAX: usize = 2;

/// Most bytes that a compressed packet may inflate to: no larger datagram could have carried them plain.
pub const INFLATED_PACKET_MAX: usize = 64 << 10;

/// Most bytes that a compressed stream message may inflate to, as in memberlist.
pub const INFLATED_STREAM_MAX: usize = 40 << 20;

/// Largest stream message in bytes before it is decrypted or inflated. memberlist holds its encrypted
/// frames to this; here it holds for every stream message.
pub const STREAM_MAX: usize = 20 << 20;

/// Most records in a push/pull, as in memberlist.
pub const RECORDS_MAX: usize = 1 << 20;

/// Most bytes of user state in a push/pull, and of a user message on a stream, as in memberlist.
pub const USER_STATE_MAX: usize = 20 << 20;

/// Most keys installed at a time. memberlist has no bound, but a packet under no key costs one failed
/// authentication for each: with 16, a flood of such packets costs 16 times what it should and no more.
pub const KEYS_MAX: usize = 16;

/// Largest datagram in bytes: memberlist reads into a buffer of this size.
pub const PACKET_MAX: usize = 64 << 10;

/// Scratch memory in bytes that stays allocated between stream messages. What a larger message needed is
/// given back when it is refused, or before the next one is opened.
pub const STREAM_SCRATCH_KEPT: usize = 2 << 20;
