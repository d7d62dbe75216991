//! Tests of refutation: that there is always room above the first incarnation, and of names claimed twice.

use std::net::SocketAddr;
use std::sync::Arc;

use super::*;
use crate::protocol::{Event, FrameSink, MemberlistOptions, WireOptions};
use swimring_codec::MemberId;

struct Nowhere;

impl FrameSink for Nowhere {
    fn reserve(&mut self, _: SocketAddr, _: usize) -> Option<&mut [u8]> {
        None
    }
}

const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 1);

fn wires() -> [WireOptions; 2] {
    [WireOptions::Native, WireOptions::Memberlist(MemberlistOptions::default())]
}

/// A member whose clock shows `seconds`.
fn member(wire: &WireOptions, seconds: u64) -> (Member, SharedState) {
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
fn call(
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

fn second(second: u64) -> Time {
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
