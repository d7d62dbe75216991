//! Reading messages in any form that peers read: fields in any order, any that nobody knows, any that are
//! missing, structs as arrays.
//!
//! A field that is there twice counts the second time, as with peers. This is the slow way: what is laid
//! out exactly as peers write it never comes here.

use std::net::{IpAddr, SocketAddr};

use super::message::{Alive, Message, Source};
use super::record::{Record, state_of};
use super::{DecodeError, METADATA_MAX, NAME_MAX, Versions, kind};
use crate::msgpack::Reader;

type Result<T> = std::result::Result<T, DecodeError>;

/// The message of type `kind` whose struct is at the front of `body`.
#[cold]
#[inline(never)]
pub(super) fn message(kind: u8, body: &[u8]) -> Result<Message<'_>> {
    let mut reader = Reader::new(body);
    match kind {
        kind::PING => {
            let (sequence, node, source) = ping(&mut reader)?;
            Ok(Message::Ping { sequence, node, source })
        }
        kind::INDIRECT_PING => indirect_ping(&mut reader),
        kind::ACK => {
            let (sequence, payload) = ack(&mut reader)?;
            Ok(Message::Ack { sequence, payload })
        }
        kind::NACK => {
            let mut sequence = 0;
            reader.structure(&["SeqNo"], |_, reader| {
                sequence = reader.u32("SeqNo")?;
                Ok(())
            })?;
            Ok(Message::Nack { sequence })
        }
        kind::SUSPECT => {
            let (incarnation, node, from) = accusation(&mut reader)?;
            Ok(Message::Suspect { incarnation, node, from })
        }
        kind::DEAD => {
            let (incarnation, node, from) = accusation(&mut reader)?;
            Ok(Message::Dead { incarnation, node, from })
        }
        kind::ALIVE => alive(&mut reader).map(Message::Alive),
        kind::USER => Ok(Message::User(body)),
        unknown => Err(DecodeError::Kind(unknown)),
    }
}

/// A name that may be empty.
fn short_text<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<&'a str> {
    let text = reader.text(what)?;
    if text.len() <= NAME_MAX { Ok(text) } else { Err(DecodeError::Field(what)) }
}

/// A name that has been read and may not be empty.
fn named<'a>(name: &'a str, what: &'static str) -> Result<&'a str> {
    if name.is_empty() { Err(DecodeError::Field(what)) } else { Ok(name) }
}

/// The fields of a source as they are read.
#[derive(Default)]
struct SourceFields<'a> {
    ip: Option<IpAddr>,
    port: u16,
    name: &'a str,
}

impl<'a> SourceFields<'a> {
    /// Reads field `number`, in the order of declaration.
    fn read(&mut self, number: usize, reader: &mut Reader<'a>) -> Result<()> {
        match number {
            0 => self.ip = reader.ip("SourceAddr")?,
            1 => self.port = reader.u16("SourcePort")?,
            _ => self.name = short_text(reader, "SourceNode")?,
        }
        Ok(())
    }

    /// A source needs an address and a port; a name alone says nothing.
    fn source(self) -> Option<Source<'a>> {
        let address = SocketAddr::new(self.ip?, self.port);
        (self.port != 0).then_some(Source { address, name: self.name })
    }
}

/// Sequence number, node and source of a ping.
pub(super) fn ping<'a>(reader: &mut Reader<'a>) -> Result<(u32, &'a str, Option<Source<'a>>)> {
    let (mut sequence, mut node, mut source) = (0, "", SourceFields::default());
    reader.structure(&["SeqNo", "Node", "SourceAddr", "SourcePort", "SourceNode"], |field, reader| {
        match field {
            0 => sequence = reader.u32("SeqNo")?,
            1 => node = short_text(reader, "Node")?,
            _ => source.read(field - 2, reader)?,
        }
        Ok(())
    })?;
    Ok((sequence, node, source.source()))
}

fn indirect_ping<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>> {
    let (mut sequence, mut ip, mut port, mut node, mut nack) = (0, None, 0, "", false);
    let mut source = SourceFields::default();
    reader.structure(
        &["SeqNo", "Target", "Port", "Node", "Nack", "SourceAddr", "SourcePort", "SourceNode"],
        |field, reader| {
            match field {
                0 => sequence = reader.u32("SeqNo")?,
                1 => ip = reader.ip("Target")?,
                2 => port = reader.u16("Port")?,
                3 => node = short_text(reader, "Node")?,
                4 => nack = reader.flag("Nack")?,
                _ => source.read(field - 5, reader)?,
            }
            Ok(())
        },
    )?;
    let target = SocketAddr::new(ip.ok_or(DecodeError::Field("Target"))?, port);
    Ok(Message::IndirectPing { sequence, target, node, nack, source: source.source() })
}

/// Sequence number and payload of an ack.
pub(super) fn ack<'a>(reader: &mut Reader<'a>) -> Result<(u32, &'a [u8])> {
    let (mut sequence, mut payload): (u32, &[u8]) = (0, &[]);
    reader.structure(&["SeqNo", "Payload"], |field, reader| {
        match field {
            0 => sequence = reader.u32("SeqNo")?,
            _ => payload = reader.bytes("Payload")?,
        }
        Ok(())
    })?;
    Ok((sequence, payload))
}

/// Incarnation, node and accuser of a suspect or dead.
fn accusation<'a>(reader: &mut Reader<'a>) -> Result<(u32, &'a str, &'a str)> {
    let (mut incarnation, mut node, mut from) = (0, "", "");
    reader.structure(&["Incarnation", "Node", "From"], |field, reader| {
        match field {
            0 => incarnation = reader.u32("Incarnation")?,
            1 => node = short_text(reader, "Node")?,
            _ => from = short_text(reader, "From")?,
        }
        Ok(())
    })?;
    Ok((incarnation, named(node, "Node")?, from))
}

/// What an alive message and a record have in common, as it is read.
#[derive(Default)]
struct MemberFields<'a> {
    incarnation: u32,
    name: &'a str,
    ip: Option<IpAddr>,
    port: u16,
    metadata: &'a [u8],
    versions: Option<[u8; 6]>,
}

impl<'a> MemberFields<'a> {
    fn metadata(reader: &mut Reader<'a>) -> Result<&'a [u8]> {
        let metadata = reader.bytes("Meta")?;
        if metadata.len() <= METADATA_MAX { Ok(metadata) } else { Err(DecodeError::Field("Meta")) }
    }

    fn alive(self, name: &'static str) -> Result<Alive<'a>> {
        Ok(Alive {
            incarnation: self.incarnation,
            node: named(self.name, name)?,
            address: SocketAddr::new(self.ip.ok_or(DecodeError::Field("Addr"))?, self.port),
            metadata: self.metadata,
            versions: Versions(self.versions.ok_or(DecodeError::Versions)?),
        })
    }
}

fn alive<'a>(reader: &mut Reader<'a>) -> Result<Alive<'a>> {
    let mut member = MemberFields::default();
    reader.structure(&["Incarnation", "Node", "Addr", "Port", "Meta", "Vsn"], |field, reader| {
        match field {
            0 => member.incarnation = reader.u32("Incarnation")?,
            1 => member.name = short_text(reader, "Node")?,
            2 => member.ip = reader.ip("Addr")?,
            3 => member.port = reader.u16("Port")?,
            4 => member.metadata = MemberFields::metadata(reader)?,
            _ => member.versions = reader.six("Vsn")?,
        }
        Ok(())
    })?;
    member.alive("Node")
}

/// The record at the front of `bytes`, which must hold all of it.
#[cold]
#[inline(never)]
pub(super) fn record(bytes: &[u8]) -> Result<Record<'_>> {
    let (mut member, mut state) = (MemberFields::default(), 0);
    let names = ["Name", "Addr", "Port", "Meta", "Incarnation", "State", "Vsn"];
    Reader::new(bytes).structure(&names, |field, reader| {
        match field {
            0 => member.name = short_text(reader, "Name")?,
            1 => member.ip = reader.ip("Addr")?,
            2 => member.port = reader.u16("Port")?,
            3 => member.metadata = MemberFields::metadata(reader)?,
            4 => member.incarnation = reader.u32("Incarnation")?,
            5 => state = reader.u8("State")?,
            _ => member.versions = reader.six("Vsn")?,
        }
        Ok(())
    })?;
    let state = state_of(state).ok_or(DecodeError::Field("State"))?;
    let Alive { incarnation, node, address, metadata, versions } = member.alive("Name")?;
    Ok(Record { incarnation, node, address, metadata, versions, state })
}
