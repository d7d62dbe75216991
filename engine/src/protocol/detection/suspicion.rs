//! How long a member that did not answer has to refute (SWIM section 4.2, Lifeguard IV.B).
//!
//! A suspicion starts with a long timeout ([`Settings::suspicion_timeouts`](crate::protocol::Settings::suspicion_timeouts), by the size of the
//! cluster). Each independent confirmation, a suspect message from someone who has not accused before, shortens it
//! along a logarithm, down to a minimum after K of them: one slow detector cannot have a member declared dead quickly,
//! several healthy ones can. The arithmetic of one suspicion is in [`crate::protocol::shared_lists::suspicions`].
//!
//! With adaptive suspicion a member whose own probe of the suspect failed may end its suspicion earlier: see `adaptive`.

use std::time::Duration;

use swimring_codec::{Incarnation, MemberId, State};

use crate::protocol::dissemination::spread_estimate::SpreadEstimate;
use crate::protocol::event::{Event, SuspicionSummary};
use crate::protocol::shared_lists::presence::Presence;
use crate::protocol::shared_lists::suspicion::{Due, Suspicion, confirmations_needed};
use crate::protocol::shared_lists::suspicions::{SuspicionList, SuspicionPool};
use crate::protocol::state::{Context, Core};
use crate::protocol::time::{Time, millis};
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::entry::Entry;
use crate::protocol::wire::Update;

/// With delegated broadcast: time between two accusers' declarations. More than it takes to tell everyone.
const ACCUSERS_APART: Duration = Duration::from_millis(500);

/// Most suspects that a member asks within a probe interval because another member's view says that they are dead. Who has
/// missed more asks the others afterwards.
const RECORDED_MAX: u8 = 64;

/// With delegated broadcast: how much longer than the accusers those wait that have only heard of it, at least and at
/// most. The first accuser's declaration ends their suspicion; were there no such time, everyone's timer would end at
/// once, for what everyone is about to be told. If all accusers are gone, the timers end one by one.
const OTHERS_LATER: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(6)];

/// One member's suspicions of others.
#[derive(Debug)]
pub(in crate::protocol) struct Suspicions {
    pub(super) list: SuspicionList,
    /// When something is first due.
    due: Time,
    /// Suspects that were asked since then because another member's view says that they are dead.
    asked: u8,
    asked_since_ms: u32,
}

/// What a suspicion asks of its holder.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) enum Expired {
    /// Nothing more was heard for long: the subject is to be probed out of turn.
    Unconfirmed(MemberIndex),
    /// The time to refute is over: the subject is dead.
    Unrefuted(Suspicion),
}

impl Suspicions {
    /// None yet, of the member with the number `owner`.
    pub(in crate::protocol) fn new(owner: u32) -> Suspicions {
        Suspicions { list: SuspicionList::new(owner), due: Time::NEVER, asked: 0, asked_since_ms: 0 }
    }

    /// When something is first due.
    #[inline]
    pub(in crate::protocol) fn due(&self) -> Time {
        self.due
    }

    pub(in crate::protocol) fn list(&self) -> &SuspicionList {
        &self.list
    }

    pub(in crate::protocol) fn len(&self) -> u32 {
        self.list.len()
    }

    pub(in crate::protocol) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Notes when something is first due, after a change.
    pub(super) fn reschedule(&mut self, pool: &SuspicionPool) {
        self.due = pool.due(&self.list);
    }

    /// Gives every suspect `by` longer to refute.
    pub(in crate::protocol) fn extend(&mut self, by: Duration, pool: &SuspicionPool) {
        self.list.extend(by);
        self.reschedule(pool);
    }

    /// Begins all suspicions anew at `now`: for a member that has not listened for a while.
    pub(in crate::protocol) fn restart(&mut self, now: Time, pool: &mut SuspicionPool) {
        pool.restart(&mut self.list, now);
        self.reschedule(pool);
    }

    /// Ends all suspicions.
    pub(in crate::protocol) fn clear(&mut self, pool: &mut SuspicionPool) {
        pool.clear(&mut self.list);
    }

    /// Begins to suspect `index`, whose entry is `entry`, and tells. If there are too many suspicions it stays alive.
    pub(in crate::protocol) fn begin(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        spread: &SpreadEstimate,
        (index, entry): (MemberIndex, Entry),
        incarnation: Incarnation,
        accuser: MemberId,
    ) {
        let members = core.table.known();
        let timeouts = core.settings.suspicion_timeouts(members);
        let needed = confirmations_needed(core.settings.suspicion_multiplier, members);
        let mut suspicion = Suspicion::new(cx.now, index, incarnation, accuser, timeouts, needed);
        if core.adaptive && accuser != core.id {
            suspicion = suspicion.checked_at(Suspicions::check_at(core, cx, spread));
        }
        if core.delegates(cx.shared) && accuser != core.id {
            let [least, most] = OTHERS_LATER;
            suspicion = suspicion.left_to_accusers(least + (most - least).mul_f64(core.rng.f64()));
        }
        if !cx.shared.suspicions.start(&mut self.list, suspicion) {
            cx.shared.counters.suspicions_shed += 1;
            core.set_entry(cx, index, entry.with_state(State::Alive));
            return;
        }
        self.reschedule(&cx.shared.suspicions);
        core.set_entry(cx, index, entry.with_state(State::Suspect).with_incarnation(incarnation));
        cx.shared.counters.suspicions_started += 1;
        if entry.is_alive() {
            cx.emit(Event::Suspected { subject: index, accuser });
        }
        if !(core.adaptive && accuser == core.id) {
            self.tell(core, cx, index, incarnation, accuser);
        }
    }

    /// Has everyone told of our own accusation, and those that are ours to tell of another's. With adaptive suspicion our
    /// own is told, or not yet, once we are a witness: see [`Suspicions::begin_fast_path`].
    pub(super) fn tell(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
        incarnation: Incarnation,
        accuser: MemberId,
    ) {
        let (update, ours) = (Update::Suspect { accuser }, accuser == core.id);
        if ours || cx.asked.is_some() {
            self.tell_on(cx, index, accuser);
        }
        if ours {
            if core.delegates(cx.shared) {
                cx.shared.suspicions.take_turn(&mut self.list, index, core.id, ACCUSERS_APART);
                self.reschedule(&cx.shared.suspicions);
                if let Some(first) = self.first_accuser(core, cx, index) {
                    return core.tell_one(cx, first, index, update, incarnation);
                }
            }
            core.tell_update(cx, index, update, incarnation);
        } else {
            core.retell_update(cx, index, update, incarnation);
        }
    }

    /// Who accused `index` before us, if it lives. With delegated broadcast the first accuser declares the death to
    /// all, so that it alone needs to hear of confirmations; everyone does once it is gone.
    pub(super) fn first_accuser(
        &self,
        core: &Core,
        cx: &Context<'_, '_>,
        index: MemberIndex,
    ) -> Option<MemberIndex> {
        let first = cx.shared.suspicions.first_accuser(&self.list, index)?;
        let first = cx.shared.directory.find(first).filter(|first| *first != core.index)?;
        core.table.get(first).is_alive().then_some(first)
    }

    /// Whether the accusation of `index` by `accuser` is still to be told on by us. Asked once.
    pub(in crate::protocol) fn tell_on(
        &self,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
        accuser: MemberId,
    ) -> bool {
        cx.shared.suspicions.tell_on(&self.list, index, accuser)
    }

    /// Whether `index` is suspected by ourselves too: our own probe failed.
    pub(in crate::protocol) fn are_ours(
        &self,
        core: &Core,
        cx: &Context<'_, '_>,
        index: MemberIndex,
    ) -> bool {
        cx.shared.suspicions.is_accused_by(&self.list, index, core.id)
    }

    /// `accuser` suspects `index` too. If that is new, it is told on.
    pub(in crate::protocol) fn confirm(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
        incarnation: Incarnation,
        accuser: MemberId,
    ) {
        if cx.shared.suspicions.confirm(&mut self.list, index, accuser) {
            self.reschedule(&cx.shared.suspicions);
            cx.shared.counters.suspicions_confirmed += 1;
            if !(core.adaptive && accuser == core.id) {
                self.tell(core, cx, index, incarnation, accuser);
            }
        }
    }

    /// Another member's view says that `index` is dead. With adaptive suspicion it is asked at once, as by a witness: what
    /// that member knows and we have missed nobody will tell us.
    pub(in crate::protocol) fn on_dead_record(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        spread: &SpreadEstimate,
        index: MemberIndex,
    ) {
        if core.adaptive && cx.shared.suspicions.record(&mut self.list, index) {
            self.ask_recorded(core, cx, spread, index);
        }
    }

    /// Asks `index`, which a record says is dead. If too many are being asked it is later.
    fn ask_recorded(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        spread: &SpreadEstimate,
        index: MemberIndex,
    ) {
        let now_ms = cx.now.as_millis_wrapping();
        if now_ms.wrapping_sub(self.asked_since_ms) >= millis(core.settings.probe_interval) {
            (self.asked_since_ms, self.asked) = (now_ms, 0);
        }
        if self.asked >= RECORDED_MAX {
            return self.check_soon(core, cx, index);
        }
        self.asked += 1;
        let (health, nobody) = (core.health, std::iter::empty());
        self.become_witness(core, cx, spread, (index, Presence::Unknown, health), nobody);
    }

    /// Nothing more was heard of `index` for long. Whether it is to be probed out of turn: it is asked otherwise if a
    /// record says that it is dead.
    pub(in crate::protocol) fn is_to_be_probed(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        spread: &SpreadEstimate,
        index: MemberIndex,
    ) -> bool {
        let recorded = cx.shared.suspicions.is_recorded(&self.list, index);
        if recorded {
            self.ask_recorded(core, cx, spread, index);
        }
        !recorded
    }

    /// A check of `index` had to wait: it is due within two intervals.
    pub(in crate::protocol) fn check_soon(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
    ) {
        let wait = core.settings.probe_interval.mul_f64(2.0 * core.rng.f64());
        cx.shared.suspicions.check_by(&mut self.list, index, cx.now + wait);
        self.reschedule(&cx.shared.suspicions);
    }

    /// Ends the suspicion of `index`, if there is one, and says how it went.
    pub(in crate::protocol) fn end(
        &mut self,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
    ) -> Option<SuspicionSummary> {
        let summary = cx.shared.suspicions.end(&mut self.list, index, cx.now);
        self.reschedule(&cx.shared.suspicions);
        summary
    }

    /// Appeals to suspects as is due, until one of the suspicions asks for more. To be called again until none does; an
    /// unrefuted suspicion has to be ended meanwhile.
    pub(in crate::protocol) fn next_expired(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
    ) -> Option<Expired> {
        while let Some(due) = cx.shared.suspicions.expired(&self.list, cx.judged) {
            match due {
                Due::Check(suspicion) => {
                    cx.shared.suspicions.checked(&mut self.list, suspicion.subject);
                    cx.shared.counters.suspicions_checked += 1;
                    return Some(Expired::Unconfirmed(suspicion.subject));
                }
                Due::Tell(Suspicion { subject, incarnation, .. }) => {
                    cx.shared.suspicions.told(&mut self.list, subject);
                    if self.tell_on(cx, subject, core.id) {
                        self.tell(core, cx, subject, incarnation, core.id);
                    }
                }
                Due::Appeal { suspicion, before, since } => {
                    self.appeal(core, cx, &suspicion, before, since + self.list.lost());
                }
                Due::Window { suspicion, appealed, since } => {
                    if appealed && core.listens(cx.now, since + self.list.lost()) {
                        cx.shared.counters.witnesses_declared += 1;
                        return Some(Expired::Unrefuted(suspicion));
                    }
                    let until = cx.now + core.settings.gossip_interval;
                    cx.shared.suspicions.postpone(&mut self.list, suspicion.subject, until);
                }
                Due::End(suspicion) if self.defer_expiry(core, cx, &suspicion) => {}
                Due::End(suspicion) => return Some(Expired::Unrefuted(suspicion)),
            }
        }
        self.reschedule(&cx.shared.suspicions);
        None
    }
}
