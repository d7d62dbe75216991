//! memberlist packets, in and out.
//!
//! memberlist names members by their names where the protocol here has ids, so names are hashed on the way
//! in and looked up on the way out; every alive is a whole introduction, answers go to the address that a
//! ping states, and there is no sender in front of the messages and no state root. What differs from upstream
//! in what is made of a message is in the protocol's own files; here is only the translation.

use std::marker::PhantomData;
use std::net::SocketAddr;

use swimring_codec::identity::{METADATA_MAX, NAME_MAX};
use swimring_codec::memberlist::{
    Alive, Codec, CompoundWriter, DecodeError, Message, PARTS_MAX, Source, Versions, compound_overhead,
};
use swimring_codec::native::{FRAME_MAX, Introduction};
use swimring_codec::{AddressFault, Incarnation, MemberId, State};

use super::frame::{Format, Frame, Reader, Receiver, Speaker};
use super::message::{Incoming, IndirectRequest, Outgoing, Ping, Sender, Unusable, Update};
use super::options::{MemberlistDialect, MemberlistOptions};
use crate::protocol::view::directory::{Identity, MemberIndex};

/// Bytes of a packet beside its messages: the compound's type and count.
const COMPOUND_HEADER_LEN: usize = 2;
/// Bytes of each message in a compound beside itself: its length.
const PART_HEADER_LEN: usize = 2;

/// memberlist's format, and what the members of one worker need to write it.
#[derive(Debug)]
pub(in crate::protocol) struct Memberlist {
    pub(super) codec: Codec,
    pub(in crate::protocol) dialect: MemberlistDialect,
    versions: Versions,
    packet_crc: bool,
    /// Where a packet is written before it is compressed.
    plain: Vec<u8>,
    /// Where user messages are put together.
    pub(in crate::protocol) body: Vec<u8>,
    stranger: UnknownTarget,
}

/// The target of an indirect ping that the relay does not know. A ping without a name would be answered by
/// any member that has the address now.
#[derive(Debug, Default)]
struct UnknownTarget {
    id: MemberId,
    name: String,
}

impl Memberlist {
    pub(super) fn new(options: &MemberlistOptions, codec: Codec) -> Memberlist {
        Memberlist {
            codec,
            dialect: options.dialect,
            versions: options.versions,
            packet_crc: options.packet_crc,
            plain: Vec::with_capacity(FRAME_MAX),
            body: Vec::with_capacity(super::user_messages::USER_MESSAGE_MAX),
            stranger: UnknownTarget { id: MemberId::NONE, name: String::with_capacity(NAME_MAX) },
        }
    }

    /// The keys, to install others.
    pub(super) fn codec_mut(&mut self) -> &mut Codec {
        &mut self.codec
    }

    /// Looks up the names that `speaker` writes.
    fn names<'a>(&'a self, speaker: &Speaker<'a>) -> Names<'a> {
        Names { speaker: *speaker, stranger: &self.stranger, versions: self.versions }
    }

    /// The versions that the member at `index` announced.
    pub(super) fn versions_of(
        &self,
        speaker: &Speaker<'_>,
        index: MemberIndex,
        identity: Identity<'_>,
    ) -> Versions {
        if index == speaker.index { self.versions } else { identity.versions() }
    }

    /// memberlist puts a checksum on gossip for peers that understand it, and never on probes.
    fn wants_crc<U>(&self, frame: &Frame<'_, U>) -> bool {
        self.packet_crc && frame.messages.is_empty() && {
            let peer = frame.speaker.directory.find(frame.destination);
            let identity = peer.map(|peer| frame.speaker.identity(peer));
            identity.is_some_and(|identity| identity.versions().protocol_max() >= Versions::CRC)
        }
    }

    /// How much of `frame` fits, and the bytes it takes before it is compressed.
    pub(super) fn measure<'a, U>(&self, frame: &Frame<'a, U>) -> (Measured, usize)
    where
        U: Iterator<Item = Outgoing<'a>> + Clone,
    {
        let names = self.names(frame.speaker);
        let around = self.overhead() - COMPOUND_HEADER_LEN;
        let bytes_max = frame.bytes_max.saturating_sub(around);
        let mut measured = Measured { parts: 0, bytes: 0, crc: self.wants_crc(frame) };
        // All do, unless one has grown since it was chosen.
        for said in frame.parts() {
            let bytes = measured.bytes + names.message(&said, frame.destination).encoded_len();
            let more = Measured { parts: measured.parts + 1, bytes, ..measured };
            if more.plain_len() > bytes_max || measured.parts == PARTS_MAX {
                break;
            }
            measured = more;
        }
        (measured, self.codec.sealed_len(measured.plain_len(), measured.crc))
    }

    /// Writes the packet without what is around it to `out`, which has [`Measured::plain_len`] bytes.
    fn write_plain<'a, U>(&self, frame: &Frame<'a, U>, measured: Measured, out: &mut [u8])
    where
        U: Iterator<Item = Outgoing<'a>> + Clone,
    {
        let names = self.names(frame.speaker);
        let parts = frame.parts().take(measured.parts);
        let mut parts = parts.map(|said| names.message(&said, frame.destination));
        if measured.parts == 1 {
            let only = parts.next();
            let written = only.and_then(|only| only.encode(out));
            debug_assert_eq!(written, Some(out.len()), "lengths were counted right");
            return;
        }
        let Some(mut compound) = CompoundWriter::new(out, measured.parts) else { return };
        for part in parts {
            compound.push(&part);
        }
        compound.finish();
    }

    /// Writes and compresses the packet in memory of its own. Gives its bytes.
    fn compress<'a, U>(&mut self, frame: &Frame<'a, U>, measured: Measured) -> usize
    where
        U: Iterator<Item = Outgoing<'a>> + Clone,
    {
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        plain.resize(measured.plain_len(), 0);
        self.write_plain(frame, measured, &mut plain);
        if let Some(smaller) = self.codec.compress(&plain) {
            // The compressed form is never longer than what it came from.
            plain.clear();
            plain.extend_from_slice(smaller);
        }
        self.plain = plain;
        self.codec.sealed_len(self.plain.len(), measured.crc)
    }
}

/// How much of a frame fits, and how long that is.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Measured {
    pub(super) parts: usize,
    bytes: usize,
    /// A checksum goes with it.
    crc: bool,
}

impl Measured {
    /// Bytes of the packet before it is sealed. A part alone needs no compound around it.
    fn plain_len(&self) -> usize {
        self.bytes + compound_overhead(self.parts)
    }
}

impl Format for Memberlist {
    type Plan = Measured;

    fn overhead(&self) -> usize {
        self.codec.packet_overhead(self.packet_crc) + COMPOUND_HEADER_LEN
    }

    /// Any user message fits into it.
    fn frame_bytes_least(&self) -> usize {
        self.overhead() + PART_HEADER_LEN + 1 + super::user_messages::USER_MESSAGE_MAX
    }

    fn bounds_messages(&self) -> bool {
        true
    }

    fn part_len(&self, speaker: &Speaker<'_>, destination: MemberId, said: &Outgoing<'_>) -> usize {
        self.names(speaker).message(said, destination).encoded_len() + PART_HEADER_LEN
    }

    fn plan<'a, U>(&mut self, frame: &Frame<'a, U>) -> (Measured, usize)
    where
        U: Iterator<Item = Outgoing<'a>> + Clone,
    {
        let (measured, bytes) = self.measure(frame);
        if self.codec.compresses() { (measured, self.compress(frame, measured)) } else { (measured, bytes) }
    }

    fn write<'a, U>(&mut self, frame: &Frame<'a, U>, measured: Measured, buffer: &mut [u8])
    where
        U: Iterator<Item = Outgoing<'a>> + Clone,
    {
        let at = self.codec.plain_offset(measured.crc);
        let plain_len = if self.codec.compresses() {
            buffer[at..at + self.plain.len()].copy_from_slice(&self.plain);
            self.plain.len()
        } else {
            let plain_len = measured.plain_len();
            self.write_plain(frame, measured, &mut buffer[at..at + plain_len]);
            plain_len
        };
        self.codec.seal_packet(buffer, plain_len, measured.crc);
    }
}

/// Looks up the names that packets carry.
struct Names<'a> {
    speaker: Speaker<'a>,
    stranger: &'a UnknownTarget,
    versions: Versions,
}

impl<'a> Names<'a> {
    /// The name of the member `id`; empty for one that is not known, which every peer takes for "nobody in
    /// particular".
    fn of(&self, id: MemberId) -> &'a str {
        match self.speaker.directory.find(id) {
            Some(index) => self.speaker.name(index),
            None if id == self.stranger.id => &self.stranger.name,
            None => "",
        }
    }

    fn own_name(&self) -> &'a str {
        self.speaker.name(self.speaker.index)
    }

    fn address(&self, index: MemberIndex) -> SocketAddr {
        self.speaker.identity(index).address()
    }

    fn source(&self) -> Source<'a> {
        Source { address: self.address(self.speaker.index), name: self.own_name() }
    }

    fn alive(&self, subject: MemberIndex, incarnation: Incarnation) -> Alive<'a> {
        let identity = self.speaker.identity(subject);
        Alive {
            incarnation: wire_incarnation(incarnation),
            node: self.speaker.name(subject),
            address: identity.address(),
            metadata: identity.metadata(),
            versions: if subject == self.speaker.index { self.versions } else { identity.versions() },
        }
    }

    /// How `said` is sent to the member `destination`.
    fn message(&self, said: &Outgoing<'a>, destination: MemberId) -> Message<'a> {
        match *said {
            Outgoing::Ping { sequence } => {
                Message::Ping { sequence, node: self.of(destination), source: Some(self.source()) }
            }
            Outgoing::IndirectPing { sequence, target } => {
                let index = self.speaker.directory.find(target).unwrap_or(self.speaker.index);
                Message::IndirectPing {
                    sequence,
                    target: self.address(index),
                    node: self.speaker.name(index),
                    nack: true,
                    source: Some(self.source()),
                }
            }
            Outgoing::Ack { sequence } => Message::Ack { sequence, payload: b"" },
            Outgoing::Nack { sequence } => Message::Nack { sequence },
            Outgoing::Update { subject, update, incarnation } => self.update(subject, update, incarnation),
            // Never said where nothing is delegated (`Rules::delegates`), and nothing to who reads it.
            Outgoing::Delegation { .. } | Outgoing::DelegationAck { .. } => Message::User(b""),
            // Nor is this where no roots travel.
            Outgoing::EventSum(_)
            | Outgoing::EventKnown { .. }
            | Outgoing::EventWanted { .. }
            | Outgoing::EventAge { .. }
            | Outgoing::ViewSketch(_)
            | Outgoing::ViewSums(_)
            | Outgoing::ViewList(_)
            | Outgoing::EntryWanted(_)
            | Outgoing::ViewRepair { .. }
            | Outgoing::KeyRoots(_) => Message::User(b""),
            Outgoing::Event(stored) => Message::User(stored.body),
            Outgoing::Direct { payload } => Message::User(payload),
            Outgoing::Claim(&Introduction { incarnation, address, name, metadata, .. }) => {
                Message::Alive(Alive {
                    incarnation: wire_incarnation(incarnation),
                    node: name,
                    address,
                    metadata,
                    versions: self.versions,
                })
            }
        }
    }

    /// How an update about the member at `subject` is sent.
    fn update(&self, subject: MemberIndex, update: Update, incarnation: Incarnation) -> Message<'a> {
        let node = || self.speaker.name(subject);
        let wire_incarnation = wire_incarnation(incarnation);
        match update {
            Update::Alive { .. } | Update::Event => Message::Alive(self.alive(subject, incarnation)),
            Update::Suspect { accuser } => {
                Message::Suspect { incarnation: wire_incarnation, node: node(), from: self.of(accuser) }
            }
            Update::Dead => {
                Message::Dead { incarnation: wire_incarnation, node: node(), from: self.own_name() }
            }
            // memberlist's way to tell leaving from failing: a member that left says so itself.
            Update::Left => Message::Dead { incarnation: wire_incarnation, node: node(), from: node() },
        }
    }
}

/// Incarnations have 32 bits on this wire.
pub(super) fn wire_incarnation(incarnation: Incarnation) -> u32 {
    u32::try_from(incarnation.get()).unwrap_or(u32::MAX)
}

/// Reads a packet whose messages are `messages`, for the member `own`.
#[derive(Debug)]
pub(in crate::protocol) struct PacketReader<'m, I> {
    messages: I,
    bytes: PhantomData<&'m [u8]>,
    own: MemberId,
    from: SocketAddr,
}

impl<I> PacketReader<'_, I> {
    pub(in crate::protocol) fn new(messages: I, own: MemberId, from: SocketAddr) -> Self {
        PacketReader { messages, bytes: PhantomData, own, from }
    }
}

impl<'m, I: Iterator<Item = Result<Message<'m>, DecodeError>>> Reader for PacketReader<'m, I> {
    type Subject = MemberId;

    fn next(&mut self, receiver: &mut impl Receiver<MemberId>) -> bool {
        let Some(read) = self.messages.next() else { return false };
        match read {
            Ok(message) => self.take_in(message, receiver),
            Err(_) => receiver.refuse(Unusable::Undecodable),
        }
        true
    }
}

impl<I> PacketReader<'_, I> {
    fn take_in(&self, message: Message<'_>, receiver: &mut impl Receiver<MemberId>) {
        let (wire, _, sender) = receiver.around();
        *sender = Sender::unnamed(self.from);
        let incoming = match message {
            Message::Ping { sequence, node, source } => {
                if !node.is_empty() && MemberId::of_name(node) != self.own {
                    return receiver.refuse(Unusable::Misdirected);
                }
                state_origin(sender, source);
                return receiver.receive_ping(Ping { sequence, event_root: 0 });
            }
            Message::IndirectPing { sequence, target, node, nack, source } => {
                let address = Some(target).filter(|address| AddressFault::of(*address).is_none());
                let request = IndirectRequest { target: MemberId::of_name(node), address, nack };
                if let Some(memberlist) = wire.memberlist_mut()
                    && node.len() <= NAME_MAX
                {
                    memberlist.stranger.id = request.target;
                    memberlist.stranger.name.clear();
                    memberlist.stranger.name.push_str(node);
                }
                state_origin(sender, source);
                Incoming::IndirectPing { sequence, request }
            }
            Message::Ack { sequence, .. } => Incoming::Ack { sequence, event_root: 0 },
            Message::Nack { sequence } => Incoming::Nack { sequence },
            Message::Suspect { incarnation, node, from } => Incoming::Suspect {
                subject: MemberId::of_name(node),
                incarnation: Incarnation::new(incarnation.into()),
                accuser: accuser(from),
            },
            Message::Dead { incarnation, node, from } => {
                let subject = MemberId::of_name(node);
                let incarnation = Incarnation::new(incarnation.into());
                if node == from {
                    Incoming::Left { subject, incarnation }
                } else {
                    Incoming::Dead { subject, incarnation }
                }
            }
            Message::Alive(alive) => Incoming::Record(
                Introduction {
                    subject: MemberId::of_name(alive.node),
                    incarnation: Incarnation::new(alive.incarnation.into()),
                    state: State::Alive,
                    address: alive.address,
                    name: alive.node,
                    metadata: alive.metadata,
                    zone: "",
                },
                alive.versions,
            ),
            Message::User(body) => Incoming::UserMessage(body),
        };
        receiver.receive(incoming);
    }
}

/// Who accuses; nobody in particular for an empty name.
fn accuser(name: &str) -> MemberId {
    if name.is_empty() { MemberId::NONE } else { MemberId::of_name(name) }
}

/// A ping may state where its answer goes and whose it is.
fn state_origin(sender: &mut Sender, source: Option<Source<'_>>) {
    // Where nobody can be, an answer would not go to whoever asked.
    if let Some(source) = source.filter(|source| AddressFault::of(source.address).is_none()) {
        sender.address = source.address;
        sender.source = accuser(source.name);
    }
}

/// Whether a record may be kept: what could not be told on, or not be sent to, is refused. So are versions
/// that peers drop: one record with them would have every peer refuse whole views of ours.
pub(in crate::protocol) fn is_acceptable(introduction: &Introduction<'_>, versions: Versions) -> bool {
    let Introduction { name, metadata, address, .. } = introduction;
    let reachable = AddressFault::of(*address).is_none();
    (1..=NAME_MAX).contains(&name.len()) && metadata.len() <= METADATA_MAX && reachable && versions.is_valid()
}
