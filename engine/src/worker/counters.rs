//! What a worker counts.

use swimring_codec::{memberlist, native};

/// What a worker counts besides what the protocol and the driver do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCounters {
    /// Turns of the loop.
    pub turns: u64,
    /// Times a member's timers fired.
    pub timers_fired: u64,
    /// Datagrams that could not be decoded, by [`swimring_codec::native::DecodeError::index`].
    pub refused: [u64; native::DecodeError::KINDS],
    /// Packets and streams of memberlist's format that could not be opened, by
    /// [`memberlist::DecodeError::index`].
    pub refused_packets: [u64; memberlist::DecodeError::KINDS],
    /// What was opened of the native format where it is encrypted, and what was refused before it was decoded.
    pub sealed: native::SealCounters,
    /// Datagrams from outside of the networks that are allowed.
    pub outside: u64,
    /// Datagrams for nobody who lives here.
    pub unrouted: u64,
    /// Datagrams dropped on purpose.
    pub lost: u64,
    /// Frames from other zones that were held back.
    pub zone_frames: u64,
    /// Frames from other zones that were dropped because too many were held back.
    pub zone_frames_shed: u64,
    /// Updates and user events that were delegated from one zone to another, counted where zones are apart.
    pub zone_copies: u64,
    /// User events that came from another zone, counted likewise.
    pub zone_event_copies: u64,
    /// Streams that could not be opened because too many are open.
    pub streams_shed: u64,
    /// Turns whose timers came more than 100 ms late: gossip is slowed and local health lowered.
    pub turns_late: u64,
    /// Turns that found datagrams lost in a full receive buffer, or that were half a second behind in reading: gossip is
    /// slowed, members doubt themselves, and probes that fail while datagrams are lost are repeated before they are believed.
    pub turns_swamped: u64,
    /// Times that members were told that time had been lost.
    pub stalls: u64,
    /// The longest that bringing members' views to a shared base has held up a turn, in microseconds of CPU
    /// time. See [`crate::protocol::Compaction`].
    pub sweep_us_max: u64,
}
