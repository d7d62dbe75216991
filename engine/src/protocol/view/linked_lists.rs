//! Linked lists in shared storage.
//!
//! A process may hold tens of thousands of members, most with nothing queued and nobody suspected. Their
//! short lists live in one vector per kind, so that a member with an empty list pays a few bytes and a
//! list that grows takes nodes that another gave back: no allocation once the vector has grown.

/// No node.
pub(in crate::protocol) const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node<T> {
    previous: u32,
    next: u32,
    value: T,
}

/// A doubly linked list whose nodes lie in a [`Pool`].
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct List {
    head: u32,
    tail: u32,
}

impl List {
    /// No nodes.
    pub(in crate::protocol) const EMPTY: List = List { head: NIL, tail: NIL };

    pub(in crate::protocol) const fn is_empty(&self) -> bool {
        self.head == NIL
    }

    /// The first node, or [`NIL`].
    pub(in crate::protocol) const fn head(&self) -> u32 {
        self.head
    }
}

/// Storage for the nodes of many lists.
#[derive(Debug)]
pub(in crate::protocol) struct Pool<T> {
    nodes: Vec<Node<T>>,
    /// First free node; free nodes are chained by `next`.
    free: u32,
    used: usize,
}

impl<T: Copy> Pool<T> {
    pub(in crate::protocol) const fn new() -> Pool<T> {
        Pool { nodes: Vec::new(), free: NIL, used: 0 }
    }

    /// Makes room for `capacity` nodes in all, so that reaching it does not allocate.
    pub(in crate::protocol) fn reserve(&mut self, capacity: usize) {
        self.nodes.reserve_exact(capacity.saturating_sub(self.nodes.len()));
    }

    /// Nodes in use.
    pub(in crate::protocol) const fn used(&self) -> usize {
        self.used
    }

    pub(in crate::protocol) fn push_back(&mut self, list: &mut List, value: T) -> u32 {
        let node = Node { previous: list.tail, next: NIL, value };
        let at = if self.free == NIL {
            let at = self.nodes.len() as u32;
            debug_assert!(at != NIL, "a pool holds fewer than 2^32 - 1 nodes");
            self.nodes.push(node);
            at
        } else {
            let at = self.free;
            self.free = self.nodes[at as usize].next;
            self.nodes[at as usize] = node;
            at
        };
        self.used += 1;
        self.link_tail(list, at);
        at
    }

    fn link_tail(&mut self, list: &mut List, at: u32) {
        if list.tail == NIL {
            list.head = at;
        } else {
            self.nodes[list.tail as usize].next = at;
        }
        list.tail = at;
    }

    /// Takes `at` out of `list` and frees it.
    pub(in crate::protocol) fn remove(&mut self, list: &mut List, at: u32) -> T {
        self.unlink(list, at);
        let node = &mut self.nodes[at as usize];
        let value = node.value;
        node.next = self.free;
        self.free = at;
        self.used -= 1;
        value
    }

    /// Frees all `count` nodes of `list` without a look at them.
    pub(in crate::protocol) fn clear(&mut self, list: &mut List, count: u32) {
        let List { head, tail } = std::mem::replace(list, List::EMPTY);
        if head != NIL {
            self.nodes[tail as usize].next = self.free;
            self.free = head;
            self.used -= count as usize;
        }
    }

    /// Moves `at` from the list `from` to the end of the list `to`.
    pub(in crate::protocol) fn relink(&mut self, from: &mut List, to: &mut List, at: u32) {
        self.unlink(from, at);
        let node = &mut self.nodes[at as usize];
        node.previous = to.tail;
        node.next = NIL;
        self.link_tail(to, at);
    }

    fn unlink(&mut self, list: &mut List, at: u32) {
        let Node { previous, next, .. } = self.nodes[at as usize];
        if previous == NIL {
            list.head = next;
        } else {
            self.nodes[previous as usize].next = next;
        }
        if next == NIL {
            list.tail = previous;
        } else {
            self.nodes[next as usize].previous = previous;
        }
    }

    /// The node after `at`, or [`NIL`].
    pub(in crate::protocol) fn next(&self, at: u32) -> u32 {
        self.nodes[at as usize].next
    }

    /// What `at` holds, and the node after it, or [`NIL`].
    pub(in crate::protocol) fn get_and_next(&self, at: u32) -> (&T, u32) {
        let node = &self.nodes[at as usize];
        (&node.value, node.next)
    }

    pub(in crate::protocol) fn get(&self, at: u32) -> &T {
        &self.nodes[at as usize].value
    }

    pub(in crate::protocol) fn get_mut(&mut self, at: u32) -> &mut T {
        &mut self.nodes[at as usize].value
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Three lists in one pool behave as three `VecDeque`s.
        #[test]
        fn behaves_as_separate_lists(operations in prop::collection::vec((0u8..5, 0usize..3, 0usize..3, any::<u16>()), 0..300)) {
            let mut pool = Pool::new();
            let mut lists = [List::EMPTY; 3];
            let mut twins: [VecDeque<(u32, u16)>; 3] = Default::default();
            for (operation, from, to, value) in operations {
                match operation {
                    4 => {
                        pool.clear(&mut lists[from], twins[from].len() as u32);
                        twins[from].clear();
                    }
                    0 | 1 => {
                        let at = pool.push_back(&mut lists[from], value);
                        twins[from].push_back((at, value));
                    }
                    2 if !twins[from].is_empty() => {
                        let nth = usize::from(value) % twins[from].len();
                        let (at, expected) = twins[from].remove(nth).unwrap();
                        prop_assert_eq!(pool.remove(&mut lists[from], at), expected);
                    }
                    3 if from != to && !twins[from].is_empty() => {
                        let nth = usize::from(value) % twins[from].len();
                        let entry = twins[from].remove(nth).unwrap();
                        twins[to].push_back(entry);
                        let (mut source, mut target) = (lists[from], lists[to]);
                        pool.relink(&mut source, &mut target, entry.0);
                        (lists[from], lists[to]) = (source, target);
                    }
                    _ => {}
                }
                prop_assert_eq!(pool.used(), twins.iter().map(VecDeque::len).sum::<usize>());
                for (list, twin) in lists.iter().zip(&twins) {
                    let mut at = list.head();
                    for (node, value) in twin {
                        prop_assert_eq!((at, *pool.get(at)), (*node, *value));
                        at = pool.next(at);
                    }
                    prop_assert_eq!(at, NIL);
                }
            }
        }
    }
}
