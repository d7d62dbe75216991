//! Sending, waiting and receiving allocate nothing once a driver is open, with either driver.
//!
//! `allocation_counter` replaces the global allocator of this test binary by one that counts, per thread.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use swimring::net::{Driver, DriverChoice, Endpoint, NetError, NetOptions, Trains};
use swimring::protocol::FrameSink;

fn allocations(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).count_total
}

fn open(options: &NetOptions, address: &str) -> Option<Driver> {
    let endpoint = Endpoint::bind(address.parse().unwrap(), options).unwrap();
    match Driver::open(endpoint, options) {
        Err(NetError::IoUringUnavailable { reason }) => {
            println!("skipped: the kernel refuses io_uring ({reason})");
            None
        }
        opened => Some(opened.unwrap()),
    }
}

/// Frames of every class to itself and to nobody, a refused one, an echo for each that arrives, and a wake.
fn round(driver: &mut Driver, waker: &swimring::net::Waker) {
    let here = driver.local_address();
    let nobody = SocketAddr::from(([255, 255, 255, 255], 9));
    for len in (1..=1400).step_by(9) {
        driver.trains().reserve(here, len).unwrap().fill(1);
    }
    driver.trains().reserve(nobody, 100).unwrap().fill(1);
    assert!(driver.trains().reserve(here, 1401).is_none());
    let mut echo = |from: SocketAddr, _: Option<IpAddr>, bytes: &[u8], trains: &mut Trains| {
        // An echo is not echoed.
        if bytes[0] == 1 {
            trains.reserve(from, bytes.len()).unwrap().fill(2);
        }
    };
    for _ in 0..4 {
        driver.turn(Some(Duration::from_millis(1)), &mut echo).unwrap();
    }
    waker.wake();
    driver.turn(None, &mut echo).unwrap();
    driver.flush().unwrap();
}

fn allocates_nothing(choice: DriverChoice) {
    let options = NetOptions { driver: choice, ..NetOptions::default() };
    let Some(mut driver) = open(&options, "127.0.0.1:0") else { return };
    let waker = driver.waker();
    let count = allocations(|| (0..200).for_each(|_| round(&mut driver, &waker)));
    let counters = driver.counters();
    assert_eq!(count, 0);
    // 156 frames and their echoes in each round.
    assert_eq!((counters.datagrams_received, counters.send_errors, counters.wakes), (62_400, 200, 200));
    assert!(counters.trains_sent > 0);
}

#[test]
fn io_uring_allocates_nothing() {
    allocates_nothing(DriverChoice::IoUring);
}

#[test]
fn mmsg_allocates_nothing() {
    allocates_nothing(DriverChoice::Mmsg);
}

/// Members at addresses of their own, each frame a datagram: each writes to the next, which answers.
fn allocates_nothing_with_own_addresses(driver: DriverChoice) {
    let options = NetOptions {
        driver,
        own_addresses: true,
        segmentation: false,
        coalescing: false,
        ..NetOptions::default()
    };
    let Some(mut driver) = open(&options, "0.0.0.0:0") else { return };
    let port = driver.local_address().port();
    let mut answer = |from: SocketAddr, to: Option<IpAddr>, bytes: &[u8], trains: &mut Trains| {
        if bytes[0] == 1 {
            trains.set_source(to);
            trains.reserve(from, bytes.len()).unwrap().fill(2);
        }
    };
    let count = allocations(|| {
        for number in 0..2_000u32 {
            let [.., high, low] = number.to_be_bytes();
            driver.trains().set_source(Some(IpAddr::from([127, 50, high, low])));
            driver.trains().reserve(SocketAddr::from(([127, 51, low, high], port)), 200).unwrap().fill(1);
            if number % 100 == 99 {
                (0..4).for_each(|_| driver.turn(Some(Duration::from_millis(1)), &mut answer).unwrap());
            }
        }
    });
    assert_eq!((count, driver.counters().datagrams_received), (0, 4_000));
}

#[test]
fn io_uring_allocates_nothing_with_own_addresses() {
    allocates_nothing_with_own_addresses(DriverChoice::IoUring);
}

#[test]
fn mmsg_allocates_nothing_with_own_addresses() {
    allocates_nothing_with_own_addresses(DriverChoice::Mmsg);
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![0_u8; 64]))), 1);
}
