//! Indirect probes that members carry out for others, in lists that share their storage.

use std::net::SocketAddr;

use swimring_codec::MemberId;

use crate::protocol::time::Time;
use crate::protocol::view::linked_lists::Pool;

/// Storage for the relays of many members.
pub(in crate::protocol) type RelayPool = Pool<Relay>;

/// An indirect probe under way.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Relay {
    /// Sequence number of our own ping.
    pub(in crate::protocol) sequence: u32,
    /// Sequence number that the requester knows it by.
    pub(in crate::protocol) requested: u32,
    pub(in crate::protocol) requester: MemberId,
    pub(in crate::protocol) requester_address: SocketAddr,
    /// When to send the nack; [`Time::NEVER`] once sent.
    pub(in crate::protocol) nack: Time,
    pub(in crate::protocol) expires: Time,
}
