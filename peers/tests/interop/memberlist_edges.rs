//! What happens at the edges of a mixed pool: both sides as they come, names that return elsewhere or twice,
//! encryption that is switched on under way, the largest metadata.
#![allow(clippy::disallowed_methods, reason = "real peers take real time")]

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use crate::mixed::{
    KEY, KEY_BASE64, Mixed, PATIENCE, Swimmer, Variant, eventually, is_user, now_us, quick, quick_go, seconds,
};
use serde_json::json;
use swimring::{ClusterEvent, MemberlistOptions, Settings};
use swimring_peers::memberlist::{MemberlistOptions as GoOptions, Message, PeerEvent};

/// An event from either side reaches everyone of the other.
fn messages_pass(mixed: &mut Mixed) {
    mixed.ours[0].cluster.send_event("edge", "by us").unwrap();
    mixed.heard_by_go(b"by us", None);
    let payload = b"by go".to_vec();
    mixed.go.event(0, Message::Event { origin: 5, sequence: 1, name: "edge".into(), payload }).unwrap();
    for swimmer in &mixed.ours {
        swimmer.wait(0, "Go's event", |event| is_user(event, "edge", b"by go"));
    }
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_as_both_come() {
    let began = now_us();
    let first_address = Ipv4Addr::new(127, 30, 21, 1);
    let go = GoOptions { first_address, members: 3, ..GoOptions::default() };
    // Go compresses, Swimring does not; both have the LAN's intervals.
    let mut mixed = Mixed::with(go, Settings::default(), MemberlistOptions::default(), 3);
    mixed.agree();
    let agreed = seconds(began, now_us());
    let killed = mixed.go.kill(2).unwrap();
    mixed.gone("go-2", true);
    let failed = |event: &ClusterEvent| matches!(event, ClusterEvent::Failed { member, .. } if &*member.name == "go-2");
    let learned = mixed.our_living().map(|swimmer| swimmer.wait(killed, "a death", failed)).max().unwrap();
    let of_go = seconds(killed, learned);
    let killed = now_us();
    mixed.ours[2].cluster.shutdown();
    mixed.gone("swim-2", true);
    let of_ours = seconds(killed, mixed.go_learned("swim-2", "dead", killed));
    mixed.assert_no_false_death();
    println!(
        "3 + 3, nothing set: agreed in {agreed}; kill of go-2 known to all of ours after {of_go}, of swim-2 to all of \
         Go's after {of_ours}"
    );
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_names_return_at_other_addresses() {
    const RECLAIM: Duration = Duration::from_secs(1);
    let first_address = Ipv4Addr::new(127, 30, 22, 1);
    let go = GoOptions {
        first_address,
        members: 3,
        dead_node_reclaim_time: Some(RECLAIM),
        ..GoOptions::default()
    };
    let wire = MemberlistOptions { dead_node_reclaim_time: RECLAIM, ..MemberlistOptions::default() };
    let mut mixed = Mixed::with(quick_go(go), quick(), wire.clone(), 3);
    mixed.agree();
    let port = mixed.go.options().port;
    for (round, leaving) in [true, false].into_iter().enumerate() {
        let since = now_us();
        if leaving {
            mixed.go.leave(2).unwrap();
            mixed.ours[2].cluster.leave(PATIENCE).wait().unwrap();
        } else {
            mixed.go.kill(2).unwrap();
        }
        mixed.ours[2].cluster.shutdown();
        mixed.gone("go-2", !leaving);
        mixed.gone("swim-2", !leaving);
        let state = if leaving { "left" } else { "dead" };
        mixed.go_learned("swim-2", state, since);
        mixed.go_learned("go-2", state, since);
        let gone = |event: &ClusterEvent, name: &str| match event {
            ClusterEvent::Left(member) => leaving && &*member.name == name,
            ClusterEvent::Failed { member, .. } => !leaving && &*member.name == name,
            _ => false,
        };
        for swimmer in mixed.our_living() {
            swimmer.wait(since, "a departure", |event| gone(event, "go-2"));
            swimmer.wait(since, "a departure", |event| gone(event, "swim-2"));
        }
        if !leaving {
            std::thread::sleep(RECLAIM);
        }
        let elsewhere = |base: u8| Ipv4Addr::new(127, 30, 22, base + round as u8);
        mixed.go.command(json!({"do": "restart", "of": 2, "address": elsewhere(51)})).unwrap();
        mixed.expected.insert("go-2".into(), (format!("{}:{port}", elsewhere(51)), String::new()));
        let address = SocketAddrV4::new(elsewhere(151), port);
        mixed.ours[2] = Swimmer::start("swim-2", address, b"moved", &quick(), &wire);
        mixed.ours[2].join(mixed.go.address(0));
        mixed.expected.insert("swim-2".into(), (address.to_string(), "moved".into()));
        mixed.agree();
    }
    mixed.assert_no_false_death();
    println!("3 + 3: names return at other addresses on both sides, after a leave and after a death");
}

/// Go's members never take a dead member back at another address here: that is memberlist's default.
#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_a_killed_member_returns_elsewhere_before_it_is_declared_dead() {
    let variant = Variant { encrypted: true, ..Variant::default() };
    let first_address = Ipv4Addr::new(127, 30, 24, 1);
    let go = GoOptions { first_address, members: 3, ..variant.go() };
    // Both have the LAN's intervals: a death is declared after some five seconds.
    let mut mixed = Mixed::with(go, Settings::default(), variant.ours(), 3);
    mixed.agree();
    let port = mixed.go.options().port;
    let killed = now_us();
    mixed.ours[2].cluster.shutdown();
    mixed.gone("swim-2", true);
    let address = SocketAddrV4::new(Ipv4Addr::new(127, 30, 24, 151), port);
    mixed.ours[2] = Swimmer::start("swim-2", address, b"moved", &Settings::default(), &variant.ours());
    mixed.ours[2].join(mixed.go.address(0));
    mixed.expected.insert("swim-2".into(), (address.to_string(), "moved".into()));
    mixed.agree();
    let back = now_us();
    mixed.assert_no_false_death();
    println!(
        "3 + 3, encrypted: swim-2, killed, is known to all at its new address after {}",
        seconds(killed, back)
    );
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_a_name_that_is_taken_stays_with_its_owner() {
    let mut mixed = Mixed::start(Ipv4Addr::new(127, 30, 23, 1), 2, Variant::default());
    mixed.agree();
    let address = SocketAddrV4::new(Ipv4Addr::new(127, 30, 23, 201), mixed.go.options().port);
    let impostor = Swimmer::start("go-1", address, b"", &quick(), &MemberlistOptions::default());
    let _ = impostor.cluster.join_within([SocketAddr::V4(mixed.go.address(0))], PATIENCE).wait();
    let theirs = |event: &PeerEvent| matches!(event, PeerEvent::Conflict { node, .. } if node == "go-1");
    mixed.go.wait_for_event(0, PATIENCE, "a conflict", theirs).unwrap();
    impostor.wait(0, "a conflict", |event| matches!(event, ClusterEvent::NameConflict { .. }));
    impostor.cluster.shutdown();
    mixed.agree();
    mixed.assert_no_false_death();
    println!("2 + 2: a second go-1 is reported as a conflict by Go and by itself; the first one stays");
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_encryption_is_switched_on_under_way() {
    let with_key =
        MemberlistOptions { secret_keys: vec![KEY.to_vec().into()], ..MemberlistOptions::default() };
    let reading = MemberlistOptions {
        gossip_verify_incoming: false,
        gossip_verify_outgoing: false,
        ..with_key.clone()
    };
    let writing = MemberlistOptions { gossip_verify_incoming: false, ..with_key.clone() };
    let plain = MemberlistOptions::default();
    let go = |verify_outgoing: bool, keys: bool| GoOptions {
        keys: if keys { vec![KEY_BASE64.into()] } else { Vec::new() },
        verify_incoming: false,
        verify_outgoing,
        members: 2,
        ..GoOptions::default()
    };
    // memberlist's order: everyone can read it, then everyone writes it, then nobody accepts anything else.
    for (block, (what, go, ours)) in [
        ("Go reads it, Swimring has no key", go(false, true), plain.clone()),
        ("Go has no key, Swimring reads it", go(false, false), reading.clone()),
        ("Go writes it, Swimring reads it", go(true, true), reading),
        ("Go reads it, Swimring writes it", go(false, true), writing.clone()),
        ("both write it", go(true, true), writing),
        ("both write it, Swimring insists", go(true, true), with_key),
    ]
    .into_iter()
    .enumerate()
    {
        let first_address = Ipv4Addr::new(127, 30, 30 + block as u8, 1);
        let mut mixed = Mixed::with(quick_go(GoOptions { first_address, ..go }), quick(), ours, 2);
        mixed.agree();
        messages_pass(&mut mixed);
        mixed.assert_no_false_death();
        println!("2 + 2, encryption switched on: {what}: agree, events pass");
    }
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_largest_metadata() {
    let variant = Variant { label: "blue", encrypted: true, compression: false };
    let mut mixed = Mixed::start(Ipv4Addr::new(127, 30, 25, 1), 2, variant);
    mixed.agree();
    let (by_go, by_us) = ("g".repeat(512), "s".repeat(512));
    mixed.go.set_meta(1, &by_go).unwrap();
    mixed.expected.get_mut("go-1").unwrap().1 = by_go;
    mixed.ours[1].cluster.update_metadata(by_us.as_str()).unwrap();
    mixed.expected.get_mut("swim-1").unwrap().1 = by_us;
    mixed.agree();
    // An event of the largest size finds its way beside them.
    let payload = "e".repeat(500);
    mixed.ours[0].cluster.send_event("edge", &payload).unwrap();
    mixed.heard_by_go(payload.as_bytes(), None);
    eventually("our other member to hear", || {
        if mixed.ours[1].heard("edge", payload.as_bytes()) == 1 { Ok(()) } else { Err("silence".into()) }
    });
    mixed.assert_no_false_death();
    println!("2 + 2: metadata of 512 bytes both ways, and an event of 504 bytes");
}
