//! Who is asked to tell a part: whoever seems to be there, and who comes next once a delegate has not answered.
//!
//! A member goes by its own view, and by who has not acknowledged a frame of its lately
//! ([`super::super::shared_lists::unheard`]): packets are lost more often than members, until several in a row are.

use swimring_codec::{Incarnation, State};

use crate::protocol::dissemination::division::{Candidate, Division, Section};
use crate::protocol::shared_lists::delegation::{Delegation, Part, Retry};
use crate::protocol::shared_lists::delegations::{ATTEMPTS_MAX, ATTEMPTS_OTHERS_MAX};
use crate::protocol::shared_lists::unheard::{Unheard, UnheardList, UnheardPool};
use crate::protocol::time::Time;
use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::view::entry::Entry;
use crate::protocol::view::table::Table;
use crate::protocol::view::zones::ZoneIndex;
use crate::protocol::wire::Update;

/// Attempts at one delegate before another is asked: the second is for the packet that was lost.
pub(super) const SAME_AGAIN: u8 = 2;

/// Frames in a row that one member has not acknowledged, beyond which it is tried less often: with a third of all packets lost
/// one live member in five thousand comes to that.
const GONE_AFTER: u8 = 2 * ATTEMPTS_MAX;

/// Attempts of each update at such a member where nobody else is in its part: should it live after all, its first acknowledgement
/// changes that.
const ATTEMPTS_GONE: u8 = 1;

/// What a member knows of who could be its delegate.
pub(super) struct Known<'a> {
    pub(super) table: &'a Table,
    pub(super) directory: &'a Directory,
    pub(super) unheard: &'a UnheardPool,
    /// Our number and list.
    pub(super) list: (u32, &'a UnheardList),
    pub(super) now: Time,
}

impl Known<'_> {
    /// What is known of the silence of `index`, if it was asked in vain lately.
    fn unheard(&self, index: MemberIndex) -> Option<Unheard> {
        self.unheard.of(self.list, index, self.now)
    }

    /// Who is offered as a delegate: an alive member that was not asked in vain lately.
    fn candidate(&self, index: MemberIndex) -> Candidate {
        let entry = self.table.get(index);
        if !entry.is_alive() && !entry.is_suspect() {
            return Candidate::Gone;
        }
        match self.unheard(index) {
            Some(Unheard { times, asked, .. }) => Candidate::Doubtful { missed: times, asked },
            None if entry.is_suspect() => Candidate::Doubtful { missed: 0, asked: Time::ZERO },
            None => Candidate::Alive,
        }
    }

    /// The same of the members of `zone`: who is elsewhere in this view is nobody to be told there.
    pub(super) fn candidate_in(&self, zone: ZoneIndex, index: MemberIndex) -> Candidate {
        let candidate = self.candidate(index);
        if candidate == Candidate::Gone || !self.directory.zones().disagree() {
            return candidate;
        }
        let here = self.directory.identity(index, self.table.get(index).version()).zone() == zone;
        if here { candidate } else { Candidate::Gone }
    }

    /// The part of `told` with another delegate, if there is one.
    fn another(&self, told: &Delegation, division: &Division) -> Option<Part> {
        let Part { delegate, zone, prefix_bits, view_first } = told.part;
        let section = Section { zone, prefix: self.directory.id(delegate).0, bits: prefix_bits };
        let candidate = |zone, index| self.candidate_in(zone, index);
        let zones = self.directory.zones();
        let part = division.choose(zones, section, told.attempt, candidate, |index| index == delegate);
        part.map(|part| Part { view_first, ..part })
    }

    /// Whether `told` has been tried often enough. A member that has missed so many in a row is gone rather than its packets,
    /// and is not worth every attempt of every other update.
    fn is_in_vain(&self, told: &Delegation) -> bool {
        told.attempt >= if self.seems_gone(told.part.delegate) { ATTEMPTS_GONE } else { ATTEMPTS_MAX }
    }

    /// Whether `index` has missed so many frames in a row that it is gone rather than the frames.
    fn seems_gone(&self, index: MemberIndex) -> bool {
        self.unheard(index).is_some_and(|unheard| unheard.times >= GONE_AFTER)
    }
}

/// Whether `entry` is what `update` at `incarnation` makes of a member.
pub(in crate::protocol) fn says(entry: Entry, update: Update, incarnation: Incarnation) -> bool {
    let state = match update {
        Update::Alive { .. } => State::Alive,
        Update::Suspect { .. } => State::Suspect,
        Update::Dead => State::Dead,
        Update::Left => State::Left,
        Update::Event => return false,
    };
    entry.state() == Some(state) && entry.incarnation() == incarnation
}

/// What becomes of a delegation that was not acknowledged: once more to the same member, since packets are lost more
/// often than members, then to others of its part. If of late that was in vain, to another at once.
pub(super) fn retry(unheard: &Delegation, division: &Division, known: &Known<'_>, distrusts: bool) -> Retry {
    if unheard.update != Update::Event
        && !says(known.table.get(unheard.subject), unheard.update, unheard.incarnation)
    {
        return Retry::Drop;
    }
    let standing = known.candidate(unheard.part.delegate);
    if unheard.attempt < SAME_AGAIN && standing == Candidate::Alive && !distrusts {
        return Retry::Send(unheard.part);
    }
    if unheard.attempt >= ATTEMPTS_OTHERS_MAX {
        return Retry::GiveUp;
    }
    match known.another(unheard, division) {
        Some(part) if unheard.attempt < ATTEMPTS_MAX || !known.seems_gone(part.delegate) => Retry::Send(part),
        Some(_) => Retry::GiveUp,
        // Nobody else is in its part.
        None if standing == Candidate::Gone => Retry::Drop,
        None if known.is_in_vain(unheard) => Retry::GiveUp,
        None => Retry::Send(unheard.part),
    }
}

/// Whether somebody of the part of `waiting` is there to tell it; gives it to another if its delegate is gone, or if it was
/// asked in vain and somebody else seems better.
pub(super) fn is_told_by_somebody(waiting: &mut Delegation, division: &Division, known: &Known<'_>) -> bool {
    let delegate = waiting.part.delegate;
    let gone = known.candidate(delegate) == Candidate::Gone;
    if !gone && known.unheard(delegate).is_none() {
        return true;
    }
    let another = known.another(waiting, division);
    let part = another.filter(|part| gone || known.candidate(part.delegate) == Candidate::Alive);
    waiting.part = part.unwrap_or(waiting.part);
    !gone || part.is_some()
}
