//! Trials on networks that are not ideal, and with members that are not well.

use std::time::Duration;

use swimring_simulation::Slowness;
use swimring_simulation::experiment::{
    Affected, Cycle, Impairment, ImpairmentKind, Latency, RegionMap, TrialError, TrialOptions, TrialOutcome,
    Wakes, run,
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A quiet minute of 60 members of which six have `kind`.
fn impaired(kind: ImpairmentKind, cycle: Option<Cycle>) -> Result<TrialOutcome, TrialError> {
    run(&TrialOptions {
        seed: 5,
        members: 60,
        impaired: vec![Impairment { members: Affected::Share(0.1), kind, cycle }],
        ..TrialOptions::default()
    })
}

#[test]
fn an_event_reaches_everyone() -> Result<(), TrialError> {
    let outcome =
        run(&TrialOptions { seed: 2, members: 200, events_per_second: 1.0, ..TrialOptions::default() })?;
    assert_eq!(outcome.events.len(), 40);
    for event in &outcome.events {
        assert_eq!((event.delivered, event.of), (199, 199), "{event:?}");
        let (half, last) = (event.p50_ms.expect("delivered"), event.last_ms.expect("delivered"));
        // Rounds are 200 ms apart, and a member tells three: about five rounds for all.
        assert!(half > 1.0 && half <= last && last < 4_000.0, "{event:?}");
    }
    assert_eq!(outcome.spread_us.len(), 40 * 199);
    Ok(())
}

#[test]
fn round_trips_are_those_of_the_regions() -> Result<(), TrialError> {
    let map = RegionMap::parse(
        "source = 'a test'\nsigma = 0.02\nregions = ['here', 'there']\nround_trip_ms = [[2, 80], [80, 2]]",
    )
    .expect("a map");
    let latency = Latency::Regions(map.into());
    let outcome = run(&TrialOptions { members: 40, latency, ..TrialOptions::default() })?;
    let at = |quantile| outcome.probe_rtt_us.value_at_quantile(quantile) as f64 / 1e3;
    // Of 39 others 19 are here.
    assert!((1.8..2.2).contains(&at(0.25)) && (74.0..86.0).contains(&at(0.75)), "{} {}", at(0.25), at(0.75));
    assert_eq!((outcome.false_suspicions, outcome.false_deaths), (0, 0));
    let shipped = TrialOptions {
        members: 60,
        latency: Latency::Regions(RegionMap::builtin()),
        ..TrialOptions::default()
    };
    let outcome = run(&shipped)?;
    let slowest = outcome.probe_rtt_us.max();
    assert!((250_000..500_000).contains(&slowest), "{slowest} us, and the longest on the map is 348 ms");
    Ok(())
}

#[test]
fn who_is_deaf_is_suspected_and_who_is_well_is_not() -> Result<(), TrialError> {
    // Gets nothing at all: everyone who probes it hears nothing, and it suspects everyone it probes.
    let outcome = impaired(ImpairmentKind::LossIn(1.0), None)?;
    assert!(outcome.false_suspicions > 0 && outcome.false_deaths_at_healthy == 0, "{outcome:?}");
    assert!(outcome.false_death_subjects > outcome.false_death_subjects_healthy);
    Ok(())
}

#[test]
fn who_is_half_deaf_or_half_mute_is_not_lost() -> Result<(), TrialError> {
    for kind in [ImpairmentKind::LossIn(0.3), ImpairmentKind::LossOut(0.3)] {
        let outcome = impaired(kind, None)?;
        assert_eq!(outcome.false_deaths, 0, "{kind:?}");
        assert!(outcome.counters.probes_acked_indirectly > 0, "{kind:?}");
    }
    Ok(())
}

#[test]
fn short_spells_of_slowness_are_survived_and_long_ones_are_not() -> Result<(), TrialError> {
    for slowness in [Slowness::Everything, Slowness::TimersFirst, Slowness::Reading] {
        let spells = |on_for, off_for| {
            let cycle = Some(Cycle { on_for, off_for });
            impaired(ImpairmentKind::Slow(slowness), cycle)
        };
        let short = spells(Duration::from_millis(300), seconds(3))?;
        assert_eq!(short.false_deaths, 0, "{slowness:?}");
        let long = spells(seconds(30), seconds(5))?;
        assert!(long.false_deaths > 0 && long.false_suspicions > 0, "{slowness:?}");
    }
    Ok(())
}

#[test]
fn far_away_is_not_dead() -> Result<(), TrialError> {
    let outcome = impaired(ImpairmentKind::Delay(Duration::from_millis(300)), None)?;
    assert_eq!((outcome.false_suspicions, outcome.false_deaths), (0, 0));
    assert!(outcome.probe_rtt_us.max() > 300_000);
    Ok(())
}

#[test]
fn members_act_at_their_driver_s_ticks() -> Result<(), TrialError> {
    let options = TrialOptions {
        members: 50,
        latency: Latency::Fixed(Duration::from_micros(700)),
        crashes: 1,
        wakes: Wakes::Every(Duration::from_millis(1)),
        ..TrialOptions::default()
    };
    let outcome = run(&options)?;
    // Whole milliseconds and the way there: the first to declare did so at a tick of its own.
    let crash = outcome.crashes[0];
    let at_ms = (crash.at_s + crash.first_s.expect("noticed")) * 1e3;
    assert!((at_ms - at_ms.round()).abs() < 1e-6, "{at_ms}");
    assert_eq!(outcome.false_suspicions, 0);
    Ok(())
}

#[test]
fn more_loss_costs_more_false_suspicions_and_crashes_are_still_noticed() -> Result<(), TrialError> {
    let lossy =
        |loss| run(&TrialOptions { seed: 11, members: 100, loss, crashes: 3, ..TrialOptions::default() });
    let (calm, bad) = (lossy(0.05)?, lossy(0.4)?);
    assert!(bad.false_suspicions > calm.false_suspicions);
    for outcome in [calm, bad] {
        assert!(outcome.crashes.iter().all(|crash| crash.all_s.is_some()), "{:?}", outcome.crashes);
    }
    Ok(())
}
