//! The wire format of hashicorp/memberlist, protocols 1 to 5, which Serf and Consul speak as well.
//!
//! A *packet* is a datagram with one message or a compound of them; a *stream message* is one request or
//! reply on a connection. Both may carry a label that names the pool, be encrypted under one of a ring of
//! keys, and be compressed. A [`Codec`] holds what that takes and opens and seals both; [`Message`],
//! [`Record`] and the other types are what is inside. Reading borrows from the received bytes or from the
//! codec's memory and does not allocate for packets. The bounds of what peers may announce are constants,
//! each with its reason.

mod canonical;
mod codec;
mod compound;
mod compress;
mod envelope;
mod error;
mod general;
mod keyring;
mod limits;
mod lzw;
mod message;
mod options;
mod packet;
mod record;
mod scanner;
mod secret;
mod stream;
mod stream_writer;
mod versions;

pub use codec::Codec;
pub use compound::{CompoundWriter, Messages, compound_overhead};
pub use error::DecodeError;
pub use keyring::{KeyError, Keyring};
pub use limits::{
    COMPOUND_DEPTH_MAX, INFLATED_PACKET_MAX, INFLATED_STREAM_MAX, KEYS_MAX, LABEL_MAX, METADATA_MAX,
    NAME_MAX, PACKET_MAX, PARTS_MAX, RECORDS_MAX, STREAM_MAX, STREAM_SCRATCH_KEPT, USER_STATE_MAX,
};
pub use message::{Alive, Message, Source};
pub use options::{CheckedOptions, Options, OptionsError};
pub use record::Record;
pub use scanner::StreamScanner;
pub use secret::SecretKey;
pub use stream::{Records, StreamMessage};
pub use stream_writer::{
    PushPullWriter, encode_stream_ack, encode_stream_error, encode_stream_ping, encode_stream_user,
};
pub use versions::Versions;

/// The first byte of every message: its type.
mod kind {
    pub(super) const PING: u8 = 0;
    pub(super) const INDIRECT_PING: u8 = 1;
    pub(super) const ACK: u8 = 2;
    pub(super) const SUSPECT: u8 = 3;
    pub(super) const ALIVE: u8 = 4;
    pub(super) const DEAD: u8 = 5;
    pub(super) const PUSH_PULL: u8 = 6;
    pub(super) const COMPOUND: u8 = 7;
    pub(super) const USER: u8 = 8;
    pub(super) const COMPRESS: u8 = 9;
    pub(super) const ENCRYPT: u8 = 10;
    pub(super) const NACK: u8 = 11;
    pub(super) const CRC: u8 = 12;
    pub(super) const ERROR: u8 = 13;
    pub(super) const LABEL: u8 = 0xf4;
}
