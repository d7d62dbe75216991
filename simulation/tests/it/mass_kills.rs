//! A large part of a cluster dies at one moment, as with a rack: everyone declares all of it soon, nobody declares anybody
//! else, and what a member sends is bounded by the pace of delegated broadcast.

use std::time::Duration;

use swimring::Settings;
use swimring_codec::State;
use swimring_codec::native::Message;
use swimring_simulation::experiment::{CrashKind, TrialOptions, TrialOutcome, run};
use swimring_simulation::{Faults, What};

use crate::paper_support::{count, messages, run as run_for, seconds, warm};

const MEMBERS: u32 = 300;

fn killed(seed: u64, loss: f64, crash_kind: CrashKind) -> TrialOutcome {
    let outcome = run(&TrialOptions {
        seed,
        members: MEMBERS,
        crashes: MEMBERS * 3 / 10,
        crashes_within: Some(Duration::ZERO),
        crash_kind,
        loss,
        ..TrialOptions::default()
    });
    outcome.unwrap()
}

/// Most that a member sends in a second: at each of the moments that pacing leaves, a frame to each of `parts` delegates,
/// and an acknowledgement for each frame that it receives, of which there are as many.
fn datagrams_max(settings: &Settings, parts: u32) -> u32 {
    let moments = (Duration::from_secs(1).as_micros() / settings.delegation_pacing.as_micros()) as u32;
    2 * moments * parts
}

#[test]
fn a_third_that_dies_at_once_is_declared_everywhere_within_fifteen_seconds() {
    for (seed, loss, kind) in [
        (1, 0.0, CrashKind::Process),
        (2, 0.01, CrashKind::Process),
        (3, 0.01, CrashKind::Process),
        (4, 0.05, CrashKind::Process),
        (5, 0.01, CrashKind::Host),
        (6, 0.01, CrashKind::Host),
    ] {
        let outcome = killed(seed, loss, kind);
        let case = format!("seed {seed}, loss {loss}, {kind:?}");
        for crash in &outcome.crashes {
            assert_eq!(crash.declared, crash.of, "{case}: member {}", crash.member);
        }
        assert_eq!(outcome.false_deaths, 0, "{case}");
        let last = outcome.crashes.iter().filter_map(|crash| crash.all_s).fold(0.0, f64::max);
        assert!(last < 15.0, "{case}: the last one knew after {last} s");
        // 300 members divide into five steps of three parts.
        let most = datagrams_max(&Settings::default(), 15);
        assert!(outcome.datagrams_of_a_second_max < most, "{case}: {}", outcome.datagrams_of_a_second_max);
        assert!(outcome.counters.neighbours_probed >= u64::from(MEMBERS), "{case}: {:?}", outcome.counters);
    }
}

/// Where the host says that the process is gone one broadcast does for a death.
#[test]
fn a_death_that_the_host_confirms_is_told_once() {
    let (members, victim) = (200, 3);
    let mut simulation = warm(1, members, &Settings::default());
    simulation.tap();
    simulation.crash(victim);
    run_for(&mut simulation, seconds(6));
    let subject_of = |message: &Message<'_>| match message {
        Message::Suspect { subject, .. } => Some((false, *subject)),
        Message::Dead { subject, .. } => Some((true, *subject)),
        _ => None,
    };
    let id = simulation.id(victim);
    let (mut suspicions, mut deaths) = (0, 0);
    for frame in simulation.tapped().iter().filter(|frame| frame.to != Some(victim)) {
        for (dead, subject) in messages(frame).iter().filter_map(subject_of) {
            assert_eq!(subject, id);
            *if dead { &mut deaths } else { &mut suspicions } += 1;
        }
    }
    assert_eq!(suspicions, 0);
    assert!((members - 2..2 * members).contains(&deaths), "{deaths}");
    assert_eq!(count(&simulation, What::Failed, |subject| subject == victim), members - 1);
}

/// What its accuser keeps to itself is not lost with the accuser: others find it themselves.
#[test]
fn an_accuser_that_dies_before_it_has_told_does_not_keep_the_death_to_itself() {
    let (members, victim) = (60, 3);
    let mut simulation = warm(2, members, &Settings::default());
    simulation.crash(victim);
    let mut accuser = None;
    while accuser.is_none() {
        run_for(&mut simulation, Duration::from_millis(50));
        let entries = simulation.log().entries().iter();
        let mut accused =
            entries.filter(|entry| entry.what == What::Suspected && entry.subject == Some(victim));
        accuser = accused.next().map(|entry| entry.observer);
    }
    simulation.crash(accuser.expect("found"));
    run_for(&mut simulation, seconds(20));
    let alive = (0..members).filter(|node| *node != victim && Some(*node) != accuser);
    for node in alive {
        assert_eq!(simulation.belief(node, victim), Some(State::Dead), "member {node}");
    }
}

/// Once many have died the members beside each other see after each other; a few deaths change nothing.
#[test]
fn neighbours_are_probed_after_many_deaths_only() {
    let probed = |crashes: usize| {
        let members = 100;
        let mut simulation = warm(3, members, &Settings::default());
        simulation.set_faults(Faults { loss: 0.01, ..Faults::NONE });
        (0..crashes).for_each(|node| simulation.crash(node * 3));
        run_for(&mut simulation, seconds(20));
        assert_eq!(count(&simulation, What::Failed, |_| true), crashes * (members - crashes));
        simulation.counters().neighbours_probed
    };
    assert_eq!(probed(10), 0);
    let many = probed(30);
    // Two for each of 70, and those that come to lie beside them.
    assert!((140..300).contains(&many), "{many}");
}
