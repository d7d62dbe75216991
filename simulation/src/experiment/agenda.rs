//! The agenda of a trial: a calendar queue with exact order.
//!
//! Millions of things are to happen, most of them within the next second. So time is cut into short *spans*,
//! a power of two of microseconds each, and what happens in a span is thrown into its bucket unsorted (Brown,
//! "Calendar queues", 1988). A bucket is sorted when its time comes, when it holds some dozens of things, which fit
//! the nearest cache. What lies beyond the ring of buckets waits in a heap, which is next to never.
//!
//! Two things at the same time happen in the order in which they were put here. Sorting is stable, so nobody
//! has to keep that order but the heap, which gives up what it holds before anything nearer can follow.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something that is to happen, and when in microseconds.
#[derive(Clone, Copy, Debug)]
struct Item<T> {
    at: u64,
    what: T,
}

/// Something beyond the ring. The earliest is the greatest, and of two at one time the first put here.
#[derive(Clone, Copy, Debug)]
struct Far<T> {
    order: u64,
    item: Item<T>,
}

impl<T> Ord for Far<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.item.at, other.order).cmp(&(self.item.at, self.order))
    }
}

impl<T> PartialOrd for Far<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Far<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Far<T> {}

/// Future events, at times in microseconds, the earliest first; of two at one time the one that was
/// put here first.
#[derive(Debug)]
pub struct Agenda<T> {
    /// What happens in the present span, sorted; the first `done` have happened.
    present: Vec<Item<T>>,
    done: usize,
    /// The number of the present span.
    span: u64,
    /// A span lasts two to this power microseconds.
    span_bits: u32,
    /// The spans after the present one, each at its number modulo the ring's length.
    ring: Vec<Vec<Item<T>>>,
    /// Beyond the ring.
    far: BinaryHeap<Far<T>>,
    far_order: u64,
    len: usize,
}

/// Buckets of the ring, at most.
const RING_MAX: u64 = 1 << 16;

impl<T: Copy> Agenda<T> {
    /// An empty agenda at time zero for some `per_second` happenings, most of which are put here at most
    /// `ahead_us` ahead.
    pub fn new(per_second: f64, ahead_us: u64) -> Agenda<T> {
        /// Things in a bucket: the ends of all buckets, where what is put here goes, are to stay in a near cache, for which
        /// buckets have to be few.
        const EACH: f64 = 64.0;
        let span_us = (EACH * 1e6 / per_second.max(1.0)).clamp(8.0, 4096.0) as u64;
        let span_bits = span_us.ilog2();
        let ring = (ahead_us >> span_bits).next_power_of_two().clamp(64, RING_MAX);
        Agenda {
            present: Vec::new(),
            done: 0,
            span: 0,
            span_bits,
            ring: (0..ring).map(|_| Vec::new()).collect(),
            far: BinaryHeap::new(),
            far_order: 0,
            len: 0,
        }
    }

    /// Has `what` happen at `at`, which is not past.
    #[inline]
    pub fn push(&mut self, at: u64, what: T) {
        self.len += 1;
        let span = at >> self.span_bits;
        let ahead = span.saturating_sub(self.span);
        if ahead == 0 {
            let after = self.present[self.done..].partition_point(|item| item.at <= at);
            self.present.insert(self.done + after, Item { at, what });
        } else if ahead < self.ring.len() as u64 {
            let bucket = self.bucket(span);
            self.ring[bucket].push(Item { at, what });
        } else {
            self.far_order += 1;
            self.far.push(Far { order: self.far_order, item: Item { at, what } });
        }
    }

    #[inline]
    fn bucket(&self, span: u64) -> usize {
        span as usize & (self.ring.len() - 1)
    }

    /// The next thing that happens at `until` or earlier.
    #[inline]
    pub fn pop_until(&mut self, until: u64) -> Option<(u64, T)> {
        loop {
            if let Some(item) = self.present.get(self.done) {
                if item.at > until {
                    return None;
                }
                self.done += 1;
                self.len -= 1;
                return Some((item.at, item.what));
            }
            if self.len == 0 || (self.span + 1) << self.span_bits > until {
                return None;
            }
            self.turn();
        }
    }

    /// Goes on to the next span.
    fn turn(&mut self) {
        self.span += 1;
        self.present.clear();
        self.done = 0;
        let bucket = self.bucket(self.span);
        std::mem::swap(&mut self.present, &mut self.ring[bucket]);
        self.present.sort_by_key(|item| item.at);
        // The bucket that is free now stands for the last span of the ring: what waited for it comes first.
        let last = self.span + self.ring.len() as u64 - 1;
        while let Some(Far { item, .. }) = self.far.peek().copied() {
            if item.at >> self.span_bits > last {
                break;
            }
            self.far.pop();
            let bucket = self.bucket(item.at >> self.span_bits);
            self.ring[bucket].push(item);
        }
    }

    /// Things that are still to happen.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory it takes.
    pub fn memory_bytes(&self) -> usize {
        let buckets: usize = self.ring.iter().map(Vec::capacity).sum();
        (buckets + self.present.capacity()) * size_of::<Item<T>>()
            + self.ring.len() * size_of::<Vec<Item<T>>>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Behaves as a sorted list of (time, order), whatever is put in while it is taken out.
        #[test]
        fn behaves_as_a_sorted_list(
            per_second in 1.0..1e6_f64,
            steps in prop::collection::vec((0u64..3_000_000, any::<bool>(), 1u8..4), 1..300),
        ) {
            let mut agenda = Agenda::new(per_second, 1_000_000);
            let mut twin: Vec<(u64, u32)> = Vec::new();
            let (mut now, mut order) = (0, 0);
            for (ahead, near, pops) in steps {
                let at = now + if near { ahead / 10_000 } else { ahead };
                agenda.push(at, order);
                twin.push((at, order));
                order += 1;
                for _ in 0..pops - 1 {
                    twin.sort_unstable();
                    let until = now + 400_000;
                    let expected = twin.first().copied().filter(|(at, _)| *at <= until);
                    let popped = agenda.pop_until(until);
                    prop_assert_eq!(popped, expected);
                    if let Some((at, _)) = popped {
                        twin.remove(0);
                        now = at;
                    }
                }
                prop_assert_eq!(agenda.len(), twin.len());
            }
            twin.sort_unstable();
            for expected in twin {
                prop_assert_eq!(agenda.pop_until(u64::MAX >> 1), Some(expected));
            }
            prop_assert_eq!(agenda.pop_until(u64::MAX >> 1), None);
        }
    }
}
