//! What Serf says inside memberlist: golden vectors, refusals, and what is written.

use std::net::SocketAddr;

use swimring_codec::serf::{Clocks, DecodeError, Event, Message, Query, Tags, TagsError, encode_push_pull};
use swimring_testing::memberlist::bytes;
use swimring_testing::memberlist::vectors::serf as vectors;

fn written(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(message.encode(&mut out));
    out
}

#[test]
fn intents_have_their_published_bytes() {
    let published = bytes(vectors::LEAVE);
    let message = Message::decode(&published).expect("a leave");
    assert!(matches!(message, Message::LeaveIntent { ltime: 5, node: "n1", prune: false }));
    assert_eq!(written(&message), published);
    let published = bytes(vectors::LEAVE_PRUNE);
    let message = Message::decode(&published).expect("a leave");
    assert!(matches!(message, Message::LeaveIntent { ltime: 5, node: "n1", prune: true }));
    assert_eq!(written(&message), published);
    let published = bytes(vectors::JOIN);
    let message = Message::decode(&published).expect("a join");
    assert!(matches!(message, Message::JoinIntent { ltime: 300, node: "n1" }));
    assert_eq!(written(&message), published);
}

#[test]
fn user_events_have_their_published_bytes() {
    let published = bytes(vectors::USER_EVENT);
    let message = Message::decode(&published).expect("an event");
    let Message::UserEvent { ltime: 7, name: "deploy", payload: b"v1", coalesce: true } = message else {
        panic!("{message:?}");
    };
    assert_eq!(written(&message), published);
}

#[test]
fn queries_are_read_and_written() {
    let published = bytes(vectors::QUERY);
    let message = Message::decode(&published).expect("a query");
    let Message::Query(query) = message else { panic!("{message:?}") };
    let expected = Query {
        ltime: 9,
        id: 77,
        address: Some(SocketAddr::from(([127, 0, 0, 1], 7946))),
        source_node: "n1",
        flags: 1,
        relay_factor: 2,
        timeout_ns: 15_000_000_000,
        name: "load",
        payload: b"p",
    };
    assert_eq!(query, expected);
    // The timeout is written in its unsigned form.
    let mut unsigned = published.clone();
    let at = unsigned.len() - 9;
    unsigned[at] = 0xcf;
    assert_eq!(written(&message), unsigned);
    let nowhere = Message::Query(Query { address: None, ..expected });
    let out = written(&nowhere);
    assert!(matches!(Message::decode(&out), Ok(Message::Query(query)) if query.address.is_none()));
}

#[test]
fn push_pulls_are_read() {
    let published = bytes(vectors::PUSH_PULL);
    let message = Message::decode(&published).expect("a push/pull");
    let Message::PushPull(state) = message else { panic!("{message:?}") };
    assert_eq!(state.clocks, Clocks { members: 3, events: 4, queries: 1 });
    assert!(state.status_ltimes().eq([("n1", 2)]));
    assert!(state.left_members().eq(["n9"]));
    assert!(state.events().eq([Event { ltime: 3, name: "e", payload: b"x" }]));
}

#[test]
fn the_whole_ring_of_events_is_read() {
    // 512 slots, two of them with two events each.
    let event = |name: u8| [b"\x82\xa4Name\xa1", &[name][..], b"\xa7Payload\xc0"].concat();
    let slot = |time: u8, names: [u8; 2]| {
        let events = [event(names[0]), event(names[1])].concat();
        [&[0x82, 0xa5][..], b"LTime", &[time], b"\xa6Events\x92", &events].concat()
    };
    let mut state = b"\x02\x81\xa6Events\xdc\x02\x00".to_vec();
    state.extend([0xc0; 100]);
    state.extend(slot(7, *b"ab"));
    state.extend([0xc0; 410]);
    state.extend(slot(8, *b"cd"));
    let Ok(Message::PushPull(read)) = Message::decode(&state) else { panic!("a push/pull") };
    let events: Vec<_> = read.events().map(|event| (event.ltime, event.name)).collect();
    assert_eq!(events, [(7, "a"), (7, "b"), (8, "c"), (8, "d")]);
    state.pop();
    assert!(matches!(Message::decode(&state), Err(DecodeError::Truncated)));
}

#[test]
fn push_pulls_are_written_and_read_back() {
    let mut out = Vec::new();
    let clocks = Clocks { members: 1 << 40, events: 500, queries: 0 };
    let times = [("n1", 2), ("a name of more than thirty-two bytes", u64::MAX)];
    encode_push_pull(&mut out, clocks, times, ["n9", ""]);
    let Ok(Message::PushPull(state)) = Message::decode(&out) else { panic!("a push/pull") };
    assert_eq!(state.clocks, clocks);
    assert!(state.status_ltimes().eq(times));
    assert!(state.left_members().eq(["n9", ""]));
    assert_eq!(state.events().count(), 0);
    for length in 0..out.len() {
        assert!(Message::decode(&out[..length]).is_err(), "{length}");
    }
    assert!(!Message::PushPull(state).encode(&mut Vec::new()), "written otherwise");
}

#[test]
fn other_messages_are_told_apart() {
    for (hex, kind) in [(vectors::RESPONSE, 5), (vectors::KEY_REQUEST, 7), (vectors::CONFLICT_NIL, 6)] {
        let published = bytes(hex);
        assert!(matches!(Message::decode(&published), Ok(Message::Other(other)) if other == kind));
    }
    assert!(!Message::Other(5).encode(&mut Vec::new()));
}

#[test]
fn tags_are_read_and_written() {
    let published = bytes(vectors::ROLE_WEB);
    let tags = Tags::decode(&published).expect("tags");
    assert_eq!((tags.get("role"), tags.get("dc")), (Some("web"), None));
    assert_eq!(Tags::encode(&[("role", "web")]), Ok(published.clone()));
    let published = bytes(vectors::NO_TAGS);
    assert_eq!(Tags::decode(&published).map(Iterator::count), Ok(0));
    assert_eq!(Tags::encode::<&str, &str>(&[]), Ok(published.clone()));
    let published = bytes(vectors::EMPTY_TAG);
    assert_eq!(Tags::decode(&published).expect("tags").get("segment"), Some(""));
    let many: Vec<_> = (0..20).map(|number| (format!("t{number}"), "x".repeat(number))).collect();
    let written = Tags::encode(&many).expect("short enough");
    let read = Tags::decode(&written).expect("tags");
    assert!(read.eq(many.iter().map(|(name, value)| (&**name, &**value))));
    assert_eq!(Tags::encode(&[("t", "x".repeat(512))]), Err(TagsError::TooLarge(519)));
}

#[test]
fn metadata_without_tags_is_a_role() {
    assert!(Tags::decode(b"web").expect("a role").eq([("role", "web")]));
    assert!(Tags::decode(b"").expect("a role").eq([("role", "")]));
    assert_eq!(Tags::decode(b"\xfe\xff").err(), Some(DecodeError::Field("role")));
}

#[test]
fn malformed_tags_are_refused() {
    for (bytes, error) in [
        (&b"\xff"[..], DecodeError::Truncated),
        (b"\xff\x81\xa1a", DecodeError::Truncated),
        (b"\xff\x82\xa1a\xa1b\xa1c", DecodeError::Truncated),
        (b"\xff\xdf\xff\xff\xff\xff\xa1a\xa1b", DecodeError::Truncated),
        (b"\xff\x91\xa1a", DecodeError::Field("tags")),
        (b"\xff\x81\xa1a\x01", DecodeError::Field("tag")),
        (b"\xff\x81\xa1\xff\xa1b", DecodeError::Field("tag")),
        (b"\xff\xc1", DecodeError::Msgpack),
    ] {
        assert_eq!(Tags::decode(bytes).err(), Some(error), "{bytes:x?}");
    }
}

#[test]
fn truncated_and_damaged_vectors_are_read_or_refused() {
    for (name, hex) in vectors::MESSAGES {
        let published = bytes(hex);
        for length in 0..published.len() {
            if let Ok(message) = Message::decode(&published[..length]) {
                assert!(matches!(message, Message::Other(_)), "{name} cut to {length} bytes");
            }
        }
        for bit in 0..8 * published.len() {
            let mut damaged = published.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(Message::PushPull(state)) = Message::decode(&damaged) {
                state.events().for_each(drop);
                state.left_members().for_each(drop);
                state.status_ltimes().for_each(drop);
            }
        }
    }
}
