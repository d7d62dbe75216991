//! Handles, subscribers and errors: what an application can rely on.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc::TryRecvError;

use crate::cluster_support::*;
use futures_core::Stream;
use swimring::{Cluster, ClusterError, ClusterEvent, Events, KeyError};

#[test]
fn handles_are_shared_between_threads_and_futures_too() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    fn sent<T: Send + 'static>() {}
    shared::<Cluster>();
    shared::<swimring::Canceller>();
    sent::<Events>();
    sent::<swimring::Join>();
    sent::<swimring::Leave>();
    sent::<ClusterError>();
}

#[test]
fn what_blocks_can_be_awaited_too_and_says_the_same() {
    fn sent<T: Send>(future: T) -> T {
        future
    }
    let one = start("one");
    let two = joined("two", &one);
    let awaited = two.as_async();
    block_on(async {
        assert_eq!(sent(awaited.members()).await.unwrap(), two.members().unwrap());
        assert_eq!(awaited.departed().await.unwrap(), []);
        assert_eq!(awaited.member("one").await.unwrap(), two.member("one").unwrap());
        assert_eq!(awaited.local().await.unwrap(), two.local().unwrap());
        assert_eq!(awaited.len().await.unwrap(), 2);
        assert_eq!(awaited.local_health().await.unwrap(), 0);
        let (members, mut events) = awaited.watch().await.unwrap();
        assert_eq!(names(&members), ["one", "two"]);
        awaited.update_metadata("zone=b").await.unwrap();
        let updated = next(&mut events).await.unwrap();
        assert!(matches!(&updated, ClusterEvent::Updated(member) if &*member.name == "two"), "{updated:?}");
        let mut heard = one.as_async().subscribe().await.unwrap();
        sent(awaited.send_event("deploy", "v2")).await.unwrap();
        while !matches!(next(&mut heard).await.unwrap(), ClusterEvent::User(_)) {}
        let refused = awaited.send_event("x", vec![0; 512]).await.unwrap_err();
        assert!(matches!(refused, ClusterError::Refused(_)), "{refused}");
        let refused = awaited.install_key(&[7; 16]).await.unwrap_err();
        assert!(matches!(refused, ClusterError::Key(KeyError::NotEncrypted)), "{refused}");
        awaited.leave(PATIENCE).await.unwrap();
        assert!(matches!(awaited.send_event("x", "").await, Err(ClusterError::Left)));
        awaited.shutdown().await;
        assert!(matches!(awaited.members().await, Err(ClusterError::Stopped)));
        assert_eq!(awaited.join(["127.0.0.1"]).await, Err(swimring::JoinError::Stopped));
        member("other").bind(two.address()).start().unwrap();
        awaited.shutdown().await;
    });
}

#[test]
fn user_events_reach_everyone_else_once() {
    let one = start("one");
    let two = joined("two", &one);
    let (mut heard, mut own) = (one.subscribe().unwrap(), two.subscribe().unwrap());
    two.send_event("deploy", "v2").unwrap();
    two.send_event("deploy", b"v3").unwrap();
    let mut payloads = Vec::new();
    while payloads.len() < 2 {
        let (event, _) = until(&mut heard, "an event", |event| matches!(event, ClusterEvent::User(_)));
        let ClusterEvent::User(event) = event else { unreachable!("that is what was waited for") };
        assert_eq!((&*event.name, event.origin.as_deref()), ("deploy", Some("two")));
        payloads.push(event.payload.to_vec());
    }
    payloads.sort();
    assert_eq!(payloads, [b"v2", b"v3"]);
    // Not to oneself.
    one.send_event("answer", "").unwrap();
    let (event, _) = until(&mut own, "the answer", |event| matches!(event, ClusterEvent::User(_)));
    assert!(matches!(event, ClusterEvent::User(event) if &*event.name == "answer"));
}

#[test]
fn what_does_not_fit_a_frame_is_refused() {
    let one = start("one");
    let error = one.send_event("x", vec![0; 512]).unwrap_err();
    assert_eq!(error.to_string(), "the event has 513 bytes, name and payload together: use at most 512");
    let error = one.send_event(&"x".repeat(256), "").unwrap_err();
    assert_eq!(error.to_string(), "the event's name has 256 bytes: use at most 255");
    one.send_event("x", vec![0; 511]).unwrap();
}

#[test]
fn a_slow_subscriber_loses_the_oldest_events_and_is_told() {
    const SENT: usize = 40;
    const BOUND: usize = 16;
    let one = member("one").events_queued_max(BOUND).start().unwrap();
    let two = joined("two", &one);
    let (mut slow, mut quick) = (one.subscribe().unwrap(), one.subscribe().unwrap());
    for number in 0..SENT {
        two.send_event("count", number.to_string()).unwrap();
        // One at a time, so that the quick subscriber is not slow either and the order is known.
        until(&mut quick, "each event", |event| payload(event) == Some(number));
    }
    assert_eq!(slow.recv(), Some(ClusterEvent::Lagged((SENT - BOUND) as u64)));
    let kept: Vec<_> = (0..BOUND).map(|_| payload(&slow.recv().unwrap())).collect();
    assert_eq!(kept, (SENT - BOUND..SENT).map(Some).collect::<Vec<_>>());
    assert_eq!(slow.try_recv(), Err(TryRecvError::Empty));
}

fn payload(event: &ClusterEvent) -> Option<usize> {
    match event {
        ClusterEvent::User(event) => std::str::from_utf8(&event.payload).ok()?.parse().ok(),
        _ => None,
    }
}

#[test]
fn a_watch_begins_where_the_members_end() {
    let one = start("one");
    let two = joined("two", &one);
    let (members, mut events) = one.watch().unwrap();
    assert_eq!(names(&members), ["one", "two"]);
    let _three = joined("three", &one);
    let (_, before) = until(&mut events, "three", |event| is_joined(event, "three"));
    assert!(!before.iter().any(|event| is_joined(event, "two")), "{before:?}");
    drop(two);
}

#[test]
fn there_is_a_bound_on_subscribers_and_dropped_ones_do_not_count() {
    let one = start("one");
    let mut subscribers = Vec::new();
    let refused = loop {
        match one.subscribe() {
            Ok(events) => subscribers.push(events),
            Err(error) => break error,
        }
    };
    // One is the member's own, for the log.
    assert_eq!(subscribers.len(), 63);
    assert!(matches!(refused, ClusterError::TooManySubscribers(64)), "{refused}");
    subscribers.pop();
    subscribers.push(one.subscribe().unwrap());
}

#[test]
fn after_a_shutdown_everything_says_so() {
    let one = start("one");
    let mut events = one.subscribe().unwrap();
    let clone = one.clone();
    one.shutdown();
    one.shutdown();
    assert!(matches!(clone.members(), Err(ClusterError::Stopped)));
    assert!(matches!(clone.departed(), Err(ClusterError::Stopped)));
    assert!(matches!(clone.member("one"), Err(ClusterError::Stopped)));
    assert!(matches!(clone.local(), Err(ClusterError::Stopped)));
    assert!(matches!(clone.len(), Err(ClusterError::Stopped)));
    assert!(matches!(clone.local_health(), Err(ClusterError::Stopped)));
    assert!(matches!(clone.subscribe(), Err(ClusterError::Stopped)));
    assert!(matches!(clone.watch(), Err(ClusterError::Stopped)));
    assert!(matches!(clone.send_event("x", ""), Err(ClusterError::Stopped)));
    assert!(matches!(clone.update_metadata("x"), Err(ClusterError::Stopped)));
    assert!(matches!(clone.leave(PATIENCE).wait(), Err(ClusterError::Stopped)));
    assert_eq!(clone.join(["127.0.0.1"]).wait(), Err(swimring::JoinError::Stopped));
    assert_eq!(events.recv(), None);
    assert_eq!(clone.name(), "one");
    let shown =
        format!("Cluster {{ name: \"one\", cluster: \"default\", address: {}, .. }}", clone.address());
    assert_eq!(format!("{clone:?}"), shown);
}

#[test]
fn the_last_handle_stops_the_member_and_frees_its_port() {
    let one = start("one");
    let address = one.address();
    let mut events = one.subscribe().unwrap();
    let clone = one.clone();
    drop(one);
    assert_eq!(clone.len().unwrap(), 1, "a clone keeps it running");
    let error = member("other").bind(address).start().unwrap_err();
    assert!(error.to_string().contains("the UDP port is in use"), "{error}");
    drop(clone);
    assert_eq!(events.recv(), None);
    member("other").bind(address).start().unwrap();
}

#[test]
fn settings_that_cannot_be_used_are_refused_on_one_line() {
    for (builder, start) in [
        (member(""), "the name is empty"),
        (member(&"n".repeat(129)), "the name has 129 bytes"),
        (member("a").metadata(vec![0; 513]), "the metadata has 513 bytes"),
        (member("a").retry_join(["b:c"]), "seeds has an entry that cannot be used: `b:c` is no seed"),
        (member("a").tune(|protocol| protocol.gossip_fanout = 0), "gossip_fanout has to be between"),
        (member("a").bind("localhost:7946"), "bind has to be an IP address and port like 127.0.0.1:7946"),
        (member("a").advertise("me"), "advertise has to be an IP address and port like"),
        (
            member("a").bind(([203, 0, 113, 1], 0)),
            "bind address 203.0.113.1:0: not an address of this machine",
        ),
    ] {
        let error = builder.start().unwrap_err().to_string();
        assert!(error.starts_with(start) && !error.contains('\n'), "{error}");
    }
    let error = member("a").file("/nonexistent/swimring.toml").unwrap_err().to_string();
    assert!(error.starts_with("settings file /nonexistent/swimring.toml: "), "{error}");
}

#[test]
fn everything_can_be_awaited_without_a_runtime() {
    let one = start("one");
    let two = start("two");
    let mut events = one.subscribe().unwrap();
    block_on(async {
        two.join([one.address()]).await.unwrap();
        assert!(is_joined(&next(&mut events).await.unwrap(), "two"));
        two.leave(PATIENCE).await.unwrap();
        assert!(is_left(&next(&mut events).await.unwrap(), "two"));
    });
    one.shutdown();
    assert_eq!(block_on(next(&mut events)), None);
}

#[test]
fn addresses_are_given_as_text_or_as_addresses_and_what_is_said_last_counts() {
    let one = member("one").bind("nonsense").bind(String::from("127.0.0.1:0")).start().unwrap();
    assert!(one.address().ip().is_loopback() && one.address().port() != 0);
    let elsewhere = member("two").bind(std::net::Ipv4Addr::LOCALHOST).bind("127.0.0.2:0");
    let two = elsewhere.advertise("127.0.0.2").start().unwrap();
    assert_eq!(two.address(), two.bound_address());
}

#[test]
fn events_are_iterated_by_value_and_by_reference() {
    let one = start("one");
    let mut events = one.subscribe().unwrap();
    let two = joined("two", &one);
    for event in &mut events {
        if is_joined(&event, "two") {
            break;
        }
    }
    two.send_event("last", "").unwrap();
    let mut heard = Vec::new();
    for event in events {
        heard.push(event);
        if matches!(heard.last(), Some(ClusterEvent::User(_))) {
            one.shutdown();
        }
    }
    let told = heard.iter().any(|event| matches!(event, ClusterEvent::User(event) if &*event.name == "last"));
    assert!(told, "the loop over the rest saw the event and ended with the cluster: {heard:?}");
}

async fn next(events: &mut Events) -> Option<ClusterEvent> {
    poll_fn(|cx| Pin::new(&mut *events).poll_next(cx)).await
}
