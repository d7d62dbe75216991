//! What may be chosen about workers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::zone_latency::ZoneLatency;
use crate::identity::IdentityOptions;
use crate::net::NetOptions;
use crate::protocol::{AdmissionRules, Settings, WireOptions};
use crate::stream::StreamOptions;

/// How to start a [`super::Fleet`].
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// Constants of the protocol, for all members.
    pub settings: Arc<Settings>,
    /// Wire format of all members.
    pub wire: WireOptions,
    /// That members have identities, each a key of its own ([`super::Host::add_with_key`]), and who is admitted. On the native wire
    /// only; the number in headers is then [another](swimring_codec::native::cluster_with_identities) than `cluster`.
    pub identities: Option<IdentityOptions>,
    /// Options of the datagram path. `own_addresses` and `frame_bytes_max` follow from `own_addresses` and
    /// `settings` here, and are refused there. `segmentation` and `coalescing` are permissions: where the kernel or
    /// the wire format has no use for them, they are off.
    pub net: NetOptions,
    /// Options of the stream service. `framing`, and in memberlist's format `message_bytes_max`, follow from `wire`
    /// and are refused here; `queued_bytes_max` and `pooled_bytes_max` are raised to what whole views need.
    pub stream: StreamOptions,
    /// Who may come into the members' views. What comes from outside of its networks, datagrams and streams alike, is
    /// dropped unread.
    pub admission: AdmissionRules,
    /// Whether members have an IP address each, of this machine's: given to [`super::Host::add_at`], with the port
    /// of the worker. `bind` is then a wildcard address. On loopback all of 127.0.0.0/8 may be used.
    pub own_addresses: bool,
    /// Address of the first worker; the others take the ports after it, or any if its port is 0.
    pub bind: SocketAddr,
    /// Number of threads, 1 to 1,024.
    pub workers: usize,
    /// Number of the cluster on the wire.
    pub cluster: u32,
    /// Seed for all random choices.
    pub seed: u64,
    /// Timers are rounded up to whole ticks, so that what is due together leaves together. 1 ms suits a
    /// single member; a fleet of thousands halves its cost with 5 ms. 1 ms to 100 ms.
    pub tick: Duration,
    /// Members that start together begin to probe, to gossip and to compare views at whole multiples of this, rounded up to
    /// ticks, and keep to their intervals from there: what so many of them send at one moment shares trains. Zero, the
    /// default, stands for the tick.
    pub stagger: Duration,
    /// Share of received datagrams that is dropped before decoding, 0 to 1: a lossy network.
    pub receive_loss: f64,
    /// Zones that the members are spread over, and how far apart these are: frames from one to another are held back.
    /// On the native wire only.
    pub zone_latency: Option<ZoneLatency>,
    /// Gossip frames a worker sends in a second, on average; more are put off. Acks are not counted.
    pub gossip_frames_per_second: u32,
    /// Whether each worker stays on a core of its own.
    pub pin: bool,
    /// Members each worker will own, and members each will know: memory is set aside at the start, so
    /// that the steady state does not allocate. Zero grows as needed.
    pub members_expected: usize,
    /// See `members_expected`.
    pub known_expected: usize,
    /// Members that each will see depart in the fleet's life, and remembers afterwards: memory is set aside for a few in any
    /// case.
    pub departed_expected: usize,
}

impl FleetOptions {
    /// What the timers of members that start together are staggered by.
    pub(super) fn timer_grain(&self) -> Duration {
        self.tick * self.stagger.as_micros().div_ceil(self.tick.as_micros().max(1)).max(1) as u32
    }
}

impl Default for FleetOptions {
    fn default() -> FleetOptions {
        FleetOptions {
            settings: Arc::new(Settings::default()),
            wire: WireOptions::Native,
            identities: None,
            net: NetOptions::default(),
            admission: AdmissionRules::default(),
            own_addresses: false,
            stream: StreamOptions::default(),
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 1,
            cluster: 0,
            seed: 0,
            tick: Duration::from_millis(1),
            stagger: Duration::ZERO,
            receive_loss: 0.0,
            zone_latency: None,
            gossip_frames_per_second: 400_000,
            pin: false,
            members_expected: 0,
            known_expected: 0,
            departed_expected: 0,
        }
    }
}
