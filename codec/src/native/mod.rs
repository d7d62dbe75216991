//! The native wire format: fixed little-endian layouts, read in place.
//!
//! A *frame* is one datagram: a 32-byte header and a few messages. The header names the member it is
//! from and the member it is for by 64-bit id, so any number of members can share a socket, and it
//! carries the sender's *state root*, so every frame also compares two views. A *stream message* is the
//! same header in front of the larger exchanges that go over TCP. `docs/PROTOCOL.md` is the
//! specification; the types here follow it field by field.

mod direct;
mod error;
mod event;
mod event_repair;
mod frame;
mod introduction;
mod key_values;
mod layout;
mod message;
mod parts;
mod sealed;
mod section_writer;
mod signed;
mod signed_key;
mod signed_map;
mod stream;
mod stream_writer;
mod view_repair;

pub use direct::{DIRECT_HEADER_LEN, DIRECT_MAX, DIRECT_STREAM_MAX, DirectOutcome, DirectRole, DirectTurn};
pub use error::DecodeError;
pub use event::{EVENT_HEADER_LEN, EVENT_MAX, UserEvent};
pub use event_repair::{EVENT_PART_BITS_MAX, EVENT_REPAIR_LEN, EventId, EventPart, EventSum};
pub use frame::{
    DELEGATION_ACK_FRAME_LEN, FRAME_MAX, Frame, FrameHeader, FrameWriter, HEADER_LEN, Messages, destination,
    is_delegation_ack,
};
pub use introduction::{INTRODUCTION_HEADER_LEN, Introduction};
pub use key_values::{
    DIGESTS_MAX, KEY_MAX, KEY_ROOTS_LEN, KeyDigest, KeyDigestList, KeyDigests, KeyEntries, KeyEntry,
    KeyRoots, KeySection, KeySections, KeySpan, KeyValue, MapDigest, SECTION_HEADER_LEN, SECTIONS_MAX,
    VALUE_MAX,
};
pub use message::{
    DELEGATION_LEN, EVENT_ROOT_MAX, Message, MessageVisitor, PREFIX_BITS_MAX, PROBE_LEN, RELAY_LEN,
    SUSPECT_LEN, UPDATE_LEN,
};
pub use sealed::{
    CLOCK_DIFFERENCE_MAX_S, NOTICE_LEN, Notice, Opener, REPLAY_WINDOW_BYTES_MAX, REPLAY_WINDOW_LEAST,
    REPLAY_WINDOW_MOST, SEAL_ENVELOPE_LEN, SEAL_OVERHEAD, SEAL_TAG_LEN, SEALED_SENDERS_MAX,
    SEALED_STREAMS_MAX, SealCipher, SealCounters, SealError, SealKeys, Sealer, StreamSeal,
};
pub use section_writer::KeySectionWriter;
pub use signed::{
    IDENTITY_METADATA_MAX, IdentityKey, PUBLIC_KEY_LEN, PublicKey, PublicKeyError, SIGNATURE_LEN,
    SIGNATURE_MESSAGE_LEN, Signature, cluster_with_identities, split_metadata,
};
pub use signed_key::{KEY_STATEMENT_LEN, KeyStatement, ValueHash};
pub use signed_map::{EntryHash, MAP_STATEMENT_LEN, MapStatement, entry_hash, map_hash};
pub use stream::{
    STREAM_MESSAGE_MAX, STREAM_PREFIX_LEN, StateRecords, StreamBody, StreamKind, StreamMessage,
    stream_message_len,
};
pub use stream_writer::StreamWriter;
pub use view_repair::{
    ENTRY_WANTED_LEN, EntryWanted, IdRange, LISTED_LEN, LISTED_MAX, RANGE_BITS_MAX, SKETCH_CELL_LEN,
    SKETCH_CELLS_MAX, SUMS_STEP_MAX, SketchCell, VIEW_LIST_HEADER_LEN, VIEW_REPAIR_LEN,
    VIEW_SKETCH_HEADER_LEN, VIEW_SUMS_HEADER_LEN, ViewList, ViewSketch, ViewSums, item_contents, item_hash,
    listed_code,
};

/// Version of the native format, the first byte of every frame and stream message.
pub const VERSION: u8 = 2;
