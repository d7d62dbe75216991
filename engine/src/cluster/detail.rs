//! What is known of a member beyond its place in the view: round trip, when it was last heard, since when it is what it is.
//!
//! It is gathered on the protocol's thread from what happens there anyway, outside of the protocol: a fleet's members,
//! which nobody asks, pay nothing for it. An entry per member of the view, so `members_max` bounds it.

use std::time::Duration;

use hashbrown::HashMap;
use swimring_codec::{Incarnation, MemberId};

use super::event::{Accuser, MemberInfo};
use crate::protocol::{RoundTrip as Estimate, Time};

/// What this member knows of another at one moment. [`Cluster::detail`](super::Cluster::detail) gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MemberDetail {
    /// Who, and what it says of itself.
    pub member: MemberInfo,
    /// Incarnation with which its present life began, as far as this member has seen: it changes with a restart, while
    /// `member.incarnation` also rises by one with each change and refutation.
    pub life: Incarnation,
    /// Time for which it has been in its state.
    pub in_state: Duration,
    /// Time since something came from it directly; nothing if that has not happened yet. On memberlist's wire only its
    /// pings, and its answers to ours, say whom they are from.
    pub last_heard: Option<Duration>,
    /// How long it takes to answer; nothing before it has answered a probe of ours.
    pub round_trip: Option<RoundTrip>,
    /// The suspicion of it, while it is suspected.
    pub suspicion: Option<OngoingSuspicion>,
}

/// How long a member takes to answer this member's own probes: smoothed with an eighth, its deviation with a quarter, as
/// in TCP (RFC 6298). Counted from the moment at which the probe was due, so what this process loses is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RoundTrip {
    /// The smoothed round trip.
    pub smoothed: Duration,
    /// Its smoothed mean deviation.
    pub deviation: Duration,
}

/// A suspicion that goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct OngoingSuspicion {
    /// The first to suspect the member.
    pub accuser: Accuser,
    /// Those who suspect it independently, at most seven: each shortens the time there is to refute.
    pub confirmed_by: Vec<Accuser>,
    /// Time for which it has gone on.
    pub lasted: Duration,
    /// Time that is left to refute it, if nothing more is heard.
    pub left: Duration,
}

/// What is remembered of one member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    pub(super) life: Incarnation,
    pub(super) since: Time,
    pub(super) heard: Option<Time>,
    estimate: Estimate,
}

impl Observed {
    /// How long it takes to answer, if it ever has.
    pub(super) fn round_trip(&self) -> Option<RoundTrip> {
        let Observed { estimate, .. } = self;
        (!estimate.is_unknown())
            .then(|| RoundTrip { smoothed: estimate.smoothed(), deviation: estimate.deviation() })
    }
}

/// What is remembered of the members of the view.
#[derive(Debug, Default)]
pub(super) struct Observations(HashMap<MemberId, Observed>);

impl Observations {
    pub(super) fn get(&self, id: MemberId) -> Option<&Observed> {
        self.0.get(&id)
    }

    /// A member is new, back, or has started anew: what was known of it means nothing.
    pub(super) fn began(&mut self, id: MemberId, life: Incarnation, now: Time) {
        self.0.insert(id, Observed { life, since: now, heard: None, estimate: Estimate::UNKNOWN });
    }

    /// The state of a member has changed.
    pub(super) fn changed(&mut self, id: MemberId, now: Time) {
        if let Some(observed) = self.0.get_mut(&id) {
            observed.since = now;
        }
    }

    /// Something has come from a member.
    #[inline]
    pub(super) fn heard(&mut self, id: MemberId, now: Time) {
        if let Some(observed) = self.0.get_mut(&id) {
            observed.heard = Some(now);
        }
    }

    /// A member has answered after `measured`.
    pub(super) fn answered(&mut self, id: MemberId, measured: Duration, now: Time) {
        if let Some(observed) = self.0.get_mut(&id) {
            observed.estimate.took(measured);
            observed.heard = Some(now);
        }
    }

    /// A member is no longer part of the view.
    pub(super) fn forget(&mut self, id: MemberId) {
        self.0.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: MemberId = MemberId(7);

    fn at(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    #[test]
    fn round_trips_are_smoothed_and_end_with_a_life() {
        let mut observations = Observations::default();
        let ms = Duration::from_millis;
        observations.answered(ID, ms(9), at(1));
        assert!(observations.get(ID).is_none(), "a stranger");
        observations.began(ID, Incarnation::new(3), at(2));
        observations.answered(ID, ms(8), at(10));
        observations.answered(ID, ms(16), at(20));
        observations.changed(ID, at(30));
        observations.heard(ID, at(40));
        let known = observations.get(ID).unwrap();
        assert_eq!(known.round_trip(), Some(RoundTrip { smoothed: ms(9), deviation: ms(5) }));
        assert_eq!((known.since, known.heard, known.life), (at(30), Some(at(40)), Incarnation::new(3)));
        observations.began(ID, Incarnation::new(9), at(50));
        let known = observations.get(ID).unwrap();
        assert_eq!((known.round_trip(), known.heard, known.life), (None, None, Incarnation::new(9)));
        observations.forget(ID);
        assert!(observations.get(ID).is_none());
    }
}
