//! A bounded queue from the protocol's thread to one receiver that blocks, polls or awaits.
//!
//! The sending side never waits and takes no lock: a full queue loses its oldest entry, and waking costs
//! an atomic exchange.

#![allow(clippy::disallowed_methods, reason = "receivers wait with a time limit")]

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use atomic_waker::AtomicWaker;
use crossbeam::queue::ArrayQueue;

use super::waiting::{block_on, thread_waker};

#[derive(Debug)]
struct LossyChannel<T> {
    queue: ArrayQueue<T>,
    receiver: AtomicWaker,
    sender_gone: AtomicBool,
    receiver_gone: AtomicBool,
}

/// The protocol's end.
#[derive(Debug)]
pub(super) struct Sender<T>(Arc<LossyChannel<T>>);

/// The application's end.
#[derive(Debug)]
pub(super) struct Receiver<T>(Arc<LossyChannel<T>>);

/// A queue of at most `capacity` entries.
pub(super) fn lossy_channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let lossy_channel = Arc::new(LossyChannel {
        queue: ArrayQueue::new(capacity),
        receiver: AtomicWaker::new(),
        sender_gone: AtomicBool::new(false),
        receiver_gone: AtomicBool::new(false),
    });
    (Sender(Arc::clone(&lossy_channel)), Receiver(lossy_channel))
}

impl<T> Sender<T> {
    /// Adds `entry`; gives the oldest one if that had to go for it.
    pub(super) fn send(&self, entry: T) -> Option<T> {
        let lost = self.0.queue.force_push(entry);
        self.0.receiver.wake();
        lost
    }

    /// Whether half of it or more is taken.
    pub(super) fn is_half_full(&self) -> bool {
        self.0.queue.len() * 2 >= self.0.queue.capacity()
    }

    /// Whether nobody receives any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.0.receiver_gone.load(Ordering::Acquire)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.sender_gone.store(true, Ordering::Release);
        self.0.receiver.wake();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.receiver_gone.store(true, Ordering::Release);
    }
}

impl<T> Receiver<T> {
    pub(super) fn try_recv(&mut self) -> Result<T, TryRecvError> {
        if let Some(entry) = self.0.queue.pop() {
            return Ok(entry);
        }
        if !self.0.sender_gone.load(Ordering::Acquire) {
            return Err(TryRecvError::Empty);
        }
        // What was sent before the sender went is visible now.
        self.0.queue.pop().ok_or(TryRecvError::Disconnected)
    }

    /// The next entry; nothing once the sender is gone and the queue empty.
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        for registered in [false, true] {
            match self.try_recv() {
                Ok(entry) => return Poll::Ready(Some(entry)),
                Err(TryRecvError::Disconnected) => return Poll::Ready(None),
                Err(TryRecvError::Empty) if registered => {}
                Err(TryRecvError::Empty) => self.0.receiver.register(cx.waker()),
            }
        }
        Poll::Pending
    }

    /// Waits for the next entry; nothing once the sender is gone and the queue empty.
    pub(super) fn recv(&mut self) -> Option<T> {
        block_on(poll_fn(|cx| self.poll_recv(cx)))
    }

    /// Waits no longer than `timeout`.
    pub(super) fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        // A time that is out of the clock's reach is no limit.
        let Some(deadline) = Instant::now().checked_add(timeout) else {
            return self.recv().ok_or(RecvTimeoutError::Disconnected);
        };
        let waker = thread_waker();
        loop {
            if let Poll::Ready(entry) = self.poll_recv(&mut Context::from_waker(&waker)) {
                return entry.ok_or(RecvTimeoutError::Disconnected);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(RecvTimeoutError::Timeout);
            }
            std::thread::park_timeout(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_loses_its_oldest_entry() {
        let (sender, mut receiver) = lossy_channel(2);
        assert_eq!([sender.send(1), sender.send(2), sender.send(3)], [None, None, Some(1)]);
        assert_eq!((receiver.recv(), receiver.recv()), (Some(2), Some(3)));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn what_was_sent_is_received_after_the_sender_has_gone() {
        let (sender, mut receiver) = lossy_channel(2);
        sender.send(1);
        drop(sender);
        assert_eq!(receiver.recv(), Some(1));
        assert_eq!(receiver.recv(), None);
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn a_waiting_thread_gets_every_entry() {
        let (sender, mut receiver) = lossy_channel(1);
        let receiving = std::thread::spawn(move || std::iter::from_fn(|| receiver.recv()).last());
        for entry in 0..10_000 {
            sender.send(entry);
        }
        drop(sender);
        assert_eq!(receiving.join().unwrap(), Some(9_999));
    }

    #[test]
    fn an_abandoned_queue_says_so() {
        let (sender, receiver) = lossy_channel::<u8>(1);
        assert!(!sender.is_abandoned());
        drop(receiver);
        assert!(sender.is_abandoned());
    }
}
