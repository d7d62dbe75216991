//! Members with identities, over real sockets: whatever members do works, keys are kept in files, nobody without one takes part,
//! and a name belongs to its key.

#![allow(clippy::disallowed_methods, reason = "tests wait for what happens")]

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cluster_support::*;
use swimring::identity::{self, IdentityKey};
use swimring::{Cluster, ClusterBuilder, ClusterEvent, EncryptionOptions, State, WireOptions};
use swimring_codec::native::{
    FRAME_MAX, FrameHeader, FrameWriter, Introduction, Message, UserEvent, cluster_with_identities,
};
use swimring_codec::{Incarnation, MemberId};

/// A folder for keys, gone with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("swimring-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn key(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.key"))
    }

    /// The member `name` with its key.
    fn member(&self, name: &str) -> ClusterBuilder {
        member(name).identity(self.key(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What `cluster` believes of the member `name`, if anything.
fn belief(cluster: &Cluster, name: &str) -> Option<(State, Vec<u8>)> {
    let info = cluster.member(name).unwrap()?;
    Some((info.state, info.metadata.to_vec()))
}

fn live_together(folder: &Folder, wire: &WireOptions) {
    let clusters = ["one", "two", "three"]
        .map(|name| folder.member(name).metadata(name).wire(wire.clone()).start().unwrap());
    let [one, two, three] = &clusters;
    two.join([one.address()]).wait().unwrap();
    three.join([two.address()]).wait().unwrap();
    for cluster in &clusters {
        wait_until("everybody knows everybody", || cluster.members().unwrap().len() == 3);
        for info in cluster.members().unwrap() {
            let key = identity::load(folder.key(&info.name)).unwrap();
            assert_eq!(info.public_key, Some(key.public()), "{}", info.name);
            assert_eq!(info.metadata, info.name.as_bytes());
        }
    }
    let longest = vec![b'x'; 408];
    two.update_metadata(longest.clone()).unwrap();
    let refused = two.update_metadata(vec![b'x'; 409]).unwrap_err().to_string();
    assert!(refused.contains("use at most 408"), "{refused}");
    for cluster in &clusters {
        wait_until("the metadata is everywhere", || {
            belief(cluster, "two") == Some((State::Alive, longest.clone()))
        });
    }
    let mut heard = one.subscribe().unwrap();
    two.leave(PATIENCE).wait().unwrap();
    until(&mut heard, "two has left", |event| is_left(event, "two"));
    three.shutdown();
    until(&mut heard, "three has failed", |event| is_failed(event, "three"));
}

#[test]
fn members_live_together() {
    live_together(&Folder::new("identities"), &WireOptions::Native);
}

#[test]
fn and_encrypted() {
    let wire = WireOptions::Encrypted(EncryptionOptions::with_key([7; 32]));
    live_together(&Folder::new("identities-encrypted"), &wire);
}

#[test]
fn who_has_none_stays_out_and_is_told_why() {
    let folder = Folder::new("identities-none");
    let (with, without) = (folder.member("with").start().unwrap(), start("without"));
    for (who, whom, words) in [
        (&without, &with, "is a cluster whose members have identities: give this one a key (identity_path)"),
        (&with, &without, "is a cluster whose members have no identities: leave this one's out"),
    ] {
        let error = who.join([whom.address()]).wait().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(whom.members().unwrap().len(), 1, "{}", who.name());
    }
}

#[test]
fn a_member_that_lists_others_has_to_list_itself() {
    let folder = Folder::new("identities-list");
    let [one, two] = ["one", "two"].map(|name| {
        let key = identity::generate().unwrap();
        identity::save(folder.key(name), &key).unwrap();
        key.public()
    });
    let error = folder.member("two").admit_key(one, Some("one")).start().map(drop).unwrap_err().to_string();
    assert!(error.contains("the list of admitted keys does not have the member's own"), "{error}");
    let admitting = |name: &str| folder.member(name).admit_key(one, Some("one")).admit_key(two, Some("two"));
    let (first, second) = (admitting("one").start().unwrap(), admitting("two").start().unwrap());
    second.join([first.address()]).wait().unwrap();
    wait_until("they know each other", || first.members().unwrap().len() == 2);
    // Not on the list of the others.
    let stranger = folder.member("stranger").start().unwrap();
    stranger.join([first.address()]).wait().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(first.members().unwrap().len(), 2);
}

#[test]
fn a_name_belongs_to_the_key_that_it_was_first_heard_with() {
    let folder = Folder::new("identities-name");
    let (first, second) = (folder.member("first").start().unwrap(), folder.member("second").start().unwrap());
    second.join([first.address()]).wait().unwrap();
    wait_until("they know each other", || first.members().unwrap().len() == 2);
    let mine = second.local().unwrap().public_key;
    second.shutdown();
    let mut heard = first.subscribe().unwrap();
    let thief = member("second").identity(folder.key("thief")).metadata("thief").start().unwrap();
    thief.join([first.address()]).wait().unwrap();
    until(&mut heard, "the true one has failed", |event| is_failed(event, "second"));
    assert_eq!(first.member("second").unwrap().unwrap().public_key, mine, "dead, and its name its own");
    thief.shutdown();
    let back = folder.member("second").metadata("back").start().unwrap();
    back.join([first.address()]).wait().unwrap();
    wait_until("it is back", || belief(&first, "second") == Some((State::Alive, b"back".to_vec())));
}

fn say(socket: &UdpSocket, to: &Cluster, header: FrameHeader, messages: &[Message<'_>]) {
    let mut frame = vec![0; FRAME_MAX];
    let mut writer = FrameWriter::new(header, &mut frame).unwrap();
    messages.iter().for_each(|message| assert!(writer.push(message)));
    let length = writer.finish();
    socket.send_to(&frame[..length], to.address()).unwrap();
}

/// What applications say to each other is not signed. The sender of a message has to be held live, and that is all.
#[test]
fn events_and_messages_are_whose_they_say() {
    let folder = Folder::new("identities-messages");
    let (one, two) = (folder.member("one").start().unwrap(), folder.member("two").start().unwrap());
    two.join([one.address()]).wait().unwrap();
    wait_until("they know each other", || one.members().unwrap().len() == 2);
    let mut heard = one.subscribe().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let origin = MemberId::of_name("two");
    let header = FrameHeader {
        cluster: cluster_with_identities(swimring::ClusterOptions::default().cluster_id()),
        source: origin,
        destination: MemberId::of_name("one"),
        root: 1,
        quiet: false,
    };
    let message = Message::Direct { payload: b"forged" };
    say(&socket, &one, FrameHeader { source: MemberId::of_name("nobody"), ..header }, &[message]);
    let told = UserEvent { origin, sequence: 1 << 20, name: "deploy", payload: b"forged" };
    say(&socket, &one, header, &[Message::UserEvent(told), message]);
    let (event, _) = until(&mut heard, "an event", |event| matches!(event, ClusterEvent::User(_)));
    assert!(matches!(event, ClusterEvent::User(event)
        if event.origin.as_deref() == Some("two") && event.payload == "forged"));
    let (event, _) = until(&mut heard, "a message", |event| matches!(event, ClusterEvent::Message(_)));
    assert!(matches!(event, ClusterEvent::Message(message)
        if &*message.from == "two" && message.payload == "forged"));
}

/// Somebody who may send to a member, in a cluster without encryption, and knows all that is no secret.
#[test]
fn nobody_speaks_for_a_member() {
    let folder = Folder::new("identities-forged");
    let (one, two) = (folder.member("one").start().unwrap(), folder.member("two").start().unwrap());
    two.join([one.address()]).wait().unwrap();
    wait_until("they know each other", || one.members().unwrap().len() == 2);
    let known = one.member("two").unwrap().unwrap();
    let forger = IdentityKey::from_seed(&[6; 32]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let subject = MemberId::of_name("two");
    let header = FrameHeader {
        cluster: cluster_with_identities(swimring::ClusterOptions::default().cluster_id()),
        source: subject,
        destination: MemberId::of_name("one"),
        root: 1,
        quiet: false,
    };
    let incarnation = Incarnation::new(known.incarnation.get() + 1);
    let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
    for key in [known.public_key.unwrap(), forger.public()] {
        let metadata = [&key.0[..], b"forged"].concat();
        let claim = Introduction {
            subject,
            incarnation,
            state: State::Alive,
            address,
            name: "two",
            metadata: &metadata,
            zone: "",
        };
        let signature = forger.sign_alive(header.cluster, &claim).unwrap();
        let left = forger.sign_left(header.cluster, subject, known.incarnation).unwrap();
        let goodbye = Message::Left { subject, incarnation: known.incarnation };
        for messages in [
            vec![Message::Introduction(claim)],
            vec![Message::Signature(&signature), Message::Introduction(claim)],
            vec![goodbye],
            vec![Message::Signature(&left), goodbye],
        ] {
            say(&socket, &one, header, &messages);
        }
    }
    // What is refused has come before what is taken in next.
    two.update_metadata("true").unwrap();
    wait_until("what it says itself", || belief(&one, "two") == Some((State::Alive, b"true".to_vec())));
    let now = one.member("two").unwrap().unwrap();
    assert_eq!((now.address, now.public_key), (known.address, known.public_key));
}

/// The application is asked about what a member has signed, with its key, and one that it admits is in the view and told on.
#[test]
fn the_application_admits_by_key() {
    let folder = Folder::new("identities-admitted");
    let store_key = identity::load_or_generate(folder.key("store")).unwrap().public();
    let one = folder
        .member("one")
        .admit(move |candidate| candidate.public_key == Some(store_key) && candidate.metadata == b"role"[..])
        .start()
        .unwrap();
    let store = folder.member("store").metadata("role").start().unwrap();
    store.join([one.address()]).wait().unwrap();
    wait_until("the one that is admitted is there", || belief(&one, "store").is_some());
    assert_eq!(belief(&one, "store"), Some((State::Alive, b"role".to_vec())));
    let mut events = one.subscribe().unwrap();
    let other = folder.member("other").metadata("role").start().unwrap();
    other.join([one.address()]).wait().unwrap();
    wait_until("the other was judged", || {
        let event = events.recv_timeout(PATIENCE).ok();
        matches!(event, Some(ClusterEvent::NotAdmitted { candidate, .. }) if &*candidate.name == "other")
    });
    assert_eq!(belief(&one, "other"), None);
}
