//! A subscriber's end: the events of a cluster, one after the other.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use super::event::ClusterEvent;
use super::lossy_channel::Receiver;
use super::message::Charge;

/// An event with its number among all of its kind, by which a gap is seen.
#[derive(Debug)]
pub(super) struct Numbered<E = ClusterEvent> {
    pub(super) number: u64,
    pub(super) event: E,
    /// What a direct message takes of the bytes that may wait, until it is taken out.
    pub(super) charge: Option<Arc<Charge>>,
}

/// Events of a kind that can say that some were lost.
pub(super) trait Lagging {
    /// So many were.
    fn lagged(lost: u64) -> Self;
}

impl Lagging for ClusterEvent {
    fn lagged(lost: u64) -> ClusterEvent {
        ClusterEvent::Lagged(lost)
    }
}

/// The receiving end of numbered events: where some were lost it says so, at their place.
#[derive(Debug)]
pub(super) struct InOrder<E> {
    receiver: Receiver<Numbered<E>>,
    /// The number the next event should have.
    expected: u64,
    /// The event after a gap that has been given.
    ahead: Option<E>,
}

impl<E: Lagging> InOrder<E> {
    /// Receives what is numbered from `expected` on.
    pub(super) fn new(receiver: Receiver<Numbered<E>>, expected: u64) -> InOrder<E> {
        InOrder { receiver, expected, ahead: None }
    }

    pub(super) fn recv(&mut self) -> Option<E> {
        if let Some(event) = self.ahead.take() {
            return Some(event);
        }
        let next = self.receiver.recv()?;
        Some(self.in_order(next))
    }

    pub(super) fn recv_timeout(&mut self, timeout: Duration) -> Result<E, RecvTimeoutError> {
        if let Some(event) = self.ahead.take() {
            return Ok(event);
        }
        let next = self.receiver.recv_timeout(timeout)?;
        Ok(self.in_order(next))
    }

    pub(super) fn try_recv(&mut self) -> Result<E, TryRecvError> {
        if let Some(event) = self.ahead.take() {
            return Ok(event);
        }
        let next = self.receiver.try_recv()?;
        Ok(self.in_order(next))
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<E>> {
        if let Some(event) = self.ahead.take() {
            return Poll::Ready(Some(event));
        }
        self.receiver.poll_recv(cx).map(|next| next.map(|next| self.in_order(next)))
    }

    /// `event`, or first the gap before it.
    fn in_order(&mut self, Numbered { number, event, charge }: Numbered<E>) -> E {
        drop(charge);
        let lost = number - self.expected;
        self.expected = number + 1;
        if lost == 0 {
            return event;
        }
        self.ahead = Some(event);
        E::lagged(lost)
    }
}

/// Receives the events of a [`Cluster`](super::Cluster), blocking or as a [`Stream`] on any executor.
///
/// At most `events_queued_max` events wait. A subscriber that falls further behind loses the oldest ones
/// and is told how many with [`ClusterEvent::Lagged`], at their place; the protocol never waits for it.
/// After the cluster has been shut down the events that wait are still delivered, and then there is an
/// end.
///
/// `for event in events` waits for each and ends with the cluster; `for event in &mut events` leaves the
/// subscription for afterwards.
///
/// ```
/// use swimring::{Cluster, ClusterEvent};
///
/// # fn main() -> Result<(), swimring::ClusterError> {
/// let cluster = Cluster::builder("web-1").bind("127.0.0.1:0").start()?;
/// let events = cluster.subscribe()?;
/// cluster.shutdown();
/// for event in events {
///     if let ClusterEvent::Failed { member, .. } = event {
///         println!("{} is gone", member.name);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "events that nobody receives are lost"]
pub struct Events(InOrder<ClusterEvent>);

impl Events {
    /// Receives what is numbered from 0 on.
    pub(super) fn new(receiver: Receiver<Numbered>) -> Events {
        Events(InOrder::new(receiver, 0))
    }

    /// Waits for the next event; `None` once the cluster has been shut down.
    pub fn recv(&mut self) -> Option<ClusterEvent> {
        self.0.recv()
    }

    /// Waits for the next event no longer than `timeout`.
    ///
    /// # Errors
    /// `Timeout` if none came, `Disconnected` once the cluster has been shut down.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<ClusterEvent, RecvTimeoutError> {
        self.0.recv_timeout(timeout)
    }

    /// The next event, if one waits.
    ///
    /// # Errors
    /// `Empty` if none does, `Disconnected` once the cluster has been shut down.
    pub fn try_recv(&mut self) -> Result<ClusterEvent, TryRecvError> {
        self.0.try_recv()
    }

    /// The events, waiting for each, until the cluster is shut down: what `for event in &mut events` goes
    /// through.
    ///
    /// [`Events`] is no iterator itself, so that `next` is not ambiguous where it is used as a stream.
    pub fn iter(&mut self) -> EventsIter<'_> {
        EventsIter(self)
    }
}

/// The events of an [`Events`] that is kept, waiting for each; see [`Events::iter`].
#[derive(Debug)]
#[must_use = "an iterator does nothing by itself"]
pub struct EventsIter<'a>(&'a mut Events);

impl Iterator for EventsIter<'_> {
    type Item = ClusterEvent;

    fn next(&mut self) -> Option<ClusterEvent> {
        self.0.recv()
    }
}

/// The events of an [`Events`], waiting for each, until the cluster is shut down. Dropping it ends the
/// subscription.
#[derive(Debug)]
#[must_use = "an iterator does nothing by itself"]
pub struct EventsIntoIter(Events);

impl Iterator for EventsIntoIter {
    type Item = ClusterEvent;

    fn next(&mut self) -> Option<ClusterEvent> {
        self.0.recv()
    }
}

impl IntoIterator for Events {
    type Item = ClusterEvent;
    type IntoIter = EventsIntoIter;

    fn into_iter(self) -> EventsIntoIter {
        EventsIntoIter(self)
    }
}

impl<'a> IntoIterator for &'a mut Events {
    type Item = ClusterEvent;
    type IntoIter = EventsIter<'a>;

    fn into_iter(self) -> EventsIter<'a> {
        self.iter()
    }
}

impl Stream for Events {
    type Item = ClusterEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ClusterEvent>> {
        self.get_mut().0.poll(cx)
    }
}
