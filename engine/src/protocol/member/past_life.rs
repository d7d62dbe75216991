//! A past life of ours at another address, on memberlist's wire.
//!
//! There a name belongs to the address that had it first: whoever is killed and starts again at another address is refused
//! until the others have declared its last life dead, and for a while afterwards (upstream's `DeadNodeReclaimTime`, with its
//! default for ever). Only whoever *left* may come back elsewhere at once. So a member that learns, from the view that it joins with,
//! that it is held alive where it is no more, says goodbye for its last life, in upstream's own words, and introduces itself
//! when that has spread. It has as long as nobody has declared it dead: from the dead nobody leaves.
//!
//! Another process may have the name by mistake, and must not be said to have left. So the last address is asked first, over a
//! stream: if anybody answers there, or takes the connection, the name is taken and nothing is said.

use std::time::Duration;

use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, is_same_place};

use crate::protocol::member::Member;
use crate::protocol::outbox::{StreamOpen, StreamPurpose};
use crate::protocol::shared_lists::presence::Presence;
use crate::protocol::state::{Context, Status};
use crate::protocol::time::Time;
use crate::protocol::wire::Update;

/// What is done about the last life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Its address is asked.
    Asking,
    /// Its goodbye is told.
    Leaving,
}

/// See the module.
#[derive(Debug)]
pub(super) struct PastLife {
    incarnation: Incarnation,
    step: Step,
    /// When the step is over.
    end: Time,
}

impl Member {
    /// The member that we join through holds us, alive, at the address in `record`.
    pub(super) fn meet_past(&mut self, cx: &mut Context<'_, '_>, record: &Introduction<'_>) {
        let own = self.core.identity(self.core.index, cx.shared).address();
        let kept = cx.shared.wire.rules.address_kept.is_some();
        if !kept || !record.state.is_live() || is_same_place(own, record.address) {
            return;
        }
        // Upstream leaves its past to the others.
        let leaves_it = cx.shared.behaviour.past_accusations_ignored || self.core.status != Status::Active;
        if leaves_it || self.apart.past.is_some() {
            return;
        }
        let end = cx.now + self.core.settings.probe_timeout * 2;
        let incarnation = record.incarnation;
        self.apart.past = Some(Box::new(PastLife { incarnation, step: Step::Asking, end }));
        self.note_apart();
        cx.out.streams.push(StreamOpen {
            to: record.address,
            destination: self.core.id,
            // Nobody else is probed as ourselves.
            purpose: StreamPurpose::Probe { sequence: 0, subject: self.core.index },
        });
    }

    /// The last address was asked, and is found to be as `presence` says; nothing if somebody answers there.
    pub(super) fn past_found(&mut self, cx: &mut Context<'_, '_>, presence: Option<Presence>) {
        let asking = self.apart.past.as_ref().is_some_and(|past| past.step == Step::Asking);
        match presence {
            _ if !asking => {}
            Some(Presence::Gone) => self.leave_past(cx),
            _ => self.forget_past(),
        }
    }

    /// Whether we are telling that our last life has left: what is told of that one is not answered meanwhile.
    pub(super) fn leaves_past(&self) -> bool {
        self.core.looks_apart && self.apart.past.as_ref().is_some_and(|past| past.step == Step::Leaving)
    }

    /// When there is something to do about the last life.
    #[inline]
    pub(super) fn past_due(&self) -> Time {
        let past = if self.core.looks_apart { self.apart.past.as_ref() } else { None };
        past.map_or(Time::NEVER, |past| past.end)
    }

    /// Does what is due about the last life.
    #[inline]
    pub(super) fn past_timeout(&mut self, cx: &mut Context<'_, '_>) {
        if self.past_due() > cx.now {
            return;
        }
        if !self.leaves_past() {
            // Neither accepted nor refused: the host is gone, and with it whoever was there.
            return self.leave_past(cx);
        }
        self.forget_past();
        let incarnation = self.core.table.get(self.core.index).incarnation();
        self.core.tell_update(cx, self.core.index, Update::Alive { introduce: true }, incarnation);
    }

    /// Says goodbye for the last life.
    fn leave_past(&mut self, cx: &mut Context<'_, '_>) {
        let spread = self.spread_time();
        let Some(past) = &mut self.apart.past else { return };
        (past.step, past.end) = (Step::Leaving, cx.now + spread);
        cx.shared.counters.past_lives_left += 1;
        self.core.tell_update(cx, self.core.index, Update::Left, past.incarnation);
    }

    fn forget_past(&mut self) {
        self.apart.past = None;
        self.note_apart();
    }

    /// How long gossip takes to reach all.
    fn spread_time(&self) -> Duration {
        let doublings = (self.core.table.known() + 1).ilog2();
        self.core.settings.gossip_interval * (4 + doublings)
    }
}
