//! Suspicions: how long a member that did not answer has to refute (SWIM section 4.2, Lifeguard IV.B).
//!
//! A suspicion starts with a long timeout. Each independent confirmation, a suspect message from someone
//! who has not accused before, shortens it along a logarithm, down to a minimum after K of them: one slow
//! detector cannot have a member declared dead quickly, several healthy ones can.

use std::time::Duration;

use hashbrown::HashMap;
use swimring_codec::{Incarnation, MemberId};

use super::directory::{KeyedHash, MemberIndex};
use super::pool::{List, NIL, Pool};
use super::time::Time;

/// Most confirmations that shorten a suspicion: the suspicion multiplier is at most 9, and K is two less.
const CONFIRMATIONS_MAX: usize = 7;

/// Most suspicions of one member at once. A member that suspects this many others has lost its network;
/// more are shed, and found again by the next round of probes.
pub(super) const SUSPICIONS_MAX: u32 = 16_384;

/// One suspicion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspicion {
    pub(super) subject: MemberIndex,
    pub(super) incarnation: Incarnation,
    started: Time,
    pub(super) deadline: Time,
    shortest: Duration,
    longest: Duration,
    /// Confirmations that bring the timeout to the shortest (Lifeguard's K). Zero starts it there.
    needed: u8,
    /// Confirmations so far.
    confirmed: u8,
    /// Who has accused, the one who began it first.
    accusers: [MemberId; CONFIRMATIONS_MAX + 1],
}

impl Suspicion {
    /// A suspicion that `accuser` begins at `now`, in a cluster of `members`.
    pub(super) fn new(
        now: Time,
        subject: MemberIndex,
        incarnation: Incarnation,
        accuser: MemberId,
        timeouts: (Duration, Duration),
        needed: u8,
    ) -> Suspicion {
        let (shortest, longest) = timeouts;
        let mut accusers = [MemberId::NONE; CONFIRMATIONS_MAX + 1];
        accusers[0] = accuser;
        let first = if needed == 0 { shortest } else { longest };
        Suspicion {
            subject,
            incarnation,
            started: now,
            deadline: now + first,
            shortest,
            longest,
            needed: needed.min(CONFIRMATIONS_MAX as u8),
            confirmed: 0,
            accusers,
        }
    }

    /// Takes a confirmation. True if it came from someone new and shortened the timeout; the message is
    /// then worth passing on.
    pub(super) fn confirm(&mut self, accuser: MemberId) -> bool {
        let known = &self.accusers[..=usize::from(self.confirmed)];
        if accuser.is_none() || self.confirmed >= self.needed || known.contains(&accuser) {
            return false;
        }
        self.confirmed += 1;
        self.accusers[usize::from(self.confirmed)] = accuser;
        self.deadline = self.started + self.timeout();
        true
    }

    /// Lifeguard: max(Min, Max - (Max - Min) * log(C + 1) / log(K + 1)).
    fn timeout(&self) -> Duration {
        let fraction = (f64::from(self.confirmed) + 1.0).ln() / (f64::from(self.needed) + 1.0).ln();
        let span = (self.longest - self.shortest).as_secs_f64();
        let timeout = self.longest.as_secs_f64() - span * fraction;
        // memberlist cuts to whole milliseconds; so is this, to be the same on both.
        Duration::from_millis((timeout * 1000.0).floor().max(0.0) as u64).max(self.shortest)
    }
}

/// K for a cluster of `members` (memberlist: two less than the multiplier, and none if there are too few
/// others to confirm).
pub(super) fn confirmations_needed(multiplier: u8, members: usize) -> u8 {
    let needed = multiplier.saturating_sub(2);
    if members < usize::from(needed) + 2 { 0 } else { needed }
}

/// One member's suspicions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspicions {
    owner: u32,
    list: List,
    len: u32,
    /// No suspicion ends before this. May be earlier than the first that does.
    pub(super) due: Time,
}

impl Suspicions {
    pub(super) const fn new(owner: u32) -> Suspicions {
        Suspicions { owner, list: List::EMPTY, len: 0, due: Time::NEVER }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Storage for the suspicions of many members.
#[derive(Debug)]
pub(super) struct SuspicionPool {
    nodes: Pool<Suspicion>,
    /// (owner, subject) -> node.
    index: HashMap<(u32, MemberIndex), u32, KeyedHash>,
}

impl SuspicionPool {
    pub(super) fn new(key: u64) -> SuspicionPool {
        SuspicionPool { nodes: Pool::new(), index: HashMap::with_hasher(KeyedHash::new(key)) }
    }

    pub(super) fn reserve(&mut self, capacity: usize) {
        self.nodes.reserve(capacity);
        self.index.reserve(capacity);
    }

    /// Adds a suspicion of a subject that has none. False if there are too many.
    pub(super) fn start(&mut self, of: &mut Suspicions, suspicion: Suspicion) -> bool {
        if of.len >= SUSPICIONS_MAX {
            return false;
        }
        let node = self.nodes.push_back(&mut of.list, suspicion);
        self.index.insert((of.owner, suspicion.subject), node);
        of.len += 1;
        of.due = of.due.min(suspicion.deadline);
        true
    }

    /// The suspicion of `subject`.
    pub(super) fn find(&mut self, of: &Suspicions, subject: MemberIndex) -> Option<&mut Suspicion> {
        let node = *self.index.get(&(of.owner, subject))?;
        Some(self.nodes.get_mut(node))
    }

    /// Ends the suspicion of `subject`, whatever came of it.
    pub(super) fn end(&mut self, of: &mut Suspicions, subject: MemberIndex) {
        if let Some(node) = self.index.remove(&(of.owner, subject)) {
            self.nodes.remove(&mut of.list, node);
            of.len -= 1;
        }
    }

    /// A suspicion whose time is up; ends with `None` and the next due time brought up to date.
    pub(super) fn expired(&mut self, of: &mut Suspicions, now: Time) -> Option<Suspicion> {
        let mut node = of.list.head();
        let mut due = Time::NEVER;
        while node != NIL {
            let suspicion = *self.nodes.get(node);
            if suspicion.deadline <= now {
                return Some(suspicion);
            }
            due = due.min(suspicion.deadline);
            node = self.nodes.next(node);
        }
        of.due = due;
        None
    }

    /// Ends all suspicions of a member.
    pub(super) fn clear(&mut self, of: &mut Suspicions) {
        while of.list.head() != NIL {
            let subject = self.nodes.get(of.list.head()).subject;
            self.end(of, subject);
        }
        of.due = Time::NEVER;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspicion(needed: u8) -> Suspicion {
        let timeouts = (Duration::from_secs(2), Duration::from_secs(30));
        Suspicion::new(Time::ZERO, 0, Incarnation::new(1), MemberId(100), timeouts, needed)
    }

    /// memberlist's published fractions, for a maximum of 30 s and a minimum of 2 s.
    #[test]
    fn timeouts_shrink_along_lifeguards_logarithm() {
        let expected: [(u8, &[u64]); 3] = [
            (2, &[30_000, 12_333, 2_000]),
            (3, &[30_000, 16_000, 7_810, 2_000]),
            (4, &[30_000, 17_941, 10_887, 5_882, 2_000]),
        ];
        for (needed, timeouts) in expected {
            let mut suspicion = suspicion(needed);
            for (confirmations, millis) in timeouts.iter().enumerate() {
                if confirmations > 0 {
                    assert!(suspicion.confirm(MemberId(confirmations as u64)));
                }
                assert_eq!(suspicion.deadline.as_micros(), millis * 1000, "{needed} {confirmations}");
            }
        }
    }

    #[test]
    fn only_new_accusers_confirm() {
        let mut suspicion = suspicion(2);
        assert!(!suspicion.confirm(MemberId(100)), "who began it");
        assert!(!suspicion.confirm(MemberId::NONE), "a push/pull record is nobody's observation");
        assert!(suspicion.confirm(MemberId(1)));
        assert!(!suspicion.confirm(MemberId(1)), "twice the same");
        assert!(suspicion.confirm(MemberId(2)));
        assert!(!suspicion.confirm(MemberId(3)), "more than are needed");
    }

    #[test]
    fn without_enough_others_the_shortest_timeout_holds() {
        assert_eq!(confirmations_needed(4, 3), 0);
        assert_eq!(confirmations_needed(4, 4), 2);
        assert_eq!(suspicion(0).deadline, Time::ZERO + Duration::from_secs(2));
    }
}
