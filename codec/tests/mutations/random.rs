//! Fast pseudo-random inputs: valid frames and stream messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fastrand::Rng;
use swimring_codec::native::{
    DirectOutcome, DirectRole, DirectTurn, EVENT_PART_BITS_MAX, EVENT_ROOT_MAX, EntryWanted, EventId,
    EventPart, EventSum, FRAME_MAX, FrameHeader, FrameWriter, IdRange, Introduction, KEY_STATEMENT_LEN,
    KeyDigest, KeyDigestList, KeyEntry, KeyRoots, KeySectionWriter, KeySpan, KeyStatement, KeyValue,
    LISTED_MAX, MapDigest, MapStatement, Message, PREFIX_BITS_MAX, RANGE_BITS_MAX, SKETCH_CELLS_MAX,
    STREAM_PREFIX_LEN, SUMS_STEP_MAX, SketchCell, StreamKind, StreamWriter, UserEvent, ViewList, ViewSketch,
    ViewSums,
};
use swimring_codec::{Incarnation, MemberId, State};

/// Names of every kind of length, one of them not ASCII.
const NAMES: [&str; 5] =
    ["a", "node-7", "nöde", "a-rather-long-name.of-a-host.in-some-datacentre.example.org", {
        const LONGEST: [u8; 128] = [b'n'; 128];
        match str::from_utf8(&LONGEST) {
            Ok(name) => name,
            Err(_) => "",
        }
    }];
const BYTES: [u8; 512] = [0x5a; 512];
const CELLS: [SketchCell; SKETCH_CELLS_MAX] = [SketchCell::new(1, 2, 3, 4); SKETCH_CELLS_MAX];
const SUMS: [[u8; 8]; 1 << SUMS_STEP_MAX] = [[7; 8]; 1 << SUMS_STEP_MAX];
const CODES: [[u8; 4]; LISTED_MAX] = [[9; 4]; LISTED_MAX];

fn id(rng: &mut Rng) -> MemberId {
    MemberId(rng.u64(1..))
}

fn event_id(rng: &mut Rng) -> EventId {
    EventId::of(id(rng), rng.u32(..)).0
}

fn incarnation(rng: &mut Rng) -> Incarnation {
    Incarnation::new(rng.u64(..) >> rng.u32(16..64))
}

fn header(rng: &mut Rng) -> FrameHeader {
    FrameHeader {
        cluster: rng.u32(..),
        source: id(rng),
        destination: MemberId(rng.u64(..)),
        root: rng.u64(..),
        quiet: rng.bool(),
    }
}

fn introduction(rng: &mut Rng) -> Introduction<'static> {
    let name = NAMES[rng.usize(..NAMES.len())];
    // Below what is multicast, broadcast or link-local, where nobody can be.
    let ip = if rng.bool() {
        IpAddr::V4(Ipv4Addr::from(rng.u32(1..0xe000_0000)))
    } else {
        IpAddr::V6(Ipv6Addr::from(rng.u128(1 << 64..0xfe80 << 112)))
    };
    Introduction {
        subject: MemberId::of_name(name),
        incarnation: incarnation(rng),
        state: State::from_u8(rng.u8(1..=4)).expect("a state"),
        address: SocketAddr::new(ip, rng.u16(1..)),
        name,
        metadata: &BYTES[..rng.usize(..=512) >> rng.u32(0..9)],
        zone: ["", "eu-west-1a", "zöne"][rng.usize(..3)],
    }
}

fn range(rng: &mut Rng, bits_max: u8) -> IdRange {
    let bits = rng.u8(..=bits_max);
    IdRange::new(bits, rng.u32(..) & !(u32::MAX >> bits)).expect("a range")
}

fn message(rng: &mut Rng) -> Message<'static> {
    let (subject, incarnation) = (id(rng), incarnation(rng));
    let sequence = rng.u32(..);
    match rng.u8(..24) {
        0 => Message::Ping { sequence, event_root: rng.u32(..=EVENT_ROOT_MAX) },
        1 => Message::IndirectPing { sequence, target: subject },
        2 => Message::Ack { sequence, event_root: rng.u32(..=EVENT_ROOT_MAX) },
        3 => Message::Nack { sequence },
        4 => Message::Alive { subject, incarnation, tag: rng.u8(..) },
        5 => Message::Suspect { subject, incarnation, accuser: MemberId(rng.u64(..)) },
        6 => Message::Dead { subject, incarnation },
        7 => Message::Left { subject, incarnation },
        8 => Message::Introduction(introduction(rng)),
        9 => Message::Delegation {
            number: sequence,
            prefix_bits: rng.u8(..=PREFIX_BITS_MAX),
            zone: rng.u16(..),
            view_first: rng.bool(),
        },
        10 => Message::DelegationAck { number: sequence },
        11 => {
            let part = EventPart::of(event_id(rng), rng.u8(..=EVENT_PART_BITS_MAX));
            Message::EventSum(EventSum { part, age_max: rng.u8(..), answer: rng.bool(), sum: sequence })
        }
        12 => Message::EventKnown { id: event_id(rng) },
        13 => Message::EventWanted { id: event_id(rng) },
        14 => Message::EventAge { age_ms: sequence },
        15 => Message::ViewSketch(ViewSketch { cells: &CELLS[..rng.usize(1..=SKETCH_CELLS_MAX)] }),
        16 => {
            let (range, step) = (range(rng, RANGE_BITS_MAX - SUMS_STEP_MAX), rng.u8(1..=SUMS_STEP_MAX));
            Message::ViewSums(ViewSums { range, began: rng.bool(), step, sums: &SUMS[..1 << step] })
        }
        17 => Message::ViewList(ViewList {
            range: range(rng, RANGE_BITS_MAX),
            began: rng.bool(),
            wanted: rng.bool(),
            codes: &CODES[..rng.usize(..=LISTED_MAX) >> rng.u32(0..9)],
        }),
        18 => Message::EntryWanted(EntryWanted { subject, incarnation, tag: rng.u8(..) }),
        19 => Message::ViewRepair { began: rng.bool() },
        20 => Message::KeyRoots(KeyRoots { maps: rng.u64(..), keys: rng.u64(..) }),
        22 => Message::Signature(&[0x5a; 64]),
        21 => Message::Direct { payload: &BYTES[..rng.usize(..=384)] },
        _ => Message::UserEvent(UserEvent {
            origin: subject,
            sequence,
            name: NAMES[rng.usize(..NAMES.len())],
            payload: &BYTES[..rng.usize(..=384) >> rng.u32(0..9)],
        }),
    }
}

/// Replaces `out` by a valid frame.
pub fn frame(rng: &mut Rng, out: &mut Vec<u8>) {
    out.resize(FRAME_MAX, 0);
    let mut writer = FrameWriter::new(header(rng), out).expect("room for a header");
    for _ in 0..rng.usize(..16) {
        writer.push(&message(rng));
    }
    let used = writer.finish_padded(rng.usize(..FRAME_MAX) >> rng.u32(0..8));
    out.truncate(used);
}

fn digests(rng: &mut Rng) -> KeyDigestList {
    let maps =
        (0..rng.usize(..4)).map(|_| MapDigest { owner: id(rng), epoch: rng.u64(1..), version: rng.u64(..) });
    KeyDigestList {
        maps: maps.collect(),
        all_maps: rng.bool(),
        all_keys: rng.bool(),
        more: rng.bool(),
        keys: vec![KeyDigest { hash: rng.u64(..), version: rng.u64(..), writer: id(rng) }; rng.usize(..3)],
    }
}

fn sections(rng: &mut Rng, writer: &mut KeySectionWriter<'_>) {
    for _ in 0..rng.usize(..4) {
        let since = rng.u64(..100);
        let of_map = KeySpan {
            owner: id(rng),
            epoch: rng.u64(1..),
            since,
            until: since + 8,
            floor: rng.u64(..),
            complete: rng.bool(),
            reset: since == 0 && rng.bool(),
        };
        let of_cluster = rng.bool();
        let statement = MapStatement { hash: [rng.u8(..); 32], signature: [rng.u8(..); 64] };
        let stated = (!of_cluster && rng.bool()).then_some(&statement);
        let span = if of_cluster { KeySpan::CLUSTER } else { of_map };
        assert!(writer.begin_stated(span, stated), "a valid section");
        for nth in 1..=rng.u64(..6) {
            let key = NAMES[rng.usize(..NAMES.len())];
            let (signed, hash) = (of_cluster && rng.bool(), [rng.u8(..); 32]);
            let value = match rng.u8(..4) {
                0 => KeyValue::Deleted,
                1 if of_cluster => KeyValue::Elsewhere(signed.then_some(&hash)),
                _ => KeyValue::Set(&BYTES[..rng.usize(..=512) >> rng.u32(0..9)]),
            };
            let entry_writer = if of_cluster { id(rng) } else { MemberId::NONE };
            let signature = KeyStatement::from_bytes([rng.u8(..); KEY_STATEMENT_LEN]);
            let statement = signed.then_some(&signature);
            let entry = KeyEntry { key, version: since + nth, writer: entry_writer, value, statement };
            assert!(writer.entry(&entry), "a valid entry");
        }
        writer.end();
    }
}

fn outcome(rng: &mut Rng) -> DirectOutcome {
    let outcomes =
        [DirectOutcome::Taken, DirectOutcome::Full, DirectOutcome::Unheard, DirectOutcome::Stranger];
    outcomes[rng.usize(..outcomes.len())]
}

/// Replaces `out` by a valid stream message without its length prefix.
pub fn stream(rng: &mut Rng, out: &mut Vec<u8>) {
    out.clear();
    let mut writer = StreamWriter::new(header(rng), out);
    match rng.u8(..16) {
        9 => writer.key_digests(&digests(rng)),
        10 => writer.key_values(|writer| sections(rng, writer)),
        11 => writer.direct_ack(rng.u64(..), outcome(rng)),
        12 => {
            let number = rng.u64(1..);
            let role = match rng.u8(..3) {
                0 => DirectRole::Message,
                1 => DirectRole::Question(number),
                _ => DirectRole::Reply(number),
            };
            let payload = &BYTES[..rng.usize(..=384)];
            let turn = DirectTurn { session: rng.u64(..), sequence: rng.u64(..), role, payload };
            assert!(writer.direct(&turn), "a valid message");
        }
        8 => writer.plain(StreamKind::Absent),
        0 => writer.plain(StreamKind::Join),
        1 => writer.plain(StreamKind::Differs),
        2 => writer.probe(StreamKind::Ping, rng.u32(..)),
        3 => writer.probe(StreamKind::Ack, rng.u32(..)),
        _ => {
            for _ in 0..rng.usize(..6) {
                let signature = rng.bool().then(|| [rng.u8(..); 64]);
                assert!(writer.signed_record(&introduction(rng), signature.as_ref()), "a valid record");
            }
            writer.finish_state();
        }
    }
    out.drain(..STREAM_PREFIX_LEN);
}
