//! The trace: one number over everything that was sent and everything that happened, in order.
//!
//! Two runs are the same exactly when their traces are, as far as a hash can tell.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use swimring::protocol::Time;

/// A running hash. See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    hash: u64,
    entries: u64,
}

impl Trace {
    pub(super) fn add(&mut self, at: Time, who: usize, bytes: &[u8]) {
        let place = at.as_micros().rotate_left(20) ^ who as u64;
        self.hash = xxh3_64_with_seed(bytes, self.hash ^ place);
        self.entries += 1;
    }

    /// The hash.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Number of things hashed: frames, writes to streams, and events.
    pub fn entries(&self) -> u64 {
        self.entries
    }
}
