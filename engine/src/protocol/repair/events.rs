//! Repair of user events: what telling has left out is found by comparing roots and brought by whoever has it.
//!
//! A ping and an ack say in three bytes which events of late their sender knows ([`crate::protocol::shared_lists::event_window`]).
//! If what a member hears differs from its own for a while, and no frame in between agreed, it asks whoever sent
//! the last: with the sums of what it knows, part by part. The other answers for the parts that differ, with the ids that it
//! knows there and with its own sums, since it may be the one that lacks something. Ids that are not known are
//! asked for, and sent, each event with its age. All of this is single frames: one that is lost is asked for again when
//! the next root differs.
//!
//! What was repaired is delivered once like everything else, and not told on, nor served if it is delegated later:
//! whoever else lacks it finds out by its own roots. Events from before a member has joined are taken in,
//! so that its root agrees, and not delivered.

use std::time::Duration;

use swimring_codec::native::{
    EVENT_PART_BITS_MAX, EVENT_REPAIR_LEN, EventId, EventPart, EventSum, HEADER_LEN, UserEvent,
};

use crate::protocol::event::EventIndex;
use crate::protocol::repair::frames::{FrameBudget, fitting, peer};
use crate::protocol::shared_lists::event_talk::{EVENT_MESSAGES_MAX, EventTalk, LISTED_MAX, note};
use crate::protocol::state::{Context, Core, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::wire::{EventBody, EventKey, Outgoing, Sender};

/// Roots have to differ for so long.
const LASTING: Duration = Duration::from_millis(300);

/// From one question to the next. Doubled each time that the answer to one says that nothing is missing on either side.
const WAIT_MIN: Duration = Duration::from_millis(500);

/// So many times.
const DOUBLINGS_MAX: u8 = 3;

/// Most frames that a member sends in a second to find and repair events.
const FRAMES_MAX: u8 = 64;

/// Events in one part, on average, that make more parts worth their bytes.
const EVENTS_EACH: usize = 8;

/// Parts that events are told apart by, at most.
const EVENT_PARTS_MAX: usize = 1 << EVENT_PART_BITS_MAX;

/// What a member remembers of comparing its events with others.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct EventRepair {
    /// Since when every root has differed; [`Time::NEVER`] if the last one agreed.
    differing_since: Time,
    /// No question before this.
    allowed: Time,
    /// When the member joined; when it was made if it did not.
    joined: Time,
    budget: FrameBudget,
    /// How often the time between questions has been doubled.
    doublings: u8,
    /// The last question was answered, and nothing was missing here or there.
    in_vain: bool,
    has_joined: bool,
}

impl EventRepair {
    pub(in crate::protocol) fn new(now: Time) -> EventRepair {
        EventRepair {
            differing_since: Time::NEVER,
            allowed: now,
            joined: now,
            budget: FrameBudget::FULL,
            doublings: 0,
            in_vain: false,
            has_joined: false,
        }
    }

    /// Notes that we have joined: what was told before is not for us. A member that joins again missed what it missed.
    pub(in crate::protocol) fn note_joined(&mut self, now: Time) {
        if !std::mem::replace(&mut self.has_joined, true) {
            self.joined = now;
        }
    }

    /// Compares the event root of a ping or ack with ours.
    #[inline]
    pub(in crate::protocol) fn compare_roots(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
        root: u32,
    ) {
        if root == cx.shared.events.root(core.number) {
            self.differing_since = Time::NEVER;
        } else {
            self.note_difference(core, cx, origin);
        }
    }

    #[cold]
    fn note_difference(&mut self, core: &mut Core, cx: &mut Context<'_, '_>, origin: &Sender) {
        if self.differing_since == Time::NEVER {
            self.differing_since = cx.now;
        }
        let lasting = cx.now.since(self.differing_since) >= LASTING;
        if !lasting || cx.now < self.allowed || core.status != Status::Active {
            return;
        }
        let Some(peer) = peer(core, cx, origin) else { return };
        self.doublings = if self.in_vain { (self.doublings + 1).min(DOUBLINGS_MAX) } else { 0 };
        self.in_vain = false;
        self.allowed = cx.now + WAIT_MIN * (1 << self.doublings);
        let age_max = cx.shared.events.age_max(cx.now);
        let sums = Sums::of(core, cx, age_max, None);
        cx.shared.counters.event_questions_sent += 1;
        self.send_sums(core, cx, peer, &sums, u128::MAX, false);
    }

    /// The sender states what it knows of one part.
    pub(in crate::protocol) fn on_sum(cx: &mut Context<'_, '_>, sum: EventSum) {
        note(&mut cx.shared.event_talk.sums, sum);
    }

    /// The sender knows the event `id`.
    pub(in crate::protocol) fn on_known(core: &Core, cx: &mut Context<'_, '_>, id: EventId) {
        if !cx.shared.events.knows(id, core.number) {
            note(&mut cx.shared.event_talk.unknown, id);
        }
    }

    /// The sender wants the event `id`.
    pub(in crate::protocol) fn on_wanted(core: &Core, cx: &mut Context<'_, '_>, id: EventId) {
        if let Some(at) = cx.shared.events.find_for(id, core.number, cx.now) {
            note(&mut cx.shared.event_talk.wanted, at);
        }
    }

    /// An event was sent to repair what we have missed. It was first told `age` ago.
    pub(in crate::protocol) fn on_repaired(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        event: UserEvent<'_>,
        age: Duration,
    ) {
        let body = EventBody::Plain(&event);
        self.take_repaired(core, cx, body.key(), age, |core, cx| {
            cx.shared.events.insert(&body, age, cx.now, &core.settings)
        });
    }

    /// The same of an event that lies in the store that we share with the sender.
    pub(in crate::protocol) fn on_stored(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        key: EventKey,
        age: Duration,
    ) {
        self.take_repaired(core, cx, key, age, |_, _| None);
    }

    fn take_repaired(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        key: EventKey,
        age: Duration,
        store: impl FnOnce(&Core, &mut Context<'_, '_>) -> Option<EventIndex>,
    ) {
        let at = cx.shared.events.find(key);
        if at.is_none() && !cx.shared.events.takes_repaired(cx.now, age) {
            cx.shared.counters.events_expired += 1;
            return;
        }
        let at = at.or_else(|| store(core, cx));
        let for_us = cx.now.since(self.joined) >= age;
        if core.take_repaired_event(cx, at, for_us) {
            self.in_vain = false;
        }
    }

    /// Answers what the messages of a frame from `origin` asked.
    #[inline]
    pub(in crate::protocol) fn answer(&mut self, core: &mut Core, cx: &mut Context<'_, '_>, origin: &Sender) {
        if !cx.shared.event_talk.is_empty() {
            self.answer_all(core, cx, origin);
        }
    }

    #[cold]
    fn answer_all(&mut self, core: &mut Core, cx: &mut Context<'_, '_>, origin: &Sender) {
        let mut talk = std::mem::replace(&mut cx.shared.event_talk, EventTalk::none());
        if let Some(peer) = peer(core, cx, origin)
            && core.status != Status::Left
        {
            self.answer_sums(core, cx, peer, &talk.sums, &mut talk.listed);
            self.want(core, cx, peer, &talk.unknown);
            self.give(core, cx, peer, &talk.wanted);
        }
        talk.clear();
        cx.shared.event_talk = talk;
    }

    /// Lists what we know of the parts in which we know something else than the sender of `sums`.
    fn answer_sums(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        peer: MemberIndex,
        sums: &[EventSum],
        listed: &mut Vec<EventId>,
    ) {
        let Some(first) = sums.first() else { return };
        // Unless it turns out that something is missing.
        self.in_vain |= first.answer;
        let age_max = first.age_max.min(cx.shared.events.age_max(cx.now));
        let own = Sums::of(core, cx, age_max, Some(first.part.bits));
        let like_first = sums.iter().filter(|sum| sum.part.bits == own.bits);
        let differing = like_first
            .filter(|sum| own.sums[usize::from(sum.part.nth)] != sum.sum)
            .fold(0, |parts, sum| parts | 1_u128 << sum.part.nth);
        if differing == 0 {
            return;
        }
        if !first.answer {
            self.send_sums(core, cx, peer, &own, differing, true);
        }
        let events = &cx.shared.events;
        let known = events.known_by(core.number, cx.now, age_max);
        let known = known.filter(|(id, _)| differing >> EventPart::of(*id, own.bits).nth & 1 != 0);
        // Where there are too many for one answer, others come another time.
        let from = core.rng.usize(..=known.clone().count());
        let turned = known.clone().skip(from).chain(known.take(from));
        listed.extend(turned.map(|(id, _)| id).take(LISTED_MAX));
        for part in listed.chunks(ids_in_a_frame(core, cx, peer)) {
            if !self.may_send(cx) {
                return;
            }
            cx.shared.counters.event_ids_sent += part.len() as u64;
            core.send_list(cx, peer, part.len() * EVENT_REPAIR_LEN, part.len(), |_, nth| {
                Outgoing::EventKnown { id: part[nth] }
            });
        }
    }

    fn send_sums(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        peer: MemberIndex,
        sums: &Sums,
        parts: u128,
        answer: bool,
    ) {
        if !self.may_send(cx) {
            return;
        }
        let count = 1 << sums.bits;
        let chosen = (0..count as u8).filter(|nth| parts >> nth & 1 != 0);
        let length = chosen.clone().count();
        let Sums { bits, age_max, .. } = *sums;
        core.send_list(cx, peer, length * EVENT_REPAIR_LEN, length, |_, place| {
            // There are `length`.
            let nth = chosen.clone().nth(place).unwrap_or(0);
            let sum = sums.sums[usize::from(nth)];
            Outgoing::EventSum(EventSum { part: EventPart { bits, nth }, age_max, answer, sum })
        });
    }

    /// Asks for the events `unknown`.
    fn want(&mut self, core: &mut Core, cx: &mut Context<'_, '_>, peer: MemberIndex, unknown: &[EventId]) {
        if unknown.is_empty() {
            return;
        }
        self.in_vain = false;
        for part in unknown.chunks(ids_in_a_frame(core, cx, peer)) {
            if !self.may_send(cx) {
                return;
            }
            cx.shared.counters.events_wanted += part.len() as u64;
            core.send_list(cx, peer, part.len() * EVENT_REPAIR_LEN, part.len(), |_, nth| {
                Outgoing::EventWanted { id: part[nth] }
            });
        }
    }

    /// Sends the events `wanted`, as many in a frame as it holds.
    fn give(&mut self, core: &mut Core, cx: &mut Context<'_, '_>, peer: MemberIndex, wanted: &[EventIndex]) {
        let room = core.room_for_list(cx, peer).saturating_sub(HEADER_LEN);
        let mut rest = wanted;
        while !rest.is_empty() {
            let lengths = rest.iter().map(|at| {
                let event = cx.shared.events.get(*at).event();
                EVENT_REPAIR_LEN + UserEvent::encoded_len(event.name.len(), event.payload.len())
            });
            let (count, bytes) = fitting(lengths, room);
            if !self.may_send(cx) {
                return;
            }
            let (carried, after) = rest.split_at(count);
            let now = cx.now;
            core.send_list(cx, peer, bytes, 2 * count, |events, nth| {
                let at = carried[nth / 2];
                if nth % 2 == 0 {
                    Outgoing::EventAge { age_ms: events.age(at, now).as_millis() as u32 }
                } else {
                    Outgoing::Event(events.get(at))
                }
            });
            cx.shared.counters.events_resent += count as u64;
            self.in_vain = false;
            rest = after;
        }
    }

    /// Whether one more frame may leave in this second; counts it.
    fn may_send(&mut self, cx: &mut Context<'_, '_>) -> bool {
        let may = self.budget.admits(FRAMES_MAX, cx.now);
        cx.shared.counters.event_repairs_shed += u64::from(!may);
        may
    }
}

/// How many ids one frame to `peer` holds.
fn ids_in_a_frame(core: &Core, cx: &Context<'_, '_>, peer: MemberIndex) -> usize {
    let room = core.room_for_list(cx, peer).saturating_sub(HEADER_LEN);
    (room / EVENT_REPAIR_LEN).clamp(1, EVENT_MESSAGES_MAX)
}

/// What a member's events sum to, part by part.
struct Sums {
    bits: u8,
    age_max: u8,
    sums: [u32; EVENT_PARTS_MAX],
}

impl Sums {
    /// In parts of so many bits, or as many as suit the number of events.
    fn of(core: &Core, cx: &Context<'_, '_>, age_max: u8, bits: Option<u8>) -> Sums {
        let known = cx.shared.events.known_by(core.number, cx.now, age_max);
        let bits = bits.unwrap_or_else(|| {
            let parts = known.clone().count().div_ceil(EVENTS_EACH).next_power_of_two();
            (parts.trailing_zeros() as u8).min(EVENT_PART_BITS_MAX)
        });
        let mut sums = [0_u32; EVENT_PARTS_MAX];
        for (id, term) in known {
            let sum = &mut sums[usize::from(EventPart::of(id, bits).nth)];
            *sum = sum.wrapping_add(term);
        }
        Sums { bits, age_max, sums }
    }
}
