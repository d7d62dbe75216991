//! What the real members of the pool say to ours: kept for each, on each worker, in bounded memory.
//!
//! They are known from our members' own views: members there whose address is not ours.
//! What arrives is told apart by the address it comes from, so that a rumour counts for the member
//! that passes it on, not for the one that started it. Recording looks up one address and, for news, one pair of numbers.

use std::net::SocketAddr;
use std::time::Duration;

use hashbrown::HashMap;
use hdrhistogram::Histogram;
use swimring::protocol::Time;
use swimring::worker::HostedMember;
use swimring_codec::memberlist::DecodeError;

use super::contact::Contact;
use super::doubts::{Doubts, Locals};

/// Real members that are kept apart; more are counted together.
pub const REAL_MEMBERS_MAX: usize = 10_000;
/// First times that one worker remembers: of a (real member, kill) or (real member, event) each.
const FIRSTS_MAX: usize = 1 << 20;
/// Accusations that one worker remembers.
const ACCUSATIONS_MAX: usize = 1 << 16;
/// Round trips longer than this count as this: ten seconds.
const RTT_MAX_US: u64 = 10_000_000;

/// A round-trip histogram small enough for ten thousand of them: 9 KiB, to 1 %.
fn histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1, RTT_MAX_US, 2).expect("the bounds are constants and valid")
}

/// A real member's place in the memory of one worker.
pub type Slot = u32;

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    members: usize,
    firsts: usize,
    accusations: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { members: REAL_MEMBERS_MAX, firsts: FIRSTS_MAX, accusations: ACCUSATIONS_MAX }
    }
}

/// When something was first heard, in microseconds from the instant it was planned for.
#[derive(Debug, Default)]
pub struct Firsts {
    bounds: Bounds,
    at_us: HashMap<(Slot, u32), u32>,
    /// Those for which there was no room.
    pub shed: u64,
}

impl Firsts {
    /// Makes room, so that recording does not allocate.
    fn reserve(&mut self, pairs: usize) {
        self.at_us.reserve(pairs.min(self.bounds.firsts).saturating_sub(self.at_us.len()));
    }

    /// `slot` was heard of `what` for the first time, or again.
    #[inline]
    fn note(&mut self, slot: Slot, what: usize, after: Duration) {
        let pair = (slot, what as u32);
        if self.at_us.contains_key(&pair) {
            return;
        }
        if self.at_us.len() >= self.bounds.firsts {
            self.shed += 1;
            return;
        }
        self.at_us.insert(pair, u32::try_from(after.as_micros()).unwrap_or(u32::MAX));
    }

    /// Every (slot, what, microseconds).
    pub fn iter(&self) -> impl Iterator<Item = (Slot, u32, u32)> + '_ {
        self.at_us.iter().map(|((slot, what), us)| (*slot, *what, *us))
    }
}

/// One real member, as one worker's members saw it.
#[derive(Clone, Debug)]
pub struct RealMember {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: SocketAddr,
    /// Round trips of probes that it answered directly, microseconds.
    pub ack_rtt_us: Histogram<u32>,
    /// Probes that it did not answer directly in time.
    pub lost_acks: u64,
    /// Suspicions of it by members of ours.
    pub suspected: Doubts,
    /// Times that members of ours took it for dead.
    pub failed: Doubts,
    /// The observers that hold it to be dead now.
    pub dead: Locals,
    /// Number of these.
    pub dead_count: u64,
    /// Whether it has left.
    pub left: bool,
    /// Packets of it that could not be opened.
    pub unopened: u64,
    /// The round trips' sum, microseconds.
    pub rtt_sum_us: u64,
}

impl RealMember {
    /// One of which nothing is known yet.
    pub fn new(name: &str, address: SocketAddr) -> RealMember {
        RealMember {
            name: name.to_owned(),
            address,
            ack_rtt_us: histogram(),
            lost_acks: 0,
            suspected: Doubts::default(),
            failed: Doubts::default(),
            dead: Locals::default(),
            dead_count: 0,
            left: false,
            unopened: 0,
            rtt_sum_us: 0,
        }
    }

    /// Records a round trip.
    #[inline]
    pub fn acked(&mut self, rtt: Duration) {
        let us = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
        self.ack_rtt_us.saturating_record(us);
        self.rtt_sum_us = self.rtt_sum_us.saturating_add(us.min(RTT_MAX_US));
    }
}

/// That a real member accuses a live member of ours, once for each incarnation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Accusation {
    /// Number of the member of ours.
    pub subject: u32,
    /// Incarnation of that member.
    pub incarnation: u32,
    /// Whether it is held to be dead, or only suspected.
    pub dead: bool,
}

/// Everything heard of real members by the members of one worker.
#[derive(Debug, Default)]
pub struct Heard {
    bounds: Bounds,
    /// The real members, in the order in which they were met.
    pub members: Vec<RealMember>,
    by_address: HashMap<SocketAddr, Slot>,
    by_name: HashMap<String, Slot>,
    /// Real members beyond [`REAL_MEMBERS_MAX`], counted once per lookup.
    pub untracked: u64,
    /// Accusations, and by whom they were made.
    pub accusations: HashMap<(Slot, Accusation), ()>,
    /// Accusations for which there was no room.
    pub accusations_shed: u64,
    /// By kill: the first suspicion heard.
    pub suspects: Firsts,
    /// By kill: the first declaration heard.
    pub deaths: Firsts,
    /// By event: the first copy heard.
    pub events: Firsts,
    /// Messages from real members that only go to those who are known: a pool that has taken us in.
    pub noticed: u64,
    /// Whether the pool's own members and ours hear each other.
    pub contact: Contact,
    /// Rises when a real member is new or has another name.
    pub generation: u64,
}

impl Heard {
    /// A real member is in the view of one of ours. Nothing if there is no room for it.
    pub fn meet(&mut self, name: &str, address: SocketAddr) -> Option<Slot> {
        if let Some(slot) = self.by_address.get(&address).copied() {
            // A name may move to another address, and an address to another name.
            if self.members[slot as usize].name != name {
                self.generation += 1;
                self.members[slot as usize].name = name.to_owned();
                self.by_name.insert(name.to_owned(), slot);
            }
            return Some(slot);
        }
        if self.members.len() >= self.bounds.members {
            return None;
        }
        self.generation += 1;
        self.contact.belongs(true);
        let slot = self.members.len() as Slot;
        self.members.push(RealMember::new(name, address));
        self.by_address.insert(address, slot);
        self.by_name.insert(name.to_owned(), slot);
        Some(slot)
    }

    /// Observer `local` now holds `slot` to be dead, or alive. `elapsed` is since the measured time began, if it has.
    pub fn believes(&mut self, slot: Slot, local: HostedMember, dead: bool, elapsed: Option<Duration>) {
        let member = &mut self.members[slot as usize];
        let before = member.dead_count;
        if dead {
            member.dead_count += u64::from(member.dead.insert(local));
        } else {
            member.dead_count -= u64::from(member.dead.remove(local));
        }
        let (was, is) = (self.contact.is_lost(before), self.contact.is_lost(member.dead_count));
        if was != is && !member.left {
            self.contact.loses(is, elapsed);
        }
    }

    /// `slot` has left the pool, or is back. `elapsed` as of [`Heard::believes`].
    pub fn belongs(&mut self, slot: Slot, belongs: bool, elapsed: Option<Duration>) {
        let member = &mut self.members[slot as usize];
        if member.left != belongs {
            return;
        }
        member.left = !belongs;
        self.contact.belongs(belongs);
        if self.contact.is_lost(member.dead_count) {
            self.contact.loses(belongs, elapsed);
        }
    }

    /// A packet from `from` could not be opened.
    pub fn unopened(&mut self, from: SocketAddr, reason: DecodeError) {
        match self.at(from) {
            Some(slot) => {
                self.members[slot as usize].unopened += 1;
                self.contact.unopened[reason.index()] += 1;
            }
            None => self.contact.unopened_of_others += 1,
        }
    }

    /// The run ends at `now`.
    pub fn finish(&mut self, now: Time, origin: Time) {
        self.contact.finish(now, origin);
    }

    /// Who lives at `address`.
    #[inline]
    pub fn at(&self, address: SocketAddr) -> Option<Slot> {
        self.by_address.get(&address).copied()
    }

    /// Who is called `name`.
    pub fn named(&self, name: &str) -> Option<Slot> {
        self.by_name.get(name).copied()
    }

    /// Makes room for what `kills` and `events`, and the doubts of `locals` members, will tell of those known by now.
    pub fn reserve(&mut self, kills: usize, events: usize, locals: usize) {
        for member in &mut self.members {
            [&mut member.dead, &mut member.suspected.who, &mut member.failed.who]
                .into_iter()
                .for_each(|who| who.reserve(locals));
        }
        let members = self.members.len();
        self.suspects.reserve(members.saturating_mul(kills));
        self.deaths.reserve(members.saturating_mul(kills));
        self.events.reserve(members.saturating_mul(events));
        self.accusations.reserve(1024);
    }

    /// `slot` told of victim `kill`, so long after its end.
    #[inline]
    pub fn told_of_kill(&mut self, slot: Slot, kill: usize, dead: bool, after: Duration) {
        let firsts = if dead { &mut self.deaths } else { &mut self.suspects };
        firsts.note(slot, kill, after);
    }

    /// `slot` passed event `event` on, so long after it was sent.
    #[inline]
    pub fn passed_on(&mut self, slot: Slot, event: usize, after: Duration) {
        self.events.note(slot, event, after);
    }

    /// `slot` accused a live member of ours.
    pub fn accused(&mut self, slot: Slot, accusation: Accusation) {
        if self.accusations.contains_key(&(slot, accusation)) {
            return;
        }
        if self.accusations.len() >= self.bounds.accusations {
            self.accusations_shed += 1;
            return;
        }
        self.accusations.insert((slot, accusation), ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 7946))
    }

    #[test]
    fn a_member_keeps_its_place_by_its_address() {
        let mut heard = Heard::default();
        assert_eq!(heard.meet("a", address(1)), Some(0));
        assert_eq!(heard.meet("b", address(2)), Some(1));
        assert_eq!(heard.meet("a", address(1)), Some(0));
        assert_eq!((heard.at(address(2)), heard.named("b"), heard.at(address(3))), (Some(1), Some(1), None));
        // The host at address 2 came back under another name.
        assert_eq!(heard.meet("c", address(2)), Some(1));
        assert_eq!((heard.named("c"), heard.members.len()), (Some(1), 2));
    }

    #[test]
    fn a_pool_is_lost_when_half_of_ours_hold_each_of_it_dead() {
        let mut heard = Heard::default();
        heard.contact.observers = 4;
        let [a, b] = [1, 2].map(|last| heard.meet(&format!("m{last}"), address(last)).unwrap());
        let at = |seconds| Some(Duration::from_secs(seconds));
        for (slot, local) in [(a, 0), (a, 1), (a, 1), (b, 0)] {
            heard.believes(slot, local, true, at(5));
        }
        assert_eq!(heard.contact.all_dead_at, None, "only one of ours holds both dead");
        heard.believes(a, 1, false, at(6));
        heard.believes(b, 3, true, at(7));
        assert_eq!(heard.contact.all_dead_at, None, "the other is back by then");
        heard.believes(a, 2, true, at(8));
        assert_eq!(heard.contact.all_dead_at, at(8));
        assert_eq!((heard.members[0].dead_count, heard.members[1].dead_count), (2, 2));
    }

    #[test]
    fn whoever_has_left_is_not_held_dead() {
        let mut heard = Heard::default();
        heard.contact.observers = 2;
        let [a, b] = [1, 2].map(|last| heard.meet(&format!("m{last}"), address(last)).unwrap());
        heard.belongs(a, false, None);
        heard.belongs(a, false, None);
        heard.believes(a, 0, true, Some(Duration::ZERO));
        assert_eq!(heard.contact.all_dead_at, None);
        heard.believes(b, 0, true, Some(Duration::from_secs(3)));
        assert_eq!(heard.contact.all_dead_at, Some(Duration::from_secs(3)), "nobody else is there");
        heard.contact.all_dead_at = None;
        heard.belongs(a, true, Some(Duration::from_secs(4)));
        assert_eq!(heard.contact.all_dead_at, Some(Duration::from_secs(4)), "back, and dead already");
    }

    #[test]
    fn what_cannot_be_opened_counts_for_who_sent_it() {
        let mut heard = Heard::default();
        heard.meet("a", address(1));
        heard.unopened(address(1), DecodeError::Decrypt);
        heard.unopened(address(9), DecodeError::Decrypt);
        assert_eq!((heard.members[0].unopened, heard.contact.unopened_of_others), (1, 1));
        assert_eq!(heard.contact.unopened[DecodeError::Decrypt.index()], 1);
    }

    #[test]
    fn only_the_first_time_counts() {
        let mut heard = Heard::default();
        let slot = heard.meet("a", address(1)).unwrap();
        heard.told_of_kill(slot, 3, false, Duration::from_millis(5));
        heard.told_of_kill(slot, 3, false, Duration::from_millis(9));
        heard.told_of_kill(slot, 3, true, Duration::from_millis(70));
        heard.passed_on(slot, 3, Duration::from_secs(7200));
        assert_eq!(heard.suspects.iter().collect::<Vec<_>>(), [(slot, 3, 5000)]);
        assert_eq!(heard.deaths.iter().collect::<Vec<_>>(), [(slot, 3, 70_000)]);
        assert_eq!(heard.events.iter().collect::<Vec<_>>(), [(slot, 3, u32::MAX)], "beyond an hour");
    }

    #[test]
    fn memory_has_its_bounds_and_says_what_it_shed() {
        let bounds = Bounds { members: 3, firsts: 5, accusations: 4 };
        let events = Firsts { bounds, ..Firsts::default() };
        let mut heard = Heard { bounds, events, ..Heard::default() };
        for number in 0..5 {
            assert_eq!(heard.meet(&format!("m{number}"), address(number)).is_some(), number < 3);
        }
        assert_eq!(heard.meet("m1", address(1)), Some(1), "met before");
        for subject in 0..6 {
            heard.accused(0, Accusation { subject, incarnation: 1, dead: false });
            heard.accused(0, Accusation { subject: 0, incarnation: 1, dead: false });
        }
        assert_eq!((heard.accusations.len(), heard.accusations_shed), (4, 2));
        for what in 0..7 {
            heard.passed_on(0, what, Duration::ZERO);
            heard.passed_on(0, 0, Duration::ZERO);
        }
        assert_eq!((heard.events.iter().count(), heard.events.shed), (5, 2));
    }

    #[test]
    fn the_histogram_of_a_member_is_small_and_true_to_one_percent() {
        let mut member = RealMember::new("a", address(1));
        member.acked(Duration::from_micros(1234));
        assert!(member.ack_rtt_us.max().abs_diff(1234) <= 12);
        member.acked(Duration::from_secs(60));
        assert!(
            member.ack_rtt_us.distinct_values() * 4 <= 12 << 10,
            "{}",
            member.ack_rtt_us.distinct_values()
        );
    }
}
