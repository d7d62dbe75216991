//! Tests of refutation: that there is always room above the first incarnation, and of names claimed twice.

use std::net::SocketAddr;
use std::sync::Arc;

use super::*;
use crate::protocol::member::merge::TellOn;
use crate::protocol::view::directory::UNVERSIONED;
use crate::protocol::{Event, FrameSink, MemberlistOptions, WireOptions};
use swimring_codec::MemberId;

pub(super) struct Nowhere;

impl FrameSink for Nowhere {
    fn reserve(&mut self, _: SocketAddr, _: usize) -> Option<&mut [u8]> {
        None
    }
}

const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 1);

pub(super) fn wires() -> [WireOptions; 2] {
    [WireOptions::Native, WireOptions::Memberlist(MemberlistOptions::default())]
}

/// A member whose clock shows `seconds`.
pub(super) fn member(wire: &WireOptions, seconds: u64) -> (Member, SharedState) {
    let mut shared = SharedState::speaking(&wire.check().unwrap(), 1, [1; 32]);
    let config = MemberConfig {
        name: "one".to_owned(),
        address: ADDRESS.into(),
        metadata: Vec::new(),
        zone: String::new(),
        cluster: 1,
        incarnation: Incarnation::new(seconds),
        seed: 1,
        settings: Arc::new(Settings::default()),
    };
    (Member::new(config, &mut shared, Time::ZERO).unwrap(), shared)
}

/// Does `call` at `now`, and gives what happened.
pub(super) fn call(
    member: &mut Member,
    shared: &mut SharedState,
    now: Time,
    call: impl FnOnce(&mut Member, &mut Context<'_, '_>),
) -> Vec<Event> {
    let mut events = Vec::new();
    let streams = &mut Vec::new();
    let out = &mut Outbox { frames: &mut Nowhere, streams, events: &mut events, gossip_budget: &mut 0 };
    call(member, &mut Context::new(now, shared, out));
    events
}

pub(super) fn second(second: u64) -> Time {
    Time::from_micros(second * 1_000_000)
}

/// memberlist's incarnations end in 2156, if they count seconds from 2020: a member that starts at the last one
/// could not refute the first suspicion.
#[test]
fn whatever_the_clock_says_there_is_room_to_refute() {
    for wire in wires() {
        let last = if matches!(wire, WireOptions::Native) { (1 << 48) - 1 } else { u64::from(u32::MAX) };
        for seconds in [1, 200_000_000, last / 2, last / 2 + 1, last - 1, last, u64::MAX] {
            let (mut one, mut shared) = member(&wire, seconds);
            let first = one.incarnation();
            assert!(first.get() <= last / 2, "{wire:?}: {seconds}");
            assert!(seconds > last / 2 || first.get() == seconds, "{wire:?}: {seconds}");
            // Once a second for a while.
            for round in 1..1000 {
                let (id, accused) = (one.id(), one.incarnation());
                let events = call(&mut one, &mut shared, second(round), |one, cx| {
                    one.on_suspect(cx, id, accused, MemberId(9));
                });
                assert_eq!(events, [Event::Accused], "{wire:?}: {seconds}");
                assert!(one.incarnation() > accused, "{wire:?}: {seconds}");
            }
        }
    }
}

/// Takes frames, and keeps where they go.
#[derive(Default)]
pub(super) struct Addresses(pub(super) Vec<SocketAddr>, Vec<u8>);

impl FrameSink for Addresses {
    fn reserve(&mut self, to: SocketAddr, bytes: usize) -> Option<&mut [u8]> {
        self.0.push(to);
        self.1 = vec![0; bytes];
        Some(&mut self.1)
    }
}

/// Two halves of a cluster that hold each other dead tell nobody of the other half anything: the first frame between them has
/// to be answered to whoever sent it.
#[test]
fn whoever_accuses_us_and_is_dead_to_us_is_told_that_we_live() {
    let (mut one, mut shared) = member(&WireOptions::Native, 100);
    let other = Introduction {
        subject: MemberId::of_name("two"),
        incarnation: Incarnation::new(100),
        state: State::Alive,
        address: ([127, 0, 0, 2], 2).into(),
        name: "two",
        metadata: &[],
        zone: "",
    };
    call(&mut one, &mut shared, second(1), |one, cx| {
        one.on_introduction(cx, &other, UNVERSIONED, TellOn::Nobody);
    });
    let mut told = |now, is_dead: bool| {
        if is_dead {
            call(&mut one, &mut shared, now, |one, cx| one.on_dead(cx, other.subject, other.incarnation));
        }
        let (mut frames, mut events, mut streams) = (Addresses::default(), Vec::new(), Vec::new());
        let mut budget = 0;
        let out = &mut Outbox {
            frames: &mut frames,
            streams: &mut streams,
            events: &mut events,
            gossip_budget: &mut budget,
        };
        let cx = &mut Context::new(now, &mut shared, out);
        cx.sender = Some((other.address, other.subject));
        let (id, accused) = (one.id(), one.incarnation());
        one.on_dead(cx, id, accused);
        assert!(one.incarnation() > accused);
        frames.0
    };
    assert_eq!(told(second(2), false), [], "it is told with everybody, when frames next leave");
    assert_eq!(told(second(4), true), [other.address]);
}

#[test]
fn a_claim_is_said_now_and_then_and_on_memberlists_wire_not_fought() {
    for wire in wires() {
        let (mut one, mut shared) = member(&wire, 100);
        let elsewhere = SocketAddr::from(([127, 0, 0, 2], 2));
        let mut said = 0;
        for round in 0..30 {
            let claim = Introduction {
                subject: one.id(),
                incarnation: one.incarnation().next(),
                state: State::Alive,
                address: elsewhere,
                name: "one",
                metadata: &[],
                zone: "",
            };
            let events = call(&mut one, &mut shared, second(round), |one, cx| {
                one.on_own_introduction(cx, &claim);
            });
            said +=
                events.iter().filter(|event| **event == Event::NameConflict { address: elsewhere }).count();
        }
        assert_eq!((said, shared.counters.name_conflicts), (3, 30), "{wire:?}");
        let fought = shared.counters.refutations;
        assert_eq!(fought, if matches!(wire, WireOptions::Native) { 30 } else { 0 }, "{wire:?}");
    }
}

#[test]
fn a_life_is_known_by_where_it_begins_and_by_its_address() {
    for wire in wires() {
        let (mut one, mut shared) = member(&wire, 1_000);
        let port = |port| SocketAddr::from(([127, 0, 0, 2], port));
        let introduction = |incarnation, address, metadata| Introduction {
            subject: MemberId::of_name("two"),
            incarnation: Incarnation::new(incarnation),
            state: State::Alive,
            address,
            name: "two",
            metadata,
            zone: "",
        };
        let mut hear = |at, said: Introduction<'_>| {
            call(&mut one, &mut shared, second(at), |one, cx| {
                one.on_introduction(cx, &said, UNVERSIONED, TellOn::Nobody);
            })
        };
        // It began a minute ago.
        assert!(matches!(hear(60, introduction(1_000, port(2), b"a"))[..], [Event::Joined { .. }]));
        assert!(matches!(hear(61, introduction(1_001, port(2), b"b"))[..], [Event::Updated { .. }]));
        assert_eq!(hear(62, introduction(1_009, port(2), b"b")), [], "refutations that passed us by");
        assert!(matches!(hear(70, introduction(1_075, port(2), b"b"))[..], [Event::Restarted { .. }]));
        assert!(
            matches!(hear(71, introduction(1_078, port(2), b"c"))[..], [Event::Updated { .. }]),
            "too soon"
        );
        assert!(
            matches!(hear(300, introduction(1_331, port(2), b"d"))[..], [Event::Updated { .. }]),
            "too far ahead"
        );
        assert!(
            matches!(hear(400, introduction(1_400, port(2), b"e"))[..], [Event::Restarted { .. }]),
            "and changed"
        );
        let moved = hear(401, introduction(1_401, port(3), b"e"));
        match wire {
            WireOptions::Native => assert!(matches!(moved[..], [Event::Restarted { .. }])),
            _ => assert_eq!(moved, [], "its address is kept"),
        }
    }
}
