//! The answer depends on the seed and the effort, and on nothing else.

use std::time::Duration;

use super::*;
use crate::objective::{Limit, Measure, Network, Objective, Target};
use crate::outputs::View;
use crate::outputs::document::document;
use crate::search::defaults::defaults;
use crate::sweep::Stop;
use crate::sweep::progress::Watch;

fn objective() -> Objective {
    let limit = |measure, most| Limit { measure, most, default: false };
    Objective {
        members: 60,
        network: Network { loss: 0.02, ..Network::default() },
        events_per_second: 0.0,
        failures_per_hour: 1.0,
        limits: vec![limit(Measure::DetectP99, 7.0), limit(Measure::FalseDeaths, 0.1)],
        minimise: Measure::Bytes,
        target: Target::Consul,
    }
}

fn effort(threads: usize, time: Duration) -> Effort {
    Effort { threads, seed: 5, core_s: 6.0, time, forms_only: false }
}

fn answer(effort: &Effort) -> Answer {
    recommend(&objective(), effort, &Stop::default(), &Watch::hidden()).unwrap()
}

#[test]
fn threads_and_time_change_nothing() {
    let whole = |threads, time| {
        let answer = answer(&effort(threads, time));
        assert!(!answer.cut && !answer.interrupted);
        assert!(answer.holdout.crashes() >= plan::CRASHES_WANTED);
        document(&View::of(&objective(), &answer, &defaults(&answer.forms))).to_string()
    };
    let hour = Duration::from_secs(3600);
    let one = whole(1, hour);
    assert_eq!(one, whole(7, hour), "seven threads on however many cores: each is held up at other moments");
    assert_eq!(one, whole(2, Duration::MAX));
}

#[test]
fn a_cap_that_cuts_is_said_and_nothing_is_met_by_it() {
    let answer = answer(&effort(2, Duration::ZERO));
    assert!(answer.cut && !answer.interrupted);
    assert!(!answer.is_met() && !answer.is_missed(), "{:?}", answer.judged);
    assert_eq!(answer.judged[0].verdict, Verdict::NotSeen);
    let compared = defaults(&answer.forms);
    let objective = objective();
    let lines = crate::outputs::text::lines(&View::of(&objective, &answer, &compared), 80);
    assert!(lines.iter().any(|line| line.starts_with("CUT SHORT by --time")), "{lines:#?}");
}

/// What is beyond the effort is judged at a smaller size, and small trials are as many as it takes.
#[test]
fn the_size_follows_from_the_effort() {
    let large = Objective { members: 64_000, ..objective() };
    let candidate = |objective: &Objective| {
        let forms = crate::search::Forms::of(objective);
        crate::search::search(objective, &forms, 0.0).best
    };
    let (watch, stop) = (Watch::hidden(), Stop::default());
    let size = |core_s: f64| {
        let effort = Effort { core_s, ..effort(2, Duration::from_secs(1)) };
        let trials = trials::Trials::new(&large, &effort, &stop, &watch);
        let plan = trials.crashing_plan(&candidate(&large), plan::CRASHES_WANTED, core_s);
        (plan.members(), plan.crashes())
    };
    let (small, wide) = (size(20.0), size(1e5));
    assert!((500..64_000).contains(&small.0) && wide.0 == 64_000, "{small:?} {wide:?}");
    assert!(wide.1 >= 10 && small.1 >= 10, "many crashes in a trial: {small:?} {wide:?}");
}
