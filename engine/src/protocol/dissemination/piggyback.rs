//! Sending: what a frame carries beside what it is sent for.
//!
//! Every ping, ack and nack takes along as much waiting news as fits (SWIM section 4.1), so news spreads
//! without datagrams of its own. How a frame is written is the wire format's business.

use std::net::SocketAddr;

use swimring_codec::native::{Introduction, Message, UserEvent};
use swimring_codec::{Incarnation, MemberId};

use crate::protocol::event::EventIndex;
use crate::protocol::member::{Context, Member, Status};
use crate::protocol::pools::broadcasts::{Dequeued, Selection, Update};
use crate::protocol::state::shared_state::SharedState;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::wire::Wire;

impl Member {
    /// Sends `messages`, and as much news beside them as fits, to the member `destination`.
    pub(in crate::protocol) fn send(
        &mut self,
        cx: &mut Context<'_, '_>,
        to: SocketAddr,
        destination: MemberId,
        messages: &[Message<'_>],
    ) {
        let own = self.messages_len(cx, destination, messages);
        self.drop_stale_events(cx);
        if self.queue.is_empty() {
            return self.send_chosen(cx, to, destination, messages, own, &[]);
        }
        let mut chosen = Selection::new();
        let used = cx.shared.wire.frame_overhead() + own;
        let budget = self.frame_bytes_max(cx, to).saturating_sub(used);
        let share = self.event_share(cx);
        cx.shared.broadcasts.select(&self.queue, budget, share, &mut chosen);
        self.send_chosen(cx, to, destination, messages, own + chosen.bytes, chosen.nodes());
    }

    /// Sends news alone to the member at `target`, if there is some that fits.
    pub(in crate::protocol) fn send_news(&mut self, cx: &mut Context<'_, '_>, target: MemberIndex) {
        let mut chosen = Selection::new();
        let to = self.identity(target, cx.shared).address();
        let budget = self.frame_bytes_max(cx, to) - cx.shared.wire.frame_overhead();
        let share = self.event_share(cx);
        cx.shared.broadcasts.select(&self.queue, budget, share, &mut chosen);
        if chosen.nodes().is_empty() {
            return;
        }
        let id = cx.shared.directory.id(target);
        self.send_chosen(cx, to, id, &[], chosen.bytes, chosen.nodes());
    }

    /// The longest frame to `to`: as the settings have it, or as the path takes it. Never too short for the
    /// largest news, which would otherwise wait for ever.
    pub(in crate::protocol) fn frame_bytes_max(&self, cx: &Context<'_, '_>, to: SocketAddr) -> usize {
        let path_takes = cx.out.frames.frame_bytes_max(to);
        if path_takes >= self.settings.frame_bytes_max {
            return self.settings.frame_bytes_max;
        }
        self.settings.frame_bytes_max.min(path_takes.max(cx.shared.wire.frame_bytes_least()))
    }

    /// Sends `messages` and no news.
    pub(in crate::protocol) fn send_bare(
        &mut self,
        cx: &mut Context<'_, '_>,
        to: SocketAddr,
        destination: MemberId,
        messages: &[Message<'_>],
    ) {
        let own = self.messages_len(cx, destination, messages);
        self.send_chosen(cx, to, destination, messages, own, &[]);
    }

    /// Share of a frame that waiting events get, in percent.
    fn event_share(&self, cx: &Context<'_, '_>) -> u8 {
        if cx.shared.behaviour.events_last { 0 } else { self.settings.event_share_percent }
    }

    /// Bytes that `messages` take in a frame.
    #[inline]
    fn messages_len(&self, cx: &Context<'_, '_>, destination: MemberId, messages: &[Message<'_>]) -> usize {
        match &cx.shared.wire {
            Wire::Native => messages.iter().map(Message::encoded_len).sum(),
            Wire::Memberlist(_) => self.packet_messages_len(cx, destination, messages),
        }
    }

    /// Writes a frame with `messages` and the `chosen` news, `length` bytes in all, and counts these as
    /// sent.
    fn send_chosen(
        &mut self,
        cx: &mut Context<'_, '_>,
        to: SocketAddr,
        destination: MemberId,
        messages: &[Message<'_>],
        length: usize,
        chosen: &[u32],
    ) {
        let written = match cx.shared.wire {
            _ if cx.shared.typed.is_some() => self.write_typed(cx, to, destination, messages, length, chosen),
            Wire::Native => self.write_frame(cx, to, destination, messages, length, chosen),
            Wire::Memberlist(_) => self.write_packet(cx, to, destination, messages, chosen),
        };
        if !written {
            cx.shared.counters.frames_shed += 1;
            return;
        }
        cx.shared.counters.frames_sent += 1;
        if chosen.is_empty() {
            return;
        }
        cx.shared.counters.broadcast_copies_sent += chosen.len() as u64;
        let known = self.table.known();
        let limit = if cx.shared.behaviour.fewer_copies_in_small_pools {
            self.settings.upstream_retransmit_limit(known)
        } else {
            self.settings.retransmit_limit(known)
        };
        for node in chosen {
            if let Some(gone) = cx.shared.broadcasts.mark_sent(&mut self.queue, *node, limit) {
                self.broadcast_gone(cx, gone);
            }
        }
    }

    /// Queues news about `subject` and takes note of what had to go for it.
    pub(in crate::protocol) fn queue_update(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberIndex,
        news: Update,
        incarnation: Incarnation,
    ) {
        let length = self.news_len(cx, subject, news, incarnation);
        let queued = self.table.get(subject).is_queued();
        let len_max = self.settings.broadcasts_max;
        let shed = cx.shared.broadcasts.queue_update(
            &mut self.queue,
            subject,
            news,
            incarnation,
            length,
            queued,
            len_max,
        );
        self.table.set_queued(subject, true);
        cx.shared.counters.broadcasts_queued += 1;
        if subject == self.index && matches!(news, Update::Alive { .. }) {
            self.spread.told(incarnation.get(), cx.now);
        }
        if let Some(gone) = shed {
            cx.shared.counters.broadcasts_shed += 1;
            self.broadcast_gone(cx, gone);
        }
    }

    /// Bytes that news about `subject` takes in a frame.
    fn news_len(
        &self,
        cx: &Context<'_, '_>,
        subject: MemberIndex,
        news: Update,
        incarnation: Incarnation,
    ) -> usize {
        match (&cx.shared.wire, news) {
            (Wire::Memberlist(_), _) => self.packet_news_len(cx.shared, subject, news, incarnation),
            (Wire::Native, Update::Alive { introduce: true }) => {
                let metadata = self.identity(subject, cx.shared).metadata().len();
                Introduction::encoded_len(cx.shared.directory.name(subject).len(), metadata)
            }
            (Wire::Native, _) => crate::protocol::pools::broadcasts::news_len(news),
        }
    }

    /// Bytes that the event at `at` takes in a frame.
    pub(in crate::protocol) fn event_len(&self, shared: &SharedState, at: EventIndex) -> usize {
        match shared.wire {
            Wire::Native => {
                let event = shared.events.get(at);
                UserEvent::encoded_len(event.name.len(), event.payload.len())
            }
            Wire::Memberlist(_) => self.packet_news_len(shared, at, Update::Event, Incarnation::ZERO),
        }
    }

    fn broadcast_gone(&mut self, cx: &mut Context<'_, '_>, gone: Dequeued) {
        if gone.news == Update::Event {
            cx.shared.events.release(gone.subject);
            return self.event_gone(cx, gone.subject);
        }
        self.table.set_queued(gone.subject, false);
        // Other news about us, of a metadata change for instance, may end before the goodbye has even begun.
        if gone.subject == self.index && gone.news == Update::Left && self.status == Status::Leaving {
            self.finish_leaving(cx);
        }
    }
}
