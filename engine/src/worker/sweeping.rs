//! When a worker sweeps its members: see [`Compaction`].

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::members::Places;
use crate::protocol::{COMPACTION_MEMBERS_MAX, Compaction, Crew, SharedState, Time};

/// How long a round of all members takes: in a busy fleet some ten news are heard meanwhile, and looking at
/// 25,000 members costs a few milliseconds.
const ROUND: Duration = Duration::from_secs(4);

/// A sweep, and how far it has to be by now.
#[derive(Debug, Default)]
pub(super) struct Sweeping {
    sweep: Compaction,
    /// Until when the members that were due have been looked at.
    done: Time,
}

impl Sweeping {
    /// How many of `members` are due.
    fn due(&mut self, now: Time, members: usize) -> usize {
        let each_us = (ROUND.as_micros() as u64 / members.max(1) as u64).max(1);
        let due = now.since(self.done).as_micros() as u64 / each_us;
        if due > COMPACTION_MEMBERS_MAX as u64 {
            // What a turn cannot do is not made up for.
            self.done = now;
            return COMPACTION_MEMBERS_MAX;
        }
        self.done = self.done + Duration::from_micros(due * each_us);
        due as usize
    }

    /// Brings the next members' views closer to their base, as many as are due. Gives the CPU time it took, in
    /// microseconds.
    pub(super) fn sweep(&mut self, now: Time, members: &mut Places, shared: &mut SharedState) -> u64 {
        let due = self.due(now, members.places());
        if due == 0 || members.places() < 2 {
            return 0;
        }
        let begun = cpu_time();
        self.sweep.step(due, members, shared);
        cpu_time().saturating_sub(begun).as_micros() as u64
    }
}

/// CPU time of this thread: where other programs run on the same cores, the time of day would measure them.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}
