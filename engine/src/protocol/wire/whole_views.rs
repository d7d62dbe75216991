//! Whole views, in and out, in either format: in the order of ids, what is kept of them as bytes, the rest record by record.
//!
//! A worker keeps the records of one view ([`super::kept_records`]) once it has several members. The order of what is written does
//! not depend on what that is: it tells nothing of what other members of the process have written.

use swimring_codec::MemberId;

use super::frame::Speaker;
use super::kept_records::{KeptRecords, Says, ViewWriter};
use super::stream::Records;
use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::view::entry::Entry;

/// After so many records that were not followed by one that is kept, those of a view are in another order, as memberlist's own members
/// send them: each is read.
const IN_VAIN_MAX: u8 = 16;

/// What the members of a worker need to write whole views, and to read them.
#[derive(Debug, Default)]
pub(in crate::protocol) struct WholeViews {
    /// What was written or read of whole views, where several members do.
    kept: Option<Box<KeptRecords>>,
    /// Who else is in the view that is being written.
    beside: Vec<(MemberId, MemberIndex)>,
    /// How many members there have been.
    members: u32,
}

impl WholeViews {
    /// One more member speaks. What several write of their views is worth keeping.
    pub(super) fn register(&mut self) {
        self.members = self.members.saturating_add(1);
        if self.members == 2 {
            self.kept = Some(Box::default());
        }
    }

    /// Writes the view of `speaker` to `writer`: of each member that `is_said` what `write` writes, `more` than those that are known. `append`
    /// writes what a view says of one that is alive.
    pub(super) fn write<W: ViewWriter>(
        &mut self,
        speaker: &Speaker<'_>,
        writer: &mut W,
        (more, is_said): (bool, impl Fn(MemberIndex, Entry) -> bool),
        append: impl Fn(MemberIndex, Entry, &mut Vec<u8>) -> bool,
        mut write: impl FnMut(&mut W, MemberIndex, Entry),
    ) {
        let Speaker { table, directory, .. } = *speaker;
        // What is signed changes with each word, and is seldom sent whole.
        let mut kept = self.kept.as_deref_mut().filter(|_| !directory.signs());
        if let Some(kept) = &mut kept {
            kept.refresh(table, directory, append);
            if !more && kept.copy_all(table, directory, writer) {
                return;
            }
        }
        let is_kept = |index, entry| kept.as_ref().is_some_and(|kept| kept.has(index, entry));
        let others =
            table.iter().filter(|(index, entry)| is_said(*index, *entry) && !is_kept(*index, *entry));
        let beside = &mut self.beside;
        beside.clear();
        beside.extend(others.map(|(index, _)| (directory.id(index), index)));
        beside.sort_unstable();
        match kept {
            Some(kept) => {
                kept.copy(table, directory, beside, writer, |writer, index| {
                    write(writer, index, table.get(index));
                });
                kept.note_beside(beside.len());
            }
            None => beside.iter().for_each(|(_, index)| write(writer, *index, table.get(*index))),
        }
    }

    /// `speaker` has read a view, `many` of its records one by one: keeps what it says now if that is worth it.
    pub(super) fn note_read(
        &mut self,
        speaker: &Speaker<'_>,
        many: usize,
        append: impl Fn(MemberIndex, Entry, &mut Vec<u8>) -> bool,
    ) {
        let Speaker { table, directory, .. } = *speaker;
        if let Some(kept) = self.kept.as_deref_mut().filter(|_| !directory.signs())
            && kept.note_read(many)
        {
            kept.refresh(table, directory, append);
        }
    }
}

/// Where a view that is read is among the records that are kept.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::protocol) struct ReadingPlace {
    /// Where the next is looked for, unless it is behind that of `last`.
    place: usize,
    /// Of whom the last one spoke that was read.
    last: Option<MemberId>,
    /// How many were read in a row that were not followed by one that is kept.
    in_vain: u8,
}

impl ReadingPlace {
    /// A record of `subject` was read.
    pub(in crate::protocol) fn read(&mut self, subject: MemberId) {
        self.last = Some(subject);
    }

    /// Passes over those of `records` next in line that are known by their bytes and need not be read, as `says` has it of what they
    /// stand for; how many. Whoever is new is added to `new`.
    #[inline]
    pub(in crate::protocol) fn pass_over<'r>(
        &mut self,
        views: &WholeViews,
        directory: &Directory,
        records: &mut impl Records<'r>,
        says: impl FnMut(MemberIndex, Entry) -> Says,
        new: &mut Vec<(MemberIndex, Entry)>,
    ) -> u64 {
        let Some(kept) = views.kept.as_deref().filter(|_| self.in_vain < IN_VAIN_MAX) else { return 0 };
        if let Some(last) = self.last {
            let behind = directory.find(last).and_then(|index| kept.after(index));
            self.place = behind.unwrap_or(self.place);
        }
        let (count, bytes) = kept.known(directory, self.place, records.left(), says, new);
        if count == 0 {
            self.in_vain += 1;
        } else {
            (self.place, self.last, self.in_vain) = (self.place + count, None, 0);
            records.pass_over(count, bytes);
        }
        count as u64
    }
}
