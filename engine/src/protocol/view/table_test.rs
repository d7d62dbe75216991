//! Tables that share bases against plain ones that share nothing: nobody can tell them apart.

use std::net::SocketAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use proptest::prelude::*;
use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State, root_term};

use crate::protocol::view::directory::{Directory, MemberIndex, UNVERSIONED, Version};
use crate::protocol::view::entry::Entry;
use crate::protocol::view::shared_view::{NewBase, PAGE_ENTRIES, SharedViews};
use crate::protocol::view::sketch::{Digest, Item};
use crate::protocol::view::table::Table;

/// Subjects: two pages and some.
const SUBJECTS: u32 = 2 * PAGE_ENTRIES as u32 + 40;
/// Tables of each kind.
const TABLES: usize = 4;
/// Few enough places in the directory that it fills up, and gives places out again.
const MEMBERS_MAX: u32 = SUBJECTS - 8;

/// The plain kind: a hash map, and everything else worked out from it each time.
#[derive(Default)]
struct Plain {
    entries: HashMap<MemberIndex, Entry>,
    len: u32,
}

impl Plain {
    fn get(&self, index: MemberIndex) -> Entry {
        self.entries.get(&index).copied().unwrap_or(Entry::UNKNOWN)
    }

    fn all(&self) -> Vec<(MemberIndex, Entry)> {
        let known = (0..self.len).map(|index| (index, self.get(index)));
        known.filter(|(_, entry)| !entry.is_unknown()).collect()
    }

    fn set(&mut self, index: MemberIndex, entry: Entry, directory: &mut Directory) {
        let old = self.get(index);
        if !entry.is_unknown() {
            directory.retain(index, entry.version());
        }
        if !old.is_unknown() {
            directory.release(index, old.version());
        }
        let entry = match entry.is_unknown() {
            true => entry,
            false => entry.with_version(directory.settle(index, entry.version())),
        };
        self.len = self.len.max(index + 1);
        let entry = if old.is_queued() && !entry.is_unknown() { entry.queued() } else { entry };
        self.entries.insert(index, entry);
    }

    fn set_queued(&mut self, index: MemberIndex, queued: bool) {
        if index < self.len {
            let entry = self.get(index);
            self.entries.insert(index, if queued { entry.queued() } else { entry.unmarked() });
        }
    }

    fn clear(&mut self, directory: &mut Directory) {
        for (index, entry) in self.all() {
            directory.release(index, entry.version());
        }
        *self = Plain::default();
    }

    fn root(&self, directory: &Directory) -> u64 {
        let live = self.all().into_iter().filter(|(_, entry)| entry.is_live());
        let terms = live.map(|(index, entry)| {
            let identity = directory.identity(index, entry.version());
            root_term(directory.id(index), entry.incarnation(), identity.hash())
        });
        terms.fold(0, u64::wrapping_add)
    }

    fn digest(&self, directory: &Directory) -> Digest {
        let mut digest = Digest::EMPTY;
        for (index, entry) in self.all().into_iter().filter(|(_, entry)| entry.is_live()) {
            let identity_hash = directory.identity(index, entry.version()).hash();
            digest.add(&Item { id: directory.id(index), incarnation: entry.incarnation(), identity_hash });
        }
        digest
    }

    /// As [`Table::choose`] has to choose.
    fn choose(&self, rng: &mut fastrand::Rng, eligible: impl Fn(Entry) -> bool) -> Option<MemberIndex> {
        if !self.all().iter().any(|(_, entry)| entry.is_live()) {
            return None;
        }
        for _ in 0..16 {
            let index = rng.u32(..self.len);
            if eligible(self.get(index)) {
                return Some(index);
            }
        }
        let (mut chosen, mut seen) = (None, 0);
        for (index, _) in self.all().into_iter().filter(|(_, entry)| eligible(*entry)) {
            seen += 1;
            if rng.u32(..seen) == 0 {
                chosen = Some(index);
            }
        }
        chosen
    }
}

/// What may be done, to table `.0` mostly.
#[derive(Clone, Debug)]
enum Operation {
    /// Believe something of a subject, in one of a few incarnations and versions.
    Set(usize, u32, u8, u64, u8),
    /// Believe the same of some subjects in a row.
    SetMany(usize, u32, u32, u8, u64),
    Forget(usize, u32),
    Remember(usize, u32),
    Queue(usize, u32, bool),
    Clear(usize),
    /// The first table's view becomes that of the second, which starts anew as this subject.
    Load(usize, usize, u32),
    MakeBase(usize),
    Rebase(usize),
    Retire,
}

fn operation() -> impl Strategy<Value = Operation> {
    let table = 0..TABLES;
    let subject = 0..SUBJECTS;
    let state = 1_u8..=4;
    prop_oneof![
        8 => (table.clone(), subject.clone(), state.clone(), 0..3_u64, 0..3_u8)
            .prop_map(|(table, subject, state, inc, version)| Operation::Set(table, subject, state, inc, version)),
        2 => (table.clone(), subject.clone(), 1..SUBJECTS, state, 0..3_u64)
            .prop_map(|(table, from, count, state, inc)| Operation::SetMany(table, from, count, state, inc)),
        3 => (table.clone(), subject.clone()).prop_map(|(table, subject)| Operation::Forget(table, subject)),
        1 => (table.clone(), subject.clone()).prop_map(|(table, subject)| Operation::Remember(table, subject)),
        3 => (table.clone(), subject.clone(), any::<bool>())
            .prop_map(|(table, subject, queued)| Operation::Queue(table, subject, queued)),
        1 => table.clone().prop_map(Operation::Clear),
        1 => (table.clone(), table.clone(), subject).prop_map(|(view, to, own)| Operation::Load(view, to, own)),
        4 => table.clone().prop_map(Operation::MakeBase),
        8 => table.prop_map(Operation::Rebase),
        2 => Just(Operation::Retire),
    ]
}

/// Both kinds, side by side.
struct Both {
    bases: SharedViews,
    directory: Directory,
    tables: Vec<Table>,
    plain_directory: Directory,
    plain: Vec<Plain>,
}

impl Both {
    fn new() -> Both {
        let bases = SharedViews::new();
        Both {
            tables: (0..TABLES).map(|_| Table::new(&bases)).collect(),
            bases,
            directory: Directory::new(7),
            plain_directory: Directory::new(7),
            plain: (0..TABLES).map(|_| Plain::default()).collect(),
        }
    }

    /// The index and version of a subject with the metadata `[version]`, the same in both directories.
    fn intern(&mut self, subject: u32, version: u8) -> Option<(MemberIndex, Version)> {
        let name = format!("member-{subject}");
        let introduction = Introduction {
            subject: MemberId::of_name(&name),
            incarnation: Incarnation::new(1),
            state: State::Alive,
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            name: &name,
            metadata: &[version],
            zone: "",
        };
        let interned = self.directory.intern(&introduction, UNVERSIONED, MEMBERS_MAX);
        let plain = self.plain_directory.intern(&introduction, UNVERSIONED, MEMBERS_MAX);
        assert_eq!(interned, plain, "one directory has room where the other has none");
        interned.ok()
    }

    fn find(&self, subject: u32) -> Option<MemberIndex> {
        self.directory.find(MemberId::of_name(&format!("member-{subject}")))
    }

    fn set(&mut self, table: usize, index: MemberIndex, entry: Entry) {
        self.tables[table].set(index, entry, &mut self.directory);
        self.plain[table].set(index, entry, &mut self.plain_directory);
    }

    fn believe(&mut self, table: usize, subject: u32, state: u8, inc: u64, version: u8) {
        let Some(state) = State::from_u8(state) else { return };
        if let Some((index, version)) = self.intern(subject, version) {
            self.set(table, index, Entry::new(state, Incarnation::new(inc), version));
        }
    }

    fn clear(&mut self, table: usize) {
        self.tables[table].clear(&mut self.directory);
        self.plain[table].clear(&mut self.plain_directory);
    }

    fn load(&mut self, view: usize, to: usize, own: u32) {
        if view == to {
            return;
        }
        self.clear(to);
        self.tables[to] = Table::new(&self.bases);
        let Some((index, version)) = self.intern(own, 0) else { return };
        let entry = Entry::new(State::Alive, Incarnation::new(1), version);
        self.set(to, index, entry);

        let mut copied: Vec<_> = self.plain[view].all();
        copied.retain(|(at, _)| *at != index);
        for (at, entry) in copied {
            self.plain[to].set(at, entry.unmarked(), &mut self.plain_directory);
        }
        self.plain[to].len = self.plain[to].len.max(self.plain[view].len);

        // As a view is: without marks of a queue.
        let mut complete = Table::new(&self.bases);
        for (at, entry) in self.tables[view].iter() {
            complete.set(at, entry, &mut self.directory);
        }
        complete.grow(self.tables[view].len());
        let base = self.bases.adopt(&complete, &self.directory);
        for (at, entry) in complete.iter() {
            self.directory.retain_many(at, entry.version(), 1);
        }
        self.tables[to].load(&complete, &base, index, &mut self.directory);
        complete.clear(&mut self.directory);
    }

    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Set(table, subject, state, inc, version) => {
                self.believe(table, subject, state, inc, version);
            }
            Operation::SetMany(table, from, count, state, inc) => {
                for subject in from..(from + count).min(SUBJECTS) {
                    self.believe(table, subject, state, inc, 0);
                }
            }
            Operation::Forget(table, subject) => {
                let Some(index) = self.find(subject) else { return };
                self.tables[table].set_queued(index, false);
                self.plain[table].set_queued(index, false);
                self.set(table, index, Entry::UNKNOWN);
            }
            Operation::Remember(table, subject) => {
                let Some(index) = self.find(subject) else { return };
                let entry = self.tables[table].get(index);
                if !entry.is_unknown() {
                    self.set(table, index, entry.remembered());
                }
            }
            Operation::Queue(table, subject, queued) => {
                let Some(index) = self.find(subject) else { return };
                self.tables[table].set_queued(index, queued);
                self.plain[table].set_queued(index, queued);
            }
            Operation::Clear(table) => self.clear(table),
            Operation::Load(view, to, own) => self.load(view, to, own),
            Operation::MakeBase(table) => {
                let made = self.bases.advance(&self.tables[table], &self.directory);
                assert_ne!(made, NewBase::Deferred, "unused bases are taken back");
            }
            Operation::Rebase(table) => _ = self.tables[table].rebase(&mut self.bases, &self.directory),
            Operation::Retire => self.bases.retire(),
        }
    }

    /// Everything that can be asked of a table, of both.
    fn compare(&self, seed: u64) {
        for (table, plain) in self.tables.iter().zip(&self.plain) {
            let all = plain.all();
            assert_eq!(table.len(), plain.len);
            for index in 0..SUBJECTS + 2 * PAGE_ENTRIES as u32 {
                assert_eq!(table.get(index), plain.get(index), "at {index}");
            }
            assert_eq!(table.iter().collect::<Vec<_>>(), all);
            let known = all.iter().filter(|(_, entry)| entry.state().is_some()).count();
            let live = all.iter().filter(|(_, entry)| entry.is_live()).count();
            assert_eq!((table.known(), table.live()), (known, live));
            assert_eq!(table.root(), plain.root(&self.plain_directory));
            assert_eq!(table.root(), plain.root(&self.directory), "what it means still resolves");
            let (mut one, mut two) = (fastrand::Rng::with_seed(seed), fastrand::Rng::with_seed(seed));
            for eligible in [Entry::is_live, Entry::is_unknown, Entry::is_queued] {
                let chosen = table.choose(&mut one, |_, entry| eligible(entry));
                assert_eq!(chosen, plain.choose(&mut two, eligible));
            }
            assert_eq!(one.u64(..), two.u64(..), "as many random numbers were drawn");
        }
        assert_eq!(self.directory.references(), self.plain_directory.references());
    }

    /// What table `nth` sums to: worked out from the base, kept since it was first asked for, or new.
    fn compare_digests(&mut self, nth: usize) {
        let mut digest = Digest::EMPTY;
        self.tables[nth].digest(&self.directory, &mut digest);
        assert!(digest == self.plain[nth].digest(&self.plain_directory), "the digest of table {nth}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tables_that_share_bases_are_as_plain_ones(
        operations in prop::collection::vec(operation(), 1..120),
        seed in any::<u64>(),
    ) {
        let mut both = Both::new();
        for (nth, operation) in operations.iter().enumerate() {
            both.apply(operation);
            both.compare(seed ^ nth as u64);
            both.compare_digests(nth % TABLES);
        }
        for table in 0..TABLES {
            both.clear(table);
        }
        both.compare(seed);
        for _ in 0..operations.len() {
            both.bases.retire();
        }
        prop_assert_eq!(both.bases.len(), 1, "only the newest is left");
        let (members, identities) = both.directory.references();
        prop_assert!(members.iter().all(|count| *count == 0) && identities.iter().all(|count| *count == 0));
    }
}

/// A directory and a table in which `count` members are alive.
fn alive(count: u32, bases: &SharedViews) -> (Directory, Table) {
    let mut both = Both::new();
    let mut table = Table::new(bases);
    for subject in 0..count {
        let name = format!("member-{subject}");
        let introduction = Introduction {
            subject: MemberId::of_name(&name),
            incarnation: Incarnation::new(1),
            state: State::Alive,
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            name: &name,
            metadata: &[],
            zone: "",
        };
        let (index, version) = both.directory.intern(&introduction, UNVERSIONED, count).unwrap();
        table.set(index, Entry::new(State::Alive, Incarnation::new(1), version), &mut both.directory);
    }
    (both.directory, table)
}

#[test]
fn who_agrees_holds_nothing() {
    let mut bases = SharedViews::new();
    let (mut directory, mut table) = alive(1_000, &bases);
    assert_eq!(table.differences(), 1_000, "on its own it holds everything");
    assert_eq!(bases.advance(&table, &directory), NewBase::Made);
    assert_eq!(bases.advance(&table, &directory), NewBase::Same);
    assert!(table.rebase(&mut bases, &directory).0);
    assert_eq!(table.differences(), 0);

    let mut other = table.clone();
    for index in 0..20 {
        let dead = other.get(index).with_state(State::Dead);
        other.set(index, dead, &mut directory);
    }
    let suspect = other.get(500).with_state(State::Suspect);
    other.set(500, suspect, &mut directory);
    other.set_queued(501, true);
    assert_eq!(other.differences(), 22);
    assert_eq!(bases.advance(&other, &directory), NewBase::Made);
    assert!(other.rebase(&mut bases, &directory).0);
    assert_eq!(other.differences(), 2, "suspicions and marks of the queue are its own");
    assert!(table.rebase(&mut bases, &directory).0);
    assert_eq!(table.differences(), 20, "and so is what it has not heard of");
    for index in 0..20 {
        let dead = table.get(index).with_state(State::Dead);
        table.set(index, dead, &mut directory);
    }
    assert_eq!(table.differences(), 0);
}

#[test]
fn the_view_that_a_fleet_starts_with_leaves_what_was_set_aside_to_later_ones() {
    let mut bases = SharedViews::new();
    let members = 40 * PAGE_ENTRIES as u32;
    bases.reserve(members as usize, 8);
    let aside = bases.spare_pages();
    let (mut directory, table) = alive(members, &bases);
    let base = bases.adopt(&table, &directory);
    assert_eq!((base.pages(), bases.spare_pages()), (40, aside));
    let mut moved = table.clone();
    moved.set(300, table.get(300).with_state(State::Dead), &mut directory);
    assert_eq!(bases.advance(&moved, &directory), NewBase::Made);
    assert_eq!(bases.spare_pages(), aside - 1, "the one page that changed was there already");
}

#[test]
fn a_base_that_nobody_uses_is_taken_back() {
    let mut bases = SharedViews::new();
    let (mut directory, mut table) = alive(300, &bases);
    for round in 0..200_u64 {
        let entry = table.get(7).with_incarnation(Incarnation::new(2 + round));
        table.set(7, entry, &mut directory);
        assert_eq!(bases.advance(&table, &directory), NewBase::Made);
        table.rebase(&mut bases, &directory);
        assert!(bases.len() <= 3, "{} bases in use", bases.len());
    }
    // One table for each base: then there is room for no more.
    let mut kept = Vec::new();
    let refused = (0..1_000_u64).position(|round| {
        let entry = table.get(7).with_incarnation(Incarnation::new(1_000 + round));
        table.set(7, entry, &mut directory);
        let made = bases.advance(&table, &directory);
        table.rebase(&mut bases, &directory);
        kept.push(table.clone());
        made == NewBase::Deferred
    });
    assert!(refused.is_some_and(|round| round < 100));
    for table in &mut kept {
        table.rebase(&mut bases, &directory);
    }
    let entry = table.get(7).with_incarnation(Incarnation::new(5_000));
    table.set(7, entry, &mut directory);
    assert_eq!(bases.advance(&table, &directory), NewBase::Made);
    assert!(Arc::strong_count(bases.newest()) == 1);
}
