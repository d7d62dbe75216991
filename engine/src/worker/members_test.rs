//! Tests of a worker's members: where their streams come from, and what waits until more has been read.

use std::sync::Arc;
use std::time::Duration;

use swimring_codec::Incarnation;
use swimring_codec::native::{FRAME_MAX, Frame, FrameHeader, FrameWriter, Message};

use super::*;

/// Takes frames, and sends none.
struct Nowhere(Vec<u8>);

impl FrameSink for Nowhere {
    fn reserve(&mut self, _to: SocketAddr, len: usize) -> Option<&mut [u8]> {
        self.0.resize(len, 0);
        Some(&mut self.0)
    }
}

fn two() -> HostedMembers {
    two_at("0.0.0.0")
}

#[test]
fn streams_come_from_the_address_that_datagrams_come_from() {
    let source = |bound: &str, to: &str| {
        let source = two_at(bound).stream_source(0, to.parse().unwrap());
        source.map(|source| source.to_string())
    };
    assert_eq!(source("10.0.0.1", "10.0.0.2:7946").as_deref(), Some("10.0.0.1"));
    assert_eq!(source("::ffff:10.0.0.1", "10.0.0.2:7946").as_deref(), Some("10.0.0.1"));
    assert_eq!(source("fd00::1", "[fd00::2]:7946").as_deref(), Some("fd00::1"));
    for (bound, to) in [
        ("0.0.0.0", "10.0.0.2:7946"),
        ("::", "[fd00::2]:7946"),
        ("fe80::1", "[fd00::2]:7946"),
        ("fd00::1", "10.0.0.2:7946"),
    ] {
        assert_eq!(source(bound, to), None, "{bound} to {to}");
    }
}

fn two_at(bound: &str) -> HostedMembers {
    named(bound, &["one", "other"])
}

fn named(bound: &str, names: &[&str]) -> HostedMembers {
    let (members_expected, known_expected) = (names.len(), names.len());
    let options = FleetOptions { members_expected, known_expected, ..FleetOptions::default() };
    let mut members = HostedMembers::new(&options, bound.parse().unwrap(), SharedState::new(1));
    for name in names {
        let config = MemberConfig {
            name: (*name).to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            metadata: Vec::new(),
            zone: String::new(),
            cluster: 0,
            incarnation: Incarnation::new(7),
            seed: 1,
            settings: Arc::clone(&options.settings),
        };
        members.add(config, None, &AdmissionRules::default(), Time::ZERO).unwrap();
    }
    members.load_views(&options.settings, |_, _, _| Ok(())).unwrap();
    members
}

fn fire(members: &mut HostedMembers, local: HostedMember, now: Time) {
    let mut frames = Nowhere(Vec::new());
    let (member, shared, mut out) = members.reach(local, &mut frames).unwrap();
    member.handle_timeout(now, shared, &mut out);
    members.arm(local, now);
}

#[test]
fn who_has_silence_to_judge_waits_until_what_was_sent_by_then_is_read() {
    let mut members = two();
    let mut judged = Time::NEVER;
    while judged == Time::NEVER {
        let now = members.get(0).unwrap().next_begun();
        fire(&mut members, 0, now);
        judged = members.get(0).unwrap().next_judged();
    }
    let now = judged + Duration::from_millis(80);
    members.shared.set_read_until(judged - Duration::from_micros(1));
    members.arm(0, judged);
    members.arm(0, now);
    assert!(members.are_waiting());
    assert_eq!(members.next_waiting(now), None, "an answer may lie unread");
    assert!(members.wheel.deadline(0).unwrap() > judged, "its other timer is armed beside that");
    members.shared.set_read_until(judged);
    assert_eq!(members.next_waiting(now), Some((0, judged)));
    assert_eq!((members.next_waiting(now), members.are_waiting()), (None, false), "each once");
    // Whoever is gone meanwhile judges nobody.
    members.shared.set_read_until(judged - Duration::from_micros(1));
    members.arm(0, now);
    members.kill(0);
    members.shared.set_read_until(Time::NEVER);
    assert_eq!((members.next_waiting(now), members.are_waiting()), (None, false));
}

/// Gives `local` a frame with these messages from the member `source`.
fn give(members: &mut HostedMembers, local: HostedMember, source: &str, said: &[Message<'_>], now: Time) {
    let source = MemberId::of_name(source);
    let destination = members.get(local).unwrap().id();
    let header = FrameHeader { cluster: 0, source, destination, root: 0, quiet: true };
    let mut bytes = [0; FRAME_MAX];
    let mut writer = FrameWriter::new(header, &mut bytes).unwrap();
    assert!(said.iter().all(|message| writer.push(message)));
    let length = writer.finish();
    let mut frames = Nowhere(Vec::new());
    let (member, shared, mut out) = members.reach(local, &mut frames).unwrap();
    let frame = Frame::decode(&bytes[..length]).unwrap();
    member.handle_frame(now, SocketAddr::from(([127, 0, 0, 1], 1)), &frame, shared, &mut out);
    members.arm(local, now);
}

#[test]
fn who_holds_a_death_back_tells_it_once_little_lies_unread() {
    let mut members = named("0.0.0.0", &["one", "other", "third", "gone"]);
    let now = Time::from_micros(20_000);
    let (subject, incarnation) = (MemberId::of_name("gone"), Incarnation::new(7));
    let asked = Message::Delegation { number: 1, prefix_bits: 0, zone: 0, view_first: false };
    members.shared.set_read_until(Time::ZERO);
    give(&mut members, 0, "third", &[asked, Message::Dead { subject, incarnation }], now);
    let counters = members.shared.counters;
    assert_eq!((counters.members_failed, counters.delegation_acks_sent), (1, 1), "that is done at once");
    assert_eq!((counters.delegations_held, counters.delegation_frames_sent), (2, 0));
    assert_eq!((members.next_holding(now), members.are_waiting()), (None, true));
    members.shared.set_read_until(now);
    assert_eq!(members.next_holding(now), Some(0));
    assert_eq!((members.next_holding(now), members.are_waiting()), (None, false), "each once");
    let mut frames = Nowhere(Vec::new());
    let (member, shared, mut out) = members.reach(0, &mut frames).unwrap();
    member.handle_read(now, shared, &mut out);
    assert!(!member.holds_back());
    assert_eq!(members.shared.counters.delegation_frames_sent, 2);
}
