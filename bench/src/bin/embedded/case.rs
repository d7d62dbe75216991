//! What is measured, the same for all sides, and what came of it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Updates in one datagram.
pub const UPDATES: usize = 10;

/// An implementation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// One of our members, on the native wire.
    Swimring,
    /// foca 2.0, over postcard.
    Foca,
    /// memberlist, by `peers/bin/memberlist-peer`.
    Memberlist,
}

impl Side {
    pub const ALL: [Side; 3] = [Side::Swimring, Side::Foca, Side::Memberlist];

    pub fn name(self) -> &'static str {
        match self {
            Side::Swimring => "swimring",
            Side::Foca => "foca 2.0",
            Side::Memberlist => "memberlist",
        }
    }
}

/// What one member costs that knows so many others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cost {
    pub known: usize,
    /// Bytes that it holds more than one that knows nobody, without what the allocator adds.
    pub heap_bytes: u64,
    /// The most that it held while it learned of them.
    pub heap_bytes_learning: Option<u64>,
    /// By how much the process grew, from before it knew anybody.
    pub resident_bytes: u64,
    /// Processor time for learning of all of them.
    pub learned_ms: f64,
    /// Processor time of one second in which nothing happens: its probes and its share of those of the others.
    pub idle_us: Option<f64>,
    /// Processor time for one update that says a member is alive, at a higher incarnation.
    pub alive_ns: f64,
    /// For one of a suspicion and its refutation.
    pub suspected_ns: Option<f64>,
    /// For one of a death and a return.
    pub died_ns: Option<f64>,
    /// For a user event, which is handed to the service.
    pub event_ns: Option<f64>,
}

impl Cost {
    pub fn heap_bytes_each(&self) -> f64 {
        self.heap_bytes as f64 / self.known as f64
    }
}

/// The name of member `number`.
pub fn name_of(number: usize) -> String {
    format!("node-{number:07}")
}

/// Address of member `number`.
pub fn address_of(number: usize) -> SocketAddr {
    SocketAddr::from(([10, (number >> 16) as u8, (number >> 8) as u8, number as u8], 7946))
}

/// All of `0..known` once, in random order.
pub fn shuffled(known: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..known).collect();
    fastrand::Rng::with_seed(5).shuffle(&mut order);
    order
}
