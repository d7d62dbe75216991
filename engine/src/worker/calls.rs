//! Calls from other threads, which a worker takes between its datagrams and its timers.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::queue::ArrayQueue;

use super::host::Host;
use crate::net::Trains;

/// What another thread asks a worker to do, once.
pub(super) type Call<O> = Box<dyn FnOnce(&mut Host<O>, &mut Trains) + Send>;

/// Most calls that wait for a worker. A caller that is faster than the worker gets an error.
const CALLS_WAITING_MAX: usize = 1024;

/// Calls that wait for the worker. Once it has ended no call stays behind: its caller would wait for ever.
pub(super) struct Calls<O> {
    queue: ArrayQueue<Call<O>>,
    ended: AtomicBool,
    /// The error that the worker's driver ended with.
    cause: OnceLock<String>,
}

/// Why a call was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// Too many wait.
    Full,
    /// The worker has ended.
    Ended,
}

impl<O> Calls<O> {
    pub(super) fn new() -> Calls<O> {
        Calls {
            queue: ArrayQueue::new(CALLS_WAITING_MAX),
            ended: AtomicBool::new(false),
            cause: OnceLock::new(),
        }
    }

    pub(super) fn push(&self, call: Call<O>) -> Result<(), Refused> {
        let pushed = self.queue.push(call);
        // The worker says that it has ended, then drains; we push, then look. The second of
        // us sees what the first did.
        if self.ended.load(Ordering::SeqCst) {
            self.drain();
            return Err(Refused::Ended);
        }
        pushed.map_err(|_| Refused::Full)
    }

    pub(super) fn pop(&self) -> Option<Call<O>> {
        self.queue.pop()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The worker is about to end, because of this.
    pub(super) fn failed(&self, cause: String) {
        // A worker ends once.
        let _ = self.cause.set(cause);
    }

    /// Why the worker has ended, if something was the matter.
    pub(super) fn cause(&self) -> Option<&str> {
        self.cause.get().map(String::as_str)
    }

    /// The worker ends: calls that wait are dropped, and those that come refused.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.drain();
    }

    fn drain(&self) {
        while self.queue.pop().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::observer::Observer;
    use super::*;

    /// Hears nothing.
    struct Deaf;

    impl Observer for Deaf {
        fn event(&mut self, _: &super::super::EventContext<'_>, _: &crate::protocol::Event) {}
    }

    #[test]
    fn no_call_waits_for_a_worker_that_has_ended() {
        let calls: Calls<Deaf> = Calls::new();
        let waiting = Arc::new(());
        let call = || -> Call<Deaf> {
            let waiting = Arc::clone(&waiting);
            Box::new(move |_, _| drop(waiting))
        };
        assert_eq!(calls.push(call()), Ok(()));
        assert_eq!(Arc::strong_count(&waiting), 2);
        calls.end();
        assert_eq!(Arc::strong_count(&waiting), 1, "what waited is dropped");
        assert_eq!(calls.push(call()), Err(Refused::Ended));
        assert_eq!(Arc::strong_count(&waiting), 1, "and what comes as well");
    }

    #[test]
    fn calls_have_a_bound() {
        let calls: Calls<Deaf> = Calls::new();
        let pushed = (0..=CALLS_WAITING_MAX).map(|_| calls.push(Box::new(|_, _| {})));
        assert_eq!(pushed.last(), Some(Err(Refused::Full)));
    }
}
