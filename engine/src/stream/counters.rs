//! What the stream service did and what it refused, readable from any thread.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one part writes and any thread may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn increment(&self) {
        self.add(1);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// Counters of a stream service, all since its start except `open`.
#[derive(Debug, Default)]
pub struct StreamCounters {
    /// Exchanges under way now.
    pub open: Counter,
    /// Exchanges we opened that connected.
    pub opened: Counter,
    /// Exchanges accepted.
    pub accepted: Counter,
    /// Bytes received, length prefixes included.
    pub bytes_in: Counter,
    /// Bytes sent, length prefixes included.
    pub bytes_out: Counter,
    /// Messages handed to workers.
    pub messages_in: Counter,
    /// Exchanges refused because `exchanges_max` or `accepted_max` was reached.
    pub shed: Counter,
    /// Connections closed at once because they came from outside of the networks that are allowed.
    pub outside: Counter,
    /// Exchanges ended because messages on their way in filled `assembled_bytes_max`.
    pub memory_shed: Counter,
    /// Exchanges ended by a timeout: connecting, idle, or as a whole.
    pub timeouts: Counter,
    /// Exchanges we opened that could not connect, timeouts aside.
    pub refused: Counter,
    /// Exchanges broken by an error of the connection.
    pub broken: Counter,
    /// Exchanges ended because the peer broke the framing or a size limit.
    pub protocol_errors: Counter,
    /// Exchanges closed because their worker did not take its events in time.
    pub worker_busy: Counter,
    /// Exchanges closed because their worker queued too many turns.
    pub turns_shed: Counter,
    /// Commands refused to a worker because its command queue was full.
    pub commands_shed: Counter,
    /// Replies to exchanges that had already ended.
    pub late_replies: Counter,
    /// Errors while accepting connections, such as no descriptors left.
    pub accept_errors: Counter,
}
