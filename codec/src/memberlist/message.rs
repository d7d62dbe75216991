//! The messages of a packet, and how they are written.
//!
//! Each is a byte for its type and one msgpack struct, except user messages, which are the application's
//! bytes as they are. Names and payloads are borrowed from the packet. Written fields are in the order of
//! their names, as peers write them.

use std::net::SocketAddr;

use super::versions::Versions;
use super::{DecodeError, METADATA_MAX, NAME_MAX, canonical, general, kind};
use crate::msgpack::{Counter, Sink, SliceSink};

/// Who a ping is from and where it can be answered, so that the ack finds its way when the datagram's
/// source address does not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source<'a> {
    /// Address for the ack. An IPv4-mapped address stays one.
    pub address: SocketAddr,
    /// The sender's name; may be empty.
    pub name: &'a str,
}

/// A member lives: everything that is needed to add it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alive<'a> {
    /// Its incarnation.
    pub incarnation: u32,
    /// Its name: 1 to [`NAME_MAX`] bytes.
    pub node: &'a str,
    /// Its address, in the form it came in: peers take an IPv4 address and its IPv4-mapped form for
    /// different addresses. The port may be zero, as very old peers send it.
    pub address: SocketAddr,
    /// Its metadata: at most [`METADATA_MAX`] bytes.
    pub metadata: &'a [u8],
    /// Its protocol versions.
    pub versions: Versions,
}

/// One message of a packet. Borrows from the received bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// Answer me.
    Ping {
        /// Echoed in the ack.
        sequence: u32,
        /// Whom it is for; anyone at this address if empty.
        node: &'a str,
        /// Address for the ack, if the sender gives both an address and a port.
        source: Option<Source<'a>>,
    },
    /// Ping `node` for me and pass its ack on.
    IndirectPing {
        /// Echoed in the ack or nack.
        sequence: u32,
        /// Address of the member. The port may be zero, which stands for the relay's own.
        target: SocketAddr,
        /// Whom to ping.
        node: &'a str,
        /// Whether a nack is wanted if it stays silent.
        nack: bool,
        /// Address for the ack, as in a ping.
        source: Option<Source<'a>>,
    },
    /// The answer to a ping or indirect ping.
    Ack {
        /// From the ping.
        sequence: u32,
        /// Payload of the application (Serf: a network coordinate).
        payload: &'a [u8],
    },
    /// The relay is well and reached nobody.
    Nack {
        /// From the indirect ping.
        sequence: u32,
    },
    /// `from` got no answer from `node`.
    Suspect {
        /// The incarnation that is accused.
        incarnation: u32,
        /// The suspect.
        node: &'a str,
        /// The accuser; may be empty.
        from: &'a str,
    },
    /// A member lives.
    Alive(Alive<'a>),
    /// `node` has been declared failed by `from`, or leaves if they are the same.
    Dead {
        /// The incarnation that died.
        incarnation: u32,
        /// Who.
        node: &'a str,
        /// The member that declares it; may be empty.
        from: &'a str,
    },
    /// A message of the application: the bytes after the type.
    User(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Reads one message: all of `bytes`, type byte included. Bytes after the end of a struct are
    /// ignored, as peers ignore them; a user message has no end but that of `bytes`.
    ///
    /// # Errors
    /// `Truncated`, `Kind`, `Field`, `Msgpack`, `Versions` or `Nested`.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Message<'a>, DecodeError> {
        let (&kind, body) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        if kind == kind::USER {
            return Ok(Message::User(body));
        }
        match canonical::message(kind, body) {
            Some(message) => Ok(message),
            None => general::message(kind, body),
        }
    }

    /// Bytes this message takes on the wire, the type byte included.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        let mut counter = Counter::default();
        self.write(&mut counter);
        counter.0
    }

    /// Writes the message, type byte included, to the front of `out` and gives its length. Nothing if it
    /// does not fit or breaks a rule of the format, so that whatever is written can be read back: a name
    /// or metadata that is too long, a name that is empty where there must be one, a source without a port.
    #[inline]
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        if !self.is_valid() {
            return None;
        }
        let mut sink = SliceSink::new(out);
        self.write(&mut sink);
        sink.written()
    }

    fn is_valid(&self) -> bool {
        let answerable = |source: &Option<Source<'_>>| {
            source.is_none_or(|source| source.address.port() != 0 && source.name.len() <= NAME_MAX)
        };
        match self {
            Message::Ping { node, source, .. } => node.len() <= NAME_MAX && answerable(source),
            Message::IndirectPing { node, source, .. } => node.len() <= NAME_MAX && answerable(source),
            Message::Ack { .. } | Message::Nack { .. } | Message::User(_) => true,
            Message::Suspect { node, from, .. } | Message::Dead { node, from, .. } => {
                is_name(node) && from.len() <= NAME_MAX
            }
            Message::Alive(alive) => is_name(alive.node) && alive.metadata.len() <= METADATA_MAX,
        }
    }

    #[inline]
    pub(super) fn write(&self, out: &mut impl Sink) {
        match *self {
            Message::Ping { sequence, node, source } => write_ping(out, sequence, node, source.as_ref()),
            Message::IndirectPing { sequence, target, node, nack, source } => {
                write_indirect_ping(out, sequence, (target, node, nack), source.as_ref());
            }
            Message::Ack { sequence, payload } => write_ack(out, sequence, payload),
            Message::Nack { sequence } => {
                out.put(&[kind::NACK, 0x81]);
                out.put(b"\xa5SeqNo");
                out.unsigned(sequence.into());
            }
            Message::Suspect { incarnation, node, from } => {
                write_accusation(out, kind::SUSPECT, incarnation, (node, from));
            }
            Message::Dead { incarnation, node, from } => {
                write_accusation(out, kind::DEAD, incarnation, (node, from));
            }
            Message::Alive(alive) => write_alive(out, &alive),
            Message::User(payload) => {
                out.put(&[kind::USER]);
                out.put(payload);
            }
        }
    }
}

/// Whether a member can be called that.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
}

/// How many fields a source adds: its name is left out if it is empty.
fn source_fields(source: Option<&Source<'_>>) -> u8 {
    source.map_or(0, |source| 2 + u8::from(!source.name.is_empty()))
}

#[inline]
fn write_source(out: &mut impl Sink, source: Option<&Source<'_>>) {
    let Some(source) = source else { return };
    out.put(b"\xaaSourceAddr");
    out.ip(&source.address);
    if !source.name.is_empty() {
        out.put(b"\xaaSourceNode");
        out.raw(source.name.as_bytes());
    }
    out.put(b"\xaaSourcePort");
    out.unsigned(source.address.port().into());
}

#[inline]
pub(super) fn write_ping(out: &mut impl Sink, sequence: u32, node: &str, source: Option<&Source<'_>>) {
    out.put(&[kind::PING, 0x82 + source_fields(source)]);
    out.put(b"\xa4Node");
    out.raw(node.as_bytes());
    out.put(b"\xa5SeqNo");
    out.unsigned(sequence.into());
    write_source(out, source);
}

#[inline]
fn write_indirect_ping(
    out: &mut impl Sink,
    sequence: u32,
    (target, node, nack): (SocketAddr, &str, bool),
    source: Option<&Source<'_>>,
) {
    out.put(&[kind::INDIRECT_PING, 0x85 + source_fields(source)]);
    out.put(b"\xa4Nack");
    out.flag(nack);
    out.put(b"\xa4Node");
    out.raw(node.as_bytes());
    out.put(b"\xa4Port");
    out.unsigned(target.port().into());
    out.put(b"\xa5SeqNo");
    out.unsigned(sequence.into());
    write_source(out, source);
    out.put(b"\xa6Target");
    out.ip(&target);
}

#[inline]
pub(super) fn write_ack(out: &mut impl Sink, sequence: u32, payload: &[u8]) {
    out.put(&[kind::ACK, 0x82]);
    out.put(b"\xa7Payload");
    out.raw_or_nil(payload);
    out.put(b"\xa5SeqNo");
    out.unsigned(sequence.into());
}

/// A suspect or dead: the same fields.
#[inline]
fn write_accusation(out: &mut impl Sink, kind: u8, incarnation: u32, (node, from): (&str, &str)) {
    out.put(&[kind, 0x83]);
    out.put(b"\xa4From");
    out.raw(from.as_bytes());
    out.put(b"\xabIncarnation");
    out.unsigned(incarnation.into());
    out.put(b"\xa4Node");
    out.raw(node.as_bytes());
}

#[inline]
fn write_alive(out: &mut impl Sink, alive: &Alive<'_>) {
    out.put(&[kind::ALIVE, 0x86]);
    out.put(b"\xa4Addr");
    out.ip(&alive.address);
    out.put(b"\xabIncarnation");
    out.unsigned(alive.incarnation.into());
    out.put(b"\xa4Meta");
    out.raw_or_nil(alive.metadata);
    out.put(b"\xa4Node");
    out.raw(alive.node.as_bytes());
    out.put(b"\xa4Port");
    out.unsigned(alive.address.port().into());
    out.put(b"\xa3Vsn");
    out.raw(&alive.versions.0);
}
