//! What the tests of whole views share: members by number, and a sink for the frames that they are not about.

use std::net::SocketAddr;

use swimring::protocol::FrameSink;

/// The name of the member `number`.
pub fn name(number: u32) -> String {
    format!("member-{number}")
}

/// Its address.
pub fn address(number: u32) -> SocketAddr {
    ([10, 0, (number >> 8) as u8, number as u8], 7946).into()
}

/// Takes frames, and sends none.
#[derive(Default)]
pub struct Nowhere(Vec<u8>);

impl FrameSink for Nowhere {
    fn reserve(&mut self, _: SocketAddr, len: usize) -> Option<&mut [u8]> {
        self.0.resize(len, 0);
        Some(&mut self.0)
    }
}
