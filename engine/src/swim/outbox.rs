//! Where a member's output goes.

use std::net::SocketAddr;

/// Takes frames: the datagram drivers' send buffers, or a simulated network.
pub trait FrameSink {
    /// Room for a frame of exactly `len` bytes (at most [`swimring_codec::native::FRAME_MAX`]) to `to`.
    ///
    /// The caller fills all of it at once: calling `reserve` again, or returning to the driver, sends
    /// it. Nothing if the sink is full; the sink counts what it sheds.
    fn reserve(&mut self, to: SocketAddr, len: usize) -> Option<&mut [u8]>;
}
