//! The storage that the delegations of a worker's members share, and how one goes through it: it waits, leaves in a frame, and is
//! acknowledged, sent again or given up.

use std::time::Duration;

use hashbrown::HashMap;

use super::{DELEGATIONS_MAX, Delegations, FRAME_SHARE};
use crate::protocol::shared_lists::delegation::{Delegation, Leaving, Ready, Retry};
use crate::protocol::time::Time;
use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::view::keyed_hash::KeyedHash;
use crate::protocol::view::linked_lists::{List, NIL, Pool};
use crate::protocol::view::pairing_heap::HeapPool;
use crate::protocol::wire::Update;

/// No attempt waits longer than the one after so many at a member that has missed nothing of ours, nor any while members rather
/// than packets are lost.
const BACKOFF_FRESH_MAX: u8 = 2;

/// So many second attempts in vain are remembered; each answered one takes one back.
const DISTRUST_MAX: u8 = 4;

/// What can be held back leaves once less than this of what arrives lies unread: some thousands of datagrams in a large fleet's
/// worker, so that it does not run out of them.
pub(in crate::protocol) const HOLD_FROM: Duration = Duration::from_millis(10);

/// The longest that something is held back, however much lies unread.
pub(in crate::protocol) const HOLD_MAX: Duration = Duration::from_millis(400);

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
#[path = "pool_test.rs"]
mod tests;
