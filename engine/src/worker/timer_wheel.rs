//! The worker's timers: a hashed timer wheel, one timer per member (Varghese and Lauck, 1987).
//!
//! Time is cut into ticks of one millisecond, and tick t belongs to slot t modulo the number of slots. A
//! slot is a doubly linked list through an array with one node per member, so arming, moving and
//! disarming a timer are a few writes, exact, and allocate nothing. A bitmap of occupied slots finds the
//! next tick with something to do.
//!
//! A timer further away than the wheel is long waits in its slot while the hand passes by; that costs one
//! look per turn of the wheel. A timer fires at the first tick that is not before its deadline: never
//! early, and less than a tick late.
#![forbid(unsafe_code)]

use crate::net::{ask_for_large_pages, prefetch};
use crate::protocol::Time;

/// Length of a tick in microseconds.
pub const TICK_MICROS: u64 = 1_000;
/// No member, or no list.
const NONE: u32 = u32::MAX;
/// Slots in a word of the bitmap.
const WORD_BITS: usize = u64::BITS as usize;

/// One member's timer.
#[derive(Clone, Copy, Debug)]
struct Node {
    deadline: Time,
    /// The list it is in: a slot, or the due list; `NONE` if disarmed.
    list: u32,
    previous: u32,
    next: u32,
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<Node>() <= 24);

const DISARMED: Node = Node { deadline: Time::NEVER, list: NONE, previous: NONE, next: NONE };

/// The ends of a list.
#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

const EMPTY: List = List { first: NONE, last: NONE };

/// A timer wheel with one timer for each member, named by small numbers.
///
/// Memory: 24 bytes per member up to the highest number used, 8 bytes per slot.
#[derive(Debug)]
pub struct Wheel {
    start: Time,
    nodes: Vec<Node>,
    /// The slots, and after them the due list: timers that the hand has reached and that were not taken
    /// yet.
    lists: Vec<List>,
    /// Which slots are not empty.
    occupied: Vec<u64>,
    /// The first tick that the hand has not reached.
    hand: u64,
    armed: usize,
}

impl Wheel {
    /// A wheel whose first tick is at `start`. `slots`, at least 64, says how many ticks ahead a timer is
    /// found without being looked at before its time; 4,096 (four seconds) suits a worker.
    ///
    /// # Panics
    /// If `slots` is not a power of two of at least 64 and at most 2^31.
    pub fn new(start: Time, slots: usize) -> Wheel {
        assert!(
            slots.is_power_of_two() && (WORD_BITS..=1 << 31).contains(&slots),
            "a wheel needs a power of two of at least 64 slots, not {slots}"
        );
        Wheel {
            start,
            nodes: Vec::new(),
            lists: vec![EMPTY; slots + 1],
            occupied: vec![0; slots / WORD_BITS],
            hand: 0,
            armed: 0,
        }
    }

    /// Makes room for members below `count`, so that scheduling them does not allocate.
    pub fn reserve(&mut self, count: u32) {
        if self.nodes.len() < count as usize {
            self.nodes.reserve_exact(count as usize - self.nodes.len());
            ask_for_large_pages(&mut self.nodes);
            self.nodes.resize(count as usize, DISARMED);
        }
    }

    /// How many timers are armed.
    pub fn len(&self) -> usize {
        self.armed
    }

    /// Whether no timer is armed.
    pub fn is_empty(&self) -> bool {
        self.armed == 0
    }

    /// Asks for the memory of `member`'s timer, which is about to be set.
    #[inline]
    pub(super) fn expect(&self, member: u32) {
        if let Some(node) = self.nodes.get(member as usize) {
            prefetch(node);
        }
    }

    /// When `member`'s timer is due; nothing if it is not armed.
    pub fn deadline(&self, member: u32) -> Option<Time> {
        self.nodes.get(member as usize).filter(|node| node.list != NONE).map(|node| node.deadline)
    }

    /// Arms `member`'s timer, instead of whatever it was armed for. [`Time::NEVER`] disarms it. Members are
    /// numbered from 0 and densely: the wheel keeps a node for each number up to the highest.
    ///
    /// A deadline that has passed fires at the next tick: a member cannot keep [`expire`](Wheel::expire)
    /// from ending.
    pub fn schedule(&mut self, member: u32, deadline: Time) {
        if deadline == Time::NEVER {
            return self.cancel(member);
        }
        self.reserve(member.saturating_add(1));
        let slot = self.slot(self.tick(deadline).max(self.hand));
        let node = &mut self.nodes[member as usize];
        if node.list == slot {
            node.deadline = deadline;
            return;
        }
        if node.list == NONE {
            self.armed += 1;
        } else {
            self.unlink(member);
        }
        self.nodes[member as usize].deadline = deadline;
        self.append(slot, member);
    }

    /// Disarms `member`'s timer, if it is armed.
    pub fn cancel(&mut self, member: u32) {
        if self.deadline(member).is_some() {
            self.unlink(member);
            self.nodes[member as usize] = DISARMED;
            self.armed -= 1;
        }
    }

    /// Takes every timer that is due at `now`, in order of ticks if no more than a turn of the wheel has
    /// passed since the last call. Costs one turn at most, however long the pause was.
    ///
    /// Where the timers' owners arm them again, use [`next_expired`](Wheel::next_expired).
    pub fn expire(&mut self, now: Time, taker: &mut impl FnMut(u32, Time)) {
        while let Some((member, deadline)) = self.next_expired(now) {
            taker(member, deadline);
        }
    }

    /// Takes one timer that is due at `now`: its member and its deadline. Nothing when all are taken.
    ///
    /// Between calls, any timer may be armed, moved or disarmed.
    pub fn next_expired(&mut self, now: Time) -> Option<(u32, Time)> {
        let member = self.first_due(now)?;
        let deadline = self.nodes[member as usize].deadline;
        self.cancel(member);
        Some((member, deadline))
    }

    /// The deadline of the timer that [`next_expired`](Wheel::next_expired) would take at `now`.
    pub fn first_expired(&mut self, now: Time) -> Option<Time> {
        let member = self.first_due(now)?;
        Some(self.nodes[member as usize].deadline)
    }

    /// Whose timer is next in line of those that are known to be due.
    #[inline]
    pub(super) fn first_due_now(&self) -> Option<u32> {
        Some(self.lists[self.due_list() as usize].first).filter(|first| *first != NONE)
    }

    fn first_due(&mut self, now: Time) -> Option<u32> {
        let due = self.due_list();
        while self.lists[due as usize].first == NONE {
            if !self.advance(now) {
                return None;
            }
        }
        Some(self.lists[due as usize].first)
    }

    /// When to call [`expire`](Wheel::expire) next: no timer fires before it. Not before `now`; nothing
    /// if no timer is armed.
    ///
    /// Exact while every timer is less than a turn of the wheel away; one further away makes it early,
    /// once per turn. Costs a look at one bit per slot at most.
    pub fn next_deadline(&self, now: Time) -> Option<Time> {
        if self.armed == 0 {
            return None;
        }
        if self.lists[self.due_list() as usize].first != NONE {
            return Some(now);
        }
        let tick = self.hand + self.distance_to_occupied()?;
        let micros = tick.saturating_mul(TICK_MICROS).saturating_add(self.start.as_micros());
        Some(Time::from_micros(micros).max(now))
    }

    /// Moves the hand to the next occupied slot, and what is due there to the due list. False if it
    /// reaches the tick of `now` first.
    fn advance(&mut self, now: Time) -> bool {
        // The last tick that has begun.
        let last = now.as_micros().saturating_sub(self.start.as_micros()) / TICK_MICROS;
        // The last turn passes every slot: after a longer pause, or a jump of the clock, it is enough.
        self.hand = self.hand.max(last.saturating_add(1).saturating_sub(u64::from(self.due_list())));
        let distance = self.distance_to_occupied();
        let reached = distance.map(|distance| self.hand + distance).filter(|&tick| tick <= last);
        let Some(tick) = reached else {
            self.hand = self.hand.max(last.saturating_add(1));
            return false;
        };
        self.hand = tick + 1;
        let mut member = self.lists[self.slot(tick) as usize].first;
        while member != NONE {
            let node = self.nodes[member as usize];
            // Not only those of this tick: after a long pause a slot is passed once for several of its own.
            if self.tick(node.deadline) <= last {
                self.unlink(member);
                self.append(self.due_list(), member);
            }
            member = node.next;
        }
        true
    }

    /// The first tick at or after `deadline`.
    fn tick(&self, deadline: Time) -> u64 {
        deadline.as_micros().saturating_sub(self.start.as_micros()).div_ceil(TICK_MICROS)
    }

    fn slot(&self, tick: u64) -> u32 {
        (tick & (self.due_list() - 1) as u64) as u32
    }

    fn due_list(&self) -> u32 {
        (self.lists.len() - 1) as u32
    }

    /// Ticks from the hand to the first slot that is not empty.
    fn distance_to_occupied(&self) -> Option<u64> {
        let words = self.occupied.len();
        let hand = self.slot(self.hand) as usize;
        let (word, bit) = (hand / WORD_BITS, hand % WORD_BITS);
        // The hand's own word is looked at twice: from the hand on, and at the end, up to the hand.
        for step in 0..=words {
            let index = (word + step) % words;
            let mask = match step {
                0 => u64::MAX << bit,
                _ if step == words => !(u64::MAX << bit),
                _ => u64::MAX,
            };
            let found = self.occupied[index] & mask;
            if found != 0 {
                let slot = index * WORD_BITS + found.trailing_zeros() as usize;
                return Some(u64::from(self.slot((slot + words * WORD_BITS - hand) as u64)));
            }
        }
        None
    }

    fn append(&mut self, list: u32, member: u32) {
        let last = self.lists[list as usize].last;
        let node = &mut self.nodes[member as usize];
        (node.list, node.previous, node.next) = (list, last, NONE);
        self.lists[list as usize].last = member;
        if last == NONE {
            self.lists[list as usize].first = member;
            if list != self.due_list() {
                self.occupied[list as usize / WORD_BITS] |= 1 << (list as usize % WORD_BITS);
            }
        } else {
            self.nodes[last as usize].next = member;
        }
    }

    fn unlink(&mut self, member: u32) {
        let Node { list, previous, next, .. } = self.nodes[member as usize];
        match previous {
            NONE => self.lists[list as usize].first = next,
            _ => self.nodes[previous as usize].next = next,
        }
        match next {
            NONE => self.lists[list as usize].last = previous,
            _ => self.nodes[next as usize].previous = previous,
        }
        if self.lists[list as usize].first == NONE && list != self.due_list() {
            self.occupied[list as usize / WORD_BITS] &= !(1 << (list as usize % WORD_BITS));
        }
    }
}

#[cfg(test)]
#[path = "timer_wheel_test.rs"]
mod tests;
