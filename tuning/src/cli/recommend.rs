//! `swimring-tune recommend`: from an objective to settings, with the evidence for them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use swimring_tooling::columns;
use swimring_tooling::environment::Environment;
use swimring_tooling::exit::Exit;
use swimring_tooling::layers::Origins;
use swimring_tooling::output::{self, print, tell};
use swimring_tooling::values;

use super::simulate::threads;
use super::{Faults, to_standard_output};
use crate::objective::measured::measured;
use crate::objective::{Objective, ObjectiveArguments};
use crate::outputs::{View, document, settings, text};
use crate::report::{PageInput, detection_chart, page, pareto_chart, spread_chart, standalone, tail_chart};
use crate::search::defaults::defaults;
use crate::sweep::Stop;
use crate::sweep::progress::Watch;
use crate::validation::{CORE_S_DEFAULT, Effort, recommend};
use crate::verify::{self, verify};

/// Shown under the flags.
pub const EXAMPLES: &str = "\
Examples:
  swimring-tune recommend --members 20000 --loss 1% --rtt-ms 0.5 --detect-p99 5s \\
      --max-bytes-per-second 2000 --false-deaths-per-day 0.01
  swimring-tune recommend --members 300 --for consul --detect-p99 8s --report consul.html
  swimring-tune recommend --config objective.toml --toml swimring.toml --json answer.json
  swimring-tune recommend --members 500 --detect-p50 2s --minimise false-deaths
  swimring-tune recommend --from report.json --detect-p99 10s --verify

An objective file has the flags' names with underscores. The same seed and --effort give the same answer,
however busy the machine is; --time only cuts it off, and the answer says so.

Exit status: 0 every limit is met; 1 could not run; 2 bad arguments; 99 the limits cannot be met together, or
the chosen settings missed one when they were judged, or more would have to be simulated to be sure.";

const TIME_MIN: Duration = Duration::from_secs(2);
const TIME_MAX: Duration = Duration::from_secs(24 * 3600);
const EFFORT_MIN: f64 = 5.0;
const EFFORT_MAX: f64 = 1e6;

/// The flags of `recommend`, as typed.
#[derive(Args, Clone, Debug)]
pub struct RecommendArguments {
    /// The network, the limits, and what to minimise.
    #[command(flatten)]
    pub objective: ObjectiveArguments,

    /// Read the objective from FILE (TOML, the names above with underscores); flags win
    #[arg(long, value_name = "FILE", help_heading = "Search")]
    pub config: Option<PathBuf>,

    /// Take size, loss and round trips from a report of swimring-loadgen; flags and --config win
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    pub from: Option<PathBuf>,

    /// How much to simulate, in seconds of an idle core, about; more narrows the intervals, and the answer depends
    /// on it
    #[arg(long, value_name = "SECONDS", default_value_t = CORE_S_DEFAULT, help_heading = "Search")]
    pub effort: f64,

    /// Real time at most; the answer says so if that cut it off
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = values::duration, help_heading = "Search")]
    pub time: Duration,

    /// First seed of the simulations; the last judgement uses others
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = values::count::<u64>, help_heading = "Search")]
    pub seed: u64,

    /// Threads [default: one per core]
    #[arg(long, value_name = "COUNT", value_parser = values::count::<usize>, help_heading = "Search")]
    pub threads: Option<usize>,

    /// Simulate nothing: the closed forms alone, in a second
    #[arg(long, conflicts_with_all = ["time", "effort", "seed", "threads"], help_heading = "Search")]
    pub forms_only: bool,

    /// Run the settings with swimring-loadgen on this machine, and print predicted beside measured
    #[arg(long, help_heading = "Output")]
    pub verify: bool,

    /// Write the settings to FILE as the engine reads them
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub toml: Option<PathBuf>,

    /// Write everything to FILE as JSON; - writes it to standard output instead of the text
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// Write a report to FILE: one HTML page with charts, nothing outside it
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Option<PathBuf>,

    /// Write the report's charts to FOLDER as SVG files
    #[arg(long, value_name = "FOLDER", help_heading = "Output")]
    pub charts: Option<PathBuf>,

    /// No progress bar
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
}

impl RecommendArguments {
    fn check(&self) -> Result<(Objective, Effort), Vec<String>> {
        let file = self.config.as_deref().map(ObjectiveArguments::read).transpose();
        let file = file.map_err(|fault| vec![fault])?.unwrap_or_default();
        let from = self.from.as_deref().map(measured).transpose();
        let from = from.map_err(|fault| vec![fault])?.unwrap_or_default();
        let objective = self.objective.clone().or(file).or(from).check()?;
        if !(TIME_MIN..=TIME_MAX).contains(&self.time) {
            return Err(vec!["--time: has to be between 2s and 24h".to_owned()]);
        }
        if !(EFFORT_MIN..=EFFORT_MAX).contains(&self.effort) {
            return Err(vec![format!(
                "--effort: has to be between {EFFORT_MIN} and {EFFORT_MAX} seconds of a core, and is {}",
                self.effort
            )]);
        }
        let threads = threads(self.threads).map_err(|fault| vec![fault])?;
        let (seed, core_s, time) = (self.seed, self.effort, self.time);
        let effort = Effort { threads, seed, core_s, time, forms_only: self.forms_only };
        Ok((objective, effort))
    }
}

/// Does what was asked.
///
/// # Errors
/// Arguments that cannot be used, and files that cannot be written.
pub fn command(arguments: &RecommendArguments, origins: &Origins) -> Result<Exit, Faults> {
    let (objective, effort) = arguments.check().map_err(Faults::BadArguments)?;
    let files = [("--json", &arguments.json), ("--toml", &arguments.toml), ("--report", &arguments.report)];
    let is_taken = to_standard_output(&files).map_err(Faults::BadArguments)?;
    let stop = Stop::on_signals().map_err(Faults::CouldNotRun)?;
    let idle_s = effort.core_s / effort.threads as f64;
    let watch = Watch::timed(Duration::from_secs_f64(idle_s), arguments.quiet || effort.forms_only);
    let answer = recommend(&objective, &effort, &stop, &watch);
    watch.finish();
    let answer = answer.map_err(Faults::CouldNotRun)?;
    let compared = defaults(&answer.forms);
    let view = View::of(&objective, &answer, &compared);
    // Files first: whatever becomes of standard output, they are there.
    write(arguments, &typed(origins), &view).map_err(Faults::CouldNotRun)?;
    if !is_taken {
        let lines = text::lines(&view, columns::of_standard_output());
        print(&together(&lines)).map_err(Faults::CouldNotRun)?;
    }
    if arguments.verify && !answer.is_refused() {
        let (settings, predicted) = (&answer.chosen.settings, &answer.chosen.predicted);
        let verified =
            verify(&objective, settings, predicted, effort.threads, &stop).map_err(Faults::CouldNotRun)?;
        let lines = verify::lines(&verified, columns::of_standard_output());
        if is_taken {
            lines.iter().for_each(|line| tell(super::PROGRAM, line));
        } else {
            print(&format!("\n{}", together(&lines))).map_err(Faults::CouldNotRun)?;
        }
    }
    Ok(if answer.is_met() { Exit::Done } else { Exit::SloMissed })
}

/// Writes every file that was asked for.
fn write(arguments: &RecommendArguments, command: &str, view: &View<'_>) -> Result<(), String> {
    let (objective, answer) = (view.objective, view.answer);
    if let Some(path) = &arguments.toml {
        output::write("--toml", path, &settings::toml(&answer.chosen.settings))?;
    }
    if let Some(path) = &arguments.json {
        let value = document::document(view);
        output::write_json("--json", path, &value)?;
    }
    if let Some(path) = &arguments.report {
        let input = PageInput { view, command, made: &Environment::here(crate::BUILD) };
        output::write("--report", path, &page(&input)?)?;
    }
    if let Some(folder) = &arguments.charts {
        std::fs::create_dir_all(folder).map_err(|error| format!("--charts {}: {error}", folder.display()))?;
        let charts = [
            ("pareto.svg", Some(pareto_chart(view)?)),
            ("detection.svg", detection_chart(objective, answer)?),
            ("detection-tail.svg", tail_chart(objective, answer)?),
            ("spread.svg", spread_chart(objective, answer)?),
        ];
        for (name, chart) in charts {
            if let Some(chart) = chart {
                output::write("--charts", &folder.join(name), &standalone(&chart))?;
            }
        }
    }
    Ok(())
}

/// Lines as a text.
fn together(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The command line as it was typed, quoted where a shell wants it, behind the variables that were used.
fn typed(origins: &Origins) -> String {
    let quoted = |argument: String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=%,+@".contains(c);
        if !argument.is_empty() && argument.chars().all(plain) {
            argument
        } else {
            format!("'{}'", argument.replace('\'', "'\\''"))
        }
    };
    let text = |text: OsString| quoted(text.to_string_lossy().into_owned());
    let variable = |name: &str| Some(format!("{name}={}", text(std::env::var_os(name)?)));
    let variables = origins.variables().filter_map(variable);
    let arguments = std::env::args_os().skip(1).map(text);
    let words = variables.chain([super::PROGRAM.to_owned()]).chain(arguments);
    words.collect::<Vec<_>>().join(" ")
}
