//! From what arrives to the member it is for: datagrams by the destination in their header, stream
//! messages likewise, and streams of our own by whose they are.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use swimring_codec::memberlist;
use swimring_codec::native::{Frame, StreamMessage};
use swimring_codec::{MemberId, canonical};

use super::host::{Host, HostedMember, HostedMemberState, Observer};
use super::join_error::JoinFailure;
use crate::net::{DatagramHandler, Trains};
use crate::protocol::{FrameSink, Outbox, StreamNext, StreamOpen, StreamOutcome, StreamPurpose};
use crate::stream::{ExchangeId, StreamEvent};

/// Datagrams handled between two looks at the clock, which costs as much as a small one.
const DATAGRAMS_PER_READING: u32 = 16;

/// Replies up to this length are copied to a small buffer; longer ones are handed over as they are.
const REPLY_SMALL: usize = 1024;

/// Spare buffers looked at for one that is large enough.
const SPARES_TRIED: usize = 16;

/// Stream events handled in one turn, so that a burst of joins does not delay acks.
const STREAM_EVENTS_PER_TURN: usize = 32;

/// A stream that a member of this worker opened.
#[derive(Clone, Copy, Debug)]
struct Opened {
    local: HostedMember,
    purpose: StreamPurpose,
    exchange: Option<ExchangeId>,
    /// Its purpose was met: that it closes is no failure.
    finished: bool,
}

/// The streams under way that this worker opened, by the token they were opened with.
#[derive(Debug)]
pub(super) struct OpenedStreams {
    slots: Vec<Option<Opened>>,
    free: Vec<u32>,
}

impl OpenedStreams {
    /// At most `max` at once.
    pub(super) fn new(max: usize) -> OpenedStreams {
        OpenedStreams { slots: vec![None; max], free: (0..max as u32).rev().collect() }
    }

    fn add(&mut self, opened: Opened) -> Option<u64> {
        let slot = self.free.pop()?;
        self.slots[slot as usize] = Some(opened);
        Some(u64::from(slot))
    }

    fn get(&self, token: u64) -> Option<Opened> {
        *self.slots.get(token as usize)?
    }

    fn started(&mut self, token: u64, exchange: ExchangeId) {
        if let Some(Some(opened)) = self.slots.get_mut(token as usize) {
            opened.exchange = Some(exchange);
        }
    }

    fn finish(&mut self, token: u64) {
        if let Some(Some(opened)) = self.slots.get_mut(token as usize) {
            opened.finished = true;
        }
    }

    /// Finishes the stream of a join; gives it if it was under way.
    pub(super) fn abandon_join(&mut self, local: HostedMember, token: u32) -> Option<ExchangeId> {
        let purpose = StreamPurpose::Join { token };
        let mut under_way = self.slots.iter_mut().flatten().filter(|opened| !opened.finished);
        let opened = under_way.find(|opened| opened.local == local && opened.purpose == purpose)?;
        opened.finished = true;
        opened.exchange
    }

    fn remove(&mut self, token: u64) -> Option<Opened> {
        let opened = self.slots.get_mut(token as usize)?.take();
        if opened.is_some() {
            self.free.push(token as u32);
        }
        opened
    }
}

impl<O: Observer> DatagramHandler for Host<O> {
    #[inline]
    fn datagram(&mut self, from: SocketAddr, to: Option<IpAddr>, bytes: &[u8], trains: &mut Trains) {
        if self.unread == 0 {
            self.read_clock();
            self.unread = DATAGRAMS_PER_READING;
        }
        self.unread -= 1;
        if self.loss > 0 && u64::from(self.rng.u32(..)) < self.loss {
            self.counters.lost += 1;
            return;
        }
        if self.codec.is_some() {
            return self.packet(from, to, bytes, trains);
        }
        match Frame::decode(bytes) {
            Ok(frame) => self.frame(from, &frame, trains),
            Err(error) => self.counters.refused[error.index()] += 1,
        }
    }
}

impl<O: Observer> Host<O> {
    #[inline]
    fn frame(&mut self, from: SocketAddr, frame: &Frame<'_>, frames: &mut dyn FrameSink) {
        let Some(local) = self.route(frame.header.destination) else {
            self.counters.unrouted += 1;
            return;
        };
        let mut out = Outbox {
            frames,
            streams: &mut self.wanted,
            events: &mut self.events,
            gossip_budget: &mut self.gossip_budget,
        };
        let member = &mut self.residents[local as usize].member;
        member.handle_frame(self.now, from, frame, &mut self.shared, &mut out);
        self.settle(local);
    }

    /// A datagram of memberlist's format, for whoever has the address `to`.
    fn packet(&mut self, from: SocketAddr, to: Option<IpAddr>, bytes: &[u8], frames: &mut dyn FrameSink) {
        let Some(local) = self.route_to(to) else {
            self.counters.unrouted += 1;
            return;
        };
        let Some(codec) = &mut self.codec else { return };
        let messages = match codec.open_packet(bytes) {
            Ok(messages) => messages,
            Err(error) => {
                self.counters.refused_packets[error.index()] += 1;
                self.observer.refused(self.now, from, error);
                return;
            }
        };
        let (now, observer) = (self.now, &mut self.observer);
        let messages = messages.inspect(|message| {
            if let Ok(message) = message {
                observer.heard(now, local, from, message);
            }
        });
        let resident = &mut self.residents[local as usize];
        frames.set_source(resident.source);
        let mut out = Outbox {
            frames,
            streams: &mut self.wanted,
            events: &mut self.events,
            gossip_budget: &mut self.gossip_budget,
        };
        resident.member.handle_packet(now, from, messages, &mut self.shared, &mut out);
        self.settle(local);
    }

    /// Whose it is. Without a destination it is for the first member that lives here.
    #[inline]
    fn route(&self, destination: MemberId) -> Option<HostedMember> {
        if destination.is_none() {
            return self.members().next().map(|(local, _)| local);
        }
        self.local.get(&destination).copied()
    }

    /// Whose the address is. Where members share one, it is the first's.
    #[inline]
    fn route_to(&self, to: Option<IpAddr>) -> Option<HostedMember> {
        match to.filter(|_| self.own_addresses) {
            Some(to) => self.at.get(&to).copied(),
            None => self.route(MemberId::NONE),
        }
    }

    /// Opens the streams a member asked for.
    pub(super) fn open_streams(&mut self, local: HostedMember) {
        for at in 0..self.wanted.len() {
            let open = self.wanted[at].clone();
            self.open_stream(local, &open);
        }
        self.wanted.clear();
    }

    fn open_stream(&mut self, local: HostedMember, open: &StreamOpen) {
        let opened = Opened { local, purpose: open.purpose, exchange: None, finished: false };
        let Some(token) = self.opened.add(opened) else {
            self.counters.streams_shed += 1;
            return self.stream_failed(opened, &JoinFailure::TooManyStreams);
        };
        let mut first = std::mem::take(&mut self.reply);
        let HostedMemberState { member, source, .. } = &self.residents[local as usize];
        let source = source.filter(|source| source.is_ipv4() == open.to.ip().to_canonical().is_ipv4());
        member.open_stream(open.purpose, open.destination, &mut self.shared, &mut first);
        let first = self.turn_of(first);
        // A fallback probe that takes longer than a probe is of no use.
        let deadline = match open.purpose {
            StreamPurpose::Probe { .. } => Duration::from_secs(2),
            StreamPurpose::Join { .. } | StreamPurpose::Sync => Duration::from_secs(60),
        };
        match self.port.open(token, source, canonical(open.to), first, deadline) {
            Ok(exchange) => self.opened.started(token, exchange),
            Err(first) => {
                self.port.recycle(first);
                self.opened.remove(token);
                self.counters.streams_shed += 1;
                self.stream_failed(opened, &JoinFailure::TooManyWaiting);
            }
        }
    }

    fn stream_failed(&mut self, opened: Opened, reason: &JoinFailure) {
        if let StreamPurpose::Join { token } = opened.purpose {
            self.observer.join_failed(opened.local, token, reason);
            self.failures.push((opened.local, opened.purpose));
        }
    }

    /// Handles what the stream thread has for us.
    pub(super) fn run_streams(&mut self, trains: &mut Trains) {
        self.report_failures(trains);
        self.more_streams = false;
        for _ in 0..STREAM_EVENTS_PER_TURN {
            let Some(event) = self.port.poll() else { return };
            match event {
                StreamEvent::Opened { .. } => {}
                StreamEvent::Message { exchange, token, local, bytes, .. } => {
                    self.stream_message(exchange, token, local, &bytes, trains);
                    self.port.recycle(bytes);
                }
                StreamEvent::Closed { token, reason, .. } => {
                    let opened = token.and_then(|token| self.opened.remove(token));
                    if let Some(opened) = opened.filter(|opened| !opened.finished) {
                        self.stream_failed(opened, &JoinFailure::Closed(reason));
                    }
                }
            }
        }
        self.more_streams = true;
    }

    fn stream_message(
        &mut self,
        exchange: ExchangeId,
        token: Option<u64>,
        to: SocketAddr,
        bytes: &[u8],
        trains: &mut Trains,
    ) {
        if self.codec.is_some() {
            return self.packet_stream(exchange, token, to, bytes, trains);
        }
        let message = match StreamMessage::decode(bytes) {
            Ok(message) => message,
            Err(error) => {
                self.counters.refused[error.index()] += 1;
                self.port.close(exchange);
                return self.unreadable(token);
            }
        };
        let opened = token.and_then(|token| self.opened.get(token)).filter(|opened| !opened.finished);
        let local = match (token, opened) {
            (Some(_), opened) => opened.map(|opened| opened.local),
            (None, _) => self.route(message.header.destination),
        };
        let resident = local.filter(|local| self.residents[*local as usize].present);
        let Some(local) = resident else {
            self.counters.unrouted += 1;
            self.port.close(exchange);
            return;
        };
        let member = &self.residents[local as usize].member;
        if let Some(Opened { purpose: StreamPurpose::Join { token }, .. }) = opened
            && message.header.cluster != member.cluster()
        {
            self.observer.join_failed(local, token, &JoinFailure::OtherCluster);
        }
        let mut reply = std::mem::take(&mut self.reply);
        let mut out = Outbox {
            frames: trains,
            streams: &mut self.wanted,
            events: &mut self.events,
            gossip_budget: &mut self.gossip_budget,
        };
        let purpose = opened.map(|opened| opened.purpose);
        let member = &mut self.residents[local as usize].member;
        let next = member.handle_stream(self.now, purpose, &message, &mut reply, &mut self.shared, &mut out);
        self.answer(exchange, next, reply);
        if let (Some(token), StreamNext::Close | StreamNext::ReplyAndClose) = (token, next) {
            self.opened.finish(token);
        }
        self.settle(local);
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
        let opened = token.and_then(|token| self.opened.get(token)).filter(|opened| !opened.finished);
        let local = match token {
            Some(_) => opened.map(|opened| opened.local),
            None => self.route_to(Some(to.ip())),
        };
        let Some(local) = local.filter(|local| self.residents[*local as usize].present) else {
            self.counters.unrouted += 1;
            self.port.close(exchange);
            return;
        };
        let Some(codec) = &mut self.codec else { return };
        let encrypts = !codec.keyring().is_empty();
        let message = match codec.open_stream(bytes, token.is_none()) {
            Ok(message) => message,
            Err(error) => {
                self.counters.refused_packets[error.index()] += 1;
                self.port.close(exchange);
                return self.unopened(token, error, encrypts);
            }
        };
        let mut reply = std::mem::take(&mut self.reply);
        let resident = &mut self.residents[local as usize];
        trains.set_source(resident.source);
        let mut out = Outbox {
            frames: trains,
            streams: &mut self.wanted,
            events: &mut self.events,
            gossip_budget: &mut self.gossip_budget,
        };
        let purpose = opened.map(|opened| opened.purpose);
        let StreamOutcome { next, refusal } = resident.member.handle_packet_stream(
            self.now,
            purpose,
            &message,
            &mut reply,
            &mut self.shared,
            &mut out,
        );
        if let (Some(refusal), Some(StreamPurpose::Join { token })) = (refusal, purpose) {
            self.observer.join_failed(local, token, &JoinFailure::Refused(refusal));
        }
        self.answer(exchange, next, reply);
        if let (Some(token), StreamNext::Close | StreamNext::ReplyAndClose) = (token, next) {
            self.opened.finish(token);
        }
        self.settle(local);
    }

    /// A view that we asked for could not be opened: that says what is wrong with our keys or label.
    fn unopened(&mut self, token: Option<u64>, error: memberlist::DecodeError, encrypts: bool) {
        let Some(token) = token else { return };
        let Some(opened) = self.opened.get(token).filter(|opened| !opened.finished) else { return };
        self.opened.finish(token);
        let reason = match error {
            memberlist::DecodeError::Decrypt if encrypts => {
                "the pool is encrypted with a key that is not ours: give one of its keys"
            }
            memberlist::DecodeError::Decrypt => "the pool is encrypted: give one of its keys",
            memberlist::DecodeError::Unencrypted => {
                "the pool is not encrypted, and we have a key: give none, or switch gossip_verify_incoming off"
            }
            _ => return self.stream_failed(opened, &JoinFailure::Unreadable),
        };
        self.stream_failed(opened, &JoinFailure::Sealed(reason));
    }

    /// What arrived on a stream could not be read: if that was to be a view, it will not come.
    fn unreadable(&mut self, token: Option<u64>) {
        let Some(token) = token else { return };
        if let Some(opened) = self.opened.get(token).filter(|opened| !opened.finished) {
            self.opened.finish(token);
            self.stream_failed(opened, &JoinFailure::Unreadable);
        }
    }

    /// Sends what a member wrote to `reply`.
    fn answer(&mut self, exchange: ExchangeId, next: StreamNext, reply: Vec<u8>) {
        if matches!(next, StreamNext::Reply | StreamNext::ReplyAndClose) {
            let turn = self.turn_of(reply);
            if let Err(unsent) = self.port.reply(exchange, turn, next == StreamNext::ReplyAndClose) {
                self.port.recycle(unsent);
            }
            return;
        }
        if next == StreamNext::Close {
            // A full queue leaves it to the deadline.
            self.port.close(exchange);
        }
        self.reply = reply;
        self.reply.clear();
    }

    /// What was `written`, in a buffer to hand over; what it was written into, or one as large, is kept for the
    /// next. A short turn is copied, a long one leaves as it is.
    fn turn_of(&mut self, mut written: Vec<u8>) -> Vec<u8> {
        let long = written.len() > REPLY_SMALL;
        let turn = match self.spare(long, if long { written.capacity() } else { REPLY_SMALL }) {
            Some(spare) if long => std::mem::replace(&mut written, spare),
            spare => {
                let mut turn = spare.unwrap_or_default();
                turn.extend_from_slice(&written);
                turn
            }
        };
        written.clear();
        self.reply = written;
        turn
    }

    /// A spare buffer of `least` bytes or more. They come back from the stream thread in many sizes, so one
    /// that is too small goes to the end of the line.
    fn spare(&mut self, large: bool, least: usize) -> Option<Vec<u8>> {
        for _ in 0..SPARES_TRIED {
            let spare = if large { self.port.large_buffer() } else { self.port.buffer() };
            if spare.capacity() >= least {
                return Some(spare);
            }
            self.port.recycle(spare);
        }
        None
    }

    /// Tells members of joins that came to nothing.
    fn report_failures(&mut self, trains: &mut Trains) {
        while let Some((local, purpose)) = self.failures.pop() {
            self.command(local, trains, |member, _, _, out| member.handle_stream_closed(purpose, out));
        }
    }
}
