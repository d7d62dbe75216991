//! Limits: each is tried at its edge and one past it, in both directions, and every frame is cut at every
//! byte.

use std::net::{Ipv4Addr, SocketAddr};

use swimring_codec::identity::{METADATA_MAX, NAME_MAX, ZONE_MAX};
use swimring_codec::native::{
    DELEGATION_LEN, EVENT_HEADER_LEN, EVENT_MAX, EVENT_PART_BITS_MAX, EVENT_REPAIR_LEN, EVENT_ROOT_MAX,
    EntryWanted, EventId, EventPart, EventSum, FRAME_MAX, Frame, FrameHeader, FrameWriter, HEADER_LEN,
    INTRODUCTION_HEADER_LEN, IdRange, Introduction, LISTED_MAX, Message, PREFIX_BITS_MAX, PROBE_LEN,
    RANGE_BITS_MAX, SKETCH_CELLS_MAX, STREAM_MESSAGE_MAX, STREAM_PREFIX_LEN, SUMS_STEP_MAX, SketchCell,
    StreamBody, StreamKind, StreamMessage, StreamWriter, UserEvent, ViewList, ViewSketch, ViewSums,
    stream_message_len,
};
use swimring_codec::{Incarnation, MemberId, State};
use swimring_testing::golden::{self, NODE_1};
use swimring_testing::{checks, owned::OwnedMessage};

fn header() -> FrameHeader {
    golden::header(MemberId::NONE, false)
}

fn introduction<'a>(name: &'a str, metadata: &'a [u8]) -> Introduction<'a> {
    Introduction {
        subject: MemberId::of_name(name),
        incarnation: Incarnation::new(1),
        state: State::Alive,
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 7946)),
        name,
        metadata,
        zone: "",
    }
}

fn event<'a>(name: &'a str, payload: &'a [u8]) -> UserEvent<'a> {
    UserEvent { origin: NODE_1, sequence: 1, name, payload }
}

/// Whether `message` can be written and is then read back the same.
fn travels(message: &Message<'_>) -> bool {
    let mut out = [0; 2048];
    let Some(length) = message.encode(&mut out) else { return false };
    let (read, rest) = Message::decode(&out[..length]).expect("written, so readable");
    assert!(rest.is_empty());
    assert_eq!(read, *message);
    true
}

#[test]
fn names() {
    let name = "n".repeat(NAME_MAX + 1);
    for (length, fits) in [(0, false), (1, true), (NAME_MAX, true), (NAME_MAX + 1, false)] {
        assert_eq!(travels(&Message::Introduction(introduction(&name[..length], b""))), fits, "{length}");
    }
    // The limit counts bytes, not characters.
    assert!(travels(&Message::Introduction(introduction(&"ö".repeat(64), b""))));
    assert!(!travels(&Message::Introduction(introduction(&"ö".repeat(65), b""))));
}

#[test]
fn metadata() {
    let metadata = [7; METADATA_MAX + 1];
    for (length, fits) in [(0, true), (METADATA_MAX, true), (METADATA_MAX + 1, false)] {
        assert_eq!(travels(&Message::Introduction(introduction("a", &metadata[..length]))), fits, "{length}");
    }
    // A length that does not even fit its field.
    let huge = vec![0; 0x1_0000 + 1];
    let mut out = vec![0; huge.len() + 100];
    assert_eq!(Message::Introduction(introduction("a", &huge)).encode(&mut out), None);
}

#[test]
fn zones() {
    let zone = "z".repeat(ZONE_MAX + 1);
    for (length, fits) in [(0, true), (1, true), (ZONE_MAX, true), (ZONE_MAX + 1, false)] {
        let introduction = Introduction { zone: &zone[..length], ..introduction("a", &[7; METADATA_MAX]) };
        assert_eq!(travels(&Message::Introduction(introduction)), fits, "{length}");
    }
}

#[test]
fn events() {
    let (name, payload) = ("n".repeat(256), [7; EVENT_MAX + 1]);
    for (name_len, payload_len, fits) in [
        (0, 0, true),
        (0, EVENT_MAX, true),
        (0, EVENT_MAX + 1, false),
        (255, EVENT_MAX - 255, true),
        (255, EVENT_MAX - 254, false),
        (256, 0, false),
    ] {
        let event = event(&name[..name_len], &payload[..payload_len]);
        assert_eq!(travels(&Message::UserEvent(event)), fits, "{name_len} {payload_len}");
    }
}

#[test]
fn prefixes() {
    for (prefix_bits, fits) in [(0, true), (1, true), (PREFIX_BITS_MAX, true), (PREFIX_BITS_MAX + 1, false)] {
        for (number, zone, view_first) in [(0, 0, false), (u32::MAX, u16::MAX, true)] {
            let delegation = Message::Delegation { number, prefix_bits, zone, view_first };
            assert_eq!(travels(&delegation), fits, "{prefix_bits}");
        }
    }
    assert!(travels(&Message::DelegationAck { number: u32::MAX }));
    assert_eq!(Message::DelegationAck { number: 0 }.encoded_len(), DELEGATION_LEN);
}

#[test]
fn event_roots_and_parts() {
    for (event_root, fits) in [(0, true), (EVENT_ROOT_MAX, true), (EVENT_ROOT_MAX + 1, false)] {
        assert_eq!(travels(&Message::Ping { sequence: 1, event_root }), fits, "{event_root}");
        assert_eq!(travels(&Message::Ack { sequence: 1, event_root }), fits, "{event_root}");
    }
    for (bits, nth, fits) in [(0, 0, true), (0, 1, false), (7, 127, true), (7, 128, false), (8, 0, false)] {
        for answer in [false, true] {
            let sum = EventSum { part: EventPart { bits, nth }, age_max: 255, answer, sum: u32::MAX };
            assert_eq!(travels(&Message::EventSum(sum)), fits, "{bits} {nth}");
        }
    }
    let last = EventId::from_bits((1 << 56) - 1).expect("56 bits");
    assert_eq!(EventId::from_bits(1 << 56), None);
    assert!(travels(&Message::EventKnown { id: last }) && travels(&Message::EventWanted { id: last }));
    assert!(travels(&Message::EventAge { age_ms: u32::MAX }));
    assert_eq!(Message::EventAge { age_ms: 0 }.encoded_len(), EVENT_REPAIR_LEN);
    for bits in 0..=EVENT_PART_BITS_MAX {
        assert_eq!(EventPart::of(last, bits).nth, (1 << bits) - 1);
    }
}

#[test]
fn sketches_and_lists_fill_a_frame() {
    let cells = [SketchCell::new(1, 2, 3, 4); SKETCH_CELLS_MAX + 1];
    for (count, fits) in [(0, false), (1, true), (SKETCH_CELLS_MAX, true), (SKETCH_CELLS_MAX + 1, false)] {
        assert_eq!(travels(&Message::ViewSketch(ViewSketch { cells: &cells[..count] })), fits, "{count}");
    }
    let (range, codes) = (IdRange::ALL, [[7; 4]; LISTED_MAX + 1]);
    for (count, fits) in [(0, true), (LISTED_MAX, true), (LISTED_MAX + 1, false)] {
        for (began, wanted) in [(false, false), (true, false), (false, true), (true, true)] {
            let list = ViewList { range, began, wanted, codes: &codes[..count] };
            assert_eq!(travels(&Message::ViewList(list)), fits, "{count}");
        }
    }
    let largest = [
        Message::ViewSketch(ViewSketch { cells: &cells[1..] }),
        Message::ViewList(ViewList { range, began: false, wanted: false, codes: &codes[1..] }),
    ];
    for message in largest {
        let mut frame = [0; FRAME_MAX];
        assert!(FrameWriter::new(header(), &mut frame).expect("room").push(&message));
        assert!(
            HEADER_LEN + message.encoded_len() > FRAME_MAX - 20,
            "one more cell, or four codes, would not fit"
        );
    }
    let subject = NODE_1;
    assert!(travels(&Message::EntryWanted(EntryWanted { subject, incarnation: Incarnation::MAX, tag: 255 })));
    assert!(travels(&Message::ViewRepair { began: false }));
}

#[test]
fn ranges_of_ids_and_their_parts() {
    assert_eq!(IdRange::new(RANGE_BITS_MAX + 1, 0), None);
    assert_eq!(IdRange::new(4, 0x0800_0000), None, "a fifth bit");
    assert_eq!(IdRange::new(0, 1 << 31), None);
    assert_eq!(IdRange::ALL.ends(), (0, u64::MAX));
    let sums = [[7; 8]; 1 << SUMS_STEP_MAX];
    for bits in [0, 1, 7, 24, RANGE_BITS_MAX] {
        let range = IdRange::new(bits, !(u32::MAX >> bits)).expect("the last of so many bits");
        let (lowest, highest) = range.ends();
        assert_eq!((lowest.leading_ones() >= bits.into(), highest), (true, u64::MAX));
        for step in 0..=SUMS_STEP_MAX + 1 {
            let valid = (1..=SUMS_STEP_MAX).contains(&step) && bits + step <= RANGE_BITS_MAX;
            let count = 1_usize << step.min(SUMS_STEP_MAX);
            let sums = ViewSums { range, began: true, step, sums: &sums[..count] };
            assert_eq!(travels(&Message::ViewSums(sums)), valid, "{bits} {step}");
            assert!(!travels(&Message::ViewSums(ViewSums { sums: &sums.sums[..count - 1], ..sums })));
            if valid {
                let parts: Vec<_> = (0..count).map(|nth| range.part(step, nth).expect("a part")).collect();
                let firsts = parts.iter().map(|part| range.part_of(step, part.ends().0));
                assert!(firsts.eq(0..count) && range.part(step, count).is_none());
                assert!(parts.windows(2).all(|pair| pair[0].ends().1 + 1 == pair[1].ends().0));
                assert_eq!((parts[0].ends().0, parts[count - 1].ends().1), (lowest, highest));
            }
        }
    }
}

#[test]
fn what_a_reader_refuses_is_not_written() {
    let mut nobody = event("a", b"");
    nobody.origin = MemberId::NONE;
    let mut impostor = introduction("a", b"");
    impostor.subject = MemberId::of_name("b");
    let mut portless = introduction("a", b"");
    portless.address.set_port(0);
    let mut nowhere = introduction("a", b"");
    nowhere.address = "[::ffff:0.0.0.0]:7946".parse().expect("an address");
    let (subject, incarnation) = (MemberId::NONE, Incarnation::ZERO);
    for message in [
        Message::UserEvent(nobody),
        Message::Introduction(impostor),
        Message::Introduction(portless),
        Message::Introduction(nowhere),
        Message::IndirectPing { sequence: 1, target: MemberId::NONE },
        Message::Alive { subject, incarnation, tag: 0 },
        Message::Suspect { subject, incarnation, accuser: NODE_1 },
        Message::Dead { subject, incarnation },
        Message::Left { subject, incarnation },
        Message::Delegation { number: 1, prefix_bits: PREFIX_BITS_MAX + 1, zone: 0, view_first: false },
        Message::Delegation { number: 1, prefix_bits: u8::MAX, zone: 0, view_first: true },
        Message::Ping { sequence: 1, event_root: u32::MAX },
        Message::EntryWanted(EntryWanted { subject, incarnation, tag: 0 }),
    ] {
        assert_eq!(message.encode(&mut [0; 256]), None, "{message:?}");
    }
    let mut out = Vec::new();
    let mut writer = StreamWriter::new(header(), &mut out);
    assert!(!writer.record(&impostor));
    assert!(!writer.record(&portless));
    assert!(!writer.record(&introduction("", b"")));
    assert!(out.is_empty(), "a refused record leaves nothing behind");
    let nobody = FrameHeader { source: MemberId::NONE, ..header() };
    assert!(FrameWriter::new(nobody, &mut [0; 64]).is_none());
}

#[test]
fn a_frame_is_full_before_its_count_is() {
    let mut bytes = [0xaa; 4096];
    let mut writer = FrameWriter::new(header(), &mut bytes).expect("room");
    let mut written = 0;
    while writer.push(&Message::Ping { sequence: written, event_root: 0 }) {
        written += 1;
    }
    assert_eq!(written as usize, (FRAME_MAX - HEADER_LEN) / PROBE_LEN);
    assert_eq!(writer.finish(), FRAME_MAX, "not a byte more, whatever the buffer");
    assert_eq!(bytes[FRAME_MAX], 0xaa);
    // The count lies: 255 are announced.
    bytes[2] = 255;
    let frame = Frame::decode(&bytes[..FRAME_MAX]).expect("a frame");
    assert_eq!(frame.message_count(), 255);
    assert_eq!(frame.messages().filter(Result::is_ok).count(), written as usize);
    assert_eq!(frame.messages().filter(Result::is_err).count(), 1);
    assert_eq!(checks::frame(&bytes[..FRAME_MAX]), written as usize);
}

#[test]
fn a_count_that_is_too_low_leaves_messages_as_padding() {
    let golden = golden::frames().remove(1);
    for count in 0..=2 {
        let mut bytes = golden.bytes();
        bytes[2] = count;
        assert_eq!(checks::frame(&bytes), usize::from(count));
    }
}

#[test]
fn room_for_exactly_the_message() {
    let message = Message::UserEvent(event("deploy", b"42"));
    let length = HEADER_LEN + EVENT_HEADER_LEN + 8;
    assert!(FrameWriter::new(header(), &mut [0; HEADER_LEN - 1]).is_none());
    for (room, fits) in [(HEADER_LEN, false), (length - 1, false), (length, true)] {
        let mut bytes = vec![0xaa; room];
        let mut writer = FrameWriter::new(header(), &mut bytes).expect("room for a header");
        assert_eq!(writer.push(&message), fits, "{room}");
        assert_eq!(writer.finish(), if fits { length } else { HEADER_LEN });
        assert_eq!(Frame::decode(&bytes).expect("a frame").message_count(), usize::from(fits));
    }
}

#[test]
fn padding_stays_in_its_bounds() {
    for (asked, given) in [(0, HEADER_LEN), (HEADER_LEN, HEADER_LEN), (64, 64), (100, 100), (2000, 100)] {
        let mut bytes = [0xaa; 100];
        let writer = FrameWriter::new(header(), &mut bytes).expect("room");
        assert_eq!(writer.finish_padded(asked), given);
        assert!(bytes[HEADER_LEN..given].iter().all(|&byte| byte == 0));
        assert!(bytes[given..].iter().all(|&byte| byte == 0xaa));
    }
}

#[test]
fn a_frame_cut_at_any_byte_has_fewer_messages() {
    let header = header();
    let mut bytes = [0; FRAME_MAX];
    let mut writer = FrameWriter::new(header, &mut bytes).expect("room");
    let messages = golden::messages();
    let mut ends = vec![HEADER_LEN];
    for golden in &messages {
        assert!(writer.push(&golden.value.borrow()), "{}", golden.name);
        ends.push(writer.len());
    }
    let used = writer.finish();
    for length in 0..=used {
        let whole = ends.iter().filter(|&&end| end <= length).count();
        let Ok(frame) = Frame::decode(&bytes[..length]) else {
            assert!(length < HEADER_LEN);
            continue;
        };
        let read: Vec<_> = frame.messages().collect();
        assert_eq!(whole - 1, read.iter().filter(|message| message.is_ok()).count(), "cut at {length}");
        assert_eq!(read.last().expect("something").is_err(), length < used, "cut at {length}");
        checks::frame(&bytes[..length]);
    }
}

#[test]
fn a_stream_message_cut_at_any_byte_is_refused() {
    for golden in golden::streams() {
        let bytes = golden.bytes().split_off(STREAM_PREFIX_LEN);
        for length in 0..bytes.len() {
            // Sections are a list without a length of its own, of which these are the first none and one.
            let whole = match golden.name {
                "key values" => [HEADER_LEN, HEADER_LEN + 48 + 41].contains(&length),
                "key values with a statement" | "key values of the cluster, signed" => length == HEADER_LEN,
                _ => false,
            };
            assert_eq!(checks::stream(&bytes[..length]), whole, "{} cut at {length}", golden.name);
        }
        assert!(checks::stream(&bytes), "{}", golden.name);
    }
}

#[test]
fn a_record_costs_its_header_and_tails() {
    assert_eq!(Introduction::encoded_len(6, 2, 4), INTRODUCTION_HEADER_LEN + 12);
    let OwnedMessage::Introduction(node_7) = golden::messages().remove(8).value else { panic!("the ninth") };
    assert_eq!(Message::Introduction(node_7.borrow()).encoded_len(), 46);
}

/// The messages in a stream buffer.
fn split_stream(mut bytes: &[u8]) -> Vec<StreamMessage<'_>> {
    let mut messages = Vec::new();
    while let Some((prefix, rest)) = bytes.split_first_chunk::<STREAM_PREFIX_LEN>() {
        let length = stream_message_len(*prefix).expect("a length in bounds");
        let (message, rest) = rest.split_at(length);
        messages.push(StreamMessage::decode(message).expect("a stream message"));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    messages
}

#[test]
fn records_that_do_not_fit_one_message_go_on_in_the_next() {
    let names: Vec<String> = (0..5_000).map(|number| format!("member-{number}")).collect();
    let mut out = Vec::new();
    let mut writer = StreamWriter::new(header(), &mut out);
    assert!(names.iter().all(|name| writer.record(&introduction(name, &[1; METADATA_MAX]))));
    writer.finish_state();
    let messages = split_stream(&out);
    assert!(messages.len() > 2);
    let mut read = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let StreamBody::State(records) = message.body else { panic!("a state: {message:?}") };
        assert_eq!(records.more, index + 1 < messages.len());
        read.extend(records.map(|record| record.expect("a record").name));
    }
    assert_eq!(read, names);
    // All but the last are as full as they can be.
    let record = Introduction::encoded_len("member-1000".len(), METADATA_MAX, 0);
    let first = stream_message_len(*out.first_chunk().expect("a prefix")).expect("a length");
    assert!(first <= STREAM_MESSAGE_MAX && first + record > STREAM_MESSAGE_MAX);
}

#[test]
fn a_stream_buffer_is_whole_after_every_call() {
    let mut out = Vec::new();
    let mut writer = StreamWriter::new(header(), &mut out);
    assert!(writer.record(&introduction("a", b"")));
    // A part ends here; the next goes on with a writer of its own.
    let mut part = StreamWriter::new(header(), &mut out);
    assert!(part.record(&introduction("b", b"")));
    part.finish_state();
    part.plain(StreamKind::Agreed);
    part.finish_state();
    let bodies = split_stream(&out).into_iter().map(|message| message.body);
    let counts: Vec<_> = bodies
        .map(|body| match body {
            StreamBody::State(records) => Some((records.more, records.count())),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [Some((true, 1)), Some((false, 1)), None, Some((false, 0))]);
}
