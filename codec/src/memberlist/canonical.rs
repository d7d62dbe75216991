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

/// Bytes of the record at the front of `bytes`, if all of it is there and it is laid out as peers write it; what its
/// fields say is not looked at. As much as walking over it value by value, and several times faster.
#[inline]
pub(super) fn record_len(bytes: &[u8]) -> Option<usize> {
    let mut fields = Fields { rest: bytes };
    fields.pass_record()?;
    Some(bytes.len() - fields.rest.len())
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

    #[inline(always)]
    fn pass_record(&mut self) -> Option<()> {
        self.constant(b"\x87\xa4Addr")?;
        self.raw()?;
        self.constant(b"\xabIncarnation")?;
        self.u32()?;
        self.constant(b"\xa4Meta")?;
        self.raw()?;
        self.constant(b"\xa4Name")?;
        self.raw()?;
        self.constant(b"\xa4Port")?;
        self.u32()?;
        self.constant(b"\xa5State")?;
        self.u32()?;
        self.constant(b"\xa3Vsn\xa6")?;
        self.array::<6>().map(|_| ())
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

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::super::{Source, general};
    use super::*;
    use crate::State;
    use crate::msgpack::{Sink, Skip};

    const BYTES: [u8; 700] = [b'b'; 700];
    const NAME: &str = match std::str::from_utf8(&BYTES) {
        Ok(name) => name,
        Err(_) => "",
    };

    fn record(rng: &mut Rng) -> Record<'static> {
        let ip = if rng.bool() { IpAddr::from([127, 0, 0, 1]) } else { IpAddr::from([9; 16]) };
        Record {
            incarnation: rng.u32(..) >> rng.u32(..32),
            node: &NAME[..(rng.usize(1..=NAME_MAX) >> rng.u32(..4)).max(1)],
            address: SocketAddr::new(ip, rng.u16(1..)),
            metadata: &BYTES[..rng.usize(..=METADATA_MAX) >> rng.u32(..10)],
            versions: Versions::SERF,
            state: State::from_u8(rng.u8(1..=4)).expect("a state"),
        }
    }

    /// A message of a kind that is frequent.
    fn frequent(rng: &mut Rng, kind: u8) -> Message<'static> {
        let Record { incarnation, node, address, metadata, versions, .. } = record(rng);
        match kind {
            kind::ALIVE => Message::Alive(Alive { incarnation, node, address, metadata, versions }),
            kind::SUSPECT => Message::Suspect { incarnation, node, from: "" },
            kind::DEAD => Message::Dead { incarnation, node, from: node },
            kind::PING => {
                let source = rng.bool().then_some(Source { address, name: node });
                Message::Ping { sequence: incarnation, node, source }
            }
            _ => Message::Ack { sequence: incarnation, payload: metadata },
        }
    }

    #[test]
    fn what_is_written_here_is_read_the_fast_way() {
        let mut rng = Rng::with_seed(1);
        for round in 0..1000 {
            let kind = [kind::ALIVE, kind::SUSPECT, kind::DEAD, kind::PING, kind::ACK][round % 5];
            let expected = frequent(&mut rng, kind);
            let mut out = Vec::new();
            expected.write(&mut out);
            assert_eq!(message(kind, &out[1..]), Some(expected));
            let expected = record(&mut rng);
            out.clear();
            expected.write(&mut out);
            out.put(b"next");
            assert_eq!(super::record(&out), Some((expected, &b"next"[..])));
            assert_eq!(super::record_len(&out), Some(out.len() - 4));
        }
    }

    /// Where it gives a length, that is where walking over the values ends, whatever the bytes; and it gives none where
    /// a byte is missing.
    #[test]
    fn a_record_is_as_long_as_its_values() {
        let mut rng = Rng::with_seed(3);
        let mut found = 0;
        for _ in 0..20_000 {
            let mut out = Vec::new();
            record(&mut rng).write(&mut out);
            let whole = out.len();
            let at = rng.usize(..whole);
            out[at] = if rng.bool() { out[at] ^ 1 << rng.u8(..8) } else { rng.u8(..) };
            out.extend_from_slice(&BYTES);
            out.truncate(rng.usize(whole / 2..whole + 300));
            if let Some(length) = record_len(&out) {
                let mut walked = 0;
                assert_eq!(Skip::new().step(&out, &mut walked), Ok(true), "{out:x?}");
                assert_eq!(length, walked, "{out:x?}");
                found += 1;
            }
        }
        assert!(found > 1_000, "only {found} damaged records were measured");
    }

    #[test]
    fn both_ways_read_the_same() {
        let mut rng = Rng::with_seed(2);
        let mut fast = 0;
        for round in 0..20_000 {
            let kind = [kind::ALIVE, kind::SUSPECT, kind::DEAD, kind::PING, kind::ACK][round % 5];
            let mut out = Vec::new();
            frequent(&mut rng, kind).write(&mut out);
            let at = rng.usize(1..out.len());
            out[at] = if rng.bool() { out[at] ^ 1 << rng.u8(..8) } else { rng.u8(..) };
            if let Some(read) = message(kind, &out[1..]) {
                assert_eq!(general::message(kind, &out[1..]), Ok(read), "{out:x?}");
                fast += 1;
            }
            out.clear();
            record(&mut rng).write(&mut out);
            let at = rng.usize(..out.len());
            out[at] = if rng.bool() { out[at] ^ 1 << rng.u8(..8) } else { rng.u8(..) };
            if let Some((read, _)) = super::record(&out) {
                assert_eq!(general::record(&out), Ok(read), "{out:x?}");
                fast += 1;
            }
        }
        assert!(fast > 1000, "only {fast} damaged messages were read");
    }
}
