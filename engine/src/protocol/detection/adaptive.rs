//! Adaptive suspicion: a member that has seen for itself that another does not answer need not wait for long.
//!
//! Lifeguard's shortest timeout is a constant times log N, eight seconds for a hundred members, whatever the
//! network does. Most of it is there for members that only *heard* of a suspicion: they cannot tell a crash
//! from a slow accuser. A *witness* can: a member whose own probe failed, whose relays say that the
//! subject does not answer them either (their nacks are independent observations, and prove that the witness
//! itself hears), and that goes on asking. It declares when
//! - enough others agree: nacks and accusers count as confirmations on Lifeguard's logarithm, so with few of
//!   them the timeout stays long, as for everyone;
//! - the subject's host says that it is gone ([`crate::protocol::shared_lists::presence`]). One whose host still takes connections
//!   stands still, and has Lifeguard's time; one whose host says nothing has a longer window;
//! - its window is over, which [`crate::protocol::dissemination::spread_estimate`] sets from the measured spread and loss, stretched by local
//!   health;
//! - it has told the subject as often as the false-death bound asks, a suspect message and a ping in one datagram.
//!   A subject that lives answers with its refutation beside the ack; an ack alone ends being a witness;
//! - it listens: it has heard someone since its probe failed, and lately. If it heard nobody for a while, its window begins
//!   anew.
//!
//! The same doubt in its own ears puts off the end of every suspicion of a member that hears nobody, by at
//! most as long as a suspicion lasts; and once it hears again, a suspect of that time has as long to be heard as nobody was,
//! or Lifeguard's timeout if that is less: much of what was sent meanwhile is lost. Time that a member finds lost by its own clock, because its timers come late, counts as a stall.
//! Everyone else keeps Lifeguard's timeouts, and is told by the witness that declares. A member that hears neither that
//! nor a refutation for two to four windows probes the suspect once out of turn, and so refreshes its view or
//! becomes a witness itself; where news is delegated, which loses little, only a few members do so early.

use std::time::Duration;

use crate::protocol::detection::probe::FailedProbe;
use crate::protocol::detection::probe_sequence::appeal_sequence;
use crate::protocol::detection::suspicion::Suspicions;
use crate::protocol::dissemination::spread_estimate::SpreadEstimate;
use crate::protocol::outbox::{StreamOpen, StreamPurpose};
use crate::protocol::shared_lists::presence::Presence;
use crate::protocol::shared_lists::suspicion::Suspicion;
use crate::protocol::state::local_health::LocalHealth;
use crate::protocol::state::{Context, Core, SharedState};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::wire::{Outgoing, Sender, Update};

/// Appeals that a witness sends without having heard anyone since its probe failed.
const APPEALS_UNHEARD_MAX: u8 = 2;

/// Every so many appeals to a subject of which no stream has shown anything try it over a stream again: one may have met
/// lost packets, which a connection takes seconds to make good.
const APPEALS_PER_STREAM: u8 = 5;

/// With delegated broadcast: members of which one checks early on average, of all that have only heard of a suspicion.
/// Enough that with certainty one does when the accuser is gone, and few beside what they would ask of a member that
/// stands still.
const EARLY_CHECKS: f64 = 8.0;

impl Suspicions {
    /// A probe of ours has failed: of its target, which is suspected, we are a witness.
    pub(in crate::protocol) fn begin_fast_path(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        spread: &SpreadEstimate,
        failed: &FailedProbe,
    ) {
        let what = (failed.target(), failed.presence(), failed.health);
        if self.become_witness(core, cx, spread, what, failed.nackers()) {
            self.tell_own(core, cx, failed);
        }
    }

    /// We have seen for ourselves that `subject` does not answer, and as much of it as `presence` says, while our local health
    /// was `health` and `nackers` saw the same. False if it is not suspected.
    pub(super) fn become_witness(
        &mut self,
        core: &Core,
        cx: &mut Context<'_, '_>,
        spread: &SpreadEstimate,
        (subject, presence, health): (MemberIndex, Presence, LocalHealth),
        nackers: impl Iterator<Item = MemberIndex>,
    ) -> bool {
        let mut window = spread.window(&core.settings, core.table.known(), core.delegates(cx.shared));
        for length in [&mut window.length, &mut window.unknown_length] {
            *length = health.scale(*length, cx.shared.overload, core.settings.local_health_max);
        }
        let SharedState { directory, suspicions, .. } = &mut *cx.shared;
        let nackers = nackers.map(|relay| directory.id(relay));
        let witness = suspicions.witness(&mut self.list, subject, cx.now, (window, presence), nackers);
        cx.shared.counters.suspicions_witnessed += u64::from(witness);
        self.reschedule(&cx.shared.suspicions);
        witness
    }

    /// Has others told of our accusation, if it is new, or keeps it to ourselves for the time of our window: where the
    /// suspect's host says that it is gone its death is what there is to tell, and one broadcast does. Meanwhile the
    /// suspect is appealed to, and whoever else probes it sees for itself.
    fn tell_own(&mut self, core: &mut Core, cx: &mut Context<'_, '_>, failed: &FailedProbe) {
        let (subject, own) = (failed.target(), core.id);
        let alone = self.first_accuser(core, cx, subject).is_none();
        // A witness declares when it has heard somebody: for longer than this nobody is silent by chance.
        let longer = core.deaf_after();
        if alone
            && core.delegates(cx.shared)
            && cx.shared.suspicions.keep_quiet(&mut self.list, subject, longer)
        {
            return self.reschedule(&cx.shared.suspicions);
        }
        if self.tell_on(cx, subject, own) {
            self.tell(core, cx, subject, failed.incarnation(), own);
        }
    }

    /// Tells `suspicion`'s subject, and asks whether it is there. A member that hears nobody stops after the
    /// first times: the answers would only fill its receive buffer, ahead of what it has to read.
    pub(super) fn appeal(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        suspicion: &Suspicion,
        before: u8,
        since: Time,
    ) {
        let Suspicion { subject, incarnation, .. } = *suspicion;
        let mut sent = false;
        if before < APPEALS_UNHEARD_MAX || core.listens(cx.now, since) {
            let id = cx.shared.directory.id(subject);
            let update = Update::Suspect { accuser: core.id };
            let suspect = Outgoing::Update { subject, update, incarnation };
            let to = core.identity(subject, cx.shared).address();
            let shed = cx.shared.counters.frames_shed;
            match appeal_sequence(subject) {
                Some(sequence) => core.send(cx, to, id, &[suspect, Outgoing::Ping { sequence }]),
                None => core.send(cx, to, id, &[suspect]),
            }
            sent = cx.shared.counters.frames_shed == shed;
            if suspicion.is_quiet() {
                ask_anybody(core, cx, subject);
            }
            if suspicion.is_in_the_dark() && before % APPEALS_PER_STREAM == APPEALS_PER_STREAM - 1 {
                try_stream(core, cx, subject);
            }
        }
        cx.shared.counters.appeals_sent += u64::from(sent);
        let after = (core.settings.gossip_interval, core.settings.probe_interval * 2);
        cx.shared.suspicions.appealed(&mut self.list, subject, sent, cx.now, after);
    }

    /// A stream has shown what `subject` is, whose probe has failed.
    pub(in crate::protocol) fn on_presence(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberIndex,
        presence: Presence,
    ) {
        cx.shared.suspicions.found(&mut self.list, subject, presence);
        self.reschedule(&cx.shared.suspicions);
    }

    /// `relay` says that `subject` does not answer it either, after our probe has failed.
    pub(in crate::protocol) fn on_late_nack(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberIndex,
        relay: MemberIndex,
    ) {
        let relay = cx.shared.directory.id(relay);
        cx.shared.suspicions.nacked(&mut self.list, subject, relay);
        self.reschedule(&cx.shared.suspicions);
    }

    /// `subject` has answered: we are no witness any more. False if we were none.
    pub(in crate::protocol) fn withdraw(&mut self, cx: &mut Context<'_, '_>, subject: MemberIndex) -> bool {
        let withdrawn = cx.shared.suspicions.withdraw(&mut self.list, subject);
        cx.shared.counters.appeals_answered += u64::from(withdrawn);
        self.reschedule(&cx.shared.suspicions);
        withdrawn
    }

    /// An appeal to `subject` was acked. It lives; whether it refutes is seen in the same frame or
    /// in the next gossip, and meanwhile everyone's timeout holds.
    pub(in crate::protocol) fn on_appeal_answered(
        &mut self,
        core: &Core,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
        subject: MemberIndex,
    ) {
        let suspect = subject < core.table.len() && core.table.get(subject).is_live();
        if !suspect || !core.is_from(cx, origin, subject) {
            cx.shared.counters.acks_unexpected += 1;
            return;
        }
        self.withdraw(cx, subject);
    }

    /// When we see for ourselves what became of a suspicion that we heard of at `now`. Nearly always we have
    /// heard of a refutation or a declaration by then. Otherwise the accuser is gone, or its last word
    /// has missed us, and since that may be so for many at once, all take their time. Where news is delegated it misses
    /// hardly anybody, and most wait as long as the suspicion lasts anyway.
    pub(super) fn check_at(core: &mut Core, cx: &Context<'_, '_>, spread: &SpreadEstimate) -> Time {
        let (members, delegates) = (core.table.known(), core.delegates(cx.shared));
        let (shortest, _) = core.settings.suspicion_timeouts(members);
        let early = !delegates || core.rng.f64() * members as f64 <= EARLY_CHECKS;
        let at_least = match early {
            true => spread.window(&core.settings, members, delegates).length * 2,
            false => shortest,
        };
        cx.now + at_least.mul_f64(1.0 + core.rng.f64())
    }

    /// Whether `suspicion`, whose time is up, goes on: because we hear nobody, or lose what we are sent, and so hear no
    /// refutation either; or because we heard nobody for some time of it, and have not listened as long since.
    pub(super) fn defer_expiry(
        &mut self,
        core: &Core,
        cx: &mut Context<'_, '_>,
        suspicion: &Suspicion,
    ) -> bool {
        let (subject, more) = (suspicion.subject, core.deaf_after());
        let suspicions = &mut cx.shared.suspicions;
        if core.adaptive && !core.hears(cx.now) {
            return suspicions.put_off_deaf(&mut self.list, subject, core.heard, more);
        }
        if core.adaptive
            && suspicions.catches_up(
                &mut self.list,
                subject,
                cx.now,
                core.heard_again,
                Duration::from_millis(core.deaf_ms.into()),
            )
        {
            return true;
        }
        cx.shared.doubted_since(cx.now - more) && cx.shared.suspicions.put_off(&mut self.list, subject, more)
    }
}

/// Pings somebody other than `subject`. A witness that has told others of its accusation hears their acknowledgements; one that
/// keeps it to itself has to ask whether it hears.
fn ask_anybody(core: &mut Core, cx: &mut Context<'_, '_>, subject: MemberIndex) {
    let own = core.index;
    let somebody =
        core.table.choose(&mut core.rng, |index, entry| entry.is_alive() && index != own && index != subject);
    let Some(somebody) = somebody else { return };
    let Some(sequence) = appeal_sequence(somebody) else { return };
    let (to, id) = (core.identity(somebody, cx.shared).address(), cx.shared.directory.id(somebody));
    core.send(cx, to, id, &[Outgoing::Ping { sequence }]);
}

/// Tries `subject`, of which our probe has failed, over a stream once more.
fn try_stream(core: &Core, cx: &mut Context<'_, '_>, subject: MemberIndex) {
    let (Some(sequence), true) = (appeal_sequence(subject), core.settings.stream_fallback) else { return };
    cx.out.streams.push(StreamOpen {
        to: core.identity(subject, cx.shared).address(),
        destination: cx.shared.directory.id(subject),
        purpose: StreamPurpose::Probe { sequence, subject },
    });
}

impl Core {
    /// Whether a witness since `since` may declare: it hears others.
    pub(super) fn listens(&self, now: Time, since: Time) -> bool {
        self.heard > since && self.hears(now)
    }

    fn hears(&self, now: Time) -> bool {
        now.since(self.heard) <= self.deaf_after()
    }
}
