//! Delegations: what a member has taken over to tell, until others have acknowledged that they tell it on.
//!
//! An update that is to be told is one *delegation* for each part of the cluster that its teller divides its own into. It
//! waits until the next frames are sent (at once, if none were sent lately: see [`Delegations::due`]), goes out with
//! all others for the same delegate in one numbered frame, and is forgotten when that number comes back. A frame
//! that is not acknowledged in time is taken apart again: what it carried goes to the same delegate once more or to
//! another of its part, and is given up after [`ATTEMPTS_MAX`] attempts, for repair to bring.
//!
//! Like all short lists of a fleet's members these lie in storage that a worker's members share.

use std::time::Duration;

use hashbrown::HashMap;

use crate::protocol::shared_lists::delegation::{Delegation, Leaving, Ready, Retry};
use crate::protocol::shared_lists::round_trip::RoundTrip;
use crate::protocol::time::Time;
use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::view::keyed_hash::KeyedHash;
use crate::protocol::view::linked_lists::{List, NIL, Pool};
use crate::protocol::view::pairing_heap::{Heap, HeapPool};
use crate::protocol::wire::Update;

/// How often an update is sent to one part: twice to one delegate, then to others. With a fifth of all packets lost,
/// six in vain are one part in sixteen thousand.
pub(in crate::protocol) const ATTEMPTS_MAX: u8 = 6;

/// The same as long as somebody of the part may be there after all: with a third of all dead, six in vain are one part in seven
/// hundred, and with it went hundreds of members; twelve are one in half a million.
pub(in crate::protocol) const ATTEMPTS_OTHERS_MAX: u8 = 12;

/// No attempt waits longer than the one after so many at a member that has missed nothing of ours, nor any while members rather
/// than packets are lost.
const BACKOFF_FRESH_MAX: u8 = 2;

/// Frames that one member may send in a second to pass things on, of those that have room left. Where more goes to one delegate
/// than fits, waiting would save nothing.
pub(in crate::protocol) const FRAMES_PER_SECOND: u32 = 100;

/// So many of them at once, before the rest is spaced: what two or three broadcasts of its own take.
pub(in crate::protocol) const FRAMES_BURST: u32 = 64;

/// What one such frame uses up of the second.
const FRAME_SHARE: Duration = Duration::from_micros(1_000_000 / FRAMES_PER_SECOND as u64);

/// More than so many delegations that nobody has acknowledged yet are a storm: two or three broadcasts of its own, where a lone
/// member passes on one or two of others.
const STORM_FROM: u32 = 64;

/// Longest time that long round trips put between two moments at which frames leave.
const INTERVAL_MAX: Duration = Duration::from_millis(400);

/// What can be held back leaves once less than this of what arrives lies unread: some thousands of datagrams in a large fleet's
/// worker, so that it does not run out of them.
pub(in crate::protocol) const HOLD_FROM: Duration = Duration::from_millis(10);

/// The longest that something is held back, however much lies unread.
pub(in crate::protocol) const HOLD_MAX: Duration = Duration::from_millis(400);

/// Most updates in one frame: more than the shortest leave room for.
pub(in crate::protocol) const UPDATES_MAX: usize = 96;

/// Most delegations of one member at once. One that sheds leaves the rest to repair.
const DELEGATIONS_MAX: u32 = 16_384;

/// Most delegations of all members that share a pool: this, and so many for each member. In a fleet the storm of
/// a thousand deaths is cut off before memory is.
const POOL_MAX: usize = 262_144;
const POOL_MAX_EACH: usize = 256;

/// A frame that waits for its acknowledgement.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    number: u32,
    delegate: MemberIndex,
    sent: Time,
    attempt: u8,
    /// To another zone.
    away: bool,
    /// Somebody waits for it to be over.
    awaited: bool,
    carried: List,
    /// How many that are.
    count: u32,
}

/// One member's delegations.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Delegations {
    owner: u32,
    /// Waiting and in flight.
    len: u32,
    waiting: List,
    /// Until the member has joined: each with the part that it is asked to tell itself.
    deferred: List,
    /// Until less lies unread, the oldest first.
    held: List,
    in_flight: Heap,
    /// No frames before this.
    paced: Time,
    /// Until when the frames that were sent use up what may be sent, at [`FRAME_SHARE`] each.
    spent: Time,
    /// When frames may next be sent, if something waits.
    due: Time,
    /// When an acknowledgement is next missed.
    unanswered: Time,
    /// Microseconds that the driver has lost since the member began: times in the heap are as if they had not been lost.
    lost_us: u64,
    /// Of the own zone: what is usual there would have every frame to another sent twice.
    round_trip: RoundTrip,
    /// Of all other zones.
    round_trip_away: RoundTrip,
    /// Number of the last frame.
    number: u32,
    /// How often of late a second frame to the same delegate was in vain too, up to [`DISTRUST_MAX`].
    distrust: u8,
}

/// So many second attempts in vain are remembered; each answered one takes one back.
const DISTRUST_MAX: u8 = 4;

impl Delegations {
    pub(in crate::protocol) const fn new(owner: u32) -> Delegations {
        Delegations {
            owner,
            len: 0,
            waiting: List::EMPTY,
            deferred: List::EMPTY,
            held: List::EMPTY,
            in_flight: Heap::EMPTY,
            paced: Time::ZERO,
            spent: Time::ZERO,
            due: Time::NEVER,
            unanswered: Time::NEVER,
            lost_us: 0,
            round_trip: RoundTrip::UNKNOWN,
            round_trip_away: RoundTrip::UNKNOWN,
            number: 0,
            distrust: 0,
        }
    }

    /// Whether there is nothing to send and nothing to wait for.
    #[inline]
    pub(in crate::protocol) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many wait to be sent, or for their acknowledgement.
    pub(in crate::protocol) const fn len(&self) -> u32 {
        self.len
    }

    /// Whether nothing waits until the member has joined.
    pub(in crate::protocol) const fn defers_nothing(&self) -> bool {
        self.deferred.is_empty()
    }

    /// Whether something is held back until less lies unread.
    #[inline]
    pub(in crate::protocol) const fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// When frames may next be sent; [`Time::NEVER`] if nothing waits.
    #[inline]
    pub(in crate::protocol) const fn due(&self) -> Time {
        self.due
    }

    /// When an acknowledgement is next missed; [`Time::NEVER`] if none is waited for.
    #[inline]
    pub(in crate::protocol) const fn unanswered(&self) -> Time {
        self.unanswered
    }

    /// Whether a probe's round trip says something about acknowledgements: as long as none was measured within the own zone,
    /// and always where there are other `zones`.
    #[inline]
    pub(in crate::protocol) const fn learns_from_probes(&self, zones: bool) -> bool {
        zones || self.round_trip.is_unknown()
    }

    /// Takes `round_trip` of a probe for that of an acknowledgement from the same side, the own zone or `away`. In the own zone
    /// only as long as none was measured; of others, to which a member passes on only what it begins itself, probes say more.
    pub(in crate::protocol) fn assume_round_trip(&mut self, away: bool, round_trip: Duration) {
        let estimate = self.round_trip(away);
        if away || estimate.is_unknown() {
            estimate.took(round_trip);
        }
    }

    /// Whether another delegation would be shed.
    pub(in crate::protocol) const fn is_full(&self) -> bool {
        self.len >= DELEGATIONS_MAX
    }

    /// What waits is not to wait for its pace: a member that refutes may stand still again before that.
    pub(in crate::protocol) fn hurry(&mut self, now: Time) {
        self.paced = Time::ZERO;
        self.spent = self.spent.min(now + FRAME_SHARE * FRAMES_BURST);
        if !self.waiting.is_empty() {
            self.due = Time::ZERO;
        }
    }

    /// Time between two moments at which frames leave: `pacing`, or in a storm the round trip where that is longer, since until
    /// then what was sent may lie unread. An event that merely follows a death is not held up by it at each of its steps.
    pub(in crate::protocol) fn interval(&self, pacing: Duration) -> Duration {
        if self.len <= STORM_FROM { pacing } else { pacing.max(self.round_trip.smoothed().min(INTERVAL_MAX)) }
    }

    /// When what waits may leave: after the pacing interval, and once no more than a burst of frames is ahead of its time.
    fn next_frames(&self) -> Time {
        self.paced.max(self.spent - FRAME_SHARE * FRAMES_BURST)
    }

    /// Whether so many frames have left that the next wait for longer than the pacing interval.
    pub(in crate::protocol) fn is_spaced(&self) -> bool {
        self.next_frames() > self.paced
    }

    fn lost(&self) -> Duration {
        Duration::from_micros(self.lost_us)
    }

    /// The driver lost `by`: acknowledgements may lie unread.
    pub(in crate::protocol) fn extend(&mut self, by: Duration) {
        self.lost_us += by.as_micros() as u64;
        if self.unanswered != Time::NEVER {
            self.unanswered = self.unanswered + by;
        }
    }

    /// Whether a second attempt should go to another member right away: too many of the first choices of late
    /// did not answer twice, so members are gone rather than packets.
    pub(in crate::protocol) const fn distrusts(&self) -> bool {
        self.distrust > 0
    }

    /// The round trips to the own zone, or to others.
    fn round_trip(&mut self, away: bool) -> &mut RoundTrip {
        if away { &mut self.round_trip_away } else { &mut self.round_trip }
    }
}

/// Storage for the delegations of many members.
#[derive(Debug)]
pub(in crate::protocol) struct DelegationPool {
    nodes: Pool<Delegation>,
    frames: HeapPool<InFlight>,
    /// (owner, number) -> frame.
    index: HashMap<(u32, u32), u32, KeyedHash>,
    members: usize,
    /// What [`DelegationPool::ready`] gives, between two uses.
    ready: Vec<Ready>,
}

impl DelegationPool {
    pub(in crate::protocol) fn new(key: u64) -> DelegationPool {
        DelegationPool {
            nodes: Pool::new(),
            frames: HeapPool::new(),
            index: HashMap::with_hasher(KeyedHash::new(key)),
            members: 0,
            ready: Vec::new(),
        }
    }

    /// Makes room for so many delegations and frames in flight.
    pub(in crate::protocol) fn reserve(&mut self, delegations: usize) {
        self.nodes.reserve(delegations);
        self.frames.reserve(delegations);
        // Twice, so that what was removed never makes it grow.
        self.index.reserve(2 * delegations);
        self.ready.reserve(DELEGATIONS_MAX as usize);
    }

    /// One more member shares the pool.
    pub(in crate::protocol) fn register(&mut self) {
        self.members += 1;
    }

    /// Delegations of all members.
    pub(in crate::protocol) fn used(&self) -> usize {
        self.nodes.used()
    }

    /// Whether `of` may have another.
    fn has_room(&self, of: &Delegations) -> bool {
        !of.is_full() && self.nodes.used() < POOL_MAX + POOL_MAX_EACH * self.members
    }

    /// Adds one that waits to be sent. False, and nothing added, if there are too many.
    pub(in crate::protocol) fn add(&mut self, of: &mut Delegations, delegation: Delegation) -> bool {
        if !self.has_room(of) {
            return false;
        }
        self.nodes.push_back(&mut of.waiting, delegation);
        of.len += 1;
        of.due = of.due.min(of.next_frames());
        true
    }

    /// Adds one that is held back until less lies unread, [`HOLD_MAX`] at most. False, and nothing added, if there are too many.
    pub(in crate::protocol) fn hold(&mut self, of: &mut Delegations, delegation: Delegation) -> bool {
        if !self.has_room(of) {
            return false;
        }
        self.nodes.push_back(&mut of.held, delegation);
        of.len += 1;
        of.due = of.due.min(self.held_until(of));
        true
    }

    /// When what has been held back the longest leaves in any case; [`Time::NEVER`] if nothing is.
    fn held_until(&self, of: &Delegations) -> Time {
        if of.held.is_empty() { Time::NEVER } else { self.nodes.get(of.held.head()).since + HOLD_MAX }
    }

    /// Has what is held back wait for its pace like anything else, if it may leave at `now`: little lies `unread`, or it was held back
    /// for long enough.
    pub(in crate::protocol) fn release(&mut self, of: &mut Delegations, now: Time, unread: Duration) {
        if unread >= HOLD_FROM && now < self.held_until(of) {
            return;
        }
        while !of.held.is_empty() {
            let node = of.held.head();
            self.nodes.relink(&mut of.held, &mut of.waiting, node);
        }
        self.reschedule(of);
    }

    /// Adds one that waits until the member has joined. False, and nothing added, if there are too many.
    pub(in crate::protocol) fn defer(&mut self, of: &mut Delegations, delegation: Delegation) -> bool {
        if !self.has_room(of) {
            return false;
        }
        self.nodes.push_back(&mut of.deferred, delegation);
        of.len += 1;
        true
    }

    /// Takes the next of those out.
    pub(in crate::protocol) fn next_deferred(&mut self, of: &mut Delegations) -> Option<Delegation> {
        if of.deferred.is_empty() {
            return None;
        }
        of.len -= 1;
        let node = of.deferred.head();
        Some(self.nodes.remove(&mut of.deferred, node))
    }

    /// Notes when something is next due, after a change.
    fn reschedule(&self, of: &mut Delegations) {
        of.unanswered = self.frames.first(&of.in_flight).map_or(Time::NEVER, |(_, at)| at + of.lost());
        let next_frames = if of.waiting.is_empty() { Time::NEVER } else { of.next_frames() };
        of.due = next_frames.min(self.held_until(of));
    }

    /// If frames may be sent at `now`: what waits, those of a frame beside each other, in the order of the delegates' ids
    /// that `directory` knows, and none again for `pacing`.
    /// What `keep` does not keep is dropped. To be given back to [`DelegationPool::done`].
    pub(in crate::protocol) fn ready(
        &mut self,
        of: &mut Delegations,
        now: Time,
        pacing: Duration,
        directory: &Directory,
        mut keep: impl FnMut(&mut Delegation) -> bool,
    ) -> Option<Vec<Ready>> {
        if of.waiting.is_empty() || now < of.next_frames() {
            return None;
        }
        of.paced = now + pacing;
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        let mut node = of.waiting.head();
        while node != NIL {
            let next = self.nodes.next(node);
            let delegation = self.nodes.get_mut(node);
            if keep(delegation) {
                let nth = ready.len() as u32;
                let part = delegation.part;
                ready.push(Ready { part, id: directory.id(part.delegate), nth, node });
            } else {
                of.len -= 1;
                self.nodes.remove(&mut of.waiting, node);
            }
            node = next;
        }
        ready.sort_unstable_by_key(|Ready { part, id, nth, .. }| {
            (*id, part.zone, part.prefix_bits, part.view_first, *nth)
        });
        self.reschedule(of);
        Some(ready)
    }

    /// Takes back what [`DelegationPool::ready`] gave.
    pub(in crate::protocol) fn done(&mut self, ready: Vec<Ready>) {
        self.ready = ready;
    }

    pub(in crate::protocol) fn get(&self, ready: Ready) -> &Delegation {
        self.nodes.get(ready.node)
    }

    /// Puts what stands in `carried`, all of it for one delegate, under way at `now` as one frame. Gives the frame's number.
    pub(in crate::protocol) fn send(
        &mut self,
        of: &mut Delegations,
        carried: &[Ready],
        Leaving { away, fresh, full }: Leaving,
        now: Time,
        timeout_floor: Duration,
    ) -> u32 {
        let delegate = carried.first().map_or(NIL, |ready| ready.part.delegate);
        let (mut attempt, mut awaited) = (0, false);
        of.number = of.number.wrapping_add(1);
        let mut list = List::EMPTY;
        for ready in carried {
            let sent = self.nodes.get_mut(ready.node);
            awaited |= matches!(sent.update, Update::Event | Update::Left);
            attempt = attempt.max(sent.attempt);
            sent.attempt += 1;
            self.nodes.relink(&mut of.waiting, &mut list, ready.node);
        }
        let frame = InFlight {
            number: of.number,
            delegate,
            sent: now,
            attempt,
            away,
            awaited,
            carried: list,
            count: carried.len() as u32,
        };
        let backoff = if fresh || of.distrusts() { attempt.min(BACKOFF_FRESH_MAX) } else { attempt };
        let due = now + of.round_trip(away).timeout(backoff, timeout_floor) - of.lost();
        let slot = self.frames.insert(&mut of.in_flight, due, frame);
        self.index.insert((of.owner, of.number), slot);
        if !full {
            of.spent = of.spent.max(now) + FRAME_SHARE;
        }
        self.reschedule(of);
        of.number
    }

    /// The frame `number` could not be written: what it carried waits again.
    pub(in crate::protocol) fn unsend(&mut self, of: &mut Delegations, number: u32) {
        let Some(slot) = self.index.get(&(of.owner, number)).copied() else { return };
        let mut carried = self.take_frame(of, slot).carried;
        while !carried.is_empty() {
            let node = carried.head();
            self.nodes.get_mut(node).attempt -= 1;
            self.nodes.relink(&mut carried, &mut of.waiting, node);
        }
        self.reschedule(of);
    }

    fn take_frame(&mut self, of: &mut Delegations, slot: u32) -> InFlight {
        let frame = self.frames.remove(&mut of.in_flight, slot);
        self.index.remove(&(of.owner, frame.number));
        frame
    }

    /// The member `from` has acknowledged the frame `number` at `now`. Tells `gone` of what it carried if it may be
    /// awaited: user events and goodbyes. False if
    /// there is no such frame, because it was acknowledged before, or given to others meanwhile.
    pub(in crate::protocol) fn acknowledge(
        &mut self,
        of: &mut Delegations,
        number: u32,
        from: MemberIndex,
        now: Time,
        mut gone: impl FnMut(Delegation),
    ) -> bool {
        let Some(slot) = self.index.get(&(of.owner, number)).copied() else { return false };
        let InFlight { sent, attempt, delegate, away, .. } = *self.frames.get(slot);
        if delegate != from {
            return false;
        }
        // Each attempt has a number of its own, so its round trip is known (there is no need of Karn's rule).
        of.round_trip(away).measured(sent, now);
        if attempt > 0 {
            of.distrust = of.distrust.saturating_sub(1);
        }
        let InFlight { mut carried, awaited, count, .. } = self.take_frame(of, slot);
        of.len -= count;
        if !awaited {
            self.nodes.clear(&mut carried, count);
        }
        while !carried.is_empty() {
            let node = carried.head();
            gone(self.nodes.remove(&mut carried, node));
        }
        self.reschedule(of);
        true
    }

    /// Whom the next frame was for that was not acknowledged by `now`, and how often what it carried has been sent.
    pub(in crate::protocol) fn unanswered(&self, of: &Delegations, now: Time) -> Option<(MemberIndex, u8)> {
        let (slot, _) = self.frames.first(&of.in_flight).filter(|(_, at)| *at + of.lost() <= now)?;
        let frame = self.frames.get(slot);
        Some((frame.delegate, frame.attempt + 1))
    }

    /// Takes one frame apart that was not acknowledged by `now`: `retry` says what becomes of each delegation. False
    /// if there is none.
    pub(in crate::protocol) fn expire(
        &mut self,
        of: &mut Delegations,
        now: Time,
        mut retry: impl FnMut(&Delegation) -> Retry,
    ) -> bool {
        let Some((slot, _)) = self.frames.first(&of.in_flight).filter(|(_, at)| *at + of.lost() <= now)
        else {
            return false;
        };
        let InFlight { mut carried, attempt, .. } = self.take_frame(of, slot);
        if attempt == 1 {
            of.distrust = (of.distrust + 1).min(DISTRUST_MAX);
        }
        while !carried.is_empty() {
            let node = carried.head();
            match retry(self.nodes.get(node)) {
                Retry::Send(part) => {
                    self.nodes.get_mut(node).part = part;
                    self.nodes.relink(&mut carried, &mut of.waiting, node);
                }
                Retry::GiveUp | Retry::Drop => {
                    of.len -= 1;
                    self.nodes.remove(&mut carried, node);
                }
            }
        }
        self.reschedule(of);
        true
    }

    /// Drops everything, telling `gone` of each.
    pub(in crate::protocol) fn clear(&mut self, of: &mut Delegations, mut gone: impl FnMut(Delegation)) {
        while let Some((slot, _)) = self.frames.first(&of.in_flight) {
            let mut carried = self.take_frame(of, slot).carried;
            while !carried.is_empty() {
                let node = carried.head();
                gone(self.nodes.remove(&mut carried, node));
            }
        }
        for list in [&mut of.waiting, &mut of.deferred, &mut of.held] {
            while !list.is_empty() {
                let node = list.head();
                gone(self.nodes.remove(list, node));
            }
        }
        of.len = 0;
        (of.due, of.unanswered) = (Time::NEVER, Time::NEVER);
    }
}

#[cfg(test)]
#[path = "delegations_test.rs"]
mod tests;
