//! Acknowledgements of delegations that wait while other things lie unread.
//!
//! A broadcast to a hundred thousand members keeps a fleet's workers busy for as long as it takes, and nearly half of what they
//! read meanwhile are acknowledgements. These bring nothing new to anybody; what stands in the queue behind them does. So while
//! something lies unread they are put aside, and most have been told before they are looked at.
//!
//! Silence is not judged meanwhile: what was to come since the first of them came counts as not read. Sealed frames are not put
//! aside, since what they are shows only once they have been opened.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::native::DELEGATION_ACK_FRAME_LEN;

use crate::protocol::Time;

/// Most that wait at once: half of what a broadcast to a hundred thousand members brings. Later ones do not wait.
pub(super) const ASIDE_MAX: usize = 65_536;

/// How long one waits at most while other things lie unread: less than makes anybody doubt, and a broadcast takes not much longer.
const ASIDE_TIME_MAX: Duration = Duration::from_millis(150);

/// Looked at between two times at which what has arrived is read.
pub(super) const ASIDE_PER_TURN: usize = 512;

/// A frame that acknowledges a delegation, and nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acknowledgement {
    pub(super) from: SocketAddr,
    pub(super) frame: [u8; DELEGATION_ACK_FRAME_LEN],
    /// It had not arrived by then.
    after: Time,
}

/// What waits, in the order in which it came.
#[derive(Debug)]
pub(super) struct Aside {
    waiting: VecDeque<Acknowledgement>,
    /// Most at once.
    max: usize,
}

impl Aside {
    /// Room for what `members` are sent.
    pub(super) fn new(members: usize) -> Aside {
        let max = members.min(ASIDE_MAX);
        Aside { waiting: VecDeque::with_capacity(max), max }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether another one has room.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < self.max
    }

    /// Puts the frame at the front of `bytes` aside, which had not arrived by `after`. False if there is no room.
    #[inline]
    pub(super) fn put(&mut self, from: SocketAddr, bytes: &[u8], after: Time) -> bool {
        let Some(frame) = bytes.first_chunk().filter(|_| self.has_room()) else { return false };
        self.waiting.push_back(Acknowledgement { from, frame: *frame, after });
        true
    }

    /// Everything that had arrived by then has been looked at; [`Time::NEVER`] if nothing waits.
    pub(super) fn complete_until(&self) -> Time {
        self.waiting.front().map_or(Time::NEVER, |first| first.after)
    }

    /// Whether the next is to be looked at now, though other things lie unread.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.waiting.front().is_some_and(|first| now.since(first.after) >= ASIDE_TIME_MAX)
    }

    /// Whom the one is for that is `nth` in line.
    pub(super) fn upcoming(&self, nth: usize) -> Option<&[u8]> {
        self.waiting.get(nth).map(|waiting| &waiting.frame[..])
    }

    /// Takes the next.
    pub(super) fn next(&mut self) -> Option<Acknowledgement> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1000)
    }

    fn from() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 7))
    }

    #[test]
    fn what_waits_comes_back_in_order_and_says_how_far_reading_has_come() {
        let mut aside = Aside::new(3);
        assert_eq!(aside.complete_until(), Time::NEVER);
        for (byte, millis) in [(1, 10), (2, 12), (3, 12)] {
            assert!(aside.put(from(), &[byte; 64], at(millis)));
        }
        assert_eq!(aside.complete_until(), at(10));
        assert_eq!(aside.upcoming(2), Some(&[3; DELEGATION_ACK_FRAME_LEN][..]));
        assert_eq!(aside.next().map(|next| (next.from, next.frame[0])), Some((from(), 1)));
        assert_eq!(aside.complete_until(), at(12));
        assert_eq!(aside.next().map(|next| next.frame[0]), Some(2));
        assert_eq!(aside.next().map(|next| next.frame[0]), Some(3));
        assert!(aside.next().is_none() && aside.is_empty());
        assert_eq!(aside.complete_until(), Time::NEVER);
    }

    #[test]
    fn no_more_wait_than_have_room_and_none_that_is_cut_off() {
        let mut aside = Aside::new(2);
        assert!(!aside.put(from(), &[0; DELEGATION_ACK_FRAME_LEN - 1], at(1)));
        assert!(aside.put(from(), &[0; 64], at(1)) && aside.put(from(), &[0; 64], at(1)));
        assert!(!aside.has_room() && !aside.put(from(), &[0; 64], at(1)));
        assert!(aside.next().is_some());
        assert!(aside.put(from(), &[0; 64], at(1)));
        assert_eq!(Aside::new(usize::MAX).max, ASIDE_MAX);
    }

    #[test]
    fn one_that_has_waited_for_long_is_due_whatever_lies_unread() {
        let mut aside = Aside::new(2);
        assert!(!aside.is_due(at(1000)));
        assert!(aside.put(from(), &[0; 64], at(100)));
        assert!(!aside.is_due(at(249)));
        assert!(aside.is_due(at(250)));
    }
}
