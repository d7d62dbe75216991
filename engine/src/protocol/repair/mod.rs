//! Finding and mending what telling has missed.
//!
//! Two concerns, each with a state of its own, which the rest of the protocol calls by these doors:
//!
//! | door | file | what it does |
//! |---|---|---|
//! | `AntiEntropy::timeout`, `due` | `push_pull` | asks the driver for a stream to exchange views over |
//! | `AntiEntropy::compare_roots` | `push_pull` | takes note of the root that an ack carries |
//! | `AntiEntropy::note_joined`, `member_returned` | `push_pull` | has a view exchanged soon |
//! | `Reconnect::timeout`, `due` | `reconnect` | tries the dead again, so that a healed partition rejoins |
//! | `Reconnect::departed`, `reap` | `reconnect` | takes who is gone for long out of the view |
//! | `Core::forget_longest_gone` | `reconnect` | makes room in a full view |
//!
//! What goes over a stream, and what is made of it, needs every concern: see `member/streams.rs` and `member/records.rs`.

pub(in crate::protocol) mod push_pull;
pub(in crate::protocol) mod reconnect;
