//! Signed keys of the cluster: who may write one in whose name, and against a plain twin whatever is done to them on their way.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use bytes::Bytes;
use swimring_codec::native::{
    FRAME_MAX, Frame, FrameHeader, FrameWriter, IdentityKey, Introduction, KEY_STATEMENT_LEN,
    KeySectionWriter, KeySections, KeySpan, Message, StreamMessage, StreamWriter,
};
use swimring_codec::{Incarnation, State};

use super::*;
use crate::protocol::outbox::StreamOpen;
use crate::protocol::{AdmittedKeys, FrameSink, Member, MemberConfig, Outbox, SavedState, Settings, Time};

pub(super) const CLUSTER: u32 = 5;
pub(super) const NOW: Time = Time::from_micros(5_000_000);

struct Nowhere;

impl FrameSink for Nowhere {
    fn reserve(&mut self, _: SocketAddr, _: usize) -> Option<&mut [u8]> {
        None
    }
}

pub(super) fn key(number: u8) -> IdentityKey {
    IdentityKey::from_seed(&[number; 32])
}

pub(super) fn id(name: &str) -> MemberId {
    MemberId::of_name(name)
}

/// An entry with what it owns.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Written {
    key: String,
    version: u64,
    writer: MemberId,
    value: Option<Vec<u8>>,
    statement: Option<[u8; KEY_STATEMENT_LEN]>,
}

impl Written {
    pub(super) fn signed(
        key: &str,
        version: u64,
        writer: &str,
        value: Option<&[u8]>,
        by: &IdentityKey,
    ) -> Written {
        let (key, writer, value) = (key.to_owned(), id(writer), value.map(<[u8]>::to_vec));
        let written = Written { key, version, writer, value, statement: None };
        written.signed_by(by)
    }

    fn signed_by(self, by: &IdentityKey) -> Written {
        let statement =
            self.with(None, |entry| by.sign_key(CLUSTER, entry)).map(|statement| statement.to_bytes());
        Written { statement, ..self }
    }

    fn with<R>(&self, statement: Option<&KeyStatement>, then: impl FnOnce(&KeyEntry<'_>) -> R) -> R {
        let value = self.value.as_deref().map_or(KeyValue::Deleted, KeyValue::Set);
        then(&KeyEntry { key: &self.key, version: self.version, writer: self.writer, value, statement })
    }

    pub(super) fn section(&self) -> Vec<u8> {
        let mut section = Vec::new();
        let mut writer = KeySectionWriter::new(&mut section, 100_000);
        writer.begin(KeySpan::CLUSTER);
        let statement = self.statement.map(KeyStatement::from_bytes);
        assert!(self.with(statement.as_ref(), |entry| writer.entry(entry)));
        drop(writer);
        section
    }
}

/// The member `one`, which says what it has taken in.
pub(super) struct One {
    pub(super) member: Member,
    pub(super) shared: SharedState,
}

impl One {
    pub(super) fn new(list: &[(u8, Option<&str>)]) -> One {
        let mut admitted = AdmittedKeys::default();
        list.iter().for_each(|(number, name)| admitted.add(key(*number).public(), *name));
        One::with(admitted, &key(1))
    }

    fn with(admitted: AdmittedKeys, own: &IdentityKey) -> One {
        let mut shared = SharedState::new(1);
        shared.use_identities(CLUSTER, admitted.into());
        let config = MemberConfig {
            name: "one".to_owned(),
            address: ([127, 0, 0, 1], 1).into(),
            metadata: Vec::new(),
            zone: String::new(),
            cluster: CLUSTER,
            incarnation: Incarnation::new(7),
            seed: 1,
            settings: Settings::default().into(),
        };
        let member = Member::with_key(config, own, &mut shared, Time::ZERO).expect("admitted");
        One { member, shared }
    }

    fn call<R>(&mut self, call: impl FnOnce(&mut Member, &mut SharedState, &mut Outbox<'_>) -> R) -> R {
        self.call_opening(call).0
    }

    /// The same, and the streams that it opens.
    pub(super) fn call_opening<R>(
        &mut self,
        call: impl FnOnce(&mut Member, &mut SharedState, &mut Outbox<'_>) -> R,
    ) -> (R, Vec<StreamOpen>) {
        let (events, mut streams) = (&mut Vec::new(), Vec::new());
        let out = &mut Outbox { frames: &mut Nowhere, streams: &mut streams, events, gossip_budget: &mut 0 };
        (call(&mut self.member, &mut self.shared, out), streams)
    }

    fn header(&self) -> FrameHeader {
        self.header_of("somebody")
    }

    pub(super) fn header_of(&self, source: &str) -> FrameHeader {
        let (source, destination) = (id(source), self.member.id());
        FrameHeader { cluster: CLUSTER, source, destination, root: 0, quiet: false }
    }

    /// Takes in what somebody says of keys of the cluster.
    pub(super) fn take(&mut self, sections: &[u8]) {
        let mut bytes = Vec::new();
        StreamWriter::new(self.header(), &mut bytes).key_values(|writer| {
            writer.begin(KeySpan::CLUSTER);
            let sections = KeySections::new(sections).flatten();
            sections
                .flat_map(|section| section.entries().flatten())
                .for_each(|entry| _ = writer.entry(&entry));
            writer.end();
        });
        let message = StreamMessage::decode(&bytes[4..]).expect("a message");
        self.call(|member, shared, out| {
            member.handle_stream(NOW, None, &message, &mut Vec::new(), shared, out);
        });
    }

    /// Holds the member `name` with this key.
    pub(super) fn meet(&mut self, name: &str, by: &IdentityKey) {
        let metadata = by.public().0;
        let introduction = Introduction {
            subject: id(name),
            incarnation: Incarnation::new(7),
            state: State::Alive,
            address: ([127, 0, 0, 1], 2).into(),
            name,
            metadata: &metadata,
            zone: "",
        };
        let signature = by.sign_alive(CLUSTER, &introduction).expect("a valid one");
        let mut buffer = [0; FRAME_MAX];
        let mut writer = FrameWriter::new(self.header(), &mut buffer).expect("room");
        writer.push(&Message::Signature(&signature));
        writer.push(&Message::Introduction(introduction));
        let length = writer.finish();
        let from = ([127, 0, 0, 1], 2).into();
        let frame = Frame::decode(&buffer[..length]).expect("a frame");
        self.call(|member, shared, out| member.handle_frame(NOW, from, &frame, shared, out));
        assert!(self.shared.directory().find(id(name)).is_some(), "{name} is known");
    }

    pub(super) fn has(&self, key: &str) -> Option<Vec<u8>> {
        self.member.state_value(MemberId::NONE, key).map(|value| value.value.to_vec())
    }

    fn set(&mut self, key: &str, value: Option<&'static [u8]>) -> u64 {
        let value = value.map(Bytes::from_static);
        let changed = self
            .call(|member, shared, out| member.change_state(NOW, MemberId::NONE, key, value, shared, out));
        changed.expect("within bounds").expect("something is changed")
    }
}

/// What comes of `written`: whether it is taken in, and which of the counters unsigned, forged, another's key and not admitted counts it.
fn outcome(one: &mut One, written: &Written) -> (bool, [u64; 4]) {
    one.take(&written.section());
    let counters = &one.shared.counters;
    let counted = [
        counters.identities_unsigned,
        counters.identities_forged,
        counters.identities_key_changed,
        counters.identities_not_admitted,
    ];
    (one.has(&written.key).is_some(), counted)
}

const TAKEN: (bool, [u64; 4]) = (true, [0; 4]);
const UNSIGNED: (bool, [u64; 4]) = (false, [1, 0, 0, 0]);
const FORGED: (bool, [u64; 4]) = (false, [0, 1, 0, 0]);
const OTHERS: (bool, [u64; 4]) = (false, [0, 0, 1, 0]);
const NOT_ADMITTED: (bool, [u64; 4]) = (false, [0, 0, 0, 1]);

fn written(by: u8) -> Written {
    Written::signed("limit", 7, "two", Some(b"42"), &key(by))
}

#[test]
fn a_key_is_taken_in_with_the_signature_of_its_writer_alone() {
    let mut one = One::new(&[]);
    one.meet("two", &key(2));
    assert_eq!(outcome(&mut one, &Written { statement: None, ..written(2) }), UNSIGNED);
    for spoil in [
        |written: Written| Written { value: Some(b"43".to_vec()), ..written },
        |written: Written| Written { value: Some(b"420".to_vec()), ..written },
        |written: Written| Written { value: Some(Vec::new()), ..written },
        |written: Written| Written { key: "limits".to_owned(), ..written },
        |written: Written| Written { version: 8, ..written },
        |written: Written| Written { writer: id("three"), ..written },
        |mut written: Written| {
            written.statement.as_mut().expect("it is signed")[40] ^= 1;
            written
        },
    ] {
        let mut one = One::new(&[]);
        assert_eq!(outcome(&mut one, &spoil(written(2))), FORGED, "{:?}", spoil(written(2)));
    }
    let mut one = One::new(&[]);
    one.meet("two", &key(2));
    assert_eq!(outcome(&mut one, &written(2)), TAKEN);
    let verified = one.shared.counters.identities_verified;
    // What is held is not looked at again, nor what another member of the worker has looked at.
    one.take(&written(2).section());
    assert_eq!(one.shared.counters.identities_verified, verified);
}

#[test]
fn a_deletion_is_no_value_and_the_reverse() {
    let deleted = Written::signed("limit", 7, "two", None, &key(2));
    let mut one = One::new(&[]);
    one.take(&Written { value: Some(Vec::new()), ..deleted.clone() }.section());
    one.take(&Written { value: None, ..Written::signed("limit", 8, "two", Some(b""), &key(2)) }.section());
    assert_eq!((one.has("limit"), one.shared.counters.identities_forged), (None, 2));
    one.take(&Written::signed("limit", 6, "two", Some(b""), &key(2)).section());
    assert!(one.has("limit").is_some());
    one.take(&deleted.section());
    assert_eq!(one.has("limit"), None);
}

/// The key that something is signed with is the one that the writer is held with; or, since it outlives its writer, one that may be its.
#[test]
fn whose_a_key_is_is_asked_of_the_view_and_of_the_list() {
    let (named, two_keys) =
        ([(1, Some("one")), (2, Some("two"))], [(1, None), (2, Some("two")), (3, Some("two"))]);
    let unnamed = [(1, None), (2, None), (3, None)];
    for (list, held, by, expected) in [
        (&[][..], false, 2, TAKEN),
        (&[], false, 3, TAKEN),
        (&[], true, 2, TAKEN),
        (&[], true, 3, OTHERS),
        (&named, false, 2, TAKEN),
        (&named, false, 1, NOT_ADMITTED),
        (&named, false, 3, NOT_ADMITTED),
        (&named, true, 1, NOT_ADMITTED),
        (&two_keys, true, 3, TAKEN),
        (&two_keys, true, 1, NOT_ADMITTED),
        (&unnamed, false, 3, TAKEN),
        (&unnamed, true, 3, OTHERS),
        (&unnamed, true, 4, NOT_ADMITTED),
    ] {
        let mut one = One::new(list);
        if held {
            one.meet("two", &key(2));
        }
        assert_eq!(outcome(&mut one, &written(by)), expected, "{list:?}, held: {held}, by {by}");
    }
}

/// Others may have what is refused here for its key: what is written here next is to be above it.
#[test]
fn what_another_key_has_signed_is_outranked() {
    let mut one = One::new(&[]);
    one.meet("two", &key(2));
    one.take(&Written::signed("limit", 900 << 16, "two", Some(b"42"), &key(3)).section());
    assert!(one.has("limit").is_none() && one.set("limit", Some(b"43")) > 900 << 16);
    // Not what nobody has signed.
    one.take(
        &Written { statement: None, ..Written::signed("limit", 990 << 16, "two", None, &key(3)) }.section(),
    );
    assert!(one.set("limit", Some(b"44")) < 990 << 16);
}

/// A value that does not fit is told by its hash, which is signed: what was not is not asked for.
#[test]
fn a_value_that_is_elsewhere_is_asked_for_if_it_was_signed() {
    for (spoiled, gaps) in [(0, 1), (1, 0)] {
        let mut one = One::new(&[]);
        let long = Written::signed("long", 7, "two", Some(&[7; 600]), &key(2));
        let statement = long.statement.map(KeyStatement::from_bytes);
        let mut section = Vec::new();
        let mut writer = KeySectionWriter::new(&mut section, 100_000);
        writer.begin(KeySpan::CLUSTER);
        long.with(statement.as_ref(), |entry| {
            let mut hash = entry.value.hash().expect("it has a value");
            hash[0] ^= spoiled;
            assert!(writer.entry(&in_brief(entry, Some(&hash))));
        });
        drop(writer);
        one.take(&section);
        let counters = &one.shared.counters;
        assert_eq!((counters.state_gaps, counters.identities_forged), (gaps, spoiled.into()));
        one.take(&long.section());
        assert!(one.has("long").is_some());
    }
}

#[test]
fn what_a_member_writes_is_signed_and_what_it_has_saved_stays_so() {
    let mut one = One::new(&[]);
    one.take(&written(2).section());
    one.set("own", Some(b"1"));
    one.set("gone", Some(b"1"));
    one.set("gone", None);
    let saved = one.member.cluster_keys_saved();
    assert!(saved.len() == 3 && saved.iter().all(|key| key.statement.is_some()));
    let restored = |own: u8, saved: &[crate::protocol::SavedClusterKey]| {
        let mut next = One::with(AdmittedKeys::default(), &key(own));
        let saved = SavedState { cluster: saved.to_vec(), ..SavedState::default() };
        next.call(|member, shared, out| member.restore_state(NOW, saved, shared, out))
            .expect("within bounds");
        (
            next.member.cluster_keys_saved(),
            next.member.state_bytes(),
            next.shared.counters.identities_unsigned,
        )
    };
    let bytes = "own".len() + 1 + "gone".len() + "limit".len() + 2;
    assert_eq!(restored(1, &saved), (saved.clone(), bytes, 0));
    // With another key of its own: what was its is signed anew.
    let (anew, ..) = restored(4, &saved);
    let keys = |saved: &[crate::protocol::SavedClusterKey]| -> Vec<_> {
        saved.iter().map(|saved| saved.statement.map(|statement| statement.key)).collect()
    };
    let (first, fourth, second) = (key(1).public(), key(4).public(), key(2).public());
    assert_eq!(keys(&saved), [Some(first), Some(second), Some(first)]);
    assert_eq!(keys(&anew), [Some(fourth), Some(second), Some(fourth)]);
    // Saved where members had no identities: what others wrote would be taken in by nobody.
    let unsigned: Vec<_> = saved
        .iter()
        .map(|saved| crate::protocol::SavedClusterKey { statement: None, ..saved.clone() })
        .collect();
    let (left, bytes_left, dropped) = restored(1, &unsigned);
    assert_eq!((keys(&left), dropped), (vec![Some(first); 2], 1));
    assert_eq!(bytes_left, bytes - "limit".len() - 2);
}

/// What a forger makes of an entry.
fn spoil(rng: &mut fastrand::Rng, written: &Written, heard: &[Written]) -> Written {
    let mut spoiled = written.clone();
    let other = &heard[rng.usize(..heard.len())];
    match rng.u8(..8) {
        0 => spoiled.value = Some(vec![rng.u8(..); 3]),
        1 => spoiled.value = if spoiled.value.is_some() { None } else { Some(Vec::new()) },
        2 => spoiled.version += rng.u64(1..99),
        3 => spoiled.writer = other.writer,
        4 => spoiled.key.clone_from(&other.key),
        5 => spoiled.statement = other.statement,
        6 => spoiled.statement = None,
        _ => spoiled = spoiled.signed_by(&key(9)),
    }
    if rng.u8(..4) == 0
        && let Some(statement) = &mut spoiled.statement
    {
        statement[rng.usize(..KEY_STATEMENT_LEN)] ^= 1 << rng.u8(..8);
    }
    spoiled
}

#[test]
fn keys_are_what_their_writers_have_said_whatever_is_done_to_them() {
    let names = ["one", "two", "three", "four"];
    let list: Vec<_> = names.iter().zip(1..).map(|(name, number)| (number, Some(*name))).collect();
    let mut refused = 0;
    for seed in 0..20 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let mut one = One::new(&list);
        let mut heard: Vec<Written> = Vec::new();
        let (mut said, mut last) = (HashSet::new(), HashMap::<String, Written>::new());
        for nth in 1..80 {
            let writer = rng.usize(1..4);
            let value = (rng.u8(..4) != 0).then(|| vec![nth as u8; rng.usize(..40)]);
            let key_name = format!("key-{}", rng.u8(..6));
            let by = key(writer as u8 + 1);
            let new = Written::signed(&key_name, rng.u64(1..60), names[writer], value.as_deref(), &by);
            // No member takes a version twice.
            if heard.iter().any(|old| (old.version, old.writer) == (new.version, new.writer)) {
                continue;
            }
            said.insert((new.key.clone(), new.version, new.writer, new.value.clone()));
            heard.push(new.clone());
            let known = last.entry(new.key.clone()).or_insert_with(|| new.clone());
            if (new.version, new.writer) > (known.version, known.writer) {
                *known = new.clone();
            }
            for _ in 0..3 {
                one.take(&spoil(rng, &new, &heard).section());
            }
            one.take(&new.section());
            for (key, value) in one.member.state_entries(MemberId::NONE, "") {
                let has = (key.to_string(), value.version, value.writer, Some(value.value.to_vec()));
                assert!(said.contains(&has), "seed {seed}: {has:?} was never said");
            }
        }
        for (key, last) in &last {
            assert_eq!(one.has(key), last.value, "seed {seed}: {key}");
        }
        let counters = &one.shared.counters;
        refused +=
            counters.identities_forged + counters.identities_unsigned + counters.identities_not_admitted;
    }
    assert!(refused > 1_000, "{refused} refused");
}
