//! memberlist packets, in and out.
//!
//! memberlist names members by their names where the protocol here has ids, so names are hashed on the way
//! in and looked up on the way out; every alive is a whole introduction, answers go to the address that a
//! ping states, and there is no sender in front of the messages and no state root. What differs from upstream
//! in what is made of a message is in the protocol's own files; here is only the translation.

use std::net::SocketAddr;

use swimring_codec::identity::{METADATA_MAX, NAME_MAX};
use swimring_codec::memberlist::{
    self, Alive, Codec, CompoundWriter, PARTS_MAX, Source, Versions, compound_overhead,
};
use swimring_codec::native::{Introduction, Message};
use swimring_codec::{AddressFault, Incarnation, MemberId, State};

use super::options::{MemberlistOptions, WireOptionsError};
use super::{Sender, Wire};
use crate::protocol::detection::relay::IndirectRequest;
use crate::protocol::member::Member;
use crate::protocol::outbox::{FrameSink, Outbox};
use crate::protocol::pools::broadcasts::{Broadcast, BroadcastPool, Update};
use crate::protocol::pools::events::EventStore;
use crate::protocol::state::{Context, Core, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::view::table::Table;

/// Bytes of a packet beside its messages: the compound's type and count.
const COMPOUND_HEADER_LEN: usize = 2;
/// Bytes of each message in a compound beside itself: its length.
const PART_HEADER_LEN: usize = 2;

/// What the members of one worker need to write packets.
#[derive(Debug)]
pub(in crate::protocol) struct MemberlistWire {
    pub(in crate::protocol) options: MemberlistOptions,
    pub(super) codec: Codec,
    /// Where a packet is written before it is compressed.
    plain: Vec<u8>,
    /// Where user messages are put together.
    pub(super) body: Vec<u8>,
    stranger: UnknownTarget,
}

/// The target of an indirect ping that the relay does not know. A ping without a name would be answered by
/// any member that has the address now.
#[derive(Debug, Default)]
struct UnknownTarget {
    id: MemberId,
    name: String,
}

impl MemberlistWire {
    pub(in crate::protocol) fn new(
        options: &MemberlistOptions,
        seed: [u8; 32],
    ) -> Result<MemberlistWire, WireOptionsError> {
        Ok(MemberlistWire {
            codec: Codec::new(&options.codec(), seed)?,
            options: options.clone(),
            plain: Vec::with_capacity(swimring_codec::native::FRAME_MAX),
            body: Vec::with_capacity(super::USER_MESSAGE_MAX),
            stranger: UnknownTarget { id: MemberId::NONE, name: String::with_capacity(NAME_MAX) },
        })
    }

    /// The keys, to install others.
    pub(in crate::protocol) fn codec_mut(&mut self) -> &mut Codec {
        &mut self.codec
    }

    /// The user message that was put together last.
    pub(in crate::protocol) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(super) fn packet_overhead(&self) -> usize {
        self.codec.packet_overhead(self.options.packet_crc) + COMPOUND_HEADER_LEN
    }

    /// Bytes of the shortest packet that any user message fits into.
    pub(super) fn packet_bytes_least(&self) -> usize {
        self.packet_overhead() + PART_HEADER_LEN + 1 + super::USER_MESSAGE_MAX
    }
}

/// Looks up the names that packets carry.
struct Names<'a> {
    directory: &'a Directory,
    stranger: &'a UnknownTarget,
    table: &'a Table,
    own: MemberIndex,
    versions: Versions,
}

impl<'a> Names<'a> {
    /// The name of the member `id`; empty for one that is not known, which every peer takes for "nobody in
    /// particular".
    fn of(&self, id: MemberId) -> &'a str {
        match self.directory.find(id) {
            Some(index) => self.directory.name(index),
            None if id == self.stranger.id => &self.stranger.name,
            None => "",
        }
    }

    fn own_name(&self) -> &'a str {
        self.directory.name(self.own)
    }

    fn address(&self, index: MemberIndex) -> SocketAddr {
        self.directory.identity(index, self.table.get(index).version()).address()
    }

    fn source(&self) -> Source<'a> {
        Source { address: self.address(self.own), name: self.own_name() }
    }

    fn alive(&self, subject: MemberIndex, incarnation: Incarnation) -> Alive<'a> {
        let identity = self.directory.identity(subject, self.table.get(subject).version());
        Alive {
            incarnation: wire_incarnation(incarnation),
            node: self.directory.name(subject),
            address: identity.address(),
            metadata: identity.metadata(),
            versions: if subject == self.own { self.versions } else { identity.versions() },
        }
    }

    /// How a message of the protocol is sent to the member `destination`.
    fn message(&self, message: &Message<'a>, destination: MemberId) -> memberlist::Message<'a> {
        match *message {
            Message::Ping { sequence } => memberlist::Message::Ping {
                sequence,
                node: self.of(destination),
                source: Some(self.source()),
            },
            Message::IndirectPing { sequence, target } => {
                let index = self.directory.find(target).unwrap_or(self.own);
                memberlist::Message::IndirectPing {
                    sequence,
                    target: self.address(index),
                    node: self.directory.name(index),
                    nack: true,
                    source: Some(self.source()),
                }
            }
            Message::Ack { sequence } => memberlist::Message::Ack { sequence, payload: b"" },
            Message::Nack { sequence } => memberlist::Message::Nack { sequence },
            Message::Suspect { subject, incarnation, accuser } => memberlist::Message::Suspect {
                incarnation: wire_incarnation(incarnation),
                node: self.of(subject),
                from: self.of(accuser),
            },
            Message::Left { subject, incarnation } => memberlist::Message::Dead {
                incarnation: wire_incarnation(incarnation),
                node: self.of(subject),
                from: self.of(subject),
            },
            Message::Dead { subject, incarnation } => memberlist::Message::Dead {
                incarnation: wire_incarnation(incarnation),
                node: self.of(subject),
                from: self.own_name(),
            },
            // What another member says of itself; other updates go by `news`.
            Message::Introduction(Introduction { incarnation, address, name, metadata, .. }) => {
                memberlist::Message::Alive(Alive {
                    incarnation: wire_incarnation(incarnation),
                    node: name,
                    address,
                    metadata,
                    versions: self.versions,
                })
            }
            Message::Alive { subject, incarnation, .. } => {
                let index = self.directory.find(subject).unwrap_or(self.own);
                memberlist::Message::Alive(self.alive(index, incarnation))
            }
            Message::UserEvent(event) => memberlist::Message::User(event.payload),
        }
    }

    /// How news about the member at `subject` is sent.
    fn news(
        &self,
        subject: MemberIndex,
        news: Update,
        incarnation: Incarnation,
        events: &'a EventStore,
    ) -> memberlist::Message<'a> {
        let node = || self.directory.name(subject);
        let wire_incarnation = wire_incarnation(incarnation);
        match news {
            Update::Event => memberlist::Message::User(events.body(subject)),
            Update::Alive { .. } => memberlist::Message::Alive(self.alive(subject, incarnation)),
            Update::Suspect { accuser } => memberlist::Message::Suspect {
                incarnation: wire_incarnation,
                node: node(),
                from: self.of(accuser),
            },
            Update::Dead => memberlist::Message::Dead {
                incarnation: wire_incarnation,
                node: node(),
                from: self.own_name(),
            },
            // memberlist's way to tell leaving from failing: a member that left says so itself.
            Update::Left => {
                memberlist::Message::Dead { incarnation: wire_incarnation, node: node(), from: node() }
            }
        }
    }
}

/// Incarnations have 32 bits on this wire.
pub(super) fn wire_incarnation(incarnation: Incarnation) -> u32 {
    u32::try_from(incarnation.get()).unwrap_or(u32::MAX)
}

/// A packet that is being put together: what it is sent for, and news.
struct Packet<'a> {
    names: Names<'a>,
    destination: MemberId,
    messages: &'a [Message<'a>],
    chosen: &'a [u32],
    broadcasts: &'a BroadcastPool,
    events: &'a EventStore,
}

/// How many of its parts fit, and how long they are together.
struct Measured {
    parts: usize,
    bytes: usize,
}

impl Measured {
    /// Bytes of the packet before it is sealed. A part alone needs no compound around it.
    fn plain_len(&self) -> usize {
        self.bytes + compound_overhead(self.parts)
    }
}

impl<'a> Packet<'a> {
    fn parts(&self) -> impl Iterator<Item = memberlist::Message<'a>> {
        let messages = self.messages.iter().map(|message| self.names.message(message, self.destination));
        let news = self.chosen.iter().map(|node| {
            let Broadcast { subject, news, incarnation, .. } = *self.broadcasts.get(*node);
            self.names.news(subject, news, incarnation, self.events)
        });
        messages.chain(news)
    }

    /// Measures the parts that fit into `bytes_max`. All do, unless one has grown since it was chosen.
    fn measure(&self, bytes_max: usize) -> Measured {
        let mut measured = Measured { parts: 0, bytes: 0 };
        for part in self.parts() {
            let more = Measured { parts: measured.parts + 1, bytes: measured.bytes + part.encoded_len() };
            if more.plain_len() > bytes_max || measured.parts == PARTS_MAX {
                break;
            }
            measured = more;
        }
        measured
    }

    /// Writes the packet to `out`, which has [`Measured::plain_len`] bytes.
    fn write(&self, measured: &Measured, out: &mut [u8]) {
        let mut parts = self.parts().take(measured.parts);
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
}

impl Member {
    /// Handles the messages of a packet that arrived from `from`.
    pub fn handle_packet<'m>(
        &mut self,
        now: Time,
        from: SocketAddr,
        messages: impl Iterator<Item = Result<memberlist::Message<'m>, memberlist::DecodeError>>,
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) {
        shared.counters.frames_received += 1;
        if self.core.status == Status::Left {
            return;
        }
        self.core.heard = now;
        let cx = &mut Context { now, shared, out };
        for message in messages {
            match message {
                Ok(message) => self.handle_packet_message(cx, from, &message),
                Err(_) => cx.shared.counters.decode_errors += 1,
            }
            if self.core.status == Status::Left {
                return self.core.drop_queue(cx);
            }
        }
        self.gossip.arm(now, &self.core.settings, !self.core.queue.is_empty());
    }

    fn handle_packet_message(
        &mut self,
        cx: &mut Context<'_, '_>,
        from: SocketAddr,
        message: &memberlist::Message<'_>,
    ) {
        let unnamed = Sender { address: from, source: MemberId::NONE, root: None, quiet: false };
        match *message {
            memberlist::Message::Ping { sequence, node, source } => {
                if !node.is_empty() && MemberId::of_name(node) != self.core.id {
                    cx.shared.counters.pings_misdirected += 1;
                    return;
                }
                self.on_ping(cx, &stated_origin(unnamed, source), sequence);
            }
            memberlist::Message::IndirectPing { sequence, target, node, nack, source } => {
                let address = Some(target).filter(|address| AddressFault::of(*address).is_none());
                let wanted = IndirectRequest { target: MemberId::of_name(node), address, nack };
                if let Wire::Memberlist(wire) = &mut cx.shared.wire
                    && node.len() <= NAME_MAX
                {
                    wire.stranger.id = wanted.target;
                    wire.stranger.name.clear();
                    wire.stranger.name.push_str(node);
                }
                self.on_indirect_ping(cx, &stated_origin(unnamed, source), sequence, wanted);
            }
            memberlist::Message::Ack { sequence, .. } => self.on_ack(cx, &unnamed, sequence),
            memberlist::Message::Nack { sequence } => self.on_nack(cx, &unnamed, sequence),
            memberlist::Message::Suspect { incarnation, node, from } => {
                let incarnation = Incarnation::new(incarnation.into());
                self.on_suspect(cx, MemberId::of_name(node), incarnation, accuser(from));
            }
            memberlist::Message::Dead { incarnation, node, from } => {
                let incarnation = Incarnation::new(incarnation.into());
                let subject = MemberId::of_name(node);
                if node == from {
                    self.on_left(cx, subject, incarnation);
                } else {
                    self.on_dead(cx, subject, incarnation);
                }
            }
            memberlist::Message::Alive(ref alive) => self.on_packet_alive(cx, alive),
            memberlist::Message::User(body) => self.core.on_user_message(cx, body),
        }
    }

    fn on_packet_alive(&mut self, cx: &mut Context<'_, '_>, alive: &Alive<'_>) {
        let subject = MemberId::of_name(alive.node);
        let incarnation = Incarnation::new(alive.incarnation.into());
        if self.core.is_old_news(cx, subject, incarnation) {
            return;
        }
        let introduction = Introduction {
            subject,
            incarnation,
            state: State::Alive,
            address: alive.address,
            name: alive.node,
            metadata: alive.metadata,
        };
        if !is_acceptable(&introduction, alive.versions) {
            cx.shared.counters.decode_errors += 1;
            return;
        }
        self.on_introduction(cx, &introduction, alive.versions, true);
    }
}

impl Core {
    /// Whether `subject` is known to live at `incarnation` or later: nearly all of what arrives says no more,
    /// which is told by one lookup, without a look at the rest.
    #[inline]
    pub(super) fn is_old_news(
        &self,
        cx: &Context<'_, '_>,
        subject: MemberId,
        incarnation: Incarnation,
    ) -> bool {
        cx.shared.directory.find(subject).is_some_and(|index| {
            let entry = self.table.get(index);
            index != self.index && entry.is_live() && incarnation <= entry.incarnation()
        })
    }

    /// Bytes that `messages` take in a packet.
    pub(in crate::protocol) fn packet_messages_len(
        &self,
        cx: &Context<'_, '_>,
        destination: MemberId,
        messages: &[Message<'_>],
    ) -> usize {
        let Wire::Memberlist(wire) = &cx.shared.wire else { return 0 };
        let names = self.names(&cx.shared.directory, wire.options.versions, &wire.stranger);
        let lengths = messages.iter().map(|message| names.message(message, destination).encoded_len());
        lengths.map(|length| length + PART_HEADER_LEN).sum()
    }

    /// Bytes that news about `subject` takes in a packet.
    pub(in crate::protocol) fn packet_news_len(
        &self,
        shared: &SharedState,
        subject: MemberIndex,
        news: Update,
        incarnation: Incarnation,
    ) -> usize {
        let Wire::Memberlist(wire) = &shared.wire else { return 0 };
        let names = self.names(&shared.directory, wire.options.versions, &wire.stranger);
        names.news(subject, news, incarnation, &shared.events).encoded_len() + PART_HEADER_LEN
    }

    fn names<'a>(
        &'a self,
        directory: &'a Directory,
        versions: Versions,
        stranger: &'a UnknownTarget,
    ) -> Names<'a> {
        Names { directory, stranger, table: &self.table, own: self.index, versions }
    }

    /// How many of `messages` and the `chosen` news a packet carries, and the bytes it takes. Without
    /// compression.
    pub(super) fn measure_packet(
        &self,
        cx: &Context<'_, '_>,
        to: SocketAddr,
        destination: MemberId,
        messages: &[Message<'_>],
        chosen: &[u32],
    ) -> (usize, usize) {
        let bytes_max = self.frame_bytes_max(cx, to);
        let SharedState { wire, directory, broadcasts, events, .. } = &*cx.shared;
        let Wire::Memberlist(wire) = wire else { return (0, 0) };
        let names = self.names(directory, wire.options.versions, &wire.stranger);
        let around = wire.packet_overhead() - COMPOUND_HEADER_LEN;
        let bytes_max = bytes_max.saturating_sub(around);
        let packet = Packet { names, destination, messages, chosen, broadcasts, events };
        let measured = packet.measure(bytes_max);
        let crc = self.wants_crc(wire, directory, destination, messages);
        (measured.parts, wire.codec.sealed_len(measured.plain_len(), crc))
    }

    /// memberlist puts a checksum on gossip for peers that understand it, and never on probes.
    fn wants_crc(
        &self,
        wire: &MemberlistWire,
        directory: &Directory,
        destination: MemberId,
        messages: &[Message<'_>],
    ) -> bool {
        wire.options.packet_crc && messages.is_empty() && {
            let peer = directory.find(destination);
            let identity = peer.map(|peer| directory.identity(peer, self.table.get(peer).version()));
            identity.is_some_and(|identity| identity.versions().protocol_max() >= Versions::CRC)
        }
    }

    /// Writes a packet with `messages` and the `chosen` news. False if the sink is full.
    pub(in crate::protocol) fn write_packet(
        &self,
        cx: &mut Context<'_, '_>,
        to: SocketAddr,
        destination: MemberId,
        messages: &[Message<'_>],
        chosen: &[u32],
    ) -> bool {
        let bytes_max = self.frame_bytes_max(cx, to);
        let SharedState { wire, directory, broadcasts, events, .. } = &mut *cx.shared;
        let Wire::Memberlist(wire) = wire else { return false };
        let stranger = std::mem::take(&mut wire.stranger);
        let names = self.names(directory, wire.options.versions, &stranger);
        let around = wire.packet_overhead() - COMPOUND_HEADER_LEN;
        let bytes_max = bytes_max.saturating_sub(around);
        let packet = Packet { names, destination, messages, chosen, broadcasts, events };
        let measured = packet.measure(bytes_max);
        let crc = self.wants_crc(wire, directory, destination, messages);
        let written = if wire.options.enable_compression {
            wire.write_compressed(cx.out.frames, to, &packet, &measured, crc)
        } else {
            wire.write(cx.out.frames, to, &packet, &measured, crc)
        };
        wire.stranger = stranger;
        written
    }
}

impl MemberlistWire {
    /// Writes a packet straight into the send buffer.
    fn write(
        &mut self,
        frames: &mut dyn FrameSink,
        to: SocketAddr,
        packet: &Packet<'_>,
        measured: &Measured,
        crc: bool,
    ) -> bool {
        let plain_len = measured.plain_len();
        let Some(buffer) = frames.reserve(to, self.codec.sealed_len(plain_len, crc)) else { return false };
        let at = self.codec.plain_offset(crc);
        packet.write(measured, &mut buffer[at..at + plain_len]);
        self.codec.seal_packet(buffer, plain_len, crc);
        true
    }

    fn write_compressed(
        &mut self,
        frames: &mut dyn FrameSink,
        to: SocketAddr,
        packet: &Packet<'_>,
        measured: &Measured,
        crc: bool,
    ) -> bool {
        self.plain.clear();
        self.plain.resize(measured.plain_len(), 0);
        packet.write(measured, &mut self.plain);
        let at = self.codec.plain_offset(crc);
        if let Some(smaller) = self.codec.compress(&self.plain) {
            // The compressed form is never longer than what it came from.
            self.plain.clear();
            self.plain.extend_from_slice(smaller);
        }
        let plain_len = self.plain.len();
        let Some(buffer) = frames.reserve(to, self.codec.sealed_len(plain_len, crc)) else { return false };
        buffer[at..at + plain_len].copy_from_slice(&self.plain);
        self.codec.seal_packet(buffer, plain_len, crc);
        true
    }
}

/// Who accuses; nobody in particular for an empty name.
fn accuser(name: &str) -> MemberId {
    if name.is_empty() { MemberId::NONE } else { MemberId::of_name(name) }
}

/// The origin of a ping that states where its answer goes and whose it is.
fn stated_origin(from: Sender, source: Option<Source<'_>>) -> Sender {
    match source {
        // Where nobody can be, an answer would not go to whoever asked.
        Some(source) if AddressFault::of(source.address).is_none() => {
            let named = !source.name.is_empty();
            let id = if named { MemberId::of_name(source.name) } else { MemberId::NONE };
            Sender { address: source.address, source: id, ..from }
        }
        _ => from,
    }
}

/// Whether a record may be kept: what could not be told on, or not be sent to, is refused. So are versions
/// that peers drop: one record with them would have every peer refuse whole views of ours.
pub(super) fn is_acceptable(introduction: &Introduction<'_>, versions: Versions) -> bool {
    let Introduction { name, metadata, address, .. } = introduction;
    let reachable = AddressFault::of(*address).is_none();
    (1..=NAME_MAX).contains(&name.len()) && metadata.len() <= METADATA_MAX && reachable && versions.is_valid()
}
