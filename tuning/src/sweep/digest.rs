//! What is kept of one simulated run: everything that is reported, in a few hundred bytes.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use swimring_simulation::experiment::TrialOutcome;

/// The shares at which the spread of events is kept, in thousandths.
pub const SPREAD_SHARES: [u16; 26] = [
    0, 10, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 550, 600, 650, 700, 750, 800, 850, 900, 925, 950,
    975, 990, 999, 1000,
];
const SPREAD_P50: usize = 11;
const SPREAD_P99: usize = 23;

/// One run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Digest {
    /// The measured time.
    pub measured_s: f64,
    /// With warm-up and drain.
    pub simulated_s: f64,
    /// Time from each crash to the first member that suspects it; `None` if nobody did until the end.
    pub suspected_s: Vec<Option<f64>>,
    /// Time from each crash to the first member that holds it dead.
    pub first_s: Vec<Option<f64>>,
    /// Time from each crash until all members hold it dead.
    pub all_s: Vec<Option<f64>>,
    /// Deliveries of events, and how many there should have been.
    pub delivered: (u64, u64),
    /// The spread of the deliveries at [`SPREAD_SHARES`], milliseconds; empty where there were none.
    pub spread_ms: Vec<f64>,
    /// Half of the round trips took less, microseconds.
    pub probe_rtt_p50_us: Option<f64>,
    /// (observer, subject) pairs where the subject was alive and suspected.
    pub false_suspicions: u64,
    /// The same where it was held dead.
    pub false_deaths: u64,
    /// Members held dead by someone while they were alive.
    pub false_death_subjects: u64,
    /// Those of them that had no impairment.
    pub false_death_subjects_healthy: u64,
    /// Payload bytes of datagrams, per member and second.
    pub bytes_per_member_second: f64,
    /// Bytes of streams, per member and second.
    pub stream_bytes_per_member_second: f64,
    /// Bytes of datagrams as real sends pad them, per member and second: what a load generator counts.
    #[serde(default)]
    pub padded_bytes_per_member_second: f64,
    /// Datagrams per member and second.
    pub datagrams_per_member_second: f64,
    /// Copies of delegated updates, per member and second of the simulated time.
    #[serde(default)]
    pub delegated_copies_per_member_second: f64,
    /// Their acknowledgements.
    #[serde(default)]
    pub delegation_acks_per_member_second: f64,
    /// Copies among them that were sent again.
    #[serde(default)]
    pub delegations_retried_per_member_second: f64,
    /// Delegations given up.
    #[serde(default)]
    pub delegations_given_up_per_member_second: f64,
    /// Copies among the delegated ones that went to another zone.
    #[serde(default)]
    pub delegations_crossed_per_member_second: f64,
    /// Hash of all that happened.
    pub fingerprint: u64,
    /// Real time that it took.
    pub wall_s: f64,
}

impl Digest {
    /// The digest of an outcome.
    pub fn of(outcome: &TrialOutcome) -> Digest {
        let (events, delegated) = (&outcome.events, outcome.delegated());
        Digest {
            measured_s: outcome.measured_s,
            simulated_s: outcome.simulated_s,
            suspected_s: outcome.crashes.iter().map(|crash| crash.first_suspected_s).collect(),
            first_s: outcome.crashes.iter().map(|crash| crash.first_s).collect(),
            all_s: outcome.crashes.iter().map(|crash| crash.all_s).collect(),
            delivered: (
                events.iter().map(|event| u64::from(event.delivered)).sum(),
                events.iter().map(|event| u64::from(event.of)).sum(),
            ),
            spread_ms: spread(&outcome.spread_us),
            probe_rtt_p50_us: quantile(&outcome.probe_rtt_us, 0.5),
            false_suspicions: outcome.false_suspicions,
            false_deaths: outcome.false_deaths,
            false_death_subjects: outcome.false_death_subjects,
            false_death_subjects_healthy: outcome.false_death_subjects_healthy,
            bytes_per_member_second: outcome.bytes_per_member_second(),
            stream_bytes_per_member_second: outcome.stream_bytes_per_member_second(),
            padded_bytes_per_member_second: outcome.padded_bytes_per_member_second(),
            datagrams_per_member_second: outcome.datagrams_per_member_second(),
            delegated_copies_per_member_second: delegated.copies,
            delegation_acks_per_member_second: delegated.acks,
            delegations_retried_per_member_second: delegated.retransmissions,
            delegations_given_up_per_member_second: delegated.given_up,
            delegations_crossed_per_member_second: delegated.crossed,
            fingerprint: outcome.fingerprint,
            wall_s: outcome.wall.as_secs_f64(),
        }
    }

    /// Half of the deliveries took less.
    pub fn spread_p50_ms(&self) -> Option<f64> {
        self.spread_ms.get(SPREAD_P50).copied()
    }

    /// 99 % of the deliveries took less.
    pub fn spread_p99_ms(&self) -> Option<f64> {
        self.spread_ms.get(SPREAD_P99).copied()
    }

    /// The same run, whatever time it took: what two runs with one seed have in common.
    #[must_use]
    pub fn timeless(mut self) -> Digest {
        self.wall_s = 0.0;
        self
    }
}

fn spread(histogram: &Histogram<u64>) -> Vec<f64> {
    if histogram.is_empty() {
        return Vec::new();
    }
    let at = |share: &u16| histogram.value_at_quantile(f64::from(*share) / 1000.0) as f64 / 1000.0;
    SPREAD_SHARES.iter().map(at).collect()
}

fn quantile(histogram: &Histogram<u64>, share: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(share) as f64)
}
