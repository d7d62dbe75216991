//! Which user events the event roots stand for.
//!
//! Pings and acks carry a sum over the events that the sender knows, and two members compare sums. So both have to mean the
//! same events. What has just been sent is on its way to some, and old events are dropped at a moment of each member's
//! own. Therefore a root covers events of a certain age: they *enter* once telling is over and *leave* long before
//! anyone forgets them. Ages differ between members by as long as an event was under way, so roots differ for as long
//! about one that enters or leaves; a difference has to last before anything is done. An event that was
//! repaired comes with its age.
//!
//! Members of one worker nearly always know the same events. So there is one sum for all of them, and beside it, for each
//! member, what it lacks: an event that everybody has costs a look at its bits when it enters and when it leaves, and a
//! member with everything nothing.

use std::collections::VecDeque;
use std::time::Duration;

use swimring_codec::native::EVENT_ROOT_MAX;

use crate::protocol::event::EventIndex;
use crate::protocol::time::Time;

/// Events leave the roots at this age: nobody is sent older ones. All members of a cluster have to agree.
pub(in crate::protocol) const EVENT_WINDOW: Duration = Duration::from_secs(30);

/// Events enter the roots at this age: telling them is over but for what has been lost. Agreed on likewise.
pub(in crate::protocol) const EVENT_SETTLED: Duration = Duration::from_secs(2);

/// How long an event is remembered while there is room: nobody who learned it late still sends it then.
pub(super) const EVENT_KEPT: Duration = Duration::from_secs(60);

/// By how much members may differ about an event's age: longer than all attempts to tell it take.
const AGES_DIFFER: Duration = Duration::from_secs(8);

/// The unit in which the greatest age is stated.
const AGE_UNIT: Duration = Duration::from_millis(250);

/// An event that has not left.
#[derive(Clone, Copy, Debug)]
struct Covered {
    leaves: Time,
    at: EventIndex,
}

/// What the roots of a worker's members stand for. See the module.
#[derive(Debug)]
pub(super) struct EventWindow {
    /// By when they leave, the next first.
    timeline: VecDeque<Covered>,
    /// So many of them have entered.
    entered: usize,
    /// Sum of the terms of those.
    all: u32,
    /// What each member lacks of that sum.
    missing: Vec<u32>,
    /// When the next event enters or leaves.
    next: Time,
    /// When the latest event that has been forgotten leaves the roots of others.
    forgotten: Time,
}

impl EventWindow {
    pub(super) fn new() -> EventWindow {
        EventWindow {
            timeline: VecDeque::new(),
            entered: 0,
            all: 0,
            missing: Vec::new(),
            next: Time::NEVER,
            forgotten: Time::ZERO,
        }
    }

    pub(super) fn reserve(&mut self, members: usize, events: usize) {
        self.missing.reserve_exact(members.saturating_sub(self.missing.len()));
        self.timeline.reserve(events.saturating_sub(self.timeline.len()));
    }

    /// Makes room for `members` members. A new one knows none of the events.
    pub(super) fn grow_members(&mut self, members: usize) {
        if members > self.missing.len() {
            self.missing.resize(members, self.all);
        }
    }

    /// The event root of `member`.
    #[inline]
    pub(super) fn root(&self, member: u32) -> u32 {
        if self.entered == 0 {
            return 0;
        }
        let missing = self.missing.get(member as usize).copied().unwrap_or(0);
        self.all.wrapping_sub(missing) & EVENT_ROOT_MAX
    }

    /// When the next event enters or leaves.
    #[inline]
    pub(super) fn next(&self) -> Time {
        self.next
    }

    /// The next event that has entered by `now`, if there is one.
    pub(super) fn entering(&mut self, now: Time) -> Option<EventIndex> {
        let covered = self.timeline.get(self.entered).filter(|covered| enters(covered.leaves) <= now)?;
        self.entered += 1;
        Some(covered.at)
    }

    /// The next event that has left by `now`, if there is one. To be asked when none is entering.
    pub(super) fn leaving(&mut self, now: Time) -> Option<EventIndex> {
        let at = self.timeline.front().filter(|covered| covered.leaves <= now)?.at;
        self.timeline.pop_front();
        self.entered -= 1;
        Some(at)
    }

    /// Notes when the next event enters or leaves.
    pub(super) fn arm(&mut self) {
        let leaves = self.timeline.front().map_or(Time::NEVER, |covered| covered.leaves);
        let enters = self.timeline.get(self.entered).map_or(Time::NEVER, |covered| enters(covered.leaves));
        self.next = leaves.min(enters);
    }

    /// Puts the event at `at` in its place. To be called when all events that are due have entered and left. True if it
    /// has entered, too.
    pub(super) fn insert(&mut self, at: EventIndex, leaves: Time, now: Time) -> bool {
        let later = self.timeline.iter().rev().take_while(|covered| covered.leaves > leaves).count();
        let place = self.timeline.len() - later;
        self.timeline.insert(place, Covered { leaves, at });
        let entered = place < self.entered || enters(leaves) <= now;
        self.entered += usize::from(entered);
        self.arm();
        entered
    }

    /// Forgets the event at `at`. True if it had entered and not left.
    pub(super) fn forget(&mut self, at: EventIndex, leaves: Time) -> bool {
        self.forgotten = self.forgotten.max(leaves);
        if self.timeline.front().is_none_or(|next| leaves < next.leaves) {
            return false;
        }
        let Some(place) = self.timeline.iter().position(|covered| covered.at == at) else { return false };
        self.timeline.remove(place);
        let entered = place < self.entered;
        self.entered -= usize::from(entered);
        self.arm();
        entered
    }

    /// An event with this term enters; `seen` has the bits of those that know it.
    pub(super) fn add(&mut self, term: u32, seen: &[u64]) {
        self.all = self.all.wrapping_add(term);
        self.for_each_without(seen, |missing| *missing = missing.wrapping_add(term));
    }

    /// An event with this term leaves.
    pub(super) fn subtract(&mut self, term: u32, seen: &[u64]) {
        self.all = self.all.wrapping_sub(term);
        self.for_each_without(seen, |missing| *missing = missing.wrapping_sub(term));
    }

    /// `member` learns an event with this term, which has entered.
    pub(super) fn learn(&mut self, member: u32, term: u32) {
        if let Some(missing) = self.missing.get_mut(member as usize) {
            *missing = missing.wrapping_sub(term);
        }
    }

    fn for_each_without(&mut self, seen: &[u64], mut change: impl FnMut(&mut u32)) {
        for (word, members) in seen.iter().zip(self.missing.chunks_mut(64)) {
            let mut without = !word;
            while without != 0 {
                // Past the last member are none.
                let Some(missing) = members.get_mut(without.trailing_zeros() as usize) else { break };
                change(missing);
                without &= without - 1;
            }
        }
    }

    /// The greatest age of which this worker's members can say that they know an event or not, in quarters of a second:
    /// what was forgotten early is neither.
    pub(super) fn age_max(&self, now: Time) -> u8 {
        let vague = if self.forgotten == Time::ZERO { Duration::ZERO } else { self.vague_until().since(now) };
        (EVENT_WINDOW.saturating_sub(vague).as_millis() / AGE_UNIT.as_millis()) as u8
    }

    /// Events that leave by then may have been known and forgotten.
    fn vague_until(&self) -> Time {
        self.forgotten + AGES_DIFFER
    }

    /// Whether an event that leaves then is certainly new if it is not in the store.
    pub(super) fn is_certain(&self, leaves: Time, now: Time) -> bool {
        leaves > now && (self.forgotten == Time::ZERO || leaves > self.vague_until())
    }

    /// The events that have entered and are no older than `age_max` quarters of a second.
    pub(super) fn covered(&self, now: Time, age_max: u8) -> impl Iterator<Item = EventIndex> + Clone {
        let least = now + EVENT_WINDOW.saturating_sub(AGE_UNIT * age_max.into());
        let from = self.timeline.partition_point(|covered| covered.leaves < least).min(self.entered);
        self.timeline.range(from..self.entered).map(|covered| covered.at)
    }
}

/// When an event enters that leaves then.
fn enters(leaves: Time) -> Time {
    leaves - (EVENT_WINDOW - EVENT_SETTLED)
}
