//! User messages: what an application, or Serf, sends inside memberlist's messages.
//!
//! In a plain pool what other Swimring members say is told on, and what else comes is delivered once (see
//! `wire/user_messages.rs`). In a Serf pool user events are delivered and told on; intents and queries of others are
//! told on as every Serf member does; the rest is not for us.

use swimring_codec::MemberId;
use swimring_codec::serf;

use crate::protocol::dissemination::user_events::EventUse;
use crate::protocol::event::EventIndex;
use crate::protocol::state::{Context, Core, Status};
use crate::protocol::wire::EventBody;
use crate::protocol::wire::user_messages::{USER_MESSAGE_MAX, framed, serf_event, unnamed};

/// Serf's flag of a query that is not to be told on.
const QUERY_NO_BROADCAST: u32 = 2;

impl Core {
    /// A user message arrived, in a packet or over a stream.
    pub(in crate::protocol) fn on_user_message(&mut self, cx: &mut Context<'_, '_>, body: &[u8]) {
        if body.len() > USER_MESSAGE_MAX {
            cx.shared.counters.user_messages_too_long += 1;
        } else if cx.shared.wire.rules.serf {
            self.on_serf_message(cx, body);
        } else if let Some(event) = framed(body) {
            self.on_event(cx, &event, EventUse::DeliverAndTell);
        } else {
            self.on_event(cx, &unnamed(body, 0..body.len()), EventUse::Deliver);
        }
    }

    fn on_serf_message(&mut self, cx: &mut Context<'_, '_>, body: &[u8]) {
        let Ok(message) = serf::Message::decode(body) else {
            cx.shared.counters.decode_errors += 1;
            return;
        };
        match message {
            serf::Message::UserEvent { ltime, name, payload, .. } => {
                self.seldom.serf.witness_event(ltime);
                if let Some(event) = serf_event(body, ltime, name, payload) {
                    self.on_event(cx, &event, EventUse::DeliverAndTell);
                }
                return;
            }
            serf::Message::JoinIntent { ltime, .. } => self.seldom.serf.witness(ltime),
            serf::Message::LeaveIntent { ltime, node, .. } => {
                self.seldom.serf.witness(ltime);
                if MemberId::of_name(node) == self.id {
                    // Someone has us leave, and we live: say so, and do not tell it on.
                    if self.is_active() && self.seldom.serf.is_news_about_us(ltime) {
                        self.tell_join_intent(cx);
                    }
                    return;
                }
            }
            serf::Message::Query(query) if query.flags & QUERY_NO_BROADCAST == 0 => {}
            serf::Message::Query(_) => return,
            _ => {
                cx.shared.counters.user_messages_ignored += 1;
                return;
            }
        }
        self.on_event(cx, &unnamed(body, 0..0), EventUse::Tell);
    }

    /// Serf's part of a push/pull: its clocks, and whom it holds to have left.
    pub(in crate::protocol) fn merge_user_state(&mut self, cx: &mut Context<'_, '_>, user_state: &[u8]) {
        if !cx.shared.wire.rules.serf || user_state.is_empty() {
            return;
        }
        let Ok(serf::Message::PushPull(state)) = serf::Message::decode(user_state) else {
            cx.shared.counters.decode_errors += 1;
            return;
        };
        self.seldom.serf.witness_clocks(state.clocks);
        let name = cx.shared.directory.name(self.index);
        let held_left = state.left_members().any(|left| left == name);
        if held_left && self.is_active() {
            self.tell_join_intent(cx);
        }
    }

    /// Queues a message of Serf's that is about ourselves.
    fn tell_serf(&mut self, cx: &mut Context<'_, '_>, message: &serf::Message<'_>) -> Option<EventIndex> {
        let mut body = std::mem::take(&mut cx.shared.wire.memberlist_mut()?.body);
        body.clear();
        message.encode(&mut body);
        let event: EventBody<'_> = unnamed(&body, 0..0);
        let at = self.tell_own(cx, &event);
        if let Some(memberlist) = cx.shared.wire.memberlist_mut() {
            memberlist.body = body;
        }
        at
    }

    /// Serf members say when, by their clocks, they have joined, so that no older intent to leave is taken
    /// for a newer one.
    pub(in crate::protocol) fn tell_join_intent(&mut self, cx: &mut Context<'_, '_>) {
        let name = cx.shared.directory.name(self.index).to_owned();
        let ltime = self.seldom.serf.stated();
        self.tell_serf(cx, &serf::Message::JoinIntent { ltime, node: &name });
    }

    /// Serf takes whoever departs without having said this for failed. Gives the event that tells it.
    pub(in crate::protocol) fn tell_leave_intent(&mut self, cx: &mut Context<'_, '_>) -> Option<EventIndex> {
        if !cx.shared.wire.rules.serf {
            return None;
        }
        let name = cx.shared.directory.name(self.index).to_owned();
        let ltime = self.seldom.serf.next();
        self.tell_serf(cx, &serf::Message::LeaveIntent { ltime, node: &name, prune: false })
    }

    fn is_active(&self) -> bool {
        self.status == Status::Active
    }
}
