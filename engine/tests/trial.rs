//! Trials: whole clusters, measured. What they say is right, and the same whichever way frames travel.

use std::time::Duration;

use swimring::sim::trial::{Latency, TrialError, TrialOptions, TrialOutcome, WireSizes, run};

/// A lossy trial with crashes and events.
fn eventful(seed: u64, wire: WireSizes) -> TrialOptions {
    TrialOptions {
        seed,
        members: 60,
        wire,
        duration: Duration::from_secs(40),
        latency: Latency::LogNormal { median: Duration::from_millis(2), sigma: 0.6 },
        loss: 0.1,
        crashes: 2,
        events_per_second: 0.5,
        ..TrialOptions::default()
    }
}

/// Everything of an outcome that is not real time.
fn told(outcome: &TrialOutcome) -> String {
    let TrialOutcome { crashes, events, counters, fingerprint, .. } = outcome;
    let sent = (outcome.datagrams_sent, outcome.bytes_sent, outcome.stream_bytes_sent);
    let wrong = (outcome.false_suspicions, outcome.false_deaths, outcome.false_death_subjects);
    let rtt = (outcome.probe_rtt_us.len(), outcome.probe_rtt_us.value_at_quantile(0.99));
    let spread = (outcome.spread_ms.len(), outcome.spread_ms.max());
    format!("{crashes:?} {events:?} {counters:?} {fingerprint:x} {sent:?} {wrong:?} {rtt:?} {spread:?}")
}

#[test]
fn the_same_options_give_the_same_outcome() -> Result<(), TrialError> {
    let options = eventful(7, WireSizes::Native);
    let (first, again) = (run(&options)?, run(&options)?);
    assert_eq!(told(&first), told(&again));
    let other = run(&eventful(8, WireSizes::Native))?;
    assert_ne!(told(&first), told(&other));
    Ok(())
}

#[test]
fn frames_as_values_and_as_bytes_give_the_same_outcome() -> Result<(), TrialError> {
    for wire in [WireSizes::Native, WireSizes::Memberlist] {
        for seed in 0..6 {
            let values = eventful(seed, wire);
            let bytes = TrialOptions { encoded: true, ..values.clone() };
            let (values, bytes) = (run(&values)?, run(&bytes)?);
            assert!(values.counters.suspicions_started > 0 && values.counters.events_delivered > 0);
            assert_eq!(told(&values), told(&bytes), "{wire:?}, seed {seed}");
        }
    }
    Ok(())
}

#[test]
fn a_crash_is_noticed_by_everyone_and_nobody_else_is_harmed() -> Result<(), TrialError> {
    let outcome = run(&TrialOptions { seed: 3, members: 100, crashes: 1, ..TrialOptions::default() })?;
    let crash = &outcome.crashes[0];
    let first = crash.first_s.expect("it is noticed");
    let all = crash.all_s.expect("by everyone");
    // The suspicion lasts 8 to 48 s; with everybody confirming, close to 8.
    assert!((8.0..20.0).contains(&first) && all >= first && all < first + 5.0, "{crash:?}");
    assert_eq!((crash.declared, crash.of), (99, 99));
    assert_eq!((outcome.false_suspicions, outcome.false_deaths), (0, 0));
    Ok(())
}
