//! The fixed layouts, byte for byte. Every type has alignment 1, so it is read where it lies.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Incarnation;

macro_rules! layout {
    ($(#[$doc:meta])* $name:ident = $size:literal { $($(#[$fdoc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
        #[repr(C)]
        pub(super) struct $name { $($(#[$fdoc])* pub $field: $type),* }
        const _: () = assert!(size_of::<$name>() == $size);
    };
}

layout! {
    /// In front of every frame and stream message.
    Header = 32 {
        version: u8,
        flags: u8,
        /// Frames: number of messages. Streams: the message kind.
        count_or_kind: u8,
        reserved: u8,
        cluster: U32,
        source: U64,
        destination: U64,
        root: U64,
    }
}

layout! {
    /// In front of what is sealed. Life and sequence are the nonce.
    Envelope = 28 {
        version: u8,
        flags: u8,
        cipher: u8,
        kind: u8,
        key: [u8; 4],
        time_s: U32,
        life: [u8; 8],
        sequence: U32,
        /// Of the ciphertext.
        length: U32,
    }
}

layout! {
    /// Ping, ack, nack, which has no event root.
    Probe = 8 { kind: u8, event_root: [u8; 3], sequence: U32 }
}

layout! {
    /// Delegation, and its acknowledgement, which has no prefix.
    Delegation = 8 { kind: u8, prefix_bits: u8, zone: U16, number: U32 }
}

layout! {
    /// Indirect ping: probe `target` for me.
    Relay = 16 { kind: u8, reserved: [u8; 3], sequence: U32, target: U64 }
}

layout! {
    /// Alive, dead, left: what is said of a member whose name the receiver has. Entry wanted: what is known of it.
    Update = 16 { kind: u8, tag: u8, incarnation: [u8; 6], subject: U64 }
}

layout! {
    /// Suspect: an update and who says so.
    Suspicion = 24 { update: Update, accuser: U64 }
}

layout! {
    /// Introduction: an update with everything that is known of the subject. Its tag is the length of the zone. Name,
    /// metadata and zone follow.
    IntroductionHeader = 38 {
        update: Update,
        address: [u8; 16],
        port: U16,
        name_len: u8,
        state: u8,
        metadata_len: U16,
    }
}

layout! {
    /// User event. Name and payload follow.
    EventHeader = 16 { kind: u8, name_len: u8, payload_len: U16, sequence: U32, origin: U64 }
}

layout! {
    /// Event sum: of the events of one part.
    EventSum = 8 { kind: u8, bits: u8, nth: u8, age_max: u8, sum: U32 }
}

layout! {
    /// Event known, event wanted: one event by its id.
    EventName = 8 { kind: u8, id: [u8; 7] }
}

layout! {
    /// Event age: of the user event that follows.
    EventAge = 8 { kind: u8, reserved: [u8; 3], age_ms: U32 }
}

layout! {
    /// View sketch: the cells follow.
    ViewSketchHeader = 4 { kind: u8, count: u8, reserved: [u8; 2] }
}

layout! {
    /// View sums: of a range of ids, as many as its parts. They follow.
    ViewSumsHeader = 8 { kind: u8, bits: u8, step: u8, reserved: u8, prefix: U32 }
}

layout! {
    /// View list: what is in a range of ids. The hashes follow.
    ViewListHeader = 8 { kind: u8, bits: u8, count: U16, prefix: U32 }
}

layout! {
    /// View repair: what follows repairs the view of the receiver.
    ViewRepairMark = 8 { kind: u8, flags: u8, reserved: [u8; 6] }
}

layout! {
    /// Direct message in a frame. Its payload follows.
    Direct = 8 { kind: u8, reserved: u8, length: U16, reserved_too: U32 }
}

layout! {
    /// Direct message on a stream. Its payload follows.
    DirectTurn = 32 { session: U64, sequence: U64, number: U64, role: u8, reserved: [u8; 3], length: U32 }
}

layout! {
    /// What became of a direct message on a stream.
    DirectAck = 16 { sequence: U64, outcome: u8, reserved: [u8; 7] }
}

layout! {
    /// Signature of the claim that follows.
    Signature = 72 { kind: u8, reserved: [u8; 7], signature: [u8; 64] }
}

layout! {
    /// State records on a stream: how many follow.
    StateHeader = 8 { count: U32, more: u8, reserved: [u8; 3] }
}

layout! {
    /// Key roots.
    KeyRoots = 24 { kind: u8, reserved: [u8; 7], maps: U64, keys: U64 }
}

layout! {
    /// Key digests on a stream: how many of maps, then how many of keys of the cluster.
    DigestsHeader = 12 { flags: u8, reserved: [u8; 3], maps: U32, keys: U32 }
}

/// One digest: owner, epoch and version of a map; hash, version and writer of a key.
pub(super) type Triple = [U64; 3];

layout! {
    /// A section of a map. Its entries follow, so many bytes.
    SectionHeader = 48 {
        owner: U64,
        epoch: U64,
        since: U64,
        until: U64,
        floor: U64,
        length: U32,
        flags: u8,
        reserved: [u8; 3],
    }
}

layout! {
    /// An entry of a section. The writer follows where keys are the cluster's, then key and value.
    EntryHeader = 16 { version: U64, value_len: U32, key_len: u8, flags: u8, reserved: [u8; 2] }
}

/// 48 bits, little-endian.
pub(super) fn incarnation_from(bytes: [u8; 6]) -> Incarnation {
    let [a, b, c, d, e, f] = bytes;
    Incarnation::new(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
}

/// The inverse of [`incarnation_from`].
pub(super) fn incarnation_bytes(incarnation: Incarnation) -> [u8; 6] {
    let [a, b, c, d, e, f, _, _] = incarnation.get().to_le_bytes();
    [a, b, c, d, e, f]
}

/// The first byte of each message of a frame.
pub(super) mod kind {
    pub const PING: u8 = 1;
    pub const INDIRECT_PING: u8 = 2;
    pub const ACK: u8 = 3;
    pub const NACK: u8 = 4;
    pub const ALIVE: u8 = 5;
    pub const SUSPECT: u8 = 6;
    pub const DEAD: u8 = 7;
    pub const LEFT: u8 = 8;
    pub const INTRODUCTION: u8 = 9;
    pub const USER_EVENT: u8 = 10;
    pub const DELEGATION: u8 = 11;
    pub const DELEGATION_ACK: u8 = 12;
    pub const EVENT_SUM: u8 = 13;
    pub const EVENT_KNOWN: u8 = 14;
    pub const EVENT_WANTED: u8 = 15;
    pub const EVENT_AGE: u8 = 16;
    pub const VIEW_SKETCH: u8 = 17;
    pub const VIEW_SUMS: u8 = 18;
    pub const VIEW_LIST: u8 = 19;
    pub const ENTRY_WANTED: u8 = 20;
    pub const VIEW_REPAIR: u8 = 21;
    pub const DELEGATION_VIEW_FIRST: u8 = 22;
    pub const KEY_ROOTS: u8 = 24;
    pub const SIGNATURE: u8 = 26;
    pub const DIRECT: u8 = 40;
}
