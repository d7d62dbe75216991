//! How far the runs are: a bar with the time left, on standard error, where that is a terminal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use swimring_simulation::experiment::TrialOptions;

/// Draws per second at most.
const DRAWS_PER_SECOND: u8 = 8;

/// Watches runs. A run counts as many steps as it has simulated seconds before its drain, times its members,
/// in thousands: nearly proportional to the real time it takes.
#[derive(Debug)]
pub struct Watch {
    bar: ProgressBar,
    thousandths: AtomicU64,
    /// The bar is a clock: runs do not move it.
    timed: bool,
}

impl Watch {
    /// Nobody watches.
    pub fn hidden() -> Watch {
        Watch { bar: ProgressBar::hidden(), thousandths: AtomicU64::new(0), timed: false }
    }

    /// A bar for these runs, unless `quiet`. indicatif itself hides it where standard error is no terminal.
    pub fn new<'a>(runs: impl Iterator<Item = &'a TrialOptions>, what: &str, quiet: bool) -> Watch {
        if quiet {
            return Watch::hidden();
        }
        let total = runs.map(|options| (weight(options) * before_drain_s(options)) as u64).sum::<u64>();
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let bar = ProgressBar::with_draw_target(Some(total.max(1)), target).with_message(what.to_owned());
        let template = "{msg} {wide_bar:.cyan/dim} {percent:>3} %  {elapsed} gone, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Watch { bar, thousandths: AtomicU64::new(0), timed: false }
    }

    /// A bar for work that takes at most about `time` on an idle machine, however many runs that will be: it shows
    /// the time.
    pub fn timed(time: Duration, quiet: bool) -> Watch {
        if quiet {
            return Watch::hidden();
        }
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let bar = ProgressBar::with_draw_target(None, target);
        let template = format!("{{spinner}} {{elapsed}}, at most some {} s if idle: {{msg}}", time.as_secs());
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Watch { bar, thousandths: AtomicU64::new(0), timed: true }
    }

    /// Says what is being done now.
    pub fn say(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
    }

    /// Counts a run with these options.
    pub fn run(&self, options: &TrialOptions) -> RunWatch<'_> {
        RunWatch { watch: self, weight: weight(options), whole_s: before_drain_s(options), counted_s: 0.0 }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn count(&self, steps: f64) {
        if self.timed {
            return;
        }
        let thousandths = (steps * 1000.0) as u64;
        let before = self.thousandths.fetch_add(thousandths, Ordering::Relaxed);
        self.bar.set_position((before + thousandths) / 1000);
    }
}

/// Counts one run.
#[derive(Debug)]
pub struct RunWatch<'a> {
    watch: &'a Watch,
    weight: f64,
    whole_s: f64,
    counted_s: f64,
}

impl RunWatch<'_> {
    /// It is at `simulated_s`.
    pub fn at(&mut self, simulated_s: f64) {
        let until = simulated_s.min(self.whole_s);
        if until > self.counted_s {
            self.watch.count((until - self.counted_s) * self.weight);
            self.counted_s = until;
        }
    }

    /// It is done.
    pub fn finish(mut self) {
        self.at(self.whole_s);
    }
}

fn weight(options: &TrialOptions) -> f64 {
    f64::from(options.members) / 1000.0
}

fn before_drain_s(options: &TrialOptions) -> f64 {
    (options.warm_up + options.duration).as_secs_f64()
}
