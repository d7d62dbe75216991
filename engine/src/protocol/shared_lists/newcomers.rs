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

/// So large a part of all, and no fewer than a rush has, that were learned from a view tell that another group has joined at the same time.
const GROUP_SHARE: usize = 16;

/// Those that have joined themselves let those tell that have not, and each other: they wait this many times as long for the end of a
/// rush, or up to three times that, by their ids. The first to tell spares the others.
const PATIENCE_JOINED: u32 = 4;

/// Of whoever has `joined`, or has not; see [`PATIENCE_JOINED`].
pub(in crate::protocol) const fn patience(joined: bool, id: MemberId) -> u32 {
    if joined { PATIENCE_JOINED + (id.0 % (2 * PATIENCE_JOINED as u64 + 1)) as u32 } else { 1 }
}

/// Most newcomers that wait; with one more they are told of.
const NEWCOMERS_MAX: usize = 16_384;

/// Most views that wait while one is asked for. Whoever tells of more is found by comparing views.
const LATER_MAX: usize = 8;

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
    /// How many were live in our view before.
    pub(in crate::protocol) known: usize,
}

/// All are to be told once more by our view, as another group has been met.
#[derive(Clone, Copy, Debug)]
struct Again {
    /// Since when.
    since: Time,
    due: Time,
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
    again: Option<Again>,
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
    /// How many times as long as it takes until a rush is over we wait for somebody else to tell of it.
    patience: u32,
    /// The view that we are to have before we tell others.
    pub(in crate::protocol) fetch: Option<Fetch>,
    /// Whose views we are to have after that one: somebody else told of a rush meanwhile.
    later: Vec<(SocketAddr, MemberId)>,
}

impl Newcomers {
    pub(in crate::protocol) const fn new(patience: u32) -> Newcomers {
        Newcomers {
            patience,
            waiting: Vec::new(),
            since: Time::ZERO,
            last: Time::ZERO,
            told: Time::ZERO,
            offered: Time::NEVER,
            again: None,
            joined: Time::ZERO,
            streak: 0,
            rush: false,
            compared_from: Time::ZERO,
            others_wait_until: Time::ZERO,
            untold: None,
            fetch: None,
            later: Vec::new(),
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
        let over = self.last.max(self.joined) + quiet(live);
        over.min(self.since + longest_wait(live))
    }

    /// A view has told us of `learned` members and lacks others of the `live` that we know: of those that joined at the same time, each
    /// group through another member, we know two. If we have told one of them by our view, both are told.
    pub(in crate::protocol) fn groups_met(&mut self, learned: usize, live: usize, now: Time) {
        let group = learned >= RUSH_LEAST && learned * GROUP_SHARE >= live && self.has_offered(live, now);
        if !group && self.again.is_none() {
            return;
        }
        let since = self.again.map_or(now, |again| again.since);
        let due = (now + quiet(live) * self.patience).min(since + longest_wait(live));
        self.again = Some(Again { since, due });
    }

    /// Whoever gave us its view knows all that we know: so do those that it came from, and who is told of it.
    pub(in crate::protocol) fn groups_are_told(&mut self) {
        self.again = None;
    }

    /// When all are told once more; [`Time::NEVER`] if they are not.
    pub(in crate::protocol) fn again_due(&self) -> Time {
        self.again.map_or(Time::NEVER, |again| again.due)
    }

    /// Takes all that wait out, to be told of at `now`.
    pub(in crate::protocol) fn take(&mut self, now: Time) -> Vec<(MemberIndex, Incarnation)> {
        (self.told, self.streak, self.rush) = (now, if self.rush { 0 } else { self.streak }, false);
        std::mem::take(&mut self.waiting)
    }

    /// All of our view is told.
    pub(in crate::protocol) fn offer(&mut self, now: Time) {
        (self.offered, self.again) = (now, None);
    }

    /// Whether it was lately, to `live` members.
    pub(in crate::protocol) fn has_offered(&self, live: usize, now: Time) -> bool {
        self.offered != Time::NEVER && now.since(self.offered) < RUSH_MEMORY + RUSH_MEMORY_EACH * live as u32
    }

    /// Whether all of that is past, among `live` members.
    pub(in crate::protocol) fn is_over(&self, live: usize, now: Time) -> bool {
        let idle =
            self.waiting.is_empty() && self.fetch.is_none() && self.untold.is_none() && self.again.is_none();
        let ends = (self.joined + HASTE).max(self.told + WAIT).max(self.compared_from);
        idle && now > ends.max(self.others_wait_until) && !self.has_offered(live, now)
    }

    /// The view of `from` is to be had after the one that is asked for. False if too many are.
    pub(in crate::protocol) fn fetch_later(&mut self, from: (SocketAddr, MemberId)) -> bool {
        if self.fetch.is_some_and(|fetch| fetch.from == from) || self.later.contains(&from) {
            return true;
        }
        let room = self.later.len() < LATER_MAX;
        if room {
            self.later.push(from);
        }
        room
    }

    /// The view that was asked for is there, or will not come: goes on with the next. `known` members are live in our view.
    pub(in crate::protocol) fn fetch_next(&mut self, known: usize, now: Time) {
        self.fetch = self.later.pop().map(|from| Fetch::new(from, known, now));
    }

    /// Through whom we have joined in a rush, if we have not been told of the others.
    pub(in crate::protocol) fn untold(&self) -> Option<MemberIndex> {
        self.untold
    }

    /// When we, who know `live` members, do without being told; [`Time::NEVER`] if there is nothing to be told. If others have joined
    /// through us meanwhile, the one that we joined through may wait for us as we do for it.
    pub(in crate::protocol) fn told_by(&self, live: usize) -> Time {
        match self.untold {
            None => Time::NEVER,
            Some(_) if self.rush && !self.waiting.is_empty() => {
                self.compared_from.min(self.last.max(self.joined) + quiet(live) * self.patience)
            }
            Some(_) => self.compared_from,
        }
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
    /// A view of `from`, to be asked for at `now` by who knows `known` live members.
    pub(in crate::protocol) const fn new(from: (SocketAddr, MemberId), known: usize, now: Time) -> Fetch {
        Fetch { from, due: now, attempts: 0, known }
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

/// With no one coming for so long a rush among `live` members is over.
fn quiet(live: usize) -> Duration {
    QUIET + QUIET_EACH * live as u32
}

/// For so long at most those of a rush wait for others.
fn longest_wait(live: usize) -> Duration {
    RUSH_MAX + RUSH_MAX_EACH * live as u32
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
        let mut newcomers = Newcomers::new(1);
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
        let mut newcomers = Newcomers::new(1);
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
        let mut newcomers = Newcomers::new(1);
        let live = 40 * RUSH_SHARE;
        (1..40).for_each(|_| newcomers.note_join(live, at(0)));
        assert!(!newcomers.are_rush());
        newcomers.note_join(live, at(0));
        assert!(newcomers.are_rush());
    }

    #[test]
    fn who_comes_after_a_rush_is_told_of_as_always() {
        let mut newcomers = Newcomers::new(1);
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
        let mut newcomers = Newcomers::new(1);
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
    fn whoever_told_one_of_two_groups_tells_both() {
        let mut newcomers = Newcomers::new(1);
        newcomers.groups_met(100, 200, at(0));
        assert_eq!(newcomers.again_due(), Time::NEVER, "it has told nobody");
        newcomers.offer(at(0));
        newcomers.groups_met(RUSH_LEAST - 1, 2 * RUSH_LEAST, at(0));
        newcomers.groups_met(100, 100 * GROUP_SHARE + 1, at(0));
        assert_eq!(newcomers.again_due(), Time::NEVER, "so few come later, or are found by comparing");
        newcomers.groups_met(100, 200, at(0));
        assert_eq!(newcomers.again_due(), at(0) + quiet(200));
        // Of another group a few were missing that had come with a third.
        newcomers.groups_met(1, 300, at(50));
        assert_eq!(newcomers.again_due(), at(50) + quiet(300));
        assert!(!newcomers.is_over(300, at(1_000_000)));
        (0..10_000).step_by(50).for_each(|ms| newcomers.groups_met(100, 300, at(ms)));
        assert_eq!(newcomers.again_due(), at(0) + longest_wait(300));
        newcomers.groups_are_told();
        assert_eq!(newcomers.again_due(), Time::NEVER);
    }

    #[test]
    fn two_that_joined_through_each_other_do_not_wait_for_each_other_for_long() {
        let mut newcomers = Newcomers::new(5);
        newcomers.joined_in_rush(7, at(0));
        assert_eq!(newcomers.told_by(20), at(0) + UNTOLD_MAX);
        for nth in 0..20 {
            newcomers.note_join(20, at(nth));
        }
        assert_eq!(newcomers.told_by(20), at(0) + UNTOLD_MAX, "nobody has handed itself over");
        newcomers.add(1, Incarnation::new(1), at(30));
        assert_eq!(newcomers.told_by(20), at(30) + quiet(20) * 5);
    }

    #[test]
    fn views_of_several_are_had_one_after_the_other() {
        let from = |number: u16| (([127, 0, 0, 1], number).into(), MemberId(number.into()));
        let mut newcomers = Newcomers::new(1);
        newcomers.fetch = Some(Fetch::new(from(0), 1, at(0)));
        assert!(newcomers.fetch_later(from(0)), "it is being asked for");
        assert!((1..=LATER_MAX as u16).all(|number| newcomers.fetch_later(from(number))));
        assert!(newcomers.fetch_later(from(1)) && !newcomers.fetch_later(from(100)));
        for left in (0..=LATER_MAX).rev() {
            assert!(newcomers.fetch.is_some(), "{left} are left");
            newcomers.fetch_next(2, at(1));
        }
        assert!(newcomers.fetch.is_none());
    }

    #[test]
    fn no_more_than_so_many_wait() {
        let mut newcomers = Newcomers::new(1);
        let room = (0..).take_while(|number| !newcomers.add(*number, Incarnation::new(1), at(0))).count();
        assert_eq!(room + 1, NEWCOMERS_MAX);
    }

    #[test]
    fn a_view_that_does_not_come_is_asked_for_a_few_times() {
        let mut fetch = Fetch::new(("127.0.0.1:7".parse().unwrap(), MemberId(7)), 1, at(0));
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
