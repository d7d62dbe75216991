//! Reading messages that are laid out exactly as peers write them.
//!
//! Peers write the fields of a struct in the order of their names, so the frequent messages differ only in
//! their values: keys are compared as constants instead of being looked up. Whatever is different, wrong or
//! out of range gives nothing here and is read, or refused with its reason, the [general](super::general) way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::message::{Alive, Message};
use super::record::{Record, state_of};
use super::{METADATA_MAX, NAME_MAX, Versions, kind};

/// The message of type `kind` whose struct is at the front of `body`, if it is a frequent one in the form
/// that peers write.
#[inline]
pub(super) fn message(kind: u8, body: &[u8]) -> Option<Message<'_>> {
    let mut fields = Fields { rest: body };
    match kind {
        kind::ALIVE => fields.alive().map(Message::Alive),
        kind::SUSPECT => {
            let (incarnation, node, from) = fields.accusation()?;
            Some(Message::Suspect { incarnation, node, from })
        }
        kind::DEAD => {
            let (incarnation, node, from) = fields.accusation()?;
            Some(Message::Dead { incarnation, node, from })
        }
        kind::PING => fields.ping(),
        kind::ACK => fields.ack(),
        _ => None,
    }
}

/// The record at the front of `bytes` and what follows it.
#[inline]
pub(super) fn record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let mut fields = Fields { rest: bytes };
    let record = fields.record()?;
    Some((record, fields.rest))
}

struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Passes over exactly these bytes.
    #[inline(always)]
    fn constant<const N: usize>(&mut self, bytes: &[u8; N]) -> Option<()> {
        let (front, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        (front == bytes).then_some(())
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*front)
    }

    #[inline(always)]
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(front)
    }

    /// A number in one of the unsigned forms.
    #[inline(always)]
    fn u32(&mut self) -> Option<u32> {
        match self.array::<1>()? {
            [small @ 0..=0x7f] => Some(u32::from(small)),
            [0xcc] => self.array::<1>().map(|[byte]| u32::from(byte)),
            [0xcd] => self.array().map(|bytes| u32::from(u16::from_be_bytes(bytes))),
            [0xce] => self.array().map(u32::from_be_bytes),
            _ => None,
        }
    }

    #[inline(always)]
    fn u16(&mut self) -> Option<u16> {
        u16::try_from(self.u32()?).ok()
    }

    /// Bytes in the raw forms below 64 KiB; none for nil.
    #[inline(always)]
    fn raw(&mut self) -> Option<&'a [u8]> {
        match self.array::<1>()? {
            [short @ 0xa0..=0xbf] => self.take(usize::from(short & 0x1f)),
            [0xc0] => Some(&[]),
            [0xda] => {
                let length = u16::from_be_bytes(self.array()?);
                self.take(length.into())
            }
            _ => None,
        }
    }

    /// A name, which may be empty.
    #[inline(always)]
    fn name(&mut self) -> Option<&'a str> {
        let name = self.raw()?;
        if name.len() > NAME_MAX {
            return None;
        }
        std::str::from_utf8(name).ok()
    }

    #[inline(always)]
    fn ip(&mut self) -> Option<IpAddr> {
        match self.array::<1>()? {
            [0xa4] => self.array::<4>().map(|octets| Ipv4Addr::from(octets).into()),
            [0xb0] => self.array::<16>().map(|octets| Ipv6Addr::from(octets).into()),
            _ => None,
        }
    }

    /// `Addr`, `Incarnation` and `Meta`, with which both alive messages and records begin.
    #[inline(always)]
    fn member(&mut self) -> Option<(IpAddr, u32, &'a [u8])> {
        self.constant(b"\xa4Addr")?;
        let ip = self.ip()?;
        self.constant(b"\xabIncarnation")?;
        let incarnation = self.u32()?;
        self.constant(b"\xa4Meta")?;
        let metadata = self.raw()?;
        (metadata.len() <= METADATA_MAX).then_some((ip, incarnation, metadata))
    }

    #[inline]
    fn alive(&mut self) -> Option<Alive<'a>> {
        self.constant(b"\x86")?;
        let (ip, incarnation, metadata) = self.member()?;
        self.constant(b"\xa4Node")?;
        let node = self.name()?;
        self.constant(b"\xa4Port")?;
        let address = SocketAddr::new(ip, self.u16()?);
        self.constant(b"\xa3Vsn\xa6")?;
        let versions = Versions(self.array()?);
        (!node.is_empty()).then_some(Alive { incarnation, node, address, metadata, versions })
    }

    #[inline]
    fn record(&mut self) -> Option<Record<'a>> {
        self.constant(b"\x87")?;
        let (ip, incarnation, metadata) = self.member()?;
        self.constant(b"\xa4Name")?;
        let node = self.name()?;
        self.constant(b"\xa4Port")?;
        let address = SocketAddr::new(ip, self.u16()?);
        self.constant(b"\xa5State")?;
        let [state] = self.array()?;
        let state = state_of(state)?;
        self.constant(b"\xa3Vsn\xa6")?;
        let versions = Versions(self.array()?);
        (!node.is_empty()).then_some(Record { incarnation, node, address, metadata, versions, state })
    }

    #[inline]
    fn accusation(&mut self) -> Option<(u32, &'a str, &'a str)> {
        self.constant(b"\x83\xa4From")?;
        let from = self.name()?;
        self.constant(b"\xabIncarnation")?;
        let incarnation = self.u32()?;
        self.constant(b"\xa4Node")?;
        let node = self.name()?;
        (!node.is_empty()).then_some((incarnation, node, from))
    }

    /// A ping with all of its source, or with none.
    #[inline]
    fn ping(&mut self) -> Option<Message<'a>> {
        let [fields] = self.array()?;
        self.constant(b"\xa4Node")?;
        let node = self.name()?;
        self.constant(b"\xa5SeqNo")?;
        let sequence = self.u32()?;
        let source = match fields {
            0x82 => None,
            0x85 => Some(self.source()?),
            _ => return None,
        };
        Some(Message::Ping { sequence, node, source })
    }

    #[inline]
    fn source(&mut self) -> Option<super::Source<'a>> {
        self.constant(b"\xaaSourceAddr")?;
        let ip = self.ip()?;
        self.constant(b"\xaaSourceNode")?;
        let name = self.name()?;
        self.constant(b"\xaaSourcePort")?;
        let port = self.u16()?;
        (port != 0).then_some(super::Source { address: SocketAddr::new(ip, port), name })
    }

    #[inline]
    fn ack(&mut self) -> Option<Message<'a>> {
        self.constant(b"\x82\xa7Payload")?;
        let payload = self.raw()?;
        self.constant(b"\xa5SeqNo")?;
        Some(Message::Ack { sequence: self.u32()?, payload })
    }
}
