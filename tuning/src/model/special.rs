//! The few functions of probability that the closed forms share: the normal distribution, the tail of a
//! binomial count, and quantiles found by halving.
//!
//! The error function is libm's. Quantiles of a gamma distribution are Wilson and Hilferty's (Abramowitz and Stegun,
//! *Handbook of Mathematical Functions*, 26.4.17): one power, where an exact quantile is a search of its own, in the
//! innermost loop of the model of spread.

/// Steps of [`quantile`]: enough for any `f64` range that is asked for here.
const HALVINGS: usize = 50;

/// The probability that a standard normal value is at most `z`.
pub fn normal_cdf(z: f64) -> f64 {
    libm::erfc(-z / std::f64::consts::SQRT_2) / 2.0
}

/// The probability that a log-normal value with this median and sigma is at most `value`. With sigma 0 the
/// value is always the median.
pub fn log_normal_cdf(value: f64, median: f64, sigma: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    if sigma <= 0.0 || median <= 0.0 {
        return if value >= median { 1.0 } else { 0.0 };
    }
    normal_cdf((value / median).ln() / sigma)
}

/// The probability of fewer than `count` successes in `trials` independent trials of this `chance`.
pub fn fewer_successes(count: u32, trials: f64, chance: f64) -> f64 {
    if count == 0 {
        return 0.0;
    }
    if chance >= 1.0 {
        return if f64::from(count) > trials { 1.0 } else { 0.0 };
    }
    let mut term = (trials * (-chance).ln_1p()).exp();
    let mut sum = term;
    for successes in 1..count {
        let left = trials - f64::from(successes) + 1.0;
        if left <= 0.0 {
            break;
        }
        term *= left / f64::from(successes) * chance / (1.0 - chance);
        sum += term;
    }
    sum.min(1.0)
}

/// The smallest argument up to `highest` at which the falling function `survival` is at most `1 - share`;
/// `highest` if there is none.
pub fn quantile(share: f64, highest: f64, survival: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, highest);
    if survival(low) <= 1.0 - share {
        return low;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if survival(middle) <= 1.0 - share {
            high = middle;
        } else {
            low = middle;
        }
        if high - low <= 1e-5 * high {
            break;
        }
    }
    high
}

/// A quantile of the gamma distribution with mean 1 and this `shape`, at the standard normal's quantile `z`.
pub fn gamma_at(shape: f64, z: f64) -> f64 {
    let ninth = 1.0 / (9.0 * shape);
    (1.0 - ninth + z * ninth.sqrt()).max(0.05).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_the_tabulated_one() {
        for (z, expected) in [(0.0, 0.5), (1.0, 0.841_345), (-1.959_964, 0.025), (3.0, 0.998_650)] {
            assert!((normal_cdf(z) - expected).abs() < 1e-6, "{z}");
        }
        // Far out, where a sum would have lost everything: 1 - normal_cdf(8).
        assert!((normal_cdf(-8.0) / 6.220_960_574_271_786e-16 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn counts_of_successes_are_those_of_the_binomial_distribution() {
        // Two dice of six sides: no six in 25/36, at most one in 35/36.
        assert!((fewer_successes(1, 2.0, 1.0 / 6.0) - 25.0 / 36.0).abs() < 1e-12);
        assert!((fewer_successes(2, 2.0, 1.0 / 6.0) - 35.0 / 36.0).abs() < 1e-12);
        assert_eq!(fewer_successes(3, 2.0, 1.0), 1.0);
        assert_eq!(fewer_successes(2, 2.0, 1.0), 0.0);
    }

    #[test]
    fn quantiles_invert_the_survival() {
        let median = quantile(0.5, 100.0, |x: f64| (-x).exp());
        assert!((median - std::f64::consts::LN_2).abs() < 1e-4);
        assert_eq!(quantile(0.5, 10.0, |_| 1.0), 10.0);
    }
}
