//! A member's view of all members: eight bytes each.
//!
//! An entry packs an incarnation, a state and the version of the identity into one word, at the
//! member's directory index. The table keeps what is asked for all the time up to date at each change: how
//! many are known and live, and the *state root*, a sum of one hash per live member, so that two views can
//! be compared by one number. How entries are represented is this file's secret.

use swimring_codec::{Incarnation, State, root_term};

use super::directory::{Directory, MemberIndex, Version};

/// What a table holds about one member.
///
/// Bits 0..3 state, 3..7 identity version, 7 a broadcast is queued, 16..64 incarnation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry(u64);

const STATE_MASK: u64 = 0b111;
const VERSION_SHIFT: u32 = 3;
const VERSION_MASK: u64 = 0b1111 << VERSION_SHIFT;
const QUEUED: u64 = 1 << 7;
const INCARNATION_SHIFT: u32 = 16;

/// [`State`], and two for members that are not part of the view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Nothing is known.
    Unknown,
    /// Part of the view.
    Known(State),
    /// Was dead and is no longer part of the view; its address is kept to find it again.
    Remembered,
}

const REMEMBERED: u64 = 5;

impl Entry {
    pub(super) const UNKNOWN: Entry = Entry(0);

    pub(super) fn new(state: State, incarnation: Incarnation, version: Version) -> Entry {
        Entry(state as u64 | u64::from(version) << VERSION_SHIFT | incarnation.get() << INCARNATION_SHIFT)
    }

    #[inline]
    pub(super) fn standing(self) -> Standing {
        match self.0 & STATE_MASK {
            0 => Standing::Unknown,
            REMEMBERED => Standing::Remembered,
            state => match State::from_u8(state as u8) {
                Some(state) => Standing::Known(state),
                None => Standing::Unknown,
            },
        }
    }

    #[inline]
    pub(super) fn state(self) -> Option<State> {
        match self.standing() {
            Standing::Known(state) => Some(state),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn is_unknown(self) -> bool {
        self.0 & STATE_MASK == 0
    }

    /// Alive or suspect.
    #[inline]
    pub(super) fn is_live(self) -> bool {
        matches!(self.0 & STATE_MASK, 1 | 2)
    }

    #[inline]
    pub(super) fn is_alive(self) -> bool {
        self.0 & STATE_MASK == State::Alive as u64
    }

    #[inline]
    pub(super) fn incarnation(self) -> Incarnation {
        Incarnation::new(self.0 >> INCARNATION_SHIFT)
    }

    #[inline]
    pub(super) fn version(self) -> Version {
        ((self.0 & VERSION_MASK) >> VERSION_SHIFT) as Version
    }

    /// Whether the member's queue holds a broadcast about this one.
    pub(super) fn is_queued(self) -> bool {
        self.0 & QUEUED != 0
    }

    pub(super) fn with_state(self, state: State) -> Entry {
        Entry(self.0 & !STATE_MASK | state as u64)
    }

    pub(super) fn remembered(self) -> Entry {
        Entry(self.0 & !STATE_MASK | REMEMBERED)
    }

    pub(super) fn with_incarnation(self, incarnation: Incarnation) -> Entry {
        let low = self.0 & ((1 << INCARNATION_SHIFT) - 1);
        Entry(low | incarnation.get() << INCARNATION_SHIFT)
    }

    pub(super) fn with_version(self, version: Version) -> Entry {
        Entry(self.0 & !VERSION_MASK | u64::from(version) << VERSION_SHIFT)
    }
}

/// All entries of one member. See the module.
#[derive(Clone, Debug)]
pub(super) struct Table {
    entries: Vec<Entry>,
    known: u32,
    live: u32,
    root: u64,
}

impl Table {
    pub(super) const fn new() -> Table {
        Table { entries: Vec::new(), known: 0, live: 0, root: 0 }
    }

    /// Makes room for the indexes below `members`.
    pub(super) fn reserve(&mut self, members: usize) {
        self.entries.reserve_exact(members.saturating_sub(self.entries.len()));
    }

    /// One more than the largest index with an entry.
    pub(super) fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Members that are part of the view, the dead and left that have not been reaped among them.
    pub(super) fn known(&self) -> usize {
        self.known as usize
    }

    /// Alive and suspect members.
    pub(super) fn live(&self) -> usize {
        self.live as usize
    }

    /// The state root.
    pub(super) fn root(&self) -> u64 {
        self.root
    }

    #[inline]
    pub(super) fn get(&self, index: MemberIndex) -> Entry {
        self.entries.get(index as usize).copied().unwrap_or(Entry::UNKNOWN)
    }

    /// Every entry that is not unknown.
    pub(super) fn iter(&self) -> impl Iterator<Item = (MemberIndex, Entry)> + '_ {
        let entries = self.entries.iter().enumerate();
        entries.filter(|(_, entry)| !entry.is_unknown()).map(|(index, entry)| (index as MemberIndex, *entry))
    }

    /// Replaces the entry at `index`, keeping the counts, the root and the directory's references.
    /// Carries the queued mark over.
    pub(super) fn set(&mut self, index: MemberIndex, new: Entry, directory: &mut Directory) {
        if index as usize >= self.entries.len() {
            self.entries.resize(index as usize + 1, Entry::UNKNOWN);
        }
        let old = self.entries[index as usize];
        self.known -= u32::from(old.state().is_some());
        self.known += u32::from(new.state().is_some());
        if old.is_live() {
            self.live -= 1;
            self.root = self.root.wrapping_sub(term(index, old, directory));
        }
        if new.is_live() {
            self.live += 1;
            self.root = self.root.wrapping_add(term(index, new, directory));
        }
        if !new.is_unknown() {
            directory.retain(index, new.version());
        }
        if !old.is_unknown() {
            directory.release(index, old.version());
        }
        let queued = if new.is_unknown() { 0 } else { old.0 & QUEUED };
        self.entries[index as usize] = Entry(new.0 & !QUEUED | queued);
    }

    /// Marks that a broadcast about `index` is queued, or no longer.
    pub(super) fn set_queued(&mut self, index: MemberIndex, queued: bool) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.0 = if queued { entry.0 | QUEUED } else { entry.0 & !QUEUED };
        }
    }

    /// A random entry that is `eligible`, each with the same chance.
    pub(super) fn choose(
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
            let index = rng.u32(..self.len());
            if eligible(index, self.entries[index as usize]) {
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

    /// Adds what `entries` says of members of which nothing is known here: how a fleet starts with
    /// complete views.
    pub(super) fn load(&mut self, entries: &Table, except: MemberIndex, directory: &mut Directory) {
        debug_assert!(self.known <= 1, "loading is for fresh tables");
        let own = self.get(except);
        self.entries.clear();
        self.entries.extend_from_slice(&entries.entries);
        for (index, entry) in entries.iter() {
            if index != except {
                directory.retain(index, entry.version());
            }
        }
        let template = entries.get(except);
        self.known = entries.known;
        self.live = entries.live;
        self.root = entries.root;
        if template.is_unknown() {
            self.entries[except as usize] = Entry::UNKNOWN;
        } else {
            // The own entry keeps the reference it had.
            self.entries[except as usize] = own;
            debug_assert!(own == template, "the template says what the member says of itself");
        }
    }
}

fn term(index: MemberIndex, entry: Entry, directory: &Directory) -> u64 {
    let identity = directory.identity(index, entry.version());
    root_term(directory.id(index), entry.incarnation(), identity.hash())
}

impl Table {
    /// Forgets everything, giving the directory its references back.
    pub(super) fn clear(&mut self, directory: &mut Directory) {
        for (index, entry) in self.iter() {
            directory.release(index, entry.version());
        }
        *self = Table::new();
    }
}
