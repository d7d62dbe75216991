//! The memberlist and Serf formats: whatever arrives is read as the twin decoder reads it, or refused.

use std::cell::RefCell;

use swimring_codec::memberlist::{Codec, Options, PushPullWriter, Versions};
use swimring_codec::serf::{Message, Tags};

use crate::Seed;
use crate::decode::file_name;
use swimring_testing::memberlist::{KEY, bytes, checks, codec, twin, vectors};

thread_local! {
    /// Without label and keys: what the twin can follow.
    static PLAIN: RefCell<Codec> = RefCell::new(codec("", &[]));
    /// With everything, and for plain text as well as for encrypted.
    static KEYED: RefCell<Codec> = RefCell::new(keyed());
}

fn keyed() -> Codec {
    let keys = vec![[9; 32].into(), KEY[..].into()];
    let options = Options { label: "dc1".to_owned(), keys, verify_incoming: false, ..Options::default() };
    Codec::new(&options, [1; 32]).expect("valid options")
}

/// Reads `bytes` as a packet: plain, and of a pool with a label and keys.
///
/// # Panics
/// When the decoder and its twin disagree, or what was read is written back differently.
pub fn memberlist_packet(bytes: &[u8]) {
    PLAIN.with_borrow_mut(|codec| checks::packet(codec, bytes));
    KEYED.with_borrow_mut(|codec| codec.open_packet(bytes).into_iter().flatten().for_each(drop));
}

/// Reads `bytes` as a packet's message.
///
/// # Panics
/// When the decoder and its twin disagree, or what was read is written back differently.
pub fn memberlist_message(bytes: &[u8]) {
    checks::message(bytes);
}

/// Reads `bytes` as a stream: plain, and of a pool with a label and keys, which either side dialed.
///
/// # Panics
/// When the decoder and its twin disagree, what was read is written back differently, or the end of a
/// message depends on how it arrives.
pub fn memberlist_stream(bytes: &[u8]) {
    PLAIN.with_borrow_mut(|codec| checks::stream(codec, bytes));
    KEYED.with_borrow_mut(|codec| {
        for dialed_by_peer in [false, true] {
            let _ = codec.open_stream(bytes, dialed_by_peer);
        }
    });
}

/// Decompresses `bytes`, and compresses them.
///
/// # Panics
/// When decompression and its twin disagree, or what was compressed does not come back.
pub fn lzw(bytes: &[u8]) {
    let packet = compressed(bytes);
    PLAIN.with_borrow_mut(|codec| {
        checks::packet(codec, &packet);
        if let Some(smaller) = codec.compress(bytes) {
            assert!(smaller.len() < bytes.len());
            let value = twin::value(&smaller[1..], &mut 0, 0).expect("a struct");
            let fields = twin::fields(&value, &["Buf"]).expect("a struct");
            let data = twin::slice(fields[0].1).expect("bytes");
            assert_eq!(twin::inflate(data, bytes.len()).as_deref(), Some(bytes));
        }
    });
}

/// Reads `bytes` as a message of Serf, and as tags.
///
/// # Panics
/// When what was read is written back differently.
pub fn serf_message(bytes: &[u8]) {
    if let Ok(tags) = Tags::decode(bytes) {
        let all: Vec<_> = tags.collect();
        if let Ok(written) = Tags::encode(&all) {
            assert!(Tags::decode(&written).expect("written, so readable").eq(all));
        }
    }
    let Ok(message) = Message::decode(bytes) else { return };
    if let Message::PushPull(state) = &message {
        state.status_ltimes().for_each(drop);
        state.left_members().for_each(drop);
        state.events().for_each(drop);
    }
    let mut written = Vec::new();
    if message.encode(&mut written) {
        let read = Message::decode(&written).expect("written, so readable");
        assert_eq!(format!("{read:?}"), format!("{message:?}"));
    }
}

/// The `compress` message of `data`.
fn compressed(data: &[u8]) -> Vec<u8> {
    [&b"\x09\x82\xa4Algo\x00\xa3Buf\xdb"[..], &(data.len() as u32).to_be_bytes(), data].concat()
}

fn seed(name: &str, bytes: Vec<u8>) -> Seed {
    Seed { name: file_name(name), bytes }
}

/// The golden packets, each message alone, and a compound of all of them.
pub(crate) fn packet_seeds() -> Vec<Seed> {
    let mut seeds = message_seeds();
    seeds.extend(vectors::packets().iter().map(|vector| seed(vector.name, vector.bytes())));
    seeds.push(seed("compound", bytes(vectors::COMPOUND)));
    seeds.push(seed("compressed", bytes(vectors::COMPRESSED)));
    let messages: Vec<_> = vectors::messages().iter().map(|vector| vector.bytes()).collect();
    let mut compound = vec![7, messages.len() as u8];
    messages.iter().for_each(|message| compound.extend((message.len() as u16).to_be_bytes()));
    compound.extend(messages.concat());
    seeds.push(seed("every message", compound));
    seeds
}

/// The golden messages, and some in the other forms that peers read.
pub(crate) fn message_seeds() -> Vec<Seed> {
    let mut seeds: Vec<_> =
        vectors::messages().iter().map(|vector| seed(vector.name, vector.bytes())).collect();
    let array = b"\x04\x96\x01\xa2n1\x94\x7f\0\0\x01\xcd\x1f\x0a\xc0\xc4\x06\x01\x05\x02\0\0\0";
    seeds.push(seed("alive as an array", array.to_vec()));
    let unknown = b"\x0b\xde\0\x02\xd9\x05SeqNo\xd3\0\0\0\0\0\0\0\x07\xa1x\x81\xa1y\x92\xcb\0\0\0\0\0\0\0\0\xc7\x01\x05\0";
    seeds.push(seed("nack with an unknown field", unknown.to_vec()));
    seeds
}

/// The golden stream messages, and a push/pull.
pub(crate) fn stream_seeds() -> Vec<Seed> {
    let mut seeds: Vec<_> =
        vectors::streams().iter().map(|vector| seed(vector.name, vector.bytes())).collect();
    seeds.push(seed("error", bytes(vectors::ERROR)));
    let probes = vectors::messages();
    let probes = probes.iter().filter(|vector| vector.name.starts_with("ping"));
    seeds.extend(probes.map(|vector| seed(vector.name, vector.bytes())));
    let state = bytes(vectors::serf::PUSH_PULL);
    let push_pull = [b"\x06\x82\xa5Nodes\x02\xacUserStateLen\xcc", &[state.len() as u8][..]].concat();
    let records = bytes(vectors::RECORD).repeat(2);
    seeds.push(seed("push pull", [push_pull, records, state].concat()));
    let mut empty = Vec::new();
    assert!(PushPullWriter::new(&mut empty, true).finish(&Versions::PLAIN.0));
    seeds.push(seed("push pull without records", empty));
    seeds
}

/// Compressed data, and data that compresses.
pub(crate) fn lzw_seeds() -> Vec<Seed> {
    let golden = bytes(vectors::COMPRESSED);
    let repeated = vectors::HELLO.repeat(3);
    let pairs: Vec<u8> = (0..600_u16).flat_map(u16::to_be_bytes).collect();
    // Four letters without a pattern: enough strings to fill the table and clear it.
    let letters: Vec<u8> =
        (0..30_000_u32).map(|at| b'a' + (at.wrapping_mul(2_654_435_761) >> 30) as u8).collect();
    let mixed: Vec<u8> =
        letters.iter().enumerate().map(|(at, letter)| letter ^ (((at * at) >> 7) as u8 & 3)).collect();
    let mut codec = codec("", &[]);
    let cleared = codec.compress(&mixed).expect("smaller")[15..].to_vec();
    vec![
        seed("golden", golden[13..].to_vec()),
        seed("repeated", repeated),
        seed("pairs", pairs),
        seed("cleared table", cleared),
    ]
}

/// The golden messages and tags.
pub(crate) fn serf_seeds() -> Vec<Seed> {
    let mut seeds: Vec<_> =
        vectors::serf::MESSAGES.iter().map(|(name, hex)| seed(name, bytes(hex))).collect();
    for (name, hex) in [
        ("tags", vectors::serf::ROLE_WEB),
        ("no tags", vectors::serf::NO_TAGS),
        ("an empty tag", vectors::serf::EMPTY_TAG),
    ] {
        seeds.push(seed(name, bytes(hex)));
    }
    seeds
}
