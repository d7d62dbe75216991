//! A second decoder, after the tables of `docs/PROTOCOL.md` and sharing nothing with the real one but the
//! hash of a name: it counts byte positions and copies values out. It is slow and plain, so that where it and the real one differ, one of them misreads the page.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use swimring_codec::native::{IdRange, KeySpan, KeyStatement, MapStatement, PublicKey, SketchCell};
use swimring_codec::{MemberId, State};

use super::owned::{OwnedBody, OwnedEntry, OwnedIntroduction, OwnedMessage, OwnedSection, OwnedValue};

/// What a header says, in the order of the specification's table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TwinHeader {
    pub quiet: bool,
    pub cluster: u32,
    pub source: u64,
    pub destination: u64,
    pub root: u64,
}

/// A frame: the messages up to the first that is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TwinFrame {
    pub header: TwinHeader,
    pub messages: Vec<OwnedMessage>,
    pub refused: bool,
}

/// The bytes from `at`, little-endian, as a number.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let mut value = 0;
    for i in (0..length).rev() {
        value = value * 256 + u64::from(*bytes.get(at + i)?);
    }
    Some(value)
}

fn copy(bytes: &[u8], at: usize, length: usize) -> Option<Vec<u8>> {
    if at + length > bytes.len() { None } else { Some(bytes[at..at + length].to_vec()) }
}

/// The header and the byte at offset 2.
fn header(bytes: &[u8]) -> Option<(TwinHeader, u8)> {
    if bytes.len() < 32 || bytes[0] != 2 || bytes[1] > 1 || bytes[3] != 0 {
        return None;
    }
    let source = number(bytes, 8, 8)?;
    if source == 0 {
        return None;
    }
    let header = TwinHeader {
        quiet: bytes[1] == 1,
        cluster: number(bytes, 4, 4)? as u32,
        source,
        destination: number(bytes, 16, 8)?,
        root: number(bytes, 24, 8)?,
    };
    Some((header, bytes[2]))
}

/// A datagram.
pub fn frame(bytes: &[u8]) -> Option<TwinFrame> {
    if bytes.len() > 1400 {
        return None;
    }
    let (header, count) = header(bytes)?;
    let mut at = 32;
    let mut messages = Vec::new();
    for _ in 0..count {
        match message(bytes, at) {
            Some((message, length)) => {
                at += length;
                messages.push(message);
            }
            None => return Some(TwinFrame { header, messages, refused: true }),
        }
    }
    Some(TwinFrame { header, messages, refused: false })
}

/// A stream message without its length prefix.
pub fn stream(bytes: &[u8]) -> Option<(TwinHeader, OwnedBody)> {
    if bytes.len() > 1024 * 1024 {
        return None;
    }
    let (header, kind) = header(bytes)?;
    let body = match kind {
        1..=4 | 8 if bytes.len() == 32 => OwnedBody::Plain(kind),
        5 => state(bytes)?,
        24 => key_digests(bytes)?,
        25 => key_values(bytes),
        6 | 7 if bytes.len() == 36 => OwnedBody::Probe(kind, number(bytes, 32, 4)? as u32),
        40 => direct_turn(bytes)?,
        41 if bytes.len() == 48 => direct_ack(bytes)?,
        _ => return None,
    };
    Some((header, body))
}

fn state(bytes: &[u8]) -> Option<OwnedBody> {
    let count = number(bytes, 32, 4)?;
    let more = number(bytes, 36, 4)?;
    if more > 1 || count * 39 > (bytes.len() - 40) as u64 {
        return None;
    }
    let mut at = 40;
    let mut records = Vec::new();
    let mut refused = false;
    for _ in 0..count {
        let signature = signature(bytes, at);
        let begin = at + signature.map_or(0, |_| 72);
        match introduction(bytes, begin) {
            Some((record, length)) => {
                at = begin + length;
                records.push(OwnedIntroduction { signature: signature.map(Box::new), ..record });
            }
            None => {
                refused = true;
                break;
            }
        }
    }
    if !refused && at != bytes.len() {
        refused = true;
    }
    Some(OwnedBody::State { more: more == 1, records, refused })
}

/// The message at `at` and its length.
fn message(bytes: &[u8], at: usize) -> Option<(OwnedMessage, usize)> {
    match bytes.get(at)? {
        1..=4 => probe(bytes, at),
        5..=8 => update(bytes, at),
        9 => introduction(bytes, at).map(|(record, length)| (OwnedMessage::Introduction(record), length)),
        10 => event(bytes, at),
        11 | 12 | 22 => delegation(bytes, at),
        13..=16 => event_repair(bytes, at),
        17..=21 => view_repair(bytes, at),
        24 => key_roots(bytes, at),
        26 => signature(bytes, at).map(|signature| (OwnedMessage::Signature(Box::new(signature)), 72)),
        40 => direct(bytes, at),
        _ => None,
    }
}

fn probe(bytes: &[u8], at: usize) -> Option<(OwnedMessage, usize)> {
    let event_root = number(bytes, at + 1, 3)? as u32;
    let sequence = number(bytes, at + 4, 4)? as u32;
    match bytes[at] {
        1 => Some((OwnedMessage::Ping { sequence, event_root }, 8)),
        3 => Some((OwnedMessage::Ack { sequence, event_root }, 8)),
        _ if event_root != 0 => None,
        4 => Some((OwnedMessage::Nack { sequence }, 8)),
        _ => {
            let target = number(bytes, at + 8, 8)?;
            if target == 0 { None } else { Some((OwnedMessage::IndirectPing { sequence, target }, 16)) }
        }
    }
}

fn delegation(bytes: &[u8], at: usize) -> Option<(OwnedMessage, usize)> {
    let prefix_bits = number(bytes, at + 1, 1)? as u8;
    let zone = number(bytes, at + 2, 2)? as u16;
    let number = number(bytes, at + 4, 4)? as u32;
    match (bytes[at], prefix_bits, zone) {
        (kind @ (11 | 22), 0..=64, _) => {
            Some((OwnedMessage::Delegation { number, prefix_bits, zone, view_first: kind == 22 }, 8))
        }
        (12, 0, 0) => Some((OwnedMessage::DelegationAck { number }, 8)),
        _ => None,
    }
}

fn event_repair(bytes: &[u8], at: usize) -> Option<(OwnedMessage, usize)> {
    let id = number(bytes, at + 1, 7)?;
    let last = number(bytes, at + 4, 4)? as u32;
    let message = match bytes[at] {
        13 => {
            let (bits, nth, age_max) = (bytes[at + 1] % 128, bytes[at + 2], bytes[at + 3]);
            if bits > 7 || u32::from(nth) >= 1 << bits {
                return None;
            }
            OwnedMessage::EventSum { bits, nth, age_max, answer: bytes[at + 1] >= 128, sum: last }
        }
        14 => OwnedMessage::EventKnown { id },
        15 => OwnedMessage::EventWanted { id },
        _ if number(bytes, at + 1, 3)? == 0 => OwnedMessage::EventAge { age_ms: last },
        _ => return None,
    };
    Some((message, 8))
}

fn view_repair(bytes: &[u8], at: usize) -> Option<(OwnedMessage, usize)> {
    match bytes[at] {
        17 => {
            let count = number(bytes, at + 1, 1)? as usize;
            if !(1..=68).contains(&count) || number(bytes, at + 2, 2)? != 0 {
                return None;
            }
            let mut cells = Vec::new();
            for nth in 0..count {
                let at = at + 4 + 20 * nth;
                let (ids, contents) = (number(bytes, at, 8)?, number(bytes, at + 8, 8)?);
                let (checksum, count) = (number(bytes, at + 16, 2)?, number(bytes, at + 18, 2)?);
                cells.push(SketchCell::new(ids, contents, checksum as u16, count as u16));
            }
            Some((OwnedMessage::ViewSketch { cells }, 4 + 20 * count))
        }
        18 => {
            let (bits, step, zero) = (number(bytes, at + 1, 1)? as u8, number(bytes, at + 2, 1)? as u8, 0);
            let range = range(bits % 128, number(bytes, at + 4, 4)?)?;
            if number(bytes, at + 3, 1)? != zero || !(1..=6).contains(&step) || bits % 128 + step > 30 {
                return None;
            }
            let mut sums = Vec::new();
            for nth in 0..1 << step {
                sums.push(copy(bytes, at + 8 + 8 * nth, 8)?.try_into().ok()?);
            }
            Some((OwnedMessage::ViewSums { range, began: bits >= 128, step, sums }, 8 + (8 << step)))
        }
        19 => {
            let bits = number(bytes, at + 1, 1)? as u8;
            let count = number(bytes, at + 2, 2)? as usize;
            let range = range(bits % 64, number(bytes, at + 4, 4)?)?;
            if count > 340 {
                return None;
            }
            let mut codes = Vec::new();
            for nth in 0..count {
                codes.push(copy(bytes, at + 8 + 4 * nth, 4)?.try_into().ok()?);
            }
            let (began, wanted) = (bits >= 128, bits % 128 >= 64);
            Some((OwnedMessage::ViewList { range, began, wanted, codes }, 8 + 4 * count))
        }
        20 => {
            let (tag, incarnation) = (number(bytes, at + 1, 1)? as u8, number(bytes, at + 2, 6)?);
            let subject = number(bytes, at + 8, 8)?;
            let message = OwnedMessage::EntryWanted { subject, incarnation, tag };
            if subject == 0 { None } else { Some((message, 16)) }
        }
        _ => match (number(bytes, at + 1, 1)?, number(bytes, at + 2, 6)?) {
            (flags @ (0 | 128), 0) => Some((OwnedMessage::ViewRepair { began: flags == 128 }, 8)),
            _ => None,
        },
    }
}

/// The ids that begin with the first `bits` bits of `prefix`, which has no others.
fn range(bits: u8, prefix: u64) -> Option<IdRange> {
    if bits > 30 || !prefix.is_multiple_of(1 << (32 - bits)) {
        return None;
    }
    IdRange::new(bits, prefix as u32)
}

fn key_roots(bytes: &[u8], at: usize) -> Option<(OwnedMessage, usize)> {
    if number(bytes, at + 1, 7)? != 0 {
        return None;
    }
    let (maps, keys) = (number(bytes, at + 8, 8)?, number(bytes, at + 16, 8)?);
    Some((OwnedMessage::KeyRoots { maps, keys }, 24))
}

fn signature(bytes: &[u8], at: usize) -> Option<[u8; 64]> {
    let is_one = bytes.get(at) == Some(&26) && number(bytes, at + 1, 7)? == 0;
    if is_one { copy(bytes, at + 8, 64)?.try_into().ok() } else { None }
}

fn key_digests(bytes: &[u8]) -> Option<OwnedBody> {
    let flags = number(bytes, 32, 4)?;
    let (maps, keys) = (number(bytes, 36, 4)?, number(bytes, 40, 4)?);
    if flags > 7 || (maps + keys) * 24 + 44 != bytes.len() as u64 {
        return None;
    }
    let triple = |nth: u64| {
        let at = 44 + 24 * nth as usize;
        Some([number(bytes, at, 8)?, number(bytes, at + 8, 8)?, number(bytes, at + 16, 8)?])
    };
    let listed: Vec<_> = (0..maps).map(triple).collect::<Option<_>>()?;
    if listed.iter().any(|map| map[0] == 0 || map[1] == 0) {
        return None;
    }
    Some(OwnedBody::KeyDigests {
        all_maps: flags & 1 != 0,
        all_keys: flags & 2 != 0,
        more: flags & 4 != 0,
        maps: listed,
        keys: (maps..maps + keys).map(triple).collect::<Option<_>>()?,
    })
}

fn key_values(bytes: &[u8]) -> OwnedBody {
    let (mut sections, mut refused, mut at) = (Vec::new(), false, 32);
    while at < bytes.len() && !refused {
        match section(bytes, at) {
            Some((section, bad, length)) => {
                sections.push(section);
                refused = bad;
                at += length;
            }
            None => refused = true,
        }
    }
    OwnedBody::KeyValues { sections, refused }
}

/// A section with the entries up to the first that is refused, whether one is, and its length.
fn section(bytes: &[u8], at: usize) -> Option<(OwnedSection, bool, usize)> {
    let field = |nth: usize| number(bytes, at + 8 * nth, 8);
    let (owner, epoch, since, until, floor) = (field(0)?, field(1)?, field(2)?, field(3)?, field(4)?);
    let (length, flags) = (number(bytes, at + 40, 4)? as usize, number(bytes, at + 44, 4)?);
    let of_cluster = owner == 0 && [epoch, since, until, floor, flags] == [0; 5];
    let of_member = owner != 0 && epoch != 0 && since <= until && (flags & 2 == 0 || since == 0);
    if flags > 7 || !(of_cluster || of_member) {
        return None;
    }
    let (complete, reset) = (flags & 1 != 0, flags & 2 != 0);
    let span = KeySpan { owner: MemberId(owner), epoch, since, until, floor, complete, reset };
    let inside = copy(bytes, at + 48, length)?;
    let (mut statement, mut whole) = (None, 48 + length);
    if flags & 4 != 0 {
        let (hash, signature) = (copy(bytes, at + whole, 32)?, copy(bytes, at + whole + 32, 64)?);
        let (hash, signature) = (hash.try_into().ok()?, signature.try_into().ok()?);
        statement = Some(Box::new(MapStatement { hash, signature }));
        whole += 96;
    }
    let (mut entries, mut bad, mut from, mut last) = (Vec::new(), false, 0, since);
    while from < length && !bad {
        match entry(&inside, from, of_cluster) {
            Some((entry, length)) if of_cluster || (entry.version > last && entry.version <= until) => {
                last = entry.version;
                from += length;
                entries.push(entry);
            }
            _ => bad = true,
        }
    }
    Some((OwnedSection { span, statement, entries }, bad, whole))
}

fn entry(bytes: &[u8], at: usize, of_cluster: bool) -> Option<(OwnedEntry, usize)> {
    let (version, value_len) = (number(bytes, at, 8)?, number(bytes, at + 8, 4)? as usize);
    let (key_len, flags) = (number(bytes, at + 12, 1)? as usize, number(bytes, at + 13, 3)?);
    let writer = if of_cluster { number(bytes, at + 16, 8)? } else { 0 };
    if version == 0 || key_len == 0 || of_cluster && writer == 0 {
        return None;
    }
    let key_at = at + if of_cluster { 24 } else { 16 };
    let key = String::from_utf8(copy(bytes, key_at, key_len)?).ok()?;
    let inside = copy(bytes, key_at + key_len, value_len)?;
    let value = match (flags, value_len) {
        (0 | 4, 0..=65_536) => OwnedValue::Set(inside),
        (1 | 5, 0) => OwnedValue::Deleted,
        (2, 0) if of_cluster => OwnedValue::Elsewhere(None),
        (6, 32) => OwnedValue::Elsewhere(Some(inside.try_into().ok()?)),
        _ => return None,
    };
    let (mut statement, mut length) = (None, key_at - at + key_len + value_len);
    if flags & 4 != 0 {
        if !of_cluster {
            return None;
        }
        let (key, signature) = (copy(bytes, at + length, 32)?, copy(bytes, at + length + 32, 64)?);
        let (key, signature) = (PublicKey(key.try_into().ok()?), signature.try_into().ok()?);
        statement = Some(Box::new(KeyStatement { key, signature }));
        length += 96;
    }
    Some((OwnedEntry { key, version, writer, value, statement }, length))
}

fn direct(bytes: &[u8], at: usize) -> Option<(OwnedMessage, usize)> {
    let length = number(bytes, at + 2, 2)? as usize;
    if number(bytes, at + 1, 1)? != 0 || number(bytes, at + 4, 4)? != 0 || length > 1360 {
        return None;
    }
    Some((OwnedMessage::Direct { payload: copy(bytes, at + 8, length)? }, 8 + length))
}

fn direct_turn(bytes: &[u8]) -> Option<OwnedBody> {
    let role = (number(bytes, 56, 1)? as u8, number(bytes, 48, 8)?);
    let numbered = matches!(role, (0, 0) | (1 | 2, 1..));
    let length = number(bytes, 60, 4)? as usize;
    if number(bytes, 57, 3)? != 0 || !numbered || length > 512 * 1024 || bytes.len() != 64 + length {
        return None;
    }
    let payload = bytes[64..].to_vec();
    Some(OwnedBody::Direct { session: number(bytes, 32, 8)?, sequence: number(bytes, 40, 8)?, role, payload })
}

fn direct_ack(bytes: &[u8]) -> Option<OwnedBody> {
    let (outcome, rest) = (number(bytes, 40, 1)? as u8, number(bytes, 41, 7)?);
    if outcome > 3 || rest != 0 {
        return None;
    }
    Some(OwnedBody::DirectAck(number(bytes, 32, 8)?, outcome))
}

fn update(bytes: &[u8], at: usize) -> Option<(OwnedMessage, usize)> {
    let tag = number(bytes, at + 1, 1)? as u8;
    let incarnation = number(bytes, at + 2, 6)?;
    let subject = number(bytes, at + 8, 8)?;
    if subject == 0 || (tag != 0 && bytes[at] != 5) {
        return None;
    }
    match bytes[at] {
        5 => Some((OwnedMessage::Alive { subject, incarnation, tag }, 16)),
        6 => {
            let accuser = number(bytes, at + 16, 8)?;
            Some((OwnedMessage::Suspect { subject, incarnation, accuser }, 24))
        }
        7 => Some((OwnedMessage::Dead { subject, incarnation }, 16)),
        _ => Some((OwnedMessage::Left { subject, incarnation }, 16)),
    }
}

fn introduction(bytes: &[u8], at: usize) -> Option<(OwnedIntroduction, usize)> {
    if bytes.len() < at + 38 || bytes[at] != 9 {
        return None;
    }
    let name_len = usize::from(bytes[at + 34]);
    let metadata_len = number(bytes, at + 36, 2)? as usize;
    let zone_len = usize::from(bytes[at + 1]);
    if !(1..=128).contains(&name_len) || metadata_len > 512 || zone_len > 32 {
        return None;
    }
    let state = match bytes[at + 35] {
        1 => State::Alive,
        2 => State::Suspect,
        3 => State::Dead,
        4 => State::Left,
        _ => return None,
    };
    let name = String::from_utf8(copy(bytes, at + 38, name_len)?).ok()?;
    let metadata = copy(bytes, at + 38 + name_len, metadata_len)?;
    let zone = String::from_utf8(copy(bytes, at + 38 + name_len + metadata_len, zone_len)?).ok()?;
    let subject = number(bytes, at + 8, 8)?;
    if subject != MemberId::of_name(&name).0 {
        return None;
    }
    let incarnation = number(bytes, at + 2, 6)?;
    let address = address(bytes, at + 16)?;
    let record =
        OwnedIntroduction { subject, incarnation, state, address, name, metadata, zone, signature: None };
    Some((record, 38 + name_len + metadata_len + zone_len))
}

fn address(bytes: &[u8], at: usize) -> Option<SocketAddr> {
    let ip: [u8; 16] = copy(bytes, at, 16)?.try_into().ok()?;
    let port = number(bytes, at + 16, 2)? as u16;
    let mapped = ip[..10] == [0; 10] && ip[10..12] == [0xff, 0xff];
    // Unspecified, multicast, broadcast; and IPv6 that is link-local.
    let of_many_v4 = ip[12..] == [0; 4] || ip[12] & 0xf0 == 0xe0 || ip[12..] == [0xff; 4];
    let of_many_v6 = ip == [0; 16] || ip[0] == 0xff || ip[0] == 0xfe && ip[1] & 0xc0 == 0x80;
    if port == 0 || if mapped { of_many_v4 } else { of_many_v6 } {
        return None;
    }
    let ip: IpAddr =
        if mapped { Ipv4Addr::new(ip[12], ip[13], ip[14], ip[15]).into() } else { Ipv6Addr::from(ip).into() };
    Some(SocketAddr::new(ip, port))
}

fn event(bytes: &[u8], at: usize) -> Option<(OwnedMessage, usize)> {
    let name_len = number(bytes, at + 1, 1)? as usize;
    let payload_len = number(bytes, at + 2, 2)? as usize;
    let sequence = number(bytes, at + 4, 4)? as u32;
    let origin = number(bytes, at + 8, 8)?;
    if name_len + payload_len > 512 || origin == 0 {
        return None;
    }
    let name = String::from_utf8(copy(bytes, at + 16, name_len)?).ok()?;
    let payload = copy(bytes, at + 16 + name_len, payload_len)?;
    Some((OwnedMessage::UserEvent { origin, sequence, name, payload }, 16 + name_len + payload_len))
}
