//! A cluster's ordinary and less ordinary life on the virtual network: join, detect, tell, leave, come
//! back, fall apart and find together again.

use crate::paper_support::*;
use swimring::protocol::{MemberlistOptions, Settings, WireOptions};
use swimring_codec::State;
use swimring_simulation::{Direction, Faults, Restart, Simulation, SimulationOptions, What, scenario};

/// A cluster of `members`, joined and settled.
fn joined(seed: u64, members: usize, settings: Settings) -> Simulation {
    let mut simulation =
        Simulation::new(SimulationOptions { settings, ..SimulationOptions::new(seed, members) });
    simulation.start_cold();
    run(&mut simulation, seconds(30));
    simulation.converged().expect("joined");
    simulation
}

#[test]
fn ten_members_join_detect_a_crash_and_hear_an_event() {
    let mut simulation = joined(1, 10, Settings::default());
    simulation.clear_log();
    simulation.crash(3);
    run(&mut simulation, seconds(25));
    for node in (0..10).filter(|node| *node != 3) {
        assert_eq!(state(&simulation, node, 3), Some(State::Dead), "member {node}");
    }
    assert_eq!(simulation.log().count(What::Failed), 9);
    let sequence = simulation.send_event(5, "deploy", b"v2").expect("room");
    run(&mut simulation, seconds(10));
    assert_eq!(simulation.log().count(What::UserEvent(sequence)), 8);
}

#[test]
fn fifty_members_that_join_at_once_all_know_each_other() {
    let simulation = joined(2, 50, Settings::default());
    assert!((0..50).all(|node| simulation.member(node).expect("up").live() == 50));
    assert_eq!(simulation.log().count(What::Suspected), 0);
    assert_eq!(simulation.log().count(What::JoinFinished(true)), 49);
}

/// Everything is drawn from the seed: two runs are the same to the last bit.
#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in 0..8 {
        let trace = || {
            let mut simulation = Simulation::new(scenario(seed));
            simulation.start_cold();
            run(&mut simulation, seconds(60));
            simulation.trace()
        };
        let (first, second) = (trace(), trace());
        assert_eq!(first, second, "seed {seed}");
        assert!(first.entries() > 500, "seed {seed}");
    }
}

/// Whether members share their storage, as in a worker, or have it each for itself changes no byte that
/// they send, as long as their directories number the members alike. There is one thing that members of a worker agree
/// about otherwise: when an event was told, by which event roots go. So there are events on memberlist's wire alone.
#[test]
fn sharing_storage_changes_nothing_that_is_seen() {
    let faults = Faults {
        loss: 0.05,
        late: 0.1,
        late_max: millis(500),
        duplication: 0.05,
        // Who starts anew with a directory of its own numbers the members in another order.
        crash_every: seconds(20),
        crash_for_good: 1.0,
        metadata_every: seconds(5),
        event_every: seconds(3),
        partition_every: seconds(20),
        partition_max: seconds(10),
        partition_one_way: 0.5,
        starve_every: seconds(10),
        starve_max: seconds(10),
        starve_stall_max: seconds(2),
        ..Faults::NONE
    };
    for (seed, with_events) in (0..4).flat_map(|seed| [(seed, false), (seed, true)]) {
        let trace = |shared_commons| {
            let options = SimulationOptions::new(seed, 16);
            let (wire, event_every) = if with_events {
                (WireOptions::Memberlist(MemberlistOptions::default()), faults.event_every)
            } else {
                (WireOptions::Native, Faults::NONE.event_every)
            };
            let faults = Faults { event_every, ..faults.clone() };
            let mut simulation =
                Simulation::new(SimulationOptions { faults, wire, shared_commons, ..options });
            simulation.start_warm();
            run(&mut simulation, seconds(120));
            let counters = simulation.counters();
            assert!(counters.members_failed > 10, "{counters:?}");
            assert_eq!(counters.events_delivered > 100, with_events, "{counters:?}");
            simulation.trace()
        };
        assert_eq!(trace(true), trace(false), "seed {seed}, events: {with_events}");
    }
}

#[test]
fn who_leaves_is_known_to_have_left_and_is_not_mistaken_for_dead() {
    let mut simulation = joined(3, 12, Settings::default());
    simulation.clear_log();
    simulation.leave(4);
    run(&mut simulation, seconds(20));
    assert_eq!(simulation.log().count(What::Left), 11);
    assert_eq!(simulation.log().count(What::LeaveFinished), 1);
    assert_eq!(simulation.log().count(What::Failed) + simulation.log().count(What::Suspected), 0);
    simulation.rejoin(4);
    converges(&mut simulation);
    assert!((0..12).all(|node| state(&simulation, node, 4) == Some(State::Alive)));
}

#[test]
fn the_last_member_can_leave() {
    let mut simulation = joined(4, 3, Settings::default());
    for node in 0..3 {
        simulation.leave(node);
        run(&mut simulation, seconds(20));
        assert!(simulation.member(node).expect("up").has_left(), "member {node}");
    }
}

/// hashicorp/memberlist#222: two halves that have reaped each other find together again by themselves.
#[test]
fn a_partition_that_outlasts_reaping_heals_by_itself() {
    let mut simulation = joined(5, 20, Settings::default());
    let half: Vec<usize> = (0..10).collect();
    simulation.partition(&half, Direction::Both, seconds(300), NEVER);
    run(&mut simulation, seconds(300));
    for node in 0..20 {
        let known = simulation.view(node).count();
        assert_eq!(known, 10, "member {node} has reaped the other half");
    }
    simulation.clear_log();
    converges(&mut simulation);
    assert_eq!(simulation.log().count(What::JoinFinished(true)), 0, "nobody was told to join");
}

#[test]
fn partitions_of_every_kind_heal() {
    let kinds = [
        (vec![3], Direction::Both, NEVER),
        (vec![3], Direction::Inbound, NEVER),
        (vec![3], Direction::Outbound, NEVER),
        (vec![0, 1, 2, 3, 4], Direction::Outbound, NEVER),
        (vec![0, 1, 2, 3, 4], Direction::Both, seconds(5)),
        (vec![0, 5], Direction::Inbound, seconds(20)),
    ];
    for (number, (inside, direction, period)) in kinds.into_iter().enumerate() {
        let mut simulation = joined(6 + number as u64, 12, Settings::default());
        simulation.partition(&inside, direction, seconds(120), period);
        run(&mut simulation, seconds(120));
        converges(&mut simulation);
    }
}

#[test]
fn an_isolated_member_comes_back() {
    let settings = Settings { gossip_to_the_dead: seconds(5), ..Settings::default() };
    let mut simulation = joined(7, 8, settings);
    simulation.partition(&[2], Direction::Both, seconds(200), NEVER);
    run(&mut simulation, seconds(200));
    assert_eq!(simulation.member(2).expect("up").live(), 1);
    converges(&mut simulation);
}

/// A member that comes back is not held dead by its own past, wherever its clock and address are now.
#[test]
fn a_restart_overcomes_its_own_past() {
    let steps = [1, 100_000, 0, -1, -900];
    for (number, (incarnation_step, moved)) in
        steps.into_iter().flat_map(|step| [(step, false), (step, true)]).enumerate()
    {
        for away in [seconds(1), seconds(20), seconds(90)] {
            let mut simulation = joined(20 + number as u64, 8, Settings::default());
            simulation.crash(5);
            run(&mut simulation, away);
            simulation.restart(5, Restart { incarnation_step, moved });
            converges(&mut simulation);
        }
    }
}

/// Half a year and more: farther back than anyone takes for plausible.
#[test]
fn a_restart_with_its_clock_set_far_back_overcomes_its_past() {
    for away in [seconds(1), seconds(20), seconds(90)] {
        let mut simulation = joined(40, 8, Settings::default());
        // A long life, in the steps that others accept.
        for _ in 0..3 {
            simulation.crash(5);
            run(&mut simulation, seconds(30));
            simulation.restart(5, Restart { incarnation_step: 1 << 26, moved: false });
            converges(&mut simulation);
        }
        simulation.crash(5);
        run(&mut simulation, away);
        simulation.restart(5, Restart { incarnation_step: -(3 << 26), moved: false });
        converges(&mut simulation);
    }
}

/// hashicorp/memberlist#311: after a mass restart no member is held dead by its past.
#[test]
fn a_mass_restart_recovers() {
    let mut simulation = joined(8, 30, Settings::default());
    (3..30).for_each(|node| simulation.crash(node));
    run(&mut simulation, seconds(40));
    (3..30).for_each(|node| simulation.restart(node, Restart { incarnation_step: 1, moved: false }));
    converges(&mut simulation);
    assert!((0..30).all(|node| simulation.member(node).expect("up").live() == 30));
}

#[test]
fn metadata_reaches_everyone_in_spite_of_loss() {
    let settings = Settings { push_pull_interval: seconds(15), ..Settings::default() };
    let mut simulation = joined(9, 12, settings);
    simulation.set_faults(Faults { loss: 0.3, ..Faults::NONE });
    for round in 0..20u8 {
        simulation.update_metadata(usize::from(round % 12), &[round; 200]).expect("room");
        run(&mut simulation, seconds(2));
    }
    simulation.calm();
    converges(&mut simulation);
    let expected = |node: usize| if node < 8 { 12 + node as u8 } else { node as u8 };
    for observer in 0..12 {
        for known in simulation.view(observer) {
            let node: usize = known.name["member-".len()..].parse().expect("a number");
            assert_eq!(known.metadata, [expected(node); 200], "{observer} of {node}");
        }
    }
}
