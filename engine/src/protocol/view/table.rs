//! A member's view of all members.
//!
//! There is an [`Entry`] at each member's directory index. The table keeps what is asked for all the time up to date
//! at each change: how many are known and live, and the *state root*, a sum of one hash per live member, so that two
//! views can be compared by one number.
//!
//! How entries are held is the secret of this file and of [`crate::protocol::view::shared_view`]. A table that agrees with most
//! of a base holds its few differences from it, sorted; one that agrees with none, as an embedded member's or
//! that of a member that is still joining, holds all its words itself. Which it is can be told from outside
//! only by the memory it takes.

mod rebase;

use std::sync::Arc;

use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::view::entry::{Entry, QUEUED, UNTOLD};
use crate::protocol::view::grow_for_one;
use crate::protocol::view::shared_view::{Named, PAGE_ENTRIES, SharedView, SharedViews};
use crate::protocol::view::sketch::Digest;

/// Where a table differs from its base.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Difference {
    index: MemberIndex,
    /// The base may speak of somebody else there, or of another identity: then it differs although it says the same.
    other: bool,
    entry: Entry,
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<Difference>() <= 16);

const _: () = assert!(size_of::<Difference>() == 16);

/// A table holds all words itself once it has more differences than this and a quarter of its length: they
/// would soon take more room than the words, and moving them at each change more time.
const DIFFERENCES_LEAST: usize = 32;

/// A table that holds all words itself goes over to a base that it differs from in at most so many places, and
/// an eighth of its length. Fewer than above, so that a table does not go back and forth.
const DIFFERENCES_WELCOME: usize = 16;

/// After changes of a part of its length that no sum of a table was asked for, another is made when one is: while thousands join
/// everything changes, and nobody asks.
const SUMMED_ANEW_PARTS: u32 = 4;

/// What the live members of a table sum to that holds all words itself.
#[derive(Clone, Debug)]
struct Summed {
    digest: Digest,
    /// Changes that it has followed since it was last asked for.
    changes: u32,
}

#[derive(Clone, Debug)]
enum Held {
    /// Every word. `tried` is the number of the newest base that it was found to be too far from, `kept` the
    /// memory that was set aside for differences. What the words sum to is kept from when it is first asked for.
    Whole { entries: Vec<Entry>, tried: u64, kept: Vec<Difference>, digest: Option<Box<Summed>> },
    /// What differs from a base, sorted by index.
    Shared { base: Arc<SharedView>, differences: Vec<Difference> },
}

/// All entries of one member. See the module.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct Table {
    held: Held,
    /// One more than the largest index that was ever set.
    len: u32,
    known: u32,
    live: u32,
    root: u64,
}

impl Table {
    pub(in crate::protocol) fn new(bases: &SharedViews) -> Table {
        let differences = Vec::with_capacity(bases.differences_reserved);
        let held = Held::Shared { base: bases.empty(), differences };
        Table { held, len: 0, known: 0, live: 0, root: 0 }
    }

    /// One more than the largest index with an entry.
    pub(in crate::protocol) fn len(&self) -> u32 {
        self.len
    }

    /// Members that are part of the view, the dead and left that have not been reaped among them.
    pub(in crate::protocol) fn known(&self) -> usize {
        self.known as usize
    }

    /// Alive and suspect members.
    pub(in crate::protocol) fn live(&self) -> usize {
        self.live as usize
    }

    /// The state root.
    pub(in crate::protocol) fn root(&self) -> u64 {
        self.root
    }

    #[inline]
    pub(in crate::protocol) fn get(&self, index: MemberIndex) -> Entry {
        match &self.held {
            Held::Whole { entries, .. } => entries.get(index as usize).copied().unwrap_or(Entry::UNKNOWN),
            Held::Shared { base, differences } => {
                if !differences.is_empty()
                    && let Ok(at) = find(differences, index)
                {
                    return differences[at].entry;
                }
                base.get(index)
            }
        }
    }

    /// Every entry that is not unknown.
    pub(in crate::protocol) fn iter(&self) -> impl Iterator<Item = (MemberIndex, Entry)> + '_ {
        let pages = (0..(self.len as usize).div_ceil(PAGE_ENTRIES)).map(|nth| (nth, self.page(nth)));
        let entries = pages.flat_map(|(nth, page)| {
            let first = (nth * PAGE_ENTRIES) as MemberIndex;
            (first..).zip(page)
        });
        entries.filter(|(_, entry)| !entry.is_unknown())
    }

    /// The entries of page `nth`.
    pub(in crate::protocol) fn page(&self, nth: usize) -> [Entry; PAGE_ENTRIES] {
        let first = nth * PAGE_ENTRIES;
        match &self.held {
            Held::Whole { entries, .. } => {
                let mut page = [Entry::UNKNOWN; PAGE_ENTRIES];
                let held = entries.get(first..).unwrap_or_default();
                let held = &held[..held.len().min(PAGE_ENTRIES)];
                page[..held.len()].copy_from_slice(held);
                page
            }
            Held::Shared { base, differences } => {
                let mut page = *base.page(nth);
                for difference in in_page(differences, nth) {
                    page[difference.index as usize - first] = difference.entry;
                }
                page
            }
        }
    }

    /// Whether page `nth` is known to be the same as that of `other`, without comparing it.
    pub(in crate::protocol) fn has_page(&self, nth: usize, other: &SharedView) -> bool {
        match &self.held {
            Held::Whole { .. } => false,
            Held::Shared { base, differences } => {
                in_page(differences, nth).is_empty() && base.shares_page(other, nth)
            }
        }
    }

    /// Replaces the entry at `index`, keeping the counts, the root and the directory's references.
    /// Carries the queued mark over, and drops that of what is untold.
    pub(in crate::protocol) fn set(&mut self, index: MemberIndex, new: Entry, directory: &mut Directory) {
        let old = self.get(index);
        self.known -= u32::from(old.state().is_some());
        self.known += u32::from(new.state().is_some());
        let named = Named::at_change(index, new, directory);
        let same = old.is_live() && new.is_live() && old.version() == new.version();
        let named_before = if same { named } else { Named::at_change(index, old, directory) };
        let (had, has) = (named_before.item(old), named.item(new));
        if let Some(had) = &had {
            self.live -= 1;
            self.root = self.root.wrapping_sub(had.term());
        }
        if let Some(has) = &has {
            self.live += 1;
            self.root = self.root.wrapping_add(has.term());
        }
        if let Held::Whole { digest, .. } = &mut self.held
            && let Some(summed) = digest
        {
            had.iter().for_each(|item| summed.digest.remove(item));
            has.iter().for_each(|item| summed.digest.add(item));
            summed.changes += 1;
            if summed.changes > self.len / SUMMED_ANEW_PARTS {
                *digest = None;
            }
        }
        if !new.is_unknown() {
            directory.retain(index, new.version());
        }
        if !old.is_unknown() {
            directory.release(index, old.version());
        }
        let new =
            if new.is_unknown() { new } else { new.with_version(directory.settle(index, new.version())) };
        let queued = if new.is_unknown() { 0 } else { old.0 & QUEUED };
        self.len = self.len.max(index + 1);
        self.put(index, Entry(new.0 & !(QUEUED | UNTOLD) | queued), Some(named));
        self.keep_room(directory.room());
    }

    /// Where the table holds all words, makes room for as many as the directory has room for: thousands of tables that grow step by
    /// step while thousands join would each be copied a dozen times.
    #[inline]
    fn keep_room(&mut self, room: usize) {
        if let Held::Whole { entries, .. } = &mut self.held
            && entries.capacity() < room
        {
            entries.reserve_exact(room - entries.len());
        }
    }

    /// Marks that what is believed of `index` was learned in another way than by a delegation, or that it has
    /// been told on since.
    pub(in crate::protocol) fn set_untold(&mut self, index: MemberIndex, untold: bool) {
        if index < self.len {
            let entry = self.get(index);
            self.put(index, Entry(if untold { entry.0 | UNTOLD } else { entry.0 & !UNTOLD }), None);
        }
    }

    /// Takes the marks of [`Table::set_untold`] from all entries, in time that follows the differences from the
    /// base.
    pub(in crate::protocol) fn clear_untold(&mut self) {
        match &mut self.held {
            Held::Whole { entries, tried, .. } => {
                entries.iter_mut().for_each(|entry| entry.0 &= !UNTOLD);
                // It may be near enough to the newest base now.
                *tried = 0;
            }
            Held::Shared { base, differences } => differences.retain_mut(|difference| {
                difference.entry.0 &= !UNTOLD;
                difference.other || difference.entry != base.get(difference.index)
            }),
        }
    }

    /// Takes the marks of [`Table::set_untold`] from all that are alive: everyone is told of them with the whole view.
    pub(in crate::protocol) fn clear_untold_alive(&mut self) {
        let told = |entry: Entry| if entry.is_alive() { Entry(entry.0 & !UNTOLD) } else { entry };
        match &mut self.held {
            Held::Whole { entries, .. } => entries.iter_mut().for_each(|entry| *entry = told(*entry)),
            Held::Shared { base, differences } => differences.retain_mut(|difference| {
                difference.entry = told(difference.entry);
                difference.other || difference.entry != base.get(difference.index)
            }),
        }
    }

    /// Marks that a broadcast about `index` is queued, or no longer.
    pub(in crate::protocol) fn set_queued(&mut self, index: MemberIndex, queued: bool) {
        if index < self.len {
            let entry = self.get(index);
            self.put(index, Entry(if queued { entry.0 | QUEUED } else { entry.0 & !QUEUED }), None);
        }
    }

    /// Stores a word about whoever is `named`; nothing if it is about the same as the one before.
    fn put(&mut self, index: MemberIndex, entry: Entry, named: Option<Named>) {
        match &mut self.held {
            Held::Whole { entries, .. } => {
                while entries.len() <= index as usize {
                    grow_for_one(entries);
                    entries.push(Entry::UNKNOWN);
                }
                entries[index as usize] = entry;
            }
            Held::Shared { base, differences } => {
                let found = find(differences, index);
                let other = match named {
                    Some(named) => entry.is_live() && base.named(index) != named,
                    None => found.is_ok_and(|at| differences[at].other),
                };
                let differs = other || base.get(index) != entry;
                match found {
                    Ok(at) if differs => differences[at] = Difference { index, other, entry },
                    Ok(at) => _ = differences.remove(at),
                    Err(at) if differs => differences.insert(at, Difference { index, other, entry }),
                    Err(_) => {}
                }
                if differences.len() > DIFFERENCES_LEAST + self.len as usize / 4 {
                    self.hold_whole();
                }
            }
        }
    }

    /// Leaves the base.
    #[cold]
    fn hold_whole(&mut self) {
        let pages = (self.len as usize).div_ceil(PAGE_ENTRIES);
        let mut entries = Vec::with_capacity(pages * PAGE_ENTRIES);
        (0..pages).for_each(|nth| entries.extend_from_slice(&self.page(nth)));
        entries.truncate(self.len as usize);
        let kept = self.take_differences();
        self.held = Held::Whole { entries, tried: 0, kept, digest: None };
    }

    /// The memory for differences, empty.
    fn take_differences(&mut self) -> Vec<Difference> {
        let (Held::Whole { kept: differences, .. } | Held::Shared { differences, .. }) = &mut self.held;
        let mut differences = std::mem::take(differences);
        differences.clear();
        differences
    }

    /// A random entry that is `eligible`, each with the same chance.
    pub(in crate::protocol) fn choose(
        &self,
        rng: &mut fastrand::Rng,
        eligible: impl Fn(MemberIndex, Entry) -> bool,
    ) -> Option<MemberIndex> {
        /// Draws before looking at every entry: with one entry in two eligible, one choice in 65,000
        /// gets that far.
        const DRAWS_MAX: usize = 16;
        if self.live == 0 {
            return None;
        }
        for _ in 0..DRAWS_MAX {
            let index = rng.u32(..self.len);
            if eligible(index, self.get(index)) {
                return Some(index);
            }
        }
        let mut chosen = None;
        let mut seen = 0;
        for (index, entry) in self.iter() {
            if eligible(index, entry) {
                seen += 1;
                if rng.u32(..seen) == 0 {
                    chosen = Some(index);
                }
            }
        }
        chosen
    }

    /// Takes over the view `view`, for which `base` was made, except what this table says of `own`: how a
    /// fleet starts with complete views. The directory's references for all of `view` have been counted.
    pub(in crate::protocol) fn load(
        &mut self,
        view: &Table,
        base: &Arc<SharedView>,
        own: MemberIndex,
        directory: &mut Directory,
    ) {
        debug_assert!(self.known <= 1, "loading is for fresh tables");
        let entry = self.get(own);
        let differences = self.take_differences();
        self.held = Held::Shared { base: Arc::clone(base), differences };
        (self.len, self.known, self.live, self.root) = (view.len, view.known, view.live, view.root);
        self.set(own, entry, directory);
        if !entry.is_unknown() {
            // It had this one before.
            directory.release(own, entry.version());
        }
    }

    /// What its live members sum to, in time that follows its differences from the base; for one that holds all words
    /// itself, in time that follows its length the first time, and after many changes.
    pub(in crate::protocol) fn digest(&mut self, directory: &Directory, into: &mut Digest) {
        let item = |index, entry| Named::of(index, entry, directory).item(entry);
        match &mut self.held {
            Held::Whole { digest: Some(summed), .. } => {
                into.clone_from(&summed.digest);
                summed.changes = 0;
            }
            Held::Whole { entries, digest, .. } => {
                *into = Digest::EMPTY;
                let items = (0..).zip(entries.iter()).filter_map(|(index, entry)| item(index, *entry));
                items.for_each(|item| into.add(&item));
                *digest = Some(Box::new(Summed { digest: into.clone(), changes: 0 }));
            }
            Held::Shared { base, differences } => {
                into.clone_from(base.digest());
                for Difference { index, entry, .. } in differences {
                    let (shared, own) = (base.named(*index).item(base.get(*index)), item(*index, *entry));
                    if shared != own {
                        shared.iter().for_each(|item| into.remove(item));
                        own.iter().for_each(|item| into.add(item));
                    }
                }
            }
        }
    }

    /// Forgets everything, giving the directory its references back.
    pub(in crate::protocol) fn clear(&mut self, directory: &mut Directory) {
        for (index, entry) in self.iter() {
            directory.release(index, entry.version());
        }
        let held = Held::Whole { entries: Vec::new(), tried: 0, kept: Vec::new(), digest: None };
        *self = Table { held, len: 0, known: 0, live: 0, root: 0 };
    }

    #[cfg(test)]
    pub(in crate::protocol) fn grow(&mut self, len: u32) {
        if len > self.len {
            let entry = self.get(len - 1);
            self.len = len;
            self.put(len - 1, entry, None);
        }
    }

    /// How many words of its own it holds.
    pub(in crate::protocol) fn differences(&self) -> usize {
        match &self.held {
            Held::Whole { entries, .. } => entries.len(),
            Held::Shared { differences, .. } => differences.len(),
        }
    }
}

#[inline]
fn find(differences: &[Difference], index: MemberIndex) -> Result<usize, usize> {
    differences.binary_search_by_key(&index, |difference| difference.index)
}

/// Those of page `nth`.
fn in_page(differences: &[Difference], nth: usize) -> &[Difference] {
    if differences.is_empty() {
        return differences;
    }
    let first = nth * PAGE_ENTRIES;
    let from = differences.partition_point(|difference| (difference.index as usize) < first);
    let rest = &differences[from..];
    let count = rest.partition_point(|difference| (difference.index as usize) < first + PAGE_ENTRIES);
    &rest[..count]
}
