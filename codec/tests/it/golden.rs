//! Golden vectors: the bytes on the wire are what `docs/PROTOCOL.md` says, in both directions.

use std::net::SocketAddr;

use swimring_codec::native::{
    DecodeError, EventId, Frame, FrameWriter, KeyDigest, KeyDigestList, MapDigest, Message,
    STREAM_PREFIX_LEN, StreamBody, StreamKind, StreamMessage, StreamWriter, item_contents, item_hash,
    stream_message_len,
};
use swimring_codec::{Incarnation, MemberId, identity_hash, root_term, zone_hash, zone_tag};
use swimring_testing::golden;
use swimring_testing::owned::{OwnedBody, OwnedMessage};

const SPECIFICATION: &str = include_str!("../../docs/PROTOCOL.md");

#[test]
fn messages_have_their_published_bytes() {
    for golden in golden::messages() {
        let (name, bytes, value) = (golden.name, golden.bytes(), &golden.value);
        let (message, rest) = Message::decode(&bytes).expect(name);
        assert_eq!(OwnedMessage::from(message), *value, "{name}");
        assert!(rest.is_empty(), "{name}");
        assert_eq!(message.encoded_len(), bytes.len(), "{name}");
        let mut out = vec![0xaa; bytes.len()];
        assert_eq!(value.borrow().encode(&mut out), Some(bytes.len()), "{name}");
        assert_eq!(out, bytes, "{name}");
    }
}

#[test]
fn frames_have_their_published_bytes() {
    for golden in golden::frames() {
        let (name, bytes) = (golden.name, golden.bytes());
        let (header, messages, padding) = golden.value;
        let frame = Frame::decode(&bytes).expect(name);
        assert_eq!(frame.header, header, "{name}");
        assert_eq!(frame.message_count(), messages.len(), "{name}");
        let mut walk = frame.messages();
        let read: Vec<_> = walk.by_ref().map(|message| OwnedMessage::from(message.expect(name))).collect();
        assert_eq!(read, messages, "{name}");
        assert_eq!(walk.rest(), vec![0; padding], "{name}");

        let mut out = [0xaa; 256];
        let mut writer = FrameWriter::new(header, &mut out).expect(name);
        assert!(writer.is_empty());
        assert!(messages.iter().all(|message| writer.push(&message.borrow())), "{name}");
        assert_eq!(writer.len(), bytes.len() - padding, "{name}");
        let length = writer.finish_padded(bytes.len());
        assert_eq!(out[..length], bytes, "{name}");
        assert_eq!(out[length], 0xaa, "{name}: only the padding is cleared");
    }
}

#[test]
fn stream_messages_have_their_published_bytes() {
    for golden in golden::streams() {
        let (name, bytes) = (golden.name, golden.bytes());
        let (header, body) = golden.value;
        let (prefix, rest) = bytes.split_first_chunk::<STREAM_PREFIX_LEN>().expect(name);
        assert_eq!(stream_message_len(*prefix), Ok(rest.len()), "{name}");
        let message = StreamMessage::decode(rest).expect(name);
        assert_eq!(message.header, header, "{name}");
        assert_eq!(OwnedBody::from(message.body), body, "{name}");

        let mut out = Vec::new();
        let mut writer = StreamWriter::new(header, &mut out);
        match body {
            OwnedBody::Plain(kind) => writer.plain(kind_of(kind)),
            OwnedBody::Probe(kind, sequence) => writer.probe(kind_of(kind), sequence),
            OwnedBody::KeyDigests { all_maps, all_keys, more, maps, keys } => {
                writer.key_digests(&digest_list(all_maps, all_keys, more, &maps, &keys));
            }
            OwnedBody::KeyValues { sections, .. } => {
                assert!(
                    writer.key_values(|writer| sections.iter().all(|section| section.write(writer))),
                    "{name}"
                );
            }
            OwnedBody::Direct { .. } | OwnedBody::DirectAck(..) => match message.body {
                StreamBody::Direct(turn) => assert!(writer.direct(&turn), "{name}"),
                StreamBody::DirectAck { sequence, outcome } => writer.direct_ack(sequence, outcome),
                other => panic!("{name}: {other:?}"),
            },
            OwnedBody::State { more, records, .. } => {
                assert!(
                    records
                        .iter()
                        .all(|record| writer.signed_record(&record.borrow(), record.signature.as_deref())),
                    "{name}"
                );
                if !more {
                    writer.finish_state();
                }
            }
        }
        // The writer opens a `State` message that has more to follow only for a record.
        if !out.is_empty() {
            assert_eq!(out, bytes, "{name}");
        }
    }
}

fn digest_list(
    all_maps: bool,
    all_keys: bool,
    more: bool,
    maps: &[[u64; 3]],
    keys: &[[u64; 3]],
) -> KeyDigestList {
    let map = |[owner, epoch, version]: &[u64; 3]| MapDigest {
        owner: MemberId(*owner),
        epoch: *epoch,
        version: *version,
    };
    let key = |[hash, version, writer]: &[u64; 3]| KeyDigest {
        hash: *hash,
        version: *version,
        writer: MemberId(*writer),
    };
    let (maps, keys) = (maps.iter().map(map).collect(), keys.iter().map(key).collect());
    KeyDigestList { all_maps, all_keys, more, maps, keys }
}

fn kind_of(number: u8) -> StreamKind {
    let kinds = [
        StreamKind::Join,
        StreamKind::Sync,
        StreamKind::Agreed,
        StreamKind::Differs,
        StreamKind::State,
        StreamKind::Ping,
        StreamKind::Ack,
        StreamKind::Absent,
    ];
    kinds.into_iter().find(|kind| *kind as u8 == number).expect("a stream kind")
}

#[test]
fn the_specification_prints_every_vector() {
    // White space apart, which breaks long vectors into lines.
    let page: String = SPECIFICATION.split_whitespace().collect();
    let messages = golden::messages().into_iter().map(|golden| (golden.name, golden.hex));
    let frames = golden::frames().into_iter().map(|golden| (golden.name, golden.hex));
    let streams = golden::streams().into_iter().map(|golden| (golden.name, golden.hex));
    for (name, hex) in messages.chain(frames).chain(streams) {
        assert!(page.contains(hex), "docs/PROTOCOL.md lacks the vector of: {name}");
    }
}

#[test]
fn the_specification_prints_the_hashes() {
    let address: SocketAddr = "10.0.0.7:7946".parse().expect("an address");
    let identity = identity_hash(address, b"v1", "");
    let identity_in_zone = identity_hash(address, b"v1", golden::ZONE);
    let term = root_term(golden::NODE_7, Incarnation::new(1_700_000_000), identity);
    for (name, id) in [("node-1", golden::NODE_1), ("node-2", golden::NODE_2), ("node-7", golden::NODE_7)] {
        assert_eq!(MemberId::of_name(name), id);
    }
    let ids = [golden::NODE_1.0, golden::NODE_2.0, golden::NODE_7.0];
    for number in ids.into_iter().chain([identity, term, zone_hash(golden::ZONE), identity_in_zone]) {
        assert!(SPECIFICATION.contains(&format!("{number:016x}")), "{number:016x}");
    }
    assert!(SPECIFICATION.contains(&format!("`{:04x}`", zone_tag(golden::ZONE))));
    let (event, term) = EventId::of(golden::NODE_1, 9);
    assert_eq!((event.bits(), term), (golden::EVENT_ID, golden::EVENT_TERM));
    assert!(SPECIFICATION.contains(&format!("id `{:014x}`, term `{term:08x}`", event.bits())));
    let contents = item_contents(Incarnation::new(1_700_000_000), identity);
    let hash = item_hash(golden::NODE_7, contents);
    assert_eq!((contents, hash), (golden::ITEM_CONTENTS, golden::ITEM_HASH));
    for number in [contents, hash] {
        assert!(SPECIFICATION.contains(&format!("`{number:016x}`")), "{number:016x}");
    }
}

#[test]
fn the_specification_names_every_error() {
    for name in DecodeError::NAMES {
        assert!(SPECIFICATION.contains(&format!("`{name}`")), "{name}");
    }
}
