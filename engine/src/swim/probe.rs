//! Probing: is the next member still there? (SWIM section 3.1 and 4.3, Lifeguard section IV.A)
//!
//! Every interval one member is pinged, in the order of a random permutation that is renewed after each
//! round, so nobody waits longer than two rounds. Without an ack in time, a few others are asked to ping it
//! for us; they send a nack if they are well and got no answer either, which tells a silent target from
//! our own deafness. A little later the target is tried over a stream. Interval and timeout stretch with
//! local health.

use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::native::Message;
use swimring_codec::{Incarnation, MemberId, State};

use super::commons::Commons;
use super::directory::MemberIndex;
use super::event::Event;
use super::member::{Context, Member, Status};
use super::outbox::{Purpose, StreamOpen};
use super::permutation::Permutation;
use super::relay::RELAY_BIT;
use super::settings::Settings;
use super::table::Standing;
use super::time::Time;
use super::wire::Origin;

/// Most members asked to probe in our place: the setting's upper bound.
const INDIRECT_CHECKS_MAX: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nobody is being probed.
    Idle,
    /// Waiting for the target's own ack.
    Direct,
    /// Others have been asked.
    Indirect,
    /// The target is also being tried over a stream.
    Fallback,
}

/// The probe under way and the order of those to come.
#[derive(Debug)]
pub(super) struct Probe {
    phase: Phase,
    target: MemberIndex,
    /// The target's id, so that its ack can be told without the directory.
    target_id: MemberId,
    /// The incarnation that is accused if nobody answers.
    incarnation: Incarnation,
    sequence: u32,
    /// When the probe was due to begin.
    intended: Time,
    /// When the current phase ends.
    phase_ends: Time,
    /// When the probe has failed.
    ends: Time,
    /// When the next probe begins.
    next: Time,
    /// Who was asked, and whose nack has come.
    relays: [MemberIndex; INDIRECT_CHECKS_MAX],
    relays_asked: u8,
    nacks: u8,
    order: Permutation,
    position: u32,
}

impl Probe {
    pub(super) fn new(settings: &Settings, rng: &mut fastrand::Rng, commons: &Commons, now: Time) -> Probe {
        Probe {
            phase: Phase::Idle,
            target: 0,
            target_id: MemberId::NONE,
            incarnation: Incarnation::ZERO,
            sequence: rng.u32(..),
            intended: now,
            phase_ends: Time::NEVER,
            ends: Time::NEVER,
            // Staggered, so that members that start together do not probe in step.
            next: commons.stagger(now, settings.probe_interval, rng),
            relays: [0; INDIRECT_CHECKS_MAX],
            relays_asked: 0,
            nacks: 0,
            order: Permutation::new(0, 0),
            position: 0,
        }
    }

    #[inline]
    pub(super) fn due(&self) -> Time {
        self.next.min(self.phase_ends)
    }

    /// Waits `by` longer for whoever is being probed.
    pub(super) fn extend(&mut self, by: Duration) {
        if self.phase != Phase::Idle {
            self.phase_ends = self.phase_ends + by;
            self.ends = self.ends + by;
        }
    }

    /// Drops the probe under way.
    pub(super) fn abandon(&mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.phase = Phase::Idle;
        self.phase_ends = Time::NEVER;
    }
}

impl Member {
    pub(super) fn probe_timeout(&mut self, cx: &mut Context<'_, '_>) {
        while self.probe.phase != Phase::Idle && self.probe.phase_ends <= cx.now {
            match self.probe.phase {
                Phase::Direct => self.probe_indirectly(cx),
                Phase::Indirect if self.settings.stream_fallback => self.probe_by_stream(cx),
                _ if self.probe.ends > cx.now => self.probe.phase_ends = self.probe.ends,
                _ => self.probe_failed(cx),
            }
        }
        if self.probe.next <= cx.now {
            self.probe_next(cx);
        }
    }

    /// Begins the next probe.
    fn probe_next(&mut self, cx: &mut Context<'_, '_>) {
        let highest = self.settings.local_health_max;
        let overload = cx.commons.overload;
        let interval = self.health.scale(self.settings.probe_interval, overload, highest);
        let intended = self.probe.next;
        let late = cx.now.since(intended);
        if late >= interval {
            // A driver that lost time does not catch up, and members keep out of step with each other: the
            // next probe is at the next point of the member's own grid.
            let missed = (late.as_micros() / interval.as_micros()) as u32;
            self.probe.next = intended + interval * (missed + 1);
            return;
        }
        self.probe.next = intended + interval;
        if self.probe.phase != Phase::Idle || self.status != Status::Active {
            return;
        }
        let Some(target) = self.next_target(cx) else { return };
        let entry = self.table.get(target);
        let timeout = self.health.scale(self.settings.probe_timeout, overload, highest);
        let id = cx.commons.directory.id(target);
        let probe = &mut self.probe;
        probe.phase = Phase::Direct;
        probe.target = target;
        probe.target_id = id;
        probe.incarnation = entry.incarnation();
        probe.sequence = probe.sequence.wrapping_add(1) & !RELAY_BIT;
        probe.intended = intended;
        probe.phase_ends = cx.now + timeout;
        // When the next begins, so that a driver that is late by a little does not skip that one.
        probe.ends = probe.next;
        probe.relays_asked = 0;
        probe.nacks = 0;
        let ping = Message::Ping { sequence: probe.sequence };
        cx.commons.counters.probes_sent += 1;
        let to = self.identity(target, cx.commons).address();
        if entry.state() == Some(State::Suspect) {
            // Lifeguard's buddy system: the suspect learns of it first, and can refute in its ack.
            let incarnation = entry.incarnation();
            let suspect = Message::Suspect { subject: id, incarnation, accuser: self.id };
            self.send(cx, to, id, &[suspect, ping]);
        } else {
            self.send(cx, to, id, &[ping]);
        }
    }

    /// The next live member in the round's order.
    fn next_target(&mut self, cx: &mut Context<'_, '_>) -> Option<MemberIndex> {
        // At most one round: the rest of this one, and the beginning of the next.
        for _ in 0..=self.table.len() {
            if self.probe.position >= self.probe.order.len() {
                self.probe.order = Permutation::new(self.rng.u64(..), self.table.len());
                self.probe.position = 0;
                self.reap(cx);
            }
            let target = self.probe.order.at(self.probe.position);
            self.probe.position += 1;
            if target != self.index && self.table.get(target).is_live() {
                return Some(target);
            }
        }
        None
    }

    /// Asks others to probe the target.
    fn probe_indirectly(&mut self, cx: &mut Context<'_, '_>) {
        let target = self.probe.target;
        cx.emit(Event::ProbeUnanswered { subject: target });
        let wanted = usize::from(self.settings.indirect_checks).min(INDIRECT_CHECKS_MAX);
        let target_id = self.probe.target_id;
        for _ in 0..wanted {
            let asked = usize::from(self.probe.relays_asked);
            let (own, relays) = (self.index, self.probe.relays);
            let relay = self.table.choose(&mut self.rng, |index, entry| {
                entry.is_alive() && index != own && index != target && !relays[..asked].contains(&index)
            });
            let Some(relay) = relay else { break };
            self.probe.relays[asked] = relay;
            self.probe.relays_asked += 1;
            let id = cx.commons.directory.id(relay);
            let to = self.identity(relay, cx.commons).address();
            let message = Message::IndirectPing { sequence: self.probe.sequence, target: target_id };
            cx.commons.counters.indirect_pings_sent += 1;
            self.send(cx, to, id, &[message]);
        }
        let probe = &mut self.probe;
        probe.phase = Phase::Indirect;
        // The stream is tried half way: a lost datagram is nearly always made good by then, and a
        // connection for each would cost more than the probe.
        probe.phase_ends = cx.now + probe.ends.since(cx.now) / 2;
    }

    fn probe_by_stream(&mut self, cx: &mut Context<'_, '_>) {
        self.probe.phase = Phase::Fallback;
        self.probe.phase_ends = self.probe.ends;
        if self.probe.ends <= cx.now {
            return;
        }
        let target = self.probe.target;
        cx.out.streams.push(StreamOpen {
            to: self.identity(target, cx.commons).address(),
            destination: cx.commons.directory.id(target),
            purpose: Purpose::Probe { sequence: self.probe.sequence },
        });
    }

    /// Nobody answered.
    fn probe_failed(&mut self, cx: &mut Context<'_, '_>) {
        let probe = &mut self.probe;
        probe.finish();
        cx.commons.counters.probes_failed += 1;
        let missed = probe.relays_asked - probe.nacks.count_ones() as u8;
        let doubt = if probe.relays_asked == 0 { 1 } else { missed };
        self.health.raise(doubt, self.settings.local_health_max);
        let entry = self.table.get(probe.target);
        let (target, incarnation) = (probe.target, probe.incarnation);
        if !entry.is_live() || entry.incarnation() != incarnation {
            return;
        }
        let id = cx.commons.directory.id(target);
        self.on_suspect(cx, id, incarnation, self.id);
    }

    fn probe_succeeded(&mut self) {
        self.probe.finish();
        self.health.lower();
    }

    pub(super) fn on_ack(&mut self, cx: &mut Context<'_, '_>, origin: &Origin, sequence: u32) {
        if self.probe.phase == Phase::Idle || sequence != self.probe.sequence {
            if !self.relay_ack(cx, sequence) {
                cx.commons.counters.acks_unexpected += 1;
            }
            return;
        }
        if self.is_from(cx, origin, self.probe.target) {
            cx.commons.counters.probes_acked += 1;
            let rtt = cx.now.since(self.probe.intended);
            cx.emit(Event::ProbeAcked { subject: self.probe.target, rtt });
            self.compare_roots(cx, origin);
        } else {
            cx.commons.counters.probes_acked_indirectly += 1;
        }
        self.probe_succeeded();
    }

    pub(super) fn on_nack(&mut self, cx: &mut Context<'_, '_>, origin: &Origin, sequence: u32) {
        if self.probe.phase == Phase::Idle || sequence != self.probe.sequence {
            return;
        }
        let asked = &self.probe.relays[..usize::from(self.probe.relays_asked)];
        let relay = asked.iter().position(|index| self.is_from(cx, origin, *index));
        if let Some(relay) = relay {
            self.probe.nacks |= 1 << relay;
        }
    }

    /// The target answered over a stream.
    pub(super) fn on_stream_ack(&mut self, cx: &mut Context<'_, '_>, sequence: u32) {
        if self.probe.phase == Phase::Idle || sequence != self.probe.sequence {
            cx.commons.counters.acks_unexpected += 1;
            return;
        }
        cx.commons.counters.probes_acked_by_stream += 1;
        self.probe_succeeded();
    }

    /// Answers a ping. Whoever pings us although we take it for suspect, dead or gone is told so, and can
    /// refute.
    pub(super) fn on_ping(&mut self, cx: &mut Context<'_, '_>, origin: &Origin, sequence: u32) {
        let (to, source, ack) = (origin.address, origin.source, Message::Ack { sequence });
        match self.accusation(cx, origin) {
            Some(accusation) => self.send(cx, to, source, &[ack, accusation]),
            None => self.send(cx, to, source, &[ack]),
        }
    }

    /// Whether a message came from the member at `index` itself: by its id where the format names the
    /// sender, else by its address.
    fn is_from(&self, cx: &Context<'_, '_>, origin: &Origin, index: MemberIndex) -> bool {
        if !origin.source.is_none() {
            return origin.source == cx.commons.directory.id(index);
        }
        same_address(origin.address, self.identity(index, cx.commons).address())
    }

    /// What the sender of a frame has to be told about itself.
    fn accusation(&self, cx: &Context<'_, '_>, origin: &Origin) -> Option<Message<'static>> {
        // The sender is live in its own view. Where our roots agree it is live in ours, and without looking
        // it up, which in a fleet waits for memory, only a suspicion could be missed.
        if origin.root == Some(self.table.root()) && self.suspicions.is_empty() {
            return None;
        }
        let source = origin.source;
        cx.commons.directory.find(source).and_then(|index| {
            let entry = self.table.get(index);
            let incarnation = entry.incarnation();
            match entry.standing() {
                Standing::Unknown | Standing::Known(State::Alive) => None,
                Standing::Known(State::Suspect) => {
                    Some(Message::Suspect { subject: source, incarnation, accuser: self.id })
                }
                Standing::Known(State::Left) => Some(Message::Left { subject: source, incarnation }),
                Standing::Known(State::Dead) | Standing::Remembered => {
                    Some(Message::Dead { subject: source, incarnation })
                }
            }
        })
    }
}

/// An IPv4 address and its IPv4-mapped form are one place.
fn same_address(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use swimring_codec::native::{FRAME_MAX, Frame, FrameHeader, FrameWriter};

    use super::super::{FrameSink, MemberConfig, Outbox, Preset, View};
    use super::*;

    /// Keeps the last frame.
    #[derive(Default)]
    struct Last(Vec<u8>);

    impl FrameSink for Last {
        fn reserve(&mut self, _to: SocketAddr, len: usize) -> Option<&mut [u8]> {
            self.0 = vec![0; len];
            Some(&mut self.0)
        }
    }

    /// Two members that know each other, and what they share.
    fn pair() -> (Member, Member, Commons) {
        let mut commons = Commons::new(1);
        let settings = Arc::new(Settings::preset(Preset::Lan));
        let mut member = |name: &str| {
            let config = MemberConfig {
                name: name.to_owned(),
                address: SocketAddr::from(([127, 0, 0, 1], 1)),
                metadata: Vec::new(),
                cluster: 1,
                incarnation: Incarnation::new(7),
                seed: 1,
                settings: Arc::clone(&settings),
            };
            Member::new(config, &mut commons, Time::ZERO).unwrap()
        };
        let (mut one, mut other) = (member("one"), member("other"));
        let view = View::of([&one, &other], &mut commons);
        one.load(&view, &mut commons);
        other.load(&view, &mut commons);
        view.release(&mut commons);
        (one, other, commons)
    }

    /// What `member` answers to a frame with `message` from `source`, whose root is `root`.
    fn answer(
        member: &mut Member,
        commons: &mut Commons,
        source: MemberId,
        root: u64,
        message: Message<'_>,
    ) -> Vec<u8> {
        let header = FrameHeader { cluster: 1, source, destination: member.id(), root, quiet: true };
        let mut bytes = [0; FRAME_MAX];
        let mut writer = FrameWriter::new(header, &mut bytes).unwrap();
        assert!(writer.push(&message));
        let used = writer.finish();
        let mut last = Last::default();
        let (streams, events) = (&mut Vec::new(), &mut Vec::new());
        let mut out = Outbox { frames: &mut last, streams, events, gossip_budget: &mut 0 };
        let frame = Frame::decode(&bytes[..used]).unwrap();
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        member.handle_frame(Time::from_micros(1), from, &frame, commons, &mut out);
        last.0
    }

    /// How often the answer to a ping says `message` beside its ack.
    fn says(answer: &[u8], message: Message<'_>) -> usize {
        let said: Vec<_> = Frame::decode(answer).unwrap().messages().map(Result::unwrap).collect();
        assert_eq!(said[0], Message::Ack { sequence: 5 });
        said[1..].iter().filter(|said| **said == message).count()
    }

    #[test]
    fn whoever_pings_learns_that_it_is_suspected_or_dead() {
        let (mut one, other, mut commons) = pair();
        let (subject, incarnation) = (other.id(), Incarnation::new(7));
        let ping = Message::Ping { sequence: 5 };
        let suspect = Message::Suspect { subject, incarnation, accuser: one.id() };
        let dead = Message::Dead { subject, incarnation };
        let calm = answer(&mut one, &mut commons, subject, other.root(), ping);
        assert_eq!((says(&calm, suspect), says(&calm, dead)), (0, 0));
        let accuser = MemberId(9);
        answer(&mut one, &mut commons, subject, 0, Message::Suspect { subject, incarnation, accuser });
        // A suspect is still live: the roots agree, and it is told all the same.
        assert_eq!(one.root(), other.root());
        let answered = answer(&mut one, &mut commons, subject, other.root(), ping);
        assert_eq!(says(&answered, suspect), 1);
        answer(&mut one, &mut commons, subject, 0, dead);
        assert_ne!(one.root(), other.root());
        let answered = answer(&mut one, &mut commons, subject, other.root(), ping);
        // Once to the sender, and once among the news for everyone.
        assert_eq!(says(&answered, dead), 2);
    }
}
