//! Refutation: a member's answer to news about itself (SWIM section 4.2).
//!
//! Whoever is said to be suspect, dead or gone, or meets an incarnation of itself that it never had,
//! states that it is alive at the next higher incarnation. That is also how a restarted member overcomes
//! its own past, and what being accused says about our own health raises the local health score
//! (Lifeguard).

use std::time::Duration;

use swimring_codec::native::{Introduction, Message};
use swimring_codec::{Incarnation, State, is_same_place};

use crate::protocol::dissemination::queue::Update;
use crate::protocol::event::Event;
use crate::protocol::member::{Context, Member, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::wire::{MemberlistDialect, Wire};

/// Most refutations in [`WINDOW`]. Two processes with one name refute each other for ever; this keeps
/// their quarrel from filling the network. An accusation that is not answered now comes again.
const REFUTATIONS_MAX: u8 = 8;
const WINDOW: Duration = Duration::from_secs(1);

/// How often a member says that its name is claimed, and how often it tells others that theirs is: whoever claims
/// it says so to dozens, again and again.
const CONFLICT_EVERY: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Refutations {
    window_start: Time,
    in_window: u8,
    /// When we last said that our name is claimed, and when we last told another member that its is.
    conflict_said: Time,
    conflict_told: Time,
}

impl Refutations {
    pub(in crate::protocol) const NONE: Refutations = Refutations {
        window_start: Time::ZERO,
        in_window: 0,
        conflict_said: Time::NEVER,
        conflict_told: Time::NEVER,
    };

    fn admit(&mut self, now: Time) -> bool {
        if now.since(self.window_start) >= WINDOW {
            self.window_start = now;
            self.in_window = 0;
        }
        self.in_window = self.in_window.saturating_add(1);
        self.in_window <= REFUTATIONS_MAX
    }
}

/// Whether a claim may be told to the owner of a name. One of Serf's that hears of it has the pool vote, and ends
/// unless a majority of the answers is for it: where most members are ours, which do not answer, none may come.
fn has_no_votes(cx: &Context<'_, '_>) -> bool {
    matches!(&cx.commons.wire, Wire::Memberlist(wire) if wire.options.dialect == MemberlistDialect::Memberlist)
}

/// Whether `last` is long enough ago; then it becomes `now`.
fn is_time(last: &mut Time, now: Time) -> bool {
    let due = *last == Time::NEVER || now.since(*last) >= CONFLICT_EVERY;
    if due {
        *last = now;
    }
    due
}

impl Member {
    /// Answers an accusation at `accused`, by one step towards it if it is far above us. A member that
    /// gave in to a forged accusation at the highest incarnation would state what all others refuse as
    /// implausible, and so evict itself (hashicorp/memberlist#358). In steps the others can follow, even when they miss dozens,
    /// and whatever accusation they believe lies within one.
    pub(in crate::protocol) fn refute(
        &mut self,
        cx: &mut Context<'_, '_>,
        accused: Incarnation,
        introduce: bool,
    ) {
        let own = self.table.get(self.index).incarnation();
        let highest = Incarnation::new(own.get() + cx.commons.wire.incarnation_steps().own);
        if cx.commons.behaviour.refutes_everything {
            return self.refute_above(cx, accused, introduce);
        }
        cx.commons.counters.implausible_incarnation += u64::from(accused > highest);
        self.refute_above(cx, accused.min(highest), introduce);
    }

    /// States that we are alive, above `accused`. `introduce` says everything again, for those who may
    /// have forgotten us.
    fn refute_above(&mut self, cx: &mut Context<'_, '_>, accused: Incarnation, introduce: bool) {
        if self.status != Status::Active {
            return;
        }
        if !cx.commons.behaviour.refutes_everything && !self.refutations.admit(cx.now) {
            cx.commons.counters.refutations_deferred += 1;
            return;
        }
        cx.commons.counters.refutations += 1;
        self.health.raise(1, self.health_max(cx));
        let own = self.table.get(self.index);
        let highest = Incarnation::new(cx.commons.wire.incarnation_steps().highest);
        let incarnation = own.incarnation().max(accused).next().min(highest);
        self.set_entry(cx, self.index, own.with_state(State::Alive).with_incarnation(incarnation));
        self.queue_update(cx, self.index, Update::Alive { introduce }, incarnation);
        self.say_accused(cx);
    }

    /// Another member holds us suspect, dead or gone at an incarnation that is past: it has missed that we
    /// are alive. Says it again, so that it goes along with the ack. Otherwise two members that hold each
    /// other dead at past incarnations would each ignore what the other says, for ever.
    pub(in crate::protocol) fn reannounce(&mut self, cx: &mut Context<'_, '_>) {
        if cx.commons.behaviour.past_accusations_ignored {
            return;
        }
        let own = self.table.get(self.index);
        if self.status == Status::Active && !own.is_queued() && self.refutations.admit(cx.now) {
            cx.commons.counters.restatements += 1;
            self.queue_update(cx, self.index, Update::Alive { introduce: true }, own.incarnation());
        }
    }

    /// What the member we join through says of us. Here alone a past far above our present is believed:
    /// that of a member which comes back with its clock set back.
    pub(in crate::protocol) fn on_own_past(&mut self, cx: &mut Context<'_, '_>, record: &Introduction<'_>) {
        let own = self.table.get(self.index);
        if record.incarnation > own.incarnation() {
            self.refute_above(cx, record.incarnation, true);
        }
    }

    /// `introduction` claims the name of the live member at `index` for another address, and is refused by
    /// everyone, on memberlist's wire. So it does not spread, and its owner would never know: it is told.
    pub(in crate::protocol) fn tell_owner(
        &mut self,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
        introduction: &Introduction<'_>,
    ) {
        let may = self.status == Status::Active && has_no_votes(cx);
        if may && is_time(&mut self.refutations.conflict_told, cx.now) {
            cx.commons.counters.conflicts_told += 1;
            let to = self.identity(index, cx.commons).address();
            self.send(cx, to, introduction.subject, &[Message::Introduction(*introduction)]);
        }
    }

    /// An introduction of ourselves: an echo, our own past, or someone else who claims to be us.
    pub(in crate::protocol) fn on_own_introduction(
        &mut self,
        cx: &mut Context<'_, '_>,
        introduction: &Introduction<'_>,
    ) {
        let own = self.table.get(self.index);
        let identity = self.identity(self.index, cx.commons);
        let elsewhere = !is_same_place(identity.address(), introduction.address);
        let same = !elsewhere && identity.metadata() == introduction.metadata;
        let past = introduction.incarnation < own.incarnation();
        // On memberlist's wire a name belongs to the member that had it first, however low its incarnation. The
        // second is heard by nobody, and only it can say so; the first need not refute.
        let taken = elsewhere && !cx.commons.wire.is_native();
        if same {
            self.spread.echoed(introduction.incarnation.get(), cx.now);
        }
        if past && !taken || same && introduction.incarnation == own.incarnation() {
            return;
        }
        if elsewhere {
            cx.commons.counters.name_conflicts += 1;
            if is_time(&mut self.refutations.conflict_said, cx.now) {
                cx.emit(Event::NameConflict { address: introduction.address });
                if taken && has_no_votes(cx) {
                    // Whoever it is may not know of us.
                    let claim = Message::Alive { subject: self.id, incarnation: own.incarnation(), tag: 0 };
                    self.send(cx, introduction.address, self.id, &[claim]);
                }
            }
        }
        if taken {
            return;
        }
        self.refute(cx, introduction.incarnation, true);
    }
}

#[cfg(test)]
#[path = "refutation_test.rs"]
mod tests;
