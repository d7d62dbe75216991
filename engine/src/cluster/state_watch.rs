//! A watcher's end: the changes of shared state, one after the other; and the protocol's side of it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use swimring_codec::MemberId;

use super::dispatcher::SUBSCRIBERS_MAX;
use super::lossy_channel::{Receiver, Sender};
use super::state::{StateEntry, name_of};
use super::subscription::{InOrder, Lagging, Numbered};
use crate::protocol::{SharedState, StateChange};

/// A change of shared state.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StateEvent {
    /// A key has a new value.
    Set(StateEntry),
    /// A key has no value any more.
    Deleted {
        /// The member whose key it was; nothing for a key of the cluster.
        member: Option<Arc<str>>,
        /// The key.
        key: Arc<str>,
    },
    /// So many changes were lost, since the watcher did not keep up.
    Lagged(u64),
}

impl Lagging for StateEvent {
    fn lagged(lost: u64) -> StateEvent {
        StateEvent::Lagged(lost)
    }
}

/// Receives the changes of keys, blocking or as a [`Stream`] on any executor. Made with
/// [`ClusterState::watch`](super::ClusterState::watch); its bound is that of [`Events`](super::Events).
#[derive(Debug)]
#[must_use = "changes that nobody receives are lost"]
pub struct StateWatch(InOrder<StateEvent>);

impl StateWatch {
    pub(super) fn new(receiver: Receiver<Numbered<StateEvent>>) -> StateWatch {
        StateWatch(InOrder::new(receiver, 0))
    }

    /// Waits for the next change; `None` once the cluster has been shut down.
    pub fn recv(&mut self) -> Option<StateEvent> {
        self.0.recv()
    }

    /// Waits for the next change no longer than `timeout`.
    ///
    /// # Errors
    /// `Timeout` if none came, `Disconnected` once the cluster has been shut down.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<StateEvent, RecvTimeoutError> {
        self.0.recv_timeout(timeout)
    }

    /// The next change, if one waits.
    ///
    /// # Errors
    /// `Empty` if none does, `Disconnected` once the cluster has been shut down.
    pub fn try_recv(&mut self) -> Result<StateEvent, TryRecvError> {
        self.0.try_recv()
    }
}

impl Stream for StateWatch {
    type Item = StateEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<StateEvent>> {
        self.get_mut().0.poll(cx)
    }
}

/// One who watches.
struct Watcher {
    prefix: String,
    sender: Sender<Numbered<StateEvent>>,
    /// The number of the next change.
    next: u64,
}

/// Those who watch, on the protocol's thread.
#[derive(Default)]
pub(super) struct Watchers(Vec<Watcher>);

impl Watchers {
    /// Adds one; false if there are too many.
    pub(super) fn add(&mut self, prefix: String, sender: Sender<Numbered<StateEvent>>) -> bool {
        self.0.retain(|watcher| !watcher.sender.is_abandoned());
        let room = self.0.len() < SUBSCRIBERS_MAX;
        if room {
            self.0.push(Watcher { prefix, sender, next: 0 });
        }
        room
    }

    /// Tells those who watch of `changes`. Gives how many events slow ones lost.
    pub(super) fn tell(&mut self, changes: &[StateChange], shared: &SharedState) -> u64 {
        self.0.retain(|watcher| !watcher.sender.is_abandoned());
        let mut lost = 0;
        for change in changes {
            let watching = |watcher: &&mut Watcher| change.key.starts_with(&watcher.prefix);
            let mut watching = self.0.iter_mut().filter(watching).peekable();
            if watching.peek().is_none() {
                continue;
            }
            let Some(event) = event(change, shared) else { continue };
            for watcher in watching {
                let numbered = Numbered { number: watcher.next, event: event.clone(), charge: None };
                lost += u64::from(watcher.sender.send(numbered).is_some());
                watcher.next += 1;
            }
        }
        lost
    }
}

/// What those who watch are told of `change`; nothing if its owner is not known yet.
fn event(change: &StateChange, shared: &SharedState) -> Option<StateEvent> {
    let StateChange { owner, key, value } = change;
    if let Some(value) = value {
        return StateEntry::of(shared, *owner, key, value).map(StateEvent::Set);
    }
    let member = if *owner == MemberId::NONE { None } else { Some(name_of(shared, *owner)?) };
    Some(StateEvent::Deleted { member, key: Arc::clone(key) })
}
