//! The behaviour `upstream`: what hashicorp/memberlist 0.7 does where Swimring does otherwise.
//!
//! The numbers it is held against are those of memberlist itself in virtual time, which `peers/virtual` runs:
//! docs/results/2026-11-26-upstream-behaviour/README.md.

use std::time::Duration;

use swimring::protocol::Behaviour;
use swimring_simulation::Slowness;
use swimring_simulation::experiment::{
    Affected, Cycle, Impairment, ImpairmentKind, Latency, TrialError, TrialOptions, TrialOutcome, WireSizes,
    run,
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A pool of memberlist's wire on a network with a round trip of 1 ms.
fn pool(members: u32, seed: u64) -> TrialOptions {
    TrialOptions {
        wire: WireSizes::Memberlist,
        behaviour: Behaviour::upstream(),
        latency: Latency::Fixed(Duration::from_micros(500)),
        duration: seconds(120),
        ..TrialOptions::new(seed, members)
    }
}

/// A minute in which everything goes wrong at once, and there is more news than frames hold.
fn trouble(behaviour: Behaviour) -> TrialOptions {
    let slow = Impairment {
        members: Affected::Count(8),
        kind: ImpairmentKind::Slow(Slowness::Everything),
        cycle: Some(Cycle { on_for: seconds(8), off_for: seconds(2) }),
    };
    TrialOptions {
        behaviour,
        loss: 0.4,
        duration: seconds(60),
        crashes: 4,
        events_per_second: 10.0,
        event_bytes: 300,
        impaired: vec![slow],
        ..pool(40, 3)
    }
}

/// Mean per run of what `of` says of `seeds` runs.
fn mean(
    seeds: u64,
    options: impl Fn(u64) -> TrialOptions,
    of: impl Fn(&TrialOutcome) -> f64,
) -> Result<f64, TrialError> {
    let mut sum = 0.0;
    for seed in 1..=seeds {
        sum += of(&run(&options(seed))?);
    }
    Ok(sum / seeds as f64)
}

/// What no trial of this size gets to: nobody is accused nine times in a second or at an incarnation far ahead,
/// nobody relays for 17 at once, and no push/pull tells of a suspect that the other side holds dead at a lower
/// incarnation.
const OUT_OF_REACH: [&str; 3] = ["suspect_records_say_no_more", "refutes_everything", "relays_everything"];

#[test]
fn each_item_alone_makes_a_difference() -> Result<(), TrialError> {
    let ours = run(&trouble(Behaviour::swimring()))?;
    for (name, ..) in Behaviour::ITEMS {
        let mut behaviour = Behaviour::swimring();
        assert!(behaviour.set(name, true));
        let theirs = run(&trouble(behaviour))?;
        if !OUT_OF_REACH.contains(name) {
            assert_ne!(theirs.fingerprint, ours.fingerprint, "{name}");
        }
    }
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_run_as_values_and_as_bytes() -> Result<(), TrialError> {
    let values = run(&trouble(Behaviour::upstream()))?;
    let bytes = run(&TrialOptions { encoded: true, ..trouble(Behaviour::upstream()) })?;
    assert_eq!(values.fingerprint, bytes.fingerprint);
    assert_eq!(values.counters, bytes.counters);
    Ok(())
}

#[test]
fn much_loss_makes_upstream_s_members_take_each_other_for_dead_as_often_as_they_do() -> Result<(), TrialError>
{
    let lossy = |behaviour| move |seed| TrialOptions { loss: 0.3, behaviour, ..pool(50, seed) };
    let upstream = lossy(Behaviour::upstream());
    // memberlist: 19,310 with a standard error of 110, and 18.5 with one of 0.05.
    let suspicions = mean(8, upstream, |outcome| outcome.false_suspicions as f64)?;
    assert!((suspicions / 19_310.0 - 1.0).abs() < 0.04, "{suspicions}");
    let datagrams = mean(8, upstream, TrialOutcome::datagrams_per_member_second)?;
    assert!((datagrams / 18.53 - 1.0).abs() < 0.03, "{datagrams}");
    // 11.4 subjects with one of 0.8; of eight runs the mean has one of 1.2.
    let subjects = mean(8, upstream, |outcome| outcome.false_death_subjects as f64)?;
    assert!((6.0..17.0).contains(&subjects), "{subjects}");
    // Ours takes a tenth of them for dead.
    let ours = mean(8, lossy(Behaviour::swimring()), |outcome| outcome.false_death_subjects as f64)?;
    assert!(ours * 4.0 < subjects, "{ours} {subjects}");
    Ok(())
}

#[test]
fn held_members_wait_and_their_timers_run_on() -> Result<(), TrialError> {
    let held = |on_for, off_for| {
        run(&TrialOptions {
            impaired: vec![Impairment {
                members: Affected::Count(2),
                kind: ImpairmentKind::Held,
                cycle: Some(Cycle { on_for, off_for }),
            }],
            ..pool(10, 4)
        })
    };
    let short = held(Duration::from_millis(300), seconds(3))?;
    assert_eq!((short.false_suspicions, short.false_deaths), (0, 0));
    // 10 s are more than the shortest suspicion of ten members: each of the two is lost by all nine, each of
    // the ten times, as in memberlist.
    let long = held(seconds(10), seconds(2))?;
    assert!((160..=200).contains(&long.false_deaths), "{}", long.false_deaths);
    assert!((18..=22).contains(&long.false_death_subjects), "{}", long.false_death_subjects);
    Ok(())
}
