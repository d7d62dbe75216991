//! Priority queues in shared storage: pairing heaps (Fredman, Sedgewick, Sleator and Tarjan, 1986).
//!
//! A member that loses its network suspects thousands of others, and each suspicion ends at its own time or
//! earlier. A pairing heap finds the first to end in O(1), takes any one out in O(log n) amortised, and
//! needs three links per node; the nodes of all members' heaps lie in one vector, as with
//! [`crate::protocol::view::linked_lists::Pool`].

use crate::protocol::time::Time;
use crate::protocol::view::linked_lists::NIL;

#[derive(Clone, Copy, Debug)]
struct Node<T> {
    at: Time,
    /// First child.
    child: u32,
    /// Next sibling; next free node while free.
    next: u32,
    /// Previous sibling, or the parent if this is a first child; [`NIL`] for a root.
    previous: u32,
    value: T,
}

/// A heap whose nodes lie in a [`HeapPool`].
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Heap {
    root: u32,
}

impl Heap {
    /// No nodes.
    pub(in crate::protocol) const EMPTY: Heap = Heap { root: NIL };
}

/// Storage for the nodes of many heaps.
#[derive(Debug)]
pub(in crate::protocol) struct HeapPool<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    used: usize,
}

impl<T: Copy> HeapPool<T> {
    pub(in crate::protocol) const fn new() -> HeapPool<T> {
        HeapPool { nodes: Vec::new(), free: NIL, used: 0 }
    }

    /// Makes room for `capacity` nodes in all, so that reaching it does not allocate.
    pub(in crate::protocol) fn reserve(&mut self, capacity: usize) {
        self.nodes.reserve_exact(capacity.saturating_sub(self.nodes.len()));
    }

    /// Nodes in use.
    pub(in crate::protocol) const fn used(&self) -> usize {
        self.used
    }

    /// Adds `value`, due at `at`.
    pub(in crate::protocol) fn insert(&mut self, heap: &mut Heap, at: Time, value: T) -> u32 {
        let node = Node { at, child: NIL, next: NIL, previous: NIL, value };
        let index = if self.free == NIL {
            self.nodes.push(node);
            (self.nodes.len() - 1) as u32
        } else {
            let index = self.free;
            self.free = self.nodes[index as usize].next;
            self.nodes[index as usize] = node;
            index
        };
        self.used += 1;
        heap.root = self.meld(heap.root, index);
        index
    }

    /// The node that is due first, and when.
    pub(in crate::protocol) fn first(&self, heap: &Heap) -> Option<(u32, Time)> {
        (heap.root != NIL).then(|| (heap.root, self.nodes[heap.root as usize].at))
    }

    /// Takes `index` out and frees it.
    pub(in crate::protocol) fn remove(&mut self, heap: &mut Heap, index: u32) -> T {
        self.take_out(heap, index);
        let node = &mut self.nodes[index as usize];
        let value = node.value;
        node.next = self.free;
        self.free = index;
        self.used -= 1;
        value
    }

    /// Makes `index` due at `at` instead.
    pub(in crate::protocol) fn reschedule(&mut self, heap: &mut Heap, index: u32, at: Time) {
        self.take_out(heap, index);
        let node = &mut self.nodes[index as usize];
        (node.at, node.child, node.next, node.previous) = (at, NIL, NIL, NIL);
        heap.root = self.meld(heap.root, index);
    }

    pub(in crate::protocol) fn get(&self, index: u32) -> &T {
        &self.nodes[index as usize].value
    }

    pub(in crate::protocol) fn get_mut(&mut self, index: u32) -> &mut T {
        &mut self.nodes[index as usize].value
    }

    fn take_out(&mut self, heap: &mut Heap, index: u32) {
        let below = self.meld_children(index);
        if heap.root == index {
            heap.root = below;
            return;
        }
        let Node { next, previous, .. } = self.nodes[index as usize];
        if self.nodes[previous as usize].child == index {
            self.nodes[previous as usize].child = next;
        } else {
            self.nodes[previous as usize].next = next;
        }
        if next != NIL {
            self.nodes[next as usize].previous = previous;
        }
        heap.root = self.meld(heap.root, below);
    }

    /// One heap of two, whose roots have no siblings.
    fn meld(&mut self, a: u32, b: u32) -> u32 {
        if a == NIL || b == NIL {
            return if a == NIL { b } else { a };
        }
        let (first, second) =
            if self.nodes[a as usize].at <= self.nodes[b as usize].at { (a, b) } else { (b, a) };
        let child = self.nodes[first as usize].child;
        if child != NIL {
            self.nodes[child as usize].previous = second;
        }
        let below = &mut self.nodes[second as usize];
        (below.next, below.previous) = (child, first);
        self.nodes[first as usize].child = second;
        first
    }

    /// The children of `index` as one heap: melded in pairs from the left, then from the right.
    fn meld_children(&mut self, index: u32) -> u32 {
        let mut child = std::mem::replace(&mut self.nodes[index as usize].child, NIL);
        let mut pairs = NIL;
        while child != NIL {
            let second = self.nodes[child as usize].next;
            let rest = if second == NIL { NIL } else { self.nodes[second as usize].next };
            self.cut(child);
            if second != NIL {
                self.cut(second);
            }
            let pair = self.meld(child, second);
            self.nodes[pair as usize].next = pairs;
            pairs = pair;
            child = rest;
        }
        let mut heap = NIL;
        while pairs != NIL {
            let rest = self.nodes[pairs as usize].next;
            self.cut(pairs);
            heap = self.meld(heap, pairs);
            pairs = rest;
        }
        heap
    }

    fn cut(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        (node.next, node.previous) = (NIL, NIL);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Two heaps in one pool behave as two vectors of which the smallest is looked for.
        #[test]
        fn behaves_as_a_vector(operations in prop::collection::vec((0u8..5, any::<bool>(), 0u64..50, any::<u16>()), 0..400)) {
            let mut pool = HeapPool::new();
            let mut heaps = [Heap::EMPTY; 2];
            let mut twins: [Vec<(u32, u64, u16)>; 2] = Default::default();
            for (operation, which, at, value) in operations {
                let which = usize::from(which);
                let (heap, twin) = (&mut heaps[which], &mut twins[which]);
                let nth = usize::from(value) % twin.len().max(1);
                match operation {
                    0..=2 => {
                        let index = pool.insert(heap, Time::from_micros(at), value);
                        twin.push((index, at, value));
                    }
                    3 if !twin.is_empty() => {
                        let (index, _, expected) = twin.swap_remove(nth);
                        prop_assert_eq!(pool.remove(heap, index), expected);
                    }
                    4 if !twin.is_empty() => {
                        twin[nth].1 = at;
                        pool.reschedule(heap, twin[nth].0, Time::from_micros(at));
                    }
                    _ => {}
                }
                for (heap, twin) in heaps.iter().zip(&twins) {
                    let first = pool.first(heap).map(|(_, at)| at.as_micros());
                    prop_assert_eq!(first, twin.iter().map(|entry| entry.1).min());
                }
                prop_assert_eq!(pool.used(), twins[0].len() + twins[1].len());
            }
            for (heap, twin) in heaps.iter_mut().zip(&mut twins) {
                let mut drained = Vec::new();
                while let Some((index, at)) = pool.first(heap) {
                    drained.push((at.as_micros(), pool.remove(heap, index)));
                }
                prop_assert!(drained.is_sorted_by_key(|entry| entry.0));
                prop_assert_eq!(drained.len(), twin.len());
            }
            prop_assert_eq!(pool.used(), 0);
        }
    }
}
