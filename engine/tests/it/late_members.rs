//! Members whose machine has no time for them: what was sent to them waits, and what finds no room is lost. They
//! are the ones that are wrong about the others, and must not start what never ends.

use std::ops::Range;
use std::time::Duration;

use crate::paper_support::{count, millis, plain, seconds};
use swimring::sim::{Faults, Simulation, SimulationOptions, Slowness, What};
use swimring::swim::{MemberlistOptions, Settings, WireOptions};
use swimring_codec::State;

const MEMBERS: usize = 40;
const LATE: usize = 10;

fn wires() -> [WireOptions; 2] {
    [WireOptions::Native, WireOptions::Memberlist(MemberlistOptions::default())]
}

/// `MEMBERS` members, the first `LATE` of which have little room for what waits.
fn cluster(seed: u64, wire: &WireOptions, settings: &Settings, inbox: usize) -> Simulation {
    let mut simulation = Simulation::new(SimulationOptions {
        settings: settings.clone(),
        wire: wire.clone(),
        faults: Faults { starve_inbox: inbox, ..Faults::NONE },
        checked: false,
        ..SimulationOptions::new(seed, MEMBERS)
    });
    simulation.start_warm();
    simulation.run_for(seconds(3)).unwrap();
    simulation
}

fn starve(simulation: &mut Simulation, nodes: Range<usize>, length: Duration, stall: Duration) {
    nodes.for_each(|node| simulation.starve(node, Slowness::Everything, length, stall));
}

/// How often somebody began to suspect a member that was never late.
fn blamed(simulation: &Simulation) -> usize {
    count(simulation, What::Suspected, |subject| subject >= LATE)
}

/// Everyone holds everyone alive.
fn all_is_well(simulation: &Simulation) -> bool {
    (0..MEMBERS).all(|one| (0..MEMBERS).all(|other| simulation.belief(one, other) == Some(State::Alive)))
}

/// A late member that has lost what others sent it does not blame them: it asks again.
#[test]
fn who_has_lost_what_it_was_sent_blames_nobody() {
    for wire in wires() {
        for seed in 1..=5 {
            let mut simulation = cluster(seed, &wire, &plain(), 1);
            starve(&mut simulation, 0..LATE, seconds(60), millis(1500));
            simulation.run_for(seconds(60)).unwrap();
            let counters = simulation.counters();
            println!(
                "{wire:?} seed {seed}: {} failed, {} proved nothing, {} blamed",
                counters.probes_failed,
                counters.probes_inconclusive,
                blamed(&simulation)
            );
            assert!(counters.probes_inconclusive > 20, "{}", counters.probes_inconclusive);
            assert!(blamed(&simulation) <= 2, "{} in a minute", blamed(&simulation));
        }
    }
}

/// However late everyone was: within ten seconds of its end nobody that lives is held dead.
#[test]
fn ten_seconds_after_a_machine_was_busy_all_is_well() {
    for wire in wires() {
        for (seed, stall) in [(1, 200), (2, 500), (3, 1000), (4, 3000)] {
            let mut simulation = cluster(seed, &wire, &Settings::default(), 32);
            starve(&mut simulation, 0..MEMBERS, seconds(40), millis(stall));
            simulation.run_for(seconds(40)).unwrap();
            let counters = simulation.counters();
            println!(
                "{wire:?} stalls of {stall} ms: {} suspicions, {} deaths",
                counters.suspicions_started, counters.members_failed
            );
            simulation.run_for(seconds(10)).unwrap();
            assert!(all_is_well(&simulation), "{wire:?} seed {seed}");
        }
    }
}
