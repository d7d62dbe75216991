//! Estimates against known values, and against the plain definition of coverage.

use swimring_tooling::quantiles::sorted;

use super::*;

#[test]
fn a_mean_has_students_interval() {
    // Mean 3, standard deviation sqrt(2.5), t(4) = 2.776: 3 +- 1.963.
    let estimate = Estimate::mean(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    assert_eq!((estimate.value, estimate.count), (3.0, 5));
    assert!((estimate.high.unwrap() - 4.963).abs() < 1e-3 && (estimate.low.unwrap() - 1.037).abs() < 1e-3);
    assert_eq!(Estimate::mean(&[]), None);
    let one = Estimate::mean(&[7.0]).unwrap();
    assert_eq!((one.value, one.low, one.high), (7.0, None, None));
}

#[test]
fn students_quantiles_are_the_tabulated_ones() {
    for (freedom, value) in [(1, 12.706), (10, 2.228), (11, 2.201), (30, 2.042), (120, 1.980)] {
        assert!((student_t(freedom) - value).abs() < 3e-3, "{freedom}: {}", student_t(freedom));
    }
}

#[test]
fn a_quantile_is_a_value_that_was_drawn() {
    let draws: Vec<f64> = (1..=100).map(f64::from).collect();
    let median = Estimate::quantile(&draws, 0.5).unwrap();
    assert_eq!((median.value, median.low, median.high), (50.0, Some(40.0), Some(61.0)));
    let high = Estimate::quantile(&draws, 0.99).unwrap();
    assert_eq!((high.value, high.high), (99.0, None));
    assert_eq!(Estimate::quantile(&[], 0.5), None);
    assert_eq!(Estimate::quantile(&[4.0], 0.99).unwrap().value, 4.0);
}

#[test]
fn intervals_cover_the_truth_as_often_as_they_promise() {
    // Exponential draws with mean 1: the median is ln 2, the 90th percentile ln 10.
    let mut random = fastrand::Rng::with_seed(1);
    let rounds = 2000;
    let mut covered = [0_u32; 3];
    for _ in 0..rounds {
        let draws = sorted((0..60).map(|_| -(1.0 - random.f64()).ln()));
        let truths = [(0, 2.0_f64.ln(), 0.5), (1, 10.0_f64.ln(), 0.9)];
        for (index, truth, quantile) in truths {
            let estimate = Estimate::quantile(&draws, quantile).unwrap();
            let above = estimate.low.is_none_or(|low| low <= truth);
            covered[index] += u32::from(above && estimate.high.is_none_or(|high| truth <= high));
        }
        // Of sums of twelve uniform draws the mean is normal: t holds exactly.
        let sums: Vec<f64> = (0..8).map(|_| (0..12).map(|_| random.f64()).sum::<f64>()).collect();
        let mean = Estimate::mean(&sums).unwrap();
        covered[2] += u32::from(mean.low.unwrap() <= 6.0 && 6.0 <= mean.high.unwrap());
    }
    for (index, count) in covered.iter().enumerate() {
        let share = f64::from(*count) / f64::from(rounds);
        assert!((0.935..=0.99).contains(&share), "{index}: covered {share}");
    }
}

#[test]
fn scaling_scales_the_ends_and_not_the_count() {
    let estimate = Estimate { value: 2.0, low: Some(1.0), high: None, count: 5 }.scaled(1000.0);
    assert_eq!(estimate, Estimate { value: 2000.0, low: Some(1000.0), high: None, count: 5 });
    assert!(estimate.relative_half_width().is_infinite());
}
