//! Anti-entropy: finding and mending what gossip missed.
//!
//! Every frame carries the sender's state root, so every ping and ack also says whether the prober and its target
//! hold the same view. When the roots differ although neither has news under way, whoever sees it asks
//! for a push/pull; apart from that one happens rarely, at a period that grows with the size of the
//! cluster. A push/pull opens with the two roots and ends there when they agree.

use std::time::Duration;

use crate::protocol::outbox::{StreamOpen, StreamPurpose};
use crate::protocol::settings::Settings;
use crate::protocol::state::{Context, Core, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::table::{Entry, EntryState};
use crate::protocol::wire::Sender;

/// For this many probe intervals after joining a member mends differences at once; later they have to
/// last.
const FRESH_PROBE_INTERVALS: u32 = 60;

#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct AntiEntropy {
    /// When the next push/pull begins.
    due: Time,
    /// With whom, if it has to be someone in particular.
    with: Option<MemberIndex>,
    /// No push/pull because of a differing root before this.
    allowed: Time,
    /// When the member joined; [`Time::NEVER`] if it did not have to.
    joined: Time,
    /// A periodic push/pull is not put off beyond this.
    latest: Time,
    /// The first push/pull has been given its place in the period.
    spread_out: bool,
    /// Since when every ping and ack has shown another root than ours; [`Time::NEVER`] if the last showed the same.
    differing: Time,
    /// Since when we have declined whole views; [`Time::NEVER`] if the last was given.
    declining: Time,
}

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
        AntiEntropy {
            due,
            with: None,
            allowed: now,
            joined: Time::NEVER,
            latest: now,
            spread_out: false,
            differing: Time::NEVER,
            declining: Time::NEVER,
        }
    }

    /// When the next push/pull begins.
    #[inline]
    pub(in crate::protocol) fn due(&self) -> Time {
        self.due
    }

    /// A member came back from the dead: whatever parted us has healed, and its view is worth having.
    pub(in crate::protocol) fn member_returned(&mut self, index: MemberIndex, old: Entry) {
        if matches!(old.standing(), EntryState::Remembered) {
            self.with = Some(index);
            self.due = self.due.min(self.allowed);
        }
    }

    /// The driver lost time in which whole broadcasts may have passed: a push/pull before it says nothing of them, and
    /// does not hold the next one back.
    pub(in crate::protocol) fn stalled(&mut self) {
        self.allowed = Time::ZERO;
    }

    fn is_fresh(&self, now: Time, settings: &Settings) -> bool {
        self.joined != Time::NEVER && now.since(self.joined) < settings.probe_interval * FRESH_PROBE_INTERVALS
    }

    /// Compares the root of a ping or an ack with ours.
    #[inline]
    pub(in crate::protocol) fn compare_roots(
        &mut self,
        core: &Core,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
    ) {
        let Some(root) = origin.root else { return };
        if root == core.table.root() || cx.is_behind() {
            // What makes the roots differ may lie unread.
            self.differing = Time::NEVER;
        } else {
            self.note_difference(core, cx, origin);
        }
    }

    #[cold]
    fn note_difference(&mut self, core: &Core, cx: &mut Context<'_, '_>, origin: &Sender) {
        if self.differing == Time::NEVER {
            self.differing = cx.now;
        }
        if cx.now < self.allowed {
            return;
        }
        // Roots differ while news is under way, and a broadcast that is just passing needs no repair.
        let settled = core.settled();
        let quiet = origin.quiet && core.is_quiet(cx.now);
        let lasting = quiet && cx.now.since(self.differing.max(core.root_changed)) >= settled;
        if !lasting && !self.is_fresh(cx.now, &core.settings) {
            return;
        }
        // Who has been forgotten since the ping is nobody to mend differences with.
        let Some(source) = cx.shared.directory.find(origin.source) else { return };
        self.with = Some(source);
        self.due = cx.now;
    }

    /// Begins a push/pull if one is due.
    #[inline]
    pub(in crate::protocol) fn timeout(&mut self, core: &mut Core, cx: &mut Context<'_, '_>) {
        if self.due <= cx.now {
            self.on_due(core, cx);
        }
    }

    fn on_due(&mut self, core: &mut Core, cx: &mut Context<'_, '_>) {
        let period = core.settings.push_pull_period(core.table.known());
        if self.with.is_none() && !std::mem::replace(&mut self.spread_out, true) {
            // The first was staggered without knowing how large the cluster is: thousands that start
            // together would all begin in the shortest period.
            self.due = cx.now + period.mul_f64(core.rng.f64());
            self.latest = self.due + period / 2;
            return;
        }
        if self.put_off(core, cx, period) {
            return;
        }
        self.due = if period.is_zero() { Time::NEVER } else { cx.now + self.wait(core, cx, period) };
        self.latest = self.due + period / 2;
        let fresh = self.is_fresh(cx.now, &core.settings);
        // A tenth of the period: differences that gossip left are mended soon, and not in a storm.
        let spacing =
            if fresh { core.settings.probe_interval } else { (period / 10).max(Duration::from_secs(1)) };
        self.allowed = cx.now + spacing;
        if core.status != Status::Active {
            return;
        }
        let own = core.index;
        let wanted = self.with.take().filter(|index| core.table.get(*index).is_live());
        let partner = wanted
            .or_else(|| core.table.choose(&mut core.rng, |index, entry| entry.is_alive() && index != own));
        let Some(partner) = partner else { return };
        cx.shared.counters.push_pulls_started += 1;
        cx.out.streams.push(StreamOpen {
            to: core.identity(partner, cx.shared).address(),
            destination: cx.shared.directory.id(partner),
            purpose: StreamPurpose::Sync,
        });
    }

    /// How long until the next push/pull. Where acks carry no root, what a member missed while many joined at
    /// once shows in push/pulls alone, and the period is minutes in a large cluster: so the first come soon
    /// after joining, and each after twice the time of the one before.
    fn wait(&self, core: &Core, cx: &Context<'_, '_>, period: Duration) -> Duration {
        match self.joined {
            joined if joined != Time::NEVER && !cx.shared.wire.rules.carries_roots => {
                let age = cx.now.since(joined).max(core.settings.probe_interval * 2);
                period.min(age)
            }
            _ => period,
        }
    }

    /// Notes that we have joined. Where acks carry no root the first push/pull comes soon.
    pub(in crate::protocol) fn note_joined(&mut self, core: &mut Core, cx: &Context<'_, '_>) {
        self.joined = cx.now;
        if cx.shared.wire.rules.carries_roots || core.settings.push_pull_interval.is_zero() {
            return;
        }
        // Not all of those that join together at the same time.
        let wait = core.settings.probe_interval.mul_f64(2.0 + 2.0 * core.rng.f64());
        self.due = self.due.min(cx.now + wait);
        self.spread_out = true;
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
        if !under_way || fresh || self.with.is_some() || cx.now >= self.latest {
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
        if !under_way || self.is_fresh(cx.now, &core.settings) || cx.shared.behaviour.push_pulls_on_time {
            self.declining = Time::NEVER;
            return false;
        }
        if self.declining == Time::NEVER {
            self.declining = cx.now;
        }
        let declined = cx.now.since(self.declining);
        declined <= core.settings.push_pull_period(core.table.known()) / 2
    }
}
