//! Trials: whole clusters, measured. What they say is right, and the same whichever way frames travel.

use std::ops::ControlFlow;
use std::time::Duration;

use swimring::Settings;
use swimring::protocol::SuspicionMode;
use swimring_simulation::Slowness;
use swimring_simulation::experiment::{
    Affected, Cycle, Impairment, ImpairmentKind, Latency, TrialError, TrialOptions, TrialOutcome, Wakes,
    WireSizes, run, run_with,
};

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

/// Members that are slow now and then, and half deaf.
fn troubles() -> Vec<Impairment> {
    let cycle = Some(Cycle { on_for: Duration::from_secs(6), off_for: Duration::from_secs(4) });
    let slow = ImpairmentKind::Slow(Slowness::Everything);
    vec![
        Impairment { members: Affected::Count(5), kind: slow, cycle },
        Impairment { members: Affected::Count(9), kind: ImpairmentKind::LossIn(0.2), cycle: None },
    ]
}

/// Everything of an outcome that is not real time.
fn told(outcome: &TrialOutcome) -> String {
    let TrialOutcome { crashes, events, counters, fingerprint, .. } = outcome;
    let sent = (outcome.datagrams_sent, outcome.bytes_sent, outcome.stream_bytes_sent);
    let wrong = (outcome.false_suspicions, outcome.false_deaths, outcome.false_death_subjects);
    let rtt = (outcome.probe_rtt_us.len(), outcome.probe_rtt_us.value_at_quantile(0.99));
    let spread = (outcome.spread_us.len(), outcome.spread_us.max());
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
            let mut values = eventful(seed, wire);
            if seed % 2 == 1 {
                values.impaired = troubles();
            }
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
    let settings = Settings { suspicion: SuspicionMode::Lifeguard, ..Settings::default() };
    let options = TrialOptions { seed: 3, members: 100, crashes: 1, settings, ..TrialOptions::default() };
    let outcome = run(&options)?;
    let crash = &outcome.crashes[0];
    let first = crash.first_s.expect("it is noticed");
    let all = crash.all_s.expect("by everyone");
    // The suspicion lasts 8 to 48 s; with everybody confirming, close to 8.
    assert!((8.0..20.0).contains(&first) && all >= first && all < first + 5.0, "{crash:?}");
    assert_eq!((crash.declared, crash.of), (99, 99));
    assert_eq!((outcome.false_suspicions, outcome.false_deaths), (0, 0));
    Ok(())
}

#[test]
fn bytes_are_those_of_quiet_probing() -> Result<(), TrialError> {
    let outcome = run(&TrialOptions { members: 50, ..TrialOptions::default() })?;
    // A ping and an ack of 32 + 8 bytes each per member-second, and nothing else.
    assert!((outcome.bytes_per_member_second() - 80.0).abs() < 2.0, "{}", outcome.bytes_per_member_second());
    assert!((outcome.padded_bytes_per_member_second() - 128.0).abs() < 3.0);
    assert!((outcome.datagrams_per_member_second() - 2.0).abs() < 0.05);
    Ok(())
}

#[test]
fn options_out_of_range_are_refused_in_one_clear_line() {
    let base = TrialOptions::default;
    let cases = [
        (TrialOptions { members: 0, ..base() }, "members has to be between 2 and 1000000, and is 0"),
        (TrialOptions { members: 2_000_000, ..base() }, "members has to be between"),
        (TrialOptions { loss: 1.0, ..base() }, "loss has to be between 0 and 0.95, and is 1"),
        (TrialOptions { loss: f64::NAN, ..base() }, "loss has to be between"),
        (TrialOptions { events_per_second: f64::NAN, ..base() }, "events_per_second has to be"),
        (TrialOptions { events_per_second: -1.0, ..base() }, "events_per_second has to be"),
        (TrialOptions { events_per_second: 1e6, ..base() }, "at most 1000000 are followed"),
        (TrialOptions { event_bytes: 3, ..base() }, "event_bytes has to be between 4 and 512"),
        (TrialOptions { crashes: 51, ..base() }, "crashes has to be at most half of the 100 members"),
        (TrialOptions { duration: Duration::ZERO, ..base() }, "duration has to be between 1ms"),
        (TrialOptions { latency: Latency::Fixed(Duration::ZERO), ..base() }, "latency has to be between"),
        (TrialOptions { wakes: Wakes::Every(Duration::ZERO), ..base() }, "wakes has to be between"),
        (impaired(Affected::Count(100), ImpairmentKind::LossIn(0.1)), "less than all 100 members"),
        (impaired(Affected::Share(f64::NAN), ImpairmentKind::LossIn(0.1)), "the share of members"),
        (impaired(Affected::Count(1), ImpairmentKind::LossOut(1.1)), "the loss of what is sent"),
        (impaired(Affected::Count(1), ImpairmentKind::Slow(Slowness::Everything)), "give it a cycle"),
        (
            TrialOptions { crashes: 20, ..impaired(Affected::Count(80), ImpairmentKind::LossIn(0.1)) },
            "leave a member that has no trouble",
        ),
        (twice(), "give each kind once"),
        (
            TrialOptions { settings: Settings { gossip_fanout: 0, ..Settings::default() }, ..base() },
            "gossip_fanout has to be between 1 and 16",
        ),
    ];
    for (options, part) in cases {
        let error = run(&options).expect_err(part).to_string();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
}

fn impaired(members: Affected, kind: ImpairmentKind) -> TrialOptions {
    let impaired = vec![Impairment { members, kind, cycle: None }];
    TrialOptions { impaired, ..TrialOptions::default() }
}

fn twice() -> TrialOptions {
    let mut options = impaired(Affected::Count(1), ImpairmentKind::LossIn(0.1));
    options.impaired.push(options.impaired[0]);
    options
}

#[test]
fn a_trial_can_be_watched_and_stopped() {
    let mut seen = 0.0;
    let options = TrialOptions { members: 500, ..TrialOptions::default() };
    let stopped = run_with(&options, &mut |progress| {
        assert!(progress.simulated_s >= seen && progress.simulated_s <= progress.of_s);
        seen = progress.simulated_s;
        if seen > 20.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped, Err(TrialError::Stopped { simulated_s }) if simulated_s == seen), "{seen}");
    let hurried = TrialOptions { wall_limit: Some(Duration::ZERO), ..options };
    assert!(matches!(run(&hurried), Err(TrialError::TooSlow { .. })));
}
