//! The ways to the snapshot's thread: what it is asked, and what it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::channel;

use crate::cluster::error::ClusterError;
use crate::cluster::leave::LeaveOutcome;
use crate::cluster::lossy_channel::{Receiver, Sender, lossy_channel};

/// Most callers that wait for what they have said to be written.
pub(super) const FLUSHES_MAX: usize = 1_024;

/// How long a member that is shut down waits for its last batch: a disk may hang.
const END_WAIT: Duration = Duration::from_secs(5);

/// What the thread is asked.
pub(super) enum Order {
    /// Write what there is, and say so.
    Write(Waiting),
    /// Write what there is, in the end, and say so.
    End(channel::Sender<()>),
}

/// Who waits for a batch.
pub(super) enum Waiting {
    Caller(Sender<Result<(), ClusterError>>),
    /// A leave is not over before it is written that the member has left.
    Leave(Arc<LeaveOutcome>),
}

impl Waiting {
    pub(super) fn say(&self, result: &Result<(), String>) {
        match self {
            Waiting::Caller(sender) => {
                sender.send(result.clone().map_err(ClusterError::NotWritten));
            }
            // The leave itself has not failed.
            Waiting::Leave(outcome) => outcome.written(),
        }
    }
}

/// What is counted, by the snapshot's thread alone.
#[derive(Debug, Default)]
pub(in crate::cluster) struct SnapshotCounts {
    /// Batches that are on the disk.
    pub(in crate::cluster) batches: AtomicU64,
    /// Times that the file was written anew.
    pub(in crate::cluster) rewrites: AtomicU64,
    pub(in crate::cluster) bytes: AtomicU64,
    pub(in crate::cluster) errors: AtomicU64,
    /// Bytes that were cut off at the start, half written.
    pub(in crate::cluster) torn_bytes: AtomicU64,
    /// Times that more had changed than was noted.
    pub(in crate::cluster) notes_lost: AtomicU64,
    /// Whether the last try has failed.
    pub(in crate::cluster) failing: AtomicBool,
}

/// See the module.
pub(in crate::cluster) struct SnapshotHandle {
    pub(super) orders: channel::Sender<Order>,
    pub(super) counts: Arc<SnapshotCounts>,
    /// The member has left on purpose.
    pub(super) left: Arc<AtomicBool>,
}

impl SnapshotHandle {
    /// Has the thread write what has been said by now. What is given hears of it.
    pub(in crate::cluster) fn write(&self) -> Result<Receiver<Result<(), ClusterError>>, ClusterError> {
        let (sender, receiver) = lossy_channel(1);
        match self.orders.try_send(Order::Write(Waiting::Caller(sender))) {
            Ok(()) => Ok(receiver),
            Err(channel::TrySendError::Full(_)) => Err(ClusterError::Busy),
            Err(channel::TrySendError::Disconnected(_)) => Err(ClusterError::Stopped),
        }
    }

    /// The member leaves on purpose; `outcome` hears when that is written.
    pub(in crate::cluster) fn leave(&self, outcome: &Arc<LeaveOutcome>) {
        self.left.store(true, Ordering::SeqCst);
        if self.orders.try_send(Order::Write(Waiting::Leave(Arc::clone(outcome)))).is_err() {
            // It is written with the next batch.
            outcome.written();
        }
    }

    /// The member joins: what it left is no reason any more to stay away.
    pub(in crate::cluster) fn join(&self) {
        self.left.store(false, Ordering::SeqCst);
    }

    #[cfg(feature = "metrics")]
    pub(in crate::cluster) fn counts(&self) -> &SnapshotCounts {
        &self.counts
    }

    /// Has the thread write what there is, and waits for its end, though not for ever. The member falls silent.
    pub(in crate::cluster) fn end(&self) {
        let (sender, ended) = channel::bounded(1);
        let sent = self.orders.send_timeout(Order::End(sender), END_WAIT);
        // Whether by an answer or by the end of the channel, it has ended.
        if sent.is_ok() && ended.recv_timeout(END_WAIT) == Err(channel::RecvTimeoutError::Timeout) {
            tracing::warn!("the disk does not take the end of the snapshot: the member ends without it");
        }
    }
}

impl std::fmt::Debug for SnapshotHandle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SnapshotHandle").finish_non_exhaustive()
    }
}
