//! What a finite number of measurements says about the truth: every estimate comes with an interval.
//!
//! Three kinds of numbers need three kinds of intervals, all at 95 %:
//! - a **mean** over independent trials (bytes per member and second): Student's t;
//! - a **quantile** of independent draws (how long a crash goes unnoticed): order statistics. The k-th
//!   smallest of n draws lies below the true quantile with a probability that is binomial whatever the
//!   distribution looks like, so nothing is assumed about its shape. With too few draws there is no upper
//!   end, and the interval says so instead of inventing one;
//! - a **count of rare happenings** (false deaths): Poisson. When none was seen, the true rate is below 3 per
//!   observed time with 95 % confidence: the rule of three.

mod binomial;
mod poisson;

use serde::{Deserialize, Serialize};
use swimring_tooling::quantiles::rank;

pub use poisson::{at_most, interval as poisson_interval};

/// An estimate with the ends of its 95 % confidence interval, where the data gives them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate itself.
    pub value: f64,
    /// Lower end; `None` where there is too little data to tell.
    pub low: Option<f64>,
    /// Upper end; `None` where there is too little data to tell.
    pub high: Option<f64>,
    /// Measurements that it rests on.
    pub count: usize,
}

impl Estimate {
    /// The mean of independent values, with Student's t. `None` of nothing; no interval of one.
    pub fn mean(values: &[f64]) -> Option<Estimate> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        if count == 1 {
            return Some(Estimate { value: mean, low: None, high: None, count });
        }
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let error = (squares / (count - 1) as f64 / count as f64).sqrt();
        let half = student_t(count - 1) * error;
        Some(Estimate { value: mean, low: Some(mean - half), high: Some(mean + half), count })
    }

    /// The `quantile` (0 to 1) of independent draws, sorted upwards. `None` of nothing.
    pub fn quantile(sorted: &[f64], quantile: f64) -> Option<Estimate> {
        let count = sorted.len();
        let value = *sorted.get(rank(count, quantile)?)?;
        let (low, high) = binomial::order_statistics(count, quantile);
        let at = |index: usize| sorted[index - 1];
        Some(Estimate { value, low: low.map(at), high: high.map(at), count })
    }

    /// The same estimate in other units.
    pub fn scaled(self, factor: f64) -> Estimate {
        let times = |end: Option<f64>| end.map(|end| end * factor);
        Estimate { value: self.value * factor, low: times(self.low), high: times(self.high), ..self }
    }

    /// Half the interval's width as a share of the value; infinite while an end is missing.
    pub fn relative_half_width(&self) -> f64 {
        match (self.low, self.high) {
            (Some(low), Some(high)) if self.value > 0.0 => (high - low) / 2.0 / self.value,
            (Some(low), Some(high)) if low == high => 0.0,
            _ => f64::INFINITY,
        }
    }
}

/// The 97.5 % quantile of Student's t with `freedom` degrees of freedom: a table where it is steep, then
/// Cornish and Fisher's expansion around the normal quantile, right to three digits from there on.
fn student_t(freedom: usize) -> f64 {
    const TABLE: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    if let Some(value) = freedom.checked_sub(1).and_then(|index| TABLE.get(index)) {
        return *value;
    }
    let (z, v) = (1.959_964_f64, freedom as f64);
    let (z3, z5) = (z.powi(3), z.powi(5));
    z + (z3 + z) / (4.0 * v) + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * v * v)
}

#[cfg(test)]
mod tests;
