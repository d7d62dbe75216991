//! The memberlist format's golden vectors: what real members have sent is read, and what is written the
//! same way is written to the byte.

use std::net::SocketAddr;

use swimring_codec::State;
use swimring_codec::memberlist::{
    Codec, CompoundWriter, DecodeError, Message, Options, PushPullWriter, Record, StreamMessage,
    StreamScanner, Versions, compound_overhead, encode_stream_ack, encode_stream_error, encode_stream_ping,
    encode_stream_user,
};
use swimring_testing::memberlist::{KEY, bytes, codec, vectors};

fn codec_of((label, encrypted): (&str, bool)) -> Codec {
    codec(label, if encrypted { &[&KEY] } else { &[] })
}

#[test]
fn messages_are_read_and_written_as_real_members_write_them() {
    for vector in vectors::messages() {
        let (name, bytes) = (vector.name, vector.bytes());
        assert_eq!(Message::decode(&bytes), Ok(vector.value), "{name}");
        let mut out = vec![0xaa; 200];
        let length = vector.value.encode(&mut out).expect(name);
        assert_eq!(length, vector.value.encoded_len(), "{name}");
        assert_eq!(out[..length] == bytes, vector.written, "{name}");
    }
}

#[test]
fn packets_of_real_members_are_opened() {
    for vector in vectors::packets() {
        let mut codec = codec_of(vector.value);
        let bytes = vector.bytes();
        let messages = codec.open_packet(&bytes).expect(vector.name);
        assert!(messages.eq([Ok(Message::User(vectors::HELLO))]), "{}", vector.name);
    }
}

#[test]
fn plain_packets_are_written_as_real_members_write_them() {
    for vector in vectors::packets().into_iter().filter(|vector| vector.written) {
        let (name, bytes) = (vector.name, vector.bytes());
        let mut codec = codec_of(vector.value);
        let mut plain = [&[8], vectors::HELLO].concat();
        if name.contains("compression") {
            plain = codec.compress(&plain).expect("smaller").to_vec();
        }
        let mut packet = vec![0xaa; codec.sealed_len(plain.len(), true)];
        let at = codec.plain_offset(true);
        packet[at..at + plain.len()].copy_from_slice(&plain);
        codec.seal_packet(&mut packet, plain.len(), true);
        assert_eq!(packet, bytes, "{name}");
    }
}

#[test]
fn compounds_have_their_published_form() {
    let published = bytes(vectors::COMPOUND);
    let mut codec = codec("", &[]);
    let parts: Vec<_> = codec.open_packet(&published).expect("a compound").collect();
    assert_eq!(parts, [Err(DecodeError::Kind(b'a')), Err(DecodeError::Kind(b'c'))]);
    let mut out = [0xaa; 32];
    let mut writer = CompoundWriter::new(&mut out, 2).expect("room");
    assert!(writer.push_encoded(b"ab") && writer.push_encoded(b"c") && !writer.push_encoded(b""));
    let length = writer.finish();
    assert_eq!((&out[..length], compound_overhead(2) + 3), (&published[..], length));
}

#[test]
fn compressed_messages_have_their_published_form() {
    let published = bytes(vectors::COMPRESSED);
    let mut codec = codec("", &[]);
    assert_eq!(codec.compress(&[b'a'; 40]), Some(&published[..]));
    let parts: Vec<_> = codec.open_packet(&published).expect("compressed").collect();
    assert_eq!(parts, [Err(DecodeError::Kind(b'a'))]);
}

#[test]
fn streams_of_real_members_are_found_and_opened() {
    for vector in vectors::streams() {
        let (name, bytes) = (vector.name, vector.bytes());
        let mut codec = codec_of(vector.value);
        let label = !vector.value.0.is_empty();
        assert_eq!(StreamScanner::new(label).scan(&bytes), Ok(Some(bytes.len())), "{name}");
        let message = codec.open_stream(&bytes, true);
        assert!(matches!(message, Ok(StreamMessage::User(b"hi"))), "{name}: {message:?}");
        if vector.written {
            let mut out = Vec::new();
            encode_stream_user(&mut out, b"hi");
            codec.seal_stream(&mut out, 0, true);
            assert_eq!(out, bytes, "{name}");
        }
    }
}

/// The record of the vectors.
fn record() -> Record<'static> {
    Record {
        incarnation: 1,
        node: "n1",
        address: SocketAddr::from(([127, 0, 0, 1], 7946)),
        metadata: b"",
        versions: Versions([1, 5, 2, 2, 5, 4]),
        state: State::Left,
    }
}

#[test]
fn push_pulls_with_headers_of_both_codecs_are_read() {
    for vector in vectors::headers() {
        let (records, user_state_len, join) = vector.value;
        let mut message = vector.bytes();
        (0..records).for_each(|_| message.extend_from_slice(&bytes(vectors::RECORD)));
        message.resize(message.len() + user_state_len, b'u');
        let mut codec = codec("", &[]);
        assert_eq!(StreamScanner::new(false).scan(&message), Ok(Some(message.len())), "{}", vector.name);
        let Ok(StreamMessage::PushPull { join: joins, records: read, user_state }) =
            codec.open_stream(&message, true)
        else {
            panic!("{}", vector.name);
        };
        assert_eq!((joins, user_state), (join, &vec![b'u'; user_state_len][..]), "{}", vector.name);
        assert_eq!(read.len(), records, "{}", vector.name);
        assert!(read.eq(std::iter::repeat_n(Ok(record()), records)), "{}", vector.name);
    }
}

#[test]
fn push_pulls_are_written_in_forms_that_peers_read() {
    let mut out = Vec::new();
    let mut writer = PushPullWriter::new(&mut out, true);
    assert!(writer.record(&record()) && writer.record(&record()));
    assert_eq!(writer.records(), 2);
    assert!(writer.finish(b"state"));
    let header = "0683a44a6f696ec3a54e6f646573ce00000002ac5573657253746174654c656ece00000005";
    let expected = [&bytes(header)[..], &bytes(vectors::RECORD).repeat(2), b"state"].concat();
    assert_eq!(out, expected);
}

#[test]
fn other_stream_messages_have_their_published_form() {
    let mut codec = codec("", &[]);
    let mut user = bytes(vectors::USER_HEADER);
    user.resize(user.len() + 128, b'u');
    assert!(
        matches!(codec.open_stream(&user, true), Ok(StreamMessage::User(payload)) if payload == [b'u'; 128])
    );

    let error = bytes(vectors::ERROR);
    assert!(matches!(codec.open_stream(&error, false), Ok(StreamMessage::Error("boom"))));
    let mut out = Vec::new();
    encode_stream_error(&mut out, "boom");
    assert_eq!(out, error);

    for vector in vectors::messages().into_iter().filter(|vector| vector.written) {
        out.clear();
        match vector.value {
            Message::Ping { sequence, node, source } => {
                encode_stream_ping(&mut out, sequence, node, source.as_ref());
                let read = codec.open_stream(&out, true).expect(vector.name);
                let StreamMessage::Ping { sequence, node, source } = read else { panic!("{read:?}") };
                assert_eq!(Message::Ping { sequence, node, source }, vector.value);
            }
            Message::Ack { sequence, payload } => {
                encode_stream_ack(&mut out, sequence, payload);
                let read = codec.open_stream(&out, false).expect(vector.name);
                let StreamMessage::Ack { sequence, payload } = read else { panic!("{read:?}") };
                assert_eq!(Message::Ack { sequence, payload }, vector.value);
            }
            _ => continue,
        }
        assert_eq!(out, vector.bytes(), "{}", vector.name);
    }
}

#[test]
fn every_installed_key_decrypts_and_the_primary_encrypts() {
    let new = [9; 32];
    let mut rotating = codec("dc1", &[&new, &KEY]);
    let vectors = vectors::packets();
    let vector = vectors.iter().find(|vector| vector.value == ("dc1", true)).expect("a vector");
    assert_eq!(rotating.open_packet(&vector.bytes()).map(Iterator::count), Ok(1));
    let seal = |codec: &mut Codec| {
        let mut packet = vec![0xaa; codec.sealed_len(2, false)];
        let at = codec.plain_offset(false);
        packet[at..at + 2].copy_from_slice(&[8, b'x']);
        codec.seal_packet(&mut packet, 2, false);
        packet
    };
    let mut only_new = codec("dc1", &[&new]);
    let mut only_old = codec("dc1", &[&KEY]);
    let packet = seal(&mut rotating);
    assert!(only_new.open_packet(&packet).is_ok());
    assert_eq!(only_old.open_packet(&packet).err(), Some(DecodeError::Decrypt));
    rotating.keyring_mut().use_key(&KEY).expect("installed");
    assert!(only_old.open_packet(&seal(&mut rotating)).is_ok());
    // A nonce is not used twice.
    assert_ne!(seal(&mut rotating)[6..18], seal(&mut rotating)[6..18]);
}

#[test]
fn both_envelopes_are_written_for_every_key_length() {
    for key_len in [16, 24, 32] {
        for encryption_version in [0, 1] {
            let keys = vec![vec![3; key_len].into()];
            let options = Options { keys, encryption_version, ..Options::default() };
            let mut codec = Codec::new(&options, [1; 32]).expect("valid");
            for plain_len in 1..70 {
                let length = codec.sealed_len(plain_len, true);
                assert!(length <= plain_len + codec.packet_overhead(true));
                let mut packet = vec![8; length];
                codec.seal_packet(&mut packet, plain_len, true);
                assert_eq!(packet[0], encryption_version);
                let payload = vec![8; plain_len - 1];
                let read: Vec<_> = codec.open_packet(&packet).expect("sealed").collect();
                assert_eq!(read, [Ok(Message::User(&payload))]);
            }
            let worst = (1..=16).map(|length| codec.sealed_len(length, true) - length).max();
            assert_eq!(worst, Some(codec.packet_overhead(true)));
        }
    }
}
