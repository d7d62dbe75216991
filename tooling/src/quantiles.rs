//! Medians and quantiles of measured values: one definition for every table.
//!
//! A quantile is the nearest rank, a value that was measured: the smallest that at least that share of all values do
//! not exceed. A median is the middle value, and of an even number the mean of the two in the middle.

/// Sorts upwards, whatever the values are.
pub fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Index of the `share`-quantile (0 to 1) of `count` sorted values. `None` of nothing.
pub fn rank(count: usize, share: f64) -> Option<usize> {
    let last = count.checked_sub(1)?;
    Some(((share * count as f64).ceil() as usize).saturating_sub(1).min(last))
}

/// The `share`-quantile (0 to 1) of values sorted upwards. `None` of nothing.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    sorted.get(rank(sorted.len(), share)?).copied()
}

/// The median of values sorted upwards. `None` of nothing.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    Some(if sorted.len().is_multiple_of(2) { (sorted[half - 1] + upper) / 2.0 } else { upper })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(median(&sorted([4.0, 1.0, 2.0, 10.0])), Some(3.0));
        assert_eq!(median(&sorted([5.0, 1.0, 2.0])), Some(2.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values = sorted([4.0, 1.0, 3.0, 2.0]);
        let shares = [0.0, 0.25, 0.26, 0.5, 0.99, 1.0].map(|share| quantile(&values, share));
        assert_eq!(shares, [1.0, 1.0, 2.0, 2.0, 4.0, 4.0].map(Some));
        assert_eq!(quantile(&[], 0.5), None);
    }

    proptest! {
        #[test]
        fn at_least_that_share_of_the_values_does_not_exceed_a_quantile(
            values in prop::collection::vec(-1e9..1e9_f64, 1..200), share in 0.0..=1.0_f64,
        ) {
            let values = sorted(values);
            let found = quantile(&values, share).unwrap();
            let within = values.iter().filter(|value| **value <= found).count() as f64;
            let below = values.iter().filter(|value| **value < found).count() as f64;
            prop_assert!(within >= share * values.len() as f64 && below <= share * values.len() as f64);
        }
    }
}
