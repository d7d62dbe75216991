//! The sweep: keeps the members of one [`SharedState`] close to a base that they share.
//!
//! It goes round the members, a few at a time, and takes each to the newest base. At the end of a round it
//! knows how far they are from it on average; when that is far enough to be worth it, it has a new base made
//! of what a typical member believes, and the next round takes the others there. A member costs about a
//! microsecond per round, and no step takes longer than a fraction of a millisecond.
//!
//! Suspicions do not count: they end by themselves, and no base takes them up. Where new bases bring members
//! no closer, because everyone believes something else, more and more rounds pass between them.

use crate::protocol::member::Member;
use crate::protocol::state::SharedState;
use crate::protocol::view::shared_view::NewBase;

/// Most members that one step looks at.
pub const COMPACTION_MEMBERS_MAX: usize = 256;

/// Most entries that one step looks at: it stops after the member with whom they are reached. Some 100
/// microseconds.
const ENTRIES_MAX: usize = 1 << 17;

/// Differences of a member, on average, from which a new base is worth making. Fewer cost next to nothing to
/// keep: 16 bytes each, and some of a binary search.
const DIFFERENCES_WORTH: u64 = 8;

/// Most rounds that pass between two new bases of which the first has not helped.
const ROUNDS_BETWEEN_MAX: u32 = 16;

impl SharedState {
    /// Makes a base of what `member` believes, for the views of all members to be held as differences from.
    /// Nothing that can be observed of anyone changes; [`Member::rebase`] then takes each member there.
    /// False if it would be no other than the last, or too many are in use.
    pub fn make_base(&mut self, member: &Member) -> bool {
        let made = self.bases.advance(&member.core.table, &self.directory);
        match made {
            NewBase::Made => self.counters.bases_made += 1,
            NewBase::Deferred => self.counters.bases_deferred += 1,
            NewBase::Same => {}
        }
        made == NewBase::Made
    }
}

/// Members in places, some of which may be empty.
pub trait Crew {
    /// How many places there are.
    fn places(&self) -> usize;

    /// The member in a place.
    fn member_at(&mut self, place: usize) -> Option<&mut Member>;
}

/// Where the sweep is. See the module.
#[derive(Debug, Default)]
pub struct Compaction {
    /// The next place to look at.
    place: usize,
    members: u64,
    /// Differences of all members in this round.
    differences: u64,
    /// Distance from the average of the round before, and place, of the member that is closest to it.
    typical: Option<(u64, usize)>,
    /// The average of the round before.
    average: Option<u64>,
    /// Average of the round after which the last base was made, until it is known whether that has helped.
    judging: Option<u64>,
    /// Rounds to let pass before the next base, and how many of them have to pass still.
    rounds_between: u32,
    rounds_left: u32,
}

impl Compaction {
    /// Looks at the next members of `crew`, at most `members` and at most [`COMPACTION_MEMBERS_MAX`], or ends the
    /// round. All of them belong to `shared`.
    pub fn step(&mut self, members: usize, crew: &mut impl Crew, shared: &mut SharedState) {
        let places = crew.places();
        if places < 2 {
            // With nobody to share with there is nothing to gain.
            return;
        }
        if self.place >= places {
            return self.end_round(crew, shared);
        }
        let mut looked = 0;
        for _ in 0..members.min(COMPACTION_MEMBERS_MAX) {
            if self.place >= places || looked >= ENTRIES_MAX {
                break;
            }
            if let Some(member) = crew.member_at(self.place) {
                looked += member.rebase(shared);
                // What someone who has left believes no longer changes: it is taken along, and no example.
                if !member.has_left() {
                    self.note(member.differences().saturating_sub(member.suspects()) as u64);
                }
            }
            self.place += 1;
        }
    }

    fn note(&mut self, differences: u64) {
        self.members += 1;
        self.differences += differences;
        let distance = differences.abs_diff(self.average.unwrap_or_default());
        if self.typical.is_none_or(|(least, _)| distance < least) {
            self.typical = Some((distance, self.place));
        }
    }

    fn end_round(&mut self, crew: &mut impl Crew, shared: &mut SharedState) {
        shared.retire_base();
        let average = self.differences.checked_div(self.members).unwrap_or_default();
        let typical = self.typical.map(|(_, place)| place);
        if let Some(before) = self.judging.take() {
            let helped = average <= before / 2 || average < DIFFERENCES_WORTH;
            self.rounds_between =
                if helped { 0 } else { (self.rounds_between * 2).clamp(1, ROUNDS_BETWEEN_MAX) };
            self.rounds_left = self.rounds_between;
        }
        let known = self.average.is_some();
        if average < DIFFERENCES_WORTH || !known {
            // Who is typical is only known with an average to compare to.
        } else if self.rounds_left > 0 {
            self.rounds_left -= 1;
        } else if let Some(member) = typical.and_then(|place| crew.member_at(place))
            && shared.make_base(member)
        {
            self.judging = Some(average);
        }
        (self.place, self.members, self.differences, self.typical) = (0, 0, 0, None);
        self.average = Some(average);
    }
}
