//! Delegations: what a member has taken over to tell, until others have acknowledged that they tell it on.
//!
//! An update that is to be told is one *delegation* for each part of the cluster that its teller divides its own into. It
//! waits until the next frames are sent (at once, if none were sent lately: see [`Delegations::due`]), goes out with
//! all others for the same delegate in one numbered frame, and is forgotten when that number comes back. A frame
//! that is not acknowledged in time is taken apart again: what it carried goes to the same delegate once more or to
//! another of its part, and is given up after [`ATTEMPTS_MAX`] attempts, for repair to bring.
//!
//! Like all short lists of a fleet's members these lie in storage that a worker's members share.

mod pool;

use std::time::Duration;

pub(in crate::protocol) use pool::{DelegationPool, HOLD_FROM};

use crate::protocol::shared_lists::round_trip::RoundTrip;
use crate::protocol::time::Time;
use crate::protocol::view::linked_lists::List;
use crate::protocol::view::pairing_heap::Heap;

/// How often an update is sent to one part: twice to one delegate, then to others. With a fifth of all packets lost,
/// six in vain are one part in sixteen thousand.
pub(in crate::protocol) const ATTEMPTS_MAX: u8 = 6;

/// The same as long as somebody of the part may be there after all: with a third of all dead, six in vain are one part in seven
/// hundred, and with it went hundreds of members; twelve are one in half a million.
pub(in crate::protocol) const ATTEMPTS_OTHERS_MAX: u8 = 12;

/// Frames that one member may send in a second to pass things on, of those that have room left. Where more goes to one delegate
/// than fits, waiting would save nothing.
pub(in crate::protocol) const FRAMES_PER_SECOND: u32 = 100;

/// So many of them at once, before the rest is spaced: what two or three broadcasts of its own take.
pub(in crate::protocol) const FRAMES_BURST: u32 = 64;

/// What one such frame uses up of the second.
const FRAME_SHARE: Duration = Duration::from_micros(1_000_000 / FRAMES_PER_SECOND as u64);

/// More than so many delegations that nobody has acknowledged yet are a storm: two or three broadcasts of its own, where a lone
/// member passes on one or two of others.
const STORM_FROM: u32 = 64;

/// Longest time that long round trips put between two moments at which frames leave.
const INTERVAL_MAX: Duration = Duration::from_millis(400);

/// Most updates in one frame: more than the shortest leave room for.
pub(in crate::protocol) const UPDATES_MAX: usize = 96;

/// Most delegations of one member at once. One that sheds leaves the rest to repair.
const DELEGATIONS_MAX: u32 = 16_384;

/// One member's delegations.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Delegations {
    owner: u32,
    /// Waiting and in flight.
    len: u32,
    waiting: List,
    /// Until the member has joined: each with the part that it is asked to tell itself.
    deferred: List,
    /// Until less lies unread, the oldest first.
    held: List,
    in_flight: Heap,
    /// No frames before this.
    paced: Time,
    /// Until when the frames that were sent use up what may be sent, at [`FRAME_SHARE`] each.
    spent: Time,
    /// When frames may next be sent, if something waits.
    due: Time,
    /// When an acknowledgement is next missed.
    unanswered: Time,
    /// Microseconds that the driver has lost since the member began: times in the heap are as if they had not been lost.
    lost_us: u64,
    /// Of the own zone: what is usual there would have every frame to another sent twice.
    round_trip: RoundTrip,
    /// Of all other zones.
    round_trip_away: RoundTrip,
    /// Number of the last frame.
    number: u32,
    /// How often of late a second frame to the same delegate was in vain too, up to [`DISTRUST_MAX`].
    distrust: u8,
}

impl Delegations {
    pub(in crate::protocol) const fn new(owner: u32) -> Delegations {
        Delegations {
            owner,
            len: 0,
            waiting: List::EMPTY,
            deferred: List::EMPTY,
            held: List::EMPTY,
            in_flight: Heap::EMPTY,
            paced: Time::ZERO,
            spent: Time::ZERO,
            due: Time::NEVER,
            unanswered: Time::NEVER,
            lost_us: 0,
            round_trip: RoundTrip::UNKNOWN,
            round_trip_away: RoundTrip::UNKNOWN,
            number: 0,
            distrust: 0,
        }
    }

    /// Whether there is nothing to send and nothing to wait for.
    #[inline]
    pub(in crate::protocol) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many wait to be sent, or for their acknowledgement.
    pub(in crate::protocol) const fn len(&self) -> u32 {
        self.len
    }

    /// Whether nothing waits until the member has joined.
    pub(in crate::protocol) const fn defers_nothing(&self) -> bool {
        self.deferred.is_empty()
    }

    /// Whether something is held back until less lies unread.
    #[inline]
    pub(in crate::protocol) const fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// When frames may next be sent; [`Time::NEVER`] if nothing waits.
    #[inline]
    pub(in crate::protocol) const fn due(&self) -> Time {
        self.due
    }

    /// When an acknowledgement is next missed; [`Time::NEVER`] if none is waited for.
    #[inline]
    pub(in crate::protocol) const fn unanswered(&self) -> Time {
        self.unanswered
    }

    /// Whether a probe's round trip says something about acknowledgements: as long as none was measured within the own zone,
    /// and always where there are other `zones`.
    #[inline]
    pub(in crate::protocol) const fn learns_from_probes(&self, zones: bool) -> bool {
        zones || self.round_trip.is_unknown()
    }

    /// Takes `round_trip` of a probe for that of an acknowledgement from the same side, the own zone or `away`. In the own zone
    /// only as long as none was measured; of others, to which a member passes on only what it begins itself, probes say more.
    pub(in crate::protocol) fn assume_round_trip(&mut self, away: bool, round_trip: Duration) {
        let estimate = self.round_trip(away);
        if away || estimate.is_unknown() {
            estimate.took(round_trip);
        }
    }

    /// Whether another delegation would be shed.
    pub(in crate::protocol) const fn is_full(&self) -> bool {
        self.len >= DELEGATIONS_MAX
    }

    /// What waits is not to wait for its pace: a member that refutes may stand still again before that.
    pub(in crate::protocol) fn hurry(&mut self, now: Time) {
        self.paced = Time::ZERO;
        self.spent = self.spent.min(now + FRAME_SHARE * FRAMES_BURST);
        if !self.waiting.is_empty() {
            self.due = Time::ZERO;
        }
    }

    /// Time between two moments at which frames leave: `pacing`, or in a storm the round trip where that is longer, since until
    /// then what was sent may lie unread. An event that merely follows a death is not held up by it at each of its steps.
    pub(in crate::protocol) fn interval(&self, pacing: Duration) -> Duration {
        if self.len <= STORM_FROM { pacing } else { pacing.max(self.round_trip.smoothed().min(INTERVAL_MAX)) }
    }

    /// When what waits may leave: after the pacing interval, and once no more than a burst of frames is ahead of its time.
    fn next_frames(&self) -> Time {
        self.paced.max(self.spent - FRAME_SHARE * FRAMES_BURST)
    }

    /// Whether so many frames have left that the next wait for longer than the pacing interval.
    pub(in crate::protocol) fn is_spaced(&self) -> bool {
        self.next_frames() > self.paced
    }

    fn lost(&self) -> Duration {
        Duration::from_micros(self.lost_us)
    }

    /// The driver lost `by`: acknowledgements may lie unread.
    pub(in crate::protocol) fn extend(&mut self, by: Duration) {
        self.lost_us += by.as_micros() as u64;
        if self.unanswered != Time::NEVER {
            self.unanswered = self.unanswered + by;
        }
    }

    /// Whether a second attempt should go to another member right away: too many of the first choices of late
    /// did not answer twice, so members are gone rather than packets.
    pub(in crate::protocol) const fn distrusts(&self) -> bool {
        self.distrust > 0
    }

    /// The round trips to the own zone, or to others.
    fn round_trip(&mut self, away: bool) -> &mut RoundTrip {
        if away { &mut self.round_trip_away } else { &mut self.round_trip }
    }
}
