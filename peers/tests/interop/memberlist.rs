//! Go's memberlist and Swimring in one pool of six: everything that members do to each other, over every way in
//! which packets and streams may be wrapped.
#![allow(clippy::disallowed_methods, reason = "real peers take real time")]

use crate::mixed;

use std::net::Ipv4Addr;

use crate::mixed::{Mixed, Variant, eventually, is_user, now_us, seconds};
use swimring::ClusterEvent;
use swimring_peers::memberlist::{Message, PeerEvent};

fn is_failed(event: &ClusterEvent, name: &str) -> bool {
    matches!(event, ClusterEvent::Failed { member, .. } if &*member.name == name)
}

fn is_left(event: &ClusterEvent, name: &str) -> bool {
    matches!(event, ClusterEvent::Left(member) if &*member.name == name)
}

fn is_joined(event: &ClusterEvent, name: &str, metadata: &str) -> bool {
    matches!(event, ClusterEvent::Joined(member) if &*member.name == name && member.metadata == metadata.as_bytes())
}

/// A Swimring event as it travels in a user message.
fn framed(origin: u64, sequence: u32, name: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = b"SWR\x01".to_vec();
    body.extend_from_slice(&origin.to_le_bytes());
    body.extend_from_slice(&sequence.to_le_bytes());
    body.push(name.len() as u8);
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(payload);
    body
}

/// Waits until each of ours that lives has heard a message once, and not more.
fn heard_once_by_ours(mixed: &Mixed, name: &str, payload: &[u8]) {
    for swimmer in mixed.our_living() {
        eventually("an event to arrive", || match swimmer.heard(name, payload) {
            0 => Err(format!("{} has not heard {name:?}", swimmer.name())),
            1 => Ok(()),
            more => panic!("{} heard {name:?} {more} times", swimmer.name()),
        });
    }
}

/// Metadata changes on either side and is seen on both.
fn metadata_crosses(mixed: &mut Mixed) {
    mixed.go.set_meta(1, "changed=go").unwrap();
    mixed.expected.get_mut("go-1").unwrap().1 = "changed=go".into();
    mixed.ours[1].cluster.update_metadata("changed=swimring").unwrap();
    mixed.expected.get_mut("swim-1").unwrap().1 = "changed=swimring".into();
    mixed.agree();
}

/// User messages of every kind. Gives how long a broadcast of ours took to reach the last of Go's members.
fn messages_cross(mixed: &mut Mixed) -> String {
    let sent = now_us();
    mixed.ours[0].cluster.send_event("deploy", "by us").unwrap();
    let heard = mixed.heard_by_go(b"by us", None);
    let named = |event: &PeerEvent| matches!(event, PeerEvent::User(message) if message.name.as_deref() == Some("deploy") && message.payload == "by us");
    assert!(mixed.go.events_since(0).iter().any(named));
    mixed.ours[1].wait(sent, "our event", |event| is_user(event, "deploy", b"by us"));

    // A Swimring event from a Go member that lets everyone know.
    let event = Message::Event { origin: 77, sequence: 1, name: "deploy".into(), payload: b"by go".to_vec() };
    mixed.go.event(1, event).unwrap();
    heard_once_by_ours(mixed, "deploy", b"by go");

    // The same to one of ours only, which tells it on to everybody.
    let one = Mixed::our_name(2);
    mixed.go.send(0, &one, &framed(77, 2, "deploy", b"told on"), false).unwrap();
    mixed.heard_by_go(b"told on", None);
    heard_once_by_ours(mixed, "deploy", b"told on");

    // What is not Swimring's is the application's: delivered as it is, once, and not told on.
    mixed.go.event(2, "raw").unwrap();
    mixed.heard_by_go(b"raw", Some(2));
    heard_once_by_ours(mixed, "", b"raw");
    for (text, reliable) in [("by datagram", false), ("by stream", true)] {
        mixed.go.send(0, &one, text.as_bytes(), reliable).unwrap();
        mixed.ours[2].wait(0, text, |event| is_user(event, "", text.as_bytes()));
        assert_eq!(mixed.ours[0].heard("", text.as_bytes()), 0, "{text} was told on");
        assert!(mixed.go.heard(text.as_bytes()).unwrap().is_empty(), "{text} was told on");
    }

    // And ours to one of theirs alone, in a packet and over a stream, which may carry more than a packet.
    let one = &mixed.ours[0].cluster;
    one.send("go-1", "ours by datagram").unwrap();
    let reliable = ["ours by stream".to_owned(), "l".repeat(20_000), "ours, last".to_owned()];
    let mut on_their_way = reliable.each_ref().map(|text| one.send_reliable("go-1", text.clone()).unwrap());
    on_their_way.iter_mut().for_each(|sent| sent.wait(mixed::PATIENCE).unwrap());
    for text in reliable.iter().map(String::as_str).chain(["ours by datagram"]) {
        eventually("go-1 to hear what it is told", || {
            let heard = mixed.go.heard(text.as_bytes()).unwrap();
            heard
                .iter()
                .any(|heard| heard.at == 1)
                .then_some(())
                .ok_or_else(|| format!("not {} bytes", text.len()))
        });
    }
    seconds(sent, heard)
}

/// One of each side leaves and comes back under its name.
fn leaves_cross(mixed: &mut Mixed) {
    let since = now_us();
    mixed.go.leave(2).unwrap();
    mixed.gone("go-2", false);
    for swimmer in mixed.our_living() {
        swimmer.wait(since, "go-2 leaving", |event| is_left(event, "go-2"));
    }
    mixed.ours[2].cluster.leave(mixed::PATIENCE).wait().unwrap();
    mixed.gone("swim-2", false);
    mixed.go_learned("swim-2", "left", since);
    mixed.agree();
    come_back(mixed, "after a leave");
}

/// The third of each side comes back under its name.
fn come_back(mixed: &mut Mixed, metadata: &str) {
    let since = now_us();
    mixed.ours[2].cluster.shutdown();
    mixed.restart_ours(2, metadata);
    mixed.go.restart(2).unwrap();
    let address = mixed.go.address(2).to_string();
    mixed.expected.insert("go-2".into(), (address, "from=go".into()));
    mixed.agree();
    mixed.ours[0].wait(since, "swim-2 coming back", |event| is_joined(event, "swim-2", metadata));
    mixed.ours[0].wait(since, "go-2 coming back", |event| is_joined(event, "go-2", "from=go"));
}

/// One of each side is killed, and comes back. Gives how long it took to be known.
fn kills_cross(mixed: &mut Mixed) -> [String; 2] {
    let killed = mixed.go.kill(2).unwrap();
    mixed.gone("go-2", true);
    let learned =
        mixed.our_living().map(|swimmer| swimmer.wait(killed, "a death", |event| is_failed(event, "go-2")));
    let of_go = seconds(killed, learned.max().unwrap());
    mixed.agree();

    let killed = now_us();
    mixed.ours[2].cluster.shutdown();
    mixed.gone("swim-2", true);
    let learned = mixed.go_learned("swim-2", "dead", killed);
    // A member that comes back before all have given up on it only refutes.
    for swimmer in mixed.our_living() {
        swimmer.wait(killed, "a death", |event| is_failed(event, "swim-2"));
    }
    mixed.agree();
    come_back(mixed, "after a death");
    [of_go, seconds(killed, learned)]
}

/// The whole life of a pool of three and three.
fn live_together(block: u8, what: &str, variant: Variant) {
    let began = now_us();
    let mut mixed = Mixed::start(Ipv4Addr::new(127, 30, block, 1), 3, variant);
    mixed.agree();
    let agreed = seconds(began, now_us());
    metadata_crosses(&mut mixed);
    let spread = messages_cross(&mut mixed);
    leaves_cross(&mut mixed);
    let [go, ours] = kills_cross(&mut mixed);
    mixed.assert_no_false_death();
    println!(
        "3 + 3, {what}: started and agreed in {agreed}; our event at all of Go's after {spread}; kill of go-2 known \
         to all of ours after {go}, of swim-2 to all of Go's after {ours}; metadata, leaves, returns both ways"
    );
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_plain() {
    live_together(1, "plain", Variant::default());
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_label() {
    live_together(2, "label", Variant { label: "blue", ..Variant::default() });
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_compression() {
    live_together(3, "compression", Variant { compression: true, ..Variant::default() });
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_encryption() {
    live_together(4, "encryption", Variant { encrypted: true, ..Variant::default() });
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_label_encryption_and_compression() {
    live_together(
        5,
        "label, encryption, compression",
        Variant { label: "blue", encrypted: true, compression: true },
    );
}
