//! Packets and streams survive being sealed and opened, whatever is around them.
use swimring_codec::State;
use swimring_codec::memberlist::*;
use swimring_codec::serf;

fn codecs() -> Vec<Codec> {
    let mut all = Vec::new();
    for label in ["", "dc1"] {
        for key in [0, 16, 24, 32] {
            for compression in [false, true] {
                for encryption_version in [0, 1] {
                    let keys = if key == 0 { vec![] } else { vec![(0..key).collect(), vec![1; 16]] };
                    let options = Options {
                        label: label.into(),
                        keys,
                        compression,
                        encryption_version,
                        ..Options::default()
                    };
                    all.push(Codec::new(&options, [7; 32]).unwrap());
                }
            }
        }
    }
    all
}

#[test]
fn packets() {
    let alive = Alive {
        incarnation: 7,
        node: "node-7",
        address: "10.0.0.7:7946".parse().unwrap(),
        metadata: b"meta",
        versions: Versions::SERF,
    };
    let messages = vec![
        Message::Ping {
            sequence: 300,
            node: "a",
            source: Some(Source { address: "127.0.0.1:7946".parse().unwrap(), name: "b" }),
        },
        Message::Alive(alive),
        Message::Alive(alive),
        Message::Alive(alive),
        Message::Suspect { incarnation: 70000, node: "x", from: "y" },
        Message::User(b"hello"),
    ];
    for mut codec in codecs() {
        for crc in [false, true] {
            let mut plain = vec![0; 1400];
            let mut writer = CompoundWriter::new(&mut plain, 6).unwrap();
            assert!(messages.iter().all(|m| writer.push(m)));
            let len = writer.finish();
            plain.truncate(len);
            let plain = codec.compress(&plain).map(<[u8]>::to_vec).unwrap_or(plain);
            let mut buffer = vec![0xaa; 1500];
            let at = codec.plain_offset(crc);
            buffer[at..at + plain.len()].copy_from_slice(&plain);
            codec.seal_packet(&mut buffer, plain.len(), crc);
            buffer.truncate(codec.sealed_len(plain.len(), crc));
            assert!(codec.sealed_len(plain.len(), crc) <= plain.len() + codec.packet_overhead(crc));
            let read: Vec<_> = codec.open_packet(&buffer).unwrap().map(Result::unwrap).collect();
            assert_eq!(read, messages);
        }
    }
}

#[test]
fn streams() {
    for mut codec in codecs() {
        let mut out = b"front".to_vec();
        let mut writer = PushPullWriter::new(&mut out, true);
        for i in 0..200 {
            assert!(writer.record(&Record {
                incarnation: i,
                node: &format!("node-{i}"),
                address: "[::1]:1".parse().unwrap(),
                metadata: b"",
                versions: Versions::PLAIN,
                state: State::Suspect
            }));
        }
        assert!(writer.finish(b"user state"));
        for dialed in [false, true] {
            let mut out = out.clone();
            codec.seal_stream(&mut out, 5, dialed);
            let bytes = &out[5..];
            let label = dialed && bytes[0] == 0xf4;
            let mut scanner = StreamScanner::new(label);
            let mut found = None;
            for n in 0..=bytes.len() {
                assert_eq!(found, None);
                found = scanner.scan(&bytes[..n]).unwrap();
            }
            assert_eq!(found, Some(bytes.len()));
            let StreamMessage::PushPull { join: true, records, user_state: b"user state" } =
                codec.open_stream(bytes, dialed).unwrap()
            else {
                panic!()
            };
            assert_eq!(records.len(), 200);
            assert!(records.enumerate().all(|(i, r)| r.unwrap().node == format!("node-{i}")));
        }
    }
}

#[test]
fn serf_state() {
    let mut out = Vec::new();
    let clocks = serf::Clocks { members: 3, events: 4, queries: 500 };
    serf::encode_push_pull(&mut out, clocks, [("a", 3), ("b", 300)], ["b"]);
    let serf::Message::PushPull(state) = serf::Message::decode(&out).unwrap() else { panic!() };
    assert_eq!(state.clocks, clocks);
    assert_eq!(state.status_ltimes().collect::<Vec<_>>(), [("a", 3), ("b", 300)]);
    assert_eq!(state.left_members().collect::<Vec<_>>(), ["b"]);
    assert_eq!(state.events().count(), 0);
}
