//! The user events that are remembered, once for all members of a worker.
//!
//! Copies of an event are told apart by origin and sequence; one bit per member says who has had it. An event is kept for
//! `event_memory`, longer than a rumour lives, so that a late copy is known as one. A store that is full of events younger
//! than that takes no new ones.

use std::collections::VecDeque;

use hashbrown::HashMap;
use swimring_codec::{Incarnation, MemberId};

use crate::protocol::event::{Event, EventIndex};
use crate::protocol::settings::Settings;
use crate::protocol::time::Time;
use crate::protocol::view::directory::KeyedHash;
use crate::protocol::wire::{EventBody, EventKey, Outgoing, StoredEvent, Update};

#[derive(Clone, Copy, Debug)]
struct Stored {
    key: EventKey,
    /// Bytes of the event as it travels.
    body_len: u16,
    /// Name and payload within the body: where each begins and ends.
    name: (u16, u16),
    payload: (u16, u16),
    /// Queues and delegations that hold it.
    references: u32,
    /// How its own sender tells it; nothing for what others sent.
    telling: Option<Telling>,
    first_seen: Time,
}

/// How far an event's own sender has come with telling it.
#[derive(Clone, Copy, Debug)]
struct Telling {
    /// The number of the member that sent it.
    member: u32,
    sequence: u32,
    /// Parts of the cluster that have not acknowledged it; a queue that it waits in is one. One more while it is
    /// being divided.
    parts: u32,
    given_up: u32,
}

/// How a part of the cluster that was to be told of an event ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum PartEnd {
    /// It is told, or nobody is there.
    Told,
    /// Nobody has taken it over.
    GivenUp,
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
    pub(in crate::protocol) fn get(&self, at: EventIndex) -> StoredEvent<'_> {
        let Stored { key, body_len, name, payload, .. } = self.stored[at as usize];
        let body = &self.bytes[at as usize * self.body_max..][..body_len.into()];
        StoredEvent { at, key, body, name, payload }
    }

    /// What is said by `update` about `subject`, which is the place of the event if it is one.
    #[inline]
    pub(in crate::protocol) fn said(
        &self,
        subject: u32,
        update: Update,
        incarnation: Incarnation,
    ) -> Outgoing<'_> {
        match update {
            Update::Event => Outgoing::Event(self.get(subject)),
            _ => Outgoing::Update { subject, update, incarnation },
        }
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

    /// `member` begins to tell the event at `at`, its own with this sequence number. To be ended with
    /// [`EventStore::end_part`] once all parts have begun.
    pub(in crate::protocol) fn begin_telling(&mut self, at: EventIndex, member: u32, sequence: u32) {
        self.stored[at as usize].telling = Some(Telling { member, sequence, parts: 1, given_up: 0 });
    }

    /// `member` begins to tell one more part of the cluster of the event at `at`. Without effect if it is another's.
    pub(in crate::protocol) fn begin_part(&mut self, at: EventIndex, member: u32) {
        if let Some(telling) = &mut self.stored[at as usize].telling
            && telling.member == member
        {
            telling.parts += 1;
        }
    }

    /// `member` finds no room to tell one part of the cluster of the event at `at`.
    pub(in crate::protocol) fn give_up_part(&mut self, at: EventIndex, member: u32) {
        self.begin_part(at, member);
        // Not the last: it is still being divided.
        let _ = self.end_part(at, member, PartEnd::GivenUp);
    }

    /// `member` is done with one of the parts that it began to tell of the event at `at`. What is to be said of
    /// that if it is the sender and that was the last.
    pub(in crate::protocol) fn end_part(
        &mut self,
        at: EventIndex,
        member: u32,
        end: PartEnd,
    ) -> Option<Event> {
        let stored = &mut self.stored[at as usize];
        let telling = stored.telling.as_mut().filter(|telling| telling.member == member)?;
        telling.given_up += u32::from(end == PartEnd::GivenUp);
        telling.parts -= 1;
        let Telling { sequence, parts, given_up, .. } = *telling;
        if parts > 0 {
            return None;
        }
        stored.telling = None;
        Some(Event::EventTold { sequence, given_up })
    }

    /// A queue or a delegation by which `member` told the event at `at` no longer holds it: [`EventStore::end_part`]
    /// and [`EventStore::release`] in one.
    pub(in crate::protocol) fn release_part(
        &mut self,
        at: EventIndex,
        member: u32,
        end: PartEnd,
    ) -> Option<Event> {
        let told = self.end_part(at, member, end);
        self.release(at);
        told
    }

    /// Stores a new event, in place of the oldest if the store is full. Nothing if that one is still needed.
    pub(in crate::protocol) fn insert(
        &mut self,
        event: &EventBody<'_>,
        now: Time,
        settings: &Settings,
    ) -> Option<EventIndex> {
        let (head, tail, name, payload) = match event {
            EventBody::Plain(event) => {
                let (name, payload) = (event.name.as_bytes(), event.payload);
                let end = name.len() + payload.len();
                (name, payload, 0..name.len(), name.len()..end)
            }
            EventBody::Enclosed { body, name, payload, .. } => {
                (*body, &[][..], name.clone(), payload.clone())
            }
        };
        let body_len = head.len() + tail.len();
        if body_len > self.body_max {
            return None;
        }
        let at = self.place(now, settings)?;
        let body = &mut self.bytes[at as usize * self.body_max..][..body_len];
        body[..head.len()].copy_from_slice(head);
        body[head.len()..].copy_from_slice(tail);
        self.stored[at as usize] = Stored {
            key: event.key(),
            body_len: body_len as u16,
            name: (name.start as u16, name.end as u16),
            payload: (payload.start as u16, payload.end as u16),
            references: 0,
            telling: None,
            first_seen: now,
        };
        self.seen[at as usize * self.words..][..self.words].fill(0);
        self.index.insert(event.key(), at);
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
            telling: None,
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
