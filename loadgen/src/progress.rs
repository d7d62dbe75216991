//! The line that shows a run is alive: on standard error, rewritten in place, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use swimring_tooling::columns;
use swimring_tooling::text::{counted, microseconds, percent, significant, thousands};

/// The phase of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum Phase {
    /// Members are being created or join.
    Starting,
    /// Running, not yet measuring.
    WarmingUp,
    /// The measured window.
    Measuring,
    /// Waiting until every kill and event has been seen everywhere.
    Settling,
    /// Members leave a pool that goes on without them.
    Leaving,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Phase; 5] =
        [Phase::Starting, Phase::WarmingUp, Phase::Measuring, Phase::Settling, Phase::Leaving];

    /// Its name on the terminal.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::WarmingUp => "warming up",
            Phase::Measuring => "measuring",
            Phase::Settling => "settling",
            Phase::Leaving => "leaving",
        }
    }
}

/// A moment of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Phase of the run.
    pub phase: Phase,
    /// Time in this phase.
    pub elapsed: Duration,
    /// The phase's length, where it is known; of settling, how long it may take at most.
    pub total: Option<Duration>,
    /// Joins of a cold start, or leaves at the end: done, and wanted.
    pub joins: Option<(u64, u64)>,
    /// Members alive.
    pub members_alive: u64,
    /// Datagrams sent per second since the last sample.
    pub datagrams_per_second: f64,
    /// CPU seconds per second since the last sample.
    pub cpu_cores: f64,
    /// 99th percentile of the probe round trips so far, microseconds.
    pub probe_p99_us: Option<u64>,
    /// Kills that every live member has noticed.
    pub kills_detected: u64,
    /// Kills so far.
    pub kills: u64,
    /// Deliveries of user events per expected delivery so far.
    pub events_delivered: Option<f64>,
}

/// Shows samples, or nothing where nobody looks.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Visible on a terminal unless `quiet`.
    pub fn new(quiet: bool) -> Progress {
        if quiet {
            return Progress { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // The line is made to fit; the template has nothing that could be wrong.
        Progress {
            bar: ProgressStyle::with_template("{msg}").map_or(bar.clone(), |style| bar.with_style(style)),
        }
    }

    /// Whether anybody looks: samples need not be taken otherwise.
    pub fn visible(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Replaces the line.
    pub fn show(&mut self, sample: &Sample) {
        if self.visible() {
            let width = columns::of_standard_error().unwrap_or(columns::LEAST);
            self.bar.set_message(line(sample, width));
        }
    }

    /// Removes the line: what is printed next starts on a clean one.
    pub fn finish(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A sample in one line that fits into `width` columns; the parts that do not fit are left out from the end.
pub fn line(sample: &Sample, width: usize) -> String {
    let (phase, elapsed) = (sample.phase.name(), sample.elapsed.as_secs());
    let mut parts = vec![match sample.total.map(|total| total.as_secs()) {
        // It ends as soon as everything has been seen.
        Some(most) if sample.phase == Phase::Settling => format!("{phase} {elapsed} s of at most {most}"),
        Some(total) => format!("{phase} {elapsed}/{total} s"),
        None => format!("{phase} {elapsed} s"),
    }];
    match sample.joins {
        Some((done, wanted)) if sample.phase == Phase::Leaving => {
            parts.push(format!("{} of {} left", thousands(done), thousands(wanted)));
        }
        Some((done, wanted)) if done == wanted => {
            parts.push(format!("{} joined, completing their views", thousands(done)));
        }
        Some((done, wanted)) => parts.push(format!("{} of {} joined", thousands(done), thousands(wanted))),
        None if sample.members_alive > 0 => parts.push(counted(sample.members_alive, "member")),
        None => {}
    }
    // While members are being loaded nothing is sent yet.
    if sample.datagrams_per_second > 0.0 {
        parts.push(format!("{} datagrams/s", significant(sample.datagrams_per_second)));
        parts.push(format!("{} cores", significant(sample.cpu_cores)));
    }
    if let Some(us) = sample.probe_p99_us {
        parts.push(format!("probe p99 {}", microseconds(us as f64)));
    }
    if sample.kills > 0 {
        parts.push(format!("{} of {} kills noticed", sample.kills_detected, sample.kills));
    }
    if let Some(share) = sample.events_delivered {
        parts.push(format!("events {} delivered", percent(share)));
    }
    let mut line = parts.remove(0);
    // A line as wide as the terminal would wrap, and a wrapped line cannot be replaced.
    line.truncate(width.saturating_sub(1));
    for part in parts {
        if line.len() + 2 + part.len() < width {
            line.push_str("  ");
            line.push_str(&part);
        } else {
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Sample = Sample {
        phase: Phase::Measuring,
        elapsed: Duration::from_secs(12),
        total: Some(Duration::from_secs(30)),
        joins: None,
        members_alive: 9_996,
        datagrams_per_second: 20_134.2,
        cpu_cores: 0.4167,
        probe_p99_us: Some(312),
        kills_detected: 3,
        kills: 4,
        events_delivered: Some(0.998),
    };

    #[test]
    fn everything_is_on_one_line() {
        assert_eq!(
            line(&SAMPLE, 140),
            "measuring 12/30 s  9,996 members  20,134 datagrams/s  0.417 cores  probe p99 312 us  \
             3 of 4 kills noticed  events 99.8 % delivered"
        );
    }

    #[test]
    fn what_was_not_measured_yet_is_left_out() {
        let sample = Sample { total: None, probe_p99_us: None, kills: 0, events_delivered: None, ..SAMPLE };
        assert_eq!(line(&sample, 120), "measuring 12 s  9,996 members  20,134 datagrams/s  0.417 cores");
        let starting =
            Sample { phase: Phase::Starting, members_alive: 0, datagrams_per_second: 0.0, ..sample };
        assert_eq!(line(&starting, 120), "starting 12 s");
        let joining = Sample { joins: Some((120, 1999)), ..starting };
        assert_eq!(line(&joining, 120), "starting 12 s  120 of 1,999 joined");
        let joined = Sample { joins: Some((1999, 1999)), ..starting };
        assert_eq!(line(&joined, 120), "starting 12 s  1,999 joined, completing their views");
        let settling = Sample { phase: Phase::Settling, total: Some(Duration::from_secs(38)), ..starting };
        assert_eq!(line(&settling, 120), "settling 12 s of at most 38");
        let leaving = Sample { phase: Phase::Leaving, ..joining };
        assert_eq!(line(&leaving, 120), "leaving 12 s  120 of 1,999 left");
    }

    #[test]
    fn no_line_is_as_wide_as_its_terminal() {
        for width in 0..120 {
            assert!(line(&SAMPLE, width).len() < width.max(1), "{width}");
        }
        assert_eq!(line(&SAMPLE, 40), "measuring 12/30 s  9,996 members");
    }

    #[test]
    fn nobody_looks_at_a_quiet_run() {
        assert!(!Progress::new(true).visible());
    }
}
