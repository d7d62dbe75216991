//! The short lists of all members of a worker, in storage that they share.
//!
//! A process may hold tens of thousands of members, most with nothing queued and nobody suspected. So a member holds the head
//! of each list in a few bytes, and what is in the lists lies in one pool per kind. These are data structures: what is
//! queued, suspected or relayed, and when, is decided in `dissemination` and `detection`.

pub(in crate::protocol) mod broadcasts;
pub(in crate::protocol) mod delegation;
pub(in crate::protocol) mod delegations;
pub(in crate::protocol) mod event_backlog;
pub(in crate::protocol) mod event_talk;
pub(in crate::protocol) mod event_window;
pub(in crate::protocol) mod events;
pub(in crate::protocol) mod inbox;
pub(in crate::protocol) mod newcomers;
pub(in crate::protocol) mod presence;
pub(in crate::protocol) mod relays;
pub(in crate::protocol) mod round_trip;
pub(in crate::protocol) mod state_entries;
pub(in crate::protocol) mod suspicion;
pub(in crate::protocol) mod suspicions;
pub(in crate::protocol) mod unheard;
pub(in crate::protocol) mod view_talk;
