//! Leaving: a goodbye is told like any update, and done once it has been told as often as any, or everyone who was asked
//! to tell it has acknowledged that.
//!
//! In a Serf pool the intent to leave is told before: its members take one that departs without it for failed.

use swimring_codec::State;

use crate::protocol::event::{Event, EventIndex};
use crate::protocol::state::{Context, Core, Status};
use crate::protocol::wire::Update;

impl Core {
    /// Begins to leave. [`Event::LeaveFinished`] follows.
    pub(in crate::protocol) fn say_goodbye(&mut self, cx: &mut Context<'_, '_>) {
        self.status = Status::Leaving;
        self.leave_intent = self.tell_leave_intent(cx);
        if self.leave_intent.is_none() || self.table.live() <= 1 {
            self.tell_left(cx);
        }
    }

    /// Tells that we leave.
    fn tell_left(&mut self, cx: &mut Context<'_, '_>) {
        self.leave_intent = None;
        let own = self.table.get(self.index);
        self.set_entry(cx, self.index, own.with_state(State::Left));
        self.tell_update(cx, self.index, Update::Left, own.incarnation());
        let delegated_to_nobody = self.delegates(cx.shared) && self.goodbyes == 0;
        if self.table.live() == 0 || delegated_to_nobody {
            self.drop_queue(cx);
        }
    }

    /// An event has been told as often as any. If it was that we mean to leave, we do.
    pub(super) fn event_gone(&mut self, cx: &mut Context<'_, '_>, event: EventIndex) {
        if self.status == Status::Leaving && self.leave_intent == Some(event) {
            self.tell_left(cx);
        }
    }

    /// Everyone who could be told has been told that we leave.
    pub(super) fn finish_leaving(&mut self, cx: &mut Context<'_, '_>) {
        self.status = Status::Left;
        cx.emit(Event::LeaveFinished);
    }
}
