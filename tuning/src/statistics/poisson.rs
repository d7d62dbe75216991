//! Rare events: what a count says about the rate behind it.

/// The lowest and the highest mean that a count of `seen` is compatible with, 95 % two-sided (Garwood's
/// exact interval).
pub fn interval(seen: u64) -> (f64, f64) {
    let low = if seen == 0 { 0.0 } else { solve(|mean| 1.0 - cumulative(mean, seen - 1), 0.025) };
    // The larger the mean, the less likely so few: solve for the falling side by its complement.
    let high = solve(|mean| 1.0 - cumulative(mean, seen), 0.975);
    (low, high)
}

/// The mean that is not exceeded with 95 % confidence when `seen` events were counted: 3.0 for none, the
/// rule of three.
pub fn at_most(seen: u64) -> f64 {
    solve(|mean| 1.0 - cumulative(mean, seen), 0.95)
}

/// P(at most `seen` | `mean`).
fn cumulative(mean: f64, seen: u64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    let mut ln_term = -mean;
    let mut sum = ln_term.exp();
    for k in 1..=seen {
        ln_term += (mean / k as f64).ln();
        sum += ln_term.exp();
    }
    sum.min(1.0)
}

/// The mean at which the rising function `rising` reaches `level`.
fn solve(rising: impl Fn(f64) -> f64, level: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while rising(high) < level {
        high *= 2.0;
    }
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if rising(middle) < level { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_seen_is_the_rule_of_three() {
        assert!((at_most(0) - 2.9957).abs() < 1e-3);
    }

    #[test]
    fn known_intervals() {
        // Garwood (1936), as tabulated everywhere.
        for (seen, low, high) in
            [(0, 0.0, 3.689), (1, 0.0253, 5.572), (5, 1.623, 11.668), (100, 81.364, 121.627)]
        {
            let (found_low, found_high) = interval(seen);
            assert!((found_low - low).abs() < 2e-3, "{seen}: {found_low}");
            assert!((found_high - high).abs() < 2e-3, "{seen}: {found_high}");
        }
    }
}
