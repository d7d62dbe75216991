//! Probing: is the next member still there? (SWIM section 3.1 and 4.3, Lifeguard section IV.A)
//!
//! Every interval one member is pinged, in the order of a random permutation that is renewed after each
//! round, so nobody waits longer than two rounds. Without an ack in time, a few others are asked to ping it
//! for us; they send a nack if they are well and got no answer either, which tells a silent target from
//! our own deafness. A little later the target is tried over a stream, which also shows whether a process is there that
//! could answer (see `shared_lists/presence.rs`). Interval and timeout stretch with local health.
//!
//! With adaptive suspicion every other probe is a return of one that was received (see `return_probes`), which may
//! be under way beside one of our own choice.

use std::time::Duration;

use swimring_codec::{Incarnation, State};

use crate::protocol::detection::attempt::{Attempt, INDIRECT_CHECKS_MAX, Phase};
use crate::protocol::detection::probe_schedule::{NextProbe, ProbeSchedule};
use crate::protocol::detection::probe_sequence::{APPEAL_KIND, CHOSEN_KIND, KIND_BITS, RETURN_KIND};
use crate::protocol::detection::reachability::Reachability;
use crate::protocol::dissemination::spread_estimate::SpreadEstimate;
use crate::protocol::event::Event;
use crate::protocol::outbox::{StreamOpen, StreamPurpose};
use crate::protocol::shared_lists::presence::Presence;
use crate::protocol::state::local_health::LocalHealth;
use crate::protocol::state::{Context, Core, SharedState};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::wire::{Outgoing, Sender, Update};

/// Probes that may be under way at once: one of our own choice, and one that returns another's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Slot {
    Chosen,
    Return,
}

impl Slot {
    const ALL: [Slot; 2] = [Slot::Chosen, Slot::Return];
}

/// A probe that nobody answered, and that tells against its target.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct FailedProbe {
    attempt: Attempt,
    /// Local health before this probe: what the probe itself says of us is in how many nacks came.
    pub(in crate::protocol) health: LocalHealth,
}

impl FailedProbe {
    pub(in crate::protocol) fn target(&self) -> MemberIndex {
        self.attempt.target
    }

    /// Whether it says nothing new: a probe out of turn of a suspect whose process is there. Members in whose turn it is
    /// not would only hurry a suspicion that has Lifeguard's time.
    pub(in crate::protocol) fn only_repeats(&self, core: &Core) -> bool {
        let out_of_turn = self.attempt.sequence & KIND_BITS == RETURN_KIND;
        let suspect = core.table.get(self.attempt.target).state() == Some(State::Suspect);
        out_of_turn && suspect && self.attempt.presence == Presence::Silent
    }

    /// The incarnation that is accused.
    pub(in crate::protocol) fn incarnation(&self) -> Incarnation {
        self.attempt.incarnation
    }

    /// What the stream has shown.
    pub(in crate::protocol) fn presence(&self) -> Presence {
        self.attempt.presence
    }

    /// The relays that had no answer either.
    pub(in crate::protocol) fn nackers(&self) -> impl Iterator<Item = MemberIndex> + use<> {
        self.attempt.nackers()
    }
}

/// What an ack answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Acked {
    /// A probe under way, by the target itself.
    ByTarget {
        /// The target.
        target: MemberIndex,
        /// From when the probe was due, if the answer came before others were asked.
        rtt: Option<Duration>,
    },
    /// A probe under way, through a relay.
    ByRelay,
    /// Perhaps an appeal to the suspect at this index.
    Appeal(MemberIndex),
    /// No probe of ours: perhaps one that we relay.
    NoProbe,
}

/// The probes under way and the order of those to come.
#[derive(Debug)]
pub(in crate::protocol) struct Probe {
    /// By [`Slot`].
    attempts: [Attempt; 2],
    /// Sequence number of the last probe, without its kind.
    sequence: u32,
    schedule: ProbeSchedule,
}

impl Probe {
    /// Probes of own choice `chosen_interval` apart, from `now`.
    pub(in crate::protocol) fn new(
        chosen_interval: Duration,
        rng: &mut fastrand::Rng,
        shared: &SharedState,
        now: Time,
    ) -> Probe {
        let sequence = rng.u32(..);
        let schedule = ProbeSchedule::new(chosen_interval, rng, shared, now);
        Probe { attempts: [Attempt::IDLE; 2], sequence, schedule }
    }

    fn at(&mut self, slot: Slot) -> &mut Attempt {
        &mut self.attempts[slot as usize]
    }

    /// When to look next whether a probe of our own choice begins.
    #[inline]
    pub(in crate::protocol) fn next_due(&self) -> Time {
        self.schedule.due()
    }

    /// When a phase of a probe under way ends.
    #[inline]
    pub(in crate::protocol) fn phase_due(&self) -> Time {
        self.attempts[0].phase_ends.min(self.attempts[1].phase_ends)
    }

    /// When the probe in `slot` is over, if one is under way.
    pub(in crate::protocol) fn busy_until(&self, slot: Slot) -> Option<Time> {
        let attempt = &self.attempts[slot as usize];
        (!attempt.is_idle()).then_some(attempt.ends)
    }

    fn finish(&mut self, slot: Slot, now: Time) {
        self.at(slot).finish();
        if slot == Slot::Chosen {
            self.schedule.on_chosen_over(now);
        }
    }

    /// Waits `by` longer for the answers.
    pub(in crate::protocol) fn extend(&mut self, by: Duration) {
        for attempt in self.attempts.iter_mut().filter(|attempt| !attempt.is_idle()) {
            attempt.phase_ends = attempt.phase_ends + by;
            attempt.ends = attempt.ends + by;
        }
    }

    /// Drops the probes under way.
    pub(in crate::protocol) fn abandon(&mut self) {
        self.attempts.iter_mut().for_each(Attempt::finish);
    }

    /// The probe under way that `sequence` is of.
    fn find(&self, sequence: u32) -> Option<Slot> {
        let under_way = |slot: &Slot| {
            let attempt = &self.attempts[*slot as usize];
            !attempt.is_idle() && attempt.sequence == sequence
        };
        Slot::ALL.into_iter().find(under_way)
    }

    /// Takes the probes under way a step further, as is due. Gives one that failed, to be called again then.
    #[inline]
    pub(in crate::protocol) fn timeout(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        reachability: &mut Reachability,
    ) -> Option<FailedProbe> {
        if self.phase_due() > cx.judged { None } else { self.on_phase_due(core, cx, reachability) }
    }

    fn on_phase_due(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        reachability: &mut Reachability,
    ) -> Option<FailedProbe> {
        for slot in Slot::ALL {
            while !self.at(slot).is_idle() && self.at(slot).phase_ends <= cx.judged {
                let attempt = self.at(slot);
                match attempt.phase {
                    Phase::Direct => self.ask_others(core, cx, slot),
                    Phase::Indirect if core.settings.stream_fallback => self.try_stream(core, cx, slot),
                    _ if attempt.ends > cx.judged => attempt.phase_ends = attempt.ends,
                    _ if attempt.stream_answered => self.succeeded(core, cx, reachability, slot),
                    _ => {
                        let failed = self.failed(core, cx, slot);
                        if failed.is_some() {
                            return failed;
                        }
                    }
                }
            }
        }
        None
    }

    /// Whether it is time to look whether a probe of our own choice begins.
    #[inline]
    pub(in crate::protocol) fn is_next_due(&self, now: Time) -> bool {
        self.schedule.due() <= now
    }

    /// The next probe of our own choice, if one begins now.
    #[inline]
    pub(in crate::protocol) fn choose_next(
        &mut self,
        core: &mut Core,
        cx: &Context<'_, '_>,
    ) -> Option<NextProbe> {
        let busy = !self.at(Slot::Chosen).is_idle();
        self.schedule.choose(core, cx, busy)
    }

    /// Begins the probe that was chosen.
    pub(in crate::protocol) fn begin_next(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        next: &NextProbe,
    ) {
        if let Some(target) = next.target {
            self.begin(core, cx, Slot::Chosen, target, next.intended, next.ends);
        }
    }

    /// Begins a probe of `target` that returns its ping and has failed at `ends`.
    pub(in crate::protocol) fn begin_return(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        target: MemberIndex,
        ends: Time,
    ) {
        self.begin(core, cx, Slot::Return, target, cx.now, ends);
    }

    /// Pings `target`; the probe was due at `intended` and has failed at `ends`.
    fn begin(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        slot: Slot,
        target: MemberIndex,
        intended: Time,
        ends: Time,
    ) {
        let entry = core.table.get(target);
        let timeout = if cx.shared.behaviour.fixed_probe_timeout {
            core.settings.probe_timeout
        } else {
            core.health.scale(core.settings.probe_timeout, cx.shared.overload, core.health_max(cx))
        };
        let id = cx.shared.directory.id(target);
        self.sequence = self.sequence.wrapping_add(1) & !KIND_BITS;
        let kind = if slot == Slot::Return { RETURN_KIND } else { CHOSEN_KIND };
        let sequence = self.sequence | kind;
        *self.at(slot) = Attempt {
            phase: Phase::Direct,
            target,
            target_id: id,
            incarnation: entry.incarnation(),
            sequence,
            intended,
            phase_ends: cx.now + timeout,
            ends,
            ..Attempt::IDLE
        };
        let ping = Outgoing::Ping { sequence };
        cx.shared.counters.probes_sent += 1;
        let to = core.identity(target, cx.shared).address();
        if entry.state() == Some(State::Suspect) {
            // Lifeguard's buddy system: the suspect learns of it first, and can refute in its ack.
            let incarnation = entry.incarnation();
            let update = Update::Suspect { accuser: core.id };
            let suspect = Outgoing::Update { subject: target, update, incarnation };
            if cx.shared.behaviour.bare_pings_to_suspects {
                core.send_bare(cx, to, id, &[ping, suspect]);
            } else {
                core.send(cx, to, id, &[suspect, ping]);
            }
        } else {
            core.send(cx, to, id, &[ping]);
        }
    }

    /// Asks others to probe the target.
    fn ask_others(&mut self, core: &mut Core, cx: &mut Context<'_, '_>, slot: Slot) {
        let Attempt { target, target_id, sequence, .. } = *self.at(slot);
        cx.emit(Event::ProbeUnanswered { subject: target });
        let wanted = usize::from(core.settings.indirect_checks).min(INDIRECT_CHECKS_MAX);
        let mut relays = [0; INDIRECT_CHECKS_MAX];
        let mut asked = 0;
        while asked < wanted {
            let own = core.index;
            let relay = core.table.choose(&mut core.rng, |index, entry| {
                entry.is_alive() && index != own && index != target && !relays[..asked].contains(&index)
            });
            let Some(relay) = relay else { break };
            relays[asked] = relay;
            asked += 1;
            let id = cx.shared.directory.id(relay);
            let to = core.identity(relay, cx.shared).address();
            let message = Outgoing::IndirectPing { sequence, target: target_id };
            cx.shared.counters.indirect_pings_sent += 1;
            core.send(cx, to, id, &[message]);
        }
        let attempt = self.at(slot);
        (attempt.relays, attempt.relays_asked) = (relays, asked as u8);
        attempt.phase = Phase::Indirect;
        if cx.shared.behaviour.stream_at_once && core.settings.stream_fallback {
            return self.try_stream(core, cx, slot);
        }
        // The stream is tried half way: a lost datagram is nearly always made good by then, and a
        // connection for each would cost more than the probe.
        attempt.phase_ends = cx.now + attempt.ends.since(cx.now) / 2;
    }

    fn try_stream(&mut self, core: &Core, cx: &mut Context<'_, '_>, slot: Slot) {
        let attempt = self.at(slot);
        attempt.phase = Phase::Fallback;
        attempt.phase_ends = attempt.ends;
        if attempt.ends <= cx.now {
            return;
        }
        let Attempt { target, sequence, .. } = *attempt;
        cx.out.streams.push(StreamOpen {
            to: core.identity(target, cx.shared).address(),
            destination: cx.shared.directory.id(target),
            purpose: StreamPurpose::Probe { sequence, subject: target },
        });
    }

    /// Nobody answered. Nothing if that does not tell against the target.
    fn failed(&mut self, core: &mut Core, cx: &mut Context<'_, '_>, slot: Slot) -> Option<FailedProbe> {
        self.finish(slot, cx.now);
        let attempt = *self.at(slot);
        cx.shared.counters.probes_failed += 1;
        match attempt.presence {
            Presence::Unknown => {}
            Presence::Silent => cx.shared.counters.probes_silent += 1,
            Presence::Gone => cx.shared.counters.probes_refused += 1,
        }
        let doubt = if attempt.relays_asked == 0 { 1 } else { self.blame(core, slot) };
        let health = core.health;
        core.health.raise(doubt, core.health_max(cx));
        let entry = core.table.get(attempt.target);
        if !entry.is_live() || entry.incarnation() != attempt.incarnation {
            return None;
        }
        if self.proves_nothing(cx, slot, &attempt) {
            cx.shared.counters.probes_inconclusive += 1;
            return None;
        }
        Some(FailedProbe { attempt, health })
    }

    /// How many relays did not say in time that the target does not answer them. Who is dead cannot, and says nothing of
    /// us.
    fn blame(&mut self, core: &Core, slot: Slot) -> u8 {
        let attempt = self.at(slot);
        let asked = &attempt.relays[..usize::from(attempt.relays_asked)];
        for (nth, relay) in asked.iter().enumerate() {
            let silent = attempt.nacks & 1 << nth == 0 && core.table.get(*relay).is_live();
            attempt.blamed |= u8::from(silent) << nth;
        }
        attempt.blamed.count_ones() as u8
    }

    /// Others have declared `index` dead: if it was a relay whose nack we missed of late, that says nothing of us after
    /// all.
    pub(in crate::protocol) fn died(&mut self, core: &mut Core, index: MemberIndex) {
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.blamed != 0) {
            let asked = &attempt.relays[..usize::from(attempt.relays_asked)];
            if let Some(nth) = asked.iter().position(|relay| *relay == index)
                && attempt.blamed & 1 << nth != 0
            {
                attempt.blamed &= !(1 << nth);
                core.health.lower();
            }
        }
    }

    /// Whether an answer to `attempt`, which failed, may have been lost here. Then its target is asked again.
    fn proves_nothing(&mut self, cx: &Context<'_, '_>, slot: Slot, attempt: &Attempt) -> bool {
        if !cx.shared.doubted_since(attempt.intended) {
            return false;
        }
        if slot == Slot::Return {
            // Others, and our own round, see after it.
            return true;
        }
        self.schedule.repeat(attempt.target)
    }

    fn succeeded(
        &mut self,
        core: &mut Core,
        cx: &Context<'_, '_>,
        reachability: &mut Reachability,
        slot: Slot,
    ) {
        reachability.answered();
        self.finish(slot, cx.now);
        core.health.lower();
    }

    /// An ack arrived. Whom else it may be for, if it answers no probe under way, is for the caller to find out.
    #[inline]
    pub(in crate::protocol) fn on_ack(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        (reachability, spread): (&mut Reachability, &mut SpreadEstimate),
        origin: &Sender,
        sequence: u32,
    ) -> Acked {
        let Some(slot) = self.find(sequence) else {
            let appeal = sequence & KIND_BITS == APPEAL_KIND;
            return if appeal { Acked::Appeal(sequence & !KIND_BITS) } else { Acked::NoProbe };
        };
        let Attempt { target, intended, phase, .. } = *self.at(slot);
        let direct = core.is_from(cx, origin, target);
        let in_time = phase == Phase::Direct;
        let rtt = cx.now.since(intended);
        if direct {
            cx.shared.counters.probes_acked += 1;
            spread.answered(in_time, rtt);
            cx.emit(Event::ProbeAcked { subject: target, rtt });
        } else {
            cx.shared.counters.probes_acked_indirectly += 1;
            spread.missed();
        }
        self.succeeded(core, cx, reachability, slot);
        if direct { Acked::ByTarget { target, rtt: in_time.then_some(rtt) } } else { Acked::ByRelay }
    }

    /// A relay says that the target does not answer it either. If the probe was over by then, gives its target and the
    /// relay: where much lies unread a nack comes late like everything else.
    pub(in crate::protocol) fn on_nack(
        &mut self,
        core: &Core,
        cx: &Context<'_, '_>,
        origin: &Sender,
        sequence: u32,
    ) -> Option<(MemberIndex, MemberIndex)> {
        let attempt = self.attempts.iter_mut().find(|attempt| attempt.sequence == sequence)?;
        let asked = &attempt.relays[..usize::from(attempt.relays_asked)];
        let place = asked.iter().position(|index| core.is_from(cx, origin, *index))?;
        attempt.nacks |= 1 << place;
        attempt.is_idle().then_some((attempt.target, attempt.relays[place]))
    }

    /// A stream has shown what the target of the probe with this sequence is. False if none such is under way.
    pub(in crate::protocol) fn on_presence(&mut self, sequence: u32, presence: Presence) -> bool {
        let Some(slot) = self.find(sequence) else { return false };
        let attempt = self.at(slot);
        attempt.presence = attempt.presence.then(presence);
        true
    }

    /// The target answered over a stream. False if no probe with this sequence is under way.
    pub(in crate::protocol) fn on_stream_ack(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        (reachability, spread): (&mut Reachability, &mut SpreadEstimate),
        sequence: u32,
    ) -> bool {
        let Some(slot) = self.find(sequence) else { return false };
        cx.shared.counters.probes_acked_by_stream += 1;
        spread.missed();
        if cx.shared.behaviour.stream_at_once {
            self.at(slot).stream_answered = true;
        } else {
            self.succeeded(core, cx, reachability, slot);
        }
        true
    }
}
