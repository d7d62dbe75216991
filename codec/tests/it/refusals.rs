//! Every kind of refusal, each from the smallest change to bytes that are otherwise valid.

use std::collections::HashSet;

use swimring_codec::MemberId;
use swimring_codec::native::{
    DecodeError, FRAME_MAX, Frame, HEADER_LEN, KeySection, Message, STREAM_MESSAGE_MAX, STREAM_PREFIX_LEN,
    StreamBody, StreamMessage, stream_message_len,
};
use swimring_testing::golden;

fn frame() -> Vec<u8> {
    golden::frames().remove(1).bytes()
}

fn message(name: &str) -> Vec<u8> {
    golden::messages().into_iter().find(|golden| golden.name == name).expect(name).bytes()
}

fn stream(name: &str) -> Vec<u8> {
    let golden = golden::streams().into_iter().find(|golden| golden.name == name).expect(name);
    golden.bytes().split_off(STREAM_PREFIX_LEN)
}

fn with(mut bytes: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    bytes[at] = value;
    bytes
}

fn frame_error(bytes: &[u8]) -> DecodeError {
    Frame::decode(bytes).expect_err("refused")
}

fn message_error(bytes: &[u8]) -> DecodeError {
    Message::decode(bytes).expect_err("refused")
}

/// The error of a stream message, or of the record in it that is refused.
fn stream_error(bytes: &[u8]) -> DecodeError {
    match StreamMessage::decode(bytes) {
        Err(error) => error,
        Ok(StreamMessage { body: StreamBody::State(records), .. }) => {
            records.last().expect("something").expect_err("refused")
        }
        Ok(StreamMessage { body: StreamBody::KeyValues(sections), .. }) => {
            let error = |section: Result<KeySection<'_>, DecodeError>| match section {
                Ok(section) => section.entries().find_map(Result::err),
                Err(error) => Some(error),
            };
            { sections }.find_map(error).expect("refused")
        }
        Ok(message) => panic!("read: {message:?}"),
    }
}

#[test]
fn headers() {
    use DecodeError::{Field, Reserved, Sealed, TooLong, Truncated, Version};
    assert_eq!(frame_error(&[]), Truncated);
    assert_eq!(frame_error(&frame()[..HEADER_LEN - 1]), Truncated);
    for version in [0, 1, 3, 255] {
        assert_eq!(frame_error(&with(frame(), 0, version)), Version(version));
        assert_eq!(frame_error(&[version]), Version(version), "whatever the other version's length");
    }
    assert_eq!(frame_error(&with(frame(), 1, 2)), Sealed);
    assert_eq!(frame_error(&with(frame(), 1, 0xff)), Sealed);
    for bit in 2..8 {
        assert_eq!(frame_error(&with(frame(), 1, 1 << bit)), Reserved);
    }
    assert_eq!(frame_error(&with(frame(), 3, 1)), Reserved);
    let mut nobody = frame();
    nobody[8..16].fill(0);
    assert_eq!(frame_error(&nobody), Field("source"));
    let mut long = frame();
    long.resize(FRAME_MAX, 0);
    assert_eq!(Frame::decode(&long).expect("the longest frame").message_count(), 2);
    long.push(0);
    assert_eq!(frame_error(&long), TooLong);
}

#[test]
fn message_kinds_that_do_not_exist() {
    for kind in (0..=u8::MAX).filter(|kind| !matches!(kind, 1..=22 | 24 | 26 | 40)) {
        assert_eq!(message_error(&with(vec![0; 64], 0, kind)), DecodeError::Kind(kind));
    }
    // A record of a state that is another message.
    let record = HEADER_LEN + 8;
    assert_eq!(stream_error(&with(stream("state"), record, 5)), DecodeError::Kind(5));
}

#[test]
fn direct_messages() {
    let direct = [40, 0, 0x50, 5, 0, 0, 0, 0];
    let whole = |payload: usize| [&direct[..], &vec![7; payload]].concat();
    assert!(Message::decode(&whole(1360)).is_ok());
    assert_eq!(message_error(&whole(1359)), DecodeError::Truncated);
    assert_eq!(message_error(&with(whole(1361), 2, 0x51)), DecodeError::Field("direct length"));
    for reserved in [1, 4, 7] {
        assert_eq!(message_error(&with(whole(1360), reserved, 1)), DecodeError::Reserved);
    }
    let mut out = vec![0; 2_000];
    assert_eq!(Message::Direct { payload: &[7; 1361] }.encode(&mut out), None);
}

#[test]
fn reserved_bytes_of_messages() {
    for name in ["indirect ping", "nack", "event age"] {
        for at in 1..4 {
            assert_eq!(message_error(&with(message(name), at, 1)), DecodeError::Reserved, "{name}");
        }
    }
    let (sketch, sums, mark) = (message("view sketch"), message("view sums"), message("view repair"));
    for (bytes, zeros) in [(&sketch, 2..4), (&sums, 3..4), (&mark, 2..8)] {
        for at in zeros {
            assert_eq!(message_error(&with(bytes.clone(), at, 1)), DecodeError::Reserved, "{at}");
        }
    }
    for flags in [1, 0x40, 0x81, 0xff] {
        assert_eq!(message_error(&with(mark.clone(), 1, flags)), DecodeError::Reserved, "{flags:x}");
    }
    for at in 2..4 {
        assert_eq!(message_error(&with(message("delegation ack"), at, 1)), DecodeError::Reserved);
    }
    // An acknowledgement has no prefix, not even one that a delegation could have.
    for prefix_bits in [1, 4, 64, 65, 255] {
        assert_eq!(message_error(&with(message("delegation ack"), 1, prefix_bits)), DecodeError::Reserved);
    }
    for name in ["suspect", "dead", "left"] {
        assert_eq!(message_error(&with(message(name), 1, 0x7a)), DecodeError::Reserved, "{name}");
    }
    for at in HEADER_LEN + 5..HEADER_LEN + 8 {
        assert_eq!(stream_error(&with(stream("state"), at, 1)), DecodeError::Reserved);
    }
}

#[test]
fn ids_of_nobody() {
    let ids = [
        ("indirect ping", "indirect ping target"),
        ("alive", "subject"),
        ("suspect", "subject"),
        ("dead", "subject"),
        ("left", "subject"),
        ("introduction, IPv4", "subject"),
        ("user event", "event origin"),
        ("entry wanted", "entry wanted"),
    ];
    for (name, field) in ids {
        let mut bytes = message(name);
        bytes[8..16].fill(0);
        assert_eq!(message_error(&bytes), DecodeError::Field(field), "{name}");
    }
    let mut bytes = message("suspect");
    bytes[16..].fill(0);
    assert!(Message::decode(&bytes).is_ok(), "a suspicion may come from nobody in particular");
}

#[test]
fn ranges_and_lengths_that_do_not_exist() {
    use DecodeError::{Field, Truncated};
    let (sketch, sums, list) = (message("view sketch"), message("view sums"), message("view list"));
    for count in [0, 69, 255] {
        assert_eq!(message_error(&with(sketch.clone(), 1, count)), Field("cells of a sketch"), "{count}");
    }
    assert_eq!(message_error(&with(sketch, 1, 5)), Truncated);
    for bits in [31, 0x40, 0x80 | 31, 0xff] {
        assert_eq!(message_error(&with(sums.clone(), 1, bits)), Field("range of ids"), "{bits:x}");
    }
    for bits in [31, 0xc0 | 31, 0xff] {
        assert_eq!(message_error(&with(list.clone(), 1, bits)), Field("range of ids"), "{bits:x}");
    }
    // Three bits of prefix, of which a fourth is set; two, of which the third is.
    assert_eq!(message_error(&with(sums.clone(), 7, 0x30)), Field("range of ids"));
    assert_eq!(message_error(&with(sums.clone(), 1, 2)), Field("range of ids"));
    for step in [0, 7, 255] {
        assert_eq!(message_error(&with(sums.clone(), 2, step)), Field("parts of a range"), "{step}");
    }
    assert_eq!(message_error(&with(sums.clone(), 1, 30)), Field("parts of a range"));
    assert_eq!(message_error(&with(sums, 2, 2)), Truncated);
    let mut long = list.clone();
    long.resize(2_000, 0);
    long[2..4].copy_from_slice(&341_u16.to_le_bytes());
    assert_eq!(message_error(&long), Field("length of a list"));
    assert_eq!(message_error(&with(list, 2, 2)), Truncated);
}

#[test]
fn prefixes_longer_than_an_id() {
    for prefix_bits in [0, 1, 63, 64] {
        let bytes = with(message("delegation"), 1, prefix_bits);
        let (read, rest) = Message::decode(&bytes).expect("a delegation");
        assert_eq!(
            (read, rest),
            (Message::Delegation { number: 6, prefix_bits, zone: 0, view_first: false }, &[][..])
        );
    }
    for prefix_bits in [65, 66, 128, 255] {
        let bytes = with(message("delegation"), 1, prefix_bits);
        assert_eq!(message_error(&bytes), DecodeError::Field("prefix bits"), "{prefix_bits}");
        let bytes = with(message("delegation, view first"), 1, prefix_bits);
        assert_eq!(message_error(&bytes), DecodeError::Field("prefix bits"), "{prefix_bits}");
    }
}

#[test]
fn parts_of_events_that_do_not_exist() {
    for (bits, nth) in [(0, 0), (3, 7), (7, 127), (0x80, 0), (0x87, 127)] {
        assert!(Message::decode(&with(with(message("event sum"), 1, bits), 2, nth)).is_ok(), "{bits} {nth}");
    }
    for (bits, nth) in [(0, 1), (3, 8), (7, 128), (8, 0), (0x7f, 0), (0x80, 1), (0x88, 0)] {
        let bytes = with(with(message("event sum"), 1, bits), 2, nth);
        assert_eq!(message_error(&bytes), DecodeError::Field("event part"), "{bits} {nth}");
    }
}

#[test]
fn what_follows_a_refused_delegation_is_lost() {
    let golden = golden::frames().remove(2);
    let at = HEADER_LEN + 8;
    let bytes = with(golden.bytes(), at + 1, 65);
    let frame = Frame::decode(&bytes).expect("a frame");
    let read: Vec<_> = frame.messages().collect();
    let expected =
        [Ok(Message::Ack { sequence: 0x0102_0304, event_root: 0 }), Err(DecodeError::Field("prefix bits"))];
    assert_eq!(read, expected, "nothing of it is taken for an update that nobody delegated");
}

#[test]
fn fields_of_introductions() {
    let bytes = || message("introduction, IPv4");
    for (at, value, field) in [
        (8, 0, "subject is not the id of the name"),
        (38, b'N', "subject is not the id of the name"),
        (38, 0xff, "name"),
        (34, 0, "name length"),
        (34, 129, "name length"),
        (35, 0, "state"),
        (35, 5, "state"),
        (37, 3, "metadata length"),
        (1, 33, "zone length"),
        (1, 255, "zone length"),
    ] {
        assert_eq!(message_error(&with(bytes(), at, value)), DecodeError::Field(field), "{at} {value}");
    }
    // Behind name and metadata there is nothing, and then what is no UTF-8.
    assert_eq!(message_error(&with(bytes(), 1, 1)), DecodeError::Truncated);
    let in_zone = with(message("introduction in a zone"), 46, 0xff);
    assert_eq!(message_error(&in_zone), DecodeError::Field("zone"));
    let address = DecodeError::Field("address");
    let mut port_zero = bytes();
    port_zero[32..34].fill(0);
    assert_eq!(message_error(&port_zero), address);
    let mut mapped_unspecified = bytes();
    mapped_unspecified[28..32].fill(0);
    assert_eq!(message_error(&mapped_unspecified), address);
    let mut unspecified = bytes();
    unspecified[16..32].fill(0);
    assert_eq!(message_error(&unspecified), address);
    for of_many in [[224, 0, 0, 1], [239, 255, 255, 255], [255, 255, 255, 255]] {
        let mut bytes = bytes();
        bytes[28..32].copy_from_slice(&of_many);
        assert_eq!(message_error(&bytes), address, "{of_many:?}");
    }
    for (first, second) in [(0xff, 0x02), (0xfe, 0x80), (0xfe, 0xbf)] {
        let mut bytes = bytes();
        (bytes[16], bytes[17]) = (first, second);
        assert_eq!(message_error(&bytes), address, "{first:x}{second:x}::");
    }
}

#[test]
fn fields_of_user_events() {
    let bytes = message("user event");
    assert_eq!(message_error(&with(bytes.clone(), 16, 0xff)), DecodeError::Field("event name"));
    assert_eq!(message_error(&with(bytes.clone(), 3, 2)), DecodeError::Field("event length"));
    assert_eq!(message_error(&with(bytes, 1, 9)), DecodeError::Truncated);
}

/// The golden message `name` with other lengths in its header, and tails of just those lengths.
fn with_tails(golden: &str, header_len: usize, lengths: &[(usize, &[u8])], tail: usize) -> Vec<u8> {
    let mut bytes = message(golden);
    bytes.truncate(header_len);
    for &(at, length) in lengths {
        bytes[at..at + length.len()].copy_from_slice(length);
    }
    bytes.resize(header_len + tail, b'n');
    bytes
}

#[test]
fn lengths_one_past_their_limits() {
    let event = |name_len: u8, payload_len: u16| {
        let lengths: [(usize, &[u8]); 2] = [(1, &[name_len]), (2, &payload_len.to_le_bytes())];
        with_tails("user event", 16, &lengths, usize::from(name_len) + usize::from(payload_len))
    };
    for (name_len, payload_len) in [(0, 512), (255, 257), (6, 506), (0, 0)] {
        assert!(Message::decode(&event(name_len, payload_len)).is_ok(), "{name_len} {payload_len}");
    }
    for (name_len, payload_len) in [(0, 513), (255, 258), (6, 507), (255, u16::MAX)] {
        let error = message_error(&event(name_len, payload_len));
        assert_eq!(error, DecodeError::Field("event length"), "{name_len} {payload_len}");
    }
    let introduction = |name_len: u8, metadata_len: u16| {
        let id = MemberId::of_name(&"n".repeat(name_len.into())).0.to_le_bytes();
        let metadata = metadata_len.to_le_bytes();
        let lengths: [(usize, &[u8]); 3] = [(8, &id), (34, &[name_len]), (36, &metadata)];
        with_tails("introduction, IPv4", 38, &lengths, usize::from(name_len) + usize::from(metadata_len))
    };
    for (name_len, metadata_len) in [(1, 0), (1, 512), (128, 512)] {
        assert!(Message::decode(&introduction(name_len, metadata_len)).is_ok(), "{name_len} {metadata_len}");
    }
    for (name_len, metadata_len, field) in [
        (0, 0, "name length"),
        (129, 0, "name length"),
        (1, 513, "metadata length"),
        (128, u16::MAX, "metadata length"),
    ] {
        assert_eq!(message_error(&introduction(name_len, metadata_len)), DecodeError::Field(field));
    }
}

#[test]
fn stream_messages() {
    use DecodeError::{Field, Kind, Trailing, Truncated, Version};
    for kind in [0, 9, 23, 26, 39, 42, 255] {
        assert_eq!(stream_error(&with(stream("join"), 2, kind)), Kind(kind));
    }
    for version in [0, 1, 9] {
        assert_eq!(stream_error(&with(stream("join"), 0, version)), Version(version));
    }
    assert_eq!(stream_error(&with(stream("state"), HEADER_LEN + 4, 2)), Field("more"));
    // The announced number of records is one less or one more than there are; more than could fit.
    assert_eq!(stream_error(&with(stream("state"), HEADER_LEN, 1)), Trailing);
    assert_eq!(stream_error(&with(stream("state"), HEADER_LEN, 3)), Truncated);
    assert_eq!(stream_error(&with(stream("state"), HEADER_LEN + 3, 0xff)), Truncated);
    assert_eq!(stream_error(&with(stream("state"), HEADER_LEN, 0)), Trailing);
    let (question, ack) = (stream("question"), stream("direct ack"));
    assert_eq!(stream_error(&with(question.clone(), HEADER_LEN + 24, 3)), Field("direct role"));
    assert_eq!(stream_error(&with(question.clone(), HEADER_LEN + 24, 0)), Field("direct role"));
    assert_eq!(stream_error(&with(question.clone(), HEADER_LEN + 16, 0)), Field("direct role"));
    assert_eq!(stream_error(&with(question.clone(), HEADER_LEN + 25, 1)), DecodeError::Reserved);
    assert_eq!(stream_error(&with(question.clone(), HEADER_LEN + 28, 7)), Truncated);
    assert_eq!(stream_error(&with(question, HEADER_LEN + 31, 1)), Field("direct length"));
    assert_eq!(stream_error(&with(ack.clone(), HEADER_LEN + 8, 4)), Field("direct outcome"));
    assert_eq!(stream_error(&with(ack, HEADER_LEN + 9, 1)), DecodeError::Reserved);
    for golden in golden::streams() {
        let mut bytes = golden.bytes().split_off(STREAM_PREFIX_LEN);
        bytes.push(0);
        let expected = if golden.name.starts_with("key values") { Truncated } else { Trailing };
        assert_eq!(stream_error(&bytes), expected, "{}", golden.name);
    }
    assert_eq!(stream_error(&vec![1; STREAM_MESSAGE_MAX + 1]), DecodeError::TooLong);
}

#[test]
fn shared_state() {
    use DecodeError::{Field, Reserved, Truncated};
    for at in 1..8 {
        assert_eq!(message_error(&with(message("key roots"), at, 1)), Reserved);
    }
    let (digests, values) = (stream("key digests"), stream("key values"));
    let digests = |at, value| stream_error(&with(digests.clone(), HEADER_LEN + at, value));
    assert_eq!((digests(0, 8), digests(1, 1)), (Reserved, Reserved));
    assert_eq!((digests(4, 2), digests(7, 255), digests(8, 2)), (Truncated, Truncated, Truncated));
    let mut nobody = stream("key digests");
    nobody[HEADER_LEN + 12..HEADER_LEN + 20].fill(0);
    assert_eq!(stream_error(&nobody), Field("map digest"));

    let values = |at, value| stream_error(&with(values.clone(), HEADER_LEN + at, value));
    // The first section: since above until, an epoch that is none, a reset that does not begin at 0.
    assert_eq!(
        (values(16, 8), values(8, 0), values(44, 3)),
        (Field("section"), Field("section"), Field("section"))
    );
    assert_eq!((values(44, 8), values(45, 1), values(43, 1)), (Reserved, Reserved, Truncated));
    // A statement that is not behind it.
    assert_eq!(values(44, 4), Truncated);
    // Its entries: versions out of order or beyond until, no key, a deletion with a value, one that is elsewhere.
    assert_eq!((values(48, 5), values(48, 8)), (Field("entry"), Field("entry")));
    assert_eq!((values(60, 0), values(61, 1), values(62, 1)), (Field("entry"), Field("value"), Reserved));
    assert_eq!(values(48 + 22 + 13, 2), Field("entry"));
    // The second, of the cluster: one that has an epoch, an entry without a writer.
    let second = 48 + 41;
    assert_eq!(values(second + 8, 1), Field("section"));
    // One that is elsewhere and says to be signed, without a hash; one of a member that does.
    assert_eq!((values(second + 48 + 31 + 13, 6), values(61, 4)), (Field("value"), Truncated));
    let signed = stream("key values of the cluster, signed");
    let signed = |at, value| stream_error(&with(signed.clone(), HEADER_LEN + 48 + at, value));
    // A value without its statement, and with a flag that is none; the hash that is a byte shorter.
    assert_eq!((signed(13, 12), signed(13, 8)), (Field("value"), Field("value")));
    assert_eq!(signed(127 + 123 + 8, 31), Field("value"));
    let mut unwritten = stream("key values");
    unwritten[HEADER_LEN + second + 64..][..8].fill(0);
    assert_eq!(stream_error(&unwritten), Field("writer"));
}

#[test]
fn stream_lengths() {
    let length = |length: u32| stream_message_len(length.to_le_bytes());
    assert_eq!(length(31), Err(DecodeError::Truncated));
    assert_eq!(length(32), Ok(32));
    assert_eq!(length(1 << 20), Ok(STREAM_MESSAGE_MAX));
    assert_eq!(length((1 << 20) + 1), Err(DecodeError::TooLong));
    assert_eq!(length(u32::MAX), Err(DecodeError::TooLong));
}

#[test]
fn kinds_have_numbers_and_names_of_their_own() {
    let kinds = [
        DecodeError::Truncated,
        DecodeError::TooLong,
        DecodeError::Version(7),
        DecodeError::Sealed,
        DecodeError::Kind(7),
        DecodeError::Field("x"),
        DecodeError::Reserved,
        DecodeError::Trailing,
    ];
    let names: HashSet<_> = kinds.iter().map(|kind| DecodeError::NAMES[kind.index()]).collect();
    assert_eq!(names.len(), DecodeError::KINDS);
    let spelled = kinds.map(|kind| kind.to_string().replace(' ', "_"));
    for (kind, spelled) in kinds.iter().zip(spelled) {
        let name = DecodeError::NAMES[kind.index()];
        assert!(spelled.contains(name), "{spelled} is counted as {name}");
    }
}
