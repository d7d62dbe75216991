//! `--verify`: the chosen settings in a real fleet on this machine, beside the same fleet in simulation.
//!
//! The fleet is the load generator's, a program of its own: `swimring-loadgen`, found beside this program or
//! on the path. It runs on loopback, so the network of the objective is not there but for its loss; what is
//! predicted is therefore a simulation of loopback: the same members, settings, kills, events and loss, hardly
//! any latency, and members that act on a driver's 1 ms ticks. Where the size does not fit on this machine, the
//! largest that does is run, and said so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Serialize;
use swimring::Settings;
use swimring_loadgen::cli::protocol::named;
use swimring_loadgen::report::Report;
use swimring_simulation::experiment::{Latency, TrialOptions, Wakes};
use swimring_tooling::exit::Exit;
use swimring_tooling::layers::shielded;
use swimring_tooling::table::Table;
use swimring_tooling::text::{ABSENT, counted, significant};

use crate::objective::{Measures, Objective, Target};
use crate::outputs::settings::toml_line;
use crate::outputs::text::paragraph;
use crate::sweep::progress::Watch;
use crate::sweep::{Job, Stop, Summary, run_all, table::with_interval};

/// The program.
const LOADGEN: &str = "swimring-loadgen";
/// Real members that fit on any machine that this is likely to run on.
const MEMBERS_MAX: (u32, u32) = (10_000, 1_000);
/// Datagrams that a core moves per second with ease, of each format: trains make native ones cheap.
const DATAGRAMS_PER_CORE: (f64, f64) = (60_000.0, 20_000.0);
/// How long the fleet is measured.
const DURATION_S: u64 = 30;
/// Members killed.
const KILLS_MAX: u32 = 20;
/// Seeds of the simulation: a few, so that its kills are several times the fleet's.
const SEEDS: u64 = 4;
/// One way over loopback.
const LOOPBACK: Duration = Duration::from_micros(100);

/// What was predicted and measured.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// Members that were run.
    pub members: u32,
    /// Members of the objective.
    pub wanted: u32,
    /// Simulated.
    pub predicted: Summary,
    /// Measured.
    pub measured: Report,
}

/// Runs both.
///
/// # Errors
/// One line: the program is missing, or could not run.
pub fn verify(
    objective: &Objective,
    settings: &Settings,
    predicted: &Measures,
    threads: usize,
    stop: &Stop,
) -> Result<Verified, String> {
    let program = find()?;
    let members = fitting(objective, predicted, threads);
    let kills = (members / 10).clamp(1, KILLS_MAX);
    let simulated = simulate(objective, settings, members, kills, threads, stop)?;
    let measured = measure(&program, objective, settings, members, kills)?;
    Ok(Verified { members, wanted: objective.members, predicted: simulated, measured })
}

/// Beside this program, or on the path.
fn find() -> Result<PathBuf, String> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(LOADGEN)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(LOADGEN));
    beside.into_iter().chain(on_path).find(|program| program.is_file()).ok_or_else(|| {
        format!("--verify: there is no {LOADGEN} beside this program or on the path: build it with cargo build --release -p {LOADGEN}")
    })
}

/// The members of the objective, or as many as this machine carries.
fn fitting(objective: &Objective, predicted: &Measures, cores: usize) -> u32 {
    let native = objective.target == Target::Swimring;
    let of = |both: (f64, f64)| if native { both.0 } else { both.1 };
    let most = if native { MEMBERS_MAX.0 } else { MEMBERS_MAX.1 };
    let carried = of(DATAGRAMS_PER_CORE) * cores as f64 / predicted.datagrams_per_member_second.max(1.0);
    objective.members.min(most).min(carried as u32).max(2)
}

fn simulate(
    objective: &Objective,
    settings: &Settings,
    members: u32,
    kills: u32,
    threads: usize,
    stop: &Stop,
) -> Result<Summary, String> {
    let job = |index: u64| Job {
        index: index as usize,
        options: TrialOptions {
            settings: settings.clone(),
            wire: objective.target.wire(),
            duration: Duration::from_secs(DURATION_S),
            latency: Latency::Fixed(LOOPBACK),
            loss: objective.network.loss,
            crashes: kills.min(members / 2),
            events_per_second: 1.0,
            event_bytes: 100,
            wakes: Wakes::Every(Duration::from_millis(1)),
            ..TrialOptions::new(index + 1, members)
        },
    };
    let jobs: Vec<Job> = (0..SEEDS).map(job).collect();
    let mut digests = Vec::new();
    run_all(&jobs, threads, stop, &Watch::hidden(), |job, digest| {
        digests.push((job.index, digest));
        Ok(())
    })?;
    // In the order of the seeds, not of finishing: sums of floats depend on it.
    digests.sort_by_key(|(index, _)| *index);
    let digests: Vec<_> = digests.into_iter().map(|(_, digest)| digest).collect();
    Ok(Summary::of(&digests))
}

fn measure(
    program: &Path,
    objective: &Objective,
    settings: &Settings,
    members: u32,
    kills: u32,
) -> Result<Report, String> {
    let fault = |reason: String| format!("--verify: {}: {reason}", program.display());
    let config = scratch("settings.toml");
    let json = scratch("report.json");
    std::fs::write(&config, protocol_file(settings)).map_err(|error| fault(error.to_string()))?;
    let output = shielded(&mut Command::new(program))
        .args(["run", "--quiet", "--warmup", "5s", "--events", "1/s", "--event-bytes", "100"])
        .args(["--duration", &format!("{DURATION_S}s"), "--loss", &objective.network.loss.to_string()])
        .args(["--members", &members.to_string(), "--kill", &kills.min(members / 2).to_string()])
        .args(["--wire", objective.target.wire().as_str()])
        .arg("--config")
        .arg(&config)
        .arg("--json")
        .arg(&json)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output();
    let text = std::fs::read_to_string(&json);
    // Left behind they would do no harm; a failure to remove them is no reason to fail.
    let _ = std::fs::remove_file(&config);
    let _ = std::fs::remove_file(&json);
    let output = output.map_err(|error| fault(error.to_string()))?;
    let code = output.status.code().unwrap_or(-1);
    if ![Exit::Done as i32, Exit::Invalid as i32].contains(&code) {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word").to_owned();
        return Err(fault(format!("exit status {code}: {last}")));
    }
    Report::from_json(&text.map_err(|error| fault(error.to_string()))?).map_err(fault)
}

/// A file name in the folder for temporary files that nobody else uses.
fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("swimring-tune-{}-{name}", std::process::id()))
}

/// The settings as the load generator's `--config` reads them.
fn protocol_file(settings: &Settings) -> String {
    let known = settings.values().filter(|(setting, _)| named(setting.name).is_some());
    known.map(|(setting, value)| toml_line(setting, value)).collect()
}

/// The lines for people, none longer than `columns`.
pub fn lines(verified: &Verified, columns: usize) -> Vec<String> {
    let Verified { members, wanted, predicted, measured } = verified;
    let size = counted((*members).into(), "member");
    let fits = if members < wanted {
        format!(" (of {}: more do not fit on this machine)", counted((*wanted).into(), "member"))
    } else {
        String::new()
    };
    let heading = format!(
        "Verified with a real fleet of {size} on loopback{fits}: {} kills, {} s",
        measured.kills.count,
        significant(measured.duration_s)
    );
    let mut lines = paragraph(&heading, columns);
    let mut table = Table::new(0, 0);
    table.row(["", "simulated (95 %)", "measured", "measured / simulated"]);
    let rows = [
        ("detection p50, s", predicted.first_p50_s, measured.detection_s.first.p50),
        ("detection p99, s", predicted.first_p99_s, measured.detection_s.first.p99),
        ("detection by all, p50, s", predicted.all_p50_s, measured.detection_s.all.p50),
        ("event spread p50, ms", predicted.spread_p50_ms, measured.events.spread_ms.p50),
        ("event spread p99, ms", predicted.spread_p99_ms, measured.events.spread_ms.p99),
        (
            "bytes per member-second",
            predicted.bytes_per_member_second,
            Some(measured.datagrams.bytes_per_member_second),
        ),
    ];
    for (name, estimate, found) in rows {
        let ratio = estimate.zip(found).map(|(estimate, found)| significant(found / estimate.value));
        table.row([
            format!("  {name}"),
            with_interval(estimate),
            found.map_or_else(|| ABSENT.to_owned(), significant),
            ratio.unwrap_or_else(|| ABSENT.to_owned()),
        ]);
    }
    lines.extend(table.lines_within(columns));
    lines.push(format!(
        "  false deaths: {} simulated, {} measured",
        with_interval(predicted.false_deaths),
        measured.false_deaths
    ));
    if !measured.valid {
        let line = format!("  The run is not valid: {}", measured.invalid_reasons.join("; "));
        lines.extend(paragraph(&line, columns));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use swimring::protocol::SETTINGS;
    use swimring_loadgen::cli::{self, Command as Task};

    use super::*;

    #[test]
    fn the_load_generator_reads_the_settings_back() {
        let settings = Settings { gossip_fanout: 7, stream_fallback: false, ..Settings::default() };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, protocol_file(&settings)).unwrap();
        let line = ["swimring-loadgen".into(), "run".into(), "--config".into(), OsString::from(file)];
        let Ok(Task::Run(run)) = cli::parse(line).map(|cli| cli.command) else { panic!("run was meant") };
        for (setting, value) in run.fleet.protocol.values() {
            assert_eq!(settings.get(setting.name), Some(value), "{}", setting.name);
        }
        // All but one, which follows the number of members.
        assert_eq!(run.fleet.protocol.values().count(), SETTINGS.len() - 1);
    }

    #[test]
    fn what_was_measured_stands_beside_what_was_predicted() {
        let mut measured = Report { valid: false, ..Report::default() };
        measured.invalid_reasons.push("workers were busy".to_owned());
        let predicted = Summary::of(&[]);
        let lines = lines(&Verified { members: 500, wanted: 20_000, predicted, measured }, 80);
        let text = lines.join(" ");
        assert!(text.contains("500 members on loopback (of 20,000 members: more do not fit"), "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        assert!(lines.last().unwrap().contains("workers were busy"));
    }
}
