//! Any sequence of operations, forgeries and garbage among them: nothing panics, no check fails, nothing
//! grows beyond its bounds.

use std::time::Duration;

use proptest::prelude::*;
use swimring::protocol::{Counters, MemberlistOptions, Settings, StreamPurpose, WireOptions};
use swimring_simulation::{Simulation, SimulationOptions, fuzz_identities, fuzz_member};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn any_operations_are_survived(data in prop::collection::vec(any::<u8>(), 0..2_000)) {
        fuzz_member(&data);
    }

    #[test]
    fn nothing_forged_is_believed_of_members_with_identities(
        data in prop::collection::vec(any::<u8>(), 0..2_000),
    ) {
        fuzz_identities(&data);
    }
}

/// Operations about candidates, with what makes members candidates among them, as bytes.
fn about_candidates(rng: &mut fastrand::Rng) -> Vec<u8> {
    // The length and the meaning of each are those of `simulation/src/fuzz`: time, a new life, rules, an answer.
    let mut bytes = vec![rng.u8(..), rng.u8(..), 1];
    for _ in 0..60 {
        bytes.push(rng.u8(..4));
        match rng.u8(..8) {
            0..3 => bytes.extend([0, rng.u8(..)]),
            3 => bytes.extend([1, rng.u8(..)]),
            4 => bytes.extend([10, rng.u8(128..), rng.u8(..)]),
            5 => bytes.extend([16, rng.u8(..), rng.u8(..)]),
            _ => bytes.extend([17, rng.u8(..) & !2, rng.u8(..)]),
        }
    }
    bytes
}

/// What is drawn reaches the door from both sides.
#[test]
fn operations_reach_admission() {
    let mut sum = Counters::default();
    for seed in 0..200 {
        sum.add(&fuzz_member(&about_candidates(&mut fastrand::Rng::with_seed(seed))));
    }
    for (name, count) in [
        ("outside", sum.candidates_outside),
        ("asked", sum.candidates_asked),
        ("admitted", sum.candidates_admitted),
        ("refused", sum.candidates_refused),
        ("unanswered", sum.candidates_unanswered),
        ("answered late", sum.candidates_answered_late),
        ("repeated", sum.candidates_repeated),
    ] {
        assert!(count > 5, "{count} {name}: {sum:?}");
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

/// Members of the attacked cluster.
const MEMBERS: usize = 8;
/// Most members that any of them knows: small, so that forgeries get there.
const MEMBERS_MAX: u32 = 64;

/// A cluster with small bounds in which an event was sent and a member has crashed, and all datagrams that were sent in it.
fn eventful(wire: WireOptions) -> (Simulation, Vec<Vec<u8>>) {
    let settings =
        Settings { members_max: MEMBERS_MAX, events_max: 32, broadcasts_max: 32, ..Settings::default() };
    let options = SimulationOptions { settings, wire, ..SimulationOptions::new(9, MEMBERS) };
    let mut simulation = Simulation::new(options);
    simulation.tap();
    simulation.start_cold();
    simulation.run_for(Duration::from_secs(20)).unwrap();
    simulation.send_event(3, "deploy", &[7; 300]).unwrap();
    simulation.crash(MEMBERS - 1);
    simulation.run_for(Duration::from_secs(20)).unwrap();
    let datagrams = simulation.tapped().iter().map(|datagram| datagram.bytes.clone()).collect();
    (simulation, datagrams)
}

/// Delivers what `spoil` makes of real datagrams to one live member, as datagrams and, changed by `as_stream`, as stream
/// messages. The member stays in good order, and its tables within their bounds.
fn attack(
    simulation: &mut Simulation,
    datagrams: &[Vec<u8>],
    rounds: u32,
    spoil: impl Fn(u32, &mut Vec<u8>, &mut fastrand::Rng),
    as_stream: impl Fn(&mut Vec<u8>, &mut fastrand::Rng),
) {
    let mut rng = fastrand::Rng::with_seed(1);
    for round in 0..rounds {
        let mut bytes = datagrams[rng.usize(..datagrams.len())].clone();
        spoil(round, &mut bytes, &mut rng);
        let from = simulation.address(rng.usize(..MEMBERS));
        simulation.deliver(0, from, &bytes);
        as_stream(&mut bytes, &mut rng);
        let purpose = [None, Some(StreamPurpose::Sync), Some(StreamPurpose::Join { token: 1 })];
        simulation.deliver_stream(0, purpose[rng.usize(..3)], &bytes);
        if round % 100 == 0 {
            simulation.run_for(Duration::from_millis(20)).unwrap();
        }
        simulation.verify().unwrap();
    }
    let member = simulation.member(0).expect("it lives");
    assert!(member.known() <= MEMBERS_MAX as usize && member.queued() <= 64);
    assert!(simulation.commons(0).directory().len() <= MEMBERS_MAX as usize);
}

fn garbage(rng: &mut fastrand::Rng) -> Vec<u8> {
    (0..rng.usize(..1500)).map(|_| rng.u8(..)).collect()
}

/// A hundred thousand garbage and mutated frames and stream messages.
#[test]
fn a_hundred_thousand_inputs_of_garbage_leave_a_member_bounded() {
    let (mut simulation, frames) = eventful(WireOptions::Native);
    let spoil = |round: u32, bytes: &mut Vec<u8>, rng: &mut fastrand::Rng| match round % 4 {
        0 => *bytes = garbage(rng),
        1 => bytes.iter_mut().skip(32).for_each(|byte| *byte = rng.u8(..)),
        _ => mutate(bytes, rng),
    };
    // The same header opens stream messages: with a kind in place of the count.
    let as_stream = |bytes: &mut Vec<u8>, rng: &mut fastrand::Rng| {
        if bytes.len() > 2 {
            bytes[2] = rng.u8(1..8);
        }
    };
    attack(&mut simulation, &frames, 100_000, spoil, as_stream);
    let counters = simulation.counters();
    assert!(counters.decode_errors > 0 && counters.implausible_incarnation > 0, "{counters:?}");
}

/// The same with memberlist's packets and streams: garbage, damaged ones, and pieces of real ones put together
/// anew.
#[test]
fn garbage_on_memberlists_wire_leaves_a_member_bounded() {
    for pool in [MemberlistOptions::default(), MemberlistOptions::serf()] {
        let (mut simulation, packets) = eventful(WireOptions::Memberlist(pool));
        let spoil = |round: u32, bytes: &mut Vec<u8>, rng: &mut fastrand::Rng| {
            match round % 4 {
                0 => *bytes = garbage(rng),
                1 => {
                    let other = &packets[rng.usize(..packets.len())];
                    bytes.truncate(rng.usize(..=bytes.len()));
                    bytes.extend_from_slice(&other[rng.usize(..other.len())..]);
                }
                _ => mutate(bytes, rng),
            }
            // A checksum would hold nearly all of it back.
            if bytes.len() > 5 && bytes[0] == 12 {
                bytes.drain(..5);
            }
        };
        attack(&mut simulation, &packets, 50_000, spoil, |_, _| {});
        assert!(simulation.counters().decode_errors > 1_000, "{:?}", simulation.counters());
    }
}
