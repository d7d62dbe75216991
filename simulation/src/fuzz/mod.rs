//! Any bytes as a sequence of operations on a small cluster: what a fuzzer drives.
//!
//! Beside time, commands, faults, and what applications say of candidates there are forgeries: frames and stream messages with any content,
//! mutations of what was really sent, and plain garbage. A member may come to believe what is forged, but
//! none of the checks may fail and nothing may panic or grow beyond its bounds.

mod admission;
mod checks;
mod forged;
mod input;

use std::collections::HashSet;
use std::time::Duration;

use self::admission::Doors;
use self::checks::{check_beliefs, check_keys, check_maps};
use self::forged::{forged_frame, forged_stream};
use self::input::Input;
use super::faults::{Direction, Slowness};
use super::network;
use super::operations::Restart;
use super::options::{Identities, SimulationOptions};
use super::simulation::Simulation;
use super::view_rebasing::Rebasing;
use swimring::protocol::{Counters, Settings, StreamPurpose};

/// Members of the cluster.
const MEMBERS: usize = 4;

/// Operations in one run: enough to reach anything, few enough to be quick.
const OPERATIONS_MAX: usize = 400;

/// What changes of shared state are told in.
const TOLD: &str = "\0kv";

/// Most time that passes in one run.
const TIME_MAX: Duration = Duration::from_secs(600);

/// Does what `data` says to a small cluster. Gives what it has counted.
///
/// # Panics
/// If a check fails.
pub fn fuzz_member(data: &[u8]) -> Counters {
    fuzz_cluster(data, Identities::None, |_| {})
}

/// The same to a cluster whose members have identities, who then believe nothing that is forged.
///
/// # Panics
/// If a check fails, or somebody is believed to be what it has not said.
pub fn fuzz_identities(data: &[u8]) -> Counters {
    let mut said = vec![HashSet::new(); MEMBERS];
    let mut maps = vec![HashSet::new(); MEMBERS];
    let mut keys = HashSet::new();
    fuzz_cluster(data, Identities::Listed, |simulation| {
        check_beliefs(simulation, &mut said);
        check_maps(simulation, &mut maps);
        check_keys(simulation, &mut keys);
    })
}

fn fuzz_cluster(data: &[u8], identities: Identities, mut check: impl FnMut(&Simulation)) -> Counters {
    let mut input = Input(data);
    let first = input.byte();
    let admit_on_timeout = first & 2 == 2;
    let mut doors = Doors::new(admit_on_timeout);
    let mut simulation = Simulation::new(SimulationOptions {
        identities,
        settings: Settings { admit_on_timeout, ..small_settings() },
        shared_commons: first & 1 == 1,
        rebasing: Rebasing::Restless,
        ..SimulationOptions::new(u64::from(input.byte()), MEMBERS)
    });
    if input.byte() & 1 == 1 {
        simulation.start_warm();
    } else {
        simulation.start_cold();
    }
    if identities != Identities::None {
        simulation.tap();
    }
    check(&simulation);
    for _ in 0..OPERATIONS_MAX {
        if input.0.is_empty() || simulation.now().as_micros() > TIME_MAX.as_micros() as u64 {
            break;
        }
        operate(&mut simulation, &mut doors, &mut input);
        if let Err(violation) = simulation.verify() {
            panic!("{violation}");
        }
        check(&simulation);
        doors.check(&simulation);
    }
    for node in 0..simulation.len() {
        let commons = simulation.commons(node);
        assert!(commons.directory().len() <= MEMBERS_MAX as usize, "the directory exceeds members_max");
    }
    simulation.counters()
}

/// Members known at most: two strangers beside the four, so that tables fill up.
const MEMBERS_MAX: u32 = 6;

fn small_settings() -> Settings {
    Settings {
        gossip_to_the_dead: Duration::from_secs(2),
        // Forgetting is allowed at any time.
        reconnect_timeout: Duration::ZERO,
        reconnect_interval: Duration::from_secs(2),
        members_max: MEMBERS_MAX,
        broadcasts_max: 16,
        events_max: 16,
        event_memory: Duration::from_secs(2),
        frame_bytes_max: 800,
        ..Settings::default()
    }
}

fn operate(simulation: &mut Simulation, doors: &mut Doors, input: &mut Input<'_>) {
    let node = input.below(MEMBERS);
    match input.byte() % 18 {
        0 => pass(simulation, Duration::from_millis(u64::from(input.byte()) * 4)),
        1 => pass(simulation, Duration::from_millis(u64::from(input.byte()) * 100)),
        2..=4 => {
            let frame = forged_frame(simulation, input);
            simulation.deliver(node, network::address(input.below(MEMBERS + 1), 0), &frame);
        }
        5 => {
            let bytes = input.bytes();
            simulation.deliver(node, network::address(input.below(MEMBERS + 1), 0), &bytes);
        }
        6 => {
            let message = forged_stream(simulation, input);
            simulation.deliver_stream(node, purpose(input), &message);
        }
        7 => {
            let mut message = forged_stream(simulation, input);
            mutate(&mut message, input);
            simulation.deliver_stream(node, purpose(input), &message);
        }
        8 => {
            let mut frame = forged_frame(simulation, input);
            mutate(&mut frame, input);
            simulation.deliver(node, network::address(input.below(MEMBERS + 1), 0), &frame);
        }
        9 => simulation.crash(node),
        10 => {
            let incarnation_step = i64::from(input.byte()) - 128;
            simulation.restart(node, Restart { incarnation_step, moved: input.byte() & 1 == 1 });
            doors.began_anew(simulation, node);
        }
        11 if input.byte() & 1 == 1 => simulation.leave(node),
        11 => simulation.rejoin(node),
        // Refused while down, or when too much is under way.
        12 if input.byte() & 1 == 1 => {
            // The last of them is the cluster's.
            let (nth, value) = (input.below(3), input.bytes());
            let value = Some(value).filter(|value| !value.is_empty());
            let _ = simulation.change_state(node, nth == 2, ["a", "b", "c"][nth], value);
        }
        12 => drop(simulation.send_event(node, "event", &input.bytes())),
        13 => drop(simulation.update_metadata(node, &input.bytes())),
        14 => fault(simulation, node, input),
        16 => doors.set(simulation, node, input),
        17 => doors.answer(simulation, node, input),
        _ => simulation.set_overload(node, input.byte() % 16),
    }
}

fn pass(simulation: &mut Simulation, duration: Duration) {
    // What it has to say is asked for after every operation.
    let _ = simulation.run_for(duration);
}

fn fault(simulation: &mut Simulation, node: usize, input: &mut Input<'_>) {
    let length = Duration::from_millis(u64::from(input.byte()) * 100);
    match input.byte() % 6 {
        0 => simulation.partition(&[node], Direction::Both, length, length / 8),
        1 => simulation.partition(&[node], Direction::Outbound, length, Duration::ZERO),
        2 => simulation.starve(node, Slowness::Everything, length, length / 4),
        3 => simulation.starve(node, Slowness::Reading, length, length / 4),
        4 => simulation.stall_clock(node, length),
        _ => simulation.heal(),
    }
}

fn purpose(input: &mut Input<'_>) -> Option<StreamPurpose> {
    match input.byte() % 4 {
        0 => None,
        1 => Some(StreamPurpose::Sync),
        2 => Some(StreamPurpose::Join { token: 1 }),
        _ => {
            Some(StreamPurpose::Probe { sequence: input.byte().into(), subject: input.below(MEMBERS) as u32 })
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    for _ in 0..input.byte() % 8 {
        if bytes.is_empty() {
            return;
        }
        let at = usize::from(u16::from(input.byte()) << 8 | u16::from(input.byte())) % bytes.len();
        match input.byte() % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, input.byte()),
            _ => bytes[at] ^= 1 << (input.byte() % 8),
        }
    }
}
