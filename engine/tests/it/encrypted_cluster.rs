//! Members that encrypt the native wire, over real sockets: whatever members do works, a key that is another keeps out and is
//! said to, and keys are changed while events are under way.

#![allow(clippy::disallowed_methods, reason = "tests wait for what happens")]

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::cluster_support::*;
use swimring::{
    Cluster, ClusterError, ClusterEvent, EncryptionCipher, EncryptionOptions, Events, MemberError,
    WireOptions,
};

const KEY: [u8; 32] = [7; 32];

fn encrypted(name: &str, options: EncryptionOptions) -> Cluster {
    member(name).wire(WireOptions::Encrypted(options)).start().unwrap()
}

fn keyed(name: &str) -> Cluster {
    encrypted(name, EncryptionOptions::with_key(KEY))
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn wait_for_views(clusters: &[Cluster]) {
    wait_until("everybody knows everybody", || {
        clusters.iter().all(|cluster| cluster.members().unwrap().len() == clusters.len())
    });
}

fn is_event(event: &ClusterEvent, payload: &[u8]) -> bool {
    matches!(event, ClusterEvent::User(event) if event.payload == payload)
}

/// Everything that members do to each other.
fn live_together(clusters: &[Cluster]) {
    let (one, two) = (&clusters[0], &clusters[1]);
    for cluster in &clusters[1..] {
        cluster.join([one.address()]).wait().unwrap();
    }
    wait_for_views(clusters);
    let mut heard: Vec<Events> = clusters.iter().map(|cluster| cluster.subscribe().unwrap()).collect();
    two.send_event("deploy", "v7").unwrap();
    for (events, cluster) in heard.iter_mut().zip(clusters) {
        if cluster.name() != two.name() {
            until(events, "the event", |event| is_event(event, b"v7"));
        }
    }

    // A datagram as long as one may be, and one that is longer.
    let longest = 1_316;
    one.send("two", vec![1; longest]).unwrap();
    until(
        &mut heard[1],
        "a datagram",
        |event| matches!(event, ClusterEvent::Message(message) if message.payload == vec![1; longest]),
    );
    assert!(matches!(
        one.send("two", vec![1; longest + 1]),
        Err(ClusterError::Refused(MemberError::MessageTooLarge { bytes: 1_317, fits: 1_316 }))
    ));
    let mut sent: Vec<_> = (0..40_u32)
        .map(|number| one.send_reliable("two", vec![number as u8; 1 + 2_000 * number as usize]).unwrap())
        .collect();
    sent.iter_mut().for_each(|sent| sent.wait(PATIENCE).unwrap());
    one.send_reliable("two", vec![9; 512 << 10]).unwrap().wait(PATIENCE).unwrap();

    // Shared state, small and by reference.
    two.state().set("small", "x").unwrap();
    two.state().set("large", vec![3; 60_000]).unwrap();
    let value = |cluster: &Cluster, key: &str| {
        cluster.state().get(two.name(), key).unwrap().map(|entry| entry.value.to_vec())
    };
    for cluster in clusters {
        wait_until("shared state is everywhere", || {
            value(cluster, "small").as_deref() == Some(b"x")
                && value(cluster, "large") == Some(vec![3; 60_000])
        });
    }

    // One leaves, another is killed.
    two.leave(PATIENCE).wait().unwrap();
    let (last, others) = clusters.split_last().unwrap();
    let killed = last.name();
    if clusters.len() > 2 {
        last.shutdown();
    }
    for (events, cluster) in heard.iter_mut().zip(others) {
        if cluster.name() == two.name() {
            continue;
        }
        until(events, "two has left", |event| is_left(event, "two"));
        if clusters.len() > 2 {
            until(events, "the last has failed", |event| is_failed(event, killed));
        }
    }
}

#[test]
fn two_members_live_together() {
    live_together(&["one", "two"].map(keyed));
}

#[test]
fn five_members_live_together() {
    live_together(&["one", "two", "three", "four", "five"].map(keyed));
}

/// Whose processors differ understand each other.
#[test]
fn either_cipher_is_understood() {
    let with =
        |name, cipher| encrypted(name, EncryptionOptions { cipher, ..EncryptionOptions::with_key([5; 16]) });
    live_together(&[
        with("one", EncryptionCipher::AesGcm),
        with("two", EncryptionCipher::ChaCha20Poly1305),
        with("three", EncryptionCipher::ChaCha20Poly1305),
        with("four", EncryptionCipher::AesGcm),
    ]);
}

#[test]
fn who_has_another_key_or_none_stays_out_and_is_told_why() {
    let (inside, outside) = (keyed("inside"), start("outside"));
    let stranger = encrypted("stranger", EncryptionOptions::with_key([8; 32]));
    let plain = start("plain");
    for (who, whom, words) in [
        (&stranger, &inside, "encrypted with a key that is not ours: give one of its keys (secret_keys)"),
        (&plain, &inside, "the cluster is encrypted: give one of its keys (secret_keys)"),
        (&stranger, &outside, "the cluster is not encrypted, and we have a key: leave out secret_keys"),
    ] {
        let error = who.join([whom.address()]).wait().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!((who.members().unwrap().len(), whom.members().unwrap().len()), (1, 1));
    }
}

#[test]
fn without_a_key_there_is_no_encryption() {
    let error = member("one").wire(WireOptions::Encrypted(EncryptionOptions::default())).start().unwrap_err();
    assert!(error.to_string().contains("secret_keys is empty"), "{error}");
    let short = EncryptionOptions::with_key([1; 15]);
    let error = member("one").wire(WireOptions::Encrypted(short)).start().unwrap_err();
    assert!(error.to_string().contains("15 bytes"), "{error}");
}

/// Sends an event every few milliseconds while `change` runs, and gives their payloads.
fn telling(clusters: &[Cluster], change: impl FnOnce()) -> Vec<Vec<u8>> {
    let done = std::sync::atomic::AtomicBool::new(false);
    let mut told = Vec::new();
    std::thread::scope(|scope| {
        let teller = scope.spawn(|| {
            let mut told = Vec::new();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let payload = format!("event {}", told.len()).into_bytes();
                clusters[told.len() % clusters.len()].send_event("tick", &payload).unwrap();
                told.push(payload);
                std::thread::sleep(Duration::from_millis(5));
            }
            told
        });
        change();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        told = teller.join().unwrap();
    });
    told
}

/// Everybody hears once all of `told` that others have told, and of nobody that has failed.
fn all_is_heard(heard: &mut [Events], told: &[Vec<u8>]) {
    let members = heard.len();
    for (own, events) in heard.iter_mut().enumerate() {
        let others = told.iter().enumerate().filter(|(number, _)| number % members != own);
        let mut missing: HashSet<&[u8]> = others.map(|(_, payload)| &payload[..]).collect();
        while !missing.is_empty() {
            match events.recv_timeout(PATIENCE) {
                Ok(ClusterEvent::User(event)) => assert!(missing.remove(&event.payload[..]), "heard twice"),
                Ok(ClusterEvent::Failed { member, .. }) => panic!("{} is said to have failed", member.name),
                Ok(_) => {}
                Err(error) => panic!("{error}: {} of {} events are missing", missing.len(), told.len()),
            }
        }
    }
}

#[test]
fn keys_are_changed_under_events() {
    const MEMBERS: usize = 12;
    let names: Vec<String> = (0..MEMBERS).map(|number| format!("member-{number}")).collect();
    let clusters: Vec<Cluster> = names.iter().map(|name| keyed(name)).collect();
    for cluster in &clusters[1..] {
        cluster.join([clusters[0].address()]).wait().unwrap();
    }
    wait_for_views(&clusters);
    let mut heard: Vec<Events> = clusters.iter().map(|cluster| cluster.subscribe().unwrap()).collect();
    let new = [9; 24];
    let told = telling(&clusters, || {
        let pause = || std::thread::sleep(Duration::from_millis(20));
        clusters.iter().for_each(|cluster| (cluster.install_key(&new).unwrap(), pause()).1);
        assert_eq!(clusters[0].remove_key(&KEY).unwrap_err().to_string().lines().count(), 1, "it is in use");
        clusters.iter().for_each(|cluster| (cluster.use_key(&new).unwrap(), pause()).1);
        // What was sent under the old key has arrived.
        std::thread::sleep(Duration::from_millis(500));
        clusters.iter().for_each(|cluster| (cluster.remove_key(&KEY).unwrap(), pause()).1);
    });
    all_is_heard(&mut heard, &told);
    let late = keyed("late");
    let error = late.join([clusters[0].address()]).wait().unwrap_err().to_string();
    assert!(error.contains("a key that is not ours"), "{error}");
}

/// A plain cluster is moved to encryption one member at a time: first all get the key and may be spoken to either way, then they
/// encrypt, then they insist on it.
#[test]
fn a_running_cluster_is_moved_to_encryption() {
    let step = |incoming, outgoing| EncryptionOptions {
        gossip_verify_incoming: incoming,
        gossip_verify_outgoing: outgoing,
        ..EncryptionOptions::with_key(KEY)
    };
    let plain = start("plain");
    let listening = encrypted("listening", step(false, false));
    let speaking = encrypted("speaking", step(false, true));
    let strict = encrypted("strict", step(true, true));
    // Each understands its neighbours.
    listening.join([plain.address()]).wait().unwrap();
    wait_for_views(&[plain, listening]);
    let listening = encrypted("listening", step(false, false));
    speaking.join([listening.address()]).wait().unwrap();
    wait_for_views(&[speaking, listening]);
    let speaking = encrypted("speaking", step(false, true));
    strict.join([speaking.address()]).wait().unwrap();
    wait_for_views(&[strict, speaking]);
}
