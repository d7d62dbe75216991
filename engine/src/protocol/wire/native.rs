//! Native frames, in and out.
//!
//! One header names sender and receiver by id and carries the sender's state root for all messages of a
//! frame; every message has a length that is known before it is written, so a frame is encoded straight
//! into the driver's send buffer.

use std::net::SocketAddr;

use swimring_codec::native::{Frame, FrameHeader, FrameWriter, HEADER_LEN, Introduction, Message};
use swimring_codec::{Incarnation, MemberId, State};

use super::Sender;
use crate::protocol::detection::relay::IndirectRequest;
use crate::protocol::member::Member;
use crate::protocol::outbox::Outbox;
use crate::protocol::pools::broadcasts::{Broadcast, Update};
use crate::protocol::state::{Context, Core, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::{MemberIndex, UNVERSIONED};

impl Member {
    /// Handles a native frame that arrived from `from`.
    pub fn handle_frame(
        &mut self,
        now: Time,
        from: SocketAddr,
        frame: &Frame<'_>,
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) {
        shared.counters.frames_received += 1;
        if frame.header.cluster != self.core.cluster {
            shared.counters.frames_foreign += 1;
            return;
        }
        if self.core.status == Status::Left {
            return;
        }
        self.core.heard = now;
        let FrameHeader { source, root, quiet, .. } = frame.header;
        let origin = Sender { address: from, source, root: Some(root), quiet };
        let cx = &mut Context { now, shared, out };
        for message in frame.messages() {
            match message {
                Ok(message) => self.handle_message(cx, &origin, &message),
                Err(error) => cx.shared.counters.refused(error),
            }
            if self.core.status == Status::Left {
                return self.core.drop_queue(cx);
            }
        }
        self.gossip.arm(now, &self.core.settings, !self.core.queue.is_empty());
    }

    #[inline]
    fn handle_message(&mut self, cx: &mut Context<'_, '_>, origin: &Sender, message: &Message<'_>) {
        match *message {
            Message::Ping { sequence } => self.on_ping(cx, origin, sequence),
            Message::IndirectPing { sequence, target } => {
                self.on_indirect_ping(
                    cx,
                    origin,
                    sequence,
                    IndirectRequest { target, address: None, nack: true },
                );
            }
            Message::Ack { sequence } => self.on_ack(cx, origin, sequence),
            Message::Nack { sequence } => self.on_nack(cx, origin, sequence),
            Message::Alive { subject, incarnation, tag } => {
                self.on_alive(cx, subject, incarnation, tag);
            }
            Message::Suspect { subject, incarnation, accuser } => {
                self.on_suspect(cx, subject, incarnation, accuser);
            }
            Message::Dead { subject, incarnation } => self.on_dead(cx, subject, incarnation),
            Message::Left { subject, incarnation } => self.on_left(cx, subject, incarnation),
            Message::Introduction(ref introduction) => {
                // Gossip introduces the living only; other states are for push/pull.
                if introduction.state == State::Alive {
                    self.on_introduction(cx, introduction, UNVERSIONED, true);
                }
            }
            Message::UserEvent(ref event) => self.core.on_user_event(cx, event),
        }
    }
}

impl Core {
    /// Writes a frame with `messages` and the `chosen` news, `length` bytes of messages in all. False if the
    /// sink is full.
    pub(in crate::protocol) fn write_frame(
        &self,
        cx: &mut Context<'_, '_>,
        to: SocketAddr,
        destination: MemberId,
        messages: &[Message<'_>],
        length: usize,
        chosen: &[u32],
    ) -> bool {
        let header = self.header(destination);
        let shared = &*cx.shared;
        let buffer = cx.out.frames.reserve(to, HEADER_LEN + length);
        let Some(mut writer) = buffer.and_then(|buffer| FrameWriter::new(header, buffer)) else {
            return false;
        };
        for message in messages {
            writer.push(message);
        }
        for node in chosen {
            let message = self.message(shared.broadcasts.get(*node), shared);
            writer.push(&message);
        }
        writer.finish();
        true
    }

    pub(in crate::protocol) fn header(&self, destination: MemberId) -> FrameHeader {
        FrameHeader {
            cluster: self.cluster,
            source: self.id,
            destination,
            root: self.table.root(),
            quiet: self.queue.is_quiet(),
        }
    }

    /// The message a broadcast is sent as.
    fn message<'a>(&self, broadcast: &Broadcast, shared: &'a SharedState) -> Message<'a> {
        let Broadcast { subject, incarnation, .. } = *broadcast;
        if broadcast.news == Update::Event {
            return Message::UserEvent(shared.events.get(subject));
        }
        let id = shared.directory.id(subject);
        match broadcast.news {
            Update::Alive { introduce: true } => {
                Message::Introduction(self.introduction(subject, State::Alive, incarnation, shared))
            }
            Update::Suspect { accuser } => Message::Suspect { subject: id, incarnation, accuser },
            Update::Dead => Message::Dead { subject: id, incarnation },
            Update::Left => Message::Left { subject: id, incarnation },
            Update::Alive { introduce: false } | Update::Event => {
                let version = self.table.get(subject).version();
                let tag = shared.directory.identity(subject, version).tag();
                Message::Alive { subject: id, incarnation, tag }
            }
        }
    }

    pub(in crate::protocol) fn introduction<'a>(
        &self,
        subject: MemberIndex,
        state: State,
        incarnation: Incarnation,
        shared: &'a SharedState,
    ) -> Introduction<'a> {
        let identity = shared.directory.identity(subject, self.table.get(subject).version());
        Introduction {
            subject: shared.directory.id(subject),
            incarnation,
            state,
            address: identity.address(),
            name: shared.directory.name(subject),
            metadata: identity.metadata(),
        }
    }
}
