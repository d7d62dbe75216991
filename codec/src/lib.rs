//! Wire formats of Swimring.
//!
//! A codec turns bytes into borrowed messages and messages into bytes. It has no I/O and no clock, does not
//! allocate to decode a datagram, and answers anything malformed with a typed error: whatever arrives from
//! the network, the worst outcome is a counted refusal.
//!
//! [`native`] is the format Swimring members speak among themselves; `docs/PROTOCOL.md` specifies it.
//! [`memberlist`] is the format of hashicorp/memberlist, and [`serf`] what Serf and Consul say inside it.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod identity;
pub mod memberlist;
mod msgpack;
pub mod native;
pub mod serf;

pub use identity::{
    AddressFault, Incarnation, MemberId, State, canonical, identity_hash, identity_tag, is_same_place,
    root_term, zone_hash, zone_tag,
};
