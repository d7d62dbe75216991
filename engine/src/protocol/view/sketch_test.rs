//! Sketches against the plain difference of two sets.

use std::collections::BTreeSet;

use proptest::prelude::*;
use swimring_codec::native::{SketchCell, item_contents, item_hash};
use swimring_codec::{Incarnation, MemberId};

use crate::protocol::view::sketch::{CELLS, Differing, Digest, Item, ReadItem, Sketch};

fn item(id: u64, incarnation: u64, identity_hash: u64) -> Item {
    Item { id: MemberId(id), incarnation: Incarnation::new(incarnation), identity_hash }
}

/// Ids are hashes.
fn member(number: u64) -> Item {
    item(MemberId::of_name(&format!("member-{number}")).0, 1_700_000_000 + number % 3, number * 7)
}

fn sketch_of(items: &[Item]) -> Sketch {
    let mut digest = Digest::EMPTY;
    items.iter().for_each(|item| digest.add(item));
    digest.sketch
}

fn cells_of(sketch: &Sketch, count: usize) -> Vec<SketchCell> {
    let mut cells = Vec::new();
    sketch.write(count, &mut cells);
    cells
}

/// What `ours` has and `theirs` has not, and the other way round, as far as `count` cells tell.
fn read(ours: &[Item], theirs: &[Item], count: usize) -> Option<[Vec<(u64, u64)>; 2]> {
    let (mut difference, mut differing) = (sketch_of(ours), Differing::new());
    let used = difference.subtract(&cells_of(&sketch_of(theirs), count));
    assert_eq!(used, count);
    let told = |items: &[ReadItem]| {
        let mut items: Vec<_> = items.iter().map(|item| (item.id.0, item.incarnation().get())).collect();
        items.sort_unstable();
        items
    };
    difference.read(used, &mut differing).then(|| [told(&differing.ours), told(&differing.theirs)])
}

/// The same, worked out plainly.
fn difference(ours: &[Item], theirs: &[Item]) -> [Vec<(u64, u64)>; 2] {
    let set = |items: &[Item]| -> BTreeSet<(u64, u64)> {
        items.iter().map(|item| (item.id.0, item.incarnation.get())).collect()
    };
    let (ours, theirs) = (set(ours), set(theirs));
    [ours.difference(&theirs).copied().collect(), theirs.difference(&ours).copied().collect()]
}

proptest! {
    /// What can be read is exactly what differs, whatever is the same.
    #[test]
    fn what_is_read_is_what_differs(
        same in 0..300_u64,
        ours in 0..30_u64,
        theirs in 0..30_u64,
        changed in 0..10_u64,
        count in 1..=CELLS,
    ) {
        let shared = || (0..same).map(member);
        let own = (10_000..10_000 + ours).map(member).chain((30_000..30_000 + changed).map(member));
        let older = |number| Item { incarnation: Incarnation::new(5), ..member(number) };
        let other = (20_000..20_000 + theirs).map(member).chain((30_000..30_000 + changed).map(older));
        let (own, other): (Vec<_>, Vec<_>) = (shared().chain(own).collect(), shared().chain(other).collect());
        let read = read(&own, &other, count);
        if let Some(read) = &read {
            prop_assert_eq!(read, &difference(&own, &other));
        }
        // A cell tells of one item at most.
        prop_assert!(read.is_none() || ours + theirs + 2 * changed <= count as u64);
    }

    /// Added and removed in any order, it is what the set is that is left.
    #[test]
    fn a_digest_follows_its_set(operations in prop::collection::vec((0..40_u64, any::<bool>()), 0..200)) {
        let (mut digest, mut kept) = (Digest::EMPTY, BTreeSet::new());
        for (number, add) in operations {
            if add && kept.insert(number) {
                digest.add(&member(number));
            } else if !add && kept.remove(&number) {
                digest.remove(&member(number));
            }
        }
        let mut twin = Digest::EMPTY;
        kept.iter().for_each(|number| twin.add(&member(*number)));
        prop_assert_eq!(&digest, &twin);
        let root = kept.iter().map(|number| member(*number).term()).fold(0, u64::wrapping_add);
        prop_assert_eq!(digest.sums.iter().copied().fold(0, u64::wrapping_add), root);
    }

    /// Cells that somebody made up are read to an end, and no more than there can be.
    #[test]
    fn made_up_cells_are_read_to_an_end(
        cells in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u16>(), 0..3_u16), 1..=CELLS),
        single in 0..CELLS,
    ) {
        let made_up = cells.iter().enumerate().map(|(nth, &(ids, contents, checksum, count))| {
            // Some that look like a single item.
            let checksum = if nth % 2 == single % 2 { item_hash(MemberId(ids), contents) as u16 } else { checksum };
            SketchCell::new(ids, contents, checksum, count.wrapping_sub(1))
        });
        let made_up: Vec<_> = made_up.collect();
        let (mut sketch, mut differing) = (sketch_of(&[member(1), member(2)]), Differing::new());
        let used = sketch.subtract(&made_up);
        sketch.read(used, &mut differing);
        prop_assert!(differing.ours.len() <= CELLS && differing.theirs.len() <= CELLS);
        sketch.estimate(used);
    }
}

/// The cells of an item as the specification has them: by whole numbers without bounds.
#[test]
fn an_item_is_in_the_cells_that_the_specification_says() {
    for number in 0..2_000 {
        let item = member(number);
        let hash = item_hash(item.id, item_contents(item.incarnation, item.identity_hash));
        let (mut state, mut at, mut expected) = (u128::from(hash | 1), 0_u128, vec![]);
        while at < CELLS as u128 {
            expected.push(at as usize);
            state = state * 0xda94_2042_e4dd_58b5 % (1 << 64);
            let chance = state / (1 << 32) + 1;
            let weight = (at + 1) * (at + 2) * (1 << 32);
            at = (at + 1..).find(|next| (next + 1) * (next + 2) * chance >= weight).unwrap();
        }
        let cells = cells_of(&sketch_of(&[item]), CELLS);
        let held: Vec<_> = (0..CELLS).filter(|nth| cells[*nth].count() == 1).collect();
        assert_eq!(held, expected);
        assert_eq!(cells.iter().filter(|cell| cell.count() == 0).count(), CELLS - expected.len());
    }
}

/// How many of a hundred pairs of views that differ in `count` items can be read.
fn readable(count: u64) -> usize {
    let pairs = (0..100_u64).map(|seed| {
        let items: Vec<_> = (0..count).map(|number| member(1_000 * seed + number)).collect();
        let (ours, theirs) = items.split_at(count as usize / 2);
        read(ours, theirs, CELLS).is_some()
    });
    pairs.filter(|read| *read).count()
}

#[test]
fn two_thirds_as_many_items_as_cells_can_be_read() {
    let (few, many, too_many) = (readable(20), readable(28), readable(56));
    println!("{few}, {many}, {too_many} of 100");
    assert!(few >= 97 && many >= 80 && too_many == 0, "{few}, {many}, {too_many}");
}

#[test]
fn how_many_there_are_is_estimated_where_they_cannot_be_read() {
    for (ours, theirs) in [(60, 0), (40, 40), (1_000, 0), (500, 500), (5_000, 3_000), (0, 20_000)] {
        let mut estimates: Vec<usize> = (0..20_u64)
            .map(|seed| {
                let first = seed * 100_000;
                let mut sketch = sketch_of(&(first..first + ours).map(member).collect::<Vec<_>>());
                let other: Vec<_> = (first + ours..first + ours + theirs).map(member).collect();
                let used = sketch.subtract(&cells_of(&sketch_of(&other), CELLS));
                sketch.estimate(used)
            })
            .collect();
        estimates.sort_unstable();
        let (count, middle) = ((ours + theirs) as usize, estimates[10]);
        println!("{ours} and {theirs}: {estimates:?}");
        assert!(middle > count * 2 / 3 && middle < count * 3 / 2, "{count}: {middle}");
        assert!(estimates[0] > count / 3 && estimates[19] < count * 3, "{count}: {estimates:?}");
    }
}
