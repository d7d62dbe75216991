//! Which base a member's view is held against is nobody's business: runs are the same to the byte whether
//! members move between bases never, now and then, or all the time; and what they leave behind is taken back.

use std::time::Duration;

use swimring::State;
use swimring::protocol::Counters;
use swimring_simulation::{Outcome, Rebasing, Simulation, SimulationOptions, play, scenario};

/// Scenarios of both wire formats, with every kind of fault between them.
const SEEDS: u64 = 40;

/// Plays a scenario whose members share storage.
fn outcome(seed: u64, rebasing: Rebasing) -> Outcome {
    let mut options = SimulationOptions { shared_commons: true, rebasing, ..scenario(seed) };
    // Members of one worker have one clock.
    options.faults.clock_every = Duration::ZERO;
    let mut simulation = Simulation::new(options);
    play(&mut simulation).unwrap_or_else(|violation| panic!("seed {seed}, {rebasing:?}: {violation}"))
}

/// What the protocol counted, without what it says of bases.
fn protocol(counters: Counters) -> Counters {
    Counters { bases_made: 0, bases_deferred: 0, views_rebased: 0, ..counters }
}

#[test]
fn every_byte_is_the_same_whoever_moves() {
    let mut moved = 0;
    for seed in 0..SEEDS {
        let still = outcome(seed, Rebasing::Never);
        assert_eq!(still.counters.views_rebased, 0);
        for rebasing in [Rebasing::Restless, Rebasing::Swept] {
            let other = outcome(seed, rebasing);
            assert_eq!(other.trace, still.trace, "seed {seed}, {rebasing:?}");
            assert_eq!(protocol(other.counters), protocol(still.counters), "seed {seed}, {rebasing:?}");
            assert_eq!(other.converged_after, still.converged_after, "seed {seed}, {rebasing:?}");
            moved += other.counters.views_rebased;
        }
    }
    assert!(moved > 100 * SEEDS, "{moved} moves");
}

/// A worker's worth of members with complete views.
fn fleet(members: usize) -> Simulation {
    let options =
        SimulationOptions { shared_commons: true, checked: false, ..SimulationOptions::new(1, members) };
    let mut simulation = Simulation::new(options);
    simulation.start_warm();
    simulation
}

fn run(simulation: &mut Simulation, seconds: u64) {
    simulation.run_for(Duration::from_secs(seconds)).expect("no check fails");
}

/// Differences of all members that are up, on average.
fn differences(simulation: &Simulation) -> f64 {
    let up: Vec<_> = (0..simulation.len()).filter_map(|node| simulation.member(node)).collect();
    up.iter().map(|member| member.differences()).sum::<usize>() as f64 / up.len() as f64
}

#[test]
fn a_sweep_brings_members_back_together() {
    let mut simulation = fleet(400);
    run(&mut simulation, 5);
    assert!(differences(&simulation) < 1.0, "{} at the start", differences(&simulation));
    for node in 0..60 {
        simulation.crash(node * 5);
    }
    run(&mut simulation, 20);
    assert_eq!(simulation.belief(7, 0), Some(State::Dead));
    // By now the dead are forgotten, and remembered.
    run(&mut simulation, 75);
    let counters = simulation.counters();
    assert!(counters.bases_made > 0 && counters.views_rebased > 300, "{counters:?}");
    assert!(differences(&simulation) < 16.0, "{} instead of 60", differences(&simulation));
    // Who leaves, and who comes back, in between.
    for node in 0..20 {
        simulation.leave(node * 5 + 1);
        simulation.restart(node * 5, Default::default());
    }
    run(&mut simulation, 120);
    assert!(differences(&simulation) < 60.0, "{} after more", differences(&simulation));
    assert!(simulation.commons(7).bases() < 8, "{} bases in use", simulation.commons(7).bases());
}

#[test]
fn those_who_join_come_to_share_a_base() {
    let mut simulation = Simulation::new(SimulationOptions {
        shared_commons: true,
        checked: false,
        ..SimulationOptions::new(2, 200)
    });
    simulation.start_cold();
    run(&mut simulation, 120);
    assert!((0..200).all(|node| simulation.member(node).is_some_and(|member| member.live() == 200)));
    assert!(differences(&simulation) < 16.0, "{} of 200", differences(&simulation));
}

#[test]
fn the_crashed_and_the_left_keep_no_base_alive() {
    let mut simulation = fleet(100);
    run(&mut simulation, 5);
    // Those who leave keep their views as they are; those who crash give theirs back.
    for node in 0..10 {
        simulation.leave(node);
    }
    run(&mut simulation, 30);
    for node in 10..60 {
        simulation.crash(node);
        run(&mut simulation, 10);
    }
    run(&mut simulation, 60);
    let counters = simulation.counters();
    assert!(counters.bases_made >= 4, "{counters:?}");
    assert_eq!(counters.bases_deferred, 0);
    assert!(simulation.commons(70).bases() < 8, "{} bases in use", simulation.commons(70).bases());
}
