//! Frames as values: what a frame would say, without its bytes.
//!
//! A simulation of a large cluster sends millions of frames that nobody looks at but their receivers, which
//! share one [`SharedState`] with the sender. Writing bytes to read them again is most of the cost then. So a
//! [`SharedState`] can be told to keep frames as values ([`SharedState::use_typed_frames`]): the same messages, each
//! a small plain value, and the exact number of bytes they would have taken. Everything else is as with bytes:
//! the same choice of news, and the same functions that take the messages in.
//!
//! Frames lie in one vector and are used again, so that none is allocated in the steady state.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use swimring_codec::native::{HEADER_LEN, Introduction, Message};
use swimring_codec::{Incarnation, MemberId, State};

use super::{Sender, Wire};
use crate::protocol::detection::relay::IndirectRequest;
use crate::protocol::event::EventIndex;
use crate::protocol::member::Member;
use crate::protocol::outbox::Outbox;
use crate::protocol::pools::broadcasts::{Broadcast, Update};
use crate::protocol::pools::events::{EventKey, EventStore};
use crate::protocol::state::{Context, Core, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::view::pool::NIL;

/// The port of every member whose frames are values.
const PORT: u16 = 7946;

/// Members whose frames are values are addressed by their number in their [`SharedState`], at most so many.
pub const NUMBERS_MAX: u32 = (1 << 24) - 1;

/// Where the member `number` is reached.
pub fn address_of(number: u32) -> SocketAddr {
    let [_, high, middle, low] = number.to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, high, middle, low)), PORT)
}

/// The member that is reached at `address`.
#[inline]
pub fn number_at(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(address) => u32::from(*address.ip()) & NUMBERS_MAX,
        SocketAddr::V6(_) => NUMBERS_MAX,
    }
}

/// A message without what others share: names, addresses, metadata and events stay where they are.
#[derive(Clone, Copy, Debug)]
enum Packed {
    Ping { sequence: u32 },
    IndirectPing { sequence: u32, target: MemberId },
    Ack { sequence: u32 },
    Nack { sequence: u32 },
    Alive { tag: u8, subject: MemberIndex, incarnation: Incarnation },
    Suspect { subject: MemberIndex, incarnation: Incarnation, accuser: MemberId },
    Dead { subject: MemberIndex, incarnation: Incarnation },
    Left { subject: MemberIndex, incarnation: Incarnation },
    Introduction { version: u8, subject: MemberIndex, incarnation: Incarnation },
    UserEvent { at: EventIndex, origin: MemberId, sequence: u32 },
}

/// A frame under way. One cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct TypedFrame {
    root: u64,
    first: Packed,
    /// The other messages, a chain; [`NIL`] ends it. The next free frame while free.
    rest: u32,
    from: u32,
    to: u32,
    quiet: bool,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    message: Packed,
    next: u32,
}

/// A frame that was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Where it lies.
    pub frame: u32,
    /// The number of the member it is for.
    pub to: u32,
    /// What it would take on the wire.
    pub bytes: u32,
}

/// Storage for frames under way. See the module.
#[derive(Debug)]
pub struct TypedFrames {
    frames: Vec<TypedFrame>,
    frames_free: u32,
    rests: Vec<Rest>,
    rests_free: u32,
    /// Written since the driver last looked.
    pub sent: Vec<Sent>,
    /// Who is introduced, while it is taken in.
    name: String,
    metadata: Vec<u8>,
}

impl TypedFrames {
    fn new() -> TypedFrames {
        TypedFrames {
            frames: Vec::new(),
            frames_free: NIL,
            rests: Vec::new(),
            rests_free: NIL,
            sent: Vec::new(),
            name: String::new(),
            metadata: Vec::new(),
        }
    }

    /// Keeps `frame`.
    #[inline]
    fn add(&mut self, frame: TypedFrame) -> u32 {
        let at = self.frames_free;
        match self.frames.get_mut(at as usize) {
            Some(slot) => {
                self.frames_free = slot.rest;
                *slot = frame;
                at
            }
            None => {
                self.frames.push(frame);
                (self.frames.len() - 1) as u32
            }
        }
    }

    fn add_rest(&mut self, rest: Rest) -> u32 {
        let at = self.rests_free;
        match self.rests.get_mut(at as usize) {
            Some(slot) => {
                self.rests_free = slot.next;
                *slot = rest;
                at
            }
            None => {
                self.rests.push(rest);
                (self.rests.len() - 1) as u32
            }
        }
    }

    /// Appends `message`, the `nth` of the frame at `at`, of which `last` is the end of the chain. Gives the new
    /// end.
    #[inline]
    fn push(&mut self, at: u32, nth: usize, last: u32, message: Packed) -> u32 {
        if nth == 0 {
            self.frames[at as usize].first = message;
            return NIL;
        }
        let rest = self.add_rest(Rest { message, next: NIL });
        match self.rests.get_mut(last as usize) {
            Some(last) => last.next = rest,
            None => self.frames[at as usize].rest = rest,
        }
        rest
    }

    /// Takes the frame at `at` out. Its chain stays, to be taken message by message.
    #[inline]
    fn take(&mut self, at: u32) -> TypedFrame {
        let frame = self.frames[at as usize];
        self.frames[at as usize].rest = self.frames_free;
        self.frames_free = at;
        frame
    }

    fn take_rest(&mut self, at: u32) -> Rest {
        let rest = self.rests[at as usize];
        self.rests[at as usize].next = self.rests_free;
        self.rests_free = at;
        rest
    }

    /// The members that the frame at `at` is from and for.
    #[inline]
    pub fn ends(&self, at: u32) -> (u32, u32) {
        let frame = &self.frames[at as usize];
        (frame.from, frame.to)
    }

    /// Drops the frame at `at`: it was lost.
    pub fn drop(&mut self, at: u32) {
        let mut next = self.take(at).rest;
        while next != NIL {
            next = self.take_rest(next).next;
        }
    }

    /// Bytes of memory that the frames under way take at most so far.
    pub fn memory_bytes(&self) -> usize {
        self.frames.capacity() * size_of::<TypedFrame>() + self.rests.capacity() * size_of::<Rest>()
    }
}

impl SharedState {
    /// Has the members of this storage keep their frames as values from now on. Every member has to be at
    /// [`address_of`] its number, and nobody else to take part.
    pub fn use_typed_frames(&mut self) {
        self.typed = Some(Box::new(TypedFrames::new()));
    }

    /// The frames under way; nothing unless they are kept as values.
    #[inline]
    pub fn typed_frames(&mut self) -> Option<&mut TypedFrames> {
        self.typed.as_deref_mut()
    }
}

impl Member {
    /// Takes in the frame at `at`, as `handle_frame` or `handle_packet` takes in its bytes. The frame is gone
    /// then.
    pub fn handle_typed_frame(&mut self, now: Time, at: u32, shared: &mut SharedState, out: &mut Outbox<'_>) {
        shared.counters.frames_received += 1;
        let Some(typed) = shared.typed.as_deref_mut() else { return };
        if self.core.status == Status::Left {
            return typed.drop(at);
        }
        self.core.heard = now;
        let frame = typed.take(at);
        let address = address_of(frame.from);
        let origin = match shared.wire {
            Wire::Native => {
                let source = shared.directory.id(frame.from);
                Sender { address, source, root: Some(frame.root), quiet: frame.quiet }
            }
            Wire::Memberlist(_) => Sender { address, source: MemberId::NONE, root: None, quiet: false },
        };
        let cx = &mut Context { now, shared, out };
        self.handle_packed(cx, &origin, frame.from, frame.first);
        let mut next = frame.rest;
        while next != NIL {
            let Some(typed) = cx.shared.typed.as_deref_mut() else { return };
            let rest = typed.take_rest(next);
            next = rest.next;
            if self.core.status != Status::Left {
                self.handle_packed(cx, &origin, frame.from, rest.message);
            }
        }
        if self.core.status == Status::Left {
            return self.core.drop_queue(cx);
        }
        self.gossip.arm(now, &self.core.settings, !self.core.queue.is_empty());
    }

    #[inline]
    fn handle_packed(&mut self, cx: &mut Context<'_, '_>, origin: &Sender, from: u32, message: Packed) {
        match message {
            Packed::Ping { sequence } => {
                // memberlist's pings state whom they are from; no other message of its does.
                let source =
                    if origin.source.is_none() { cx.shared.directory.id(from) } else { origin.source };
                self.on_ping(cx, &Sender { source, ..*origin }, sequence);
            }
            Packed::Ack { sequence } => self.on_ack(cx, origin, sequence),
            Packed::Nack { sequence } => self.on_nack(cx, origin, sequence),
            Packed::IndirectPing { sequence, target } => {
                let source = cx.shared.directory.id(from);
                let stated = || cx.shared.directory.find(target).map(address_of);
                let address = if cx.shared.wire.is_native() { None } else { stated() };
                let wanted = IndirectRequest { target, address, nack: true };
                self.on_indirect_ping(cx, &Sender { source, ..*origin }, sequence, wanted);
            }
            Packed::Alive { tag, subject, incarnation } => self.on_alive(cx, subject, incarnation, tag),
            Packed::Suspect { subject, incarnation, accuser } => {
                self.on_suspect(cx, subject, incarnation, accuser);
            }
            Packed::Dead { subject, incarnation } => self.on_dead(cx, subject, incarnation),
            Packed::Left { subject, incarnation } => self.on_left(cx, subject, incarnation),
            Packed::Introduction { version, subject, incarnation } => {
                self.on_packed_introduction(cx, subject, version, incarnation);
            }
            Packed::UserEvent { at, origin, sequence } => {
                self.core.on_stored_event(cx, at, EventKey { origin, sequence });
            }
        }
    }

    /// An introduction of whoever is at `subject`.
    fn on_packed_introduction(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberIndex,
        version: u8,
        incarnation: Incarnation,
    ) {
        let id = cx.shared.directory.id(subject);
        let native = cx.shared.wire.is_native();
        if !native && self.core.is_old_news(cx, id, incarnation) {
            return;
        }
        let SharedState { typed, directory, .. } = &mut *cx.shared;
        let Some(typed) = typed.as_deref_mut() else { return };
        let (mut name, mut metadata) = (std::mem::take(&mut typed.name), std::mem::take(&mut typed.metadata));
        name.clear();
        name.push_str(directory.name(subject));
        let identity = directory.identity(subject, version);
        metadata.clear();
        metadata.extend_from_slice(identity.metadata());
        let (address, versions) = (identity.address(), identity.versions());
        let introduction = Introduction {
            subject: id,
            incarnation,
            state: State::Alive,
            address,
            name: &name,
            metadata: &metadata,
        };
        self.on_introduction(cx, &introduction, versions, true);
        if let Some(typed) = cx.shared.typed.as_deref_mut() {
            (typed.name, typed.metadata) = (name, metadata);
        }
    }
}

impl Core {
    /// Keeps a frame with `messages` and the `chosen` news as a value, where `write_frame` or `write_packet`
    /// would have written it.
    pub(in crate::protocol) fn write_typed(
        &self,
        cx: &mut Context<'_, '_>,
        to: SocketAddr,
        destination: MemberId,
        messages: &[Message<'_>],
        length: usize,
        chosen: &[u32],
    ) -> bool {
        let (count, bytes) = match cx.shared.wire {
            Wire::Native => (messages.len() + chosen.len(), HEADER_LEN + length),
            Wire::Memberlist(_) => self.measure_packet(cx, to, destination, messages, chosen),
        };
        let SharedState { typed, broadcasts, directory, events, .. } = &mut *cx.shared;
        let Some(typed) = typed.as_deref_mut() else { return false };
        let frame = TypedFrame {
            root: self.table.root(),
            // Overwritten: a frame says something.
            first: Packed::Nack { sequence: 0 },
            rest: NIL,
            from: self.number,
            to: number_at(to),
            quiet: self.queue.is_quiet(),
        };
        let at = typed.add(frame);
        let mut last = NIL;
        for (nth, message) in messages.iter().take(count).enumerate() {
            last = typed.push(at, nth, last, pack(message, directory));
        }
        let left = count.saturating_sub(messages.len());
        for (nth, node) in chosen.iter().take(left).enumerate() {
            let news = self.packed_news(broadcasts.get(*node), directory, events);
            last = typed.push(at, messages.len() + nth, last, news);
        }
        typed.sent.push(Sent { frame: at, to: frame.to, bytes: bytes as u32 });
        true
    }

    /// How a broadcast is kept.
    fn packed_news(&self, broadcast: &Broadcast, directory: &Directory, events: &EventStore) -> Packed {
        let Broadcast { subject, news, incarnation, .. } = *broadcast;
        match news {
            Update::Event => {
                let key = events.key(subject);
                let (origin, sequence) = key.map_or((MemberId::NONE, 0), |key| (key.origin, key.sequence));
                Packed::UserEvent { at: subject, origin, sequence }
            }
            Update::Alive { introduce: true } => {
                Packed::Introduction { version: self.table.get(subject).version(), subject, incarnation }
            }
            Update::Alive { introduce: false } => {
                let version = self.table.get(subject).version();
                Packed::Alive { tag: directory.identity(subject, version).tag(), subject, incarnation }
            }
            Update::Suspect { accuser } => Packed::Suspect { subject, incarnation, accuser },
            Update::Dead => Packed::Dead { subject, incarnation },
            Update::Left => Packed::Left { subject, incarnation },
        }
    }
}

/// `message` as it is kept. News goes by the queue and does not come here.
fn pack(message: &Message<'_>, directory: &Directory) -> Packed {
    let index = |id: MemberId| directory.find(id).unwrap_or(NIL);
    match *message {
        Message::Ping { sequence } => Packed::Ping { sequence },
        Message::IndirectPing { sequence, target } => Packed::IndirectPing { sequence, target },
        Message::Ack { sequence } => Packed::Ack { sequence },
        Message::Nack { sequence } => Packed::Nack { sequence },
        Message::Suspect { subject, incarnation, accuser } => {
            Packed::Suspect { subject: index(subject), incarnation, accuser }
        }
        Message::Dead { subject, incarnation } => Packed::Dead { subject: index(subject), incarnation },
        Message::Left { subject, incarnation } => Packed::Left { subject: index(subject), incarnation },
        Message::Alive { subject, incarnation, tag } => {
            Packed::Alive { tag, subject: index(subject), incarnation }
        }
        Message::Introduction(Introduction { subject, incarnation, .. }) => {
            Packed::Introduction { version: 0, subject: index(subject), incarnation }
        }
        Message::UserEvent(event) => {
            Packed::UserEvent { at: NIL, origin: event.origin, sequence: event.sequence }
        }
    }
}

const _: () = assert!(size_of::<TypedFrame>() == 64 && size_of::<Rest>() <= 32);
