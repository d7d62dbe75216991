//! What may be chosen about workers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::net::NetOptions;
use crate::protocol::{Settings, WireOptions};
use crate::stream::StreamOptions;

/// How to start a [`super::Fleet`].
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// The protocol's constants, for all members.
    pub settings: Arc<Settings>,
    /// The wire format, for all members.
    pub wire: WireOptions,
    /// Of the datagram path. In other formats than the native one `segmentation` is off, whatever it says.
    pub net: NetOptions,
    /// Of the stream service.
    pub stream: StreamOptions,
    /// Members have an IP address each, of this machine's: given to [`super::Host::add_at`], with the port
    /// of the worker. `bind` is then a wildcard address. On loopback all of 127.0.0.0/8 may be used.
    pub own_addresses: bool,
    /// Where the first worker listens; the others take the ports after it, or any if it is 0.
    pub bind: SocketAddr,
    /// Threads. 1 to 1,024.
    pub workers: usize,
    /// Which cluster.
    pub cluster: u32,
    /// Of all random choices.
    pub seed: u64,
    /// Timers are rounded up to whole ticks, so that what is due together leaves together. 1 ms suits a
    /// single member; a fleet of thousands halves its cost with 5 ms. 1 ms to 100 ms.
    pub tick: Duration,
    /// Share of received datagrams that is dropped before decoding, 0 to 1: a lossy network.
    pub receive_loss: f64,
    /// Gossip frames a worker sends in a second, on average; more are put off. Acks are not counted.
    pub gossip_frames_per_second: u32,
    /// Keep each worker on a core of its own.
    pub pin: bool,
    /// Members each worker will own, and members each will know: memory is set aside at the start, so
    /// that the steady state does not allocate. Zero grows as needed.
    pub members_expected: usize,
    /// See `members_expected`.
    pub known_expected: usize,
}

impl Default for FleetOptions {
    fn default() -> FleetOptions {
        FleetOptions {
            settings: Arc::new(Settings::default()),
            wire: WireOptions::Native,
            net: NetOptions::default(),
            own_addresses: false,
            stream: StreamOptions::default(),
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 1,
            cluster: 0,
            seed: 0,
            tick: Duration::from_millis(1),
            receive_loss: 0.0,
            gossip_frames_per_second: 400_000,
            pin: false,
            members_expected: 0,
            known_expected: 0,
        }
    }
}
