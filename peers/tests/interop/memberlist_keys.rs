//! Who may be in a pool of Go's and Swimring's members: keys that change under way, and strangers who are refused.
#![allow(clippy::disallowed_methods, reason = "real peers take real time")]

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::mixed::{
    KEY, KEY_BASE64, Mixed, OTHER_KEY, OTHER_KEY_BASE64, PATIENCE, Swimmer, Variant, eventually, quick,
    quick_go,
};
use swimring::MemberlistOptions;
use swimring_peers::memberlist::{MemberlistOptions as GoOptions, MemberlistPeer, Message};

/// An event from either side reaches everyone of the other.
fn messages_pass(mixed: &mut Mixed, stage: &str) {
    let (from_us, from_go) = (format!("us, {stage}"), format!("go, {stage}"));
    mixed.ours[0].cluster.send_event("stage", &from_us).unwrap();
    mixed.heard_by_go(from_us.as_bytes(), None);
    let payload = from_go.as_bytes().to_vec();
    let sequence = stage.len() as u32;
    mixed.go.event(0, Message::Event { origin: 5, sequence, name: "stage".into(), payload }).unwrap();
    for swimmer in &mixed.ours {
        eventually(&format!("{} to hear while {stage}", swimmer.name()), || {
            let heard = swimmer.heard("stage", from_go.as_bytes());
            if heard == 1 { Ok(()) } else { Err(format!("heard {heard} times")) }
        });
    }
}

/// What a member of ours at `address` is told that wants to join with these options.
fn refusal_of_ours(mixed: &Mixed, address: Ipv4Addr, wire: &MemberlistOptions) -> String {
    let address = SocketAddrV4::new(address, mixed.go.options().port);
    let stranger = Swimmer::start("stranger", address, b"", &quick(), wire);
    let seeds = [SocketAddr::V4(mixed.go.address(0))];
    stranger.cluster.join_within(seeds, PATIENCE).wait().unwrap_err().to_string()
}

/// What a Go member is told that wants to join through one of ours with these options.
fn refusal_of_go(mixed: &Mixed, first_address: Ipv4Addr, options: GoOptions) -> String {
    let join = vec![mixed.ours[0].cluster.address().to_string()];
    let stranger = GoOptions { first_address, name_prefix: "stranger".into(), join, members: 1, ..options };
    MemberlistPeer::start(quick_go(stranger)).unwrap_err().to_string()
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_through_a_key_rotation() {
    let variant = Variant { encrypted: true, ..Variant::default() };
    let mut mixed = Mixed::start(Ipv4Addr::new(127, 30, 11, 1), 3, variant);
    mixed.agree();
    messages_pass(&mut mixed, "under the old key");
    mixed.go.install_key(OTHER_KEY_BASE64).unwrap();
    for swimmer in &mixed.ours {
        swimmer.cluster.install_key(&OTHER_KEY).unwrap();
    }
    messages_pass(&mut mixed, "with both keys installed");
    mixed.go.use_key(OTHER_KEY_BASE64).unwrap();
    messages_pass(&mut mixed, "with the new key in use by Go alone");
    for swimmer in &mixed.ours {
        swimmer.cluster.use_key(&OTHER_KEY).unwrap();
    }
    messages_pass(&mut mixed, "with the new key in use by all");
    mixed.go.remove_key(KEY_BASE64).unwrap();
    for swimmer in &mixed.ours {
        swimmer.cluster.remove_key(&KEY).unwrap();
    }
    messages_pass(&mut mixed, "without the old key at all");
    mixed.agree();

    let late = MemberlistOptions { secret_keys: vec![KEY.to_vec().into()], ..MemberlistOptions::default() };
    let ours = refusal_of_ours(&mixed, Ipv4Addr::new(127, 30, 11, 201), &late);
    assert!(ours.contains("key"), "{ours}");
    let late = GoOptions { keys: vec![KEY_BASE64.into()], ..GoOptions::default() };
    let go = refusal_of_go(&mixed, Ipv4Addr::new(127, 30, 11, 211), late);
    assert!(go.contains("refused to join"), "{go}");
    // Whoever has the new key is welcome.
    let wire =
        MemberlistOptions { secret_keys: vec![OTHER_KEY.to_vec().into()], ..MemberlistOptions::default() };
    let address = SocketAddrV4::new(Ipv4Addr::new(127, 30, 11, 202), mixed.go.options().port);
    let friend = Swimmer::start("friend", address, b"", &quick(), &wire);
    friend.join(mixed.go.address(0));
    mixed.go.wait_for_count(7, PATIENCE).unwrap();
    mixed.assert_no_false_death();
    println!("3 + 3, key rotation: messages passed both ways in 5 stages; the old key is refused: {ours}");
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_mixed_strangers_are_refused_in_words() {
    let variant = Variant { label: "blue", encrypted: true, compression: false };
    let mut mixed = Mixed::start(Ipv4Addr::new(127, 30, 12, 1), 2, variant);
    mixed.agree();
    let fitting = variant.ours();
    let wrong_key = MemberlistOptions { secret_keys: vec![OTHER_KEY.to_vec().into()], ..fitting.clone() };
    let wrong_label = MemberlistOptions { label: "green".into(), ..fitting.clone() };
    let no_label = MemberlistOptions { label: String::new(), ..fitting.clone() };
    let no_key = MemberlistOptions { secret_keys: Vec::new(), ..fitting };
    for (index, (what, wire, word)) in [
        ("a wrong key", wrong_key, "key"),
        ("a wrong label", wrong_label, "label"),
        ("no label", no_label, "label"),
        ("no key", no_key, "key"),
    ]
    .into_iter()
    .enumerate()
    {
        let text = refusal_of_ours(&mixed, Ipv4Addr::new(127, 30, 12, 201 + index as u8), &wire);
        assert!(text.contains(word) && !text.contains('\n'), "{what}: {text}");
        println!("with {what} Swimring says: {text}");
    }
    let fitting = variant.go();
    for (index, options) in [
        GoOptions { keys: vec![OTHER_KEY_BASE64.into()], ..fitting.clone() },
        GoOptions { label: "green".into(), ..fitting.clone() },
        GoOptions { label: String::new(), ..fitting.clone() },
        GoOptions { keys: Vec::new(), ..fitting },
    ]
    .into_iter()
    .enumerate()
    {
        let text = refusal_of_go(&mixed, Ipv4Addr::new(127, 30, 12, 211 + index as u8), options);
        assert!(text.contains("refused to join"), "{text}");
    }
    mixed.agree();
    mixed.assert_no_false_death();
}
