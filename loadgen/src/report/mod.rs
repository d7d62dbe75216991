//! The report: one set of names for the JSON file, the objectives, the text and the comparison.
//!
//! The names are a contract: scripts and saved results depend on them. More may be added; none is renamed or
//! removed without a new [`SCHEMA`]. Every name is always present. **What was not measured is `null`**: a
//! percentile of nothing, the convergence of a warm start, allocations where nobody counted. A number means
//! that it was measured, and zero means zero.

mod command;
mod compare;
pub mod real_members;
mod render;
mod summary;

pub mod paths;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use swimring_tooling::environment::Environment;

pub use command::command;
pub use compare::{comparison, csv};
pub use render::render;
pub use summary::{Subject, changed_settings};

use crate::slo::SloResult;

/// The version of the names below.
pub const SCHEMA: u32 = 1;

/// What a run measured and what made it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// Whether the numbers say something about the cluster: `false` if the generator was the bottleneck.
    pub valid: bool,
    /// Why not, one line each.
    pub invalid_reasons: Vec<String>,
    /// Whether the run was ended early.
    #[serde(default)]
    pub interrupted: bool,
    /// Seed of every random choice.
    pub seed: u64,
    /// Every setting, by name.
    pub settings: Map<String, Value>,
    /// Names of the settings that differ from the defaults and the preset.
    #[serde(default)]
    pub settings_changed: Vec<String>,
    /// What made the report.
    pub environment: Environment,
    /// Members that were started.
    pub members: u64,
    /// Wire format.
    pub wire: String,
    /// Datagram driver that was used.
    pub driver: String,
    /// Measured seconds.
    pub duration_s: f64,
    /// CPU.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// Datagrams.
    pub datagrams: Datagrams,
    /// Heap allocations.
    pub allocations: Allocations,
    /// How members' views are held.
    #[serde(default)]
    pub views: Views,
    /// From a probe's intended time to its ack, microseconds.
    pub probe_rtt_us: ProbeRtt,
    /// The same by zone, where the members were in zones (`--zones`).
    #[serde(default)]
    pub zone_rtt_us: ZoneRtt,
    /// How late timers fired, microseconds.
    pub schedule_lag_us: ScheduleLag,
    /// Kills.
    pub kills: Kills,
    /// How long it took until they were noticed, seconds.
    pub detection_s: Detection,
    /// Times an observer began to suspect a live subject: at least the (observer, subject) pairs, more where
    /// a pair did it again after a refutation.
    pub false_suspicions: u64,
    /// Times an observer declared a live subject dead, counted likewise.
    pub false_deaths: u64,
    /// User events.
    pub events: Events,
    /// What delegated broadcast took, where the run's members delegated.
    #[serde(default)]
    pub delegations: Delegations,
    /// Cold start: seconds until every view was complete.
    pub convergence_s: Option<f64>,
    /// What the real members of a pool look like from outside: of `attach` only.
    #[serde(default)]
    pub real_members: Option<real_members::RealMembers>,
    /// How the objectives came out.
    #[serde(default)]
    pub slos: Vec<SloResult>,
}

/// CPU time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// Process CPU seconds per measured second.
    pub cores: f64,
    /// The same per member, microseconds per second.
    pub us_per_member_second: f64,
    /// Share of it spent in the kernel.
    #[serde(default)]
    pub kernel_ratio: Option<f64>,
    /// Share of the measured time each worker was busy.
    pub worker_busy_ratio: Vec<f64>,
}

/// Memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Resident bytes of the process.
    pub rss_bytes: Option<u64>,
    /// Resident bytes per (member, member known).
    pub bytes_per_pair: Option<f64>,
}

/// Datagrams in the measured time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Datagrams {
    /// Handed to the kernel.
    pub sent: u64,
    /// Taken from the kernel.
    pub received: u64,
    /// Shed by this machine: full buffers and queues.
    pub dropped: u64,
    /// Dropped on purpose (`--loss`).
    #[serde(default)]
    pub lost_on_purpose: u64,
    /// Packets that carried those sent: a train of several datagrams to one address is one packet until
    /// the receiving socket splits it.
    #[serde(default)]
    pub packets_sent: u64,
    /// Sent per second.
    pub per_second: f64,
    /// Bytes sent per member and second, without IP and UDP headers.
    pub bytes_per_member_second: f64,
    /// Sent and received per system call.
    pub per_system_call: Option<f64>,
}

/// Heap allocations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Allocations {
    /// Made by workers in the measured time.
    pub steady_state: Option<u64>,
}

/// How members' views are held: as differences from bases that they share. Until the end of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Views {
    /// Bases made.
    pub bases_made: u64,
    /// Times a member's view was moved to a newer base.
    pub rebased: u64,
    /// The longest that this has held up a turn of a worker's loop, in microseconds.
    pub step_us_max: u64,
}

/// Probe round trips in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbeRtt {
    /// Probes that were acked.
    pub count: u64,
    /// Median.
    pub p50: Option<u64>,
    /// 90 % were at most this.
    pub p90: Option<u64>,
    /// 99 % were at most this.
    pub p99: Option<u64>,
    /// 99.9 % were at most this.
    pub p999: Option<u64>,
    /// The longest.
    pub max: Option<u64>,
}

/// Probe round trips by the zones of who asks and who answers, in microseconds. Nothing was measured without zones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ZoneRtt {
    /// Within a zone.
    pub within: RoundTrips,
    /// To another zone.
    pub between: RoundTrips,
    /// Each two zones, of at most [`ZONES_APART_MAX`](crate::zone_round_trips::ZONES_APART_MAX).
    pub pairs: Vec<ZonePair>,
}

/// Round trips in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RoundTrips {
    /// Probes that were acked.
    pub count: Option<u64>,
    /// Median.
    pub p50: Option<u64>,
    /// 99 % were at most this.
    pub p99: Option<u64>,
    /// The longest.
    pub max: Option<u64>,
}

/// Round trips from one zone to another, or within it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ZonePair {
    /// Zone of who asks.
    pub from: String,
    /// Zone of who answers.
    pub to: String,
    /// What was measured.
    #[serde(flatten)]
    pub round_trips: RoundTrips,
}

/// Lateness of timers in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScheduleLag {
    /// Median.
    pub p50: Option<u64>,
    /// 99 % were at most this.
    pub p99: Option<u64>,
    /// The latest.
    pub max: Option<u64>,
}

/// Kills.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kills {
    /// Members killed.
    pub count: u64,
    /// Kills that every live member noticed.
    pub detected: u64,
}

/// From a kill to its declaration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// To the first member that declares it dead.
    pub first: Seconds,
    /// To the last one.
    pub all: Seconds,
}

/// A distribution in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Values in it.
    pub count: u64,
    /// Median.
    pub p50: Option<f64>,
    /// 99 % were at most this.
    pub p99: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
}

/// User events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Events {
    /// Events sent; those that were refused are not among them.
    pub sent: u64,
    /// Events refused by their senders because too many were under way, or members were behind with them: the application is told.
    #[serde(default)]
    pub refused: u64,
    /// Deliveries per expected delivery: 1 if every live member received every event that was not refused.
    pub delivered_ratio: Option<f64>,
    /// Copies of an event a member received, duplicates included.
    pub copies_per_member: Option<f64>,
    /// Copies of an event that crossed from one zone to another, for each zone but the sender's (`--zones`).
    #[serde(default)]
    pub crossed_per_zone: Option<f64>,
    /// CPU time per event and member, microseconds.
    pub cpu_us_per_event_per_member: Option<f64>,
    /// From an event's intended time to each delivery, milliseconds.
    pub spread_ms: Spread,
}

/// What delegated broadcast took: updates and user events. Nothing was measured where members gossiped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delegations {
    /// Copies sent, those that were sent again too.
    pub copies: Total,
    /// Acknowledgements sent: one for each frame with copies that arrived.
    pub acknowledgements: Total,
    /// Of the copies, those sent again because no acknowledgement came in time.
    pub retransmissions: Total,
    /// Parts given up after every attempt, left to repair.
    pub given_up: Total,
    /// Parts not begun because too many were under way.
    pub shed: Total,
    /// Of the copies, those that came from another zone (`--zones`).
    #[serde(default)]
    pub crossed: Total,
}

/// A number of things and how fast they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// From the beginning of the measured time to the end of the run.
    pub count: Option<u64>,
    /// Per second of the measured time.
    pub per_second: Option<f64>,
}

/// A distribution in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Median.
    pub p50: Option<f64>,
    /// 99 % were at most this.
    pub p99: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
}

impl Report {
    /// The JSON document, for a file and for objectives.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("a report has only string keys and finite numbers")
    }

    /// The JSON document as text, with a line end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a report has only string keys");
        text.push('\n');
        text
    }

    /// Reads a JSON document. Errors: one line that tells another schema from something else entirely.
    pub fn from_json(text: &str) -> Result<Report, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        match value.get("schema").and_then(Value::as_u64) {
            Some(schema) if schema == u64::from(SCHEMA) => {
                serde_json::from_value(value).map_err(|error| format!("not a complete report: {error}"))
            }
            Some(schema) => Err(format!("schema {schema}: this program reads schema {SCHEMA}")),
            None => Err("not a report: it has no schema".to_owned()),
        }
    }

    /// Whether every objective holds.
    pub fn objectives_met(&self) -> bool {
        self.slos.iter().all(|slo| slo.met)
    }
}

#[cfg(test)]
mod tests;
