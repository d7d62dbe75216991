//! Joins that are answered together.
//!
//! Who joins is given a view, and everyone else is told of it a moment later. Where many join at once, those whose views were written
//! at different moments of the same rush lack each other until they are told, and whoever passes that on need not know yet for
//! whom it does. So the first join is answered at once, and those that come within [`GATHERED`] of an answer wait for its end: each
//! then learns of all the others from its view, and only those that were there before have to be told.

use std::collections::VecDeque;
use std::time::Duration;

use swimring_codec::native::FrameHeader;

use super::members::HostedMember;
use crate::protocol::Time;
use crate::stream::ExchangeId;

/// How long joins are gathered.
const GATHERED: Duration = Duration::from_millis(25);

/// Most joins that wait. Others are answered at once.
const HELD_JOINS_MAX: usize = 1_024;

/// A join that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldJoin {
    pub(super) exchange: ExchangeId,
    /// Who answers it.
    pub(super) local: HostedMember,
    pub(super) header: FrameHeader,
    /// The joiner has said all that it had to say.
    pub(super) complete: bool,
}

/// The joins that wait, in the order in which they came.
#[derive(Debug)]
pub(super) struct HeldJoins {
    waiting: VecDeque<HeldJoin>,
    /// So many of them are to be answered now.
    answered: usize,
    /// Until when joins wait.
    until: Time,
}

impl HeldJoins {
    pub(super) const fn new() -> HeldJoins {
        HeldJoins { waiting: VecDeque::new(), answered: 0, until: Time::ZERO }
    }

    /// When those that wait are answered; nothing if none waits.
    pub(super) fn due(&self) -> Option<Time> {
        let due = if self.answered > 0 { Time::ZERO } else { self.until };
        (!self.waiting.is_empty()).then_some(due)
    }

    /// Has `join` wait if it may not be answered at `now`. Whether it does.
    pub(super) fn hold(&mut self, join: HeldJoin, now: Time) -> bool {
        if now >= self.until && self.waiting.is_empty() {
            self.until = now + GATHERED;
            return false;
        }
        if self.waiting.len() >= HELD_JOINS_MAX {
            return false;
        }
        self.waiting.push_back(join);
        true
    }

    /// The joiner of `exchange` has said all that it had to say. Whether its join waits, so that the exchange goes on.
    pub(super) fn complete(&mut self, exchange: ExchangeId) -> bool {
        let waiting = self.waiting.iter_mut().rev().find(|join| join.exchange == exchange);
        waiting.map(|join| join.complete = true).is_some()
    }

    /// The stream of `exchange` is over: nobody waits for an answer.
    pub(super) fn forget(&mut self, exchange: ExchangeId) {
        if let Some(at) = self.waiting.iter().position(|join| join.exchange == exchange) {
            self.waiting.remove(at);
            self.answered -= usize::from(at < self.answered);
        }
    }

    /// The next to be answered at `now`.
    pub(super) fn next(&mut self, now: Time) -> Option<HeldJoin> {
        if self.answered == 0 && now >= self.until && !self.waiting.is_empty() {
            (self.answered, self.until) = (self.waiting.len(), now + GATHERED);
        }
        self.answered = self.answered.checked_sub(1)?;
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use swimring_codec::MemberId;

    use super::*;

    fn join(number: u64) -> HeldJoin {
        let (source, destination) = (MemberId(number), MemberId::NONE);
        let header = FrameHeader { cluster: 1, source, destination, root: 0, quiet: true };
        HeldJoin { exchange: ExchangeId::numbered(number), local: 0, header, complete: false }
    }

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn a_lone_join_is_answered_at_once_and_a_rush_together() {
        let mut joins = HeldJoins::new();
        assert!(!joins.hold(join(1), at(1_000)));
        assert!(joins.hold(join(2), at(1_001)) && joins.hold(join(3), at(1_020)));
        assert_eq!(joins.due(), Some(at(1_025)));
        let next = |joins: &mut HeldJoins, ms| joins.next(at(ms)).map(|join| join.header.source.0);
        assert_eq!(next(&mut joins, 1_024), None);
        assert_eq!(next(&mut joins, 1_025), Some(2));
        // One that comes while they are answered is of the next.
        assert!(joins.hold(join(4), at(1_026)));
        assert_eq!(joins.due(), Some(Time::ZERO));
        assert_eq!([1_026, 1_030, 1_050].map(|ms| next(&mut joins, ms)), [Some(3), None, Some(4)]);
        assert_eq!(joins.due(), None);
        assert!(joins.hold(join(5), at(1_060)), "within the time of the last answer");
        assert_eq!(next(&mut joins, 1_075), Some(5));
        assert!(!joins.hold(join(6), at(2_000)));
    }

    #[test]
    fn an_exchange_goes_on_while_its_join_waits() {
        let mut joins = HeldJoins::new();
        for number in 0..3 {
            joins.hold(join(number), at(0));
        }
        assert!(joins.complete(ExchangeId::numbered(2)) && !joins.complete(ExchangeId::numbered(0)));
        assert_eq!(
            [joins.next(at(25)), joins.next(at(25))].map(|join| join.map(|join| join.complete)),
            [Some(false), Some(true)]
        );
    }

    #[test]
    fn a_stream_that_is_over_is_not_answered() {
        let mut joins = HeldJoins::new();
        for number in 0..5 {
            joins.hold(join(number), at(0));
        }
        let next = |joins: &mut HeldJoins| joins.next(at(25)).map(|join| join.header.source.0);
        assert_eq!(next(&mut joins), Some(1));
        joins.hold(join(5), at(26));
        for over in [2, 5, 7] {
            joins.forget(ExchangeId::numbered(over));
        }
        assert_eq!([(); 3].map(|()| next(&mut joins)), [Some(3), Some(4), None]);
        assert_eq!(joins.due(), None);
    }

    #[test]
    fn no_more_than_so_many_wait() {
        let mut joins = HeldJoins::new();
        let held = (0..=2 * HELD_JOINS_MAX as u64).filter(|number| joins.hold(join(*number), at(0))).count();
        assert_eq!(held, HELD_JOINS_MAX);
        assert_eq!(std::iter::from_fn(|| joins.next(at(25))).count(), HELD_JOINS_MAX);
    }
}
