//! User events: small messages from one member to all.
//!
//! An event travels as a broadcast with its own share of every frame. Copies are told apart by origin and
//! sequence. Members that share a [`super::SharedState`] share the stored events, one bit per member saying
//! who has had it; an event is kept for `event_memory`, longer than a rumour lives, so that a late copy
//! is known as one. For the same reason an event that was queued for half as long is no longer told: a
//! process that was stopped for a while would bring it back to life everywhere. A store that is full of events younger than that sheds new ones and counts them.

use std::collections::VecDeque;
use std::ops::Range;

use hashbrown::HashMap;
use swimring_codec::MemberId;
use swimring_codec::native::UserEvent;

use crate::protocol::event::Event;
use crate::protocol::member::{Context, Member};
use crate::protocol::settings::Settings;
use crate::protocol::shared_state::SharedState;
use crate::protocol::time::Time;
use crate::protocol::view::directory::KeyedHash;

/// Where an event lies in the store.
pub type EventIndex = u32;

/// What tells one event from another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::protocol) struct EventKey {
    pub(in crate::protocol) origin: MemberId,
    pub(in crate::protocol) sequence: u32,
}

#[derive(Clone, Copy, Debug)]
struct Stored {
    key: EventKey,
    /// Bytes of the event as it travels.
    body_len: u16,
    /// Name and payload within the body: where each begins and ends.
    name: (u16, u16),
    payload: (u16, u16),
    /// Queues that hold it.
    references: u32,
    first_seen: Time,
}

/// The events that are remembered. See the module.
#[derive(Debug)]
pub(in crate::protocol) struct EventStore {
    stored: Vec<Stored>,
    /// `body_max` bytes for each.
    bytes: Vec<u8>,
    body_max: usize,
    /// One bit per member for each, `words` words long.
    seen: Vec<u64>,
    words: usize,
    index: HashMap<EventKey, EventIndex, KeyedHash>,
    /// The stored events, the oldest first.
    order: VecDeque<EventIndex>,
}

impl EventStore {
    /// An empty store for events whose bodies have at most `body_max` bytes.
    pub(in crate::protocol) fn new(key: u64, body_max: usize) -> EventStore {
        EventStore {
            stored: Vec::new(),
            bytes: Vec::new(),
            body_max,
            seen: Vec::new(),
            words: 1,
            index: HashMap::with_hasher(KeyedHash::new(key)),
            order: VecDeque::new(),
        }
    }

    /// Makes room for `events`, and for the bits of `members` members.
    pub(in crate::protocol) fn reserve(&mut self, members: usize, events: usize) {
        self.grow_members(members);
        self.stored.reserve_exact(events.saturating_sub(self.stored.len()));
        self.bytes.reserve_exact((events * self.body_max).saturating_sub(self.bytes.len()));
        self.seen.reserve_exact((events * self.words).saturating_sub(self.seen.len()));
        self.index.reserve(events.saturating_sub(self.index.len()));
        self.order.reserve(events.saturating_sub(self.order.len()));
    }

    /// Widens the bit rows for `members` members.
    pub(in crate::protocol) fn grow_members(&mut self, members: usize) {
        let words = members.div_ceil(64).max(1);
        if words <= self.words {
            return;
        }
        let mut seen = vec![0; self.stored.len() * words];
        for (new, old) in seen.chunks_mut(words).zip(self.seen.chunks(self.words)) {
            new[..old.len()].copy_from_slice(old);
        }
        self.seen = seen;
        self.words = words;
    }

    /// The event at `at`.
    pub(in crate::protocol) fn get(&self, at: EventIndex) -> UserEvent<'_> {
        let stored = &self.stored[at as usize];
        let body = self.body(at);
        let part = |(from, to): (u16, u16)| &body[from.into()..to.into()];
        UserEvent {
            origin: stored.key.origin,
            sequence: stored.key.sequence,
            // Stored from a `&str` of this length.
            name: std::str::from_utf8(part(stored.name)).unwrap_or_default(),
            payload: part(stored.payload),
        }
    }

    /// The event at `at` as it travels.
    pub(in crate::protocol) fn body(&self, at: EventIndex) -> &[u8] {
        &self.bytes[at as usize * self.body_max..][..self.stored[at as usize].body_len.into()]
    }

    /// What tells the event at `at` from others.
    pub(in crate::protocol) fn key(&self, at: EventIndex) -> Option<EventKey> {
        self.stored.get(at as usize).map(|stored| stored.key)
    }

    pub(in crate::protocol) fn find(&self, key: EventKey) -> Option<EventIndex> {
        self.index.get(&key).copied()
    }

    /// Marks that `member` has the event. False if it had it before.
    pub(in crate::protocol) fn mark_seen(&mut self, at: EventIndex, member: u32) -> bool {
        let word = &mut self.seen[at as usize * self.words + member as usize / 64];
        let bit = 1 << (member % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Stores a new native event, in place of the oldest if the store is full. Nothing if that one is still
    /// needed.
    pub(in crate::protocol) fn insert(
        &mut self,
        event: &UserEvent<'_>,
        now: Time,
        settings: &Settings,
    ) -> Option<EventIndex> {
        let name_len = event.name.len();
        let body_len = name_len + event.payload.len();
        let key = EventKey { origin: event.origin, sequence: event.sequence };
        let at = self.add(key, body_len, (0..name_len, name_len..body_len), now, settings)?;
        let body = &mut self.bytes[at as usize * self.body_max..][..body_len];
        let (name, payload) = body.split_at_mut(name_len);
        name.copy_from_slice(event.name.as_bytes());
        payload.copy_from_slice(event.payload);
        Some(at)
    }

    /// Stores a new event that travels as `body`, with `parts`, name and payload, within it.
    pub(in crate::protocol) fn insert_body(
        &mut self,
        key: EventKey,
        body: &[u8],
        parts: (Range<usize>, Range<usize>),
        now: Time,
        settings: &Settings,
    ) -> Option<EventIndex> {
        let at = self.add(key, body.len(), parts, now, settings)?;
        self.bytes[at as usize * self.body_max..][..body.len()].copy_from_slice(body);
        Some(at)
    }

    fn add(
        &mut self,
        key: EventKey,
        body_len: usize,
        (name, payload): (Range<usize>, Range<usize>),
        now: Time,
        settings: &Settings,
    ) -> Option<EventIndex> {
        if body_len > self.body_max {
            return None;
        }
        let at = self.place(now, settings)?;
        self.stored[at as usize] = Stored {
            key,
            body_len: body_len as u16,
            name: (name.start as u16, name.end as u16),
            payload: (payload.start as u16, payload.end as u16),
            references: 0,
            first_seen: now,
        };
        self.seen[at as usize * self.words..][..self.words].fill(0);
        self.index.insert(key, at);
        Some(at)
    }

    fn place(&mut self, now: Time, settings: &Settings) -> Option<EventIndex> {
        if let Some(oldest) = self.order.front().copied() {
            let stored = &self.stored[oldest as usize];
            if now.since(stored.first_seen) >= settings.event_memory && stored.references == 0 {
                self.index.remove(&stored.key);
                self.order.pop_front();
                self.order.push_back(oldest);
                return Some(oldest);
            }
        }
        if self.stored.len() >= settings.events_max as usize {
            return None;
        }
        let empty = Stored {
            key: EventKey { origin: MemberId::NONE, sequence: 0 },
            body_len: 0,
            name: (0, 0),
            payload: (0, 0),
            references: 0,
            first_seen: now,
        };
        self.stored.push(empty);
        self.bytes.resize(self.stored.len() * self.body_max, 0);
        self.seen.resize(self.stored.len() * self.words, 0);
        let at = (self.stored.len() - 1) as EventIndex;
        self.order.push_back(at);
        Some(at)
    }

    /// When the event was first seen here.
    pub(in crate::protocol) fn first_seen(&self, at: EventIndex) -> Time {
        self.stored[at as usize].first_seen
    }

    /// A queue now holds the event.
    pub(in crate::protocol) fn retain(&mut self, at: EventIndex) {
        self.stored[at as usize].references += 1;
    }

    /// A queue no longer holds the event.
    pub(in crate::protocol) fn release(&mut self, at: EventIndex) {
        self.stored[at as usize].references -= 1;
    }
}

impl Member {
    /// A native user event arrived.
    pub(in crate::protocol) fn on_user_event(&mut self, cx: &mut Context<'_, '_>, event: &UserEvent<'_>) {
        let key = EventKey { origin: event.origin, sequence: event.sequence };
        let events = &mut cx.shared.events;
        let at = events.find(key).or_else(|| events.insert(event, cx.now, &self.settings));
        if let Some(at) = self.first_time(cx, at) {
            self.deliver_event(cx, at);
            self.spread_event(cx, at);
        }
    }

    /// An event arrived that travels as `body`, of which `parts` are name and payload.
    pub(in crate::protocol) fn on_event_body(
        &mut self,
        cx: &mut Context<'_, '_>,
        key: EventKey,
        body: &[u8],
        parts: (Range<usize>, Range<usize>),
        deliver: bool,
        spread: bool,
    ) {
        let events = &mut cx.shared.events;
        let at = events.find(key).or_else(|| events.insert_body(key, body, parts, cx.now, &self.settings));
        let Some(at) = self.first_time(cx, at) else { return };
        if deliver {
            self.deliver_event(cx, at);
        }
        if spread {
            self.spread_event(cx, at);
        }
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
        if let Some(at) = self.first_time(cx, at) {
            self.deliver_event(cx, at);
            self.spread_event(cx, at);
        }
    }

    /// The event at `at` in the store, if this member has not had it; nothing if it found no room.
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
        cx.shared.counters.events_delivered += 1;
        cx.emit(Event::UserEvent { event: at });
    }

    fn spread_event(&mut self, cx: &mut Context<'_, '_>, at: EventIndex) {
        if !self.tell_event(cx, at) {
            cx.shared.counters.broadcasts_shed += 1;
        }
    }

    /// Stores a message of our own that travels as `body`, and tells it. Gives its place in the store.
    pub(in crate::protocol) fn tell_body(
        &mut self,
        cx: &mut Context<'_, '_>,
        key: EventKey,
        body: &[u8],
        parts: (Range<usize>, Range<usize>),
    ) -> Option<EventIndex> {
        let events = &mut cx.shared.events;
        let at = events.find(key).or_else(|| events.insert_body(key, body, parts, cx.now, &self.settings))?;
        events.mark_seen(at, self.number);
        self.tell_event(cx, at).then_some(at)
    }

    /// Queues the event at `at`. False if there is no room for it.
    pub(in crate::protocol) fn tell_event(&mut self, cx: &mut Context<'_, '_>, at: EventIndex) -> bool {
        let length = self.event_len(cx.shared, at);
        let len_max = self.settings.broadcasts_max;
        let queued = cx.shared.broadcasts.queue_event(&mut self.queue, at, length, len_max);
        if queued {
            cx.shared.events.retain(at);
            cx.shared.counters.broadcasts_queued += 1;
            self.events_since = self.events_since.min(cx.shared.events.first_seen(at));
        }
        queued
    }

    /// Takes events out of the queue that others may have forgotten by now, and would take for new.
    #[inline]
    pub(in crate::protocol) fn drop_stale_events(&mut self, cx: &mut Context<'_, '_>) {
        let age_max = self.settings.event_memory / 2;
        if cx.now.since(self.events_since) < age_max {
            return;
        }
        let intent = self.leave_intent;
        let mut intent_gone = None;
        let SharedState { broadcasts, events, counters, .. } = &mut *cx.shared;
        let mut oldest = Time::NEVER;
        broadcasts.retain_events(&mut self.queue, |at| {
            let first_seen = events.first_seen(at);
            let keep = cx.now.since(first_seen) < age_max;
            if keep {
                oldest = oldest.min(first_seen);
            } else {
                events.release(at);
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
