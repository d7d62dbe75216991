//! The binary from outside: simulate, resume, recommend, and what they refuse.

use std::path::Path;
use std::process::{Command, Output};
use swimring_tooling::layers::shielded;

fn tune(arguments: &[&str]) -> Output {
    shielded(&mut Command::new(env!("CARGO_BIN_EXE_swimring-tune"))).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const SMALL: [&str; 9] =
    ["simulate", "--members", "30", "--crashes", "2", "--duration", "15s", "--sweep", "gossip_fanout=2,3"];

fn simulate(more: &[&str]) -> Output {
    tune(&[&SMALL[..], more].concat())
}

/// The CSV file says everything but the time it took.
fn csv(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_sweep_cut_short_goes_on_to_the_same_result() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (whole, parts) = (text(&path("whole.csv")), text(&path("parts.csv")));
    let (store, cut) = (text(&path("store")), text(&path("cut")));
    assert!(simulate(&["--seeds", "4", "--csv", &whole, "--resume", &store]).status.success());
    // As a kill would leave it: some lines, and one that was being written.
    let lines = std::fs::read(path("store")).unwrap();
    std::fs::write(path("cut"), &lines[..lines.len() * 3 / 5]).unwrap();
    assert!(
        simulate(&["--seeds", "4", "--csv", &parts, "--resume", &cut, "--threads", "1"]).status.success()
    );
    assert_eq!(csv(&path("whole.csv")), csv(&path("parts.csv")));
    // More seeds take what is there.
    let more = simulate(&["--seeds", "5", "--resume", &store]);
    assert!(more.status.success(), "{}", stderr(&more));
    assert_eq!(std::fs::read_to_string(path("store")).unwrap().lines().count(), 1 + 2 * 5);
    let other = simulate(&["--resume", &store, "--loss", "1%"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(
        stderr(&other).contains("holds runs of another scenario (loss: 0.0 there, 0.01 here)"),
        "{}",
        stderr(&other)
    );
}

#[test]
fn a_scenario_file_says_what_flags_say() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    let scenario = "members = 30\ncrashes = 2\nduration = \"15s\"\n[sweep]\ngossip_fanout = [2, 3]\n";
    std::fs::write(&file, scenario).unwrap();
    let from_file = tune(&["simulate", "--scenario", file.to_str().unwrap(), "--seeds", "2"]);
    assert!(from_file.status.success(), "{}", stderr(&from_file));
    assert_eq!(stdout(&from_file), stdout(&simulate(&["--seeds", "2"])));
}

#[test]
fn nonsense_is_one_line_and_status_2() {
    for (arguments, part) in [
        (&["simulate", "--members", "1"][..], "members has to be between 2 and"),
        (&["simulate", "--loss", "100%"], "loss: must be less than 100 %"),
        (&["simulate", "--sweep", "gossip_fanuot=1,2"], "unknown setting gossip_fanuot; did you mean"),
        (&["simulate", "--sweep", "gossip_fanout=1,99"], "gossip_fanout: 99: has to be between 1 and 16"),
        (&["simulate", "--seeds", "0"], "--seeds: has to be between 1 and"),
        (&["simulate", "--set", "members_max"], "--set members_max: write it like"),
        (&["recommend"], "--members: say how many members"),
        (&["recommend", "--members", "0", "--detect-p99", "5s"], "--members: has to be between 2 and"),
        (&["recommend", "--members", "9", "--detect-p99", "5s", "--loss", "100%"], "must be less than 100 %"),
        (&["recommend", "--members", "9", "--detect-p99", "5s", "--detect-p50", "6s"], "it cannot be"),
        (
            &["recommend", "--members", "9", "--detect-p99", "5s", "--max-bytes-per-second", "-1"],
            "more than zero",
        ),
        (
            &["recommend", "--members", "9", "--detect-p99", "5s", "--for", "zookeeper"],
            "invalid value 'zookeeper'",
        ),
        (&["recommend", "--config", "/nonexistent.toml"], "--config /nonexistent.toml:"),
        (&["recommend", "--from", "/nonexistent.json"], "--from /nonexistent.json:"),
    ] {
        let output = tune(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let fault = stderr(&output);
        assert!(fault.contains(part) && fault.lines().count() == 1, "{arguments:?}: {fault}");
    }
}

#[test]
fn a_hundred_members_get_settings_that_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (toml, json, report) = (path("settings.toml"), path("answer.json"), path("report.html"));
    let objective =
        ["recommend", "--members", "100", "--loss", "1%", "--detect-p99", "10s", "--effort", "40"];
    let files = ["--toml", &toml, "--json", &json, "--report", &report];
    let output = tune(&[&objective[..], &files].concat());
    assert!(output.status.success(), "{}\n{}", stdout(&output), stderr(&output));
    let mut options = swimring::ClusterOptions::default();
    options.read_file(Path::new(&toml)).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!((&answer["met"], &answer["refused"]), (&true.into(), &false.into()));
    assert_eq!(answer["settings"]["probe_interval_ms"], options.protocol.probe_interval.as_millis() as u64);
    let limit = &answer["limits"][0];
    assert!(limit["seen"]["value"].as_f64().unwrap() <= 10.0, "{limit}");
    assert!(limit["seen"]["count"].as_u64().unwrap() >= 100, "{limit}");
    assert!(std::fs::read_to_string(&report).unwrap().contains("<svg"));
}

#[test]
fn what_cannot_be_met_is_refused_with_the_limit_in_the_way() {
    let objective = ["recommend", "--members", "100", "--detect-p99", "1s", "--max-bytes-per-second", "20"];
    let output = tune(&[&objective[..], &["--forms-only"]].concat());
    assert_eq!(output.status.code(), Some(99));
    let text = stdout(&output);
    assert!(text.contains("detect-p99 1s needs at least "), "{text}");
    assert!(text.contains("; the limit is 20.0 B/s."), "{text}");
}
