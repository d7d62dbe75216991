//! The way to the background thread: orders in a queue, and a waker that ends its wait.
//!
//! The queue has no bound of its own: it holds what joins, leaves and shutdowns under way have to say, and those
//! are bounded where they begin.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::Waker;

use atomic_waker::AtomicWaker;
use crossbeam::channel;

use super::join::{JoinId, JoinProgress, NewJoin};
use super::leave::PendingLeave;
use super::lossy_channel::Sender;

/// What the background thread is told.
pub(super) enum Order {
    /// Carry out a join.
    Join(Box<NewJoin>),
    /// A join under way has heard of an address or a name.
    Progress {
        /// The join.
        join: JoinId,
        /// What it has heard.
        progress: JoinProgress,
    },
    /// Watch the time limit of a leave.
    Leave(PendingLeave),
    /// Drop this once the member has stopped.
    Shutdown(Sender<Infallible>),
}

/// The end that orders are posted to.
#[derive(Clone)]
pub(super) struct Mailbox {
    orders: channel::Sender<Order>,
    waker: Arc<AtomicWaker>,
}

/// The background thread's end.
pub(super) struct Inbox {
    orders: channel::Receiver<Order>,
    waker: Arc<AtomicWaker>,
}

/// An empty queue.
pub(super) fn mailbox() -> (Mailbox, Inbox) {
    let (sender, receiver) = channel::unbounded();
    let waker = Arc::new(AtomicWaker::new());
    (Mailbox { orders: sender, waker: Arc::clone(&waker) }, Inbox { orders: receiver, waker })
}

impl Mailbox {
    /// Gives an order. Once the thread has ended it is dropped, and the end of its channel tells those who wait.
    pub(super) fn post(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            self.wake();
        }
    }

    /// Has the thread look at what there is.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

impl Inbox {
    /// Has `waker` woken by what is posted from now on.
    pub(super) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// The next order, if there is one.
    pub(super) fn take(&self) -> Option<Order> {
        self.orders.try_recv().ok()
    }
}
