//! Both datagram drivers, the same expectations.
//!
//! Every test is written once and run against io_uring and mmsg, over real sockets on loopback. Loopback loses
//! nothing while receive buffers hold, so every frame is accounted for.

#![allow(clippy::disallowed_methods, reason = "plain sockets and threads are the other side of these tests")]

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use swimring::net::{
    DatagramHandler, Driver, DriverChoice, DriverKind, Endpoint, NetError, NetOptions, Trains,
};
use swimring::swim::FrameSink;

/// Turns without a datagram after which a test gives up on the rest.
const QUIET_TURNS: u32 = 20;
const TURN: Duration = Duration::from_millis(50);

/// Runs each test twice, once per driver.
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

on_both_drivers!(every_frame_is_echoed, one_frame_is_one_datagram_of_its_length);

fn with(driver: DriverChoice, test: fn(&NetOptions)) {
    let options = NetOptions { driver, ..NetOptions::default() };
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
    fn datagram(&mut self, from: SocketAddr, bytes: &[u8], _: &mut Trains) {
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

/// Whether `received` is `sent`, perhaps followed by zeros.
fn is_padded(received: &[u8], sent: &[u8]) -> bool {
    received.starts_with(sent) && received[sent.len()..].iter().all(|byte| *byte == 0)
}

fn every_frame_is_echoed(options: &NetOptions) {
    let (mut here, mut there) = (open(options), open(options));
    let mut echo = |from: SocketAddr, bytes: &[u8], trains: &mut Trains| {
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
