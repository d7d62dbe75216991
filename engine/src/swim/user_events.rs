//! User events: small messages from one member to all.
//!
//! An event travels as a broadcast with its own share of every frame. Copies are told apart by origin and
//! sequence. Members that share a [`super::Commons`] share the stored events, one bit per member saying
//! who has had it; an event is kept for `event_memory`, longer than a rumour lives, so that a late copy
//! is known as one. For the same reason an event that was queued for half as long is no longer told: a
//! process that was stopped for a while would bring it back to life everywhere. A store that is full of events younger than that sheds new ones and counts them.

use std::collections::VecDeque;

use hashbrown::HashMap;
use swimring_codec::MemberId;
use swimring_codec::native::{EVENT_MAX, UserEvent};

use super::commons::Commons;
use super::directory::KeyedHash;
use super::event::Event;
use super::member::{Context, Member};
use super::settings::Settings;
use super::time::Time;

/// Where an event lies in the store.
pub type EventIndex = u32;

#[derive(Clone, Copy, Debug)]
struct Stored {
    origin: MemberId,
    sequence: u32,
    name_len: u16,
    payload_len: u16,
    /// Queues that hold it.
    references: u32,
    first_seen: Time,
}

/// The events that are remembered. See the module.
#[derive(Debug)]
pub(super) struct EventStore {
    stored: Vec<Stored>,
    /// [`EVENT_MAX`] bytes for each.
    bytes: Vec<u8>,
    /// One bit per member for each, `words` words long.
    seen: Vec<u64>,
    words: usize,
    index: HashMap<(MemberId, u32), EventIndex, KeyedHash>,
    /// The stored events, the oldest first.
    order: VecDeque<EventIndex>,
}

impl EventStore {
    pub(super) fn new(key: u64) -> EventStore {
        EventStore {
            stored: Vec::new(),
            bytes: Vec::new(),
            seen: Vec::new(),
            words: 1,
            index: HashMap::with_hasher(KeyedHash::new(key)),
            order: VecDeque::new(),
        }
    }

    /// Makes room for `events`, and for the bits of `members` members.
    pub(super) fn reserve(&mut self, members: usize, events: usize) {
        self.grow_members(members);
        self.stored.reserve_exact(events.saturating_sub(self.stored.len()));
        self.bytes.reserve_exact((events * EVENT_MAX).saturating_sub(self.bytes.len()));
        self.seen.reserve_exact((events * self.words).saturating_sub(self.seen.len()));
        self.index.reserve(events.saturating_sub(self.index.len()));
        self.order.reserve(events.saturating_sub(self.order.len()));
    }

    /// Widens the bit rows for `members` members.
    pub(super) fn grow_members(&mut self, members: usize) {
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
    pub(super) fn get(&self, at: EventIndex) -> UserEvent<'_> {
        let stored = &self.stored[at as usize];
        let start = at as usize * EVENT_MAX;
        let (name, payload) = self.bytes[start..].split_at(stored.name_len.into());
        UserEvent {
            origin: stored.origin,
            sequence: stored.sequence,
            // Stored from a `&str` of this length.
            name: std::str::from_utf8(name).unwrap_or_default(),
            payload: &payload[..stored.payload_len.into()],
        }
    }

    /// Bytes of the event on the wire.
    pub(super) fn encoded_len(&self, at: EventIndex) -> usize {
        let stored = &self.stored[at as usize];
        UserEvent::encoded_len(stored.name_len.into(), stored.payload_len.into())
    }

    pub(super) fn find(&self, event: &UserEvent<'_>) -> Option<EventIndex> {
        self.index.get(&(event.origin, event.sequence)).copied()
    }

    /// Marks that `member` has the event. False if it had it before.
    pub(super) fn mark_seen(&mut self, at: EventIndex, member: u32) -> bool {
        let word = &mut self.seen[at as usize * self.words + member as usize / 64];
        let bit = 1 << (member % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Stores a new event, in place of the oldest if the store is full. Nothing if that one is still
    /// needed.
    pub(super) fn insert(
        &mut self,
        event: &UserEvent<'_>,
        now: Time,
        settings: &Settings,
    ) -> Option<EventIndex> {
        if event.name.len() + event.payload.len() > EVENT_MAX {
            return None;
        }
        let at = self.place(now, settings)?;
        self.stored[at as usize] = Stored {
            origin: event.origin,
            sequence: event.sequence,
            name_len: event.name.len() as u16,
            payload_len: event.payload.len() as u16,
            references: 0,
            first_seen: now,
        };
        let bytes = &mut self.bytes[at as usize * EVENT_MAX..][..event.name.len() + event.payload.len()];
        let (name, payload) = bytes.split_at_mut(event.name.len());
        name.copy_from_slice(event.name.as_bytes());
        payload.copy_from_slice(event.payload);
        self.seen[at as usize * self.words..][..self.words].fill(0);
        self.index.insert((event.origin, event.sequence), at);
        Some(at)
    }

    fn place(&mut self, now: Time, settings: &Settings) -> Option<EventIndex> {
        if let Some(oldest) = self.order.front().copied() {
            let stored = &self.stored[oldest as usize];
            if now.since(stored.first_seen) >= settings.event_memory && stored.references == 0 {
                self.index.remove(&(stored.origin, stored.sequence));
                self.order.pop_front();
                self.order.push_back(oldest);
                return Some(oldest);
            }
        }
        if self.stored.len() >= settings.events_max as usize {
            return None;
        }
        let empty = Stored {
            origin: MemberId::NONE,
            sequence: 0,
            name_len: 0,
            payload_len: 0,
            references: 0,
            first_seen: now,
        };
        self.stored.push(empty);
        self.bytes.resize(self.stored.len() * EVENT_MAX, 0);
        self.seen.resize(self.stored.len() * self.words, 0);
        let at = (self.stored.len() - 1) as EventIndex;
        self.order.push_back(at);
        Some(at)
    }

    /// When the event was first seen here.
    pub(super) fn first_seen(&self, at: EventIndex) -> Time {
        self.stored[at as usize].first_seen
    }

    /// A queue now holds the event.
    pub(super) fn retain(&mut self, at: EventIndex) {
        self.stored[at as usize].references += 1;
    }

    /// A queue no longer holds the event.
    pub(super) fn release(&mut self, at: EventIndex) {
        self.stored[at as usize].references -= 1;
    }
}

impl Member {
    pub(super) fn on_user_event(&mut self, cx: &mut Context<'_, '_>, event: &UserEvent<'_>) {
        let at = match cx.commons.events.find(event) {
            Some(at) => at,
            None => match cx.commons.events.insert(event, cx.now, &self.settings) {
                Some(at) => at,
                None => {
                    cx.commons.counters.events_shed += 1;
                    return;
                }
            },
        };
        if !cx.commons.events.mark_seen(at, self.number) {
            cx.commons.counters.events_repeated += 1;
            return;
        }
        cx.commons.counters.events_delivered += 1;
        cx.emit(Event::UserEvent { event: at });
        if !self.tell_event(cx, at) {
            cx.commons.counters.broadcasts_shed += 1;
        }
    }

    pub(super) fn tell_event(&mut self, cx: &mut Context<'_, '_>, at: u32) -> bool {
        let length = cx.commons.events.encoded_len(at);
        let len_max = self.settings.broadcasts_max;
        let queued = cx.commons.broadcasts.queue_event(&mut self.queue, at, length, len_max);
        if queued {
            cx.commons.events.retain(at);
            cx.commons.counters.broadcasts_queued += 1;
            self.events_since = self.events_since.min(cx.commons.events.first_seen(at));
        }
        queued
    }

    /// Takes events out of the queue that others may have forgotten by now, and would take for new.
    #[inline]
    pub(super) fn drop_stale_events(&mut self, cx: &mut Context<'_, '_>) {
        let age_max = self.settings.event_memory / 2;
        if cx.now.since(self.events_since) < age_max {
            return;
        }
        let Commons { broadcasts, events, counters, .. } = &mut *cx.commons;
        let mut oldest = Time::NEVER;
        broadcasts.retain_events(&mut self.queue, |at| {
            let first_seen = events.first_seen(at);
            let keep = cx.now.since(first_seen) < age_max;
            if keep {
                oldest = oldest.min(first_seen);
            } else {
                events.release(at);
                counters.events_expired += 1;
            }
            keep
        });
        self.events_since = oldest;
    }
}
