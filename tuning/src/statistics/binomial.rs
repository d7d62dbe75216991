//! Which order statistics enclose a quantile: the binomial distribution, summed.

/// Probability that either end of an interval is on the wrong side.
const TAIL: f64 = 0.025;

/// The 1-based ranks of the order statistics that enclose the `quantile` of `count` independent draws with
/// 95 % confidence. An end is `None` where even the outermost draw would not do.
pub(super) fn order_statistics(count: usize, quantile: f64) -> (Option<usize>, Option<usize>) {
    // The number of draws at or below the true quantile is binomial: B(count, quantile). The draw of rank k
    // lies above the quantile exactly when fewer than k draws are at or below it.
    let mut below = 0.0;
    let (mut low, mut high) = (None, None);
    for successes in 0..count {
        below += probability(count, quantile, successes);
        // below = P(B <= successes) = P(the draw of rank successes + 1 exceeds the quantile).
        if below <= TAIL {
            low = Some(successes + 1);
        }
        if below >= 1.0 - TAIL {
            high = Some(successes + 1);
            break;
        }
    }
    (low, high)
}

/// P(B(count, chance) = successes), by logarithms so that no factor over- or underflows.
fn probability(count: usize, chance: f64, successes: usize) -> f64 {
    let (n, k) = (count as f64, successes as f64);
    let ways = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    (ways + k * chance.ln() + (n - k) * (1.0 - chance).ln()).exp()
}

/// ln(n!): summed while that is short, then by Stirling's series, right to 12 digits from there on.
fn ln_factorial(n: f64) -> f64 {
    if n < 16.0 {
        return (2..=n as u32).map(|factor| f64::from(factor).ln()).sum();
    }
    let tail = 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3)) + 1.0 / (1260.0 * n.powi(5));
    n * n.ln() - n + 0.5 * (2.0 * std::f64::consts::PI * n).ln() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_of_factorials_is_right_on_both_sides_of_the_switch() {
        for n in 0..60_u32 {
            let summed: f64 = (2..=n).map(|factor| f64::from(factor).ln()).sum();
            assert!((ln_factorial(f64::from(n)) - summed).abs() < 1e-9, "{n}");
        }
    }

    #[test]
    fn the_probabilities_sum_to_one() {
        for (count, chance) in [(1, 0.5), (10, 0.99), (400, 0.99), (3000, 0.5)] {
            let sum: f64 = (0..=count).map(|k| probability(count, chance, k)).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{count} {chance}: {sum}");
        }
    }

    #[test]
    fn known_ranks() {
        // The textbook interval of a median: ranks 40 and 61 of 100 draws, 2 and 9 of 10.
        assert_eq!(order_statistics(100, 0.5), (Some(40), Some(61)));
        assert_eq!(order_statistics(10, 0.5), (Some(2), Some(9)));
        // 0.99^n <= 2.5 % from 368 draws on: fewer have no upper end for a 99th percentile.
        assert_eq!(order_statistics(367, 0.99).1, None);
        assert_eq!(order_statistics(368, 0.99).1, Some(368));
        assert_eq!(order_statistics(0, 0.5), (None, None));
    }
}
