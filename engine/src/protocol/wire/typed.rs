//! Frames as values: what a frame would say, without its bytes.
//!
//! A simulation of a large cluster sends millions of frames that nobody looks at but their receivers, which
//! share their storage with the sender. Writing bytes to read them again is most of the cost then. So storage
//! can be told to keep frames as values ([`super::super::SharedState::use_typed_frames`]): the same messages,
//! each a small plain value, and the exact number of bytes they would have taken. Everything else is as with
//! bytes: the same choice of updates, and the same functions that take the messages in.
//!
//! Frames lie in one vector and are used again, so that none is allocated in the steady state.

mod reader;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use swimring_codec::native::{EntryWanted, EventId, EventSum, FRAME_MAX, Introduction, KeyRoots, Message};
use swimring_codec::{Incarnation, MemberId};

use super::frame::{Format, Frame, Speaker};
use super::memberlist::{Measured, Memberlist};
use super::message::{EventKey, Outgoing, Update};
use super::native::Native;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::linked_lists::NIL;

pub(in crate::protocol) use self::reader::TypedReader;

/// The port of every member whose frames are values.
const PORT: u16 = 7946;

/// Members whose frames are values are addressed by their number in their storage, at most so many.
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
    Ping {
        sequence: u32,
        event_root: u32,
    },
    IndirectPing {
        sequence: u32,
        target: MemberId,
    },
    Ack {
        sequence: u32,
        event_root: u32,
    },
    Nack {
        sequence: u32,
    },
    Delegation {
        prefix_bits: u8,
        view_first: bool,
        zone: u16,
        number: u32,
    },
    DelegationAck {
        number: u32,
    },
    Alive {
        tag: u8,
        subject: MemberIndex,
        incarnation: Incarnation,
    },
    Suspect {
        subject: MemberIndex,
        incarnation: Incarnation,
        accuser: MemberId,
    },
    Dead {
        subject: MemberIndex,
        incarnation: Incarnation,
    },
    Left {
        subject: MemberIndex,
        incarnation: Incarnation,
    },
    Introduction {
        version: u8,
        subject: MemberIndex,
        incarnation: Incarnation,
    },
    UserEvent {
        at: u32,
        origin: MemberId,
        sequence: u32,
    },
    EventSum(EventSum),
    EventKnown {
        id: EventId,
    },
    EventWanted {
        id: EventId,
    },
    EventAge {
        age_ms: u32,
    },
    EntryWanted {
        tag: u8,
        subject: MemberId,
        incarnation: Incarnation,
    },
    ViewRepair {
        began: bool,
    },
    /// One that is longer, as it would travel, at this place.
    Encoded {
        at: u32,
    },
    KeyRoots(KeyRoots),
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

/// The format whose frames are kept as values: it says how long they would be, and how much fits.
#[derive(Debug)]
pub(super) enum Sizes {
    Native(Native),
    Memberlist(Box<Memberlist>),
}

/// Storage for frames under way. See the module.
#[derive(Debug)]
pub struct TypedFrames {
    sizes: Sizes,
    frames: Vec<TypedFrame>,
    frames_free: u32,
    rests: Vec<Rest>,
    rests_free: u32,
    /// Messages that are too long to be small values, and the places that are free.
    encoded: Vec<Vec<u8>>,
    encoded_free: Vec<u32>,
    /// Written since the driver last looked.
    pub sent: Vec<Sent>,
    /// What of a frame is no small value, while it is taken in. Lent to the reader, which moves.
    unpacked: Option<Box<Unpacked>>,
}

/// Room for what of a frame is no small value, while it is taken in.
#[derive(Debug, Default)]
struct Unpacked {
    /// Who is introduced.
    name: String,
    metadata: Vec<u8>,
    zone: String,
    /// A message that is kept as it travels.
    message: Vec<u8>,
}

impl TypedFrames {
    pub(super) fn new(sizes: Sizes) -> TypedFrames {
        TypedFrames {
            sizes,
            frames: Vec::new(),
            frames_free: NIL,
            rests: Vec::new(),
            rests_free: NIL,
            encoded: Vec::new(),
            encoded_free: Vec::new(),
            sent: Vec::new(),
            unpacked: None,
        }
    }

    /// memberlist's format, if that is what the values stand for.
    pub(super) fn memberlist(&self) -> Option<&Memberlist> {
        match &self.sizes {
            Sizes::Native(_) => None,
            Sizes::Memberlist(memberlist) => Some(memberlist),
        }
    }

    /// The same.
    pub(super) fn memberlist_mut(&mut self) -> Option<&mut Memberlist> {
        match &mut self.sizes {
            Sizes::Native(_) => None,
            Sizes::Memberlist(memberlist) => Some(memberlist),
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

    /// Keeps a message as it would travel.
    fn encode(&mut self, message: &Message<'_>) -> Packed {
        let at = self.encoded_free.pop().unwrap_or_else(|| {
            self.encoded.push(Vec::with_capacity(FRAME_MAX));
            (self.encoded.len() - 1) as u32
        });
        let bytes = &mut self.encoded[at as usize];
        bytes.resize(message.encoded_len(), 0);
        let written = message.encode(bytes);
        debug_assert!(written.is_some(), "what is said is within the rules");
        Packed::Encoded { at }
    }

    /// `message` is not taken in.
    fn forget(&mut self, message: Packed) {
        if let Packed::Encoded { at } = message {
            self.encoded_free.push(at);
        }
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
        let TypedFrame { first, rest: mut next, .. } = self.take(at);
        self.forget(first);
        while next != NIL {
            let rest = self.take_rest(next);
            self.forget(rest.message);
            next = rest.next;
        }
    }

    /// Bytes of memory that the frames under way take at most so far.
    pub fn memory_bytes(&self) -> usize {
        self.frames.capacity() * size_of::<TypedFrame>() + self.rests.capacity() * size_of::<Rest>()
    }
}

/// How many of a frame's parts are kept, and the bytes they would take.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Kept {
    parts: usize,
    bytes: usize,
}

impl Format for TypedFrames {
    const IN_MEMORY: bool = true;

    type Plan = Kept;

    fn overhead(&self) -> usize {
        match &self.sizes {
            Sizes::Native(native) => native.overhead(),
            Sizes::Memberlist(memberlist) => memberlist.overhead(),
        }
    }

    fn frame_bytes_least(&self) -> usize {
        match &self.sizes {
            Sizes::Native(native) => native.frame_bytes_least(),
            Sizes::Memberlist(memberlist) => memberlist.frame_bytes_least(),
        }
    }

    fn bounds_messages(&self) -> bool {
        matches!(self.sizes, Sizes::Memberlist(_))
    }

    #[inline]
    fn part_len(&self, speaker: &Speaker<'_>, destination: MemberId, said: &Outgoing<'_>) -> usize {
        match &self.sizes {
            Sizes::Native(native) => native.part_len(speaker, destination, said),
            Sizes::Memberlist(memberlist) => memberlist.part_len(speaker, destination, said),
        }
    }

    /// Without compression.
    #[inline]
    fn plan<'a, U>(&mut self, frame: &Frame<'a, U>) -> (Kept, usize)
    where
        U: Iterator<Item = Outgoing<'a>> + Clone,
    {
        let (parts, bytes) = match &mut self.sizes {
            Sizes::Native(native) => (usize::MAX, native.plan(frame).1),
            Sizes::Memberlist(memberlist) => {
                let (Measured { parts, .. }, bytes) = memberlist.measure(frame);
                (parts, bytes)
            }
        };
        (Kept { parts, bytes }, bytes)
    }

    #[inline]
    fn write<'a, U>(&mut self, frame: &Frame<'a, U>, plan: Kept, _: &mut [u8])
    where
        U: Iterator<Item = Outgoing<'a>> + Clone,
    {
        let speaker = frame.speaker;
        let to = number_at(frame.to);
        let at = self.add(TypedFrame {
            root: speaker.table.root(),
            // Overwritten: a frame says something.
            first: Packed::Nack { sequence: 0 },
            rest: NIL,
            from: speaker.number,
            to,
            quiet: speaker.quiet,
        });
        let mut last = NIL;
        for (nth, said) in frame.parts().take(plan.parts).enumerate() {
            let message = match said {
                Outgoing::ViewSketch(sketch) => self.encode(&Message::ViewSketch(sketch)),
                Outgoing::ViewSums(sums) => self.encode(&Message::ViewSums(sums)),
                Outgoing::ViewList(list) => self.encode(&Message::ViewList(list)),
                Outgoing::Direct { payload } => self.encode(&Message::Direct { payload }),
                said => pack(speaker, &said),
            };
            last = self.push(at, nth, last, message);
        }
        self.sent.push(Sent { frame: at, to, bytes: plan.bytes as u32 });
    }
}

/// `said` as it is kept.
#[inline]
fn pack(speaker: &Speaker<'_>, said: &Outgoing<'_>) -> Packed {
    let (subject, update, incarnation) = match *said {
        Outgoing::Ping { sequence } => return Packed::Ping { sequence, event_root: speaker.event_root },
        Outgoing::IndirectPing { sequence, target } => return Packed::IndirectPing { sequence, target },
        Outgoing::Ack { sequence } => return Packed::Ack { sequence, event_root: speaker.event_root },
        Outgoing::Nack { sequence } => return Packed::Nack { sequence },
        Outgoing::Delegation { number, prefix_bits, zone, view_first } => {
            return Packed::Delegation { number, prefix_bits, zone, view_first };
        }
        Outgoing::DelegationAck { number } => return Packed::DelegationAck { number },
        Outgoing::EventSum(sum) => return Packed::EventSum(sum),
        Outgoing::EventKnown { id } => return Packed::EventKnown { id },
        Outgoing::EventWanted { id } => return Packed::EventWanted { id },
        Outgoing::EventAge { age_ms } => return Packed::EventAge { age_ms },
        Outgoing::EntryWanted(EntryWanted { subject, incarnation, tag }) => {
            return Packed::EntryWanted { tag, subject, incarnation };
        }
        Outgoing::ViewRepair { began } => return Packed::ViewRepair { began },
        // Kept as they travel.
        Outgoing::ViewSketch(_) | Outgoing::ViewSums(_) | Outgoing::ViewList(_) | Outgoing::Direct { .. } => {
            return Packed::Encoded { at: NIL };
        }
        Outgoing::KeyRoots(roots) => return Packed::KeyRoots(roots),
        Outgoing::Event(stored) => {
            let EventKey { origin, sequence } = stored.key;
            return Packed::UserEvent { at: stored.at, origin, sequence };
        }
        Outgoing::Claim(&Introduction { subject, incarnation, .. }) => {
            let subject = speaker.directory.find(subject).unwrap_or(NIL);
            return Packed::Introduction { version: 0, subject, incarnation };
        }
        Outgoing::Update { subject, update, incarnation } => (subject, update, incarnation),
    };
    match update {
        Update::Alive { introduce: true } => {
            Packed::Introduction { version: speaker.table.get(subject).version(), subject, incarnation }
        }
        Update::Alive { introduce: false } | Update::Event => {
            Packed::Alive { tag: speaker.identity(subject).tag(), subject, incarnation }
        }
        Update::Suspect { accuser } => Packed::Suspect { subject, incarnation, accuser },
        Update::Dead => Packed::Dead { subject, incarnation },
        Update::Left => Packed::Left { subject, incarnation },
    }
}

const _: () = assert!(size_of::<TypedFrame>() == 64 && size_of::<Rest>() <= 32);
