//! Finding and mending what telling has missed.
//!
//! `push_pull` compares roots and exchanges views; `reconnect` tries the dead again, so that a healed partition rejoins.

pub(in crate::protocol) mod push_pull;
pub(in crate::protocol) mod reconnect;
