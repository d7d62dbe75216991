//! One probe under way: whom it asks, how far it has come, and what has been heard.
//!
//! It goes through phases: the target is asked first, then others are, and at last it is tried over a stream. `probe`
//! takes it from one to the next.

use swimring_codec::{Incarnation, MemberId};

use crate::protocol::shared_lists::presence::Presence;
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;

/// Most members asked to probe in our place: the setting's upper bound.
pub(super) const INDIRECT_CHECKS_MAX: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Nobody is being probed.
    Idle,
    /// Waiting for the target's own ack.
    Direct,
    /// Others have been asked.
    Indirect,
    /// The target is also being tried over a stream.
    Fallback,
}

/// A probe under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) phase: Phase,
    pub(super) target: MemberIndex,
    /// The target's id, so that its ack can be told without the directory.
    pub(super) target_id: MemberId,
    /// The incarnation that is accused if nobody answers.
    pub(super) incarnation: Incarnation,
    pub(super) sequence: u32,
    /// When the probe was due to begin.
    pub(super) intended: Time,
    /// When the current phase ends.
    pub(super) phase_ends: Time,
    /// When the probe has failed.
    pub(super) ends: Time,
    /// The target has answered over a stream, which counts at the end.
    pub(super) stream_answered: bool,
    /// What the stream has shown, beside an answer.
    pub(super) presence: Presence,
    /// Members that were asked, and one bit for each whose nack has come.
    pub(super) relays: [MemberIndex; INDIRECT_CHECKS_MAX],
    pub(super) relays_asked: u8,
    pub(super) nacks: u8,
    /// Once it has failed, one bit for each whose missing nack was counted against us.
    pub(super) blamed: u8,
}

impl Attempt {
    pub(super) const IDLE: Attempt = Attempt {
        phase: Phase::Idle,
        target: 0,
        target_id: MemberId::NONE,
        incarnation: Incarnation::ZERO,
        sequence: 0,
        intended: Time::ZERO,
        phase_ends: Time::NEVER,
        ends: Time::NEVER,
        stream_answered: false,
        presence: Presence::Unknown,
        relays: [0; INDIRECT_CHECKS_MAX],
        relays_asked: 0,
        nacks: 0,
        blamed: 0,
    };

    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    pub(super) fn finish(&mut self) {
        self.phase = Phase::Idle;
        self.phase_ends = Time::NEVER;
    }

    /// Those of the relays that said in time that the target does not answer them either.
    pub(super) fn nackers(&self) -> impl Iterator<Item = MemberIndex> + use<> {
        let (relays, nacks) = (self.relays, self.nacks);
        (0..usize::from(self.relays_asked)).filter(move |at| nacks & 1 << at != 0).map(move |at| relays[at])
    }
}
