//! The worker's clock: read once a turn, and now and then between datagrams.

use std::time::{Duration, Instant, SystemTime};

use crate::protocol::Time;

/// Datagrams handled between two readings, each of which costs as much as a small datagram.
const DATAGRAMS_PER_READING: u32 = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Clock {
    /// The fleet's start.
    origin: Instant,
    now: Time,
    /// Datagrams that may still be handled before the next reading.
    unread: u32,
    /// When wall time was read last.
    wall_read: Time,
}

impl Clock {
    /// A clock that began at `origin`.
    pub(super) fn new(origin: Instant) -> Clock {
        Clock { origin, now: Time::ZERO, unread: 0, wall_read: Time::NEVER }
    }

    /// The time of the last reading.
    #[inline]
    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// Reads the time.
    #[allow(clippy::disallowed_methods, reason = "the worker is where time comes from")]
    pub(super) fn read(&mut self) {
        let elapsed = Instant::now().saturating_duration_since(self.origin);
        self.now = Time::from_micros(elapsed.as_micros() as u64);
    }

    /// The wall clock's time, the lower 32 bits of the seconds since 1970, if it was not asked for within a quarter of a second.
    #[allow(clippy::disallowed_methods, reason = "the worker is where time comes from")]
    pub(super) fn new_second(&mut self) -> Option<u32> {
        const EVERY: Duration = Duration::from_millis(250);
        if self.wall_read != Time::NEVER && self.now.since(self.wall_read) < EVERY {
            return None;
        }
        self.wall_read = self.now;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // Before 1970 it says nothing.
        Some(since.map_or(0, |since| since.as_secs() as u32))
    }

    /// The driver is about to wait: the first datagram has the time read.
    pub(super) fn expire(&mut self) {
        self.unread = 0;
    }

    /// A datagram arrived: every so often the time is read.
    #[inline]
    pub(super) fn datagram(&mut self) {
        if self.unread == 0 {
            self.read();
            self.unread = DATAGRAMS_PER_READING;
        }
        self.unread -= 1;
    }
}
