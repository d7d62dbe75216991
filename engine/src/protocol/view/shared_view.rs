//! Bases: what the views of many members have in common, stored once.
//!
//! Members of one worker that have lived together for a while believe nearly the same of everybody. A *base*
//! is such a view, immutable and shared; a member's [`Table`] holds only where it differs. Bases are pages of
//! entries, and a newer base shares the pages in which nothing changed with the one before, so that making
//! one copies little and comparing two looks at little.
//!
//! A base is a matter of representation alone. It holds no references to the directory: every table counts
//! what it means itself, whichever base it stands on, so that indexes and versions are given back and given
//! out again exactly as if every table were private. What a base says of a member of whom no table on it
//! means that any more is never read. It remembers of whom it speaks, though: what its entries sum to
//! ([`Digest`]) stays what it was, and a table takes out of it where it differs.

use std::sync::Arc;

use swimring_codec::MemberId;

use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::view::entry::Entry;
use crate::protocol::view::sketch::{Digest, Item};
use crate::protocol::view::table::{Difference, Table};

/// Entries of a page: three kilobytes. Smaller pages copy less when something changes, and cost more to point at.
pub(in crate::protocol) const PAGE_ENTRIES: usize = 128;

/// Most pages that one new base copies; what changed elsewhere stays a difference until the next. 262,144
/// entries, copied in less than half a millisecond.
const PAGES_CHANGED_MAX: usize = 2_048;

/// Most bases in use at a time. Members are brought to the newest one by one, so there are rarely more than
/// three; without the bound, one that is never brought along would let them add up.
const BASES_MAX: usize = 64;

/// Pages and bases that are no longer in use and kept for the next new ones, so that a fleet does not
/// allocate for them.
const SPARE_PAGES_MAX: usize = 256;
const SPARE_BASES_MAX: usize = 4;

/// Changes between two bases for which memory is set aside in a fleet.
const CHANGES_RESERVED: usize = 1_024;

/// Whom an entry spoke of when it was written: the id, and the hash of the identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Named {
    id: MemberId,
    identity_hash: u64,
}

impl Named {
    /// Nobody who is live.
    const NOBODY: Named = Named { id: MemberId::NONE, identity_hash: 0 };

    /// Whom `entry` at `index` speaks of, if it is live.
    #[inline]
    pub(in crate::protocol) fn of(index: MemberIndex, entry: Entry, directory: &Directory) -> Named {
        if !entry.is_live() {
            return Named::NOBODY;
        }
        Named { id: directory.id(index), identity_hash: directory.hash_of(index, entry.version()) }
    }

    /// The same where something changes.
    #[inline]
    pub(in crate::protocol) fn at_change(
        index: MemberIndex,
        entry: Entry,
        directory: &mut Directory,
    ) -> Named {
        if !entry.is_live() {
            return Named::NOBODY;
        }
        Named { id: directory.id(index), identity_hash: directory.identity_hash(index, entry.version()) }
    }

    /// What a view has that holds `entry` of it; nothing unless that is live.
    #[inline]
    pub(in crate::protocol) fn item(self, entry: Entry) -> Option<Item> {
        let Named { id, identity_hash } = self;
        entry.is_live().then(|| Item { id, incarnation: entry.incarnation(), identity_hash })
    }
}

/// Part of a base.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Page {
    entries: [Entry; PAGE_ENTRIES],
    named: [Named; PAGE_ENTRIES],
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<Page>() <= 3_072);

impl Page {
    const UNKNOWN: Page =
        Page { entries: [Entry::UNKNOWN; PAGE_ENTRIES], named: [Named::NOBODY; PAGE_ENTRIES] };

    fn item(&self, at: usize) -> Option<Item> {
        self.named[at].item(self.entries[at])
    }
}

static UNKNOWN_PAGE: Page = Page::UNKNOWN;

/// A view that tables share. See the module.
#[derive(Debug)]
pub(in crate::protocol) struct SharedView {
    /// Tells it from all others of the same worker.
    number: u64,
    pages: Vec<Arc<Page>>,
    /// Entries that are not unknown.
    known: usize,
    /// What its entries sum to.
    digest: Digest,
}

impl SharedView {
    fn new(number: u64, pages: Vec<Arc<Page>>) -> SharedView {
        SharedView { number, pages, known: 0, digest: Digest::EMPTY }
    }

    /// What it says at `index`.
    #[inline]
    pub(in crate::protocol) fn get(&self, index: MemberIndex) -> Entry {
        match self.pages.get(index as usize / PAGE_ENTRIES) {
            Some(page) => page.entries[index as usize % PAGE_ENTRIES],
            None => Entry::UNKNOWN,
        }
    }

    /// Whom it speaks of at `index`, if it holds that one live.
    pub(in crate::protocol) fn named(&self, index: MemberIndex) -> Named {
        match self.pages.get(index as usize / PAGE_ENTRIES) {
            Some(page) => page.named[index as usize % PAGE_ENTRIES],
            None => Named::NOBODY,
        }
    }

    /// What its entries sum to.
    pub(in crate::protocol) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The entries of the page `nth`.
    pub(in crate::protocol) fn page(&self, nth: usize) -> &[Entry; PAGE_ENTRIES] {
        &self.pages.get(nth).map_or(&UNKNOWN_PAGE, |page| page).entries
    }

    /// Entries that are not unknown.
    pub(in crate::protocol) fn known(&self) -> usize {
        self.known
    }

    /// How many pages it has.
    pub(in crate::protocol) fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Tells it from all others of the same worker.
    pub(in crate::protocol) fn number(&self) -> u64 {
        self.number
    }

    /// Whether both have the very same page in place `nth`.
    pub(in crate::protocol) fn shares_page(&self, other: &SharedView, nth: usize) -> bool {
        match (self.pages.get(nth), other.pages.get(nth)) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (None, None) => true,
            _ => false,
        }
    }
}

/// Where two bases differ.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Change {
    pub(in crate::protocol) index: MemberIndex,
    /// What the older says.
    pub(in crate::protocol) from: Entry,
    /// What the newer says.
    pub(in crate::protocol) to: Entry,
}

/// What became of a wish for a new base.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum NewBase {
    /// It is the newest now.
    Made,
    /// It would have been the same as the newest.
    Same,
    /// Too many are in use.
    Deferred,
}

/// The bases of one worker.
#[derive(Debug)]
pub(in crate::protocol) struct SharedViews {
    empty: Arc<SharedView>,
    /// A page of nobody, for places that a base has no page of its own for.
    unknown: Arc<Page>,
    newest: Arc<SharedView>,
    /// Those before it that may still be in use.
    older: Vec<Arc<SharedView>>,
    made: u64,
    /// Changes from the base with the first number to that with the second: members that move mostly come
    /// from the same.
    changes: Vec<Change>,
    changes_between: (u64, u64),
    spare_pages: Vec<Arc<Page>>,
    spare_bases: Vec<Arc<SharedView>>,
    /// Where a moving table gathers its differences.
    pub(in crate::protocol) gathered: Vec<Difference>,
    /// Differences for which each table sets memory aside.
    pub(in crate::protocol) differences_reserved: usize,
}

impl SharedViews {
    pub(in crate::protocol) fn new() -> SharedViews {
        let empty = Arc::new(SharedView::new(0, Vec::new()));
        SharedViews {
            newest: Arc::clone(&empty),
            empty,
            unknown: Arc::new(Page::UNKNOWN),
            older: Vec::new(),
            made: 0,
            changes: Vec::new(),
            changes_between: (0, 0),
            spare_pages: Vec::new(),
            spare_bases: Vec::new(),
            gathered: Vec::new(),
            differences_reserved: 0,
        }
    }

    /// Sets memory aside for bases of `known` members, and for `each` differences of each table made from
    /// now on.
    pub(in crate::protocol) fn reserve(&mut self, known: usize, each: usize) {
        let pages = known.div_ceil(PAGE_ENTRIES);
        self.differences_reserved = each;
        self.older.reserve(BASES_MAX);
        self.changes.reserve(CHANGES_RESERVED);
        self.gathered.reserve(CHANGES_RESERVED.max(known / 4));
        self.spare_pages.reserve(SPARE_PAGES_MAX);
        self.spare_bases.reserve(SPARE_BASES_MAX);
        while self.spare_pages.len() < (2 * pages).min(SPARE_PAGES_MAX) {
            self.spare_pages.push(Arc::new(Page::UNKNOWN));
        }
        while self.spare_bases.len() < SPARE_BASES_MAX {
            self.spare_bases.push(Arc::new(SharedView::new(0, Vec::with_capacity(pages))));
        }
    }

    /// The base in which nobody is known.
    pub(in crate::protocol) fn empty(&self) -> Arc<SharedView> {
        Arc::clone(&self.empty)
    }

    /// The base that members move to.
    pub(in crate::protocol) fn newest(&self) -> &Arc<SharedView> {
        &self.newest
    }

    /// Bases that may be in use, the newest among them.
    pub(in crate::protocol) fn len(&self) -> usize {
        self.older.len() + 1
    }

    /// Makes all that `table` says the newest base, whatever it takes: for views that a fleet starts with. What was set
    /// aside is left for later ones, which need few new pages.
    pub(in crate::protocol) fn adopt(&mut self, table: &Table, directory: &Directory) -> Arc<SharedView> {
        let aside = std::mem::take(&mut self.spare_pages);
        self.make(table, directory, usize::MAX, |entry| Some(entry.unmarked()));
        self.spare_pages = aside;
        Arc::clone(&self.newest)
    }

    /// Makes a base of what `table` says, except for what will not last: suspicions, and marks of its queue.
    pub(in crate::protocol) fn advance(&mut self, table: &Table, directory: &Directory) -> NewBase {
        self.retire();
        if self.len() >= BASES_MAX {
            return NewBase::Deferred;
        }
        let lasting = |entry: Entry| (!entry.is_suspect()).then(|| entry.unmarked());
        if self.make(table, directory, PAGES_CHANGED_MAX, lasting) { NewBase::Made } else { NewBase::Same }
    }

    /// Makes a base that says what `word` makes of the table's entries, and what the newest says where it makes nothing
    /// of one. True if anything changed.
    fn make(
        &mut self,
        table: &Table,
        directory: &Directory,
        changed_max: usize,
        word: impl Fn(Entry) -> Option<Entry>,
    ) -> bool {
        let mut made = self.spare_bases.pop().unwrap_or_else(|| self.fresh());
        let Some(base) = Arc::get_mut(&mut made) else { return false };
        let mut changed = 0;
        base.known = self.newest.known;
        base.digest.clone_from(&self.newest.digest);
        let count = (table.len() as usize).div_ceil(PAGE_ENTRIES).max(self.newest.pages.len());
        for nth in 0..count {
            let old = self.newest.pages.get(nth).unwrap_or(&self.unknown);
            if changed >= changed_max || table.has_page(nth, &self.newest) {
                base.pages.push(Arc::clone(old));
                continue;
            }
            let page = page_of(table, nth, old, directory, &word);
            if **old == page {
                base.pages.push(Arc::clone(old));
            } else {
                changed += 1;
                base.known = base.known + known(&page.entries) - known(&old.entries);
                note_changes(&mut base.digest, old, &page);
                base.pages.push(store(page, &mut self.spare_pages));
            }
        }
        if changed == 0 {
            base.pages.clear();
            self.keep(made);
            return false;
        }
        self.made += 1;
        base.number = self.made;
        let before = std::mem::replace(&mut self.newest, made);
        if before.number != self.empty.number {
            self.older.push(before);
        }
        true
    }

    /// Pages that are set aside.
    #[cfg(test)]
    pub(super) fn spare_pages(&self) -> usize {
        self.spare_pages.len()
    }

    fn fresh(&self) -> Arc<SharedView> {
        Arc::new(SharedView::new(0, Vec::with_capacity(self.newest.pages.len() + 1)))
    }

    fn keep(&mut self, base: Arc<SharedView>) {
        if self.spare_bases.len() < SPARE_BASES_MAX {
            self.spare_bases.push(base);
        }
    }

    /// Takes back the oldest base that nobody uses any more, if there is one.
    pub(in crate::protocol) fn retire(&mut self) {
        let unused = |base: &Arc<SharedView>| Arc::strong_count(base) == 1;
        let Some(at) = self.older.iter().position(unused) else { return };
        let mut retired = self.older.remove(at);
        if let Some(base) = Arc::get_mut(&mut retired) {
            for mut page in base.pages.drain(..) {
                if self.spare_pages.len() < SPARE_PAGES_MAX && Arc::get_mut(&mut page).is_some() {
                    self.spare_pages.push(page);
                }
            }
            self.keep(retired);
        }
    }

    /// Works out what changed from `from` to the newest base. Gives how many entries that took a look at.
    pub(in crate::protocol) fn find_changes(&mut self, from: &SharedView) -> usize {
        let between = (from.number, self.newest.number);
        if self.changes_between == between {
            return 0;
        }
        self.changes_between = between;
        self.changes.clear();
        let to = &self.newest;
        let count = from.pages.len().max(to.pages.len());
        let mut looked = count;
        for nth in (0..count).filter(|nth| !from.shares_page(to, *nth)) {
            let entries = from.page(nth).iter().zip(to.page(nth)).enumerate();
            let changes = entries.filter(|(_, (from, to))| from != to).map(|(at, (from, to))| Change {
                index: (nth * PAGE_ENTRIES + at) as MemberIndex,
                from: *from,
                to: *to,
            });
            self.changes.extend(changes);
            looked += PAGE_ENTRIES;
        }
        looked
    }

    /// What [`SharedViews::find_changes`] found last, in order, and where to gather differences.
    pub(in crate::protocol) fn changes(&mut self) -> (&[Change], &mut Vec<Difference>) {
        (&self.changes, &mut self.gathered)
    }
}

fn known(entries: &[Entry; PAGE_ENTRIES]) -> usize {
    entries.iter().filter(|entry| !entry.is_unknown()).count()
}

/// The page `nth` of `table`, where `word` makes something of its entries, and `old` elsewhere.
fn page_of(
    table: &Table,
    nth: usize,
    old: &Page,
    directory: &Directory,
    word: &impl Fn(Entry) -> Option<Entry>,
) -> Page {
    let first = (nth * PAGE_ENTRIES) as MemberIndex;
    let mut page = Page { entries: table.page(nth), named: old.named };
    for (at, index) in (first..).take(PAGE_ENTRIES).enumerate() {
        match word(page.entries[at]) {
            Some(entry) => {
                page.entries[at] = entry;
                page.named[at] = Named::of(index, entry, directory);
            }
            None => page.entries[at] = old.entries[at],
        }
    }
    page
}

/// Brings what a view sums to from one page to the next.
fn note_changes(digest: &mut Digest, old: &Page, new: &Page) {
    for at in 0..PAGE_ENTRIES {
        let (old, new) = (old.item(at), new.item(at));
        if old != new {
            old.iter().for_each(|item| digest.remove(item));
            new.iter().for_each(|item| digest.add(item));
        }
    }
}

fn store(page: Page, spare: &mut Vec<Arc<Page>>) -> Arc<Page> {
    if let Some(mut kept) = spare.pop()
        && let Some(free) = Arc::get_mut(&mut kept)
    {
        *free = page;
        return kept;
    }
    Arc::new(page)
}
