//! What signatures on shared state do not prevent: that something of long ago, which was signed then, is given to who has nothing
//! later, and that something is kept back. Both end with whoever gives what is later.

use swimring_codec::MemberId;
use swimring_codec::native::{
    FRAME_MAX, Frame, FrameWriter, KeyDigestList, KeyEntry, KeyRoots, KeySectionWriter, KeySections, KeySpan,
    KeyValue, Message, StreamMessage, StreamWriter, entry_hash, map_hash,
};

use super::super::cluster_keys::CLUSTER_TOMBSTONES_MAX;
use super::tests::{CLUSTER, NOW, One, Written, id, key};
use crate::protocol::Time;
use crate::protocol::outbox::{StreamOpen, StreamPurpose};

/// What the member `two` has signed of its map when that had come to `version`: the key `key`, with `value`.
fn map_of_two(epoch: u64, version: u64, value: &[u8]) -> Vec<u8> {
    let span =
        KeySpan { owner: id("two"), epoch, since: 0, until: version, floor: 0, complete: true, reset: false };
    let (writer, value) = (MemberId::NONE, KeyValue::Set(value));
    let entry = KeyEntry { key: "key", version, writer, value, statement: None };
    let statement = key(2).sign_map(CLUSTER, &span, map_hash(&[entry_hash(&entry)]));
    let mut section = Vec::new();
    let mut writer = KeySectionWriter::new(&mut section, 100_000);
    writer.begin_stated(span, Some(&statement));
    assert!(writer.entry(&entry));
    drop(writer);
    section
}

impl One {
    /// Takes in what `source` says of a map, on a stream that was opened for `purpose`, or that it opened itself.
    fn take_map(&mut self, now: Time, source: &str, purpose: Option<StreamPurpose>, section: &[u8]) {
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::new(self.header_of(source), &mut bytes);
        writer.key_values(|writer| {
            for section in KeySections::new(section).flatten() {
                writer.begin_stated(section.span, section.statement);
                section.entries().flatten().for_each(|entry| assert!(writer.entry(&entry)));
                writer.end();
            }
        });
        self.hear(now, purpose, &bytes);
    }

    fn hear(&mut self, now: Time, purpose: Option<StreamPurpose>, bytes: &[u8]) {
        let message = StreamMessage::decode(&bytes[4..]).expect("a message");
        self.call_opening(|member, shared, out| {
            member.handle_stream(now, purpose, &message, &mut Vec::new(), shared, out)
        });
    }

    /// What it has of the map of `two`.
    fn has_of_two(&self) -> Option<Vec<u8>> {
        self.member.state_value(id("two"), "key").map(|value| value.value.to_vec())
    }

    /// Hears the roots of `source`; the exchange that it begins then.
    fn hear_roots(&mut self, now: Time, source: &str, maps: u64) -> Vec<StreamOpen> {
        let mut buffer = [0; FRAME_MAX];
        let mut writer = FrameWriter::new(self.header_of(source), &mut buffer).expect("room");
        writer.push(&Message::KeyRoots(KeyRoots { maps, keys: 0 }));
        let length = writer.finish();
        let frame = Frame::decode(&buffer[..length]).expect("a frame");
        let from = ([127, 0, 0, 1], 2).into();
        let (_, opened) = self.call_opening(|member, shared, out| {
            member.handle_frame(now, from, &frame, shared, out);
            member.handle_timeout(now, shared, out);
        });
        opened.into_iter().filter(|open| matches!(open.purpose, StreamPurpose::SharedState { .. })).collect()
    }
}

fn at(milliseconds: u64) -> Time {
    Time::from_micros(milliseconds * 1_000)
}

#[test]
fn a_map_of_long_ago_is_taken_until_another_gives_a_later_one() {
    let mut one = One::new(&[]);
    one.meet("two", &key(2));
    let old = map_of_two(900, 7, b"old");
    one.take_map(NOW, "liar", None, &old);
    assert_eq!(one.has_of_two(), Some(b"old".to_vec()), "it has none, and this was signed");
    for (later, value) in [(map_of_two(900, 8, b"new"), b"new"), (map_of_two(901, 1, b"now"), b"now")] {
        one.take_map(NOW, "three", None, &later);
        assert_eq!(one.has_of_two(), Some(value.to_vec()));
        one.take_map(NOW, "liar", None, &old);
        assert_eq!(one.has_of_two(), Some(value.to_vec()), "and not once it has a later one");
    }
    assert_eq!(one.shared.counters.identities_forged, 0);
}

#[test]
fn a_key_of_long_ago_is_taken_until_another_gives_the_newer() {
    let written = |name: &str, version, value| Written::signed(name, version, "two", value, &key(2));
    let old = written("limit", 7, Some(b"42")).section();
    let mut one = One::new(&[]);
    one.take(&old);
    assert_eq!(one.has("limit"), Some(b"42".to_vec()), "it has none, and this was signed");
    one.take(&written("limit", 8, Some(b"43")).section());
    one.take(&old);
    assert_eq!(one.has("limit"), Some(b"43".to_vec()));

    // Nor is what was deleted brought back, as long as anybody could know that.
    one.take(&written("limit", 9, None).section());
    for later in 0..CLUSTER_TOMBSTONES_MAX as u64 {
        one.take(&old);
        assert_eq!(one.has("limit"), None, "{later} deletions later");
        one.take(&written(&format!("key-{later}"), 10 + later, None).section());
    }
    one.take(&old);
    assert_eq!(one.has("limit"), Some(b"42".to_vec()), "its deletion is forgotten");
    assert_eq!(one.shared.counters.identities_forged, 0);
}

/// Somebody has roots that say that it has something, and gives nothing. Whose roots show it next is asked as well.
#[test]
fn changes_are_kept_back_by_one_and_given_by_another() {
    let mut one = One::new(&[]);
    for (name, number) in [("two", 2), ("liar", 3), ("three", 4)] {
        one.meet(name, &key(number));
    }
    one.take_map(NOW, "two", None, &map_of_two(900, 7, b"old"));

    let opened = one.hear_roots(at(8_000), "liar", 77);
    let [open] = &opened[..] else { panic!("{opened:?}") };
    assert_eq!(open.destination, id("liar"));
    let mut nothing = Vec::new();
    StreamWriter::new(one.header_of("liar"), &mut nothing).key_digests(&KeyDigestList::default());
    one.hear(at(8_001), Some(open.purpose), &nothing);
    assert_eq!(one.has_of_two(), Some(b"old".to_vec()), "it was kept back");

    let opened = one.hear_roots(at(20_000), "three", 78);
    let [open] = &opened[..] else { panic!("{opened:?}") };
    assert_eq!(open.destination, id("three"), "the other is asked, too");
    one.take_map(at(20_001), "three", Some(open.purpose), &map_of_two(900, 8, b"new"));
    assert_eq!(one.has_of_two(), Some(b"new".to_vec()));
}
