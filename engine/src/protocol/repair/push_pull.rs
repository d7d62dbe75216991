//! Anti-entropy by whole views: a push/pull over a stream, which opens with the two roots and ends there when they agree.
//!
//! Where frames carry roots, differences are mended by sketches ([`super::views`]), and a push/pull is for views of which
//! most differs. Otherwise one happens with a random member at a period that grows with the size of the cluster, by halves: it is
//! asked for its view, and sent ours if that lacks something. Who has just joined asks as well, until it has caught up.

use std::time::Duration;

use crate::protocol::outbox::{StreamOpen, StreamPurpose};
use crate::protocol::repair::views::ViewRepair;
use crate::protocol::settings::Settings;
use crate::protocol::state::{Context, Core, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::entry::{Entry, EntryState};

/// For this many probe intervals after joining a member mends differences at once; later they have to
/// last.
const FRESH_PROBE_INTERVALS: u32 = 60;

/// So long the view of a member that has just joined has to stay the same until it is compared.
const UNCHANGED: Duration = Duration::from_millis(150);

/// And for each member that it knows so much longer.
const UNCHANGED_EACH: Duration = Duration::from_micros(50);

/// So many members of a cluster that joined together compare theirs in a second.
const COMPARED_PER_SECOND: f64 = 8_000.0;

/// Where acks carry no root, whoever has just joined asks for a view one to two probe intervals after the last that it got, and so
/// much later for each member that it knows.
const ASKED_EACH: Duration = Duration::from_millis(1);

/// And no more than so much later while datagrams lie unread.
const BEHIND_MAX: Duration = Duration::from_secs(10);

/// An answer, or that there is none, is waited for so long, and so much longer for each member that is known: each is sent as many.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const ANSWER_MAX_EACH: Duration = Duration::from_millis(5);

/// Views asked for in vain in a row that double the time until the next.
const FAILED_MAX: u8 = 5;

/// About so many of them with the member that they joined through; the others with anybody.
const COMPARED_THROUGH: f64 = 128.0;

#[derive(Clone, Debug)]
pub(in crate::protocol) struct AntiEntropy {
    /// When the next push/pull begins.
    due: Time,
    /// Apart, as the rest that is seldom asked for: a member is to stay below a kibibyte.
    plan: Box<Plan>,
}

/// What a member remembers of its push/pulls.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// With whom the next is, if it has to be someone in particular.
    with: Option<MemberIndex>,
    /// A sketch will not do.
    whole: bool,
    /// No push/pull out of turn before this.
    allowed: Time,
    /// When the member joined; [`Time::NEVER`] if it did not have to.
    joined: Time,
    /// A periodic push/pull is not put off beyond this.
    latest: Time,
    /// The first push/pull has been given its place in the period.
    spread_out: bool,
    /// With whom to compare views once ours does not change for a moment, as we have just joined through it.
    through: Option<MemberIndex>,
    /// When we last did so.
    compared: Time,
    /// Since when we have declined whole views; [`Time::NEVER`] if the last was given.
    declining: Time,
    /// We joined knowing nobody, and meet members that we have not been told of with a view since.
    catching_up: bool,
    /// How many views we have asked for in vain since the last that came.
    failed: u8,
}

/// What a view says to whoever asked for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Taught {
    /// Members that are new.
    pub(in crate::protocol) joined: u64,
    /// Records that say what we say now.
    pub(in crate::protocol) same: usize,
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<Plan>() <= 64);

impl AntiEntropy {
    pub(in crate::protocol) fn new(
        settings: &Settings,
        rng: &mut fastrand::Rng,
        shared: &SharedState,
        now: Time,
    ) -> AntiEntropy {
        let due = if settings.push_pull_interval.is_zero() {
            Time::NEVER
        } else {
            shared.stagger(now, settings.push_pull_interval, rng)
        };
        let plan = Plan {
            with: None,
            whole: false,
            allowed: now,
            joined: Time::NEVER,
            latest: now,
            spread_out: false,
            through: None,
            compared: now,
            declining: Time::NEVER,
            catching_up: false,
            failed: 0,
        };
        AntiEntropy { due, plan: Box::new(plan) }
    }

    /// When the next push/pull begins.
    #[inline]
    pub(in crate::protocol) fn due(&self) -> Time {
        self.due
    }

    /// A member came back from the dead: whatever parted us has healed, and its view is worth having.
    pub(in crate::protocol) fn member_returned(&mut self, index: MemberIndex, old: Entry) {
        if matches!(old.standing(), EntryState::Remembered) {
            self.plan.with = Some(index);
            self.due = self.due.min(self.plan.allowed);
        }
    }

    /// Gossip has brought a member that we did not know, soon after we joined: the next push/pull is best with whoever joined last,
    /// who was given the most complete view. Who catches up asks soon, as others have joined since it last did.
    pub(in crate::protocol) fn met(&mut self, index: MemberIndex) {
        self.plan.with = Some(index);
        if self.plan.catching_up {
            self.due = self.due.min(self.plan.allowed);
        }
    }

    /// Whether what others know is all that a push/pull is for: we have just joined, and they know more of everybody than we do.
    pub(in crate::protocol) fn catches_up(&self) -> bool {
        self.plan.catching_up
    }

    /// Asks the member that we joined through, in whose view are all that join through it, for that view: nothing of what we know is news
    /// there. False if we have caught up: nobody has been met since the last one.
    fn catch_up(&mut self, core: &mut Core, cx: &mut Context<'_, '_>) -> bool {
        let met = self.plan.with.filter(|index| core.table.get(*index).is_live());
        let caught_up = met.is_none() && self.plan.compared > self.plan.joined;
        if caught_up || !self.is_fresh(cx.now, &core.settings) || core.status != Status::Active {
            (self.plan.catching_up, self.plan.through) = (false, None);
            return false;
        }
        if cx.is_behind() && cx.now < self.plan.allowed + BEHIND_MAX {
            self.due = cx.now + UNCHANGED.mul_f64(1.0 + core.rng.f64());
            return true;
        }
        let answer_max = ANSWER_MAX + ANSWER_MAX_EACH * core.table.known() as u32;
        self.plan.allowed = cx.now + answer_max;
        self.due = self.plan.allowed;
        let through = self.plan.through.filter(|index| core.table.get(*index).is_live());
        if let Some(partner) = through.or(met).or_else(|| core.anybody()) {
            exchange(core, cx, partner, StreamPurpose::Pull { from: partner });
        }
        true
    }

    /// The view that we asked the member at `from` for has come; `taught` says what it has. If it lacks something that we say, it is sent ours.
    /// Who catches up asks again soon while others join, and otherwise compares later: each view is of all members, and
    /// thousands may ask.
    pub(in crate::protocol) fn answered(
        &mut self,
        core: &mut Core,
        cx: &Context<'_, '_>,
        from: MemberIndex,
        taught: Taught,
    ) {
        let lacks = taught.same < core.table.known();
        // Whoever is taught by what was to be compared alone was not complete, and is not the only one.
        let behind = !self.plan.catching_up
            && taught.joined > 0
            && core.seldom.joined_alone
            && self.is_fresh(cx.now, &core.settings);
        self.plan.catching_up |= behind;
        if self.plan.catching_up {
            // Whom we know who is not in the view has joined since that was written, as others have perhaps whom we have not met.
            let again = lacks || behind;
            self.plan.with = Some(from).filter(|_| again);
            (self.plan.compared, self.plan.failed) = (cx.now, 0);
            self.plan.allowed = cx.now + soon(core);
            let period = core.settings.push_pull_period(core.table.known());
            let wait = if again { Duration::ZERO } else { self.wait(core, cx, period) };
            self.due = self.plan.allowed.max(cx.now + wait);
        } else if lacks {
            (self.plan.with, self.plan.whole, self.due) = (Some(from), true, cx.now);
        }
    }

    /// The stream on which we asked has ended without a view, or could not be opened: that is tried again soon, and later each time.
    pub(in crate::protocol) fn failed(&mut self, core: &mut Core, now: Time) {
        if self.plan.catching_up {
            let doubled = 1 << self.plan.failed;
            self.plan.failed = (self.plan.failed + 1).min(FAILED_MAX);
            self.plan.allowed = now + UNCHANGED.mul_f64(1.0 + core.rng.f64()) * doubled;
            self.due = self.plan.allowed;
        }
    }

    /// The driver lost time in which whole broadcasts may have passed: a push/pull before it says nothing of them, and
    /// does not hold the next one back.
    pub(in crate::protocol) fn stalled(&mut self) {
        self.plan.allowed = Time::ZERO;
    }

    /// Whether we have just joined.
    pub(in crate::protocol) fn is_fresh(&self, now: Time, settings: &Settings) -> bool {
        self.plan.joined != Time::NEVER
            && now.since(self.plan.joined) < settings.probe_interval * FRESH_PROBE_INTERVALS
    }

    /// Most of our view and that of the member at `with` differs: begins a push/pull with it soon, if the last was long
    /// enough ago.
    pub(in crate::protocol) fn exchange_whole(&mut self, now: Time, with: MemberIndex) -> bool {
        let may = now >= self.plan.allowed;
        if may {
            (self.plan.with, self.plan.whole, self.due) = (Some(with), true, now);
        }
        may
    }

    /// Begins a push/pull if one is due. Where frames carry roots a sketch does instead, unless most of the views differs: then
    /// whom to send it to is given.
    #[inline]
    pub(in crate::protocol) fn timeout(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        views: &ViewRepair,
    ) -> Option<MemberIndex> {
        if self.due <= cx.now { self.on_due(core, cx, views) } else { None }
    }

    fn on_due(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        views: &ViewRepair,
    ) -> Option<MemberIndex> {
        if self.plan.catching_up && self.catch_up(core, cx) {
            return None;
        }
        if let Some(through) = self.plan.through
            && self.plan.with.is_none()
        {
            return self.compare_after_joining(core, cx, views, through);
        }
        let period = core.settings.push_pull_period(core.table.known());
        if self.plan.with.is_none() && !std::mem::replace(&mut self.plan.spread_out, true) {
            // The first was staggered without knowing how large the cluster is: thousands that start
            // together would all begin in the shortest period.
            // Without a period it was due once, for a join.
            let wait = period.mul_f64(core.rng.f64());
            self.due = if period.is_zero() { Time::NEVER } else { cx.now + wait };
            self.plan.latest = self.due + period / 2;
            return None;
        }
        if self.put_off(core, cx, period) {
            return None;
        }
        self.due = if period.is_zero() { Time::NEVER } else { cx.now + self.wait(core, cx, period) };
        self.plan.latest = self.due + period / 2;
        if self.plan.through.is_some() {
            self.due = cx.now + UNCHANGED;
        }
        let fresh = self.is_fresh(cx.now, &core.settings);
        // A tenth of the period: differences that gossip left are mended soon, and not in a storm.
        let spacing =
            if fresh { core.settings.probe_interval } else { (period / 10).max(Duration::from_secs(1)) };
        self.plan.allowed = cx.now + spacing;
        let whole = std::mem::take(&mut self.plan.whole);
        if core.status != Status::Active {
            return None;
        }
        let wanted = self.plan.with.take().filter(|index| core.table.get(*index).is_live());
        let partner = wanted.or_else(|| core.anybody());
        let sketch_does = cx.shared.wire.rules.carries_roots && !cx.shared.behaviour.push_pulls_on_time;
        if sketch_does && !whole {
            // Pings and acks have compared roots all the time.
            return if wanted.is_some() || views.differs() { partner } else { None };
        }
        let partner = partner?;
        // Nearly always both views are the same, and half of a push/pull shows it.
        let asks = !cx.shared.wire.rules.carries_roots && !cx.shared.behaviour.push_pulls_on_time && !whole;
        let purpose = if asks { StreamPurpose::Pull { from: partner } } else { StreamPurpose::Sync };
        exchange(core, cx, partner, purpose);
        None
    }

    /// How long until the next push/pull. Where acks carry no root, what a member missed while many joined at
    /// once shows in push/pulls alone, and the period is minutes in a large cluster: so the first come soon
    /// after joining, and each after twice the time of the one before.
    fn wait(&self, core: &Core, cx: &Context<'_, '_>, period: Duration) -> Duration {
        match self.plan.joined {
            joined if joined != Time::NEVER && !cx.shared.wire.rules.carries_roots => {
                let age = cx.now.since(joined).max(core.settings.probe_interval);
                period.min(age)
            }
            _ => period,
        }
    }

    /// What others were told while we joined, and those that joined at the same moment, may have passed us by: as often as our view
    /// has changed, and then stays the same for a moment, we compare it with that of the member that we joined `through`. Where
    /// many join through it, most compare theirs with anybody's instead, of which each lacks something else.
    fn compare_after_joining(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        views: &ViewRepair,
        through: MemberIndex,
    ) -> Option<MemberIndex> {
        let known = core.table.known() as f64;
        let changed = core.root_changed.max(self.plan.joined);
        let slower = if cx.shared.overload > 0 { 2.0 } else { 1.0 };
        let spread = Duration::from_secs_f64(core.rng.f64() * slower * known / COMPARED_PER_SECOND);
        let unchanged = UNCHANGED + UNCHANGED_EACH * core.table.known() as u32;
        let still = changed + unchanged;
        if !self.is_fresh(cx.now, &core.settings) || core.status != Status::Active {
            self.plan.through = None;
            // From now on at the period, if there is one.
            let periodic = !core.settings.push_pull_interval.is_zero();
            self.due = if periodic { cx.now + core.settings.probe_interval } else { Time::NEVER };
            return None;
        }
        // Who was asked in vain may have lacked the same, or have been learning itself: somebody else is asked, after twice the
        // time, in the end once a probe interval.
        let again = self.plan.compared + self.plan.compared.since(changed).min(core.settings.probe_interval);
        let in_vain = self.plan.compared > changed;
        if views.agrees() {
            self.due = cx.now + spread + core.settings.probe_interval;
            return None;
        }
        if cx.is_behind() || core.awaits_rush(cx.now) {
            // What it lacks may lie unread, and asking would put others further behind.
            self.due = cx.now + unchanged + spread;
            return None;
        }
        if cx.now < still || in_vain && cx.now < again {
            self.due = if in_vain { again.max(still) } else { still + spread };
            return None;
        }
        self.due = cx.now + unchanged;
        self.plan.compared = cx.now;
        let anybody = core.rng.f64() * known > COMPARED_THROUGH;
        let through = Some(through).filter(|through| !anybody && core.table.get(*through).is_live());
        through.or_else(|| core.anybody())
    }

    /// Notes that we have joined, through the member at `through`. Where acks carry no root the first push/pull comes soon.
    pub(in crate::protocol) fn note_joined(
        &mut self,
        core: &mut Core,
        cx: &Context<'_, '_>,
        through: Option<MemberIndex>,
    ) {
        self.plan.joined = cx.now;
        if cx.shared.wire.rules.carries_roots {
            self.plan.through = through;
            self.plan.compared = Time::ZERO;
            self.due = self.due.min(cx.now + UNCHANGED);
            return;
        }
        if core.settings.push_pull_interval.is_zero() {
            return;
        }
        if core.seldom.joined_alone && !cx.shared.behaviour.push_pulls_on_time {
            self.plan.catching_up = true;
            (self.plan.through, self.plan.compared) = (through, cx.now);
        }
        // Not all of those that join together at the same time.
        self.plan.allowed = cx.now + soon(core);
        self.due = self.due.min(self.plan.allowed);
        self.plan.spread_out = true;
    }

    /// Puts a periodic push/pull off while news about members is under way: roots differ then, and two whole
    /// views would be sent for what gossip brings in a moment. Not for longer than half a period.
    fn put_off(&mut self, core: &mut Core, cx: &mut Context<'_, '_>, period: Duration) -> bool {
        if cx.shared.behaviour.push_pulls_on_time {
            return false;
        }
        let settled = core.settled();
        let under_way = !core.is_quiet(cx.now) || cx.now.since(core.root_changed) < settled || cx.is_behind();
        let fresh = self.is_fresh(cx.now, &core.settings);
        if !under_way || fresh || self.plan.with.is_some() || cx.now >= self.plan.latest {
            return false;
        }
        let wait = settled + settled.mul_f64(core.rng.f64());
        self.due = cx.now + wait.min(period);
        true
    }

    /// Whether to decline a push/pull with a member whose root differs from ours: while news passes, or lies unread, they
    /// differ, and the two whole views that would be exchanged say nothing that is not on its way. Not for longer than half a period, nor while
    /// we have just joined and may lack more than that.
    pub(in crate::protocol) fn declines(&mut self, core: &Core, cx: &Context<'_, '_>) -> bool {
        let under_way = cx.now.since(core.root_changed) < core.settled() || cx.is_behind();
        let asked_for = self.is_fresh(cx.now, &core.settings) || core.awaits_rush(cx.now);
        if !under_way || asked_for || cx.shared.behaviour.push_pulls_on_time {
            self.plan.declining = Time::NEVER;
            return false;
        }
        if self.plan.declining == Time::NEVER {
            self.plan.declining = cx.now;
        }
        let declined = cx.now.since(self.plan.declining);
        declined <= core.settings.push_pull_period(core.table.known()) / 2
    }
}

/// How long after one view whoever catches up asks for another.
fn soon(core: &mut Core) -> Duration {
    core.settings.probe_interval.mul_f64(1.0 + core.rng.f64()) + ASKED_EACH * core.table.known() as u32
}

/// Begins a push/pull with `partner`, or the half of one.
fn exchange(core: &Core, cx: &mut Context<'_, '_>, partner: MemberIndex, purpose: StreamPurpose) {
    cx.shared.counters.push_pulls_started += 1;
    cx.out.streams.push(StreamOpen {
        to: core.identity(partner, cx.shared).address(),
        destination: cx.shared.directory.id(partner),
        purpose,
    });
}
