//! How long a datagram is under way.

use std::sync::Arc;
use std::time::Duration;

use super::options::{TrialError, time_within, within};
use super::regions::RegionMap;

/// Longest one-way latency.
const LATENCY_MAX: Duration = Duration::from_secs(10);
/// Widest spread of a log-normal latency: one in six takes e^2 times the median or longer.
const SIGMA_MAX: f64 = 2.0;

/// One-way latency.
#[derive(Clone, Debug)]
pub enum Latency {
    /// Always the same. 1 us to 10 s.
    Fixed(Duration),
    /// Log-normal, as most measured networks are to a fair degree.
    LogNormal {
        /// Half take less. 1 us to 10 s.
        median: Duration,
        /// Standard deviation of its natural logarithm. 0 to 2.
        sigma: f64,
    },
    /// By the regions that the two members are in.
    Regions(Arc<RegionMap>),
}

impl Latency {
    pub(super) fn validate(&self) -> Result<(), TrialError> {
        let shortest = Duration::from_micros(1);
        match self {
            Latency::Fixed(latency) => time_within("latency", *latency, shortest, LATENCY_MAX),
            Latency::LogNormal { median, sigma } => {
                time_within("latency", *median, shortest, LATENCY_MAX)?;
                within("latency's sigma", *sigma, 0.0, SIGMA_MAX)
            }
            Latency::Regions(map) => map.validate().map_err(|error| TrialError::option("latency's", error)),
        }
    }
}

/// A latency that is drawn from, in whole microseconds.
#[derive(Debug)]
pub(super) enum Drawn {
    Fixed(u64),
    LogNormal {
        median_us: f64,
        sigma: f64,
    },
    Regions {
        map: Arc<RegionMap>,
        /// By member.
        region: Vec<u16>,
    },
}

/// No datagram takes longer: a log-normal has no end.
const DRAWN_MAX_US: f64 = 60e6;

impl Drawn {
    /// The latency between `members` members.
    pub(super) fn new(latency: &Latency, members: u32) -> Drawn {
        match latency {
            Latency::Fixed(latency) => Drawn::Fixed(latency.as_micros() as u64),
            Latency::LogNormal { median, sigma } => {
                Drawn::LogNormal { median_us: median.as_secs_f64() * 1e6, sigma: *sigma }
            }
            Latency::Regions(map) => {
                Drawn::Regions { map: Arc::clone(map), region: map.deal(members as usize) }
            }
        }
    }

    /// Delay of what `from` sends to `to` now.
    #[inline]
    pub(super) fn draw(&self, from: u32, to: u32, rng: &mut fastrand::Rng) -> u64 {
        match self {
            Drawn::Fixed(latency) => *latency,
            Drawn::LogNormal { median_us, sigma } => log_normal(*median_us, *sigma, rng),
            Drawn::Regions { map, region } => {
                let (from, to) = (region[from as usize], region[to as usize]);
                log_normal(map.median_us(from.into(), to.into()), map.sigma(), rng)
            }
        }
    }
}

fn log_normal(median_us: f64, sigma: f64, rng: &mut fastrand::Rng) -> u64 {
    // Box and Muller (1958). The logarithm's argument is never zero.
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * rng.f64()).cos();
    (median_us * (sigma * normal).exp()).clamp(1.0, DRAWN_MAX_US) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_log_normal_is_below_its_median_and_a_sixth_a_sigma_above() {
        let mut rng = fastrand::Rng::with_seed(3);
        let latency = Latency::LogNormal { median: Duration::from_millis(40), sigma: 0.5 };
        let drawn = Drawn::new(&latency, 2);
        let count = 40_000;
        let sample: Vec<u64> = (0..count).map(|_| drawn.draw(0, 1, &mut rng)).collect();
        let share =
            |above: f64| sample.iter().filter(|us| **us as f64 > above).count() as f64 / f64::from(count);
        // Four standard deviations of a share of so many are 0.01.
        assert!((share(40_000.0) - 0.5).abs() < 0.01, "{}", share(40_000.0));
        assert!((share(40_000.0 * 0.5_f64.exp()) - 0.1587).abs() < 0.01);
    }
}
