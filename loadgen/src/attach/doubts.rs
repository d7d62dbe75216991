//! Who among the members of one worker doubts a real member, how often and since when: what it takes to name the
//! culprit, and not only to count.

use std::time::Duration;

use swimring::worker::HostedMember;

/// Bits in a word.
const WORD: usize = 64;

/// A set of a worker's members, a bit each. It grows with the highest number in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locals(Vec<u64>);

impl Locals {
    /// Makes room for `members`, so that adding one does not allocate.
    pub fn reserve(&mut self, members: usize) {
        self.0.resize(self.0.len().max(members.div_ceil(WORD)), 0);
    }

    /// Adds a member: whether it was not there.
    pub fn insert(&mut self, local: HostedMember) -> bool {
        let (word, bit) = (local as usize / WORD, 1 << (local as usize % WORD));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    /// Takes a member out: whether it was there.
    pub fn remove(&mut self, local: HostedMember) -> bool {
        let (word, bit) = (local as usize / WORD, 1 << (local as usize % WORD));
        let Some(word) = self.0.get_mut(word) else { return false };
        let was_there = *word & bit != 0;
        *word &= !bit;
        was_there
    }

    /// Number of members.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Adds everybody of `other`.
    pub fn add(&mut self, other: &Locals) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }
}

/// Doubts of our members about a real member: that it was suspected, or taken for dead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Number of times.
    pub times: u64,
    /// Members of ours with such a doubt, each counted once.
    pub by: u64,
    /// First time, from the start of the measured time.
    pub first: Option<Duration>,
    /// Last time, from the start of the measured time.
    pub last: Option<Duration>,
    /// The members of one worker with such a doubt.
    pub who: Locals,
}

impl Doubts {
    /// `local` begins to doubt, `at` into the measured time.
    pub fn note(&mut self, local: HostedMember, at: Duration) {
        self.times += 1;
        self.by += u64::from(self.who.insert(local));
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }

    /// Adds those of another worker, whose members are others.
    pub fn add(&mut self, other: &Doubts) {
        self.by += other.by;
        self.add_times(other);
    }

    /// Adds those about another real member by members of the same worker.
    pub fn unite(&mut self, other: &Doubts) {
        self.who.add(&other.who);
        self.by = self.who.count();
        self.add_times(other);
    }

    fn add_times(&mut self, other: &Doubts) {
        self.times += other.times;
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.into_iter().chain(other.last).max();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_in_a_set_once() {
        let mut some = Locals::default();
        assert!(some.insert(3) && some.insert(64) && !some.insert(3));
        assert_eq!(some.count(), 2);
        assert!(some.remove(64) && !some.remove(64) && !some.remove(9999));
        let mut more = Locals::default();
        more.insert(700);
        some.add(&more);
        assert_eq!(some.count(), 2);
    }

    #[test]
    fn doubts_are_counted_by_time_and_by_member() {
        let at = Duration::from_secs;
        let mut doubts = Doubts::default();
        for (local, seconds) in [(1, 5), (2, 4), (1, 9)] {
            doubts.note(local, at(seconds));
        }
        assert_eq!((doubts.times, doubts.by), (3, 2));
        assert_eq!((doubts.first, doubts.last), (Some(at(4)), Some(at(9))));
        let (mut of_two_workers, mut about_two) = (doubts.clone(), doubts.clone());
        of_two_workers.add(&doubts);
        about_two.unite(&doubts);
        assert_eq!((of_two_workers.by, about_two.by, about_two.times), (4, 2, 6));
    }
}
