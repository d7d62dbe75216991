//! What a member remembers of those who join through it, and of rushes of joins: who waits to be told of, and when they are.
//!
//! What is done about it is in `dissemination/newcomers.rs`.

use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::{Incarnation, MemberId};

use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;

/// From one moment at which newcomers are told of to the next: nobody misses them for that long, and those of many share frames.
const WAIT: Duration = Duration::from_millis(50);

/// So many that join one after the other are a rush, if they are also one in [`RUSH_SHARE`] of all: a view has more bytes than fewer
/// introductions.
const RUSH_LEAST: usize = 16;
const RUSH_SHARE: usize = 4;

/// Who joins within this after another joins one after the other.
const HASTE: Duration = Duration::from_millis(200);

/// A rush is over once nobody has come for so long, and so much longer for each member: views take longer to read.
const QUIET: Duration = Duration::from_millis(100);
const QUIET_EACH: Duration = Duration::from_micros(20);

/// The longest that newcomers wait for others in a rush, and so much longer for each member: with each that is told everybody reads a
/// view.
const RUSH_MAX: Duration = Duration::from_secs(2);
const RUSH_MAX_EACH: Duration = Duration::from_micros(500);

/// For so long after a rush was told of, and so much longer for each member, who was in the view may hand itself over late.
const RUSH_MEMORY: Duration = Duration::from_secs(1);
const RUSH_MEMORY_EACH: Duration = Duration::from_micros(200);

/// So long after we got a view in a rush ours is not compared with others', and so much longer for each member: those that are
/// asked last are told.
const TOLD_WITHIN: Duration = Duration::from_millis(500);
const TOLD_WITHIN_EACH: Duration = Duration::from_micros(100);

/// For so long after we joined in a rush, or got a view, whoever says that it waits for its own keeps us from comparing ours.
const OTHERS_WAIT_MAX: Duration = Duration::from_secs(30);

/// So long: within it each member hears some others.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// Who has joined in a rush waits for so long to be told of the others.
const UNTOLD_MAX: Duration = Duration::from_secs(10);

/// Most newcomers that wait; with one more they are told of.
const NEWCOMERS_MAX: usize = 16_384;

/// Attempts at getting a view before what we were asked to tell is told without it.
const VIEW_ATTEMPTS_MAX: u8 = 8;

/// Wait before another attempt, up to twice that, and so much longer each time.
const AGAIN: Duration = Duration::from_millis(40);

/// A view that is asked for before others are told.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Fetch {
    /// Whose it is, and where that one is: it may be somebody whom only the view will tell of.
    pub(in crate::protocol) from: (SocketAddr, MemberId),
    /// When it is asked for again; [`Time::NEVER`] while a stream for it is under way or waits for others: its driver says how it ended.
    pub(in crate::protocol) due: Time,
    pub(in crate::protocol) attempts: u8,
}

/// See the module.
#[derive(Debug)]
pub(in crate::protocol) struct Newcomers {
    waiting: Vec<(MemberIndex, Incarnation)>,
    /// When the first of them came.
    since: Time,
    /// When the last of them came.
    last: Time,
    /// When some were last told of.
    told: Time,
    /// When a rush was last told of by our view; [`Time::NEVER`] if never.
    offered: Time,
    /// When somebody last began to join, and how many have one after the other.
    joined: Time,
    streak: usize,
    /// There is a rush, since those that wait began to.
    rush: bool,
    /// Until then views are not compared.
    compared_from: Time,
    /// Until then it may be put off as others wait for their views.
    others_wait_until: Time,
    /// We have joined in a rush, through this member, and have not been told of the others.
    untold: Option<MemberIndex>,
    /// The view that we are to have before we tell others.
    pub(in crate::protocol) fetch: Option<Fetch>,
}

impl Newcomers {
    pub(in crate::protocol) const fn new() -> Newcomers {
        Newcomers {
            waiting: Vec::new(),
            since: Time::ZERO,
            last: Time::ZERO,
            told: Time::ZERO,
            offered: Time::NEVER,
            joined: Time::ZERO,
            streak: 0,
            rush: false,
            compared_from: Time::ZERO,
            others_wait_until: Time::ZERO,
            untold: None,
            fetch: None,
        }
    }

    /// Somebody joins through us, who know `live` members.
    pub(in crate::protocol) fn note_join(&mut self, live: usize, now: Time) {
        self.streak = if now.since(self.joined) < HASTE { self.streak + 1 } else { 1 };
        self.joined = now;
        // Those of an earlier one may never have handed themselves over.
        self.rush &= !self.waiting.is_empty();
        self.rush |= self.streak >= RUSH_LEAST && self.streak * RUSH_SHARE >= live;
    }

    /// Whether those that wait are told of by our view.
    pub(in crate::protocol) fn are_rush(&self) -> bool {
        self.rush
    }

    /// Whether there is a rush, and somebody joined lately.
    pub(in crate::protocol) fn rush_goes_on(&self, now: Time) -> bool {
        self.rush && now.since(self.joined) < RUSH_MAX
    }

    /// Has the member at `index` wait. True if there is no room for more.
    pub(in crate::protocol) fn add(
        &mut self,
        index: MemberIndex,
        incarnation: Incarnation,
        now: Time,
    ) -> bool {
        if self.waiting.is_empty() {
            self.since = now;
        }
        self.last = now;
        self.waiting.push((index, incarnation));
        self.waiting.len() >= NEWCOMERS_MAX
    }

    /// When those that wait are told of, among `live` members; [`Time::NEVER`] if none does.
    pub(in crate::protocol) fn due(&self, live: usize) -> Time {
        if self.waiting.is_empty() {
            return Time::NEVER;
        }
        if !self.rush {
            return self.told + WAIT;
        }
        let live = live as u32;
        let over = self.last.max(self.joined) + QUIET + QUIET_EACH * live;
        over.min(self.since + RUSH_MAX + RUSH_MAX_EACH * live)
    }

    /// Takes all that wait out, to be told of at `now`.
    pub(in crate::protocol) fn take(&mut self, now: Time) -> Vec<(MemberIndex, Incarnation)> {
        (self.told, self.streak, self.rush) = (now, if self.rush { 0 } else { self.streak }, false);
        std::mem::take(&mut self.waiting)
    }

    /// All of our view is told.
    pub(in crate::protocol) fn offer(&mut self, now: Time) {
        self.offered = now;
    }

    /// Whether it was lately, to `live` members.
    pub(in crate::protocol) fn has_offered(&self, live: usize, now: Time) -> bool {
        self.offered != Time::NEVER && now.since(self.offered) < RUSH_MEMORY + RUSH_MEMORY_EACH * live as u32
    }

    /// Whether all of that is past, among `live` members.
    pub(in crate::protocol) fn is_over(&self, live: usize, now: Time) -> bool {
        let idle = self.waiting.is_empty() && self.fetch.is_none() && self.untold.is_none();
        let ends = (self.joined + HASTE).max(self.told + WAIT).max(self.compared_from);
        idle && now > ends.max(self.others_wait_until) && !self.has_offered(live, now)
    }

    /// Through whom we have joined in a rush, if we have not been told of the others.
    pub(in crate::protocol) fn untold(&self) -> Option<MemberIndex> {
        self.untold
    }

    /// When we do without being told; [`Time::NEVER`] if there is nothing to be told.
    pub(in crate::protocol) fn told_by(&self) -> Time {
        if self.untold.is_some() { self.compared_from } else { Time::NEVER }
    }

    /// Nobody has told us, or will.
    pub(in crate::protocol) fn give_up(&mut self) {
        self.untold = None;
    }

    /// Until when views are not compared.
    pub(in crate::protocol) fn compared_from(&self) -> Time {
        self.compared_from
    }

    /// We have joined in a rush through the member at `through`: at the end of it we are told of the others.
    pub(in crate::protocol) fn joined_in_rush(&mut self, through: MemberIndex, now: Time) {
        (self.compared_from, self.untold) = (now + UNTOLD_MAX, Some(through));
        self.others_wait_until = now + OTHERS_WAIT_MAX;
    }

    /// A rush is told of by views, and everyone of the `live` members soon has one.
    pub(in crate::protocol) fn rush_told(&mut self, live: usize, now: Time) {
        self.compared_from = now + TOLD_WITHIN + TOLD_WITHIN_EACH * live as u32;
        self.others_wait_until = now + OTHERS_WAIT_MAX;
        self.untold = None;
    }

    /// Somebody says that it waits.
    pub(in crate::protocol) fn others_wait(&mut self, now: Time) {
        if now < self.others_wait_until {
            self.compared_from = self.compared_from.max(now + HEARD_WITHIN);
        }
    }
}

impl Fetch {
    /// A view of `from`, to be asked for at `now`.
    pub(in crate::protocol) const fn new(from: (SocketAddr, MemberId), now: Time) -> Fetch {
        Fetch { from, due: now, attempts: 0 }
    }

    /// Whether it was asked for often enough.
    pub(in crate::protocol) const fn is_in_vain(&self) -> bool {
        self.attempts >= VIEW_ATTEMPTS_MAX
    }

    /// It is asked for.
    pub(in crate::protocol) fn begin(&mut self) {
        (self.attempts, self.due) = (self.attempts + 1, Time::NEVER);
    }

    /// It did not come. `drawn` is a random number below one.
    pub(in crate::protocol) fn failed(&mut self, drawn: f64, now: Time) {
        self.due = now + AGAIN.mul_f64(f64::from(self.attempts) + drawn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(10_000 + ms)
    }

    fn joined(newcomers: &mut Newcomers, number: u32, now: Time) {
        newcomers.note_join(200, now);
        assert!(!newcomers.add(number, Incarnation::new(1), now));
    }

    #[test]
    fn few_are_told_of_by_themselves_and_in_turn() {
        let mut newcomers = Newcomers::new();
        assert_eq!(newcomers.due(100), Time::NEVER);
        joined(&mut newcomers, 1, at(0));
        assert!(newcomers.due(100) <= at(0), "a lone one at once");
        assert_eq!(newcomers.take(at(0)), [(1, Incarnation::new(1))]);
        for number in 2..RUSH_LEAST as u32 {
            joined(&mut newcomers, number, at(10));
        }
        assert!(!newcomers.are_rush());
        assert_eq!(newcomers.due(100), at(0) + WAIT);
    }

    #[test]
    fn a_rush_waits_for_its_end_and_not_for_ever() {
        let mut newcomers = Newcomers::new();
        let live = 200;
        let quiet = QUIET + QUIET_EACH * live as u32;
        for nth in 0..=50 {
            joined(&mut newcomers, nth, at(nth.into()));
        }
        assert!(newcomers.are_rush());
        assert_eq!(newcomers.due(live), at(50) + quiet);
        // Others are about to hand themselves over.
        newcomers.note_join(live, at(90));
        assert_eq!(newcomers.due(live), at(90) + quiet);
        for ms in (100..10_000).step_by(50) {
            joined(&mut newcomers, 1, at(ms));
        }
        assert_eq!(newcomers.due(live), at(0) + RUSH_MAX + RUSH_MAX_EACH * live as u32);
    }

    #[test]
    fn so_few_of_so_many_are_no_rush() {
        let mut newcomers = Newcomers::new();
        let live = 40 * RUSH_SHARE;
        (1..40).for_each(|_| newcomers.note_join(live, at(0)));
        assert!(!newcomers.are_rush());
        newcomers.note_join(live, at(0));
        assert!(newcomers.are_rush());
    }

    #[test]
    fn who_comes_after_a_rush_is_told_of_as_always() {
        let mut newcomers = Newcomers::new();
        for nth in 0..40 {
            newcomers.note_join(60, at(0));
            newcomers.add(nth, Incarnation::new(1), at(0));
        }
        assert!(newcomers.are_rush());
        assert_eq!(newcomers.take(at(200)).len(), 40);
        newcomers.offer(at(200));
        newcomers.note_join(60, at(210));
        newcomers.add(41, Incarnation::new(1), at(210));
        assert!(!newcomers.are_rush());
        assert_eq!(newcomers.due(60), at(200) + WAIT);
        assert!(newcomers.has_offered(60, at(210)), "others may hand themselves over that were in the view");
        assert!(!newcomers.has_offered(60, at(210) + RUSH_MEMORY + RUSH_MEMORY_EACH * 60));
    }

    #[test]
    fn nothing_is_remembered_for_ever() {
        let mut newcomers = Newcomers::new();
        newcomers.note_join(2, at(0));
        newcomers.add(1, Incarnation::new(1), at(0));
        assert!(!newcomers.is_over(2, at(1_000_000)), "somebody waits");
        newcomers.take(at(0));
        newcomers.joined_in_rush(7, at(0));
        assert!(!newcomers.is_over(2, at(1)));
        newcomers.rush_told(2, at(1));
        assert!(!newcomers.is_over(2, at(2)), "others may wait");
        assert!(newcomers.is_over(2, at(2) + OTHERS_WAIT_MAX));
    }

    #[test]
    fn no_more_than_so_many_wait() {
        let mut newcomers = Newcomers::new();
        let room = (0..).take_while(|number| !newcomers.add(*number, Incarnation::new(1), at(0))).count();
        assert_eq!(room + 1, NEWCOMERS_MAX);
    }

    #[test]
    fn a_view_that_does_not_come_is_asked_for_a_few_times() {
        let mut fetch = Fetch::new(("127.0.0.1:7".parse().unwrap(), MemberId(7)), at(0));
        let mut waits = Vec::new();
        while !fetch.is_in_vain() {
            let now = fetch.due;
            fetch.begin();
            assert_eq!(fetch.due, Time::NEVER, "for as long as it takes");
            fetch.failed(0.5, now);
            waits.push(fetch.due.since(now));
        }
        assert_eq!(waits.len(), usize::from(VIEW_ATTEMPTS_MAX));
        assert!(waits.is_sorted() && waits[0] >= AGAIN);
    }
}
