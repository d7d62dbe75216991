//! Where a member's output goes.
//!
//! Frames are written straight into the driver's send buffers through [`FrameSink`]; what cannot be a
//! frame is asked of the driver as a [`StreamOpen`]; what happened is told as [`Event`]s.

use std::net::{IpAddr, SocketAddr};

use swimring_codec::MemberId;
use swimring_codec::native::FRAME_MAX;

use crate::protocol::event::Event;
use crate::protocol::view::directory::MemberIndex;

/// Takes frames: the datagram drivers' send buffers, or a simulated network.
pub trait FrameSink {
    /// Room for a frame of exactly `len` bytes (at most [`FRAME_MAX`]) to `to`.
    ///
    /// The caller fills all of it at once: calling `reserve` again, or returning to the driver, sends
    /// it. Nothing if the sink is full; the sink counts what it sheds.
    fn reserve(&mut self, to: SocketAddr, len: usize) -> Option<&mut [u8]>;

    /// Frames from now on leave from `source`, one of this machine's addresses: for members that have one
    /// each. A sink with a single address need not care.
    fn set_source(&mut self, source: Option<IpAddr>) {
        let _ = source;
    }

    /// The longest frame that the way to `to` takes in one piece, in bytes, as far as is known. A longer one
    /// gets there too, in fragments, of which none may be lost; so frames are filled up to this only.
    fn frame_bytes_max(&self, to: SocketAddr) -> usize {
        let _ = to;
        FRAME_MAX
    }
}

/// Why a stream is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamPurpose {
    /// To join through a seed.
    Join {
        /// From [`super::Member::join`].
        token: u32,
    },
    /// Anti-entropy push/pull.
    Sync,
    /// The same where frames carry no roots: the other side's view, for nothing but that we live.
    Pull {
        /// The member that is asked.
        from: MemberIndex,
    },
    /// A view that is to be had before others are told.
    View,
    /// A probe that no datagram got through for.
    Probe {
        /// The probe's sequence number.
        sequence: u32,
        /// The member that is probed.
        subject: MemberIndex,
    },
    /// To compare shared state and bring what one side lacks.
    SharedState {
        /// All maps, and not only what is known to have come further.
        all_maps: bool,
        /// The same of the keys of the cluster.
        all_keys: bool,
    },
}

impl StreamPurpose {
    /// Whether it is to bring a whole view, of which a driver may have few come at a time.
    pub fn is_for_view(self) -> bool {
        matches!(self, StreamPurpose::Sync | StreamPurpose::Pull { .. } | StreamPurpose::View)
    }
}

/// What became of the connection of a stream before anything was said on it. It tells a member that stands still from
/// one that is gone, so the driver passes it on for [`StreamPurpose::Probe`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamConnection {
    /// The other host has accepted it.
    Accepted,
    /// The other host has refused it: nobody listens there. Not if it could not be reached, or did not answer.
    Refused,
}

/// A stream the driver is asked to open; [`super::Member::open_stream`] writes what it begins with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamOpen {
    /// Address to connect to.
    pub to: SocketAddr,
    /// Member that it is for; [`MemberId::NONE`] for the one that owns the address.
    pub destination: MemberId,
    /// Why.
    pub purpose: StreamPurpose,
}

/// What a member writes to while it is called. The driver drains `streams` and `events` afterwards.
pub struct Outbox<'a> {
    /// Takes frames.
    pub frames: &'a mut dyn FrameSink,
    /// Streams to open, in order.
    pub streams: &'a mut Vec<StreamOpen>,
    /// What happened, in order.
    pub events: &'a mut Vec<Event>,
    /// Gossip frames the driver will take now. A member that finds none left puts its gossip off by one
    /// interval, so that a burst of news delays itself and not the acks.
    pub gossip_budget: &'a mut u32,
}
