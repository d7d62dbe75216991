//! Both datagram drivers, the same expectations.
//!
//! Every test is written once and run against io_uring and mmsg, with own addresses told and not, over real
//! sockets on loopback. Loopback loses
//! nothing while receive buffers hold, so every frame is accounted for; no test needs more than the 208 KiB
//! that an untuned kernel allows.

#![allow(clippy::disallowed_methods, reason = "plain sockets and threads are the other side of these tests")]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use swimring::net::{
    DatagramHandler, Driver, DriverChoice, DriverKind, Endpoint, NetError, NetOptions, Trains,
};
use swimring::protocol::FrameSink;

/// Turns without a datagram after which a test gives up on the rest.
const QUIET_TURNS: u32 = 20;
const TURN: Duration = Duration::from_millis(50);

/// Runs each test four times: on each driver, with own addresses and without.
macro_rules! on_both_drivers {
    ($($test:ident),+ $(,)?) => {
        mod io_uring {
            $(#[test] fn $test() { super::with(super::DriverChoice::IoUring, false, super::$test); })+
        }
        mod mmsg {
            $(#[test] fn $test() { super::with(super::DriverChoice::Mmsg, false, super::$test); })+
        }
        mod io_uring_own_addresses {
            $(#[test] fn $test() { super::with(super::DriverChoice::IoUring, true, super::$test); })+
        }
        mod mmsg_own_addresses {
            $(#[test] fn $test() { super::with(super::DriverChoice::Mmsg, true, super::$test); })+
        }
    };
}

on_both_drivers!(
    every_frame_is_echoed,
    one_frame_is_one_datagram_of_its_length,
    a_train_is_split_exactly,
    without_segmentation_every_frame_has_its_length,
    without_coalescing_trains_arrive_in_parts,
    empty_datagrams_do_not_stop_reception,
    too_long_a_datagram_is_dropped_alone,
    more_messages_than_buffers_all_arrive,
    many_destinations_each_get_their_own,
    frames_past_the_pool_are_counted,
    a_small_pool_is_flushed_while_receiving,
    a_full_receive_buffer_is_counted,
    only_an_empty_socket_is_drained,
    what_lay_unread_is_as_old_as_that,
    a_pending_icmp_error_stops_nothing,
    what_cannot_be_sent_is_counted,
    a_waker_ends_the_wait,
    wakes_before_the_wait_are_one,
    every_hop_between_two_drivers_wakes,
    timeouts_pass,
    ipv6_works,
    a_wildcard_takes_both_families,
    a_dropped_driver_frees_its_port_at_once,
);

fn with(driver: DriverChoice, own_addresses: bool, test: fn(&NetOptions)) {
    let options = NetOptions { driver, own_addresses, ..NetOptions::default() };
    if driver == DriverChoice::IoUring {
        match Driver::open(Endpoint::bind(loopback(), &options).unwrap(), &options) {
            Err(NetError::IoUringUnavailable { reason }) => {
                println!("skipped: the kernel refuses io_uring ({reason})");
                return;
            }
            opened => assert_eq!(opened.unwrap().kind(), DriverKind::IoUring),
        }
    }
    test(&options);
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn open(options: &NetOptions) -> Driver {
    Driver::open(Endpoint::bind(loopback(), options).unwrap(), options).unwrap()
}

/// Keeps everything received.
#[derive(Default)]
struct Collect(Vec<(SocketAddr, Vec<u8>)>);

impl DatagramHandler for Collect {
    fn datagram(&mut self, from: SocketAddr, _: Option<IpAddr>, bytes: &[u8], _: &mut Trains) {
        self.0.push((from, bytes.to_vec()));
    }
}

/// Turns `driver` until `count` datagrams have come, or none comes any more.
fn receive(driver: &mut Driver, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut collect = Collect::default();
    let mut quiet = 0;
    while collect.0.len() < count && quiet < QUIET_TURNS {
        let before = collect.0.len();
        driver.turn(Some(TURN), &mut collect).unwrap();
        quiet = if collect.0.len() == before { quiet + 1 } else { 0 };
    }
    collect.0
}

fn write(driver: &mut Driver, to: SocketAddr, frame: &[u8]) {
    driver.trains().reserve(to, frame.len()).expect("the trains have room").copy_from_slice(frame);
}

/// Frame `number`, of a length that depends on it.
fn frame(number: u32) -> Vec<u8> {
    let len = 4 + (number as usize * 37) % 1397;
    number.to_le_bytes().into_iter().chain((0..len - 4).map(|i| (i as u32 ^ number) as u8 | 1)).collect()
}

/// A turn hands over what it may: whoever asks is told whether that was all. Timers judge by it.
fn only_an_empty_socket_is_drained(options: &NetOptions) {
    for coalescing in [true, false] {
        let mut driver = open(&NetOptions { coalescing, ..options.clone() });
        let sender = UdpSocket::bind(loopback()).unwrap();
        // Each a message of its own; more than any turn takes.
        let count = 300;
        for number in 0..count as u32 {
            sender.send_to(&number.to_le_bytes(), driver.local_address()).unwrap();
        }
        let mut collect = Collect::default();
        let mut turns = 0;
        while collect.0.len() < count {
            driver.turn(Some(Duration::ZERO), &mut collect).unwrap();
            turns += 1;
            assert!(turns < 10_000, "{} of {count}", collect.0.len());
            assert!(!driver.drained() || collect.0.len() == count, "{} of {count}", collect.0.len());
        }
        // As many turns as the last messages took leave nothing behind.
        while !driver.drained() {
            turns += 1;
            assert!(turns < 10_000, "nothing is left, and it is not said");
            driver.turn(Some(Duration::ZERO), &mut collect).unwrap();
        }
        assert_eq!(collect.0.len(), count);
        assert!(driver.backlog_max() >= count as u64, "{}", driver.backlog_max());
    }
}

/// By the age of what is read, whoever is behind in reading knows how far.
fn what_lay_unread_is_as_old_as_that(options: &NetOptions) {
    let unread = Duration::from_millis(30);
    for coalescing in [true, false] {
        let mut driver = open(&NetOptions { coalescing, ..options.clone() });
        assert_eq!(driver.age(), None, "nothing has arrived");
        UdpSocket::bind(loopback()).unwrap().send_to(b"datagram", driver.local_address()).unwrap();
        std::thread::sleep(unread);
        assert_eq!(receive(&mut driver, 1).len(), 1);
        let age = driver.age().expect("the kernel says when a message arrived");
        assert!(age >= unread, "{age:?}");
    }
}

/// Whether `received` is `sent`, perhaps followed by zeros.
fn is_padded(received: &[u8], sent: &[u8]) -> bool {
    received.starts_with(sent) && received[sent.len()..].iter().all(|byte| *byte == 0)
}

fn every_frame_is_echoed(options: &NetOptions) {
    let (mut here, mut there) = (open(options), open(options));
    let mut echo = |from: SocketAddr, _: Option<IpAddr>, bytes: &[u8], trains: &mut Trains| {
        trains.reserve(from, bytes.len()).unwrap().copy_from_slice(bytes);
    };
    for round in 0..20 {
        let numbers = round * 300..(round + 1) * 300;
        for number in numbers.clone() {
            write(&mut here, there.local_address(), &frame(number));
        }
        here.flush().unwrap();
        let mut quiet = 0;
        while there.counters().datagrams_received < u64::from(numbers.end) && quiet < QUIET_TURNS {
            there.turn(Some(TURN), &mut echo).unwrap();
            quiet += 1;
        }
        there.flush().unwrap();
        let mut by_number: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for (from, bytes) in receive(&mut here, 300) {
            assert_eq!(from, there.local_address());
            by_number.insert(u32::from_le_bytes(*bytes.first_chunk().unwrap()), bytes);
        }
        assert_eq!(by_number.keys().copied().collect::<Vec<_>>(), numbers.collect::<Vec<_>>());
        assert!(by_number.iter().all(|(number, bytes)| is_padded(bytes, &frame(*number))));
    }
    assert!(here.counters().trains_sent > 0 && there.counters().trains_sent > 0);
    assert!(there.counters().messages_received < 6000 / 4, "trains arrive whole");
}

fn one_frame_is_one_datagram_of_its_length(options: &NetOptions) {
    let mut driver = open(options);
    let peer = UdpSocket::bind(loopback()).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for len in [1, 63, 64, 65, 1399, 1400] {
        let frame = vec![7; len];
        write(&mut driver, peer.local_addr().unwrap(), &frame);
        driver.flush().unwrap();
        let mut bytes = [0; 2000];
        let (received, from) = peer.recv_from(&mut bytes).unwrap();
        assert_eq!((&bytes[..received], from), (&frame[..], driver.local_address()));
    }
    assert_eq!(driver.counters().trains_sent, 0);
}

/// A plain socket that does not wait for ever.
fn plain() -> UdpSocket {
    let socket = UdpSocket::bind(loopback()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn payloads(received: Vec<(SocketAddr, Vec<u8>)>) -> Vec<Vec<u8>> {
    received.into_iter().map(|(_, bytes)| bytes).collect()
}

fn a_train_is_split_exactly(options: &NetOptions) {
    let (mut here, mut there) = (open(options), open(options));
    // One class, two trains and a part, each with a short end.
    let sent: Vec<Vec<u8>> = (0..300u32).map(|i| vec![i as u8 | 1; 260 + (i as usize * 7) % 125]).collect();
    for frame in &sent {
        write(&mut here, there.local_address(), frame);
    }
    here.flush().unwrap();
    let received = payloads(receive(&mut there, sent.len()));
    assert_eq!(received.len(), sent.len());
    for (number, (received, sent)) in received.iter().zip(&sent).enumerate() {
        let ends_train = matches!(number, 127 | 255 | 299);
        assert_eq!(received.len(), if ends_train { sent.len() } else { 384 }, "{number}");
        assert!(is_padded(received, sent), "{number}");
    }
    let (here, there) = (here.counters(), there.counters());
    assert_eq!((here.trains_sent, here.messages_sent, here.datagrams_sent), (3, 3, 300));
    assert_eq!((there.messages_received, there.datagrams_received), (3, 300));
    assert_eq!(here.bytes_sent, there.bytes_received);
}

fn without_segmentation_every_frame_has_its_length(options: &NetOptions) {
    let mut here = open(&NetOptions { segmentation: false, ..options.clone() });
    let mut there = open(options);
    for number in 0..150 {
        write(&mut here, there.local_address(), &frame(number));
    }
    here.flush().unwrap();
    let mut received = payloads(receive(&mut there, 150));
    received.sort_by_key(|bytes| u32::from_le_bytes(*bytes.first_chunk().unwrap()));
    assert_eq!(received, (0..150).map(frame).collect::<Vec<_>>());
    assert_eq!((here.counters().trains_sent, here.counters().messages_sent), (0, 150));
}

fn without_coalescing_trains_arrive_in_parts(options: &NetOptions) {
    let mut here = open(options);
    let mut there = open(&NetOptions { coalescing: false, ..options.clone() });
    for _ in 0..300 {
        write(&mut here, there.local_address(), &[9; 60]);
    }
    here.flush().unwrap();
    let received = payloads(receive(&mut there, 300));
    assert_eq!(received.len(), 300);
    assert!(received.iter().all(|bytes| is_padded(bytes, &[9; 60])));
    assert_eq!(there.counters().messages_received, 300);
    assert_eq!(here.counters().trains_sent, 3);
}

fn empty_datagrams_do_not_stop_reception(options: &NetOptions) {
    let mut driver = open(options);
    let peer = plain();
    // More than there are buffers, in case each took one for good.
    for round in 0..200u32 {
        for _ in 0..3 {
            peer.send_to(&[], driver.local_address()).unwrap();
        }
        peer.send_to(&round.to_le_bytes(), driver.local_address()).unwrap();
        let expected = vec![(peer.local_addr().unwrap(), round.to_le_bytes().to_vec())];
        assert_eq!(receive(&mut driver, 1), expected, "round {round}");
    }
    assert_eq!(driver.counters().receive_empty, 600);
    assert_eq!(driver.counters().datagrams_received, 200);
}

fn too_long_a_datagram_is_dropped_alone(options: &NetOptions) {
    let mut driver = open(&NetOptions { coalescing: false, ..options.clone() });
    let peer = plain();
    for (len, byte) in [(100, 1), (3000, 2), (60_000, 3), (1400, 4)] {
        peer.send_to(&vec![byte; len], driver.local_address()).unwrap();
    }
    assert_eq!(payloads(receive(&mut driver, 2)), [vec![1; 100], vec![4; 1400]]);
    assert_eq!(driver.counters().receive_truncated, 2);
}

fn more_messages_than_buffers_all_arrive(options: &NetOptions) {
    let mut driver = open(options);
    let peer = plain();
    for number in 0..300u32 {
        peer.send_to(&number.to_le_bytes(), driver.local_address()).unwrap();
    }
    let expected: Vec<Vec<u8>> = (0..300u32).map(|number| number.to_le_bytes().to_vec()).collect();
    assert_eq!(payloads(receive(&mut driver, 300)), expected);
    assert_eq!(driver.counters().messages_received, 300);
}

fn many_destinations_each_get_their_own(options: &NetOptions) {
    let mut driver = open(options);
    // More than one batch of sends.
    let peers: Vec<UdpSocket> = (0..600).map(|_| plain()).collect();
    for (number, peer) in peers.iter().enumerate() {
        write(&mut driver, peer.local_addr().unwrap(), &frame(number as u32));
    }
    driver.flush().unwrap();
    for (number, peer) in peers.iter().enumerate() {
        let mut bytes = [0; 2000];
        let len = peer.recv(&mut bytes).unwrap();
        assert_eq!(bytes[..len], frame(number as u32));
    }
    assert_eq!((driver.counters().messages_sent, driver.counters().send_errors), (600, 0));
}

fn frames_past_the_pool_are_counted(options: &NetOptions) {
    let mut driver = open(&NetOptions { trains_max: 8, ..options.clone() });
    let peers: Vec<UdpSocket> = (0..10).map(|_| plain()).collect();
    let addresses: Vec<SocketAddr> = peers.iter().map(|peer| peer.local_addr().unwrap()).collect();
    let taken = addresses.iter().filter(|to| driver.trains().reserve(**to, 5).is_some()).count();
    assert_eq!((taken, driver.counters().shed_frames), (8, 2));
    assert!(driver.trains().reserve(addresses[0], 5).is_some(), "an open train still takes frames");
    driver.flush().unwrap();
    assert!(driver.trains().reserve(addresses[9], 5).is_some(), "a flush makes room");
    assert!(driver.trains().reserve(addresses[9], 1401).is_none());
    driver.flush().unwrap();
    let counters = driver.counters();
    assert_eq!((counters.shed_frames, counters.unsendable_frames, counters.datagrams_sent), (2, 1, 10));
}

fn a_small_pool_is_flushed_while_receiving(options: &NetOptions) {
    let mut here = open(options);
    let mut there = open(&NetOptions { trains_max: 4, train_memory_bytes: 0, ..options.clone() });
    // Sixteen messages of 16 KiB in one turn, echoed out of 64 KiB.
    for round in 0..16u8 {
        for _ in 0..16 {
            write(&mut here, there.local_address(), &[round + 1; 1000]);
        }
        here.flush().unwrap();
    }
    let mut echo = |from: SocketAddr, _: Option<IpAddr>, bytes: &[u8], trains: &mut Trains| {
        trains.reserve(from, bytes.len()).unwrap().copy_from_slice(bytes);
    };
    let mut quiet = 0;
    while there.counters().datagrams_received < 256 && quiet < QUIET_TURNS {
        there.turn(Some(TURN), &mut echo).unwrap();
        quiet += 1;
    }
    there.flush().unwrap();
    let received = payloads(receive(&mut here, 256));
    for round in 0..16 {
        let mine = received.iter().filter(|bytes| is_padded(bytes, &[round + 1; 1000]));
        assert_eq!(mine.count(), 16, "round {round}");
    }
    assert_eq!(there.counters().shed_frames, 0);
}

fn a_full_receive_buffer_is_counted(options: &NetOptions) {
    let mut driver = open(&NetOptions { receive_buffer_bytes: 16 << 10, ..options.clone() });
    let peer = plain();
    for _ in 0..1000 {
        peer.send_to(&[1; 300], driver.local_address()).unwrap();
    }
    let received = receive(&mut driver, 1000).len() as u64;
    assert!(received < 1000);
    // The count travels with the next datagram that is queued.
    peer.send_to(&[2; 300], driver.local_address()).unwrap();
    assert_eq!(receive(&mut driver, 1).len(), 1);
    assert_eq!(driver.counters().receive_overflow, 1000 - received);
}

fn a_pending_icmp_error_stops_nothing(options: &NetOptions) {
    let mut driver = open(options);
    let peer = plain();
    let closed = plain().local_addr().unwrap();
    for round in 0..20u8 {
        write(&mut driver, closed, &[1; 50]);
        write(&mut driver, peer.local_addr().unwrap(), &[round; 50]);
        peer.send_to(&[round; 10], driver.local_address()).unwrap();
        assert_eq!(payloads(receive(&mut driver, 1)), [vec![round; 10]]);
        let mut bytes = [0; 100];
        assert_eq!((peer.recv(&mut bytes).unwrap(), bytes[0]), (50, round));
    }
}

fn what_cannot_be_sent_is_counted(options: &NetOptions) {
    let mut driver = open(options);
    let to = driver.local_address();
    for _ in 0..3 {
        // No such family on an IPv4 socket; and a broadcast that was not asked for.
        write(&mut driver, "[::1]:7946".parse().unwrap(), &[1; 50]);
        write(&mut driver, "255.255.255.255:7946".parse().unwrap(), &[2; 50]);
        write(&mut driver, to, &[3; 50]);
    }
    assert_eq!(receive(&mut driver, 3).len(), 3);
    let counters = driver.counters();
    assert_eq!((counters.send_errors, counters.datagrams_sent, counters.trains_sent), (6, 3, 1));
}

fn a_waker_ends_the_wait(options: &NetOptions) {
    let mut driver = open(options);
    let waker = driver.waker();
    let turns = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0..200 {
                waker.wake();
                while turns.load(Ordering::Acquire) == turn {
                    std::thread::yield_now();
                }
            }
        });
        let mut wakes = 0;
        while wakes < 200 {
            // Would not return without the wake; a turn that returns early for nothing is allowed.
            driver.turn(None, &mut Collect::default()).unwrap();
            if driver.counters().wakes > wakes {
                wakes += 1;
                turns.fetch_add(1, Ordering::Release);
            }
        }
    });
    assert_eq!(driver.counters().wakes, 200);
}

fn wakes_before_the_wait_are_one(options: &NetOptions) {
    let mut driver = open(options);
    let waker = driver.waker();
    for _ in 0..1000 {
        waker.clone().wake();
    }
    driver.turn(None, &mut Collect::default()).unwrap();
    driver.turn(Some(Duration::from_millis(1)), &mut Collect::default()).unwrap();
    assert_eq!(driver.counters().wakes, 1);
}

/// Two threads pass a token by waking each other: a lost wake would hang, and the test with it.
fn every_hop_between_two_drivers_wakes(options: &NetOptions) {
    const HOPS: u32 = 2000;
    let token = AtomicU32::new(0);
    let (sender, receiver) = std::sync::mpsc::channel();
    let hop = |driver: &mut Driver, other: &swimring::net::Waker, mine: u32| {
        loop {
            let at = token.load(Ordering::Acquire);
            if at >= HOPS {
                other.wake();
                return;
            }
            if at % 2 == mine {
                token.store(at + 1, Ordering::Release);
                other.wake();
            }
            driver.turn(None, &mut Collect::default()).unwrap();
        }
    };
    std::thread::scope(|scope| {
        let mut first = open(options);
        let waker = first.waker();
        scope.spawn(|| {
            let mut second = open(options);
            sender.send(second.waker()).unwrap();
            let first = waker;
            hop(&mut second, &first, 1);
        });
        let second = receiver.recv().unwrap();
        hop(&mut first, &second, 0);
    });
    assert_eq!(token.into_inner(), HOPS);
}

fn timeouts_pass(options: &NetOptions) {
    let mut driver = open(options);
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(100), TURN] {
        let mut collect = Collect::default();
        driver.turn(Some(timeout), &mut collect).unwrap();
        assert!(collect.0.is_empty());
    }
    let waker = driver.waker();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(TURN);
            waker.wake();
        });
        driver.turn(Some(Duration::MAX), &mut Collect::default()).unwrap();
    });
    assert_eq!(driver.counters().wakes, 1, "the longest timeout is long");
}

fn ipv6_works(options: &NetOptions) {
    let loopback = "[::1]:0".parse().unwrap();
    let endpoint = match Endpoint::bind(loopback, options) {
        Err(NetError::AddressFamily { .. } | NetError::AddressNotLocal { .. }) => {
            println!("skipped: no IPv6 here");
            return;
        }
        endpoint => endpoint.unwrap(),
    };
    let mut here = Driver::open(endpoint, options).unwrap();
    let mut there = Driver::open(Endpoint::bind(loopback, options).unwrap(), options).unwrap();
    for _ in 0..200 {
        write(&mut here, there.local_address(), &[5; 90]);
    }
    here.flush().unwrap();
    let received = receive(&mut there, 200);
    assert_eq!(received.len(), 200);
    assert!(received.iter().all(|(from, bytes)| *from == here.local_address() && is_padded(bytes, &[5; 90])));
    assert_eq!((here.counters().trains_sent, there.counters().messages_received), (2, 2));
}

fn a_wildcard_takes_both_families(options: &NetOptions) {
    let endpoint = match Endpoint::bind("[::]:0".parse().unwrap(), options) {
        Err(NetError::AddressFamily { .. }) => {
            println!("skipped: no IPv6 here");
            return;
        }
        endpoint => endpoint.unwrap(),
    };
    let mut driver = Driver::open(endpoint, options).unwrap();
    let peer = plain();
    let to = SocketAddr::from(([127, 0, 0, 1], driver.local_address().port()));
    peer.send_to(b"ping", to).unwrap();
    assert_eq!(receive(&mut driver, 1), [(peer.local_addr().unwrap(), b"ping".to_vec())]);
    for _ in 0..2 {
        write(&mut driver, peer.local_addr().unwrap(), b"ack!");
    }
    driver.flush().unwrap();
    let mut bytes = [0; 100];
    assert_eq!((peer.recv_from(&mut bytes).unwrap(), &bytes[..4]), ((64, to), &b"ack!"[..]));
    assert_eq!((peer.recv_from(&mut bytes).unwrap(), &bytes[..4]), ((4, to), &b"ack!"[..]));
}

fn a_dropped_driver_frees_its_port_at_once(options: &NetOptions) {
    let mut address = loopback();
    for _ in 0..20 {
        let mut driver = Driver::open(Endpoint::bind(address, options).unwrap(), options).unwrap();
        address = driver.local_address();
        write(&mut driver, address, &[1; 10]);
        assert_eq!(receive(&mut driver, 1).len(), 1);
    }
}

#[test]
fn an_endpoint_has_one_port_for_both() {
    let mut endpoint = Endpoint::bind(loopback(), &NetOptions::default()).unwrap();
    let listener = endpoint.take_listener().unwrap();
    assert!(endpoint.take_listener().is_none());
    assert_eq!(listener.local_addr().unwrap(), endpoint.local_address());
    TcpStream::connect(endpoint.local_address()).unwrap();
    let driver = Driver::open(endpoint, &NetOptions::default()).unwrap();
    assert_eq!(driver.local_address(), listener.local_addr().unwrap());
}

#[test]
fn errors_name_the_mend() {
    let options = NetOptions::default();
    let text = |address: SocketAddr| Endpoint::bind(address, &options).unwrap_err().to_string();
    let endpoint = Endpoint::bind(loopback(), &options).unwrap();
    let taken = endpoint.local_address();
    let mend = "choose another port, or stop what holds it";
    assert_eq!(text(taken), format!("bind address {taken}: the UDP port is in use; {mend}"));
    let listener = std::net::TcpListener::bind(loopback()).unwrap();
    let taken = listener.local_addr().unwrap();
    assert_eq!(text(taken), format!("bind address {taken}: the TCP port is in use; {mend}"));
    assert_eq!(
        text("192.0.2.1:0".parse().unwrap()),
        "bind address 192.0.2.1:0: not an address of this machine; use one that `ip address` lists, or 0.0.0.0 \
         or [::]"
    );
}

#[test]
fn an_endpoint_moves_between_threads_and_a_waker_is_for_all() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync + Clone>() {}
    is_send::<Endpoint>();
    is_shared::<swimring::net::Waker>();
}
