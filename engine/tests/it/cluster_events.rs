//! Events that are waited for: when they have been told, to whom not, and for how long that is waited for.

use std::time::Duration;

use crate::cluster_support::*;
use swimring::{
    Cluster, ClusterBuilder, ClusterError, ClusterEvent, Dissemination, Events, MemberlistOptions,
    WireOptions,
};

/// Members that tell by delegating.
fn delegating(name: &str) -> ClusterBuilder {
    member(name).tune(|protocol| protocol.dissemination = Dissemination::Delegated)
}

/// Three members that know each other, made by `build`.
fn three(build: impl Fn(&str) -> ClusterBuilder) -> [Cluster; 3] {
    let all = ["one", "two", "three"].map(|name| build(name).start().unwrap());
    let mut events = all[1].subscribe().unwrap();
    all[1].join([all[0].address()]).wait().unwrap();
    all[2].join([all[0].address()]).wait().unwrap();
    until(&mut events, "two hears of three", |event| is_joined(event, "three"));
    all
}

fn hears(events: &mut Events, name: &str) {
    let wanted = |event: &ClusterEvent| matches!(event, ClusterEvent::User(event) if &*event.name == name);
    until(events, name, wanted);
}

/// An event of `one` is told, and both others have it.
fn is_told_through(build: impl Fn(&str) -> ClusterBuilder) {
    let [one, two, three] = three(build);
    let mut heard = [&two, &three].map(|member| member.subscribe().unwrap());
    let outcome = one.send_event("deploy", "v2").unwrap().wait(PATIENCE).unwrap();
    assert!(outcome.is_complete(), "{outcome:?}");
    heard.iter_mut().for_each(|events| hears(events, "deploy"));
}

#[test]
fn an_event_is_told_once_it_is_acknowledged() {
    is_told_through(delegating);
}

#[test]
fn with_gossip_an_event_is_told_once_it_has_been_sent_often_enough() {
    is_told_through(|name| member(name).tune(|protocol| protocol.dissemination = Dissemination::Gossip));
}

#[test]
fn on_memberlists_wire_too_where_events_do_not_name_their_sender() {
    for options in [MemberlistOptions::default(), MemberlistOptions::serf()] {
        is_told_through(|name| member(name).wire(WireOptions::Memberlist(options.clone())));
    }
}

#[test]
fn alone_an_event_is_told_at_once() {
    for build in [member, delegating] {
        let one = build("one").start().unwrap();
        let outcome = one.send_event("deploy", "v2").unwrap().wait(Duration::ZERO).unwrap();
        assert!(outcome.is_complete(), "{outcome:?}");
    }
}

#[test]
fn an_event_to_members_that_are_gone_is_given_up() {
    // So rarely probed that nobody is missed meanwhile.
    let build = |name: &str| delegating(name).tune(|protocol| protocol.probe_interval = PATIENCE * 2);
    let [one, two, three] = three(build);
    two.shutdown();
    three.shutdown();
    let outcome = one.send_event("deploy", "v2").unwrap().wait(PATIENCE).unwrap();
    // Both are in one part, or each is in its own.
    assert!((1..=2).contains(&outcome.given_up), "{outcome:?}");
    assert!(!outcome.is_complete());
}

#[test]
fn who_leaves_gives_up_what_it_has_not_told() {
    let build = |name: &str| delegating(name).tune(|protocol| protocol.probe_interval = PATIENCE * 2);
    let [one, two, three] = three(build);
    two.shutdown();
    three.shutdown();
    let mut sent = one.send_event("deploy", "v2").unwrap();
    let left = one.leave(PATIENCE);
    assert!(sent.wait(PATIENCE).unwrap().given_up > 0);
    left.wait().unwrap();
}

#[test]
fn waiting_ends_and_can_begin_again() {
    let slow = |name: &str| {
        let gossiping = member(name).tune(|protocol| {
            protocol.dissemination = Dissemination::Gossip;
            protocol.gossip_interval = Duration::from_secs(60);
        });
        gossiping.start().unwrap()
    };
    let (one, two) = (slow("one"), slow("two"));
    let mut events = one.subscribe().unwrap();
    two.join([one.address()]).wait().unwrap();
    until(&mut events, "one knows two", |event| is_joined(event, "two"));
    let mut sent = one.send_event("deploy", "v2").unwrap();
    for _ in 0..2 {
        let error = sent.wait(Duration::from_millis(1)).unwrap_err();
        assert!(matches!(error, ClusterError::EventTimedOut(_)), "{error}");
    }
    one.shutdown();
    assert!(matches!(sent.wait(PATIENCE), Err(ClusterError::Stopped)));
}

#[test]
fn an_event_can_be_awaited_or_dropped() {
    let [one, two, _three] = three(delegating);
    let mut heard = two.subscribe().unwrap();
    block_on(async {
        let one = one.as_async();
        drop(one.send_event("first", "").await.unwrap());
        let outcome = one.send_event("second", "").await.unwrap().await.unwrap();
        assert!(outcome.is_complete(), "{outcome:?}");
    });
    // In either order.
    let mut missing = vec!["first", "second"];
    while !missing.is_empty() {
        let (event, _) = until(&mut heard, "both", |event| matches!(event, ClusterEvent::User(_)));
        missing.retain(|name| !matches!(&event, ClusterEvent::User(event) if &*event.name == *name));
    }
}
