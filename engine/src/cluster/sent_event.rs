//! A user event on its way: knowing when it has been told.
//!
//! The member's thread says so, once for each event. What waits here is bounded, and an event that nobody waits for
//! any more makes room.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::RecvTimeoutError;
use std::task::{Context, Poll};
use std::time::Duration;

use hashbrown::HashMap;

use super::error::ClusterError;
use super::lossy_channel::{Receiver, Sender, lossy_channel};

/// Most events of one member that are waited for at once.
const EVENTS_AWAITED_MAX: usize = 1_024;

/// A user event on its way. It can be waited for with [`SentEvent::wait`], or awaited; or dropped, which changes
/// nothing about the event.
///
/// With delegated broadcast (the native wire, unless `dissemination = "gossip"`) it is told once every member that this one
/// asked to tell its part of the cluster has acknowledged that, some milliseconds after it was sent where nothing is lost, and those members see to the rest.
/// Parts in which nobody acknowledges are given up after the last attempt: about a second later where round trips take a
/// few milliseconds, within 13 seconds if none has been measured yet, and at most two minutes where they take two seconds.
/// With gossip it is told once this member has sent it as often as any news. If nobody else is there, it is told at once.
///
/// ```no_run
/// use std::time::Duration;
///
/// # fn main() -> Result<(), swimring::ClusterError> {
/// # let cluster = swimring::Cluster::builder("web-1").start()?;
/// let outcome = cluster.send_event("deploy", b"v2")?.wait(Duration::from_secs(5))?;
/// if !outcome.is_complete() {
///     println!("{} parts of the cluster may have missed it", outcome.given_up);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SentEvent(Receiver<EventOutcome>);

/// What became of a user event, as far as its sender can know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct EventOutcome {
    /// Parts of the cluster in which nobody acknowledged the event: their members may have missed it. With gossip 1 if
    /// it could not be sent as often as any news, because it grew too old or the member left; otherwise 0.
    pub given_up: u32,
}

impl EventOutcome {
    /// Whether nothing was given up.
    pub fn is_complete(&self) -> bool {
        self.given_up == 0
    }
}

impl SentEvent {
    /// Waits until the event has been told, no longer than `timeout`. The outcome is given once;
    /// [`ClusterError::Stopped`] afterwards.
    ///
    /// # Errors
    /// [`ClusterError::EventTimedOut`], after which it can be waited for again; [`ClusterError::Stopped`].
    pub fn wait(&mut self, timeout: Duration) -> Result<EventOutcome, ClusterError> {
        self.0.recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => ClusterError::EventTimedOut(timeout),
            RecvTimeoutError::Disconnected => ClusterError::Stopped,
        })
    }
}

impl Future for SentEvent {
    type Output = Result<EventOutcome, ClusterError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll_recv(cx).map(|outcome| outcome.ok_or(ClusterError::Stopped))
    }
}

/// The protocol's side: the events that are waited for, by sequence number.
#[derive(Default)]
pub(super) struct AwaitedEvents {
    waiting: HashMap<u32, Sender<EventOutcome>>,
    /// What was told last without having been waited for: an event with nobody else there is told before its number
    /// is known.
    at_once: Option<(u32, EventOutcome)>,
}

impl AwaitedEvents {
    /// Whether one more can be waited for.
    pub(super) fn has_room(&mut self) -> bool {
        if self.waiting.len() >= EVENTS_AWAITED_MAX {
            self.waiting.retain(|_, waiting| !waiting.is_abandoned());
        }
        self.at_once = None;
        self.waiting.len() < EVENTS_AWAITED_MAX
    }

    /// Waits for the event that was just sent as `sequence`.
    pub(super) fn sent(&mut self, sequence: u32) -> SentEvent {
        let (sender, receiver) = lossy_channel(1);
        match self.at_once.take() {
            Some((told, outcome)) if told == sequence => {
                sender.send(outcome);
            }
            _ => {
                self.waiting.insert(sequence, sender);
            }
        }
        SentEvent(receiver)
    }

    /// The event `sequence` has been told.
    pub(super) fn told(&mut self, sequence: u32, given_up: u32) {
        let outcome = EventOutcome { given_up };
        match self.waiting.remove(&sequence) {
            Some(waiting) => drop(waiting.send(outcome)),
            None => self.at_once = Some((sequence, outcome)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_bounded_and_what_is_dropped_makes_room() {
        let mut awaited = AwaitedEvents::default();
        let mut kept: Vec<_> = (0..EVENTS_AWAITED_MAX as u32)
            .map(|sequence| {
                assert!(awaited.has_room());
                awaited.sent(sequence)
            })
            .collect();
        assert!(!awaited.has_room());
        kept.truncate(1);
        assert!(awaited.has_room());
        awaited.told(0, 3);
        let outcome = kept[0].wait(Duration::ZERO).unwrap();
        assert_eq!((outcome.given_up, outcome.is_complete()), (3, false));
        assert!(matches!(kept[0].wait(Duration::ZERO), Err(ClusterError::Stopped)), "it is given once");
    }

    #[test]
    fn what_is_told_before_its_number_is_known_is_not_missed_and_not_mistaken() {
        let mut awaited = AwaitedEvents::default();
        awaited.told(7, 0);
        assert!(awaited.sent(7).wait(Duration::ZERO).unwrap().is_complete());
        awaited.told(8, 0);
        let timed_out = awaited.sent(9).wait(Duration::ZERO).unwrap_err();
        assert!(matches!(timed_out, ClusterError::EventTimedOut(_)), "{timed_out}");
    }
}
