//! What the memberlist format refuses, and how: every kind of refusal, from bytes that are otherwise valid.

use std::collections::HashSet;
use std::net::SocketAddr;

use swimring_codec::memberlist::{
    Alive, Codec, CompoundWriter, DecodeError, INFLATED_PACKET_MAX, KEYS_MAX, KeyError, Keyring, Message,
    Options, OptionsError, PushPullWriter, RECORDS_MAX, Record, STREAM_MAX, Source, StreamMessage,
    StreamScanner, USER_STATE_MAX, Versions,
};
use swimring_testing::memberlist::{KEY, bytes, checks, codec, vectors};

fn alive() -> Alive<'static> {
    let address = SocketAddr::from(([127, 0, 0, 1], 7946));
    Alive { incarnation: 1, node: "n1", address, metadata: b"", versions: Versions::PLAIN }
}

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut out = vec![0; message.encoded_len()];
    assert_eq!(message.encode(&mut out), Some(out.len()));
    out
}

fn error(bytes: &[u8]) -> DecodeError {
    Message::decode(bytes).expect_err("refused")
}

fn packet_error(codec: &mut Codec, bytes: &[u8]) -> DecodeError {
    codec.open_packet(bytes).expect_err("refused")
}

/// The `compress` message of `data`, which is LZW.
fn compressed(data: &[u8]) -> Vec<u8> {
    let front = b"\x09\x82\xa4Algo\x00\xa3Buf\xdb";
    [&front[..], &(data.len() as u32).to_be_bytes(), data].concat()
}

fn weezl(plain: &[u8]) -> Vec<u8> {
    weezl::encode::Encoder::new(weezl::BitOrder::Lsb, 8).encode(plain).expect("LZW")
}

/// `value` inside so many arrays.
fn nested(depth: usize, value: &[u8]) -> Vec<u8> {
    [&vec![0x91; depth][..], value].concat()
}

#[test]
fn every_kind_of_refusal_is_named_and_numbered() {
    let kinds = [
        DecodeError::Truncated,
        DecodeError::Label,
        DecodeError::Crc,
        DecodeError::Decrypt,
        DecodeError::Unencrypted,
        DecodeError::Nested,
        DecodeError::TooLarge,
        DecodeError::Compression,
        DecodeError::Kind(1),
        DecodeError::Field("x"),
        DecodeError::Msgpack,
        DecodeError::Versions,
    ];
    let numbers: HashSet<usize> = kinds.iter().map(|kind| kind.index()).collect();
    assert_eq!(numbers, (0..DecodeError::KINDS).collect());
    let names: HashSet<&str> = DecodeError::NAMES.into_iter().collect();
    assert_eq!(names.len(), DecodeError::KINDS);
}

#[test]
fn labels_must_agree() {
    let plain = [8, b'x'];
    let labelled = [&[0xf4, 3][..], b"dc1", &plain].concat();
    assert_eq!(codec("dc1", &[]).open_packet(&labelled).map(Iterator::count), Ok(1));
    assert_eq!(packet_error(&mut codec("", &[]), &labelled), DecodeError::Label);
    assert_eq!(packet_error(&mut codec("dc2", &[]), &labelled), DecodeError::Label);
    assert_eq!(packet_error(&mut codec("dc", &[]), &labelled), DecodeError::Label);
    assert_eq!(packet_error(&mut codec("dc1", &[]), &plain), DecodeError::Label);
    assert_eq!(packet_error(&mut codec("", &[]), &[0xf4, 0, 8]), DecodeError::Label);
    assert_eq!(packet_error(&mut codec("dc1", &[]), &labelled[..4]), DecodeError::Label);
    let hi = bytes("0881aa557365724d73674c656e026869");
    let labelled = [&[0xf4, 3][..], b"dc1", &hi].concat();
    assert!(codec("dc1", &[]).open_stream(&labelled, true).is_ok());
    // An answer carries no label.
    assert!(codec("dc1", &[]).open_stream(&hi, false).is_ok());
    for (label, bytes, dialed_by_peer) in
        [("dc1", &labelled, false), ("dc2", &labelled, true), ("", &labelled, true), ("dc1", &hi, true)]
    {
        let error = codec(label, &[]).open_stream(bytes, dialed_by_peer).err();
        assert_eq!(error, Some(DecodeError::Label), "{label}");
    }
    for (expected, bytes) in [(false, &labelled), (true, &hi)] {
        assert_eq!(StreamScanner::new(expected).scan(bytes), Err(DecodeError::Label));
    }
    assert_eq!(StreamScanner::new(true).scan(&[0xf4, 0, 8]), Err(DecodeError::Label));
}

#[test]
fn damage_is_found_by_the_crc() {
    let vector = vectors::packets().remove(0).bytes();
    let mut codec = codec("", &[]);
    for bit in 8..8 * vector.len() {
        let mut damaged = vector.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(packet_error(&mut codec, &damaged), DecodeError::Crc, "bit {bit}");
    }
    assert_eq!(packet_error(&mut codec, &vector[..4]), DecodeError::Truncated);
    // A CRC is no message: not after another, and not in a compound.
    let message = [&[7, 1, 0, vector.len() as u8][..], &vector].concat();
    let parts: Vec<_> = codec.open_packet(&message).expect("a compound").collect();
    assert_eq!(parts, [Err(DecodeError::Kind(12))]);
}

#[test]
fn damage_and_other_keys_are_found_by_the_cipher() {
    for vector in vectors::packets().into_iter().filter(|vector| vector.value.1) {
        let (label, bytes) = (vector.value.0, vector.bytes());
        let mut right = codec(label, &[&[1; 32], &KEY]);
        assert!(right.open_packet(&bytes).is_ok());
        let front = if label.is_empty() { 0 } else { 2 + label.len() };
        for bit in 8 * front..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // The version is not authentic: without padding, version 0 is version 1 with a longer text.
            if (bytes[front], damaged[front]) == (0, 1) {
                assert_eq!(right.open_packet(&damaged).map(Iterator::count), Ok(1));
                continue;
            }
            let error = packet_error(&mut right, &damaged);
            let version = damaged[front];
            let expected = if version > 1 { DecodeError::Unencrypted } else { DecodeError::Decrypt };
            assert_eq!(error, expected, "{} bit {bit}", vector.name);
        }
        for length in front + 1..bytes.len() {
            assert_eq!(packet_error(&mut right, &bytes[..length]), DecodeError::Decrypt);
        }
        let mut wrong = codec(label, &[&[1; 16], &[2; 24]]);
        assert_eq!(packet_error(&mut wrong, &bytes), DecodeError::Decrypt);
        // The label is part of what is authentic.
        if !label.is_empty() {
            let relabelled = [&[0xf4, 3][..], b"dc2", &bytes[front..]].concat();
            assert_eq!(packet_error(&mut codec("dc2", &[&KEY]), &relabelled), DecodeError::Decrypt);
        }
    }
}

#[test]
fn encrypted_streams_are_authentic_or_refused() {
    for vector in vectors::streams().into_iter().filter(|vector| vector.value.1) {
        let (label, bytes) = (vector.value.0, vector.bytes());
        let mut right = codec(label, &[&KEY]);
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(right.open_stream(&damaged, true).is_err(), "{} bit {bit}", vector.name);
        }
        for length in 0..bytes.len() {
            assert!(right.open_stream(&bytes[..length], true).is_err());
            assert_eq!(StreamScanner::new(!label.is_empty()).scan(&bytes[..length]), Ok(None));
        }
        assert_eq!(codec(label, &[]).open_stream(&bytes, true).err(), Some(DecodeError::Decrypt));
        assert_eq!(codec(label, &[&[9; 16]]).open_stream(&bytes, true).err(), Some(DecodeError::Decrypt));
    }
}

#[test]
fn plain_text_is_refused_once_there_are_keys_unless_told_otherwise() {
    let plain = encoded(&Message::Alive(alive()));
    let hi = bytes("0881aa557365724d73674c656e026869");
    let mut strict = codec("", &[&KEY]);
    assert_eq!(packet_error(&mut strict, &plain), DecodeError::Unencrypted);
    assert_eq!(strict.open_stream(&hi, true).err(), Some(DecodeError::Unencrypted));
    // A plain ping looks like an envelope of version 0.
    let ping = encoded(&Message::Ping { sequence: 1, node: "n1", source: None });
    assert_eq!(packet_error(&mut strict, &ping), DecodeError::Decrypt);
    let options = Options {
        keys: vec![KEY[..].into()],
        verify_incoming: false,
        verify_outgoing: false,
        ..Options::default()
    };
    let mut lenient = Codec::new(&options, [1; 32]).expect("valid");
    assert!(!lenient.encrypts() && strict.encrypts());
    for bytes in [&plain, &ping] {
        assert_eq!(lenient.open_packet(bytes).map(|messages| messages.flatten().count()), Ok(1));
    }
    assert!(lenient.open_stream(&hi, true).is_ok());
    let encrypted = vectors::packets().into_iter().find(|vector| vector.value == ("", true)).expect("one");
    assert_eq!(lenient.open_packet(&encrypted.bytes()).map(|messages| messages.flatten().count()), Ok(1));
    assert_eq!((lenient.packet_overhead(true), lenient.sealed_len(9, false)), (5, 9));
}

#[test]
fn padding_must_be_padding() {
    // Version 0 envelopes made with the keys, but with the padding of a careless or hostile member.
    use aes_gcm::aead::AeadInOut;
    use aes_gcm::{Aes128Gcm, KeyInit};
    let cipher = Aes128Gcm::new(&KEY.into());
    let open = |text: &[u8]| {
        let (mut text, nonce) = (text.to_vec(), [5; 12]);
        let tag =
            cipher.encrypt_inout_detached(&nonce.into(), b"", text.as_mut_slice().into()).expect("short");
        let envelope = [&[0][..], &nonce, &text, &tag].concat();
        codec("", &[&KEY]).open_packet(&envelope).map(Iterator::count)
    };
    let message = [8; 8];
    assert_eq!(open(&[&message[..], &[8; 8]].concat()), Ok(1));
    for padding in [[0; 8], [17; 8], [255; 8], [9; 8], [1, 8, 8, 8, 8, 8, 8, 8]] {
        assert_eq!(open(&[&[8, 7, 6, 5, 4, 3, 2, 1][..], &padding].concat()), Err(DecodeError::Decrypt));
    }
    // Nothing but padding is an empty packet.
    assert_eq!(open(&[16; 16]), Err(DecodeError::Truncated));
}

#[test]
fn bombs_are_stopped_at_their_bound() {
    let largest = vec![8; INFLATED_PACKET_MAX];
    let mut codec = codec("", &[]);
    let packet = compressed(&weezl(&largest));
    assert_eq!(codec.open_packet(&packet).map(Iterator::count), Ok(1));
    let bomb = compressed(&weezl(&[8; INFLATED_PACKET_MAX + 1]));
    assert_eq!(packet_error(&mut codec, &bomb), DecodeError::TooLarge);
    let bomb = compressed(&weezl(&vec![8; 50 << 20]));
    assert!(bomb.len() < 1 << 20);
    assert_eq!(packet_error(&mut codec, &bomb), DecodeError::TooLarge);
    assert_eq!(codec.open_stream(&bomb, true).err(), Some(DecodeError::TooLarge));
}

#[test]
fn malformed_compression_is_refused() {
    let mut codec = codec("", &[]);
    let valid = weezl(b"\x08xxxxxxxxxxxxx");
    for length in 0..valid.len() - 1 {
        let error = packet_error(&mut codec, &compressed(&valid[..length]));
        assert_eq!(error, DecodeError::Truncated, "{length}");
    }
    // A code beyond the table, at once and after a byte.
    assert_eq!(packet_error(&mut codec, &compressed(&[0xff, 0xff, 0xff])), DecodeError::Compression);
    assert_eq!(packet_error(&mut codec, &compressed(&[0x41, 0x58, 0x02])), DecodeError::Compression);
    // Nothing inside.
    assert_eq!(packet_error(&mut codec, &compressed(&weezl(b""))), DecodeError::Truncated);
    assert_eq!(codec.open_stream(&compressed(&weezl(b"")), true).err(), Some(DecodeError::Truncated));
    let mut other = compressed(&valid);
    other[7] = 1;
    assert_eq!(packet_error(&mut codec, &other), DecodeError::Compression);
}

#[test]
fn compression_does_not_nest() {
    let mut codec = codec("", &[]);
    let inner = compressed(&weezl(b"\x08xxxxxxxxxxxxx"));
    assert!(codec.open_packet(&inner).is_ok());
    let twice = compressed(&weezl(&inner));
    assert_eq!(packet_error(&mut codec, &twice), DecodeError::Nested);
    assert_eq!(codec.open_stream(&twice, true).err(), Some(DecodeError::Nested));
    let part = [&[7, 1, 0, inner.len() as u8][..], &inner].concat();
    let parts: Vec<_> = codec.open_packet(&part).expect("a compound").collect();
    assert_eq!(parts, [Err(DecodeError::Nested)]);
}

fn compound(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![7, parts.len() as u8];
    parts.iter().for_each(|part| out.extend_from_slice(&(part.len() as u16).to_be_bytes()));
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

#[test]
fn compounds_nest_once() {
    let mut codec = codec("", &[]);
    let user = [8, b'x'];
    let inner = compound(&[&user, &user]);
    let outer = compound(&[&user, &inner, &user]);
    let messages: Vec<_> = codec.open_packet(&outer).expect("a compound").collect();
    assert_eq!(messages, vec![Ok(Message::User(b"x")); 4]);
    let deepest = compound(&[&outer, &user]);
    let messages: Vec<_> = codec.open_packet(&deepest).expect("a compound").collect();
    let user = Ok(Message::User(b"x"));
    assert_eq!(messages, [user, Err(DecodeError::Nested), user, user]);
}

#[test]
fn a_bad_part_does_not_stop_the_others() {
    let mut codec = codec("", &[]);
    let alive = encoded(&Message::Alive(alive()));
    let whole = compound(&[&alive, &[], &[99], &[5, 0xc1], &alive]);
    let read = |codec: &mut Codec, bytes: &[u8]| -> Vec<Result<bool, DecodeError>> {
        let messages = codec.open_packet(bytes).expect("a compound");
        messages.map(|message| message.map(|message| matches!(message, Message::Alive(_)))).collect()
    };
    let (gone, unknown) = (Err(DecodeError::Truncated), Err(DecodeError::Kind(99)));
    let damaged = Err(DecodeError::Msgpack);
    assert_eq!(read(&mut codec, &whole), [Ok(true), gone, unknown, damaged, Ok(true)]);
    // Cut off, the whole parts are read and the rest is one refusal.
    assert_eq!(read(&mut codec, &whole[..whole.len() - 1]), [Ok(true), gone, unknown, damaged, gone]);
    assert_eq!(read(&mut codec, &whole[..14]), [gone]);
    assert_eq!(packet_error(&mut codec, &whole[..11]), DecodeError::Truncated);
    assert_eq!(packet_error(&mut codec, &[7]), DecodeError::Truncated);
    assert_eq!(packet_error(&mut codec, &[]), DecodeError::Truncated);
    assert_eq!(read(&mut codec, &[7, 0]), []);
}

#[test]
fn values_nest_eight_deep() {
    let struct_with = |value: &[u8]| [&b"\x0b\x82\xa5SeqNo\x01\xa1x"[..], value].concat();
    assert!(Message::decode(&struct_with(&nested(8, b"\x01"))).is_ok());
    assert_eq!(error(&struct_with(&nested(9, b"\x01"))), DecodeError::Nested);
    assert_eq!(error(&struct_with(&nested(60_000, b"\x01"))), DecodeError::Nested);
    assert_eq!(StreamScanner::new(false).scan(&nested(60_000, b"")), Err(DecodeError::Kind(0x91)));
    let deep = [&[0][..], &nested(60_000, b"")].concat();
    assert_eq!(StreamScanner::new(false).scan(&deep), Err(DecodeError::Nested));
}

#[test]
fn huge_counts_end_where_the_bytes_end() {
    for front in [&b"\xdf\xff\xff\xff\xff"[..], b"\xdd\xff\xff\xff\xff", b"\xde\xff\xff", b"\xdc\xff\xff"] {
        for kind in [0, 1, 2, 3, 4, 5, 11] {
            let bytes = [&[kind][..], front, b"\xa1x\xdf\xff\xff\xff\xff"].concat();
            assert!(Message::decode(&bytes).is_err(), "{kind} {front:x?}");
        }
    }
    assert_eq!(error(b"\x0b\x81\xa1x\xdb\xff\xff\xff\xff"), DecodeError::Truncated);
    assert_eq!(error(b"\x0b\x81\xa1x\xdd\xff\xff\xff\xff\x01"), DecodeError::Truncated);
}

/// A struct of type `kind` in which `field` has been given another value, msgpack as it is.
fn with(message: &[u8], field: &str, value: &[u8]) -> Vec<u8> {
    let key = [&[0xa0 | field.len() as u8][..], field.as_bytes()].concat();
    let at = message.windows(key.len()).position(|window| window == key).expect("the field") + key.len();
    let length = match message[at] {
        short @ 0xa0..=0xbf => 1 + usize::from(short & 0x1f),
        0xcd => 3,
        _ => 1,
    };
    [&message[..at], value, &message[at + length..]].concat()
}

#[test]
fn fields_out_of_range_are_refused() {
    let alive = encoded(&Message::Alive(alive()));
    let long_name = [&[0xda, 0, 129][..], &[b'n'; 129]].concat();
    let long_metadata = [&[0xda, 2, 1][..], &[b'm'; 513]].concat();
    for (field, value, expected) in [
        ("Incarnation", &b"\xcf\0\0\0\x01\0\0\0\0"[..], DecodeError::Field("Incarnation")),
        ("Incarnation", b"\xff", DecodeError::Field("Incarnation")),
        ("Incarnation", b"\xd1\x80\0", DecodeError::Field("Incarnation")),
        ("Incarnation", b"\xa11", DecodeError::Field("Incarnation")),
        ("Incarnation", b"\xc3", DecodeError::Field("Incarnation")),
        ("Incarnation", b"\xca\0\0\0\0", DecodeError::Field("Incarnation")),
        ("Port", b"\xce\0\x01\0\0", DecodeError::Field("Port")),
        ("Node", b"\xa0", DecodeError::Field("Node")),
        ("Node", b"\xc0", DecodeError::Field("Node")),
        ("Node", b"\xa2\xff\xff", DecodeError::Field("Node")),
        ("Node", b"\x07", DecodeError::Field("Node")),
        ("Node", &long_name, DecodeError::Field("Node")),
        ("Meta", &long_metadata, DecodeError::Field("Meta")),
        ("Meta", b"\x92\x01\x02", DecodeError::Field("Meta")),
        ("Addr", b"\xc0", DecodeError::Field("Addr")),
        ("Addr", b"\xa3abc", DecodeError::Field("Addr")),
        ("Addr", b"\x94\x01\x02\x03\xcd\x01\x00", DecodeError::Field("Addr")),
        ("Addr", b"\xdd\xff\xff\xff\xff", DecodeError::Field("Addr")),
        ("Vsn", b"\xc0", DecodeError::Versions),
        ("Vsn", b"\xa3\x01\x05\x02", DecodeError::Versions),
        ("Vsn", b"\xa5\x01\x05\x02\0\0", DecodeError::Versions),
        ("Vsn", b"\xa7\x01\x05\x02\0\0\0\0", DecodeError::Versions),
    ] {
        assert_eq!(error(&with(&alive, field, value)), expected, "{field} {value:x?}");
    }
    // A missing address, name or version list is refused like an empty one.
    assert_eq!(error(b"\x04\x80"), DecodeError::Field("Node"));
    assert_eq!(error(b"\x04\xc0"), DecodeError::Field("Node"));
    assert_eq!(error(b"\x04\x81\xa4Node\xa1n"), DecodeError::Field("Addr"));
    assert_eq!(error(b"\x04\x82\xa4Node\xa1n\xa4Addr\xa4abcd"), DecodeError::Versions);
    assert_eq!(error(b"\x04\x81\x01\x01"), DecodeError::Msgpack);
    assert_eq!(error(b"\x04\x01"), DecodeError::Msgpack);
}

#[test]
fn extremes_that_are_valid_are_read() {
    let base = encoded(&Message::Alive(alive()));
    let read = |bytes: &[u8]| match Message::decode(bytes) {
        Ok(Message::Alive(alive)) => {
            (alive.incarnation, alive.address, alive.node.len(), alive.metadata.len())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(read(&with(&base, "Incarnation", b"\xce\xff\xff\xff\xff")).0, u32::MAX);
    assert_eq!(read(&with(&base, "Incarnation", b"\xd3\0\0\0\0\xff\xff\xff\xff")).0, u32::MAX);
    assert_eq!(read(&with(&base, "Port", b"\0")).1.port(), 0);
    // An IPv4-mapped address is not the IPv4 address: it stays what it was, and is written as it came.
    let mapped = b"\xb0\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\x01";
    let bytes = with(&base, "Addr", mapped);
    assert_eq!(read(&bytes).1, "[::ffff:127.0.0.1]:7946".parse().expect("an address"));
    assert_eq!(encoded(&Message::decode(&bytes).expect("read")), bytes);
    assert_eq!(read(&with(&base, "Node", &[&[0xda, 0, 128][..], &[b'n'; 128]].concat())).2, 128);
    assert_eq!(read(&with(&base, "Meta", &[&[0xda, 2, 0][..], &[b'm'; 512]].concat())).3, 512);
}

#[test]
fn truncated_and_damaged_messages_are_read_or_refused() {
    for vector in vectors::messages() {
        let bytes = vector.bytes();
        for length in 0..bytes.len() {
            assert_eq!(Message::decode(&bytes[..length]), Err(DecodeError::Truncated), "{}", vector.name);
        }
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            checks::message(&damaged);
        }
    }
}

#[test]
fn what_breaks_the_rules_is_not_written() {
    let mut out = [0; 2000];
    let long = "n".repeat(129);
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let source = Some(Source { address: nowhere, name: "" });
    for message in [
        Message::Alive(Alive { node: "", ..alive() }),
        Message::Alive(Alive { node: &long, ..alive() }),
        Message::Alive(Alive { metadata: &[0; 513], ..alive() }),
        Message::Ping { sequence: 1, node: &long, source: None },
        Message::Ping { sequence: 1, node: "", source },
        Message::IndirectPing { sequence: 1, target: nowhere, node: "", nack: false, source },
        Message::Suspect { incarnation: 1, node: "", from: "" },
        Message::Dead { incarnation: 1, node: "n", from: &long },
    ] {
        assert_eq!(message.encode(&mut out), None, "{message:?}");
    }
    let mut writer = CompoundWriter::new(&mut out, 1).expect("room");
    assert!(!writer.push(&Message::Suspect { incarnation: 1, node: "", from: "" }));
    assert!(writer.is_empty());
    assert_eq!(writer.finish(), 0);
    assert!(CompoundWriter::new(&mut [0; 5], 2).is_none());
    assert!(CompoundWriter::new(&mut [0; 2000], 256).is_none());
    let Alive { incarnation, address, metadata, versions, .. } = alive();
    let state = swimring_codec::State::Alive;
    let record = Record { incarnation, node: "", address, metadata, versions, state };
    let mut out = Vec::new();
    let mut writer = PushPullWriter::new(&mut out, true);
    assert!(!writer.record(&record) && !writer.record(&Record { node: &long, ..record }));
    assert!(!writer.finish(&vec![0; USER_STATE_MAX + 1]));
    let mut codec = codec("", &[]);
    let Ok(StreamMessage::PushPull { records, user_state: b"", .. }) = codec.open_stream(&out, true) else {
        panic!("an empty push/pull");
    };
    assert!(records.is_empty());
}

#[test]
fn a_bad_record_does_not_stop_the_others() {
    let good = bytes(vectors::RECORD);
    let state = with(&good, "State", b"\x04");
    let versions = with(&good, "Vsn", b"\xa3\x01\x05\x02");
    let array = nested(1, b"\x01");
    let header = b"\x06\x82\xa5Nodes\x06\xacUserStateLen\x02";
    let message = [header, &good[..], &state, &good, &versions, &array, &good, b"us"].concat();
    assert_eq!(StreamScanner::new(false).scan(&message), Ok(Some(message.len())));
    let mut codec = codec("", &[]);
    let Ok(StreamMessage::PushPull { records, user_state: b"us", join: false }) =
        codec.open_stream(&message, true)
    else {
        panic!("a push/pull");
    };
    let read: Vec<_> = records.map(|record| record.map(|record| record.node)).collect();
    let (state, versions) = (Err(DecodeError::Field("State")), Err(DecodeError::Versions));
    let array = Err(DecodeError::Field("Name"));
    assert_eq!(read, [Ok("n1"), state, Ok("n1"), versions, array, Ok("n1")]);
    for length in 0..message.len() {
        assert_eq!(StreamScanner::new(false).scan(&message[..length]), Ok(None), "{length}");
        assert_eq!(codec.open_stream(&message[..length], true).err(), Some(DecodeError::Truncated));
    }
}

#[test]
fn streams_that_announce_too_much_are_refused_at_once() {
    let scan = |bytes: &[u8]| StreamScanner::new(false).scan(bytes);
    let number = |number: usize| (number as u32).to_be_bytes();
    let frame = |length: usize| [&[10][..], &number(length)].concat();
    assert_eq!(scan(&frame(STREAM_MAX)), Ok(None));
    assert_eq!(scan(&frame(STREAM_MAX + 1)), Err(DecodeError::TooLarge));
    let records = |count: usize| [&b"\x06\x81\xa5Nodes\xce"[..], &number(count)].concat();
    assert_eq!(scan(&records(RECORDS_MAX)), Ok(None));
    assert_eq!(scan(&records(RECORDS_MAX + 1)), Err(DecodeError::TooLarge));
    let user = |length: usize| [&b"\x08\x81\xaaUserMsgLen\xce"[..], &number(length)].concat();
    assert_eq!(scan(&user(USER_STATE_MAX - 100)), Ok(None));
    assert_eq!(scan(&user(USER_STATE_MAX + 1)), Err(DecodeError::TooLarge));
    let state = [&b"\x06\x81\xacUserStateLen\xce"[..], &number(USER_STATE_MAX + 1)].concat();
    assert_eq!(scan(&state), Err(DecodeError::TooLarge));
    // A record whose name alone is longer than a message may be.
    let record = [&records(1)[..], b"\x81\xa4Name\xdb", &number(STREAM_MAX + 300)].concat();
    assert_eq!(scan(&record), Err(DecodeError::TooLarge));
    assert_eq!(
        scan(&[&b"\x09\x81\xa3Buf\xdb"[..], &number(STREAM_MAX + 300)].concat()),
        Err(DecodeError::TooLarge)
    );
    assert_eq!(scan(b"\x06\x81\xa5Nodes\xff"), Err(DecodeError::Field("Nodes")));
    for kind in [1, 3, 4, 5, 7, 11, 12, 14, 200] {
        assert_eq!(scan(&[kind]), Err(DecodeError::Kind(kind)));
        let error = codec("", &[]).open_stream(&[kind, 0x80], true).err();
        assert_eq!(error, Some(DecodeError::Kind(kind)));
    }
}

#[test]
fn settings_that_are_wrong_are_named() {
    let wrong = |options: Options| Codec::new(&options, [0; 32]).expect_err("refused");
    let label = "x".repeat(256);
    assert_eq!(wrong(Options { label, ..Options::default() }), OptionsError::Label(256));
    let keys = vec![[0; 16].into(), [0; 17].into()];
    let error = wrong(Options { keys, ..Options::default() });
    assert_eq!(error, OptionsError::Key(2, KeyError::Length(17)));
    assert!(error.to_string().contains("keys: number 2: a key of 17 bytes; use 16, 24 or 32"));
    let keys = (0..=KEYS_MAX as u8).map(|key| [key; 16].into()).collect();
    assert_eq!(wrong(Options { keys, ..Options::default() }), OptionsError::Keys(KEYS_MAX + 1));
    let options = Options { encryption_version: 2, ..Options::default() };
    assert_eq!(wrong(options), OptionsError::EncryptionVersion(2));
    let options = Options { label: "x".repeat(255), ..Options::default() };
    assert!(Codec::new(&options, [0; 32]).is_ok());
}

#[test]
fn the_keyring_keeps_its_rules() {
    let mut keyring = Keyring::default();
    assert!(keyring.is_empty() && keyring.primary().is_none());
    assert_eq!(keyring.install(&[1; 15]), Err(KeyError::Length(15)));
    for key in [1, 2, 3, 2] {
        keyring.install(&[key; 16]).expect("installed");
    }
    assert_eq!(keyring.keys().collect::<Vec<_>>(), [[1; 16], [2; 16], [3; 16]]);
    assert_eq!(keyring.use_key(&[9; 16]), Err(KeyError::Unknown));
    keyring.use_key(&[3; 16]).expect("installed");
    assert_eq!(keyring.keys().collect::<Vec<_>>(), [[3; 16], [1; 16], [2; 16]]);
    assert_eq!(keyring.remove(&[3; 16]), Err(KeyError::Primary));
    keyring.remove(&[1; 16]).expect("not the primary");
    keyring.remove(&[1; 16]).expect("gone already");
    assert_eq!((keyring.primary(), keyring.keys().len()), (Some(&[3; 16][..]), 2));
    (10..).take(KEYS_MAX - 2).for_each(|key| keyring.install(&[key; 32]).expect("room"));
    assert_eq!(keyring.install(&[200; 32]), Err(KeyError::TooMany));
    let keys = vec![[0xab; 16].into()];
    let options = Options { keys, ..Options::default() };
    let shown = format!("{:?} {:?} {keyring:?}", options, Codec::new(&options, [0; 32]).expect("valid"));
    assert!(!shown.contains("171") && !shown.contains("ab, "), "keys are not shown: {shown}");
}
