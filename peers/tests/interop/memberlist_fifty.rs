//! Fifty of Go's members and fifty of Swimring's in one pool.
#![allow(clippy::disallowed_methods, reason = "real peers take real time")]

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::mixed::{Crowd, Fact, now_us, seconds};
use swimring::{MemberlistOptions, Settings};
use swimring_peers::memberlist::{MemberlistOptions as GoOptions, Message};

/// Of Swimring's members, which share a socket that binds every address of the machine.
const PORT: u16 = 7951;

/// Go's members, joining fifty at once, miss a few of each other's joins, which only a push/pull mends: at a hundred
/// members that comes every three intervals, 90 s by default.
const PUSH_PULL_INTERVAL: Duration = Duration::from_secs(3);

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_fifty_and_fifty() {
    let began = now_us();
    let go = GoOptions {
        first_address: Ipv4Addr::new(127, 32, 0, 1),
        members: 50,
        push_pull_interval: Some(PUSH_PULL_INTERVAL),
        ..GoOptions::default()
    };
    let settings = Settings { push_pull_interval: PUSH_PULL_INTERVAL, ..Settings::default() };
    let mut crowd = Crowd::start(go, PORT, &settings, &MemberlistOptions::default());
    let joined = now_us();
    crowd.agree(Duration::from_secs(30));
    let agreed = now_us();

    let sent = crowd.ours.send_event(7, b"by us");
    let heard_by_go = crowd.heard_by_go(b"by us", None);
    let heard_by_us = crowd.ours.learned_by_all(&Fact::Heard(b"by us".to_vec()), Some(7));
    let our_event = seconds(sent, heard_by_go.max(heard_by_us));
    let payload = b"by go".to_vec();
    let sent =
        crowd.go.event(9, Message::Event { origin: 3, sequence: 1, name: "news".into(), payload }).unwrap();
    let heard_by_go = crowd.heard_by_go(b"by go", Some(9));
    let heard_by_us = crowd.ours.learned_by_all(&Fact::Heard(b"by go".to_vec()), None);
    let go_event = seconds(sent, heard_by_go.max(heard_by_us));

    let killed = now_us();
    for (go, ours) in [(48, 48), (49, 49)] {
        crowd.kill_go(go);
        crowd.kill_ours(ours);
    }
    let known = ["go-48", "go-49", "swim-48", "swim-49"].map(|name| seconds(killed, crowd.death_known(name)));
    crowd.agree(Duration::from_secs(30));
    crowd.assert_no_false_death();
    println!(
        "50 + 50, LAN: joined after {}, agreed {} later; events at everybody after {our_event} (ours) and {go_event} \
         (Go's); deaths of go-48, go-49, swim-48, swim-49 known to all after {}; {}",
        seconds(began, joined),
        seconds(joined, agreed),
        known.join(", "),
        crowd.trouble()
    );
}
