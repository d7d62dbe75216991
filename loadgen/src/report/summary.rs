//! From measurements to the report: every quotient and percentile is taken here, once.

use hdrhistogram::Histogram;
use serde_json::{Map, Value};
use swimring::protocol::settings::Dissemination;
use swimring_tooling::environment::Environment;

use super::{
    Allocations, Cpu, Datagrams, Delegations, Detection, Events, Kills, Memory, ProbeRtt, Report, RoundTrips,
    SCHEMA, ScheduleLag, Seconds, Spread, Total, Views, ZonePair, ZoneRtt,
};
use crate::cli::WireChoice;
use crate::measurements::{
    DelegationCounts, KillOutcome, Measurements, WorkerMeasurements, histogram_us, record,
};
use crate::zone_round_trips::ZoneRoundTrips;

/// What was measured and on what: the part of a report that is known without measuring.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Seed of every random choice.
    pub seed: u64,
    /// Wire format.
    pub wire: String,
    /// Every setting in force, by name.
    pub settings: Map<String, Value>,
    /// Names of those that differ from the defaults and the preset.
    pub settings_changed: Vec<String>,
    /// What makes the report.
    pub environment: Environment,
}

impl Subject {
    /// Whether members told each other by delegating: memberlist's wire gossips whatever the setting says.
    fn delegates(&self) -> bool {
        let set = self.settings.get("dissemination").and_then(Value::as_str);
        self.wire == WireChoice::Native.as_str() && set == Some(Dissemination::Delegated.as_str())
    }
}

/// Names of the settings whose value is not the default's, in order of name.
pub fn changed_settings(settings: &Map<String, Value>, defaults: &Map<String, Value>) -> Vec<String> {
    settings
        .iter()
        .filter(|(name, value)| defaults.get(*name) != Some(value))
        .map(|(name, _)| name.clone())
        .collect()
}

impl Report {
    /// Summarises a run. `invalid_reasons` is what [`crate::bottleneck::reasons`] found; objectives are
    /// judged on the result.
    pub fn new(subject: Subject, measurements: &Measurements, invalid_reasons: Vec<String>) -> Report {
        let total = measurements.total();
        let delegations =
            if subject.delegates() { delegations(measurements, &total) } else { Delegations::default() };
        Report {
            schema: SCHEMA,
            valid: invalid_reasons.is_empty(),
            invalid_reasons,
            interrupted: measurements.interrupted,
            seed: subject.seed,
            settings: subject.settings,
            settings_changed: subject.settings_changed,
            environment: subject.environment,
            members: measurements.members,
            wire: subject.wire,
            driver: measurements.driver.clone(),
            duration_s: rounded(measurements.measured.as_secs_f64()),
            cpu: cpu(measurements),
            memory: memory(measurements),
            datagrams: datagrams(measurements, &total),
            allocations: Allocations { steady_state: total.allocations },
            views: Views {
                bases_made: total.bases_made,
                rebased: total.views_rebased,
                step_us_max: total.sweep_us_max,
            },
            probe_rtt_us: probe_rtt(&total.probe_rtt_us),
            zone_rtt_us: zone_rtt(&measurements.zone_round_trips),
            schedule_lag_us: schedule_lag(&total.schedule_lag_us),
            kills: kills(&measurements.kills),
            detection_s: detection(&measurements.kills),
            false_suspicions: total.false_suspicions,
            false_deaths: total.false_deaths,
            events: events(measurements, &total),
            delegations,
            convergence_s: measurements.convergence.map(|time| rounded(time.as_secs_f64())),
            real_members: None,
            slos: Vec::new(),
        }
    }
}

/// Six significant digits: more than any of these is known to, and fit to read in a file.
pub(super) fn rounded(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
}

/// `a / b`, or nothing where `b` is nothing.
fn ratio(a: f64, b: f64) -> Option<f64> {
    (b > 0.0).then(|| rounded(a / b))
}

fn member_seconds(measurements: &Measurements) -> f64 {
    measurements.members as f64 * measurements.measured.as_secs_f64()
}

fn cpu(measurements: &Measurements) -> Cpu {
    let seconds = measurements.cpu.total().as_secs_f64();
    Cpu {
        cores: ratio(seconds, measurements.measured.as_secs_f64()).unwrap_or(0.0),
        us_per_member_second: ratio(seconds * 1e6, member_seconds(measurements)).unwrap_or(0.0),
        kernel_ratio: ratio(measurements.cpu.kernel.as_secs_f64(), seconds),
        worker_busy_ratio: measurements.busy_ratios().into_iter().map(rounded).collect(),
    }
}

fn memory(measurements: &Measurements) -> Memory {
    let pairs = measurements.members as f64 * measurements.members_known;
    let rss_bytes = measurements.resident_bytes;
    Memory { rss_bytes, bytes_per_pair: rss_bytes.and_then(|bytes| ratio(bytes as f64, pairs)) }
}

fn datagrams(measurements: &Measurements, total: &WorkerMeasurements) -> Datagrams {
    let (sent, received) = (total.datagrams_sent, total.datagrams_received);
    Datagrams {
        sent,
        received,
        dropped: total.datagrams_dropped,
        lost_on_purpose: total.datagrams_lost_on_purpose,
        packets_sent: total.packets_sent,
        per_second: ratio(sent as f64, measurements.measured.as_secs_f64()).unwrap_or(0.0),
        bytes_per_member_second: ratio(total.bytes_sent as f64, member_seconds(measurements)).unwrap_or(0.0),
        per_system_call: ratio((sent + received) as f64, total.system_calls as f64),
    }
}

/// A percentile, or nothing of an empty histogram.
fn quantile(histogram: &Histogram<u64>, quantile: f64) -> Option<u64> {
    // A histogram's bucket may end above the largest value in it; nobody should read p99 > max.
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile).min(histogram.max()))
}

fn probe_rtt(histogram: &Histogram<u64>) -> ProbeRtt {
    ProbeRtt {
        count: histogram.len(),
        p50: quantile(histogram, 0.5),
        p90: quantile(histogram, 0.9),
        p99: quantile(histogram, 0.99),
        p999: quantile(histogram, 0.999),
        max: quantile(histogram, 1.0),
    }
}

fn zone_rtt(measured: &ZoneRoundTrips) -> ZoneRtt {
    let round_trips = |histogram: &Histogram<u64>| RoundTrips {
        count: Some(histogram.len()),
        p50: quantile(histogram, 0.5),
        p99: quantile(histogram, 0.99),
        max: quantile(histogram, 1.0),
    };
    let Some([within, between]) = measured.sides() else { return ZoneRtt::default() };
    let pairs = measured.pairs().map(|(from, to, pair)| ZonePair {
        from: from.to_owned(),
        to: to.to_owned(),
        round_trips: round_trips(pair),
    });
    ZoneRtt { within: round_trips(within), between: round_trips(between), pairs: pairs.collect() }
}

fn schedule_lag(histogram: &Histogram<u64>) -> ScheduleLag {
    ScheduleLag {
        p50: quantile(histogram, 0.5),
        p99: quantile(histogram, 0.99),
        max: quantile(histogram, 1.0),
    }
}

fn kills(kills: &[KillOutcome]) -> Kills {
    let detected = kills.iter().filter(|kill| kill.detected_by_all()).count();
    Kills { count: kills.len() as u64, detected: detected as u64 }
}

fn detection(kills: &[KillOutcome]) -> Detection {
    let (mut first, mut all) = (histogram_us(), histogram_us());
    for kill in kills {
        if let Some(time) = kill.first {
            record(&mut first, time);
        }
        if let Some(time) = kill.last.filter(|_| kill.detected_by_all()) {
            record(&mut all, time);
        }
    }
    Detection { first: seconds(&first), all: seconds(&all) }
}

fn seconds(histogram: &Histogram<u64>) -> Seconds {
    let at = |wanted| quantile(histogram, wanted).map(|us| rounded(us as f64 / 1e6));
    Seconds { count: histogram.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
}

fn delegations(measurements: &Measurements, total: &WorkerMeasurements) -> Delegations {
    let (measured, seconds) = (&total.delegations_while_measuring, measurements.measured.as_secs_f64());
    let both = |of: fn(&DelegationCounts) -> u64| Total {
        count: Some(of(&total.delegations)),
        per_second: ratio(of(measured) as f64, seconds),
    };
    Delegations {
        copies: both(|counts| counts.copies),
        acknowledgements: both(|counts| counts.acknowledgements),
        retransmissions: both(|counts| counts.retransmissions),
        given_up: both(|counts| counts.given_up),
        shed: both(|counts| counts.shed),
        crossed: if measurements.zones > 1 { both(|counts| counts.crossed) } else { Total::default() },
    }
}

fn events(measurements: &Measurements, total: &WorkerMeasurements) -> Events {
    let expected: u64 = measurements.events.iter().map(|event| event.expected).sum();
    let delivered: u64 = measurements.events.iter().map(|event| event.delivered).sum();
    let at = |wanted| quantile(&total.event_spread_us, wanted).map(|us| rounded(us as f64 / 1e3));
    Events {
        sent: measurements.events.len() as u64,
        refused: total.events_refused,
        // Not rounded: 9,999,999 of 10,000,000 must not become 1.
        delivered_ratio: (expected > 0).then(|| delivered as f64 / expected as f64),
        copies_per_member: ratio(total.event_copies as f64, expected as f64),
        crossed_per_zone: ratio(
            total.event_copies_crossed as f64,
            (measurements.events.len() as u64 * measurements.zones.saturating_sub(1)) as f64,
        ),
        cpu_us_per_event_per_member: measurements
            .event_cpu
            .and_then(|time| ratio(time.as_secs_f64() * 1e6, expected as f64)),
        spread_ms: Spread { p50: at(0.5), p99: at(0.99), max: at(1.0) },
    }
}
