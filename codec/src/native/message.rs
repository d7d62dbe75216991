//! The messages of a frame.
//!
//! Each starts with a byte for its kind and has a fixed size, except introductions and user events,
//! which say how long their tails are. An update about a member that the receiver already knows takes
//! 16 bytes; only an introduction spends more, once. Updates and user events stand for themselves, or follow
//! a delegation, which asks their receiver to tell them on to its part of the cluster.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes};

use super::direct::{self, DIRECT_HEADER_LEN};
use super::event_repair::{self, EVENT_REPAIR_LEN, EventId, EventSum};
use super::key_values::{KEY_ROOTS_LEN, KeyRoots};
use super::layout::{self, Delegation, Probe, Relay, Suspicion, Update, kind};
use super::parts::{member, reserved, take, update};
use super::signed::{self, SIGNATURE_MESSAGE_LEN, Signature};
use super::view_repair::{
    self, ENTRY_WANTED_LEN, EntryWanted, VIEW_REPAIR_LEN, ViewList, ViewSketch, ViewSums,
};
use super::{DecodeError, Introduction, UserEvent};
use crate::{Incarnation, MemberId};

/// Bytes of a ping, ack or nack.
pub const PROBE_LEN: usize = size_of::<Probe>();
/// Bytes of an indirect ping.
pub const RELAY_LEN: usize = size_of::<Relay>();
/// Bytes of an alive, dead or left about a known member.
pub const UPDATE_LEN: usize = size_of::<Update>();
/// Bytes of a suspect.
pub const SUSPECT_LEN: usize = size_of::<Suspicion>();
/// Bytes of a delegation or its acknowledgement.
pub const DELEGATION_LEN: usize = size_of::<Delegation>();
/// Most leading bits that a delegation leaves fixed: all that an id has.
pub const PREFIX_BITS_MAX: u8 = u64::BITS as u8;

/// Largest event root in a ping or ack: 24 bits.
pub const EVENT_ROOT_MAX: u32 = (1 << 24) - 1;

/// One message of a frame. Borrows from the received bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// Answer me.
    Ping {
        /// Echoed in the ack.
        sequence: u32,
        /// Stands for the user events of late that the sender knows; at most [`EVENT_ROOT_MAX`].
        event_root: u32,
    },
    /// Ping `target` for me and pass its ack on; a nack if it stays silent.
    IndirectPing {
        /// Echoed in the ack or nack.
        sequence: u32,
        /// Whom to ping.
        target: MemberId,
    },
    /// The answer to a ping or indirect ping.
    Ack {
        /// From the ping.
        sequence: u32,
        /// Stands for the user events of late that the sender knows; at most [`EVENT_ROOT_MAX`].
        event_root: u32,
    },
    /// The relay is well and reached nobody.
    Nack {
        /// From the indirect ping.
        sequence: u32,
    },
    /// `subject` lives, at this incarnation.
    Alive {
        /// Who.
        subject: MemberId,
        /// Its incarnation.
        incarnation: Incarnation,
        /// Tells address and metadata apart: the low byte of their hash. A receiver that holds others
        /// does not adopt the incarnation, since it has missed an introduction.
        tag: u8,
    },
    /// `accuser` got no answer from `subject`.
    Suspect {
        /// The suspect.
        subject: MemberId,
        /// The incarnation that is accused.
        incarnation: Incarnation,
        /// The accuser, [`MemberId::NONE`] if unknown.
        accuser: MemberId,
    },
    /// `subject` has been declared failed.
    Dead {
        /// Who.
        subject: MemberId,
        /// The incarnation that died.
        incarnation: Incarnation,
    },
    /// `subject` said goodbye.
    Left {
        /// Who.
        subject: MemberId,
        /// Its last incarnation.
        incarnation: Incarnation,
    },
    /// A member, with everything needed to add it.
    Introduction(Introduction<'a>),
    /// A user event.
    UserEvent(UserEvent<'a>),
    /// The updates and user events that follow in this frame, up to the next delegation: tell them to all members
    /// of `zone` whose ids share their first `prefix_bits` bits with yours, and acknowledge `number`.
    Delegation {
        /// Echoed in the acknowledgement. A frame acknowledges as a whole: all delegations in one have the same.
        number: u32,
        /// Leading bits of the receiver's own id, 0 to [`PREFIX_BITS_MAX`]: which part of the cluster is meant.
        prefix_bits: u8,
        /// The zone's [tag](crate::identity::zone_tag).
        zone: u16,
        /// The sender's view has far more to tell than what follows: get it before you tell others.
        view_first: bool,
    },
    /// Everything that was delegated under `number` is taken over, or needs nobody to take it over.
    DelegationAck {
        /// From the delegation.
        number: u32,
    },
    /// What the user events that the sender knows sum to, in one part of them.
    EventSum(EventSum),
    /// The sender knows this user event.
    EventKnown {
        /// The event's id.
        id: EventId,
    },
    /// Send this user event.
    EventWanted {
        /// The event's id.
        id: EventId,
    },
    /// The user event that follows repairs what its receiver has missed, and is so old.
    EventAge {
        /// Milliseconds since it was first told, as far as the sender knows.
        age_ms: u32,
    },
    /// A sketch of the sender's view.
    ViewSketch(ViewSketch<'a>),
    /// What parts of the sender's view sum to.
    ViewSums(ViewSums<'a>),
    /// What the sender has, or wants, in a range of ids.
    ViewList(ViewList<'a>),
    /// Send what you know of this member.
    EntryWanted(EntryWanted),
    /// What follows in this frame repairs the receiver's view, or asks for what repairs the sender's.
    ViewRepair {
        /// The sender began the exchange.
        began: bool,
    },
    /// What the sender has of shared state.
    KeyRoots(KeyRoots),
    /// What the subject of the claim that follows has signed it with.
    Signature(&'a Signature),
    /// What the sender's application says to the receiver's: at most [`DIRECT_MAX`](super::DIRECT_MAX) bytes.
    Direct {
        /// What it says.
        payload: &'a [u8],
    },
}

/// Is shown the messages of a frame, each where its kind is known.
///
/// A message in a value is written to memory field by field, read back in larger pieces to be moved, and asked what it is: that
/// takes longer than reading it from the frame. A visitor that is inlined works on the fields themselves.
pub trait MessageVisitor<'a> {
    /// Takes note of the next message.
    fn visit(&mut self, message: Message<'a>);
}

/// Keeps the last one.
impl<'a> MessageVisitor<'a> for Option<Message<'a>> {
    #[inline(always)]
    fn visit(&mut self, message: Message<'a>) {
        *self = Some(message);
    }
}

impl<'a> Message<'a> {
    /// Reads the message at the front of `bytes`; gives it and what follows it.
    ///
    /// # Errors
    /// `Truncated`, `Kind`, `Field` or `Reserved`.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<(Message<'a>, &'a [u8]), DecodeError> {
        let (mut rest, mut kept) = (bytes, None);
        Message::take(&mut rest, &mut kept)?;
        kept.map(|message| (message, rest)).ok_or(DecodeError::Truncated)
    }

    /// Takes the message at the front of `bytes` and shows it to `visitor`. Where there is none that can be read, what is
    /// left in `bytes` means nothing.
    #[inline(always)]
    pub(super) fn take(
        bytes: &mut &'a [u8],
        visitor: &mut impl MessageVisitor<'a>,
    ) -> Result<(), DecodeError> {
        let kind = *bytes.first().ok_or(DecodeError::Truncated)?;
        match kind {
            kind::ALIVE | kind::SUSPECT | kind::DEAD | kind::LEFT => take_update(kind, bytes, visitor)?,
            kind::PING | kind::INDIRECT_PING | kind::ACK | kind::NACK => take_probe(kind, bytes, visitor)?,
            kind::INTRODUCTION => visitor.visit(Message::Introduction(Introduction::take(bytes)?)),
            kind::USER_EVENT => visitor.visit(Message::UserEvent(UserEvent::take(bytes)?)),
            kind::DELEGATION | kind::DELEGATION_ACK | kind::DELEGATION_VIEW_FIRST => {
                take_delegation(kind, bytes, visitor)?;
            }
            kind::EVENT_SUM..=kind::EVENT_AGE => event_repair::take_message(kind, bytes, visitor)?,
            kind::VIEW_SKETCH..=kind::VIEW_REPAIR => visitor.visit(view_repair::take_message(kind, bytes)?),
            kind::KEY_ROOTS => visitor.visit(Message::KeyRoots(KeyRoots::take(bytes)?)),
            kind::SIGNATURE => visitor.visit(Message::Signature(signed::take(bytes)?)),
            kind::DIRECT => visitor.visit(Message::Direct { payload: direct::take_payload(bytes)? }),
            unknown => return Err(DecodeError::Kind(unknown)),
        }
        Ok(())
    }

    /// Bytes this message takes on the wire.
    #[inline]
    pub const fn encoded_len(&self) -> usize {
        match self {
            Message::Ping { .. } | Message::Ack { .. } | Message::Nack { .. } => PROBE_LEN,
            Message::IndirectPing { .. } => RELAY_LEN,
            Message::Delegation { .. } | Message::DelegationAck { .. } => DELEGATION_LEN,
            Message::EventSum(_)
            | Message::EventKnown { .. }
            | Message::EventWanted { .. }
            | Message::EventAge { .. } => EVENT_REPAIR_LEN,
            Message::ViewSketch(sketch) => sketch.encoded_len(),
            Message::ViewSums(sums) => sums.encoded_len(),
            Message::ViewList(list) => list.encoded_len(),
            Message::EntryWanted(_) => ENTRY_WANTED_LEN,
            Message::ViewRepair { .. } => VIEW_REPAIR_LEN,
            Message::KeyRoots(_) => KEY_ROOTS_LEN,
            Message::Signature(_) => SIGNATURE_MESSAGE_LEN,
            Message::Alive { .. } | Message::Dead { .. } | Message::Left { .. } => UPDATE_LEN,
            Message::Suspect { .. } => SUSPECT_LEN,
            Message::Introduction(introduction) => introduction.wire_len(),
            Message::UserEvent(event) => UserEvent::encoded_len(event.name.len(), event.payload.len()),
            Message::Direct { payload } => DIRECT_HEADER_LEN + payload.len(),
        }
    }

    /// Writes the message to the front of `out` and gives its length. Nothing if it does not fit or
    /// breaks a rule of the format, so that whatever is written can be read back: a name, metadata or
    /// event that is too long, nobody where a member is named, an introduction whose subject is not the
    /// id of its name or whose address cannot be reached.
    #[inline(always)]
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        match *self {
            Message::Alive { subject, incarnation, tag } => {
                put(&update(kind::ALIVE, tag, incarnation, subject)?, out)
            }
            Message::Suspect { subject, incarnation, accuser } => {
                let update = update(kind::SUSPECT, 0, incarnation, subject)?;
                put(&Suspicion { update, accuser: U64::new(accuser.0) }, out)
            }
            Message::Dead { subject, incarnation } => put(&update(kind::DEAD, 0, incarnation, subject)?, out),
            Message::Left { subject, incarnation } => put(&update(kind::LEFT, 0, incarnation, subject)?, out),
            Message::Ping { sequence, event_root } => put(&probe(kind::PING, event_root, sequence)?, out),
            Message::Ack { sequence, event_root } => put(&probe(kind::ACK, event_root, sequence)?, out),
            Message::Nack { sequence } => put(&probe(kind::NACK, 0, sequence)?, out),
            Message::IndirectPing { sequence, target } => put(&relay(sequence, target)?, out),
            Message::Delegation { number, prefix_bits, zone, view_first } => {
                let kind = if view_first { kind::DELEGATION_VIEW_FIRST } else { kind::DELEGATION };
                put(&delegation(kind, prefix_bits, zone, number)?, out)
            }
            Message::DelegationAck { number } => put(&delegation(kind::DELEGATION_ACK, 0, 0, number)?, out),
            Message::EventSum(sum) => put(&sum.layout()?, out),
            Message::EventKnown { id } => put(&id.layout(kind::EVENT_KNOWN), out),
            Message::EventWanted { id } => put(&id.layout(kind::EVENT_WANTED), out),
            Message::EventAge { age_ms } => put(&event_repair::age(age_ms), out),
            Message::ViewSketch(sketch) => sketch.encode(out),
            Message::ViewSums(sums) => sums.encode(out),
            Message::ViewList(list) => list.encode(out),
            Message::EntryWanted(wanted) => put(&wanted.layout()?, out),
            Message::ViewRepair { began } => put(&view_repair::mark(began), out),
            Message::KeyRoots(roots) => put(&roots.layout(), out),
            Message::Signature(signature) => put(&signed::layout(signature), out),
            Message::Introduction(introduction) => {
                let length = self.encoded_len();
                introduction.encode(out.get_mut(..length)?).map(|()| length)
            }
            Message::UserEvent(event) => {
                let length = self.encoded_len();
                event.encode(out.get_mut(..length)?).map(|()| length)
            }
            Message::Direct { payload } => {
                let length = self.encoded_len();
                direct::encode(payload, out.get_mut(..length)?).map(|()| length)
            }
        }
    }
}

/// Writes a message that is one layout, and gives its length.
#[inline]
fn put(layout: &(impl IntoBytes + Immutable), out: &mut [u8]) -> Option<usize> {
    layout.write_to_prefix(out).ok()?;
    Some(size_of_val(layout))
}

#[inline(always)]
fn take_probe<'a>(
    kind: u8,
    bytes: &mut &'a [u8],
    visitor: &mut impl MessageVisitor<'a>,
) -> Result<(), DecodeError> {
    if kind == kind::INDIRECT_PING {
        let relay = take::<Relay>(bytes)?;
        reserved(relay.reserved)?;
        let target = member(relay.target, "indirect ping target")?;
        visitor.visit(Message::IndirectPing { sequence: relay.sequence.get(), target });
        return Ok(());
    }
    let probe = take::<Probe>(bytes)?;
    let sequence = probe.sequence.get();
    let [low, middle, high] = probe.event_root;
    let event_root = u32::from_le_bytes([low, middle, high, 0]);
    match kind {
        kind::PING => visitor.visit(Message::Ping { sequence, event_root }),
        kind::ACK => visitor.visit(Message::Ack { sequence, event_root }),
        _ => {
            reserved(probe.event_root)?;
            visitor.visit(Message::Nack { sequence });
        }
    }
    Ok(())
}

#[inline(always)]
fn take_delegation<'a>(
    kind: u8,
    bytes: &mut &'a [u8],
    visitor: &mut impl MessageVisitor<'a>,
) -> Result<(), DecodeError> {
    let delegation = take::<Delegation>(bytes)?;
    let Delegation { prefix_bits, zone, number, .. } = *delegation;
    let (zone, number) = (zone.get(), number.get());
    if kind == kind::DELEGATION_ACK {
        reserved([prefix_bits])?;
        reserved(zone.to_le_bytes())?;
        visitor.visit(Message::DelegationAck { number });
        return Ok(());
    }
    if prefix_bits > PREFIX_BITS_MAX {
        return Err(DecodeError::Field("prefix bits"));
    }
    let view_first = kind == kind::DELEGATION_VIEW_FIRST;
    visitor.visit(Message::Delegation { number, prefix_bits, zone, view_first });
    Ok(())
}

#[inline(always)]
fn take_update<'a>(
    kind: u8,
    bytes: &mut &'a [u8],
    visitor: &mut impl MessageVisitor<'a>,
) -> Result<(), DecodeError> {
    let update = take::<Update>(bytes)?;
    let tag = update.tag;
    if kind != kind::ALIVE {
        reserved([tag])?;
    }
    let subject = member(update.subject, "subject")?;
    let incarnation = layout::incarnation_from(update.incarnation);
    match kind {
        kind::ALIVE => visitor.visit(Message::Alive { subject, incarnation, tag }),
        kind::DEAD => visitor.visit(Message::Dead { subject, incarnation }),
        kind::LEFT => visitor.visit(Message::Left { subject, incarnation }),
        _ => {
            let accuser = take::<U64>(bytes)?;
            visitor.visit(Message::Suspect { subject, incarnation, accuser: MemberId(accuser.get()) });
        }
    }
    Ok(())
}

#[inline]
fn probe(kind: u8, event_root: u32, sequence: u32) -> Option<Probe> {
    let [low, middle, high, 0] = event_root.to_le_bytes() else { return None };
    Some(Probe { kind, event_root: [low, middle, high], sequence: U32::new(sequence) })
}

#[inline]
fn delegation(kind: u8, prefix_bits: u8, zone: u16, number: u32) -> Option<Delegation> {
    let (zone, number) = (U16::new(zone), U32::new(number));
    (prefix_bits <= PREFIX_BITS_MAX).then_some(Delegation { kind, prefix_bits, zone, number })
}

#[inline]
fn relay(sequence: u32, target: MemberId) -> Option<Relay> {
    let (kind, target) = (kind::INDIRECT_PING, (!target.is_none()).then_some(U64::new(target.0))?);
    Some(Relay { kind, reserved: [0; 3], sequence: U32::new(sequence), target })
}
