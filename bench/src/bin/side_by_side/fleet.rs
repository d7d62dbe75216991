//! A cluster of ours, in the load generator: two runs of it.
//!
//! The first starts cold, idles and has events, the second starts warm and has kills: what events cost shows only
//! in a run without kills. Each is a process of its own, this program again as the load generator.

use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};

use swimring_loadgen::cli::{self, Command as Task, PROGRAM};
use swimring_loadgen::exit::Exit;
use swimring_loadgen::report::Report;
use swimring_loadgen::{environment, run as loadgen};

use crate::AS_LOADGEN;
use crate::cluster::{EVENT_BYTES, EVENT_WINDOW, EVENTS_PER_SECOND, IDLE, KILL_SPAN, KILLS};
use crate::results::{Cluster, Whose};

/// What every run is given.
const EVERY_RUN: &[&str] = &[
    "run",
    "--wire",
    "memberlist",
    "--first-address",
    "127.70.0.1",
    "--preset",
    "lan",
    "--quiet",
    "--json",
    "-",
];

/// This program as the load generator, with what follows [`AS_LOADGEN`] as its arguments.
pub fn as_loadgen(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let line = std::iter::once(OsString::from(PROGRAM)).chain(arguments);
    let exit = match cli::parse(line).map(|cli| cli.command) {
        Ok(Task::Run(arguments)) => match arguments.check(environment::cores()) {
            Ok(options) => loadgen::run(&options),
            Err(faults) => refuse(&faults.join("\n")),
        },
        Ok(_) => refuse("only runs"),
        Err(error) => refuse(&cli::one_line(&error)),
    };
    exit.into()
}

fn refuse(fault: &str) -> Exit {
    eprintln!("{fault}");
    Exit::BadArguments
}

/// Runs a cluster of this size, twice.
pub fn run(members: usize) -> Result<Cluster, String> {
    let mut cluster = Cluster::new(Whose::Swimring, members);
    start_and_events(&mut cluster)?;
    kills(&mut cluster)?;
    Ok(cluster)
}

fn start_and_events(cluster: &mut Cluster) -> Result<(), String> {
    // The load generator leaves out the first second of its warm-up when it takes what idling costs.
    let warm_up = format!("{}s", IDLE.as_secs() + 1);
    let (window, events) = (format!("{}s", EVENT_WINDOW.as_secs()), format!("{EVENTS_PER_SECOND}/s"));
    let bytes = EVENT_BYTES.to_string();
    let report = report(
        cluster,
        &["--start", "cold", "--warmup", &warm_up, "--duration", &window, "--kill", "0", "--events", &events]
            .into_iter()
            .chain(["--event-bytes", &bytes])
            .collect::<Vec<_>>(),
    )?;
    cluster.bootstrap_s = report.convergence_s;
    cluster.events = report.events.sent as usize;
    cluster.delivered_ratio = report.events.delivered_ratio;
    cluster.spread_ms_p50 = report.events.spread_ms.p50;
    cluster.spread_ms_max = report.events.spread_ms.max;
    cluster.us_per_event_per_member = report.events.cpu_us_per_event_per_member;
    cluster.resident_bytes = report.memory.rss_bytes;
    cluster.false_deaths = Some(report.false_deaths);
    // The report has what idling and events cost together, and the latter by itself.
    let members = cluster.members as f64;
    let above_idling = report.events.cpu_us_per_event_per_member.map(|each| each * cluster.events as f64);
    cluster.idle_us_per_member_second =
        above_idling.map(|above| report.cpu.cores * 1e6 / members - above / report.duration_s);
    Ok(())
}

fn kills(cluster: &mut Cluster) -> Result<(), String> {
    // Kills are spread over the first two thirds.
    let (window, kills) = (format!("{}ms", KILL_SPAN.as_millis() * 3 / 2), KILLS.to_string());
    let report =
        report(cluster, &["--warmup", "2s", "--duration", &window, "--kill", &kills, "--events", "0"])?;
    cluster.kills = report.kills.count as usize;
    cluster.kills_detected = Some(report.kills.detected as usize);
    cluster.first_detection_s = report.detection_s.first.p50;
    cluster.last_detection_s = report.detection_s.all.max;
    cluster.false_deaths = cluster.false_deaths.map(|deaths| deaths + report.false_deaths);
    Ok(())
}

/// The report of a run, which has left its doubts with the cluster.
fn report(cluster: &mut Cluster, arguments: &[&str]) -> Result<Report, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let output = Command::new(program)
        .arg(AS_LOADGEN)
        .args(EVERY_RUN)
        .args(["--members", &cluster.members.to_string()])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("this program as {PROGRAM}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let report = Report::from_json(&text).map_err(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("Swimring of {}: {error}: {}", cluster.members, said.trim())
    })?;
    cluster.remarks.extend(report.invalid_reasons.iter().cloned());
    Ok(report)
}
