//! Reliable exchanges over TCP: joins, push/pull and fallback probes, everything a datagram cannot carry.
//!
//! One thread does all the waiting, so that a worker never does. It moves messages, each behind its length or as
//! long as a [`Scanner`] says, and never reads them. In an *exchange* the opener sends a *turn* (a buffer of one or
//! more complete messages), the member at the other end receives each message as it arrives and answers with a turn
//! of its own, and so on until one side closes. What to say is
//! decided on the worker threads, through a [`StreamPort`] each.
//!
//! ```text
//!  worker 0 --commands--> +---------------+ <--TCP--> peers
//!           <--events---- | stream thread |
//!  worker 1 --commands--> | (tokio-uring, | <--TCP--> peers
//!           <--events---- |  or tokio)    |
//!                         +---------------+
//! ```
//!
//! Commands and events cross in bounded lock-free queues; a pipe wakes the thread, a [`Wake`] the worker.
//! Bytes are read and written by io_uring; connections are made and accepted through readiness, because
//! `tokio-uring` cannot cancel an operation in flight and a connection to nowhere lasts two minutes. Where
//! io_uring is forbidden the same code runs on plain tokio.
//!
//! # Bounds
//! Memory that the network can fill: each exchange assembles one message of at most
//! [`StreamOptions::message_bytes_max`] bytes, growing only as bytes really arrive and all together within
//! [`StreamOptions::assembled_bytes_max`], and each worker's queue holds at most
//! [`StreamOptions::queued_bytes_max`]. Time: every exchange has a deadline, and ends early when no byte moves.
//! What is refused is counted in [`StreamCounters`].
#![forbid(unsafe_code)]

mod any_assembler;
mod assembler;
mod counters;
mod event;
mod exchange;
mod framing;
mod link;
mod notifier;
mod options;
mod pool;
mod port;
mod scanned;
mod service;

pub use counters::{Counter, StreamCounters};
pub use event::{CloseReason, ExchangeId, OsError, StreamEvent};
pub use framing::{Framing, ScanError, Scanner, ScannerFactory};
pub use options::{StreamDriver, StreamError, StreamOptions};
pub use port::StreamPort;
pub use service::{StreamService, Wake};
