//! The curve against memberlist's table, and the sums against experiments.

use swimring::protocol::settings::Preset;

use super::super::spread::{Spread, SpreadInputs};
use super::*;

#[test]
fn the_curve_is_memberlists() {
    let window = Window { shortest_s: 2.0, longest_s: 30.0, needed: 3 };
    for (confirmations, expected) in [(0, 30.0), (1, 16.0), (2, 7.81), (3, 2.0), (4, 2.0)] {
        assert!((window.timeout_s(confirmations) - expected).abs() < 0.001, "{confirmations}");
    }
    assert_eq!(window.confirmations_for(16.5), Some(1));
    assert_eq!(window.confirmations_for(1.9), None);
    let lan = Settings::preset(Preset::Lan);
    assert_eq!(Window::of(&lan, 100), Window { shortest_s: 8.0, longest_s: 48.0, needed: 2 });
    assert_eq!(Window::of(&lan, 3).needed, 0);
}

/// When a crash is declared, by an experiment: probers' waits, and the suspicion of the first.
fn experiment(probers: u32, window: Window, travel_s: f64, rng: &mut fastrand::Rng) -> f64 {
    let wait = |rng: &mut fastrand::Rng| {
        // The position in the order, as in `detection`.
        let left = rng.u32(1..=probers);
        let turn = if rng.f64() < f64::from(left) / f64::from(probers) {
            rng.u32(..left)
        } else {
            left + rng.u32(..probers)
        };
        rng.f64() + f64::from(turn) + 1.0
    };
    let mut failed: Vec<f64> = (0..probers).map(|_| wait(rng)).collect();
    failed.sort_by(f64::total_cmp);
    let mut ends = failed[0] + window.timeout_s(0);
    for (confirmations, at) in (1..).zip(&failed[1..]) {
        let known = at + travel_s;
        if known >= ends {
            break;
        }
        ends = known.max(failed[0] + window.timeout_s(confirmations));
    }
    ends
}

#[test]
fn declarations_come_when_an_experiment_says() {
    let mut rng = fastrand::Rng::with_seed(9);
    let lan = Window::of(&Settings::preset(Preset::Lan), 100);
    let wan = Window { shortest_s: 3.0, longest_s: 30.0, needed: 4 };
    for (probers, window, travel_s) in [(99, lan, 0.4), (99, wan, 0.4), (9, wan, 0.0), (999, wan, 1.0)] {
        let mut times: Vec<f64> =
            (0..20_000).map(|_| experiment(probers, window, travel_s, &mut rng)).collect();
        times.sort_by(f64::total_cmp);
        let first = FirstSuspicion { probers, interval_s: 1.0 };
        let model = FirstDeclared { first: &first, window, travel_s };
        let formula = model.quantiles_s([0.5, 0.99]);
        for (share, formula) in [0.5, 0.99].into_iter().zip(formula) {
            let measured = times[(share * times.len() as f64) as usize];
            let ratio = formula / measured;
            println!("{probers} {share}: {formula:.2} s by formula, {measured:.2} s");
            // Nine probers' orders depend on each other more than the binomial number knows.
            assert!((0.95..1.08).contains(&ratio), "{probers} {window:?} {share}: {formula} {measured}");
        }
    }
}

fn spread() -> Spread {
    Spread::of(&SpreadInputs {
        members: 1_000,
        fanout: 3.0,
        gossip_interval_s: 0.2,
        piggybacked_per_s: 2.0,
        copies: 16.0,
        loss: 0.01,
        latency_s: 0.001,
    })
}

#[test]
fn a_window_for_a_refutation_is_two_spreads_long() {
    let spread = spread();
    let refutation = Refutation::of(&spread, 1.0, 0.1, 60.0);
    let window_s = refutation.window_s(0.99, 60.0).unwrap();
    let (one, last) = (spread.delay_s(0.5).unwrap(), spread.last_s(0.5).unwrap());
    assert!((one + last..3.0 * last).contains(&window_s), "{window_s}");
    assert!(refutation.window_s(0.999, 60.0).unwrap() > window_s);
    assert!(refutation.too_late(0.1) > 0.99);
}

/// Refutations drawn at random from the same two spreads, one by one.
#[test]
fn the_convolution_is_that_of_an_experiment() {
    let spread = spread();
    let refutation = Refutation::of(&spread, 0.0, 0.0, 60.0);
    let mut rng = fastrand::Rng::with_seed(2);
    let runs = 20_000;
    for window_s in [1.0, 1.4, 1.8] {
        let late = (0..runs).filter(|_| {
            let heard = quantile(rng.f64(), 60.0, |time_s| spread.uninformed_s(time_s));
            let last = quantile(rng.f64(), 60.0, |time_s| spread.somebody_uninformed_s(time_s));
            heard + last > window_s
        });
        let measured = late.count() as f64 / f64::from(runs);
        let formula = refutation.too_late(window_s);
        println!("{window_s}: {formula} by formula, {measured}");
        // Coarse levels, rounded to the safe side.
        assert!(formula >= measured * 0.9, "{window_s}: {formula} {measured}");
        assert!(formula <= measured * 3.0 + 0.02, "{window_s}: {formula} {measured}");
    }
}

#[test]
fn a_longer_window_is_never_worse() {
    let spread = spread();
    let refutation = Refutation::of(&spread, 1.0, 0.1, 60.0);
    let mut before = 1.0;
    for tenths in 1..200 {
        let too_late = refutation.too_late(f64::from(tenths) / 10.0);
        assert!(too_late <= before * 1.05, "{tenths}");
        before = too_late;
    }
}
