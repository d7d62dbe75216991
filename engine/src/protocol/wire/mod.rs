//! Which wire format a member speaks, and all that depends on it.
//!
//! The protocol is one; formats differ in how a message names its sender, in what surrounds the messages
//! of a frame and how long each is, and in what a stream looks like. Those differences live here, a format
//! to a file: [`native`] frames, and [`memberlist`] packets with their [`memberlist_streams`] and
//! [`user_messages`]. The rest of the protocol sees [`Sender`] and the shared messages, and asks
//! [`Member::send`](super::Member) to be sent something.

mod memberlist;
mod memberlist_streams;
mod native;
mod options;
pub mod typed;
mod user_messages;

use std::net::SocketAddr;

use swimring_codec::memberlist::Versions;
use swimring_codec::native::HEADER_LEN;
use swimring_codec::{Incarnation, MemberId};

use super::settings::FRAME_BYTES_MIN;

pub use memberlist_streams::{Refusal, StreamOutcome};
pub use options::{MemberlistDialect, MemberlistOptions, WireOptions, WireOptionsError};

pub(super) use memberlist::MemberlistWire;
pub(super) use user_messages::USER_MESSAGE_MAX;

/// The versions of a member that announces none, in the native format.
pub(super) const UNVERSIONED: Versions = Versions([0; 6]);

/// Where a message came from, as far as its format says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    /// Where an answer goes.
    pub(super) address: SocketAddr,
    /// Who sent it; [`MemberId::NONE`] if the format does not say.
    pub(super) source: MemberId,
    /// The sender's state root, in formats that carry it.
    pub(super) root: Option<u64>,
    /// The sender has no membership news queued.
    pub(super) quiet: bool,
}

/// The format that the members of a [`super::SharedState`] speak, with what writing it takes.
#[derive(Debug)]
pub(super) enum Wire {
    Native,
    Memberlist(Box<MemberlistWire>),
}

impl Wire {
    /// Bytes of a frame that are not messages, at most.
    #[inline]
    pub(super) fn frame_overhead(&self) -> usize {
        match self {
            Wire::Native => HEADER_LEN,
            Wire::Memberlist(wire) => wire.packet_overhead(),
        }
    }

    /// The shortest frame that the largest news fits into.
    pub(super) fn frame_bytes_least(&self) -> usize {
        match self {
            Wire::Native => FRAME_BYTES_MIN,
            Wire::Memberlist(wire) => wire.packet_bytes_least(),
        }
    }

    pub(super) fn is_native(&self) -> bool {
        matches!(self, Wire::Native)
    }

    /// The protocol versions that members announce.
    pub(super) fn versions(&self) -> Versions {
        match self {
            Wire::Native => UNVERSIONED,
            Wire::Memberlist(wire) => wire.options.versions,
        }
    }

    /// How far above a known incarnation an accusation may lie, and how far a member rises to answer one.
    /// What is accused has to be within what can be answered, and both so small that forged accusations do
    /// not drive an incarnation to its end: 48 bits on the native wire, 32 on memberlist's.
    pub(super) fn incarnation_steps(&self) -> IncarnationSteps {
        match self {
            Wire::Native => IncarnationSteps { accused: 1 << 16, own: 1 << 20, highest: (1 << 48) - 1 },
            Wire::Memberlist(_) => {
                IncarnationSteps { accused: 1 << 6, own: 1 << 10, highest: u32::MAX as u64 }
            }
        }
    }
}

impl Wire {
    /// The highest incarnation that a member starts at, whatever the clock says: half way to the end, 2088 on
    /// memberlist's wire where incarnations count seconds from 2020. What is left is for refutations, of which
    /// each rises by one, or by [`IncarnationSteps::accused`] if somebody forges accusations.
    pub(super) fn first_incarnation_max(&self) -> Incarnation {
        Incarnation::new(self.incarnation_steps().highest / 2)
    }
}

/// See [`Wire::incarnation_steps`].
#[derive(Clone, Copy, Debug)]
pub(super) struct IncarnationSteps {
    pub(super) accused: u64,
    pub(super) own: u64,
    /// The largest that can be written.
    pub(super) highest: u64,
}
