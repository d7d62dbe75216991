//! Direct messages on their way: a queue for each receiver, and what of it is on a stream and not answered.
//!
//! A receiver has at most one stream from here, so that what is sent arrives in order. A stream that ends before its
//! messages are answered is opened anew, and they go again under the same sequences, by which the receiver knows those that
//! it has taken. Nothing here knows sockets: it says what to write where.
//!
//! On memberlist's wire nothing is answered and nothing has a sequence. There each message has a stream of its own, one after
//! the other, and the receiver closes it once it has read the message. If it ends otherwise the message does not go again:
//! nobody could tell the second from the first.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use swimring_codec::MemberId;
use swimring_codec::native::{DirectOutcome, DirectRole, DirectTurn, StreamWriter};

use super::MessageFailure;
use crate::protocol::Time;
use crate::stream::{CloseReason, ExchangeId};

/// Most messages to one receiver that wait to be sent or answered.
pub(super) const QUEUE_MAX: usize = 1_024;
/// Most bytes of them.
pub(super) const QUEUE_BYTES_MAX: usize = 4 << 20;
/// Most bytes that wait for all receivers together.
pub(super) const BYTES_MAX: usize = 64 << 20;
/// Most receivers with messages that wait, or a stream.
pub(super) const RECEIVERS_MAX: usize = 1_024;
/// Most messages on a stream that are not answered. A stream takes 64 turns; each may be answered by one.
pub(super) const WINDOW_MAX: usize = 32;
/// Most bytes of them, unless it is one message.
const WINDOW_BYTES_MAX: usize = 1 << 20;
/// Most streams that a message is tried on.
const STREAMS_TRIED_MAX: u8 = 3;
/// From a stream that ended with messages unanswered to the next.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// A message that waits.
#[derive(Debug)]
struct Waiting {
    ticket: u64,
    sequence: u64,
    role: DirectRole,
    payload: Vec<u8>,
    deadline: Time,
    attempts: u8,
}

/// A stream.
#[derive(Clone, Copy, Debug)]
struct Open {
    token: u64,
    exchange: ExchangeId,
    since: Time,
    /// When it was last written to, or an answer came.
    used: Time,
}

/// What goes to one receiver.
#[derive(Debug)]
struct Receiver {
    to_send: VecDeque<Waiting>,
    in_flight: VecDeque<Waiting>,
    /// Bytes of both.
    bytes: usize,
    open: Option<Open>,
    /// When a stream may be opened.
    retry: Time,
}

/// How a message ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Ended {
    pub(super) ticket: u64,
    pub(super) role: DirectRole,
    /// Nothing if it was taken.
    pub(super) failure: Option<MessageFailure>,
}

/// Where what is ready goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ready {
    /// On a stream that is to be opened.
    NewStream,
    /// On this one.
    On(ExchangeId),
}

/// All messages on their way. See the module.
#[derive(Debug)]
pub(super) struct Outgoing {
    session: u64,
    /// Of the last message.
    sequence: u64,
    receivers: HashMap<MemberId, Receiver>,
    by_token: HashMap<u64, MemberId>,
    bytes: usize,
    /// Streams live so long, and are closed when they have not been used for so long.
    life: Duration,
    idle: Duration,
    /// A stream is for one message, as on memberlist's wire.
    one_each: bool,
}

impl Outgoing {
    pub(super) fn new(session: u64, life: Duration, idle: Duration) -> Outgoing {
        Outgoing {
            session,
            sequence: 0,
            receivers: HashMap::new(),
            by_token: HashMap::new(),
            bytes: 0,
            life,
            idle,
            one_each: false,
        }
    }

    /// The same with a stream for each message, as on memberlist's wire.
    pub(super) fn with_one_each(self) -> Outgoing {
        Outgoing { one_each: true, ..self }
    }

    /// Whether nothing waits and no stream is open.
    pub(super) fn is_empty(&self) -> bool {
        self.receivers.is_empty()
    }

    /// Whether the queue for `to` takes `bytes` more.
    pub(super) fn has_room(&self, to: MemberId, bytes: usize) -> bool {
        if self.bytes + bytes > BYTES_MAX {
            return false;
        }
        match self.receivers.get(&to) {
            Some(queue) => queue.len() < QUEUE_MAX && queue.bytes + bytes <= QUEUE_BYTES_MAX,
            None => self.receivers.len() < RECEIVERS_MAX,
        }
    }

    /// Queues a message to `to`; false if there is no room.
    pub(super) fn push(
        &mut self,
        to: MemberId,
        (ticket, role, deadline): (u64, DirectRole, Time),
        payload: Vec<u8>,
    ) -> bool {
        if !self.has_room(to, payload.len()) {
            return false;
        }
        let queue = self.receivers.entry(to).or_insert_with(Receiver::new);
        queue.bytes += payload.len();
        self.bytes += payload.len();
        // One count for all, so that a receiver may be forgotten and come again.
        self.sequence += 1;
        let sequence = self.sequence;
        queue.to_send.push_back(Waiting { ticket, sequence, role, payload, deadline, attempts: 0 });
        true
    }

    /// Where the next messages to `to` can go, if there are some and they can.
    pub(super) fn ready(&self, to: MemberId, now: Time) -> Option<Ready> {
        let queue = self.receivers.get(&to)?;
        let next = queue.to_send.front()?;
        match queue.open {
            None => (queue.retry <= now).then_some(Ready::NewStream),
            Some(_) if self.one_each => None,
            // An old one ends once all is answered.
            Some(open) if now.since(open.since) >= self.life => None,
            Some(open) => queue.window_takes(next).then_some(Ready::On(open.exchange)),
        }
    }

    /// Writes the next messages to `to`, as many as may be unanswered.
    pub(super) fn write(&mut self, to: MemberId, now: Time, writer: &mut StreamWriter<'_>) {
        let session = self.session;
        let Some(queue) = self.receivers.get_mut(&to) else { return };
        while let Some(next) = queue.to_send.front().filter(|next| queue.window_takes(next)) {
            let turn =
                DirectTurn { session, sequence: next.sequence, role: next.role, payload: &next.payload };
            let written = writer.direct(&turn);
            debug_assert!(written, "lengths and numbers were checked");
            if let Some(mut sent) = queue.to_send.pop_front() {
                sent.attempts += 1;
                queue.in_flight.push_back(sent);
            }
        }
        if let Some(open) = &mut queue.open {
            open.used = now;
        }
    }

    /// The next message to `to`, to be written on a stream of its own.
    pub(super) fn take_one(&mut self, to: MemberId) -> Option<&[u8]> {
        let queue = self.receivers.get_mut(&to)?;
        let sent = queue.to_send.pop_front()?;
        queue.in_flight.push_back(sent);
        queue.in_flight.back().map(|sent| &sent.payload[..])
    }

    /// The stream to `to` is being opened.
    pub(super) fn opened(&mut self, to: MemberId, token: u64, exchange: ExchangeId, now: Time) {
        if let Some(queue) = self.receivers.get_mut(&to) {
            queue.open = Some(Open { token, exchange, since: now, used: now });
            self.by_token.insert(token, to);
        }
    }

    /// Nothing that was written for `to` since its stream was opened counts as sent: there is no stream, or not all has
    /// reached it. What was not answered waits again.
    pub(super) fn broke(&mut self, to: MemberId, now: Time) {
        if let Some(queue) = self.receivers.get_mut(&to) {
            if let Some(open) = queue.open.take() {
                self.by_token.remove(&open.token);
            }
            queue.retry = now + RETRY_AFTER;
            while let Some(sent) = queue.in_flight.pop_back() {
                queue.to_send.push_front(sent);
            }
        }
    }

    /// The receiver of the stream opened with `token`.
    pub(super) fn receiver(&self, token: u64) -> Option<MemberId> {
        self.by_token.get(&token).copied()
    }

    /// The receiver `to` has answered. Nothing if that message does not wait any more.
    pub(super) fn answered(
        &mut self,
        to: MemberId,
        sequence: u64,
        outcome: DirectOutcome,
        now: Time,
    ) -> Option<Ended> {
        let queue = self.receivers.get_mut(&to)?;
        if let Some(open) = &mut queue.open {
            open.used = now;
        }
        let at = queue.in_flight.iter().position(|sent| sent.sequence == sequence)?;
        let sent = queue.in_flight.remove(at)?;
        let failure = match outcome {
            DirectOutcome::Taken => None,
            DirectOutcome::Full => Some(MessageFailure::Full),
            DirectOutcome::Unheard => Some(MessageFailure::Unheard),
            DirectOutcome::Stranger => Some(MessageFailure::Stranger),
        };
        Some(self.end(to, sent, failure))
    }

    fn end(&mut self, to: MemberId, message: Waiting, failure: Option<MessageFailure>) -> Ended {
        self.bytes -= message.payload.len();
        if let Some(queue) = self.receivers.get_mut(&to) {
            queue.bytes -= message.payload.len();
        }
        Ended { ticket: message.ticket, role: message.role, failure }
    }

    /// The stream opened with `token` is over, or could not be opened. Those that were not answered go again, or end.
    pub(super) fn closed(&mut self, token: u64, reason: CloseReason, now: Time) -> Vec<Ended> {
        let Some(to) = self.by_token.remove(&token) else { return Vec::new() };
        let Some(queue) = self.receivers.get_mut(&to) else { return Vec::new() };
        queue.open = None;
        if self.one_each && reason == CloseReason::PeerClosed {
            let read = std::mem::take(&mut queue.in_flight);
            return read.into_iter().map(|message| self.end(to, message, None)).collect();
        }
        let gone = reason.is_refusal();
        let mut over = Vec::new();
        // Lest a full queue is tried without end.
        if !queue.in_flight.is_empty() {
            queue.retry = now + RETRY_AFTER;
        }
        while let Some(sent) = queue.in_flight.pop_back() {
            if gone || self.one_each || sent.attempts >= STREAMS_TRIED_MAX {
                over.push(sent);
            } else {
                queue.to_send.push_front(sent);
            }
        }
        over.reverse();
        if gone {
            over.extend(queue.to_send.drain(..));
        }
        over.into_iter().map(|message| self.end(to, message, Some(MessageFailure::Lost(reason)))).collect()
    }

    /// Gives what ran out of time by `now` to `ended`, the receivers that can be sent something to `ready`, and the
    /// streams that are to be closed to `close`.
    pub(super) fn tick(
        &mut self,
        now: Time,
        ended: &mut Vec<Ended>,
        ready: &mut Vec<MemberId>,
        close: &mut Vec<ExchangeId>,
    ) {
        let (life, idle) = (self.life, self.idle);
        for (to, queue) in &mut self.receivers {
            for list in [&mut queue.in_flight, &mut queue.to_send] {
                let mut at = 0;
                while let Some(message) = list.get(at) {
                    if message.deadline > now {
                        at += 1;
                    } else if let Some(late) = list.remove(at) {
                        queue.bytes -= late.payload.len();
                        self.bytes -= late.payload.len();
                        let (ticket, role) = (late.ticket, late.role);
                        ended.push(Ended { ticket, role, failure: Some(MessageFailure::TimedOut) });
                    }
                }
            }
            if let Some(open) = queue.open
                && queue.in_flight.is_empty()
                && (now.since(open.used) >= idle || now.since(open.since) >= life)
            {
                close.push(open.exchange);
                self.by_token.remove(&open.token);
                queue.open = None;
            }
            if !queue.to_send.is_empty() {
                ready.push(*to);
            }
        }
        self.receivers.retain(|_, queue| queue.open.is_some() || queue.len() > 0);
    }
}

impl Receiver {
    fn new() -> Receiver {
        Receiver {
            to_send: VecDeque::new(),
            in_flight: VecDeque::new(),
            bytes: 0,
            open: None,
            retry: Time::ZERO,
        }
    }

    fn len(&self) -> usize {
        self.to_send.len() + self.in_flight.len()
    }

    /// Whether `next` may be on the stream too.
    fn window_takes(&self, next: &Waiting) -> bool {
        let bytes: usize = self.in_flight.iter().map(|sent| sent.payload.len()).sum();
        let fits = self.in_flight.is_empty() || bytes + next.payload.len() <= WINDOW_BYTES_MAX;
        fits && self.in_flight.len() < WINDOW_MAX
    }
}
