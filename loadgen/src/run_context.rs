//! What a run is given besides its options: the plan, and everybody who looks while it runs.

use std::fs::File;
use std::io::BufWriter;
use std::time::SystemTime;

use swimring_tooling::environment;
use swimring_tooling::interrupt::Interrupt;
use swimring_tooling::output::tell;
use swimring_tooling::text::counted;

use crate::cli::{PROGRAM, RunOptions};
use crate::cores;
use crate::fleet::sampling::Taken;
use crate::hlog::HistogramLog;
use crate::progress::{Phase, Progress, Sample};
use crate::prometheus::Endpoint;
use crate::schedule::Plan;

/// What a run is given besides its options.
pub struct RunContext<'a> {
    /// Kills and events, decided.
    pub plan: &'a Plan,
    /// Ends the run early.
    pub interrupt: &'a Interrupt,
    /// Shows that it is alive.
    pub progress: Progress,
    /// Where interval histograms go.
    pub histogram_log: Option<HistogramLog<BufWriter<File>>>,
    /// Why the histogram log was given up, if it was.
    pub histogram_fault: Option<String>,
    /// Where metrics are served.
    pub metrics: Option<Endpoint>,
    /// Seed of every random choice: the log names it.
    pub seed: u64,
}

impl RunContext<'_> {
    /// Whether anybody looks: samples need not be taken otherwise, and cost nothing.
    pub fn wants_samples(&self) -> bool {
        self.progress.visible() || self.histogram_log.is_some() || self.metrics.is_some()
    }

    /// Says what has started and with which seed, so that even a run that never ends can be repeated; and how many
    /// cores are `needed`, where it matters that so many are `busy`.
    pub fn announce(&self, options: &RunOptions, needed: f64, busy: Option<f64>) {
        if options.quiet {
            return;
        }
        let members = counted(u64::from(options.members), "member");
        let duration = humantime::format_duration(options.duration);
        let here = environment::cores();
        let needs = cores::said(needed, here);
        tell(PROGRAM, &format!("seed {}, {members}, measuring {duration}; {needs}", options.seed));
        if let Some(shortage) = cores::shortage(needed, here, busy) {
            tell(PROGRAM, &shortage);
        }
    }

    /// The measured window begins.
    ///
    /// # Errors
    /// One line, if the log cannot be written.
    // The wall clock stamps the log and takes no part in any measurement.
    #[allow(clippy::disallowed_methods)]
    pub fn begin_log(&mut self) -> Result<(), String> {
        let begin = |log: &mut HistogramLog<_>| log.begin(self.seed, SystemTime::now());
        self.histogram_log.as_mut().map_or(Ok(()), begin).map_err(|error| format!("--hlog: {error}"))
    }

    /// Hands a sample to everybody who looks. A log that cannot be written any more is given up, and told at
    /// the end: what is measured goes on.
    ///
    /// # Errors
    /// None at present.
    pub fn show(&mut self, taken: &Taken, sample: &Sample) -> Result<(), String> {
        self.progress.show(sample);
        if let Some(metrics) = &self.metrics {
            metrics.publish(taken);
        }
        if let Some(log) = self.histogram_log.as_mut().filter(|_| sample.phase == Phase::Measuring) {
            let start = sample.elapsed.saturating_sub(taken.since);
            for (name, histogram) in taken.interval.each() {
                if let Err(error) = log.write(name, start, taken.since, histogram) {
                    self.histogram_fault = Some(format!("--hlog: {error}"));
                    break;
                }
            }
        }
        if self.histogram_fault.is_some() {
            self.histogram_log = None;
        }
        Ok(())
    }
}
