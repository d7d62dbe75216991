//! The harness against the Go programs alone: what the mixed tests rely on.
//!
//! Each test has addresses of its own, so that they can run side by side.

use std::net::Ipv4Addr;
use std::time::Duration;

use swimring_peers::memberlist::{MemberlistOptions, MemberlistPeer, Message, PeerEvent};

const TIMEOUT: Duration = Duration::from_secs(60);

fn options(block: u8, members: usize) -> MemberlistOptions {
    MemberlistOptions { first_address: Ipv4Addr::new(127, 20, block, 1), members, ..Default::default() }
        .quick()
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_events_metadata_and_leaves_are_seen_by_all() {
    let mut peer = MemberlistPeer::start(options(1, 3)).unwrap();
    peer.wait_for_count(3, TIMEOUT).unwrap();

    let event =
        Message::Event { origin: u64::MAX, sequence: 7, name: "deploy".into(), payload: vec![0xff, 1] };
    peer.event(1, event).unwrap();
    for at in [0, 2] {
        let got = |event: &PeerEvent| matches!(event, PeerEvent::User(message) if message.at == at);
        let PeerEvent::User(message) = peer.wait_for_event(0, TIMEOUT, "the event", got).unwrap() else {
            unreachable!("only user messages were waited for");
        };
        assert_eq!((message.origin, message.sequence), (Some(u64::MAX), Some(7)));
        assert_eq!((message.name.as_deref(), message.payload_hex.as_deref()), (Some("deploy"), Some("ff01")));
    }
    assert_eq!(peer.heard(&[0xff, 1]).unwrap().len(), 2);

    peer.set_meta(2, "role=web").unwrap();
    let changed = |event: &PeerEvent| matches!(event, PeerEvent::Update(change) if change.at == 0 && change.meta == "role=web");
    peer.wait_for_event(0, TIMEOUT, "the new metadata", changed).unwrap();

    peer.leave(1).unwrap();
    peer.wait_for_count(2, TIMEOUT).unwrap();
    let gone = peer.members(0).unwrap().into_iter().find(|node| node.name == "go-1").unwrap();
    assert_eq!((gone.state.as_str(), gone.address.as_str()), ("left", "127.20.1.2:7946"));
}
