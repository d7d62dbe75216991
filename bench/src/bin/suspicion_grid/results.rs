//! What was measured, one line of CSV per trial, so that a grid that was stopped goes on where it was.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::path::Path;

use serde::{Deserialize, Serialize};
use swimring_simulation::experiment::TrialOutcome;

use super::cells::Cell;
use super::contender::Contender;

/// One trial.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    pub cell: String,
    pub contender: String,
    pub seed: u64,
    pub measured_s: f64,
    pub crashes: usize,
    /// Seconds from each crash to the first member that holds it dead, separated by spaces.
    pub first_declared_s: String,
    /// The same to the first suspicion, and to when all hold it dead.
    pub first_suspected_s: String,
    pub all_s: String,
    pub false_deaths: u64,
    pub false_deaths_healthy_subjects: u64,
    pub false_deaths_at_healthy: u64,
    pub false_death_subjects: u64,
    pub false_death_subjects_healthy: u64,
    pub bytes_per_member_second: f64,
    pub datagrams_per_member_second: f64,
    pub stream_bytes_per_member_second: f64,
    pub suspicions_started: u64,
    pub appeals_sent: u64,
    pub wall_ms: u64,
}

impl Line {
    pub fn new(cell: Cell, contender: Contender, outcome: &TrialOutcome) -> Line {
        let each = |of: fn(&swimring_simulation::experiment::CrashOutcome) -> Option<f64>| {
            let times = outcome.crashes.iter().map(|crash| match of(crash) {
                Some(seconds) => format!("{seconds:.3}"),
                None => "never".to_owned(),
            });
            times.collect::<Vec<_>>().join(" ")
        };
        Line {
            cell: cell.name(),
            contender: contender.name().to_owned(),
            seed: outcome.options.seed,
            measured_s: outcome.measured_s,
            crashes: outcome.crashes.len(),
            first_declared_s: each(|crash| crash.first_s),
            first_suspected_s: each(|crash| crash.first_suspected_s),
            all_s: each(|crash| crash.all_s),
            false_deaths: outcome.false_deaths,
            false_deaths_healthy_subjects: outcome.false_deaths_healthy_subjects,
            false_deaths_at_healthy: outcome.false_deaths_at_healthy,
            false_death_subjects: outcome.false_death_subjects,
            false_death_subjects_healthy: outcome.false_death_subjects_healthy,
            bytes_per_member_second: outcome.bytes_per_member_second(),
            datagrams_per_member_second: outcome.datagrams_per_member_second(),
            stream_bytes_per_member_second: outcome.stream_bytes_per_member_second(),
            suspicions_started: outcome.counters.suspicions_started,
            appeals_sent: outcome.counters.appeals_sent,
            wall_ms: outcome.wall.as_millis() as u64,
        }
    }

    pub fn key(&self) -> (String, String, u64) {
        (self.cell.clone(), self.contender.clone(), self.seed)
    }
}

/// The seconds in a field of times; infinite for a crash that nobody declared.
pub fn seconds(field: &str) -> impl Iterator<Item = f64> + '_ {
    field.split_ascii_whitespace().map(|seconds| seconds.parse().unwrap_or(f64::INFINITY))
}

/// The lines of the file at `path`; none if there is no such file.
pub fn read(path: &Path) -> Result<Vec<Line>, String> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let say = |error: csv::Error| {
        format!("{}: {error}: remove the file or name another with --out", path.display())
    };
    csv::Reader::from_path(path).map_err(say)?.deserialize().collect::<Result<_, _>>().map_err(say)
}

/// Which trials `lines` hold.
pub fn done(lines: &[Line]) -> HashSet<(String, String, u64)> {
    lines.iter().map(Line::key).collect()
}

/// Appends lines to the file at `path`.
pub fn appender(path: &Path) -> Result<csv::Writer<File>, String> {
    let fresh = std::fs::metadata(path).map_or(true, |metadata| metadata.len() == 0);
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(csv::WriterBuilder::new().has_headers(fresh).from_writer(file))
}
