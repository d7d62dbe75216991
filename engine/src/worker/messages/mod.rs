//! Direct messages over streams, from the application of one member to that of another: acknowledged, in order, once.
//!
//! `outgoing` has what is on its way and `incoming` what has come; both are plain values. Here they meet the worker's
//! streams and its observer. A host has none of it before the first message. On memberlist's wire they are its reliable user
//! messages: a stream each, which the receiver closes when it has read it, and no questions.

mod incoming;
mod outgoing;

use std::fmt;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use swimring_codec::native::{DirectOutcome, DirectRole, DirectTurn, FrameHeader, StreamWriter};
use swimring_codec::{MemberId, canonical};

use self::incoming::Incoming;
use self::outgoing::{Ended, Outgoing, Ready};
use super::host::Host;
use super::members::HostedMember;
use super::observer::{EventContext, Observer};
use crate::protocol::{MemberError, StreamNext, Time};
use crate::stream::{CloseReason, ExchangeId};

/// The member that sends: a worker's first. All receive.
const SENDER: HostedMember = 0;
/// Set in the tokens of streams of direct messages; those of members' streams are small numbers.
const TOKEN_BIT: u64 = 1 << 63;
/// Most streams of direct messages that others keep open here: on more the answer is the end, so that joins find a place.
const KEPT_MAX: usize = 64;
/// How often what runs out of time is looked for.
const TICK: Duration = Duration::from_millis(20);
/// A stream that nothing was said on for so long is closed; before either end takes its silence for a fault.
const IDLE: Duration = Duration::from_secs(2);
/// Most questions that are not answered.
const QUESTIONS_MAX: usize = 1_024;

/// Why a direct message was not delivered. Displays as a sentence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MessageFailure {
    /// The queue of the receiver's application is full.
    Full,
    /// The receiver's application listens to no events.
    Unheard,
    /// The receiver does not hold this member live: not yet, or not any more.
    Stranger,
    /// It was not answered in time. It may have been delivered.
    TimedOut,
    /// The connection ended. It may have been delivered, unless the connection was refused.
    Lost(CloseReason),
}

impl fmt::Display for MessageFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageFailure::Full => out.write_str("the receiver's queue is full: send more slowly"),
            MessageFailure::Unheard => out.write_str("the receiver's application subscribes to no events"),
            MessageFailure::Stranger => {
                out.write_str("the receiver does not know this member as live: try again in a moment")
            }
            MessageFailure::TimedOut => out.write_str("no answer came in time; it may have been delivered"),
            MessageFailure::Lost(reason) => write!(out, "{reason}"),
        }
    }
}

/// How a direct message, or a question, that a member sent over a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageEnd<'a> {
    /// The receiver's application has it.
    Delivered,
    /// The reply to a question.
    Replied(&'a [u8]),
    /// It was not delivered, or not replied to.
    Failed(MessageFailure),
}

/// A direct message that has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceivedMessage<'a> {
    /// Who sent it: a live member.
    pub from: MemberId,
    /// What it says.
    pub payload: &'a [u8],
    /// Over a stream, so that its sender is told what became of it.
    pub acknowledged: bool,
    /// The number to reply with, if it is a question.
    pub question: Option<u64>,
}

/// What became of a direct message that has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reception {
    /// The application has it.
    Taken,
    /// There is no room for it.
    Full,
    /// Nobody listens.
    Unheard,
}

/// Why a direct message cannot be queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueRefusal {
    /// The member would refuse it, too.
    Member(MemberError),
    /// Too many wait.
    Full,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Messages {
    outgoing: Outgoing,
    incoming: Incoming,
    /// Streams that others keep open here.
    kept: HashSet<ExchangeId>,
    /// Whom questions were asked, and until when they may be answered.
    questions: HashMap<u64, (MemberId, Time)>,
    tokens: u64,
    next_tick: Time,
}

impl<O: Observer> Host<O> {
    fn messages(&mut self) -> &mut Messages {
        let (rng, life, of_memberlist) = (&mut self.rng, self.stream_life, self.opener.is_some());
        self.messages.get_or_insert_with(|| {
            let outgoing = Outgoing::new(rng.u64(..), life, IDLE.min(life / 2));
            Box::new(Messages {
                outgoing: if of_memberlist { outgoing.with_one_each() } else { outgoing },
                incoming: Incoming::default(),
                kept: HashSet::new(),
                questions: HashMap::new(),
                tokens: 0,
                next_tick: Time::ZERO,
            })
        })
    }

    /// Queues a direct message of the worker's first member to the live member `to`. [`Observer::message_ended`] follows with `ticket`, by
    /// which the caller knows it; for a question, [`DirectRole::Question`] with the same number, with the reply. On memberlist's
    /// wire there are messages alone, and in a pool of Serf's not even those.
    ///
    /// # Errors
    /// [`QueueRefusal`]; nothing is queued then.
    pub fn send_message(
        &mut self,
        to: MemberId,
        (ticket, role, timeout): (u64, DirectRole, Duration),
        payload: Vec<u8>,
    ) -> Result<(), QueueRefusal> {
        let now = self.now();
        let member = self.member(SENDER).ok_or(QueueRefusal::Member(MemberError::Left))?;
        if member.has_left() {
            return Err(QueueRefusal::Member(MemberError::Left));
        }
        if self.opener.is_some() && (role != DirectRole::Message || !self.shared().has_user_messages()) {
            return Err(QueueRefusal::Member(MemberError::NoDirectMessages));
        }
        if !member.is_live(to, self.shared()) {
            return Err(QueueRefusal::Member(MemberError::NotLive));
        }
        let deadline = now + timeout;
        let messages = self.messages();
        let question = matches!(role, DirectRole::Question(_));
        if question && messages.questions.len() >= QUESTIONS_MAX
            || !messages.outgoing.push(to, (ticket, role, deadline), payload)
        {
            self.members.shared.counters.direct_queue_full += 1;
            return Err(QueueRefusal::Full);
        }
        if let DirectRole::Question(number) = role {
            messages.questions.insert(number, (to, deadline));
        }
        messages.next_tick = messages.next_tick.min(now + TICK).max(now);
        self.members.shared.counters.direct_queued += 1;
        self.forward_messages(to);
        Ok(())
    }

    /// Writes what can go to `to`.
    fn forward_messages(&mut self, to: MemberId) {
        let now = self.now();
        let Some(messages) = &mut self.messages else { return };
        let Some(ready) = messages.outgoing.ready(to, now) else { return };
        let Some(member) = self.members.get(SENDER) else { return };
        let header = FrameHeader {
            cluster: self.cluster,
            source: member.id(),
            destination: to,
            root: 0,
            quiet: false,
        };
        let index = self.members.shared.directory().find(to);
        let known = index.and_then(|index| member.member(index, &self.members.shared));
        let address = known.map(|known| known.address);
        let source = address.and_then(|address| self.members.stream_source(SENDER, address));
        let (outgoing, shared) = (&mut messages.outgoing, &mut self.members.shared);
        let write = |out: &mut Vec<u8>| {
            if !shared.has_user_messages() {
                outgoing.write(to, now, &mut StreamWriter::new(header, out));
            } else if let Some(payload) = outgoing.take_one(to) {
                shared.write_stream_user_message(payload, out);
            }
        };
        match ready {
            Ready::On(exchange) => {
                if !self.streams.say(exchange, write) {
                    // Later messages must not overtake these: they all go again on another stream.
                    messages.outgoing.broke(to, now);
                    self.streams.close(exchange);
                }
            }
            Ready::NewStream => {
                // Whoever is forgotten meanwhile lets its messages run out of time.
                let Some(address) = address.map(canonical) else { return };
                messages.tokens += 1;
                let token = TOKEN_BIT | messages.tokens;
                match self.streams.open_for_messages(token, source, address, self.stream_life * 2, write) {
                    Some(exchange) => messages.outgoing.opened(to, token, exchange, now),
                    None => messages.outgoing.broke(to, now),
                }
            }
        }
    }

    /// Tells the observer of messages that have ended.
    fn end_messages(&mut self, ended: Vec<Ended>) {
        for Ended { ticket, role, failure } in ended {
            let asked = matches!(role, DirectRole::Question(_));
            let end = match failure {
                Some(failure) => MessageEnd::Failed(failure),
                // The reply is still to come.
                None if asked => continue,
                None => MessageEnd::Delivered,
            };
            let known = self.messages.as_mut().is_some_and(|messages| {
                let DirectRole::Question(number) = role else { return true };
                messages.questions.remove(&number).is_some()
            });
            if known {
                self.tell_end(ticket, end);
            }
        }
    }

    fn tell_end(&mut self, ticket: u64, end: MessageEnd<'_>) {
        let counters = &mut self.members.shared.counters;
        match end {
            MessageEnd::Delivered | MessageEnd::Replied(_) => counters.direct_delivered += 1,
            MessageEnd::Failed(_) => counters.direct_undelivered += 1,
        }
        self.observer.message_ended(SENDER, ticket, end);
    }

    /// When messages have to be looked after.
    pub(super) fn messages_due(&self) -> Option<Time> {
        let messages = self.messages.as_ref()?;
        let idle = messages.outgoing.is_empty() && messages.questions.is_empty();
        (!idle).then_some(messages.next_tick)
    }

    /// Looks after messages that wait, if that is due.
    pub(super) fn run_messages(&mut self) {
        let now = self.now();
        if self.messages_due().is_none_or(|due| due > now) {
            return;
        }
        let Some(messages) = &mut self.messages else { return };
        messages.next_tick = now + TICK;
        let (mut ended, mut ready, mut close) = (Vec::new(), Vec::new(), Vec::new());
        messages.outgoing.tick(now, &mut ended, &mut ready, &mut close);
        let late = messages.questions.iter().filter(|(_, (_, until))| *until <= now);
        let late: Vec<u64> = late.map(|(number, _)| *number).collect();
        for exchange in close {
            self.streams.close(exchange);
        }
        self.end_messages(ended);
        for number in late {
            let known =
                self.messages.as_mut().is_some_and(|messages| messages.questions.remove(&number).is_some());
            if known {
                self.tell_end(number, MessageEnd::Failed(MessageFailure::TimedOut));
            }
        }
        for to in ready {
            self.forward_messages(to);
        }
    }

    /// A direct message has come on a stream that its sender opened.
    pub(super) fn message_received(
        &mut self,
        exchange: ExchangeId,
        local: HostedMember,
        header: &FrameHeader,
        turn: &DirectTurn<'_>,
    ) {
        let Some(outcome) = self.receive_message(local, header.source, turn) else {
            return self.streams.close(exchange);
        };
        let answer = FrameHeader {
            cluster: header.cluster,
            source: header.destination,
            destination: header.source,
            root: 0,
            quiet: false,
        };
        let kept = &mut self.messages().kept;
        let keeps = kept.contains(&exchange) || kept.len() < KEPT_MAX && kept.insert(exchange);
        let next = if keeps { StreamNext::Reply } else { StreamNext::ReplyAndClose };
        let mut reply = self.streams.take_reply();
        StreamWriter::new(answer, &mut reply).direct_ack(turn.sequence, outcome);
        self.streams.answer(exchange, None, next, reply);
    }

    /// What becomes of a direct message; nothing if the member has left.
    fn receive_message(
        &mut self,
        local: HostedMember,
        from: MemberId,
        turn: &DirectTurn<'_>,
    ) -> Option<DirectOutcome> {
        let member = self.members.get(local).filter(|member| !member.has_left())?;
        if !member.is_live(from, &self.members.shared) {
            self.members.shared.counters.direct_strangers += 1;
            return Some(DirectOutcome::Stranger);
        }
        let DirectTurn { session, sequence, role, payload } = *turn;
        if let Some(before) = self.messages().incoming.before(from, session, sequence) {
            self.members.shared.counters.direct_repeated += 1;
            return Some(before);
        }
        let outcome = match role {
            DirectRole::Reply(number) => {
                let questions = &mut self.messages().questions;
                // A late one, or of somebody who was not asked, is nobody's.
                if questions.get(&number).is_some_and(|(asked, _)| *asked == from) {
                    questions.remove(&number);
                    self.tell_end(number, MessageEnd::Replied(payload));
                }
                DirectOutcome::Taken
            }
            DirectRole::Message => self.offer_message(local, from, payload, None)?,
            DirectRole::Question(number) => self.offer_message(local, from, payload, Some(number))?,
        };
        let counters = &mut self.members.shared.counters;
        match outcome {
            DirectOutcome::Taken => counters.direct_taken += 1,
            _ => counters.direct_refused += 1,
        }
        self.messages().incoming.judged(from, session, sequence, outcome);
        Some(outcome)
    }

    fn offer_message(
        &mut self,
        local: HostedMember,
        from: MemberId,
        payload: &[u8],
        question: Option<u64>,
    ) -> Option<DirectOutcome> {
        let member = self.members.get(local)?;
        let context = EventContext { now: self.clock.now(), local, member, shared: &self.members.shared };
        let received = ReceivedMessage { from, payload, acknowledged: true, question };
        Some(match self.observer.message(&context, received) {
            Reception::Taken => DirectOutcome::Taken,
            Reception::Full => DirectOutcome::Full,
            Reception::Unheard => DirectOutcome::Unheard,
        })
    }

    /// An answer has come on a stream of direct messages.
    pub(super) fn message_answered(&mut self, token: u64, sequence: u64, outcome: DirectOutcome) {
        let now = self.now();
        let Some(messages) = &mut self.messages else { return };
        let Some(to) = messages.outgoing.receiver(token) else { return };
        let ended = messages.outgoing.answered(to, sequence, outcome, now);
        self.end_messages(ended.into_iter().collect());
        self.forward_messages(to);
    }

    /// A stream is over. Whether it was one of direct messages that we opened.
    pub(super) fn messages_closed(
        &mut self,
        exchange: ExchangeId,
        token: Option<u64>,
        reason: CloseReason,
    ) -> bool {
        let now = self.now();
        let Some(messages) = &mut self.messages else { return false };
        messages.kept.remove(&exchange);
        let Some(token) = token.filter(|token| is_of_messages(*token)) else { return false };
        let to = messages.outgoing.receiver(token);
        let ended = messages.outgoing.closed(token, reason, now);
        self.end_messages(ended);
        if let Some(to) = to {
            self.forward_messages(to);
        }
        true
    }
}

/// Whether `token` is that of a stream of direct messages.
pub(super) fn is_of_messages(token: u64) -> bool {
    token & TOKEN_BIT != 0
}

#[cfg(test)]
#[path = "messages_test.rs"]
mod messages_tests;
