//! `swimring-loadgen run`, from checked options to an exit status. [`execute`] is the only part that knows
//! the fleet; everything around it works on values.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use swimring_tooling::environment::{self, Environment};
use swimring_tooling::exit::Exit;
use swimring_tooling::interrupt::Interrupt;
use swimring_tooling::output::print;
use swimring_tooling::refusal::complain;
use swimring_tooling::style::Style;

use crate::BUILD;
use crate::bottleneck;
use crate::cli::{PROGRAM, RunOptions, WireChoice};
use crate::fleet::cluster::execute;
use crate::hlog::HistogramLog;
use crate::measurements::Measurements;
use crate::own_addresses;
use crate::preflight::{self, Needs};
use crate::progress::Progress;
use crate::prometheus::Endpoint;
use crate::report::{Report, Subject, changed_settings, render};
use crate::run_context::RunContext;
use crate::schedule::Plan;

/// Why a run could not be carried out: one line that names the setting and the mend.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunError(pub String);

/// What a run leaves behind.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The measurements.
    pub measurements: Measurements,
    /// Wire format.
    pub wire: String,
    /// The protocol settings that were in force, every one by name.
    pub protocol: Map<String, Value>,
    /// The preset's values of the same settings.
    pub protocol_preset: Map<String, Value>,
    /// The probe timeout in force: how late timers may be depends on it.
    pub probe_timeout: Duration,
}

/// Carries out `run`: everything is said on standard output and standard error.
pub fn run(options: &RunOptions) -> Exit {
    attempt(options).unwrap_or_else(|faults| {
        complain(PROGRAM, &faults);
        Exit::CouldNotRun
    })
}

/// A run, or one line per reason why not.
fn attempt(options: &RunOptions) -> Result<Exit, Vec<String>> {
    let environment = Environment::here(BUILD);
    preflight::check(options.members, &Needs::of(options))?;
    if options.wire == WireChoice::Memberlist {
        // That there are as many addresses has been checked with the arguments.
        let address_of = |number| options.member_address(number).unwrap_or(options.first_address);
        own_addresses::check(options.members, |number| address_of(number).into())
            .map_err(|fault| vec![fault])?;
    }
    let mut plan = Plan::new(options.members, options.duration, options.kills, options.events, options.seed);
    if let Some(within) = options.kill_within {
        plan = plan.killing_within(within, options.duration);
    }
    let execute = |surroundings: &mut RunContext<'_>| execute(options, surroundings);
    carry_out(options, &plan, execute, |executed| assemble(options, executed, environment))
}

/// Executes what was planned and reports what came of it. Errors: one line per fault.
pub(crate) fn carry_out<T>(
    options: &RunOptions,
    plan: &Plan,
    execute: impl FnOnce(&mut RunContext<'_>) -> Result<T, RunError>,
    assemble: impl FnOnce(T) -> Report,
) -> Result<Exit, Vec<String>> {
    // Outputs are opened before the run: a typing error must not cost the minutes it takes.
    let mut json = options.json.as_deref().map(JsonOutput::open).transpose().map_err(|fault| vec![fault])?;
    let log = options.hlog.as_deref().map(HistogramLog::create).transpose().map_err(|fault| vec![fault])?;
    let metrics = options.metrics.map(Endpoint::open).transpose().map_err(|fault| vec![fault])?;
    let interrupt = Interrupt::install(PROGRAM).map_err(|fault| vec![fault])?;
    let mut surroundings = RunContext {
        plan,
        interrupt: &interrupt,
        progress: Progress::new(options.quiet),
        histogram_log: log,
        histogram_fault: None,
        metrics,
        seed: options.seed,
    };
    let executed = execute(&mut surroundings);
    surroundings.progress.finish();
    let report = assemble(executed.map_err(|error| vec![error.to_string()])?);
    let logged = surroundings.histogram_log.map_or(Ok(()), HistogramLog::finish);
    let logged = logged.map_err(|error| format!("--hlog: {error}"));
    let logged = surroundings.histogram_fault.map_or(logged, Err);
    let faults: Vec<String> =
        deliver(&report, json.as_mut()).into_iter().chain([logged]).filter_map(Result::err).collect();
    if faults.is_empty() { Ok(Exit::of_run(report.valid, report.objectives_met())) } else { Err(faults) }
}

/// Hands the report over: to the file that was asked for, and to standard output. Where neither takes it, it is
/// put where it can be found, since it may have taken an hour to measure.
fn deliver(report: &Report, json: Option<&mut JsonOutput>) -> [Result<(), String>; 2] {
    let text = || render(report, Style::of_standard_output());
    let (shown, written) = match json {
        None => (print(&text()), None),
        Some(JsonOutput::StandardOutput) => (print(&report.to_json()), None),
        Some(JsonOutput::File(name, file)) => {
            let written = replace(file, &report.to_json()).map_err(|error| format!("{name}: {error}"));
            (print(&text()), Some(written))
        }
    };
    let kept = matches!(written, Some(Ok(())));
    let shown = shown.map_err(|fault| if kept { fault } else { format!("{fault}; {}", rescue(report)) });
    [written.unwrap_or(Ok(())), shown]
}

/// Keeps a report that nobody has taken. Where it is now, or why it is nowhere.
fn rescue(report: &Report) -> String {
    let name = format!("{PROGRAM}-{}.json", std::process::id());
    let path = std::env::temp_dir().join(name);
    let created = OpenOptions::new().write(true).create_new(true).open(&path);
    match created.and_then(|mut file| file.write_all(report.to_json().as_bytes())) {
        Ok(()) => format!("the report is in {}", path.display()),
        Err(error) => format!("the report is lost, for {}: {error}", path.display()),
    }
}

/// The report of a run that began in `environment`, with its objectives judged.
pub fn assemble(options: &RunOptions, executed: Executed, environment: Environment) -> Report {
    let reasons = bottleneck::reasons(&executed.measurements, executed.probe_timeout);
    let mut settings = options.settings();
    let mut defaults = RunOptions::defaults(options.members, environment::cores()).settings();
    settings.extend(executed.protocol);
    defaults.extend(executed.protocol_preset);
    let subject = Subject {
        seed: options.seed,
        wire: executed.wire,
        settings_changed: changed_settings(&settings, &defaults),
        settings,
        environment,
    };
    let mut report = Report::new(subject, &executed.measurements, reasons);
    let value = report.to_value();
    report.slos = options.slos.iter().map(|slo| slo.judge(&value)).collect();
    report
}

/// Where `--json` writes.
enum JsonOutput {
    StandardOutput,
    /// Opened before the run and emptied after it: a run that fails leaves an older result as it was.
    File(String, File),
}

impl JsonOutput {
    fn open(path: &Path) -> Result<JsonOutput, String> {
        if path == Path::new("-") {
            return Ok(JsonOutput::StandardOutput);
        }
        let name = format!("--json {}", path.display());
        match OpenOptions::new().write(true).create(true).truncate(false).open(path) {
            Ok(file) => Ok(JsonOutput::File(name, file)),
            Err(error) => Err(format!("{name}: {error}")),
        }
    }
}

/// Replaces a file's content. What has no length, a pipe or `/dev/stdout`, is written to as it is.
fn replace(file: &mut File, text: &str) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_len(0)?;
        file.rewind()?;
    }
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use serde_json::json;

    use super::*;
    use crate::cli::{self, Command};
    use crate::measurements::{KillOutcome, WorkerMeasurements};

    fn options(flags: &[&str]) -> RunOptions {
        let line = [PROGRAM].iter().chain(flags).map(OsString::from);
        match cli::parse(line).unwrap().command {
            Command::Run(arguments) => arguments.check(2).unwrap(),
            _ => panic!("run was meant"),
        }
    }

    fn executed(options: &RunOptions) -> Executed {
        let object = |value: Value| value.as_object().cloned().unwrap();
        Executed {
            measurements: Measurements {
                members: u64::from(options.members),
                driver: "mmsg".to_owned(),
                measured: options.duration,
                workers: vec![WorkerMeasurements::default(); options.workers as usize],
                kills: vec![KillOutcome::default(); options.kills as usize],
                ..Measurements::default()
            },
            wire: "native".to_owned(),
            protocol: object(json!({"gossip_fanout": 5, "probe_interval_ms": 1000})),
            protocol_preset: object(json!({"gossip_fanout": 3, "probe_interval_ms": 1000})),
            probe_timeout: Duration::from_millis(500),
        }
    }

    #[test]
    fn the_report_names_what_was_changed_and_nothing_else() {
        let plain = options(&["--members", "50", "--gossip-fanout", "5"]);
        let reported = |options: &RunOptions| assemble(options, executed(options), Environment::default());
        assert_eq!(reported(&plain).settings_changed, ["gossip_fanout", "members"]);
        let changed = options(&["--members", "50", "--kill", "2", "--loss", "1%", "--seed", "7"]);
        let report = reported(&changed);
        assert_eq!(report.settings_changed, ["gossip_fanout", "kill", "loss", "members", "seed"]);
        assert_eq!((report.seed, report.settings["probe_interval_ms"].as_u64()), (7, Some(1000)));
    }

    #[test]
    fn objectives_and_bottlenecks_reach_the_report() {
        let slos = ["--slo", "kills.detected==5", "--slo", "false_deaths==0"];
        let options = options(&[&["--members", "50", "--workers", "2"][..], &slos].concat());
        let mut run = executed(&options);
        let report = assemble(&options, run.clone(), Environment::default());
        assert_eq!(report.slos.iter().map(|slo| slo.met).collect::<Vec<_>>(), [false, true]);
        assert!(report.valid && !report.objectives_met());
        run.measurements.workers[1].busy = options.duration;
        let report = assemble(&options, run, Environment::default());
        assert_eq!(report.invalid_reasons, ["worker 1 was busy 100 % of the time (at most 90 %)"]);
        assert!(!report.valid);
    }

    #[test]
    fn a_result_replaces_an_older_and_longer_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("result.json");
        let old = "x".repeat(100_000);
        std::fs::write(&path, &old).unwrap();
        let mut output = JsonOutput::open(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), old, "kept until the run is over");
        let report = crate::report::Report { schema: 1, ..Report::default() };
        let JsonOutput::File(_, file) = &mut output else { panic!("a file was named") };
        replace(file, &report.to_json()).unwrap();
        assert_eq!(Report::from_json(&std::fs::read_to_string(&path).unwrap()), Ok(report));
    }

    #[test]
    fn an_output_that_cannot_be_written_is_named_before_the_run() {
        let fault = JsonOutput::open(Path::new("/nonexistent/result.json")).err().unwrap();
        assert!(fault.starts_with("--json /nonexistent/result.json: "), "{fault}");
    }
}
