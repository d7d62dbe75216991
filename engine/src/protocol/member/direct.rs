//! Direct messages in datagrams: what one application says to another, once. What has to arrive goes over a stream, which
//! is the driver's affair.

use swimring_codec::MemberId;
use swimring_codec::native::{DIRECT_HEADER_LEN, DIRECT_MAX, HEADER_LEN};

use crate::protocol::event::Event;
use crate::protocol::member::{Member, MemberError};
use crate::protocol::outbox::Outbox;
use crate::protocol::state::{Context, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::wire::{Outgoing, Sender};

impl Member {
    /// Sends `payload` to the live member `to`, in one datagram and once: it may be lost. On memberlist's wire it is a user
    /// message, which does not say whom it is from.
    ///
    /// # Errors
    /// If it does not fit a datagram on its way, the member is not known to be live, we have left, or the pool is Serf's,
    /// whose members take user messages for Serf's own. Nothing is sent then.
    pub fn send_direct(
        &mut self,
        now: Time,
        to: MemberId,
        payload: &[u8],
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) -> Result<(), MemberError> {
        if self.core.status != Status::Active {
            return Err(MemberError::Left);
        }
        if shared.wire.rules.serf {
            return Err(MemberError::NoDirectMessages);
        }
        let index = shared.directory.find(to).filter(|index| self.core.table.get(*index).is_live());
        let index = index.filter(|index| *index != self.core.index).ok_or(MemberError::NotLive)?;
        let cx = &mut Context::new(now, shared, out);
        let fits = self.direct_max(cx, index);
        if payload.len() > fits {
            return Err(MemberError::MessageTooLarge { bytes: payload.len(), fits });
        }
        cx.shared.counters.direct_sent += 1;
        let address = self.core.identity(index, cx.shared).address();
        self.core.send_bare(cx, address, to, &[Outgoing::Direct { payload }]);
        Ok(())
    }

    /// Bytes of payload that a datagram to the member at `index` takes.
    fn direct_max(&self, cx: &Context<'_, '_>, index: u32) -> usize {
        match cx.shared.wire.user_message_max() {
            // As long as what others send as one.
            Some(most) => most,
            None => {
                let room = self.core.room_for_list(cx, index);
                room.saturating_sub(HEADER_LEN + DIRECT_HEADER_LEN).min(DIRECT_MAX)
            }
        }
    }

    /// A direct message has arrived.
    pub(super) fn on_direct(&mut self, cx: &mut Context<'_, '_>, sender: &Sender, payload: &[u8]) {
        if !self.is_live(sender.source, cx.shared) {
            cx.shared.counters.direct_strangers += 1;
            return;
        }
        cx.shared.counters.direct_received += 1;
        let at = cx.shared.inbox.add(sender.source, payload);
        cx.emit(Event::Direct { at });
    }

    /// Whether another member is held live.
    pub fn is_live(&self, id: MemberId, shared: &SharedState) -> bool {
        let index = shared.directory.find(id).filter(|index| *index != self.core.index);
        index.is_some_and(|index| self.core.table.get(index).is_live())
    }
}
