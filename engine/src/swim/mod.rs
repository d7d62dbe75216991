//! The protocol, sans-I/O: time, randomness and bytes come in; bytes, timers and events go out.
#![forbid(unsafe_code)]

pub mod outbox;
pub mod permutation;
pub mod time;

pub use outbox::FrameSink;
pub use time::Time;
