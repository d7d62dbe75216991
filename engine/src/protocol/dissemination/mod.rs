//! What is still to be told, to whom, and on what it travels.
//!
//! `queue` holds updates, `piggyback` puts them on frames, `gossip` tells them when no frame is sent anyway. `user_events`
//! are the application's own, `user_messages` what an application or Serf sends in memberlist's. `spread_estimate` measures how long telling takes.

pub(in crate::protocol) mod gossip;
pub(in crate::protocol) mod piggyback;
pub(in crate::protocol) mod queue;
pub(in crate::protocol) mod spread_estimate;
pub(in crate::protocol) mod user_events;
pub(in crate::protocol) mod user_messages;
