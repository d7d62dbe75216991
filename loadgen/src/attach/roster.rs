//! Where each virtual member is in its life, for everybody who has to know: the workers, on whose threads it
//! changes, and the thread that carries the run out. One atomic byte each, so nobody waits for anybody.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::fleet::MemberNumber;

/// Where a member is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Stage {
    /// Not started yet.
    Absent,
    /// Joins.
    Joining,
    /// Its join failed.
    Refused,
    /// Takes part.
    Present,
    /// Says goodbye.
    Leaving,
    /// Has left.
    Away,
    /// Was killed.
    Killed,
}

impl Stage {
    const ALL: [Stage; 7] = [
        Stage::Absent,
        Stage::Joining,
        Stage::Refused,
        Stage::Present,
        Stage::Leaving,
        Stage::Away,
        Stage::Killed,
    ];
}

/// All members' stages.
#[derive(Debug)]
pub struct Roster(Box<[AtomicU8]>);

impl Roster {
    /// Nobody has started.
    pub fn new(members: u32) -> Roster {
        Roster((0..members).map(|_| AtomicU8::new(Stage::Absent as u8)).collect())
    }

    /// Where member `number` is.
    #[inline]
    pub fn stage(&self, number: MemberNumber) -> Stage {
        // A stage orders nothing else: its readers act on the member by a call to its worker.
        let stage = self.0.get(number as usize).map_or(0, |stage| stage.load(Ordering::Relaxed));
        Stage::ALL[usize::from(stage)]
    }

    /// Member `number` is now there.
    pub fn set(&self, number: MemberNumber, stage: Stage) {
        if let Some(place) = self.0.get(number as usize) {
            place.store(stage as u8, Ordering::Relaxed);
        }
    }

    /// The members at `stage`.
    pub fn at(&self, stage: Stage) -> impl Iterator<Item = MemberNumber> + '_ {
        (0..self.0.len() as MemberNumber).filter(move |number| self.stage(*number) == stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_kept_apart() {
        let roster = Roster::new(7);
        for (number, stage) in Stage::ALL.into_iter().enumerate() {
            roster.set(number as u32, stage);
        }
        for (number, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(roster.stage(number as u32), stage);
            assert_eq!(roster.at(stage).collect::<Vec<_>>(), [number as u32]);
        }
        roster.set(9, Stage::Present);
        assert_eq!(roster.stage(9), Stage::Absent, "nobody");
    }
}
