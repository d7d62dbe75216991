//! What every step of the protocol is given beside a member's own state.

use crate::protocol::event::Event;
use crate::protocol::outbox::Outbox;
use crate::protocol::state::SharedState;
use crate::protocol::time::Time;

/// What every step of the protocol is given.
pub(in crate::protocol) struct Context<'a, 'b> {
    pub(in crate::protocol) now: Time,
    pub(in crate::protocol) shared: &'a mut SharedState,
    pub(in crate::protocol) out: &'a mut Outbox<'b>,
}

impl Context<'_, '_> {
    pub(in crate::protocol) fn emit(&mut self, event: Event) {
        self.out.events.push(event);
    }
}
