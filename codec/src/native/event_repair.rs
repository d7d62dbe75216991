//! User events that a member has missed: finding out which, and asking for them.
//!
//! An event has an *id*, the upper 56 bits of a hash of its origin and sequence, and a *term*, the hash's low 32 bits. Sums of
//! terms stand for sets of events: where those of two members differ, the ids tell what one of them lacks. The
//! ids fall into *parts* by their leading bits, so that only the parts that differ are listed. All messages have the
//! same length, and each means something on its own.

use xxhash_rust::xxh3::xxh3_64;
use zerocopy::little_endian::U32;

use super::layout::{EventAge, EventName, EventSum as Layout, kind};
use super::parts::{reserved, take};
use super::{DecodeError, Message, MessageVisitor};
use crate::MemberId;

/// Bytes of each message about events that were missed.
pub const EVENT_REPAIR_LEN: usize = size_of::<EventName>();
/// Most leading bits that tell one part of the events from another.
pub const EVENT_PART_BITS_MAX: u8 = 7;

/// In the byte that says how many bits a part has: it answers another sum.
const ANSWER: u8 = 0x80;

const _: () = assert!(size_of::<Layout>() == EVENT_REPAIR_LEN && size_of::<EventAge>() == EVENT_REPAIR_LEN);

/// What tells user events apart where naming origin and sequence would take too many bytes: 56 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventId(u64);

impl EventId {
    const BITS: u32 = 56;

    /// The id with these 56 bits; nothing if there are more.
    pub const fn from_bits(bits: u64) -> Option<EventId> {
        if bits >> Self::BITS == 0 { Some(EventId(bits)) } else { None }
    }

    /// Id and term of the event that `origin` sent with this sequence.
    pub fn of(origin: MemberId, sequence: u32) -> (EventId, u32) {
        let mut named = [0; 12];
        named[..8].copy_from_slice(&origin.0.to_le_bytes());
        named[8..].copy_from_slice(&sequence.to_le_bytes());
        let hash = xxh3_64(&named);
        (EventId(hash >> (u64::BITS - Self::BITS)), hash as u32)
    }

    /// Its 56 bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    pub(super) fn layout(self, kind: u8) -> EventName {
        let [a, b, c, d, e, f, g, _] = self.0.to_le_bytes();
        EventName { kind, id: [a, b, c, d, e, f, g] }
    }
}

/// The events whose ids begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EventPart {
    /// How many bits, 0 to [`EVENT_PART_BITS_MAX`].
    pub bits: u8,
    /// These bits as a number, below two to their number.
    pub nth: u8,
}

impl EventPart {
    /// The part with so many bits that `id` is in.
    pub const fn of(id: EventId, bits: u8) -> EventPart {
        EventPart { bits, nth: (id.0 >> (EventId::BITS - bits as u32)) as u8 }
    }

    const fn is_valid(self) -> bool {
        self.bits <= EVENT_PART_BITS_MAX && self.nth as u16 >> self.bits == 0
    }
}

/// What the events of a part sum to that a member knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventSum {
    /// Which part.
    pub part: EventPart,
    /// Quarters of a second: of events that are older the sender says nothing, and wants to hear nothing.
    pub age_max: u8,
    /// It answers a sum that differed: to be answered by what is known, and by no sum.
    pub answer: bool,
    /// Sum of the events' terms, modulo 2^32.
    pub sum: u32,
}

impl EventSum {
    pub(super) fn layout(self) -> Option<Layout> {
        let EventPart { bits, nth } = self.part;
        let bits = if self.answer { bits | ANSWER } else { bits };
        self.part.is_valid().then_some(Layout {
            kind: kind::EVENT_SUM,
            bits,
            nth,
            age_max: self.age_max,
            sum: U32::new(self.sum),
        })
    }
}

pub(super) fn age(age_ms: u32) -> EventAge {
    EventAge { kind: kind::EVENT_AGE, reserved: [0; 3], age_ms: U32::new(age_ms) }
}

/// Takes the message of `kind` off the front of `bytes` and shows it to `visitor`.
pub(super) fn take_message<'a>(
    kind: u8,
    bytes: &mut &'a [u8],
    visitor: &mut impl MessageVisitor<'a>,
) -> Result<(), DecodeError> {
    match kind {
        kind::EVENT_SUM => {
            let layout = take::<Layout>(bytes)?;
            let part = EventPart { bits: layout.bits & !ANSWER, nth: layout.nth };
            if !part.is_valid() {
                return Err(DecodeError::Field("event part"));
            }
            let (age_max, answer) = (layout.age_max, layout.bits & ANSWER != 0);
            visitor.visit(Message::EventSum(EventSum { part, age_max, answer, sum: layout.sum.get() }));
        }
        kind::EVENT_AGE => {
            let age = take::<EventAge>(bytes)?;
            reserved(age.reserved)?;
            visitor.visit(Message::EventAge { age_ms: age.age_ms.get() });
        }
        _ => {
            let name = take::<EventName>(bytes)?;
            let [a, b, c, d, e, f, g] = name.id;
            let id = EventId(u64::from_le_bytes([a, b, c, d, e, f, g, 0]));
            let known = kind == kind::EVENT_KNOWN;
            visitor.visit(if known { Message::EventKnown { id } } else { Message::EventWanted { id } });
        }
    }
    Ok(())
}
