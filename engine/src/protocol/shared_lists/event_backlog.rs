//! How much of what is told is still on its way to the members of one storage.
//!
//! An event costs every member of the cluster something. Where more begin than members can take in, what is too much lies in receive
//! buffers until these overflow, and what is lost there is told again: each event then costs more and arrives late, and the end of the
//! load is not the end of the work. So deliveries that are missing are counted from the moment an event is learned: what waits for the
//! later steps of a broadcast is known before it shows in any queue. While so many are missing, and what arrives lies unread, a
//! member refuses its own application's events (`SharedState::is_behind_with_events`): the application can wait, or leave one out.
//!
//! Events are counted while they are young. Who has not had one by then is left to repair, and may be somebody who is gone.

use std::collections::VecDeque;
use std::time::Duration;

use crate::protocol::event::EventIndex;
use crate::protocol::time::Time;

/// Deliveries that may be missing in any case: what one core makes in a quarter of a second. So long a broadcast then waits at all its
/// steps together, and receive buffers have room for it.
const MISSING_LEAST: u64 = 65_536;

/// Events that may be on their way to every member in any case: in a large fleet one begins before the last has arrived.
const EVENTS_LEAST: u64 = 2;

/// How long a missing delivery counts: with as many as are granted, broadcasts are over before.
const YOUNG_FOR: Duration = Duration::from_secs(4);

/// Deliveries of young events that are missing. See the module.
#[derive(Debug, Default)]
pub(super) struct EventBacklog {
    members: u32,
    /// In all.
    missing: u64,
    /// By place in the store; none of an event that is not young.
    missing_of: Vec<u32>,
    /// When each young event began, and its place, the oldest first.
    young: VecDeque<(Time, EventIndex)>,
}

impl EventBacklog {
    pub(super) fn reserve(&mut self, events: usize) {
        self.missing_of.reserve_exact(events.saturating_sub(self.missing_of.len()));
        self.young.reserve(events.saturating_sub(self.young.len()));
    }

    /// Events that begin from now on are to reach `members` members.
    pub(super) fn set_members(&mut self, members: usize) {
        self.members = members as u32;
    }

    /// The event at `at` begins.
    pub(super) fn begin(&mut self, at: EventIndex, now: Time) {
        let place = at as usize;
        if place >= self.missing_of.len() {
            self.missing_of.resize(place + 1, 0);
        }
        self.end_old(now);
        self.end(at);
        self.missing_of[place] = self.members;
        self.missing += u64::from(self.members);
        self.young.push_back((now, at));
    }

    /// Another member has the event at `at`.
    #[inline]
    pub(super) fn delivered(&mut self, at: EventIndex) {
        if let Some(missing) = self.missing_of.get_mut(at as usize).filter(|missing| **missing > 0) {
            *missing -= 1;
            self.missing -= 1;
        }
    }

    /// Whether so much is on its way at `now` that another event would only wait.
    pub(super) fn is_long(&mut self, now: Time) -> bool {
        self.end_old(now);
        self.missing >= MISSING_LEAST.max(EVENTS_LEAST * u64::from(self.members))
    }

    /// Nothing of the event at `at` counts as missing any more.
    fn end(&mut self, at: EventIndex) {
        self.missing -= u64::from(std::mem::take(&mut self.missing_of[at as usize]));
    }

    /// Events that are young no more count no longer.
    fn end_old(&mut self, now: Time) {
        while let Some((begun, at)) = self.young.front().copied()
            && now.since(begun) >= YOUNG_FOR
        {
            self.young.pop_front();
            self.end(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: u32 = 1_000;

    fn at_ms(ms: u64) -> Time {
        Time::from_micros(ms * 1_000)
    }

    fn backlog(members: u32) -> EventBacklog {
        let mut backlog = EventBacklog::default();
        backlog.set_members(members as usize);
        backlog
    }

    /// How many events begin at `now` before the backlog is long.
    fn begun(backlog: &mut EventBacklog, now: Time) -> u32 {
        let events = 0..10_000;
        let begun = events.take_while(|at| {
            let may = !backlog.is_long(now);
            if may {
                backlog.begin(*at, now);
            }
            may
        });
        begun.count() as u32
    }

    #[test]
    fn what_is_delivered_makes_room() {
        let mut backlog = backlog(MEMBERS);
        assert_eq!(begun(&mut backlog, at_ms(0)), 66);
        (0..MEMBERS).for_each(|_| backlog.delivered(3));
        assert!(!backlog.is_long(at_ms(1)));
        backlog.begin(66, at_ms(1));
        assert!(backlog.is_long(at_ms(1)), "one for one");
        (0..MEMBERS).for_each(|_| backlog.delivered(3));
        assert!(backlog.is_long(at_ms(1)), "members that are new, or that nobody waits for");
    }

    #[test]
    fn who_never_has_it_counts_for_a_while_only() {
        let mut backlog = backlog(MEMBERS);
        begun(&mut backlog, at_ms(0));
        assert!(backlog.is_long(at_ms(3_999)));
        assert!(!backlog.is_long(at_ms(4_000)));
        assert_eq!(backlog.missing, 0);
        backlog.delivered(5);
        assert_eq!(begun(&mut backlog, at_ms(5_000)), 66, "what comes late is not counted twice");
    }

    #[test]
    fn the_place_of_a_young_event_may_be_taken() {
        let mut backlog = backlog(MEMBERS);
        for ms in 0..200 {
            backlog.begin(7, at_ms(ms));
        }
        assert_eq!(backlog.missing, u64::from(MEMBERS));
        (0..MEMBERS).for_each(|_| backlog.delivered(7));
        backlog.end_old(at_ms(9_000));
        assert_eq!((backlog.missing, backlog.young.len()), (0, 0));
    }

    #[test]
    fn large_fleets_have_room_for_two_events_and_single_members_for_many() {
        assert_eq!(begun(&mut backlog(1_000_000), at_ms(0)), 2);
        assert_eq!(begun(&mut backlog(1), at_ms(0)), 10_000);
        assert_eq!(begun(&mut backlog(0), at_ms(0)), 10_000);
    }
}
