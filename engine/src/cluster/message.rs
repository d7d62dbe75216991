//! Direct messages as the application has them: received ones, questions to reply to, and what was sent and may be waited
//! for.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;
use swimring_codec::MemberId;

use super::error::ClusterError;
use super::lossy_channel::{Receiver, Sender, lossy_channel};
use super::requests;
use super::shared::Shared;
use super::waiting::block_on;
use crate::worker::MessageFailure;

/// Most bytes of direct messages that wait for subscribers.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Most callers that wait for room in a queue of messages.
pub(super) const ROOM_AWAITED_MAX: usize = 1_024;

/// What another member's application said to this one.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DirectMessage {
    /// The name of the member that sent it.
    pub from: Arc<str>,
    /// What it said.
    pub payload: Bytes,
    /// Sent with [`Cluster::send_reliable`](super::Cluster::send_reliable): its sender is told that it has arrived.
    pub acknowledged: bool,
}

/// A question that another member's application asks this one with [`Cluster::ask`](super::Cluster::ask). Clones are the
/// same question: the first reply counts.
#[derive(Clone, Debug)]
pub struct Question {
    from: Arc<str>,
    payload: Bytes,
    asker: MemberId,
    number: u64,
    replied: Arc<AtomicBool>,
    cluster: Weak<Shared>,
}

impl PartialEq for Question {
    fn eq(&self, other: &Question) -> bool {
        Arc::ptr_eq(&self.replied, &other.replied)
    }
}

impl Eq for Question {}

impl Question {
    pub(super) fn new(
        from: Arc<str>,
        payload: Bytes,
        asker: MemberId,
        number: u64,
        cluster: Weak<Shared>,
    ) -> Question {
        Question { from, payload, asker, number, replied: Arc::default(), cluster }
    }

    /// The name of the member that asks.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// What it asks.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Replies, with up to 512 KiB. Returns once the reply is on its way; what is returned can be waited for, or dropped.
    ///
    /// # Errors
    /// [`ClusterError::Replied`] if it was replied to before, otherwise as
    /// [`Cluster::send_reliable`](super::Cluster::send_reliable); then it can be replied to again.
    pub fn reply(&self, payload: impl Into<Bytes>) -> Result<SentMessage, ClusterError> {
        block_on(self.reply_async(payload))
    }

    /// The same, awaited.
    ///
    /// # Errors
    /// As [`Question::reply`].
    pub async fn reply_async(&self, payload: impl Into<Bytes>) -> Result<SentMessage, ClusterError> {
        let cluster = self.cluster.upgrade().ok_or(ClusterError::Stopped)?;
        if self.replied.swap(true, Ordering::SeqCst) {
            return Err(ClusterError::Replied);
        }
        let sent = requests::reply(&cluster, self.asker, self.number, payload.into()).await;
        if sent.is_err() {
            self.replied.store(false, Ordering::SeqCst);
        }
        sent
    }
}

/// What became of a message or question of our own.
pub(super) type Ended = Result<Bytes, MessageFailure>;

/// A direct message on its way over a stream. It can be waited for with [`SentMessage::wait`], or awaited, until the
/// receiver's application has it or it is known that it was not delivered; or dropped, which changes nothing about it.
#[derive(Debug)]
pub struct SentMessage(Receiver<Ended>);

impl SentMessage {
    /// Waits until the message has arrived, no longer than `timeout`. The outcome is given once;
    /// [`ClusterError::Stopped`] afterwards.
    ///
    /// # Errors
    /// [`ClusterError::Undelivered`], at the latest 10 s after it was sent; [`ClusterError::MessageTimedOut`], after which it
    /// can be waited for again; [`ClusterError::Stopped`].
    pub fn wait(&mut self, timeout: Duration) -> Result<(), ClusterError> {
        match self.0.recv_timeout(timeout) {
            Ok(ended) => ended.map(drop).map_err(ClusterError::Undelivered),
            Err(RecvTimeoutError::Timeout) => Err(ClusterError::MessageTimedOut(timeout)),
            Err(RecvTimeoutError::Disconnected) => Err(ClusterError::Stopped),
        }
    }

    /// The reply, if it is a question.
    pub(super) async fn reply(mut self) -> Result<Bytes, ClusterError> {
        let ended = std::future::poll_fn(|cx| self.0.poll_recv(cx)).await;
        ended.ok_or(ClusterError::Stopped)?.map_err(ClusterError::NoReply)
    }
}

impl Future for SentMessage {
    type Output = Result<(), ClusterError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll_recv(cx).map(|ended| match ended {
            Some(ended) => ended.map(drop).map_err(ClusterError::Undelivered),
            None => Err(ClusterError::Stopped),
        })
    }
}

/// The protocol's side: what was sent and has not ended, by ticket. The worker's bounds are its bounds.
#[derive(Default)]
pub(super) struct AwaitedMessages {
    waiting: HashMap<u64, Sender<Ended>>,
    ticket: u64,
    /// Those that wait for room.
    room: Vec<Sender<()>>,
}

impl AwaitedMessages {
    /// The next ticket; never 0.
    pub(super) fn next_ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// What `ticket` stands for has been sent.
    pub(super) fn sent(&mut self, ticket: u64) -> SentMessage {
        let (sender, receiver) = lossy_channel(1);
        self.waiting.insert(ticket, sender);
        SentMessage(receiver)
    }

    /// What `ticket` stands for was not sent after all.
    pub(super) fn forget(&mut self, ticket: u64) {
        self.waiting.remove(&ticket);
    }

    /// It has ended, which makes room.
    pub(super) fn ended(&mut self, ticket: u64, ended: Ended) {
        if let Some(waiting) = self.waiting.remove(&ticket) {
            waiting.send(ended);
        }
        for waiting in self.room.drain(..) {
            waiting.send(());
        }
    }

    /// Has `waiting` know when there may be room. False if too many wait.
    pub(super) fn await_room(&mut self, waiting: Sender<()>) -> bool {
        if self.room.len() >= ROOM_AWAITED_MAX {
            self.room.retain(|waiting| !waiting.is_abandoned());
        }
        let takes = self.room.len() < ROOM_AWAITED_MAX;
        if takes {
            self.room.push(waiting);
        }
        takes
    }
}

/// Bytes that wait for subscribers, as long as one of them has not taken them.
#[derive(Debug)]
pub(super) struct Charge {
    bytes: usize,
    all: Arc<AtomicUsize>,
}

impl Charge {
    /// Takes `bytes` of what may wait; nothing if that is too much.
    pub(super) fn take(all: &Arc<AtomicUsize>, bytes: usize) -> Option<Arc<Charge>> {
        // Only the protocol's thread takes.
        if all.load(Ordering::Relaxed) + bytes > MESSAGE_BYTES_MAX {
            return None;
        }
        all.fetch_add(bytes, Ordering::Relaxed);
        Some(Arc::new(Charge { bytes, all: Arc::clone(all) }))
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_wait_are_bounded_and_given_back_when_the_last_has_taken_them() {
        let all = Arc::default();
        let one = Charge::take(&all, MESSAGE_BYTES_MAX).unwrap();
        assert!(Charge::take(&all, 1).is_none());
        let other = Arc::clone(&one);
        drop(one);
        assert!(Charge::take(&all, 1).is_none());
        drop(other);
        assert!(Charge::take(&all, 1).is_some());
    }

    #[test]
    fn those_that_wait_for_room_are_bounded_and_told_when_something_has_ended() {
        let mut awaited = AwaitedMessages::default();
        let mut kept = Vec::new();
        for _ in 0..ROOM_AWAITED_MAX {
            let (sender, receiver) = lossy_channel(1);
            assert!(awaited.await_room(sender));
            kept.push(receiver);
        }
        assert!(!awaited.await_room(lossy_channel(1).0));
        kept.truncate(1);
        assert!(awaited.await_room(lossy_channel(1).0), "the abandoned make room");
        let ticket = awaited.next_ticket();
        let mut sent = awaited.sent(ticket);
        assert!(matches!(sent.wait(Duration::ZERO), Err(ClusterError::MessageTimedOut(_))));
        awaited.ended(ticket, Err(MessageFailure::Full));
        assert!(matches!(sent.wait(Duration::ZERO), Err(ClusterError::Undelivered(MessageFailure::Full))));
        assert!(matches!(sent.wait(Duration::ZERO), Err(ClusterError::Stopped)), "it is given once");
        assert_eq!(kept[0].try_recv(), Ok(()));
    }
}
