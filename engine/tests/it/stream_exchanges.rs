//! Exchanges that go well, over real sockets and both drivers.
#![allow(clippy::disallowed_methods, reason = "real sockets and threads are what these tests are about")]

use crate::stream_support;

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use crate::stream_support::{DRIVERS, Node, PATIENCE, patient, pattern, wait_for};
use swimring::stream::{CloseReason, StreamEvent, StreamService, Wake};

#[test]
fn several_turns_are_echoed() {
    for driver in DRIVERS {
        let (mut here, mut there) = (Node::start(driver, patient()), Node::start(driver, patient()));
        let exchange = here.open(7, there.address, &[b"turn 0"]);
        assert_eq!(here.opened(), (exchange, 7));
        for turn in 0..20 {
            let (at_peer, token, bytes) = there.message();
            assert_eq!((token, bytes.as_slice()), (None, format!("turn {turn}").as_bytes()));
            there.reply(at_peer, &[&bytes, b"echoed"], false);
            there.port.recycle(bytes);

            assert_eq!(here.message(), (exchange, Some(7), format!("turn {turn}").into_bytes()));
            assert_eq!(here.message(), (exchange, Some(7), b"echoed".to_vec()));
            if turn < 19 {
                here.reply(exchange, &[format!("turn {}", turn + 1).as_bytes()], false);
            }
        }
        assert!(here.port.close(exchange));
        assert_eq!(here.closed(), (exchange, Some(7), CloseReason::Finished));
        assert_eq!(there.closed().2, CloseReason::PeerClosed);
        here.wait_until_idle();
        there.wait_until_idle();
        here.check_wakes();
        there.check_wakes();
        assert_eq!((here.counters().opened.get(), there.counters().accepted.get()), (1, 1));
        assert_eq!(here.counters().bytes_out.get(), there.counters().bytes_in.get());
        assert_eq!(there.counters().bytes_out.get(), here.counters().bytes_in.get());
        assert_eq!(here.counters().messages_in.get(), 40);
    }
}

/// How many buffers the pool of `node` holds.
fn spare_buffers(node: &mut Node) -> usize {
    let spare: Vec<_> =
        std::iter::from_fn(|| Some(node.port.buffer()).filter(|buffer| buffer.capacity() > 0)).collect();
    let count = spare.len();
    spare.into_iter().for_each(|buffer| node.port.recycle(buffer));
    count
}

/// Whichever side closes, and how, both get back what they have lent to the exchange: a fleet that sets buffers aside
/// allocates none later.
#[test]
fn a_closed_exchange_gives_its_buffers_back() {
    for driver in DRIVERS {
        let (mut here, mut there) = (Node::start(driver, patient()), Node::start(driver, patient()));
        here.port.set_aside(16, 0, 0);
        there.port.set_aside(16, 0, 0);
        let aside = [16, 16];
        for round in 0..40 {
            let exchange = here.open(round, there.address, &[b"ping"]);
            here.opened();
            let (at_peer, _, bytes) = there.message();
            there.port.recycle(bytes);
            if round % 4 < 2 {
                there.reply(at_peer, &[b"pong"], round % 4 == 1);
                let (.., bytes) = here.message();
                here.port.recycle(bytes);
            }
            if round % 4 != 1 {
                assert!(here.port.close(exchange));
            }
            here.closed();
            there.closed();
            here.wait_until_idle();
            there.wait_until_idle();
        }
        assert_eq!([spare_buffers(&mut here), spare_buffers(&mut there)], aside, "{driver:?}");
    }
}

#[test]
fn the_last_turn_arrives_before_the_close() {
    for driver in DRIVERS {
        let (mut here, mut there) = (Node::start(driver, patient()), Node::start(driver, patient()));
        let last = pattern(900_000, 3);
        let exchange = here.open(1, there.address, &[b"tell me all"]);
        here.opened();
        let (at_peer, ..) = there.message();
        there.reply(at_peer, &[last.as_slice(); 5], true);
        // What is said after the close harms nothing, and is dropped.
        here.reply(exchange, &[&last], false);
        for _ in 0..5 {
            assert!(here.message().2 == last);
        }
        assert_eq!(here.closed().2, CloseReason::PeerClosed);
        // Unless it is heard before the last of the five is sent.
        let end = match there.event() {
            StreamEvent::Message { bytes, .. } => {
                assert!(bytes == last);
                there.closed().2
            }
            StreamEvent::Closed { reason, .. } => reason,
            StreamEvent::Opened { .. } => panic!("opened nothing"),
        };
        assert_eq!(end, CloseReason::Finished);
    }
}

#[test]
fn both_sides_may_send_megabytes_at_the_same_time() {
    for driver in DRIVERS {
        let (mut here, mut there) = (Node::start(driver, patient()), Node::start(driver, patient()));
        let messages: Vec<_> = (0..24).map(|i| pattern((1 << 20) - i * 40_000, i as u32)).collect();
        let turn: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let exchange = here.open(1, there.address, &turn);
        here.opened();
        let (at_peer, _, first) = there.message();
        assert!(first == messages[0]);
        there.reply(at_peer, &turn, false);
        let (mut from_here, mut from_there) = (1, 0);
        while from_here < messages.len() || from_there < messages.len() {
            if let Some(StreamEvent::Message { bytes, .. }) = there.try_event() {
                assert!(bytes == messages[from_here]);
                from_here += 1;
                there.port.recycle(bytes);
            }
            if let Some(StreamEvent::Message { bytes, .. }) = here.try_event() {
                assert!(bytes == messages[from_there]);
                from_there += 1;
                here.port.recycle(bytes);
            }
        }
        assert!(here.port.close(exchange));
        assert_eq!(here.closed().2, CloseReason::Finished);
        assert_eq!(there.closed().2, CloseReason::PeerClosed);
    }
}

#[test]
fn whatever_the_host_permits_is_used() {
    use swimring::stream::StreamDriver;
    let start = || Node::start(StreamDriver::Automatic, patient());
    let (mut here, mut there) = (start(), start());
    let permitted = io_uring::IoUring::new(2).is_ok();
    let expected = if permitted { StreamDriver::Uring } else { StreamDriver::Readiness };
    assert_eq!(here.service.driver(), expected);
    here.open(1, there.address, &[b"hello"]);
    assert_eq!(there.message().2, b"hello");
}

#[test]
fn the_largest_message_is_taken() {
    for driver in DRIVERS {
        let (mut here, mut there) = (Node::start(driver, patient()), Node::start(driver, patient()));
        let largest = pattern(swimring_codec::native::STREAM_MESSAGE_MAX, 9);
        here.open(1, there.address, &[&largest, b"x"]);
        assert!(there.message().2 == largest);
        assert_eq!(there.message().2, b"x");
    }
}

#[test]
fn replies_given_before_connecting_follow_the_first_turn() {
    for driver in DRIVERS {
        let (mut here, mut there) = (Node::start(driver, patient()), Node::start(driver, patient()));
        let exchange = here.open(1, there.address, &[b"first"]);
        here.reply(exchange, &[b"second"], false);
        here.reply(exchange, &[b"third"], true);
        for expected in [b"first".as_slice(), b"second", b"third"] {
            assert_eq!(there.message().2, expected);
        }
        assert_eq!(there.closed().2, CloseReason::PeerClosed);
        assert_eq!(here.opened().0, exchange);
        assert_eq!(here.closed().2, CloseReason::Finished);
    }
}

/// Answers whatever arrives with one turn and a close, until `ends` exchanges have ended.
fn answer(node: &mut Node, ends: usize) {
    let mut ended = 0;
    while ended < ends {
        match node.event() {
            StreamEvent::Message { exchange, bytes, .. } => {
                node.reply(exchange, &[&bytes], true);
                node.port.recycle(bytes);
            }
            StreamEvent::Closed { .. } => ended += 1,
            StreamEvent::Opened { .. } => panic!("opened nothing"),
        }
    }
}

#[test]
fn five_hundred_exchanges_one_after_another() {
    for driver in DRIVERS {
        let (mut here, mut there) = (Node::start(driver, patient()), Node::start(driver, patient()));
        let to = there.address;
        let peer = std::thread::spawn(move || {
            answer(&mut there, 500);
            there
        });
        for token in 0..500 {
            let exchange = here.open(token, to, &[&token.to_le_bytes()]);
            assert_eq!(here.opened(), (exchange, token));
            let (_, _, bytes) = here.message();
            assert_eq!(bytes, token.to_le_bytes());
            here.port.recycle(bytes);
            assert_eq!(here.closed(), (exchange, Some(token), CloseReason::PeerClosed));
        }
        let there = peer.join().unwrap();
        here.wait_until_idle();
        there.wait_until_idle();
        assert_eq!(there.counters().accepted.get(), 500);
    }
}

#[test]
fn a_hundred_exchanges_at_once() {
    for driver in DRIVERS {
        let (mut here, mut there) = (Node::start(driver, patient()), Node::start(driver, patient()));
        let payload = |token: u64| pattern(1_000 + token as usize * 3_000, token as u32);
        for token in 0..100 {
            here.open(token, there.address, &[&payload(token)]);
        }
        let peer = std::thread::spawn(move || answer(&mut there, 100));
        let mut answers = HashMap::new();
        let mut ended = 0;
        while ended < 100 {
            match here.event() {
                StreamEvent::Opened { .. } => {}
                StreamEvent::Message { token, bytes, .. } => {
                    let token = token.unwrap();
                    assert!(bytes == payload(token), "exchange {token}");
                    assert!(answers.insert(token, ()).is_none());
                    here.port.recycle(bytes);
                }
                StreamEvent::Closed { reason, .. } => {
                    assert_eq!(reason, CloseReason::PeerClosed);
                    ended += 1;
                }
            }
        }
        assert_eq!(answers.len(), 100);
        peer.join().unwrap();
        here.wait_until_idle();
    }
}

#[test]
fn an_exchange_goes_to_the_worker_of_its_listener() {
    struct Nobody;
    impl Wake for Nobody {
        fn wake(&self) {}
    }
    for driver in DRIVERS {
        let listeners: Vec<_> =
            (0..3).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
        let addresses: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let wakers: Vec<Arc<dyn Wake>> = vec![Arc::new(Nobody), Arc::new(Nobody), Arc::new(Nobody)];
        let options = swimring::stream::StreamOptions { driver, ..patient() };
        let (service, mut ports) = StreamService::start(listeners, wakers, options).unwrap();
        for i in 0..3 {
            let turn = stream_support::framed(&[&[i as u8 + 1]]);
            ports[i].open(i as u64, None, addresses[(i + 1) % 3], turn, PATIENCE).unwrap();
        }
        for (i, port) in ports.iter_mut().enumerate() {
            let sender = (i + 2) % 3;
            wait_for("the message", || match port.poll()? {
                StreamEvent::Message { bytes, token: None, .. } => {
                    assert_eq!(bytes, [sender as u8 + 1]);
                    Some(())
                }
                _ => None,
            });
        }
        service.stop();
    }
}
