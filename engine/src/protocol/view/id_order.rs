//! Ids in order: who lies in a range of the id space.
//!
//! Ids are hashes, so a prefix of an id names a part of the cluster that is as large as any other of that length.
//! Delegated broadcast divides the cluster along such prefixes and asks who is there. Ids stand in order in chunks
//! of a few hundred bytes: a look-up searches the chunks' first ids and then one chunk, an insertion moves half a
//! chunk, and walking a range reads memory in order. Nothing here depends on where ids fall, so names that were
//! chosen to collide in their first bits cost no more than others.

use std::ops::RangeInclusive;

use crate::protocol::view::directory::MemberIndex;

/// Most ids in a chunk; one that is full is split in halves.
const CHUNK_MAX: usize = 128;

#[derive(Debug)]
struct Chunk {
    ids: Vec<u64>,
    indexes: Vec<MemberIndex>,
}

impl Chunk {
    fn new() -> Chunk {
        Chunk { ids: Vec::with_capacity(CHUNK_MAX), indexes: Vec::with_capacity(CHUNK_MAX) }
    }
}

/// Ids with their members' indexes, in the order of the ids. See the module.
#[derive(Debug)]
pub(in crate::protocol) struct IdOrder {
    /// The first id of each chunk, but 0 for the first chunk: every id belongs to one.
    firsts: Vec<u64>,
    chunks: Vec<Chunk>,
}

impl IdOrder {
    pub(in crate::protocol) fn new() -> IdOrder {
        IdOrder { firsts: vec![0], chunks: vec![Chunk::new()] }
    }

    /// The chunk that `id` belongs to.
    #[inline]
    fn chunk_of(&self, id: u64) -> usize {
        // The first is 0, so there is one that is not greater.
        self.firsts.partition_point(|first| *first <= id) - 1
    }

    /// Adds `id`, or gives it another index.
    pub(in crate::protocol) fn insert(&mut self, id: u64, index: MemberIndex) {
        let mut nth = self.chunk_of(id);
        if self.chunks[nth].ids.len() == CHUNK_MAX {
            self.split(nth);
            nth = self.chunk_of(id);
        }
        let chunk = &mut self.chunks[nth];
        match chunk.ids.binary_search(&id) {
            Ok(at) => chunk.indexes[at] = index,
            Err(at) => {
                chunk.ids.insert(at, id);
                chunk.indexes.insert(at, index);
            }
        }
    }

    #[cold]
    fn split(&mut self, nth: usize) {
        let mut upper = Chunk::new();
        let lower = &mut self.chunks[nth];
        upper.ids.extend(lower.ids.drain(CHUNK_MAX / 2..));
        upper.indexes.extend(lower.indexes.drain(CHUNK_MAX / 2..));
        self.firsts.insert(nth + 1, upper.ids[0]);
        self.chunks.insert(nth + 1, upper);
    }

    /// Takes `id` out, if it is there.
    pub(in crate::protocol) fn remove(&mut self, id: u64) {
        let nth = self.chunk_of(id);
        let chunk = &mut self.chunks[nth];
        let Ok(at) = chunk.ids.binary_search(&id) else { return };
        chunk.ids.remove(at);
        chunk.indexes.remove(at);
        if chunk.ids.is_empty() && nth > 0 {
            self.firsts.remove(nth);
            self.chunks.remove(nth);
        }
    }

    /// The ids in `range`, in order.
    #[inline]
    pub(in crate::protocol) fn range(
        &self,
        range: RangeInclusive<u64>,
    ) -> impl Iterator<Item = (u64, MemberIndex)> + '_ {
        let (from, to) = range.into_inner();
        let nth = self.chunk_of(from);
        let at = self.chunks[nth].ids.partition_point(|id| *id < from);
        let rest = self.chunks[nth..].iter().zip(std::iter::once(at).chain(std::iter::repeat(0)));
        let ids = rest
            .flat_map(|(chunk, at)| chunk.ids[at..].iter().copied().zip(chunk.indexes[at..].iter().copied()));
        ids.take_while(move |(id, _)| *id <= to)
    }

    /// The ids below `id`, the nearest first.
    #[inline]
    pub(in crate::protocol) fn below(&self, id: u64) -> impl Iterator<Item = (u64, MemberIndex)> + '_ {
        let nth = self.chunk_of(id);
        let at = self.chunks[nth].ids.partition_point(|known| *known < id);
        let ends = std::iter::once(at).chain(std::iter::repeat(CHUNK_MAX));
        self.chunks[..=nth].iter().rev().zip(ends).flat_map(|(chunk, end)| {
            let end = end.min(chunk.ids.len());
            chunk.ids[..end].iter().copied().zip(chunk.indexes[..end].iter().copied()).rev()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Operation {
        Insert(u64, MemberIndex),
        Remove(u64),
        Ask(u64, u64),
    }

    /// Ids from few places, so that chunks are split, emptied and met again.
    fn id() -> impl Strategy<Value = u64> {
        prop_oneof![0..700_u64, (0..300_u64).prop_map(|id| u64::MAX - id), any::<u64>()]
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            6 => (id(), any::<u32>()).prop_map(|(id, index)| Operation::Insert(id, index)),
            3 => id().prop_map(Operation::Remove),
            1 => (id(), id()).prop_map(|(from, to)| Operation::Ask(from, to)),
        ]
    }

    proptest! {
        /// The same answers as a tree's.
        #[test]
        fn behaves_as_a_tree(operations in prop::collection::vec(operation(), 0..3_000)) {
            let (mut order, mut twin) = (IdOrder::new(), BTreeMap::new());
            for operation in operations {
                match operation {
                    Operation::Insert(id, index) => {
                        order.insert(id, index);
                        twin.insert(id, index);
                    }
                    Operation::Remove(id) => {
                        order.remove(id);
                        twin.remove(&id);
                    }
                    Operation::Ask(from, to) => {
                        let expected: Vec<_> = if from <= to {
                            twin.range(from..=to).map(|(id, index)| (*id, *index)).collect()
                        } else {
                            Vec::new()
                        };
                        prop_assert_eq!(order.range(from..=to).collect::<Vec<_>>(), expected);
                        let below: Vec<_> = twin.range(..from).rev().map(|(id, index)| (*id, *index)).collect();
                        prop_assert_eq!(order.below(from).collect::<Vec<_>>(), below);
                    }
                }
            }
        }
    }
}
