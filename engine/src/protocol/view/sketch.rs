//! Sketches: which entries differ between two views, from a few bytes that do not grow with them.
//!
//! A sketch is the first cells of a rateless invertible Bloom lookup table (Yang, Gilad and Alizadeh, SIGCOMM 2024). Every live
//! member in a view is an item; it is in the first cell, and in each further one with a chance of `2 / (2 + i)`. Which
//! cells follows from its hash. A cell holds the exclusive or of its items and their number, so that a sketch subtracted
//! from another leaves the items that only one of them has. Where a cell is left with a single item, that is read off
//! and taken out of its other cells, which may leave others with one, and so on. Some two thirds as many items as there are
//! cells can be read that way, whatever the views' size; it shows when there were too many.
//!
//! Adding or removing an item touches some eight cells, so a sketch is kept up to date like a root. A [`Digest`] is a
//! sketch with the sums of root terms by the first bits of the ids, which say where views differ that differ by more.

use swimring_codec::native::{IdRange, SUMS_STEP_MAX, SketchCell, item_contents, item_hash};
use swimring_codec::{Incarnation, MemberId, root_term};

/// Cells of a sketch as it is sent: 35 items that differ can be read in seven of ten cases, 28 in nine of ten.
pub(in crate::protocol) const CELLS: usize = 56;

/// Parts of all ids that a digest has sums of.
const SUMS: usize = 1 << SUMS_STEP_MAX;

/// Spreads an item's hash over the choices of its cells: an odd multiplier without structure.
const MULTIPLIER: u64 = 0xda94_2042_e4dd_58b5;

/// A live member, as sketches and sums have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Item {
    pub(in crate::protocol) id: MemberId,
    pub(in crate::protocol) incarnation: Incarnation,
    pub(in crate::protocol) identity_hash: u64,
}

impl Item {
    /// What it adds to a root.
    #[inline]
    pub(in crate::protocol) fn term(&self) -> u64 {
        root_term(self.id, self.incarnation, self.identity_hash)
    }

    #[inline]
    fn contents(&self) -> u64 {
        item_contents(self.incarnation, self.identity_hash)
    }
}

/// An item that was read out of a sketch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::protocol) struct ReadItem {
    pub(in crate::protocol) id: MemberId,
    contents: u64,
}

impl ReadItem {
    /// The incarnation in which its view has it.
    pub(in crate::protocol) fn incarnation(&self) -> Incarnation {
        Incarnation::new(self.contents >> 16)
    }

    /// Whether the identity may be the one with this hash.
    pub(in crate::protocol) fn may_be(&self, identity_hash: u64) -> bool {
        self.contents as u16 == identity_hash as u16
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cell {
    ids: u64,
    contents: u64,
    checksum: u16,
    /// Modulo 2^16.
    count: u16,
}

impl Cell {
    const EMPTY: Cell = Cell { ids: 0, contents: 0, checksum: 0, count: 0 };

    #[inline]
    fn toggle(&mut self, id: u64, contents: u64, hash: u64, count: u16) {
        self.ids ^= id;
        self.contents ^= contents;
        self.checksum ^= hash as u16;
        self.count = self.count.wrapping_add(count);
    }
}

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Sketch {
    cells: [Cell; CELLS],
}

/// What was read out of a difference of two sketches. Lists that keep their memory.
#[derive(Debug)]
pub(in crate::protocol) struct Differing {
    /// Items of our view alone.
    pub(in crate::protocol) ours: Vec<ReadItem>,
    /// Items of the other view alone.
    pub(in crate::protocol) theirs: Vec<ReadItem>,
}

impl Differing {
    pub(in crate::protocol) fn new() -> Differing {
        Differing { ours: Vec::with_capacity(CELLS), theirs: Vec::with_capacity(CELLS) }
    }

    pub(in crate::protocol) fn clear(&mut self) {
        self.ours.clear();
        self.theirs.clear();
    }
}

impl Sketch {
    pub(in crate::protocol) const EMPTY: Sketch = Sketch { cells: [Cell::EMPTY; CELLS] };

    /// The first `count` cells as they travel; at most [`CELLS`].
    pub(in crate::protocol) fn write(&self, count: usize, cells: &mut Vec<SketchCell>) {
        let first = self.cells.iter().take(count);
        cells.extend(first.map(|cell| SketchCell::new(cell.ids, cell.contents, cell.checksum, cell.count)));
    }

    fn toggle(&mut self, item: &Item, count: u16) {
        let (id, contents) = (item.id.0, item.contents());
        let hash = item_hash(item.id, contents);
        for_each_cell(hash, CELLS, |nth| self.cells[nth].toggle(id, contents, hash, count));
    }

    /// Takes the items of another view's sketch out. Gives how many cells that leaves to read.
    pub(in crate::protocol) fn subtract(&mut self, other: &[SketchCell]) -> usize {
        for (cell, other) in self.cells.iter_mut().zip(other) {
            cell.ids ^= other.ids();
            cell.contents ^= other.contents();
            cell.checksum ^= other.checksum();
            cell.count = cell.count.wrapping_sub(other.count());
        }
        other.len().min(CELLS)
    }

    /// Reads what the first `used` cells of a difference hold. False if they hold too many items to be read.
    pub(in crate::protocol) fn read(&mut self, used: usize, differing: &mut Differing) -> bool {
        differing.clear();
        let cells = &mut self.cells[..used];
        let mut to_look_at = u64::MAX >> (64 - used);
        while to_look_at != 0 {
            let nth = to_look_at.trailing_zeros() as usize;
            to_look_at &= to_look_at - 1;
            let Some((item, hash)) = single(&cells[nth], nth, used) else { continue };
            let count = cells[nth].count;
            let list = if count == 1 { &mut differing.ours } else { &mut differing.theirs };
            if list.len() == CELLS {
                // Each item empties a cell for good, unless somebody made up the cells.
                return false;
            }
            list.push(item);
            for_each_cell(hash, used, |nth| {
                cells[nth].toggle(item.id.0, item.contents, hash, 0_u16.wrapping_sub(count));
                to_look_at |= 1 << nth;
            });
        }
        cells.iter().all(|cell| *cell == Cell::EMPTY)
    }

    /// About how many items a difference holds that could not be read: an item is in each cell with a known chance, so the
    /// counts stray from what the surplus of one side would make them by more the more there are. Within a third in most
    /// cases.
    pub(in crate::protocol) fn estimate(&self, used: usize) -> usize {
        let count = |cell: &Cell| f64::from(cell.count as i16);
        let Some(first) = self.cells.first() else { return 0 };
        // All items are in the first cell: more on one side than on the other.
        let surplus = count(first);
        let (mut squares, mut chances) = (0.0, 0.0);
        for (nth, cell) in self.cells[..used].iter().enumerate().skip(1) {
            let chance = 2.0 / (2.0 + nth as f64);
            squares += (count(cell) - surplus * chance).powi(2);
            chances += chance * (1.0 - chance);
        }
        let spread = if chances > 0.0 { squares / chances } else { 0.0 };
        spread.max(surplus.abs()) as usize
    }
}

/// Calls `each` with the cells below `cells` that an item with this hash is in, in order.
#[inline]
fn for_each_cell(hash: u64, cells: usize, mut each: impl FnMut(usize)) {
    // Of the cells after `at` the first that holds the item is `next` or a later one with a chance of
    // `(at + 1) (at + 2) / ((next + 1) (next + 2))`.
    let weight = |nth: usize| ((nth + 1) * (nth + 2)) as u64;
    let (mut state, mut at) = (hash | 1, 0);
    while at < cells {
        each(at);
        state = state.wrapping_mul(MULTIPLIER);
        let chance = (state >> 32) + 1;
        let bound = weight(at) << 32;
        at += 1;
        while at < cells && weight(at) * chance < bound {
            at += 1;
        }
    }
}

/// The item in the cell `nth`, and its hash, if it holds a single one.
fn single(cell: &Cell, nth: usize, used: usize) -> Option<(ReadItem, u64)> {
    if cell.count != 1 && cell.count != u16::MAX {
        return None;
    }
    let item = ReadItem { id: MemberId(cell.ids), contents: cell.contents };
    let hash = item_hash(item.id, item.contents);
    if hash as u16 != cell.checksum {
        return None;
    }
    let mut is_in = false;
    for_each_cell(hash, used, |at| is_in |= at == nth);
    is_in.then_some((item, hash))
}

/// What all live members of a view sum to. See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Digest {
    pub(in crate::protocol) sketch: Sketch,
    /// Sums of root terms by the first bits of the ids.
    pub(in crate::protocol) sums: [u64; SUMS],
}

impl Digest {
    pub(in crate::protocol) const EMPTY: Digest = Digest { sketch: Sketch::EMPTY, sums: [0; SUMS] };

    pub(in crate::protocol) fn add(&mut self, item: &Item) {
        self.sketch.toggle(item, 1);
        let sum = &mut self.sums[IdRange::ALL.part_of(SUMS_STEP_MAX, item.id.0)];
        *sum = sum.wrapping_add(item.term());
    }

    pub(in crate::protocol) fn remove(&mut self, item: &Item) {
        self.sketch.toggle(item, u16::MAX);
        let sum = &mut self.sums[IdRange::ALL.part_of(SUMS_STEP_MAX, item.id.0)];
        *sum = sum.wrapping_sub(item.term());
    }
}
