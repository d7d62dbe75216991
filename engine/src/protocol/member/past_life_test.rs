//! Tests of a member that comes back at another address, on memberlist's wire.

use std::net::SocketAddr;

use super::refutation_tests::{Nowhere, call, member, second, wires};
use super::*;
use crate::protocol::outbox::StreamPurpose;
use crate::protocol::shared_lists::presence::Presence;
use crate::protocol::{StreamConnection, WireOptions};

fn past(address: ([u8; 4], u16), state: State) -> Introduction<'static> {
    Introduction {
        subject: MemberId::of_name("one"),
        incarnation: Incarnation::new(900),
        state,
        address: SocketAddr::from(address),
        name: "one",
        metadata: b"",
        zone: "",
    }
}

/// The member `one` after a join in which it was told of `past`, and how many streams it asked for.
fn told(wire: &WireOptions, past: &Introduction<'_>) -> (Member, SharedState, usize) {
    let (mut one, mut shared) = member(wire, 1_000);
    let mut streams = Vec::new();
    let events = &mut Vec::new();
    let out = &mut Outbox { frames: &mut Nowhere, streams: &mut streams, events, gossip_budget: &mut 0 };
    one.on_own_past(&mut Context::new(second(1), &mut shared, out), past);
    for stream in &streams {
        assert_eq!((stream.to, stream.destination), (past.address, one.id()));
        assert_eq!(stream.purpose, StreamPurpose::Probe { sequence: 0, subject: one.core.index });
    }
    (one, shared, streams.len())
}

const ELSEWHERE: ([u8; 4], u16) = ([127, 0, 0, 9], 1);

#[test]
fn the_last_address_is_asked_only_where_it_is_kept_and_held_alive() {
    for wire in wires() {
        let native = matches!(wire, WireOptions::Native);
        for (past, asked) in [
            (past(ELSEWHERE, State::Alive), !native),
            (past(ELSEWHERE, State::Suspect), !native),
            (past(ELSEWHERE, State::Dead), false),
            (past(ELSEWHERE, State::Left), false),
            (past(([127, 0, 0, 1], 1), State::Alive), false),
        ] {
            let (one, _, streams) = told(&wire, &past);
            assert_eq!((streams == 1, one.apart.past.is_some()), (asked, asked), "{wire:?} {past:?}");
        }
    }
}

#[test]
fn who_answers_at_the_last_address_keeps_the_name() {
    for answers in [true, false] {
        let [_, wire] = wires();
        let (mut one, mut shared, _) = told(&wire, &past(ELSEWHERE, State::Alive));
        let subject = one.core.index;
        call(&mut one, &mut shared, second(1), |one, cx| match answers {
            true => one.on_stream_ack(cx, 0, subject),
            false => one.on_presence(cx, (0, subject), Presence::Silent),
        });
        assert!(one.apart.past.is_none() && one.past_due() == Time::NEVER);
        assert_eq!(shared.counters.past_lives_left, 0);
        assert_eq!(shared.counters.acks_unexpected, 0);
    }
}

#[test]
fn a_goodbye_is_said_for_who_is_gone_and_then_we_are_introduced() {
    for refused in [true, false] {
        let [_, wire] = wires();
        let (mut one, mut shared, _) = told(&wire, &past(ELSEWHERE, State::Alive));
        let asked_until = one.past_due();
        let subject = one.core.index;
        let events = &mut Vec::new();
        let out =
            &mut Outbox { frames: &mut Nowhere, streams: &mut Vec::new(), events, gossip_budget: &mut 0 };
        if refused {
            let purpose = StreamPurpose::Probe { sequence: 0, subject };
            let refused = StreamConnection::Refused;
            one.handle_stream_connection(second(1), purpose, refused, &mut shared, out);
        } else {
            one.past_timeout(&mut Context::new(asked_until, &mut shared, out));
        }
        assert!(one.leaves_past());
        assert_eq!((shared.counters.past_lives_left, shared.broadcasts_queued()), (1, 1));
        // Others repeat the goodbye, and accuse whom they have not heard it of: nobody answers that now.
        let restated = shared.counters.restatements;
        let (id, gone) = (one.id(), Incarnation::new(900));
        call(&mut one, &mut shared, asked_until, |one, cx| {
            one.on_left(cx, id, gone);
            one.on_suspect(cx, id, gone, MemberId(9));
        });
        assert_eq!(shared.counters.restatements, restated);
        // Once it has spread we say that we are here, which takes its place.
        let end = one.past_due();
        assert!(end >= asked_until && end < second(10));
        call(&mut one, &mut shared, end, Member::past_timeout);
        assert!(one.apart.past.is_none());
        assert_eq!((shared.counters.past_lives_left, shared.broadcasts_queued()), (1, 1));
        assert_eq!(one.incarnation(), Incarnation::new(1_000));
    }
}
