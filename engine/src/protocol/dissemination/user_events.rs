//! User events: small messages from one member to all.
//!
//! An event travels as a broadcast with its own share of every frame. The store ([`crate::protocol::shared_lists::events`]) knows late
//! copies; an event that was queued for half as long as it is remembered is no longer told: a process that was stopped for
//! a while would bring it back to life everywhere.

use std::time::Duration;

use swimring_codec::Incarnation;
use swimring_codec::native::UserEvent;

use crate::protocol::event::{Event, EventIndex};
use crate::protocol::shared_lists::delegation::Range;
use crate::protocol::shared_lists::events::PartEnd;
use crate::protocol::state::{Context, Core, SharedState};
use crate::protocol::time::Time;
use crate::protocol::wire::{EventBody, EventKey, Outgoing, Update, is_reserved};

/// What is done with an event that is new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum EventUse {
    /// It is for the application, and everyone is to have it.
    DeliverAndTell,
    /// It is for us alone.
    Deliver,
    /// It is for others.
    Tell,
}

impl Core {
    /// A native event arrived. If someone here has heard it, as most have where it is told at random, its key is enough, and the
    /// event itself is never put together in memory.
    #[inline(always)]
    pub(in crate::protocol) fn on_plain_event(&mut self, cx: &mut Context<'_, '_>, event: UserEvent<'_>) {
        match cx.shared.events.find(EventKey::of(&event)) {
            Some(at) => self.take_event(cx, Some(at), EventUse::DeliverAndTell),
            None => self.on_event(cx, &EventBody::Plain(&{ event }), EventUse::DeliverAndTell),
        }
    }

    /// An event arrived.
    #[inline(never)]
    pub(in crate::protocol) fn on_event(
        &mut self,
        cx: &mut Context<'_, '_>,
        event: &EventBody<'_>,
        using: EventUse,
    ) {
        let events = &mut cx.shared.events;
        let at =
            events.find(event.key()).or_else(|| events.insert(event, Duration::ZERO, cx.now, &self.settings));
        self.take_event(cx, at, using);
    }

    /// An event arrived that was at `at` in the store when it was sent, and is known by `key`. If it is there
    /// no more it is older than anyone still tells.
    pub(in crate::protocol) fn on_stored_event(
        &mut self,
        cx: &mut Context<'_, '_>,
        at: EventIndex,
        key: EventKey,
    ) {
        let events = &cx.shared.events;
        let at = if events.key(at) == Some(key) { Some(at) } else { events.find(key) };
        if at.is_none() {
            cx.shared.counters.events_expired += 1;
            return;
        }
        self.take_event(cx, at, EventUse::DeliverAndTell);
    }

    /// Takes in the event at `at` in the store, which repairs what we have missed; delivers it if it is `for_us`. False if
    /// it found no room, or we have had it.
    pub(in crate::protocol) fn take_repaired_event(
        &mut self,
        cx: &mut Context<'_, '_>,
        at: Option<EventIndex>,
        for_us: bool,
    ) -> bool {
        let Some(at) = self.first_time(cx, at) else { return false };
        cx.shared.counters.events_repaired += 1;
        if for_us {
            self.deliver_event(cx, at);
        } else {
            cx.shared.counters.events_before_join += 1;
        }
        true
    }

    /// Uses the event at `at` in the store, if this member has not had it: with gossip, most have.
    #[inline(always)]
    fn take_event(&mut self, cx: &mut Context<'_, '_>, at: Option<EventIndex>, using: EventUse) {
        if let Some(at) = self.first_time(cx, at) {
            self.use_event(cx, at, using);
        }
    }

    #[inline(never)]
    fn use_event(&mut self, cx: &mut Context<'_, '_>, at: EventIndex, using: EventUse) {
        if using != EventUse::Tell {
            self.deliver_event(cx, at);
        }
        if using != EventUse::Deliver {
            self.retell_event(cx, at);
        }
    }

    /// The event at `at` in the store, if this member has not had it; nothing if it found no room.
    #[inline]
    fn first_time(&mut self, cx: &mut Context<'_, '_>, at: Option<EventIndex>) -> Option<EventIndex> {
        let Some(at) = at else {
            cx.shared.counters.events_shed += 1;
            return None;
        };
        let first = cx.shared.events.mark_seen(at, self.number);
        cx.shared.counters.events_repeated += u64::from(!first);
        first.then_some(at)
    }

    fn deliver_event(&mut self, cx: &mut Context<'_, '_>, at: EventIndex) {
        if cx.shared.wire.rules.shares_state && is_reserved(cx.shared.events.get(at).event().name) {
            cx.shared.state_told.push(at);
            return;
        }
        cx.shared.counters.events_delivered += 1;
        cx.emit(Event::UserEvent { event: at });
    }

    /// Has those told of the event at `at` who are ours to tell.
    fn retell_event(&mut self, cx: &mut Context<'_, '_>, at: EventIndex) {
        if self.delegates(cx.shared) {
            if let Some(range) = cx.asked {
                self.delegate(cx, at, Update::Event, Incarnation::ZERO, range);
            }
        } else if !self.queue_event(cx, at) {
            cx.shared.counters.broadcasts_shed += 1;
        }
    }

    /// Stores an event of our own, and tells it. Gives its place in the store.
    pub(in crate::protocol) fn tell_own(
        &mut self,
        cx: &mut Context<'_, '_>,
        event: &EventBody<'_>,
    ) -> Option<EventIndex> {
        let events = &mut cx.shared.events;
        let at = events
            .find(event.key())
            .or_else(|| events.insert(event, Duration::ZERO, cx.now, &self.settings))?;
        events.mark_seen(at, self.number);
        self.tell_event(cx, at).then_some(at)
    }

    /// Whether another event of our own would be refused.
    pub(in crate::protocol) fn is_full_of_events(&self, shared: &SharedState) -> bool {
        if self.delegates(shared) {
            return self.delegations.is_full();
        }
        self.queue.is_full_of_events(self.settings.broadcasts_max)
    }

    /// Has everyone told of the event at `at`, which the application sent as ours with this sequence number.
    /// [`Event::EventTold`] follows, at once if nobody else is there.
    pub(in crate::protocol) fn tell_own_event(
        &mut self,
        cx: &mut Context<'_, '_>,
        at: EventIndex,
        sequence: u32,
    ) {
        cx.shared.events.begin_telling(at, self.number, sequence);
        let end = if self.tell_event(cx, at) { PartEnd::Told } else { PartEnd::GivenUp };
        let told = cx.shared.events.end_part(at, self.number, end);
        cx.out.events.extend(told);
    }

    /// Has everyone told of the event at `at`, which is ours. False if there is no room for it.
    pub(in crate::protocol) fn tell_event(&mut self, cx: &mut Context<'_, '_>, at: EventIndex) -> bool {
        if !self.delegates(cx.shared) {
            return self.queue_event(cx, at);
        }
        let room = !self.delegations.is_full();
        if room {
            self.delegate(cx, at, Update::Event, Incarnation::ZERO, Range::Everyone);
        }
        room
    }

    /// Queues the event at `at`. False if there is no room for it.
    fn queue_event(&mut self, cx: &mut Context<'_, '_>, at: EventIndex) -> bool {
        let said = Outgoing::Event(cx.shared.events.get(at));
        let length = self.part_len(cx.shared, &said);
        let len_max = self.settings.broadcasts_max;
        let queued = cx.shared.broadcasts.queue_event(&mut self.queue, at, length, len_max);
        if queued {
            cx.shared.events.retain(at);
            if self.table.live() > 1 {
                cx.shared.events.begin_part(at, self.number);
            }
            cx.shared.counters.broadcasts_queued += 1;
            self.events_since = self.events_since.min(cx.shared.events.first_seen(at));
        }
        queued
    }

    /// Takes events out of the queue that others may have forgotten by now, and would take for new.
    #[inline(always)]
    pub(in crate::protocol) fn drop_stale_events(&mut self, cx: &mut Context<'_, '_>) {
        if self.events_since != Time::NEVER {
            self.drop_old_events(cx);
        }
    }

    fn drop_old_events(&mut self, cx: &mut Context<'_, '_>) {
        let age_max = self.settings.event_memory / 2;
        if cx.now.since(self.events_since) < age_max {
            return;
        }
        let intent = self.leave_intent;
        let mut intent_gone = None;
        let (number, happened) = (self.number, &mut *cx.out.events);
        let SharedState { broadcasts, events, counters, .. } = &mut *cx.shared;
        let mut oldest = Time::NEVER;
        broadcasts.retain_events(&mut self.queue, |at| {
            let first_seen = events.first_seen(at);
            let keep = cx.now.since(first_seen) < age_max;
            if keep {
                oldest = oldest.min(first_seen);
            } else {
                happened.extend(events.release_part(at, number, PartEnd::GivenUp));
                counters.events_expired += 1;
                intent_gone = intent_gone.or(intent.filter(|intent| *intent == at));
            }
            keep
        });
        self.events_since = oldest;
        if let Some(intent) = intent_gone {
            self.event_gone(cx, intent);
        }
    }
}
