//! Finding and mending what telling has missed.
//!
//! Three concerns, each with a state of its own, which the rest of the protocol calls by these doors:
//!
//! | door | file | what it does |
//! |---|---|---|
//! | `AntiEntropy::timeout`, `due` | `push_pull` | asks the driver for a stream to exchange views over |
//! | `ViewRepair::compare_roots`, `ask` | `views` | takes note of the root of a ping or ack, and sends a sketch to its sender if it differs for long |
//! | `ViewRepair::on_sketch`, `on_wanted`, `object`, `introduce`, `answer` | `views` | finds, sends and asks for the entries that differ |
//! | `ViewRepair::accuse` | `views` | has somebody state what it is of whom there are two beliefs |
//! | `ViewRepair::on_sums`, `on_list` | `ranges` | the same where too many differ for a sketch |
//! | `AntiEntropy::exchange_whole` | `push_pull` | has whole views exchanged, where nearly everything differs |
//! | `AntiEntropy::note_joined`, `member_returned` | `push_pull` | has a view exchanged soon |
//! | `EventRepair::compare_roots` | `events` | takes note of the event root of a ping or ack, and asks its sender if it differs for long |
//! | `EventRepair::answer`, `on_sum`, `on_known`, `on_wanted`, `on_repaired`, `on_stored` | `events` | finds, sends and takes in the user events that somebody lacks |
//! | `Reconnect::timeout`, `due` | `reconnect` | tries the dead again, so that a healed partition rejoins |
//! | `Reconnect::departed`, `reap` | `reconnect` | takes who is gone for long out of the view |
//! | `Core::forget_longest_gone` | `reconnect` | makes room in a full view |
//!
//! `frames` says whom repair goes to, and how many frames may leave. What goes over a stream, and what is made of it, needs every concern: see `member/streams.rs` and `member/records.rs`.

pub(in crate::protocol) mod events;
mod frames;
pub(in crate::protocol) mod push_pull;
mod ranges;
pub(in crate::protocol) mod reconnect;
pub(in crate::protocol) mod views;
