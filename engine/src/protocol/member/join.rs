//! Joining: a stream to a seed, the seed's view for it, and how everyone hears of whoever is new.
//!
//! Who joins opens a stream and says nothing but that it joins; the seed answers with its shared state and its view. What
//! comes then is merged as any view is (`records.rs`). With it the member knows the others and is told of: by the seed, where it
//! is all through whom the member knows them, since a seed gathers those that join about the same time and tells of them
//! together (`dissemination/newcomers.rs`); otherwise by itself. A join whose members have yet to be admitted waits (`admission.rs`).

use std::net::SocketAddr;

use swimring_codec::{MemberId, State};

use crate::protocol::event::Event;
use crate::protocol::member::Member;
use crate::protocol::member::admission::Judged;
use crate::protocol::outbox::{Outbox, StreamOpen, StreamPurpose};
use crate::protocol::shared_lists::delegation::{Part, Range};
use crate::protocol::state::{Context, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::wire::{StreamSaid, Update};

impl Member {
    /// Asks the member at `seed` for its view and tells it about us. `token` comes back in
    /// [`Event::JoinFinished`](super::super::Event::JoinFinished). `destination` is [`MemberId::NONE`] unless several members live there.
    pub fn join(
        &mut self,
        now: Time,
        seed: SocketAddr,
        destination: MemberId,
        token: u32,
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) {
        let cx = &mut Context::new(now, shared, out);
        if self.core.status != Status::Active {
            if self.core.status == Status::Left {
                self.resume(cx);
            }
            // A member that left comes back as its own successor.
            self.core.status = Status::Active;
            let own = self.core.table.get(self.core.index);
            let incarnation = own.incarnation().next();
            self.core.set_entry(
                cx,
                self.core.index,
                own.with_state(State::Alive).with_incarnation(incarnation),
            );
        }
        self.core.seldom.joined_alone = self.core.table.live() <= 1;
        self.core.seldom.joined_through = destination;
        self.core.joining = self.core.seldom.joined_alone;
        self.introduce_self(cx);
        cx.out.streams.push(StreamOpen { to: seed, destination, purpose: StreamPurpose::Join { token } });
    }

    /// A join that is under way is not awaited any more. What was to wait for its end is told with what is next due.
    pub(crate) fn give_up_join(&mut self) {
        self.core.joining = false;
    }

    /// Answers `joiner`, who joins through us.
    pub(super) fn answer_join(&mut self, cx: &mut Context<'_, '_>, joiner: MemberId, reply: &mut Vec<u8>) {
        self.core.tell_deferred(cx);
        self.core.note_join(cx.now);
        if cx.shared.directory.signs() {
            // Who signed it has to be known first.
            self.core.say(cx.shared, joiner, StreamSaid::ViewBegun { joiner }, reply);
            self.write_state_for(cx, joiner, reply);
            return self.core.say(cx.shared, joiner, StreamSaid::ViewEnd, reply);
        }
        self.write_state_for(cx, joiner, reply);
        // All of it is told at the end of the rush.
        let rushed = self.core.is_rushed() || self.core.lacks_view();
        let view = if rushed { StreamSaid::Few { joiner } } else { StreamSaid::View { joiner } };
        self.core.say(cx.shared, joiner, view, reply);
    }

    /// The view of `source`, through whom we join, is merged. It is `quiet` if it has told all of it to everyone.
    /// `before` is what had come of introductions until then.
    pub(super) fn join_answered(
        &mut self,
        cx: &mut Context<'_, '_>,
        token: u32,
        source: MemberId,
        quiet: bool,
        before: Judged,
    ) {
        let through = if source == MemberId::NONE { self.core.seldom.joined_through } else { source };
        (self.core.seldom.joined_through, self.core.seldom.joined_at) = (through, cx.now);
        let through = cx.shared.directory.find(through);
        self.anti_entropy.note_joined(&mut self.core, cx, through);
        if let Some(through) = through.filter(|_| !quiet) {
            self.core.note_joined_in_rush(through, cx.now);
        }
        self.event_repair.note_joined(cx.now);
        self.view_repair.note_joined(cx.now);
        self.state_joined(cx, source);
        if cx.shared.wire.rules.serf {
            // A Serf member that has joined says when.
            self.core.tell_join_intent(cx);
        }
        self.join_brought(cx, (token, through), before);
    }

    /// If that was a stream of a join, or of a view that was to be had first, it is over: what we were asked to tell meanwhile is told.
    pub(super) fn end_joining(&mut self, cx: &mut Context<'_, '_>, purpose: Option<StreamPurpose>) {
        match purpose {
            Some(StreamPurpose::Join { .. }) => self.core.tell_deferred(cx),
            Some(StreamPurpose::View) => self.core.end_fetch(cx),
            _ => {}
        }
    }

    /// The join of `token`, by the member at `through`, is over. It has failed if `nobody` whom it brought was admitted.
    pub(super) fn join_over(
        &mut self,
        cx: &mut Context<'_, '_>,
        (token, through): (u32, Option<MemberIndex>),
        nobody: bool,
    ) {
        if nobody {
            cx.emit(Event::NobodyAdmitted { token });
        }
        cx.emit(Event::JoinFinished { token, joined: !nobody });
        if !nobody && self.core.delegates(cx.shared) {
            self.introduce_through(cx, through);
        }
    }

    /// Now that we have joined, and know whom to tell, has everyone told of us: by the member at `through` if it is what we know
    /// the others from. Those of many that join at once then share frames.
    fn introduce_through(&mut self, cx: &mut Context<'_, '_>, through: Option<MemberIndex>) {
        let (index, update) = (self.core.index, Update::Alive { introduce: true });
        let incarnation = self.core.table.get(index).incarnation();
        let through = through
            .filter(|through| self.core.seldom.joined_alone && self.core.table.get(*through).is_live());
        match through {
            Some(through) if through != index => {
                let zone = self.core.identity(through, cx.shared).zone();
                // Whoever tells the others may choose us to tell some of them.
                self.core.leave_untold(cx, index, update);
                let first = Part { delegate: through, zone, prefix_bits: 0, view_first: false };
                // In a rush that one tells all zones.
                let range = if self.core.lacks_view() { Range::Only(first) } else { Range::Through(first) };
                self.core.delegate(cx, index, update, incarnation, range);
            }
            _ => self.core.tell_update(cx, index, update, incarnation),
        }
    }

    /// Has everyone told of us as we are now.
    pub(super) fn introduce_self(&mut self, cx: &mut Context<'_, '_>) {
        let incarnation = self.core.table.get(self.core.index).incarnation();
        self.core.tell_update(cx, self.core.index, Update::Alive { introduce: true }, incarnation);
        self.spread_estimate.told(incarnation.get(), cx.now);
        self.begin_telling(cx);
    }
}
