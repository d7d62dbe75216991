//! What an attacker on the way gets from members that encrypt the native wire: it records and repeats, changes, cuts and
//! reorders what it has recorded, datagrams as well as streams, and reads.

#![allow(clippy::disallowed_methods, reason = "real sockets are what is waited for")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use swimring::protocol::{EncryptionOptions, Event, Preset, Settings, WireOptions};
use swimring::worker::{EventContext, Fleet, FleetOptions, Host, Observer};
use swimring_codec::memberlist::Keyring;
use swimring_codec::native::{Introduction, SealCounters, SealError, SealKeys};
use swimring_codec::{Incarnation, MemberId, State};

const PATIENCE: Duration = Duration::from_secs(30);

/// Counts what its members were told.
#[derive(Default)]
struct Ear {
    events: usize,
    joined: usize,
    failed: usize,
}

impl Observer for Ear {
    fn event(&mut self, _: &EventContext<'_>, event: &Event) {
        match event {
            Event::UserEvent { .. } => self.events += 1,
            Event::JoinFinished { joined: true, .. } => self.joined += 1,
            Event::Failed { .. } => self.failed += 1,
            _ => {}
        }
    }
}

fn fleet(key: u8) -> Fleet<Ear> {
    fleet_of(key, 1)
}

fn fleet_of(key: u8, workers: usize) -> Fleet<Ear> {
    let settings = Settings {
        probe_interval: Duration::from_millis(100),
        probe_timeout: Duration::from_millis(50),
        ..Settings::preset(Preset::Local)
    };
    let options = FleetOptions {
        settings: Arc::new(settings),
        wire: WireOptions::Encrypted(EncryptionOptions::with_key([key; 32])),
        workers,
        ..FleetOptions::default()
    };
    Fleet::start(&options, |_| Ear::default()).unwrap()
}

/// What envelopes call the key of `fleet(key)`.
fn key_id(key: u8) -> [u8; 4] {
    let mut keyring = Keyring::default();
    keyring.install(&[key; 32]).unwrap();
    SealKeys::derive(&keyring).primary_id().unwrap()
}

fn add(fleet: &Fleet<Ear>, name: &'static str, advertised: Option<SocketAddr>) {
    let add = move |host: &mut Host<Ear>, _: &mut _| {
        let address = advertised.unwrap_or(host.address());
        host.add_at(address, name, b"a secret of its own", "", Incarnation::new(1)).map(drop).unwrap();
    };
    fleet.ask(0, add).unwrap();
}

fn join(fleet: &Fleet<Ear>, seed: SocketAddr) {
    let join = move |host: &mut Host<Ear>, trains: &mut swimring::net::Trains| {
        host.command(0, trains, |member, now, shared, out| {
            member.join(now, seed, MemberId::NONE, 1, shared, out);
        });
    };
    fleet.ask(0, join).unwrap();
    wait_until("the join ends", || fleet.ask(0, |host, _| host.observer.joined).unwrap() == 1);
}

fn counters(fleet: &Fleet<Ear>) -> SealCounters {
    fleet.ask(0, |host, _| host.counters().sealed).unwrap()
}

fn refused(fleet: &Fleet<Ear>, error: SealError) -> u64 {
    counters(fleet).refused[error.index()]
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Stands before a member at `to`, passes all datagrams on and keeps them.
fn eavesdrop(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeps = Arc::clone(&kept);
    // It ends when nothing more comes.
    std::thread::spawn(move || {
        let mut bytes = [0; 2_000];
        while let Ok((length, _)) = socket.recv_from(&mut bytes) {
            keeps.lock().unwrap().push(bytes[..length].to_vec());
            let _ = socket.send_to(&bytes[..length], to);
        }
    });
    (address, kept)
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[test]
fn datagrams_that_are_repeated_or_altered_are_refused_and_nothing_is_read() {
    let (mut alice, mut bob) = (fleet(1), fleet(1));
    let (before_bob, kept) = eavesdrop(bob.address(0));
    add(&alice, "alice", None);
    add(&bob, "bob", Some(before_bob));
    join(&bob, alice.address(0));
    let told = |payload: &'static [u8]| {
        move |host: &mut Host<Ear>, trains: &mut swimring::net::Trains| {
            host.command(0, trains, |member, now, shared, out| {
                member.send_event(now, "deploy", payload, shared, out).unwrap();
            });
        }
    };
    alice.ask(0, told(b"the secret plan")).unwrap();
    wait_until("bob hears of it", || bob.ask(0, |host, _| host.observer.events).unwrap() == 1);
    wait_until("some are kept", || kept.lock().unwrap().len() >= 20);
    let kept: Vec<Vec<u8>> = kept.lock().unwrap().clone();
    for secret in [&b"the secret plan"[..], b"deploy", b"a secret of its own", b"alice", b"bob"] {
        assert!(!kept.iter().any(|datagram| contains(datagram, secret)));
    }
    // Alice goes, so that all that is heard from now on is the attacker's.
    alice.stop().unwrap();

    let attacker = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mallory = |datagrams: &mut dyn Iterator<Item = Vec<u8>>| {
        let mut sent = 0_u64;
        for datagram in datagrams {
            attacker.send_to(&datagram, bob.address(0)).unwrap();
            sent += 1;
            if sent.is_multiple_of(64) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        sent
    };
    let (opened, replayed) = (counters(&bob).opened_primary, refused(&bob, SealError::Replayed));
    let repeated = mallory(&mut kept.iter().chain(&kept).cloned());
    wait_until("all are refused", || refused(&bob, SealError::Replayed) - replayed == repeated);

    // Each byte of one changed, each length of it, and all of the envelope's kinds.
    let datagram = kept.last().unwrap();
    let all_refused = || counters(&bob).refused.iter().sum::<u64>();
    let before = all_refused();
    let altered = mallory(&mut (0..datagram.len()).map(|at| {
        let mut altered = datagram.clone();
        altered[at] ^= 1 << (at % 8);
        altered
    }));
    let cut = mallory(&mut (2..datagram.len()).map(|length| datagram[..length].to_vec()));
    // What has lost the mark of being sealed, or its version, is refused as plain or by the decoder.
    let decoder = || bob.ask(0, |host, _| host.counters().refused.iter().sum::<u64>()).unwrap();
    wait_until("all are refused", || all_refused() - before + decoder() == altered + cut);
    assert_eq!(counters(&bob).opened_primary, opened, "nothing was opened");
    assert_eq!(bob.ask(0, |host, _| host.observer.events).unwrap(), 1);
    bob.stop().unwrap();
}

/// Members of a worker share a life, whose frames leave in another order than they were sealed in: trains are gathered by address and
/// size. Hardly any is refused for that, and nobody is suspected.
#[test]
fn the_members_of_two_workers_seal_with_two_lives() {
    const EACH: u64 = 500;
    let mut fleet = fleet_of(1, 2);
    for worker in 0..2 {
        let add = move |host: &mut Host<Ear>, _: &mut _| {
            host.pause();
            for number in 0..EACH {
                host.add(&format!("member-{worker}-{number}"), b"", Incarnation::new(1)).map(drop).unwrap();
            }
        };
        fleet.ask(worker, add).unwrap();
    }
    let addresses = [0, 1].map(|worker| fleet.address(worker));
    for worker in 0..2 {
        let load = move |host: &mut Host<Ear>, _: &mut _| {
            let other = 1 - worker;
            host.load_views(|view, settings, shared| {
                for number in 0..EACH {
                    let name = format!("member-{other}-{number}");
                    let introduction = Introduction {
                        subject: MemberId::of_name(&name),
                        incarnation: Incarnation::new(1),
                        state: State::Alive,
                        address: addresses[other],
                        name: &name,
                        metadata: b"",
                        zone: "",
                    };
                    view.add(&introduction, settings, shared)?;
                }
                Ok(())
            })
            .unwrap();
        };
        fleet.ask(worker, load).unwrap();
    }
    (0..2).for_each(|worker| fleet.ask(worker, |host, _| host.resume()).unwrap());
    let sealed = |worker| fleet.ask(worker, |host, _| host.counters().sealed).unwrap();
    wait_until("each has been heard ten times", || {
        (0..2).all(|worker| sealed(worker).opened_primary >= 10 * 2 * EACH)
    });
    for worker in 0..2 {
        let SealCounters { senders, refused, .. } = sealed(worker);
        assert_eq!(senders, 2);
        assert!(refused.iter().sum::<u64>() <= 16, "{refused:?}");
        assert_eq!(fleet.ask(worker, |host, _| host.observer.failed).unwrap(), 0);
    }
    fleet.stop().unwrap();
}

/// Two clusters with one name and two keys.
#[test]
fn what_another_key_has_sealed_is_refused() {
    let (mut alice, mut bob, mut carol) = (fleet(1), fleet(2), fleet(1));
    let (before_carol, kept) = eavesdrop(carol.address(0));
    add(&alice, "alice", None);
    add(&bob, "bob", None);
    add(&carol, "carol", Some(before_carol));
    join(&carol, alice.address(0));
    wait_until("some are kept", || kept.lock().unwrap().len() >= 5);
    let attacker = UdpSocket::bind("127.0.0.1:0").unwrap();
    let kept: Vec<Vec<u8>> = kept.lock().unwrap().clone();
    for datagram in &kept {
        attacker.send_to(datagram, bob.address(0)).unwrap();
        // Claimed to be under a key that bob has: what it is called is no secret.
        let mut claimed = datagram.clone();
        claimed[4..8].copy_from_slice(&key_id(2));
        attacker.send_to(&claimed, bob.address(0)).unwrap();
    }
    let count = kept.len() as u64;
    wait_until("all are refused", || refused(&bob, SealError::UnknownKey) == count);
    wait_until("and the others", || refused(&bob, SealError::Forged) == count);
    assert_eq!(counters(&bob).opened_primary, 0);
    for fleet in [&mut alice, &mut bob, &mut carol] {
        fleet.stop().unwrap();
    }
}

/// Passes a stream to `to` on, and keeps what is said on it: first what the one says who opened it.
fn eavesdrop_on_a_stream(to: SocketAddr) -> (SocketAddr, std::thread::JoinHandle<[Vec<u8>; 2]>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let passing = std::thread::spawn(move || {
        let (opener, _) = listener.accept().unwrap();
        let acceptor = TcpStream::connect(to).unwrap();
        let pass = |mut from: TcpStream, mut into: TcpStream| {
            let (mut kept, mut bytes) = (Vec::new(), [0; 4_096]);
            while let Ok(length @ 1..) = from.read(&mut bytes) {
                kept.extend_from_slice(&bytes[..length]);
                if into.write_all(&bytes[..length]).is_err() {
                    break;
                }
            }
            let _ = into.shutdown(Shutdown::Write);
            kept
        };
        let (from, into) = (opener.try_clone().unwrap(), acceptor.try_clone().unwrap());
        let there = std::thread::spawn(move || pass(from, into));
        let back = pass(acceptor, opener);
        [there.join().unwrap(), back]
    });
    (address, passing)
}

/// The messages of a stream, each with its length.
fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some(prefix) = bytes.first_chunk::<4>() {
        let (message, rest) = bytes.split_at(4 + u32::from_le_bytes(*prefix) as usize);
        messages.push(message.to_vec());
        bytes = rest;
    }
    messages
}

/// Says `bytes` on a new stream; what comes back until it is closed.
fn say(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut back = Vec::new();
    let _ = stream.read_to_end(&mut back);
    back
}

#[test]
fn streams_that_are_repeated_reordered_or_altered_are_refused() {
    let (mut alice, mut bob) = (fleet(1), fleet(1));
    add(&alice, "alice", None);
    add(&bob, "bob", None);
    let (before_alice, passing) = eavesdrop_on_a_stream(alice.address(0));
    join(&bob, before_alice);
    bob.stop().unwrap();
    let [said, answered] = passing.join().unwrap();
    assert!(![&said, &answered].into_iter().any(|bytes| contains(bytes, b"a secret of its own")));
    let (opener, acceptor) = (messages(&said), messages(&answered));
    assert!(opener.len() >= 2, "a join and a view");

    let opened = counters(&alice).opened_primary;
    let replayed = refused(&alice, SealError::Replayed);
    assert_eq!(say(alice.address(0), &opener[0]), b"", "closed without an answer");
    wait_until("it is refused", || refused(&alice, SealError::Replayed) == replayed + 1);
    // All of it, and without its beginning. What was read at once is refused message by message.
    let count = opener.len() as u64;
    for (bytes, messages) in [(said.clone(), count), (opener[1..].concat(), count - 1)] {
        let replayed = refused(&alice, SealError::Replayed);
        assert_eq!(say(alice.address(0), &bytes), b"");
        wait_until("it is refused", || {
            (1..=messages).contains(&(refused(&alice, SealError::Replayed) - replayed))
        });
    }
    // What the other side said.
    let malformed = refused(&alice, SealError::Malformed);
    assert_eq!(say(alice.address(0), &acceptor[0]), b"");
    wait_until("it is refused", || refused(&alice, SealError::Malformed) == malformed + 1);
    // A bit of it is another, in the envelope's life and so of a stream that has not been seen, and in the end.
    let forged = refused(&alice, SealError::Forged);
    for at in [4 + 13, opener[0].len() - 1] {
        let mut altered = opener[0].clone();
        // Of a life of its own, lest it is refused as repeated.
        altered[4 + 12] ^= 1;
        altered[at] ^= 1;
        assert_eq!(say(alice.address(0), &altered), b"");
    }
    wait_until("they are refused", || refused(&alice, SealError::Forged) == forged + 2);
    let watched = counters(&alice);
    assert_eq!(watched.opened_primary, opened, "nothing was opened");
    alice.stop().unwrap();
}

/// A join names nobody whom it is for: another member takes it, once, and answers what nobody reads who has no key.
#[test]
fn a_join_that_is_repeated_to_another_member_tells_it_of_the_joiner() {
    let (mut alice, mut bob, mut carol) = (fleet(1), fleet(1), fleet(1));
    add(&alice, "alice", None);
    add(&bob, "bob", None);
    add(&carol, "carol", None);
    let knows = |fleet: &Fleet<Ear>, name: &'static str| {
        let find = move |host: &mut Host<Ear>, _: &mut _| {
            host.shared().directory().find(MemberId::of_name(name)).is_some()
        };
        fleet.ask(0, find).unwrap()
    };
    let (before_alice, passing) = eavesdrop_on_a_stream(alice.address(0));
    join(&bob, before_alice);
    bob.stop().unwrap();
    alice.stop().unwrap();
    let [said, _] = passing.join().unwrap();
    assert!(!knows(&carol, "bob"));
    // The beginning of what is answered, or nothing if it is closed.
    let repeat = || {
        let mut stream = TcpStream::connect(carol.address(0)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&said).unwrap();
        let mut back = vec![0; 65_536];
        let length = stream.read(&mut back).unwrap_or(0);
        back.truncate(length);
        back
    };
    let answer = repeat();
    wait_until("carol has learned of bob", || knows(&carol, "bob"));
    assert!(!answer.is_empty() && !contains(&answer, b"a secret of its own") && !contains(&answer, b"carol"));
    assert_eq!(repeat(), b"", "and takes it once");
    carol.stop().unwrap();
}
