//! Neighbours: after many deaths at once every member sees after the two that lie beside it in the order of ids.
//!
//! A member is watched by those that it has pinged last (`return_probes`). Where a third of a cluster dies at one moment, so
//! do a third of these watchers, and whoever had only them is found by chance: with random probes every two seconds the last of
//! thousands after twenty. So once deaths are many, nobody is left to chance. Each member probes the nearest live ones before
//! and behind it, once each, and the next when its view has one of them suspect or dead. Whatever died that nobody noticed
//! lies between two such members, and is found from both sides.
//!
//! That is two probes for each member in a mass failure, and none otherwise.

use std::time::Duration;

use crate::protocol::state::{Context, Core};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::linked_lists::NIL;

/// Deaths are many if one member in so many is declared within [`WITHIN`], and [`DEATHS_MIN`] at least.
const ONE_IN: usize = 256;
const DEATHS_MIN: u32 = 16;
const WITHIN: Duration = Duration::from_secs(10);

/// Neighbours: one before, one behind.
const SIDES: usize = 2;

/// What a member has seen of deaths, and its neighbours while they are many.
#[derive(Debug)]
pub(in crate::protocol) struct Neighbours {
    /// When they are next looked for; [`Time::NEVER`] while deaths are few.
    due: Time,
    seen: Box<Seen>,
}

/// The part that is seldom asked for.
#[derive(Debug)]
struct Seen {
    /// Deaths since then.
    deaths: u32,
    since: Time,
    /// Until when neighbours are seen after.
    until: Time,
    /// Those that were probed last, or [`NIL`].
    probed: [MemberIndex; SIDES],
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<Seen>() <= 32);

impl Neighbours {
    pub(in crate::protocol) fn new() -> Neighbours {
        let seen = Seen { deaths: 0, since: Time::ZERO, until: Time::ZERO, probed: [NIL; SIDES] };
        Neighbours { due: Time::NEVER, seen: Box::new(seen) }
    }

    /// When neighbours are next looked for.
    #[inline]
    pub(in crate::protocol) fn due(&self) -> Time {
        self.due
    }

    /// A member was declared dead, by whomever.
    pub(in crate::protocol) fn died(&mut self, core: &mut Core, now: Time) {
        let seen = &mut *self.seen;
        if now.since(seen.since) >= WITHIN {
            (seen.since, seen.deaths) = (now, 0);
        }
        seen.deaths += 1;
        let many = DEATHS_MIN.max((core.table.known() / ONE_IN) as u32);
        if !core.adaptive || seen.deaths < many {
            return;
        }
        seen.until = now + WITHIN;
        if self.due == Time::NEVER {
            seen.probed = [NIL; SIDES];
            // Not all at the moment in which the news arrives.
            self.due = now + core.settings.probe_interval.mul_f64(core.rng.f64());
        }
    }

    /// The neighbours to be probed now: those that were not before.
    pub(in crate::protocol) fn next(
        &mut self,
        core: &Core,
        cx: &Context<'_, '_>,
    ) -> impl Iterator<Item = MemberIndex> + use<> {
        let going_on = cx.now < self.seen.until;
        let nearest = if going_on { nearest(core, cx) } else { [NIL; SIDES] };
        let before = std::mem::replace(&mut self.seen.probed, nearest);
        self.due = if going_on { cx.now + core.settings.probe_interval / 2 } else { Time::NEVER };
        nearest.into_iter().filter(move |index| *index != NIL && !before.contains(index))
    }
}

/// The nearest alive members of the own zone before and behind, around the end of the ids; [`NIL`] where there is none.
fn nearest(core: &Core, cx: &Context<'_, '_>) -> [MemberIndex; SIDES] {
    let order = cx.shared.directory.zones().order(core.zone);
    let alive = |(_, index): (u64, MemberIndex)| {
        (index != core.index && core.table.get(index).is_alive()).then_some(index)
    };
    let own = core.id.0;
    let before = order.below(own, 0).chain(order.below(u64::MAX, 0)).find_map(alive);
    let behind = order.range(own..=u64::MAX).chain(order.range(0..=own)).find_map(alive);
    [before, behind].map(|index| index.unwrap_or(NIL))
}
