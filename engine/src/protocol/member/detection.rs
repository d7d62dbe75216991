//! Detection, put together: what arrives goes to the concern that waits for it, and what one concern finds goes to the
//! others.

use std::time::Duration;

use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State};

use crate::protocol::detection::probe::{Acked, Slot};
use crate::protocol::detection::suspicion::Expired;
use crate::protocol::member::Member;
use crate::protocol::member::merge::Departing;
use crate::protocol::shared_lists::presence::Presence;
use crate::protocol::state::Context;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::entry::Entry;
use crate::protocol::wire::{IndirectRequest, Sender};

impl Member {
    pub(super) fn on_ack(&mut self, cx: &mut Context<'_, '_>, origin: &Sender, sequence: u32) {
        let measures = (&mut self.reachability, &mut self.spread_estimate);
        match self.probe.on_ack(&mut self.core, cx, measures, origin, sequence) {
            Acked::ByTarget { target, rtt } => {
                if let Some(rtt) = rtt {
                    self.assume_round_trip(cx, target, rtt);
                }
                self.view_repair.compare_roots(&mut self.core, cx, origin, &mut self.anti_entropy);
            }
            Acked::ByRelay => {}
            Acked::Appeal(subject) => self.suspicions.on_appeal_answered(&self.core, cx, origin, subject),
            Acked::NoProbe => {
                if !self.relays.on_ack(&mut self.core, cx, sequence) {
                    cx.shared.counters.acks_unexpected += 1;
                }
            }
        }
    }

    /// What a probe of `target` took stands for acknowledgements from its side: that of another zone would have what is lost within
    /// the own one wait as long as the way there and back.
    fn assume_round_trip(&mut self, cx: &Context<'_, '_>, target: MemberIndex, rtt: Duration) {
        let directory = &cx.shared.directory;
        if self.core.delegations.learns_from_probes(directory.zones().any()) {
            let zone = directory.identity(target, self.core.table.get(target).version()).zone();
            self.core.delegations.assume_round_trip(zone != self.core.zone, rtt);
        }
    }

    pub(super) fn on_nack(&mut self, cx: &mut Context<'_, '_>, origin: &Sender, sequence: u32) {
        if let Some((target, relay)) = self.probe.on_nack(&self.core, cx, origin, sequence) {
            self.suspicions.on_late_nack(cx, target, relay);
        }
    }

    /// `subject` has answered a ping over a stream: a probe under way, or else it lives although a probe has failed.
    pub(super) fn on_stream_ack(&mut self, cx: &mut Context<'_, '_>, sequence: u32, subject: MemberIndex) {
        if subject == self.core.index {
            return self.past_found(cx, None);
        }
        let measures = (&mut self.reachability, &mut self.spread_estimate);
        let expected = self.probe.on_stream_ack(&mut self.core, cx, measures, sequence);
        if !expected && !self.suspicions.withdraw(cx, subject) {
            cx.shared.counters.acks_unexpected += 1;
        }
    }

    /// A stream has shown what `subject`, which does not answer, is: for the probe under way, or for the
    /// suspicion that came of it.
    pub(super) fn on_presence(
        &mut self,
        cx: &mut Context<'_, '_>,
        (sequence, subject): (u32, MemberIndex),
        presence: Presence,
    ) {
        if subject == self.core.index {
            return self.past_found(cx, Some(presence));
        }
        if !self.probe.on_presence(sequence, presence) {
            self.suspicions.on_presence(cx, subject, presence);
        }
    }

    pub(super) fn on_indirect_ping(
        &mut self,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
        requested: u32,
        wanted: IndirectRequest,
    ) {
        self.relays.on_indirect_ping(&mut self.core, cx, origin, requested, wanted);
    }

    /// Takes the probes under way further, and begins the next of our own choice.
    pub(super) fn probe_timeout(&mut self, cx: &mut Context<'_, '_>) {
        while let Some(failed) = self.probe.timeout(&mut self.core, cx, &mut self.reachability) {
            let (target, own) = (failed.target(), self.core.id);
            if self.core.adaptive && failed.only_repeats(&self.core) {
                continue;
            }
            self.on_suspect(cx, target, failed.incarnation(), own);
            if self.core.adaptive {
                self.suspicions.begin_fast_path(&mut self.core, cx, &self.spread_estimate, &failed);
            }
        }
        if !self.probe.is_next_due(cx.now) {
            return;
        }
        if let Some(next) = self.probe.choose_next(&mut self.core, cx) {
            if next.new_round {
                self.reconnect.reap(&mut self.core, cx);
            }
            self.probe.begin_next(&mut self.core, cx, &next);
        }
    }

    /// Sees after our neighbours while many members die.
    pub(super) fn neighbours_timeout(&mut self, cx: &mut Context<'_, '_>) {
        if self.neighbours.due() > cx.now {
            return;
        }
        for index in self.neighbours.next(&self.core, cx) {
            let id = cx.shared.directory.id(index);
            self.return_probes.probe_at(cx, id, cx.now);
            cx.shared.counters.neighbours_probed += 1;
        }
    }

    /// Returns the pings that are due for it.
    #[inline]
    pub(super) fn return_probes_timeout(&mut self, cx: &mut Context<'_, '_>) {
        while self.return_probes.due() <= cx.now {
            let busy_until = self.probe.busy_until(Slot::Return);
            let Some((target, ends)) = self.return_probes.next(&self.core, cx, busy_until) else { return };
            self.probe.begin_return(&mut self.core, cx, target, ends);
        }
    }

    /// Declares dead the suspects that did not refute in time.
    pub(super) fn suspicion_timeout(&mut self, cx: &mut Context<'_, '_>) {
        while let Some(expired) = self.suspicions.next_expired(&mut self.core, cx) {
            match expired {
                Expired::Unconfirmed(subject) => {
                    let (id, spread) = (cx.shared.directory.id(subject), &self.spread_estimate);
                    if self.suspicions.is_to_be_probed(&mut self.core, cx, spread, subject)
                        && !self.return_probes.probe_at(cx, id, cx.now)
                    {
                        self.suspicions.check_soon(&mut self.core, cx, subject);
                    }
                }
                Expired::Unrefuted(suspicion) => {
                    let entry = self.core.table.get(suspicion.subject);
                    debug_assert_eq!(entry.state(), Some(State::Suspect));
                    let subject = (suspicion.subject, entry);
                    self.depart(cx, subject, suspicion.incarnation, Departing::Declared);
                }
            }
        }
    }

    /// Answers an accusation of ours at `accused`; `introduce` says everything again.
    pub(super) fn refute(&mut self, cx: &mut Context<'_, '_>, accused: Incarnation, introduce: bool) {
        let stated = self.apart.refutations.refute(&mut self.core, cx, accused, introduce);
        self.note_refutation(cx, stated);
    }

    /// What the member we join through says of us.
    pub(super) fn on_own_past(&mut self, cx: &mut Context<'_, '_>, record: &Introduction<'_>) {
        if !self.is_by_us(cx, record) {
            return;
        }
        self.meet_past(cx, record);
        let stated = self.apart.refutations.outrank_own_past(&mut self.core, cx, record);
        self.note_refutation(cx, stated);
    }

    fn note_refutation(&mut self, cx: &mut Context<'_, '_>, stated: Option<Incarnation>) {
        let Some(incarnation) = stated else { return };
        self.spread_estimate.told(incarnation.get(), cx.now);
        self.reachability.accused(&self.core, cx);
    }

    /// We were accused at an incarnation that is past.
    pub(super) fn reannounce(&mut self, cx: &mut Context<'_, '_>) {
        if self.leaves_past() {
            return;
        }
        if let Some(incarnation) = self.apart.refutations.reannounce(&mut self.core, cx) {
            self.spread_estimate.told(incarnation.get(), cx.now);
        }
    }

    /// An introduction of ourselves: an echo, our own past, or someone else who claims to be us.
    pub(super) fn on_own_introduction(&mut self, cx: &mut Context<'_, '_>, introduction: &Introduction<'_>) {
        if !self.is_by_us(cx, introduction) {
            return;
        }
        let judged = self.apart.refutations.judge(&mut self.core, cx, introduction);
        if judged.echo {
            self.spread_estimate.echoed(introduction.incarnation.get(), cx.now);
        }
        if judged.refute {
            self.refute(cx, introduction.incarnation, true);
        }
    }

    /// Begins to suspect the member at `index`.
    pub(super) fn suspect(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: (MemberIndex, Entry),
        incarnation: Incarnation,
        accuser: MemberId,
    ) {
        self.suspicions.begin(&mut self.core, cx, &self.spread_estimate, subject, incarnation, accuser);
    }
}
