//! The agenda: everything that is still to happen, the earliest first.
//!
//! Two things at the same time happen in the order in which they were put here, so a run depends on
//! nothing but its seed.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use swimring::protocol::Time;

#[derive(Debug)]
struct Item<T> {
    at: Time,
    order: u64,
    what: T,
}

impl<T> Ord for Item<T> {
    /// Reversed: the heap gives its greatest, and the earliest is wanted.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Item<T> {}

#[derive(Debug)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Item<T>>,
    order: u64,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Queue<T> {
        Queue { heap: BinaryHeap::new(), order: 0 }
    }

    pub(super) fn push(&mut self, at: Time, what: T) {
        self.order += 1;
        self.heap.push(Item { at, order: self.order, what });
    }

    /// The next item that is due at `until` or earlier.
    pub(super) fn pop_until(&mut self, until: Time) -> Option<(Time, T)> {
        if self.heap.peek()?.at > until {
            return None;
        }
        self.heap.pop().map(|item| (item.at, item.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earliest_first_and_equal_times_in_order() {
        let mut queue = Queue::new();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b'), (9, 'e')] {
            queue.push(Time::from_micros(at), what);
        }
        let mut order = String::new();
        while let Some((_, what)) = queue.pop_until(Time::from_micros(5)) {
            order.push(what);
        }
        assert_eq!(order, "abcd");
    }
}
