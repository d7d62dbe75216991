//! Shared state of an embedded member, over real sockets.

#![allow(clippy::disallowed_methods, reason = "tests wait for what happens")]

use std::time::{Duration, Instant};

use swimring::{Cluster, ClusterError, StateError, StateEvent};

use crate::cluster_snapshot::Folder;

/// Longer than anything takes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

fn start(name: &str) -> Cluster {
    Cluster::builder(name).bind("127.0.0.1:0").start().expect("loopback")
}

fn joined(name: &str, seed: &Cluster) -> Cluster {
    let cluster = start(name);
    cluster.join([seed.address()]).wait().expect("the seed is up");
    cluster
}

fn value(cluster: &Cluster, member: &str, key: &str) -> Option<Vec<u8>> {
    cluster.state().get(member, key).expect("it runs").map(|entry| entry.value.to_vec())
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_change_reaches_the_other_member_and_those_who_watch() {
    let one = start("state-one");
    let two = joined("state-two", &one);
    let (seen, mut watch) = two.state().watch("load").expect("it runs");
    assert!(seen.is_empty());
    one.state().set("loaded", "yes").expect("small");
    one.state().set("other", "x").expect("small");
    one.state().set("load", vec![7; 60_000]).expect("below the bound");
    let event = watch.recv_timeout(PATIENCE).expect("it is told");
    assert!(
        matches!(&event, StateEvent::Set(entry) if &*entry.key == "loaded" && entry.member.as_deref() == Some("state-one")),
        "{event:?}"
    );
    let event = watch.recv_timeout(PATIENCE).expect("it is fetched");
    assert!(matches!(&event, StateEvent::Set(entry) if entry.value == vec![7; 60_000]), "{event:?}");
    assert!(one.state().delete("loaded").expect("it runs"));
    assert!(!one.state().delete("loaded").expect("it runs"));
    let event = watch.recv_timeout(PATIENCE).expect("it is told");
    assert!(matches!(&event, StateEvent::Deleted { key, .. } if &**key == "loaded"), "{event:?}");
    assert_eq!(value(&two, "state-one", "loaded"), None);
    assert_eq!(two.state().iter("").expect("it runs").count(), 2);
}

#[test]
fn keys_of_the_cluster_are_written_by_all() {
    let one = start("config-one");
    let two = joined("config-two", &one);
    one.state().set_for_cluster("limit", "1").expect("small");
    let limit = |cluster: &Cluster| {
        cluster.state().get_of_cluster("limit").expect("it runs").map(|entry| entry.value)
    };
    wait_until("the first value arrives", || limit(&two).is_some_and(|value| value == "1"));
    two.state().set_for_cluster("limit", "2").expect("small");
    wait_until("the second wins", || limit(&one).is_some_and(|value| value == "2"));
    assert!(one.state().delete_for_cluster("limit").expect("it runs"));
    wait_until("it is deleted", || limit(&two).is_none());
}

#[test]
fn who_joins_late_or_again_has_everything_when_its_join_is_done() {
    let one = start("kept-one");
    let two = joined("kept-two", &one);
    for nth in 0..40 {
        two.state().set(&format!("key/{nth}"), vec![nth as u8; 50_000]).expect("below the bound");
    }
    two.state().set_for_cluster("feature", "on").expect("small");
    wait_until("the first has it", || value(&one, "kept-two", "key/39").is_some());
    let late = joined("kept-late", &one);
    assert_eq!(late.state().iter("key/").expect("it runs").count(), 40);
    assert_eq!(late.state().get_of_cluster("feature").expect("it runs").expect("it is there").value, "on");

    late.state().set("mine", "old").expect("small");
    wait_until("all have it", || value(&two, "kept-late", "mine").is_some());
    late.shutdown();
    let again = joined("kept-late", &one);
    assert_eq!(again.state().iter("key/").expect("it runs").count(), 40);
    assert_eq!(value(&again, "kept-two", "key/39"), Some(vec![39; 50_000]));
    // A new life has nothing of the old one, anywhere.
    wait_until("the old life is gone", || {
        value(&one, "kept-late", "mine").is_none() && value(&two, "kept-late", "mine").is_none()
    });
    again.state().set("mine", "new").expect("small");
    wait_until("the new life is there", || value(&two, "kept-late", "mine") == Some(b"new".to_vec()));
}

#[test]
fn what_breaks_a_bound_is_refused_in_words() {
    let one = Cluster::builder("bounds")
        .bind("127.0.0.1:0")
        .tune(|settings| settings.state_member_bytes_max = 2_048)
        .start()
        .expect("loopback");
    let state = one.state();
    let refused = |error: ClusterError| match error {
        ClusterError::State(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(refused(state.set("", "x").expect_err("no key")), StateError::KeyEmpty);
    assert_eq!(refused(state.set(&"k".repeat(256), "x").expect_err("long")), StateError::KeyTooLong(256));
    assert_eq!(refused(state.set("k", vec![0; 65_537]).expect_err("long")), StateError::ValueTooLong(65_537));
    assert_eq!(refused(state.set("k", vec![0; 2_048]).expect_err("much")), StateError::TooMuch(2_049));
    let version = state.set("k", vec![0; 2_047]).expect("just fits");
    assert_eq!(
        refused(state.compare_and_set("k", None, "x").expect_err("it has a value")),
        StateError::Changed { version: Some(version) }
    );
    assert!(state.compare_and_set("k", Some(version), "x").expect("unchanged") > version);
    assert!(matches!(one.send_event("\0kv", b""), Err(ClusterError::Refused(_))), "reserved");
}

/// One without a snapshot begins a new life, in which it has nothing of its own, and one with a snapshot has what it had.
#[test]
fn a_restarted_member_has_ten_megabytes_of_others_with_its_join() {
    const VALUES: usize = 159;
    let folder = Folder::new("ten-megabytes");
    let one = start("large-one");
    let two = joined("large-two", &one);
    for nth in 0..VALUES {
        two.state().set(&format!("{nth:03}"), vec![nth as u8; 65_536]).expect("below the bound");
    }
    wait_until("the first has it", || value(&one, "large-two", "158").is_some());
    let begin = |keeps: bool| {
        let builder = Cluster::builder("large-again").bind("127.0.0.1:0");
        let builder = if keeps { builder.snapshot(folder.file()) } else { builder };
        builder.start().expect("loopback")
    };
    let own = |cluster: &Cluster| value(cluster, "large-again", "own");
    for keeps in [false, true] {
        let before = begin(keeps);
        before.join([one.address()]).wait().expect("the seed is up");
        before.state().set("own", "said before").expect("small");
        wait_until("all have it", || own(&one).is_some() && own(&two).is_some());
        before.shutdown();

        let again = begin(keeps);
        let begun = Instant::now();
        again.join([one.address()]).wait().expect("the seed is up");
        println!("10 MB with a join that took {:?}, with a snapshot: {keeps}", begun.elapsed());
        let all: Vec<_> = again.state().iter("").expect("it runs").collect();
        let of_two = all.iter().filter(|entry| entry.member.as_deref() == Some("large-two"));
        let right = of_two.enumerate().filter(|(nth, entry)| entry.value == vec![*nth as u8; 65_536]);
        assert_eq!((right.count(), all.len()), (VALUES, VALUES + usize::from(keeps)));
        let expected = keeps.then(|| b"said before".to_vec());
        assert_eq!(own(&again), expected);
        wait_until("the others have what it has", || own(&one) == expected && own(&two) == expected);
        again.shutdown();
    }
}
