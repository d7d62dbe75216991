//! Leaving: telling the others, and knowing when they have been told.
//!
//! The member's thread says when everyone has been told, and that of the snapshot, if there is one, when it is written; the
//! background thread says when the time is up, if that comes first.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use super::error::ClusterError;
use super::lossy_channel::{Receiver, Sender, lossy_channel};
use super::mailbox::Order;
use super::shared::{LOCAL, Shared};
use crate::protocol::Member;

/// Most leaves of one member that wait for their end at once.
const LEAVES_MAX: usize = 16;

/// A leave under way: wait for it with [`Leave::wait`], or await it. The member leaves in any case.
#[derive(Debug)]
pub struct Leave(Receiver<Result<(), ClusterError>>);

impl Leave {
    /// Waits until the others have been told.
    ///
    /// # Errors
    /// [`ClusterError::LeaveTimedOut`], [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub fn wait(mut self) -> Result<(), ClusterError> {
        self.0.recv().unwrap_or(Err(ClusterError::Stopped))
    }
}

impl Future for Leave {
    type Output = Result<(), ClusterError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = self.get_mut().0.poll_recv(cx);
        result.map(|result| result.unwrap_or(Err(ClusterError::Stopped)))
    }
}

/// How a leave ends, said once.
#[derive(Debug)]
pub(super) struct LeaveOutcome {
    sender: Sender<Result<(), ClusterError>>,
    said: AtomicBool,
    /// What is still to come: the others are told; it is written in the snapshot, if there is one.
    awaited: AtomicU8,
}

impl LeaveOutcome {
    /// Everyone has been told.
    pub(super) fn told(&self) {
        self.one_less();
    }

    /// The snapshot says it.
    pub(super) fn written(&self) {
        self.one_less();
    }

    fn one_less(&self) {
        if self.awaited.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.say(Ok(()));
        }
    }

    /// Says how it ended, unless that has been said.
    pub(super) fn say(&self, result: Result<(), ClusterError>) {
        if !self.said.swap(true, Ordering::AcqRel) {
            self.sender.send(result);
        }
    }

    /// Whether it has ended.
    pub(super) fn is_said(&self) -> bool {
        self.said.load(Ordering::Acquire)
    }
}

/// A leave whose time limit is to be watched.
#[derive(Debug)]
pub(super) struct PendingLeave {
    pub(super) outcome: Arc<LeaveOutcome>,
    pub(super) timeout: Duration,
}

/// Has the member leave.
pub(super) fn start(shared: &Shared, timeout: Duration) -> Leave {
    let (sender, result) = lossy_channel(1);
    let awaited = AtomicU8::new(1 + u8::from(shared.snapshot.is_some()));
    let outcome = Arc::new(LeaveOutcome { sender, said: AtomicBool::new(false), awaited });
    match begin(shared, &outcome) {
        Ok(()) => shared.mailbox.post(Order::Leave(PendingLeave { outcome, timeout })),
        Err(error) => outcome.say(Err(error)),
    }
    Leave(result)
}

/// Tells the member to leave, which says in `outcome` when everyone has been told.
fn begin(shared: &Shared, outcome: &Arc<LeaveOutcome>) -> Result<(), ClusterError> {
    let leaves = shared.count_leave();
    if let Some(snapshot) = &shared.snapshot {
        snapshot.leave(outcome);
    }
    let outcome = Arc::clone(outcome);
    shared.call(move |host, trains| {
        host.observer.leaves = host.observer.leaves.max(leaves);
        if host.member(LOCAL).is_some_and(Member::has_left) {
            // Everybody has been told before.
            return outcome.told();
        }
        if host.observer.leaving.len() >= LEAVES_MAX {
            return outcome.say(Err(ClusterError::Busy));
        }
        // Before the command: alone, the member has told everyone at once.
        host.observer.leaving.push(outcome);
        host.command(LOCAL, trains, |member, now, state, out| member.leave(now, state, out));
    })
}
