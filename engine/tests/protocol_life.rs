//! A cluster's ordinary life on the virtual network: join, detect, tell, leave, come back.

use std::time::Duration;

use swimring::sim::{Simulation, SimulationOptions, What};
use swimring_codec::State;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A cluster of `members`, joined and settled.
fn settled(seed: u64, members: usize) -> Simulation {
    let mut simulation = Simulation::new(SimulationOptions::new(seed, members));
    simulation.start_cold();
    simulation.run_for(seconds(30)).unwrap();
    for node in 0..members {
        assert_eq!(simulation.member(node).unwrap().live(), members, "member {node}");
    }
    simulation
}

#[test]
fn ten_members_join_detect_a_crash_and_hear_an_event() {
    let mut simulation = settled(1, 10);
    simulation.clear_log();
    simulation.crash(3);
    simulation.run_for(seconds(25)).unwrap();
    for node in (0..10).filter(|node| *node != 3) {
        assert_eq!(simulation.belief(node, 3), Some(State::Dead), "member {node}");
    }
    assert_eq!(simulation.log().count(What::Failed), 9);
    let sequence = simulation.broadcast(5, "deploy", b"v2").unwrap();
    simulation.run_for(seconds(10)).unwrap();
    assert_eq!(simulation.log().count(What::UserEvent(sequence)), 8);
}
