//! Serf's Lamport clocks, as far as a member of a Serf pool needs them.
//!
//! Serf orders intents to join and leave by one logical clock and user events by another: a member that
//! hears of a time moves its clock past it, so that what it says next is newer than all it has heard. The rest of Serf,
//! its queries and its memory of past events, is not here.

use swimring_codec::serf::Clocks;

/// The clocks of one member. In other pools they stand still.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Serf {
    clocks: Clocks,
    /// The latest time that we have stated of ourselves, or others of us.
    own: u64,
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<Serf>() <= 32);

/// Clocks that hear of times near the end of their range stay where they are: nobody gets there by counting.
const TIME_MAX: u64 = 1 << 62;

impl Serf {
    pub(in crate::protocol) const fn new() -> Serf {
        // Serf's clocks begin at one.
        Serf { clocks: Clocks { members: 1, events: 1, queries: 1 }, own: 0 }
    }

    /// An intent at `time` was heard.
    pub(in crate::protocol) fn witness(&mut self, time: u64) {
        witness(&mut self.clocks.members, time);
    }

    /// A user event at `time` was heard.
    pub(in crate::protocol) fn witness_event(&mut self, time: u64) {
        witness(&mut self.clocks.events, time);
    }

    /// The clocks of a push/pull were heard: they are ahead of what was said by one.
    pub(in crate::protocol) fn witness_clocks(&mut self, theirs: Clocks) {
        witness(&mut self.clocks.members, theirs.members.saturating_sub(1));
        witness(&mut self.clocks.events, theirs.events.saturating_sub(1));
        witness(&mut self.clocks.queries, theirs.queries.saturating_sub(1));
    }

    /// The clocks, for a push/pull.
    pub(in crate::protocol) fn clocks(&self) -> Clocks {
        self.clocks
    }

    /// The time of an intent to join, which does not move the clock.
    pub(in crate::protocol) fn stated(&mut self) -> u64 {
        self.own = self.clocks.members;
        self.clocks.members
    }

    /// The time of an intent to leave.
    pub(in crate::protocol) fn next(&mut self) -> u64 {
        self.own = self.clocks.members;
        self.clocks.members += 1;
        self.own
    }

    /// The time of a user event.
    pub(in crate::protocol) fn next_event(&mut self) -> u64 {
        self.clocks.events += 1;
        self.clocks.events - 1
    }

    /// Whether an intent about us at `time` is newer than what has been said of us.
    pub(in crate::protocol) fn is_news_about_us(&self, time: u64) -> bool {
        time > self.own
    }
}

fn witness(clock: &mut u64, time: u64) {
    if time >= *clock && time < TIME_MAX {
        *clock = time + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(members: u64, events: u64, queries: u64) -> Clocks {
        Clocks { members, events, queries }
    }

    #[test]
    fn clocks_move_past_what_they_hear() {
        let mut serf = Serf::new();
        serf.witness(7);
        assert_eq!(serf.clocks(), clocks(8, 1, 1));
        assert_eq!((serf.stated(), serf.next(), serf.next()), (8, 8, 9));
        serf.witness(3);
        assert_eq!(serf.clocks().members, 10);
        serf.witness_clocks(clocks(20, 5, 9));
        assert_eq!(serf.clocks(), clocks(20, 5, 9), "clocks of a push/pull are ahead by one");
        assert_eq!((serf.next_event(), serf.next_event()), (5, 6));
    }

    #[test]
    fn no_time_drives_a_clock_to_its_end() {
        let mut serf = Serf::new();
        serf.witness(u64::MAX);
        serf.witness_event(u64::MAX - 1);
        assert_eq!(serf.clocks(), clocks(1, 1, 1));
    }
}
