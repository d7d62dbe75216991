//! A second decoder that shares nothing with the real one: it copies every value into a tree, keeps the
//! strings of LZW as strings, and looks fields up by name. Slow and plain, so that where it and the real
//! one differ, one of them is wrong.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use swimring_codec::State;
use swimring_codec::memberlist::{Alive, Message, Record, Source, Versions};

/// A msgpack value. Floats and extensions are all `Other`.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Nil,
    Bool(bool),
    Number(u64),
    Negative,
    Bytes(Vec<u8>),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Other,
}

fn number(bytes: &[u8], at: &mut usize, length: usize) -> Option<u64> {
    let mut value = 0;
    for &byte in &copy(bytes, at, length)? {
        value = value * 256 + u64::from(byte);
    }
    Some(value)
}

fn copy(bytes: &[u8], at: &mut usize, length: usize) -> Option<Vec<u8>> {
    let copied = bytes.get(*at..at.checked_add(length)?)?.to_vec();
    *at += length;
    Some(copied)
}

/// The value at `at`, which moves behind it. None nests deeper than 40: nothing that is accepted does.
pub fn value(bytes: &[u8], at: &mut usize, depth: usize) -> Option<Value> {
    let first = number(bytes, at, 1)? as u8;
    let length = match first {
        0xc4 | 0xc7 | 0xd9 => number(bytes, at, 1)?,
        0xc5 | 0xc8 | 0xda | 0xdc | 0xde => number(bytes, at, 2)?,
        0xc6 | 0xc9 | 0xdb | 0xdd | 0xdf => number(bytes, at, 4)?,
        0xa0..=0xbf => u64::from(first) - 0xa0,
        0x90..=0x9f => u64::from(first) - 0x90,
        0x80..=0x8f => u64::from(first) - 0x80,
        0xd4..=0xd8 => 1 << (first - 0xd4),
        _ => 0,
    };
    let width = |first: u8, base: u8| 1_usize << (first - base);
    Some(match first {
        0x00..=0x7f => Value::Number(first.into()),
        0x80..=0x8f | 0xde | 0xdf => {
            let mut pairs = Vec::new();
            for _ in 0..length {
                let key = nested(bytes, at, depth)?;
                pairs.push((key, nested(bytes, at, depth)?));
            }
            Value::Map(pairs)
        }
        0x90..=0x9f | 0xdc | 0xdd => {
            let mut values = Vec::new();
            for _ in 0..length {
                values.push(nested(bytes, at, depth)?);
            }
            Value::Array(values)
        }
        0xa0..=0xbf | 0xc4..=0xc6 | 0xd9..=0xdb => Value::Bytes(copy(bytes, at, length as usize)?),
        0xc0 => Value::Nil,
        0xc1 => return None,
        0xc2 => Value::Bool(false),
        0xc3 => Value::Bool(true),
        0xc7..=0xc9 | 0xd4..=0xd8 => copy(bytes, at, length as usize + 1).map(|_| Value::Other)?,
        0xca => copy(bytes, at, 4).map(|_| Value::Other)?,
        0xcb => copy(bytes, at, 8).map(|_| Value::Other)?,
        0xcc..=0xcf => Value::Number(number(bytes, at, width(first, 0xcc))?),
        0xd0..=0xd3 => {
            let width = width(first, 0xd0);
            let value = number(bytes, at, width)?;
            if value < 1 << (8 * width - 1) { Value::Number(value) } else { Value::Negative }
        }
        0xe0..=0xff => Value::Negative,
    })
}

fn nested(bytes: &[u8], at: &mut usize, depth: usize) -> Option<Value> {
    if depth == 40 { None } else { value(bytes, at, depth + 1) }
}

/// How deep arrays and maps that hold something nest.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(|value| 1 + depth(value)).max().unwrap_or(0),
        Value::Map(pairs) => {
            pairs.iter().map(|(key, value)| 1 + depth(key).max(depth(value))).max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// The fields of a struct that are there, each with its position in `names`.
pub fn fields<'v>(value: &'v Value, names: &[&str]) -> Option<Vec<(usize, &'v Value)>> {
    let mut found = Vec::new();
    match value {
        Value::Nil => {}
        Value::Array(values) => {
            for (position, value) in values.iter().enumerate() {
                if position < names.len() {
                    found.push((position, value));
                } else if depth(value) > 8 {
                    return None;
                }
            }
        }
        Value::Map(pairs) => {
            for (key, value) in pairs {
                let Value::Bytes(key) = key else { return None };
                match names.iter().position(|name| name.as_bytes() == key) {
                    Some(position) => found.push((position, value)),
                    None if depth(value) > 8 => return None,
                    None => {}
                }
            }
        }
        _ => return None,
    }
    Some(found)
}

pub fn unsigned(value: &Value, max: u64) -> Option<u64> {
    match value {
        Value::Nil => Some(0),
        Value::Number(number) if *number <= max => Some(*number),
        _ => None,
    }
}

pub fn slice(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Nil => Some(&[]),
        Value::Bytes(bytes) => Some(bytes),
        Value::Array(values) if values.is_empty() => Some(&[]),
        _ => None,
    }
}

pub fn text(value: &Value) -> Option<&str> {
    std::str::from_utf8(slice(value)?).ok()
}

fn name(value: &Value) -> Option<&str> {
    text(value).filter(|name| name.len() <= 128)
}

pub fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Nil | Value::Bool(false) | Value::Number(0) => Some(false),
        Value::Bool(true) | Value::Number(1) => Some(true),
        _ => None,
    }
}

/// At most 16 bytes, which may be given as numbers.
fn octets(value: &Value) -> Option<Vec<u8>> {
    let octets = match value {
        Value::Array(values) => {
            let octet = |value| unsigned(value, 255).map(|octet| octet as u8);
            values.iter().map(octet).collect::<Option<Vec<u8>>>()?
        }
        _ => slice(value)?.to_vec(),
    };
    (octets.len() <= 16).then_some(octets)
}

/// An address: what is outside is none at all, what is inside whether it is there.
fn ip(value: &Value) -> Option<Option<IpAddr>> {
    let octets = octets(value)?;
    match octets.len() {
        0 => Some(None),
        4 => Some(Some(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into())),
        16 => Some(Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).expect("16 bytes")).into())),
        _ => None,
    }
}

/// The struct at the front of `bytes`.
fn structure(bytes: &[u8]) -> Option<Value> {
    value(bytes, &mut 0, 0)
}

/// Reads the message `bytes` and gives it to `check`, or nothing if it is refused.
pub fn message<T>(bytes: &[u8], check: impl FnOnce(Option<Message<'_>>) -> T) -> T {
    match bytes.split_first() {
        None => check(None),
        Some((8, payload)) => check(Some(Message::User(payload))),
        Some((&kind, body)) => match structure(body) {
            Some(value) => check(of_value(kind, &value)),
            None => check(None),
        },
    }
}

fn of_value(kind: u8, value: &Value) -> Option<Message<'_>> {
    match kind {
        0 => ping(value),
        1 => indirect_ping(value),
        2 => {
            let (mut sequence, mut payload): (u32, &[u8]) = (0, &[]);
            for (field, value) in fields(value, &["SeqNo", "Payload"])? {
                match field {
                    0 => sequence = unsigned(value, u32::MAX.into())? as u32,
                    _ => payload = slice(value)?,
                }
            }
            Some(Message::Ack { sequence, payload })
        }
        3 | 5 => {
            let (mut incarnation, mut node, mut from) = (0, "", "");
            for (field, value) in fields(value, &["Incarnation", "Node", "From"])? {
                match field {
                    0 => incarnation = unsigned(value, u32::MAX.into())? as u32,
                    1 => node = name(value)?,
                    _ => from = name(value)?,
                }
            }
            let named = !node.is_empty();
            let message = match kind {
                3 => Message::Suspect { incarnation, node, from },
                _ => Message::Dead { incarnation, node, from },
            };
            named.then_some(message)
        }
        4 => member(value, "Node").map(|(alive, _)| Message::Alive(alive)),
        11 => {
            let mut sequence = 0;
            for (_, value) in fields(value, &["SeqNo"])? {
                sequence = unsigned(value, u32::MAX.into())? as u32;
            }
            Some(Message::Nack { sequence })
        }
        _ => None,
    }
}

fn source<'v>(ip: Option<IpAddr>, port: u16, name: &'v str) -> Option<Source<'v>> {
    if port == 0 { None } else { Some(Source { address: SocketAddr::new(ip?, port), name }) }
}

pub fn ping(value: &Value) -> Option<Message<'_>> {
    let (mut sequence, mut node, mut from, mut port, mut sender) = (0, "", None, 0, "");
    for (field, value) in fields(value, &["SeqNo", "Node", "SourceAddr", "SourcePort", "SourceNode"])? {
        match field {
            0 => sequence = unsigned(value, u32::MAX.into())? as u32,
            1 => node = name(value)?,
            2 => from = ip(value)?,
            3 => port = unsigned(value, u16::MAX.into())? as u16,
            _ => sender = name(value)?,
        }
    }
    Some(Message::Ping { sequence, node, source: source(from, port, sender) })
}

fn indirect_ping(value: &Value) -> Option<Message<'_>> {
    let names = ["SeqNo", "Target", "Port", "Node", "Nack", "SourceAddr", "SourcePort", "SourceNode"];
    let (mut sequence, mut target, mut port, mut node, mut nack) = (0, None, 0, "", false);
    let (mut from, mut from_port, mut sender) = (None, 0, "");
    for (field, value) in fields(value, &names)? {
        match field {
            0 => sequence = unsigned(value, u32::MAX.into())? as u32,
            1 => target = ip(value)?,
            2 => port = unsigned(value, u16::MAX.into())? as u16,
            3 => node = name(value)?,
            4 => nack = flag(value)?,
            5 => from = ip(value)?,
            6 => from_port = unsigned(value, u16::MAX.into())? as u16,
            _ => sender = name(value)?,
        }
    }
    let target = SocketAddr::new(target?, port);
    Some(Message::IndirectPing { sequence, target, node, nack, source: source(from, from_port, sender) })
}

/// What alive messages and records say, and the number of the state.
fn member<'v>(value: &'v Value, key: &'static str) -> Option<(Alive<'v>, u8)> {
    let names = match key {
        "Node" => &["Incarnation", "Node", "Addr", "Port", "Meta", "Vsn"][..],
        _ => &["Name", "Addr", "Port", "Meta", "Incarnation", "State", "Vsn"][..],
    };
    let (mut incarnation, mut node, mut address, mut port) = (0, "", None, 0);
    let (mut metadata, mut versions, mut state): (&[u8], _, _) = (&[], Vec::new(), 0);
    for (field, value) in fields(value, names)? {
        match names[field] {
            "Incarnation" => incarnation = unsigned(value, u32::MAX.into())? as u32,
            "Addr" => address = ip(value)?,
            "Port" => port = unsigned(value, u16::MAX.into())? as u16,
            "Meta" => metadata = slice(value).filter(|metadata| metadata.len() <= 512)?,
            "State" => state = unsigned(value, 255)? as u8,
            "Vsn" => versions = octets(value)?,
            _ => node = name(value)?,
        }
    }
    let versions = Versions(versions.try_into().ok()?);
    let address = SocketAddr::new(address?, port);
    let alive = Alive { incarnation, node, address, metadata, versions };
    if node.is_empty() { None } else { Some((alive, state)) }
}

/// A record; nothing if it is refused.
pub fn record(value: &Value) -> Option<Record<'_>> {
    let (Alive { incarnation, node, address, metadata, versions }, state) = member(value, "Name")?;
    let state = [State::Alive, State::Suspect, State::Dead, State::Left].get(usize::from(state)).copied()?;
    Some(Record { incarnation, node, address, metadata, versions, state })
}

/// LZW with a table of strings; nothing if it is malformed or gives more than `max` bytes.
pub fn inflate(data: &[u8], max: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bit, mut width) = (0, 9);
    let mut last: Option<Vec<u8>> = None;
    let clear = || -> Vec<Vec<u8>> { (0..258).map(|code: u16| vec![code as u8]).collect() };
    let mut table = clear();
    loop {
        let mut code = 0;
        for i in 0..width {
            let byte = *data.get((bit + i) / 8)?;
            code |= usize::from(byte >> ((bit + i) % 8) & 1) << i;
        }
        bit += width;
        if code == 257 {
            return Some(out);
        }
        if code == 256 {
            (table, width, last) = (clear(), 9, None);
            continue;
        }
        let string = match (table.get(code), &last) {
            (Some(string), _) => string.clone(),
            (None, Some(last)) if code == table.len() && table.len() < 4096 => {
                [&last[..], &last[..1]].concat()
            }
            _ => return None,
        };
        out.extend_from_slice(&string);
        if out.len() > max {
            return None;
        }
        if let Some(last) = last.take()
            && table.len() < 4096
        {
            table.push([&last[..], &string[..1]].concat());
        }
        last = Some(string);
        // The next code may name the entry that it makes.
        if table.len() >= 1 << width && width < 12 {
            width += 1;
        }
    }
}

/// The messages of a packet without label and encryption, each whole or refused; nothing if all of it is.
pub fn packet(bytes: &[u8]) -> Option<Vec<Option<Vec<u8>>>> {
    let (&first, rest) = bytes.split_first()?;
    let plain = if first == 12 { rest.get(4..)? } else { bytes };
    if first == 12 && crc(plain).to_be_bytes() != rest[..4] {
        return None;
    }
    let plain = match plain.split_first()? {
        (9, body) => compressed(body)?,
        _ => plain.to_vec(),
    };
    match plain.first()? {
        9 => None,
        7 => parts(&plain[1..], 1),
        _ => Some(vec![Some(plain)]),
    }
}

fn compressed(body: &[u8]) -> Option<Vec<u8>> {
    let value = structure(body)?;
    let (mut algorithm, mut data): (u64, &[u8]) = (0, &[]);
    for (field, value) in fields(&value, &["Algo", "Buf"])? {
        match field {
            0 => algorithm = unsigned(value, 255)?,
            _ => data = slice(value)?,
        }
    }
    if algorithm == 0 { inflate(data, 65_536) } else { None }
}

fn parts(bytes: &[u8], level: usize) -> Option<Vec<Option<Vec<u8>>>> {
    let count = usize::from(*bytes.first()?);
    let mut at = 1 + 2 * count;
    bytes.get(..at)?;
    let mut all = Vec::new();
    for i in 0..count {
        let length = usize::from(bytes[1 + 2 * i]) * 256 + usize::from(bytes[2 + 2 * i]);
        let Some(part) = bytes.get(at..at + length) else {
            all.push(None);
            break;
        };
        at += length;
        match part.first() {
            Some(7) if level == 2 => all.push(None),
            Some(7) => match parts(&part[1..], level + 1) {
                Some(inner) => all.extend(inner),
                None => all.push(None),
            },
            Some(9) | None => all.push(None),
            Some(_) => all.push(Some(part.to_vec())),
        }
    }
    Some(all)
}

/// CRC-32, bit by bit.
pub fn crc(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for &byte in bytes {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    !sum
}
