//! The messages of a frame.
//!
//! Each starts with a byte for its kind and has a fixed size, except introductions and user events,
//! which say how long their tails are. An update about a member that the receiver already knows takes
//! 16 bytes; only an introduction spends more, once.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

use super::DecodeError;
use super::layout::{self, EventHeader, IntroductionHeader, Probe, Relay, Suspicion, Update};
use crate::identity::{METADATA_MAX, NAME_MAX, ip_bytes};
use crate::{Incarnation, MemberId, State};

/// Bytes of a ping, ack or nack.
pub const PROBE_LEN: usize = size_of::<Probe>();
/// Bytes of an indirect ping.
pub const RELAY_LEN: usize = size_of::<Relay>();
/// Bytes of an alive, dead or left about a known member.
pub const UPDATE_LEN: usize = size_of::<Update>();
/// Bytes of a suspect.
pub const SUSPECT_LEN: usize = size_of::<Suspicion>();
/// Bytes of an introduction without its name and metadata.
pub const INTRODUCTION_HEADER_LEN: usize = size_of::<IntroductionHeader>();
/// Bytes of a user event without its name and payload.
pub const EVENT_HEADER_LEN: usize = size_of::<EventHeader>();
/// Largest user event, name and payload together, in bytes. Two fit a frame beside its updates.
pub const EVENT_MAX: usize = 512;

mod kind {
    pub(super) const PING: u8 = 1;
    pub(super) const INDIRECT_PING: u8 = 2;
    pub(super) const ACK: u8 = 3;
    pub(super) const NACK: u8 = 4;
    pub(super) const ALIVE: u8 = 5;
    pub(super) const SUSPECT: u8 = 6;
    pub(super) const DEAD: u8 = 7;
    pub(super) const LEFT: u8 = 8;
    pub(super) const INTRODUCTION: u8 = 9;
    pub(super) const USER_EVENT: u8 = 10;
}

/// Everything that is known of a member: what a receiver needs to add it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Introduction<'a> {
    /// The member. Always the id of `name`.
    pub subject: MemberId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// What is believed of it. Gossip introduces only alive members; push/pull all of them.
    pub state: State,
    /// Where it receives datagrams and streams.
    pub address: SocketAddr,
    /// 1 to [`NAME_MAX`] bytes.
    pub name: &'a str,
    /// 0 to [`METADATA_MAX`] bytes.
    pub metadata: &'a [u8],
}

impl Introduction<'_> {
    /// Bytes on the wire.
    pub const fn encoded_len(name_len: usize, metadata_len: usize) -> usize {
        INTRODUCTION_HEADER_LEN + name_len + metadata_len
    }
}

/// A user event: a name and a payload from one member to all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserEvent<'a> {
    /// Who sent it.
    pub origin: MemberId,
    /// Told apart by this from the origin's other events.
    pub sequence: u32,
    /// Name, 0 to 255 bytes of UTF-8.
    pub name: &'a str,
    /// Payload; name and payload together at most [`EVENT_MAX`] bytes.
    pub payload: &'a [u8],
}

impl UserEvent<'_> {
    /// Bytes on the wire.
    pub const fn encoded_len(name_len: usize, payload_len: usize) -> usize {
        EVENT_HEADER_LEN + name_len + payload_len
    }
}

/// One message of a frame. Borrows from the received bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// Answer me.
    Ping {
        /// Echoed in the ack.
        sequence: u32,
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
        /// Who is suspected.
        subject: MemberId,
        /// The incarnation that is accused.
        incarnation: Incarnation,
        /// Who suspects it, [`MemberId::NONE`] if unknown.
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
}

/// Splits a fixed layout off the front.
pub(super) fn take<T: FromBytes + zerocopy::KnownLayout + zerocopy::Immutable + zerocopy::Unaligned>(
    bytes: &[u8],
) -> Result<(&T, &[u8]), DecodeError> {
    T::ref_from_prefix(bytes).map_err(|_| DecodeError::Truncated)
}

fn split(bytes: &[u8], at: usize) -> Result<(&[u8], &[u8]), DecodeError> {
    bytes.split_at_checked(at).ok_or(DecodeError::Truncated)
}

fn member(id: U64, what: &'static str) -> Result<MemberId, DecodeError> {
    if id.get() == 0 { Err(DecodeError::Field(what)) } else { Ok(MemberId(id.get())) }
}

fn text<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::Field(what))
}

/// IPv4 travels as an IPv4-mapped IPv6 address.
fn address_from(header: &IntroductionHeader) -> SocketAddr {
    let ip = Ipv6Addr::from(header.address);
    let ip = ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4);
    SocketAddr::new(ip, header.port.get())
}

impl<'a> Message<'a> {
    /// Reads the message at the front of `bytes`; gives it and what follows it.
    ///
    /// # Errors
    /// Any [`DecodeError`] but `Version`, `Sealed` and `TooLong`.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<(Message<'a>, &'a [u8]), DecodeError> {
        let kind = *bytes.first().ok_or(DecodeError::Truncated)?;
        match kind {
            kind::PING | kind::ACK | kind::NACK => {
                let (probe, rest) = take::<Probe>(bytes)?;
                let sequence = probe.sequence.get();
                let message = match kind {
                    kind::PING => Message::Ping { sequence },
                    kind::ACK => Message::Ack { sequence },
                    _ => Message::Nack { sequence },
                };
                Ok((message, rest))
            }
            kind::INDIRECT_PING => {
                let (relay, rest) = take::<Relay>(bytes)?;
                let target = member(relay.target, "indirect ping target")?;
                Ok((Message::IndirectPing { sequence: relay.sequence.get(), target }, rest))
            }
            kind::ALIVE | kind::DEAD | kind::LEFT => {
                let (update, rest) = take::<Update>(bytes)?;
                let subject = member(update.subject, "subject")?;
                let incarnation = layout::incarnation_from(update.incarnation);
                let message = match kind {
                    kind::ALIVE => Message::Alive { subject, incarnation, tag: update.tag },
                    kind::DEAD => Message::Dead { subject, incarnation },
                    _ => Message::Left { subject, incarnation },
                };
                Ok((message, rest))
            }
            kind::SUSPECT => {
                let (suspicion, rest) = take::<Suspicion>(bytes)?;
                let message = Message::Suspect {
                    subject: member(suspicion.update.subject, "subject")?,
                    incarnation: layout::incarnation_from(suspicion.update.incarnation),
                    accuser: MemberId(suspicion.accuser.get()),
                };
                Ok((message, rest))
            }
            kind::INTRODUCTION => {
                let (introduction, rest) = Introduction::decode(bytes)?;
                Ok((Message::Introduction(introduction), rest))
            }
            kind::USER_EVENT => {
                let (event, rest) = UserEvent::decode(bytes)?;
                Ok((Message::UserEvent(event), rest))
            }
            unknown => Err(DecodeError::Kind(unknown)),
        }
    }

    /// Bytes this message takes on the wire.
    pub const fn encoded_len(&self) -> usize {
        match self {
            Message::Ping { .. } | Message::Ack { .. } | Message::Nack { .. } => PROBE_LEN,
            Message::IndirectPing { .. } => RELAY_LEN,
            Message::Alive { .. } | Message::Dead { .. } | Message::Left { .. } => UPDATE_LEN,
            Message::Suspect { .. } => SUSPECT_LEN,
            Message::Introduction(introduction) => {
                Introduction::encoded_len(introduction.name.len(), introduction.metadata.len())
            }
            Message::UserEvent(event) => UserEvent::encoded_len(event.name.len(), event.payload.len()),
        }
    }

    /// Writes the message to the front of `out` and gives its length, or nothing if it does not fit or
    /// breaks a limit of the format (a name, metadata or event that is too long).
    #[inline]
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let length = self.encoded_len();
        let out = out.get_mut(..length)?;
        match *self {
            Message::Ping { sequence } => write_probe(out, kind::PING, sequence),
            Message::Ack { sequence } => write_probe(out, kind::ACK, sequence),
            Message::Nack { sequence } => write_probe(out, kind::NACK, sequence),
            Message::IndirectPing { sequence, target } => {
                let relay = Relay {
                    kind: kind::INDIRECT_PING,
                    reserved: [0; 3],
                    sequence: U32::new(sequence),
                    target: U64::new(target.0),
                };
                relay.write_to(out).ok()?;
            }
            Message::Alive { subject, incarnation, tag } => {
                update(kind::ALIVE, tag, incarnation, subject).write_to(out).ok()?;
            }
            Message::Dead { subject, incarnation } => {
                update(kind::DEAD, 0, incarnation, subject).write_to(out).ok()?;
            }
            Message::Left { subject, incarnation } => {
                update(kind::LEFT, 0, incarnation, subject).write_to(out).ok()?;
            }
            Message::Suspect { subject, incarnation, accuser } => {
                let suspicion = Suspicion {
                    update: update(kind::SUSPECT, 0, incarnation, subject),
                    accuser: U64::new(accuser.0),
                };
                suspicion.write_to(out).ok()?;
            }
            Message::Introduction(introduction) => introduction.encode(out)?,
            Message::UserEvent(event) => event.encode(out)?,
        }
        Some(length)
    }
}

fn write_probe(out: &mut [u8], kind: u8, sequence: u32) {
    let probe = Probe { kind, reserved: [0; 3], sequence: U32::new(sequence) };
    out.copy_from_slice(probe.as_bytes());
}

fn update(kind: u8, tag: u8, incarnation: Incarnation, subject: MemberId) -> Update {
    Update { kind, tag, incarnation: layout::incarnation_bytes(incarnation), subject: U64::new(subject.0) }
}

impl<'a> Introduction<'a> {
    /// Reads an introduction, which is also a push/pull record.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<(Introduction<'a>, &'a [u8]), DecodeError> {
        let (header, rest) = take::<IntroductionHeader>(bytes)?;
        if header.update.kind != kind::INTRODUCTION {
            return Err(DecodeError::Kind(header.update.kind));
        }
        let name_len = usize::from(header.name_len);
        let metadata_len = usize::from(header.metadata_len.get());
        if name_len == 0 || name_len > NAME_MAX {
            return Err(DecodeError::Field("name length"));
        }
        if metadata_len > METADATA_MAX {
            return Err(DecodeError::Field("metadata length"));
        }
        let (name, rest) = split(rest, name_len)?;
        let (metadata, rest) = split(rest, metadata_len)?;
        let name = text(name, "name")?;
        let subject = member(header.update.subject, "subject")?;
        if MemberId::of_name(name) != subject {
            return Err(DecodeError::Field("subject is not the id of the name"));
        }
        let introduction = Introduction {
            subject,
            incarnation: layout::incarnation_from(header.update.incarnation),
            state: State::from_u8(header.state).ok_or(DecodeError::Field("state"))?,
            address: address_from(header),
            name,
            metadata,
        };
        Ok((introduction, rest))
    }

    /// Writes to `out`, which has exactly the encoded length.
    pub(super) fn encode(&self, out: &mut [u8]) -> Option<()> {
        if self.name.is_empty() || self.name.len() > NAME_MAX || self.metadata.len() > METADATA_MAX {
            return None;
        }
        let header = IntroductionHeader {
            update: update(kind::INTRODUCTION, 0, self.incarnation, self.subject),
            address: ip_bytes(self.address.ip()),
            port: U16::new(self.address.port()),
            name_len: self.name.len() as u8,
            state: self.state as u8,
            metadata_len: U16::new(self.metadata.len() as u16),
        };
        header.write_to_prefix(out).ok()?;
        let tail = &mut out[INTRODUCTION_HEADER_LEN..];
        let (name, metadata) = tail.split_at_mut(self.name.len());
        name.copy_from_slice(self.name.as_bytes());
        metadata.copy_from_slice(self.metadata);
        Some(())
    }
}

impl<'a> UserEvent<'a> {
    fn decode(bytes: &'a [u8]) -> Result<(UserEvent<'a>, &'a [u8]), DecodeError> {
        let (header, rest) = take::<EventHeader>(bytes)?;
        let name_len = usize::from(header.name_len);
        let payload_len = usize::from(header.payload_len.get());
        if name_len + payload_len > EVENT_MAX {
            return Err(DecodeError::Field("event length"));
        }
        let (name, rest) = split(rest, name_len)?;
        let (payload, rest) = split(rest, payload_len)?;
        let event = UserEvent {
            origin: member(header.origin, "event origin")?,
            sequence: header.sequence.get(),
            name: text(name, "event name")?,
            payload,
        };
        Ok((event, rest))
    }

    fn encode(&self, out: &mut [u8]) -> Option<()> {
        if self.name.len() > u8::MAX.into() || self.name.len() + self.payload.len() > EVENT_MAX {
            return None;
        }
        let header = EventHeader {
            kind: kind::USER_EVENT,
            name_len: self.name.len() as u8,
            payload_len: U16::new(self.payload.len() as u16),
            sequence: U32::new(self.sequence),
            origin: U64::new(self.origin.0),
        };
        header.write_to_prefix(out).ok()?;
        let (name, payload) = out[EVENT_HEADER_LEN..].split_at_mut(self.name.len());
        name.copy_from_slice(self.name.as_bytes());
        payload.copy_from_slice(self.payload);
        Some(())
    }
}
