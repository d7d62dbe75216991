//! Suspicions under way, of all members that share storage: what each may be told, and which is due first.
//!
//! What one suspicion is, and until when it goes on, is in `suspicion`. What is done about one is decided in
//! `detection/suspicion.rs` and `detection/adaptive.rs`.

use std::time::Duration;

use hashbrown::HashMap;
use swimring_codec::MemberId;

use crate::protocol::event::{StandingSuspicion, SuspicionSummary};
use crate::protocol::shared_lists::presence::Presence;
use crate::protocol::shared_lists::suspicion::{Due, Suspicion, Window, Witness};
use crate::protocol::time::{Time, millis};
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::keyed_hash::KeyedHash;
use crate::protocol::view::pairing_heap::{Heap, HeapPool};

/// Most times that a witness tells a suspect.
pub(in crate::protocol) const APPEALS_MAX: u8 = 64;

/// About so many of them in the window of a subject of which nothing was found out.
const APPEALS_UNKNOWN_MAX: u32 = 24;

/// Most suspicions of one member at once. A member that suspects this many others has lost its network;
/// more are shed, and found again by the next round of probes.
const SUSPICIONS_MAX: u32 = 16_384;

/// Most suspicions of all members that share a pool: this, and so many for each member. In a fleet a storm
/// of suspicions, where everyone doubts everyone, is cut off before memory is.
const POOL_MAX: usize = 65_536;
const POOL_MAX_EACH: usize = 256;

/// One member's suspicions.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct SuspicionList {
    owner: u32,
    len: u32,
    heap: Heap,
    /// Time that the driver has lost since the member began: every suspicion under way lasts that much
    /// longer. Times in the heap are as if it had not been lost.
    lost: Duration,
}

impl SuspicionList {
    pub(in crate::protocol) const fn new(owner: u32) -> SuspicionList {
        SuspicionList { owner, len: 0, heap: Heap::EMPTY, lost: Duration::ZERO }
    }

    /// Gives every suspect `by` longer to refute.
    pub(in crate::protocol) fn extend(&mut self, by: Duration) {
        self.lost += by;
    }

    pub(in crate::protocol) const fn len(&self) -> u32 {
        self.len
    }

    /// Time that the driver has lost since the member began.
    pub(in crate::protocol) const fn lost(&self) -> Duration {
        self.lost
    }

    pub(in crate::protocol) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Storage for the suspicions of many members.
#[derive(Debug)]
pub(in crate::protocol) struct SuspicionPool {
    heaps: HeapPool<Suspicion>,
    /// (owner, subject) -> node.
    index: HashMap<(u32, MemberIndex), u32, KeyedHash>,
    members: usize,
}

impl SuspicionPool {
    pub(in crate::protocol) fn new(key: u64) -> SuspicionPool {
        SuspicionPool { heaps: HeapPool::new(), index: HashMap::with_hasher(KeyedHash::new(key)), members: 0 }
    }

    pub(in crate::protocol) fn reserve(&mut self, capacity: usize) {
        self.heaps.reserve(capacity);
        self.index.reserve(capacity);
    }

    /// One more member shares the pool.
    pub(in crate::protocol) fn register(&mut self) {
        self.members += 1;
    }

    /// Adds a suspicion of a subject that has none. False if there are too many.
    pub(in crate::protocol) fn start(&mut self, of: &mut SuspicionList, mut suspicion: Suspicion) -> bool {
        if of.len >= SUSPICIONS_MAX || self.heaps.used() >= POOL_MAX + POOL_MAX_EACH * self.members {
            return false;
        }
        suspicion.started = suspicion.started - of.lost;
        if suspicion.check != Time::NEVER {
            suspicion.check = suspicion.check - of.lost;
        }
        let node = self.heaps.insert(&mut of.heap, suspicion.next(), suspicion);
        self.index.insert((of.owner, suspicion.subject), node);
        of.len += 1;
        true
    }

    /// Takes a confirmation of the suspicion of `subject`. True if it counts.
    pub(in crate::protocol) fn confirm(
        &mut self,
        of: &mut SuspicionList,
        subject: MemberIndex,
        accuser: MemberId,
    ) -> bool {
        let Some(node) = self.index.get(&(of.owner, subject)).copied() else { return false };
        let suspicion = self.heaps.get_mut(node);
        if !suspicion.confirm(accuser) {
            return false;
        }
        let next = suspicion.next();
        self.heaps.reschedule(&mut of.heap, node, next);
        true
    }

    /// Whether the accusation of `subject` by `accuser` is to be told on, which it is once.
    pub(in crate::protocol) fn tell_on(
        &mut self,
        of: &SuspicionList,
        subject: MemberIndex,
        accuser: MemberId,
    ) -> bool {
        let Some(node) = self.index.get(&(of.owner, subject)).copied() else { return false };
        let suspicion = self.heaps.get_mut(node);
        let Some(place) = suspicion.place_of(accuser) else { return false };
        let untold = suspicion.untold & 1 << place != 0;
        suspicion.untold &= !(1 << place);
        untold
    }

    /// Who accused `subject` first.
    pub(in crate::protocol) fn first_accuser(
        &self,
        of: &SuspicionList,
        subject: MemberIndex,
    ) -> Option<MemberId> {
        let node = self.index.get(&(of.owner, subject))?;
        Some(self.heaps.get(*node).accuser)
    }

    /// The suspicion of `subject` as it stands, if there is one.
    pub(in crate::protocol) fn standing(
        &self,
        of: &SuspicionList,
        subject: MemberIndex,
    ) -> Option<StandingSuspicion> {
        let node = self.index.get(&(of.owner, subject))?;
        Some(self.heaps.get(*node).standing(of.lost))
    }

    /// Whether `accuser`, the holder of the suspicion, has probed `subject` in vain itself.
    pub(in crate::protocol) fn is_accused_by(
        &self,
        of: &SuspicionList,
        subject: MemberIndex,
        accuser: MemberId,
    ) -> bool {
        let node = self.index.get(&(of.owner, subject));
        node.is_some_and(|node| {
            let suspicion = self.heaps.get(*node);
            suspicion.witness.is_some()
                || suspicion.place_of(accuser).is_some_and(|place| suspicion.by_nack & 1 << place == 0)
        })
    }

    /// Changes the suspicion of `subject`, if there is one. False if there is none.
    fn change(
        &mut self,
        of: &mut SuspicionList,
        subject: MemberIndex,
        change: impl FnOnce(&mut Suspicion),
    ) -> bool {
        let Some(node) = self.index.get(&(of.owner, subject)).copied() else { return false };
        let suspicion = self.heaps.get_mut(node);
        change(suspicion);
        let next = suspicion.next();
        self.heaps.reschedule(&mut of.heap, node, next);
        true
    }

    /// Our probe of `subject` failed, and those of the relays `nackers` too. False if it is not suspected.
    pub(in crate::protocol) fn witness(
        &mut self,
        of: &mut SuspicionList,
        subject: MemberIndex,
        now: Time,
        (window, presence): (Window, Presence),
        nackers: impl Iterator<Item = MemberId>,
    ) -> bool {
        let now = now - of.lost;
        self.change(of, subject, |suspicion| {
            suspicion.check = Time::NEVER;
            nackers.for_each(|relay| suspicion.nacked(relay));
            let before = suspicion.witness.map_or(Presence::Unknown, |witness| witness.presence);
            suspicion.witness = Some(Witness {
                since: now,
                presence: before.then(presence),
                window_ms: millis(window.length),
                unknown_window_ms: millis(window.unknown_length),
                patience_ms: millis(window.patience),
                appeal: now,
                appeals: 0,
                appeals_needed: window.appeals,
                cut_off: false,
                appeal_every_ms: millis(window.appeal_every),
            });
        })
    }

    /// `relay` says that `subject` does not answer it either. Without effect unless we are a witness.
    pub(in crate::protocol) fn nacked(
        &mut self,
        of: &mut SuspicionList,
        subject: MemberIndex,
        relay: MemberId,
    ) {
        self.change(of, subject, |suspicion| {
            if suspicion.witness.is_some() {
                suspicion.nacked(relay);
            }
        });
    }

    /// Whether our accusation of `subject` may wait to be told until `longer` after our window: its host says that it is
    /// gone, and enough others agree for the window to be all that we wait for. Then its death will be told in place of a
    /// suspicion.
    pub(in crate::protocol) fn keep_quiet(
        &mut self,
        of: &mut SuspicionList,
        subject: MemberIndex,
        longer: Duration,
    ) -> bool {
        let mut quiet = false;
        self.change(of, subject, |suspicion| {
            let Some(witness) = suspicion.witness.filter(|witness| witness.presence == Presence::Gone) else {
                return;
            };
            let window = Duration::from_millis(witness.window_ms.into());
            quiet = suspicion.window_ends() == Some(witness.since + window);
            if quiet {
                suspicion.tell = witness.since + window + longer;
            }
        });
        quiet
    }

    /// A stream has shown what `subject` is. Without effect unless we are a witness.
    pub(in crate::protocol) fn found(
        &mut self,
        of: &mut SuspicionList,
        subject: MemberIndex,
        presence: Presence,
    ) {
        self.change(of, subject, |suspicion| {
            if let Some(witness) = &mut suspicion.witness {
                witness.presence = witness.presence.then(presence);
                if witness.presence != Presence::Gone && suspicion.tell != Time::NEVER {
                    suspicion.tell = Time::ZERO;
                }
            }
        });
    }

    /// Our accusation of `subject` is told now.
    pub(in crate::protocol) fn told(&mut self, of: &mut SuspicionList, subject: MemberIndex) {
        self.change(of, subject, |suspicion| suspicion.tell = Time::NEVER);
    }

    /// Another member's view says that `subject` is dead. False if it is not suspected, or we are a witness.
    pub(in crate::protocol) fn record(&mut self, of: &mut SuspicionList, subject: MemberIndex) -> bool {
        let mut asks = false;
        self.change(of, subject, |suspicion| {
            suspicion.recorded = true;
            asks = suspicion.witness.is_none();
        });
        asks
    }

    /// Whether another member's view says that `subject` is dead, and we are no witness.
    pub(in crate::protocol) fn is_recorded(&self, of: &SuspicionList, subject: MemberIndex) -> bool {
        let node = self.index.get(&(of.owner, subject));
        node.map(|node| self.heaps.get(*node)).is_some_and(|it| it.recorded && it.witness.is_none())
    }

    /// We are to see for ourselves at `at` what is with `subject`, unless we have, or do so before.
    pub(in crate::protocol) fn check_by(&mut self, of: &mut SuspicionList, subject: MemberIndex, at: Time) {
        let at = at - of.lost;
        self.change(of, subject, |suspicion| {
            if suspicion.witness.is_none() {
                suspicion.check = suspicion.check.min(at);
            }
        });
    }

    /// We see for ourselves what is with `subject`, once.
    pub(in crate::protocol) fn checked(&mut self, of: &mut SuspicionList, subject: MemberIndex) {
        self.change(of, subject, |suspicion| suspicion.check = Time::NEVER);
    }

    /// `subject` was told at `now`, or was not. Once it was told as often as is needed, it is told every `later`: what
    /// kept the answer away may pass. In the window of one about which nothing was found out it is told every
    /// `meanwhile`, and not so often that none is left for later. After a time in which it could not be told, by a witness
    /// that heard nobody, all begins anew.
    pub(in crate::protocol) fn appealed(
        &mut self,
        of: &mut SuspicionList,
        subject: MemberIndex,
        sent: bool,
        now: Time,
        (meanwhile, later): (Duration, Duration),
    ) {
        let now = now - of.lost;
        self.change(of, subject, |suspicion| {
            if let Some(witness) = &mut suspicion.witness {
                if sent && std::mem::take(&mut witness.cut_off) {
                    (witness.since, witness.appeals) = (now, 0);
                }
                witness.cut_off |= !sent;
                witness.appeals += u8::from(sent);
                let often = Duration::from_millis(witness.appeal_every_ms.into());
                let unknown = Duration::from_millis(witness.unknown_window_ms.into());
                witness.appeal = match witness.appeals {
                    APPEALS_MAX.. => Time::NEVER,
                    appeals if appeals < witness.appeals_needed => now + often,
                    _ if witness.presence == Presence::Unknown && now < witness.since + unknown => {
                        now + meanwhile.max(unknown / APPEALS_UNKNOWN_MAX)
                    }
                    _ => now + later,
                };
            }
        });
    }

    /// A witness' window goes on until `until`.
    pub(in crate::protocol) fn postpone(
        &mut self,
        of: &mut SuspicionList,
        subject: MemberIndex,
        until: Time,
    ) {
        let until = until - of.lost;
        self.change(of, subject, |suspicion| {
            if let Some(witness) = &mut suspicion.witness {
                let window_ms = millis(until.since(witness.since));
                witness.window_ms = witness.window_ms.max(window_ms);
                witness.unknown_window_ms = witness.unknown_window_ms.max(window_ms);
            }
        });
    }

    /// Nobody was heard since `heard`: the suspicion of `subject` goes on by `more`, unless it has been put off since then
    /// for as long as it lasts at most, or there are too few members to expect to hear one. False if so.
    pub(in crate::protocol) fn put_off_deaf(
        &mut self,
        of: &mut SuspicionList,
        subject: MemberIndex,
        heard: Time,
        more: Duration,
    ) -> bool {
        let mut put_off = false;
        let heard_ms = heard.as_millis_wrapping();
        self.change(of, subject, |suspicion| {
            if suspicion.deaf_since_ms != heard_ms {
                (suspicion.deaf_since_ms, suspicion.deaf_ms) = (heard_ms, 0);
            }
            put_off = suspicion.needed > 0 && suspicion.deaf_ms < suspicion.longest_ms;
            let more_ms = if put_off { millis(more).max(1) } else { 0 };
            suspicion.deaf_ms += more_ms;
            suspicion.unheard_ms += more_ms;
        });
        put_off
    }

    /// Somebody was heard at `again`, after nobody had been for `deaf_for`: whether the suspicion of `subject`, which was
    /// under way then and ends at `now`, goes on until we have listened for as long, or for its timeout if that is less.
    pub(in crate::protocol) fn catches_up(
        &mut self,
        of: &mut SuspicionList,
        subject: MemberIndex,
        now: Time,
        again: Time,
        deaf_for: Duration,
    ) -> bool {
        let (now, again) = (now - of.lost, again - of.lost);
        let mut goes_on = false;
        self.change(of, subject, |suspicion| {
            if suspicion.needed == 0 || suspicion.started >= again {
                return;
            }
            let timeout = suspicion.timeout(suspicion.shortest_ms, suspicion.confirmed());
            let until = again + timeout.min(deaf_for);
            goes_on = until > now;
            suspicion.unheard_ms += if goes_on { millis(until.since(now)).max(1) } else { 0 };
        });
        goes_on
    }

    /// What arrives was lost lately: the suspicion of `subject` goes on by `more`, unless it has been put off for
    /// as long as it lasts at most, or there are too few members to expect to hear one. False if so.
    pub(in crate::protocol) fn put_off(
        &mut self,
        of: &mut SuspicionList,
        subject: MemberIndex,
        more: Duration,
    ) -> bool {
        let mut put_off = false;
        self.change(of, subject, |suspicion| {
            put_off = suspicion.needed > 0 && suspicion.unheard_ms < suspicion.longest_ms;
            suspicion.unheard_ms += if put_off { millis(more).max(1) } else { 0 };
        });
        put_off
    }

    /// The accusers of `subject` declare it one after the other, `each` apart, in the order in which they accused: the
    /// first tells it to all others. `own` has accused it now.
    pub(in crate::protocol) fn take_turn(
        &mut self,
        of: &mut SuspicionList,
        subject: MemberIndex,
        own: MemberId,
        each: Duration,
    ) {
        self.change(of, subject, |suspicion| {
            if let Some(turn) = suspicion.place_of(own) {
                suspicion.turn_ms = turn as u32 * millis(each);
            }
        });
    }

    /// `subject` has answered: we are no witness any more. False if we were none.
    pub(in crate::protocol) fn withdraw(&mut self, of: &mut SuspicionList, subject: MemberIndex) -> bool {
        let mut withdrawn = false;
        self.change(of, subject, |suspicion| {
            withdrawn = suspicion.witness.take().is_some();
            suspicion.tell = Time::NEVER;
        });
        withdrawn
    }

    /// Ends the suspicion of `subject`, whatever came of it, and says how it went.
    pub(in crate::protocol) fn end(
        &mut self,
        of: &mut SuspicionList,
        subject: MemberIndex,
        now: Time,
    ) -> Option<SuspicionSummary> {
        if of.len == 0 {
            return None;
        }
        let node = self.index.remove(&(of.owner, subject))?;
        of.len -= 1;
        Some(self.heaps.remove(&mut of.heap, node).summary(now, of.lost))
    }

    /// Begins all suspicions of a member anew at `now`: for one that has not listened for a while, and has
    /// missed whatever was refuted meanwhile.
    pub(in crate::protocol) fn restart(&mut self, of: &mut SuspicionList, now: Time) {
        let mut under_way = Vec::with_capacity(of.len as usize);
        while let Some((node, _)) = self.heaps.first(&of.heap) {
            let suspicion = *self.heaps.get(node);
            self.end(of, suspicion.subject, now);
            under_way.push(suspicion.begun_anew(now));
        }
        for suspicion in under_way {
            // There is room: it has just been given back.
            self.start(of, suspicion);
        }
    }

    /// When something is first due.
    pub(in crate::protocol) fn due(&self, of: &SuspicionList) -> Time {
        self.heaps.first(&of.heap).map_or(Time::NEVER, |(_, at)| at + of.lost)
    }

    /// What is due of a suspicion at `now`.
    pub(in crate::protocol) fn expired(&self, of: &SuspicionList, now: Time) -> Option<Due> {
        let (node, at) = self.heaps.first(&of.heap)?;
        (at + of.lost <= now).then(|| self.heaps.get(node).due(now - of.lost))
    }

    /// Ends all suspicions of a member.
    pub(in crate::protocol) fn clear(&mut self, of: &mut SuspicionList) {
        while let Some((node, _)) = self.heaps.first(&of.heap) {
            let subject = self.heaps.get(node).subject;
            self.end(of, subject, Time::ZERO);
        }
    }
}

#[cfg(test)]
#[path = "suspicions_test.rs"]
mod tests;
