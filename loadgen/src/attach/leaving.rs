//! Leaving the pool: at a rate, and followed until every leave has been told.

use std::time::Duration;

use swimring::worker::Fleet;

use super::roster::{Roster, Stage};
use super::watch::Watch;
use crate::fleet::MemberNumber;

/// How long the last ones may take to tell everybody.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Has member `number` leave.
///
/// # Errors
/// One line, if its worker has stopped.
pub fn begin(fleet: &Fleet<Watch>, roster: &Roster, number: MemberNumber) -> Result<(), String> {
    let workers = fleet.len() as u32;
    let local = number / workers;
    roster.set(number, Stage::Leaving);
    let left = fleet.call((number % workers) as usize, move |host, trains| {
        host.command(local, trains, |member, now, commons, out| member.leave(now, commons, out));
    });
    left.map_err(|error| error.to_string())
}

/// Members on their way out.
#[derive(Debug)]
pub struct Leaver {
    /// Those that have not begun to leave, in the order in which they will.
    staying: Vec<MemberNumber>,
    total: usize,
    /// From one leave to the next.
    pace: Duration,
    next_at: Duration,
    /// When the last one began.
    begun_at: Duration,
}

impl Leaver {
    /// All members that take part, and those that may by now because their join was under way.
    /// They leave at the rate of joining: gossip carries so many rumours and no more, and whose leave does not
    /// reach a peer in time is seen as failed.
    pub fn new(roster: &Roster, leaves_per_second: f64) -> Leaver {
        let mut staying: Vec<_> = roster.at(Stage::Present).chain(roster.at(Stage::Joining)).collect();
        // Taken from the end: those that came last go first.
        staying.sort_unstable();
        let pace = Duration::from_secs_f64(1.0 / leaves_per_second);
        let total = staying.len() + roster.at(Stage::Leaving).count();
        Leaver { staying, total, pace, next_at: Duration::ZERO, begun_at: Duration::ZERO }
    }

    /// Members that have begun to leave and are not done, and how many leave in all.
    pub fn progress(&self, roster: &Roster) -> (u64, u64) {
        let left = self.total - self.staying.len() - roster.at(Stage::Leaving).count().min(self.total);
        (left as u64, self.total as u64)
    }

    /// Has those leave whose turn it is at `now`.
    ///
    /// # Errors
    /// As [`begin`].
    pub fn advance(&mut self, fleet: &Fleet<Watch>, roster: &Roster, now: Duration) -> Result<(), String> {
        if self.next_at.is_zero() {
            self.next_at = now;
        }
        while self.next_at <= now
            && let Some(number) = self.staying.pop()
        {
            begin(fleet, roster, number)?;
            self.next_at += self.pace;
            self.begun_at = now;
        }
        Ok(())
    }

    /// Whether all have left, or are given no more time at `now`.
    pub fn is_done(&self, roster: &Roster, now: Duration) -> bool {
        let waited = now.saturating_sub(self.begun_at);
        self.staying.is_empty() && (roster.at(Stage::Leaving).next().is_none() || waited > PATIENCE)
    }

    /// When the next one leaves.
    pub fn next_due(&self) -> Option<Duration> {
        (!self.staying.is_empty()).then_some(self.next_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_part_leaves_and_nobody_else() {
        let roster = Roster::new(6);
        for (number, stage) in [
            (0, Stage::Present),
            (1, Stage::Killed),
            (2, Stage::Joining),
            (3, Stage::Away),
            (4, Stage::Leaving),
        ] {
            roster.set(number, stage);
        }
        let mut leaver = Leaver::new(&roster, 20.0);
        assert_eq!(leaver.staying, [0, 2]);
        assert_eq!(leaver.progress(&roster), (0, 3));
        assert_eq!(leaver.pace, Duration::from_millis(50));
        leaver.staying.clear();
        assert!(!leaver.is_done(&roster, Duration::from_secs(1)), "one is still telling it");
        assert!(leaver.is_done(&roster, PATIENCE + Duration::from_secs(1)));
        roster.set(4, Stage::Away);
        assert!(leaver.is_done(&roster, Duration::from_secs(1)));
    }
}
