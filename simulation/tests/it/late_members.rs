//! Members whose machine has no time for them: what was sent to them waits, and what finds no room is lost. They
//! are the ones that are wrong about the others, and must not start what never ends.

use std::ops::Range;
use std::time::Duration;

use crate::paper_support::{millis, plain, seconds};
use swimring::protocol::{MemberlistOptions, Settings, WireOptions};
use swimring_codec::State;
use swimring_simulation::{Faults, Simulation, SimulationOptions, Slowness, What};

const MEMBERS: usize = 40;
const LATE: usize = 10;

fn wires() -> [WireOptions; 2] {
    [WireOptions::Native, WireOptions::Memberlist(MemberlistOptions::default())]
}

/// `MEMBERS` members, the first `LATE` of which have little room for what waits.
fn cluster(seed: u64, wire: &WireOptions, settings: &Settings, inbox: usize, delay: Duration) -> Simulation {
    let mut simulation = Simulation::new(SimulationOptions {
        settings: settings.clone(),
        wire: wire.clone(),
        faults: Faults { starve_inbox: inbox, delay_floor: delay, ..Faults::NONE },
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

/// How often a member that was never late was accused.
fn blamed(simulation: &Simulation) -> u64 {
    let entries = simulation.log().entries().iter();
    entries.filter(|entry| entry.what == What::Accused && entry.observer >= LATE).count() as u64
}

/// Everyone holds everyone alive.
fn all_is_well(simulation: &Simulation) -> bool {
    (0..MEMBERS).all(|one| (0..MEMBERS).all(|other| simulation.belief(one, other) == Some(State::Alive)))
}

/// A member that is late now and then, and loses what it is sent meanwhile, blames nobody for it: it asks again.
#[test]
fn who_has_lost_what_it_was_sent_blames_nobody() {
    for wire in wires() {
        for seed in 1..=3 {
            // Nobody else's answer helps, and answers take long enough to meet a stall.
            let settings = Settings { indirect_checks: 0, ..plain() };
            let mut simulation = cluster(seed, &wire, &settings, 0, millis(200));
            for _ in 0..60 {
                starve(&mut simulation, 0..LATE, millis(400), millis(400));
                simulation.run_for(millis(1300)).unwrap();
            }
            let (unproven, blamed) = (simulation.counters().probes_inconclusive, blamed(&simulation));
            println!("{wire:?} seed {seed}: {unproven} proved nothing, {blamed} blamed");
            assert!(unproven >= 20 && blamed * 5 <= unproven, "{wire:?} seed {seed}: {unproven}, {blamed}");
        }
    }
}

/// However late they were, and whatever they lost: within ten seconds of its end nobody that lives is held dead or
/// suspected.
#[test]
fn ten_seconds_after_a_machine_was_busy_all_is_well() {
    for wire in wires() {
        let mut suspicions = 0;
        for (seed, stall, late) in
            [(1, 200, MEMBERS), (2, 1000, MEMBERS), (3, 3000, MEMBERS / 2), (4, 6000, MEMBERS / 2)]
        {
            let mut simulation = cluster(seed, &wire, &Settings::default(), 2, millis(20));
            starve(&mut simulation, 0..late, seconds(60), millis(stall));
            simulation.run_for(seconds(60)).unwrap();
            let counters = simulation.counters();
            suspicions += counters.suspicions_started;
            println!(
                "{wire:?} stalls of {stall} ms: {} suspicions, {} deaths",
                counters.suspicions_started, counters.members_failed
            );
            simulation.run_for(seconds(10)).unwrap();
            assert!(all_is_well(&simulation), "{wire:?} seed {seed}");
        }
        assert!(suspicions > 0, "stalls of six seconds have to be noticed");
    }
}

/// A driver that keeps up again is believed at once: nobody sits out a time that was drawn while it was late.
#[test]
fn members_are_at_their_pace_again_within_two_intervals() {
    let settings = plain();
    let mut simulation = cluster(1, &WireOptions::Native, &settings, 0, millis(1));
    let probes = |simulation: &mut Simulation, time: Duration| {
        let before = simulation.counters();
        simulation.run_for(time).unwrap();
        simulation.counters().since(&before).probes_sent as usize
    };
    (0..MEMBERS).for_each(|node| simulation.set_overload(node, settings.local_health_max));
    simulation.run_for(settings.probe_interval * 20).unwrap();
    let seldom = probes(&mut simulation, settings.probe_interval * 36);
    assert!((MEMBERS * 3..=MEMBERS * 5).contains(&seldom), "each nine times as seldom: {seldom}");
    (0..MEMBERS).for_each(|node| simulation.set_overload(node, 0));
    simulation.run_for(settings.probe_interval * 2).unwrap();
    let often = probes(&mut simulation, settings.probe_interval * 4);
    assert!(often >= MEMBERS * 4 * 95 / 100, "{often}");
}
