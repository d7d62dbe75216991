//! Frames, from the reader of their format to the concern that each message is for.

use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::memberlist;
use swimring_codec::native::Frame;
use swimring_codec::{Incarnation, State};

use crate::protocol::detection::ping_answer::{PingNotes, answer_ping};
use crate::protocol::dissemination::delegates::says;
use crate::protocol::member::Member;
use crate::protocol::member::merge::TellOn;
use crate::protocol::outbox::Outbox;
use crate::protocol::repair::events::EventRepair;
use crate::protocol::repair::views::ViewRepair;
use crate::protocol::shared_lists::delegation::Range;
use crate::protocol::state::{Context, SharedState, Status, ViewFirst};
use crate::protocol::time::Time;
use crate::protocol::view::directory::{Directory, MemberIndex, UNVERSIONED};
use crate::protocol::wire::{
    FrameReader, Incoming, PacketReader, Ping, Reader, Receiver, Sender, Subject, TypedReader, Unusable,
    Update, Wire,
};

/// A member that takes the next message of a frame in.
struct TakingIn<'m, 'c, 'a, 'b> {
    member: &'m mut Member,
    cx: &'m mut Context<'a, 'b>,
    sender: &'c mut Sender,
    /// It is a ping, which is answered once it has been read.
    ping: Option<Ping>,
}

impl<S: Subject> Receiver<S> for TakingIn<'_, '_, '_, '_> {
    #[inline(always)]
    fn around(&mut self) -> (&mut Wire, &Directory, &mut Sender) {
        (&mut self.cx.shared.wire, &self.cx.shared.directory, self.sender)
    }

    #[inline(always)]
    fn receive(&mut self, message: Incoming<'_, S>) {
        self.member.on_message(self.cx, self.sender, message);
    }

    #[inline(always)]
    fn receive_ping(&mut self, ping: Ping) {
        self.ping = Some(ping);
    }

    #[inline(always)]
    fn refuse(&mut self, unusable: Unusable) {
        self.cx.shared.counters.unusable(unusable);
    }
}

impl Member {
    /// Handles a native frame that arrived from `from`.
    #[inline]
    pub fn handle_frame(
        &mut self,
        now: Time,
        from: SocketAddr,
        frame: &Frame<'_>,
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) {
        shared.counters.frames_received += 1;
        if frame.header.cluster != self.core.cluster {
            shared.counters.frames_foreign += 1;
            return;
        }
        let (sender, reader) = FrameReader::new(from, frame);
        self.take_in(&mut Context::new(now, shared, out), sender, reader);
    }

    /// Handles the messages of a memberlist packet that arrived from `from`.
    pub fn handle_packet<'m>(
        &mut self,
        now: Time,
        from: SocketAddr,
        messages: impl Iterator<Item = Result<memberlist::Message<'m>, memberlist::DecodeError>>,
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) {
        shared.counters.frames_received += 1;
        let reader = PacketReader::new(messages, self.core.id, from);
        self.take_in(&mut Context::new(now, shared, out), Sender::unnamed(from), reader);
    }

    /// Handles the frame at `at` of those that are kept as values. The frame is gone then.
    pub fn handle_typed_frame(&mut self, now: Time, at: u32, shared: &mut SharedState, out: &mut Outbox<'_>) {
        shared.counters.frames_received += 1;
        let Some(frames) = shared.wire.typed_mut() else { return };
        let (sender, reader) = TypedReader::new(frames, &shared.directory, at);
        self.take_in(&mut Context::new(now, shared, out), sender, reader);
    }

    /// Takes the messages of a frame in.
    fn take_in<R: Reader>(&mut self, cx: &mut Context<'_, '_>, mut sender: Sender, mut reader: R) {
        if self.core.status == Status::Left {
            return reader.finish(&mut cx.shared.wire);
        }
        self.notice_lost(cx.shared);
        cx.shared.inbox.clear();
        self.core.hear(cx.now);
        cx.sender = Some((sender.address, sender.source));
        loop {
            let mut taking = TakingIn { member: self, cx, sender: &mut sender, ping: None };
            if !reader.next(&mut taking) {
                break;
            }
            if let Some(ping) = taking.ping {
                self.on_ping(cx, &sender, ping);
            }
            if self.core.status == Status::Left {
                reader.finish(&mut cx.shared.wire);
                cx.shared.event_talk.clear();
                cx.shared.asked_news.clear();
                cx.shared.view_talk.iter_mut().for_each(|talk| talk.clear());
                cx.shared.state_told.clear();
                return self.core.drop_queue(cx);
            }
        }
        reader.finish(&mut cx.shared.wire);
        if cx.collected {
            self.answer_collected(cx, &sender);
        }
        self.begin_telling(cx);
    }

    /// Does what the messages of a frame ask for together, now that all of them are read.
    #[inline(always)]
    fn answer_collected(&mut self, cx: &mut Context<'_, '_>, sender: &Sender) {
        self.core.delegate_read(cx);
        (cx.asked, cx.view_first) = (None, None);
        cx.repairing = None;
        if let Some(number) = cx.delegated.take() {
            self.core.acknowledge(cx, sender, number);
        }
        self.event_repair.answer(&mut self.core, cx, sender);
        self.view_repair.answer(&mut self.core, cx, sender);
        self.take_told_state(cx, sender);
    }

    /// Answers a ping, and compares what its sender says of what it knows with ours.
    #[inline(always)]
    fn on_ping(&mut self, cx: &mut Context<'_, '_>, sender: &Sender, ping: Ping) {
        self.event_repair.compare_roots(&mut self.core, cx, sender, ping.event_root);
        let notes = PingNotes {
            reachability: &mut self.reachability,
            return_probes: &mut self.return_probes,
            suspicions: &self.suspicions,
        };
        answer_ping(&mut self.core, cx, notes, sender, ping.sequence);
        self.view_repair.compare_roots(&mut self.core, cx, sender, &mut self.anti_entropy);
    }

    /// Gives a message to the concern that it is for.
    #[inline(always)]
    fn on_message<S: Subject>(
        &mut self,
        cx: &mut Context<'_, '_>,
        sender: &Sender,
        message: Incoming<'_, S>,
    ) {
        if let Some(began) = cx.repairing
            && message.is_update()
        {
            return self.on_repaired(cx, message, began);
        }
        cx.collected |= !message.is_probing();
        match message {
            Incoming::IndirectPing { sequence, request } => {
                self.on_indirect_ping(cx, sender, sequence, request);
            }
            Incoming::Ack { sequence, event_root } => {
                self.event_repair.compare_roots(&mut self.core, cx, sender, event_root);
                self.on_ack(cx, sender, sequence);
            }
            Incoming::Nack { sequence } => self.on_nack(cx, sender, sequence),
            Incoming::Delegation { number, prefix_bits, zone, view_first } => {
                self.core.delegate_read(cx);
                cx.asked = Some(self.core.asked_range(cx, zone, prefix_bits));
                let same = sender.root == Some(self.core.table.root());
                let first = if same { ViewFirst::Had } else { ViewFirst::Wanted };
                cx.view_first = view_first.then_some(first);
                cx.delegated = Some(number);
                cx.repairing = None;
            }
            Incoming::DelegationAck { number } => self.core.on_delegation_ack(cx, sender, number),
            Incoming::Alive { subject, incarnation, tag } => {
                self.on_alive(cx, subject, incarnation, tag, TellOn::Ours);
                self.take_over(cx, subject, Update::Alive { introduce: false }, incarnation);
            }
            Incoming::Suspect { subject, incarnation, accuser } => {
                self.on_suspect(cx, subject, incarnation, accuser);
                self.take_over(cx, subject, Update::Suspect { accuser }, incarnation);
            }
            Incoming::Dead { subject, incarnation } => {
                self.on_dead(cx, subject, incarnation);
                self.take_over(cx, subject, Update::Dead, incarnation);
            }
            Incoming::Left { subject, incarnation } => {
                self.on_left(cx, subject, incarnation);
                self.take_over(cx, subject, Update::Left, incarnation);
            }
            Incoming::Introduction(introduction) => {
                // Gossip introduces the living only; other states are for push/pull.
                if introduction.state == State::Alive {
                    if !self.core.is_old(cx, &introduction) {
                        self.on_introduction(cx, &introduction, UNVERSIONED, TellOn::Ours);
                    }
                    let update = Update::Alive { introduce: true };
                    self.take_over(cx, introduction.subject, update, introduction.incarnation);
                }
            }
            Incoming::Record(introduction, versions) => {
                if self.core.is_worth_merging(cx, &introduction, versions) {
                    self.on_introduction(cx, &introduction, versions, TellOn::Ours);
                }
            }
            Incoming::Event(event) => match cx.event_age.take() {
                Some(age) => self.event_repair.on_repaired(&mut self.core, cx, event, age),
                None => self.core.on_plain_event(cx, event),
            },
            Incoming::Direct(payload) => self.on_direct(cx, sender, payload),
            Incoming::UserMessage(body) => self.core.on_user_message(cx, body),
            Incoming::StoredEvent { at, key } => match cx.event_age.take() {
                Some(age) => self.event_repair.on_stored(&mut self.core, cx, key, age),
                None => self.core.on_stored_event(cx, at, key),
            },
            Incoming::EventSum(sum) => EventRepair::on_sum(cx, sum),
            Incoming::EventKnown { id } => EventRepair::on_known(&self.core, cx, id),
            Incoming::EventWanted { id } => EventRepair::on_wanted(&self.core, cx, id),
            Incoming::EventAge { age_ms } => {
                cx.event_age = Some(Duration::from_millis(age_ms.into()));
            }
            Incoming::ViewSketch(sketch) => self.on_sketch(cx, sender, sketch),
            Incoming::ViewSums(sums) => ViewRepair::on_sums(&mut self.core, cx, sender, sums),
            Incoming::ViewList(list) => ViewRepair::on_list(&mut self.core, cx, sender, list),
            Incoming::EntryWanted(wanted) => ViewRepair::on_wanted(&self.core, cx, wanted),
            Incoming::ViewRepair { began } => cx.repairing = Some(began),
            Incoming::KeyRoots(roots) => self.on_key_roots(cx, sender, roots),
            Incoming::Signature(signature) => cx.signature = Some(*signature),
        }
    }

    /// What was delegated to us, if it was, has been merged: takes over what was known before and not told on. What was
    /// new has been taken over with it.
    #[inline(always)]
    fn take_over<S: Subject>(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: S,
        update: Update,
        incarnation: Incarnation,
    ) {
        if cx.asked.is_some() {
            self.take_over_delegated(cx, subject, update, incarnation);
        }
    }

    fn take_over_delegated<S: Subject>(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: S,
        update: Update,
        incarnation: Incarnation,
    ) {
        let Some(index) = subject.find(&cx.shared.directory) else { return };
        let entry = self.core.table.get(index);
        let untold = match update {
            _ if !says(entry, update, incarnation) => false,
            // It had us tell everyone.
            Update::Alive { introduce: true } if is_handed_over(cx, index) => {
                cx.introduced = true;
                // Unless it has been told of with our view.
                entry.is_untold() || !self.core.has_offered(cx.now)
            }
            Update::Suspect { accuser } => self.suspicions.tell_on(cx, index, accuser),
            _ => entry.is_untold(),
        };
        if untold {
            self.core.table.set_untold(index, false);
            self.core.delegate_asked(cx, index, update, incarnation);
        }
    }
}

/// Whether what is read of the member at `index` is its own word, and all of a zone is to be told.
fn is_handed_over(cx: &Context<'_, '_>, index: MemberIndex) -> bool {
    let taken = cx.shared.asked_news.last().is_some_and(|last| last.subject == index);
    matches!(cx.asked, Some(Range::Zone { prefix_bits: 0, .. }))
        && cx.sender.is_some_and(|(_, source)| source == cx.shared.directory.id(index))
        && !taken
}
