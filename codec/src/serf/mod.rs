//! What Serf and Consul say inside memberlist: tags, intents and events.
//!
//! Serf's messages travel as memberlist's user messages and as the user state of a push/pull: a byte for
//! the type, then one msgpack struct. A member's tags are its metadata. Reading borrows and does not
//! allocate; writing goes to the end of a buffer.

mod message;
mod push_pull;
mod tags;

pub use crate::memberlist::DecodeError;
pub use message::{Message, Query};
pub use push_pull::{Clocks, Event, Events, LeftMembers, PushPull, StatusTimes, encode_push_pull};
pub use tags::{Tags, TagsError};

/// Most bytes of name and payload of a user event that peers take by default.
pub const EVENT_MAX: usize = 512;

/// The first byte of every message: its type.
mod kind {
    pub(super) const LEAVE: u8 = 0;
    pub(super) const JOIN: u8 = 1;
    pub(super) const PUSH_PULL: u8 = 2;
    pub(super) const USER_EVENT: u8 = 3;
    pub(super) const QUERY: u8 = 4;
}
