//! Paths that take fewer bytes than a frame may have: nothing is lost on them, and they cost nothing for long.
//!
//! Each test has a network of its own, whose loopback device takes as little as it is told; that needs root.
//! Every frame goes over real sockets, with both drivers, so what the kernel refuses and fragments is real.

#![allow(clippy::disallowed_methods, reason = "waits for what has to happen")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use swimring::net::{Driver, DriverChoice, Endpoint, NetCounters, NetError, NetOptions, Trains};
use swimring::protocol::{FrameSink, MemberlistOptions, WireOptions};
use swimring::{Cluster, ClusterEvent};
use swimring_peers::namespace::NetworkNamespace;

const DRIVERS: [DriverChoice; 2] = [DriverChoice::IoUring, DriverChoice::Mmsg];
const FAMILIES: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];
/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs `test` in a network of its own; says so where that is not permitted.
fn in_a_network(test: impl FnOnce(&NetworkNamespace) + Send) {
    match NetworkNamespace::create() {
        Ok(network) => network.run(|| test(&network)).unwrap(),
        Err(error) => println!("skipped: {error}"),
    }
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

/// Sends a frame of each of `lens` from `sender` in one flush. How many arrive, each whole.
fn exchange(sender: &mut Driver, receiver: &mut Driver, lens: &[usize]) -> usize {
    let to = receiver.local_address();
    for len in lens {
        sender.trains().reserve(to, *len).unwrap().fill((len % 255 + 1) as u8);
    }
    sender.flush().unwrap();
    let mut count = 0;
    for _ in 0..200 {
        let mut check = |_: SocketAddr, _: Option<IpAddr>, bytes: &[u8], _: &mut Trains| {
            let whole = |len: &usize| {
                bytes.len() >= *len
                    && bytes[..*len].iter().all(|byte| usize::from(*byte) == len % 255 + 1)
                    && bytes[*len..].iter().all(|byte| *byte == 0)
            };
            count += usize::from(lens.iter().any(whole));
        };
        receiver.turn(Some(Duration::from_millis(20)), &mut check).unwrap();
        if count >= lens.len() {
            break;
        }
    }
    count
}

/// What `work` adds to the sender's counters: system calls, paths narrowed, fragmented, refused.
fn cost(sender: &mut Driver, work: impl FnOnce(&mut Driver)) -> (u64, u64, u64, u64) {
    let cost = |counters: NetCounters| {
        let NetCounters { system_calls, paths_narrowed, datagrams_fragmented, send_errors, .. } = counters;
        (system_calls, paths_narrowed, datagrams_fragmented, send_errors)
    };
    let before = cost(sender.counters());
    work(sender);
    let after = cost(sender.counters());
    (after.0 - before.0, after.1 - before.1, after.2 - before.2, after.3 - before.3)
}

/// Lengths that fit any path: what members write once the path is known.
fn short_frames() -> Vec<usize> {
    (1..=1232).step_by(7).collect()
}

#[test]
fn every_frame_arrives_whatever_the_mtu() {
    in_a_network(|network| {
        for mtu in [65_536, 9000, 1500, 1420, 1280] {
            network.set_mtu(mtu).unwrap();
            for (driver, address, segmentation) in DRIVERS
                .into_iter()
                .flat_map(|driver| FAMILIES.map(|address| (driver, address)))
                .flat_map(|(driver, address)| [true, false].map(|on| (driver, address, on)))
            {
                let options = NetOptions { driver, segmentation, ..NetOptions::default() };
                let (Some(mut sender), Some(mut receiver)) =
                    (open(&options, address), open(&options, address))
                else {
                    continue;
                };
                let case = format!("{mtu} {driver} {address} {segmentation}");
                let headers = if address.starts_with('[') { 48 } else { 28 };
                let path_takes = (mtu as usize - headers).min(1400);
                let all: Vec<usize> = (1..=1400).step_by(7).chain([1400, 1399]).collect();
                let too_long = all.iter().filter(|len| **len > path_takes).count() as u64;

                let first = cost(&mut sender, |sender| {
                    assert_eq!(exchange(sender, &mut receiver, &all), all.len(), "{case}");
                });
                assert_eq!((first.1 > 0, first.2, first.3), (too_long > 0, too_long, 0), "{case}");
                assert_eq!(sender.trains().frame_bytes_max(receiver.local_address()), path_takes, "{case}");

                // From now on nothing is refused: what is short costs what it costs on any path, and what
                // is too long is known to be.
                let again = cost(&mut sender, |sender| {
                    assert_eq!(exchange(sender, &mut receiver, &all), all.len(), "{case}");
                });
                assert_eq!((again.1, again.2, again.3), (0, too_long, 0), "{case}");
                let trains = sender.counters().trains_sent;
                let short = cost(&mut sender, |sender| {
                    assert_eq!(
                        exchange(sender, &mut receiver, &short_frames()),
                        short_frames().len(),
                        "{case}"
                    );
                });
                assert_eq!((short.0 <= 2, short.1, short.2, short.3), (true, 0, 0, 0), "{case}: {short:?}");
                assert_eq!(sender.counters().trains_sent > trains, segmentation, "{case}");
                assert_eq!(sender.counters().trains_refused, 0, "{case}");
            }
        }
    });
}

#[test]
fn a_narrow_path_narrows_no_other() {
    in_a_network(|network| {
        network.set_path_mtu(Ipv4Addr::new(127, 0, 0, 2), 1300).unwrap();
        for driver in DRIVERS {
            let options = NetOptions { driver, ..NetOptions::default() };
            let (Some(mut sender), Some(mut narrow), Some(mut wide)) =
                (open(&options, "127.0.0.1:0"), open(&options, "127.0.0.2:0"), open(&options, "127.0.0.3:0"))
            else {
                continue;
            };
            let long = [1400, 1300, 1273, 1272];
            for _ in 0..3 {
                assert_eq!(exchange(&mut sender, &mut narrow, &long), long.len());
                assert_eq!(exchange(&mut sender, &mut wide, &long), long.len());
            }
            let limits = [&narrow, &wide].map(|to| sender.trains().frame_bytes_max(to.local_address()));
            assert_eq!(limits, [1272, 1400]);
            let counters = sender.counters();
            assert_eq!((counters.paths_narrowed, counters.datagrams_fragmented), (1, 9));
        }
    });
}

#[test]
fn a_wildcard_socket_learns_paths_of_both_families() {
    in_a_network(|network| {
        network.set_mtu(1300).unwrap();
        for driver in DRIVERS {
            let options = NetOptions { driver, own_addresses: true, ..NetOptions::default() };
            let Some(mut sender) = open(&options, "[::]:0") else { continue };
            for (address, source, path_takes) in
                [("127.0.0.1:0", "127.0.0.7", 1272), ("[::1]:0", "::1", 1252)]
            {
                let Some(mut receiver) = open(&options, address) else { continue };
                sender.trains().set_source(Some(source.parse().unwrap()));
                assert_eq!(exchange(&mut sender, &mut receiver, &[1400, 1350, 1200]), 3);
                assert_eq!(sender.trains().frame_bytes_max(receiver.local_address()), path_takes);
            }
            assert_eq!(sender.counters().send_errors, 0);
        }
    });
}

#[test]
fn a_path_that_widens_is_used_again() {
    in_a_network(|network| {
        for driver in DRIVERS {
            network.set_mtu(1280).unwrap();
            let options =
                NetOptions { driver, path_memory: Duration::from_millis(50), ..NetOptions::default() };
            let (Some(mut sender), Some(mut receiver)) =
                (open(&options, FAMILIES[0]), open(&options, FAMILIES[0]))
            else {
                continue;
            };
            let started = Instant::now();
            assert_eq!(exchange(&mut sender, &mut receiver, &[1400, 1390]), 2);
            assert_eq!(sender.trains().frame_bytes_max(receiver.local_address()), 1252);
            network.set_mtu(65_536).unwrap();
            let mut none = |_: SocketAddr, _: Option<IpAddr>, _: &[u8], _: &mut Trains| {};
            while sender.trains().frame_bytes_max(receiver.local_address()) < 1400 {
                sender.turn(Some(Duration::from_millis(1)), &mut none).unwrap();
                assert!(started.elapsed() < DEADLINE, "it is never tried again");
            }
            let before = sender.counters();
            assert_eq!(exchange(&mut sender, &mut receiver, &[1400, 1390]), 2);
            let after = sender.counters();
            assert_eq!(after.trains_sent, before.trains_sent + 1);
            assert_eq!(after.datagrams_fragmented, before.datagrams_fragmented);
            assert_eq!(after.paths_narrowed, before.paths_narrowed);
        }
    });
}

#[test]
fn a_narrow_path_allocates_nothing() {
    in_a_network(|network| {
        network.set_mtu(1300).unwrap();
        for driver in DRIVERS {
            let options = NetOptions { driver, ..NetOptions::default() };
            let (Some(mut sender), Some(mut receiver)) =
                (open(&options, FAMILIES[0]), open(&options, FAMILIES[0]))
            else {
                continue;
            };
            let lens: Vec<usize> = (1..=1400).step_by(70).collect();
            // The first refusal is told in the log.
            assert_eq!(exchange(&mut sender, &mut receiver, &lens), lens.len());
            let count = allocation_counter::measure(|| {
                for _ in 0..50 {
                    assert_eq!(exchange(&mut sender, &mut receiver, &lens), lens.len());
                }
            });
            assert_eq!(count.count_total, 0);
        }
    });
}

/// Members with as much to say as they may, at an MTU that is below what they would write.
fn all_events_are_heard(driver: DriverChoice, wire: &WireOptions) {
    let member = |number: usize| {
        let started = Cluster::builder(format!("member-{number}"))
            .bind(([127, 0, 0, 1], 0))
            .driver(driver)
            .wire(wire.clone())
            .metadata(vec![b'm'; 500])
            // So often that none is missed by chance.
            .tune(|protocol| protocol.retransmit_multiplier = 16)
            .start();
        started.unwrap_or_else(|error| panic!("{error}"))
    };
    let members: Vec<Cluster> = (0..5).map(member).collect();
    let seed = members[0].address().to_string();
    for member in &members[1..] {
        member.join([seed.as_str()]).wait().unwrap();
    }
    let deadline = Instant::now() + DEADLINE;
    while members.iter().any(|member| member.members().unwrap().len() < 5) {
        assert!(Instant::now() < deadline, "they do not find each other");
        std::thread::sleep(Duration::from_millis(20));
    }
    let heard: Vec<_> = members[1..].iter().map(|member| member.subscribe().unwrap()).collect();
    for number in 0..20u8 {
        members[0].send_event("full", [&[number][..], &[7; 400]].concat()).unwrap();
    }
    for mut events in heard {
        let mut numbers = std::collections::BTreeSet::new();
        while numbers.len() < 20 && Instant::now() < deadline {
            if let Ok(ClusterEvent::User(event)) = events.recv_timeout(Duration::from_millis(100)) {
                numbers.insert(event.payload[0]);
            }
        }
        assert_eq!(numbers.len(), 20, "{driver}");
    }
}

#[test]
fn members_hear_every_event_at_an_mtu_of_1280() {
    in_a_network(|network| {
        network.set_mtu(1280).unwrap();
        for driver in [DriverChoice::Auto, DriverChoice::Mmsg] {
            all_events_are_heard(driver, &WireOptions::Native);
            all_events_are_heard(driver, &WireOptions::Memberlist(MemberlistOptions::default()));
        }
    });
}
