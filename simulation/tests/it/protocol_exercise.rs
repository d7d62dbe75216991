//! Any sequence of operations, forgeries and garbage among them: nothing panics, no check fails, nothing
//! grows beyond its bounds.

use std::time::Duration;

use proptest::prelude::*;
use swimring::protocol::{MemberlistOptions, Settings, StreamPurpose, WireOptions};
use swimring_simulation::{Simulation, SimulationOptions, fuzz_member};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn any_operations_are_survived(data in prop::collection::vec(any::<u8>(), 0..2_000)) {
        fuzz_member(&data);
    }
}

/// A few bytes changed, cut off or added: what was valid becomes nearly valid.
fn mutate(bytes: &mut Vec<u8>, rng: &mut fastrand::Rng) {
    for _ in 0..rng.u8(1..6) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.usize(..bytes.len());
        match rng.u8(..6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.u8(..)),
            2 => bytes[at] = rng.u8(..),
            _ => bytes[at] ^= 1 << rng.u8(..8),
        }
    }
}

/// A hundred thousand garbage and mutated frames and stream messages into a live member, which stays a
/// member in good order, with its tables within their bounds.
#[test]
fn a_hundred_thousand_inputs_of_garbage_leave_a_member_bounded() {
    let settings = Settings { members_max: 64, events_max: 32, broadcasts_max: 32, ..Settings::default() };
    let options = SimulationOptions { settings, ..SimulationOptions::new(9, 8) };
    let mut simulation = Simulation::new(options);
    simulation.tap();
    simulation.start_cold();
    simulation.run_for(Duration::from_secs(20)).unwrap();
    simulation.send_event(3, "deploy", &[7; 300]).unwrap();
    simulation.crash(7);
    simulation.run_for(Duration::from_secs(20)).unwrap();
    let frames: Vec<Vec<u8>> = simulation.tapped().iter().map(|frame| frame.bytes.clone()).collect();
    let mut rng = fastrand::Rng::with_seed(1);
    for round in 0..100_000 {
        let mut bytes = frames[rng.usize(..frames.len())].clone();
        match round % 4 {
            0 => bytes = (0..rng.usize(..1500)).map(|_| rng.u8(..)).collect(),
            1 => bytes.iter_mut().skip(32).for_each(|byte| *byte = rng.u8(..)),
            _ => mutate(&mut bytes, &mut rng),
        }
        let from = simulation.address(rng.usize(..8));
        simulation.deliver(0, from, &bytes);
        // The same header opens stream messages: with a kind in place of the count.
        if bytes.len() > 32 {
            bytes[2] = rng.u8(1..8);
            let purpose = [None, Some(StreamPurpose::Sync), Some(StreamPurpose::Join { token: 1 })];
            simulation.deliver_stream(0, purpose[rng.usize(..3)], &bytes);
        }
        if round % 100 == 0 {
            simulation.run_for(Duration::from_millis(20)).unwrap();
        }
        simulation.verify().unwrap();
    }
    let member = simulation.member(0).expect("it lives");
    assert!(member.known() <= 64 && member.queued() <= 64);
    assert!(simulation.commons(0).directory().len() <= 64);
    let counters = simulation.counters();
    assert!(counters.decode_errors > 0 && counters.implausible_incarnation > 0, "{counters:?}");
}

/// The same with memberlist's packets and streams: garbage, damaged ones, and pieces of real ones put together
/// anew.
#[test]
fn garbage_on_memberlists_wire_leaves_a_member_bounded() {
    let settings = Settings { members_max: 64, events_max: 32, broadcasts_max: 32, ..Settings::default() };
    for pool in [MemberlistOptions::default(), MemberlistOptions::serf()] {
        let wire = WireOptions::Memberlist(pool);
        let options = SimulationOptions { settings: settings.clone(), wire, ..SimulationOptions::new(9, 8) };
        let mut simulation = Simulation::new(options);
        simulation.tap();
        simulation.start_cold();
        simulation.run_for(Duration::from_secs(20)).unwrap();
        simulation.send_event(3, "deploy", &[7; 300]).unwrap();
        simulation.crash(7);
        simulation.run_for(Duration::from_secs(20)).unwrap();
        let packets: Vec<Vec<u8>> = simulation.tapped().iter().map(|packet| packet.bytes.clone()).collect();
        let mut rng = fastrand::Rng::with_seed(1);
        for round in 0..50_000 {
            let mut bytes = packets[rng.usize(..packets.len())].clone();
            match round % 4 {
                0 => bytes = (0..rng.usize(..1500)).map(|_| rng.u8(..)).collect(),
                1 => {
                    let other = &packets[rng.usize(..packets.len())];
                    bytes.truncate(rng.usize(..=bytes.len()));
                    bytes.extend_from_slice(&other[rng.usize(..other.len())..]);
                }
                _ => mutate(&mut bytes, &mut rng),
            }
            // A checksum would hold nearly all of it back.
            if bytes.len() > 5 && bytes[0] == 12 {
                bytes.drain(..5);
            }
            let from = simulation.address(rng.usize(..8));
            simulation.deliver(0, from, &bytes);
            let purpose = [None, Some(StreamPurpose::Sync), Some(StreamPurpose::Join { token: 1 })];
            simulation.deliver_stream(0, purpose[rng.usize(..3)], &bytes);
            if round % 100 == 0 {
                simulation.run_for(Duration::from_millis(20)).unwrap();
            }
            simulation.verify().unwrap();
        }
        let member = simulation.member(0).expect("it lives");
        assert!(member.known() <= 64 && member.queued() <= 64);
        assert!(simulation.commons(0).directory().len() <= 64);
        assert!(simulation.counters().decode_errors > 1_000, "{:?}", simulation.counters());
    }
}
