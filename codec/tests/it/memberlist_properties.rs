//! Properties of the memberlist format: every dialect of a message reads the same, whatever is valid
//! survives all that goes around it, and whatever is not is refused where the twin refuses it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::arbitrary::{Mutation, mutate};
use fastrand::Rng;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use swimring_codec::State;
use swimring_codec::memberlist::{
    Codec, CompoundWriter, Message, Options, PushPullWriter, StreamMessage, StreamScanner, compound_overhead,
};
use swimring_testing::memberlist::parts::Parts;
use swimring_testing::memberlist::{checks, codec, dialect, twin};

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,16}", "[a-z0-9.-]{30,34}", Just("n".repeat(128)), "\\PC{1,20}"]
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<u32>().prop_map(|ip| IpAddr::V4(Ipv4Addr::from(ip))),
        any::<u128>().prop_map(|ip| IpAddr::V6(Ipv6Addr::from(ip))),
        any::<u32>().prop_map(|ip| IpAddr::V6(Ipv4Addr::from(ip).to_ipv6_mapped())),
    ];
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(u32::MAX), 0..0x80_u32, 0..0x1_0000_u32, any::<u32>()]
}

fn parts() -> impl Strategy<Value = Parts> {
    let source = proptest::option::of(address().prop_filter("a port", |address| address.port() != 0));
    let bytes = prop_oneof![Just(vec![]), vec(any::<u8>(), 0..40), Just(vec![b'm'; 512])];
    let state = prop_oneof![Just(State::Alive), Just(State::Suspect), Just(State::Dead), Just(State::Left)];
    (any::<u8>(), number(), name(), name(), address(), source, any::<bool>(), bytes, any::<[u8; 6]>(), state)
        .prop_map(|(kind, number, node, from, address, source, flag, bytes, versions, state)| Parts {
            kind,
            number,
            node,
            from,
            address,
            source,
            flag,
            bytes,
            versions,
            state,
        })
}

fn options() -> impl Strategy<Value = Options> {
    let key = prop_oneof![vec(any::<u8>(), 16), vec(any::<u8>(), 24), vec(any::<u8>(), 32)];
    ("[a-z]{0,20}", vec(key, 0..3), any::<bool>(), 0..=1_u8).prop_map(
        |(label, keys, compression, encryption_version)| Options {
            label,
            keys: keys.into_iter().map(Into::into).collect(),
            compression,
            encryption_version,
            ..Options::default()
        },
    )
}

/// The messages as a compound or alone, sealed.
fn seal(codec: &mut Codec, messages: &[Message<'_>], crc: bool) -> Vec<u8> {
    let length: usize = messages.iter().map(Message::encoded_len).sum();
    let mut plain = vec![0xaa; compound_overhead(messages.len()) + length];
    let mut writer = CompoundWriter::new(&mut plain, messages.len()).expect("room");
    assert!(messages.iter().all(|message| writer.push(message)));
    assert_eq!(writer.finish(), plain.len());
    if let Some(compressed) = codec.compress(&plain) {
        assert!(compressed.len() < plain.len());
        plain = compressed.to_vec();
    }
    let mut packet = vec![0xaa; codec.sealed_len(plain.len(), crc)];
    let at = codec.plain_offset(crc);
    packet[at..at + plain.len()].copy_from_slice(&plain);
    codec.seal_packet(&mut packet, plain.len(), crc);
    packet
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_dialect_of_a_message_reads_the_same(parts in parts(), seed: u64) {
        let (message, mut rng) = (parts.message(), Rng::with_seed(seed));
        for _ in 0..8 {
            let bytes = dialect::message(&mut rng, &message);
            prop_assert_eq!(Message::decode(&bytes), Ok(message), "{:x?}", bytes);
            prop_assert!(checks::message(&bytes));
        }
    }

    #[test]
    fn every_dialect_of_a_record_reads_the_same(all in vec(parts(), 0..6), seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let mut stream = [&b"\x06\x82\xacUserStateLen\x02\xa5Nodes"[..], &[all.len() as u8]].concat();
        all.iter().for_each(|parts| stream.extend(dialect::record(&mut rng, &parts.record())));
        stream.extend(b"us");
        prop_assert_eq!(StreamScanner::new(false).scan(&stream), Ok(Some(stream.len())));
        let mut codec = codec("", &[]);
        let read = codec.open_stream(&stream, true);
        let Ok(StreamMessage::PushPull { records, user_state: b"us", .. }) = read else {
            panic!("{read:?}");
        };
        prop_assert!(records.eq(all.iter().map(|parts| Ok(parts.record()))));
        checks::stream(&mut codec, &stream);
    }

    #[test]
    fn packets_survive_the_wire(all in vec(parts(), 1..12), options in options(), crc: bool) {
        let mut codec = Codec::new(&options, [3; 32]).expect("valid");
        let messages: Vec<_> = all.iter().map(Parts::message).collect();
        let packet = seal(&mut codec, &messages, crc);
        let read: Result<Vec<_>, _> = codec.open_packet(&packet).expect("sealed").collect();
        prop_assert_eq!(read, Ok(messages));
    }

    #[test]
    fn fewer_messages_than_announced_are_moved_up(all in vec(parts(), 0..5), missing in 0..4_usize) {
        let messages: Vec<_> = all.iter().map(Parts::message).collect();
        let length: usize = messages.iter().map(Message::encoded_len).sum();
        let announced = messages.len() + missing;
        let mut out = vec![0xaa; compound_overhead(announced) + length];
        let mut writer = CompoundWriter::new(&mut out, announced).expect("room");
        prop_assert!(messages.iter().all(|message| writer.push(message)));
        let used = writer.finish();
        prop_assert_eq!(used, compound_overhead(messages.len()) + length);
        let mut codec = codec("", &[]);
        match codec.open_packet(&out[..used]) {
            Ok(read) => prop_assert!(read.eq(messages.into_iter().map(Ok))),
            Err(_) => prop_assert!(messages.is_empty()),
        }
    }

    #[test]
    fn streams_survive_the_wire(
        all in vec(parts(), 0..30), options in options(), join: bool, dialer: bool, user_state: Vec<u8>,
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let mut out = b"before".to_vec();
        let mut writer = PushPullWriter::new(&mut out, join);
        prop_assert!(all.iter().all(|parts| writer.record(&parts.record())));
        prop_assert!(writer.finish(&user_state));
        let mut codec = Codec::new(&options, [3; 32]).expect("valid");
        codec.seal_stream(&mut out, 6, dialer);
        prop_assert_eq!(&out[..6], b"before");
        let bytes = &out[6..];
        let mut scanner = codec.scanner(dialer);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        for cut in cuts {
            prop_assert_eq!(scanner.scan(&bytes[..cut]), Ok(None));
        }
        prop_assert_eq!(scanner.scan(&[bytes, b"and more"].concat()), Ok(Some(bytes.len())));
        let read = codec.open_stream(bytes, dialer);
        let Ok(StreamMessage::PushPull { join: joins, records, user_state: state }) = read else {
            panic!("{read:?}");
        };
        prop_assert_eq!((joins, state), (join, &user_state[..]));
        prop_assert!(records.eq(all.iter().map(|parts| Ok(parts.record()))));
    }

    #[test]
    fn compression_interoperates_both_ways(
        seed: u64, length in 0..20_000_usize, alphabet in 1..=255_u8, run in 1..50_usize,
    ) {
        let mut rng = Rng::with_seed(seed);
        let mut plain = vec![8];
        while plain.len() <= length {
            let byte = rng.u8(..alphabet);
            plain.resize(plain.len() + rng.usize(1..=run), byte);
        }
        let theirs = weezl::encode::Encoder::new(weezl::BitOrder::Lsb, 8).encode(&plain).expect("LZW");
        let packet = [&b"\x09\x81\xa3Buf\xdb"[..], &(theirs.len() as u32).to_be_bytes(), &theirs].concat();
        let mut codec = codec("", &[]);
        let read = codec.open_packet(&packet).map(|mut messages| messages.next());
        prop_assert_eq!(read, Ok(Some(Ok(Message::User(&plain[1..])))));
        prop_assert_eq!(checks::packet(&mut codec, &packet), 1);
        if let Some(ours) = codec.compress(&plain).map(<[u8]>::to_vec) {
            prop_assert_eq!(checks::packet(&mut codec, &ours), 1);
            let at = ours.windows(4).position(|key| key == b"\xa3Buf").expect("a key") + 4;
            let front = match ours[at] { 0xda => 3, 0xdb => 5, _ => 1 };
            let ours = &ours[at + front..];
            let read = weezl::decode::Decoder::new(weezl::BitOrder::Lsb, 8).decode(ours);
            prop_assert_eq!(read.expect("LZW"), plain.clone());
            prop_assert_eq!(twin::inflate(ours, usize::MAX), Some(plain));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300), kind in 0..14_u8) {
        let mut codec = codec("", &[]);
        checks::message(&bytes);
        checks::packet(&mut codec, &bytes);
        checks::stream(&mut codec, &bytes);
        let bytes = [&[kind][..], &bytes].concat();
        checks::message(&bytes);
        checks::packet(&mut codec, &bytes);
        checks::stream(&mut codec, &bytes);
    }

    #[test]
    fn any_compressed_bytes_are_read_or_refused(data in vec(any::<u8>(), 0..300), clear: bool) {
        let mut packet = [&b"\x09\x81\xa3Buf\xda"[..], &(data.len() as u16).to_be_bytes(), &data].concat();
        if clear && data.len() > 1 {
            // As compressed data begins: with a clear code.
            packet[9] = 0;
            packet[10] |= 1;
        }
        checks::packet(&mut codec("", &[]), &packet);
    }

    #[test]
    fn mutated_messages_are_read_or_refused(
        parts in parts(), seed: u64, mutations in vec(any::<Mutation>(), 1..4),
    ) {
        let mut rng = Rng::with_seed(seed);
        let mut bytes = dialect::message(&mut rng, &parts.message());
        mutate(&mut bytes, &mutations);
        checks::message(&bytes);
        let message = parts.message();
        let mut bytes = vec![0; message.encoded_len()];
        prop_assert!(message.encode(&mut bytes).is_some());
        mutate(&mut bytes, &mutations);
        checks::message(&bytes);
    }

    #[test]
    fn mutated_packets_are_read_or_refused(
        all in vec(parts(), 1..8), mutations in vec(any::<Mutation>(), 1..4), compression: bool,
    ) {
        let options = Options { compression, ..Options::default() };
        let mut codec = Codec::new(&options, [3; 32]).expect("valid");
        let messages: Vec<_> = all.iter().map(Parts::message).collect();
        let mut packet = seal(&mut codec, &messages, false);
        mutate(&mut packet, &mutations);
        checks::packet(&mut codec, &packet);
    }

    #[test]
    fn mutated_streams_are_read_or_refused(
        all in vec(parts(), 0..6), mutations in vec(any::<Mutation>(), 1..4), compression: bool,
    ) {
        let options = Options { compression, ..Options::default() };
        let mut codec = Codec::new(&options, [3; 32]).expect("valid");
        let mut out = Vec::new();
        let mut writer = PushPullWriter::new(&mut out, true);
        prop_assert!(all.iter().all(|parts| writer.record(&parts.record())));
        prop_assert!(writer.finish(b"state"));
        codec.seal_stream(&mut out, 0, true);
        mutate(&mut out, &mutations);
        checks::stream(&mut codec, &out);
    }
}
