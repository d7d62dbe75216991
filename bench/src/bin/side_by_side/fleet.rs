//! A cluster of ours, in the load generator: three runs of it.
//!
//! The first starts cold, and is over when all views are complete; the second idles and has events, the third has
//! kills: what events cost shows only in a run without kills. These two start warm, so that they begin settled.
//! Each is a process of its own, this program again as the load generator.

use std::ffi::OsString;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use swimring_loadgen::cli::{self, Cli, Command as Task, PROGRAM};
use swimring_loadgen::report::Report;
use swimring_loadgen::run as loadgen;
use swimring_tooling::environment;
use swimring_tooling::exit::Exit;

use crate::AS_LOADGEN;
use crate::cluster::{
    BOOTSTRAP_MAX, DETECTION_MAX, EVENT_BYTES, EVENT_WINDOW, EVENTS_PER_SECOND, IDLE, KILL_SPAN, KILLS,
};
use crate::results::{Cluster, Whose, now, wait};

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
        Err(refusal) => refuse(&refusal.lines::<Cli>().join("\n")),
    };
    exit.into()
}

fn refuse(fault: &str) -> Exit {
    eprintln!("{fault}");
    Exit::BadArguments
}

/// Beyond what a run measures: starting, ending, and the last deaths and events to become known.
const MARGIN: Duration = DETECTION_MAX;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs a cluster of this size; from nothing as well if `cold`.
pub fn run(members: usize, cold: bool) -> Result<Cluster, String> {
    let mut cluster = Cluster::new(Whose::Swimring, members);
    if cold {
        start(&mut cluster)?;
    } else {
        cluster.remarks.push("not started from nothing: a smaller one took too long".to_owned());
    }
    events(&mut cluster)?;
    kills(&mut cluster)?;
    Ok(cluster)
}

fn start(cluster: &mut Cluster) -> Result<(), String> {
    let flags = ["--start", "cold", "--warmup", "0s", "--duration", "1s", "--kill", "0", "--events", "0"];
    let report = report(cluster, BOOTSTRAP_MAX + Duration::from_secs(2), &flags)?;
    cluster.bootstrap_s = report.and_then(|report| report.convergence_s);
    if cluster.bootstrap_s.is_none() {
        cluster.remarks.push(format!("views not complete within {} s", BOOTSTRAP_MAX.as_secs()));
    }
    Ok(())
}

fn events(cluster: &mut Cluster) -> Result<(), String> {
    // The load generator leaves out the first second of its warm-up when it takes what idling costs.
    let warm_up = format!("{}s", IDLE.as_secs() + 1);
    let (window, events) = (format!("{}s", EVENT_WINDOW.as_secs()), format!("{EVENTS_PER_SECOND}/s"));
    let bytes = EVENT_BYTES.to_string();
    let flags = ["--warmup", &warm_up, "--duration", &window, "--kill", "0", "--events", &events];
    let flags = [&flags[..], &["--event-bytes", &bytes]].concat();
    let report = report(cluster, IDLE + EVENT_WINDOW + MARGIN, &flags)?;
    let Some(report) = report else { return Err(format!("Swimring of {} hangs", cluster.members)) };
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
    let flags = ["--warmup", "2s", "--duration", &window, "--kill", &kills, "--events", "0"];
    let report = report(cluster, KILL_SPAN + MARGIN, &flags)?;
    let Some(report) = report else { return Err(format!("Swimring of {} hangs", cluster.members)) };
    cluster.kills = report.kills.count as usize;
    cluster.kills_detected = Some(report.kills.detected as usize);
    cluster.first_detection_s = report.detection_s.first.p50;
    cluster.last_detection_s = report.detection_s.all.max;
    cluster.false_deaths = cluster.false_deaths.map(|deaths| deaths + report.false_deaths);
    Ok(())
}

/// The report of a run, which has left its doubts with the cluster; nothing if it took longer than `limit`.
fn report(cluster: &mut Cluster, limit: Duration, flags: &[&str]) -> Result<Option<Report>, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let mut child = Command::new(program)
        .arg(AS_LOADGEN)
        .args(EVERY_RUN)
        .args(["--members", &cluster.members.to_string()])
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("this program as {PROGRAM}: {error}"))?;
    let in_time = ends_within(&mut child, limit);
    if !in_time {
        // It may have ended by itself since.
        let _ = child.kill();
    }
    let output = child.wait_with_output().map_err(|error| format!("{PROGRAM}: {error}"))?;
    if !in_time {
        return Ok(None);
    }
    let report = Report::from_json(&String::from_utf8_lossy(&output.stdout)).map_err(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("Swimring of {}: {error}: {}", cluster.members, said.trim())
    })?;
    cluster.remarks.extend(report.invalid_reasons.iter().cloned());
    Ok(Some(report))
}

/// A report fits the pipe, so nobody has to read until the process ends.
fn ends_within(child: &mut Child, limit: Duration) -> bool {
    let began = now();
    while began.elapsed() < limit {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        wait(LOOK_EVERY);
    }
    false
}
