//! Gossip rounds: telling a few random members what is in the queue.
//!
//! A member that has nothing to say has no gossip timer at all. When news arrives, the timer is armed for
//! the next point of the member's own grid of intervals, so that members do not fall into step.

use std::time::Duration;

use crate::protocol::settings::Settings;
use crate::protocol::state::{Context, Core, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::view::entry::EntryState;
use swimring_codec::State;

/// Most members told in a round: the setting's upper bound.
const FANOUT_MAX: usize = 16;

#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Gossip {
    /// When the next round is; [`Time::NEVER`] while there is nothing to say.
    due: Time,
    /// Where this member's grid of intervals starts.
    offset: Duration,
}

impl Gossip {
    pub(in crate::protocol) fn new(
        settings: &Settings,
        rng: &mut fastrand::Rng,
        shared: &SharedState,
    ) -> Gossip {
        Gossip {
            due: Time::NEVER,
            offset: shared.stagger(Time::ZERO, settings.gossip_interval, rng).since(Time::ZERO),
        }
    }

    /// Arms the timer if there is something to say and it is not armed.
    #[inline]
    pub(in crate::protocol) fn arm(&mut self, now: Time, settings: &Settings, something: bool) {
        if something && self.due == Time::NEVER {
            self.due = self.next(now, settings);
        }
    }

    /// When the next round is.
    #[inline]
    pub(in crate::protocol) fn due(&self) -> Time {
        self.due
    }

    /// No round before there is something new to say.
    pub(in crate::protocol) fn disarm(&mut self) {
        self.due = Time::NEVER;
    }

    /// The first point of the grid after `now`.
    fn next(&self, now: Time, settings: &Settings) -> Time {
        let interval = settings.gossip_interval.as_micros() as u64;
        let offset = self.offset.as_micros() as u64;
        let rounds = (now.as_micros() + interval - offset) / interval;
        Time::from_micros(rounds * interval + offset)
    }

    /// Tells a few random members, if a round is due.
    pub(in crate::protocol) fn timeout(&mut self, core: &mut Core, cx: &mut Context<'_, '_>) {
        if self.due > cx.now {
            return;
        }
        self.due = Time::NEVER;
        if *cx.out.gossip_budget < u32::from(core.settings.gossip_fanout) {
            cx.shared.counters.gossip_deferred += 1;
            return;
        }
        core.drop_stale_events(cx);
        let mut told = [u32::MAX; FANOUT_MAX];
        for round in 0..usize::from(core.settings.gossip_fanout).min(FANOUT_MAX) {
            if core.queue.is_empty() || core.status == Status::Left {
                break;
            }
            let Some(target) = core.gossip_target(cx, &told[..round]) else { break };
            told[round] = target;
            *cx.out.gossip_budget -= 1;
            core.send_news(cx, target);
        }
        if told[0] == u32::MAX {
            core.nobody_to_tell(cx);
        }
    }
}

impl Core {
    /// A random member that is alive, suspect, or dead for so short that it may refute.
    fn gossip_target(&mut self, cx: &mut Context<'_, '_>, told: &[u32]) -> Option<u32> {
        let (own, departed, now) = (self.index, self.departed, cx.now);
        let (pool, patience) = (&cx.shared.departed, self.settings.gossip_to_the_dead);
        self.table.choose(&mut self.rng, |index, entry| {
            let eligible = match entry.standing() {
                EntryState::Known(State::Alive | State::Suspect) => true,
                EntryState::Known(State::Dead) => {
                    pool.since(&departed, index).is_some_and(|since| now.since(since) <= patience)
                }
                _ => false,
            };
            eligible && index != own && !told.contains(&index)
        })
    }

    /// Alone: what is queued has nobody to go to.
    fn nobody_to_tell(&mut self, cx: &mut Context<'_, '_>) {
        if self.table.live() <= 1 {
            self.drop_queue(cx);
        }
    }
}
