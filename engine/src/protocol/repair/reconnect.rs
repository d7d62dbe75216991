//! Reaping the dead, and finding again who came back.
//!
//! A dead member leaves the view after `gossip_to_the_dead`, and everyone forgets that it was there: two
//! halves of a partition that lasts longer would never speak again (hashicorp/memberlist#222). So its
//! address is remembered, and now and then one of the departed is pinged and told that it is held dead. If
//! it lives it refutes in its ack, and the views are mended from there.

use std::time::Duration;

use swimring_codec::State;

use crate::protocol::event::Event;
use crate::protocol::settings::Settings;
use crate::protocol::state::{Context, Core, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::entry::EntryState;
use crate::protocol::wire::{Outgoing, Update};

#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Reconnect {
    /// When the next departed member is tried.
    next: Time,
    /// When to look for members to reap.
    next_reap: Time,
}

impl Reconnect {
    pub(in crate::protocol) fn new(
        settings: &Settings,
        rng: &mut fastrand::Rng,
        shared: &SharedState,
        now: Time,
    ) -> Reconnect {
        let next = if settings.reconnect_interval.is_zero() {
            Time::NEVER
        } else {
            shared.stagger(now, settings.reconnect_interval, rng)
        };
        Reconnect { next, next_reap: Time::NEVER }
    }

    #[inline]
    pub(in crate::protocol) fn due(&self) -> Time {
        self.next.min(self.next_reap)
    }

    /// When the dead are looked at next.
    #[cfg(test)]
    pub(in crate::protocol) fn due_to_reap(&self) -> Time {
        self.next_reap
    }

    /// Someone departed: it will have to be reaped.
    pub(in crate::protocol) fn departed(&mut self, now: Time, core: &Core) {
        self.next_reap = self.next_reap.min(now + core.settings.gossip_to_the_dead + core.reap_later());
    }

    /// Reaps, and tries one of the departed, as is due.
    #[inline]
    pub(in crate::protocol) fn timeout(&mut self, core: &mut Core, cx: &mut Context<'_, '_>) {
        if self.next_reap.min(self.next) <= cx.now {
            self.on_due(core, cx);
        }
    }

    fn on_due(&mut self, core: &mut Core, cx: &mut Context<'_, '_>) {
        if self.next_reap <= cx.now {
            self.reap(core, cx);
        }
        if self.next <= cx.now {
            self.next = cx.now + core.settings.reconnect_interval;
            let wanted = !cx.shared.behaviour.no_reconnects;
            if wanted && !core.departed.is_empty() && core.status == Status::Active {
                core.try_departed(cx);
            }
        }
    }

    /// Takes members out of the view that have been dead or gone long enough, and forgets those that have
    /// been remembered long enough.
    pub(in crate::protocol) fn reap(&mut self, core: &mut Core, cx: &mut Context<'_, '_>) {
        let (now, patience) = (cx.now, core.settings.gossip_to_the_dead);
        let memory = core.settings.reconnect_timeout;
        self.next_reap = Time::NEVER;
        while let Some(departure) = cx.shared.departed.oldest_recent(&core.departed) {
            if now.since(departure.since) < patience {
                self.next_reap = departure.since + patience + core.reap_later();
                break;
            }
            let entry = core.table.get(departure.subject);
            cx.emit(Event::Reaped { subject: departure.subject });
            if entry.state() == Some(State::Dead) && !memory.is_zero() {
                cx.shared.departed.remember(&mut core.departed, departure.subject, now);
                core.set_entry(cx, departure.subject, entry.remembered());
            } else {
                core.forget(cx, departure.subject);
            }
        }
        while let Some(departure) = cx.shared.departed.oldest_remembered(&core.departed) {
            if now.since(departure.since) < memory {
                self.next_reap = self.next_reap.min(departure.since + memory);
                break;
            }
            core.forget(cx, departure.subject);
        }
    }
}

impl Core {
    /// How much later than it may be this member reaps, up to an eighth of the time until then: everyone hears of a death
    /// within a moment, and a hundred thousand timers need not end in one.
    fn reap_later(&self) -> Duration {
        self.settings.gossip_to_the_dead.mul_f64(f64::from(self.id.0 as u32) / f64::from(u32::MAX) / 8.0)
    }

    /// Pings one of the departed that did not say goodbye, with what we believe of it.
    fn try_departed(&mut self, cx: &mut Context<'_, '_>) {
        let Some(index) = self.choose_departed(cx) else { return };
        let id = cx.shared.directory.id(index);
        let to = self.identity(index, cx.shared).address();
        let incarnation = self.table.get(index).incarnation();
        let dead = Outgoing::Update { subject: index, update: Update::Dead, incarnation };
        // The ack answers no probe of ours: what matters is the refutation beside it.
        let ping = Outgoing::Ping { sequence: self.rng.u32(..) };
        cx.shared.counters.reconnects_tried += 1;
        self.send(cx, to, id, &[dead, ping]);
    }

    /// One of the departed that did not say goodbye, each with the same chance.
    fn choose_departed(&mut self, cx: &Context<'_, '_>) -> Option<MemberIndex> {
        /// Draws from the whole table before the list is walked, which is short unless one of these hits.
        const DRAWS_MAX: usize = 16;
        let (table, rng) = (&self.table, &mut self.rng);
        let is_wanted = |index: MemberIndex| {
            matches!(table.get(index).standing(), EntryState::Known(State::Dead) | EntryState::Remembered)
        };
        let drawn = (0..DRAWS_MAX).map(|_| rng.u32(..table.len())).find(|index| is_wanted(*index));
        if drawn.is_some() {
            return drawn;
        }
        let mut chosen = None;
        let mut seen = 0;
        for departure in cx.shared.departed.iter(&self.departed) {
            if is_wanted(departure.subject) {
                seen += 1;
                if rng.u32(..seen) == 0 {
                    chosen = Some(departure.subject);
                }
            }
        }
        chosen
    }

    /// Makes room in a full table: drops the member that has been gone for longest. False if there is
    /// none.
    pub(in crate::protocol) fn forget_longest_gone(&mut self, cx: &mut Context<'_, '_>) -> bool {
        let departed = &cx.shared.departed;
        let longest =
            departed.oldest_remembered(&self.departed).or_else(|| departed.oldest_recent(&self.departed));
        let Some(departure) = longest else { return false };
        self.forget(cx, departure.subject);
        true
    }
}
