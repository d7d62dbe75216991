//! Exchanges that go wrong, and every bound, over real sockets and both drivers.
#![allow(clippy::disallowed_methods, reason = "real sockets are what these tests are about")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::stream_support::{DRIVERS, Node, PATIENCE, framed, patient, pattern, read_to_close, wait_for};
use swimring::stream::{CloseReason, StreamError, StreamEvent, StreamOptions, StreamService, Wake};
use swimring_codec::native::STREAM_MESSAGE_MAX;

const SOON: Duration = Duration::from_millis(400);

/// An address that refuses connections: bound, so that nobody else gets it, and not listening.
fn refusing() -> (socket2::Socket, std::net::SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn a_refused_connection_says_why() {
    for driver in DRIVERS {
        let mut node = Node::start(driver, patient());
        let (_reserved, nobody) = refusing();
        let exchange = node.open(5, nobody, &[b"anyone?"]);
        let (closed, token, reason) = node.closed();
        assert_eq!((closed, token), (exchange, Some(5)));
        let CloseReason::Refused(error) = reason else { panic!("{reason:?}") };
        assert_eq!(error.kind, ErrorKind::ConnectionRefused);
        assert_eq!(reason.to_string(), "cannot connect: Connection refused (os error 111)");
        node.wait_until_idle();
        assert_eq!((node.counters().refused.get(), node.counters().opened.get()), (1, 0));
    }
}

#[test]
fn connecting_to_silence_times_out() {
    for driver in DRIVERS {
        let options = StreamOptions { connect_timeout: SOON, ..patient() };
        let mut node = Node::start(driver, options);
        // A listener whose queue is full drops further SYNs: as silent as a host that is not there.
        let (listener, address) = refusing();
        listener.listen(0).unwrap();
        let _filler = TcpStream::connect(address).unwrap();
        node.open(1, address, &[b"anyone?"]);
        assert_eq!(node.closed().2, CloseReason::ConnectTimeout);
        assert_eq!(node.counters().timeouts.get(), 1);
        // Closing gives up at once.
        let exchange = node.open(2, address, &[b"anyone?"]);
        assert!(node.port.close(exchange));
        assert_eq!(node.closed(), (exchange, Some(2), CloseReason::Finished));
        node.wait_until_idle();
    }
}

#[test]
fn a_stalled_peer_times_out_in_every_state() {
    for driver in DRIVERS {
        let options = StreamOptions { idle_timeout: SOON, ..patient() };
        let mut node = Node::start(driver, options);
        let counters = node.service.counters().clone();

        // It accepts, and never answers.
        let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        node.open(1, deaf.local_addr().unwrap(), &[b"hello"]);
        node.opened();
        assert_eq!(node.closed().2, CloseReason::IdleTimeout);

        // It accepts, and never reads: our turn stays stuck in the socket buffers.
        let turn = vec![1; 1 << 20];
        node.open(2, deaf.local_addr().unwrap(), &[turn.as_slice(); 40]);
        node.opened();
        assert_eq!(node.closed().2, CloseReason::IdleTimeout);

        // It connects, and says nothing, or half a prefix, or half a message.
        for (i, bytes) in [vec![], vec![5, 0], framed(&[&turn])[..100_000].to_vec()].iter().enumerate() {
            let mut peer = TcpStream::connect(node.address).unwrap();
            let _ = peer.write_all(bytes);
            read_to_close(&mut peer);
            wait_for("the count", || (counters.timeouts.get() == 3 + i as u64).then_some(()));
        }

        // It says something, and then nothing.
        let mut peer = TcpStream::connect(node.address).unwrap();
        peer.write_all(&framed(&[b"one message"])).unwrap();
        assert_eq!(node.message().2, b"one message");
        assert_eq!(node.closed().2, CloseReason::IdleTimeout);
        node.wait_until_idle();
        assert_eq!(node.counters().timeouts.get(), 6);
        assert!(node.try_event().is_none());
    }
}

#[test]
fn a_peer_that_trickles_meets_the_deadline() {
    for driver in DRIVERS {
        let options = StreamOptions { exchange_timeout: SOON, ..patient() };
        let mut node = Node::start(driver, options);
        let mut peer = TcpStream::connect(node.address).unwrap();
        let ended = wait_for("the deadline", || {
            let _ = peer.write_all(&framed(&[b"."]));
            match node.event() {
                StreamEvent::Closed { reason, .. } => Some(reason),
                _ => None,
            }
        });
        assert_eq!(ended, CloseReason::ExchangeTimeout);

        // An opener may ask for less than the setting.
        let mut node = Node::start(driver, patient());
        let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let turn = node.turn(&[b"quick"]);
        node.port.open(1, None, deaf.local_addr().unwrap(), turn, SOON).unwrap();
        node.opened();
        assert_eq!(node.closed().2, CloseReason::ExchangeTimeout);
    }
}

#[test]
fn bad_lengths_and_garbage_end_the_exchange() {
    for driver in DRIVERS {
        let mut node = Node::start(driver, patient());
        let garbage = pattern(200_000, 77);
        let announced = u32::from_le_bytes(garbage[..4].try_into().unwrap());
        assert!(announced as usize > STREAM_MESSAGE_MAX);
        let too_long = (STREAM_MESSAGE_MAX as u32 + 1).to_le_bytes();
        for (i, bytes) in [too_long.as_slice(), &[0; 4], &[255; 4], &garbage].into_iter().enumerate() {
            let mut peer = TcpStream::connect(node.address).unwrap();
            // The service may hang up before all of it is sent.
            let _ = peer.write_all(bytes);
            read_to_close(&mut peer);
            wait_for("the count", || (node.counters().protocol_errors.get() == 1 + i as u64).then_some(()));
        }
        assert!(node.try_event().is_none(), "a peer that said nothing sensible was mentioned");

        // After a good message, the worker is told.
        let mut peer = TcpStream::connect(node.address).unwrap();
        peer.write_all(&[framed(&[b"good"]).as_slice(), &too_long].concat()).unwrap();
        assert_eq!(node.message().2, b"good");
        assert_eq!(node.closed().2, CloseReason::BadLength(STREAM_MESSAGE_MAX as u32 + 1));
        node.wait_until_idle();
    }
}

#[test]
fn a_close_in_the_middle_of_a_message_is_told_from_a_clean_one() {
    for driver in DRIVERS {
        let mut node = Node::start(driver, patient());
        let bytes = framed(&[b"whole", &[9; 50_000]]);
        for (sent, reason) in [(9, CloseReason::PeerClosed), (30_000, CloseReason::Truncated)] {
            let mut peer = TcpStream::connect(node.address).unwrap();
            peer.write_all(&bytes[..sent]).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            assert_eq!(node.message().2, b"whole");
            assert_eq!(node.closed().2, reason);
        }
        node.wait_until_idle();
        assert_eq!(node.counters().protocol_errors.get(), 1);
    }
}

#[test]
fn a_reset_breaks_the_exchange() {
    for driver in DRIVERS {
        let mut node = Node::start(driver, patient());
        let mut peer = TcpStream::connect(node.address).unwrap();
        peer.write_all(&framed(&[b"whole"])).unwrap();
        let (exchange, ..) = node.message();
        socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        let (closed, _, reason) = node.closed();
        let CloseReason::Broken(error) = reason else { panic!("{reason:?}") };
        assert_eq!((closed, error.kind), (exchange, ErrorKind::ConnectionReset));
        node.wait_until_idle();
        node.reply(exchange, &[b"too late"], true);
        wait_for("the count", || (node.counters().late_replies.get() == 1).then_some(()));
        assert_eq!(node.counters().broken.get(), 1);
    }
}

#[test]
fn more_bytes_than_an_exchange_may_hold_end_it() {
    for driver in DRIVERS {
        let options = StreamOptions { exchange_bytes_max: 3 << 20, ..patient() };
        let mut node = Node::start(driver, options);
        let mut peer = TcpStream::connect(node.address).unwrap();
        let message = vec![3; 1_000_000];
        let _ = peer.write_all(&framed(&[message.as_slice(); 5]));
        for _ in 0..3 {
            assert!(node.message().2 == message);
        }
        assert_eq!(node.closed().2, CloseReason::ExchangeTooLong);
        node.wait_until_idle();
        assert_eq!(node.counters().protocol_errors.get(), 1);
    }
}

#[test]
fn exchanges_over_the_limits_are_shed() {
    for driver in DRIVERS {
        let options = StreamOptions { exchanges_max: 6, accepted_max: 4, ..patient() };
        let mut node = Node::start(driver, options);
        let mut peers: Vec<_> = (0..4).map(|_| TcpStream::connect(node.address).unwrap()).collect();
        wait_for("four exchanges", || (node.counters().open.get() == 4).then_some(()));
        let mut excess = TcpStream::connect(node.address).unwrap();
        assert_eq!(read_to_close(&mut excess), b"");
        assert_eq!(node.counters().shed.get(), 1);

        // What is kept back for our own is not shed, until that is used up too.
        let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = deaf.local_addr().unwrap();
        let first = node.open(1, to, &[b"a"]);
        assert_eq!(node.opened().1, 1);
        node.open(2, to, &[b"b"]);
        assert_eq!(node.opened().1, 2);
        let shed = node.open(3, to, &[b"c"]);
        assert_eq!(node.closed(), (shed, Some(3), CloseReason::Shed));
        assert_eq!((node.counters().open.get(), node.counters().shed.get()), (6, 2));

        // An end makes room, on both sides.
        assert!(node.port.close(first));
        let (mut accepted, _) = deaf.accept().unwrap();
        assert_eq!(read_to_close(&mut accepted), framed(&[b"a"]));
        drop(accepted);
        assert_eq!(node.closed(), (first, Some(1), CloseReason::Finished));
        peers.pop();
        wait_for("room", || (node.counters().open.get() == 4).then_some(()));
        node.open(4, to, &[b"d"]);
        assert_eq!(node.opened().1, 4);
        let mut welcome = TcpStream::connect(node.address).unwrap();
        welcome.write_all(&framed(&[b"hello"])).unwrap();
        assert_eq!(node.message().2, b"hello");
    }
}

#[test]
fn a_worker_that_does_not_poll_loses_the_exchange_and_no_other_worker_suffers() {
    struct Nobody;
    impl Wake for Nobody {
        fn wake(&self) {}
    }
    for driver in DRIVERS {
        let options = StreamOptions { driver, queue_depth: 4, queue_wait: SOON, ..patient() };
        let listeners: Vec<_> =
            (0..2).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
        let [lazy, busy] = [0, 1].map(|i: usize| listeners[i].local_addr().unwrap());
        let wakers: Vec<Arc<dyn Wake>> = vec![Arc::new(Nobody), Arc::new(Nobody)];
        let (service, mut ports) = StreamService::start(listeners, wakers, options).unwrap();

        let mut flood = TcpStream::connect(lazy).unwrap();
        flood.write_all(&framed(&[b"m".as_slice(); 10])).unwrap();
        let mut other = TcpStream::connect(busy).unwrap();
        other.set_read_timeout(Some(PATIENCE)).unwrap();
        // The busy worker answers while the lazy one's queue is full.
        for _ in 0..50 {
            other.write_all(&framed(&[b"ping"])).unwrap();
            wait_for("the ping", || match ports[1].poll()? {
                StreamEvent::Message { exchange, bytes, .. } => {
                    let mut turn = ports[1].buffer();
                    turn.extend_from_slice(&framed(&[&bytes]));
                    ports[1].reply(exchange, turn, false).unwrap();
                    Some(())
                }
                _ => None,
            });
            let mut pong = [0; 8];
            other.read_exact(&mut pong).unwrap();
            assert_eq!(pong, framed(&[b"ping"])[..]);
        }
        read_to_close(&mut flood);
        wait_for("the count", || (service.counters().worker_busy.get() == 1).then_some(()));
        // The end waits until there is room for it, and is not lost.
        for _ in 0..4 {
            assert!(matches!(ports[0].poll(), Some(StreamEvent::Message { .. })));
        }
        let end = wait_for("the end", || ports[0].poll());
        let StreamEvent::Closed { reason, .. } = end else { panic!("{end:?}") };
        assert_eq!(reason, CloseReason::WorkerBusy);
        service.stop();
    }
}

#[test]
fn a_slow_worker_slows_the_peer_down_instead_of_filling_memory() {
    for driver in DRIVERS {
        let options = StreamOptions { queued_bytes_max: 2 << 20, queue_depth: 64, ..patient() };
        let mut node = Node::start(driver, options);
        let address = node.address;
        let message = pattern(1_000_000, 5);
        let turn = framed(&[message.as_slice(); 30]);
        let sender = std::thread::spawn(move || {
            let mut peer = TcpStream::connect(address).unwrap();
            peer.write_all(&turn).unwrap();
        });
        for taken in 0..30 {
            assert!(node.counters().messages_in.get() <= taken + 2, "more than two messages wait");
            let (_, _, bytes) = node.message();
            assert!(bytes == message);
            node.port.recycle(bytes);
        }
        sender.join().unwrap();
        assert_eq!(node.closed().2, CloseReason::PeerClosed);
    }
}

#[test]
fn waiting_bytes_are_bounded() {
    for driver in DRIVERS {
        let options = StreamOptions { queued_bytes_max: 2 << 20, queue_wait: SOON, ..patient() };
        let mut node = Node::start(driver, options);
        let address = node.address;
        let turn = framed(&[vec![1; 1_000_000].as_slice(); 30]);
        let sender = std::thread::spawn(move || {
            let mut peer = TcpStream::connect(address).unwrap();
            let _ = peer.write_all(&turn);
        });
        wait_for("the end", || (node.counters().worker_busy.get() == 1).then_some(()));
        assert_eq!(node.counters().messages_in.get(), 2);
        sender.join().unwrap();
        for _ in 0..2 {
            node.message();
        }
        assert_eq!(node.closed().2, CloseReason::WorkerBusy);
    }
}

#[test]
fn a_full_command_queue_gives_the_turn_back() {
    for driver in DRIVERS {
        // The end of each exchange finds no room, so the command queue backs up behind it.
        let options = StreamOptions { queue_depth: 2, exchanges_max: 2, accepted_max: 1, ..patient() };
        let mut node = Node::start(driver, options);
        let (_reserved, nobody) = refusing();
        let mut given = 0_u64;
        let refused = wait_for("the queue to fill", || {
            let turn = framed(&[b"turn"]);
            match node.port.open(given, None, nobody, turn, PATIENCE) {
                Ok(_) => {
                    given += 1;
                    None
                }
                Err(turn) => (node.counters().commands_shed.get() > 20).then_some(turn),
            }
        });
        assert_eq!(refused, framed(&[b"turn"]));
        // Every open that was taken is answered by one end.
        let mut ended: Vec<u64> = (0..given).map(|_| node.closed().1.unwrap()).collect();
        ended.sort_unstable();
        assert_eq!(ended, (0..given).collect::<Vec<_>>());
        node.wait_until_idle();
        assert!(node.try_event().is_none());
    }
}

#[test]
fn too_many_waiting_turns_end_the_exchange() {
    for driver in DRIVERS {
        let mut node = Node::start(driver, patient());
        let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let exchange = node.open(1, deaf.local_addr().unwrap(), &[b"first"]);
        node.opened();
        let large = vec![0; 1 << 20];
        for _ in 0..100 {
            node.reply(exchange, &[&large], false);
        }
        assert_eq!(node.closed().2, CloseReason::TooManyTurns);
        node.wait_until_idle();
        assert_eq!(node.counters().turns_shed.get(), 1);
    }
}

#[test]
fn stopping_closes_what_is_open() {
    for driver in DRIVERS {
        let mut node = Node::start(driver, patient());
        let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let large = vec![0; 1 << 20];
        let mut expected = Vec::new();
        for token in 0..20 {
            expected.push(node.open(token, deaf.local_addr().unwrap(), &[large.as_slice(); 8]));
            node.opened();
        }
        let mut silent = TcpStream::connect(node.address).unwrap();
        let mut talking = TcpStream::connect(node.address).unwrap();
        talking.write_all(&framed(&[b"hello"])).unwrap();
        expected.push(node.message().0);
        wait_for("both", || (node.counters().accepted.get() == 2).then_some(()));

        let counters = node.service.counters().clone();
        let Node { service, mut port, address, .. } = node;
        service.stop();
        assert_eq!(counters.open.get(), 0);
        let mut ended = Vec::new();
        while let Some(event) = port.poll() {
            let StreamEvent::Closed { exchange, reason, .. } = event else { panic!("{event:?}") };
            assert_eq!(reason, CloseReason::Stopped);
            ended.push(exchange);
        }
        ended.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ended, expected);
        assert_eq!(read_to_close(&mut silent), b"");
        assert_eq!(read_to_close(&mut talking), b"");
        let gone = TcpStream::connect(address).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);
        // A port may outlive its service.
        let _ = port.open(99, None, address, framed(&[b"?"]), PATIENCE);
        assert!(port.poll().is_none());
    }
}

#[test]
fn settings_out_of_bounds_are_named() {
    struct Nobody;
    impl Wake for Nobody {
        fn wake(&self) {}
    }
    let good = StreamOptions::default;
    let cases = [
        ("exchanges_max", StreamOptions { exchanges_max: 1, ..good() }),
        ("accepted_max", StreamOptions { accepted_max: 256, ..good() }),
        ("queue_depth", StreamOptions { queue_depth: 0, ..good() }),
        ("message_bytes_max", StreamOptions { message_bytes_max: 1000, ..good() }),
        ("message_bytes_max", StreamOptions { message_bytes_max: 65 << 20, ..good() }),
        ("assembled_bytes_max", StreamOptions { assembled_bytes_max: 1000, ..good() }),
        ("queued_bytes_max", StreamOptions { queued_bytes_max: 1000, ..good() }),
        ("exchange_bytes_max", StreamOptions { exchange_bytes_max: 1000, ..good() }),
        ("idle_timeout", StreamOptions { idle_timeout: Duration::ZERO, ..good() }),
    ];
    for (name, options) in cases {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let error = StreamService::start(vec![listener], vec![Arc::new(Nobody)], options).unwrap_err();
        let StreamError::Option { setting, .. } = &error else { panic!("{error}") };
        assert_eq!(*setting, name);
        assert!(error.to_string().contains("give"), "{error}");
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let error = StreamService::start(vec![listener], vec![], good()).unwrap_err();
    assert_eq!(error.to_string(), "stream setting `wakers`: give one per listener: 1, not 0");
    let error = StreamService::start(vec![], vec![], good()).unwrap_err();
    assert!(error.to_string().starts_with("stream setting `listeners`"), "{error}");
}
