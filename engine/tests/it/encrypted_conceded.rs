//! What encryption of the native wire does not prevent: whoever is on the way can end a stream, and whoever has the key reads everything
//! and speaks for everybody.

#![allow(clippy::disallowed_methods, reason = "real sockets are what is waited for")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::SystemTime;

use swimring::worker::JoinFailure;
use swimring::{
    Cluster, ClusterEvent, ClusterOptions, EncryptionOptions, JoinError, SeedError, State, WireOptions,
};
use swimring_codec::memberlist::Keyring;
use swimring_codec::native::{
    FRAME_MAX, FrameHeader, FrameWriter, Message, Opener, SealCipher, SealKeys, Sealer, StreamKind,
    StreamWriter, UserEvent,
};
use swimring_codec::{Incarnation, MemberId};
use swimring_testing::sealed::{seal_frame, seal_message};

use crate::cluster_support::*;

const KEY: [u8; 32] = [7; 32];

fn keyed(name: &str) -> Cluster {
    let options = EncryptionOptions::with_key(KEY);
    member(name).wire(WireOptions::Encrypted(options)).metadata("a secret of its own").start().unwrap()
}

/// Stands before `to`, passes on so many bytes of what is said on the first stream, and of what is answered, and ends it.
fn cut_a_stream(to: SocketAddr, said: u64, answered: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut opener, _) = listener.accept().unwrap();
        let mut acceptor = TcpStream::connect(to).unwrap();
        let (from, mut into) = (opener.try_clone().unwrap(), acceptor.try_clone().unwrap());
        let there = std::thread::spawn(move || std::io::copy(&mut from.take(said), &mut into));
        if answered == 0 {
            // All that is let through has been said.
            let _ = there.join();
        } else {
            let _ = std::io::copy(&mut Read::by_ref(&mut acceptor).take(answered), &mut opener);
        }
        let _ = opener.shutdown(std::net::Shutdown::Both);
        let _ = acceptor.shutdown(std::net::Shutdown::Both);
    });
    address
}

/// What it was to say is missed, and who was to hear it knows that: it counts as a join that failed.
#[test]
fn a_stream_can_be_ended_early_and_counts_as_that() {
    for (said, answered) in [(10, 0), (u64::MAX, 1), (u64::MAX, 60)] {
        let (alice, bob) = (keyed("alice"), keyed("bob"));
        let error = bob.join([cut_a_stream(alice.address(), said, answered)]).wait().unwrap_err();
        let JoinError::NoneAnswered(report) = &error else { panic!("{error}") };
        let failure = &report.failures().next().unwrap().1;
        assert!(matches!(failure, SeedError::Failed(JoinFailure::Closed(_))), "{said}, {answered}: {error}");
        // Where all was said, one of them may have heard of the other.
        if said == 10 {
            assert_eq!(names(&alice.members().unwrap()), ["alice"]);
            assert_eq!(names(&bob.members().unwrap()), ["bob"]);
        }
        bob.join([alice.address()]).wait().unwrap();
        eventually("nothing else is amiss", || alice.len().unwrap() == 2 && bob.len().unwrap() == 2);
    }
}

/// Somebody who has the key, and is no member.
struct Insider {
    sealer: Sealer,
    opener: Opener,
    socket: UdpSocket,
}

impl Insider {
    fn new() -> Insider {
        let mut keyring = Keyring::default();
        keyring.install(&KEY).unwrap();
        let keys = SealKeys::derive(&keyring);
        let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as u32;
        let mut sealer = Sealer::new(keys.clone(), SealCipher::ChaCha20Poly1305, [3; 32]);
        let mut opener = Opener::new(keys, true, [4; 32]);
        sealer.set_time_s(now_s);
        opener.set_time_s(now_s);
        Insider { sealer, opener, socket: UdpSocket::bind("127.0.0.1:0").unwrap() }
    }

    fn header(source: &str, to: &Cluster) -> FrameHeader {
        FrameHeader {
            cluster: ClusterOptions::default().cluster_id(),
            source: MemberId::of_name(source),
            destination: MemberId::of_name(to.name()),
            root: 1,
            quiet: false,
        }
    }

    /// Says something in the name of `source`.
    fn say(&mut self, source: &str, to: &Cluster, message: &Message<'_>) {
        let mut frame = [0; FRAME_MAX];
        let mut writer = FrameWriter::new(Insider::header(source, to), &mut frame).unwrap();
        assert!(writer.push(message));
        let length = writer.finish();
        let sealed = seal_frame(&mut self.sealer, &frame[..length]);
        self.socket.send_to(&sealed, to.address()).unwrap();
    }

    /// Joins, and reads on in what comes back until that `has` something.
    fn read_all(&mut self, from: &Cluster, has: impl Fn(&[u8]) -> bool) {
        let mut plain = Vec::new();
        StreamWriter::new(Insider::header("nobody", from), &mut plain).plain(StreamKind::Join);
        let mut seal = self.sealer.open_stream(true);
        let sealed = seal_message(&mut self.sealer, &mut seal, &plain[4..]);
        let mut stream = TcpStream::connect(from.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&[&(sealed.len() as u32).to_le_bytes()[..], &sealed].concat()).unwrap();
        loop {
            let mut prefix = [0; 4];
            stream.read_exact(&mut prefix).expect("there is more");
            let mut message = vec![0; u32::from_le_bytes(prefix) as usize];
            stream.read_exact(&mut message).unwrap();
            if has(self.opener.open_message(&mut seal, &mut message).expect("it has the key")) {
                return;
            }
        }
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[test]
fn who_has_the_key_reads_all_speaks_for_members_and_declares_them_dead() {
    let (one, two) = (keyed("one"), keyed("two"));
    two.join([one.address()]).wait().unwrap();
    eventually("they know each other", || one.len().unwrap() == 2);
    let mut events = one.subscribe().unwrap();
    let mut insider = Insider::new();
    insider.read_all(&one, |view| contains(view, b"two") && contains(view, b"a secret of its own"));

    insider.say("two", &one, &Message::Direct { payload: b"forged" });
    let is_message =
        |event: &ClusterEvent| matches!(event, ClusterEvent::Message(message) if &*message.from == "two");
    let (message, _) = until(&mut events, "a message of two", is_message);
    assert!(matches!(message, ClusterEvent::Message(message) if message.payload == "forged"));
    let origin = MemberId::of_name("two");
    let told = UserEvent { origin, sequence: 1 << 20, name: "deploy", payload: b"forged" };
    insider.say("two", &one, &Message::UserEvent(told));
    until(
        &mut events,
        "an event of two",
        |event| matches!(event, ClusterEvent::User(event) if event.origin.as_deref() == Some("two") && event.payload == "forged"),
    );

    let known: Incarnation = one.member("two").unwrap().unwrap().incarnation;
    insider.say("somebody", &one, &Message::Dead { subject: origin, incarnation: known });
    until(&mut events, "two is declared dead", |event| is_failed(event, "two"));
    until(&mut events, "two refutes", |event| is_joined(event, "two"));
    let back = one.member("two").unwrap().unwrap();
    assert!(back.incarnation > known && back.state == State::Alive);
}
