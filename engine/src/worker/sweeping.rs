//! When a worker sweeps its members: see [`Compaction`].

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::host::{Host, Observer};
use crate::protocol::{COMPACTION_MEMBERS_MAX, Compaction, Time};

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
}

impl<O: Observer> Host<O> {
    /// Brings the next members' views closer to their base, as many as are due.
    pub(super) fn sweep(&mut self) {
        let due = self.sweeping.due(self.now, self.residents.len());
        if due == 0 || self.residents.len() < 2 {
            return;
        }
        let begun = cpu_time();
        self.sweeping.sweep.step(due, &mut self.residents, &mut self.shared);
        let lasted_us = cpu_time().saturating_sub(begun).as_micros() as u64;
        self.counters.sweep_us_max = self.counters.sweep_us_max.max(lasted_us);
    }
}

/// CPU time of this thread: where other programs run on the same cores, the time of day would measure them.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}
