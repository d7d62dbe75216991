//! The claims of Lifeguard (Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness for More Accurate
//! Failure Detection", DSN-W 2018), one test each.

use std::time::Duration;

use crate::paper_support::*;
use swimring::protocol::Settings;
use swimring_codec::native::{Frame, Message};
use swimring_codec::{MemberId, State};
use swimring_simulation::{Direction, Simulation, Slowness, What};

fn health(simulation: &Simulation, node: usize) -> u8 {
    simulation.member(node).expect("up").local_health()
}

/// When `node` sent pings of its own since the tap was opened.
fn pings(simulation: &Simulation, node: usize) -> Vec<f64> {
    let own = simulation.tapped().iter().filter(|frame| {
        let probe = |message: &Message<'_>| matches!(message, Message::Ping { .. });
        frame.from == node && messages(frame).iter().any(probe)
    });
    own.map(|frame| frame.at.as_micros() as f64 / 1e6).collect()
}

/// Section IV.A: failed probes and missed nacks raise the score, up to its maximum; successes lower it one
/// by one; probe interval and timeout are multiplied by the score plus one.
#[test]
fn local_health_slows_the_probes_of_a_member_in_trouble() {
    let settings = Settings { reconnect_interval: NEVER, ..plain() };
    let mut simulation = warm(1, 40, &settings);
    // It hears nothing, and long suspicions keep its view full of members to probe.
    simulation.cut(&[0], &(1..40).collect::<Vec<_>>(), Direction::Inbound, seconds(40), NEVER);
    run(&mut simulation, seconds(20));
    assert_eq!(health(&simulation, 0), 8, "the maximum");
    simulation.tap();
    run(&mut simulation, seconds(20));
    let times = pings(&simulation, 0);
    let interval = times.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::MAX, f64::min);
    assert!((interval - 9.0).abs() < 0.01, "{interval} s between probes at score 8");
    let asked: Vec<f64> = simulation
        .tapped()
        .iter()
        .filter(|frame| frame.from == 0)
        .filter(|frame| messages(frame).iter().any(|message| matches!(message, Message::IndirectPing { .. })))
        .map(|frame| frame.at.as_micros() as f64 / 1e6)
        .collect();
    let waits = asked.iter().filter_map(|asked| {
        times.iter().map(|ping| asked - ping).filter(|wait| *wait > 0.0).min_by(f64::total_cmp)
    });
    let timeout = waits.fold(f64::MAX, f64::min);
    assert!((timeout - 4.5).abs() < 0.01, "{timeout} s until others are asked at score 8");
    // Nobody else's score is the worse for it.
    assert!((1..40).all(|node| health(&simulation, node) <= 1));
    simulation.heal();
    let recovered = |simulation: &Simulation| health(simulation, 0) == 0;
    run_until(&mut simulation, millis(500), seconds(120), recovered);
}

/// Section IV.A: the score stays at zero where local health is switched off.
#[test]
fn the_score_has_a_configured_maximum() {
    for highest in [0, 3] {
        let settings = Settings { local_health_max: highest, ..plain() };
        let mut simulation = warm(2, 10, &settings);
        simulation.partition(&[0], Direction::Both, seconds(60), NEVER);
        run(&mut simulation, seconds(15));
        assert_eq!(health(&simulation, 0), highest);
    }
}

/// Section IV.A: nacks. A failed probe says nothing about the prober if the relays it asked answered in
/// time that they did not reach the target either.
#[test]
fn nacks_in_time_keep_the_score_of_healthy_probers_at_zero() {
    let highest = |settings: &Settings, relays_hear: bool| {
        let mut simulation = warm(3, 10, settings);
        simulation.crash(9);
        if !relays_hear {
            // The prober can be reached by nobody but hears of nothing wrong either.
            simulation.cut(&[0], &(1..9).collect::<Vec<_>>(), Direction::Inbound, seconds(60), NEVER);
        }
        let mut highest = 0;
        for _ in 0..60 {
            run(&mut simulation, millis(250));
            highest = highest.max((0..9).map(|node| health(&simulation, node)).max().unwrap_or(0));
        }
        assert!(simulation.counters().probes_failed > 0 && simulation.counters().nacks_sent > 0);
        highest
    };
    assert_eq!(highest(&plain(), true), 0, "every relay's nack came in time");
    assert!(highest(&plain(), false) >= 3, "missed nacks count");
}

/// Section IV.A: without relays to vouch for it, a failed probe counts against the prober.
#[test]
fn without_relays_a_failed_probe_raises_the_score() {
    let settings = Settings { indirect_checks: 0, ..plain() };
    let mut simulation = warm(4, 10, &settings);
    simulation.crash(9);
    // Looked at at once: the next probe begins when this one fails, and its success lowers the score.
    let failed = |simulation: &Simulation| simulation.counters().probes_failed > 0;
    run_until(&mut simulation, Duration::from_micros(200), seconds(5), failed);
    let scores: Vec<u8> = (0..9).map(|node| health(&simulation, node)).collect();
    assert!(scores.contains(&1), "{scores:?}");
}

/// Section IV.A: who has to refute an accusation doubts itself.
#[test]
fn refuting_raises_the_score() {
    let mut simulation = warm(5, 10, &plain());
    let (subject, accuser) = (simulation.id(0), simulation.id(1));
    let incarnation = incarnation(&simulation, 0, 0);
    forge(&mut simulation, accuser, 0, &[Message::Suspect { subject, incarnation, accuser }]);
    assert_eq!(health(&simulation, 0), 1);
    assert_eq!(simulation.log().count(What::Accused), 1);
    run(&mut simulation, seconds(3));
    assert_eq!(health(&simulation, 0), 0);
    assert!((1..10).all(|node| state(&simulation, node, 0) == Some(State::Alive)));
}

/// How long a suspicion of a silent member lasts at an observer when so many others confirm it at once.
/// Nothing if the observer probed the suspect meanwhile, and so confirmed the suspicion itself.
fn suspicion_lasts(settings: &Settings, members: usize, confirmations: usize, seed: u64) -> Option<Duration> {
    let mut simulation = warm(seed, members, settings);
    let suspect = members - 1;
    let (subject, incarnation) = (simulation.id(suspect), incarnation(&simulation, 0, suspect));
    simulation.crash(suspect);
    // The observer is alone with what it is told, and probes rarely.
    simulation.set_overload(0, settings.local_health_max);
    simulation.partition(&[0], Direction::Both, seconds(1000), NEVER);
    for accuser in 1..=1 + confirmations {
        let accuser = simulation.id(accuser);
        forge(&mut simulation, accuser, 0, &[Message::Suspect { subject, incarnation, accuser }]);
    }
    simulation.tap();
    let start = simulation.now();
    run_until(&mut simulation, millis(100), seconds(200), |simulation| {
        state(simulation, 0, suspect) == Some(State::Dead)
    });
    if simulation.tapped().iter().any(|frame| frame.from == 0 && frame.to == Some(suspect)) {
        return None;
    }
    simulation.log().first(0, suspect, What::Failed, start).map(|failed| failed.since(start))
}

/// Section IV.B: a suspicion starts at its maximum and shrinks with the logarithm of the independent
/// confirmations, down to the minimum after K of them; more change nothing.
#[test]
fn suspicions_shrink_with_independent_confirmations() {
    let settings = Settings { suspicion_multiplier: 5, ..plain() };
    let members = 100;
    let (shortest, longest) = settings.suspicion_timeouts(members);
    let (least, most, needed) = (shortest.as_secs_f64(), longest.as_secs_f64(), 3.0f64);
    for confirmations in 0..=5 {
        let confirmed = (confirmations as f64).min(needed);
        let expected = most - (most - least) * (confirmed + 1.0).ln() / (needed + 1.0).ln();
        let lasts = |seed| suspicion_lasts(&settings, members, confirmations, seed);
        let lasted = (0..20).find_map(lasts).expect("left alone").as_secs_f64();
        let off = lasted - expected;
        assert!(off.abs() < 0.002, "{confirmations}: {lasted} s, expected {expected} s");
    }
}

/// Section IV.B: the first K confirmations are gossiped on so that others can count them too, and no more,
/// which bounds what a failure costs.
#[test]
fn only_the_first_confirmations_are_told_on() {
    let settings = plain();
    let members = 20;
    let mut simulation = warm(7, members, &settings);
    let subject = simulation.id(members - 1);
    let incarnation = incarnation(&simulation, 0, members - 1);
    simulation.crash(members - 1);
    simulation.tap();
    for accuser in 1..=8 {
        let accuser = simulation.id(accuser);
        forge(&mut simulation, accuser, 0, &[Message::Suspect { subject, incarnation, accuser }]);
        // Until everything that is to be told has been told.
        run(&mut simulation, millis(600));
    }
    let mut told: Vec<MemberId> = Vec::new();
    for frame in simulation.tapped().iter().filter(|frame| frame.from == 0 && frame.to != Some(members - 1)) {
        for message in messages(frame) {
            if let Message::Suspect { accuser, .. } = message {
                told.push(accuser);
            }
        }
    }
    told.sort();
    told.dedup();
    let needed = usize::from(settings.suspicion_multiplier) - 2;
    assert_eq!(told.len(), 1 + needed, "who began it and K who confirmed it");
}

/// Section IV.C: the buddy system. Whoever pings a suspect tells it first that it is suspected, and the
/// refutation comes back within the probe's round trip.
#[test]
fn a_suspect_is_told_first_and_refutes_in_its_ack() {
    // No gossip, so that news travels with probes only.
    let settings = Settings { gossip_interval: seconds(60), ..plain() };
    let mut told = 0;
    for seed in 0..20 {
        let mut simulation = warm(seed, 12, &settings);
        let (subject, accuser) = (simulation.id(1), simulation.id(5));
        let incarnation = incarnation(&simulation, 0, 1);
        forge(&mut simulation, accuser, 0, &[Message::Suspect { subject, incarnation, accuser }]);
        simulation.tap();
        while state(&simulation, 0, 1) == Some(State::Suspect) {
            let seen = simulation.tapped().len();
            run(&mut simulation, Duration::from_micros(200));
            let ping = simulation.tapped()[seen..].iter().find(|frame| {
                let ping = |message: &Message<'_>| matches!(message, Message::Ping { .. });
                frame.from == 0 && frame.to == Some(1) && messages(frame).iter().any(ping)
            });
            let Some(said) = ping.map(messages) else { continue };
            assert!(matches!(said[0], Message::Suspect { subject: told, .. } if told == subject), "{said:?}");
            assert!(matches!(said[1], Message::Ping { .. }), "{said:?}");
            // The round trip.
            run(&mut simulation, millis(10));
            assert_eq!(state(&simulation, 0, 1), Some(State::Alive), "seed {seed}");
            told += 1;
        }
    }
    // In the other runs it heard of it from someone else first.
    assert!(told >= 3, "{told}");
}

/// Members that stall, as when their processes get no CPU: what is believed of those that are healthy.
fn false_failures(settings: &Settings, seed: u64) -> usize {
    let (members, slow) = (64, 6);
    let mut simulation = warm(seed, members, settings);
    for node in 0..slow {
        simulation.starve(node, Slowness::Reading, seconds(240), seconds(16));
    }
    run(&mut simulation, seconds(240));
    count(&simulation, What::Failed, |subject| subject >= slow)
}

/// Section V: with slow members in the group, Lifeguard declares healthy members dead at least ten times
/// less often than SWIM.
#[test]
fn slow_members_cause_ten_times_fewer_false_failures() {
    let lifeguard = Settings { suspicion_multiplier: 5, ..plain() };
    let swim = Settings { local_health_max: 0, suspicion_max_timeout_multiplier: 1, ..lifeguard.clone() };
    let total = |settings: &Settings| (0..4).map(|seed| false_failures(settings, seed)).sum::<usize>();
    let (without, with) = (total(&swim), total(&lifeguard));
    assert!(without >= 50, "SWIM alone suffers: {without}");
    assert!(without >= 10 * with.max(1), "{without} false failures without Lifeguard, {with} with");
}

/// Median time until everyone holds a crashed member dead.
fn detection(settings: &Settings) -> f64 {
    let members = 48;
    let mut times: Vec<f64> = (0..15)
        .map(|seed| {
            let mut simulation = warm(seed, members, settings);
            let crashed = simulation.now();
            simulation.crash(0);
            let dead = |simulation: &Simulation| {
                (1..members).all(|node| state(simulation, node, 0) == Some(State::Dead))
            };
            run_until(&mut simulation, millis(100), seconds(120), dead);
            simulation.now().since(crashed).as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Section V: true failures are detected about as fast as without, since healthy members confirm each
/// other's suspicions; and with a smaller multiplier faster, at fewer false failures still.
#[test]
fn true_failures_are_detected_as_fast() {
    let lifeguard = Settings { suspicion_multiplier: 5, ..plain() };
    let swim = Settings { local_health_max: 0, suspicion_max_timeout_multiplier: 1, ..lifeguard.clone() };
    let quick = Settings { suspicion_multiplier: 4, ..lifeguard.clone() };
    let (with, without, faster) = (detection(&lifeguard), detection(&swim), detection(&quick));
    assert!(with < 1.25 * without, "{with} s with Lifeguard, {without} s without");
    assert!(faster < 0.95 * without, "{faster} s with a smaller multiplier, {without} s without");
    let (false_swim, false_quick) = (false_failures(&swim, 1), false_failures(&quick, 1));
    assert!(false_swim > 5 * false_quick.max(1), "{false_swim} without, {false_quick} with");
}

/// Every frame a member sends says who it is for, so that a suspicion cannot be told to the wrong one.
#[test]
fn accusations_reach_the_accused_and_nobody_in_its_place() {
    let mut simulation = warm(9, 8, &plain());
    simulation.tap();
    simulation.crash(3);
    run(&mut simulation, seconds(10));
    for frame in simulation.tapped() {
        let header = Frame::decode(&frame.bytes).expect("a frame").header;
        let to = frame.to.expect("to a member");
        assert_eq!(header.destination, simulation.id(to));
        assert_eq!(header.source, simulation.id(frame.from));
    }
}
