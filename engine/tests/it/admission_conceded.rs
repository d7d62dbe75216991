//! What admission does not keep out: somebody whom the application alone refuses still sends datagrams and opens streams, and what is said
//! of a member, its name and address above all, is what somebody says.

#![allow(clippy::disallowed_methods, reason = "strangers have sockets of their own")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use swimring::{Candidate, Cluster, ClusterEvent, ClusterOptions, NotAdmittedReason, State};
use swimring_codec::native::{FRAME_MAX, Frame, FrameHeader, FrameWriter, Introduction, Message};
use swimring_codec::{Incarnation, MemberId};

use crate::cluster_support::*;

/// Somebody with a socket, who writes into frames what there is to say.
struct Stranger {
    socket: UdpSocket,
    name: &'static str,
}

impl Stranger {
    fn at(ip: [u8; 4], name: &'static str) -> Stranger {
        Stranger { socket: UdpSocket::bind(SocketAddr::from((ip, 0))).unwrap(), name }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn say(&self, to: &Cluster, message: &Message<'_>) {
        let header = FrameHeader {
            cluster: ClusterOptions::default().cluster_id(),
            source: MemberId::of_name(self.name),
            destination: MemberId::of_name(to.name()),
            root: 1,
            quiet: false,
        };
        let mut frame = [0; FRAME_MAX];
        let mut writer = FrameWriter::new(header, &mut frame).unwrap();
        assert!(writer.push(message));
        let length = writer.finish();
        self.socket.send_to(&frame[..length], to.address()).unwrap();
    }

    /// Whether ping `wanted` is answered to where this socket is, before `patience` is over.
    fn hears_ack(&self, wanted: u32, patience: Duration) -> bool {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut bytes = [0; FRAME_MAX];
        while let Ok((length, _)) = self.socket.recv_from(&mut bytes) {
            let Ok(frame) = Frame::decode(&bytes[..length]) else { continue };
            let is_it = |message| matches!(message, Message::Ack { sequence, .. } if sequence == wanted);
            if frame.messages().flatten().any(is_it) {
                return true;
            }
        }
        false
    }
}

fn ping(sequence: u32) -> Message<'static> {
    Message::Ping { sequence, event_root: 0 }
}

fn introduction(name: &str, address: SocketAddr, incarnation: u64) -> Introduction<'_> {
    Introduction {
        subject: MemberId::of_name(name),
        incarnation: Incarnation::new(incarnation),
        state: State::Alive,
        address,
        name,
        metadata: b"",
        zone: "",
    }
}

#[test]
fn who_the_application_alone_refuses_is_answered_and_believed_of_others() {
    let hook = |candidate: &Candidate| &*candidate.name != "stranger";
    let one = member("one").admit(hook).start().unwrap();
    let two = member("two").metadata("of two").admit(hook).start().unwrap();
    two.join([one.address()]).wait().unwrap();
    eventually("they know each other", || one.len().unwrap() == 2);
    let mut events = one.subscribe().unwrap();

    // Its join is answered, with the view.
    let joiner = start("stranger");
    joiner.join([one.address()]).wait().unwrap();
    assert_eq!(joiner.member("two").unwrap().unwrap().metadata, "of two");
    joiner.shutdown();
    let stranger = Stranger::at([127, 0, 0, 1], "stranger");
    stranger.say(&one, &ping(77));
    assert!(stranger.hears_ack(77, PATIENCE), "its pings are");

    // It tells of a third, whom the application has nothing against, and suspects the second.
    let third = Stranger::at([127, 0, 0, 1], "three");
    stranger.say(&one, &Message::Introduction(introduction("three", third.address(), 9)));
    let (event, _) = until(&mut events, "three is taken in", |event| is_joined(event, "three"));
    assert!(matches!(event, ClusterEvent::Joined(three) if three.address == third.address()));
    let known = one.member("two").unwrap().unwrap().incarnation;
    let (subject, accuser) = (MemberId::of_name("two"), MemberId::of_name("stranger"));
    stranger.say(&one, &Message::Suspect { subject, incarnation: known, accuser });
    until(
        &mut events,
        "two is suspected",
        |event| matches!(event, ClusterEvent::Suspected { member, .. } if &*member.name == "two"),
    );
    until(
        &mut events,
        "two refutes",
        |event| matches!(event, ClusterEvent::Recovered { member, .. } if &*member.name == "two"),
    );
    assert!(one.member("two").unwrap().unwrap().incarnation > known);
    assert!(one.member("stranger").unwrap().is_none(), "and is not in the view for all that");
}

#[test]
fn a_known_name_is_taken_without_asking_and_its_owner_takes_it_back() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let hook = move |candidate: &Candidate| {
        counting.fetch_add(usize::from(&*candidate.name == "two"), Ordering::Relaxed);
        true
    };
    let inside = "127.0.0.0/8";
    let one = member("one").allowed_networks([inside]).admit(hook).start().unwrap();
    let two = joined("two", &one);
    eventually("they know each other", || one.len().unwrap() == 2);
    let mut events = one.subscribe().unwrap();
    let known = one.member("two").unwrap().unwrap().incarnation.get();
    let thief = Stranger::at([127, 0, 0, 1], "two");
    thief.say(&one, &Message::Introduction(introduction("two", thief.address(), known + 1)));
    let is_at = |event: &ClusterEvent, address: SocketAddr| {
        matches!(event, ClusterEvent::Updated(member) | ClusterEvent::Restarted(member) | ClusterEvent::Joined(member)
            if &*member.name == "two" && member.address == address)
    };
    until(&mut events, "two is where the thief is", |event| is_at(event, thief.address()));
    // Whoever probes it where it is not may find it failed before.
    until(&mut events, "two is back", |event| is_at(event, two.address()));
    assert!(one.member("two").unwrap().unwrap().incarnation.get() > known + 1);
    assert_eq!(asked.load(Ordering::Relaxed), 1, "when it was not known");
}

/// A socket with an address inside stands for a network that lets somebody outside write that address into its datagrams.
#[test]
fn a_forged_source_is_heard_and_gets_no_answer() {
    let one = member("one").bind(([127, 7, 5, 1], 0)).allowed_networks(["127.7.5.0/24"]).start().unwrap();
    let mut events = one.subscribe().unwrap();
    let outside = Stranger::at([127, 7, 6, 1], "stranger");
    let forged = Stranger::at([127, 7, 5, 9], "stranger");
    outside.say(&one, &ping(1));
    outside.say(&one, &Message::Introduction(introduction("two", outside.address(), 9)));
    forged.say(&one, &ping(2));
    forged.say(&one, &Message::Introduction(introduction("three", forged.address(), 9)));
    let (_, before) = until(&mut events, "three is taken in", |event| is_joined(event, "three"));
    assert!(before.is_empty() && one.member("two").unwrap().is_none(), "{before:?}");
    // Whoever has that address gets the answer, and who forged it does not.
    assert!(forged.hears_ack(2, PATIENCE));
    assert!(!outside.hears_ack(2, Duration::from_millis(300)));
}

#[test]
fn the_application_judges_what_somebody_says() {
    let hook = |candidate: &Candidate| candidate.metadata == "database" && &*candidate.zone == "east";
    let one = member("one").admit(hook).start().unwrap();
    let mut events = one.subscribe().unwrap();
    let liar = Stranger::at([127, 0, 0, 1], "liar");
    let nobody = Stranger::at([127, 0, 0, 1], "");
    let honest = introduction("liar", nobody.address(), 9);
    let claim = Introduction { metadata: b"database", zone: "east", ..honest };
    liar.say(&one, &Message::Introduction(Introduction { zone: "west", ..claim }));
    until(&mut events, "what is not right is refused", |event| {
        matches!(event, ClusterEvent::NotAdmitted { candidate, reason: NotAdmittedReason::Refused, .. }
            if &*candidate.name == "liar")
    });
    liar.say(&one, &Message::Introduction(claim));
    let (event, _) = until(&mut events, "what is, is admitted", |event| is_joined(event, "liar"));
    let ClusterEvent::Joined(info) = event else { panic!("{event:?}") };
    assert_eq!((&*info.zone, info.address), ("east", nobody.address()));
    // Nobody is there, as those find who ask.
    until(&mut events, "it fails", |event| is_failed(event, "liar"));
}
