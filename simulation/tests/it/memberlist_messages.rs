//! User messages on memberlist's wire: the application's own, those of other Swimring members, and Serf's.

use crate::memberlist_support::*;
use crate::paper_support::{plain, run, seconds, state};
use swimring::protocol::{MemberlistOptions, Settings};
use swimring_codec::State;
use swimring_codec::memberlist::Message;
use swimring_codec::serf;
use swimring_simulation::{Faults, Simulation, Slowness, What};

fn serf_pool(seed: u64, members: usize) -> Simulation {
    pool_of(seed, members, &plain(), MemberlistOptions::serf())
}

fn encoded(message: &serf::Message<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    assert!(message.encode(&mut body), "{message:?}");
    body
}

fn delivered(simulation: &Simulation) -> usize {
    simulation.log().entries().iter().filter(|entry| matches!(entry.what, What::UserEvent(_))).count()
}

fn is_user(message: &Message<'_>) -> bool {
    matches!(message, Message::User(_))
}

/// What another application sends may be meant for us alone: memberlist delivers it, and leaves it to the
/// application to tell on.
#[test]
fn a_foreign_message_is_delivered_once_and_never_told_on() {
    let mut simulation = pool(1, 5, &plain());
    simulation.tap();
    for _ in 0..3 {
        forge(&mut simulation, 1, 0, &[Message::User(b"anything at all")]);
    }
    run(&mut simulation, seconds(5));
    assert_eq!(delivered(&simulation), 1);
    assert_eq!((0..5).map(|node| count_sent(&simulation, node, is_user)).sum::<usize>(), 0);
    assert_eq!(simulation.counters().events_repeated, 2);
}

/// What a Swimring member tells, which has a small header, is told on by the others.
#[test]
fn a_framed_message_is_told_on() {
    let mut simulation = pool(2, 5, &plain());
    simulation.tap();
    simulation.send_event(3, "deploy", b"v7").expect("room");
    run(&mut simulation, seconds(1));
    let mut framed = Vec::new();
    sent(&simulation, 3, |_, message| {
        if let Message::User(body) = message {
            framed = body.to_vec();
        }
    });
    let mut simulation = pool(3, 5, &plain());
    forge(&mut simulation, 1, 0, &[Message::User(&framed)]);
    run(&mut simulation, seconds(5));
    // Its origin is one of them, but has never sent it in this pool.
    assert_eq!(delivered(&simulation), 5);
}

#[test]
fn messages_longer_than_a_packet_are_refused_and_counted() {
    let mut simulation = pool(4, 3, &plain());
    forge(&mut simulation, 1, 0, &[Message::User(&[1; 1_101]), Message::User(&[1; 1_100])]);
    assert_eq!((delivered(&simulation), simulation.counters().user_messages_too_long), (1, 1));
}

/// Upstream's Serf members answer an intent to leave that names them, and that they do not have, at once.
#[test]
fn an_intent_that_we_leave_is_answered_with_one_that_we_join() {
    let mut simulation = serf_pool(5, 4);
    simulation.tap();
    let own = name(0);
    let leave = encoded(&serf::Message::LeaveIntent { ltime: 50, node: &own, prune: false });
    forge(&mut simulation, 1, 0, &[Message::User(&leave)]);
    run(&mut simulation, seconds(3));
    let (mut joins, mut leaves) = (Vec::new(), 0);
    for node in 0..4 {
        sent(&simulation, node, |_, message| {
            let Message::User(body) = message else { return };
            match serf::Message::decode(body).expect("Serf's") {
                serf::Message::JoinIntent { ltime, node } => joins.push((ltime, node.to_owned())),
                serf::Message::LeaveIntent { .. } => leaves += 1,
                other => panic!("{other:?}"),
            }
        });
    }
    assert!(!joins.is_empty() && joins.iter().all(|join| *join == (51, own.clone())), "{joins:?}");
    assert_eq!(leaves, 0, "and it is not told on");
    // The same again is old by now.
    simulation.tap();
    forge(&mut simulation, 1, 0, &[Message::User(&leave)]);
    run(&mut simulation, seconds(3));
    assert_eq!((0..4).map(|node| count_sent(&simulation, node, is_user)).sum::<usize>(), 0);
}

/// hashicorp/serf#606, hashicorp/consul#18078: intents of others are told on, each of them once.
#[test]
fn intents_of_others_are_told_on_once() {
    let mut simulation = serf_pool(6, 6);
    let (other, gone) = (name(4), "gone".to_owned());
    let intents = [
        encoded(&serf::Message::JoinIntent { ltime: 9, node: &other }),
        encoded(&serf::Message::LeaveIntent { ltime: 10, node: &gone, prune: false }),
    ];
    for body in &intents {
        forge(&mut simulation, 1, 0, &[Message::User(body)]);
    }
    run(&mut simulation, seconds(5));
    let told = simulation.counters().broadcast_copies_sent;
    assert!(told >= 10, "{told} copies");
    for _ in 0..20 {
        for (node, body) in (0..6).flat_map(|node| intents.iter().map(move |body| (node, body))) {
            forge(&mut simulation, 1, node, &[Message::User(body)]);
        }
        run(&mut simulation, seconds(1));
    }
    assert_eq!(simulation.counters().broadcast_copies_sent, told);
    assert_eq!(delivered(&simulation), 0);
}

fn query(flags: u32) -> Vec<u8> {
    encoded(&serf::Message::Query(serf::Query {
        ltime: 3,
        id: 7,
        address: Some("127.0.0.1:7946".parse().expect("an address")),
        source_node: "asker",
        flags,
        relay_factor: 0,
        timeout_ns: 1_000_000_000,
        name: "ping",
        payload: b"",
    }))
}

#[test]
fn queries_are_told_on_unless_they_say_otherwise() {
    for (flags, told_on) in [(0, true), (1, true), (2, false), (3, false)] {
        let mut simulation = serf_pool(7, 4);
        simulation.tap();
        let body = query(flags);
        forge(&mut simulation, 1, 0, &[Message::User(&body)]);
        run(&mut simulation, seconds(3));
        let copies = count_sent(&simulation, 0, |message| *message == Message::User(&body));
        assert_eq!(copies > 0, told_on, "flags {flags}: {copies} copies");
        assert_eq!(simulation.counters().decode_errors, 0);
    }
}

/// hashicorp/consul#9997: an event is delivered once, however often and whatever way it comes.
#[test]
fn a_serf_event_is_delivered_once() {
    let mut simulation = serf_pool(8, 5);
    let event = serf::Message::UserEvent { ltime: 12, name: "deploy", payload: b"v7", coalesce: false };
    let body = encoded(&event);
    for node in [0, 1, 0, 2, 3, 0] {
        forge(&mut simulation, 4, node, &[Message::User(&body), Message::User(&body)]);
    }
    run(&mut simulation, seconds(5));
    assert_eq!(delivered(&simulation), 5);
    // What follows is later than what was heard.
    simulation.tap();
    simulation.send_event(0, "deploy", b"v8").expect("room");
    run(&mut simulation, seconds(1));
    let mut times = Vec::new();
    sent(&simulation, 0, |_, message| {
        let Message::User(body) = message else { return };
        if let Ok(serf::Message::UserEvent { ltime, payload: b"v8", .. }) = serf::Message::decode(body) {
            times.push(ltime);
        }
    });
    assert!(!times.is_empty() && times.iter().all(|time| *time == 13), "{times:?}");
}

/// Whatever is no message of Serf's is refused and counted, and not told on.
#[test]
fn what_is_not_serfs_is_refused_in_a_serf_pool() {
    let mut simulation = serf_pool(9, 3);
    simulation.tap();
    let before = simulation.counters();
    let hostile: [&[u8]; 5] =
        [b"", b"\x03", b"\x03\xdf\xff\xff\xff\xff", b"\x04\xc1", b"\x00\x81\xa5LTime\xff"];
    for body in hostile {
        forge(&mut simulation, 1, 0, &[Message::User(body)]);
    }
    let other = [&b"\x63"[..], b"\x05\x80"];
    for body in other {
        forge(&mut simulation, 1, 0, &[Message::User(body)]);
    }
    run(&mut simulation, seconds(2));
    let counted = simulation.counters().since(&before);
    assert_eq!((counted.decode_errors, counted.user_messages_ignored), (5, 2));
    assert_eq!((0..3).map(|node| count_sent(&simulation, node, is_user)).sum::<usize>(), 0);
}

/// A Serf member leaves after it has told that it means to. If it cannot tell anyone for so long that what it
/// had to tell is old, it leaves all the same.
#[test]
fn an_intent_to_leave_that_expires_untold_does_not_keep_a_member() {
    let settings = Settings { event_memory: seconds(10), ..plain() };
    let mut simulation = pool_of(10, 5, &settings, MemberlistOptions::serf());
    simulation.set_faults(Faults { gossip_refused: 1.0, ..Faults::NONE });
    simulation.send_event(4, "more", b"to tell").expect("room");
    simulation.starve(4, Slowness::TimersFirst, seconds(20), seconds(20));
    simulation.leave(4);
    run(&mut simulation, seconds(6));
    simulation.set_faults(Faults::NONE);
    run(&mut simulation, seconds(40));
    assert!(simulation.member(4).expect("kept").has_left());
    assert!(simulation.counters().events_expired > 0);
    assert!((0..4).all(|node| !state(&simulation, node, 4).is_some_and(State::is_live)));
}
