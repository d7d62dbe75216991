//! Refutation: a member's answer to news about itself (SWIM section 4.2).
//!
//! A member that hears that it is suspect, dead or gone, or meets an incarnation of itself that it never had,
//! states that it is alive at the next higher incarnation. That is also how a restarted member overcomes
//! its own past, and what being accused says about our own health raises the local health score
//! (Lifeguard).

use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, State, is_same_place};

use crate::protocol::event::Event;
use crate::protocol::state::{Context, Core, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::wire::{Outgoing, Update};

/// Most refutations in [`WINDOW`]. Two processes with one name refute each other for ever; this keeps
/// their quarrel from filling the network. An accusation that is not answered now comes again.
const REFUTATIONS_MAX: u8 = 8;
const WINDOW: Duration = Duration::from_secs(1);

/// How often a member says that its name is claimed, and how often it tells others that theirs is: a claimant
/// says so to dozens, again and again.
const CONFLICT_EVERY: Duration = Duration::from_secs(10);

/// How far a new life's first incarnation lies above what was known of the last one, at least: seconds from start to start.
/// Less may be changes of one life that came together.
const LIFE_STEP: u64 = 4;

/// Seconds by which the clocks of two machines may differ, and which news may take, for a new life to be known for one.
const CLOCKS_APART: u64 = 30;

/// Whole seconds since the driver's origin.
const fn seconds(now: Time) -> i64 {
    (now.as_micros() / 1_000_000) as i64
}

/// When something was last said, in four bytes: milliseconds, or zero for never. Once in weeks it is not said again for
/// [`CONFLICT_EVERY`].
#[derive(Clone, Copy, Debug)]
struct Said(u32);

impl Said {
    const NEVER: Said = Said(0);

    /// Whether that is long enough ago; then it is `now`.
    fn is_time(&mut self, now: Time) -> bool {
        let now = now.as_millis_wrapping().max(1);
        let due = self.0 == 0 || Duration::from_millis(now.wrapping_sub(self.0).into()) >= CONFLICT_EVERY;
        if due {
            self.0 = now;
        }
        due
    }
}

#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Refutations {
    window_start: Time,
    in_window: u8,
    /// When we last said that our name is claimed, and when we last told another member that its is.
    conflict_said: Said,
    conflict_told: Said,
    /// The incarnation at which a life would have begun at the driver's origin: what the clock shows by which lives begin.
    clock: i64,
}

impl Refutations {
    /// None yet, of a member that begins at `now` with the incarnation `first`.
    pub(in crate::protocol) const fn new(now: Time, first: Incarnation) -> Refutations {
        Refutations {
            window_start: Time::ZERO,
            in_window: 0,
            conflict_said: Said::NEVER,
            conflict_told: Said::NEVER,
            clock: first.get() as i64 - seconds(now),
        }
    }

    /// Whether a live member that was known at the incarnation `old` and states `new` has started anew: a life begins at
    /// what the clock shows, and goes on by one for each refutation and change.
    pub(in crate::protocol) fn is_new_life(&self, now: Time, old: Incarnation, new: Incarnation) -> bool {
        let clock = self.clock + seconds(now);
        let began = new.get() >= old.get().saturating_add(LIFE_STEP);
        began && (new.get() as i64).abs_diff(clock) <= CLOCKS_APART
    }

    /// Answers an accusation at `accused`, by one step towards it if it is far above us. A member that
    /// gave in to a forged accusation at the highest incarnation would state what all others refuse as
    /// implausible, and so evict itself (hashicorp/memberlist#358). In steps the others can follow, even when they miss
    /// dozens, and whatever accusation they believe lies within one. Gives the incarnation that we state, if we do.
    pub(in crate::protocol) fn refute(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        accused: Incarnation,
        introduce: bool,
    ) -> Option<Incarnation> {
        let own = core.table.get(core.index).incarnation();
        let highest = Incarnation::new(own.get() + cx.shared.wire.rules.incarnations.own);
        if cx.shared.behaviour.refutes_everything {
            return self.refute_above(core, cx, accused, introduce);
        }
        cx.shared.counters.implausible_incarnation += u64::from(accused > highest);
        self.refute_above(core, cx, accused.min(highest), introduce)
    }

    /// States that we are alive, above `accused`. `introduce` says everything again, for those who may
    /// have forgotten us.
    fn refute_above(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        accused: Incarnation,
        introduce: bool,
    ) -> Option<Incarnation> {
        if core.status != Status::Active {
            return None;
        }
        if !cx.shared.behaviour.refutes_everything && !self.admit(cx.now) {
            cx.shared.counters.refutations_deferred += 1;
            return None;
        }
        cx.shared.counters.refutations += 1;
        core.health.raise(1, core.health_max(cx));
        let own = core.table.get(core.index);
        let highest = Incarnation::new(cx.shared.wire.rules.incarnations.highest);
        let incarnation = own.incarnation().max(accused).next().min(highest);
        core.set_entry(cx, core.index, own.with_state(State::Alive).with_incarnation(incarnation));
        core.tell_update(cx, core.index, Update::Alive { introduce }, incarnation);
        core.delegations.hurry(cx.now);
        core.tell_unlisted_accuser(cx, incarnation);
        Some(incarnation)
    }

    /// Another member holds us suspect, dead or gone at an incarnation that is past: it has missed that we
    /// are alive. Says it again, so that it goes along with the ack. Otherwise two members that hold each
    /// other dead at past incarnations would each ignore what the other says, for ever. Gives the incarnation that we
    /// state, if we do.
    pub(in crate::protocol) fn reannounce(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
    ) -> Option<Incarnation> {
        if cx.shared.behaviour.past_accusations_ignored {
            return None;
        }
        let own = core.table.get(core.index);
        if core.status != Status::Active || own.is_queued() || !self.admit(cx.now) {
            return None;
        }
        cx.shared.counters.restatements += 1;
        core.repeat_own(cx, own.incarnation());
        Some(own.incarnation())
    }

    /// What the member we join through says of us. Here alone a past far above our present is believed:
    /// that of a member which comes back with its clock set back. Gives the incarnation that we state, if we do.
    pub(in crate::protocol) fn outrank_own_past(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        record: &Introduction<'_>,
    ) -> Option<Incarnation> {
        let own = core.table.get(core.index);
        if record.incarnation > own.incarnation() {
            return self.refute_above(core, cx, record.incarnation, true);
        }
        None
    }

    /// `introduction` claims the name of the live member at `index` for another address, and is refused by
    /// everyone, on memberlist's wire. So it does not spread, and its owner would never know: it is told.
    pub(in crate::protocol) fn tell_owner(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
        introduction: &Introduction<'_>,
    ) {
        let may = core.status == Status::Active && cx.shared.wire.rules.owners_told;
        if may && self.conflict_told.is_time(cx.now) {
            cx.shared.counters.conflicts_told += 1;
            let to = core.identity(index, cx.shared).address();
            core.send(cx, to, introduction.subject, &[Outgoing::Claim(introduction)]);
        }
    }

    /// What an introduction of ourselves is: an echo, our own past, or someone else who claims to be us, which is
    /// said.
    pub(in crate::protocol) fn judge(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        introduction: &Introduction<'_>,
    ) -> OwnIntroduction {
        let own = core.table.get(core.index);
        let identity = core.identity(core.index, cx.shared);
        let elsewhere = !is_same_place(identity.address(), introduction.address);
        let same = !elsewhere
            && identity.metadata() == introduction.metadata
            && cx.shared.directory.zone_name(identity) == introduction.zone;
        let past = introduction.incarnation < own.incarnation();
        // On memberlist's wire a name belongs to the member that had it first, however low its incarnation. The
        // second is heard by nobody, and only it can say so; the first need not refute.
        let taken = elsewhere && cx.shared.wire.rules.address_kept.is_some();
        if past && !taken || same && introduction.incarnation == own.incarnation() {
            return OwnIntroduction { echo: same, refute: false };
        }
        if elsewhere {
            cx.shared.counters.name_conflicts += 1;
            let said = self.say_conflict(cx, introduction.address);
            if said && taken && cx.shared.wire.rules.owners_told {
                // The claimant may not know of us.
                let update = Update::Alive { introduce: true };
                let incarnation = own.incarnation();
                let claim = Outgoing::Update { subject: core.index, update, incarnation };
                core.send(cx, introduction.address, core.id, &[claim]);
            }
        }
        OwnIntroduction { echo: same, refute: !taken }
    }

    /// Tells the driver that a member at `address` claims our name, if it is time to say so. Whether it is.
    pub(in crate::protocol) fn say_conflict(
        &mut self,
        cx: &mut Context<'_, '_>,
        address: SocketAddr,
    ) -> bool {
        let due = self.conflict_said.is_time(cx.now);
        if due {
            cx.emit(Event::NameConflict { address });
        }
        due
    }

    fn admit(&mut self, now: Time) -> bool {
        if now.since(self.window_start) >= WINDOW {
            self.window_start = now;
            self.in_window = 0;
        }
        self.in_window = self.in_window.saturating_add(1);
        self.in_window <= REFUTATIONS_MAX
    }
}

/// What an introduction of ourselves is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct OwnIntroduction {
    /// What we have told of ourselves has come back.
    pub(in crate::protocol) echo: bool,
    /// It is to be refuted.
    pub(in crate::protocol) refute: bool,
}
