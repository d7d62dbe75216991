//! Direct messages of the frame that is being taken in, until the driver has seen to them.

use std::ops::Range;

use swimring_codec::MemberId;

/// See the module. It holds what one frame brings, so a frame's length bounds it.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Inbox {
    bytes: Vec<u8>,
    messages: Vec<(MemberId, Range<usize>)>,
}

impl Inbox {
    /// Forgets what the last frame brought.
    #[inline]
    pub(in crate::protocol) fn clear(&mut self) {
        if !self.messages.is_empty() {
            self.messages.clear();
            self.bytes.clear();
        }
    }

    /// Keeps what `from` says. Gives its place.
    pub(in crate::protocol) fn add(&mut self, from: MemberId, payload: &[u8]) -> u32 {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        self.messages.push((from, start..self.bytes.len()));
        (self.messages.len() - 1) as u32
    }

    /// The message at `at`, and who sent it.
    pub(in crate::protocol) fn get(&self, at: u32) -> Option<(MemberId, &[u8])> {
        let (from, range) = self.messages.get(at as usize)?;
        Some((*from, &self.bytes[range.clone()]))
    }
}
