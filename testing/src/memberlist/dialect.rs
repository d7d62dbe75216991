//! Writing messages in every form that peers have been seen to read: the real writer has only one.

use std::net::{IpAddr, SocketAddr};

use fastrand::Rng;
use swimring_codec::memberlist::{Message, Record, Source};

/// The value of a field.
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
    /// Bytes that may be given as an array of numbers.
    Octets(Vec<u8>),
    Flag(bool),
}

/// The struct's fields in the order of their declaration.
type Fields = Vec<(&'static str, Field)>;

fn number(number: impl Into<u64>) -> Field {
    Field::Number(number.into())
}

fn text(text: &str) -> Field {
    Field::Bytes(text.as_bytes().to_vec())
}

fn ip(address: SocketAddr) -> Field {
    Field::Octets(match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    })
}

fn source(fields: &mut Fields, source: Option<Source<'_>>) {
    match source {
        Some(source) => fields.extend([
            ("SourceAddr", ip(source.address)),
            ("SourcePort", number(source.address.port())),
            ("SourceNode", text(source.name)),
        ]),
        // An address without a port, or the other way round, is no source.
        None => fields.extend([
            ("SourceAddr", text("")),
            ("SourcePort", number(9_u16)),
            ("SourceNode", text("n")),
        ]),
    }
}

fn of_message(message: &Message<'_>) -> (u8, Fields) {
    match *message {
        Message::Ping { sequence, node, source: from } => {
            let mut fields = vec![("SeqNo", number(sequence)), ("Node", text(node))];
            source(&mut fields, from);
            (0, fields)
        }
        Message::IndirectPing { sequence, target, node, nack, source: from } => {
            let mut fields = vec![
                ("SeqNo", number(sequence)),
                ("Target", ip(target)),
                ("Port", number(target.port())),
                ("Node", text(node)),
                ("Nack", Field::Flag(nack)),
            ];
            source(&mut fields, from);
            (1, fields)
        }
        Message::Ack { sequence, payload } => {
            (2, vec![("SeqNo", number(sequence)), ("Payload", Field::Bytes(payload.to_vec()))])
        }
        Message::Nack { sequence } => (11, vec![("SeqNo", number(sequence))]),
        Message::Suspect { incarnation, node, from } => (3, accusation(incarnation, node, from)),
        Message::Dead { incarnation, node, from } => (5, accusation(incarnation, node, from)),
        Message::Alive(alive) => {
            let fields = vec![
                ("Incarnation", number(alive.incarnation)),
                ("Node", text(alive.node)),
                ("Addr", ip(alive.address)),
                ("Port", number(alive.address.port())),
                ("Meta", Field::Bytes(alive.metadata.to_vec())),
                ("Vsn", Field::Octets(alive.versions.0.to_vec())),
            ];
            (4, fields)
        }
        Message::User(_) => (8, Vec::new()),
    }
}

fn accusation(incarnation: u32, node: &str, from: &str) -> Fields {
    vec![("Incarnation", number(incarnation)), ("Node", text(node)), ("From", text(from))]
}

/// Writes `message` in a form that `rng` chooses.
pub fn message(rng: &mut Rng, message: &Message<'_>) -> Vec<u8> {
    if let Message::User(payload) = message {
        return [&[8], *payload].concat();
    }
    let (kind, fields) = of_message(message);
    let mut out = vec![kind];
    structure(rng, fields, &mut out);
    // What follows the struct does not count.
    out.extend((0..rng.u8(..4)).map(|_| rng.u8(..)));
    out
}

/// Writes `record` in a form that `rng` chooses.
pub fn record(rng: &mut Rng, record: &Record<'_>) -> Vec<u8> {
    let fields = vec![
        ("Name", text(record.node)),
        ("Addr", ip(record.address)),
        ("Port", number(record.address.port())),
        ("Meta", Field::Bytes(record.metadata.to_vec())),
        ("Incarnation", number(record.incarnation)),
        ("State", number(record.state as u8 - 1)),
        ("Vsn", Field::Octets(record.versions.0.to_vec())),
    ];
    let mut out = Vec::new();
    structure(rng, fields, &mut out);
    out
}

fn structure(rng: &mut Rng, mut fields: Fields, out: &mut Vec<u8>) {
    if rng.u8(..4) == 0 {
        let extra = rng.usize(..3);
        count(rng, (0x90, 0xdc), fields.len() + extra, out);
        for (_, field) in &fields {
            value(rng, field, out);
        }
        (0..extra).for_each(|_| unknown(rng, 0, out));
        return;
    }
    // A field that is missing is zero or empty.
    fields.retain(|(_, field)| !is_default(field) || rng.bool());
    rng.shuffle(&mut fields);
    let extra = rng.usize(..3);
    count(rng, (0x80, 0xde), fields.len() + extra, out);
    for (name, field) in &fields {
        bytes(rng, name.as_bytes(), out);
        value(rng, field, out);
    }
    for _ in 0..extra {
        bytes(rng, b"addr", out);
        unknown(rng, 0, out);
    }
}

fn is_default(field: &Field) -> bool {
    match field {
        Field::Number(number) => *number == 0,
        Field::Bytes(bytes) | Field::Octets(bytes) => bytes.is_empty(),
        Field::Flag(flag) => !flag,
    }
}

/// The header of an array or map.
fn count(rng: &mut Rng, (fix, wide): (u8, u8), count: usize, out: &mut Vec<u8>) {
    match rng.u8(..3) {
        0 if count < 16 => out.push(fix | count as u8),
        0 | 1 => out.extend([&[wide][..], &(count as u16).to_be_bytes()].concat()),
        _ => out.extend([&[wide + 1][..], &(count as u32).to_be_bytes()].concat()),
    }
}

fn value(rng: &mut Rng, field: &Field, out: &mut Vec<u8>) {
    if is_default(field) && rng.bool() {
        out.push(0xc0);
        return;
    }
    match field {
        Field::Number(number) => integer(rng, *number, out),
        Field::Bytes(slice) if slice.is_empty() && rng.bool() => out.push(0x90),
        Field::Bytes(slice) => bytes(rng, slice, out),
        Field::Octets(octets) if rng.bool() => {
            count(rng, (0x90, 0xdc), octets.len(), out);
            octets.iter().for_each(|octet| integer(rng, u64::from(*octet), out));
        }
        Field::Octets(octets) => bytes(rng, octets, out),
        Field::Flag(flag) => out.push(if rng.bool() { u8::from(*flag) } else { 0xc2 + u8::from(*flag) }),
    }
}

/// A number in any form, signed or not, that it fits in.
fn integer(rng: &mut Rng, number: u64, out: &mut Vec<u8>) {
    let digits = number.to_be_bytes();
    let forms: [(u64, u8, usize); 9] = [
        (0x7f, 0, 0),
        (0xff, 0xcc, 1),
        (0xffff, 0xcd, 2),
        (0xffff_ffff, 0xce, 4),
        (u64::MAX, 0xcf, 8),
        (0x7f, 0xd0, 1),
        (0x7fff, 0xd1, 2),
        (0x7fff_ffff, 0xd2, 4),
        (i64::MAX as u64, 0xd3, 8),
    ];
    let fitting: Vec<_> = forms.into_iter().filter(|(max, ..)| number <= *max).collect();
    let (_, first, width) = fitting[rng.usize(..fitting.len())];
    if width == 0 {
        out.push(number as u8);
    } else {
        out.push(first);
        out.extend_from_slice(&digits[8 - width..]);
    }
}

/// Bytes in any form: raw, string or bin.
fn bytes(rng: &mut Rng, slice: &[u8], out: &mut Vec<u8>) {
    let length = slice.len();
    match rng.u8(..4) {
        0 if length < 32 => out.push(0xa0 | length as u8),
        1 if length < 256 => out.extend([if rng.bool() { 0xd9 } else { 0xc4 }, length as u8]),
        0..=2 => {
            out.push(if rng.bool() { 0xda } else { 0xc5 });
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(if rng.bool() { 0xdb } else { 0xc6 });
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(slice);
}

/// The value of a field that nobody knows.
fn unknown(rng: &mut Rng, depth: u8, out: &mut Vec<u8>) {
    match rng.u8(..if depth < 5 { 8 } else { 6 }) {
        0 => out.push(0xc0 | rng.u8(2..4)),
        1 => integer(rng, rng.clone().u64(..), out),
        2 => out.extend([0xcb, 1, 2, 3, 4, 5, 6, 7, 8]),
        3 => out.extend([0xd6, 0xff, 1, 2, 3, 4]),
        4 => out.push(rng.u8(0xe0..)),
        5 => bytes(rng, b"Node", out),
        6 => {
            let length = rng.usize(..3);
            count(rng, (0x90, 0xdc), length, out);
            (0..length).for_each(|_| unknown(rng, depth + 1, out));
        }
        _ => {
            let length = rng.usize(..3);
            count(rng, (0x80, 0xde), length, out);
            (0..2 * length).for_each(|_| unknown(rng, depth + 1, out));
        }
    }
}
