//! Moving a table to another base: from an older one along what has changed between the two, or from holding all words itself.
//! Either is done only if few enough differences remain.

use std::sync::Arc;

use super::{DIFFERENCES_LEAST, DIFFERENCES_WELCOME, Difference, Held, Table};
use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::view::entry::Entry;
use crate::protocol::view::shared_view::{Change, Named, PAGE_ENTRIES, SharedViews};

impl Table {
    /// Moves to the newest base, unless it is too far away. Says whether it moved, and how many entries that
    /// took a look at.
    pub(in crate::protocol) fn rebase(
        &mut self,
        bases: &mut SharedViews,
        directory: &Directory,
    ) -> (bool, usize) {
        match &mut self.held {
            Held::Whole { tried, .. } if *tried == bases.newest().number() => (false, 0),
            Held::Whole { .. } => self.join_base(bases, directory),
            Held::Shared { base, .. } if base.number() == bases.newest().number() => (false, 0),
            // Who has hardly begun to join would have to say of everyone that they are unknown.
            Held::Shared { base, differences }
                if base.pages() == 0 && differences.len() + DIFFERENCES_WELCOME < bases.newest().known() =>
            {
                (false, 0)
            }
            Held::Shared { base, differences } => {
                let mut looked = bases.find_changes(base);
                let newest = Arc::clone(bases.newest());
                let (changes, gathered) = bases.changes();
                looked += changes.len() + differences.len();
                let is_other = |index, entry: Entry| {
                    entry.is_live() && newest.named(index) != Named::of(index, entry, directory)
                };
                merge(differences, changes, is_other, gathered);
                differences.clear();
                differences.extend_from_slice(gathered);
                *base = newest;
                if differences.len() > DIFFERENCES_LEAST + self.len as usize / 4 {
                    self.hold_whole();
                }
                (true, looked)
            }
        }
    }

    /// From holding everything to differing from a base.
    fn join_base(&mut self, bases: &mut SharedViews, directory: &Directory) -> (bool, usize) {
        let Held::Whole { entries, tried, .. } = &mut self.held else { return (false, 0) };
        let welcome = DIFFERENCES_WELCOME + entries.len() / 8;
        let base = Arc::clone(bases.newest());
        *tried = base.number();
        let gathered = &mut bases.gathered;
        gathered.clear();
        let count = entries.len().div_ceil(PAGE_ENTRIES).max(base.pages());
        for nth in 0..count {
            if gathered.len() > welcome {
                return (false, nth * PAGE_ENTRIES);
            }
            let first = nth * PAGE_ENTRIES;
            let held = entries.get(first..).unwrap_or_default();
            let held = held.iter().copied().chain(std::iter::repeat(Entry::UNKNOWN));
            let both = (first as MemberIndex..).zip(held.zip(base.page(nth)));
            gathered.extend(both.filter_map(|(index, (entry, shared))| {
                let other = entry.is_live() && base.named(index) != Named::of(index, entry, directory);
                (other || entry != *shared).then_some(Difference { index, other, entry })
            }));
        }
        if gathered.len() > welcome {
            return (false, count * PAGE_ENTRIES);
        }
        let mut differences = self.take_differences();
        differences.extend_from_slice(gathered);
        self.held = Held::Shared { base, differences };
        (true, count * PAGE_ENTRIES)
    }
}

/// Gathers the differences from a newer base, of a table with `differences` from an older one. `is_other` says whether the
/// newer base speaks of somebody else than the table at an index, or of another identity.
fn merge(
    differences: &[Difference],
    changes: &[Change],
    is_other: impl Fn(MemberIndex, Entry) -> bool,
    gathered: &mut Vec<Difference>,
) {
    gathered.clear();
    let mut gather = |index, entry, shared| {
        let other = is_other(index, entry);
        if other || shared != Some(entry) {
            gathered.push(Difference { index, other, entry });
        }
    };
    let mut rest = differences.iter().copied().peekable();
    for change in changes {
        while let Some(earlier) = rest.next_if(|difference| difference.index < change.index) {
            gather(earlier.index, earlier.entry, None);
        }
        // Where it has no difference the table means what the older base says.
        let own = rest.next_if(|difference| difference.index == change.index);
        gather(change.index, own.map_or(change.from, |own| own.entry), Some(change.to));
    }
    rest.for_each(|difference| gather(difference.index, difference.entry, None));
}
