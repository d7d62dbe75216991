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

/// So long those that have handed over whom they are to tell of wait for the one that they joined through to tell of all, and so much longer
/// for each member. If it fails they tell at once.
const HANDED_MAX: Duration = Duration::from_secs(20);
const HANDED_MAX_EACH: Duration = Duration::from_millis(1);

/// For so long after we joined in a rush, or got a view, whoever says that it waits for its own keeps us from comparing ours.
const OTHERS_WAIT_MAX: Duration = Duration::from_secs(30);

/// So long: within it each member hears some others.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// Who has joined in a rush waits for so long to be told of the others.
const UNTOLD_MAX: Duration = Duration::from_secs(10);

/// So large a part of all, and no fewer than a rush has, that were learned from a view tell that another group has joined at the same time.
const GROUP_SHARE: usize = 16;

/// Those that have joined themselves let those tell that have not, and each other: they wait this many times as long before they tell,
/// or up to three times that, by their ids. The first to tell spares the others.
const PATIENCE_JOINED: u32 = 4;

/// Of whoever has `joined`, or has not; see [`PATIENCE_JOINED`].
pub(in crate::protocol) const fn patience(joined: bool, id: MemberId) -> u32 {
    if joined { PATIENCE_JOINED + (id.0 % (2 * PATIENCE_JOINED as u64 + 1)) as u32 } else { 1 }
}

/// Most newcomers that wait; with one more they are told of.
const NEWCOMERS_MAX: usize = 16_384;

/// Most views that wait while one is asked for. Whoever tells of more is found by comparing views.
const LATER_MAX: usize = 64;

/// Attempts at getting a view before what we were asked to tell is told without it.
const VIEW_ATTEMPTS_MAX: u8 = 8;

/// Wait before another attempt, up to twice that, and so much longer each time.
const AGAIN: Duration = Duration::from_millis(40);

/// A view that is asked for before others are told.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Fetch {
    /// Whose it is, and where that one is: it may be somebody whom only the view will tell of.
    pub(in crate::protocol) from: (SocketAddr, MemberId),
    /// Its owner has us tell of all that it knows.
    pub(in crate::protocol) handed_over: bool,
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
    /// Others have us tell: that somebody else has told us is not enough.
    owed: bool,
    /// They have joined through each other in a ring with us, all of which we know.
    ring: bool,
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
    /// Who is to tell all of whom we know.
    handed_to: Option<MemberIndex>,
    /// How many times as long as it takes until a rush is over we wait for somebody else to tell of it.
    patience: u32,
    /// The view that we are to have before we tell others.
    pub(in crate::protocol) fetch: Option<Fetch>,
    /// Whose views we are to have after that one: somebody else told of a rush meanwhile.
    later: Vec<Fetch>,
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
            handed_to: None,
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
    /// group through another member, we know two. If we have told one of them by our view, or had somebody tell who is `gone`, both are told.
    pub(in crate::protocol) fn groups_met(&mut self, learned: usize, live: usize, gone: bool, now: Time) {
        let tells = gone || self.has_offered(live, now);
        let group = learned >= RUSH_LEAST && learned * GROUP_SHARE >= live && tells;
        if !group && self.again.is_none() {
            return;
        }
        let before = self.again.unwrap_or(Again { since: now, due: now, owed: false, ring: false });
        self.tell_again(before, self.patience, live, now);
    }

    /// Somebody that has joined through us has us tell of all that it knows, `learned` of whom are new. If none are, and we have handed over what
    /// we know ourselves, members have joined through each other in a ring: one of them has to begin.
    pub(in crate::protocol) fn take_over(&mut self, learned: usize, live: usize, now: Time) {
        let closed = self.handed_to.is_some() && self.untold.is_some() && learned < RUSH_LEAST;
        let before = self.again.unwrap_or(Again { since: now, due: now, owed: true, ring: false });
        let again = Again { owed: true, ring: before.ring || closed, ..before };
        self.tell_again(again, if again.ring { self.patience } else { 1 }, live, now);
    }

    fn tell_again(&mut self, again: Again, patience: u32, live: usize, now: Time) {
        let due = (now + quiet(live) * patience).min(again.since + longest_wait(live));
        self.again = Some(Again { due, ..again });
    }

    /// Whoever gave us its view knows all that we know: so do those that it came from, and who is told of it.
    pub(in crate::protocol) fn groups_are_told(&mut self) {
        self.handed_to = None;
        self.again = self.again.filter(|again| again.owed && !again.ring);
    }

    /// When all are told once more; [`Time::NEVER`] if they are not, or once a view is there that is asked for.
    pub(in crate::protocol) fn again_due(&self) -> Time {
        self.again.filter(|_| self.fetch.is_none()).map_or(Time::NEVER, |again| again.due)
    }

    /// Whether those that wait, or that others have us tell of, are for somebody else to tell of if we have joined through one.
    pub(in crate::protocol) fn hands_over(&self) -> bool {
        let waiting = self.rush && !self.waiting.is_empty();
        let handed = self.handed_to.is_some() && self.untold.is_some();
        waiting && !handed || self.again.is_some_and(|again| again.owed && !again.ring)
    }

    /// The one at `through` is to tell of all the `live` members that we know, and us of others.
    pub(in crate::protocol) fn hand_over(&mut self, through: MemberIndex, live: usize, now: Time) {
        self.take(now);
        (self.untold, self.handed_to, self.again) = (Some(through), Some(through), None);
        self.compared_from = now + HANDED_MAX + HANDED_MAX_EACH * live as u32;
        self.others_wait_until = now + OTHERS_WAIT_MAX;
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

    /// The view of `fetch` is to be had after the one that is asked for. False if too many are.
    pub(in crate::protocol) fn fetch_later(&mut self, fetch: Fetch) -> bool {
        let mut all = self.fetch.iter_mut().chain(&mut self.later);
        if let Some(known) = all.find(|known| known.from == fetch.from) {
            known.handed_over |= fetch.handed_over;
            return true;
        }
        let room = self.later.len() < LATER_MAX;
        if room {
            self.later.push(fetch);
        }
        room
    }

    /// The view that was asked for is there, or will not come: goes on with the next. `known` members are live in our view.
    pub(in crate::protocol) fn fetch_next(&mut self, known: usize, now: Time) {
        self.fetch = self.later.pop().map(|later| Fetch { due: now, known, ..later });
    }

    /// Who is to tell all of whom we know, until we are told by somebody who knows as much.
    pub(in crate::protocol) fn handed_to(&self) -> Option<MemberIndex> {
        self.handed_to
    }

    /// Through whom we have joined in a rush, if we have not been told of the others.
    pub(in crate::protocol) fn untold(&self) -> Option<MemberIndex> {
        self.untold
    }

    /// When we, who know `live` members, do without being told by the one that we joined through, or hand over to it whom we are to tell of;
    /// [`Time::NEVER`] if there is nothing to be told. It may be `gone`.
    pub(in crate::protocol) fn told_by(&self, live: usize, gone: bool) -> Time {
        match self.untold {
            None => Time::NEVER,
            Some(_) if self.handed_to.is_some() && gone => Time::ZERO,
            Some(_) if self.rush && !self.waiting.is_empty() => {
                self.compared_from.min(self.last.max(self.joined) + quiet(live))
            }
            Some(_) => self.compared_from,
        }
    }

    /// Nobody has told us, or will. Whether somebody else was to tell of those whom we know.
    pub(in crate::protocol) fn give_up(&mut self) -> bool {
        self.untold = None;
        self.handed_to.take().is_some()
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
        Fetch { from, handed_over: false, due: now, attempts: 0, known }
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
#[path = "newcomers_test.rs"]
mod tests;
