//! Members that speak memberlist's format among themselves, over real sockets.

use crate::cluster_support::*;
use swimring::{Cluster, ClusterEvent, MemberlistDialect, MemberlistOptions, WireOptions};

fn speaking(name: &str, options: &MemberlistOptions) -> Cluster {
    member(name).wire(WireOptions::Memberlist(options.clone())).start().unwrap()
}

fn is_event(event: &ClusterEvent, payload: &[u8]) -> bool {
    matches!(event, ClusterEvent::User(event) if event.payload == payload)
}

fn is_updated(event: &ClusterEvent, metadata: &[u8]) -> bool {
    matches!(event, ClusterEvent::Updated(member) if member.metadata == metadata)
}

/// Everything that members do to each other, in a pool with `options`.
fn live_together(options: &MemberlistOptions) {
    let [one, two, three] = ["one", "two", "three"].map(|name| speaking(name, options));
    let mut events = one.subscribe().unwrap();
    let mut heard_by_two = two.subscribe().unwrap();
    two.join([one.address()]).wait().unwrap();
    three.join([one.address()]).wait().unwrap();
    until(&mut heard_by_two, "two learns of three", |event| is_joined(event, "three"));
    until(&mut events, "one learns of three", |event| is_joined(event, "three"));
    three.send_event("deploy", "v7").unwrap();
    until(&mut events, "an event reaches one", |event| is_event(event, b"v7"));
    until(&mut heard_by_two, "an event reaches two", |event| is_event(event, b"v7"));
    two.update_metadata("zone=b").unwrap();
    until(&mut events, "one sees the metadata of two", |event| is_updated(event, b"zone=b"));
    two.leave(PATIENCE).wait().unwrap();
    until(&mut events, "one sees two leave", |event| is_left(event, "two"));
    three.shutdown();
    until(&mut events, "one sees three fail", |event| is_failed(event, "three"));
}

#[test]
fn plain() {
    live_together(&MemberlistOptions::default());
}

#[test]
fn labelled_encrypted_and_compressed() {
    live_together(&MemberlistOptions {
        label: "shop".to_owned(),
        secret_keys: vec![vec![7; 32].into()],
        enable_compression: true,
        ..MemberlistOptions::default()
    });
}

#[test]
fn as_serf_members() {
    live_together(&MemberlistOptions { dialect: MemberlistDialect::Serf, ..MemberlistOptions::serf() });
}

#[test]
fn keys_are_rotated_under_way() {
    let (old, new) = (vec![1; 16], vec![2; 32]);
    let options = MemberlistOptions { secret_keys: vec![old.clone().into()], ..MemberlistOptions::default() };
    let (one, two) = (speaking("one", &options), speaking("two", &options));
    two.join([one.address()]).wait().unwrap();
    let mut events = one.subscribe().unwrap();
    for cluster in [&one, &two] {
        cluster.install_key(&new).unwrap();
    }
    assert_eq!(one.remove_key(&old).unwrap_err().to_string().lines().count(), 1, "the key in use stays");
    for cluster in [&one, &two] {
        cluster.use_key(&new).unwrap();
        cluster.remove_key(&old).unwrap();
    }
    two.send_event("", "with the new key").unwrap();
    until(&mut events, "an event under the new key", |event| is_event(event, b"with the new key"));
    let late = speaking("late", &options);
    let refused = late.join([one.address()]).wait().unwrap_err().to_string();
    assert!(refused.contains("key"), "{refused}");
}

/// What a member says whom a pool does not suit.
fn refusal(pool: &MemberlistOptions, ours: &MemberlistOptions) -> String {
    let (one, two) = (speaking("one", pool), speaking("two", ours));
    two.join([one.address()]).wait().unwrap_err().to_string()
}

#[test]
fn a_pool_that_refuses_us_is_explained() {
    let plain = MemberlistOptions::default();
    let labelled = MemberlistOptions { label: "shop".to_owned(), ..plain.clone() };
    let encrypted = MemberlistOptions { secret_keys: vec![vec![1; 16].into()], ..plain.clone() };
    let text = refusal(&MemberlistOptions::serf(), &plain);
    assert!(text.contains("Serf"), "{text}");
    let text = refusal(&labelled, &plain);
    assert!(text.contains("label"), "{text}");
    let text = refusal(&encrypted, &plain);
    assert!(text.contains("key"), "{text}");
}

/// A member of a Serf pool first says that it means to leave. News about itself that is on its way at that
/// moment must not be taken for the goodbye, which comes only then.
#[test]
fn a_serf_member_that_leaves_right_after_a_change_of_metadata_says_goodbye() {
    let options = MemberlistOptions::serf();
    // Many copies, so that the change is still being told when the member leaves.
    let patient = |name: &str| {
        let wire = WireOptions::Memberlist(options.clone());
        member(name).tune(|protocol| protocol.retransmit_multiplier = 16).wire(wire).start().unwrap()
    };
    let [one, two, three] = ["one", "two", "three"].map(patient);
    let mut events = one.subscribe().unwrap();
    let mut heard_by_three = three.subscribe().unwrap();
    two.join([one.address()]).wait().unwrap();
    three.join([one.address()]).wait().unwrap();
    until(&mut heard_by_three, "three learns of two", |event| is_joined(event, "two"));
    two.update_metadata("zone=b").unwrap();
    until(&mut events, "one sees the metadata of two", |event| is_updated(event, b"zone=b"));
    two.leave(PATIENCE).wait().unwrap();
    for events in [&mut events, &mut heard_by_three] {
        let (_, before) = until(events, "two has left", |event| is_left(event, "two"));
        assert!(!before.iter().any(|event| is_failed(event, "two")), "{before:?}");
    }
}
