//! The prediction as a whole: known cases, limits, and what never gets better by getting worse.

use std::time::Duration;

use proptest::prelude::*;
use swimring::protocol::settings::{Dissemination, Preset};

use super::*;

fn of(members: u32) -> Environment {
    Environment { members, ..Environment::default() }
}

/// docs/results/2026-11-20-ten-thousand-members, over loopback: events delivered with p50 628 ms and p99
/// 936 ms; crashes known to all after p50 18.8 s.
#[test]
fn a_measured_fleet_is_predicted() {
    let environment = Environment { rtt_median_ms: 2.4, events_per_second: 1.0, ..of(10_000) };
    let suspicion = SuspicionMode::Lifeguard;
    let settings =
        Settings { suspicion, dissemination: Dissemination::Gossip, ..Settings::preset(Preset::Lan) };
    let prediction = predict(&settings, &environment);
    println!("{prediction:#?}");
    assert!((prediction.spread_p50_ms / 628.0 - 1.0).abs() < 0.1, "{prediction:?}");
    assert!((prediction.spread_p99_ms / 936.0 - 1.0).abs() < 0.1, "{prediction:?}");
    assert!((prediction.all_declared_p50_s / 18.8 - 1.0).abs() < 0.05, "{prediction:?}");
    assert_eq!(prediction.false_deaths_per_day, 0.0);
}

#[test]
fn a_rumour_with_too_few_copies_has_no_p99() {
    let dissemination = Dissemination::Gossip;
    let few = Settings { retransmit_multiplier: 1, dissemination, ..Settings::preset(Preset::Lan) };
    let prediction = predict(&few, &Environment { loss: 0.4, ..of(1_000) });
    assert!(prediction.missed_share > 0.05);
    assert_eq!(prediction.spread_p99_ms, f64::INFINITY);
    assert!(prediction.spread_p50_ms.is_finite());
}

#[test]
fn detection_goes_through_its_stages_at_any_size() {
    let lan = Settings::preset(Preset::Lan);
    for members in [2, 3, 5, 100, 100_000, 1_000_000] {
        let prediction = predict(&lan, &Environment { loss: 0.01, ..of(members) });
        assert!(prediction.first_declared_p50_s > prediction.first_suspicion_p50_s, "{members}");
        assert!(prediction.all_declared_p50_s > prediction.first_declared_p50_s, "{members}");
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let fault = Environment { loss: 1.0, ..of(10) }.check().unwrap_err();
    assert_eq!(fault, "loss has to be between 0 and 0.95, and is 1");
    assert!(of(0).check().unwrap_err().starts_with("members has to be"));
    assert!(Environment { rtt_median_ms: f64::NAN, ..of(10) }.check().is_err());
    assert_eq!(of(10).check(), Ok(()));
}

#[test]
fn two_ways_vary_less_than_one() {
    let environment = of(10).with_one_way(10.0, 0.5);
    assert!((20.0..23.0).contains(&environment.rtt_median_ms), "{}", environment.rtt_median_ms);
    assert!(environment.rtt_sigma < 0.5 && environment.rtt_sigma > 0.3);
    let fixed = of(10).with_one_way(10.0, 0.0);
    assert_eq!((fixed.rtt_median_ms, fixed.rtt_sigma), (20.0, 0.0));
}

/// With the settings of `dissemination` and the LAN preset otherwise.
fn told_by(dissemination: Dissemination) -> Settings {
    Settings { dissemination, suspicion: SuspicionMode::Lifeguard, ..Settings::preset(Preset::Lan) }
}

#[test]
fn members_that_delegate_are_told_sooner_and_send_less() {
    let environment = Environment { events_per_second: 1.0, loss: 0.01, ..of(1_000) };
    let gossip = predict(&told_by(Dissemination::Gossip), &environment);
    let delegated = predict(&told_by(Dissemination::Delegated), &environment);
    println!("{gossip:#?} {delegated:#?}");
    assert!(delegated.spread_p50_ms < gossip.spread_p50_ms / 20.0);
    assert!(delegated.spread_p99_ms < gossip.spread_p99_ms / 5.0);
    assert!(delegated.spread_p99_ms <= delegated.spread_last_p50_ms);
    assert!(delegated.bytes_per_member_second < gossip.bytes_per_member_second / 2.0);
    assert!(delegated.cpu_us_per_member_second < gossip.cpu_us_per_member_second);
    assert!(delegated.all_declared_p50_s < gossip.all_declared_p50_s);
    // The crashed are found by probes, whoever tells of it how.
    assert!((delegated.first_declared_p50_s / gossip.first_declared_p50_s - 1.0).abs() < 0.1);
    assert!((1.0..1.1).contains(&delegated.copies_per_update), "{delegated:?}");
    let again = delegated.retransmissions_per_update;
    assert!((delegated.copies_per_update - again - 1.0).abs() < 0.01 && again > 0.01, "{delegated:?}");
    assert!(delegated.acks_per_update <= delegated.copies_per_update);
    assert_eq!((gossip.acks_per_update, gossip.copies_per_update), (0.0, 16.0));
}

#[test]
fn memberlists_wire_gossips_whatever_the_settings_say() {
    let environment = Environment { wire: WireSizes::Memberlist, events_per_second: 1.0, ..of(300) };
    let one = predict(&told_by(Dissemination::Gossip), &environment);
    assert_eq!(one, predict(&told_by(Dissemination::Delegated), &environment));
}

#[test]
fn settings_of_delegation_do_what_they_are_for() {
    let environment = Environment { events_per_second: 20.0, loss: 0.02, ..of(10_000) };
    let lan = told_by(Dissemination::Delegated);
    let base = predict(&lan, &environment);
    let wider = predict(&Settings { delegation_bits: 4, ..lan.clone() }, &environment);
    let patient = Settings { delegation_timeout_min: Duration::from_millis(150), ..lan.clone() };
    let patient = predict(&patient, &environment);
    let paced = Settings { delegation_pacing: Duration::from_millis(200), ..lan };
    let paced = predict(&paced, &environment);
    assert!(wider.spread_p50_ms < base.spread_p50_ms, "{wider:?} {base:?}");
    assert!(patient.spread_p99_ms > base.spread_p99_ms * 2.0, "{patient:?} {base:?}");
    assert!(paced.spread_p50_ms > base.spread_p50_ms * 1.5, "{paced:?} {base:?}");
}

fn settings() -> impl Strategy<Value = Settings> {
    let durations = (100_u64..5_000, 10_u64..90, 10_u64..1_000);
    let telling = (any::<bool>(), 1_u8..=4);
    let counts = (1_u8..9, 1_u8..8, 1_u8..8, 1_u8..8, 0_u8..6, any::<bool>(), telling);
    (durations, counts).prop_map(|((interval, timeout, gossip), counts)| {
        let (multiplier, factor, fanout, retransmit, checks, stream_fallback, telling) = counts;
        let (delegates, delegation_bits) = telling;
        Settings {
            probe_interval: Duration::from_millis(interval),
            probe_timeout: Duration::from_millis(interval * timeout / 100),
            gossip_interval: Duration::from_millis(gossip),
            suspicion_multiplier: multiplier,
            suspicion_max_timeout_multiplier: factor,
            gossip_fanout: fanout,
            retransmit_multiplier: retransmit,
            indirect_checks: checks,
            stream_fallback,
            dissemination: if delegates { Dissemination::Delegated } else { Dissemination::Gossip },
            delegation_bits,
            ..Settings::default()
        }
    })
}

fn environments() -> impl Strategy<Value = Environment> {
    let network = (0.0..0.5_f64, 0.1..500.0_f64, 0.0..1.0_f64);
    (2_u32..200_000, network, 0.0..20.0_f64, 0.0..100.0_f64).prop_map(
        |(members, (loss, rtt_median_ms, rtt_sigma), events_per_second, failures_per_hour)| Environment {
            loss,
            rtt_median_ms,
            rtt_sigma,
            events_per_second,
            failures_per_hour,
            ..of(members)
        },
    )
}

proptest! {
    #[test]
    fn everything_predicted_is_a_number_in_order(settings in settings(), environment in environments()) {
        prop_assert_eq!(settings.validate(), Ok(()));
        prop_assert_eq!(environment.check(), Ok(()));
        let p = predict(&settings, &environment);
        prop_assert!(p.first_suspicion_p50_s <= p.first_suspicion_p99_s);
        prop_assert!(p.first_declared_p50_s <= p.first_declared_p99_s);
        prop_assert!(p.first_suspicion_p50_s <= p.first_declared_p50_s);
        prop_assert!(p.first_declared_p50_s <= p.all_declared_p50_s);
        prop_assert!(p.spread_p50_ms <= p.spread_p99_ms);
        for value in [p.bytes_per_member_second, p.datagrams_per_member_second, p.all_declared_p99_s,
            p.false_suspicions_per_member_day, p.false_deaths_per_day, p.cpu_us_per_member_second] {
            prop_assert!(value.is_finite() && value >= 0.0, "{:?}", p);
        }
    }

    #[test]
    fn more_loss_never_lowers_the_false_accusations(settings in settings(), environment in environments()) {
        let worse = Environment { loss: environment.loss + 0.05, ..environment.clone() };
        let (base, worse) = (Probe::of(&settings, &environment), Probe::of(&settings, &worse));
        prop_assert!(worse.fails >= base.fails);
    }

    #[test]
    fn a_longer_suspicion_never_kills_more(environment in environments(), multiplier in 3_u8..9) {
        let with = |suspicion_multiplier| {
            let settings = Settings { suspicion_multiplier, stream_fallback: false, ..Settings::default() };
            predict(&settings, &environment).false_deaths_per_day
        };
        let (shorter, longer) = (with(multiplier), with(multiplier + 1));
        // Where accusations kill by the thousand, what is predicted is no more than that.
        let countless = shorter > 100.0;
        prop_assert!(countless || longer <= shorter * 1.01 + 1e-9, "{longer} after {shorter}");
    }
}
