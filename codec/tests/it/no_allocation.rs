//! Reading and writing frames, walking a stream message's records, and opening and sealing what memberlist
//! sends allocate nothing.
//!
//! `allocation_counter` replaces the global allocator of this test binary by one that counts.

use std::hint::black_box;

use swimring_codec::memberlist::{
    self, Codec, CompoundWriter, Options, PushPullWriter, SecretKey, StreamScanner,
};
use swimring_codec::native::{
    FRAME_MAX, Frame, FrameWriter, Message, STREAM_PREFIX_LEN, StreamBody, StreamMessage,
};
use swimring_codec::{MemberId, identity_hash, root_term};
use swimring_testing::golden;
use swimring_testing::memberlist::{KEY, vectors};

fn allocations(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(vec![0_u8; 64]))), 1);
}

#[test]
fn writing_and_reading_a_frame_of_every_message_allocates_nothing() {
    let messages = golden::messages();
    let messages: Vec<Message<'_>> = messages.iter().map(|golden| golden.value.borrow()).collect();
    let header = golden::header(MemberId::NONE, false);
    let mut out = [0; FRAME_MAX];
    let mut read = 0;
    let count = allocations(|| {
        let mut writer = FrameWriter::new(header, &mut out).expect("room for a header");
        assert!(messages.iter().all(|message| writer.push(message)));
        let used = writer.finish();
        let frame = Frame::decode(black_box(&out[..used])).expect("a frame");
        read = frame.messages().filter(|message| black_box(message).is_ok()).count();
    });
    assert_eq!((count, read), (0, messages.len()));
}

#[test]
fn refusing_a_frame_allocates_nothing() {
    let bytes = golden::frames().remove(1).bytes();
    let count = allocations(|| {
        for length in 0..bytes.len() {
            if let Ok(frame) = Frame::decode(black_box(&bytes[..length])) {
                black_box(frame.messages().count());
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn reading_stream_messages_allocates_nothing() {
    let streams: Vec<Vec<u8>> = golden::streams().iter().map(|golden| golden.bytes()).collect();
    let mut records = 0;
    let count = allocations(|| {
        for bytes in &streams {
            let message = StreamMessage::decode(black_box(&bytes[STREAM_PREFIX_LEN..])).expect("a message");
            if let StreamBody::State(state) = message.body {
                records += state.filter(|record| black_box(record).is_ok()).count();
            }
        }
    });
    assert_eq!((count, records), (0, 2));
}

#[test]
fn hashing_allocates_nothing() {
    let address = std::net::SocketAddr::from(([10, 0, 0, 7], 7946));
    let count = allocations(|| {
        let identity = identity_hash(black_box(address), black_box(&[7; 512]), black_box("eu-west-1a"));
        black_box(root_term(golden::NODE_7, swimring_codec::Incarnation::MAX, identity));
    });
    assert_eq!(count, 0);
}

/// A plain compound of every message of the memberlist format, twice.
fn compound() -> Vec<u8> {
    let vectors = vectors::messages();
    let mut plain = vec![0; 4000];
    let mut writer = CompoundWriter::new(&mut plain, 2 * vectors.len()).expect("room");
    assert!(vectors.iter().chain(&vectors).all(|vector| writer.push(&vector.value)));
    let length = writer.finish();
    plain.truncate(length);
    plain
}

fn memberlist_codec(keys: Vec<SecretKey>, encryption_version: u8) -> Codec {
    let options = Options {
        label: "dc1".to_owned(),
        keys,
        encryption_version,
        compression: true,
        ..Options::default()
    };
    Codec::new(&options, [1; 32]).expect("valid options")
}

#[test]
fn sealing_and_opening_memberlist_packets_allocates_nothing() {
    let plain = compound();
    let expected = 2 * vectors::messages().len();
    let keys = [vec![], vec![[9; 32].into(), KEY[..].into()]];
    for (keys, encryption_version) in [(&keys[0], 1), (&keys[1], 1), (&keys[1], 0)] {
        let mut codec = memberlist_codec(keys.clone(), encryption_version);
        let mut packet = vec![0; 4000];
        for compressed in [false, true] {
            let mut read = 0;
            let count = allocations(|| {
                let at = codec.plain_offset(true);
                let plain = if compressed { codec.compress(&plain).expect("smaller") } else { &plain };
                let length = plain.len();
                packet[at..at + length].copy_from_slice(plain);
                codec.seal_packet(&mut packet, length, true);
                let sealed = codec.sealed_len(length, true);
                let messages = codec.open_packet(black_box(&packet[..sealed])).expect("sealed");
                read = messages.filter(|message| black_box(message).is_ok()).count();
            });
            assert_eq!((count, read), (0, expected), "{} keys, {compressed}", keys.len());
        }
    }
}

#[test]
fn refusing_memberlist_packets_allocates_nothing() {
    let mut codec = memberlist_codec(vec![KEY[..].into()], 1);
    let vectors: Vec<Vec<u8>> = vectors::packets().iter().map(|vector| vector.bytes()).collect();
    let count = allocations(|| {
        for bytes in &vectors {
            for length in 0..bytes.len() {
                black_box(codec.open_packet(black_box(&bytes[..length])).is_ok());
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn memberlist_streams_reuse_their_memory() {
    let mut codec = memberlist_codec(vec![KEY[..].into()], 1);
    let address = std::net::SocketAddr::from(([10, 0, 0, 7], 7946));
    let record = memberlist::Record {
        incarnation: 7,
        node: "node-7",
        address,
        metadata: b"metadata",
        versions: memberlist::Versions::SERF,
        state: swimring_codec::State::Alive,
    };
    let mut out = Vec::with_capacity(1 << 20);
    let mut exchange = || {
        out.clear();
        let mut writer = PushPullWriter::new(&mut out, false);
        assert!((0..1000).all(|_| writer.record(&record)));
        assert!(writer.finish(b"state"));
        codec.seal_stream(&mut out, 0, true);
        let length = StreamScanner::new(true).scan(&out).expect("a message").expect("whole");
        match codec.open_stream(&out[..length], true).expect("sealed") {
            memberlist::StreamMessage::PushPull { records, .. } => records.flatten().count(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(exchange(), 1000);
    let count = allocations(|| assert_eq!(exchange(), 1000));
    assert_eq!(count, 0);
}

#[test]
fn a_refused_stream_leaves_no_memory_behind() {
    // 8 MiB that no key opens, and a few KiB that inflate to more than is accepted.
    let mut frame = vec![10, 0, 0x80, 0, 0, 1];
    frame.resize(5 + (8 << 20), 0);
    let data = weezl::encode::Encoder::new(weezl::BitOrder::Lsb, 8).encode(&vec![8; 41 << 20]).expect("LZW");
    let bomb = [&b"\x09\x81\xa3Buf\xdb"[..], &(data.len() as u32).to_be_bytes(), &data].concat();
    let options = Options { keys: vec![KEY[..].into()], verify_incoming: false, ..Options::default() };
    let mut codec = Codec::new(&options, [1; 32]).expect("valid options");
    for (bytes, expected) in
        [(&frame, memberlist::DecodeError::Decrypt), (&bomb, memberlist::DecodeError::TooLarge)]
    {
        let allocated = allocation_counter::measure(|| {
            assert_eq!(codec.open_stream(black_box(bytes), true).err(), Some(expected));
        });
        assert!(allocated.bytes_max > 4 << 20, "{expected}: {allocated:?}");
        let kept = memberlist::STREAM_SCRATCH_KEPT as i64;
        assert!(allocated.bytes_current <= kept, "{expected}: {allocated:?}");
    }
}

#[test]
fn sealing_and_opening_allocates_nothing_once_a_sender_is_known() {
    use swimring_codec::native::SealCipher;
    use swimring_testing::sealed::{opener, sealer};
    for cipher in [SealCipher::AesGcm, SealCipher::ChaCha20Poly1305] {
        let (mut sealer, mut opener) = (sealer(cipher, 1), opener());
        let (mut sealed, mut plain) = ([0; 500], [0; FRAME_MAX]);
        let mut rounds = |count: u32| {
            for _ in 0..count {
                assert!(sealer.seal_frame(black_box(&mut sealed)));
                assert!(opener.open_frame(&sealed, &mut plain).is_ok());
                // And refused.
                assert!(opener.open_frame(&sealed, &mut plain).is_err());
            }
        };
        rounds(1);
        assert_eq!(allocations(|| rounds(5_000)), 0);
    }
}
