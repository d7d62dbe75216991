//! Finding and mending what telling has missed.
//!
//! Three concerns, each with a state of its own, which the rest of the protocol calls by these doors:
//!
//! | door | file | what it does |
//! |---|---|---|
//! | `AntiEntropy::timeout`, `due` | `push_pull` | asks the driver for a stream to exchange views over |
//! | `AntiEntropy::compare_roots` | `push_pull` | takes note of the root that an ack carries |
//! | `AntiEntropy::note_joined`, `member_returned` | `push_pull` | has a view exchanged soon |
//! | `EventRepair::compare_roots` | `events` | takes note of the event root of a ping or ack, and asks its sender if it differs for long |
//! | `EventRepair::answer`, `on_sum`, `on_known`, `on_wanted`, `on_repaired`, `on_stored` | `events` | finds, sends and takes in the user events that somebody lacks |
//! | `Reconnect::timeout`, `due` | `reconnect` | tries the dead again, so that a healed partition rejoins |
//! | `Reconnect::departed`, `reap` | `reconnect` | takes who is gone for long out of the view |
//! | `Core::forget_longest_gone` | `reconnect` | makes room in a full view |
//!
//! What goes over a stream, and what is made of it, needs every concern: see `member/streams.rs` and `member/records.rs`.

pub(in crate::protocol) mod events;
pub(in crate::protocol) mod push_pull;
pub(in crate::protocol) mod reconnect;
