//! What the runs of one point say together, each number with its 95 % interval.
//!
//! Crashes are taken from all runs together: each is a draw of its own, and order statistics tell how sure
//! their quantiles are. What is measured once per run (bytes, spread) is averaged over the runs, with Student's
//! t. False deaths are counted over the whole simulated time.

use serde::{Deserialize, Serialize};
use swimring_tooling::quantiles::sorted;

use super::Digest;
use crate::statistics::{Estimate, at_most, poisson_interval};

/// Seconds of a day.
pub const DAY_S: f64 = 86_400.0;

/// A rate of rare events per simulated day of the whole cluster.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct RareRate {
    /// Events counted.
    pub seen: u64,
    /// Simulated days of the whole cluster.
    pub days: f64,
    /// Per day.
    pub per_day: f64,
    /// Lower end of the rate, 95 % two-sided.
    pub low: f64,
    /// Upper end of the rate, 95 % two-sided.
    pub high: f64,
    /// Upper end, 95 % one-sided: 3 / days where none was seen.
    pub at_most: f64,
}

impl RareRate {
    /// The rate behind `seen` events in `days`.
    pub fn of(seen: u64, days: f64) -> RareRate {
        let (low, high) = poisson_interval(seen);
        let days_at_least = days.max(1e-12);
        RareRate {
            seen,
            days,
            per_day: seen as f64 / days_at_least,
            low: low / days_at_least,
            high: high / days_at_least,
            at_most: at_most(seen) / days_at_least,
        }
    }
}

/// The runs of one point.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Runs.
    pub runs: usize,
    /// Crashes in all of them.
    pub crashes: usize,
    /// Crashes that all members knew at the end.
    pub crashes_known_to_all: usize,
    /// Time from a crash to the first member that holds it dead, seconds.
    pub first_p50_s: Option<Estimate>,
    /// The same for 99 % of the crashes.
    pub first_p99_s: Option<Estimate>,
    /// Time from a crash until all members hold it dead, seconds.
    pub all_p50_s: Option<Estimate>,
    /// The same for 99 % of the crashes.
    pub all_p99_s: Option<Estimate>,
    /// Time from a crash to the first suspicion, seconds.
    pub suspected_p50_s: Option<Estimate>,
    /// Deliveries per expected delivery.
    pub delivered_ratio: Option<f64>,
    /// Time from a user event to its delivery, milliseconds.
    pub spread_p50_ms: Option<Estimate>,
    /// 99 % of the deliveries.
    pub spread_p99_ms: Option<Estimate>,
    /// Datagram payload bytes per member and second.
    pub bytes_per_member_second: Option<Estimate>,
    /// Stream bytes per member and second.
    pub stream_bytes_per_member_second: Option<Estimate>,
    /// Bytes of datagrams as real sends pad them.
    pub padded_bytes_per_member_second: Option<Estimate>,
    /// Datagrams per member and second.
    pub datagrams_per_member_second: Option<Estimate>,
    /// Copies of delegated updates per member and second.
    pub delegated_copies_per_member_second: Option<Estimate>,
    /// Acknowledgements of them per member and second.
    pub delegation_acks_per_member_second: Option<Estimate>,
    /// Copies sent again per member and second.
    pub delegations_retried_per_member_second: Option<Estimate>,
    /// Delegations given up per member and second.
    pub delegations_given_up_per_member_second: Option<Estimate>,
    /// Delegated copies that went to another zone, per member and second.
    pub delegations_crossed_per_member_second: Option<Estimate>,
    /// (observer, subject) pairs, subject alive and suspected, per run.
    pub false_suspicions: Option<Estimate>,
    /// (observer, subject) pairs, subject alive and held dead, per run.
    pub false_deaths: Option<Estimate>,
    /// Subjects held dead while alive, each incarnation once, per run.
    pub false_death_subjects: Option<Estimate>,
    /// Members held dead while alive, per day of the whole cluster.
    pub false_deaths_per_day: RareRate,
}

/// Never, as a number that sorts last.
fn or_never(values: impl Iterator<Item = Option<f64>>) -> Vec<f64> {
    sorted(values.map(|value| value.unwrap_or(f64::INFINITY)))
}

/// All crashes' times of `digests`, sorted; those never noticed are infinite and last.
pub fn pooled(digests: &[Digest], of: impl Fn(&Digest) -> &Vec<Option<f64>>) -> Vec<f64> {
    or_never(digests.iter().flat_map(|digest| of(digest).iter().copied()))
}

impl Summary {
    /// The summary of the runs of one point.
    pub fn of(digests: &[Digest]) -> Summary {
        let first = pooled(digests, |digest| &digest.first_s);
        let all = pooled(digests, |digest| &digest.all_s);
        let suspected = pooled(digests, |digest| &digest.suspected_s);
        let mean = |of: &dyn Fn(&Digest) -> Option<f64>| {
            Estimate::mean(&digests.iter().filter_map(of).collect::<Vec<_>>())
        };
        let (delivered, expected) = digests
            .iter()
            .fold((0, 0), |sum, digest| (sum.0 + digest.delivered.0, sum.1 + digest.delivered.1));
        let seen = digests.iter().map(|digest| digest.false_death_subjects).sum();
        let days = digests.iter().map(|digest| digest.simulated_s).sum::<f64>() / DAY_S;
        Summary {
            runs: digests.len(),
            crashes: first.len(),
            crashes_known_to_all: all.iter().filter(|time| time.is_finite()).count(),
            first_p50_s: Estimate::quantile(&first, 0.5),
            first_p99_s: Estimate::quantile(&first, 0.99),
            all_p50_s: Estimate::quantile(&all, 0.5),
            all_p99_s: Estimate::quantile(&all, 0.99),
            suspected_p50_s: Estimate::quantile(&suspected, 0.5),
            delivered_ratio: (expected > 0).then(|| delivered as f64 / expected as f64),
            spread_p50_ms: mean(&Digest::spread_p50_ms),
            spread_p99_ms: mean(&Digest::spread_p99_ms),
            bytes_per_member_second: mean(&|digest| Some(digest.bytes_per_member_second)),
            stream_bytes_per_member_second: mean(&|digest| Some(digest.stream_bytes_per_member_second)),
            padded_bytes_per_member_second: mean(&|digest| Some(digest.padded_bytes_per_member_second)),
            datagrams_per_member_second: mean(&|digest| Some(digest.datagrams_per_member_second)),
            delegated_copies_per_member_second: mean(&|digest| {
                Some(digest.delegated_copies_per_member_second)
            }),
            delegation_acks_per_member_second: mean(&|digest| Some(digest.delegation_acks_per_member_second)),
            delegations_retried_per_member_second: mean(&|digest| {
                Some(digest.delegations_retried_per_member_second)
            }),
            delegations_given_up_per_member_second: mean(&|digest| {
                Some(digest.delegations_given_up_per_member_second)
            }),
            delegations_crossed_per_member_second: mean(&|digest| {
                Some(digest.delegations_crossed_per_member_second)
            }),
            false_suspicions: mean(&|digest| Some(digest.false_suspicions as f64)),
            false_deaths: mean(&|digest| Some(digest.false_deaths as f64)),
            false_death_subjects: mean(&|digest| Some(digest.false_death_subjects as f64)),
            false_deaths_per_day: RareRate::of(seen, days),
        }
    }
}
