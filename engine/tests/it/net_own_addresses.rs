//! Members at addresses of their own behind one socket: who was written to, and who writes.
//!
//! All of 127.0.0.0/8 is local, so a member can be any 127.x.y.z. Every frame says where it comes from and
//! where it goes, and the receiver compares that with what the kernel says. Each test runs on both drivers.

#![allow(clippy::disallowed_methods, reason = "plain sockets are the other side of these tests")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use swimring::net::{Driver, DriverChoice, Endpoint, NetCounters, NetError, NetOptions, Trains};
use swimring::protocol::FrameSink;

/// Turns without a datagram after which a test gives up on the rest.
const QUIET_TURNS: u32 = 20;
const TURN: Duration = Duration::from_millis(50);
const WILDCARD_V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
const WILDCARD_V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

macro_rules! on_both_drivers {
    ($($test:ident),+ $(,)?) => {
        mod io_uring {
            $(#[test] fn $test() { super::with(super::DriverChoice::IoUring, super::$test); })+
        }
        mod mmsg {
            $(#[test] fn $test() { super::with(super::DriverChoice::Mmsg, super::$test); })+
        }
    };
}

on_both_drivers!(
    thousands_of_pairs_in_both_directions,
    a_turn_s_frames_leave_in_few_calls,
    ten_thousand_members_gossip_to_three_each,
    frames_of_two_sources_never_share_a_train,
    the_source_stays_until_changed,
    a_source_that_is_not_ours_is_counted,
    a_plain_peer_is_answered_from_where_it_wrote_to,
    an_ipv6_wildcard_serves_both_families,
    without_it_nothing_is_told,
    a_mapped_destination_is_ipv4,
);

fn with(driver: DriverChoice, test: fn(&NetOptions)) {
    let options = NetOptions { driver, own_addresses: true, ..NetOptions::default() };
    match Driver::open(Endpoint::bind(WILDCARD_V4, &options).unwrap(), &options) {
        Err(NetError::IoUringUnavailable { reason }) => {
            println!("skipped: the kernel refuses io_uring ({reason})");
        }
        opened => {
            drop(opened.unwrap());
            test(&options);
        }
    }
}

fn open(options: &NetOptions) -> Driver {
    Driver::open(Endpoint::bind(WILDCARD_V4, options).unwrap(), options).unwrap()
}

/// Member `number` of a /16 of them.
fn member(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x7f20_0000 + number)
}

fn at(ip: impl Into<IpAddr>, driver: &Driver) -> SocketAddr {
    SocketAddr::new(ip.into(), driver.local_address().port())
}

/// Writes a frame of `len` bytes that names its ends.
fn write(driver: &mut Driver, from: Ipv4Addr, to: SocketAddr, len: usize) -> bool {
    driver.trains().set_source(Some(from.into()));
    fill(driver.trains(), from, to, len)
}

fn fill(trains: &mut Trains, from: Ipv4Addr, to: SocketAddr, len: usize) -> bool {
    let Some(room) = trains.reserve(to, len) else { return false };
    let IpAddr::V4(destination) = to.ip() else { panic!("members are IPv4") };
    room.fill(len as u8 | 1);
    room[..4].copy_from_slice(&from.octets());
    room[4..8].copy_from_slice(&destination.octets());
    true
}

/// What a frame says about itself.
fn ends(bytes: &[u8]) -> (IpAddr, IpAddr) {
    let ip = |bytes: &[u8]| Ipv4Addr::from(*bytes.first_chunk::<4>().unwrap()).into();
    (ip(bytes), ip(&bytes[4..]))
}

/// Turns `driver` until `count` datagrams have come, or none comes any more: (from, to, bytes) of each.
fn receive(driver: &mut Driver, count: usize) -> Vec<(SocketAddr, Option<IpAddr>, Vec<u8>)> {
    let (mut received, mut quiet) = (Vec::new(), 0);
    while received.len() < count && quiet < QUIET_TURNS {
        let before = received.len();
        let mut keep = |from: SocketAddr, to: Option<IpAddr>, bytes: &[u8], _: &mut Trains| {
            received.push((from, to, bytes.to_vec()));
        };
        driver.turn(Some(TURN), &mut keep).unwrap();
        quiet = if received.len() == before { quiet + 1 } else { 0 };
    }
    received
}

/// Two drivers with 4,096 members each, random pairs of them; every frame is answered from the address it
/// came to. With trains and without, on either side.
fn thousands_of_pairs_in_both_directions(options: &NetOptions) {
    for (segmentation, coalescing) in [(false, false), (false, true), (true, false), (true, true)] {
        let options = NetOptions { segmentation, coalescing, ..options.clone() };
        let (mut here, mut there) = (open(&options), open(&options));
        let mut rng = fastrand::Rng::with_seed(7);
        let mut wrong = 0u32;
        for _round in 0..40 {
            let mut sent = 0;
            for _ in 0..60 {
                let (from, to) = (member(rng.u32(..4096)), member(4096 + rng.u32(..4096)));
                let len = rng.usize(8..400);
                for _ in 0..rng.usize(1..3) {
                    sent += usize::from(write(&mut here, from, at(to, &there), len));
                }
            }
            here.flush().unwrap();
            let (mut answered, mut quiet) = (0, 0);
            let port = here.local_address().port();
            while answered < sent && quiet < QUIET_TURNS {
                let mut answer = |from: SocketAddr, to: Option<IpAddr>, bytes: &[u8], trains: &mut Trains| {
                    wrong += u32::from((from.ip(), to.unwrap()) != ends(bytes) || from.port() != port);
                    trains.set_source(to);
                    let Some(IpAddr::V4(own)) = to else { panic!("written to {to:?}") };
                    answered += usize::from(fill(trains, own, from, bytes.len()));
                };
                there.turn(Some(TURN), &mut answer).unwrap();
                quiet += 1;
            }
            there.flush().unwrap();
            let answers = receive(&mut here, sent);
            assert_eq!((answered, answers.len()), (sent, sent));
            for (from, to, bytes) in answers {
                wrong += u32::from((from.ip(), to.unwrap()) != ends(&bytes));
                assert_eq!(from.port(), there.local_address().port());
            }
        }
        assert_eq!(wrong, 0, "segmentation {segmentation}, coalescing {coalescing}");
        assert_eq!(here.counters().trains_sent > 0, segmentation);
        check_clean(&here.counters());
        check_clean(&there.counters());
    }
}

fn check_clean(counters: &NetCounters) {
    let NetCounters { send_errors, receive_errors, shed_frames, receive_truncated, receive_overflow, .. } =
        *counters;
    let bad = (send_errors, receive_errors, shed_frames, receive_truncated, receive_overflow);
    assert_eq!(bad, (0, 0, 0, 0, 0));
}

fn a_turn_s_frames_leave_in_few_calls(options: &NetOptions) {
    let mut driver = open(&NetOptions { segmentation: false, coalescing: false, ..options.clone() });
    let to = |number: u32| at(member(1000 + number), &driver);
    let destinations: Vec<SocketAddr> = (0..100).map(to).collect();
    let before = driver.counters().system_calls;
    for (number, to) in destinations.iter().enumerate() {
        assert!(write(&mut driver, member(number as u32), *to, 200));
    }
    driver.flush().unwrap();
    assert_eq!(driver.counters().system_calls - before, 1);
    assert_eq!(receive(&mut driver, 100).len(), 100);
}

/// A round of gossip: each of 10,000 members writes to three random others, all behind one socket. Flushing
/// whenever the trains are half full sheds nothing.
fn ten_thousand_members_gossip_to_three_each(options: &NetOptions) {
    // Few trains, so that no flush is more than a small receive buffer holds.
    let options = NetOptions { segmentation: false, coalescing: false, trains_max: 256, ..options.clone() };
    let mut driver = open(&options);
    let mut rng = fastrand::Rng::with_seed(3);
    let (mut written, mut right) = (0, 0);
    for number in 0..10_000u32 {
        for _ in 0..3 {
            let to = at(member(rng.u32(..10_000)), &driver);
            written += usize::from(write(&mut driver, member(number), to, rng.usize(8..400)));
        }
        if driver.trains().is_half_full() || number == 9_999 {
            let waiting = written - driver.counters().datagrams_received as usize;
            let received = receive(&mut driver, waiting);
            right +=
                received.iter().filter(|(from, to, bytes)| (from.ip(), to.unwrap()) == ends(bytes)).count();
        }
    }
    assert_eq!((written, right), (30_000, 30_000));
    check_clean(&driver.counters());
}

fn frames_of_two_sources_never_share_a_train(options: &NetOptions) {
    let (mut here, mut there) = (open(options), open(options));
    for number in 0..60u32 {
        assert!(write(&mut here, member(number % 3), at(member(9), &there), 100));
    }
    here.flush().unwrap();
    let received = receive(&mut there, 60);
    assert_eq!(received.len(), 60);
    assert!(received.iter().all(|(from, to, bytes)| (from.ip(), to.unwrap()) == ends(bytes)));
    assert_eq!((here.counters().trains_sent, there.counters().messages_received), (3, 3));
}

fn the_source_stays_until_changed(options: &NetOptions) {
    let mut driver = open(options);
    let to = at(Ipv4Addr::LOCALHOST, &driver);
    let mut from = Vec::new();
    for source in [None, Some(member(5)), Some(member(6)), None] {
        driver.trains().set_source(source.map(IpAddr::V4));
        for _ in 0..2 {
            driver.trains().reserve(to, 10).unwrap().fill(1);
            from.extend(receive(&mut driver, 1).into_iter().map(|(from, ..)| from.ip()));
        }
    }
    let unset = Ipv4Addr::LOCALHOST;
    let expected = [unset, unset, member(5), member(5), member(6), member(6), unset, unset];
    assert_eq!(from, expected.map(IpAddr::V4));
}

fn a_source_that_is_not_ours_is_counted(options: &NetOptions) {
    let mut driver = open(options);
    let to = at(member(1), &driver);
    let sources = ["192.0.2.1", "2001:db8::1", "127.0.0.7", "::ffff:127.0.0.8"];
    for source in sources {
        driver.trains().set_source(Some(source.parse().unwrap()));
        for _ in 0..2 {
            driver.trains().reserve(to, 50).unwrap().fill(1);
        }
    }
    let received = receive(&mut driver, 4);
    let from: Vec<String> = received.iter().map(|(from, ..)| from.ip().to_string()).collect();
    assert_eq!(from, ["127.0.0.7", "127.0.0.7", "127.0.0.8", "127.0.0.8"]);
    let counters = driver.counters();
    assert_eq!((counters.send_errors, counters.datagrams_sent), (4, 4));
}

fn a_plain_peer_is_answered_from_where_it_wrote_to(options: &NetOptions) {
    let mut driver = open(options);
    let peer = UdpSocket::bind((member(77), 0)).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for number in 0..50 {
        let to = at(member(number), &driver);
        peer.send_to(b"ping", to).unwrap();
        let received = receive(&mut driver, 1);
        assert_eq!(received, [(peer.local_addr().unwrap(), Some(to.ip()), b"ping".to_vec())]);
        driver.trains().set_source(Some(to.ip()));
        driver.trains().reserve(peer.local_addr().unwrap(), 3).unwrap().copy_from_slice(b"ack");
        driver.flush().unwrap();
        let mut bytes = [0; 100];
        assert_eq!((peer.recv_from(&mut bytes).unwrap(), &bytes[..3]), ((3, to), &b"ack"[..]));
    }
}

fn an_ipv6_wildcard_serves_both_families(options: &NetOptions) {
    let endpoint = match Endpoint::bind(WILDCARD_V6, options) {
        Err(NetError::AddressFamily { .. }) => {
            println!("skipped: no IPv6 here");
            return;
        }
        endpoint => endpoint.unwrap(),
    };
    let mut driver = Driver::open(endpoint, options).unwrap();
    let mut ways: Vec<(IpAddr, IpAddr)> = vec![(member(1).into(), member(2).into())];
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        ways.push((Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()));
    }
    for (from, to) in ways {
        let to = at(to, &driver);
        driver.trains().set_source(Some(from));
        // A train and a single datagram.
        for len in [90, 90, 90, 700] {
            driver.trains().reserve(to, len).unwrap().fill(1);
        }
        let received = receive(&mut driver, 4);
        assert_eq!(received.len(), 4);
        for (came_from, came_to, _) in received {
            assert_eq!((came_from.ip(), came_to), (from, Some(to.ip())));
        }
    }
    check_clean(&driver.counters());
    // The families do not mix.
    driver.trains().set_source(Some(member(1).into()));
    let to = at(Ipv6Addr::LOCALHOST, &driver);
    driver.trains().reserve(to, 50).unwrap().fill(1);
    driver.flush().unwrap();
    driver
        .turn(Some(Duration::ZERO), &mut |_: SocketAddr, _: Option<IpAddr>, _: &[u8], _: &mut Trains| {
            panic!("sent from a wrong address");
        })
        .unwrap();
    assert_eq!(driver.counters().send_errors, 1);
}

fn without_it_nothing_is_told(options: &NetOptions) {
    let mut driver = open(&NetOptions { own_addresses: false, ..options.clone() });
    let to = at(member(3), &driver);
    assert!(write(&mut driver, member(4), to, 100));
    let received = receive(&mut driver, 1);
    assert_eq!((received[0].0.ip(), received[0].1), (member(4).into(), None));
}

fn a_mapped_destination_is_ipv4(options: &NetOptions) {
    let mut driver = open(options);
    let to = at(member(3).to_ipv6_mapped(), &driver);
    driver.trains().reserve(to, 20).unwrap().fill(1);
    let received = receive(&mut driver, 1);
    assert_eq!(received[0].1, Some(member(3).into()));
}

#[test]
fn a_wildcard_endpoint_takes_streams_for_every_address() {
    let mut endpoint = Endpoint::bind(WILDCARD_V4, &NetOptions::default()).unwrap();
    let listener = endpoint.take_listener().unwrap();
    for number in [1, 300, 65_535] {
        let to = SocketAddr::from((member(number), endpoint.local_address().port()));
        let _dialed = std::net::TcpStream::connect(to).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(accepted.local_addr().unwrap(), to);
    }
}

#[test]
fn a_port_in_use_on_one_address_is_in_use_for_all() {
    let options = NetOptions::default();
    let single = Endpoint::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let wildcard = SocketAddr::new(WILDCARD_V4.ip(), single.local_address().port());
    let expected = |address, protocol| {
        format!(
            "bind address {address}: the {protocol} port is in use, if only on one address such as \
             127.0.0.1, and this asks for all; choose another port, or stop what holds it"
        )
    };
    let text = |address| Endpoint::bind(address, &options).unwrap_err().to_string();
    assert_eq!(text(wildcard), expected(wildcard, "UDP"));
    drop(single);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let wildcard = SocketAddr::new(WILDCARD_V4.ip(), listener.local_addr().unwrap().port());
    assert_eq!(text(wildcard), expected(wildcard, "TCP"));
}
