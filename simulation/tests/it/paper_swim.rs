//! The claims of SWIM (Das, Gupta, Motivala, DSN 2002), one test each.

use std::f64::consts::E;

use crate::paper_support::*;
use swimring::protocol::Settings;
use swimring_codec::native::Message;
use swimring_codec::{Incarnation, State};
use swimring_simulation::{Direction, Faults, Simulation, SimulationOptions, What};

/// Time from a crash to the first suspicion by anyone, in probe intervals, over many crashes.
fn first_detections(members: usize, crashes: u64) -> Vec<f64> {
    let settings = plain();
    let detection = |seed| {
        let mut simulation = warm(seed, members, &settings);
        // Not in step with the members' own start.
        run(&mut simulation, millis(seed * 37 % 1000));
        let crashed = simulation.now();
        simulation.crash(0);
        run(&mut simulation, seconds(2 * members as u64));
        let suspected = first(&simulation, What::Suspected, 0, crashed).expect("it is detected");
        suspected.since(crashed).as_secs_f64() / settings.probe_interval.as_secs_f64()
    };
    (0..crashes).map(detection).collect()
}

/// Section 3.1 and 5: the expected time to the first detection is at most e/(e-1) protocol periods, and
/// does not depend on the size of the group. (A probe that fails takes one period more to say so.)
#[test]
fn first_detection_takes_a_constant_number_of_periods() {
    let bound = E / (E - 1.0) + 1.0;
    let means: Vec<f64> =
        [8, 16, 32, 64].iter().map(|members| mean(&first_detections(*members, 60))).collect();
    for mean in &means {
        assert!((1.0..bound * 1.1).contains(mean), "{means:?}, bound {bound}");
    }
    let (least, most) =
        (means.iter().copied().fold(f64::MAX, f64::min), means.iter().copied().fold(0.0, f64::max));
    assert!(most - least < 0.5, "{means:?}");
}

/// Section 4.3: with round-robin probing every member pings every other at least once in 2n - 1 periods,
/// so detection is complete within a bound, which random probing cannot give.
#[test]
fn every_member_is_probed_within_two_rounds() {
    let (members, rounds) = (12, 8);
    let settings = plain();
    let mut simulation = warm(3, members, &settings);
    simulation.tap();
    run(&mut simulation, settings.probe_interval * (members * rounds) as u32);
    let mut longest = 0.0f64;
    for prober in 0..members {
        for target in (0..members).filter(|target| *target != prober) {
            let pinged = |frame: &&swimring_simulation::CapturedFrame| {
                frame.from == prober
                    && frame.to == Some(target)
                    && messages(frame).iter().any(|message| matches!(message, Message::Ping { .. }))
            };
            let times: Vec<f64> = simulation
                .tapped()
                .iter()
                .filter(pinged)
                .map(|frame| frame.at.as_micros() as f64 / 1e6)
                .collect();
            assert!(times.len() >= rounds / 2, "{prober} pings {target} in every round");
            times.windows(2).for_each(|pair| longest = longest.max(pair[1] - pair[0]));
        }
    }
    let periods = longest / settings.probe_interval.as_secs_f64();
    assert!(periods <= (2 * members - 1) as f64, "{periods} periods");
    assert!(periods > members as f64, "the order changes between rounds: {periods} periods");
}

/// Section 3.2: the load on each member is constant, whatever the size of the group.
#[test]
fn load_per_member_does_not_grow_with_the_group() {
    let load = |members: usize| {
        let mut simulation = warm(5, members, &Settings::default());
        simulation.clear_log();
        run(&mut simulation, seconds(60));
        let frames: u64 = (0..members).map(|node| simulation.log().traffic(node).0).sum();
        frames as f64 / (members as f64 * 60.0)
    };
    let loads = [8, 32, 128, 512].map(load);
    // A ping and an ack each per interval.
    assert!(loads.iter().all(|load| (load - 2.0).abs() < 0.05), "{loads:?} frames a second");
}

/// Section 3.1: completeness. Whoever fails is detected by every member that does not.
#[test]
fn every_failure_is_detected_by_everyone() {
    let members = 24;
    let mut simulation = warm(7, members, &Settings::default());
    let crashed = |node: usize| node % 2 == 1;
    (0..members).filter(|node| crashed(*node)).for_each(|node| simulation.crash(node));
    let (_, longest) = simulation.settings().suspicion_timeouts(members);
    run(&mut simulation, longest + seconds(2 * members as u64));
    let alive = (0..members).filter(|node| !crashed(*node)).count();
    assert_eq!(count(&simulation, What::Failed, crashed), alive * (members - alive));
    assert_eq!(count(&simulation, What::Failed, |node| !crashed(node)), 0);
}

/// Section 3.1: accuracy. Without loss nobody who lives is ever suspected.
#[test]
fn nobody_is_suspected_on_a_good_network() {
    let mut simulation = warm(9, 40, &Settings::default());
    run(&mut simulation, seconds(600));
    assert_eq!(simulation.log().count(What::Suspected), 0);
    assert_eq!(simulation.counters().probes_failed, 0);
}

/// Rounds of gossip until an event has reached everyone.
fn rounds_to_reach_all(members: usize, seed: u64) -> f64 {
    let settings = plain();
    let mut simulation = warm(seed, members, &settings);
    let sequence = simulation.send_event(0, "news", b"").expect("room");
    let reached = |simulation: &Simulation| simulation.log().count(What::UserEvent(sequence)) == members - 1;
    let taken = run_until(&mut simulation, millis(20), seconds(30), reached);
    taken.as_secs_f64() / settings.gossip_interval.as_secs_f64()
}

/// Section 3.3: dissemination is epidemic and takes O(log n) rounds.
#[test]
fn dissemination_takes_logarithmic_time() {
    for members in [16usize, 64, 256, 1024] {
        let rounds = mean(&(0..3).map(|seed| rounds_to_reach_all(members, seed)).collect::<Vec<_>>());
        let logarithm = (members as f64).log2();
        assert!(rounds < 1.5 * logarithm + 2.0, "{members} members: {rounds} rounds");
    }
}

/// Section 4.1: each member sends each update at most lambda log n times, and then is silent about it.
#[test]
fn every_update_is_sent_a_limited_number_of_times() {
    for members in [5usize, 20, 200] {
        let settings = plain();
        let mut simulation = warm(11, members, &settings);
        let before = simulation.counters();
        simulation.update_metadata(0, b"new").expect("room");
        run(&mut simulation, seconds(20));
        let sent = simulation.counters().since(&before).broadcast_copies_sent;
        let limit = settings.retransmit_limit(members);
        assert_eq!(sent, u64::from(limit) * members as u64, "{members} members");
    }
}

/// Section 4.1: updates ride on pings and acks; a group that gossips little sends hardly more frames.
#[test]
fn updates_ride_on_probes() {
    // Gossip rounds are so rare that probes carry everything.
    let settings = Settings { gossip_interval: seconds(60), ..plain() };
    let mut simulation = warm(13, 10, &settings);
    let sequence = simulation.send_event(0, "news", b"").expect("room");
    run(&mut simulation, seconds(20));
    assert_eq!(simulation.log().count(What::UserEvent(sequence)), 9);
}

/// Section 4.2: suspicion. Giving the accused time to refute means fewer false failures under loss.
#[test]
fn suspicion_reduces_false_failures() {
    let false_failures = |multiplier, longest| {
        let settings = Settings {
            suspicion_multiplier: multiplier,
            suspicion_max_timeout_multiplier: longest,
            indirect_checks: 0,
            local_health_max: 0,
            gossip_interval: millis(500),
            gossip_fanout: 1,
            ..plain()
        };
        let faults = Faults { loss: 0.2, ..Faults::NONE };
        let options = SimulationOptions { settings, faults, ..SimulationOptions::new(15, 24) };
        let mut simulation = Simulation::new(options);
        simulation.start_warm();
        run(&mut simulation, seconds(300));
        (simulation.log().count(What::Failed), simulation.log().count(What::Suspected))
    };
    let ((hasty, suspected), (patient, also)) = (false_failures(1, 1), false_failures(5, 6));
    assert!(suspected > 100 && also > 100, "{suspected} {also}");
    assert!(hasty > 20 * patient.max(1), "{hasty} without time to refute, {patient} with");
}

/// Section 4.2: alive, suspect and dead override each other by incarnation, in this order.
#[test]
fn beliefs_override_each_other_by_incarnation() {
    use State::{Alive, Dead, Suspect};
    let cases = [
        // what is believed, at which incarnation; what is said; whether that is adopted
        ((Alive, 5), (Alive, 5), false),
        ((Alive, 5), (Alive, 6), true),
        ((Alive, 5), (Alive, 4), false),
        ((Alive, 5), (Suspect, 4), false),
        ((Alive, 5), (Suspect, 5), true),
        ((Alive, 5), (Suspect, 6), true),
        ((Suspect, 5), (Alive, 5), false),
        ((Suspect, 5), (Alive, 6), true),
        ((Suspect, 5), (Suspect, 5), false),
        ((Suspect, 5), (Suspect, 6), true),
        ((Suspect, 5), (Dead, 4), false),
        ((Suspect, 5), (Dead, 5), true),
        ((Alive, 5), (Dead, 5), true),
        ((Alive, 5), (Dead, 4), false),
        ((Dead, 5), (Alive, 5), false),
        ((Dead, 5), (Suspect, 6), false),
        ((Dead, 5), (Alive, 6), true),
    ];
    for (number, (before, said, adopted)) in cases.into_iter().enumerate() {
        // Member 3 is down from the start, so that nobody answers for it.
        let mut simulation = warm(17, 4, &plain());
        simulation.crash(3);
        let (subject, source) = (simulation.id(3), simulation.id(1));
        let base = incarnation(&simulation, 0, 3).get();
        let tag = swimring_codec::identity_hash(simulation.address(3), b"", "") as u8;
        let message = |(state, incarnation)| {
            let incarnation = Incarnation::new(base + incarnation);
            match state {
                Alive => Message::Alive { subject, incarnation, tag },
                Suspect => Message::Suspect { subject, incarnation, accuser: source },
                _ => Message::Dead { subject, incarnation },
            }
        };
        // From anything to what the case begins with.
        forge(&mut simulation, source, 0, &[message((Alive, before.1)), message(before)]);
        let held =
            |simulation: &Simulation| (state(simulation, 0, 3), incarnation(simulation, 0, 3).get() - base);
        assert_eq!(held(&simulation), (Some(before.0), before.1), "case {number} begins");
        forge(&mut simulation, source, 0, &[message(said)]);
        let expected = if adopted { said } else { before };
        assert_eq!(held(&simulation), (Some(expected.0), expected.1), "case {number}");
    }
}

/// Section 3.1: the indirect probe. A link that fails between two members does not make them suspect each
/// other, since others reach both.
#[test]
fn indirect_probes_mask_a_failed_link() {
    let suspicions = |indirect_checks| {
        let settings = Settings { indirect_checks, ..plain() };
        let mut simulation = warm(19, 10, &settings);
        simulation.cut(&[0], &[1], Direction::Both, seconds(200), NEVER);
        run(&mut simulation, seconds(120));
        (simulation.log().count(What::Suspected), simulation.counters().probes_acked_indirectly)
    };
    let (suspected, masked) = suspicions(3);
    assert_eq!(suspected, 0);
    assert!(masked >= 10, "{masked} probes");
    let (suspected, _) = suspicions(0);
    assert!(suspected > 0, "without indirect probes the link matters");
}

/// Section 3.3: joining. Whoever joins through one member is soon known to all, and knows all.
#[test]
fn a_join_is_told_to_everyone() {
    let members = 50;
    let settings = Settings { push_pull_interval: NEVER, ..Settings::default() };
    let mut simulation = warm(21, members, &settings);
    simulation.crash(49);
    let dead = |simulation: &Simulation| (0..49).all(|node| state(simulation, node, 49) == Some(State::Dead));
    run_until(&mut simulation, seconds(1), seconds(100), dead);
    simulation.restart(49, swimring_simulation::Restart::default());
    let known =
        |simulation: &Simulation| (0..49).all(|node| state(simulation, node, 49) == Some(State::Alive));
    let taken = run_until(&mut simulation, millis(20), seconds(10), known);
    assert!(taken < seconds(3), "{taken:?}");
    assert_eq!(simulation.member(49).expect("up").live(), members);
}
