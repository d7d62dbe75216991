//! The virtual network's datagrams: what a member writes, and when and how it arrives.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::faults::Faults;
use swimring::protocol::FrameSink;

/// The port of every simulated member.
const PORT: u16 = 7946;

/// Address of the member `node` after it has moved `moves` times.
pub(super) fn address(node: usize, moves: u8) -> SocketAddr {
    let [.., middle, low] = (node as u32).to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, moves, middle, low)), PORT)
}

/// The member that is or was reached at `address`.
pub(super) fn node_at(address: SocketAddr) -> Option<usize> {
    match address.ip() {
        IpAddr::V4(ip) if ip.octets()[0] == 10 && address.port() == PORT => {
            let [.., middle, low] = ip.octets();
            Some(usize::from(middle) << 8 | usize::from(low))
        }
        _ => None,
    }
}

/// The frames that one call wrote.
#[derive(Debug, Default)]
pub(super) struct Written {
    bytes: Vec<u8>,
    /// Destination of each frame, and its end in `bytes`.
    frames: Vec<(SocketAddr, usize)>,
}

impl FrameSink for Written {
    fn reserve(&mut self, to: SocketAddr, len: usize) -> Option<&mut [u8]> {
        let start = self.bytes.len();
        // A real send buffer holds whatever was in it before.
        self.bytes.resize(start + len, 0xA5);
        self.frames.push((to, start + len));
        Some(&mut self.bytes[start..])
    }
}

impl Written {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn get(&self, nth: usize) -> (SocketAddr, &[u8]) {
        let start = if nth == 0 { 0 } else { self.frames[nth - 1].1 };
        let (to, end) = self.frames[nth];
        (to, &self.bytes[start..end])
    }
}

/// A one-way delay.
pub(super) fn delay(faults: &Faults, rng: &mut fastrand::Rng) -> Duration {
    let extra = faults.delay_mean.mul_f64(-(1.0 - rng.f64()).ln());
    let mut delay = faults.delay_floor + extra;
    if faults.late > 0.0 && rng.f64() < faults.late {
        delay += faults.late_max.mul_f64(rng.f64());
    }
    delay
}

/// Whether something with the chance `probability` happens.
pub(super) fn happens(probability: f64, rng: &mut fastrand::Rng) -> bool {
    probability > 0.0 && rng.f64() < probability
}

/// Flips a few bits or cuts the end off.
pub(super) fn corrupt(bytes: &mut Vec<u8>, rng: &mut fastrand::Rng) {
    if bytes.is_empty() {
        return;
    }
    if rng.u8(..4) == 0 {
        bytes.truncate(rng.usize(..bytes.len()));
        return;
    }
    for _ in 0..rng.u8(1..=8) {
        let at = rng.usize(..bytes.len());
        bytes[at] ^= 1 << rng.u8(..8);
    }
}

/// Buffers of datagrams under way, used again.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    free: Vec<Vec<u8>>,
}

impl Buffers {
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.free.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        buffer
    }

    pub(super) fn give_back(&mut self, buffer: Vec<u8>) {
        self.free.push(buffer);
    }
}
