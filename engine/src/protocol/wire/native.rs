//! Native frames, in and out.
//!
//! One header names sender and receiver by id and carries the sender's state root for all messages of a
//! frame; every message has a length that is known before it is written, so a frame is encoded straight
//! into the driver's send buffer.

use std::net::SocketAddr;

use swimring_codec::native::{
    self, DELEGATION_LEN, DIRECT_HEADER_LEN, ENTRY_WANTED_LEN, EVENT_REPAIR_LEN, FrameHeader, FrameWriter,
    HEADER_LEN, Introduction, KEY_ROOTS_LEN, Message, MessageVisitor, PROBE_LEN, RELAY_LEN,
    SEAL_ENVELOPE_LEN, SEAL_OVERHEAD, SEAL_TAG_LEN, SIGNATURE_MESSAGE_LEN, SUSPECT_LEN, Sealer, Signature,
    UPDATE_LEN, UserEvent, VIEW_REPAIR_LEN,
};
use swimring_codec::{Incarnation, MemberId, State};

use super::frame::{Format, Frame, PartWriter, Reader, Receiver, Speaker};
use super::message::{Incoming, IndirectRequest, Outgoing, Ping, Sender, Unusable, Update};
use crate::protocol::settings::FRAME_BYTES_MIN;
use crate::protocol::view::directory::MemberIndex;

/// The native format. It has nothing to keep but what seals its frames, if they are sealed.
#[derive(Debug)]
pub(in crate::protocol) struct Native {
    sealer: Option<Box<Sealer>>,
}

impl Native {
    /// Frames leave as they are.
    pub(in crate::protocol) const PLAIN: Native = Native { sealer: None };

    /// Frames leave sealed by `sealer`.
    pub(super) fn sealed(sealer: Sealer) -> Native {
        Native { sealer: Some(Box::new(sealer)) }
    }

    /// What seals frames, to change its keys and to tell it the time.
    #[inline]
    pub(super) fn sealer_mut(&mut self) -> Option<&mut Sealer> {
        self.sealer.as_deref_mut()
    }

    /// Bytes that sealing adds to a frame.
    #[inline]
    pub(super) fn seal_overhead(&self) -> usize {
        if self.sealer.is_some() { SEAL_OVERHEAD } else { 0 }
    }
}

/// The header of what `speaker` sends to `destination`.
#[inline]
pub(super) fn header(speaker: &Speaker<'_>, destination: MemberId) -> FrameHeader {
    FrameHeader {
        cluster: speaker.cluster,
        source: speaker.id,
        destination,
        root: speaker.table.root(),
        quiet: speaker.quiet,
    }
}

/// What `speaker` knows of the member at `subject`, as a message.
pub(super) fn introduction<'a>(
    speaker: &Speaker<'a>,
    subject: MemberIndex,
    state: State,
    incarnation: Incarnation,
) -> Introduction<'a> {
    speaker.directory.introduction((subject, speaker.table.get(subject).version()), incarnation, state)
}

/// What the member at `subject` has signed the claim with that it is in `state`, or nothing.
pub(super) fn signature<'a>(
    speaker: &Speaker<'a>,
    subject: MemberIndex,
    state: State,
    incarnation: Incarnation,
) -> Option<&'a Signature> {
    let version = speaker.table.get(subject).version();
    speaker.directory.signature((subject, version), incarnation, state)
}

/// The message that `said` is sent as.
#[inline(always)]
fn message<'a>(speaker: &Speaker<'a>, said: &Outgoing<'a>) -> Message<'a> {
    let (subject, update, incarnation) = match *said {
        Outgoing::Ping { sequence } => return Message::Ping { sequence, event_root: speaker.event_root },
        Outgoing::IndirectPing { sequence, target } => return Message::IndirectPing { sequence, target },
        Outgoing::Ack { sequence } => return Message::Ack { sequence, event_root: speaker.event_root },
        Outgoing::Nack { sequence } => return Message::Nack { sequence },
        Outgoing::Delegation { number, prefix_bits, zone, view_first } => {
            return Message::Delegation { number, prefix_bits, zone, view_first };
        }
        Outgoing::DelegationAck { number } => return Message::DelegationAck { number },
        Outgoing::EventSum(sum) => return Message::EventSum(sum),
        Outgoing::EventKnown { id } => return Message::EventKnown { id },
        Outgoing::EventWanted { id } => return Message::EventWanted { id },
        Outgoing::EventAge { age_ms } => return Message::EventAge { age_ms },
        Outgoing::ViewSketch(sketch) => return Message::ViewSketch(sketch),
        Outgoing::ViewSums(sums) => return Message::ViewSums(sums),
        Outgoing::ViewList(list) => return Message::ViewList(list),
        Outgoing::EntryWanted(wanted) => return Message::EntryWanted(wanted),
        Outgoing::ViewRepair { began } => return Message::ViewRepair { began },
        Outgoing::KeyRoots(roots) => return Message::KeyRoots(roots),
        Outgoing::Direct { payload } => return Message::Direct { payload },
        Outgoing::Event(stored) => return Message::UserEvent(stored.event()),
        Outgoing::Claim(introduction) => return Message::Introduction(*introduction),
        Outgoing::Update { subject, update, incarnation } => (subject, update, incarnation),
    };
    let id = speaker.directory.id(subject);
    match update {
        Update::Alive { introduce: true } => {
            Message::Introduction(introduction(speaker, subject, State::Alive, incarnation))
        }
        Update::Suspect { accuser } => Message::Suspect { subject: id, incarnation, accuser },
        Update::Dead => Message::Dead { subject: id, incarnation },
        Update::Left => Message::Left { subject: id, incarnation },
        Update::Alive { introduce: false } | Update::Event => {
            Message::Alive { subject: id, incarnation, tag: speaker.identity(subject).tag() }
        }
    }
}

impl Format for Native {
    type Plan = ();

    #[inline]
    fn overhead(&self) -> usize {
        HEADER_LEN + self.seal_overhead()
    }

    #[inline]
    fn frame_bytes_least(&self) -> usize {
        FRAME_BYTES_MIN
    }

    #[inline]
    fn bounds_messages(&self) -> bool {
        false
    }

    #[inline(always)]
    fn part_len(&self, speaker: &Speaker<'_>, _: MemberId, said: &Outgoing<'_>) -> usize {
        match *said {
            Outgoing::Ping { .. } | Outgoing::Ack { .. } | Outgoing::Nack { .. } => PROBE_LEN,
            Outgoing::IndirectPing { .. } => RELAY_LEN,
            Outgoing::Delegation { .. } | Outgoing::DelegationAck { .. } => DELEGATION_LEN,
            Outgoing::EventSum(_)
            | Outgoing::EventKnown { .. }
            | Outgoing::EventWanted { .. }
            | Outgoing::EventAge { .. } => EVENT_REPAIR_LEN,
            Outgoing::ViewSketch(sketch) => sketch.encoded_len(),
            Outgoing::ViewSums(sums) => sums.encoded_len(),
            Outgoing::ViewList(list) => list.encoded_len(),
            Outgoing::EntryWanted(_) => ENTRY_WANTED_LEN,
            Outgoing::ViewRepair { .. } => VIEW_REPAIR_LEN,
            Outgoing::KeyRoots(_) => KEY_ROOTS_LEN,
            Outgoing::Update { subject, update: Update::Alive { introduce: true }, .. } => {
                let identity = speaker.identity(subject);
                let (metadata, zone) =
                    (identity.metadata().len(), speaker.directory.zone_name(identity).len());
                Introduction::encoded_len(speaker.name(subject).len(), metadata, zone)
                    + signature_len(speaker, Update::Alive { introduce: true })
            }
            Outgoing::Update { update: Update::Suspect { .. }, .. } => SUSPECT_LEN,
            Outgoing::Update { update, .. } => UPDATE_LEN + signature_len(speaker, update),
            Outgoing::Event(stored) => {
                let (name, payload) = stored.lengths();
                UserEvent::encoded_len(name, payload)
            }
            Outgoing::Direct { payload } => DIRECT_HEADER_LEN + payload.len(),
            Outgoing::Claim(introduction) => introduction.wire_len(),
        }
    }

    #[inline(always)]
    fn plan<'a, U>(&mut self, frame: &Frame<'a, U>) -> ((), usize)
    where
        U: Iterator<Item = Outgoing<'a>> + Clone,
    {
        ((), self.overhead() + frame.parts_len)
    }

    #[inline(always)]
    fn write<'a, U>(&mut self, frame: &Frame<'a, U>, (): (), buffer: &mut [u8])
    where
        U: Iterator<Item = Outgoing<'a>> + Clone,
    {
        match self.sealer_mut() {
            None => write_plain(frame, buffer),
            Some(sealer) => write_sealed(sealer, frame, buffer),
        }
    }
}

#[inline(always)]
fn write_plain<'a, U>(frame: &Frame<'a, U>, buffer: &mut [u8])
where
    U: Iterator<Item = Outgoing<'a>> + Clone,
{
    let speaker = frame.speaker;
    let writer = FrameWriter::new(header(speaker, frame.destination), buffer);
    debug_assert!(writer.is_some(), "a member has an id, and the plan has room for the header");
    let Some(mut writer) = writer else { return };
    frame.write_parts(&mut Parts { writer: &mut writer, speaker });
    writer.finish();
}

/// Not inlined: members that do not encrypt have nothing of it where they write.
#[inline(never)]
fn write_sealed<'a, U>(sealer: &mut Sealer, frame: &Frame<'a, U>, buffer: &mut [u8])
where
    U: Iterator<Item = Outgoing<'a>> + Clone,
{
    if let Some(end) = buffer.len().checked_sub(SEAL_TAG_LEN)
        && let Some(plain) = buffer.get_mut(SEAL_ENVELOPE_LEN..end)
    {
        write_plain(frame, plain);
    }
    if !sealer.seal_frame(buffer) {
        debug_assert!(false, "there is a key, and the plan has room for the envelope");
        // Nothing leaves in the clear.
        buffer.fill(0);
    }
}

struct Parts<'w, 'b, 's> {
    writer: &'w mut FrameWriter<'b>,
    speaker: &'s Speaker<'s>,
}

impl PartWriter for Parts<'_, '_, '_> {
    #[inline(always)]
    fn write(&mut self, said: &Outgoing<'_>) {
        let signed = matches!(said, Outgoing::Update { .. }) && self.speaker.directory.signs();
        if signed && !self.write_signature(said) {
            return;
        }
        self.writer.push(&message(self.speaker, said));
    }
}

impl Parts<'_, '_, '_> {
    /// Writes the signature in front of what needs one. False if it is not known any more: then nobody would believe what is said.
    #[cold]
    fn write_signature(&mut self, said: &Outgoing<'_>) -> bool {
        let Outgoing::Update { subject, update, incarnation } = *said else { return true };
        let Some(state) = signed_state(update) else { return true };
        let found = signature(self.speaker, subject, state, incarnation);
        if let Some(signature) = found {
            self.writer.push(&Message::Signature(signature));
        }
        found.is_some()
    }
}

/// The state in which a member has to have signed that it is for `update` to be believed, if it has to.
#[inline]
fn signed_state(update: Update) -> Option<State> {
    match update {
        Update::Alive { .. } => Some(State::Alive),
        Update::Left => Some(State::Left),
        Update::Suspect { .. } | Update::Dead | Update::Event => None,
    }
}

/// Bytes of the signature that goes in front of `update`.
#[inline]
fn signature_len(speaker: &Speaker<'_>, update: Update) -> usize {
    if speaker.directory.signs() && signed_state(update).is_some() { SIGNATURE_MESSAGE_LEN } else { 0 }
}

/// Reads a native frame.
#[derive(Debug)]
pub(in crate::protocol) struct FrameReader<'a> {
    messages: native::Messages<'a>,
}

impl<'a> FrameReader<'a> {
    /// The sender of `frame`, which arrived from `from`, and what reads it.
    #[inline]
    pub(in crate::protocol) fn new(from: SocketAddr, frame: &native::Frame<'a>) -> (Sender, FrameReader<'a>) {
        let FrameHeader { source, root, quiet, .. } = frame.header;
        let sender = Sender { address: from, source, root: Some(root), quiet };
        (sender, FrameReader { messages: frame.messages() })
    }
}

impl Reader for FrameReader<'_> {
    type Subject = MemberId;

    #[inline(always)]
    fn next(&mut self, receiver: &mut impl Receiver<MemberId>) -> bool {
        match self.messages.visit_next(&mut InOurWords(&mut *receiver)) {
            Some(Ok(())) => true,
            Some(Err(_)) => {
                receiver.refuse(Unusable::Undecodable);
                true
            }
            None => false,
        }
    }
}

/// Hands what is read on as the protocol says it.
struct InOurWords<'r, R>(&'r mut R);

impl<'a, R: Receiver<MemberId>> MessageVisitor<'a> for InOurWords<'_, R> {
    #[inline(always)]
    fn visit(&mut self, message: Message<'a>) {
        self.0.receive(match message {
            Message::Ping { sequence, event_root } => {
                return self.0.receive_ping(Ping { sequence, event_root });
            }
            Message::IndirectPing { sequence, target } => {
                let request = IndirectRequest { target, address: None, nack: true };
                Incoming::IndirectPing { sequence, request }
            }
            Message::Ack { sequence, event_root } => Incoming::Ack { sequence, event_root },
            Message::Nack { sequence } => Incoming::Nack { sequence },
            Message::Alive { subject, incarnation, tag } => Incoming::Alive { subject, incarnation, tag },
            Message::Suspect { subject, incarnation, accuser } => {
                Incoming::Suspect { subject, incarnation, accuser }
            }
            Message::Dead { subject, incarnation } => Incoming::Dead { subject, incarnation },
            Message::Left { subject, incarnation } => Incoming::Left { subject, incarnation },
            Message::Delegation { number, prefix_bits, zone, view_first } => {
                Incoming::Delegation { number, prefix_bits, zone, view_first }
            }
            Message::DelegationAck { number } => Incoming::DelegationAck { number },
            Message::Introduction(introduction) => Incoming::Introduction(introduction),
            Message::UserEvent(event) => Incoming::Event(event),
            Message::EventSum(sum) => Incoming::EventSum(sum),
            Message::EventKnown { id } => Incoming::EventKnown { id },
            Message::EventWanted { id } => Incoming::EventWanted { id },
            Message::EventAge { age_ms } => Incoming::EventAge { age_ms },
            Message::ViewSketch(sketch) => Incoming::ViewSketch(sketch),
            Message::ViewSums(sums) => Incoming::ViewSums(sums),
            Message::ViewList(list) => Incoming::ViewList(list),
            Message::EntryWanted(wanted) => Incoming::EntryWanted(wanted),
            Message::ViewRepair { began } => Incoming::ViewRepair { began },
            Message::KeyRoots(roots) => Incoming::KeyRoots(roots),
            Message::Direct { payload } => Incoming::Direct(payload),
            Message::Signature(signature) => Incoming::Signature(signature),
        });
    }
}
