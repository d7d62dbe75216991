//! The user events that are remembered, once for all members of a worker.
//!
//! Copies of an event are told apart by origin and sequence; one bit per member says who has had it. An event is kept for
//! `event_memory`, longer than a rumour lives, so that a late copy is known as one, and for longer while there is room, so
//! that others can have it who missed it. A store that is full of events younger
//! than `event_memory` takes no new ones. Which events the event roots stand for is in [`super::event_window`].

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use swimring_codec::native::EventId;
use swimring_codec::{Incarnation, MemberId};

use crate::protocol::event::{Event, EventIndex};
use crate::protocol::settings::Settings;
use crate::protocol::shared_lists::event_backlog::EventBacklog;
use crate::protocol::shared_lists::event_window::{EVENT_KEPT, EVENT_WINDOW, EventWindow};
use crate::protocol::time::Time;
use crate::protocol::view::keyed_hash::KeyedHash;
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
    /// Id and term, where roots are compared.
    id: (EventId, u32),
    /// When it leaves the event roots.
    leaves: Time,
    /// It has entered them, and not left.
    counted: bool,
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
    /// By id.
    ids: HashMap<EventId, EventIndex, KeyedHash>,
    /// The stored events, the oldest first.
    order: VecDeque<EventIndex>,
    /// What the event roots stand for; nothing where none travel.
    window: Option<EventWindow>,
    backlog: EventBacklog,
}

impl EventStore {
    /// An empty store for events whose bodies have at most `body_max` bytes. `compared`: members compare what they know.
    pub(in crate::protocol) fn new(key: u64, body_max: usize, compared: bool) -> EventStore {
        EventStore {
            stored: Vec::new(),
            bytes: Vec::new(),
            body_max,
            seen: Vec::new(),
            words: 1,
            index: HashMap::with_hasher(KeyedHash::new(key)),
            ids: HashMap::with_hasher(KeyedHash::new(key)),
            order: VecDeque::new(),
            window: compared.then(EventWindow::new),
            backlog: EventBacklog::default(),
        }
    }

    /// Makes room for `events`, and for the bits of `members` members.
    pub(in crate::protocol) fn reserve(&mut self, members: usize, events: usize) {
        self.widen(members);
        self.backlog.reserve(events);
        self.stored.reserve_exact(events.saturating_sub(self.stored.len()));
        self.bytes.reserve_exact((events * self.body_max).saturating_sub(self.bytes.len()));
        self.seen.reserve_exact((events * self.words).saturating_sub(self.seen.len()));
        self.index.reserve(events.saturating_sub(self.index.len()));
        self.order.reserve(events.saturating_sub(self.order.len()));
        if let Some(window) = &mut self.window {
            window.reserve(members, events);
            self.ids.reserve(events.saturating_sub(self.ids.len()));
        }
    }

    /// There are `members` members now.
    pub(in crate::protocol) fn grow_members(&mut self, members: usize) {
        self.backlog.set_members(members);
        self.widen(members);
    }

    /// Widens the bit rows for `members` members.
    fn widen(&mut self, members: usize) {
        if let Some(window) = &mut self.window {
            window.grow_members(members);
        }
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

    #[inline]
    pub(in crate::protocol) fn find(&self, key: EventKey) -> Option<EventIndex> {
        self.index.get(&key).copied()
    }

    /// Marks that `member` has the event. False if it had it before.
    #[inline]
    pub(in crate::protocol) fn mark_seen(&mut self, at: EventIndex, member: u32) -> bool {
        let word = &mut self.seen[at as usize * self.words + member as usize / 64];
        let bit = 1 << (member % 64);
        let new = *word & bit == 0;
        *word |= bit;
        if new {
            self.backlog.delivered(at);
        }
        let stored = &self.stored[at as usize];
        if new
            && stored.counted
            && let Some(window) = &mut self.window
        {
            window.learn(member, stored.id.1);
        }
        new
    }

    /// Whether `member` has the event.
    pub(in crate::protocol) fn is_seen(&self, at: EventIndex, member: u32) -> bool {
        self.seen[at as usize * self.words + member as usize / 64] & (1 << (member % 64)) != 0
    }

    /// Has events enter and leave the event roots that are due. To be called at the beginning of every step.
    #[inline]
    pub(in crate::protocol) fn keep_time(&mut self, now: Time) {
        if self.window.as_ref().is_some_and(|window| window.next() <= now) {
            self.enter_and_leave(now);
        }
    }

    #[cold]
    fn enter_and_leave(&mut self, now: Time) {
        let EventStore { window, stored, seen, words, .. } = self;
        let Some(window) = window else { return };
        while let Some(at) = window.entering(now) {
            let stored = &mut stored[at as usize];
            stored.counted = true;
            window.add(stored.id.1, &seen[at as usize * *words..][..*words]);
        }
        while let Some(at) = window.leaving(now) {
            let stored = &mut stored[at as usize];
            stored.counted = false;
            window.subtract(stored.id.1, &seen[at as usize * *words..][..*words]);
        }
        window.arm();
    }

    /// The event root of `member`.
    #[inline]
    pub(in crate::protocol) fn root(&self, member: u32) -> u32 {
        self.window.as_ref().map_or(0, |window| window.root(member))
    }

    /// What stands for events in the root of `member`, those alone that are no older than `age_max` quarters of a second,
    /// each with its id and term.
    pub(in crate::protocol) fn known_by(
        &self,
        member: u32,
        now: Time,
        age_max: u8,
    ) -> impl Iterator<Item = (EventId, u32)> + Clone {
        let covered = self.window.iter().flat_map(move |window| window.covered(now, age_max));
        covered.filter(move |at| self.is_seen(*at, member)).map(|at| self.stored[at as usize].id)
    }

    /// The greatest age, in quarters of a second, of events that have certainly not been forgotten.
    pub(in crate::protocol) fn age_max(&self, now: Time) -> u8 {
        self.window.as_ref().map_or(0, |window| window.age_max(now))
    }

    /// Whether an event of this age is certainly new if it is not in the store, and still repaired.
    pub(in crate::protocol) fn takes_repaired(&self, now: Time, age: Duration) -> bool {
        let leaves = now + EVENT_WINDOW.saturating_sub(age);
        self.window.as_ref().is_some_and(|window| window.is_certain(leaves, now))
    }

    /// The event called `id`, if it is still repaired and `member` has it.
    pub(in crate::protocol) fn find_for(&self, id: EventId, member: u32, now: Time) -> Option<EventIndex> {
        let at = *self.ids.get(&id)?;
        let repaired = self.stored[at as usize].leaves > now && self.is_seen(at, member);
        repaired.then_some(at)
    }

    /// Whether `member` has the event called `id`.
    pub(in crate::protocol) fn knows(&self, id: EventId, member: u32) -> bool {
        self.ids.get(&id).is_some_and(|at| self.is_seen(*at, member))
    }

    /// How old the event is, from when it was first told, as far as that is known.
    pub(in crate::protocol) fn age(&self, at: EventIndex, now: Time) -> Duration {
        EVENT_WINDOW.saturating_sub(self.stored[at as usize].leaves.since(now))
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

    /// Whether half of the room is taken by events that must be remembered.
    pub(in crate::protocol) fn is_half_full(&self, now: Time, settings: &Settings) -> bool {
        let half = settings.events_max as usize / 2;
        let nth_youngest = self.order.len().checked_sub(half).and_then(|nth| self.order.get(nth));
        nth_youngest.is_some_and(|at| now.since(self.first_seen(*at)) < settings.event_memory)
    }

    /// Stores a new event that was first told `age` ago, in place of the oldest if the store is full. Nothing if that
    /// one is still needed.
    pub(in crate::protocol) fn insert(
        &mut self,
        event: &EventBody<'_>,
        age: Duration,
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
        self.keep_time(now);
        let at = self.place(now, settings)?;
        let body = &mut self.bytes[at as usize * self.body_max..][..body_len];
        body[..head.len()].copy_from_slice(head);
        body[head.len()..].copy_from_slice(tail);
        let key = event.key();
        let (leaves, id) = (now + EVENT_WINDOW.saturating_sub(age), EventId::of(key.origin, key.sequence));
        self.stored[at as usize] = Stored {
            key,
            body_len: body_len as u16,
            name: (name.start as u16, name.end as u16),
            payload: (payload.start as u16, payload.end as u16),
            references: 0,
            telling: None,
            first_seen: now,
            id,
            leaves,
            counted: false,
        };
        let seen = &mut self.seen[at as usize * self.words..][..self.words];
        seen.fill(0);
        self.index.insert(key, at);
        if age.is_zero() {
            self.backlog.begin(at, now);
        }
        if let Some(window) = &mut self.window {
            self.ids.insert(id.0, at);
            if window.insert(at, leaves, now) {
                self.stored[at as usize].counted = true;
                window.add(id.1, seen);
            }
        }
        Some(at)
    }

    fn place(&mut self, now: Time, settings: &Settings) -> Option<EventIndex> {
        let full = self.stored.len() >= settings.events_max as usize;
        if let Some(oldest) = self.order.front().copied() {
            let stored = &self.stored[oldest as usize];
            let longer = if full || self.window.is_none() { Duration::ZERO } else { EVENT_KEPT };
            let kept = settings.event_memory.max(longer);
            if now.since(stored.first_seen) >= kept && stored.references == 0 {
                self.forget(oldest);
                self.order.pop_front();
                self.order.push_back(oldest);
                return Some(oldest);
            }
        }
        if full {
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
            id: EventId::of(MemberId::NONE, 0),
            leaves: now,
            counted: false,
        };
        self.stored.push(empty);
        self.bytes.resize(self.stored.len() * self.body_max, 0);
        self.seen.resize(self.stored.len() * self.words, 0);
        let at = (self.stored.len() - 1) as EventIndex;
        self.order.push_back(at);
        Some(at)
    }

    /// Forgets the event at `at`, whose place is taken.
    fn forget(&mut self, at: EventIndex) {
        let Stored { key, id: (id, term), leaves, .. } = self.stored[at as usize];
        self.index.remove(&key);
        let Some(window) = &mut self.window else { return };
        if self.ids.get(&id) == Some(&at) {
            self.ids.remove(&id);
        }
        if window.forget(at, leaves) {
            window.subtract(term, &self.seen[at as usize * self.words..][..self.words]);
        }
    }

    /// Whether so many deliveries of young events are missing that another event would only wait.
    pub(in crate::protocol) fn is_behind(&mut self, now: Time) -> bool {
        self.backlog.is_long(now)
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

#[cfg(test)]
#[path = "events_test.rs"]
mod tests;
