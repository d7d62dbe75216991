//! Streams without length prefixes, at addresses of one's own: what a peer of another format does, right and
//! wrong, over real sockets and both drivers.
#![allow(clippy::disallowed_methods, reason = "real sockets and threads are what these tests are about")]

use crate::stream_support::items;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::stream_support::{DRIVERS, Node, PATIENCE, pattern, read_to_close};
use items::{LABEL, MESSAGE_MAX, Maker, message, scanned};
use swimring::stream::{
    CloseReason, ExchangeId, Framing, ScanError, StreamDriver, StreamEvent, StreamOptions,
};

const SOON: Duration = Duration::from_millis(400);
fn open(node: &mut Node, token: u64, from: Option<IpAddr>, to: SocketAddr, turn: &[u8]) -> ExchangeId {
    node.port.open(token, from, to, turn.to_vec(), PATIENCE).unwrap()
}

fn loopback() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn messages_end_where_the_scanner_says() {
    for driver in DRIVERS {
        let (mut here, mut there) = (Node::start(driver, scanned()), Node::start(driver, scanned()));
        for length in [0, 1, 60_000, 1 << 20, MESSAGE_MAX - 100] {
            let (ask, answer) = (pattern(length, 1), pattern(length / 2, 2));
            let (ask, answer) = (message(LABEL, &ask), message(b"", &answer));
            let exchange = open(&mut here, 1, None, there.address, &ask);
            assert_eq!(here.opened().0, exchange);
            let (at_peer, _, bytes) = there.message();
            assert!(bytes == ask, "{length}");
            there.port.recycle(bytes);
            there.port.reply(at_peer, answer.clone(), true).unwrap();
            let (_, _, bytes) = here.message();
            assert!(bytes == answer, "{length}");
            assert_eq!(here.closed().2, CloseReason::PeerClosed);
            assert_eq!(there.closed().2, CloseReason::Finished);
        }
        here.wait_until_idle();
        // What is sent is what was written.
        assert_eq!(here.counters().bytes_out.get(), there.counters().bytes_in.get());
        assert_eq!((here.counters().messages_in.get(), there.counters().messages_in.get()), (5, 5));
    }
}

#[test]
fn one_write_of_several_messages_and_one_message_of_several_writes() {
    for driver in DRIVERS {
        let maker = Arc::new(Maker::default());
        let framing = Framing::Scanned(maker.clone());
        let mut node = Node::start(driver, StreamOptions { framing, ..scanned() });
        let mut peer = TcpStream::connect(node.address).unwrap();
        let first = message(LABEL, b"one");
        let rest: Vec<Vec<u8>> = (0..50).map(|i| message(b"", &pattern(i * 7, i as u32))).collect();
        peer.write_all(&[first.clone(), rest.concat()].concat()).unwrap();
        assert_eq!(node.message().2, first);
        for expected in &rest {
            assert_eq!(node.message().2, *expected);
        }
        // The label alone, as dialers send it, then the message byte by byte.
        let mut peer = TcpStream::connect(node.address).unwrap();
        peer.set_nodelay(true).unwrap();
        peer.write_all(LABEL).unwrap();
        for byte in message(b"", b"trickled") {
            peer.write_all(&[byte]).unwrap();
        }
        assert_eq!(node.message().2, message(LABEL, b"trickled"));
        assert_eq!(maker.0.load(Ordering::Relaxed), 52, "one scanner per message");
    }
}

#[test]
fn an_exchange_has_the_addresses_it_was_made_with() {
    for driver in DRIVERS {
        let mut node = start_at_wildcard(driver, scanned());
        let mut there = start_at_wildcard(driver, scanned());
        for number in 1..50u8 {
            let from = IpAddr::from([127, 90, 0, number]);
            let to = SocketAddr::from(([127, 91, 0, number], there.address.port()));
            let ask = message(LABEL, &[number]);
            open(&mut node, 1, Some(from), to, &ask);
            node.opened();
            let StreamEvent::Message { exchange, from: came_from, local, .. } = there.event() else {
                panic!("no message");
            };
            assert_eq!((came_from.ip(), local), (from, to));
            there.port.reply(exchange, message(b"", b"back"), true).unwrap();
            let StreamEvent::Message { from: came_from, local, .. } = node.event() else {
                panic!("no answer");
            };
            assert_eq!((came_from, local.ip()), (to, from));
            assert_eq!(node.closed().2, CloseReason::PeerClosed);
            assert_eq!(there.closed().2, CloseReason::Finished);
        }
    }
}

/// Who listens at `[::]` is told of IPv4 in IPv4's words.
#[test]
fn an_ipv6_wildcard_tells_ipv4_addresses_as_such() {
    if TcpListener::bind("[::]:0").is_err() {
        println!("skipped: no IPv6 here");
        return;
    }
    for driver in DRIVERS {
        let mut node = Node::start_at(driver, scanned(), Ipv6Addr::UNSPECIFIED.into());
        let to = SocketAddr::from(([127, 93, 0, 1], node.address.port()));
        let mut peer = TcpStream::connect(to).unwrap();
        peer.write_all(&message(LABEL, b"hello")).unwrap();
        let StreamEvent::Message { from, local, .. } = node.event() else { panic!("no message") };
        assert_eq!((from, local), (peer.local_addr().unwrap(), to));
    }
}

/// A node whose listener takes connections to every address.
fn start_at_wildcard(driver: StreamDriver, options: StreamOptions) -> Node {
    Node::start_at(driver, options, Ipv4Addr::UNSPECIFIED.into())
}

#[test]
fn a_source_that_is_not_ours_refuses_the_connection() {
    for driver in DRIVERS {
        let mut node = Node::start(driver, scanned());
        let (_listener, to) = loopback();
        for source in ["192.0.2.1", "2001:db8::1"] {
            let exchange = open(&mut node, 3, Some(source.parse().unwrap()), to, b".");
            let (closed, token, reason) = node.closed();
            assert_eq!((closed, token), (exchange, Some(3)));
            assert!(matches!(reason, CloseReason::Refused(_)), "{reason:?}");
        }
        // IPv4 in IPv6's clothes is IPv4.
        open(&mut node, 4, Some("::ffff:127.0.0.9".parse().unwrap()), to, b".");
        node.opened();
        node.wait_for_count("refusals", |counters| counters.refused.get() == 2);
    }
}

#[test]
fn a_peer_that_sends_garbage_is_refused() {
    for driver in DRIVERS {
        let mut node = Node::start(driver, scanned());
        let announced = [LABEL, b"#", &u32::MAX.to_le_bytes()].concat();
        let garbage = [LABEL, &pattern(300_000, 9)].concat();
        let cases: [&[u8]; 4] = [b"x", b"labelled?", &garbage, &announced];
        for (i, bytes) in cases.into_iter().enumerate() {
            let mut peer = TcpStream::connect(node.address).unwrap();
            // The service may hang up before all of it is sent.
            let _ = peer.write_all(bytes);
            read_to_close(&mut peer);
            node.wait_for_count("the count", |counters| counters.protocol_errors.get() == 1 + i as u64);
        }
        assert!(node.try_event().is_none(), "a peer that said nothing sensible was mentioned");

        let mut peer = TcpStream::connect(node.address).unwrap();
        peer.write_all(&[message(LABEL, b"good"), b"bad".to_vec()].concat()).unwrap();
        assert_eq!(node.message().2, message(LABEL, b"good"));
        let reason = node.closed().2;
        assert_eq!(reason, CloseReason::Unreadable(ScanError::Malformed("none of # = .")));
        assert_eq!(reason.to_string(), "the peer sent what is no message: none of # = .");
    }
}

#[test]
fn a_message_longer_than_may_be_is_refused() {
    for driver in DRIVERS {
        let options = StreamOptions { message_bytes_max: 1 << 20, ..scanned() };
        let mut node = Node::start(driver, options);
        for (sent, taken) in [((1 << 20) - 12, true), ((1 << 20) - 11, false)] {
            let bytes = message(LABEL, &pattern(sent, 4));
            let mut peer = TcpStream::connect(node.address).unwrap();
            peer.write_all(b"label ").unwrap();
            let _ = peer.write_all(&bytes[6..]);
            if taken {
                assert!(node.message().2 == bytes);
                drop(peer);
                assert_eq!(node.closed().2, CloseReason::PeerClosed);
            } else {
                read_to_close(&mut peer);
                node.wait_for_count("the count", |counters| counters.protocol_errors.get() == 1);
            }
        }
    }
}

#[test]
fn a_peer_that_stalls_runs_into_the_timeouts() {
    for driver in DRIVERS {
        let mut node = Node::start(driver, StreamOptions { idle_timeout: SOON, ..scanned() });
        let whole = message(LABEL, &pattern(200_000, 3));
        // Silent; a part of the label; announced and never sent; half a message.
        let parts = [0, 3, LABEL.len() + 5, 100_000].map(|count| &whole[..count]);
        for (i, part) in parts.into_iter().enumerate() {
            let mut peer = TcpStream::connect(node.address).unwrap();
            peer.write_all(part).unwrap();
            assert_eq!(read_to_close(&mut peer), b"");
            node.wait_for_count("the count", |counters| counters.timeouts.get() == 1 + i as u64);
        }
        // It answers half.
        let (listener, to) = loopback();
        open(&mut node, 1, None, to, &message(LABEL, b"?"));
        node.opened();
        let (mut accepted, _) = listener.accept().unwrap();
        accepted.write_all(&message(b"", b"answer")[..8]).unwrap();
        assert_eq!(node.closed().2, CloseReason::IdleTimeout);
        node.wait_until_idle();
    }
}

/// Peers that really send what they announce, and never finish, share what may be held for all of them;
/// others go on meanwhile.
#[test]
fn unfinished_messages_share_a_bound() {
    for driver in DRIVERS {
        let options = StreamOptions {
            message_bytes_max: 4 << 20,
            assembled_bytes_max: 8 << 20,
            pooled_bytes_max: 0,
            ..scanned()
        };
        let mut node = Node::start(driver, options);
        let unfinished = message(LABEL, &pattern(3 << 20, 8));
        let unfinished = &unfinished[..unfinished.len() - 1];
        let mut peers: Vec<TcpStream> = (0..8)
            .map(|_| {
                let mut peer = TcpStream::connect(node.address).unwrap();
                // Some are cut off.
                let _ = peer.write_all(unfinished);
                peer
            })
            .collect();
        node.wait_for_count("most to be cut off", |counters| {
            counters.memory_shed.get() >= 6 && counters.open.get() + counters.memory_shed.get() == 8
        });
        let mut peer = TcpStream::connect(node.address).unwrap();
        peer.write_all(&message(LABEL, b"small")).unwrap();
        assert_eq!(node.message().2, message(LABEL, b"small"));
        drop(peer);
        assert_eq!(node.closed().2, CloseReason::PeerClosed);

        // Those that are left may finish; and what they held is free again.
        let left = node.counters().open.get();
        for peer in &mut peers {
            let _ = peer.write_all(b".");
        }
        for _ in 0..left {
            assert_eq!(node.message().2.len(), unfinished.len() + 1);
        }
        drop(peers);
        for _ in 0..left {
            node.closed();
        }
        node.wait_until_idle();
        for _ in 0..4 {
            let whole = message(LABEL, &pattern(3 << 20, 9));
            let mut peer = TcpStream::connect(node.address).unwrap();
            peer.write_all(&whole).unwrap();
            assert!(node.message().2 == whole);
            drop(peer);
            node.closed();
        }
    }
}

#[test]
fn accepted_exchanges_over_the_limit_are_shed_and_counted() {
    for driver in DRIVERS {
        let mut node = Node::start(driver, StreamOptions { accepted_max: 3, ..scanned() });
        let mut peers: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(node.address).unwrap()).collect();
        node.wait_for_count("three", |counters| counters.open.get() == 3);
        for _ in 0..5 {
            assert_eq!(read_to_close(&mut TcpStream::connect(node.address).unwrap()), b"");
        }
        assert_eq!((node.counters().shed.get(), node.counters().accepted.get()), (5, 3));
        peers[0].write_all(&message(LABEL, b"still here")).unwrap();
        assert_eq!(node.message().2, message(LABEL, b"still here"));
    }
}

/// A peer that cannot use what it was sent says so and closes at once, with our turn still unread: its
/// kernel then resets the connection, but the words came before.
#[test]
fn an_error_answer_before_a_close_is_delivered() {
    for driver in DRIVERS {
        let mut node = Node::start(driver, scanned());
        for round in 0..30 {
            let (listener, to) = loopback();
            let turn = message(LABEL, &vec![7; 1 + round * 40_000]);
            open(&mut node, 9, None, to, &turn);
            let (mut accepted, _) = listener.accept().unwrap();
            let mut some = [0; 100];
            accepted.read_exact(&mut some[..1]).unwrap();
            accepted.write_all(&message(b"", b"error: not you")).unwrap();
            drop(accepted);
            node.opened();
            assert_eq!(node.message().2, message(b"", b"error: not you"), "round {round}");
            let reason = node.closed().2;
            assert!(matches!(reason, CloseReason::PeerClosed | CloseReason::Broken(_)), "{reason:?}");
        }
        node.wait_until_idle();
    }
}

/// A peer reads exactly the answer and closes; it never closes its half before.
#[test]
fn a_peer_that_reads_the_answer_and_closes_ends_the_exchange_cleanly() {
    for driver in DRIVERS {
        let mut node = Node::start(driver, scanned());
        let answer = message(b"", &pattern(500_000, 6));
        for _ in 0..20 {
            let mut peer = TcpStream::connect(node.address).unwrap();
            peer.write_all(&message(LABEL, b"state")).unwrap();
            let (exchange, ..) = node.message();
            node.port.reply(exchange, answer.clone(), true).unwrap();
            let mut bytes = vec![0; answer.len()];
            peer.read_exact(&mut bytes).unwrap();
            assert!(bytes == answer);
            drop(peer);
            // Its close may be seen before our own is carried out.
            let reason = node.closed().2;
            assert!(matches!(reason, CloseReason::Finished | CloseReason::PeerClosed), "{reason:?}");
        }
        node.wait_until_idle();
        assert_eq!(node.counters().broken.get(), 0);
    }
}
