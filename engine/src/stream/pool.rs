//! Spare buffers, shared by a worker and the stream thread.
//!
//! A turn is written on the worker and spent on the stream thread; a message goes the other way. Both
//! sides put what they are done with here, so that in the steady state neither allocates.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam::queue::ArrayQueue;

/// Most buffers kept, whatever their size.
const POOL_BUFFERS_MAX: usize = 256;

/// Buffers of this capacity and more are kept apart, so that no small one has to grow where a large one is needed.
pub(super) const LARGE_BYTES: usize = 64 << 10;

/// A bounded store of empty buffers that keep their capacity.
#[derive(Debug)]
pub(super) struct Pool {
    spare: ArrayQueue<Vec<u8>>,
    large: ArrayQueue<Vec<u8>>,
    /// Sum of the capacities in `spare`.
    retained_bytes: AtomicUsize,
    retained_bytes_max: usize,
}

impl Pool {
    pub(super) fn new(retained_bytes_max: usize) -> Pool {
        Pool {
            spare: ArrayQueue::new(POOL_BUFFERS_MAX),
            large: ArrayQueue::new(POOL_BUFFERS_MAX),
            retained_bytes: AtomicUsize::new(0),
            retained_bytes_max,
        }
    }

    /// An empty buffer, with the capacity of its last use.
    pub(super) fn take(&self) -> Vec<u8> {
        self.taken(self.spare.pop())
    }

    /// An empty buffer that has been large, if there is one.
    pub(super) fn take_large(&self) -> Vec<u8> {
        self.taken(self.large.pop())
    }

    fn taken(&self, buffer: Option<Vec<u8>>) -> Vec<u8> {
        let buffer = buffer.unwrap_or_default();
        self.retained_bytes.fetch_sub(buffer.capacity(), Ordering::Relaxed);
        buffer
    }

    /// Keeps `buffer` for later, or frees it if the pool holds enough.
    pub(super) fn put(&self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity == 0 {
            return;
        }
        let before = self.retained_bytes.fetch_add(capacity, Ordering::Relaxed);
        buffer.clear();
        let kept = if capacity >= LARGE_BYTES { &self.large } else { &self.spare };
        if before + capacity > self.retained_bytes_max || kept.push(buffer).is_err() {
            self.retained_bytes.fetch_sub(capacity, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_with_its_capacity() {
        let pool = Pool::new(1 << 20);
        let mut buffer = pool.take();
        buffer.extend_from_slice(&[7; 1000]);
        let capacity = buffer.capacity();
        pool.put(buffer);
        let again = pool.take();
        assert!(again.is_empty());
        assert_eq!(again.capacity(), capacity);
    }

    #[test]
    fn large_buffers_are_kept_apart() {
        let pool = Pool::new(1 << 20);
        pool.put(Vec::with_capacity(LARGE_BYTES));
        pool.put(Vec::with_capacity(100));
        assert_eq!(pool.take().capacity(), 100);
        assert_eq!(pool.take().capacity(), 0);
        assert_eq!(pool.take_large().capacity(), LARGE_BYTES);
        assert_eq!(pool.retained_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes_and_in_number() {
        let pool = Pool::new(10_000);
        for _ in 0..5 {
            pool.put(Vec::with_capacity(4_000));
        }
        assert_eq!(pool.spare.len(), 2);
        assert_eq!(pool.retained_bytes.load(Ordering::Relaxed), 8_000);

        let pool = Pool::new(usize::MAX / 2);
        for _ in 0..POOL_BUFFERS_MAX + 10 {
            pool.put(Vec::with_capacity(1));
        }
        assert_eq!(pool.spare.len(), POOL_BUFFERS_MAX);
        while pool.take().capacity() > 0 {}
        assert_eq!(pool.retained_bytes.load(Ordering::Relaxed), 0);
    }
}
