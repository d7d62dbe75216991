//! When a member's next probe begins, and whom it is of.
//!
//! The order is a random permutation that is renewed after each round (SWIM section 4.3). Probes lie on the member's own
//! grid of intervals, staggered against others', and further apart the worse its local health.
//!
//! While the driver is late, the time to the next probe is drawn, as a share of the interval that is in force, which may be
//! nine times as long as it is otherwise. A member that slept for all of it would be the last to see that the driver keeps up again: so it
//! looks up once in each plain interval, and probes when the interval that is in force by then is over.

use std::time::Duration;

use crate::protocol::state::{Context, Core, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::permutation::Permutation;

/// Probes of one target in a row that prove nothing because the driver lost or left unread what others had sent.
/// The next that fails is believed: who floods a member must not keep it from noticing a crash.
const INCONCLUSIVE_MAX: u8 = 2;

/// The whole interval, in the unit in which shares of it are drawn.
const WHOLE: u64 = 1 << 15;

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
    /// When to look next, and begin the next probe unless it was drawn for later.
    next: Time,
    /// From when the drawn share counts. With `probe_when_free`: the next beat of the member's own ticker.
    mark: Time,
    /// The share of the interval in force after which the next probe begins, in parts of [`WHOLE`]; 0 if none was drawn.
    drawn: u16,
    /// With `probe_when_free`: whether a beat came while a probe was under way.
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
            mark: next,
            drawn: 0,
            tick_missed: false,
            order: Permutation::new(0, 0),
            position: 0,
            again: None,
            inconclusive: 0,
        }
    }

    /// When to look next whether a probe begins.
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
        let looked = self.next;
        let late = cx.now.since(looked);
        if late >= interval {
            // A driver that lost time does not catch up, and members keep out of step with each other: the
            // next probe is at the next point of the member's own grid.
            let missed = (late.as_micros() / interval.as_micros()) as u32;
            (self.next, self.drawn) = (looked + interval * (missed + 1), 0);
            return None;
        }
        let begins = if self.drawn == 0 { looked } else { self.drawn_time(interval) };
        if begins > cx.now {
            self.look_by(begins, core, (looked, late));
            return None;
        }
        let intended = looked.max(begins);
        let next = intended + interval;
        // When the next begins, so that a driver that is late by a little does not skip that one.
        let ends = if core.adaptive { next - interval / 2 } else { next };
        if overload > 0 {
            self.draw(core, intended, interval, cx.now);
            self.look_by(self.drawn_time(interval), core, (looked, late));
        } else {
            (self.next, self.drawn) = (next, 0);
        }
        if busy || core.status != Status::Active {
            return None;
        }
        let (target, new_round) = self.next_target(core);
        Some(NextProbe { target, new_round, intended, ends })
    }

    /// Draws the time to the probe after the one that was to begin at `intended`. A driver that was late has members that are due
    /// at one moment: they have to come apart, or it stays late. What is late by more than half an interval begins from
    /// now: a time that is past would be late again.
    fn draw(&mut self, core: &mut Core, intended: Time, interval: Duration, now: Time) {
        let micros = interval.as_micros() as u64;
        let apart = (core.rng.u64(1..=micros) * WHOLE).div_ceil(micros);
        let (mark, least) = if intended + interval / 2 >= now { (intended, WHOLE / 2) } else { (now, 0) };
        // At most one and a half of the whole.
        (self.mark, self.drawn) = (mark, (least + apart) as u16);
    }

    /// When the probe that was drawn begins where `interval` is in force.
    fn drawn_time(&self, interval: Duration) -> Time {
        let micros = interval.as_micros() as u64 * u64::from(self.drawn) / WHOLE;
        self.mark + Duration::from_micros(micros)
    }

    /// Looks again at `begins`, or earlier at the next point of the member's own grid of plain intervals, of which the one that was
    /// `looked` at now was so `late`.
    fn look_by(&mut self, begins: Time, core: &Core, (looked, late): (Time, Duration)) {
        let plain = core.chosen_probe_interval();
        let missed = (late.as_micros() / plain.as_micros()) as u32;
        self.next = begins.min(looked + plain * (missed + 1));
    }

    /// The same with a ticker that local health does not slow down, and that keeps one beat for later while a
    /// probe is under way.
    fn choose_at_tick(&mut self, core: &mut Core, cx: &Context<'_, '_>, busy: bool) -> Option<NextProbe> {
        let interval = core.settings.probe_interval;
        if self.mark <= cx.now {
            let missed = cx.now.since(self.mark).as_micros() / interval.as_micros();
            self.mark = self.mark + interval * (missed as u32 + 1);
        }
        self.next = self.mark;
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
