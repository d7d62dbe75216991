//! The life of a member as its neighbours see it: alive, changed, gone, failed, back again.

#![allow(clippy::disallowed_methods, reason = "two subscribers are listened to at once")]

use std::sync::mpsc;
use std::time::Duration;

use crate::cluster_support::*;
use swimring::{Accuser, Cluster, ClusterError, ClusterEvent, MemberlistOptions, State, WireOptions};

#[test]
fn a_killed_member_is_suspected_then_failed_with_the_reason() {
    let (one, two) = (start("one"), start("two"));
    two.join([one.address()]).wait().unwrap();
    let mut events = one.subscribe().unwrap();
    two.shutdown();
    let (failed, before) = until(&mut events, "two has failed", |event| is_failed(event, "two"));
    let suspected = before.iter().find_map(|event| match event {
        ClusterEvent::Suspected { member, accuser } => Some((member.clone(), accuser.clone())),
        _ => None,
    });
    let (member, accuser) = suspected.expect("it is suspected before");
    assert_eq!((&*member.name, member.state, accuser), ("two", State::Suspect, Accuser::Local));
    let ClusterEvent::Failed { member, suspicion: Some(suspicion), declared_here } = failed else {
        panic!("{failed:?}")
    };
    assert_eq!((member.state, member.address), (State::Dead, two.address()));
    assert_eq!((suspicion.accuser, suspicion.confirmations), (Accuser::Local, 0));
    assert!(declared_here && !suspicion.lasted.is_zero());
    assert_eq!(one.len().unwrap(), 1);
    assert_eq!(names(&one.departed().unwrap()), ["two"]);
}

#[test]
fn a_member_that_leaves_is_seen_leaving_and_may_come_back() {
    let (one, two) = (start("one"), start("two"));
    let mut events = one.subscribe().unwrap();
    two.join([one.address()]).wait().unwrap();
    two.leave(PATIENCE).wait().unwrap();
    let (_, before) = until(&mut events, "two has left", |event| is_left(event, "two"));
    assert!(is_joined(&before[0], "two"), "{before:?}");
    assert!(!before.iter().any(|event| is_failed(event, "two")), "{before:?}");
    // Whoever leaves twice, on a signal and at the end, has left.
    two.leave(PATIENCE).wait().unwrap();
    assert_eq!(one.len().unwrap(), 1);
    assert!(matches!(two.send_event("x", ""), Err(ClusterError::Left)));
    assert!(matches!(two.update_metadata("x"), Err(ClusterError::Left)));
    two.join([one.address()]).wait().unwrap();
    until(&mut events, "two is back", |event| is_joined(event, "two"));
    two.update_metadata("x").unwrap();
}

#[test]
fn leaving_alone_is_done_at_once() {
    let one = start("one");
    one.leave(PATIENCE).wait().unwrap();
    assert_eq!(one.len().unwrap(), 0);
}

#[test]
fn leaving_that_takes_too_long_says_so() {
    let one = start("one");
    let slow = member("two").tune(|protocol| protocol.gossip_interval = std::time::Duration::from_secs(60));
    let two = slow.start().unwrap();
    two.join([one.address()]).wait().unwrap();
    for _ in 0..2 {
        let error = two.leave(std::time::Duration::from_millis(1)).wait().unwrap_err();
        assert!(matches!(error, ClusterError::LeaveTimedOut(_)), "{error}");
    }
}

#[test]
fn metadata_is_seen_by_the_others() {
    let one = start("one");
    let two = member("two").metadata("zone=a").start().unwrap();
    let mut events = one.subscribe().unwrap();
    two.join([one.address()]).wait().unwrap();
    let (event, _) = until(&mut events, "two", |event| is_joined(event, "two"));
    assert_eq!(event.member().unwrap().metadata, "zone=a".as_bytes());
    let mut own = two.subscribe().unwrap();
    two.update_metadata("zone=b").unwrap();
    until(
        &mut own,
        "its own change",
        |event| matches!(event, ClusterEvent::Updated(member) if &*member.name == "two"),
    );
    assert_eq!(two.local().unwrap().metadata, "zone=b".as_bytes());
    let updated = |event: &ClusterEvent| matches!(event, ClusterEvent::Updated(member) if member.metadata == "zone=b".as_bytes());
    until(&mut events, "the new metadata", updated);
    assert_eq!(one.member("two").unwrap().unwrap().metadata, "zone=b".as_bytes());
    let error = two.update_metadata(vec![0; 513]).unwrap_err();
    assert_eq!(error.to_string(), "the metadata has 513 bytes: use at most 512");
}

/// Kills `two`, has it start again with `bind`, and gives what `one` saw of it.
fn restart(one: &Cluster, two: Cluster, bind: std::net::SocketAddr) -> Cluster {
    let mut events = one.subscribe().unwrap();
    two.shutdown();
    until(&mut events, "two has failed", |event| is_failed(event, "two"));
    let two = member("two").bind(bind).start().unwrap();
    two.join([one.address()]).wait().unwrap();
    let (event, _) = until(&mut events, "two is back", |event| is_joined(event, "two"));
    assert_eq!(event.member().unwrap().address, two.address());
    two
}

#[test]
fn a_restarted_member_is_back_on_the_same_port_and_on_another() {
    let one = start("one");
    let two = joined("two", &one);
    let address = two.address();
    let two = restart(&one, two, address);
    assert_eq!(two.address(), address);
    let two = restart(&one, two, ([127, 0, 0, 1], 0).into());
    // Nothing of its past is held against it.
    two.send_event("hello", "").unwrap();
    assert_eq!(one.member("two").unwrap().unwrap().state, State::Alive);
}

#[test]
fn a_member_that_restarts_before_it_is_missed_has_restarted() {
    let one = start("one");
    let two = joined("two", &one);
    let mut events = one.subscribe().unwrap();
    two.shutdown();
    let two = joined("two", &one);
    let restarted = |event: &ClusterEvent| {
        (matches!(event, ClusterEvent::Restarted(_)) || is_joined(event, "two"))
            && event.member().is_some_and(|member| member.address == two.address())
    };
    until(&mut events, "two has restarted", restarted);
    assert_eq!(one.len().unwrap(), 2);
}

#[test]
fn two_processes_with_one_name_are_told() {
    for wire in [WireOptions::Native, WireOptions::Memberlist(MemberlistOptions::default())] {
        both_twins_are_told(&wire);
    }
}

/// On memberlist's wire everyone keeps to the first, and nobody passes on what the second says.
fn both_twins_are_told(wire: &WireOptions) {
    let start = |name: &str| member(name).wire(wire.clone()).start().unwrap();
    let one = start("one");
    let twins = [start("twin"), start("twin")];
    let (tell, told) = mpsc::channel();
    for twin in &twins {
        let (events, tell, own) = (twin.subscribe().unwrap(), tell.clone(), twin.address());
        std::thread::spawn(move || {
            for event in events {
                if let ClusterEvent::NameConflict { address } = event {
                    let _ = tell.send((own, address));
                }
            }
        });
    }
    for twin in &twins {
        twin.join([one.address()]).wait().unwrap();
    }
    let mut expected =
        vec![(twins[0].address(), twins[1].address()), (twins[1].address(), twins[0].address())];
    while !expected.is_empty() {
        let conflict = told.recv_timeout(PATIENCE).expect("both are told of the other");
        expected.retain(|wanted| *wanted != conflict);
    }
}

/// Whoever announces an address where nobody is hears for ever that it is suspected. It is told why.
#[test]
fn a_member_that_others_cannot_reach_is_told() {
    let fast = |options: &mut swimring::ClusterOptions| {
        options.protocol.probe_interval = Duration::from_millis(100);
        options.protocol.probe_timeout = Duration::from_millis(40);
        options.protocol.gossip_interval = Duration::from_millis(20);
    };
    // Bound, so that nobody else gets it, and deaf.
    let nobody = start("nobody").address();
    let deaf = std::net::SocketAddr::new([127, 0, 0, 77].into(), nobody.port());
    let seeds = ["one", "two", "three"].map(|name| member(name).options(fast).start().unwrap());
    seeds[1].join([seeds[0].address()]).wait().unwrap();
    seeds[2].join([seeds[0].address()]).wait().unwrap();
    let hidden = member("hidden").options(fast).advertise(deaf).start().unwrap();
    let mut events = hidden.subscribe().unwrap();
    hidden.join([seeds[0].address()]).wait().unwrap();
    let told = |event: &ClusterEvent| *event == ClusterEvent::Unreachable { address: deaf };
    until(&mut events, "it is told that nobody reaches it", told);
}

#[test]
fn a_member_bound_to_every_address_is_reached_where_it_says() {
    let anywhere = member("one").bind(([0, 0, 0, 0], 0)).advertise(([127, 0, 0, 1], 0));
    let one = anywhere.start().unwrap();
    assert_eq!(one.address(), ([127, 0, 0, 1], one.bound_address().port()).into());
    let two = joined("two", &one);
    assert_eq!(two.member("one").unwrap().unwrap().address, one.address());
    // The other way round: what is sent to the advertised address arrives.
    let mut events = one.subscribe().unwrap();
    two.send_event("hello", "").unwrap();
    until(&mut events, "the event", |event| matches!(event, ClusterEvent::User(_)));
}
