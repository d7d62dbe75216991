//! Where the members of a bench send: one buffer that every frame overwrites, as a driver's send buffer
//! that stays in cache.

use std::net::SocketAddr;

use swimring::protocol::FrameSink;
use swimring_codec::native::FRAME_MAX;

/// Takes every frame and forgets it.
#[derive(Debug)]
pub struct Sink {
    buffer: Box<[u8; FRAME_MAX]>,
    /// Number of frames that it was given.
    pub frames: u64,
    len: usize,
}

impl Sink {
    /// The last frame.
    pub fn last(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Default for Sink {
    fn default() -> Sink {
        Sink { buffer: Box::new([0; FRAME_MAX]), frames: 0, len: 0 }
    }
}

impl FrameSink for Sink {
    fn reserve(&mut self, _to: SocketAddr, len: usize) -> Option<&mut [u8]> {
        self.frames += 1;
        self.len = len.min(FRAME_MAX);
        self.buffer.get_mut(..len)
    }
}
