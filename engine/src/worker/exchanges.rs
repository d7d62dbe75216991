//! From what happens on a stream to the member it is for: streams of our own by whose they are, others by the
//! destination in their message, or by the address they were made to. For a member that lives here no more, while others
//! do, the host answers itself that it is gone.

use std::net::SocketAddr;

use swimring_codec::memberlist::DecodeError;
use swimring_codec::native::{
    self, FrameHeader, Notice, StreamBody, StreamKind, StreamMessage, StreamWriter, cluster_with_identities,
};

use super::held_joins::HeldJoin;
use super::host::Host;
use super::join_error::JoinFailure;
use super::members::HostedMember;
use super::messages::is_of_messages;
use super::observer::Observer;
use super::sealing::told;
use super::streams::Opened;
use super::waiting_views::Held;
use crate::net::Trains;
use crate::protocol::{StreamConnection, StreamNext, StreamOpen, StreamOutcome, StreamPurpose};
use crate::stream::{ExchangeId, StreamEvent};

/// Stream events handled in one turn, so that a burst of joins does not delay acks.
const STREAM_EVENTS_PER_TURN: usize = 32;

impl<O: Observer> Host<O> {
    /// Opens the streams a member asked for.
    pub(super) fn open_streams(&mut self, local: HostedMember) {
        for at in 0..self.members.output.streams.len() {
            let open = self.members.output.streams[at].clone();
            let held = if open.purpose.is_for_view() {
                self.waiting_views.hold(local, &open, self.streams.views_under_way())
            } else {
                Held::No
            };
            match held {
                Held::No => self.open_stream(local, &open),
                Held::Waits => {}
                Held::Shed => {
                    self.counters.streams_shed += 1;
                    self.failed_streams.push((local, open.purpose));
                }
            }
        }
        self.members.output.streams.clear();
    }

    fn open_stream(&mut self, local: HostedMember, open: &StreamOpen) {
        let source = self.members.stream_source(local, open.to);
        let members = &mut self.members;
        let opened = self.streams.open(local, source, open, |first| members.open_stream(local, open, first));
        if let Err((opened, reason)) = opened {
            self.counters.streams_shed += 1;
            self.stream_failed(opened, &reason);
        }
    }

    fn stream_failed(&mut self, opened: Opened, reason: &JoinFailure) {
        if let StreamPurpose::Join { token } = opened.purpose {
            self.observer.join_failed(opened.local, token, reason);
        }
        if matches!(opened.purpose, StreamPurpose::Join { .. }) || opened.purpose.is_for_view() {
            self.failed_streams.push((opened.local, opened.purpose));
        }
    }

    /// Handles what the stream thread has for us; `behind` says whether datagrams lie unread.
    pub(super) fn run_streams(&mut self, trains: &mut Trains, behind: bool) {
        self.report_failures(trains);
        self.answer_held_joins(trains);
        self.more_streams = false;
        for _ in 0..STREAM_EVENTS_PER_TURN {
            let next = self.waiting_streams.next(behind, || self.streams.poll());
            let Some(event) = next else { return self.open_waiting_views() };
            match event {
                StreamEvent::Opened { token, .. } if is_of_messages(token) => {}
                StreamEvent::Opened { token, .. } => {
                    if let Some(opened) = self.streams.opened(Some(token)) {
                        self.stream_connection(opened, StreamConnection::Accepted, trains);
                    }
                }
                StreamEvent::Message { exchange, token, from, local, mut bytes } => {
                    self.stream_message(exchange, token, (from, local), &mut bytes, trains);
                    self.streams.recycle(bytes);
                }
                StreamEvent::Closed { exchange, token, reason } => {
                    self.held_joins.forget(exchange);
                    if let Some(sealed) = self.streams.sealed_mut() {
                        sealed.closed(exchange);
                    }
                    if self.messages_closed(exchange, token, reason) {
                        continue;
                    }
                    if let Some(opened) = self.streams.closed(token) {
                        if reason.is_refusal() {
                            self.stream_connection(opened, StreamConnection::Refused, trains);
                        }
                        self.stream_failed(opened, &JoinFailure::Closed(reason));
                    }
                }
            }
        }
        self.open_waiting_views();
        self.more_streams = true;
    }

    /// Opens the streams of views that have waited for others.
    fn open_waiting_views(&mut self) {
        while let Some((local, open)) = self.waiting_views.next(self.streams.views_under_way()) {
            self.open_stream(local, &open);
        }
    }

    /// Tells a member whether the connection that it probes with was accepted.
    fn stream_connection(&mut self, opened: Opened, connection: StreamConnection, trains: &mut Trains) {
        let Opened { local, purpose, .. } = opened;
        if matches!(purpose, StreamPurpose::Probe { .. }) {
            self.command(local, trains, |member, now, shared, out| {
                member.handle_stream_connection(now, purpose, connection, shared, out);
            });
        }
    }

    /// A stream message for a member that does not live here. A probe of one is answered: its own host knows best that
    /// it is gone, as the kernel does where the whole process is.
    fn stream_for_nobody(&mut self, exchange: ExchangeId, token: Option<u64>, message: &StreamMessage<'_>) {
        self.counters.unrouted += 1;
        let FrameHeader { cluster, source, destination, .. } = message.header;
        let asked = token.is_none() && matches!(message.body, StreamBody::Ping { .. });
        if !asked || destination.is_none() || cluster != self.cluster {
            return self.streams.close(exchange);
        }
        let header = FrameHeader { cluster, source: destination, destination: source, root: 0, quiet: false };
        let mut reply = self.streams.take_reply();
        StreamWriter::new(header, &mut reply).plain(StreamKind::Absent);
        self.streams.answer(exchange, token, StreamNext::ReplyAndClose, reply);
    }

    fn stream_message(
        &mut self,
        exchange: ExchangeId,
        token: Option<u64>,
        (from, to): (SocketAddr, SocketAddr),
        bytes: &mut [u8],
        trains: &mut Trains,
    ) {
        if self.opener.is_some() {
            return self.packet_stream(exchange, token, to, bytes, trains);
        }
        let bytes = match self.open_message((exchange, token.is_some()), from, bytes) {
            Ok(bytes) => bytes,
            Err((why, notice)) => {
                self.refuse_stream(exchange, notice);
                return self.unreadable(token, &JoinFailure::Sealed(why));
            }
        };
        let message = match StreamMessage::decode(bytes) {
            Ok(message) => message,
            Err(error) => {
                self.counters.refused[error.index()] += 1;
                self.other_versions.refused(self.clock.now(), from, error);
                if error != native::DecodeError::Sealed {
                    self.streams.close(exchange);
                    return self.unreadable(token, &JoinFailure::Unreadable);
                }
                self.refuse_stream(exchange, token.is_none().then_some(Notice::NoKeyHere));
                return self.unreadable(token, &JoinFailure::Sealed(told(Notice::KeyNeeded)));
            }
        };
        if let Some(token) = token.filter(|token| is_of_messages(*token)) {
            return match message.body {
                StreamBody::DirectAck { sequence, outcome } if message.header.cluster == self.cluster => {
                    self.message_answered(token, sequence, outcome);
                }
                _ => self.streams.close(exchange),
            };
        }
        let opened = self.streams.opened(token);
        let local = match token {
            Some(_) => opened.map(|opened| opened.local),
            None => self.members.of_id(message.header.destination),
        };
        if let (None, Some(local), StreamBody::Direct(turn)) = (token, local, &message.body)
            && message.header.cluster == self.cluster
        {
            return self.message_received(exchange, local, &message.header, turn);
        }
        let Some((local, cluster)) = local.and_then(|local| Some((local, self.member(local)?.cluster())))
        else {
            return self.stream_for_nobody(exchange, token, &message);
        };
        let purpose = opened.map(|opened| opened.purpose);
        if (token, message.body) == (None, StreamBody::Join) && cluster == message.header.cluster {
            let join = HeldJoin { exchange, local, header: message.header, complete: false };
            if self.held_joins.hold(join, self.clock.now()) {
                return;
            }
        }
        if let Some(StreamPurpose::Join { token }) = purpose
            && message.header.cluster != cluster
        {
            let failure = match (message.header.cluster, self.members.shared.has_identities()) {
                (other, false) if other == cluster_with_identities(cluster) => JoinFailure::WithIdentities,
                (other, true) if other == cluster_with_identities(cluster) => JoinFailure::WithoutIdentities,
                _ => JoinFailure::OtherCluster,
            };
            self.observer.join_failed(local, token, &failure);
        }
        let (now, mut reply) = (self.clock.now(), self.streams.take_reply());
        let next = self.members.reach(local, trains).map(|(member, shared, mut out)| {
            member.handle_stream(now, purpose, &message, &mut reply, shared, &mut out)
        });
        let goes_on = next == Some(StreamNext::Close) && self.held_joins.complete(exchange);
        let next = if goes_on { Some(StreamNext::Wait) } else { next };
        if let Some(next) = next {
            self.streams.answer(exchange, token, next, reply);
        }
        self.settle(local);
    }

    /// Answers joins that have waited for each other, in the turn's time for streams.
    fn answer_held_joins(&mut self, trains: &mut Trains) {
        for _ in 0..STREAM_EVENTS_PER_TURN {
            let next = self.held_joins.next(self.clock.now());
            let Some(HeldJoin { exchange, local, header, complete }) = next else { return };
            let message = StreamMessage { header, body: StreamBody::Join };
            let (now, mut reply) = (self.clock.now(), self.streams.take_reply());
            let next = self.members.reach(local, trains).map(|(member, shared, mut out)| {
                member.handle_stream(now, None, &message, &mut reply, shared, &mut out)
            });
            match next {
                Some(StreamNext::Reply) if complete => {
                    self.streams.answer(exchange, None, StreamNext::ReplyAndClose, reply);
                }
                Some(next) => self.streams.answer(exchange, None, next, reply),
                None => self.streams.close(exchange),
            }
            self.settle(local);
        }
    }

    /// Closes a stream on which something came that cannot be read, with a notice of why if there is one to give.
    fn refuse_stream(&mut self, exchange: ExchangeId, notice: Option<Notice>) {
        match notice {
            Some(notice) => self.streams.refuse(exchange, |turn| notice.write(turn)),
            None => self.streams.close(exchange),
        }
    }

    /// A stream message of memberlist's format.
    fn packet_stream(
        &mut self,
        exchange: ExchangeId,
        token: Option<u64>,
        to: SocketAddr,
        bytes: &[u8],
        trains: &mut Trains,
    ) {
        if token.is_some_and(is_of_messages) {
            // Nothing is said to a user message, but that it could not be read.
            return self.streams.close(exchange);
        }
        let opened = self.streams.opened(token);
        let local = match token {
            Some(_) => opened.map(|opened| opened.local),
            None => self.members.of_address(Some(to.ip())),
        };
        let Some(local) = local.filter(|local| self.member(*local).is_some()) else {
            self.counters.unrouted += 1;
            self.streams.close(exchange);
            return;
        };
        let Some(opener) = &mut self.opener else { return };
        let encrypts = !opener.keyring().is_empty();
        let message = match opener.open_stream(bytes, token.is_none()) {
            Ok(message) => message,
            Err(error) => {
                self.counters.refused_packets[error.index()] += 1;
                self.streams.close(exchange);
                return self.unreadable(token, &unopened(error, encrypts));
            }
        };
        let purpose = opened.map(|opened| opened.purpose);
        let (now, mut reply) = (self.clock.now(), self.streams.take_reply());
        let outcome = self.members.reach(local, trains).map(|(member, shared, mut out)| {
            member.handle_packet_stream(now, purpose, &message, &mut reply, shared, &mut out)
        });
        if let Some(StreamOutcome { next, refusal }) = outcome {
            if let (Some(refusal), Some(StreamPurpose::Join { token })) = (refusal, purpose) {
                self.observer.join_failed(local, token, &JoinFailure::Refused(refusal));
            }
            self.streams.answer(exchange, token, next, reply);
        }
        self.settle(local);
    }

    /// What arrived on a stream could not be read: if that was to be a view, it will not come.
    fn unreadable(&mut self, token: Option<u64>, reason: &JoinFailure) {
        if let Some(opened) = self.streams.opened(token) {
            self.streams.finish(token);
            self.stream_failed(opened, reason);
        }
    }

    /// Tells members of their joins and views that failed.
    fn report_failures(&mut self, trains: &mut Trains) {
        while let Some((local, purpose)) = self.failed_streams.pop() {
            self.command(local, trains, |member, now, _, out| {
                member.handle_stream_closed(now, purpose, out);
            });
        }
    }
}

/// What it says of our keys or label that a view that we asked for could not be opened.
fn unopened(error: DecodeError, encrypts: bool) -> JoinFailure {
    JoinFailure::Sealed(match error {
        DecodeError::Decrypt if encrypts => {
            "the pool is encrypted with a key that is not ours: give one of its keys"
        }
        DecodeError::Decrypt => "the pool is encrypted: give one of its keys",
        DecodeError::Unencrypted => {
            "the pool is not encrypted, and we have a key: give none, or switch gossip_verify_incoming off"
        }
        _ => return JoinFailure::Unreadable,
    })
}
