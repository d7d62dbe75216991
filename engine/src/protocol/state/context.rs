//! What every step of the protocol is given beside a member's own state.

use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::MemberId;
use swimring_codec::native::Signature;

use crate::protocol::event::Event;
use crate::protocol::outbox::Outbox;
use crate::protocol::shared_lists::delegation::Range;
use crate::protocol::state::SharedState;
use crate::protocol::time::Time;

/// What a delegation says of the view of its sender, which is to be had before others are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum ViewFirst {
    /// It is another than ours.
    Wanted,
    /// It is the same.
    Had,
}

/// What every step of the protocol is given.
pub(in crate::protocol) struct Context<'a, 'b> {
    pub(in crate::protocol) now: Time,
    /// Silence that lasted until then can be judged: before now only while the driver is behind in reading.
    pub(in crate::protocol) judged: Time,
    pub(in crate::protocol) shared: &'a mut SharedState,
    pub(in crate::protocol) out: &'a mut Outbox<'b>,
    /// While what was delegated to us is taken in: whom we are to tell.
    pub(in crate::protocol) asked: Option<Range>,
    /// Whether those are to get our view before they are told, and we the sender's.
    pub(in crate::protocol) view_first: Option<ViewFirst>,
    /// The introduction that is read is its subject's, which has us tell everyone.
    pub(in crate::protocol) introduced: bool,
    /// The number under which that was delegated, until it is acknowledged.
    pub(in crate::protocol) delegated: Option<u32>,
    /// The age of the user event that follows, if it repairs what we have missed.
    pub(in crate::protocol) event_age: Option<Duration>,
    /// While what repairs our view is taken in: whether its sender began the exchange.
    pub(in crate::protocol) repairing: Option<bool>,
    /// The frame that is taken in has to be answered about our view.
    pub(in crate::protocol) views_compared: bool,
    /// The frame that is taken in has more than probing in it, so that something may wait until all of it is read.
    pub(in crate::protocol) collected: bool,
    /// While a frame is taken in: whom it is from.
    pub(in crate::protocol) sender: Option<(SocketAddr, MemberId)>,
    /// What the subject of the claim that is taken in next has signed it with.
    pub(in crate::protocol) signature: Option<Signature>,
}

impl<'a, 'b> Context<'a, 'b> {
    #[inline]
    pub(in crate::protocol) fn new(
        now: Time,
        shared: &'a mut SharedState,
        out: &'a mut Outbox<'b>,
    ) -> Context<'a, 'b> {
        shared.events.keep_time(now);
        let judged = shared.judged_until(now);
        Context {
            now,
            judged,
            shared,
            out,
            asked: None,
            view_first: None,
            introduced: false,
            delegated: None,
            event_age: None,
            repairing: None,
            views_compared: false,
            collected: false,
            sender: None,
            signature: None,
        }
    }

    /// Whether the driver is behind in reading, so that what others have sent may lie unread.
    pub(in crate::protocol) fn is_behind(&self) -> bool {
        self.judged < self.now
    }

    /// For how long what arrives lies unread.
    #[inline]
    pub(in crate::protocol) fn lies_unread(&self) -> Duration {
        self.now.since(self.judged)
    }

    pub(in crate::protocol) fn emit(&mut self, event: Event) {
        self.out.events.push(event);
    }
}
