//! When a member's next probe begins, and whom it is of.
//!
//! The order is a random permutation that is renewed after each round (SWIM section 4.3). Probes lie on the member's own
//! grid of intervals, staggered against others', and further apart the worse its local health.

use std::time::Duration;

use crate::protocol::state::{Context, Core, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::permutation::Permutation;

/// Probes of one target in a row that prove nothing because the driver lost or left unread what others had sent.
/// The next that fails is believed: who floods a member must not keep it from noticing a crash.
const INCONCLUSIVE_MAX: u8 = 2;

/// The next probe of a member's own choice.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct NextProbe {
    /// Member to ping; nothing if there is none.
    pub(super) target: Option<MemberIndex>,
    /// Whether it begins a round: time to look after the departed.
    pub(in crate::protocol) new_round: bool,
    /// When it was due to begin.
    pub(super) intended: Time,
    /// When it will have failed.
    pub(super) ends: Time,
}

/// The probes to come.
#[derive(Debug)]
pub(super) struct ProbeSchedule {
    /// When the next probe begins.
    next: Time,
    /// With `probe_when_free`: the next beat of the member's own ticker, and whether one came while a probe
    /// was under way.
    tick: Time,
    tick_missed: bool,
    order: Permutation,
    position: u32,
    /// Next member to probe, out of turn: the last probe of it proved nothing.
    again: Option<MemberIndex>,
    /// Probes of that member that proved nothing.
    inconclusive: u8,
}

impl ProbeSchedule {
    pub(super) fn new(
        chosen_interval: Duration,
        rng: &mut fastrand::Rng,
        shared: &SharedState,
        now: Time,
    ) -> ProbeSchedule {
        // Staggered, so that members that start together do not probe in step.
        let next = shared.stagger(now, chosen_interval, rng);
        ProbeSchedule {
            next,
            tick: next,
            tick_missed: false,
            order: Permutation::new(0, 0),
            position: 0,
            again: None,
            inconclusive: 0,
        }
    }

    /// When the next probe begins.
    #[inline]
    pub(super) fn due(&self) -> Time {
        self.next
    }

    /// A probe of our own choice is over: if a beat came meanwhile the next begins at once.
    pub(super) fn on_chosen_over(&mut self, now: Time) {
        if self.tick_missed {
            self.tick_missed = false;
            self.next = now;
        }
    }

    /// A probe of `target` proved nothing: it is the next again. False if that was so too often.
    pub(super) fn repeat(&mut self, target: MemberIndex) -> bool {
        self.inconclusive += 1;
        let again = self.inconclusive <= INCONCLUSIVE_MAX;
        self.again = again.then_some(target);
        again
    }

    /// The next probe, if one begins now; `busy` says whether the last is still under way.
    #[inline]
    pub(super) fn choose(&mut self, core: &mut Core, cx: &Context<'_, '_>, busy: bool) -> Option<NextProbe> {
        if cx.shared.behaviour.probe_when_free {
            return self.choose_at_tick(core, cx, busy);
        }
        let overload = cx.shared.overload;
        let interval = core.health.scale(core.chosen_probe_interval(), overload, core.health_max(cx));
        let intended = self.next;
        let late = cx.now.since(intended);
        if late >= interval {
            // A driver that lost time does not catch up, and members keep out of step with each other: the
            // next probe is at the next point of the member's own grid.
            let missed = (late.as_micros() / interval.as_micros()) as u32;
            self.next = intended + interval * (missed + 1);
            return None;
        }
        self.next = intended + interval;
        // When the next begins, so that a driver that is late by a little does not skip that one.
        let ends = if core.adaptive { self.next - interval / 2 } else { self.next };
        if overload > 0 {
            // A driver that was late has members that are due at one moment: they have to come apart, or it stays late. What is
            // late by more than half an interval begins from now: a time that is past would be late again.
            let apart = core.rng.u64(1..=interval.as_micros() as u64);
            self.next = (intended + interval / 2).max(cx.now) + Duration::from_micros(apart);
        }
        if busy || core.status != Status::Active {
            return None;
        }
        let (target, new_round) = self.next_target(core);
        Some(NextProbe { target, new_round, intended, ends })
    }

    /// The same with a ticker that local health does not slow down, and that keeps one beat for later while a
    /// probe is under way.
    fn choose_at_tick(&mut self, core: &mut Core, cx: &Context<'_, '_>, busy: bool) -> Option<NextProbe> {
        let interval = core.settings.probe_interval;
        if self.tick <= cx.now {
            let missed = cx.now.since(self.tick).as_micros() / interval.as_micros();
            self.tick = self.tick + interval * (missed as u32 + 1);
        }
        self.next = self.tick;
        if core.status != Status::Active {
            return None;
        }
        if busy {
            self.tick_missed = true;
            return None;
        }
        let lasts = core.health.scale(interval, cx.shared.overload, core.health_max(cx));
        let (target, new_round) = self.next_target(core);
        Some(NextProbe { target, new_round, intended: cx.now, ends: cx.now + lasts })
    }

    /// The next live member in the round's order, or the last once more; and whether a new round began.
    fn next_target(&mut self, core: &mut Core) -> (Option<MemberIndex>, bool) {
        match self.again.take() {
            Some(again) if again < core.table.len() && core.table.get(again).is_live() => {
                return (Some(again), false);
            }
            _ => self.inconclusive = 0,
        }
        if core.table.live() <= 1 {
            // Nobody: not to be looked for among all that others on this worker know.
            return (None, true);
        }
        let mut new_round = false;
        // At most one round: the rest of this one, and the beginning of the next.
        for _ in 0..=core.table.len() {
            if self.position >= self.order.len() {
                self.order = Permutation::new(core.rng.u64(..), core.table.len());
                self.position = 0;
                new_round = true;
            }
            let target = self.order.at(self.position);
            self.position += 1;
            if target != core.index && core.table.get(target).is_live() {
                return (Some(target), new_round);
            }
        }
        (None, new_round)
    }
}
