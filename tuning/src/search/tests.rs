//! The search against every combination of a small space, the front against its definition, and obstacles that
//! are known.

use swimring::protocol::settings::Dissemination;

use super::*;
use crate::objective::{Limit, Measure, Network, Target};

fn objective(limits: &[(Measure, f64)]) -> Objective {
    Objective {
        members: 100,
        network: Network { loss: 0.01, ..Network::default() },
        events_per_second: 0.0,
        failures_per_hour: 10.0,
        limits: limits
            .iter()
            .map(|(measure, most)| Limit { measure: *measure, most: *most, default: false })
            .collect(),
        minimise: Measure::Bytes,
        target: Target::Swimring,
    }
}

#[test]
fn what_is_found_meets_the_limits_and_nothing_looked_at_is_better() {
    let objective = objective(&[(Measure::DetectP99, 5.0), (Measure::FalseDeaths, 0.1)]);
    let forms = Forms::of(&objective);
    let found = search(&objective, &forms, 0.0);
    assert!(found.best.meets(&objective), "{:?}", found.best.predicted);
    let cheapest = found
        .all
        .iter()
        .filter(|candidate| candidate.meets(&objective))
        .map(|candidate| candidate.predicted.bytes_per_member_second)
        .fold(f64::INFINITY, f64::min);
    // What is further from the defaults has to be worth it: that is all that may be given up.
    assert!(found.best.predicted.bytes_per_member_second <= cheapest * 1.2);
    assert!(found.all.iter().all(|candidate| candidate.settings.validate().is_ok()));
    let again = search(&objective, &forms, 0.0);
    assert_eq!(again.best.settings, found.best.settings, "a search has no luck");
}

/// The naive twin: every combination of Consul's knobs on every third step.
#[test]
fn climbing_finds_what_going_through_everything_finds() {
    let mut objective = objective(&[(Measure::DetectP99, 8.0), (Measure::FalseDeaths, 1.0)]);
    objective.target = Target::Consul;
    let forms = Forms::of(&objective);
    let found = search(&objective, &forms, 0.0);
    let mut best = f64::INFINITY;
    let mut settings = objective.target.starts()[0].clone();
    let every = |knob: Knob, by: usize| knob.ladder().iter().copied().step_by(by);
    for probe in every(Knob::ProbeInterval, 2) {
        for timeout in every(Knob::ProbeTimeout, 3).filter(|timeout| *timeout < probe) {
            for multiplier in every(Knob::SuspicionMultiplier, 2) {
                for fanout in every(Knob::GossipFanout, 4) {
                    Knob::ProbeInterval.set(&mut settings, probe);
                    Knob::ProbeTimeout.set(&mut settings, timeout);
                    Knob::SuspicionMultiplier.set(&mut settings, multiplier);
                    Knob::GossipFanout.set(&mut settings, fanout);
                    let predicted = forms.predict(&settings);
                    let candidate = Candidate { settings: settings.clone(), predicted };
                    if candidate.meets(&objective) {
                        best = best.min(candidate.predicted.bytes_per_member_second);
                    }
                }
            }
        }
    }
    assert!(best.is_finite());
    assert!(found.best.predicted.bytes_per_member_second <= best * 1.05, "{best} {:?}", found.best.predicted);
}

#[test]
fn a_target_keeps_what_it_cannot_express() {
    for target in [Target::Serf, Target::Consul] {
        let mut objective = objective(&[(Measure::DetectP99, 8.0)]);
        objective.target = target;
        let found = search(&objective, &Forms::of(&objective), 0.0);
        let starts = target.starts();
        for candidate in &found.all {
            let kept = Knob::ALL.iter().filter(|knob| !target.knobs().contains(knob));
            let same =
                |start: &Settings| kept.clone().all(|knob| knob.get(start) == knob.get(&candidate.settings));
            assert!(starts.iter().any(same), "{target:?}: {:?}", candidate.settings);
        }
        assert!(target != Target::Serf || found.all.len() == 3);
    }
}

#[test]
fn nothing_on_the_front_is_beaten_in_both() {
    let objective = objective(&[(Measure::DetectP99, 5.0), (Measure::FalseDeaths, 0.1)]);
    let found = search(&objective, &Forms::of(&objective), 0.0);
    let (x, y) = (Measure::Bytes, Measure::DetectP99);
    let front = pareto::front(&found.all, &objective, x, y);
    assert!((2..=pareto::FRONT_MAX).contains(&front.len()));
    let relaxed = objective.without(x).without(y);
    for point in &front {
        let beaten = found.all.iter().filter(|other| other.meets(&relaxed)).any(|other| {
            other.predicted.get(x) < point.predicted.get(x) && other.predicted.get(y) < point.predicted.get(y)
        });
        assert!(!beaten);
    }
}

#[test]
fn corrections_scale_what_is_said_and_are_bounded() {
    let objective = objective(&[(Measure::DetectP99, 5.0)]);
    let forms = Forms::of(&objective);
    let mut corrections = Corrections::none();
    corrections.note(Measure::Bytes, 1.5);
    corrections.note(Measure::DetectP99, 1000.0);
    corrections.note(Measure::DetectP50, f64::NAN);
    let lan = Settings::default();
    let (plain, corrected) = (forms.predict(&lan), forms.corrected(corrections).predict(&lan));
    assert!((corrected.bytes_per_member_second / plain.bytes_per_member_second - 1.5).abs() < 1e-9);
    assert!((corrected.detect_p99_s / plain.detect_p99_s - 4.0).abs() < 1e-9);
    assert_eq!(corrected.detect_p50_s, plain.detect_p50_s);
}

#[test]
fn obstacles_say_which_limit_and_by_how_much() {
    let objective =
        objective(&[(Measure::DetectP99, 1.0), (Measure::Bytes, 20.0), (Measure::FalseDeaths, 0.1)]);
    let forms = Forms::of(&objective);
    assert!(!search(&objective, &forms, 0.0).best.meets(&objective));
    let obstacles = infeasible::obstacles(&objective, &forms);
    let bytes = obstacles.iter().find(|obstacle| obstacle.limit.measure == Measure::Bytes).unwrap();
    let needed = bytes.needed.unwrap();
    assert!(needed > 20.0 && !bytes.is_out_of_reach());
    assert!(bytes.line().starts_with("max-bytes-per-second would have to be "), "{}", bytes.line());
    // What is said to be needed is enough.
    let mut raised = objective.clone();
    raised.limits[1].most = needed * 1.001;
    assert!(search(&raised, &forms, 0.0).best.meets(&raised));
    let out_of_reach = infeasible::obstacles(&self::objective(&[(Measure::DetectP99, 0.01)]), &forms);
    assert!(out_of_reach[0].is_out_of_reach() && out_of_reach[0].line().contains("is out of reach"));
}

#[test]
fn sensitivity_turns_every_knob_both_ways_where_it_can() {
    let objective = objective(&[(Measure::DetectP99, 5.0)]);
    let gossip = Settings { dissemination: Dissemination::Gossip, ..Settings::default() };
    let turned = sensitivity::sensitivity(&gossip, &Forms::of(&objective));
    let probe = turned.iter().find(|turned| turned.knob == Knob::ProbeInterval).unwrap();
    assert_eq!(probe.values, [Some(900), Some(1100)]);
    let detection = Measure::ALL.iter().position(|measure| *measure == Measure::DetectP99).unwrap();
    assert!(probe.ratios[0][detection] < 1.0 && probe.ratios[1][detection] > 1.0);
    let fanout = turned.iter().find(|turned| turned.knob == Knob::GossipFanout).unwrap();
    assert_eq!(fanout.values, [Some(2), Some(4)]);
}

#[test]
fn a_native_pool_delegates_where_that_is_better_and_others_never() {
    let mut objective = objective(&[(Measure::DetectP99, 20.0), (Measure::SpreadP99, 300.0)]);
    objective.members = 1_000;
    objective.events_per_second = 1.0;
    let forms = Forms::of(&objective);
    let found = search(&objective, &forms, 0.0);
    assert!(found.best.meets(&objective), "{:?}", found.best.predicted);
    let best = &found.best.settings;
    assert_eq!(best.dissemination, Dissemination::Delegated, "{best:?}");
    // Gossip that is as fast costs a multiple.
    let gossips = |candidate: &&Candidate| candidate.settings.dissemination == Dissemination::Gossip;
    let gossip = found.all.iter().filter(gossips).filter(|candidate| candidate.meets(&objective));
    let cheapest =
        gossip.map(|candidate| candidate.predicted.bytes_per_member_second).fold(f64::INFINITY, f64::min);
    assert!(found.best.predicted.bytes_per_member_second < cheapest / 2.0, "{cheapest}: {best:?}");
    // Settings of which nobody feels anything are not changed.
    let lan = Settings::default();
    assert_eq!(best.retransmit_multiplier, lan.retransmit_multiplier);
    objective.target = Target::Memberlist;
    let found = search(&objective, &Forms::of(&objective), 0.0);
    assert!(found.all.iter().all(|candidate| candidate.settings.dissemination == Dissemination::Gossip));
}

#[test]
fn what_does_nothing_stays_at_the_default() {
    let objective = objective(&[(Measure::DetectP99, 8.0)]);
    let found = search(&objective, &Forms::of(&objective), 0.0);
    let base = &objective.target.starts()[0];
    for candidate in &found.all {
        for knob in Knob::ALL.iter().filter(|knob| !knob.works_in(&candidate.settings)) {
            assert_eq!(knob.get(&candidate.settings), knob.get(base), "{}", knob.name());
        }
    }
}
