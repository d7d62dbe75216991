//! What the real members of a pool look like from outside: the part of a report that only `attach` has.

use hdrhistogram::{Counter, Histogram};
use serde::{Deserialize, Serialize};

/// The real members of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RealMembers {
    /// Real members that were met.
    pub count: u64,
    /// Of these, how many are not among `members`, because there are more than can be kept apart.
    pub untracked: u64,
    /// All of them together.
    pub total: RealMember,
    /// Each of them, in order of name.
    pub members: Vec<RealMember>,
}

/// One real member, or all together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RealMember {
    /// Its name; empty for all together.
    pub name: String,
    /// Where it lives; empty for all together.
    pub address: String,
    /// Probes of ours that it answered directly.
    pub acks: u64,
    /// Their round trips, from the intended time, microseconds.
    pub ack_rtt_us: Spread,
    /// Probes of ours that it did not answer directly in time.
    pub lost_acks: u64,
    /// From a kill until it first passed a suspicion of the victim on, seconds.
    pub suspect_s: Spread,
    /// From a kill until it first passed on that the victim is dead, seconds.
    pub dead_s: Spread,
    /// From a user event until it first passed it on, milliseconds.
    pub event_ms: Spread,
    /// Suspicions that it raised against live members of ours.
    pub suspicions_raised: u64,
    /// Live members of ours that it declared dead.
    pub deaths_declared: u64,
    /// Times that a member of ours suspected it.
    pub suspected: u64,
    /// Times that a member of ours took it for dead.
    pub failed: u64,
}

/// A distribution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Values in it.
    pub count: u64,
    /// Median.
    pub p50: Option<f64>,
    /// 99 % were at most this.
    pub p99: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
}

impl Spread {
    /// Of a histogram of microseconds, in units of `unit_us`.
    pub fn of<C: Counter>(histogram: &Histogram<C>, unit_us: f64) -> Spread {
        let at = |quantile| {
            let us = histogram.value_at_quantile(quantile).min(histogram.max());
            (!histogram.is_empty()).then(|| super::summary::rounded(us as f64 / unit_us))
        };
        Spread { count: histogram.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurements::histogram_us;

    #[test]
    fn a_distribution_is_told_in_its_unit_and_nothing_of_nothing() {
        let mut histogram = histogram_us();
        assert_eq!(Spread::of(&histogram, 1e6), Spread::default());
        histogram.record(2_000_000).unwrap();
        let spread = Spread::of(&histogram, 1e6);
        assert_eq!((spread.count, spread.p50.map(f64::round)), (1, Some(2.0)));
    }
}
