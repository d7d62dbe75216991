//! Sending: what a frame carries beside what it is sent for.
//!
//! Every ping, ack and nack takes along as much waiting news as fits (SWIM section 4.1), so news spreads
//! without datagrams of its own. How a frame is written is the wire format's business.

use std::net::SocketAddr;

use swimring_codec::native::Message;
use swimring_codec::MemberId;

use crate::protocol::pools::broadcasts::Selection;
use crate::protocol::state::{Context, Core};
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::wire::Wire;

impl Core {
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
}
