//! Records of whole views that are written once for all members of a worker, and not read where they come back.
//!
//! Where views are sent whole, on joining and on memberlist's wire in every push/pull, nearly all of what one member of a fleet believes
//! the others believe too, or are about to learn. So the records of a view that was written or read are kept, each with the table entry
//! that it stands for, in the order of ids, which is the same in every process. A member that writes its view copies the runs
//! that its table agrees with, and writes only the others itself. One that merges a view compares its bytes with what is
//! kept: of a run that is the same it is known whom it speaks of without decoding it, and what of it is new to the member's own table is taken
//! over as the entry that it stands for.
//!
//! What is kept never changes what a view says: an entry stands for the same record as long as no identity has been
//! put in the place of another ([`Directory::renewals`]), and then all is written anew.

use swimring_codec::MemberId;
use swimring_codec::memberlist::PushPullWriter;
use swimring_codec::native::StreamWriter;

use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::view::entry::Entry;
use crate::protocol::view::linked_lists::NIL;
use crate::protocol::view::table::Table;

/// Records that a view may have beside those that are kept until these are replaced by its own, and an eighth of them.
const BESIDE_WELCOME: usize = 64;

/// Records compared at once.
const BLOCK: usize = 16;

/// Records copied at once: fewer bytes than any message holds.
const RUN: usize = 512;

/// What whole views are written to.
pub(super) trait ViewWriter {
    /// Appends `count` records that take `bytes`. False if there is no room for them.
    fn copy(&mut self, count: usize, bytes: &[u8]) -> bool;
}

impl ViewWriter for PushPullWriter<'_> {
    fn copy(&mut self, count: usize, bytes: &[u8]) -> bool {
        self.written(count, bytes)
    }
}

impl ViewWriter for StreamWriter<'_> {
    fn copy(&mut self, count: usize, bytes: &[u8]) -> bool {
        self.records_written(count, bytes)
    }
}

/// What a record that is kept says to a member that reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Says {
    /// Nothing new.
    Nothing,
    /// That somebody lives of whom it knew nothing.
    Somebody,
    /// Something that takes the whole record.
    Else,
}

/// A record that is kept.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// What it was written from.
    entry: Entry,
    index: MemberIndex,
    /// Where it ends among the bytes.
    end: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct KeptRecords {
    bytes: Vec<u8>,
    /// At most as many as the directory has members.
    kept: Vec<Kept>,
    /// The place of each member's record, by its index; [`NIL`] without one.
    places: Vec<u32>,
    /// [`Directory::renewals`] when they were written.
    renewals: u64,
    /// The last view had too many others.
    outdated: bool,
}

impl KeptRecords {
    /// How many there are that still say what they said.
    fn count(&self, directory: &Directory) -> usize {
        if self.renewals == directory.renewals() { self.kept.len() } else { 0 }
    }

    /// Bytes of the records in these places.
    fn span(&self, from: usize, to: usize) -> &[u8] {
        &self.bytes[self.start(from)..self.start(to)]
    }

    fn start(&self, place: usize) -> usize {
        place.checked_sub(1).map_or(0, |before| self.kept[before].end as usize)
    }

    /// The place behind that of the member at `index`, if it has one.
    pub(super) fn after(&self, index: MemberIndex) -> Option<usize> {
        self.places.get(index as usize).filter(|place| **place != NIL).map(|place| *place as usize + 1)
    }

    /// Whether what is kept is `entry` of the member at `index`.
    pub(super) fn has(&self, index: MemberIndex, entry: Entry) -> bool {
        self.after(index).is_some_and(|after| self.kept[after - 1].entry == entry.unmarked())
    }

    /// Keeps what `table` says of all members that are alive, if the last view agreed too little with what is kept.
    /// `append` writes what a view says of a member, and says whether it may.
    pub(super) fn refresh(
        &mut self,
        table: &Table,
        directory: &Directory,
        append: impl Fn(MemberIndex, Entry, &mut Vec<u8>) -> bool,
    ) {
        let renewals = directory.renewals();
        if !std::mem::take(&mut self.outdated) && self.renewals == renewals {
            return;
        }
        self.renewals = renewals;
        self.bytes.clear();
        self.kept.clear();
        self.places.clear();
        let alive = table.iter().filter(|(_, entry)| entry.is_alive());
        self.kept.extend(alive.map(|(index, entry)| Kept { entry: entry.unmarked(), index, end: 0 }));
        self.kept.sort_unstable_by_key(|kept| directory.id(kept.index));
        self.places.resize(directory.len(), NIL);
        for place in 0..self.kept.len() {
            let Kept { entry, index, .. } = self.kept[place];
            let written = append(index, entry, &mut self.bytes);
            let Some(end) = u32::try_from(self.bytes.len()).ok().filter(|_| written) else {
                // Nobody takes a view of four gigabytes, nor a record that breaks a rule.
                return self.kept.truncate(place);
            };
            self.kept[place].end = end;
            self.places[index as usize] = place as u32;
        }
    }

    /// Writes the view of `table` if all of it is what is kept, as in a fleet in which nothing happens. False, and nothing written, if
    /// it is not.
    pub(super) fn copy_all(
        &self,
        table: &Table,
        directory: &Directory,
        writer: &mut impl ViewWriter,
    ) -> bool {
        let count = self.count(directory);
        let agrees = |kept: &Kept| table.get(kept.index).unmarked() == kept.entry;
        let all = count == table.known() && self.kept[..count].iter().all(agrees);
        if all {
            self.copy_run(0, count, writer);
        }
        all
    }

    /// Writes a view in the order of ids: the records that `table` agrees with are copied, and `write` is called for each of
    /// those `beside` them, which are in that order.
    pub(super) fn copy<W: ViewWriter>(
        &self,
        table: &Table,
        directory: &Directory,
        beside: &[(MemberId, MemberIndex)],
        writer: &mut W,
        mut write: impl FnMut(&mut W, MemberIndex),
    ) {
        let mut beside = beside.iter().copied().peekable();
        let (count, mut from) = (self.count(directory), 0);
        for place in 0..count {
            let Kept { index, entry, .. } = self.kept[place];
            if beside.peek().is_some_and(|(other, _)| *other < directory.id(index)) {
                self.copy_run(from, place, writer);
                from = place;
                while let Some((_, other)) = beside.next_if(|(other, _)| *other < directory.id(index)) {
                    write(writer, other);
                }
            }
            if table.get(index).unmarked() != entry {
                self.copy_run(from, place, writer);
                from = place + 1;
            }
        }
        self.copy_run(from, count, writer);
        beside.for_each(|(_, other)| write(writer, other));
    }

    fn copy_run(&self, from: usize, to: usize, writer: &mut impl ViewWriter) {
        let mut at = from;
        while at < to {
            let end = (at + RUN).min(to);
            // Refused only where a view is longer than any peer takes.
            let _ = writer.copy(end - at, self.span(at, end));
            at = end;
        }
    }

    /// A view had so many records `beside` those that are kept.
    pub(super) fn note_beside(&mut self, beside: usize) {
        self.outdated = beside > BESIDE_WELCOME + self.kept.len() / 8;
    }

    /// Of a view `many` records were read one by one: whether they are worth keeping, as those that are kept are others.
    pub(super) fn note_read(&mut self, many: usize) -> bool {
        self.outdated |= many > BESIDE_WELCOME + self.kept.len() / 8;
        self.outdated
    }

    /// How many records at the front of `bytes`, of which there are `count`, are those that are kept from `place` on, of members
    /// of whom nothing has to be read, as `says` has it; and how many bytes they take. Whoever is new is added to `new`.
    pub(super) fn known(
        &self,
        directory: &Directory,
        place: usize,
        (bytes, count): (&[u8], usize),
        mut says: impl FnMut(MemberIndex, Entry) -> Says,
        new: &mut Vec<(MemberIndex, Entry)>,
    ) -> (usize, usize) {
        let end = self.count(directory).min(place + count);
        if place >= end {
            return (0, 0);
        }
        let first = self.start(place);
        let mut take = |kept: &Kept| {
            let said = says(kept.index, kept.entry);
            if said == Says::Somebody {
                new.push((kept.index, kept.entry));
            }
            said != Says::Else
        };
        let mut at = place;
        while at < end {
            let block = (at + BLOCK).min(end);
            let rest = bytes.get(self.start(at) - first..).unwrap_or_default();
            let whole = rest.starts_with(self.span(at, block));
            let same = |nth: usize| {
                let rest = bytes.get(self.start(nth) - first..).unwrap_or_default();
                whole || rest.starts_with(self.span(nth, nth + 1))
            };
            let taken = (at..block).take_while(|nth| same(*nth) && take(&self.kept[*nth])).count();
            at += taken;
            if at < block {
                break;
            }
        }
        (at - place, self.start(at) - first)
    }
}
