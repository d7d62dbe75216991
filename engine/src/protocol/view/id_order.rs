//! Ids in order: who lies in a range of the id space.
//!
//! Ids are hashes, so a prefix of an id names a part of the cluster that is as large as any other of that length.
//! Delegated broadcast divides the cluster along such prefixes and asks who is there. Ids stand in order in chunks
//! of a few hundred places: a look-up searches the chunks' first ids and then one chunk, an insertion moves half a
//! chunk, and walking a range reads memory in order. A place has the upper half of an id only. Where that does not
//! tell, the whole id does, which the directory has once for each member: once in 40,000 look-ups among 100,000 hashes.
//! Nothing else depends on where ids fall, so names that were chosen to collide in their first bits cost a walk through
//! a chunk at most.

use std::ops::RangeInclusive;

use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::grow_for_one;

/// Most ids in a chunk; one that is full is split in halves.
const CHUNK_MAX: usize = 256;

/// The id of each member, by its index.
#[derive(Debug)]
pub(in crate::protocol) struct Ids(Vec<u64>);

impl Ids {
    pub(in crate::protocol) const fn new() -> Ids {
        Ids(Vec::new())
    }

    /// Makes room for `members` in all.
    pub(in crate::protocol) fn reserve(&mut self, members: usize) {
        self.0.reserve_exact(members.saturating_sub(self.0.len()));
    }

    /// The member at `index` has this id from now on.
    pub(in crate::protocol) fn assign(&mut self, index: MemberIndex, id: u64) {
        while self.0.len() <= index as usize {
            grow_for_one(&mut self.0);
            self.0.push(0);
        }
        self.0[index as usize] = id;
    }

    #[inline]
    pub(in crate::protocol) fn get(&self, index: MemberIndex) -> u64 {
        self.0[index as usize]
    }

    /// Whether the member at `index` has this id.
    #[inline]
    pub(in crate::protocol) fn is(&self, index: MemberIndex, id: u64) -> bool {
        self.0.get(index as usize).is_some_and(|known| *known == id)
    }
}

/// The place of an id in a chunk.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The upper half of the id.
    upper: u32,
    index: MemberIndex,
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<Place>() <= 8);

#[derive(Debug)]
struct Chunk(Vec<Place>);

impl Chunk {
    /// How many ids of the chunk are below `id`.
    #[inline]
    fn count_below(&self, id: u64, ids: &Ids) -> usize {
        let upper = upper_of(id);
        let at = self.0.partition_point(|place| place.upper < upper);
        let same = self.0[at..].iter().take_while(|place| place.upper == upper && ids.get(place.index) < id);
        at + same.count()
    }

    /// Where `id` is, or else belongs.
    fn find(&self, id: u64, ids: &Ids) -> Result<usize, usize> {
        let at = self.count_below(id, ids);
        let found = self.0.get(at).is_some_and(|place| ids.get(place.index) == id);
        if found { Ok(at) } else { Err(at) }
    }
}

#[inline]
fn upper_of(id: u64) -> u32 {
    (id >> 32) as u32
}

/// Members in the order of their ids. See the module.
#[derive(Debug)]
pub(in crate::protocol) struct IdOrder {
    /// The first id of each chunk, but 0 for the first chunk: every id belongs to one.
    firsts: Vec<u64>,
    chunks: Vec<Chunk>,
}

impl IdOrder {
    pub(in crate::protocol) fn new() -> IdOrder {
        IdOrder { firsts: vec![0], chunks: vec![Chunk(Vec::new())] }
    }

    /// The chunk that `id` belongs to.
    #[inline]
    fn chunk_of(&self, id: u64) -> usize {
        // The first is 0, so there is one that is not greater.
        self.firsts.partition_point(|first| *first <= id) - 1
    }

    /// Adds the member at `index`, which has its id among `ids`.
    pub(in crate::protocol) fn insert(&mut self, index: MemberIndex, ids: &Ids) {
        let id = ids.get(index);
        let mut nth = self.chunk_of(id);
        if self.chunks[nth].0.len() == CHUNK_MAX {
            self.split(nth, ids);
            nth = self.chunk_of(id);
        }
        let chunk = &mut self.chunks[nth];
        let place = Place { upper: upper_of(id), index };
        match chunk.find(id, ids) {
            Ok(at) => chunk.0[at] = place,
            Err(at) => {
                grow_for_one(&mut chunk.0);
                chunk.0.insert(at, place);
            }
        }
    }

    #[cold]
    fn split(&mut self, nth: usize, ids: &Ids) {
        let lower = &mut self.chunks[nth].0;
        let upper = lower[CHUNK_MAX / 2..].to_vec();
        lower.truncate(CHUNK_MAX / 2);
        lower.shrink_to_fit();
        self.firsts.insert(nth + 1, ids.get(upper[0].index));
        self.chunks.insert(nth + 1, Chunk(upper));
    }

    /// Takes the member at `index` out, if it is there.
    pub(in crate::protocol) fn remove(&mut self, index: MemberIndex, ids: &Ids) {
        let id = ids.get(index);
        let nth = self.chunk_of(id);
        let chunk = &mut self.chunks[nth];
        let Ok(at) = chunk.find(id, ids) else { return };
        chunk.0.remove(at);
        if chunk.0.is_empty() && nth > 0 {
            self.firsts.remove(nth);
            self.chunks.remove(nth);
        }
    }
}

/// An order, with the ids of its members.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Ordered<'a> {
    pub(super) order: &'a IdOrder,
    pub(super) ids: &'a Ids,
}

impl<'a> Ordered<'a> {
    #[inline]
    fn with_id(self, place: &Place) -> (u64, MemberIndex) {
        (self.ids.get(place.index), place.index)
    }

    /// The ids in `range`, in order.
    #[inline]
    pub(in crate::protocol) fn range(
        self,
        range: RangeInclusive<u64>,
    ) -> impl Iterator<Item = (u64, MemberIndex)> + 'a {
        let (from, to) = range.into_inner();
        let nth = self.order.chunk_of(from);
        let at = self.order.chunks[nth].count_below(from, self.ids);
        let rest = self.order.chunks[nth..].iter().zip(std::iter::once(at).chain(std::iter::repeat(0)));
        // Beyond the range the upper half of an id mostly tells, so that no id is looked up.
        let places =
            rest.flat_map(|(chunk, at)| &chunk.0[at..]).take_while(move |place| place.upper <= upper_of(to));
        places.map(move |place| self.with_id(place)).take_while(move |(id, _)| *id <= to)
    }

    /// The ids below `id` and not below `least`, the nearest to `id` first.
    #[inline]
    pub(in crate::protocol) fn below(
        self,
        id: u64,
        least: u64,
    ) -> impl Iterator<Item = (u64, MemberIndex)> + 'a {
        let nth = self.order.chunk_of(id);
        let at = self.order.chunks[nth].count_below(id, self.ids);
        let ends = std::iter::once(at).chain(std::iter::repeat(CHUNK_MAX));
        let places = self.order.chunks[..=nth].iter().rev().zip(ends);
        let places = places.flat_map(|(chunk, end)| chunk.0[..end.min(chunk.0.len())].iter().rev());
        let places = places.take_while(move |place| place.upper >= upper_of(least));
        places.map(move |place| self.with_id(place)).take_while(move |(id, _)| *id >= least)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Operation {
        Insert(u64),
        Remove(u64),
        Ask(u64, u64),
    }

    /// Ids from few places, so that chunks are split, emptied and met again; many of the same upper half.
    fn id() -> impl Strategy<Value = u64> {
        prop_oneof![0..700_u64, (0..300_u64).prop_map(|id| u64::MAX - id), any::<u64>()]
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            6 => id().prop_map(Operation::Insert),
            3 => id().prop_map(Operation::Remove),
            1 => (id(), id()).prop_map(|(from, to)| Operation::Ask(from, to)),
        ]
    }

    proptest! {
        /// The same answers as a tree's.
        #[test]
        fn behaves_as_a_tree(operations in prop::collection::vec(operation(), 0..3_000)) {
            let (mut order, mut ids, mut twin) = (IdOrder::new(), Ids::new(), BTreeMap::new());
            // Members in no order, whose places are given out again.
            let mut free: Vec<MemberIndex> = (0..3_000).collect();
            for operation in operations {
                match operation {
                    Operation::Insert(id) => {
                        if let std::collections::btree_map::Entry::Vacant(vacant) = twin.entry(id) {
                            let index = free.swap_remove(id as usize % free.len());
                            ids.assign(index, id);
                            order.insert(*vacant.insert(index), &ids);
                        }
                    }
                    Operation::Remove(id) => {
                        if let Some(index) = twin.remove(&id) {
                            order.remove(index, &ids);
                            free.push(index);
                        }
                    }
                    Operation::Ask(from, to) => {
                        let ordered = Ordered { order: &order, ids: &ids };
                        let expected: Vec<_> = if from <= to {
                            twin.range(from..=to).map(|(id, index)| (*id, *index)).collect()
                        } else {
                            Vec::new()
                        };
                        prop_assert_eq!(ordered.range(from..=to).collect::<Vec<_>>(), expected);
                        for least in [0, to] {
                            let below = twin.range(..from).rev().take_while(|(id, _)| **id >= least);
                            let below: Vec<_> = below.map(|(id, index)| (*id, *index)).collect();
                            prop_assert_eq!(ordered.below(from, least).collect::<Vec<_>>(), below);
                        }
                    }
                }
            }
        }
    }
}
